/*
 * held.c - see held.h.
 */
#include "lib/loop/held.h"

#include "lib/host/commit.h"
#include "lib/loop/end.h"
#include "lib/loop/write.h"
#include "lib/serve/answer.h"
#include "lib/serve/hold.h"
#include "lib/serve/queue.h"
#include "lib/serve/timeouts.h"
#include "lib/topic/fanout.h"

#include <sysexits.h>

/* Answers clients that waited for a sync. */
static void held_release(struct loop *l)
{
    struct server *s = &l->server;
    bool spent = false; /* the rest are ready, and are first the next time */
    for (uint32_t n = s->clients.conns.held_count; n > 0; n--) {
        struct conn *c = queue_take(&s->clients.conns, QUEUE_HELD);
        if (c == NULL)
            continue;
        if (hold_delays(&s->broker, &s->hold, c)) {
            queue_put(&s->clients.conns, c, QUEUE_HELD);
            continue;
        }
        c->tick = (uint32_t)s->clock.now;
        if (!(spent = spent || loop_spent(l, 1)))
            loop_flush(l, c);
        if (spent || c->flags & (CONN_READABLE | CONN_EOF) || c->in != 0)
            queue_put(&s->clients.conns, c, QUEUE_READY);
    }
}

/* Shows the messages that a sync has covered, as far as `all` or the phase allows; then answers the
 * clients that waited for it. */
static void held_show(struct loop *l, bool all)
{
    struct server *s = &l->server;
    loop_phase(l, LOOP_PHASE_US);
    while (ring_head(&s->ring) < s->hold.to &&
           (all || (!loop_spent(l, LOOP_CHEAP) && !broker_show_waits(&s->broker))))
        topic_mark(&s->topics, broker_show(&s->broker));
    if (ring_head(&s->ring) < s->hold.to)
        return;
    s->hold.running = 0;
    held_release(l);
}

/* Refuses what a client has published, as its sync failed. Further input is dropped, as closing a
 * socket with unread bytes would discard what was written. */
static void held_refuse(struct loop *l, struct conn *c)
{
    struct server *s = &l->server;
    if (c->state == CONN_WAIT || c->state == CONN_STREAM) {
        loop_doom(l, c, "the store could not be synced");
        return;
    }
    if (c->out != 0)
        serve_refuse_unsynced(s, c);
    loop_flush(l, c);
}

void loop_store_failed(struct loop *l, int err)
{
    struct server *s = &l->server;
    commit_result(s, err);
    l->code = EX_IOERR;
    l->stop = true;
    s->hold.running = 0;
    s->hold.more = false;
    s->hold.to = ring_end(&s->ring); /* nobody waits any more */
    for (uint32_t n = s->clients.conns.held_count; n > 0; n--) {
        struct conn *c = queue_take(&s->clients.conns, QUEUE_HELD);
        if (c != NULL)
            held_refuse(l, c);
    }
}

void loop_commit(struct loop *l)
{
    struct server *s = &l->server;
    int err = s->hold.running != 0 ? store_sync_result(&l->t.store) : 1;
    if (err < 0)
        loop_store_failed(l, err);
    else if (err == 0)
        held_show(l, false);
    if (!l->stop && s->hold.running == 0 && (s->ring.h->held > 0 || s->hold.more) && !l->up.passed)
        commit_begin(&l->t, s);
}

void loop_commit_settle(struct loop *l)
{
    struct server *s = &l->server;
    while (l->code == EX_OK && (s->ring.h->held > 0 || s->hold.more || s->hold.running != 0)) {
        if (s->hold.running == 0)
            commit_begin(&l->t, s);
        int err = store_sync_wait(&l->t.store);
        if (err < 0)
            loop_store_failed(l, err);
        else
            held_show(l, true);
    }
}
