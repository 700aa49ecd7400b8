/*
 * fair.c - fair.h and pace.h: how much one may take, and how long that may take.
 */
#include "lib/fair.h"
#include "lib/pace.h"

#include "test/kit/kit.h"

/* ---- shares ---------------------------------------------------------------------------------- */

static const struct {
    int line;
    uint64_t total, reserve, used;
    uint32_t parts;
    uint64_t most;
} shares[] = {
    {__LINE__, 1000, 100, 0, 8, 500},   /* half of it is for whoever comes */
    {__LINE__, 1000, 100, 400, 8, 100}, /* the rest of that half */
    {__LINE__, 1000, 100, 450, 8, 56},  /* a part of what is free is more */
    {__LINE__, 1000, 100, 500, 8, 50},   {__LINE__, 1000, 100, 892, 8, 1},
    {__LINE__, 1000, 100, 900, 8, 0}, /* the reserve is nobody's */
    {__LINE__, 1000, 100, 1000, 8, 0},   {__LINE__, 1000, 100, 2000, 8, 0},
    {__LINE__, 1000, 2000, 100, 8, 400}, {__LINE__, 1000, 100, 900, 1, 100},
    {__LINE__, 1000, 100, 900, 0, 100},  {__LINE__, UINT64_MAX, 0, 0, 2, UINT64_MAX / 2},
};

START_TEST(shares_are_so)
{
    uint64_t most =
        fair_most(shares[_i].total, shares[_i].reserve, shares[_i].used, shares[_i].parts);
    ck_assert_msg(most == shares[_i].most, "line %d: %llu", shares[_i].line,
                  (unsigned long long)most);
}
END_TEST

/* However many take as much as they get, the reserve is left; and once each has given back what is
 * over its share, what is free is as the formula of fair.h has it. */
START_TEST(many_shares)
{
    enum { TOTAL = 1 << 20, RESERVE = TOTAL / 8, PARTS = 8, MOST = 400 };
    uint64_t has[MOST] = {0}, used = 0;
    for (unsigned n = 1; n <= MOST; n++) {
        has[n - 1] = fair_most(TOTAL, RESERVE, used, PARTS);
        used += has[n - 1];
        ck_assert_uint_le(used, TOTAL - RESERVE);
        for (unsigned round = 0; round < 50; round++)
            for (unsigned i = 0; i < n; i++) {
                uint64_t most = fair_most(TOTAL, RESERVE, used - has[i], PARTS);
                if (has[i] <= most)
                    continue;
                used -= has[i] - most;
                has[i] = most;
            }
    }
    for (unsigned i = 0; i < MOST; i++) /* nobody has much more than an equal part */
        ck_assert_uint_le(has[i], 4 * TOTAL / MOST);
    ck_assert_uint_gt(fair_most(TOTAL, RESERVE, used, PARTS), TOTAL / MOST / PARTS);
}
END_TEST

/* ---- pace ------------------------------------------------------------------------------------ */

enum { QUIET = 1000, RATE = 100 }; /* 10 ms for each byte */

START_TEST(pace_begins)
{
    struct pace p;
    pace_begin(&p, 5000, QUIET);
    ck_assert(!pace_late(&p, 6000) && pace_late(&p, 6001));
}
END_TEST

/* Bytes give time, but no more than twice the quiet time from when they came. */
START_TEST(pace_moves)
{
    struct pace p;
    pace_begin(&p, 5000, QUIET);
    pace_moved(&p, 5000, 3, RATE, QUIET);
    ck_assert(!pace_late(&p, 6030) && pace_late(&p, 6031));
    pace_moved(&p, 5900, 0, RATE, QUIET);
    ck_assert(!pace_late(&p, 6030) && pace_late(&p, 6031));
    pace_moved(&p, 5900, 1000000, RATE, QUIET);
    ck_assert(!pace_late(&p, 7900) && pace_late(&p, 7901));
    pace_moved(&p, 7900, 1, RATE, QUIET);
    ck_assert(!pace_late(&p, 7910) && pace_late(&p, 7911));
}
END_TEST

/* A rate of many bytes a second counts each of them. */
START_TEST(pace_is_exact)
{
    struct pace p;
    pace_begin(&p, 0, QUIET);
    for (unsigned ms = 0; ms < 20000; ms++) {
        pace_moved(&p, ms, 1000, 1000000, QUIET);
        ck_assert(!pace_late(&p, ms + 999));
    }
    pace_begin(&p, 0, QUIET);
    unsigned ms = 0;
    for (; !pace_late(&p, ms); ms++)
        pace_moved(&p, ms, 900, 1000000, QUIET);
    ck_assert(ms > 9990 && ms < 10020); /* a tenth of the time is missing */
}
END_TEST

START_TEST(pace_of_any_rate)
{
    struct pace p;
    pace_begin(&p, 0, QUIET);
    for (unsigned ms = 0; ms < 100000; ms += QUIET) {
        ck_assert(!pace_late(&p, ms));
        pace_moved(&p, ms, 1, 0, QUIET);
    }
    ck_assert(pace_late(&p, 100001));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fair");
    TCase *t = tcase_create("fair");
    tcase_add_loop_test(t, shares_are_so, 0, COUNT(shares));
    tcase_add_test(t, many_shares);
    tcase_add_test(t, pace_begins);
    tcase_add_test(t, pace_moves);
    tcase_add_test(t, pace_is_exact);
    tcase_add_test(t, pace_of_any_rate);
    suite_add_tcase(s, t);
    return run(s);
}
