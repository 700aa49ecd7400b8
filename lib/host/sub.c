/*
 * sub.c - `sse sub`: several streams of Server-Sent Events at once, each of which comes back by itself.
 *
 *              .----------- the connection ends: after `retry` ----------.
 *              v                                                         |
 *   WAITING --> CONNECTING --> HEAD --+--> STREAM -----------------------'
 *                                     +--> REASON (the rest of a refusal) --> the command ends,
 *                                     |                                       or WAITING
 *                                     `--> OVER (204: there is nothing to come back for)
 */
#include "lib/host/sub.h"

#include "lib/eventsource.h"
#include "lib/host/client.h"
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
#define RETRY_MS     2000u /* until a server has said something else */
#define RETRY_MAX_MS 30000u
#define FAILURES_MAX 5u /* doublings of that */

static const char usage[] =
    "Usage: sse sub URL... [OPTION]...\n"
    "Subscribes to topics and prints each message's data, a line end behind it. Comes\n"
    "back by itself where it was, and tells on stderr of messages that were lost.\n"
    "\n"
    "URL is as http://127.0.0.1:8080/news, or unix:/run/sse.sock:/news.\n"
    "\n"
    "  --json                a JSON object a line: id, event, data\n"
    "  --since WHERE         where to begin: earliest, now, an id, -5, 10m, a time\n"
    "  --last-event-id ID    goes on behind this message\n"
    "  --token TOKEN         for Authorization: Bearer; better the variable SSE_TOKEN\n"
    "  --count N             ends after so many messages\n"
    "  --strict              ends with 1 when messages were lost\n"
    "  --timeout TIME        ends after so long, with 75 if --count is not reached\n"
    "  --verbose, -v         tells on stderr of connections that end\n"
    "  --help, -h            shows this\n"
    "\n"
    "Ends with 69 if no server can be had at first, 77 if it may not, 65 if it is\n"
    "refused for another reason. Once it was connected it never gives up.\n";

enum source_state { WAITING = 0, CONNECTING = 1, HEAD = 2, STREAM = 3, REASON = 4, OVER = 5 };

struct source {
    const char *text; /* its URL */
    struct url url;
    struct client_places places;
    unsigned place; /* which of them is tried */
    enum source_state state;
    int fd;            /* -1: none */
    uint64_t at;       /* ms: when to connect, or until when it has time to answer */
    bool had;          /* it has been connected */
    unsigned failures; /* since it was */
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
    uint64_t began, messages;
    int code; /* -1: it goes on; else what to end with */
    size_t out_n;
    char out[READ_SIZE];
};

/* ---- what is printed ------------------------------------------------------------------------- */

/* Writes what has been put together, whole. */
static void flush(struct sub *s)
{
    size_t done = 0;
    while (done < s->out_n) {
        ssize_t w = write(STDOUT_FILENO, s->out + done, s->out_n - done);
        if (w == -1 && errno == EINTR)
            continue;
        if (w == -1 && errno == EAGAIN) { /* as another has left it */
            struct pollfd p = {STDOUT_FILENO, POLLOUT, 0};
            (void)poll(&p, 1, -1);
            continue;
        }
        if (w == -1) {
            if (errno != EPIPE)
                client_say("sub", "cannot write: ", strerror(errno), NULL);
            s->code = EX_IOERR;
            break;
        }
        done += (size_t)w;
    }
    s->out_n = 0;
}

static void put(struct sub *s, struct span bytes)
{
    while (bytes.n > 0 && s->code < 0) {
        size_t n = sizeof s->out - s->out_n;
        n = n < bytes.n ? n : bytes.n;
        memcpy(s->out + s->out_n, bytes.p, n);
        s->out_n += n;
        bytes = span_from(bytes, n);
        if (s->out_n == sizeof s->out)
            flush(s);
    }
}

/* The inside of a JSON string, a piece at a time, cut between two characters. */
static void put_json(struct sub *s, struct span text)
{
    char bytes[6 * 1024];
    while (text.n > 0) {
        size_t n = text.n < 1024 ? text.n : 1024;
        while (n < text.n && n > 1020 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
            n--;
        struct text t = text_in(bytes, sizeof bytes);
        client_json(&t, (struct span){text.p, n});
        put(s, text_span(&t));
        text = span_from(text, n);
    }
}

static void put_string(struct sub *s, const char *before, struct span text)
{
    put(s, span_of(before));
    put_json(s, text);
    put(s, SPAN("\""));
}

static void print_event(struct sub *s, const struct source *c)
{
    const struct eventsource *es = &c->es;
    if (!s->json) {
        put(s, es->data);
    } else {
        put_string(s, "{\"id\":\"", es->id);
        if (s->sources > 1)
            put_string(s, ",\"url\":\"", span_of(c->text));
        if (es->event.n > 0)
            put_string(s, ",\"event\":\"", es->event);
        else
            put(s, SPAN(",\"event\":null"));
        put_string(s, ",\"data\":\"", es->data);
        put(s, SPAN("}"));
    }
    put(s, SPAN("\n"));
    flush(s);
}

/* A member of a JSON object that is a short string; else "unknown". */
static const char *member_of(struct span object, struct span wanted, char out[128])
{
    struct json_value v, member;
    struct span name;
    size_t at, pos = 0;
    if (json_read(object, &v, &at) == 0 && v.kind == JSON_OBJECT)
        while (json_next(&v, &pos, &name, &member))
            if (span_eq(name, wanted) && member.kind == JSON_STRING && member.raw.n < 128) {
                out[json_unescape(member.raw, out)] = '\0';
                return out;
            }
    return "unknown";
}

/* Messages were lost, or the server has something else to say of the stream itself. */
static void notice(struct sub *s, const struct source *c)
{
    const struct eventsource *es = &c->es;
    char reason[128], after[128], oldest[128];
    struct json_value v;
    size_t at;
    if (!span_eq(es->event, SPAN("gap"))) {
        client_say("sub", c->text, ": the token has expired", NULL);
        return;
    }
    client_say("sub", c->text, ": messages were lost (",
               member_of(es->data, SPAN("reason"), reason), ") after ",
               member_of(es->data, SPAN("after"), after), ", up to the oldest there is, ",
               member_of(es->data, SPAN("oldest"), oldest), NULL);
    if (s->json && json_read(es->data, &v, &at) == 0) {
        put_string(s, "{\"id\":\"", es->id);
        if (s->sources > 1)
            put_string(s, ",\"url\":\"", span_of(c->text));
        put(s, SPAN(",\"gap\":"));
        put(s, es->data);
        put(s, SPAN("}\n"));
        flush(s);
    }
    if (s->strict && s->code < 0)
        s->code = 1;
}

/* ---- a source -------------------------------------------------------------------------------- */

/* It has lost its connection, or got none: it tries again after `ms`, or the command ends. */
static void failed(struct sub *s, struct source *c, uint64_t ms, const char *why)
{
    if (c->fd != -1)
        close(c->fd);
    c->fd = -1;
    c->state = WAITING;
    c->at = client_now();
    if (c->place + 1 < c->places.n && !c->had) {
        c->place++; /* the same server may be had elsewhere, at once */
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
    if (c->failures > 1 && wait < RETRY_MAX_MS)
        wait <<= c->failures < FAILURES_MAX ? c->failures - 1 : FAILURES_MAX;
    wait = wait > RETRY_MAX_MS && c->failures > 1 ? RETRY_MAX_MS : wait;
    c->at += ms > wait ? ms : wait;
    c->failures++;
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
    static const char digits[] = "0123456789ABCDEF";
    for (const char *p = s->since; p != NULL && *p != '\0'; p++) {
        unsigned char b = (unsigned char)*p;
        const char coded[] = {'%', digits[b >> 4], digits[b & 15]};
        bool plain =
            (b >= '0' && b <= '9') || (span_lower(*p) >= 'a' && span_lower(*p) <= 'z') || b == '-';
        text_str(t, p == s->since ? "since=" : "");
        text_add(t, (struct span){plain ? p : coded, plain ? 1 : 3});
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
    text_str(&t, "Accept: text/event-stream\r\nCache-Control: no-store\r\n");
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

/* Takes bytes of the stream itself. */
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
            if (span_eq(c->es.event, SPAN("gap")) || span_eq(c->es.event, SPAN("expired"))) {
                notice(s, c);
                continue;
            }
            print_event(s, c);
            if (++s->messages == s->count && s->code < 0)
                s->code = EX_OK;
        }
    }
}

/* Takes raw bytes of a body that is a stream, in place. */
static void stream_raw(struct sub *s, struct source *c, char *bytes, size_t n)
{
    size_t took, got = n;
    int result = 0;
    if (c->answer.reply.chunked || c->answer.reply.sized)
        result = http_body_decode(&c->body, bytes, n, &took, &got);
    stream(s, c, (struct span){bytes, got});
    if (s->code < 0 && result != 0)
        failed(s, c, 0, result > 0 ? "the stream has ended" : "its chunks are not well-formed");
}

/* The refusal has come, as far as it will. */
static void refused(struct sub *s, struct source *c)
{
    char bytes[2400];
    struct text t = text_in(bytes, sizeof bytes - 1);
    const struct reply *r = &c->answer.reply;
    bool again = r->status >= 500 || r->status == 429 || r->status == 408;
    client_reason(&c->answer, &t);
    bytes[t.n] = '\0';
    if (again && (c->had || s->timeout > 0)) {
        failed(s, c, r->retry_after < 3600 ? r->retry_after * 1000 : 3600000, bytes);
        return;
    }
    client_say("sub", c->text, ": ", bytes, NULL);
    s->code = r->status == 429 || r->status == 408 ? EX_UNAVAILABLE : client_code(r->status);
}

/* The head of the answer is there. */
static void answered(struct sub *s, struct source *c)
{
    struct client_answer *a = &c->answer;
    if (a->reply.status == 204) {
        close(c->fd);
        c->fd = -1;
        c->state = OVER;
    } else if (a->reply.status != 200) {
        c->state = REASON;
    } else if (!span_same(a->reply.type, SPAN("text/event-stream"))) {
        client_say("sub", c->text, ": its answer is no stream of events", NULL);
        s->code = EX_PROTOCOL;
    } else {
        c->state = STREAM;
        c->had = true;
        c->failures = 0;
        c->body = a->body;
        eventsource_begin(&c->es);
        stream_raw(s, c, a->bytes + a->head, a->n - a->head);
    }
}

/* Takes what has come of a head, or of a refusal. */
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

/* Reads once. */
static void receive(struct sub *s, struct source *c)
{
    char bytes[READ_SIZE];
    struct client_answer *a = &c->answer;
    bool streams = c->state == STREAM;
    char *to = streams ? bytes : a->bytes + a->n;
    ssize_t n = read(c->fd, to, streams ? sizeof bytes : CLIENT_ANSWER - a->n);
    if (n == -1 && (errno == EINTR || errno == EAGAIN))
        return;
    const char *why = n == -1 ? strerror(errno) : "the stream has ended";
    if (streams && n > 0) {
        stream_raw(s, c, bytes, (size_t)n);
    } else if (streams || (n == -1 && c->state == HEAD)) {
        failed(s, c, 0, why);
    } else {
        a->n += n > 0 ? (size_t)n : 0;
        take_answer(s, c, n <= 0);
    }
}

/* Its time has come: to connect, or to stop waiting for an answer. */
static void timed(struct sub *s, struct source *c)
{
    if (c->state == WAITING)
        begin(s, c);
    else if (c->state == REASON)
        refused(s, c);
    else if (c->state == CONNECTING || c->state == HEAD)
        failed(s, c, 0, "there was no answer in time");
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* How long nothing may happen, in ms; -1: for ever. */
static int patience(const struct sub *s, uint64_t now)
{
    uint64_t until = s->timeout > 0 ? s->began + s->timeout : UINT64_MAX;
    for (unsigned i = 0; i < s->sources; i++)
        if (s->source[i].state != STREAM && s->source[i].state != OVER && s->source[i].at < until)
            until = s->source[i].at;
    if (until == UINT64_MAX)
        return -1;
    return until <= now ? 0 : until - now < 60000 ? (int)(until - now) : 60000;
}

/* Waits for something to happen, and does what comes of it. */
static void turn(struct sub *s)
{
    struct pollfd p[URLS_MAX + 1];
    bool left = false;
    for (unsigned i = 0; i < s->sources; i++) {
        const struct source *c = &s->source[i];
        p[i] = (struct pollfd){c->fd, c->state == CONNECTING ? POLLOUT : POLLIN, 0};
        left = left || c->state != OVER;
    }
    p[s->sources] = (struct pollfd){STDOUT_FILENO, 0, 0}; /* tells when nobody reads it any more */
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
            client_say("sub", "no server could be had in time", NULL);
    }
}

/* ---- the command line ------------------------------------------------------------------------ */

static int wrong(const char *what, const char *why)
{
    client_say("sub", what, " ", why, " (sse sub --help tells more)", NULL);
    return EX_USAGE;
}

/* Sets up one URL. Gives 0, or an exit code. */
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
    if (memory == NULL) {
        client_say("sub", "no memory: ", strerror(errno), NULL);
        return EX_OSERR;
    }
    eventsource_init(&c->es, memory, EVENT_MAX);
    return 0;
}

/* Finds where all of them are. Gives 0, or an exit code. */
static int resolve(struct sub *s)
{
    char bytes[256];
    for (unsigned i = 0; i < s->sources; i++) {
        struct text why = text_in(bytes, sizeof bytes - 1);
        if (client_resolve(&s->source[i].url, &s->source[i].places, &why))
            continue;
        bytes[why.n] = '\0';
        client_say("sub", s->source[i].text, ": ", bytes, NULL);
        return EX_NOHOST;
    }
    return 0;
}

/* Takes one flag. Gives 0, or an exit code. */
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

/* Reads the command line. Gives 0, or an exit code. */
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
    if (s->token != NULL && !client_token_right(s->token))
        return wrong("the token", "holds a blank, or a byte that is not ASCII");
    if (id != NULL && !id_right(id))
        return wrong("--last-event-id", "holds a control byte, or is too long");
    for (unsigned i = 0; i < s->sources && id != NULL; i++)
        eventsource_set_id(&s->source[i].es, span_of(id));
    return resolve(s);
}

int sub_run(int argc, char **argv)
{
    struct sub s = {.code = -1};
    process_standard();
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return write(STDOUT_FILENO, usage, sizeof usage - 1) == -1 ? EX_IOERR : EX_OK;
    s.source = memory_scratch(URLS_MAX * sizeof *s.source);
    if (s.source == NULL) {
        client_say("sub", "no memory: ", strerror(errno), NULL);
        return EX_OSERR;
    }
    int code = read_line(&s, argc, argv);
    if (code != 0)
        return code;
    s.began = client_now();
    while (s.code < 0)
        turn(&s);
    return s.code;
}
