/*
 * serve_unit.h - a server in memory for tests of lib/serve: requests in, answers out, no sockets.
 *
 * What the loop does with a connection's bytes, feed() does here: it keeps what serve_input() does
 * not take, and collects what is to be written. Every call has just SERVE_ROOM bytes for its
 * answer, and its input on the heap in its exact size, where a sanitizer notices a byte too far.
 */
#ifndef SSE_TEST_KIT_SERVE_UNIT_H
#define SSE_TEST_KIT_SERVE_UNIT_H

#include "lib/serve/answer.h"
#include "lib/serve/conn.h"
#include "lib/serve/queue.h"
#include "lib/serve/ready.h"
#include "lib/serve/route.h"
#include "lib/serve/server.h"

#include "lib/cors.h"
#include "lib/problem.h"
#include "lib/topic/fanout.h"
#include "lib/topic/names.h"
#include "lib/topic/sets.h"
#include "test/kit/kit.h"

#include <stdarg.h>
#include <sys/mman.h>

enum {
    UNIT_CONNS = 16,
    UNIT_TOPICS = 64,
    UNIT_BUFFERS = 1 << 9, /* of 2^12 bytes */
    UNIT_RECORDS = 64,     /* in an answer to a poll */
    UNIT_EPOCH = 1000,
};
#define UNIT_WALL 1790000000000u /* ms */

/* As ck_assert(), which tells its place each time even where it holds, and so costs a system
 * call. */
#define MUST(condition)                     \
    do {                                    \
        if (!(condition))                   \
            ck_abort_msg("%s", #condition); \
    } while (0)

struct unit {
    struct server *s;
    void *memory[11];
    size_t size[11];
    char *kept; /* what of a head has come */
    size_t nkept, seen;
    struct text got; /* all that was to be written */
};

static char unit_log[64 << 10];

static inline void unit_say(enum opt_log level, const char *msg, ...)
{
    va_list ap;
    size_t n = strlen(unit_log);
    n = n < sizeof(unit_log) / 2 ? n : 0;
    n += (size_t)snprintf(unit_log + n, sizeof(unit_log) - n, "%d %s", (int)level, msg);
    va_start(ap, msg);
    for (const char *key; n < sizeof(unit_log) && (key = va_arg(ap, const char *)) != NULL;)
        n += (size_t)snprintf(unit_log + n, sizeof(unit_log) - n, " %s=%s", key,
                              va_arg(ap, const char *));
    va_end(ap);
    MUST(n + 1 < sizeof(unit_log));
    memcpy(unit_log + n, "\n", 2);
}

static inline void unit_give_back(void *p, size_t n)
{
    memset(p, 0, n);
}

/* Zeroed memory that costs what is touched of it. */
static inline void *unit_map(struct unit *u, unsigned i, size_t size)
{
    u->size[i] = size;
    u->memory[i] = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(u->memory[i] != MAP_FAILED);
    return u->memory[i];
}

/* Options that tests begin with: small limits, no jitter. */
static inline struct opt unit_opt(void)
{
    return (struct opt){.host = {.n = 1, .item = {SPAN_INIT("h")}},
                        .ring = RING_MIN,
                        .max_message = 400,
                        .max_connections = 10,
                        .max_per_address = 3,
                        .max_topics = 8,
                        .max_subscriptions = 4,
                        .max_line = 1000,
                        .max_head = 3000,
                        .max_buffers = (uint64_t)UNIT_BUFFERS << 12,
                        .max_answer = 8u << 10,
                        .max_wait_ms = 60000,
                        .anonymous = OPT_ANONYMOUS_SUBSCRIBE,
                        .access_log = true};
}

static inline void unit_list(struct opt_list *l, const char *item)
{
    l->item[l->n++] = span_of(item);
}

static inline struct unit unit_make(const struct opt *o)
{
    static const uint64_t key[2] = {1, 2};
    struct unit u = {.got = {NULL, 0, 1 << 20, false}};
    struct topics_memory m = topics_size(UNIT_TOPICS);
    struct server *s = u.s = unit_map(&u, 0, sizeof(*s));
    u.got.p = unit_map(&u, 7, u.got.cap);
    s->config.opt = *o;
    s->clients.conns = (struct conns){.conn = unit_map(&u, 1, UNIT_CONNS * sizeof(struct conn)),
                                      .max = UNIT_CONNS,
                                      .give_back = unit_give_back};
    pool_init(&s->clients.conns.buffers, unit_map(&u, 2, (size_t)UNIT_BUFFERS << 12),
              unit_map(&u, 3, pool_meta_size(UNIT_BUFFERS)), UNIT_BUFFERS, 12);
    /* one piece for the four parts, each on a page of its own */
    size_t a = (m.table + 4095) & ~4095ul, b = (m.edges + 4095) & ~4095ul;
    size_t c = (m.pool + 4095) & ~4095ul;
    char *p = unit_map(&u, 4, a + b + c + m.pool_meta);
    topics_init(&s->topics, UNIT_TOPICS, p, p + a, p + a + b, p + a + b + c, key);
    topics_limit(&s->topics, o->max_topics);
    topics_links(&s->topics, s->clients.conns.conn, sizeof(struct conn));
    MUST(ring_open(&s->ring, o->ring, UNIT_EPOCH) == 0);
    broker_init(&s->broker, &s->ring, &s->topics,
                unit_map(&u, 10, broker_size(s->ring.size, UNIT_TOPICS)),
                unit_map(&u, 5, broker_heap_size(UNIT_TOPICS)));
    s->broker.gone = ready_topic_gone;
    s->broker.arg = s;
    s->config.limits = (struct http_limits){o->max_line, o->max_head};
    s->clock.wall = UNIT_WALL;
    s->clock.now = 5000;
    snprintf(s->clock.date, sizeof(s->clock.date), "Sun, 06 Nov 1994 08:49:37 GMT");
    s->clock.random = 1;
    s->log.say = unit_say;
    s->ex.out = text_in(unit_map(&u, 6, SERVE_ROOM), SERVE_ROOM);
    size_t scratch = share_scratch(o->max_message, o->max_answer);
    share_init(&s->ex.poll, UNIT_RECORDS, unit_map(&u, 8, share_memory(UNIT_RECORDS)),
               unit_map(&u, 9, scratch), scratch);
    unit_log[0] = '\0';
    return u;
}

static inline void unit_free(struct unit *u)
{
    ring_close(&u->s->ring);
    free(u->kept);
    for (size_t i = COUNT(u->memory); i-- > 0;)
        munmap(u->memory[i], u->size[i]);
}

/* A new connection, from this host. */
static inline struct conn *unit_open(struct unit *u, int fd)
{
    struct conn *c = conn_open(&u->s->clients.conns, fd, u->s->clock.now);
    c->flags |= CONN_LOCAL | CONN_WRITABLE;
    free(u->kept);
    u->kept = NULL;
    u->nkept = u->seen = 0;
    return c;
}

static inline void unit_take_out(struct unit *u)
{
    struct text *out = &u->s->ex.out;
    MUST(!out->full);
    text_add(&u->got, text_span(out));
    for (; u->s->ex.tail_pieces > 0; u->s->ex.tail_pieces--, u->s->ex.tail++)
        text_add(&u->got, (struct span){u->s->ex.tail->iov_base, u->s->ex.tail->iov_len});
    MUST(!u->got.full);
    out->n = 0;
}

/* The bytes that have come, as the loop handles them. */
static inline void feed(struct unit *u, struct conn *c, struct span bytes)
{
    size_t len = u->nkept + bytes.n, off = 0, used = 1, seen = u->seen;
    char *all = malloc(len + 1); /* never nothing */
    MUST(all != NULL);
    if (u->nkept > 0)
        memcpy(all, u->kept, u->nkept);
    if (bytes.n > 0)
        memcpy(all + u->nkept, bytes.p, bytes.n);
    free(u->kept);
    u->kept = NULL;
    u->nkept = u->seen = 0;
    while (off < len && used > 0 &&
           (c->state == CONN_HEAD || c->state == CONN_BODY || c->state == CONN_SOCKET)) {
        char *buf = malloc(len - off);
        MUST(buf != NULL);
        memcpy(buf, all + off, len - off);
        used = serve_input(u->s, c, buf, len - off, seen);
        free(buf);
        MUST(used <= len - off);
        unit_take_out(u);
        off += used;
        seen = 0;
    }
    if (off < len && (c->state == CONN_HEAD || c->state == CONN_WAIT)) {
        u->kept = malloc(len - off);
        MUST(u->kept != NULL);
        memcpy(u->kept, all + off, len - off);
        u->nkept = len - off;
        u->seen = used == 0 ? len - off : 0;
    }
    free(all);
}

/* The same for a string. */
static inline void feed_str(struct unit *u, struct conn *c, const char *s)
{
    feed(u, c, span_of(s));
}

/* Forgets what was to be written. */
static inline void unit_clear(struct unit *u)
{
    memset(u->got.p, 0, u->got.n);
    u->got.n = 0;
}

/* ---- answers --------------------------------------------------------------------------------- */

struct answer {
    int status;
    struct span head, body; /* the head with its last line */
};

static inline bool holds(struct span s, const char *part)
{
    return memmem(s.p, s.n, part, strlen(part)) != NULL;
}

/* Returns how often it occurs. */
static inline unsigned times(struct span s, const char *part)
{
    unsigned n = 0;
    const char *at;
    while (s.n > 0 && (at = memmem(s.p, s.n, part, strlen(part))) != NULL) {
        s = span_from(s, (size_t)(at - s.p) + strlen(part));
        n++;
    }
    return n;
}

/* The value of a field of an answer's head; a null pointer where there is none. */
static inline struct span field(struct span head, const char *name)
{
    char line[80];
    snprintf(line, sizeof(line), "\r\n%s: ", name);
    const char *at = memmem(head.p, head.n, line, strlen(line));
    if (at == NULL)
        return (struct span){NULL, 0};
    struct span value = span_from(head, (size_t)(at - head.p) + strlen(line));
    return span_cut(&value, '\r');
}

/* Cuts the first answer off *got, which holds it whole, and checks what is true of each. A stream's
 * body is the rest. */
static inline struct answer answer_cut(const struct server *s, struct span *got, bool head_only)
{
    struct answer a;
    uint64_t length = 0;
    const char *end = memmem(got->p, got->n, "\r\n\r\n", 4);
    ck_assert_msg(end != NULL && span_begins(*got, SPAN("HTTP/1.1 ")), "%.*s", (int)got->n, got->p);
    a.head = (struct span){got->p, (size_t)(end - got->p) + 4};
    a.status = atoi(got->p + 9);
    *got = span_from(*got, a.head.n);
    if (a.status == 100) {
        a.body = (struct span){got->p, 0};
        return a;
    }
    for (size_t i = 0; i < a.head.n; i++) /* lines end in CRLF, with nothing odd in them */
        MUST((unsigned char)a.head.p[i] >= ' ' ||
             (a.head.p[i] == '\r' && a.head.p[i + 1] == '\n') ||
             (a.head.p[i] == '\n' && a.head.p[i - 1] == '\r'));
    MUST(span_eq(field(a.head, "Date"), span_of(s->clock.date)));
    bool sized = span_u64(field(a.head, "Content-Length"), &length);
    struct span type = field(a.head, "Content-Type");
    bool stream = span_eq(type, SPAN("text/event-stream; charset=utf-8")) ||
                  (span_eq(type, SPAN("application/x-ndjson")) &&
                   field(a.head, "X-Accel-Buffering").n > 0); /* lines, until someone closes */
    bool empty = a.status == 204 || a.status == 304;
    MUST(sized == (type.n > 0 && !stream) || (head_only && !sized)); /* it may not be known */
    if (a.status >= 400)
        MUST(span_eq(field(a.head, "Content-Type"), SPAN("application/problem+json")));
    if (empty)
        MUST(type.n == 0);
    size_t n = head_only ? 0 : sized ? length : empty ? 0 : got->n;
    MUST(n <= got->n);
    a.body = (struct span){got->p, n};
    *got = span_from(*got, n);
    return a;
}

/* The one answer there is. */
static inline struct answer answer_only(const struct unit *u, bool head_only)
{
    struct span got = text_span(&u->got);
    struct answer a = answer_cut(u->s, &got, head_only);
    ck_assert_msg(got.n == 0, "%.*s", (int)u->got.n, u->got.p);
    return a;
}

/* Returns true if it is the refusal with this detail. */
static inline bool is_problem(const struct answer *a, const char *detail)
{
    char bytes[8192];
    struct text t = text_in(bytes, sizeof(bytes));
    problem_write(&t, a->status, http_reason(a->status), span_of(detail));
    MUST(!t.full);
    return span_eq(a->body, text_span(&t));
}

/* ---- the ring -------------------------------------------------------------------------------- */

/* All messages in it as text: "1 topic [event|data]\n", <...> where binary. */
static inline void ring_dump(const struct server *s, struct text *t)
{
    for (uint64_t at = ring_tail(&s->ring); at < ring_head(&s->ring);) {
        const struct ring_record *r = ring_at(&s->ring, at);
        bool binary = (r->flags & RING_BINARY) != 0;
        text_u64(t, r->n);
        text_str(t, " ");
        text_add(t, ring_topic(r));
        text_str(t, binary ? " <" : " [");
        text_add(t, ring_event(r));
        text_str(t, "|");
        text_add(t, ring_data(r));
        text_str(t, binary ? ">\n" : "]\n");
        at = ring_behind(r, at);
    }
    MUST(!t->full);
}

/* Publishes a message on a connection of its own. */
static inline void publish(struct unit *u, const char *topic, struct span data)
{
    struct conn *c = conn_open(&u->s->clients.conns, UNIT_CONNS - 1, 0);
    char head[400];
    size_t n = (size_t)snprintf(head, sizeof(head),
                                "POST /%s HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n",
                                topic, data.n);
    char *all = malloc(n + data.n);
    MUST(all != NULL);
    memcpy(all, head, n);
    memcpy(all + n, data.p, data.n);
    c->flags |= CONN_LOCAL;
    ck_assert_uint_eq(serve_input(u->s, c, all, n + data.n, 0), n + data.n);
    free(all);
    ck_assert_msg(span_begins(text_span(&u->s->ex.out), SPAN("HTTP/1.1 201 ")), "%.*s",
                  (int)u->s->ex.out.n, u->s->ex.out.p);
    u->s->ex.out.n = 0;
    queue_doom(&u->s->clients.conns, c);
    conn_free(&u->s->clients.conns, queue_take_doomed(&u->s->clients.conns));
    /* the loop's fan-out, that nobody waits for here */
    for (uint32_t id; (id = topic_queue_first(&u->s->topics)) != 0;) {
        topic_queue_drop(&u->s->topics);
        serve_release(&u->s->broker, id);
    }
}

/* ---- servers and requests -------------------------------------------------------------------- */

/* What a server is like, and who asks. */
enum setup {
    PLAIN = 0,
    REMOTE = 1,  /* the client is not on this host */
    ANYONE = 2,  /* --anonymous publish */
    ONLY = 4,    /* --topic news, and orders/ with any segment */
    CORS = 8,    /* --cors https://a.example */
    FULL = 16,   /* there are as many topics as may be */
    POOR = 32,   /* no buffer is left */
    SHED = 64,   /* over --max-connections */
    CROWD = 128, /* and over --max-per-address */
};

static inline struct unit make(unsigned setup)
{
    struct opt o = unit_opt();
    o.anonymous = OPT_ANONYMOUS_SUBSCRIBE;
    if (setup & ANYONE)
        o.anonymous |= OPT_ANONYMOUS_PUBLISH;
    if (setup & ONLY) {
        unit_list(&o.topic, "news");
        unit_list(&o.topic, "orders/*");
    }
    if (setup & CORS)
        unit_list(&o.cors, "https://a.example");
    if (setup & FULL)
        o.max_topics = 1;
    struct unit u = unit_make(&o);
    if (setup & FULL)
        publish(&u, "full", SPAN("x"));
    while (setup & POOR && pool_alloc(&u.s->clients.conns.buffers, 1) != 0)
        continue;
    unit_log[0] = '\0';
    u.s->stat = (struct stat_counters){0};
    return u;
}

static inline struct conn *client(struct unit *u, unsigned setup)
{
    struct conn *c = unit_open(u, 3);
    if (setup & REMOTE)
        c->flags &= (uint16_t)~CONN_LOCAL;
    if (setup & SHED)
        c->flags |= CONN_SHED;
    if (setup & CROWD)
        c->flags |= CONN_CROWD;
    return c;
}

#define X10   "xxxxxxxxxx"
#define X100  X10 X10 X10 X10 X10 X10 X10 X10 X10 X10
#define X127  X100 X10 X10 "xxxxxxx"
#define X398  X100 X100 X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 "xxxxxxxx"
#define X1000 X100 X100 X100 X100 X100 X100 X100 X100 X100 X100
#define X400  X100 X100 X100 X100

#define H         " HTTP/1.1\r\nHost: h\r\n"
#define END       H "\r\n"
#define STREAM    H "Accept: text/event-stream\r\n\r\n"
#define SIZED(n)  H "Content-Length: " #n "\r\n\r\n"
#define CHUNKED   H "Transfer-Encoding: chunked\r\n"
#define NDJSON    "Content-Type: application/x-ndjson\r\n"
#define EVENTS    "Content-Type: text/event-stream\r\n"
#define ALLOWED   "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS\r\n"
#define NO_CHUNKS "the body's chunks are not well-formed (RFC 9112, section 7.1): "

/* ---- bytes that come in pieces --------------------------------------------------------------- */

/* All that comes of a request. */
struct outcome {
    char bytes[40 << 10];
    struct text text;
    struct stat_counters stat;
};

/* Runs a request, whose bytes come in `sizes`, on a server of its own. */
static inline void run_split(struct outcome *o, unsigned setup, struct span request,
                             const size_t *sizes, size_t count)
{
    struct unit u = make(setup);
    struct conn *c = client(&u, setup);
    for (size_t i = 0; request.n > 0; i++) {
        size_t n = i < count && sizes[i] < request.n ? sizes[i] : request.n;
        feed(&u, c, (struct span){request.p, n});
        request = span_from(request, n);
    }
    o->text = text_in(o->bytes, sizeof(o->bytes));
    text_add(&o->text, text_span(&u.got));
    text_str(&o->text, unit_log);
    ring_dump(u.s, &o->text);
    text_u64(&o->text, c->state);
    text_str(&o->text, "/");
    text_u64(&o->text, c->flags);
    text_str(&o->text, "/");
    text_u64(&o->text, c->in != 0);
    o->stat = u.s->stat;
    MUST(!o->text.full);
    unit_free(&u);
}

static inline void check_same(const struct outcome *want, const struct outcome *got, int line,
                              const char *how, uint64_t n)
{
    if (!span_eq(text_span(&want->text), text_span(&got->text)))
        ck_abort_msg("line %d, %s %" PRIu64 ":\n%.*s\nbut whole:\n%.*s", line, how, n,
                     (int)got->text.n, got->text.p, (int)want->text.n, want->text.p);
    if (memcmp(&want->stat, &got->stat, sizeof(want->stat)) != 0)
        ck_abort_msg("line %d, %s %" PRIu64 ": counters", line, how, n);
}

/* However its bytes come: the same answers, messages, log, counters and state. */
static inline void check_splits(int line, unsigned setup, struct span request)
{
    static struct outcome want, got;
    static size_t sizes[16 << 10];
    uint64_t start = seed(), state = start;
    size_t step = request.n / 300 + 1;
    run_split(&want, setup, request, &request.n, 1);
    for (size_t cut = 1; cut < request.n; cut += step) {
        run_split(&got, setup, request, &cut, 1);
        check_same(&want, &got, line, "cut at", cut);
    }
    ck_assert_uint_le(request.n, COUNT(sizes));
    for (size_t i = 0; i < COUNT(sizes); i++)
        sizes[i] = 1;
    run_split(&got, setup, request, sizes, request.n);
    check_same(&want, &got, line, "by bytes", 0);
    for (int k = 0; k < 30; k++) {
        for (size_t i = 0; i < request.n; i++)
            sizes[i] = 1 + random_next(&state) % (random_next(&state) % 2 == 0 ? 8 : 200);
        run_split(&got, setup, request, sizes, request.n);
        check_same(&want, &got, line, "SSE_SEED", start);
    }
}

#endif
