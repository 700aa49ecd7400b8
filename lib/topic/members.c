/*
 * members.c - see members.h.
 */
#include "lib/topic/members.h"

#include "lib/topic/names.h"
#include "lib/topic/sets.h"

/* In `seen`: the topic has more sets than that has room for. */
#define TOPIC_MANY UINT32_MAX

void topics_links(struct topics *t, void *links, size_t stride)
{
    t->links = links;
    t->stride = stride;
}

/* ---- subscribers ----------------------------------------------------------------------------- */

void topic_subscribe(struct topics *t, uint32_t id, uint32_t subscriber)
{
    struct topic_group *e = group_used(t, id);
    struct topic_link *link = topic_link_of(t, subscriber);
    assert(subscriber != 0 && link->topic == 0);
    if (e->iter == 0) {
        *link = (struct topic_link){subscriber, subscriber, id};
        e->iter = subscriber;
    } else {
        struct topic_link *next = topic_link_of(t, e->iter);
        *link = (struct topic_link){e->iter, next->prev, id};
        topic_link_of(t, next->prev)->next = subscriber;
        next->prev = subscriber;
    }
    e->subscribers++;
    t->h->subscribers++;
    t->h->version++;
    t->h->sets_version += e->subscribers == 1 && topic_is_set(id);
    if (t->heard != NULL)
        t->heard(t->heard_arg, id, true);
}

void topic_unsubscribe(struct topics *t, uint32_t subscriber)
{
    struct topic_link *link = topic_link_of(t, subscriber);
    assert(subscriber != 0);
    if (link->topic == 0)
        return;
    uint32_t id = link->topic;
    struct topic_group *e = group_used(t, id);
    assert(e->subscribers > 0 && e->todo <= e->subscribers);
    if (e->iter == subscriber) {
        e->iter = link->next != subscriber ? link->next : 0;
        e->todo -= e->todo > 0;
    }
    topic_link_of(t, link->prev)->next = link->next;
    topic_link_of(t, link->next)->prev = link->prev;
    *link = (struct topic_link){0, 0, 0};
    e->subscribers--;
    t->h->subscribers--;
    t->h->sets_version += e->subscribers == 0 && topic_is_set(id);
    /* It is not known whether a subscriber elsewhere in the ring had its turn: at worst another
     * gets two. */
    if (e->todo > e->subscribers)
        e->todo = e->subscribers;
    t->h->version++;
    if (t->heard != NULL)
        t->heard(t->heard_arg, id, false);
}

/* ---- whom a topic reaches -------------------------------------------------------------------- */

/* Makes a list of the sets of a topic that have subscribers, linked by found_next. Returns the
 * first one. */
static uint32_t sets_find(const struct topics *t, uint32_t topic)
{
    uint32_t first = sets_with(t, topic), *at = &first;
    while (*at != 0) {
        struct topic_set *set = set_at(t, *at);
        if (set->group.subscribers > 0)
            at = &set->found_next;
        else
            *at = set->found_next;
    }
    return first;
}

/* Finds a topic's sets, unless those found last are still valid. */
static void sets_see(const struct topics *t, uint32_t id)
{
    struct topic *topic = topic_at(t, id);
    if (topic->seen_version == t->h->sets_version)
        return;
    uint32_t first = sets_find(t, id), second = 0, third = 0;
    if (first != 0)
        second = set_at(t, first)->found_next;
    if (second != 0)
        third = set_at(t, second)->found_next;
    topic->seen[0] = first;
    topic->seen[1] = third == 0 ? second : TOPIC_MANY;
    topic->seen_version = t->h->sets_version;
}

uint32_t topic_set_of(const struct topics *t, uint32_t topic, uint32_t *at)
{
    struct topic *e = topic_used(t, topic);
    uint32_t set;
    sets_see(t, topic);
    if (e->seen[1] == TOPIC_MANY)
        set = *at == 0 ? sets_find(t, topic) : set_at(t, *at)->found_next;
    else if (*at == 0)
        set = e->seen[0];
    else
        set = *at == e->seen[0] ? e->seen[1] : 0;
    if (set != 0)
        *at = set;
    return set;
}

uint32_t topic_reach(struct topics *t, uint32_t topic)
{
    struct topic *e = topic_used(t, topic);
    uint32_t at = 0, set;
    if (e->reach_version != t->h->version) {
        e->reach = e->group.subscribers;
        while ((set = topic_set_of(t, topic, &at)) != 0)
            e->reach += set_at(t, set)->group.subscribers;
        e->reach_version = t->h->version;
    }
    return e->reach;
}

/* ---- the end of an entry --------------------------------------------------------------------- */

struct release {
    struct topics *t;
    void (*gone)(void *arg, uint32_t topic);
    void *arg;
};

static bool group_needed(const struct topic_group *g)
{
    return g->subscribers > 0 || g->dirty;
}

static bool topic_needed(const struct topic *e)
{
    return group_needed(&e->group) || e->listed > 0 || e->kept;
}

/* Frees a topic, which its set listed, if nobody needs it. */
static void unlisted(void *arg, uint32_t topic)
{
    const struct release *r = arg;
    if (topic_needed(topic_used(r->t, topic)))
        return;
    r->gone(r->arg, topic);
    topic_drop(r->t, topic);
}

static void release_set(struct topics *t, uint32_t set, void (*gone)(void *arg, uint32_t topic),
                        void *arg)
{
    struct release r = {t, gone, arg};
    set_drop(t, set, unlisted, &r);
}

void topic_release(struct topics *t, uint32_t id, void (*gone)(void *arg, uint32_t topic),
                   void *arg)
{
    assert(gone != NULL && (id & ~TOPIC_SET) > 0 && (id & ~TOPIC_SET) <= t->max);
    if (!topic_exists(t, id) || group_needed(topic_group(t, id)))
        return;
    if (topic_is_set(id)) {
        release_set(t, id, gone, arg);
    } else if (!topic_needed(topic_at(t, id))) {
        gone(arg, id);
        topic_drop(t, id);
    }
}
