/*
 * clock.h - the clocks, read once a turn, and the time that a phase of a turn may take.
 *
 * INVARIANT: within a turn `now` and `wall` of the server stand still. Only how long a phase has
 * taken is looked up meanwhile.
 */
#ifndef SSE_LIB_HOST_CLOCK_H
#define SSE_LIB_HOST_CLOCK_H

#include "lib/serve/serve.h"

#include <time.h>

struct clocks {
    uint64_t now_us;    /* when this turn began */
    uint64_t date_s;    /* the second that clock.date tells */
    uint64_t suspended; /* ms that the machine has slept, which `now` does not count */
};

/* What a phase has used of its share: it ends after so many bytes or so long. */
struct phase {
    uint64_t bytes;   /* read and written before it */
    uint64_t began;   /* us */
    unsigned most_us; /* that it may take */
    unsigned steps;   /* how often phase_over() was asked */
};

#define PHASE_BYTES (1u << 20) /* read and written in a phase */

/* Returns the time of that clock in us. */
static inline uint64_t clock_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Begins: the machine's sleep counts from here. */
void clock_begin(struct clocks *k);

/* Sets now, wall and date of the server, and what depends on them. */
void clock_read(struct clocks *k, struct server *s);

/* Makes the ring's clock go on by what the machine has slept since. */
void clock_wake(struct clocks *k, struct server *s);

/* Begins a phase that may take so long. */
static inline void phase_start(struct phase *p, const struct stat_counters *stat, unsigned us)
{
    *p = (struct phase){.bytes = stat->sent_bytes + stat->received_bytes,
                        .began = clock_us(CLOCK_MONOTONIC),
                        .most_us = us};
}

/* Returns true if the rest should wait for the next turn: then others' requests are answered soon,
 * whatever there is to do. Each phase has its own measure: one that has more to do than that, turn
 * after turn, does not starve those behind it. Looks at the clock at one of `every` calls: what is
 * asked before each cheap step asks less often. */
static inline bool phase_over(struct phase *p, const struct stat_counters *stat, unsigned every)
{
    return stat->sent_bytes + stat->received_bytes - p->bytes > PHASE_BYTES ||
           (++p->steps % every == 0 && clock_us(CLOCK_MONOTONIC) - p->began > p->most_us);
}

#endif
