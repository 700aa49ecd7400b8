/*
 * ready.c - /-/ready: without sockets, and end to end.
 */
#include "lib/serve/answer.h"
#include "lib/serve/conn.h"
#include "lib/serve/subscriber.h"
#include "test/kit/life.h"
#include "test/kit/serve_unit.h"

#define READY "GET /-/ready" END

/* ---- without sockets ------------------------------------------------------------------------- */

/* The loop's fan-out, for those who wait. */
static void fan(struct unit *u)
{
    struct topics *t = &u->s->topics;
    for (struct topic_walk w; topic_walk_begin(t, &w);) {
        while (topic_walk_left(&w)) {
            subscriber_wake(u->s, conn_of_link(topic_walk_next(t, &w)), false);
            unit_take_out(u);
        }
        ck_assert(topic_walk_end(t, &w));
        serve_release(&u->s->broker, w.id);
    }
}

/* What the loop does once eviction has emptied chains. */
static void reap(struct unit *u)
{
    while (broker_release_emptied(&u->s->broker)) {
    }
}

static uint64_t newest(const struct unit *u)
{
    return ring_newest(&u->s->ring).n;
}

/* Asks over connection `fd`, which has to wait. */
static struct conn *ask(struct unit *u, int fd, const char *request)
{
    struct conn *c = unit_open(u, fd);
    unit_clear(u);
    feed_str(u, c, request);
    ck_assert_uint_eq(c->state, CONN_WAIT);
    ck_assert_uint_eq(u->got.n, 0);
    return c;
}

/* The same without waiting, on one that is there. */
static struct answer ask_at_once(struct unit *u, struct conn *c, const char *request)
{
    unit_clear(u);
    feed_str(u, c, request);
    ck_assert_uint_ne(c->state, CONN_WAIT);
    return answer_only(u, request[0] == 'H');
}

static bool is_ready(const struct answer *a)
{
    return a->status == 200 && span_eq(a->body, SPAN("ready\n")) &&
           span_eq(field(a->head, "Content-Type"), SPAN("text/plain")) &&
           span_eq(field(a->head, "Cache-Control"), SPAN("no-store"));
}

START_TEST(comes_back)
{
    struct unit u = make(CORS);
    struct conn *c = ask(&u, 3, "GET /-/ready" H "Origin: https://a.example\r\n\r\n");
    fan(&u);
    ck_assert_uint_eq(newest(&u), 0);
    struct answer a = answer_only(&u, false);
    ck_assert(is_ready(&a));
    ck_assert(span_eq(field(a.head, "Access-Control-Allow-Origin"), SPAN("https://a.example")));
    ck_assert(field(a.head, "Connection").n == 0);
    ck_assert_uint_eq(c->state, CONN_HEAD);
    ck_assert_uint_eq(c->link.topic, 0);
    ck_assert(!conn_inside(c));
    ck_assert_str_eq(unit_log, "4 request method=GET path=/-/ready status=200 bytes=6 ms=0 way=own "
                               "peer=unknown\n");
    ck_assert_uint_eq(u.s->stat.published + u.s->stat.published_bytes + u.s->stat.delivered, 0);
    unit_free(&u);
}
END_TEST

/* Once a second at most, however many ask, is the fan-out waited for. */
START_TEST(seldom)
{
    struct unit u = make(PLAIN);
    struct conn *c = ask(&u, 3, READY), *d = ask(&u, 4, READY);
    fan(&u);
    struct span got = text_span(&u.got);
    for (int i = 0; i < 2; i++) {
        struct answer a = answer_cut(u.s, &got, false);
        ck_assert(is_ready(&a));
    }
    ck_assert_uint_eq(got.n, 0);
    for (int i = 0; i < 3; i++) {
        struct answer a = ask_at_once(&u, i == 1 ? d : c, READY);
        ck_assert(is_ready(&a));
        u.s->clock.now += 499;
    }
    u.s->clock.now += 1;
    unit_clear(&u);
    feed_str(&u, c, READY);
    ck_assert_uint_eq(c->state, CONN_WAIT);
    fan(&u);
    struct answer a = answer_only(&u, false);
    ck_assert(is_ready(&a));
    unit_free(&u);
}
END_TEST

/* Those who ask while others wait are told with them, also where the fan-out has begun. */
START_TEST(joins)
{
    struct unit u = make(PLAIN);
    ask(&u, 3, READY);
    u.s->clock.now += 999;
    uint32_t id = topic_queue_first(&u.s->topics);
    ck_assert_uint_ne(id, 0);
    topic_queue_drop(&u.s->topics); /* it did not get that far */
    ask(&u, 4, READY);
    u.s->clock.now += 1;
    ask(&u, 5, READY); /* the first one is late */
    fan(&u);
    ck_assert_uint_eq(times(text_span(&u.got), "ready\n"), 3);
    for (int fd = 3; fd < 6; fd++)
        ck_assert_uint_eq(u.s->clients.conns.conn[fd].state, CONN_HEAD);
    unit_free(&u);
}
END_TEST

/* Whatever the ring has gone through, and however often one asks, nothing of it is changed. */
START_TEST(costs_no_ring)
{
    struct unit u = make(PLAIN);
    struct conn *c = unit_open(&u, 3);
    for (unsigned i = 0; i < 1000; i++) {
        for (unsigned k = 0; k < i % 3; k++)
            publish(&u, i % 2 == 0 ? "a" : "b", i % 7 == 0 ? SPAN(X398) : SPAN("x"));
        reap(&u);
        if (i % 50 == 49)
            ring_expire(&u.s->ring, UINT64_MAX, 1000); /* there may be nothing in it */
        reap(&u);
        uint64_t head = ring_head(&u.s->ring), tail = ring_tail(&u.s->ring), n = newest(&u);
        unit_clear(&u);
        feed_str(&u, c, READY);
        ck_assert_uint_eq(c->state, CONN_WAIT);
        fan(&u);
        struct answer a = answer_only(&u, false);
        ck_assert_msg(is_ready(&a), "%u", i);
        ck_assert_uint_eq(ring_head(&u.s->ring), head);
        ck_assert_uint_eq(ring_tail(&u.s->ring), tail);
        ck_assert_uint_eq(newest(&u), n);
        ck_assert_uint_eq(u.s->ready.topic, 0); /* and no topic is left */
        u.s->clock.now += 1000;
    }
    unit_free(&u);
}
END_TEST

/* A ring that is not as it should be is not ready. */
START_TEST(sees_a_broken_ring)
{
    for (int i = 0; i < 3; i++) {
        struct unit u = make(PLAIN);
        publish(&u, "a", SPAN("1"));
        publish(&u, "b", SPAN("2"));
        struct ring_head *h = u.s->ring.h;
        uint64_t at = ring_find(&u.s->ring, 1);
        struct ring_record *rec = (struct ring_record *)(uintptr_t)ring_at(&u.s->ring, at);
        if (i == 0)
            rec->n = 7;
        else if (i == 1)
            chain_at(&u.s->broker.chains, broker_topic(&u.s->broker, at))->last =
                ring_tail(&u.s->ring);
        else
            h->n = 3;
        ask(&u, 3, READY);
        fan(&u);
        struct answer a = answer_only(&u, false);
        ck_assert_int_eq(a.status, 503);
        ck_assert(is_problem(&a, "the newest message is not where the ring should have it"));
        ck_assert_uint_eq(u.s->ready.ok_ms, 0);
        unit_free(&u);
    }
}
END_TEST

START_TEST(as_it_was_asked)
{
    static const struct {
        const char *request, *field;
        bool goes_on;
    } rows[] = {
        {"HEAD /-/ready" END, NULL, true},
        {"HEAD /-/ready?x" H "Connection: close\r\n\r\n", "Connection: close\r\n", false},
        {"GET /-/ready HTTP/1.0\r\n\r\n", "Connection: close\r\n", false},
        {"GET /-/ready HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "Connection: keep-alive\r\n",
         true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct unit u = make(PLAIN);
        struct conn *c = ask(&u, 3, rows[i].request);
        fan(&u);
        struct answer a = answer_only(&u, rows[i].request[0] == 'H');
        ck_assert_int_eq(a.status, 200);
        ck_assert(span_eq(field(a.head, "Content-Length"), SPAN("6")));
        ck_assert(rows[i].field == NULL || holds(a.head, rows[i].field));
        ck_assert_uint_eq(c->state, rows[i].goes_on ? CONN_HEAD : CONN_LINGER);
        unit_free(&u);
    }
    struct unit u = make(PLAIN);
    struct conn *c = client(&u, PLAIN);
    feed_str(&u, c, "POST /-/ready" SIZED(0));
    ck_assert_int_eq(answer_only(&u, false).status, 405);
    ck_assert_uint_eq(newest(&u), 0);
    unit_free(&u);
}
END_TEST

START_TEST(late)
{
    struct opt o = unit_opt();
    o.request_timeout_ms = 700;
    struct unit u = unit_make(&o);
    static const struct conn_times waits = {.request = 1};
    for (int head = 0; head < 2; head++) {
        struct conn *c = ask(&u, 3 + head, head ? "HEAD /-/ready" END : READY);
        u.s->clock.now += 699;
        ck_assert_int_eq(conn_due(c, u.s->clock.now, &waits), CONN_DUE_NOTHING);
        u.s->clock.now += 1;
        ck_assert_int_eq(conn_due(c, u.s->clock.now, &waits), CONN_DUE_ANSWER);
        subscriber_wake(u.s, c, true);
        unit_take_out(&u);
        struct answer a = answer_only(&u, head != 0);
        ck_assert_int_eq(a.status, 503);
        ck_assert(head || is_problem(&a, "the fan-out did not come by in time "
                                         "(--request-timeout)"));
        ck_assert_uint_eq(c->state, CONN_HEAD);
        fan(&u);
    }
    unit_free(&u);
}
END_TEST

START_TEST(drains)
{
    struct unit u = make(PLAIN);
    struct conn *c = ask(&u, 3, READY), *d = ask(&u, 4, READY);
    u.s->clients.draining = true;
    subscriber_send_away(u.s, c);
    unit_take_out(&u);
    struct answer a = answer_only(&u, false);
    ck_assert_int_eq(a.status, 503);
    ck_assert(is_problem(&a, "draining"));
    ck_assert(holds(a.head, "\r\nConnection: close\r\n"));
    ck_assert_uint_eq(c->state, CONN_LINGER);
    fan(&u); /* one that it reached before */
    ck_assert_uint_eq(d->state, CONN_LINGER);
    a = ask_at_once(&u, unit_open(&u, 5), READY);
    ck_assert_int_eq(a.status, 503);
    ck_assert(is_problem(&a, "draining"));
    unit_free(&u);
}
END_TEST

/* Nobody sees its topic, and it takes nobody's place. */
START_TEST(unseen)
{
    struct opt o = unit_opt();
    o.max_topics = 1;
    o.retry_ms = 0;
    struct unit u = unit_make(&o);
    struct conn *c = ask(&u, 3, READY);
    struct conn *waits = ask(&u, 4, "GET /**?wait=5" END);
    fan(&u);
    ck_assert_uint_eq(waits->state, CONN_WAIT);
    ck_assert_uint_eq(c->state, CONN_HEAD);
    static const char *const asks[] = {"GET /**" END, "GET /*,a?since=earliest" END,
                                       "GET /**?conflate&since=earliest" END};
    for (size_t i = 0; i < COUNT(asks); i++) {
        struct answer a = ask_at_once(&u, c, asks[i]);
        ck_assert_int_eq(a.status, 204);
        ck_assert(span_eq(field(a.head, "Last-Event-ID"), SPAN("1000-0")));
    }
    static const char *const wrong[] = {"GET /-ready" END, "GET /%2Dready" END, "GET /-*" END,
                                        "POST /-ready" SIZED(0), "GET /a,-ready" END};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct answer a = ask_at_once(&u, c, wrong[i]);
        ck_assert_msg(a.status == (i < 4 ? 404 : 400), "%s: %d", wrong[i], a.status);
    }
    /* there is room for one topic of theirs, and no more, while it is there and after */
    publish(&u, "a", SPAN("1"));
    u.s->clock.now += 1000;
    for (int i = 0; i < 2; i++) {
        struct conn *d = i == 0 ? ask(&u, 5, READY) : NULL;
        ck_assert((u.s->ready.topic != 0) == (i == 0));
        struct answer a = ask_at_once(&u, c, "POST /b" SIZED(0));
        ck_assert_int_eq(a.status, 503);
        a = ask_at_once(&u, c, "GET /-/metrics" END);
        ck_assert(holds(a.body, "\nsse_topics 1\n"));
        fan(&u);
        ck_assert(d == NULL || d->state == CONN_HEAD);
        u.s->clock.now += 1000;
    }
    unit_clear(&u);
    feed_str(&u, c, READY); /* there is room for it again */
    ck_assert_uint_eq(c->state, CONN_WAIT);
    fan(&u);
    struct answer a = answer_only(&u, false);
    ck_assert(is_ready(&a));
    unit_free(&u);
}
END_TEST

/* ---- end to end ------------------------------------------------------------------------------ */

static struct e2e_server s;
static struct e2e_response r;

START_TEST(test_ready)
{
    unsigned long long first, last;
    e2e_start(&s, NULL);
    struct e2e_conn *all = e2e_subscribe(&s, "/**", NULL), *c = e2e_open(&s);
    ck_assert_int_eq(sscanf(e2e_publish(&s, "/a", "1"), "%*u-%llu", &first), 1);
    e2e_expect_message(all, "a", "1", NULL);
    for (int i = 0; i < 200; i++) {
        e2e_send(c, i % 2 == 0 ? "GET /-/ready HTTP/1.1\r\nHost: t\r\n\r\n"
                               : "HEAD /-/ready HTTP/1.1\r\nHost: t\r\n\r\n");
        if (i % 2 == 0)
            e2e_response(c, &r);
        else
            e2e_response_head(c, &r);
        e2e_expect_status(&r, 200, NULL);
        ck_assert_str_eq(r.body, i % 2 == 0 ? "ready\n" : "");
    }
    ck_assert_int_eq(sscanf(e2e_publish(&s, "/a", "2"), "%*u-%llu", &last), 1);
    ck_assert_uint_eq(last, first + 1);      /* none of them took an id */
    e2e_expect_message(all, "a", "2", NULL); /* and nothing in between */
    metric_becomes(&s, "messages_published_total", 2);
    metric_becomes(&s, "messages_delivered_total", 2);
    e2e_stop(&s);
}
END_TEST

/* Many at once are all told. */
START_TEST(test_crowd)
{
    struct e2e_conn *c[50];
    e2e_start(&s, NULL);
    for (size_t i = 0; i < COUNT(c); i++)
        c[i] = e2e_open(&s);
    for (size_t i = 0; i < COUNT(c); i++)
        e2e_send(c[i], "GET /-/ready HTTP/1.1\r\nHost: t\r\n\r\n");
    for (size_t i = 0; i < COUNT(c); i++) {
        e2e_response(c[i], &r);
        e2e_expect_status(&r, 200, NULL);
    }
    e2e_stop(&s);
}
END_TEST

/* ---- main ---- */

int main(void)
{
    Suite *suite = suite_create("ready");
    TCase *unit = tcase_create("unit"), *loop = tcase_create("end to end");
    tcase_add_test(unit, comes_back);
    tcase_add_test(unit, seldom);
    tcase_add_test(unit, joins);
    tcase_add_test(unit, as_it_was_asked);
    tcase_add_test(unit, late);
    tcase_add_test(unit, drains);
    tcase_add_test(unit, unseen);
    tcase_add_test(unit, costs_no_ring);
    tcase_add_test(unit, sees_a_broken_ring);
    suite_add_tcase(suite, unit);
    tcase_set_timeout(loop, 60);
    tcase_add_test(loop, test_ready);
    tcase_add_test(loop, test_crowd);
    suite_add_tcase(suite, loop);
    return run(suite);
}
