/*
 * serve_render.c - render.h: records in each form, in one piece and in many, against a rendering
 * made by hand; what HEAD renders; what is put off.
 */
#include "lib/serve/conn.h"
#include "lib/serve/queue.h"
#include "lib/serve/route.h"
#include "lib/serve/subscriber.h"
#include "test/kit/serve_unit.h"

#include "lib/hash.h"
#include "lib/json.h"
#include "lib/serve/submit.h"
#include "lib/ws.h"

enum { MESSAGE = 200 << 10, RING = 4 << 20, RECORDS = 64 };

static struct share own; /* as the loop has one */
static struct text want;

static void render_make(struct unit *u)
{
    struct opt o = unit_opt();
    size_t scratch = share_scratch(MESSAGE, SHARE_BYTES);
    o.ring = RING;
    o.max_message = MESSAGE;
    *u = unit_make(&o);
    share_init(&own, RECORDS, calloc(1, share_memory(RECORDS)), malloc(scratch), scratch);
    want = text_in(malloc(8u << 20), 8u << 20);
}

static void discard(struct unit *u)
{
    free(own.rec);
    free(own.scratch.p);
    free(want.p);
    unit_free(u);
}

/* ---- a rendering by hand --------------------------------------------------------------------- */

static void escape_by_hand(struct text *t, struct span s)
{
    char bytes[8];
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        const char *letter = c < 0x80 && c != 0 ? strchr("\"\"\\\\\bb\tt\nn\ff\rr", c) : NULL;
        if (c == '"' || c == '\\' || c < 0x20) {
            if (letter != NULL && c != 'b' && c != 't' && c != 'n' && c != 'f' && c != 'r')
                snprintf(bytes, sizeof bytes, "\\%c", letter[1]);
            else
                snprintf(bytes, sizeof bytes, "\\u%04x", c);
            text_str(t, bytes);
        } else if (c == 0xE2 && s.n - i > 2 && memcmp(s.p + i, "\xE2\x80", 2) == 0 &&
                   (s.p[i + 2] == '\xA8' || s.p[i + 2] == '\xA9')) {
            text_str(t, s.p[i + 2] == '\xA8' ? "\\u2028" : "\\u2029");
            i += 2;
        } else {
            text_add(t, (struct span){s.p + i, 1});
        }
    }
}

/* Appends what a subscriber gets of a record. */
static void by_hand(struct unit *u, const struct ring_record *rec, enum conn_transport transport)
{
    static char object_bytes[2 << 20];
    struct text t = text_in(object_bytes, sizeof object_bytes);
    struct span data = ring_data(rec);
    char head[WS_HEAD_MAX];
    if (transport == TRANSPORT_EVENTS) {
        text_add(&want, ring_sse(rec, false));
        return;
    }
    if (transport == TRANSPORT_FRAMES) {
        enum ws_opcode op = (rec->flags & RING_BINARY) != 0 ? WS_BINARY : WS_TEXT;
        text_add(&want, (struct span){head, ws_head(head, op, data.n)});
        text_add(&want, data);
        return;
    }
    text_str(&t, "{\"id\":\"");
    ring_id_write(&u->s->ring, &t, rec->n);
    text_str(&t, "\",\"time\":\"");
    text_rfc3339(&t, rec->time_ms);
    text_str(&t, "\",\"topic\":\"a\",\"event\":null,");
    if ((rec->flags & RING_BINARY) != 0) {
        text_str(&t, "\"base64\":\"");
        t.n += base64_write(t.p + t.n, data);
    } else {
        text_str(&t, "\"data\":\"");
        escape_by_hand(&t, data);
    }
    text_str(&t, "\"}");
    if (transport == TRANSPORT_OBJECTS)
        text_add(&want, (struct span){head, ws_head(head, WS_TEXT, t.n)});
    text_add(&want, text_span(&t));
    if (transport == TRANSPORT_LINES)
        text_str(&want, "\n");
    MUST(!t.full && !want.full);
}

/* ---- messages -------------------------------------------------------------------------------- */

/* Data of `n` bytes or a little less. `kind` says what of it has to be escaped. */
static size_t data_make(char *p, size_t n, unsigned kind, uint64_t *random)
{
    static const char *const some[] = {"\"",   "\\",           "\n",           "\x01",
                                       "\x1f", "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x82\xAC",
                                       "x",    "\xC3\xA9",     "\x7f"};
    size_t at = 0;
    while (at + 5000 < n) {
        const char *s = some[random_next(random) % COUNT(some)];
        size_t run = random_next(random) % (kind == 2 ? 20 : 5000);
        if (kind == 0 || kind == 3) { /* nothing, or nothing else */
            memset(p + at, kind == 0 ? 'a' : '\x02', 100);
            at += 100;
            continue;
        }
        memset(p + at, 'y', run);
        at += run;
        memcpy(p + at, s, strlen(s));
        at += strlen(s);
    }
    return at;
}

static void put_message(struct unit *u, struct span data, bool binary)
{
    struct conn *c = conn_open(&u->s->clients.conns, UNIT_CONNS - 1, 0);
    struct submission p;
    (void)c;
    struct batch_message m = {.data = data, .binary = binary};
    MUST(submit_message(u->s, SPAN("a"), &m, &p));
    queue_doom(&u->s->clients.conns, c);
    conn_free(&u->s->clients.conns, queue_take_doomed(&u->s->clients.conns));
}

static struct conn *subscriber(struct unit *u, enum conn_transport transport)
{
    static const char *const requests[] = {
        [TRANSPORT_EVENTS] = "GET /a HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n",
        [TRANSPORT_LINES] =
            "GET /a?wait=9 HTTP/1.1\r\nHost: h\r\nAccept: application/x-ndjson\r\n\r\n",
        [TRANSPORT_FRAMES] =
            "GET /a HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        [TRANSPORT_OBJECTS] =
            "GET /a HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: json\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"};
    struct conn *c = unit_open(u, 3);
    feed_str(u, c, requests[transport]);
    unit_clear(u);
    MUST(conn_streams(c) && c->transport == transport);
    return c;
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* A socket takes bytes in pieces of any size: what comes of it is the same, byte for byte. What is
 * rendered for a piece is bounded, however long the message is. */
START_TEST(in_pieces)
{
    static char data[MESSAGE];
    static const size_t sizes[] = {6000, 40 << 10, MESSAGE};
    struct unit u;
    uint64_t start = seed(), random = start;
    enum conn_transport transport = (enum conn_transport)(_i % 4);
    unsigned kind = (unsigned)_i / 4 % 4, by = (unsigned)_i / 16;
    render_make(&u);
    struct conn *c = subscriber(&u, transport);
    uint64_t at = ring_head(&u.s->ring);
    for (size_t i = 0; i < 2 * COUNT(sizes); i++) {
        size_t n = data_make(data, sizes[i % COUNT(sizes)], kind, &random);
        put_message(&u, (struct span){data, n}, i >= COUNT(sizes));
        put_message(&u, SPAN("small"), false);
    }
    for (; at < ring_head(&u.s->ring); at = ring_behind(ring_at(&u.s->ring, at), at))
        by_hand(&u, ring_at(&u.s->ring, at), transport);
    size_t got = 0;
    while (c->place.at < ring_head(&u.s->ring)) {
        MUST(subscriber_next(&u.s->broker, &u.s->stat, c, &own));
        size_t most = by == 0   ? own.size
                      : by == 1 ? 1 + random_next(&random) % own.size
                      : by == 2 ? 1 + random_next(&random) % 2000
                                : 1 + random_next(&random) % 30;
        size_t left = most = most < own.size ? most : own.size;
        if (by == 3 && own.size - most > 5000) /* so that it ends soon */
            left = most = own.size - 5000;
        for (unsigned i = 0; i < own.pieces && left > 0; i++) {
            size_t n = own.iov[i].iov_len < left ? own.iov[i].iov_len : left;
            MUST(got + n <= want.n && memcmp(own.iov[i].iov_base, want.p + got, n) == 0);
            got += n;
            left -= n;
        }
        MUST(own.scratch.n < 6 * (32u << 10) + (300u << 10));
        subscriber_sent(&u.s->broker, &u.s->stat, c, &own, most);
    }
    ck_assert_msg(got == want.n && c->stream.sent == 0, SEED_FMT, start);
    ck_assert_uint_eq(u.s->stat.delivered, 4 * COUNT(sizes));
    discard(&u);
}
END_TEST

/* The rest of a long message goes into the buffers whole. */
START_TEST(settled)
{
    static char data[MESSAGE];
    struct unit u;
    uint64_t start = seed(), random = start;
    render_make(&u);
    struct conn *c = subscriber(&u, TRANSPORT_OBJECTS);
    uint64_t at = ring_head(&u.s->ring);
    put_message(&u,
                (struct span){data, data_make(data, MESSAGE / 2, 1 + (unsigned)_i % 3, &random)},
                false);
    by_hand(&u, ring_at(&u.s->ring, at), TRANSPORT_OBJECTS);
    MUST(subscriber_next(&u.s->broker, &u.s->stat, c, &own));
    size_t out = 1 + random_next(&random) % own.size;
    out = out < own.size ? out : own.size - 1;
    subscriber_sent(&u.s->broker, &u.s->stat, c, &own, out);
    ck_assert(conn_out_keep(&u.s->clients.conns, c, SPAN("kept")));
    ck_assert(subscriber_finish_record(&u.s->broker, &u.s->clients, &u.s->stat, &u.s->ex, c));
    ck_assert(c->stream.sent == 0 && c->place.at == ring_head(&u.s->ring));
    struct span rest = conn_out(&u.s->clients.conns, c);
    ck_assert_msg(rest.n == want.n - out + 4 && memcmp(rest.p, want.p + out, want.n - out) == 0,
                  SEED_FMT, start);
    discard(&u);
}
END_TEST

/* HEAD renders nothing, and its cursor is not ahead of where GET's answer ends. */
START_TEST(head)
{
    static const char *const asks[] = {"/a", "/a?conflate", "/*", "/a,b"};
    struct unit u;
    render_make(&u);
    for (unsigned i = 0; i < 30; i++)
        put_message(&u, SPAN("\"\"\"\"\"\"\"\"\"\""), false);
    struct conn *c = unit_open(&u, 3);
    char request[100];
    u.s->ex.poll.scratch.n = 0;
    snprintf(request, sizeof request, "HEAD %s HTTP/1.1\r\nHost: h\r\n\r\n", asks[_i]);
    feed_str(&u, c, request);
    ck_assert_uint_eq(u.s->ex.poll.scratch.n, 0);
    ck_assert_uint_eq(u.s->ex.poll.pieces, 0);
    struct answer a = answer_only(&u, true);
    ck_assert_int_eq(a.status, 200);
    struct cursor of_head, of_get;
    ck_assert(cursor_read(field(a.head, "Last-Event-ID"), &of_head));
    unit_clear(&u);
    memcpy(request, "GET ", 4);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", asks[_i]);
    feed_str(&u, c, request);
    ck_assert(cursor_read(field(answer_only(&u, false).head, "Last-Event-ID"), &of_get));
    ck_assert(of_head.n <= of_get.n && of_head.n > 0);
    discard(&u);
}
END_TEST

/* What may take long is put off while others wait, and nothing of it is done. */
START_TEST(postponed)
{
    static const struct {
        const char *path;
        bool off;
    } rows[] = {{"/a", false},       {"/b", false},         {"/-/healthy", false},
                {"/large", true},    {"/*", true},          {"/a,b", true},
                {"/a%2Cb", true},    {"/a?since=-3", true}, {"/**", true},
                {"/-/topics", true}, {"/?a=since", true},   {"/-/metrics", false},
                {"/a?wait=1", false}};
    static char data[MESSAGE];
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct unit u;
        char request[100];
        render_make(&u);
        put_message(&u, SPAN("one"), false);
        struct batch_message m = {.data = {data, data_make(data, MESSAGE, 2, &(uint64_t){7})}};
        struct submission p;
        MUST(submit_message(u.s, SPAN("large"), &m, &p));
        struct conn *c = unit_open(&u, 3);
        c->flags |= CONN_LOCAL;
        size_t n = (size_t)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n",
                                    rows[i].path);
        uint32_t topics = topic_count(&u.s->topics);
        u.s->ex.brief = true;
        size_t took = serve_input(u.s, c, request, n, 0);
        ck_assert_msg(took == (rows[i].off ? 0 : n), "%s", rows[i].path);
        ck_assert_msg(u.s->ex.postponed == rows[i].off, "%s", rows[i].path);
        if (rows[i].off) {
            ck_assert_uint_eq(u.s->ex.out.n, 0);
            ck_assert_uint_eq(u.s->stat.requests, 0);
            ck_assert_uint_eq(topic_count(&u.s->topics), topics);
            ck_assert_uint_eq(topic_set_count(&u.s->topics), 0);
            u.s->ex.brief = u.s->ex.postponed = false;
            ck_assert_uint_eq(serve_input(u.s, c, request, n, 0), n);
        }
        ck_assert(u.s->ex.out.n > 0 || c->state == CONN_WAIT);
        ck_assert_uint_eq(u.s->stat.requests, 1);
        discard(&u);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("render");
    TCase *pieces = tcase_create("pieces"), *heads = tcase_create("requests");
    tcase_set_timeout(pieces, 120);
    tcase_add_loop_test(pieces, in_pieces, 0, 64);
    tcase_add_loop_test(pieces, settled, 0, 6);
    suite_add_tcase(suite, pieces);
    tcase_add_loop_test(heads, head, 0, 4);
    tcase_add_test(heads, postponed);
    suite_add_tcase(suite, heads);
    return run(suite);
}
