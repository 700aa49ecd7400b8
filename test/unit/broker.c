/*
 * broker.c - the view of the ring by topic: it is the same however the records came, topics and
 * chains come and go together, and what has no room is known to be missing.
 * test/unit/broker_model.c has random operations.
 */
#include "lib/broker/broker.h"

#include <signal.h>

#include "test/kit/kit.h"

#define EPOCH  UINT64_C(1790000000000)
#define TABLE  32
#define TOPICS 20

struct view {
    struct ring *r;
    struct topics t;
    struct broker b;
    void *memory[6];
    unsigned gone; /* topics that it told of */
};

static void count_gone(void *arg, uint32_t topic)
{
    struct view *v = arg;
    ck_assert_uint_ne(topic, 0);
    v->gone++;
}

/* A view of a ring by a table of its own, for which nothing was followed. */
static void view(struct view *v, struct ring *r)
{
    static const uint64_t key[2] = {1, 2};
    struct topics_memory m = topics_size(TABLE);
    const size_t sizes[] = {m.table,
                            m.edges,
                            m.pool,
                            m.pool_meta,
                            broker_size(r->size, TABLE),
                            broker_heap_size(TABLE)};
    *v = (struct view){.r = r};
    for (size_t i = 0; i < COUNT(v->memory); i++)
        ck_assert_ptr_nonnull(v->memory[i] = calloc(1, sizes[i]));
    topics_init(&v->t, TABLE, v->memory[0], v->memory[1], v->memory[2], v->memory[3], key);
    broker_init(&v->b, r, &v->t, v->memory[4], v->memory[5]);
    v->b.gone = count_gone;
    v->b.arg = v;
}

static void view_free(struct view *v)
{
    for (size_t i = 0; i < COUNT(v->memory); i++)
        free(v->memory[i]);
}

static void open_ring(struct ring *r)
{
    ck_assert_int_eq(ring_open(r, RING_MIN, EPOCH), 0);
}

static uint32_t topic(struct view *v, const char *name)
{
    bool made;
    uint32_t id = broker_open(&v->b, span_of(name), &made);
    ck_assert_uint_ne(id, 0);
    return id;
}

static uint64_t put(struct view *v, const char *name, const char *data)
{
    struct ring_message m = {.topic = span_of(name), .data = span_of(data)};
    return broker_put(&v->b, topic(v, name), &m, EPOCH);
}

static uint64_t hold(struct view *v, const char *name, const char *data)
{
    struct ring_message m = {.topic = span_of(name), .data = span_of(data)};
    return broker_hold(&v->b, topic(v, name), &m, EPOCH);
}

/* Returns true if the topic exists. It must be kept if, and only if, a message of it exists or is
 * held. */
static bool has(const struct view *v, const char *name, bool messages)
{
    uint32_t id = topic_find(&v->t, span_of(name));
    ck_assert(id == 0 || topic_at(&v->t, id)->kept == messages);
    return id != 0;
}

static void reap(struct view *v)
{
    while (broker_release_emptied(&v->b)) {
    }
    ck_assert(!broker_any_emptied(&v->b));
}

/* Both views have the same topics with the same messages, by their ids. */
static void same(const struct view *a, const struct view *b)
{
    for (uint32_t id = 1; id <= TABLE; id++) {
        struct span name = {NULL, 0};
        if (a->b.chains.chain[id].open == 0 || a->b.chains.chain[id].count == 0)
            continue;
        name = topic_name(&a->t, id);
        uint32_t other = topic_find(&b->t, name);
        ck_assert_uint_ne(other, 0);
        const struct chain *x = chain_at(&a->b.chains, id), *y = chain_at(&b->b.chains, other);
        uint64_t i = x->first, j = y->first;
        for (; i != 0 && j != 0;
             i = ring_next(a->r, ring_at(a->r, i)), j = ring_next(b->r, ring_at(b->r, j))) {
            ck_assert_uint_eq(ring_at(a->r, i)->n, ring_at(b->r, j)->n);
            ck_assert(span_eq(ring_topic(ring_at(a->r, i)), name));
            ck_assert_uint_eq(broker_topic(&b->b, j), other);
        }
        ck_assert(i == 0 && j == 0 && x->count == y->count);
        ck_assert_uint_eq(topic_at(&b->t, other)->kept, 1);
    }
}

/* ---- following ------------------------------------------------------------------------------- */

/* Put here, or into the ring by others and followed, one by one or all at once: it is the same. */
START_TEST(follows)
{
    struct ring mine, each, late;
    struct view a, b, c;
    uint64_t first = seed(), state = first;
    open_ring(&mine);
    open_ring(&each);
    open_ring(&late);
    view(&a, &mine);
    view(&b, &each);
    for (unsigned i = 0; i < 3000; i++) {
        char name[16], data[400];
        uint64_t x = random_next(&state);
        snprintf(name, sizeof name, "t/%u", (unsigned)(x % TOPICS));
        memset(data, 'x', sizeof data);
        data[x >> 8 & 255] = '\0';
        uint64_t at = put(&a, name, data);
        ring_copy(&each, ring_at(&mine, at));
        ck_assert_uint_eq(broker_follow(&b.b), 0);
        reap(&a);
        reap(&b);
        if (i % 100 == 0)
            same(&a, &b);
    }
    for (uint64_t at = ring_tail(&mine); at < ring_head(&mine);
         at = ring_behind(ring_at(&mine, at), at)) {
        if (ring_count(&late) == 0)
            ring_begin(&late, late.size, ring_before(&mine, at).n);
        ring_copy(&late, ring_at(&mine, at));
    }
    view(&c, &late);
    ck_assert_uint_eq(broker_follow(&c.b), 0);
    same(&a, &b);
    same(&a, &c);
    /* what is older is lost, of any topic */
    ck_assert(broker_lost_after(&c.b, topic(&c, "never"), ring_lost(&mine) - 1));
    ck_assert(!broker_lost_after(&c.b, topic(&c, "never"), ring_lost(&mine)));
    view_free(&a);
    view_free(&b);
    view_free(&c);
    ring_close(&mine);
    ring_close(&each);
    ring_close(&late);
}
END_TEST

/* There is no room for more topics: their messages are of none, and everybody is told so. */
START_TEST(leaves_out)
{
    struct ring from, to;
    struct view a, b;
    uint64_t at, rec[64];
    const char *why;
    open_ring(&from);
    open_ring(&to);
    view(&a, &from);
    view(&b, &to);
    topics_limit(&b.t, 2);
    static const char *const names[] = {"a", "b", "c", "a", "d", "b"};
    for (size_t i = 0; i < COUNT(names); i++)
        ring_copy(&to, ring_at(&from, put(&a, names[i], "x")));
    ck_assert_uint_eq(broker_follow(&b.b), 2);
    ck_assert_uint_eq(ring_count(&to), 6);
    ck_assert(!has(&b, "c", false) && !has(&b, "d", false) && has(&b, "a", true));
    for (uint64_t n = 0; n < 6; n++)
        ck_assert_msg(broker_lost_after(&b.b, topic(&b, "a"), n) == (n < 5), "%u", (unsigned)n);
    uint32_t all = broker_select(&b.b, SPAN("**"), 8, false, &why);
    ck_assert_uint_ne(all, 0);
    at = ring_tail(&to);
    ck_assert_uint_eq(broker_collect(&b.b, all, &at, rec, 64), 4);
    ck_assert_uint_eq(at, ring_head(&to));
    ck_assert(broker_from_newest(&b.b, all, 3, &at) && ring_at(&to, at)->n == 2);
    ck_assert_uint_eq(ring_expire(&to, UINT64_MAX, 100), 6);
    reap(&b);
    ck_assert(!has(&b, "a", false) && b.gone == 2);
    view_free(&a);
    view_free(&b);
    ring_close(&from);
    ring_close(&to);
}
END_TEST

/* ---- topics and their chains ----------------------------------------------------------------- */

/* A topic stays for as long as there is a message of it, and goes with its chain. */
START_TEST(kept)
{
    struct ring r;
    struct view v;
    open_ring(&r);
    view(&v, &r);
    uint32_t id = topic(&v, "a");
    ck_assert(has(&v, "a", false) && chain_at(&v.b.chains, id)->count == 0);
    broker_release(&v.b, id);
    ck_assert(!has(&v, "a", false) && v.gone == 1 && v.b.chains.chain[id].open == 0);
    put(&v, "a", "1");
    put(&v, "b", "2");
    put(&v, "a", "3");
    ck_assert(has(&v, "a", true) && has(&v, "b", true));
    broker_release(&v.b, topic_find(&v.t, SPAN("a")));
    ck_assert(has(&v, "a", true));
    ck_assert_uint_eq(ring_expire(&r, UINT64_MAX, 2), 2);
    ck_assert(has(&v, "a", true) && has(&v, "b", false) && broker_any_emptied(&v.b));
    put(&v, "b", "4"); /* before it was looked at */
    reap(&v);
    ck_assert(has(&v, "b", true) && v.gone == 1);
    ck_assert_uint_eq(ring_expire(&r, UINT64_MAX, 2), 2);
    reap(&v);
    ck_assert(!has(&v, "a", false) && !has(&v, "b", false) && v.gone == 3);
    ck_assert_uint_eq(topic_count(&v.t), 0);
    view_free(&v);
    ring_close(&r);
}
END_TEST

/* Likewise of one that is held, of which nobody hears. */
START_TEST(held)
{
    struct ring r;
    struct view v;
    open_ring(&r);
    view(&v, &r);
    put(&v, "a", "0");
    uint64_t first = hold(&v, "a", "1"), second = hold(&v, "b", "2");
    ck_assert(first != 0 && second > first);
    ck_assert(has(&v, "a", true) && has(&v, "b", true));
    ck_assert_uint_eq(ring_expire(&r, UINT64_MAX, 100), 1);
    reap(&v);
    ck_assert(has(&v, "a", true) && has(&v, "b", true) && v.gone == 0);
    ck_assert_uint_eq(chain_next(&v.b.chains, topic(&v, "a"), 0), 0);
    ck_assert_uint_eq(broker_show(&v.b), topic(&v, "a"));
    ck_assert_uint_eq(chain_next(&v.b.chains, topic(&v, "a"), 0), first);
    ck_assert_uint_eq(chain_next(&v.b.chains, topic(&v, "b"), 0), 0);
    ck_assert_uint_eq(broker_follow(&v.b), 0); /* what is held is not followed */
    ck_assert_uint_eq(broker_show(&v.b), topic(&v, "b"));
    ck_assert_uint_eq(chain_next(&v.b.chains, topic(&v, "b"), 0), second);
    while (hold(&v, "c", "3") != 0) {
    }
    uint64_t count = chain_at(&v.b.chains, topic(&v, "c"))->open - 1;
    ck_assert(count > 100 && hold(&v, "d", "4") == 0 && has(&v, "d", false));
    for (; count > 0; count--)
        ck_assert_uint_eq(broker_show(&v.b), topic(&v, "c"));
    view_free(&v);
    ring_close(&r);
}
END_TEST

/* One that purges a topic twice in a sync: what the first took away is wiped in parts before the
 * second is shown, so that nobody waits for all of it. */
START_TEST(held_purges)
{
    static char data[2000];
    struct ring r;
    struct view v;
    unsigned parts = 0;
    ck_assert_int_eq(ring_open(&r, 64 * RING_MIN, EPOCH), 0);
    view(&v, &r);
    memset(data, 'x', sizeof data - 1);
    for (unsigned i = 0; i < 1000; i++)
        put(&v, "a", data);
    uint32_t a = topic(&v, "a");
    ck_assert_uint_ne(broker_purge(&v.b, a, true, EPOCH), 0);
    hold(&v, "a", "between");
    ck_assert_uint_ne(broker_purge(&v.b, a, true, EPOCH), 0);
    hold(&v, "a", "after");
    for (unsigned i = 0; i < 4; i++) {
        for (; broker_show_waits(&v.b); parts++)
            ck_assert_uint_ne(chain_at(&v.b.chains, a)->wipe, 0);
        ck_assert_uint_eq(broker_show(&v.b), a);
    }
    ck_assert_uint_gt(parts, 4);
    ck_assert_uint_eq(chain_at(&v.b.chains, a)->count, 1);
    view_free(&v);
    ring_close(&r);
}
END_TEST

/* The next program of a process goes on with all of it. */
/* A ring full of small messages with keys has more of them than the index has slots: each is found,
 * and none that is evicted is. */
START_TEST(keys)
{
    struct ring r;
    struct view v;
    static uint64_t at[2000], key[COUNT(at)][2];
    char text[16];
    unsigned full = 0;
    open_ring(&r);
    view(&v, &r);
    for (unsigned i = 0; i < COUNT(at); i++) {
        struct ring_message m = {.topic = SPAN("t"), .data = SPAN("x")};
        snprintf(text, sizeof text, "%u", i);
        once_hash(&v.b.once, m.topic, span_of(text), key[i]);
        memcpy(m.key, key[i], sizeof m.key);
        ck_assert_uint_eq(broker_once(&v.b, key[i]), 0);
        at[i] = broker_put(&v.b, topic(&v, "t"), &m, EPOCH);
        for (unsigned k = 0; k <= i && i % 97 == 0; k++)
            ck_assert_uint_eq(broker_once(&v.b, key[k]), at[k] >= ring_tail(&r) ? at[k] : 0);
    }
    for (uint64_t l = 0; l <= v.b.once.mask; l++) {
        const struct once_line *line = &v.b.once.line[l];
        size_t oldest = (line->newest + 1) % ONCE_SLOTS;
        full += line->slot[oldest] >> 8 > ring_tail(&r);
    }
    ck_assert_uint_gt(full, 5);
    view_free(&v);
    ring_close(&r);
}

START_TEST(taken_over)
{
    struct ring r;
    struct view v;
    open_ring(&r);
    view(&v, &r);
    put(&v, "a", "1");
    hold(&v, "b", "2");
    memset(&v.b, 0, sizeof v.b);
    broker_init(&v.b, &r, &v.t, v.memory[4], v.memory[5]);
    ck_assert_uint_eq(broker_show(&v.b), topic(&v, "b"));
    put(&v, "b", "3");
    ck_assert_uint_eq(chain_at(&v.b.chains, topic(&v, "b"))->count, 2);
    ck_assert_uint_eq(broker_follow(&v.b), 0);
    view_free(&v);
    ring_close(&r);
}
END_TEST

/* ---- contracts ------------------------------------------------------------------------------- */

static struct ring R;
static struct view V;

static void breach(void)
{
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
    open_ring(&R);
    view(&V, &R);
}

static void not_kept(void)
{
    put(&V, "a", "1");
    topic_at(&V.t, topic(&V, "a"))->kept = 0;
    broker_release(&V.b, topic(&V, "a"));
}

static void put_by_another(void)
{
    struct ring_message m = {.topic = SPAN("a"), .data = SPAN("x")};
    ring_put(&R, &m, 1);
    put(&V, "a", "1"); /* that was not followed */
}

static void (*const breaches[])(void) = {not_kept, put_by_another};

START_TEST(contracts)
{
    breaches[_i]();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("broker");
    TCase *c = tcase_create("broker");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, follows);
    tcase_add_test(c, leaves_out);
    tcase_add_test(c, kept);
    tcase_add_test(c, held);
    tcase_add_test(c, held_purges);
    tcase_add_test(c, keys);
    tcase_add_test(c, taken_over);
    suite_add_tcase(s, c);
    TCase *a = tcase_create("contracts");
    tcase_add_checked_fixture(a, breach, NULL);
    tcase_add_loop_test_raise_signal(a, contracts, SIGABRT, 0, COUNT(breaches));
    suite_add_tcase(s, a);
    return run(s);
}
