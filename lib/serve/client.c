/*
 * client.c - who a request is from: the peer of its connection, or whom a trusted proxy says.
 */
#include "lib/authority.h"
#include "lib/forward.h"
#include "lib/serve/pass.h"
#include "lib/serve/serve.h"

#include <assert.h>

_Static_assert(NETS_MAX >= OPT_LIST_MAX, "all of --trust-proxy fits");

void serve_trust(struct server *s)
{
    const struct opt_list *given = &s->opt.trust_proxy;
    for (s->proxies.n = 0; s->proxies.n < given->n; s->proxies.n++) {
        const char *wrong = net_read(given->item[s->proxies.n], &s->proxies.net[s->proxies.n]);
        assert(wrong == NULL); /* opt_parse() has looked at it */
    }
}

/* Whom one of the two fields tells of; `local`: the proxy is on this host. */
static struct forward told(const struct server *s, enum http_field_id id, bool local)
{
    struct forward f;
    forward_begin(&f, local);
    for (unsigned i = s->req.nfields; i-- > 0 && !f.done;)
        if (s->req.field[i].id == id)
            forward_walk(&f, s->req.field[i].value, id == HTTP_FORWARDED, &s->proxies);
    return f;
}

bool serve_host_own(struct server *s)
{
    struct span host = s->req.host;
    if (host.n == 0 || span_eq(host, (struct span){s->named, s->named_n}))
        return true;
    if (!authority_own(host, &s->bound, s->opt.host.item, s->opt.host.n))
        return false;
    s->named_n = host.n <= sizeof s->named ? (uint8_t)host.n : 0;
    memcpy(s->named, host.p, s->named_n);
    return true;
}

/* The scheme that X-Forwarded-Proto tells. */
static enum cors_scheme told_scheme(const struct server *s)
{
    enum cors_scheme scheme = CORS_SCHEME_UNKNOWN;
    for (unsigned i = 0, n = 0; i < s->req.nfields; i++) {
        if (s->req.field[i].id != HTTP_X_FORWARDED_PROTO)
            continue;
        enum cors_scheme one = forward_scheme(s->req.field[i].value);
        if (n++ > 0 && one != scheme)
            return CORS_SCHEME_UNKNOWN;
        scheme = one;
    }
    return scheme;
}

/* Most proxies set one of the fields, and pass the other on as whoever wrote it: what counts is
 * Forwarded, but it must not tell of another client than X-Forwarded-For does, where both are
 * there. */
static void proxied(struct server *s, bool local)
{
    static const enum via vias[] = {[FORWARD_NOTHING] = VIA_SILENT,
                                    [FORWARD_UNKNOWN] = VIA_UNKNOWN,
                                    [FORWARD_CLIENT] = VIA_CLIENT};
    struct forward f = told(s, HTTP_FORWARDED, local), x = told(s, HTTP_X_FORWARDED_FOR, local);
    bool both = f.says != FORWARD_NOTHING && x.says != FORWARD_NOTHING;
    enum cors_scheme scheme = told_scheme(s), other = f.scheme;
    if (scheme == CORS_SCHEME_UNKNOWN || scheme == other)
        s->ask.scheme = other;
    else
        s->ask.scheme = other == CORS_SCHEME_UNKNOWN ? scheme : CORS_SCHEME_UNKNOWN;
    if (f.says == FORWARD_NOTHING)
        f = x;
    s->ask.proxy = s->ask.from;
    s->ask.via = vias[f.says];
    s->ask.from = f.from;
    s->ask.local = f.says == FORWARD_CLIENT && f.local;
    if (both && (f.says != x.says || f.from != x.from || f.local != x.local)) {
        s->ask.via = VIA_TWO;
        s->ask.from = 0;
        s->ask.local = false;
    }
}

void serve_client(struct server *s, const struct conn *c)
{
    s->ask.local = (c->flags & CONN_LOCAL) != 0;
    s->ask.from = serve_from(s, c);
    if (c->marks & CONN_PROXIED)
        proxied(s, s->ask.local);
}

bool serve_here(struct server *s)
{
    if (s->ask.local && !s->ask.named) {
        s->ask.named = true;
        s->ask.local = serve_host_own(s);
        s->ask.foreign = !s->ask.local;
    }
    return s->ask.local;
}
