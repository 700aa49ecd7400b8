/*
 * topic.c - the table of topics: by example, and against a model.
 */
#include "lib/text.h"
#include "test/kit/topic_kit.h"

#include <signal.h>

/* ---- by example ---- */

START_TEST(open_and_find)
{
    struct fixture *f = make(4);
    bool made;
    ck_assert_uint_eq(find(f, "a"), 0);
    uint32_t a = topic_open(&f->t, SPAN("a"), &made);
    ck_assert(a != 0 && made);
    ck_assert_uint_eq(topic_open(&f->t, SPAN("a"), &made), a);
    ck_assert(!made);
    uint32_t b = topic_open(&f->t, SPAN("a/b"), &made);
    ck_assert(b != 0 && b != a && made);
    ck_assert_uint_eq(find(f, "a"), a);
    ck_assert_uint_eq(find(f, "a/b"), b);
    ck_assert_uint_eq(find(f, "a/"), 0);
    ck_assert_uint_eq(find(f, ""), 0);
    assert_named(f, a, "a");
    ck_assert_uint_eq(topic_count(&f->t), 2);
    let_go(f, a);
    ck_assert(told(f, "a"));
    ck_assert_uint_eq(find(f, "a"), 0);
    ck_assert_uint_eq(find(f, "a/b"), b);
    let_go(f, a); /* a number that is free */
    ck_assert(told(f, ""));
    ck_assert_uint_eq(open_topic(f, "c"), a); /* and is used again */
    let_go(f, a);
    let_go(f, b);
    assert_empty(f);
    discard(f);
}
END_TEST

START_TEST(selections)
{
    static const struct {
        int line;
        const char *expression, *name; /* the entry's */
        bool set;
    } rows[] = {
        {__LINE__, "a", "a", false},
        {__LINE__, "a,a", "a", false},
        {__LINE__, "a,a,a,a,a", "a", false},
        {__LINE__, "a,b", "a,b", true},
        {__LINE__, "b,a", "a,b", true},
        {__LINE__, "b,a,b,a", "a,b", true},
        {__LINE__, "b,a,ab,a/b,a", "a,a/b,ab,b", true},
        {__LINE__, "*", "*", true},
        {__LINE__, "*,*", "*", true},
        {__LINE__, "a,*", "*,a", true},
        {__LINE__, "z/*,**,b,*,a", "*,**,z/*,a,b", true},
        {__LINE__, "\xC3\xA9,z", "z,\xC3\xA9", true},
        {__LINE__, "h,g,f,e,d,c,b,a", "a,b,c,d,e,f,g,h", true},
    };
    struct fixture *f = make(64);
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint32_t id = choose(f, rows[i].expression);
        ck_assert_msg(id != 0, "line %d", rows[i].line);
        assert_named(f, id, rows[i].name);
        ck_assert_int_eq(topic_is_set(id), rows[i].set);
        f->told[0] = 0;
        ck_assert_uint_eq(choose(f, rows[i].expression), id);
        ck_assert_uint_eq(choose(f, rows[i].name), id);
        ck_assert(told(f, ""));
        ck_assert_uint_eq(find(f, rows[i].name), rows[i].set ? 0 : id);
        let_go(f, id);
        f->told[0] = 0;
        assert_empty(f);
    }
    discard(f);
}
END_TEST

START_TEST(wrong_selections)
{
    static const struct {
        int line;
        const char *expression, *why;
    } rows[] = {
        {__LINE__, "", "is empty"},
        {__LINE__, ",", "is empty"},
        {__LINE__, "a,", "is empty"},
        {__LINE__, ",a", "is empty"},
        {__LINE__, "a,,b", "is empty"},
        {__LINE__, "a,b//c", "has an empty segment"},
        {__LINE__, "a,/", "has an empty segment"},
        {__LINE__, "new,-/healthy", "begins with \"-\""},
        {__LINE__, "new,a*", "has a \"*\" that is not a whole segment"},
        {__LINE__, "new,**/a", "has \"**\" before its last segment"},
        {__LINE__, "new,a\nb", "has a control byte"},
        {__LINE__, "new,\xC3", "is not UTF-8"},
        {__LINE__, "new,*/a/a/a/a/a/a/a/*", "has a \"*\" behind its eighth segment"},
        {__LINE__, "a,b,c,d,e", "has more parts than are allowed"},
        {__LINE__, "a,a,a,a,a", "has more parts than are allowed"},
    };
    struct fixture *f = make(8);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *why = NULL;
        uint32_t id = topic_select(&f->t, span_of(rows[i].expression), 4, tell, f, &why);
        ck_assert_uint_eq(id, 0);
        ck_assert_msg(why != NULL, "line %d", rows[i].line);
        ck_assert_str_eq(why, rows[i].why);
        ck_assert(told(f, ""));
        assert_empty(f);
    }
    const char *why = NULL;
    ck_assert_uint_eq(topic_select(&f->t, (struct span){NULL, 0}, 4, tell, f, &why), 0);
    ck_assert_str_eq(why, "is empty");
    discard(f);
}
END_TEST

/* Making a set takes a step for each segment of its wildcards: there is an end to these. */
START_TEST(segments_end)
{
    enum { PARTS = 200, EACH = 120 };
    static char bytes[PARTS * (2 * EACH + 10)];
    for (unsigned parts = TOPIC_SEGMENTS / EACH; parts <= TOPIC_SEGMENTS / EACH + 1; parts++) {
        struct fixture *f = make(8);
        struct text t = text_in(bytes, sizeof bytes);
        const char *why = NULL;
        for (unsigned i = 0; i < parts; i++) {
            text_str(&t, i > 0 ? ",*/" : "*/");
            text_u64(&t, 1000 + i);
            for (unsigned k = 2; k < EACH; k++)
                text_str(&t, "/x");
        }
        text_str(&t, ",a/name/of/some/segments/is/none/of/them");
        uint32_t id = topic_select(&f->t, text_span(&t), PARTS, tell, f, &why);
        bool over = parts > TOPIC_SEGMENTS / EACH; /* else there may be no room for it here */
        ck_assert((why != NULL) == over && (id == 0 || !over));
        if (over)
            ck_assert_str_eq(why, "has wildcards of more than 16384 segments in all");
        discard(f);
    }
}
END_TEST

/* A name that a wildcard of the same set matches as well is one topic, and listed. */
START_TEST(listed_and_matched)
{
    struct fixture *f = make(8);
    uint32_t set = choose(f, "a,*"), pos = 0, edge = 0;
    ck_assert(told(f, "a"));
    uint32_t a = find(f, "a");
    ck_assert_uint_eq(topic_member(&f->t, set, &pos), a);
    ck_assert_uint_eq(topic_member(&f->t, set, &pos), 0);
    ck_assert_uint_eq(topic_member(&f->t, set, &pos), 0);
    topic_subscribe(&f->t, set, 1);
    ck_assert_uint_eq(topic_set_of(&f->t, a, &edge), set);
    ck_assert_uint_eq(topic_set_of(&f->t, a, &edge), 0);
    ck_assert_uint_eq(topic_reach(&f->t, a), 1);
    ck_assert_uint_eq(topic_at(&f->t, a)->listed, 1);
    ck_assert_uint_eq(set_at(&f->t, set)->names, 1);
    let_go(f, a);
    ck_assert_uint_eq(find(f, "a"), a);
    uint32_t b = open_topic(f, "b");
    ck_assert(topic_in_set(&f->t, set, b) && topic_in_set(&f->t, set, a));
    ck_assert_uint_eq(topic_reach(&f->t, b), 1);
    let_go(f, b); /* only matched: goes */
    ck_assert(told(f, "b"));
    ck_assert_uint_eq(set_at(&f->t, set)->member_count, 1);
    topic_unsubscribe(&f->t, 1);
    let_go(f, set);
    ck_assert(told(f, "a"));
    assert_empty(f);
    discard(f);
}
END_TEST

START_TEST(what_is_needed)
{
    struct fixture *f = make(16);
    uint32_t ab = choose(f, "a,b"), bc = choose(f, "b,c"), a = find(f, "a"), b = find(f, "b");
    topic_at(&f->t, a)->kept = 1;
    f->told[0] = 0;
    let_go(f, ab); /* a is kept, b is listed elsewhere */
    ck_assert(told(f, ""));
    ck_assert_uint_eq(topic_set_count(&f->t), 1);
    ck_assert_uint_eq(topic_at(&f->t, b)->listed, 1);
    topic_at(&f->t, a)->kept = 0;
    let_go(f, a);
    ck_assert(told(f, "a"));
    topic_subscribe(&f->t, b, 1);
    let_go(f, bc);
    ck_assert(told(f, "c"));
    let_go(f, b);
    ck_assert(told(f, ""));
    topic_mark(&f->t, b);
    topic_unsubscribe(&f->t, 1);
    let_go(f, b); /* in the queue */
    ck_assert(told(f, ""));
    ck_assert_uint_eq(topic_queue_first(&f->t), b);
    topic_queue_drop(&f->t);
    let_go(f, b);
    ck_assert(told(f, "b"));
    assert_empty(f);
    discard(f);
}
END_TEST

/* What is the server's own is in a set that lists it, were there one, and matches no wildcard. */
START_TEST(own_topics)
{
    struct fixture *f = make(8);
    uint32_t sets[] = {choose(f, "**"), choose(f, "*"), choose(f, "*/**"),
                       choose(f, "**,*/1,*/2,*/3,*/4,*/5,*/6,*/7,*/8,*/9")};
    uint32_t own = open_topic(f, "-"), deep = open_topic(f, "-own/1"), pos = 0, at = 0;
    for (uint32_t i = 0; i < COUNT(sets); i++, pos = 0) {
        topic_subscribe(&f->t, sets[i], i + 1);
        ck_assert(!topic_in_set(&f->t, sets[i], own) && !topic_in_set(&f->t, sets[i], deep));
        ck_assert_uint_eq(topic_member(&f->t, sets[i], &pos), 0);
    }
    ck_assert_uint_eq(topic_set_of(&f->t, deep, &at), 0);
    ck_assert_uint_eq(topic_reach(&f->t, own), 0);
    topic_mark(&f->t, own);
    ck_assert_uint_eq(topic_queue_first(&f->t), 0);
    discard(f);
}
END_TEST

/* The last "*" may be the eighth segment, and "**" stand anywhere. */
START_TEST(many_segments)
{
    struct fixture *f = make(8);
    uint32_t set = choose(f, "*/*/*/*/*/*/*/*,a/a/a/a/a/a/a/a/a/**");
    uint32_t yes = open_topic(f, "a/b/c/d/e/f/g/h"), deep = open_topic(f, "a/a/a/a/a/a/a/a/a/a/a");
    uint32_t no = open_topic(f, "a/a/a/a/a/a/a/a/a");
    char text[TOPIC_NAME_MAX + 1]; /* as many segments as there can be */
    for (unsigned i = 0; i < TOPIC_NAME_MAX; i++)
        text[i] = i % 2 == 0 ? 'a' : '/';
    text[TOPIC_NAME_MAX] = 0;
    uint32_t longest = open_topic(f, text);
    text[TOPIC_NAME_MAX - 1] = 'b';
    uint32_t other = open_topic(f, text);
    text[TOPIC_NAME_MAX - 1] = 'a';
    memcpy(text, "*/*/*/*/*/*/*/*", 15);
    uint32_t one = choose(f, text);
    topic_subscribe(&f->t, set, 1);
    topic_subscribe(&f->t, one, 2);
    ck_assert_uint_eq(topic_reach(&f->t, yes), 1);
    ck_assert_uint_eq(topic_reach(&f->t, no), 0);
    ck_assert_uint_eq(topic_reach(&f->t, deep), 1);
    ck_assert_uint_eq(topic_reach(&f->t, longest), 2);
    ck_assert_uint_eq(topic_reach(&f->t, other), 1);
    ck_assert_uint_le(topic_weight(&f->t, set), 10);
    discard(f);
}
END_TEST

START_TEST(weights)
{
    static const struct {
        int line;
        const char *expression;
        uint32_t least, most;
    } rows[] = {
        {__LINE__, "a", 1, 1},
        {__LINE__, "a,b,c,d", 1, 1},
        {__LINE__, "**", 1, 2},
        {__LINE__, "*/b,a/*", 2, 4},
        {__LINE__, "1/*,2/*,3/*,4/*,5/*,6/*,7/*,8/*,9/*", 3, 7},
        {__LINE__, "1/*,2/*,3/*,4/*,5/*,6/*,7/*,8/*,9/*/*/*/*/x", 20, 60},
    };
    struct fixture *f = make(64);
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint32_t weight = topic_weight(&f->t, choose(f, rows[i].expression));
        ck_assert_msg(weight >= rows[i].least && weight <= rows[i].most, "line %d: %u",
                      rows[i].line, weight);
        f->told[0] = 0;
    }
    discard(f);
}
END_TEST

START_TEST(topics_are_limited)
{
    struct fixture *f = make(16);
    topics_limit(&f->t, 3);
    uint32_t set = choose(f, "a,b");
    ck_assert_uint_ne(open_topic(f, "c"), 0);
    ck_assert_uint_eq(open_topic(f, "d"), 0);
    ck_assert_uint_eq(choose(f, "d"), 0);
    ck_assert_uint_eq(choose(f, "a,d"), 0);
    ck_assert(told(f, "a b"));
    ck_assert_uint_ne(open_topic(f, "a"), 0);
    ck_assert_uint_ne(choose(f, "a,b,c"), 0); /* sets don't count */
    ck_assert_uint_ne(choose(f, "*"), 0);
    ck_assert_uint_eq(topic_count(&f->t), 3);
    let_go(f, set);
    let_go(f, choose(f, "a,b,c"));
    ck_assert(told(f, "a b c"));
    topics_limit(&f->t, 0);
    for (char name[2] = "d"; name[0] < 'd' + 15; name[0]++)
        ck_assert_uint_ne(open_topic(f, name), 0);
    ck_assert_uint_eq(topic_count(&f->t), 15);
    ck_assert_uint_eq(open_topic(f, "z"), 0); /* the table is full */
    discard(f);
}
END_TEST

/* ---- turns ---- */

/* Whose turn it is, from the iterator on: one letter each, 'a' being subscriber 1. */
static const char *turns(struct fixture *f, uint32_t id)
{
    static char text[SUBS + 1];
    uint32_t s = topic_group(&f->t, id)->iter, n = 0;
    for (; n < topic_group(&f->t, id)->subscribers; n++) {
        text[n] = (char)('a' + s - 1);
        s = topic_link_of(&f->t, s)->next;
    }
    text[n] = 0;
    ck_assert_uint_eq(s, topic_group(&f->t, id)->iter);
    return text;
}

/* One is looked at. */
static void turn(struct fixture *f, uint32_t id)
{
    struct topic_walk w = {.id = id, .group = topic_group(&f->t, id)};
    uint32_t next = w.group->iter;
    ck_assert(topic_walk_left(&w));
    ck_assert_ptr_eq(topic_walk_next(&f->t, &w), &f->links[next]);
}

START_TEST(order_of_turns)
{
    struct fixture *f = make(4);
    uint32_t id = open_topic(f, "t");
    struct topic_group *e = topic_group(&f->t, id);
    for (uint32_t s = 1; s <= 5; s++)
        topic_subscribe(&f->t, id, s);
    ck_assert_str_eq(turns(f, id), "abcde");
    topic_mark(&f->t, id);
    ck_assert_uint_eq(e->todo, 5);
    turn(f, id);
    turn(f, id);
    ck_assert_str_eq(turns(f, id), "cdeab");
    topic_subscribe(&f->t, id, 6); /* comes last, and is not to be looked at */
    ck_assert_str_eq(turns(f, id), "cdeabf");
    ck_assert_uint_eq(e->todo, 3);
    topic_unsubscribe(&f->t, 3); /* whose turn it was */
    ck_assert_str_eq(turns(f, id), "deabf");
    ck_assert_uint_eq(e->todo, 2);
    topic_unsubscribe(&f->t, 1); /* one that has been looked at: the others still are */
    ck_assert_str_eq(turns(f, id), "debf");
    ck_assert_uint_eq(e->todo, 2);
    topic_mark(&f->t, id);
    ck_assert_uint_eq(e->todo, 4);
    topic_unsubscribe(&f->t, 6);
    topic_unsubscribe(&f->t, 2);
    ck_assert_str_eq(turns(f, id), "de");
    ck_assert_uint_eq(e->todo, 2);
    topic_unsubscribe(&f->t, 4);
    topic_unsubscribe(&f->t, 5);
    topic_unsubscribe(&f->t, 5); /* is on none */
    ck_assert_uint_eq(e->iter, 0);
    ck_assert_uint_eq(e->todo, 0);
    topic_subscribe(&f->t, id, 5);
    ck_assert_str_eq(turns(f, id), "e");
    ck_assert_uint_eq(e->todo, 0);
    discard(f);
}
END_TEST

START_TEST(queue)
{
    struct fixture *f = make(8);
    uint32_t a = open_topic(f, "a"), b = open_topic(f, "b"), c = open_topic(f, "c");
    topic_mark(&f->t, a);
    ck_assert_uint_eq(topic_queue_first(&f->t), 0); /* nobody to tell */
    for (uint32_t s = 1; s <= 3; s++)
        topic_subscribe(&f->t, s == 1 ? a : s == 2 ? b : c, s);
    topic_mark(&f->t, b);
    topic_mark(&f->t, a);
    topic_mark(&f->t, b);
    topic_mark(&f->t, c);
    ck_assert_uint_eq(topic_queue_first(&f->t), b);
    topic_queue_rotate(&f->t);
    ck_assert_uint_eq(topic_queue_first(&f->t), a);
    topic_queue_drop(&f->t);
    ck_assert_uint_eq(topic_group(&f->t, a)->todo, 0);
    ck_assert_uint_eq(topic_queue_first(&f->t), c);
    topic_queue_drop(&f->t);
    topic_queue_rotate(&f->t); /* of one */
    ck_assert_uint_eq(topic_queue_first(&f->t), b);
    topic_mark(&f->t, a);
    topic_queue_drop(&f->t);
    topic_queue_drop(&f->t);
    ck_assert_uint_eq(topic_queue_first(&f->t), 0);
    topic_unsubscribe(&f->t, 1);
    uint32_t set = choose(f, "*");
    topic_mark(&f->t, set); /* nobody to tell */
    ck_assert_uint_eq(topic_queue_first(&f->t), 0);
    topic_mark(&f->t, a); /* nor in its set */
    ck_assert_uint_eq(topic_queue_first(&f->t), 0);
    topic_subscribe(&f->t, set, 1);
    topic_mark(&f->t, a);
    ck_assert_uint_eq(topic_queue_first(&f->t), a);
    discard(f);
}
END_TEST

/* What a mark is for is timed until those there were have had their turn, whatever comes
 * meanwhile. */
START_TEST(timing)
{
    struct fixture *f = make(8);
    uint32_t id = open_topic(f, "t");
    struct topic_group *e = topic_group(&f->t, id);
    for (uint32_t s = 1; s <= 5; s++)
        topic_subscribe(&f->t, id, s);
    f->t.clock = 100;
    topic_mark(&f->t, id);
    for (int i = 0; i < 3; i++)
        turn(f, id);
    ck_assert(!topic_round_count(e, 3));
    f->t.clock = 200;
    topic_mark(&f->t, id); /* all are to be looked at again, which is not timed */
    topic_subscribe(&f->t, id, 6);
    ck_assert(!topic_round_count(e, 0));
    ck_assert(!topic_round_count(e, 1));
    turn(f, id);
    ck_assert_uint_eq(e->since, 100);
    ck_assert(topic_round_count(e, 1));
    ck_assert_uint_gt(e->todo, 0);
    turn(f, id);
    ck_assert(!topic_round_count(e, 1)); /* of what is not timed */
    f->t.clock = 300;
    topic_mark(&f->t, id);
    ck_assert_uint_eq(e->since, 300);
    topic_queue_drop(&f->t);
    ck_assert(!topic_round_count(e, 6)); /* it was taken off the queue */
    topic_mark(&f->t, id);
    for (uint32_t s = 1; s <= 4; s++) { /* answered, each in its turn, they leave */
        uint32_t who = e->iter;
        turn(f, id);
        topic_unsubscribe(&f->t, who);
    }
    ck_assert_uint_eq(e->todo, 2);
    ck_assert(!topic_round_count(e, 4));
    turn(f, id);
    topic_unsubscribe(&f->t, e->iter); /* the last one leaves before its turn */
    ck_assert_uint_eq(e->todo, 0);
    ck_assert(topic_round_count(e, 1));
    topic_queue_drop(&f->t);
    discard(f);
}
END_TEST

/* A set is timed from when its topic was marked, also where nobody subscribes to that. */
START_TEST(timing_of_sets)
{
    struct fixture *f = make(8);
    uint32_t id = open_topic(f, "t"), set = choose(f, "*");
    topic_subscribe(&f->t, set, 1);
    f->t.clock = 100;
    topic_mark(&f->t, id);
    f->t.clock = 200;
    topic_mark(&f->t, id);
    topic_mark_set(&f->t, set, id);
    ck_assert_uint_eq(topic_group(&f->t, set)->since, 100);
    topic_group(&f->t, id)->begun = 1;
    topic_mark_set(&f->t, set, id);
    ck_assert(!topic_round_count(topic_group(&f->t, id), 1));
    turn(f, set);
    ck_assert(topic_round_count(topic_group(&f->t, set), 1));
    f->t.clock = 300; /* what its fan-out has begun for is no longer waited for */
    topic_mark(&f->t, id);
    topic_mark_set(&f->t, set, id);
    ck_assert_uint_eq(topic_group(&f->t, set)->since, 300);
    discard(f);
}
END_TEST

/* Topics are walked in the order of their names; sets are none. */
START_TEST(in_order)
{
    static const char *const names[] = {"a", "a/b", "a0", "b", "b/\xC3\xA9"};
    struct fixture *f = make(16);
    ck_assert_uint_eq(topic_at_or_after(&f->t, SPAN("")), 0);
    for (size_t i = 0; i < COUNT(names); i++)
        open_topic(f, names[(i * 3 + 1) % COUNT(names)]);
    topic_subscribe(&f->t, choose(f, "a,b"), 1);
    uint32_t id = topic_at_or_after(&f->t, SPAN(""));
    for (size_t i = 0; i < COUNT(names); i++) {
        ck_assert(span_eq(topic_name(&f->t, id), span_of(names[i])));
        ck_assert_uint_eq(topic_at_or_after(&f->t, span_of(names[i])), id);
        id = topic_after(&f->t, id);
    }
    ck_assert_uint_eq(id, 0);
    ck_assert_uint_eq(topic_at_or_after(&f->t, SPAN("a/")), topic_find(&f->t, SPAN("a/b")));
    ck_assert_uint_eq(topic_at_or_after(&f->t, SPAN("b0")), 0);
    ck_assert_uint_eq(topic_subscriber_count(&f->t), 1);
    topic_unsubscribe(&f->t, 1);
    ck_assert_uint_eq(topic_subscriber_count(&f->t), 0);
    discard(f);
}
END_TEST

/* ---- many ---- */

static struct span numbered(char *buf, uint32_t n)
{
    int size = snprintf(buf, 64, "%s/%u", n % 3 == 0 ? "three" : "other", n);
    return (struct span){buf, (size_t)size};
}

/* Grows, shrinks in another order, and grows again. */
START_TEST(many_topics)
{
    enum { MANY = 20000 };
    struct fixture *f = make(MANY + 2);
    static uint32_t id[MANY];
    char buf[64];
    uint64_t from = seed(), rnd = from;
    bool made;
    uint32_t three = choose(f, "three/*"), all = choose(f, "**"), count = MANY, threes = 0;
    topic_subscribe(&f->t, three, 1);
    for (uint32_t i = 0; i < MANY; i++) {
        id[i] = topic_open(&f->t, numbered(buf, i), &made);
        ck_assert(id[i] != 0 && made);
        threes += i % 3 == 0;
    }
    ck_assert_uint_eq(open_topic(f, "one-more"), 0);
    for (unsigned round = 0; round < 2 * MANY; round++) {
        uint32_t i = (uint32_t)(random_next(&rnd) % MANY);
        if (id[i] == 0) {
            id[i] = topic_open(&f->t, numbered(buf, i), &made);
            ck_assert_msg(id[i] != 0 && made, SEED_FMT, from);
            count++, threes += i % 3 == 0;
        } else if (random_next(&rnd) % 4 != 0) {
            let_go(f, id[i]);
            f->told[0] = 0;
            id[i] = 0;
            count--, threes -= i % 3 == 0;
        }
    }
    for (uint32_t i = 0; i < MANY; i++) {
        ck_assert_msg(topic_find(&f->t, numbered(buf, i)) == id[i], SEED_FMT, from);
        if (id[i] == 0)
            continue;
        ck_assert_msg(topic_in_set(&f->t, three, id[i]) == (i % 3 == 0), SEED_FMT, from);
        ck_assert_msg(topic_reach(&f->t, id[i]) == (i % 3 == 0), SEED_FMT, from);
        ck_assert_msg(topic_in_set(&f->t, all, id[i]), SEED_FMT, from);
    }
    ck_assert_uint_eq(topic_members_most(&f->t, all), count);
    ck_assert_uint_eq(topic_members_most(&f->t, three), threes);
    topic_unsubscribe(&f->t, 1);
    let_go(f, all);
    let_go(f, three);
    for (uint32_t i = 0; i < MANY; i++)
        if (id[i] != 0) {
            let_go(f, id[i]);
            f->told[0] = 0;
        }
    assert_empty(f);
    discard(f);
}
END_TEST

/* Many sets with wildcards: a topic finds its own. */
START_TEST(many_sets)
{
    enum { MANY = 6000 };
    static const char *const forms[] = {"u/%u/*", "*/%u/**", "*/*/%u"};
    struct fixture *f = make(4 * MANY);
    static struct topic_link links[MANY + 1];
    static uint32_t id[MANY];
    uint64_t from = seed(), rnd = from;
    char buf[64];
    memset(links, 0, sizeof(links));
    topics_links(&f->t, links, sizeof(links[0]));
    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(buf, sizeof(buf), forms[i % 3], i / 3);
        id[i] = choose(f, buf);
        topic_subscribe(&f->t, id[i], i + 1);
    }
    for (unsigned round = 0; round < 20000; round++) {
        uint32_t a = (uint32_t)(random_next(&rnd) % (MANY / 3)), at = 0;
        uint32_t b = (uint32_t)(random_next(&rnd) % (MANY / 3)), i = a * 3, found = 0, set;
        snprintf(buf, sizeof(buf), "u/%u/%u", a, b);
        uint32_t topic = open_topic(f, buf);
        while ((set = topic_set_of(&f->t, topic, &at)) != 0) {
            ck_assert_msg(set == id[i] || set == id[i + 1] || set == id[b * 3 + 2], SEED_FMT, from);
            found++;
        }
        ck_assert_msg(found == 3 && topic_reach(&f->t, topic) == 3, SEED_FMT, from);
        let_go(f, topic);
        f->told[0] = 0;
        /* another one goes and comes again */
        uint32_t n = (uint32_t)(random_next(&rnd) % MANY);
        topic_unsubscribe(&f->t, n + 1);
        let_go(f, id[n]);
        snprintf(buf, sizeof(buf), forms[n % 3], n / 3);
        id[n] = choose(f, buf);
        topic_subscribe(&f->t, id[n], n + 1);
    }
    for (uint32_t i = 0; i < MANY; i++) {
        topic_unsubscribe(&f->t, i + 1);
        let_go(f, id[i]);
    }
    ck_assert_uint_eq(f->t.h->nodes, 0);
    assert_empty(f);
    discard(f);
}
END_TEST

static void count_up(void *arg, uint32_t topic)
{
    (void)topic;
    ++*(uint32_t *)arg;
}

/* A set of so many long names that its own name has more than 64 KB. */
START_TEST(wide_set)
{
    enum { PARTS = 3000, LENGTH = 200 };
    struct fixture *f = make(PARTS + 100);
    char *text = malloc((size_t)PARTS * (LENGTH + 1)), *at = text;
    const char *why = NULL;
    uint32_t made = 0, gone = 0;
    for (uint32_t i = 0; i < PARTS; i++) {
        memset(at, 'x', LENGTH);
        memcpy(at + LENGTH - 4,
               (char[]){(char)('0' + i % 10), (char)('0' + i / 10 % 10), (char)('0' + i / 100 % 10),
                        (char)('0' + i / 1000)},
               4);
        at[LENGTH] = ',';
        at += LENGTH + 1;
    }
    struct span s = {text, (size_t)(at - text) - 1};
    ck_assert_uint_eq(topic_select(&f->t, s, PARTS - 1, count_up, &made, &why), 0);
    ck_assert_ptr_nonnull(why);
    uint32_t set = topic_select(&f->t, s, PARTS, count_up, &made, &why), pos = 0, n = 0, topic;
    ck_assert_uint_ne(set, 0);
    ck_assert_uint_eq(made, PARTS);
    struct span name = topic_name(&f->t, set);
    ck_assert_uint_eq(name.n, s.n);
    for (uint32_t i = LENGTH + 1; i < name.n; i += LENGTH + 1)
        ck_assert_int_lt(memcmp(name.p + i - LENGTH - 1, name.p + i, LENGTH), 0);
    while ((topic = topic_member(&f->t, set, &pos)) != 0) {
        ck_assert(topic_in_set(&f->t, set, topic));
        n++;
    }
    ck_assert_uint_eq(n, PARTS);
    ck_assert_uint_eq(topic_select(&f->t, s, PARTS, count_up, &made, &why), set);
    ck_assert_uint_eq(made, PARTS);
    topic_release(&f->t, set, count_up, &gone);
    ck_assert_uint_eq(gone, PARTS);
    assert_empty(f);
    free(text);
    discard(f);
}
END_TEST

/* An empty table, however large it may become, is a few pages; it grows with what there is. */
START_TEST(touched_late)
{
    enum { MAX = 50000 };
    struct fixture *f = make(MAX);
    struct topics_memory size = topics_size(MAX);
    size_t sizes[4] = {size.table, size.edges, size.pool, size.pool_meta};
    static const size_t most[3] = {1, 12, 120}; /* pages, with 0, 100 and 1000 topics */
    for (unsigned round = 0; round < 3; round++) {
        size_t pages = 0;
        for (unsigned i = 0; i < 4; i++)
            for (size_t page = 0; page < sizes[i]; page += 4096) {
                const char *p = (const char *)f->memory[i] + page;
                size_t n = sizes[i] - page < 4096 ? sizes[i] - page : 4096, k = 0;
                while (k < n && p[k] == 0)
                    k++;
                pages += k < n;
            }
        ck_assert_msg(pages <= most[round] + 10, "round %u: %zu", round, pages);
        for (uint32_t i = 0; i < (round == 0 ? 100 : 900); i++) {
            char name[32];
            snprintf(name, sizeof(name), "name/%u/%u", round, i);
            ck_assert_uint_ne(open_topic(f, name), 0);
        }
    }
    discard(f);
}
END_TEST

START_TEST(address_space)
{
    struct topics_memory m = topics_size(1200000);
    ck_assert_uint_lt((uint64_t)m.table + m.edges + m.pool + m.pool_meta, 2000000000u);
    m = topics_size(1);
    ck_assert_uint_gt(m.pool, 1 << 19);
    m = topics_size(TOPICS_MAX);
    ck_assert_uint_ge(m.table, (uint64_t)TOPICS_MAX * sizeof(struct topic));
    ck_assert_uint_le(sizeof(struct topic), 96);
}
END_TEST

/* ---- against a model ---- */

static uint32_t pick_random(void *arg, uint32_t bound)
{
    return (uint32_t)(random_next(arg) % bound);
}

static void run_model(uint64_t from, uint32_t max, uint32_t topics_max, unsigned steps,
                      uint32_t units, uint32_t edges)
{
    static struct model m;
    uint64_t rnd = from;
    m = (struct model){.pick = pick_random, .arg = &rnd, .every = 1, .seed = from};
    size_t size[4];
    model_sizes(max, size);
    for (unsigned i = 0; i < 4; i++)
        m.memory[i] = calloc(1, size[i]);
    model_begin(&m, max, topics_max);
    if (units != 0)
        model_tighten(&m, units, edges);
    for (unsigned i = 0; i < steps; i++) {
        model_step(&m);
        if (i % 400 == 399)
            model_move(&m);
    }
    model_end(&m);
    for (unsigned i = 0; i < 4; i++)
        free(m.memory[i]);
}

START_TEST(model_with_room)
{
    static const uint32_t max[] = {60, 60, 30, 12, 5, 1};
    run_model(seed() + (uint64_t)_i, max[_i], _i == 1 ? 8 : 0, 2500, 0, 0);
}
END_TEST

START_TEST(model_without_room)
{
    static const struct {
        uint32_t units, edges;
    } rows[] = {{32, 240}, {64, 240}, {128, 240}, {32768, 10}, {32768, 40}, {64, 30}, {2, 1}};
    run_model(seed() + (uint64_t)_i, 60, 0, 2500, rows[_i].units, rows[_i].edges);
}
END_TEST

/* ---- misuse ---- */

START_TEST(subscribe_twice)
{
    struct fixture *f = make(4);
    uint32_t id = open_topic(f, "a");
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
    topic_subscribe(&f->t, id, 1);
    topic_subscribe(&f->t, id, 1);
}
END_TEST

START_TEST(free_number)
{
    struct fixture *f = make(4);
    uint32_t id = open_topic(f, "a");
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
    let_go(f, id);
    topic_subscribe(&f->t, id, 1);
}
END_TEST

START_TEST(clean_nothing)
{
    struct fixture *f = make(4);
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
    topic_queue_drop(&f->t);
}
END_TEST

/* One name may be asked for as a set: it is apart from its topic, which is a member of it, and
 * nobody's expression but its own finds it. */
START_TEST(one_name_as_a_set)
{
    struct fixture *f = make(16);
    const char *why;
    uint32_t pos = 0;
    uint32_t topic = topic_select(&f->t, SPAN("a/b"), 4, tell, f, &why);
    topic_at(&f->t, topic)->kept = 1;
    uint32_t set = topic_select_set(&f->t, SPAN("a/b"), 4, tell, f, &why);
    ck_assert_uint_ne(topic, 0);
    ck_assert_uint_ne(set, 0);
    ck_assert_uint_ne(set, topic);
    ck_assert(topic_is_set(set) && !topic_is_set(topic));
    ck_assert(span_eq(topic_name(&f->t, set), SPAN("a/b")));
    ck_assert_uint_eq(topic_member(&f->t, set, &pos), topic);
    ck_assert_uint_eq(topic_member(&f->t, set, &pos), 0);
    ck_assert_uint_eq(topic_select_set(&f->t, SPAN("a/b"), 4, tell, f, &why), set);
    ck_assert_uint_eq(topic_select(&f->t, SPAN("a/b"), 4, tell, f, &why), topic);
    ck_assert_uint_eq(topic_select(&f->t, SPAN("a/b,"), 4, tell, f, &why), 0);
    ck_assert_ptr_nonnull(why);
    ck_assert_uint_eq(topic_select_set(&f->t, SPAN("a/b,"), 4, tell, f, &why), 0);
    ck_assert_ptr_nonnull(why);
    /* of several it is the set that all get */
    ck_assert_uint_eq(topic_select_set(&f->t, SPAN("b,a/*"), 4, tell, f, &why),
                      topic_select(&f->t, SPAN("a/*,b"), 4, tell, f, &why));
    topic_release(&f->t, set, tell, f);
    ck_assert_uint_eq(topic_find(&f->t, SPAN("a/b")), topic);
    discard(f);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("topic");
    TCase *example = tcase_create("example"), *many = tcase_create("many");
    TCase *model = tcase_create("model"), *misuse = tcase_create("misuse");
    tcase_add_test(example, open_and_find);
    tcase_add_test(example, selections);
    tcase_add_test(example, wrong_selections);
    tcase_add_test(example, one_name_as_a_set);
    tcase_add_test(example, listed_and_matched);
    tcase_add_test(example, segments_end);
    tcase_add_test(example, what_is_needed);
    tcase_add_test(example, own_topics);
    tcase_add_test(example, many_segments);
    tcase_add_test(example, weights);
    tcase_add_test(example, topics_are_limited);
    tcase_add_test(example, order_of_turns);
    tcase_add_test(example, queue);
    tcase_add_test(example, timing);
    tcase_add_test(example, timing_of_sets);
    tcase_add_test(example, in_order);
    tcase_add_test(many, many_topics);
    tcase_add_test(many, many_sets);
    tcase_add_test(many, wide_set);
    tcase_add_test(many, touched_late);
    tcase_add_test(many, address_space);
    tcase_add_loop_test(model, model_with_room, 0, 6);
    tcase_add_loop_test(model, model_without_room, 0, 7);
    tcase_set_timeout(many, 60);
    tcase_set_timeout(model, 60);
    tcase_add_test_raise_signal(misuse, subscribe_twice, SIGABRT);
    tcase_add_test_raise_signal(misuse, free_number, SIGABRT);
    tcase_add_test_raise_signal(misuse, clean_nothing, SIGABRT);
    suite_add_tcase(s, example);
    suite_add_tcase(s, many);
    suite_add_tcase(s, model);
    suite_add_tcase(s, misuse);
    return run(s);
}
