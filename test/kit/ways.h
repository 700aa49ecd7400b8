/*
 * ways.h - for test/e2e/ways.c: what is published, by whom, and what all its processes know of it.
 *
 * Message m, from 1 on, has a topic, a size and a filling that follow from m and the seed, and its
 * data begins with m. Publishers are processes; the ids that the server gives are noted in memory
 * that all share.
 */
#ifndef SSE_TEST_KIT_WAYS_H
#define SSE_TEST_KIT_WAYS_H

#include "lib/json.h"
#include "test/kit/e2e.h"
#include "test/kit/kit.h"

#include <string.h>
#include <sys/socket.h>

#define PUBLISHERS 4 /* the last publishes over WebSocket */
#define CLIENTS    6
#define MANY       1200 /* messages of each publisher */
#define IDS        (PUBLISHERS * MANY + 2)
#define DATA_MAX   4096
#define END        (PUBLISHERS * MANY + 1) /* the message that ends it all */

static const char *const topics[] = {"a", "b/1", "b/2", "c/d/e", "\xc3\xa9t\xc3\xa9", "end"};
#define TOPIC_END (COUNT(topics) - 1)

enum way {
    EVENTS = 0,
    LINES = 1,
    OBJECTS = 2, /* WebSocket with the json subprotocol */
    FRAMES = 3,  /* and without */
    SHORT_JSON = 4,
    SHORT_LINES = 5,
    SHORT_TEXT = 6,
    LONG_JSON = 7,
    LONG_TEXT = 8,
    WAYS = 9,
};

/* What all processes see. */
static struct shared {
    uint64_t seed;
    uint64_t epoch;        /* of the ids */
    bool lossy;            /* large messages, a small ring, clients that pause */
    uint32_t put[IDS + 1]; /* by id: which message it is, from 1; 0: not published yet */
    uint32_t id_of[IDS];   /* the other way round */
    unsigned got[WAYS];    /* messages by each way, */
    unsigned gaps[WAYS];   /* and gaps */
    unsigned lagged;       /* how many of those because a client read too slowly */
    unsigned cuts;         /* sessions that ended inside something */
} * shared;

static struct e2e_server server;

/* ---- messages ---- */

static uint64_t mix(uint64_t x)
{
    uint64_t state = shared->seed + x * 7919;
    return random_next(&state);
}

static unsigned topic_of(unsigned message)
{
    return message == END ? TOPIC_END : (unsigned)(mix(message) % TOPIC_END);
}

/* Writes the data of a message; returns its size. It has no line break, so that it is a line. */
static size_t data_write(char data[DATA_MAX], unsigned message)
{
    static const char *const filling[] = {"x", "\"", "\\", "\xc3\xa9", "\xf0\x9f\x98\x80", "/"};
    uint64_t r = mix(message + 1000000);
    size_t size = shared->lossy ? 200 + r % 2200 : r % 8 == 0 ? r % 3000 : r % 100;
    size_t n = (size_t)snprintf(data, DATA_MAX, "%u ", message);
    while (n < size) {
        const char *f = filling[r % 3 == 0 ? (r >> 8) % COUNT(filling) : 0];
        r = r * 6364136223846793005u + 1442695040888963407u;
        n += (size_t)snprintf(data + n, DATA_MAX - n, "%s", f);
    }
    return n;
}

static void note_id(unsigned message, struct span text)
{
    unsigned long long ms, n;
    char id[64];
    snprintf(id, sizeof id, "%.*s", (int)text.n, text.p);
    if (sscanf(id, "%llu-%llu", &ms, &n) != 2 || ms != shared->epoch || n == 0 || n > IDS)
        e2e_fail("message %u was given the id %s", message, id);
    __atomic_store_n(&shared->put[n], message, __ATOMIC_RELEASE);
    __atomic_store_n(&shared->id_of[message], (uint32_t)n, __ATOMIC_RELEASE);
}

/* ---- publishers ---- */

static struct e2e_response response;

/* What a publisher sends in one go. */
static char burst_bytes[512 * 1024];
static size_t burst_size;

static void publish_post(unsigned message)
{
    static char data[DATA_MAX];
    char target[64] = "/", *to = target + 1;
    size_t n = data_write(data, message);
    for (const char *p = topics[topic_of(message)]; *p != '\0'; p++)
        to += sprintf(to, (unsigned char)*p < 128 ? "%c" : "%%%02X", (unsigned char)*p);
    burst_size += (size_t)snprintf(burst_bytes + burst_size, sizeof burst_bytes - burst_size,
                                   "POST %s HTTP/1.1\r\nHost: test\r\nContent-Length: %zu\r\n\r\n",
                                   target, n);
    ck_assert_uint_le(n, sizeof burst_bytes - burst_size);
    memcpy(burst_bytes + burst_size, data, n);
    burst_size += n;
}

static void publish_answered(struct e2e_conn *c, unsigned message)
{
    e2e_response(c, &response);
    e2e_expect_status(&response, 201, NULL);
    const char *id = strstr(response.body, "\"id\":\"");
    ck_assert_ptr_nonnull(id);
    note_id(message, (struct span){id + 6, strcspn(id + 6, "\"")});
}

/* Writes a frame, masked; returns its size. */
static size_t frame_write(char *to, unsigned opcode, const char *bytes, size_t n)
{
    static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    unsigned char *out = (unsigned char *)to;
    size_t at = 2;
    ck_assert_uint_le(n, 2 * DATA_MAX);
    out[0] = (unsigned char)(0x80 | opcode);
    out[1] = (unsigned char)(0x80 | (n < 126 ? n : 126));
    if (n >= 126) {
        out[at++] = (unsigned char)(n >> 8);
        out[at++] = (unsigned char)n;
    }
    memcpy(out + at, mask, 4);
    at += 4;
    for (size_t i = 0; i < n; i++)
        out[at + i] = (unsigned char)bytes[i] ^ mask[i % 4];
    return at + n;
}

static void pong(const struct e2e_conn *c, struct span payload)
{
    char bytes[140];
    ck_assert_uint_le(payload.n, 125);
    send(c->fd, bytes, frame_write(bytes, 10, payload.p, payload.n), MSG_NOSIGNAL);
}

/* A whole frame at the front of what came: gives its size, 0 if it is not all there. */
static size_t frame_whole(const struct e2e_conn *c, unsigned *opcode, struct span *payload)
{
    const unsigned char *b = (const unsigned char *)c->buf;
    if (c->n < 2)
        return 0;
    size_t n = b[1] & 127, head = n == 126 ? 4 : n == 127 ? 10 : 2;
    if (c->n < head)
        return 0;
    *opcode = b[0] & 15;
    if ((b[0] & 0xf0) != 0x80 || (b[1] & 128) != 0 || n == 127)
        e2e_fail("not a frame of this server: %02x %02x", b[0], b[1]);
    if (n == 126) {
        n = (size_t)b[2] << 8 | b[3];
        ck_assert_uint_ge(n, 126);
    }
    *payload = (struct span){c->buf + head, n};
    return c->n < head + n ? 0 : head + n;
}

#define KEY_FIELDS                                  \
    "Connection: Upgrade\r\nUpgrade: websocket\r\n" \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define KEY_ANSWER "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static void publish_frame(unsigned message)
{
    static char data[DATA_MAX], bytes[2 * DATA_MAX];
    struct text t = text_in(bytes, sizeof bytes);
    text_str(&t, "{\"topic\":");
    json_string(&t, span_of(topics[topic_of(message)]));
    text_str(&t, ",\"data\":");
    json_string(&t, (struct span){data, data_write(data, message)});
    text_str(&t, "}");
    ck_assert(!t.full);
    ck_assert_uint_le(t.n + 16, sizeof burst_bytes - burst_size);
    burst_size += frame_write(burst_bytes + burst_size, 1, t.p, t.n);
}

static void frame_answered(struct e2e_conn *c, unsigned message)
{
    static const char front[] = "{\"ok\":{\"id\":\"";
    unsigned opcode;
    struct span payload;
    size_t size;
    for (bool done = false; !done;) {
        for (size_t n = 2; (size = frame_whole(c, &opcode, &payload)) == 0;)
            e2e_need(c, c->n + 1 > n ? c->n + 1 : n);
        done = opcode == 1 && span_begins(payload, span_of(front));
        if (done) {
            payload = span_from(payload, sizeof front - 1);
            note_id(message, span_cut(&payload, '"'));
        } else if (opcode == 9) {
            pong(c, payload);
        } else if (opcode != 1 || !span_begins(payload, SPAN("{\"id\":\""))) {
            e2e_fail("publishing %u over WebSocket was answered %.*s", message, (int)payload.n,
                     payload.p);
        }
        e2e_consume(c, size);
    }
}

static void publisher(unsigned p)
{
    uint64_t random = mix(2000000 + p);
    bool socket = p == PUBLISHERS - 1;
    struct e2e_conn *c = e2e_open(&server);
    if (socket) {
        e2e_send(c, "GET /nothing/here HTTP/1.1\r\nHost: test\r\n" KEY_FIELDS
                    "Sec-WebSocket-Protocol: json\r\n\r\n");
        e2e_consume(c, (size_t)(e2e_until(c, "\r\n\r\n") + 4 - c->buf));
    }
    for (unsigned k = 0; k < MANY;) {
        unsigned burst = 1 + (unsigned)(random_next(&random) % 10);
        if (shared->lossy && random_next(&random) % 16 == 0)
            burst = 120; /* more than the smaller ring */
        burst = burst < MANY - k ? burst : MANY - k;
        for (unsigned i = 0; i < burst; i++)
            (socket ? publish_frame : publish_post)(p * MANY + k + i + 1);
        e2e_send_n(c, burst_bytes, burst_size);
        burst_size = 0;
        for (unsigned i = 0; i < burst; i++)
            (socket ? frame_answered : publish_answered)(c, p * MANY + k + i + 1);
        k += burst;
        e2e_sleep_ms((int)(random_next(&random) % 18));
    }
}

#endif
