/*
 * order.c - see order.h.
 *
 * A treap: a search tree by name that is a heap by the names' hashes, whose key is secret; so its
 * depth is that of a random tree, whatever the names and their order. Each topic has the number of
 * topics in the tree below it, and the next one in order.
 */
#include "lib/topic/order.h"

#include "lib/topic/sort.h"

static uint32_t rank_of(const struct topic *e)
{
    return (uint32_t)(e->hash >> 32); /* the low bits choose the bucket */
}

static uint32_t size_of(const struct topics *t, uint32_t topic)
{
    return topic == 0 ? 0 : topic_at(t, topic)->size;
}

/* Prefetches: a step down reads a name and then an entry, neither in a cache, and the name decides
 * which entry. */
static void fetch_below(const struct topics *t, const struct topic *e)
{
    __builtin_prefetch(topic_at(t, e->left));
    __builtin_prefetch(&topic_at(t, e->left)->left);
    __builtin_prefetch(topic_at(t, e->right));
    __builtin_prefetch(&topic_at(t, e->right)->left);
}

/* Returns how many names in the tree below `at` are before `key`; with `begin`, or begin with
 * it. */
static uint32_t count_before(const struct topics *t, uint32_t at, struct span key, bool begin)
{
    uint32_t n = 0;
    while (at != 0) {
        const struct topic *e = topic_at(t, at);
        fetch_below(t, e);
        struct span name = topic_key_name(t, e);
        if (is_before(name, key) || (begin && span_begins(name, key))) {
            n += size_of(t, e->left) + 1;
            at = e->right;
        } else {
            at = e->left;
        }
    }
    return n;
}

uint32_t order_count(const struct topics *t, struct span head)
{
    if (head.n == 0)
        return t->h->topics;
    return count_before(t, t->h->root, head, true) - count_before(t, t->h->root, head, false);
}

uint32_t topic_at_or_after(const struct topics *t, struct span name)
{
    uint32_t found = 0;
    for (uint32_t at = t->h->root; at != 0;) {
        const struct topic *e = topic_at(t, at);
        fetch_below(t, e);
        if (is_before(topic_key_name(t, e), name)) {
            at = e->right;
        } else {
            found = at;
            at = e->left;
        }
    }
    return found;
}

uint32_t topic_after(const struct topics *t, uint32_t topic)
{
    return topic_used(t, topic)->next;
}

/* Splits the tree below `at` into the topics before the new one and those after it. Returns the
 * last of the former that it met, or `last`. */
static uint32_t part(struct topics *t, uint32_t at, struct topic *new, uint32_t last)
{
    struct span name = topic_key_name(t, new);
    uint32_t *left = &new->left, *right = &new->right;
    uint32_t less = count_before(t, at, name, false); /* in the tree below `at` */
    new->size = size_of(t, at) + 1;
    while (at != 0) {
        struct topic *e = topic_at(t, at);
        if (is_before(topic_key_name(t, e), name)) {
            uint32_t below = less - size_of(t, e->left) - 1;
            last = *left = at;
            left = &e->right;
            e->size = less;
            at = e->right;
            less = below;
        } else {
            *right = at;
            right = &e->left;
            e->size -= less;
            at = e->left;
        }
    }
    *left = *right = 0;
    return last;
}

void order_add(struct topics *t, uint32_t topic)
{
    struct topics_head *h = t->h;
    struct topic *new = topic_at(t, topic);
    struct span name = topic_key_name(t, new);
    uint32_t *link = &h->root, last = 0;
    while (*link != 0 && rank_of(topic_at(t, *link)) >= rank_of(new)) {
        struct topic *e = topic_at(t, *link);
        fetch_below(t, e);
        e->size++;
        if (is_before(topic_key_name(t, e), name)) {
            last = *link;
            link = &e->right;
        } else {
            link = &e->left;
        }
    }
    uint32_t below = *link;
    *link = topic;
    last = part(t, below, new, last);
    uint32_t *next = last == 0 ? &h->first : &topic_at(t, last)->next;
    new->next = *next;
    *next = topic;
}

/* Joins two trees; all of `a` is before all of `b`. */
static uint32_t join(struct topics *t, uint32_t a, uint32_t b)
{
    uint32_t top = 0, *link = &top;
    while (a != 0 && b != 0) {
        struct topic *x = topic_at(t, a), *y = topic_at(t, b);
        if (rank_of(x) >= rank_of(y)) {
            *link = a;
            link = &x->right;
            x->size += y->size;
            a = x->right;
        } else {
            *link = b;
            link = &y->left;
            y->size += x->size;
            b = y->left;
        }
    }
    *link = a != 0 ? a : b;
    return top;
}

void order_drop(struct topics *t, uint32_t topic)
{
    struct topics_head *h = t->h;
    const struct topic *old = topic_at(t, topic);
    struct span name = topic_key_name(t, old);
    uint32_t *link = &h->root, last = 0;
    while (*link != topic) {
        assert(*link != 0);
        struct topic *e = topic_at(t, *link);
        fetch_below(t, e);
        e->size--;
        if (is_before(topic_key_name(t, e), name)) {
            last = *link;
            link = &e->right;
        } else {
            link = &e->left;
        }
    }
    for (uint32_t at = old->left; at != 0; at = topic_at(t, at)->right)
        last = at;
    *(last == 0 ? &h->first : &topic_at(t, last)->next) = old->next;
    *link = join(t, old->left, old->right);
}
