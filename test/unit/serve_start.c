/*
 * serve_start.c - lib/serve without sockets: where a subscriber begins, what it is told of
 * gaps, what it then gets. Answers and refusals: test/unit/serve.c.
 */
#include "lib/serve/answer.h"
#include "lib/serve/conn.h"
#include "lib/serve/queue.h"
#include "lib/serve/subscriber.h"
#include "test/kit/serve_unit.h"

#define ASK " HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n"

/* ---- subscribers ----------------------------------------------------------------------------- */

/* Subscribes with a connection of its own; `fields` as lines. Returns it, with its answer in
 * u->got. */
static struct conn *subscribe(struct unit *u, int fd, const char *path, const char *fields)
{
    struct conn *c = unit_open(u, fd);
    unit_clear(u);
    feed_str(u, c, "GET ");
    feed_str(u, c, path);
    feed_str(u, c, ASK);
    feed_str(u, c, fields);
    feed_str(u, c, "\r\n");
    return c;
}

/* Closes it as the loop does. */
static void leave(struct unit *u, struct conn *c)
{
    uint32_t topic = c->link.topic;
    if (topic != 0)
        topic_unsubscribe(&u->s->topics, (uint32_t)conn_fd(&u->s->clients.conns, c));
    queue_doom(&u->s->clients.conns, c);
    conn_free(&u->s->clients.conns, queue_take_doomed(&u->s->clients.conns));
    if (topic != 0)
        serve_release(&u->s->broker, topic);
}

/* Appends what a subscriber gets from the ring, and moves it there. */
static void follow(struct unit *u, struct conn *c, struct text *t)
{
    bool several = topic_is_set(c->link.topic);
    while (c->place.at < ring_head(&u->s->ring)) {
        uint64_t rec[4];
        unsigned n = broker_collect(&u->s->broker, c->link.topic, &c->place.at, rec, COUNT(rec));
        for (unsigned i = 0; i < n; i++) {
            text_add(t, ring_sse(ring_at(&u->s->ring, rec[i]), several));
            c->place.n = ring_at(&u->s->ring, rec[i])->n;
        }
    }
    MUST(!t->full);
}

/* ---- by example ------------------------------------------------------------------------------ */

static const struct {
    const char *topic, *data;
    uint64_t ago; /* ms */
} messages[] = {
    {"a", "one", 3600000},  {"b", "two", 1800000}, {"a", "three", 600000},
    {"c/d", "four", 60000}, {"b", "five", 1000},
};

static struct unit news(void)
{
    struct opt o = unit_opt();
    struct unit u = unit_make(&o);
    for (size_t i = 0; i < COUNT(messages); i++) {
        u.s->clock.wall = UNIT_WALL - messages[i].ago;
        publish(&u, messages[i].topic, span_of(messages[i].data));
    }
    u.s->clock.wall = UNIT_WALL;
    return u;
}

#define A8   "aaaaaaaa"
#define A128 A8 A8 A8 A8 A8 A8 A8 A8 A8 A8 A8 A8 A8 A8 A8 A8
#define LEI  "Last-Event-ID: "
#define INM  "If-None-Match: "

static const struct {
    int line;
    const char *path, *fields;
    const char *id;       /* of the opening block; NULL: none */
    const char *after;    /* of a gap of an unknown cursor, as JSON; NULL: no gap */
    unsigned oldest;      /* n of the first message there is for it, where there is a gap */
    const char *messages; /* those it gets, by n; behind a "*" they are named by topic */
} starts[] = {
    /* without a cursor: now */
    {__LINE__, "/a", "", "1000-5", NULL, 0, ""},
    {__LINE__, "/nothing", "", "1000-5", NULL, 0, ""},
    {__LINE__, "/a,b", "", "1000-5", NULL, 0, "*"},
    {__LINE__, "/a", LEI "\r\n", "1000-5", NULL, 0, ""},
    {__LINE__, "/a?last-event-id=&since=", "", "1000-5", NULL, 0, ""},
    {__LINE__, "/a?x-last-event-id=1000-1", "", "1000-5", NULL, 0, ""}, /* no such parameter */
    {__LINE__, "/a?lasteventids=1000-1", "", "1000-5", NULL, 0, ""},
    {__LINE__, "/a?lasteventi=1000-1", "", "1000-5", NULL, 0, ""},
    /* a cursor that is good */
    {__LINE__, "/a", LEI "1000-0\r\n", "1000-0", NULL, 0, "13"},
    {__LINE__, "/a", LEI "1000-1\r\n", "1000-1", NULL, 0, "3"},
    {__LINE__, "/a", LEI "1000-2\r\n", "1000-2", NULL, 0, "3"}, /* another topic's */
    {__LINE__, "/a", LEI "1000-3\r\n", "1000-3", NULL, 0, ""},
    {__LINE__, "/a", LEI "1000-5\r\n", "1000-5", NULL, 0, ""},
    {__LINE__, "/a", LEI "  01000-0001\t\r\n", "1000-1", NULL, 0, "3"},
    {__LINE__, "/nothing", LEI "1000-0\r\n", "1000-0", NULL, 0, ""},
    /* one of another store, ahead of the head, or none at all */
    {__LINE__, "/a", LEI "1000-6\r\n", "1000-6", "\"1000-6\"", 1, "13"},
    {__LINE__, "/b", LEI "999-5\r\n", "999-5", "\"999-5\"", 2, "25"},
    {__LINE__, "/c/d", LEI "1001-0\r\n", "1001-0", "\"1001-0\"", 4, "4"},
    {__LINE__, "/nothing", LEI "0-0\r\n", "0-0", "\"0-0\"", 0, ""},
    {__LINE__, "/a", LEI "18446744073709551615-18446744073709551615\r\n",
     "18446744073709551615-18446744073709551615", "\"18446744073709551615-18446744073709551615\"",
     1, "13"},
    {__LINE__, "/a", LEI "1000-18446744073709551616\r\n", NULL, "\"1000-18446744073709551616\"", 1,
     "13"},
    {__LINE__, "/a", LEI "5\r\n", NULL, "\"5\"", 1, "13"},
    {__LINE__, "/b", LEI "1000-1, 1000-2\r\n", NULL, "\"1000-1, 1000-2\"", 2, "25"},
    {__LINE__, "/a", LEI "-5\r\n", NULL, "\"-5\"", 1, "13"},
    {__LINE__, "/a", LEI "\"1000-1\"\r\n", NULL, "\"\\\"1000-1\\\"\"", 1, "13"},
    {__LINE__, "/a", LEI "a\tb\\\r\n", NULL, "\"a\\tb\\\\\"", 1, "13"},
    {__LINE__, "/a", LEI "\xC3\xA9\r\n", NULL, "\"\xC3\xA9\"", 1, "13"},
    {__LINE__, "/a", LEI "\xFF\r\n", NULL, "null", 1, "13"},
    {__LINE__, "/a", LEI A128 "\r\n", NULL, "\"" A128 "\"", 1, "13"},
    {__LINE__, "/a", LEI A128 "a\r\n", NULL, "null", 1, "13"},
    /* as a parameter, in each spelling */
    {__LINE__, "/a?last-event-id=1000-1", "", "1000-1", NULL, 0, "3"},
    {__LINE__, "/a?x=y&last_event_id=1000-1", "", "1000-1", NULL, 0, "3"},
    {__LINE__, "/a?lastEventId=1000%2D1&x", "", "1000-1", NULL, 0, "3"},
    {__LINE__, "/a?last-event-id=7-7", "", "7-7", "\"7-7\"", 1, "13"},
    {__LINE__, "/a?lastEventId=a+b%0A", "", NULL, "\"a b\\n\"", 1, "13"},
    {__LINE__, "/a?last-event-id=%zz", "", NULL, "null", 1, "13"},
    /* as an entity tag */
    {__LINE__, "/a", INM "\"1000-1\"\r\n", "1000-1", NULL, 0, "3"},
    {__LINE__, "/a", INM "W/\"1000-1\"\r\n", "1000-1", NULL, 0, "3"},
    {__LINE__, "/a", INM "\"1000-1-gzip\"\r\n", "1000-1", NULL, 0, "3"},
    {__LINE__, "/a", INM "1000-1\r\n", "1000-1", NULL, 0, "3"},
    {__LINE__, "/a", INM ", W/\"1000-1\" , \"x\"\r\n", "1000-1", NULL, 0, "3"},
    {__LINE__, "/a", INM "\"8-8\"\r\n", "8-8", "\"\\\"8-8\\\"\"", 1, "13"},
    {__LINE__, "/a", INM "\"x\"\r\n", NULL, "\"\\\"x\\\"\"", 1, "13"},
    /* of several the newest counts that can be read; "*" is whatever there is */
    {__LINE__, "/a", INM "\"1000-1\", \"1000-3\"\r\n", "1000-3", NULL, 0, ""},
    {__LINE__, "/a", INM "\"1000-3\", W/\"1000-1\"\r\n", "1000-3", NULL, 0, ""},
    {__LINE__, "/a", INM "\"x\", \"1000-1\"\r\n", "1000-1", NULL, 0, "3"},
    {__LINE__, "/a", INM "\"1000-1\", \"999-9\"\r\n", "1000-1", NULL, 0, "3"},
    {__LINE__, "/a", INM "\"999-9\", \"1000-1\"\r\n", "1000-1", NULL, 0, "3"},
    {__LINE__, "/a", INM "*\r\n", "1000-5", NULL, 0, ""},
    /* the first of these places that has one */
    {__LINE__, "/a?last-event-id=1000-0&since=earliest", LEI "1000-1\r\n" INM "\"1000-0\"\r\n",
     "1000-1", NULL, 0, "3"},
    {__LINE__, "/a?lastEventId=1000-3&last_event_id=1000-2&last-event-id=1000-0", "", "1000-3",
     NULL, 0, ""},
    {__LINE__, "/a?lastEventId=&last_event_id=1000-2&last-event-id=1000-0", "", "1000-2", NULL, 0,
     "3"},
    /* in any spelling */
    {__LINE__, "/a?Last-Event-ID=1000-1", "", "1000-1", NULL, 0, "3"},
    {__LINE__, "/a?lastEventID=1000-1", "", "1000-1", NULL, 0, "3"},
    {__LINE__, "/a?lasteventid=1000-1", "", "1000-1", NULL, 0, "3"},
    {__LINE__, "/a?LAST_EVENT_ID=1000-1", "", "1000-1", NULL, 0, "3"},
    {__LINE__, "/a?last-Event_id=1000-1", "", "1000-1", NULL, 0, "3"},
    {__LINE__, "/a?last%2devent%2did=1000-1", "", "1000-1", NULL, 0, "3"},
    {__LINE__, "/a?lastEventId=1000-3", LEI "\r\n" INM "\"1000-0\"\r\n", "1000-3", NULL, 0, ""},
    {__LINE__, "/a?since=earliest", INM "\"1000-3\"\r\n", "1000-3", NULL, 0, ""},
    {__LINE__, "/a?last-event-id=1000-3", LEI "bad\r\n", NULL, "\"bad\"", 1, "13"},
    {__LINE__, "/a?since=wrong", LEI "1000-3\r\n", "1000-3", NULL, 0, ""},
    {__LINE__, "/a", LEI "1000-3\r\n" LEI "1000-1\r\n", "1000-3", NULL, 0, ""},
    /* since */
    {__LINE__, "/a?since=earliest", "", "1000-0", NULL, 0, "13"},
    {__LINE__, "/a?since=now", "", "1000-5", NULL, 0, ""},
    {__LINE__, "/a?since=1000-1", "", "1000-1", NULL, 0, "3"},
    {__LINE__, "/a?since=6-1", "", "6-1", "\"6-1\"", 1, "13"},
    {__LINE__, "/a?since=1000-9", "", "1000-9", "\"1000-9\"", 1, "13"},
    {__LINE__, "/a?since=1s", "", "1000-4", NULL, 0, ""},
    {__LINE__, "/a?since=10m", "", "1000-2", NULL, 0, "3"},
    {__LINE__, "/a?since=599s", "", "1000-3", NULL, 0, ""},
    {__LINE__, "/a?since=600000ms", "", "1000-2", NULL, 0, "3"},
    {__LINE__, "/a?since=1h", "", "1000-0", NULL, 0, "13"},
    {__LINE__, "/a?since=2d", "", "1000-0", NULL, 0, "13"},
    {__LINE__, "/b?since=1789998200", "", "1000-1", NULL, 0, "25"}, /* half an hour ago */
    {__LINE__, "/b?since=1789998200001", "", "1000-2", NULL, 0, "5"},
    {__LINE__, "/a?since=0", "", "1000-0", NULL, 0, "13"},
    {__LINE__, "/a?since=1800000000", "", "1000-5", NULL, 0, ""}, /* the future */
    {__LINE__, "/a?since=-1", "", "1000-2", NULL, 0, "3"},
    {__LINE__, "/a?since=-2", "", "1000-0", NULL, 0, "13"},
    {__LINE__, "/a?since=-18446744073709551615", "", "1000-0", NULL, 0, "13"},
    {__LINE__, "/a?since=-0", "", "1000-5", NULL, 0, ""},
    {__LINE__, "/nothing?since=-5", "", "1000-5", NULL, 0, ""},
    {__LINE__, "/nothing?since=earliest", "", "1000-0", NULL, 0, ""},
    /* several topics, wildcards */
    {__LINE__, "/a,b", LEI "1000-1\r\n", "1000-1", NULL, 0, "*235"},
    {__LINE__, "/b,a,b", LEI "1000-0\r\n", "1000-0", NULL, 0, "*1235"},
    {__LINE__, "/%61,b", LEI "1000-2\r\n", "1000-2", NULL, 0, "*35"},
    {__LINE__, "/*", LEI "1000-2\r\n", "1000-2", NULL, 0, "*35"},
    {__LINE__, "/c/*", LEI "1000-2\r\n", "1000-2", NULL, 0, "*4"},
    {__LINE__, "/**", LEI "1000-0\r\n", "1000-0", NULL, 0, "*12345"},
    {__LINE__, "/a,c/**", "", "1000-5", NULL, 0, "*"},
    {__LINE__, "/a,c/**?since=-2", "", "1000-2", NULL, 0, "*34"},
    {__LINE__, "/a,a", LEI "1000-1\r\n", "1000-1", NULL, 0, "3"}, /* is one topic */
    {__LINE__, "/b,c/*", LEI "9-9\r\n", "9-9", "\"9-9\"", 2, "*245"},
    {__LINE__, "/none,c/*", LEI "x\r\n", NULL, "\"x\"", 4, "*4"},
};

/* What row `i` should get. */
static void expected(size_t i, struct text *t)
{
    const char *list = starts[i].messages;
    bool several = list[0] == '*';
    unsigned oldest = starts[i].oldest;
    text_str(t, "retry: 0\n");
    if (starts[i].id != NULL) {
        text_str(t, "id: ");
        text_str(t, starts[i].id);
        text_str(t, "\n");
    }
    text_str(t, "\n");
    if (starts[i].after != NULL) {
        text_str(t, "event: gap\ndata: {\"reason\":\"unknown\",\"after\":");
        text_str(t, starts[i].after);
        text_str(t, oldest > 0 ? ",\"oldest\":\"1000-" : ",\"oldest\":null");
        if (oldest > 0) {
            text_u64(t, oldest);
            text_str(t, "\"");
        }
        text_str(t, "}\nid: 1000-");
        text_u64(t, oldest > 0 ? oldest - 1 : COUNT(messages));
        text_str(t, "\n\n");
    }
    for (const char *p = list + several; *p != '\0'; p++) {
        size_t n = (size_t)(*p - '0');
        if (several) {
            text_str(t, "event: ");
            text_str(t, messages[n - 1].topic);
            text_str(t, "\n");
        }
        text_str(t, "data: ");
        text_str(t, messages[n - 1].data);
        text_str(t, "\nid: 1000-");
        text_u64(t, n);
        text_str(t, "\n\n");
    }
}

START_TEST(begins)
{
    char want_bytes[2048];
    struct text want = text_in(want_bytes, sizeof(want_bytes));
    struct unit u = news();
    struct conn *c = subscribe(&u, 3, starts[_i].path, starts[_i].fields);
    ck_assert_msg(c->state == CONN_STREAM, "line %d: %.*s", starts[_i].line, (int)u.got.n, u.got.p);
    follow(&u, c, &u.got);
    struct answer a = answer_only(&u, false);
    expected((size_t)_i, &want);
    ck_assert_int_eq(a.status, 200);
    ck_assert_msg(span_eq(a.body, text_span(&want)), "line %d:\n%.*s\nwanted:\n%.*s",
                  starts[_i].line, (int)a.body.n, a.body.p, (int)want.n, want.p);
    ck_assert_uint_eq(u.s->stat.gaps_unknown, starts[_i].after != NULL);
    ck_assert_uint_eq(u.s->stat.gaps_expired + u.s->stat.gaps_lagged, 0);
    leave(&u, c);
    ck_assert_uint_eq(topic_count(&u.s->topics), 3);
    ck_assert_uint_eq(topic_set_count(&u.s->topics), 0);
    unit_free(&u);
}
END_TEST

/* ---- answers --------------------------------------------------------------------------------- */

START_TEST(answers_with_a_stream)
{
    struct unit u = news();
    struct conn *c = subscribe(&u, 3, "/a", "");
    struct answer a = answer_only(&u, false);
    ck_assert(span_eq(a.head, SPAN("HTTP/1.1 200 OK\r\n"
                                   "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                   "Content-Type: text/event-stream; charset=utf-8\r\n"
                                   "Cache-Control: no-store, no-transform\r\n"
                                   "X-Accel-Buffering: no\r\n"
                                   "Connection: close\r\n"
                                   "\r\n")));
    ck_assert_uint_eq(c->flags & CONN_CLOSE, 0);
    ck_assert_uint_eq(topic_group(&u.s->topics, c->link.topic)->subscribers, 1);
    leave(&u, c);
    unit_free(&u);
}
END_TEST

/* What comes behind the request of a stream is nobody's. */
START_TEST(drops_what_follows)
{
    struct unit u = news();
    struct conn *c = unit_open(&u, 3);
    feed_str(&u, c, "GET /a" ASK "Content-Length: 3\r\n\r\nabcGET /b" ASK "\r\n");
    ck_assert_uint_eq(c->state, CONN_STREAM);
    ck_assert_uint_eq(times(text_span(&u.got), "HTTP/1.1"), 1);
    leave(&u, c);
    c = unit_open(&u, 3); /* but what came before is answered before it */
    unit_clear(&u);
    feed_str(&u, c,
             "GET /-/healthy HTTP/1.1\r\nHost: h\r\n\r\nGET /a HTTP/1.0\r\n"
             "Accept: text/html, text/event-stream;q=0.1\r\n\r\n");
    struct span got = text_span(&u.got);
    ck_assert(span_eq(answer_cut(u.s, &got, false).body, SPAN("ok\n")));
    ck_assert_int_eq(answer_cut(u.s, &got, false).status, 200);
    ck_assert_uint_eq(c->state, CONN_STREAM);
    leave(&u, c);
    unit_free(&u);
}
END_TEST

START_TEST(head_of_a_stream)
{
    struct unit u = news();
    struct conn *c = unit_open(&u, 3);
    feed_str(&u, c, "HEAD /a,new" ASK "\r\n");
    struct answer a = answer_only(&u, true);
    ck_assert_int_eq(a.status, 200);
    ck_assert(span_eq(field(a.head, "Content-Type"), SPAN("text/event-stream; charset=utf-8")));
    ck_assert_uint_eq(c->state, CONN_LINGER);
    ck_assert_uint_eq(topic_count(&u.s->topics), 3); /* it leaves none behind */
    ck_assert_uint_eq(topic_set_count(&u.s->topics), 0);
    unit_free(&u);
}
END_TEST

/* Where there is no room an SSE client is sent away so that it comes back: to where it would have
 * begun, if that was now, and else with the cursor it has. */
START_TEST(comes_back_later)
{
    static const struct {
        const char *path, *fields, *body;
    } rows[] = {
        {"/a", "", "retry: 0\nid: 1000-1\n\n"},       {"/a", LEI "1000-0\r\n", "retry: 0\n\n"},
        {"/a", LEI "x\r\n", "retry: 0\n\n"},          {"/a?lastEventId=9-9", "", "retry: 0\n\n"},
        {"/a", INM "\"1000-1\"\r\n", "retry: 0\n\n"}, {"/a?since=earliest", "", "retry: 0\n\n"},
    };
    for (size_t i = 0; i < 2 * COUNT(rows); i++) {
        bool shed = i % 2 != 0;
        struct opt o = unit_opt();
        o.max_topics = shed ? 8 : 1;
        struct unit u = unit_make(&o);
        publish(&u, "full", SPAN("x"));
        struct conn *c = unit_open(&u, 3);
        if (shed)
            c->flags |= CONN_SHED;
        feed_str(&u, c, "GET ");
        feed_str(&u, c, rows[i / 2].path);
        feed_str(&u, c, ASK);
        feed_str(&u, c, rows[i / 2].fields);
        feed_str(&u, c, "\r\n");
        struct answer a = answer_only(&u, false);
        ck_assert_int_eq(a.status, 200);
        ck_assert_msg(span_eq(a.body, span_of(rows[i / 2].body)), "row %zu: %.*s", i, (int)a.body.n,
                      a.body.p);
        ck_assert_uint_eq(c->state, CONN_LINGER);
        ck_assert_uint_eq(c->flags & CONN_CLOSE, CONN_CLOSE);
        ck_assert_uint_eq(u.s->stat.limit_topics, !shed);
        ck_assert_uint_eq(topic_count(&u.s->topics), 1);
        unit_free(&u);
    }
}
END_TEST

START_TEST(spreads_retries)
{
    struct opt o = unit_opt();
    o.retry_ms = 2000;
    struct unit u = unit_make(&o);
    uint64_t least = UINT64_MAX, most = 0, sum = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t ms;
        struct conn *c = subscribe(&u, 3, "/a", "");
        struct span body = answer_only(&u, false).body;
        MUST(span_begins(body, SPAN("retry: ")));
        body = span_from(body, 7);
        MUST(span_u64(span_cut(&body, '\n'), &ms));
        least = ms < least ? ms : least;
        most = ms > most ? ms : most;
        sum += ms;
        leave(&u, c);
    }
    ck_assert(least >= 1500 && least < 1600 && most > 2400 && most <= 2500);
    ck_assert(sum > 1900000 && sum < 2100000);
    unit_free(&u);
}
END_TEST

START_TEST(subscribes_where_topics_are_listed)
{
    static const struct {
        const char *path;
        bool good;
    } rows[] = {{"/news", true},     {"/orders/7", true},
                {"/orders/*", true}, {"/*/7", true},
                {"/**", true},       {"/orders", false},
                {"/news/x", false},  {"/news,orders/1", true},
                {"/news,x", false},  {"/*", true}};
    struct opt o = unit_opt();
    unit_list(&o.topic, "news");
    unit_list(&o.topic, "orders/*");
    struct unit u = unit_make(&o);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct conn *c = subscribe(&u, 3, rows[i].path, "");
        ck_assert_msg((c->state == CONN_STREAM) == rows[i].good, "%s", rows[i].path);
        ck_assert_int_eq(answer_only(&u, false).status, rows[i].good ? 200 : 404);
        leave(&u, c);
    }
    unit_free(&u);
}
END_TEST

/* In a stream of several topics a message is named by its topic, unless it has a name. */
START_TEST(names_events)
{
    struct opt o = unit_opt();
    struct unit u = unit_make(&o);
    publish(&u, "x?event=mine", SPAN("1"));
    publish(&u, "x", SPAN("2"));
    publish(&u, "gap", SPAN("3")); /* must not look like one of the server's own */
    struct conn *c = subscribe(&u, 3, "/x?since=earliest", "");
    unit_clear(&u);
    follow(&u, c, &u.got);
    ck_assert(span_eq(text_span(&u.got), SPAN("event: mine\ndata: 1\nid: 1000-1\n\n"
                                              "data: 2\nid: 1000-2\n\n")));
    c = subscribe(&u, 4, "/*?since=earliest", "");
    unit_clear(&u);
    follow(&u, c, &u.got);
    ck_assert(span_eq(text_span(&u.got), SPAN("event: mine\ndata: 1\nid: 1000-1\n\n"
                                              "event: x\ndata: 2\nid: 1000-2\n\n"
                                              "event: /gap\ndata: 3\nid: 1000-3\n\n")));
    leave(&u, &u.s->clients.conns.conn[3]);
    leave(&u, c);
    unit_free(&u);
}
END_TEST

/* ---- gaps ------------------------------------------------------------------------------------ */

static void publish_many(struct unit *u, const char *topic, unsigned n)
{
    char data[400];
    memset(data, 'x', sizeof(data));
    while (n-- > 0)
        publish(u, topic, (struct span){data, sizeof(data)});
}

/* Lets topics go that eviction has emptied, as the loop does. */
static void reap(struct unit *u)
{
    uint32_t topic;
    while ((topic = chains_take_emptied(&u->s->broker.chains)) != 0) {
        if (chain_at(&u->s->broker.chains, topic)->count > 0)
            continue;
        topic_at(&u->s->topics, topic)->kept = 0;
        serve_release(&u->s->broker, topic);
    }
}

static uint64_t oldest(const struct unit *u)
{
    return ring_at(&u->s->ring, ring_tail(&u->s->ring))->n;
}

/* The opening of a stream that begins with an expired cursor. */
static void check_expired(struct unit *u, const char *path, const char *after, uint64_t first)
{
    char fields[64], want[300], old[40] = "null";
    snprintf(fields, sizeof(fields), LEI "%s\r\n", after);
    struct conn *c = subscribe(u, 3, path, fields);
    uint64_t resume = first > 0 ? first - 1 : ring_newest(&u->s->ring).n;
    if (first > 0)
        snprintf(old, sizeof(old), "\"1000-%" PRIu64 "\"", first);
    snprintf(want, sizeof(want),
             "retry: 0\nid: %s\n\nevent: gap\ndata: {\"reason\":\"expired\",\"after\":\"%s\","
             "\"oldest\":%s}\nid: 1000-%" PRIu64 "\n\n",
             after, after, old, resume);
    struct answer a = answer_only(u, false);
    ck_assert_msg(span_eq(a.body, span_of(want)), "%s: %.*s", path, (int)a.body.n, a.body.p);
    ck_assert_uint_eq(c->place.n, resume);
    leave(u, c);
}

static void check_no_gap(struct unit *u, const char *path, const char *after)
{
    char fields[64], want[100];
    snprintf(fields, sizeof(fields), LEI "%s\r\n", after);
    snprintf(want, sizeof(want), "retry: 0\nid: %s\n\n", after);
    struct conn *c = subscribe(u, 3, path, fields);
    struct answer a = answer_only(u, false);
    ck_assert_msg(span_eq(a.body, span_of(want)), "%s: %.*s", path, (int)a.body.n, a.body.p);
    leave(u, c);
}

START_TEST(tells_what_expired)
{
    struct opt o = unit_opt();
    struct unit u = unit_make(&o);
    publish(&u, "a", SPAN("1"));
    publish(&u, "a", SPAN("2"));
    publish_many(&u, "b", 500);
    publish(&u, "a", SPAN("503"));
    ck_assert_uint_gt(oldest(&u), 10);
    check_expired(&u, "/a", "1000-0", 503);
    check_expired(&u, "/a", "1000-1", 503);
    check_no_gap(&u, "/a", "1000-2"); /* what went was not of this topic, or is known */
    check_no_gap(&u, "/a", "1000-7");
    check_expired(&u, "/b", "1000-2", oldest(&u));
    check_expired(&u, "/a,b", "1000-2", oldest(&u));
    check_expired(&u, "/*", "1000-2", oldest(&u));
    check_no_gap(&u, "/a,c", "1000-2");
    check_no_gap(&u, "/c", "1000-0");
    check_expired(&u, "/a?since=1000-1", "1000-1", 503);
    ck_assert_uint_eq(u.s->stat.gaps_expired, 6);
    ck_assert_uint_eq(u.s->stat.gaps_unknown + u.s->stat.gaps_lagged, 0);
    unit_free(&u);
}
END_TEST

/* A topic that eviction has emptied is gone; that it lost something is not forgotten. */
START_TEST(remembers_topics_that_went)
{
    struct opt o = unit_opt();
    struct unit u = unit_make(&o);
    publish(&u, "a", SPAN("1"));
    publish_many(&u, "b", 500);
    reap(&u);
    ck_assert_uint_eq(topic_count(&u.s->topics), 1);
    check_expired(&u, "/a", "1000-0", 0);
    check_no_gap(&u, "/a", "1000-1");
    check_expired(&u, "/a,c", "1000-0", 0);
    check_expired(&u, "/*", "1000-0", oldest(&u));
    reap(&u);
    ck_assert_uint_eq(topic_count(&u.s->topics), 1);
    unit_free(&u);
}
END_TEST

/* ---- holes ----------------------------------------------------------------------------------- */

static const struct {
    unsigned n;
    const char *topic;
} kept[] = {{1, "a"}, {2, "b"}, {3, "a"}, {4, "c/d"}, {5, "b"}, {9, "a"}, {10, "b"}};

enum { LOST_FROM = 6, LOST_TO = 8, LAST = 10 };

/* What a client of topics whose names begin with a byte of `which` gets behind message n. */
static void check_behind(struct unit *u, const char *path, const char *which, unsigned n)
{
    char fields[64], want_bytes[400], gap[200] = "";
    struct text want = text_in(want_bytes, sizeof(want_bytes));
    unsigned first = 0;
    for (size_t i = COUNT(kept); i-- > 0;)
        if (kept[i].n > n && strchr(which, kept[i].topic[0]) != NULL)
            first = kept[i].n;
    if (n < LOST_TO && first > 0)
        snprintf(gap, sizeof(gap), "\"expired\",\"after\":\"1000-%u\",\"oldest\":\"1000-%u\"}", n,
                 first);
    else if (n < LOST_TO)
        snprintf(gap, sizeof(gap), "\"expired\",\"after\":\"1000-%u\",\"oldest\":null}", n);
    for (size_t i = 0; i < COUNT(kept); i++) {
        if (kept[i].n <= n || strchr(which, kept[i].topic[0]) == NULL)
            continue;
        text_u64(&want, kept[i].n);
        text_str(&want, ";");
    }
    snprintf(fields, sizeof(fields), LEI "1000-%u\r\n", n);
    struct conn *c = subscribe(u, 3, path, fields);
    struct span got = answer_only(u, false).body;
    ck_assert_msg(holds(got, "event: gap\n") == (n < LOST_TO) && holds(got, gap), "%s of %s: %.*s",
                  fields, path, (int)got.n, got.p);
    ck_assert_uint_eq(c->place.n, n >= LOST_TO ? n : first > 0 ? first - 1 : LAST);
    unit_clear(u);
    for (uint64_t rec; c->place.at < ring_head(&u->s->ring);)
        if (broker_collect(&u->s->broker, c->link.topic, &c->place.at, &rec, 1) > 0) {
            text_u64(&u->got, ring_at(&u->s->ring, rec)->n);
            text_str(&u->got, ";");
        }
    ck_assert_msg(span_eq(text_span(&u->got), text_span(&want)), "%s of %s: %.*s, not %.*s", fields,
                  path, (int)u->got.n, u->got.p, (int)want.n, want.p);
    leave(u, c);
}

/* Messages are missing in the middle of a store. Who is in front of these is told so, and goes on
 * with what is left behind its cursor, not with all there is. */
START_TEST(goes_on_over_a_hole)
{
    static const struct {
        const char *path, *which;
    } rows[] = {{"/a", "a"},    {"/b", "b"},     {"/c/d", "c"}, {"/a,b", "ab"},
                {"/*", "ab"},   {"/**", "abc"},  {"/c/*", "c"}, {"/c/d,none", "c"},
                {"/none", "-"}, {"/none/*", "-"}};
    struct opt o = unit_opt();
    struct unit u = unit_make(&o);
    for (size_t i = 0; i < COUNT(kept); i++) {
        if (i > 0 && kept[i].n != kept[i - 1].n + 1) {
            ck_assert_uint_eq(ring_newest(&u.s->ring).n, LOST_FROM - 1);
            ring_miss(&u.s->ring, LOST_TO);
            check_expired(&u, "/**", "1000-2", 3);
            check_expired(&u, "/**", "1000-5", 0); /* the hole is the end so far */
            check_no_gap(&u, "/**", "1000-8");
        }
        publish(&u, kept[i].topic, SPAN("x"));
        ck_assert_uint_eq(ring_newest(&u.s->ring).n, kept[i].n);
    }
    for (size_t i = 0; i < COUNT(rows); i++)
        for (unsigned n = 0; n <= LAST; n++)
            check_behind(&u, rows[i].path, rows[i].which, n);
    check_no_gap(&u, "/**?since=1000-8", "1000-8");
    ck_assert_uint_eq(u.s->stat.gaps_unknown + u.s->stat.gaps_lagged, 0);
    struct conn *c = subscribe(&u, 3, "/a?since=999-9", ""); /* of another store: from the oldest */
    ck_assert_uint_eq(c->place.n, 0);
    ck_assert_uint_eq(c->place.at, ring_tail(&u.s->ring));
    leave(&u, c);
    unit_free(&u);
}
END_TEST

/* ---- what would take too long ---------------------------------------------------------------- */

enum { LARGER = 2000 };

static void *larger[4];

/* Two topics with so many messages, by turns, in a table that takes large sets. */
static struct unit busy(struct opt *o, unsigned count)
{
    o->ring = 4u << 20;
    o->max_subscriptions = 400;
    o->max_line = o->max_head = 8000;
    struct unit u = unit_make(o);
    struct topics_memory size = topics_size(LARGER);
    size_t sizes[4] = {size.table, size.edges, size.pool, size.pool_meta};
    uint64_t key[2] = {1, 2};
    uint32_t id[2];
    for (size_t i = 0; i < 4; i++)
        MUST((larger[i] = calloc(1, sizes[i])) != NULL);
    topics_init(&u.s->topics, LARGER, larger[0], larger[1], larger[2], larger[3], key);
    topics_links(&u.s->topics, u.s->clients.conns.conn, sizeof(struct conn));
    publish(&u, "a", SPAN("x"));
    publish(&u, "b", SPAN("x"));
    id[0] = topic_find(&u.s->topics, SPAN("a"));
    id[1] = topic_find(&u.s->topics, SPAN("b"));
    for (unsigned i = 2; i < count; i++) {
        struct ring_message m = {.topic = i % 2 == 0 ? SPAN("a") : SPAN("b"), .data = SPAN("x")};
        broker_put(&u.s->broker, id[i % 2], &m, UNIT_WALL);
    }
    ck_assert_uint_eq(ring_count(&u.s->ring), count);
    return u;
}

static void busy_free(struct unit *u)
{
    unit_free(u);
    for (size_t i = 0; i < 4; i++)
        free(larger[i]);
}

START_TEST(counts_back_only_so_far)
{
    enum { MANY = FIND_BACK + 100 };
    static const struct {
        const char *path;
        unsigned first; /* n of the first it gets; 0: refused */
    } rows[] = {
        {"/a,b?since=-1", MANY},
        {"/a,b?since=-16384", MANY - FIND_BACK + 1},
        {"/a,b?since=-16385", 0},
        {"/a,b?since=-16483", 0},
        {"/a,b?since=-16484", 1}, /* that is all there is */
        {"/*?since=-18446744073709551615", 1},
        {"/a?since=-8000", MANY - 2 * 8000 + 1},
        {"/a,x?since=-8242", 1},
        {"/a,x?since=-8243", 1},
    };
    struct opt o = unit_opt();
    struct unit u = busy(&o, MANY);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct conn *c = subscribe(&u, 3, rows[i].path, "");
        struct answer a = answer_only(&u, false);
        ck_assert_msg(a.status == (rows[i].first > 0 ? 200 : 400), "%s", rows[i].path);
        if (rows[i].first > 0)
            ck_assert_msg(ring_at(&u.s->ring, c->place.at)->n == rows[i].first, "%s", rows[i].path);
        else
            ck_assert(holds(a.body, " goes back too far to be counted in so many topics: "
                                    "ask for fewer, or by time"));
        leave(&u, c);
        ck_assert_uint_eq(topic_set_count(&u.s->topics), 0);
    }
    busy_free(&u);
}
END_TEST

/* A gap in front of far more than can be looked through: it goes on where there may be
 * something. */
START_TEST(tells_a_gap_soon)
{
    char path[6000];
    struct opt o = unit_opt();
    struct unit u = busy(&o, 10000);
    struct text t = text_in(path, sizeof(path) - 1);
    for (unsigned i = 0; i < 330; i++) {
        text_str(&t, i == 0 ? "/q" : ",q");
        text_u64(&t, i);
        text_str(&t, "/*");
    }
    t.p[t.n] = '\0';
    struct conn *c = subscribe(&u, 3, path, LEI "999-1\r\n");
    struct span got = answer_only(&u, false).body;
    ck_assert_msg(holds(got, "\"reason\":\"unknown\",\"after\":\"999-1\",\"oldest\":\"1000-"),
                  "%.*s", (int)got.n, got.p);
    ck_assert(c->place.n > 500 && c->place.n < 9000);
    ck_assert_uint_eq(ring_find(&u.s->ring, c->place.n), c->place.at);
    follow(&u, c, &u.got);
    leave(&u, c);
    busy_free(&u);
}
END_TEST

/* ---- overtaken ------------------------------------------------------------------------------- */

START_TEST(tells_who_lags)
{
    struct opt o = unit_opt();
    struct unit u = unit_make(&o);
    struct conn *a = subscribe(&u, 3, "/a", ""), *b = subscribe(&u, 4, "/b", "");
    struct conn *half = subscribe(&u, 5, "/b", "");
    unit_clear(&u);
    publish(&u, "b", SPAN("1"));
    half->stream.sent = 3; /* in the middle of it */
    ck_assert(subscriber_check(u.s, a) && subscriber_check(u.s, b));
    ck_assert(subscriber_check(u.s, half));
    ck_assert_uint_eq(u.s->ex.out.n, 0);
    publish_many(&u, "b", 500);

    ck_assert(subscriber_check(u.s, a)); /* nothing was lost of its topic */
    ck_assert_uint_eq(u.s->ex.out.n, 0);
    ck_assert_uint_eq(a->place.at, ring_tail(&u.s->ring));

    ck_assert(subscriber_check(u.s, b));
    unit_take_out(&u);
    char want[300];
    snprintf(
        want, sizeof(want),
        "event: gap\ndata: {\"reason\":\"lagged\",\"after\":\"1000-0\",\"oldest\":\"1000-%" PRIu64
        "\"}\nid: 1000-%" PRIu64 "\n\n",
        oldest(&u), oldest(&u) - 1);
    ck_assert_msg(span_eq(text_span(&u.got), span_of(want)), "%.*s", (int)u.got.n, u.got.p);
    ck_assert_uint_eq(b->place.at, ring_tail(&u.s->ring));
    ck_assert_uint_eq(b->place.n, oldest(&u) - 1);
    ck_assert(subscriber_check(u.s, b)); /* once */
    ck_assert_uint_eq(u.s->ex.out.n, 0);

    ck_assert(!subscriber_check(u.s, half)); /* it can't be mended */
    ck_assert_uint_eq(u.s->ex.out.n, 0);
    ck_assert_uint_eq(u.s->stat.overtaken, 1);
    ck_assert_uint_eq(u.s->stat.gaps_lagged, 1);
    leave(&u, a);
    leave(&u, b);
    leave(&u, half);
    unit_free(&u);
}
END_TEST

/* ---- against a list of all that was published ------------------------------------------------ */

enum { NAMES = 3, EVER = 3000 };

static const char *const names[NAMES] = {"a", "b", "c/d"};

static const struct {
    const char *path;
    bool has[NAMES];
} paths[] = {
    {"/a", {true, false, false}},     {"/b", {false, true, false}},
    {"/c/d", {false, false, true}},   {"/a,b", {true, true, false}},
    {"/*", {true, true, false}},      {"/c/*", {false, false, true}},
    {"/**", {true, true, true}},      {"/a,c/d,x", {true, false, true}},
    {"/none", {false, false, false}},
};

struct history {
    uint8_t topic[EVER + 1]; /* by n */
    uint64_t newest;
};

/* What a subscriber with cursor (ms, n) should be told: the reason of a gap, or NULL, and then all
 * messages there are from *from on. */
static const char *should_be(const struct unit *u, const struct history *h, const bool *has,
                             struct cursor c, uint64_t *from)
{
    uint64_t tail = ring_count(&u->s->ring) > 0 ? oldest(u) : h->newest + 1;
    *from = tail;
    if (c.ms != UNIT_EPOCH || c.n > h->newest)
        return "unknown";
    for (uint64_t n = c.n + 1; n < tail; n++)
        if (has[h->topic[n]])
            return "expired";
    *from = c.n + 1 > tail ? c.n + 1 : tail;
    return NULL;
}

static void check_start(struct unit *u, const struct history *h, uint64_t *state, uint64_t start)
{
    size_t i = random_next(state) % COUNT(paths);
    struct cursor cursor = {random_next(state) % 10 == 0 ? 999 : UNIT_EPOCH,
                            random_next(state) % (h->newest + 3)};
    char fields[100];
    uint64_t from;
    const char *reason = should_be(u, h, paths[i].has, cursor, &from);
    snprintf(fields, sizeof(fields), LEI "%" PRIu64 "-%" PRIu64 "\r\n", cursor.ms, cursor.n);
    struct conn *c = subscribe(u, 3, paths[i].path, fields);
    struct span got = answer_only(u, false).body;
    bool gap = holds(got, "event: gap\n");
    if (gap && reason == NULL && strchr(paths[i].path, '*') != NULL &&
        cursor.n < chains_forgotten(&u->s->broker.chains)) {
        reason = "expired"; /* of topics that went it is not known which a wildcard would match */
        from = ring_count(&u->s->ring) > 0 ? oldest(u) : h->newest + 1;
    }
    if (gap != (reason != NULL) || (gap && !holds(got, reason)))
        ck_abort_msg(SEED_FMT ": %s of %s: %.*s", start, fields, paths[i].path, (int)got.n, got.p);
    unit_clear(u);
    follow(u, c, &u->got);
    got = text_span(&u->got);
    for (uint64_t n = from; n <= h->newest; n++) {
        char id[64];
        if (!paths[i].has[h->topic[n]])
            continue;
        snprintf(id, sizeof(id), "\nid: 1000-%" PRIu64 "\n\n", n);
        const char *at = got.n > 0 ? memmem(got.p, got.n, id, strlen(id)) : NULL;
        struct span before = {got.p, at != NULL ? (size_t)(at - got.p) : 0};
        if (at == NULL || holds(before, "\nid: "))
            ck_abort_msg(SEED_FMT ": %s of %s: %" PRIu64, start, fields, paths[i].path, n);
        got = span_from(got, before.n + strlen(id));
    }
    if (got.n != 0)
        ck_abort_msg(SEED_FMT ": %s of %s: too much", start, fields, paths[i].path);
    leave(u, c);
}

START_TEST(random_starts)
{
    static struct history h;
    uint64_t start = seed(), state = start;
    struct opt o = unit_opt();
    struct unit u = unit_make(&o);
    while (h.newest < EVER) {
        static const char data[400] = {'x'};
        /* now and then one topic alone, so that others are quiet */
        uint8_t topic = (uint8_t)(h.newest / 500 % 2 == 0 ? random_next(&state) % NAMES : 1);
        publish(&u, names[topic],
                (struct span){data, random_next(&state) % 4 == 0 ? random_next(&state) % 400 : 3});
        h.topic[++h.newest] = topic;
        if (random_next(&state) % 4 == 0)
            check_start(&u, &h, &state, start);
    }
    ck_assert_uint_gt(u.s->stat.gaps_expired, 50);
    ck_assert_uint_gt(u.s->stat.gaps_unknown, 20);
    unit_free(&u);
}
END_TEST

/* ---- main ---- */

int main(void)
{
    Suite *s = suite_create("start");
    TCase *start = tcase_create("start"), *answers = tcase_create("answers");
    TCase *gaps = tcase_create("gaps");
    tcase_add_loop_test(start, begins, 0, COUNT(starts));
    suite_add_tcase(s, start);
    tcase_add_test(answers, answers_with_a_stream);
    tcase_add_test(answers, drops_what_follows);
    tcase_add_test(answers, head_of_a_stream);
    tcase_add_test(answers, comes_back_later);
    tcase_add_test(answers, spreads_retries);
    tcase_add_test(answers, subscribes_where_topics_are_listed);
    tcase_add_test(answers, names_events);
    suite_add_tcase(s, answers);
    tcase_add_test(gaps, tells_what_expired);
    tcase_add_test(gaps, remembers_topics_that_went);
    tcase_add_test(gaps, goes_on_over_a_hole);
    tcase_add_test(gaps, counts_back_only_so_far);
    tcase_add_test(gaps, tells_a_gap_soon);
    tcase_add_test(gaps, tells_who_lags);
    tcase_add_test(gaps, random_starts);
    suite_add_tcase(s, gaps);
    return run(s);
}
