/*
 * heap.c - see heap.h.
 */
#include "lib/heap.h"

void heap_make(void *heap, size_t n, void (*sink)(void *heap, size_t i, size_t n))
{
    for (size_t i = n / 2; i-- > 0;)
        sink(heap, i, n);
}

void heap_sort(void *heap, size_t size, size_t n, void (*sink)(void *heap, size_t i, size_t n))
{
    char *top = heap;
    heap_make(heap, n, sink);
    for (size_t end = n; end-- > 1;) {
        heap_swap(top, top + end * size, size);
        sink(heap, 0, end);
    }
}

/* ---- numbers --------------------------------------------------------------------------------- */

static bool is_less(const void *a, const void *b)
{
    return *(const uint64_t *)a < *(const uint64_t *)b;
}

void heap_sink_number(void *heap, size_t i, size_t n)
{
    heap_sink(heap, sizeof(uint64_t), i, n, is_less);
}

size_t heap_replace(uint64_t *heap, size_t n, uint64_t value, uint64_t none)
{
    if (value == none)
        n--;
    heap[0] = value != none ? value : heap[n];
    heap_sink_number(heap, 0, n);
    return n;
}
