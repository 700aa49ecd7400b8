/*
 * http_stream.c - streams over HTTP: Server-Sent Events, and a JSON object a line.
 */
#include "lib/serve/http_stream.h"
#include "lib/event.h"
#include "lib/serve/access.h"
#include "lib/serve/access_log.h"
#include "lib/serve/answer.h"
#include "lib/serve/conn.h"
#include "lib/serve/feed.h"
#include "lib/serve/pass.h"
#include "lib/serve/query.h"
#include "lib/serve/start.h"
#include "lib/serve/subscriber.h"
#include "lib/serve/transport.h"
#include "lib/stream.h"

/* ---- beginning ------------------------------------------------------------------------------- */

void sse_begin(struct server *s, struct conn *c, const struct cursor *from)
{
    (void)c;
    feed_open(s, from);
}

void lines_begin(struct server *s, struct conn *c, const struct cursor *from)
{
    (void)c;
    if (from == NULL)
        return;
    stream_id_object(&s->ex.out, *from, false);
    text_str(&s->ex.out, "\n");
}

/* Has a new subscriber come back later, as the server ends. */
static void refuse_while_draining(struct server *s, struct conn *c,
                                  const struct transport *transport)
{
    if (transport->come_back != NULL)
        transport->come_back(s, c);
    else
        serve_refuse_draining(s, c);
}

void serve_stream(struct server *s, struct conn *c, struct span names,
                  enum conn_transport transport)
{
    struct start start;
    uint32_t id;
    if (s->clients.draining) {
        refuse_while_draining(s, c, &transports[transport]);
        return;
    }
    if (!serve_options(s, c) ||
        (id = serve_select(s, c, names, transports[transport].come_back)) == 0)
        return;
    if (!start_of_request(s, c, id, false, &start)) {
        serve_release(&s->broker, id);
        return;
    }
    if (broker_any_ended(&s->broker) && start_resumes(&start) &&
        broker_over(&s->broker, id, start.at)) {
        serve_answer(s, c, 204, SPAN(SERVE_ENDED), NULL, (struct span){NULL, 0});
        serve_release(&s->broker, id);
        return;
    }
    const struct cursor *from = start.unreadable && start.gap != NULL ? NULL : &start.id;
    feed_head(s, transport, from);
    if (s->ex.ask.method == HTTP_HEAD) {
        serve_release(&s->broker, id);
        serve_linger(&s->clients, c);
        return;
    }
    transports[transport].begin(s, c, from);
    c->transport = (uint8_t)transport;
    c->place.at = start.at;
    c->place.n = start.id.n;
    c->stream.sent = 0;
    if (start.gap != NULL) {
        struct gap gap = {.after = start.after};
        gap_skip(&s->broker, &s->stat, c, id, start.gap, &gap);
        transports[transport].gap(s, c, &gap);
    } else if (broker_any_ended(&s->broker) && !start_resumes(&start) &&
               !subscriber_tell_ended(s, c, topic_name(&s->topics, id))) {
        serve_release(&s->broker, id);
        serve_linger(&s->clients, c);
        return;
    }
    pass_keep_token(&s->config, &s->clients, &s->ex, c);
    conn_go(&s->clients.conns, c, CONN_STREAM);
    topic_subscribe(&s->topics, id, (uint32_t)conn_fd(&s->clients.conns, c));
}

/* ---- while it is subscribed ------------------------------------------------------------------ */

void sse_gap(struct server *s, struct conn *c, const struct gap *gap)
{
    (void)c;
    stream_gap(&s->ex.out, gap->reason, gap->after, gap->resume, gap->any);
}

void lines_gap(struct server *s, struct conn *c, const struct gap *gap)
{
    (void)c;
    text_str(&s->ex.out, "{\"gap\":");
    stream_gap_object(&s->ex.out, gap->reason, gap->after, gap->resume, gap->any);
    text_str(&s->ex.out, "}\n");
}

void sse_ended(struct server *s, struct conn *c, struct span topic, uint64_t n)
{
    char bytes[CURSOR_MAX];
    struct text id = text_in(bytes, sizeof bytes);
    (void)n; /* the id is where it goes on: other topics' messages may have come since */
    ring_id_write(&s->ring, &id, c->place.n);
    event_ended(&s->ex.out, topic, text_span(&id));
}

void lines_ended(struct server *s, struct conn *c, struct span topic, uint64_t n)
{
    (void)c;
    stream_ended_object(&s->ex.out, topic, (struct cursor){ring_newest(&s->ring).ms, n});
    text_str(&s->ex.out, "\n");
}

void sse_heartbeat(struct server *s, struct conn *c, bool old)
{
    struct cursor newest = ring_newest(&s->ring);
    bool seen = (c->marks & CONN_BEATS) != 0;
    if (!old && !seen) {
        text_str(&s->ex.out, ":\n");
        return;
    }
    c->place.n = newest.n;
    if (seen)
        stream_heartbeat(&s->ex.out, newest);
    else
        stream_checkpoint(&s->ex.out, newest);
}

void lines_heartbeat(struct server *s, struct conn *c, bool old)
{
    struct cursor newest = ring_newest(&s->ring);
    bool seen = (c->marks & CONN_BEATS) != 0;
    if (old || seen) {
        c->place.n = newest.n;
        stream_id_object(&s->ex.out, newest, seen);
    }
    text_str(&s->ex.out, "\n");
}

/* ---- the end --------------------------------------------------------------------------------- */

/* Ends a stream, with these words for its last; where a record can't be brought to its end before,
 * without any. */
static void stream_end(struct server *s, struct conn *c, struct span words, const char *reason)
{
    if (subscriber_finish_record(&s->broker, &s->clients, &s->stat, &s->ex, c)) {
        text_add(&s->ex.out, words);
    } else {
        conn_buffer_free(&s->clients.conns, &c->out);
        c->stream.sent = 0;
    }
    access_log_end(&s->config, &s->broker, &s->clients, &s->log, c, reason);
    subscriber_leave(&s->broker, &s->clients, c);
    serve_linger(&s->clients, c);
}

void sse_expired(struct server *s, struct conn *c)
{
    stream_end(s, c, SPAN("event: expired\ndata: {\"detail\":\"the token has expired\"}\n\n"),
               "the token has expired");
}

void lines_expired(struct server *s, struct conn *c)
{
    stream_end(s, c, SPAN("{\"expired\":{\"detail\":\"the token has expired\"}}\n"),
               "the token has expired");
}

void stream_over(struct server *s, struct conn *c)
{
    stream_end(s, c, SPAN(""), "ended");
}

void sse_away(struct server *s, struct conn *c)
{
    char bytes[64];
    struct text retry = text_in(bytes, sizeof bytes);
    stream_retry(&retry, feed_retry_ms(&s->config, &s->clock));
    if ((c->marks & CONN_BEATS) == 0) /* ?hello=only wants no block without data */
        text_str(&retry, "\n");
    stream_end(s, c, text_span(&retry), "stopping");
}

void lines_away(struct server *s, struct conn *c)
{
    stream_end(s, c, SPAN(""), "stopping");
}
