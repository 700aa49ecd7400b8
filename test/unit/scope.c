/*
 * scope.c - what of a URL's names and wildcards a scope allows: examples, and random lists
 * against what all short names say one by one.
 */
#include "lib/auth/auth.h"

#include "lib/name.h"
#include "test/kit/kit.h"

/* ---- examples ---- */

static const struct {
    int line;
    const char *scope, *pattern;
    bool covers;
} covers[] = {
    {__LINE__, "", "a", false},          {__LINE__, "a", "a", true},
    {__LINE__, "a", "b", false},         {__LINE__, "a,b", "b", true},
    {__LINE__, "a,b", "a,b", false},     {__LINE__, "**", "a", true},
    {__LINE__, "**", "**", true},        {__LINE__, "**", "*/b/**", true},
    {__LINE__, "a/*", "a/b", true},      {__LINE__, "a/*", "a/b/c", false},
    {__LINE__, "a/*", "a", false},       {__LINE__, "a/*", "a/*", true},
    {__LINE__, "a/*", "a/**", false},    {__LINE__, "a/**", "a/*", true},
    {__LINE__, "a/**", "a/b/c/*", true}, {__LINE__, "a/**", "*/b", false},
    {__LINE__, "x,a/**", "a/b/c", true}, {__LINE__, "*/b", "a/b", true},
    {__LINE__, "*/b", "*/b", true},      {__LINE__, "*/b", "a/*", false},
    {__LINE__, "**", "-/ready", false},  {__LINE__, "*", "", false},
};

START_TEST(covering)
{
    char *scope = on_heap(span_of(covers[_i].scope)), *p = on_heap(span_of(covers[_i].pattern));
    ck_assert_msg(auth_covers((struct span){scope, strlen(covers[_i].scope)},
                              (struct span){p, strlen(covers[_i].pattern)}) == covers[_i].covers,
                  "line %d", covers[_i].line);
    free(scope);
    free(p);
}
END_TEST

static const struct {
    int line;
    const char *scope, *names, *want; /* NULL: refused ... */
    const char *refused;
} narrows[] = {
    {__LINE__, "a", "a", "a", NULL},
    {__LINE__, "**", "a,b/*", "a,b/*", NULL},
    {__LINE__, "**", "b,a", "b,a", NULL},
    {__LINE__, "a,b", "**", "a,b", NULL},
    {__LINE__, "a/*", "a/**", "a/*", NULL},
    {__LINE__, "a/**", "**", "a/**", NULL},
    {__LINE__, "orders/eu/*", "orders/*/7", "orders/eu/7", NULL},
    {__LINE__, "orders/eu/**,news", "**", "orders/eu/**,news", NULL},
    {__LINE__, "orders/eu/**,news", "orders/**", "orders/eu/**", NULL},
    {__LINE__, "a/*,*/b", "*/*", "a/*,*/b", NULL},
    {__LINE__, "a/*,*/b", "a/b", "a/b", NULL},
    {__LINE__, "a/*,*/b", "**,a/b,x/b", "a/*,*/b", NULL},
    /* none twice, none that another holds */
    {__LINE__, "**", "a,a,a", "a", NULL},
    {__LINE__, "**", "a,*", "*", NULL},
    {__LINE__, "**", "*,a", "*", NULL},
    {__LINE__, "**", "a,b/c,b/*,b/**,**", "**", NULL},
    {__LINE__, "**", "b/d/e,a,b/c,b/*", "b/d/e,a,b/*", NULL},
    {__LINE__, "a/**,**", "**", "**", NULL},
    {__LINE__, "a/*,a/**", "a/**", "a/**", NULL},
    {__LINE__, "a,a,b", "*,b", "a,b", NULL},
    /* nothing of one of them */
    {__LINE__, "", "a", NULL, "a"},
    {__LINE__, "", "**", NULL, "**"},
    {__LINE__, "a", "a,b", NULL, "b"},
    {__LINE__, "a", "b,a", NULL, "b"},
    {__LINE__, "a/*", "a", NULL, "a"},
    {__LINE__, "a/*", "a/*,b/*,c", NULL, "b/*"},
    {__LINE__, "a,b", "*/*", NULL, "*/*"},
    /* what is wrong as a name */
    {__LINE__, "**", "a//b", NULL, "a//b"},
    {__LINE__, "**", "a,", NULL, "a,"},
    {__LINE__, "**", ",a", NULL, ",a"},
    {__LINE__, "**", "a,,b", NULL, "a,,b"},
    {__LINE__, "**", "a,-/ready", NULL, "-/ready"},
    {__LINE__, "**", "a,**/b", NULL, "**/b"},
    {__LINE__, "**", "a,b*", NULL, "b*"},
    {__LINE__, "**", "a\n", NULL, "a\n"},
    {__LINE__, "**", "\xFF", NULL, "\xFF"},
    {__LINE__, "**", "", NULL, ""},
};

START_TEST(narrowing)
{
    char *scope = on_heap(span_of(narrows[_i].scope)), *names = on_heap(span_of(narrows[_i].names));
    char *out = malloc(64);
    struct text t = text_in(out, 64);
    struct span refused, s = {scope, strlen(narrows[_i].scope)};
    const char *want = narrows[_i].want;
    text_str(&t, "before,");
    bool good = auth_narrow(&t, s, (struct span){names, strlen(narrows[_i].names)}, &refused);
    int line = narrows[_i].line;
    ck_assert_msg(good == (want != NULL), "line %d gives %d", line, good);
    ck_assert_msg(span_eq(refused, span_of(narrows[_i].refused)), "line %d: %.*s", line,
                  (int)refused.n, refused.p);
    ck_assert_msg(t.n >= 7 && memcmp(out, "before,", 7) == 0, "line %d", line);
    ck_assert_msg(span_eq(span_from(text_span(&t), 7), span_of(want)), "line %d: %.*s", line,
                  (int)t.n, t.p);
    free(scope);
    free(names);
    free(out);
}
END_TEST

/* Just enough room, and a byte less. */
START_TEST(no_room)
{
    struct span scope = SPAN("a/*,b/**,*/c"), names = SPAN("a/x,**,b/y/z,q/c"), refused;
    struct span want = SPAN("a/*,b/**,*/c");
    for (size_t cap = 0; cap < 40; cap++) {
        char *out = malloc(cap + (cap == 0));
        struct text t = text_in(out, cap);
        bool good = auth_narrow(&t, scope, names, &refused);
        ck_assert_uint_eq(refused.n, 0);
        ck_assert(good == (cap >= want.n) && t.full == !good);
        ck_assert(good ? span_eq(text_span(&t), want) : t.n == 0);
        free(out);
    }
}
END_TEST

/* It takes as many steps as there are names times parts: no more than so many. */
START_TEST(many_steps)
{
    static char names[60000], parts[8000], out[60000];
    struct text all = text_in(names, sizeof(names)), scope = text_in(parts, sizeof(parts));
    struct text t = text_in(out, sizeof(out));
    struct span refused;
    for (unsigned i = 0; i < 256; i++)
        text_str(&scope, i > 0 ? ",*/b" : "*/a");
    for (unsigned i = 0; i < AUTH_NARROW_STEPS / 256; i++)
        text_str(&all, i > 0 ? ",x/a" : "x/a");
    ck_assert(auth_narrow(&t, text_span(&scope), text_span(&all), &refused));
    ck_assert(span_eq(text_span(&t), SPAN("x/a")));
    text_str(&all, ",x/a");
    t.n = 0;
    ck_assert(!auth_narrow(&t, text_span(&scope), text_span(&all), &refused));
    ck_assert(refused.n == 0 && t.n == 0);
}
END_TEST

/* A list that is very long is no shorter than it must be, and right. */
START_TEST(very_many)
{
    static char names[60000], out[60000];
    struct text all = text_in(names, sizeof(names)), t = text_in(out, sizeof(out));
    struct span refused, rest;
    for (unsigned i = 0; i < 3000; i++) {
        text_str(&all, i > 0 ? ",t/" : "t/");
        text_u64(&all, i % 2500);
    }
    ck_assert(auth_narrow(&t, SPAN("x,t/*"), text_span(&all), &refused));
    rest = text_span(&t);
    for (unsigned i = 0; i < 2500; i++) {
        struct span name = span_cut(&rest, ',');
        ck_assert(auth_covers(text_span(&all), name) && auth_covers(text_span(&t), name));
    }
    text_str(&all, ",x/1");
    ck_assert(!auth_narrow(&t, SPAN("x,t/*"), text_span(&all), &refused));
    ck_assert(span_eq(refused, SPAN("x/1")));
    all.n -= 4;
    text_str(&all, ",**");
    t.n = 0;
    ck_assert(auth_narrow(&t, SPAN("x,t/*"), text_span(&all), &refused));
    ck_assert(auth_covers(text_span(&t), SPAN("x")) && !auth_covers(text_span(&t), SPAN("y")));
    ck_assert(auth_covers(text_span(&t), SPAN("t/*")) &&
              !auth_covers(text_span(&t), SPAN("t/*/x")));
}
END_TEST

/* ---- at random ---- */

#define WORD 24

static char names[400][WORD];
static size_t name_count;

/* All names of up to five segments of a, b and c: no random pattern has a c. */
static void make_names(void)
{
    size_t from = 0, to;
    for (unsigned i = 0; i < 3; i++)
        snprintf(names[name_count++], WORD, "%c", 'a' + (char)i);
    for (unsigned depth = 1; depth < 5; depth++, from = to) {
        to = name_count;
        for (size_t w = from; w < to; w++)
            for (unsigned i = 0; i < 3; i++)
                snprintf(names[name_count++], WORD, "%.10s/%c", names[w], 'a' + (char)i);
    }
    ck_assert_uint_eq(name_count, 363);
}

static void random_pattern(uint64_t *state, struct text *t)
{
    static const char *const segment[] = {"a", "b", "a", "b", "*", "*"};
    unsigned n = 1 + (unsigned)(random_next(state) % 4);
    for (unsigned i = 0; i < n; i++) {
        bool rest = i == n - 1 && random_next(state) % 4 == 0;
        text_str(t, i > 0 ? "/" : "");
        text_str(t, rest ? "**" : segment[random_next(state) % COUNT(segment)]);
    }
}

static struct span random_list(uint64_t *state, char *out, size_t cap, unsigned most)
{
    struct text t = text_in(out, cap);
    unsigned n = 1 + (unsigned)(random_next(state) % most);
    for (unsigned i = 0; i < n; i++) {
        text_str(&t, i > 0 ? "," : "");
        random_pattern(state, &t);
    }
    ck_assert(!t.full);
    return text_span(&t);
}

static bool any_matches(struct span list, const char *name)
{
    while (list.n > 0)
        if (topic_match(span_cut(&list, ','), span_of(name)))
            return true;
    return false;
}

/* Returns true if pattern a matches every name that b does. */
static bool holds(struct span a, struct span b)
{
    for (size_t i = 0; i < name_count; i++)
        if (topic_match(b, span_of(names[i])) && !topic_match(a, span_of(names[i])))
            return false;
    return true;
}

/* Returns true if the pattern and the scope match no name in common. */
static bool is_refused(struct span scope, struct span pattern)
{
    for (size_t i = 0; i < name_count; i++)
        if (topic_match(pattern, span_of(names[i])) && any_matches(scope, names[i]))
            return false;
    return true;
}

static void check_result(struct span scope, struct span list, struct span result)
{
    for (size_t i = 0; i < name_count; i++)
        ck_assert_msg(any_matches(result, names[i]) ==
                          (any_matches(list, names[i]) && any_matches(scope, names[i])),
                      "%s", names[i]);
    struct span a = result;
    for (unsigned i = 0; a.n > 0; i++) {
        struct span x = span_cut(&a, ','), b = result;
        ck_assert_ptr_null(topic_pattern_wrong(x));
        for (unsigned j = 0; b.n > 0; j++) {
            struct span y = span_cut(&b, ',');
            ck_assert_msg(i == j || !holds(x, y), "%.*s and %.*s", (int)x.n, x.p, (int)y.n, y.p);
        }
    }
}

START_TEST(as_all_names_say)
{
    char scope_text[256], list_text[256], out[2048];
    uint64_t from = seed() + (uint64_t)_i, state = from;
    unsigned good = 0, bad = 0;
    make_names();
    for (unsigned round = 0; round < 500; round++) {
        struct span scope = random_list(&state, scope_text, sizeof(scope_text), 5), refused;
        struct span list = random_list(&state, list_text, sizeof(list_text), 4), rest = list;
        struct text t = text_in(out, sizeof(out));
        bool allowed = auth_narrow(&t, scope, list, &refused);
        while (rest.n > 0) {
            struct span part = span_cut(&rest, ','), parts = scope;
            bool covered = false;
            while (parts.n > 0)
                covered = holds(span_cut(&parts, ','), part) || covered;
            ck_assert_msg(auth_covers(scope, part) == covered, "%.*s and %.*s, " SEED_FMT,
                          (int)scope.n, scope.p, (int)part.n, part.p, from);
            if (!is_refused(scope, part))
                continue;
            ck_assert_msg(!allowed && span_eq(refused, part), "%.*s and %.*s, " SEED_FMT,
                          (int)scope.n, scope.p, (int)list.n, list.p, from);
            break;
        }
        ck_assert(allowed || rest.p != NULL || is_refused(scope, refused));
        if (allowed)
            check_result(scope, list, text_span(&t));
        good += allowed;
        bad += !allowed;
    }
    ck_assert(good > 50 && bad > 50);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("scope");
    TCase *c = tcase_create("scope");
    tcase_add_loop_test(c, covering, 0, COUNT(covers));
    tcase_add_loop_test(c, narrowing, 0, COUNT(narrows));
    tcase_add_test(c, no_room);
    tcase_add_test(c, very_many);
    tcase_add_test(c, many_steps);
    tcase_add_loop_test(c, as_all_names_say, 0, 4);
    tcase_set_timeout(c, 60);
    suite_add_tcase(s, c);
    return run(s);
}
