/*
 * end.h - ends connections: they are marked, and closed when the turn ends.
 */
#ifndef SSE_LIB_LOOP_END_H
#define SSE_LIB_LOOP_END_H

#include "lib/loop/loop.h"

/* Ends a connection: it leaves its topic at once and is closed when the turn ends. Any number of
 * calls are one. */
void loop_doom(struct loop *l, struct conn *c, const char *reason);

/* Ends a connection for an error of its socket. The kernel keeps --write-timeout too (listen.c),
 * and may be first to see that it is over. */
void loop_socket_error(struct loop *l, struct conn *c, int err);

/* Private: does so where there is something to do. */
void loop_reap_some(struct loop *l);

/* Closes what is doomed and frees the topics that eviction has emptied. */
static inline void loop_reap(struct loop *l)
{
    if (l->server.clients.conns.doomed != 0 || broker_any_emptied(&l->server.broker) ||
        l->server.forget)
        loop_reap_some(l);
}

#endif
