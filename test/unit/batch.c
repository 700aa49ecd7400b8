/*
 * batch.c - batch.h: what the messages are, whatever way their bytes come, at a cost that
 * does not depend on it either.
 */
#include "lib/batch.h"

#include "lib/text.h"
#include "test/kit/kit.h"
#include "test/kit/model_batch.h"

/* ---- bodies and their messages ---- */

#define MORE  BATCH_MORE
#define WRONG BATCH_WRONG

static const char not_json[] = "is not JSON, or nests too deep";

struct vector {
    int line;
    enum batch_result result;
    uint64_t lines;
    const char *why;            /* where it ends wrong */
    struct span body, messages; /* messages: [EVENT|DATA], or <EVENT|DATA> where binary */
};

/* clang-format off */
static const struct vector streams[] = {
    {__LINE__, MORE, 0, "", BYTES(""), BYTES("")},
    {__LINE__, MORE, 2, "", BYTES("data: a\n\n"), BYTES("[|a]")},
    {__LINE__, MORE, 2, "", BYTES("data:a\n\n"), BYTES("[|a]")},
    {__LINE__, MORE, 2, "", BYTES("data:  a \n\n"), BYTES("[| a ]")},
    {__LINE__, MORE, 2, "", BYTES("data:\ta\n\n"), BYTES("[|\ta]")},
    {__LINE__, MORE, 2, "", BYTES("data\n\n"), BYTES("[|]")},
    {__LINE__, MORE, 2, "", BYTES("data:\n\n"), BYTES("[|]")},
    {__LINE__, MORE, 2, "", BYTES("data: \n\n"), BYTES("[|]")},
    {__LINE__, MORE, 5, "", BYTES("data\n\ndata\ndata\n\n"), BYTES("[|][|\n]")},
    {__LINE__, MORE, 2, "", BYTES("data: a\r\n\r\n"), BYTES("[|a]")},
    {__LINE__, MORE, 2, "", BYTES("data: a\r\r"), BYTES("[|a]")},
    {__LINE__, MORE, 4, "", BYTES("data: a\r\rdata: b\r\r"), BYTES("[|a][|b]")},
    {__LINE__, MORE, 4, "", BYTES("data: a\r\n\r\ndata: b\r\n\r\n"), BYTES("[|a][|b]")},
    {__LINE__, MORE, 4, "", BYTES("data: a\n\r\ndata: b\r\n\n"), BYTES("[|a][|b]")},
    {__LINE__, MORE, 4, "", BYTES("data: a\n\rdata: b\r\n\r"), BYTES("[|a][|b]")},
    {__LINE__, MORE, 6, "", BYTES("data: a\r\n\r\n\r\n\r\n\r\n\r\n"), BYTES("[|a]")},
    {__LINE__, MORE, 3, "", BYTES("event: e\ndata: a\n\n"), BYTES("[e|a]")},
    {__LINE__, MORE, 3, "", BYTES("data: a\nevent: e\n\n"), BYTES("[e|a]")},
    {__LINE__, MORE, 3, "", BYTES("event\ndata: a\n\n"), BYTES("[|a]")},
    {__LINE__, MORE, 3, "", BYTES("event:e f: g\ndata: a\n\n"), BYTES("[e f: g|a]")},
    {__LINE__, MORE, 5, "", BYTES("event: e\ndata: a\n\ndata: b\n\n"), BYTES("[e|a][|b]")},
    {__LINE__, MORE, 4, "", BYTES("event: e\n\ndata: b\n\n"), BYTES("[|b]")},
    {__LINE__, MORE, 4, "", BYTES("event: e\nevent: f\ndata: a\n\n"), BYTES("[f|a]")},
    {__LINE__, MORE, 4, "", BYTES("event: e\nevent\ndata: a\n\n"), BYTES("[|a]")},
    {__LINE__, MORE, 4, "", BYTES("data: a\ndata: b\ndata:c\n\n"), BYTES("[|a\nb\nc]")},
    {__LINE__, MORE, 6, "", BYTES("data\ndata: b\ndata\ndata:c\ndata\n\n"), BYTES("[|\nb\n\nc\n]")},
    {__LINE__, MORE, 4, "", BYTES("data: a\nevent: e\ndata: bbbbbbbbbbbbbbbbbbbb\n\n"),
     BYTES("[e|a\nbbbbbbbbbbbbbbbbbbbb]")},
    {__LINE__, MORE, 4, "", BYTES("data: aaaaaaaaaaaaaaaaaaaa\nevent: name\ndata: b\n\n"),
     BYTES("[name|aaaaaaaaaaaaaaaaaaaa\nb]")},
    {__LINE__, MORE, 8, "",
     BYTES("event: x\ndata: 1\nevent: y\ndata: 22\ndata: 33\nevent: last\ndata: 4\n\n"),
     BYTES("[last|1\n22\n33\n4]")},
    {__LINE__, MORE, 4, "", BYTES("data: aaaa\nevent:\ndata: b\n\n"), BYTES("[|aaaa\nb]")},
    {__LINE__, MORE, 5, "", BYTES("id: 1\nretry: 5\nfoo: bar\ndata: a\n\n"), BYTES("[|a]")},
    {__LINE__, MORE, 5, "", BYTES("data: a\nid: 1\n: comment\nfoo\n\n"), BYTES("[|a]")},
    {__LINE__, MORE, 4, "", BYTES("data: a\n:\ndata: b\n\n"), BYTES("[|a\nb]")},
    {__LINE__, MORE, 5, "", BYTES(":\n\n: x\n\nid: 4-5\n"), BYTES("")},
    {__LINE__, MORE, 4, "", BYTES("dat: x\ndatas: y\n data: z\n\n"), BYTES("")},
    {__LINE__, MORE, 3, "", BYTES("Data: x\nDATA: y\n\n"), BYTES("")},
    {__LINE__, MORE, 2, "", BYTES("data : x\n\n"), BYTES("")},
    {__LINE__, MORE, 1, "", BYTES("data: a\n"), BYTES("[|a]")},
    {__LINE__, MORE, 1, "", BYTES("data: a"), BYTES("[|a]")},
    {__LINE__, MORE, 1, "", BYTES("data: a\r"), BYTES("[|a]")},
    {__LINE__, MORE, 1, "", BYTES("data: a\r\n"), BYTES("[|a]")},
    {__LINE__, MORE, 1, "", BYTES("data"), BYTES("[|]")},
    {__LINE__, MORE, 1, "", BYTES("dat"), BYTES("")},
    {__LINE__, MORE, 4, "", BYTES("data: a\n\nevent: e\ndata: b"), BYTES("[|a][e|b]")},
    {__LINE__, MORE, 3, "", BYTES("data: a\n\nevent: e"), BYTES("[|a]")},
    {__LINE__, MORE, 2, "", BYTES("\xEF\xBB\xBF" "data: a\n\n"), BYTES("[|a]")},
    {__LINE__, MORE, 0, "", BYTES("\xEF\xBB\xBF"), BYTES("")},
    {__LINE__, MORE, 1, "", BYTES("\xEF\xBB\xBF\n"), BYTES("")},
    {__LINE__, MORE, 1, "", BYTES("\xEF\xBB"), BYTES("")},
    {__LINE__, MORE, 2, "", BYTES("\xEF\xBB" "data: a\n\n"), BYTES("")},
    {__LINE__, MORE, 2, "", BYTES("\xEF\xBB\xBF\xEF\xBB\xBF" "data: a\n\n"), BYTES("")},
    {__LINE__, MORE, 3, "", BYTES("\n\xEF\xBB\xBF" "data: a\n\n"), BYTES("")},
    {__LINE__, MORE, 2, "", BYTES("data: a\0b\xFF\n\n"), BYTES("[|a\0b\xFF]")},
    {__LINE__, MORE, 5, "", BYTES("\n\n\ndata: a\n\n"), BYTES("[|a]")},
    {__LINE__, MORE, 3, "", BYTES("\r\n\rdata: a\n"), BYTES("[|a]")},
    {__LINE__, MORE, 2, "", BYTES("data: a data that is longer than a word or two\n\n"),
     BYTES("[|a data that is longer than a word or two]")},
};

static const struct vector ndjson[] = {
    {__LINE__, MORE, 0, "", BYTES(""), BYTES("")},
    {__LINE__, MORE, 1, "", BYTES("{\"data\":\"x\"}\n"), BYTES("[|x]")},
    {__LINE__, MORE, 1, "", BYTES("{\"data\":\"x\"}"), BYTES("[|x]")},
    {__LINE__, MORE, 1, "", BYTES("{\"data\":\"x\"}\r\n"), BYTES("[|x]")},
    {__LINE__, MORE, 1, "", BYTES("{\"data\":\"x\"}\r"), BYTES("[|x]")},
    {__LINE__, MORE, 3, "", BYTES("{\"data\":\"x\"}\n\n{\"data\":\"y\"}"), BYTES("[|x][|y]")},
    {__LINE__, MORE, 4, "", BYTES("\n\r\n \t\r\n\"a\"\n"), BYTES("[|\"a\"]")},
    {__LINE__, MORE, 1, "",
     BYTES("{\"id\":\"1-2\",\"time\":\"1994-11-06T08:49:37.000Z\",\"topic\":\"a/b\",\"event\":null,"
           "\"data\":\"x\"}\n"), BYTES("[a/b@|x]")},
    {__LINE__, MORE, 1, "", BYTES(" { \"data\" : \"x\" , \"event\" : \"e\" } \n"), BYTES("[e|x]")},
    {__LINE__, MORE, 1, "", BYTES("{\"event\":\"\",\"data\":\"\"}\n"), BYTES("[|]")},
    {__LINE__, MORE, 1, "", BYTES("{\"event\":\"\\u00e9\\n\",\"data\":\"a\\n\\\"\\ud83d\\ude00\\\\b\"}\n"),
     BYTES("[\xC3\xA9\n|a\n\"\xF0\x9F\x98\x80\\b]")},
    {__LINE__, MORE, 1, "", BYTES("{\"data\":\"a\\u0000b\"}\n"), BYTES("[|a\0b]")},
    {__LINE__, MORE, 1, "", BYTES("{\"base64\":\"AAH/\"}\n"), BYTES("<|\0\1\xFF>")},
    {__LINE__, MORE, 1, "", BYTES("{\"event\":\"e\",\"base64\":\"\"}\n"), BYTES("<e|>")},
    {__LINE__, MORE, 1, "", BYTES("{\"base64\":\"AAH\\/\"}\n"), BYTES("<|\0\1\xFF>")},
    {__LINE__, MORE, 1, "", BYTES("{\"id\":7,\"topic\":\"a/b\",\"time\":null,\"data\":\"x\"}\n"),
     BYTES("[a/b@|x]")},
    {__LINE__, MORE, 1, "", BYTES("{\"topic\":\"\\u0061\",\"event\":\"e\",\"base64\":\"AAH/\"}\n"),
     BYTES("<a@e|\0\1\xFF>")},
    {__LINE__, MORE, 1, "", BYTES("{\"topic\":\"\",\"data\":\"x\"}\n"), BYTES("[@|x]")},
    {__LINE__, MORE, 1, "", BYTES("{\"topic\":null,\"data\":\"x\"}\n"), BYTES("[|x]")},
    {__LINE__, MORE, 2, "", BYTES("\x1e{\"data\":\"x\"}\n\x1e 5\n"), BYTES("[|x][|5]")},
    /* not messages: the line is the data */
    {__LINE__, MORE, 1, "", BYTES("{\"topic\":[1],\"data\":\"x\"}\n"),
     BYTES("[|{\"topic\":[1],\"data\":\"x\"}]")},
    {__LINE__, MORE, 1, "", BYTES("{\"data\":\"x\",\"extra\":1}\n"),
     BYTES("[|{\"data\":\"x\",\"extra\":1}]")},
    {__LINE__, MORE, 1, "", BYTES("{\"data\":\"x\",\"data\":\"y\"}\n"),
     BYTES("[|{\"data\":\"x\",\"data\":\"y\"}]")},
    {__LINE__, MORE, 1, "", BYTES("{\"data\":\"x\",\"id\":1,\"id\":1}\n"),
     BYTES("[|{\"data\":\"x\",\"id\":1,\"id\":1}]")},
    {__LINE__, MORE, 1, "", BYTES("{\"data\":\"x\",\"base64\":\"\"}\n"),
     BYTES("[|{\"data\":\"x\",\"base64\":\"\"}]")},
    {__LINE__, MORE, 1, "", BYTES("{\"data\":1}\n"), BYTES("[|{\"data\":1}]")},
    {__LINE__, MORE, 1, "", BYTES("{\"data\":null}\n"), BYTES("[|{\"data\":null}]")},
    {__LINE__, MORE, 1, "", BYTES("{\"base64\":null}\n"), BYTES("[|{\"base64\":null}]")},
    {__LINE__, MORE, 1, "", BYTES("{\"event\":1,\"data\":\"x\"}\n"),
     BYTES("[|{\"event\":1,\"data\":\"x\"}]")},
    {__LINE__, MORE, 1, "", BYTES("{\"event\":\"e\"}\n"), BYTES("[|{\"event\":\"e\"}]")},
    {__LINE__, MORE, 1, "", BYTES("{\"Data\":\"x\"}\n"), BYTES("[|{\"Data\":\"x\"}]")},
    {__LINE__, MORE, 1, "", BYTES("{}\n"), BYTES("[|{}]")},
    {__LINE__, MORE, 6, "", BYTES("1\n\"a\\n\"\nnull\n[1, 2]\n true \n-0.5e1\r\n"),
     BYTES("[|1][|\"a\\n\"][|null][|[1, 2]][|true][|-0.5e1]")},
    {__LINE__, MORE, 1, "", BYTES("[{\"data\":\"x\"}]\n"), BYTES("[|[{\"data\":\"x\"}]]")},
    {__LINE__, MORE, 1, "", BYTES("[1,\r2]\n"), BYTES("[|[1,\r2]]")},
    /* wrong */
    {__LINE__, WRONG, 0, not_json, BYTES("x\n"), BYTES("")},
    {__LINE__, WRONG, 2, not_json, BYTES("1\n2\n3 4\n5\n"), BYTES("[|1][|2]")},
    {__LINE__, WRONG, 2, not_json, BYTES("1\n\n{\"data\":\"x\"\n}\n"), BYTES("[|1]")},
    {__LINE__, WRONG, 1, not_json, BYTES("1\n{\"data\":\"x"), BYTES("[|1]")},
    {__LINE__, WRONG, 0, not_json, BYTES("data: x\n\n"), BYTES("")},
    {__LINE__, WRONG, 0, not_json, BYTES("\xEF\xBB\xBF{}\n"), BYTES("")},
    {__LINE__, WRONG, 0, not_json, BYTES("\"a\0\"\n"), BYTES("")},
    {__LINE__, WRONG, 0, not_json, BYTES("\"\\ud800\"\n"), BYTES("")},
    {__LINE__, WRONG, 1, "is not UTF-8", BYTES("1\n\"a\xFF\"\n"), BYTES("[|1]")},
    {__LINE__, WRONG, 0, "is not UTF-8", BYTES("{\"data\":\"\xED\xA0\x80\"}\n"), BYTES("")},
    {__LINE__, WRONG, 1, "has \"base64\" that is not base64", BYTES("1\n{\"base64\":\"AA=\"}\n"),
     BYTES("[|1]")},
    {__LINE__, WRONG, 0, "has \"base64\" that is not base64", BYTES("{\"base64\":\"AA A\"}\n"),
     BYTES("")},
};
/* clang-format on */

/* The vector's messages as a log has them. */
static struct batch_log expected(const struct vector *v)
{
    struct batch_log log = {.result = v->result, .lines = v->lines, .why = v->why};
    struct span s = v->messages;
    while (s.n > 0) {
        bool binary = s.p[0] == '<';
        struct span event = span_from(s, 1), data;
        data = event;
        event = span_cut(&data, '|');
        size_t depth = 1, n = 0;
        ck_assert_ptr_nonnull(data.p);
        for (; depth > 0; n++) {
            depth += data.p[n] == s.p[0];
            depth -= data.p[n] == (binary ? '>' : ']');
        }
        s = span_from(data, n);
        data.n = n - 1;
        struct batch_message m = {.data = data, .binary = binary};
        if (event.n > 0 && memchr(event.p, '@', event.n) != NULL)
            m.topic = span_cut(&event, '@');
        m.event = event;
        log_message(&log, &m);
    }
    return log;
}

static void compare(const struct vector *v, struct batch_log got, const char *how, size_t cut)
{
    struct batch_log want = expected(v);
    ck_assert_msg(got.result == want.result, "line %d, %s %zu: result %d", v->line, how, cut,
                  (int)got.result);
    ck_assert_msg(got.lines == want.lines, "line %d, %s %zu: %d lines", v->line, how, cut,
                  (int)got.lines);
    ck_assert_msg(got.result != WRONG || strcmp(got.why, want.why) == 0, "line %d: %s", v->line,
                  got.why);
    got.why = want.why;
    ck_assert_msg(batch_same(&got, &want), "line %d, %s %zu: %.*s", v->line, how, cut, (int)got.n,
                  got.p);
    free(got.p);
    free(want.p);
}

static void check_vector(enum batch_kind kind, const struct vector *v)
{
    for (int late = 0; late < 2; late++) {
        compare(v, batch_collect(kind, v->body, batch_whole, NULL, late), "whole", 0);
        compare(v, batch_collect(kind, v->body, batch_byte, NULL, late), "by bytes", 0);
        for (size_t i = 1; i < v->body.n; i++) {
            size_t cut = i;
            compare(v, batch_collect(kind, v->body, batch_cut, &cut, late), "cut at", i);
        }
    }
    if (kind == BATCH_EVENT_STREAM)
        compare(v, plain_read(v->body), "plain", 0);
}

START_TEST(reads_streams)
{
    check_vector(BATCH_EVENT_STREAM, &streams[_i]);
}
END_TEST

START_TEST(reads_ndjson)
{
    check_vector(BATCH_NDJSON, &ndjson[_i]);
}
END_TEST

/* ---- at random ---- */

static size_t random_size(void *arg, size_t left)
{
    size_t n = 1 + random_next(arg) % (random_next(arg) % 4 == 0 ? 30 : 4);
    return n < left ? n : left;
}

static void check_random(enum batch_kind kind, const char *const pieces[], size_t count)
{
    uint64_t start = seed(), state = start;
    for (unsigned i = 0; i < 4000; i++) {
        char body[2048];
        struct text t = text_in(body, sizeof(body));
        for (uint64_t k = random_next(&state) % 24; k > 0; k--)
            text_str(&t, pieces[random_next(&state) % count]);
        struct span s = text_span(&t);
        struct batch_log whole = batch_collect(kind, s, batch_whole, NULL, false);
        struct batch_log split = batch_collect(kind, s, random_size, &state, i % 2 != 0);
        ck_assert_msg(batch_same(&whole, &split), SEED_FMT ": %.*s", start, (int)s.n, s.p);
        free(split.p);
        if (kind == BATCH_EVENT_STREAM) {
            struct batch_log plain = plain_read(s);
            ck_assert_msg(batch_same(&whole, &plain), SEED_FMT ": %.*s", start, (int)s.n, s.p);
            free(plain.p);
        }
        free(whole.p);
    }
}

START_TEST(random_streams)
{
    static const char *const pieces[] = {"\n",
                                         "\r",
                                         "\r\n",
                                         "\n\n",
                                         "\r\n\r\n",
                                         "data",
                                         "data:",
                                         "data: ",
                                         "event: ",
                                         "event:",
                                         "x",
                                         "abc",
                                         "a longer piece of text",
                                         " ",
                                         ":",
                                         "id: 5\n",
                                         ": c\n",
                                         "data: one\n",
                                         "event: two\r",
                                         "\xEF\xBB\xBF",
                                         "\xEF",
                                         "\xBB\xBF"};
    check_random(BATCH_EVENT_STREAM, pieces, COUNT(pieces));
}
END_TEST

START_TEST(random_ndjson)
{
    static const char *const pieces[] = {"\n",
                                         "\n",
                                         "\r\n",
                                         "1",
                                         "[1,2]\n",
                                         "{\"data\":\"x\\n\"}\n",
                                         "\"a\"\r\n",
                                         " ",
                                         "{\"event\":\"e\",\"base64\":\"AAEC\"}\n",
                                         "{\"data\":1}\n",
                                         "{}\n"};
    check_random(BATCH_NDJSON, pieces, COUNT(pieces));
}
END_TEST

/* ---- at what cost ---- */

#define BIG (2u << 20)

static const struct {
    const char *head, *piece, *tail; /* the body: one head, as many pieces as are BIG, one tail */
    enum batch_kind kind;
    bool many; /* each piece is a message, else all is one */
} bigs[] = {
    {"data: ", "x", "\n\n", BATCH_EVENT_STREAM, false},
    {"data: ", "data: y\n", "\n\n", BATCH_EVENT_STREAM, false},
    {"data\r", "data: y\r", "\r\r", BATCH_EVENT_STREAM, false},
    {"data: x\n", "event: e\ndata: y\n", "event: f\n\n", BATCH_EVENT_STREAM, false},
    {"data: x\n", ": comment\n", "\n", BATCH_EVENT_STREAM, false},
    {"", ": comment\n", "data\n\n", BATCH_EVENT_STREAM, false},
    {"", "\r\n", "data\n\n", BATCH_EVENT_STREAM, false},
    {"", "data\r\r", "", BATCH_EVENT_STREAM, true},
    {"", "data: a\r\n\r\n", "", BATCH_EVENT_STREAM, true},
    {"\"", "x", "\"\n", BATCH_NDJSON, false},
    {"{\"data\":\"", "\\n", "\"}\n", BATCH_NDJSON, false},
    {"[1", ",[1]", "]\n", BATCH_NDJSON, false},
    {"", "\n", "1\n", BATCH_NDJSON, false},
    {"", "1\n", "", BATCH_NDJSON, true},
};

/* The bytes come so many at a time, in place; a cost that grows with the square of the size would
 * take hours. */
static void check_cost(const struct text *body, size_t step, enum batch_kind kind, size_t want)
{
    struct batch b = {.kind = (uint8_t)kind};
    char *p = malloc(body->n > 0 ? body->n : 1);
    ck_assert_ptr_nonnull(p);
    memcpy(p, body->p, body->n);
    size_t from = 0, arrived = 0, messages = 0;
    while (arrived < body->n) {
        arrived = body->n - arrived < step ? body->n : arrived + step;
        enum batch_result result = BATCH_MESSAGE;
        while (result == BATCH_MESSAGE) {
            struct batch_message m;
            const char *why;
            size_t took;
            result = batch_next(&b, p + from, arrived - from, arrived == body->n, &took, &m, &why);
            from += took;
            messages += result == BATCH_MESSAGE;
        }
        if (result != BATCH_MORE) /* an assertion that holds is slow */
            ck_abort_msg("wrong at %zu", from);
    }
    ck_assert_uint_eq(from, body->n);
    ck_assert_uint_eq(messages, want);
    free(p);
}

START_TEST(cost_is_linear)
{
    size_t cap = BIG + 64, pieces = BIG / strlen(bigs[_i].piece);
    struct text body = text_in(malloc(cap), cap);
    ck_assert_ptr_nonnull(body.p);
    text_str(&body, bigs[_i].head);
    for (size_t i = 0; i < pieces; i++)
        text_str(&body, bigs[_i].piece);
    text_str(&body, bigs[_i].tail);
    ck_assert(!body.full);
    size_t want = bigs[_i].many ? pieces : 1;
    check_cost(&body, 1, bigs[_i].kind, want);
    check_cost(&body, 1000, bigs[_i].kind, want);
    check_cost(&body, body.n, bigs[_i].kind, want);
    free(body.p);
}
END_TEST

/* What is no part of a message is dropped as it comes, and need not be kept. */
START_TEST(drops_early)
{
    static const struct {
        const char *arrived;
        size_t took;
    } rows[] = {
        {": comment\n: ano", 10}, {"\n\n\r\n", 4},      {"id: 5\n\nretry: 4\n", 16},
        {"data: a\n: c\n", 0},    {"event: e\n\n", 10}, {"foo\nevent: e\n: c\n", 4},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct batch b = {.kind = BATCH_EVENT_STREAM};
        struct batch_message m;
        const char *why;
        struct span s = span_of(rows[i].arrived);
        char *p = on_heap(s);
        size_t took, again;
        ck_assert_int_eq(batch_next(&b, p, s.n, false, &took, &m, &why), BATCH_MORE);
        ck_assert_msg(took == rows[i].took, "row %zu: %zu", i, took);
        ck_assert_int_eq(batch_next(&b, p + took, s.n - took, false, &again, &m, &why), BATCH_MORE);
        ck_assert_uint_eq(again, 0);
        free(p);
    }
}
END_TEST

/* A message is given as soon as the first byte of its last line end is there. */
START_TEST(gives_at_once)
{
    char body[] = "data: a\r\n\r";
    struct batch b = {.kind = BATCH_EVENT_STREAM};
    struct batch_message m;
    const char *why;
    size_t took;
    ck_assert_int_eq(batch_next(&b, body, strlen(body), false, &took, &m, &why), BATCH_MESSAGE);
    ck_assert(span_eq(m.data, SPAN("a")) && took == strlen(body));
    ck_assert_int_eq(batch_next(&b, NULL, 0, false, &took, &m, &why), BATCH_MORE);
    ck_assert_int_eq(batch_next(&b, NULL, 0, true, &took, &m, &why), BATCH_MORE);
    ck_assert_uint_eq(took, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("batch");
    TCase *tc = tcase_create("batch");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, reads_streams, 0, (int)COUNT(streams));
    tcase_add_loop_test(tc, reads_ndjson, 0, (int)COUNT(ndjson));
    tcase_add_test(tc, random_streams);
    tcase_add_test(tc, random_ndjson);
    tcase_add_loop_test(tc, cost_is_linear, 0, (int)COUNT(bigs));
    tcase_add_test(tc, drops_early);
    tcase_add_test(tc, gives_at_once);
    suite_add_tcase(s, tc);
    return run(s);
}
