/*
 * budget.c - fits all tables into --max-memory.
 *
 * The sum grows with each limit, but not smoothly: pools are powers of two. So the largest limits
 * that fit are found by bisection, one after the other.
 */
#include "lib/host/budget.h"

#include "lib/pool.h"
#include "lib/topic/table.h"

#include <assert.h>

#define PAGE 4096u
#define KIB  1024ull
#define MIB  (1024 * KIB)

/* ---- the sum --------------------------------------------------------------------------------- */

/* Rounds up to whole pages. */
static uint64_t pages(uint64_t bytes)
{
    return (bytes + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

uint32_t budget_units(uint64_t buffers, uint8_t shift)
{
    uint32_t units = 2;
    while ((uint64_t)units << shift < buffers) {
        assert(units <= UINT32_MAX / 4);
        units *= 2;
    }
    return units;
}

static uint64_t buffers_size(const struct budget_needs *n, uint64_t buffers)
{
    uint32_t units = budget_units(buffers, n->buffer_shift);
    return pages((uint64_t)units << n->buffer_shift) + pages(pool_meta_size(units));
}

static uint64_t entries_size(const struct budget_needs *n, uint32_t entries)
{
    struct topics_memory m = topics_size(entries);
    return pages(m.table) + pages(m.edges) + pages(m.pool) + pages(m.pool_meta) +
           pages((uint64_t)entries * n->per_entry);
}

/* Computes the sum for the limits in *b. Without --max-memory the tables are for all
 * descriptors. */
static uint64_t reckon(const struct budget_needs *n, struct budget *b)
{
    uint64_t descriptors = (uint64_t)b->connections + n->reserve;
    if (n->memory == 0 || descriptors > n->descriptors)
        descriptors = n->descriptors;
    b->descriptors = (uint32_t)descriptors;
    b->entries = b->topics * (n->twice ? 2u : 1u) + b->descriptors;
    b->for_descriptors = pages((uint64_t)b->descriptors * n->per_descriptor);
    b->for_entries = entries_size(n, b->entries);
    b->for_buffers = buffers_size(n, b->buffers);
    b->total = pages(n->ring) + pages(n->scratch) + pages(n->fixed) + b->for_descriptors +
               b->for_entries + b->for_buffers;
    return b->total;
}

/* ---- fitting --------------------------------------------------------------------------------- */

enum part {
    CONNECTIONS = 0,
    TOPICS = 1,
    BUFFERS = 2,
};

static const struct budget_limit *limit_of(const struct budget_needs *n, enum part part)
{
    return part == CONNECTIONS ? &n->connections : part == TOPICS ? &n->topics : &n->buffers;
}

/* The largest block of a pool is half of it, and a message needs one. */
static uint64_t buffers_least(const struct budget_needs *n)
{
    uint64_t bytes = BUDGET_BUFFERS_MIN;
    while (bytes / 2 < n->message)
        bytes *= 2;
    return bytes;
}

/* Returns the minimum of a limit. */
static uint64_t least(const struct budget_needs *n, enum part part)
{
    const struct budget_limit *limit = limit_of(n, part);
    uint64_t floor = part == CONNECTIONS ? BUDGET_CONNECTIONS_MIN
                     : part == TOPICS    ? BUDGET_TOPICS_MIN
                                         : buffers_least(n);
    return limit->given || limit->most < floor ? limit->most : floor;
}

static uint64_t value_of(const struct budget *b, enum part part)
{
    return part == CONNECTIONS ? b->connections : part == TOPICS ? b->topics : b->buffers;
}

static void put(struct budget *b, enum part part, uint64_t v)
{
    switch (part) {
    case CONNECTIONS:
        b->connections = (uint32_t)v;
        return;
    case TOPICS:
        b->topics = (uint32_t)v;
        return;
    case BUFFERS:
        b->buffers = v;
        return;
    }
}

/* Raises a limit, which fits as it is, as far as fits into `memory`. */
static void grow(const struct budget_needs *n, struct budget *b, enum part part, uint64_t memory)
{
    uint64_t fits = value_of(b, part), most = limit_of(n, part)->most;
    assert(fits <= most);
    while (fits < most) {
        uint64_t middle = most - (most - fits) / 2;
        put(b, part, middle);
        if (reckon(n, b) <= memory)
            fits = middle;
        else
            most = middle - 1;
    }
    put(b, part, fits);
    reckon(n, b);
}

/* ---- texts ----------------------------------------------------------------------------------- */

void budget_write_size(struct text *t, uint64_t bytes)
{
    uint64_t unit = bytes < MIB ? KIB : MIB;
    uint64_t tenths = bytes / unit * 10 + (bytes % unit * 10 + unit - 1) / unit;
    if (unit == KIB || tenths >= 1000)
        tenths = (tenths + 9) / 10 * 10;
    text_u64(t, tenths / 10);
    if (tenths % 10 != 0) {
        text_str(t, ".");
        text_u64(t, tenths % 10);
    }
    text_str(t, unit == KIB ? "K" : "M");
}

static void write_part(struct text *t, const char *what, uint64_t bytes)
{
    text_str(t, what);
    text_str(t, " ");
    budget_write_size(t, bytes);
}

/* Appends a limit that was given or reduced to its minimum. */
static void write_limit(struct text *t, uint64_t v, const char *what, const char *flag, bool given,
                        uint64_t bytes)
{
    text_str(t, ", ");
    text_u64(t, v);
    text_str(t, what);
    write_part(t, given ? flag : "", bytes);
}

/* Appends why the minimums do not fit: *b, part by part. Sets belong to connections. */
static void write_sum(struct text *t, const struct budget_needs *n, const struct budget *b)
{
    uint64_t for_topics = (n->twice ? 2u : 1u) * (b->for_entries / b->entries) * b->topics;
    uint64_t for_connections = b->for_entries - for_topics + b->for_descriptors;
    write_part(t, "--max-memory", n->memory);
    write_part(t, ": the ring (--ring) takes", pages(n->ring));
    write_limit(t, b->connections, " connections", " (--max-connections)", n->connections.given,
                for_connections);
    write_limit(t, b->topics, " topics", " (--max-topics)", n->topics.given, for_topics);
    write_part(t, n->buffers.given ? ", --max-buffers" : ", buffers", b->for_buffers);
    write_part(t, ", messages being sent (--max-message, --max-answer)", pages(n->scratch));
    write_part(t, ", the rest", pages(n->fixed));
    text_str(t, ", together ");
    text_u64(t, (b->total + MIB - 1) / MIB);
    text_str(t, "M: at least that much is needed");
}

void budget_describe(struct text *t, const struct budget *b)
{
    text_u64(t, b->connections);
    text_str(t, " connections, ");
    text_u64(t, b->topics);
    text_str(t, " topics, ");
    budget_write_size(t, b->buffers);
    text_str(t, " of buffers; ");
    budget_write_size(t, b->total);
    text_str(t, " at most");
}

/* ---- all together ---------------------------------------------------------------------------- */

bool budget_fit(const struct budget_needs *n, struct budget *b, struct text *err)
{
    assert(n->connections.most > 0 && n->connections.most <= n->descriptors);
    assert(n->topics.most > 0 && n->topics.most + n->descriptors <= TOPICS_MAX);
    *b = (struct budget){.connections = (uint32_t)n->connections.most,
                         .topics = (uint32_t)n->topics.most,
                         .buffers = n->buffers.most};
    if (reckon(n, b) <= n->memory || n->memory == 0)
        return true;
    for (enum part part = CONNECTIONS; part <= BUFFERS; part++)
        put(b, part, least(n, part));
    uint64_t sum = reckon(n, b);
    if (sum > n->memory) {
        write_sum(err, n, b);
        return false;
    }
    uint64_t quarter = (n->memory - sum) / 4;
    grow(n, b, BUFFERS, b->total + quarter);
    grow(n, b, TOPICS, b->total + quarter);
    grow(n, b, CONNECTIONS, n->memory);
    grow(n, b, TOPICS, n->memory);
    grow(n, b, BUFFERS, n->memory);
    return true;
}
