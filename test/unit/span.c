/*
 * span.c - unit tests of lib/span: numbers.
 */
#include "lib/span.h"
#include "test/kit/kit.h"

#include <stdlib.h>

/* One digit after the other, as plainly as can be. */
static bool plainly(struct span s, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint64_t d = (uint64_t)(unsigned char)s.p[i] - '0';
        if (s.p[i] < '0' || s.p[i] > '9' || v > UINT64_MAX / 10 || v * 10 > UINT64_MAX - d)
            return false;
        v = v * 10 + d;
    }
    if (s.n > 0)
        *out = v;
    return s.n > 0;
}

static void expect(const char *bytes, size_t n)
{
    uint64_t got = 7, wanted = 7;
    char *p = n > 0 ? malloc(n) : NULL; /* alone, so that a look behind it is seen */
    if (n > 0)
        memcpy(p, bytes, n);
    struct span s = {p, n};
    bool is = plainly(s, &wanted);
    ck_assert_msg(span_u64(s, &got) == is, "%.*s: %s", (int)n, bytes, is ? "none" : "a number");
    ck_assert_msg(got == wanted, "%.*s: %llu", (int)n, bytes, (unsigned long long)got);
    free(p);
}

/* Numbers of each length, with zeros in front, and around the largest there is. */
START_TEST(numbers)
{
    static const char *const texts[] = {
        "",
        "0",
        "00000000000000000000000000000000000000000",
        "12345678",
        "1234567890123456",
        "18446744073709551614",
        "18446744073709551615",
        "18446744073709551616",
        "18446744073709551620",
        "28446744073709551615",
        "99999999999999999999",
        "000018446744073709551615",
        "100000000000000000000",
        "0000000000000000000000000000018446744073709551615",
        "0000000000000000000000000000018446744073709551616",
    };
    char text[24];
    for (size_t i = 0; i < COUNT(texts); i++)
        expect(texts[i], strlen(texts[i]));
    srand(1);
    for (unsigned round = 0; round < 20000; round++) {
        size_t n = 1 + (size_t)rand() % 22;
        for (size_t i = 0; i < n; i++)
            text[i] = (char)('0' + rand() % 10);
        expect(text, n);
    }
}
END_TEST

/* Any other byte, anywhere. */
START_TEST(others)
{
    for (size_t n = 1; n <= 20; n++) {
        for (size_t at = 0; at < n; at++) {
            for (int byte = 0; byte < 256; byte++) {
                char text[20];
                memset(text, '7', n);
                text[at] = (char)byte;
                expect(text, n);
                if (at + 1 < n) { /* and with another beside it */
                    text[at + 1] = (char)(byte ^ 0x80);
                    expect(text, n);
                }
            }
        }
    }
}
END_TEST

/* As memmem() finds it: of two letters, so that much nearly fits. */
START_TEST(found)
{
    srand(2);
    for (unsigned round = 0; round < 20000; round++) {
        char text[12], what[4];
        size_t n = (size_t)rand() % sizeof(text), m = 1 + (size_t)rand() % sizeof(what);
        for (size_t i = 0; i < n; i++)
            text[i] = (char)('a' + rand() % 2);
        for (size_t i = 0; i < m; i++)
            what[i] = (char)('a' + rand() % 2);
        ck_assert_ptr_eq(span_find((struct span){text, n}, (struct span){what, m}),
                         memmem(text, n, what, m));
    }
    ck_assert_ptr_null(span_find((struct span){NULL, 0}, SPAN("a")));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("span");
    TCase *tc = tcase_create("numbers");
    tcase_add_test(tc, numbers);
    tcase_add_test(tc, others);
    tcase_add_test(tc, found);
    suite_add_tcase(s, tc);
    return run(s);
}
