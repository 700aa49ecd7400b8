/*
 * linear.h - linear hashing: a hash table whose buckets come into use one by one, each new entry
 * splitting one bucket at most.
 *
 *     bucket[hash] --> entry --> entry --> 0
 *
 * So no insertion is slow, and memory is touched as the table grows. Entries are numbers from 1;
 * the caller stores them with their links and hashes. Buckets and struct linear hold numbers only,
 * so they may be mapped elsewhere later.
 *
 * The caller gives the buckets as zeroed memory, begins with LINEAR_EMPTY, and splits as often as
 * it has buckets for.
 */
#ifndef SSE_LIB_LINEAR_H
#define SSE_LIB_LINEAR_H

#include <stdint.h>

struct linear {
    uint32_t buckets, mask; /* in use; the least 2^k - 1 that reaches the last of them */
};

#define LINEAR_EMPTY \
    {                \
        .buckets = 1 \
    }

/* Returns the bucket of a hash; a new entry becomes its first. */
static inline uint32_t *linear_bucket(const struct linear *l, uint32_t *bucket, uint64_t hash)
{
    uint32_t i = (uint32_t)hash & l->mask;
    return &bucket[i < l->buckets ? i : i & l->mask >> 1];
}

/* The caller's function that returns the link of entry `id` of its `table` to the next one in its
 * bucket; *hash is the hash of its key, of which the low 32 bits count. */
#define LINEAR_LINK uint32_t *(*link)(const void *table, uint32_t id, uint64_t *hash)

/* Takes one more bucket into use, and moves its entries there. */
void linear_split(struct linear *l, uint32_t *bucket, const void *table, LINEAR_LINK);

/* Removes entry `id`, which is in the table, from its bucket. */
void linear_remove(const struct linear *l, uint32_t *bucket, uint32_t id, const void *table,
                   LINEAR_LINK);

#endif
