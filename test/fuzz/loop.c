/*
 * loop.c - the whole server over a scripted kernel: the bytes are a script of what some clients
 * and the kernel do, and of time that passes.
 *
 * The first byte chooses limits. Then steps, each a byte for what, a byte for which client, and
 * what bytes it needs (step_*). Where the script ends all is made well: faults cease, sockets take
 * what there is, and everybody must be up to date; then all leave, and nothing may be left behind.
 * What must hold meanwhile: loop.h.
 */
#include "test/kit/loop_ways.h"

#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))
#define CLIENTS     8
#define DESCRIPTORS 96
#define STEPS_MAX   400
#define RING        (128u << 10)

/* A client. One that sends but whole requests that are known here is followed. */
static struct client {
    struct kernel_peer *p;
    struct follower f; /* what: "" until it subscribes */
    struct talker t;   /* what: "" until it wants to speak WebSocket, or a stream of objects */
    bool wild;         /* has sent who knows what */
    bool well;         /* has done nothing for which it could be closed */
    char held[8 << 10];
    size_t held_n; /* bytes it has not sent yet */
} clients[CLIENTS];

static struct span script;
static bool faults; /* the kernel has failed, or was short of something */

/* The next byte of the script, below `bound`. */
static unsigned pick(unsigned bound)
{
    if (script.n == 0)
        return 0;
    unsigned byte = (unsigned char)script.p[0];
    script = span_from(script, 1);
    return byte % bound;
}

static struct span pick_bytes(size_t most)
{
    size_t n = pick(256);
    n = n < most ? n : most;
    n = n < script.n ? n : script.n;
    struct span s = {script.p, n};
    script = span_from(script, n);
    return s;
}

/* ---- what clients send ----------------------------------------------------------------------- */

/* So much may wait for the server to read it: less than what fills the ring when it is
 * published. */
#define UNREAD_MAX 1000

static void send_bytes(struct client *c, const char *p, size_t n)
{
    for (unsigned i = 0; i < 4 && kernel_unread(c->p) + n > UNREAD_MAX && kernel_unread(c->p) > 0;
         i++)
        turn();
    if (kernel_unread(c->p) == 0 || kernel_unread(c->p) + n <= UNREAD_MAX)
        kernel_send(c->p, p, n);
    else
        c->wild = true; /* a part is missing */
}

/* Sends, or adds to what is held back. */
static void say_bytes(struct client *c, const char *p, size_t n)
{
    if (c->held_n == 0) {
        send_bytes(c, p, n);
        return;
    }
    if (c->held_n + n > sizeof c->held) {
        c->wild = true;
        return;
    }
    memcpy(c->held + c->held_n, p, n);
    c->held_n += n;
}

__attribute__((format(printf, 2, 3))) static void say_text(struct client *c, const char *format,
                                                           ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    assert(n >= 0 && (size_t)n < sizeof text);
    say_bytes(c, text, (size_t)n);
}

static const char *const topics[] = {"a", "b", "c/d", "c/e", "gap", "a,b", "*"};

static void step_publish(struct client *c)
{
    static const char *const type[] = {"text/plain", "application/octet-stream"};
    static char data[RING / 16];
    const char *topic = topics[pick(COUNT(topics))], *event = pick(4) == 0 ? "?event=e" : "";
    unsigned kind = pick(4), large = pick(2), size = pick(256) * (large ? 33 : 1);
    size = size < sizeof data ? size : sizeof data;
    memset(data, kind == 1 ? '\n' : 'x', size);
    for (unsigned i = 0; kind == 2 && i + 7 < size; i += 7)
        memcpy(data + i, "\r\n", 2);
    say_text(c, "POST /%s%s HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nContent-Length: %u\r\n\r\n",
             topic, event, type[kind == 3], size);
    say_bytes(c, data, size);
}

/* Begins a batch. */
static void step_batch(struct client *c)
{
    const char *topic = topics[pick(COUNT(topics))];
    const char *type = pick(2) == 0 ? "application/x-ndjson" : "text/event-stream";
    unsigned length = pick(3);
    say_text(c, "POST /%s HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\n", topic, type);
    if (length == 0)
        say_text(c, "Transfer-Encoding: chunked\r\n\r\n");
    else
        say_text(c, "Content-Length: %u\r\n\r\n", pick(60));
}

/* Goes on with one, or with whatever it takes this for. */
static void step_part(struct client *c)
{
    static const char *const part[] = {
        "2\r\n1\n\r\n",
        "6\r\ndata:x\r\n2\r\n\n\n\r\n",
        "11\r\n{\"data\":\"x\ty\"}\n[]\r\n",
        "0\r\n\r\n",
        "1\n2\n3\n",
        "event: e\ndata: 1\n\ndata: 2\n\n",
        "30\r\n{\"data\":\"x\",\"event\":\"e\"}\n{\"base64\":\"AAEC\"}\n    \n\r\n",
        "event: gap\ndata: 1\n\n",
    };
    const char *text = part[pick(COUNT(part))];
    say_bytes(c, text, strlen(text));
}

static void step_subscribe(struct client *c)
{
    static const char *const what[] = {"a", "b", "a,b", "*", "c/*", "**", "c/d,a", "c/**,b", "a,a"};
    const char *names = what[pick(COUNT(what))];
    unsigned how = pick(8), n = pick(256);
    char field[128] = "", query[32] = "";
    if (how == 1)
        snprintf(field, sizeof field, "Last-Event-ID: %u-%u\r\n", n, n);
    else if (how == 2)
        snprintf(field, sizeof field, "Last-Event-ID: cursor\r\n");
    else if (how >= 3 && how <= 5)
        snprintf(field, sizeof field, "Last-Event-ID: %llu-%u\r\n",
                 (unsigned long long)KERNEL_WALL_MS,
                 n % 16 *
                     (how == 3   ? 1
                      : how == 4 ? 16
                                 : 160));
    else if (how == 6)
        snprintf(query, sizeof query, "?since=-%u", n);
    else if (how == 7)
        snprintf(query, sizeof query, n % 2 == 0 ? "?since=earliest" : "?since=%ums", n);
    if (c->f.what[0] != '\0')
        return;
    c->f = follower(c->p, names);
    c->f.resumes = field[0] != '\0';
    say_text(c, "GET /%s%s HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n%s\r\n", names,
             query, field);
}

/* ---- the other ways ---- */

/* What a poll that waits for N seconds is for: the answer tells N. One that does not wait: the
 * first. */
static const char *const waited[] = {"a", "a,b", "*", "c/**"};

/* Looks at the answer to a DELETE: the record that it names is one that purges. */
static void purge_answered(struct span body)
{
    struct json_value object, id, count;
    size_t at;
    bool good = json_read(body, &object, &at) && member(&object, "purged", &count) &&
                member(&object, "id", &id);
    assert(good);
    if (id.kind == JSON_NULL)
        assert(span_eq(count.raw, SPAN("0")));
    else
        assert(told.item[id_of(&id) - 1].purge);
}

/* Looks at an answer, which may be one to a poll. */
static void answered(struct span s)
{
    static const char applied[] = "\r\nPreference-Applied: wait=";
    const char *end = memmem(s.p, s.n, "\r\n\r\n", 4);
    size_t head = (size_t)(end - s.p) + 4;
    if (stands_in(end, s.n - (size_t)(end - s.p), ",\"purged\":"))
        purge_answered(span_from(s, head));
    if (!stands_in(s.p, head, "\r\nVary: Accept, Prefer\r\n") ||
        (stands_in(s.p, head, "\r\nContent-Type: ") &&
         !stands_in(s.p, head, "\r\nContent-Type: application/json\r\n")))
        return;
    const char *wait = memmem(s.p, head, applied, sizeof applied - 1);
    unsigned long n = wait != NULL ? strtoul(wait + sizeof applied - 1, NULL, 10) : 1;
    struct polled a;
    assert(n >= 1 && n <= COUNT(waited));
    size_t size = poll_check(s, waited[n - 1], 0, false, &a);
    assert(size == s.n);
}

static void step_poll(struct client *c)
{
    static const char *const accept[] = {"*/*", "application/json", "text/plain",
                                         "application/x-ndjson"};
    unsigned wait = pick(COUNT(waited) + 1), how = pick(6), n = pick(256), form = pick(8);
    char cursor[64] = "", prefer[32] = "";
    if (how == 1)
        snprintf(cursor, sizeof cursor, "Last-Event-ID: %llu-%u\r\n",
                 (unsigned long long)KERNEL_WALL_MS, n % 32);
    else if (how == 2)
        snprintf(cursor, sizeof cursor, "If-None-Match: W/\"%llu-%u\", \"x\"\r\n",
                 (unsigned long long)KERNEL_WALL_MS, n);
    else if (how == 3)
        snprintf(cursor, sizeof cursor, "If-None-Match: *\r\n");
    else if (how == 4)
        snprintf(cursor, sizeof cursor, "Last-Event-ID: %u-%u\r\n", n, n);
    if (wait > 0)
        snprintf(prefer, sizeof prefer, "Prefer: wait=%u\r\n", wait);
    form = form < COUNT(accept) ? form : 0;
    if (form == 3 && wait > 0) { /* a stream of objects */
        if (c->t.what[0] != '\0' || how == 4 || how == 5)
            return;
        c->t = (struct talker){.p = c->p, .json = true};
        snprintf(c->t.what, sizeof c->t.what, "%s", waited[wait - 1]);
        c->t.loose = true;
    }
    say_text(c, "GET /%s%s HTTP/1.%u\r\nHost: h\r\nAccept: %s\r\n%s%s\r\n",
             waited[wait > 0 ? wait - 1 : 0], how == 5 ? "?since=earliest" : "", n % 16 != 15,
             accept[form], prefer, cursor);
}

static void step_socket(struct client *c)
{
    static const char *const what[] = {"a", "b", "a,b", "*", "c/**"};
    const char *names = what[pick(COUNT(what))];
    unsigned json = pick(2), n = pick(64);
    if (c->t.what[0] != '\0')
        return;
    c->t = (struct talker){.p = c->p, .json = json, .known = true, .last = n};
    snprintf(c->t.what, sizeof c->t.what, "%s", names);
    say_text(c,
             "GET /%s?last-event-id=%llu-%u HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
             "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
             names, (unsigned long long)KERNEL_WALL_MS, n,
             json ? "Sec-WebSocket-Protocol: json\r\n" : "");
}

static void step_frame(struct client *c)
{
    static const struct {
        unsigned first;
        const char *data;
    } frames[] = {
        {0x81, "{\"data\":\"x\"}"},
        {0x81, "{\"topic\":\"b\",\"data\":\"\\u00e9\\n\",\"event\":\"e\"}"},
        {0x81, "{\"base64\":\"AAEC\",\"topic\":\"c/d\"}"},
        {0x81, "{\"subscribe\":[\"b\",\"c/*\"]}"},
        {0x81, "{\"unsubscribe\":[\"a\",\"b\",\"*\"]}"},
        {0x82, "\xff\xfe"},
        {0x01, "{\"data\":"},
        {0x80, "\"y\"}"},
        {0x89, "ping"},
        {0x8a, ""},
        {0x88, "\x03\xe8"},
        {0x81, ""},
        {0x81, "\xff"},
        {0xc1, "x"},
    };
    char bytes[600], data[512];
    unsigned i = pick(COUNT(frames) + 1);
    size_t n = pick(256) * 2;
    if (i < COUNT(frames)) {
        n = strlen(frames[i].data);
        memcpy(data, frames[i].data, n);
    } else {
        memset(data, 'd', n);
    }
    c->t.loose = c->t.loose || c->t.json;
    c->well = false;
    say_bytes(c, bytes, frame_put(bytes, i < COUNT(frames) ? frames[i].first : 0x81, data, n));
}

/* Publishes with a key, ends a topic, or purges it. */
static void step_life(struct client *c)
{
    static const char *const names[] = {"a", "b", "c/d", "c/e"};
    static const char *const what[] = {
        "POST /%s?key=%u HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n%u %02u",
        "POST /%s HTTP/1.1\r\nHost: h\r\nIdempotency-Key: \"%u\"\r\nContent-Length: 4\r\n\r\n%u "
        "%02u",
        "POST /%s?key=%u&end HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n%u %02u",
        "POST /%s?end HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        "POST /%s?end HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nend",
        "DELETE /%s HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /%s HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-ndjson\r\nContent-Length: 50"
        "\r\n\r\n{\"data\":\"%u 00\",\"key\":\"%u\"}\n{\"data\":\"x\",\"end\":true}\n",
    };
    char text[512];
    unsigned how = pick(16), key = pick(10), variant = pick(4);
    const char *name = names[pick(COUNT(names))];
    how = how < COUNT(what) ? how : how % 2;
    int n = snprintf(text, sizeof text, what[how], name, key, key, variant);
    assert(n > 0 && (size_t)n < sizeof text);
    say_bytes(c, text, (size_t)n);
}

/* Looks at all it has been sent. Frames without ids do not tell which messages a purge left. */
static void look_at(struct client *c)
{
    if (c->wild || (c->t.what[0] != '\0' && !c->t.json && S.stat.purges > 0))
        return;
    c->f.answered = answered;
    follow(&c->f);
    if (c->f.state >= FOLLOW_FRAMES && c->t.state == TALK_HEAD) {
        c->t.state = TALK_OPEN;
        c->t.pos = c->f.pos;
    }
    if (c->f.state == FOLLOW_FRAMES)
        talk(&c->t);
    else if (c->f.state == FOLLOW_LINES)
        talk_lines(&c->t);
}

static void step_other(struct client *c)
{
    static const char *const text[] = {
        "GET /-/healthy HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /-/metrics HTTP/1.1\r\nHost: h\r\n\r\n",
        "OPTIONS /a HTTP/1.1\r\nHost: h\r\nOrigin: http://o\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: h\r\nAccept: text/html\r\n\r\n",
        "DELETE /a HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /-/healthy HTTP/1.0\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 99999\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
        "nonsense\r\n\r\n",
    };
    const char *request = text[pick(COUNT(text))];
    say_bytes(c, request, strlen(request));
}

/* Returns true if what the client sends is certainly dropped, or frames. */
static bool streaming(struct client *c)
{
    look_at(c);
    c->t.loose = c->t.loose || c->t.json;
    return c->f.state >= FOLLOW_EVENTS;
}

static void step_raw(struct client *c)
{
    struct span s = pick_bytes(UNREAD_MAX);
    if (!streaming(c))
        c->wild = true;
    say_bytes(c, s.p, s.n);
}

/* Sends a part of what it holds back, or from now on holds back all but a byte. */
static void step_pieces(struct client *c)
{
    size_t n = pick(256);
    if (c->held_n == 0) {
        c->held[c->held_n++] = '\r'; /* an empty line before a request is dropped */
        c->held[c->held_n++] = '\n';
        return;
    }
    n = n < c->held_n ? n : c->held_n;
    send_bytes(c, c->held, n);
    c->held_n -= n;
    memmove(c->held, c->held + n, c->held_n);
}

/* ---- what clients and the kernel do ---------------------------------------------------------- */

/* Where a PROXY header is due: brings one, or not. */
static void say_header(struct client *c)
{
    static const struct span headers[] = {
        SPAN_INIT("PROXY TCP4 127.0.0.1 127.0.0.1 4711 80\r\n"),
        SPAN_INIT("PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n"),
        SPAN_INIT("PROXY UNKNOWN\r\n"),
        SPAN_INIT("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"),
        SPAN_INIT("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C\xCB\0\x71\x07\xC0\0\x02\x01\x12\x67\0\x50"),
        SPAN_INIT("\r\n\r\n\0\r\nQUIT\n\x20\0\xFF\x00"),
        SPAN_INIT("PROXY"),
    };
    unsigned which = pick(COUNT(headers) + 1), all = 5; /* of them are whole */
    c->wild = c->wild || which >= all;
    c->well = c->well && which < all;
    if (which < COUNT(headers))
        say_bytes(c, headers[which].p, headers[which].n);
}

static void step_dial(struct client *c)
{
    bool local = pick(4) > 0;
    if (c->p != NULL && !c->p->closed && !c->p->answered)
        return;
    if (c->p != NULL) {
        look_at(c);
        kernel_rst(c->p);
    }
    *c = (struct client){.p = kernel_dial(local), .well = true};
    c->f = (struct follower){.p = c->p};
    if (S.config.opt.proxy_protocol)
        say_header(c);
}

static void step_window(struct client *c)
{
    unsigned how = pick(4), n = pick(256);
    c->well = false;
    if (how == 0)
        kernel_window(c->p, n * 16);
    else if (how == 1)
        kernel_take(c->p, n * 256);
    else if (how == 2)
        c->p->chunk = n + 1;
    else
        kernel_window(c->p, c->p->out.n - c->p->taken + n);
}

static void step_end(struct client *c)
{
    unsigned how = pick(3);
    c->well = false;
    if (how == 0)
        kernel_fin(c->p);
    else if (how == 1)
        kernel_rst(c->p);
    else
        kernel_hang_up(c->p);
}

static void step_fault(void)
{
    static const struct {
        enum kernel_call call;
        int error;
    } fault[] = {
        {KERNEL_READ, EINTR},        {KERNEL_READ, ECONNRESET},     {KERNEL_WRITEV, EINTR},
        {KERNEL_WRITEV, ENOBUFS},    {KERNEL_WRITEV, EPIPE},        {KERNEL_ACCEPT, ENFILE},
        {KERNEL_ACCEPT, ENOBUFS},    {KERNEL_ACCEPT, ECONNABORTED}, {KERNEL_ACCEPT, EINTR},
        {KERNEL_OPEN, EMFILE},       {KERNEL_EPOLL_CTL, ENOSPC},    {KERNEL_EPOLL_WAIT, EINTR},
        {KERNEL_SHUTDOWN, ENOTCONN}, {KERNEL_SEND, EAGAIN},
    };
    unsigned i = pick(COUNT(fault)), after = pick(8), times = pick(4) + 1;
    faults = true;
    kernel_fail(fault[i].call, (struct kernel_fault){after, times, fault[i].error, NULL});
}

static void step_time(void)
{
    static const unsigned ms[] = {1, 50, 800, 1600, 3100, 5100};
    static const unsigned long long jump[] = {0, 60000, 1u << 31};
    for (unsigned i = 0; i < CLIENTS; i++)
        clients[i].well = false; /* it may have left a request unfinished */
    kernel.wall_ms += jump[pick(COUNT(jump))];
    pass(ms[pick(COUNT(ms))]);
}

static void step_descriptors(void)
{
    unsigned n = pick(8);
    faults = true;
    kernel.fds_max = n == 0 ? DESCRIPTORS : kernel.open + 2 + n;
}

static void step(void)
{
    static void (*const of_client[])(struct client *) = {
        step_dial,  step_publish, step_publish, step_batch,  step_part, step_subscribe,
        step_other, step_raw,     step_pieces,  step_window, step_end,
    };
    static void (*const of_ways[])(struct client *) = {step_poll, step_socket, step_frame};
    unsigned byte = pick(256), what = byte % (COUNT(of_client) + 5);
    if (byte >= 128) {
        struct client *c = &clients[pick(CLIENTS)];
        if (c->p != NULL)
            (byte >= 232 ? step_life : of_ways[byte % COUNT(of_ways)])(c);
    } else if (what < COUNT(of_client)) {
        struct client *c = &clients[pick(CLIENTS)];
        if (c->p != NULL || what == 0)
            of_client[what](c);
    } else if (what == COUNT(of_client)) {
        step_fault();
    } else if (what == COUNT(of_client) + 1) {
        step_time();
    } else if (what == COUNT(of_client) + 2) {
        step_descriptors();
    } else if (what == COUNT(of_client) + 3) {
        settle();
    } else {
        turn();
    }
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static void begin(unsigned limits)
{
    struct opt o = options();
    o.ring = limits & 64 ? 8 * RING : RING; /* a large one holds more than is written in a turn */
    o.max_message = RING / 16;
    o.max_topics = limits & 1 ? 3 : 50;
    o.max_connections = limits & 2 ? 3 : 12;
    o.max_buffers = limits & 4 ? 24 << 10 : 256 << 10;
    o.max_answer = limits & 64 ? 32u << 10 : 1024;
    o.max_wait_ms = 4000;
    o.max_age_ms = limits & 8 ? 2000 : 0;
    o.max_head = limits & 16 ? 256 : 1024;
    o.max_line = o.max_head / 2;
    o.heartbeat_ms = 1500;
    o.request_timeout_ms = 3000;
    o.idle_timeout_ms = 4000;
    o.write_timeout_ms = 5000;
    o.log = OPT_LOG_ERROR;
    o.access_log = (limits & 32) != 0;
    o.proxy_protocol = (limits & 128) != 0;
    o.max_per_address = limits & 128 ? 3 : 0;
    start(&o, DESCRIPTORS);
    memset(clients, 0, sizeof clients);
    faults = false;
}

/* The kernel fails no more, and all take what they are sent. */
static void make_well(void)
{
    memset(kernel.fault, 0, sizeof kernel.fault);
    kernel.fds_max = DESCRIPTORS;
    for (unsigned i = 0; i < CLIENTS; i++)
        if (clients[i].p != NULL)
            kernel_window(clients[i].p, KERNEL_NO_END);
    settle();
    if (faults)
        pass(1000); /* until the sweep has tried again whom it must */
}

static void check_client(struct client *c)
{
    static const char http[] = "HTTP/1.1 ";
    if (c->p == NULL)
        return;
    size_t n = c->p->out.n < sizeof http - 1 ? c->p->out.n : sizeof http - 1;
    assert(memcmp(got(c->p), http, n) == 0);
    if (c->wild || (c->t.what[0] != '\0' && !c->t.json && S.stat.purges > 0))
        return;
    look_at(c);
    if (c->f.state == FOLLOW_EVENTS && !c->p->closed && !c->p->answered)
        follow_to_the_end(&c->f);
    if (c->f.state == FOLLOW_FRAMES && !c->p->closed && !c->p->answered)
        talk_to_the_end(&c->t);
    if (c->well && !faults && c->f.state == FOLLOW_EVENTS && !c->p->answered)
        assert(!c->p->closed || told_may_be_over(c->f.what, c->f.last));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    script = (struct span){(const char *)data, size};
    begin(pick(256));
    for (unsigned i = 0; i < STEPS_MAX && script.n > 0; i++)
        step();
    make_well();
    assert(told.purges == S.stat.purges);
    for (unsigned i = 0; i < CLIENTS; i++)
        check_client(&clients[i]);
    stop();
    return 0;
}
