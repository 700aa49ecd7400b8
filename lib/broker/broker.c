/*
 * broker.c - follows the ring: topics and their chains, opened, filled and released together.
 */
#include "lib/broker/broker.h"

#include "lib/topic/fanout.h"

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

bool broker_wipe_waits(const struct broker *b)
{
    return b->ring->shared != NULL && control_followed(b->ring->shared) < b->purged_to;
}

bool broker_release_emptied(struct broker *b)
{
    uint32_t topic = chains_take_emptied(&b->chains);
    if (topic == 0)
        return false;
    check_kept(b, topic);
    if (chain_at(&b->chains, topic)->wipe != 0 && broker_wipe(b, topic, WIPE_BYTES) &&
        broker_wipe_waits(b))
        return false; /* it is on the list again */
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
    most = broker_wipe_waits(b) ? 0 : most;
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
        (void)chain_wipe(&b->chains, topic, UINT64_MAX);
        keep(b, topic);
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

/* Opens the topic of a record of a shared ring. Who put it has seen to the limit of topics, unless
 * that was an earlier server (`link`). Returns 0 if there is no room. */
static uint32_t adopt_topic(struct broker *b, uint64_t at, bool link)
{
    const uint32_t limit = b->topics->topics_max;
    bool made;
    if (!link)
        b->topics->topics_max = 0;
    uint32_t topic = broker_open(b, ring_topic(ring_at(b->ring, at)), &made);
    b->topics->topics_max = limit;
    return topic;
}

/* Follows a record of a shared ring that was wiped, or that purges. Where others are, it is they
 * who wipe as well, and one that was wiped while this one joined is of its chain still, unless it
 * is the first there. Returns false: it is to be followed as any other. */
static bool adopt_no_message(struct broker *b, const struct ring_record *rec, uint64_t at,
                             bool link)
{
    if (link) {
        follow_no_message(b, rec, at);
        return true;
    }
    const uint32_t topic = topic_find(b->topics, ring_topic(rec));
    const bool purges = (rec->flags & RING_PURGE) != 0;
    if (!purges && topic != 0 && chain_at(&b->chains, topic)->count > 0)
        return false;
    if (!purges || topic == 0) {
        chain_pass(&b->chains, at);
        return true;
    }
    (void)broker_follow_purge(b, topic, at);
    b->purged_to = ring_head(b->ring);
    b->purged = true;
    return true;
}

/* The same in a shared ring: the next record is taken into the view, marked for fan-out, and in its
 * topic's chain. */
static void adopt(struct broker *b, bool link)
{
    const uint64_t at = ring_head(b->ring);
    ring_take(b->ring);
    const struct ring_record *rec = ring_at(b->ring, at);
    if ((rec->flags & (RING_WIPED | RING_PURGE)) != 0 && adopt_no_message(b, rec, at, link))
        return;
    const uint32_t topic = adopt_topic(b, at, link);
    if (topic == 0) {
        chain_skip(&b->chains, at);
        b->left_out += link;
        if (link && ring_topic(ring_at(b->ring, at)).n > 0)
            ring_drop(b->ring, at); /* which no other is to take in */
        return;
    }
    if ((rec->flags & RING_KEYED) != 0)
        (link ? once_add : once_adopt)(&b->once, at);
    topic_at(b->topics, topic)->kept = 1;
    chain_adopt(&b->chains, topic, at, link);
    topic_mark(b->topics, topic);
}

static void follow_shared(struct broker *b, bool link)
{
    struct ring *r = b->ring;
    struct control_state s;
    b->turn = control_read(r->shared, &s);
    for (;;) {
        while (ring_tail(r) < s.tail && ring_tail(r) < ring_head(r))
            ring_let_go(r);
        if (ring_head(r) == s.head)
            break;
        adopt(b, link);
    }
    ring_taken(r, &s);
    ring_renew(r);
}

void broker_follow_shared(struct broker *b)
{
    follow_shared(b, false);
}

void broker_link_shared(struct broker *b)
{
    follow_shared(b, true);
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
    *b = (struct broker){.ring = r, .topics = t, .heap = heap, .turn = UINT64_MAX};
    once_init(&b->once, r, t->h->seed[0], memory);
    chains_init(&b->chains, r, t->max, (char *)memory + once_size(r->size));
    if (b->chains.h->followed == 0)
        chains_begin(&b->chains);
    ring_tell(r, let_go, b);
}

/* ---- a shared ring --------------------------------------------------------------------------- */

/* Takes the lock with all that was committed in this view. */
static void lock_level(struct broker *b)
{
    broker_catch_up(b); /* most of it without the lock */
    control_lock(b->ring->shared, b->ring->me);
    broker_catch_up(b);
}

/* Has another process ended the topic meanwhile, or published a message with that key? */
static bool is_late(const struct broker *b, uint32_t topic, const struct ring_message *m)
{
    return !m->purge &&
           (broker_end(b, topic) != 0 || (m->key[0] != 0 && broker_once(b, m->key) != 0));
}

/* Puts it, if there is room now. */
static uint64_t try_put(struct broker *b, uint32_t topic, const struct ring_message *m,
                        uint64_t now_ms)
{
    uint64_t at = 0;
    lock_level(b);
    if (!is_late(b, topic, m)) {
        const struct ring_links links = chain_plan(&b->chains, topic);
        b->put_n = ring_given(b->ring) + 1;
        at = ring_share_put(b->ring, m, now_ms, &links, once_newest(&b->once, m->key), &b->evicted);
    }
    control_unlock(b->ring->shared);
    broker_catch_up(b);
    return at;
}

uint64_t broker_put_shared(struct broker *b, uint32_t topic, const struct ring_message *m,
                           uint64_t now_ms, void (*wake)(uint64_t workers))
{
    struct control *c = b->ring->shared;
    uint64_t at = try_put(b, topic, m, now_ms);
    if (at != 0 || is_late(b, topic, m))
        return at;
    uint64_t began = control_us();
    for (unsigned i = 0; at == 0 && i < BROKER_PAUSES && !is_late(b, topic, m); i++) {
        if (wake != NULL)
            wake(control_sleepers(c, control_blockers(c)));
        control_pause(c);
        at = try_put(b, topic, m, now_ms);
    }
    atomic_fetch_add_explicit(&c->waits, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->wait_us, control_us() - began, memory_order_relaxed);
    return at;
}

unsigned broker_expire(struct broker *b, uint64_t before_ms, unsigned most)
{
    struct ring *r = b->ring;
    if (r->shared == NULL)
        return ring_expire(r, before_ms, most);
    if (ring_tail(r) == ring_head(r) || ring_at(r, ring_tail(r))->time_max >= before_ms)
        return 0;
    lock_level(b);
    unsigned n = ring_share_expire(r, before_ms, most);
    control_unlock(r->shared);
    broker_catch_up(b);
    return n;
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
    if (b->ring->shared != NULL)
        return broker_put_shared(b, topic, &m, now_ms, NULL);
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
