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
    const struct opt_list *given = &s->config.opt.trust_proxy;
    for (s->config.proxies.n = 0; s->config.proxies.n < given->n; s->config.proxies.n++) {
        const char *wrong =
            net_read(given->item[s->config.proxies.n], &s->config.proxies.net[s->config.proxies.n]);
        assert(wrong == NULL); /* opt_parse() has looked at it */
    }
}

/* Whom one of the two fields tells of; `local`: the proxy is on this host. */
static struct forward told(const struct server *s, enum http_field_id id, bool local)
{
    struct forward f;
    forward_begin(&f, local);
    for (unsigned i = s->ex.req.nfields; i-- > 0 && !f.done;)
        if (s->ex.req.field[i].id == id)
            forward_walk(&f, s->ex.req.field[i].value, id == HTTP_FORWARDED, &s->config.proxies);
    return f;
}

bool serve_host_own(struct server *s)
{
    struct span host = s->ex.req.host;
    if (host.n == 0 || span_eq(host, (struct span){s->ex.named, s->ex.named_n}))
        return true;
    if (!authority_own(host, &s->config.bound, s->config.opt.host.item, s->config.opt.host.n))
        return false;
    s->ex.named_n = host.n <= sizeof s->ex.named ? (uint8_t)host.n : 0;
    memcpy(s->ex.named, host.p, s->ex.named_n);
    return true;
}

/* The scheme that X-Forwarded-Proto tells. */
static enum cors_scheme told_scheme(const struct server *s)
{
    enum cors_scheme scheme = CORS_SCHEME_UNKNOWN;
    for (unsigned i = 0, n = 0; i < s->ex.req.nfields; i++) {
        if (s->ex.req.field[i].id != HTTP_X_FORWARDED_PROTO)
            continue;
        enum cors_scheme one = forward_scheme(s->ex.req.field[i].value);
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
        s->ex.ask.scheme = other;
    else
        s->ex.ask.scheme = other == CORS_SCHEME_UNKNOWN ? scheme : CORS_SCHEME_UNKNOWN;
    if (f.says == FORWARD_NOTHING)
        f = x;
    s->ex.ask.proxy = s->ex.ask.from;
    s->ex.ask.via = vias[f.says];
    s->ex.ask.from = f.from;
    s->ex.ask.local = f.says == FORWARD_CLIENT && f.local;
    if (both && (f.says != x.says || f.from != x.from || f.local != x.local)) {
        s->ex.ask.via = VIA_TWO;
        s->ex.ask.from = 0;
        s->ex.ask.local = false;
    }
}

void serve_client(struct server *s, const struct conn *c)
{
    s->ex.ask.local = (c->flags & CONN_LOCAL) != 0;
    s->ex.ask.from = serve_from(s, c);
    if (c->marks & CONN_PROXIED)
        proxied(s, s->ex.ask.local);
}

bool serve_here(struct server *s)
{
    if (s->ex.ask.local && !s->ex.ask.named) {
        s->ex.ask.named = true;
        s->ex.ask.local = serve_host_own(s);
        s->ex.ask.foreign = !s->ex.ask.local;
    }
    return s->ex.ask.local;
}
