/*
 * sort.c - see sort.h.
 */
#include "lib/topic/sort.h"

/* Lets s[i] sink in the heap of n spans, whose top is the last in order. */
static void sink(struct span *s, size_t i, size_t n)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n)
            return;
        if (child + 1 < n && is_before(s[child], s[child + 1]))
            child++;
        if (!is_before(s[i], s[child]))
            return;
        struct span was = s[i];
        s[i] = s[child];
        s[child] = was;
        i = child;
    }
}

uint32_t sort_unique(struct span *s, uint32_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sink(s, i, n);
    for (size_t end = n; end-- > 1;) {
        struct span top = s[0];
        s[0] = s[end];
        s[end] = top;
        sink(s, 0, end);
    }
    uint32_t out = 0;
    for (uint32_t i = 0; i < n; i++)
        if (out == 0 || !span_eq(s[out - 1], s[i]))
            s[out++] = s[i];
    return out;
}
