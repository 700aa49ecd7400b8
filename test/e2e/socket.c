/*
 * socket.c - end to end: WebSocket as RFC 6455 has it: the handshake, frames of all sizes and
 * cuts, frames that are wrong, the close, pings.
 */
#include "test/kit/socket.h"
#include "test/kit/kit.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct e2e_server s;
static struct e2e_response r;

/* ---- handshake ---- */

struct ask {
    int line, status;
    const char *target, *fields, *detail;
};

static const struct ask asks[] = {
    {__LINE__, 101, "/a", "Sec-WebSocket-Version: 13\r\n" SOCKET_KEY, NULL},
    {__LINE__, 101, "/a/b,c/*", "Sec-WebSocket-Version: 13\r\n" SOCKET_KEY, NULL},
    {__LINE__, 101, "/a",
     "Sec-WebSocket-Version: 13\r\n" SOCKET_KEY "Accept: text/event-stream\r\n", NULL},
    {__LINE__, 426, "/a", SOCKET_KEY, "Sec-WebSocket-Version"},
    {__LINE__, 426, "/a", "Sec-WebSocket-Version: 8\r\n" SOCKET_KEY, "13"},
    {__LINE__, 426, "/a", "Sec-WebSocket-Version: 013\r\n" SOCKET_KEY, "13"},
    {__LINE__, 400, "/a", "Sec-WebSocket-Version: 13\r\n", "Sec-WebSocket-Key"},
    {__LINE__, 400, "/a", "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \r\n",
     "Sec-WebSocket-Key"},
    {__LINE__, 400, "/a", "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n",
     "Sec-WebSocket-Key"},
    {__LINE__, 400, "/a",
     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n",
     "Sec-WebSocket-Key"},
    {__LINE__, 400, "/a",
     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZS4h\r\n",
     "Sec-WebSocket-Key"},
    {__LINE__, 400, "/a",
     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhb!BsZSBub25jZQ==\r\n",
     "Sec-WebSocket-Key"},
    {__LINE__, 400, "/a", "Sec-WebSocket-Version: 13\r\nContent-Length: 1\r\n" SOCKET_KEY "\r\nx",
     "body"},
    {__LINE__, 400, "/a",
     "Sec-WebSocket-Version: 13\r\n" SOCKET_KEY "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
     "two different Sec-WebSocket-Key"},
    {__LINE__, 400, "/a", "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Version: 13\r\n" SOCKET_KEY,
     "two different Sec-WebSocket-Version"},
    {__LINE__, 101, "/a",
     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\n" SOCKET_KEY SOCKET_KEY, NULL},
    {__LINE__, 400, "/a//b", "Sec-WebSocket-Version: 13\r\n" SOCKET_KEY, "segment"},
    {__LINE__, 400, "/a?since=soon", "Sec-WebSocket-Version: 13\r\n" SOCKET_KEY, "since="},
    {__LINE__, 404, "/-/nothing", "Sec-WebSocket-Version: 13\r\n" SOCKET_KEY, NULL},
};

static void ask(const struct e2e_server *to, struct e2e_conn *c, const char *target,
                const char *fields)
{
    (void)to;
    e2e_printf(c,
               "GET %s HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\n"
               "Upgrade: foo/1, WebSocket\r\n%s\r\n",
               target, fields);
    e2e_response(c, &r);
}

START_TEST(test_handshake)
{
    const struct ask *a = &asks[_i];
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_open(&s);
    ask(&s, c, a->target, a->fields);
    if (r.status != a->status)
        e2e_fail("row %d was answered %s%s", a->line, r.head, r.body);
    e2e_expect_status(&r, a->status, a->detail);
    if (a->status == 101) {
        ck_assert_str_eq(e2e_field(&r, "Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        socket_send(c, SOCKET_FIN | SOCKET_PING, "there?", 6);
        socket_expect(c, SOCKET_PONG, "there?", 6);
    }
    if (a->status == 426) {
        ck_assert_str_eq(e2e_field(&r, "Sec-WebSocket-Version"), "13");
        ck_assert(e2e_field_has(&r, "Upgrade", "websocket"));
        ck_assert(e2e_field_has(&r, "Connection", "Upgrade"));
        ask(&s, c, "/a", "Sec-WebSocket-Version: 13\r\n" SOCKET_KEY); /* on the same connection */
        ck_assert_int_eq(r.status, 101);
    }
    e2e_stop(&s);
}

/* What is no handshake is a request like any other. */
START_TEST(test_no_handshake)
{
    static const char *const requests[] = {
        "GET /a HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n" SOCKET_KEY "\r\n",
        "GET /a HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        "HEAD /a HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" SOCKET_KEY
        "Sec-WebSocket-Version: 13\r\n\r\n",
        "GET /a HTTP/1.0\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" SOCKET_KEY
        "Sec-WebSocket-Version: 13\r\n\r\n",
    };
    e2e_start(&s, NULL);
    e2e_publish(&s, "/a", "hello");
    /* a GET that has kept its key has lost the rest on its way */
    static const int statuses[] = {426, 200, 200, 426};
    for (size_t i = 0; i < COUNT(requests); i++) {
        e2e_ask(&s, &r, "%s", requests[i]);
        ck_assert_msg(r.status == statuses[i], "request %zu was answered %s", i, r.head);
    }
    e2e_stop(&s);
}

static void origin(const char *fields, int status)
{
    struct e2e_conn *c = e2e_open(&s);
    char all[512];
    snprintf(all, sizeof(all), "Sec-WebSocket-Version: 13\r\n" SOCKET_KEY "%s", fields);
    ask(&s, c, "/a", all);
    if (r.status != status)
        e2e_fail("%s was answered %s%s", fields, r.head, r.body);
    if (status == 403) /* null is nothing to list */
        e2e_expect_status(&r, 403, strstr(fields, "null") == NULL ? "--cors" : "origin null");
    e2e_close(c);
}

START_TEST(test_origin)
{
    e2e_start(&s, NULL);
    origin("", 101);
    origin("Origin: http://test\r\n", 101);
    origin("Origin: http://elsewhere.example\r\n", 403);
    origin("Origin: http://test.example\r\n", 403);
    origin("Origin: null\r\n", 403);
    e2e_stop(&s);
    e2e_start(&s, "--cors", "https://a.example", "--cors", "http://b.example:81", NULL);
    origin("Origin: https://a.example\r\n", 101);
    origin("Origin: http://b.example:81\r\n", 101);
    origin("Origin: http://b.example\r\n", 403);
    origin("Origin: http://test\r\n", 101);
    e2e_stop(&s);
    e2e_start(&s, "--cors", "*", NULL);
    origin("Origin: http://elsewhere.example\r\n", 101);
    origin("Origin: null\r\n", 101);
    e2e_stop(&s);
}

START_TEST(test_handshake_limits)
{
    e2e_start(&s, "--topic", "news", "--topic", "a/*", "--max-topics", "3", NULL);
    struct e2e_conn *c = e2e_open(&s);
    ask(&s, c, "/other", "Sec-WebSocket-Version: 13\r\n" SOCKET_KEY);
    e2e_expect_status(&r, 404, "--topic");
    socket_open(&s, "/news", NULL);
    socket_open(&s, "/a/b", NULL);
    socket_open(&s, "/a/c", NULL);
    e2e_publish(&s, "/news", "x"); /* each of several workers knows the topics of messages */
    e2e_publish(&s, "/a/b", "x");
    e2e_publish(&s, "/a/c", "x");
    ask(&s, c, "/a/d", "Sec-WebSocket-Version: 13\r\n" SOCKET_KEY);
    e2e_expect_status(&r, 503, "--max-topics");
    e2e_stop(&s);
    e2e_start(&s, "--max-connections", "1", "--max-subscriptions", "2", NULL);
    c = e2e_open(&s);
    ask(&s, c, "/a,b,c", "Sec-WebSocket-Version: 13\r\n" SOCKET_KEY);
    e2e_expect_status(&r, 400, "--max-subscriptions");
    struct e2e_conn *shed = e2e_open(&s);
    ask(&s, shed, "/a", "Sec-WebSocket-Version: 13\r\n" SOCKET_KEY);
    e2e_expect_status(&r, 503, "--max-connections");
    e2e_stop(&s);
}

/* Frames may come in one packet with the handshake, before its answer. */
START_TEST(test_frames_behind_handshake)
{
    char frames[256];
    e2e_start(&s, NULL);
    for (size_t cut = 0; cut < 12; cut++) {
        struct e2e_conn *c = e2e_open(&s);
        size_t n = (size_t)snprintf(frames, sizeof(frames), SOCKET_ASK SOCKET_KEY "\r\n", "/a");
        n += socket_frame(frames + n, SOCKET_FIN | SOCKET_TEXT, "hello", 5, 0x01020304);
        e2e_send_n(c, frames, n - cut);
        e2e_response(c, &r);
        ck_assert_int_eq(r.status, 101);
        e2e_send_n(c, frames + n - cut, cut);
        socket_expect_text(c, "hello");
        e2e_close(c);
    }
    e2e_stop(&s);
}

/* ---- echo ---- */

/* Valid UTF-8 of all lengths, or any bytes. */
static void fill(char *data, size_t n, bool binary, uint64_t *state)
{
    static const char *const chars[] = {"a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    for (size_t i = 0; i < n;) {
        uint64_t x = random_next(state);
        const char *one = chars[x % 4];
        if (binary)
            data[i++] = (char)x;
        else if (strlen(one) <= n - i)
            for (; *one != '\0'; one++)
                data[i++] = *one;
        else
            data[i++] = 'z';
    }
}

static void echo(struct e2e_conn *c, size_t n, bool binary, uint64_t *state)
{
    char *data = malloc(n + 1);
    ck_assert_ptr_nonnull(data);
    fill(data, n, binary, state);
    unsigned opcode = binary ? SOCKET_BINARY : SOCKET_TEXT;
    socket_send(c, SOCKET_FIN | opcode, data, n);
    socket_expect(c, opcode, data, n);
    free(data);
}

START_TEST(test_echo)
{
    static const size_t sizes[] = {0,   1,    2,     124,   125,   126,    127,
                                   128, 4096, 65535, 65536, 65537, 300000, 1 << 20};
    uint64_t state = seed();
    e2e_start(&s, NULL);
    struct e2e_conn *c = socket_open(&s, "/echo", NULL);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        echo(c, sizes[i], false, &state);
        echo(c, sizes[i], true, &state);
    }
    e2e_stop(&s);
}

START_TEST(test_echo_large)
{
    uint64_t state = seed();
    e2e_start(&s, "--ring", "512M", "--max-message", "16M", NULL);
    struct e2e_conn *c = socket_open(&s, "/echo", NULL);
    echo(c, 16 << 20, true, &state);
    echo(c, (16 << 20) - 1, false, &state);
    char head[SOCKET_HEAD_MAX];
    e2e_send_n(c, head, socket_head(head, SOCKET_FIN | SOCKET_BINARY, (16 << 20) + 1, 0));
    socket_expect_close(c, 1009);
    e2e_stop(&s);
}

/* Sends a message in fragments cut at random, with pings between; the pongs come at once. */
static void send_fragments(struct e2e_conn *c, const char *data, size_t n, unsigned opcode,
                           uint64_t *state)
{
    for (size_t at = 0, part; at < n || opcode != 0; at += part) {
        uint64_t x = random_next(state);
        part = x % 5 == 0 ? 0 : x % 5 == 1 ? n - at : (x >> 8) % (n - at + 1);
        bool last = at + part == n && (x >> 40) % 2 == 0;
        socket_send(c, (last ? SOCKET_FIN : 0) | opcode, data + at, part);
        if (last)
            return;
        if ((x >> 32) % 2 == 0) {
            socket_send(c, SOCKET_FIN | SOCKET_PING, &x, 8);
            socket_expect(c, SOCKET_PONG, &x, 8);
        }
        opcode = 0;
    }
    socket_send(c, SOCKET_FIN, "", 0);
}

START_TEST(test_fragments)
{
    static char data[200000];
    uint64_t first = seed(), state = first;
    printf(SEED_FMT "\n", first);
    e2e_start(&s, NULL);
    struct e2e_conn *c = socket_open(&s, "/echo", NULL);
    for (unsigned i = 0; i < 150; i++) {
        uint64_t x = random_next(&state);
        size_t n = (x >> 8) % (i % 10 == 0 ? sizeof(data) : 300);
        bool binary = x % 2 == 0;
        fill(data, n, binary, &state);
        send_fragments(c, data, n, binary ? SOCKET_BINARY : SOCKET_TEXT, &state);
        socket_expect(c, binary ? SOCKET_BINARY : SOCKET_TEXT, data, n);
    }
    e2e_stop(&s);
}

static void send_bytes(struct e2e_conn *c, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        e2e_send_n(c, p + i, 1);
        if (i % 3 == 0)
            usleep(100);
    }
}

START_TEST(test_byte_by_byte)
{
    char bytes[2000], data[300];
    uint64_t state = seed();
    e2e_start(&s, NULL);
    struct e2e_conn *c = socket_open(&s, "/echo", NULL);
    for (unsigned binary = 0; binary < 2; binary++) {
        unsigned opcode = binary ? SOCKET_BINARY : SOCKET_TEXT;
        fill(data, sizeof(data), binary, &state);
        size_t n = socket_frame(bytes, opcode, data, 10, 0xDEADBEEF);
        n += socket_frame(bytes + n, SOCKET_FIN | SOCKET_PING, "between", 7, 0x12345678);
        n += socket_frame(bytes + n, SOCKET_MORE, data + 10, 0, 1);
        n += socket_frame(bytes + n, SOCKET_FIN | SOCKET_PONG, "unasked", 7, 2);
        n += socket_frame(bytes + n, SOCKET_FIN, data + 10, sizeof(data) - 10, 0x80FF0102);
        send_bytes(c, bytes, n);
        socket_expect(c, SOCKET_PONG, "between", 7);
        socket_expect(c, opcode, data, sizeof(data));
    }
    e2e_stop(&s);
}

/* ---- frames that are wrong ---- */

/* The bytes up to the one that makes it wrong, masked with zeros; the code they are refused with. A
 * code of 0: they are right, and what comes after them is answered. */
struct frames {
    int line;
    unsigned code;
    struct span bytes;
};

#define M  "\0\0\0\0"
#define HI "\x82" M "hi"
#define ROW(code, lit)             \
    {                              \
        __LINE__, code, BYTES(lit) \
    }
#define CLOSE(code, lit) ROW(code, "\x88" lit)

static const struct frames wrong[] = {
    /* reserved bits */
    ROW(1002, "\xC1" HI),
    ROW(1002, "\xA1" HI),
    ROW(1002, "\x91" HI),
    ROW(1002, "\xF1"),
    ROW(1002, "\xC9"),
    ROW(1002, "\xA8"),
    ROW(1002, "\x01" HI "\xC0"),
    /* reserved opcodes */
    ROW(1002, "\x83"),
    ROW(1002, "\x84"),
    ROW(1002, "\x85"),
    ROW(1002, "\x86"),
    ROW(1002, "\x87"),
    ROW(1002, "\x8B"),
    ROW(1002, "\x8C"),
    ROW(1002, "\x8D"),
    ROW(1002, "\x8E"),
    ROW(1002, "\x8F"),
    ROW(1002, "\x03"),
    ROW(1002, "\x07"),
    ROW(1002, "\x81" HI "\x83"),
    ROW(1002, "\x01" HI "\x83"),
    /* no mask */
    ROW(1002, "\x81\x02"),
    ROW(1002, "\x82\x7E"),
    ROW(1002, "\x89\x00"),
    ROW(1002, "\x88\x00"),
    ROW(1002, "\x01" HI "\x80\x01"),
    /* control frames in fragments, or too long */
    ROW(1002, "\x09\x80"),
    ROW(1002, "\x08\x80"),
    ROW(1002, "\x0A\x80"),
    ROW(1002, "\x89\xFE"),
    ROW(1002, "\x8A\xFF"),
    ROW(1002, "\x88\xFE"),
    ROW(1002, "\x01" HI "\x09\x80"),
    /* continuations */
    ROW(1002, "\x80" HI),
    ROW(1002, "\x00" HI),
    ROW(1002, "\x81" HI "\x80"),
    ROW(1002, "\x01" HI "\x81"),
    ROW(1002, "\x01" HI "\x02"),
    ROW(1002, "\x01" HI "\x00" HI "\x82"),
    /* lengths that are not the shortest, or of 2^63 */
    ROW(1002, "\x82\xFE\x00\x05"),
    ROW(1002, "\x82\xFE\x00\x7D"),
    ROW(1002, "\x82\xFE\x00\x00"),
    ROW(1002, "\x82\xFF\0\0\0\0\0\0\x00\x05"),
    ROW(1002, "\x82\xFF\0\0\0\0\0\0\xFF\xFF"),
    ROW(1002, "\x82\xFF\x80\0\0\0\0\0\0\0"),
    ROW(1002, "\x82\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
    /* too big, as soon as that is told */
    ROW(1009, "\x82\xFE\x04\x01" M),
    ROW(1009, "\x82\xFF\0\0\0\0\0\x01\0\0" M),
    ROW(1009, "\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF" M),
    ROW(1009, "\x02" HI "\x80\xFE\x03\xFF" M),
    /* UTF-8: each kind of wrong byte, at once */
    ROW(1007, "\x81\x85" M "\x80"),
    ROW(1007, "\x81\x85" M "a\xBF"),
    ROW(1007, "\x81\x85" M "\xC0"),
    ROW(1007, "\x81\x85" M "\xC1"),
    ROW(1007, "\x81\x85" M "\xC3("),
    ROW(1007, "\x81\x85" M "\xE0\x9F"),
    ROW(1007, "\x81\x85" M "\xED\xA0"),
    ROW(1007, "\x81\x85" M "\xE2\x82("),
    ROW(1007, "\x81\x85" M "\xF0\x8F"),
    ROW(1007, "\x81\x85" M "\xF4\x90"),
    ROW(1007, "\x81\x85" M "\xF5"),
    ROW(1007, "\x81\x85" M "\xFE"),
    ROW(1007, "\x81\x85" M "\xFF"),
    ROW(1007, "\x81\x85" M "\xF0\x9F\x98("),
    /* across fragments */
    ROW(1007, "\x01\x81" M "\xE2\x80\x81" M "a"),
    ROW(1007, "\x01\x82" M "\xE2\x82\x00\x80" M "\x80\x81" M "("),
    ROW(1007, "\x01\x81" M "\xED\x89\x80" M "\x80\x81" M "\xA0"),
    /* an end inside a character, also before it is there */
    ROW(1007, "\x81\x82" M "\xE2"),
    ROW(1007, "\x81\x83" M "\xF0\x9F"),
    ROW(1007, "\x81\x81" M "\xC3"),
    ROW(1007, "\x81\x82" M "\xE2\x82"),
    ROW(1007, "\x81\x83" M "\xF0\x9F\x98"),
    ROW(1007, "\x01\x81" M "\xC3\x80\x80" M),
    /* closes */
    CLOSE(1002, "\x81"),
    CLOSE(1002, "\x82" M "\x00\x00"),
    CLOSE(1002, "\x82" M "\x03\xE7"),
    CLOSE(1002, "\x82" M "\x03\xEC"),
    CLOSE(1002, "\x82" M "\x03\xED"),
    CLOSE(1002, "\x82" M "\x03\xEE"),
    CLOSE(1002, "\x82" M "\x03\xF7"),
    CLOSE(1002, "\x82" M "\x04\x00"),
    CLOSE(1002, "\x82" M "\x07\xD0"),
    CLOSE(1002, "\x82" M "\x0B\xB7"),
    CLOSE(1002, "\x82" M "\x13\x88"),
    CLOSE(1002, "\x82" M "\xFF\xFF"),
    CLOSE(1007, "\x83" M "\x03\xE8\x80"),
    CLOSE(1007, "\x84" M "\x03\xE8"
                "a\xC3"),
};

/* All of them are refused, at once and byte by byte; what the peer sends then counts no more. */
START_TEST(test_wrong_frames)
{
    e2e_start(&s, "--max-message", "1024", NULL);
    struct e2e_conn *witness = socket_open(&s, "/witness", NULL);
    for (size_t i = 0; i < 2 * COUNT(wrong); i++) {
        const struct frames *f = &wrong[i / 2];
        struct e2e_conn *c = socket_open(&s, "/wrong", NULL);
        struct socket_frame got;
        if (i % 2 == 0)
            e2e_send_n(c, f->bytes.p, f->bytes.n);
        else
            send_bytes(c, f->bytes.p, f->bytes.n);
        do { /* a row may begin with a message */
            socket_read(c, &got);
            socket_done(c, &got);
        } while (got.opcode != SOCKET_CLOSE);
        if (got.code != f->code)
            e2e_fail("row %d was closed with %u, not %u", f->line, got.code, f->code);
        e2e_send_n(c, "\x81\x82" M "hi", 8);
        e2e_expect_end(c);
        e2e_close(c);
    }
    socket_text(witness, "still here");
    socket_expect_text(witness, "still here");
    e2e_stop(&s);
}

/* ---- close ---- */

START_TEST(test_close_codes)
{
    static const unsigned codes[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010,
                                     1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999};
    e2e_start(&s, NULL);
    for (size_t i = 0; i < COUNT(codes); i++) {
        struct e2e_conn *c = socket_open(&s, "/a", NULL);
        socket_send_close(c, codes[i], i % 2 == 0 ? "" : "well \xC3\xA9");
        socket_expect_close(c, codes[i]);
    }
    struct e2e_conn *c = socket_open(&s, "/a", NULL);
    socket_send(c, SOCKET_FIN | SOCKET_CLOSE, "", 0);
    socket_expect_close(c, 0);
    /* inside a message, and after messages that are still to be echoed */
    c = socket_open(&s, "/a", NULL);
    socket_send(c, SOCKET_TEXT, "begun", 5);
    socket_send_close(c, 1000, "");
    socket_expect_close(c, 1000);
    c = socket_open(&s, "/a", NULL);
    char long_reason[124];
    memset(long_reason, 'x', 123);
    long_reason[123] = '\0';
    char data[125] = {3, (char)0xE8};
    memcpy(data + 2, long_reason, 123);
    socket_send(c, SOCKET_FIN | SOCKET_CLOSE, data, 125);
    socket_expect_close(c, 1000);
    e2e_stop(&s);
}

/* A peer that does not end its side after the close is not waited for. */
START_TEST(test_close_not_answered)
{
    e2e_start(&s, NULL);
    struct e2e_conn *c = socket_open(&s, "/a", NULL);
    socket_send_close(c, 1000, "");
    socket_expect_close(c, 1000);
    c = socket_open(&s, "/*", NULL);
    socket_text(c, "to a set");
    socket_expect_close(c, 1008);
    for (int64_t end = e2e_now_ms() + E2E_WAIT_MS;;) { /* it sends on, until the server is gone */
        ck_assert_int_lt(e2e_now_ms(), end);
        char frame[32];
        size_t n = socket_frame(frame, SOCKET_FIN | SOCKET_TEXT, "more", 4, 7);
        if (send(c->fd, frame, n, MSG_NOSIGNAL) == -1)
            break;
        e2e_sleep_ms(50);
    }
    e2e_stop(&s);
}

START_TEST(test_close_at_the_end)
{
    e2e_start(&s, NULL);
    struct e2e_conn *c = socket_open(&s, "/a", NULL);
    struct e2e_conn *json = socket_open_json(&s, "/a,b", NULL);
    e2e_publish(&s, "/a", "last");
    e2e_stop(&s);
    socket_expect_text(c, "last");
    socket_expect_close(c, 1001);
    socket_expect_in(json, "\"last\"");
    socket_expect_close(json, 1001);
}

START_TEST(test_half_close)
{
    e2e_start(&s, NULL);
    struct e2e_conn *c = socket_open(&s, "/a", NULL);
    socket_send_close(c, 1000, "");
    e2e_half_close(c);
    socket_expect_close(c, 1000);
    c = socket_open(&s, "/a", NULL);
    e2e_half_close(c);
    e2e_expect_end(c);
    e2e_stop(&s);
}

/* ---- pings ---- */

START_TEST(test_heartbeat)
{
    e2e_start(&s, "--heartbeat", "200ms", "--write-timeout", "3s", NULL);
    struct e2e_conn *c = socket_open(&s, "/a", NULL);
    struct e2e_conn *silent = socket_open(&s, "/a", NULL);
    int64_t began = e2e_now_ms();
    while (e2e_now_ms() - began < 4500) {
        socket_expect(c, SOCKET_PING, "", 0);
        socket_send(c, SOCKET_FIN | SOCKET_PONG, "", 0);
    }
    socket_expect(silent, SOCKET_PING, "", 0);
    e2e_expect_end(silent); /* it said nothing */
    socket_text(c, "hello");
    socket_expect_text(c, "hello");
    e2e_stop(&s);
}

/* ---- publishing ---- */

START_TEST(test_publish_refused)
{
    e2e_start(&s, "--max-topics", "2", NULL);
    struct e2e_conn *c = socket_open(&s, "/a,b", NULL);
    socket_text(c, "to two");
    socket_expect_close(c, 1008);
    c = socket_open(&s, "/a/**", NULL);
    socket_send(c, SOCKET_FIN | SOCKET_BINARY, "", 0);
    socket_expect_close(c, 1008);
    e2e_stop(&s);
}

/* An address of this host that is not loopback; false: it has none. */
static bool outer_address(char out[INET_ADDRSTRLEN])
{
    struct ifaddrs *all, *a;
    bool found = false;
    if (getifaddrs(&all) == -1)
        return false;
    for (a = all; a != NULL && !found; a = a->ifa_next)
        if (a->ifa_addr != NULL && a->ifa_addr->sa_family == AF_INET &&
            !(a->ifa_flags & IFF_LOOPBACK) && a->ifa_flags & IFF_UP) {
            const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)a->ifa_addr;
            found = inet_ntop(AF_INET, &in->sin_addr, out, INET_ADDRSTRLEN) != NULL;
        }
    freeifaddrs(all);
    return found;
}

START_TEST(test_publish_from_outside)
{
    char address[INET_ADDRSTRLEN];
    if (!outer_address(address))
        return;
    e2e_start(&s, "--bind", address, "--bind", "127.0.0.1", "--log", "error", NULL);
    struct e2e_conn *inner = e2e_open_at(&s, 1);
    socket_shake(inner, "/a", NULL);
    struct e2e_conn *c = socket_open(&s, "/a", NULL);
    socket_text(inner, "from within");
    socket_expect_text(c, "from within");
    socket_text(c, "from outside");
    socket_expect_close(c, 1008);
    c = socket_open_json(&s, "/a", NULL);
    socket_text(c, "{\"data\":\"x\"}");
    socket_expect_in(c, "--anonymous publish");
    socket_text(c, "{\"subscribe\":[\"b\"]}");
    socket_expect_in(c, "\"ok\"");
    e2e_stop(&s);
    e2e_start(&s, "--bind", address, "--log", "error", "--anonymous", "publish", NULL);
    c = socket_open(&s, "/a", NULL);
    socket_text(c, "opened");
    socket_expect_text(c, "opened");
    e2e_stop(&s);
}

static Suite *suite(void)
{
    Suite *all = suite_create("socket");
    TCase *t = tcase_create("socket");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, test_handshake, 0, COUNT(asks));
    tcase_add_test(t, test_no_handshake);
    tcase_add_test(t, test_origin);
    tcase_add_test(t, test_handshake_limits);
    tcase_add_test(t, test_frames_behind_handshake);
    tcase_add_test(t, test_echo);
    tcase_add_test(t, test_echo_large);
    tcase_add_test(t, test_fragments);
    tcase_add_test(t, test_byte_by_byte);
    tcase_add_test(t, test_wrong_frames);
    tcase_add_test(t, test_close_codes);
    tcase_add_test(t, test_close_not_answered);
    tcase_add_test(t, test_close_at_the_end);
    tcase_add_test(t, test_half_close);
    tcase_add_test(t, test_heartbeat);
    tcase_add_test(t, test_publish_refused);
    tcase_add_test(t, test_publish_from_outside);
    suite_add_tcase(all, t);
    return all;
}

int main(void)
{
    return run(suite());
}
