/*
 * subscribe.c - streams over HTTP: Server-Sent Events, and a JSON object a line; and what all who
 * are subscribed are told when they are overtaken, or have had nothing for a while.
 */
#include "lib/serve/access.h"
#include "lib/serve/start.h"
#include "lib/stream.h"

/* ---- beginning ------------------------------------------------------------------------------- */

/* Appends the answer head of a stream, with where it begins unless that is NULL. Its end is the
 * close: no length, no chunks. */
static void stream_head(struct server *s, enum conn_way way, const struct cursor *id)
{
    s->ask.way = way == WAY_EVENTS ? "sse" : "ndjson";
    serve_answer_head(s, 200);
    serve_log_answer(s, 200, 0);
    text_str(&s->out, way == WAY_EVENTS ? "Content-Type: text/event-stream; charset=utf-8\r\n"
                                        : "Content-Type: application/x-ndjson\r\n");
    if (way != WAY_EVENTS && id != NULL) {
        text_str(&s->out, "Last-Event-ID: ");
        cursor_write(&s->out, *id);
        text_str(&s->out, "\r\n");
    }
    /* no-transform: a gateway that compresses would hold messages back */
    text_str(&s->out, "Cache-Control: no-store, no-transform\r\n"
                      "X-Accel-Buffering: no\r\n"
                      "Connection: close\r\n"
                      "\r\n");
}

/* xorshift64: for jitter, not for secrets. */
static uint64_t random_below(struct server *s, uint64_t n)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return n > 0 ? s->random % n : 0;
}

/* What --retry says, give or take a quarter, so that those who lost their connections at once don't
 * come back at once. */
static uint64_t retry_ms(struct server *s)
{
    return s->opt.retry_ms - s->opt.retry_ms / 4 + random_below(s, s->opt.retry_ms / 2 + 1);
}

void serve_stream_away(struct server *s)
{
    struct cursor newest = ring_newest(&s->ring);
    stream_head(s, WAY_EVENTS, &newest);
    if (s->ask.method != HTTP_HEAD) /* one that would begin now shall miss nothing until it may */
        stream_open(&s->out, retry_ms(s), serve_starts_now(s) ? &newest : NULL);
}

/* Appends a gap to a stream, in the form it has. */
static void stream_gap_write(struct server *s, const struct conn *c, const struct gap *gap)
{
    struct text *t = &s->out;
    if (c->way == WAY_EVENTS) {
        stream_gap(t, gap->reason, gap->after, gap->resume, gap->any);
        return;
    }
    text_str(t, "{\"gap\":");
    stream_gap_object(t, gap->reason, gap->after, gap->resume, gap->any);
    text_str(t, "}\n");
}

void serve_refuse_draining(struct server *s, struct conn *c)
{
    serve_refuse(s, c, 503, "Retry-After: 5\r\n", "the server is stopping: come back in a moment",
                 NULL);
}

/* Turns a new subscriber away, as the server ends. */
static void subscribe_draining(struct server *s, struct conn *c, enum conn_way way)
{
    if (way == WAY_EVENTS) {
        serve_stream_away(s);
        serve_answered_last(s, c);
    } else {
        serve_refuse_draining(s, c);
    }
}

void serve_subscribe(struct server *s, struct conn *c, struct span names, enum conn_way way)
{
    struct start start;
    uint32_t id;
    if (s->draining) {
        subscribe_draining(s, c, way);
        return;
    }
    if (!serve_options(s, c) || (id = serve_select(s, c, names, way == WAY_EVENTS)) == 0)
        return;
    bool hello =
        serve_query(s, SPAN("hello")).p != NULL; /* now: start.after may be in s->scratch */
    if (!serve_start(s, c, id, false, &start)) {
        serve_release(s, id);
        return;
    }
    const struct cursor *from = start.unreadable && start.gap != NULL ? NULL : &start.id;
    stream_head(s, way, from);
    if (s->ask.method == HTTP_HEAD) {
        serve_release(s, id);
        serve_answered_last(s, c);
        return;
    }
    if (way == WAY_EVENTS) {
        stream_open(&s->out, retry_ms(s), from);
        if (hello)
            stream_hello(&s->out, from);
    }
    if (way == WAY_LINES && from != NULL && hello) {
        stream_id_object(&s->out, *from, false);
        text_str(&s->out, "\n");
    }
    c->way = (uint8_t)way;
    c->place.at = start.at;
    c->place.n = start.id.n;
    c->stream.sent = 0;
    if (start.gap != NULL) {
        struct gap gap = {.after = start.after};
        serve_gap(s, c, id, start.gap, &gap);
        stream_gap_write(s, c, &gap);
    }
    access_keep(s, c);
    conn_go(&s->conns, c, CONN_STREAM);
    topic_subscribe(&s->topics, id, (uint32_t)conn_fd(&s->conns, c));
}

/* ---- what comes next ------------------------------------------------------------------------- */

bool serve_next(struct server *s, struct conn *c, struct share *share)
{
    enum form form = serve_form((enum conn_way)c->way);
    uint32_t id = c->link.topic;
    bool conflates = (c->flags & CONN_CONFLATE) != 0;
    if (c->stream.sent > 0)
        share_build(share, &s->broker, id, c->place.at, c->stream.sent, form, 1);
    else if (conflates)
        share_build_newest(share, &s->broker, id, c->place.at, form, SHARE_BYTES);
    else
        share_build(share, &s->broker, id, c->place.at, 0, form, SHARE_BYTES);
    if (share->records > 0)
        return true;
    if (conflates)
        s->stat.conflated += share_left_out(share, &s->broker, id, c->place.at, share->end);
    c->place.at = share->end;
    return false;
}

void serve_took(struct server *s, struct conn *c, const struct share *share, size_t w)
{
    uint64_t from = c->place.at;
    s->stat.delivered += serve_moved(s, c, share, w);
    if (c->flags & CONN_CONFLATE)
        s->stat.conflated += share_left_out(share, &s->broker, c->link.topic, from, c->place.at);
}

/* Keeps the rest of the record that a subscriber is inside; moves it on. False: there is no
 * room. */
static bool settle_record(struct server *s, struct conn *c)
{
    struct share *share = &s->poll;
    bool room = true;
    while (room && c->stream.sent > 0) {
        share_build(share, &s->broker, c->link.topic, c->place.at, c->stream.sent,
                    serve_form((enum conn_way)c->way), 1);
        for (unsigned i = 0; room && i < share->pieces; i++)
            room = conn_out_keep(&s->conns, c,
                                 (struct span){share->iov[i].iov_base, share->iov[i].iov_len});
        if (room)
            serve_took(s, c, share, share->size);
    }
    return room;
}

bool serve_settle(struct server *s, struct conn *c)
{
    struct span kept = conn_out(&s->conns, c);
    uint32_t old = c->out;
    const struct conn_stream was = c->stream;
    if (!conn_inside(c))
        return true;
    if (c->place.at < ring_tail(&s->ring))
        return false;
    c->out = 0;
    if (!settle_record(s, c) || !conn_out_keep(&s->conns, c, kept)) {
        conn_buffer_free(&s->conns, &c->out);
        c->out = old;
        c->stream = was;
        serve_count_full(s);
        return false;
    }
    conn_buffer_free(&s->conns, &old);
    return true;
}

/* ---- the end --------------------------------------------------------------------------------- */

void serve_leave(struct server *s, struct conn *c)
{
    uint32_t id = c->link.topic;
    if (id == 0)
        return;
    topic_unsubscribe(&s->topics, (uint32_t)conn_fd(&s->conns, c));
    serve_release(s, id);
}

/* Ends a stream, with these words for its last; where a record can't be brought to its end before,
 * without any. */
static void stream_end(struct server *s, struct conn *c, struct span words)
{
    if (serve_settle(s, c)) {
        text_add(&s->out, words);
    } else {
        conn_buffer_free(&s->conns, &c->out);
        c->stream.sent = 0;
    }
    serve_log_end(s, c, "stopping");
    serve_leave(s, c);
    serve_answered_last(s, c);
}

void serve_drain(struct server *s, struct conn *c)
{
    char bytes[64];
    struct text away = text_in(bytes, sizeof bytes);
    if (c->state == CONN_STREAM) {
        if (c->way == WAY_EVENTS)
            stream_open(&away, retry_ms(s), NULL);
        stream_end(s, c, text_span(&away));
    } else if (c->state == CONN_SOCKET) {
        serve_socket_away(s, c);
    } else if (c->state == CONN_WAIT) {
        serve_wake(s, c, true);
    }
}

void serve_expire(struct server *s, struct conn *c)
{
    s->stat.expired++;
    if (c->state == CONN_STREAM)
        stream_end(s, c,
                   c->way == WAY_EVENTS
                       ? SPAN("event: expired\ndata: {\"detail\":\"the token has expired\"}\n\n")
                       : SPAN("{\"expired\":{\"detail\":\"the token has expired\"}}\n"));
    else if (c->state == CONN_SOCKET)
        serve_socket_expired(s, c);
    else
        serve_wake(s, c, true);
}

/* ---- subscribers that are overtaken, or quiet ------------------------------------------------ */

bool serve_stream_check(struct server *s, struct conn *c)
{
    struct gap gap;
    if (conn_inside(c) && c->place.at < ring_tail(&s->ring)) {
        s->stat.overtaken++;
        return false;
    }
    if (serve_lagged(s, c, &gap)) {
        if (c->state == CONN_SOCKET)
            serve_socket_gap(s, c, &gap);
        else
            stream_gap_write(s, c, &gap);
    }
    return true;
}

void serve_heartbeat(struct server *s, struct conn *c)
{
    struct cursor newest = ring_newest(&s->ring);
    uint64_t since = ring_head(&s->ring) - ring_find(&s->ring, c->place.n);
    bool old = since > s->opt.ring / 2 || c->place.n < ring_lost(&s->ring);
    s->stat.heartbeats++;
    if (c->state == CONN_SOCKET) {
        serve_socket_ping(s, c, old);
        return;
    }
    bool seen = (c->marks & CONN_BEATS) != 0;
    if (!old && !seen) {
        text_str(&s->out, c->way == WAY_EVENTS ? ":\n" : "\n");
        return;
    }
    c->place.n = newest.n;
    if (c->way == WAY_EVENTS && seen) {
        stream_heartbeat(&s->out, newest);
    } else if (c->way == WAY_EVENTS) {
        stream_checkpoint(&s->out, newest);
    } else {
        stream_id_object(&s->out, newest, seen);
        text_str(&s->out, "\n");
    }
}
