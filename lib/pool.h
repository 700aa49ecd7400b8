/*
 * pool.h - blocks of 2^k units out of one piece of memory (a buddy allocator).
 *
 *   units   0     1     2     3     4     5     6     7
 *         +-----+-----+-----------+-----------------------+
 *         | -   | 2^0 |    2^1    |          2^2          |
 *         +-----+-----+-----------+-----------------------+
 *
 * A block of 2^k units starts at a multiple of 2^k; its buddy differs in that one bit of the
 * number, and two free buddies become one block again, so nothing is lost to fragments of one
 * size. Blocks are known by the number of their first unit; number 0 is never given and means
 * "none".
 *
 * The caller hands two pieces of zeroed memory, which may be larger than what is in use and
 * touched late: one for the blocks, one of pool_meta(units) bytes for the book-keeping, which is
 * apart so that a free block's pages can be given back to the system. Both hold numbers only, no
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
    uint32_t units;         /* how many there are, a power of two */
    uint8_t shift;          /* a unit is 2^shift bytes */
};

/* Bytes of book-keeping for that many units. */
size_t pool_meta_size(uint32_t units);

/* Sets up a pool of `units` (a power of two, at least 2) units of 2^shift bytes in zeroed memory,
 * of which only the book-keeping has to be zero. */
void pool_init(struct pool *p, void *base, void *meta, uint32_t units, uint8_t shift);

/* Uses memory that pool_init() set up before, perhaps elsewhere. */
void pool_attach(struct pool *p, void *base, void *meta, uint32_t units, uint8_t shift);

/* Returns a block of at least `bytes` (> 0) bytes, contents undefined; 0 if there is none. */
uint32_t pool_alloc(struct pool *p, size_t bytes);

/* Takes a block back. `block` must be one that pool_alloc() gave and not 0. */
void pool_free(struct pool *p, uint32_t block);

/* Makes the block at least `bytes` long, moving its first `keep` bytes if it must move. Returns its
 * number, or 0 with the old one as it was. */
uint32_t pool_grow(struct pool *p, uint32_t block, size_t bytes, size_t keep);

/* Where the block is, and how long. */
void *pool_at(const struct pool *p, uint32_t block);
size_t pool_size(const struct pool *p, uint32_t block);

/* Bytes of the block that pool_alloc() would return for so many. */
size_t pool_block(const struct pool *p, size_t bytes);

/* Bytes in all. */
static inline uint64_t pool_total(const struct pool *p)
{
    return (uint64_t)p->units << p->shift;
}

/* Bytes in use. */
uint64_t pool_used(const struct pool *p);

/* How many bytes from the front may have been written to. */
size_t pool_touched(const struct pool *p);

/* Begins anew, as nothing is in use (asserted). Returns what pool_touched() was: the caller may
 * give these pages back. */
size_t pool_rest(struct pool *p);

#endif
