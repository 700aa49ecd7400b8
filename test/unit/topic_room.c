/*
 * topic_room.c - the table of topics where there is no room: nothing may change or be lost.
 */
#include "test/kit/topic_kit.h"

static const char *const crowd[] = {"*", "x/**,b", "a,b", "a/*,x/*,z"};

/* A table in use, in which `what` is tried with ever more room until it succeeds. Each failure must
 * leave everything as it was, and nothing may be lost at the end. */
static struct fixture *make_crowd(uint32_t max)
{
    struct fixture *f = make(max);
    for (uint32_t i = 0; i < COUNT(crowd); i++) {
        uint32_t id = choose(f, crowd[i]);
        ck_assert_uint_ne(id, 0);
        topic_subscribe(&f->t, id, i + 1);
    }
    topic_at(&f->t, open_topic(f, "a/1"))->kept = 1;
    topic_at(&f->t, open_topic(f, "x/1"))->kept = 1;
    f->told[0] = 0;
    return f;
}

struct counts {
    uint32_t topics, sets, nodes, members[COUNT(crowd)];
    uint64_t bytes; /* in the pools */
};

static struct counts count(struct fixture *f)
{
    struct counts c;
    memset(&c, 0, sizeof(c));
    c.topics = topic_count(&f->t);
    c.sets = topic_set_count(&f->t);
    c.bytes = pool_used(&f->t.names) + pool_used(&f->t.sets);
    c.nodes = f->t.h->nodes;
    for (uint32_t i = 0; i < COUNT(crowd); i++) {
        c.members[i] = set_at(&f->t, topic_link_of(&f->t, i + 1)->topic)->member_count;
    }
    return c;
}

static void end_crowd(struct fixture *f)
{
    for (uint32_t i = 0; i < COUNT(crowd); i++) {
        uint32_t id = topic_link_of(&f->t, i + 1)->topic;
        topic_unsubscribe(&f->t, i + 1);
        let_go(f, id);
    }
    topic_at(&f->t, find(f, "a/1"))->kept = 0;
    topic_at(&f->t, find(f, "x/1"))->kept = 0;
    let_go(f, find(f, "a/1"));
    let_go(f, find(f, "x/1"));
    assert_empty(f);
    discard(f);
}

/* Tries it; true if it succeeded, after which it is taken back. */
static bool try_it(struct fixture *f, const char *what, const char *made)
{
    struct counts before = count(f);
    uint32_t id = choose(f, what);
    if (id == 0) {
        struct counts after = count(f);
        ck_assert(told(f, ""));
        ck_assert_mem_eq(&before, &after, sizeof(before));
        return false;
    }
    ck_assert(told(f, made));
    let_go(f, id);
    ck_assert(told(f, made));
    struct counts after = count(f);
    ck_assert_uint_eq(before.topics, after.topics);
    ck_assert_uint_eq(before.sets, after.sets);
    return true;
}

static const struct {
    const char *what, *made;
} tries[] = {
    {"x/new", "x/new"},
    {"x/1,x/2,n,a,b,k", "x/2 n k"},
    {"**", ""},
    {"**,x/9,x/8,x/7,a/6", "x/9 x/8 x/7 a/6"},
    {"a/*,x/*,x/5,a/4,b,w", "x/5 a/4 w"},
    {"1/*,2/*,3/*,4/*,*/5,*/6,*/*/7,8/**,9/a/b/*,n", "n"},
};

START_TEST(no_edges)
{
    struct fixture *f = make_crowd(64);
    uint32_t most = f->t.edges_max, n = 0;
    while (f->t.edges_max = n, !try_it(f, tries[_i].what, tries[_i].made))
        ck_assert_uint_lt(n++, most);
    ck_assert_uint_ge(n, _i == 0 ? 0 : 9); /* those of the crowd, and more; a topic has none */
    f->t.edges_max = most;
    end_crowd(f);
}
END_TEST

START_TEST(no_numbers)
{
    struct fixture *f = make_crowd(64);
    uint32_t n = 0;
    while (f->t.max = n, !try_it(f, tries[_i].what, tries[_i].made))
        ck_assert_uint_lt(n++, 64);
    ck_assert_uint_gt(n, 8);
    f->t.max = 64;
    end_crowd(f);
}
END_TEST

START_TEST(no_topics)
{
    struct fixture *f = make_crowd(64);
    uint32_t n = 1;
    while (topics_limit(&f->t, n), !try_it(f, tries[_i].what, tries[_i].made))
        ck_assert_uint_lt(n++, 64);
    topics_limit(&f->t, 0);
    end_crowd(f);
}
END_TEST

/* One of the pools is filled but for `n` units, in one piece or scattered. */
START_TEST(no_memory)
{
    for (unsigned round = 0; round < 4; round++) {
        bool scattered = round % 2 == 1, done = false;
        struct fixture *f = make_crowd(64);
        struct pool *p = round < 2 ? &f->t.names : &f->t.sets;
        uint32_t units = p->units, *block = calloc(units, sizeof(*block)), n = 0;
        while ((block[n] = pool_alloc(p, 1)) != 0)
            n++;
        for (uint32_t i = 0; !done && i < 400; i++) {
            uint32_t *last = scattered ? &block[n / 2 - i * 2] : &block[n - 1 - i];
            done = try_it(f, tries[_i].what, tries[_i].made);
            pool_free(p, *last);
            *last = 0;
        }
        /* scattered units are no use to what needs several together */
        ck_assert(done || scattered);
        for (uint32_t i = 0; i < n; i++)
            if (block[i] != 0)
                pool_free(p, block[i]);
        ck_assert(try_it(f, tries[_i].what, tries[_i].made));
        end_crowd(f);
        free(block);
    }
}
END_TEST

/* ---- shares ---- */

enum { MANY = 1000, NAMES = 100 };

/* The names "KIND<set>-<i><tail>", i from 0 to count, as a list. */
static struct span list_of(char kind, int set, int count, const char *tail)
{
    static char list[1 << 17];
    size_t n = 0;
    for (int i = 0; i < count; i++)
        n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%c%d-%d%s", i > 0 ? "," : "", kind,
                              set, i, tail);
    return (struct span){list, n};
}

static uint32_t take(struct fixture *f, struct span list)
{
    const char *why;
    uint32_t id = topic_select(&f->t, list, 1000, tell, f, &why);
    f->told[0] = 0;
    ck_assert(why == NULL);
    return id;
}

/* However much sets take, each name that there may be has room, also the longest. */
START_TEST(names_have_room)
{
    enum { TOPICS = 64 };
    struct fixture *f = make(TOPICS + SUBS);
    char name[TOPIC_NAME_MAX + 1];
    bool made;
    topics_limit(&f->t, TOPICS);
    while (pool_alloc(&f->t.sets, 1) != 0) {
    }
    for (int i = 0; i < TOPICS; i++) {
        memset(name, 'a' + i % 26, sizeof(name));
        name[0] = (char)('0' + i / 26);
        bool is_long = i % 3 != 0;
        struct span s = {name, is_long ? TOPIC_NAME_MAX : 7};
        ck_assert_msg(topic_open(&f->t, s, &made) != 0 && made, "%d", i);
        ck_assert_uint_ne(take(f, s), 0); /* one name needs no room of the sets */
    }
    ck_assert_uint_eq(topic_open(&f->t, SPAN("one/more"), &made), 0);
    ck_assert_int_eq(f->t.full, TOPIC_FULL_TOPICS);
    ck_assert_uint_eq(take(f, SPAN("a/*")), 0);
    ck_assert_int_eq(f->t.full, TOPIC_FULL_SETS);
    discard(f);
}
END_TEST

/* Many who each take as many wildcards as they get leave room for one who wants a few, and are told
 * that it was their share. */
START_TEST(sets_leave_room)
{
    struct fixture *f = make(MANY + SUBS);
    int wide = 0;
    topics_limit(&f->t, MANY);
    topics_share(&f->t, 512 << 10, 8);
    for (int count = NAMES; count > 20; count = count * 9 / 10)
        for (uint32_t id; (id = take(f, list_of('w', wide, count, "/a/b/c/*"))) != 0; wide++)
            ck_assert_int_lt(wide, 500);
    ck_assert_int_eq(f->t.full, TOPIC_FULL_SHARE);
    ck_assert_uint_lt(topics_sets_used(&f->t), topics_sets_most(&f->t) * 15 / 16);
    for (int i = 0; i < SUBS; i++)
        ck_assert_uint_ne(take(f, list_of('s', i, 4, "/a/*")), 0);
    discard(f);
}
END_TEST

/* So with topics that exist because they are listed. */
START_TEST(names_leave_topics)
{
    struct fixture *f = make(MANY + SUBS);
    bool made;
    topics_limit(&f->t, MANY);
    topics_share(&f->t, 0, 8);
    int n = 0;
    for (int count = NAMES; count > 16; count = count * 9 / 10)
        for (; take(f, list_of('n', n, count, "")) != 0; n++)
            ck_assert_int_lt(n, 500);
    ck_assert_int_eq(f->t.full, TOPIC_FULL_SHARE);
    ck_assert_uint_lt(topic_count(&f->t), MANY * 3 / 4);
    ck_assert_uint_ne(take(f, list_of('s', 0, 16, "")), 0);
    ck_assert(topic_open(&f->t, SPAN("new"), &made) != 0 && made);
    /* what is there already takes no more, whoever lists it */
    ck_assert_uint_ne(take(f, SPAN("new,s0-1,s0-2,s0-3")), 0);
    discard(f);
}
END_TEST

/* What could not be made for its share has left no trace. */
START_TEST(share_leaves_no_trace)
{
    struct fixture *f = make(MANY + SUBS);
    topics_limit(&f->t, MANY);
    topics_share(&f->t, 64 << 10, 8);
    ck_assert_uint_eq(take(f, list_of('w', 0, NAMES * 9, "/a/b/c/d/e/f/*")), 0);
    ck_assert_int_eq(f->t.full, TOPIC_FULL_SHARE);
    assert_empty(f);
    topics_share(&f->t, 0, 8);
    ck_assert_uint_eq(take(f, list_of('n', 0, NAMES * 9, "")), 0);
    ck_assert_int_eq(f->t.full, TOPIC_FULL_SHARE);
    assert_empty(f);
    discard(f);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("topic: room");
    TCase *shares = tcase_create("shares");
    tcase_add_test(shares, names_have_room);
    tcase_add_test(shares, sets_leave_room);
    tcase_add_test(shares, names_leave_topics);
    tcase_add_test(shares, share_leaves_no_trace);
    suite_add_tcase(s, shares);
    TCase *room = tcase_create("no room");
    tcase_add_loop_test(room, no_edges, 0, COUNT(tries));
    tcase_add_loop_test(room, no_numbers, 0, COUNT(tries));
    tcase_add_loop_test(room, no_topics, 0, COUNT(tries));
    tcase_add_loop_test(room, no_memory, 0, COUNT(tries));
    tcase_set_timeout(room, 60);
    suite_add_tcase(s, room);
    return run(s);
}
