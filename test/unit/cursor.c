/*
 * cursor.c - ids, entity tags and `since` values, row by row.
 */
#include "lib/cursor.h"

#include "test/kit/kit.h"

#define MAX "18446744073709551615"

/* ---- ids ---- */

static const struct {
    int line;
    bool ok;
    const char *text;
    uint64_t ms, n;
} ids[] = {
    {__LINE__, true, "1790000000000-17", 1790000000000u, 17},
    {__LINE__, true, "0-0", 0, 0},
    {__LINE__, true, "0-1", 0, 1},
    {__LINE__, true, "007-0009", 7, 9},
    {__LINE__, true, MAX "-" MAX, UINT64_MAX, UINT64_MAX},
    {__LINE__, true, "0000000000000000000000000001-2", 1, 2},
    {__LINE__, false, "18446744073709551616-1", 0, 0},
    {__LINE__, false, "1-18446744073709551616", 0, 0},
    {__LINE__, false, "1-99999999999999999999", 0, 0},
    {__LINE__, false, "", 0, 0},
    {__LINE__, false, "-", 0, 0},
    {__LINE__, false, "1", 0, 0},
    {__LINE__, false, "1-", 0, 0},
    {__LINE__, false, "-1", 0, 0},
    {__LINE__, false, "1--1", 0, 0},
    {__LINE__, false, "1-2-3", 0, 0},
    {__LINE__, false, "+1-2", 0, 0},
    {__LINE__, false, "1-+2", 0, 0},
    {__LINE__, false, " 1-2", 0, 0},
    {__LINE__, false, "1-2 ", 0, 0},
    {__LINE__, false, "1 -2", 0, 0},
    {__LINE__, false, "1-2\n", 0, 0},
    {__LINE__, false, "0x1-2", 0, 0},
    {__LINE__, false, "1-a", 0, 0},
    {__LINE__, false, "1-2.0", 0, 0},
    {__LINE__, false, "\"1-2\"", 0, 0},
    {__LINE__, false, "1-2-gzip", 0, 0},
    {__LINE__, false, "\xef\xbc\x91-2", 0, 0}, /* a digit, but not of ASCII */
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
    bool ok; /* it's 1-2 */
    const char *text;
} tags[] = {
    {__LINE__, true, "1-2"},
    {__LINE__, true, "\"1-2\""},
    {__LINE__, true, "W/\"1-2\""},
    {__LINE__, true, "W/1-2"},
    {__LINE__, true, "\"1-2-gzip\""},
    {__LINE__, true, "W/\"1-2-gzip\""},
    {__LINE__, true, "1-2-gzip"},
    {__LINE__, true, "\"1-2--gzip\""},
    {__LINE__, true, "\"1-2;gzip\""},
    {__LINE__, true, "1-2;gzip"},
    {__LINE__, true, "\"1-2-br\""},
    {__LINE__, true, "\"1-2-zstd\""},
    {__LINE__, true, "\"1-2-deflate\""},
    {__LINE__, true, "W/\"1-2;br\""},
    {__LINE__, false, ""},
    {__LINE__, false, "*"},
    {__LINE__, false, "\""},
    {__LINE__, false, "\"\""},
    {__LINE__, false, "W/"},
    {__LINE__, false, "W/\""},
    {__LINE__, false, "W/\"\""},
    {__LINE__, false, "\"1-2"},
    {__LINE__, false, "1-2\""},
    {__LINE__, false, "\"1-2\"-gzip"},
    {__LINE__, false, "w/\"1-2\""},
    {__LINE__, false, "W/W/\"1-2\""},
    {__LINE__, false, "\"W/1-2\""},
    {__LINE__, false, "\"\"1-2\"\""},
    {__LINE__, false, "\"1-2gzip\""},
    {__LINE__, false, "\"1-2-\""},
    {__LINE__, false, "\"1-2-gzip-gzip\""},
    {__LINE__, false, "\"1-gzip\""},
    {__LINE__, false, "\"-gzip\""},
    {__LINE__, false, "gzip"},
    {__LINE__, false, "-br"},
    {__LINE__, false, "\"1-2-identity\""},
    {__LINE__, false, "\"1-2\", \"1-2\""},
    {__LINE__, false, "\"abc\""},
    {__LINE__, false, " \"1-2\""},
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
    enum since_kind kind;
    const char *text;
    uint64_t value; /* of an id: its ms */
    uint64_t n;
} sinces[] = {
    {__LINE__, SINCE_ID, "1790000000000-17", 1790000000000u, 17},
    {__LINE__, SINCE_ID, "0-0", 0, 0},
    {__LINE__, SINCE_EARLIEST, "earliest", 0, 0},
    {__LINE__, SINCE_NOW, "now", 0, 0},
    {__LINE__, SINCE_LAST, "-5", 5, 0},
    {__LINE__, SINCE_LAST, "-0", 0, 0},
    {__LINE__, SINCE_LAST, "-" MAX, UINT64_MAX, 0},
    /* durations */
    {__LINE__, SINCE_TIME, "0s", NOW, 0},
    {__LINE__, SINCE_TIME, "1ms", NOW - 1, 0},
    {__LINE__, SINCE_TIME, "1500ms", NOW - 1500, 0},
    {__LINE__, SINCE_TIME, "30s", NOW - 30000, 0},
    {__LINE__, SINCE_TIME, "10m", NOW - 600000, 0},
    {__LINE__, SINCE_TIME, "010m", NOW - 600000, 0},
    {__LINE__, SINCE_TIME, "2h", NOW - 7200000, 0},
    {__LINE__, SINCE_TIME, "3d", NOW - 259200000, 0},
    {__LINE__, SINCE_TIME, "1790000000000ms", 0, 0},
    {__LINE__, SINCE_TIME, "1790000000001ms", 0, 0}, /* before 1970: from the first on */
    {__LINE__, SINCE_TIME, "20717d", NOW - 20717u * UINT64_C(86400000), 0},
    {__LINE__, SINCE_TIME, "20718d", 0, 0},
    {__LINE__, SINCE_TIME, MAX "d", 0, 0},
    /* unix times */
    {__LINE__, SINCE_TIME, "0", 0, 0},
    {__LINE__, SINCE_TIME, "1", 1000, 0},
    {__LINE__, SINCE_TIME, "1790000000", 1790000000000u, 0},
    {__LINE__, SINCE_TIME, "99999999999", 99999999999000u, 0},
    {__LINE__, SINCE_TIME, "100000000000", 100000000000u, 0},
    {__LINE__, SINCE_TIME, "1790000000000", 1790000000000u, 0},
    {__LINE__, SINCE_TIME, MAX, UINT64_MAX, 0},
    /* none of these */
    {__LINE__, SINCE_BAD, "", 0, 0},
    {__LINE__, SINCE_BAD, "-", 0, 0},
    {__LINE__, SINCE_BAD, "--5", 0, 0},
    {__LINE__, SINCE_BAD, "-5m", 0, 0},
    {__LINE__, SINCE_BAD, "-18446744073709551616", 0, 0},
    {__LINE__, SINCE_BAD, "1-", 0, 0},
    {__LINE__, SINCE_BAD, "1-2-3", 0, 0},
    {__LINE__, SINCE_BAD, "\"1-2\"", 0, 0},
    {__LINE__, SINCE_BAD, "Earliest", 0, 0},
    {__LINE__, SINCE_BAD, "earliest ", 0, 0},
    {__LINE__, SINCE_BAD, "NOW", 0, 0},
    {__LINE__, SINCE_BAD, "later", 0, 0},
    {__LINE__, SINCE_BAD, "m", 0, 0},
    {__LINE__, SINCE_BAD, "ms", 0, 0},
    {__LINE__, SINCE_BAD, "10M", 0, 0},
    {__LINE__, SINCE_BAD, "10 m", 0, 0},
    {__LINE__, SINCE_BAD, "10w", 0, 0},
    {__LINE__, SINCE_BAD, "1h30m", 0, 0},
    {__LINE__, SINCE_BAD, "1.5h", 0, 0},
    {__LINE__, SINCE_BAD, "10mm", 0, 0},
    {__LINE__, SINCE_BAD, "+10m", 0, 0},
    {__LINE__, SINCE_BAD, "1790000000.5", 0, 0},
    {__LINE__, SINCE_BAD, "18446744073709551616", 0, 0},
    {__LINE__, SINCE_BAD, "18446744073709551616d", 0, 0},
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
