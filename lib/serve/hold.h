/*
 * hold.h - messages that wait for a sync (--fsync always).
 */
#ifndef SSE_LIB_SERVE_HOLD_H
#define SSE_LIB_SERVE_HOLD_H

#include "lib/broker/broker.h"
#include "lib/serve/conn.h"

/* With --fsync always messages are held until a sync has covered them: host/commit.h. Syncs are
 * numbered, from 1 to CONN_GROUPS in turn. */
struct hold {
    bool on;
    uint8_t put;     /* set by submit.c: the current connection has published, and waits for this
                      * sync; 0: it has not */
    bool more;       /* the store has something besides messages to be synced, as a revocation;
                      * also without `on` */
    uint8_t group;   /* the sync for which messages put now wait, ... */
    uint8_t running; /* ... and the sync that runs, or whose messages are being shown; 0: none */
    uint64_t to;     /* where what the last sync covers ends */
};

/* Returns true if a connection's answers wait for a sync, as it has published. */
static inline bool hold_delays(const struct broker *broker, const struct hold *hold,
                               const struct conn *c)
{
    uint8_t group = (c->marks & CONN_GROUP) >> CONN_GROUP_SHIFT;
    return group != 0 &&
           (group == hold->running ||
            (group == hold->group && (hold->more || ring_end(broker->ring) > hold->to)));
}

/* Returns true if so much is held that publishers should wait for the next sync. */
static inline bool hold_is_full(const struct broker *broker)
{
    return broker->ring->h->held_size > broker->ring->size / 4;
}

#endif
