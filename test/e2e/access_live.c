/*
 * access_live.c - tokens of what goes on for long, end to end: streams, sockets and bodies whose
 * token expires, wildcards that are narrowed, signed URLs, keys that change, upgrades.
 */
#include "test/kit/socket.h"
#include "test/kit/tokens.h"

static struct e2e_server s;
static struct e2e_response r;

enum { LASTS_S = 8 }; /* a token that expires in a test: long enough to be used before */

static void start(const char *flag, const char *value)
{
    program_make();
    e2e_start(&s, "--key-file", keys_write(TOKENS_KEYS, 0600), "--admin", "127.0.0.1:0",
              "--heartbeat", "1s", flag, value, NULL);
}

static void stop(void)
{
    e2e_stop(&s);
    program_remove();
}

static const char *bearer(const char *token)
{
    static char field[64][9000];
    static unsigned turn;
    char *f = field[turn++ % 64];
    snprintf(f, sizeof field[0], "Authorization: Bearer %s\r\n", token);
    return f;
}

/* Publishes with a token that may all. */
static void publish(const char *topic, const char *text)
{
    e2e_ask(&s, &r, "POST /%s HTTP/1.1\r\nHost: test\r\n%sContent-Length: %zu\r\n\r\n%s", topic,
            bearer(token_good("[\"**\"]", NULL, 0)), strlen(text), text);
    ck_assert_msg(r.status == 201, "%s%s", r.head, r.body);
}

/* ---- the server's own ------------------------------------------------------------------------ */

/* From this host, or from elsewhere as a proxy says, with these fields. */
static void ask_own(const char *target, bool here, const char *fields)
{
    e2e_ask(&s, &r, "GET %s HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: %s\r\n%s\r\n", target,
            here ? "127.0.0.1" : "192.0.2.7", fields);
}

/* With keys, metrics and the names of topics are for those whose token may subscribe to everything,
 * wherever they are: behind a proxy that nobody named all are of this host. */
START_TEST(own_pages_by_token)
{
    static const char *const paths[] = {"/-/metrics", "/-/topics"};
    static const char *const not_all[] = {"[]", "[\"a/1\"]", "[\"*\"]", "[\"a/**\",\"*\"]"};
    program_make();
    for (int anonymous = 0; anonymous < 2; anonymous++) {
        e2e_start(&s, "--key-file", keys_write(TOKENS_KEYS, 0600), "--trust-proxy", "127.0.0.1",
                  "--anonymous", anonymous ? "publish,subscribe" : "none", NULL);
        publish("a/1", "x");
        for (size_t i = 0; i < 2 * COUNT(paths); i++) {
            const char *path = paths[i / 2];
            bool here = i % 2 == 0;
            ask_own(path, here, "");
            e2e_expect_status(&r, 401, "this takes a token");
            for (size_t k = 0; k < COUNT(not_all); k++) {
                ask_own(path, here, bearer(token_good("[\"**\"]", not_all[k], 0)));
                e2e_expect_status(&r, 403, "does not allow subscribing to **");
                ck_assert_ptr_nonnull(
                    strstr(e2e_field(&r, "WWW-Authenticate"), "insufficient_scope"));
            }
            ask_own(path, here, bearer(token_good(NULL, "[\"**\"]", ENDS_IN(-1))));
            e2e_expect_status(&r, 401, "expired");
            ask_own(path, here, bearer(token_good(NULL, "[\"a\",\"**\"]", 0)));
            e2e_expect_status(&r, 200, NULL);
        }
        ck_assert_ptr_nonnull(strstr(r.body, "{\"name\":\"a/1\""));
        e2e_ask(&s, &r, "GET /-/topics?access_token=%s HTTP/1.1\r\nHost: evil.example\r\n\r\n",
                token_good(NULL, "[\"**\"]", 0)); /* a token is of no place */
        e2e_expect_status(&r, 200, NULL);
        ask_own("/-/healthy", false, "");
        e2e_expect_status(&r, 200, NULL);
        ask_own("/-/ready", false, "");
        e2e_expect_status(&r, 200, NULL);
        e2e_stop(&s);
    }
    program_remove();
}
END_TEST

/* What is looked at for a page is bounded, also where nothing matches. */
START_TEST(a_page_of_many_topics)
{
    enum { NAMES = 65536 };
    char *request = malloc(NAMES * 8);
    size_t n = 0;
    ck_assert_ptr_nonnull(request);
    program_make();
    e2e_start(&s, "--key-file", keys_write(TOKENS_KEYS, 0600), "--trust-proxy", "127.0.0.1",
              "--max-subscriptions", "64K", "--max-line", "1M", "--max-head", "1M", NULL);
    for (int i = 0; i < NAMES; i++)
        n += (size_t)sprintf(request + n, "%sb%05x", i == 0 ? "/" : ",", (unsigned)i);
    struct e2e_conn *c = e2e_open(&s);
    e2e_send(c, "GET ");
    e2e_send(c, request);
    e2e_printf(c, " HTTP/1.1\r\nHost: t\r\nAccept: text/event-stream\r\n%s\r\n",
               bearer(token_good(NULL, "[\"**\"]", 0)));
    e2e_until(c, "\n\n");
    publish("z", "x");
    const char *all = bearer(token_good(NULL, "[\"**\"]", 0));
    ask_own("/-/topics?match=z", false, all);
    e2e_expect_status(&r, 200, NULL);
    ck_assert_ptr_nonnull(strstr(r.body, "\"z\""));
    ask_own("/-/topics?match=none/*&limit=1", false, all);
    ck_assert_str_eq(r.body, "{\"topics\":[],\"next\":null}\n");
    ask_own("/-/topics?match=*/none", false, all);
    ck_assert_str_eq(r.body, "{\"topics\":[],\"next\":\"b0ffff\"}\n");
    e2e_close(c);
    free(request);
    stop();
}
END_TEST

/* ---- expiry ---------------------------------------------------------------------------------- */

/* What the server tells of the end, of each way. */
START_TEST(streams_expire)
{
    struct socket_frame f;
    start(NULL, NULL);
    const char *field = bearer(token_good("[\"a\"]", "[\"a\"]", ENDS_IN(LASTS_S)));
    struct e2e_conn *events = e2e_subscribe(&s, "/a", field);
    struct e2e_conn *raw = socket_open(&s, "/a", field);
    struct e2e_conn *json = socket_open_json(&s, "/a", field);
    struct e2e_conn *lines = e2e_open(&s), *poll = e2e_open(&s), *stays;
    e2e_printf(lines,
               "GET /a?wait=60 HTTP/1.1\r\nHost: t\r\nAccept: application/x-ndjson\r\n%s\r\n",
               field);
    e2e_printf(poll, "GET /a?wait=60 HTTP/1.1\r\nHost: t\r\n%s\r\n", field);
    stays = e2e_subscribe(&s, "/a", bearer(token_good(NULL, "[\"a\"]", 3600)));
    publish("a", "in time");
    e2e_expect_message(events, NULL, "in time", NULL);
    struct e2e_block b;
    do
        e2e_block(events, &b);
    while (b.event[0] == '\0' && !b.has_data);
    ck_assert_str_eq(b.event, "expired");
    ck_assert_str_eq(b.data, "{\"detail\":\"the token has expired\"}");
    ck_assert(!b.has_id);
    e2e_expect_end(events);
    e2e_until(lines, "{\"expired\":{\"detail\":\"the token has expired\"}}\n");
    do
        if (!socket_read_or_end(raw, &f))
            e2e_fail("no close");
        else if (f.opcode != SOCKET_CLOSE)
            socket_done(raw, &f);
    while (f.opcode != SOCKET_CLOSE);
    ck_assert_uint_eq(f.code, 4001);
    do
        if (!socket_read_or_end(json, &f))
            e2e_fail("no close");
        else if (f.opcode != SOCKET_CLOSE)
            socket_done(json, &f);
    while (f.opcode != SOCKET_CLOSE);
    ck_assert_uint_eq(f.code, 4001);
    e2e_response(poll, &r); /* it had its message before */
    ck_assert_int_eq(r.status, 200);
    publish("a", "later");
    e2e_expect_message(stays, NULL, "in time", NULL);
    e2e_expect_message(stays, NULL, "later", NULL);
    ck_assert_int_eq(metric(&s, "tokens_expired_total"), 4);
    /* it can't come back with that token */
    e2e_ask(&s, &r, "GET /a HTTP/1.1\r\nHost: t\r\nAccept: text/event-stream\r\n%s\r\n", field);
    e2e_expect_status(&r, 401, "expired");
    stop();
}
END_TEST

START_TEST(a_waiting_poll_expires)
{
    start(NULL, NULL);
    struct e2e_conn *c = e2e_open(&s);
    e2e_printf(c, "GET /a?wait=60 HTTP/1.1\r\nHost: t\r\n%s\r\n",
               bearer(token_good(NULL, "[\"a\"]", ENDS_IN(LASTS_S))));
    e2e_response(c, &r);
    ck_assert_int_eq(r.status, 204);
    ck_assert_int_eq(metric(&s, "tokens_expired_total"), 1);
    /* the connection goes on, as one without a token */
    e2e_printf(c, "GET /a?wait=60 HTTP/1.1\r\nHost: t\r\n\r\n");
    e2e_response(c, &r);
    ck_assert_int_eq(r.status, 401);
    /* ... and what has come before leaves nothing of itself */
    int64_t from = e2e_now_ms();
    e2e_printf(c, "GET /a?wait=2 HTTP/1.1\r\nHost: t\r\n%s\r\n",
               bearer(token_good(NULL, "[\"a\"]", 0)));
    e2e_response(c, &r);
    ck_assert_int_eq(r.status, 204);
    ck_assert_int_ge(e2e_now_ms() - from, 1900);
    stop();
}
END_TEST

START_TEST(a_feed_expires)
{
    start(NULL, NULL);
    struct e2e_conn *c = e2e_open(&s);
    e2e_printf(c,
               "POST /a HTTP/1.1\r\nHost: t\r\nContent-Type: application/x-ndjson\r\n"
               "Transfer-Encoding: chunked\r\n%s\r\n4\r\n\"x\"\n\r\n",
               bearer(token_good("[\"a\"]", NULL, ENDS_IN(LASTS_S))));
    e2e_sleep_ms(LASTS_S * 1000 + 1100);
    e2e_printf(c, "4\r\n\"y\"\n\r\n");
    e2e_response(c, &r);
    e2e_expect_status(&r, 401, "the token has expired");
    ck_assert_ptr_nonnull(strstr(r.body, "1 "));
    ck_assert_ptr_nonnull(strstr(e2e_field(&r, "WWW-Authenticate"), "invalid_token"));
    ck_assert_int_eq(metric(&s, "messages_published_total"), 1);
    stop();
}
END_TEST

static void batch(const char *target, const char *token, const char *body)
{
    e2e_ask(&s, &r,
            "POST %s HTTP/1.1\r\nHost: t\r\nContent-Type: application/x-ndjson\r\n%s"
            "Content-Length: %zu\r\n\r\n%s",
            target, token != NULL ? bearer(token) : "", strlen(body), body);
}

/* What the token allows counts for each line that names a topic, also once its body comes in parts,
 * and what was kept of it goes with the body. */
START_TEST(a_batch_keeps_its_scope)
{
    start(NULL, NULL);
    const char *token = token_good("[\"a\",\"b/*\"]", NULL, 0);
    struct e2e_conn *all = e2e_subscribe(&s, "/**", bearer(token_good(NULL, "[\"**\"]", 0)));
    batch("/a", token, "{\"data\":\"1\"}\n{\"topic\":\"b/1\",\"data\":\"2\"}");
    e2e_expect_status(&r, 201, NULL);
    batch("/", token, "{\"topic\":\"b/2\",\"data\":\"3\"}");
    e2e_expect_status(&r, 201, NULL);
    batch("/a", token, "{\"topic\":\"b/1\",\"data\":\"4\"}\n{\"topic\":\"c\",\"data\":\"no\"}");
    e2e_expect_status(&r, 403,
                      "line 2 (1 message before it is published): the token does not allow "
                      "publishing to c");
    batch("/", token, "{\"topic\":\"secret\",\"data\":\"no\"}");
    e2e_expect_status(&r, 403, "does not allow publishing to secret");
    batch("/c", token, "{\"topic\":\"a\",\"data\":\"no\"}");
    e2e_expect_status(&r, 403, "does not allow publishing to c");
    batch("/", token_good(NULL, "[\"**\"]", 0), "{\"topic\":\"a\",\"data\":\"no\"}");
    e2e_expect_status(&r, 403, "does not allow publishing to any topic");
    batch("/", NULL, "{\"topic\":\"a\",\"data\":\"no\"}");
    e2e_expect_status(&r, 401, "publishing takes a token");
    struct e2e_conn *c = e2e_open(&s);
    e2e_printf(
        c,
        "POST / HTTP/1.1\r\nHost: t\r\nContent-Type: application/jsonl\r\n"
        "Transfer-Encoding: chunked\r\n%s\r\n1b\r\n{\"topic\":\"a\",\"data\":\"5\"}\n\n\n\r\n",
        bearer(token));
    for (int i = 1; i <= 5; i++) {
        char text[2] = {(char)('0' + i), '\0'};
        e2e_expect_message(all, i == 1 || i == 5 ? "a" : i == 3 ? "b/2" : "b/1", text, NULL);
    }
    e2e_printf(c, "1b\r\n{\"topic\":\"c\",\"data\":\"6\"}\n\n\n\r\n");
    e2e_response(c, &r);
    e2e_expect_status(&r, 403, "does not allow publishing to c");
    stop();
}
END_TEST

/* What is kept of a token goes with the body that it was kept for: however many come, there is
 * room. */
START_TEST(batches_leave_no_scopes)
{
    char list[7000];
    start("--max-scopes", "64K");
    for (int i = 0; i < 60; i++) {
        size_t n = (size_t)snprintf(list, sizeof list, "[\"a\"");
        for (int k = 0; k < 250; k++)
            n += (size_t)snprintf(list + n, sizeof list - n, ",\"t/%d/%d\"", i, k);
        snprintf(list + n, sizeof list - n, "]");
        batch("/a", token_good(list, NULL, 0), "{\"topic\":\"a\",\"data\":\"x\"}");
        e2e_expect_status(&r, 201, NULL);
    }
    stop();
}
END_TEST

/* A reader that does not read is not kept for its last word. */
START_TEST(a_full_socket_expires)
{
    static char big[60000];
    start(NULL, NULL);
    struct e2e_conn *c = e2e_open_narrow(&s, 4096);
    e2e_subscribe_on(c, "/a", bearer(token_good(NULL, "[\"a\"]", ENDS_IN(LASTS_S))));
    memset(big, 'x', sizeof big - 1);
    for (int i = 0; i < 50; i++)
        publish("a", big);
    metric_becomes(&s, "tokens_expired_total", 1);
    e2e_until_end(c);
    stop();
}
END_TEST

/* ---- wildcards ------------------------------------------------------------------------------- */

START_TEST(wildcards_are_narrowed)
{
    start(NULL, NULL);
    const char *field = bearer(token_good(NULL, "[\"orders/eu/*\",\"news\"]", 0));
    struct e2e_conn *all = e2e_subscribe(&s, "/**", field);
    struct e2e_conn *some = e2e_subscribe(&s, "/orders/**,news", field);
    struct e2e_conn *none = e2e_open(&s);
    publish("orders/us/1", "not theirs");
    publish("orders/eu/1", "theirs");
    publish("orders/eu/1/x", "not theirs");
    publish("secret", "not theirs");
    publish("news", "for both");
    e2e_expect_message(all, "orders/eu/1", "theirs", NULL);
    e2e_expect_message(all, "news", "for both", NULL);
    e2e_expect_message(some, "orders/eu/1", "theirs", NULL);
    e2e_expect_message(some, "news", "for both", NULL);
    /* replaying as well */
    struct e2e_conn *late = e2e_subscribe(&s, "/**?since=earliest", field);
    e2e_expect_message(late, "orders/eu/1", "theirs", NULL);
    e2e_expect_message(late, "news", "for both", NULL);
    e2e_ask(&s, &r, "GET /** HTTP/1.1\r\nHost: t\r\n%s\r\n", field);
    ck_assert_ptr_null(strstr(r.body, "not theirs"));
    ck_assert_ptr_nonnull(strstr(r.body, "theirs"));
    /* a wildcard that has nothing in common with it, and a name it does not hold */
    e2e_printf(none, "GET /orders/us/* HTTP/1.1\r\nHost: t\r\n%s\r\n", field);
    e2e_response(none, &r);
    e2e_expect_status(&r, 403, "orders/us/*");
    e2e_printf(none, "GET /news,secret HTTP/1.1\r\nHost: t\r\n%s\r\n", field);
    e2e_response(none, &r);
    e2e_expect_status(&r, 403, "secret");
    stop();
}
END_TEST

/* One who asks for several topics and is left with one still has its events named after it. */
START_TEST(narrowed_to_one_name)
{
    start(NULL, NULL);
    struct e2e_conn *c =
        e2e_subscribe(&s, "/orders/*", bearer(token_good(NULL, "[\"orders/7\"]", 0)));
    publish("orders/7", "seven");
    publish("orders/8", "eight");
    publish("orders/7", "again");
    e2e_expect_message(c, "orders/7", "seven", NULL);
    e2e_expect_message(c, "orders/7", "again", NULL);
    stop();
}
END_TEST

/* A socket that its token leaves but one name of a wildcard can be subscribed to others later. */
START_TEST(a_narrowed_socket_subscribes)
{
    start(NULL, NULL);
    struct e2e_conn *c = socket_open_json(&s, "/*", bearer(token_good(NULL, "[\"a\",\"b/c\"]", 0)));
    socket_text(c, "{\"subscribe\":[]}");
    socket_expect_in(c, "{\"ok\":{\"subscribed\":[\"a\"]}}");
    socket_text(c, "{\"subscribe\":[\"b/c\"]}");
    socket_expect_in(c, "{\"ok\":{\"subscribed\":[\"a\",\"b/c\"]}}");
    publish("b/c", "theirs");
    socket_expect_in(c, "\"theirs\"");
    socket_text(c, "{\"unsubscribe\":[\"a\"]}");
    socket_expect_in(c, "{\"ok\":{\"subscribed\":[\"b/c\"]}}");
    socket_text(c, "{\"subscribe\":[\"x/+\"]}");
    socket_expect_in(c, "the token does not allow");
    stop();
}
END_TEST

/* ---- sockets --------------------------------------------------------------------------------- */

START_TEST(sockets_keep_their_scopes)
{
    start(NULL, NULL);
    const char *field = bearer(token_good("[\"in/*\"]", "[\"out/*\",\"in/a\"]", 0));
    struct e2e_conn *c = socket_open_json(&s, "/out/1", field);
    socket_text(c, "{\"topic\":\"in/b\",\"data\":\"x\"}");
    socket_expect_in(c, "{\"ok\":{\"id\":");
    socket_text(c, "{\"topic\":\"out/1\",\"data\":\"x\"}");
    socket_expect_in(c, "does not allow publishing");
    socket_text(c, "{\"subscribe\":[\"out/2\"]}");
    socket_expect_in(c, "{\"ok\":{\"subscribed\":[\"out/1\",\"out/2\"]}}");
    socket_text(c, "{\"subscribe\":[\"secret\"]}");
    socket_expect_in(c, "does not allow subscribing");
    socket_text(c, "{\"subscribe\":[\"**\"]}");
    socket_expect_in(c, "{\"ok\":{\"subscribed\":[\"out/*\",\"in/a\",\"out/1\",\"out/2\"]}}");
    publish("secret", "not theirs");
    publish("out/9", "theirs");
    socket_expect_in(c, "\"theirs\"");
    socket_text(c, "{\"unsubscribe\":[\"**\",\"out/1\",\"secret\"]}");
    socket_expect_in(c, "{\"ok\":{\"subscribed\":[");
    /* raw: what it may not publish closes it */
    struct e2e_conn *raw = socket_open(&s, "/in/a", field);
    socket_text(raw, "x");
    socket_expect_text(raw, "x");
    struct e2e_conn *mute = socket_open(&s, "/out/1", field);
    socket_text(mute, "x");
    socket_expect_close(mute, 1008);
    stop();
}
END_TEST

/* Scopes that are alike take room once; where there is none for more, the handshake is refused. */
START_TEST(scopes_have_a_limit)
{
    char list[7000];
    struct e2e_conn *same[50];
    int refused = 0;
    start("--max-scopes", "64K");
    for (size_t i = 0; i < COUNT(same); i++)
        same[i] = socket_open(&s, "/a", bearer(token_good(NULL, "[\"a\"]", 1000 + (long)i)));
    for (int i = 0; i < 30; i++) {
        size_t n = (size_t)snprintf(list, sizeof list, "[\"a\"");
        for (int k = 0; k < 250; k++)
            n += (size_t)snprintf(list + n, sizeof list - n, ",\"t/%d/%d\"", i, k);
        snprintf(list + n, sizeof list - n, "]");
        struct e2e_conn *c = e2e_open(&s);
        e2e_printf(c, SOCKET_ASK SOCKET_KEY "%s\r\n", "/a", bearer(token_good(NULL, list, 0)));
        e2e_until(c, "\r\n\r\n");
        if (strncmp(c->buf, "HTTP/1.1 101 ", 13) == 0)
            continue;
        e2e_response(c, &r);
        e2e_expect_status(&r, 503, "--max-scopes");
        refused++;
    }
    ck_assert_int_gt(refused, 0);
    ck_assert_int_lt(refused, 30);
    ck_assert_int_eq(metric(&s, "limit_max_scopes_total"), refused);
    for (size_t i = 0; i < COUNT(same); i++)
        e2e_close(same[i]);
    stop();
}
END_TEST

/* ---- signed URLs ----------------------------------------------------------------------------- */

static const char *signed_url(enum auth_class class, const char *topics, long ends_in)
{
    static char url[8][600];
    static unsigned turn;
    char *u = url[turn++ % 8], sign[AUTH_URL_SIGN];
    struct text t = text_in(sign, sizeof sign);
    struct auth_key key = {.n = sizeof KEY_PLAIN - 1, .bytes = KEY_PLAIN};
    unsigned long long expires = (unsigned long long)time(NULL) + (unsigned long long)ends_in;
    auth_url_sign(&t, &key, class, span_of(topics), expires);
    snprintf(u, sizeof url[0], "/%s?expires=%llu&signature=%.*s", topics, expires, (int)t.n, t.p);
    return u;
}

START_TEST(signed_urls)
{
    start(NULL, NULL);
    const char *url = signed_url(AUTH_SUBSCRIBE, "a/*,b", 3600);
    struct e2e_conn *c = e2e_subscribe(&s, url, NULL);
    publish("a/1", "x");
    publish("c", "not theirs");
    publish("b", "y");
    e2e_expect_message(c, "a/1", "x", NULL);
    e2e_expect_message(c, "b", "y", NULL);
    e2e_ask(&s, &r, "POST %s HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\nx", url);
    e2e_expect_status(&r, 401, "signed URL");
    e2e_ask(&s, &r, "POST %s HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\nx",
            signed_url(AUTH_PUBLISH, "a/1", 3600));
    ck_assert_int_eq(r.status, 201);
    e2e_ask(&s, &r, "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", signed_url(AUTH_PUBLISH, "a/1", 3600));
    e2e_expect_status(&r, 401, "signed URL");
    e2e_ask(&s, &r, "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", signed_url(AUTH_SUBSCRIBE, "b", -1));
    e2e_expect_status(&r, 401, "expired");
    e2e_ask(&s, &r, "GET %s&since=-1 HTTP/1.1\r\nHost: t\r\n\r\n",
            signed_url(AUTH_SUBSCRIBE, "b", 60));
    ck_assert_int_eq(r.status, 200);
    /* of another topic, with another expiry, cut */
    char other[700];
    snprintf(other, sizeof other, "/c%s", strchr(url, '?'));
    e2e_ask(&s, &r, "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", other);
    e2e_expect_status(&r, 401, "signed URL");
    snprintf(other, sizeof other, "%s", url);
    other[strlen(other) - 1] = '\0';
    e2e_ask(&s, &r, "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", other);
    e2e_expect_status(&r, 401, "signed URL");
    e2e_ask(&s, &r, "GET /b?signature=x HTTP/1.1\r\nHost: t\r\n\r\n");
    e2e_expect_status(&r, 401, "signed URL");
    /* a socket may listen by it, not publish */
    struct e2e_conn *w = socket_open(&s, signed_url(AUTH_SUBSCRIBE, "b", 60), NULL);
    socket_text(w, "x");
    socket_expect_close(w, 1008);
    /* and a stream ends when it says */
    struct e2e_conn *ends = e2e_subscribe(&s, signed_url(AUTH_SUBSCRIBE, "b", 2), NULL);
    struct e2e_block b;
    e2e_block(ends, &b);
    ck_assert_str_eq(b.event, "expired");
    e2e_expect_end(ends);
    stop();
}
END_TEST

/* ---- keys that change ------------------------------------------------------------------------ */

#define KEY_NEXT "the-next-key-which-is-of-40-letters-also"

static void reload(long long loads, long long errors)
{
    ck_assert_int_eq(kill(s.pid, SIGHUP), 0);
    metric_becomes(&s, "key_loads_total", loads);
    metric_becomes(&s, "key_errors_total", errors);
}

static int status_of(const char *key)
{
    e2e_ask(&s, &r, "GET /a HTTP/1.1\r\nHost: t\r\n%s\r\n",
            bearer(token_of(HS256, "{\"subscribe\":[\"a\"]}", key)));
    return r.status;
}

START_TEST(keys_are_read_again)
{
    program_make();
    e2e_start(&s, "--key-file", keys_write(TOKENS_KEYS, 0600), "--admin", "127.0.0.1:0", "--log",
              "error", NULL);
    struct e2e_conn *c =
        e2e_subscribe(&s, "/a", bearer(token_of(HS256, "{\"subscribe\":[\"a\"]}", KEY_PLAIN)));
    ck_assert_int_eq(status_of(KEY_PLAIN), 204);
    ck_assert_int_eq(status_of(KEY_NEXT), 401);
    keys_write(KEY_PLAIN "\n" KEY_NEXT "\n", 0600);
    reload(2, 0);
    ck_assert_int_eq(status_of(KEY_PLAIN), 204);
    ck_assert_int_eq(status_of(KEY_NEXT), 204);
    keys_write(KEY_NEXT "\n", 0640);
    reload(3, 0);
    ck_assert_int_eq(status_of(KEY_PLAIN), 401);
    ck_assert_int_eq(status_of(KEY_NEXT), 204);
    /* what can't be used leaves those there are */
    keys_write(KEY_PLAIN "\n", 0644);
    reload(3, 1);
    ck_assert_int_eq(status_of(KEY_NEXT), 204);
    keys_write("short\n", 0600);
    reload(3, 2);
    keys_write("", 0600);
    reload(3, 3);
    unlink(in_dir("keys"));
    reload(3, 4);
    ck_assert_int_eq(status_of(KEY_NEXT), 204);
    ck_assert_int_eq(status_of(KEY_PLAIN), 401);
    /* who is subscribed by a key that has gone stays until the token ends */
    e2e_ask(&s, &r, "POST /a HTTP/1.1\r\nHost: t\r\n%sContent-Length: 1\r\n\r\nx",
            bearer(token_of(HS256, "{\"publish\":[\"a\"]}", KEY_NEXT)));
    ck_assert_int_eq(r.status, 201);
    e2e_expect_message(c, NULL, "x", NULL);
    ck_assert_ptr_nonnull(strstr(e2e_stderr(&s), "lets others"));
    ck_assert_ptr_null(strstr(e2e_stderr(&s), KEY_PLAIN));
    kill(s.pid, SIGTERM);
    e2e_until_end(c);
    program_remove();
}
END_TEST

START_TEST(keys_that_can_not_be_used)
{
    static const struct {
        const char *text;
        unsigned mode;
        const char *says;
    } rows[] = {
        {KEY_PLAIN "\n", 0644, "mode 0644 lets others read it, and it holds a secret"},
        {KEY_PLAIN "\n", 0602, "mode 0602 lets others write it"},
        {"", 0600, "no key"},
        {"# nothing\n", 0600, "no key"},
        {KEY_PLAIN "\nshort\n", 0600, "line 2"},
        {"a b c\n", 0600, "line 1"},
    };
    static char out[E2E_OUTPUT], err[E2E_OUTPUT];
    program_make();
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *const flags[] = {"--port", "0", "--key-file",
                                     keys_write(rows[i].text, rows[i].mode), NULL};
        ck_assert_int_eq(e2e_run(flags, out, err), 78);
        ck_assert_msg(strstr(err, rows[i].says) != NULL && strstr(err, in_dir("keys")) != NULL,
                      "row %zu: %s", i, err);
        ck_assert_ptr_null(strstr(err, KEY_PLAIN));
        ck_assert_str_eq(out, "");
    }
    const char *const none[] = {"--port", "0", "--key-file", "/nonexistent/keys", NULL};
    ck_assert_int_eq(e2e_run(none, out, err), 66);
    ck_assert_ptr_nonnull(strstr(err, "/nonexistent/keys"));
    program_remove();
}
END_TEST

/* ---- upgrades -------------------------------------------------------------------------------- */

START_TEST(upgrades_keep_what_tokens_allow)
{
    start(NULL, NULL);
    struct e2e_conn *c =
        socket_open_json(&s, "/a", bearer(token_good("[\"p\"]", "[\"a\",\"b/*\"]", 0)));
    struct e2e_conn *ends =
        e2e_subscribe(&s, "/a", bearer(token_good(NULL, "[\"a\"]", ENDS_IN(LASTS_S))));
    struct e2e_conn *feed = e2e_open(&s);
    e2e_printf(feed,
               "POST /a HTTP/1.1\r\nHost: t\r\nContent-Type: application/x-ndjson\r\n"
               "Transfer-Encoding: chunked\r\n%s\r\n4\r\n\"x\"\n\r\n",
               bearer(token_good("[\"a\"]", NULL, ENDS_IN(LASTS_S))));
    socket_expect_in(c, "\\\"x\\\"");
    upgrade(&s, 1);
    socket_text(c, "{\"topic\":\"p\",\"data\":\"x\"}");
    socket_expect_in(c, "{\"ok\":");
    socket_text(c, "{\"topic\":\"a\",\"data\":\"x\"}");
    socket_expect_in(c, "does not allow publishing");
    socket_text(c, "{\"subscribe\":[\"b/1\"]}");
    socket_expect_in(c, "\"b/1\"");
    socket_text(c, "{\"subscribe\":[\"c\"]}");
    socket_expect_in(c, "does not allow subscribing");
    struct e2e_block b;
    e2e_expect_message(ends, NULL, "\"x\"", NULL);
    e2e_block(ends, &b);
    ck_assert_str_eq(b.event, "expired");
    e2e_printf(feed, "4\r\n\"y\"\n\r\n");
    e2e_response(feed, &r);
    e2e_expect_status(&r, 401, "expired");
    /* a key file that has gone bad meanwhile is no next program's start */
    keys_write("short\n", 0600);
    has_read_all(&s);
    ck_assert_int_eq(kill(s.pid, SIGUSR2), 0);
    metric_becomes(&s, "upgrades_refused_total", 1);
    ck_assert_ptr_nonnull(strstr(e2e_stderr(&s), "line 1"));
    kill(s.pid, SIGTERM);
    program_remove();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("access_live");
    TCase *tc = tcase_create("access_live");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, own_pages_by_token);
    tcase_add_test(tc, a_page_of_many_topics);
    tcase_add_test(tc, streams_expire);
    tcase_add_test(tc, a_waiting_poll_expires);
    tcase_add_test(tc, a_feed_expires);
    tcase_add_test(tc, a_batch_keeps_its_scope);
    tcase_add_test(tc, batches_leave_no_scopes);
    tcase_add_test(tc, a_full_socket_expires);
    tcase_add_test(tc, wildcards_are_narrowed);
    tcase_add_test(tc, narrowed_to_one_name);
    tcase_add_test(tc, a_narrowed_socket_subscribes);
    tcase_add_test(tc, sockets_keep_their_scopes);
    tcase_add_test(tc, scopes_have_a_limit);
    tcase_add_test(tc, signed_urls);
    tcase_add_test(tc, keys_are_read_again);
    tcase_add_test(tc, keys_that_can_not_be_used);
    tcase_add_test(tc, upgrades_keep_what_tokens_allow);
    suite_add_tcase(suite, tc);
    return run(suite);
}
