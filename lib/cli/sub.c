/*
 * sub.c - `sse sub`: several streams at once, of Server-Sent Events or of NDJSON, each of which
 * reconnects by itself.
 *
 *              .----------- the connection ends: after `retry` ----------.
 *              v                                                         |
 *   WAITING --> CONNECTING --> HEAD --+--> STREAM -----------------------'
 *                                     +--> REASON (the rest of a refusal) --> the command ends,
 *                                     |                                       or WAITING
 *                                     `--> OVER (204: there is nothing to come back for)
 *
 * Every state but OVER has a deadline, c->at: to connect anew, to be answered, to hear from a
 * stream.
 */
#include "lib/cli/sub.h"

#include "lib/clean.h"
#include "lib/cli/client.h"
#include "lib/cli/help.h"
#include "lib/cli/show.h"
#include "lib/eventsource.h"
#include "lib/host/memory.h"
#include "lib/host/process.h"
#include "lib/json.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#define URLS_MAX     64u
#define EVENT_MAX    ((size_t)384 << 20) /* the largest message there can be, as base64 */
#define READ_SIZE    65536u
#define RETRY_MS     2000u /* until a server sends another */
#define RETRY_MAX_MS 30000u
#define FAILURES_MAX 5u      /* doublings of that */
#define SILENCE_MS   45000u  /* three heartbeats, as they are by default */
#define SILENCE_MOST 600000u /* what that grows to for a server that says less */

/* This server answers with NDJSON, which has most of a message; others answer with events. */
#define LINES_ACCEPT "Accept: application/x-ndjson, text/event-stream;q=0.5\r\nPrefer: wait=60\r\n"

enum source_state { WAITING = 0, CONNECTING = 1, HEAD = 2, STREAM = 3, REASON = 4, OVER = 5 };

struct source {
    const char *text; /* its URL */
    struct url url;
    struct client_places places;
    unsigned place; /* the address in use */
    enum source_state state;
    int fd;            /* -1: none */
    uint64_t at;       /* ms: when to connect, or by when it must answer */
    bool had;          /* it has been connected */
    unsigned failures; /* since it brought a message */
    bool ended;        /* a topic ended since then, */
    bool asked;        /* and whether all have was asked already */
    uint64_t since;    /* ms: STREAM: when that began */
    uint64_t silence;  /* ms: how long its stream may be quiet */
    bool lines;        /* NDJSON; else events */
    char *line;        /* a line that is not whole, line_n bytes so far */
    size_t line_n;
    struct eventsource es;
    struct http_body body;
    struct client_answer answer;
};

struct sub {
    struct source *source;
    unsigned sources;
    bool json, strict, verbose;
    const char *since, *token;
    uint64_t count;   /* 0: any number */
    uint64_t timeout; /* ms; 0: none */
    uint64_t silence; /* ms; 0: any */
    uint64_t began, messages;
    int code; /* -1: it goes on; else what to end with */
    struct show show;
};

/* ---- what is printed ------------------------------------------------------------------------- */

/* Writes the output. */
static void flush(struct sub *s)
{
    show_flush(&s->show);
    if (s->show.err == 0)
        return;
    if (s->show.err != EPIPE)
        client_say("sub", "cannot write: ", strerror(s->show.err), NULL);
    s->code = EX_IOERR;
}

/* Prints a message of an event stream, which has fewer members than NDJSON. */
static void print_event(struct sub *s, const struct source *c)
{
    const struct eventsource *es = &c->es;
    if (!s->json) {
        show_foreign(&s->show, es->data);
    } else {
        show_string(&s->show, "{\"id\":\"", es->id);
        if (s->sources > 1)
            show_string(&s->show, ",\"url\":\"", span_of(c->text));
        show_text(&s->show, SPAN(",\"time\":null,\"topic\":null,\"event\":"));
        if (es->event.n > 0)
            show_string(&s->show, "\"", es->event);
        else
            show_text(&s->show, SPAN("null"));
        show_string(&s->show, ",\"data\":\"", es->data);
        show_text(&s->show, SPAN("}"));
    }
    show_text(&s->show, SPAN("\n"));
    flush(s);
}

/* Prints a line of NDJSON unchanged; with several sources, with its URL. */
static void print_line(struct sub *s, const struct source *c, struct span line)
{
    if (s->sources > 1) {
        show_string(&s->show, "{\"url\":\"", span_of(c->text));
        show_text(&s->show, SPAN(","));
        line = span_from(line, 1);
    }
    show_json(&s->show, line);
    show_text(&s->show, SPAN("\n"));
    flush(s);
}

/* Returns a short string member of a JSON object; else "unknown". */
static const char *member_of(struct span object, struct span wanted, char out[128])
{
    struct json_value v, member;
    struct span name;
    size_t at, pos = 0;
    if (json_read(object, &v, &at) && v.kind == JSON_OBJECT)
        while (json_next(&v, &pos, &name, &member))
            if (span_eq(name, wanted) && member.kind == JSON_STRING && member.raw.n < 128) {
                out[json_unescape(member.raw, out)] = '\0';
                return out;
            }
    return "unknown";
}

/* Reports lost messages. */
static void gap(struct sub *s, const struct source *c, struct span object)
{
    char reason[128], after[128], oldest[128];
    client_say("sub", c->text, ": messages were lost (", member_of(object, SPAN("reason"), reason),
               ") after ", member_of(object, SPAN("after"), after), ", up to the oldest there is, ",
               member_of(object, SPAN("oldest"), oldest), NULL);
    if (s->strict && s->code < 0)
        s->code = 1;
}

/* A topic has ended. */
static void topic_ended(const struct sub *s, struct source *c, struct span object)
{
    char topic[128];
    c->ended = true;
    if (s->verbose)
        client_say("sub", c->text, ": topic ", member_of(object, SPAN("topic"), topic),
                   " has ended", NULL);
}

/* Returns true if the event is one that the server tells of its stream, and not a message: those
 * that have these names, but for an "ended" of another server that means something else. */
static bool is_notice(const struct eventsource *es)
{
    return span_eq(es->event, SPAN("gap")) || span_eq(es->event, SPAN("expired")) ||
           (span_eq(es->event, SPAN("ended")) && span_begins(es->data, SPAN("{\"topic\":\"")));
}

/* The server has something to say of its stream of events. */
static void notice(struct sub *s, struct source *c)
{
    const struct eventsource *es = &c->es;
    struct json_value v;
    size_t at;
    bool ends = span_eq(es->event, SPAN("ended"));
    if (span_eq(es->event, SPAN("expired"))) {
        client_say("sub", c->text, ": the token has expired", NULL);
        return;
    }
    if (s->json && json_read(es->data, &v, &at)) {
        show_string(&s->show, "{\"id\":\"", es->id);
        if (s->sources > 1)
            show_string(&s->show, ",\"url\":\"", span_of(c->text));
        show_text(&s->show, ends ? SPAN(",\"ended\":") : SPAN(",\"gap\":"));
        show_json(&s->show, es->data);
        show_text(&s->show, SPAN("}\n"));
        flush(s);
    }
    if (ends)
        topic_ended(s, c, es->data);
    else
        gap(s, c, es->data);
}

/* ---- a source -------------------------------------------------------------------------------- */

/* Handles a lost or failed connection: tries again after `ms`, or ends the command. */
static void failed(struct sub *s, struct source *c, uint64_t ms, const char *why)
{
    uint64_t now = client_now();
    if (c->fd != -1)
        close(c->fd);
    if (c->state == STREAM && now - c->since >= RETRY_MAX_MS)
        c->failures = 0; /* it was connected for long */
    c->fd = -1;
    c->state = WAITING;
    c->at = now;
    if (c->place + 1 < c->places.n && !c->had) {
        c->place++; /* try the server's next address at once */
        return;
    }
    c->place = c->had ? c->place : 0;
    if (!c->had && s->timeout == 0) {
        client_say("sub", c->text, ": ", why, NULL);
        s->code = EX_UNAVAILABLE;
        return;
    }
    if (s->verbose)
        client_say("sub", c->text, ": ", why, NULL);
    uint64_t wait = c->es.retry_ms > 0 ? c->es.retry_ms : RETRY_MS;
    wait = wait > CLIENT_RETRY_MIN_MS ? wait : CLIENT_RETRY_MIN_MS;
    if (c->failures > 1 && wait < RETRY_MAX_MS) {
        wait <<= c->failures < FAILURES_MAX ? c->failures - 1 : FAILURES_MAX;
        wait = wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS;
    }
    c->at += client_jitter(ms > wait ? ms : wait);
    c->failures++;
}

/* Returns true if a URL names one topic. */
static bool is_one(const struct url *u)
{
    struct span path = u->target;
    path = span_cut(&path, '?');
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] == ',' || path.p[i] == '*' || path.p[i] == '%')
            return false;
    return true;
}

/* There is nothing more to come. */
static void over(struct source *c)
{
    close(c->fd);
    c->fd = -1;
    c->state = OVER;
}

/* The server has ended a stream. Where that was because all topics have ended, it is over: of
 * several it is asked once more, at once. */
static void stream_ended(struct sub *s, struct source *c)
{
    if (!c->ended) {
        failed(s, c, 0, "the stream has ended");
        return;
    }
    bool all = c->asked || is_one(&c->url);
    c->asked = true;
    over(c);
    if (!all) {
        c->state = WAITING;
        c->at = client_now();
    }
}

static void begin(struct sub *s, struct source *c)
{
    c->fd = client_connect(&c->places, c->place);
    if (c->fd == -1) {
        failed(s, c, 0, strerror(errno));
        return;
    }
    c->state = CONNECTING;
    c->at = client_now() + CLIENT_CONNECT_MS;
}

/* Appends "since=WHERE", percent-encoded, if that was asked for. */
static void since_write(const struct sub *s, struct text *t)
{
    for (const char *p = s->since; p != NULL && *p != '\0'; p++) {
        bool plain = (*p >= '0' && *p <= '9') || *p == '-' ||
                     (span_lower(*p) >= 'a' && span_lower(*p) <= 'z');
        text_str(t, p == s->since ? "since=" : "");
        if (plain)
            text_add(t, (struct span){p, 1});
        else
            url_escape(t, *p);
    }
}

static void ask(struct sub *s, struct source *c)
{
    char bytes[16384], since_bytes[512];
    struct text t = text_in(bytes, sizeof bytes), since = text_in(since_bytes, sizeof since_bytes);
    int err = client_connected(c->fd);
    if (err != 0) {
        failed(s, c, 0, strerror(err));
        return;
    }
    since_write(s, &since);
    client_request(&t, "GET", &c->url, text_span(&since), s->token);
    text_str(&t, s->json ? LINES_ACCEPT : "Accept: text/event-stream\r\n");
    text_str(&t, "Cache-Control: no-store\r\n");
    if (c->es.id.n > 0) {
        text_str(&t, "Last-Event-ID: ");
        text_add(&t, c->es.id);
        text_str(&t, "\r\n");
    }
    text_str(&t, "\r\n");
    if (t.full || since.full) {
        client_say("sub", c->text, ": the request is too long", NULL);
        s->code = EX_USAGE;
    } else if (send(c->fd, t.p, t.n, MSG_NOSIGNAL) != (ssize_t)t.n) {
        failed(s, c, 0, "the request could not be sent");
    } else {
        c->state = HEAD;
        c->at = client_now() + CLIENT_CONNECT_MS;
        c->answer.n = c->answer.head = c->answer.size = 0;
        c->answer.done = false;
    }
}

/* Counts a message that was printed. */
static void counted(struct sub *s, struct source *c)
{
    c->failures = 0;
    c->ended = c->asked = false;
    if (++s->messages == s->count && s->code < 0)
        s->code = EX_OK;
}

/* Handles bytes of an event stream. */
static void stream(struct sub *s, struct source *c, struct span bytes)
{
    while (bytes.n > 0 && s->code < 0) {
        size_t took;
        enum eventsource_result got = eventsource_feed(&c->es, bytes, &took);
        bytes = span_from(bytes, took);
        if (got == EVENTSOURCE_LARGE) {
            client_say("sub", c->text, ": an event is too large", NULL);
            s->code = EX_DATAERR;
        } else if (got == EVENTSOURCE_EVENT) {
            if (is_notice(&c->es)) {
                notice(s, c);
                continue;
            }
            print_event(s, c);
            counted(s, c);
        }
    }
}

/* Handles a line of NDJSON: a message, a checkpoint, a gap, or another object of the server. */
static void take_line(struct sub *s, struct source *c, struct span line)
{
    struct json_value v, member, lost = {JSON_NULL, {NULL, 0}}, ended = lost;
    struct span name;
    size_t at, pos = 0;
    bool message = false, expired = false;
    if (line.n == 0)
        return;
    if (!json_read(line, &v, &at) || v.kind != JSON_OBJECT) {
        client_say("sub", c->text, ": a line of its answer is no JSON object", NULL);
        s->code = EX_PROTOCOL;
        return;
    }
    while (json_next(&v, &pos, &name, &member)) {
        char id[EVENTSOURCE_NAME];
        if (span_eq(name, SPAN("id")) && member.kind == JSON_STRING && member.raw.n <= sizeof id)
            eventsource_set_id(&c->es, (struct span){id, json_unescape(member.raw, id)});
        message |= span_eq(name, SPAN("data")) || span_eq(name, SPAN("base64"));
        expired |= span_eq(name, SPAN("expired"));
        if (span_eq(name, SPAN("gap")))
            lost = member;
        if (span_eq(name, SPAN("ended")))
            ended = member;
    }
    if (message || lost.kind == JSON_OBJECT || ended.kind == JSON_OBJECT)
        print_line(s, c, line);
    if (lost.kind == JSON_OBJECT)
        gap(s, c, lost.raw);
    else if (expired)
        client_say("sub", c->text, ": the token has expired", NULL);
    else if (message)
        counted(s, c);
    else if (ended.kind == JSON_OBJECT)
        topic_ended(s, c, ended.raw);
}

/* Handles bytes of NDJSON. A complete line is used in place. */
static void lines(struct sub *s, struct source *c, struct span bytes)
{
    while (bytes.n > 0 && s->code < 0) {
        const char *lf = memchr(bytes.p, '\n', bytes.n);
        struct span part = {bytes.p, lf != NULL ? (size_t)(lf - bytes.p) : bytes.n};
        bytes = span_from(bytes, lf != NULL ? part.n + 1 : part.n);
        if (lf != NULL && c->line_n == 0) {
            take_line(s, c, part);
            continue;
        }
        if (part.n > EVENT_MAX - c->line_n) {
            client_say("sub", c->text, ": a line is too large", NULL);
            s->code = EX_DATAERR;
            return;
        }
        if (part.n > 0)
            memcpy(c->line + c->line_n, part.p, part.n);
        c->line_n += part.n;
        if (lf == NULL)
            return;
        take_line(s, c, (struct span){c->line, c->line_n});
        c->line_n = 0;
    }
}

/* Decodes raw bytes of a streamed body in place, and handles them. */
static void stream_raw(struct sub *s, struct source *c, char *bytes, size_t n)
{
    size_t took, got = n;
    int result = 0;
    if (c->answer.reply.chunked || c->answer.reply.sized)
        result = http_body_decode(&c->body, bytes, n, &took, &got);
    c->at = s->silence > 0 ? client_now() + c->silence : UINT64_MAX;
    (c->lines ? lines : stream)(s, c, (struct span){bytes, got});
    if (s->code < 0 && result > 0)
        stream_ended(s, c);
    else if (s->code < 0 && result < 0)
        failed(s, c, 0, "its chunks are not well-formed");
}

/* Handles a refusal, as far as it has come. */
static void refused(struct sub *s, struct source *c)
{
    char bytes[2400];
    struct text t = text_for_string(bytes, sizeof bytes);
    const struct reply *r = &c->answer.reply;
    bool again = r->status >= 500 || r->status == 429 || r->status == 408;
    client_reason(&c->answer, &t);
    if (again && (c->had || s->timeout > 0)) {
        failed(s, c, r->retry_after < 3600 ? r->retry_after * 1000 : CLIENT_RETRY_MAX_MS,
               text_string(&t));
        return;
    }
    client_say("sub", c->text, ": ", text_string(&t), NULL);
    s->code = r->status == 429 || r->status == 408 ? EX_UNAVAILABLE : client_code(r->status);
}

/* Handles the complete head of an answer. */
static void answered(struct sub *s, struct source *c)
{
    struct client_answer *a = &c->answer;
    c->lines = s->json && span_same(a->reply.type, SPAN("application/x-ndjson"));
    if (a->reply.status == 204) {
        over(c);
    } else if (a->reply.status != 200) {
        c->state = REASON;
    } else if (!c->lines && !span_same(a->reply.type, SPAN("text/event-stream"))) {
        client_say("sub", c->text, ": its answer is no stream of events", NULL);
        s->code = EX_PROTOCOL;
    } else {
        c->state = STREAM;
        c->had = true;
        c->since = client_now();
        c->body = a->body;
        c->line_n = 0;
        eventsource_begin(&c->es);
        stream_raw(s, c, a->bytes + a->head, a->n - a->head);
    }
}

/* Handles bytes of a head or of a refusal. */
static void take_answer(struct sub *s, struct source *c, bool end)
{
    struct client_answer *a = &c->answer;
    if (c->state == HEAD) {
        int got = client_answer_head(a);
        if (got > 0)
            answered(s, c);
        else if (got < 0) {
            client_say("sub", c->text, ": its answer is no HTTP", NULL);
            s->code = EX_PROTOCOL;
        } else if (end)
            failed(s, c, 0, "the connection was closed before an answer");
    }
    if (c->state == REASON && s->code < 0 &&
        (!client_answer_body(a, end) || a->done || end || a->n == CLIENT_ANSWER))
        refused(s, c);
}

/* Reads from a source once. */
static void receive(struct sub *s, struct source *c)
{
    char bytes[READ_SIZE];
    struct client_answer *a = &c->answer;
    bool streams = c->state == STREAM;
    char *to = streams ? bytes : a->bytes + a->n;
    ssize_t n = read(c->fd, to, streams ? sizeof bytes : CLIENT_ANSWER - a->n);
    if (n == -1 && (errno == EINTR || errno == EAGAIN))
        return;
    if (streams && n > 0) {
        stream_raw(s, c, bytes, (size_t)n);
    } else if (streams && n == 0) {
        stream_ended(s, c);
    } else if (streams || (n == -1 && c->state == HEAD)) {
        failed(s, c, 0, strerror(errno));
    } else {
        a->n += n > 0 ? (size_t)n : 0;
        take_answer(s, c, n <= 0);
    }
}

/* Handles a timeout: connects, or stops waiting for an answer. */
static void timed(struct sub *s, struct source *c)
{
    if (c->state == WAITING)
        begin(s, c);
    else if (c->state == REASON)
        refused(s, c);
    else if (c->state == CONNECTING || c->state == HEAD)
        failed(s, c, 0, "there was no answer in time");
    else if (c->state == STREAM && s->silence > 0) {
        c->silence = c->silence < SILENCE_MOST / 2 ? 2 * c->silence : SILENCE_MOST;
        failed(s, c, 0, "the stream was silent for too long (--silence)");
    }
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* Returns how long to wait, in ms; -1: for ever. */
static int patience(const struct sub *s, uint64_t now)
{
    uint64_t until = s->timeout > 0 ? s->began + s->timeout : UINT64_MAX;
    for (unsigned i = 0; i < s->sources; i++)
        if (s->source[i].state != OVER && s->source[i].at < until)
            until = s->source[i].at;
    if (until == UINT64_MAX)
        return -1;
    return until <= now ? 0 : until - now < 60000 ? (int)(until - now) : 60000;
}

/* Waits for an event and handles it. */
static void turn(struct sub *s)
{
    struct pollfd p[URLS_MAX + 1];
    bool left = false;
    for (unsigned i = 0; i < s->sources; i++) {
        const struct source *c = &s->source[i];
        p[i] = (struct pollfd){c->fd, c->state == CONNECTING ? POLLOUT : POLLIN, 0};
        left = left || c->state != OVER;
    }
    p[s->sources] = (struct pollfd){STDOUT_FILENO, 0, 0}; /* reports when its reader is gone */
    if (!left) {
        s->code = EX_OK;
        return;
    }
    if (poll(p, s->sources + 1, patience(s, client_now())) == -1 && errno != EINTR) {
        client_say("sub", "poll: ", strerror(errno), NULL);
        s->code = EX_OSERR;
        return;
    }
    uint64_t now = client_now();
    if (p[s->sources].revents & POLLERR) {
        s->code = EX_IOERR;
        return;
    }
    for (unsigned i = 0; i < s->sources && s->code < 0; i++) {
        struct source *c = &s->source[i];
        if (p[i].revents != 0 && c->state == CONNECTING)
            ask(s, c);
        else if (p[i].revents != 0 && c->fd != -1)
            receive(s, c);
        if (s->code < 0 && c->at <= now)
            timed(s, c);
    }
    if (s->code < 0 && s->timeout > 0 && now - s->began >= s->timeout) {
        bool had = false;
        for (unsigned i = 0; i < s->sources; i++)
            had = had || s->source[i].had;
        s->code = !had ? EX_UNAVAILABLE : s->count > 0 ? EX_TEMPFAIL : EX_OK;
        if (!had)
            client_say("sub", "no server was reachable in time", NULL);
    }
}

/* ---- the command line ------------------------------------------------------------------------ */

static int wrong(const char *what, const char *why)
{
    client_say("sub", what, " ", why, " (sse sub --help tells more)", NULL);
    return EX_USAGE;
}

/* Sets up one URL. Returns 0, or an exit code. */
static int add_source(struct sub *s, const char *text)
{
    if (s->sources == URLS_MAX)
        return wrong(text, "is one URL too many");
    struct source *c = &s->source[s->sources++];
    const char *bad = url_read(span_of(text), &c->url);
    if (bad != NULL)
        return wrong(text, bad);
    c->text = text;
    c->fd = -1;
    void *memory = memory_scratch(EVENT_MAX);
    c->line = memory_scratch(EVENT_MAX); /* touched as it comes into use */
    if (memory == NULL || c->line == NULL) {
        client_say("sub", "no memory: ", strerror(errno), NULL);
        return EX_OSERR;
    }
    eventsource_init(&c->es, memory, EVENT_MAX);
    return 0;
}

/* Finds the addresses of all sources. Returns 0, or an exit code. */
static int resolve(struct sub *s)
{
    char bytes[256];
    for (unsigned i = 0; i < s->sources; i++) {
        struct text why = text_for_string(bytes, sizeof bytes);
        if (client_resolve(&s->source[i].url, &s->source[i].places, &why))
            continue;
        client_say("sub", s->source[i].text, ": ", text_string(&why), NULL);
        return EX_NOHOST;
    }
    return 0;
}

/* Handles one flag. Returns 0, or an exit code. */
static int flag(struct sub *s, int argc, char **argv, int *i, const char **id)
{
    const char *name = argv[*i], *value = "";
    if (strcmp(name, "--json") == 0)
        s->json = true;
    else if (strcmp(name, "--strict") == 0)
        s->strict = true;
    else if (strcmp(name, "--verbose") == 0 || strcmp(name, "-v") == 0)
        s->verbose = true;
    else if (client_flag(argc, argv, i, "--since", &value))
        s->since = value;
    else if (client_flag(argc, argv, i, "--last-event-id", &value))
        *id = value;
    else if (client_flag(argc, argv, i, "--token", &value))
        s->token = value;
    else if (client_flag(argc, argv, i, "--count", &value)) {
        if (value != NULL && (!span_u64(span_of(value), &s->count) || s->count == 0))
            return wrong("--count", "is a number from 1 on");
    } else if (client_flag(argc, argv, i, "--timeout", &value)) {
        if (value != NULL && (!client_time(value, &s->timeout) || s->timeout == 0))
            return wrong("--timeout", "is a time, as 10s");
    } else if (client_flag(argc, argv, i, "--silence", &value)) {
        if (value != NULL && !client_time(value, &s->silence))
            return wrong("--silence", "is a time, as 45s");
    } else
        return wrong(name, "is no flag of this command");
    return value == NULL ? wrong(name, "needs a value") : 0;
}

static bool id_right(const char *id)
{
    for (const char *p = id; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return false;
    return strlen(id) <= EVENTSOURCE_NAME;
}

/* Reads the command line. Returns 0, or an exit code. */
static int read_line(struct sub *s, int argc, char **argv)
{
    const char *id = NULL;
    int code = 0;
    s->token = getenv("SSE_TOKEN");
    if (s->token != NULL && s->token[0] == '\0')
        s->token = NULL;
    for (int i = 1; i < argc && code == 0; i++)
        code = argv[i][0] == '-' ? flag(s, argc, argv, &i, &id) : add_source(s, argv[i]);
    if (code != 0)
        return code;
    if (s->sources == 0)
        return wrong("a URL", "is missing");
    if (s->token != NULL && (s->token[0] == '\0' || !clean_all_visible(span_of(s->token))))
        return wrong("the token", "holds a blank, or a byte that is not ASCII");
    if (id != NULL && !id_right(id))
        return wrong("--last-event-id", "holds a control byte, or is too long");
    for (unsigned i = 0; i < s->sources && id != NULL; i++)
        eventsource_set_id(&s->source[i].es, span_of(id));
    return resolve(s);
}

int sub_run(int argc, char **argv)
{
    struct sub s = {.code = -1, .silence = SILENCE_MS};
    process_open_standard();
    show_begin(&s.show);
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return help_print("sub");
    s.source = memory_scratch(URLS_MAX * sizeof *s.source);
    if (s.source == NULL) {
        client_say("sub", "no memory: ", strerror(errno), NULL);
        return EX_OSERR;
    }
    int code = read_line(&s, argc, argv);
    if (code != 0)
        return code;
    for (unsigned i = 0; i < s.sources; i++)
        s.source[i].silence = s.silence;
    s.began = client_now();
    while (s.code < 0)
        turn(&s);
    return s.code;
}
