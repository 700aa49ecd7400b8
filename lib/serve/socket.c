/*
 * socket.c - WebSocket: the handshake, frames in, the json subprotocol, the close.
 *
 * Without a subprotocol a frame is a message's data, either way. With "json" each frame is an
 * object: out, a message as a poll has it, {"gap":..}, or {"id":..}, a checkpoint; in,
 * {"topic","event","data","end","key"} (or "base64"; or just an end), {"subscribe":[..]} or
 * {"unsubscribe":[..]}, answered {"ok":..} or {"error":..}.
 */
#include "lib/serve/socket.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/pace.h"
#include "lib/serve/access.h"
#include "lib/serve/access_log.h"
#include "lib/serve/answer.h"
#include "lib/serve/conn.h"
#include "lib/serve/feed.h"
#include "lib/serve/pass.h"
#include "lib/serve/quote.h"
#include "lib/serve/saved.h"
#include "lib/serve/start.h"
#include "lib/serve/submit.h"
#include "lib/serve/subscriber.h"
#include "lib/serve/transport.h"
#include "lib/stream.h"
#include "lib/topic/sets.h"
#include "lib/ws.h"

#include <assert.h>

#define UNREAD_MAX (1u << 20) /* bytes of answers kept for a client before it is closed */

/* The buffer of a connection that is inside a frame or a message. */
struct inside {
    struct ws ws;
    struct pace pace; /* of these bytes */
    uint64_t moved;   /* ms: when bytes of it came last */
    uint32_t have;    /* bytes of the message so far */
    char bytes[];
};

/* ---- frames out ------------------------------------------------------------------------------ */

static void frame(struct exchange *ex, enum ws_opcode opcode, struct span payload)
{
    char head[WS_HEAD_MAX];
    text_add(&ex->out, (struct span){head, ws_head(head, opcode, payload.n)});
    text_add(&ex->out, payload);
}

/* Sends a close frame, the last frame of this side; if a partly written record cannot be completed,
 * ends the connection without one. */
static void end(struct server *s, struct conn *c, unsigned code, struct span reason)
{
    char bytes[WS_CLOSE_MAX];
    if (subscriber_finish_record(&s->broker, &s->clients, &s->stat, &s->ex, c)) {
        text_add(&s->ex.out, (struct span){bytes, ws_close(bytes, code, reason)});
    } else {
        s->ex.out.n = 0;
        conn_buffer_free(&s->clients.conns, &c->out);
        c->stream.sent = 0;
    }
    access_log_end(&s->config, &s->broker, &s->clients, &s->log, c,
                   reason.n > 0 ? QUOTE(reason) : "closed");
    subscriber_leave(&s->broker, &s->clients, c);
    serve_linger(&s->clients, c);
}

/* Sends an id in json, as a checkpoint or as a heartbeat. */
static void id_frame(struct exchange *ex, struct cursor id, bool heartbeat)
{
    char bytes[80];
    struct text t = text_in(bytes, sizeof bytes);
    stream_id_object(&t, id, heartbeat);
    assert(!t.full);
    frame(ex, WS_TEXT, text_span(&t));
}

void frames_begin(struct server *s, struct conn *c, const struct cursor *from)
{
    (void)s, (void)c, (void)from; /* frames have no ids */
}

void objects_begin(struct server *s, struct conn *c, const struct cursor *from)
{
    (void)c;
    id_frame(&s->ex, *from, false);
}

static void ping(const struct moment *clock, struct exchange *ex, struct conn *c)
{
    frame(ex, WS_PING, SPAN(""));
    c->flags |= CONN_PINGED;
    c->stream.pinged = (uint32_t)clock->now;
}

void frames_heartbeat(struct server *s, struct conn *c, bool old)
{
    if (old || c->marks & CONN_BEATS)
        c->place.n = ring_newest(&s->ring).n;
    ping(&s->clock, &s->ex, c);
}

void objects_heartbeat(struct server *s, struct conn *c, bool old)
{
    bool seen = (c->marks & CONN_BEATS) != 0;
    if (old || seen) {
        c->place.n = ring_newest(&s->ring).n;
        id_frame(&s->ex, ring_newest(&s->ring), seen);
    }
    ping(&s->clock, &s->ex, c);
}

void frames_gap(struct server *s, struct conn *c, const struct gap *gap)
{
    bool asked = (c->flags & CONN_CURSOR) != 0;
    (void)gap;
    end(s, c, asked ? 4000 : WS_TRY_LATER, asked ? SPAN("gap") : SPAN("lagged"));
}

void objects_gap(struct server *s, struct conn *c, const struct gap *gap)
{
    char bytes[1024];
    struct text t = text_in(bytes, sizeof bytes);
    (void)c;
    text_str(&t, "{\"gap\":");
    stream_gap_object(&t, gap->reason, gap->after, gap->resume, gap->any);
    text_str(&t, "}");
    frame(&s->ex, WS_TEXT, text_span(&t));
    id_frame(&s->ex, gap->resume, false);
}

void objects_ended(struct server *s, struct conn *c, struct span topic, uint64_t n)
{
    char bytes[2048];
    struct text t = text_in(bytes, sizeof bytes);
    (void)c;
    stream_ended_object(&t, topic, (struct cursor){ring_newest(&s->ring).ms, n});
    assert(!t.full);
    frame(&s->ex, WS_TEXT, text_span(&t));
}

void socket_over(struct server *s, struct conn *c)
{
    end(s, c, WS_NORMAL, SPAN("ended"));
}

void socket_expired(struct server *s, struct conn *c)
{
    end(s, c, 4001, SPAN("the token has expired"));
}

void socket_end_unsynced(struct server *s, struct conn *c)
{
    end(s, c, WS_FAILED, SPAN("the store could not be synced"));
}

void socket_away(struct server *s, struct conn *c)
{
    end(s, c, WS_AWAY, SPAN("the server stops"));
}

/* ---- publishing ------------------------------------------------------------------------------ */

/* Returns the topic of a connection that is subscribed to exactly one; else an empty span. */
static struct span own_topic(const struct broker *broker, const struct conn *c)
{
    if (c->link.topic == 0 || topic_is_set(c->link.topic))
        return (struct span){NULL, 0};
    return topic_name(broker->topics, c->link.topic);
}

/* Returns the close code for a message that was refused with an HTTP status. */
static unsigned close_code(int status)
{
    return status == 413 ? WS_TOO_BIG : status == 503 ? WS_TRY_LATER : WS_POLICY;
}

/* Publishes to the topic that the message names, or else to the connection's. The name is copied,
 * as putting may free it. */
static bool publish(struct server *s, const struct conn *c, struct span topic,
                    const struct batch_message *m, struct submission *p)
{
    char name[TOPIC_NAME_MAX];
    struct access a = pass_access(&s->config, &s->clients, c);
    topic = submit_topic(&s->config, &s->stat, &s->ex, &a, topic, own_topic(&s->broker, c), p);
    if (topic.p == NULL)
        return false;
    memcpy(name, topic.p, topic.n);
    return submit_message(s, (struct span){name, topic.n}, m, p);
}

/* Handles a message that is a frame of its own. */
void frames_message(struct server *s, struct conn *c, struct span data, bool binary)
{
    struct batch_message m = {.data = data, .binary = binary};
    struct span topic = own_topic(&s->broker, c);
    struct submission p;
    if (topic.n == 0)
        end(s, c, WS_POLICY, SPAN("publishing takes a connection to one topic"));
    else if (!publish(s, c, m.topic, &m, &p))
        end(s, c, close_code(p.status), span_of(submit_detail(&p)));
}

/* ---- the json subprotocol -------------------------------------------------------------------- */

static void answer_error(struct exchange *ex, struct span detail)
{
    char bytes[2048];
    struct text t = text_in(bytes, sizeof bytes);
    text_str(&t, "{\"error\":");
    json_string(&t, detail);
    text_str(&t, "}");
    frame(ex, WS_TEXT, text_span(&t));
}

/* Answers with the topics to which the connection is subscribed now. */
static void answer_subscribed(const struct broker *broker, struct exchange *ex,
                              const struct conn *c)
{
    char bytes[4096];
    struct text t = text_in(bytes, sizeof bytes);
    struct span names = {NULL, 0};
    const char *comma = "";
    bool more = false;
    if (c->link.topic != 0)
        names = topic_name(broker->topics, c->link.topic);
    text_str(&t, "{\"ok\":{\"subscribed\":[");
    while (names.n > 0 && !more) {
        struct text before = t;
        text_str(&t, comma);
        json_string(&t, span_cut(&names, ','));
        more = t.full || t.cap - t.n < 64;
        if (more)
            t = before; /* a long list is cut */
        comma = ",";
    }
    text_str(&t, more ? "],\"and\":\"more\"}}" : "]}}");
    frame(ex, WS_TEXT, text_span(&t));
}

/* Appends the strings of a JSON array to a comma-separated list. Returns false if it is not an
 * array of strings, or there is no room. */
static bool names_add(struct text *t, const struct json_value *list)
{
    size_t pos = 0;
    struct span name;
    struct json_value v;
    if (list->kind != JSON_ARRAY)
        return false;
    while (json_next(list, &pos, &name, &v)) {
        if (v.kind != JSON_STRING || t->cap - t->n <= v.raw.n)
            return false;
        if (t->n > 0)
            text_str(t, ",");
        t->n += json_unescape(v.raw, t->p + t->n);
    }
    return !t->full;
}

/* Appends the parts of `from` that `but` lacks. */
static void names_without(struct text *t, struct span from, struct span but)
{
    while (from.n > 0) {
        struct span part = span_cut(&from, ','), rest = but;
        bool found = false;
        while (rest.n > 0 && !found)
            found = span_eq(span_cut(&rest, ','), part);
        if (found)
            continue;
        if (t->n > 0)
            text_str(t, ",");
        text_add(t, part);
    }
}

/* Parts of the ring searched at once. */
#define PASS_LOOKS 8u

/* Moves its place past other topics' messages, so that it gets no old message of a topic to which
 * it subscribes next; unless it lags far, as that would take long. */
static void pass_over(const struct broker *broker, struct conn *c)
{
    uint64_t rec = 0;
    for (unsigned looks = PASS_LOOKS; c->place.at < ring_head(broker->ring) && looks > 0; looks--)
        if (broker_collect(broker, c->link.topic, &c->place.at, &rec, 1) > 0) {
            c->place.at = rec;
            return;
        }
}

/* Counts a request for too many topics. Returns the reason. */
static const char *too_many(struct stat_counters *stat)
{
    stat->limit_subscriptions++;
    return "there are more names and wildcards than --max-subscriptions allows";
}

/* Replaces the subscription by the topics in `names`, which may be up to twice the limit if there
 * are repeats. Returns NULL, or what is wrong, for which `out` is room. */
static const char *resubscribe(struct server *s, struct conn *c, struct span names,
                               char out[QUOTE_MAX])
{
    const char *why = NULL;
    uint32_t id, most = s->config.opt.max_subscriptions;
    if (!names_declared(&s->config, names))
        return "this server has only the topics that --topic names";
    if (names.p[0] == '-')
        return "begins with \"-\""; /* the server's own topic, which the table may have */
    id = broker_select(&s->broker, names, 2 * most, false, &why);
    if (id == 0)
        return why != NULL ? why : serve_count_topic_limit(&s->config, &s->broker, &s->stat, out);
    if (id == c->link.topic)
        return NULL;
    if (serve_name_count(topic_name(&s->topics, id)) > most) {
        serve_release(&s->broker, id);
        return too_many(&s->stat);
    }
    bool was = c->link.topic != 0;
    if (was && !(subscriber_finish_record(&s->broker, &s->clients, &s->stat, &s->ex, c) &&
                 subscriber_check(s, c))) {
        serve_release(&s->broker, id);
        return serve_buffer_limit(&s->clients);
    }
    if (was) {
        pass_over(&s->broker, c);
    } else {
        c->place.at = ring_head(&s->ring);
        c->place.n = ring_newest(&s->ring).n;
    }
    /* the old one is released last, so that topics of both stay */
    uint32_t old = c->link.topic;
    if (was)
        topic_unsubscribe(&s->topics, (uint32_t)conn_fd(&s->clients.conns, c));
    topic_subscribe(&s->topics, id, (uint32_t)conn_fd(&s->clients.conns, c));
    if (was)
        serve_release(&s->broker, old);
    return NULL;
}

/* Narrows the list in t->p[from..t->n) to what the connection's token allows. Returns NULL, or what
 * is wrong, as when it allows nothing of one name: then the list is unchanged. */
static const char *names_narrow(const struct config *config, const struct clients *clients,
                                struct exchange *ex, const struct conn *c, struct text *t,
                                size_t from)
{
    struct access a = pass_access(config, clients, c);
    struct text narrow = text_in(ex->narrowed, sizeof ex->narrowed);
    struct span refused;
    if (t->n == from || span_eq(a.subscribe, SPAN("**")))
        return NULL;
    if (auth_narrow(&narrow, a.subscribe, span_from(text_span(t), from), &refused) &&
        narrow.n <= t->cap - from) {
        t->n = from;
        text_add(t, text_span(&narrow));
        return NULL;
    }
    return refused.n > 0 ? "the token does not allow subscribing to all of these"
                         : "to find what of so many names and wildcards the token allows is too "
                           "much: name fewer at once (--max-subscriptions)";
}

/* Tells which of these topics have ended; closes a socket for which there is no room for that. */
static void tell_ended(struct server *s, struct conn *c, struct span names)
{
    if (!subscriber_tell_ended(s, c, names))
        end(s, c, WS_TRY_LATER, span_of(serve_buffer_limit(&s->clients)));
}

/* {"subscribe":[..]} or {"unsubscribe":[..]}. */
static void subscription(struct server *s, struct conn *c, const struct json_value *list, bool on)
{
    char limit[QUOTE_MAX];
    struct text t = text_in(s->ex.listed, sizeof s->ex.listed);
    struct span now = {NULL, 0}, fresh = {NULL, 0};
    const char *wrong = NULL;
    if (c->link.topic != 0)
        now = topic_name(&s->topics, c->link.topic);
    if (on)
        text_add(&t, now);
    size_t had = t.n;
    if (!names_add(&t, list) || t.full) {
        answer_error(&s->ex, SPAN("must be an array of names and wildcards"));
        return;
    }
    struct span listed = span_from(text_span(&t), had);
    bool many =
        serve_name_count(listed) - (had > 0 && listed.n > 0) > s->config.opt.max_subscriptions;
    size_t begin = had > 0 && listed.n > 0 ? had + 1 : had; /* after the comma */
    const char *denied = many ? NULL : names_narrow(&s->config, &s->clients, &s->ex, c, &t, begin);
    if (denied != NULL && on) {
        s->stat.access_denied++;
        answer_error(&s->ex, span_of(denied));
        return;
    }
    listed = span_from(text_span(&t), had);
    if (!on && !many) {
        struct text left = {t.p + t.n, 0, t.cap - t.n, false};
        names_without(&left, now, listed);
        t = left;
    }
    if (on && !many && s->broker.chains.h->ended > 0) { /* what it is told of below */
        struct text more = {t.p + t.n, 0, t.cap - t.n, false};
        names_without(&more, span_from(text_span(&t), begin), now);
        fresh = text_span(&more);
    }
    if (many) {
        wrong = too_many(&s->stat);
    } else if (t.n > 0) {
        wrong = resubscribe(s, c, text_span(&t), limit);
    } else if (subscriber_finish_record(&s->broker, &s->clients, &s->stat, &s->ex, c)) {
        subscriber_leave(&s->broker, &s->clients, c);
    } else {
        wrong = serve_buffer_limit(&s->clients);
    }
    if (wrong != NULL) {
        answer_error(&s->ex, span_of(wrong));
        return;
    }
    answer_subscribed(&s->broker, &s->ex, c);
    tell_ended(s, c, fresh);
}

/* The members that a frame may have. */
struct command {
    struct json_value topic, event, data, base64, end, key, subscribe, unsubscribe;
    bool has_topic, has_event, has_data, has_base64, has_end, has_key, has_subscribe,
        has_unsubscribe;
};

/* Reads the members. Returns NULL, or what is wrong. */
static const char *command_read(struct span text, struct command *k)
{
    struct json_value object, v;
    struct span name;
    size_t at = 0, pos = 0;
    *k = (struct command){.has_topic = false};
    if (!json_read(text, &object, &at) || object.kind != JSON_OBJECT)
        return "a frame must be a JSON object";
#define MEMBER(field)                          \
    if (span_eq(name, SPAN(#field))) {         \
        if (k->has_##field)                    \
            return "has \"" #field "\" twice"; \
        k->field = v;                          \
        k->has_##field = true;                 \
        continue;                              \
    }
    while (json_next(&object, &pos, &name, &v)) {
        MEMBER(topic)
        MEMBER(event)
        MEMBER(data)
        MEMBER(base64)
        MEMBER(end)
        MEMBER(key)
        MEMBER(subscribe)
        MEMBER(unsubscribe)
        return "has a member that is not topic, event, data, base64, end, key, subscribe or "
               "unsubscribe";
    }
#undef MEMBER
    bool publishes = k->has_data || k->has_base64 || k->has_end;
    if (k->has_subscribe + k->has_unsubscribe + publishes != 1 || (k->has_data && k->has_base64))
        return "must have one of data, base64, subscribe and unsubscribe, or an end";
    if (k->has_end && k->end.kind != JSON_TRUE && k->end.kind != JSON_FALSE)
        return "end must be true or false";
    k->has_end = k->has_end && k->end.kind == JSON_TRUE;
    if (publishes && !k->has_data && !k->has_base64 && (!k->has_end || k->has_event))
        return "must have data or base64, unless it is just an end";
    if ((k->has_topic && k->topic.kind != JSON_STRING) ||
        (k->has_data && k->data.kind != JSON_STRING) ||
        (k->has_base64 && k->base64.kind != JSON_STRING) ||
        (k->has_key && (k->key.kind != JSON_STRING || k->key.raw.n == 0)) ||
        (k->has_event && k->event.kind != JSON_STRING && k->event.kind != JSON_NULL))
        return "topic, event, data, base64 and key must be strings";
    return NULL;
}

/* Decodes a string of a frame in place. */
static struct span unescape(const struct json_value *v)
{
    char *p = (char *)(uintptr_t)v->raw.p;
    return (struct span){p, json_unescape(v->raw, p)};
}

static void command_publish(struct server *s, struct conn *c, struct command *k)
{
    bool bare = !k->has_data && !k->has_base64;
    struct batch_message m = {.binary = k->has_base64, .end = k->has_end, .bare = bare};
    struct submission p;
    if (k->has_topic)
        m.topic = unescape(&k->topic);
    if (k->has_event && k->event.kind == JSON_STRING)
        m.event = unescape(&k->event);
    if (k->has_key)
        m.key = unescape(&k->key);
    if (!bare)
        m.data = unescape(k->has_base64 ? &k->base64 : &k->data);
    if (k->has_base64) {
        char *place = (char *)(uintptr_t)m.data.p;
        ptrdiff_t n = base64_read(place, m.data);
        if (n < 0) {
            answer_error(&s->ex, SPAN("\"base64\" is not base64"));
            return;
        }
        m.data.n = (size_t)n;
    }
    if (!publish(s, c, m.topic, &m, &p)) {
        answer_error(&s->ex, span_of(submit_detail(&p)));
        return;
    }
    char bytes[160];
    struct text t = text_in(bytes, sizeof bytes);
    text_str(&t, "{\"ok\":{\"id\":\"");
    ring_id_write(&s->ring, &t, p.n);
    text_str(&t, p.duplicate ? "\",\"duplicate\":true,\"subscribers\":" : "\",\"subscribers\":");
    text_u64(&t, p.reach);
    text_str(&t, "}}");
    frame(&s->ex, WS_TEXT, text_span(&t));
}

void objects_message(struct server *s, struct conn *c, struct span text, bool binary)
{
    struct command k;
    const char *wrong = binary ? "a frame must be text" : command_read(text, &k);
    if (wrong != NULL)
        answer_error(&s->ex, span_of(wrong));
    else if (k.has_subscribe || k.has_unsubscribe)
        subscription(s, c, k.has_subscribe ? &k.subscribe : &k.unsubscribe, k.has_subscribe);
    else
        command_publish(s, c, &k);
}

/* ---- frames in ------------------------------------------------------------------------------- */

/* Returns the connection's buffer with room for `more` bytes of its message; NULL if there is no
 * room. */
static struct inside *inside_room(const struct config *config, struct clients *clients,
                                  const struct moment *clock, struct conn *c, size_t more)
{
    struct pool *pool = &clients->conns.buffers;
    uint32_t block = c->in;
    if (block == 0) {
        block = conn_buffer_alloc(&clients->conns, sizeof(struct inside) + more);
        if (block != 0) {
            struct inside *in = pool_at(pool, block);
            *in = (struct inside){.moved = clock->now};
            pace_begin(&in->pace, clock->now, config->opt.request_timeout_ms);
        }
    } else {
        size_t used = sizeof(struct inside) + ((struct inside *)pool_at(pool, block))->have;
        block = conn_buffer_grow(&clients->conns, block, used + more, used);
    }
    if (block == 0)
        return NULL;
    c->in = block;
    return pool_at(pool, block);
}

/* Handles data of a message. A complete one is used in place; the buffer of one in parts is freed
 * after its last part. */
static void data_piece(struct server *s, struct conn *c, const struct ws_piece *p)
{
    bool binary = p->opcode == WS_BINARY;
    if (p->first && p->last) {
        transport_of(c)->message(s, c, p->data, binary);
        return;
    }
    struct inside *in = inside_room(&s->config, &s->clients, &s->clock, c, p->data.n);
    if (in == NULL) {
        end(s, c, WS_TRY_LATER, span_of(serve_count_buffer_limit(&s->clients, &s->stat)));
        return;
    }
    if (p->data.n > 0) {
        memcpy(in->bytes + in->have, p->data.p, p->data.n);
        pace_moved(&in->pace, s->clock.now, p->data.n, s->config.opt.min_rate,
                   s->config.opt.request_timeout_ms);
        in->moved = s->clock.now;
    }
    in->have += (uint32_t)p->data.n;
    if (!p->last)
        return;
    transport_of(c)->message(s, c, (struct span){in->bytes, in->have}, binary);
}

bool socket_message_late(const struct clients *clients, const struct moment *clock,
                         const struct conn *c)
{
    const struct inside *in = c->in != 0 ? pool_at(&clients->conns.buffers, c->in) : NULL;
    return in != NULL && pace_late(&in->pace, clock->now);
}

void socket_end_over_share(struct server *s, struct conn *c)
{
    end(s, c, WS_TRY_LATER, span_of(serve_count_buffer_limit(&s->clients, &s->stat)));
}

void socket_end_late(struct server *s, struct conn *c)
{
    const struct inside *in = pool_at(&s->clients.conns.buffers, c->in);
    bool quiet = s->clock.now - in->moved >= s->config.opt.request_timeout_ms;
    *(quiet ? &s->stat.timeout_request : &s->stat.limit_rate) += 1;
    end(s, c, WS_POLICY,
        quiet ? SPAN("a message was not complete in time (--request-timeout)")
              : SPAN("a message comes at less than --min-rate"));
}

/* Checks, as far as is known, whether a message that has begun may be published; if not, closes the
 * socket before any of it is kept. A json message's topic may come anywhere in it, and is checked
 * then. */
static bool may_begin(struct server *s, struct conn *c)
{
    struct access a = pass_access(&s->config, &s->clients, c);
    struct span topic = own_topic(&s->broker, c);
    struct submission p;
    if (transport_of(c)->objects)
        return true;
    if (topic.n == 0)
        end(s, c, WS_POLICY, SPAN("publishing takes a connection to one topic"));
    else if (!submit_check_topic(&s->config, &s->stat, &s->ex, &a, topic, &p))
        end(s, c, close_code(p.status), span_of(submit_detail(&p)));
    else
        return true;
    return false;
}

/* Returns true if this socket may publish nothing at all: then its messages are at most lists of
 * names. */
static bool only_listens(const struct config *config, const struct clients *clients,
                         const struct conn *c)
{
    return transport_of(c)->objects && pass_access(config, clients, c).publish.n == 0;
}

/* Returns the size of the largest message accepted from a socket. */
static uint64_t message_most(const struct config *config, const struct clients *clients,
                             const struct conn *c)
{
    uint64_t most = config->opt.max_message;
    if (!transport_of(c)->objects)
        return most;
    most = 6 * most + (8u << 10); /* escaped as JSON */
    uint64_t list = (uint64_t)config->opt.max_subscriptions * (TOPIC_NAME_MAX + 4) + 1024;
    return only_listens(config, clients, c) && list < most ? list : most;
}

/* Returns the reason to send with a code of ws_read(). */
static struct span read_error(struct config *config, struct clients *clients,
                              struct stat_counters *stat, const struct conn *c, int code)
{
    if (code == WS_TOO_BIG)
        *(only_listens(config, clients, c) ? &stat->access_denied : &stat->limit_message) += 1;
    return code == WS_NOT_UTF8  ? SPAN("not UTF-8")
           : code != WS_TOO_BIG ? SPAN("not as RFC 6455 has it")
           : only_listens(config, clients, c)
               ? SPAN("it may not publish, and this is over --max-subscriptions")
               : SPAN("a message is over --max-message");
}

size_t socket_input(struct server *s, struct conn *c, char *buf, size_t len)
{
    struct ws ws = {.size = 0};
    struct ws_piece p;
    size_t took;
    saved_resume_conn(&s->clients, &s->ex, c, (struct span){NULL, 0}, "websocket");
    if (c->in != 0)
        ws = ((struct inside *)pool_at(&s->clients.conns.buffers, c->in))->ws;
    c->flags &= (uint16_t)~CONN_PINGED;
    if (conn_out(&s->clients.conns, c).n > UNREAD_MAX) {
        end(s, c, WS_TRY_LATER, SPAN("the answers are not read"));
        return len;
    }
    uint64_t had = ws.size;
    int got = ws_read(&ws, buf, len, message_most(&s->config, &s->clients, c), &took, &p);
    if (got < 0) {
        end(s, c, (unsigned)-got, read_error(&s->config, &s->clients, &s->stat, c, -got));
        return len;
    }
    if (had == 0 && ws.size > 0 && !may_begin(s, c))
        return len;
    if (got > 0 && p.opcode == WS_CLOSE)
        end(s, c, p.code, SPAN(""));
    else if (got > 0 && p.opcode == WS_PING)
        frame(&s->ex, WS_PONG, p.data);
    else if (got > 0 && p.opcode != WS_PONG)
        data_piece(s, c, &p);
    if (c->state != CONN_SOCKET)
        return len;
    if (ws_idle(&ws)) {
        conn_buffer_free(&s->clients.conns, &c->in);
        return took;
    }
    struct inside *in = inside_room(&s->config, &s->clients, &s->clock, c, 0);
    if (in == NULL)
        end(s, c, WS_TRY_LATER, span_of(serve_count_buffer_limit(&s->clients, &s->stat)));
    else
        in->ws = ws;
    return took;
}

/* ---- the handshake --------------------------------------------------------------------------- */

/* Returns true if the client offers the json subprotocol. */
static bool offers_json(const struct exchange *ex)
{
    struct span item;
    size_t pos = 0;
    while (http_list(&ex->req, HTTP_SEC_WEBSOCKET_PROTOCOL, &pos, &item))
        if (span_eq(item, SPAN("json")))
            return true;
    return false;
}

/* Returns true if a field comes twice with different values: a proxy in front that reads the last
 * would take it for another handshake. */
static bool differs(const struct http_request *req, enum http_field_id id)
{
    struct span first = http_field(req, id);
    for (unsigned i = 0; i < req->nfields; i++)
        if (req->field[i].id == id && !span_eq(req->field[i].value, first))
            return true;
    return false;
}

/* Returns true if the handshake is right (RFC 6455 section 4.2.1); else it has refused the
 * request. */
static bool handshake_right(struct server *s, struct conn *c)
{
    struct span version = http_field(&s->ex.req, HTTP_SEC_WEBSOCKET_VERSION);
    if (s->ex.ask.body)
        serve_refuse(s, c, 400, NULL, "a handshake has no body", NULL);
    else if (differs(&s->ex.req, HTTP_SEC_WEBSOCKET_KEY))
        serve_refuse(s, c, 400, NULL, "there are two different Sec-WebSocket-Key fields", NULL);
    else if (differs(&s->ex.req, HTTP_SEC_WEBSOCKET_VERSION))
        serve_refuse(s, c, 400, NULL, "there are two different Sec-WebSocket-Version fields", NULL);
    else if (!span_eq(version, SPAN("13")))
        serve_refuse(s, c, 426,
                     "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
                     "only version 13 of WebSocket is spoken here (Sec-WebSocket-Version)", NULL);
    else if (!ws_key_right(http_field(&s->ex.req, HTTP_SEC_WEBSOCKET_KEY)))
        serve_refuse(s, c, 400, NULL, "Sec-WebSocket-Key must be 16 bytes in base64", NULL);
    else
        return access_check_origin(s, c, " may not connect here");
    return false;
}

/* Appends the answer that accepts the handshake. */
static void handshake_answer(struct server *s, bool json)
{
    char accept[WS_ACCEPT_SIZE];
    ws_accept(accept, http_field(&s->ex.req, HTTP_SEC_WEBSOCKET_KEY));
    serve_begin_answer(&s->config, &s->clock, &s->stat, &s->ex, 101);
    access_log_answer(s, 101, 0);
    text_str(&s->ex.out, "Upgrade: websocket\r\nConnection: Upgrade\r\n");
    http_add(&s->ex.out, "Sec-WebSocket-Accept", (struct span){accept, sizeof accept});
    if (json)
        text_str(&s->ex.out, "Sec-WebSocket-Protocol: json\r\n");
    text_str(&s->ex.out, "\r\n");
}

void serve_socket(struct server *s, struct conn *c, struct span names)
{
    struct start start;
    bool json = offers_json(&s->ex);
    uint32_t id;
    s->ex.ask.log_way = "websocket";
    if (!handshake_right(s, c))
        return;
    if (s->clients.draining) {
        serve_refuse_draining(s, c);
        return;
    }
    if (!serve_options(s, c) || (id = serve_select(s, c, names, NULL)) == 0)
        return;
    if (!start_of_request(s, c, id, false, &start)) {
        serve_release(&s->broker, id);
        return;
    }
    if (!access_keep_expiry_and_scopes(s, c)) {
        serve_release(&s->broker, id);
        return;
    }
    handshake_answer(s, json);
    c->transport = json ? TRANSPORT_OBJECTS : TRANSPORT_FRAMES;
    c->place.at = start.at;
    c->place.n = start.id.n;
    c->stream.sent = 0;
    saved_keep_socket(&s->config, &s->clients, &s->ex, c);
    c->flags &= (uint16_t) ~(CONN_CURSOR | CONN_PINGED);
    if (start.cursor)
        c->flags |= CONN_CURSOR;
    conn_go(&s->clients.conns, c, CONN_SOCKET);
    topic_subscribe(&s->topics, id, (uint32_t)conn_fd(&s->clients.conns, c));
    if (start.gap != NULL) {
        struct gap gap = {.after = start.after};
        gap_skip(&s->broker, &s->stat, c, id, start.gap, &gap);
        c->flags |= CONN_CURSOR;
        transport_of(c)->gap(s, c, &gap);
    } else {
        transport_of(c)->begin(s, c, &start.id);
        if (!start_resumes(&start))
            tell_ended(s, c, topic_name(&s->topics, id));
    }
}
