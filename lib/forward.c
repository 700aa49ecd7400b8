/*
 * forward.c - finds the client of a request that came through proxies.
 */
#include "lib/forward.h"

#include "lib/addr.h"

#define NODE_MAX 64u /* bytes of an address with a port: a longer one is not valid */

/* ---- elements -------------------------------------------------------------------------------- */

/* Returns true if the quote at p[i] is escaped: the number of backslashes before it is odd. */
static bool escaped(struct span s, size_t i)
{
    size_t n = 0;
    while (n < i && s.p[i - 1 - n] == '\\')
        n++;
    return n % 2 == 1;
}

/* Cuts the last element off *list, and the comma before it. With `quotes`, commas within quotes
 * belong to the element. */
static struct span cut_last(struct span *list, bool quotes)
{
    bool inside = false;
    for (size_t i = list->n; i-- > 0;) {
        if (quotes && list->p[i] == '"' && !escaped(*list, i))
            inside = !inside;
        if (list->p[i] != ',' || inside)
            continue;
        struct span last = span_from(*list, i + 1);
        list->n = i;
        return span_trim(last);
    }
    struct span last = *list;
    list->n = 0;
    return span_trim(last);
}

/* The value of a parameter, as a reader. */
struct value {
    char bytes[NODE_MAX];
    struct text t;
};

/* Reads a value, a token or a quoted string, off the front of *s. Returns false if it is
 * neither. */
static bool value_read(struct span *s, struct value *v)
{
    size_t i = 0;
    v->t = text_in(v->bytes, sizeof v->bytes);
    if (s->n == 0 || s->p[0] != '"') {
        while (i < s->n && memchr("; \t\"", s->p[i], 4) == NULL)
            i++;
        text_add(&v->t, (struct span){s->p, i});
        *s = span_from(*s, i);
        return i > 0;
    }
    for (i = 1; i < s->n && s->p[i] != '"'; i++) {
        i += s->p[i] == '\\';
        if (i < s->n)
            text_add(&v->t, (struct span){s->p + i, 1});
    }
    if (i >= s->n)
        return false;
    *s = span_from(*s, i + 1);
    return true;
}

/* Finds a parameter of an element. Returns false unless it is there exactly once in a well-formed
 * element. */
static bool parameter_find(struct span s, struct span name, struct value *v)
{
    unsigned found = 0;
    do {
        struct value other;
        s = span_trim(s);
        if (s.n > 0 && s.p[0] != ';') {
            bool is_it = span_same(span_cut(&s, '='), name);
            found += is_it;
            if (s.p == NULL || !value_read(&s, is_it ? v : &other))
                return false;
        }
        s = span_trim(s);
        if (s.n > 0 && s.p[0] != ';')
            return false;
        if (s.n > 0)
            s = span_from(s, 1);
    } while (s.n > 0);
    return found == 1 && !v->t.full;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

/* Returns true if `s` is a port: digits, or an obfuscated one ("_a1"). */
static bool is_port(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = span_lower(s.p[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && memchr("._-", c, 3) == NULL)
            return false;
    }
    return s.n > 0;
}

/* Reads "192.0.2.1" or "[2001:db8::1]", either with ":PORT" after it, or "2001:db8::1". */
static bool node_read(struct span s, struct sockaddr_storage *a, socklen_t *len)
{
    struct span host = s, port = {NULL, 0};
    size_t colons = 0;
    for (size_t i = 0; i < s.n; i++)
        colons += s.p[i] == ':';
    if (s.n > 0 && s.p[0] == '[') {
        struct span rest = s;
        host.n = span_cut(&rest, ']').n + 1;
        if (rest.p == NULL || (rest.n > 0 && rest.p[0] != ':'))
            return false;
        port = rest.n > 0 ? span_from(rest, 1) : rest;
        colons = rest.n > 0;
    } else if (colons == 1) {
        port = s;
        host = span_cut(&port, ':');
    }
    if (colons == 1 && !is_port(port))
        return false;
    return addr_read(host, 0, a, len) && a->ss_family != AF_UNIX;
}

/* ---- the walk -------------------------------------------------------------------------------- */

void forward_begin(struct forward *f, bool local)
{
    *f = (struct forward){.says = FORWARD_NOTHING, .local = local};
}

/* Returns the scheme of that name. */
static enum cors_scheme scheme_of(struct span s)
{
    return span_same(s, SPAN("http"))    ? CORS_SCHEME_HTTP
           : span_same(s, SPAN("https")) ? CORS_SCHEME_HTTPS
                                         : CORS_SCHEME_UNKNOWN;
}

enum cors_scheme forward_scheme(struct span value)
{
    enum cors_scheme scheme = scheme_of(cut_last(&value, false));
    while (value.n > 0)
        if (scheme_of(cut_last(&value, false)) != scheme)
            return CORS_SCHEME_UNKNOWN;
    return scheme;
}

/* Handles an element; "" is none. */
static void element(struct forward *f, struct span s, bool forwarded, const struct nets *proxies)
{
    struct sockaddr_storage a;
    socklen_t len;
    struct value v, proto;
    if (s.n == 0)
        return;
    f->scheme = forwarded && parameter_find(s, SPAN("proto"), &proto)
                    ? scheme_of(text_span(&proto.t))
                    : CORS_SCHEME_UNKNOWN;
    if (forwarded)
        s = parameter_find(s, SPAN("for"), &v) ? text_span(&v.t) : (struct span){NULL, 0};
    if (!node_read(s, &a, &len)) {
        *f = (struct forward){.says = FORWARD_UNKNOWN, .done = true};
        return;
    }
    f->says = FORWARD_CLIENT;
    f->from = addr_key(&a, len);
    f->local &= addr_local(&a, len);
    f->done = !nets_have(proxies, &a, len);
}

void forward_walk(struct forward *f, struct span value, bool forwarded, const struct nets *proxies)
{
    while (!f->done && value.n > 0)
        element(f, cut_last(&value, forwarded), forwarded, proxies);
}
