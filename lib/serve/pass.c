/*
 * pass.c - a connection's client address, and what its token allows.
 */
#include "lib/serve/pass.h"
#include "lib/serve/conn.h"

#define ALL SPAN("**")

struct pass *pass_of(const struct clients *clients, const struct conn *c)
{
    return clients->pass != NULL ? &clients->pass[conn_fd(&clients->conns, c)] : NULL;
}

struct access pass_access(const struct config *config, const struct clients *clients,
                          const struct conn *c)
{
    const struct pass *p = pass_of(clients, c);
    if (p != NULL && p->grant != 0)
        return (struct access){.kind = ACCESS_TOKEN,
                               .publish = grant_publish(&clients->grants, p->grant),
                               .subscribe = grant_subscribe(&clients->grants, p->grant)};
    bool here = (c->flags & CONN_LOCAL) != 0;
    return (struct access){.kind = ACCESS_PLACE,
                           .publish = here || config->opt.anonymous & OPT_ANONYMOUS_PUBLISH
                                          ? ALL
                                          : (struct span){NULL, 0},
                           .subscribe = ALL,
                           .expires_s = 0};
}

void pass_drop_scopes(struct clients *clients, const struct conn *c)
{
    struct pass *p = pass_of(clients, c);
    if (p == NULL || p->grant == 0)
        return;
    grant_leave(&clients->grants, p->grant);
    p->grant = 0;
}

void pass_keep_token(const struct config *config, const struct clients *clients,
                     const struct exchange *ex, const struct conn *c)
{
    uint64_t expires = ex->access.expires_s;
    struct pass *p = pass_of(clients, c);
    if (p != NULL && config->keys.n > 0)
        p->expires = expires < UINT32_MAX ? (uint32_t)expires : 0;
    if (clients->bearer != NULL)
        clients->bearer[conn_fd(&clients->conns, c)] = ex->access.bearer;
}

void pass_forget(struct clients *clients, const struct conn *c)
{
    struct pass *p = pass_of(clients, c);
    if (p == NULL)
        return;
    pass_drop_scopes(clients, c);
    *p = (struct pass){0};
    if (clients->bearer != NULL)
        clients->bearer[conn_fd(&clients->conns, c)] = (struct bearer){.iat = 0};
}

bool pass_expired(const struct clients *clients, const struct moment *clock, const struct conn *c)
{
    const struct pass *p = pass_of(clients, c);
    return p != NULL && p->expires != 0 && clock->wall / 1000 >= p->expires &&
           (conn_streams(c) || c->state == CONN_WAIT);
}

bool pass_revoked(struct clients *clients, const struct moment *clock, const struct conn *c)
{
    return clients->bearer != NULL &&
           (conn_streams(c) || c->state == CONN_WAIT || c->state == CONN_BODY) &&
           revoke_has(&clients->revoked, &clients->bearer[conn_fd(&clients->conns, c)],
                      clock->wall / 1000);
}
