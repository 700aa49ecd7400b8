/*
 * chain.c - links the records of each topic, and finds places in their chains.
 */
#include "lib/broker/chain.h"

/* Ends the list of emptied chains, whose links are never 0. */
#define CHAINS_LIST_END UINT32_MAX

_Static_assert(sizeof(struct chain) == 64, "no padding");
_Static_assert(sizeof(struct chains_head) % sizeof(uint64_t) == 0, "what follows is aligned");

/* Returns the number of entries of the table of chains by record. */
static inline uint64_t chains_entries(uint64_t ring_size)
{
    return ring_size / RING_LEAST + 1;
}

uint64_t chains_size(uint64_t ring_size, uint32_t max)
{
    return sizeof(struct chains_head) + ((uint64_t)max + 1) * sizeof(struct chain) +
           chains_entries(ring_size) * sizeof(uint32_t);
}

void chains_init(struct chains *c, struct ring *r, uint32_t max, void *memory)
{
    char *p = memory;
    assert(max >= 1 && max < CHAINS_LIST_END);
    *c = (struct chains){.ring = r, .h = memory, .max = max};
    c->chain = (struct chain *)(void *)(p + sizeof *c->h);
    c->topic = (uint32_t *)(void *)(p + sizeof *c->h + ((size_t)max + 1) * sizeof *c->chain);
}

void chains_begin(struct chains *c)
{
    struct chains_head *h = c->h;
    uint64_t n = ring_lost(c->ring), at = ring_tail(c->ring);
    assert(h->followed == 0);
    h->followed = at;
    h->forgotten_max = n;
    for (size_t i = 0; n > 0 && i < CHAINS_FORGOTTEN; i++)
        h->forgotten[i] = (struct chain_forgotten){n, at - RING_ALIGN};
}

void chain_open(struct chains *c, uint32_t topic, uint64_t hash)
{
    assert(topic >= 1 && topic <= c->max && !c->chain[topic].open);
    const struct chain_forgotten *f = &c->h->forgotten[hash % CHAINS_FORGOTTEN];
    struct chain *chain = &c->chain[topic];
    /* Its number may still be in the list of emptied chains, from an earlier topic. */
    *chain = (struct chain){
        .lost_n = f->n, .lost_at = f->at, .empty_next = chain->empty_next, .open = 1};
}

void chain_close(struct chains *c, uint32_t topic, uint64_t hash)
{
    struct chains_head *h = c->h;
    struct chain_forgotten *f = &h->forgotten[hash % CHAINS_FORGOTTEN];
    struct chain *chain = chain_at(c, topic);
    assert(chain->last == 0 && chain_is_empty(chain));
    if (chain->lost_n > f->n)
        *f = (struct chain_forgotten){chain->lost_n, chain->lost_at};
    if (chain->lost_n > h->forgotten_max)
        h->forgotten_max = chain->lost_n;
    chain->open = 0;
}

uint32_t chains_take_emptied(struct chains *c)
{
    struct chains_head *h = c->h;
    while (h->emptied != 0) {
        uint32_t topic = h->emptied;
        struct chain *chain = &c->chain[topic];
        assert(topic <= c->max && chain->empty_next != 0);
        h->emptied = chain->empty_next == CHAINS_LIST_END ? 0 : chain->empty_next;
        chain->empty_next = 0;
        if (chain->open)
            return topic;
    }
    return 0;
}

/* ---- following ------------------------------------------------------------------------------- */

/* Returns where the record after `last` in its chain jumps to (Myers): to the target of the second
 * of the two jumps before it, if these are of one length; else to `last`, as it also does where it
 * would have to read an evicted record. */
static inline __attribute__((always_inline)) uint64_t jump_behind(const struct ring *r,
                                                                  uint64_t last)
{
    uint64_t tail = ring_tail(r);
    if (last < tail)
        return last;
    const struct ring_links *a = ring_linked(r, last);
    if (a->jump < tail)
        return last;
    const struct ring_links *b = ring_linked(r, a->jump);
    if (b->jump < tail)
        return last;
    const struct ring_links *c = ring_linked(r, b->jump);
    return a->depth - b->depth == b->depth - c->depth ? b->jump : last;
}

/* Counts the record at `at` as followed, and returns it. */
static inline const struct ring_record *followed(struct chains *c, uint64_t at)
{
    const struct ring_record *rec = ring_at(c->ring, at);
    assert(at == c->h->followed);
    c->h->followed = ring_behind(rec, at);
    return rec;
}

struct ring_links chain_plan(const struct chains *c, uint32_t topic)
{
    const struct chain *chain = chain_at(c, topic);
    uint64_t prev = chain->last != 0 ? chain->last : chain->lost_at;
    return (
        struct ring_links){.prev = prev, .jump = jump_behind(c->ring, prev), .depth = chain->depth};
}

/* Makes the record at `at`, which has its links, the newest of the chain. */
static inline void chain_append(struct chains *c, struct chain *chain, uint64_t at, bool shared)
{
    if (chain->last == 0)
        chain->first = at;
    else if (!shared || ring_raw_next(c->ring, chain->last) != at)
        ring_link_next(c->ring, chain->last, at);
    chain->last = at;
    chain->count++;
}

void chain_link(struct chains *c, uint32_t topic, uint64_t at)
{
    struct chain *chain = chain_at(c, topic);
    struct ring_links *links = ring_links(c->ring, at);
    uint32_t *entry = chain_entry(c, at);
    assert(*entry == 0);
    *entry = topic;
    const struct ring_record *rec = followed(c, at);
    if ((rec->flags & RING_END) != 0)
        chain_ends(c, chain, rec->n);
    links->depth = chain->depth++;
    links->prev = chain->last != 0 ? chain->last : chain->lost_at;
    links->jump = jump_behind(c->ring, links->prev);
    assert(links->next == 0 && links->prev < at && links->jump <= links->prev);
    chain_append(c, chain, at, false);
}

/* Writes the links of a record that is to be the newest of chain `topic`. */
static void write_links(const struct chains *c, uint32_t topic, uint64_t at)
{
    const struct ring_links plan = chain_plan(c, topic);
    struct ring_links *links = ring_links(c->ring, at);
    assert(links->next == 0);
    links->prev = plan.prev;
    links->jump = plan.jump;
    links->depth = plan.depth;
}

void chain_adopt(struct chains *c, uint32_t topic, uint64_t at, bool link)
{
    struct chain *chain = chain_at(c, topic);
    uint32_t *entry = chain_entry(c, at);
    assert(*entry == 0);
    *entry = topic;
    if (link)
        write_links(c, topic, at);
    const struct ring_record *rec = followed(c, at);
    const struct ring_links *links = &rec->links;
    assert(chain->last == 0 || (links->prev == chain->last && links->depth == chain->depth));
    if ((rec->flags & RING_END) != 0)
        chain_ends(c, chain, rec->n);
    chain->depth = links->depth + 1;
    chain_append(c, chain, at, true);
}

void chain_skip(struct chains *c, uint64_t at)
{
    assert(chain_of(c, at) == 0);
    c->h->left_n = followed(c, at)->n;
}

/* Puts a chain on the list of those that are emptied, or have something to be wiped. */
static void list_emptied(struct chains *c, uint32_t topic)
{
    struct chain *chain = &c->chain[topic];
    if (chain->empty_next != 0)
        return;
    chain->empty_next = c->h->emptied != 0 ? c->h->emptied : CHAINS_LIST_END;
    c->h->emptied = topic;
}

/* Takes the oldest purged record off its chain. */
static void wiped(struct chains *c, struct chain *chain)
{
    uint64_t at = chain->wipe, next = ring_next(c->ring, ring_at(c->ring, at));
    *chain_entry(c, at) = 0;
    chain->wipe = next; /* what came later is not linked to these */
    c->h->wiping -= chain->wipe == 0;
}

uint32_t chain_purge(struct chains *c, uint32_t topic, uint64_t at)
{
    chain_pass(c, at);
    struct chain *chain = topic != 0 ? chain_at(c, topic) : NULL;
    uint32_t count = chain != NULL ? chain->count : 0;
    if (count == 0)
        return 0;
    while (chain->wipe != 0) /* of an earlier purge */
        (void)chain_wipe(c, topic, UINT64_MAX);
    if (chain_has_ended(c, chain)) {
        chain->end_n = 0;
        c->h->ended--;
    }
    chain->wipe = chain->first;
    chain->first = chain->last = 0;
    chain->count = 0;
    c->h->wiping++;
    list_emptied(c, topic);
    return count;
}

bool chain_wipe(struct chains *c, uint32_t topic, uint64_t most)
{
    struct chain *chain = chain_at(c, topic);
    for (uint64_t bytes = 0; chain->wipe != 0 && bytes < most;) {
        bytes += ring_at(c->ring, chain->wipe)->size;
        ring_wipe(c->ring, chain->wipe);
        wiped(c, chain);
    }
    if (chain->wipe != 0)
        list_emptied(c, topic);
    return chain->wipe != 0;
}

void chain_pass(struct chains *c, uint64_t at)
{
    assert(*chain_entry(c, at) == 0);
    (void)followed(c, at);
}

uint32_t chain_evict(struct chains *c)
{
    struct chains_head *h = c->h;
    uint64_t at = ring_tail(c->ring);
    const struct ring_record *rec = ring_at(c->ring, at);
    uint32_t *entry = chain_entry(c, at), topic = *entry;
    assert(at < h->followed);
    if (topic == 0)
        return 0;
    struct chain *chain = chain_at(c, topic);
    if (at == chain->wipe) {
        wiped(c, chain);
        if (chain_is_empty(chain))
            list_emptied(c, topic);
        return chain_is_empty(chain) ? topic : 0;
    }
    assert(chain->first == at && chain->count > 0 && rec->n > chain->lost_n);
    *entry = 0;
    chain->lost_n = rec->n;
    chain->lost_at = at;
    if (rec->n == chain->end_n) {
        chain->end_n = 0;
        h->ended--;
    }
    chain->first = ring_next(c->ring, rec);
    chain->count--;
    assert((chain->count == 0) == (chain->first == 0));
    if (chain->count > 0)
        return 0;
    chain->last = 0;
    list_emptied(c, topic);
    return topic;
}

/* ---- finding --------------------------------------------------------------------------------- */

uint64_t chain_seek(const struct chains *c, uint32_t topic, uint64_t at)
{
    const struct chain *chain = chain_at(c, topic);
    assert(chain->first < at && at <= chain->last);
    for (uint64_t x = chain->last;;) {
        const struct ring_links *links = &ring_at(c->ring, x)->links;
        if (links->jump >= at)
            x = links->jump;
        else if (links->prev >= at)
            x = links->prev;
        else
            return x;
    }
}

uint32_t chain_count_from(const struct chains *c, uint32_t topic, uint64_t at)
{
    uint64_t first = chain_next(c, topic, at);
    return first == 0 ? 0 : c->chain[topic].depth - ring_at(c->ring, first)->links.depth;
}

uint64_t chain_from_newest(const struct chains *c, uint32_t topic, uint32_t count)
{
    const struct chain *chain = chain_at(c, topic);
    uint32_t messages = chain_messages(c, topic);
    if (count == 0 || messages == 0)
        return 0;
    if (count >= messages)
        return chain->first;
    count += chain->count - messages; /* what does not count is on the way */
    uint64_t x = chain->last;
    for (uint32_t left = count - 1; left > 0;) {
        const struct ring_links *links = &ring_at(c->ring, x)->links;
        uint64_t to = links->jump >= chain->first ? links->jump : links->prev;
        if (links->depth - ring_at(c->ring, to)->links.depth > left)
            to = links->prev;
        left -= links->depth - ring_at(c->ring, to)->links.depth;
        x = to;
    }
    return x;
}
