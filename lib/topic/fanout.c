/*
 * fanout.c - see fanout.h.
 */
#include "lib/topic/fanout.h"

/* ---- the queue ------------------------------------------------------------------------------- */

static void enqueue(struct topics *t, uint32_t id)
{
    struct topics_head *h = t->h;
    topic_group(t, id)->dirty_next = 0;
    if (h->dirty == 0)
        h->dirty = id;
    else
        topic_group(t, h->dirty_last)->dirty_next = id;
    h->dirty_last = id;
}

static uint32_t dequeue(struct topics *t)
{
    uint32_t id = t->h->dirty;
    assert(id != 0);
    t->h->dirty = topic_group(t, id)->dirty_next;
    return id;
}

static void mark(struct topics *t, uint32_t id, uint32_t since)
{
    struct topic_group *e = group_used(t, id);
    if (e->subscribers == 0 && (topic_is_set(id) || topic_reach(t, id) == 0))
        return;
    if (e->round == 0 && (e->subscribers > 0 || !e->dirty || e->begun)) {
        e->since = since; /* also for its sets */
        e->round =
            (e->subscribers < TOPIC_ROUND_MAX ? e->subscribers : TOPIC_ROUND_MAX) & TOPIC_ROUND_MAX;
    }
    e->todo = e->subscribers;
    e->begun = 0;
    if (!e->dirty)
        enqueue(t, id);
    e->dirty = 1;
}

void topic_mark(struct topics *t, uint32_t id)
{
    mark(t, id, t->clock);
}

void topic_mark_set(struct topics *t, uint32_t set, uint32_t topic)
{
    mark(t, set, topic_used(t, topic)->group.since);
}

void topic_queue_drop(struct topics *t)
{
    struct topic_group *g = topic_group(t, dequeue(t));
    g->dirty = 0;
    g->todo = 0;
    g->round = 0;
}

void topic_queue_rotate(struct topics *t)
{
    enqueue(t, dequeue(t));
}

/* ---- the walk -------------------------------------------------------------------------------- */

void topic_walk_sets(struct topics *t, uint32_t topic)
{
    uint32_t at = 0, set;
    while ((set = topic_set_of(t, topic, &at)) != 0)
        topic_mark_set(t, set, topic);
}
