/*
 * pace.h - the time within which bytes have to arrive, or be taken, while they hold shared room.
 *
 * A transfer begins with `quiet` ms. Bytes that move add the time they take at `rate`, but it never
 * has more than twice `quiet` left: a fast start does not earn an hour.
 */
#ifndef SSE_LIB_PACE_H
#define SSE_LIB_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
    uint64_t due; /* us, monotonic: it is late after that */
};

/* Begins at `now` (ms); `quiet` is in ms. */
static inline void pace_begin(struct pace *p, uint64_t now, uint32_t quiet)
{
    p->due = (now + quiet) * 1000;
}

/* Counts bytes that moved at `now` (ms); `rate` is in bytes a second, 0: any number of bytes renews
 * the time. */
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
