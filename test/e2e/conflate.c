/*
 * conflate.c - ?conflate: one who lags gets of each topic only the newest message. First without
 * sockets, by example and against a reckoning by hand; then end to end, in each way.
 */
#include "lib/serve/conn.h"
#include "lib/serve/queue.h"
#include "lib/serve/subscriber.h"
#include "test/kit/answers.h"
#include "test/kit/life.h"
#include "test/kit/serve_unit.h"
#include "test/kit/socket.h"

#define ASK " HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n"
#define LEI "Last-Event-ID: "

/* ---- a subscriber without a socket ----------------------------------------------------------- */

static struct share own; /* as the loop has one */

static void own_make(unsigned records)
{
    size_t scratch = share_scratch(400, SHARE_BYTES);
    share_init(&own, records, calloc(1, share_memory(records)), malloc(scratch), scratch);
}

static void own_free(void)
{
    free(own.rec);
    free(own.scratch.p);
}

/* The first n bytes of what is left of the share, `skip` pieces of it being out. */
static struct span share_bytes(size_t n)
{
    static char bytes[1 << 20];
    struct text t = text_in(bytes, sizeof(bytes));
    for (unsigned i = 0; i < own.pieces && t.n < n; i++) {
        struct span piece = {own.iov[i].iov_base, own.iov[i].iov_len};
        piece.n = piece.n < n - t.n ? piece.n : n - t.n;
        text_add(&t, piece);
    }
    MUST(!t.full);
    return text_span(&t);
}

/* Writes to it as the loop does, until it is up to date. */
static void follow(struct unit *u, struct conn *c)
{
    while (c->place.at < ring_head(&u->s->ring)) {
        ck_assert(subscriber_check(u->s, c));
        unit_take_out(u);
        if (!subscriber_next(&u->s->broker, &u->s->stat, c, &own))
            continue;
        struct span bytes = share_bytes(SIZE_MAX);
        text_add(&u->got, bytes);
        subscriber_sent(&u->s->broker, &u->s->stat, c, &own, bytes.n);
    }
    MUST(!u->got.full);
}

static struct conn *ask(struct unit *u, const char *path, const char *fields)
{
    char request[600];
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n", path, fields);
    struct conn *c = unit_open(u, 3);
    unit_clear(u);
    feed_str(u, c, request);
    return c;
}

/* ---- by example ------------------------------------------------------------------------------ */

static const char *const messages[][2] = {
    {"a", "one"}, {"b", "two"}, {"a", "three"}, {"c/d", "four"}, {"b", "five"}};

static struct unit news(void)
{
    struct opt o = unit_opt();
    struct unit u = unit_make(&o);
    own_make(3);
    for (size_t i = 0; i < COUNT(messages); i++)
        publish(&u, messages[i][0], span_of(messages[i][1]));
    u.s->stat = (struct stat_counters){0};
    return u;
}

static void news_free(struct unit *u)
{
    own_free();
    unit_free(u);
}

static const struct {
    int line;
    const char *path, *fields;
    unsigned id;          /* n of the opening block */
    const char *messages; /* those it gets, by n; behind a "*" they are named by topic */
    unsigned conflated;
} examples[] = {
    {__LINE__, "/a?conflate", "", 5, "", 0},
    {__LINE__, "/a?since=earliest", "", 0, "13", 0},
    {__LINE__, "/a?since=earliest&conflate", "", 0, "3", 1},
    {__LINE__, "/a?since=earliest&conflate=", "", 0, "3", 1},
    {__LINE__, "/a?conflate=1&since=earliest", "", 0, "3", 1},
    {__LINE__, "/a?conflate=TRUE&since=earliest", "", 0, "3", 1},
    {__LINE__, "/a?conflate=0&since=earliest", "", 0, "13", 0},
    {__LINE__, "/a?conflate=false&since=earliest", "", 0, "13", 0},
    {__LINE__, "/nothing?conflate&since=earliest", "", 0, "", 0},
    {__LINE__, "/a,b?conflate&since=earliest", "", 0, "*35", 2},
    {__LINE__, "/**?conflate&since=earliest", "", 0, "*345", 2},
    {__LINE__, "/c/*?conflate&since=earliest", "", 0, "*4", 0},
    {__LINE__, "/**?conflate&since=-4", "", 1, "*345", 1},
    {__LINE__, "/b?conflate", LEI "1000-1\r\n", 1, "5", 1},
    {__LINE__, "/b?conflate", LEI "1000-2\r\n", 2, "5", 0},
    {__LINE__, "/b?conflate", LEI "1000-5\r\n", 5, "", 0},
    /* what would be a gap is none, and the id leads to what is there */
    {__LINE__, "/b?conflate", LEI "999-5\r\n", 0, "5", 1},
    {__LINE__, "/**?conflate", LEI "1000-6\r\n", 0, "*345", 2},
    {__LINE__, "/b?conflate", LEI "nonsense\r\n", 0, "5", 1},
    {__LINE__, "/b?conflate&since=7-7", "", 0, "5", 1},
};

START_TEST(by_example)
{
    struct unit u = news();
    char fields[200], want_bytes[2000];
    struct text want = text_in(want_bytes, sizeof(want_bytes));
    snprintf(fields, sizeof(fields), "Accept: text/event-stream\r\n%s", examples[_i].fields);
    struct conn *c = ask(&u, examples[_i].path, fields);
    follow(&u, c);
    struct answer a = answer_only(&u, false);
    ck_assert_int_eq(a.status, 200);
    text_str(&want, "retry: 0\nid: 1000-");
    text_u64(&want, examples[_i].id);
    text_str(&want, "\n\n");
    const char *n = examples[_i].messages;
    bool several = *n == '*';
    for (n += several; *n != '\0'; n++) {
        uint64_t at = ring_find(&u.s->ring, (uint64_t)(*n - '1'));
        text_add(&want, ring_sse(ring_at(&u.s->ring, at), several));
    }
    ck_assert_msg(span_eq(a.body, text_span(&want)), "line %d: %.*s", examples[_i].line,
                  (int)a.body.n, a.body.p);
    ck_assert_uint_eq(u.s->stat.conflated, examples[_i].conflated);
    ck_assert_uint_eq(u.s->stat.delivered, strlen(examples[_i].messages) - several);
    ck_assert_uint_eq(u.s->stat.gaps_unknown, 0);
    news_free(&u);
}
END_TEST

/* A cursor whose next message was evicted, and one that the ring overtakes. */
START_TEST(evicted)
{
    struct unit u = news();
    struct conn *c = ask(&u, "/a,b?conflate", "Accept: text/event-stream\r\n" LEI "1000-1\r\n");
    char want[100];
    unit_clear(&u);
    for (int i = 0; i < 300; i++)
        publish(&u, i % 2 == 0 ? "a" : "filler", SPAN(X398));
    follow(&u, c);
    snprintf(want, sizeof(want), "\nid: 1000-%u\n\n", 5 + 299);
    ck_assert_uint_eq(times(text_span(&u.got), "id: "), 1); /* that of b is gone */
    ck_assert(holds(text_span(&u.got), want) && !holds(text_span(&u.got), "gap"));
    uint64_t last = c->place.n;
    topic_unsubscribe(&u.s->topics, 3);
    queue_doom(&u.s->clients.conns, c);
    conn_free(&u.s->clients.conns, queue_take_doomed(&u.s->clients.conns));
    c = ask(&u, "/b,a?conflate", "Accept: text/event-stream\r\n" LEI "1000-3\r\n");
    snprintf(want, sizeof(want), "retry: 0\nid: 1000-%u\n\n",
             (unsigned)ring_before(&u.s->ring, ring_tail(&u.s->ring)).n);
    ck_assert_uint_gt(ring_before(&u.s->ring, ring_tail(&u.s->ring)).n, 3);
    struct answer a = answer_only(&u, false);
    ck_assert(span_eq(a.body, span_of(want)));
    follow(&u, c);
    ck_assert_uint_eq(c->place.n, last);
    ck_assert_uint_eq(u.s->stat.gaps_lagged + u.s->stat.gaps_expired, 0);
    news_free(&u);
}
END_TEST

/* A record that is partly out is finished, though a newer one has come, unless the ring has gone
 * over it. */
START_TEST(inside_a_record)
{
    for (unsigned fill = 0; fill < 400; fill += 200) {
        struct unit u = news();
        struct conn *c = ask(&u, "/a?conflate&since=earliest", "Accept: text/event-stream\r\n");
        unit_clear(&u);
        ck_assert(subscriber_next(&u.s->broker, &u.s->stat, c, &own));
        text_add(&u.got, share_bytes(5));
        subscriber_sent(&u.s->broker, &u.s->stat, c, &own, 5);
        ck_assert_uint_eq(c->stream.sent, 5);
        ck_assert_uint_eq(u.s->stat.conflated, 1);
        publish(&u, "a", SPAN("six"));
        publish(&u, "a", SPAN("seven"));
        for (unsigned i = 0; i < fill; i++)
            publish(&u, "filler", SPAN(X398));
        ck_assert(subscriber_check(u.s, c) == (fill == 0));
        if (fill == 0) {
            ck_assert(subscriber_next(&u.s->broker, &u.s->stat, c, &own));
            struct span rest = share_bytes(SIZE_MAX);
            text_add(&u.got, rest);
            subscriber_sent(&u.s->broker, &u.s->stat, c, &own, rest.n);
            follow(&u, c);
            ck_assert(span_eq(text_span(&u.got), SPAN("data: three\nid: 1000-3\n\n"
                                                      "data: seven\nid: 1000-7\n\n")));
            ck_assert_uint_eq(u.s->stat.conflated, 2);
        }
        news_free(&u);
    }
}
END_TEST

START_TEST(polls)
{
    struct unit u = news();
    ask(&u, "/a,b?conflate", "");
    struct answer a = answer_only(&u, false);
    ck_assert_int_eq(a.status, 200);
    ck_assert(span_begins(a.body, SPAN("{\"id\":\"1000-5\",\"gap\":null,\"messages\":[")));
    ck_assert_uint_eq(times(a.body, "\"id\":\"1000-"), 3);
    ck_assert(holds(a.body, "\"data\":\"three\"}") && holds(a.body, "\"data\":\"five\"}"));
    ck_assert_uint_eq(u.s->stat.conflated, 2);
    struct conn *c = &u.s->clients.conns.conn[3];
    unit_clear(&u);
    feed_str(&u, c, "GET /a?conflate&last-event-id=7-7" H "Accept: text/plain\r\n\r\n");
    a = answer_only(&u, false);
    ck_assert(span_eq(a.body, SPAN("three\n")) && field(a.head, "Gap").n == 0);
    unit_clear(&u);
    feed_str(&u, c, "GET /a?last-event-id=7-7" H "Accept: text/plain\r\n\r\n");
    a = answer_only(&u, false);
    ck_assert(span_eq(a.body, SPAN("one\nthree\n")) && field(a.head, "Gap").n > 0);
    unit_clear(&u);
    feed_str(&u, c, "GET /a?conflate&last-event-id=nonsense" END);
    ck_assert_int_eq(answer_only(&u, false).status, 400);
    /* one that waits: what came while nobody looked is one message */
    for (int conflate = 0; conflate < 2; conflate++) {
        unit_clear(&u);
        feed_str(&u, c,
                 conflate ? "GET /a?wait=5&conflate" H "Accept: text/plain\r\n\r\n"
                          : "GET /a?wait=5" H "Accept: text/plain\r\n\r\n");
        ck_assert_uint_eq(c->state, CONN_WAIT);
        publish(&u, "a", SPAN("six"));
        publish(&u, "a", SPAN("seven"));
        subscriber_wake(u.s, c, false);
        unit_take_out(&u);
        a = answer_only(&u, false);
        ck_assert(span_eq(a.body, conflate ? SPAN("seven\n") : SPAN("six\nseven\n")));
    }
    news_free(&u);
}
END_TEST

START_TEST(lines_and_frames)
{
    static const struct {
        const char *path, *fields, *want[4];
    } rows[] = {
        {"/a,b?conflate&since=earliest&wait=5",
         "Accept: application/x-ndjson\r\n",
         {"Last-Event-ID: 1000-0\r\n", "\"data\":\"three\"}\n{", "\"data\":\"five\"}\n"}},
        {"/a,b?conflate",
         SOCKET_KEY LEI "999-1\r\n",
         {"\x81\x05three\x81\x04"
          "five"}},
        {"/a,b?conflate",
         SOCKET_KEY SOCKET_JSON LEI "999-1\r\n",
         {"{\"id\":\"1000-0\"}\x81", "\"data\":\"three\"}\x81", "\"data\":\"five\"}"}},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct unit u = news();
        char fields[400];
        snprintf(fields, sizeof(fields), "%s%s",
                 i > 0 ? "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Version: 13\r\n"
                       : "",
                 rows[i].fields);
        struct conn *c = ask(&u, rows[i].path, fields);
        follow(&u, c);
        for (size_t k = 0; k < COUNT(rows[i].want) && rows[i].want[k] != NULL; k++)
            ck_assert_msg(holds(text_span(&u.got), rows[i].want[k]), "row %zu: %.*s", i,
                          (int)u.got.n, u.got.p);
        ck_assert(!holds(text_span(&u.got), "one") && !holds(text_span(&u.got), "gap"));
        ck_assert_uint_eq(u.s->stat.delivered, 2);
        ck_assert_uint_eq(u.s->stat.conflated, 2);
        news_free(&u);
    }
}
END_TEST

/* ---- against a reckoning by hand ------------------------------------------------------------- */

enum { PUTS = 1500, SUBSCRIBERS = 5 };

static const char *const names[] = {"a", "b", "c/d", "c/e", "f"};
static const char *const paths[SUBSCRIBERS] = {"/a", "/a,b", "/**", "/c/*,f", "/c/d"};
static const bool selects[SUBSCRIBERS][COUNT(names)] = {{true, false, false, false, false},
                                                        {true, true, false, false, false},
                                                        {true, true, true, true, true},
                                                        {false, false, true, true, true},
                                                        {false, false, true, false, false}};

static struct {
    uint64_t at;
    unsigned topic;
    char *sse;
    struct span text[2]; /* for one topic, and for several */
} put[PUTS];
static size_t puts_done;

static void put_one(struct unit *u, uint64_t *random)
{
    char data[400];
    unsigned topic = (unsigned)(random_next(random) % COUNT(names));
    topic = random_next(random) % 2 == 0 ? 0 : topic;
    memset(data, 'x', sizeof(data));
    publish(u, names[topic], (struct span){data, random_next(random) % sizeof(data)});
    put[puts_done].at = ring_find(&u->s->ring, ring_newest(&u->s->ring).n - 1);
    put[puts_done].topic = topic;
    const struct ring_record *r = ring_at(&u->s->ring, put[puts_done].at);
    struct span all = ring_sse(r, true);
    char *copy = put[puts_done].sse = on_heap(all);
    put[puts_done].text[0] = (struct span){copy + r->skip, all.n - r->skip};
    put[puts_done++].text[1] = (struct span){copy, all.n};
}

/* Returns true if message i is the newest of its topic. */
static bool is_newest(size_t i)
{
    for (size_t k = i + 1; k < puts_done; k++)
        if (put[k].topic == put[i].topic)
            return false;
    return true;
}

/* Fails unless the share holds what it should for subscriber k at `at`, which is not inside a
 * record: every message that the share leaves out before its end has a newer one. */
static void check_share(unsigned k, uint64_t at, uint64_t tail)
{
    struct span bytes = share_bytes(SIZE_MAX);
    unsigned found = 0;
    for (size_t i = 0; i < puts_done; i++) {
        struct span text = put[i].text[strpbrk(paths[k], ",*") != NULL];
        if (put[i].at < at || put[i].at < tail || put[i].at >= own.end ||
            !selects[k][put[i].topic] || !is_newest(i))
            continue;
        MUST(found < own.records && own.rec[found] == put[i].at);
        MUST(span_begins(bytes, text));
        bytes = span_from(bytes, text.n);
        found++;
    }
    MUST(found == own.records && bytes.n == 0);
}

/* Of odd ones some are overtaken. A share has room for fewer records than there are topics, or for
 * more: then all that is left out is counted. */
START_TEST(as_by_hand)
{
    uint64_t start = seed(), random = start + (uint64_t)_i;
    struct opt o = unit_opt();
    struct unit u = unit_make(&o);
    uint64_t got[SUBSCRIBERS] = {0}, wanted = 0, overtaken = 0;
    own_make(_i % 4 < 2 ? 2 : 8);
    puts_done = 0;
    for (unsigned k = 0; k < SUBSCRIBERS; k++) {
        char request[200];
        struct conn *c = unit_open(&u, 1 + (int)k);
        snprintf(request, sizeof(request), "GET %s?conflate" ASK "\r\n", paths[k]);
        feed_str(&u, c, request);
        ck_assert_uint_eq(c->state, CONN_STREAM);
    }
    u.s->stat = (struct stat_counters){0};
    while (puts_done < PUTS) {
        unsigned lazy = _i % 2 == 0 ? 60 : 500;
        for (uint64_t n = random_next(&random) % lazy; n > 0 && puts_done < PUTS; n--)
            put_one(&u, &random);
        for (unsigned k = 0; k < SUBSCRIBERS; k++) {
            struct conn *c = &u.s->clients.conns.conn[1 + k];
            bool all = _i % 2 == 0 || puts_done == PUTS || random_next(&random) % 2 == 0;
            for (unsigned i = 0; c->place.at < ring_head(&u.s->ring) && (all || i < 3); i++) {
                unit_clear(&u);
                if (!subscriber_check(u.s, c)) {
                    overtaken++;
                    c->stream.sent = 0; /* the loop would close it */
                }
                MUST(u.s->ex.out.n == 0);
                uint64_t at = c->place.at;
                uint32_t sent = c->stream.sent;
                bool any = subscriber_next(&u.s->broker, &u.s->stat, c, &own);
                if (sent == 0)
                    check_share(k, at, ring_tail(&u.s->ring));
                if (!any)
                    continue;
                size_t most =
                    random_next(&random) % 3 == 0 ? 1 + random_next(&random) % own.size : SIZE_MAX;
                subscriber_sent(&u.s->broker, &u.s->stat, c, &own, share_bytes(most).n);
                got[k] = c->place.n > got[k] ? c->place.n : got[k];
            }
        }
    }
    for (unsigned k = 0; k < SUBSCRIBERS; k++) {
        struct conn *c = &u.s->clients.conns.conn[1 + k];
        ck_assert_msg(c->place.at == ring_head(&u.s->ring) && c->stream.sent == 0, SEED_FMT, start);
        for (size_t i = 0; i < puts_done; i++)
            wanted += selects[k][put[i].topic];
    }
    uint64_t counted = u.s->stat.delivered + u.s->stat.conflated;
    ck_assert_msg(_i == 2 ? counted == wanted : counted <= wanted,
                  SEED_FMT ": %" PRIu64 " + %" PRIu64 ", not %" PRIu64, start, u.s->stat.delivered,
                  u.s->stat.conflated, wanted);
    ck_assert_uint_gt(u.s->stat.conflated, 100);
    ck_assert_uint_gt(u.s->stat.delivered, 30);
    ck_assert_msg((overtaken > 0) <= (_i % 2 != 0), SEED_FMT, start);
    while (puts_done > 0)
        free(put[--puts_done].sse);
    own_free();
    unit_free(&u);
}
END_TEST

/* ---- end to end ------------------------------------------------------------------------------ */

static struct e2e_server s;
static struct e2e_response r;
static struct poll_answer a;

START_TEST(test_snapshot)
{
    char id[4][64];
    e2e_start(&s, NULL);
    e2e_publish(&s, "/a", "1");
    e2e_publish(&s, "/b", "2");
    snprintf(id[0], sizeof(id[0]), "%s", e2e_publish(&s, "/a", "3"));
    snprintf(id[1], sizeof(id[1]), "%s", e2e_publish(&s, "/b", "4"));
    struct e2e_conn *c = e2e_subscribe(&s, "/*?since=earliest&conflate", NULL);
    e2e_expect_message(c, "a", "3", id[0]);
    e2e_expect_message(c, "b", "4", id[1]);
    struct e2e_conn *all = e2e_subscribe(&s, "/a?since=earliest", NULL);
    e2e_expect_message(all, NULL, "1", NULL);
    e2e_expect_message(all, NULL, "3", id[0]);
    struct e2e_conn *raw = socket_open(&s, "/a,b?since=earliest&conflate=1", NULL);
    socket_expect_text(raw, "3");
    socket_expect_text(raw, "4");
    struct e2e_conn *json = socket_open_json(&s, "/a?since=earliest&conflate", NULL);
    socket_expect_in(json, "\"data\":\"3\"");
    struct e2e_conn *lines = e2e_open(&s);
    e2e_send(lines, "GET /b?since=earliest&conflate&wait=9 HTTP/1.1\r\nHost: t\r\n"
                    "Accept: application/x-ndjson\r\n\r\n");
    e2e_until(lines, "\"data\":\"4\"}\n");
    ck_assert_ptr_null(strstr(lines->buf, "\"data\":\"2\""));
    poll_get(&s, &a, "/a,b?conflate", NULL);
    poll_expect(&a, 200, "3", "4", NULL);
    /* then all that is published */
    for (int i = 5; i < 15; i++) {
        char data[16];
        snprintf(data, sizeof(data), "%d", i);
        e2e_publish(&s, "/a", data);
        e2e_expect_message(c, "a", data, NULL);
        socket_expect_text(raw, "%s", data);
        socket_expect_in(json, data);
    }
    metric_becomes(&s, "messages_conflated_total", 2 + 2 + 1 + 1 + 2);
    e2e_ask(&s, &r, "GET /a?conflate=x HTTP/1.1\r\nHost: t\r\nAccept: text/event-stream\r\n\r\n");
    e2e_expect_status(&r, 400, "conflate=x");
    e2e_stop(&s);
}
END_TEST

/* One that reads slowly, or not at all while the ring turns over, and goes on with the newest. */
START_TEST(test_slow)
{
    static char data[60 * 1024];
    e2e_start(&s, "--ring", "1M", "--max-message", "64K", NULL);
    struct e2e_conn *c = e2e_open_narrow(&s, 4096), *p = e2e_open(&s);
    e2e_subscribe_on(c, "/a,b?conflate", NULL);
    memset(data, 'x', sizeof(data));
    e2e_publish(&s, "/b", "once");
    for (int i = 0; i < 300; i++) {
        e2e_send_publish(p, "/a", data, sizeof(data));
        e2e_response(p, &r);
        e2e_expect_status(&r, 201, NULL);
    }
    char last[64];
    snprintf(last, sizeof(last), "%s", e2e_publish(&s, "/a", "last"));
    ck_assert_ptr_nonnull(e2e_until_or_end(c, "id: "));
    unsigned got = 0;
    char *at = e2e_until_or_end(c, last);
    if (at != NULL) { /* else it was inside a message that is gone */
        for (const char *id = c->buf; (id = strstr(id, "\nid: ")) != NULL; id++)
            got++;
        ck_assert_uint_lt(got, 200);
        ck_assert_int_gt(metric(&s, "messages_conflated_total"), 50);
    }
    ck_assert_ptr_null(strstr(c->buf, "event: gap"));
    ck_assert_int_eq(metric(&s, "gaps_lagged_total"), 0);
    e2e_stop(&s);
}
END_TEST

/* ---- main ---- */

int main(void)
{
    Suite *suite = suite_create("conflate");
    TCase *unit = tcase_create("unit"), *random = tcase_create("random");
    TCase *loop = tcase_create("end to end");
    tcase_add_loop_test(unit, by_example, 0, COUNT(examples));
    tcase_add_test(unit, evicted);
    tcase_add_test(unit, inside_a_record);
    tcase_add_test(unit, polls);
    tcase_add_test(unit, lines_and_frames);
    suite_add_tcase(suite, unit);
    tcase_set_timeout(random, 60);
    tcase_add_loop_test(random, as_by_hand, 0, 4);
    suite_add_tcase(suite, random);
    tcase_set_timeout(loop, 60);
    tcase_add_test(loop, test_snapshot);
    tcase_add_test(loop, test_slow);
    suite_add_tcase(suite, loop);
    return run(suite);
}
