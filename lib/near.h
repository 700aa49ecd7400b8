/*
 * near.h - how far one word is from another, for "did you mean".
 */
#ifndef SSE_LIB_NEAR_H
#define SSE_LIB_NEAR_H

#include "lib/span.h"

#define NEAR_MAX ((size_t)32) /* bytes of a word; a longer one is too far from any */

/* How many letters must be put in, left out, changed, or swapped with the next one, to get from one
 * word to the other. */
unsigned near_distance(struct span a, struct span b);

#endif
