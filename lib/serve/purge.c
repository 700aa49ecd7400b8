/*
 * purge.c - takes a topic's messages away.
 */
#include "lib/serve/purge.h"
#include "lib/serve/access.h"
#include "lib/serve/answer.h"
#include "lib/serve/conn.h"
#include "lib/serve/quote.h"
#include "lib/serve/submit.h"

#define SLICE (1u << 20) /* bytes that are wiped at once: some 100 microseconds */

/* Returns true if this client may purge the topic; else the request has been refused. */
static bool may_purge(struct server *s, struct conn *c, struct span topic)
{
    struct submission p = {.n = 0};
    if (!access_find(s, c, AUTH_PUBLISH, topic))
        return false;
    for (size_t i = 0; i < topic.n; i++)
        if (topic.p[i] == '*' || topic.p[i] == ',') {
            serve_refuse(s, c, 400, NULL, "one topic is purged at a time, and ", QUOTE(topic),
                         " names more", NULL);
            return false;
        }
    bool may = submit_check_topic(&s->config, &s->stat, &s->ex, &s->ex.access, topic, &p);
    if (may) {
        p.detail = text_in(p.bytes, sizeof p.bytes - 1);
        p.status = access_purge(&s->stat, &s->ex.access, topic, &p.detail);
        may = p.status == 0;
    }
    if (may)
        return access_check_origin(s, c, " may not purge here");
    struct challenge ch;
    serve_refuse(s, c, p.status,
                 access_challenge(&s->config, &ch, p.status == 400 ? 0 : p.status,
                                  p.status == 403 ? "insufficient_scope" : NULL,
                                  (struct span){NULL, 0}),
                 submit_detail(&p), NULL);
    return false;
}

/* Puts the record that purges topic `id`; the first of two where the store syncs before anyone is
 * told, of which the second has the wiped bytes synced. False: it has been refused. */
static bool put(struct server *s, struct conn *c, uint32_t id)
{
    uint64_t at = broker_purge(&s->broker, id, s->hold.on, s->clock.wall);
    if (s->hold.on)
        s->hold.put = s->hold.group;
    s->team.wake = UINT64_MAX; /* all are to follow it */
    if (at != 0)
        return true;
    serve_refuse(s, c, 503, "Retry-After: 10\r\n", submit_full(s), NULL);
    return false;
}

static void answer(struct server *s, struct conn *c, uint64_t n, uint64_t purged)
{
    char bytes[96];
    struct text t = text_in(bytes, sizeof bytes);
    text_str(&t, n > 0 ? "{\"id\":\"" : "{\"id\":null");
    if (n > 0) {
        ring_id_write(&s->ring, &t, n);
        text_str(&t, "\"");
    }
    text_str(&t, ",\"purged\":");
    text_u64(&t, purged);
    text_str(&t, "}\n");
    serve_answer(s, c, 200, (struct span){NULL, 0}, "application/json", text_span(&t));
}

/* Begins: puts the record, and notes in the connection what it has purged. False: it has been
 * answered. */
static bool begin(struct server *s, struct conn *c, uint32_t id, struct span topic)
{
    uint32_t messages = id != 0 ? chain_messages(&s->broker.chains, id) : 0;
    if (id == 0 || chain_is_empty(chain_at(&s->broker.chains, id))) {
        answer(s, c, 0, 0);
        return false;
    }
    if (!put(s, c, id))
        return false;
    c->purge.n = s->ring.shared != NULL ? s->broker.put_n : ring_given(&s->ring);
    c->purge.messages = messages;
    c->purge.wiped = false;
    c->marks |= CONN_PURGES;
    s->stat.purges++;
    s->stat.purged += messages;
    s->log.say(OPT_LOG_INFO, "purged", "topic", QUOTE(topic), "messages", QUOTE_NUM(messages),
               NULL);
    return true;
}

void serve_purge(struct server *s, struct conn *c, struct span topic)
{
    s->ex.ask.log_way = "purge";
    if (!(c->marks & CONN_PURGES) && !may_purge(s, c, topic))
        return;
    uint32_t id = topic_find(&s->topics, topic);
    bool more = id != 0 && broker_wipe(&s->broker, id, SLICE);
    if (!more && !(c->marks & CONN_PURGES)) {
        if (!begin(s, c, id, topic))
            return;
        more = true;
    }
    bool shown = c->purge.n <= ring_newest(&s->ring).n;
    if (!more && shown && !c->purge.wiped && (id == 0 || !s->hold.on || put(s, c, id))) {
        c->purge.wiped = true; /* and what other copies of the bytes there were is, in this turn */
        s->forget = more = true;
    }
    if (more || !shown || s->forget) {
        s->ex.postponed = true; /* others have their turn */
        return;
    }
    c->marks &= (uint16_t)~CONN_PURGES;
    answer(s, c, c->purge.n, c->purge.messages);
}
