/*
 * linear.c - see linear.h.
 */
#include "lib/linear.h"

#include <assert.h>

void linear_split(struct linear *l, uint32_t *bucket, const void *table, LINEAR_LINK)
{
    uint32_t to = l->buckets++, id, *next;
    uint64_t hash;
    if (to > l->mask)
        l->mask = l->mask * 2 + 1;
    for (uint32_t *from = &bucket[to & l->mask >> 1]; (id = *from) != 0;) {
        next = link(table, id, &hash);
        if (((uint32_t)hash & l->mask) != to) {
            from = next;
            continue;
        }
        *from = *next;
        *next = bucket[to];
        bucket[to] = id;
    }
}

void linear_remove(const struct linear *l, uint32_t *bucket, uint32_t id, const void *table,
                   LINEAR_LINK)
{
    uint64_t hash;
    const uint32_t *next = link(table, id, &hash);
    uint32_t *at = linear_bucket(l, bucket, hash);
    while (*at != id) {
        assert(*at != 0);
        at = link(table, *at, &hash);
    }
    *at = *next;
}
