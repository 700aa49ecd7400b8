/*
 * histogram.h - how often which latency was seen: numbers in steps of at most 1/32, from 1 us on.
 *
 * Two of them are added by adding their counts, so each process has its own, in shared memory.
 */
#ifndef SSE_BENCH_HISTOGRAM_H
#define SSE_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS 32u                     /* in each power of two */
#define HISTOGRAM_SLOTS (HISTOGRAM_STEPS * 28u) /* up to two minutes */

struct histogram {
    uint64_t slot[HISTOGRAM_SLOTS];
    uint64_t count, most; /* us */
};

void histogram_note(struct histogram *h, uint64_t us);
void histogram_add(struct histogram *h, const struct histogram *more);

/* The latency (us) that this part of all, 0 to 1, did not exceed. */
uint64_t histogram_at(const struct histogram *h, double part);

#endif
