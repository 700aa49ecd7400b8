/*
 * unit.c - unit.h: times and sizes, read and written.
 */
#include "lib/unit.h"

#include "test/kit/kit.h"

static const struct {
    int line;
    enum unit_kind kind;
    const char *text;
    uint64_t v;
} good[] = {
    {__LINE__, UNIT_TIME, "0", 0},
    {__LINE__, UNIT_TIME, "7", 7000},
    {__LINE__, UNIT_TIME, "7ms", 7},
    {__LINE__, UNIT_TIME, "7s", 7000},
    {__LINE__, UNIT_TIME, "007m", 420000},
    {__LINE__, UNIT_TIME, "7h", 25200000},
    {__LINE__, UNIT_TIME, "7d", 604800000},
    {__LINE__, UNIT_TIME, "18446744073709551615ms", UINT64_MAX},
    {__LINE__, UNIT_TIME, "18446744073709551s", 18446744073709551000u},
    {__LINE__, UNIT_TIME, "18446744073709552s", UINT64_MAX},
    {__LINE__, UNIT_TIME, "18446744073709551615d", UINT64_MAX},
    {__LINE__, UNIT_SIZE, "1", 1},
    {__LINE__, UNIT_SIZE, "1k", 1024},
    {__LINE__, UNIT_SIZE, "3M", 3 << 20},
    {__LINE__, UNIT_SIZE, "4g", 4ull << 30},
    {__LINE__, UNIT_SIZE, "17179869184G", UINT64_MAX},
};

START_TEST(reads)
{
    uint64_t v = 1;
    ck_assert_msg(unit_read(span_of(good[_i].text), good[_i].kind, &v) && v == good[_i].v,
                  "line %d: %" PRIu64, good[_i].line, v);
}
END_TEST

START_TEST(refuses)
{
    static const char *const times[] = {"",     "s",   "ms",  "-1s", "+1",
                                        "1.5s", "1 s", " 1",  "1S",  "1w",
                                        "1mm",  "1K",  "1s1", "0x1", "18446744073709551616ms"};
    static const char *const sizes[] = {"", "K", "1KB", "1s", "1.5M", "1T", "18446744073709551616"};
    uint64_t v;
    for (size_t i = 0; i < COUNT(times); i++)
        ck_assert_msg(!unit_read(span_of(times[i]), UNIT_TIME, &v), "%s", times[i]);
    for (size_t i = 0; i < COUNT(sizes); i++)
        ck_assert_msg(!unit_read(span_of(sizes[i]), UNIT_SIZE, &v), "%s", sizes[i]);
}
END_TEST

/* What is written is read as what it was. */
START_TEST(writes)
{
    static const struct {
        enum unit_kind kind;
        uint64_t v;
        const char *text;
    } out[] = {
        {UNIT_TIME, 0, "0ms"},       {UNIT_TIME, 10, "10ms"},          {UNIT_TIME, 1500, "1500ms"},
        {UNIT_TIME, 15000, "15s"},   {UNIT_TIME, 600000, "10m"},       {UNIT_TIME, 86400000, "24h"},
        {UNIT_SIZE, 0, "0"},         {UNIT_SIZE, 1000, "1000"},        {UNIT_SIZE, 65536, "64K"},
        {UNIT_SIZE, 1u << 20, "1M"}, {UNIT_SIZE, 5ull << 40, "5120G"},
    };
    for (size_t i = 0; i < COUNT(out); i++) {
        char bytes[32];
        uint64_t v;
        struct text t = text_in(bytes, sizeof bytes);
        unit_write(&t, out[i].v, out[i].kind);
        ck_assert_msg(span_eq(text_span(&t), span_of(out[i].text)), "%s", out[i].text);
        ck_assert(unit_read(text_span(&t), out[i].kind, &v) && v == out[i].v);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("unit");
    TCase *tc = tcase_create("unit");
    tcase_add_loop_test(tc, reads, 0, (int)COUNT(good));
    tcase_add_test(tc, refuses);
    tcase_add_test(tc, writes);
    suite_add_tcase(s, tc);
    return run(s);
}
