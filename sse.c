/*
 * sse.c - the process: listeners, the loop, reading, writing, fan-out, timers, signals.
 *
 * One thread, one epoll, and turns of fixed phases; what a phase leaves for later is marked, never
 * done at once:
 *
 *   wait -> clock -> events -> ready list -> sweep -> fan-out -> reap
 *
 *   events   sockets are read, requests handled, messages put into the ring, their topics marked
 *   ready    connections that a budget cut short go on
 *   sweep    a slice of the table: heartbeats, timeouts; messages grown old
 *   fan-out  each marked topic's subscribers get what is new, some thousand of them a turn
 *   reap     doomed connections are closed, topics nobody needs are freed
 *
 * Sockets are registered once, edge-triggered, and never modified: a write is tried first, and
 * EAGAIN waits for the edge. A subscriber is a place in the ring: replay, live and slow are the same
 * code (conn_flush).
 *
 * This is the only file that calls socket, epoll, clock and signal functions.
 */
#include "lib/addr.h"
#include "lib/log.h"
#include "lib/serve/serve.h"
#include "lib/stream.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#ifndef __linux__
#error "sse runs on Linux: it is made of epoll, memfd_create and signalfd"
#endif

/* ---- limits, and what there is ------------------------------------------------------ */

enum {
    EVENTS_MAX = 256,    /* taken from epoll in a turn */
    ACCEPTS_MAX = 64,    /* of a listener in a turn */
    FANOUT_MAX = 1000,   /* subscribers looked at in a turn */
    REAPS_MAX = 1000,    /* sockets closed in a turn: a mass disconnect is spread */
    PIECES_MAX = 1000,   /* in one write of an answer to a poll: IOV_MAX, and some for others */
    POLL_RECORDS = 2048, /* in one answer to a poll */
    WRITE_BUDGET = 256 << 10, /* bytes to one connection in a turn */
    PHASE_BYTES = 3 << 20,    /* read and written in a phase of a turn */
    BUFFER = 64 << 10,        /* read at once; the room for answers */
    LINGER_MS = 2000,         /* how long a refused client is read on */
    LINGER_MAX = 16 << 20,    /* and how many bytes of it */
    SLICES = 16,              /* ticks for a sweep over the whole table */
    EXPIRES_MAX = 4096,       /* messages that --max-age lets go in a tick */
    RESERVE = 32,             /* descriptors kept for the process itself */
    SHED_MAX = 256,           /* connections over the limit that are heard out and refused, ... */
    SHED_PART = 8,            /* ... but at most this part of the descriptors */
    BUFFER_SHIFT = 12,        /* buffers of connections are of 2^12 bytes and up */
};

static struct server S;

/* The loop's own. */
static struct {
    int epoll, spare;
    bool stop, paused; /* paused: the listeners are, for want of descriptors or memory */
    uint64_t swept;    /* ms: when the last slice was */
    uint32_t sweep;    /* the next slice's first descriptor */
    uint32_t slice_ms;
    uint32_t shed, shed_max; /* connections over the limit, and how many there may be */
    uint64_t moved;          /* bytes read and written before this phase */
    uint64_t date_s;         /* the second that S.date tells */
    struct conn_times times;
    struct share own;     /* what a subscriber gets that is behind by itself */
    struct share same[4]; /* what those get who are at the same place, by the way they get it */
    char out_bytes[BUFFER];
    char in_bytes[SERVE_HEAD_MAX + BUFFER];
} L;

/* ---- small helpers --------------------------------------------------------------------------- */

static uint64_t clock_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* The one reading of the clocks in a turn. */
static void clock_read(void)
{
    S.now = clock_ms(CLOCK_MONOTONIC);
    S.wall = clock_ms(CLOCK_REALTIME);
    if (S.wall / 1000 != L.date_s) {
        struct text t = text_in(S.date, sizeof S.date - 1);
        text_http_date(&t, S.wall);
        L.date_s = S.wall / 1000;
    }
}

/* Logs one line on stderr: pairs of key and value follow, ended by NULL. It never waits for whoever
 * reads there: a line there is no room for is dropped and counted. */
static void say(enum opt_log level, const char *msg, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug", "info"};
    char line[PIPE_BUF]; /* a pipe that is ready takes so much at once */
    struct text t = text_in(line, sizeof line);
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    va_list ap;
    if (level > S.opt.log && level != OPT_LOG_ACCESS)
        return;
    va_start(ap, msg);
    log_write(&t, S.wall, names[level], msg, ap);
    va_end(ap);
    t.p[t.n - 1] = '\n'; /* also of one that did not fit */
    if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT) ||
        write(STDERR_FILENO, t.p, t.n) == -1)
        S.stat.log_dropped++;
}

/* Have so many bytes been moved in this phase that the rest should wait for the next turn? Then
 * others' requests are answered soon, however large the messages. Each phase has its own measure: one
 * that has more to do than that, turn after turn, does not starve those behind it. */
static bool phase_spent(void)
{
    return S.stat.sent_bytes + S.stat.received_bytes - L.moved > PHASE_BYTES;
}

static void phase_begin(void)
{
    L.moved = S.stat.sent_bytes + S.stat.received_bytes;
}

/* ---- ending connections ---------------------------------------------------------------------- */

/* Ends a connection: it leaves its topic at once and is closed when the turn ends. Any number of
 * calls are one. */
static void conn_doom(struct conn *c, const char *reason)
{
    uint32_t fd = (uint32_t)conn_fd(&S.conns, c);
    if (c->state == CONN_DOOMED)
        return;
    say(OPT_LOG_DEBUG, "closed", "fd", serve_num(&S, fd), "reason", reason, NULL);
    c->n = c->link.topic;
    if (c->link.topic != 0)
        topic_unsubscribe(&S.topics, fd);
    conn_mark_doomed(&S.conns, c);
}

/* The one place where a client's socket is closed. */
static void conn_close(struct conn *c)
{
    uint32_t topic = (uint32_t)c->n;
    L.shed -= (c->flags & CONN_SHED) != 0;
    close(conn_fd(&S.conns, c)); /* which takes it out of epoll as well */
    conn_free(&S.conns, c);
    if (topic != 0)
        serve_release(&S, topic);
}

/* Closes what is doomed and frees the topics that eviction has emptied. */
static void reap(void)
{
    struct conn *c;
    uint32_t topic;
    for (unsigned i = 0; i < REAPS_MAX && (c = conn_next_doomed(&S.conns)) != NULL; i++)
        conn_close(c);
    while ((topic = ring_emptied(&S.ring)) != 0) {
        if (ring_chain(&S.ring, topic)->count > 0)
            continue;
        topic_at(&S.topics, topic)->kept = 0;
        serve_release(&S, topic);
    }
}

/* ---- writing --------------------------------------------------------------------------------- */

/* The one place where a client's socket is written, WRITE_BUDGET bytes at most. Gives the bytes taken;
 * 0 where the socket is full or the connection was ended. */
static size_t conn_write(struct conn *c, struct iovec *iov, unsigned n)
{
    size_t left = WRITE_BUDGET, whole = 0;
    unsigned part = 0;
    ssize_t w;
    while (part < n && iov[part].iov_len <= left)
        left -= iov[part++].iov_len;
    if (part < n) { /* only the front of it */
        whole = iov[part].iov_len;
        iov[part].iov_len = left;
    }
    do
        w = writev(conn_fd(&S.conns, c), iov, (int)(part < n ? part + 1 : n));
    while (w == -1 && errno == EINTR);
    if (part < n)
        iov[part].iov_len = whole;
    if (w >= 0) {
        S.stat.sent_bytes += (uint64_t)w;
        c->tick = (uint32_t)S.now;
        return (size_t)w;
    }
    if (errno == ENOBUFS || errno == ENOMEM)
        c->flags |= CONN_STARVED;
    else if (errno != EAGAIN)
        conn_doom(c, strerror(errno));
    c->flags &= (uint16_t)~CONN_WRITABLE;
    return 0;
}

/* Puts what is pending into the two places before `iov`; gives how many of them it used. */
static unsigned pending_put(const struct conn *c, struct iovec *iov)
{
    struct span kept = conn_out(&S.conns, c);
    unsigned n = 0;
    if (S.out.n > 0)
        *(iov - ++n) = (struct iovec){S.out.p, S.out.n};
    if (kept.n > 0)
        *(iov - ++n) = (struct iovec){(void *)(uintptr_t)kept.p, kept.n};
    return n;
}

/* Strikes off `w` bytes that were written; gives those that were not pending but records. */
static size_t pending_took(struct conn *c, size_t w)
{
    size_t kept = conn_out(&S.conns, c).n;
    size_t part = w < kept ? w : kept;
    conn_out_took(&S.conns, c, part);
    w -= part;
    part = w < S.out.n ? w : S.out.n;
    memmove(S.out.p, S.out.p + part, S.out.n - part);
    S.out.n -= part;
    return w - part;
}

/* All is written: a connection that was answered for the last time says so. */
static void conn_drained(struct conn *c)
{
    if (conn_streams(c) && c->link.topic != 0 && c->at < ring_head(&S.ring))
        conn_ready(&S.conns, c); /* has only passed over other topics' records so far */
    if (!(c->flags & CONN_CLOSE))
        return;
    c->flags &= (uint16_t)~CONN_CLOSE;
    c->tick = (uint32_t)S.now;
    if (c->flags & CONN_EOF || shutdown(conn_fd(&S.conns, c), SHUT_WR) == -1)
        conn_doom(c, "answered");
}

/* Builds what a subscriber is behind by; gives its first piece, *n pieces in all. Inside a record,
 * that is the rest of it alone, so that nothing else gets in between. */
static struct iovec *stream_next(struct conn *c, unsigned *n)
{
    *n = 0;
    if (c->link.topic == 0)
        return L.own.iov; /* a socket that is subscribed to nothing */
    if (!serve_stream_check(&S, c)) {
        conn_doom(c, "overtaken inside a message");
        return L.own.iov;
    }
    if (!conn_streams(c))
        return L.own.iov; /* that was the end of it */
    share_build(&L.own, &S.ring, &S.topics, c->link.topic, c->at, (enum conn_way)c->way,
                c->sent > 0 ? 1 : SHARE_BYTES);
    if (L.own.records == 0) {
        c->at = L.own.end;
        return L.own.iov;
    }
    unsigned skip = share_skip(&L.own, c->sent);
    *n = L.own.pieces - skip;
    return L.own.iov + skip;
}

/* Strikes off `w` bytes of what follows the answers. */
static void tail_took(size_t w)
{
    while (S.tail_pieces > 0 && w >= S.tail->iov_len) {
        w -= S.tail++->iov_len;
        S.tail_pieces--;
    }
    if (w > 0)
        *S.tail = (struct iovec){(char *)S.tail->iov_base + w, S.tail->iov_len - w};
}

/* Keeps what did not fit the socket. */
static void pending_keep(struct conn *c)
{
    bool room = conn_out_keep(&S.conns, c, text_span(&S.out));
    for (; room && S.tail_pieces > 0; S.tail_pieces--, S.tail++)
        room = conn_out_keep(&S.conns, c, (struct span){S.tail->iov_base, S.tail->iov_len});
    if (!room) {
        S.stat.limit_buffers++;
        conn_doom(c, "--max-buffers");
    }
}

/* Writes what a connection has to get: what was kept, the answers in S.out and what follows them,
 * then the records that a subscriber is behind by. What does not fit is kept. S.out is empty
 * afterwards. */
static void conn_flush(struct conn *c)
{
    for (size_t done = 0; c->flags & CONN_WRITABLE && c->state != CONN_DOOMED;) {
        bool streams = conn_streams(c);
        unsigned n = S.tail_pieces < PIECES_MAX ? S.tail_pieces : PIECES_MAX, before = 0;
        struct iovec *iov = streams ? stream_next(c, &n) : S.tail_pieces > 0 ? S.tail : L.own.iov;
        if (c->state == CONN_DOOMED)
            break;
        if (c->sent == 0 || c->state == CONN_WAIT)
            before = pending_put(c, iov);
        if (before + n == 0) {
            conn_drained(c);
            break;
        }
        size_t w = conn_write(c, iov - before, before + n);
        if (w == 0)
            continue;
        size_t rest = before > 0 ? pending_took(c, w) : w;
        if (streams && n > 0)
            S.stat.delivered += share_took(&L.own, &S.ring, c, rest);
        else if (!streams)
            tail_took(rest);
        if ((done += w) >= WRITE_BUDGET) {
            conn_ready(&S.conns, c);
            break;
        }
    }
    if (c->state != CONN_DOOMED)
        pending_keep(c);
    S.out.n = 0;
    S.tail_pieces = 0;
}

/* ---- fan-out --------------------------------------------------------------------------------- */

/* Answers a client that waits, if there is something for it. */
static void fan_wake(struct conn *c)
{
    serve_wake(&S, c, false);
    if (c->state == CONN_WAIT)
        return;
    conn_flush(c);
    if (c->in != 0 || c->flags & (CONN_READABLE | CONN_EOF))
        conn_ready(&S.conns, c); /* its next request is here */
}

/* Brings one subscriber of entry `id` up to date, with the records it shares with all who are at the
 * same place and get them the same way. */
static void fan_one(uint32_t id, struct conn *c)
{
    struct share *s = &L.same[c->way % (sizeof L.same / sizeof L.same[0])];
    if (c->state == CONN_WAIT) {
        fan_wake(c);
        return;
    }
    if (!(c->flags & CONN_WRITABLE) || c->flags & CONN_READY || c->out != 0)
        return; /* it is behind, and goes on by itself */
    if (c->sent == 0 && c->at >= ring_tail(&S.ring) &&
        (s->first == 0 || c->at < s->low || c->at > s->first))
        share_build(s, &S.ring, &S.topics, id, c->at, (enum conn_way)c->way, SHARE_BYTES);
    if (c->sent > 0 || c->at < s->low || c->at > s->first) {
        conn_flush(c); /* overtaken, or up to date */
        return;
    }
    size_t w = conn_write(c, s->iov, s->pieces);
    if (w < s->size) {
        if (w > 0) {
            S.stat.delivered += share_took(s, &S.ring, c, w);
            conn_flush(c);
        }
        return;
    }
    c->at = s->end;
    c->n = s->n;
    S.stat.delivered += s->records;
    if (s->end < ring_head(&S.ring))
        conn_ready(&S.conns, c);
}

/* Goes on with entry `id` for `left` subscribers at most; gives how many are left of these. */
static unsigned fan_entry(uint32_t id, unsigned left)
{
    struct topic *t = topic_at(&S.topics, id);
    uint32_t edge = 0, set;
    if (t->set == 0 && t->begun == 0)
        while ((set = topic_set_of(&S.topics, id, &edge)) != 0)
            topic_mark(&S.topics, set);
    t->begun = 1;
    for (unsigned i = 0; i < sizeof L.same / sizeof L.same[0]; i++)
        L.same[i].first = 0;
    for (; left > 0 && t->todo > 0 && !phase_spent(); left--) {
        struct conn *c = &S.conns.conn[t->iter];
        t->iter = c->link.next;
        t->todo--;
        __builtin_prefetch(&S.conns.conn[t->iter], 1);
        fan_one(id, c);
    }
    return left;
}

/* One turn of fan-out. What it does not reach goes on in the next turn, others' topics first; what
 * is published meanwhile goes out with the same writes. */
static void fanout(void)
{
    unsigned left = FANOUT_MAX;
    uint32_t id;
    phase_begin();
    while (left > 0 && !phase_spent() && (id = topic_dirty(&S.topics)) != 0) {
        left = fan_entry(id, left);
        if (topic_at(&S.topics, id)->todo > 0) {
            topic_rotate(&S.topics);
        } else {
            topic_clean(&S.topics);
            serve_release(&S, id);
        }
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The one place where a client's socket is read: once, into buf[0..BUFFER). Gives the bytes, 0 for
 * none; notes the end of what the peer sends. */
static size_t conn_recv(struct conn *c, char *buf)
{
    ssize_t n;
    do
        n = read(conn_fd(&S.conns, c), buf, BUFFER);
    while (n == -1 && errno == EINTR);
    /* a short read has emptied the socket, and what comes after it makes an edge; but the end that
     * epoll told of before is still to be read */
    if (n < BUFFER && (n <= 0 || !(c->flags & CONN_EOF)))
        c->flags &= (uint16_t)~CONN_READABLE;
    if (n == 0)
        c->flags |= CONN_EOF;
    else if (n == -1 && errno != EAGAIN)
        conn_doom(c, strerror(errno));
    S.stat.received_bytes += n > 0 ? (uint64_t)n : 0;
    return n > 0 ? (size_t)n : 0;
}

/* Handles buf[0..len): requests, one after the other, and what comes of a body. Keeps the rest: of a
 * head until more comes, and of a client that does not read its answers until it does (but no more
 * than the answer to it comes of a body, so that is taken). */
static void handle(struct conn *c, char *buf, size_t len, size_t seen)
{
    size_t off = 0, used = 1;
    while (off < len && used > 0 &&
           (c->state == CONN_HEAD || c->state == CONN_BODY || c->state == CONN_SOCKET)) {
        if (S.out.cap - S.out.n < SERVE_ROOM || S.tail_pieces > 0)
            conn_flush(c);
        if (c->state == CONN_DOOMED || (c->state == CONN_HEAD && c->out != 0))
            break;
        used = serve_input(&S, c, buf + off, len - off, seen);
        off += used;
        seen = 0;
    }
    struct span rest = {buf + off, len - off};
    if (rest.n == 0 || (c->state != CONN_HEAD && c->state != CONN_WAIT) ||
        conn_in_keep(&S.conns, c, rest, used == 0 ? rest.n : 0))
        return;
    S.stat.limit_buffers++;
    conn_doom(c, "--max-buffers");
}

/* Reads a connection once and handles what has come. */
static void conn_input(struct conn *c)
{
    size_t seen = 0, kept = 0, got = 0;
    if (c->state == CONN_HEAD)
        kept = conn_in_take(&S.conns, c, L.in_bytes, &seen);
    if (c->flags & CONN_READABLE && seen == kept) /* requests that wait come first */
        got = conn_recv(c, L.in_bytes + kept);
    if (c->state == CONN_DOOMED)
        return;
    if (got > 0 && ((c->state == CONN_HEAD && kept == 0) || c->state == CONN_BODY))
        c->tick = (uint32_t)S.now; /* the time of a head runs from its first byte */
    if (c->state == CONN_LINGER && (c->n += got) > LINGER_MAX)
        conn_doom(c, "refused, and sends on");
    handle(c, L.in_bytes, kept + got, seen);
    conn_flush(c);
    if (c->state == CONN_DOOMED)
        return;
    if (c->flags & CONN_READABLE)
        conn_ready(&S.conns, c);
    else if (c->flags & CONN_EOF && c->out == 0)
        conn_doom(c, "closed by the peer");
}

/* Whatever woke it: writes what waits, then reads, unless its answers are not read. What comes while
 * it waits itself is left in the socket, but for the end. */
static void conn_turn(struct conn *c)
{
    if (c->flags & CONN_WRITABLE && (c->out != 0 || c->flags & CONN_CLOSE || conn_streams(c)))
        conn_flush(c);
    if (c->state == CONN_WAIT && c->flags & CONN_EOF)
        conn_doom(c, "closed by the peer");
    if (c->state == CONN_DOOMED || c->state == CONN_WAIT ||
        (c->out != 0 && c->state != CONN_LINGER))
        return;
    if (c->flags & (CONN_READABLE | CONN_EOF) || (c->state == CONN_HEAD && c->in != 0))
        conn_input(c);
}

/* ---- accepting ------------------------------------------------------------------------------- */

/* Puts a descriptor into epoll and into the table; NULL: the kernel won't. */
static struct conn *conn_add(int fd, enum conn_state state, uint32_t events)
{
    struct epoll_event ev = {.events = events,
                             .data.u64 = (uint64_t)S.conns.conn[fd].gen << 32 | (uint32_t)fd};
    if (epoll_ctl(L.epoll, EPOLL_CTL_ADD, fd, &ev) == -1)
        return NULL;
    return conn_open(&S.conns, fd, state, S.now);
}

/* Stops the listeners, which would wake the loop for nothing, until the next sweep; or starts them
 * again. */
static void accept_pause(bool pause)
{
    for (uint32_t fd = 1; L.paused != pause && fd <= S.conns.top; fd++) {
        struct epoll_event ev = {.events = pause ? 0 : EPOLLIN,
                                 .data.u64 = (uint64_t)S.conns.conn[fd].gen << 32 | fd};
        if (S.conns.conn[fd].state == CONN_LISTEN)
            epoll_ctl(L.epoll, EPOLL_CTL_MOD, (int)fd, &ev);
    }
    L.paused = pause;
}

/* Takes the spare descriptor back when it can be had again. */
static void spare_open(void)
{
    if (L.spare == -1)
        L.spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Turns a client away that there is no room for, at once: by what of its request is there. */
static void accept_refuse(int fd, const char *why, uint64_t *counter)
{
    ssize_t n = recv(fd, L.in_bytes, BUFFER, MSG_DONTWAIT);
    ++*counter;
    serve_stranger(&S, L.in_bytes, n > 0 ? (size_t)n : 0, why);
    if (send(fd, S.out.p, S.out.n, MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
        say(OPT_LOG_DEBUG, "could not refuse", "error", strerror(errno), NULL);
    S.out.n = 0;
    shutdown(fd, SHUT_WR);
    close(fd);
}

/* Out of descriptors: gives the spare one up for a moment, so that the client is refused and does
 * not wait in a queue that nobody empties. */
static void accept_spare(int listener)
{
    if (L.spare != -1)
        close(L.spare);
    L.spare = -1;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd != -1)
        accept_refuse(fd, "no descriptor is left (ulimit -n)", &S.stat.limit_descriptors);
    spare_open();
    if (fd == -1 || L.spare == -1)
        accept_pause(true);
}

/* Takes one client in. */
static void accept_client(int fd, const struct sockaddr_storage *a, socklen_t len)
{
    struct conn *c = conn_add(fd, CONN_HEAD, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    if (c == NULL) {
        accept_refuse(fd, "epoll takes no more descriptors (fs.epoll.max_user_watches)",
                      &S.stat.limit_descriptors);
        return;
    }
    c->flags = CONN_WRITABLE;
    if (addr_local(a, len))
        c->flags |= CONN_LOCAL;
    if (S.conns.clients - L.shed > S.opt.max_connections) {
        L.shed++;
        S.stat.limit_connections++;
        c->flags |= CONN_SHED;
    }
    S.stat.accepted++;
}

static void accept_clients(int listener)
{
    for (unsigned i = 0; i < ACCEPTS_MAX; i++) {
        if (L.shed >= L.shed_max && S.conns.clients - L.shed >= S.opt.max_connections) {
            accept_pause(true); /* the kernel keeps the others until these have been turned away */
            return;
        }
        struct sockaddr_storage a;
        socklen_t len = sizeof a;
        int fd = accept4(listener, (struct sockaddr *)&a, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd != -1) {
            accept_client(fd, &a, len);
        } else if (errno == EMFILE || errno == ENFILE) {
            accept_spare(listener);
            return;
        } else if (errno == ENOBUFS || errno == ENOMEM) {
            accept_pause(true);
            return;
        } else if (errno == EAGAIN) {
            return;
        } /* else that client has gone (ECONNABORTED), or its network has: the next one */
    }
}

/* ---- the sweep: heartbeats and timeouts ------------------------------------------------------ */

/* A sign of life for a subscriber that has had nothing for a while. */
static void heartbeat(struct conn *c)
{
    conn_flush(c); /* it may be behind: there is better to write */
    if (!conn_streams(c) || !(c->flags & CONN_WRITABLE) || c->tick == (uint32_t)S.now ||
        (c->link.topic != 0 && c->at < ring_head(&S.ring)))
        return;
    serve_heartbeat(&S, c);
    conn_flush(c);
}

static void sweep_conn(struct conn *c)
{
    if (c->flags & CONN_STARVED) {
        c->flags = (uint16_t)((c->flags & ~CONN_STARVED) | CONN_WRITABLE);
        conn_ready(&S.conns, c);
    }
    switch (conn_due(c, S.now, &L.times)) {
    case CONN_DUE_NOTHING:
        return;
    case CONN_DUE_HEARTBEAT:
        heartbeat(c);
        return;
    case CONN_DUE_REQUEST:
        if (c->state == CONN_BODY && intake_idle(pool_at(&S.conns.buffers, c->in)))
            return;
        S.stat.timeout_request++;
        if (c->in == 0) {
            conn_doom(c, "--request-timeout");
            return;
        }
        serve_timeout(&S, c);
        conn_flush(c);
        return;
    case CONN_DUE_IDLE:
        S.stat.timeout_idle++;
        conn_doom(c, "--idle-timeout");
        return;
    case CONN_DUE_WRITE:
        S.stat.timeout_write++;
        conn_doom(c, "--write-timeout");
        return;
    case CONN_DUE_LINGER:
        conn_doom(c, "answered");
        return;
    case CONN_DUE_ANSWER:
        serve_wake(&S, c, true);
        conn_flush(c);
        conn_ready(&S.conns, c); /* its next request may be here */
        return;
    case CONN_DUE_PONG:
        S.stat.timeout_pong++;
        conn_doom(c, "no pong");
        return;
    }
}

/* Looks through a slice of the table whenever its time has come, so that each connection is looked
 * at once in SLICES ticks; lets old messages go. */
static void sweep(void)
{
    if (S.now - L.swept < L.slice_ms)
        return;
    L.swept = S.now;
    spare_open();
    accept_pause(false);
    for (uint32_t left = S.conns.top / SLICES + 1; left > 0; left--) {
        if (L.sweep == 0 || L.sweep > S.conns.top)
            L.sweep = 1;
        sweep_conn(&S.conns.conn[L.sweep++]);
    }
    if (S.opt.max_age_ms > 0 && S.wall > S.opt.max_age_ms)
        S.stat.aged += ring_expire(&S.ring, S.wall - S.opt.max_age_ms, EXPIRES_MAX);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void signalled(int fd)
{
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info)
        L.stop = true;
}

static void event(const struct epoll_event *ev)
{
    struct conn *c = &S.conns.conn[(uint32_t)ev->data.u64];
    if (c->gen != ev->data.u64 >> 32)
        return; /* of an earlier owner of the descriptor */
    switch ((enum conn_state)c->state) {
    case CONN_LISTEN:
        accept_clients(conn_fd(&S.conns, c));
        return;
    case CONN_SIGNAL:
        signalled(conn_fd(&S.conns, c));
        return;
    case CONN_HEAD:
    case CONN_BODY:
    case CONN_STREAM:
    case CONN_WAIT:
    case CONN_SOCKET:
    case CONN_LINGER:
        /* errors count as all three: the call that follows says which */
        if (ev->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            c->flags |= CONN_READABLE;
        if (ev->events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
            c->flags |= CONN_WRITABLE;
        if (ev->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            c->flags |= CONN_EOF;
        if (phase_spent())
            conn_ready(&S.conns, c);
        else
            conn_turn(c);
        return;
    case CONN_FREE:
    case CONN_DOOMED:
        return;
    }
}

/* Gives those their turn who were ready when the phase began. */
static void ready_list(void)
{
    phase_begin();
    for (uint32_t n = S.conns.ready_count; n > 0 && !phase_spent(); n--) {
        struct conn *c = conn_next_ready(&S.conns);
        if (c != NULL)
            conn_turn(c);
    }
}

/* How long the loop may sleep, in ms: not at all with work left over, for ever (-1) with nothing
 * that time could change. */
static int sleep_ms(void)
{
    if (S.conns.ready != 0 || S.conns.doomed != 0 || topic_dirty(&S.topics) != 0)
        return 0;
    if (S.conns.clients == 0 && !L.paused && (S.opt.max_age_ms == 0 || ring_count(&S.ring) == 0))
        return -1;
    uint64_t due = L.swept + L.slice_ms, now = clock_ms(CLOCK_MONOTONIC);
    return due > now ? (int)(due - now) : 0;
}

static void loop_turn(void)
{
    struct epoll_event ev[EVENTS_MAX];
    int n = epoll_wait(L.epoll, ev, EVENTS_MAX, sleep_ms());
    assert(n >= 0 || errno == EINTR);
    clock_read();
    S.stat.turns++;
    phase_begin();
    for (int i = 0; i < n; i++)
        event(&ev[i]);
    ready_list();
    sweep();
    fanout();
    reap();
}

/* ---- start and end --------------------------------------------------------------------------- */

/* Ends the program with a message: the texts up to a NULL. */
static _Noreturn void fail(int code, ...)
{
    char line[1024];
    struct text t = text_in(line, sizeof line);
    va_list ap;
    text_str(&t, "sse: ");
    va_start(ap, code);
    for (const char *part; (part = va_arg(ap, const char *)) != NULL;)
        text_str(&t, part);
    va_end(ap);
    text_str(&t, "\n");
    if (write(STDERR_FILENO, t.p, t.n) == -1)
        code = EX_IOERR;
    exit(code);
}

/* Zeroed memory whose pages are there when they are touched. */
static void *map(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (p == MAP_FAILED)
        fail(EX_OSERR, "cannot reserve ", serve_num(&S, size),
             " bytes of memory: ", strerror(errno), NULL);
    madvise(p, size, MADV_NOHUGEPAGE);
    return p;
}

static void pages_free(void *p, size_t n)
{
    madvise(p, n, MADV_DONTNEED);
}

/* Raises the limit on descriptors as far as it goes and sees what --max-connections this allows. */
static void limit_descriptors(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == -1)
        fail(EX_OSERR, "cannot read the limit on descriptors: ", strerror(errno), NULL);
    struct rlimit most = {r.rlim_max, r.rlim_max};
    if (r.rlim_cur < r.rlim_max && setrlimit(RLIMIT_NOFILE, &most) == 0)
        r = most;
    S.conns.max = r.rlim_cur < 1u << 24 ? (uint32_t)r.rlim_cur : 1u << 24;
    L.shed_max = S.conns.max / SHED_PART < SHED_MAX ? S.conns.max / SHED_PART : SHED_MAX;
    uint32_t kept = RESERVE + L.shed_max;
    uint32_t room = S.conns.max > kept ? S.conns.max - kept : 1;
    if (S.opt.max_connections > room)
        fail(EX_CONFIG, "--max-connections ", serve_num(&S, S.opt.max_connections),
             ": the limit of ", serve_num(&S, S.conns.max),
             " descriptors (ulimit -n) leaves room for ", serve_num(&S, room), NULL);
    if (S.opt.max_connections == 0)
        S.opt.max_connections = room;
}

static void share_make(struct share *s, unsigned records, size_t bytes)
{
    size_t scratch = share_scratch(S.opt.max_message, bytes, records);
    share_init(s, records, map(share_memory(records)), map(scratch), scratch);
}

/* Maps all tables, as large as the limits let them grow; they are touched as they do. */
static void tables_make(void)
{
    uint64_t seed[3];
    uint32_t units = 2, entries = S.opt.max_topics + S.conns.max;
    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        fail(EX_OSERR, "cannot get random bytes: ", strerror(errno), NULL);
    S.random = seed[2] | 1;
    while ((uint64_t)units << BUFFER_SHIFT < S.opt.max_buffers)
        units *= 2;
    pool_init(&S.conns.buffers, map((size_t)units << BUFFER_SHIFT), map(pool_meta_size(units)),
              units, BUFFER_SHIFT);
    S.conns.give_back = pages_free;
    S.conns.conn = map(S.conns.max * sizeof *S.conns.conn);
    struct topics_memory m = topics_size(entries);
    topics_init(&S.topics, entries, map(m.table), map(m.edges), map(m.pool), map(m.pool_meta),
                seed);
    topics_limit(&S.topics, S.opt.max_topics);
    topics_links(&S.topics, S.conns.conn, sizeof *S.conns.conn);
    int err = ring_open(&S.ring, S.opt.ring, entries, S.wall);
    if (err < 0)
        fail(EX_OSERR, "cannot map a ring of ", serve_num(&S, S.opt.ring),
             " bytes: ", strerror(-err), NULL);
    ring_scratch(&S.ring, map(entries * sizeof(uint64_t)));
    share_make(&L.own, SHARE_RECORDS, SHARE_BYTES);
    for (unsigned i = 0; i < sizeof L.same / sizeof L.same[0]; i++)
        share_make(&L.same[i], SHARE_RECORDS, SHARE_BYTES);
    share_make(&S.poll, POLL_RECORDS, S.opt.max_answer);
    S.out = text_in(L.out_bytes, sizeof L.out_bytes);
    S.limits = (struct http_limits){S.opt.max_line, S.opt.max_head};
    S.say = say;
    L.times = (struct conn_times){S.opt.heartbeat_ms, S.opt.request_timeout_ms,
                                  S.opt.idle_timeout_ms, S.opt.write_timeout_ms, LINGER_MS};
    uint32_t least = LINGER_MS;
    least = L.times.heartbeat < least ? L.times.heartbeat : least;
    least = L.times.request < least ? L.times.request : least;
    least = L.times.idle < least ? L.times.idle : least;
    least = L.times.write < least ? L.times.write : least;
    L.slice_ms = least / 2 / SLICES + 1;
}

/* Removes the socket that a server left behind which is no more. */
static void unlink_stale(const struct sockaddr_storage *a, socklen_t len)
{
    const char *path = addr_path(a);
    struct stat st;
    int fd;
    if (path == NULL || lstat(path, &st) == -1 || !S_ISSOCK(st.st_mode))
        return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return;
    if (connect(fd, (const struct sockaddr *)a, len) == -1 && errno == ECONNREFUSED)
        unlink(path);
    close(fd);
}

/* Sets what every client's socket takes over from its listener. */
static void listener_options(int fd, int family)
{
    int one = 1, low = BUFFER;
    unsigned patience = S.opt.write_timeout_ms;
    if (family == AF_UNIX)
        return;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    /* the kernel need not hoard what the ring holds anyway */
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &low, sizeof low);
    /* a peer that is gone without a word is noticed by the heartbeats it doesn't confirm */
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience);
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
}

/* Listens on one --bind address. */
static void listen_on(struct span text)
{
    struct sockaddr_storage a;
    socklen_t len;
    if (!addr_read(text, S.opt.port, &a, &len))
        fail(EX_USAGE, "--bind ", serve_quote(&S, text),
             ": must be an IPv4 or IPv6 address, or unix:PATH ", "of at most 107 bytes", NULL);
    unlink_stale(&a, len);
    int fd = socket(a.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1)
        fail(EX_OSERR, "--bind ", serve_quote(&S, text), ": ", strerror(errno), NULL);
    listener_options(fd, a.ss_family);
    if (bind(fd, (struct sockaddr *)&a, len) == -1 || listen(fd, SOMAXCONN) == -1) {
        int err = errno;
        bool port = a.ss_family != AF_UNIX;
        fail(err == EACCES ? EX_NOPERM : EX_UNAVAILABLE, "cannot listen on ", serve_quote(&S, text),
             port ? " port " : "", port ? serve_num(&S, S.opt.port) : "", ": ", strerror(err),
             NULL);
    }
    if (conn_add(fd, CONN_LISTEN, EPOLLIN) == NULL)
        fail(EX_OSERR, "epoll_ctl: ", strerror(errno), NULL);
}

/* Signals come through a descriptor, like everything else. */
static void signals_take(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN); /* there is nothing to read again */
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd == -1 || conn_add(fd, CONN_SIGNAL, EPOLLIN) == NULL)
        fail(EX_OSERR, "signalfd: ", strerror(errno), NULL);
}

/* Says on stdout, a line an address, that the server is ready. */
static void announce(void)
{
    for (uint32_t fd = 1; fd <= S.conns.top; fd++) {
        char line[256];
        struct text t = text_in(line, sizeof line);
        struct sockaddr_storage a = {0};
        socklen_t len = sizeof a;
        if (S.conns.conn[fd].state != CONN_LISTEN ||
            getsockname((int)fd, (struct sockaddr *)&a, &len) == -1)
            continue;
        addr_write(&t, &a);
        say(OPT_LOG_INFO, "listening", "address", serve_quote(&S, text_span(&t)), NULL);
        text_str(&t, "\n");
        if (write(STDOUT_FILENO, t.p, t.n) == -1)
            say(OPT_LOG_WARN, "cannot write to stdout", "error", strerror(errno), NULL);
    }
}

static void server_start(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++) /* no socket shall get one of these numbers */
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDWR) == -1)
            fail(EX_OSERR, "/dev/null: ", strerror(errno), NULL);
    clock_read();
    L.swept = S.now;
    limit_descriptors();
    tables_make();
    L.epoll = epoll_create1(EPOLL_CLOEXEC);
    L.spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (L.epoll == -1 || L.spare == -1)
        fail(EX_OSERR, "cannot start: ", strerror(errno), NULL);
    signals_take();
    for (uint32_t i = 0; i < S.opt.bind.n; i++)
        listen_on(S.opt.bind.item[i]);
    announce();
}

/* Closes everything, and removes the unix sockets. */
static void server_stop(void)
{
    say(OPT_LOG_INFO, "stopping", "connections", serve_num(&S, S.conns.clients), NULL);
    for (uint32_t fd = 1; fd <= S.conns.top; fd++) {
        struct sockaddr_storage a = {0};
        socklen_t len = sizeof a;
        if (S.conns.conn[fd].state == CONN_LISTEN &&
            getsockname((int)fd, (struct sockaddr *)&a, &len) == 0 && addr_path(&a) != NULL)
            unlink(addr_path(&a));
        if (S.conns.conn[fd].state == CONN_SOCKET) {
            serve_socket_away(&S, &S.conns.conn[fd]);
            conn_flush(&S.conns.conn[fd]);
        }
        if (S.conns.conn[fd].state != CONN_FREE)
            close((int)fd);
    }
    close(L.spare);
    close(L.epoll);
    ring_close(&S.ring);
}

int main(int argc, char **argv)
{
    char err_bytes[1024];
    struct text err = text_in(err_bytes, sizeof err_bytes - 1);
    const char *text = NULL;
    switch (opt_parse(&S.opt, argc, argv, environ, &err)) {
    case OPT_HELP:
        text = opt_help();
        break;
    case OPT_VERSION:
        text = opt_version();
        break;
    case OPT_WRONG:
        err_bytes[err.n] = '\0';
        fail(EX_USAGE, err_bytes, " (sse --help lists all flags)", NULL);
    case OPT_RUN:
        break;
    }
    if (text != NULL)
        return write(STDOUT_FILENO, text, strlen(text)) == -1 ? EX_IOERR : EX_OK;
    server_start();
    while (!L.stop)
        loop_turn();
    server_stop();
    return EX_OK;
}
