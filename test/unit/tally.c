/*
 * tally.c - tally.h: counts by key against a plain list, and a table that is full.
 */
#include "lib/tally.h"

#include <stdlib.h>

#include "test/kit/kit.h"

#define KEYS 40u

static struct tally t;
static void *memory;

static void begin(uint32_t max)
{
    memory = calloc(1, tally_size(max));
    ck_assert_ptr_nonnull(memory);
    tally_init(&t, max, memory);
}

/* Keys that all hash to places near each other, or not. */
static uint64_t key_of(unsigned i, bool near)
{
    return near ? (uint64_t)(i + 1) << 40 : i + 1;
}

/* Random ones come and go, by place and by key; each count is what it should be at any time. */
START_TEST(as_a_list)
{
    uint32_t count[KEYS] = {0}, missed = 0;
    uint64_t random = 1 + (uint64_t)_i;
    begin(_i < 2 ? KEYS : 1);
    for (unsigned n = 0; n < 20000; n++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        unsigned i = (unsigned)(random >> 33) % KEYS;
        uint64_t key = key_of(i, _i % 2 == 1);
        if ((random >> 60) % 2 == 0) {
            uint32_t place = tally_add(&t, key);
            count[i] += place != 0;
            missed += place == 0;
            ck_assert(place != 0 || count[i] == 0); /* one that is there has a place */
            if (place != 0 && random >> 63 != 0) {
                tally_drop(&t, place);
                count[i]--;
            }
        } else {
            ck_assert_int_eq(tally_drop_key(&t, key), count[i] > 0);
            count[i] -= count[i] > 0;
        }
        for (unsigned k = 0; k < KEYS; k++)
            ck_assert_uint_eq(tally_count(&t, key_of(k, _i % 2 == 1)), count[k]);
    }
    ck_assert_int_eq(missed > 0, _i % 2 == 1); /* of those near each other not all have a place */
    free(memory);
}
END_TEST

/* No table is larger than it says, and each takes as many keys as it is for, where these spread. */
START_TEST(sizes)
{
    static const uint32_t max[] = {1, 31, 32, 33, 1000, 65536, 1u << 20};
    ck_assert_uint_le(tally_size(max[_i]), 1024 + 256 + (size_t)TALLY_BYTES * max[_i]);
    begin(max[_i]);
    for (uint32_t k = 1; k <= max[_i]; k++)
        ck_assert_uint_ne(tally_add(&t, k), 0);
    for (uint32_t k = 1; k <= max[_i]; k++)
        ck_assert_uint_eq(tally_count(&t, k), 1);
    free(memory);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tally");
    TCase *tc = tcase_create("tally");
    tcase_add_loop_test(tc, as_a_list, 0, 4);
    tcase_add_loop_test(tc, sizes, 0, 7);
    suite_add_tcase(suite, tc);
    return run(suite);
}
