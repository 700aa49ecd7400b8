/*
 * ways.c - end to end: clients that change their way between any two messages, and are cut off
 * anywhere, while several publish.
 *
 * Clients are processes, and so are the publishers (ways.h). A client takes a session after the
 * other: at random a way, a spelling for its cursor, and a number of bytes and a time after which
 * it closes. It keeps what had come whole, and goes on from there. In the end it compares what
 * it got, and which gaps it was told of, with what was published.
 */
#include "test/kit/ways.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define GAPS_MAX     4096
#define SESSIONS_MAX 100000
#define TIMEOUT_MS   600000

static const struct {
    const char *path;
    unsigned mask; /* of topics */
} targets[CLIENTS] = {
    {"/a,end", 1u << 0 | 1u << TOPIC_END},
    {"/b/*,end", 1u << 1 | 1u << 2 | 1u << TOPIC_END},
    {"/**", (1u << COUNT(topics)) - 1},
    {"/c/**,a,b/2,end", 1u << 0 | 1u << 2 | 1u << 3 | 1u << TOPIC_END},
    {"/*", 1u << 0 | 1u << 4 | 1u << TOPIC_END},
    {"/%C3%A9t%C3%A9,b/*,c/d/e,end,a",
     1u << 0 | 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << TOPIC_END},
};

static const char *const way_names[WAYS] = {
    "SSE",          "NDJSON stream",   "WebSocket json", "WebSocket raw",  "short poll JSON",
    "short NDJSON", "short poll text", "long poll JSON", "long poll text",
};

/* ---- what a client knows ---- */

struct client {
    unsigned number;
    uint64_t random;
    uint32_t cursor; /* N of its id */
    uint32_t start;  /* the first that it had */
    bool started;
    bool done;             /* the message at the end has come */
    uint32_t oldest;       /* a gap has been told, and this comes next; 0: no */
    uint32_t after;        /* a gap without a known end has been told, behind this ... */
    bool open;             /* ... if it has */
    uint32_t got[IDS + 1]; /* by id, what came */
    struct {
        uint32_t after, oldest; /* what is between is lost */
    } gaps[GAPS_MAX];
    unsigned gap_count, received, way_gaps[WAYS], way_got[WAYS], cuts, lagged;

    /* the session */
    enum way way;
    struct e2e_conn *c;
    size_t budget;    /* bytes that still come before it closes */
    int64_t deadline; /* when it closes if nothing comes */
    bool reusable;    /* its connection can take another request */
    char asked[1024], head[2048];
};

static struct client client;

__attribute__((format(printf, 2, 3), noreturn)) static void wrong(const struct client *k,
                                                                  const char *format, ...)
{
    char why[8192];
    va_list ap;
    va_start(ap, format);
    vsnprintf(why, sizeof why, format, ap);
    va_end(ap);
    e2e_fail(SEED_FMT ": client %u (%s), %s, at cursor %u with %u messages, %u gaps: %s\n"
                      "it asked: %s\nthe answer: %s",
             shared->seed, k->number, targets[k->number].path, way_names[k->way], k->cursor,
             k->received, k->gap_count, why, k->asked, k->head);
}

static bool selected(const struct client *k, unsigned message)
{
    return (targets[k->number].mask >> topic_of(message) & 1) != 0;
}

/* N of an id as it came. */
static uint32_t id_read(const struct client *k, struct span text)
{
    char id[64], again[64];
    unsigned long long ms = 0, n = 0;
    snprintf(id, sizeof id, "%.*s", (int)text.n, text.p);
    sscanf(id, "%llu-%llu", &ms, &n);
    snprintf(again, sizeof again, "%llu-%llu", ms, n);
    if (strcmp(id, again) != 0 || ms != shared->epoch || n > IDS)
        wrong(k, "not an id of this run: %s", id);
    return (uint32_t)n;
}

static void gap_add(struct client *k, uint32_t after, uint32_t oldest)
{
    if (k->gap_count == GAPS_MAX)
        wrong(k, "too many gaps for the test");
    k->gaps[k->gap_count].after = after;
    k->gaps[k->gap_count++].oldest = oldest;
}

/* It is told where it is, with no message of its own since the last. */
static void told_cursor(struct client *k, uint32_t n)
{
    if (n < k->cursor && k->started)
        wrong(k, "the cursor went back to %u", n);
    if (k->oldest != 0 && n != k->oldest - 1)
        wrong(k, "the gap ends at %u, the cursor behind it is %u", k->oldest, n);
    if (k->open)
        gap_add(k, k->after, n + 1);
    if (!k->started)
        k->start = n;
    k->started = true;
    k->open = false;
    k->cursor = n;
}

/* The id in a cursor as the client spelt it: alone or in an entity tag, which JSON escapes. */
static struct span cursor_bare(struct span text)
{
    size_t from = 0, n = 0;
    while (from < text.n && !isdigit((unsigned char)text.p[from]))
        from++;
    text = span_from(text, from);
    while (n < text.n && (isdigit((unsigned char)text.p[n]) || text.p[n] == '-') &&
           (text.p[n] != '-' || (n + 1 < text.n && isdigit((unsigned char)text.p[n + 1]))))
        n++;
    return (struct span){text.p, n};
}

/* A line that tells a gap comes without a cursor; one that follows it at once tells where it
 * was. */
static void told_again(struct client *k, uint32_t behind)
{
    if (k->way != LINES || (k->oldest == 0 && !k->open) || behind < k->cursor)
        return;
    told_cursor(k, behind);
    k->oldest = 0;
}

static void told_gap(struct client *k, struct span text)
{
    struct json_value object, v, after = {0}, oldest = {0}, reason = {0};
    struct span name;
    size_t at, pos = 0;
    if (!json_read(text, &object, &at) || object.kind != JSON_OBJECT)
        wrong(k, "not a gap: %.*s", (int)text.n, text.p);
    while (json_next(&object, &pos, &name, &v))
        *(span_eq(name, SPAN("after"))    ? &after
          : span_eq(name, SPAN("oldest")) ? &oldest
                                          : &reason) = v;
    if (!shared->lossy)
        wrong(k, "a gap: %.*s", (int)text.n, text.p);
    if (!span_eq(reason.raw, SPAN("expired")) && !span_eq(reason.raw, SPAN("lagged")))
        wrong(k, "a gap for the reason %.*s", (int)reason.raw.n, reason.raw.p);
    uint32_t behind = id_read(k, cursor_bare(after.raw));
    told_again(k, behind);
    if (behind != k->cursor)
        wrong(k, "a gap behind another cursor: %.*s", (int)text.n, text.p);
    k->open = oldest.kind == JSON_NULL;
    k->after = k->cursor;
    k->oldest = k->open ? 0 : id_read(k, oldest.raw);
    if (!k->open && k->oldest <= k->cursor + 1)
        wrong(k, "a gap of nothing: %.*s", (int)text.n, text.p);
    if (!k->open)
        gap_add(k, k->cursor, k->oldest);
    k->way_gaps[k->way]++;
    k->lagged += span_eq(reason.raw, SPAN("lagged"));
}

/* The id of a message that came without; waits until its publisher knows it. */
static uint32_t id_known(const struct client *k, unsigned message)
{
    uint32_t n;
    for (int64_t end = e2e_now_ms() + E2E_WAIT_MS;
         (n = __atomic_load_n(&shared->id_of[message], __ATOMIC_ACQUIRE)) == 0; e2e_sleep_ms(1))
        if (e2e_now_ms() > end)
            wrong(k, "message %u came, and its publisher was not answered", message);
    return n;
}

/* A message has come whole; n is 0, and topic is empty, where the way does not tell them. */
static void told_message(struct client *k, struct span data, uint32_t n, struct span topic)
{
    static char wanted[DATA_MAX];
    unsigned message = data.n > 0 && isdigit((unsigned char)*data.p) ? (unsigned)atoi(data.p) : 0;
    if (message == 0 || message > END)
        wrong(k, "not a message of the test: %.*s", (int)data.n, data.p);
    if (!span_eq(data, (struct span){wanted, data_write(wanted, message)}))
        wrong(k, "message %u came changed: %.*s", message, (int)data.n, data.p);
    if (!selected(k, message) ||
        (topic.n > 0 && !span_eq(topic, span_of(topics[topic_of(message)]))))
        wrong(k, "message %u came from %.*s", message, (int)topic.n, topic.p);
    n = n != 0 ? n : id_known(k, message);
    if (n <= k->cursor)
        wrong(k, "message %u, id %u: repeated or not in order", message, n);
    if (k->oldest != 0 && n != k->oldest)
        wrong(k, "the gap ends at %u, and then came %u", k->oldest, n);
    if (k->open)
        gap_add(k, k->after, n);
    k->open = false;
    k->oldest = 0;
    k->got[n] = message;
    k->cursor = n;
    k->received++;
    k->way_got[k->way]++;
    k->done = message == END;
}

/* A message object; or {"id":..} or {"gap":..}, where those may come. */
static void told_object(struct client *k, struct span text, bool message_only)
{
    static char data[2 * DATA_MAX];
    struct json_value object, v, value = {0}, id = {0}, topic = {0};
    struct span name;
    size_t at, pos = 0;
    unsigned members = 0;
    if (!json_read(text, &object, &at) || object.kind != JSON_OBJECT)
        wrong(k, "not an object: %.*s", (int)text.n, text.p);
    for (; json_next(&object, &pos, &name, &v); members++) {
        if (span_eq(name, SPAN("gap")) && !message_only && text.n > 0) {
            told_gap(k, v.raw);
            return;
        }
        if (span_eq(name, SPAN("id")))
            id = v;
        else if (span_eq(name, SPAN("data")))
            value = v;
        else if (span_eq(name, SPAN("topic")))
            topic = v;
    }
    if (members == 1 && id.kind == JSON_STRING && !message_only) {
        told_cursor(k, id_read(k, id.raw));
        k->oldest = 0;
        return;
    }
    if (members != 5 || value.kind != JSON_STRING || value.raw.n > sizeof data)
        wrong(k, "not a message: %.*s", (int)text.n, text.p);
    told_message(k, (struct span){data, json_unescape(value.raw, data)}, id_read(k, id.raw),
                 topic.raw);
}

/* ---- reading, up to where the session ends ---- */

/* Receives once, within the session's bytes and time; false when they are over, or the server
 * closed. */
static bool more(struct client *k)
{
    struct e2e_conn *c = k->c;
    for (;;) {
        int64_t left = k->deadline - e2e_now_ms();
        struct pollfd p = {c->fd, POLLIN, 0};
        if (k->budget == 0 || c->eof || poll(&p, 1, left > 0 ? (int)left : 0) <= 0)
            return false;
        if (shared->lossy && random_next(&k->random) % 24 == 0) {
            int pause = (int)(random_next(&k->random) % 400);
            e2e_sleep_ms(pause);
            k->deadline += pause + 50;
        }
        if (c->cap - c->n < 65536) {
            c->cap = 2 * c->cap + 65536;
            c->buf = realloc(c->buf, c->cap);
            ck_assert_ptr_nonnull(c->buf);
        }
        size_t most = k->budget < 32768 ? k->budget : 32768;
        ssize_t got = recv(c->fd, c->buf + c->n, most, 0);
        if (got == -1 && (errno == EAGAIN || errno == EINTR))
            continue;
        c->eof = got <= 0;
        if (got <= 0)
            return false;
        k->budget -= (size_t)got;
        c->n += (size_t)got;
        c->buf[c->n] = '\0';
        return true;
    }
}

/* Reads a head; returns its status, 0 if the session ends before. */
static int read_head(struct client *k)
{
    const char *end;
    while ((end = memmem(k->c->buf, k->c->n, "\r\n\r\n", 4)) == NULL)
        if (!more(k))
            return 0;
    size_t n = (size_t)(end + 4 - k->c->buf);
    snprintf(k->head, sizeof k->head, "%.*s", (int)n, k->c->buf);
    e2e_consume(k->c, n);
    if (strncmp(k->head, "HTTP/1.1 ", 9) != 0)
        wrong(k, "not an answer");
    return atoi(k->head + 9);
}

/* The value of a field of the head; empty: not there. */
static struct span field(const struct client *k, const char *name)
{
    char line[64];
    snprintf(line, sizeof line, "\r\n%s: ", name);
    const char *at = strcasestr(k->head, line);
    if (at == NULL)
        return (struct span){NULL, 0};
    at += strlen(line);
    return (struct span){at, strcspn(at, "\r")};
}

/* The next line of what came, without its end; false if it is not all there. */
static bool line_whole(const struct client *k, size_t within, struct span *line)
{
    size_t n = k->c->n < within ? k->c->n : within;
    const char *end = memchr(k->c->buf, '\n', n);
    *line = (struct span){k->c->buf, end != NULL ? (size_t)(end - k->c->buf) : 0};
    return end != NULL;
}

/* ---- sessions ---- */

/* A block of an event stream. */
static void told_block(struct client *k, struct span block)
{
    static char text[DATA_MAX];
    struct span event = {NULL, 0}, id = {NULL, 0}, data = {NULL, 0};
    while (block.n > 0) {
        struct span line = span_cut(&block, '\n'), name = span_cut(&line, ':');
        line = line.n > 0 && *line.p == ' ' ? span_from(line, 1) : line;
        if (span_eq(name, SPAN("event")))
            event = line;
        else if (span_eq(name, SPAN("id")))
            id = line;
        else if (span_eq(name, SPAN("data")))
            data = line;
    }
    if (span_eq(event, SPAN("gap"))) {
        told_gap(k, data);
        told_cursor(k, id_read(k, id));
        k->oldest = k->oldest != 0 ? k->cursor + 1 : 0;
    } else if (data.p != NULL) {
        bool several = strpbrk(targets[k->number].path, ",*") != NULL;
        ck_assert_uint_le(data.n, sizeof text);
        memcpy(text, data.p, data.n);
        if (several != (event.n > 0))
            wrong(k, "an event named %.*s", (int)event.n, event.p);
        told_message(k, (struct span){text, data.n}, id_read(k, id), event);
    } else if (id.n > 0) {
        uint32_t oldest = k->oldest; /* no matter: the opening's id, before a gap */
        k->oldest = 0;
        told_cursor(k, id_read(k, id));
        k->oldest = oldest;
    }
}

static void session_events(struct client *k)
{
    do {
        const char *end;
        while (!k->done && (end = memmem(k->c->buf, k->c->n, "\n\n", 2)) != NULL) {
            size_t n = (size_t)(end - k->c->buf);
            told_block(k, (struct span){k->c->buf, n});
            e2e_consume(k->c, n + 2);
        }
    } while (!k->done && more(k));
}

static void session_lines(struct client *k)
{
    struct span line;
    if (!k->started)
        told_cursor(k, id_read(k, field(k, "Last-Event-ID")));
    do {
        while (!k->done && line_whole(k, SIZE_MAX, &line)) {
            if (line.n > 0)
                told_object(k, line, false);
            e2e_consume(k->c, line.n + 1);
        }
    } while (!k->done && more(k));
}

/* A close frame: what it says must fit what was asked. */
static void told_close(struct client *k, struct span payload)
{
    unsigned code =
        payload.n >= 2 ? (unsigned)((uint8_t)payload.p[0] << 8 | (uint8_t)payload.p[1]) : 0;
    bool lagged = code == 1013 && strstr(k->asked, "since=") != NULL; /* it came with no cursor */
    if (k->way == FRAMES && (code == 4000 || lagged) && shared->lossy)
        k->way_gaps[k->way]++; /* the next session tells which */
    else
        wrong(k, "closed with %u", code);
}

static void session_socket(struct client *k)
{
    unsigned opcode;
    struct span payload;
    size_t size;
    do {
        while (!k->done && (size = frame_whole(k->c, &opcode, &payload)) > 0) {
            if (opcode == 8) {
                told_close(k, payload);
                return;
            }
            if (opcode == 9)
                pong(k->c, payload);
            else if (opcode != 1)
                wrong(k, "a frame of opcode %u", opcode);
            else if (k->way == OBJECTS)
                told_object(k, payload, false);
            else
                told_message(k, payload, 0, (struct span){NULL, 0});
            e2e_consume(k->c, size);
        }
    } while (!k->done && more(k));
}

/* The body of a poll in JSON, whole. */
static void poll_json(struct client *k, struct span body)
{
    struct json_value object, v, id = {0}, gap = {0}, messages = {0};
    struct span name;
    size_t at, pos = 0;
    if (!json_read(body, &object, &at) || object.kind != JSON_OBJECT)
        wrong(k, "not JSON at byte %zu: %.*s", at, (int)body.n, body.p);
    while (json_next(&object, &pos, &name, &v))
        *(span_eq(name, SPAN("id")) ? &id : span_eq(name, SPAN("gap")) ? &gap : &messages) = v;
    if (gap.kind == JSON_OBJECT)
        told_gap(k, gap.raw);
    for (pos = 0; json_next(&messages, &pos, &name, &v);)
        told_object(k, v.raw, true);
    if (!span_eq(id.raw, field(k, "Last-Event-ID")))
        wrong(k, "the body's cursor is %.*s", (int)id.raw.n, id.raw.p);
}

/* Takes the lines there are of a body of `left` bytes; returns how many bytes that was. */
static size_t poll_lines(struct client *k, size_t left)
{
    struct span line;
    size_t took = 0;
    while (!k->done && line_whole(k, left - took, &line)) {
        if (k->way == SHORT_LINES)
            told_object(k, line, false);
        else
            told_message(k, line, 0, (struct span){NULL, 0});
        took += line.n + 1;
        e2e_consume(k->c, line.n + 1);
    }
    return took;
}

/* The answer to a poll. It can be used as far as it has come, where it is lines. */
static void session_poll(struct client *k, int status)
{
    struct span id = field(k, "Last-Event-ID"), length = field(k, "Content-Length");
    struct span gap = field(k, "Gap");
    size_t left = length.n > 0 ? strtoul(length.p, NULL, 10) : 0;
    bool json = k->way == SHORT_JSON || k->way == LONG_JSON;
    uint32_t n = id_read(k, id);
    if (gap.n > 0)
        told_gap(k, gap);
    if ((status == 200) != (left > 0) && gap.n == 0)
        wrong(k, "a status that does not fit");
    while (left > 0) {
        if (!json)
            left -= poll_lines(k, left);
        else if (k->c->n >= left) {
            poll_json(k, (struct span){k->c->buf, left});
            e2e_consume(k->c, left);
            left = 0;
        }
        if (k->done)
            return;
        if (left > 0 && !more(k))
            return;
    }
    told_cursor(k, n);
    k->reusable = k->c->n == 0;
}

/* ---- a client ---- */

/* Writes what brings the cursor: in the target or in a field. */
static void cursor_ask(struct client *k, char *query, char *fields, size_t cap)
{
    static const struct {
        bool query;
        const char *before, *behind;
    } spellings[] = {
        {true, "last-event-id=", ""},
        {true, "last_event_id=", ""},
        {true, "lastEventId=", ""},
        {true, "since=", ""},
        {false, "Last-Event-ID: ", "\r\n"},
        {false, "If-None-Match: W/\"", "\"\r\n"},
        {false, "If-None-Match: \"", "-gzip\"\r\n"},
        {false, "If-None-Match: \"x\", W/\"", "\"\r\n"},
    };
    unsigned i = (unsigned)(random_next(&k->random) % COUNT(spellings));
    *query = *fields = '\0';
    if (k->started)
        snprintf(spellings[i].query ? query : fields, cap, "%s%llu-%u%s", spellings[i].before,
                 (unsigned long long)shared->epoch, k->cursor, spellings[i].behind);
}

static void ask(struct client *k)
{
    static const char *const accepts[WAYS] = {
        [EVENTS] = "Accept: text/event-stream\r\n",
        [LINES] = "Accept: application/x-ndjson\r\n",
        [OBJECTS] = KEY_FIELDS "Sec-WebSocket-Protocol: json\r\n",
        [FRAMES] = KEY_FIELDS,
        [SHORT_JSON] = "Accept: */*\r\n",
        [SHORT_LINES] = "Accept: application/x-ndjson, */*;q=0.1\r\n",
        [SHORT_TEXT] = "Accept: text/plain\r\n",
        [LONG_JSON] = "",
        [LONG_TEXT] = "Accept: text/plain\r\n",
    };
    char query[128], fields[256];
    bool waits = k->way == LINES || k->way == LONG_JSON || k->way == LONG_TEXT;
    bool prefer = random_next(&k->random) % 2 == 0;
    cursor_ask(k, query, fields, sizeof query);
    snprintf(k->asked, sizeof k->asked, "GET %s%s%s%s%s HTTP/1.1\r\nHost: test\r\n%s%s%s\r\n",
             targets[k->number].path, *query != '\0' || (waits && !prefer) ? "?" : "", query,
             *query != '\0' && waits && !prefer ? "&" : "", waits && !prefer ? "wait=1" : "",
             accepts[k->way], fields, waits && prefer ? "Prefer: wait=1\r\n" : "");
    k->head[0] = '\0';
    size_t n = strlen(k->asked);
    k->c->eof = send(k->c->fd, k->asked, n, MSG_NOSIGNAL) != (ssize_t)n;
}

/* Ends the session's connection: politely, or not. */
static void leave(struct client *k)
{
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    if (random_next(&k->random) % 2 == 0)
        setsockopt(k->c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    k->cuts += k->c->n > 0;
    e2e_close(k->c);
    k->c = NULL;
    k->reusable = false;
}

static void session(struct client *k)
{
    static const size_t budgets[] = {100, 600, 3000, 20000, 200000, 2000000};
    bool fresh = k->c == NULL;
    k->way = (enum way)(random_next(&k->random) % WAYS);
    if (!k->started && k->way != EVENTS && k->way != LINES)
        k->way = EVENTS; /* to begin now, and be told where that is */
    if (fresh)
        k->c = shared->lossy ? e2e_open_narrow(&server, 4096) : e2e_open(&server);
    k->budget = 1 + random_next(&k->random) % budgets[random_next(&k->random) % COUNT(budgets)];
    int64_t patience = (int64_t)(5 + random_next(&k->random) % 120);
    /* for the answer to begin most have time, so that each way gets something on any machine */
    k->deadline = e2e_now_ms() + (random_next(&k->random) % 4 != 0 ? E2E_WAIT_MS : patience);
    k->oldest = 0;
    k->open = false;
    k->reusable = false;
    ask(k);
    int status = read_head(k);
    bool socket = k->way == OBJECTS || k->way == FRAMES;
    if (status == 0 && k->c->eof && fresh)
        wrong(k, "closed without an answer");
    if (status == 0)
        return;
    k->deadline = e2e_now_ms() + patience;
    if (status != 200 && (socket ? status != 101 : status != 204 && status != 304))
        wrong(k, "the status is %d: %s", status, k->c->buf);
    if (socket && strstr(k->head, KEY_ANSWER) == NULL)
        wrong(k, "no handshake");
    if (k->way == EVENTS)
        session_events(k);
    else if (k->way == LINES)
        session_lines(k);
    else if (socket)
        session_socket(k);
    else
        session_poll(k, status);
}

/* Compares what came with what was published. */
static void verify(struct client *k)
{
    static uint8_t in_gap[IDS + 1];
    id_known(k, END);
    for (unsigned i = 0; i < k->gap_count; i++) {
        unsigned lost = 0;
        for (uint32_t n = k->gaps[i].after + 1; n < k->gaps[i].oldest; n++) {
            in_gap[n] = 1;
            lost += selected(k, shared->put[n]);
        }
        if (lost == 0)
            wrong(k, "nothing was lost between %u and %u", k->gaps[i].after, k->gaps[i].oldest);
    }
    for (uint32_t n = 1; n <= k->cursor; n++) {
        unsigned message = shared->put[n];
        bool due = n > k->start && selected(k, message);
        if (message == 0)
            wrong(k, "id %u was given to no message", n);
        if (k->got[n] != 0 && (k->got[n] != message || !due))
            wrong(k, "id %u came as message %u, and is %u", n, k->got[n], message);
        if (due && k->got[n] == 0 && !in_gap[n])
            wrong(k, "message %u, id %u, is lost, and no gap tells it", message, n);
        if (k->got[n] != 0 && in_gap[n])
            wrong(k, "message %u, id %u, came, and a gap tells it is lost", message, n);
    }
}

static void client_run(unsigned number)
{
    struct client *k = &client;
    k->number = number;
    k->random = mix(3000000 + number);
    for (unsigned i = 0; !k->done; i++) {
        if (i == SESSIONS_MAX)
            wrong(k, "no end in sight");
        session(k);
        if (!k->reusable || random_next(&k->random) % 2 == 0)
            leave(k);
        if (shared->lossy && random_next(&k->random) % 4 == 0)
            e2e_sleep_ms((int)(random_next(&k->random) % 200));
    }
    verify(k);
    for (unsigned i = 0; i < WAYS; i++) {
        __atomic_add_fetch(&shared->got[i], k->way_got[i], __ATOMIC_RELAXED);
        __atomic_add_fetch(&shared->gaps[i], k->way_gaps[i], __ATOMIC_RELAXED);
    }
    __atomic_add_fetch(&shared->cuts, k->cuts, __ATOMIC_RELAXED);
    __atomic_add_fetch(&shared->lagged, k->lagged, __ATOMIC_RELAXED);
}

/* ---- the run ---- */

static pid_t start(void (*body)(unsigned), unsigned number)
{
    pid_t parent = getpid(), pid = fork();
    ck_assert_int_ne(pid, -1);
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent)
        body(number);
    _exit(0);
}

/* Waits until these have ended well. */
static void join(const pid_t pids[], unsigned n, const char *what)
{
    int64_t deadline = e2e_now_ms() + TIMEOUT_MS;
    for (unsigned left = n; left > 0;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        for (unsigned i = 0; i < n && pid > 0; i++)
            left -= pids[i] == pid;
        if (pid > 0 && status != 0)
            exit(1); /* it has said why */
        if (e2e_now_ms() > deadline)
            e2e_fail(SEED_FMT ": %s did not end in time", shared->seed, what);
        if (pid == 0)
            e2e_sleep_ms(5);
    }
}

/* Starts the server, clients and publishers, and waits for the end. */
static void run_ways(bool lossy, const char *ring)
{
    pid_t clients[CLIENTS], publishers[PUBLISHERS];
    static char data[DATA_MAX];
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
    shared->seed = seed();
    shared->lossy = lossy;
    printf("check_ways: " SEED_FMT "\n", shared->seed);
    e2e_start(&server, "--ring", ring, "--heartbeat", "40ms", "--max-answer", "8K", NULL);
    e2e_ask(&server, &response, "HEAD /a HTTP/1.1\r\nHost: test\r\n\r\n");
    shared->epoch = strtoull(e2e_field(&response, "Last-Event-ID"), NULL, 10);
    for (unsigned i = 0; i < CLIENTS; i++)
        clients[i] = start(client_run, i);
    for (unsigned i = 0; i < PUBLISHERS; i++)
        publishers[i] = start(publisher, i);
    join(publishers, PUBLISHERS, "the publishers");
    note_id(END, span_of(e2e_publish_as(&server, "/end", NULL, data, data_write(data, END))));
    join(clients, CLIENTS, "the clients");
    for (unsigned i = 0; i < WAYS; i++)
        printf("  %-16s %6u messages %5u gaps\n", way_names[i], shared->got[i], shared->gaps[i]);
    printf("  %u gaps because of a slow reader; %u sessions cut inside something\n", shared->lagged,
           shared->cuts);
    fflush(stdout);
    for (unsigned i = 0; i < WAYS && !lossy; i++) /* a gap may end every raw WebSocket at once */
        ck_assert_msg(shared->got[i] > 0, SEED_FMT ": nothing came as %s", shared->seed,
                      way_names[i]);
    e2e_stop(&server);
}

START_TEST(each_message_comes_once_in_order)
{
    run_ways(false, "64M");
    ck_assert_uint_gt(shared->cuts, 0);
}
END_TEST

START_TEST(each_loss_is_told)
{
    run_ways(true, _i == 0 ? "64K" : "256K");
    unsigned gaps = 0;
    for (unsigned i = 0; i < WAYS; i++)
        gaps += shared->gaps[i];
    ck_assert_msg(gaps > 0, SEED_FMT ": nothing was lost", shared->seed);
}
END_TEST

static TCase *cases(void)
{
    TCase *c = tcase_create("ways");
    tcase_set_timeout(c, 100);
    tcase_add_test(c, each_message_comes_once_in_order);
    tcase_add_loop_test(c, each_loss_is_told, 0, 2);
    return c;
}

int main(void)
{
    Suite *s = suite_create("ways");
    suite_add_tcase(s, cases());
    return run(s);
}
