/*
 * http.c - end to end: HTTP/1.1 as a client sees it: connections, pipelines, errors that
 * say what is wrong, other origins.
 */
#include "test/kit/e2e.h"
#include "test/kit/kit.h"

#include <string.h>
#include <sys/socket.h>

static struct e2e_server s;
static struct e2e_response r;

#define POST_X "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx"

/* The connection must still take requests. */
static void expect_alive(struct e2e_conn *c)
{
    e2e_send(c, "GET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_response(c, &r);
    e2e_expect_status(&r, 200, NULL);
}

/* ---- connections ---- */

START_TEST(test_keep_alive)
{
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_open(&s);
    for (int i = 0; i < 5; i++) {
        e2e_send(c, POST_X);
        e2e_response(c, &r);
        e2e_expect_status(&r, 201, NULL);
        ck_assert(!e2e_field_has(&r, "Connection", "close"));
        expect_alive(c);
    }
    e2e_send(c, "GET /-/healthy HTTP/1.1\r\nHost: test\r\nConnection: x, Close\r\n\r\n");
    e2e_response(c, &r);
    e2e_expect_status(&r, 200, NULL);
    ck_assert(e2e_field_has(&r, "Connection", "close"));
    e2e_expect_end(c);
    e2e_stop(&s);
}
END_TEST

START_TEST(test_http_1_0)
{
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_open(&s);
    e2e_send(c, "POST /news HTTP/1.0\r\nContent-Length: 1\r\n\r\nx");
    e2e_response(c, &r);
    e2e_expect_status(&r, 201, NULL);
    e2e_expect_end(c);
    c = e2e_open(&s);
    for (int i = 0; i < 3; i++) {
        e2e_send(c, "POST /news HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx");
        e2e_response(c, &r);
        e2e_expect_status(&r, 201, NULL);
        ck_assert(e2e_field_has(&r, "Connection", "keep-alive"));
    }
    e2e_send(c, "GET /news?since=-1 HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n");
    e2e_response(c, &r);
    e2e_expect_status(&r, 200, NULL);
    e2e_until(c, "data: x\n");
    e2e_stop(&s);
}
END_TEST

START_TEST(test_pipeline)
{
    enum { MANY = 1000 };
    static char text[MANY * sizeof(POST_X)];
    e2e_start(&s, NULL);
    struct e2e_conn *sub = e2e_subscribe(&s, "/news", NULL);
    struct e2e_conn *c = e2e_open(&s);
    for (int i = 0; i < MANY; i++)
        strcpy(text + i * (int)(sizeof(POST_X) - 1), POST_X);
    e2e_send(c, text);
    for (int i = 1; i <= MANY; i++) {
        char id[32];
        e2e_response(c, &r);
        e2e_expect_status(&r, 201, NULL);
        snprintf(id, sizeof(id), "-%d\"", i);
        ck_assert_msg(strstr(r.body, id) != NULL, "answer %d: %s", i, r.body);
    }
    for (int i = 1; i <= MANY; i++)
        e2e_expect_message(sub, NULL, "x", NULL);
    expect_alive(c);
    e2e_stop(&s);
}
END_TEST

/* Different requests in one write, answered in their order; the last one is a stream. */
START_TEST(test_pipeline_of_all_kinds)
{
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_open(&s);
    e2e_send(c, POST_X "GET /nope HTTP/1.1\r\nHost: test\r\n\r\n"
                       "HEAD /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n"
                       "OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n"
                       "PATCH /news HTTP/1.1\r\nHost: test\r\n\r\n"
                       "POST /news HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "1;ext=\"v\"\r\ny\r\n2\r\nzz\r\n0\r\nTrailer: t\r\n\r\n"
                       "\r\nGET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n" POST_X
                       "GET /news?since=earliest HTTP/1.1\r\nHost: test\r\n"
                       "Accept: text/event-stream\r\n\r\n");
    static const int statuses[] = {201, 204, 200, 204, 405, 201, 200, 201, 200};
    for (size_t i = 0; i < COUNT(statuses); i++) {
        (i == 2 ? e2e_response_head : e2e_response)(c, &r);
        ck_assert_msg(r.status == statuses[i], "answer %zu: %d %s", i, r.status, r.body);
    }
    struct e2e_block b;
    e2e_block(c, &b);
    e2e_expect_message(c, NULL, "x", NULL);
    e2e_expect_message(c, NULL, "yzz", NULL);
    e2e_expect_message(c, NULL, "x", NULL);
    e2e_stop(&s);
}
END_TEST

/* One that pipelines and never reads its answers stops being read, and gets them all when it
 * does. */
START_TEST(test_pipeline_without_reading)
{
    static char text[4 << 20];
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_open_narrow(&s, 4096);
    size_t each = sizeof(POST_X) - 1, most = sizeof(text) / each * each;
    for (size_t i = 0; i < most; i += each)
        memcpy(text + i, POST_X, each);
    size_t sent = e2e_send_some(c, text, most, 1000);
    struct e2e_conn *other = e2e_open(&s);
    expect_alive(other);
    size_t answers = sent / each;
    ck_assert_uint_gt(answers, 100);
    for (size_t i = 1; i <= answers; i++) {
        char id[32];
        e2e_response(c, &r);
        snprintf(id, sizeof(id), "-%zu\"", i);
        ck_assert_msg(r.status == 201 && strstr(r.body, id) != NULL, "answer %zu: %s", i, r.body);
    }
    e2e_send_n(c, text + sent, sent % each != 0 ? each - sent % each : 0);
    if (sent % each != 0)
        e2e_response(c, &r);
    expect_alive(c);
    e2e_stop(&s);
}
END_TEST

START_TEST(test_byte_by_byte)
{
    e2e_start(&s, NULL);
    struct e2e_conn *sub = e2e_open(&s), *c = e2e_open(&s);
    e2e_send_slowly(sub, "GET /news HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n");
    e2e_response(sub, &r);
    e2e_expect_status(&r, 200, NULL);
    struct e2e_block b;
    e2e_block(sub, &b);
    e2e_send_slowly(c,
                    "POST /news?event=e HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello");
    e2e_response(c, &r);
    e2e_expect_status(&r, 201, NULL);
    e2e_expect_message(sub, "e", "hello", NULL);
    e2e_send_slowly(c, "POST /news HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "3;a=b\r\nabc\r\n02\r\nde\r\n0\r\nX: y\r\n\r\n");
    e2e_response(c, &r);
    e2e_expect_status(&r, 201, NULL);
    e2e_expect_message(sub, NULL, "abcde", NULL);
    e2e_send_slowly(c, "POST /news HTTP/1.1\r\nHost: test\r\nContent-Type: application/x-ndjson\r\n"
                       "Content-Length: 18\r\n\r\n1\r\n{\"data\":\"two\"}\n");
    e2e_response(c, &r);
    e2e_expect_status(&r, 201, NULL);
    e2e_expect_message(sub, NULL, "1", NULL);
    e2e_expect_message(sub, NULL, "two", NULL);
    expect_alive(c);
    e2e_stop(&s);
}
END_TEST

START_TEST(test_half_close)
{
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_open(&s);
    e2e_send(c, POST_X POST_X);
    e2e_half_close(c);
    e2e_response(c, &r);
    e2e_expect_status(&r, 201, NULL);
    e2e_response(c, &r);
    e2e_expect_status(&r, 201, NULL);
    e2e_expect_end(c);
    /* inside a request: nothing can come of it */
    c = e2e_open(&s);
    e2e_send(c, "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nx");
    e2e_half_close(c);
    e2e_until_end(c);
    struct e2e_conn *all = e2e_subscribe(&s, "/news?since=earliest", NULL);
    e2e_expect_message(all, NULL, "x", NULL);
    e2e_expect_message(all, NULL, "x", NULL);
    e2e_expect_silence(all, 50);
    e2e_stop(&s);
}
END_TEST

/* A reset in the middle of anything harms nobody else. */
START_TEST(test_resets)
{
    static const char *const parts[] = {
        "",
        "GET /news HT",
        "GET /news HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n",
        "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nabc",
        "POST /news HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        POST_X POST_X POST_X,
        "BAD\r\n\r\n",
    };
    e2e_start(&s, NULL);
    struct e2e_conn *sub = e2e_subscribe(&s, "/other", NULL);
    for (int i = 0; i < 200; i++) {
        struct linger now = {1, 0};
        struct e2e_conn *c = e2e_open(&s);
        e2e_send(c, parts[(size_t)i % COUNT(parts)]);
        if (i % 3 == 0)
            e2e_sleep_ms(1);
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        e2e_close(c);
        if (i % 5 == 0)
            e2e_publish(&s, "/news", "to those who may be gone");
    }
    e2e_publish(&s, "/other", "x");
    e2e_expect_message(sub, NULL, "x", NULL);
    e2e_stop(&s);
}
END_TEST

/* ---- bodies ---- */

START_TEST(test_expect_continue)
{
    e2e_start(&s, "--max-message", "1K", NULL);
    struct e2e_conn *c = e2e_open(&s);
    e2e_send(c, "POST /news HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\n"
                "Content-Length: 3\r\n\r\n");
    e2e_expect(c, "HTTP/1.1 100 Continue\r\n\r\n");
    e2e_send(c, "abc");
    e2e_response(c, &r);
    e2e_expect_status(&r, 201, NULL);
    expect_alive(c);
    /* refused at once: nobody sends the body */
    e2e_send(c, "POST /news HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\n"
                "Content-Length: 2000\r\n\r\n");
    e2e_need(c, 12);
    ck_assert_msg(memcmp(c->buf, "HTTP/1.1 413", 12) == 0, "%s", c->buf);
    e2e_response(c, &r);
    e2e_expect_status(&r, 413, "--max-message");
    /* the body is here already: 100 may be left out, and the answer may not come twice */
    c = e2e_open(&s);
    e2e_send(c, "POST /news HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\n"
                "Content-Length: 3\r\n\r\nabc");
    e2e_response(c, &r);
    e2e_expect_status(&r, 201, NULL);
    expect_alive(c);
    e2e_stop(&s);
}
END_TEST

START_TEST(test_largest_message)
{
    static char data[1 << 20];
    e2e_start(&s, "--max-message", "100K", NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    memset(data, 'd', sizeof(data));
    const char *id = e2e_publish_as(&s, "/news", NULL, data, 100 << 10);
    e2e_expect(c, "data: ");
    e2e_need(c, 100 << 10);
    ck_assert(memcmp(c->buf, data, 100 << 10) == 0);
    e2e_consume(c, 100 << 10);
    e2e_expect(c, "\nid: %s\n\n", id);

    struct e2e_conn *p = e2e_open(&s);
    e2e_send_publish(p, "/news", data, (100 << 10) + 1);
    e2e_response(p, &r);
    e2e_expect_status(&r, 413, "--max-message");
    ck_assert_msg(strstr(r.body, "102400") != NULL, "%s", r.body);
    p = e2e_open(&s);
    e2e_send(p, "POST /news HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 26; i++) {
        e2e_send(p, "1000\r\n");
        e2e_send_n(p, data, 4096);
        e2e_send(p, "\r\n");
    }
    e2e_response(p, &r);
    e2e_expect_status(&r, 413, "--max-message");
    p = e2e_open(&s);
    e2e_printf(p, "POST /news HTTP/1.1\r\nHost: test\r\nContent-Type: application/x-ndjson\r\n"
                  "Content-Length: 1000000\r\n\r\n1\n\"");
    e2e_send_n(p, data, 1000000 - 3);
    e2e_response(p, &r);
    e2e_expect_status(&r, 413, "--max-message");
    e2e_expect_message(c, NULL, "1", NULL);
    e2e_expect_silence(c, 50);
    e2e_stop(&s);
}
END_TEST

/* A client that sends on and only then reads sees the refusal, not a reset. */
START_TEST(test_linger)
{
    static char data[8 << 20];
    static const char *const heads[] = {
        "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 8388608\r\n\r\n",
        "PATCH /news HTTP/1.1\r\nHost: test\r\nContent-Length: 8388608\r\n\r\n",
        "POST /other HTTP/1.1\r\nHost: test\r\nContent-Length: 8388608\r\n\r\n",
        "NONSENSE\r\n\r\n",
    };
    static const int statuses[] = {413, 405, 404, 400};
    e2e_start(&s, "--topic", "news", NULL);
    memset(data, '\n', sizeof(data));
    for (size_t i = 0; i < COUNT(heads); i++) {
        struct e2e_conn *c = e2e_open(&s);
        e2e_send(c, heads[i]);
        e2e_send_n(c, data, sizeof(data));
        e2e_sleep_ms(100);
        e2e_response(c, &r);
        ck_assert_msg(r.status == statuses[i], "%d %s", r.status, r.body);
        ck_assert(e2e_field_has(&r, "Connection", "close"));
        e2e_half_close(c);
        e2e_expect_end(c);
    }
    e2e_stop(&s);
}
END_TEST

/* ---- curl ---- */

/* Runs a shell command with $U being the server's address; it must succeed. Returns its output. */
static const char *shell(const char *command)
{
    static char line[4096], text[16384];
    snprintf(line, sizeof(line), "U=%s; C='curl -sSf --max-time 10'; %s 2>&1", s.address[0],
             command);
    FILE *f = popen(line, "re");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    int status = pclose(f);
    ck_assert_msg(status == 0, "%s: status %d: %s", command, status, text);
    return text;
}

/* What people type: forms, files, uploads of unknown length with their Expect: 100-continue. */
START_TEST(test_curl)
{
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news,log", NULL);
    ck_assert_ptr_nonnull(strstr(shell("$C -d hello $U/news"), "\"subscribers\":1"));
    e2e_expect_message(c, "news", "hello", NULL);
    shell("$C -d 'two\nlines' \"$U/news?event=greeting\"");
    e2e_expect_message(c, "greeting", "two\nlines", NULL);
    shell("(echo 1; sleep 0.3; echo '{\"data\":\"two\"}') | "
          "$C -T - -H 'Content-Type: application/x-ndjson' $U/log");
    e2e_expect_message(c, "log", "1", NULL);
    e2e_expect_message(c, "log", "two", NULL);
    shell("printf 'data: a\\n\\nevent: e\\ndata: b\\n\\n' | "
          "$C -T - -H 'Content-Type: text/event-stream' $U/log");
    e2e_expect_message(c, "log", "a", NULL);
    e2e_expect_message(c, "e", "b", NULL);
    shell("head -c 200000 /dev/zero | tr '\\0' x | $C --data-binary @- -H 'Expect: 100-continue' "
          "$U/big");
    ck_assert_ptr_nonnull(strstr(shell("$C -i -X OPTIONS $U/news"), "204 No Content"));
    ck_assert_ptr_nonnull(strstr(shell("$C --http2 $U/-/healthy"), "ok"));
    const char *got = shell("curl -sN --max-time 1 -H 'Accept: text/event-stream' "
                            "\"$U/news?since=earliest\" || test $? = 28");
    ck_assert_ptr_nonnull(strstr(got, "\n\ndata: hello\nid: "));
    ck_assert_ptr_nonnull(strstr(got, "event: greeting\ndata: two\ndata: lines\n"));
    e2e_stop(&s);
}
END_TEST

/* ---- methods ---- */

START_TEST(test_head)
{
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_open(&s);
    e2e_send(c, "HEAD /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_response_head(c, &r);
    e2e_expect_status(&r, 200, NULL);
    ck_assert_ptr_nonnull(e2e_field(&r, "Content-Length"));
    e2e_send(c, "HEAD /-/none HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_response_head(c, &r);
    e2e_expect_status(&r, 404, NULL);
    expect_alive(c);
    e2e_send(c, "HEAD /news HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n");
    e2e_response_head(c, &r);
    e2e_expect_status(&r, 200, NULL);
    ck_assert_str_eq(e2e_field(&r, "Content-Type"), "text/event-stream; charset=utf-8");
    e2e_expect_end(c);
    e2e_stop(&s);
}
END_TEST

START_TEST(test_options)
{
    static const char *const targets[] = {"*", "/news", "/a,b", "/-/healthy"};
    e2e_start(&s, NULL);
    for (size_t i = 0; i < COUNT(targets); i++) {
        e2e_ask(&s, &r, "OPTIONS %s HTTP/1.1\r\nHost: test\r\n\r\n", targets[i]);
        e2e_expect_status(&r, 204, NULL);
        ck_assert(e2e_field_has(&r, "Allow", "OPTIONS"));
        ck_assert(e2e_field_has(&r, "Allow", "GET"));
    }
    e2e_stop(&s);
}
END_TEST

START_TEST(test_own_paths)
{
    e2e_start(&s, NULL);
    e2e_publish(&s, "/news", "x");
    e2e_ask(&s, &r, "GET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_expect_status(&r, 200, NULL);
    e2e_ask(&s, &r, "GET /-/metrics HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_expect_status(&r, 200, NULL);
    ck_assert_ptr_nonnull(strstr(r.body, "\nsse_messages_published_total 1\n"));
    ck_assert_ptr_nonnull(strstr(r.body, "# TYPE sse_connections gauge\n"));
    ck_assert_ptr_nonnull(strstr(e2e_field(&r, "Content-Type"), "text/plain"));
    e2e_stop(&s);
}
END_TEST

/* ---- errors ---- */

static const struct {
    int line;
    int status;
    const char *detail, *request;
} errors[] = {
    /* not HTTP */
    {__LINE__, 400, NULL, "\x16\x03\x01\x02\r\n\r\n"},
    {__LINE__, 400, NULL, "GET\r\n\r\n"},
    {__LINE__, 400, NULL, "GET  /news HTTP/1.1\r\nHost: test\r\n\r\n"},
    {__LINE__, 400, NULL, "GET /ne ws HTTP/1.1\r\nHost: test\r\n\r\n"},
    {__LINE__, 400, NULL, "GET news HTTP/1.1\r\nHost: test\r\n\r\n"},
    {__LINE__, 400, NULL, "GET /news\r\nHost: test\r\n\r\n"},
    {__LINE__, 400, NULL, "GET /news HTTP/1.1\nHost: test\n\n"},
    {__LINE__, 400, NULL, "GET /news HTTP/1.1\r\n\r\n"},
    {__LINE__, 400, NULL, "GET /news HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
    {__LINE__, 400, NULL, "GET /news HTTP/1.1\r\nHost : test\r\n\r\n"},
    {__LINE__, 400, NULL, "GET /news HTTP/1.1\r\nHost: test\r\n folded\r\n\r\n"},
    {__LINE__, 400, NULL, "GET /news HTTP/1.1\r\nHost: test\r\nX: a\x01\r\n\r\n"},
    {__LINE__, 400, NULL, "GET /news HTTP/1.1\r\nHost: test\r\nX y\r\n\r\n"},
    /* two readings of where the body ends */
    {__LINE__, 400, NULL,
     "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"},
    {__LINE__, 400, NULL, "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: +1\r\n\r\nx"},
    {__LINE__, 400, NULL, "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: -1\r\n\r\nx"},
    {__LINE__, 400, NULL, "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 0x1\r\n\r\nx"},
    {__LINE__, 400, NULL,
     "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 18446744073709551617\r\n\r\nx"},
    {__LINE__, 400, NULL,
     "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
     "1\r\nx\r\n0\r\n\r\n"},
    {__LINE__, 400, NULL,
     "POST /news HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nz\r\nx\r\n"},
    {__LINE__, 400, NULL,
     "POST /news HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n"},
    {__LINE__, 400, NULL,
     "POST /news HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\n0\n\n"},
    /* the rest of the list */
    {__LINE__, 403, "--cors",
     "POST /news HTTP/1.1\r\nHost: test\r\nOrigin: http://evil.example\r\n"
     "Content-Length: 1\r\n\r\nx"},
    {__LINE__, 405, NULL, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx"},
    {__LINE__, 404, "/-/", "GET /-/nope HTTP/1.1\r\nHost: test\r\n\r\n"},
    {__LINE__, 405, "PATCH", "PATCH /news HTTP/1.1\r\nHost: test\r\n\r\n"},
    {__LINE__, 405, "PATCH", "PATCH /news HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx"},
    {__LINE__, 405, NULL, "POST /-/healthy HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx"},
    {__LINE__, 406, "text/event-stream",
     "GET /news HTTP/1.1\r\nHost: test\r\nAccept: text/html\r\n\r\n"},
    {__LINE__, 406, "application/json",
     "GET /news HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream;q=0\r\n\r\n"},
    {__LINE__, 413, "--max-message",
     "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 999999\r\n\r\nx"},
    {__LINE__, 413, "--max-message",
     "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 9000000000000000000\r\n\r\nx"},
    {__LINE__, 415, "Content-Encoding",
     "POST /news HTTP/1.1\r\nHost: test\r\n"
     "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"},
    {__LINE__, 415, "UTF-8", "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\n\xff"},
    {__LINE__, 417, "100-continue",
     "POST /news HTTP/1.1\r\nHost: test\r\nExpect: the-worst\r\nContent-Length: 1\r\n\r\nx"},
    {__LINE__, 501, NULL, "BREW /news HTTP/1.1\r\nHost: test\r\n\r\n"},
    {__LINE__, 501, NULL, "get /news HTTP/1.1\r\nHost: test\r\n\r\n"},
    {__LINE__, 501, "Transfer-Encoding",
     "POST /news HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
    {__LINE__, 505, "HTTP/1.1", "GET /news HTTP/2.0\r\nHost: test\r\n\r\n"},
};

START_TEST(test_errors)
{
    e2e_start(&s, "--max-message", "64K", NULL);
    for (size_t i = 0; i < COUNT(errors); i++) {
        e2e_ask(&s, &r, "%s", errors[i].request);
        ck_assert_msg(r.status == errors[i].status, "line %d: %d %s", errors[i].line, r.status,
                      r.body);
        e2e_expect_status(&r, errors[i].status, errors[i].detail);
        if (r.status == 405)
            ck_assert_msg(e2e_field_has(&r, "Allow", "GET"), "line %d: %s", errors[i].line, r.head);
    }
    struct e2e_conn *c = e2e_subscribe(&s, "/news?since=earliest", NULL);
    e2e_expect_silence(c, 50);
    e2e_stop(&s);
}
END_TEST

/* The same byte by byte. */
START_TEST(test_errors_slowly)
{
    e2e_start(&s, "--max-message", "64K", NULL);
    for (size_t i = 0; i < COUNT(errors); i++) {
        struct e2e_conn *c = e2e_open(&s);
        for (size_t b = 0; b < strlen(errors[i].request); b++)
            if (e2e_send_some(c, errors[i].request + b, 1, 1000) != 1)
                break; /* it has been refused and closed */
        e2e_response(c, &r);
        ck_assert_msg(r.status == errors[i].status, "line %d: %d %s", errors[i].line, r.status,
                      r.body);
        e2e_close(c);
    }
    e2e_stop(&s);
}
END_TEST

/* After a refusal whose request had no body the connection goes on. */
START_TEST(test_goes_on_after_an_error)
{
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_open(&s);
    e2e_send(c, "GET /news HTTP/1.1\r\nHost: test\r\nAccept: text/html\r\n\r\n");
    e2e_response(c, &r);
    e2e_expect_status(&r, 406, NULL);
    expect_alive(c);
    e2e_send(c, "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\n\xff");
    e2e_response(c, &r);
    e2e_expect_status(&r, 415, NULL);
    expect_alive(c);
    e2e_stop(&s);
}
END_TEST

START_TEST(test_line_and_head_limits)
{
    static char name[40000];
    e2e_start(&s, "--max-line", "2K", "--max-head", "8K", NULL);
    memset(name, 'n', sizeof(name));
    name[3000] = '\0';
    e2e_ask(&s, &r, "GET /%s HTTP/1.1\r\nHost: test\r\n\r\n", name);
    e2e_expect_status(&r, 414, "--max-line");
    ck_assert_ptr_nonnull(strstr(r.body, "2048"));
    name[3000] = 'n';
    name[9000] = '\0';
    e2e_ask(&s, &r, "GET /news HTTP/1.1\r\nHost: test\r\nX: %s\r\n\r\n", name);
    e2e_expect_status(&r, 431, "--max-head");
    ck_assert_ptr_nonnull(strstr(r.body, "8192"));
    name[7900] = '\0';
    struct e2e_conn *c = e2e_open(&s);
    e2e_printf(c, "GET /-/healthy HTTP/1.1\r\nHost: test\r\nX: %s\r\n\r\n", name);
    e2e_response(c, &r);
    e2e_expect_status(&r, 200, NULL);
    /* many names that the server has no use for are no trouble, many that it has are */
    e2e_send(c, "GET /-/healthy HTTP/1.1\r\nHost: test\r\n");
    for (int i = 0; i < 300; i++)
        e2e_printf(c, "X-%d: y\r\n", i);
    e2e_send(c, "\r\n");
    e2e_response(c, &r);
    e2e_expect_status(&r, 200, NULL);
    e2e_send(c, "GET /-/healthy HTTP/1.1\r\nHost: test\r\n");
    for (int i = 0; i < 100; i++)
        e2e_send(c, "Cookie: a=b\r\n");
    e2e_send(c, "\r\n");
    e2e_response(c, &r);
    e2e_expect_status(&r, 431, NULL);
    e2e_stop(&s);
}
END_TEST

static const struct {
    int line;
    const char *accept;
    int status;
    const char *type; /* of the answer */
} accepts[] = {
    {__LINE__, "text/event-stream", 200, "text/event-stream; charset=utf-8"},
    {__LINE__, "Text/Event-Stream", 200, "text/event-stream; charset=utf-8"},
    {__LINE__, "text/event-stream; charset=utf-8", 200, "text/event-stream; charset=utf-8"},
    {__LINE__, "text/html, text/event-stream;q=0.5", 200, "text/event-stream; charset=utf-8"},
    {__LINE__, "application/ndjson", 200, "application/x-ndjson"},
    {__LINE__, "application/jsonl, */*;q=0.1", 200, "application/x-ndjson"},
    {__LINE__, "application/jsonl;q=0, application/json", 200, "application/json"},
    {__LINE__, "application/json", 200, "application/json"},
    {__LINE__, "*/*", 200, "application/json"},
    {__LINE__, "text/*", 200, "text/plain"},
    {__LINE__, "application/*;q=0.1, text/plain", 200, "text/plain"},
    {__LINE__, "application/x-ndjson, */*;q=0.1", 200, "application/x-ndjson"},
    {__LINE__, "application/json;q=0.2, application/x-ndjson;q=0.3", 200, "application/x-ndjson"},
    {__LINE__, "text/event-stream;q=0, */*", 200, "application/json"},
    {__LINE__, "text/event-stream;q=0", 406, "application/problem+json"},
    {__LINE__, "text/event-streams", 406, "application/problem+json"},
    {__LINE__, "text/html", 406, "application/problem+json"},
};

START_TEST(test_accept)
{
    e2e_start(&s, NULL);
    e2e_ask(&s, &r, "%s", POST_X);
    for (size_t i = 0; i < COUNT(accepts); i++) {
        e2e_ask(&s, &r, "GET /news HTTP/1.1\r\nHost: test\r\nAccept: %s\r\n\r\n",
                accepts[i].accept);
        const char *type = e2e_field(&r, "Content-Type");
        ck_assert_msg(r.status == accepts[i].status, "line %d: %d", accepts[i].line, r.status);
        ck_assert_msg(type != NULL && strncmp(type, accepts[i].type, strlen(accepts[i].type)) == 0,
                      "line %d: %s", accepts[i].line, type);
    }
    e2e_ask(&s, &r,
            "GET http://test/news HTTP/1.1\r\nHost: test\r\n"
            "Accept: text/event-stream\r\n\r\n");
    e2e_expect_status(&r, 200, NULL);
    e2e_stop(&s);
}
END_TEST

/* ---- other origins ---- */

#define PAGE "https://page.example"

static const struct {
    int line;
    const char *request; /* up to the fields */
    const char *rest;
    int status;
} cors_requests[] = {
    {__LINE__, "POST /news HTTP/1.1", "Content-Length: 1\r\n\r\nx", 201},
    {__LINE__, "GET /news HTTP/1.1", "Accept: text/event-stream\r\n\r\n", 200},
    {__LINE__, "GET /news HTTP/1.1", "Accept: text/html\r\n\r\n", 406},
    {__LINE__, "GET /nothing HTTP/1.1", "\r\n", 204},
    {__LINE__, "GET /nothing HTTP/1.1", "If-None-Match: *\r\n\r\n", 304},
    {__LINE__, "GET /-/nope HTTP/1.1", "\r\n", 404},
    {__LINE__, "OPTIONS /news HTTP/1.1", "\r\n", 204},
    {__LINE__, "PATCH /news HTTP/1.1", "\r\n", 405},
    {__LINE__, "POST /news HTTP/1.1", "Content-Length: 99999999\r\n\r\nx", 413},
    {__LINE__, "POST /news HTTP/1.1", "Content-Length: 1\r\n\r\n\xff", 415},
    {__LINE__, "POST /news HTTP/1.1", "Transfer-Encoding: chunked\r\n\r\nz\r\n", 400},
    {__LINE__, "GET /-/healthy HTTP/1.1", "\r\n", 200},
};

/* What the server answers to a page of `origin`; NULL: no Access-Control-Allow-Origin. */
static void cors_row(size_t i, const char *origin, const char *allowed, int refused)
{
    const char *method = cors_requests[i].request;
    bool publishes = strncmp(method, "POST", 4) == 0;
    e2e_ask(&s, &r, "%s\r\nHost: test\r\nOrigin: %s\r\n%s", cors_requests[i].request, origin,
            cors_requests[i].rest);
    int status = refused != 0 && publishes ? refused : cors_requests[i].status;
    ck_assert_msg(r.status == status, "line %d: %d %s", cors_requests[i].line, r.status, r.body);
    const char *got = e2e_field(&r, "Access-Control-Allow-Origin");
    if (allowed == NULL)
        ck_assert_msg(got == NULL, "line %d: %s", cors_requests[i].line, got);
    else
        ck_assert_msg(got != NULL && strcmp(got, allowed) == 0, "line %d: %s",
                      cors_requests[i].line, r.head);
}

START_TEST(test_cors_listed)
{
    e2e_start(&s, "--cors", PAGE, "--cors", "http://localhost:3000", NULL);
    for (size_t i = 0; i < COUNT(cors_requests); i++) {
        cors_row(i, PAGE, PAGE, 0);
        ck_assert(e2e_field_has(&r, "Vary", "Origin"));
        cors_row(i, "http://localhost:3000", "http://localhost:3000", 0);
        cors_row(i, "http://page.example", NULL, 403);
        ck_assert(e2e_field_has(&r, "Vary", "Origin"));
        cors_row(i, "https://page.example.evil", NULL, 403);
        cors_row(i, "null", NULL, 403);
    }
    e2e_stop(&s);
}
END_TEST

START_TEST(test_cors_any)
{
    e2e_start(&s, "--cors", "*", NULL);
    for (size_t i = 0; i < COUNT(cors_requests); i++) {
        cors_row(i, PAGE, "*", 0);
        cors_row(i, "null", "*", 0);
        ck_assert_ptr_null(e2e_field(&r, "Access-Control-Allow-Credentials"));
    }
    /* also where the request could not be read */
    e2e_ask(&s, &r, "GET /news HTTP/1.1\r\nHost: test\r\nOrigin: " PAGE "\r\nbad\r\n\r\n");
    e2e_expect_status(&r, 400, NULL);
    ck_assert_ptr_nonnull(e2e_field(&r, "Access-Control-Allow-Origin"));
    e2e_stop(&s);
}
END_TEST

START_TEST(test_cors_none)
{
    e2e_start(&s, NULL);
    for (size_t i = 0; i < COUNT(cors_requests); i++)
        cors_row(i, PAGE, NULL, 403);
    /* a page of the server's own is no stranger */
    cors_row(0, "http://test", NULL, 0);
    e2e_ask(&s, &r,
            "OPTIONS /news HTTP/1.1\r\nHost: test\r\nOrigin: " PAGE
            "\r\nAccess-Control-Request-Method: POST\r\n\r\n");
    ck_assert_ptr_null(e2e_field(&r, "Access-Control-Allow-Methods"));
    e2e_stop(&s);
}
END_TEST

START_TEST(test_cors_null)
{
    e2e_start(&s, "--cors", "null", NULL);
    cors_row(0, "null", "null", 0);
    cors_row(0, PAGE, NULL, 403);
    e2e_stop(&s);
}
END_TEST

START_TEST(test_preflight)
{
    e2e_start(&s, "--cors", PAGE, NULL);
    e2e_ask(&s, &r,
            "OPTIONS /news HTTP/1.1\r\nHost: test\r\nOrigin: " PAGE "\r\n"
            "Access-Control-Request-Method: PUT\r\n"
            "Access-Control-Request-Headers: content-type, last-event-id\r\n\r\n");
    e2e_expect_status(&r, 204, NULL);
    ck_assert_str_eq(e2e_field(&r, "Access-Control-Allow-Origin"), PAGE);
    ck_assert(e2e_field_has(&r, "Access-Control-Allow-Methods", "PUT"));
    ck_assert(e2e_field_has(&r, "Access-Control-Allow-Methods", "POST"));
    ck_assert(e2e_field_has(&r, "Access-Control-Allow-Headers", "content-type"));
    ck_assert(e2e_field_has(&r, "Access-Control-Allow-Headers", "last-event-id"));
    ck_assert_ptr_nonnull(e2e_field(&r, "Access-Control-Max-Age"));
    e2e_stop(&s);
}
END_TEST

/* ---- main ---- */

int main(void)
{
    Suite *suite = suite_create("serve_http");
    TCase *conn = tcase_create("connections"), *error = tcase_create("errors");
    TCase *cors = tcase_create("origins");
    tcase_set_timeout(conn, 60);
    tcase_add_test(conn, test_keep_alive);
    tcase_add_test(conn, test_http_1_0);
    tcase_add_test(conn, test_pipeline);
    tcase_add_test(conn, test_pipeline_of_all_kinds);
    tcase_add_test(conn, test_pipeline_without_reading);
    tcase_add_test(conn, test_byte_by_byte);
    tcase_add_test(conn, test_half_close);
    tcase_add_test(conn, test_resets);
    tcase_add_test(conn, test_expect_continue);
    tcase_add_test(conn, test_largest_message);
    tcase_add_test(conn, test_linger);
    tcase_add_test(conn, test_curl);
    tcase_add_test(conn, test_head);
    tcase_add_test(conn, test_options);
    tcase_add_test(conn, test_own_paths);
    suite_add_tcase(suite, conn);
    tcase_set_timeout(error, 60);
    tcase_add_test(error, test_errors);
    tcase_add_test(error, test_errors_slowly);
    tcase_add_test(error, test_goes_on_after_an_error);
    tcase_add_test(error, test_line_and_head_limits);
    tcase_add_test(error, test_accept);
    suite_add_tcase(suite, error);
    tcase_set_timeout(cors, 60);
    tcase_add_test(cors, test_cors_listed);
    tcase_add_test(cors, test_cors_any);
    tcase_add_test(cors, test_cors_none);
    tcase_add_test(cors, test_cors_null);
    tcase_add_test(cors, test_preflight);
    suite_add_tcase(suite, cors);
    return run(suite);
}
