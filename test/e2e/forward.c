/*
 * forward.c - end to end: who the client is behind --trust-proxy and --proxy-protocol, over real
 * sockets, with headers as proxies write them. Behind real proxies: test/e2e/proxy.c.
 */
#include "test/kit/e2e.h"
#include "test/kit/kit.h"
#include "test/kit/socket.h"

#include <string.h>
#include <unistd.h>

static struct e2e_server s;
static struct e2e_response r;

/* ---- --trust-proxy --------------------------------------------------------------------------- */

enum { V4, V6, LOCAL_SOCKET }; /* the server's addresses, in their order */

static char place[64];

/* Starts a server at three addresses, that trusts one kind of peer. */
static void begin(const char *trusted)
{
    snprintf(place, sizeof place, "unix:/tmp/sse-forward-%d.sock", (int)getpid());
    e2e_start(&s, "--bind", "127.0.0.1", "--bind", "::1", "--bind", place, "--trust-proxy", trusted,
              NULL);
}

static void publish_over(struct e2e_conn *c, const char *fields)
{
    e2e_printf(c, "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n%s\r\nx", fields);
    e2e_response(c, &r);
}

#define XFF   "X-Forwarded-For: "
#define FWD   "Forwarded: "
#define OPENS "--anonymous publish opens it to all"

static const struct {
    int line;
    const char *trusted;
    unsigned at;
    const char *fields;
    const char *refusal; /* a part of it; NULL: it may publish */
} rows[] = {
    {__LINE__, "127.0.0.1", V4, "", "the proxy 127.0.0.1 (--trust-proxy), which named no client"},
    {__LINE__, "127.0.0.1", V4, XFF "203.0.113.7\r\n",
     "127.0.0.1 (--trust-proxy), for 203.0.113.7; "},
    {__LINE__, "127.0.0.1", V4, XFF "127.0.0.1\r\n", NULL},
    {__LINE__, "127.0.0.1", V4, XFF "127.0.0.1, 203.0.113.7\r\n", "for 203.0.113.7; " OPENS},
    {__LINE__, "127.0.0.1", V4, XFF "203.0.113.7\r\n" XFF "::1\r\n", NULL},
    {__LINE__, "127.0.0.1", V4, FWD "for=203.0.113.7\r\n", "for 203.0.113.7; "},
    {__LINE__, "127.0.0.1", V4, FWD "for=\\\"[2001:db8::1]:80\\\"\r\n", "address it does not tell"},
    {__LINE__, "127.0.0.1", V4, FWD "for=\"[2001:db8::1]:80\";proto=https\r\n",
     "for 2001:db8::/64; "},
    {__LINE__, "127.0.0.1", V4, FWD "for=127.0.0.1;by=_x\r\n", NULL},
    {__LINE__, "127.0.0.1", V4, FWD "for=unknown\r\n", "address it does not tell"},
    {__LINE__, "127.0.0.1", V4, FWD "for=127.0.0.1\r\n" XFF "203.0.113.7\r\n", "name two clients"},
    {__LINE__, "127.0.0.1", V4, FWD "for=127.0.0.1\r\n" XFF "127.0.0.1\r\n", NULL},
    {__LINE__, "127.0.0.1", V6, "", NULL}, /* it is no proxy */
    {__LINE__, "127.0.0.1", V6, XFF "203.0.113.7\r\n", NULL},
    {__LINE__, "127.0.0.1", LOCAL_SOCKET, XFF "203.0.113.7\r\n", NULL},
    {__LINE__, "127.0.0.0/8", V4, "", "which named no client"},
    {__LINE__, "::1", V6, "", "the proxy ::/64 (--trust-proxy), which named no client"},
    {__LINE__, "::1", V6, XFF "203.0.113.7\r\n", "for 203.0.113.7; "},
    {__LINE__, "::1", V4, XFF "203.0.113.7\r\n", NULL},
    {__LINE__, "unix", LOCAL_SOCKET, "",
     "the proxy at a unix socket (--trust-proxy), which named no client"},
    {__LINE__, "unix", LOCAL_SOCKET, XFF "203.0.113.7\r\n", "for 203.0.113.7; "},
    {__LINE__, "unix", LOCAL_SOCKET, XFF "::1\r\n", NULL},
    {__LINE__, "unix", V4, XFF "203.0.113.7\r\n", NULL},
    {__LINE__, "10.0.0.0/8", V4, XFF "203.0.113.7\r\n", NULL},
};

START_TEST(tells_clients_apart)
{
    begin(rows[_i].trusted);
    publish_over(e2e_open_at(&s, rows[_i].at), rows[_i].fields);
    if (r.status != (rows[_i].refusal == NULL ? 201 : 403))
        e2e_fail("line %d: %s%s", rows[_i].line, r.head, r.body);
    e2e_expect_status(&r, r.status, rows[_i].refusal);
    e2e_stop(&s);
}
END_TEST

/* A proxy keeps its connections, and sends over them what comes from anyone. */
START_TEST(many_over_one)
{
    begin("127.0.0.1");
    struct e2e_conn *c = e2e_open_at(&s, V4);
    for (unsigned i = 0; i < 10; i++) {
        e2e_printf(c, "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n" XFF "%s\r\n\r\n",
                   i % 2 == 0 ? "127.0.0.1" : "203.0.113.7");
        e2e_response(c, &r);
        e2e_expect_status(&r, i % 2 == 0 ? 201 : 403, i % 2 == 0 ? NULL : "203.0.113.7");
        e2e_printf(c, "GET /news HTTP/1.1\r\nHost: test\r\n" XFF "203.0.113.7\r\n\r\n");
        e2e_response(c, &r);
        e2e_expect_status(&r, 200, NULL);
    }
    /* a body that is not here yet, and one in chunks */
    e2e_printf(c, "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n" XFF "::1\r\n\r\na");
    e2e_sleep_ms(20);
    e2e_send(c, "b");
    e2e_response(c, &r);
    e2e_expect_status(&r, 201, NULL);
    e2e_printf(c, "POST /news HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n"
                  "Content-Type: application/x-ndjson\r\n" XFF "::1\r\n\r\n");
    for (unsigned i = 0; i < 3; i++) {
        e2e_sleep_ms(20);
        e2e_send(c, "2\r\n7\n\r\n");
    }
    e2e_send(c, "0\r\n\r\n");
    e2e_response(c, &r);
    e2e_expect_status(&r, 201, NULL);
    ck_assert_ptr_nonnull(strstr(r.body, "\"count\":3,"));
    e2e_stop(&s);
}
END_TEST

/* A WebSocket is its client's for good. */
START_TEST(sockets_are_told_apart)
{
    begin("127.0.0.1");
    struct e2e_conn *here = socket_open_json(&s, "/news", XFF "127.0.0.1\r\n"),
                    *there = socket_open_json(&s, "/news", XFF "203.0.113.7\r\n"),
                    *nobody = socket_open(&s, "/news", NULL);
    socket_text(here, "{\"data\":\"x\"}");
    socket_expect_in(here, "{\"ok\":");
    socket_expect_in(here, "\"data\":\"x\"");
    socket_expect_in(there, "\"data\":\"x\"");
    socket_text(there, "{\"data\":\"y\"}");
    socket_expect_in(there, "publishing is for clients on this host");
    socket_expect_text(nobody, "x");
    socket_text(nobody, "z");
    socket_expect_close(nobody, 1008);
    e2e_stop(&s);
}
END_TEST

/* ---- --proxy-protocol ------------------------------------------------------------------------ */

#define LINE(a) "PROXY TCP4 " a " 192.0.2.1 4711 80\r\n"
#define SIGN    "\r\n\r\n\0\r\nQUIT\n"
#define INET(a) SIGN "\x21\x11\0\x0C" a "\xC0\0\x02\x01\x12\x67\0\x50"

static const struct {
    int line;
    struct span header;
    bool allowed;
} headers[] = {
    {__LINE__, BYTES(LINE("203.0.113.7")), false},
    {__LINE__, BYTES(LINE("127.0.0.1")), true},
    {__LINE__, BYTES("PROXY TCP6 2001:db8::1 ::1 4711 80\r\n"), false},
    {__LINE__, BYTES("PROXY TCP6 ::1 ::1 4711 80\r\n"), true},
    {__LINE__, BYTES("PROXY UNKNOWN\r\n"), false},
    {__LINE__, BYTES(INET("\xCB\0\x71\x07")), false},
    {__LINE__, BYTES(INET("\x7F\0\0\x01")), true},
    {__LINE__, BYTES(SIGN "\x20\0\0\0"), true},
    {__LINE__, BYTES(SIGN "\x21\0\0\0"), false},
};

START_TEST(headers_tell_clients_apart)
{
    e2e_start(&s, "--proxy-protocol", NULL);
    for (unsigned how = 0; how < 3; how++) {
        struct e2e_conn *c = e2e_open(&s);
        for (size_t i = 0; i < headers[_i].header.n; i++) {
            if (how == 0) {
                e2e_send_n(c, headers[_i].header.p, headers[_i].header.n);
                break;
            }
            e2e_send_n(c, headers[_i].header.p + i, 1);
            if (how == 2)
                e2e_sleep_ms(2);
        }
        publish_over(c, how == 1 ? XFF "127.0.0.1\r\n" : "");
        e2e_expect_status(&r, headers[_i].allowed ? 201 : 403, NULL);
    }
    e2e_stop(&s);
}
END_TEST

/* Sends a header and a request, and returns the status. */
static int ask_as(const char *header, const char *request)
{
    struct e2e_conn *c = e2e_open(&s);
    e2e_printf(c, "%s%s", header, request);
    e2e_response(c, &r);
    return r.status;
}

#define HEALTHY "GET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n"
#define METRICS "GET /-/metrics HTTP/1.1\r\nHost: test\r\n\r\n"

/* A counter's line comes: what another worker counts is there once its turn is over. */
static void expect_counted(const char *line)
{
    for (int64_t deadline = e2e_now_ms() + E2E_WAIT_MS;; e2e_sleep_ms(5)) {
        ck_assert_int_eq(ask_as(LINE("203.0.113.9"), METRICS), 200);
        if (strstr(r.body, line) != NULL)
            return;
        if (e2e_now_ms() > deadline)
            e2e_fail("no %s in %s", line, r.body);
    }
}

/* Without a header there is no answer, but a count; nor for one that never comes. */
START_TEST(a_header_is_due)
{
    static const char *const wrong[] = {HEALTHY, ("PROXY TCP4 1.2.3.4\r\n" HEALTHY), "PROXIES"};
    e2e_start(&s, "--proxy-protocol", "--request-timeout", "3s", NULL);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct e2e_conn *c = e2e_open(&s);
        e2e_send(c, wrong[i]);
        ck_assert(e2e_comes(c, E2E_WAIT_MS));
        ck_assert_uint_eq(c->n, 0);
        e2e_close(c);
    }
    struct e2e_conn *quiet = e2e_open(&s), *half = e2e_open(&s);
    e2e_send(half, "PROXY TCP4 ");
    e2e_expect_end(half);
    e2e_expect_end(quiet);
    expect_counted("\nsse_proxy_refused_total 3\n");
    expect_counted("\nsse_timeout_request_total 2\n");
    e2e_stop(&s);
}
END_TEST

/* --max-per-address counts whom the headers tell of. */
START_TEST(counted_by_header)
{
    e2e_start(&s, "--proxy-protocol", "--max-per-address", "2", NULL);
    for (unsigned i = 0; i < 6; i++)
        ck_assert_int_eq(ask_as(i % 2 == 0 ? LINE("203.0.113.7") : LINE("203.0.113.8"),
                                "GET /-/sse.js HTTP/1.1\r\nHost: test\r\n\r\n"),
                         i < 4 ? 200 : 503);
    ck_assert_ptr_nonnull(strstr(r.body, "--max-per-address"));
    expect_counted("\nsse_limit_max_per_address_total 2\n");
    e2e_stop(&s);
}
END_TEST

/* Behind both: a header from the balancer, a field from the proxy that it stands before. */
START_TEST(a_proxy_behind_a_balancer)
{
    e2e_start(&s, "--proxy-protocol", "--trust-proxy", "127.0.0.1", "--trust-proxy", "10.0.0.0/8",
              "--max-per-address", "1", NULL);
    for (unsigned i = 0; i < 3; i++) {
        struct e2e_conn *c = e2e_open(&s);
        e2e_send(c, LINE("10.0.0.9"));
        publish_over(c, XFF "203.0.113.7\r\n");
        e2e_expect_status(&r, 403, "the proxy 10.0.0.9 (--trust-proxy), for 203.0.113.7; ");
        e2e_send(c = e2e_open(&s), LINE("10.0.0.9"));
        publish_over(c, XFF "127.0.0.1\r\n"); /* of another host */
        e2e_expect_status(&r, 403, "for 127.0.0.1; ");
    }
    e2e_stop(&s);
    e2e_start(&s, "--proxy-protocol", "--trust-proxy", "10.0.0.0/8", NULL);
    struct e2e_conn *c = e2e_open(&s);
    e2e_expect_end(c); /* nobody here is one of those */
    e2e_stop(&s);
}
END_TEST

/* ---- the flags ------------------------------------------------------------------------------- */

START_TEST(wrong_flags)
{
    static const struct {
        const char *value, *right;
    } wrong[] = {
        {"localhost", "must be an IPv4 or IPv6 address, a network as 10.0.0.0/8, or unix"},
        {"10.0.0.1/8", "is no network: it has bits behind those that count"},
        {"10.0.0.0/33", "must have 0 to 32 bits behind the /"},
    };
    static char out[E2E_OUTPUT], err[E2E_OUTPUT];
    char want[256];
    for (size_t i = 0; i < COUNT(wrong); i++) {
        const char *const flags[] = {"--trust-proxy", wrong[i].value, NULL};
        ck_assert_int_eq(e2e_run(flags, out, err), 64);
        snprintf(want, sizeof want, "sse: --trust-proxy %s: %s (", wrong[i].value, wrong[i].right);
        ck_assert_msg(strncmp(err, want, strlen(want)) == 0, "%s", err);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("forward");
    TCase *t = tcase_create("fields");
    tcase_set_timeout(t, 30);
    tcase_add_loop_test(t, tells_clients_apart, 0, COUNT(rows));
    tcase_add_test(t, many_over_one);
    tcase_add_test(t, sockets_are_told_apart);
    suite_add_tcase(suite, t);
    t = tcase_create("headers");
    tcase_set_timeout(t, 30);
    tcase_add_loop_test(t, headers_tell_clients_apart, 0, COUNT(headers));
    tcase_add_test(t, a_header_is_due);
    tcase_add_test(t, counted_by_header);
    tcase_add_test(t, a_proxy_behind_a_balancer);
    tcase_add_test(t, wrong_flags);
    suite_add_tcase(suite, t);
    return run(suite);
}
