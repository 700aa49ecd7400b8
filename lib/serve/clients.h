/*
 * clients.h - the connected clients: their table, and what is kept beside it.
 */
#ifndef SSE_LIB_SERVE_CLIENTS_H
#define SSE_LIB_SERVE_CLIENTS_H

#include "lib/auth/grant.h"
#include "lib/auth/revoke.h"
#include "lib/auth/throttle.h"
#include "lib/serve/conn.h"

/* A client's address and token, kept beside its slot. */
struct pass {
    uint64_t from;    /* addr_key() of the peer; for a WebSocket, of the client */
    uint32_t grant;   /* SOCKET, BODY: its token's scopes (lib/auth/grant.h); 0: no token */
    uint32_t expires; /* unix time: STREAM, SOCKET, WAIT: when its token expires; 0: never */
};

struct clients {
    struct conns conns;
    struct pass *pass;     /* by descriptor; NULL: no flag needs it */
    struct bearer *bearer; /* likewise: whose token a STREAM, SOCKET, WAIT or BODY came with;
                               * NULL: tokens cannot be revoked */
    struct revoked revoked;
    struct grants grants;     /* where there are keys */
    struct throttle failures; /* bad tokens, by address */
    bool draining; /* set by the loop: the server ends, and keeps no connection after its answer */
};

#endif
