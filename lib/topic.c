/*
 * topic.c - the table of topics and sets, and who subscribes to what.
 *
 * The table is found through buckets that come into use one by one (linear hashing: each new entry
 * may split one bucket), entries and edges by number, each taken from a free list or else from the
 * unused rest behind; so that memory is touched in step with what there is. The topics of a set are
 * in an open-addressed table in the pool, at most half full, closed up by shifting back when one
 * leaves. Whatever needs several pieces takes back those it has got when one can't be had.
 */
#include "topic.h"

#include "hash.h"

#include <assert.h>

#define POOL_SHIFT       5u         /* a unit of the pool: most names */
#define POOL_PER_ENTRY   16u        /* units of address space for each entry, and ... */
#define POOL_UNITS_MIN   (1u << 17) /* ... at least: a few wide sets in the smallest table */
#define EDGES_PER_ENTRY  4u
#define MEMBER_SLOTS_MIN 4u /* a unit */

struct topics_head {
    uint64_t seed[2];
    uint64_t version; /* changes with every edge and subscriber */
    uint32_t max;
    uint32_t buckets, mask;          /* in use; the least 2^k - 1 that reaches the last of them */
    uint32_t used, free;             /* entries: numbers ever given, first of those taken back */
    uint32_t edges_used, edges_free; /* edges: the same */
    uint32_t topics, sets;           /* how many */
    uint32_t wild;                   /* first set with a wildcard */
    uint32_t dirty, dirty_last;      /* the queue */
};

/* The parts of an expression, in a block of the pool: patterns first, then plain names. */
struct parts {
    uint32_t block;
    struct span *at;
    uint32_t patterns, names;
};

/* ---- setting up ------------------------------------------------------------------------------ */

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

static uint32_t pool_units(uint32_t max)
{
    uint32_t units = POOL_UNITS_MIN;
    while (units < max * POOL_PER_ENTRY)
        units *= 2;
    return units;
}

struct topics_memory topics_size(uint32_t max)
{
    assert(max > 0 && max <= TOPICS_MAX);
    return (struct topics_memory){
        .table = head_size() + buckets_size(max) + ((size_t)max + 1) * sizeof(struct topic),
        .edges = ((size_t)max * EDGES_PER_ENTRY + 1) * sizeof(struct topic_edge),
        .pool = (size_t)pool_units(max) << POOL_SHIFT,
        .pool_meta = pool_meta_size(pool_units(max)),
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
        .topic = (struct topic *)(void *)(bucket + buckets_size(max)),
        .edge = edges,
        .max = max,
        .edges_max = max * EDGES_PER_ENTRY,
    };
}

void topics_init(struct topics *t, uint32_t max, void *table, void *edges, void *pool,
                 void *pool_meta, const uint64_t seed[2])
{
    locate(t, max, table, edges);
    *t->h = (struct topics_head){
        .seed = {seed[0], seed[1]},
        .version = 1, /* a new topic's reach, as of version 0, is not known */
        .max = max,
        .buckets = 1,
    };
    pool_init(&t->pool, pool, pool_meta, pool_units(max), POOL_SHIFT);
}

void topics_attach(struct topics *t, uint32_t max, void *table, void *edges, void *pool,
                   void *pool_meta)
{
    locate(t, max, table, edges);
    assert(t->h->max == max);
    pool_attach(&t->pool, pool, pool_meta, pool_units(max), POOL_SHIFT);
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

uint32_t topic_count(const struct topics *t)
{
    return t->h->topics;
}

uint32_t topic_set_count(const struct topics *t)
{
    return t->h->sets;
}

/* ---- entries --------------------------------------------------------------------------------- */

/* The entry of a number in use. */
static struct topic *entry(const struct topics *t, uint32_t id)
{
    assert(id > 0 && id <= t->h->used);
    struct topic *e = topic_at(t, id);
    assert(e->name != 0);
    return e;
}

static struct span name_of(const struct topics *t, const struct topic *e)
{
    return (struct span){pool_at(&t->pool, e->name), e->name_size};
}

struct span topic_name(const struct topics *t, uint32_t id)
{
    return name_of(t, entry(t, id));
}

static uint64_t hash_of(const struct topics *t, struct span name)
{
    return hash_table(t->h->seed[0], t->h->seed[1], name);
}

static uint32_t *bucket_of(const struct topics *t, uint64_t hash)
{
    uint32_t i = (uint32_t)hash & t->h->mask;
    return &t->bucket[i < t->h->buckets ? i : i & t->h->mask >> 1];
}

static uint32_t lookup(const struct topics *t, struct span name, uint64_t hash)
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
    uint32_t id = lookup(t, name, hash_of(t, name));
    return id != 0 && !topic_at(t, id)->set ? id : 0;
}

/* Takes one more bucket into use: those of its lower half that belong there move. */
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

/* Gives a number to the name in that block, which becomes its own; 0 if none is left. */
static uint32_t entry_add(struct topics *t, uint32_t name, uint32_t name_size, uint64_t hash)
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

static void entry_drop(struct topics *t, uint32_t id)
{
    struct topic *e = entry(t, id);
    uint32_t *at = bucket_of(t, e->hash);
    assert(e->subscribers == 0 && !e->dirty && e->edges == 0 && e->members == 0);
    while (*at != id)
        at = &topic_at(t, *at)->hash_next;
    *at = e->hash_next;
    pool_free(&t->pool, e->name);
    *e = (struct topic){.hash_next = t->h->free};
    t->h->free = id;
}

/* ---- a set's table of topics ----------------------------------------------------------------- */

/* Where a topic would be in a table of `cap` slots, were it alone. Topics whose numbers follow
 * each other are likely to come and go together, so eight of them share a cache line; otherwise
 * the place is keyed, since a peer has a say in the numbers. */
static uint32_t home_of(const struct topics *t, uint32_t topic, uint32_t cap)
{
    uint64_t x = (topic >> 3 ^ t->h->seed[0]) * 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 32) * 0xD6E8FEB86659FD93u;
    return ((uint32_t)(x >> 32) << 3 | (topic & 7)) & (cap - 1);
}

static struct topic_slot *slots_of(const struct topics *t, const struct topic *set)
{
    return pool_at(&t->pool, set->members);
}

/* The slot of a topic, or the free one where its place is. */
static struct topic_slot *slot_for(const struct topics *t, struct topic_slot *slots, uint32_t cap,
                                   uint32_t topic)
{
    uint32_t i = home_of(t, topic, cap);
    while (slots[i].topic != 0 && slots[i].topic != topic)
        i = (i + 1) & (cap - 1);
    return &slots[i];
}

/* Sees to it that one topic more leaves half of the slots free. */
static bool members_reserve(struct topics *t, struct topic *set)
{
    uint32_t cap = set->member_cap;
    if ((set->member_count + 1) * 2 <= cap)
        return true;
    uint32_t wider = cap == 0 ? MEMBER_SLOTS_MIN : cap * 2;
    uint32_t block = pool_alloc(&t->pool, wider * sizeof(struct topic_slot));
    if (block == 0)
        return false;
    struct topic_slot *to = pool_at(&t->pool, block);
    memset(to, 0, wider * sizeof(struct topic_slot));
    if (cap > 0) {
        const struct topic_slot *from = slots_of(t, set);
        for (uint32_t i = 0; i < cap; i++)
            if (from[i].topic != 0)
                *slot_for(t, to, wider, from[i].topic) = from[i];
        pool_free(&t->pool, set->members);
    }
    set->members = block;
    set->member_cap = wider;
    return true;
}

static void member_drop(struct topics *t, struct topic *set, uint32_t topic)
{
    struct topic_slot *slots = slots_of(t, set);
    uint32_t last = set->member_cap - 1;
    uint32_t hole = (uint32_t)(slot_for(t, slots, last + 1, topic) - slots);
    assert(slots[hole].topic == topic);
    for (uint32_t i = (hole + 1) & last; slots[i].topic != 0; i = (i + 1) & last) {
        uint32_t home = home_of(t, slots[i].topic, last + 1);
        if (((i - home) & last) < ((i - hole) & last))
            continue; /* its place is behind the hole */
        slots[hole] = slots[i];
        hole = i;
    }
    slots[hole] = (struct topic_slot){0, 0};
    set->member_count--;
}

bool topic_in_set(const struct topics *t, uint32_t set, uint32_t topic)
{
    const struct topic *e = entry(t, set);
    assert(e->set && topic != 0);
    return e->member_count > 0 && slot_for(t, slots_of(t, e), e->member_cap, topic)->topic == topic;
}

uint32_t topic_member(const struct topics *t, uint32_t id, uint32_t *pos)
{
    const struct topic *e = entry(t, id);
    if (!e->set)
        return (*pos)++ == 0 ? id : 0;
    while (*pos < e->member_cap) {
        uint32_t topic = slots_of(t, e)[(*pos)++].topic;
        if (topic != 0)
            return topic;
    }
    return 0;
}

/* ---- edges ----------------------------------------------------------------------------------- */

static uint32_t edge_new(struct topics *t)
{
    struct topics_head *h = t->h;
    uint32_t id = h->edges_free;
    if (id != 0)
        h->edges_free = t->edge[id].next;
    else if (h->edges_used < t->edges_max)
        id = ++h->edges_used;
    return id;
}

/* Puts a topic into a set it isn't in. */
static bool edge_add(struct topics *t, uint32_t set, uint32_t topic, bool listed)
{
    struct topic *s = entry(t, set), *e = entry(t, topic);
    assert(s->set && !e->set);
    if (!members_reserve(t, s))
        return false;
    uint32_t edge = edge_new(t);
    if (edge == 0)
        return false;
    struct topic_slot *slot = slot_for(t, slots_of(t, s), s->member_cap, topic);
    assert(slot->topic == 0);
    *slot = (struct topic_slot){topic, edge};
    s->member_count++;
    t->edge[edge] = (struct topic_edge){.set = set, .next = e->edges, .listed = listed};
    if (e->edges != 0)
        t->edge[e->edges].prev = edge;
    e->edges = edge;
    e->listed += listed;
    t->h->version++;
    return true;
}

/* Takes an edge out of its topic's list; the slot in its set's table is the caller's business. */
static void edge_drop(struct topics *t, uint32_t topic, uint32_t edge)
{
    struct topic *e = entry(t, topic);
    struct topic_edge was = t->edge[edge];
    if (was.next != 0)
        t->edge[was.next].prev = was.prev;
    if (was.prev != 0)
        t->edge[was.prev].next = was.next;
    else
        e->edges = was.next;
    e->listed -= was.listed;
    t->edge[edge] = (struct topic_edge){.next = t->h->edges_free};
    t->h->edges_free = edge;
    t->h->version++;
}

uint32_t topic_set_of(const struct topics *t, uint32_t topic, uint32_t *edge)
{
    uint32_t next = *edge == 0 ? entry(t, topic)->edges : t->edge[*edge].next;
    while (next != 0) {
        *edge = next;
        if (topic_at(t, t->edge[next].set)->subscribers > 0)
            return t->edge[next].set;
        next = t->edge[next].next;
    }
    return 0;
}

/* ---- topics ---------------------------------------------------------------------------------- */

/* Does one of the wildcards of a set match the name? They are in front in its own name. */
static bool set_matches(const struct topics *t, uint32_t set, struct span name)
{
    struct span rest = topic_name(t, set);
    while (rest.p != NULL) {
        struct span part = span_cut(&rest, ',');
        if (!topic_is_pattern(part))
            return false;
        if (topic_match(part, name))
            return true;
    }
    return false;
}

static void topic_drop(struct topics *t, uint32_t id)
{
    struct topic *e = entry(t, id);
    assert(!e->set && e->listed == 0);
    while (e->edges != 0) {
        member_drop(t, topic_at(t, t->edge[e->edges].set), id);
        edge_drop(t, id, e->edges);
    }
    t->h->topics--;
    entry_drop(t, id);
}

/* Makes the topic of a name that isn't in the table, in the sets whose wildcards match it. */
static uint32_t topic_make(struct topics *t, struct span name, uint64_t hash)
{
    struct topics_head *h = t->h;
    assert(name.n > 0 && name.n <= TOPIC_NAME_MAX);
    if (t->topics_max != 0 && h->topics >= t->topics_max)
        return 0;
    uint32_t block = pool_alloc(&t->pool, name.n);
    if (block == 0)
        return 0;
    uint32_t id = entry_add(t, block, (uint32_t)name.n, hash);
    if (id == 0) {
        pool_free(&t->pool, block);
        return 0;
    }
    memcpy(pool_at(&t->pool, block), name.p, name.n);
    h->topics++;
    for (uint32_t set = h->wild; set != 0; set = topic_at(t, set)->wild_next)
        if (set_matches(t, set, name) && !edge_add(t, set, id, false)) {
            topic_drop(t, id);
            return 0;
        }
    return id;
}

uint32_t topic_open(struct topics *t, struct span name, bool *made)
{
    uint64_t hash = hash_of(t, name);
    uint32_t id = lookup(t, name, hash);
    *made = false;
    if (id == 0) {
        id = topic_make(t, name, hash);
        *made = id != 0;
    }
    assert(id == 0 || !topic_at(t, id)->set);
    return id;
}

/* Does anybody need the entry? */
static bool is_needed(const struct topic *e)
{
    return e->subscribers > 0 || e->dirty || (!e->set && (e->listed > 0 || e->kept));
}

/* ---- sets ------------------------------------------------------------------------------------ */

static void wild_join(struct topics *t, uint32_t set)
{
    struct topic *s = entry(t, set);
    s->wild = 1;
    s->wild_next = t->h->wild;
    if (s->wild_next != 0)
        topic_at(t, s->wild_next)->wild_prev = set;
    t->h->wild = set;
}

static void wild_leave(struct topics *t, const struct topic *s)
{
    if (s->wild_next != 0)
        topic_at(t, s->wild_next)->wild_prev = s->wild_prev;
    if (s->wild_prev != 0)
        topic_at(t, s->wild_prev)->wild_next = s->wild_next;
    else
        t->h->wild = s->wild_next;
}

/* Frees a set, and the topics that it was the last to need. Without `gone` it is one that couldn't
 * be finished: of its topics only those go that were made for it, of which nobody knows. */
static void set_drop(struct topics *t, uint32_t id, void (*gone)(void *arg, uint32_t topic),
                     void *arg)
{
    struct topic *s = entry(t, id);
    if (s->wild)
        wild_leave(t, s);
    for (uint32_t i = 0; i < s->member_cap; i++) {
        struct topic_slot slot = slots_of(t, s)[i];
        if (slot.topic == 0)
            continue;
        const struct topic *e = topic_at(t, slot.topic);
        bool listed = t->edge[slot.edge].listed;
        edge_drop(t, slot.topic, slot.edge);
        if (!listed || is_needed(e) || (gone == NULL && !e->fresh))
            continue;
        if (gone != NULL)
            gone(arg, slot.topic);
        topic_drop(t, slot.topic);
    }
    if (s->members != 0)
        pool_free(&t->pool, s->members);
    s->members = 0;
    t->h->sets--;
    entry_drop(t, id);
}

/* Puts a topic into a set by its name. */
static bool set_list(struct topics *t, uint32_t set, struct span name)
{
    bool made;
    uint32_t topic = topic_open(t, name, &made);
    if (topic == 0)
        return false;
    topic_at(t, topic)->fresh = made;
    if (edge_add(t, set, topic, true))
        return true;
    if (made)
        topic_drop(t, topic);
    return false;
}

/* Puts the topics into a set that its patterns match. */
static bool set_match(struct topics *t, uint32_t set, const struct parts *parts)
{
    if (parts->patterns == 0)
        return true;
    for (uint32_t id = 1; id <= t->h->used; id++) {
        const struct topic *e = topic_at(t, id);
        if (e->name == 0 || e->set)
            continue;
        for (uint32_t i = 0; i < parts->patterns; i++) {
            if (!topic_match(parts->at[i], name_of(t, e)))
                continue;
            if (!topic_in_set(t, set, id) && !edge_add(t, set, id, false))
                return false;
            break;
        }
    }
    return true;
}

/* Makes the set of the name in that block, which becomes its own if it succeeds. It joins the sets
 * with wildcards last, so that the topics it lists don't enter it by a wildcard first. */
static uint32_t set_make(struct topics *t, const struct parts *parts, uint32_t block, uint32_t size,
                         uint64_t hash)
{
    uint32_t id = entry_add(t, block, size, hash);
    if (id == 0) {
        pool_free(&t->pool, block);
        return 0;
    }
    struct topic *s = topic_at(t, id);
    s->set = 1;
    s->several = 1;
    s->names = parts->names;
    t->h->sets++;
    bool done = true;
    for (uint32_t i = 0; i < parts->names && done; i++)
        done = set_list(t, id, parts->at[parts->patterns + i]);
    if (!done || !set_match(t, id, parts)) {
        set_drop(t, id, NULL, NULL);
        return 0;
    }
    if (parts->patterns > 0)
        wild_join(t, id);
    return id;
}

/* The set of these parts, made if need be. */
static uint32_t set_open(struct topics *t, const struct parts *parts)
{
    size_t size = 0;
    uint32_t count = parts->patterns + parts->names;
    for (uint32_t i = 0; i < count; i++)
        size += parts->at[i].n + (i > 0);
    uint32_t block = pool_alloc(&t->pool, size);
    if (block == 0)
        return 0;
    char *name = pool_at(&t->pool, block), *to = name;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            *to++ = ',';
        memcpy(to, parts->at[i].p, parts->at[i].n);
        to += parts->at[i].n;
    }
    uint64_t hash = hash_of(t, (struct span){name, size});
    uint32_t id = lookup(t, (struct span){name, size}, hash);
    if (id == 0)
        return set_make(t, parts, block, (uint32_t)size, hash);
    pool_free(&t->pool, block);
    return id;
}

/* ---- what a path selects --------------------------------------------------------------------- */

static bool is_before(struct span a, struct span b)
{
    int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return c < 0 || (c == 0 && a.n < b.n);
}

/* Lets s[i] sink in the heap of n spans, whose top is the last in order. */
static void sink(struct span *s, size_t i, size_t n)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n)
            return;
        if (child + 1 < n && is_before(s[child], s[child + 1]))
            child++;
        if (!is_before(s[i], s[child]))
            return;
        struct span was = s[i];
        s[i] = s[child];
        s[child] = was;
        i = child;
    }
}

/* Puts spans in order (heapsort: no memory, and no order that a peer chooses makes it slow), leaves
 * out repeats; gives how many there are. */
static uint32_t sort_unique(struct span *s, uint32_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sink(s, i, n);
    for (size_t end = n; end-- > 1;) {
        struct span top = s[0];
        s[0] = s[end];
        s[end] = top;
        sink(s, 0, end);
    }
    uint32_t out = 0;
    for (uint32_t i = 0; i < n; i++)
        if (out == 0 || !span_eq(s[out - 1], s[i]))
            s[out++] = s[i];
    return out;
}

static size_t parts_count(struct span s)
{
    size_t n = 0;
    do {
        span_cut(&s, ',');
        n++;
    } while (s.p != NULL);
    return n;
}

/* Splits an expression of `count` parts, into a block that parts_free() takes back. False: *why
 * says what is wrong with one, or is NULL where there is no room. */
static bool parts_split(struct topics *t, struct parts *parts, struct span s, uint32_t count,
                        const char **why)
{
    *parts = (struct parts){.block = pool_alloc(&t->pool, count * sizeof(struct span))};
    if (parts->block == 0)
        return false;
    parts->at = pool_at(&t->pool, parts->block);
    do {
        struct span part = span_cut(&s, ',');
        *why = topic_pattern_wrong(part);
        if (*why != NULL) {
            pool_free(&t->pool, parts->block);
            return false;
        }
        if (topic_is_pattern(part))
            parts->at[parts->patterns++] = part;
        else
            parts->at[count - ++parts->names] = part;
    } while (s.p != NULL);
    struct span *names = parts->at + parts->patterns;
    parts->patterns = sort_unique(parts->at, parts->patterns);
    parts->names = sort_unique(names, parts->names);
    memmove(parts->at + parts->patterns, names, parts->names * sizeof(struct span));
    return true;
}

/* Tells of the topics of an entry that are fresh, which they no longer are then. */
static void report_fresh(struct topics *t, uint32_t id, void (*made)(void *arg, uint32_t topic),
                         void *arg)
{
    uint32_t pos = 0, topic;
    while ((topic = topic_member(t, id, &pos)) != 0)
        if (topic_at(t, topic)->fresh) {
            topic_at(t, topic)->fresh = 0;
            made(arg, topic);
        }
}

/* The entry of these parts. */
static uint32_t parts_open(struct topics *t, const struct parts *parts)
{
    if (parts->patterns > 0 || parts->names > 1)
        return set_open(t, parts);
    bool made;
    uint32_t id = topic_open(t, parts->at[0], &made);
    if (id != 0)
        topic_at(t, id)->fresh = made;
    return id;
}

uint32_t topic_select(struct topics *t, struct span expression, uint32_t most,
                      void (*made)(void *arg, uint32_t topic), void *arg, const char **why)
{
    size_t count = parts_count(expression);
    assert(expression.n <= UINT32_MAX);
    *why = NULL;
    if (count > most) {
        *why = "has more parts than are allowed";
        return 0;
    }
    /* What is in the table under just this name was found right when it came there. */
    uint32_t id = lookup(t, expression, hash_of(t, expression));
    if (id != 0)
        return id;
    struct parts parts;
    if (!parts_split(t, &parts, expression, (uint32_t)count, why))
        return 0;
    id = parts_open(t, &parts);
    pool_free(&t->pool, parts.block);
    if (id != 0)
        report_fresh(t, id, made, arg);
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
        topic_drop(t, id);
    }
}

/* ---- subscribers ----------------------------------------------------------------------------- */

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
    t->h->version++;
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
    /* Whether one elsewhere in the ring was still to be looked at isn't known: then another is
     * looked at twice, at worst. */
    if (e->todo > e->subscribers)
        e->todo = e->subscribers;
    t->h->version++;
}

uint32_t topic_reach(struct topics *t, uint32_t topic)
{
    struct topic *e = entry(t, topic);
    assert(!e->set);
    if (e->reach_version != t->h->version) {
        e->reach = e->subscribers;
        for (uint32_t edge = e->edges; edge != 0; edge = t->edge[edge].next)
            e->reach += topic_at(t, t->edge[edge].set)->subscribers;
        e->reach_version = t->h->version;
    }
    return e->reach;
}

/* ---- the queue for fan-out ------------------------------------------------------------------- */

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

void topic_mark(struct topics *t, uint32_t id)
{
    struct topic *e = entry(t, id);
    if (e->subscribers == 0 && e->edges == 0)
        return;
    e->todo = e->subscribers;
    e->begun = 0;
    if (!e->dirty)
        enqueue(t, id);
    e->dirty = 1;
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
}

void topic_rotate(struct topics *t)
{
    enqueue(t, dequeue(t));
}
