/*
 * word.h - searches eight bytes at once.
 *
 * In a subtraction a byte's top bit gets set by a borrow only where the byte is too small, or after
 * such a byte; so the answer for the whole word is exact, in either byte order.
 */
#ifndef SSE_LIB_WORD_H
#define SSE_LIB_WORD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define WORD_SIZE sizeof(uint64_t)
#define WORD_ONES 0x0101010101010101u
#define WORD_TOPS 0x8080808080808080u

/* Returns the eight bytes at `p`. */
static inline uint64_t word_at(const char *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof(w));
    return w;
}

/* Returns true if one of the bytes is 0x80 or above. */
static inline bool word_has_high(uint64_t w)
{
    return (w & WORD_TOPS) != 0;
}

/* Returns true if one of the bytes is below `c`, which is 0x80 at most. */
static inline bool word_has_below(uint64_t w, unsigned char c)
{
    return ((w - WORD_ONES * c) & ~w & WORD_TOPS) != 0;
}

/* Returns true if one of the bytes is `c`. */
static inline bool word_has(uint64_t w, unsigned char c)
{
    return word_has_below(w ^ (WORD_ONES * c), 1);
}

#endif
