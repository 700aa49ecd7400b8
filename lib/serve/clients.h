/*
 * clients.h - who is connected: the table, and what is known of each besides.
 */
#ifndef SSE_LIB_SERVE_CLIENTS_H
#define SSE_LIB_SERVE_CLIENTS_H

#include "lib/auth/grant.h"
#include "lib/auth/revoke.h"
#include "lib/auth/throttle.h"
#include "lib/serve/conn.h"

/* What is kept of who a connection is from, besides its place in the table. */
struct pass {
    uint64_t from; /* addr_key() of the peer; of a WebSocket that of the client */
    uint32_t
        grant; /* SOCKET, BODY: what its token allows (lib/auth/grant.h); 0: nobody asked for one */
    uint32_t expires; /* unix time: STREAM, SOCKET, WAIT: when its token ends; 0: never */
};

struct clients {
    struct conns conns;
    struct pass *pass;     /* by descriptor; NULL: no flag asks for it */
    struct bearer *bearer; /* likewise: of STREAM, SOCKET, WAIT, BODY, whose token it was; NULL:
                               * no token can be revoked */
    struct revoked revoked;
    struct grants grants;     /* where there are keys */
    struct throttle failures; /* bad tokens, by address */
    bool draining; /* the server ends: nobody is kept, and nobody is to stay; the loop sets it */
};

#endif
