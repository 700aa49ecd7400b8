/*
 * pass.h - what is kept of who a connection is from, and of what its token allows.
 *
 * A slot has a struct pass where some flag asks for it; scopes are kept in clients.grants, once for
 * all connections that have the same.
 */
#include "lib/serve/clients.h"
#include "lib/serve/config.h"
#include "lib/serve/conn.h"
#include "lib/serve/exchange.h"
#include "lib/serve/moment.h"
#ifndef SSE_LIB_SERVE_PASS_H
#define SSE_LIB_SERVE_PASS_H

/* Returns that of a connection; NULL: no flag asks for it. */
struct pass *pass_of(const struct clients *clients, const struct conn *c);

/* What a WebSocket or a batch may, by the token that opened it. */
struct access pass_access(const struct config *config, const struct clients *clients,
                          const struct conn *c);

/* Notes with the connection when the token in ex.access ends. */
void pass_keep_expiry(const struct config *config, const struct clients *clients,
                      const struct exchange *ex, const struct conn *c);

/* Forgets the scopes that access_keep_expiry_and_scopes() noted: the WebSocket or batch is over. */
void pass_drop_scopes(struct clients *clients, const struct conn *c);

/* Whom clients.pass says that a connection is from. */
static inline uint64_t pass_from(const struct clients *clients, const struct conn *c)
{
    return clients->pass != NULL ? clients->pass[conn_fd(&clients->conns, c)].from : 0;
}

/* Nothing is to be remembered any more of a connection that is about to be closed. */
void pass_forget(struct clients *clients, const struct conn *c);

/* Returns true if the time is up that a subscriber's token gave it. */
bool pass_expired(const struct clients *clients, const struct moment *clock, const struct conn *c);

#endif
