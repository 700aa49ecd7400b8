/*
 * pass.c - what is kept of who a connection is from, and of what its token allows.
 */
#include "lib/serve/pass.h"

#define ALL SPAN("**")

uint64_t serve_from(const struct server *s, const struct conn *c)
{
    return s->clients.pass != NULL ? s->clients.pass[conn_fd(&s->clients.conns, c)].from : 0;
}

struct pass *pass_of(const struct server *s, const struct conn *c)
{
    return s->clients.pass != NULL ? &s->clients.pass[conn_fd(&s->clients.conns, c)] : NULL;
}

struct access access_of_socket(const struct server *s, const struct conn *c)
{
    const struct pass *p = pass_of(s, c);
    if (p != NULL && p->grant != 0)
        return (struct access){.kind = ACCESS_TOKEN,
                               .publish = grant_publish(&s->clients.grants, p->grant),
                               .subscribe = grant_subscribe(&s->clients.grants, p->grant)};
    bool here = (c->flags & CONN_LOCAL) != 0;
    return (struct access){.kind = ACCESS_PLACE,
                           .publish = here || s->config.opt.anonymous & OPT_ANONYMOUS_PUBLISH
                                          ? ALL
                                          : (struct span){NULL, 0},
                           .subscribe = ALL,
                           .expires_s = 0};
}

void access_drop(struct server *s, const struct conn *c)
{
    struct pass *p = pass_of(s, c);
    if (p == NULL || p->grant == 0)
        return;
    grant_leave(&s->clients.grants, p->grant);
    p->grant = 0;
}

void access_keep(struct server *s, const struct conn *c)
{
    uint64_t expires = s->ex.access.expires_s;
    struct pass *p = pass_of(s, c);
    if (p != NULL && s->config.keys.n > 0)
        p->expires = expires < UINT32_MAX ? (uint32_t)expires : 0;
}

void serve_forget(struct server *s, const struct conn *c)
{
    struct pass *p = pass_of(s, c);
    if (p == NULL)
        return;
    access_drop(s, c);
    *p = (struct pass){0};
}

bool serve_expired(const struct server *s, const struct conn *c)
{
    const struct pass *p = pass_of(s, c);
    return p != NULL && p->expires != 0 && s->clock.wall / 1000 >= p->expires &&
           (conn_streams(c) || c->state == CONN_WAIT);
}
