/*
 * broker.h - this process's view of the ring by topic: each topic's messages, and what it lost.
 *
 *             struct broker
 *            /      |      \
 *      topics    chains     ring          lib/topic: names, sets, subscribers
 *            \      |      /              chain.h:   the records of each topic
 *        a topic has a chain of the       ring.h:    all records, in order
 *        same number, opened with it
 *
 * The view is made by FOLLOWING the ring, and in no other way: each new record is linked into its
 * topic's chain, and unlinked before it is evicted (ring_tell()). So it does not matter who put a
 * record: this process, or an earlier one into a store's file. A held record is followed once it is
 * shown.
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
 * READING FOR AN ENTRY of the table. A topic's messages are its chain. A set's messages are found
 * by walking the ring and testing each record, or by merging its topics' chains, whichever is less
 * work; either may be too much for one call. So the functions of find.c are bounded, and each says
 * what it returns at its bound.
 *
 * OWNERSHIP: ring, table and memory are the caller's and must not move. The memory holds numbers
 * and offsets only, so the next program of an in-place upgrade can go on with it.
 */
#ifndef SSE_LIB_BROKER_BROKER_H
#define SSE_LIB_BROKER_BROKER_H

#include "lib/broker/chain.h"
#include "lib/broker/once.h"
#include "lib/topic/members.h"
#include "lib/topic/names.h"
#include "lib/topic/sets.h"

struct broker {
    struct ring *ring;
    struct topics *topics;
    struct chains chains; /* as many as the table has entries */
    struct once once;     /* the messages that have keys */
    uint64_t *heap;       /* scratch memory for merging chains: a number per chain */
    void (*gone)(void *arg, uint32_t topic); /* called before a topic is freed; NULL: no callback */
    void *arg;
    /* In a shared ring: */
    uint64_t turn;      /* of the page's state that was followed last */
    uint64_t put_n;     /* the id of the message that was put last, by this process */
    uint64_t evicted;   /* messages that this process's own let go below the tail, so far */
    uint64_t left_out;  /* by broker_link_shared() */
    uint64_t purged_to; /* what was purged is wiped once all have followed up to here */
    bool purged;        /* copies of its bytes are to be wiped; the caller clears it */
};

/* Return how many bytes broker_init() needs for a table of `entries` over a ring of `ring_size`
 * bytes: of zeroed memory, and of heap. */
static inline uint64_t broker_size(uint64_t ring_size, uint32_t entries)
{
    return once_size(ring_size) + chains_size(ring_size, entries);
}

static inline uint64_t broker_heap_size(uint32_t entries)
{
    return (uint64_t)entries * sizeof(uint64_t);
}

/* Sets up the view of a ring. In zeroed memory, and with a table without topics, broker_follow()
 * must be called next; memory and table of an earlier broker are taken over as they are. */
void broker_init(struct broker *b, struct ring *r, struct topics *t, void *memory, void *heap);

/* Links all records up to the ring's head that are not linked yet, and opens their topics. Returns
 * how many are in no chain for want of room for their topics: they count as lost, for every
 * topic. */
uint64_t broker_follow(struct broker *b);

/* Private: open the chain of a topic that was just made; link the next record to be followed into
 * the chain of its topic. */
void broker_open_chain(void *broker, uint32_t topic);
static inline void broker_follow_as(struct broker *b, uint32_t topic, uint64_t at)
{
    topic_at(b->topics, topic)->kept = 1;
    chain_link(&b->chains, topic, at);
}

/* Private: does so with one that purges it. Returns how many messages that takes away. */
uint32_t broker_follow_purge(struct broker *b, uint32_t topic, uint64_t at);

/* Returns the topic of a valid name with its chain, both made if need be (*made says so); 0 if the
 * limit of topics is reached (topic_open()). */
static inline uint32_t broker_open(struct broker *b, struct span name, bool *made)
{
    uint32_t id = topic_open(b->topics, name, made);
    if (id != 0 && *made)
        broker_open_chain(b, id);
    return id;
}

/* Returns the entry that `expression` selects, as topic_select() does, or, for a `set`, as
 * topic_select_set() does, and opens the chains of the topics made for it. 0 as those return it. */
uint32_t broker_select(struct broker *b, struct span expression, uint32_t most, bool set,
                       const char **why);

/* Puts a message of topic `topic`, as ring_put() does, and links it. Returns the record's
 * offset. */
static inline uint64_t broker_put(struct broker *b, uint32_t topic, const struct ring_message *m,
                                  uint64_t now_ms)
{
    uint64_t at = ring_put(b->ring, m, now_ms);
    if (m->key[0] != 0)
        once_add(&b->once, at);
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

/* Does so in a ring that this process is the first to follow, as it was found in a store: the links
 * of the records are not what they should be yet, and are written. Records for whose topics there
 * is no room are left out for good, and counted in left_out. */
void broker_link_shared(struct broker *b);

/* Does what broker_put() does in a shared ring, which is caught up with before and after. Waits for
 * others to let go of what is to be written over, BROKER_PAUSES times a fifth of a millisecond;
 * calls `wake`, if not NULL, for those who hold it, as they may sleep. Returns the record's offset,
 * the message's id in put_n (others may have put more by then); 0 with nothing put if there was no
 * room in that time, or if another process has ended the topic meanwhile (broker_end()), or has put
 * a message with that key (broker_once()). */
#define BROKER_PAUSES 250u
uint64_t broker_put_shared(struct broker *b, uint32_t topic, const struct ring_message *m,
                           uint64_t now_ms, void (*wake)(uint64_t workers));

/* Evicts messages put before `before_ms` of the ring's clock, `most` at most, in every view of a
 * shared ring, too. Returns how many. */
unsigned broker_expire(struct broker *b, uint64_t before_ms, unsigned most);

/* Puts a message that is held (ring.h) until broker_show(). Returns the record's offset; 0 with
 * nothing done if the ring can hold no more. */
uint64_t broker_hold(struct broker *b, uint32_t topic, const struct ring_message *m,
                     uint64_t now_ms);

/* Returns the offset of the message that was published with a key (once_hash()), there or held; 0:
 * there is none. */
static inline uint64_t broker_once(const struct broker *b, const uint64_t key[2])
{
    uint64_t at = once_find(&b->once, key);
    return at != 0 && chain_of(&b->chains, at) != 0 ? at : 0; /* else it is purged */
}

/* Returns true if the oldest held message, of which there must be one, had better not be shown yet:
 * it purges a topic that has purged messages to be wiped, of which this wipes some. */
bool broker_show_waits(struct broker *b);

/* Shows the oldest held message, of which there must be one, and links it. Returns its topic. */
uint32_t broker_show(struct broker *b);

/* Purges topic `topic`: puts a record that does, or holds it. Returns its offset; 0 if the ring can
 * hold no more, and nothing was done. What is purged is gone for readers once the record is shown,
 * and wiped by and by: broker_wipe(); in a shared ring, once all have followed that record. A topic
 * that has ended has no end then. */
uint64_t broker_purge(struct broker *b, uint32_t topic, bool hold, uint64_t now_ms);

/* Wipes purged records of a topic, about `most` bytes. Returns false if there are no more. */
bool broker_wipe(struct broker *b, uint32_t topic, uint64_t most);

/* Frees an entry if nobody needs it (topic_release()), and closes the chains of the topics freed
 * with it. */
void broker_release(struct broker *b, uint32_t id);

/* Releases one topic whose messages were all evicted. Returns false if there is none. */
bool broker_release_emptied(struct broker *b);

/* Returns true if purged records are not to be wiped yet: other processes may send them still. */
bool broker_wipe_waits(const struct broker *b);

/* Returns true if broker_release_emptied() has something to do, now or once these have followed. */
static inline bool broker_any_emptied(const struct broker *b)
{
    return chains_any_emptied(&b->chains);
}

/* Returns the topic of the record at an offset; 0 if it is in no chain, for want of room. */
static inline uint32_t broker_topic(const struct broker *b, uint64_t at)
{
    return chain_of(&b->chains, at);
}

/* ---- reading for an entry -------------------------------------------------------------------- */

/* The bounds, in steps of some 100 ns: testing a record for a set, or looking at a topic; more for
 * sets with many wildcards. */
#define FIND_NEAR    64u        /* records that are asked before anything else is considered */
#define FIND_WALK    4096u      /* then, in a call that finds the next ones */
#define FIND_MERGE   32768u     /* in one that merges to find them */
#define FIND_MEMBERS 65536u     /* for a set's topics, where no chain has to be searched */
#define FIND_BACK    16384u     /* back from the newest */
#define FIND_SCAN    (1u << 21) /* chains that are looked through in their order: far less each */

/* Finds the next records of entry `id` from *at on, in order, at most `most` (> 0), and stores
 * their offsets in `rec`. Returns how many. *at is a place that a function here returned; it may be
 * below tail by now. It is moved to where to go on: to head if there are no more. Where the next
 * record is too far off, *at is moved and 0 is returned: call again, in a later turn. */
unsigned broker_collect(const struct broker *b, uint32_t id, uint64_t *at, uint64_t *rec,
                        unsigned most);

/* Returns true if a message of entry `id` with an id above n was lost. Also returns true where that
 * is unknown or would take too long: for a set of more than FIND_MEMBERS topics, in a table of more
 * than FIND_SCAN, or where too many other topics lost some. */
bool broker_lost_after(const struct broker *b, uint32_t id, uint64_t n);

/* Sets *at to the offset of the `count`th newest message of entry `id`; of its oldest, if it has
 * fewer; to head if it has none or count is 0. Returns false where that would take too long: for a
 * set, if count is above FIND_BACK, or if it has too many topics and too few of the last messages
 * are its own. */
bool broker_from_newest(const struct broker *b, uint32_t id, uint64_t count, uint64_t *at);

/* ---- topics that have ended ------------------------------------------------------------------ */

/* Returns the n of the record that ended a topic, also while that is held; 0: it has not ended. */
static inline uint64_t broker_end(const struct broker *b, uint32_t topic)
{
    return chain_at(&b->chains, topic)->end_n;
}

/* Returns true if any topic has ended. */
static inline bool broker_any_ended(const struct broker *b)
{
    return b->chains.h->ended > 0;
}

/* Returns true if a subscriber of entry `id` at `at` gets nothing more, as each of its topics has
 * ended before that place. A wildcard never ends. At most a step for each of its topics, and mostly
 * one. */
bool broker_over(const struct broker *b, uint32_t id, uint64_t at);

/* Returns the n of the record that ended the topic of that name, if that is in front of `at`; else
 * 0. */
uint64_t broker_ended_before(const struct broker *b, struct span name, uint64_t at);

#endif
