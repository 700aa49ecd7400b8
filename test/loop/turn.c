/*
 * turn.c - the loop of sse.c over a scripted kernel: writing in pieces, errors of the kernel,
 * fan-out, subscribers that are slow, time, connections that end.
 */
#include "test/kit/kit.h"
#include "test/kit/loop.h"

#define MANY 2500

static struct follower F[MANY];

/* ---- writing --------------------------------------------------------------------------------- */

/* Three records of several kinds are there; a subscriber is sent them through a socket that takes
 * `window` bytes, and then `step` more whenever it is full. */
static struct kernel_peer *replay(size_t window, size_t step, size_t chunk)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true);
    publishes(pub, "a", "one\ntwo\r\n");
    publishes(pub, "b", "");
    publishes(pub, "a", "three");
    settle();
    struct kernel_peer *p = kernel_dial(false);
    F[0] = follows(p, "a,b", "Last-Event-ID: 1790000000000-0\r\n");
    p->chunk = chunk;
    kernel_window(p, window);
    for (settle(); p->nospace; settle())
        kernel_window(p, p->window + step);
    return p;
}

START_TEST(cut_anywhere)
{
    static char whole[4096];
    struct kernel_peer *p = replay(KERNEL_NO_END, 0, KERNEL_NO_END);
    size_t n = p->out.n;
    ck_assert_uint_lt(n, sizeof whole);
    memcpy(whole, p->out.p, n);
    ck_assert_uint_eq(p->writes, 1);
    follow_to_the_end(&F[0]);
    ck_assert_uint_eq(F[0].messages, 3);
    stop();
    for (size_t cut = 0; cut <= n + 1; cut++) {
        p = replay(cut, KERNEL_NO_END / 2, KERNEL_NO_END);
        ck_assert_uint_eq(p->out.n, n);
        ck_assert_mem_eq(p->out.p, whole, n);
        stop();
    }
    for (size_t piece = 1; piece < 4; piece++) {
        p = replay(0, piece, KERNEL_NO_END); /* full after each piece */
        ck_assert_uint_eq(p->out.n, n);
        ck_assert_mem_eq(p->out.p, whole, n);
        stop();
        p = replay(KERNEL_NO_END, 0, piece); /* takes little at a time */
        ck_assert_uint_eq(p->out.n, n);
        ck_assert_mem_eq(p->out.p, whole, n);
        /* the rest of a message goes out alone, so each message may end in a short write */
        ck_assert_uint_ge(p->writes, (n + piece - 1) / piece);
        ck_assert_uint_le(p->writes, (n + piece - 1) / piece + 3);
        stop();
    }
}
END_TEST

/* The same while the messages come, by fan-out. */
START_TEST(cut_live)
{
    struct opt o = options();
    for (size_t window = 0; window < 400; window++) {
        start(&o, KERNEL_FDS);
        struct kernel_peer *pub = kernel_dial(true), *p = kernel_dial(false);
        F[0] = follows(p, "t", "");
        F[1] = follows(kernel_dial(false), "t", "");
        settle();
        kernel_take(p, KERNEL_NO_END);
        kernel_window(p, window);
        for (unsigned i = 0; i < 6; i++) {
            publishes(pub, "t", i % 2 == 0 ? "even" : "odd\nodd");
            if (i % 3 > 0)
                settle();
        }
        settle();
        follow_to_the_end(&F[1]);
        follow(&F[0]);
        kernel_take(p, KERNEL_NO_END);
        kernel_window(p, KERNEL_NO_END);
        settle();
        follow_to_the_end(&F[0]);
        ck_assert_uint_eq(F[0].messages, 6);
        ck_assert_uint_eq(S.stat.delivered, 12);
        stop();
    }
}
END_TEST

/* Megabytes for one connection goes out in turns, and others have theirs in between. */
START_TEST(budget)
{
    static char large[32 << 10];
    struct opt o = options();
    o.ring = 4u << 20;
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true), *p[3];
    memset(large, 'x', sizeof large - 1);
    for (unsigned i = 0; i < 100; i++)
        publishes(pub, "t", large);
    settle();
    for (unsigned i = 0; i < 3; i++)
        p[i] = kernel_dial(false);
    settle();
    for (unsigned i = 0; i < 3; i++)
        F[i] = follows(p[i], "t", "Last-Event-ID: 1790000000000-0\r\n");
    for (bool done = false; !done;) {
        size_t had = p[0]->out.n;
        done = turn();
        ck_assert_uint_le(p[0]->out.n - had, 4u * WRITE_BUDGET);
        ck_assert_uint_eq(p[0]->out.n, p[1]->out.n);
        ck_assert_uint_eq(p[0]->out.n, p[2]->out.n);
    }
    for (unsigned i = 0; i < 3; i++) {
        follow_to_the_end(&F[i]);
        ck_assert_uint_eq(F[i].messages, 100);
    }
    stop();
}
END_TEST

/* ---- the kernel's errors --------------------------------------------------------------------- */

/* Who comes alone costs one accept4() but for a few; a burst is let in by few turns. */
START_TEST(accepting)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    for (unsigned i = 0; i < 100; i++) {
        kernel_dial(true);
        settle();
    }
    ck_assert_uint_eq(kernel.open_clients, 100);
    ck_assert_uint_le(kernel.nobody, 100 / 4);
    unsigned nobody = kernel.nobody;
    for (unsigned i = 0; i < 200; i++)
        kernel_dial(true);
    ck_assert_uint_le(settle(), 20);
    ck_assert_uint_eq(kernel.open_clients, 300);
    ck_assert_uint_le(kernel.nobody, nobody + 2);
    stop();
}
END_TEST

/* Some of all there is: subscribers of a topic and of a set, messages one by one and in a batch. */
static void scene(void)
{
    struct kernel_peer *pub = kernel_dial(true);
    F[0] = follows(kernel_dial(false), "a", "");
    settle();
    F[1] = follows(kernel_dial(false), "a,b", "");
    F[2] = follows(kernel_dial(false), "*", "");
    settle();
    publishes(pub, "a", "1");
    publishes(pub, "b", "2");
    settle();
    struct kernel_peer *batch = kernel_dial(true);
    sends(batch, "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
                 "Content-Type: application/x-ndjson\r\n\r\n5\r\n1\n2\n\"\r\n");
    settle();
    publishes(pub, "a", "3");
    sends(batch, "5\r\n3\"\n4\n\r\n0\r\n\r\n");
    pass(3000);
}

static const struct {
    int line;
    enum kernel_call call;
    int error;
    bool ends; /* the connection that it strikes; else nobody notices */
} errors[] = {
    {__LINE__, KERNEL_READ, EINTR, false},       {__LINE__, KERNEL_READ, ECONNRESET, true},
    {__LINE__, KERNEL_READ, ETIMEDOUT, true},    {__LINE__, KERNEL_READ, EHOSTUNREACH, true},
    {__LINE__, KERNEL_WRITEV, EINTR, false},     {__LINE__, KERNEL_WRITEV, ENOBUFS, false},
    {__LINE__, KERNEL_WRITEV, ENOMEM, false},    {__LINE__, KERNEL_WRITEV, EPIPE, true},
    {__LINE__, KERNEL_WRITEV, ECONNRESET, true}, {__LINE__, KERNEL_WRITEV, ETIMEDOUT, true},
    {__LINE__, KERNEL_ACCEPT, EINTR, false},     {__LINE__, KERNEL_ACCEPT, ENOBUFS, false},
    {__LINE__, KERNEL_ACCEPT, ENOMEM, false},    {__LINE__, KERNEL_ACCEPT, ECONNABORTED, true},
    {__LINE__, KERNEL_ACCEPT, EPROTO, true},     {__LINE__, KERNEL_ACCEPT, EPERM, false},
    {__LINE__, KERNEL_EPOLL_WAIT, EINTR, false}, {__LINE__, KERNEL_EPOLL_CTL, ENOSPC, true},
    {__LINE__, KERNEL_EPOLL_CTL, ENOMEM, true},
};

/* Returns true if the client was refused in a few words, its request unread. */
static bool refused(struct kernel_peer *p)
{
    const char *text = got(p);
    bool away = strncmp(text, "HTTP/1.1 503 ", 13) == 0 || /* a stream is told to come back */
                (strncmp(text, "HTTP/1.1 200 ", 13) == 0 && strstr(text, "\nid: ") == NULL);
    return away && strstr(text, "\r\n\r\n") != NULL && p->answered && p->closed;
}

/* Each call of the scene fails once, or some times in a row, and the scene is played to its end. */
START_TEST(nth_call_fails)
{
    struct opt o = options();
    unsigned ended = 0;
    for (unsigned nth = 0;; nth++) {
        unsigned times = nth % 3 + 1;
        start(&o, KERNEL_FDS);
        kernel_fail(errors[_i].call, (struct kernel_fault){nth, times, errors[_i].error, NULL});
        scene();
        if (kernel.fault[errors[_i].call].times > 0) {
            ck_assert_msg(nth > 2, "line %d: it never failed", errors[_i].line);
            stop();
            break;
        }
        for (unsigned i = 0; i < 3; i++) {
            ck_assert_msg(errors[_i].ends || !F[i].p->closed, "line %d, call %u: subscriber %u",
                          errors[_i].line, nth, i);
            ended += F[i].p->closed;
            if (!F[i].p->closed)
                follow_to_the_end(&F[i]);
            else if (!refused(F[i].p))
                follow(&F[i]);
        }
        /* the kernel may be first to see that --write-timeout is over */
        ck_assert_msg((S.stat.timeout_write > 0) == (errors[_i].error == ETIMEDOUT), "line %d",
                      errors[_i].line);
        if (!errors[_i].ends)
            ck_assert_msg(told.n == 7, "line %d, call %u: %zu messages", errors[_i].line, nth,
                          told.n);
        stop();
    }
    ck_assert_msg((ended > 0) == errors[_i].ends, "line %d", errors[_i].line);
}
END_TEST

/* A socket for which the kernel has no memory for long is tried again by each sweep. */
START_TEST(starved)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true);
    F[0] = follows(kernel_dial(false), "t", "");
    F[1] = follows(kernel_dial(false), "t", "");
    settle();
    kernel_fail(KERNEL_WRITEV, (struct kernel_fault){0, 5, ENOBUFS, F[0].p});
    publishes(pub, "t", "1");
    ck_assert_uint_lt(settle(), 10); /* and doesn't spin on it */
    publishes(pub, "t", "2");
    settle();
    follow_to_the_end(&F[1]);
    follow(&F[0]);
    ck_assert_uint_eq(F[0].messages, 0);
    pass(7000);
    follow_to_the_end(&F[0]);
    ck_assert_uint_eq(F[0].messages, 2);
    stop();
}
END_TEST

/* Out of descriptors: those who come are refused, nobody waits, nothing spins, and when there are
 * some again all is as before. */
START_TEST(no_descriptors)
{
    struct opt o = options();
    int error = _i == 0 ? EMFILE : ENFILE;
    struct kernel_peer *p[5], *in;
    start(&o, KERNEL_FDS);
    F[0] = follows(in = kernel_dial(true), "t", "");
    settle();
    int spare = L.acceptor.spare;
    if (error == EMFILE)
        kernel.fds_max = kernel.open + 3;
    for (unsigned i = 0; i < 5; i++) {
        p[i] = kernel_dial(true);
        if (error == ENFILE) /* the spare one gives the system one to take */
            kernel_fail(KERNEL_ACCEPT, (struct kernel_fault){0, 1, ENFILE, NULL});
        ck_assert_uint_le(settle(), 3);
        ck_assert(refused(p[i]));
        ck_assert_int_eq(L.acceptor.spare, spare);
        ck_assert(!L.acceptor.paused);
    }
    ck_assert_uint_eq(S.stat.limit_descriptors, 5);
    ck_assert_uint_eq(S.stat.refused, 5);
    kernel.fds_max = KERNEL_FDS;
    publishes(kernel_dial(true), "t", "x");
    settle();
    follow_to_the_end(&F[0]);
    stop();
}
END_TEST

/* Not even the spare one comes back: the listener rests until the sweep, and the next one is served
 * as soon as there is anything to serve it with. */
START_TEST(no_spare)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    settle();
    kernel.fds_max = kernel.open + 3;
    kernel_fail(KERNEL_OPEN, (struct kernel_fault){0, 2, EMFILE, NULL});
    struct kernel_peer *a = kernel_dial(true), *b = kernel_dial(true), *c;
    ck_assert_uint_le(settle(), 3);
    ck_assert(refused(a) && !b->closed && L.acceptor.paused);
    ck_assert_int_eq(L.acceptor.spare, -1);
    kernel.fds_max--; /* somebody else took it */
    for (unsigned i = 0; i < 5; i++) {
        kernel.deadline = kernel.mono_ms + L.slice_ms;
        turn();
        ck_assert_uint_le(settle(), 3);
        ck_assert(!b->closed);
    }
    kernel.fds_max = KERNEL_FDS;
    pass(2 * L.slice_ms);
    ck_assert(!L.acceptor.paused && b->fd != 0);
    kernel.fds_max = kernel.open + 3;
    c = kernel_dial(true);
    pass(4 * L.slice_ms);
    ck_assert(refused(c) && L.acceptor.spare != -1);
    kernel.fds_max = KERNEL_FDS;
    stop();
}
END_TEST

START_TEST(no_memory_to_accept)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    pass(1);
    kernel_fail(KERNEL_ACCEPT, (struct kernel_fault){0, 3, ENOBUFS, NULL});
    struct kernel_peer *p = kernel_dial(true);
    F[0] = follows(p, "t", "");
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_le(settle(), 3);
        ck_assert(L.acceptor.paused && p->fd == 0 && sleep_ms() > 0);
        pass(L.slice_ms);
    }
    ck_assert(!L.acceptor.paused && p->fd != 0);
    follow_to_the_end(&F[0]);
    stop();
}
END_TEST

/* Turns that come late, as others use the machine, do not stretch a sweep: the slices that are due
 * by then are swept at once. */
START_TEST(late_turns_sweep_all)
{
    struct opt o = options();
    struct kernel_peer *p[100];
    start(&o, KERNEL_FDS);
    for (unsigned i = 0; i < COUNT(p); i++) {
        p[i] = kernel_dial(true);
        sends(p[i], "GET /t HTTP/1.1\r\n");
        settle();
    }
    pass(100);
    kernel.mono_ms += o.request_timeout_ms + LOOP_SLICES * L.slice_ms;
    settle();
    for (unsigned i = 0; i < COUNT(p); i++)
        ck_assert_msg(strstr(got(p[i]), "HTTP/1.1 408 ") != NULL, "%u is not swept", i);
    stop();
}
END_TEST

START_TEST(epoll_refuses)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    settle();
    unsigned before = kernel.open;
    kernel_fail(KERNEL_EPOLL_CTL, (struct kernel_fault){0, 3, ENOSPC, NULL});
    struct kernel_peer *p[4];
    for (unsigned i = 0; i < 4; i++)
        p[i] = kernel_dial(true);
    settle();
    ck_assert(refused(p[0]) && refused(p[1]) && refused(p[2]) && p[3]->fd != 0);
    ck_assert_uint_eq(kernel.open, before + 1);
    ck_assert_uint_eq(S.stat.limit_descriptors, 3);
    stop();
}
END_TEST

/* ---- limits on connections ------------------------------------------------------------------- */

/* Over --max-connections some are heard out and turned away in their own words; the rest wait until
 * these have gone. */
START_TEST(shed)
{
    struct opt o = options();
    struct kernel_peer *p[3 + SHED_MAX + 2] = {NULL};
    o.max_connections = 3;
    start(&o, KERNEL_FDS);
    for (unsigned i = 0; i < COUNT(p); i++) {
        p[i] = kernel_dial(false);
        settle();
    }
    ck_assert(p[2 + SHED_MAX]->fd != 0 && p[3 + SHED_MAX]->fd == 0 && L.acceptor.paused);
    uint64_t turns = S.stat.turns;
    pass(5000);
    ck_assert(p[3 + SHED_MAX]->fd == 0 && !p[3 + SHED_MAX]->closed);
    ck_assert_uint_le(S.stat.turns - turns, 2 * 5000 / L.slice_ms + 10); /* nor does it spin */
    F[0] = follows(p[2], "t", "");
    F[1] = follows(p[3], "t", "");
    sends(p[4], "GET /t HTTP/1.1\r\nHost: h\r\n\r\n");
    settle();
    follow_to_the_end(&F[0]);
    ck_assert(strstr(got(p[3]), "HTTP/1.1 200 ") != NULL && strstr(got(p[3]), "\nretry: ") != NULL);
    ck_assert(p[3]->answered);
    ck_assert(strstr(got(p[4]), "HTTP/1.1 503 ") != NULL && p[4]->answered);
    ck_assert(strstr(got(p[4]), "--max-connections") != NULL);
    ck_assert_uint_eq(S.stat.limit_connections, SHED_MAX);
    for (unsigned i = 0; i < 5; i++)
        kernel_hang_up(p[i]);
    pass(2 * L.slice_ms);
    ck_assert(p[3 + SHED_MAX]->fd != 0 && p[4 + SHED_MAX]->fd != 0 && !L.acceptor.paused);
    stop();
}
END_TEST

/* As many as may be are being turned away; who leaves makes room all the same. */
START_TEST(room_beside_shed)
{
    struct opt o = options();
    struct kernel_peer *p[3 + SHED_MAX + 2];
    o.max_connections = 3;
    start(&o, KERNEL_FDS);
    for (unsigned i = 0; i < COUNT(p); i++) {
        p[i] = kernel_dial(false);
        settle();
    }
    F[0] = follows(p[3 + SHED_MAX], "t", "");
    F[1] = follows(p[4 + SHED_MAX], "t", "");
    for (unsigned i = 0; i < 3; i++)
        kernel_hang_up(p[i]);
    pass(2 * L.slice_ms);
    ck_assert(!p[2 + SHED_MAX]->closed);
    follow_to_the_end(&F[0]);
    follow_to_the_end(&F[1]);
    stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("loop");
    TCase *tc = tcase_create("writing");
    tcase_add_test(tc, cut_anywhere);
    tcase_add_test(tc, cut_live);
    tcase_add_test(tc, budget);
    tcase_add_test(tc, accepting);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    tc = tcase_create("the kernel's errors");
    tcase_add_loop_test(tc, nth_call_fails, 0, COUNT(errors));
    tcase_add_test(tc, starved);
    tcase_add_loop_test(tc, no_descriptors, 0, 2);
    tcase_add_test(tc, no_spare);
    tcase_add_test(tc, no_memory_to_accept);
    tcase_add_test(tc, late_turns_sweep_all);
    tcase_add_test(tc, epoll_refuses);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    tc = tcase_create("limits on connections");
    tcase_add_test(tc, shed);
    tcase_add_test(tc, room_beside_shed);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    return run(s);
}
