/*
 * end.h - ends connections: marks them, and closes them at the end of the turn.
 */
#ifndef SSE_LIB_LOOP_END_H
#define SSE_LIB_LOOP_END_H

#include "lib/loop/loop.h"

/* Ends a connection: it leaves its topic at once, and is closed at the end of the turn. Further
 * calls do nothing. */
void loop_doom(struct loop *l, struct conn *c, const char *reason);

/* Ends a connection after an error of its socket. The kernel enforces --write-timeout too
 * (listen.c), and may be the first to do so. */
void loop_socket_error(struct loop *l, struct conn *c, int err);

/* Private: does loop_reap()'s work. */
void loop_reap_some(struct loop *l);

/* Closes doomed connections, and frees the topics that eviction has emptied. */
static inline void loop_reap(struct loop *l)
{
    if (l->server.clients.conns.doomed != 0 || broker_any_emptied(&l->server.broker) ||
        l->server.forget)
        loop_reap_some(l);
}

#endif
