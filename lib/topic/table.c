/*
 * table.c - see table.h.
 *
 * Entries are found by linear hashing (lib/linear.h), and are taken from a free list or else from
 * the unused rest behind. So memory is touched in step with what is used.
 */
#include "lib/topic/table.h"

#define POOL_SHIFT      5u /* a unit of the pool: most names */
#define NAME_UNITS      (TOPIC_NAME_MAX / (1u << POOL_SHIFT) + 1) /* of the longest name */
#define SETS_PER_ENTRY  8u         /* units for sets of address space for each entry, and ... */
#define SETS_UNITS_MIN  (1u << 17) /* ... at least: a few wide sets in the smallest table */
#define EDGES_PER_ENTRY 4u

/* ---- setting up ------------------------------------------------------------------------------ */

/* Rounds up to whole cache lines. */
static size_t whole_lines(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

static size_t head_size(void)
{
    return whole_lines(sizeof(struct topics_head));
}

static size_t buckets_size(uint32_t max)
{
    return whole_lines((size_t)max * sizeof(uint32_t));
}

static size_t node_buckets_size(uint32_t max)
{
    return whole_lines((size_t)max * NODE_BUCKETS_PER_ENTRY * sizeof(uint32_t));
}

/* Returns the units with which each entry but one has a block for the longest name: one block is
 * never used. */
static uint32_t names_units(uint32_t max)
{
    uint32_t units = NAME_UNITS;
    while (units < max * NAME_UNITS)
        units *= 2;
    return units;
}

static uint32_t sets_units(uint32_t max)
{
    uint32_t units = SETS_UNITS_MIN;
    while (units < max * SETS_PER_ENTRY)
        units *= 2;
    return units;
}

/* Returns the bytes of the first pool's book-keeping; the second's follows. */
static size_t names_meta_size(uint32_t max)
{
    return whole_lines(pool_meta_size(names_units(max)));
}

struct topics_memory topics_size(uint32_t max)
{
    assert(max > 0 && max <= TOPICS_MAX);
    return (struct topics_memory){
        .table = head_size() + buckets_size(max) + node_buckets_size(max) +
                 ((size_t)max + 1) * sizeof(union topic_place),
        .edges = ((size_t)max * EDGES_PER_ENTRY + 1) * sizeof(struct topic_edge),
        .pool = ((size_t)names_units(max) + sets_units(max)) << POOL_SHIFT,
        .pool_meta = names_meta_size(max) + pool_meta_size(sets_units(max)),
    };
}

/* Sets the addresses of all parts but the pools. */
static void locate(struct topics *t, uint32_t max, void *table, void *edges)
{
    char *bucket = (char *)table + head_size();
    assert(max > 0 && max <= TOPICS_MAX);
    *t = (struct topics){
        .h = table,
        .bucket = (uint32_t *)(void *)bucket,
        .node_bucket = (uint32_t *)(void *)(bucket + buckets_size(max)),
        .place = (union topic_place *)(void *)(bucket + buckets_size(max) + node_buckets_size(max)),
        .edge = edges,
        .max = max,
        .edges_max = max * EDGES_PER_ENTRY,
    };
}

static void pools_locate(struct topics *t, uint32_t max, char *base, char *meta,
                         void (*set_up)(struct pool *p, void *base, void *meta, uint32_t units,
                                        uint8_t shift))
{
    uint32_t names = names_units(max);
    set_up(&t->names, base, meta, names, POOL_SHIFT);
    set_up(&t->sets, base + ((size_t)names << POOL_SHIFT), meta + names_meta_size(max),
           sets_units(max), POOL_SHIFT);
}

void topics_init(struct topics *t, uint32_t max, void *table, void *edges, void *pool,
                 void *pool_meta, const uint64_t seed[2])
{
    locate(t, max, table, edges);
    *t->h = (struct topics_head){
        .seed = {seed[0], seed[1]},
        .version = 1, /* a new topic's reach, of version 0, is unknown, ... */
        .sets_version = 1,
        .changes = 1, /* ... and so are a new set's candidates */
        .max = max,
        .by_name = LINEAR_EMPTY,
        .by_key = LINEAR_EMPTY,
    };
    pools_locate(t, max, pool, pool_meta, pool_init);
}

void topics_attach(struct topics *t, uint32_t max, void *table, void *edges, void *pool,
                   void *pool_meta)
{
    locate(t, max, table, edges);
    assert(t->h->max == max);
    pools_locate(t, max, pool, pool_meta, pool_attach);
}

/* ---- entries --------------------------------------------------------------------------------- */

static struct topic_key *key_at(const struct topics *t, uint32_t id)
{
    return &t->place[id & ~TOPIC_SET].key;
}

static struct span key_name(const struct topics *t, const struct topic_key *key)
{
    return (struct span){pool_at(key->is_set ? &t->sets : &t->names, key->name), key->name_size};
}

struct span topic_name(const struct topics *t, uint32_t id)
{
    assert(topic_exists(t, id));
    struct span name = key_name(t, key_at(t, id));
    name.n -= name.p[name.n - 1] == ','; /* of a set of one topic */
    return name;
}

static uint32_t *bucket_of(const struct topics *t, uint64_t hash)
{
    return linear_bucket(&t->h->by_name, t->bucket, hash);
}

static uint32_t *entry_link(const void *topics, uint32_t id, uint64_t *hash)
{
    struct topic_key *e = key_at(topics, id);
    *hash = e->hash;
    return &e->hash_next;
}

uint32_t topics_entry_find(const struct topics *t, struct span name, uint64_t hash)
{
    uint32_t id = *bucket_of(t, hash);
    while (id != 0) {
        const struct topic_key *e = key_at(t, id);
        if (e->hash == hash && span_eq(key_name(t, e), name))
            break;
        id = e->hash_next;
    }
    return id;
}

uint32_t topics_entry_add(struct topics *t, uint32_t kind, uint32_t name, uint32_t name_size,
                          uint64_t hash)
{
    struct topics_head *h = t->h;
    uint32_t place = h->free;
    assert(kind == 0 || kind == TOPIC_SET);
    if (place != 0)
        h->free = key_at(t, place)->hash_next;
    else if (h->used < t->max)
        place = ++h->used;
    else
        return 0;
    if (h->topics + h->sets >= h->by_name.buckets)
        linear_split(&h->by_name, t->bucket, t, entry_link);
    uint32_t *bucket = bucket_of(t, hash), id = place | kind;
    memset(&t->place[place], 0, sizeof t->place[place]);
    *key_at(t, id) = (struct topic_key){.hash = hash,
                                        .hash_next = *bucket,
                                        .name = name,
                                        .name_size = name_size & INT32_MAX,
                                        .is_set = kind != 0};
    *bucket = id;
    return id;
}

void topics_entry_drop(struct topics *t, uint32_t id)
{
    const struct topic_group *g = group_used(t, id);
    struct topic_key *e = key_at(t, id);
    assert(g->subscribers == 0 && !g->dirty);
    assert(topic_is_set(id) ? set_at(t, id)->members == 0 && set_at(t, id)->wildcards == 0
                            : topic_at(t, id)->edges == 0);
    linear_remove(&t->h->by_name, t->bucket, id, t, entry_link);
    pool_free(e->is_set ? &t->sets : &t->names, e->name);
    memset(e, 0, sizeof(union topic_place));
    e->hash_next = t->h->free;
    t->h->free = id & ~TOPIC_SET;
    t->h->freed++;
}
