/*
 * grant.c - the scopes of open WebSockets' tokens, each pair kept once.
 */
#include "lib/auth/grant.h"

#include "lib/hash.h"

#include <assert.h>

#define BUCKETS 1024u

struct grants_head {
    uint64_t seed[2];
    uint32_t count;
    uint32_t bucket[BUCKETS];
};

struct grant {
    uint32_t next; /* in its bucket */
    uint32_t holders;
    uint32_t publish, subscribe; /* bytes of each; one follows the other */
    char bytes[];
};

/* ---- memory ---- */

/* Returns the units of the pool: a power of two, and one more that is never used. */
static uint32_t units_of(size_t bytes)
{
    uint32_t units = 2;
    while (((size_t)units << GRANT_SHIFT) < bytes && units < 1u << 30)
        units *= 2;
    return units;
}

static size_t head_size(void)
{
    return (sizeof(struct grants_head) + 63) / 64 * 64;
}

size_t grants_size(size_t bytes)
{
    uint32_t units = units_of(bytes);
    return head_size() + ((size_t)units << GRANT_SHIFT) + pool_meta_size(units);
}

static void *place(struct grants *g, size_t bytes, void *memory)
{
    g->h = memory;
    return (char *)memory + head_size() + ((size_t)units_of(bytes) << GRANT_SHIFT);
}

void grants_init(struct grants *g, size_t bytes, void *memory, const uint64_t seed[2])
{
    void *meta = place(g, bytes, memory);
    g->h->seed[0] = seed[0];
    g->h->seed[1] = seed[1];
    pool_init(&g->pool, (char *)memory + head_size(), meta, units_of(bytes), GRANT_SHIFT);
}

void grants_attach(struct grants *g, size_t bytes, void *memory)
{
    void *meta = place(g, bytes, memory);
    pool_attach(&g->pool, (char *)memory + head_size(), meta, units_of(bytes), GRANT_SHIFT);
}

/* ---- grants ---- */

static struct grant *grant_at(const struct grants *g, uint32_t grant)
{
    return pool_at(&g->pool, grant);
}

struct span grant_publish(const struct grants *g, uint32_t grant)
{
    const struct grant *x = grant_at(g, grant);
    return (struct span){x->bytes, x->publish};
}

struct span grant_subscribe(const struct grants *g, uint32_t grant)
{
    const struct grant *x = grant_at(g, grant);
    return (struct span){x->bytes + x->publish, x->subscribe};
}

static uint32_t *bucket_of(const struct grants *g, struct span publish, struct span subscribe)
{
    uint64_t inner = hash_table(g->h->seed[0], g->h->seed[1], subscribe);
    return &g->h->bucket[hash_table(inner, g->h->seed[1], publish) % BUCKETS];
}

uint32_t grant_enter(struct grants *g, struct span publish, struct span subscribe)
{
    uint32_t *bucket = bucket_of(g, publish, subscribe);
    for (uint32_t i = *bucket; i != 0; i = grant_at(g, i)->next)
        if (span_eq(grant_publish(g, i), publish) && span_eq(grant_subscribe(g, i), subscribe)) {
            grant_at(g, i)->holders++;
            return i;
        }
    uint32_t i = pool_alloc(&g->pool, sizeof(struct grant) + publish.n + subscribe.n);
    if (i == 0)
        return 0;
    struct grant *x = grant_at(g, i);
    *x = (struct grant){*bucket, 1, (uint32_t)publish.n, (uint32_t)subscribe.n};
    if (publish.n > 0)
        memcpy(x->bytes, publish.p, publish.n);
    if (subscribe.n > 0)
        memcpy(x->bytes + publish.n, subscribe.p, subscribe.n);
    *bucket = i;
    g->h->count++;
    return i;
}

void grant_leave(struct grants *g, uint32_t grant)
{
    if (grant == 0)
        return;
    struct grant *x = grant_at(g, grant);
    assert(x->holders > 0);
    if (--x->holders > 0)
        return;
    uint32_t *link = bucket_of(g, grant_publish(g, grant), grant_subscribe(g, grant));
    while (*link != grant)
        link = &grant_at(g, *link)->next;
    *link = x->next;
    pool_free(&g->pool, grant);
    g->h->count--;
}

uint32_t grants_count(const struct grants *g)
{
    return g->h->count;
}
