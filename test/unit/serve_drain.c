/*
 * serve_drain.c - lib/serve without sockets: what is answered, and how those are sent away who are
 * there, when the server ends.
 */
#include "lib/serve/conn.h"
#include "lib/serve/queue.h"
#include "lib/serve/subscriber.h"
#include "lib/serve/transport.h"
#include "test/kit/serve_unit.h"

#include "test/kit/socket.h"

#define EVENTS_ASK H "Accept: text/event-stream\r\n"
#define LINES_ASK  H "Accept: application/x-ndjson\r\n"
#define SHAKE \
    H "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" SOCKET_KEY
#define STOPPING "the server is stopping: come back in a moment"

static struct unit draining(void)
{
    struct unit u = make(PLAIN);
    publish(&u, "news", SPAN("one"));
    u.s->clients.draining = true;
    return u;
}

/* ---- requests -------------------------------------------------------------------------------- */

static const struct {
    int line;
    const char *request;
    int status;
    const char *body;   /* NULL: any; of a refusal its detail */
    const char *fields; /* these are there */
} asks[] = {
    {__LINE__, "GET /-/healthy" END, 200, "ok\n", ""},
    {__LINE__, "GET /-/ready" END, 503, "draining", ""},
    {__LINE__, "GET /-/metrics" END, 200, NULL, ""},
    {__LINE__, "GET /a//b" END, 400, NULL, ""},
    {__LINE__, "OPTIONS /news" END, 204, NULL, "Allow: "},
    {__LINE__, "POST /news" SIZED(3) "two", 201, NULL, ""},
    {__LINE__, "POST /news" CHUNKED "\r\n3\r\ntwo\r\n0\r\n\r\n", 201, NULL, ""},
    {__LINE__, "POST /news" CHUNKED NDJSON "\r\n3\r\n1\n2\r\n0\r\n\r\n", 201, NULL, ""},
    {__LINE__, "GET /news" H "Accept: text/plain\r\n\r\n", 200, "one\n", ""},
    {__LINE__, "GET /news?wait=20" END, 204, NULL, "Preference-Applied: wait=20\r\n"},
    {__LINE__, "GET /news?wait=20" H "If-None-Match: \"1000-1\"\r\n\r\n", 304, NULL, ""},
    {__LINE__, "GET /news?wait=20&since=earliest" H "Accept: text/plain\r\n\r\n", 200, "one\n", ""},
    {__LINE__, "GET /news?wait=20" LINES_ASK "\r\n", 503, STOPPING, "Retry-After: 5\r\n"},
    {__LINE__, "GET /news" LINES_ASK "\r\n", 200, NULL, ""},
    {__LINE__, "GET /news" EVENTS_ASK "\r\n", 200, "retry: 0\nid: 1000-1\n\n", ""},
    {__LINE__, "GET /news" EVENTS_ASK "Last-Event-ID: 1000-0\r\n\r\n", 200, "retry: 0\n\n", ""},
    {__LINE__, "GET /news" SHAKE "\r\n", 503, STOPPING, "Retry-After: 5\r\n"},
};

START_TEST(answers_at_once)
{
    struct unit u = draining();
    struct conn *c = client(&u, PLAIN);
    feed_str(&u, c, asks[_i].request);
    struct answer a = answer_only(&u, false);
    int line = asks[_i].line;
    ck_assert_msg(a.status == asks[_i].status, "line %d: %d", line, a.status);
    ck_assert_msg(asks[_i].body == NULL || span_eq(a.body, span_of(asks[_i].body)) ||
                      (a.status >= 400 && is_problem(&a, asks[_i].body)),
                  "line %d: %.*s", line, (int)a.body.n, a.body.p);
    ck_assert_msg(holds(a.head, asks[_i].fields), "line %d: %.*s", line, (int)a.head.n, a.head.p);
    ck_assert_msg(holds(a.head, "\r\nConnection: close\r\n"), "line %d", line);
    ck_assert_msg(c->state == CONN_LINGER && c->flags & CONN_CLOSE, "line %d", line);
    ck_assert_uint_eq(c->link.topic, 0);
    ck_assert_uint_eq(topic_count(&u.s->topics), 1);
    unit_free(&u);
}
END_TEST

/* A body that was on its way before. */
START_TEST(takes_the_rest)
{
    struct unit u = make(PLAIN);
    struct conn *c = client(&u, PLAIN);
    feed_str(&u, c, "POST /news" SIZED(3) "t");
    u.s->clients.draining = true;
    subscriber_send_away(u.s, c);
    ck_assert_uint_eq(c->state, CONN_BODY);
    ck_assert_uint_eq(u.s->ex.out.n, 0);
    feed_str(&u, c, "wo");
    struct answer a = answer_only(&u, false);
    ck_assert_int_eq(a.status, 201);
    ck_assert(holds(a.head, "\r\nConnection: close\r\n"));
    ck_assert_uint_eq(c->state, CONN_LINGER);
    unit_free(&u);
}
END_TEST

/* ---- who is there ---------------------------------------------------------------------------- */

/* A client that has asked so, and has been written what that brought; then the server drains. */
static struct conn *there(struct unit *u, const char *request)
{
    struct conn *c = client(u, PLAIN);
    feed_str(u, c, request);
    unit_clear(u);
    unit_log[0] = '\0';
    u->s->clients.draining = true;
    return c;
}

static void drain(struct unit *u, struct conn *c)
{
    subscriber_send_away(u->s, c);
    unit_take_out(u);
}

/* It has been answered for the last time and has left nothing behind. */
static bool is_away(const struct unit *u, const struct conn *c)
{
    return c->state == CONN_LINGER && c->flags & CONN_CLOSE && c->link.topic == 0 &&
           !conn_inside(c) && c->in == 0 &&
           topic_count(&u->s->topics) == (ring_count(&u->s->ring) > 0) &&
           topic_set_count(&u->s->topics) == 0;
}

START_TEST(streams)
{
    struct unit u = make(PLAIN);
    struct conn *c = there(&u, "GET /a,*" EVENTS_ASK "\r\n");
    drain(&u, c);
    ck_assert(span_eq(text_span(&u.got), SPAN("retry: 0\n\n")));
    ck_assert(is_away(&u, c));
    unit_free(&u);
    u = make(PLAIN);
    c = there(&u, "GET /a?wait=9" LINES_ASK "\r\n");
    ck_assert_uint_eq(c->state, CONN_STREAM);
    drain(&u, c);
    ck_assert_uint_eq(u.got.n, 0);
    ck_assert(is_away(&u, c));
    unit_free(&u);
}
END_TEST

/* They don't all come back at once. */
START_TEST(jitters)
{
    struct opt o = unit_opt();
    unsigned long least = 10000, most = 0;
    o.retry_ms = 2000;
    struct unit u = unit_make(&o);
    for (int i = 0; i < 200; i++) {
        struct conn *c = unit_open(&u, 3);
        u.s->clients.draining = false;
        feed_str(&u, c, "GET /a" EVENTS_ASK "\r\n");
        unit_clear(&u);
        u.s->clients.draining = true;
        drain(&u, c);
        ck_assert(span_begins(text_span(&u.got), SPAN("retry: ")));
        unsigned long ms = strtoul(u.got.p + 7, NULL, 10);
        least = ms < least ? ms : least;
        most = ms > most ? ms : most;
        queue_doom(&u.s->clients.conns, c);
        conn_free(&u.s->clients.conns, queue_take_doomed(&u.s->clients.conns));
    }
    ck_assert(least >= 1500 && least < 1600 && most <= 2500 && most > 2400);
    unit_free(&u);
}
END_TEST

/* The rest of a message that is partly out comes first; where that is gone, nothing does. */
START_TEST(inside_a_message)
{
    static const struct {
        const char *request;
        struct span last; /* what comes behind the message */
    } rows[] = {{"GET /a" EVENTS_ASK "\r\n", BYTES("retry: 0\n\n")},
                {"GET /a?wait=9" LINES_ASK "\r\n", BYTES("")},
                {"GET /a" SHAKE "\r\n", BYTES("\x88\x12\x03\xE9the server stops")}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (unsigned how = 0; how < 3; how++) { /* overtaken, or no room */
            struct unit u = make(PLAIN);
            struct conn *c = there(&u, rows[i].request);
            publish(&u, "a", SPAN("hello"));
            share_build(&u.s->ex.poll, &u.s->broker, c->link.topic, c->place.at, 0,
                        transport_form((enum conn_transport)c->transport), 1);
            char whole[500];
            struct text t = text_in(whole, sizeof(whole));
            for (unsigned k = 0; k < u.s->ex.poll.pieces; k++)
                text_add(&t,
                         (struct span){u.s->ex.poll.iov[k].iov_base, u.s->ex.poll.iov[k].iov_len});
            subscriber_sent(&u.s->broker, &u.s->stat, c, &u.s->ex.poll, 3);
            ck_assert(conn_out_keep(&u.s->clients.conns, c, SPAN("kept")));
            for (int k = 0; how == 1 && k < 300; k++)
                publish(&u, "a", SPAN(X398));
            while (how == 2 && pool_alloc(&u.s->clients.conns.buffers, 1) != 0)
                continue;
            drain(&u, c);
            struct span out = conn_out(&u.s->clients.conns, c);
            if (how == 0) {
                ck_assert(span_eq((struct span){out.p, t.n - 3}, span_from(text_span(&t), 3)));
                ck_assert(span_eq(span_from(out, t.n - 3), SPAN("kept")));
                ck_assert_msg(span_eq(text_span(&u.got), rows[i].last), "%zu: %.*s", i,
                              (int)u.got.n, u.got.p);
                ck_assert_uint_eq(u.s->stat.delivered, 1);
            } else {
                ck_assert(out.n == 0 && u.got.n == 0);
            }
            ck_assert(is_away(&u, c));
            unit_free(&u);
        }
    }
}
END_TEST

START_TEST(those_who_wait)
{
    static const struct {
        const char *fields;
        bool news;
        int status;
        const char *body;
    } rows[] = {
        {"\r\n", false, 204, ""},
        {"If-None-Match: *\r\n\r\n", false, 304, ""},
        {"Accept: text/plain\r\n\r\n", true, 200, "hello\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct unit u = make(PLAIN);
        char request[200];
        snprintf(request, sizeof(request), "GET /a?wait=9" H "%s", rows[i].fields);
        struct conn *c = there(&u, request);
        ck_assert_uint_eq(c->state, CONN_WAIT);
        if (rows[i].news)
            publish(&u, "a", SPAN("hello"));
        drain(&u, c);
        struct answer a = answer_only(&u, false);
        ck_assert_int_eq(a.status, rows[i].status);
        ck_assert(span_eq(a.body, span_of(rows[i].body)));
        ck_assert(holds(a.head, "\r\nConnection: close\r\n"));
        ck_assert(is_away(&u, c));
        unit_free(&u);
    }
    struct unit u = make(PLAIN); /* one that is woken, and not drained */
    struct conn *c = there(&u, "GET /a?wait=9" END);
    publish(&u, "a", SPAN("hello"));
    subscriber_wake(u.s, c, false);
    unit_take_out(&u);
    ck_assert(holds(answer_only(&u, false).head, "\r\nConnection: close\r\n"));
    ck_assert(is_away(&u, c));
    unit_free(&u);
}
END_TEST

START_TEST(sockets)
{
    struct unit u = make(PLAIN);
    struct conn *c = there(&u, "GET /a,b" SHAKE SOCKET_JSON "\r\n");
    ck_assert_uint_eq(c->state, CONN_SOCKET);
    drain(&u, c);
    ck_assert(span_eq(text_span(&u.got), SPAN("\x88\x12\x03\xE9the server stops")));
    ck_assert(is_away(&u, c));
    unit_free(&u);
}
END_TEST

START_TEST(others)
{
    struct unit u = make(PLAIN);
    struct conn *c = there(&u, "GET /a HTT");
    drain(&u, c);
    ck_assert_uint_eq(c->state, CONN_HEAD);
    feed_str(&u, c, "P/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    drain(&u, c);
    ck_assert_uint_eq(c->state, CONN_LINGER);
    ck_assert_int_eq(answer_only(&u, false).status, 204);
    unit_free(&u);
}
END_TEST

/* ---- main ---- */

int main(void)
{
    Suite *s = suite_create("drain");
    TCase *requests = tcase_create("requests"), *clients = tcase_create("clients");
    tcase_add_loop_test(requests, answers_at_once, 0, COUNT(asks));
    tcase_add_test(requests, takes_the_rest);
    suite_add_tcase(s, requests);
    tcase_add_test(clients, streams);
    tcase_add_test(clients, jitters);
    tcase_add_test(clients, inside_a_message);
    tcase_add_test(clients, those_who_wait);
    tcase_add_test(clients, sockets);
    tcase_add_test(clients, others);
    suite_add_tcase(s, clients);
    return run(s);
}
