/*
 * subscriber.c - what subscribers of all transports share: the next messages, gaps, heartbeats, the
 * end.
 */
#include "lib/serve/subscriber.h"
#include "lib/serve/answer.h"
#include "lib/serve/conn.h"
#include "lib/serve/output.h"
#include "lib/serve/server.h"
#include "lib/serve/start.h"
#include "lib/serve/transport.h"

/* ---- what comes next ------------------------------------------------------------------------- */

bool subscriber_next(const struct broker *broker, struct stat_counters *stat, struct conn *c,
                     struct share *share)
{
    enum form form = transport_form((enum conn_transport)c->transport);
    uint32_t id = c->link.topic;
    bool conflates = (c->flags & CONN_CONFLATE) != 0;
    if (c->stream.sent > 0)
        share_build(share, broker, id, c->place.at, c->stream.sent, form, 1);
    else if (conflates)
        share_build_newest(share, broker, id, c->place.at, form, SHARE_BYTES);
    else
        share_build(share, broker, id, c->place.at, 0, form, SHARE_BYTES);
    if (share->records > 0)
        return true;
    if (conflates)
        stat->conflated += share_left_out(share, broker, id, c->place.at, share->end);
    c->place.at = share->end;
    return false;
}

void subscriber_sent(const struct broker *broker, struct stat_counters *stat, struct conn *c,
                     const struct share *share, size_t w)
{
    uint64_t from = c->place.at;
    stat->delivered += subscriber_advance(broker, c, share, w);
    if (c->flags & CONN_CONFLATE)
        stat->conflated += share_left_out(share, broker, c->link.topic, from, c->place.at);
}

/* Keeps the rest of a partly written record, and moves the subscriber past it. Returns false if
 * there is no room. */
static bool settle_record(const struct broker *broker, struct clients *clients,
                          struct stat_counters *stat, struct exchange *ex, struct conn *c)
{
    struct share *share = &ex->poll;
    bool room = true;
    while (room && c->stream.sent > 0) {
        share_build(share, broker, c->link.topic, c->place.at, c->stream.sent,
                    transport_form((enum conn_transport)c->transport), 1);
        for (unsigned i = 0; room && i < share->pieces; i++)
            room = conn_out_keep(&clients->conns, c,
                                 (struct span){share->iov[i].iov_base, share->iov[i].iov_len});
        if (room)
            subscriber_sent(broker, stat, c, share, share->size);
    }
    return room;
}

/* Returns true if the record at `at` that a subscriber is inside was evicted or purged. */
static bool is_gone(const struct broker *broker, uint64_t at)
{
    return at < ring_tail(broker->ring) || broker_topic(broker, at) == 0;
}

bool subscriber_finish_record(const struct broker *broker, struct clients *clients,
                              struct stat_counters *stat, struct exchange *ex, struct conn *c)
{
    struct span kept = conn_out(&clients->conns, c);
    uint32_t old = c->out;
    const struct conn_stream was = c->stream;
    if (!conn_inside(c))
        return true;
    if (is_gone(broker, c->place.at))
        return false;
    c->out = 0;
    if (!settle_record(broker, clients, stat, ex, c) || !conn_out_keep(&clients->conns, c, kept)) {
        conn_buffer_free(&clients->conns, &c->out);
        c->out = old;
        c->stream = was;
        serve_count_buffer_limit(clients, stat);
        return false;
    }
    conn_buffer_free(&clients->conns, &old);
    return true;
}

/* ---- topics that have ended ------------------------------------------------------------------ */

#define ENDED_MOST 2048u /* bytes that tell of one: a byte of its name may be six in JSON */

bool subscriber_tell_ended(struct server *s, struct conn *c, struct span names)
{
    const struct transport *transport = transport_of(c);
    while (names.n > 0 && transport->ended != NULL) {
        struct span name = span_cut(&names, ',');
        uint64_t n = broker_ended_before(&s->broker, name, c->place.at);
        if (n == 0)
            continue;
        if (s->ex.out.cap - s->ex.out.n < ENDED_MOST) {
            if (!output_keep(&s->clients, &s->ex, c)) {
                serve_count_buffer_limit(&s->clients, &s->stat);
                return false;
            }
            s->ex.out.n = 0;
        }
        transport->ended(s, c, name, n);
    }
    return true;
}

void subscriber_over(struct server *s, struct conn *c)
{
    if (broker_over(&s->broker, c->link.topic, c->place.at))
        transport_of(c)->over(s, c);
}

/* ---- the end --------------------------------------------------------------------------------- */

void subscriber_leave(struct broker *broker, const struct clients *clients, struct conn *c)
{
    uint32_t id = c->link.topic;
    if (id == 0)
        return;
    topic_unsubscribe(broker->topics, (uint32_t)conn_fd(&clients->conns, c));
    serve_release(broker, id);
}

void subscriber_send_away(struct server *s, struct conn *c)
{
    if (conn_streams(c) || c->state == CONN_WAIT)
        transport_of(c)->away(s, c);
}

void subscriber_expire(struct server *s, struct conn *c)
{
    s->stat.expired++;
    transport_of(c)->expired(s, c);
}

void subscriber_revoke(struct server *s, struct conn *c)
{
    s->stat.revoked++;
    transport_of(c)->expired(s, c);
}

/* ---- subscribers that are overtaken, or quiet ------------------------------------------------ */

bool subscriber_check(struct server *s, struct conn *c)
{
    struct gap gap;
    if (conn_inside(c) && is_gone(&s->broker, c->place.at)) {
        s->stat.overtaken++;
        return false;
    }
    if (gap_if_overtaken(&s->broker, &s->stat, c, &gap))
        transport_of(c)->gap(s, c, &gap);
    return true;
}

void subscriber_heartbeat(struct server *s, struct conn *c)
{
    uint64_t since = ring_head(&s->ring) - ring_find(&s->ring, c->place.n);
    bool old = since > s->config.opt.ring / 2 || c->place.n < ring_lost(&s->ring);
    s->stat.heartbeats++;
    transport_of(c)->heartbeat(s, c, old);
}

void subscriber_wake(struct server *s, struct conn *c, bool timeout)
{
    transport_of(c)->wake(s, c, timeout);
}
