/*
 * names.c - see names.h.
 */
#include "lib/topic/names.h"

#include "lib/topic/order.h"

void topics_limit(struct topics *t, uint32_t topics_max)
{
    t->topics_max = topics_max;
}

uint32_t topic_find(const struct topics *t, struct span name)
{
    uint32_t id = topics_entry_find(t, name, topics_hash(t, name));
    return topic_is_set(id) ? 0 : id;
}

void topic_drop(struct topics *t, uint32_t topic)
{
    assert(topic_used(t, topic)->listed == 0);
    order_drop(t, topic);
    t->h->topics--;
    t->h->changes++;
    topics_entry_drop(t, topic);
}

/* Makes a topic; none has that name yet. Returns 0 if there is no room. */
static uint32_t topic_make(struct topics *t, struct span name, uint64_t hash)
{
    struct topics_head *h = t->h;
    assert(name.n > 0 && name.n <= TOPIC_NAME_MAX);
    t->full = TOPIC_FULL_TOPICS;
    if (t->topics_max != 0 && h->topics >= t->topics_max)
        return 0;
    uint32_t block = pool_alloc(&t->names, name.n);
    if (block == 0)
        return 0;
    uint32_t id = topics_entry_add(t, 0, block, (uint32_t)name.n, hash);
    if (id == 0) {
        pool_free(&t->names, block);
        return 0;
    }
    t->full = TOPIC_FULL_NOT;
    memcpy(pool_at(&t->names, block), name.p, name.n);
    order_add(t, id);
    h->topics++;
    h->changes++;
    return id;
}

uint32_t topic_open(struct topics *t, struct span name, bool *made)
{
    uint64_t hash = topics_hash(t, name);
    uint32_t id = topics_entry_find(t, name, hash);
    *made = false;
    if (id == 0) {
        id = topic_make(t, name, hash);
        *made = id != 0;
    }
    assert(!topic_is_set(id));
    return id;
}
