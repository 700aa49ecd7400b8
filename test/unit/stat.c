/*
 * stat.c - stat.h: the text format of Prometheus, in whole metrics or not at all; and what is
 * handed over comes back.
 */
#include "lib/stat.h"

#include "test/kit/kit.h"

#include <stdarg.h>

static const char accepted[] = "# HELP sse_connections_accepted_total Connections accepted.\n"
                               "# TYPE sse_connections_accepted_total counter\n"
                               "sse_connections_accepted_total 1\n"
                               "# HELP sse_requests_total Requests whose head was read.\n"
                               "# TYPE sse_requests_total counter\n"
                               "sse_requests_total 2\n";

static const char *const names[] = {
#define X(field, name, help) "sse_" name "_total",
    STAT_COUNTERS(X)
#undef X
};

static const char *const bare[] = {
#define X(field, name, help) name,
    STAT_COUNTERS(X)
#undef X
};

#define X(us, label) label,
static const char *const labels[] = {STAT_BOUNDS(X) "+Inf"};
#undef X

#define X(us, label) us,
static const uint64_t bounds[] = {STAT_BOUNDS(X) UINT64_MAX};
#undef X

static const struct {
    const char *name, *help;
} histograms[] = {
#define X(field, name, help) {name, help},
    STAT_HISTOGRAMS(X)
#undef X
};

static const char *const helps[] = {
#define X(field, name, help) help,
    STAT_COUNTERS(X)
#undef X
};

/* Counter i has the value i + 1 + `more`, modulo 2^64. */
static struct stat_counters counted(uint64_t more)
{
    struct stat_counters s = {0};
    uint64_t value = more;
#define X(field, name, help) s.field = ++value;
    STAT_COUNTERS(X)
#undef X
#define X(field, name, help)                  \
    for (size_t i = 0; i < STAT_BUCKETS; i++) \
        s.field.bucket[i] = ++value;          \
    s.field.sum_us = ++value;
    STAT_HISTOGRAMS(X)
#undef X
    return s;
}

/* The next line of *rest must be this. */
__attribute__((format(printf, 2, 3))) static void line_is(struct span *rest, const char *format,
                                                          ...)
{
    char want[256];
    va_list ap;
    va_start(ap, format);
    vsnprintf(want, sizeof(want), format, ap);
    va_end(ap);
    struct span line = span_cut(rest, '\n');
    ck_assert_msg(span_eq(line, span_of(want)), "%.*s, not %s", (int)line.n, line.p, want);
}

/* The lines of the histograms, whose numbers go on behind `value`. */
static void histograms_are(struct span *rest, uint64_t value)
{
    for (size_t k = 0; k < COUNT(histograms); k++) {
        const char *name = histograms[k].name;
        uint64_t sum = 0;
        line_is(rest, "# HELP sse_%s %s", name, histograms[k].help);
        line_is(rest, "# TYPE sse_%s histogram", name);
        for (size_t i = 0; i < COUNT(labels); i++)
            line_is(rest, "sse_%s_bucket{le=\"%s\"} %" PRIu64, name, labels[i], sum += ++value);
        value++;
        line_is(rest, "sse_%s_sum %" PRIu64 ".%06" PRIu64, name, value / 1000000, value % 1000000);
        line_is(rest, "sse_%s_count %" PRIu64, name, sum);
    }
}

START_TEST(writes_counters)
{
    static char buf[32768];
    uint64_t more = _i > 0 ? UINT64_MAX - COUNT(names) : 0;
    struct stat_counters s = counted(more);
    struct text t = text_in(buf, sizeof(buf));
    stat_write(&t, &s);
    ck_assert(!t.full);
    ck_assert(_i > 0 || span_begins(text_span(&t), span_of(accepted)));
    struct span rest = text_span(&t);
    for (size_t i = 0; i < COUNT(names); i++) {
        char want[256];
        snprintf(want, sizeof(want), "# HELP %s %s", names[i], helps[i]);
        ck_assert(span_eq(span_cut(&rest, '\n'), span_of(want)));
        snprintf(want, sizeof(want), "# TYPE %s counter", names[i]);
        ck_assert(span_eq(span_cut(&rest, '\n'), span_of(want)));
        snprintf(want, sizeof(want), "%s %" PRIu64, names[i], more + i + 1);
        ck_assert(span_eq(span_cut(&rest, '\n'), span_of(want)));
    }
    histograms_are(&rest, more + COUNT(names));
    ck_assert_uint_eq(rest.n, 0);
    ck_assert_uint_eq(sizeof(s), COUNT(names) * sizeof(uint64_t) +
                                     COUNT(histograms) * (COUNT(labels) + 1) * sizeof(uint64_t));
}
END_TEST

/* What the format asks of names and help: [a-z_]+, each name once, no backslash or line end. */
START_TEST(names_are_right)
{
    for (size_t i = 0; i < COUNT(names); i++) {
        ck_assert_uint_eq(strspn(names[i], "abcdefghijklmnopqrstuvwxyz_"), strlen(names[i]));
        ck_assert(strpbrk(helps[i], "\\\n") == NULL && helps[i][strlen(helps[i]) - 1] == '.');
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(names[i], names[j]);
    }
}
END_TEST

START_TEST(writes_gauges)
{
    static const char want[] = "# HELP sse_ring_bytes Size of the ring.\n"
                               "# TYPE sse_ring_bytes gauge\n"
                               "sse_ring_bytes 67108864\n";
    for (size_t cap = 0; cap <= sizeof(want) + 1; cap++) {
        char *buf = malloc(cap + 1);
        ck_assert_ptr_nonnull(buf);
        struct text t = text_in(buf, cap + 1);
        text_str(&t, ">");
        stat_gauge(&t, "sse_ring_bytes", "Size of the ring.", 67108864);
        bool fits = cap >= strlen(want);
        ck_assert_int_eq(t.full, !fits);
        ck_assert(span_eq(span_from(text_span(&t), 1), fits ? span_of(want) : SPAN("")));
        free(buf);
    }
}
END_TEST

static const struct {
    int line;
    uint64_t us;
    const char *shown;
} durations[] = {
    {__LINE__, 0, "0.000000"},
    {__LINE__, 1, "0.000001"},
    {__LINE__, 1500, "0.001500"},
    {__LINE__, 999999, "0.999999"},
    {__LINE__, 1000000, "1.000000"},
    {__LINE__, 61000020, "61.000020"},
    {__LINE__, UINT64_MAX, "18446744073709.551615"},
};

START_TEST(writes_durations)
{
    char buf[256], want[256];
    int n = snprintf(want, sizeof(want),
                     "# HELP sse_turn_seconds_max Longest.\n# TYPE sse_turn_seconds_max gauge\n"
                     "sse_turn_seconds_max %s\n",
                     durations[_i].shown);
    struct text t = text_in(buf, (size_t)n);
    stat_gauge_us(&t, "sse_turn_seconds_max", "Longest.", durations[_i].us);
    ck_assert_msg(span_eq(text_span(&t), span_of(want)), "line %d", durations[_i].line);
    t = text_in(buf, (size_t)n - 1);
    stat_gauge_us(&t, "sse_turn_seconds_max", "Longest.", durations[_i].us);
    ck_assert(t.full && t.n == 0);
}
END_TEST

/* A gauge by label is written whole or not at all. */
START_TEST(writes_gauges_by_label)
{
    static const char want[] = "# HELP sse_c Clients.\n# TYPE sse_c gauge\n"
                               "sse_c{way=\"a\"} 0\nsse_c{way=\"b\"} 18446744073709551615\n";
    const struct stat_row rows[] = {{"a", 0}, {"b", UINT64_MAX}};
    char buf[256];
    for (size_t cap = 0; cap <= sizeof(want); cap++) {
        struct text t = text_in(buf, cap);
        stat_gauge_by(&t, "sse_c", "Clients.", "way", rows, 2);
        bool fits = cap >= strlen(want);
        ck_assert_int_eq(t.full, !fits);
        ck_assert(span_eq(text_span(&t), fits ? span_of(want) : SPAN("")));
    }
}
END_TEST

/* Each time is in the first bucket whose bound is not below it. */
START_TEST(observes_times)
{
    uint64_t start = seed(), state = start;
    struct stat_histogram h = {{0}, 0}, want = {{0}, 0};
    for (int i = 0; i < 20000; i++) {
        uint64_t us = random_next(&state) >> random_next(&state) % 64;
        size_t k = 0;
        if (i < (int)(3 * COUNT(bounds))) /* just beside each bound */
            us = bounds[(size_t)i / 3] + (uint64_t)(i % 3) - 1;
        for (size_t b = COUNT(bounds); b-- > 0;)
            k = us <= bounds[b] ? b : k;
        want.bucket[k]++;
        want.sum_us += us;
        stat_observe(&h, us);
        if (memcmp(&h, &want, sizeof(h)) != 0)
            ck_abort_msg(SEED_FMT ": %" PRIu64, start, us);
    }
}
END_TEST

/* ---- handing over ---------------------------------------------------------------------------- */

START_TEST(saves_and_loads)
{
    static char buf[32768];
    uint64_t more = _i > 0 ? UINT64_MAX - COUNT(names) : 0;
    struct stat_counters s = counted(more), back = {0};
    struct text t = text_in(buf, sizeof(buf));
    stat_save(&s, &t);
    ck_assert(!t.full);
    ck_assert(stat_load(&back, text_span(&t)));
    ck_assert_mem_eq(&s, &back, sizeof(s));
    struct span rest = text_span(&t);
    for (size_t i = 0; i < COUNT(names); i++) {
        char want[256];
        snprintf(want, sizeof(want), "%s %" PRIu64, bare[i], more + i + 1);
        ck_assert(span_eq(span_cut(&rest, '\n'), span_of(want)));
    }
    uint64_t value = more + COUNT(names);
    for (size_t k = 0; k < COUNT(histograms); k++) {
        for (size_t i = 0; i < COUNT(labels); i++)
            line_is(&rest, "%s:%s %" PRIu64, histograms[k].name, labels[i], ++value);
        line_is(&rest, "%s:sum_us %" PRIu64, histograms[k].name, ++value);
    }
    ck_assert_uint_eq(rest.n, 0);
    size_t whole = t.n;
    t = text_in(buf, whole);
    stat_save(&s, &t);
    ck_assert(!t.full && t.n == whole);
    t = text_in(buf, whole - 1);
    stat_save(&s, &t);
    ck_assert(t.full && t.n == 0);
}
END_TEST

static const struct {
    int line;
    struct span saved;
    bool good;
    uint64_t accepted, turns; /* 10 and 20 before */
} loads[] = {
    {__LINE__, BYTES(""), true, 10, 20},
    {__LINE__, BYTES("turns 1\n"), true, 10, 21},
    {__LINE__, BYTES("turns 1"), true, 10, 21},
    {__LINE__, BYTES("connections_accepted 5\nturns 6\n"), true, 15, 26},
    {__LINE__, BYTES("turns 6\nconnections_accepted 5\n"), true, 15, 26},
    {__LINE__, BYTES("of_a_later_version 7\nturns 1\n"), true, 10, 21},
    {__LINE__, BYTES("turns_long 7\nturn 7\nTURNS 7\nsse_turns 7\n"), true, 10, 20},
    {__LINE__, BYTES("turns\nconnections_accepted 5\n"), false, 15, 20},
    {__LINE__, BYTES("turns x\nconnections_accepted 5\n"), false, 15, 20},
    {__LINE__, BYTES("turns  1\n"), false, 10, 20},
    {__LINE__, BYTES("turns 1 2\n"), false, 10, 20},
    {__LINE__, BYTES("turns -1\n"), false, 10, 20},
    {__LINE__, BYTES("turns 99999999999999999999\n"), false, 10, 20},
    {__LINE__, BYTES("\nturns 1\n"), false, 10, 21},
    {__LINE__, BYTES(" 1\n"), false, 10, 20},
    {__LINE__, BYTES("turns\0 1\n"), true, 10, 20},
    {__LINE__, BYTES("\xff\xfe"), false, 10, 20},
    {__LINE__, BYTES("turn_seconds:0.3 5\nturn_seconds: 5\nturn_seconds 5\nturns 1\n"), true, 10,
     21},
};

START_TEST(loads_what_it_knows)
{
    struct stat_counters s = {.accepted = 10, .turns = 20};
    char *saved = on_heap(loads[_i].saved);
    bool good = stat_load(&s, (struct span){saved, loads[_i].saved.n});
    free(saved);
    ck_assert_msg(good == loads[_i].good, "line %d", loads[_i].line);
    ck_assert_msg(s.accepted == loads[_i].accepted && s.turns == loads[_i].turns, "line %d",
                  loads[_i].line);
    struct stat_counters others = s;
    others.accepted = others.turns = 0;
    ck_assert_mem_eq(&others, &(struct stat_counters){0}, sizeof(others));
}
END_TEST

START_TEST(all_or_nothing)
{
    static char buf[32768];
    struct stat_counters s = counted(0);
    struct text t = text_in(buf, sizeof(buf));
    stat_write(&t, &s);
    size_t whole = t.n;
    t = text_in(buf, whole);
    stat_write(&t, &s);
    ck_assert(!t.full && t.n == whole);
    t = text_in(buf, whole - 1);
    stat_write(&t, &s);
    ck_assert(t.full && t.n == 0);
    stat_gauge(&t, "g", "G.", 1); /* goes in, and `full` stays */
    ck_assert(t.full && span_eq(text_span(&t), SPAN("# HELP g G.\n# TYPE g gauge\ng 1\n")));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("stat");
    TCase *tc = tcase_create("stat");
    tcase_add_loop_test(tc, writes_counters, 0, 2);
    tcase_add_test(tc, names_are_right);
    tcase_add_test(tc, writes_gauges);
    tcase_add_test(tc, writes_gauges_by_label);
    tcase_add_test(tc, observes_times);
    tcase_add_loop_test(tc, writes_durations, 0, (int)COUNT(durations));
    tcase_add_loop_test(tc, saves_and_loads, 0, 2);
    tcase_add_loop_test(tc, loads_what_it_knows, 0, (int)COUNT(loads));
    tcase_add_test(tc, all_or_nothing);
    suite_add_tcase(s, tc);
    return run(s);
}
