/*
 * check_topic_room.c - the table of topics where there is no room: nothing may change or be lost.
 */
#include "test/topic_kit.h"

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
    uint64_t bytes; /* in the pool */
};

static struct counts count(struct fixture *f)
{
    struct counts c;
    memset(&c, 0, sizeof(c));
    c.topics = topic_count(&f->t);
    c.sets = topic_set_count(&f->t);
    c.bytes = pool_used(&f->t.pool);
    c.nodes = f->t.h->nodes;
    for (uint32_t i = 0; i < COUNT(crowd); i++) {
        const struct topic *e = topic_at(&f->t, topic_link_of(&f->t, i + 1)->topic);
        c.members[i] = e->member_count;
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

/* The pool is filled but for `n` units, in one piece or scattered. */
START_TEST(no_memory)
{
    for (unsigned scattered = 0; scattered < 2; scattered++) {
        struct fixture *f = make_crowd(64);
        uint32_t units = f->t.pool.units, *block = calloc(units, sizeof(*block)), n = 0;
        bool done = false;
        while ((block[n] = pool_alloc(&f->t.pool, 1)) != 0)
            n++;
        for (uint32_t i = 0; !done && i < 400; i++) {
            uint32_t *last = scattered ? &block[n / 2 - i * 2] : &block[n - 1 - i];
            done = try_it(f, tries[_i].what, tries[_i].made);
            pool_free(&f->t.pool, *last);
            *last = 0;
        }
        /* what needs more than a unit at once can't be had of scattered ones */
        ck_assert(done || scattered);
        for (uint32_t i = 0; i < n; i++)
            if (block[i] != 0)
                pool_free(&f->t.pool, block[i]);
        ck_assert(try_it(f, tries[_i].what, tries[_i].made));
        end_crowd(f);
        free(block);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("topic: room");
    TCase *room = tcase_create("no room");
    tcase_add_loop_test(room, no_edges, 0, COUNT(tries));
    tcase_add_loop_test(room, no_numbers, 0, COUNT(tries));
    tcase_add_loop_test(room, no_topics, 0, COUNT(tries));
    tcase_add_loop_test(room, no_memory, 0, COUNT(tries));
    tcase_set_timeout(room, 60);
    suite_add_tcase(s, room);
    return run(s);
}
