/*
 * text.c - text.h: what fits, what doesn't, and dates against those of libc.
 */
#include "lib/text.h"

#include <signal.h>

#include "test/kit/kit.h"

#define YEAR_10000_MS 253402300800000ull

static void is(const struct text *t, const char *want, int line)
{
    ck_assert_msg(span_eq(text_span(t), span_of(want)), "line %d: \"%.*s\" is not \"%s\"", line,
                  (int)t->n, t->p, want);
}

static TEXT_LIST void lists(struct text *t, ...)
{
    va_list ap;
    va_start(ap, t);
    text_list(t, ap);
    va_end(ap);
}

/* ---- bytes and numbers ---- */

START_TEST(writes_hexadecimal)
{
    char buf[64];
    struct text t = text_in(buf, sizeof(buf));
    for (unsigned v = 0; v < 32; v++)
        ck_assert_int_eq(text_digit(v), "0123456789abcdef"[v % 16]);
    text_hex(&t, 0xdeadbeef01ull, 2);
    text_hex(&t, 0x1fe, 4);
    text_hex(&t, UINT64_MAX, 16);
    is(&t, "0101feffffffffffffffff", __LINE__);
}
END_TEST

START_TEST(adds_lists)
{
    char buf[8];
    struct text t = text_in(buf, sizeof(buf));
    lists(&t, NULL);
    is(&t, "", __LINE__);
    lists(&t, "ab", "", "cd", NULL);
    is(&t, "abcd", __LINE__);
    lists(&t, "too long", "e", NULL); /* what does not fit is left out whole */
    is(&t, "abcde", __LINE__);
    ck_assert(t.full);
}
END_TEST

START_TEST(no_digits)
{
    char buf[8];
    struct text t = text_in(buf, sizeof(buf));
    text_hex(&t, 1, 0);
}
END_TEST

START_TEST(adds)
{
    char buf[64];
    struct text t = text_in(buf, sizeof(buf));
    text_add(&t, SPAN("ab"));
    text_add(&t, (struct span){NULL, 0});
    text_str(&t, "cd");
    text_str(&t, "");
    text_str(&t, NULL);
    text_u64(&t, 7);
    is(&t, "abcd7", __LINE__);
    ck_assert(!t.full);
}
END_TEST

static const struct {
    int line;
    unsigned digits;
    uint64_t v;
    const char *want;
} pads[] = {
    {__LINE__, 0, 0, "0"},
    {__LINE__, 1, 0, "0"},
    {__LINE__, 3, 0, "000"},
    {__LINE__, 2, 7, "07"},
    {__LINE__, 2, 10, "10"},
    {__LINE__, 2, 123, "123"},
    {__LINE__, 20, 99, "00000000000000000099"},
    {__LINE__, 1, UINT64_MAX, "18446744073709551615"},
    {__LINE__, 20, UINT64_MAX, "18446744073709551615"},
    {__LINE__, 20, 10000000000000000000u, "10000000000000000000"},
};

START_TEST(pads_numbers)
{
    char buf[32];
    struct text t = text_in(buf, sizeof(buf));
    text_pad(&t, pads[_i].v, pads[_i].digits);
    is(&t, pads[_i].want, pads[_i].line);
}
END_TEST

START_TEST(writes_numbers)
{
    uint64_t start = seed(), state = start;
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t v = random_next(&state) >> (random_next(&state) % 64);
        char buf[32], want[32];
        struct text t = text_in(buf, sizeof(buf));
        text_u64(&t, v);
        snprintf(want, sizeof(want), "%" PRIu64, v);
        ck_assert_msg(span_eq(text_span(&t), span_of(want)), SEED_FMT, start);
    }
}
END_TEST

/* ---- what does not fit ---- */

static void put_add(struct text *t)
{
    text_add(t, SPAN("four"));
}
static void put_str(struct text *t)
{
    text_str(t, "strings");
}
static void put_u64(struct text *t)
{
    text_u64(t, 1234567);
}
static void put_pad(struct text *t)
{
    text_pad(t, 5, 4);
}
static void put_http_date(struct text *t)
{
    text_http_date(t, 784111777000);
}
static void put_rfc3339(struct text *t)
{
    text_rfc3339(t, 784111777000);
}

static const struct {
    void (*put)(struct text *t);
    const char *want;
} puts_all[] = {
    {put_add, "four"},
    {put_str, "strings"},
    {put_u64, "1234567"},
    {put_pad, "0005"},
    {put_http_date, "Sun, 06 Nov 1994 08:49:37 GMT"},
    {put_rfc3339, "1994-11-06T08:49:37.000Z"},
};

START_TEST(all_or_nothing)
{
    size_t whole = strlen(puts_all[_i].want);
    for (size_t cap = 0; cap <= whole + 2; cap++) {
        char buf[64];
        memset(buf, '#', sizeof(buf));
        buf[0] = '>';
        struct text t = text_in(buf, cap + 1);
        t.n = 1;
        puts_all[_i].put(&t);
        ck_assert_int_eq(t.full, cap < whole);
        ck_assert_uint_eq(t.n, cap < whole ? 1 : 1 + whole);
        ck_assert(buf[0] == '>' && buf[t.n] == '#');
        ck_assert(memcmp(buf + 1, puts_all[_i].want, t.n - 1) == 0);
    }
}
END_TEST

START_TEST(full_stays)
{
    char buf[4];
    struct text t = text_in(buf, sizeof(buf));
    text_str(&t, "abc");
    text_str(&t, "de");
    ck_assert(t.full);
    is(&t, "abc", __LINE__);
    text_str(&t, "f");
    text_str(&t, "");
    is(&t, "abcf", __LINE__);
    ck_assert(t.full);

    struct text none = text_in(NULL, 0);
    text_str(&none, "");
    ck_assert(!none.full);
    text_u64(&none, 0);
    ck_assert(none.full && none.n == 0);
}
END_TEST

/* ---- dates ---- */

static const struct {
    int line;
    uint64_t ms;
    const char *http, *rfc3339;
} dates[] = {
    {__LINE__, 784111777000, "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37.000Z"},
    {__LINE__, 0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00.000Z"},
    {__LINE__, 86399999, "Thu, 01 Jan 1970 23:59:59 GMT", "1970-01-01T23:59:59.999Z"},
    {__LINE__, 951782400001, "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00.001Z"},
    {__LINE__, 951868800000, "Wed, 01 Mar 2000 00:00:00 GMT", "2000-03-01T00:00:00.000Z"},
    {__LINE__, 4107542399999, "Sun, 28 Feb 2100 23:59:59 GMT", "2100-02-28T23:59:59.999Z"},
    {__LINE__, 4107542400000, "Mon, 01 Mar 2100 00:00:00 GMT", "2100-03-01T00:00:00.000Z"},
    {__LINE__, 1709208000042, "Thu, 29 Feb 2024 12:00:00 GMT", "2024-02-29T12:00:00.042Z"},
    {__LINE__, YEAR_10000_MS - 1, "Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59.999Z"},
};

START_TEST(writes_dates)
{
    char buf[64];
    struct text t = text_in(buf, sizeof(buf));
    text_http_date(&t, dates[_i].ms);
    is(&t, dates[_i].http, dates[_i].line);
    t = text_in(buf, sizeof(buf));
    text_rfc3339(&t, dates[_i].ms);
    is(&t, dates[_i].rfc3339, dates[_i].line);
}
END_TEST

static void same_as_libc(uint64_t ms)
{
    char buf[64], want[64];
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&s, &tm);
    struct text t = text_in(buf, sizeof(buf));
    text_http_date(&t, ms);
    strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    ck_assert_msg(span_eq(text_span(&t), span_of(want)), "at %" PRIu64 ": not %s", ms, want);
    t = text_in(buf, sizeof(buf));
    text_rfc3339(&t, ms);
    size_t n = strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(want + n, sizeof(want) - n, ".%03uZ", (unsigned)(ms % 1000));
    ck_assert_msg(span_eq(text_span(&t), span_of(want)), "at %" PRIu64 ": not %s", ms, want);
}

START_TEST(every_day_of_400_years)
{
    for (uint64_t day = 0; day < 146097 + 366; day++)
        same_as_libc(day * 86400000 + day * 7919 % 86400000);
}
END_TEST

START_TEST(any_time)
{
    uint64_t start = seed(), state = start;
    for (unsigned i = 0; i < 50000; i++)
        same_as_libc(random_next(&state) % YEAR_10000_MS);
}
END_TEST

START_TEST(no_year_10000)
{
    char buf[64];
    struct text t = text_in(buf, sizeof(buf));
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr)); /* the assertion's message */
    text_rfc3339(&t, YEAR_10000_MS);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("text");
    TCase *tc = tcase_create("text");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, adds);
    tcase_add_test(tc, writes_hexadecimal);
    tcase_add_test(tc, adds_lists);
    tcase_add_test_raise_signal(tc, no_digits, SIGABRT);
    tcase_add_loop_test(tc, pads_numbers, 0, (int)COUNT(pads));
    tcase_add_test(tc, writes_numbers);
    tcase_add_loop_test(tc, all_or_nothing, 0, (int)COUNT(puts_all));
    tcase_add_test(tc, full_stays);
    tcase_add_loop_test(tc, writes_dates, 0, (int)COUNT(dates));
    tcase_add_test(tc, every_day_of_400_years);
    tcase_add_test(tc, any_time);
    tcase_add_test_raise_signal(tc, no_year_10000, SIGABRT);
    suite_add_tcase(s, tc);
    return run(s);
}
