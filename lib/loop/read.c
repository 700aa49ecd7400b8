/*
 * read.c - see read.h.
 */
#include "lib/loop/read.h"

#include "lib/loop/end.h"
#include "lib/loop/write.h"
#include "lib/serve/answer.h"
#include "lib/serve/hold.h"
#include "lib/serve/queue.h"
#include "lib/serve/route.h"
#include "lib/serve/transport.h"

#include <errno.h>
#include <sys/socket.h>

enum {
    LINGER_MAX = 16 << 20, /* most bytes read from a refused client */
    HEAVY = 2 << 10,       /* a client that has sent more, or takes long, comes after others, ... */
    HEAVY_READ = 2 << 10,  /* ... and so much is read from it at a time */
};

/* The one place where a client's socket is read: once, into buf[0..LOOP_READ). Returns the number
 * of bytes; records the end of input. `peeks`: they stay in the socket. */
static size_t conn_recv(struct loop *l, struct conn *c, char *buf, bool peeks)
{
    struct server *s = &l->server;
    size_t most = c->marks & CONN_HEAVY ? HEAVY_READ : l->read_most;
    ssize_t n;
    do
        n = recv(conn_fd(&s->clients.conns, c), buf, most, peeks ? MSG_PEEK : 0);
    while (n == -1 && errno == EINTR);
    /* a short read has emptied the socket, and more input makes an edge; but an end that epoll has
     * reported must still be read */
    if (n < (ssize_t)most && (n <= 0 || !(c->flags & CONN_EOF)))
        c->flags &= (uint16_t)~CONN_READABLE;
    if (n == 0)
        c->flags |= CONN_EOF;
    else if (n == -1 && errno != EAGAIN)
        loop_socket_error(l, c, errno);
    s->stat.received_bytes += n > 0 && !peeks ? (uint64_t)n : 0;
    c->marks = (uint16_t)((c->marks & ~CONN_HEAVY) | (n >= HEAVY ? CONN_HEAVY : 0));
    return n > 0 ? (size_t)n : 0;
}

/* Removes n of `got` peeked bytes from the socket; the rest stays there. */
static void conn_drop_peeked(struct loop *l, struct conn *c, size_t n, size_t got)
{
    struct server *s = &l->server;
    ssize_t r;
    if (n < got)
        c->flags |= CONN_READABLE;
    if (n == 0)
        return;
    do
        r = recv(conn_fd(&s->clients.conns, c), l->in_bytes, n, 0);
    while (r == -1 && errno == EINTR);
    if (r != (ssize_t)n)
        loop_doom(l, c, "what had come is gone");
    s->stat.received_bytes += n;
}

/* Returns true if input is left in the socket until it is handled, so that what cannot be handled
 * in this turn takes no buffer: from clients that send much, and from all while buffers are
 * short. */
static bool input_peeks(struct loop *l, const struct conn *c)
{
    struct server *s = &l->server;
    if (!(c->marks & CONN_HEAVY) &&
        pool_used(&s->clients.conns.buffers) + 2 * (size_t)LOOP_READ + LOOP_BUFFER <=
            s->config.opt.max_buffers)
        return false;
    return c->state == CONN_HEAD || c->state == CONN_BODY || c->state == CONN_SOCKET;
}

/* Returns true if, with --fsync always, a request has to wait for a sync: one that publishes, if
 * enough is held; any other, if its client has published, as its answer may include that. Earlier
 * answers are written first. */
static bool request_waits(struct loop *l, struct conn *c, char first)
{
    struct server *s = &l->server;
    bool publishes = first == 'P'; /* POST, PUT */
    if (publishes && s->ex.out.n > 0 && !hold_delays(&s->broker, &s->hold, c))
        loop_flush(l, c);
    return publishes ? hold_is_full(&s->broker) : hold_delays(&s->broker, &s->hold, c);
}

/* Returns true if the next step of a connection in any state has to wait for a sync; `first` is its
 * first byte. */
static bool step_waits(struct loop *l, struct conn *c, char first)
{
    struct server *s = &l->server;
    if (c->state == CONN_HEAD)
        return request_waits(l, c, first);
    return hold_is_full(&s->broker) &&
           (c->state == CONN_BODY || hold_delays(&s->broker, &s->hold, c));
}

/* Notes that a connection has published, or has published again what waits for a sync. */
static void conn_mark_published(struct loop *l, struct conn *c)
{
    struct server *s = &l->server;
    int group = s->hold.put, had = (c->marks & CONN_GROUP) >> CONN_GROUP_SHIFT;
    if (had == s->hold.group && ring_end(&s->ring) > s->hold.to)
        group = had; /* it waits for the later one already */
    s->hold.put = 0;
    c->marks = (uint16_t)((c->marks & ~CONN_GROUP) | group << CONN_GROUP_SHIFT);
}

/* Handles buf[0..len), step by step: requests, parts of a body, frames. Returns the bytes handled.
 * Stops with s->ex.pause set when the phase is over or a request is postponed; with l->waits set
 * when the next step has to wait for a sync; and while a client does not read its answers. */
static size_t handle(struct loop *l, struct conn *c, char *buf, size_t len, size_t seen)
{
    struct server *s = &l->server;
    size_t off = 0, used = 1;
    s->ex.pause = s->ex.postponed = l->waits = false;
    if (c->marks & CONN_PREFACE && len > 0) {
        int n = acceptor_proxy_header(&l->acceptor, c, (struct span){buf, len});
        if (n < 0) {
            loop_doom(l, c, "no PROXY header (--proxy-protocol)");
            return len;
        }
        off = used = (size_t)n;
        seen = 0;
    }
    while (off < len && used > 0 && !s->ex.pause &&
           (c->state == CONN_HEAD || c->state == CONN_BODY || c->state == CONN_SOCKET)) {
        if (s->ex.out.cap - s->ex.out.n < SERVE_ROOM || s->ex.tail_pieces > 0)
            loop_flush(l, c);
        l->waits = s->hold.on && step_waits(l, c, buf[off]);
        if (l->waits || c->state == CONN_DOOMED || (c->state == CONN_HEAD && c->out != 0))
            break;
        broker_catch_up(&s->broker); /* what other workers have acknowledged is to be there */
        used = serve_input(s, c, buf + off, len - off, seen);
        if (s->hold.put)
            conn_mark_published(l, c);
        off += used;
        seen = 0;
        if (off < len && (s->ex.postponed || (used > 0 && loop_spent(l, 1))))
            s->ex.pause = true;
    }
    return off;
}

/* Keeps buf[0..n), input that is not handled: of a head, `seen` bytes of which were parsed, until
 * more comes; or input that has to wait. */
static void input_keep(struct loop *l, struct conn *c, const char *buf, size_t n, size_t seen)
{
    struct server *s = &l->server;
    if (c->state == CONN_WAIT && n > s->config.opt.max_head) {
        s->stat.limit_head++;
        loop_doom(l, c, "sends more than --max-head behind a long poll");
        return;
    }
    if (conn_in_keep(&s->clients.conns, c, (struct span){buf, n}, seen))
        return;
    if (c->state == CONN_HEAD && s->ex.out.cap - s->ex.out.n >= SERVE_ROOM &&
        !(c->marks & CONN_PREFACE)) {
        serve_refuse_no_buffer(s, c);
        return;
    }
    loop_doom(l, c, serve_count_buffer_limit(&s->clients, &s->stat));
}

/* Keeps the unhandled rest of kept + got bytes of input. Peeked bytes stay in the socket, but those
 * of an incomplete head are kept as if read. */
static void input_rest(struct loop *l, struct conn *c, size_t kept, size_t got, size_t used,
                       bool peeks)
{
    struct server *s = &l->server;
    size_t rest = kept + got - used, left = 0;
    if (c->state != CONN_HEAD && c->state != CONN_WAIT && c->state != CONN_BODY &&
        c->state != CONN_SOCKET)
        rest = 0; /* it is dropped */
    bool part = c->state == CONN_HEAD && c->out == 0 && !s->ex.pause && !l->waits;
    if (peeks && !part)
        left = rest < got ? rest : got;
    rest -= left;
    if (rest > 0)
        input_keep(l, c, l->in_bytes + used, rest, part || left > 0 ? rest : 0);
    if (peeks && c->state != CONN_DOOMED)
        conn_drop_peeked(l, c, got - left, got);
}

/* Reads from a connection once, and handles the input. */
static void conn_input(struct loop *l, struct conn *c)
{
    struct server *s = &l->server;
    size_t seen = 0, kept = 0, got = 0;
    bool peeks = false;
    if (c->marks & CONN_KEPT)
        kept = conn_in_take(&s->clients.conns, c, l->in_bytes, &seen);
    if (c->flags & CONN_READABLE && seen == kept) { /* kept input comes first */
        peeks = input_peeks(l, c);
        got = conn_recv(l, c, l->in_bytes + kept, peeks);
    }
    if (c->state == CONN_DOOMED)
        return;
    bool begins = c->state == CONN_HEAD && kept == 0 && !(c->marks & CONN_PREFACE);
    if ((got > 0 && begins) || (c->state == CONN_BODY && kept + got > 0))
        c->tick = (uint32_t)s->clock.now; /* a head's time begins with its first byte */
    if (c->state == CONN_LINGER && (c->linger.dropped += got) > LINGER_MAX)
        loop_doom(l, c, "refused, and sends on");
    size_t used = handle(l, c, l->in_bytes, kept + got, seen);
    if (peeks || used < kept + got)
        input_rest(l, c, kept, got, used, peeks);
    loop_flush(l, c);
    if (c->state == CONN_DOOMED)
        return;
    if (s->ex.pause)
        c->marks |= CONN_HEAVY;
    if (l->waits)
        queue_put(&s->clients.conns, c, QUEUE_HELD);
    else if (s->ex.postponed)
        queue_put(&s->clients.conns, c, QUEUE_SOON);
    else if (c->flags & CONN_READABLE || s->ex.pause)
        queue_put(&s->clients.conns, c, QUEUE_READY);
    else if (c->flags & CONN_EOF && c->out == 0)
        loop_doom(l, c, "closed by the peer");
}

void loop_serve(struct loop *l, struct conn *c)
{
    struct server *s = &l->server;
    if (c->flags & CONN_WRITABLE && (c->out != 0 || c->flags & CONN_CLOSE || conn_streams(c)))
        loop_flush(l, c);
    if (c->state == CONN_WAIT && c->flags & CONN_EOF)
        loop_doom(l, c, "closed by the peer");
    if (c->state == CONN_WAIT && transport_of(c)->kind == CONN_KIND_WAIT &&
        c->place.at < ring_head(&s->ring))
        loop_wake(l, c); /* it has not searched the whole ring yet */
    if (c->state == CONN_DOOMED || c->state == CONN_WAIT ||
        (c->out != 0 && c->state != CONN_LINGER))
        return;
    if (s->hold.on && hold_is_full(&s->broker) &&
        (c->state == CONN_BODY ||
         (c->state == CONN_SOCKET && hold_delays(&s->broker, &s->hold, c)))) {
        queue_put(&s->clients.conns, c, QUEUE_HELD);
        return;
    }
    if (c->flags & (CONN_READABLE | CONN_EOF) || c->marks & CONN_KEPT)
        conn_input(l, c);
}
