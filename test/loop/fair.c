/*
 * fair.c - the loop of sse.c over a scripted kernel: nobody waits for what another sends
 * at once, whatever it is, and what waits is neither lost nor refused. Each look at the clock takes
 * time here, so that work is counted in looks.
 */
#include "test/kit/kit.h"
#include "test/kit/loop.h"

enum {
    LOOK_US = 400, /* a phase of events has five looks, one of the ready list one */
    STEPS = LOOP_PHASE_US / LOOK_US, /* that a turn takes, at most, of one client */
    TURNS_MAX = 20000,
};

#define GET "GET /-/healthy HTTP/1.1\r\nHost: h\r\n\r\n"

static unsigned count(const struct kernel_peer *p, const char *text)
{
    unsigned n = 0;
    struct span rest = {p->out.p, p->out.n};
    for (const char *at; rest.n > 0 && (at = memmem(rest.p, rest.n, text, strlen(text))) != NULL;
         n++)
        rest = span_from(rest, (size_t)(at - rest.p) + strlen(text));
    return n;
}

static void repeat(struct text *t, const char *text, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        text_str(t, text);
}

static char many_bytes[1 << 20];

/* A frame as a client sends it, with a mask that changes nothing. */
static void frame(struct text *t, const char *payload)
{
    size_t n = strlen(payload);
    assert(n < 126);
    text_add(t, (struct span){(char[]){(char)0x81, (char)(0x80 | n), 0, 0, 0, 0}, 6});
    text_str(t, payload);
}

static void handshake(struct text *t, const char *topic)
{
    text_str(t, "GET /");
    text_str(t, topic);
    text_str(t, " HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                "Sec-WebSocket-Protocol: json\r\n\r\n");
}

/* ---- work in steps --------------------------------------------------------------------------- */

/* What one client sends at once, what of it a step may be, and how often an answer to it comes. */
struct much {
    const char *front, *each, *end;
    unsigned times, batch; /* batch: messages that may be published in a step */
    const char *answer;
    unsigned answers;
};

static const struct much kinds[] = {
    {"", GET, "", 400, 0, "HTTP/1.1 200 ", 400},
    {"", "HEAD /t HTTP/1.1\r\nHost: h\r\n\r\n", "", 400, 0, "HTTP/1.1 200 ", 400},
    {"", "POST /t HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx", "", 300, 1, "HTTP/1.1 201 ",
     300},
    {"POST /t HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-ndjson\r\nContent-Length: "
     "16000\r\n\r\n",
     "1\n", GET, 8000, 256, "\"count\":8000,", 1},
    {"POST /t HTTP/1.1\r\nHost: h\r\nContent-Type: text/event-stream\r\nContent-Length: 14001"
     "\r\n\r\n",
     "data:x\n", "data:y\n\n" GET, 1999, 256, "\"count\":1,", 1},
    {"POST /t HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-ndjson\r\n"
     "Transfer-Encoding: chunked\r\n\r\n",
     "2\r\n1\n\r\n", "0\r\n\r\n" GET, 3000, 256, "\"count\":3000,", 1},
    {"WS", "{\"subscribe\":[\"q\"]}", "", 600, 0, "{\"ok\":", 600},
    {"WS", "{\"data\":\"x\",\"topic\":\"t\"}", "", 600, 1, "{\"ok\":", 600},
};

static struct span much_text(const struct much *k)
{
    struct text t = text_in(many_bytes, sizeof many_bytes);
    if (strcmp(k->front, "WS") == 0) {
        handshake(&t, "a");
        for (unsigned i = 0; i < k->times; i++)
            frame(&t, k->each);
    } else {
        text_str(&t, k->front);
        repeat(&t, k->each, k->times);
        text_str(&t, k->end);
    }
    assert(!t.full);
    return text_span(&t);
}

/* One client sends much at once: a turn handles some of it, others are answered meanwhile, and in
 * the end all of it is answered. `buffers`: how much room there is for what waits. */
static void much_at_once(const struct much *k, uint64_t buffers, size_t piece)
{
    struct opt o = options();
    o.max_buffers = buffers;
    o.ring = 4u << 20;
    start(&o, KERNEL_FDS);
    publishes(kernel_dial(true), "t", "message");
    struct kernel_peer *a = kernel_dial(true), *b = kernel_dial(true);
    sends(b, GET);
    settle();
    struct span all = much_text(k);
    kernel.look_us = LOOK_US;
    kernel.deadline = kernel.mono_ms;
    unsigned asked = 1, turns = 0, waits = 0, most = 0;
    for (size_t at = 0; at < all.n || !turn(); turns++) {
        size_t n = all.n - at < piece ? all.n - at : piece;
        kernel_send(a, all.p + at, n);
        at += n;
        uint64_t requests = S.stat.requests, published = S.stat.published;
        unsigned answers = count(a, k->answer);
        if (count(b, "HTTP/1.1 200 ") == asked) {
            sends(b, GET);
            asked++;
            waits = 0;
        }
        turn();
        waits++;
        most = waits > most ? waits : most;
        ck_assert_uint_le(S.stat.requests - requests, 2 * STEPS + 2);
        ck_assert_uint_le(S.stat.published - published, (k->batch + 1) * 2 * STEPS);
        ck_assert_uint_le(count(a, k->answer) - answers, 2 * STEPS + 2);
        ck_assert_uint_lt(turns, TURNS_MAX);
    }
    ck_assert_uint_le(most, 4); /* turns that the other waits */
    ck_assert_uint_gt(asked, 8);
    ck_assert(!a->closed && !a->answered);
    ck_assert_uint_eq(count(a, k->answer), k->answers);
    if (k->batch > 1) /* and what comes behind the body */
        ck_assert_uint_eq(count(a, "HTTP/1.1 200 "), 1);
    kernel.look_us = 0;
    stop();
}

START_TEST(in_steps)
{
    much_at_once(&kinds[_i], 1u << 20, SIZE_MAX);
    much_at_once(&kinds[_i], 1u << 20, 3000);
}
END_TEST

/* Where there is no room for what waits it stays in the socket: nobody is refused. */
START_TEST(without_room)
{
    much_at_once(&kinds[_i], LOOP_BUFFER, SIZE_MAX);
    ck_assert_uint_eq(S.stat.limit_buffers, 0);
}
END_TEST

/* One that sends the end of its input with it gets all its answers. */
START_TEST(and_the_end)
{
    const struct much *k = &kinds[_i];
    struct opt o = options();
    o.ring = 4u << 20;
    start(&o, KERNEL_FDS);
    publishes(kernel_dial(true), "t", "message");
    settle();
    struct kernel_peer *a = kernel_dial(true);
    struct span all = much_text(k);
    kernel.look_us = LOOK_US;
    kernel_send(a, all.p, all.n);
    kernel_fin(a);
    settle();
    ck_assert_uint_eq(count(a, k->answer), k->answers);
    kernel.look_us = 0;
    stop();
}
END_TEST

/* What takes long by its kind goes behind what does not, in one turn. */
START_TEST(long_ones_last)
{
    enum { MANY = 40 };
    static const char *const kinds_of[] = {"/*", "/a,b", "/t?since=-1", "/%2A", "/-/topics"};
    static struct kernel_peer *p[MANY];
    struct opt o = options();
    start(&o, KERNEL_FDS);
    for (unsigned i = 0; i < MANY; i++)
        p[i] = kernel_dial(true);
    struct kernel_peer *b = kernel_dial(true);
    settle();
    for (unsigned i = 0; i < MANY; i++)
        asks(p[i], "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", kinds_of[i % COUNT(kinds_of)]);
    sends(b, GET);
    kernel.look_us = queue_rule[QUEUE_SOON].us / 4;
    kernel.deadline = kernel.mono_ms;
    turn();
    unsigned done = 0;
    for (unsigned i = 0; i < MANY; i++)
        done += p[i]->out.n > 0;
    ck_assert_uint_le(done, 6);
    for (unsigned n = 0; b->out.n == 0; n++) {
        ck_assert_uint_lt(n, 2 + MANY / 3); /* at its place among those who came before it */
        turn();
    }
    settle();
    for (unsigned i = 0; i < MANY; i++)
        ck_assert_uint_eq(count(p[i], "HTTP/1.1 20"), 1);
    kernel.look_us = 0;
    stop();
}
END_TEST

/* ---- large messages -------------------------------------------------------------------------- */

/* Who takes a large message a little at a time has it escaped once: not much more is rendered than
 * is sent; and it gets it whole. */
START_TEST(escaped_once)
{
    enum { SIZE = 60 << 10, WINDOW = 8 << 10 };
    static char data[SIZE + 1];
    struct opt o = options();
    o.ring = 4u << 20;
    start(&o, KERNEL_FDS);
    memset(data, '"', SIZE);
    struct kernel_peer *a = kernel_dial(true);
    struct text t = text_in(many_bytes, sizeof many_bytes);
    handshake(&t, "t");
    kernel_send(a, t.p, t.n);
    settle();
    kernel_window(a, WINDOW);
    publishes(kernel_dial(true), "t", data);
    settle();
    uint64_t rendered = 0;
    size_t was = a->out.n;
    for (unsigned i = 0; i < 4 * SIZE / WINDOW && count(a, "\\\"\"}") == 0; i++) {
        kernel_take(a, a->out.n - a->taken);
        L.t.own.scratch.n = 0;
        settle();
        rendered += L.t.own.scratch.n;
    }
    ck_assert_uint_eq(count(a, "\\\""), SIZE);
    ck_assert_uint_eq(count(a, "\\\"\"}"), 1);
    ck_assert_uint_lt(rendered, 4 * (a->out.n - was));
    stop();
}
END_TEST

/* ---- time ------------------------------------------------------------------------------------ */

enum { CROWD = 3 * LOOP_EVENTS_MAX };
static struct kernel_peer *crowd[CROWD];

static void stands_still(uint64_t ms)
{
    kernel.mono_ms += ms;
    kernel.wall_ms += ms;
    settle();
    pass(2 * LOOP_SLICES * L.slice_ms);
}

static void crowd_sends(struct span bytes)
{
    for (unsigned i = 0; i < CROWD; i++)
        kernel_send(crowd[i], bytes.p, bytes.n);
}

/* The process stood still for longer than any timeout: what had come by then is served. */
START_TEST(in_time)
{
    static const struct {
        struct span before, after;
        const char *answer;
        unsigned count;
    } rows[] = {
        {SPAN_INIT(GET), SPAN_INIT(GET), "HTTP/1.1 200 ", 2}, /* idle */
        {SPAN_INIT("GET /-/heal"), SPAN_INIT("thy HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 200 ",
         1},
        {SPAN_INIT("POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345"),
         SPAN_INIT("67890"), "HTTP/1.1 201 ", 1},
        {SPAN_INIT(""), SPAN_INIT(GET), "HTTP/1.1 200 ", 1}, /* not a byte before */
    };
    struct opt o = options();
    o.min_rate = 100;
    o.max_buffers = 16u << 20;
    start(&o, KERNEL_FDS);
    for (unsigned i = 0; i < CROWD; i++)
        crowd[i] = kernel_dial(true);
    settle();
    crowd_sends(rows[_i].before);
    settle();
    crowd_sends(rows[_i].after);
    stands_still(70000);
    for (unsigned i = 0; i < CROWD; i++)
        ck_assert_uint_eq(count(crowd[i], rows[_i].answer), rows[_i].count);
    ck_assert_uint_eq(S.stat.timeout_request + S.stat.timeout_idle, 0);
    stop();
}
END_TEST

/* The same with pongs, and with those who have taken what they were sent. */
START_TEST(pongs_in_time)
{
    struct opt o = options();
    struct text t = text_in(many_bytes, sizeof many_bytes);
    start(&o, KERNEL_FDS);
    handshake(&t, "t");
    for (unsigned i = 0; i < CROWD; i++)
        crowd[i] = kernel_dial(true);
    crowd_sends(text_span(&t));
    settle();
    pass(o.heartbeat_ms + 2 * LOOP_SLICES * L.slice_ms);
    for (unsigned i = 0; i < CROWD; i++)
        ck_assert_uint_ge(count(crowd[i], "\x89"), 1);
    crowd_sends(SPAN("\x8a\x80\0\0\0\0"));
    stands_still(40000);
    ck_assert_uint_eq(S.clients.conns.kind[CONN_KIND_SOCKET], CROWD);
    ck_assert_uint_eq(S.stat.timeout_pong, 0);
    stop();
}
END_TEST

START_TEST(taken_in_time)
{
    static char data[20 << 10];
    struct opt o = options();
    start(&o, KERNEL_FDS);
    memset(data, 'x', sizeof data - 1);
    for (unsigned i = 0; i < CROWD; i++) {
        crowd[i] = kernel_dial(true);
        asks(crowd[i], "GET /t HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n");
    }
    settle();
    for (unsigned i = 0; i < CROWD; i++)
        kernel_window(crowd[i], 1000);
    publishes(kernel_dial(true), "t", data);
    settle();
    for (unsigned i = 0; i < CROWD; i++)
        kernel_window(crowd[i], KERNEL_NO_END);
    stands_still(40000);
    ck_assert_uint_eq(S.stat.timeout_write, 0);
    for (unsigned i = 0; i < CROWD; i++)
        ck_assert_uint_eq(count(crowd[i], "xxx\nid: "), 1);
    stop();
}
END_TEST

/* But who was not in time ends as ever. */
START_TEST(not_in_time)
{
    struct opt o = options();
    o.max_buffers = 16u << 20;
    start(&o, KERNEL_FDS);
    for (unsigned i = 0; i < CROWD; i++)
        crowd[i] = kernel_dial(true);
    crowd_sends(SPAN("POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345"));
    settle();
    stands_still(70000);
    for (unsigned i = 0; i < CROWD; i++)
        ck_assert_uint_eq(count(crowd[i], "HTTP/1.1 408 "), 1);
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loop: fair");
    TCase *steps = tcase_create("steps"), *stall = tcase_create("time");
    tcase_set_timeout(steps, 120);
    tcase_add_loop_test(steps, in_steps, 0, COUNT(kinds));
    tcase_add_loop_test(steps, without_room, 0, COUNT(kinds));
    tcase_add_loop_test(steps, and_the_end, 0, COUNT(kinds));
    tcase_add_test(steps, long_ones_last);
    tcase_add_test(steps, escaped_once);
    suite_add_tcase(suite, steps);
    tcase_set_timeout(stall, 120);
    tcase_add_loop_test(stall, in_time, 0, 4);
    tcase_add_test(stall, pongs_in_time);
    tcase_add_test(stall, taken_in_time);
    tcase_add_test(stall, not_in_time);
    suite_add_tcase(suite, stall);
    return run(suite);
}
