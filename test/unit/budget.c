/*
 * budget.c - budget.h: what fits fits, what was given stands, and nothing could be more.
 */
#include "lib/host/budget.h"

#include "lib/pool.h"
#include "lib/topic/table.h"
#include "test/kit/kit.h"

#define K ((uint64_t)1 << 10)
#define M ((uint64_t)1 << 20)

static struct budget b;
static char said[1024];

/* What a server of `memory` MiB has by default, with as many descriptors as there often are. */
static struct budget_needs defaults(uint64_t memory)
{
    return (struct budget_needs){
        .memory = memory * M,
        .ring = 64 * M + 98 * K,
        .scratch = 18 * M,
        .fixed = 4 * M,
        .message = M + K,
        .per_descriptor = 96,
        .per_entry = 56,
        .descriptors = 20000,
        .reserve = 288,
        .buffer_shift = 12,
        .connections = {19712, false},
        .topics = {M, false},
        .buffers = {256 * M, false},
    };
}

static bool fit(const struct budget_needs *n)
{
    struct text t = text_in(said, sizeof said - 1);
    memset(&b, 0xA5, sizeof b);
    bool good = budget_fit(n, &b, &t);
    ck_assert(!t.full && good == (t.n == 0));
    if (good)
        budget_describe(&t, &b);
    ck_assert(!t.full);
    said[t.n] = '\0';
    return good;
}

/* ---- the sum --------------------------------------------------------------------------------- */

static uint64_t pages(uint64_t bytes)
{
    return (bytes + 4095) / 4096 * 4096;
}

/* All that a server maps with these limits. */
static uint64_t mapped(const struct budget_needs *n, uint64_t connections, uint64_t topics,
                       uint64_t buffers)
{
    uint64_t descriptors = connections + n->reserve, units = 2;
    if (n->memory == 0 || descriptors > n->descriptors)
        descriptors = n->descriptors;
    while (units << n->buffer_shift < buffers)
        units *= 2;
    uint64_t entries = topics + descriptors;
    struct topics_memory m = topics_size((uint32_t)entries);
    return pages(n->ring) + pages(n->scratch) + pages(n->fixed) +
           pages(descriptors * n->per_descriptor) + pages(entries * n->per_entry) + pages(m.table) +
           pages(m.edges) + pages(m.pool) + pages(m.pool_meta) + pages(units << n->buffer_shift) +
           pages(pool_meta_size((uint32_t)units));
}

START_TEST(counts_units)
{
    ck_assert_uint_eq(budget_units(1, 12), 2);
    ck_assert_uint_eq(budget_units(8192, 12), 2);
    ck_assert_uint_eq(budget_units(8193, 12), 4);
    ck_assert_uint_eq(budget_units(M, 12), 256);
    ck_assert_uint_eq(budget_units(100 * M, 12), 32768);
    ck_assert_uint_eq(budget_units(M * M, 12), 1u << 28);
}
END_TEST

/* ---- what fits ------------------------------------------------------------------------------- */

static const struct {
    int line;
    uint64_t memory;      /* MiB */
    uint64_t connections; /* given, if not 0, ... */
    uint64_t topics;
    uint64_t buffers; /* ... in MiB */
    const char *said;
} cases[] = {
    {__LINE__, 0, 0, 0, 0, "19712 connections, 1048576 topics, 256M of buffers; 1881M at most"},
    {__LINE__, 0, 5, 6, 7, "5 connections, 6 topics, 7M of buffers; 121M at most"},
    {__LINE__, 9999, 0, 0, 0, "19712 connections, 1048576 topics, 256M of buffers; 1881M at most"},
    {__LINE__, 1873, 0, 0, 0, "19712 connections, 1028576 topics, 256M of buffers; 1221M at most"},
    {__LINE__, 1872, 0, 0, 0, "19712 connections, 1028576 topics, 256M of buffers; 1221M at most"},
    {__LINE__, 512, 0, 0, 0, "19712 connections, 242144 topics, 128M of buffers; 436M at most"},
    {__LINE__, 256, 0, 0, 0, "19712 connections, 111072 topics, 32M of buffers; 230M at most"},
    {__LINE__, 128, 0, 0, 0, "16484 connections, 15996 topics, 8M of buffers; 124M at most"},
    {__LINE__, 100, 0, 0, 0, "5269 connections, 2464 topics, 4M of buffers; 100M at most"},
    {__LINE__, 97, 0, 0, 0, "132 connections, 1660 topics, 4M of buffers; 97M at most"},
    {__LINE__, 128, 2000, 0, 0, "2000 connections, 30480 topics, 8M of buffers; 122M at most"},
    {__LINE__, 128, 5, 6, 0, "5 connections, 6 topics, 32M of buffers; 124M at most"},
    {__LINE__, 128, 0, 100, 1, "19712 connections, 100 topics, 1M of buffers; 114M at most"},
    {__LINE__, 128, 0, 30000, 0, "2480 connections, 30000 topics, 8M of buffers; 122M at most"},
    {__LINE__, 128, 0, 0, 20, "5122 connections, 2391 topics, 20M of buffers; 128M at most"},
    {__LINE__, 64, 0, 0, 0,
     "--max-memory 64M: the ring (--ring) takes 64.1M, 100 connections 1.8M, 1000 topics 4.4M, "
     "buffers 4.1M, messages being sent (--max-message, --max-answer) 18M, the rest 4M, together "
     "97M: at least that much is needed"},

    {__LINE__, 95, 0, 0, 0,
     "--max-memory 95M: the ring (--ring) takes 64.1M, 100 connections 1.8M, 1000 topics 4.4M, "
     "buffers 4.1M, messages being sent (--max-message, --max-answer) 18M, the rest 4M, together "
     "97M: at least that much is needed"},

    {__LINE__, 128, 1, 2000000, 100,
     "--max-memory 128M: the ring (--ring) takes 64.1M, 1 connections (--max-connections) 1.8M, "
     "2000000 topics (--max-topics) 1730M, --max-buffers 129M, messages being sent (--max-message, "
     "--max-answer) 18M, the rest 4M, together 1947M: at least that much is needed"},

};

START_TEST(fits)
{
    struct budget_needs n = defaults(cases[_i].memory);
    if (cases[_i].connections > 0)
        n.connections = (struct budget_limit){cases[_i].connections, true};
    if (cases[_i].topics > 0)
        n.topics = (struct budget_limit){cases[_i].topics, true};
    if (cases[_i].buffers > 0)
        n.buffers = (struct budget_limit){cases[_i].buffers * M, true};
    fit(&n);
    ck_assert_msg(strcmp(said, cases[_i].said) == 0, "line %d: %s", cases[_i].line, said);
}
END_TEST

/* Few descriptors are few connections, and more of the rest; without --max-memory the tables are
 * for all of them, whatever --max-connections. */
START_TEST(minds_descriptors)
{
    struct budget_needs n = defaults(128);
    n.descriptors = 64;
    n.connections.most = 32;
    n.reserve = 32;
    ck_assert(fit(&n));
    ck_assert_str_eq(said, "32 connections, 32704 topics, 8M of buffers; 122M at most");
    ck_assert_uint_eq(b.descriptors, 64);
    n = defaults(0);
    n.connections = (struct budget_limit){10, true};
    ck_assert(fit(&n));
    ck_assert(b.descriptors == 20000 && b.entries == 20000 + M && b.connections == 10);
    n.memory = 4096 * M;
    ck_assert(fit(&n));
    ck_assert(b.descriptors == 298 && b.entries == 298 + M && b.connections == 10);
    n.descriptors = 40; /* the limit is so low that the reserve is cut */
    ck_assert(fit(&n));
    ck_assert(b.descriptors == 40 && b.connections == 10);
}
END_TEST

/* The least of the buffers has room for the largest message. */
START_TEST(minds_messages)
{
    static const struct {
        uint64_t message, buffers;
    } rows[] = {{1, M}, {512 * K, M}, {512 * K + 1, 2 * M}, {M, 2 * M}, {M + 1, 4 * M}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct budget_needs n = defaults(1);
        n.message = rows[i].message;
        ck_assert(!fit(&n));
        ck_assert_uint_eq(b.buffers, rows[i].buffers);
        struct pool pool;
        uint32_t units = budget_units(b.buffers, n.buffer_shift);
        void *meta = calloc(1, pool_meta_size(units));
        pool_init(&pool, NULL, meta, units, n.buffer_shift);
        ck_assert_uint_ne(pool_alloc(&pool, rows[i].message), 0);
        free(meta);
        n.buffers.most = M; /* a default below stands */
        ck_assert(!fit(&n));
        ck_assert_uint_eq(b.buffers, M);
    }
}
END_TEST

/* ---- any ------------------------------------------------------------------------------------- */

/* A number up to `most`, of any magnitude. */
static uint64_t any(uint64_t *state, uint64_t most)
{
    uint64_t r = random_next(state), v = random_next(state) >> (r & 63);
    return v % (most + 1);
}

static struct budget_needs any_needs(uint64_t *state)
{
    struct budget_needs n = {
        .ring = 64 * K + any(state, 1024 * M),
        .scratch = any(state, 256 * M),
        .fixed = any(state, 16 * M),
        .message = 1 + any(state, 64 * M),
        .per_descriptor = (uint32_t)(1 + any(state, 200)),
        .per_entry = (uint32_t)(1 + any(state, 200)),
        .descriptors = (uint32_t)(2 + any(state, 1u << 21)),
        .buffer_shift = (uint8_t)(10 + any(state, 4)),
    };
    n.reserve = (uint32_t)any(state, n.descriptors - 1);
    n.connections = (struct budget_limit){n.descriptors - n.reserve, any(state, 2) > 0};
    if (n.connections.given)
        n.connections.most = 1 + any(state, n.connections.most - 1);
    n.topics = (struct budget_limit){1 + any(state, 16 * M - 1), any(state, 2) > 0};
    n.buffers = (struct budget_limit){M + any(state, 1024 * M), any(state, 2) > 0};
    uint64_t all = mapped(&n, n.connections.most, n.topics.most, n.buffers.most);
    n.memory = 1 + any(state, 2 * all);
    return n;
}

/* Returns true if the limit is what was given, or within bounds. */
static bool is_right(const struct budget_limit *limit, uint64_t least, uint64_t v)
{
    return limit->given ? v == limit->most : v <= limit->most && (v >= least || v == limit->most);
}

static void check_fits(const struct budget_needs *n, uint64_t begun)
{
    uint64_t c = b.connections, t = b.topics, f = b.buffers;
    ck_assert_msg(b.total == mapped(n, c, t, f) && b.total <= n->memory, SEED_FMT, begun);
    ck_assert_msg(b.descriptors >= c && b.descriptors <= n->descriptors, SEED_FMT, begun);
    ck_assert_msg(b.entries == t + b.descriptors, SEED_FMT, begun);
    ck_assert_msg(is_right(&n->connections, BUDGET_CONNECTIONS_MIN, c), SEED_FMT, begun);
    ck_assert_msg(is_right(&n->topics, BUDGET_TOPICS_MIN, t), SEED_FMT, begun);
    ck_assert_msg(is_right(&n->buffers, BUDGET_BUFFERS_MIN, f), SEED_FMT, begun);
    /* and none of them could be more */
    ck_assert_msg(c == n->connections.most || mapped(n, c + 1, t, f) > n->memory, SEED_FMT, begun);
    ck_assert_msg(t == n->topics.most || mapped(n, c, t + 1, f) > n->memory, SEED_FMT, begun);
    ck_assert_msg(f == n->buffers.most || mapped(n, c, t, f + 1) > n->memory, SEED_FMT, begun);
}

START_TEST(fits_whatever_comes)
{
    uint64_t begun = seed(), state = begun;
    unsigned good = 0, bad = 0;
    for (unsigned i = 0; i < 20000; i++) {
        struct budget_needs n = any_needs(&state);
        if (fit(&n)) {
            good++;
            check_fits(&n, begun);
            continue;
        }
        bad++;
        uint64_t least = mapped(&n, b.connections, b.topics, b.buffers), asked;
        ck_assert_msg(least == b.total && least > n.memory, SEED_FMT, begun);
        const char *sum = strstr(said, "together ");
        ck_assert_msg(sum != NULL, SEED_FMT ": %s", begun, said);
        asked = strtoull(sum + strlen("together "), NULL, 10) * M;
        ck_assert_msg(asked >= least && asked < least + M, SEED_FMT ": %s", begun, said);
        n.memory = asked; /* what it says is right, and no less would do */
        ck_assert_msg(fit(&n), SEED_FMT ": %s", begun, said);
        check_fits(&n, begun);
        n.memory = least - 1;
        ck_assert_msg(!fit(&n), SEED_FMT, begun);
    }
    ck_assert_msg(good > 1000 && bad > 1000, "%u %u " SEED_FMT, good, bad, begun);
}
END_TEST

/* Whatever there is room for, --max-memory says so in sizes that are rounded up. */
START_TEST(describes)
{
    static const struct {
        uint64_t buffers, total;
        const char *said;
    } rows[] = {
        {M, M, "1 connections, 2 topics, 1M of buffers; 1M at most"},
        {M + 1, M - 1, "1 connections, 2 topics, 1.1M of buffers; 1024K at most"},
        {1, 1025, "1 connections, 2 topics, 1K of buffers; 2K at most"},
        {99 * M + M / 2, 100 * M - 1, "1 connections, 2 topics, 99.5M of buffers; 100M at most"},
        {100 * M + 1, 1024 * M * K, "1 connections, 2 topics, 101M of buffers; 1048576M at most"},
        {10 * M - 1, 2 * M, "1 connections, 2 topics, 10M of buffers; 2M at most"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct budget one = {
            .connections = 1, .topics = 2, .buffers = rows[i].buffers, .total = rows[i].total};
        struct text t = text_in(said, sizeof said - 1);
        budget_describe(&t, &one);
        said[t.n] = '\0';
        ck_assert_str_eq(said, rows[i].said);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("budget");
    TCase *tc = tcase_create("budget");
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, counts_units);
    tcase_add_loop_test(tc, fits, 0, (int)COUNT(cases));
    tcase_add_test(tc, minds_descriptors);
    tcase_add_test(tc, minds_messages);
    tcase_add_test(tc, fits_whatever_comes);
    tcase_add_test(tc, describes);
    suite_add_tcase(s, tc);
    return run(s);
}
