/*
 * kit.h - what the test programs share: random numbers that can be repeated, bytes on the heap, a
 * main, and time for a slow machine.
 *
 * No verdict depends on how fast the machine is. What waits, waits for an event and gives up late;
 * what measures, measures counts and ratios, or that something took at least so long.
 */
#ifndef SSE_TEST_KIT_KIT_H
#define SSE_TEST_KIT_KIT_H

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/span.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A literal as a span in a table. */
#define BYTES(lit)              \
    {                           \
        "" lit, sizeof(lit) - 1 \
    }

/* For ck_assert_msg(): how to run the same again. */
#define SEED_FMT "SSE_SEED=%" PRIu64

/* SSE_SEED of the environment, or the clock. */
static inline uint64_t seed(void)
{
    const char *s = getenv("SSE_SEED");
    return s != NULL ? strtoull(s, NULL, 10) : (uint64_t)time(NULL);
}

/* The next number of the sequence (SplitMix64). */
static inline uint64_t random_next(uint64_t *state)
{
    *state += 0x9E3779B97F4A7C15u;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* `s` in heap memory of just its size, where a sanitizer notices a byte too far; free() it. */
static inline char *on_heap(struct span s)
{
    char *p = malloc(s.n > 0 ? s.n : 1);
    ck_assert_ptr_nonnull(p);
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return p;
}

/* Check's limits of a test, four seconds or what tcase_set_timeout() says, are those of an idle
 * machine. Thirty times as much is for a test that hangs on a busy one. */
__attribute__((constructor)) static void be_patient(void)
{
    setenv("CK_DEFAULT_TIMEOUT", "60", 0);
    setenv("CK_TIMEOUT_MULTIPLIER", "30", 0);
}

/* Runs the suite; returns what main() returns. */
static inline int run(Suite *s)
{
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}

#endif
