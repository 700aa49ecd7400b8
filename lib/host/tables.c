/*
 * tables.c - maps a server's tables.
 */
#include "lib/host/tables.h"
#include "lib/serve/quote.h"
#include "lib/serve/ready.h"

#include "lib/serve/transport.h"

#include "lib/host/budget.h"
#include "lib/host/machine.h"
#include "lib/host/workers.h"
#include "lib/topic/names.h"
#include "lib/topic/room.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

enum {
    SHARE_HEADS = 64 << 10,    /* heads of frames for SHARE_RECORDS of them, and more */
    FIXED = 5 << 20,           /* bytes of the program, its stack and what it keeps besides */
    BUFFER_SHIFT = 12,         /* buffers of connections are of 2^12 bytes and up */
    DESCRIPTORS_MAX = 1 << 24, /* in a table; Linux has no more by default, either */
};

uint32_t tables_descriptors(void)
{
    struct rlimit r = {0, 0};
    if (getrlimit(RLIMIT_NOFILE, &r) == -1)
        return 0;
    struct rlimit most = {r.rlim_max, r.rlim_max};
    if (r.rlim_cur < r.rlim_max && setrlimit(RLIMIT_NOFILE, &most) == 0)
        r = most;
    return r.rlim_cur < DESCRIPTORS_MAX ? (uint32_t)r.rlim_cur : DESCRIPTORS_MAX;
}

/* ---- mapping --------------------------------------------------------------------------------- */

/* Puts the failure to get `size` bytes of memory into *why. Returns false. */
static bool tables_failed(struct text *why, uint64_t size)
{
    if (errno == EINVAL) {
        text_str(why, "the tables have another size than those of the server that runs, which "
                      "its flags or its limits must have set otherwise");
        return false;
    }
    text_str(why, "cannot reserve ");
    text_u64(why, size);
    text_str(why, " bytes of memory: ");
    text_str(why, strerror(errno));
    return false;
}

static bool random_bytes(void *p, size_t n, struct text *why)
{
    if (getrandom(p, n, 0) == (ssize_t)n)
        return true;
    text_str(why, "cannot get random bytes: ");
    text_str(why, strerror(errno));
    return false;
}

/* ---- what messages are put together in ------------------------------------------------------- */

/* Returns the scratch memory of a share: those of events and frames need it only for the heads of
 * frames. */
static size_t scratch_bytes(const struct server *s, enum conn_transport transport, size_t bytes)
{
    return transports[transport].objects ? share_scratch(s->config.opt.max_message, bytes)
                                         : SHARE_HEADS;
}

/* Returns the bytes of all shares. */
static uint64_t shares_bytes(const struct tables *t, const struct server *s)
{
    uint64_t n = share_scratch(s->config.opt.max_message, s->config.opt.max_answer) +
                 share_memory(t->poll_records) +
                 share_scratch(s->config.opt.max_message, SHARE_BYTES) +
                 share_memory(SHARE_RECORDS);
    for (unsigned transport = 0; transport < TABLES_SAME; transport++)
        n += scratch_bytes(s, (enum conn_transport)transport, SHARE_BYTES) +
             share_memory(SHARE_RECORDS);
    return n;
}

static bool share_make(struct share *s, unsigned records, size_t scratch_size, struct text *why)
{
    void *memory = memory_scratch(share_memory(records)), *scratch = memory_scratch(scratch_size);
    if (memory == NULL || scratch == NULL)
        return tables_failed(why, scratch_size);
    share_init(s, records, memory, scratch, scratch_size);
    return true;
}

static bool shares_make(struct tables *t, struct server *s, struct text *why)
{
    uint64_t message = s->config.opt.max_message;
    for (unsigned transport = 0; transport < TABLES_SAME; transport++)
        if (!share_make(&t->same[transport], SHARE_RECORDS,
                        scratch_bytes(s, (enum conn_transport)transport, SHARE_BYTES), why))
            return false;
    return share_make(&t->own, SHARE_RECORDS, share_scratch(message, SHARE_BYTES), why) &&
           share_make(&s->ex.poll, t->poll_records,
                      share_scratch(message, s->config.opt.max_answer), why);
}

/* ---- how large ------------------------------------------------------------------------------- */

/* Returns true if a flag needs the client of each connection. */
static bool wants_passes(const struct opt *opt)
{
    return opt->trust_proxy.n > 0 || opt->proxy_protocol || opt->key_files.n > 0 || opt->access_log;
}

/* Returns true if tokens can be revoked. */
static bool wants_bearers(const struct opt *opt)
{
    return opt->key_files.n > 0 && opt->max_revoked > 0;
}

/* Returns the bytes of the ring, and in *shared those that several workers have in common. An
 * existing store keeps its size unless --ring is given. */
static uint64_t ring_bytes(const struct server *s, uint64_t *shared)
{
    struct stat st;
    uint64_t size = s->config.opt.ring;
    if (s->config.opt.store != NULL && !s->config.opt.ring_given &&
        stat(s->config.opt.store, &st) == 0 && (uint64_t)st.st_size > RING_PAGE)
        size = (uint64_t)st.st_size - RING_PAGE;
    *shared = size + RING_PAGE;
    return *shared + size / RING_BLOCK * sizeof(uint64_t) + sizeof(struct ring_head) +
           broker_size(size, 0);
}

/* Lowers the limit on descriptors to the size of the tables. */
static bool descriptors_lower(struct server *s, uint32_t max, struct text *why)
{
    struct rlimit r = {0, 0};
    bool got = getrlimit(RLIMIT_NOFILE, &r) == 0;
    s->clients.conns.max = max;
    r.rlim_cur = max;
    if (got && setrlimit(RLIMIT_NOFILE, &r) == 0)
        return true;
    text_str(why, "cannot lower the limit of descriptors: ");
    text_str(why, strerror(errno));
    return false;
}

bool tables_fit(struct tables *t, struct server *s, uint32_t reserve, struct text *why)
{
    struct opt *opt = &s->config.opt;
    struct budget b;
    uint64_t shared;
    const uint64_t ring = ring_bytes(s, &shared), n = t->workers != NULL ? t->workers->n : 1,
                   tallies =
                       t->workers != NULL ? t->workers->tally_topics + t->workers->tally_peers : 0;
    const struct budget_needs needs = {
        .memory =
            opt->max_memory > shared ? shared + (opt->max_memory - shared) / n : opt->max_memory,
        .ring = ring,
        .twice = n > 1,
        .scratch = shares_bytes(t, s),
        .fixed =
            FIXED + tallies +
            (opt->key_files.n > 0 ? grants_size(opt->max_scopes) + sizeof(struct remember) : 0),
        .message = opt->max_message + 1024,
        .per_descriptor = (uint32_t)sizeof(struct conn) + (opt->max_per_address > 0 ? 36 + 4 : 0) +
                          (wants_passes(opt) ? (uint32_t)sizeof(struct pass) : 0) +
                          (wants_bearers(opt) ? (uint32_t)sizeof(struct bearer) : 0),
        .per_entry = sizeof(struct chain) + sizeof(uint64_t),
        .descriptors = s->clients.conns.max,
        .reserve = reserve,
        .buffer_shift = BUFFER_SHIFT,
        .connections = {opt->max_connections, opt->connections_given},
        .topics = {opt->max_topics, opt->topics_given},
        .buffers = {opt->max_buffers, opt->buffers_given},
    };
    if (!budget_fit(&needs, &b, why)) {
        if (n > 1) {
            text_str(why,
                     " in each of the --workers, which share the ring; --max-memory for all: ");
            budget_write_size(why, shared + n * (b.total - shared));
        }
        return false;
    }
    opt->max_connections = b.connections;
    opt->max_topics = b.topics;
    opt->max_buffers = b.buffers;
    t->entries = b.entries;
    b.connections = (uint32_t)(b.connections * n);
    b.buffers *= n;
    b.total = shared + n * (b.total - shared);
    struct text room = text_for_string(t->room, sizeof t->room);
    budget_describe(&room, &b);
    t->worst = b.total;
    t->group_left = machine_group_left("");
    if (t->group_left < b.total) {
        text_str(&room, ", and the control group leaves ");
        budget_write_size(&room, t->group_left);
    }
    text_string(&room);
    return opt->max_memory == 0 || descriptors_lower(s, b.descriptors, why);
}

static bool conns_make(struct tables *t, struct server *s, const struct handover *from,
                       struct text *why)
{
    struct conns *c = &s->clients.conns;
    struct pool *p = &c->buffers;
    uint32_t units = budget_units(s->config.opt.max_buffers, BUFFER_SHIFT), max = c->max;
    uint64_t bytes = (uint64_t)units << BUFFER_SHIFT, meta_bytes = pool_meta_size(units);
    void *buffers = memory_map(&t->memory, bytes), *meta = NULL;
    if (buffers == NULL || (meta = memory_map(&t->memory, meta_bytes)) == NULL)
        return tables_failed(why, bytes + meta_bytes);
    if (from != NULL)
        *c = from->conns;
    c->max = max;
    c->parts = s->config.opt.max_share;
    c->give_back = memory_give_back;
    c->conn = memory_map(&t->memory, max * sizeof *c->conn);
    if (c->conn == NULL)
        return tables_failed(why, max * sizeof *c->conn);
    (from != NULL ? pool_attach : pool_init)(p, buffers, meta, units, BUFFER_SHIFT);
    return true;
}

static bool topics_make(struct tables *t, struct server *s, const struct handover *from,
                        struct text *why)
{
    uint64_t seed[2];
    struct topics_memory m = topics_size(t->entries);
    const size_t size[] = {m.table, m.edges, m.pool, m.pool_meta};
    void *p[4];
    for (unsigned i = 0; i < 4; i++)
        if ((p[i] = memory_map(&t->memory, size[i])) == NULL)
            return tables_failed(why, size[i]);
    if (!random_bytes(seed, sizeof seed, why))
        return false;
    if (t->workers != NULL)
        memcpy(seed, t->workers->whole->seed, sizeof seed);
    if (from != NULL)
        topics_attach(&s->topics, t->entries, p[0], p[1], p[2], p[3]);
    else
        topics_init(&s->topics, t->entries, p[0], p[1], p[2], p[3], seed);
    topics_limit(&s->topics, s->config.opt.max_topics);
    topics_share(&s->topics, s->config.opt.max_sets, s->config.opt.max_share);
    topics_links(&s->topics, s->clients.conns.conn, sizeof *s->clients.conns.conn);
    return true;
}

static bool peers_table_make(struct tables *t, const struct handover *from, uint32_t max,
                             struct text *why)
{
    uint64_t seed[2];
    void *memory = memory_map(&t->memory, peers_size(max));
    if (memory == NULL)
        return tables_failed(why, peers_size(max));
    if (!random_bytes(seed, sizeof seed, why))
        return false;
    if (from != NULL)
        peers_attach(&t->peers, max, memory);
    else
        peers_init(&t->peers, max, memory, seed);
    return true;
}

static bool peers_make(struct tables *t, const struct server *s, const struct handover *from,
                       struct text *why)
{
    uint32_t max = s->clients.conns.max;
    if (s->config.opt.max_per_address == 0)
        return true;
    if (t->workers == NULL && !peers_table_make(t, from, max, why))
        return false; /* workers count in tables that they share */
    t->peer = memory_map(&t->memory, max * sizeof *t->peer);
    return t->peer != NULL || tables_failed(why, max * sizeof *t->peer);
}

/* Makes the grants if there are keys: WebSockets keep their tokens' scopes. */
static bool grants_make(struct tables *t, struct server *s, const struct handover *from,
                        struct text *why)
{
    uint64_t seed[2], bytes = s->config.opt.max_scopes;
    if (s->config.opt.key_files.n == 0)
        return true;
    void *memory = memory_map(&t->memory, grants_size(bytes));
    if (memory == NULL)
        return tables_failed(why, grants_size(bytes));
    if (!random_bytes(seed, sizeof seed, why))
        return false;
    if (from != NULL)
        grants_attach(&s->clients.grants, bytes, memory);
    else
        grants_init(&s->clients.grants, bytes, memory, seed);
    return true;
}

static bool passes_make(struct tables *t, struct server *s, struct text *why)
{
    uint64_t size = s->clients.conns.max * sizeof *s->clients.pass;
    s->clients.pass = wants_passes(&s->config.opt) ? memory_map(&t->memory, size) : NULL;
    return s->clients.pass != NULL || !wants_passes(&s->config.opt) || tables_failed(why, size);
}

/* What tokens are revoked by; the table itself where there is no store to have it. */
static bool bearers_make(struct tables *t, struct server *s, struct text *why)
{
    const struct opt *opt = &s->config.opt;
    uint64_t size = s->clients.conns.max * sizeof *s->clients.bearer, seed[2];
    if (!wants_bearers(opt))
        return true;
    s->clients.bearer = memory_map(&t->memory, size);
    if (s->clients.bearer == NULL)
        return tables_failed(why, size);
    if (opt->store != NULL || t->workers != NULL)
        return true;
    void *memory = memory_map(&t->memory, REVOKE_BYTES);
    if (memory == NULL)
        return tables_failed(why, REVOKE_BYTES);
    if (!random_bytes(seed, sizeof seed, why))
        return false;
    (void)revoke_attach(&s->clients.revoked, memory, seed);
    return true;
}

/* Uses the table of revocations in the store that was opened, or that workers share. */
static bool revocations_make(struct tables *t, struct server *s, struct text *why)
{
    uint64_t seed[2];
    if ((t->store.h == NULL && t->workers == NULL) || !wants_bearers(&s->config.opt))
        return true;
    if (!random_bytes(seed, sizeof seed, why))
        return false;
    team_lock(s);
    uint32_t damaged =
        revoke_attach(&s->clients.revoked,
                      t->workers != NULL ? t->workers->revoked : store_revoked(&t->store), seed);
    team_unlock(s);
    if (damaged > 0)
        s->log.say(OPT_LOG_ERROR, "revocations of the store are damaged, and not in force", "count",
                   QUOTE_NUM(damaged), NULL);
    return true;
}

bool tables_make(struct tables *t, struct server *s, const struct handover *from, struct text *why)
{
    t->memory = (struct memory){.n = 0};
    if (from != NULL) {
        t->memory = from->memory;
        t->memory.given = from->memory.n;
        t->memory.n = 0;
    }
    if (!conns_make(t, s, from, why) || !topics_make(t, s, from, why) ||
        !peers_make(t, s, from, why) || !passes_make(t, s, why) || !grants_make(t, s, from, why) ||
        !bearers_make(t, s, why))
        return false;
    return shares_make(t, s, why);
}

/* ---- the ring -------------------------------------------------------------------------------- */

static uint64_t boot_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Sets up the broker, or takes it over, as the last part of what was handed over. */
static bool broker_make(struct tables *t, struct server *s, struct text *why)
{
    uint64_t size = broker_size(s->ring.size, t->entries), heap_size = broker_heap_size(t->entries);
    uint64_t *heap = memory_scratch(heap_size);
    void *memory = heap != NULL ? memory_map(&t->memory, size) : NULL;
    if (memory == NULL)
        return tables_failed(why, heap != NULL ? size : heap_size);
    if (t->memory.given > t->memory.n) {
        errno = EINVAL;
        return tables_failed(why, 0);
    }
    t->memory.given = 0;
    broker_init(&s->broker, &s->ring, &s->topics, memory, heap);
    s->broker.gone = ready_topic_gone;
    s->broker.arg = s;
    return true;
}

bool tables_store_open(struct store *store, struct server *s, struct store_report *report,
                       struct text *why)
{
    const struct store_ask ask = {.path = s->config.opt.store,
                                  .ring = s->config.opt.ring,
                                  .ring_given = s->config.opt.ring_given,
                                  .mode = s->config.opt.fsync,
                                  .wall_ms = s->clock.wall,
                                  .boot_ms = boot_ms()};
    if (!store_open(store, &s->ring, &ask, report, why))
        return false;
    s->clock.ahead = report->clock_ms - s->clock.now;
    return true;
}

void tables_store_say(struct server *s, const struct store_report *report)
{
    char bytes[512];
    struct text found = text_for_string(bytes, sizeof bytes);
    store_describe(report, &found);
    bool bad =
        report->dropped > 0 || report->places > 0 || report->cut > 0 || report->topics_full > 0;
    s->log.say(bad ? OPT_LOG_WARN : OPT_LOG_INFO, "store", "file", s->config.opt.store, "found",
               text_string(&found), NULL);
}

static bool stored_ring(struct tables *t, struct server *s, struct text *why)
{
    struct store_report report;
    topics_limit(&s->topics, s->config.opt.max_topics + 1); /* plus the inside topic of /-/ready */
    if (!tables_store_open(&t->store, s, &report, why) || !broker_make(t, s, why))
        return false;
    store_follow(&s->broker, &report);
    ready_recover(&s->config, &s->broker, &s->ready);
    if (s->config.opt.max_age_ms > 0 &&
        report.clock_ms > s->config.opt.max_age_ms) /* some may be older than that */
        while (ring_expire(&s->ring, report.clock_ms - s->config.opt.max_age_ms, UINT32_MAX) > 0) {
        }
    tables_store_say(s, &report);
    return true;
}

/* Lowers --max-message to what the store's ring allows. */
static void message_fit(struct server *s)
{
    uint64_t most = ring_message_max(s->ring.size);
    s->config.opt.ring = s->ring.size;
    if (s->config.opt.max_message <= most)
        return;
    s->config.opt.max_message = most;
    s->log.say(OPT_LOG_INFO, "--max-message is a 16th of the store's ring", "bytes",
               QUOTE_NUM(most), NULL);
}

bool tables_ring(struct tables *t, struct server *s, const struct handover *from, bool trial,
                 struct text *why)
{
    int err = 0;
    if (from != NULL) {
        err = ring_attach(&s->ring, from->table_fd, from->arena_fd, from->arena_from,
                          from->ring_size, from->ring_key);
        if (err == 0 && from->stored && !trial)
            err = store_attach(&t->store, &s->ring, s->config.opt.fsync);
        s->clock.ahead = from->clock_ahead;
        s->hold.group = from->group;
    } else if (t->workers != NULL) {
        err = workers_join(t->workers, s);
    } else if (s->config.opt.store != NULL) {
        if (!stored_ring(t, s, why))
            return false;
    } else {
        err = ring_open(&s->ring, s->config.opt.ring, s->clock.wall);
        s->clock.ahead = s->clock.wall - s->clock.now;
    }
    if (err < 0) {
        errno = -err;
        return tables_failed(why, s->config.opt.ring);
    }
    bool opened = from == NULL && t->workers == NULL && s->config.opt.store != NULL;
    if (!opened && !broker_make(t, s, why))
        return false;
    if (t->workers != NULL)
        workers_follow(t->workers, s);
    if (!revocations_make(t, s, why))
        return false;
    s->ring.clock_ms = s->clock.now + s->clock.ahead;
    s->hold.on = t->store.h != NULL && t->store.mode == OPT_FSYNC_ALWAYS;
    s->hold.to = ring_head(&s->ring);
    s->hold.group = s->hold.group != 0 ? s->hold.group : 1;
    message_fit(s);
    return true;
}

void tables_hand_over(const struct tables *t, const struct server *s, struct handover *h)
{
    handover_layout(h->layout);
    h->memory = t->memory;
    h->conns = s->clients.conns;
    h->entries = t->entries;
    h->table_fd = s->ring.table_fd;
    h->arena_fd = s->ring.arena_fd;
    h->arena_from = s->ring.arena_from;
    h->ring_size = s->ring.size;
    h->ring_key = s->ring.key;
    h->stored = t->store.h != NULL;
    h->random = s->clock.random;
    h->group = s->hold.group;
    h->clock_ahead = s->clock.ahead;
    struct text counters = text_in(h->counters, sizeof h->counters);
    stat_save(&s->stat, &counters);
    h->counters_size = (uint32_t)counters.n;
}
