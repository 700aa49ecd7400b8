/*
 * pool.h - blocks of 2^k units out of one piece of memory (a buddy allocator).
 *
 *   units   0     1     2     3     4     5     6     7
 *         +-----+-----+-----------+-----------------------+
 *         | -   | 2^0 |    2^1    |          2^2          |
 *         +-----+-----+-----------+-----------------------+
 *
 * A block of 2^k units starts at a multiple of 2^k; its buddy differs in that one bit of the
 * number, and two free buddies become one block again, so nothing is lost to fragments of one size.
 * Blocks are known by the number of their first unit; number 0 is never returned and means "none".
 *
 * The caller passes two pieces of memory: one for the blocks, and one of pool_meta_size(units)
 * zeroed bytes for the book-keeping, which is apart so that a free block's pages can be returned to
 * the system. Both may be larger than what is used: they are touched late. Both hold numbers and no
 * pointers, so they may be mapped elsewhere later.
 */
#ifndef SSE_LIB_POOL_H
#define SSE_LIB_POOL_H

#include <stddef.h>
#include <stdint.h>

#define POOL_ORDERS 32

struct pool_meta; /* the book-keeping: heads of free lists, then a link and a mark a unit */

struct pool {
    char *base;             /* of the blocks */
    struct pool_meta *meta; /* of the book-keeping */
    uint32_t units;         /* number of units, a power of two */
    uint8_t shift;          /* a unit is 2^shift bytes */
};

/* Returns the bytes of book-keeping for that many units. */
size_t pool_meta_size(uint32_t units);

/* Sets up a pool of `units` (a power of two, at least 2) units of 2^shift bytes , of whose memory
 * only the book-keeping has to be zero. */
void pool_init(struct pool *p, void *base, void *meta, uint32_t units, uint8_t shift);

/* Uses memory that pool_init() set up before, perhaps elsewhere. */
void pool_attach(struct pool *p, void *base, void *meta, uint32_t units, uint8_t shift);

/* Returns a block of at least `bytes` (> 0) bytes, contents undefined; 0 if the pool has no
 * room. */
uint32_t pool_alloc(struct pool *p, size_t bytes);

/* Frees a block, which pool_alloc() or pool_grow() returned and which is not 0. */
void pool_free(struct pool *p, uint32_t block);

/* Makes a block at least `bytes` long, keeping its first `keep` bytes if it must move. Returns its
 * number; 0 if the pool has no room, and the block is unchanged. */
uint32_t pool_grow(struct pool *p, uint32_t block, size_t bytes, size_t keep);

/* Return the address of a block, and its size in bytes. */
void *pool_at(const struct pool *p, uint32_t block);
size_t pool_size(const struct pool *p, uint32_t block);

/* Returns the size of the block that pool_alloc() would return for that many bytes. */
size_t pool_block(const struct pool *p, size_t bytes);

/* Returns the size of the pool in bytes. */
static inline uint64_t pool_total(const struct pool *p)
{
    return (uint64_t)p->units << p->shift;
}

/* Returns the bytes of the blocks in use. */
uint64_t pool_used(const struct pool *p);

/* Returns how many bytes from the front may have been written to. */
size_t pool_touched(const struct pool *p);

/* Begins anew; no block may be in use: asserted. Returns what pool_touched() was before: the caller
 * may return these pages to the system. */
size_t pool_rest(struct pool *p);

#endif
