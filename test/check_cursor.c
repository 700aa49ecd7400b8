/*
 * check_cursor.c - ids, entity tags and `since` values, row by row.
 */
#include "lib/cursor.h"

#include "test/kit.h"

#define MAX "18446744073709551615"

/* ---- ids ---- */

static const struct {
    int line;
    const char *text;
    bool ok;
    uint64_t ms, n;
} ids[] = {
    {__LINE__, "1790000000000-17", true, 1790000000000u, 17},
    {__LINE__, "0-0", true, 0, 0},
    {__LINE__, "0-1", true, 0, 1},
    {__LINE__, "007-0009", true, 7, 9},
    {__LINE__, MAX "-" MAX, true, UINT64_MAX, UINT64_MAX},
    {__LINE__, "0000000000000000000000000001-2", true, 1, 2},
    {__LINE__, "18446744073709551616-1", false, 0, 0},
    {__LINE__, "1-18446744073709551616", false, 0, 0},
    {__LINE__, "1-99999999999999999999", false, 0, 0},
    {__LINE__, "", false, 0, 0},
    {__LINE__, "-", false, 0, 0},
    {__LINE__, "1", false, 0, 0},
    {__LINE__, "1-", false, 0, 0},
    {__LINE__, "-1", false, 0, 0},
    {__LINE__, "1--1", false, 0, 0},
    {__LINE__, "1-2-3", false, 0, 0},
    {__LINE__, "+1-2", false, 0, 0},
    {__LINE__, "1-+2", false, 0, 0},
    {__LINE__, " 1-2", false, 0, 0},
    {__LINE__, "1-2 ", false, 0, 0},
    {__LINE__, "1 -2", false, 0, 0},
    {__LINE__, "1-2\n", false, 0, 0},
    {__LINE__, "0x1-2", false, 0, 0},
    {__LINE__, "1-a", false, 0, 0},
    {__LINE__, "1-2.0", false, 0, 0},
    {__LINE__, "\"1-2\"", false, 0, 0},
    {__LINE__, "1-2-gzip", false, 0, 0},
    {__LINE__, "\xef\xbc\x91-2", false, 0, 0}, /* a digit, but not of ASCII */
};

START_TEST(reads_ids)
{
    int line = ids[_i].line;
    struct cursor c = {111, 222};
    struct span s = span_of(ids[_i].text);
    char *text = on_heap(s);
    ck_assert_msg(cursor_read((struct span){text, s.n}, &c) == ids[_i].ok, "line %d", line);
    free(text);
    if (ids[_i].ok)
        ck_assert_msg(c.ms == ids[_i].ms && c.n == ids[_i].n, "line %d", line);
    else
        ck_assert_msg(c.ms == 111 && c.n == 222, "line %d: touched", line);
}
END_TEST

START_TEST(reads_nothing)
{
    struct cursor c;
    ck_assert(!cursor_read((struct span){NULL, 0}, &c));
    ck_assert(!cursor_read_tag((struct span){NULL, 0}, &c));
    ck_assert_int_eq(since_read((struct span){NULL, 0}, 1).kind, SINCE_BAD);
}
END_TEST

static const struct {
    int line;
    struct cursor c;
    const char *text;
} writes[] = {
    {__LINE__, {0, 0}, "0-0"},
    {__LINE__, {1790000000000u, 1}, "1790000000000-1"},
    {__LINE__, {7, 1000}, "7-1000"},
    {__LINE__, {UINT64_MAX, UINT64_MAX}, MAX "-" MAX},
};

START_TEST(writes_ids)
{
    char buf[64];
    struct span want = span_of(writes[_i].text);
    /* It fits, or it's left out whole. */
    for (size_t room = 0; room <= want.n + 1; room++) {
        struct text t = text_in(buf, 1 + room);
        text_str(&t, "=");
        cursor_write(&t, writes[_i].c);
        ck_assert_msg(t.full == (room < want.n), "line %d, room %zu", writes[_i].line, room);
        ck_assert_uint_eq(t.n, 1 + (t.full ? 0 : want.n));
        ck_assert_msg(span_eq(span_from(text_span(&t), 1), t.full ? SPAN("") : want), "line %d",
                      writes[_i].line);
    }
    ck_assert_uint_le(want.n, CURSOR_MAX);
}
END_TEST

START_TEST(longest_id)
{
    ck_assert_uint_eq(sizeof(MAX "-" MAX) - 1, CURSOR_MAX);
}
END_TEST

/* ---- entity tags ---- */

static const struct {
    int line;
    const char *text;
    bool ok; /* it's 1-2 */
} tags[] = {
    {__LINE__, "1-2", true},
    {__LINE__, "\"1-2\"", true},
    {__LINE__, "W/\"1-2\"", true},
    {__LINE__, "W/1-2", true},
    {__LINE__, "\"1-2-gzip\"", true},
    {__LINE__, "W/\"1-2-gzip\"", true},
    {__LINE__, "1-2-gzip", true},
    {__LINE__, "\"1-2--gzip\"", true},
    {__LINE__, "\"1-2;gzip\"", true},
    {__LINE__, "1-2;gzip", true},
    {__LINE__, "\"1-2-br\"", true},
    {__LINE__, "\"1-2-zstd\"", true},
    {__LINE__, "\"1-2-deflate\"", true},
    {__LINE__, "W/\"1-2;br\"", true},
    {__LINE__, "", false},
    {__LINE__, "*", false},
    {__LINE__, "\"", false},
    {__LINE__, "\"\"", false},
    {__LINE__, "W/", false},
    {__LINE__, "W/\"", false},
    {__LINE__, "W/\"\"", false},
    {__LINE__, "\"1-2", false},
    {__LINE__, "1-2\"", false},
    {__LINE__, "\"1-2\"-gzip", false},
    {__LINE__, "w/\"1-2\"", false},
    {__LINE__, "W/W/\"1-2\"", false},
    {__LINE__, "\"W/1-2\"", false},
    {__LINE__, "\"\"1-2\"\"", false},
    {__LINE__, "\"1-2gzip\"", false},
    {__LINE__, "\"1-2-\"", false},
    {__LINE__, "\"1-2-gzip-gzip\"", false},
    {__LINE__, "\"1-gzip\"", false},
    {__LINE__, "\"-gzip\"", false},
    {__LINE__, "gzip", false},
    {__LINE__, "-br", false},
    {__LINE__, "\"1-2-identity\"", false},
    {__LINE__, "\"1-2\", \"1-2\"", false},
    {__LINE__, "\"abc\"", false},
    {__LINE__, " \"1-2\"", false},
};

START_TEST(reads_tags)
{
    int line = tags[_i].line;
    struct cursor c = {111, 222};
    struct span s = span_of(tags[_i].text);
    char *text = on_heap(s);
    ck_assert_msg(cursor_read_tag((struct span){text, s.n}, &c) == tags[_i].ok, "line %d", line);
    free(text);
    ck_assert_msg(c.ms == (tags[_i].ok ? 1 : 111) && c.n == (tags[_i].ok ? 2 : 222), "line %d",
                  line);
}
END_TEST

/* ---- since ---- */

#define NOW 1790000000000u

static const struct {
    int line;
    const char *text;
    enum since_kind kind;
    uint64_t value; /* of an id: its ms */
    uint64_t n;
} sinces[] = {
    {__LINE__, "1790000000000-17", SINCE_ID, 1790000000000u, 17},
    {__LINE__, "0-0", SINCE_ID, 0, 0},
    {__LINE__, "earliest", SINCE_EARLIEST, 0, 0},
    {__LINE__, "now", SINCE_NOW, 0, 0},
    {__LINE__, "-5", SINCE_LAST, 5, 0},
    {__LINE__, "-0", SINCE_LAST, 0, 0},
    {__LINE__, "-" MAX, SINCE_LAST, UINT64_MAX, 0},
    /* durations */
    {__LINE__, "0s", SINCE_TIME, NOW, 0},
    {__LINE__, "1ms", SINCE_TIME, NOW - 1, 0},
    {__LINE__, "1500ms", SINCE_TIME, NOW - 1500, 0},
    {__LINE__, "30s", SINCE_TIME, NOW - 30000, 0},
    {__LINE__, "10m", SINCE_TIME, NOW - 600000, 0},
    {__LINE__, "010m", SINCE_TIME, NOW - 600000, 0},
    {__LINE__, "2h", SINCE_TIME, NOW - 7200000, 0},
    {__LINE__, "3d", SINCE_TIME, NOW - 259200000, 0},
    {__LINE__, "1790000000000ms", SINCE_TIME, 0, 0},
    {__LINE__, "1790000000001ms", SINCE_TIME, 0, 0}, /* before 1970: from the first on */
    {__LINE__, "20717d", SINCE_TIME, NOW - 20717u * UINT64_C(86400000), 0},
    {__LINE__, "20718d", SINCE_TIME, 0, 0},
    {__LINE__, MAX "d", SINCE_TIME, 0, 0},
    /* unix times */
    {__LINE__, "0", SINCE_TIME, 0, 0},
    {__LINE__, "1", SINCE_TIME, 1000, 0},
    {__LINE__, "1790000000", SINCE_TIME, 1790000000000u, 0},
    {__LINE__, "99999999999", SINCE_TIME, 99999999999000u, 0},
    {__LINE__, "100000000000", SINCE_TIME, 100000000000u, 0},
    {__LINE__, "1790000000000", SINCE_TIME, 1790000000000u, 0},
    {__LINE__, MAX, SINCE_TIME, UINT64_MAX, 0},
    /* none of these */
    {__LINE__, "", SINCE_BAD, 0, 0},
    {__LINE__, "-", SINCE_BAD, 0, 0},
    {__LINE__, "--5", SINCE_BAD, 0, 0},
    {__LINE__, "-5m", SINCE_BAD, 0, 0},
    {__LINE__, "-18446744073709551616", SINCE_BAD, 0, 0},
    {__LINE__, "1-", SINCE_BAD, 0, 0},
    {__LINE__, "1-2-3", SINCE_BAD, 0, 0},
    {__LINE__, "\"1-2\"", SINCE_BAD, 0, 0},
    {__LINE__, "Earliest", SINCE_BAD, 0, 0},
    {__LINE__, "earliest ", SINCE_BAD, 0, 0},
    {__LINE__, "NOW", SINCE_BAD, 0, 0},
    {__LINE__, "later", SINCE_BAD, 0, 0},
    {__LINE__, "m", SINCE_BAD, 0, 0},
    {__LINE__, "ms", SINCE_BAD, 0, 0},
    {__LINE__, "10M", SINCE_BAD, 0, 0},
    {__LINE__, "10 m", SINCE_BAD, 0, 0},
    {__LINE__, "10w", SINCE_BAD, 0, 0},
    {__LINE__, "1h30m", SINCE_BAD, 0, 0},
    {__LINE__, "1.5h", SINCE_BAD, 0, 0},
    {__LINE__, "10mm", SINCE_BAD, 0, 0},
    {__LINE__, "+10m", SINCE_BAD, 0, 0},
    {__LINE__, "1790000000.5", SINCE_BAD, 0, 0},
    {__LINE__, "18446744073709551616", SINCE_BAD, 0, 0},
    {__LINE__, "18446744073709551616d", SINCE_BAD, 0, 0},
};

START_TEST(reads_since)
{
    int line = sinces[_i].line;
    struct span s = span_of(sinces[_i].text);
    char *text = on_heap(s);
    struct since at = since_read((struct span){text, s.n}, NOW);
    free(text);
    ck_assert_msg(at.kind == sinces[_i].kind, "line %d: kind %d", line, (int)at.kind);
    if (at.kind == SINCE_BAD)
        return;
    ck_assert_msg((at.kind == SINCE_ID ? at.id.ms : at.value) == sinces[_i].value,
                  "line %d: value %" PRIu64, line, at.value);
    ck_assert_msg(at.id.n == sinces[_i].n, "line %d", line);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cursor");
    TCase *c = tcase_create("cursor");
    tcase_add_loop_test(c, reads_ids, 0, COUNT(ids));
    tcase_add_test(c, reads_nothing);
    tcase_add_loop_test(c, writes_ids, 0, COUNT(writes));
    tcase_add_test(c, longest_id);
    tcase_add_loop_test(c, reads_tags, 0, COUNT(tags));
    tcase_add_loop_test(c, reads_since, 0, COUNT(sinces));
    suite_add_tcase(s, c);
    return run(s);
}
