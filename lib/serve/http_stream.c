/*
 * http_stream.c - streams over HTTP: Server-Sent Events, and a JSON object a line.
 */
#include "lib/serve/http_stream.h"
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
    }
    pass_keep_expiry(&s->config, &s->clients, &s->ex, c);
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

/* Ends a stream with these last words; without them if a partly written record cannot be
 * completed. */
static void stream_end(struct server *s, struct conn *c, struct span words)
{
    if (subscriber_finish_record(&s->broker, &s->clients, &s->stat, &s->ex, c)) {
        text_add(&s->ex.out, words);
    } else {
        conn_buffer_free(&s->clients.conns, &c->out);
        c->stream.sent = 0;
    }
    access_log_end(&s->config, &s->broker, &s->clients, &s->log, c, "stopping");
    subscriber_leave(&s->broker, &s->clients, c);
    serve_linger(&s->clients, c);
}

void sse_expired(struct server *s, struct conn *c)
{
    stream_end(s, c, SPAN("event: expired\ndata: {\"detail\":\"the token has expired\"}\n\n"));
}

void lines_expired(struct server *s, struct conn *c)
{
    stream_end(s, c, SPAN("{\"expired\":{\"detail\":\"the token has expired\"}}\n"));
}

void sse_away(struct server *s, struct conn *c)
{
    char bytes[64];
    struct text retry = text_in(bytes, sizeof bytes);
    stream_retry(&retry, feed_retry_ms(&s->config, &s->clock));
    if ((c->marks & CONN_BEATS) == 0) /* ?hello=only wants no block without data */
        text_str(&retry, "\n");
    stream_end(s, c, text_span(&retry));
}

void lines_away(struct server *s, struct conn *c)
{
    stream_end(s, c, SPAN(""));
}
