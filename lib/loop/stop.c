/*
 * stop.c - see stop.h.
 */
#include "lib/loop/stop.h"

#include "lib/host/announce.h"
#include "lib/loop/end.h"
#include "lib/loop/read.h"
#include "lib/loop/write.h"
#include "lib/serve/answer.h"
#include "lib/serve/subscriber.h"

void loop_drain_begin(struct loop *l, const char *why)
{
    struct server *s = &l->server;
    announce_stopping(s, why);
    s->clients.draining = true;
    acceptor_close(&l->acceptor);
    drain_start(&l->drain, s->clock.now, s->clients.conns.clients, s->clients.conns.top,
                s->config.opt.drain_ms);
}

/* Ends one connection, unless it is inside a message. Returns false if it first gets pending
 * messages, and another turn, unless it has had enough. */
static bool drain_conn(struct loop *l, struct conn *c, bool again)
{
    struct server *s = &l->server;
    if (c->state < CONN_HEAD || c->state == CONN_DOOMED || c->state == CONN_LINGER)
        return true;
    if (c->state == CONN_HEAD)
        c->flags |= CONN_READABLE; /* a request may have come without an event so far */
    loop_serve(l, c);              /* that and pending messages go first */
    bool behind = conn_streams(c) && c->flags & CONN_WRITABLE && c->link.topic != 0 &&
                  c->place.at < ring_head(&s->ring);
    if (again && (behind || c->flags & (CONN_HELD | CONN_READY)))
        return false;
    s->stat.drained++;
    if (c->state == CONN_HEAD && c->in == 0 && c->out == 0)
        loop_doom(l, c, "stopping");
    else if (c->state == CONN_HEAD && c->in == 0)
        serve_linger(&s->clients, c);
    if (c->state != CONN_DOOMED) {
        subscriber_send_away(s, c);
        loop_flush(l, c);
    }
    return true;
}

void loop_drain(struct loop *l)
{
    struct server *s = &l->server;
    uint32_t to = drain_to(&l->drain, s->clock.now);
    bool done = true;
    loop_phase(l, LOOP_PHASE_US);
    while (done && l->drain.next <= to && !loop_spent(l, 1)) {
        done = drain_conn(l, &s->clients.conns.conn[l->drain.next], drain_waits(&l->drain));
        drain_went(&l->drain, done);
    }
    l->stop |= drain_over(&l->drain, s->clock.now, s->clients.conns.clients);
}
