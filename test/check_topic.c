/*
 * check_topic.c - the table of topics: by example, against a model, and where there is no room.
 */
#include "test/topic_model.h"

#include "test/kit.h"

#include <signal.h>

/* ---- a table with its memory ---- */

enum { SUBS = 32 };

struct fixture {
    struct topics t;
    void *memory[4];
    struct topic_link links[SUBS + 1];
    char told[4096]; /* names that made() and gone() were told of, each with a space */
};

static struct fixture *make(uint32_t max)
{
    static const uint64_t key[2] = {1, 2};
    struct fixture *f = calloc(1, sizeof(*f));
    struct topics_memory size = topics_size(max);
    size_t sizes[4] = {size.table, size.edges, size.pool, size.pool_meta};
    ck_assert_ptr_nonnull(f);
    for (unsigned i = 0; i < 4; i++)
        f->memory[i] = calloc(1, sizes[i]);
    topics_init(&f->t, max, f->memory[0], f->memory[1], f->memory[2], f->memory[3], key);
    topics_links(&f->t, f->links, sizeof(f->links[0]));
    return f;
}

static void discard(struct fixture *f)
{
    for (unsigned i = 0; i < 4; i++)
        free(f->memory[i]);
    free(f);
}

static void tell(void *arg, uint32_t topic)
{
    struct fixture *f = arg;
    struct span name = topic_name(&f->t, topic);
    size_t n = strlen(f->told);
    ck_assert_uint_lt(n + name.n + 2, sizeof(f->told));
    memcpy(f->told + n, name.p, name.n);
    memcpy(f->told + n + name.n, " ", 2);
}

/* Of the names told since the last call, in any order: are they these? */
static bool told(struct fixture *f, const char *names)
{
    size_t n = strlen(names);
    bool all = strlen(f->told) == n + (n > 0);
    char list[256];
    snprintf(list, sizeof(list), "%s", names);
    for (char *s = strtok(list, " "); s != NULL; s = strtok(NULL, " ")) {
        char with_ends[256], whole[sizeof(f->told) + 1];
        snprintf(with_ends, sizeof(with_ends), " %s ", s);
        snprintf(whole, sizeof(whole), " %s", f->told);
        all = all && strstr(whole, with_ends) != NULL;
    }
    f->told[0] = 0;
    return all;
}

static uint32_t open_topic(struct fixture *f, const char *name)
{
    bool made;
    return topic_open(&f->t, span_of(name), &made);
}

static uint32_t find(struct fixture *f, const char *name)
{
    return topic_find(&f->t, span_of(name));
}

static uint32_t choose(struct fixture *f, const char *expression)
{
    const char *why = "";
    uint32_t id = topic_select(&f->t, span_of(expression), 100, tell, f, &why);
    ck_assert_msg(why == NULL, "%s: %s", expression, why);
    return id;
}

static void let_go(struct fixture *f, uint32_t id)
{
    topic_release(&f->t, id, tell, f);
}

static void assert_named(struct fixture *f, uint32_t id, const char *name)
{
    struct span s = topic_name(&f->t, id);
    ck_assert_msg(span_eq(s, span_of(name)), "%.*s, not %s", (int)s.n, s.p, name);
}

static void assert_empty(struct fixture *f)
{
    ck_assert_uint_eq(topic_count(&f->t), 0);
    ck_assert_uint_eq(topic_set_count(&f->t), 0);
    ck_assert_uint_eq(topic_dirty(&f->t), 0);
    ck_assert_uint_eq(pool_used(&f->t.pool), 0);
}

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
        ck_assert_int_eq(topic_at(&f->t, id)->set, rows[i].set);
        ck_assert_int_eq(topic_at(&f->t, id)->several, rows[i].set);
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
    ck_assert_uint_eq(topic_at(&f->t, set)->names, 1);
    let_go(f, a);
    ck_assert_uint_eq(find(f, "a"), a);
    uint32_t b = open_topic(f, "b");
    ck_assert(topic_in_set(&f->t, set, b) && topic_in_set(&f->t, set, a));
    ck_assert_uint_eq(topic_reach(&f->t, b), 1);
    let_go(f, b); /* only matched: goes */
    ck_assert(told(f, "b"));
    ck_assert_uint_eq(topic_at(&f->t, set)->member_count, 1);
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
    ck_assert_uint_eq(topic_dirty(&f->t), b);
    topic_clean(&f->t);
    let_go(f, b);
    ck_assert(told(f, "b"));
    assert_empty(f);
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
    uint32_t s = topic_at(&f->t, id)->iter, n = 0;
    for (; n < topic_at(&f->t, id)->subscribers; n++) {
        text[n] = (char)('a' + s - 1);
        s = topic_link_of(&f->t, s)->next;
    }
    text[n] = 0;
    ck_assert_uint_eq(s, topic_at(&f->t, id)->iter);
    return text;
}

/* One is looked at. */
static void turn(struct fixture *f, uint32_t id)
{
    struct topic *e = topic_at(&f->t, id);
    ck_assert_uint_gt(e->todo, 0);
    e->iter = topic_link_of(&f->t, e->iter)->next;
    e->todo--;
}

START_TEST(order_of_turns)
{
    struct fixture *f = make(4);
    uint32_t id = open_topic(f, "t");
    struct topic *e = topic_at(&f->t, id);
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
    ck_assert_uint_eq(topic_dirty(&f->t), 0); /* nobody to tell */
    for (uint32_t s = 1; s <= 3; s++)
        topic_subscribe(&f->t, s == 1 ? a : s == 2 ? b : c, s);
    topic_mark(&f->t, b);
    topic_mark(&f->t, a);
    topic_mark(&f->t, b);
    topic_mark(&f->t, c);
    ck_assert_uint_eq(topic_dirty(&f->t), b);
    topic_rotate(&f->t);
    ck_assert_uint_eq(topic_dirty(&f->t), a);
    topic_clean(&f->t);
    ck_assert_uint_eq(topic_at(&f->t, a)->todo, 0);
    ck_assert_uint_eq(topic_dirty(&f->t), c);
    topic_clean(&f->t);
    topic_rotate(&f->t); /* of one */
    ck_assert_uint_eq(topic_dirty(&f->t), b);
    topic_mark(&f->t, a);
    topic_clean(&f->t);
    topic_clean(&f->t);
    ck_assert_uint_eq(topic_dirty(&f->t), 0);
    topic_unsubscribe(&f->t, 1);
    uint32_t set = choose(f, "*");
    topic_mark(&f->t, set); /* nobody to tell */
    ck_assert_uint_eq(topic_dirty(&f->t), 0);
    topic_mark(&f->t, a); /* its set may have somebody */
    ck_assert_uint_eq(topic_dirty(&f->t), a);
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
    ck_assert_uint_eq(topic_at(&f->t, all)->member_count, count);
    ck_assert_uint_eq(topic_at(&f->t, three)->member_count, threes);
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
    ck_assert_uint_le(sizeof(struct topic), 112);
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

/* ---- no room ---- */

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
    uint32_t topics, sets, members[COUNT(crowd)];
    uint64_t bytes; /* in the pool, but for the members' tables, which may have grown */
};

static struct counts count(struct fixture *f)
{
    struct counts c;
    memset(&c, 0, sizeof(c));
    c.topics = topic_count(&f->t);
    c.sets = topic_set_count(&f->t);
    c.bytes = pool_used(&f->t.pool);
    for (uint32_t i = 0; i < COUNT(crowd); i++) {
        const struct topic *e = topic_at(&f->t, topic_link_of(&f->t, i + 1)->topic);
        c.members[i] = e->member_count;
        c.bytes -= pool_size(&f->t.pool, e->members);
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
};

START_TEST(no_edges)
{
    struct fixture *f = make_crowd(64);
    uint32_t most = f->t.edges_max, n = 0;
    while (f->t.edges_max = n, !try_it(f, tries[_i].what, tries[_i].made))
        ck_assert_uint_lt(n++, most);
    ck_assert_uint_gt(n, 10); /* those of the crowd, and more */
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
    topic_clean(&f->t);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("topic");
    TCase *example = tcase_create("example"), *many = tcase_create("many");
    TCase *model = tcase_create("model"), *room = tcase_create("no room");
    TCase *misuse = tcase_create("misuse");
    tcase_add_test(example, open_and_find);
    tcase_add_test(example, selections);
    tcase_add_test(example, wrong_selections);
    tcase_add_test(example, listed_and_matched);
    tcase_add_test(example, what_is_needed);
    tcase_add_test(example, topics_are_limited);
    tcase_add_test(example, order_of_turns);
    tcase_add_test(example, queue);
    tcase_add_test(many, many_topics);
    tcase_add_test(many, wide_set);
    tcase_add_test(many, touched_late);
    tcase_add_test(many, address_space);
    tcase_add_loop_test(model, model_with_room, 0, 6);
    tcase_add_loop_test(model, model_without_room, 0, 7);
    tcase_add_loop_test(room, no_edges, 0, COUNT(tries));
    tcase_add_loop_test(room, no_numbers, 0, COUNT(tries));
    tcase_add_loop_test(room, no_topics, 0, COUNT(tries));
    tcase_add_loop_test(room, no_memory, 0, COUNT(tries));
    tcase_set_timeout(many, 60);
    tcase_set_timeout(model, 60);
    tcase_set_timeout(room, 60);
    tcase_add_test_raise_signal(misuse, subscribe_twice, SIGABRT);
    tcase_add_test_raise_signal(misuse, free_number, SIGABRT);
    tcase_add_test_raise_signal(misuse, clean_nothing, SIGABRT);
    suite_add_tcase(s, example);
    suite_add_tcase(s, many);
    suite_add_tcase(s, model);
    suite_add_tcase(s, room);
    suite_add_tcase(s, misuse);
    return run(s);
}
