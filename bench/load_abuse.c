/*
 * test/load/abuse.c - one who publishes beside clients that abuse the server, and how long that one
 * waits.
 *
 * The abuses are such as any of the servers understands: floods of requests, connections that come
 * and go, clients that do not read, or do not finish. Those that only our server can be asked for
 * are in test/load/fair.c.
 */
#include "bench/load.h"
#include "bench/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EVERY_US = 5000,     /* between two messages of the one who waits */
    WARM_MS = 300,       /* for all abuses to be under way */
    REST_MS = 300,       /* for the server to be done with them */
    BLOCK = 256 << 10,   /* of requests */
    LARGE = 8000,        /* bytes of a large message */
    MANY = 500,          /* connections of one abuser */
    FIRST_ADDRESS = 100, /* of abusers: 127.0.0.100 */
};

struct abuser {
    const struct load *l;
    unsigned address; /* it connects from 127.0.0.`address` */
    char *bytes;      /* what flood() sends, n of them */
    size_t n;
};

/* ---- abuses ---------------------------------------------------------------------------------- */

static bool drop(int fd)
{
    static char buf[256 << 10];
    ssize_t n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
    return n > 0 || (n == -1 && errno == EAGAIN);
}

/* Sends the same over and over, reads what comes, and comes again when closed. */
static void flood(const struct abuser *a)
{
    for (;;) {
        int fd = connect_from(a->address, a->l->port);
        size_t at = 0;
        for (bool open = true; open;) {
            struct pollfd p = {fd, POLLIN | POLLOUT, 0};
            poll(&p, 1, 100);
            if (p.revents & (POLLIN | POLLERR | POLLHUP))
                open = drop(fd);
            if (!open || !(p.revents & POLLOUT))
                continue;
            ssize_t w = send(fd, a->bytes + at, a->n - at, MSG_DONTWAIT | MSG_NOSIGNAL);
            open = w > 0 || errno == EAGAIN;
            at = (at + (w > 0 ? (size_t)w : 0)) % a->n;
        }
        close(fd);
    }
}

/* Writes one request, or so many of it, into a->bytes. */
static void fill(struct abuser *a, const char *request, size_t size)
{
    a->bytes = take(BLOCK, 1);
    for (a->n = 0; a->n + size <= BLOCK; a->n += size)
        memcpy(a->bytes + a->n, request, size);
}

static void publish(struct abuser *a, unsigned topic, size_t size)
{
    char request[WIRE_HEAD_MAX + LARGE];
    const struct wire_data d = {0, 0, 0};
    size_t n = wire_publish(request, a->l->dialect, topic, &d, size);
    fill(a, request, n);
    flood(a);
}

static void publish_small(struct abuser *a)
{
    publish(a, 1, WIRE_DATA_MIN);
}

static void publish_large(struct abuser *a)
{
    publish(a, 2, LARGE);
}

static void ask(struct abuser *a, enum wire_way way, const char *names, bool earliest)
{
    char request[WIRE_HEAD_MAX];
    size_t n = wire_ask(request, a->l->dialect, way, names, NULL, earliest);
    fill(a, request, n);
    flood(a);
}

static void polls(struct abuser *a)
{
    ask(a, WIRE_SHORT, "b/9", false);
}

static void replays(struct abuser *a)
{
    ask(a, WIRE_LONG, "b/2", true);
}

/* Opens many connections, each of which sends the first `cut` bytes of that, or all of it. */
static void open_many(const struct abuser *a, int fd[MANY], enum wire_way way, const char *names,
                      size_t cut)
{
    char request[WIRE_HEAD_MAX];
    size_t n = wire_ask(request, a->l->dialect, way, names, NULL, false);
    for (unsigned i = 0; i < MANY; i++) {
        fd[i] = connect_from(a->address, a->l->port);
        send(fd[i], request, cut > 0 ? cut : n, MSG_NOSIGNAL);
    }
}

static void close_many(int fd[MANY])
{
    for (unsigned i = 0; i < MANY; i++)
        close(fd[i]);
}

/* Subscribers of the large messages that read nothing. */
static void unread(struct abuser *a)
{
    int fd[MANY];
    open_many(a, fd, WIRE_EVENTS, "b/2", 0);
    pause();
}

static void leave(struct abuser *a)
{
    int fd[MANY];
    for (;;) {
        open_many(a, fd, WIRE_EVENTS, "b/3", 0);
        close_many(fd);
    }
}

static void heads(struct abuser *a)
{
    int fd[MANY];
    for (;;) {
        open_many(a, fd, WIRE_EVENTS, "b/4", 20);
        pause_ms(100);
        close_many(fd);
    }
}

static void resets(struct abuser *a)
{
    const struct linger now = {1, 0};
    char request[WIRE_HEAD_MAX];
    size_t n = wire_ask(request, a->l->dialect, WIRE_SHORT, "b/5", NULL, false);
    for (;;) {
        int fd = connect_from(a->address, a->l->port);
        send(fd, request, n, MSG_NOSIGNAL);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(fd);
    }
}

static void (*const abuses[])(struct abuser *a) = {publish_small, publish_large, polls, replays,
                                                   unread,        leave,         heads, resets};

#define ABUSES (sizeof abuses / sizeof abuses[0])

/* ---- the one who waits ----------------------------------------------------------------------- */

/* Publishes a message, and reads the answer. */
static void publish_one(const struct load *l, int fd)
{
    char text[64 << 10];
    struct wire_answer a;
    const struct wire_data d = {0, 0, 0};
    size_t n = 0;
    send_all(fd, text, wire_publish(text, l->dialect, 0, &d, WIRE_DATA_MIN));
    while (!wire_read_answer(text, n, &a, NULL) || n < a.head + a.body) {
        ssize_t got = recv(fd, text + n, sizeof text - n, 0);
        if (got <= 0)
            die("the one who waits: %s", got == 0 ? "the server has closed" : strerror(errno));
        n += (size_t)got;
    }
    if (a.status / 100 != 2)
        die("publishing was answered: %.*s", (int)n, text);
}

uint64_t load_abuse(const struct load *l, unsigned seconds)
{
    pid_t pid[ABUSES];
    uint64_t most = 0;
    int fd = connect_from(0, l->port);
    (void)signal(SIGCHLD, SIG_DFL); /* these end when they are told to */
    for (unsigned i = 0; i < ABUSES; i++)
        if ((pid[i] = fork_leashed()) == 0) {
            struct abuser a = {.l = l, .address = FIRST_ADDRESS + i};
            abuses[i](&a);
            _exit(0);
        }
    setpriority(PRIO_PROCESS, 0, -10); /* where that is allowed */
    pause_ms(WARM_MS);
    uint64_t due = now_ns(), end = due + seconds * 1000000000ull;
    while (due < end) {
        uint64_t cpu = watch_cpu(l->server).ns;
        publish_one(l, fd);
        cpu = watch_cpu(l->server).ns - cpu;
        most = cpu > most ? cpu : most;
        uint64_t now = now_ns();
        for (; due <= now; due += EVERY_US * 1000ull) /* one late stands for those behind it */
            histogram_note(&l->shared->late[0], (now - due) / 1000);
        struct timespec t = {0, (long)(due - now)};
        nanosleep(&t, NULL);
    }
    for (unsigned i = 0; i < ABUSES; i++)
        finish(pid[i], SIGKILL);
    close(fd);
    pause_ms(REST_MS);
    return most;
}
