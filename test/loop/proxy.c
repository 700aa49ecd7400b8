/*
 * proxy.c - the loop of sse.c over a scripted kernel: connections that begin with a PROXY
 * header, and those of trusted proxies.
 */
#include "test/kit/kit.h"
#include "test/kit/loop.h"

#define HEALTHY "GET /-/healthy HTTP/1.1\r\nHost: h\r\n\r\n"
#define ASKS    "GET /-/sse.js HTTP/1.1\r\nHost: h\r\n\r\n" /* which a full server does not answer */
#define PUT     "POST /t HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"
#define LINE(a) "PROXY TCP4 " a " 192.0.2.9 4711 80\r\n"
#define SIGN    "\r\n\r\n\0\r\nQUIT\n"
#define ITSELF  SIGN "\x20\0\0\0"
#define NOBODY  SIGN "\x21\0\0\0"
#define INET    SIGN "\x21\x11\0\x0F\xCB\0\x71\x07\xC0\0\x02\x09\x12\x67\0\x50\4\0\0" /* and a TLV */
#define UNIX    SIGN "\x21\x31\0\xD8"

static struct opt headed(void)
{
    struct opt o = options();
    o.proxy_protocol = true;
    return o;
}

static struct opt trusting(struct opt o, const char *who)
{
    o.trust_proxy.item[o.trust_proxy.n++] = span_of(who);
    return o;
}

static unsigned count(struct kernel_peer *p, const char *what)
{
    unsigned n = 0;
    for (const char *at = got(p); (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

/* Connects and sends a header, and lets the server have it. */
static struct kernel_peer *dial(bool local, const char *header, size_t n)
{
    struct kernel_peer *p = kernel_dial(local);
    kernel_send(p, header, n);
    settle();
    return p;
}

static struct kernel_peer *dial_as(const char *address)
{
    char line[128];
    int n = snprintf(line, sizeof line, "PROXY TCP4 %s 192.0.2.9 4711 80\r\n", address);
    return dial(true, line, (size_t)n);
}

/* ---- whom it is from ------------------------------------------------------------------------- */

static char unix_header[16 + 216] = UNIX;

static const struct {
    int line;
    struct span header;
    const char *trusted; /* NULL: none is */
    bool near;           /* the peer is on this host */
    const char *fields;
    bool allowed; /* it may publish */
} rows[] = {
    {__LINE__, BYTES(LINE("203.0.113.7")), NULL, true, "", false},
    {__LINE__, BYTES(LINE("127.0.0.1")), NULL, true, "", true},
    {__LINE__, BYTES("PROXY TCP6 ::1 ::1 4711 80\r\n"), NULL, true, "", true},
    {__LINE__, BYTES("PROXY TCP6 ::ffff:127.0.0.1 ::1 4711 80\r\n"), NULL, true, "", true},
    {__LINE__, BYTES("PROXY UNKNOWN\r\n"), NULL, true, "", false},
    {__LINE__, BYTES(INET), NULL, true, "", false},
    {__LINE__, BYTES(ITSELF), NULL, true, "", true},
    {__LINE__, BYTES(NOBODY), NULL, true, "", false},
    {__LINE__, {unix_header, sizeof unix_header}, NULL, true, "", true},
    /* a proxy elsewhere tells of its own loopback */
    {__LINE__, BYTES(LINE("127.0.0.1")), NULL, false, "", false},
    {__LINE__, BYTES(ITSELF), NULL, false, "", false},
    {__LINE__, {unix_header, sizeof unix_header}, NULL, false, "", false},
    {__LINE__, BYTES(LINE("127.0.0.1")), "192.0.2.1", false, "", false},
    /* what the client writes means nothing, unless it is a proxy itself */
    {__LINE__, BYTES(LINE("203.0.113.7")), NULL, true, "X-Forwarded-For: 127.0.0.1\r\n", false},
    {__LINE__, BYTES(LINE("203.0.113.7")), "127.0.0.1", true, "X-Forwarded-For: 127.0.0.1\r\n",
     false},
    {__LINE__, BYTES(NOBODY), "127.0.0.1", true, "X-Forwarded-For: 127.0.0.1\r\n", false},
    {__LINE__, BYTES("PROXY UNKNOWN\r\n"), "127.0.0.1", true, "X-Forwarded-For: 127.0.0.1\r\n",
     false},
    {__LINE__, BYTES(LINE("127.0.0.1")), "127.0.0.1", true, "", false},
    {__LINE__, BYTES(LINE("127.0.0.1")), "127.0.0.1", true, "X-Forwarded-For: 203.0.113.7\r\n",
     false},
    {__LINE__, BYTES(LINE("127.0.0.1")), "127.0.0.1", true, "Forwarded: for=127.0.0.1\r\n", true},
    {__LINE__, BYTES(LINE("127.0.0.2")), "127.0.0.1", true, "", true},
    {__LINE__, BYTES(ITSELF), "127.0.0.1", true, "", false},
    {__LINE__, BYTES(ITSELF), "127.0.0.1", true, "X-Forwarded-For: 127.0.0.1\r\n", false},
};

/* However the bytes are cut, with requests right behind. */
START_TEST(knows_the_client)
{
    struct opt o = headed();
    char all[1024];
    size_t n = rows[_i].header.n;
    if (rows[_i].trusted != NULL)
        o = trusting(o, rows[_i].trusted);
    memcpy(all, rows[_i].header.p, n);
    n += (size_t)snprintf(all + n, sizeof all - n,
                          HEALTHY
                          "POST /t HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n%s\r\nx" HEALTHY,
                          rows[_i].fields);
    for (size_t cut = 0; cut <= n; cut++) {
        start(&o, KERNEL_FDS);
        struct kernel_peer *p = kernel_dial(rows[_i].near);
        kernel_send(p, all, cut);
        settle();
        ck_assert(!p->closed);
        kernel_send(p, all + cut, n - cut);
        settle();
        ck_assert_msg(count(p, rows[_i].allowed ? "HTTP/1.1 201 " : "HTTP/1.1 403 ") == 1,
                      "line %d, cut at %zu: %s", rows[_i].line, cut, got(p));
        ck_assert_uint_eq(count(p, "HTTP/1.1 200 "), rows[_i].allowed ? 2 : 1);
        ck_assert_uint_eq(S.stat.proxy_refused, 0);
        stop();
    }
}
END_TEST

/* Where the header names no client nothing else does, though unix sockets are trusted, too. */
START_TEST(nobody_is_named)
{
    static const struct span headers[] = {
        BYTES("PROXY UNKNOWN\r\n"),
        BYTES("PROXY UNKNOWN 127.0.0.1 127.0.0.1 1 2\r\n"),
        BYTES(NOBODY),
        BYTES(ITSELF),
    };
    struct opt o = trusting(trusting(headed(), "unix"), "127.0.0.1");
    for (size_t i = 0; i < COUNT(headers); i++) {
        start(&o, KERNEL_FDS);
        struct kernel_peer *p = dial(true, headers[i].p, headers[i].n);
        bool itself = i + 1 == COUNT(headers);
        for (unsigned row = 0; row < 2; row++) {
            sends(p, row == 0 ? "GET /t HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n"
                              : "GET /t HTTP/1.1\r\nHost: h\r\nForwarded: for=127.0.0.1\r\n\r\n");
            settle();
            ck_assert_uint_eq(count(p, "HTTP/1.1 204 "), row + 1);
            ck_assert_uint_eq(S.ex.ask.from, itself ? UINT64_C(0xffff7f000001) : 0);
            ck_assert_int_eq(S.ex.ask.via, VIA_NOBODY);
            ck_assert(!S.ex.ask.local);
        }
        stop();
    }
}
END_TEST

START_TEST(by_bytes)
{
    struct opt o = headed();
    start(&o, KERNEL_FDS);
    struct kernel_peer *p = kernel_dial(true);
    static const char all[] = INET HEALTHY;
    for (size_t i = 0; i < sizeof all - 1; i++) {
        ck_assert_uint_eq(p->out.n, 0);
        kernel_send(p, all + i, 1);
        settle();
    }
    ck_assert_uint_eq(count(p, "HTTP/1.1 200 "), 1);
    ck_assert_uint_eq(S.clients.pass[p->fd].from, UINT64_C(0xffffcb007107));
    stop();
}
END_TEST

/* Where there is no flag, a header is a request that can't be read. */
START_TEST(only_with_the_flag)
{
    struct opt o = options();
    start(&o, KERNEL_FDS);
    struct kernel_peer *p = kernel_dial(true), *q = kernel_dial(true);
    sends(p, LINE("127.0.0.1") HEALTHY);
    kernel_send(q, INET, sizeof INET - 1);
    settle();
    ck_assert_uint_eq(count(p, "HTTP/1.1 400 ") + count(p, "HTTP/1.1 501 "), 1);
    ck_assert_uint_eq(count(q, "HTTP/1.1 400 "), 1);
    ck_assert_ptr_null(S.clients.pass);
    stop();
}
END_TEST

/* ---- who has none ---------------------------------------------------------------------------- */

static const struct {
    int line;
    struct span bytes;
} wrong[] = {
    {__LINE__, BYTES(HEALTHY)},           {__LINE__, BYTES("P" HEALTHY)},
    {__LINE__, BYTES("\r\n" HEALTHY)},    {__LINE__, BYTES("PROXY TCP4 1.2.3.4\r\n" HEALTHY)},
    {__LINE__, BYTES("PROXY UNKNOWN\n")}, {__LINE__, BYTES(SIGN "\x22\0\0\0")},
};

/* It is closed without a word, and counted. */
START_TEST(closed_without_a_header)
{
    struct opt o = headed();
    start(&o, KERNEL_FDS);
    struct kernel_peer *other = dial_as("203.0.113.7");
    struct kernel_peer *p = dial(true, wrong[_i].bytes.p, wrong[_i].bytes.n);
    ck_assert_msg(p->closed && p->out.n == 0, "line %d", wrong[_i].line);
    ck_assert_uint_eq(S.stat.proxy_refused, 1);
    ck_assert_uint_eq(S.stat.requests, 0);
    ck_assert_uint_eq(pool_used(&S.clients.conns.buffers), 0);
    sends(other, HEALTHY);
    settle();
    ck_assert_uint_eq(count(other, "HTTP/1.1 200 "), 1);
    stop();
}
END_TEST

/* A header has --request-timeout from the start, however it trickles; then a request has its
 * own. */
START_TEST(in_time)
{
    struct opt o = headed();
    start(&o, KERNEL_FDS);
    struct kernel_peer *quiet = kernel_dial(true), *slow = kernel_dial(true),
                       *late = kernel_dial(true);
    settle();
    for (unsigned i = 0; i < 11; i++) {
        if (i >= 5)
            kernel_send(slow, &INET[i - 5], 1);
        pass(900);
        ck_assert(!slow->closed && !quiet->closed);
    }
    kernel_send(late, LINE("203.0.113.7"), sizeof LINE("203.0.113.7") - 1);
    pass(900);
    ck_assert(quiet->closed && slow->closed && quiet->out.n + slow->out.n == 0);
    ck_assert_uint_eq(S.stat.timeout_request, 2);
    sends(late, "GET / HT");
    pass(9000);
    ck_assert(!late->closed && late->out.n == 0);
    pass(2000);
    ck_assert_uint_eq(count(late, "HTTP/1.1 408 "), 1);
    stop();
}
END_TEST

/* It ends inside its header, or right behind. */
START_TEST(ends_early)
{
    struct opt o = headed();
    for (size_t n = 0; n < sizeof LINE("1.2.3.4"); n++) {
        start(&o, KERNEL_FDS);
        struct kernel_peer *p = dial(true, LINE("1.2.3.4"), n);
        kernel_fin(p);
        settle();
        ck_assert(p->closed && p->out.n == 0);
        ck_assert_uint_eq(S.stat.proxy_refused, 0);
        stop();
    }
}
END_TEST

/* No buffer is left for a part of one: it is closed, as an answer would come before its header. */
START_TEST(no_room_for_it)
{
    struct opt o = headed();
    start(&o, KERNEL_FDS);
    static char big[60000] = SIGN "\x20\0\xff\xf0";
    unsigned closed = 0, all = 40;
    for (unsigned i = 0; i < all; i++)
        closed += dial(true, big, sizeof big)->closed;
    ck_assert_uint_gt(closed, 10);
    ck_assert_uint_lt(closed, all);
    ck_assert_uint_eq(S.stat.limit_buffers, closed);
    for (struct kernel_peer *q = kernel.peers; q != NULL; q = q->previous)
        ck_assert_uint_eq(q->out.n, 0);
    stop();
}
END_TEST

/* Only trusted proxies may send one, where there are any. */
START_TEST(from_trusted_only)
{
    struct opt o = trusting(headed(), "192.0.2.0/24");
    start(&o, KERNEL_FDS);
    struct kernel_peer *near = dial(true, LINE("203.0.113.7") HEALTHY, 10),
                       *far = kernel_dial(false);
    sends(far, LINE("203.0.113.7") HEALTHY);
    settle();
    ck_assert(near->closed && near->out.n == 0);
    ck_assert_uint_eq(S.stat.proxy_refused, 1);
    ck_assert_uint_eq(S.stat.accepted, 1);
    ck_assert_uint_eq(count(far, "HTTP/1.1 200 "), 1);
    stop();
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------- */

/* Connections are counted by the address that their headers tell. */
START_TEST(per_address)
{
    struct opt o = headed();
    struct kernel_peer *p[8];
    o.max_per_address = 2;
    start(&o, KERNEL_FDS);
    for (unsigned i = 0; i < COUNT(p); i++)
        p[i] = dial_as(i % 2 == 0 ? "203.0.113.7" : "203.0.113.8");
    ck_assert_uint_eq(peers_count(&L.t.peers), 2);
    ck_assert_uint_eq(L.acceptor.shed, 4);
    for (unsigned i = 0; i < COUNT(p); i++) {
        sends(p[i], ASKS);
        settle();
        ck_assert_uint_eq(count(p[i], i < 4 ? "HTTP/1.1 200 " : "--max-per-address"), 1);
    }
    ck_assert_uint_eq(S.stat.limit_per_address, 4);
    for (unsigned i = 0; i < COUNT(p); i += 2)
        kernel_hang_up(p[i]);
    settle();
    ck_assert_uint_eq(peers_count(&L.t.peers), 1);
    sends(p[0] = dial_as("203.0.113.7"), ASKS);
    settle();
    ck_assert_uint_eq(count(p[0], "HTTP/1.1 200 "), 1);
    /* who is not known, and who has not said, is not counted */
    for (unsigned i = 0; i < 5; i++) {
        dial(true, NOBODY, sizeof NOBODY - 1);
        dial(true, ITSELF, sizeof ITSELF - 1);
        dial(true, "PROXY", 5);
    }
    ck_assert_uint_eq(peers_count(&L.t.peers), 2);
    ck_assert_uint_eq(S.stat.limit_per_address, 4);
    stop();
    ck_assert_uint_eq(L.acceptor.shed, 0);
}
END_TEST

/* More than may be are over it: each is told all the same, and they take no more than their
 * room. */
START_TEST(very_many_per_address)
{
    struct opt o = headed();
    static struct kernel_peer *p[SHED_MAX + 50];
    o.max_per_address = 1;
    o.max_connections = 1000;
    start(&o, KERNEL_FDS);
    for (unsigned i = 0; i < COUNT(p); i++)
        p[i] = dial_as("203.0.113.7");
    ck_assert_uint_eq(L.acceptor.shed, SHED_MAX);
    for (unsigned i = 1; i < COUNT(p); i++)
        sends(p[i], ASKS);
    settle();
    for (unsigned i = 1; i < COUNT(p); i++)
        ck_assert(count(p[i], "--max-per-address") == 1 && p[i]->answered);
    stop();
    ck_assert_uint_eq(L.acceptor.shed, 0);
}
END_TEST

/* One that is over --max-connections is answered behind its header. */
START_TEST(shed)
{
    struct opt o = headed();
    o.max_connections = 1;
    o.max_per_address = 1;
    start(&o, KERNEL_FDS);
    struct kernel_peer *in = dial_as("203.0.113.7"), *over = dial_as("203.0.113.8"),
                       *both = dial_as("203.0.113.7"), *bad = dial(true, ASKS, 10);
    ck_assert(bad->closed && bad->out.n == 0);
    ck_assert_uint_eq(over->out.n + both->out.n, 0);
    sends(in, ASKS);
    sends(over, ASKS);
    sends(both, ASKS);
    settle();
    ck_assert_uint_eq(count(in, "HTTP/1.1 200 "), 1);
    ck_assert_uint_eq(count(over, "--max-connections"), 1);
    ck_assert_uint_eq(count(both, "--max-per-address"), 1);
    stop();
    ck_assert_uint_eq(L.acceptor.shed, 0);
}
END_TEST

/* One that gets no place at all is refused by what stands behind its header. */
START_TEST(refused_at_once)
{
    struct opt o = headed();
    start(&o, KERNEL_FDS);
    settle();
    kernel_fail(KERNEL_EPOLL_CTL, (struct kernel_fault){0, 3, ENOSPC, NULL});
    struct kernel_peer *stream = kernel_dial(true), *other = kernel_dial(true),
                       *bad = kernel_dial(true);
    sends(stream, LINE("203.0.113.7") "GET /t HTTP/1.1\r\nHost: h\r\n"
                                      "Accept: text/event-stream\r\n\r\n");
    sends(other, LINE("203.0.113.7") ASKS);
    sends(bad, "GET /t HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n");
    settle();
    ck_assert_uint_eq(count(stream, "HTTP/1.1 200 "), 1);
    ck_assert_uint_eq(count(other, "HTTP/1.1 503 "), 1);
    ck_assert_uint_eq(count(bad, "HTTP/1.1 503 "), 1);
    stop();
}
END_TEST

/* A trusted proxy's connections are all its clients', and not counted. */
START_TEST(proxies_are_not_counted)
{
    struct opt o = trusting(options(), "127.0.0.1");
    o.max_per_address = 2;
    start(&o, KERNEL_FDS);
    for (unsigned i = 0; i < 6; i++) {
        struct kernel_peer *p = kernel_dial(true), *q = kernel_dial(false);
        sends(p, ASKS);
        sends(q, ASKS);
        settle();
        ck_assert_uint_eq(count(p, "HTTP/1.1 200 "), 1);
        ck_assert_uint_eq(count(q, "HTTP/1.1 200 "), i < 2);
    }
    ck_assert_uint_eq(peers_count(&L.t.peers), 1);
    stop();
}
END_TEST

/* ---- who can reach it ------------------------------------------------------------------------ */

static const struct {
    int line;
    bool open, publish, headed;
    const char *trusted, *warning; /* NULL: none */
} reach[] = {
    {__LINE__, false, false, false, NULL, NULL},
    {__LINE__, false, true, false, NULL, NULL},
    {__LINE__, true, false, false, NULL, "msg=\"anyone who can reach it may subscribe\""},
    {__LINE__, true, true, false, NULL,
     "msg=\"anyone who can reach it may subscribe and publish\""},
    {__LINE__, true, false, false, "192.0.2.1", "msg=\"anyone who can reach it may subscribe\""},
    {__LINE__, true, false, true, NULL, "msg=\"anyone who can reach it may subscribe\""},
    {__LINE__, true, false, true, "192.0.2.1", NULL}, /* only that one can speak to it */
};

START_TEST(warns_who_can_reach_it)
{
    struct opt o = options();
    if (reach[_i].publish)
        o.anonymous |= OPT_ANONYMOUS_PUBLISH;
    o.proxy_protocol = reach[_i].headed;
    if (reach[_i].trusted != NULL)
        o = trusting(o, reach[_i].trusted);
    start(&o, KERNEL_FDS);
    kernel.open_to_all = reach[_i].open;
    announce_started(&S, &L.t);
    struct span log = {kernel.log.p, kernel.log.n};
    const char *warning = log.n > 0 ? memmem(log.p, log.n, "level=warn", 10) : NULL;
    ck_assert_msg((warning != NULL) == (reach[_i].warning != NULL), "line %d", reach[_i].line);
    if (warning != NULL) {
        ck_assert_ptr_nonnull(memmem(log.p, log.n, reach[_i].warning, strlen(reach[_i].warning)));
        ck_assert_ptr_nonnull(memmem(log.p, log.n, "address=http://192.0.2.1:8080", 29));
        ck_assert_ptr_nonnull(memmem(log.p, log.n, "--bind 127.0.0.1", 16));
    }
    stop();
}
END_TEST

/* ---- its place in the table ------------------------------------------------------------------ */

/* What is kept of one who has gone is not the next one's. */
START_TEST(places_are_clean)
{
    struct opt o = headed();
    start(&o, KERNEL_FDS);
    struct kernel_peer *p = dial_as("203.0.113.7");
    int fd = p->fd;
    S.clients.pass[fd].expires = 8;
    kernel_hang_up(p);
    settle();
    p = kernel_dial(false);
    settle();
    ck_assert_int_eq(p->fd, fd);
    ck_assert_uint_eq(S.clients.pass[fd].expires, 0);
    ck_assert_uint_eq(S.clients.pass[fd].from, UINT64_C(0xffffc0000201)); /* the socket's own */
    sends(p, LINE("203.0.113.8"));
    settle();
    ck_assert_uint_eq(S.clients.pass[fd].from, UINT64_C(0xffffcb007108));
    stop();
}
END_TEST

/* The server stops: who is inside a header may finish, and is answered for the last time. */
START_TEST(drain_inside)
{
    struct opt o = headed();
    o.drain_ms = 1000;
    start(&o, KERNEL_FDS);
    struct kernel_peer *half = dial(true, INET, 20), *idle = dial_as("203.0.113.7"),
                       *none = kernel_dial(true);
    settle();
    loop_drain_begin(&L, "SIGTERM");
    kernel.deadline = kernel.mono_ms + 100;
    while (kernel.mono_ms < kernel.deadline)
        loop_turn();
    ck_assert(idle->closed && none->closed && !half->closed);
    kernel_send(half, &INET[20], sizeof INET - 1 - 20);
    sends(half, HEALTHY);
    kernel.deadline = kernel.mono_ms + 100;
    while (kernel.mono_ms < kernel.deadline)
        loop_turn();
    ck_assert_uint_eq(count(half, "HTTP/1.1 200 "), 1);
    ck_assert_uint_eq(count(half, "Connection: close"), 1);
    server_stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("loop: proxy");
    TCase *tc = tcase_create("clients");
    tcase_add_loop_test(tc, knows_the_client, 0, COUNT(rows));
    tcase_add_test(tc, nobody_is_named);
    tcase_add_test(tc, by_bytes);
    tcase_add_test(tc, only_with_the_flag);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    tc = tcase_create("headers");
    tcase_add_loop_test(tc, closed_without_a_header, 0, COUNT(wrong));
    tcase_add_test(tc, in_time);
    tcase_add_test(tc, ends_early);
    tcase_add_test(tc, no_room_for_it);
    tcase_add_test(tc, from_trusted_only);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    tc = tcase_create("limits");
    tcase_add_test(tc, per_address);
    tcase_add_test(tc, very_many_per_address);
    tcase_add_test(tc, shed);
    tcase_add_test(tc, refused_at_once);
    tcase_add_test(tc, proxies_are_not_counted);
    tcase_add_loop_test(tc, warns_who_can_reach_it, 0, COUNT(reach));
    tcase_add_test(tc, places_are_clean);
    tcase_add_test(tc, drain_inside);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    return run(s);
}
