/*
 * room.c - see room.h.
 */
#include "lib/topic/room.h"

#include "lib/fair.h"

/* What one set may always take; a reserve covers it for as many sets as there can be. */
#define MAY_TOPICS 16u
#define MAY_EDGES  64u
#define MAY_BYTES  1024u
#define MAY_LEAST  320u /* bytes, if the room is too small for that: a name and a wildcard */

void topics_share(struct topics *t, uint64_t sets_max, uint32_t parts)
{
    t->sets_max = sets_max;
    t->parts = parts;
}

uint64_t topics_sets_used(const struct topics *t)
{
    return pool_used(&t->sets);
}

uint64_t topics_sets_most(const struct topics *t)
{
    uint64_t total = pool_total(&t->sets);
    return t->sets_max != 0 && t->sets_max < total ? t->sets_max : total;
}

/* Returns how many sets there can be, 0: any number. */
static uint64_t sets_most(const struct topics *t)
{
    return t->topics_max != 0 && t->topics_max < t->max ? t->max - t->topics_max : 0;
}

/* Returns the most that a set may take of `total`, of which `used` is taken; `always` is what each
 * set may take. */
static uint64_t may_take(const struct topics *t, uint64_t total, uint64_t used, uint64_t always)
{
    uint64_t sets = sets_most(t), reserve = sets * always < total / 2 ? sets * always : total / 2;
    uint64_t most = fair_most(total, reserve, used, t->parts);
    return most > always ? most : always;
}

void room_begin(struct topics *t)
{
    const struct topics_head *h = t->h;
    uint64_t topics = t->topics_max != 0 ? t->topics_max : t->max;
    uint64_t room = topics_sets_most(t), sets = sets_most(t);
    uint64_t each = sets > 0 ? room / 2 / sets : MAY_BYTES;
    each = each > MAY_LEAST ? each : MAY_LEAST;
    t->full = TOPIC_FULL_NOT;
    t->may.bytes = may_take(t, room, topics_sets_used(t), each < MAY_BYTES ? each : MAY_BYTES);
    t->may.edges = (uint32_t)may_take(t, t->edges_max, h->edges, MAY_EDGES);
    t->may.topics = (uint32_t)may_take(t, topics, h->topics, MAY_TOPICS);
}

uint32_t room_block(struct topics *t, size_t bytes)
{
    size_t block = pool_block(&t->sets, bytes);
    t->full = topics_sets_used(t) + block > topics_sets_most(t) ? TOPIC_FULL_SETS
              : block > t->may.bytes                            ? TOPIC_FULL_SHARE
                                                                : TOPIC_FULL_NOT;
    uint32_t got = t->full == TOPIC_FULL_NOT ? pool_alloc(&t->sets, bytes) : 0;
    if (got != 0)
        t->may.bytes -= block;
    else if (t->full == TOPIC_FULL_NOT)
        t->full = TOPIC_FULL_SETS;
    return got;
}

uint32_t room_edge(struct topics *t)
{
    struct topics_head *h = t->h;
    uint32_t id = h->edges_free;
    if (t->may.edges == 0 && h->edges < t->edges_max) {
        t->full = TOPIC_FULL_SHARE;
        return 0;
    }
    if (id != 0) {
        h->edges_free = t->edge[id].next;
    } else if (h->edges_used < t->edges_max) {
        id = ++h->edges_used;
    } else {
        t->full = TOPIC_FULL_EDGES;
        return 0;
    }
    t->may.edges--;
    h->edges++;
    return id;
}

void room_edge_free(struct topics *t, uint32_t edge)
{
    t->edge[edge] = (struct topic_edge){.next = t->h->edges_free};
    t->h->edges_free = edge;
    t->h->edges--;
}

void room_edge_link(struct topics *t, uint32_t *first, uint32_t edge, uint32_t set)
{
    t->edge[edge] = (struct topic_edge){.set = set, .next = *first};
    if (*first != 0)
        t->edge[*first].prev = edge;
    *first = edge;
}

void room_edge_unlink(struct topics *t, uint32_t *first, uint32_t edge)
{
    struct topic_edge was = t->edge[edge];
    if (was.next != 0)
        t->edge[was.next].prev = was.prev;
    if (was.prev != 0)
        t->edge[was.prev].next = was.next;
    else
        *first = was.next;
    room_edge_free(t, edge);
}
