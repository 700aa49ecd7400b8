/*
 * sort.h - texts in the order of their bytes.
 */
#ifndef SSE_LIB_TOPIC_SORT_H
#define SSE_LIB_TOPIC_SORT_H

#include "lib/span.h"

/* Returns true if `a` comes before `b`. */
static inline bool is_before(struct span a, struct span b)
{
    int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return c < 0 || (c == 0 && a.n < b.n);
}

/* Puts n spans in order and leaves out repeats. Returns how many are left. It takes no memory, and
 * no order that a peer chooses makes it slow (heapsort). */
uint32_t sort_unique(struct span *s, uint32_t n);

#endif
