/*
 * members.h - subscribers of entries, the reach of a topic, and when an entry is freed.
 *
 * SUBSCRIBERS are numbers (of connections) from 1. Each is on one entry at a time, a topic or a
 * set. The subscribers of an entry are linked in a ring through a struct topic_link that the caller
 * keeps for each at a fixed stride. The entry's iterator (fanout.h) points at one and moves on when
 * that one leaves; a new subscriber comes last.
 *
 * LIFE: a topic is needed while it has subscribers, is listed in a set, or is `kept` by the caller
 * (it has messages); a set while it has subscribers; either while it is in the queue for fan-out.
 * topic_release() frees what nobody needs.
 */
#ifndef SSE_LIB_TOPIC_MEMBERS_H
#define SSE_LIB_TOPIC_MEMBERS_H

#include "lib/topic/table.h"

struct topic_link {
    uint32_t next, prev; /* subscribers of the same entry, in a ring */
    uint32_t topic;      /* the entry it is on, a topic or a set; 0: none, and next and prev mean
                          * nothing */
};

/* Sets the address of the links: that of subscriber i is links + i * stride. */
void topics_links(struct topics *t, void *links, size_t stride);

/* Returns the link of a subscriber. */
static inline struct topic_link *topic_link_of(const struct topics *t, uint32_t subscriber)
{
    return (struct topic_link *)(void *)(t->links + (size_t)subscriber * t->stride);
}

/* Subscribes a subscriber, which is on no entry, to an entry; its turn comes last. */
void topic_subscribe(struct topics *t, uint32_t id, uint32_t subscriber);

/* Takes a subscriber off its entry, if it is on one. The entry stays: call topic_release() for
 * it. */
void topic_unsubscribe(struct topics *t, uint32_t subscriber);

/* Returns how many subscribers a message of this topic has: its own and those of its sets. */
uint32_t topic_reach(struct topics *t, uint32_t topic);

/* Walks the sets of a topic that have subscribers. *at begins at 0. Returns 0 after the last. The
 * sets are searched for once, and again when a set got its first subscriber or lost its last, or if
 * there are more than two. During a walk there may be no other such walk, no topic_reach(), no
 * topic_mark() of a topic, and no subscriber may join or leave. */
uint32_t topic_set_of(const struct topics *t, uint32_t topic, uint32_t *at);

/* Frees an entry if nobody needs it, and the topics that only it needed. Reports each topic, before
 * it is freed, through gone(arg, topic), which may not change the table. Leaves a free number
 * alone, and what is in the queue: release that after topic_queue_drop(). */
void topic_release(struct topics *t, uint32_t id, void (*gone)(void *arg, uint32_t topic),
                   void *arg);

#endif
