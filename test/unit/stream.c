/*
 * stream.c - stream.h: the blocks of an event stream that are not messages, byte by byte, and
 * what lib/batch, which reads event streams, makes of them.
 */
#include "lib/stream.h"

#include "lib/batch.h"
#include "lib/json.h"
#include "test/kit/kit.h"

#include <signal.h>

#define MAX_TEXT "18446744073709551615"

static void check(const struct text *t, const char *want)
{
    ck_assert(!t->full);
    ck_assert_msg(span_eq(text_span(t), span_of(want)), "%.*s", (int)t->n, t->p);
}

START_TEST(opens)
{
    char bytes[256];
    struct text t = text_in(bytes, sizeof(bytes));
    stream_open(&t, 2000, &(struct cursor){1790000000000, 17});
    check(&t, "retry: 2000\nid: 1790000000000-17\n\n");
    t.n = 0;
    stream_open(&t, 0, NULL);
    check(&t, "retry: 0\n\n");
    t.n = 0;
    stream_open(&t, UINT64_MAX, &(struct cursor){UINT64_MAX, UINT64_MAX});
    check(&t, "retry: " MAX_TEXT "\nid: " MAX_TEXT "-" MAX_TEXT "\n\n");
}
END_TEST

START_TEST(says_hello)
{
    char bytes[64];
    struct text t = text_in(bytes, sizeof(bytes));
    stream_hello(&t, &(struct cursor){5, 17});
    check(&t, "event: hello\ndata:\nid: 5-17\n\n");
    t.n = 0;
    stream_hello(&t, NULL);
    check(&t, "event: hello\ndata:\n\n");
}
END_TEST

START_TEST(heartbeats)
{
    char bytes[128];
    struct text t = text_in(bytes, sizeof(bytes));
    stream_heartbeat(&t, (struct cursor){5, 17});
    check(&t, "event: heartbeat\ndata: {\"id\":\"5-17\"}\nid: 5-17\n\n");
    t.n = 0;
    stream_id_object(&t, (struct cursor){5, 17}, false);
    check(&t, "{\"id\":\"5-17\"}");
    t.n = 0;
    stream_id_object(&t, (struct cursor){5, 17}, true);
    check(&t, "{\"heartbeat\":{\"id\":\"5-17\"}}");
}
END_TEST

START_TEST(checkpoints)
{
    char bytes[256];
    struct text t = text_in(bytes, sizeof(bytes));
    stream_checkpoint(&t, (struct cursor){0, 0});
    check(&t, "id: 0-0\n\n");
    t.n = 0;
    stream_checkpoint(&t, (struct cursor){UINT64_MAX, UINT64_MAX});
    check(&t, "id: " MAX_TEXT "-" MAX_TEXT "\n\n");
}
END_TEST

/* ---- gaps ---- */

#define A8   "aaaaaaaa"
#define A64  A8 A8 A8 A8 A8 A8 A8 A8
#define A128 A64 A64
#define E8   "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9"
#define E64  E8 E8 E8 E8 E8 E8 E8 E8

static const struct {
    int line;
    const char *reason;
    struct span after;
    uint64_t n;
    bool any;
    const char *after_json, *oldest_json;
} gaps[] = {
    {__LINE__, "expired", BYTES("5-1"), 7, true, "\"5-1\"", "\"5-8\""},
    {__LINE__, "unknown", BYTES("4-9"), 0, true, "\"4-9\"", "\"5-1\""},
    {__LINE__, "lagged", BYTES("5-0"), 7, false, "\"5-0\"", "null"},
    {__LINE__, "unknown", BYTES("5-0"), UINT64_MAX, false, "\"5-0\"", "null"},
    {__LINE__, "unknown", BYTES("5-0"), UINT64_MAX - 1, true, "\"5-0\"", "\"5-" MAX_TEXT "\""},
    /* what the client sent, whatever it is */
    {__LINE__, "unknown", BYTES(""), 7, true, "\"\"", "\"5-8\""},
    {__LINE__, "unknown", BYTES("W/\"5-1\""), 7, true, "\"W/\\\"5-1\\\"\"", "\"5-8\""},
    {__LINE__, "unknown", BYTES("a\\b</script>"), 7, true, "\"a\\\\b</script>\"", "\"5-8\""},
    {__LINE__, "unknown", BYTES("a\nid: 9-9\r\n\r\rb"), 7, true, "\"a\\nid: 9-9\\r\\n\\r\\rb\"",
     "\"5-8\""},
    {__LINE__, "unknown", BYTES("a\0\x1F\tb"), 7, true, "\"a\\u0000\\u001f\\tb\"", "\"5-8\""},
    {__LINE__, "unknown", BYTES("\xE2\x80\xA8\xE2\x80\xA9"), 7, true, "\"\\u2028\\u2029\"",
     "\"5-8\""},
    {__LINE__, "unknown", BYTES("\xC3\xA9"), 7, true, "\"\xC3\xA9\"", "\"5-8\""},
    {__LINE__, "unknown", BYTES("5-1\xFF"), 7, true, "null", "\"5-8\""},
    {__LINE__, "unknown", BYTES("\xC3"), 7, true, "null", "\"5-8\""},
    {__LINE__, "unknown", BYTES("\xED\xA0\x80"), 7, true, "null", "\"5-8\""},
    {__LINE__, "unknown", BYTES(A128), 7, true, "\"" A128 "\"", "\"5-8\""},
    {__LINE__, "unknown", BYTES(A128 "a"), 7, true, "null", "\"5-8\""},
    {__LINE__, "unknown", BYTES(E64 E64), 7, true, "\"" E64 E64 "\"", "\"5-8\""},
    {__LINE__, "unknown", BYTES(E64 E64 "\xC3\xA9"), 7, true, "null", "\"5-8\""},
};

START_TEST(tells_of_gaps)
{
    char bytes[2048], want[1024];
    struct text t = text_in(bytes, sizeof(bytes));
    char *after = on_heap(gaps[_i].after);
    stream_gap(&t, gaps[_i].reason, (struct span){after, gaps[_i].after.n},
               (struct cursor){5, gaps[_i].n}, gaps[_i].any);
    snprintf(want, sizeof(want),
             "event: gap\ndata: {\"reason\":\"%s\",\"after\":%s,\"oldest\":%s}\nid: 5-%" PRIu64
             "\n\n",
             gaps[_i].reason, gaps[_i].after_json, gaps[_i].oldest_json, gaps[_i].n);
    check(&t, want);
    free(after);

    /* one event, whose data is JSON */
    struct batch b = {.kind = BATCH_EVENT_STREAM};
    struct batch_message m;
    struct json_value v;
    size_t took, at;
    const char *why;
    ck_assert_int_eq(batch_next(&b, t.p, t.n, false, &took, &m, &why), BATCH_MESSAGE);
    ck_assert_uint_eq(took, t.n);
    ck_assert(span_eq(m.event, SPAN("gap")));
    ck_assert_msg(json_read(m.data, &v, &at) && v.kind == JSON_OBJECT, "line %d", gaps[_i].line);
}
END_TEST

/* Whatever bytes a client has sent as its cursor, they make one event and 2,048 bytes hold it. */
START_TEST(random_cursors)
{
    uint64_t start = seed(), state = start;
    for (int i = 0; i < 20000; i++) {
        char bytes[2048], after[140];
        struct text t = text_in(bytes, sizeof(bytes));
        size_t n = random_next(&state) % sizeof(after);
        uint64_t mask = random_next(&state) % 2 != 0 ? 0x1F : 0xFF;
        for (size_t k = 0; k < n; k++)
            after[k] = (char)(random_next(&state) & mask);
        stream_gap(&t, "unknown", (struct span){after, n}, (struct cursor){1, 2}, true);
        size_t lines = 0;
        for (size_t k = 0; k < t.n; k++)
            lines += t.p[k] == '\n' || t.p[k] == '\r';
        if (t.full || lines != 4 || memchr(t.p, '\0', t.n) != NULL)
            ck_abort_msg(SEED_FMT, start);
    }
}
END_TEST

/* A block without data is no message: it only moves the cursor. */
START_TEST(opening_is_no_message)
{
    char bytes[256];
    struct text t = text_in(bytes, sizeof(bytes));
    struct batch b = {.kind = BATCH_EVENT_STREAM};
    struct batch_message m;
    size_t took;
    const char *why;
    stream_open(&t, 2000, &(struct cursor){1, 2});
    stream_checkpoint(&t, (struct cursor){1, 3});
    ck_assert_int_eq(batch_next(&b, t.p, t.n, true, &took, &m, &why), BATCH_MORE);
}
END_TEST

/* No message has an id above the last. */
START_TEST(oldest_past_the_last)
{
    char bytes[512];
    struct text t = text_in(bytes, sizeof(bytes));
    stream_gap(&t, "expired", SPAN("1-1"), (struct cursor){1, UINT64_MAX}, true);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("stream");
    TCase *t = tcase_create("stream");
    tcase_add_test(t, opens);
    tcase_add_test(t, says_hello);
    tcase_add_test(t, heartbeats);
    tcase_add_test(t, checkpoints);
    tcase_add_loop_test(t, tells_of_gaps, 0, COUNT(gaps));
    tcase_add_test(t, random_cursors);
    tcase_add_test(t, opening_is_no_message);
    tcase_add_test_raise_signal(t, oldest_past_the_last, SIGABRT);
    suite_add_tcase(s, t);
    return run(s);
}
