/*
 * sse.c - the loop: reading, writing, fan-out, the sweep, signals; and main().
 *
 * One thread, one epoll, and turns of fixed phases; what a phase leaves for later is marked, never
 * done at once:
 *
 *   wait -> clock -> events -> ready lists -> sweep -> commit -> fan-out -> reap
 *
 *   events   sockets are read, requests handled, messages put into the ring, their topics marked
 *   ready    who has had no turn yet gets one; then who was cut short by a budget goes on
 *   sweep    a slice of the table: heartbeats, timeouts; messages grown old
 *   commit   a sync of the store is begun; one that is done shows the messages it covers
 *   fan-out  each marked topic's subscribers get what is new, some thousand of them a turn
 *   reap     doomed connections are closed, topics nobody needs are freed
 *
 * Sockets are registered once, edge-triggered, and never modified: a write is tried first, and
 * EAGAIN waits for the edge. A subscriber is a place in the ring: replay, live and slow are the
 * same code (conn_flush).
 *
 * Work is done in steps of a few milliseconds at most, and the phase's budget is asked after each.
 * What a client has sent beyond that waits in its socket, or in its buffer (conn_input).
 *
 * Only here are clients waited for, read and written to. What the process asks of the system
 * besides is in lib/host/: start and end (life), who is let in (acceptor), memory (tables), the
 * store's syncs (commit), the keys, the upgrade, the log (say, announce). All that changes is in S,
 * in L and in their tables.
 */
#include "lib/cli/command.h"
#include "lib/host/acceptor.h"
#include "lib/host/announce.h"
#include "lib/host/clock.h"
#include "lib/host/commit.h"
#include "lib/host/keys.h"
#include "lib/host/life.h"
#include "lib/host/listen.h"
#include "lib/host/notify.h"
#include "lib/host/sandbox.h"
#include "lib/host/say.h"
#include "lib/host/upgrade.h"
#include "lib/serve/access_log.h"
#include "lib/serve/answer.h"
#include "lib/serve/client.h"
#include "lib/serve/conn.h"
#include "lib/serve/drain.h"
#include "lib/serve/hold.h"
#include "lib/serve/output.h"
#include "lib/serve/pass.h"
#include "lib/serve/publish.h"
#include "lib/serve/queue.h"
#include "lib/serve/quote.h"
#include "lib/serve/route.h"
#include "lib/serve/server.h"
#include "lib/serve/subscriber.h"
#include "lib/serve/timeouts.h"
#include "lib/serve/transport.h"
#include "lib/topic/fanout.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
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
    FANOUT_MAX = 1000,   /* subscribers looked at in a turn */
    REAPS_MAX = 200,     /* sockets closed in a turn: a mass disconnect is spread */
    PIECES_MAX = 1000,   /* in one write of an answer to a poll: IOV_MAX, and some for others */
    POLL_RECORDS = 2048, /* in one answer to a poll */
    WRITE_BUDGET = 256 << 10, /* bytes to one connection in a turn */
    BUFFER = 64 << 10,        /* the room for answers, for what is read and what waits */
    LINGER_MS = 2000,         /* how long a refused client is read on */
    LINGER_MAX = 16 << 20,    /* and how many bytes of it */
    SLICES = 16,              /* ticks for a sweep over the whole table */
    EXPIRES_MAX = 4096,       /* messages that --max-age lets go in a tick */
    PHASE_US = 2000,      /* and its longest time: a turn has some of these, and 50 ms at most */
    REAP_US = 250,        /* that of closing */
    READ = 16 << 10,      /* bytes read at once */
    HEAVY = 2 << 10,      /* of one who has sent more, or takes long: others go before it, ... */
    HEAVY_READ = 2 << 10, /* ... and it is read so much at a time */
    HOLD_READS = 64,   /* with --fsync always: reads that as records would be the ring, and less */
    CHEAP = 8,         /* steps between two looks at the clock */
    DRAIN_TICK_MS = 5, /* sleep, while the server stops */
};

static struct server S;

/* The loop's own. */
static struct {
    bool stop;
    int code;     /* that the process ends with */
    bool cut;     /* a page of the store could not be read */
    bool journal; /* stderr is journald's */
    struct acceptor acceptor;
    struct clocks clock;
    struct phase phase;         /* the current one */
    uint64_t swept;             /* ms: when the last slice was */
    uint32_t sweep, sweep_left; /* the next descriptor, and how many are left of this slice */
    uint32_t slice_ms;
    size_t read_most; /* bytes read of a connection at once */
    bool waits;       /* what it is to do next waits for a sync */
    struct lag lag;   /* what this sweep has found so far */
    struct drain drain;
    struct conn_times times;
    struct tables t;
    struct upgrade up;
    struct workers workers;
    struct epoll_event ev[EVENTS_MAX]; /* not on the stack, so that the turn is a part of main() */
    char out_bytes[BUFFER];
    char in_bytes[SERVE_HEAD_MAX + BUFFER];
} L;

/* ---- small helpers --------------------------------------------------------------------------- */

/* Logs a line, if --log asks for such: pairs of key and value follow, ended by NULL. */
static TEXT_LIST void say(enum opt_log level, const char *msg, ...)
{
    va_list ap;
    if (level > S.config.opt.log && level != OPT_LOG_ACCESS)
        return;
    va_start(ap, msg);
    say_line(&S, L.journal, level, msg, ap);
    va_end(ap);
}

static inline bool phase_spent(unsigned every)
{
    return phase_over(&L.phase, &S.stat, every);
}

static void phase_begin(unsigned us)
{
    phase_start(&L.phase, &S.stat, us);
}

/* ---- ending connections ---------------------------------------------------------------------- */

/* Ends a connection: it leaves its topic at once and is closed when the turn ends. Any number of
 * calls are one. */
static void conn_doom(struct conn *c, const char *reason)
{
    uint32_t fd = (uint32_t)conn_fd(&S.clients.conns, c);
    if (c->state == CONN_DOOMED)
        return;
    say(OPT_LOG_DEBUG, "closed", "fd", QUOTE_NUM(fd), "reason", reason, NULL);
    access_log_end(&S.config, &S.broker, &S.clients, &S.log, c, reason);
    c->doomed.topic = c->link.topic;
    if (c->link.topic != 0)
        topic_unsubscribe(&S.topics, fd);
    queue_doom(&S.clients.conns, c);
}

/* The one place where a client's socket is closed. */
static void conn_close(struct conn *c)
{
    uint32_t topic = c->doomed.topic;
    acceptor_forget(&L.acceptor, c);
    pass_forget(&S.clients, c);
    close(conn_fd(&S.clients.conns, c)); /* which takes it out of epoll as well */
    conn_free(&S.clients.conns, c);
    acceptor_count(&L.acceptor);
    if (topic != 0)
        serve_release(&S.broker, topic);
}

/* Closes what is doomed and frees the topics that eviction has emptied. */
static void reap(void)
{
    struct conn *c;
    if (S.clients.conns.doomed == 0 && !broker_any_emptied(&S.broker))
        return;
    phase_begin(REAP_US);
    for (unsigned n = REAPS_MAX; n > 0 && !phase_spent(CHEAP); n--) {
        if ((c = queue_take_doomed(&S.clients.conns)) == NULL)
            break;
        conn_close(c);
    }
    while (!phase_spent(CHEAP) && broker_release_emptied(&S.broker)) {
    }
}

/* Ends a connection for an error of its socket. The kernel keeps --write-timeout too (listen.c),
 * and may be first to see that it is over. */
static void conn_socket_error(struct conn *c, int err)
{
    S.stat.timeout_write += err == ETIMEDOUT;
    conn_doom(c, err == ETIMEDOUT ? "--write-timeout" : strerror(err));
}

/* ---- writing --------------------------------------------------------------------------------- */

/* A write was not taken: the socket is full, or the connection is over. */
static void conn_write_error(struct conn *c, int err)
{
    if (err == ENOBUFS || err == ENOMEM)
        c->flags |= CONN_STARVED;
    else if (err == EFAULT && L.t.store.h != NULL)
        L.cut = true; /* where a signal would come if the loop itself had read that */
    else if (err != EAGAIN)
        conn_socket_error(c, err);
    c->flags &= (uint16_t)~CONN_WRITABLE;
}

/* The one place where a client's socket is written: WRITE_BUDGET bytes at most, which its callers
 * see to. One piece, as most writes are, goes out by send(), which takes Linux some 250 ns less.
 * Returns the bytes taken; 0 where the socket is full or the connection was ended. */
static inline size_t conn_writev(struct conn *c, const struct iovec *iov, unsigned n)
{
    ssize_t w;
    do
        w = n == 1 ? send(conn_fd(&S.clients.conns, c), iov->iov_base, iov->iov_len, 0)
                   : writev(conn_fd(&S.clients.conns, c), iov, (int)n);
    while (w == -1 && errno == EINTR);
    if (w < 0) {
        conn_write_error(c, errno);
        return 0;
    }
    S.stat.sent_bytes += (uint64_t)w;
    c->tick = (uint32_t)S.clock.now;
    return (size_t)w;
}

/* The same for what may be more than WRITE_BUDGET: only the front of that is written. */
static size_t conn_write(struct conn *c, struct iovec *iov, unsigned n)
{
    size_t left = WRITE_BUDGET, whole;
    unsigned part = 0;
    while (part < n && iov[part].iov_len <= left)
        left -= iov[part++].iov_len;
    if (part == n)
        return conn_writev(c, iov, n);
    whole = iov[part].iov_len;
    iov[part].iov_len = left;
    size_t w = conn_writev(c, iov, part + 1);
    iov[part].iov_len = whole;
    return w;
}

/* All is written: a connection that was answered for the last time says so. */
static void conn_drained(struct conn *c)
{
    if (conn_streams(c) && c->link.topic != 0 && c->place.at < ring_head(&S.ring))
        queue_put(&S.clients.conns, c,
                  QUEUE_READY); /* has only passed over other topics' records so far */
    if (!(c->flags & CONN_CLOSE))
        return;
    c->flags &= (uint16_t)~CONN_CLOSE;
    c->tick = (uint32_t)S.clock.now;
    if (c->flags & CONN_EOF || shutdown(conn_fd(&S.clients.conns, c), SHUT_WR) == -1)
        conn_doom(c, "answered");
}

/* Builds what a subscriber is behind by; returns its first piece, *n pieces in all. Inside a
 * record, that is the rest of it alone, so that nothing else gets in between. */
static struct iovec *stream_next(struct conn *c, unsigned *n)
{
    *n = 0;
    if (c->link.topic == 0)
        return L.t.own.iov; /* a socket that is subscribed to nothing */
    if (!subscriber_check(&S, c)) {
        conn_doom(c, "overtaken inside a message");
        return L.t.own.iov;
    }
    if (!conn_streams(c))
        return L.t.own.iov; /* that was the end of it */
    if (!subscriber_next(&S.broker, &S.stat, c, &L.t.own))
        return L.t.own.iov;
    *n = L.t.own.pieces;
    return L.t.own.iov;
}

/* Keeps what did not fit the socket. */
static void pending_keep(struct conn *c)
{
    if (output_keep(&S.clients, &S.ex, c))
        return;
    conn_doom(c, serve_count_buffer_limit(&S.clients, &S.stat));
}

/* As most often: writes an answer that nothing goes before and nothing follows. False: there is
 * more to do than that. */
static bool flush_answer(struct conn *c)
{
    if (c->state != CONN_HEAD || c->out != 0 || S.ex.tail_pieces > 0 || S.ex.out.n == 0 ||
        !(c->flags & CONN_WRITABLE))
        return false;
    const struct iovec iov = {S.ex.out.p, S.ex.out.n};
    size_t w = conn_writev(c, &iov, 1);
    if (w < S.ex.out.n && w > 0)
        output_took(&S.clients, &S.ex, c, w);
    else if (w > 0)
        S.ex.out.n = 0;
    return S.ex.out.n == 0;
}

/* Writes what a connection has to get: what was kept, the answers in S.ex.out and what follows
 * them, then the records that a subscriber is behind by. What does not fit is kept. S.ex.out is
 * empty afterwards. */
static void conn_flush(struct conn *c)
{
    bool hold = S.hold.on && c->state != CONN_DOOMED && hold_delays(&S.broker, &S.hold, c) &&
                (S.ex.out.n > 0 || c->out != 0 || S.ex.tail_pieces > 0);
    if (hold)
        queue_put(&S.clients.conns, c, QUEUE_HELD);
    if (!hold && flush_answer(c))
        return;
    for (size_t done = 0; !hold && c->flags & CONN_WRITABLE && c->state != CONN_DOOMED;) {
        bool streams = conn_streams(c);
        unsigned n = S.ex.tail_pieces < PIECES_MAX ? S.ex.tail_pieces : PIECES_MAX, before = 0;
        struct iovec *iov = streams                ? stream_next(c, &n)
                            : S.ex.tail_pieces > 0 ? S.ex.tail
                                                   : L.t.own.iov;
        if (c->state == CONN_DOOMED)
            break;
        if (!conn_inside(c))
            before = output_pieces(&S.clients, &S.ex, c, iov);
        if (before + n == 0) {
            conn_drained(c);
            break;
        }
        size_t w = conn_write(c, iov - before, before + n);
        if (w == 0)
            continue;
        size_t rest = before > 0 ? output_took(&S.clients, &S.ex, c, w) : w;
        if (streams && n > 0)
            subscriber_sent(&S.broker, &S.stat, c, &L.t.own, rest);
        else if (!streams)
            output_tail_took(&S.ex, rest);
        if ((done += w) >= WRITE_BUDGET) {
            queue_put(&S.clients.conns, c, QUEUE_READY);
            break;
        }
    }
    if (c->state != CONN_DOOMED)
        pending_keep(c);
    S.ex.out.n = 0;
    S.ex.tail_pieces = 0;
}

/* ---- fan-out --------------------------------------------------------------------------------- */

/* Answers a client that waits, if there is something for it. */
static void fan_wake(struct conn *c)
{
    subscriber_wake(&S, c, false);
    if (c->state == CONN_WAIT)
        return;
    conn_flush(c);
    if (c->in != 0 || c->flags & (CONN_READABLE | CONN_EOF))
        queue_put(&S.clients.conns, c, QUEUE_READY); /* its next request is here */
}

/* Is this subscriber at a place that the share is good for, between two records? */
static inline bool fan_shares(const struct conn *c, const struct share *s)
{
    return c->stream.sent == 0 && c->place.at >= s->low && c->place.at <= s->first;
}

/* Writes what a subscriber shares with others. */
static inline void fan_write(struct conn *c, const struct share *s)
{
    size_t w = s->size <= WRITE_BUDGET ? conn_writev(c, s->iov, s->pieces)
                                       : conn_write(c, s->iov, s->pieces);
    if (w < s->whole) {
        if (w > 0) {
            S.stat.delivered += subscriber_advance(&S.broker, c, s, w);
            conn_flush(c);
        }
        return;
    }
    c->place.at = s->end;
    c->place.n = s->n;
    S.stat.delivered += s->records;
    if (s->end < ring_head(&S.ring))
        queue_put(&S.clients.conns, c, QUEUE_READY);
}

/* Brings one subscriber of entry `id` up to date that no share is there for. */
static void fan_other(uint32_t id, struct conn *c, struct share *s)
{
    if (c->stream.sent == 0 && c->place.at >= ring_tail(&S.ring)) {
        share_build(s, &S.broker, id, c->place.at, 0,
                    transport_form((enum conn_transport)c->transport), SHARE_BYTES);
        share_join(s);
    }
    if (fan_shares(c, s))
        fan_write(c, s);
    else
        conn_flush(c); /* overtaken, or up to date */
}

/* Brings one subscriber of entry `id` up to date, with the records it shares with all who are at
 * the same place and get them the same way. */
static inline void fan_one(uint32_t id, struct conn *c)
{
    struct share *s = &L.t.same[c->transport % TABLES_SAME];
    if (c->state == CONN_WAIT)
        fan_wake(c);
    else if ((c->flags & (CONN_WRITABLE | CONN_READY)) != CONN_WRITABLE || c->out != 0)
        return; /* it is behind, and goes on by itself */
    else if (fan_shares(c, s))
        fan_write(c, s);
    else
        fan_other(id, c, s);
}

/* Goes on with a walk for `left` subscribers at most. Returns how many of these are left. */
static unsigned fan_entry(const struct topic_walk *w, unsigned left)
{
    unsigned had = left;
    for (unsigned i = 0; i < TABLES_SAME; i++)
        L.t.same[i].first = 0;
    for (; left > 0 && topic_walk_left(w) && !phase_spent(CHEAP); left--)
        fan_one(w->id, conn_of_link(topic_walk_next(&S.topics, w)));
    if (topic_walk_timed(w, had - left))
        stat_observe(&S.stat.delivery, (uint32_t)clock_us(CLOCK_MONOTONIC) - topic_walk_since(w));
    return left;
}

/* One turn of fan-out. What it does not reach goes on in the next turn, others' topics first; what
 * is published meanwhile goes out with the same writes. */
static void fanout(void)
{
    unsigned left = FANOUT_MAX;
    struct topic_walk w;
    if (topic_queue_first(&S.topics) == 0)
        return;
    phase_begin(PHASE_US);
    while (left > 0 && !phase_spent(1) && topic_walk_begin(&S.topics, &w)) {
        left = fan_entry(&w, left);
        if (topic_walk_end(&S.topics, &w))
            serve_release(&S.broker, w.id);
    }
}

/* ---- the store's group commit ---------------------------------------------------------------- */

/* Answers clients that waited for a sync. */
static void held_release(void)
{
    bool spent = false; /* those behind are ready, and the first the next time */
    for (uint32_t n = S.clients.conns.held_count; n > 0; n--) {
        struct conn *c = queue_take(&S.clients.conns, QUEUE_HELD);
        if (c == NULL)
            continue;
        if (hold_delays(&S.broker, &S.hold, c)) {
            queue_put(&S.clients.conns, c, QUEUE_HELD);
            continue;
        }
        c->tick = (uint32_t)S.clock.now;
        if (!(spent = spent || phase_spent(1)))
            conn_flush(c);
        if (spent || c->flags & (CONN_READABLE | CONN_EOF) || c->in != 0)
            queue_put(&S.clients.conns, c, QUEUE_READY);
    }
}

/* Shows what a sync has covered, as far as `all` or the phase allows; then answers the clients that
 * waited. */
static void held_show(bool all)
{
    phase_begin(PHASE_US);
    while (ring_head(&S.ring) < S.hold.to && (all || !phase_spent(CHEAP)))
        topic_mark(&S.topics, broker_show(&S.broker));
    if (ring_head(&S.ring) < S.hold.to)
        return;
    S.hold.running = 0;
    held_release();
}

/* Refuses what one has published that waits for a sync which has failed. What it sends besides is
 * dropped, as a socket that is closed with something unread takes back what was written. */
static void held_refuse(struct conn *c)
{
    if (c->state == CONN_WAIT || c->state == CONN_STREAM) {
        conn_doom(c, "the store could not be synced");
        return;
    }
    if (c->out != 0)
        serve_refuse_unsynced(&S, c);
    conn_flush(c);
}

/* A sync has failed: what it was to cover is sent to nobody, and the server ends. */
static void store_failed(int err)
{
    commit_result(&S, err);
    L.code = EX_IOERR;
    L.stop = true;
    S.hold.running = 0;
    S.hold.to = ring_end(&S.ring); /* nobody waits any more */
    for (uint32_t n = S.clients.conns.held_count; n > 0; n--) {
        struct conn *c = queue_take(&S.clients.conns, QUEUE_HELD);
        if (c != NULL)
            held_refuse(c);
    }
}

/* Sees to the sync that is under way, or begins one, if that is to be done before anyone hears of
 * the messages that there are. */
static void commit(void)
{
    int err = S.hold.running != 0 ? store_sync_result(&L.t.store) : 1;
    if (err < 0)
        store_failed(err);
    else if (err == 0)
        held_show(false);
    if (!L.stop && S.hold.running == 0 && S.ring.h->held > 0 && !L.up.passed)
        commit_begin(&L.t, &S);
}

/* Has all synced and answered that was published, before the server ends. */
static void commit_settle(void)
{
    while (L.code == EX_OK && S.ring.h->held > 0) {
        if (S.hold.running == 0)
            commit_begin(&L.t, &S);
        int err = store_sync_wait(&L.t.store);
        if (err < 0)
            store_failed(err);
        else
            held_show(true);
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The one place where a client's socket is read: once, into buf[0..READ). Returns the bytes, 0 for
 * none; notes the end of what the peer sends. `peeks`: they stay in the socket. */
static size_t conn_recv(struct conn *c, char *buf, bool peeks)
{
    size_t most = c->marks & CONN_HEAVY ? HEAVY_READ : L.read_most;
    ssize_t n;
    do
        n = recv(conn_fd(&S.clients.conns, c), buf, most, peeks ? MSG_PEEK : 0);
    while (n == -1 && errno == EINTR);
    /* a short read has emptied the socket, and what comes after it makes an edge; but the end that
     * epoll told of before is still to be read */
    if (n < (ssize_t)most && (n <= 0 || !(c->flags & CONN_EOF)))
        c->flags &= (uint16_t)~CONN_READABLE;
    if (n == 0)
        c->flags |= CONN_EOF;
    else if (n == -1 && errno != EAGAIN)
        conn_socket_error(c, errno);
    S.stat.received_bytes += n > 0 && !peeks ? (uint64_t)n : 0;
    c->marks = (uint16_t)((c->marks & ~CONN_HEAVY) | (n >= HEAVY ? CONN_HEAVY : 0));
    return n > 0 ? (size_t)n : 0;
}

/* Takes n bytes that were peeked at out of the socket; of `got` the rest is still there. */
static void conn_drop_peeked(struct conn *c, size_t n, size_t got)
{
    ssize_t r;
    if (n < got)
        c->flags |= CONN_READABLE;
    if (n == 0)
        return;
    do
        r = recv(conn_fd(&S.clients.conns, c), L.in_bytes, n, 0);
    while (r == -1 && errno == EINTR);
    if (r != (ssize_t)n)
        conn_doom(c, "what had come is gone");
    S.stat.received_bytes += n;
}

/* Should what comes be left in the socket until it is handled? What can't be handled in this turn
 * takes no buffer then: of one who sends much, and of anyone while they are short. */
static bool input_peeks(const struct conn *c)
{
    if (!(c->marks & CONN_HEAVY) &&
        pool_used(&S.clients.conns.buffers) + 2 * (size_t)READ + BUFFER <= S.config.opt.max_buffers)
        return false;
    return c->state == CONN_HEAD || c->state == CONN_BODY || c->state == CONN_SOCKET;
}

/* With --fsync always, has this request to wait for a sync? One that publishes, where enough is
 * held; any other, where its client has published: what it reads has that in it. Answers that do
 * not wait are written before one that does. */
static bool request_waits(struct conn *c, char first)
{
    bool publishes = first == 'P'; /* POST, PUT */
    if (publishes && S.ex.out.n > 0 && !hold_delays(&S.broker, &S.hold, c))
        conn_flush(c);
    return publishes ? hold_is_full(&S.broker) : hold_delays(&S.broker, &S.hold, c);
}

/* The same for the next step, whatever the connection is in; `first` is its first byte. */
static bool step_waits(struct conn *c, char first)
{
    if (c->state == CONN_HEAD)
        return request_waits(c, first);
    return hold_is_full(&S.broker) && (c->state == CONN_BODY || hold_delays(&S.broker, &S.hold, c));
}

/* Notes that a connection has published. */
static void conn_mark_published(struct conn *c)
{
    S.hold.put = false;
    c->marks = (uint16_t)((c->marks & ~CONN_GROUP) | S.hold.group << CONN_GROUP_SHIFT);
}

/* Handles buf[0..len), step by step: requests, parts of a body, frames. Returns the bytes handled.
 * It stops, with S.ex.pause set, where the phase is spent and where a request is put off; with
 * L.waits set, where the next step has to wait for a sync; and where a client does not read its
 * answers, until it does. */
static size_t handle(struct conn *c, char *buf, size_t len, size_t seen)
{
    size_t off = 0, used = 1;
    S.ex.pause = S.ex.postponed = L.waits = false;
    if (c->marks & CONN_PREFACE && len > 0) {
        int n = acceptor_proxy_header(&L.acceptor, c, (struct span){buf, len});
        if (n < 0) {
            conn_doom(c, "no PROXY header (--proxy-protocol)");
            return len;
        }
        off = used = (size_t)n;
        seen = 0;
    }
    while (off < len && used > 0 && !S.ex.pause &&
           (c->state == CONN_HEAD || c->state == CONN_BODY || c->state == CONN_SOCKET)) {
        if (S.ex.out.cap - S.ex.out.n < SERVE_ROOM || S.ex.tail_pieces > 0)
            conn_flush(c);
        L.waits = S.hold.on && step_waits(c, buf[off]);
        if (L.waits || c->state == CONN_DOOMED || (c->state == CONN_HEAD && c->out != 0))
            break;
        broker_catch_up(&S.broker); /* what others have acknowledged is to be there */
        used = serve_input(&S, c, buf + off, len - off, seen);
        if (S.hold.put)
            conn_mark_published(c);
        off += used;
        seen = 0;
        if (off < len && (S.ex.postponed || (used > 0 && phase_spent(1))))
            S.ex.pause = true;
    }
    return off;
}

/* Keeps what of the input is not handled, buf[0..n): of a head until more comes, `seen` bytes of
 * which have been looked at, and what has to wait. */
static void input_keep(struct conn *c, const char *buf, size_t n, size_t seen)
{
    if (c->state == CONN_WAIT && n > S.config.opt.max_head) {
        S.stat.limit_head++;
        conn_doom(c, "sends more than --max-head behind a long poll");
        return;
    }
    if (conn_in_keep(&S.clients.conns, c, (struct span){buf, n}, seen))
        return;
    if (c->state == CONN_HEAD && S.ex.out.cap - S.ex.out.n >= SERVE_ROOM &&
        !(c->marks & CONN_PREFACE)) {
        serve_refuse_no_buffer(&S, c);
        return;
    }
    conn_doom(c, serve_count_buffer_limit(&S.clients, &S.stat));
}

/* Sees to what is not handled of kept + got bytes of input: what was peeked at stays in the socket
 * but for a head that is not complete, which is kept as what was read is. */
static void input_rest(struct conn *c, size_t kept, size_t got, size_t used, bool peeks)
{
    size_t rest = kept + got - used, left = 0;
    if (c->state != CONN_HEAD && c->state != CONN_WAIT && c->state != CONN_BODY &&
        c->state != CONN_SOCKET)
        rest = 0; /* nobody wants it */
    bool part = c->state == CONN_HEAD && c->out == 0 && !S.ex.pause && !L.waits;
    if (peeks && !part)
        left = rest < got ? rest : got;
    rest -= left;
    if (rest > 0)
        input_keep(c, L.in_bytes + used, rest, part || left > 0 ? rest : 0);
    if (peeks && c->state != CONN_DOOMED)
        conn_drop_peeked(c, got - left, got);
}

/* Reads a connection once and handles what has come. */
static void conn_input(struct conn *c)
{
    size_t seen = 0, kept = 0, got = 0;
    bool peeks = false;
    if (c->marks & CONN_KEPT)
        kept = conn_in_take(&S.clients.conns, c, L.in_bytes, &seen);
    if (c->flags & CONN_READABLE && seen == kept) { /* what waits comes first */
        peeks = input_peeks(c);
        got = conn_recv(c, L.in_bytes + kept, peeks);
    }
    if (c->state == CONN_DOOMED)
        return;
    bool begins = c->state == CONN_HEAD && kept == 0 && !(c->marks & CONN_PREFACE);
    if ((got > 0 && begins) || (c->state == CONN_BODY && kept + got > 0))
        c->tick = (uint32_t)S.clock.now; /* the time of a head runs from its first byte */
    if (c->state == CONN_LINGER && (c->linger.dropped += got) > LINGER_MAX)
        conn_doom(c, "refused, and sends on");
    size_t used = handle(c, L.in_bytes, kept + got, seen);
    if (peeks || used < kept + got)
        input_rest(c, kept, got, used, peeks);
    conn_flush(c);
    if (c->state == CONN_DOOMED)
        return;
    if (S.ex.pause)
        c->marks |= CONN_HEAVY;
    if (L.waits)
        queue_put(&S.clients.conns, c, QUEUE_HELD);
    else if (S.ex.postponed)
        queue_put(&S.clients.conns, c, QUEUE_SOON);
    else if (c->flags & CONN_READABLE || S.ex.pause)
        queue_put(&S.clients.conns, c, QUEUE_READY);
    else if (c->flags & CONN_EOF && c->out == 0)
        conn_doom(c, "closed by the peer");
}

/* Whatever woke it: writes what waits, then reads, unless its answers are not read. What comes
 * while it waits itself is left in the socket, but for the end. */
static void conn_turn(struct conn *c)
{
    if (c->flags & CONN_WRITABLE && (c->out != 0 || c->flags & CONN_CLOSE || conn_streams(c)))
        conn_flush(c);
    if (c->state == CONN_WAIT && c->flags & CONN_EOF)
        conn_doom(c, "closed by the peer");
    if (c->state == CONN_WAIT && transport_of(c)->kind == CONN_KIND_WAIT &&
        c->place.at < ring_head(&S.ring))
        fan_wake(c); /* it has not been through all that there was */
    if (c->state == CONN_DOOMED || c->state == CONN_WAIT ||
        (c->out != 0 && c->state != CONN_LINGER))
        return;
    if (S.hold.on && hold_is_full(&S.broker) &&
        (c->state == CONN_BODY ||
         (c->state == CONN_SOCKET && hold_delays(&S.broker, &S.hold, c)))) {
        queue_put(&S.clients.conns, c, QUEUE_HELD);
        return;
    }
    if (c->flags & (CONN_READABLE | CONN_EOF) || c->marks & CONN_KEPT)
        conn_input(c);
}

/* ---- the sweep: heartbeats and timeouts ------------------------------------------------------ */

/* A sign of life for a subscriber that has had nothing for a while. */
static void heartbeat(struct conn *c)
{
    conn_flush(c); /* it may be behind: there is better to write */
    if (!conn_streams(c) || !(c->flags & CONN_WRITABLE) || c->tick == (uint32_t)S.clock.now ||
        (c->link.topic != 0 && c->place.at < ring_head(&S.ring)))
        return;
    subscriber_heartbeat(&S, c);
    conn_flush(c);
}

/* Does something end as its time is up that the peer was to send, or to take? */
static bool is_over_timeout(const struct conn *c)
{
    enum conn_due due = conn_due(c, S.clock.now, &L.times);
    return due == CONN_DUE_REQUEST || due == CONN_DUE_IDLE || due == CONN_DUE_WRITE ||
           due == CONN_DUE_PONG ||
           (c->state == CONN_BODY && body_message_late(&S.config, &S.clients, &S.clock, c));
}

/* Before that its socket is read and written once more: where the process stood still the peer may
 * have been in time, and no event has told of it yet. False: there is more of it, and its time is
 * not up. */
static bool is_heard(struct conn *c)
{
    if (!(c->flags & CONN_READY)) {
        c->flags |= CONN_READABLE | CONN_WRITABLE;
        S.ex.brief = true;
        conn_turn(c);
        S.ex.brief = false;
    }
    return !(c->flags & CONN_READY) && c->state != CONN_DOOMED;
}

static void sweep_conn(struct conn *c)
{
    if (is_over_timeout(c) && !is_heard(c))
        return;
    count_lag(&S.broker, c, &L.lag);
    if (c->flags & CONN_STARVED) {
        c->flags = (uint16_t)((c->flags & ~CONN_STARVED) | CONN_WRITABLE);
        queue_put(&S.clients.conns, c, QUEUE_READY);
    }
    if (c->flags & CONN_HELD)
        return; /* it is the disk that is late */
    if (timeouts_end_stalled(&S, c)) {
        conn_flush(c);
        return;
    }
    const char *reason = timeouts_slow_reader(&S.config, &S.clients, &S.clock, &S.stat, c);
    if (reason != NULL) {
        conn_doom(c, reason);
        return;
    }
    enum conn_due due = conn_due(c, S.clock.now, &L.times);
    switch (due) {
    case CONN_DUE_NOTHING:
        return;
    case CONN_DUE_HEARTBEAT:
        heartbeat(c);
        return;
    case CONN_DUE_ANSWER:
        subscriber_wake(&S, c, true);
        conn_flush(c);
        queue_put(&S.clients.conns, c, QUEUE_READY); /* its next request may be here */
        return;
    case CONN_DUE_REQUEST:
    case CONN_DUE_IDLE:
    case CONN_DUE_WRITE:
    case CONN_DUE_LINGER:
    case CONN_DUE_PONG:
        if ((reason = timeouts_apply(&S, c, due)) != NULL)
            conn_doom(c, reason);
        else
            conn_flush(c);
        return;
    }
}

/* Looks through a slice of the table whenever its time has come, so that each connection is looked
 * at once in SLICES ticks; lets old messages go. */
static void sweep(void)
{
    if (S.clock.now - L.swept >= L.slice_ms) {
        L.swept = S.clock.now;
        L.sweep_left = S.clients.conns.top / SLICES + 1;
        acceptor_tick(&L.acceptor);
        conn_buffers_give_back(&S.clients.conns);
        clock_wake(&L.clock, &S);
        if (S.config.opt.max_age_ms > 0 && S.ring.clock_ms > S.config.opt.max_age_ms)
            S.stat.aged +=
                broker_expire(&S.broker, S.ring.clock_ms - S.config.opt.max_age_ms, EXPIRES_MAX);
        whole_tell(&S);
    }
    if (L.sweep_left == 0)
        return;
    phase_begin(PHASE_US);
    for (; L.sweep_left > 0 && !phase_spent(CHEAP); L.sweep_left--) {
        if (L.sweep == 0 || L.sweep > S.clients.conns.top) {
            L.sweep = 1;
            S.lag = L.lag;
            L.lag = (struct lag){0, 0};
        }
        sweep_conn(&S.clients.conns.conn[L.sweep++]);
    }
}

/* ---- stopping -------------------------------------------------------------------------------- */

/* Begins to stop: what is being published goes on to its end, all others are told to come back, one
 * after the other. */
static void drain_begin(const char *why)
{
    announce_stopping(&S, why);
    S.clients.draining = true;
    acceptor_close(&L.acceptor);
    drain_start(&L.drain, S.clock.now, S.clients.conns.clients, S.clients.conns.top,
                S.config.opt.drain_ms);
}

/* Ends one connection, as far as it is not in the middle of something. False: it gets more of what
 * it is to have before, and its turn is to come again, unless it has had turns enough. */
static bool drain_conn(struct conn *c, bool again)
{
    if (c->state < CONN_HEAD || c->state == CONN_DOOMED || c->state == CONN_LINGER)
        return true;
    if (c->state == CONN_HEAD)
        c->flags |= CONN_READABLE; /* a request may have come that no event has told of yet */
    conn_turn(c);                  /* that, and what it is behind by, goes first */
    bool behind = conn_streams(c) && c->flags & CONN_WRITABLE && c->link.topic != 0 &&
                  c->place.at < ring_head(&S.ring);
    if (again && (behind || c->flags & (CONN_HELD | CONN_READY)))
        return false;
    S.stat.drained++;
    if (c->state == CONN_HEAD && c->in == 0 && c->out == 0)
        conn_doom(c, "stopping");
    else if (c->state == CONN_HEAD && c->in == 0)
        serve_linger(&S.clients, c);
    if (c->state != CONN_DOOMED) {
        subscriber_send_away(&S, c);
        conn_flush(c);
    }
    return true;
}

/* Goes on with it; the server stops when all are gone or their time is up. */
static void drain(void)
{
    uint32_t to = drain_to(&L.drain, S.clock.now);
    bool done = true;
    phase_begin(PHASE_US);
    while (done && L.drain.next <= to && !phase_spent(1)) {
        done = drain_conn(&S.clients.conns.conn[L.drain.next], drain_waits(&L.drain));
        drain_went(&L.drain, done);
    }
    L.stop |= drain_over(&L.drain, S.clock.now, S.clients.conns.clients);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void signalled(int fd)
{
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP)
            keys_reload(&S, L.acceptor.keeper);
        else if (info.ssi_signo == SIGUSR2)
            upgrade_begin(&L.up);
        else if (info.ssi_signo == SIGCHLD)
            upgrade_child(&L.up);
        else if (S.clients.draining)
            L.stop = true; /* the second time: at once */
        else
            drain_begin(info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
    }
}

static void knocked(int fd)
{
    acceptor_accept(&L.acceptor, fd);
}

static void leash_cut(int fd)
{
    acceptor_close_own(&L.acceptor, fd);
    if (!S.clients.draining)
        drain_begin("the parent is gone");
}

static void trial_spoke(int fd)
{
    assert(fd == L.up.trial.out);
    upgrade_read_result(&L.up);
}

/* What an event of a descriptor of the process's own brings. */
static void (*const own_event[OWN_KINDS])(int fd) = {
    [OWN_LISTENER] = knocked,  [OWN_SIGNALS] = signalled,  [OWN_STORE] = commit_read_result,
    [OWN_TRIAL] = trial_spoke, [OWN_WAKE] = workers_woken, [OWN_LEASH] = leash_cut,
};

/* Has this one nothing to say, but much to get? Requests go before it. */
static bool replays(const struct conn *c)
{
    return conn_streams(c) && c->place.at < ring_head(&S.ring) && !(c->flags & CONN_READABLE);
}

static void event(const struct epoll_event *ev)
{
    struct conn *c = &S.clients.conns.conn[(uint32_t)ev->data.u64];
    if (c->gen != ev->data.u64 >> 32)
        return; /* of an earlier owner of the descriptor */
    switch ((enum conn_state)c->state) {
    case CONN_OWN:
        own_event[c->own.kind](conn_fd(&S.clients.conns, c));
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
        if (c->marks & CONN_HEAVY || replays(c))
            queue_put(&S.clients.conns, c, QUEUE_READY);
        else if (phase_spent(1))
            queue_put(&S.clients.conns, c, QUEUE_UNSEEN);
        else
            conn_turn(c);
        return;
    case CONN_FREE:
    case CONN_DOOMED:
        return;
    }
}

/* Serves those who wait for a turn, as queue.h has it. */
static void ready_lists(void)
{
    for (enum queue q = QUEUE_UNSEEN; q <= QUEUE_READY; q++) {
        if (!queue_any(&S.clients.conns, q))
            continue;
        uint32_t n = S.clients.conns.ready_count;
        phase_begin(queue_rule[q].us);
        S.ex.brief = queue_rule[q].brief;
        do {
            struct conn *c = queue_take(&S.clients.conns, q);
            if (c != NULL)
                conn_turn(c);
        } while (--n > 0 && (q == QUEUE_READY || queue_any(&S.clients.conns, q)) &&
                 !phase_spent(1));
        S.ex.brief = false;
    }
}

/* How long the loop may sleep, in ms: not at all with work left over, for ever (-1) with nothing
 * that time could change. */
static int sleep_ms(void)
{
    if (S.clients.conns.ready_count != 0 || S.clients.conns.doomed != 0 ||
        topic_queue_first(&S.topics) != 0 || L.sweep_left > 0 || broker_any_emptied(&S.broker) ||
        commit_done(&L.t, &S) || (L.up.passed && S.hold.running == 0))
        return 0;
    if (S.clients.draining)
        return DRAIN_TICK_MS;
    if (S.clients.conns.clients == 0 && !conn_buffers_stale(&S.clients.conns) &&
        !L.acceptor.paused && !L.acceptor.away && S.log.refusals.more == 0 &&
        L.up.trial.child == 0 &&
        !(L.t.store.mode == OPT_FSYNC_INTERVAL && commit_pending(&L.t, &S)) &&
        (S.config.opt.max_age_ms == 0 || ring_count(&S.ring) == 0))
        return -1;
    uint64_t due = L.swept + L.slice_ms, now = clock_us(CLOCK_MONOTONIC) / 1000;
    return due > now ? (int)(due - now) : 0;
}

/* Looks what time has brought to the process itself. */
static void tick(void)
{
    access_log_suppressed(&S.clock, &S.log, false);
    int err = L.cut ? -EIO : L.t.store.h != NULL ? commit_tick(&L.t, &S) : 0;
    if (err < 0)
        store_failed(err);
    if (L.up.trial.child != 0)
        upgrade_tick(&L.up);
    if (S.clients.draining)
        drain();
}

/* Waits for events; with other workers, says that it does, and follows what they have put. */
static int turn_wait(void)
{
    bool shared = S.team.whole != NULL;
    int ms = sleep_ms();
    int n = epoll_wait(L.acceptor.epoll, L.ev, EVENTS_MAX,
                       shared ? workers_doze(&L.workers, &S, ms) : ms);
    assert(n >= 0 || errno == EINTR);
    clock_read(&L.clock, &S);
    if (shared) {
        workers_rise(&L.workers);
        broker_catch_up(&S.broker);
        acceptor_balance(&L.acceptor);
    }
    return n;
}

/* Wakes the workers that have subscribers to what was put in this turn. */
static void others_wake(void)
{
    if (S.team.wake == 0)
        return;
    workers_wake(&L.workers, S.team.wake, true);
    S.team.wake = 0;
}

static void wake_now(uint64_t workers)
{
    workers_call(&L.workers, workers);
}

static void loop_turn(void)
{
    int n = turn_wait();
    S.stat.turns++;
    phase_begin(PHASE_US);
    S.ex.brief = n > 1; /* or nobody waits */
    for (int i = 0; i < n; i++)
        event(&L.ev[i]);
    S.ex.brief = false;
    ready_lists();
    sweep();
    tick();
    if (S.hold.on)
        commit();
    others_wake();
    fanout();
    reap();
    uint64_t took = clock_us(CLOCK_MONOTONIC) - L.clock.now_us;
    S.turn_max_us = took > S.turn_max_us ? took : S.turn_max_us;
    stat_observe(&S.stat.turn, took);
    if (L.up.passed && S.hold.running == 0 && !L.stop)
        upgrade(&L.up, L.sweep);
}

/* ---- start and end --------------------------------------------------------------------------- */

/* Sets up what is neither in the tables nor handed over. */
static void server_make(void)
{
    clock_read(&L.clock, &S);
    S.log.say = say;
    S.log.peer = listen_peer;
    S.ex.out = text_in(L.out_bytes, sizeof L.out_bytes);
    S.config.limits = (struct http_limits){S.config.opt.max_line, S.config.opt.max_head};
    serve_read_proxies(&S.config);
    L.journal = notify_journal();
    L.t.poll_records = POLL_RECORDS;
    L.acceptor =
        (struct acceptor){.s = &S, .t = &L.t, .epoll = -1, .spare = -1, .keeper = KEEPER_NONE};
    L.up.acceptor = &L.acceptor;
    S.team.wake_now = wake_now;
    L.times =
        (struct conn_times){S.config.opt.heartbeat_ms, S.config.opt.request_timeout_ms,
                            S.config.opt.idle_timeout_ms, S.config.opt.write_timeout_ms, LINGER_MS};
    L.slice_ms = conn_times_least(&L.times) / 2 / SLICES + 1;
    L.swept = S.clock.now;
    clock_begin(&L.clock);
    L.read_most = READ;
}

/* With --fsync always, what is read at once leaves room in what the ring can hold, however much
 * more it is as records. */
static void reads_fit(void)
{
    if (S.hold.on && S.ring.size / HOLD_READS < READ)
        L.read_most = S.ring.size / HOLD_READS;
}

static void server_start(void)
{
    server_make();
    L.acceptor.workers = L.workers.n > 0 ? &L.workers : NULL;
    life_begin(&L.acceptor, L.up.argv, BUFFER, &L.up.held);
    reads_fit();
}

/* Goes on where the program before this one stopped; on trial, only sees whether it could. */
static void server_take(int fd, bool trial)
{
    server_make();
    L.sweep = life_go_on(&L.acceptor, fd, trial, &L.up.held);
    reads_fit();
}

/* Ends at once: WebSockets are closed as they should be, if there is room for that. */
static void server_stop(void)
{
    if (L.up.trial.child != 0)
        trial_end(&L.up.trial);
    if (S.hold.on)
        commit_settle();
    for (uint32_t fd = 1; fd <= S.clients.conns.top; fd++) {
        struct conn *c = &S.clients.conns.conn[fd];
        if (c->state != CONN_SOCKET)
            continue;
        subscriber_send_away(&S, c);
        conn_flush(c);
    }
    if (life_end(&L.acceptor) < 0)
        L.code = EX_IOERR;
}

/* A page of a mapping cannot be read or written: the store's file was cut, there is no block for
 * it, or the disk failed. In whatever the process was doing. */
static void page_lost(int sign)
{
    static const char front[] = "sse: the store ",
                      end[] = " cannot be read or written any more: its file was cut, or its disk "
                              "failed\n";
    (void)sign;
    if (S.config.opt.store == NULL) {
        (void)signal(SIGBUS, SIG_DFL); /* it comes again */
        return;
    }
    (void)!write(STDERR_FILENO, front, sizeof front - 1);
    (void)!write(STDERR_FILENO, S.config.opt.store, strlen(S.config.opt.store));
    (void)!write(STDERR_FILENO, end, sizeof end - 1);
    _exit(EX_IOERR);
}

/* Begins a server of several workers. Returns -1 in each of them, and in their parent, when all is
 * over, the exit code. */
static int workers_begin(uint32_t n)
{
    server_make();
    return workers_run(&L.workers, &S, n, BUFFER);
}

int main(int argc, char **argv)
{
    int fd = -1, code = command_line(&S.config.opt, argc, argv);
    if (code >= 0)
        return code;
    L.up.argv = argv;
    enum handover_mode mode = handover_mode(&fd);
    sandbox_watch();
    (void)signal(SIGBUS, page_lost);
    uint32_t workers = workers_wanted(&S.config.opt);
    if (mode == HANDOVER_NONE && workers > 1 && (code = workers_begin(workers)) >= 0)
        return code;
    if (mode == HANDOVER_NONE)
        server_start();
    else
        server_take(fd, mode == HANDOVER_TRY);
    while (!L.stop)
        loop_turn();
    server_stop();
    return L.code;
}
