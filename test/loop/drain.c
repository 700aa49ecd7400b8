/*
 * drain.c - the loop of sse.c over a scripted kernel: how the server ends, with a client
 * in each state a connection can be in.
 */
#include "lib/serve/conn.h"
#include "test/kit/kit.h"
#include "test/kit/loop.h"
#include "test/kit/loop_ways.h"

#define HEALTHY "GET /-/healthy HTTP/1.1\r\nHost: h\r\n\r\n"
#define STREAM  "GET /t HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n"
#define LINES   "GET /t?wait=1 HTTP/1.1\r\nHost: h\r\nAccept: application/x-ndjson\r\n\r\n"
#define WAIT    "GET /t?wait=60 HTTP/1.1\r\nHost: h\r\n\r\n"

static const struct opt *defaults(uint32_t drain_ms)
{
    static struct opt o;
    o = options();
    o.drain_ms = drain_ms;
    return &o;
}

static unsigned count(struct kernel_peer *p, const char *what)
{
    unsigned n = 0;
    for (const char *at = got(p); (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

/* SIGTERM comes, as the loop's next event. */
static void term(void)
{
    kernel.signal = true;
    kernel.stale = (struct epoll_event){EPOLLIN, .data.u64 = 0};
    for (uint32_t fd = 1; fd <= S.clients.conns.top; fd++)
        if (conn_is_own(&S.clients.conns.conn[fd], DESCRIPTOR_SIGNALS))
            kernel.stale.data.u64 = (uint64_t)S.clients.conns.conn[fd].gen << 32 | fd;
}

/* The loop goes on for so long, or until it stops, and neither spins nor sleeps for ever. Returns
 * the time that took. */
static uint64_t goes_on(uint64_t ms)
{
    uint64_t begin = kernel.mono_ms, turns = 0;
    kernel.deadline = begin + ms;
    do {
        loop_turn();
        look();
        turns++;
        int sleep = sleep_ms();
        ck_assert(S.clients.draining && sleep >= 0 && sleep <= DRAIN_TICK_MS);
        ck_assert_uint_le(turns, 200 + (kernel.mono_ms - begin) * 2 / DRAIN_TICK_MS);
    } while (!L.stop && kernel.mono_ms < kernel.deadline);
    for (uint32_t fd = 1; fd <= S.clients.conns.top; fd++)
        ck_assert(!conn_is_own(&S.clients.conns.conn[fd], DESCRIPTOR_LISTENER));
    return kernel.mono_ms - begin;
}

/* It has stopped: it leaves nothing open. */
static void ends(void)
{
    ck_assert(L.stop);
    server_stop();
    ck_assert_uint_eq(kernel.open, 0);
}

/* What it was sent from `pos` on must be a block that says when to come back, and the end. */
static void comes_back(struct kernel_peer *p, size_t pos)
{
    const char *text = got(p) + pos;
    char *end;
    ck_assert_msg(strncmp(text, "retry: ", 7) == 0, "%s", text);
    unsigned long ms = strtoul(text + 7, &end, 10);
    ck_assert_uint_ge(ms, 1500);
    ck_assert_uint_le(ms, 2500);
    ck_assert_str_eq(end, "\n\n");
    ck_assert(p->answered || p->closed);
}

/* ---- one in each state ----------------------------------------------------------------------- */

/* Nobody is there. */
START_TEST(nobody)
{
    start(defaults(5000), KERNEL_FDS);
    settle();
    term();
    ck_assert_uint_eq(goes_on(10000), 0);
    ends();
}
END_TEST

/* Between two requests, or before the first: closed without a word. */
START_TEST(head_idle)
{
    start(defaults(5000), KERNEL_FDS);
    struct kernel_peer *fresh = kernel_dial(true), *used = kernel_dial(true);
    sends(used, HEALTHY);
    settle();
    size_t n = used->out.n;
    term();
    ck_assert_uint_le(goes_on(10000), 2 * DRAIN_EACH_MS + DRAIN_TICK_MS);
    ck_assert(fresh->closed && used->closed && fresh->out.n == 0 && used->out.n == n);
    ck_assert_uint_eq(S.stat.drained, 2);
    ends();
}
END_TEST

/* Inside a request: it may be finished, is answered, and that was the last one. */
START_TEST(half_heard)
{
    static const struct {
        int line;
        const char *first, *rest, *status;
    } row[] = {
        {__LINE__, "GET /-/hea", "lthy HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 "},
        {__LINE__, "GET /-/re", "ady HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 503 "},
        {__LINE__, "POST /t HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na", "bc",
         "HTTP/1.1 201 "},
        {__LINE__, "POST /t HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n", "abc",
         "HTTP/1.1 201 "},
        {__LINE__, "POST /t HTTP/1.1\r\nHost: h\r\n", "Content-Length: 3\r\n\r\nabc",
         "HTTP/1.1 201 "},
        {__LINE__, "POST /t HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nx",
         "y\r\n0\r\n\r\n", "HTTP/1.1 201 "},
        {__LINE__,
         "POST /t HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-ndjson\r\n"
         "Content-Length: 34\r\n\r\n{\"data\":\"first\"}\n{\"da",
         "ta\":\"secon\"}\n", "HTTP/1.1 201 "},
        {__LINE__, "GET /t?wait=60 HTTP/1.1\r\nHost: h", "\r\n\r\n", "HTTP/1.1 204 "},
        {__LINE__, "GET /t HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream", "\r\n\r\n",
         "HTTP/1.1 200 "},
        {__LINE__, "GET /t HTTP/1.1\r\nHost: h\r\n",
         "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
         "HTTP/1.1 503 "},
    };
    for (size_t i = 0; i < 3 * COUNT(row); i++) {
        int line = row[i / 3].line;
        start(defaults(5000), KERNEL_FDS);
        struct kernel_peer *p = kernel_dial(true);
        sends(p, row[i / 3].first);
        settle();
        term();
        goes_on(i % 3 == 0 ? 1 : 1000);
        ck_assert_msg(!L.stop && !p->closed && p->out.n == 0, "line %d", line);
        sends(p, row[i / 3].rest);
        if (i % 3 == 2)
            sends(p, HEALTHY); /* which is not answered any more */
        goes_on(1);
        ck_assert_msg(strncmp(got(p), row[i / 3].status, 13) == 0, "line %d: %s", line, got(p));
        ck_assert_msg(strstr(got(p), "\r\nConnection: close\r\n") != NULL, "line %d: %s", line,
                      got(p));
        ck_assert_msg(p->answered && count(p, "HTTP/1.1 ") == 1, "line %d: %s", line, got(p));
        kernel_fin(p);
        ck_assert_uint_le(goes_on(10000), 1 + DRAIN_TICK_MS);
        ends();
    }
}
END_TEST

/* One who never finishes does not hold the end longer than the time for it, and a second. */
START_TEST(never_finishes)
{
    static const char *const text[] = {"GET /-/hea",
                                       "POST /t HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na"};
    for (size_t i = 0; i < COUNT(text); i++) {
        start(defaults(5000), KERNEL_FDS);
        struct kernel_peer *p = kernel_dial(true);
        sends(p, text[i]);
        settle();
        term();
        uint64_t ms = goes_on(20000);
        ck_assert_uint_ge(ms, 5000 + DRAIN_GRACE_MS);
        ck_assert_uint_le(ms, 5000 + DRAIN_GRACE_MS + DRAIN_TICK_MS);
        ck_assert_uint_eq(p->out.n, 0);
        ends();
        ck_assert(p->closed);
    }
}
END_TEST

/* A stream that has all there is. */
START_TEST(stream)
{
    for (int i = 0; i < 2; i++) {
        start(defaults(5000), KERNEL_FDS);
        struct kernel_peer *p = kernel_dial(false), *lines = kernel_dial(false);
        sends(p, STREAM);
        sends(lines, LINES);
        settle();
        size_t n = p->out.n, m = lines->out.n;
        term();
        goes_on(50);
        comes_back(p, n);
        ck_assert(lines->answered && lines->out.n == m);
        ck_assert(!L.stop && !p->closed);
        if (i == 0) {
            kernel_fin(p);
            kernel_fin(lines);
            ck_assert_uint_le(goes_on(10000), DRAIN_TICK_MS);
        } else { /* they stay: that is waited for, but not to the last */
            ck_assert_uint_le(goes_on(10000), LINGER_MS + LINGER_MS / 2);
        }
        ck_assert_uint_eq(S.stat.drained, 2);
        ends();
    }
}
END_TEST

#define FILLING "0123456789abcdefghijklmnopqrstuvwxyz"

static const char *long_data(void)
{
    static char data[3000];
    for (size_t i = 0; i + 1 < sizeof data; i++)
        data[i] = FILLING[i % 36];
    return data;
}

/* A stream whose socket is full, inside a record or before one: the record comes whole, then the
 * end; and one that does not read does not hold the server. */
START_TEST(stream_full)
{
    static const size_t windows[] = {0, 1, 60, 500, 3010};
    for (size_t i = 0; i < 4 * COUNT(windows); i++) {
        bool events = i % 2 == 0, reads = i / 2 % 2 == 0;
        start(defaults(5000), KERNEL_FDS);
        struct kernel_peer *p = kernel_dial(false);
        sends(p, events ? STREAM : LINES);
        settle();
        size_t n = p->out.n;
        kernel_take(p, n);
        kernel_window(p, windows[i / 4]);
        publishes(kernel_dial(true), "t", long_data());
        settle();
        size_t cut = p->out.n;
        ck_assert_uint_eq(cut, n + windows[i / 4]);
        term();
        goes_on(2000);
        ck_assert(!L.stop && !p->answered && p->out.n == cut);
        if (!reads) {
            uint64_t ms = goes_on(20000);
            ck_assert_uint_le(ms, 3000 + DRAIN_GRACE_MS + DRAIN_TICK_MS);
            ck_assert(p->out.n == cut);
            ends();
            continue;
        }
        kernel_window(p, KERNEL_NO_END);
        goes_on(100);
        ck_assert(p->answered);
        const char *data = strstr(got(p) + n, long_data());
        ck_assert_msg(windows[i / 4] == 0 || data != NULL, "case %zu: %s", i, got(p) + n);
        const char *end = data != NULL ? strstr(data, "\n") : got(p) + n - 1;
        if (events && data != NULL)
            end = strstr(data, "\n\n") + 1;
        if (events)
            comes_back(p, (size_t)(end + 1 - got(p)));
        else
            ck_assert_str_eq(end + 1, "");
        kernel_fin(p);
        ck_assert_uint_le(goes_on(20000), DRAIN_TICK_MS);
        ends();
    }
}
END_TEST

/* A poll that waits. */
START_TEST(waiting)
{
    start(defaults(5000), KERNEL_FDS);
    struct kernel_peer *p = kernel_dial(false), *tagged = kernel_dial(false),
                       *more = kernel_dial(false);
    sends(p, WAIT);
    asks(tagged, "GET /t?wait=60 HTTP/1.1\r\nHost: h\r\nIf-None-Match: W/\"%llu-0\"\r\n\r\n",
         KERNEL_WALL_MS + 0ull);
    sends(more, WAIT HEALTHY);
    settle();
    ck_assert(p->out.n == 0 && tagged->out.n == 0 && more->out.n == 0);
    term();
    goes_on(50);
    ck_assert_uint_eq(count(p, "HTTP/1.1 204 "), 1);
    ck_assert_uint_eq(count(tagged, "HTTP/1.1 304 "), 1);
    ck_assert_uint_eq(count(more, "HTTP/1.1 204 "), 1);
    struct kernel_peer *all[] = {p, tagged, more};
    for (size_t i = 0; i < COUNT(all); i++) {
        ck_assert_uint_eq(count(all[i], "HTTP/1.1 "), 1);
        ck_assert_uint_eq(count(all[i], "\r\nConnection: close\r\n"), 1);
        ck_assert(all[i]->answered);
        kernel_fin(all[i]);
    }
    ck_assert_uint_le(goes_on(10000), DRAIN_TICK_MS);
    ends();
}
END_TEST

/* A WebSocket, whose socket is full or not, is sent 1001, as the server goes away. */
START_TEST(sockets)
{
    static const size_t windows[] = {KERNEL_NO_END, 1, 1000, 3004, 3005};
    static const unsigned char away[] = {0x88, 18, 1001 >> 8, 1001 & 255};
    for (size_t i = 0; i < 2 * COUNT(windows); i++) {
        start(defaults(5000), KERNEL_FDS);
        struct kernel_peer *p = kernel_dial(false);
        struct talker t = talks(p, "t", i % 2 == 0, 0);
        settle();
        talk(&t);
        kernel_take(p, p->out.n);
        kernel_window(p, windows[i / 2]);
        publishes(kernel_dial(true), "t", long_data());
        settle();
        term();
        goes_on(100);
        kernel_window(p, KERNEL_NO_END);
        goes_on(100);
        talk(&t);
        ck_assert_uint_eq(t.messages, 1);
        ck_assert_int_eq(t.state, TALK_OVER);
        ck_assert_uint_eq(t.code, 1001);
        ck_assert_uint_eq(p->out.n, t.pos);
        ck_assert_mem_eq(got(p) + p->out.n - 20, away, sizeof away);
        ck_assert(p->answered);
        kernel_fin(p);
        ck_assert_uint_le(goes_on(10000), DRAIN_TICK_MS);
        ends();
    }
}
END_TEST

/* One that was refused before, and reads on; it has had its answer. */
START_TEST(lingering)
{
    start(defaults(5000), KERNEL_FDS);
    struct kernel_peer *p = kernel_dial(true);
    sends(p, "nonsense\r\n\r\n");
    settle();
    size_t n = p->out.n;
    ck_assert(p->answered && !p->closed);
    term();
    ck_assert_uint_le(goes_on(10000), LINGER_MS + LINGER_MS / 2);
    ck_assert(p->closed && p->out.n == n);
    ck_assert_uint_eq(S.stat.drained, 0);
    ends();
}
END_TEST

/* Those over --max-connections. */
START_TEST(shed)
{
    struct opt o = *defaults(5000);
    o.max_connections = 1;
    start(&o, KERNEL_FDS);
    struct kernel_peer *in = kernel_dial(true), *idle = kernel_dial(true),
                       *half = kernel_dial(true);
    settle();
    sends(half, "GET /t HTTP");
    settle();
    ck_assert_uint_eq(S.stat.limit_connections, 2);
    term();
    goes_on(50);
    ck_assert(in->closed && idle->closed && !half->closed);
    sends(half, "/1.1\r\nHost: h\r\n\r\n");
    goes_on(50);
    ck_assert_uint_eq(count(half, "HTTP/1.1 503 "), 1);
    kernel_fin(half);
    ck_assert_uint_le(goes_on(10000), DRAIN_TICK_MS);
    ends();
}
END_TEST

/* Its answer is still on its way when its turn comes: it is closed once it has it. */
START_TEST(answer_pending)
{
    for (int i = 0; i < 2; i++) {
        start(defaults(5000), KERNEL_FDS);
        struct kernel_peer *p = kernel_dial(true);
        kernel_window(p, 100);
        sends(p, "GET /-/metrics HTTP/1.1\r\nHost: h\r\n\r\n");
        if (i == 1)
            sends(p, HEALTHY);
        settle();
        term();
        goes_on(1000);
        ck_assert(!L.stop && !p->closed && p->out.n == 100);
        kernel_window(p, KERNEL_NO_END);
        goes_on(50);
        ck_assert_uint_eq(count(p, "\nsse_turns_total "), 1);
        ck_assert(p->answered || p->closed);
        kernel_fin(p);
        ck_assert_uint_le(goes_on(10000), DRAIN_TICK_MS);
        ends();
    }
}
END_TEST

/* ---- all together ---------------------------------------------------------------------------- */

/* Those who wait to be accepted are, and are answered. */
START_TEST(backlog)
{
    enum { MANY = 500 };
    struct kernel_peer *p[MANY];
    start(defaults(5000), KERNEL_FDS);
    settle();
    for (unsigned i = 0; i < MANY; i++)
        sends(p[i] = kernel_dial(true), HEALTHY);
    term();
    goes_on(4000);
    for (unsigned i = 0; i < MANY; i++) {
        ck_assert_uint_eq(count(p[i], "HTTP/1.1 200 "), 1);
        ck_assert_uint_eq(count(p[i], "\r\nConnection: close\r\n"), 1);
        kernel_fin(p[i]);
    }
    goes_on(1000);
    ends();
}
END_TEST

/* What is published in the same turn is delivered before the end. */
START_TEST(published_just_before)
{
    for (int i = 0; i < 4; i++) {
        start(defaults(i % 2 == 0 ? 5000 : 0), KERNEL_FDS);
        struct kernel_peer *p = kernel_dial(false), *pub = kernel_dial(true);
        sends(p, STREAM);
        struct talker t = talks(kernel_dial(false), "t", false, 0);
        settle();
        publishes(pub, "t", "the last word");
        if (i / 2 == 1) { /* the signal is told of in the turn after */
            kernel.deadline = kernel.mono_ms;
            loop_turn();
        }
        term();
        goes_on(100);
        ck_assert_uint_eq(count(p, "data: the last word\n"), 1);
        ck_assert_uint_eq(count(pub, "HTTP/1.1 201 "), 1);
        const char *last = strstr(strstr(got(p), "the last word"), "\n\n");
        comes_back(p, (size_t)(last + 2 - got(p)));
        talk(&t);
        ck_assert(t.messages == 1 && t.state == TALK_OVER);
        kernel_fin(p);
        kernel_fin(t.p);
        kernel_fin(pub);
        if (!L.stop)
            goes_on(10000);
        ends();
    }
}
END_TEST

/* The closes are spread, so that not all come back at once: over the time there is, but no longer
 * than some ms each. */
START_TEST(spread)
{
    static const struct {
        unsigned many;
        uint32_t drain_ms, over_ms;
    } row[] = {{10, 5000, 100}, {100, 5000, 1000}, {400, 1000, 1000}, {1500, 2000, 2000}};
    static struct kernel_peer *p[1500];
    for (size_t i = 0; i < COUNT(row); i++) {
        start(defaults(row[i].drain_ms), KERNEL_FDS);
        for (unsigned k = 0; k < row[i].many; k++)
            sends(p[k] = kernel_dial(false), STREAM);
        settle();
        unsigned before = 0;
        uint64_t begin = kernel.mono_ms;
        term();
        for (unsigned part = 1; part <= 10; part++) {
            goes_on(begin + row[i].over_ms * part / 10 - kernel.mono_ms);
            unsigned now = 0;
            for (unsigned k = 0; k < row[i].many; k++) {
                now += p[k]->answered;
                if (p[k]->answered && !p[k]->fin)
                    kernel_fin(p[k]);
            }
            ck_assert_msg(now - before <= row[i].many / 10 * 3 / 2 + 2, "row %zu, part %u: %u", i,
                          part, now - before);
            ck_assert_msg(row[i].many <= 10 || part == 1 || now > before, "row %zu, part %u: none",
                          i, part);
            before = now;
        }
        ck_assert_uint_le(goes_on(10000), 2 * DRAIN_TICK_MS);
        ck_assert_uint_eq(S.stat.drained, row[i].many);
        ends();
    }
}
END_TEST

/* There is more to write than a turn may: it is done in some of them, and not left out, even where
 * there is no time. */
START_TEST(budget)
{
    enum { MANY = 400 };
    static char large[60 << 10];
    static struct kernel_peer *p[MANY];
    struct opt o = *defaults(0);
    o.ring = 16u << 20;
    o.max_message = 64u << 10;
    start(&o, KERNEL_FDS);
    memset(large, 'x', sizeof large - 1);
    publishes(kernel_dial(true), "t", large);
    settle();
    for (unsigned i = 0; i < MANY; i++)
        sends(p[i] = kernel_dial(false), STREAM);
    settle();
    for (unsigned i = 0; i < MANY; i++)
        kernel_window(p[i], 0);
    publishes(kernel_dial(true), "t", large);
    settle();
    for (unsigned i = 0; i < MANY; i++)
        kernel_window(p[i], KERNEL_NO_END);
    term();
    uint64_t turns = S.stat.turns;
    ck_assert_uint_eq(goes_on(10000), 0);
    ck_assert_uint_gt(S.stat.turns - turns, 1);
    for (unsigned i = 0; i < MANY; i++) {
        ck_assert_uint_eq(count(p[i], "\nretry: "), 2);
        ck_assert_uint_eq(count(p[i], "\ndata: x"), 1);
        ck_assert_uint_gt(p[i]->out.n, sizeof large);
    }
    ends();
}
END_TEST

/* One of each kind, for what follows. */
static struct kernel_peer *kind[6];
static size_t had[6];

static void all_kinds(void)
{
    static const char *const text[] = {HEALTHY, "GET /-/hea",
                                       "POST /t HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na",
                                       STREAM, WAIT};
    for (size_t i = 0; i < COUNT(text); i++)
        sends(kind[i] = kernel_dial(true), text[i]);
    talks(kind[5] = kernel_dial(true), "t", false, -1);
    settle();
    for (size_t i = 0; i < COUNT(kind); i++)
        had[i] = kind[i]->out.n;
}

/* With no time at all everyone is told, and it ends in the same turn. */
START_TEST(no_time)
{
    start(defaults(0), KERNEL_FDS);
    all_kinds();
    term();
    ck_assert_uint_eq(goes_on(10000), 0);
    comes_back(kind[3], had[3]);
    ck_assert_uint_eq(count(kind[4], "HTTP/1.1 204 "), 1);
    ck_assert_mem_eq(got(kind[5]) + had[5], "\x88\x12\x03\xe9", 4);
    ends();
    for (size_t i = 0; i < COUNT(kind); i++)
        ck_assert(kind[i]->closed);
}
END_TEST

/* The second signal ends it at once, whoever is there. */
START_TEST(second_signal)
{
    for (unsigned i = 0; i < 2; i++) {
        start(defaults(5000), KERNEL_FDS);
        all_kinds();
        for (unsigned k = 0; k < 400; k++)
            kernel_dial(true);
        sends(kernel_dial(false), STREAM);
        settle();
        term();
        goes_on(i * 100);
        ck_assert(!L.stop);
        term();
        ck_assert_uint_eq(goes_on(10000), 0);
        ends();
        ck_assert_mem_eq(got(kind[5]) + had[5], "\x88\x12\x03\xe9", 4);
        for (size_t k = 0; k < COUNT(kind); k++)
            ck_assert(kind[k]->closed);
    }
}
END_TEST

/* One of each kind, who does nothing: the end comes when it must, and the loop only ticks. */
START_TEST(deadline)
{
    static const uint32_t times[] = {1, 200, 1000, 5000};
    for (size_t i = 0; i < COUNT(times); i++) {
        start(defaults(times[i]), KERNEL_FDS);
        all_kinds();
        uint32_t grace = times[i] < DRAIN_GRACE_MS ? times[i] : DRAIN_GRACE_MS;
        term();
        uint64_t ms = goes_on(60000);
        ck_assert_uint_ge(ms, times[i] + grace);
        ck_assert_uint_le(ms, times[i] + grace + DRAIN_TICK_MS);
        ends();
    }
}
END_TEST

/* What is said of it. */
START_TEST(log_lines)
{
    struct opt o = *defaults(5000);
    o.log = OPT_LOG_INFO;
    start(&o, KERNEL_FDS);
    kernel_dial(true);
    settle();
    kernel.log.n = 0;
    term();
    goes_on(1000);
    ends();
    const char *stopping = memmem(kernel.log.p, kernel.log.n,
                                  "msg=stopping reason=SIGTERM connections=1\n", 42),
               *stopped = memmem(kernel.log.p, kernel.log.n, "msg=stopped seconds=", 20);
    ck_assert(stopping != NULL && stopped != NULL && stopping < stopped);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("loop: drain");
    TCase *tc = tcase_create("one in each state");
    tcase_add_test(tc, nobody);
    tcase_add_test(tc, head_idle);
    tcase_add_test(tc, half_heard);
    tcase_add_test(tc, never_finishes);
    tcase_add_test(tc, stream);
    tcase_add_test(tc, stream_full);
    tcase_add_test(tc, waiting);
    tcase_add_test(tc, sockets);
    tcase_add_test(tc, lingering);
    tcase_add_test(tc, shed);
    tcase_add_test(tc, answer_pending);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    tc = tcase_create("all together");
    tcase_add_test(tc, backlog);
    tcase_add_test(tc, published_just_before);
    tcase_add_test(tc, spread);
    tcase_add_test(tc, budget);
    tcase_add_test(tc, no_time);
    tcase_add_test(tc, second_signal);
    tcase_add_test(tc, deadline);
    tcase_add_test(tc, log_lines);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    return run(s);
}
