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

bool broker_release_emptied(struct broker *b)
{
    uint32_t topic = chains_take_emptied(&b->chains);
    if (topic == 0)
        return false;
    check_kept(b, topic);
    if (chain_is_empty(chain_at(&b->chains, topic)))
        broker_release(b, topic);
    return true;
}

/* ---- following ------------------------------------------------------------------------------- */

uint64_t broker_follow(struct broker *b)
{
    uint64_t left = 0, at;
    bool made;
    while ((at = b->chains.h->followed) < ring_head(b->ring)) {
        const struct ring_record *rec = ring_at(b->ring, at);
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

/* The ring is about to evict its oldest record. */
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

uint32_t broker_show(struct broker *b)
{
    uint64_t at = ring_show(b->ring);
    uint32_t topic = chain_unhold(&b->chains, at);
    broker_follow_as(b, topic, at);
    return topic;
}
