/*
 * clock.h - the time, which is read once a turn.
 */
#ifndef SSE_LIB_SERVE_CLOCK_H
#define SSE_LIB_SERVE_CLOCK_H

#include <stdint.h>

struct clock {
    uint64_t now;         /* ms, monotonic */
    uint64_t wall;        /* ms, wall clock */
    char date[32];        /* as text, for the Date field */
    uint64_t random;      /* state of the generator, not 0 */
    uint64_t clock_ahead; /* ms: what the ring's clock is ahead of `now` by */
};

#endif
