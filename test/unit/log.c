/*
 * log.c - log.h and problem.h: lines that nobody can forge, refusals that are JSON.
 */
#include "lib/log.h"

#include "lib/json.h"
#include "lib/problem.h"
#include "lib/utf8.h"
#include "test/kit/kit.h"

/* ---- log lines ---- */

#define HEAD "time=1994-11-06T08:49:37.123Z level=info msg="
#define WALL 784111777123u

static void write_line(struct text *t, const char *level, const char *msg, ...)
{
    va_list ap;
    va_start(ap, msg);
    log_write(t, WALL, level, msg, ap);
    va_end(ap);
}

static void write_at(struct text *t, uint64_t wall, const char *level, const char *msg, ...)
{
    va_list ap;
    va_start(ap, msg);
    log_write(t, wall, level, msg, ap);
    va_end(ap);
}

START_TEST(writes_lines)
{
    char bytes[512];
    struct text t = text_in(bytes, sizeof(bytes));
    write_line(&t, "info", "ready", NULL);
    write_line(&t, "warn", "no room", "fd", "17", "reason", "--max-buffers", "path", "/a b", NULL);
    const char *want = HEAD "ready\n"
                            "time=1994-11-06T08:49:37.123Z level=warn msg=\"no room\" fd=17 "
                            "reason=--max-buffers path=\"/a b\"\n";
    ck_assert_msg(span_eq(text_span(&t), span_of(want)), "%.*s", (int)t.n, t.p);
}
END_TEST

/* For journald: a priority in place of the time. */
START_TEST(writes_for_the_journal)
{
    static const char *const levels[][2] = {
        {"error", "<3>"}, {"warn", "<4>"}, {"info", "<6>"}, {"debug", "<7>"}};
    char bytes[128], want[128];
    for (size_t i = 0; i < COUNT(levels); i++) {
        struct text t = text_in(bytes, sizeof(bytes));
        write_at(&t, 0, levels[i][0], "a b", "k", "v", NULL);
        snprintf(want, sizeof(want), "%slevel=%s msg=\"a b\" k=v\n", levels[i][1], levels[i][0]);
        ck_assert_msg(span_eq(text_span(&t), span_of(want)), "%.*s", (int)t.n, t.p);
    }
}
END_TEST

static const struct {
    int line;
    const char *value, *written;
} values[] = {
    {__LINE__, "", "\"\""},
    {__LINE__, "a", "a"},
    {__LINE__, "/news/today?since=5", "\"/news/today?since=5\""},
    {__LINE__, "a b", "\"a b\""},
    {__LINE__, " ", "\" \""},
    {__LINE__, "a=b", "\"a=b\""},
    {__LINE__, "a\"b", "\"a\\\"b\""},
    {__LINE__, "\"", "\"\\\"\""},
    {__LINE__, "a\\b", "\"a\\\\b\""},
    {__LINE__, "a\\", "\"a\\\\\""},
    {__LINE__, "'{}[]#%&~!", "'{}[]#%&~!"},
    {__LINE__, "a\nlevel=error msg=forged", "\"a?level=error msg=forged\""},
    {__LINE__, "a\r\n\tb", "a???b"},
    {__LINE__, "\x1B[31mred", "?[31mred"},
    {__LINE__, "\x01\x1F\x7F", "???"},
    {__LINE__, "\xC3\xA9", "??"},
    {__LINE__,
     "\x9B"
     "31m",
     "?31m"},
    {__LINE__, "\xFF", "?"},
};

START_TEST(quotes_values)
{
    char bytes[256], want[256];
    struct text t = text_in(bytes, sizeof(bytes));
    write_line(&t, "info", values[_i].value, "key", values[_i].value, "last", "x", NULL);
    snprintf(want, sizeof(want), HEAD "%s key=%s last=x\n", values[_i].written, values[_i].written);
    ck_assert_msg(!t.full && span_eq(text_span(&t), span_of(want)), "line %d: %.*s",
                  values[_i].line, (int)t.n, t.p);
}
END_TEST

START_TEST(cuts_long_values)
{
    static const size_t sizes[] = {999, 1000, 1001, 5000};
    char value[5001], bytes[4096];
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (int quoted = 0; quoted < 2; quoted++) {
            struct text t = text_in(bytes, sizeof(bytes));
            size_t kept = sizes[i] < 1000 ? sizes[i] : 1000;
            memset(value, quoted ? '"' : 'x', sizes[i]);
            value[sizes[i]] = '\0';
            write_line(&t, "info", "m", "k", value, "l", "y", NULL);
            size_t want = strlen(HEAD "m k= l=y\n") + (quoted ? 2 * kept + 2 : kept);
            ck_assert(!t.full);
            ck_assert_uint_eq(t.n, want);
            ck_assert_mem_eq(t.p + t.n - 6, quoted ? "\" l=y\n" : "x l=y\n", 6);
        }
    }
}
END_TEST

/* However little room there is, a line that has begun has its end. */
START_TEST(ends_its_lines)
{
    for (size_t room = 0; room < 120; room++) {
        char bytes[120];
        struct text t = text_in(bytes, room);
        write_line(&t, "info", "a message", "key", "the value", NULL);
        ck_assert(t.full == (room < strlen(HEAD "\"a message\" key=\"the value\"\n")));
        ck_assert_uint_eq(t.cap, room);
        ck_assert(room == 0 || (t.n > 0 && memchr(t.p, '\n', t.n) == t.p + t.n - 1));
        size_t quotes = 0;
        for (size_t i = 0; i < t.n; i++)
            quotes += t.p[i] == '"';
        ck_assert_uint_eq(quotes % 2, 0);
    }
}
END_TEST

/* Reads "KEY=VALUE" at *p as logfmt has it; returns the value's length, its bytes in out. */
static size_t read_pair(const char **p, const char *key, char *out)
{
    size_t n = 0;
    ck_assert(strncmp(*p, key, strlen(key)) == 0);
    *p += strlen(key);
    bool quoted = **p == '"';
    for (*p += quoted; **p != '\n' && **p != (quoted ? '"' : ' '); ++*p) {
        *p += quoted && **p == '\\';
        out[n++] = **p;
    }
    *p += quoted;
    return n;
}

/* What is written is read again, but for the bytes that are replaced. */
START_TEST(random_values)
{
    static const char some[] = "a\"\\ =b~!";
    uint64_t start = seed(), state = start;
    for (int i = 0; i < 20000; i++) {
        char value[2][40], bytes[512], got[512];
        for (int k = 0; k < 2; k++) {
            size_t n = random_next(&state) % sizeof(value[k]);
            for (size_t j = 0; j < n; j++) {
                uint64_t r = random_next(&state);
                value[k][j] = r % 4 == 0 ? (char)(1 + (r >> 8) % 255) : some[(r >> 8) % 8];
            }
            value[k][n] = '\0';
        }
        struct text t = text_in(bytes, sizeof(bytes) - 1);
        write_line(&t, "info", value[0], "k", value[1], NULL);
        bytes[t.n] = '\0';
        const char *p = bytes + strlen(HEAD) - strlen("msg=");
        for (int k = 0; k < 2; k++) {
            size_t n = read_pair(&p, k == 0 ? "msg=" : " k=", got);
            bool same = n == strlen(value[k]);
            for (size_t j = 0; j < n && same; j++) {
                unsigned char c = (unsigned char)value[k][j];
                same = got[j] == (c < ' ' || c > '~' ? '?' : value[k][j]);
            }
            if (!same)
                ck_abort_msg(SEED_FMT ": %s", start, bytes);
        }
        ck_assert_str_eq(p, "\n");
    }
}
END_TEST

/* ---- problems ---- */

static const struct {
    int line;
    struct span detail;
    const char *json;
} details[] = {
    {__LINE__, BYTES("a message has at most 5 bytes"), "\"a message has at most 5 bytes\""},
    {__LINE__, BYTES(""), "\"\""},
    {__LINE__, BYTES("a \"b\" \\ \n\t\x01"), "\"a \\\"b\\\" \\\\ \\n\\t\\u0001\""},
    {__LINE__, BYTES("a\0b"), "\"a\\u0000b\""},
    {__LINE__, BYTES("\xC3\xA9\xF0\x9F\x98\x80"), "\"\xC3\xA9\xF0\x9F\x98\x80\""},
    {__LINE__,
     BYTES("abc\xFF"
           "def"),
     "\"abc\""},
    {__LINE__, BYTES("abc\xC3"), "\"abc\""},
    {__LINE__, BYTES("\xFF"), "\"\""},
};

START_TEST(writes_problems)
{
    char bytes[512], want[512];
    struct text t = text_in(bytes, sizeof(bytes));
    struct json_value v;
    size_t at;
    char *detail = on_heap(details[_i].detail);
    problem_write(&t, 413, "Content Too Large", (struct span){detail, details[_i].detail.n});
    free(detail);
    snprintf(
        want, sizeof(want),
        "{\"type\":\"about:blank\",\"title\":\"Content Too Large\",\"status\":413,\"detail\":%s}\n",
        details[_i].json);
    ck_assert_msg(!t.full && span_eq(text_span(&t), span_of(want)), "line %d: %.*s",
                  details[_i].line, (int)t.n, t.p);
    ck_assert(json_read(text_span(&t), &v, &at));
}
END_TEST

START_TEST(random_problems)
{
    uint64_t start = seed(), state = start;
    for (int i = 0; i < 20000; i++) {
        char detail[100], bytes[1024];
        struct text t = text_in(bytes, sizeof(bytes));
        struct json_value v;
        size_t n = random_next(&state) % sizeof(detail), at;
        uint64_t mask = random_next(&state) % 2 != 0 ? 0x7F : 0xFF;
        for (size_t k = 0; k < n; k++)
            detail[k] = (char)(random_next(&state) & mask);
        problem_write(&t, 400, "Bad Request", (struct span){detail, n});
        if (t.full || !json_read(text_span(&t), &v, &at) || v.kind != JSON_OBJECT)
            ck_abort_msg(SEED_FMT, start);
    }
}
END_TEST

/* ---- main ---- */

int main(void)
{
    Suite *s = suite_create("log");
    TCase *logs = tcase_create("log"), *problems = tcase_create("problem");
    tcase_add_test(logs, writes_lines);
    tcase_add_test(logs, writes_for_the_journal);
    tcase_add_loop_test(logs, quotes_values, 0, COUNT(values));
    tcase_add_test(logs, cuts_long_values);
    tcase_add_test(logs, ends_its_lines);
    tcase_add_test(logs, random_values);
    suite_add_tcase(s, logs);
    tcase_add_loop_test(problems, writes_problems, 0, COUNT(details));
    tcase_add_test(problems, random_problems);
    suite_add_tcase(s, problems);
    return run(s);
}
