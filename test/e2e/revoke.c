/*
 * revoke.c - revocation, end to end: who may, what is refused and what is ended by it, and that it
 * outlives upgrades, crashes and resizes.
 */
#include "test/kit/socket.h"
#include "test/kit/tokens.h"

static struct e2e_server s;
static struct e2e_response r;

static void start(const char *flag, const char *value)
{
    program_make();
    e2e_start(&s, "--key-file", keys_write(TOKENS_KEYS, 0600), "--admin", "127.0.0.1:0",
              "--heartbeat", "1s", "--max-failures", "0", flag, value, NULL);
}

static void stop(void)
{
    e2e_stop(&s);
    program_remove();
}

/* A token for all, with these claims besides. */
static const char *token(const char *claims)
{
    char payload[512];
    snprintf(payload, sizeof payload, "{\"publish\":[\"**\"],\"subscribe\":[\"**\"]%s%s}",
             *claims != '\0' ? "," : "", claims);
    return token_of(HS256, payload, KEY_PLAIN);
}

static void revoke_as(const char *field, const char *json)
{
    e2e_ask(&s, &r, "POST /-/revoke HTTP/1.1\r\nHost: test\r\n%sContent-Length: %zu\r\n\r\n%s",
            field, strlen(json), json);
}

static void revoke_admin(const char *json)
{
    e2e_ask_admin(&s, &r,
                  "POST /-/revoke HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %zu\r\n\r\n%s",
                  strlen(json), json);
}

static int read_as(const char *t)
{
    e2e_ask(&s, &r, "GET /a HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer %s\r\n\r\n", t);
    return r.status;
}

static const char *bearer(const char *t)
{
    static char field[16][2048];
    static unsigned turn;
    char *f = field[turn++ % 16];
    snprintf(f, sizeof field[0], "Authorization: Bearer %s\r\n", t);
    return f;
}

/* ---- who may, and what ----------------------------------------------------------------------- */

START_TEST(who_may)
{
    start(NULL, NULL);
    const char *x = token("\"jti\":\"x\"");
    revoke_as("", "{\"jti\":\"x\"}");
    e2e_expect_status(&r, 401, "revoking takes a token");
    revoke_as(bearer(x), "{\"jti\":\"x\"}");
    e2e_expect_status(&r, 403, "its claim admin is not true");
    revoke_as(bearer(token("\"admin\":\"true\"")), "{\"jti\":\"x\"}");
    e2e_expect_status(&r, 403, "its claim admin is not true");
    revoke_as("Origin: https://evil.example\r\n", "{\"jti\":\"x\"}");
    e2e_expect_status(&r, 401, "");
    char field[4096];
    snprintf(field, sizeof field, "%sOrigin: https://evil.example\r\n",
             bearer(token("\"admin\":true")));
    revoke_as(field, "{\"jti\":\"x\"}");
    e2e_expect_status(&r, 403, "may not revoke here");
    e2e_ask_admin(&s, &r,
                  "POST /-/revoke HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: https://evil.example\r\n"
                  "Content-Length: 11\r\n\r\n{\"jti\":\"x\"}");
    e2e_expect_status(&r, 403, "may not revoke here");
    e2e_ask_admin(&s, &r,
                  "POST /-/revoke HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 11\r\n\r\n"
                  "{\"jti\":\"x\"}");
    e2e_expect_status(&r, 403, "is none of this server's");
    ck_assert_int_eq(read_as(x), 204);
    e2e_ask(&s, &r, "GET /-/revoke HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_expect_status(&r, 405, "revoked with POST");
    ck_assert_str_eq(e2e_field(&r, "Allow"), "POST, OPTIONS");
    e2e_ask(&s, &r, "OPTIONS /-/revoke HTTP/1.1\r\nHost: test\r\n\r\n");
    ck_assert_str_eq(e2e_field(&r, "Allow"), "POST, OPTIONS");
    e2e_ask(&s, &r, "POST /%%2D/revoke HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    e2e_expect_status(&r, 404, "");
    revoke_as(bearer(token("\"admin\":true")), "{\"jti\":\"x\"}");
    ck_assert_str_eq(r.body, "{\"until\":null,\"revocations\":1}\n");
    ck_assert_int_eq(read_as(x), 401);
    ck_assert_ptr_nonnull(strstr(r.body, "the token has been revoked"));
    stop();
}
END_TEST

/* A batch and a WebSocket cannot reach it by a topic of that name. */
START_TEST(is_no_topic)
{
    start(NULL, NULL);
    const char *all = token("\"admin\":true,\"jti\":\"mine\"");
    static const char line[] = "{\"topic\":\"-/revoke\",\"data\":\"{}\"}\n";
    e2e_ask(&s, &r,
            "POST / HTTP/1.1\r\nHost: t\r\nContent-Type: application/x-ndjson\r\n%s"
            "Content-Length: %zu\r\n\r\n%s",
            bearer(all), sizeof line - 1, line);
    e2e_expect_status(&r, 400, "topic -/revoke begins with");
    ck_assert_int_eq(metric(&s, "revocations_total"), 0);
    stop();
}
END_TEST

static const struct {
    const char *json, *why;
} bad[] = {
    {"", "it is not JSON"},
    {"{\"jti\":\"x\"", "it is not JSON, from this byte on: 10"},
    {"[]", "it is no JSON object"},
    {"{}", "jti or sub is needed"},
    {"{\"jti\":\"\"}", "jti or sub is needed"},
    {"{\"jti\":\"a\",\"sub\":\"b\"}", "jti or sub is needed"},
    {"{\"jti\":\"a\",\"jti\":\"b\"}", "a member is there twice: jti"},
    {"{\"jti\":true}", "jti is no string"},
    {"{\"jti\":[\"a\"]}", "jti is no string"},
    {"{\"token\":\"a\"}", "no member is named token"},
    {"{\"jti\":\"a\",\"before\":1}", "before goes with sub"},
    {"{\"sub\":\"a\",\"before\":\"1\"}", "before is no number"},
    {"{\"sub\":\"a\",\"before\":1.5}", "before is no unix time"},
    {"{\"sub\":\"a\",\"before\":-1}", "before is no unix time"},
    {"{\"sub\":\"a\",\"exp\":1e3}", "exp is no unix time"},
};

START_TEST(what_is_wrong)
{
    start(NULL, NULL);
    for (size_t i = 0; i < COUNT(bad); i++) {
        revoke_admin(bad[i].json);
        e2e_expect_status(&r, 400, bad[i].why);
    }
    /* a body that comes slowly, in chunks, or with more behind it */
    struct e2e_conn *c = e2e_open_admin(&s);
    e2e_send_slowly(c,
                    "POST /-/revoke HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
                    "Content-Type: application/x-ndjson\r\n\r\n5\r\n{\"sub\r\n9\r\n\":\"slow\"}\r\n"
                    "0\r\n\r\nGET /-/healthy HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    e2e_response(c, &r);
    ck_assert_str_eq(r.body, "{\"until\":null,\"revocations\":1}\n");
    e2e_response(c, &r);
    ck_assert_str_eq(r.body, "ok\n");
    ck_assert_int_eq(read_as(token("\"sub\":\"slow\"")), 401);
    stop();
}
END_TEST

/* Tokens by sub and iat; numbers count as their text. */
START_TEST(by_subject)
{
    start(NULL, NULL);
    char text[128];
    long now = (long)time(NULL);
    snprintf(text, sizeof text, "{\"sub\":\"a\\u0062\",\"before\":%ld,\"exp\":%ld}", now - 10,
             now + 100);
    revoke_admin(text);
    ck_assert_int_eq(r.status, 200);
    snprintf(text, sizeof text, "{\"until\":%ld,\"revocations\":1}\n", now + 100 + 60);
    ck_assert_str_eq(r.body, text);
    static const struct {
        const char *claims;
        long iat;
        int status;
    } row[] = {{"\"sub\":\"ab\"", 0, 401},       {"\"sub\":\"ab\"", -11, 401},
               {"\"sub\":\"ab\"", -10, 204},     {"\"sub\":\"ab\"", 5, 204},
               {"\"sub\":\"\\u0061b\"", 0, 401}, {"\"sub\":\"b\"", 0, 204},
               {"\"jti\":\"ab\"", 0, 204},       {"\"sub\":12", 0, 204}};
    for (size_t i = 0; i < COUNT(row); i++) {
        char claims[128], iat[64] = "";
        if (row[i].iat != 0)
            snprintf(iat, sizeof iat, ",\"iat\":%ld", now + row[i].iat);
        snprintf(claims, sizeof claims, "%s%s", row[i].claims, iat);
        ck_assert_msg(read_as(token(claims)) == row[i].status, "row %zu: %s", i, r.body);
    }
    revoke_admin("{\"sub\":12}");
    ck_assert_int_eq(read_as(token("\"sub\":12")), 401);
    ck_assert_int_eq(read_as(token("\"sub\":\"12\"")), 401);
    snprintf(text, sizeof text, "\"sub\":\"12\",\"iat\":%ld", now + 1000);
    ck_assert_int_eq(read_as(token(text)), 204);
    ck_assert_int_eq(metric(&s, "revocations_total"), 2);
    stop();
}
END_TEST

START_TEST(limits)
{
    program_make();
    e2e_start(&s, "--key-file", keys_write(TOKENS_KEYS, 0600), "--admin", "127.0.0.1:0",
              "--max-revoked", "2", NULL);
    revoke_admin("{\"jti\":\"a\"}");
    revoke_admin("{\"jti\":\"b\",\"exp\":1}"); /* its time is over: it takes no room */
    ck_assert_int_eq(r.status, 200);
    revoke_admin("{\"jti\":\"c\"}");
    ck_assert_str_eq(r.body, "{\"until\":null,\"revocations\":2}\n");
    revoke_admin("{\"jti\":\"d\"}");
    e2e_expect_status(&r, 503, "as many revocations as may be, 2 (--max-revoked)");
    ck_assert_int_eq(metric(&s, "limit_max_revoked_total"), 1);
    ck_assert_int_eq(read_as(token("\"jti\":\"d\"")), 204);
    e2e_stop(&s);
    e2e_start(&s, "--key-file", keys_write(TOKENS_KEYS, 0600), "--admin", "127.0.0.1:0",
              "--max-revoked", "0", NULL);
    revoke_admin("{\"jti\":\"a\"}");
    e2e_expect_status(&r, 403, "--max-revoked 0");
    ck_assert_int_eq(read_as(token("\"jti\":\"a\"")), 204);
    e2e_stop(&s);
    e2e_start(&s, "--admin", "127.0.0.1:0", NULL);
    revoke_admin("{\"jti\":\"a\"}");
    e2e_expect_status(&r, 403, "there is no --key-file");
    stop();
}
END_TEST

/* ---- what is ended --------------------------------------------------------------------------- */

START_TEST(ends_what_it_opened)
{
    struct e2e_block b;
    start(NULL, NULL);
    const char *bad_one = bearer(token("\"sub\":\"anna\",\"jti\":\"1\"")),
               *good_one = bearer(token("\"sub\":\"bert\",\"jti\":\"2\""));
    struct e2e_conn *events = e2e_subscribe(&s, "/a", bad_one),
                    *stays = e2e_subscribe(&s, "/a", good_one), *poll = e2e_open(&s),
                    *raw = socket_open(&s, "/a", bad_one), *body = e2e_open(&s),
                    *stays_raw = socket_open(&s, "/a", good_one);
    e2e_printf(poll, "GET /a?wait=60 HTTP/1.1\r\nHost: t\r\n%s\r\n", bad_one);
    e2e_printf(body,
               "POST /b HTTP/1.1\r\nHost: t\r\n%sContent-Type: application/x-ndjson\r\n"
               "Transfer-Encoding: chunked\r\n\r\n10\r\n{\"data\":\"first\"}\r\n1\r\n\n\r\n",
               bad_one);
    struct e2e_conn *reader = e2e_subscribe(&s, "/b", good_one);
    metric_becomes(&s, "messages_published_total", 1);
    revoke_admin("{\"sub\":\"anna\"}");
    ck_assert_int_eq(r.status, 200);
    e2e_block(events, &b);
    ck_assert_str_eq(b.event, "expired");
    e2e_expect_end(events);
    e2e_response(poll, &r);
    ck_assert_int_eq(r.status, 204);
    socket_expect_close(raw, 4001);
    e2e_send(body, "11\r\n{\"data\":\"second\"}\r\n1\r\n\n\r\n");
    e2e_response(body, &r);
    e2e_expect_status(&r, 401, "the token has been revoked");
    metric_becomes(&s, "tokens_revoked_total", 4);
    e2e_ask(&s, &r, "POST /a HTTP/1.1\r\nHost: t\r\n%sContent-Length: 1\r\n\r\nx", good_one);
    ck_assert_int_eq(r.status, 201);
    e2e_expect_message(stays, NULL, "x", NULL);
    socket_expect_text(stays_raw, "x");
    (void)reader;
    stop();
}
END_TEST

/* ---- what outlives what ---------------------------------------------------------------------- */

START_TEST(outlives_an_upgrade)
{
    start(NULL, NULL);
    revoke_admin("{\"jti\":\"gone\"}");
    const char *other = bearer(token("\"jti\":\"later\""));
    struct e2e_conn *c = e2e_subscribe(&s, "/a", other);
    upgrade(&s, 1);
    ck_assert_int_eq(read_as(token("\"jti\":\"gone\"")), 401);
    revoke_admin("{\"jti\":\"later\"}");
    ck_assert_str_eq(r.body, "{\"until\":null,\"revocations\":2}\n");
    e2e_until(c, "event: expired");
    stop();
}
END_TEST

/* A store has them, whatever its --fsync and however the server ended; also one of another size. */
START_TEST(outlives_a_crash)
{
    static const char *const modes[] = {"always", "interval", "never"};
    program_make();
    char keys[512], store[512];
    snprintf(keys, sizeof keys, "%s", keys_write(TOKENS_KEYS, 0600));
    snprintf(store, sizeof store, "%s", in_dir("store"));
    for (size_t i = 0; i < COUNT(modes); i++) {
        e2e_start(&s, "--key-file", keys, "--admin", "127.0.0.1:0", "--store", store, "--fsync",
                  modes[i], NULL);
        char json[64];
        snprintf(json, sizeof json, "{\"jti\":\"%s\"}", modes[i]);
        revoke_admin(json);
        ck_assert_int_eq(r.status, 200);
        if (i == 0)
            ck_assert_int_ge(metric(&s, "store_syncs_total"), 1);
        e2e_kill(&s);
    }
    for (int size = 0; size < 2; size++) {
        e2e_start(&s, "--key-file", keys, "--admin", "127.0.0.1:0", "--store", store,
                  size == 1 ? "--ring" : NULL, "128M", NULL);
        for (size_t i = 0; i < COUNT(modes); i++) {
            char claims[64];
            snprintf(claims, sizeof claims, "\"jti\":\"%s\"", modes[i]);
            ck_assert_int_eq(read_as(token(claims)), 401);
        }
        ck_assert_int_eq(read_as(token("\"jti\":\"other\"")), 204);
        if (size == 1)
            upgrade(&s, 1);
        revoke_admin("{\"jti\":\"always\"}");
        ck_assert_str_eq(r.body, "{\"until\":null,\"revocations\":3}\n");
        e2e_stop(&s);
    }
    program_remove();
}
END_TEST

/* ---- the command ----------------------------------------------------------------------------- */

START_TEST(by_command)
{
    static char out[E2E_OUTPUT], err[E2E_OUTPUT], made[E2E_OUTPUT];
    start(NULL, NULL);
    char keys[512];
    snprintf(keys, sizeof keys, "%s", in_dir("keys"));
    const char *const mint[] = {"token", "--key-file", keys,    "--subscribe", "a",
                                "--sub", "anna",       "--jti", "one",         NULL};
    ck_assert_msg(e2e_run(mint, made, err) == 0, "%s", err);
    made[strlen(made) - 1] = '\0';
    ck_assert_int_eq(read_as(made), 204);
    const char *const check[] = {"token", "--key-file", keys, "--check", made, NULL};
    ck_assert_msg(e2e_run(check, out, err) == 0, "%s", err);
    ck_assert_ptr_nonnull(strstr(out, "subject      anna\nid           one\nissued       "));
    const char *revoke_it[] = {"token", "--key-file", keys,         "--revoke",
                               made,    "--url",      s.address[0], NULL};
    ck_assert_msg(e2e_run(revoke_it, out, err) == 0, "%s", err);
    ck_assert_int_eq(read_as(made), 401);
    revoke_it[4] = "sub:bert";
    ck_assert_int_eq(read_as(token("\"sub\":\"bert\"")), 204);
    ck_assert_msg(e2e_run(revoke_it, out, err) == 0, "%s", err);
    ck_assert_int_eq(read_as(token("\"sub\":\"bert\"")), 401);
    revoke_it[4] = token("\"sub\":\"carl\"");
    ck_assert_int_eq(e2e_run(revoke_it, out, err), 1);
    ck_assert_ptr_nonnull(strstr(err, "the token has no jti"));
    /* without a key it has no token: at the address of --admin it needs none */
    const char *const admin[] = {"token", "--revoke", "jti:two", "--url", s.admin, NULL};
    ck_assert_msg(e2e_run(admin, out, err) == 0, "%s", err);
    ck_assert_int_eq(read_as(token("\"jti\":\"two\"")), 401);
    const char *const elsewhere[] = {"token", "--revoke", "jti:two", "--url", s.address[0], NULL};
    ck_assert_int_ne(e2e_run(elsewhere, out, err), 0);
    ck_assert_ptr_nonnull(strstr(err, "revoking takes a token"));
    stop();
}
END_TEST

/* The subject is in the log only where that is asked for. */
START_TEST(log_subject)
{
    program_make();
    for (int asked = 0; asked < 2; asked++) {
        e2e_start(&s, "--key-file", keys_write(TOKENS_KEYS, 0600), "--access-log", "--log", "info",
                  asked ? "--log-subject" : NULL, NULL);
        ck_assert_int_eq(read_as(token("\"sub\":\"anna k\"")), 204);
        ck_assert_int_eq(read_as(token_of(HS256, "{\"sub\":\"mallory\"}", KEY_OTHER)), 401);
        e2e_ask(&s, &r, "GET /b HTTP/1.1\r\nHost: test\r\n%s\r\n",
                bearer(token_of(HS256, "{\"sub\":\"bert\",\"subscribe\":[\"a\"]}", KEY_PLAIN)));
        ck_assert_int_eq(r.status, 403);
        const char *log = e2e_stderr(&s);
        ck_assert((strstr(log, "sub=\"anna k\"") != NULL) == asked);
        ck_assert((strstr(log, "sub=bert") != NULL) == asked);
        ck_assert_ptr_null(strstr(log, "mallory"));
        e2e_stop_log(&s, SIGTERM, "msg=request");
    }
    program_remove();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("revoke");
    TCase *c = tcase_create("revoke");
    tcase_add_test(c, who_may);
    tcase_add_test(c, is_no_topic);
    tcase_add_test(c, what_is_wrong);
    tcase_add_test(c, by_subject);
    tcase_add_test(c, limits);
    tcase_add_test(c, ends_what_it_opened);
    tcase_add_test(c, outlives_an_upgrade);
    tcase_add_test(c, outlives_a_crash);
    tcase_add_test(c, by_command);
    tcase_add_test(c, log_subject);
    suite_add_tcase(suite, c);
    return run(suite);
}
