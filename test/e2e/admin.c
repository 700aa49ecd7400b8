/*
 * admin.c - who has rights by its place, end to end: which Host a request may name (--host), whose
 * pages are the server's own, and what is at the addresses of --admin.
 */
#include "test/kit/socket.h"
#include "test/kit/tokens.h"

#include <sysexits.h>

static struct e2e_server s;
static struct e2e_response r;

/* ---- Host ------------------------------------------------------------------------------------ */

/* Publishes over c with these field lines, Host among them. */
static int publish_on(struct e2e_conn *c, const char *version, const char *fields)
{
    e2e_printf(c, "POST /a HTTP/%s\r\n%sContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
               version, fields);
    e2e_response(c, &r);
    return r.status;
}

static int publish(const char *version, const char *fields)
{
    struct e2e_conn *c = e2e_open(&s);
    int status = publish_on(c, version, fields);
    e2e_close(c);
    return status;
}

static const struct {
    const char *host;
    bool own;
} hosts[] = {
    {"127.0.0.1", true},
    {"127.0.0.1:1", true}, /* the port does not matter */
    {"127.1.2.3:8080", true},
    {"[::1]:8080", true},
    {"[::ffff:127.0.0.1]", true},
    {"localhost", true},
    {"LOCALHOST:8080", true},
    {"localhost.", true},
    {"a.localhost", true},
    {"Events.Example", true},
    {"events.example.:443", true},
    {"192.0.2.7", true},
    {"[2001:DB8:0::7]:80", true},
    {"[2001:db8::8]", false},
    {"192.0.2.8", false},
    {"192.0.2.7.example", false},
    {"evil.example", false},
    {"evil.example:8080", false},
    {"events.example.evil", false},
    {"xevents.example", false},
    {"x.events.example", false},
    {"localhost.evil.example", false},
    {"notlocalhost", false},
    {".localhost", false},
    {"localhost..", false},
    {"127.0.0.1.evil.example", false},
    {"127.1", false},
    {"0x7f.0.0.1", false},
    {"2130706433", false},
    {"0.0.0.0", false},
    {"[::]", false},
    {"unix:a", false},
    {"%6cocalhost", false},
    {":8080", false},
};

/* A page whose name was pointed at this host after it was loaded connects from here, and its
 * browser takes it for one of the server's own; its Host gives it away. */
START_TEST(only_its_own_names)
{
    e2e_start(&s, "--host", "events.example", "--host", "192.0.2.7", "--host", "2001:db8::7", NULL);
    struct e2e_conn *kept = e2e_open(&s);
    for (size_t i = 0; i < COUNT(hosts); i++) {
        char fields[256], host[128];
        snprintf(host, sizeof host, "Host: %s\r\n", hosts[i].host);
        snprintf(fields, sizeof fields, "%sOrigin: http://%s\r\nSec-Fetch-Site: same-origin\r\n",
                 host, hosts[i].host);
        int want = hosts[i].own ? 201 : strchr(hosts[i].host, 'u') == hosts[i].host ? 400 : 403;
        ck_assert_msg(publish("1.1", fields) == want, "%s: %d", hosts[i].host, r.status);
        if (want == 400)
            continue;
        ck_assert_msg(hosts[i].own || strstr(r.body, "--host ") != NULL, "%s", r.body);
        /* one connection has requests of all kinds: none counts for the next */
        ck_assert_int_eq(publish_on(kept, "1.1", host), want);
        for (int topics = 0; topics < 2; topics++) {
            e2e_ask(&s, &r, "GET /-/%s HTTP/1.1\r\n%s\r\n", topics ? "topics" : "metrics", host);
            ck_assert_msg(r.status == (hosts[i].own ? 200 : 403), "%s: %d", host, r.status);
            ck_assert_msg(hosts[i].own || strstr(r.body, "--host ") != NULL, "%s", r.body);
        }
        e2e_ask(&s, &r, "GET /-/ready HTTP/1.1\r\n%s\r\n", host);
        e2e_expect_status(&r, 200, NULL);
    }
    e2e_stop(&s);
}
END_TEST

/* No browser leaves Host out; a target that has a host overrides it. */
START_TEST(without_a_host)
{
    e2e_start(&s, NULL);
    ck_assert_int_eq(publish("1.0", ""), 201);
    ck_assert_int_eq(publish("1.1", "Host:\r\n"), 201);
    ck_assert_int_eq(publish("1.0", "Host: evil.example\r\n"), 403);
    e2e_ask(&s, &r,
            "POST http://evil.example/a HTTP/1.1\r\nHost: localhost\r\n"
            "Content-Length: 0\r\n\r\n");
    e2e_expect_status(&r, 403, "--host evil.example");
    e2e_ask(&s, &r,
            "POST http://localhost/a HTTP/1.1\r\nHost: evil.example\r\n"
            "Content-Length: 0\r\n\r\n");
    e2e_expect_status(&r, 201, NULL);
    e2e_ask(&s, &r, "GET /-/metrics HTTP/1.0\r\n\r\n");
    e2e_expect_status(&r, 200, NULL);
    ck_assert_ptr_nonnull(strstr(r.body, "\nsse_host_refused_total 2\n"));
    e2e_stop(&s);
}
END_TEST

/* An address that it is bound to names it; where that is all, each address does. */
START_TEST(bound_addresses)
{
    static const struct {
        const char *bind, *host;
        bool own;
    } rows[] = {
        {"0.0.0.0", "192.0.2.9", true},  {"0.0.0.0", "[2001:db8::9]", false},
        {"::", "192.0.2.9", true},       {"::", "[2001:db8::9]", true},
        {"0.0.0.0", "a.example", false}, {"127.0.0.2", "192.0.2.9", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char fields[64];
        e2e_start(&s, "--bind", "127.0.0.1", "--bind", rows[i].bind, "--port", "0", "--log",
                  "error", NULL);
        snprintf(fields, sizeof fields, "Host: %s\r\n", rows[i].host);
        ck_assert_msg(publish("1.1", fields) == (rows[i].own ? 201 : 403), "%zu", i);
        e2e_stop(&s);
    }
}
END_TEST

/* At a unix socket it is the same: proxies in front of one pass the names on that browsers have. */
START_TEST(unix_sockets)
{
    char bind[300];
    program_make();
    snprintf(bind, sizeof bind, "unix:%s", in_dir("s"));
    e2e_start(&s, "--bind", bind, NULL);
    ck_assert_int_eq(publish("1.1", "Host: localhost\r\n"), 201);
    ck_assert_int_eq(publish("1.1", "Host: evil.example\r\n"), 403);
    e2e_stop(&s);
    program_remove();
}
END_TEST

/* A WebSocket has what its handshake had. */
START_TEST(sockets_by_their_handshake)
{
    e2e_start(&s, NULL);
    for (int own = 0; own < 2; own++) {
        struct e2e_conn *c = e2e_open(&s);
        e2e_printf(c,
                   "GET /a HTTP/1.1\r\nHost: %s\r\nOrigin: http://%s\r\nUpgrade: websocket\r\n"
                   "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" SOCKET_JSON SOCKET_KEY
                   "\r\n",
                   own ? "localhost" : "evil.example", own ? "localhost" : "evil.example");
        e2e_until(c, "\r\n\r\n");
        ck_assert_int_eq(strncmp(c->buf, "HTTP/1.1 101 ", 13), 0);

        socket_text(c, "{\"data\":\"x\"}");
        const char *want = own ? "{\"ok\":"
                               : "{\"error\":\"publishing is for clients on this host; "
                                 "the Host of this WebSocket's handshake";
        e2e_until(c, want);
        if (!own)
            e2e_until(c, "--host NAME");
        e2e_close(c);
    }
    e2e_stop(&s);
}
END_TEST

/* ---- Origin ---------------------------------------------------------------------------------- */

static const struct {
    const char *fields;
    bool proxied; /* --trust-proxy */
    int status;
} origins[] = {
    {"Origin: http://localhost\r\n", false, 201},
    {"Origin: https://localhost\r\n", false, 201}, /* a proxy may speak TLS */
    {"Origin: http://localhost:8080\r\n", false, 403},
    {"Origin: null\r\n", false, 403},
    {"Origin: https://localhost\r\nX-Forwarded-Proto: http\r\n", false, 201}, /* anyone's word */
    {"Origin: https://localhost\r\n", true, 201},
    {"Origin: https://localhost\r\nX-Forwarded-Proto: https\r\n", true, 201},
    {"Origin: http://localhost\r\nX-Forwarded-Proto: https\r\n", true, 403},
    {"Origin: https://localhost\r\nX-Forwarded-Proto: HTTP\r\n", true, 403},
    {"Origin: http://localhost\r\nX-Forwarded-Proto: https, http\r\n", true, 201}, /* unknown */
    {"Origin: http://localhost\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n", true,
     201},
    {"Origin: http://localhost\r\nForwarded: for=127.0.0.1;proto=https\r\n", true, 403},
    {"Origin: https://localhost\r\nForwarded: for=127.0.0.1;proto=https\r\n", true, 201},
    {"Origin: http://localhost\r\nForwarded: proto=http, for=127.0.0.1;Proto=\"https\"\r\n", true,
     403},
};

START_TEST(own_pages_by_scheme)
{
    for (int proxied = 0; proxied < 2; proxied++) {
        if (proxied)
            e2e_start(&s, "--trust-proxy", "127.0.0.1", NULL);
        else
            e2e_start(&s, NULL);
        for (size_t i = 0; i < COUNT(origins); i++) {
            char fields[300];
            if (origins[i].proxied != proxied)
                continue;
            snprintf(fields, sizeof fields, "Host: localhost\r\n%s%s",
                     strstr(origins[i].fields, "Forwarded:") == NULL
                         ? "X-Forwarded-For: 127.0.0.1\r\n"
                         : "",
                     origins[i].fields);
            ck_assert_msg(publish("1.1", fields) == origins[i].status, "%s: %d %s",
                          origins[i].fields, r.status, r.body);
            ck_assert_ptr_null(strstr(r.body, "--cors null"));
        }
        e2e_stop(&s);
    }
}
END_TEST

/* Any page can be of origin null: it gets no credentials, and nobody is told to allow it. */
START_TEST(null_is_no_origin)
{
    program_make();
    const char *token = token_good("[\"**\"]", "[\"**\"]", 0);
    for (int listed = 0; listed < 2; listed++) {
        e2e_start(&s, "--key-file", keys_write(TOKENS_KEYS, 0600), "--cors",
                  listed ? "null" : "https://a.example", NULL);
        e2e_ask(&s, &r,
                "GET /a HTTP/1.1\r\nHost: test\r\nOrigin: null\r\nCookie: access_token=%s\r\n\r\n",
                token);
        e2e_expect_status(&r, 401, "does not count for pages of null");
        ck_assert_ptr_null(strstr(r.body, "--cors null"));
        ck_assert_ptr_null(e2e_field(&r, "Access-Control-Allow-Credentials"));
        ck_assert((e2e_field(&r, "Access-Control-Allow-Origin") != NULL) == listed);
        e2e_ask(&s, &r,
                "OPTIONS /a HTTP/1.1\r\nHost: test\r\nOrigin: null\r\n"
                "Access-Control-Request-Method: PUT\r\n\r\n");
        ck_assert_ptr_null(e2e_field(&r, "Access-Control-Allow-Credentials"));
        e2e_ask(&s, &r,
                "GET /a HTTP/1.1\r\nHost: test\r\nOrigin: null\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" SOCKET_KEY "\r\n");
        e2e_expect_status(&r, listed ? 401 : 403, listed ? "takes a token" : "origin null");
        ck_assert_ptr_null(strstr(r.body, "--cors null"));
        e2e_stop(&s);
    }
    program_remove();
}
END_TEST

/* ---- --admin --------------------------------------------------------------------------------- */

/* What is asked at the address of --admin, and at the other. */
static const struct {
    const char *request;
    int admin, main;
} asks[] = {
    {"GET /-/healthy", 200, 200},
    {"GET /-/ready", 200, 200},
    {"HEAD /-/ready", 200, 200},
    {"GET /-/metrics", 200, 404},
    {"HEAD /-/metrics", 200, 404},
    {"GET /-/topics?limit=1", 200, 404},
    {"GET /", 404, 200},
    {"GET /-/sse.js", 404, 200},
    {"GET /a", 404, 200},
    {"GET /**?since=-1", 404, 200},
    {"POST /a", 404, 200},
    {"PATCH /a", 404, 405},
    {"GET /-/nope", 404, 404},
    {"GET /%2D/metrics", 404, 404},
    {"GET /-%2Fmetrics", 404, 404},
    {"POST /-/metrics", 405, 405},
    {"OPTIONS /-/metrics", 204, 204},
    {"OPTIONS /a", 404, 204},
    {"GET http://localhost/-/metrics", 200, 404},
};

static void asks_all(const char *fields)
{
    for (size_t i = 0; i < COUNT(asks); i++) {
        for (int admin = 0; admin < 2; admin++) {
            int want = admin ? asks[i].admin : asks[i].main;
            (admin ? e2e_ask_admin : e2e_ask)(&s, &r, "%s HTTP/1.1\r\nHost: localhost\r\n%s%s\r\n",
                                              asks[i].request, fields,
                                              asks[i].request[0] == 'P'
                                                  ? "Content-Type: application/x-ndjson\r\n"
                                                    "Content-Length: 0\r\n"
                                                  : "");
            ck_assert_msg(r.status == want, "%s, %d: %d %s", asks[i].request, admin, r.status,
                          r.body);
            if (want == 404 && asks[i].request[0] != 'H')
                ck_assert_msg((strstr(r.body, "--admin") != NULL) ==
                                  (admin || asks[i].admin == 200),
                              "%s: %s", asks[i].request, r.body);
            if (admin)
                ck_assert_ptr_null(e2e_field(&r, "Access-Control-Allow-Origin"));
        }
    }
}

START_TEST(admin_alone)
{
    char bind[300];
    program_make();
    snprintf(bind, sizeof bind, "unix:%s", in_dir("admin"));
    for (int i = 0; i < 4; i++) {
        e2e_start(&s, "--admin", i % 2 == 0 ? "127.0.0.1:0" : bind, "--admin", "[::1]:0", "--cors",
                  "*", "--key-file", i < 2 ? "none" : keys_write(TOKENS_KEYS, 0600), "--anonymous",
                  "publish,subscribe", NULL);
        e2e_publish(&s, "/a", "x");
        ck_assert_int_eq(strncmp(s.admin, i % 2 == 0 ? "http://127.0.0.1:" : "unix:/", 6), 0);
        asks_all("");
        asks_all("Origin: http://a.example\r\n");
        /* a name that was pointed here is none of the server's, and no token helps */
        e2e_ask_admin(&s, &r, "GET /-/metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n");
        e2e_expect_status(&r, 403, "--host evil.example");
        e2e_ask_admin(&s, &r, "GET /-/ready HTTP/1.1\r\nHost: evil.example\r\n\r\n");
        e2e_expect_status(&r, 200, NULL);
        upgrade(&s, 1); /* it stays what it is */
        asks_all("");
        e2e_stop(&s);
        ck_assert_int_eq(access(in_dir("admin"), F_OK), -1);
    }
    program_remove();
}
END_TEST

/* A wrong address is told of. */
START_TEST(wrong_addresses)
{
    static char out[E2E_OUTPUT], err[E2E_OUTPUT];
    static const char *const wrong[] = {"localhost:80", "127.0.0.1:", "127.0.0.1:65536",
                                        "[::1",         "[::1]80",    "::1:x",
                                        "unix:"};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        for (int bind = 0; bind < 2; bind++) {
            const char *flag = bind ? "--bind" : "--admin";
            ck_assert_int_eq(e2e_run((const char *const[]){flag, wrong[i], "--port", "0", NULL},
                                     out, err),
                             EX_USAGE);
            ck_assert_msg(strstr(err, flag) != NULL && strstr(err, wrong[i]) != NULL, "%s", err);
        }
    }
    e2e_start(&s, "--bind", "127.0.0.1:0", "--bind", "[::1]:0", NULL);
    const char *taken = strstr(s.address[0], "127.0.0.1:");
    ck_assert_int_eq(e2e_run((const char *const[]){"--admin", taken, "--port", "0", NULL}, out,
                             err),
                     EX_UNAVAILABLE);
    ck_assert_msg(strstr(err, taken) != NULL, "%s", err);
    e2e_stop(&s);
}
END_TEST

/* Those who ask there are let in where all other places are taken. */
START_TEST(admin_has_room)
{
    static struct e2e_conn *c[60], *admin[20];
    e2e_start(&s, "--admin", "127.0.0.1:0", "--max-connections", "5", "--max-per-address", "5",
              NULL);
    for (size_t i = 0; i < COUNT(c); i++)
        c[i] = e2e_open(&s);
    for (int i = 0; i < 5; i++)
        e2e_subscribe_on(c[i], "/a", NULL);
    e2e_ask(&s, &r, "GET /a HTTP/1.1\r\nHost: t\r\n\r\n");
    ck_assert_int_eq(r.status, 503);
    for (size_t i = 0; i < 16; i++) {
        admin[i] = e2e_open_admin(&s);
        e2e_send(admin[i], "GET /-/metrics HTTP/1.1\r\nHost: t\r\n\r\n");
        e2e_response(admin[i], &r);
        e2e_expect_status(&r, 200, NULL);
    }
    e2e_ask_admin(&s, &r, "GET /-/topics HTTP/1.1\r\nHost: t\r\n\r\n"); /* as any other */
    ck_assert_int_eq(r.status, 503);
    e2e_close(admin[0]);
    do /* the server may not have seen yet that one has gone */
        e2e_ask_admin(&s, &r, "GET /-/topics HTTP/1.1\r\nHost: t\r\n\r\n");
    while (r.status == 503);
    e2e_expect_status(&r, 200, NULL);
    e2e_stop(&s);
}
END_TEST

/* A PROXY header is not for those who ask there, and a proxy's word is not asked. */
START_TEST(admin_without_proxies)
{
    e2e_start(&s, "--admin", "127.0.0.1:0", "--proxy-protocol", "--trust-proxy", "192.0.2.1", NULL);
    e2e_ask_admin(&s, &r,
                  "GET /-/metrics HTTP/1.1\r\nHost: t\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n");
    e2e_expect_status(&r, 200, NULL);
    e2e_stop(&s);
}
END_TEST

/* ---- main ---- */

int main(void)
{
    Suite *suite = suite_create("admin");
    TCase *tc = tcase_create("admin");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, only_its_own_names);
    tcase_add_test(tc, without_a_host);
    tcase_add_test(tc, bound_addresses);
    tcase_add_test(tc, unix_sockets);
    tcase_add_test(tc, sockets_by_their_handshake);
    tcase_add_test(tc, own_pages_by_scheme);
    tcase_add_test(tc, null_is_no_origin);
    tcase_add_test(tc, admin_alone);
    tcase_add_test(tc, wrong_addresses);
    tcase_add_test(tc, admin_has_room);
    tcase_add_test(tc, admin_without_proxies);
    suite_add_tcase(suite, tc);
    return run(suite);
}
