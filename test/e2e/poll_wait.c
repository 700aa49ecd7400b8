/*
 * poll_wait.c - end to end: long polling, and streams of JSON lines.
 */
#include "test/kit/answers.h"
#include "test/kit/kit.h"
#include "test/kit/metric.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static struct e2e_server s;
static struct e2e_response r;
static struct poll_answer a;

/* Printed into one of 64 static buffers, in turn. */
__attribute__((format(printf, 1, 2))) static const char *print(const char *format, ...)
{
    static char text[64][1024];
    static unsigned turn;
    char *to = text[turn++ % 64];
    va_list ap;
    va_start(ap, format);
    vsnprintf(to, sizeof(text[0]), format, ap);
    va_end(ap);
    return to;
}

/* Publishes; returns to how many subscribers. */
static unsigned long publish(const char *target, const char *data)
{
    e2e_ask(&s, &r, "POST %s HTTP/1.1\r\nHost: t\r\nContent-Length: %zu\r\n\r\n%s", target,
            strlen(data), data);
    ck_assert_int_eq(r.status, 201);
    const char *at = strstr(r.body, "\"subscribers\":");
    ck_assert_ptr_nonnull(at);
    return strtoul(at + 14, NULL, 10);
}

static long metric(const char *name)
{
    e2e_ask(&s, &r, "GET /-/metrics HTTP/1.1\r\nHost: t\r\n\r\n");
    long long value = metric_sum(r.body, name);
    ck_assert_msg(value >= 0, "no metric %s: %s", name, r.body);
    return (long)value;
}

/* Waits until the server has read `n` requests but for those that ask it so. */
static void requests(long n)
{
    int64_t end = e2e_now_ms() + E2E_WAIT_MS;
    static long asked;
    long now;
    while ((now = metric("sse_requests_total") - ++asked) < n)
        ck_assert_msg(e2e_now_ms() < end, "%ld requests were read, not %ld", now, n);
}

/* Asks with `wait` and makes sure that it waits. */
static struct e2e_conn *wait_on(const char *target, const char *fields)
{
    struct e2e_conn *c = e2e_open(&s);
    poll_send(c, target, fields);
    metric("sse_requests_total"); /* it has been read before this */
    e2e_expect_silence(c, 100);
    return c;
}

/* Long before a wait of a minute is over. */
#define SOON_MS 45000

/* ---- waiting, and being woken ---- */

START_TEST(test_woken)
{
    static const char *const rows[][2] = {{"/news?wait=60", NULL},
                                          {"/news", "Prefer: wait=60\r\n"},
                                          {"/news", "Prefer: respond-async, WAIT=\"60\"; x=y\r\n"},
                                          {"/news?since=now", "Prefer: wait=60\r\n"},
                                          {"/news?wait=60", "If-None-Match: *\r\n"},
                                          {"/news?wait=60", "Accept: text/plain\r\n"}};
    e2e_start(&s, NULL);
    e2e_publish(&s, "/news", "before");
    for (unsigned i = 0; i < COUNT(rows); i++) {
        struct e2e_conn *c = wait_on(rows[i][0], rows[i][1]);
        int64_t start = e2e_now_ms();
        ck_assert_uint_eq(publish("/news", print("hello %u", i)), 1);
        poll_read(c, &a, false);
        ck_assert_int_lt(e2e_now_ms() - start, SOON_MS);
        ck_assert_str_eq(e2e_field(&a.r, "Preference-Applied"), "wait=60");
        if (i < 5)
            poll_expect(&a, 200, print("hello %u", i), NULL);
        else
            ck_assert_str_eq(a.body, "hello 5\n");
        ck_assert_uint_eq(poll_n(a.id), i + 2);
        /* The next wait on the same connection, from the cursor of this one. */
        poll_send(c, "/news?wait=60", print("If-None-Match: W/\"%s\"\r\n", a.id));
        e2e_expect_silence(c, 50);
        e2e_close(c);
        int64_t end = e2e_now_ms() + SOON_MS;
        while (metric("sse_connections") > 1)
            ck_assert_int_lt(e2e_now_ms(), end);
    }
    e2e_stop(&s);
}
END_TEST

/* What is there already is answered at once. */
START_TEST(test_answered_at_once)
{
    e2e_start(&s, NULL);
    char id[64];
    snprintf(id, sizeof(id), "%s", e2e_publish(&s, "/news", "1"));
    e2e_publish(&s, "/news", "2");
    int64_t start = e2e_now_ms(); /* each of them would wait longer than all take */
    poll_get(&s, &a, "/news?wait=60", print("If-None-Match: \"%s\"\r\n", id));
    poll_expect(&a, 200, "2", NULL);
    ck_assert_str_eq(e2e_field(&a.r, "Preference-Applied"), "wait=60");
    poll_get(&s, &a, "/news?wait=60&since=earliest", NULL);
    poll_expect(&a, 200, "1", "2", NULL);
    poll_get(&s, &a, "/news?wait=60&since=-1", NULL);
    poll_expect(&a, 200, "2", NULL);
    poll_get(&s, &a, "/news?wait=60", "Last-Event-ID: 1-1\r\n");
    ck_assert_str_eq(a.gap.reason, "unknown");
    poll_expect(&a, 200, "1", "2", NULL);
    poll_get(&s, &a, "/none?wait=60", "Last-Event-ID: 1-1\r\n");
    ck_assert_str_eq(a.gap.reason, "unknown");
    poll_get(&s, &a, "/news?wait=0&since=now", NULL);
    poll_expect(&a, 204, NULL);
    struct e2e_conn *c = e2e_open(&s);
    e2e_send(c, "HEAD /news?wait=60&since=now HTTP/1.1\r\nHost: t\r\n\r\n");
    poll_read(c, &a, true);
    poll_expect(&a, 204, NULL);
    ck_assert_int_lt(e2e_now_ms() - start, 60000);
    e2e_stop(&s);
}
END_TEST

/* The time out is an answer like any; the connection goes on, also past the other timeouts. */
START_TEST(test_timeout)
{
    e2e_start(&s, "--idle-timeout", "3s", "--request-timeout", "3s", NULL);
    const char *id = print("%s", e2e_publish(&s, "/news", "x"));
    struct e2e_conn *c = e2e_open(&s);
    for (unsigned i = 0; i < 2; i++) {
        int64_t start = e2e_now_ms();
        poll_send(c, "/news?wait=4",
                  print("%s: %s\r\n", i == 0 ? "If-None-Match" : "Last-Event-ID", id));
        poll_read(c, &a, false);
        poll_expect(&a, i == 0 ? 304 : 204, NULL);
        ck_assert_int_ge(e2e_now_ms() - start, 3950);
        ck_assert_str_eq(e2e_field(&a.r, "Preference-Applied"), "wait=4");
        ck_assert_ptr_null(e2e_field(&a.r, "Connection"));
        ck_assert_str_eq(a.id, id);
    }
    ck_assert_uint_eq(publish("/news", "y"), 0);
    poll_send(c, "/news", NULL);
    poll_read(c, &a, false);
    poll_expect(&a, 200, "x", "y", NULL);
    /* What was published elsewhere meanwhile moves the cursor on. */
    poll_send(c, "/news?wait=4", NULL);
    e2e_expect_silence(c, 100);
    const char *other = print("%s", e2e_publish(&s, "/other", "x"));
    poll_read(c, &a, false);
    poll_expect(&a, 204, NULL);
    ck_assert_str_eq(a.id, other);
    e2e_stop(&s);
}
END_TEST

START_TEST(test_preferences)
{
    static const struct {
        const char *target, *prefer, *applied; /* NULL: none, and it does not wait */
    } rows[] = {
        {"/n?wait=1", "", "wait=1"},
        {"/n?wait=2", "", "wait=2"},
        {"/n?wait=3", "", "wait=2"},
        {"/n?wait=99999999", "", "wait=2"},
        {"/n?wait=18446744073709551615", "", "wait=2"},
        {"/n", "Prefer: wait=5\r\n", "wait=2"},
        {"/n?wait=2", "Prefer: wait=1\r\n", "wait=1"},
        {"/n", "Prefer: respond-async\r\nPrefer: wait=1\r\n", "wait=1"},
        {"/n", "Prefer: foo=\"a, wait=9\", wait=1\r\n", "wait=1"},
        {"/n?wait=0", "", "wait=0"},
        {"/n", "Prefer: wait\r\n", NULL},
        {"/n", "Prefer: wait=\r\n", NULL},
        {"/n", "Prefer: wait=-1\r\n", NULL},
        {"/n", "Prefer: wait=1.5\r\n", NULL},
        {"/n", "Prefer: waits=1\r\n", NULL},
        {"/n", "Prefer: wait=1s\r\n", "wait=1"},
        {"/n?wait=1s", "", "wait=1"},
        {"/n?wait=300ms", "", "wait=1"},
        {"/n?wait=1m", "", "wait=2"},
        {"/n?wait=", "", NULL},
    };
    e2e_start(&s, "--max-wait", "2s", NULL);
    struct e2e_conn *c[COUNT(rows)];
    int64_t start = e2e_now_ms();
    for (unsigned i = 0; i < COUNT(rows); i++) {
        c[i] = e2e_open(&s);
        poll_send(c[i], rows[i].target, rows[i].prefer);
    }
    for (unsigned k = 0; k < 3; k++) { /* by the second at which they are answered */
        for (unsigned i = 0; i < COUNT(rows); i++) {
            if ((rows[i].applied == NULL ? 0u : (unsigned)(rows[i].applied[5] - '0')) != k)
                continue;
            poll_read(c[i], &a, false);
            poll_expect(&a, 204, NULL);
            const char *applied = e2e_field(&a.r, "Preference-Applied");
            int64_t took = e2e_now_ms() - start; /* or longer, on a slow machine */
            ck_assert_msg(rows[i].applied == NULL
                              ? applied == NULL
                              : applied != NULL && strcmp(applied, rows[i].applied) == 0,
                          "%s, %s: %s", rows[i].target, rows[i].prefer, a.r.head);
            ck_assert_msg(took >= (int)k * 1000 - 50, "%s, %s: after %d ms", rows[i].target,
                          rows[i].prefer, (int)took);
        }
    }
    e2e_stop(&s);
}
END_TEST

/* Requests behind one that waits are answered after it, in order. */
START_TEST(test_pipelined)
{
    e2e_start(&s, "--request-timeout", "2s", NULL);
    for (unsigned i = 0; i < 2; i++) {
        struct e2e_conn *c = e2e_open(&s);
        e2e_printf(c,
                   "GET /none HTTP/1.1\r\nHost: t\r\n\r\n"
                   "GET /p%u?wait=%u HTTP/1.1\r\nHost: t\r\n\r\n"
                   "POST /q HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi"
                   "GET /q HTTP/1.1\r\nHost: t\r\n\r\n",
                   i, i == 0 ? 50 : 5);
        poll_read(c, &a, false);
        poll_expect(&a, 204, NULL);
        e2e_expect_silence(c, 2500);
        e2e_send(c, "GET /p0,p1,q HTT"); /* goes behind the others */
        if (i == 0)
            ck_assert_uint_eq(publish("/p0", "x"), 1);
        poll_read(c, &a, false);
        if (i == 0)
            poll_expect(&a, 200, "x", NULL);
        else
            poll_expect(&a, 204, NULL);
        e2e_response(c, &r);
        ck_assert_int_eq(r.status, 201);
        poll_read(c, &a, false);
        ck_assert_str_eq(a.m[a.n - 1].data, "hi");
        e2e_send(c, "P/1.1\r\nHost: t\r\n\r\n");
        poll_read(c, &a, false);
        ck_assert_uint_eq(a.n, 2 + i);
        e2e_expect_silence(c, 50);
        e2e_close(c);
    }
    /* Several waits in one write: each takes what comes after the one before. */
    struct e2e_conn *c = e2e_open(&s);
    e2e_send(
        c, "GET /w?wait=20 HTTP/1.1\r\nHost: t\r\n\r\nGET /w?wait=20 HTTP/1.1\r\nHost: t\r\n\r\n");
    for (unsigned i = 0; i < 2; i++) {
        e2e_expect_silence(c, 100);
        ck_assert_uint_eq(publish("/w", print("%u", i)), 1);
        poll_read(c, &a, false);
        poll_expect(&a, 200, print("%u", i), NULL);
    }
    e2e_stop(&s);
}
END_TEST

/* A client that closes while it waits is noticed at once, however it closes. */
START_TEST(test_gone)
{
    e2e_start(&s, NULL);
    for (unsigned i = 0; i < 4; i++) {
        struct e2e_conn *c = wait_on("/news?wait=60&since=now", NULL);
        struct linger reset = {1, 0};
        ck_assert_int_eq(metric("sse_connections"), 2);
        if (i == 1)
            setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        if (i == 2)
            poll_send(c, "/behind", NULL);
        if (i == 3)
            e2e_half_close(c);
        else
            e2e_close(c);
        int64_t start = e2e_now_ms();
        while (metric("sse_connections") > 1)
            ck_assert_msg(e2e_now_ms() - start < SOON_MS, "way %u of going was not noticed", i);
        ck_assert_uint_eq(publish("/news", "x"), 0);
    }
    ck_assert_int_eq(metric("sse_buffer_bytes"), 0);
    e2e_stop(&s);
}
END_TEST

START_TEST(test_old_and_closing)
{
    static const struct {
        const char *line, *fields, *connection;
    } rows[] = {{"HTTP/1.0", "", "close"},
                {"HTTP/1.0", "Connection: keep-alive\r\n", "keep-alive"},
                {"HTTP/1.1", "Host: t\r\nConnection: close\r\n", "close"}};
    e2e_start(&s, NULL);
    for (unsigned i = 0; i < 2 * COUNT(rows); i++) {
        unsigned k = i % COUNT(rows);
        bool times_out = i >= COUNT(rows);
        struct e2e_conn *c = e2e_open(&s);
        e2e_printf(c, "GET /news?since=now&wait=%d %s\r\n%s\r\n", times_out ? 3 : 20, rows[k].line,
                   rows[k].fields);
        e2e_expect_silence(c, 100);
        if (!times_out)
            publish("/news", "x");
        poll_read(c, &a, false);
        ck_assert_int_eq(a.r.status, times_out ? 204 : 200);
        ck_assert_str_eq(e2e_field(&a.r, "Connection"), rows[k].connection);
        if (strcmp(rows[k].connection, "close") == 0)
            e2e_expect_end(c);
        else
            e2e_expect_silence(c, 50);
    }
    e2e_stop(&s);
}
END_TEST

/* CORS fields are on what is answered after a wait as well. */
START_TEST(test_cors)
{
    e2e_start(&s, "--cors", "https://a.example", NULL);
    for (unsigned i = 0; i < 3; i++) {
        struct e2e_conn *c = wait_on(i == 0 ? "/news?wait=20" : "/news?since=now&wait=3",
                                     i == 1 ? "Origin: https://a.example\r\nIf-None-Match: *\r\n"
                                            : "Origin: https://a.example\r\n");
        if (i == 0)
            publish("/news", "x");
        poll_read_raw(c, &a, false);
        ck_assert_int_eq(a.r.status, i == 0 ? 200 : i == 1 ? 304 : 204);
        ck_assert_pstr_eq(e2e_field(&a.r, "Access-Control-Allow-Origin"), "https://a.example");
        ck_assert_ptr_nonnull(strstr(a.r.head, "\r\nVary: Origin\r\n"));
    }
    e2e_stop(&s);
}
END_TEST

static const struct {
    const char *target, *fields, *version, *wait, *connection, *origin;
    bool text;
} beside[] = {
    {"/news?since=now&wait=20", "", "1.1", "wait=20", NULL, NULL, false},
    {"/news?since=now&wait=30", "", "1.1", "wait=30", NULL, NULL, false},
    {"/news,b?since=now&wait=20", "", "1.1", "wait=20", NULL, NULL, false},
    {"/news?since=now&wait=20&conflate", "", "1.1", "wait=20", NULL, NULL, false},
    {"/news?since=now&wait=20", "Accept: text/plain\r\n", "1.1", "wait=20", NULL, NULL, true},
    {"/news?since=now&wait=20", "", "1.0", "wait=20", "close", NULL, false},
    {"/news?since=now&wait=20", "Connection: keep-alive\r\n", "1.0", "wait=20", "keep-alive", NULL,
     false},
    {"/news?since=now&wait=20", "Connection: close\r\n", "1.1", "wait=20", "close", NULL, false},
    {"/news?since=now&wait=20", "Origin: https://a.example\r\n", "1.1", "wait=20", NULL,
     "https://a.example", false},
};

/* Waits until so many wait. */
static void waiting(long n)
{
    int64_t end = e2e_now_ms() + E2E_WAIT_MS;
    while (metric("sse_connections{way=\"longpoll\"}") != n)
        ck_assert_int_lt(e2e_now_ms(), end);
}

/* Who waits for the same message as others gets the same answer, but for what he asked otherwise;
 * be it one that is put together once, or too long for that. */
START_TEST(test_side_by_side)
{
    static const size_t sizes[] = {5, 100, 5000};
    static char data[5001];
    const unsigned row = (unsigned)_i, who[] = {0, row, row, 0, 0, row};
    struct e2e_conn *c[COUNT(who)];
    e2e_start(&s, "--cors", "https://a.example", NULL);
    for (unsigned round = 0; round < COUNT(sizes); round++) {
        memset(data, 'a' + (int)round, sizes[round]);
        for (unsigned i = 0; i < COUNT(who); i++) {
            c[i] = e2e_open(&s);
            e2e_printf(c[i], "GET %s HTTP/%s\r\nHost: t\r\n%s\r\n", beside[who[i]].target,
                       beside[who[i]].version, beside[who[i]].fields);
            waiting(i + 1);
        }
        ck_assert_uint_eq(publish("/news", data), COUNT(who));
        for (unsigned i = 0; i < COUNT(who); i++) {
            poll_read(c[i], &a, false);
            ck_assert_str_eq(e2e_field(&a.r, "Preference-Applied"), beside[who[i]].wait);
            ck_assert_pstr_eq(e2e_field(&a.r, "Connection"), beside[who[i]].connection);
            ck_assert_pstr_eq(e2e_field(&a.r, "Access-Control-Allow-Origin"),
                              beside[who[i]].origin);
            if (!beside[who[i]].text)
                poll_expect(&a, 200, data, NULL);
            else
                ck_assert(a.size == sizes[round] + 1 && memcmp(a.body, data, a.size - 1) == 0);
            ck_assert_uint_eq(poll_n(a.id), round + 1);
            e2e_close(c[i]);
        }
    }
    e2e_stop(&s);
}
END_TEST

/* ---- what is waited for ---- */

START_TEST(test_topics)
{
    static const struct {
        const char *target, *wakes, *not ;
    } rows[] = {{"/a", "/a", "/b"},        {"/a,b", "/b", "/c"},
                {"/a/*", "/a/x", "/a"},    {"/a/*", "/a/y", "/a/x/y"},
                {"/b/**", "/b/c/d", "/b"}, {"/a,c/**", "/c/1/2", "/b/1"},
                {"/**", "/z", NULL},       {"/x/*,a", "/x/1", "/x/1/2"}};
    e2e_start(&s, NULL);
    for (unsigned i = 0; i < COUNT(rows); i++) {
        struct e2e_conn *c = wait_on(print("%s?since=now&wait=20", rows[i].target), NULL);
        if (rows[i].not != NULL) {
            ck_assert_uint_eq(publish(rows[i].not, "not this"), 0);
            e2e_expect_silence(c, 30);
        }
        ck_assert_uint_eq(publish(rows[i].wakes, "this"), 1);
        poll_read(c, &a, false);
        poll_expect(&a, 200, "this", NULL);
        ck_assert_str_eq(a.m[0].topic, rows[i].wakes + 1);
        e2e_close(c);
    }
    e2e_stop(&s);
}
END_TEST

/* A consumer that goes on from each answer's cursor gets everything once, whatever comes
 * between. */
START_TEST(test_follows)
{
    enum { N = 300 };
    uint64_t at = seed();
    unsigned next = 0, sent = 0;
    e2e_start(&s, NULL);
    struct e2e_conn *from = e2e_open(&s), *to = e2e_open(&s);
    poll_send(to, "/f/*,g?wait=20&since=earliest", NULL);
    while (next < N) {
        for (uint64_t k = random_next(&at) % 4; k > 0 && sent < N; k--, sent++) {
            char data[16];
            int n = snprintf(data, sizeof(data), "%u", sent);
            e2e_send_publish(from, print("/%s", sent % 3 ? print("f/%u", sent % 5) : "g"), data,
                             (size_t)n);
            e2e_send_publish(from, "/other", data, (size_t)n);
        }
        if (next == sent)
            continue;
        poll_read(to, &a, false);
        ck_assert_int_eq(a.r.status, 200);
        for (size_t i = 0; i < a.n; i++)
            ck_assert_msg(strcmp(a.m[i].data, print("%u", next++)) == 0,
                          "%s instead of %u, " SEED_FMT, a.m[i].data, next - 1, at);
        if (random_next(&at) % 8 == 0) {
            e2e_close(to);
            to = e2e_open(&s);
        }
        poll_send(to, "/f/*,g?wait=20", print("If-None-Match: W/\"%s\"\r\n", a.id));
    }
    e2e_stop(&s);
}
END_TEST

/* Sends, in one piece that a turn takes whole, a message to /a and then so many to /b that they
 * turn a small ring over: a line end takes eight bytes of it. */
static void overrun(void)
{
    static char text[16 << 10];
    char data[4000];
    size_t n = 0;
    memset(data, '\n', sizeof(data));
    struct e2e_conn *c = e2e_open(&s);
    n += (size_t)snprintf(text, sizeof(text),
                          "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\nx");
    for (unsigned i = 0; i < 3; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n,
                              "POST /b HTTP/1.1\r\nHost: t\r\nContent-Length: 4000\r\n\r\n");
        memcpy(text + n, data, sizeof(data));
        n += sizeof(data);
    }
    e2e_send_n(c, text, n);
    for (unsigned i = 0; i < 4; i++) {
        e2e_response(c, &r);
        ck_assert_int_eq(r.status, 201);
    }
    e2e_close(c);
}

/* One that waits is overtaken before its turn comes: it is told, and only it. */
START_TEST(test_lagged)
{
    unsigned lagged = 0;
    e2e_start(&s, "--ring", "64K", NULL);
    for (unsigned i = 0; i < 20 && lagged < 2; i++) {
        struct e2e_conn *other = wait_on("/c?wait=20", NULL);
        struct e2e_conn *c = wait_on("/a?wait=20", i % 2 ? "Accept: text/plain\r\n"
                                                         : "Accept: application/json\r\n");
        overrun();
        poll_read(c, &a, false);
        if (a.gap.reason == NULL) {
            ck_assert_str_eq(i % 2 ? a.body : a.m[0].data, i % 2 ? "x\n" : "x");
        } else {
            ck_assert_str_eq(a.gap.reason, "lagged");
            lagged++;
        }
        ck_assert_int_eq(a.r.status, 200);
        e2e_expect_silence(other, 20);
        publish("/c", "y");
        poll_read(other, &a, false);
        poll_expect(&a, 200, "y", NULL);
        ck_assert_ptr_null(a.gap.reason);
        e2e_close(c);
        e2e_close(other);
    }
    ck_assert_msg(lagged > 0, "nobody lagged");
    e2e_stop(&s);
}
END_TEST

/* With a ring too small for a consumer that rests at times, each loss is told and none is silent;
 * and nothing is told where nothing of its topics was lost. */
START_TEST(test_follows_with_losses)
{
    enum { N = 3000 };
    static bool ours[N + 2];
    static char data[4096];
    static const char *const topics[] = {"/f/1", "/f/2", "/g", "/other", "/other/x"};
    uint64_t at = seed(), first = at;
    unsigned gaps = 0, whole = 0;
    unsigned long long cursor = 0;
    char id[64] = "";
    e2e_start(&s, "--ring", "64K", "--max-answer", "8K", NULL);
    struct e2e_conn *from = e2e_open(&s), *to = e2e_open(&s);
    memset(data, 'x', sizeof(data));
    for (unsigned n = 0; n < N;) {
        uint64_t burst = random_next(&at) % 12 == 0 ? 80 : random_next(&at) % 6;
        for (; burst > 0 && n < N; burst--) {
            uint64_t k = random_next(&at) % 20;
            k = k < 3 ? k : 3 + k % 2;
            ours[++n] = k < 3;
            e2e_send_publish(from, topics[k], data, random_next(&at) % 2000);
            e2e_response(from, &r);
            ck_assert_int_eq(r.status, 201);
        }
        poll_send(to, id[0] != '\0' ? "/f/*,g" : "/f/*,g?since=earliest",
                  id[0] != '\0' ? print("Last-Event-ID: %s\r\n", id) : NULL);
        poll_read(to, &a, false);
        unsigned long long next = cursor + 1;
        for (size_t i = 0; i < a.n; i++, next++) {
            unsigned long long came = poll_n(a.m[i].id);
            while (next < came && !ours[next])
                next++;
            if (i == 0 && a.gap.reason != NULL)
                ck_assert_msg(next < came, "a gap for nothing at %llu, " SEED_FMT, came, first);
            else if (id[0] != '\0' || i > 0)
                ck_assert_msg(next == came, "%llu was lost, " SEED_FMT, next, first);
            next = came;
        }
        while (next <= poll_n(a.id) && !ours[next])
            next++;
        ck_assert_msg(next > poll_n(a.id) || a.gap.reason != NULL, "%llu was lost, " SEED_FMT, next,
                      first);
        gaps += a.gap.reason != NULL;
        whole += a.gap.reason == NULL && a.n > 0;
        cursor = poll_n(a.id);
        snprintf(id, sizeof(id), "%s", a.id);
    }
    ck_assert_msg(gaps > 5 && whole > 50, "%u gaps, %u without", gaps, whole);
    e2e_stop(&s);
}
END_TEST

/* What was lost before it came is told at once, whatever it says of waiting. */
START_TEST(test_gap_at_once)
{
    static char data[4000];
    static const char *const accepts[] = {"application/json", "text/plain"};
    char id[64];
    e2e_start(&s, "--ring", "64K", NULL);
    snprintf(id, sizeof(id), "%s", e2e_publish(&s, "/b", "x"));
    e2e_publish(&s, "/a", "lost");
    memset(data, 'x', sizeof(data));
    for (unsigned i = 0; i < 30; i++)
        e2e_publish_as(&s, "/b", NULL, data, sizeof(data));
    for (unsigned i = 0; i < 4; i++) {
        poll_get(&s, &a, i < 2 ? "/a?wait=20" : print("/a?wait=20&since=%s", id),
                 print("Accept: %s\r\n%s%s\r\n", accepts[i % 2],
                       i < 2 ? "Last-Event-ID: " : "X: ", id));
        ck_assert_pstr_eq(a.gap.reason, "expired");
        ck_assert_str_eq(a.gap.after, id);
        ck_assert_ptr_null(a.gap.oldest);
        ck_assert_uint_eq(poll_n(a.id), 32);
    }
    struct e2e_conn *c = wait_on("/a?wait=20", print("Last-Event-ID: %s\r\n", a.id));
    publish("/a", "y");
    poll_read(c, &a, false);
    ck_assert_ptr_null(a.gap.reason);
    poll_expect(&a, 200, "y", NULL);
    e2e_stop(&s);
}
END_TEST

/* Whoever waits, or has a stream, when the server ends sees the end. */
START_TEST(test_shutdown)
{
    e2e_start(&s, NULL);
    struct e2e_conn *c = wait_on("/a?wait=50", NULL);
    struct e2e_conn *lines = e2e_open(&s);
    poll_send(lines, "/a?wait=50", "Accept: application/x-ndjson\r\n");
    e2e_response(lines, &r);
    e2e_consume(lines, (size_t)(e2e_until(lines, "\"}\n") + 3 - lines->buf));
    e2e_stop(&s);
    e2e_until_end(c);
    e2e_expect_end(lines);
}
END_TEST

/* ---- streams of lines ---- */

static const char ndjson[] = "Accept: application/x-ndjson\r\n";

/* The next line, in a static buffer; empty ones are counted and left out if `beats`. */
static char *line(struct e2e_conn *c, unsigned *beats)
{
    static char text[8][20000];
    static unsigned turn;
    for (;;) {
        char *to = text[turn++ % 8];
        size_t n = (size_t)(e2e_until(c, "\n") - c->buf);
        ck_assert_uint_lt(n, sizeof(text[0]));
        memcpy(to, c->buf, n);
        to[n] = '\0';
        e2e_consume(c, n + 1);
        if (n > 0 || beats == NULL)
            return to;
        ++*beats;
    }
}

/* The first line says where the stream begins, as the field does; without an id there is none. */
static void lines_begin(struct e2e_conn *c)
{
    const char *id = e2e_field(&r, "Last-Event-ID");
    if (id != NULL)
        ck_assert_str_eq(line(c, NULL), print("{\"id\":\"%s\"}", id));
}

static struct e2e_conn *lines_open(const char *target, const char *fields)
{
    struct e2e_conn *c = e2e_open(&s);
    poll_send(c, target, print("%s%s", ndjson, fields != NULL ? fields : ""));
    e2e_response(c, &r);
    ck_assert_int_eq(r.status, 200);
    ck_assert_str_eq(e2e_field(&r, "Content-Type"), "application/x-ndjson");
    ck_assert_str_eq(e2e_field(&r, "Cache-Control"), "no-store, no-transform");
    ck_assert_ptr_null(e2e_field(&r, "Content-Length"));
    lines_begin(c);
    return c;
}

static struct poll_message line_message(struct e2e_conn *c, const char *data)
{
    struct poll_message m;
    struct poll_gap gap;
    poll_line(line(c, NULL), &m, &gap);
    ck_assert_msg(m.id != NULL && strcmp(m.data, data) == 0, "not the message %s", data);
    return m;
}

START_TEST(test_lines)
{
    e2e_start(&s, NULL);
    char id[64];
    snprintf(id, sizeof(id), "%s", e2e_publish(&s, "/news", "before"));
    struct e2e_conn *live = lines_open("/news?wait=1", NULL);
    ck_assert_str_eq(e2e_field(&r, "Last-Event-ID"), id);
    struct e2e_conn *all = lines_open("/*?since=earliest", "Prefer: wait=1\r\n");
    struct e2e_conn *after = lines_open("/news?wait=1", print("Last-Event-ID: %s\r\n", id));
    line_message(all, "before");
    ck_assert_uint_eq(publish("/news?event=e", "a\nb"), 3);
    for (unsigned i = 0; i < 3; i++) {
        struct poll_message m = line_message(i == 0 ? live : i == 1 ? all : after, "a\nb");
        ck_assert_str_eq(m.event, "e");
        ck_assert_str_eq(m.topic, "news");
        ck_assert_uint_eq(poll_n(m.id), 2);
    }
    e2e_publish_as(&s, "/bin", "application/octet-stream", "\xff\x00", 2);
    struct poll_message m = line_message(all, "\xff");
    ck_assert(m.binary && m.size == 2);
    /* `wait` is not how long the stream lasts. */
    e2e_expect_silence(live, 1500);
    publish("/news", "late");
    line_message(live, "late");
    for (unsigned i = 0; i < 200; i++)
        publish("/news", print("%u", i));
    for (unsigned i = 0; i < 200; i++)
        line_message(live, print("%u", i));
    struct e2e_conn *c = e2e_open(&s);
    e2e_printf(c, "HEAD /news?wait=1 HTTP/1.1\r\nHost: t\r\n%s\r\n", ndjson);
    e2e_response_head(c, &r);
    ck_assert_int_eq(r.status, 200);
    e2e_expect_end(c);
    e2e_close(live);
    int64_t start = e2e_now_ms();
    while (publish("/news", "x") > 2)
        ck_assert_int_lt(e2e_now_ms() - start, E2E_WAIT_MS);
    e2e_stop(&s);
}
END_TEST

/* Replay and then live, without a seam, to a reader that is slow. */
START_TEST(test_lines_seam)
{
    enum { N = 2000 };
    char data[2100];
    e2e_start(&s, NULL);
    struct e2e_conn *from = e2e_open(&s);
    struct e2e_conn *c = e2e_open_narrow(&s, 8192);
    memset(data, 'x', sizeof(data));
    for (unsigned i = 0; i < N; i++) {
        snprintf(data, 8, "%07u", i);
        data[7] = ':';
        e2e_send_publish(from, "/n", data, i % 2 ? 2000 : 20);
        e2e_response(from, &r);
        if (i == N / 2) {
            poll_send(c, "/n?wait=1&since=earliest", ndjson);
            e2e_response(c, &r);
            lines_begin(c);
        }
    }
    for (unsigned i = 0; i < N; i++) {
        struct poll_message m;
        struct poll_gap gap;
        poll_line(line(c, NULL), &m, &gap);
        ck_assert_msg(m.id != NULL && poll_n(m.id) == i + 1 && (unsigned)atoi(m.data) == i,
                      "message %u did not come", i);
        ck_assert_uint_eq(m.size, i % 2 ? 2000 : 20);
    }
    e2e_stop(&s);
}
END_TEST

/* A quiet stream has empty lines; when the ring has turned by half, its cursor, so that it never
 * falls out. */
START_TEST(test_lines_heartbeat)
{
    char id[64], data[2000];
    unsigned beats = 0;
    struct poll_message m;
    struct poll_gap gap;
    e2e_start(&s, "--ring", "64K", "--heartbeat", "100ms", NULL);
    struct e2e_conn *c = lines_open("/quiet?wait=1", NULL);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_str_eq(line(c, NULL), "");
    memset(data, 'f', sizeof(data));
    for (unsigned i = 0; i < 24; i++)
        snprintf(id, sizeof(id), "%s", e2e_publish_as(&s, "/busy", NULL, data, sizeof(data)));
    const char *cursor = poll_line(line(c, &beats), &m, &gap);
    ck_assert_ptr_nonnull(cursor);
    if (poll_n(cursor) < poll_n(id)) /* it came before the last of them */
        snprintf(id, sizeof(id), "%s", cursor);
    ck_assert_str_eq(cursor, id);
    ck_assert_str_eq(line(c, NULL), "");
    publish("/quiet", "x");
    while (*(cursor = line(c, NULL)) == '\0')
        ;
    poll_line((char *)(uintptr_t)cursor, &m, &gap);
    ck_assert_str_eq(m.data, "x");
    ck_assert_ptr_null(gap.reason);
    e2e_stop(&s);
}
END_TEST

START_TEST(test_lines_gap)
{
    struct poll_message m;
    struct poll_gap gap;
    unsigned lagged = 0;
    e2e_start(&s, "--ring", "64K", NULL);
    e2e_publish(&s, "/a", "x");
    static const char *const cursors[] = {"1-1", "nonsense", "\xff"};
    for (unsigned i = 0; i < COUNT(cursors); i++) {
        struct e2e_conn *c = lines_open("/a?wait=1", print("Last-Event-ID: %s\r\n", cursors[i]));
        /* Cut before the gap is told, the client must not take this for where it is. */
        if (i > 0)
            ck_assert_ptr_null(e2e_field(&r, "Last-Event-ID"));
        poll_line(line(c, NULL), &m, &gap);
        ck_assert_pstr_eq(gap.reason, "unknown");
        ck_assert_pstr_eq(gap.after, i < 2 ? cursors[i] : NULL);
        ck_assert_uint_eq(poll_n(gap.oldest), 1);
        line_message(c, "x");
        e2e_close(c);
    }
    for (unsigned i = 0; i < 20 && lagged == 0; i++) {
        struct e2e_conn *c = lines_open("/a?wait=1", NULL);
        overrun();
        poll_line(line(c, NULL), &m, &gap);
        if (m.id == NULL) {
            ck_assert_str_eq(gap.reason, "lagged");
            lagged++;
        }
        e2e_close(c);
    }
    ck_assert_uint_eq(lagged, 1);
    e2e_stop(&s);
}
END_TEST

/* ---- ten thousand ---- */

/* Connects from 127.0.0.2 and on, and asks. */
static int crowd_open(unsigned k)
{
    static const char get[] = "GET /crowd?wait=50&since=now HTTP/1.1\r\nHost: t\r\n\r\n";
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + k / 2000)};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)s.port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1 || bind(fd, (struct sockaddr *)&from, sizeof(from)) == -1 ||
        connect(fd, (struct sockaddr *)&to, sizeof(to)) == -1 ||
        send(fd, get, sizeof(get) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(get) - 1)
        e2e_fail("client %u: %s", k, strerror(errno));
    return fd;
}

/* Each must have the answer with this message; returns the time of the last, in ms. */
static int64_t crowd_read(const int *fds, unsigned n, const char *data, int64_t start)
{
    for (unsigned k = 0; k < n; k++) {
        struct pollfd p = {fds[k], POLLIN, 0};
        char text[2048];
        if (poll(&p, 1, E2E_WAIT_MS) == 0)
            e2e_fail("client %u of %u was not answered", k, n);
        ssize_t got = recv(fds[k], text, sizeof(text) - 1, 0);
        text[got > 0 ? got : 0] = '\0';
        if (strncmp(text, "HTTP/1.1 200 ", 13) != 0 ||
            strstr(text, print("\"data\":\"%s\"}]}\n", data)) == NULL)
            e2e_fail("client %u of %u got %s", k, n, text);
    }
    return e2e_now_ms() - start;
}

START_TEST(test_crowd)
{
    enum { MOST = 10000, FIRST = 200, SPARE = 500 };
    static int fds[MOST];
    static const char get[] = "GET /crowd?wait=50&since=now HTTP/1.1\r\nHost: t\r\n\r\n";
    struct rlimit files;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    unsigned n = files.rlim_max < MOST + SPARE ? (unsigned)files.rlim_max - SPARE : MOST;
    e2e_start_with(&s, (const char *const[]){NULL}, n + SPARE);
    for (unsigned k = 0; k < FIRST; k++)
        fds[k] = crowd_open(k);
    requests(FIRST);
    long before = e2e_memory(&s, "VmRSS");
    for (unsigned k = FIRST; k < n; k++)
        fds[k] = crowd_open(k);
    requests((long)n);
    long each = (e2e_memory(&s, "VmRSS") - before) / (long)(n - FIRST);
    ck_assert_msg(!e2e_measures() || each <= 80, "%ld bytes of memory for each that waits", each);
    ck_assert_int_eq(metric("sse_connections"), (long)n + 1);
    for (unsigned round = 0; round < 2; round++) {
        int64_t start = e2e_now_ms();
        char data[32];
        snprintf(data, sizeof(data), "round %u", round);
        ck_assert_uint_eq(publish("/crowd", data), n);
        int64_t took = crowd_read(fds, n, data, start);
        printf("test_crowd: %u clients, %ld bytes each, all answered after %d ms\n", n, each,
               (int)took);
        if (round > 0)
            break;
        for (unsigned k = 0; k < n; k++)
            ck_assert_int_eq(send(fds[k], get, sizeof(get) - 1, MSG_NOSIGNAL), sizeof(get) - 1);
        requests(2 * (long)n + 1);
    }
    for (unsigned k = 0; k < n; k++)
        close(fds[k]);
    int64_t end = e2e_now_ms() + E2E_WAIT_MS;
    while (metric("sse_connections") > 1)
        ck_assert_int_lt(e2e_now_ms(), end);
    ck_assert_uint_eq(publish("/crowd", "x"), 0);
    ck_assert_int_eq(metric("sse_buffer_bytes"), 0);
    e2e_stop(&s);
}
END_TEST

/* ---- main ---- */

int main(void)
{
    Suite *suite = suite_create("poll_wait");
    TCase *t = tcase_create("poll_wait");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_woken);
    tcase_add_test(t, test_answered_at_once);
    tcase_add_test(t, test_timeout);
    tcase_add_test(t, test_preferences);
    tcase_add_test(t, test_pipelined);
    tcase_add_test(t, test_gone);
    tcase_add_test(t, test_old_and_closing);
    tcase_add_test(t, test_cors);
    tcase_add_loop_test(t, test_side_by_side, 0, COUNT(beside));
    tcase_add_test(t, test_topics);
    tcase_add_test(t, test_follows);
    tcase_add_test(t, test_lagged);
    tcase_add_test(t, test_follows_with_losses);
    tcase_add_test(t, test_gap_at_once);
    tcase_add_test(t, test_shutdown);
    tcase_add_test(t, test_lines);
    tcase_add_test(t, test_lines_seam);
    tcase_add_test(t, test_lines_heartbeat);
    tcase_add_test(t, test_lines_gap);
    suite_add_tcase(suite, t);
    t = tcase_create("memory");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_crowd);
    suite_add_tcase(suite, t);
    return run(suite);
}
