/*
 * heap.h - a binary heap in an array: its top, the first entry, is above all others.
 *
 * Entries may have any type and order: the caller compiles heap_sink() for them. Nothing here
 * allocates, and no order of the entries makes it slow.
 */
#ifndef SSE_LIB_HEAP_H
#define SSE_LIB_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HEAP_ENTRY_MAX 16u /* bytes of an entry */

/* Swaps two entries of that many bytes. */
static inline __attribute__((always_inline)) void heap_swap(char *a, char *b, size_t size)
{
    char was[HEAP_ENTRY_MAX];
    memcpy(was, a, size);
    memcpy(a, b, size);
    memcpy(b, was, size);
}

/* Moves entry i of n, `size` bytes each, down to its place; the entries below it are in order.
 * above() returns true if its first argument belongs above the second. */
static inline __attribute__((always_inline)) void
heap_sink(void *heap, size_t size, size_t i, size_t n, bool (*above)(const void *a, const void *b))
{
    char *at = heap;
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && above(at + (child + 1) * size, at + child * size))
            child++;
        if (!above(at + child * size, at + i * size))
            return;
        heap_swap(at + i * size, at + child * size, size);
    }
}

/* Make a heap of n entries in any order; sort n entries, `size` bytes each, the top last. sink()
 * moves entry i of n down to its place, as heap_sink() does. */
void heap_make(void *heap, size_t n, void (*sink)(void *heap, size_t i, size_t n));
void heap_sort(void *heap, size_t size, size_t n, void (*sink)(void *heap, size_t i, size_t n));

/* ---- numbers, whose smallest is the top ------------------------------------------------------ */

/* Moves number i of n (uint64_t) down to its place. */
void heap_sink_number(void *heap, size_t i, size_t n);

/* Replaces the top of a heap of n (> 0) numbers with `value`; removes it if `value` is `none`.
 * Returns the new size. */
size_t heap_replace(uint64_t *heap, size_t n, uint64_t value, uint64_t none);

#endif
