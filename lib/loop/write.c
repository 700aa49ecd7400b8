/*
 * write.c - see write.h.
 */
#include "lib/loop/write.h"

#include "lib/loop/end.h"
#include "lib/serve/answer.h"
#include "lib/serve/hold.h"
#include "lib/serve/output.h"
#include "lib/serve/queue.h"
#include "lib/serve/subscriber.h"
#include "lib/serve/transport.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    FANOUT_MAX = 1000,        /* subscribers served in a turn */
    PIECES_MAX = 1000,        /* in one write of an answer to a poll: IOV_MAX, less some */
    WRITE_BUDGET = 256 << 10, /* bytes to one connection in a turn */
};

/* ---- writing --------------------------------------------------------------------------------- */

/* Handles a write that failed: the socket is full, or the connection is over. */
static void conn_write_error(struct loop *l, struct conn *c, int err)
{
    if (err == ENOBUFS || err == ENOMEM)
        c->flags |= CONN_STARVED;
    else if (err == EFAULT && l->t.store.h != NULL)
        l->cut = true; /* the loop itself would get SIGBUS for reading that */
    else if (err != EAGAIN)
        loop_socket_error(l, c, err);
    c->flags &= (uint16_t)~CONN_WRITABLE;
}

/* The one place where a client's socket is written; callers pass at most WRITE_BUDGET bytes. A
 * single piece, the common case, goes out by send(), some 250 ns cheaper on Linux. Returns the
 * bytes written; 0 if the socket is full or the connection was ended. */
static inline size_t conn_writev(struct loop *l, struct conn *c, const struct iovec *iov,
                                 unsigned n)
{
    struct server *s = &l->server;
    ssize_t w;
    do
        w = n == 1 ? send(conn_fd(&s->clients.conns, c), iov->iov_base, iov->iov_len, 0)
                   : writev(conn_fd(&s->clients.conns, c), iov, (int)n);
    while (w == -1 && errno == EINTR);
    if (w < 0) {
        conn_write_error(l, c, errno);
        return 0;
    }
    s->stat.sent_bytes += (uint64_t)w;
    c->tick = (uint32_t)s->clock.now;
    return (size_t)w;
}

/* Writes pieces that may be more than WRITE_BUDGET: only their front. */
static size_t conn_write(struct loop *l, struct conn *c, struct iovec *iov, unsigned n)
{
    size_t left = WRITE_BUDGET, whole;
    unsigned part = 0;
    while (part < n && iov[part].iov_len <= left)
        left -= iov[part++].iov_len;
    if (part == n)
        return conn_writev(l, c, iov, n);
    whole = iov[part].iov_len;
    iov[part].iov_len = left;
    size_t w = conn_writev(l, c, iov, part + 1);
    iov[part].iov_len = whole;
    return w;
}

/* Handles the end of pending bytes: a connection that got its last answer is shut down. */
static void conn_drained(struct loop *l, struct conn *c)
{
    struct server *s = &l->server;
    if (conn_streams(c) && c->link.topic != 0 && c->place.at < ring_head(&s->ring))
        queue_put(&s->clients.conns, c,
                  QUEUE_READY); /* it has only skipped other topics' records so far */
    if (!(c->flags & CONN_CLOSE))
        return;
    c->flags &= (uint16_t)~CONN_CLOSE;
    c->tick = (uint32_t)s->clock.now;
    if (c->flags & CONN_EOF || shutdown(conn_fd(&s->clients.conns, c), SHUT_WR) == -1)
        loop_doom(l, c, "answered");
}

/* Builds a subscriber's pending messages; inside a record, only its rest, so that nothing gets in
 * between. Returns the first piece, of *n. */
static struct iovec *stream_next(struct loop *l, struct conn *c, unsigned *n)
{
    struct server *s = &l->server;
    *n = 0;
    if (c->link.topic == 0)
        return l->t.own.iov; /* a WebSocket without a subscription */
    if (!subscriber_check(s, c)) {
        loop_doom(l, c, "overtaken inside a message");
        return l->t.own.iov;
    }
    if (!conn_streams(c))
        return l->t.own.iov; /* that was the end of it */
    if (!subscriber_next(&s->broker, &s->stat, c, &l->t.own)) {
        if (broker_any_ended(&s->broker))
            subscriber_over(s, c);
        return l->t.own.iov;
    }
    *n = l->t.own.pieces;
    return l->t.own.iov;
}

/* Keeps what did not fit the socket. */
static void pending_keep(struct loop *l, struct conn *c)
{
    struct server *s = &l->server;
    if (output_keep(&s->clients, &s->ex, c))
        return;
    loop_doom(l, c, serve_count_buffer_limit(&s->clients, &s->stat));
}

/* The common case: writes an answer that nothing precedes or follows. Returns false if there is
 * more to do. */
static bool flush_answer(struct loop *l, struct conn *c)
{
    struct server *s = &l->server;
    if (c->state != CONN_HEAD || c->out != 0 || s->ex.tail_pieces > 0 || s->ex.out.n == 0 ||
        !(c->flags & CONN_WRITABLE))
        return false;
    const struct iovec iov = {s->ex.out.p, s->ex.out.n};
    size_t w = conn_writev(l, c, &iov, 1);
    if (w < s->ex.out.n && w > 0)
        output_took(&s->clients, &s->ex, c, w);
    else if (w > 0)
        s->ex.out.n = 0;
    return s->ex.out.n == 0;
}

void loop_flush(struct loop *l, struct conn *c)
{
    struct server *s = &l->server;
    bool hold = s->hold.on && c->state != CONN_DOOMED && hold_delays(&s->broker, &s->hold, c) &&
                (s->ex.out.n > 0 || c->out != 0 || s->ex.tail_pieces > 0);
    if (hold)
        queue_put(&s->clients.conns, c, QUEUE_HELD);
    if (!hold && flush_answer(l, c))
        return;
    for (size_t done = 0; !hold && c->flags & CONN_WRITABLE && c->state != CONN_DOOMED;) {
        bool streams = conn_streams(c);
        unsigned n = s->ex.tail_pieces < PIECES_MAX ? s->ex.tail_pieces : PIECES_MAX, before = 0;
        struct iovec *iov = streams                 ? stream_next(l, c, &n)
                            : s->ex.tail_pieces > 0 ? s->ex.tail
                                                    : l->t.own.iov;
        if (c->state == CONN_DOOMED)
            break;
        if (!conn_inside(c))
            before = output_pieces(&s->clients, &s->ex, c, iov);
        if (before + n == 0) {
            conn_drained(l, c);
            break;
        }
        size_t w = conn_write(l, c, iov - before, before + n);
        if (w == 0)
            continue;
        size_t rest = before > 0 ? output_took(&s->clients, &s->ex, c, w) : w;
        if (streams && n > 0)
            subscriber_sent(&s->broker, &s->stat, c, &l->t.own, rest);
        else if (!streams)
            output_tail_took(&s->ex, rest);
        if ((done += w) >= WRITE_BUDGET) {
            queue_put(&s->clients.conns, c, QUEUE_READY);
            break;
        }
    }
    if (c->state != CONN_DOOMED)
        pending_keep(l, c);
    s->ex.out.n = 0;
    s->ex.tail_pieces = 0;
}

/* ---- fan-out --------------------------------------------------------------------------------- */

static inline void wake(struct loop *l, struct conn *c)
{
    struct server *s = &l->server;
    subscriber_wake(s, c, false);
    if (c->state == CONN_WAIT)
        return;
    loop_flush(l, c);
    if (c->in != 0 || c->flags & (CONN_READABLE | CONN_EOF))
        queue_put(&s->clients.conns, c, QUEUE_READY); /* its next request is here */
}

void loop_wake(struct loop *l, struct conn *c)
{
    wake(l, c);
}

/* Returns true if the share is right for this subscriber: it is at a place that the share covers,
 * between two records. */
static inline bool fan_shares(const struct conn *c, const struct share *share)
{
    return c->stream.sent == 0 && c->place.at >= share->low && c->place.at <= share->first;
}

/* Writes a share to a subscriber. */
static inline void fan_write(struct loop *l, struct conn *c, const struct share *share)
{
    struct server *s = &l->server;
    size_t w = share->size <= WRITE_BUDGET ? conn_writev(l, c, share->iov, share->pieces)
                                           : conn_write(l, c, share->iov, share->pieces);
    if (w < share->whole) {
        if (w > 0) {
            s->stat.delivered += subscriber_advance(&s->broker, c, share, w);
            loop_flush(l, c);
        }
        return;
    }
    c->place.at = share->end;
    c->place.n = share->n;
    s->stat.delivered += share->records;
    if (share->end < ring_head(&s->ring))
        queue_put(&s->clients.conns, c, QUEUE_READY);
}

/* Serves a subscriber of entry `id` for which no share is built. */
static void fan_other(struct loop *l, uint32_t id, struct conn *c, struct share *share)
{
    struct server *s = &l->server;
    if (c->stream.sent == 0 && c->place.at >= ring_tail(&s->ring)) {
        share_build(share, &s->broker, id, c->place.at, 0,
                    transport_form((enum conn_transport)c->transport), SHARE_BYTES);
        share_join(share);
    }
    if (fan_shares(c, share))
        fan_write(l, c, share);
    else
        loop_flush(l, c); /* overtaken, or without pending messages */
}

/* Serves a subscriber of entry `id`, with the share of all that are at the same place and have the
 * same transport. */
static inline void fan_one(struct loop *l, uint32_t id, struct conn *c)
{
    struct share *share = &l->t.same[c->transport % TABLES_SAME];
    if (c->state == CONN_WAIT)
        wake(l, c);
    else if ((c->flags & (CONN_WRITABLE | CONN_READY)) != CONN_WRITABLE || c->out != 0)
        return; /* it lags, and goes on by itself */
    else if (fan_shares(c, share))
        fan_write(l, c, share);
    else
        fan_other(l, id, c, share);
}

/* Goes on with a walk for at most `left` subscribers. Returns how many of `left` remain. */
static unsigned fan_entry(struct loop *l, const struct topic_walk *w, unsigned left)
{
    struct server *s = &l->server;
    unsigned had = left;
    for (unsigned i = 0; i < TABLES_SAME; i++)
        l->t.same[i].first = 0;
    for (; left > 0 && topic_walk_left(w) && !loop_spent(l, LOOP_CHEAP); left--)
        fan_one(l, w->id, conn_of_link(topic_walk_next(&s->topics, w)));
    if (topic_walk_timed(w, had - left))
        stat_observe(&s->stat.delivery, (uint32_t)clock_us(CLOCK_MONOTONIC) - topic_walk_since(w));
    return left;
}

void loop_fanout_some(struct loop *l)
{
    struct server *s = &l->server;
    unsigned left = FANOUT_MAX;
    struct topic_walk w;
    loop_phase(l, LOOP_PHASE_US);
    while (left > 0 && !loop_spent(l, 1) && topic_walk_begin(&s->topics, &w)) {
        left = fan_entry(l, &w, left);
        if (topic_walk_end(&s->topics, &w))
            serve_release(&s->broker, w.id);
    }
}
