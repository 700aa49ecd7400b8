/*
 * near.h - edit distance between words, for "did you mean".
 */
#ifndef SSE_LIB_NEAR_H
#define SSE_LIB_NEAR_H

#include "lib/span.h"

#define NEAR_MAX ((size_t)32) /* bytes of a word; a longer one is too far from any */

/* Returns how many letters must be inserted, removed, replaced, or swapped with the next one, to
 * turn one word into the other. */
unsigned near_distance(struct span a, struct span b);

#endif
