/*
 * feed.c - the head of a stream over HTTP, and the answer that has an SSE client come back.
 */
#include "lib/serve/feed.h"
#include "lib/serve/access_log.h"
#include "lib/serve/answer.h"
#include "lib/serve/query.h"
#include "lib/serve/server.h"
#include "lib/serve/transport.h"
#include "lib/stream.h"

void feed_head(struct server *s, enum conn_transport transport, const struct cursor *id)
{
    s->ex.ask.log_way = transports[transport].name;
    serve_begin_answer(&s->config, &s->clock, &s->stat, &s->ex, 200);
    access_log_answer(s, 200, 0);
    text_add(&s->ex.out, transports[transport].line);
    if (transports[transport].objects && id != NULL) { /* events carry it themselves */
        text_str(&s->ex.out, "Last-Event-ID: ");
        cursor_write(&s->ex.out, *id);
        text_str(&s->ex.out, "\r\n");
    }
    /* no-transform: a compressing gateway would delay messages */
    text_str(&s->ex.out, "Cache-Control: no-store, no-transform\r\n"
                         "X-Accel-Buffering: no\r\n"
                         "Connection: close\r\n"
                         "\r\n");
}

/* xorshift64: for jitter, not for secrets. */
static uint64_t random_below(struct moment *clock, uint64_t n)
{
    clock->random ^= clock->random << 13;
    clock->random ^= clock->random >> 7;
    clock->random ^= clock->random << 17;
    return n > 0 ? clock->random % n : 0;
}

uint64_t feed_retry_ms(const struct config *config, struct moment *clock)
{
    return config->opt.retry_ms - config->opt.retry_ms / 4 +
           random_below(clock, config->opt.retry_ms / 2 + 1);
}

void feed_open(struct server *s, const struct cursor *from)
{
    uint64_t retry_ms = feed_retry_ms(&s->config, &s->clock);
    if (query_hello(&s->ex.query) == HELLO_ONLY)
        stream_retry(&s->ex.out, retry_ms);
    else
        stream_open(&s->ex.out, retry_ms, from);
    if (query_hello(&s->ex.query) != HELLO_NONE)
        stream_hello(&s->ex.out, from);
}

void feed_turn_away(struct server *s)
{
    struct cursor newest = ring_newest(&s->ring);
    feed_head(s, TRANSPORT_EVENTS, &newest);
    if (s->ex.ask.method == HTTP_HEAD)
        return;
    /* a client that begins now misses nothing until it comes back */
    const struct cursor *from = query_starts_now(&s->ex.req, &s->ex.query) ? &newest : NULL;
    if (query_hello(&s->ex.query) == HELLO_ONLY)
        feed_open(s, from);
    else
        stream_open(&s->ex.out, feed_retry_ms(&s->config, &s->clock), from);
}

void sse_come_back(struct server *s, struct conn *c)
{
    feed_turn_away(s);
    serve_linger(&s->clients, c);
}

void serve_refuse_draining(struct server *s, struct conn *c)
{
    serve_refuse(s, c, 503, "Retry-After: 5\r\n", "the server is stopping: come back in a moment",
                 NULL);
}
