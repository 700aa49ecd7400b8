/*
 * chain.c - the records of each topic: eviction and what it leaves behind, finding and its costs,
 * broken contracts. test/unit/broker_model.c has random operations.
 *
 * The sources are included, so that their reads of records are counted.
 */
#include "lib/broker/chain.h"

#include <signal.h>

#include "test/kit/kit.h"

static uint64_t reads; /* records that were looked at */

#define ring_at(r, at) (reads++, ring_at(r, at))
#include "../../lib/broker/chain.c" /* NOLINT(bugprone-suspicious-include) */
#include "../../ring.c"             /* NOLINT(bugprone-suspicious-include) */
#undef ring_at

#define EPOCH UINT64_C(1790000000000)

/* ---- a ring and its chains ---- */

struct view {
    struct ring *r;
    struct chains c;
};

static struct view without_topics(uint64_t size, uint32_t topics)
{
    struct view v = {.r = malloc(sizeof *v.r)};
    ck_assert_int_eq(ring_open(v.r, size, EPOCH), 0);
    void *memory = calloc(1, chains_size(size, topics));
    ck_assert_ptr_nonnull(memory);
    chains_init(&v.c, v.r, topics, memory);
    chains_begin(&v.c);
    return v;
}

static struct view opened(uint64_t size, uint32_t topics)
{
    struct view v = without_topics(size, topics);
    for (uint32_t t = 1; t <= topics; t++)
        chain_open(&v.c, t, t);
    return v;
}

static void closed(struct view *v)
{
    ring_close(v->r);
    free(v->r);
    free(v->c.h);
}

static void let_go(void *chains)
{
    (void)chain_evict(chains);
}

/* Puts a message that is measured, and followed, as the broker does. */
static uint64_t put_message(struct view *v, uint32_t topic, const struct ring_message *m,
                            uint64_t now)
{
    ring_tell(v->r, let_go, &v->c);
    uint64_t at = ring_put(v->r, m, now);
    chain_link(&v->c, topic, at);
    return at;
}

static uint64_t put(struct view *v, uint32_t topic, size_t size, uint64_t now)
{
    static char data[1 << 20];
    if (data[0] == '\0')
        memset(data, 'x', sizeof(data));
    struct ring_message m = {.topic = SPAN("t"), .data = {data, size}};
    return put_message(v, topic, &m, now);
}

static uint64_t hold(struct view *v, uint32_t topic, const struct ring_message *m, uint64_t now)
{
    uint64_t at = ring_hold(v->r, m, now);
    if (at != 0)
        chain_hold(&v->c, topic, at, 0);
    return at;
}

static uint32_t show(struct view *v)
{
    uint64_t at = ring_show(v->r);
    uint32_t topic = chain_unhold(&v->c, at);
    chain_link(&v->c, topic, at);
    return topic;
}

START_TEST(empty)
{
    struct view v = opened(RING_MIN, 1);
    ck_assert_uint_eq(chain_next(&v.c, 1, 0), 0);
    ck_assert_uint_eq(chain_next(&v.c, 1, RING_MIN), 0);
    ck_assert_uint_eq(chain_from_newest(&v.c, 1, 1), 0);
    ck_assert_uint_eq(chain_count_from(&v.c, 1, 0), 0);
    ck_assert_uint_eq(chains_take_emptied(&v.c), 0);
    ck_assert_uint_eq(chains_forgotten(&v.c), 0);
    closed(&v);
}
END_TEST

/* ---- eviction ---- */

START_TEST(evicts_oldest)
{
    struct view v = opened(RING_MIN, 2);
    uint64_t at[200];
    put(&v, 2, 10, 0);
    for (int i = 0; i < 200; i++)
        at[i] = put(&v, 1, 1000, 0);
    const struct chain *c = &v.c.chain[1];
    ck_assert_uint_eq(v.c.chain[2].count, 0);
    ck_assert_uint_eq(v.c.chain[2].first, 0);
    ck_assert_uint_eq(v.c.chain[2].last, 0);
    ck_assert_uint_eq(v.c.chain[2].lost_n, 1);
    ck_assert_uint_eq(v.c.chain[2].lost_at, RING_MIN);
    ck_assert_uint_eq(ring_count(v.r), c->count);
    ck_assert_uint_eq(c->first, ring_tail(v.r));
    ck_assert_uint_eq(c->first, at[200 - c->count]);
    ck_assert_uint_eq(c->lost_at, at[200 - c->count - 1]);
    ck_assert_uint_eq(c->lost_n, 201 - c->count);
    ck_assert_uint_eq(c->last, at[199]);
    /* No more than had to be. */
    ck_assert_uint_gt(ring_head(v.r) - c->lost_at, v.r->size);
    ck_assert_uint_eq(chains_take_emptied(&v.c), 2);
    ck_assert_uint_eq(chains_take_emptied(&v.c), 0);
    closed(&v);
}
END_TEST

START_TEST(expires)
{
    struct view v = opened(RING_MIN, 1);
    uint64_t at[10];
    for (unsigned i = 0; i < 10; i++)
        at[i] = put(&v, 1, 1, 100 + i);
    ck_assert_uint_eq(ring_expire(v.r, 100, 10), 0);
    ck_assert_uint_eq(ring_expire(v.r, 105, 2), 2);
    ck_assert_uint_eq(ring_tail(v.r), at[2]);
    ck_assert_uint_eq(ring_expire(v.r, 105, 0), 0);
    ck_assert_uint_eq(ring_expire(v.r, 105, 10), 3);
    ck_assert_uint_eq(ring_tail(v.r), at[5]);
    ck_assert_uint_eq(v.c.chain[1].lost_n, 5);
    ck_assert_uint_eq(chains_take_emptied(&v.c), 0);
    ck_assert_uint_eq(ring_expire(v.r, UINT64_MAX, 100), 5);
    ck_assert_uint_eq(ring_count(v.r), 0);
    ck_assert_uint_eq(ring_tail(v.r), ring_head(v.r));
    ck_assert_uint_eq(chains_take_emptied(&v.c), 1);
    /* A chain goes on where it was. */
    uint64_t next = put(&v, 1, 1, 200);
    ck_assert_uint_eq(ring_at(v.r, next)->links.prev, at[9]);
    ck_assert_uint_eq(ring_at(v.r, next)->links.depth, 10);
    ck_assert_uint_eq(chain_next(&v.c, 1, 0), next);
    ck_assert_uint_eq(ring_find(v.r, 3), next);
    ck_assert_uint_eq(ring_find(v.r, 11), ring_head(v.r));
    closed(&v);
}
END_TEST

/* Nobody sees what is held, it is not evicted, and its topic stays. */
START_TEST(holds)
{
    struct view v = opened(RING_MIN, 3);
    struct ring_message m = {.topic = SPAN("t"), .data = SPAN("x")};
    uint64_t at[3000], all = 0;
    char id[CURSOR_MAX];
    put(&v, 1, 1, 100);
    uint64_t head = ring_head(v.r);
    while ((at[all] = hold(&v, 2, &m, 100)) != 0)
        all++;
    ck_assert(all > 200 && v.r->h->held_size <= RING_MIN / 2 &&
              v.r->h->held_size > RING_MIN / 2 - 200);
    ck_assert(ring_head(v.r) == head && ring_newest(v.r).n == 1 && ring_given(v.r) == all + 1);
    ck_assert(chain_next(&v.c, 2, 0) == 0 && ring_count(v.r) == 1 && ring_find(v.r, 1) == head);
    ck_assert(!chain_is_empty(chain_at(&v.c, 2)) && chain_is_empty(chain_at(&v.c, 3)));
    ck_assert_uint_eq(ring_expire(v.r, 200, 5000), 1);
    ck_assert(ring_tail(v.r) == head && chains_take_emptied(&v.c) == 1 &&
              chains_take_emptied(&v.c) == 0);
    for (uint64_t i = 0; i < all; i++) {
        struct text t = text_in(id, sizeof id), want = text_in((char[CURSOR_MAX]){0}, CURSOR_MAX);
        ck_assert_uint_eq(show(&v), 2);
        ck_assert(ring_newest(v.r).n == i + 2 && ring_at(v.r, at[i])->n == i + 2);
        ck_assert_uint_eq(chain_next(&v.c, 2, at[i]), at[i]);
        ring_id_write(v.r, &t, i + 2);
        cursor_write(&want, ring_newest(v.r));
        ck_assert(span_eq(text_span(&t), text_span(&want)));
    }
    ck_assert(ring_end(v.r) == ring_head(v.r) && ring_count(v.r) == all);
    closed(&v);
}
END_TEST

START_TEST(forgets)
{
    struct view v = without_topics(RING_MIN, 3);
    chain_open(&v.c, 1, 77);
    uint64_t at = put(&v, 1, 1, 1);
    ring_expire(v.r, 2, 9);
    ck_assert_uint_eq(chains_forgotten(&v.c), 0);
    chain_close(&v.c, 1, 77);
    ck_assert_uint_eq(chains_forgotten(&v.c), 1);
    /* Its number was in the list of emptied chains, and isn't open. */
    ck_assert_uint_eq(chains_take_emptied(&v.c), 0);
    /* The same low bits, then others. */
    chain_open(&v.c, 2, 77 + UINT64_C(5) * CHAINS_FORGOTTEN);
    ck_assert_uint_eq(v.c.chain[2].lost_n, 1);
    ck_assert_uint_eq(v.c.chain[2].lost_at, at);
    chain_open(&v.c, 1, 78);
    ck_assert_uint_eq(v.c.chain[1].lost_n, 0);
    ck_assert_uint_eq(v.c.chain[1].lost_at, 0);
    chain_close(&v.c, 1, 78);
    ck_assert_uint_eq(chains_forgotten(&v.c), 1);
    /* A first message behind what may have been its predecessor. */
    ck_assert_uint_eq(ring_at(v.r, put(&v, 2, 1, 1))->links.prev, at);
    closed(&v);
}
END_TEST

/* A number that goes while it is in the list, comes back and is emptied again is there once. */
START_TEST(emptied_once)
{
    struct view v = opened(RING_MIN, 3);
    for (int i = 0; i < 3; i++) {
        put(&v, 1, 1, 1);
        put(&v, 3, 1, 1);
        ring_expire(v.r, 2, 9);
        chain_close(&v.c, 1, 1);
        chain_open(&v.c, 1, 1);
    }
    uint32_t a = chains_take_emptied(&v.c), b = chains_take_emptied(&v.c);
    ck_assert(a + b == 4 && a != b && chains_take_emptied(&v.c) == 0);
    put(&v, 3, 1, 1);
    ring_expire(v.r, 2, 9);
    put(&v, 3, 1, 1);
    ck_assert_uint_eq(chains_take_emptied(&v.c), 3);
    ck_assert_uint_eq(v.c.chain[3].count, 1);
    ck_assert_uint_eq(chains_take_emptied(&v.c), 0);
    closed(&v);
}
END_TEST

static unsigned log_2(uint64_t n)
{
    unsigned log = 0;
    for (; n > 1; n /= 2)
        log++;
    return log;
}

/* Looks for random places of a chain in every way; returns the most steps that one look took. */
static uint64_t look(const struct view *v, uint32_t topic, int times, uint64_t *state)
{
    const struct chain *c = &v->c.chain[topic];
    uint64_t most = 0;
    for (int i = 0; i < times; i++) {
        uint32_t back = 1 + (uint32_t)(random_next(state) % c->count);
        reads = 0;
        uint64_t at = chain_from_newest(&v->c, topic, back),
                 steps = reads / 3; /* it looks ahead, too */
        if (ring_at(v->r, at)->links.depth != c->depth - back)
            ck_abort_msg("back %u", back);
        most = steps > most ? steps : most;
        reads = 0;
        if (chain_next(&v->c, topic, at) != at)
            ck_abort_msg("next at %u back", back);
        most = reads > most ? reads : most;
        if (chain_next(&v->c, topic, at - 1) != at ||
            chain_next(&v->c, topic, at + 1) != ring_next(v->r, ring_at(v->r, at)))
            ck_abort_msg("next around %u back", back);
        if (chain_count_from(&v->c, topic, at) != back)
            ck_abort_msg("count from %u back", back);
    }
    return most;
}

/* Seeks stay logarithmic in a chain that only grows, and in one whose oldest go all the time. */
START_TEST(seeks_are_short)
{
    uint64_t first = seed(), state = first;
    struct view v = opened(1 << 26, 3);
    for (unsigned i = 0; i < 200000; i++)
        put(&v, 1, 20, i);
    ck_assert_uint_eq(v.c.chain[1].count, 200000);
    uint64_t most = look(&v, 1, 10000, &state);
    ck_assert_msg(most <= UINT64_C(3) * log_2(200000), SEED_FMT " %" PRIu64 " steps", first, most);
    closed(&v);
    v = opened(1 << 20, 3);
    for (unsigned i = 0; i < 600000; i++) {
        uint64_t x = random_next(&state);
        put(&v, x % 64 == 0 ? 2 : x % 64 == 1 ? 3 : 1, x >> 20 & 31, i);
        if (i % 997 != 0 || i < 10000)
            continue;
        for (uint32_t t = 1; t <= 3; t++) {
            uint64_t bound = UINT64_C(3) * log_2(v.c.chain[t].count) + 3;
            most = look(&v, t, 30, &state);
            ck_assert_msg(most <= bound, SEED_FMT " %" PRIu64 " steps, %u there", first, most,
                          v.c.chain[t].count);
        }
    }
    closed(&v);
}
END_TEST

/* ---- following ---- */

/* Whoever begins to follow a ring that has lost some knows that any topic may have. */
START_TEST(begins_behind)
{
    struct view v = opened(RING_MIN, 1), late = {.r = v.r};
    for (int i = 0; i < 200; i++)
        put(&v, 1, 1000, 0);
    uint64_t lost = ring_lost(v.r), tail = ring_tail(v.r);
    void *memory = calloc(1, chains_size(RING_MIN, 1));
    ck_assert(lost > 0 && memory != NULL);
    chains_init(&late.c, v.r, 1, memory);
    chains_begin(&late.c);
    chain_open(&late.c, 1, 77);
    ck_assert(late.c.chain[1].lost_n == lost && late.c.chain[1].lost_at == tail - RING_ALIGN);
    ck_assert_uint_eq(chains_forgotten(&late.c), lost);
    /* What it leaves out is in no chain. */
    chain_skip(&late.c, tail);
    ck_assert_uint_eq(chain_of(&late.c, tail), 0);
    ck_assert_uint_eq(late.c.h->left_n, lost + 1);
    ck_assert_uint_eq(chain_evict(&late.c), 0);
    free(memory);
    closed(&v);
}
END_TEST

/* The next program goes on in the same memory, wherever that is. */
START_TEST(taken_over)
{
    struct view v = opened(RING_MIN, 3);
    for (unsigned i = 0; i < 300; i++)
        put(&v, 1 + i % 2, 700, 5);
    struct chains other;
    void *memory = malloc(chains_size(RING_MIN, 3));
    ck_assert_ptr_nonnull(memory);
    memcpy(memory, v.c.h, chains_size(RING_MIN, 3));
    chains_init(&other, v.r, 3, memory);
    free(v.c.h);
    v.c = other;
    uint64_t at = put(&v, 3, 700, 6);
    ck_assert(chain_next(&v.c, 3, 0) == at && chain_of(&v.c, at) == 3);
    ck_assert_uint_eq(v.c.chain[1].count + v.c.chain[2].count + 1, ring_count(v.r));
    for (unsigned i = 0; i < 300; i++)
        put(&v, 1, 700, 6);
    ck_assert_uint_eq(v.c.chain[1].count, ring_count(v.r));
    closed(&v);
}
END_TEST

/* The smallest records there are, in every place. */
START_TEST(least_record)
{
    struct view v = opened(RING_MIN, 3);
    struct ring_message m = {.topic = SPAN("t"), .data = {NULL, 0}};
    for (unsigned i = 0; i < 5000; i++) {
        uint64_t at = put_message(&v, 1 + i % 3, &m, 0), n = 0;
        ck_assert_uint_ge(ring_at(v.r, at)->size, RING_LEAST);
        for (; i % 500 == 0 && at > ring_tail(v.r) && n < 5; n++) { /* no two share an entry */
            ck_assert_uint_eq(chain_of(&v.c, at), 1 + (i - n) % 3);
            at -= ring_at(v.r, at)->size;
        }
    }
    closed(&v);
}
END_TEST

/* ---- contracts ---- */

static struct view V;

static void breach(void)
{
    /* The asserts' words are not the test's. */
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
    V = opened(RING_MIN, 2);
    chain_close(&V.c, 2, 2);
}

static void put_nowhere(void)
{
    put(&V, 0, 1, 0);
}

static void put_behind_the_last(void)
{
    put(&V, 3, 1, 0);
}

static void put_into_closed(void)
{
    put(&V, 2, 1, 0);
}

static void close_with_messages(void)
{
    put(&V, 1, 1, 0);
    chain_close(&V.c, 1, 1);
}

static void close_with_held(void)
{
    struct ring_message m = {.topic = SPAN("t"), .data = SPAN("x")};
    hold(&V, 1, &m, 0);
    chain_close(&V.c, 1, 1);
}

static void close_closed(void)
{
    chain_close(&V.c, 2, 2);
}

static void open_open(void)
{
    chain_open(&V.c, 1, 1);
}

static void link_twice(void)
{
    uint64_t at = put(&V, 1, 1, 0);
    chain_link(&V.c, 1, at);
}

static void evict_unfollowed(void)
{
    struct ring_message m = {.topic = SPAN("t"), .data = SPAN("x")};
    ring_put(V.r, &m, 0);
    (void)chain_evict(&V.c);
}

static void (*const breaches[])(void) = {
    put_nowhere,  put_behind_the_last, put_into_closed, close_with_messages, close_with_held,
    close_closed, open_open,           link_twice,      evict_unfollowed,
};

START_TEST(contracts)
{
    breaches[_i]();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("chain");
    TCase *c = tcase_create("chain");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, empty);
    tcase_add_test(c, evicts_oldest);
    tcase_add_test(c, expires);
    tcase_add_test(c, holds);
    tcase_add_test(c, forgets);
    tcase_add_test(c, emptied_once);
    tcase_add_test(c, seeks_are_short);
    tcase_add_test(c, begins_behind);
    tcase_add_test(c, taken_over);
    tcase_add_test(c, least_record);
    suite_add_tcase(s, c);
    TCase *a = tcase_create("contracts");
    tcase_add_checked_fixture(a, breach, NULL);
    tcase_add_loop_test_raise_signal(a, contracts, SIGABRT, 0, COUNT(breaches));
    suite_add_tcase(s, a);
    return run(s);
}
