/*
 * url.c - reads the URLs that the client commands take.
 */
#include "lib/url.h"

#include "lib/clean.h"

/* Reads "HOST", "HOST:PORT", "[ADDRESS]" or "[ADDRESS]:PORT". */
static const char *authority(struct span s, struct url *u)
{
    const char *end = s.n > 0 && s.p[0] == '[' ? memchr(s.p, ']', s.n) : NULL;
    struct span port;
    uint64_t n = 80;
    u->authority = s;
    if (s.n > 0 && s.p[0] == '[') {
        if (end == NULL)
            return "has a \"[\" without its \"]\"";
        u->host = (struct span){s.p + 1, (size_t)(end - s.p) - 1};
        port = span_from(s, u->host.n + 2);
        if (port.n > 0 && port.p[0] != ':')
            return "has something other than a port behind its host";
        if (port.n > 0)
            port = span_from(port, 1);
    } else {
        port = s;
        u->host = span_cut(&port, ':');
    }
    if (u->host.n == 0)
        return "names no host";
    if (memchr(s.p, '@', s.n) != NULL)
        return "holds a user or a password: give a token with --token";
    if (port.p != NULL && port.n > 0 && (!span_u64(port, &n) || n == 0 || n > UINT16_MAX))
        return "has a port that is not a number from 1 to 65535";
    u->port = (uint16_t)n;
    return NULL;
}

/* Returns true if a target may have these bytes: those of RFC 3986, and those common in queries. */
static bool target_right(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!clean_visible(s.p[i]) || strchr("\"#<>\\^`{|}", s.p[i]) != NULL)
            return false;
    return true;
}

/* Returns the offset of ":/", or s.n. */
static size_t colon_slash(struct span s)
{
    size_t i = 0;
    while (i + 1 < s.n && (s.p[i] != ':' || s.p[i + 1] != '/'))
        i++;
    return i + 1 < s.n ? i : s.n;
}

const char *url_read(struct span s, struct url *u)
{
    const char *wrong = NULL;
    *u = (struct url){.port = 0};
    if (span_begins(s, SPAN("unix:"))) {
        struct span rest = span_from(s, 5);
        u->local = true;
        u->host.p = rest.p;
        u->host.n = colon_slash(rest);
        u->authority = SPAN("localhost");
        u->target = span_from(rest, u->host.n < rest.n ? u->host.n + 1 : rest.n);
        if (u->host.n == 0 || u->host.n > 107)
            return "has a path of a socket that is not of 1 to 107 bytes";
    } else {
        size_t scheme = colon_slash(s);
        bool whole = span_begins(s, SPAN("http://"));
        if (span_begins(s, SPAN("https://")))
            return "asks for TLS, which a proxy in front of the server speaks: take http: to the "
                   "server";
        if (!whole && scheme + 2 < s.n && s.p[scheme + 2] == '/')
            return "is of a scheme other than http: and unix:";
        struct span rest = whole ? span_from(s, 7) : s;
        const char *slash = rest.n > 0 ? memchr(rest.p, '/', rest.n) : NULL;
        size_t n = slash != NULL ? (size_t)(slash - rest.p) : rest.n;
        wrong = authority((struct span){rest.p, n}, u);
        u->target = span_from(rest, n);
    }
    if (wrong == NULL && (u->target.n < 2 || u->target.p[1] == '?'))
        wrong = "names no topic: it ends as in http://localhost:8080/news";
    if (wrong == NULL && !(target_right(u->target) && target_right(u->authority)))
        wrong = "holds a byte that is to be percent-encoded";
    return wrong;
}

void url_escape(struct text *t, char byte)
{
    static const char digits[] = "0123456789ABCDEF";
    const unsigned b = (unsigned char)byte;
    const char coded[] = {'%', digits[b >> 4], digits[b & 15]};
    text_add(t, (struct span){coded, sizeof coded});
}
