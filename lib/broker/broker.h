/*
 * broker.h - this process's view of the ring by topic: who has which messages, and what was lost.
 *
 *             struct broker
 *            /      |      \
 *      topics    chains     ring          lib/topic: names, sets, subscribers
 *            \      |      /              chain.h:   the records of each topic
 *        a topic has a chain of the       ring.h:    all records, in order
 *        same number, opened with it
 *
 * The view is made by FOLLOWING the ring, and in no other way: each new record is linked into its
 * topic's chain, and let go of before it is evicted (ring_tell()). So it does not matter who has
 * put a record: this process just now, or one before it into a store's file. What is held is
 * followed once it is shown.
 *
 * A SHARED RING (ring.h) is followed by broker_catch_up(): once a turn, and before each request, so
 * that what another process has acknowledged is there. It evicts what is below the page's tail,
 * takes what was committed, marks the topics of that for fan-out, and renews the lease. Between two
 * calls the view stands still, but for broker_put(), which catches up, too. Topics that are opened
 * for it are not limited: those with messages are what the processes let in together, and each has
 * room for as many beside those that its own clients ask for.
 *
 * INVARIANTS
 *   - A topic of the table has an open chain of its number, and no other chain is open.
 *   - A topic is `kept` in the table if and only if its chain has a message, shown or held.
 *   - Between two calls all of the ring up to its head was followed.
 *
 * READING FOR AN ENTRY of the table: a topic, whose chain is followed, or a set, whose messages are
 * found in one of two ways: by going through the ring and asking of each record whether it is of
 * the set, or by merging its topics' chains. Which is less work depends on how many topics and
 * messages there are of it and of others; either may be too much for one call. So each of these
 * functions (find.c) is bounded, and says what it returns then.
 *
 * OWNERSHIP: ring, table and memory are the caller's, and stay where they are. The memory holds
 * numbers and offsets only, so that the next program of this process can go on with it.
 */
#ifndef SSE_LIB_BROKER_BROKER_H
#define SSE_LIB_BROKER_BROKER_H

#include "lib/broker/chain.h"
#include "lib/topic/members.h"
#include "lib/topic/names.h"
#include "lib/topic/sets.h"

struct broker {
    struct ring *ring;
    struct topics *topics;
    struct chains chains; /* as many as the table has entries */
    uint64_t *heap;       /* scratch memory for merging chains: a number for each of these */
    void (*gone)(void *arg,
                 uint32_t topic); /* told of each topic before it is freed; NULL: nobody */
    void *arg;
    /* In a shared ring: */
    uint64_t turn;    /* of the page's state that was followed last */
    uint64_t put_n;   /* the id of the message that was put last, by this process */
    uint64_t evicted; /* messages that this process's own let go below the tail, so far */
};

/* Returns how many bytes of zeroed memory broker_init() wants for a table of `entries` over a ring
 * of `ring_size` bytes; and of heap. */
static inline uint64_t broker_size(uint64_t ring_size, uint32_t entries)
{
    return chains_size(ring_size, entries);
}

static inline uint64_t broker_heap_size(uint32_t entries)
{
    return (uint64_t)entries * sizeof(uint64_t);
}

/* Sets up the view of a ring: in zeroed memory of a table without topics, of which broker_follow()
 * is to be called first; else as it was left there, with the table that went with it. */
void broker_init(struct broker *b, struct ring *r, struct topics *t, void *memory, void *heap);

/* Links all records up to the ring's head that were not yet, opening their topics. Returns how many
 * are in no chain, as there was no room for their topics: these count as lost, of any topic. */
uint64_t broker_follow(struct broker *b);

/* Private: opens the chain of a topic that was made just now; links the next record that is to be
 * followed into that of its topic. */
void broker_open_chain(void *broker, uint32_t topic);
static inline void broker_follow_as(struct broker *b, uint32_t topic, uint64_t at)
{
    topic_at(b->topics, topic)->kept = 1;
    chain_link(&b->chains, topic, at);
}

/* Returns the topic of that name, which has been found right, with its chain, both made if need be
 * (*made); 0: there are as many topics as may be (topic_open()). */
static inline uint32_t broker_open(struct broker *b, struct span name, bool *made)
{
    uint32_t id = topic_open(b->topics, name, made);
    if (id != 0 && *made)
        broker_open_chain(b, id);
    return id;
}

/* Returns the entry that `expression` selects, as topic_select() does, or, for a `set`,
 * topic_select_set(), with the chains of the topics that were made for it; or 0. */
uint32_t broker_select(struct broker *b, struct span expression, uint32_t most, bool set,
                       const char **why);

/* Puts a message of topic `topic`, as ring_put() does. Returns the record's offset. */
static inline uint64_t broker_put(struct broker *b, uint32_t topic, const struct ring_message *m,
                                  uint64_t now_ms)
{
    uint64_t at = ring_put(b->ring, m, now_ms);
    broker_follow_as(b, topic, at);
    return at;
}

/* Follows a shared ring up to what is committed now. */
void broker_follow_shared(struct broker *b);
static inline void broker_catch_up(struct broker *b)
{
    if (b->ring->shared != NULL && ring_news(b->ring, b->turn))
        broker_follow_shared(b);
}

/* Does what broker_put() does in a shared ring, which is caught up with before and behind. Waits
 * for others to let go of what is to be written over, BROKER_PAUSES times a fifth of a millisecond: `wake`, if not NULL, is called
 * for those who hold it, as they may sleep. Returns the record's offset; 0: there was no room in
 * that time, and nothing was put. Its id is put_n: others may have put more by then. */
#define BROKER_PAUSES 250u
uint64_t broker_put_shared(struct broker *b, uint32_t topic, const struct ring_message *m,
                           uint64_t now_ms, void (*wake)(uint64_t workers));

/* Evicts messages put before `before_ms` of the ring's clock, `most` at most, in every view of a
 * shared ring, too. Returns how many. */
unsigned broker_expire(struct broker *b, uint64_t before_ms, unsigned most);

/* Does so, but holds the message (ring.h) until broker_show(). Returns the record's offset; 0: the
 * ring can hold no more, and nothing was done. */
uint64_t broker_hold(struct broker *b, uint32_t topic, const struct ring_message *m,
                     uint64_t now_ms);

/* Shows the oldest of the held messages, of which there must be one. Returns its topic. */
uint32_t broker_show(struct broker *b);

/* Frees an entry if nobody needs it (topic_release()), and the chains of the topics that go with
 * it. */
void broker_release(struct broker *b, uint32_t id);

/* Does so with one whose messages were all evicted, if they are still gone. Returns false if there
 * is none. */
bool broker_release_emptied(struct broker *b);

/* Returns true if there is one. */
static inline bool broker_any_emptied(const struct broker *b)
{
    return chains_any_emptied(&b->chains);
}

/* Returns the topic of the record at an offset; 0: there was no room for it. */
static inline uint32_t broker_topic(const struct broker *b, uint64_t at)
{
    return chain_of(&b->chains, at);
}

/* ---- reading for an entry -------------------------------------------------------------------- */

/* The bounds, in steps of some 100 ns: what it takes to ask of a record whether it is of a set, or
 * to look at a topic; more for sets with many wildcards. */
#define FIND_NEAR    64u        /* records that are asked before anything else is considered */
#define FIND_WALK    4096u      /* then, in a call that finds the next ones */
#define FIND_MERGE   32768u     /* in one that merges to find them */
#define FIND_MEMBERS 65536u     /* for a set's topics, where no chain has to be searched */
#define FIND_BACK    16384u     /* back from the newest */
#define FIND_SCAN    (1u << 21) /* chains that are looked through in their order: far less each */

/* Returns the next records of entry `id` from *at on, `most` at most (> 0), in order, as offsets in
 * `rec`. *at, a place that a function here returned and that may be below tail by now, is moved to
 * where to go on: to head when that is all there is. It is moved with nothing found where the next
 * one is too far off: call again, but not in a loop. */
unsigned broker_collect(const struct broker *b, uint32_t id, uint64_t *at, uint64_t *rec,
                        unsigned most);

/* Returns true if a message of entry `id` was lost whose id is above n. Also where that can't be
 * known, or not soon enough: for a set of more topics than FIND_MEMBERS allows, in a table of more
 * than FIND_SCAN, or where too many others have lost some. */
bool broker_lost_after(const struct broker *b, uint32_t id, uint64_t n);

/* Makes *at the place of the `count`th newest message of entry `id`; of its oldest, if there are
 * fewer; head where there is none or count is 0. False: that can't be found soon enough, as it is a
 * set and count is more than FIND_BACK, or it has too many topics and not enough messages among the
 * last. */
bool broker_from_newest(const struct broker *b, uint32_t id, uint64_t count, uint64_t *at);

#endif
