/*
 * subscribe.c - streams over HTTP: Server-Sent Events, and a JSON object a line; and what all who
 * are subscribed are told when they are overtaken, or have had nothing for a while.
 */
#include "lib/serve/start.h"
#include "lib/stream.h"

/* ---- beginning ------------------------------------------------------------------------------- */

/* Appends the answer head of a stream, with where it begins unless that is NULL. Its end is the close:
 * no length, no chunks. */
static void stream_head(struct server *s, enum conn_way way, const struct cursor *id)
{
    serve_answer_head(s, 200);
    text_str(&s->out, way == WAY_EVENTS ? "Content-Type: text/event-stream\r\n"
                                        : "Content-Type: application/x-ndjson\r\n");
    if (way != WAY_EVENTS && id != NULL) {
        text_str(&s->out, "Last-Event-ID: ");
        cursor_write(&s->out, *id);
        text_str(&s->out, "\r\n");
    }
    text_str(&s->out, "Cache-Control: no-store\r\n"
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

void serve_subscribe(struct server *s, struct conn *c, struct span names, enum conn_way way)
{
    struct start start;
    uint32_t id = serve_select(s, c, names, way == WAY_EVENTS);
    if (id == 0)
        return;
    if (!serve_start(s, c, id, false, &start)) {
        serve_release(s, id);
        return;
    }
    stream_head(s, way, start.unreadable ? NULL : &start.id);
    if (s->ask.method == HTTP_HEAD) {
        serve_release(s, id);
        serve_answered_last(s, c);
        return;
    }
    if (way == WAY_EVENTS)
        stream_open(&s->out, retry_ms(s), start.unreadable ? NULL : &start.id);
    c->way = (uint8_t)way;
    c->at = start.at;
    c->n = start.id.n;
    c->sent = 0;
    if (start.gap != NULL) {
        struct gap gap = {.after = start.after};
        serve_gap(s, c, id, start.gap, &gap);
        stream_gap_write(s, c, &gap);
    }
    conn_go(c, CONN_STREAM);
    topic_subscribe(&s->topics, id, (uint32_t)conn_fd(&s->conns, c));
}

/* ---- subscribers that are overtaken, or quiet ------------------------------------------------ */

bool serve_stream_check(struct server *s, struct conn *c)
{
    struct gap gap;
    if (c->sent > 0 && c->at < ring_tail(&s->ring)) {
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
    uint64_t since = ring_head(&s->ring) - ring_find(&s->ring, c->n);
    bool old = since > s->opt.ring / 2 || c->n < ring_before(&s->ring, ring_tail(&s->ring)).n;
    s->stat.heartbeats++;
    if (c->state == CONN_SOCKET) {
        serve_socket_ping(s, c, old);
        return;
    }
    if (!old) {
        text_str(&s->out, c->way == WAY_EVENTS ? ":\n" : "\n");
        return;
    }
    c->n = newest.n;
    if (c->way == WAY_EVENTS) {
        stream_checkpoint(&s->out, newest);
        return;
    }
    text_str(&s->out, "{\"id\":\"");
    cursor_write(&s->out, newest);
    text_str(&s->out, "\"}\n");
}
