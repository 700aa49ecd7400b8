/*
 * identity.c - the client of a request: the peer of its connection, or the one that a trusted proxy
 * names.
 */
#include "lib/serve/identity.h"
#include "lib/authority.h"
#include "lib/forward.h"
#include "lib/serve/pass.h"

#include <assert.h>

_Static_assert(NETS_MAX >= OPT_LIST_MAX, "all of --trust-proxy fits");

void serve_read_proxies(struct config *config)
{
    const struct opt_list *given = &config->opt.trust_proxy;
    for (config->proxies.n = 0; config->proxies.n < given->n; config->proxies.n++) {
        const char *wrong =
            net_read(given->item[config->proxies.n], &config->proxies.net[config->proxies.n]);
        assert(wrong == NULL); /* opt_parse() has checked it */
    }
}

/* Walks one of the two fields; `local`: the proxy is on this host. */
static struct forward told(const struct config *config, const struct exchange *ex,
                           enum http_field_id id, bool local)
{
    struct forward f;
    forward_begin(&f, local);
    for (unsigned i = ex->req.nfields; i-- > 0 && !f.done;)
        if (ex->req.field[i].id == id)
            forward_walk(&f, ex->req.field[i].value, id == HTTP_FORWARDED, &config->proxies);
    return f;
}

bool serve_host_is_own(const struct config *config, struct exchange *ex)
{
    struct span host = ex->req.host;
    if (host.n == 0 || span_eq(host, (struct span){ex->named, ex->named_n}))
        return true;
    if (!authority_own(host, &config->bound, config->opt.host.item, config->opt.host.n))
        return false;
    ex->named_n = host.n <= sizeof ex->named ? (uint8_t)host.n : 0;
    memcpy(ex->named, host.p, ex->named_n);
    return true;
}

/* Returns the scheme of X-Forwarded-Proto. */
static enum cors_scheme told_scheme(const struct exchange *ex)
{
    enum cors_scheme scheme = CORS_SCHEME_UNKNOWN;
    for (unsigned i = 0, n = 0; i < ex->req.nfields; i++) {
        if (ex->req.field[i].id != HTTP_X_FORWARDED_PROTO)
            continue;
        enum cors_scheme one = forward_scheme(ex->req.field[i].value);
        if (n++ > 0 && one != scheme)
            return CORS_SCHEME_UNKNOWN;
        scheme = one;
    }
    return scheme;
}

/* Finds the client that a proxy names. Most proxies set one of the two fields and pass the other on
 * unchanged: Forwarded counts, but if both are there they must name the same client. */
static void proxied(const struct config *config, struct exchange *ex, bool local)
{
    static const enum via vias[] = {[FORWARD_NOTHING] = VIA_SILENT,
                                    [FORWARD_UNKNOWN] = VIA_UNKNOWN,
                                    [FORWARD_CLIENT] = VIA_CLIENT};
    struct forward f = told(config, ex, HTTP_FORWARDED, local),
                   x = told(config, ex, HTTP_X_FORWARDED_FOR, local);
    bool both = f.says != FORWARD_NOTHING && x.says != FORWARD_NOTHING;
    enum cors_scheme scheme = told_scheme(ex), other = f.scheme;
    if (scheme == CORS_SCHEME_UNKNOWN || scheme == other)
        ex->ask.scheme = other;
    else
        ex->ask.scheme = other == CORS_SCHEME_UNKNOWN ? scheme : CORS_SCHEME_UNKNOWN;
    if (f.says == FORWARD_NOTHING)
        f = x;
    ex->ask.proxy = ex->ask.from;
    ex->ask.via = vias[f.says];
    ex->ask.from = f.from;
    ex->ask.local = f.says == FORWARD_CLIENT && f.local;
    if (both && (f.says != x.says || f.from != x.from || f.local != x.local)) {
        ex->ask.via = VIA_TWO;
        ex->ask.from = 0;
        ex->ask.local = false;
    }
}

void serve_identify_client(const struct config *config, const struct clients *clients,
                           struct exchange *ex, const struct conn *c)
{
    ex->ask.local = (c->flags & CONN_LOCAL) != 0;
    ex->ask.from = pass_from(clients, c);
    if (c->marks & CONN_PROXIED)
        proxied(config, ex, ex->ask.local);
}

bool serve_is_local(const struct config *config, struct exchange *ex)
{
    if (ex->ask.local && !ex->ask.named) {
        ex->ask.named = true;
        ex->ask.local = serve_host_is_own(config, ex);
        ex->ask.foreign = !ex->ask.local;
    }
    return ex->ask.local;
}
