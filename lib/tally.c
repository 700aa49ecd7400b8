/*
 * tally.c - counts by key that one process writes and others read.
 */
#include "lib/tally.h"

#include <assert.h>

_Static_assert(sizeof(struct tally_place) == 16, "four of them a line");

/* Places of a table: twice as many as keys, a power of two, and those near the last. */
static uint32_t places(uint32_t max)
{
    uint32_t n = 64;
    assert(max <= 1u << 30);
    while (n < 2 * (uint64_t)max)
        n *= 2;
    return n;
}

size_t tally_size(uint32_t max)
{
    return ((size_t)places(max) + TALLY_NEAR) * sizeof(struct tally_place);
}

void tally_init(struct tally *t, uint32_t max, void *memory)
{
    *t = (struct tally){memory, places(max) - 1};
}

/* Where a key's places begin. */
static inline struct tally_place *places_of(const struct tally *t, uint64_t key)
{
    return &t->place[(uint32_t)(key * 0x9E3779B97F4A7C15u >> 32) & t->mask];
}

/* The place that has a key; NULL: none. */
static struct tally_place *find(const struct tally *t, uint64_t key)
{
    struct tally_place *p = places_of(t, key);
    for (unsigned i = 0; i < TALLY_NEAR; i++) {
        uint64_t has = atomic_load_explicit(&p[i].key, memory_order_relaxed);
        if (has == key)
            return &p[i];
        if (has == 0)
            return NULL;
    }
    return NULL;
}

static void change(struct tally_place *p, uint32_t by)
{
    uint32_t count = atomic_load_explicit(&p->count, memory_order_relaxed);
    atomic_store_explicit(&p->count, count + by, memory_order_relaxed);
}

uint32_t tally_add(struct tally *t, uint64_t key)
{
    assert(key != 0);
    struct tally_place *p = find(t, key), *first = places_of(t, key);
    for (unsigned i = 0; p == NULL && i < TALLY_NEAR; i++)
        if (atomic_load_explicit(&first[i].count, memory_order_relaxed) == 0)
            p = &first[i];
    if (p == NULL)
        return 0;
    atomic_store_explicit(&p->key, key, memory_order_relaxed);
    change(p, 1);
    return (uint32_t)(p - t->place) + 1;
}

void tally_drop(struct tally *t, uint32_t place)
{
    assert(place > 0 && atomic_load(&t->place[place - 1].count) > 0);
    change(&t->place[place - 1], UINT32_MAX);
}

bool tally_drop_key(struct tally *t, uint64_t key)
{
    struct tally_place *p = find(t, key);
    if (p == NULL || atomic_load_explicit(&p->count, memory_order_relaxed) == 0)
        return false;
    change(p, UINT32_MAX);
    return true;
}

uint32_t tally_count(const struct tally *t, uint64_t key)
{
    const struct tally_place *p = find(t, key);
    return p != NULL ? atomic_load_explicit(&p->count, memory_order_relaxed) : 0;
}
