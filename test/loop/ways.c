/*
 * ways.c - the loop of sse.c over a scripted kernel: polls that wait, and WebSockets whose
 * writes are cut anywhere.
 */
#include "test/kit/kit.h"
#include "test/kit/loop_ways.h"

#define MANY 5000

static struct kernel_peer *P[MANY];
static struct talker T[4];

/* ---- polls that wait ------------------------------------------------------------------------- */

static struct kernel_peer *polls(const char *path, const char *fields)
{
    struct kernel_peer *p = kernel_dial(true);
    asks(p, "GET /%s HTTP/1.1\r\nHost: h\r\n%s\r\n", path, fields);
    return p;
}

/* The only answer it has had since `from` bytes. */
static struct polled answer_from(struct kernel_peer *p, size_t from, const char *what)
{
    struct polled a;
    got(p);
    size_t n = poll_check((struct span){p->out.p + from, p->out.n - from}, what, 0, false, &a);
    ck_assert_uint_gt(n, 0);
    ck_assert_uint_eq(from + n, p->out.n);
    return a;
}

static unsigned writes_of_all(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < MANY; i++)
        n += P[i]->writes;
    return n;
}

/* Thousands wait; a message wakes them all in one pass, a write each, some of them a turn; and all
 * go on to wait for the next. */
START_TEST(wakes_many)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true);
    struct follower stream = follows(kernel_dial(false), "t", "");
    for (unsigned i = 0; i < MANY; i++)
        P[i] = polls(i % 2 == 0 ? "t?wait=50" : "t,u?wait=50", "");
    settle();
    ck_assert_uint_eq(writes_of_all(), 0);
    for (unsigned round = 1; round <= 3; round++) {
        unsigned before = writes_of_all(), had = before, turns = 0;
        publishes(pub, "t", "x");
        for (bool done = false; !done; turns++) {
            done = turn();
            unsigned now = writes_of_all();
            ck_assert_uint_le(now - had, FANOUT_MAX);
            had = now;
        }
        ck_assert_uint_eq(had - before, MANY);
        ck_assert_uint_le(turns, MANY / FANOUT_MAX + 6);
        char field[64];
        snprintf(field, sizeof field, "Last-Event-ID: %" PRIu64 "-%u\r\n", ring_newest(&S.ring).ms,
                 round);
        for (unsigned i = 0; i < MANY; i++) {
            struct polled a = answer_from(P[i], P[i]->taken, i % 2 == 0 ? "t" : "t,u");
            ck_assert_int_eq(a.status, 200);
            ck_assert_uint_eq(a.messages, 1);
            ck_assert_uint_eq(a.id, round);
            kernel_take(P[i], KERNEL_NO_END);
            asks(P[i], "GET /%s?wait=50 HTTP/1.1\r\nHost: h\r\n%s\r\n", i % 2 == 0 ? "t" : "t,u",
                 field);
        }
        settle();
    }
    follow_to_the_end(&stream);
    ck_assert_uint_eq(stream.messages, 3);
    stop();
}
END_TEST

static unsigned messages_of(struct kernel_peer *p, const char *what)
{
    struct polled a = answer_from(p, 0, what);
    ck_assert_int_eq(a.status, 200);
    return a.messages;
}

/* Those who are woken in one turn get the same bytes only where they are to get the same
 * messages. */
START_TEST(wakes_apart)
{
    struct opt o = options();
    for (unsigned row = 0; row < 3; row++) {
        start(&o, KERNEL_FDS);
        struct kernel_peer *pub[2] = {kernel_dial(true), kernel_dial(true)};
        P[0] = polls(row == 2 ? "t?wait=50&conflate" : "t?wait=50", "");
        settle();
        P[1] = polls(row == 0 ? "u?wait=50" : "t?wait=50", "");
        settle();
        if (row == 1) { /* a third begins between the two messages */
            asks(pub[0], "POST /t HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"
                         "GET /t?wait=50 HTTP/1.1\r\nHost: h\r\n\r\n");
            publishes(pub[1], "t", "y");
        } else {
            publishes(pub[0], "t", "x");
            publishes(pub[0], row == 0 ? "u" : "t", "y");
        }
        turn();
        ck_assert_uint_eq(ring_newest(&S.ring).n, 2); /* one turn brought both */
        settle();
        ck_assert_uint_eq(messages_of(P[0], "t"), row == 1 ? 2 : 1);
        ck_assert_uint_eq(messages_of(P[1], row == 0 ? "u" : "t"), row == 0 ? 1 : 2);
        if (row == 1) {
            const char *second = strstr(got(pub[0]) + 1, "HTTP/1.1 ");
            ck_assert_ptr_nonnull(second);
            struct polled a = answer_from(pub[0], (size_t)(second - got(pub[0])), "t");
            ck_assert_uint_eq(a.messages, 1);
        }
        stop();
    }
}
END_TEST

/* Of those who have to wait for another turn to be woken, who is woken after the next message gets
 * both. */
START_TEST(wakes_in_two)
{
    struct opt o = options();
    const unsigned n = FANOUT_MAX + 200;
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true);
    for (unsigned i = 0; i < n; i++)
        P[i] = polls("t?wait=50", "");
    settle();
    publishes(pub, "t", "x");
    ck_assert(!turn());
    publishes(pub, "t", "y");
    settle();
    unsigned both = 0;
    for (unsigned i = 0; i < n; i++)
        both += messages_of(P[i], "t") == 2;
    ck_assert_uint_ge(both, 200);
    ck_assert_uint_lt(both, n);
    stop();
}
END_TEST

/* The answer comes when the time is over, and says that there is nothing. */
START_TEST(waits_so_long)
{
    static const struct {
        int line;
        const char *path, *fields;
        unsigned seconds;
        const char *status, *applied;
        bool close;
    } rows[] = {
        {__LINE__, "t?wait=5", "", 5, "HTTP/1.1 204 ", "wait=5", false},
        {__LINE__, "t", "Prefer: wait=5\r\n", 5, "HTTP/1.1 204 ", "wait=5", false},
        {__LINE__, "t", "Prefer: respond-async, wait=5\r\n", 5, "HTTP/1.1 204 ", "wait=5", false},
        {__LINE__, "t?wait=9", "If-None-Match: *\r\n", 9, "HTTP/1.1 304 ", "wait=9", false},
        {__LINE__, "t?wait=900", "", 60, "HTTP/1.1 204 ", "wait=60", false},
        {__LINE__, "t,u/*?wait=4", "", 4, "HTTP/1.1 204 ", "wait=4", false},
        {__LINE__, "t?wait=4", "Connection: close\r\n", 4, "HTTP/1.1 204 ", "wait=4", true},
    };
    struct opt o = options();
    o.max_wait_ms = 60000;
    for (size_t i = 0; i < COUNT(rows); i++) {
        start(&o, KERNEL_FDS);
        struct kernel_peer *p = polls(rows[i].path, rows[i].fields);
        pass(rows[i].seconds * 1000 - 1);
        ck_assert_msg(p->out.n == 0 && !p->closed, "line %d: %s", rows[i].line, got(p));
        pass(1200);
        ck_assert_msg(strncmp(got(p), rows[i].status, 13) == 0, "line %d: %s", rows[i].line,
                      got(p));
        ck_assert_msg(strstr(got(p), "\r\nPreference-Applied: ") != NULL &&
                          strstr(got(p), rows[i].applied) != NULL,
                      "line %d: %s", rows[i].line, got(p));
        ck_assert_msg(p->answered == rows[i].close, "line %d", rows[i].line);
        ck_assert_uint_eq(topic_count(&S.topics) + topic_set_count(&S.topics), 0);
        size_t n = p->out.n;
        sends(p, "GET /-/healthy HTTP/1.1\r\nHost: h\r\n\r\n");
        settle();
        ck_assert_msg((p->out.n > n) == !rows[i].close, "line %d", rows[i].line);
        stop();
    }
}
END_TEST

/* What comes behind a poll that waits is answered after it, whether it comes at once or later. */
START_TEST(waits_in_a_pipeline)
{
    static const char first[] = "GET /t?wait=5 HTTP/1.1\r\nHost: h\r\n\r\n",
                      next[] = "GET /-/healthy HTTP/1.1\r\nHost: h\r\n\r\n"
                               "GET /t?since=earliest HTTP/1.1\r\nHost: h\r\n\r\n"
                               "GET /t?wait=5 HTTP/1.1\r\nHost: h\r\n\r\n"
                               "GET /-/healthy HTTP/1.1\r\nHost: h\r\n\r\n";
    static char all[1000];
    struct opt o = options();
    snprintf(all, sizeof all, "%s%s", first, next);
    for (size_t cut = 1; cut <= strlen(all); cut++) {
        start(&o, KERNEL_FDS);
        struct kernel_peer *pub = kernel_dial(true), *p = kernel_dial(true);
        kernel_send(p, all, cut);
        settle();
        kernel_send(p, all + cut, strlen(all) - cut);
        settle();
        ck_assert_uint_eq(p->out.n, 0);
        publishes(pub, "t", "x");
        settle();
        const char *at = got(p);
        unsigned answers = 0;
        for (; (at = strstr(at, "HTTP/1.1 200 ")) != NULL; at++)
            answers++;
        ck_assert_msg(answers == 3, "cut at %zu: %s", cut, got(p));
        publishes(pub, "t", "y");
        settle();
        for (at = got(p), answers = 0; (at = strstr(at, "HTTP/1.1 200 ")) != NULL; at++)
            answers++;
        ck_assert_uint_eq(answers, 5);
        stop();
    }
}
END_TEST

/* An answer of many pieces goes out in parts, whatever the socket takes. */
START_TEST(answers_cut_anywhere)
{
    static char whole[8192];
    struct opt o = options();
    size_t n = 0;
    for (size_t cut = 0; cut <= n + 1; cut++) {
        start(&o, KERNEL_FDS);
        struct kernel_peer *pub = kernel_dial(true), *p = kernel_dial(true);
        if (cut > 0)
            kernel_window(p, cut - 1);
        sends(p, "GET /t?wait=5 HTTP/1.1\r\nHost: h\r\n\r\n");
        settle();
        asks(pub, "POST /t HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-ndjson\r\n"
                  "Content-Length: 52\r\n\r\n"
                  "{\"data\":\"one\"}\n{\"data\":\"t\\nwo\"}\n{\"base64\":\"/w==\"}\n12");
        settle();
        kernel_window(p, KERNEL_NO_END);
        settle();
        struct polled a = answer_from(p, 0, "t");
        ck_assert_uint_eq(a.messages, 4);
        const char *date = strstr(got(p), "HTTP/1.1 200");
        ck_assert_ptr_eq(date, got(p));
        if (cut == 0)
            memcpy(whole, p->out.p, n = p->out.n);
        ck_assert_uint_eq(p->out.n, n);
        ck_assert_mem_eq(p->out.p, whole, n);
        stop();
    }
}
END_TEST

/* A client that closes while it waits is closed at once. */
START_TEST(leaves_while_waiting)
{
    struct opt o = options();
    for (unsigned how = 0; how < 6; how++) {
        start(&o, KERNEL_FDS);
        struct kernel_peer *p = polls("t?wait=50", "");
        if (how % 2 == 1)
            sends(p, "GET /-/healthy HTTP/1.1\r\nHost: h\r\n\r\n");
        settle();
        ck_assert_uint_eq(topic_group(&S.topics, topic_find(&S.topics, SPAN("t")))->subscribers, 1);
        if (how / 2 == 0)
            kernel_fin(p);
        else if (how / 2 == 1)
            kernel_rst(p);
        else
            kernel_hang_up(p);
        settle();
        ck_assert_msg(p->closed, "case %u", how);
        ck_assert_uint_eq(topic_count(&S.topics), 0);
        publishes(kernel_dial(true), "t", "x");
        settle();
        stop();
    }
}
END_TEST

/* Messages of others wake nobody, and pass by without a gap, however many. */
START_TEST(others_do_not_wake)
{
    static char large[3001];
    struct opt o = options();
    o.ring = RING_MIN;
    o.max_message = RING_MIN / 16;
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true), *p[2];
    p[0] = polls("t?wait=50", "");
    p[1] = polls("t,u/*?wait=50", "");
    settle();
    memset(large, 'x', sizeof large - 1);
    for (unsigned i = 0; i < 60; i++) {
        publishes(pub, "busy", large);
        settle();
    }
    ck_assert_uint_eq(p[0]->out.n + p[1]->out.n, 0);
    publishes(pub, "t", "y");
    settle();
    for (unsigned i = 0; i < 2; i++) {
        struct polled a = answer_from(p[i], 0, i == 0 ? "t" : "t,u/*");
        ck_assert(!a.gap);
        ck_assert_uint_eq(a.messages, 1);
    }
    stop();
}
END_TEST

/* More comes in one turn than the ring holds: the answer tells the gap. */
START_TEST(overrun_while_waiting)
{
    static char body[RING_MIN];
    struct opt o = options();
    o.ring = RING_MIN;
    o.max_message = RING_MIN / 16;
    o.max_buffers = 4u << 20;
    start(&o, KERNEL_FDS);
    struct kernel_peer *p = polls("t?wait=50", "");
    settle();
    kernel.before_read = NULL;
    size_t n = 0;
    while (n + 8 < sizeof body - 8)
        n += (size_t)sprintf(body + n, "%zu\n", n);
    asks(kernel_dial(true),
         "POST /t HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-ndjson\r\n"
         "Content-Length: %zu\r\n\r\n%s",
         n, body);
    for (unsigned i = 0; i < 50; i++)
        loop_turn();
    ck_assert_ptr_nonnull(
        strstr(got(p), "\"gap\":{\"reason\":\"lagged\",\"after\":\"1790000000000-0\""));
    server_stop();
}
END_TEST

/* ---- WebSocket ------------------------------------------------------------------------------- */

static void three_messages(struct kernel_peer *pub)
{
    publishes(pub, "t", "one\n\"two\"");
    publishes(pub, "u", "not for it");
    sends(pub, "POST /t HTTP/1.1\r\nHost: h\r\nContent-Type: application/octet-stream\r\n"
               "Content-Length: 3\r\n\r\n\xff"
               "ab");
    publishes(pub, "t", "three");
}

enum inside {
    INSIDE_NOTHING,
    INSIDE_PING,
    INSIDE_FLOOD, /* of pings */
    INSIDE_CLOSE,
    INSIDE_FLOOD_CLOSE,
    INSIDE_WRONG, /* a frame with a reserved bit */
    INSIDE_SUBSCRIBE,
    INSIDE_UNSUBSCRIBE,
    INSIDE_ALL,
};

/* What a client sends while a record is partly out. */
static void send_inside(struct kernel_peer *p, enum inside what)
{
    static char bytes[LOOP_BUFFER], text[120];
    size_t n = 0;
    memset(text, 'p', sizeof text);
    switch (what) {
    case INSIDE_PING:
        frame_send(p, WS_PING, "hello");
        break;
    case INSIDE_FLOOD:
    case INSIDE_FLOOD_CLOSE:
        for (unsigned i = 0; i < 500; i++)
            n += frame_put(bytes + n, 0x80 | WS_PING, text, sizeof text);
        if (what == INSIDE_FLOOD_CLOSE)
            n += frame_put(bytes + n, 0x80 | WS_CLOSE, "\x03\xe8", 2);
        kernel_send(p, bytes, n);
        break;
    case INSIDE_CLOSE:
        frame_send(p, WS_CLOSE, "\x03\xe8");
        break;
    case INSIDE_WRONG:
        kernel_send(p, bytes, frame_put(bytes, 0xc0 | WS_TEXT, "x", 1));
        break;
    case INSIDE_SUBSCRIBE:
        frame_send(p, WS_TEXT, "{\"subscribe\":[\"u\"]}");
        break;
    case INSIDE_UNSUBSCRIBE:
        frame_send(p, WS_TEXT, "{\"unsubscribe\":[\"t\"]}");
        break;
    case INSIDE_NOTHING:
    case INSIDE_ALL:
        break;
    }
    settle();
}

/* A WebSocket gets three messages through a socket that takes `window` bytes behind the handshake,
 * with what the client sends meanwhile. */
static void cut_socket(size_t window, bool json, enum inside what)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true), *p = kernel_dial(true);
    T[0] = talks(p, "t", json, 0);
    settle();
    kernel_take(p, KERNEL_NO_END);
    kernel_window(p, window);
    three_messages(pub);
    settle();
    send_inside(p, what);
    kernel_take(p, KERNEL_NO_END);
    kernel_window(p, KERNEL_NO_END);
    settle();
    /* a client that subscribes to more while messages are pending gets that from where it is */
    if (what == INSIDE_SUBSCRIBE && memmem(p->out.p, p->out.n, "not for it", 10) != NULL)
        snprintf(T[0].what, sizeof T[0].what, "t,u");
    talk(&T[0]);
    ck_assert_uint_eq(T[0].pos, p->out.n);
}

START_TEST(socket_cut_anywhere)
{
    bool json = _i / INSIDE_ALL == 1;
    enum inside what = (enum inside)(_i % INSIDE_ALL);
    if (!json && what >= INSIDE_SUBSCRIBE)
        return;                    /* it would publish */
    size_t last = json ? 400 : 40; /* more than there is */
    for (size_t window = 0; window < last; window++) {
        cut_socket(window, json, what);
        struct talker *t = &T[0];
        bool ends = what == INSIDE_CLOSE || what == INSIDE_FLOOD_CLOSE || what == INSIDE_WRONG;
        if (ends) {
            ck_assert_msg(t->state == TALK_OVER && t->p->answered, "window %zu", window);
            ck_assert_uint_eq(t->code, what == INSIDE_WRONG ? 1002 : 1000);
        } else if (what == INSIDE_UNSUBSCRIBE) {
            ck_assert_msg(!t->p->closed && t->answers == 1, "window %zu", window);
        } else {
            talk_to_the_end(t);
            unsigned most = strcmp(t->what, "t") == 0 ? 3 : 4;
            ck_assert_msg(t->messages == most, "window %zu: %u", window, t->messages);
        }
        if (window + 1 == last)
            ck_assert(ends || t->messages == 3);
        unsigned pings = what == INSIDE_PING ? 1 : 0;
        if (what == INSIDE_FLOOD || what == INSIDE_FLOOD_CLOSE)
            pings = 500;
        ck_assert_uint_eq(t->pongs, pings);
        ck_assert_uint_eq(t->gaps, 0);
        stop();
    }
}
END_TEST

/* The same with a socket that takes little at a time, or is full after each piece. */
START_TEST(socket_in_pieces)
{
    struct opt o = options();
    for (unsigned i = 0; i < 12; i++) {
        bool json = i % 2 == 1;
        size_t piece = 1 + i / 4;
        start(&o, KERNEL_FDS);
        struct kernel_peer *pub = kernel_dial(true), *p = kernel_dial(true);
        if (i / 2 % 2 == 0)
            p->chunk = piece;
        else
            kernel_window(p, 0);
        T[0] = talks(p, "t", json, 0);
        settle();
        three_messages(pub);
        settle();
        frame_send(p, WS_PING, "1");
        for (settle(); p->nospace; settle())
            kernel_window(p, p->window + piece);
        talk_to_the_end(&T[0]);
        ck_assert_uint_eq(T[0].messages, 3);
        ck_assert_uint_eq(T[0].pongs, 1);
        stop();
    }
}
END_TEST

static void publish_large(struct kernel_peer *pub, unsigned n)
{
    static char large[3001];
    memset(large, 'x', sizeof large - 1);
    for (unsigned i = 0; i < n; i++) {
        publishes(pub, "t", large);
        settle();
    }
}

/* Overtaken at each byte of a frame: inside it, nothing more is sent, whatever the client says. */
START_TEST(socket_overtaken)
{
    struct opt o = options();
    bool json = _i % 2 == 1;
    enum inside what = _i / 2 == 0 ? INSIDE_NOTHING : _i / 2 == 1 ? INSIDE_PING : INSIDE_CLOSE;
    o.ring = RING_MIN;
    o.max_message = RING_MIN / 16;
    size_t size = 1;
    for (size_t part = 0; part <= size; part++) {
        start(&o, KERNEL_FDS);
        struct kernel_peer *pub = kernel_dial(true), *p = kernel_dial(true);
        T[0] = talks(p, "t", json, 0);
        settle();
        size_t head = p->out.n;
        publishes(pub, "t", "some data");
        if (part == 0)
            settle();
        if (size == 1) {
            size = p->out.n - head;
            stop();
            start(&o, KERNEL_FDS);
            pub = kernel_dial(true), p = kernel_dial(true);
            T[0] = talks(p, "t", json, 0);
            settle();
            publishes(pub, "t", "some data");
        }
        kernel_window(p, head + part);
        settle();
        publish_large(pub, 40);
        send_inside(p, what);
        kernel_window(p, KERNEL_NO_END);
        settle();
        talk(&T[0]);
        bool inside = part > 0 && part < size;
        if (inside) {
            ck_assert_uint_eq(p->out.n, head + part);
            ck_assert(p->closed || p->answered);
        } else if (what == INSIDE_CLOSE) {
            ck_assert_uint_eq(T[0].state, TALK_OVER);
        } else if (json) {
            talk_to_the_end(&T[0]);
            ck_assert_uint_eq(T[0].gaps, 1);
            ck_assert_uint_eq(T[0].messages, ring_count(&S.ring) + (part > 0));
        } else {
            ck_assert_uint_eq(T[0].state, TALK_OVER);
            ck_assert_uint_eq(T[0].code, 4000);
        }
        stop();
    }
}
END_TEST

/* Quiet ones are pinged; who answers stays, who does not is closed. */
START_TEST(socket_pings)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    for (unsigned i = 0; i < 4; i++)
        T[i] = talks(kernel_dial(true), "t", i % 2 == 1, 0);
    for (unsigned round = 1; round <= 4; round++) {
        pass(o.heartbeat_ms + 1200);
        for (unsigned i = 0; i < 2; i++) {
            talk_to_the_end(&T[i]);
            ck_assert_uint_eq(T[i].pings, round);
            frame_send(T[i].p, WS_PONG, "");
        }
        settle();
        talk(&T[2]);
        ck_assert_uint_eq(T[2].pings, 1); /* the next one only when this is answered */
        if (round == 2)
            ck_assert(!T[2].p->closed && !T[3].p->closed);
    }
    ck_assert(T[2].p->closed && T[3].p->closed);
    ck_assert_uint_eq(S.stat.timeout_pong, 2);
    ck_assert(!T[0].p->closed && !T[1].p->closed);
    publishes(kernel_dial(true), "t", "x");
    settle();
    for (unsigned i = 0; i < 2; i++) {
        talk_to_the_end(&T[i]);
        ck_assert_uint_eq(T[i].messages, 1);
    }
    stop();
}
END_TEST

/* One that is subscribed to nothing costs nothing, and can subscribe again. */
START_TEST(socket_without_a_topic)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true), *p = kernel_dial(true);
    T[0] = talks(p, "t", true, -1);
    settle();
    frame_send(p, WS_TEXT, "{\"unsubscribe\":[\"t\"]}");
    publishes(pub, "t", "x");
    settle();
    ck_assert_uint_eq(S.clients.conns.conn[p->fd].link.topic, 0);
    frame_send(p, WS_PING, "");
    publishes(pub, "t", "y");
    pass(o.heartbeat_ms + 1200);
    talk(&T[0]);
    ck_assert_uint_eq(T[0].messages, 0);
    ck_assert_uint_eq(T[0].pongs, 1);
    ck_assert_uint_eq(T[0].pings, 1);
    frame_send(p, WS_TEXT, "{\"subscribe\":[\"t\"]}");
    settle();
    talk(&T[0]);
    T[0].last = told.n;
    publishes(pub, "t", "z");
    settle();
    talk_to_the_end(&T[0]);
    ck_assert_uint_eq(T[0].messages, 1);
    ck_assert_uint_eq(T[0].answers, 2);
    stop();
}
END_TEST

/* Its end, told by reading, by writing, inside a frame or between two, or by both. */
START_TEST(socket_ends)
{
    struct opt o = options();
    for (unsigned i = 0; i < 18; i++) {
        start(&o, KERNEL_FDS);
        struct kernel_peer *pub = kernel_dial(true), *p = kernel_dial(true);
        T[0] = talks(p, "t", i % 2 == 1, -1);
        settle();
        if (i / 2 % 3 == 1)
            kernel_window(p, 0);
        if (i / 2 % 3 == 2)
            kernel_send(p, "\x01\x8fmaskhalf", 10); /* of a message, and of its frame */
        publishes(pub, "t", "x");
        settle();
        if (i / 6 == 0)
            kernel_fin(p);
        else if (i / 6 == 1)
            kernel_rst(p);
        else
            kernel_hang_up(p);
        publishes(pub, "t", "y");
        settle();
        ck_assert_msg(p->closed, "case %u", i);
        stop();
    }
}
END_TEST

/* Messages larger than the loop's buffer are taken in parts, and others have their turns. */
START_TEST(socket_publishes_much)
{
    static char data[60000], frames[3 * (sizeof data + 16)];
    struct opt o = options();
    o.ring = 4u << 20;
    o.max_message = 256u << 10;
    start(&o, KERNEL_FDS);
    struct kernel_peer *p = kernel_dial(true), *q = kernel_dial(true);
    T[0] = talks(p, "t", false, 0);
    T[1] = talks(q, "t", true, 0);
    settle();
    memset(data, 'd', sizeof data);
    size_t n = frame_put(frames, WS_TEXT, data, sizeof data);
    n += frame_put(frames + n, WS_CONTINUATION, data, sizeof data);
    n += frame_put(frames + n, 0x80 | WS_PING, "mid", 3);
    n += frame_put(frames + n, 0x80 | WS_CONTINUATION, data, sizeof data - 50);
    for (size_t from = 0, part = 1; from < n; from += part, part = part * 3 % 50021 + 1) {
        kernel_send(p, frames + from, part < n - from ? part : n - from);
        settle();
    }
    talk_to_the_end(&T[0]);
    talk_to_the_end(&T[1]);
    ck_assert_uint_eq(T[0].messages, 1);
    ck_assert_uint_eq(T[1].messages, 1);
    ck_assert_uint_eq(T[0].pongs, 1);
    ck_assert_uint_eq(told.item[0].data_size, 3 * sizeof data - 50);
    ck_assert_uint_eq(pool_used(&S.clients.conns.buffers), 0);
    stop();
}
END_TEST

/* ---- main ------------------------------------------------------------------------------------ */

int main(void)
{
    Suite *s = suite_create("loop: ways");
    TCase *tc = tcase_create("polls");
    tcase_add_test(tc, wakes_many);
    tcase_add_test(tc, wakes_apart);
    tcase_add_test(tc, wakes_in_two);
    tcase_add_test(tc, waits_so_long);
    tcase_add_test(tc, waits_in_a_pipeline);
    tcase_add_test(tc, answers_cut_anywhere);
    tcase_add_test(tc, leaves_while_waiting);
    tcase_add_test(tc, others_do_not_wake);
    tcase_add_test(tc, overrun_while_waiting);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    tc = tcase_create("sockets");
    tcase_add_loop_test(tc, socket_cut_anywhere, 0, 2 * INSIDE_ALL);
    tcase_add_test(tc, socket_in_pieces);
    tcase_add_loop_test(tc, socket_overtaken, 0, 6);
    tcase_add_test(tc, socket_pings);
    tcase_add_test(tc, socket_without_a_topic);
    tcase_add_test(tc, socket_ends);
    tcase_add_test(tc, socket_publishes_much);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    return run(s);
}
