/*
 * fanout.h - fan-out: the queue of entries that have something new, and the walk over their
 * subscribers.
 *
 * topic_mark() puts a topic in the queue when something came for it. Then, a turn at a time:
 *
 *     struct topic_walk w;
 *     while (there is time && topic_walk_begin(t, &w)) {
 *         while (there is time && topic_walk_left(&w))
 *             bring subscriber topic_walk_next(t, &w) up to date, by its link
 *         if (topic_walk_timed(&w, how many))
 *             record the time from topic_walk_since(&w) to now
 *         if (topic_walk_end(t, &w))
 *             topic_release(t, w.id, ...)
 *     }
 *
 * The first walk of a topic since it was marked queues its sets. A walk that ends early goes on in
 * a later turn where it stopped, and other entries come first. What comes meanwhile marks the entry
 * again, and all its subscribers are looked at from there on. During a walk subscribers may join
 * and leave, and entries be marked.
 *
 * HOW LONG FAN-OUT TAKES is measured in samples. What an entry is marked for is timed until each of
 * those who subscribed then has had its turn; what comes for it meanwhile is not timed. So that
 * takes two numbers an entry, and nothing for a subscriber.
 */
#ifndef SSE_LIB_TOPIC_FANOUT_H
#define SSE_LIB_TOPIC_FANOUT_H

#include "lib/topic/members.h"

#define TOPIC_ROUND_MAX ((1u << 24) - 1) /* subscribers that are timed: the first so many */

/* ---- the queue ------------------------------------------------------------------------------- */

/* Queues an entry: all its subscribers are to be looked at (again), from the iterator on. Does
 * nothing if it reaches nobody. */
void topic_mark(struct topics *t, uint32_t id);

/* As topic_mark() for a set, with what came for one of its topics when that one was marked. */
void topic_mark_set(struct topics *t, uint32_t set, uint32_t topic);

/* Returns the entry at the front of the queue, 0 if it is empty. */
static inline uint32_t topic_queue_first(const struct topics *t)
{
    return t->h->dirty;
}

/* Takes the entry at the front off the queue. */
void topic_queue_drop(struct topics *t);

/* Moves the entry at the front to the end, so that others have their turn. */
void topic_queue_rotate(struct topics *t);

/* ---- the walk -------------------------------------------------------------------------------- */

/* A walk over subscribers of the entry at the front of the queue. */
struct topic_walk {
    uint32_t id; /* the entry */
    struct topic_group *group;
};

/* Queues the sets of a topic whose walk begins. */
void topic_walk_sets(struct topics *t, uint32_t topic);

/* Begins, or goes on with, the entry at the front of the queue. Returns false if it is empty. */
static inline bool topic_walk_begin(struct topics *t, struct topic_walk *w)
{
    w->id = topic_queue_first(t);
    w->group = topic_group(t, w->id);
    if (w->id == 0)
        return false;
    if (!topic_is_set(w->id) && !w->group->begun)
        topic_walk_sets(t, w->id);
    w->group->begun = 1;
    return true;
}

/* Returns true if a subscriber is still to be looked at. */
static inline bool topic_walk_left(const struct topic_walk *w)
{
    return w->group->todo > 0;
}

/* Returns the link of the next subscriber, which must be there; it has had its turn then. */
static inline struct topic_link *topic_walk_next(const struct topics *t, const struct topic_walk *w)
{
    struct topic_group *g = w->group;
    struct topic_link *link = topic_link_of(t, g->iter);
    g->iter = link->next;
    g->todo--;
    __builtin_prefetch(topic_link_of(t, g->iter), 1);
    return link;
}

/* Counts `n` subscribers of a group that had their turn. Returns true if they were the last of what
 * is timed. */
static inline bool topic_round_count(struct topic_group *g, uint32_t n)
{
    bool last = g->round > 0 && n > 0 && (n >= g->round || g->todo == 0);
    g->round = last || n >= g->round ? 0 : (g->round - n) & TOPIC_ROUND_MAX;
    return last;
}

/* Call before topic_walk_end(), with how many subscribers had their turn in this walk. Returns true
 * if it completed what is timed. */
static inline bool topic_walk_timed(const struct topic_walk *w, uint32_t looked)
{
    return topic_round_count(w->group, looked);
}

/* Returns when what is timed was marked, by t->clock. */
static inline uint32_t topic_walk_since(const struct topic_walk *w)
{
    return w->group->since;
}

/* Ends the walk. Returns true if all subscribers had their turn: the entry has left the queue. Else
 * it waits behind the others. */
static inline bool topic_walk_end(struct topics *t, const struct topic_walk *w)
{
    assert(topic_queue_first(t) == w->id);
    if (topic_walk_left(w)) {
        topic_queue_rotate(t);
        return false;
    }
    topic_queue_drop(t);
    return true;
}

#endif
