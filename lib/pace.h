/*
 * pace.h - how long something may take to arrive, or to be taken: it holds room of others
 * meanwhile.
 *
 * It has `quiet` ms at first. What comes of it adds the time that it takes at `rate`, but
 * it never has more than twice `quiet` left: who was quick for a moment has not earned an hour.
 */
#ifndef SSE_LIB_PACE_H
#define SSE_LIB_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
    uint64_t due; /* us: when it is late */
};

/* Begins at `now` (ms). */
static inline void pace_begin(struct pace *p, uint64_t now, uint32_t quiet)
{
    p->due = (now + quiet) * 1000;
}

/* Counts bytes that moved at `now`; `rate` is in bytes a second, 0: any will do. */
static inline void pace_moved(struct pace *p, uint64_t now, uint64_t bytes, uint32_t rate,
                              uint32_t quiet)
{
    uint64_t due = rate == 0 ? (now + quiet) * 1000 : p->due + bytes * 1000000 / rate;
    uint64_t most = (now + quiet + quiet) * 1000;
    p->due = due < most ? due : most;
}

static inline bool pace_late(const struct pace *p, uint64_t now)
{
    return now * 1000 > p->due;
}

#endif
