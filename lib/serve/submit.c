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
        s->hold.put = s->hold.group;
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

/* Returns the id of message n, as a string. */
static const char *id_in(const struct ring *r, uint64_t n, char out[CURSOR_MAX + 1])
{
    struct text t = text_in(out, CURSOR_MAX);
    ring_id_write(r, &t, n);
    out[t.n] = '\0';
    return out;
}

#define ID(r, n) id_in(r, n, (char[CURSOR_MAX + 1]){0})

/* Returns true if a record holds this message. */
static bool is_same(const struct ring_record *rec, const struct batch_message *m)
{
    return span_eq(ring_data(rec), m->data) && span_eq(ring_event(rec), m->event) &&
           ((rec->flags & RING_BINARY) != 0) == m->binary &&
           ((rec->flags & RING_END) != 0) == m->end && ((rec->flags & RING_BARE) != 0) == m->bare;
}

/* Looks for the message that was published with the key. *again: there is one, and *p tells of it;
 * what tells of it to a client waits for its sync. False: refused. */
static bool submit_once(struct server *s, struct span topic, const struct batch_message *m,
                        const uint64_t key[2], bool *again, struct submission *p)
{
    uint64_t at = broker_once(&s->broker, key);
    if (at == 0)
        return true;
    const struct ring_record *rec = ring_place(&s->ring, at);
    if (!is_same(rec, m)) {
        s->stat.keys_reused++;
        return refused(p, 422, "key ", QUOTE(m->key), " was given to another message, ",
                       ID(&s->ring, rec->n), NULL);
    }
    if (at >= ring_head(&s->ring) && s->hold.put != s->hold.group)
        s->hold.put = at < s->hold.to ? s->hold.running : s->hold.group;
    s->stat.duplicates++;
    *again = p->duplicate = true;
    p->n = rec->n;
    p->reach = topic_reach(&s->topics, topic_find(&s->topics, topic));
    return true;
}

/* Refuses what comes behind the end of its topic. */
static bool has_ended(struct server *s, struct span topic, uint32_t id, struct submission *p)
{
    s->stat.publish_ended++;
    return refused(p, 409, "topic ", QUOTE(topic),
                   " has ended: ", ID(&s->ring, broker_end(&s->broker, id)), " is its end", NULL);
}

const char *submit_full(struct server *s)
{
    if (s->ring.shared != NULL)
        return "another worker is too slow: it still needs the oldest messages, "
               "and there is no room for this one";
    s->stat.limit_unsynced++;
    return "the disk is too slow: as much waits to be synced as may, "
           "half of --ring (--fsync always)";
}

/* A message was not put: another worker has just ended its topic, or published it, or there is no
 * room. */
static bool not_put(struct server *s, struct span topic, uint32_t id, const struct batch_message *m,
                    const uint64_t key[2], struct submission *p)
{
    bool again = false;
    bool known = m->key.n > 0 && (!submit_once(s, topic, m, key, &again, p) || again);
    if (!known && broker_end(&s->broker, id) != 0)
        return has_ended(s, topic, id, p);
    serve_release(&s->broker, id);
    return known ? again : refused(p, 503, submit_full(s), NULL);
}

/* Notes what was published, and how many subscribers it reaches. */
static void count_published(struct server *s, uint32_t id, const struct batch_message *m,
                            struct submission *p)
{
    s->stat.published += !m->bare;
    s->stat.ended += m->end;
    s->stat.published_bytes += m->data.n;
    p->reach = topic_reach(&s->topics, id);
    if (s->team.whole != NULL)
        s->team.wake |= team_interest(s, id, &p->reach) | UINT64_C(1) << s->team.me;
    p->n = s->ring.shared != NULL ? s->broker.put_n : ring_given(&s->ring);
}

bool submit_message(struct server *s, struct span topic, const struct batch_message *m,
                    struct submission *p)
{
    bool made = false, again = false;
    uint64_t key[2] = {0, 0};
    p->duplicate = false;
    if (m->key.n > RING_NAME_MAX)
        return refused(p, 400, "a key has 1 to 255 bytes", NULL);
    if (m->key.n > 0) /* first, as what it fetches takes a while */
        once_hash(&s->broker.once, topic, m->key, key);
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
    if (m->key.n > 0 && (!submit_once(s, topic, m, key, &again, p) || again))
        return again;
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
    if (broker_end(&s->broker, id) != 0)
        return has_ended(s, topic, id, p);
    const struct ring_message message = {.topic = topic,
                                         .key = {key[0], key[1]},
                                         .event = m->event,
                                         .data = m->data,
                                         .binary = m->binary,
                                         .end = m->end,
                                         .bare = m->bare};
    if (submit_record(s, id, &message) == 0)
        return not_put(s, topic, id, m, key, p);
    count_published(s, id, m, p);
    return true;
}
