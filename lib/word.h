/*
 * word.h - looks through eight bytes at once.
 *
 * In a subtraction a byte borrows into its top bit only where it is too small, or behind one that
 * is; so the answer for the word is exact, whatever the order of its bytes.
 */
#ifndef SSE_LIB_WORD_H
#define SSE_LIB_WORD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define WORD_SIZE sizeof(uint64_t)
#define WORD_ONES 0x0101010101010101u
#define WORD_TOPS 0x8080808080808080u

/* The eight bytes at `p`. */
static inline uint64_t word_at(const char *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof(w));
    return w;
}

/* Returns true if one of them is 0x80 or above. */
static inline bool word_has_high(uint64_t w)
{
    return (w & WORD_TOPS) != 0;
}

/* Returns true if one of them is below `c`, which is 0x80 at most. */
static inline bool word_has_below(uint64_t w, unsigned char c)
{
    return ((w - WORD_ONES * c) & ~w & WORD_TOPS) != 0;
}

/* Returns true if one of them is `c`. */
static inline bool word_has(uint64_t w, unsigned char c)
{
    return word_has_below(w ^ (WORD_ONES * c), 1);
}

#endif
