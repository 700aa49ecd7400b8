/*
 * fanout.h - fan-out: the queue of entries that have something new, and the walk over their
 * subscribers.
 *
 * topic_mark() queues a topic that has a new message. Then, in each turn:
 *
 *     struct topic_walk w;
 *     while (there is time && topic_walk_begin(t, &w)) {
 *         while (there is time && topic_walk_left(&w))
 *             serve subscriber topic_walk_next(t, &w), by its link
 *         if (topic_walk_timed(&w, how many))
 *             record the time from topic_walk_since(&w) to now
 *         if (topic_walk_end(t, &w))
 *             topic_release(t, w.id, ...)
 *     }
 *
 * The first walk of a topic since it was marked queues its sets. A walk that ends early goes on in
 * a later turn where it stopped, after the other entries. A message that comes meanwhile marks the
 * entry again, and all its subscribers get another turn from there on. During a walk subscribers
 * may join and leave, and entries be marked.
 *
 * HOW LONG FAN-OUT TAKES is measured in samples. The message that marks an entry is timed until
 * every subscriber of that moment has had its turn; messages that come meanwhile are not timed.
 * That takes two numbers per entry, and none per subscriber.
 */
#ifndef SSE_LIB_TOPIC_FANOUT_H
#define SSE_LIB_TOPIC_FANOUT_H

#include "lib/topic/members.h"

#define TOPIC_ROUND_MAX ((1u << 24) - 1) /* subscribers that are timed: the first so many */

/* ---- the queue ------------------------------------------------------------------------------- */

/* Queues an entry: all its subscribers get a turn (again), from the iterator on. Does nothing if a
 * message of it reaches nobody. */
void topic_mark(struct topics *t, uint32_t id);

/* Queues a set as topic_mark() does; its time is that at which `topic` was marked. */
void topic_mark_set(struct topics *t, uint32_t set, uint32_t topic);

/* Returns the entry at the front of the queue, 0 if it is empty. */
static inline uint32_t topic_queue_first(const struct topics *t)
{
    return t->h->dirty;
}

/* Removes the entry at the front of the queue. */
void topic_queue_drop(struct topics *t);

/* Moves the entry at the front to the end, so that others get their turn. */
void topic_queue_rotate(struct topics *t);

/* ---- the walk -------------------------------------------------------------------------------- */

/* A walk over subscribers of the entry at the front of the queue. */
struct topic_walk {
    uint32_t id; /* the entry */
    struct topic_group *group;
};

/* Queues the sets of a topic whose walk begins. */
void topic_walk_sets(struct topics *t, uint32_t topic);

/* Begins or resumes the walk of the entry at the front of the queue. Returns false if the queue is
 * empty. */
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

/* Returns true if a subscriber has not had its turn yet. */
static inline bool topic_walk_left(const struct topic_walk *w)
{
    return w->group->todo > 0;
}

/* Returns the link of the next subscriber, of which there must be one, and counts its turn. */
static inline struct topic_link *topic_walk_next(const struct topics *t, const struct topic_walk *w)
{
    struct topic_group *g = w->group;
    struct topic_link *link = topic_link_of(t, g->iter);
    g->iter = link->next;
    g->todo--;
    __builtin_prefetch(topic_link_of(t, g->iter), 1);
    return link;
}

/* Counts `n` subscribers of a group that had their turn. Returns true if they were the last of
 * those that are timed. */
static inline bool topic_round_count(struct topic_group *g, uint32_t n)
{
    bool last = g->round > 0 && n > 0 && (n >= g->round || g->todo == 0);
    g->round = last || n >= g->round ? 0 : (g->round - n) & TOPIC_ROUND_MAX;
    return last;
}

/* Call before topic_walk_end(), with the number of subscribers that had their turn in this walk.
 * Returns true if every timed subscriber has now had its turn. */
static inline bool topic_walk_timed(const struct topic_walk *w, uint32_t looked)
{
    return topic_round_count(w->group, looked);
}

/* Returns when the timed message was marked, by t->clock. */
static inline uint32_t topic_walk_since(const struct topic_walk *w)
{
    return w->group->since;
}

/* Ends the walk. Returns true if all subscribers had their turn: the entry has left the queue. Else
 * the entry moves to the end of the queue. */
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
