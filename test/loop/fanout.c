/*
 * fanout.c - the loop of sse.c over a scripted kernel: fan-out to many, subscribers that
 * are slow or leave, time, connections that end.
 */
#include "test/kit/kit.h"
#include "test/kit/loop.h"

#define MANY 2500

static struct follower F[MANY];

/* Subscribers F[from..to), which are up to date afterwards. */
static void follow_many(unsigned from, unsigned to, const char *what)
{
    for (unsigned i = from; i < to; i++)
        F[i] = follows(kernel_dial(false), what, "");
    settle();
}

static unsigned writes_of(unsigned from, unsigned to)
{
    unsigned n = 0;
    for (unsigned i = from; i < to; i++)
        n += F[i].p->writes;
    return n;
}

/* ---- fan-out --------------------------------------------------------------------------------- */

/* Messages that come while fan-out is under way go out with the same writes. */
START_TEST(many)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true);
    follow_many(0, MANY, "t");
    unsigned before = writes_of(0, MANY);
    for (unsigned i = 0; i < 40; i++) {
        publishes(pub, "t", i % 2 == 0 ? "tick" : "tock");
        ck_assert(!turn());
    }
    settle();
    unsigned writes = writes_of(0, MANY) - before;
    for (unsigned i = 0; i < MANY; i++) {
        follow_to_the_end(&F[i]);
        ck_assert_uint_eq(F[i].messages, 40);
        ck_assert_uint_eq(F[i].gaps, 0);
    }
    ck_assert_uint_eq(S.stat.delivered, 40u * MANY);
    /* 41 turns and the last ones of a thousand each, in place of 100,000 writes */
    ck_assert_uint_le(writes, 46 * FANOUT_MAX);
    stop();
}
END_TEST

/* One message, everybody up to date: a write each, and the work of a turn is bounded. */
START_TEST(one_write_each)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true);
    follow_many(0, MANY, "t");
    unsigned before = writes_of(0, MANY), had = before;
    publishes(pub, "t", "x");
    for (bool done = false; !done;) {
        done = turn();
        unsigned now = writes_of(0, MANY);
        ck_assert_uint_le(now - had, FANOUT_MAX);
        had = now;
    }
    ck_assert_uint_eq(had - before, MANY);
    stop();
}
END_TEST

/* More in one turn than one write takes, for those who are up to date. */
START_TEST(many_at_once)
{
    static char body[4096];
    struct opt o = options();
    start(&o, KERNEL_FDS);
    follow_many(0, 10, "t");
    follow_many(10, 20, "t,u");
    size_t n = 0;
    for (unsigned i = 0; i < 300; i++)
        n += (size_t)snprintf(body + n, sizeof body - n, "%u\n", i);
    asks(kernel_dial(true),
         "POST /t HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-ndjson\r\n"
         "Content-Length: %zu\r\n\r\n%s",
         n, body);
    settle();
    for (unsigned i = 0; i < 20; i++) {
        follow_to_the_end(&F[i]);
        ck_assert_uint_eq(F[i].messages, 300);
    }
    stop();
}
END_TEST

/* Others' topics have their turn while a large one is at work. */
START_TEST(large_and_small)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true);
    follow_many(0, MANY - 1, "large");
    follow_many(MANY - 1, MANY, "small");
    publishes(pub, "large", "x");
    publishes(pub, "small", "x");
    turn();
    turn();
    follow(&F[MANY - 1]);
    ck_assert_uint_eq(F[MANY - 1].messages, 1);
    follow(&F[MANY - 2]);
    ck_assert_uint_eq(F[MANY - 2].messages, 0);
    settle();
    follow_to_the_end(&F[MANY - 2]);
    stop();
}
END_TEST

/* Many who catch up on a large ring, more than is moved in a turn: what is new for others is not
 * held up by them. */
START_TEST(live_beside_replay)
{
    static char large[60 << 10];
    struct opt o = options();
    o.ring = 16u << 20;
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true), *slow[100];
    memset(large, 'x', sizeof large - 1);
    for (unsigned i = 0; i < 200; i++)
        publishes(pub, "t", large);
    settle();
    follow_many(0, 1, "live");
    for (unsigned i = 0; i < COUNT(slow); i++) {
        slow[i] = kernel_dial(false);
        slow[i]->deaf = true;
    }
    settle();
    for (unsigned i = 0; i < COUNT(slow); i++)
        follows(slow[i], "t", "Last-Event-ID: 1790000000000-0\r\n");
    for (unsigned i = 0; i < 8; i++)
        turn(); /* until all of them are on the ready list, in which the publisher is at first, too */
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_uint_gt(S.clients.conns.ready_count, 50);
        publishes(pub, "live", "x");
        for (unsigned k = 0; k < 4; k++)
            turn();
        follow(&F[0]);
        ck_assert_uint_eq(F[0].messages, i + 1);
    }
    settle();
    follow_to_the_end(&F[0]);
    for (unsigned i = 1; i < COUNT(slow); i++)
        ck_assert_uint_eq(slow[i]->out.n, slow[0]->out.n);
    stop();
}
END_TEST

/* Subscribers leave and come while their topic's fan-out is under way: those about to be served,
 * those who were, neighbours, in great numbers. */
START_TEST(leaving)
{
    uint64_t now = seed(), r = now;
    struct opt o = options();
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true);
    follow_many(0, MANY, "t");
    for (unsigned round = 0; round < 60; round++) {
        publishes(pub, "t", "x");
        ck_assert(!turn());
        struct topic_group *t = topic_group(&S.topics, topic_find(&S.topics, SPAN("t")));
        for (unsigned i = 0; i < 3 && t->iter != 0; i++) {
            uint32_t fd = t->iter;
            for (uint64_t skip = random_next(&r) % 3; skip > 0; skip--)
                fd = S.clients.conns.conn[fd].link.next;
            for (unsigned k = 0; k < MANY; k++)
                if (F[k].p->fd == (int)fd)
                    kernel_rst(F[k].p);
        }
        for (uint64_t n = random_next(&r) % 40; n > 0; n--) {
            struct follower *f = &F[random_next(&r) % MANY];
            follow(f);
            if (random_next(&r) % 2 == 0)
                kernel_rst(f->p);
            else if (f->p->closed)
                *f = follows(kernel_dial(false), "t", "");
        }
    }
    settle();
    unsigned there = 0;
    for (unsigned i = 0; i < MANY; i++) {
        there += !F[i].p->closed;
        if (!F[i].p->closed)
            follow_to_the_end(&F[i]);
    }
    ck_assert_msg(there > MANY / 2 && there < MANY, SEED_FMT, now);
    stop();
}
END_TEST

/* Topics and sets of them, mixed in all ways. */
START_TEST(sets)
{
    static const char *const what[] = {"a",   "b",      "a,b", "b,a", "*",       "c/*",
                                       "c/d", "a,c/**", "**",  "a,a", "b,c/d,*", "z"};
    static const char *const topic[] = {"a", "b", "c/d", "c/e", "c/d/f", "y"};
    uint64_t now = seed(), r = now;
    struct opt o = options();
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true);
    for (unsigned i = 0; i < 240; i++)
        follow_many(i, i + 1, what[i % COUNT(what)]);
    for (unsigned i = 0; i < 300; i++) {
        publishes(pub, topic[random_next(&r) % COUNT(topic)], "x");
        if (random_next(&r) % 3 == 0)
            turn();
    }
    settle();
    for (unsigned i = 0; i < 240; i++) {
        follow_to_the_end(&F[i]);
        ck_assert_msg((F[i].messages > 0) == (i % COUNT(what) != COUNT(what) - 1), SEED_FMT, now);
    }
    stop();
}
END_TEST

/* Many topics, and many messages of others to pass over before one of these: more than a walk
 * through the ring takes at once. */
START_TEST(passing_over)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true);
    for (unsigned i = 0; i < 900; i++) {
        char name[16];
        snprintf(name, sizeof name, "m/%u", i);
        publishes(pub, name, "x");
    }
    settle();
    follow_many(0, 2, "m/*");
    follow_many(2, 3, "m/1,m/2");
    for (unsigned i = 0; i < 6000; i++)
        publishes(pub, "o", "");
    settle();
    publishes(pub, "m/1", "y");
    settle();
    for (unsigned i = 0; i < 3; i++) {
        follow_to_the_end(&F[i]);
        ck_assert_uint_eq(F[i].messages, 1);
    }
    stop();
}
END_TEST

/* A message and a new subscriber of its topic arrive in one turn, in whatever order: those of the
 * topic's sets get it all the same. */
START_TEST(joining_at_once)
{
    struct opt o = options();
    for (unsigned order = 0; order < 4; order++) {
        start(&o, KERNEL_FDS);
        struct kernel_peer *pub = kernel_dial(true), *sub = kernel_dial(false);
        follow_many(0, 1, "a,b");
        if (order > 1)
            follow_many(1, 2, "a");
        if (order % 2 == 0)
            publishes(pub, "a", "x");
        F[2] = follows(sub, "a", "");
        if (order % 2 == 1)
            publishes(pub, "a", "x");
        settle();
        follow_to_the_end(&F[0]);
        ck_assert_uint_eq(F[0].messages, 1);
        follow_to_the_end(&F[2]);
        stop();
    }
}
END_TEST

/* ---- slow subscribers ------------------------------------------------------------------------ */

static void publish_many(struct kernel_peer *pub, const char *topic, unsigned n, size_t size)
{
    static char data[4096];
    memset(data, 'x', sizeof data);
    data[size] = '\0';
    for (; n > 0; n--) {
        publishes(pub, topic, data);
        settle();
    }
}

static struct opt small_ring(void)
{
    struct opt o = options();
    o.ring = RING_MIN;
    o.max_message = RING_MIN / 16;
    return o;
}

/* Overtaken between two messages: a gap, then what there is. */
START_TEST(lagged)
{
    struct opt o = small_ring();
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true);
    follow_many(0, 1, "t");
    follow_many(1, 2, "t,u");
    kernel_window(F[0].p, 0);
    kernel_window(F[1].p, 0);
    publish_many(pub, "t", 3, 3000);
    kernel_window(F[0].p, F[0].p->out.n + 2 * (F[0].p->out.n - F[0].p->taken)); /* some of them */
    settle();
    publish_many(pub, "t", 40, 3000);
    kernel_take(F[0].p, KERNEL_NO_END);
    kernel_take(F[1].p, KERNEL_NO_END);
    kernel_window(F[1].p, KERNEL_NO_END);
    settle();
    follow_to_the_end(&F[1]);
    ck_assert_uint_eq(F[1].gaps, 1);
    ck_assert_str_eq(F[1].reason, "lagged");
    ck_assert_uint_eq(F[1].messages, ring_count(&S.ring));
    ck_assert_uint_eq(S.stat.gaps_lagged, 1);
    stop();
}
END_TEST

/* Overtaken inside a message, at each of its bytes: closed, without a byte more. */
START_TEST(overtaken_inside)
{
    struct opt o = small_ring();
    size_t size = 1;
    for (size_t part = 0; part <= size; part += part < 60 || part + 60 > size ? 1 : 37) {
        start(&o, KERNEL_FDS);
        struct kernel_peer *pub = kernel_dial(true);
        follow_many(0, 1, "t");
        size_t head = F[0].p->out.n;
        kernel_window(F[0].p, head + part);
        publish_many(pub, "t", 1, 500);
        size = told.item[0].sse_size - told.item[0].skip;
        publish_many(pub, "t", 40, 3000);
        kernel_window(F[0].p, KERNEL_NO_END);
        settle();
        follow(&F[0]);
        if (part == 0 || part == size) {
            follow_to_the_end(&F[0]);
            ck_assert_uint_eq(F[0].gaps, 1);
        } else {
            ck_assert(F[0].p->closed);
            ck_assert_uint_eq(F[0].p->out.n, head + part);
            ck_assert_uint_eq(S.stat.overtaken, 1);
        }
        stop();
    }
}
END_TEST

/* Overtaken only by messages of others: no gap. */
START_TEST(overtaken_by_others)
{
    struct opt o = small_ring();
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true);
    follow_many(0, 1, "t");
    follow_many(1, 2, "t,u");
    publish_many(pub, "t", 1, 10);
    publish_many(pub, "busy", 60, 3000);
    publish_many(pub, "t", 1, 10);
    follow_to_the_end(&F[0]);
    follow_to_the_end(&F[1]);
    ck_assert_uint_eq(F[0].messages + F[1].messages, 4);
    ck_assert_uint_eq(F[0].gaps + F[1].gaps, 0);
    stop();
}
END_TEST

/* More is published in one turn than the ring holds. */
START_TEST(overrun_in_a_turn)
{
    static char body[RING_MIN];
    struct opt o = small_ring();
    o.max_buffers = 4u << 20;
    start(&o, KERNEL_FDS);
    follow_many(0, 1, "t");
    follow_many(1, 2, "*");
    kernel.before_read = NULL;
    size_t n = 0;
    while (n + 8 < sizeof body - 8)
        n += (size_t)sprintf(body + n, "%zu\n", n);
    struct kernel_peer *pub = kernel_dial(true);
    asks(pub,
         "POST /t HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-ndjson\r\n"
         "Content-Length: %zu\r\n\r\n%s",
         n, body);
    for (unsigned i = 0; i < 50; i++)
        loop_turn();
    ck_assert_uint_gt(ring_newest(&S.ring).n, 2 * ring_count(&S.ring));
    for (unsigned i = 0; i < 2; i++) {
        const struct conn *c = &S.clients.conns.conn[F[i].p->fd];
        ck_assert(strstr(got(F[i].p), "\"reason\":\"lagged\"") != NULL);
        ck_assert_uint_eq(c->place.n, ring_newest(&S.ring).n);
        ck_assert_uint_eq(c->place.at, ring_head(&S.ring));
    }
    server_stop();
}
END_TEST

/* ---- time ------------------------------------------------------------------------------------ */

START_TEST(heartbeats)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    follow_many(0, 100, "t");
    follow_many(100, 200, "u");
    pass(o.heartbeat_ms - 1200);
    publishes(kernel_dial(true), "u", "x");
    pass(1100);
    for (unsigned i = 0; i < 200; i++) {
        follow(&F[i]);
        ck_assert_uint_eq(F[i].beats, 0);
    }
    pass(1200);
    for (unsigned i = 0; i < 200; i++) {
        follow_to_the_end(&F[i]);
        ck_assert_uint_eq(F[i].beats, i < 100);
    }
    pass(10 * o.heartbeat_ms);
    for (unsigned i = 0; i < 200; i++) {
        follow_to_the_end(&F[i]);
        ck_assert_uint_ge(F[i].beats, 9);
        ck_assert_uint_le(F[i].beats, 11);
        ck_assert_uint_eq(F[i].checkpoints, 0);
    }
    stop();
}
END_TEST

/* The time for a heartbeat comes amid a message that is going out in pieces: it waits. */
START_TEST(heartbeat_amid_a_message)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    follow_many(0, 1, "t");
    F[0].p->chunk = 1000;
    kernel_fail(KERNEL_WRITEV, (struct kernel_fault){0, 100, ENOBUFS, F[0].p});
    struct kernel_peer *pub = kernel_dial(true);
    publish_many(pub, "t", 150, 4000);
    pass(o.heartbeat_ms + 1000);
    ck_assert(S.clients.conns.conn[F[0].p->fd].flags & CONN_STARVED);
    kernel_fail(KERNEL_WRITEV, (struct kernel_fault){0, 0, 0, NULL});
    pass(2000);
    follow_to_the_end(&F[0]);
    ck_assert_uint_eq(F[0].messages, 150);
    stop();
}
END_TEST

/* The ring turns over again and again, and those who hear nothing from it could resume any time. */
START_TEST(checkpoints)
{
    struct opt o = small_ring();
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true);
    publishes(pub, "quiet", "x");
    settle();
    follow_many(0, 1, "quiet");
    follow_many(1, 2, "quiet,q");
    follow_many(2, 3, "quiet/**,quiet");
    for (unsigned round = 0; round < 20; round++) {
        publish_many(pub, "busy", 12, 3000); /* 37K of 64K */
        pass(o.heartbeat_ms + 1100);
        for (unsigned i = 0; i < 3; i++) {
            follow_to_the_end(&F[i]);
            ck_assert_uint_eq(F[i].gaps, 0);
            ck_assert_uint_ge(F[i].last + 13, told.n);
            ck_assert_uint_ge(F[i].checkpoints, round);
        }
        char field[64];
        snprintf(field, sizeof field, "Last-Event-ID: %" PRIu64 "-%" PRIu64 "\r\n",
                 ring_newest(&S.ring).ms, F[0].last);
        F[3] = follows(kernel_dial(false), "quiet", field);
        settle();
        follow_to_the_end(&F[3]);
        ck_assert_uint_eq(F[3].gaps, 0);
        kernel_hang_up(F[3].p);
    }
    stop();
}
END_TEST

/* How long each kind of connection may be quiet, and how it ends. */
START_TEST(timeouts)
{
    static const struct {
        int line;
        const char *sent, *answer; /* "": nothing; NULL: it goes on for ever */
        uint32_t ms;
    } cases[] = {
        {__LINE__, "", "", 10000},
        {__LINE__, "GET / HT", "HTTP/1.1 408 ", 10000},
        {__LINE__, "POST /t HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx", "HTTP/1.1 408 ",
         10000},
        {__LINE__, "GET /-/healthy HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 ", 60000},
        {__LINE__, "GET /-/healthy HTTP/1.1\r\nHost: h\r\n\r\nG", "HTTP/1.1 200 ", 10000},
        {__LINE__, "GET /-/healthy HTTP/1.0\r\n\r\n", "HTTP/1.1 200 ", 2000},
        {__LINE__,
         "POST /t HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-ndjson\r\n"
         "Transfer-Encoding: chunked\r\n\r\n2\r\n1\n\r\n",
         NULL, 300000},
        {__LINE__,
         "POST /t HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-ndjson\r\n"
         "Transfer-Encoding: chunked\r\n\r\n2\r\n1\n\r\n1\r\n2\r\n",
         "HTTP/1.1 408 ", 10000},
    };
    struct opt o = options();
    for (size_t i = 0; i < COUNT(cases); i++) {
        start(&o, KERNEL_FDS);
        struct kernel_peer *p = kernel_dial(true);
        sends(p, cases[i].sent);
        pass(cases[i].ms - 1);
        ck_assert_msg(!p->closed && !(p->answered && cases[i].ms > 2000), "line %d", cases[i].line);
        pass(1200);
        if (cases[i].answer == NULL) {
            ck_assert_msg(!p->closed, "line %d", cases[i].line);
        } else {
            ck_assert_msg(p->closed || p->answered, "line %d", cases[i].line);
            ck_assert_msg(strncmp(got(p), cases[i].answer, strlen(cases[i].answer)) == 0,
                          "line %d: %s", cases[i].line, got(p));
            pass(4000);
            ck_assert_msg(p->closed, "line %d", cases[i].line);
        }
        stop();
    }
}
END_TEST

/* The time for a request runs from its first byte, whatever was before. */
START_TEST(time_of_a_head)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    struct kernel_peer *p = kernel_dial(true);
    publishes(p, "t", "x");
    pass(o.idle_timeout_ms - 1000);
    sends(p, "GET /");
    pass(2000);
    sends(p, " HTTP/1.1\r\nHost");
    pass(o.request_timeout_ms - 3000);
    ck_assert(!p->answered && strstr(got(p), "HTTP/1.1 408 ") == NULL);
    sends(p, ": h");
    pass(3000);
    ck_assert(p->answered && strstr(got(p), "HTTP/1.1 408 ") != NULL);
    stop();
}
END_TEST

/* One who takes nothing is closed, whatever it waits for; one who takes a little is not. */
START_TEST(write_timeout)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true), *p = kernel_dial(true);
    follow_many(0, 3, "t");
    kernel_window(F[0].p, 0);
    kernel_window(F[1].p, 0);
    kernel_window(p, 100);
    sends(p, "GET /-/metrics HTTP/1.1\r\nHost: h\r\n\r\n");
    publishes(pub, "t", "x");
    for (unsigned s = 0; s < 29; s++) {
        pass(1000);
        kernel_window(F[1].p, F[1].p->out.n + 1);
    }
    ck_assert(!F[0].p->closed && !p->closed);
    pass(3000);
    ck_assert(F[0].p->closed && p->closed && !F[1].p->closed);
    ck_assert_uint_eq(p->out.n, 100);
    ck_assert_uint_eq(S.stat.timeout_write, 2);
    kernel_window(F[1].p, KERNEL_NO_END);
    settle();
    follow_to_the_end(&F[1]);
    follow_to_the_end(&F[2]);
    stop();
}
END_TEST

/* Old messages go; the topics that they kept go with them. */
START_TEST(max_age)
{
    struct opt o = options();
    o.max_age_ms = 5000;
    start(&o, KERNEL_FDS);
    struct kernel_peer *pub = kernel_dial(true);
    publishes(pub, "a", "x");
    publishes(pub, "b", "x");
    pass(3000);
    publishes(pub, "a", "x");
    kernel_hang_up(pub);
    pass(2500);
    ck_assert_uint_eq(ring_count(&S.ring), 1);
    ck_assert_uint_eq(topic_count(&S.topics), 1);
    ck_assert_int_ge(sleep_ms(), 0); /* with nobody there */
    pass(3000);
    ck_assert_uint_eq(ring_count(&S.ring) + topic_count(&S.topics), 0);
    ck_assert_int_eq(sleep_ms(), -1);
    ck_assert_uint_eq(S.stat.aged, 3);
    stop();
}
END_TEST

/* A clock that jumps, and one that runs over its 32 bits. */
START_TEST(clocks)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    kernel.mono_ms = kernel.deadline = (1ull << 32) - 20000;
    S.clock.now = L.swept = kernel.mono_ms;
    follow_many(0, 3, "t");
    struct kernel_peer *p = kernel_dial(true);
    settle();
    for (unsigned i = 0; i < 4; i++) {
        kernel.wall_ms += i % 2 == 0 ? 1ull << 36 : -(1ull << 37);
        pass(8000);
    }
    follow_to_the_end(&F[0]);
    ck_assert_uint_ge(F[0].beats, 1);
    ck_assert_uint_le(F[0].beats, 2);
    ck_assert(p->closed);
    stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("loop: fanout");
    TCase *tc = tcase_create("fan-out");
    tcase_add_test(tc, many);
    tcase_add_test(tc, one_write_each);
    tcase_add_test(tc, many_at_once);
    tcase_add_test(tc, large_and_small);
    tcase_add_test(tc, live_beside_replay);
    tcase_add_test(tc, leaving);
    tcase_add_test(tc, sets);
    tcase_add_test(tc, passing_over);
    tcase_add_test(tc, joining_at_once);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    tc = tcase_create("slow subscribers");
    tcase_add_test(tc, lagged);
    tcase_add_test(tc, overtaken_inside);
    tcase_add_test(tc, overtaken_by_others);
    tcase_add_test(tc, overrun_in_a_turn);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    tc = tcase_create("time");
    tcase_add_test(tc, heartbeats);
    tcase_add_test(tc, heartbeat_amid_a_message);
    tcase_add_test(tc, checkpoints);
    tcase_add_test(tc, timeouts);
    tcase_add_test(tc, time_of_a_head);
    tcase_add_test(tc, write_timeout);
    tcase_add_test(tc, max_age);
    tcase_add_test(tc, clocks);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    return run(s);
}
