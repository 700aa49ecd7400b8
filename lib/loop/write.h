/*
 * write.h - writes to clients: what one has to get, and what a topic's subscribers share.
 */
#ifndef SSE_LIB_LOOP_WRITE_H
#define SSE_LIB_LOOP_WRITE_H

#include "lib/loop/loop.h"
#include "lib/topic/fanout.h"

/* Writes what a connection has to get: what was kept, the answers in s->ex.out and what follows
 * them, then the records that a subscriber is behind by. What does not fit is kept. s->ex.out is
 * empty afterwards. */
void loop_flush(struct loop *l, struct conn *c);

/* Answers a client that waits, if there is something for it. */
void loop_wake(struct loop *l, struct conn *c);

/* Private: does so where there is something to do. */
void loop_fanout_some(struct loop *l);

/* One turn of fan-out. What it does not reach goes on in the next turn, others' topics first; what
 * is published meanwhile goes out with the same writes. */
static inline void loop_fanout(struct loop *l)
{
    if (topic_queue_first(&l->server.topics) != 0)
        loop_fanout_some(l);
}

#endif
