/*
 * chain.h - the records of each topic: chains over the ring.
 *
 * A chain is what this process knows of the ring's records of one topic. Chains are numbered as
 * topics are (lib/topic), from 1; this module knows no more of topics than that.
 *
 *   chain of topic 3:   first ----> R5 <-------------> R8 <----> R9 <---- last
 *                                    ^-------jump-------^
 *   lost: the id and offset of the newest message that was evicted from this chain
 *
 * The links are in the records (struct ring_links): both ways, and from each a `jump` to an older
 * record of its topic, at distances like those of a skip list (Myers, "An applicative random-access
 * stack", 1983), so that any place in a chain is found from its newest end in O(log n) steps.
 *
 * WHICH CHAIN a record is of is in a table of its own, by the record's place in the arena: a record
 * has RING_LEAST bytes at least, so no two share an entry. 0: of none.
 *
 * INVARIANTS
 *   - A chain has the records of its topic that are linked and not evicted, in the ring's order:
 *     each is linked once, when it is followed, and leaves with chain_evict(), from the front.
 *   - prev and jump may point below the ring's tail: that means evicted, and their values still
 *     compare.
 *   - `lost` is written down in the step that moves `first` on.
 *   - Everything in the memory is numbers and offsets: it can be mapped anywhere, by anyone.
 *
 * MEMORY: handed by the caller, chains_size() zeroed bytes; touched as used.
 */
#ifndef SSE_LIB_BROKER_CHAIN_H
#define SSE_LIB_BROKER_CHAIN_H

#include "ring.h"

#define CHAINS_FORGOTTEN 4096u

struct chain {
    uint64_t first, last; /* offsets; 0: no message there */
    uint64_t lost_n;      /* the newest evicted: its n; 0: none */
    uint64_t lost_at;     /*                     its offset */
    uint32_t count;       /* messages there */
    uint32_t depth;       /* messages ever, modulo 2^32 */
    uint32_t empty_next;  /* private: list of the emptied; 0: not in it */
    uint32_t open;        /* private: 0: not in use; else 1 and the number of its held records */
};

/* What was lost of the topics whose hash has the same low bits and that were closed. */
struct chain_forgotten {
    uint64_t n, at;
};

/* The front of the memory. Private but for the functions below. */
struct chains_head {
    uint64_t followed;      /* the ring's records below it were followed */
    uint64_t forgotten_max; /* the largest n in the table */
    uint64_t left_n;        /* the newest message that is in no chain though it is there; 0: none */
    uint32_t emptied;       /* list of chains */
    struct chain_forgotten forgotten[CHAINS_FORGOTTEN];
};

struct chains {
    struct ring *ring;
    struct chains_head *h;
    struct chain *chain; /* by number, 1 to max */
    uint32_t *topic;     /* the chain of each record, by its place */
    uint32_t max;
};

/* Returns how many bytes of memory `max` chains over a ring of `ring_size` bytes want. */
uint64_t chains_size(uint64_t ring_size, uint32_t max);

/* Sets up `max` chains over a ring in that memory: in zeroed memory none is open, and nothing of
 * the ring was followed; what was set up there before goes on as it was. */
void chains_init(struct chains *c, struct ring *r, uint32_t max, void *memory);

/* Begins to follow the ring at its tail: whatever is older is lost, of any topic. No chain is
 * open. */
void chains_begin(struct chains *c);

/* Begins to use chain `topic`, empty, for the topic whose name hashes to `hash`. What was lost of
 * topics with the same low bits of their hash that were closed counts as lost of this one, since
 * it can't be known. */
void chain_open(struct chains *c, uint32_t topic, uint64_t hash);

/* Ends its use; the chain must be empty. What it lost is remembered by the hash. */
void chain_close(struct chains *c, uint32_t topic, uint64_t hash);

/* Chain `topic`, which is open: asserted. */
static inline struct chain *chain_at(const struct chains *c, uint32_t topic)
{
    assert(topic >= 1 && topic <= c->max && c->chain[topic].open);
    return &c->chain[topic];
}

/* Returns true if the chain has no message, and none of its messages is held. */
static inline bool chain_is_empty(const struct chain *c)
{
    return c->count == 0 && c->open <= 1;
}

/* Takes the next open chain that eviction has left empty off a list; 0 if there is none. It may
 * have got messages again since: look at its count. */
uint32_t chains_take_emptied(struct chains *c);

/* Returns true if there is one in the list. */
static inline bool chains_any_emptied(const struct chains *c)
{
    return c->h->emptied != 0;
}

/* Returns the newest message of any topic that was closed, by n: what is below may have been
 * lost. */
static inline uint64_t chains_forgotten(const struct chains *c)
{
    return c->h->forgotten_max;
}

/* The entry of a record in the table of chains by record. */
static inline uint32_t *chain_entry(const struct chains *c, uint64_t at)
{
    return &c->topic[(at & c->ring->mask) / RING_LEAST];
}

/* Returns the chain of the record at an offset; 0: it is in none. */
static inline uint32_t chain_of(const struct chains *c, uint64_t at)
{
    return *chain_entry(c, at);
}

/* Notes that the record at `at`, which is held, is to be of chain `topic`, which stays in use until
 * it is linked. */
static inline void chain_hold(struct chains *c, uint32_t topic, uint64_t at)
{
    chain_at(c, topic)->open++;
    *chain_entry(c, at) = topic;
}

/* The record at `at` is held no longer, and is to be linked. Returns its chain. */
static inline uint32_t chain_unhold(struct chains *c, uint64_t at)
{
    uint32_t *entry = chain_entry(c, at), topic = *entry;
    assert(chain_at(c, topic)->open > 1);
    chain_at(c, topic)->open--;
    *entry = 0;
    return topic;
}

/* Makes the record at `at` the newest of chain `topic`; it is the next one of the ring that is to
 * be followed. */
void chain_link(struct chains *c, uint32_t topic, uint64_t at);

/* In a shared ring the record has its links already. chain_plan() returns what the next record of
 * chain `topic` is to have for links, as whoever puts it knows them; chain_adopt() makes one that
 * has them the newest, as chain_link() does, in whichever process. */
struct ring_links chain_plan(const struct chains *c, uint32_t topic);
void chain_adopt(struct chains *c, uint32_t topic, uint64_t at);

/* Leaves the next record that is to be followed out of all chains. */
void chain_skip(struct chains *c, uint64_t at);

/* Lets go of the ring's oldest record, which is evicted. Returns the chain that this has emptied;
 * 0: none. */
uint32_t chain_evict(struct chains *c);

/* The same as chain_next(), for a place between a chain's oldest and its newest record. */
uint64_t chain_seek(const struct chains *c, uint32_t topic, uint64_t at);

/* The first record of chain `topic` at offset `at` or behind; 0 if there is none. O(log n); O(1) up
 * to the oldest, and from the newest but one on. */
static inline uint64_t chain_next(const struct chains *c, uint32_t topic, uint64_t at)
{
    const struct chain *chain = chain_at(c, topic);
    if (at <= chain->first)
        return chain->first;
    return at > chain->last ? 0 : chain_seek(c, topic, at);
}

/* How many records chain `topic` has at offset `at` or behind. O(log n). */
uint32_t chain_count_from(const struct chains *c, uint32_t topic, uint64_t at);

/* The `count`th newest record of the chain, 1 being the newest; its oldest where there are fewer; 0
 * where there is none. O(log n). */
uint64_t chain_from_newest(const struct chains *c, uint32_t topic, uint32_t count);

#endif
