/*
 * drain.c - drain.h: who goes when, and when it is over.
 */
#include "lib/serve/drain.h"

#include "test/kit/kit.h"

#define T0 UINT64_C(1000000)

/* Up to which place it has come so many ms after it began, and whether it is over with clients
 * left. */
static const struct {
    int line;
    uint32_t clients, top, most, ms, to;
    bool over; /* if all up to there have gone */
    bool late; /* if the last one's turn has not come */
} times[] = {
    {__LINE__, 100, 1000, 5000, 0, 0, false, false}, /* one each 10 ms */
    {__LINE__, 100, 1000, 5000, 1, 1, false, false},
    {__LINE__, 100, 1000, 5000, 500, 500, false, false},
    {__LINE__, 100, 1000, 5000, 999, 999, false, false},
    {__LINE__, 100, 1000, 5000, 1000, 1000, false, false},
    {__LINE__, 100000, 100010, 5000, 2500, 50005, false, false}, /* or faster */
    {__LINE__, 100000, 100010, 5000, 5000, 100010, false, false},
    {__LINE__, 100000, 100010, 5000, 5999, 100010, false, false},
    {__LINE__, 100000, 100010, 5000, 6000, 100010, true, false},
    {__LINE__, 100000, 100010, 5000, 6999, 100010, true, false},
    {__LINE__, 100000, 100010, 5000, 7000, 100010, true, true},
    {__LINE__, 1, UINT32_MAX, 86400000, 9, 3865470565, false, false},
    {__LINE__, 1000, 1000, 200, 399, 1000, false, false}, /* a short time has a short grace */
    {__LINE__, 1000, 1000, 200, 400, 1000, true, false},
    {__LINE__, 1000, 1000, 200, 2199, 1000, true, false},
    {__LINE__, 1000, 1000, 200, 2200, 1000, true, true},
    {__LINE__, 10, 20, 0, 0, 20, true, false}, /* --drain 0 */
    {__LINE__, 10, 20, 0, 1999, 20, true, false},
    {__LINE__, 10, 20, 0, 2000, 20, true, true},
};

START_TEST(knows_its_time)
{
    struct drain d;
    uint64_t now = T0 + times[_i].ms;
    drain_start(&d, T0, times[_i].clients, times[_i].top, times[_i].most);
    ck_assert_uint_eq(d.next, 1);
    ck_assert_msg(drain_to(&d, now) == times[_i].to, "line %d: %u", times[_i].line,
                  drain_to(&d, now));
    d.next = times[_i].top;
    ck_assert_msg(drain_over(&d, now, 1) == times[_i].late, "line %d", times[_i].line);
    d.next = times[_i].to + 1;
    ck_assert_msg(drain_over(&d, now, 1) == times[_i].over, "line %d", times[_i].line);
    ck_assert(drain_over(&d, now, 0));
}
END_TEST

START_TEST(each_has_some_turns)
{
    struct drain d;
    drain_start(&d, T0, 3, 3, 5000);
    for (unsigned i = 0; i < DRAIN_TRIES; i++) {
        ck_assert(d.next == 1 && drain_waits(&d));
        drain_went(&d, false);
    }
    ck_assert(d.next == 1 && !drain_waits(&d));
    drain_went(&d, true);
    ck_assert(d.next == 2 && drain_waits(&d)); /* and the next one has all of them again */
    drain_went(&d, true);
    ck_assert_uint_eq(d.next, 3);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("drain: unit");
    TCase *tc = tcase_create("drain: unit");
    tcase_add_loop_test(tc, knows_its_time, 0, COUNT(times));
    tcase_add_test(tc, each_has_some_turns);
    suite_add_tcase(s, tc);
    return run(s);
}
