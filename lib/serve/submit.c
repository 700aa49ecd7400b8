/*
 * submit.c - a message that a client publishes: checked, then refused or put into the ring.
 */
#include "lib/serve/submit.h"
#include "lib/serve/access.h"
#include "lib/serve/answer.h"
#include "lib/serve/quote.h"

#include "lib/event.h"
#include "lib/topic/fanout.h"
#include "lib/utf8.h"

#include <stdarg.h>

/* Sets *p to a refusal, whose detail is the strings up to a NULL. Returns false. */
static TEXT_LIST bool refused(struct submission *p, int status, ...)
{
    va_list ap;
    p->status = status;
    p->detail = text_for_string(p->bytes, sizeof p->bytes);
    va_start(ap, status);
    text_list(&p->detail, ap);
    va_end(ap);
    return false;
}

const char *submit_detail(struct submission *p)
{
    return text_string(&p->detail);
}

void submit_refuse_too_large(const struct config *config, struct stat_counters *stat,
                             struct submission *p)
{
    stat->limit_message++;
    refused(p, 413, "a message has at most ", QUOTE_NUM(config->opt.max_message),
            " bytes here (--max-message)", NULL);
}

bool submit_check_event(struct span event, struct submission *p)
{
    if (event.n == 0)
        return true;
    const char *wrong = event.n > RING_NAME_MAX       ? "is longer than 255 bytes"
                        : utf8_valid(event) < event.n ? "is not UTF-8"
                        : !event_name_fits(event)     ? "holds a CR, LF or NUL"
                        : event_name_reserved(event)  ? "is one of the server's own"
                                                      : NULL;
    return wrong == NULL || refused(p, 400, "event name ", QUOTE(event), " ", wrong, NULL);
}

/* Returns true if the topic is among those of --topic. */
static bool declared(const struct config *config, struct span topic)
{
    bool found = config->opt.topic.n == 0;
    for (uint32_t i = 0; i < config->opt.topic.n && !found; i++)
        found = topic_match(config->opt.topic.item[i], topic);
    return found;
}

bool submit_check_topic(const struct config *config, struct stat_counters *stat,
                        const struct exchange *ex, const struct access *a, struct span topic,
                        struct submission *p)
{
    const char *wrong = topic_name_wrong(topic);
    p->detail = text_for_string(p->bytes, sizeof p->bytes);
    p->status = access_publish(stat, ex, a, topic, &p->detail);
    if (p->status != 0)
        return false;
    if (wrong != NULL)
        return refused(p, 400, "topic ", QUOTE(topic), " ", wrong, NULL);
    if (config->opt.topic.n > 0 && !declared(config, topic))
        return refused(p, 404, "there is no topic ", QUOTE(topic),
                       ": this server has only those that --topic names", NULL);
    return true;
}

bool submit_check_any(struct stat_counters *stat, const struct exchange *ex, const struct access *a,
                      struct submission *p)
{
    if (a->publish.n > 0)
        return true;
    p->detail = text_for_string(p->bytes, sizeof p->bytes);
    p->status = access_publish(stat, ex, a, (struct span){NULL, 0}, &p->detail);
    return false;
}

struct span submit_topic(const struct config *config, struct stat_counters *stat,
                         const struct exchange *ex, const struct access *a, struct span named,
                         struct span own, struct submission *p)
{
    const struct span none = {NULL, 0};
    struct span topic = named.p != NULL ? named : own;
    if (topic.p == NULL || (topic.n == 0 && named.p == NULL)) {
        refused(p, 400, "\"topic\" is needed: the request or connection is not to one topic", NULL);
        return none;
    }
    return submit_check_topic(config, stat, ex, a, topic, p) ? topic : none;
}

uint64_t submit_record(struct server *s, uint32_t id, const struct ring_message *m)
{
    uint64_t count = ring_count(&s->ring), at;
    if (s->hold.on) {
        at = broker_hold(&s->broker, id, m, s->clock.wall);
        s->stat.evicted += count - ring_count(&s->ring);
        s->hold.put = true;
        if (at == 0)
            return 0;
    } else if (s->ring.shared != NULL) {
        at = broker_put_shared(&s->broker, id, m, s->clock.wall, s->team.wake_now);
        s->stat.evicted += s->broker.evicted;
        s->broker.evicted = 0;
    } else {
        at = broker_put(&s->broker, id, m, s->clock.wall);
        s->stat.evicted += count + 1 - ring_count(&s->ring);
        topic_mark(&s->topics, id);
    }
    return at;
}

bool submit_message(struct server *s, struct span topic, const struct batch_message *m,
                    struct submission *p)
{
    bool made = false;
    size_t right = m->binary ? m->data.n : utf8_valid(m->data);
    if (m->event.n > 0 && !submit_check_event(m->event, p))
        return false;
    if (m->data.n > s->config.opt.max_message) {
        submit_refuse_too_large(&s->config, &s->stat, p);
        return false;
    }
    if (right < m->data.n)
        return refused(p, 415, "byte ", QUOTE_NUM(right), " of the data is not UTF-8; ",
                       "binary data is sent as application/octet-stream", NULL);
    uint32_t id = broker_open(&s->broker, topic, &made);
    if (id == 0)
        return refused(
            p, 503, serve_count_topic_limit(&s->config, &s->broker, &s->stat, (char[QUOTE_MAX]){0}),
            NULL);
    if (made) {
        const char *hint =
            topic_name_hint(topic); /* only for new topics: others were accepted before */
        if (hint != NULL) {
            serve_release(&s->broker, id);
            return refused(p, 400, "topic ", QUOTE(topic), " ", hint, NULL);
        }
    }
    if (submit_record(s, id, &(struct ring_message){topic, m->event, m->data, m->binary}) == 0) {
        serve_release(&s->broker, id);
        if (s->ring.shared != NULL)
            return refused(p, 503,
                           "another worker is too slow: it still needs the oldest messages, ",
                           "and there is no room for this one", NULL);
        s->stat.limit_unsynced++;
        return refused(p, 503, "the disk is too slow: as much waits to be synced as may, ",
                       "half of --ring (--fsync always)", NULL);
    }
    s->stat.published++;
    s->stat.published_bytes += m->data.n;
    p->reach = topic_reach(&s->topics, id);
    if (s->team.whole != NULL)
        s->team.wake |= team_interest(s, id, &p->reach) | UINT64_C(1) << s->team.me;
    p->n = s->ring.shared != NULL ? s->broker.put_n : ring_given(&s->ring);
    return true;
}
