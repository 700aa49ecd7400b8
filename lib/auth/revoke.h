/*
 * revoke.h - tokens that are refused before they expire.
 *
 * A revocation names one token by its `jti`, or the tokens of one `sub` that were issued (`iat`)
 * before some time; a token without `iat` counts as issued before any. It is kept until the time
 * that it was given, after which no such token is valid, or for ever.
 *
 *   memory (REVOKE_BYTES, the caller's)            struct revoked (each process its own)
 *   | seed, changes | entry | entry | ... |  <---  buckets of chains of entries, made anew where
 *                                                  `changes` has moved on
 *
 * Names are kept as keyed hashes of 48 bits, REVOKE_ID bytes: a connection that is to be ended at
 * its token's revocation remembers 16 bytes (struct bearer). One token in 10^11 is refused as well
 * where the table is full.
 *
 * MEMORY: flat, numbers only, all zero at first; what is in it may be handed to another process, be
 * shared with others or be in a file: each entry has a check sum, and one that was half written is
 * none. Who writes is alone: processes that share it hold a lock for revoke_add().
 *
 * LIMITS: REVOKE_MAX entries, or fewer if the caller says so. Nothing is dropped before its time:
 * where there is no room the next is refused.
 */
#ifndef SSE_LIB_AUTH_REVOKE_H
#define SSE_LIB_AUTH_REVOKE_H

#include "lib/span.h"

#define REVOKE_BYTES   (60u << 10)
#define REVOKE_MAX     ((REVOKE_BYTES - 64u) / 32u)
#define REVOKE_BUCKETS 1024u
#define REVOKE_ID      6u
#define REVOKE_EVER    UINT32_MAX

/* Which token it was that something was done with. All zero: one that cannot be revoked. */
struct bearer {
    uint8_t jti[REVOKE_ID], sub[REVOKE_ID]; /* hashes; zero: the token has none */
    uint32_t iat;                           /* unix time */
};

struct revoke_table; /* what is in the memory */

struct revoked {
    struct revoke_table *t; /* NULL: nothing can be revoked */
    uint64_t seen;          /* t->changes when the chains were made */
    uint16_t bucket[REVOKE_BUCKETS], next[REVOKE_MAX + 1]; /* entries from 1 on; 0: none */
};

struct revocation {
    struct span jti, sub; /* one of them is not empty */
    uint64_t before;      /* of sub: unix time */
    uint64_t until;       /* unix time; REVOKE_EVER or above: for ever */
};

/* Uses the memory, with the entries that are in it; what is all zero becomes a table whose hashes
 * are keyed with `seed`, which is random. Returns how many entries were damaged, and are free now.
 */
uint32_t revoke_attach(struct revoked *r, void *memory, const uint64_t seed[2]);

/* What of a token revocations are looked up by; empty spans: it has none. */
struct bearer revoke_bearer(const struct revoked *r, struct span jti, struct span sub,
                            uint64_t iat);

/* Revokes at unix time now; what is revoked already is kept as long as either says. False: there
 * are `most` entries. */
bool revoke_add(struct revoked *r, const struct revocation *x, uint64_t now, uint32_t most);

/* Returns true if the token is revoked at unix time now. */
bool revoke_has(struct revoked *r, const struct bearer *b, uint64_t now);

/* How many revocations there are, those aside whose time is over. */
uint32_t revoke_count(const struct revoked *r, uint64_t now);

#endif
