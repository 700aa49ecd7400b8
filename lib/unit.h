/*
 * unit.h - reads and writes numbers with a unit: times and sizes, in flags and URLs.
 *
 *   time   digits and ms, s, m, h or d; without a unit seconds; in ms
 *   size   digits and K, M or G in either case, powers of 1024; without a unit bytes
 */
#ifndef SSE_LIB_UNIT_H
#define SSE_LIB_UNIT_H

#include "lib/text.h"

struct unit {
    uint64_t size;
    char name[8];
};

enum unit_kind { UNIT_TIME = 0, UNIT_SIZE = 1 };

#define UNIT_TIMES 5u
#define UNIT_SIZES 4u
extern const struct unit unit_times[UNIT_TIMES], unit_sizes[UNIT_SIZES]; /* the smallest first */

/* Reads all of `s` into *v; a value beyond 64 bits becomes UINT64_MAX. Returns false if it is not a
 * time or a size. */
bool unit_read(struct span s, enum unit_kind kind, uint64_t *v);

/* Appends a value in the largest unit that divides it; times at most in hours. */
void unit_write(struct text *t, uint64_t v, enum unit_kind kind);

#endif
