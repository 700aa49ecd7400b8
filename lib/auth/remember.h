/*
 * remember.h - tokens whose signature has been found good, so that it is not looked at again.
 *
 * A token is remembered by a keyed hash of 128 bits of all its bytes. Nothing else of it is kept:
 * its claims and times are read anew each time. Sets of REMEMBER_WAYS places; in each, the token
 * used last stands first and the last one makes room for the next. Where the keys change, all is
 * forgotten.
 *
 * LIMITS: REMEMBER_SETS * REMEMBER_WAYS tokens, 512 KB; memory that no token has touched is not
 * used.
 */
#ifndef SSE_LIB_AUTH_REMEMBER_H
#define SSE_LIB_AUTH_REMEMBER_H

#include "lib/span.h"

#define REMEMBER_SETS 4096u
#define REMEMBER_WAYS 8u

struct remember_hash {
    uint64_t a, b; /* both 0: none */
};

struct remember {
    uint64_t seed[4]; /* of the hashes; random, so that nobody can make two tokens alike */
    uint64_t n;       /* tokens added since all was forgotten; 0: the table is all zeros */
    struct remember_hash set[REMEMBER_SETS][REMEMBER_WAYS];
};

/* Returns true if the token is remembered, and notes that it is used. */
bool remember_has(struct remember *r, struct span token);

/* Remembers a token that is not. */
void remember_add(struct remember *r, struct span token);

/* Forgets all; the seeds stay. */
void remember_clear(struct remember *r);

#endif
