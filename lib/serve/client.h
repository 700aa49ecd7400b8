/*
 * client.h - who a request is from: the peer of its connection, or whom a trusted proxy names.
 */
#ifndef SSE_LIB_SERVE_CLIENT_H
#define SSE_LIB_SERVE_CLIENT_H

#include "lib/serve/clients.h"
#include "lib/serve/config.h"
#include "lib/serve/conn.h"
#include "lib/serve/exchange.h"

/* Reads --trust-proxy into config->proxies. */
void serve_read_proxies(struct config *config);

/* Notes in ex->ask who the request in ex->req is from, which came over this connection. */
void serve_identify_client(const struct config *config, const struct clients *clients,
                           struct exchange *ex, const struct conn *c);

/* Is the client of the request in ex->ask on this host, and does it mean this server, as Host
 * tells? Looks at Host when it is asked first: most requests need no right by their place. */
bool serve_is_local(const struct config *config, struct exchange *ex);

/* Returns true if the request in ex->req names this server in Host, or names none
 * (lib/authority.h). */
bool serve_host_is_own(const struct config *config, struct exchange *ex);

#endif
