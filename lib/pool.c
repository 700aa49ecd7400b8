/*
 * pool.c - a buddy allocator with its book-keeping apart.
 *
 * A byte per unit marks what begins there: a free block, a block in use, or nothing. Free blocks of
 * one order are in a list. Unit 0 is never returned, so the pool is the blocks 2^0, 2^1, 2^2, ...
 * at units 1, 2, 4, ...; a large one joins the lists only when the smaller ones do not suffice, so
 * that memory is touched from the front as it comes into use.
 */
#include "lib/pool.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#define MARK_FREE 0x40u
#define MARK_USED 0x80u
#define MARK_KIND 0xC0u

struct pool_meta {
    uint64_t used;              /* bytes */
    uint32_t free[POOL_ORDERS]; /* first free block of each order, 0: none */
    uint32_t orders;            /* bit k: a block of order k is free */
    uint32_t edge;              /* the next block to join, itself a power of two */
    uint32_t units, shift;      /* what the pool was set up with */
};

/* Neighbours of a free block in the list of its order, 0: none. */
struct pool_link {
    uint32_t next, prev;
};

/* ---- book-keeping ---- */

static struct pool_link *link_of(const struct pool *p, uint32_t block)
{
    return (struct pool_link *)(void *)(p->meta + 1) + block;
}

static uint8_t *mark_of(const struct pool *p, uint32_t block)
{
    return (uint8_t *)(void *)link_of(p, p->units) + block;
}

static bool is_free(const struct pool *p, uint32_t block, unsigned order)
{
    return *mark_of(p, block) == (MARK_FREE | order);
}

static unsigned order_of(const struct pool *p, uint32_t block)
{
    assert(block > 0 && block < p->units);
    unsigned mark = *mark_of(p, block);
    assert((mark & MARK_KIND) == MARK_USED);
    return mark & ~MARK_USED;
}

static void mark_used(struct pool *p, uint32_t block, unsigned order)
{
    *mark_of(p, block) = (uint8_t)(MARK_USED | order);
}

/* Returns the order of the smallest block that holds that many bytes; POOL_ORDERS or more if none
 * does. */
static unsigned order_for(const struct pool *p, size_t bytes)
{
    assert(bytes > 0);
    uint64_t last = (uint64_t)(bytes - 1) >> p->shift; /* the last unit it needs */
    return last == 0 ? 0 : 64 - (unsigned)__builtin_clzll(last);
}

/* ---- free lists ---- */

static void push(struct pool *p, uint32_t block, unsigned order)
{
    struct pool_meta *m = p->meta;
    uint32_t next = m->free[order];
    *mark_of(p, block) = (uint8_t)(MARK_FREE | order);
    *link_of(p, block) = (struct pool_link){next, 0};
    if (next != 0)
        link_of(p, next)->prev = block;
    m->free[order] = block;
    m->orders |= 1u << order;
}

/* Removes a free block from its list, and unmarks it. */
static void pull(struct pool *p, uint32_t block, unsigned order)
{
    struct pool_meta *m = p->meta;
    struct pool_link at = *link_of(p, block);
    assert(is_free(p, block, order));
    *mark_of(p, block) = 0;
    if (at.next != 0)
        link_of(p, at.next)->prev = at.prev;
    if (at.prev != 0)
        link_of(p, at.prev)->next = at.next;
    else
        m->free[order] = at.next;
    if (m->free[order] == 0)
        m->orders &= ~(1u << order);
}

/* Adds blocks to the lists until one of at least that order is free. Returns false if none can
 * be. */
static bool provide(struct pool *p, unsigned order)
{
    struct pool_meta *m = p->meta;
    while (m->orders >> order == 0) {
        if (m->edge == m->units)
            return false;
        push(p, m->edge, (unsigned)__builtin_ctz(m->edge));
        m->edge *= 2;
    }
    return true;
}

/* ---- setting up ---- */

size_t pool_meta_size(uint32_t units)
{
    return sizeof(struct pool_meta) + (size_t)units * (sizeof(struct pool_link) + 1);
}

void pool_init(struct pool *p, void *base, void *meta, uint32_t units, uint8_t shift)
{
    struct pool_meta *m = meta;
    *m = (struct pool_meta){.edge = 1, .units = units, .shift = shift};
    pool_attach(p, base, meta, units, shift);
}

void pool_attach(struct pool *p, void *base, void *meta, uint32_t units, uint8_t shift)
{
    struct pool_meta *m = meta;
    assert(units >= 2 && (units & (units - 1)) == 0 && shift < 32);
    assert(m->units == units && m->shift == shift);
    *p = (struct pool){.base = base, .meta = meta, .units = units, .shift = shift};
}

/* ---- blocks ---- */

uint32_t pool_alloc(struct pool *p, size_t bytes)
{
    struct pool_meta *m = p->meta;
    unsigned order = order_for(p, bytes);
    if (order >= (unsigned)__builtin_ctz(p->units) || !provide(p, order))
        return 0;
    unsigned from = order + (unsigned)__builtin_ctz(m->orders >> order);
    uint32_t block = m->free[from];
    pull(p, block, from);
    while (from > order) {
        from--;
        push(p, block + (1u << from), from);
    }
    mark_used(p, block, order);
    m->used += (uint64_t)1 << (order + p->shift);
    return block;
}

void pool_free(struct pool *p, uint32_t block)
{
    unsigned order = order_of(p, block);
    p->meta->used -= (uint64_t)1 << (order + p->shift);
    *mark_of(p, block) = 0;
    /* Ends at the block of 2^order units at unit 2^order: its buddy is 0, which is never free. */
    for (uint32_t buddy = block ^ 1u << order; is_free(p, buddy, order);
         buddy = block ^ 1u << order) {
        pull(p, buddy, order);
        block &= buddy;
        order++;
    }
    push(p, block, order);
}

/* Returns true if a block in use can widen to order `to`: its buddies above it are free. (If the
 * block is an upper buddy, is_free() tests the block itself, which is not free.) */
static bool can_widen(const struct pool *p, uint32_t block, unsigned order, unsigned to)
{
    for (; order < to; order++)
        if (!is_free(p, block | 1u << order, order))
            return false;
    return true;
}

uint32_t pool_grow(struct pool *p, uint32_t block, size_t bytes, size_t keep)
{
    unsigned order = order_of(p, block), to = order_for(p, bytes);
    assert(keep <= pool_size(p, block) && keep <= bytes);
    if (to <= order)
        return block;
    if (to < (unsigned)__builtin_ctz(p->units) && can_widen(p, block, order, to)) {
        for (unsigned o = order; o < to; o++)
            pull(p, block | 1u << o, o);
        mark_used(p, block, to);
        p->meta->used += ((uint64_t)1 << (to + p->shift)) - ((uint64_t)1 << (order + p->shift));
        return block;
    }
    uint32_t wider = pool_alloc(p, bytes);
    if (wider == 0)
        return 0;
    memcpy(pool_at(p, wider), pool_at(p, block), keep);
    memset(pool_at(p, block), 0, keep); /* no copy of it stays behind */
    pool_free(p, block);
    return wider;
}

void *pool_at(const struct pool *p, uint32_t block)
{
    assert(block > 0 && block < p->units);
    return p->base + ((size_t)block << p->shift);
}

size_t pool_size(const struct pool *p, uint32_t block)
{
    return (size_t)1 << (order_of(p, block) + p->shift);
}

size_t pool_block(const struct pool *p, size_t bytes)
{
    return (size_t)1 << (order_for(p, bytes) + p->shift);
}

uint64_t pool_used(const struct pool *p)
{
    return p->meta->used;
}

size_t pool_touched(const struct pool *p)
{
    return (size_t)p->meta->edge << p->shift;
}

size_t pool_rest(struct pool *p)
{
    struct pool_meta *m = p->meta;
    size_t touched = pool_touched(p);
    assert(m->used == 0);
    for (uint32_t block = 1; block < m->edge; block *= 2)
        pull(p, block, (unsigned)__builtin_ctz(block)); /* all its blocks are free and joined */
    m->edge = 1;
    return touched;
}
