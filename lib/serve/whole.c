/*
 * whole.c - adds up what the workers of a server count.
 */
#include "lib/serve/whole.h"

#include "lib/hash.h"
#include "lib/serve/server.h"
#include "lib/topic/room.h"

_Static_assert(sizeof(struct stat_counters) % sizeof(uint64_t) == 0, "counters and nothing else");
_Static_assert(sizeof(struct gauges) % sizeof(uint64_t) == 0, "numbers and nothing else");

/* Copies words that another process may be writing. */
static void copy(void *to, const void *from, size_t n)
{
    uint64_t *out = to;
    const uint64_t *in = from;
    for (size_t i = 0; i < n / sizeof *out; i++)
        __atomic_store_n(&out[i], __atomic_load_n(&in[i], __ATOMIC_RELAXED), __ATOMIC_RELAXED);
}

void whole_add(struct stat_counters *to, const struct stat_counters *from)
{
    uint64_t *out = (uint64_t *)(void *)to;
    const uint64_t *in = (const uint64_t *)(const void *)from;
    for (size_t i = 0; i < sizeof *to / sizeof *out; i++)
        out[i] += __atomic_load_n(&in[i], __ATOMIC_RELAXED);
}

/* This process's own. */
static void gauges_now(const struct server *s, struct gauges *g)
{
    const struct conns *conns = &s->clients.conns;
    *g = (struct gauges){
        .clients = conns->clients,
        .subscriptions = topic_subscriber_count(&s->topics),
        .lagging = s->lag.subscribers,
        .lag = s->lag.bytes,
        .sets = topic_set_count(&s->topics),
        .sets_bytes = topics_sets_used(&s->topics),
        .buffers = pool_used(&conns->buffers),
        .turn_max = s->turn_max_us,
    };
    for (unsigned i = 0; i < CONN_KINDS; i++)
        g->kind[i] = conns->kind[i];
}

void whole_tell(struct server *s)
{
    struct gauges g;
    if (s->team.whole == NULL)
        return;
    struct whole_slot *slot = team_slot(&s->team);
    gauges_now(s, &g);
    copy(&slot->gauges, &g, sizeof g);
    copy(&slot->stat, &s->stat, sizeof s->stat);
}

static void gauges_add(struct gauges *to, const struct gauges *from)
{
    struct gauges g;
    copy(&g, from, sizeof g);
    for (unsigned i = 0; i < CONN_KINDS; i++)
        to->kind[i] += g.kind[i];
    to->clients += g.clients;
    to->subscriptions += g.subscriptions;
    to->lagging += g.lagging;
    to->lag = g.lag > to->lag ? g.lag : to->lag;
    to->sets += g.sets;
    to->sets_bytes += g.sets_bytes;
    to->buffers += g.buffers;
    to->turn_max = g.turn_max > to->turn_max ? g.turn_max : to->turn_max;
}

void whole_count(struct server *s, struct stat_counters *stat, struct gauges *g)
{
    const struct whole *w = s->team.whole;
    if (w == NULL) {
        *stat = s->stat;
        gauges_now(s, g);
        return;
    }
    whole_tell(s);
    *stat = (struct stat_counters){.turns = 0};
    *g = (struct gauges){.clients = 0};
    whole_add(stat, &w->gone);
    for (uint32_t i = 0; i < w->workers; i++) {
        whole_add(stat, &w->slot[i].stat);
        gauges_add(g, &w->slot[i].gauges);
    }
}

void team_lock(struct server *s)
{
    if (s->ring.shared != NULL)
        control_lock(s->ring.shared, s->ring.me);
}

void team_unlock(struct server *s)
{
    if (s->ring.shared != NULL)
        control_unlock(s->ring.shared);
}

/* ---- who hears of what ----------------------------------------------------------------------- */

static void interest(struct server *s, uint64_t hash, bool more)
{
    struct tally *own = &s->team.interest[s->team.me];
    uint64_t key = hash != 0 ? hash : 1;
    if (more ? tally_add(own, key) == 0 : !tally_drop_key(own, key))
        atomic_fetch_add_explicit(&team_slot(&s->team)->wild, more ? 1 : UINT32_MAX,
                                  memory_order_relaxed);
}

void team_heard(void *server, uint32_t id, bool more)
{
    struct server *s = server;
    if (!topic_is_set(id)) {
        interest(s, topic_at(&s->topics, id)->hash, more);
        return;
    }
    if (topic_is_wild(&s->topics, id))
        atomic_fetch_add_explicit(&team_slot(&s->team)->wild, more ? 1 : UINT32_MAX,
                                  memory_order_relaxed);
    struct span names = topic_name(&s->topics, id);
    while (names.n > 0) {
        struct span name = span_cut(&names, ',');
        if (name.n > 0 && memchr(name.p, '*', name.n) == NULL)
            interest(s, topics_hash(&s->topics, name), more);
    }
}

uint64_t team_interest(const struct server *s, uint32_t topic, uint32_t *reach)
{
    const struct team *t = &s->team;
    uint64_t hash = topic_at(&s->topics, topic)->hash, mask = 0;
    atomic_thread_fence(memory_order_seq_cst); /* who is missed here has not slept since */
    for (uint32_t i = 0; i < t->whole->workers; i++) {
        if (i == t->me)
            continue;
        uint32_t n = tally_count(&t->interest[i], hash != 0 ? hash : 1);
        *reach += n;
        if (n > 0 || atomic_load_explicit(&t->whole->slot[i].wild, memory_order_relaxed) > 0)
            mask |= UINT64_C(1) << i;
    }
    return mask;
}

uint32_t team_peer_enter(struct team *t, uint64_t address, uint32_t *count)
{
    const uint64_t *seed = t->whole->seed;
    uint64_t key =
        hash_table(seed[0], seed[1], (struct span){(const char *)&address, sizeof address});
    key = key != 0 ? key : 1;
    uint32_t place = address != 0 ? tally_add(&t->peers[t->me], key) : 0;
    *count = 0;
    for (uint32_t i = 0; i < t->whole->workers && place != 0; i++)
        *count += tally_count(&t->peers[i], key);
    return place;
}

uint64_t whole_taken(const struct whole *w)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < w->workers; i++)
        n += atomic_load_explicit(&w->slot[i].taken, memory_order_relaxed);
    return n;
}
