/*
 * write.h - writes to clients: pending bytes of one, and shares of a topic's subscribers.
 */
#ifndef SSE_LIB_LOOP_WRITE_H
#define SSE_LIB_LOOP_WRITE_H

#include "lib/loop/loop.h"
#include "lib/topic/fanout.h"

/* Writes a connection's pending bytes: those kept, the answers in s->ex.out and what follows them,
 * then a subscriber's pending messages. Keeps what does not fit the socket. s->ex.out is empty
 * afterwards. */
void loop_flush(struct loop *l, struct conn *c);

/* Answers a client that waits, if there is a message for it. */
void loop_wake(struct loop *l, struct conn *c);

/* Private: does loop_fanout()'s work. */
void loop_fanout_some(struct loop *l);

/* Does one turn of fan-out. The rest goes on in the next turn, after other topics; messages
 * published meanwhile go out with the same writes. */
static inline void loop_fanout(struct loop *l)
{
    if (topic_queue_first(&l->server.topics) != 0)
        loop_fanout_some(l);
}

#endif
