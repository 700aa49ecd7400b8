/*
 * socket_many.c - end to end: WebSocket clients that are slow, large, many, or mad.
 */
#include "test/kit/kit.h"
#include "test/kit/socket.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

static struct e2e_server s;
static struct e2e_response r;

/* Another is served, before what is under way has come to its end. */
static void expect_served(void)
{
    e2e_ask(&s, &r, "GET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_expect_status(&r, 200, NULL);
}

/* ---- slow ---- */

enum { PINGS = 490, LARGE = 4 << 20 };

/* Writes as many pings of 125 bytes as one read of the server takes, then a frame. */
static size_t burst(char *out, unsigned first, const char *data, size_t size)
{
    char ping[125] = "ping";
    size_t n = 0;
    for (unsigned i = 0; i < PINGS; i++) {
        ping[4] = (char)i;
        n += socket_frame(out + n, SOCKET_FIN | SOCKET_PING, ping, sizeof(ping), i);
    }
    return n + socket_frame(out + n, first, data, size, 5);
}

/* A client that is in the middle of a message it does not read, so that pongs have to be kept, and
 * then changes what it is subscribed to, closes, or does what it may not: the message is brought to
 * its end first, then come the pongs, then the answer. */
START_TEST(test_inside_a_message)
{
    static const struct {
        unsigned first, code;
        const char *data;
        size_t n;
    } ends[] = {{SOCKET_FIN | SOCKET_TEXT, 0, "{\"subscribe\":[\"b\"]}", 19},
                {SOCKET_FIN | SOCKET_TEXT, 0, "{\"unsubscribe\":[\"a\"]}", 21},
                {SOCKET_FIN | SOCKET_PING, 0, "last", 4},
                {SOCKET_FIN | SOCKET_CLOSE, 1000, "\x03\xE8", 2},
                {SOCKET_FIN | 3, 1002, "", 0},
                {SOCKET_FIN | SOCKET_TEXT, 1007, "\xFF", 1}};
    static char out[1 << 17], data[LARGE];
    memset(data, 'x', sizeof(data));
    for (size_t i = 0; i < 3 * COUNT(ends); i++) {
        unsigned pings = i % 3 == 0 ? 0 : PINGS;
        size_t k = i / 3;
        e2e_start(&s, "--max-message", "4M", NULL);
        struct e2e_conn *c = e2e_open_narrow(&s, 4096);
        struct socket_frame f;
        socket_shake(c, "/a", SOCKET_JSON);
        socket_expect_in(c, "{\"id\":");
        e2e_publish_as(&s, "/a", NULL, data, sizeof(data));
        size_t n = burst(out, ends[k].first, ends[k].data, ends[k].n);
        size_t from = pings > 0 ? 0 : n - ends[k].n - 6;
        e2e_send_n(c, out + from, n - from);
        e2e_sleep_ms(20);
        socket_read(c, &f);
        ck_assert_uint_eq(f.opcode, SOCKET_TEXT);
        ck_assert_uint_gt(f.n, LARGE);
        ck_assert(f.data[0] == '{' && f.data[f.n - 1] == '}');
        socket_done(c, &f);
        for (unsigned p = 0; p < pings; p++) {
            socket_read(c, &f);
            ck_assert(f.opcode == SOCKET_PONG && f.n == 125 && f.data[4] == (char)p);
            socket_done(c, &f);
        }
        if (ends[k].code != 0)
            socket_expect_close(c, ends[k].code);
        else if (ends[k].first == (SOCKET_FIN | SOCKET_PING))
            socket_expect(c, SOCKET_PONG, "last", 4);
        else
            socket_expect_in(c, "{\"ok\":{\"subscribed\":[");
        e2e_stop(&s);
    }
}

/* Sends frames without reading a byte, until the server stops reading or closes; its memory must
 * not grow by more than `most`. */
static void flood(const char *fields, unsigned first, const char *data, long most)
{
    static char out[1 << 16];
    size_t n = 0, size = strlen(data);
    struct e2e_conn *c = e2e_open_narrow(&s, 4096);
    socket_shake(c, "/flood", fields);
    while (n + SOCKET_HEAD_MAX + size <= sizeof(out))
        n += socket_frame(out + n, first, data, size, 77);
    long before = e2e_memory(&s, "VmRSS");
    for (unsigned i = 0; i < 400 && e2e_send_some(c, out, n, 100) == n; i++)
        ;
    expect_served();
    if (e2e_measures() && e2e_memory(&s, "VmRSS") - before > most)
        e2e_fail("%s: memory grew by %ld KiB", data, (e2e_memory(&s, "VmRSS") - before) / 1024);
    e2e_close(c);
}

START_TEST(test_floods)
{
    char names[4096] = "{\"subscribe\":[\"flood\"";
    e2e_start(&s, "--ring", "1M", "--max-message", "64K", NULL);
    e2e_publish(&s, "/flood", "warm");
    flood(NULL, SOCKET_FIN | SOCKET_PING, "0123456789", 4 << 20);
    flood(NULL, SOCKET_FIN | SOCKET_PING, "", 4 << 20);
    flood(NULL, SOCKET_FIN | SOCKET_TEXT, "published", 4 << 20);
    flood(SOCKET_JSON, SOCKET_FIN | SOCKET_TEXT, "{\"data\":\"published\"}", 8 << 20);
    flood(SOCKET_JSON, SOCKET_FIN | SOCKET_TEXT, "rubbish", 8 << 20);
    /* answers much longer than what asks for them */
    for (unsigned i = 0; i < 90; i++)
        sprintf(names + strlen(names), ",\"name-%030u\"", i);
    strcat(names, "]}");
    static char out[1 << 16];
    size_t n = 0;
    struct e2e_conn *c = e2e_open_narrow(&s, 4096);
    socket_shake(c, "/flood", SOCKET_JSON);
    socket_text(c, "%s", names);
    while (n + 32 <= sizeof(out))
        n += socket_frame(out + n, SOCKET_FIN | SOCKET_TEXT, "{\"subscribe\":[]}", 16, 1);
    long before = e2e_memory(&s, "VmRSS");
    e2e_send_some(c, out, n, 100);
    e2e_send_some(c, out, n, 100);
    expect_served();
    ck_assert(!e2e_measures() || e2e_memory(&s, "VmRSS") - before < 8 << 20);
    e2e_stop(&s);
}

/* A frame much larger than a read, in parts: nobody else waits for it. */
START_TEST(test_large_and_others)
{
    enum { SIZE = 16 << 20, PART = 1 << 20 };
    char *out = malloc(SIZE + SOCKET_HEAD_MAX), *data = malloc(SIZE);
    ck_assert(out != NULL && data != NULL);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i * 7 >> 3);
    e2e_start(&s, "--ring", "512M", "--max-message", "16M", NULL);
    struct e2e_conn *c = socket_open(&s, "/large", NULL);
    struct e2e_conn *other = socket_open(&s, "/small", NULL);
    size_t n = socket_frame(out, SOCKET_FIN | SOCKET_BINARY, data, SIZE, 0x5A17C0DE);
    for (size_t at = 0; at < n; at += PART) {
        e2e_send_n(c, out + at, n - at < PART ? n - at : PART);
        expect_served();
        socket_text(other, "%zu", at);
        socket_expect_text(other, "%zu", at);
    }
    socket_expect(c, SOCKET_BINARY, data, SIZE);
    free(out);
    free(data);
    e2e_stop(&s);
}

/* ---- many ---- */

START_TEST(test_each_message_once)
{
    enum { CLIENTS = 400, MESSAGES = 100 };
    static struct e2e_conn *c[CLIENTS];
    char text[64];
    e2e_start_with(&s, (const char *const[]){NULL}, 1000);
    for (unsigned i = 0; i < CLIENTS; i++)
        c[i] = i % 2 == 0 ? socket_open(&s, i % 4 == 0 ? "/a" : "/a,b", NULL)
                          : socket_open_json(&s, i % 4 == 1 ? "/*" : "/a", NULL);
    for (unsigned k = 0; k < MESSAGES; k++) {
        snprintf(text, sizeof(text), "message %u", k);
        if (k % 3 == 0)
            socket_text(c[0], "%s", text);
        else
            e2e_publish(&s, "/a", text);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        for (unsigned k = 0; k < MESSAGES; k++)
            if (i % 2 == 0) {
                socket_expect_text(c[i], "message %u", k);
            } else {
                snprintf(text, sizeof(text), "\"data\":\"message %u\"}", k);
                socket_expect_in(c[i], text);
            }
        ck_assert_uint_eq(c[i]->n, 0);
    }
    e2e_stop(&s);
}

/* Opens `n` sockets; returns what the server's memory grew by. */
static long open_many(struct e2e_conn **c, unsigned n, const char *fields)
{
    long before = e2e_memory(&s, "VmRSS");
    for (unsigned i = 0; i < n; i++)
        c[i] = socket_open(&s, "/idle", fields);
    e2e_sleep_ms(50);
    return e2e_memory(&s, "VmRSS") - before;
}

START_TEST(test_memory_of_idle)
{
    enum { WARM = 300, MANY = 4000, MOST = 80 };
    static struct e2e_conn *c[WARM + 2 * MANY];
    struct rlimit most;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &most), 0);
    most.rlim_cur = most.rlim_max;
    setrlimit(RLIMIT_NOFILE, &most);
    if (most.rlim_max < WARM + 2 * MANY + 500)
        return;
    e2e_start_with(&s, (const char *const[]){NULL}, 10000);
    open_many(c, WARM, NULL);
    long raw = open_many(c + WARM, MANY, NULL);
    long json = open_many(c + WARM + MANY, MANY, SOCKET_JSON);
    printf("an idle socket: %.1f bytes, %.1f with json\n", (double)raw / MANY, (double)json / MANY);
    ck_assert(!e2e_measures() || (raw <= MANY * MOST && json <= MANY * MOST));
    e2e_stop(&s);
}

/* ---- mad ---- */

enum { SLOTS = 24, CONNECTIONS = 2500 };

/* A client of the fuzzer: right so far; what it is inside of. */
static struct client {
    struct e2e_conn *c;
    bool json, message;
} clients[SLOTS];

static uint64_t first, state;

static unsigned below(unsigned n)
{
    return (unsigned)(random_next(&state) >> 20) % n;
}

/* Sends what there is room for. */
static void send_some(struct client *k, const char *p, size_t n)
{
    while (n > 0) {
        size_t part = below(3) == 0 ? 1 + below((unsigned)n) : n;
        ssize_t sent = send(k->c->fd, p, part, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        p += sent;
        n -= (size_t)sent;
    }
}

static void begin(struct client *k)
{
    static const char *const targets[] = {"/a", "/b", "/a,b", "/*", "/a?since=-5", "/c/d"};
    k->json = below(2) == 0;
    k->message = false;
    k->c = below(8) == 0 ? e2e_open_narrow(&s, 4096) : e2e_open(&s);
    socket_shake(k->c, targets[below(COUNT(targets))], k->json ? SOCKET_JSON : NULL);
}

static void end(struct client *k)
{
    e2e_close(k->c);
    k->c = NULL;
}

/* What must be answered with a close of this code, unless the server has closed with 1008
 * before. */
static void expect_refused(struct client *k, unsigned code)
{
    struct socket_frame f;
    while (socket_read_or_end(k->c, &f)) {
        socket_done(k->c, &f);
        if (f.opcode != SOCKET_CLOSE)
            continue;
        if (f.code != code && f.code != 1008)
            e2e_fail(SEED_FMT ": closed with %u, not %u", first, f.code, code);
        end(k);
        return;
    }
    e2e_fail(SEED_FMT ": the end came without a close %u", first, code);
}

/* Reads what is there. A close, which can be but one: it published to several topics, is the end,
 * also where the server's FIN is still under way. */
static void look_in(struct client *k)
{
    struct socket_frame f;
    bool closed = false;
    socket_pull(k->c, 0);
    while (!closed && socket_peek(k->c, &f)) {
        closed = f.opcode == SOCKET_CLOSE;
        if (closed && f.code != 1008)
            e2e_fail(SEED_FMT ": closed with %u, having done nothing wrong", first, f.code);
        socket_done(k->c, &f);
    }
    if (closed)
        end(k);
}

static void send_frame(struct client *k, unsigned byte, const char *data, size_t n)
{
    char out[4096 + SOCKET_HEAD_MAX];
    send_some(k, out, socket_frame(out, byte, data, n, (uint32_t)random_next(&state)));
}

static void send_right(struct client *k)
{
    static const char *const texts[] = {"hello",
                                        "",
                                        "{\"data\":\"h\\u00e9\"}",
                                        "{\"topic\":\"a\",\"data\":\"x\",\"event\":\"e\"}",
                                        "{\"base64\":\"AAAA\"}",
                                        "{\"subscribe\":[\"b\",\"c/**\"]}",
                                        "{\"subscribe\":[\"a\",\"x\"]}",
                                        "{\"unsubscribe\":[\"a\",\"b\",\"*\"]}",
                                        "{\"unsubscribe\":[\"c/**\",\"c/d\",\"x\"]}",
                                        "{\"unsubscribe\":3}",
                                        "\xF0\x9F\x98\x80"};
    static char data[4096];
    const char *text = texts[below(COUNT(texts))];
    memset(data, 'y', sizeof(data));
    if (below(3) == 0)
        send_frame(k, SOCKET_FIN | (below(2) == 0 ? SOCKET_PING : SOCKET_PONG), data, below(126));
    if (k->message) {
        k->message = below(2) == 0;
        send_frame(k, k->message ? 0 : SOCKET_FIN, data, below(300));
    } else if (below(4) == 0) {
        k->message = true;
        send_frame(k, 1 + below(2), data, below(300));
    } else if (below(4) == 0) {
        send_frame(k, SOCKET_FIN | SOCKET_BINARY, data, below(4096));
    } else {
        send_frame(k, SOCKET_FIN | SOCKET_TEXT, text, strlen(text));
    }
}

static void send_wrong(struct client *k)
{
    static const struct {
        struct span bytes;
        unsigned code, inside; /* only inside a message: 1, only outside: 0, anywhere: 2 */
    } wrong[] = {{BYTES("\x83"), 1002, 2},
                 {BYTES("\xB1"), 1002, 2},
                 {BYTES("\x8F\x80"), 1002, 2},
                 {BYTES("\x89\x01"), 1002, 2},
                 {BYTES("\x09\x80"), 1002, 2},
                 {BYTES("\x89\xFE"), 1002, 2},
                 {BYTES("\x88\x81\1\2\3\4\5"), 1002, 2},
                 {BYTES("\x88\x82\0\0\0\0\3\xEE"), 1002, 2},
                 {BYTES("\x88\x83\0\0\0\0\3\xE8\xFF"), 1007, 2},
                 {BYTES("\x81"), 1002, 1},
                 {BYTES("\x02"), 1002, 1},
                 {BYTES("\x80"), 1002, 0},
                 {BYTES("\x00\x80"), 1002, 0},
                 {BYTES("\x82\xFE\0\1"), 1002, 0},
                 {BYTES("\x82\xFF\x80\0\0\0\0\0\0\0"), 1002, 0},
                 {BYTES("\x82\xFF\0\0\0\1\0\0\0\0\0\0\0\0"), 1009, 0},
                 {BYTES("\x81\x84\0\0\0\0\xED\xA0\x80"), 1007, 0}};
    size_t i;
    do
        i = below(COUNT(wrong));
    while (wrong[i].inside == (k->message ? 0 : 1));
    send_some(k, wrong[i].bytes.p, wrong[i].bytes.n);
    expect_refused(k, wrong[i].code);
}

static void step(struct client *k)
{
    char noise[64];
    switch (below(12)) {
    case 0:
        send_wrong(k);
        return;
    case 1:
        send_frame(k, SOCKET_FIN | SOCKET_CLOSE, "\x0F\xA5 so", 5);
        expect_refused(k, 4005);
        return;
    case 2: /* gone without a word, perhaps inside a frame */
        if (below(2) == 0)
            send_some(k, "\x82\xFE\x10", 3);
        end(k);
        return;
    case 3: /* anything */
        for (size_t i = 0; i < sizeof(noise); i++)
            noise[i] = (char)random_next(&state);
        send_some(k, noise, sizeof(noise));
        end(k);
        return;
    default:
        send_right(k);
    }
}

START_TEST(test_mad_clients)
{
    first = state = seed();
    printf(SEED_FMT "\n", first);
    e2e_start(&s, "--ring", "64M", NULL);
    for (unsigned opened = 0; opened < CONNECTIONS;) {
        struct client *k = &clients[below(SLOTS)];
        if (k->c == NULL) {
            begin(k);
            opened++;
        } else {
            step(k);
        }
        if (k->c != NULL && below(4) == 0) /* some read more than others */
            look_in(k);
        if (k->c != NULL && k->c->eof)
            end(k);
    }
    struct e2e_conn *c = socket_open(&s, "/sane", NULL);
    socket_text(c, "still here");
    socket_expect_text(c, "still here");
    e2e_stop(&s);
}

static Suite *suite(void)
{
    Suite *all = suite_create("socket_many");
    TCase *t = tcase_create("socket_many");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_inside_a_message);
    tcase_add_test(t, test_large_and_others);
    tcase_add_test(t, test_each_message_once);
    tcase_add_test(t, test_mad_clients);
    suite_add_tcase(all, t);
    t = tcase_create("memory");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_floods);
    tcase_add_test(t, test_memory_of_idle);
    suite_add_tcase(all, t);
    return all;
}

int main(void)
{
    return run(suite());
}
