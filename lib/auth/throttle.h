/*
 * throttle.h - limits failures per address: `most`, refilled evenly over one minute.
 *
 * The table has a fixed size and holds only addresses that failed lately; any other address has all
 * its tries. In a full set the entry that is refilled first is replaced, so an abuser with very
 * many addresses can make the table forget, but not grow.
 *
 *     key --> one of THROTTLE_SETS sets --> THROTTLE_WAYS places: | key | empty until (ms) |
 *
 * A place holds no count: each failure moves the time at which all tries are refilled by 60 s /
 * most.
 */
#ifndef SSE_LIB_AUTH_THROTTLE_H
#define SSE_LIB_AUTH_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#define THROTTLE_SETS 256u
#define THROTTLE_WAYS 4u
#define THROTTLE_MS   60000u

struct throttle {
    struct throttle_place {
        uint64_t key;
        uint64_t until; /* ms: when all its tries are refilled; 0: the place is free */
    } place[THROTTLE_SETS][THROTTLE_WAYS];
};

/* Counts a failure of `key` at `now` (ms, monotonic), where `most` (> 0) a minute are allowed.
 * Returns 0; or, if no try was left, the seconds (1 or more) until one is: that failure is not
 * counted. */
uint32_t throttle_fail(struct throttle *t, uint64_t key, uint64_t now, uint32_t most);

#endif
