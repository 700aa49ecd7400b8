/*
 * span.c - reads numbers.
 */
#include "lib/span.h"

#include "lib/word.h"

#include <endian.h>

/* Reads eight digits at once: as pairs, then fours, then eight. Returns false if one is not a
 * digit. */
static inline bool eight(const char *p, uint64_t *out)
{
    uint64_t w = le64toh(word_at(p));
    uint64_t above = w + WORD_ONES * 0x46, below = w - WORD_ONES * '0'; /* '9' + 0x46 is 0x7f */
    if (((above | below) & WORD_TOPS) != 0)
        return false;
    w = below * 10 + (below >> 8);
    w = (w & 0x000000ff000000ffu) * (100 + (1000000ull << 32)) +
        (w >> 16 & 0x000000ff000000ffu) * (1 + (10000ull << 32));
    *out = w >> 32;
    return true;
}

bool span_u64(struct span s, uint64_t *out)
{
    uint64_t v = 0, part;
    size_t i = 0;
    if (s.n == 0)
        return false;
    for (; s.n - i >= 8 && i < 16; i += 8) { /* sixteen digits always fit */
        if (!eight(s.p + i, &part))
            return false;
        v = v * 100000000 + part;
    }
    for (; i < s.n; i++) {
        unsigned d = (unsigned)(unsigned char)s.p[i] - '0';
        if (d > 9 || (i >= 19 && v > (UINT64_MAX - d) / 10)) /* nineteen digits always fit */
            return false;
        v = v * 10 + d;
    }
    *out = v;
    return true;
}
