/*
 * moment.h - the time, read once a turn.
 */
#ifndef SSE_LIB_SERVE_MOMENT_H
#define SSE_LIB_SERVE_MOMENT_H

#include <stdint.h>

struct moment {
    uint64_t now;    /* ms, monotonic */
    uint64_t wall;   /* ms, wall clock */
    char date[32];   /* as text, for the Date field */
    uint64_t random; /* state of the generator, not 0 */
    uint64_t ahead;  /* ms by which the ring's clock is ahead of `now` */
};

#endif
