/*
 * pass.h - a connection's client address, and what its token allows.
 *
 * Slots have a struct pass if a flag needs it; scopes are kept in clients.grants, once for all
 * connections with equal ones.
 */
#include "lib/serve/clients.h"
#include "lib/serve/config.h"
#include "lib/serve/conn.h"
#include "lib/serve/exchange.h"
#include "lib/serve/moment.h"
#ifndef SSE_LIB_SERVE_PASS_H
#define SSE_LIB_SERVE_PASS_H

/* Returns the pass of a connection; NULL if no flag needs passes. */
struct pass *pass_of(const struct clients *clients, const struct conn *c);

/* Returns the rights of a WebSocket or a batch: those of the token that opened it or, without one,
 * those by place. */
struct access pass_access(const struct config *config, const struct clients *clients,
                          const struct conn *c);

/* Notes with the connection when the token in ex.access ends, and what it may be revoked by. */
void pass_keep_token(const struct config *config, const struct clients *clients,
                     const struct exchange *ex, const struct conn *c);

/* Frees the scopes that access_keep_expiry_and_scopes() kept: the WebSocket or batch is over. */
void pass_drop_scopes(struct clients *clients, const struct conn *c);

/* Returns the addr_key() of a connection's client, from clients.pass; 0 if there are no passes. */
static inline uint64_t pass_from(const struct clients *clients, const struct conn *c)
{
    return clients->pass != NULL ? clients->pass[conn_fd(&clients->conns, c)].from : 0;
}

/* Call before a connection is closed: frees its scopes, and clears its pass. */
void pass_forget(struct clients *clients, const struct conn *c);

/* Returns true if a subscriber's token has expired. */
bool pass_expired(const struct clients *clients, const struct moment *clock, const struct conn *c);

/* Returns true if the token that a connection came with has been revoked since. */
bool pass_revoked(struct clients *clients, const struct moment *clock, const struct conn *c);

#endif
