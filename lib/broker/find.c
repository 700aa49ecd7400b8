/*
 * find.c - finds an entry's messages: the next ones, the newest, whether some were lost.
 */
#include "lib/broker/broker.h"

#include "lib/heap.h"

enum {
    FIND_SEEK = 100,     /* steps to find the topics that a wildcard may match, and their number */
    FIND_LOOK = 3,       /* to read a topic and its chain */
    FIND_SCAN_ASK = 128, /* chains scanned in one step */
    FIND_AHEAD = 8,      /* records whose topics are prefetched */
};

/* Returns the cost, in steps, of testing whether a topic is in a set. */
static uint32_t ask(const struct broker *b, uint32_t id)
{
    return 1 + topic_weight(b->topics, id) / 4;
}

/* Returns the cost of walking the topics of a set: finding those of its wildcards, and reading each
 * and its chain. */
static uint64_t members_cost(const struct broker *b, uint32_t id)
{
    struct span list = topic_name(b->topics, id);
    uint64_t parts = 1, cost = 0;
    for (size_t i = 0; i < list.n; i++)
        parts += list.p[i] == ',';
    if (topic_is_wild(b->topics, id))
        cost = (parts - set_at(b->topics, id)->names) * FIND_SEEK;
    if (cost > FIND_MEMBERS)
        return cost; /* counting them exactly would cost as much */
    return cost + (uint64_t)topic_members_most(b->topics, id) * (FIND_LOOK + ask(b, id));
}

/* Returns true if the record at `at` is of a set. */
static inline bool is_of(const struct broker *b, uint32_t id, uint64_t at)
{
    uint32_t topic = broker_topic(b, at);
    return topic != 0 && topic_in_set(b->topics, id, topic);
}

/* Finds the records of a set from *at on by merging its topics' chains; the cost grows with their
 * messages. */
static unsigned merge_chains(const struct broker *b, uint32_t id, uint64_t *at, uint64_t *rec,
                             unsigned most)
{
    size_t n = 0;
    unsigned got = 0;
    uint32_t pos = 0, topic;
    while ((topic = topic_member(b->topics, id, &pos)) != 0)
        if ((b->heap[n] = chain_next(&b->chains, topic, *at)) != 0)
            n++;
    heap_make(b->heap, n, heap_sink_number);
    while (n > 0 && got < most) {
        rec[got++] = b->heap[0];
        n = heap_replace(b->heap, n, ring_next(b->ring, ring_at(b->ring, b->heap[0])), 0);
    }
    *at = n > 0 ? b->heap[0] : ring_head(b->ring);
    return got;
}

/* Finds them by walking the ring, for that many steps. */
static unsigned walk_ring(const struct broker *b, uint32_t id, uint64_t *at, uint64_t *rec,
                          unsigned most, uint64_t steps)
{
    uint32_t each = ask(b, id);
    uint64_t head = ring_head(b->ring), ahead = *at, done = 0;
    unsigned got = 0, fetched = 0;
    for (; *at < head && got < most && done < steps; done += each, fetched--) {
        for (; fetched < FIND_AHEAD && ahead < head; fetched++) {
            const struct ring_record *record = ring_at(b->ring, ahead);
            __builtin_prefetch(topic_at(b->topics, broker_topic(b, ahead)));
            ahead = ring_behind(record, ahead);
        }
        const struct ring_record *record = ring_at(b->ring, *at);
        if (is_of(b, id, *at))
            rec[got++] = *at;
        *at = ring_behind(record, *at);
    }
    return got;
}

/* Walks for as long as merging would take, so that neither choice is wrong by much; then merges, if
 * the set is small enough and merging is likely to find more. A subscriber that hardly lags does
 * not pay for the choice. */
static unsigned collect_set(const struct broker *b, uint32_t id, uint64_t *at, uint64_t *rec,
                            unsigned most)
{
    if (*at < ring_tail(b->ring))
        *at = ring_tail(b->ring);
    unsigned got = walk_ring(b, id, at, rec, most, FIND_NEAR);
    if (got == most || *at == ring_head(b->ring))
        return got;
    uint64_t merge = members_cost(b, id), walk = merge < FIND_WALK ? merge : FIND_WALK;
    got += walk_ring(b, id, at, rec + got, most - got, walk);
    if (got == most || *at == ring_head(b->ring) || merge > FIND_MERGE || got * merge > most * walk)
        return got;
    return got + merge_chains(b, id, at, rec + got, most - got);
}

unsigned broker_collect(const struct broker *b, uint32_t id, uint64_t *at, uint64_t *rec,
                        unsigned most)
{
    const struct ring *r = b->ring;
    unsigned got = 0;
    if (topic_is_set(id))
        return collect_set(b, id, at, rec, most);
    uint64_t next = chain_next(&b->chains, id, *at), last = chain_at(&b->chains, id)->last;
    for (; next != 0 && got < most; next = next != last ? ring_raw_next(r, next) : 0)
        rec[got++] = next;
    *at = next != 0 ? next : ring_head(r);
    return got;
}

/* broker_lost_after() for a set with too many topics to walk them: scans all chains, which is fast,
 * and tests only topics that lost something. */
static bool lost_scan(const struct broker *b, uint32_t id, uint64_t n)
{
    uint64_t left = FIND_SCAN;
    uint32_t topics = topic_count(b->topics), each = FIND_SCAN_ASK * ask(b, id);
    for (uint32_t topic = 1; topics > 0 && topic <= b->chains.max; topic++) {
        const struct chain *c = &b->chains.chain[topic];
        topics -= c->open != 0;
        uint32_t cost = c->open && c->lost_n > n ? each : 1;
        if (cost > left)
            return true; /* would take too long */
        left -= cost;
        if (cost > 1 && topic_in_set(b->topics, id, topic))
            return true;
    }
    return false;
}

bool broker_lost_after(const struct broker *b, uint32_t id, uint64_t n)
{
    uint32_t pos = 0, topic;
    if (n < ring_hole(b->ring) || n < b->chains.h->left_n)
        return true;
    if (n >= ring_lost(b->ring))
        return false; /* nothing above n has been evicted */
    if (topic_is_wild(b->topics, id) && chains_forgotten(&b->chains) > n)
        return true;
    if (topic_is_set(id) && members_cost(b, id) > FIND_MEMBERS)
        return lost_scan(b, id, n);
    while ((topic = topic_member(b->topics, id, &pos)) != 0)
        if (chain_at(&b->chains, topic)->lost_n > n)
            return true;
    return false;
}

/* ---- topics that have ended ------------------------------------------------------------------ */

/* Returns true if the topic has ended, and its last record is in front of `at`. */
static inline bool ended_before(const struct broker *b, uint32_t topic, uint64_t at)
{
    const struct chain *c = chain_at(&b->chains, topic);
    return chain_has_ended(&b->chains, c) && c->last < at;
}

bool broker_over(const struct broker *b, uint32_t id, uint64_t at)
{
    uint32_t pos = 0, topic;
    if (!topic_is_set(id))
        return ended_before(b, id, at);
    const struct topic_set *set = set_at(b->topics, id);
    if (set->wild || b->chains.h->ended < set->member_count)
        return false;
    while ((topic = topic_member(b->topics, id, &pos)) != 0)
        if (!ended_before(b, topic, at))
            return false;
    return true;
}

uint64_t broker_ended_before(const struct broker *b, struct span name, uint64_t at)
{
    uint32_t topic = b->chains.h->ended > 0 ? topic_find(b->topics, name) : 0;
    return topic != 0 && ended_before(b, topic, at) ? broker_end(b, topic) : 0;
}

/* ---- the newest ------------------------------------------------------------------------------ */

/* broker_from_newest() for a set by going back in the ring, block by block, at most `steps`. */
static bool last_walk(const struct broker *b, uint32_t id, uint64_t count, uint64_t steps,
                      uint64_t *at)
{
    uint64_t rec[RING_BLOCK / sizeof(struct ring_record)];
    uint32_t each = ask(b, id);
    *at = ring_head(b->ring);
    for (uint64_t end = *at, done = 0; end > ring_tail(b->ring);) {
        uint64_t first = ring_block_before(b->ring, end), all = 0, n = 0;
        if (done >= steps)
            return false;
        for (uint64_t x = first; x < end; x = ring_behind(ring_at(b->ring, x), x)) {
            __builtin_prefetch(topic_at(b->topics, broker_topic(b, x)));
            rec[all++] = x;
        }
        for (uint64_t i = 0; i < all; i++)
            if ((ring_at(b->ring, rec[i])->flags & RING_BARE) == 0 && is_of(b, id, rec[i]))
                rec[n++] = rec[i];
        done += all * each;
        if (n > 0)
            *at = n < count ? rec[0] : rec[n - count];
        if (n >= count)
            return true;
        count -= n;
        end = first;
    }
    return true;
}

/* Does that by merging its topics' chains from their ends, if it has at most `count` messages or
 * few enough. */
static bool last_merge(const struct broker *b, uint32_t id, uint64_t count, uint64_t *at)
{
    uint32_t pos = 0, topic;
    uint64_t total = 0;
    size_t n = 0;
    *at = ring_head(b->ring);
    while ((topic = topic_member(b->topics, id, &pos)) != 0) {
        const struct chain *c = chain_at(&b->chains, topic);
        uint32_t messages = chain_messages(&b->chains, topic);
        if (messages == 0)
            continue;
        total += messages;
        *at = c->first < *at ? c->first : *at;
        b->heap[n++] = UINT64_MAX - c->last; /* the newest first */
    }
    if (total <= count || count > FIND_BACK)
        return total <= count;
    heap_make(b->heap, n, heap_sink_number);
    while (count > 0) {
        uint64_t newest = UINT64_MAX - b->heap[0];
        const struct ring_record *rec = ring_at(b->ring, newest);
        uint64_t prev = rec->links.prev;
        if ((rec->flags & RING_BARE) == 0) {
            *at = newest;
            count--;
        }
        n = heap_replace(b->heap, n, UINT64_MAX - (prev >= ring_tail(b->ring) ? prev : 0),
                         UINT64_MAX);
    }
    return true;
}

bool broker_from_newest(const struct broker *b, uint32_t id, uint64_t count, uint64_t *at)
{
    *at = ring_head(b->ring);
    if (count == 0)
        return true;
    if (!topic_is_set(id)) {
        uint64_t back =
            chain_from_newest(&b->chains, id, count < UINT32_MAX ? (uint32_t)count : UINT32_MAX);
        *at = back != 0 ? back : *at;
        return true;
    }
    uint64_t merge = members_cost(b, id);
    return last_walk(b, id, count, merge < FIND_BACK ? merge : FIND_BACK, at) ||
           (merge <= FIND_MEMBERS && last_merge(b, id, count, at));
}
