/*
 * end.c - the loop of sse.c over a scripted kernel: pipelines, connections that end in all
 * the ways there are, lists, signals.
 */
#include "lib/serve/conn.h"
#include "test/kit/kit.h"
#include "test/kit/loop.h"

#define HEALTHY "GET /-/healthy HTTP/1.1\r\nHost: h\r\n\r\n"
#define METRICS "GET /-/metrics HTTP/1.1\r\nHost: h\r\n\r\n"

static struct follower F[1600];

static unsigned count(struct kernel_peer *p, const char *what)
{
    unsigned n = 0;
    const char *at = p->out.p, *end = at + p->out.n;
    for (size_t size = strlen(what);
         p->out.n > 0 && (at = memmem(at, (size_t)(end - at), what, size)) != NULL; at++)
        n++;
    return n;
}

/* ---- requests and answers -------------------------------------------------------------------- */

/* Requests in a row, cut anywhere, are answered in their order. */
START_TEST(pipeline_cut)
{
    static const char all[] =
        HEALTHY "POST /t HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
                "OPTIONS /t HTTP/1.1\r\nHost: h\r\n\r\n"
                "POST /t HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                "2\r\nxy\r\n0\r\n\r\n"
                "GET /t?since=-1 HTTP/1.1\r\nHost: h\r\n"
                "Accept: text/event-stream\r\n\r\n";
    struct opt o = options();
    for (size_t cut = 0; cut < sizeof all; cut++) {
        start(&o, KERNEL_FDS);
        struct kernel_peer *p = kernel_dial(true);
        kernel_send(p, all, cut);
        settle();
        kernel_send(p, all + cut, sizeof all - 1 - cut);
        settle();
        ck_assert_uint_eq(count(p, "HTTP/1.1 2"), 5);
        ck_assert_uint_eq(count(p, "HTTP/1.1 201 "), 2);
        const char *last = strstr(got(p), "text/event-stream");
        ck_assert(last != NULL && strstr(last, "\ndata: xy\n") != NULL);
        ck_assert_uint_eq(pool_used(&S.clients.conns.buffers), 0);
        stop();
    }
}
END_TEST

/* One who asks and does not read is not read any more; it all goes on when it does. */
START_TEST(pipeline_unread)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    struct kernel_peer *p = kernel_dial(true);
    kernel_window(p, 50000);
    for (unsigned i = 0; i < 20000; i++)
        sends(p, i % 100 == 0 ? METRICS : HEALTHY);
    settle();
    size_t unread = kernel_unread(p);
    ck_assert_uint_gt(unread, 300000);
    ck_assert_uint_le(pool_used(&S.clients.conns.buffers), 4 * LOOP_BUFFER);
    pass(1000);
    ck_assert_uint_eq(kernel_unread(p), unread);
    while (p->nospace) {
        kernel_take(p, 30000);
        settle();
        ck_assert_uint_le(pool_used(&S.clients.conns.buffers), 4 * LOOP_BUFFER);
    }
    ck_assert_uint_eq(count(p, "HTTP/1.1 200 "), 20000);
    ck_assert_uint_eq(count(p, "# TYPE sse_connections gauge"), 200);
    ck_assert_uint_eq(kernel_unread(p), 0);
    stop();
}
END_TEST

/* Small requests with large answers, read slowly: what waits to be answered does not grow. */
START_TEST(pipeline_of_large_answers)
{
    struct opt o = options();
    o.max_buffers = 64u << 20;
    start(&o, KERNEL_FDS);
    struct kernel_peer *p = kernel_dial(true);
    kernel_window(p, 1000);
    for (unsigned i = 0; i < 60000; i++)
        sends(p, METRICS);
    for (unsigned i = 0; i < 300; i++) {
        settle();
        kernel_take(p, KERNEL_NO_END);
        ck_assert_uint_le(pool_used(&S.clients.conns.buffers), 4 * LOOP_BUFFER);
    }
    stop();
}
END_TEST

/* There is no room for what waits to be written, or read, of so many: some are closed, counted, and
 * nobody else is any worse for it. */
START_TEST(buffers_full)
{
    struct opt o = options();
    o.max_buffers = 512u << 10;
    start(&o, KERNEL_FDS);
    struct kernel_peer *p[100];
    F[0] = follows(kernel_dial(false), "t", "");
    for (unsigned i = 0; i < COUNT(p); i++) {
        kernel_window(p[i] = kernel_dial(true), 500);
        sends(p[i], i % 4 == 0 ? METRICS : HEALTHY HEALTHY HEALTHY HEALTHY HEALTHY "GET /");
        if (i % 3 == 2)
            asks(p[i], " HTTP/1.1\r\nHost: h\r\n\r\nPOST /t HTTP/1.1\r\nHost: h\r\n"
                       "Content-Length: 60000\r\n\r\n");
        settle();
    }
    unsigned closed = 0;
    for (unsigned i = 0; i < COUNT(p); i++) {
        closed += p[i]->closed;
        kernel_window(p[i], KERNEL_NO_END);
    }
    settle();
    ck_assert_uint_gt(closed, 10);
    ck_assert_uint_lt(closed, COUNT(p) - 10);
    ck_assert_uint_ge(S.stat.limit_buffers, closed);
    for (unsigned i = 0; i < COUNT(p); i++)
        kernel_hang_up(p[i]);
    publishes(kernel_dial(true), "t", "x");
    settle();
    follow_to_the_end(&F[0]);
    stop();
}
END_TEST

/* A batch of nothing is answered, in each way it can be sent, and so is what follows it. */
START_TEST(empty_batch)
{
    static const char *const body[] = {"Content-Length: 0\r\n\r\n",
                                       "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "\r\n"};
    struct opt o = options();
    for (unsigned i = 0; i < 2 * COUNT(body); i++) {
        start(&o, KERNEL_FDS);
        struct kernel_peer *p = kernel_dial(true);
        asks(p, "POST /t HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-ndjson\r\n%s%s",
             body[i / 2], i % 2 == 0 ? "" : HEALTHY);
        settle();
        ck_assert_msg(count(p, "HTTP/1.1 200 ") == 1 + i % 2, "case %u: %s", i, got(p));
        ck_assert(strstr(got(p), "\"count\":0") != NULL);
        stop();
    }
}
END_TEST

/* The kernel's buffer is full amid an answer that says the connection will be closed: first it goes
 * out, then the end is told. */
START_TEST(last_answer_cut)
{
    struct opt o = options();
    for (size_t window = 0; window < 200; window++) {
        start(&o, KERNEL_FDS);
        struct kernel_peer *p = kernel_dial(true);
        kernel_window(p, window);
        sends(p, "GET /-/healthy HTTP/1.0\r\n\r\n");
        settle();
        bool whole = p->answered;
        ck_assert(!p->closed && (whole || p->out.n == window));
        kernel_window(p, KERNEL_NO_END);
        settle();
        ck_assert(whole == (p->out.n <= window));
        ck_assert(p->answered && strstr(got(p), "\r\n\r\nok\n") != NULL);
        kernel_fin(p);
        settle();
        ck_assert(p->closed);
        stop();
    }
}
END_TEST

/* ---- ends ------------------------------------------------------------------------------------ */

/* One who sends no more gets its answers still. */
START_TEST(half_close)
{
    static const struct {
        int line;
        const char *sent;
        unsigned answers;
    } cases[] = {
        {__LINE__, HEALTHY, 1},
        {__LINE__, HEALTHY HEALTHY HEALTHY, 3},
        {__LINE__, HEALTHY "GET", 1},
        {__LINE__, "POST /t HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx", 1},
        {__LINE__, "POST /t HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nx", 0},
        {__LINE__, "", 0},
    };
    struct opt o = options();
    for (size_t i = 0; i < 4 * COUNT(cases); i++) {
        start(&o, KERNEL_FDS);
        struct kernel_peer *p = kernel_dial(true);
        kernel_window(p, i % 4 < 2 ? KERNEL_NO_END : 100);
        sends(p, cases[i / 4].sent);
        if (i % 2 == 0)
            settle();
        kernel_fin(p);
        settle();
        kernel_window(p, KERNEL_NO_END);
        settle();
        ck_assert_msg(p->closed, "line %d", cases[i / 4].line);
        ck_assert_msg(count(p, "HTTP/1.1 20") == cases[i / 4].answers, "line %d: %s",
                      cases[i / 4].line, got(p));
        stop();
    }
}
END_TEST

/* The end comes just behind as much as is read at once. */
START_TEST(end_behind_a_full_read)
{
    static char body[LOOP_BUFFER];
    struct opt o = options();
    for (size_t less = 0; less < 3; less++) {
        start(&o, KERNEL_FDS);
        struct kernel_peer *p = kernel_dial(true);
        int n = snprintf(body, sizeof body,
                         "POST /t HTTP/1.1\r\nHost: h\r\nContent-Length: 63000"
                         "\r\n\r\n");
        memset(body + n, 'x', sizeof body - (size_t)n);
        kernel_send(p, body, sizeof body - less);
        kernel_fin(p);
        settle();
        ck_assert(p->closed);
        ck_assert_uint_eq(count(p, "HTTP/1.1 201 "), 1);
        stop();
    }
}
END_TEST

/* One who was refused is read on for a while, so that it sees why: for so long, for so much. */
START_TEST(linger)
{
    static char flood[1 << 20];
    struct opt o = options();
    for (unsigned i = 0; i < 3; i++) {
        start(&o, KERNEL_FDS);
        struct kernel_peer *p = kernel_dial(true);
        sends(p, "POST /t HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999\r\n\r\n");
        settle();
        ck_assert(p->answered && !p->closed && count(p, "HTTP/1.1 413 ") == 1);
        if (i == 0) { /* it closes */
            kernel_fin(p);
            settle();
        } else if (i == 1) { /* it does not */
            for (unsigned s = 0; s < 9; s++, pass(200))
                kernel_send(p, flood, 1000);
            ck_assert(!p->closed && kernel_unread(p) == 0);
            pass(2000);
        } else { /* it floods */
            for (unsigned s = 0; s < LINGER_MAX / sizeof flood; s++, settle())
                kernel_send(p, flood, sizeof flood);
            ck_assert(!p->closed && kernel_unread(p) == 0);
            kernel_send(p, flood, 1);
            settle();
        }
        ck_assert(p->closed);
        ck_assert_uint_eq(count(p, "HTTP/1.1"), 1);
        stop();
    }
}
END_TEST

/* shutdown() fails for a peer that has gone meanwhile. */
START_TEST(shutdown_fails)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    struct kernel_peer *p = kernel_dial(true);
    kernel_fail(KERNEL_SHUTDOWN, (struct kernel_fault){0, 1, ENOTCONN, NULL});
    sends(p, "GET /-/healthy HTTP/1.0\r\n\r\n");
    settle();
    ck_assert(p->closed);
    stop();
}
END_TEST

/* A subscriber's end, told by reading, by writing, or by both. */
START_TEST(subscriber_ends)
{
    struct opt o = options();
    for (unsigned i = 0; i < 6; i++) {
        start(&o, KERNEL_FDS);
        struct kernel_peer *pub = kernel_dial(true), *p = kernel_dial(false);
        F[0] = follows(p, "t", "");
        settle();
        if (i % 2 == 1)
            kernel_window(p, 0);
        publishes(pub, "t", "x");
        settle();
        if (i / 2 == 0)
            kernel_fin(p);
        else if (i / 2 == 1)
            kernel_rst(p);
        else
            kernel_hang_up(p);
        publishes(pub, "t", "y");
        settle();
        ck_assert_msg(p->closed, "case %u", i);
        follow(&F[0]);
        ck_assert_uint_eq(topic_group(&S.topics, topic_find(&S.topics, SPAN("t")))->subscribers, 0);
        stop();
    }
}
END_TEST

/* Thousands go at once: they are closed some a turn, and no event of theirs is taken for news. */
START_TEST(mass_disconnect)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true);
    for (unsigned i = 0; i < COUNT(F); i++)
        F[i] = follows(kernel_dial(false), i % 2 == 0 ? "t" : "t,u", "");
    settle();
    kernel.stale = (struct epoll_event){.events = 0};
    for (unsigned i = 0; i < COUNT(F); i++)
        kernel_rst(F[i].p);
    publishes(pub, "t", "x");
    unsigned before = S.clients.conns.clients, turns = 0;
    while (S.clients.conns.clients > 1) {
        ck_assert(!turn() || S.clients.conns.clients == 1);
        turns++;
        ck_assert_uint_le(before - S.clients.conns.clients, REAPS_MAX);
        before = S.clients.conns.clients;
    }
    ck_assert_uint_ge(turns, COUNT(F) / LOOP_EVENTS_MAX);
    ck_assert_uint_eq(topic_set_count(&S.topics), 0);
    stop();
}
END_TEST

/* More are doomed in one turn than are closed in one; what epoll tells of them is no news. */
START_TEST(doomed_wait)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    for (unsigned i = 0; i < COUNT(F); i++)
        F[i] = follows(kernel_dial(false), "t", "");
    settle();
    for (unsigned i = 0; i < COUNT(F); i++)
        loop_doom(&L, &S.clients.conns.conn[F[i].p->fd], "test");
    loop_doom(&L, &S.clients.conns.conn[F[0].p->fd], "twice");
    for (unsigned i = 0; i < COUNT(F); i++)
        kernel_rst(F[i].p);
    ck_assert(!turn());
    ck_assert_uint_eq(S.clients.conns.clients, COUNT(F) - REAPS_MAX);
    ck_assert_int_eq(sleep_ms(), 0);
    ck_assert_uint_ge(settle() + 1, COUNT(F) / REAPS_MAX);
    ck_assert_uint_eq(S.clients.conns.clients, 0);
    stop();
}
END_TEST

/* An event for an earlier owner of a descriptor is not for the present one. */
START_TEST(stale_event)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    struct kernel_peer *p = kernel_dial(false);
    settle();
    int fd = p->fd;
    uint32_t gen = S.clients.conns.conn[fd].gen;
    kernel_rst(p);
    settle();
    F[0] = follows(p = kernel_dial(false), "t", "");
    settle();
    ck_assert_int_eq(p->fd, fd);
    ck_assert_uint_eq(S.clients.conns.conn[fd].gen, gen + 1);
    unsigned reads = p->reads;
    kernel.stale = (struct epoll_event){EPOLLHUP | EPOLLERR | EPOLLIN | EPOLLOUT,
                                        .data.u64 = (uint64_t)gen << 32 | (uint32_t)fd};
    settle();
    ck_assert_uint_eq(p->reads, reads);
    kernel.stale.events = EPOLLIN | EPOLLOUT;
    kernel.stale.data.u64 = (uint64_t)(gen + 1) << 32 | (uint32_t)fd; /* its own, for nothing */
    settle();
    ck_assert_uint_eq(p->reads, reads + 1);
    follow_to_the_end(&F[0]);
    stop();
}
END_TEST

/* ---- lists ----------------------------------------------------------------------------------- */

/* Some with more to get than a turn gives: they go on in their order; one that ends while it waits
 * for its turn is closed, and the others go on. */
START_TEST(ready_list_order)
{
    static char large[60 << 10];
    struct opt o = options();
    o.ring = 16u << 20;
    o.max_message = 64u << 10;
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true), *p[5];
    memset(large, 'x', sizeof large - 1);
    for (unsigned i = 0; i < 100; i++)
        publishes(pub, "t", large);
    settle();
    for (unsigned i = 0; i < COUNT(p); i++) {
        F[i] = follows(p[i] = kernel_dial(false), "t", "Last-Event-ID: 1790000000000-0\r\n");
        turn();
    }
    while (S.clients.conns.ready_count < COUNT(p))
        ck_assert(!turn());
    for (unsigned i = 0; i < 3; i++) {
        uint32_t order[COUNT(p)], at = S.clients.conns.queue[QUEUE_READY].first;
        for (unsigned k = 0; k < COUNT(p); k++, at = S.clients.conns.conn[at].next)
            order[k] = at;
        ck_assert_uint_eq(S.clients.conns.ready_count, COUNT(p));
        turn();
        at = S.clients.conns.queue[QUEUE_READY].first;
        unsigned served = 0; /* these are behind the others now */
        while (served < COUNT(p) && order[served] != at)
            served++;
        for (unsigned k = 0; k < COUNT(p); k++, at = S.clients.conns.conn[at].next)
            ck_assert_uint_eq(order[(served + k) % COUNT(p)], at);
    }
    kernel_rst(p[1]);
    kernel_rst(p[4]);
    ck_assert(!turn());
    ck_assert(p[1]->closed && p[4]->closed);
    ck_assert_uint_eq(S.clients.conns.ready_count, 3);
    settle();
    for (unsigned i = 0; i < COUNT(p); i++) {
        follow(&F[i]);
        if (i % 3 != 1)
            follow_to_the_end(&F[i]);
    }
    stop();
}
END_TEST

/* One who sends without end takes its turn like others. */
START_TEST(reading_budget)
{
    static char flood[1 << 20];
    struct opt o = options();
    start(&o, KERNEL_FDS);
    struct kernel_peer *a = kernel_dial(true), *b = kernel_dial(true);
    F[0] = follows(a, "t", "");
    settle();
    unsigned before = a->reads;
    kernel_send(a, flood, sizeof flood);
    sends(b, HEALTHY);
    turn();
    ck_assert_uint_le(a->reads - before, 2);
    ck_assert_uint_eq(count(b, "HTTP/1.1 200 "), 1);
    settle();
    ck_assert_uint_eq(kernel_unread(a), 0);
    follow_to_the_end(&F[0]);
    stop();
}
END_TEST

/* ---- the process ----------------------------------------------------------------------------- */

START_TEST(signals)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    F[0] = follows(kernel_dial(false), "t", "");
    settle();
    kernel.signal = true;
    struct epoll_event ev = {EPOLLIN, .data.u64 = 0};
    for (uint32_t fd = 1; fd <= S.clients.conns.top; fd++)
        if (conn_is_own(&S.clients.conns.conn[fd], DESCRIPTOR_SIGNALS))
            ev.data.u64 = fd;
    kernel.stale = ev;
    ck_assert(!L.stop);
    loop_turn();
    ck_assert(L.stop);
    server_stop();
    ck_assert_uint_eq(kernel.open, 0);
    ck_assert(F[0].p->closed);
}
END_TEST

/* It sleeps for ever with nobody there, and else until the sweep. */
START_TEST(sleeping)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    settle();
    ck_assert_int_eq(kernel.timeout, -1);
    struct kernel_peer *p = kernel_dial(true);
    publishes(p, "t", "x");
    settle();
    ck_assert_int_gt(kernel.timeout, 0);
    uint64_t before = S.stat.turns;
    pass(10000);
    ck_assert_uint_le(S.stat.turns - before, 10000 / L.slice_ms + 10);
    kernel_hang_up(p);
    settle();
    ck_assert_int_eq(sleep_ms(), -1);
    stop();
}
END_TEST

/* At the default level nothing is said of what clients do, but of what they are refused. */
START_TEST(quiet)
{
    struct opt o = options();
    o.log = OPT_LOG_INFO;
    start(&o, KERNEL_FDS);
    struct kernel_peer *p = kernel_dial(true);
    sends(p, "nonsense\r\n\r\n");
    kernel_rst(kernel_dial(false));
    publishes(kernel_dial(true), "t", "x");
    pass(10000);
    static const char line[] =
        "level=info msg=refused status=400 detail=\"the request is not "
        "well-formed HTTP/1.1 (RFC 9112): byte 0x0d at 8 cannot stand in the method\" peer=";
    ck_assert_ptr_nonnull(memmem(kernel.log.p, kernel.log.n, line, sizeof line - 1));
    const char *end = memchr(kernel.log.p, '\n', kernel.log.n);
    ck_assert_ptr_eq(end, kernel.log.p + kernel.log.n - 1);
    stop();
}
END_TEST

/* Whoever reads the log has stopped: lines are dropped and counted, and nothing waits. */
START_TEST(log_unread)
{
    struct opt o = options();
    o.access_log = true;
    start(&o, KERNEL_FDS);
    struct kernel_peer *p = kernel_dial(true);
    sends(p, HEALTHY);
    settle();
    size_t size = kernel.log.n;
    ck_assert_uint_gt(size, 0);
    kernel.log_full = true;
    sends(p, HEALTHY HEALTHY);
    settle();
    ck_assert_uint_eq(count(p, "HTTP/1.1 200 "), 3);
    ck_assert_uint_eq(S.stat.log_dropped, 2);
    kernel.log_full = false;
    sends(p, HEALTHY);
    settle();
    ck_assert_uint_eq(kernel.log.n, 2 * size);
    stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("loop: end");
    TCase *tc = tcase_create("requests and answers");
    tcase_add_test(tc, pipeline_cut);
    tcase_add_test(tc, pipeline_unread);
    tcase_add_test(tc, pipeline_of_large_answers);
    tcase_add_test(tc, buffers_full);
    tcase_add_test(tc, empty_batch);
    tcase_add_test(tc, last_answer_cut);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    tc = tcase_create("ends");
    tcase_add_test(tc, half_close);
    tcase_add_test(tc, end_behind_a_full_read);
    tcase_add_test(tc, linger);
    tcase_add_test(tc, shutdown_fails);
    tcase_add_test(tc, subscriber_ends);
    tcase_add_test(tc, mass_disconnect);
    tcase_add_test(tc, doomed_wait);
    tcase_add_test(tc, stale_event);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    tc = tcase_create("lists");
    tcase_add_test(tc, ready_list_order);
    tcase_add_test(tc, reading_budget);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    tc = tcase_create("the process");
    tcase_add_test(tc, signals);
    tcase_add_test(tc, sleeping);
    tcase_add_test(tc, quiet);
    tcase_add_test(tc, log_unread);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    return run(s);
}
