/*
 * queue.h - lists of connections that have work left, or wait, besides their events.
 *
 *   QUEUE_UNSEEN  their event came when the phase was spent: nobody knows yet what they have to do
 *   QUEUE_SOON    what they asked for was put off: they have had nothing of their turn yet
 *   QUEUE_READY   they have had a turn, and had more to do than it allows
 *   QUEUE_HELD    their answers wait for a sync of the store
 *   doomed        to be closed
 *
 * THE RULE: the first three lists are served once a turn, in that order, so that connections with
 * little work do not wait for those with much. Each list has its own time (queue_rule), and at
 * least one connection of each is served. UNSEEN postpones long work to SOON; neither grows
 * meanwhile. READY serves no more connections than it had when it began, and then what the others
 * left.
 *
 * INVARIANTS
 *   - A connection is on one list at most; conn.next links it. CONN_READY says that it is on one of
 *     the first three, CONN_HELD that it is on QUEUE_HELD.
 *   - First in, first out, but for the doomed, whose order does not matter.
 *   - A connection that is doomed while on a list stays there until its turn, and then joins the
 *     doomed.
 *   - 0 is not a connection: descriptor 0 is never a client's.
 */
#ifndef SSE_LIB_SERVE_QUEUE_H
#define SSE_LIB_SERVE_QUEUE_H

#include "lib/serve/conn.h"

/* How the loop serves one of the first three lists. */
struct queue_rule {
    unsigned us; /* its longest time */
    bool brief;  /* postpone what may take long */
};
extern const struct queue_rule queue_rule[QUEUE_READY + 1];

/* Puts a client at the end of a list. Does nothing if it is on a list already, or doomed. */
void queue_put(struct conns *t, struct conn *c, enum queue q);

/* Returns true if the list is not empty. */
static inline bool queue_any(const struct conns *t, enum queue q)
{
    return t->queue[q].first != 0;
}

/* Takes the first connection off a list, which is not empty; READY goes on with SOON and UNSEEN.
 * Returns NULL if that one was doomed; it is among the doomed now. */
struct conn *queue_take(struct conns *t, enum queue q);

/* Dooms a connection, which must not be doomed yet. */
void queue_doom(struct conns *t, struct conn *c);

/* Takes a connection off the list of the doomed. Returns NULL if the list is empty. */
struct conn *queue_take_doomed(struct conns *t);

#endif
