/*
 * throttle.c - throttle.h: tries are spent, come back, and are nobody else's.
 */
#include "lib/auth/throttle.h"

#include "test/kit/kit.h"

static struct throttle table;

static void empty(void)
{
    table = (struct throttle){0};
}

START_TEST(all_tries_then_none)
{
    uint32_t most = (uint32_t[]){1, 2, 7, 60, 1000, 60000, 1000000}[_i];
    empty();
    for (uint32_t i = 0; i < most && i < THROTTLE_MS; i++)
        ck_assert_uint_eq(throttle_fail(&table, 5, 1000, most), 0);
    uint32_t wait = throttle_fail(&table, 5, 1000, most);
    if (most <= THROTTLE_MS)
        ck_assert_uint_ge(wait, 1);
    ck_assert_uint_le(wait, 60 / most + 1);
    ck_assert_uint_eq(throttle_fail(&table, 6, 1000, most), 0);
}
END_TEST

START_TEST(tries_come_back_evenly)
{
    empty();
    for (int i = 0; i < 60; i++)
        ck_assert_uint_eq(throttle_fail(&table, 9, 500, 60), 0);
    ck_assert_uint_eq(throttle_fail(&table, 9, 500, 60), 1);
    ck_assert_uint_eq(throttle_fail(&table, 9, 1499, 60), 1);
    ck_assert_uint_eq(throttle_fail(&table, 9, 1500, 60), 0); /* one a second */
    ck_assert_uint_eq(throttle_fail(&table, 9, 1500, 60), 1);
    for (int i = 0; i < 10; i++)
        ck_assert_uint_eq(throttle_fail(&table, 9, 11500, 60), 0);
    ck_assert_uint_eq(throttle_fail(&table, 9, 11500, 60), 1);
    for (int i = 0; i < 60; i++) /* never more than all of them */
        ck_assert_uint_eq(throttle_fail(&table, 9, 1000000, 60), 0);
    ck_assert_uint_eq(throttle_fail(&table, 9, 1000000, 60), 1);
}
END_TEST

START_TEST(says_when_to_come_again)
{
    empty();
    ck_assert_uint_eq(throttle_fail(&table, 1, 0, 2), 0);
    ck_assert_uint_eq(throttle_fail(&table, 1, 0, 2), 0);
    uint32_t wait = throttle_fail(&table, 1, 0, 2);
    ck_assert_uint_eq(wait, 30);
    for (int i = 0; i < 1000; i++) /* failures beyond cost nothing more */
        ck_assert_uint_eq(throttle_fail(&table, 1, 10000, 2), 20);
    ck_assert_uint_eq(throttle_fail(&table, 1, 29999, 2), 1);
    ck_assert_uint_eq(throttle_fail(&table, 1, 30000, 2), 0);
}
END_TEST

/* As many addresses as there are places may each spend theirs, by a model of each alone. */
START_TEST(addresses_are_apart)
{
    enum { KEYS = 40, STEPS = 20000 };
    uint64_t begun = seed(), state = begun, until[KEYS] = {0}, now = 1;
    uint32_t most = 10;
    empty();
    for (int step = 0; step < STEPS; step++) {
        uint64_t r = random_next(&state), k = r % KEYS;
        now += r >> 40 & 0x3ff;
        uint64_t from = until[k] > now ? until[k] : now;
        bool left = from + 6000 - now <= 60000;
        uint32_t wait = throttle_fail(&table, 0x7f000001u + (k << 24), now, most);
        ck_assert_msg((wait == 0) == left, SEED_FMT ", step %d", begun, step);
        if (left)
            until[k] = from + 6000;
    }
}
END_TEST

/* One with more addresses than there are places makes it forget those who had tries left, and one
 * who fails again and again is not forgotten while it does. */
START_TEST(many_addresses_take_the_oldest_place)
{
    empty();
    for (int i = 0; i < 10; i++)
        throttle_fail(&table, 77, 1000, 10);
    ck_assert_uint_gt(throttle_fail(&table, 77, 1000, 10), 0);
    for (uint64_t k = 1000; k < 9000; k++)
        ck_assert_uint_eq(throttle_fail(&table, k, 1000, 10), 0);
    ck_assert_uint_gt(throttle_fail(&table, 77, 1000, 10), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("throttle");
    TCase *tc = tcase_create("throttle");
    tcase_add_loop_test(tc, all_tries_then_none, 0, 7);
    tcase_add_test(tc, tries_come_back_evenly);
    tcase_add_test(tc, says_when_to_come_again);
    tcase_add_test(tc, addresses_are_apart);
    tcase_add_test(tc, many_addresses_take_the_oldest_place);
    suite_add_tcase(s, tc);
    return run(s);
}
