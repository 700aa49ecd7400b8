/*
 * name.c - names and patterns: what is right, what matches, what overlaps, what holds what.
 */
#include "lib/name.h"

#include "test/kit/kit.h"

/* ---- right and wrong ---- */

/* The two members of a span: a compound literal is no constant for a table. */
#define TEXT(lit) lit, sizeof(lit) - 1

static const struct {
    int line;
    const char *p;
    size_t n;
    const char *name, *pattern; /* in what is said of it; NULL: nothing is wrong */
} words[] = {
    {__LINE__, TEXT("a"), NULL, NULL},
    {__LINE__, TEXT("news"), NULL, NULL},
    {__LINE__, TEXT("a/b/c"), NULL, NULL},
    {__LINE__, TEXT("a-b/-c/-"), NULL, NULL},
    {__LINE__, TEXT(" "), NULL, NULL},
    {__LINE__, TEXT("."), NULL, NULL},
    {__LINE__, TEXT("../%2f?x#y"), NULL, NULL},
    {__LINE__, TEXT("caf\xC3\xA9/\xE2\x82\xAC/\xF0\x9F\x98\x80"), NULL, NULL},
    {__LINE__, TEXT("\xF4\x8F\xBF\xBF"), NULL, NULL},
    {__LINE__, TEXT(""), "empty", "empty"},
    {__LINE__, TEXT("/"), "empty segment", "empty segment"},
    {__LINE__, TEXT("/a"), "empty segment", "empty segment"},
    {__LINE__, TEXT("a/"), "empty segment", "empty segment"},
    {__LINE__, TEXT("a//b"), "empty segment", "empty segment"},
    {__LINE__, TEXT("*//**"), "empty segment", "empty segment"},
    {__LINE__, TEXT("-"), "begins", "begins"},
    {__LINE__, TEXT("-/healthy"), "begins", "begins"},
    {__LINE__, TEXT("-a/*"), "begins", "begins"},
    {__LINE__, TEXT("a,b"), "comma", "comma"},
    {__LINE__, TEXT(","), "comma", "comma"},
    {__LINE__, TEXT("a\0b"), "control", "control"},
    {__LINE__, TEXT("\0"), "control", "control"},
    {__LINE__, TEXT("\x01"), "control", "control"},
    {__LINE__, TEXT("a\x1F"), "control", "control"},
    {__LINE__, TEXT("a\n"), "control", "control"},
    {__LINE__, TEXT("\x7F"), "control", "control"},
    {__LINE__, TEXT("a\x80"), "UTF-8", "UTF-8"},
    {__LINE__, TEXT("\xC3"), "UTF-8", "UTF-8"},
    {__LINE__, TEXT("\xC3/\xA9"), "UTF-8", "UTF-8"},
    {__LINE__, TEXT("\xC0\xAF"), "UTF-8", "UTF-8"},
    {__LINE__, TEXT("\xED\xA0\x80"), "UTF-8", "UTF-8"},
    {__LINE__, TEXT("\xFF"), "UTF-8", "UTF-8"},
    {__LINE__, TEXT("*"), "\"*\"", NULL},
    {__LINE__, TEXT("**"), "\"*\"", NULL},
    {__LINE__, TEXT("*/*"), "\"*\"", NULL},
    {__LINE__, TEXT("*/**"), "\"*\"", NULL},
    {__LINE__, TEXT("a/*"), "\"*\"", NULL},
    {__LINE__, TEXT("a/*/b"), "\"*\"", NULL},
    {__LINE__, TEXT("a/**"), "\"*\"", NULL},
    {__LINE__, TEXT("**/a"), "\"*\"", "before"},
    {__LINE__, TEXT("a/**/b"), "\"*\"", "before"},
    {__LINE__, TEXT("**/**"), "\"*\"", "before"},
    {__LINE__, TEXT("**/*"), "\"*\"", "before"},
    {__LINE__, TEXT("a*"), "\"*\"", "whole segment"},
    {__LINE__, TEXT("*a"), "\"*\"", "whole segment"},
    {__LINE__, TEXT("a*b"), "\"*\"", "whole segment"},
    {__LINE__, TEXT("x/a*b/y"), "\"*\"", "whole segment"},
    {__LINE__, TEXT("***"), "\"*\"", "whole segment"},
    {__LINE__, TEXT("a/***"), "\"*\"", "whole segment"},
};

static void say_as(int line, const char *why, const char *want)
{
    if (want == NULL)
        ck_assert_msg(why == NULL, "line %d: %s", line, why);
    else
        ck_assert_msg(why != NULL && strstr(why, want) != NULL, "line %d: %s", line,
                      why != NULL ? why : "nothing wrong");
}

START_TEST(right_and_wrong)
{
    char *p = on_heap((struct span){words[_i].p, words[_i].n});
    struct span s = {p, words[_i].n};
    say_as(words[_i].line, topic_name_wrong(s), words[_i].name);
    say_as(words[_i].line, topic_pattern_wrong(s), words[_i].pattern);
    bool star = false;
    for (size_t i = 0; i < s.n; i++)
        star |= s.p[i] == '*';
    ck_assert_int_eq(topic_is_pattern(s), star);
    free(p);
}
END_TEST

START_TEST(every_byte)
{
    for (unsigned c = 0; c < 256; c++) {
        char text[3] = {'a', (char)c, 'b'};
        bool right = c >= 0x20 && c < 0x7F && c != ',' && c != '*';
        ck_assert_msg((topic_name_wrong((struct span){text, 3}) == NULL) == right, "byte %u", c);
        ck_assert_msg((topic_pattern_wrong((struct span){text, 3}) == NULL) == right, "byte %u", c);
    }
}
END_TEST

START_TEST(lengths)
{
    char text[257];
    memset(text, 'a', sizeof(text));
    for (size_t n = 0; n <= sizeof(text); n++) {
        bool right = n >= 1 && n <= 255;
        char *p = on_heap((struct span){text, n});
        ck_assert_msg((topic_name_wrong((struct span){p, n}) == NULL) == right, "%zu", n);
        ck_assert_msg((topic_pattern_wrong((struct span){p, n}) == NULL) == right, "%zu", n);
        free(p);
    }
    ck_assert_str_eq(topic_name_wrong((struct span){text, 256}), "is longer than 255 bytes");
    ck_assert_str_eq(topic_name_wrong((struct span){NULL, 0}), "is empty");
    text[253] = '/';
    text[254] = '*';
    ck_assert_ptr_null(topic_pattern_wrong((struct span){text, 255}));
    text[252] = '/';
    text[253] = '*';
    ck_assert_ptr_null(topic_pattern_wrong((struct span){text, 255}));
}
END_TEST

/* ---- what matches ---- */

static const struct {
    int line;
    const char *pattern, *name;
    bool match;
} matches[] = {
    {__LINE__, "a", "a", true},
    {__LINE__, "a", "b", false},
    {__LINE__, "a", "aa", false},
    {__LINE__, "aa", "a", false},
    {__LINE__, "a", "a/a", false},
    {__LINE__, "a/a", "a", false},
    {__LINE__, "a/b", "a/b", true},
    {__LINE__, "a/b", "a/c", false},
    {__LINE__, "a/b", "A/b", false},
    {__LINE__, "*", "a", true},
    {__LINE__, "*", "\xC3\xA9", true},
    {__LINE__, "*", "a/b", false},
    {__LINE__, "*/*", "a", false},
    {__LINE__, "*/*", "a/b", true},
    {__LINE__, "*/*", "a/b/c", false},
    {__LINE__, "orders/*", "orders/7", true},
    {__LINE__, "orders/*", "orders", false},
    {__LINE__, "orders/*", "orders/7/x", false},
    {__LINE__, "orders/*", "order/7", false},
    {__LINE__, "orders/*", "orders7/7", false},
    {__LINE__, "orders/*/x", "orders/7/x", true},
    {__LINE__, "orders/*/x", "orders/7/y", false},
    {__LINE__, "orders/*/x", "orders/x", false},
    {__LINE__, "orders/*/x", "orders/7/x/x", false},
    {__LINE__, "orders/**", "orders/7", true},
    {__LINE__, "orders/**", "orders/7/x", true},
    {__LINE__, "orders/**", "orders/7/x/y/z", true},
    {__LINE__, "orders/**", "orders", false},
    {__LINE__, "orders/**", "orders7", false},
    {__LINE__, "orders/**", "other/7", false},
    {__LINE__, "*/**", "a", false},
    {__LINE__, "*/**", "a/b", true},
    {__LINE__, "*/**", "a/b/c", true},
    {__LINE__, "**", "a", true},
    {__LINE__, "**", "a/b/c/d", true},
    {__LINE__, "*/b", "b", false},
    {__LINE__, "*/b", "a/b", true},
    {__LINE__, "*/b", "b/b", true},
    {__LINE__, "*/b", "b/a", false},
    /* the server's own */
    {__LINE__, "*", "-a", false},
    {__LINE__, "**", "-a", false},
    {__LINE__, "**", "-a/b", false},
    {__LINE__, "*/b", "-a/b", false},
    {__LINE__, "a", "-a", false},
    {__LINE__, "-a", "-a", true},
    {__LINE__, "*/*", "a/-b", true},
    {__LINE__, "**", "a/-b", true},
};

START_TEST(match)
{
    char *p = on_heap(span_of(matches[_i].pattern)), *n = on_heap(span_of(matches[_i].name));
    struct span pattern = {p, strlen(matches[_i].pattern)}, name = {n, strlen(matches[_i].name)};
    ck_assert(*p == '-' || topic_pattern_wrong(pattern) == NULL);
    ck_assert(*n == '-' || topic_name_wrong(name) == NULL);
    ck_assert_msg(topic_match(pattern, name) == matches[_i].match, "line %d", matches[_i].line);
    free(p);
    free(n);
}
END_TEST

/* ---- what overlaps ---- */

#define WORD 24

/* All lists of 1 to `depth` of the segments, joined; returns how many. The last `only` of the
 * segments stand at the end only. */
static size_t words_of(char (*out)[WORD], const char *const *segment, size_t segments, size_t only,
                       unsigned depth)
{
    size_t n = 0, from = 0, to = 0;
    for (size_t i = 0; i < segments; i++)
        snprintf(out[n++], WORD, "%s", segment[i]);
    for (unsigned d = 1; d < depth; d++) {
        to = n;
        for (size_t w = from; w < to; w++)
            for (size_t i = 0; i < segments; i++)
                if (only == 0 || strstr(out[w], "**") == NULL)
                    snprintf(out[n++], WORD, "%.10s/%s", out[w], segment[i]);
        from = to;
    }
    return n;
}

/* The place among these of the pattern that stands for both; `n`: there is none. */
static size_t meeting(struct span a, struct span b, char (*patterns)[WORD], size_t n)
{
    char *out = malloc(TOPIC_NAME_MAX);
    struct span both = {out, topic_meet(out, a, b)};
    size_t at = 0;
    while (at < n && !span_eq(both, span_of(patterns[at])))
        at++;
    ck_assert_msg(at < n || both.n == 0, "%s and %s give %.*s", a.p, b.p, (int)both.n, both.p);
    free(out);
    return at;
}

START_TEST(as_all_names_say)
{
    static const char *const plain[] = {"a", "b", "c"}, *const wild[] = {"a", "b", "*", "**"};
    static char names[400][WORD], patterns[200][WORD];
    static bool hit[201][400]; /* the last: nothing */
    size_t n = words_of(names, plain, COUNT(plain), 0, 5);
    size_t p = words_of(patterns, wild, COUNT(wild), 1, 4);
    ck_assert_uint_eq(n, 3 + 9 + 27 + 81 + 243);
    ck_assert_uint_eq(p, 4 + 12 + 36 + 108);
    for (size_t i = 0; i < p; i++) {
        ck_assert_ptr_null(topic_pattern_wrong(span_of(patterns[i])));
        for (size_t j = 0; j < n; j++)
            hit[i][j] = topic_match(span_of(patterns[i]), span_of(names[j]));
    }
    for (size_t i = 0; i < p; i++)
        for (size_t k = 0; k < p; k++) {
            size_t meet = meeting(span_of(patterns[i]), span_of(patterns[k]), patterns, p);
            bool both = false, holds = true, meets = true;
            for (size_t j = 0; j < n; j++) {
                both |= hit[i][j] && hit[k][j];
                holds &= hit[i][j] || !hit[k][j];
                meets &= hit[meet][j] == (hit[i][j] && hit[k][j]);
            }
            ck_assert_msg(topic_overlap(span_of(patterns[i]), span_of(patterns[k])) == both,
                          "%s and %s", patterns[i], patterns[k]);
            ck_assert_msg(topic_holds(span_of(patterns[i]), span_of(patterns[k])) == holds,
                          "%s and %s", patterns[i], patterns[k]);
            ck_assert_msg(meets, "%s and %s", patterns[i], patterns[k]);
        }
}
END_TEST

/* A name that both match may be too long for a name. */
START_TEST(overlap_is_of_names)
{
    for (unsigned stars = 1; stars <= 2; stars++)
        for (size_t n = 240; n <= 253; n++) {
            char a[256], b[16];
            memset(a, 'a', n);
            memcpy(a + n, "/**", 3);
            for (size_t tail = 1; tail <= 10; tail++) {
                size_t at = 0;
                b[at++] = '*';
                b[at++] = '/';
                memset(b + at, 'b', tail);
                at += tail;
                if (stars == 2) {
                    memcpy(b + at, "/**", 3);
                    at += 3;
                }
                size_t shortest = n + 1 + tail + (stars == 2 ? 2 : 0);
                struct span x = {a, n + 3 <= 255 ? n + 3 : n}, y = {b, at};
                bool want = x.n > n && shortest <= 255;
                ck_assert_msg(topic_overlap(x, y) == want, "%zu %zu", n, tail);
                ck_assert_msg(topic_overlap(y, x) == want, "%zu %zu", n, tail);
            }
        }
    char a[255], b[255];
    memset(a, 'a', sizeof(a));
    memset(b, 'b', sizeof(b));
    memcpy(a, "*/", 2);
    memcpy(b + 253, "/*", 2);
    ck_assert(!topic_overlap((struct span){a, 255}, (struct span){b, 255}));
    ck_assert(!topic_overlap((struct span){a, 5}, (struct span){b, 255}));
    ck_assert(topic_overlap((struct span){a, 3}, (struct span){b, 255}));
    ck_assert(topic_overlap((struct span){a, 255}, (struct span){b + 252, 3}));
    ck_assert(!topic_overlap((struct span){a, 255}, (struct span){b + 251, 4}));
}
END_TEST

/* Where there is room for no more than one segment, "**" is "*". */
START_TEST(holds_what_there_is)
{
    char text[TOPIC_NAME_MAX + 1], one[TOPIC_NAME_MAX + 1], out[TOPIC_NAME_MAX];
    for (size_t n = 240; n <= 253; n++) {
        memset(text, 'a', sizeof(text));
        text[n - 1] = '/';
        memcpy(one, text, sizeof(text));
        memcpy(text + n, "**", 2);
        one[n] = '*';
        struct span many = {text, n + 2}, single = {one, n + 1};
        ck_assert_ptr_null(topic_pattern_wrong(many));
        ck_assert(topic_holds(many, single));
        ck_assert_msg(topic_holds(single, many) == (n == 253), "%zu", n);
        ck_assert(topic_holds(SPAN("**"), many));
        /* The first segment from one, and what follows from the other. */
        struct span head = {"*/**", 4};
        ck_assert_uint_eq(topic_meet(out, many, head), n == 253 ? n + 1 : n + 2);
        ck_assert(memcmp(out, n == 253 ? one : text, n + 1) == 0);
    }
    /* Two that are right, and what both match is as long as a name can be, or longer. */
    for (size_t tail = 1; tail <= 4; tail++) {
        memset(text, 'a', 250);
        memcpy(text + 250, "/**", 3);
        snprintf(one, sizeof(one), "*/%.*s/**", (int)tail, "bbbb");
        size_t n = topic_meet(out, (struct span){text, 253}, span_of(one));
        ck_assert_uint_eq(n, tail <= 2 ? 253 + tail : 0);
        ck_assert(n == 0 || memcmp(out + 251, tail == 1 ? "b/*" : "bb/*", tail + 2) == 0);
    }
    ck_assert(!topic_holds(SPAN("**"), SPAN("-a")) && !topic_holds(SPAN("-a"), SPAN("**")));
    ck_assert(topic_holds(SPAN("-a"), SPAN("-a")));
    ck_assert(!topic_holds(SPAN("**"), (struct span){NULL, 0}));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("name");
    TCase *t = tcase_create("name");
    tcase_add_loop_test(t, right_and_wrong, 0, COUNT(words));
    tcase_add_test(t, every_byte);
    tcase_add_test(t, lengths);
    tcase_add_loop_test(t, match, 0, COUNT(matches));
    tcase_add_test(t, as_all_names_say);
    tcase_add_test(t, overlap_is_of_names);
    tcase_add_test(t, holds_what_there_is);
    suite_add_tcase(s, t);
    return run(s);
}
