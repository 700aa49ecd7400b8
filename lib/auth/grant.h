/*
 * grant.h - what the tokens of WebSockets allow, as long as these are open.
 *
 * A WebSocket asks for more topics and publishes long after the token that opened it has been
 * checked, so its two scopes (lib/auth/auth.h) are kept. Many have the same ones: equal scopes are
 * one GRANT, which counts who has it.
 *
 *     hash of the scopes --> bucket --> grant --> grant      a block of the pool each:
 *                                                            | next | holders | sizes | publish |
 *                                                            subscribe |
 *
 * MEMORY: handed by the caller, zeroed, flat: numbers only, no pointers, so it may be mapped
 * elsewhere later. It is touched as it comes into use. The hash is keyed, so that nobody can choose
 * collisions.
 */
#ifndef SSE_LIB_AUTH_GRANT_H
#define SSE_LIB_AUTH_GRANT_H

#include "lib/pool.h"
#include "lib/span.h"

#define GRANT_SHIFT 6u /* a unit of its pool is 64 bytes */

struct grants_head; /* the hash key, a count, buckets */

struct grants {
    struct grants_head *h; /* NULL: there are none */
    struct pool pool;
};

/* Bytes of memory for grants of `bytes` bytes together. */
size_t grants_size(size_t bytes);

/* Sets up an empty table in zeroed memory of that size; `seed` is random. */
void grants_init(struct grants *g, size_t bytes, void *memory, const uint64_t seed[2]);

/* Uses memory that grants_init() set up before, perhaps elsewhere. */
void grants_attach(struct grants *g, size_t bytes, void *memory);

/* The grant of these scopes, with one holder more; 0: there is no room. */
uint32_t grant_enter(struct grants *g, struct span publish, struct span subscribe);

/* Takes a holder off; with the last one it goes. Nothing happens for grant 0. */
void grant_leave(struct grants *g, uint32_t grant);

/* Its scopes, as long as it has a holder. */
struct span grant_publish(const struct grants *g, uint32_t grant);
struct span grant_subscribe(const struct grants *g, uint32_t grant);

/* How many there are. */
uint32_t grants_count(const struct grants *g);

#endif
