/*
 * clock.h - the clocks, read once a turn, and the time that a phase of a turn may take.
 *
 * INVARIANT: within a turn `now` and `wall` of the server do not change; only phase_over() reads a
 * clock.
 */
#include "lib/serve/server.h"
#ifndef SSE_LIB_HOST_CLOCK_H
#define SSE_LIB_HOST_CLOCK_H

#include <time.h>

struct clocks {
    uint64_t now_us;    /* when this turn began */
    uint64_t date_s;    /* the second that clock.date shows */
    uint64_t suspended; /* ms that the machine has slept, which `now` does not count */
};

/* A phase's use of its share: it ends after PHASE_BYTES or its longest time. */
struct phase {
    uint64_t bytes;   /* read and written before it */
    uint64_t began;   /* us */
    unsigned most_us; /* its longest time */
    unsigned steps;   /* calls of phase_over() */
};

#define PHASE_BYTES (1u << 20) /* read and written in a phase */

/* Returns the time of a clock in us. */
static inline uint64_t clock_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Begins: the machine's suspended time counts from here. */
void clock_begin(struct clocks *k);

/* Sets now, wall and date of the server, and the clocks of the ring and of the topics. */
void clock_read(struct clocks *k, struct server *s);

/* Advances the ring's clock by the time that the machine was suspended since the last call. */
void clock_wake(struct clocks *k, struct server *s);

/* Begins a phase of at most `us` microseconds. */
static inline void phase_start(struct phase *p, const struct stat_counters *stat, unsigned us)
{
    *p = (struct phase){.bytes = stat->sent_bytes + stat->received_bytes,
                        .began = clock_us(CLOCK_MONOTONIC),
                        .most_us = us};
}

/* Returns true if the phase is over, so that the rest waits for the next turn and other clients'
 * requests are answered soon. Each phase has its own measure, so one that always has more to do
 * does not starve those after it. Reads the clock once in `every` calls: a phase of cheap steps
 * passes a larger number. */
static inline bool phase_over(struct phase *p, const struct stat_counters *stat, unsigned every)
{
    return stat->sent_bytes + stat->received_bytes - p->bytes > PHASE_BYTES ||
           (++p->steps % every == 0 && clock_us(CLOCK_MONOTONIC) - p->began > p->most_us);
}

#endif
