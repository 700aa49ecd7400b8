/*
 * identity.h - the client of a request: the peer of its connection, or the one that a trusted proxy
 * names.
 */
#ifndef SSE_LIB_SERVE_IDENTITY_H
#define SSE_LIB_SERVE_IDENTITY_H

#include "lib/serve/clients.h"
#include "lib/serve/config.h"
#include "lib/serve/conn.h"
#include "lib/serve/exchange.h"

/* Parses --trust-proxy into config->proxies. */
void serve_read_proxies(struct config *config);

/* Records in ex->ask the client of the request in ex->req, which came over this connection. */
void serve_identify_client(const struct config *config, const struct clients *clients,
                           struct exchange *ex, const struct conn *c);

/* Returns true if the client of the current request is on this host and names this server in Host.
 * Checks Host at the first call: few requests need rights by place. */
bool serve_is_local(const struct config *config, struct exchange *ex);

/* Returns true if the request in ex->req names this server in Host, or names none
 * (lib/authority.h). */
bool serve_host_is_own(const struct config *config, struct exchange *ex);

#endif
