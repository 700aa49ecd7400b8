/*
 * remember.h - tokens whose signature has been found good, so that they cost a hash when they come
 * again.
 *
 * A token is remembered by a keyed hash of 125 bits of all its bytes, and with what it allows, as
 * long as that is short: REMEMBER_SCOPES bytes of scopes. Of one with longer ones the claims are
 * read anew each time, and only the signature is not looked at again. Sets of REMEMBER_WAYS places;
 * in each, the token used last stands first and the last one makes room for the next. When the keys
 * change, all is forgotten.
 *
 * LIMITS: REMEMBER_SETS * REMEMBER_WAYS tokens, 4 MB; memory that no token has touched is not used.
 */
#ifndef SSE_LIB_AUTH_REMEMBER_H
#define SSE_LIB_AUTH_REMEMBER_H

#include "lib/auth/auth.h"
#include "lib/auth/revoke.h"

#define REMEMBER_SETS   4096u
#define REMEMBER_WAYS   8u
#define REMEMBER_SCOPES 84u

struct remember_tag {
    uint64_t a, b; /* the hash, and in the lowest bits of b which entry of the set; both 0: none */
};

struct remember_entry {
    struct bearer bearer;
    uint32_t begins, ends; /* unix time; `ends` 0: it does not */
    bool claims;           /* what it allows is here */
    bool admin;
    uint8_t publish_n, subscribe_n;
    char scopes[REMEMBER_SCOPES]; /* publish, subscribe */
};

struct remember {
    uint64_t seed[4]; /* of the hashes; random, so that nobody can make two tokens alike */
    uint64_t n;       /* tokens added since all was forgotten; 0: the table is all zeros */
    struct remember_tag tag[REMEMBER_SETS][REMEMBER_WAYS]; /* those used last first */
    struct remember_entry entry[REMEMBER_SETS][REMEMBER_WAYS];
};

/* Returns the entry of a token, and notes that it is used; NULL: it is not remembered. It is valid
 * until the next call. */
const struct remember_entry *remember_find(struct remember *r, struct span token);

/* Remembers a token that is not, with its claims and what it can be revoked by. */
void remember_add(struct remember *r, struct span token, const struct auth_claims *claims,
                  const struct bearer *bearer);

/* Sets *claims but for `jti`, `sub` and `iat` to what an entry holds, with the scopes in `room`
 * (REMEMBER_SCOPES bytes). False: the claims have to be read, as they are not here, or the token is
 * not valid at unix time now. */
bool remember_claims(const struct remember_entry *e, uint64_t now, char *room,
                     struct auth_claims *claims);

/* Forgets all; the seeds stay. */
void remember_clear(struct remember *r);

#endif
