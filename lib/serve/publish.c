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
#include "lib/serve/revoke.h"
#include "lib/serve/saved.h"
#include "lib/serve/submit.h"
#include "lib/utf8.h"
#include "lib/word.h"

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

/* Returns true if it is not a message that is sent there. No topic begins with a dash. */
static inline bool is_revocation(struct span topic)
{
    return topic.n > 0 && topic.p[0] == '-' && span_eq(topic, REVOKE_PATH);
}

/* May this client publish to this topic? Else it has been refused. */
static bool may_publish(struct server *s, struct conn *c, struct span topic)
{
    struct submission p;
    if (is_revocation(topic))
        return access_revoke(s, c);
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

/* Puts one message, of `in` or the only one, into the ring. Returns false if it has been refused,
 * or was a revocation and has been answered. */
static bool put(struct server *s, struct conn *c, const struct intake *in, struct span topic,
                const struct batch_message *m, struct submission *p)
{
    if (is_revocation(topic)) {
        serve_revoke(s, c, m->data);
        return false;
    }
    bool done = submit_message(s, topic, m, p);
    if (!done)
        refuse_put(s, c, in, p);
    return done;
}

/* What is answered to a publisher. */
struct published {
    uint64_t last; /* the n of the last message; 0: there was none */
    uint64_t count,
        duplicates; /* messages that are new, and those that had been published before */
    uint32_t reach; /* the subscribers of the last */
    bool batch;
};

/* Answers 201, or 200 where nothing is new. */
static void answer_published(struct server *s, struct conn *c, const struct published *p)
{
    char bytes[192];
    struct text t = text_in(bytes, sizeof bytes);
    text_str(&t, p->last > 0 ? "{\"id\":\"" : "{\"id\":null");
    if (p->last > 0) {
        ring_id_write(&s->ring, &t, p->last);
        text_str(&t, "\"");
    }
    if (p->batch) {
        text_str(&t, ",\"count\":");
        text_u64(&t, p->count);
    }
    if (p->duplicates > 0) {
        text_str(&t, p->batch ? ",\"duplicates\":" : ",\"duplicate\":true");
        if (p->batch)
            text_u64(&t, p->duplicates);
    }
    text_str(&t, ",\"subscribers\":");
    text_u64(&t, p->reach);
    text_str(&t, "}\n");
    bool new = p->last > 0 && (p->count > 0 || p->duplicates == 0);
    serve_answer(s, c, new ? 201 : 200, (struct span){NULL, 0}, "application/json", text_span(&t));
}

static struct body *body_of(struct intake *in)
{
    return (struct body *)(void *)in->caller;
}

/* Begins a body that is not here in one piece, or holds many messages. */
static void body_begin(struct server *s, struct conn *c, struct span topic,
                       const struct batch_message *like, uint8_t batch)
{
    bool all = span_eq(s->ex.access.publish, SPAN("**"));
    if (batch == BATCH_NDJSON && !all && !access_keep_expiry_and_scopes(s, c))
        return;
    /* room for more is made when more comes: a length alone takes nothing from others */
    uint32_t block = conn_buffer_alloc(&s->clients.conns, intake_size(topic, like, 0));
    if (block == 0) {
        pass_drop_scopes(&s->clients, c);
        refuse_full(s, c, NULL);
        return;
    }
    struct intake *in = pool_at(&s->clients.conns.buffers, block);
    intake_init(in, topic, like, batch);
    pass_keep_token(&s->config, &s->clients, &s->ex, c);
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

/* Returns true if a key is ASCII that stands as it is in a string, as most are. */
static bool key_plain(struct span s)
{
    char few[WORD_SIZE];
    uint64_t odd = 0;
    if (s.n < WORD_SIZE) {
        memset(few, ' ', sizeof few);
        memcpy(few, s.p, s.n);
        s = (struct span){few, WORD_SIZE};
    }
    for (size_t i = 0; i < s.n; i += WORD_SIZE) { /* the last word may begin in the one before it */
        uint64_t w = word_at(s.p + (i < s.n - WORD_SIZE ? i : s.n - WORD_SIZE));
        odd |= w | ((w ^ WORD_ONES * '"') - WORD_ONES) | ((w ^ WORD_ONES * '\\') - WORD_ONES);
    }
    return !word_has_high(odd);
}

/* Reads the key of a request: the field, a string (RFC 9651 section 3.3.3) or bare, or the
 * parameter. False: it has been refused. */
static bool key_read(struct server *s, struct conn *c, struct span *key, char out[QUERY_MAX])
{
    struct span field = http_field(&s->ex.req, HTTP_IDEMPOTENCY_KEY);
    *key = (struct span){NULL, 0};
    if (s->ex.query.has != 0)
        *key = query_value(&s->ex.query, QUERY_KEY, out, QUERY_MAX);
    bool both = field.p != NULL && key->p != NULL, right = true;
    bool quoted = field.p != NULL && field.n > 1 && field.p[0] == '"';
    if (quoted && !both && field.p[field.n - 1] == '"' && field.n > 2 &&
        field.n - 2 <= RING_NAME_MAX && key_plain((struct span){field.p + 1, field.n - 2})) {
        *key = (struct span){field.p + 1, field.n - 2};
        return true;
    }
    if (quoted) {
        size_t n = 0, i = 1;
        for (; i + 1 < field.n && n < QUERY_MAX && field.p[i] != '"'; i++) {
            i += field.p[i] == '\\';
            out[n++] = field.p[i];
        }
        right = i + 1 == field.n && field.p[i] == '"';
        *key = (struct span){out, n};
    } else if (field.p != NULL) {
        *key = field;
    }
    if (!both && right &&
        (key->p == NULL || (key->n > 0 && key->n <= RING_NAME_MAX && utf8_valid(*key) == key->n)))
        return true;
    serve_refuse(s, c, 400, NULL,
                 both ? "the key is in Idempotency-Key and in key=: send one"
                      : "a key (Idempotency-Key, key=) is a string of 1 to 255 bytes, UTF-8",
                 NULL);
    return false;
}

/* Reads what a request says of the message besides its body: its event and its key, into the
 * buffers, and whether it is the last. False: it has been refused. */
static bool parameters(struct server *s, struct conn *c, struct batch_message *m,
                       char event[QUERY_MAX], char key[QUERY_MAX])
{
    char bytes[QUERY_MAX];
    struct span end;
    if (s->ex.query.has == 0)
        return key_read(s, c, &m->key, key);
    ptrdiff_t n = query_decode(&s->ex.query, QUERY_EVENT, event, QUERY_MAX);
    m->event = (struct span){event, n > 0 ? (size_t)n : 0};
    if (n == -1 || n == -2) {
        serve_refuse(s, c, 400, NULL,
                     n == -1 ? "event= has bad percent-encoding"
                             : "event= is longer than 255 bytes",
                     NULL);
        return false;
    }
    struct submission p;
    if (!submit_check_event(m->event, &p)) {
        refuse_put(s, c, NULL, &p);
        return false;
    }
    if (query_flag(&s->ex.query, QUERY_END, &m->end, &end, bytes))
        return key_read(s, c, &m->key, key);
    serve_refuse(s, c, 400, NULL, "end=", QUOTE(end), ": must be 1 or 0, or nothing", NULL);
    return false;
}

size_t serve_publish(struct server *s, struct conn *c, struct span topic, const char *rest,
                     size_t len)
{
    struct span type = http_field(&s->ex.req, HTTP_CONTENT_TYPE);
    struct span coding = http_field(&s->ex.req, HTTP_CONTENT_ENCODING);
    uint8_t batch = type.n > 0 && !is_revocation(topic) ? batch_kind(type) : 0;
    struct submission p;
    if (!may_publish(s, c, topic))
        return 0;
    if (coding.n > 0 && !span_same(coding, SPAN("identity"))) {
        serve_refuse(s, c, 415, "Accept-Encoding: identity\r\n",
                     "no Content-Encoding is understood", NULL);
        return 0;
    }
    char event[QUERY_MAX], key[QUERY_MAX];
    bool binary = http_is_type(type, SPAN("application/octet-stream"));
    struct batch_message m = {.binary = binary};
    bool plain = s->ex.query.has == 0 && (s->ex.req.has & 1u << HTTP_IDEMPOTENCY_KEY) == 0;
    if (!plain && !parameters(s, c, &m, event, key)) /* nothing is asked for, as most often */
        return 0;
    if (batch != 0 && m.key.n > 0) {
        serve_refuse(s, c, 400, NULL, "a batch has no key: each of its lines may have one, as ",
                     "{\"data\":..,\"key\":..}", NULL);
        return 0;
    }
    if (batch == 0 && s->ex.req.length > s->config.opt.max_message) {
        refuse_large(s, c, NULL);
        return 0;
    }
    if (batch != 0 && !s->ex.ask.body) { /* no bytes of it will come */
        if (!m.end || topic.n == 0) {
            answer_published(s, c, &(struct published){.batch = true});
            return 0;
        }
        batch = 0;
    }
    if (batch != 0 || s->ex.req.chunked || s->ex.req.length > len) {
        body_begin(s, c, topic, &m, batch);
        return 0;
    }
    m.data = (struct span){rest, (size_t)s->ex.req.length};
    batch_end(&m);
    s->ex.ask.body = false;
    if (put(s, c, NULL, topic, &m, &p))
        answer_published(s, c,
                         &(struct published){.last = p.n,
                                             .count = !p.duplicate,
                                             .duplicates = p.duplicate,
                                             .reach = p.reach});
    return (size_t)s->ex.req.length;
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

/* Is the token of a body valid still? Else it has been refused. */
static bool body_valid(struct server *s, struct conn *c, struct intake *in)
{
    struct challenge ch;
    bool over = body_of(in)->expires != 0 && s->clock.wall / 1000 >= body_of(in)->expires;
    if (!over && !pass_revoked(&s->clients, &s->clock, c))
        return true;
    s->stat.expired += over;
    s->stat.revoked += !over;
    serve_refuse(s, c, 401,
                 access_challenge(&s->config, &ch, 401, "invalid_token",
                                  over ? SPAN("it has expired") : SPAN("it has been revoked")),
                 WHERE(in), over ? "the token has expired" : "the token has been revoked", NULL);
    return false;
}

/* Publishes what is whole of a body; `end`: all of it has come. False: it has been refused. */
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
        if (!body_valid(s, c, in))
            return false;
        struct span topic = topic_of(s, c, in, &m);
        struct submission p;
        if (topic.p == NULL)
            return false;
        if (!put(s, c, in, topic, &m, &p))
            return false;
        in->last = p.n;
        in->reach = p.reach;
        in->duplicates += p.duplicate;
        in->count += !m.bare && !p.duplicate;
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
        answer_published(s, c,
                         &(struct published){.last = in->last,
                                             .count = in->count,
                                             .duplicates = in->duplicates,
                                             .reach = in->reach,
                                             .batch = batch});
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
