/*
 * chain.h - the records of each topic: chains over the ring.
 *
 * A chain is what this process knows of the ring's records of one topic. A chain has its topic's
 * number (lib/topic), from 1; this module knows nothing else of topics.
 *
 *   chain of topic 3:   first ----> R5 <-------------> R8 <----> R9 <---- last
 *                                    ^-------jump-------^
 *   lost: the newest message that was evicted from this chain: its offset, and its outer id, with
 *         which the cursors of clients are compared
 *
 * The links are in the records (struct ring_links): both ways, and from each a `jump` to an older
 * record of its topic, at distances like those of a skip list (Myers, "An applicative random-access
 * stack", 1983), so that any place in a chain is found from its newest end in O(log n) steps.
 *
 * WHICH CHAIN a record is in is told by a table indexed by the record's place in the arena: a
 * record has at least RING_LEAST bytes, so no two share an entry. 0: in none.
 *
 * INVARIANTS
 *   - A chain has the records of its topic that are linked and not evicted, in the ring's order:
 *     each is linked once, when it is followed, and removed from the front by chain_evict().
 *   - prev and jump may point below the ring's tail: that record is evicted, and offsets still
 *     compare.
 *   - `lost` is set in the step that moves `first` on.
 *   - The memory holds numbers and offsets only: it can be mapped at any address.
 *
 * MEMORY: the caller's, chains_size() zeroed bytes, touched as used.
 */
#ifndef SSE_LIB_BROKER_CHAIN_H
#define SSE_LIB_BROKER_CHAIN_H

#include "ring.h"

#define CHAINS_FORGOTTEN 4096u

struct chain {
    uint64_t first, last; /* offsets; 0: the chain is empty */
    uint64_t lost_n;      /* the newest evicted: its n; 0: none */
    uint64_t lost_at;     /*                     its offset */
    uint64_t wipe;        /* the oldest purged record that is not wiped yet; 0: none */
    uint64_t end_n;       /* the record that ended the topic, held or there: its n; 0: none */
    uint32_t count;       /* messages in the chain */
    uint32_t depth;       /* messages ever, modulo 2^32 */
    uint32_t empty_next;  /* private: list of the emptied; 0: not in it */
    uint32_t open;        /* private: 0: not in use; else 1 and the number of its held records */
};

/* The newest message lost by closed topics whose hashes have the same low bits. */
struct chain_forgotten {
    uint64_t n, at;
};

/* The front of the memory. Private, but for the functions below. */
struct chains_head {
    uint64_t followed;      /* the ring's records below it were followed */
    uint64_t forgotten_max; /* the largest n in the table */
    uint64_t left_n;        /* the newest message that is in the ring but in no chain; 0: none */
    uint32_t emptied;       /* list of chains */
    uint32_t ended;         /* how many have an end, ... */
    uint32_t wiping;        /* ... and how many have records that are to be wiped */
    struct chain_forgotten forgotten[CHAINS_FORGOTTEN];
};

struct chains {
    struct ring *ring;
    struct chains_head *h;
    struct chain *chain; /* by number, 1 to max */
    uint32_t *topic;     /* the chain of each record, by its place */
    uint32_t max;
};

/* Returns how many bytes of memory `max` chains over a ring of `ring_size` bytes need. */
uint64_t chains_size(uint64_t ring_size, uint32_t max);

/* Sets up `max` chains over a ring. In zeroed memory no chain is open, and nothing of the ring was
 * followed; chains that were set up there before go on as they were. */
void chains_init(struct chains *c, struct ring *r, uint32_t max, void *memory);

/* Begins to follow the ring at its tail: older messages count as lost, for every topic. No chain
 * may be open. */
void chains_begin(struct chains *c);

/* Opens chain `topic`, empty, for a topic whose name hashes to `hash`. What closed topics with the
 * same low bits of their hash lost counts as lost by this one too, as they cannot be told apart. */
void chain_open(struct chains *c, uint32_t topic, uint64_t hash);

/* Closes a chain, which must be empty. What it lost is remembered by the hash. */
void chain_close(struct chains *c, uint32_t topic, uint64_t hash);

/* Returns chain `topic`, which must be open: asserted. */
static inline struct chain *chain_at(const struct chains *c, uint32_t topic)
{
    assert(topic >= 1 && topic <= c->max && c->chain[topic].open);
    return &c->chain[topic];
}

/* Returns true if the chain has no message, shown or held, and none that is still to be wiped. */
static inline bool chain_is_empty(const struct chain *c)
{
    return c->count == 0 && c->wipe == 0 && c->open <= 1;
}

/* Takes the next open chain that eviction has emptied off a list; returns 0 if there is none. It
 * may have got messages since: check its count. */
uint32_t chains_take_emptied(struct chains *c);

/* Returns true if a chain is on that list. */
static inline bool chains_any_emptied(const struct chains *c)
{
    return c->h->emptied != 0;
}

/* Returns the n of the newest message lost by any closed topic: messages up to it may have been
 * lost. */
static inline uint64_t chains_forgotten(const struct chains *c)
{
    return c->h->forgotten_max;
}

/* Returns the entry of a record in the table of chains by record. */
static inline uint32_t *chain_entry(const struct chains *c, uint64_t at)
{
    return &c->topic[(at & c->ring->mask) / RING_LEAST];
}

/* Returns true if the record at an offset, of chain `topic` (0: none), is purged. */
static inline bool chain_purged(const struct chains *c, uint32_t topic, uint64_t at)
{
    const struct chain *chain = &c->chain[topic];
    return chain->wipe != 0 && (chain->first == 0 || at < chain->first) && at < c->h->followed;
}

/* Returns the chain of the record at an offset; 0 if it is in none. */
static inline uint32_t chain_of(const struct chains *c, uint64_t at)
{
    uint32_t topic = *chain_entry(c, at);
    return c->h->wiping != 0 && chain_purged(c, topic, at) ? 0 : topic;
}

/* Notes the n of a record that ends the topic of a chain. */
static inline void chain_ends(struct chains *c, struct chain *chain, uint64_t n)
{
    c->h->ended += chain->end_n == 0;
    chain->end_n = n;
}

/* Returns true if the end of the topic is there, and not only held. */
static inline bool chain_has_ended(const struct chains *c, const struct chain *chain)
{
    return chain->end_n != 0 && chain->end_n <= ring_newest(c->ring).n;
}

/* Notes that the record at `at`, which is held, is to be of chain `topic`, which stays in use until
 * it is linked; `end_n`: its n where it ends the topic, else 0. */
static inline void chain_hold(struct chains *c, uint32_t topic, uint64_t at, uint64_t end_n)
{
    chain_at(c, topic)->open++;
    *chain_entry(c, at) = topic;
    if (end_n != 0)
        chain_ends(c, chain_at(c, topic), end_n);
}

/* Ends that for the record at `at`, which is to be linked next. Returns its chain. */
static inline uint32_t chain_unhold(struct chains *c, uint64_t at)
{
    uint32_t *entry = chain_entry(c, at), topic = *entry;
    assert(chain_at(c, topic)->open > 1);
    chain_at(c, topic)->open--;
    *entry = 0;
    return topic;
}

/* Appends the record at `at`, the next one of the ring to be followed, to chain `topic`. */
void chain_link(struct chains *c, uint32_t topic, uint64_t at);

/* In a shared ring the record has its links already. chain_plan() returns what the next record of
 * chain `topic` is to have for links, as whoever puts it knows them; chain_adopt() makes one that
 * has them the newest, as chain_link() does, in whichever process. With `link` it writes them. */
struct ring_links chain_plan(const struct chains *c, uint32_t topic);
void chain_adopt(struct chains *c, uint32_t topic, uint64_t at, bool link);

/* Leaves the record at `at`, the next one of the ring to be followed, out of all chains. */
void chain_skip(struct chains *c, uint64_t at);

/* Follows the next record, which purges chain `topic` (0: there is none): its messages are gone,
 * and are to be wiped. Returns how many. */
uint32_t chain_purge(struct chains *c, uint32_t topic, uint64_t at);

/* Wipes purged records of chain `topic` of about `most` bytes in all. Returns false if there are no
 * more. */
bool chain_wipe(struct chains *c, uint32_t topic, uint64_t most);

/* Follows the next record, which was wiped, or purges nothing: it is of no chain, and was not lost.
 * */
void chain_pass(struct chains *c, uint64_t at);

/* Unlinks the ring's oldest record, which is about to be evicted. Returns the chain that this
 * empties; 0 if none. */
uint32_t chain_evict(struct chains *c);

/* Does what chain_next() does, for a place between a chain's oldest and newest record. */
uint64_t chain_seek(const struct chains *c, uint32_t topic, uint64_t at);

/* Returns the first record of chain `topic` at offset `at` or after it; 0 if there is none. O(log
 * n); O(1) up to the oldest record and from the newest but one on. */
static inline uint64_t chain_next(const struct chains *c, uint32_t topic, uint64_t at)
{
    const struct chain *chain = chain_at(c, topic);
    if (at <= chain->first)
        return chain->first;
    return at > chain->last ? 0 : chain_seek(c, topic, at);
}

/* Returns how many messages chain `topic` has: an end without one does not count. */
static inline uint32_t chain_messages(const struct chains *c, uint32_t topic)
{
    const struct chain *chain = chain_at(c, topic);
    if (chain->end_n == 0 || chain->count == 0)
        return chain->count;
    return chain->count - ((ring_at(c->ring, chain->last)->flags & RING_BARE) != 0);
}

/* Returns how many records of chain `topic` are at offset `at` or after it. O(log n). */
uint32_t chain_count_from(const struct chains *c, uint32_t topic, uint64_t at);

/* Returns the `count`th newest message of the chain, 1 being the newest; its oldest, if it has
 * fewer; 0 if it has none. O(log n). */
uint64_t chain_from_newest(const struct chains *c, uint32_t topic, uint32_t count);

#endif
