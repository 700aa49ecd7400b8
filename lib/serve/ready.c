/*
 * ready.c - /-/ready: checks whether messages go through.
 *
 * The request waits, as a poll does, on an inside topic that is marked for fan-out as if it had a
 * new message: the loop's fan-out reaches it or does not. Then the ring is looked at: its newest
 * message must be found by its id, end at the head, and be the newest of its topic. Nothing is put
 * into the ring, so whoever asks, however often, takes no message's place. Those who ask within a
 * second after one was answered are told the same at once. No client can name the topic, and no
 * wildcard matches it.
 */
#include "lib/serve/ready.h"
#include "lib/serve/answer.h"
#include "lib/serve/poll.h"
#include "lib/serve/server.h"
#include "lib/topic/fanout.h"
#include "lib/topic/names.h"

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

/* Returns the inside topic, which is one more than clients may have; 0 if there is no room for
 * it. */
static uint32_t ready_topic(const struct config *config, struct broker *broker, struct ready *ready)
{
    bool made;
    topics_limit(broker->topics, config->opt.max_topics + 1); /* also after an upgrade */
    if (ready->topic != 0)
        return ready->topic;
    uint32_t id = broker_open(broker, READY_TOPIC, &made);
    if (id == 0)
        topics_limit(broker->topics, config->opt.max_topics);
    ready->topic = id;
    return id;
}

void ready_recover(const struct config *config, const struct broker *broker, struct ready *ready)
{
    ready->topic = topic_find(broker->topics, READY_TOPIC);
    topics_limit(broker->topics, config->opt.max_topics + (ready->topic != 0));
}

void ready_topic_gone(void *server, uint32_t topic)
{
    struct server *s = server;
    if (topic != s->ready.topic)
        return;
    s->ready.topic = 0;
    topics_limit(&s->topics, s->config.opt.max_topics);
}

/* Returns true if the newest message is where it should be, or the ring is empty. */
static bool newest_found(const struct broker *broker)
{
    const struct ring *r = broker->ring;
    uint64_t n = ring_newest(r).n;
    if (ring_count(r) == 0)
        return true;
    uint64_t at = ring_find_from(r, n);
    if (at < ring_tail(r) || at >= ring_head(r))
        return false;
    const struct ring_record *rec = ring_at(r, at);
    uint32_t topic = broker_topic(broker, at);
    return rec->n == n && ring_behind(rec, at) == ring_head(r) && topic != 0 &&
           chain_at(&broker->chains, topic)->last == at &&
           topic_find(broker->topics, ring_topic(rec)) == topic;
}

void serve_ready(struct server *s, struct conn *c)
{
    if (s->clients.draining) {
        refuse(s, c, "draining");
    } else if (s->ready.ok_ms != 0 && s->clock.now - s->ready.ok_ms < READY_MS) {
        answer_ready(s, c);
    } else if (ready_topic(&s->config, &s->broker, &s->ready) == 0) {
        refuse(s, c, "the table of topics is full");
    } else {
        c->place.at = ring_head(&s->ring);
        poll_wait_begin(s, c, s->ready.topic, TRANSPORT_READY, s->config.opt.request_timeout_ms);
        topic_mark(&s->topics, s->ready.topic);
    }
}

void ready_wake(struct server *s, struct conn *c, bool timeout)
{
    uint32_t id = c->link.topic;
    poll_wait_end(&s->config, &s->broker, &s->clients, &s->ex, c);
    s->ex.ask.path = SPAN("/-/ready");
    if (!timeout && newest_found(&s->broker)) {
        s->ready.ok_ms = s->clock.now;
        answer_ready(s, c);
        return;
    }
    refuse(s, c,
           s->clients.draining ? "draining"
           : timeout           ? "the fan-out did not come by in time (--request-timeout)"
                               : "the newest message is not where the ring should have it");
    if (timeout)
        serve_release(&s->broker, id);
}

void ready_end(struct server *s, struct conn *c)
{
    ready_wake(s, c, true);
}
