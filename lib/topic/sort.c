/*
 * sort.c - see sort.h.
 */
#include "lib/topic/sort.h"

#include "lib/heap.h"

static bool is_later(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    return is_before(*y, *x);
}

static void sink(void *spans, size_t i, size_t n)
{
    heap_sink(spans, sizeof(struct span), i, n, is_later);
}

uint32_t sort_unique(struct span *s, uint32_t n)
{
    uint32_t out = 0;
    heap_sort(s, sizeof *s, n, sink);
    for (uint32_t i = 0; i < n; i++)
        if (out == 0 || !span_eq(s[out - 1], s[i]))
            s[out++] = s[i];
    return out;
}
