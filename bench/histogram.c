/*
 * histogram.c - latencies, counted.
 */
#include "bench/histogram.h"

/* Up to twice HISTOGRAM_STEPS every number has its slot; then each power of two has as many. */
static unsigned slot_of(uint64_t us)
{
    unsigned shift = 0;
    while (us >> shift >= 2u * HISTOGRAM_STEPS)
        shift++;
    uint64_t slot = (uint64_t)shift * HISTOGRAM_STEPS + (us >> shift);
    return slot < HISTOGRAM_SLOTS ? (unsigned)slot : HISTOGRAM_SLOTS - 1;
}

/* The largest number of a slot. */
static uint64_t top_of(unsigned slot)
{
    if (slot < 2 * HISTOGRAM_STEPS)
        return slot;
    unsigned shift = slot / HISTOGRAM_STEPS - 1;
    return ((uint64_t)(slot - shift * HISTOGRAM_STEPS + 1) << shift) - 1;
}

void histogram_note(struct histogram *h, uint64_t us)
{
    h->slot[slot_of(us)]++;
    h->count++;
    h->most = us > h->most ? us : h->most;
}

void histogram_add(struct histogram *h, const struct histogram *more)
{
    for (unsigned i = 0; i < HISTOGRAM_SLOTS; i++)
        h->slot[i] += more->slot[i];
    h->count += more->count;
    h->most = more->most > h->most ? more->most : h->most;
}

uint64_t histogram_at(const struct histogram *h, double part)
{
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_SLOTS; i++) {
        seen += h->slot[i];
        if (h->slot[i] > 0 && (double)seen >= part * (double)h->count)
            return top_of(i) < h->most ? top_of(i) : h->most;
    }
    return h->most;
}
