/*
 * check_stat.c - stat.h: the text format of Prometheus, in whole metrics or not at all.
 */
#include "lib/stat.h"

#include "test/kit.h"

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
    return s;
}

START_TEST(writes_counters)
{
    static char buf[16384];
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
    ck_assert_uint_eq(rest.n, 0);
    ck_assert_uint_eq(sizeof(s), COUNT(names) * sizeof(uint64_t));
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

START_TEST(all_or_nothing)
{
    static char buf[16384];
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
    tcase_add_test(tc, all_or_nothing);
    suite_add_tcase(s, tc);
    return run(s);
}
