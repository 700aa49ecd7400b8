/*
 * drain.h - how fast clients are sent away when the server stops.
 *
 *   0                    ms             most           most + grace
 *   |--------------------|--------------|--------------|-------------> since it began
 *     one after the other  who is in the  the last take
 *     is sent away         middle of      what was
 *                          something      written
 *
 * They go in the order of their places in a table, 1 to `top`, evenly over `ms`, so that they don't
 * all come back at once: one each DRAIN_EACH_MS, or faster where `most` asks for that. The server
 * stops when all are gone; if not, when `most` and a grace are over, unless there are some whose
 * turn has not come by then: these have until `most` and twice DRAIN_GRACE_MS.
 */
#ifndef SSE_LIB_SERVE_DRAIN_H
#define SSE_LIB_SERVE_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#define DRAIN_EACH_MS  10u
#define DRAIN_GRACE_MS 1000u /* or `most`, if that is less */
#define DRAIN_TRIES    20u   /* turns that one may have to get what it is behind by */

struct drain {
    uint64_t from;  /* ms: when it began */
    uint32_t most;  /* ms: --drain */
    uint32_t ms;    /* over which they are sent away */
    uint32_t next;  /* whose turn it is, ... */
    uint32_t top;   /* ... up to this one; */
    uint32_t tries; /* and turns that it has had */
};

/* Begins, at `now` (ms), to send `clients` away. */
void drain_start(struct drain *d, uint64_t now, uint32_t clients, uint32_t top, uint32_t most);

/* Up to which place their turn has come. */
uint32_t drain_to(const struct drain *d, uint64_t now);

/* May the one whose turn it is have another one, if it isn't done? */
bool drain_waits(const struct drain *d);

/* It has had its turn; it is `done`, or to have another. */
void drain_went(struct drain *d, bool done);

/* Does the server stop, with so many clients left? */
bool drain_over(const struct drain *d, uint64_t now, uint32_t clients);

#endif
