/*
 * queue.h - connections that have something to do, or to wait for, besides their events.
 *
 *   QUEUE_UNSEEN  their event came when the phase was spent: nobody knows yet what they have to do
 *   QUEUE_SOON    what they asked for was put off: they have had nothing of their turn yet
 *   QUEUE_READY   they have had a turn, and had more to do than it allows
 *   QUEUE_HELD    their answers wait for a sync of the store
 *   doomed        to be closed
 *
 * THE RULE: the first three are served once a turn of the loop, in that order, so that whoever has
 * little to do does not wait for those who have much. Each has its own time (queue_rule), and one
 * of each is served at least. UNSEEN puts off what takes long, SOON does it; neither grows
 * meanwhile. READY serves no more than were there when it began, and goes on with what the others
 * left.
 *
 * INVARIANTS
 *   - A connection is on one list at most; conn.next links it. CONN_READY says that it is on one of
 *     the first three, CONN_HELD that it is held.
 *   - First in, first out, but for the doomed, whose order is nobody's business.
 *   - Whoever is doomed while on a list stays there until its turn, and goes on to the doomed then.
 *   - 0 is no connection: descriptor 0 is never a client's.
 */
#ifndef SSE_LIB_SERVE_QUEUE_H
#define SSE_LIB_SERVE_QUEUE_H

#include "lib/serve/conn.h"

/* What the loop does with one of the first three. */
struct queue_rule {
    unsigned us; /* its longest time */
    bool brief;  /* what may take long is put off */
};
extern const struct queue_rule queue_rule[QUEUE_READY + 1];

/* Puts a client at the end of a list. Nothing happens to one that is on a list already, or
 * doomed. */
void queue_put(struct conns *t, struct conn *c, enum queue q);

/* Returns true if somebody is on this list. */
static inline bool queue_any(const struct conns *t, enum queue q)
{
    return t->queue[q].first != 0;
}

/* Takes the first off a list, which is not empty; READY goes on with SOON and UNSEEN. NULL: it was
 * doomed, and is among the doomed now. */
struct conn *queue_take(struct conns *t, enum queue q);

/* Dooms a connection, which must not be so yet. */
void queue_doom(struct conns *t, struct conn *c);

/* Takes one of the doomed off their list. NULL: there is none. */
struct conn *queue_take_doomed(struct conns *t);

#endif
