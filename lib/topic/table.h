/*
 * table.h - the memory of the table of topics and sets: entries, their numbers, and the hash table
 * that finds them by name.
 *
 * TWO KINDS of entry. A TOPIC is one name. A SET is what a URL with several names or with wildcards
 * selects, so that all who ask for the same share one entry:
 *
 *     "a"  TOPIC ------------------------- subscribers of /a
 *       \
 *        edge ---- "a,b"  SET  ----------- subscribers of /a,b and of /b,a
 *       /
 *     "b"  TOPIC
 *        ......... "*"    SET  ----------- subscribers of /STAR
 *
 * NUMBERS. A topic has a number from 1 to max; 0 is none. A set's number has the bit TOPIC_SET, so
 * the two can't be mistaken for each other: topic_at() takes the one, set_at() the other. What
 * applies to both, as its subscribers do, takes either: `id` names it in these headers. Both take
 * their places from one table, so either may use the room that the other leaves.
 *
 * A NUMBER IS GIVEN AGAIN once its entry is freed. Code that remembers a number for longer than the
 * entry is needed keeps a struct topic_ref.
 *
 * STOREYS. Each file stands on those before it and knows nothing of those behind:
 *
 *     table     this: memory, numbers, hash
 *     order     the topics in the order of their names
 *     names     topics by name: find, make, drop
 *     room      what a set may take of the room for all
 *     wild      which sets match a name, which names match a set
 *     sets      what a URL selects; which topics a set has
 *     members   who subscribes to what; whom a topic reaches; when an entry is freed
 *     fanout    the queue of what has something new, and the walk over its subscribers
 *
 * An entry has a part for each: the members' and fan-out's is struct topic_group.
 *
 * MEMORY: the caller hands it over at the start, zeroed: a table, two pools (lib/pool.h) for names
 * and for sets, a table for edges. It holds numbers, no pointers, so it may be mapped elsewhere
 * later. It is touched from the front as it comes into use, so it may be much larger than what is
 * used. Names are hashed with a key, so that a peer can't choose collisions.
 */
#ifndef SSE_LIB_TOPIC_TABLE_H
#define SSE_LIB_TOPIC_TABLE_H

#include "lib/hash.h"
#include "lib/linear.h"
#include "lib/name.h"
#include "lib/pool.h"

#include <assert.h>

#define TOPICS_MAX (1u << 26) /* entries of a table */
#define TOPIC_SET  (1u << 31) /* in the number of a set */

/* What topics and sets share: their subscribers, and how far fan-out is. See members.h and
 * fanout.h. */
struct topic_group {
    uint32_t subscribers; /* how many */
    uint32_t iter;        /* the subscriber whose turn is next, 0: none */
    uint32_t todo;        /* how many are still to be looked at, from iter on */
    uint32_t round : 24;  /* how many of them until all have what came at `since`; 0: not timed */
    uint32_t dirty : 1;   /* in the queue */
    uint32_t begun : 1;   /* its walk has begun since it was marked */
    uint32_t since;       /* when what is timed was marked, by topics.clock */
    uint32_t dirty_next;
};

/* Every entry begins with these. */
struct topic_key {
    uint64_t hash;           /* of the name */
    uint32_t hash_next;      /* the number of the next in its bucket; free: of the next free */
    uint32_t name;           /* block of the pool, 0: the entry is free */
    uint32_t name_size : 31; /* bytes */
    uint32_t is_set : 1;
};

struct topic {
    uint64_t hash;
    uint32_t hash_next, name, name_size : 31, is_set : 1; /* as in struct topic_key */
    uint32_t edges;                                       /* first of its edges to sets */
    struct topic_group group;
    uint32_t listed : 30;       /* how many sets list it by name */
    uint32_t kept : 1;          /* the caller's: it needs the topic, which has messages */
    uint32_t fresh : 1;         /* sets.c: made by the topic_select() that is running */
    uint32_t reach;             /* subscribers in all, its sets' included, ... */
    uint64_t reach_version;     /* ... as of this version */
    uint32_t left, right, size; /* order.c: the tree; how many there are from here down */
    uint32_t next;              /* the topic behind it in the order of names */
    uint64_t seen_version;      /* members.c: as of this version its sets with subscribers ... */
    uint32_t seen[2];           /* ... are these; TOPIC_MANY: more than two */
};

struct topic_set {
    uint64_t hash;
    uint32_t hash_next, name, name_size : 31, is_set : 1; /* as in struct topic_key */
    uint32_t found_next;                                  /* the next in a list of sets_with() */
    struct topic_group group;
    uint32_t wild : 1;  /* it has a wildcard */
    uint32_t found : 1; /* in a list of sets_with() */
    uint32_t names;     /* how many topics its name lists */
    uint32_t members;   /* pool block of the hash table of the topics it lists */
    uint32_t member_count, member_cap;
    uint32_t wildcards; /* wild.c: pool block */
};

union topic_place {
    struct topic_key key;
    struct topic topic;
    struct topic_set set;
};

_Static_assert(sizeof(union topic_place) == 96 && sizeof(struct topic) == 96,
               "no padding: there are many");
_Static_assert(offsetof(struct topic, group) == offsetof(struct topic_set, group) &&
                   offsetof(struct topic, name) == offsetof(struct topic_key, name) &&
                   offsetof(struct topic_set, name) == offsetof(struct topic_key, name),
               "topics and sets begin alike");

struct topic_edge {
    uint32_t set, next, prev; /* of a topic's edges, or a wildcard's */
};

/* A remembered entry. It no longer refers to one once any entry was freed since. */
struct topic_ref {
    uint64_t freed; /* topics_freed() at that time */
    uint32_t id;    /* 0: none */
};

/* Why the last topic or set could not be made. */
enum topic_full {
    TOPIC_FULL_NOT = 0,    /* it could */
    TOPIC_FULL_TOPICS = 1, /* the limit of topics, or of entries, is reached */
    TOPIC_FULL_EDGES = 2,  /* no room to list more names in sets */
    TOPIC_FULL_SETS = 3,   /* sets take as much room as they may */
    TOPIC_FULL_SHARE = 4,  /* the set would take more than its share */
};

/* The first part of the table; then the buckets. */
struct topics_head {
    uint64_t seed[2];
    uint64_t version;      /* changes with every edge and subscriber */
    uint64_t sets_version; /* with every edge, and when a set gets its first subscriber or loses
                             * its last */
    uint64_t changes;      /* with every topic that comes or goes */
    uint64_t freed;        /* entries that were freed */
    uint32_t max;
    struct linear by_name;           /* entries by the hash of their name */
    uint32_t used, free;             /* entries: places ever used, the first of those freed */
    uint32_t edges_used, edges_free; /* edges: the same, ... */
    uint32_t edges;                  /* ... and how many are in use */
    uint32_t topics, sets;           /* how many */
    uint32_t subscribers;            /* of all of them */
    uint32_t root, first;            /* order.c: the tree, and the first topic */
    uint32_t nodes;                  /* wild.c: how many */
    struct linear by_key;            /* of these */
    uint32_t dirty, dirty_last;      /* fanout.c: the queue */
};

struct topics {
    struct topics_head *h;
    uint32_t *bucket, *node_bucket;
    union topic_place *place; /* by number */
    struct topic_edge *edge;  /* by number */
    struct pool names, sets;
    uint32_t max, edges_max;
    uint64_t sets_max;    /* bytes of `sets`; 0: all */
    uint32_t parts;       /* one set takes at most this part of what is free; 0: all of it */
    enum topic_full full; /* why the last one could not be made */
    struct {
        uint64_t bytes;
        uint32_t edges, topics;
    } may;               /* room.c: what the set that is being made may still take */
    uint32_t topics_max; /* 0: as many topics as the table takes */
    uint32_t clock;      /* the caller's: what is marked is marked at that time */
    void (*heard)(void *arg, uint32_t id, bool more); /* told of each who joined entry `id`, or
                                                         left it; NULL: nobody is */
    void *heard_arg;
    char *links; /* struct topic_link of subscriber i at links + i * stride */
    size_t stride;
};

/* ---- setting up ------------------------------------------------------------------------------ */

/* The bytes of zeroed memory, for each part, that topics_init() needs for `max` entries. */
struct topics_memory {
    size_t table, edges, pool, pool_meta;
};
struct topics_memory topics_size(uint32_t max);

/* Sets up an empty table in zeroed memory of these sizes; `seed` is random. */
void topics_init(struct topics *t, uint32_t max, void *table, void *edges, void *pool,
                 void *pool_meta, const uint64_t seed[2]);

/* Uses memory that topics_init() set up before, perhaps elsewhere. */
void topics_attach(struct topics *t, uint32_t max, void *table, void *edges, void *pool,
                   void *pool_meta);

/* ---- entries by number ----------------------------------------------------------------------- */

static inline bool topic_is_set(uint32_t id)
{
    return (id & TOPIC_SET) != 0;
}

static inline struct topic *topic_at(const struct topics *t, uint32_t topic)
{
    assert(!topic_is_set(topic));
    return &t->place[topic].topic;
}

static inline struct topic_set *set_at(const struct topics *t, uint32_t set)
{
    assert(topic_is_set(set));
    return &t->place[set ^ TOPIC_SET].set;
}

static inline struct topic_group *topic_group(const struct topics *t, uint32_t id)
{
    return &t->place[id & ~TOPIC_SET].topic.group;
}

/* Returns true if `id` is a set that has a wildcard. */
static inline bool topic_is_wild(const struct topics *t, uint32_t id)
{
    return topic_is_set(id) && set_at(t, id)->wild;
}

/* Returns true if `id` is the number of an entry in use. */
static inline bool topic_exists(const struct topics *t, uint32_t id)
{
    uint32_t place = id & ~TOPIC_SET;
    return place <= t->max && t->place[place].key.name != 0 &&
           t->place[place].key.is_set == id >> 31;
}

/* As topic_at(), set_at() and topic_group(); the entry must be in use. */
static inline struct topic *topic_used(const struct topics *t, uint32_t topic)
{
    struct topic *e = &t->place[topic].topic;
    assert(topic <= t->max && e->name != 0 && !e->is_set); /* a set's number is larger */
    return e;
}

static inline struct topic_set *set_used(const struct topics *t, uint32_t set)
{
    uint32_t place = set ^ TOPIC_SET;
    struct topic_set *s = &t->place[place].set;
    assert(place <= t->max && s->name != 0 && s->is_set);
    return s;
}

static inline struct topic_group *group_used(const struct topics *t, uint32_t id)
{
    assert(topic_exists(t, id));
    return topic_group(t, id);
}

/* Returns the name of entry `id`. A set's name is its parts, those with a wildcard first, either
 * kind in the order of their bytes, with a comma between two. */
struct span topic_name(const struct topics *t, uint32_t id);

/* Returns the name of a topic; and that of a set, which ends with a comma if it is that of a set of
 * one topic. So no two entries have the same. */
static inline struct span topic_key_name(const struct topics *t, const struct topic *e)
{
    return (struct span){pool_at(&t->names, e->name), e->name_size};
}

static inline struct span set_key_name(const struct topics *t, const struct topic_set *s)
{
    return (struct span){pool_at(&t->sets, s->name), s->name_size};
}

/* Returns how many entries were ever freed. While it stays the same, every number means the same
 * entry. */
static inline uint64_t topics_freed(const struct topics *t)
{
    return t->h->freed;
}

/* Remembers entry `id`. */
static inline struct topic_ref topic_ref(const struct topics *t, uint32_t id)
{
    return (struct topic_ref){t->h->freed, id};
}

/* Returns true if `ref` is surely entry `id`. */
static inline bool topic_is(const struct topics *t, struct topic_ref ref, uint32_t id)
{
    return ref.id != 0 && ref.id == id && ref.freed == t->h->freed;
}

/* Return how many topics exist, how many sets, and the subscribers of both. */
static inline uint32_t topic_count(const struct topics *t)
{
    return t->h->topics;
}

static inline uint32_t topic_set_count(const struct topics *t)
{
    return t->h->sets;
}

static inline uint32_t topic_subscriber_count(const struct topics *t)
{
    return t->h->subscribers;
}

/* ---- entries by name: for the files above ---------------------------------------------------- */

static inline uint64_t topics_hash(const struct topics *t, struct span name)
{
    return hash_table(t->h->seed[0], t->h->seed[1], name);
}

/* Returns the topic or set of that name and hash, 0 if none has it. */
uint32_t topics_entry_find(const struct topics *t, struct span name, uint64_t hash);

/* Makes a topic (kind 0) or a set (kind TOPIC_SET) whose name is in block `name`, which it then
 * owns. Returns its number; 0 if the table is full. */
uint32_t topics_entry_add(struct topics *t, uint32_t kind, uint32_t name, uint32_t name_size,
                          uint64_t hash);

/* Frees an entry that nothing refers to, and its name. */
void topics_entry_drop(struct topics *t, uint32_t id);

/* The most buckets of nodes for each entry: see wild.c. */
#define NODE_BUCKETS_PER_ENTRY 4u

#endif
