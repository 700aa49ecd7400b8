/*
 * wild.c - the wildcards of sets: which sets match a topic, and which topics
 * match a set.
 *
 * FROM A NAME TO SETS: a tree of the wildcards' segments, whose nodes stand in
 * one hash table under the hash of the path from the root, so that a name is
 * looked up segment by segment, by its own and by "*". At the node where a
 * wildcard ends is the list of the sets that have it. A set with many has a
 * tree of its own besides, with a root of its own, so that it is quick to tell
 * whether one of them matches. That two ways have one hash isn't ruled out, but
 * a matter of 64 bits whose key nobody outside knows; then fan-out looks at a
 * set that has nothing to get.
 *
 * FROM A SET TO TOPICS: what is in front of the first "*" is how a topic's name
 * must begin; of these beginnings those that others cover are left out, the
 * rest is in order, each a stretch of the topics in order (order.c).
 *
 * So a set costs what it has of wildcards, and a topic what matches it, however
 * many there are of the other.
 */
#include "lib/topic/wild.h"

#include "lib/topic/order.h"
#include "lib/topic/room.h"
#include "lib/topic/sort.h"

#define WILD_FEW      8u /* wildcards tried one by one */
#define WILD_SEGMENTS (TOPIC_NAME_MAX / 2 + 1)

struct wild_pattern {
    uint32_t at, size; /* in the set's name */
    uint32_t edge;     /* in the list of its sets; 0: not there yet */
};

struct wild_range {
    uint32_t at, size; /* a beginning, in the set's name */
};

/* The wildcards of a set, in a block of the pool, followed by its ranges. */
struct wild {
    uint64_t changes;    /* the value of topics.changes at which `candidates` was right; 0: never */
    uint32_t candidates; /* ... */
    uint32_t patterns, ranges;
    uint32_t own;    /* how many are in its own tree */
    uint32_t weight; /* see topic_weight() */
    struct wild_pattern pattern[];
};

/* A node of the tree: a block of the pool. */
struct wild_node {
    uint64_t key; /* of the path to it */
    uint32_t hash_next;
    uint32_t words, stars; /* wildcards that go on from here: with a name, with "*" */
    uint32_t ends, rests;  /* those that end here, or with a "**" here: first edge; in a set's
                own tree: number of the pattern, 1 and up */
};

static struct wild *wild_of(const struct topics *t, const struct topic_set *set)
{
    return pool_at(&t->sets, set->wildcards);
}

static struct wild_range *ranges_of(struct wild *w)
{
    return (struct wild_range *)(w->pattern + w->patterns);
}

static struct span cut_out(struct span name, uint32_t at, uint32_t size)
{
    return (struct span){name.p + at, size};
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static uint64_t key_below(uint64_t key, uint64_t segment)
{
    uint64_t x = (key ^ segment >> 29 ^ segment) * 0x9E3779B97F4A7C15u + segment;
    x = (x ^ x >> 32) * 0xD6E8FEB86659FD93u;
    return x ^ x >> 32;
}

static uint64_t root_of_all(const struct topics *t)
{
    return key_below(t->h->seed[0], t->h->seed[1]);
}

static uint64_t root_of(const struct topics *t, const struct topic_set *set)
{
    return key_below(root_of_all(t), set->hash);
}

static struct wild_node *node_of(const struct topics *t, uint32_t block)
{
    return pool_at(&t->sets, block);
}

static uint32_t *node_bucket(const struct topics *t, uint64_t key)
{
    return linear_bucket(&t->h->by_key, t->node_bucket, key);
}

static uint32_t *node_link(const void *topics, uint32_t block, uint64_t *key)
{
    struct wild_node *node = node_of(topics, block);
    *key = node->key;
    return &node->hash_next;
}

/* Returns the block of the node of that key, 0 if there is none. */
static uint32_t node_find(const struct topics *t, uint64_t key)
{
    uint32_t block = *node_bucket(t, key);
    while (block != 0 && node_of(t, block)->key != key)
        block = node_of(t, block)->hash_next;
    return block;
}

static struct wild_node *node_at(const struct topics *t, uint64_t key)
{
    uint32_t block = node_find(t, key);
    return block != 0 ? node_of(t, block) : NULL;
}

/* Returns the node of that key, made if need be; NULL if there is no room. */
static struct wild_node *node_open(struct topics *t, uint64_t key)
{
    struct topics_head *h = t->h;
    struct wild_node *node = node_at(t, key);
    if (node != NULL)
        return node;
    uint32_t block = room_block(t, sizeof(*node));
    if (block == 0)
        return NULL;
    if (h->nodes >= h->by_key.buckets && h->by_key.buckets / NODE_BUCKETS_PER_ENTRY < h->max)
        linear_split(&h->by_key, t->node_bucket, t, node_link);
    uint32_t *bucket = node_bucket(t, key);
    node = node_of(t, block);
    *node = (struct wild_node){.key = key, .hash_next = *bucket};
    *bucket = block;
    h->nodes++;
    return node;
}

/* Frees the node of that key if no wildcard ends there or goes on. */
static void node_prune(struct topics *t, uint64_t key)
{
    uint32_t block = node_find(t, key);
    if (block == 0)
        return;
    const struct wild_node *node = node_of(t, block);
    if (node->words != 0 || node->stars != 0 || node->ends != 0 || node->rests != 0)
        return;
    linear_remove(&t->h->by_key, t->node_bucket, block, t, node_link);
    pool_free(&t->sets, block);
    t->h->nodes--;
}

/* ---- the path of a wildcard through a tree --------------------------------------------------- */

struct path {
    uint64_t key;     /* of the node it has come to */
    struct span rest; /* what goes on from there */
};

static bool is_rest(struct span rest)
{
    return span_eq(rest, SPAN("**"));
}

static bool path_ends(const struct path *path)
{
    return path->rest.p == NULL || is_rest(path->rest);
}

static void path_step(const struct topics *t, struct path *path)
{
    struct span segment = span_cut(&path->rest, '/');
    path->key = key_below(path->key, topics_hash(t, segment));
}

static void path_prune(struct topics *t, struct path path)
{
    for (;; path_step(t, &path)) {
        node_prune(t, path.key);
        if (path_ends(&path))
            return;
    }
}

/* Adds `by` (1 or UINT32_MAX) to the counts along a wildcard's path. Returns the field of its
 * end. */
static uint32_t *path_count(struct topics *t, struct path path, uint32_t by)
{
    for (;; path_step(t, &path)) {
        struct wild_node *node = node_at(t, path.key);
        assert(node != NULL);
        if (path_ends(&path))
            return path.rest.p == NULL ? &node->ends : &node->rests;
        if (path.rest.p[0] == '*')
            node->stars += by;
        else
            node->words += by;
    }
}

/* Makes the nodes of a wildcard's path. Returns the field of its end; NULL if there is no room. */
static uint32_t *path_open(struct topics *t, const struct path *from)
{
    for (struct path path = *from;; path_step(t, &path)) {
        if (node_open(t, path.key) == NULL) {
            path_prune(t, *from);
            return NULL;
        }
        if (path_ends(&path))
            return path_count(t, *from, 1);
    }
}

/* ---- from a name to what matches it ---------------------------------------------------------- */

struct search {
    const struct topics *t;
    struct span rest; /* of the name: segments not hashed yet */
    uint32_t known, left;
    uint64_t star;
    uint64_t segment[WILD_SEGMENTS]; /* hashes of the segments before */
    struct {
        const struct wild_node *node;
        uint32_t depth;
    } todo[WILD_SEGMENTS + 2]; /* each leaves at most one entry of lesser depth */
};

static void search_add(struct search *s, uint64_t key, uint32_t depth)
{
    const struct wild_node *node = node_at(s->t, key);
    if (node == NULL)
        return;
    assert(s->left < sizeof s->todo / sizeof s->todo[0]);
    s->todo[s->left].node = node;
    s->todo[s->left++].depth = depth;
}

static void search_begin(struct search *s, const struct topics *t, uint64_t root, struct span name)
{
    s->t = t;
    s->rest = name;
    s->known = s->left = 0;
    s->star = topics_hash(t, SPAN("*"));
    if (name.p[0] != '-') /* the server's own */
        search_add(s, root, 0);
}

/* Returns the field of what ends at the next node that the name reaches; 0 at the end. */
static uint32_t search_next(struct search *s)
{
    while (s->left > 0) {
        const struct wild_node *node = s->todo[--s->left].node;
        uint32_t depth = s->todo[s->left].depth;
        if (depth == s->known && s->rest.p != NULL)
            s->segment[s->known++] = topics_hash(s->t, span_cut(&s->rest, '/'));
        bool over = depth == s->known;
        if (!over && node->words > 0)
            search_add(s, key_below(node->key, s->segment[depth]), depth + 1);
        if (!over && node->stars > 0)
            search_add(s, key_below(node->key, s->star), depth + 1);
        uint32_t found = over ? node->ends : node->rests;
        if (found != 0)
            return found;
    }
    return 0;
}

uint32_t wild_find(const struct topics *t, struct span name, uint32_t first)
{
    struct search s;
    if (t->h->nodes == 0)
        return first;
    search_begin(&s, t, root_of_all(t), name);
    for (uint32_t edge; (edge = search_next(&s)) != 0;)
        for (; edge != 0; edge = t->edge[edge].next) {
            uint32_t id = t->edge[edge].set;
            struct topic_set *set = set_at(t, id);
            if (set->found)
                continue;
            set->found = 1;
            set->found_next = first;
            first = id;
        }
    return first;
}

uint32_t wild_weight(const struct topics *t, const struct topic_set *set)
{
    return wild_of(t, set)->weight;
}

bool wild_has(const struct topics *t, const struct topic_set *set, const struct topic *topic)
{
    const struct wild *w = wild_of(t, set);
    struct span list = set_key_name(t, set), name = topic_key_name(t, topic);
    if (w->own == 0) {
        for (uint32_t i = 0; i < w->patterns; i++)
            if (topic_match(cut_out(list, w->pattern[i].at, w->pattern[i].size), name))
                return true;
        return false;
    }
    struct search s;
    search_begin(&s, t, root_of(t, set), name);
    for (uint32_t i; (i = search_next(&s)) != 0;)
        if (topic_match(cut_out(list, w->pattern[i - 1].at, w->pattern[i - 1].size), name))
            return true;
    return false;
}

/* ---- from a set to topics -------------------------------------------------------------------- */

static struct span range_of(const struct topics *t, const struct topic_set *set, uint32_t i)
{
    const struct wild_range *r = ranges_of(wild_of(t, set)) + i;
    return cut_out(set_key_name(t, set), r->at, r->size);
}

/* Returns how many ranges do not begin after the name: the last of them may contain it. */
static uint32_t ranges_up_to(const struct topics *t, const struct topic_set *set, struct span name)
{
    uint32_t lo = 0, hi = wild_of(t, set)->ranges;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (is_before(name, range_of(t, set, mid)))
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* Returns the topic after `topic` in the order of numbers, over all topics: much faster. */
static uint32_t next_number(const struct topics *t, uint32_t topic)
{
    while (topic < t->h->used) {
        const struct topic_key *e = &t->place[++topic].key;
        if (e->name != 0 && !e->is_set)
            return topic;
    }
    return 0;
}

uint32_t wild_candidate(const struct topics *t, const struct topic_set *set, uint32_t topic)
{
    if (range_of(t, set, 0).n == 0)
        return next_number(t, topic);
    topic = topic != 0 ? topic_at(t, topic)->next : topic_at_or_after(t, range_of(t, set, 0));
    while (topic != 0) {
        struct span name = topic_key_name(t, topic_at(t, topic));
        uint32_t i = ranges_up_to(t, set, name);
        if (i > 0 && span_begins(name, range_of(t, set, i - 1)))
            return topic;
        topic = i < wild_of(t, set)->ranges ? topic_at_or_after(t, range_of(t, set, i)) : 0;
    }
    return 0;
}

uint32_t wild_candidates(const struct topics *t, const struct topic_set *set)
{
    struct wild *w = wild_of(t, set);
    if (w->changes != t->h->changes) {
        w->changes = t->h->changes;
        w->candidates = 0;
        for (uint32_t i = 0; i < w->ranges; i++)
            w->candidates += order_count(t, range_of(t, set, i));
    }
    return w->candidates;
}

/* ---- a set comes and goes -------------------------------------------------------------------- */

/* Finds the ranges of a set. */
static void ranges_make(const struct topics *t, const struct topic_set *set, struct span *scratch)
{
    struct span name = set_key_name(t, set);
    struct wild *w = wild_of(t, set);
    struct wild_range *range = ranges_of(w);
    for (uint32_t i = 0; i < w->patterns; i++) {
        struct span s = cut_out(name, w->pattern[i].at, w->pattern[i].size);
        scratch[i] = (struct span){s.p, (size_t)((const char *)memchr(s.p, '*', s.n) - s.p)};
    }
    uint32_t n = sort_unique(scratch, w->patterns);
    w->ranges = 0;
    for (uint32_t i = 0, last = 0; i < n; i++) {
        if (i > 0 && span_begins(scratch[i], scratch[last]))
            continue;
        last = i;
        range[w->ranges++] =
            (struct wild_range){(uint32_t)(scratch[i].p - name.p), (uint32_t)scratch[i].n};
    }
}

/* Adds a set where one of its wildcards ends. Returns false if there is no room. */
static bool pattern_add(struct topics *t, uint32_t set, struct wild_pattern *p, struct span text)
{
    struct path path = {root_of_all(t), text};
    uint32_t edge = room_edge(t);
    if (edge == 0)
        return false;
    uint32_t *end = path_open(t, &path);
    if (end == NULL) {
        room_edge_free(t, edge);
        return false;
    }
    room_edge_link(t, end, edge, set);
    p->edge = edge;
    return true;
}

static void pattern_drop(struct topics *t, const struct wild_pattern *p, struct span text)
{
    struct path path = {root_of_all(t), text};
    uint32_t *end = path_count(t, path, UINT32_MAX);
    room_edge_unlink(t, end, p->edge);
    path_prune(t, path);
}

/* Returns the most that testing a set costs: a step per few bytes of each wildcard, or per node
 * that a name may reach, doubled by each segment that may be "*". */
static uint32_t weight_of(const struct wild *w, struct span name)
{
    uint32_t depth = 0, bytes = 0, nodes = 0;
    for (uint32_t i = 0; i < w->patterns; i++) {
        struct span text = cut_out(name, w->pattern[i].at, w->pattern[i].size);
        uint32_t segments = 0;
        for (; text.p != NULL; segments++)
            span_cut(&text, '/');
        if (depth < segments)
            depth = segments;
        bytes += w->pattern[i].size;
    }
    if (w->patterns <= WILD_FEW)
        return w->patterns + bytes / 8;
    for (uint32_t i = 0; i <= depth; i++) {
        uint32_t ways = 1u << (i < TOPIC_STARS ? i : TOPIC_STARS);
        nodes += ways < w->patterns ? ways : w->patterns;
    }
    return nodes;
}

bool wild_add(struct topics *t, uint32_t set, uint32_t n, struct span *scratch)
{
    struct topic_set *s = set_at(t, set);
    struct span name = set_key_name(t, s), rest = name;
    size_t each = sizeof(struct wild_pattern) + sizeof(struct wild_range);
    uint32_t block = room_block(t, sizeof(struct wild) + n * each);
    if (block == 0)
        return false;
    s->wild = 1;
    s->wildcards = block;
    struct wild *w = wild_of(t, s);
    *w = (struct wild){.patterns = n};
    for (uint32_t i = 0; i < n; i++) {
        struct span text = span_cut(&rest, ',');
        w->pattern[i] = (struct wild_pattern){(uint32_t)(text.p - name.p), (uint32_t)text.n, 0};
    }
    w->weight = weight_of(w, name);
    ranges_make(t, s, scratch);
    for (uint32_t i = 0; i < n; i++) {
        struct wild_pattern *p = &w->pattern[i];
        if (!pattern_add(t, set, p, cut_out(name, p->at, p->size)))
            return false;
    }
    for (uint32_t i = 0; i < n && n > WILD_FEW; i++) {
        struct path path = {root_of(t, s), cut_out(name, w->pattern[i].at, w->pattern[i].size)};
        uint32_t *end = path_open(t, &path);
        if (end == NULL)
            return false;
        *end = ++w->own;
    }
    return true;
}

void wild_drop(struct topics *t, uint32_t set)
{
    struct topic_set *s = set_at(t, set);
    struct span name = set_key_name(t, s);
    struct wild *w = wild_of(t, s);
    for (uint32_t i = 0; i < w->patterns; i++) {
        struct span text = cut_out(name, w->pattern[i].at, w->pattern[i].size);
        if (w->pattern[i].edge != 0)
            pattern_drop(t, &w->pattern[i], text);
        if (i >= w->own)
            continue;
        struct path path = {root_of(t, s), text};
        *path_count(t, path, UINT32_MAX) = 0;
        path_prune(t, path);
    }
    pool_free(&t->sets, s->wildcards);
    s->wildcards = 0;
    s->wild = 0;
}
