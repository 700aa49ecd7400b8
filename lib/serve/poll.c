/*
 * poll.c - short and long polling: answers with the pending messages, at once or when one comes.
 */
#include "lib/serve/poll.h"
#include "lib/broker/render.h"
#include "lib/json.h"
#include "lib/serve/access.h"
#include "lib/serve/answer.h"
#include "lib/serve/conn.h"
#include "lib/serve/exchange.h"
#include "lib/serve/http_stream.h"
#include "lib/serve/pass.h"
#include "lib/serve/query.h"
#include "lib/serve/queue.h"
#include "lib/serve/quote.h"
#include "lib/serve/saved.h"
#include "lib/serve/start.h"
#include "lib/serve/transport.h"
#include "lib/stream.h"

#include <assert.h>

/* ---- what is asked --------------------------------------------------------------------------- */

static const struct {
    struct span type, subtype;
} forms[] = {
    [0] = {SPAN_INIT("application"), SPAN_INIT("json")},
    [1] = {SPAN_INIT("application"), SPAN_INIT("x-ndjson")},
    [2] = {SPAN_INIT("text"), SPAN_INIT("plain")},
};

/* Returns the quality of form i in Accept, as http_accept() does: lines have other names as
 * well. */
static unsigned form_quality(const struct exchange *ex, unsigned i, bool *exact)
{
    static const char names[][12] = {"ndjson", "jsonl", "x-jsonlines", "jsonlines"};
    unsigned q = http_accept(&ex->req, forms[i].type, forms[i].subtype, exact);
    struct span accept = http_field(&ex->req, HTTP_ACCEPT);
    if (*exact || forms[i].subtype.n != sizeof "x-ndjson" - 1 ||
        accept.n < sizeof "application/jsonl" - 1)
        return q;
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        unsigned other = http_accept(&ex->req, forms[i].type, span_of(names[k]), exact);
        if (*exact)
            return other;
    }
    return q;
}

/* Returns the form that Accept prefers, the first one of several alike; -1 if it accepts none. */
static int form_choose(const struct exchange *ex)
{
    unsigned best = 0;
    int form = -1;
    if (http_field(&ex->req, HTTP_ACCEPT).p == NULL)
        return 0;
    for (unsigned i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        bool exact;
        unsigned q = form_quality(ex, i, &exact);
        /* a form that is named goes before one that a wildcard matches */
        q = 2 * q + (q > 0 && exact);
        if (q > best) {
            best = q;
            form = (int)i;
        }
    }
    return form;
}

unsigned poll_quality(const struct exchange *ex)
{
    unsigned best = 0;
    for (unsigned i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        bool exact;
        unsigned q = form_quality(ex, i, &exact);
        best = q > best ? q : best;
    }
    return best;
}

/* Reads "wait=N" of Prefer, in seconds (RFC 7240 section 4.3). Returns false if there is none that
 * can be read: a preference that cannot be met is not an error. */
static bool wait_preferred(const struct exchange *ex, uint64_t *seconds)
{
    struct span item;
    size_t pos = 0;
    while (http_list(&ex->req, HTTP_PREFER, &pos, &item)) {
        item = span_trim(span_cut(&item, ';'));
        struct span name = span_trim(span_cut(&item, '='));
        item = span_trim(item);
        if (item.n > 2 && item.p[0] == '"' && item.p[item.n - 1] == '"')
            item = (struct span){item.p + 1, item.n - 2};
        if (span_same(name, SPAN("wait")) && cursor_wait(item, seconds))
            return true;
    }
    return false;
}

/* Reads how long a poll asks to wait, from Prefer or ?wait=, into ex.ask. Returns false if ?wait=
 * is wrong; it has refused the request then. */
static bool wait_read(struct server *s, struct conn *c)
{
    char bytes[QUERY_MAX];
    uint64_t most = s->config.opt.max_wait_ms / 1000, seconds = 0;
    bool waits = wait_preferred(&s->ex, &seconds);
    struct span text =
        waits ? (struct span){NULL, 0} : query_value(&s->ex.query, QUERY_WAIT, bytes, sizeof bytes);
    if (text.n > 0 && !(waits = cursor_wait(text, &seconds))) {
        serve_refuse(s, c, 400, NULL, "wait=", QUOTE(text),
                     ": must be seconds, or a duration as 30s or 1m", NULL);
        return false;
    }
    s->ex.ask.waits = waits;
    s->ex.ask.log_way = waits ? "longpoll" : "poll";
    s->ex.ask.wait = seconds < most ? seconds : most;
    return true;
}

/* ---- answering ------------------------------------------------------------------------------- */

/* What an answer leads to: an id, and whether all its topics have ended by then. */
struct reached {
    uint64_t n;
    bool over;
};

/* Appends the field lines that every answer to a poll has. */
static void poll_fields(const struct broker *broker, const struct exchange *ex, struct text *t,
                        struct reached to)
{
    char bytes[CURSOR_MAX];
    struct text cursor = text_in(bytes, sizeof bytes);
    ring_id_write(broker->ring, &cursor, to.n);
    text_str(t, "Last-Event-ID: ");
    text_add(t, text_span(&cursor));
    text_str(t, "\r\nETag: W/\"");
    text_add(t, text_span(&cursor));
    text_str(t, "\"\r\nVary: Accept, Prefer\r\nCache-Control: no-store\r\n");
    if (to.over)
        text_str(t, SERVE_ENDED);
    if (ex->ask.waits) {
        text_str(t, "Preference-Applied: wait=");
        text_u64(t, ex->ask.wait);
        text_str(t, "\r\n");
    }
}

/* Appends the answer that there is nothing new. */
static void answer_nothing(struct server *s, struct conn *c, bool tagged, struct reached to)
{
    char bytes[512];
    struct text t = text_in(bytes, sizeof bytes);
    poll_fields(&s->broker, &s->ex, &t, to);
    assert(!t.full);
    serve_answer(s, c, tagged ? 304 : 204, text_span(&t), NULL, (struct span){NULL, 0});
}

/* How the body of an answer is written in a form. */
struct body_form {
    /* Appends the front of the body; NULL: the gap is told in a field. */
    void (*front)(const struct ring *r, struct text *t, struct reached to, const struct gap *gap);
    struct span end;
};

/* The cursor, the gap, the array of messages. */
static void json_front(const struct ring *r, struct text *t, struct reached to,
                       const struct gap *gap)
{
    text_str(t, "{\"id\":\"");
    ring_id_write(r, t, to.n);
    text_str(t, "\",\"gap\":");
    if (gap != NULL)
        stream_gap_object(t, gap->reason, gap->after, gap->resume, gap->any);
    else
        text_str(t, "null");
    text_str(t, to.over ? ",\"ended\":true,\"messages\":[" : ",\"messages\":[");
}

/* A line for the gap. */
static void lines_front(const struct ring *r, struct text *t, struct reached to,
                        const struct gap *gap)
{
    (void)r, (void)to;
    if (gap == NULL)
        return;
    text_str(t, "{\"gap\":");
    stream_gap_object(t, gap->reason, gap->after, gap->resume, gap->any);
    text_str(t, "}\n");
}

static const struct body_form bodies[] = {
    [TRANSPORT_POLL_JSON] = {json_front, SPAN_INIT("]}\n")},
    [TRANSPORT_POLL_LINES] = {lines_front, SPAN_INIT("")},
    [TRANSPORT_POLL_TEXT] = {NULL, SPAN_INIT("")},
};

#define JOINED_MOST 2048u /* bytes of messages copied, for an answer in one piece */

/* Answers with the messages in ex.poll; many are left in ex.tail, to be written after `out`.
 * Returns the bytes of the body. */
static size_t answer_messages(struct server *s, struct conn *c, enum conn_transport transport,
                              struct reached to, const struct gap *gap)
{
    struct share *share = &s->ex.poll;
    char front_bytes[1024], bytes[2048];
    struct text front = text_in(front_bytes, sizeof front_bytes);
    struct text t = text_in(bytes, sizeof bytes);
    if (bodies[transport].front != NULL)
        bodies[transport].front(&s->ring, &front, to, gap);
    poll_fields(&s->broker, &s->ex, &t, to);
    if (gap != NULL && bodies[transport].front == NULL) {
        text_str(&t, "Gap: ");
        stream_gap_object(&t, gap->reason, gap->after, gap->resume, gap->any);
        text_str(&t, "\r\n");
    }
    assert(!front.full && !t.full);
    if (s->ex.ask.method == HTTP_HEAD) {
        serve_answer_without_body(s, c, text_span(&t), transports[transport].type);
        return 0;
    }
    share_end(share, bodies[transport].end);
    serve_answer_front(s, c, text_span(&t), transports[transport].type, text_span(&front),
                       share->size);
    s->ex.tail = share->iov;
    s->ex.tail_pieces = share->pieces;
    for (; share->size <= JOINED_MOST && s->ex.tail_pieces > 0; s->ex.tail_pieces--, s->ex.tail++)
        text_add(&s->ex.out, (struct span){s->ex.tail->iov_base, s->ex.tail->iov_len});
    assert(!s->ex.out.full);
    return front.n + share->size;
}

enum {
    LARGE = 32 << 10,  /* bytes of a message */
    LOOKS = 4,         /* parts of the ring searched for a poll at once */
    LOOK_SECONDS = 10, /* the longest search for a poll that does not wait */
};

/* Fills ex.poll with the messages for a client of entry `id` at its place; to answer a HEAD they
 * are not rendered. If it finds none, there may be more to search from ex.poll.end on. */
static void poll_build(struct server *s, const struct conn *c, uint32_t id,
                       enum conn_transport transport, bool head)
{
    uint64_t at = c->place.at;
    unsigned looks = LOOKS;
    bool conflates = (c->flags & CONN_CONFLATE) != 0;
    do {
        if (head)
            share_count(&s->ex.poll, &s->broker, id, at, conflates, s->config.opt.max_answer);
        else if (conflates)
            share_build_newest(&s->ex.poll, &s->broker, id, at, transport_form(transport),
                               s->config.opt.max_answer);
        else
            share_build(&s->ex.poll, &s->broker, id, at, 0, transport_form(transport),
                        s->config.opt.max_answer);
        at = s->ex.poll.end;
    } while (s->ex.poll.records == 0 && at < ring_head(&s->ring) && --looks > 0);
    if (conflates)
        s->stat.conflated += share_left_out(&s->ex.poll, &s->broker, id, c->place.at, at);
}

/* Returns true if ex.poll holds something to tell a client of entry `id`: messages, or that all its
 * topics have ended. The end of one of several is no answer by itself where its form cannot say
 * which it is. */
static bool poll_tells(const struct server *s, uint32_t id)
{
    const struct share *share = &s->ex.poll;
    bool bytes = share->size > 0 || (share->form == FORM_NONE && share->records > 0);
    return bytes || (broker_any_ended(&s->broker) && broker_over(&s->broker, id, share->end));
}

/* Answers a client with what ex.poll holds; where that is nothing, that there is nothing new. The
 * cursor is that of the last message carried, or, with all there is carried, the newest.
 * Returns how many bytes the body has. */
static size_t poll_answer(struct server *s, struct conn *c, uint32_t id, bool tagged,
                          const struct gap *gap)
{
    enum conn_transport transport = (enum conn_transport)c->transport;
    bool over = broker_any_ended(&s->broker) && broker_over(&s->broker, id, s->ex.poll.end);
    struct reached to = {ring_newest(&s->ring).n, over};
    if (s->ex.poll.end < ring_head(&s->ring))
        to.n = s->ex.poll.records > 0 ? s->ex.poll.n : ring_before(&s->ring, s->ex.poll.end).n;
    if (gap != NULL || (s->ex.poll.records > 0 && poll_tells(s, id)))
        return answer_messages(s, c, transport, to, gap);
    answer_nothing(s, c, tagged, to);
    return 0;
}

/* ---- waiting --------------------------------------------------------------------------------- */

void poll_wait_end(const struct config *config, const struct broker *broker,
                   struct clients *clients, struct exchange *ex, struct conn *c)
{
    struct span name = {NULL, 0};
    if (config->opt.access_log)
        name = topic_name(broker->topics, c->link.topic);
    saved_resume_conn(clients, ex, c, name, transport_of(c)->name);
    topic_unsubscribe(broker->topics, (uint32_t)conn_fd(&clients->conns, c));
    conn_go(&clients->conns, c, CONN_HEAD);
}

void poll_wait_begin(struct server *s, struct conn *c, uint32_t id, enum conn_transport transport,
                     uint64_t ms)
{
    saved_keep_wait(&s->ex.ask, c);
    c->transport = (uint8_t)transport;
    c->wait.due = (uint32_t)(s->clock.now + ms);
    pass_keep_token(&s->config, &s->clients, &s->ex, c);
    conn_go(&s->clients.conns, c, CONN_WAIT);
    if (transports[transport].kind == CONN_KIND_WAIT && c->place.at < ring_head(&s->ring))
        queue_put(&s->clients.conns, c, QUEUE_READY); /* there is more to search */
    topic_subscribe(&s->topics, id, (uint32_t)conn_fd(&s->clients.conns, c));
}

#define WOKEN_FLAGS (CONN_KEEP | CONN_OLD)

/* Returns true if the answer in ex.woken is right for this client too. Its place is not below the
 * tail, so the messages of that answer are still there. The entry may not be: a set is freed with
 * its last subscriber, and its number may be reused, hence the reference. */
static bool woken_fits(const struct broker *broker, const struct clients *clients,
                       const struct moment *clock, const struct exchange *ex, const struct conn *c)
{
    const struct woken *w = &ex->woken;
    return w->size > 0 && w->at == c->place.at && w->head == ring_head(broker->ring) &&
           topic_is(broker->topics, w->topic, c->link.topic) && w->transport == c->transport &&
           w->wait == c->wait.seconds && w->flags == (c->flags & (WOKEN_FLAGS | CONN_CONFLATE)) &&
           w->cors == c->wait.cors && w->second == clock->wall / 1000 &&
           w->draining == clients->draining;
}

/* Records for which clients the answer that is built next is right. */
static void woken_note(const struct broker *broker, const struct clients *clients,
                       const struct moment *clock, struct exchange *ex, const struct conn *c)
{
    ex->woken.at = c->place.at;
    ex->woken.head = ring_head(broker->ring);
    ex->woken.topic = topic_ref(broker->topics, c->link.topic);
    ex->woken.transport = c->transport;
    ex->woken.wait = c->wait.seconds;
    ex->woken.flags = c->flags & WOKEN_FLAGS;
    ex->woken.cors = c->wait.cors;
    ex->woken.second = clock->wall / 1000;
    ex->woken.draining = clients->draining;
    ex->woken.size = 0;
}

/* Keeps the answer, the bytes of `out` from `from` on, `body` of which are its body, if it is
 * complete there and right for others. */
static void woken_keep(struct exchange *ex, bool fits, size_t from, size_t body)
{
    struct woken *w = &ex->woken;
    size_t size = ex->out.n - from;
    if (!fits || ex->tail_pieces > 0 || size > sizeof w->bytes)
        return;
    memcpy(w->bytes, ex->out.p + from, size);
    assert(body > 0 && body < size);
    w->size = (uint32_t)size;
    w->body = (uint32_t)body;
}

void poll_wake(struct server *s, struct conn *c, bool timeout)
{
    enum conn_transport transport = (enum conn_transport)c->transport;
    bool tagged = (c->marks & CONN_TAGGED) != 0;
    uint32_t id = c->link.topic;
    struct gap gap;
    const struct gap *lost = gap_if_overtaken(&s->broker, &s->stat, c, &gap) ? &gap : NULL;
    if (lost == NULL && woken_fits(&s->broker, &s->clients, &s->clock, &s->ex, c)) {
        poll_wait_end(&s->config, &s->broker, &s->clients, &s->ex, c);
        serve_answer_copy(s, c, 200, (struct span){s->ex.woken.bytes, s->ex.woken.size},
                          s->ex.woken.body);
        serve_release(&s->broker, id);
        return;
    }
    woken_note(&s->broker, &s->clients, &s->clock, &s->ex, c);
    poll_build(s, c, id, transport, false);
    bool all = s->ex.poll.end == ring_head(&s->ring);
    if (!poll_tells(s, id) && lost == NULL && !timeout && (c->wait.seconds > 0 || !all)) {
        c->place.at = s->ex.poll.end; /* what came is not for it */
        if (!all)
            queue_put(&s->clients.conns, c, QUEUE_READY);
        return;
    }
    bool fits = lost == NULL && s->ex.poll.records > 0 && (c->flags & CONN_CONFLATE) == 0;
    size_t from = s->ex.out.n;
    poll_wait_end(&s->config, &s->broker, &s->clients, &s->ex, c);
    size_t body = poll_answer(s, c, id, tagged, lost);
    woken_keep(&s->ex, fits && body > 0, from, body);
    serve_release(&s->broker, id); /* which fan-out does when it is through */
}

void poll_end(struct server *s, struct conn *c)
{
    poll_wake(s, c, true);
}

/* Returns true if the next message for a client of entry `id` at its place is large, and so takes
 * long to render. */
static bool is_large(const struct broker *broker, uint32_t id, uint64_t at)
{
    if (topic_is_set(id))
        return false; /* it was postponed before */
    uint64_t next = chain_next(&broker->chains, id, at);
    return next != 0 && ring_at(broker->ring, next)->data_size > LARGE;
}

/* ---- the request ----------------------------------------------------------------------------- */

void serve_poll(struct server *s, struct conn *c, struct span names)
{
    int form = form_choose(&s->ex);
    if (form < 0) {
        serve_refuse(s, c, 406, NULL, "a topic is read as text/event-stream, application/json, ",
                     "application/x-ndjson or text/plain", NULL);
        return;
    }
    enum conn_transport transport = (enum conn_transport)(TRANSPORT_POLL_JSON + form);
    if (!wait_read(s, c))
        return;
    if (s->ex.ask.waits && transport == TRANSPORT_POLL_LINES) {
        serve_stream(s, c, names, TRANSPORT_LINES);
        return;
    }
    struct start start;
    struct gap gap = {.reason = NULL};
    uint32_t id;
    if (!serve_options(s, c) || (id = serve_select(s, c, names, NULL)) == 0)
        return;
    bool waits = s->ex.ask.waits && s->ex.ask.wait > 0;
    if (!start_of_request(s, c, id, !waits, &start)) {
        serve_release(&s->broker, id);
        return;
    }
    if (start.unreadable) {
        serve_refuse(s, c, 400, NULL, "the cursor ", QUOTE(start.after),
                     " is no id of a message (MS-N)", NULL);
        serve_release(&s->broker, id);
        return;
    }
    if (s->ex.brief && start.at < ring_head(&s->ring) && is_large(&s->broker, id, start.at) &&
        exchange_postpone(&s->ex)) {
        serve_release(&s->broker, id);
        return;
    }
    c->place.at = start.at;
    c->place.n = start.id.n;
    if (start.gap != NULL) {
        gap.after = start.after;
        gap_skip(&s->broker, &s->stat, c, id, start.gap, &gap);
    }
    poll_build(s, c, id, transport, s->ex.ask.method == HTTP_HEAD);
    bool more = s->ex.poll.end < ring_head(&s->ring); /* one that does not wait looks on, too */
    if ((waits || more) && !poll_tells(s, id) && start.gap == NULL &&
        s->ex.ask.method == HTTP_GET && !s->clients.draining) {
        c->place.at = s->ex.poll.end;
        c->marks = (uint16_t)((c->marks & ~CONN_TAGGED) | (start.tagged ? CONN_TAGGED : 0));
        poll_wait_begin(s, c, id, transport, (waits ? s->ex.ask.wait : LOOK_SECONDS) * 1000);
        return;
    }
    c->transport = (uint8_t)transport;
    poll_answer(s, c, id, start.tagged, start.gap != NULL ? &gap : NULL);
    serve_release(&s->broker, id);
}
