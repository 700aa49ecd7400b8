/*
 * ready.c - /-/ready: do messages come back from the ring?
 *
 * Whoever asks waits, as a poll does, for a message that is put to an inside topic; the loop's fan-out
 * reaches it or does not. A message costs a place in the ring, so that one is put at most each
 * second: those who ask meanwhile wait for the same, and those who ask within a second after one
 * came back are told of that. No client can name the topic, and no wildcard matches it.
 */
#include "lib/serve/put.h"

#define READY_MS    1000u
#define READY_TOPIC SPAN("-ready")

static void answer_ready(struct server *s, struct conn *c)
{
    serve_answer(s, c, 200, (struct span){NULL, 0}, "text/plain", SPAN("ready\n"));
}

static void refuse(struct server *s, struct conn *c, const char *why)
{
    serve_refuse(s, c, 503, NULL, why, NULL);
}

/* The inside topic, which is one more than clients may have; 0: there is no room for it. */
static uint32_t ready_topic(struct server *s)
{
    bool made;
    topics_limit(&s->topics, s->opt.max_topics + 1); /* also of one that was handed over */
    if (s->ready.topic != 0)
        return s->ready.topic;
    uint32_t id = topic_open(&s->topics, READY_TOPIC, &made);
    if (id == 0)
        topics_limit(&s->topics, s->opt.max_topics);
    else if (made)
        serve_topic_made(s, id);
    s->ready.topic = id;
    return id;
}

void serve_ready_recover(struct server *s)
{
    s->ready.topic = topic_find(&s->topics, READY_TOPIC);
    topics_limit(&s->topics, s->opt.max_topics + (s->ready.topic != 0));
}

void serve_ready_gone(struct server *s, uint32_t topic)
{
    if (topic != s->ready.topic)
        return;
    s->ready.topic = 0;
    topics_limit(&s->topics, s->opt.max_topics);
}

/* Puts a message, unless one is on its way. False: there is no room. */
static bool ready_put(struct server *s)
{
    bool recent = s->ready.put_ms != 0 && s->now - s->ready.put_ms < READY_MS;
    if (recent && s->ready.topic != 0)
        return true;
    uint32_t id = ready_topic(s);
    if (id == 0)
        return false;
    s->ready.put_at =
        put_record(s, id,
                   &(struct ring_message){.topic = READY_TOPIC, .data = SPAN(""), .binary = false});
    s->ready.put_ms = s->now;
    return true;
}

void serve_ready(struct server *s, struct conn *c)
{
    if (s->draining) {
        refuse(s, c, "draining");
    } else if (s->ready.ok_ms != 0 && s->now - s->ready.ok_ms < READY_MS) {
        answer_ready(s, c);
    } else if (!ready_put(s)) {
        refuse(s, c, "the table of topics is full");
    } else {
        c->at = s->ready.put_at;
        serve_wait_begin(s, c, s->ready.topic, WAY_READY, s->opt.request_timeout_ms, s->ask.method);
        topic_mark(&s->topics, s->ready.topic); /* the fan-out may have been there already */
    }
}

void serve_ready_wake(struct server *s, struct conn *c, bool timeout)
{
    uint32_t id = c->link.topic;
    enum http_method method = (enum http_method)c->sent;
    bool came = c->at < ring_tail(&s->ring) || ring_next(&s->ring, id, c->at) != 0;
    if (!came && !timeout)
        return;
    serve_wait_end(s, c);
    s->ask.method = method;
    s->ask.path = SPAN("/-/ready");
    if (!timeout) {
        s->ready.ok_ms = s->now;
        answer_ready(s, c);
        return;
    }
    refuse(s, c,
           s->draining ? "draining"
                       : "no message came back from the ring in time (--request-timeout)");
    serve_release(s, id);
}
