/*
 * grant.h - the scopes of open WebSockets' tokens, each pair kept once.
 *
 * A WebSocket subscribes and publishes long after the token that opened it was checked, so its two
 * scopes (lib/auth/auth.h) are kept; so are those of a batch that names topics. Many clients have
 * equal scopes: these share one GRANT, which counts its holders.
 *
 *     hash of the scopes --> bucket --> grant --> grant      a block of the pool each:
 *                                                            | next | holders | sizes | publish |
 *                                                            subscribe |
 *
 * MEMORY: the caller's, zeroed. It holds numbers and no pointers, so it may be mapped elsewhere
 * later. It is touched as it comes into use. The hash is keyed, so that a peer cannot choose
 * collisions.
 */
#ifndef SSE_LIB_AUTH_GRANT_H
#define SSE_LIB_AUTH_GRANT_H

#include "lib/pool.h"
#include "lib/span.h"

#define GRANT_SHIFT 6u /* a unit of its pool is 64 bytes */

struct grants_head; /* the hash key, a count, buckets */

struct grants {
    struct grants_head *h; /* NULL: grants are not kept */
    struct pool pool;
};

/* Returns the bytes of memory for grants of `bytes` bytes in all. */
size_t grants_size(size_t bytes);

/* Sets up an empty table in zeroed memory of that size; `seed` is random. */
void grants_init(struct grants *g, size_t bytes, void *memory, const uint64_t seed[2]);

/* Uses memory that grants_init() set up before, perhaps elsewhere. */
void grants_attach(struct grants *g, size_t bytes, void *memory);

/* Returns the grant of these scopes, made if need be, with one holder more; 0 if there is no
 * room. */
uint32_t grant_enter(struct grants *g, struct span publish, struct span subscribe);

/* Removes one holder, and frees the grant with its last. Does nothing for grant 0. */
void grant_leave(struct grants *g, uint32_t grant);

/* Return the scopes of a grant; valid while it has a holder. */
struct span grant_publish(const struct grants *g, uint32_t grant);
struct span grant_subscribe(const struct grants *g, uint32_t grant);

/* Returns the number of grants. */
uint32_t grants_count(const struct grants *g);

#endif
