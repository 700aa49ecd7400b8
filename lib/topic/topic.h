/*
 * topic.h - the table of topics, and who subscribes to what. Names and
 * wildcards: name.h.
 *
 * THE TABLE has two kinds of entry, both called by number (1 to max, 0 is
 * none): a TOPIC, and a SET, which is what a URL with several names or with
 * wildcards selects. Subscribers hang on either in the same way, so that all
 * who ask for the same set share one entry:
 *
 *     "a"  TOPIC ------------------------- subscribers of /a
 *       \
 *        edge ---- "a,b"  SET  ----------- subscribers of /a,b and of /b,a
 *       /
 *     "b"  TOPIC
 *        ......... "*"    SET  ----------- subscribers of /STAR
 *
 * A set knows the topics it lists in a hash table of its own, a topic the sets
 * that list it by edges; these topics exist as long as the set does. What a
 * set's wildcards match comes and goes, and is written down nowhere: the
 * wildcards of all sets are in a tree that a topic's name is looked up in, the
 * topics in order of their names, so that those a wildcard may match are
 * together. So neither a new set nor a new topic costs more where there are
 * many of the other.
 *
 * SUBSCRIBERS are numbers (of connections), linked in a ring list through a
 * struct topic_link that the caller keeps for each at a fixed stride. Each is
 * on one entry at a time. An entry has a fan-out iterator, which is moved on
 * when its subscriber leaves; whoever joins comes last.
 *
 * LIFE: a topic is needed while it has subscribers, is listed in a set, or is
 * `kept` by the caller (it has messages); a set while it has subscribers;
 * either while it is in the queue for fan-out. topic_release() frees what
 * nobody needs. What can't be made for want of room leaves no trace.
 *
 * A NUMBER IS GIVEN AGAIN once its entry was freed. Whoever remembers one for longer than the entry
 * is needed keeps a struct topic_ref, which is that entry's for ever and no other's.
 *
 * ROOM: names of topics have room of their own, as much as all there can be take.
 * Sets have theirs: topics_share() limits it, and what one set may take of it, of
 * edges and of topics that are made for it (lib/fair.h). So neither crowds the other out, and no
 * set takes all.
 *
 * MEMORY: handed by the caller at the start, zeroed: a table, two pools (lib/pool)
 * for names and for sets, a table for edges. Numbers only, no pointers, so it
 * may be mapped elsewhere later. It is touched from the front as it comes into
 * use, so it may be much larger than what there is. Names are hashed with a
 * key, so that a peer can't choose collisions.
 */
#ifndef SSE_LIB_TOPIC_TOPIC_H
#define SSE_LIB_TOPIC_TOPIC_H

#include "lib/name.h"
#include "lib/pool.h"

#define TOPICS_MAX     (1u << 26) /* entries of a table */
#define TOPIC_STARS    8u         /* segments of a wildcard that may be "*" */
#define TOPIC_SEGMENTS 16384u     /* of all wildcards of a set: it is made in a few ms */

#define TOPIC_ROUND_MAX ((1u << 24) - 1) /* subscribers that are timed: the first so many */

struct topic_link {
    uint32_t next, prev; /* subscribers of the same entry, in a ring */
    uint32_t topic;      /* the entry it is on; 0: none, and next and prev mean nothing */
};

struct topic {
    uint64_t hash;        /* of the name */
    uint32_t hash_next;   /* in its bucket, or in the free list */
    uint32_t name;        /* block of the pool, 0: the number is free */
    uint32_t name_size;   /* bytes */
    uint32_t round : 24;  /* how many are to be looked at until all have what came at `since`; 0:
                           * nothing is timed */
    uint32_t set : 1;     /* a SET, not a TOPIC */
    uint32_t wild : 1;    /* a SET with a wildcard in it */
    uint32_t kept : 1;    /* the caller needs it: it has messages */
    uint32_t dirty : 1;   /* in the queue of those with something to fan out */
    uint32_t several : 1; /* subscribers see events named by topic: all sets */
    uint32_t fresh : 1;   /* private: TOPIC: made by the topic_select() that is at work */
    uint32_t begun : 1;   /* the caller's: fan-out has begun since it was marked */
    uint32_t found : 1;   /* private: SET: found already for the topic that is asked for */
    uint32_t since;       /* when what is timed was marked, by topics.clock */
    uint32_t subscribers; /* how many */
    uint32_t iter;        /* the subscriber whose turn is next, 0: none */
    uint32_t todo;        /* how many are still to be looked at, from iter on */
    uint32_t dirty_next;
    uint32_t edges; /* TOPIC: first of its edges */
    union {
        struct { /* TOPIC */
            uint64_t reach_version;
            uint32_t reach;        /* subscribers in all, its sets' included, as of that
                          version */
            uint32_t listed;       /* how many sets list it by name */
            uint32_t left, right;  /* private: the topics in order of their names, as a
                               tree, ... */
            uint32_t size;         /* ... how many there are from here down */
            uint32_t next;         /* ... and which comes next */
            uint64_t seen_version; /* private: as of this one its sets with subscribers ... */
            uint32_t seen[2];      /* ... are these, TOPIC_MANY being more than two */
        };
        struct {              /* SET */
            uint32_t members; /* pool block of the hash table of the topics it lists */
            uint32_t member_count, member_cap;
            uint32_t names;      /* how many it lists */
            uint32_t wildcards;  /* private: pool block */
            uint32_t found_next; /* private: in the list that topic_set_of() walks */
        };
    };
};

struct topic_edge {
    uint32_t set, next, prev; /* of a topic's edges, or a wildcard's */
};

/* An entry that is remembered. It no longer means one when any entry was freed since. */
struct topic_ref {
    uint64_t freed; /* topics_freed() at that time */
    uint32_t id;    /* 0: none */
};

/* Why the last topic or set could not be made. */
enum topic_full {
    TOPIC_FULL_NOT = 0,    /* it could */
    TOPIC_FULL_TOPICS = 1, /* there are as many topics, or entries, as may be */
    TOPIC_FULL_EDGES = 2,  /* as many names are listed in sets as there is room for */
    TOPIC_FULL_SETS = 3,   /* sets take as much room as they may */
    TOPIC_FULL_SHARE = 4,  /* the set would take more than its share */
};

struct topics_head; /* free lists, queue, counts, the hash key; then the buckets
                     */

struct topics {
    struct topics_head *h;
    uint32_t *bucket, *node_bucket;
    struct topic *topic;     /* by number */
    struct topic_edge *edge; /* by number */
    struct pool names, sets;
    uint32_t max, edges_max;
    uint64_t sets_max;    /* bytes of `sets`; 0: all */
    uint32_t parts;       /* one set takes at most this part of what is free; 0: all of it */
    enum topic_full full; /* why the last one could not be made */
    struct {
        uint64_t bytes;
        uint32_t edges, topics;
    } may;               /* private: what the set that is being made may still take */
    uint32_t topics_max; /* 0: as many topics as the table takes */
    uint32_t clock;      /* the caller's: what is marked is marked at that time */
    char *links;         /* struct topic_link of subscriber i at links + i * stride */
    size_t stride;
};

/* How much zeroed memory topics_init() wants for `max` entries: bytes of each
 * part. */
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

/* Tells where the links are. Subscriber numbers are 1 and up. */
void topics_links(struct topics *t, void *links, size_t stride);

/* Limits the topics, apart from the sets, from now on; 0: as many as the table
 * takes. */
void topics_limit(struct topics *t, uint32_t topics_max);

/* Limits sets, and what one of them may take, from now on. */
void topics_share(struct topics *t, uint64_t sets_max, uint32_t parts);

/* Bytes that sets take, and may take at most. */
uint64_t topics_sets_used(const struct topics *t);
uint64_t topics_sets_most(const struct topics *t);

/* The topic of that name, 0 if there is none. */
uint32_t topic_find(const struct topics *t, struct span name);

/* The same, made if need be; `name` has been found right. 0: there are as many topics as may be.
 * *made says whether it is new. */
uint32_t topic_open(struct topics *t, struct span name, bool *made);

/* What a URL's path selects, e.g. "a,b/c,orders/ *" decoded: puts the parts in order without
 * repeats. One name gives its topic, anything else its set; both made if need be. 0: *why says what
 * is wrong with a part (a wildcard has its "*" among its first TOPIC_STARS segments, as each may
 * double the ways a name can go; all wildcards together have TOPIC_SEGMENTS) or that there are more
 * than `most`; or is NULL where there is no room, and t->full says of what. Topics that were made
 * for it are reported through made(arg, topic) when all is done, so that the caller can open their
 * chains; made() may not change the table. */
uint32_t topic_select(struct topics *t, struct span expression, uint32_t most,
                      void (*made)(void *arg, uint32_t topic), void *arg, const char **why);

/* The same, but one name selects a set as well, so that its subscribers see events named by
 * topic. */
uint32_t topic_select_set(struct topics *t, struct span expression, uint32_t most,
                          void (*made)(void *arg, uint32_t topic), void *arg, const char **why);

/* Entry `id`; its name. A set's name is its parts, those with a wildcard first, either kind in the
 * order of their bytes, comma between. */
static inline struct topic *topic_at(const struct topics *t, uint32_t id)
{
    return &t->topic[id];
}
struct span topic_name(const struct topics *t, uint32_t id);

/* How many entries were ever freed. As long as it stays the same every number means the same
 * entry. */
uint64_t topics_freed(const struct topics *t);

/* Remembers entry `id`. Returns true if `ref` is surely entry `id`. */
struct topic_ref topic_ref(const struct topics *t, uint32_t id);
bool topic_is(const struct topics *t, struct topic_ref ref, uint32_t id);

/* Is `topic` in set `set`? */
bool topic_in_set(const struct topics *t, uint32_t set, uint32_t topic);

/* What that costs at most, in steps of some 20 ns: 1 without wildcards. */
uint32_t topic_weight(const struct topics *t, uint32_t set);

/* Walks the topics of an entry: itself for a topic. *pos begins at 0; 0 after
 * the last. For a wildcard it looks at all topics that begin with what is in
 * front of its first "*". */
uint32_t topic_member(const struct topics *t, uint32_t id, uint32_t *pos);

/* How many topics such a walk looks at: there are no more in the entry. */
uint32_t topic_members_most(const struct topics *t, uint32_t id);

/* Walks the sets of a topic that have subscribers. *at begins at 0; 0 after the last. They are
 * looked for once, and again when a set got its first subscriber or lost its last, or if there are
 * more than two. Before that there may be no other walk of this kind, no topic_reach() and no
 * topic_mark() of a topic, and nobody may join or leave. */
uint32_t topic_set_of(const struct topics *t, uint32_t topic, uint32_t *at);

/* Puts a subscriber, which is on none, on an entry, last in its turn. Takes it
 * off the entry it is on, if it is on one; the entry stays, to be released. */
void topic_subscribe(struct topics *t, uint32_t id, uint32_t subscriber);
void topic_unsubscribe(struct topics *t, uint32_t subscriber);

/* How many subscribers a message of this topic has: its own and those of its
 * sets. */
uint32_t topic_reach(struct topics *t, uint32_t topic);

/* The link of a subscriber. */
static inline struct topic_link *topic_link_of(const struct topics *t, uint32_t subscriber)
{
    return (struct topic_link *)(void *)(t->links + (size_t)subscriber * t->stride);
}

/* Queues an entry for fan-out: all its subscribers are to be looked at (again),
 * from the iterator on. Nothing happens to one that reaches nobody. */
void topic_mark(struct topics *t, uint32_t id);

/* The same for a set, with what came for one of its topics when that was marked. */
void topic_mark_set(struct topics *t, uint32_t set, uint32_t topic);

/* HOW LONG FAN-OUT TAKES is seen in samples: what an entry is marked for is timed until each of
 * those who were there then has had its turn; what comes for it meanwhile is not timed. So it takes
 * two numbers an entry, and nothing for a subscriber. `n` of an entry's subscribers have had their
 * turn. True: of what is timed these were the last. */
static inline bool topic_looked(struct topic *e, uint32_t n)
{
    bool last = e->round > 0 && n > 0 && (n >= e->round || e->todo == 0);
    e->round = last || n >= e->round ? 0 : (e->round - n) & TOPIC_ROUND_MAX;
    return last;
}

/* The entry at the front of the queue, 0 if it is empty; takes that one off. */
uint32_t topic_dirty(const struct topics *t);
void topic_clean(struct topics *t);

/* Moves the entry at the front to the end: others' turn. */
void topic_rotate(struct topics *t);

/* Frees an entry if nobody needs it, and the topics that only it needed; each
 * topic, before it goes, is reported through gone(arg, topic), which may not
 * change the table. A number that is free is left alone. What is in the queue
 * stays: release it after topic_clean(). */
void topic_release(struct topics *t, uint32_t id, void (*gone)(void *arg, uint32_t topic),
                   void *arg);

/* How many topics there are, sets, and subscribers on either. */
uint32_t topic_count(const struct topics *t);
uint32_t topic_set_count(const struct topics *t);
uint32_t topic_subscriber_count(const struct topics *t);

/* The first topic whose name is not before `name` in the order of their bytes; the one behind a
 * topic. 0: there is none. */
uint32_t topic_from(const struct topics *t, struct span name);
uint32_t topic_behind(const struct topics *t, uint32_t topic);

#endif
