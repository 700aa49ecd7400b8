/*
 * p256.c - ES256 against Wycheproof's vectors; points that are none.
 */
#include "lib/auth/p256.h"

#include "test/kit/vectors.h"

START_TEST(wycheproof)
{
    struct vectors v;
    vectors_open(&v, "p256");
    while (vectors_next(&v)) {
        const struct vector *t = &v.now;
        struct span m = vectors_bytes(t->message), s = vectors_bytes(t->signature);
        ck_assert_uint_eq(t->key.n, P256_KEY);
        ck_assert_msg(p256_key_good((const uint8_t *)t->key.p), "key of %" PRIu64, t->id);
        ck_assert_msg(p256_verify((const uint8_t *)t->key.p, m, s) == t->good, "%" PRIu64, t->id);
    }
}
END_TEST

#define P \
    "\xff\xff\xff\xff\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
#define ZERO "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define ALL_ONE                                                                                    \
    "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" \
    "\xff\xff\xff\xff\xff\xff\xff\xff"

/* x and y: zero, infinity's; not below p; not on the
 * curve. */
static const struct {
    int line;
    struct span key;
} points[] = {
    {__LINE__, BYTES(ZERO "\0" ZERO "\0")},   {__LINE__, BYTES(P "\xff" P "\xff")},
    {__LINE__, BYTES(ZERO "\0" ZERO "\1")},   {__LINE__, BYTES(ZERO "\1" ZERO "\0")},
    {__LINE__, BYTES(ALL_ONE "\xff" P "\0")}, {__LINE__, BYTES(ZERO "\5" ALL_ONE "\xff")},
};

START_TEST(no_points)
{
    ck_assert_uint_eq(points[_i].key.n, P256_KEY);
    ck_assert_msg(!p256_key_good((const uint8_t *)points[_i].key.p), "line %d", points[_i].line);
    ck_assert(!p256_verify((const uint8_t *)points[_i].key.p, SPAN(""), points[_i].key));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("p256");
    TCase *c = tcase_create("p256");
    tcase_add_test(c, wycheproof);
    tcase_add_loop_test(c, no_points, 0, COUNT(points));
    suite_add_tcase(s, c);
    return run(s);
}
