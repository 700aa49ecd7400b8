/*
 * broker_sets.c - reading the ring for sets of very many topics: no call looks at all that is
 * there, and yet all is found that can be. test/unit/broker_model.c asks for what small sets have.
 *
 * The sources are included, so that their reads of records are counted.
 */
#include "lib/broker/broker.h"

#include "test/kit/kit.h"

static uint64_t reads; /* records that were looked at */

#define ring_at(r, at) (reads++, ring_at(r, at))
#include "../../lib/broker/broker.c" /* NOLINT(bugprone-suspicious-include) */
#include "../../lib/broker/chain.c"  /* NOLINT(bugprone-suspicious-include) */
#include "../../lib/broker/find.c"   /* NOLINT(bugprone-suspicious-include) */
#include "../../ring.c"              /* NOLINT(bugprone-suspicious-include) */
#undef ring_at

/* ---- a ring and a table ---------------------------------------------------------------------- */

enum {
    TABLE = 1 << 16,
    QUIET = 30000,  /* topics q/N: q/0 has the first message of all, the others have none */
    BEFORE = 300,   /* messages of "busy" then */
    OTHERS = 20000, /* topics o/N, with a message each */
    BEHIND = 40000, /* messages of "busy" behind these */
};

static struct ring R;
static struct topics T;
static struct broker B;
static struct topic_link links[4];
static void *memory[6];
static uint32_t large, small, all; /* sets */
static uint64_t only;              /* the one message of q/N */

static uint32_t topic(const char *format, unsigned i)
{
    char name[32];
    bool made;
    snprintf(name, sizeof(name), format, i);
    uint32_t id = broker_open(&B, span_of(name), &made);
    ck_assert(id != 0 && made);
    return id;
}

static uint32_t set(const char *expression, uint32_t subscriber)
{
    const char *why;
    uint32_t id = broker_select(&B, span_of(expression), 8, false, &why);
    ck_assert(id != 0 && topic_is_set(id));
    topic_subscribe(&T, id, subscriber);
    return id;
}

static uint64_t put(uint32_t id, uint64_t now)
{
    struct ring_message m = {.topic = SPAN("t"), .data = SPAN("x")};
    return broker_put(&B, id, &m, now);
}

static void begin(void)
{
    const uint64_t key[2] = {1, 2};
    struct topics_memory z = topics_size(TABLE);
    const size_t sizes[6] = {z.table,
                             z.edges,
                             z.pool,
                             z.pool_meta,
                             broker_heap_size(TABLE),
                             broker_size(1 << 24, TABLE)};
    for (size_t i = 0; i < COUNT(memory); i++)
        ck_assert_ptr_nonnull(memory[i] = calloc(1, sizes[i]));
    topics_init(&T, TABLE, memory[0], memory[1], memory[2], memory[3], key);
    topics_links(&T, links, sizeof(links[0]));
    ck_assert_int_eq(ring_open(&R, 1 << 24, UINT64_C(1790000000000)), 0);
    broker_init(&B, &R, &T, memory[5], memory[4]);
    uint32_t first = topic("q/%u", 0), busy = topic("busy", 0);
    for (unsigned i = 1; i < QUIET; i++)
        topic("q/%u", i);
    only = put(first, 0);
    for (unsigned i = 0; i < BEFORE; i++)
        put(busy, 1);
    for (unsigned i = 0; i < OTHERS; i++)
        put(topic("o/%u", i), 2);
    for (unsigned i = 0; i < BEHIND; i++)
        put(busy, 3);
    large = set("q/*", 1);
    small = set("q/0,q/1", 2);
    all = set("**", 3);
}

static void end(void)
{
    ring_close(&R);
    for (size_t i = 0; i < COUNT(memory); i++)
        free(memory[i]);
}

/* ---- tests ----------------------------------------------------------------------------------- */

START_TEST(collects_in_pieces)
{
    uint64_t at = ring_tail(&R), rec[64], found = 0;
    while (at < ring_head(&R)) {
        uint64_t from = at;
        reads = 0;
        unsigned got = broker_collect(&B, large, &at, rec, 64);
        ck_assert(at > from && got <= 1 && (got == 0 || rec[0] == only));
        ck_assert_uint_le(reads, 2 * (FIND_NEAR + FIND_WALK + 2 * FIND_AHEAD));
        found += got;
    }
    ck_assert_uint_eq(found, 1);
}
END_TEST

/* Of few topics all is found at once, by their chains; of all topics, by looking at what comes. */
START_TEST(collects_at_once)
{
    uint64_t at = ring_tail(&R), rec[64];
    reads = 0;
    ck_assert_uint_eq(broker_collect(&B, small, &at, rec, 64), 1);
    ck_assert(rec[0] == only && at == ring_head(&R));
    ck_assert_uint_le(reads, 3 * (FIND_NEAR + 2 * FIND_AHEAD));
    at = ring_tail(&R);
    for (unsigned i = 0; i < 100; i++) {
        reads = 0;
        ck_assert_uint_eq(broker_collect(&B, all, &at, rec, 64), 64);
        ck_assert_uint_eq(ring_at(&R, rec[63])->n, 64 * (i + 1));
        ck_assert_uint_le(reads, 2 * (64 + FIND_AHEAD));
    }
}
END_TEST

START_TEST(goes_back)
{
    const uint64_t most = 3 * (FIND_BACK + RING_BLOCK / sizeof(struct ring_record));
    uint64_t at;
    reads = 0;
    ck_assert(!broker_from_newest(&B, large, 1, &at));
    ck_assert_uint_le(reads, most);
    reads = 0;
    ck_assert(!broker_from_newest(&B, all, FIND_BACK + 200, &at));
    ck_assert_uint_le(reads, most);
    ck_assert(broker_from_newest(&B, small, 1, &at) && at == only);
    ck_assert(broker_from_newest(&B, small, UINT64_MAX, &at) && at == only);
    ck_assert(broker_from_newest(&B, all, FIND_BACK, &at));
    ck_assert_uint_eq(ring_at(&R, at)->n, ring_newest(&R).n - FIND_BACK + 1);
}
END_TEST

START_TEST(knows_what_was_lost)
{
    unsigned more = 1 + BEFORE - 200 + OTHERS + 100;
    ck_assert_uint_eq(ring_expire(&R, 2, 200), 200);
    ck_assert(broker_lost_after(&B, large, 0) && !broker_lost_after(&B, large, 1));
    ck_assert(broker_lost_after(&B, all, 199) && !broker_lost_after(&B, all, 200));
    ck_assert_uint_eq(ring_expire(&R, 4, more), more);
    ck_assert(broker_lost_after(&B, small, 0) && !broker_lost_after(&B, small, 1));
    ck_assert(!broker_lost_after(&B, large, 1 + BEFORE + OTHERS));
    ck_assert(broker_lost_after(&B, large, 1)); /* as too many others have lost some to know */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("broker sets");
    TCase *c = tcase_create("broker sets");
    tcase_add_checked_fixture(c, begin, end);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, collects_in_pieces);
    tcase_add_test(c, collects_at_once);
    tcase_add_test(c, goes_back);
    tcase_add_test(c, knows_what_was_lost);
    suite_add_tcase(s, c);
    return run(s);
}
