/*
 * proxy.c - end to end: all ways through each real proxy before the server.
 *
 * Each test starts a server and a proxy of its own, with the configurations of test/proxy/
 * (README.md shows a part of nginx's). What a kind of proxy does not do (see proxies.h) sse.1 says.
 */
#include "test/kit/e2e.h"
#include "test/kit/kit.h"
#include "test/kit/metric.h"
#include "test/kit/proxies.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Which of the proxies: the others are those of test/e2e/proxy_more.c. */
#ifndef PROXY_FIRST
#define PROXY_FIRST 0
#define PROXY_END   5
#endif

static struct proxy proxy;
static struct e2e_response r;

static void begin(int kind, struct e2e_server *s)
{
    e2e_start(s, NULL);
    proxy_start(&proxy, kind, s, PROXY_PATIENT);
}

/* Starts both, the server with this --heartbeat, the proxy with little patience. */
static void begin_impatient(int kind, struct e2e_server *s, const char *heartbeat)
{
    e2e_start(s, "--heartbeat", heartbeat, NULL);
    proxy_start(&proxy, kind, s, PROXY_IMPATIENT);
}

static void end(struct e2e_server *s)
{
    proxy_stop(&proxy);
    e2e_stop(s);
}

/* ---- what comes through it ---- */

/* The body of an answer as it comes, without the chunks that the proxy may have cut it into. */
struct body {
    struct e2e_conn *c;
    bool chunked, end;
    char text[16384];
    size_t n;
};

/* Sends a GET through the proxy with these field lines, and reads the head of the answer. */
static void body_open(struct body *b, const char *target, const char *fields)
{
    *b = (struct body){.c = e2e_open(&proxy.at)};
    e2e_printf(b->c, "GET %s HTTP/1.1\r\nHost: test\r\n%s\r\n", target, fields);
    e2e_response(b->c, &r);
    e2e_expect_status(&r, 200, NULL);
    ck_assert_ptr_null(e2e_field(&r, "Content-Length"));
    b->chunked = e2e_field_has(&r, "Transfer-Encoding", "chunked");
}

static void body_more(struct body *b)
{
    size_t n, line = 0;
    if (b->chunked) {
        line = (size_t)(e2e_until(b->c, "\r\n") + 2 - b->c->buf);
        n = strtoul(b->c->buf, NULL, 16);
        e2e_need(b->c, line + n + 2);
        b->end = n == 0;
    } else {
        if (!e2e_comes(b->c, E2E_WAIT_MS))
            e2e_fail("neither more of the body came nor its end, behind: %s", b->text);
        n = b->c->n;
        b->end = n == 0;
    }
    ck_assert_uint_lt(b->n + n, sizeof(b->text));
    memcpy(b->text + b->n, b->c->buf + line, n);
    b->n += n;
    b->text[b->n] = '\0';
    e2e_consume(b->c, line + n + (b->chunked ? 2 : 0));
}

/* Reads on until this text, and drops what is before it, and it. */
static void body_until(struct body *b, const char *text)
{
    const char *at;
    while ((at = strstr(b->text, text)) == NULL) {
        if (b->end)
            e2e_fail("the end without \"%s\": %s", text, b->text);
        body_more(b);
    }
    at += strlen(text);
    b->n -= (size_t)(at - b->text);
    memmove(b->text, at, b->n + 1);
}

static void body_until_end(struct body *b)
{
    while (!b->end)
        body_more(b);
}

/* Publishes to the server itself; the text is to be with the reader before anything else is
 * sent. */
static void expect_at_once(const struct e2e_server *s, struct body *b, const char *text)
{
    e2e_publish(s, "/news", text);
    body_until(b, text);
}

/* A gauge of the server's is to come to n. */
static void expect_gauge(const struct e2e_server *s, const char *name, int n)
{
    for (int64_t deadline = e2e_now_ms() + E2E_WAIT_MS; e2e_now_ms() < deadline; e2e_sleep_ms(5)) {
        e2e_ask(s, &r, "GET /-/metrics HTTP/1.1\r\nHost: test\r\n\r\n");
        if (metric_sum(r.body, name) == n)
            return;
    }
    e2e_fail("the server was to have a %s of %d", name, n);
}

/* The server is to come to so many subscribers. */
static void expect_subscribers(const struct e2e_server *s, int n)
{
    char wanted[32];
    snprintf(wanted, sizeof(wanted), "\"subscribers\":%d}", n);
    for (int64_t deadline = e2e_now_ms() + E2E_WAIT_MS; e2e_now_ms() < deadline; e2e_sleep_ms(5)) {
        e2e_ask(s, &r,
                "POST /news?event=count HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
        if (strstr(r.body, wanted) != NULL)
            return;
    }
    e2e_fail("the server was to have %d subscribers: %s", n, r.body);
}

/* ---- polling ---- */

/* A connection to go on with, after an answer: a new one where the proxy closes the old. */
static struct e2e_conn *go_on(struct e2e_conn *c)
{
    return e2e_field_has(&r, "Connection", "close") ? e2e_open(&proxy.at) : c;
}

START_TEST(polls_are_answered)
{
    struct e2e_server s;
    begin(_i, &s);
    struct e2e_conn *c = e2e_open(&proxy.at);
    e2e_send_publish(c, "/news", "one", 3);
    e2e_response(c, &r);
    e2e_expect_status(&r, 201, NULL);
    e2e_send_publish(c, "/news?event=e", "two", 3);
    e2e_response(c, &r);
    e2e_expect_status(&r, 201, NULL);

    e2e_send(c, "GET /news HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_response(c, &r);
    e2e_expect_status(&r, 200, NULL);
    ck_assert_ptr_nonnull(strstr(r.body, "\"data\":\"one\""));
    ck_assert_ptr_nonnull(strstr(r.body, "\"event\":\"e\",\"data\":\"two\""));
    char tag[64], id[64];
    ck_assert_ptr_nonnull(e2e_field(&r, "ETag"));
    snprintf(tag, sizeof(tag), "%s", e2e_field(&r, "ETag"));
    snprintf(id, sizeof(id), "%s", e2e_field(&r, "Last-Event-ID"));

    e2e_printf(c, "GET /news HTTP/1.1\r\nHost: test\r\nIf-None-Match: %s\r\n\r\n", tag);
    e2e_response(c, &r);
    e2e_expect_status(&r, 304, NULL);
    e2e_printf(c, "GET /news HTTP/1.1\r\nHost: test\r\nLast-Event-ID: %s\r\n\r\n", id);
    e2e_response(c, &r);
    e2e_expect_status(&r, 204, NULL);
    e2e_send(c, "HEAD /news HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_response_head(c, &r);
    e2e_expect_status(&r, 200, NULL);
    ck_assert_str_eq(e2e_field(&r, "Last-Event-ID"), id);

    c = go_on(c); /* a HEAD has no Content-Length, which some take for a body to the end */
    e2e_publish(&s, "/news", "three");
    e2e_printf(c,
               "GET /news HTTP/1.1\r\nHost: test\r\nAccept: text/plain\r\n"
               "If-None-Match: %s\r\n\r\n",
               tag);
    e2e_response(c, &r);
    e2e_expect_status(&r, 200, NULL);
    ck_assert_str_eq(r.body, "three\n");
    e2e_send(c, "GET /a%2Fb,, HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_response(c, &r);
    e2e_expect_status(&r, 400, NULL);
    end(&s);
}
END_TEST

START_TEST(long_polls_wait)
{
    struct e2e_server s;
    begin(_i, &s);
    struct e2e_conn *c = e2e_open(&proxy.at);
    e2e_send(c, "GET /news HTTP/1.1\r\nHost: test\r\nPrefer: wait=1\r\n\r\n");
    e2e_response(c, &r);
    e2e_expect_status(&r, 204, NULL);
    ck_assert_str_eq(e2e_field(&r, "Preference-Applied"), "wait=1");

    c = go_on(c);
    e2e_send(c, "GET /news?wait=30 HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_expect_silence(c, 200);
    e2e_publish(&s, "/news", "now");
    e2e_response(c, &r);
    e2e_expect_status(&r, 200, NULL);
    ck_assert_ptr_nonnull(strstr(r.body, "\"data\":\"now\""));
    end(&s);
}
END_TEST

START_TEST(who_leaves_a_long_poll_is_noticed)
{
    struct e2e_server s;
    if (!proxy_kinds[_i].notices)
        return;
    begin(_i, &s);
    struct e2e_conn *c = e2e_open(&proxy.at);
    e2e_send(c, "GET /quiet?wait=30 HTTP/1.1\r\nHost: test\r\n\r\n");
    expect_gauge(&s, "sse_topics", 1); /* one without messages is there while somebody waits */
    e2e_close(c);
    expect_gauge(&s, "sse_topics", 0);
    end(&s);
}
END_TEST

/* ---- streams ---- */

static const char *const streams[] = {
    "Accept: text/event-stream\r\n",
    "Accept: application/x-ndjson\r\nPrefer: wait=60\r\n",
};

START_TEST(streams_come_at_once)
{
    static struct body b;
    struct e2e_server s;
    char fields[128];
    begin(_i, &s);
    for (size_t i = 0; i < COUNT(streams); i++) {
        body_open(&b, "/news", streams[i]);
        expect_subscribers(&s, 1);
        expect_at_once(&s, &b, "one");
        expect_at_once(&s, &b, "two");
        e2e_close(b.c);
        expect_subscribers(&s, 0);

        const char *id = e2e_publish(&s, "/news", "seen");
        e2e_publish(&s, "/news", "missed");
        snprintf(fields, sizeof(fields), "%sLast-Event-ID: %s\r\n", streams[i], id);
        body_open(&b, "/news", fields);
        body_until(&b, "missed");
        e2e_close(b.c);
    }
    end(&s);
}
END_TEST

START_TEST(the_end_of_the_server_is_told)
{
    static struct body b[COUNT(streams)];
    struct e2e_server s;
    begin(_i, &s);
    for (size_t i = 0; i < COUNT(streams); i++)
        body_open(&b[i], "/news", streams[i]);
    expect_subscribers(&s, COUNT(streams));
    e2e_stop(&s);
    for (size_t i = 0; i < COUNT(streams); i++)
        body_until_end(&b[i]);
    proxy_stop(&proxy);
}
END_TEST

/* EventSource gives up for good on any status but 200, and not where no answer comes: while there
 * is no server, a proxy that can answers it with a stream that ends, or ends the connection, and
 * others with an error. */
START_TEST(streams_are_put_off_while_the_server_is_away)
{
    struct e2e_server s;
    begin(_i, &s);
    e2e_stop(&s);
    struct e2e_conn *c = e2e_open(&proxy.at);
    e2e_send(c, "GET /news HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n");
    if (e2e_until_or_end(c, "\r\n\r\n") == NULL)
        ck_assert(proxy_kinds[_i].puts_off && c->n == 0);
    else if (!proxy_kinds[_i].puts_off)
        ck_assert_msg(strncmp(c->buf, "HTTP/1.1 50", 11) == 0, "a stream was answered %s", c->buf);
    else if (strncmp(c->buf, "HTTP/1.1 200 ", 13) != 0 ||
             strcasestr(c->buf, "\r\nContent-Type: text/event-stream") == NULL)
        e2e_fail("a stream was answered %s", c->buf);
    c = e2e_open(&proxy.at);
    e2e_send(c, "GET /news HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_until(c, "\r\n\r\n");
    if (strncmp(c->buf, "HTTP/1.1 50", 11) != 0)
        e2e_fail("a poll was answered %s", c->buf);
    proxy_stop(&proxy);
}
END_TEST

/* ---- WebSocket ---- */

/* Opens a WebSocket through the proxy; `fields`: more field lines. */
static struct e2e_conn *socket_open(const char *target, const char *fields)
{
    struct e2e_conn *c = e2e_open(&proxy.at);
    e2e_printf(c,
               "GET %s HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
               target, fields);
    const char *head = e2e_until(c, "\r\n\r\n");
    if (strncmp(c->buf, "HTTP/1.1 101 ", 13) != 0 ||
        strcasestr(c->buf, "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") == NULL)
        e2e_fail("the handshake was answered %s", c->buf);
    e2e_consume(c, (size_t)(head + 4 - c->buf));
    return c;
}

/* Sends a frame of at most 125 bytes, with a mask of zeros. */
static void socket_send(struct e2e_conn *c, unsigned opcode, const char *payload)
{
    char head[6] = {(char)(0x80 | opcode), (char)(0x80 | strlen(payload))};
    ck_assert_uint_le(strlen(payload), 125);
    e2e_send_n(c, head, sizeof(head));
    e2e_send(c, payload);
}

/* Reads the next frame that is no ping; returns its payload, in a static buffer. */
static const char *socket_frame(struct e2e_conn *c, unsigned opcode)
{
    static char payload[65536];
    for (;;) {
        e2e_need(c, 2);
        unsigned first = (unsigned char)c->buf[0], n = (unsigned char)c->buf[1], head = 2;
        if (n == 126) {
            e2e_need(c, head = 4);
            n = (unsigned)(unsigned char)c->buf[2] << 8 | (unsigned char)c->buf[3];
        }
        e2e_need(c, head + n);
        memcpy(payload, c->buf + head, n);
        payload[n] = '\0';
        e2e_consume(c, head + n);
        if (first == (0x80 | opcode))
            return payload;
        if (first != 0x89)
            e2e_fail("a frame of %#x, not %#x: %s", first, 0x80 | opcode, payload);
        socket_send(c, 10, payload);
    }
}

/* Answers pings for so long; nothing else must come. */
static void socket_idle(struct e2e_conn *c, int ms)
{
    int pings = 0;
    for (int64_t deadline = e2e_now_ms() + ms; e2e_now_ms() < deadline;) {
        if (!e2e_comes(c, (int)(deadline - e2e_now_ms())))
            break;
        e2e_expect(c, "\x89%c", 0);
        socket_send(c, 10, "");
        pings++;
    }
    ck_assert_int_gt(pings, 1);
}

START_TEST(websockets_work)
{
    struct e2e_server s;
    begin(_i, &s);
    struct e2e_conn *raw = socket_open("/news", ""),
                    *json = socket_open("/news", "Sec-WebSocket-Protocol: json\r\n");
    ck_assert_int_eq(strncmp(socket_frame(json, 1), "{\"id\":\"", 7), 0);
    e2e_publish(&s, "/news", "one");
    ck_assert_str_eq(socket_frame(raw, 1), "one");
    ck_assert_ptr_nonnull(strstr(socket_frame(json, 1), "\"data\":\"one\""));
    socket_send(raw, 2, "two");
    ck_assert_str_eq(socket_frame(raw, 2), "two");
    ck_assert_ptr_nonnull(strstr(socket_frame(json, 1), "\"base64\":\"dHdv\""));
    socket_send(json, 1, "{\"topic\":\"news\",\"data\":\"three\"}");
    ck_assert_str_eq(socket_frame(raw, 1), "three");
    const char *frame = socket_frame(json, 1);
    if (strstr(frame, "{\"ok\":") == NULL) /* the answer and the message come in either order */
        ck_assert_ptr_nonnull(strstr(frame, "\"data\":\"three\""));
    else
        ck_assert_ptr_nonnull(strstr(socket_frame(json, 1), "\"data\":\"three\""));
    end(&s);
}
END_TEST

START_TEST(the_end_of_a_websocket_is_told)
{
    struct e2e_server s;
    begin(_i, &s);
    struct e2e_conn *away = socket_open("/news", ""), *polite = socket_open("/news", ""),
                    *rest = socket_open("/news", "");
    e2e_publish(&s, "/news", "x");
    ck_assert_str_eq(socket_frame(polite, 1), "x");
    e2e_close(away);
    socket_send(polite, 8, "\x03\xe8");
    ck_assert_str_eq(socket_frame(polite, 8), "\x03\xe8");
    e2e_expect_end(polite);
    e2e_close(polite);
    expect_gauge(&s, "sse_connections{way=\"websocket\"}", 1);
    ck_assert_str_eq(socket_frame(rest, 1), "x");
    e2e_stop(&s);
    e2e_until_end(rest);
    proxy_stop(&proxy);
}
END_TEST

/* ---- publishing ---- */

static void send_chunk(struct e2e_conn *c, const char *bytes, size_t n)
{
    e2e_printf(c, "%zx\r\n", n);
    e2e_send_n(c, bytes, n);
    e2e_send(c, "\r\n");
}

/* Each message of an upload is with the subscriber before the next is sent; then it goes on for
 * more than proxies like. */
START_TEST(an_upload_is_live)
{
    enum { LINES = 40, LINE = 50000 };
    static char line[LINE + 1];
    struct e2e_server s;
    begin(_i, &s);
    struct e2e_conn *sub = e2e_subscribe(&s, "/feed", NULL), *c = e2e_open(&proxy.at);
    e2e_send(c, "POST /feed HTTP/1.1\r\nHost: test\r\nContent-Type: application/x-ndjson\r\n"
                "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        send_chunk(c, "\"live\"\n", 7);
        e2e_expect_message(sub, NULL, "\"live\"", NULL);
        e2e_sleep_ms(50);
    }
    e2e_close(sub);
    memset(line, '7', LINE);
    line[LINE - 1] = '\n';
    for (int i = 0; i < LINES; i++)
        send_chunk(c, line, LINE);
    e2e_send(c, "0\r\n\r\n");
    e2e_response(c, &r);
    e2e_expect_status(&r, 201, NULL);
    ck_assert_ptr_nonnull(strstr(r.body, "\"count\":43,"));
    end(&s);
}
END_TEST

START_TEST(pages_of_the_proxy_may_publish)
{
    struct e2e_server s;
    char own[128];
    begin(_i, &s);
    struct e2e_conn *c = e2e_open(&proxy.at);
    e2e_printf(c, "POST /news HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nContent-Length: 1\r\n\r\nx",
               proxy.at.address[0] + 7, proxy.at.address[0]);
    e2e_response(c, &r);
    e2e_expect_status(&r, 201, NULL);
    e2e_send(c, "POST /news HTTP/1.1\r\nHost: test\r\nOrigin: http://other\r\n"
                "Content-Length: 1\r\n\r\nx");
    e2e_response(c, &r);
    e2e_expect_status(&r, 403, "--cors");
    snprintf(own, sizeof(own), "Origin: http://test\r\n");
    socket_open("/news", own);
    end(&s);
}
END_TEST

/* ---- who the client is ---- */

/* Publishes through the proxy, with these field lines, behind `header`, which tells the proxy for
 * whom it is. */
static void publish_as(const char *header, const char *fields)
{
    struct e2e_conn *c = e2e_open(&proxy.at);
    e2e_printf(c, "%sPOST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n%s\r\nx", header,
               fields);
    e2e_response(c, &r);
    e2e_close(c);
}

START_TEST(clients_on_this_host_may_publish)
{
    struct e2e_server s;
    e2e_start(&s, "--trust-proxy", "127.0.0.1", NULL);
    e2e_ask(&s, &r, "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    e2e_expect_status(&r, 403, "which named no client");
    proxy_start(&proxy, _i, &s, PROXY_PATIENT);
    publish_as("", "");
    e2e_expect_status(&r, 201, NULL);
    publish_as("", "Forwarded: for=203.0.113.7\r\n"); /* which the proxy passes on */
    e2e_expect_status(&r, 403, "name two clients");
    socket_send(socket_open("/news", ""), 1, "y");
    for (int64_t end_ms = e2e_now_ms() + E2E_WAIT_MS; strstr(r.body, "\"y\"") == NULL;) {
        if (e2e_now_ms() > end_ms)
            e2e_fail("what a WebSocket sent was not published: %s", r.body);
        e2e_ask(&proxy.at, &r, "GET /news HTTP/1.1\r\nHost: test\r\n\r\n");
    }
    end(&s);
}
END_TEST

#define FROM(address) "PROXY TCP4 " address " 127.0.0.1 4711 80\r\n"

/* Clients elsewhere, as a balancer before the proxy tells it: whatever they write themselves. */
START_TEST(clients_elsewhere_may_not)
{
    static const char *const forged[] = {"", "X-Forwarded-For: 127.0.0.1\r\n",
                                         "Forwarded: for=127.0.0.1\r\n",
                                         "Forwarded: for=\"\r\nX-Forwarded-For: 127.0.0.1, \r\n"};
    struct e2e_server s;
    if (proxy_kinds[_i].behind == NULL)
        return; /* it can't be told */
    e2e_start(&s, "--trust-proxy", "127.0.0.1", NULL);
    proxy_start_told(&proxy, _i, &s);
    for (size_t i = 0; i < COUNT(forged); i++) {
        publish_as(FROM("203.0.113.7"), forged[i]);
        e2e_expect_status(&r, 403, i < 2 ? "(--trust-proxy), for 203.0.113.7; " : "two clients");
    }
    publish_as(FROM("127.0.0.1"), "");
    e2e_expect_status(&r, 201, NULL);
    end(&s);
}
END_TEST

/* A proxy that was not told to say whom opens the server to nobody. */
START_TEST(a_forgotten_line_opens_nothing)
{
    struct e2e_server s;
    if (proxy_kinds[_i].untold[0] == NULL)
        return; /* it always does */
    e2e_start(&s, "--trust-proxy", "127.0.0.1", NULL);
    proxy_start_with(&proxy, _i, &s, proxy_kinds[_i].untold);
    publish_as("", "");
    e2e_expect_status(&r, 403, "which named no client (Forwarded, X-Forwarded-For)");
    end(&s);
}
END_TEST

/* HAProxy passes on bytes, and tells of clients in front of them. */
START_TEST(headers_are_heard)
{
    static const char *const how[] = {"send-proxy", "send-proxy-v2",
                                      "send-proxy-v2 proxy-v2-options crc32c"};
    struct e2e_server s;
    e2e_start(&s, "--proxy-protocol", "--max-per-address", "2", NULL);
    proxy_start_balancer(&proxy, &s, how[_i]);
    publish_as(FROM("203.0.113.7"), "X-Forwarded-For: 127.0.0.1\r\n");
    e2e_expect_status(&r, 403, "for clients on this host; --anonymous publish");
    publish_as("PROXY TCP6 2001:db8::1 ::1 4711 80\r\n", "");
    e2e_expect_status(&r, 403, NULL);
    publish_as("PROXY UNKNOWN\r\n", "");
    int unknown = r.status; /* HAProxy speaks of its own peer then */
    publish_as(FROM("127.0.0.1"), "");
    e2e_expect_status(&r, 201, NULL);
    ck_assert_int_eq(unknown, 201);
    struct e2e_conn *c[3];
    for (unsigned i = 0; i < COUNT(c); i++) {
        e2e_printf(c[i] = e2e_open(&proxy.at),
                   "%sGET /news?wait=1 HTTP/1.1\r\nHost: test\r\n"
                   "Accept: application/x-ndjson\r\n\r\n",
                   FROM("203.0.113.8"));
        e2e_response(c[i], &r);
        e2e_expect_status(&r, i < 2 ? 200 : 503, i < 2 ? NULL : "--max-per-address");
    }
    e2e_sleep_ms(500); /* it looks whether the server is well, some times */
    publish_as(FROM("127.0.0.1"), "");
    e2e_expect_status(&r, 201, NULL);
    e2e_until(c[1], "\"data\":\"x\"");
    struct e2e_conn *direct = e2e_open(&s);
    e2e_send(direct, "GET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n");
    ck_assert(e2e_comes(direct, E2E_WAIT_MS) && direct->n == 0);
    e2e_printf(direct = e2e_open(&s), "%sGET /-/metrics HTTP/1.1\r\nHost: test\r\n\r\n",
               FROM("192.0.2.1"));
    e2e_response(direct, &r);
    ck_assert_ptr_nonnull(strstr(r.body, "\nsse_proxy_refused_total 1\n")); /* that one alone */
    end(&s);
}
END_TEST

/* ---- timeouts ---- */

START_TEST(heartbeats_keep_streams_open)
{
    static struct body b[COUNT(streams)];
    struct e2e_server s;
    begin_impatient(_i, &s, "500ms");
    for (size_t i = 0; i < COUNT(streams); i++)
        body_open(&b[i], "/news", streams[i]);
    struct e2e_conn *raw = socket_open("/news", "");
    socket_idle(raw, PROXY_IMPATIENT_MS + PROXY_IMPATIENT_MS / 2);
    expect_subscribers(&s, 3);
    for (size_t i = 0; i < COUNT(streams); i++)
        expect_at_once(&s, &b[i], i == 0 ? "first" : "second");
    while (strcmp(socket_frame(raw, 1), "second") != 0)
        ;
    end(&s);
}
END_TEST

/* That they do is seen from what becomes of a stream without. */
START_TEST(a_quiet_stream_is_cut)
{
    struct e2e_server s;
    if (!proxy_kinds[_i].impatient)
        return;
    begin_impatient(_i, &s, "1h");
    struct e2e_conn *c = e2e_open(&proxy.at);
    e2e_send(c, "GET /news HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n");
    e2e_until(c, "\nid: ");
    e2e_until_end(c);
    expect_subscribers(&s, 0);
    end(&s);
}
END_TEST

/* ---- TLS and HTTP/2 ---- */

/* Reads from a pipe until this text. */
static void pipe_until(int fd, const char *text)
{
    static char got[16384];
    size_t n = 0;
    int64_t deadline = e2e_now_ms() + E2E_WAIT_MS;
    got[0] = '\0';
    while (strstr(got, text) == NULL) {
        struct pollfd p = {fd, POLLIN, 0};
        if (n == sizeof(got) - 1 || e2e_now_ms() > deadline)
            e2e_fail("curl did not print \"%s\" in time: %s", text, got);
        if (poll(&p, 1, 100) == 0)
            continue;
        ssize_t more = read(fd, got + n, sizeof(got) - 1 - n);
        if (more <= 0)
            e2e_fail("curl ended without printing \"%s\": %s", text, got);
        n += (size_t)more;
        got[n] = '\0';
    }
}

/* Starts curl with HTTP/2 over TLS; *out is set to what it prints. */
static pid_t curl_start(const char *path, const char *const options[4], int in, int *out)
{
    char url[128];
    int fd[2];
    snprintf(url, sizeof(url), "https://localhost:%d%s", proxy.tls, path);
    const char *const argv[] = {"curl",     "-q",       "-sSkNi4",  "--http2",  "--noproxy", "*",
                                options[0], options[1], options[2], options[3], url,         NULL};
    ck_assert_int_eq(pipe2(fd, O_CLOEXEC), 0);
    pid_t pid = proxies_spawn(argv, "curl", in, fd[1]);
    close(fd[1]);
    *out = fd[0];
    return pid;
}

START_TEST(http2_over_tls_works)
{
    static const char *const listen[] = {"-H", "Accept: text/event-stream", "-m", "600"};
    static const char *const upload[] = {"-H", "Content-Type: application/x-ndjson", "-T", "-"};
    struct e2e_server s;
    int out, answer, feed[2];
    if (!proxy_kinds[_i].tls)
        return;
    begin(_i, &s);
    pid_t sub = curl_start("/news", listen, -1, &out);
    pipe_until(out, "HTTP/2 200");
    expect_subscribers(&s, 1);
    e2e_publish(&s, "/news", "hello");
    pipe_until(out, "data: hello\n");

    ck_assert_int_eq(pipe2(feed, O_CLOEXEC), 0);
    pid_t pub = curl_start("/news", upload, feed[0], &answer);
    close(feed[0]);
    ck_assert_int_eq(write(feed[1], "\"first\"\n", 8), 8);
    pipe_until(out, "data: \"first\"\n");
    ck_assert_int_eq(write(feed[1], "\"last\"\n", 7), 7);
    pipe_until(out, "data: \"last\"\n");
    close(feed[1]);
    pipe_until(answer, "\"count\":2,\"subscribers\":1}");
    waitpid(pub, NULL, 0);
    kill(sub, SIGKILL);
    waitpid(sub, NULL, 0);
    expect_subscribers(&s, 0);
    end(&s);
}
END_TEST

/* ---- the suite ---- */

/* `sse sub` and `sse pub` speak through it: what is typed comes out, line by line. */
START_TEST(the_commands_go_through)
{
    struct e2e_server s;
    char where[300], bin[4096], line[64];
    int in[2], out[2], status;
    begin_impatient(_i, &s, "500ms");
    snprintf(where, sizeof(where), "%s/t", proxy.at.address[0]);
    const char *path = getenv("SSE_BIN") != NULL ? getenv("SSE_BIN") : "build/gcc-asan/sse";
    ck_assert_ptr_nonnull(realpath(path, bin));
    const char *const sub[] = {bin, "sub", where, "--since", "earliest", "--count", "3", NULL};
    const char *const pub[] = {bin, "pub", where, NULL};
    ck_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    pid_t subscriber = proxies_spawn(sub, "sse", -1, out[1]),
          publisher = proxies_spawn(pub, "sse", in[0], -1);
    close(in[0]);
    close(out[1]);
    for (int i = 0; i < 3; i++) {
        struct pollfd p = {out[0], POLLIN, 0};
        snprintf(line, sizeof(line), "line %d\n", i);
        ck_assert_int_eq(write(in[1], line, strlen(line)), (ssize_t)strlen(line));
        char got[64] = "";
        ck_assert_msg(poll(&p, 1, E2E_WAIT_MS) == 1, "nothing came of %s", line);
        ck_assert_int_gt(read(out[0], got, sizeof(got) - 1), 0);
        ck_assert_str_eq(got, line); /* while the publisher goes on */
    }
    ck_assert(waitpid(subscriber, &status, 0) == subscriber && status == 0);
    close(in[1]);
    ck_assert(waitpid(publisher, &status, 0) == publisher && status == 0);
    close(out[0]);
    end(&s);
}
END_TEST

/* A test does not outlive the program, nor ends for a curl that did. */
static void bound(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
}

/* The tests through one of the proxies. */
static TCase *cases(int kind)
{
    const TTest *const tests[] = {
        polls_are_answered,
        long_polls_wait,
        who_leaves_a_long_poll_is_noticed,
        streams_come_at_once,
        the_end_of_the_server_is_told,
        streams_are_put_off_while_the_server_is_away,
        websockets_work,
        the_end_of_a_websocket_is_told,
        an_upload_is_live,
        pages_of_the_proxy_may_publish,
        clients_on_this_host_may_publish,
        clients_elsewhere_may_not,
        a_forgotten_line_opens_nothing,
        heartbeats_keep_streams_open,
        a_quiet_stream_is_cut,
        the_commands_go_through,
        http2_over_tls_works,
    };
    TCase *c = tcase_create(proxy_kinds[kind].name);
    tcase_set_timeout(c, 30);
    tcase_add_unchecked_fixture(c, proxies_begin, proxies_end);
    tcase_add_checked_fixture(c, bound, NULL);
    for (size_t i = 0; i < COUNT(tests); i++)
        tcase_add_loop_test(c, tests[i], kind, kind + 1);
    if (strcmp(proxy_kinds[kind].name, "haproxy") == 0)
        tcase_add_loop_test(c, headers_are_heard, 0, 3);
    return c;
}

int main(void)
{
    Suite *s = suite_create("proxy");
    for (int i = PROXY_FIRST; i < PROXY_END; i++) {
        if (proxy_there(i))
            suite_add_tcase(s, cases(i));
    }
    return run(s);
}
