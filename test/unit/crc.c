/*
 * crc.c - CRC-32C against the vectors of RFC 3720 section B.4, and against the definition.
 */
#include "lib/crc.h"

#include <check.h>
#include <stdlib.h>

static uint32_t by_bits(uint32_t crc, const unsigned char *p, size_t n)
{
    crc = ~crc;
    for (; n > 0; n--) {
        crc ^= *p++;
        for (int i = 0; i < 8; i++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

START_TEST(published)
{
    char bytes[48];
    ck_assert_uint_eq(crc32c(0, (struct span){NULL, 0}), 0);
    ck_assert_uint_eq(crc32c(0, SPAN("123456789")), 0xe3069283u);
    memset(bytes, 0, 32);
    ck_assert_uint_eq(crc32c(0, (struct span){bytes, 32}), 0x8a9136aau);
    memset(bytes, 0xff, 32);
    ck_assert_uint_eq(crc32c(0, (struct span){bytes, 32}), 0x62a8ab43u);
    for (int i = 0; i < 32; i++)
        bytes[i] = (char)i;
    ck_assert_uint_eq(crc32c(0, (struct span){bytes, 32}), 0x46dd794eu);
    for (int i = 0; i < 32; i++)
        bytes[i] = (char)(31 - i);
    ck_assert_uint_eq(crc32c(0, (struct span){bytes, 32}), 0x113fdb5cu);
}
END_TEST

/* Of any length, from any place, in one piece and in two. */
START_TEST(as_defined)
{
    unsigned char bytes[600];
    srand(7);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)rand();
    for (size_t n = 0; n < 300; n++) {
        const unsigned char *p = bytes + n % 17;
        uint32_t seed = (uint32_t)rand(), sum = by_bits(seed, p, n);
        size_t cut = n > 0 ? (size_t)rand() % n : 0;
        ck_assert_uint_eq(crc32c(seed, (struct span){(const char *)p, n}), sum);
        uint32_t front = crc32c(seed, (struct span){(const char *)p, cut});
        ck_assert_uint_eq(crc32c(front, (struct span){(const char *)p + cut, n - cut}), sum);
    }
}
END_TEST

/* Each bit that is turned is found, and each two that are near. */
START_TEST(damage)
{
    char bytes[100];
    memset(bytes, 'x', sizeof bytes);
    struct span all = {bytes, sizeof bytes};
    uint32_t sum = crc32c(99, all);
    for (unsigned i = 0; i < 8 * sizeof bytes; i++)
        for (unsigned j = i; j < i + 24 && j < 8 * sizeof bytes; j++) {
            bytes[i / 8] ^= (char)(1 << i % 8);
            if (j != i)
                bytes[j / 8] ^= (char)(1 << j % 8);
            ck_assert_uint_ne(crc32c(99, all), sum);
            memset(bytes, 'x', sizeof bytes);
        }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("crc");
    TCase *tc = tcase_create("crc32c");
    tcase_add_test(tc, published);
    tcase_add_test(tc, as_defined);
    tcase_add_test(tc, damage);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed > 0;
}
