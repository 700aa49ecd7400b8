/*
 * publish.c - publishing by POST and PUT: rights, names, bodies at once or in parts, the put.
 */
#include "lib/serve/publish.h"
#include "lib/pace.h"
#include "lib/serve/access.h"
#include "lib/serve/answer.h"
#include "lib/serve/conn.h"
#include "lib/serve/intake.h"
#include "lib/serve/pass.h"
#include "lib/serve/query.h"
#include "lib/serve/quote.h"
#include "lib/serve/saved.h"
#include "lib/serve/submit.h"

#include <assert.h>

#define BATCH_BYTES 512u /* of a batch at once: each two of them may be a message */

/* The caller's part of an intake: how its body is delimited, and what its answer needs. */
struct body {
    struct http_body http;
    struct saved request;
    struct pace pace; /* of the body; in a batch, of its incomplete message */
    uint64_t expires; /* unix time: when its token expires; 0: never */
    bool all;         /* it may publish to any topic; else to those of the connection's grant */
};
_Static_assert(sizeof(struct body) <= sizeof((struct intake *)0)->caller, "it fits");

/* Returns the place of an error in a batch, and how many messages before it are published; "" for a
 * single message, for which `in` may be NULL. */
static const char *where_in(char out[QUOTE_MAX], const struct intake *in)
{
    struct text t = text_for_string(out, QUOTE_MAX);
    if (in != NULL)
        intake_where(in, &t);
    assert(!t.full);
    return text_string(&t);
}

#define WHERE(in) where_in((char[QUOTE_MAX]){0}, in)

/* Refuses the message or the event name that *p holds. */
static void refuse_put(struct server *s, struct conn *c, const struct intake *in,
                       struct submission *p)
{
    struct challenge ch;
    const char *fields =
        access_challenge(&s->config, &ch, p->status == 400 ? 0 : p->status,
                         p->status == 403 ? "insufficient_scope" : NULL, (struct span){NULL, 0});
    serve_refuse(s, c, p->status, p->status == 503 ? "Retry-After: 10\r\n" : fields, WHERE(in),
                 submit_detail(p), NULL);
}

/* Returns true if this client may publish to this topic; else it has refused the request. */
static bool may_publish(struct server *s, struct conn *c, struct span topic)
{
    struct submission p;
    if (!access_find(s, c, AUTH_PUBLISH, topic))
        return false;
    if (topic.n > 0 ? !submit_check_topic(&s->config, &s->stat, &s->ex, &s->ex.access, topic, &p)
                    : !submit_check_any(&s->stat, &s->ex, &s->ex.access, &p))
        refuse_put(s, c, NULL, &p);
    else
        return access_check_origin(s, c, " may not publish here");
    return false;
}

/* Refuses a message that is too large. */
static void refuse_large(struct server *s, struct conn *c, const struct intake *in)
{
    struct submission p;
    submit_refuse_too_large(&s->config, &s->stat, &p);
    refuse_put(s, c, in, &p);
}

/* Refuses for want of room in the buffers. */
static void refuse_full(struct server *s, struct conn *c, const struct intake *in)
{
    serve_refuse_buffer_limit(s, c, WHERE(in));
}

/* Puts one message, of `in` or the only one, into the ring; *reach is set to its subscribers.
 * Returns its n; 0 if it has refused the request. */
static uint64_t put(struct server *s, struct conn *c, const struct intake *in, struct span topic,
                    const struct batch_message *m, uint32_t *reach)
{
    struct submission p;
    if (!submit_message(s, topic, m, &p)) {
        refuse_put(s, c, in, &p);
        return 0;
    }
    *reach = p.reach;
    return p.n;
}

/* Answers 201: the id of the last message (0: there was none), their number (of a batch), and the
 * subscribers of the last. */
static void answer_published(struct server *s, struct conn *c, uint64_t last, bool batch,
                             uint64_t count, uint32_t reach)
{
    char bytes[160];
    struct text t = text_in(bytes, sizeof bytes);
    text_str(&t, last > 0 ? "{\"id\":\"" : "{\"id\":null");
    if (last > 0) {
        ring_id_write(&s->ring, &t, last);
        text_str(&t, "\"");
    }
    if (batch) {
        text_str(&t, ",\"count\":");
        text_u64(&t, count);
    }
    text_str(&t, ",\"subscribers\":");
    text_u64(&t, reach);
    text_str(&t, "}\n");
    serve_answer(s, c, last > 0 ? 201 : 200, (struct span){NULL, 0}, "application/json",
                 text_span(&t));
}

static struct body *body_of(struct intake *in)
{
    return (struct body *)(void *)in->caller;
}

/* Begins a body that is not here whole, or holds many messages. */
static void body_begin(struct server *s, struct conn *c, struct span topic, struct span event,
                       uint8_t batch, bool binary)
{
    bool all = span_eq(s->ex.access.publish, SPAN("**"));
    if (batch == BATCH_NDJSON && !all && !access_keep_expiry_and_scopes(s, c))
        return;
    /* room is made as bytes come: a length alone takes nothing from other clients */
    uint32_t block = conn_buffer_alloc(&s->clients.conns, intake_size(topic, event, 0));
    if (block == 0) {
        pass_drop_scopes(&s->clients, c);
        refuse_full(s, c, NULL);
        return;
    }
    struct intake *in = pool_at(&s->clients.conns.buffers, block);
    intake_init(in, topic, event, batch, binary);
    *body_of(in) = (struct body){.request = saved_of(&s->config, &s->ex),
                                 .expires = s->ex.access.expires_s,
                                 .all = all};
    pace_begin(&body_of(in)->pace, s->clock.now, s->config.opt.request_timeout_ms);
    http_body_init(&body_of(in)->http, &s->ex.req);
    c->in = block;
    conn_go(&s->clients.conns, c, CONN_BODY);
    if (s->ex.req.expect_continue)
        text_str(&s->ex.out, "HTTP/1.1 100 Continue\r\n\r\n");
}

bool body_names_topics(const struct exchange *ex)
{
    struct span type = http_field(&ex->req, HTTP_CONTENT_TYPE);
    return type.n > 0 && batch_kind(type) == BATCH_NDJSON;
}

size_t serve_publish(struct server *s, struct conn *c, struct span topic, const char *rest,
                     size_t len)
{
    struct span type = http_field(&s->ex.req, HTTP_CONTENT_TYPE);
    struct span coding = http_field(&s->ex.req, HTTP_CONTENT_ENCODING);
    uint8_t batch = type.n > 0 ? batch_kind(type) : 0;
    uint32_t reach;
    if (!may_publish(s, c, topic))
        return 0;
    if (coding.n > 0 && !span_same(coding, SPAN("identity"))) {
        serve_refuse(s, c, 415, "Accept-Encoding: identity\r\n",
                     "no Content-Encoding is understood", NULL);
        return 0;
    }
    char event[QUERY_MAX];
    ptrdiff_t n = query_decode(&s->ex.query, QUERY_EVENT, event, sizeof event);
    struct batch_message m = {.event = {event, n > 0 ? (size_t)n : 0},
                              .binary = http_is_type(type, SPAN("application/octet-stream"))};
    if (n == -1 || n == -2) {
        serve_refuse(s, c, 400, NULL,
                     n == -1 ? "event= has bad percent-encoding"
                             : "event= is longer than 255 bytes",
                     NULL);
        return 0;
    }
    struct submission p;
    if (!submit_check_event(m.event, &p)) {
        refuse_put(s, c, NULL, &p);
        return 0;
    }
    if (batch == 0 && s->ex.req.length > s->config.opt.max_message) {
        refuse_large(s, c, NULL);
        return 0;
    }
    if (batch != 0 && !s->ex.ask.body) {
        answer_published(s, c, 0, true, 0, 0); /* its body is empty */
        return 0;
    }
    if (batch != 0 || s->ex.req.chunked || s->ex.req.length > len) {
        body_begin(s, c, topic, m.event, batch, m.binary);
        return 0;
    }
    m.data = (struct span){rest, (size_t)s->ex.req.length};
    s->ex.ask.body = false;
    uint64_t last = put(s, c, NULL, topic, &m, &reach);
    if (last > 0)
        answer_published(s, c, last, false, 1, reach);
    return m.data.n;
}

/* Returns the topic of a message: the body's, or the one that a line names, if the client may
 * publish to it. A null pointer: it has refused the request. */
static struct span topic_of(struct server *s, struct conn *c, struct intake *in,
                            const struct batch_message *m)
{
    struct span own = intake_topic(in);
    if (own.n > 0 && (m->topic.p == NULL || span_eq(m->topic, own)))
        return own; /* checked when the body began */
    struct access a = {.kind = ACCESS_PLACE};
    if (body_of(in)->all)
        a.publish = SPAN("**");
    else
        a = pass_access(&s->config, &s->clients, c);
    struct submission p;
    struct span topic = submit_topic(&s->config, &s->stat, &s->ex, &a, m->topic, own, &p);
    if (topic.p == NULL)
        refuse_put(s, c, in, &p);
    return topic;
}

/* Publishes the complete messages of a body; `end`: the body is complete. Returns false if it has
 * refused the request. */
static bool body_publish(struct server *s, struct conn *c, struct intake *in, bool end)
{
    struct batch_message m;
    const char *why = NULL;
    enum batch_result got;
    while ((got = intake_next(in, end, &m, &why)) != BATCH_MORE) {
        if (got == BATCH_WRONG) {
            serve_refuse(s, c, 400, NULL, WHERE(in), why, NULL);
            return false;
        }
        if (body_of(in)->expires != 0 && s->clock.wall / 1000 >= body_of(in)->expires) {
            s->stat.expired++;
            struct challenge ch;
            serve_refuse(s, c, 401,
                         access_challenge(&s->config, &ch, 401, "invalid_token",
                                          SPAN("it has expired")),
                         WHERE(in), "the token has expired", NULL);
            return false;
        }
        struct span topic = topic_of(s, c, in, &m);
        uint64_t n = topic.p != NULL ? put(s, c, in, topic, &m, &in->reach) : 0;
        if (n == 0)
            return false;
        in->last = n;
        in->count++;
    }
    return true;
}

/* Makes room for `more` bytes of a body. Returns NULL if it has refused the request. */
static struct intake *body_room(struct server *s, struct conn *c, size_t more)
{
    struct intake *in = pool_at(&s->clients.conns.buffers, c->in);
    size_t used = intake_used(in);
    if (!intake_fits(in, more, s->config.opt.max_message)) {
        refuse_large(s, c, in);
        return NULL;
    }
    if (used + more > pool_size(&s->clients.conns.buffers, c->in)) {
        uint32_t block = conn_buffer_grow(&s->clients.conns, c->in, used + more, used);
        if (block == 0) {
            refuse_full(s, c, in);
            return NULL;
        }
        c->in = block;
    }
    return pool_at(&s->clients.conns.buffers, c->in);
}

/* Makes the request of a body the current one again. A refused batch ends the connection even if
 * all of it has come, so that the answer does not depend on how the bytes were cut. */
static struct intake *body_resume(const struct clients *clients, struct exchange *ex,
                                  struct conn *c)
{
    struct intake *in = pool_at(&clients->conns.buffers, conn_in_block(&clients->conns, c));
    saved_resume(clients, ex, c, &body_of(in)->request, intake_topic(in), "publish");
    ex->ask.body = true;
    return in;
}

size_t body_input(struct server *s, struct conn *c, char *buf, size_t len)
{
    struct intake *in = body_resume(&s->clients, &s->ex, c);
    bool batch = in->batch.kind != 0;
    size_t took, got;
    if (batch && len > BATCH_BYTES)
        len = BATCH_BYTES;
    int done = http_body_decode(&body_of(in)->http, buf, len, &took, &got);
    char wrong = took < len ? buf[took] : '\0'; /* the byte that is malformed */
    if ((in = body_room(s, c, got)) == NULL)
        return took;
    bool between = intake_idle(in);
    uint64_t count = in->count;
    intake_add(in, (struct span){buf, got});
    s->ex.ask.body = batch || done != 1;
    if (!body_publish(s, c, in, done == 1))
        return took;
    bool begins = between || in->count > count; /* another message */
    if (begins)
        pace_begin(&body_of(in)->pace, s->clock.now, s->config.opt.request_timeout_ms);
    pace_moved(&body_of(in)->pace, s->clock.now, begins ? in->have : got, s->config.opt.min_rate,
               s->config.opt.request_timeout_ms);
    if (done == 1)
        answer_published(s, c, in->last, batch, in->count, in->reach);
    else if (done < 0)
        serve_refuse(s, c, -done, NULL, WHERE(in),
                     "the body's chunks are not well-formed (RFC 9112, section 7.1): ",
                     done == -431 ? "too many trailers" : QUOTE_BYTE(wrong),
                     done == -431 ? "" : " is out of place", NULL);
    return took;
}

bool body_message_late(const struct config *config, const struct clients *clients,
                       const struct moment *clock, const struct conn *c)
{
    const struct intake *in = pool_at(&clients->conns.buffers, conn_in_block(&clients->conns, c));
    const struct body *b = (const struct body *)(const void *)in->caller;
    if (config->opt.min_rate == 0 || intake_idle(in))
        return false;
    return pace_late(&b->pace, clock->now);
}

void body_end_over_share(struct server *s, struct conn *c)
{
    refuse_full(s, c, body_resume(&s->clients, &s->ex, c));
}

void body_refuse_timeout(struct server *s, struct conn *c)
{
    const struct intake *in = body_resume(&s->clients, &s->ex, c);
    bool quiet = (uint32_t)s->clock.now - c->tick > s->config.opt.request_timeout_ms;
    bool slow = !quiet && body_message_late(&s->config, &s->clients, &s->clock, c);
    s->stat.limit_rate += slow;
    if (slow)
        serve_refuse(s, c, 408, NULL, WHERE(in), "the body comes at less than ",
                     QUOTE_NUM(s->config.opt.min_rate), " bytes a second (--min-rate)", NULL);
    else
        serve_refuse(s, c, 408, NULL, WHERE(in),
                     "the body was not complete in time (--request-timeout)", NULL);
}
