/*
 * cors.c - which origins' pages may use this server.
 */
#include "lib/cors.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Returns true if `s` is not empty and has only letters, digits and the bytes of `others`. */
static bool is_of(struct span s, const char *others)
{
    for (size_t i = 0; i < s.n; i++) {
        bool alnum = is_letter(s.p[i]) || (s.p[i] >= '0' && s.p[i] <= '9');
        if (!alnum && memchr(others, s.p[i], strlen(others)) == NULL)
            return false;
    }
    return s.n > 0;
}

/* Returns true if `s` may follow a host: empty, or a port. */
static bool is_port(struct span s)
{
    uint64_t n;
    if (s.n == 0)
        return true;
    return s.p[0] == ':' && span_u64(span_from(s, 1), &n) && n > 0 && n <= UINT16_MAX;
}

bool cors_is_origin(struct span s)
{
    if (span_eq(s, SPAN("*")) || span_eq(s, SPAN("null")))
        return true;
    if (s.n > CORS_ORIGIN_MAX)
        return false;
    struct span scheme = span_cut(&s, ':');
    if (!is_of(scheme, "+-.") || !is_letter(scheme.p[0]) || !span_begins(s, SPAN("//")))
        return false;
    struct span rest = span_from(s, 2);
    if (span_begins(rest, SPAN("["))) {
        rest = span_from(rest, 1);
        struct span address = span_cut(&rest, ']');
        return rest.p != NULL && is_of(address, ":.") && is_port(rest);
    }
    size_t n = 0;
    while (n < rest.n && rest.p[n] != ':')
        n++;
    return is_of((struct span){rest.p, n}, ".-_") && is_port(span_from(rest, n));
}

uint16_t cors_find(const struct span *list, uint32_t n, struct span origin)
{
    uint16_t any = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (span_same(list[i], origin))
            return (uint16_t)(i + 1);
        if (span_eq(list[i], SPAN("*")))
            any = (uint16_t)(i + 1);
    }
    return any;
}

/* Returns `host` without `port`, if it ends in it. */
static struct span without_port(struct span host, struct span port)
{
    if (host.n >= port.n && span_eq(span_from(host, host.n - port.n), port))
        host.n -= port.n;
    return host;
}

bool cors_is_one(struct span origin)
{
    return origin.n > 0 && !span_eq(origin, SPAN("*")) && !span_same(origin, SPAN("null"));
}

bool cors_same(struct span origin, struct span host, enum cors_scheme scheme)
{
    static const struct {
        struct span begins, port;
        enum cors_scheme scheme;
    } schemes[] = {{SPAN_INIT("http://"), SPAN_INIT(":80"), CORS_SCHEME_HTTP},
                   {SPAN_INIT("https://"), SPAN_INIT(":443"), CORS_SCHEME_HTTPS}};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (!span_begins(origin, schemes[i].begins))
            continue;
        if (scheme != CORS_SCHEME_UNKNOWN && scheme != schemes[i].scheme)
            return false;
        origin = without_port(span_from(origin, schemes[i].begins.n), schemes[i].port);
        return origin.n > 0 && span_same(origin, without_port(host, schemes[i].port));
    }
    return false;
}

void cors_write(struct text *t, const struct span *list, uint32_t n, uint16_t found)
{
    bool fixed = n == 1 && span_eq(list[0], SPAN("*"));
    if (n == 0)
        return;
    if (found > 0) {
        text_str(t, "Access-Control-Allow-Origin: ");
        for (size_t i = 0; i < list[found - 1].n; i++)
            text_add(t, (struct span){&(char){span_lower(list[found - 1].p[i])}, 1});
        text_str(t, "\r\n");
        if (cors_is_one(list[found - 1]))
            text_str(t, "Access-Control-Allow-Credentials: true\r\n");
        text_str(
            t,
            "Access-Control-Expose-Headers: ETag, Ended, Gap, Last-Event-ID, Preference-Applied, "
            "Retry-After, WWW-Authenticate\r\n");
    }
    if (!fixed)
        text_str(t, "Vary: Origin\r\n");
}

void cors_preflight(struct text *t, uint16_t found, const char *methods, struct span fields)
{
    if (found == 0)
        return;
    text_str(t, "Access-Control-Allow-Methods: ");
    text_str(t, methods);
    text_str(t, "\r\nAccess-Control-Max-Age: 86400\r\n");
    if (fields.n > 0) {
        text_str(t, "Access-Control-Allow-Headers: ");
        text_add(t, fields);
        text_str(t, "\r\n");
    }
}
