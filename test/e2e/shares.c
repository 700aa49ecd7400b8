/*
 * shares.c - room that all share, end to end: what one client, or many together, can't take.
 */
#include "test/kit/auth_kit.h"
#include "test/kit/e2e.h"
#include "test/kit/kit.h"
#include "test/kit/metric.h"
#include "test/kit/socket.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static char key_file[] = "/tmp/check_shares.XXXXXX", reader[4096], writer[4096];

/* A field line with a token of these claims. */
static void token_field(char *out, size_t cap, const char *claims)
{
    static struct kit_token t;
    kit_make(&t, SPAN("{\"alg\":\"HS256\"}"), span_of(claims), SPAN(KIT_KEY));
    snprintf(out, cap, "Authorization: Bearer %.*s\r\n", (int)t.n, t.p);
}

static void keys_make(void)
{
    int fd = mkstemp(key_file);
    ck_assert_int_ne(fd, -1);
    ck_assert_int_gt(dprintf(fd, "%s\n", KIT_KEY), 0);
    close(fd);
    token_field(reader, sizeof(reader), "{\"subscribe\":[\"**\"]}");
    token_field(writer, sizeof(writer), "{\"publish\":[\"**\"],\"subscribe\":[\"**\"]}");
}

static void keys_unmake(void)
{
    unlink(key_file);
    snprintf(key_file, sizeof(key_file), "/tmp/check_shares.XXXXXX");
}

static long long metric(const struct e2e_server *s, const char *name)
{
    static struct e2e_response r;
    e2e_ask(s, &r, "GET /-/metrics HTTP/1.1\r\nHost: localhost\r\n%sConnection: close\r\n\r\n",
            reader);
    ck_assert_int_eq(r.status, 200);
    return metric_sum(r.body, name);
}

/* Waits until a metric has become at least that. */
static void metric_reaches(const struct e2e_server *s, const char *name, long long least)
{
    int64_t deadline = e2e_now_ms() + E2E_WAIT_MS;
    while (metric(s, name) < least) {
        if (e2e_now_ms() > deadline)
            e2e_fail("%s is %lld", name, metric(s, name));
        e2e_sleep_ms(20);
    }
}

/* The next frame closes, with that code and reason. */
static void expect_close(struct e2e_conn *c, unsigned code, const char *reason)
{
    struct socket_frame f;
    do {
        socket_read(c, &f);
        if (f.opcode != SOCKET_CLOSE)
            socket_done(c, &f);
    } while (f.opcode != SOCKET_CLOSE);
    ck_assert_msg(f.code == code && f.n >= strlen(reason) && strstr(f.data, reason) != NULL,
                  "%u: %.*s", f.code, (int)f.n, f.data);
}

/* The head of a message of so many bytes. */
static void begin(struct e2e_conn *c, unsigned long long size)
{
    char head[SOCKET_HEAD_MAX];
    e2e_send_n(c, head, socket_head(head, SOCKET_FIN | SOCKET_TEXT, size, 0));
}

static void publish_large(const struct e2e_server *s, size_t size)
{
    static char body[1 << 20];
    static struct e2e_response r;
    struct e2e_conn *c = e2e_open(s);
    memset(body, 'y', size);
    e2e_printf(c, "POST /a HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n", writer,
               size);
    e2e_send_n(c, body, size);
    e2e_response(c, &r);
    ck_assert_msg(r.status == 201, "%d: %s", r.status, r.body);
    e2e_close(c);
}

/* ---- the right to publish -------------------------------------------------------------------- */

/* Who may not publish is refused when a message begins, before anything of it is kept. */
START_TEST(may_not_begin)
{
    struct e2e_server s;
    keys_make();
    e2e_start(&s, "--key-file", key_file, NULL);
    struct e2e_conn *raw = socket_open(&s, "/a", reader),
                    *json = socket_open_json(&s, "/a", reader);
    begin(raw, 100000);
    expect_close(raw, 1008, "the token does not allow publishing to a");
    begin(json, 6 << 20);
    expect_close(json, 1009, "it may not publish");
    ck_assert_int_eq(metric(&s, "sse_buffer_bytes"), 0);
    /* a list of names may be long, and come in parts */
    json = socket_open_json(&s, "/a", reader);
    begin(json, 20);
    e2e_send(json, "{\"subscribe\":");
    metric_reaches(&s, "sse_buffer_bytes", 1);
    e2e_send(json, "[\"b\"]} ");
    struct socket_frame f;
    socket_read(json, &f);
    ck_assert_ptr_nonnull(strstr(f.data, "\"subscribed\":[\"a\",\"b\"]"));
    e2e_stop(&s);
    keys_unmake();
}
END_TEST

/* ---- buffers --------------------------------------------------------------------------------- */

/* Many sockets that may publish begin messages, as large as each is let, and never end them: others
 * are served all the while, and it is their share that they are refused for. */
START_TEST(many_hold)
{
    enum { HOLDERS = 60, SIZE = 300000 };
    static char filler[SIZE];
    struct e2e_server s;
    struct e2e_conn *held[HOLDERS];
    static struct e2e_response r;
    keys_make();
    e2e_start(&s, "--key-file", key_file, "--max-buffers", "8M", NULL);
    memset(filler, 'x', sizeof(filler));
    for (int i = 0; i < HOLDERS; i++) {
        held[i] = socket_open_json(&s, "/a", writer);
        begin(held[i], 6 << 20);
        send(held[i]->fd, filler, (size_t)SIZE >> (i / 12), MSG_NOSIGNAL);
    }
    for (int round = 0; round < 5; round++) {
        struct e2e_conn *c = e2e_open(&s);
        e2e_send(c, "GET /a HT");
        metric_reaches(&s, "sse_buffer_bytes", 1);
        e2e_printf(c, "TP/1.1\r\nHost: localhost\r\n%s\r\n", reader);
        e2e_response(c, &r);
        ck_assert_msg(r.status < 300, "%d: %s", r.status, r.body);
        publish_large(&s, 4000); /* less than any holder has, so it fits whatever they were given */
        for (int i = 0; i < HOLDERS; i++)
            send(held[i]->fd, "x", 1, MSG_NOSIGNAL);
        e2e_sleep_ms(100);
    }
    metric_reaches(&s, "sse_limit_max_share_total", 1);
    ck_assert_int_lt(metric(&s, "sse_buffer_bytes"), 8 << 20);
    e2e_stop(&s);
    keys_unmake();
}
END_TEST

/* What one had before others came is taken back: of a body, or of a message of a socket. These are
 * as many as have room beside it and what is published then, in whatever order all are read. */
START_TEST(share_shrinks)
{
    enum { OTHERS = 12, LARGE = 900000, SMALL = 120000 };
    static char filler[LARGE];
    static struct e2e_response r;
    struct e2e_server s;
    struct e2e_conn *others[OTHERS];
    keys_make();
    e2e_start(&s, "--key-file", key_file, "--max-buffers", "4M", NULL);
    memset(filler, 'x', sizeof(filler));
    struct e2e_conn *c = _i == 0 ? e2e_open(&s) : socket_open_json(&s, "/a", writer);
    if (_i == 0)
        e2e_printf(c, "POST /a HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: 1000000\r\n\r\n",
                   writer);
    else
        begin(c, 6 << 20);
    e2e_send_n(c, filler, LARGE);
    metric_reaches(&s, "sse_buffer_bytes", LARGE);
    for (int i = 0; i < OTHERS; i++) {
        others[i] = socket_open_json(&s, "/a", writer);
        begin(others[i], 6 << 20);
        send(others[i]->fd, filler, SMALL, MSG_NOSIGNAL);
    }
    if (_i == 0) {
        e2e_response(c, &r);
        e2e_expect_status(&r, 503, "--max-share");
    } else {
        expect_close(c, 1013, "--max-share");
    }
    publish_large(&s, 100000);
    e2e_stop(&s);
    keys_unmake();
}
END_TEST

/* ---- time ------------------------------------------------------------------------------------ */

/* A message of a socket comes byte by byte; true: that is too slow, false: it was so slow that the
 * request timeout, of so many milliseconds, was first. */
static bool message_drips(const struct e2e_server *s, unsigned timeout)
{
    struct e2e_conn *slow = socket_open_json(s, "/a", writer);
    struct socket_frame f;
    int64_t end = e2e_now_ms() + E2E_WAIT_MS + timeout;
    begin(slow, 1000);
    while (!e2e_comes(slow, 20)) {
        send(slow->fd, "x", 1, MSG_NOSIGNAL);
        ck_assert_int_lt(e2e_now_ms(), end);
    }
    socket_read(slow, &f);
    ck_assert_msg(f.opcode == SOCKET_CLOSE && f.code == 1008, "%u %u", f.opcode, f.code);
    bool too_slow = strstr(f.data, "--min-rate") != NULL;
    ck_assert(too_slow || strstr(f.data, "--request-timeout") != NULL);
    ck_assert_int_eq(metric(s, "sse_limit_min_rate_total"), too_slow);
    return too_slow;
}

/* A message of a socket has a deadline and a minimum rate. A busy machine needs a longer deadline,
 * for bytes to come in time and yet at less than that. */
START_TEST(message_is_slow)
{
    bool done = false;
    keys_make();
    for (unsigned timeout = 300; !done; timeout *= 4) {
        struct e2e_server s;
        struct socket_frame f;
        char flag[32];
        ck_assert_uint_lt(timeout, E2E_WAIT_MS);
        snprintf(flag, sizeof(flag), "%ums", timeout);
        e2e_start(&s, "--key-file", key_file, "--request-timeout", flag, "--min-rate", "100000",
                  NULL);
        struct e2e_conn *quiet = socket_open_json(&s, "/a", writer);
        begin(quiet, 1000);
        e2e_send(quiet, "{\"data\":\"");
        expect_close(quiet, 1008, "--request-timeout");
        ck_assert_int_eq(metric(&s, "sse_timeout_request_total"), 1);
        done = message_drips(&s, timeout);
        /* between messages it may be quiet */
        struct e2e_conn *good = socket_open_json(&s, "/a", writer);
        e2e_sleep_ms(1000);
        socket_text(good, "{\"data\":\"x\"}");
        socket_read(good, &f);
        ck_assert_msg(f.opcode == SOCKET_TEXT, "%u", f.opcode);
        e2e_stop(&s);
    }
    keys_unmake();
}
END_TEST

/* A client takes its answer in small pieces; true: that is too slow, false: it was so slow that the
 * write timeout, of so many milliseconds, was first. */
static bool is_too_slow(unsigned timeout)
{
    static char text[4096];
    char flag[32];
    struct e2e_server s;
    snprintf(flag, sizeof(flag), "%ums", timeout);
    e2e_start(&s, "--key-file", key_file, "--write-timeout", flag, "--min-rate", "100000000",
              "--max-answer", "16M", NULL);
    for (int i = 0; i < 40; i++)
        publish_large(&s, 500000);
    struct e2e_conn *c = e2e_open_narrow(&s, 2048);
    e2e_printf(c, "GET /a?since=earliest HTTP/1.1\r\nHost: localhost\r\n%s\r\n", reader);
    int64_t end = e2e_now_ms() + E2E_WAIT_MS + timeout;
    while (metric(&s, "sse_limit_min_rate_total") + metric(&s, "sse_timeout_write_total") == 0) {
        recv(c->fd, text, sizeof(text), MSG_DONTWAIT);
        e2e_sleep_ms(10);
        ck_assert_int_lt(e2e_now_ms(), end);
    }
    bool is = metric(&s, "sse_timeout_write_total") == 0;
    ck_assert_int_eq(metric(&s, "sse_buffer_bytes"), 0);
    e2e_stop(&s);
    return is;
}

/* So has an answer that is kept for its client. On a busy machine this one may be too slow even for
 * the timeout that it has if it takes nothing: it then gets a longer one. */
START_TEST(answers_are_taken_slowly)
{
    keys_make();
    for (unsigned timeout = 300; !is_too_slow(timeout); timeout *= 4)
        ck_assert_uint_lt(timeout, E2E_WAIT_MS);
    keys_unmake();
}
END_TEST

/* ---- behind a long poll ---------------------------------------------------------------------- */

/* Requests behind a long poll wait, and are answered; more than --max-head of them may not. */
START_TEST(behind_a_poll)
{
    static const char next[] = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";
    static char many[60000];
    static struct e2e_response r;
    struct e2e_server s;
    size_t n = 0;
    e2e_start(&s, "--max-line", "1K", "--max-head", "1K", NULL);
    struct e2e_conn *c = e2e_open(&s);
    e2e_printf(c, "GET /a?wait=30 HTTP/1.1\r\nHost: localhost\r\n\r\n%s%s", next, next);
    metric_reaches(&s, "sse_buffer_bytes", 1);
    e2e_publish(&s, "/a", "hello");
    for (int i = 0; i < 3; i++) {
        e2e_response(c, &r);
        ck_assert_msg(r.status == 200 && strstr(r.body, "hello") != NULL, "%s", r.body);
    }
    c = e2e_open(&s);
    n = (size_t)snprintf(many, sizeof(many), "GET /a?wait=30 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for (; n + sizeof(next) < 30000; n += sizeof(next) - 1)
        memcpy(many + n, next, sizeof(next) - 1);
    e2e_send_n(c, many, n);
    metric_reaches(&s, "sse_limit_max_head_total", 1);
    ck_assert_int_eq(metric(&s, "sse_buffer_bytes"), 0);
    e2e_stop(&s);
}
END_TEST

/* ---- sets ------------------------------------------------------------------------------------ */

/* {"subscribe":[..]} of `count` wildcards. */
static const char *wildcards(int k, int count)
{
    static char text[300000];
    size_t n = (size_t)snprintf(text, sizeof(text), "{\"subscribe\":[");
    for (int i = 0; i < count; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\"%d-%d-%0200d/*\"", i > 0 ? "," : "",
                              k, i, 0);
    snprintf(text + n, sizeof(text) - n, "]}");
    return text;
}

/* Subscribes. Returns true if the answer, after an optional checkpoint, is an error that names this
 * limit. */
static bool refused(struct e2e_conn *c, const char *text, const char *limit)
{
    struct socket_frame f;
    socket_send(c, SOCKET_FIN | SOCKET_TEXT, text, strlen(text));
    for (;;) {
        socket_read(c, &f);
        ck_assert_uint_eq(f.opcode, SOCKET_TEXT);
        bool ok = memmem(f.data, f.n, "\"ok\"", 4) != NULL;
        bool error = memmem(f.data, f.n, "\"error\"", 7) != NULL;
        ck_assert_msg(!error || memmem(f.data, f.n, limit, strlen(limit)) != NULL, "%.*s", (int)f.n,
                      f.data);
        socket_done(c, &f);
        if (ok || error)
            return error;
    }
}

/* As many wide subscriptions as are taken: they leave room for narrow ones, and for topics'
 * names. */
START_TEST(wide_subscriptions)
{
    enum { MOST = 200 };
    struct e2e_server s;
    static struct e2e_response r;
    char name[200];
    int k = 0, count = 900;
    e2e_start(&s, "--max-sets", "2M", "--max-topics", "4000", NULL);
    for (; k < MOST && count > 10; k++) {
        struct e2e_conn *c = socket_open_json(&s, "/q", NULL);
        if (refused(c, wildcards(k, count), "--max-share"))
            count = count * 3 / 4;
    }
    ck_assert_int_le(count, 10);
    ck_assert_int_gt(metric(&s, "sse_limit_max_share_total"), 0);
    ck_assert_int_eq(metric(&s, "sse_limit_max_topics_total"), 0);
    ck_assert_int_eq(metric(&s, "sse_topic_sets_limit_bytes"), 2 << 20);
    struct e2e_conn *c = socket_open_json(&s, "/q", NULL);
    ck_assert(!refused(c, "{\"subscribe\":[\"orders/*\"]}", ""));
    memset(name, 'n', sizeof(name) - 1);
    name[0] = '/';
    name[sizeof(name) - 1] = '\0';
    e2e_publish(&s, name, "x");
    e2e_publish(&s, "/brand-new", "x");
    e2e_ask(&s, &r, "GET /a,b,c HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ck_assert_int_eq(r.status, 204);
    e2e_stop(&s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("shares");
    TCase *t = tcase_create("room");
    tcase_add_test(t, may_not_begin);
    tcase_add_test(t, many_hold);
    tcase_add_loop_test(t, share_shrinks, 0, 2);
    tcase_add_test(t, message_is_slow);
    tcase_add_test(t, answers_are_taken_slowly);
    tcase_add_test(t, behind_a_poll);
    tcase_add_test(t, wide_subscriptions);
    tcase_set_timeout(t, 120);
    suite_add_tcase(s, t);
    return run(s);
}
