/*
 * throttle.h - how often each address may fail.
 *
 * A small table, by address, of what each has left of `most` tries; they come back evenly, all of
 * them in a minute. It remembers those that have failed of late and nothing else: an address that
 * is not in it has all its tries. Where a place is wanted and none is free, the one goes whose
 * tries are back first, so an abuser with very many addresses makes it forget, and grow never.
 *
 *     key --> one of THROTTLE_SETS sets --> THROTTLE_WAYS places: | key | empty until (ms) |
 *
 * A place holds no count: each failure moves the moment at which all tries are back by 60 s / most.
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
        uint64_t until; /* ms: when its tries are all back; 0: the place is free */
    } place[THROTTLE_SETS][THROTTLE_WAYS];
};

/* Notes a failure of `key` at `now` (ms, monotonic), of which there may be `most` (> 0) in a
 * minute. Returns 0; or, where it had no try left, in how many seconds it has one again (1 or
 * more), and then the failure costs it nothing more. */
uint32_t throttle_fail(struct throttle *t, uint64_t key, uint64_t now, uint32_t most);

#endif
