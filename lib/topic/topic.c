/*
 * topic.c - the table of topics and sets, and who subscribes to what.
 *
 * The table is found through buckets that come into use one by one (linear
 * hashing: each new entry may split one bucket), entries and edges by number,
 * each taken from a free list or else from the unused rest behind; so that
 * memory is touched in step with what there is. Whatever needs several pieces
 * takes back those it has got when one can't be had.
 */
#include "lib/topic/private.h"

#define POOL_SHIFT      5u /* a unit of the pool: most names */
#define NAME_UNITS      (TOPIC_NAME_MAX / (1u << POOL_SHIFT) + 1) /* of the longest name */
#define SETS_PER_ENTRY  8u         /* units for sets of address space for each entry, and ... */
#define SETS_UNITS_MIN  (1u << 17) /* ... at least: a few wide sets in the smallest table */
#define EDGES_PER_ENTRY 4u

/* What one set may always take; there is a reserve for that, for as many sets as there can be. */
#define MAY_TOPICS 16u
#define MAY_EDGES  64u
#define MAY_BYTES  1024u
#define MAY_LEAST  320u /* bytes, where that is too much for all: a name and a wildcard */

_Static_assert(sizeof(struct topic) == 96, "no padding: there are many");

/* ---- setting up
 * ------------------------------------------------------------------------------
 */

/* Rounds up so that what follows starts on a cache line of its own. */
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

/* So many that each entry but one has a block for the longest name: one of the pool is never
 * given. */
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

/* Bytes of the book-keeping of the first pool, behind which the second's is. */
static size_t names_meta_size(uint32_t max)
{
    return whole_lines(pool_meta_size(names_units(max)));
}

struct topics_memory topics_size(uint32_t max)
{
    assert(max > 0 && max <= TOPICS_MAX);
    return (struct topics_memory){
        .table = head_size() + buckets_size(max) + node_buckets_size(max) +
                 ((size_t)max + 1) * sizeof(struct topic),
        .edges = ((size_t)max * EDGES_PER_ENTRY + 1) * sizeof(struct topic_edge),
        .pool = ((size_t)names_units(max) + sets_units(max)) << POOL_SHIFT,
        .pool_meta = names_meta_size(max) + pool_meta_size(sets_units(max)),
    };
}

/* All but the pool. */
static void locate(struct topics *t, uint32_t max, void *table, void *edges)
{
    char *bucket = (char *)table + head_size();
    assert(max > 0 && max <= TOPICS_MAX);
    *t = (struct topics){
        .h = table,
        .bucket = (uint32_t *)(void *)bucket,
        .node_bucket = (uint32_t *)(void *)(bucket + buckets_size(max)),
        .topic = (struct topic *)(void *)(bucket + buckets_size(max) + node_buckets_size(max)),
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
        .version = 1, /* a new topic's reach, as of version 0, is not known, ... */
        .sets_version = 1,
        .changes = 1, /* ... nor is what a new set may match */
        .max = max,
        .buckets = 1,
        .node_buckets = 1,
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

void topics_links(struct topics *t, void *links, size_t stride)
{
    t->links = links;
    t->stride = stride;
}

void topics_limit(struct topics *t, uint32_t topics_max)
{
    t->topics_max = topics_max;
}

void topics_share(struct topics *t, uint64_t sets_max, uint32_t parts)
{
    t->sets_max = sets_max;
    t->parts = parts;
}

uint64_t topics_sets_used(const struct topics *t)
{
    return pool_used(&t->sets);
}

uint64_t topics_sets_most(const struct topics *t)
{
    uint64_t total = pool_total(&t->sets);
    return t->sets_max != 0 && t->sets_max < total ? t->sets_max : total;
}

uint32_t topic_count(const struct topics *t)
{
    return t->h->topics;
}

uint32_t topic_set_count(const struct topics *t)
{
    return t->h->sets;
}

uint32_t topic_subscriber_count(const struct topics *t)
{
    return t->h->subscribers;
}

/* ---- entries
 * ---------------------------------------------------------------------------------
 */

struct span topic_name(const struct topics *t, uint32_t id)
{
    struct span name = name_of(t, entry(t, id));
    name.n -= name.p[name.n - 1] == ','; /* of a set of one name, which only the table knows */
    return name;
}

static uint32_t *bucket_of(const struct topics *t, uint64_t hash)
{
    uint32_t i = (uint32_t)hash & t->h->mask;
    return &t->bucket[i < t->h->buckets ? i : i & t->h->mask >> 1];
}

uint32_t topics_lookup(const struct topics *t, struct span name, uint64_t hash)
{
    uint32_t id = *bucket_of(t, hash);
    while (id != 0) {
        const struct topic *e = topic_at(t, id);
        if (e->hash == hash && span_eq(name_of(t, e), name))
            break;
        id = e->hash_next;
    }
    return id;
}

uint32_t topic_find(const struct topics *t, struct span name)
{
    uint32_t id = topics_lookup(t, name, topics_hash(t, name));
    return id != 0 && !topic_at(t, id)->set ? id : 0;
}

/* Takes one more bucket into use: those of its lower half that belong there
 * move. */
static void split_bucket(struct topics *t)
{
    struct topics_head *h = t->h;
    uint32_t to = h->buckets++;
    if (to > h->mask)
        h->mask = h->mask * 2 + 1;
    uint32_t *from = &t->bucket[to & h->mask >> 1];
    while (*from != 0) {
        struct topic *e = topic_at(t, *from);
        if (((uint32_t)e->hash & h->mask) != to) {
            from = &e->hash_next;
            continue;
        }
        uint32_t id = *from;
        *from = e->hash_next;
        e->hash_next = t->bucket[to];
        t->bucket[to] = id;
    }
}

uint32_t topics_add(struct topics *t, uint32_t name, uint32_t name_size, uint64_t hash)
{
    struct topics_head *h = t->h;
    uint32_t id = h->free;
    if (id != 0)
        h->free = topic_at(t, id)->hash_next;
    else if (h->used < t->max)
        id = ++h->used;
    else
        return 0;
    if (h->topics + h->sets >= h->buckets)
        split_bucket(t);
    uint32_t *bucket = bucket_of(t, hash);
    *topic_at(t, id) =
        (struct topic){.hash = hash, .hash_next = *bucket, .name = name, .name_size = name_size};
    *bucket = id;
    return id;
}

void topics_drop(struct topics *t, uint32_t id)
{
    struct topic *e = entry(t, id);
    uint32_t *at = bucket_of(t, e->hash);
    assert(e->subscribers == 0 && !e->dirty && e->edges == 0);
    assert(!e->set || (e->members == 0 && e->wildcards == 0));
    while (*at != id)
        at = &topic_at(t, *at)->hash_next;
    *at = e->hash_next;
    pool_free(e->set ? &t->sets : &t->names, e->name);
    *e = (struct topic){.hash_next = t->h->free};
    t->h->free = id;
    t->h->freed++;
}

uint64_t topics_freed(const struct topics *t)
{
    return t->h->freed;
}

struct topic_ref topic_ref(const struct topics *t, uint32_t id)
{
    return (struct topic_ref){t->h->freed, id};
}

bool topic_is(const struct topics *t, struct topic_ref ref, uint32_t id)
{
    return ref.id != 0 && ref.id == id && ref.freed == t->h->freed;
}

/* ---- edges
 * -----------------------------------------------------------------------------------
 */

/* How many sets there can be, 0: any number. */
static uint64_t sets_most(const struct topics *t)
{
    return t->topics_max != 0 && t->topics_max < t->max ? t->max - t->topics_max : 0;
}

/* The most that a set may take of `total`, of which `used` is taken; `always` is for each. */
static uint64_t may_take(const struct topics *t, uint64_t total, uint64_t used, uint64_t always)
{
    uint64_t sets = sets_most(t), reserve = sets * always < total / 2 ? sets * always : total / 2;
    uint64_t most = fair_most(total, reserve, used, t->parts);
    return most > always ? most : always;
}

void topics_may(struct topics *t)
{
    const struct topics_head *h = t->h;
    uint64_t topics = t->topics_max != 0 ? t->topics_max : t->max;
    uint64_t room = topics_sets_most(t), sets = sets_most(t);
    uint64_t each = sets > 0 ? room / 2 / sets : MAY_BYTES;
    each = each > MAY_LEAST ? each : MAY_LEAST;
    t->full = TOPIC_FULL_NOT;
    t->may.bytes = may_take(t, room, topics_sets_used(t), each < MAY_BYTES ? each : MAY_BYTES);
    t->may.edges = (uint32_t)may_take(t, t->edges_max, h->edges, MAY_EDGES);
    t->may.topics = (uint32_t)may_take(t, topics, h->topics, MAY_TOPICS);
}

uint32_t topics_set_alloc(struct topics *t, size_t bytes)
{
    size_t block = pool_block(&t->sets, bytes);
    t->full = topics_sets_used(t) + block > topics_sets_most(t) ? TOPIC_FULL_SETS
              : block > t->may.bytes                            ? TOPIC_FULL_SHARE
                                                                : TOPIC_FULL_NOT;
    uint32_t got = t->full == TOPIC_FULL_NOT ? pool_alloc(&t->sets, bytes) : 0;
    if (got != 0)
        t->may.bytes -= block;
    else if (t->full == TOPIC_FULL_NOT)
        t->full = TOPIC_FULL_SETS;
    return got;
}

uint32_t topics_edge_new(struct topics *t)
{
    struct topics_head *h = t->h;
    uint32_t id = h->edges_free;
    if (t->may.edges == 0 && h->edges < t->edges_max) {
        t->full = TOPIC_FULL_SHARE;
        return 0;
    }
    if (id != 0) {
        h->edges_free = t->edge[id].next;
    } else if (h->edges_used < t->edges_max) {
        id = ++h->edges_used;
    } else {
        t->full = TOPIC_FULL_EDGES;
        return 0;
    }
    t->may.edges--;
    h->edges++;
    return id;
}

void topics_edge_free(struct topics *t, uint32_t edge)
{
    t->edge[edge] = (struct topic_edge){.next = t->h->edges_free};
    t->h->edges_free = edge;
    t->h->edges--;
}

/* ---- topics
 * ----------------------------------------------------------------------------------
 */

void topics_drop_topic(struct topics *t, uint32_t id)
{
    const struct topic *e = entry(t, id);
    assert(!e->set && e->listed == 0);
    order_drop(t, id);
    t->h->topics--;
    t->h->changes++;
    topics_drop(t, id);
}

/* Makes the topic of a name that isn't in the table. */
static uint32_t topic_make(struct topics *t, struct span name, uint64_t hash)
{
    struct topics_head *h = t->h;
    assert(name.n > 0 && name.n <= TOPIC_NAME_MAX);
    t->full = TOPIC_FULL_TOPICS;
    if (t->topics_max != 0 && h->topics >= t->topics_max)
        return 0;
    uint32_t block = pool_alloc(&t->names, name.n);
    if (block == 0)
        return 0;
    uint32_t id = topics_add(t, block, (uint32_t)name.n, hash);
    if (id == 0) {
        pool_free(&t->names, block);
        return 0;
    }
    t->full = TOPIC_FULL_NOT;
    memcpy(pool_at(&t->names, block), name.p, name.n);
    order_add(t, id);
    h->topics++;
    h->changes++;
    return id;
}

uint32_t topic_open(struct topics *t, struct span name, bool *made)
{
    uint64_t hash = topics_hash(t, name);
    uint32_t id = topics_lookup(t, name, hash);
    *made = false;
    if (id == 0) {
        id = topic_make(t, name, hash);
        *made = id != 0;
    }
    assert(id == 0 || !topic_at(t, id)->set);
    return id;
}

void topic_release(struct topics *t, uint32_t id, void (*gone)(void *arg, uint32_t topic),
                   void *arg)
{
    const struct topic *e = topic_at(t, id);
    assert(gone != NULL && id > 0 && id <= t->h->used);
    if (e->name == 0 || is_needed(e))
        return;
    if (e->set) {
        set_drop(t, id, gone, arg);
    } else {
        gone(arg, id);
        topics_drop_topic(t, id);
    }
}

/* ---- subscribers
 * -----------------------------------------------------------------------------
 */

void topic_subscribe(struct topics *t, uint32_t id, uint32_t subscriber)
{
    struct topic *e = entry(t, id);
    struct topic_link *link = topic_link_of(t, subscriber);
    assert(subscriber != 0 && link->topic == 0);
    if (e->iter == 0) {
        *link = (struct topic_link){subscriber, subscriber, id};
        e->iter = subscriber;
    } else {
        struct topic_link *next = topic_link_of(t, e->iter);
        *link = (struct topic_link){e->iter, next->prev, id};
        topic_link_of(t, next->prev)->next = subscriber;
        next->prev = subscriber;
    }
    e->subscribers++;
    t->h->subscribers++;
    t->h->version++;
    t->h->sets_version += e->set && e->subscribers == 1;
}

void topic_unsubscribe(struct topics *t, uint32_t subscriber)
{
    struct topic_link *link = topic_link_of(t, subscriber);
    assert(subscriber != 0);
    if (link->topic == 0)
        return;
    struct topic *e = entry(t, link->topic);
    assert(e->subscribers > 0 && e->todo <= e->subscribers);
    if (e->iter == subscriber) {
        e->iter = link->next != subscriber ? link->next : 0;
        e->todo -= e->todo > 0;
    }
    topic_link_of(t, link->prev)->next = link->next;
    topic_link_of(t, link->next)->prev = link->prev;
    *link = (struct topic_link){0, 0, 0};
    e->subscribers--;
    t->h->subscribers--;
    t->h->sets_version += e->set && e->subscribers == 0;
    /* Whether one elsewhere in the ring was still to be looked at isn't known:
   * then another is looked at twice, at worst. */
    if (e->todo > e->subscribers)
        e->todo = e->subscribers;
    t->h->version++;
}

/* ---- whom a topic reaches
 * -------------------------------------------------------------------- */

/* Makes a list of the sets of a topic that have subscribers, linked by
 * found_next; gives the first of them. */
static uint32_t sets_find(const struct topics *t, const struct topic *topic)
{
    uint32_t first = 0;
    for (uint32_t edge = topic->edges; edge != 0; edge = t->edge[edge].next) {
        struct topic *set = topic_at(t, t->edge[edge].set);
        if (set->subscribers == 0)
            continue;
        set->found = 1;
        set->found_next = first;
        first = t->edge[edge].set;
    }
    first = wild_find(t, name_of(t, topic), first);
    for (uint32_t set = first; set != 0; set = topic_at(t, set)->found_next)
        topic_at(t, set)->found = 0;
    return first;
}

/* Sees to it that what is kept of a topic's sets is what they are. */
static void sets_see(const struct topics *t, struct topic *topic)
{
    if (topic->seen_version == t->h->sets_version)
        return;
    uint32_t first = sets_find(t, topic), second = 0, third = 0;
    if (first != 0)
        second = topic_at(t, first)->found_next;
    if (second != 0)
        third = topic_at(t, second)->found_next;
    topic->seen[0] = first;
    topic->seen[1] = third == 0 ? second : TOPIC_MANY;
    topic->seen_version = t->h->sets_version;
}

uint32_t topic_set_of(const struct topics *t, uint32_t topic, uint32_t *at)
{
    struct topic *e = entry(t, topic);
    uint32_t set;
    assert(!e->set);
    sets_see(t, e);
    if (e->seen[1] == TOPIC_MANY)
        set = *at == 0 ? sets_find(t, e) : topic_at(t, *at)->found_next;
    else if (*at == 0)
        set = e->seen[0];
    else
        set = *at == e->seen[0] ? e->seen[1] : 0;
    if (set != 0)
        *at = set;
    return set;
}

uint32_t topic_reach(struct topics *t, uint32_t topic)
{
    struct topic *e = entry(t, topic);
    uint32_t at = 0, set;
    assert(!e->set);
    if (e->reach_version != t->h->version) {
        e->reach = e->subscribers;
        while ((set = topic_set_of(t, topic, &at)) != 0)
            e->reach += topic_at(t, set)->subscribers;
        e->reach_version = t->h->version;
    }
    return e->reach;
}

/* ---- the queue for fan-out
 * ------------------------------------------------------------------- */

static void enqueue(struct topics *t, uint32_t id)
{
    struct topics_head *h = t->h;
    topic_at(t, id)->dirty_next = 0;
    if (h->dirty == 0)
        h->dirty = id;
    else
        topic_at(t, h->dirty_last)->dirty_next = id;
    h->dirty_last = id;
}

static uint32_t dequeue(struct topics *t)
{
    uint32_t id = t->h->dirty;
    assert(id != 0);
    t->h->dirty = entry(t, id)->dirty_next;
    return id;
}

static void mark(struct topics *t, uint32_t id, uint32_t since)
{
    struct topic *e = entry(t, id);
    if (e->subscribers == 0 && (e->set || topic_reach(t, id) == 0))
        return;
    if (e->round == 0 && (e->subscribers > 0 || !e->dirty || e->begun)) {
        e->since = since; /* also for its sets */
        e->round =
            (e->subscribers < TOPIC_ROUND_MAX ? e->subscribers : TOPIC_ROUND_MAX) & TOPIC_ROUND_MAX;
    }
    e->todo = e->subscribers;
    e->begun = 0;
    if (!e->dirty)
        enqueue(t, id);
    e->dirty = 1;
}

void topic_mark(struct topics *t, uint32_t id)
{
    mark(t, id, t->clock);
}

void topic_mark_set(struct topics *t, uint32_t set, uint32_t topic)
{
    mark(t, set, entry(t, topic)->since);
}

uint32_t topic_dirty(const struct topics *t)
{
    return t->h->dirty;
}

void topic_clean(struct topics *t)
{
    struct topic *e = topic_at(t, dequeue(t));
    e->dirty = 0;
    e->todo = 0;
    e->round = 0;
}

void topic_rotate(struct topics *t)
{
    enqueue(t, dequeue(t));
}
