/*
 * broker.c - follows the ring: topics and their chains, opened, filled and released together.
 */
#include "lib/broker/broker.h"

/* ---- topics ---------------------------------------------------------------------------------- */

/* The invariant that joins table and chains. */
static inline void check_kept(const struct broker *b, uint32_t topic)
{
    assert((topic_at(b->topics, topic)->kept != 0) == !chain_is_empty(chain_at(&b->chains, topic)));
}

void broker_open_chain(void *broker, uint32_t topic)
{
    struct broker *b = broker;
    chain_open(&b->chains, topic, topic_at(b->topics, topic)->hash);
}

uint32_t broker_select(struct broker *b, struct span expression, uint32_t most, bool set,
                       const char **why)
{
    return (set ? topic_select_set : topic_select)(b->topics, expression, most, broker_open_chain,
                                                   b, why);
}

static void gone_chain(void *broker, uint32_t topic)
{
    struct broker *b = broker;
    check_kept(b, topic);
    if (b->gone != NULL)
        b->gone(b->arg, topic);
    chain_close(&b->chains, topic, topic_at(b->topics, topic)->hash);
}

void broker_release(struct broker *b, uint32_t id)
{
    topic_release(b->topics, id, gone_chain, b);
}

#define WIPE_BYTES (256u << 10) /* of a purged topic at once: well below a millisecond */

bool broker_release_emptied(struct broker *b)
{
    uint32_t topic = chains_take_emptied(&b->chains);
    if (topic == 0)
        return false;
    check_kept(b, topic);
    if (chain_at(&b->chains, topic)->wipe != 0)
        (void)broker_wipe(b, topic, WIPE_BYTES);
    if (chain_is_empty(chain_at(&b->chains, topic)))
        broker_release(b, topic);
    return true;
}

/* ---- following ------------------------------------------------------------------------------- */

/* Notes that a topic may not be needed any more, or is again. */
static void keep(struct broker *b, uint32_t topic)
{
    topic_at(b->topics, topic)->kept = !chain_is_empty(chain_at(&b->chains, topic));
}

uint32_t broker_follow_purge(struct broker *b, uint32_t topic, uint64_t at)
{
    uint32_t count = chain_purge(&b->chains, topic, at);
    keep(b, topic);
    return count;
}

bool broker_wipe(struct broker *b, uint32_t topic, uint64_t most)
{
    bool more = chain_wipe(&b->chains, topic, most);
    keep(b, topic);
    return more;
}

/* Follows a record that an earlier process wiped, or that purges: all at once, as nobody waits. */
static void follow_no_message(struct broker *b, const struct ring_record *rec, uint64_t at)
{
    uint32_t topic = topic_find(b->topics, ring_topic(rec));
    if ((rec->flags & RING_WIPED) != 0) {
        ring_wipe(b->ring, at); /* it may have been killed over it */
        chain_pass(&b->chains, at);
    } else if (topic == 0) {
        chain_pass(&b->chains, at);
    } else {
        (void)broker_follow_purge(b, topic, at);
        (void)broker_wipe(b, topic, UINT64_MAX);
    }
}

uint64_t broker_follow(struct broker *b)
{
    uint64_t left = 0, at;
    bool made;
    while ((at = b->chains.h->followed) < ring_head(b->ring)) {
        const struct ring_record *rec = ring_at(b->ring, at);
        if ((rec->flags & (RING_WIPED | RING_PURGE)) != 0) {
            follow_no_message(b, rec, at);
            continue;
        }
        uint32_t topic = broker_open(b, ring_topic(rec), &made);
        if (topic != 0) {
            if ((rec->flags & RING_KEYED) != 0)
                once_add(&b->once, at);
            broker_follow_as(b, topic, at);
        } else {
            chain_skip(&b->chains, at);
            left++;
        }
    }
    return left;
}

/* The ring's callback: it is about to evict its oldest record. */
static void let_go(void *broker)
{
    struct broker *b = broker;
    uint32_t emptied = chain_evict(&b->chains);
    if (emptied != 0) {
        assert(topic_at(b->topics, emptied)->kept);
        topic_at(b->topics, emptied)->kept = !chain_is_empty(chain_at(&b->chains, emptied));
    }
}

/* ---- the view ------------------------------------------------------------------------------- */

void broker_init(struct broker *b, struct ring *r, struct topics *t, void *memory, void *heap)
{
    *b = (struct broker){.ring = r, .topics = t, .heap = heap};
    once_init(&b->once, r, t->h->seed[0], memory);
    chains_init(&b->chains, r, t->max, (char *)memory + once_size(r->size));
    if (b->chains.h->followed == 0)
        chains_begin(&b->chains);
    ring_tell(r, let_go, b);
}

/* ---- holding --------------------------------------------------------------------------------- */

uint64_t broker_hold(struct broker *b, uint32_t topic, const struct ring_message *m,
                     uint64_t now_ms)
{
    uint64_t at = ring_hold(b->ring, m, now_ms);
    if (at == 0)
        return 0;
    topic_at(b->topics, topic)->kept = 1;
    if (m->key[0] != 0)
        once_add(&b->once, at);
    chain_hold(&b->chains, topic, at, m->end ? ring_given(b->ring) : 0);
    return at;
}

uint64_t broker_purge(struct broker *b, uint32_t topic, bool hold, uint64_t now_ms)
{
    const struct ring_message m = {.topic = topic_name(b->topics, topic), .purge = true};
    if (hold)
        return broker_hold(b, topic, &m, now_ms);
    uint64_t at = ring_put(b->ring, &m, now_ms);
    (void)broker_follow_purge(b, topic, at);
    return at;
}

bool broker_show_waits(struct broker *b)
{
    const struct ring_record *rec = ring_place(b->ring, ring_head(b->ring));
    if ((rec->flags & RING_PURGE) == 0)
        return false;
    uint32_t topic = topic_find(b->topics, ring_topic(rec));
    return topic != 0 && broker_wipe(b, topic, WIPE_BYTES);
}

uint32_t broker_show(struct broker *b)
{
    uint64_t at = ring_show(b->ring);
    uint32_t topic = chain_unhold(&b->chains, at);
    if ((ring_at(b->ring, at)->flags & RING_PURGE) != 0)
        (void)broker_follow_purge(b, topic, at);
    else
        broker_follow_as(b, topic, at);
    return topic;
}
