/*
 * loop.h - the server over a scripted kernel (kernel.h), white box: sse.c and the files that
 * ask the system are included, their calls are the kernel's. For test/loop and fuzz/loop.
 *
 * Every turn is followed by a look at the tables: what must always hold; and before the loop goes
 * to sleep, at what could be forgotten: nobody sleeps who has something to do that no edge will
 * tell of.
 *
 * A FOLLOWER reads what a subscriber was sent, byte by byte, against all messages there were: each
 * record as it was rendered, ids growing, no message of its topics left out unless a gap was told,
 * no gap told without a message lost, each end told once, and nothing behind the last of them.
 */
#ifndef SSE_TEST_KIT_LOOP_H
#define SSE_TEST_KIT_LOOP_H

#include "lib/host/sandbox.h"
#include "lib/serve/intake.h"
#include "test/kit/kernel.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static inline int fcntl_nothing(int fd, int op, ...)
{
    (void)fd;
    (void)op;
    return 0;
}

/* ---- the server, with its calls led to the kernel -------------------------------------------- */

#define socket(family, type, protocol)     kernel_socket(family, type, protocol)
#define bind(fd, a, len)                   kernel_bind(fd, a, len)
#define listen(fd, backlog)                kernel_listen(fd, backlog)
#define setsockopt(fd, level, name, p, n)  kernel_setsockopt(fd, level, name, p, n)
#define getsockname(fd, a, len)            kernel_getsockname(fd, a, len)
#define accept4(fd, a, len, flags)         kernel_accept4(fd, a, len, flags)
#define read(fd, buf, n)                   kernel_read(fd, buf, n)
#define recv(fd, buf, n, flags)            kernel_recv(fd, buf, n, flags)
#define write(fd, buf, n)                  kernel_write(fd, buf, n)
#define poll(p, n, timeout)                kernel_poll(p, n, timeout)
#define writev(fd, iov, n)                 kernel_writev(fd, iov, n)
#define send(fd, buf, n, flags)            kernel_send_to(fd, buf, n, flags)
#define shutdown(fd, how)                  kernel_shutdown(fd, how)
#define close(fd)                          kernel_close(fd)
#define open(path, flags)                  kernel_open(path, flags)
#define fcntl(...)                         fcntl_nothing(__VA_ARGS__)
#define signal(number, handler)            ((void)(handler))
#define sigprocmask(how, set, old)         ((void)(set), 0)
#define signalfd(fd, set, flags)           kernel_signalfd(fd)
#define epoll_create1(flags)               kernel_epoll_create1(flags)
#define epoll_ctl(epoll, op, fd, ev)       kernel_epoll_ctl(epoll, op, fd, ev)
#define epoll_wait(epoll, ev, most, ms)    kernel_epoll_wait(epoll, ev, most, ms)
#define clock_gettime(id, t)               kernel_clock_gettime(id, t)
#define getrlimit(resource, r)             kernel_getrlimit(r)
#define setrlimit(resource, r)             ((void)(r), -1)
#define getrandom(buf, n, flags)           kernel_getrandom(buf, n)
#define mmap(p, size, prot, flags, fd, at) ((void)(flags), kernel_mmap(size))
#define memfd_create(name, flags)          kernel_open("/dev/null", O_RDWR)
#define ftruncate(fd, size)                ((void)(size), 0)

/* The kernel of this process is a real one, and the test itself goes on. */
#define sandbox_enter(s, t, user, argv, held, why) ((void)(argv), (void)(held), 0)
#define sandbox_go_on(s, held)                     ((void)0)

int sse_main(int argc, char **argv);
#define main sse_main
#include "lib/host/acceptor.c"
#include "lib/host/announce.c"
#include "lib/host/clock.c"
#include "lib/host/life.c"
#include "lib/host/listen.c"
#include "lib/host/memory.c"
#include "lib/host/process.c"
#include "lib/host/say.c"
#include "lib/host/tables.c"
#include "lib/host/upgrade.c"
#include "lib/loop/end.c"
#include "lib/loop/held.c"
#include "lib/loop/read.c"
#include "lib/loop/stop.c"
#include "lib/loop/sweep.c"
#include "lib/loop/write.c"
#include "sse.c"
#undef main
#undef read
#undef write
#undef open
#undef close
#undef signal

#define S L.server

/* ---- the messages there were ----------------------------------------------------------------- */

/* Message n is told.item[n - 1]; its texts stand in told.bytes. */
struct told {
    size_t topic_at, topic_size, sse_at, sse_size, skip, data_at, data_size;
    bool binary, end, bare, keyed;
    bool purge;         /* not a message: it purges */
    bool wiped;         /* before it was written down: its bytes are unknown */
    uint64_t purged_by; /* the message that purged it */
    enum {
        TOLD_STAYS,
        TOLD_PURGED,
        TOLD_UNSURE, /* it was evicted or purged, whichever was first */
    } fate;
};

static struct {
    struct told *item;
    size_t n, cap, bytes_cap, bytes_n;
    char *bytes;
    uint64_t lost; /* the newest that was evicted, when it was last looked at */
    uint64_t purges;
} told;

/* What a peer had been sent, or was kept for it, when message `purge` came: what is purged does not
 * begin behind that. Peers that came later have none. */
struct promised {
    uint64_t purge;
    const struct kernel_peer *p;
    size_t bytes;
};

static struct {
    struct promised *item;
    size_t n, cap;
    const struct kernel_peer *reads; /* which is looked at, ... */
    size_t at;                       /* ... from this byte of what it was sent on */
} promised;

static inline struct span told_topic(uint64_t n)
{
    const struct told *m = &told.item[n - 1];
    return (struct span){told.bytes + m->topic_at, m->topic_size};
}

static inline struct span told_data(uint64_t n)
{
    const struct told *m = &told.item[n - 1];
    return (struct span){told.bytes + m->data_at, m->data_size};
}

static inline void *grown(void *p, size_t n)
{
    p = realloc(p, n);
    assert(p != NULL);
    return p;
}

static inline size_t told_bytes(struct span s)
{
    size_t at = told.bytes_n;
    if (at + s.n > told.bytes_cap) {
        told.bytes_cap = (at + s.n) * 2;
        told.bytes = grown(told.bytes, told.bytes_cap);
    }
    memcpy(told.bytes + at, s.p, s.n);
    told.bytes_n += s.n;
    return at;
}

static inline void note_promised(uint64_t purge)
{
    for (const struct kernel_peer *p = kernel.peers; p != NULL; p = p->previous) {
        if (promised.n == promised.cap) {
            promised.cap = promised.cap * 2 + 64;
            promised.item = grown(promised.item, promised.cap * sizeof *promised.item);
        }
        size_t kept = 0;
        if (p->fd > 0)
            kept = conn_out(&S.clients.conns, &S.clients.conns.conn[p->fd]).n;
        promised.item[promised.n++] = (struct promised){purge, p, p->out.n + kept};
    }
}

/* Message n purges those before it of its topic. */
static inline void note_purge(uint64_t n)
{
    for (uint64_t i = told.lost + 1; i < n; i++) {
        struct told *m = &told.item[i - 1];
        if (m->purge || m->fate != TOLD_STAYS || !span_eq(told_topic(i), told_topic(n)))
            continue;
        m->fate = i <= ring_lost(&S.ring) ? TOLD_UNSURE : TOLD_PURGED;
        m->purged_by = n;
    }
    note_promised(n);
    told.purges++;
}

/* Message n is in what the peer that is looked at was sent: not later than it was purged. */
static inline void told_in_time(uint64_t n)
{
    size_t bytes = 0;
    if (told.item[n - 1].fate != TOLD_PURGED)
        return;
    for (size_t i = 0; i < promised.n; i++)
        if (promised.item[i].purge == told.item[n - 1].purged_by &&
            promised.item[i].p == promised.reads)
            bytes = promised.item[i].bytes;
    assert(promised.at < bytes);
}

/* What is looked at next is what a peer was sent from byte `at` on. */
static inline void look_from(const struct kernel_peer *p, size_t at)
{
    promised.reads = p;
    promised.at = at;
}

/* A key is at the front of the data of those who have one (fuzz/loop), up to a space: it is that of
 * no other message of the topic that is there. And none follows an end that is there. */
static inline void note_once(uint64_t n)
{
    struct span data = told_data(n), key = span_cut(&data, ' ');
    for (uint64_t i = ring_lost(&S.ring) + 1; i < n; i++) {
        if (told.item[i - 1].purge || told.item[i - 1].fate != TOLD_STAYS ||
            !span_eq(told_topic(i), told_topic(n)))
            continue;
        assert(!told.item[i - 1].end);
        struct span other = told_data(i);
        assert(!told.item[i - 1].keyed || !told.item[n - 1].keyed ||
               !span_eq(span_cut(&other, ' '), key));
    }
}

/* Writes down the messages that came since the last call, before the ring loses them. */
static inline void note_messages(void)
{
    const struct ring_record *r;
    for (uint64_t at = ring_find(&S.ring, told.n); at < ring_head(&S.ring);
         at = ring_behind(r, at)) {
        r = ring_at(&S.ring, at);
        assert(r->n == told.n + 1); /* else the test publishes too much at once */
        if (told.n == told.cap) {
            told.cap = told.cap * 2 + 64;
            told.item = grown(told.item, told.cap * sizeof *told.item);
        }
        struct span name = ring_topic(r), sse = ring_sse(r, true), data = ring_data(r);
        told.item[told.n++] = (struct told){.topic_at = told_bytes(name),
                                            .topic_size = name.n,
                                            .sse_at = told_bytes(sse),
                                            .sse_size = sse.n,
                                            .skip = r->skip,
                                            .data_at = told_bytes(data),
                                            .data_size = data.n,
                                            .binary = (r->flags & RING_BINARY) != 0,
                                            .end = (r->flags & RING_END) != 0,
                                            .bare = (r->flags & RING_BARE) != 0,
                                            .keyed = (r->flags & RING_KEYED) != 0,
                                            .purge = (r->flags & RING_PURGE) != 0,
                                            .wiped = (r->flags & RING_WIPED) != 0};
        if ((r->flags & RING_PURGE) != 0)
            note_purge(told.n);
        else if ((r->flags & RING_WIPED) == 0)
            note_once(told.n);
    }
    told.lost = ring_lost(&S.ring);
}

/* Returns true if the name is one of those that `what` lists. */
static inline bool told_listed(const char *what, struct span name)
{
    struct span names = span_of(what);
    while (names.n > 0)
        if (span_eq(span_cut(&names, ','), name))
            return true;
    return false;
}

/* Returns true if each topic of `what` has an end among the messages above `lost` and up to n, one
 * that is there still if `stays`. A wildcard never ends. */
static inline bool told_ends(const char *what, uint64_t lost, uint64_t n, bool stays)
{
    struct span names = span_of(what);
    while (names.n > 0) {
        struct span name = span_cut(&names, ',');
        bool ended = false;
        for (uint64_t i = lost + 1; i <= n && !ended; i++)
            ended = told.item[i - 1].end && span_eq(told_topic(i), name) &&
                    (!stays || told.item[i - 1].fate == TOLD_STAYS);
        if (!ended)
            return false;
    }
    return true;
}

/* Returns true if whoever had all messages up to n may get no more of these topics. */
static inline bool told_may_be_over(const char *what, uint64_t n)
{
    return told_ends(what, 0, n, false);
}

/* Returns true if whoever had all messages up to n gets no more of these topics. */
static inline bool told_is_over(const char *what, uint64_t n)
{
    return told_ends(what, ring_lost(&S.ring), n, true);
}

/* ---- starting, stopping, time ---------------------------------------------------------------- */

/* The options that tests begin with. */
static inline struct opt options(void)
{
    return (struct opt){.port = 8080,
                        .bind = {.n = 1, .item = {SPAN_INIT("127.0.0.1")}},
                        .host = {.n = 1, .item = {SPAN_INIT("h")}},
                        .ring = 1u << 20,
                        .max_message = 64u << 10,
                        .max_topics = 1000,
                        .max_subscriptions = 64,
                        .max_line = 8u << 10,
                        .max_head = 16u << 10,
                        .max_buffers = 1u << 20,
                        .max_answer = 64u << 10,
                        .max_wait_ms = 60000,
                        .heartbeat_ms = 15000,
                        .retry_ms = 2000,
                        .request_timeout_ms = 10000,
                        .idle_timeout_ms = 60000,
                        .write_timeout_ms = 30000,
                        .anonymous = OPT_ANONYMOUS_SUBSCRIBE,
                        .log = OPT_LOG_WARN};
}

/* Starts a server. */
static inline void start(const struct opt *opt, unsigned descriptors)
{
    kernel_reset();
    kernel.fds_max = descriptors;
    kernel.before_read = note_messages;
    told.n = told.bytes_n = told.lost = told.purges = promised.n = 0;
    memset(&S, 0, offsetof(struct server, ex.path)); /* the rest is large, and scratch memory */
    memset(&L, 0, (size_t)(L.out_bytes - (char *)&L));
    S.config.opt = *opt;
    server_start();
    kernel.log.n = 0;
}

/* What always holds between turns. */
static inline void look(void)
{
    uint32_t clients = 0, ready = 0, doomed = 0, subscribers = 0, kind[CONN_KINDS] = {0};
    size_t buffers = 0;
    note_messages();
    for (uint32_t fd = 1; fd <= S.clients.conns.top; fd++) {
        const struct conn *c = &S.clients.conns.conn[fd];
        if (c->state < CONN_HEAD)
            continue;
        clients++;
        kind[c->state == CONN_STREAM && c->transport == TRANSPORT_EVENTS ? CONN_KIND_EVENTS
             : c->state == CONN_STREAM                                   ? CONN_KIND_LINES
             : c->state == CONN_SOCKET                                   ? CONN_KIND_SOCKET
             : c->state == CONN_WAIT && c->transport != TRANSPORT_READY  ? CONN_KIND_WAIT
                                                                         : CONN_KIND_HTTP]++;
        ready += (c->flags & CONN_READY) != 0;
        doomed += c->state == CONN_DOOMED && !(c->flags & CONN_READY);
        buffers += c->in != 0 ? pool_size(&S.clients.conns.buffers, c->in) : 0;
        if (c->marks & CONN_KEPT && conn_in_block(&S.clients.conns, c) != 0)
            buffers += pool_size(&S.clients.conns.buffers, conn_in_block(&S.clients.conns, c));
        buffers += c->out != 0 ? pool_size(&S.clients.conns.buffers, c->out) : 0;
        subscribers += c->link.topic != 0;
        if (c->state != CONN_SOCKET) /* which may be subscribed to nothing for a while */
            assert((c->link.topic != 0) == (c->state == CONN_STREAM || c->state == CONN_WAIT));
        assert(c->link.topic == 0 || c->place.at <= ring_head(&S.ring));
        assert(c->state != CONN_BODY || c->in != 0);
    }
    assert(clients == S.clients.conns.clients && clients == kernel.open_clients);
    assert(ready == S.clients.conns.ready_count &&
           (ready == 0) == (S.clients.conns.queue[QUEUE_READY].first == 0 &&
                            S.clients.conns.queue[QUEUE_SOON].first == 0));
    assert((doomed == 0) == (S.clients.conns.doomed == 0));
    assert(buffers == pool_used(&S.clients.conns.buffers));
    assert(S.ex.out.n == 0);
    assert(memcmp(kind, S.clients.conns.kind, sizeof kind) == 0);
    assert(subscribers == topic_subscriber_count(&S.topics));
}

/* Returns true if a subscriber was sent, or was notified of, all messages for it. */
static inline bool up_to_date(const struct conn *c)
{
    uint64_t at = c->place.at, rec;
    if (c->link.topic == 0)
        return true;
    if (at < ring_tail(&S.ring) && chains_forgotten(&S.broker.chains) == 0 &&
        broker_lost_after(&S.broker, c->link.topic, c->place.n))
        return false;
    while (at < ring_head(&S.ring))
        if (broker_collect(&S.broker, c->link.topic, &at, &rec, 1) > 0)
            return false;
    return !conn_inside(c);
}

/* What holds of a connection when the loop goes to sleep: all there is to do for it waits for an
 * edge that is sure to come, or for the sweep. */
static inline void look_at_rest(const struct kernel_peer *p)
{
    const struct conn *c = &S.clients.conns.conn[p->fd];
    bool out = c->out != 0, starved = (c->flags & CONN_STARVED) != 0;
    assert(c->state >= CONN_HEAD && c->state <= CONN_LINGER);
    assert((c->flags & CONN_READY) == 0);
    if (c->flags & CONN_WRITABLE) {
        assert(!out && !(c->flags & CONN_CLOSE));
        assert(up_to_date(c));
    } else {
        assert(starved || p->nospace || kernel_event_due(p));
    }
    if (c->flags & (CONN_READABLE | CONN_EOF))
        /* it does not read its answers, and is not read; or waits for one itself */
        assert(out || (c->state == CONN_WAIT && !(c->flags & CONN_EOF)));
    else
        assert((kernel_unread(p) == 0 && !p->fin && !p->reset) || kernel_event_due(p));
    if (c->state == CONN_BODY) {
        assert(!(c->marks & CONN_KEPT));
        const struct intake *in = pool_at(&S.clients.conns.buffers, c->in);
        assert(!http_body_done((const struct http_body *)in->caller)); /* else it was forgotten */
    }
    if (c->state == CONN_HEAD && c->in != 0 && !out) {
        size_t seen = 0,
               n = conn_in_take(&S.clients.conns, (struct conn *)(uintptr_t)c, L.in_bytes, &seen);
        struct proxy header; /* or the head: it is not complete */
        assert((c->marks & CONN_PREFACE
                    ? proxy_read(L.in_bytes, n, &header)
                    : http_parse(L.in_bytes, n, 0, &S.config.limits, &S.ex.req)) == 0);
        assert(conn_in_keep(&S.clients.conns, (struct conn *)(uintptr_t)c,
                            (struct span){L.in_bytes, n}, seen));
    }
}

/* One turn. Returns whether the loop has nothing more to do for now. */
static inline bool turn(void)
{
    loop_turn();
    look();
    if (sleep_ms() == 0 || kernel.events > 0)
        return false;
    for (const struct kernel_peer *p = kernel.peers; p != NULL; p = p->previous)
        if (p->fd != 0)
            look_at_rest(p);
    return true;
}

/* Turns until there is nothing to do, time standing still. Returns how many it took. */
static inline unsigned settle(void)
{
    unsigned n = 1;
    kernel.deadline = kernel.mono_ms;
    while (!turn())
        assert(n++ < 100000); /* it spins */
    return n;
}

/* Lets time pass, the loop turning. */
static inline void pass(uint64_t ms)
{
    uint64_t until = kernel.mono_ms + ms;
    settle();
    kernel.deadline = until;
    while (kernel.mono_ms < until)
        turn();
    settle();
}

/* Everybody leaves and the messages go: nothing may be left behind. */
static inline void stop(void)
{
    memset(kernel.fault, 0, sizeof kernel.fault);
    for (struct kernel_peer *p = kernel.peers; p != NULL; p = p->previous)
        kernel_rst(p);
    pass(2 * L.slice_ms); /* listeners that pause go on */
    assert(S.clients.conns.clients == 0 && kernel.open_clients == 0);
    assert(pool_used(&S.clients.conns.buffers) == 0);
    ring_expire(&S.ring, UINT64_MAX, UINT32_MAX);
    settle();
    assert(ring_count(&S.ring) == 0);
    assert(topic_count(&S.topics) == 0 && topic_set_count(&S.topics) == 0);
    assert(pool_used(&S.topics.names) == 0 && pool_used(&S.topics.sets) == 0);
    assert(topic_queue_first(&S.topics) == 0);
    server_stop();
    assert(kernel.open == 0);
}

/* ---- clients --------------------------------------------------------------------------------- */

static inline void sends(struct kernel_peer *p, const char *text)
{
    kernel_send(p, text, strlen(text));
}

/* Sends a request head and a body, printed as by printf(). */
__attribute__((format(printf, 2, 3))) static inline void asks(struct kernel_peer *p,
                                                              const char *format, ...)
{
    static char text[256 << 10];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    assert(n >= 0 && (size_t)n < sizeof text);
    kernel_send(p, text, (size_t)n);
}

static inline void publishes(struct kernel_peer *p, const char *topic, const char *data)
{
    asks(p, "POST /%s HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n%s", topic, strlen(data),
         data);
}

/* What it has been sent, as a string that is good until it gets more. */
static inline const char *got(struct kernel_peer *p)
{
    if (p->out.cap <= p->out.n) {
        p->out.cap = p->out.n + 1;
        p->out.p = grown(p->out.p, p->out.cap);
    }
    p->out.p[p->out.n] = '\0';
    return p->out.p;
}

/* ---- followers ------------------------------------------------------------------------------- */

struct follower {
    struct kernel_peer *p;
    char what[256]; /* names and wildcards, as in the path */
    bool several;   /* they make a set */
    bool resumes;   /* it came with an id: it was told of what ended before */
    enum {
        FOLLOW_HEAD,
        FOLLOW_OPENING,
        FOLLOW_EVENTS,
        FOLLOW_FRAMES, /* it is a WebSocket: loop_ways.h goes on from `pos` */
        FOLLOW_LINES,  /* it is a stream of objects: likewise */
    } state;
    void (*answered)(struct span answer); /* if not NULL: told of each answer but a stream's */
    bool lost;                            /* a gap must be told next */
    size_t pos;                           /* bytes that were looked at */
    uint64_t last;                        /* n of the last id it was told */
    uint64_t ending;                      /* the message just before, whose end must be next */
    unsigned messages, gaps, checkpoints, beats, ends;
    uint64_t end[16]; /* those whose ends it was told, the latest of them */
    char reason[16];  /* of the last gap */
};

/* Returns true if `what` selects this message. */
static inline bool follower_wants(const struct follower *f, uint64_t n)
{
    struct span names = span_of(f->what), name = told_topic(n);
    while (names.n > 0 && !told.item[n - 1].purge)
        if (topic_match(span_cut(&names, ','), name))
            return true;
    return false;
}

/* Returns true if a message that it wants, and must get, is between two ids, both excluded; with
 * `unsure`, if one is that it may have lost. */
static inline bool follower_missed_any(const struct follower *f, uint64_t after, uint64_t before,
                                       bool unsure)
{
    for (uint64_t n = after + 1; n < before; n++)
        if (follower_wants(f, n) && (told.item[n - 1].fate == TOLD_STAYS ||
                                     (unsure && told.item[n - 1].fate == TOLD_UNSURE)))
            return true;
    return false;
}

static inline bool follower_missed(const struct follower *f, uint64_t after, uint64_t before)
{
    return follower_missed_any(f, after, before, false);
}

static inline struct follower follower(struct kernel_peer *p, const char *what)
{
    struct follower f = {.p = p, .several = strchr(what, '*') != NULL};
    struct span names = span_of(what), first = span_cut(&names, ',');
    snprintf(f.what, sizeof f.what, "%s", what);
    while (names.n > 0)
        f.several |= !span_eq(span_cut(&names, ','), first);
    return f;
}

/* Subscribes; `field` is a further line, or "". */
static inline struct follower follows(struct kernel_peer *p, const char *what, const char *field)
{
    asks(p, "GET /%s HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n%s\r\n", what, field);
    return follower(p, what);
}

/* The value of a line "name: value\n" at the front of *s, which is taken off; a null pointer if
 * that is another line. */
static inline struct span line_take(struct span *s, const char *name)
{
    struct span rest = *s, line = span_cut(&rest, '\n');
    size_t n = strlen(name);
    if (line.n < n || memcmp(line.p, name, n) != 0)
        return (struct span){NULL, 0};
    *s = rest;
    return span_from(line, n);
}

/* Takes "id: ID\n" off the front of *s, which is all there is of it; returns n, and whether it is
 * an id of this server. */
static inline bool id_take(struct span *s, uint64_t *n)
{
    struct cursor id;
    bool right = cursor_read(line_take(s, "id: "), &id);
    assert(right && s->n == 0);
    *n = id.n;
    return id.ms == ring_newest(&S.ring).ms && id.n <= told.n;
}

static inline void follow_opening(struct follower *f, struct span block)
{
    assert(line_take(&block, "retry: ").p != NULL);
    f->state = FOLLOW_EVENTS;
    f->lost = block.n == 0 || !id_take(&block, &f->last);
    if (f->lost)
        f->last = 0;
}

static inline void follow_gap(struct follower *f, struct span block)
{
    uint64_t id = 0;
    assert(line_take(&block, "event: ").p != NULL);
    struct span data = line_take(&block, "data: {\"reason\":\"");
    bool right = data.p != NULL && id_take(&block, &id);
    struct span reason = span_cut(&data, '"');
    bool unknown = span_eq(reason, SPAN("unknown")); /* was ahead of the head, perhaps */
    assert(right && (unknown || id >= f->last));
    assert(unknown || span_eq(reason, SPAN("expired")) || span_eq(reason, SPAN("lagged")));
    assert(!f->lost || unknown);
    /* no false alarm, where what was lost can be known */
    assert(unknown || chains_forgotten(&S.broker.chains) > 0 ||
           follower_missed_any(f, f->last, id + 1, true));
    snprintf(f->reason, sizeof f->reason, "%.*s", (int)reason.n, reason.p);
    f->last = id;
    f->lost = false;
    f->gaps++;
}

static inline void follow_message(struct follower *f, struct span block)
{
    struct span id = block, end = {NULL, 0};
    while (id.n > 0 && (end = line_take(&id, "id: ")).p == NULL)
        span_cut(&id, '\n');
    struct cursor c;
    assert(cursor_read(end, &c) && c.ms == ring_newest(&S.ring).ms);
    assert(c.n > f->last && c.n <= told.n && !f->lost);
    assert(follower_wants(f, c.n) && !follower_missed(f, f->last, c.n));
    const struct told *m = &told.item[c.n - 1];
    size_t skip = f->several ? 0 : m->skip;
    struct span sse = {told.bytes + m->sse_at + skip, m->sse_size - skip};
    assert(!m->bare && (m->end ? sse.n > block.n + 1 : sse.n == block.n + 1));
    assert(m->wiped || memcmp(sse.p, block.p, block.n + 1) == 0);
    told_in_time(c.n);
    f->ending = m->end ? c.n : 0;
    f->last = c.n;
    f->messages++;
}

/* The end of a topic: its record's, or told to one who begins behind it, with the id where it
 * begins. */
static inline void follow_ended(struct follower *f, struct span block)
{
    struct span all = block, id, name, topic = line_take(&block, "event: ended");
    struct cursor c;
    assert(topic.p != NULL && topic.n == 0);
    name = line_take(&block, "data: {\"topic\":\"");
    assert(name.p != NULL && name.n > 2 && memcmp(name.p + name.n - 2, "\"}", 2) == 0);
    name.n -= 2;
    id = line_take(&block, "id: ");
    bool right = cursor_read(id, &c), late = c.n <= f->last && c.n != f->ending;
    assert(right && block.n == 0 && c.n > 0 && c.n <= told.n && !f->lost);
    uint64_t n = c.n;
    if (late) /* the newest of that topic */
        while (n > 0 && !(told.item[n - 1].end && span_eq(told_topic(n), name)))
            n--;
    assert(n > 0 && told.item[n - 1].end && follower_wants(f, n));
    assert(late ? f->messages + f->gaps == 0 && !f->resumes && told_listed(f->what, name)
                : !follower_missed(f, f->last, n));
    const struct told *m = &told.item[n - 1];
    assert(late || m->wiped ||
           memcmp(told.bytes + m->sse_at + m->sse_size - (all.n + 1), all.p, all.n + 1) == 0);
    for (size_t i = 0; i < sizeof f->end / sizeof f->end[0]; i++)
        assert(f->end[i] != n);
    f->end[f->ends++ % (sizeof f->end / sizeof f->end[0])] = n;
    f->last = late ? f->last : n;
    f->ending = 0;
}

static inline void follow_checkpoint(struct follower *f, struct span block)
{
    uint64_t n;
    bool known = id_take(&block, &n);
    assert(known && n >= f->last && !f->lost && !follower_missed(f, f->last, n + 1));
    f->last = n;
    f->checkpoints++;
}

/* Takes one block, without its empty line. */
static inline void follow_block(struct follower *f, struct span block)
{
    bool ended = span_begins(block, SPAN("event: ended\n"));
    assert(f->ending == 0 || ended);
    if (f->state == FOLLOW_OPENING)
        follow_opening(f, block);
    else if (ended)
        follow_ended(f, block);
    else if (span_begins(block, SPAN("event: gap\n")))
        follow_gap(f, block);
    else if (span_begins(block, SPAN("id: ")))
        follow_checkpoint(f, block);
    else
        follow_message(f, block);
}

/* Returns true if it occurs in the first n bytes at p. */
static inline bool stands_in(const char *p, size_t n, const char *text)
{
    return memmem(p, n, text, strlen(text)) != NULL;
}

/* Takes the head of an answer, and all of one that begins no stream. False: it is not complete. */
static inline bool follow_answer(struct follower *f, struct span s)
{
    static const char end[] = "Connection: close\r\n\r\n", length[] = "\r\nContent-Length: ";
    const char *p = memmem(s.p, s.n, "\r\n\r\n", 4);
    size_t n = p != NULL ? (size_t)(p - s.p) + 4 : 0, body = 0;
    assert(span_begins(s, SPAN("HTTP/1.1 ")) || s.n < 9);
    if (n == 0)
        return false;
    if (memmem(s.p, n, "\r\nContent-Type: text/event-stream;", 33) != NULL) {
        assert(span_begins(s, SPAN("HTTP/1.1 200 OK\r\n")));
        assert(memcmp(s.p + n - (sizeof end - 1), end, sizeof end - 1) == 0);
        f->state = FOLLOW_OPENING;
    } else if ((p = memmem(s.p, n, length, sizeof length - 1)) != NULL) {
        body = strtoul(p + sizeof length - 1, NULL, 10);
    } else if (span_begins(s, SPAN("HTTP/1.1 101 "))) {
        f->state = FOLLOW_FRAMES;
    } else if (stands_in(s.p, n, "\r\nContent-Type: application/x-ndjson\r\n")) {
        f->state = FOLLOW_LINES;
    }
    if (n + body > s.n)
        return false;
    if (f->state == FOLLOW_HEAD && f->answered != NULL)
        f->answered((struct span){s.p, n + body});
    f->pos += n + body;
    return true;
}

/* Looks at what has come since the last call. */
static inline void follow(struct follower *f)
{
    while (f->pos < f->p->out.n && f->state < FOLLOW_FRAMES) {
        struct span s = {f->p->out.p + f->pos, f->p->out.n - f->pos};
        const char *end;
        look_from(f->p, f->pos);
        if (f->state == FOLLOW_HEAD) {
            if (!follow_answer(f, s))
                return;
        } else if (s.p[0] == ':') {
            if (s.n < 2)
                return;
            assert(s.p[1] == '\n' && f->state == FOLLOW_EVENTS);
            f->beats++;
            f->pos += 2;
        } else if ((end = memmem(s.p, s.n, "\n\n", 2)) != NULL) {
            follow_block(f, (struct span){s.p, (size_t)(end - s.p) + 1});
            f->pos += (size_t)(end - s.p) + 2;
        } else {
            return;
        }
    }
}

/* The loop has nothing to do: this one must be up to date. */
static inline void follow_to_the_end(struct follower *f)
{
    follow(f);
    assert(!f->p->closed && f->state == FOLLOW_EVENTS && !f->lost);
    assert(f->pos == f->p->out.n && !follower_missed(f, f->last, told.n + 1));
    assert(f->ending == 0 && !told_is_over(f->what, told.n));
}

#endif
