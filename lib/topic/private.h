/*
 * topic_private.h - what the files behind topic.h share: topic.c (entries,
 * subscribers, the queue), set.c (sets and what a path selects), wild.c
 * (wildcards), order.c (topics in order of their names).
 */
#ifndef SSE_LIB_TOPIC_PRIVATE_H
#define SSE_LIB_TOPIC_PRIVATE_H

#include "lib/fair.h"
#include "lib/hash.h"
#include "lib/topic/topic.h"

#include <assert.h>

#define NODE_BUCKETS_PER_ENTRY 4u

/* In `seen`: there are more sets than it has room for. */
#define TOPIC_MANY UINT32_MAX

struct topics_head {
    uint64_t seed[2];
    uint64_t version; /* changes with every edge and subscriber */
    uint64_t
        sets_version; /* with every edge, and with each set that has got or lost all subscribers */
    uint64_t changes; /* with every topic that comes or goes */
    uint64_t freed;   /* entries that were freed: their numbers may have been given again */
    uint32_t max;
    uint32_t buckets, mask;           /* in use; the least 2^k - 1 that reaches the last of them */
    uint32_t used, free;              /* entries: numbers ever given, first of those taken back */
    uint32_t edges_used, edges_free;  /* edges: the same, ... */
    uint32_t edges;                   /* ... and how many are in use */
    uint32_t topics, sets;            /* how many */
    uint32_t subscribers;             /* on all of them */
    uint32_t root, first;             /* topics in order: the tree, and the first one */
    uint32_t nodes;                   /* of the wildcards: how many */
    uint32_t node_buckets, node_mask; /* as above */
    uint32_t dirty, dirty_last;       /* the queue */
};

/* ---- entries: topic.c
 * ------------------------------------------------------------------------ */

/* The entry of a number in use. */
static inline struct topic *entry(const struct topics *t, uint32_t id)
{
    assert(id > 0 && id <= t->h->used);
    struct topic *e = topic_at(t, id);
    assert(e->name != 0);
    return e;
}

static inline struct span name_of(const struct topics *t, const struct topic *e)
{
    return (struct span){pool_at(e->set ? &t->sets : &t->names, e->name), e->name_size};
}

static inline uint64_t topics_hash(const struct topics *t, struct span name)
{
    return hash_table(t->h->seed[0], t->h->seed[1], name);
}

/* In the order of their bytes? */
static inline bool is_before(struct span a, struct span b)
{
    int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return c < 0 || (c == 0 && a.n < b.n);
}

/* Does anybody need the entry? */
static inline bool is_needed(const struct topic *e)
{
    return e->subscribers > 0 || e->dirty || (!e->set && (e->listed > 0 || e->kept));
}

/* The entry of that name and hash, 0 if there is none. */
uint32_t topics_lookup(const struct topics *t, struct span name, uint64_t hash);

/* Gives a number to the name in that block, which becomes its own; 0 if none is
 * left. */
uint32_t topics_add(struct topics *t, uint32_t name, uint32_t name_size, uint64_t hash);

/* Takes back the number of what is in use nowhere else; the same for a topic.
 */
void topics_drop(struct topics *t, uint32_t id);
void topics_drop_topic(struct topics *t, uint32_t id);

/* A block for the set that is being made, within its share; 0: there is no room, and t->full says
 * of what. */
uint32_t topics_set_alloc(struct topics *t, size_t bytes);

/* A number for an edge of it, likewise; takes one back. */
uint32_t topics_edge_new(struct topics *t);
void topics_edge_free(struct topics *t, uint32_t edge);

/* ---- sets: set.c
 * -----------------------------------------------------------------------------
 */

/* Frees a set that nobody needs, and the topics that it was the last to need.
 * Without `gone` it is one that couldn't be finished: of its topics only those
 * go that were made for it, of which nobody knows. */
void set_drop(struct topics *t, uint32_t id, void (*gone)(void *arg, uint32_t topic), void *arg);

/* Puts spans in order, leaves out repeats; gives how many there are. */
uint32_t sort_unique(struct span *s, uint32_t n);

/* What a set may take that is made from now on. */
void topics_may(struct topics *t);

/* ---- wildcards: wild.c
 * ----------------------------------------------------------------------- */

/* Puts a set's wildcards, the first `n` parts of its name, where they are found
 * from a topic's name; false where there is no room, and what has been done is
 * for wild_drop(). `scratch` has room for so many. */
bool wild_add(struct topics *t, uint32_t set, uint32_t n, struct span *scratch);
void wild_drop(struct topics *t, uint32_t set);

/* Does a wildcard of the set match the topic? What that costs at most, see topic_weight(). */
uint32_t wild_weight(const struct topics *t, const struct topic *set);
bool wild_has(const struct topics *t, const struct topic *set, const struct topic *topic);

/* Puts the sets with subscribers that have a wildcard which matches the name in
 * front of the list that begins at `first`, linked by found_next, unless they
 * are marked as found; marks them. Gives where it begins then. */
uint32_t wild_find(const struct topics *t, struct span name, uint32_t first);

/* Of what may match the set's wildcards, by what is in front of them, the topic
 * that comes next after `topic` (0: the first), 0 at the end; and how many
 * there are. */
uint32_t wild_candidate(const struct topics *t, const struct topic *set, uint32_t topic);
uint32_t wild_candidates(const struct topics *t, const struct topic *set);

/* ---- topics in order: order.c
 * ---------------------------------------------------------------- */

void order_add(struct topics *t, uint32_t topic);
void order_drop(struct topics *t, uint32_t topic);

/* The first topic whose name is not before `from`, 0 if there is none. */
uint32_t order_seek(const struct topics *t, struct span from);

/* How many topics' names begin with `head`. */
uint32_t order_count(const struct topics *t, struct span head);

#endif
