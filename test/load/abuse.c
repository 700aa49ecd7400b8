/*
 * abuse.c - a server that is abused, and honest clients who are not to feel it: load_abuse SERVER
 * [NAME...].
 *
 * Runs each abuse of the table at the end, or those named, against a server of its own, and sees
 * (abuse_bench.h does)
 *   - that the honest subscriber gets every message once and in order;
 *   - that the medians of what the honest ones wait for a message, and for /-/healthy, are at most
 *     twice those without abuse, and half a millisecond;
 *   - that the server's memory stays within what its flags allow, and goes back afterwards, as its
 *     descriptors do; that it then sleeps, and that nothing is on stderr.
 *
 * Each abuser connects from loopback addresses of its own, so that ports suffice.
 */
#include "test/kit/abuse_bench.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    SILENT = 10000,
    DRIPS = 2000,
    DRIP_MS = 100,        /* between two bytes of each */
    DRIP_TIMEOUT = 3000,  /* --request-timeout, ms */
    DRIP_LATE = 1500,     /* that the end may come later: a sweep of the table takes 1 s */
    UNREAD = 500,         /* who don't read ... */
    UNREAD_MANY = 100000, /* ... so many messages, ... */
    UNREAD_MS = 600,      /* ... or more, for so long */
    RESETS = 50000,
    STRANGERS = 400, /* for whom there are ... */
    PLACES = 100,    /* ... so many descriptors */
    GARBAGE = 200,
    GARBAGE_MS = 1500,
    FLOOD_MS = 1200,
    VANISH = 15000,
    SHED = 2000,
    SHED_PLACES = 100,
    CROWD = 300, /* from one address, which may have ... */
    CROWD_MAX = 100,
    TOPICS = 200000,
    WINDOW = 500, /* messages published before their answers are read */
    CHUNK = 50,   /* of these in a write */
    BURST = 500,
    PATIENCE_S = 60, /* for anything that must come at all, on a busy machine */
};

#define FOREVER (1L << 40) /* messages */

#define STREAM(topic) \
    "GET " topic " HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"

/* Abusers may be refused and closed: there is no room for all of them. */
static bool lenient;

/* ---- helpers for abusers ------------------------------------------------------------------- */

/* A connection; the server must take it. */
static int connected(unsigned from, int room)
{
    int fd = bench_connect(from, room);
    if (fd == -1)
        bench_die("an abuser could not connect: %s", strerror(errno));
    return fd;
}

static int *descriptors(int n)
{
    int *fds = calloc((size_t)n, sizeof *fds);
    if (fds == NULL)
        bench_die("no memory");
    return fds;
}

/* Subscribes, and reads the front of the answer. */
static int subscribed(unsigned from, int room, const char *request)
{
    char buf[256];
    int fd = connected(from, room);
    bench_send(fd, request);
    ssize_t n = recv(fd, buf, sizeof buf, 0);
    if (n < 13 || memcmp(buf, "HTTP/1.1 200 ", 13) != 0)
        bench_die("subscribing was answered: %.*s", n > 0 ? (int)n : 0, buf);
    return fd;
}

/* Publishes `f WHO N` to the topic, or each to a new one below it, N from 0 to `count` or until it
 * is told to end, with a pause of `ms` after each BURST; returns how many were answered. */
static long publish(unsigned from, int who, const char *topic, bool new_topics, long count, int ms)
{
    int fd = connected(from, 0);
    char text[CHUNK * 256], buf[16384], body[64];
    long sent = 0, answered = 0;
    unsigned seen = 0;
    bool over = false;
    while (answered < sent || (sent < count && !over)) {
        size_t n = 0;
        over = over || bench_over(sent % BURST == 0 ? ms : 0);
        for (int i = 0; !over && i < CHUNK && sent < count && sent - answered < WINDOW;
             i++, sent++) {
            int size = snprintf(body, sizeof body, "f %d %ld", who, sent);
            n += (size_t)snprintf(text + n, sizeof text - n, "POST %s", topic);
            if (new_topics)
                n += (size_t)snprintf(text + n, sizeof text - n, "/%d/%ld", who, sent);
            n += (size_t)snprintf(text + n, sizeof text - n,
                                  " HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s",
                                  size, body);
        }
        text[n] = '\0';
        if (n > 0)
            bench_send(fd, text);
        ssize_t got = recv(fd, buf, sizeof buf, n > 0 ? MSG_DONTWAIT : 0);
        if (lenient && (got == 0 || (got == -1 && errno != EAGAIN)))
            break;
        if (got == 0 || (got == -1 && errno != EAGAIN))
            bench_die("a publisher was closed: %s", got == 0 ? "end" : strerror(errno));
        answered += bench_answers(&seen, buf, got > 0 ? (size_t)got : 0, lenient);
    }
    close(fd);
    return answered;
}

/* ---- 1: those who say nothing -------------------------------------------------------------- */

/* Sees that the server ends each of its connections. */
static void silent(int number)
{
    int *fds = descriptors(SILENT / 4);
    char byte;
    long closed = 0;
    for (int i = 0; i < SILENT / 4; i++)
        fds[i] = connected((unsigned)number + 1, 0);
    bench_report('r', 0, 0);
    for (int i = 0; i < SILENT / 4; i++)
        closed += recv(fds[i], &byte, 1, 0) == 0;
    bench_report('d', closed, 0);
    bench_over(-1);
}

static void run_silent(void)
{
    long sum[2];
    for (int i = 0; i < 4; i++)
        bench_spawn(silent, i);
    bench_await('r', 4, sum);
    bench_await('d', 4, sum);
    bench_note("%ld ended by --request-timeout", sum[0]);
    bench_require(sum[0] == SILENT, "%ld of %d silent ones were ended", sum[0], SILENT);
}

/* ---- 2, 3: those who drip ------------------------------------------------------------------ */

static const char drip_head[] = "GET /drip HTTP/1.1\r\nX-Drip: ";
static const char drip_body[] =
    "POST /drip HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000\r\n\r\n";

struct drip {
    int fd;
    double since;
};

/* Looks whether it has been ended, which it must be by a 408. Returns how late that was, or -1. The
 * answer's time counts, not this process's, which may get its turn late itself. */
static double drip_ended(struct drip *d)
{
    char buf[512];
    double came;
    ssize_t n = bench_recv(d->fd, buf, sizeof buf, &came);
    if (n == -1 && errno == EAGAIN)
        return -1;
    if (!lenient && (n < 13 || memcmp(buf, "HTTP/1.1 408 ", 13) != 0))
        bench_die("a drip was answered: %.*s", n > 0 ? (int)n : 0, buf);
    close(d->fd);
    d->fd = -1;
    return (came - d->since) * 1000 - DRIP_TIMEOUT;
}

/* Half of them, until the server has ended them; reports how many and the latest. */
static void drip(int number, const char *begin)
{
    int left = DRIPS / 2;
    double latest = 0, late;
    struct drip *all = calloc(DRIPS / 2, sizeof *all);
    if (all == NULL)
        bench_die("no memory");
    for (int i = 0; i < DRIPS / 2; i++) {
        all[i].fd = connected((unsigned)number + 1, 0);
        bench_send(all[i].fd, begin);
        all[i].since = bench_now(); /* its time runs from before this */
    }
    while (left > 0 && !bench_over(DRIP_MS)) {
        for (int i = 0; i < DRIPS / 2; i++) {
            if (all[i].fd == -1)
                continue;
            late = drip_ended(&all[i]);
            latest = late > latest ? late : latest;
            left -= all[i].fd == -1;
            if (all[i].fd != -1)
                send(all[i].fd, "x", 1, MSG_NOSIGNAL);
        }
    }
    bench_report('d', DRIPS / 2 - left, bench_first() && latest > DRIP_LATE);
    bench_over(-1);
}

static void heads(int number)
{
    drip(number, drip_head);
}

static void bodies(int number)
{
    drip(number, drip_body);
}

static void run_drips(void (*abuser)(int number))
{
    long sum[2];
    bench_spawn(abuser, 0);
    bench_spawn(abuser, 1);
    bench_await('d', 2, sum);
    bench_note("%ld ended by 408", sum[0]);
    bench_require(sum[0] == DRIPS, "%ld of %d were ended", sum[0], DRIPS);
    bench_require(sum[1] == 0, "some were ended more than %d ms late", DRIP_LATE);
}

static void run_heads(void)
{
    run_drips(heads);
}

static void run_bodies(void)
{
    run_drips(bodies);
}

/* ---- 4: those who never read --------------------------------------------------------------- */

static void unread(int number)
{
    for (int i = 0; i < UNREAD / 2; i++)
        subscribed((unsigned)number + 1, 1024, i % 2 == 0 ? STREAM("/flood") : STREAM("/**"));
    bench_report('r', 0, 0);
    bench_over(-1);
}

/* As many as it takes, and for long enough that the honest ones can be measured meanwhile. */
static void unread_publisher(int number)
{
    double from = bench_now();
    long n = 0;
    do
        n += publish((unsigned)number + 1, 0, "/flood", false, UNREAD_MANY, 5);
    while (n % UNREAD_MANY == 0 && bench_now() - from < UNREAD_MS / 1e3);
    bench_report('p', n, 0);
}

/* They stay, and it is the server that closes. */
static void run_unread(void)
{
    long sum[2];
    bench_spawn(unread, 0);
    bench_spawn(unread, 1);
    bench_await('r', 2, sum);
    bench_from_here();
    double from = bench_now();
    bench_spawn(unread_publisher, 2);
    bench_await('p', 1, sum);
    bench_to_here();
    bench_note("%ld messages, %.1f s", sum[0], bench_now() - from);
    bench_closed(); /* by --write-timeout */
    bench_require(sum[0] >= UNREAD_MANY && sum[0] % UNREAD_MANY == 0, "%ld messages were published",
                  sum[0]);
}

/* ---- 5: those who reset -------------------------------------------------------------------- */

static void resets(int number)
{
    static const char *const said[] = {
        "", "GET /resets HTTP/1.1\r\nHo", STREAM("/resets"),
        "POST /resets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf"};
    struct linger now = {1, 0};
    long n;
    for (n = 0; n < RESETS / 4 && !bench_over(0); n++) {
        int fd = connected((unsigned)number + 1, 0);
        bench_send(fd, said[n % 4]);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(fd);
    }
    bench_report('d', n, 0);
}

static void run_resets(void)
{
    long sum[2];
    for (int i = 0; i < 4; i++)
        bench_spawn(resets, i);
    bench_await('d', 4, sum);
    bench_note("%ld connections", sum[0]);
}

/* ---- 6: no descriptors left ---------------------------------------------------------------- */

/* Reads a refusal to its end; returns whether it is one that tells the client to come back. */
static bool refused_politely(int fd, char *buf, size_t size)
{
    size_t n = 0;
    ssize_t got;
    while (n < size - 1 && (got = recv(fd, buf + n, size - 1 - n, 0)) > 0)
        n += (size_t)got;
    buf[n] = '\0';
    return (strncmp(buf, "HTTP/1.1 200 ", 13) == 0 && strstr(buf, "\nretry: ") != NULL) ||
           (strncmp(buf, "HTTP/1.1 503 ", 13) == 0 && strstr(buf, "\nRetry-After: ") != NULL);
}

/* Returns true if the stream stays open. */
static bool stays(int fd)
{
    struct pollfd p = {fd, POLLRDHUP, 0};
    return poll(&p, 1, 0) == 0;
}

/* How many of them the server has ended. */
static int gone(const int *fds, int n)
{
    int ended = 0;
    for (int i = 0; i < n; i++)
        ended += !stays(fds[i]);
    return ended;
}

/* Come one after the other; reports how many were refused, and of these how many politely. */
static void strangers(int number)
{
    int *fds = descriptors(STRANGERS);
    char buf[2048];
    long refused = 0, polite = 0;
    for (int i = 0; i < STRANGERS; i++) {
        fds[i] = connected((unsigned)number + 1, 0);
        bench_send(fds[i], STREAM("/strangers"));
    }
    double end = bench_now() + PATIENCE_S;
    while (gone(fds, STRANGERS) <= STRANGERS - PLACES && bench_now() < end)
        bench_over(10);
    bench_over(300); /* for the rest to be answered */
    for (int i = 0; i < STRANGERS; i++) {
        if (stays(fds[i]))
            continue;
        refused++;
        polite += refused_politely(fds[i], buf, sizeof buf);
        close(fds[i]);
        fds[i] = -1;
    }
    bench_report('d', refused, polite);
    bench_over(-1);
}

static void run_strangers(void)
{
    long sum[2];
    bench_limit(PLACES);
    bench_spawn(strangers, 0);
    bench_await('d', 1, sum);
    bench_run(300);
    bench_note("%ld of %d refused, %ld politely", sum[0], STRANGERS, sum[1]);
    bench_require(sum[0] > STRANGERS - PLACES, "only %ld were refused", sum[0]);
    bench_require(sum[1] == sum[0], "%ld were cut off", sum[0] - sum[1]);
    bench_release();
    double from = bench_now();
    bench_metric("sse_connections"); /* which a new client asks for */
    bench_require(bench_now() - from < 0.2 || !bench_first(), "a new one got in %.2f s later",
                  bench_now() - from);
}

/* ---- 7: garbage ---------------------------------------------------------------------------- */

static uint64_t dice;

static unsigned roll(unsigned n)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (unsigned)(dice >> 20) % n;
}

/* Random bytes, or a request with some of them changed, taken out or doubled. */
static size_t garbage_make(char *buf, size_t size)
{
    static const char *const requests[] = {
        STREAM("/garbage"),
        STREAM("/garbage,g/*,h/**"),
        "GET /garbage?wait=1&since=-5 HTTP/1.1\r\nHost: localhost\r\nAccept: "
        "application/x-ndjson\r\n\r\n",
        "POST /garbage HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\ngarbage",
        "POST /garbage HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        "Content-Type: application/x-ndjson\r\n\r\n6\r\n{\"a\"}\n\r\n0\r\n\r\n",
        "GET /garbage HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        "\x81\x85\x01\x02\x03\x04hello\x89\x80\x01\x02\x03\x04",
        "OPTIONS /garbage HTTP/1.1\r\nHost: localhost\r\nOrigin: http://x\r\n\r\n"};
    const char *from = requests[roll(sizeof requests / sizeof requests[0])];
    size_t n = strlen(from);
    if (roll(3) == 0) {
        n = 1 + roll((unsigned)size);
        for (size_t i = 0; i < n; i++)
            buf[i] = (char)roll(256);
        return n;
    }
    memcpy(buf, from, n);
    for (unsigned i = roll(6); i > 0; i--) {
        size_t at = 5 + roll((unsigned)n - 10);
        if (roll(2) == 0)
            buf[at] = (char)roll(256);
        else if (roll(2) == 0)
            memmove(buf + at, buf + at + 1, --n - at);
        else if (n < size)
            memmove(buf + at + 1, buf + at, n++ - at);
    }
    return n;
}

static void garbage(int number)
{
    int *fds = descriptors(GARBAGE / 2);
    char buf[2048];
    long sent = 0, closed = 0;
    const char *seed = getenv("SSE_SEED");
    dice = (seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL)) * 2 + 1;
    if (number == 0) {
        printf("garbage: SSE_SEED=%llu\n", (unsigned long long)dice / 2);
        fflush(stdout);
    }
    dice = dice * 2654435761u + (unsigned)number;
    for (int i = 0; i < GARBAGE / 2; i++)
        fds[i] = connected((unsigned)number + 1, 0);
    while (!bench_over(0)) {
        int *fd = &fds[roll(GARBAGE / 2)];
        if (roll(8) != 0 &&
            send(*fd, buf, garbage_make(buf, sizeof buf), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
            sent++;
        ssize_t n = recv(*fd, buf, sizeof buf, MSG_DONTWAIT);
        if (n == 0 || (n == -1 && errno != EAGAIN) || roll(16) == 0) {
            close(*fd);
            *fd = connected((unsigned)number + 1, 0);
            closed++;
        }
    }
    bench_report('d', sent, closed);
}

static void run_garbage(void)
{
    long sum[2];
    bench_spawn(garbage, 0);
    bench_spawn(garbage, 1);
    bench_run(GARBAGE_MS);
    bench_release();
    bench_await('d', 2, sum);
    bench_note("%ld pieces of garbage, %ld connections", sum[0], sum[1]);
}

/* ---- 8: a flood of messages ---------------------------------------------------------------- */

static void flood_other(int number)
{
    bench_report('d', publish((unsigned)number + 1, number, "/flood", false, FOREVER, 0), 0);
}

static void flood_same(int number)
{
    bench_report('d', publish((unsigned)number + 1, number, "/honest", false, FOREVER, 0), 0);
}

static long run_flood(void (*abuser)(int number))
{
    long sum[2];
    double from = bench_now();
    for (int i = 0; i < BENCH_PUBLISHERS; i++)
        bench_spawn(abuser, i);
    bench_run(FLOOD_MS);
    bench_release();
    bench_await('d', BENCH_PUBLISHERS, sum);
    bench_note("%.0f messages/s", (double)sum[0] / (bench_now() - from));
    return sum[0];
}

static void run_flood_other(void)
{
    run_flood(flood_other);
}

/* The honest subscriber gets all of it. */
static void run_flood_same(void)
{
    long sent = run_flood(flood_same);
    double deadline = bench_now() + PATIENCE_S;
    while (bench_flood_seen() < sent && bench_now() < deadline)
        bench_run(10);
    bench_require(bench_flood_seen() == sent, "%ld of the flood's %ld messages arrived",
                  bench_flood_seen(), sent);
}

/* ---- 9: those who vanish ------------------------------------------------------------------- */

static void vanish(int number)
{
    for (int i = 0; i < VANISH / 4; i++)
        subscribed((unsigned)number + 1, 0, STREAM("/vanish"));
    bench_report('r', 0, 0);
    bench_over(-1);
}

static void run_vanish(void)
{
    long sum[2];
    double from = bench_now();
    for (int i = 0; i < 4; i++)
        bench_spawn(vanish, i);
    bench_await('r', 4, sum);
    bench_note("%d subscribed in %.1f s", VANISH, bench_now() - from);
    bench_from_here();
    bench_kill();
    bench_run(300);
}

/* ---- 10: those who are turned away, and come back ------------------------------------------- */

struct source {
    int fd; /* -1: waits until `when` */
    double when;
};

/* Comes, and is to be turned away. */
static void source_come(struct source *s, unsigned from)
{
    s->fd = connected(from, 0);
    bench_send(s->fd, STREAM("/shed"));
    s->when = bench_now() + PATIENCE_S;
}

/* Looks whether it has been turned away; it comes back when it was told to. */
static bool source_shed(struct source *s)
{
    char buf[2048];
    struct pollfd p = {s->fd, POLLRDHUP, 0};
    if (poll(&p, 1, 0) == 0) {
        if (bench_now() > s->when)
            bench_die("a client that there is no room for was not turned away");
        return false;
    }
    if (!refused_politely(s->fd, buf, sizeof buf) || strncmp(buf, "HTTP/1.1 200 ", 13) != 0)
        bench_die("a client that there is no room for got: %s", buf);
    close(s->fd);
    s->fd = -1;
    s->when = bench_now() + strtod(strstr(buf, "\nretry: ") + 8, NULL) / 1000;
    return true;
}

static void sources(int number)
{
    long times = 0;
    struct source *all = calloc(SHED / 2, sizeof *all);
    if (all == NULL)
        bench_die("no memory");
    for (int i = 0; i < SHED / 2; i++)
        all[i] = (struct source){-1, bench_now() + i / (double)SHED};
    while (!bench_over(1) || (!lenient && times <= SHED / 2))
        for (int i = 0; i < SHED / 2; i++) {
            if (all[i].fd == -1 && bench_now() >= all[i].when)
                source_come(&all[i], (unsigned)number + 1);
            else if (all[i].fd != -1)
                times += source_shed(&all[i]);
        }
    bench_report('d', times, 0);
}

/* Have all the places there are. */
static void places(int number)
{
    for (int i = 0; i < SHED_PLACES - 3; i++)
        subscribed((unsigned)number + 1, 0, STREAM("/shed"));
    bench_report('r', 0, 0);
    bench_over(-1);
}

static void run_shed(void)
{
    long sum[2];
    bench_spawn(places, 2);
    bench_await('r', 1, sum);
    bench_spawn(sources, 0);
    bench_spawn(sources, 1);
    bench_run(1500);
    bench_release();
    bench_await('d', 2, sum);
    bench_note("turned away %ld times", sum[0]);
    bench_require(sum[0] > SHED, "turned away only %ld times", sum[0]);
}

/* ---- 11: one address ----------------------------------------------------------------------- */

/* Takes all it may have, and more; reports how many it has, and how many were turned away. */
static void crowd(int number)
{
    int *fds = descriptors(CROWD);
    char buf[2048];
    long in = 0, polite = 0;
    for (int i = 0; i < CROWD; i++) {
        fds[i] = connected((unsigned)number + 1, 0);
        bench_send(fds[i], STREAM("/crowd"));
        if (i < CROWD_MAX)
            in += recv(fds[i], buf, sizeof buf, 0) > 0 && strstr(buf, "\nretry: ") != NULL;
    }
    bench_over(300); /* for all to be answered */
    for (int i = CROWD_MAX; i < CROWD; i++)
        polite += refused_politely(fds[i], buf, sizeof buf);
    for (int i = 0; i < CROWD_MAX; i++)
        in -= !stays(fds[i]);
    bench_report('r', in, polite);
    bench_over(-1);
}

static void run_crowd(void)
{
    long sum[2];
    bench_spawn(crowd, 65);
    bench_await('r', 1, sum);
    bench_run(300);
    bench_note("%ld in, %ld turned away", sum[0], sum[1]);
    bench_require(sum[0] == CROWD_MAX && sum[1] == CROWD - CROWD_MAX, "%ld in, %ld turned away",
                  sum[0], sum[1]);
}

/* ---- 12: topics ---------------------------------------------------------------------------- */

static void topics(int number)
{
    bench_report('p', publish((unsigned)number + 1, number, "/t", true, TOPICS, 0), 0);
}

/* Subscribers with wildcards, which read; reports once all have the last message, and the gaps. */
static void topics_readers(int number)
{
    static char buf[1 << 16], last[32];
    int *fds = descriptors(8);
    long gaps = 0;
    for (int i = 0; i < 8; i++)
        fds[i] =
            subscribed((unsigned)number + 1, 0, i % 2 == 0 ? STREAM("/t/**") : STREAM("/**,t/0/*"));
    bench_report('r', 0, 0);
    snprintf(last, sizeof last, "data: f 0 %d\n", TOPICS - 1);
    for (int left = 8, i = 0; left > 0; i = (i + 1) % 8) {
        if (fds[i] == -1)
            continue;
        ssize_t n = recv(fds[i], buf, sizeof buf - 1, MSG_DONTWAIT);
        if (n == -1 && errno == EAGAIN) {
            poll(NULL, 0, 1);
            continue;
        }
        if (n <= 0)
            bench_die("a wildcard subscriber was closed");
        buf[n] = '\0';
        for (const char *p = buf; (p = strstr(p, "event: gap\n")) != NULL; p++)
            gaps++;
        if (strstr(buf, last) != NULL) {
            fds[i] = -1;
            left--;
        }
    }
    bench_report('d', gaps, 0);
    bench_over(-1);
}

static void run_topics(void)
{
    long sum[2];
    double from = bench_now();
    bench_spawn(topics_readers, 1);
    bench_await('r', 1, sum);
    bench_from_here();
    bench_spawn(topics, 0);
    bench_await('p', 1, sum);
    bench_note("%ld topics in %.1f s", sum[0], bench_now() - from);
    bench_await('d', 1, sum);
    bench_note("%ld gaps, %ld topics left", sum[0], bench_metric("sse_topics"));
    bench_release();
}

/* ---- 13: all at once ----------------------------------------------------------------------- */

static void all_silent(int number)
{
    for (int i = 0; i < 2000; i++)
        connected((unsigned)number + 1, 0);
    bench_over(-1);
}

static void all_topics(int number)
{
    publish((unsigned)number + 1, 0, "/t", true, FOREVER, 0);
}

static void run_all(void)
{
    long sum[2];
    lenient = true;
    bench_spawn(all_silent, 0);
    bench_spawn(heads, 1);
    bench_spawn(bodies, 2);
    bench_spawn(unread, 3);
    bench_spawn(resets, 4);
    bench_spawn(garbage, 5);
    bench_spawn(all_topics, 6);
    bench_spawn(sources, 7);
    for (int i = 8; i < 12; i++)
        bench_spawn(flood_other, i);
    bench_run(3000);
    bench_release();
    bench_await('r', 1, sum);
}

/* ---- main ---------------------------------------------------------------------------------- */

#define K 1024L
#define M (1024L * 1024)

static const struct abuse abuses[] = {
    {.name = "silent",
     .run = run_silent,
     .flags = "--request-timeout 3s",
     .ring = M,
     .buffers = 4 * M,
     .connections = SILENT,
     .fresh = true},
    {.name = "heads",
     .run = run_heads,
     .flags = "--request-timeout 3s",
     .ring = M,
     .buffers = 16 * M,
     .connections = DRIPS,
     .fresh = true},
    {.name = "bodies",
     .run = run_bodies,
     .flags = "--request-timeout 3s --min-rate 1000000",
     .needs = "--min-rate",
     .ring = M,
     .buffers = 16 * M,
     .connections = DRIPS,
     .fresh = true},
    {.name = "unread",
     .run = run_unread,
     .flags = "--write-timeout 1s",
     .ring = 4 * M,
     .buffers = 4 * M,
     .connections = UNREAD,
     .fresh = true},
    {.name = "resets",
     .run = run_resets,
     .flags = "",
     .ring = M,
     .buffers = 4 * M,
     .connections = 5000,
     .fresh = true},
    {.name = "strangers",
     .run = run_strangers,
     .flags = "--retry 500ms",
     .ring = M,
     .buffers = 4 * M,
     .connections = 400},
    {.name = "garbage",
     .run = run_garbage,
     .flags = "",
     .ring = M,
     .buffers = 4 * M,
     .connections = 400,
     .topics = 20000,
     .fresh = true},
    {.name = "flood",
     .run = run_flood_other,
     .flags = "",
     .ring = 4 * M,
     .buffers = 16 * M,
     .connections = 40,
     .fresh = true},
    {.name = "flood-same",
     .run = run_flood_same,
     .flags = "",
     .ring = 64 * M,
     .buffers = 16 * M,
     .connections = 40,
     .fresh = true},
    {.name = "vanish",
     .run = run_vanish,
     .flags = "",
     .ring = M,
     .buffers = 4 * M,
     .connections = VANISH,
     .fresh = true},
    {.name = "shed",
     .run = run_shed,
     .flags = "--retry 500ms --max-connections 100",
     .ring = M,
     .buffers = 4 * M,
     .connections = 400},
    {.name = "crowd",
     .run = run_crowd,
     .flags = "--max-per-address 100",
     .needs = "--max-per-address",
     .ring = M,
     .buffers = 4 * M,
     .connections = 400,
     .fresh = true},
    {.name = "topics",
     .run = run_topics,
     .flags = "",
     .ring = 4 * M,
     .buffers = 4 * M,
     .connections = 40,
     .topics = 40000,
     .fresh = true},
    {.name = "all",
     .run = run_all,
     .needs = "--max-memory",
     .flags = "--max-memory 128M --request-timeout 2s --write-timeout 1s",
     .memory = 128 * M,
     .fresh = true},
};

/* Runs one in a process of its own. */
static void run(const char *path, const struct abuse *a, struct bench_sum *sum)
{
    int status;
    if (a->needs != NULL && !bench_knows(path, a->needs)) {
        printf("%-10s left out: %s has no %s\n", a->name, path, a->needs);
        sum->left_out++;
        return;
    }
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        bench_begin(path, a);
        a->run();
        bench_release();
        _exit(bench_end(sum) ? 0 : 1);
    }
    if (pid == -1 || waitpid(pid, &status, 0) == -1 || status != 0) {
        if (pid != -1 && !WIFEXITED(status))
            printf("%-10s FAILED: ended by signal %d\n", a->name, WTERMSIG(status));
        sum->failed++;
    } else {
        sum->passed++;
    }
}

int main(int argc, char **argv)
{
    double from = bench_now();
    struct rlimit l;
    struct bench_sum *sum =
        mmap(NULL, sizeof *sum, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (argc < 2 || sum == MAP_FAILED || getrlimit(RLIMIT_NOFILE, &l) == -1) {
        fprintf(stderr, "usage: load_abuse SERVER [NAME...]\n");
        return 64;
    }
    l.rlim_cur = l.rlim_max;
    setrlimit(RLIMIT_NOFILE, &l);
    for (size_t i = 0; i < sizeof abuses / sizeof abuses[0]; i++) {
        bool named = argc == 2;
        for (int j = 2; j < argc; j++)
            named = named || strcmp(argv[j], abuses[i].name) == 0;
        if (named)
            run(argv[1], &abuses[i], sum);
    }
    printf("load_abuse: %d abuses withstood, %d not, %d left out; medians at most %.1f times "
           "the normal (%s); %.0f s\n",
           sum->passed, sum->failed, sum->left_out, sum->worst,
           sum->whose != NULL ? sum->whose : "none", bench_now() - from);
    return sum->failed > 0 || sum->passed == 0;
}
