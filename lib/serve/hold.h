/*
 * hold.h - what is put while the store syncs before anyone is told.
 */
#ifndef SSE_LIB_SERVE_HOLD_H
#define SSE_LIB_SERVE_HOLD_H

#include "lib/broker/broker.h"
#include "lib/serve/conn.h"

/* What is put while the store syncs before anyone is told: host/commit.h. Syncs are numbered, from
 * 1 to CONN_GROUPS in turn. */
struct hold {
    bool on;
    bool put;        /* set by put_record(): whoever is served has published */
    uint8_t group;   /* the number of the sync that what is put now waits for, ... */
    uint8_t running; /* ... and of that which runs, or whose messages are being shown; 0: none */
    uint64_t to;     /* the end of what the last sync that was begun covers */
};

/* Does what a connection is to be answered wait for a sync, as it told of what it published? */
static inline bool hold_delays(const struct broker *broker, const struct hold *hold,
                               const struct conn *c)
{
    uint8_t group = (c->marks & CONN_GROUP) >> CONN_GROUP_SHIFT;
    return group != 0 &&
           (group == hold->running || (group == hold->group && ring_end(broker->ring) > hold->to));
}

/* Has so much been published since the last sync that publishers should wait for the next? */
static inline bool hold_is_full(const struct broker *broker)
{
    return broker->ring->h->held_size > broker->ring->size / 4;
}

#endif
