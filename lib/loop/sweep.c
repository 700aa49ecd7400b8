/*
 * sweep.c - see sweep.h.
 */
#include "lib/loop/sweep.h"

#include "lib/loop/end.h"
#include "lib/loop/read.h"
#include "lib/loop/write.h"
#include "lib/serve/publish.h"
#include "lib/serve/queue.h"
#include "lib/serve/subscriber.h"
#include "lib/serve/timeouts.h"

enum {
    EXPIRES_MAX = 4096, /* messages that --max-age evicts in a tick */
};

/* Sends a heartbeat to a subscriber that was sent nothing for a while. */
static void heartbeat(struct loop *l, struct conn *c)
{
    struct server *s = &l->server;
    loop_flush(l, c); /* pending messages serve as well */
    if (!conn_streams(c) || !(c->flags & CONN_WRITABLE) || c->tick == (uint32_t)s->clock.now ||
        (c->link.topic != 0 && c->place.at < ring_head(&s->ring)))
        return;
    subscriber_heartbeat(s, c);
    loop_flush(l, c);
}

/* Returns true if the peer's time to send or take something is up. */
static bool is_over_timeout(struct loop *l, const struct conn *c)
{
    struct server *s = &l->server;
    enum conn_due due = conn_due(c, s->clock.now, &l->times);
    return due == CONN_DUE_REQUEST || due == CONN_DUE_IDLE || due == CONN_DUE_WRITE ||
           due == CONN_DUE_PONG ||
           (c->state == CONN_BODY && body_message_late(&s->config, &s->clients, &s->clock, c));
}

/* Reads and writes the socket once more before a timeout: if the process was stopped, the peer may
 * have been in time without an event so far. Returns false if there is more to do, so that its time
 * is not up, or if the connection has ended. */
static bool is_heard(struct loop *l, struct conn *c)
{
    struct server *s = &l->server;
    if (!(c->flags & CONN_READY)) {
        c->flags |= CONN_READABLE | CONN_WRITABLE;
        s->ex.brief = true;
        loop_serve(l, c);
        s->ex.brief = false;
    }
    return !(c->flags & CONN_READY) && c->state != CONN_DOOMED;
}

static void sweep_conn(struct loop *l, struct conn *c)
{
    struct server *s = &l->server;
    if (is_over_timeout(l, c) && !is_heard(l, c))
        return;
    count_lag(&s->broker, c, &l->lag);
    if (c->flags & CONN_STARVED) {
        c->flags = (uint16_t)((c->flags & ~CONN_STARVED) | CONN_WRITABLE);
        queue_put(&s->clients.conns, c, QUEUE_READY);
    }
    if (c->flags & CONN_HELD)
        return; /* the disk is late, not the client */
    if (timeouts_end_stalled(s, c)) {
        loop_flush(l, c);
        return;
    }
    const char *reason = timeouts_slow_reader(&s->config, &s->clients, &s->clock, &s->stat, c);
    if (reason != NULL) {
        loop_doom(l, c, reason);
        return;
    }
    enum conn_due due = conn_due(c, s->clock.now, &l->times);
    switch (due) {
    case CONN_DUE_NOTHING:
        return;
    case CONN_DUE_HEARTBEAT:
        heartbeat(l, c);
        return;
    case CONN_DUE_ANSWER:
        subscriber_wake(s, c, true);
        loop_flush(l, c);
        queue_put(&s->clients.conns, c, QUEUE_READY); /* its next request may be here */
        return;
    case CONN_DUE_REQUEST:
    case CONN_DUE_IDLE:
    case CONN_DUE_WRITE:
    case CONN_DUE_LINGER:
    case CONN_DUE_PONG:
        if ((reason = timeouts_apply(s, c, due)) != NULL)
            loop_doom(l, c, reason);
        else
            loop_flush(l, c);
        return;
    }
}

/* Adds the slices that are due to what is left. A turn that comes late, as others use the machine,
 * has more than one, or a sweep would take as many late turns as it has slices. */
static void slices_due(struct loop *l)
{
    uint64_t most = l->server.clients.conns.top + LOOP_SLICES, slice = most / LOOP_SLICES;
    uint64_t left = l->sweep_left + (l->server.clock.now - l->swept) / l->slice_ms * slice;
    l->sweep_left = (uint32_t)(left < most ? left : most);
    l->swept = l->server.clock.now;
}

void loop_sweep_some(struct loop *l)
{
    struct server *s = &l->server;
    if (s->clock.now - l->swept >= l->slice_ms) {
        slices_due(l);
        acceptor_tick(&l->acceptor);
        conn_buffers_give_back(&s->clients.conns);
        clock_wake(&l->clock, s);
        if (s->config.opt.max_age_ms > 0 && s->ring.clock_ms > s->config.opt.max_age_ms)
            s->stat.aged +=
                broker_expire(&s->broker, s->ring.clock_ms - s->config.opt.max_age_ms, EXPIRES_MAX);
        whole_tell(s);
    }
    loop_phase(l, LOOP_PHASE_US);
    for (; l->sweep_left > 0 && !loop_spent(l, LOOP_CHEAP); l->sweep_left--) {
        if (l->sweep == 0 || l->sweep > s->clients.conns.top) {
            l->sweep = 1;
            s->lag = l->lag;
            l->lag = (struct lag){0, 0};
        }
        sweep_conn(l, &s->clients.conns.conn[l->sweep++]);
    }
}
