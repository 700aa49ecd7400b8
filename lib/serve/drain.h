/*
 * drain.h - the pace at which a stopping server sends its clients away.
 *
 *   0                    ms             most           most + grace
 *   |--------------------|--------------|--------------|-------------> since it began
 *     clients are sent     clients in    the last clients
 *     away one by one      the middle    take what was
 *                          of a message  written
 *
 * Clients go in the order of their slots, 1 to `top`, evenly over `ms`, so that they do not all
 * return at once: one every DRAIN_EACH_MS, or faster if `most` requires it. The server stops when
 * all are gone, or after `most` and DRAIN_GRACE_MS; if some have not had their turn by then, after
 * `most` and twice DRAIN_GRACE_MS.
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
    uint32_t ms;    /* the time over which they are sent away */
    uint32_t next;  /* the slot whose turn it is, ... */
    uint32_t top;   /* ... up to this one; */
    uint32_t tries; /* and how many turns it has had */
};

/* Begins, at `now` (ms), to send `clients` away, in slots up to `top`, within `most` ms. */
void drain_start(struct drain *d, uint64_t now, uint32_t clients, uint32_t top, uint32_t most);

/* Returns the slot up to which turns are due at `now` (ms). */
uint32_t drain_to(const struct drain *d, uint64_t now);

/* Returns true if the client whose turn it is may have another turn. */
bool drain_waits(const struct drain *d);

/* Counts the turn of slot `next`; moves to the next slot if `done`. */
void drain_went(struct drain *d, bool done);

/* Returns true if the server stops at `now` (ms), with `clients` left. */
bool drain_over(const struct drain *d, uint64_t now, uint32_t clients);

#endif
