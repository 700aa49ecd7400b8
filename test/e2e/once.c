/*
 * once.c - messages that are published with a key, end to end: each is there once, however often it
 * is sent, whatever is cut or killed meanwhile.
 */
#include "test/kit/life.h"
#include "test/kit/socket.h"

static struct e2e_server s;
static struct e2e_response r;

static char store[64];

/* Publishes with further field lines; the answer must have this status, and `part` in it. Returns
 * the id in it, in one of four static buffers in turn. */
static const char *post(const char *target, const char *fields, const char *body, int status,
                        const char *part)
{
    static char ids[4][64];
    static unsigned turn;
    char *id = ids[turn++ % 4];
    e2e_ask(&s, &r, "POST %s HTTP/1.1\r\nHost: test\r\nContent-Length: %zu\r\n%s\r\n%s", target,
            strlen(body), fields, body);
    if (r.status != status || strstr(r.body, part) == NULL)
        e2e_fail("%s %s %s: wanted %d %s: %s%s", target, fields, body, status, part, r.head,
                 r.body);
    const char *at = strstr(r.body, "\"id\":\"");
    snprintf(id, sizeof ids[0], "%.*s", at != NULL ? (int)strcspn(at + 6, "\"") : 0,
             at != NULL ? at + 6 : "");
    return id;
}

/* How many messages a topic has, with this data. */
static unsigned count(const char *topic, const char *data)
{
    char part[64];
    unsigned n = 0;
    e2e_ask(&s, &r, "GET /%s HTTP/1.1\r\nHost: test\r\n\r\n", topic);
    snprintf(part, sizeof part, "\"data\":\"%s\"", data);
    for (const char *at = r.body; (at = strstr(at, part)) != NULL; at++)
        n++;
    return n;
}

#define DUPLICATE "\"duplicate\":true"
#define LINES     "Content-Type: application/x-ndjson\r\n"

START_TEST(keys)
{
    char long_key[300];
    e2e_start(&s, "--log", "error", NULL);
    const char *id =
        post("/t", "Idempotency-Key: \"a \\\"b\\\\\"\r\n", "x", 201, "\"subscribers\"");
    ck_assert_ptr_null(strstr(r.body, "duplicate"));
    ck_assert_str_eq(post("/t", "Idempotency-Key: \"a \\\"b\\\\\"\r\n", "x", 200, DUPLICATE), id);
    ck_assert_str_eq(post("/t?key=a%20%22b%5C", "", "x", 200, DUPLICATE), id);
    post("/t?key=a%20%22b%5C", "", "y", 422, id);
    post("/t?key=a%20%22b%5C&event=e", "", "x", 422, id);
    post("/t?key=a%20%22b%5C&end", "", "x", 422, id);
    post("/t?key=a%20%22b%5C", "Content-Type: application/octet-stream\r\n", "x", 422, id);
    post("/u?key=a%20%22b%5C", "", "x", 201, "");
    post("/t", "Idempotency-Key: bare-key\r\n", "x", 201, "");
    post("/t", "Idempotency-Key: bare-key\r\n", "x", 200, DUPLICATE);
    ck_assert_uint_eq(count("t", "x"), 2);
    post("/t?key=1", "Idempotency-Key: 2\r\n", "x", 400, "send one");
    post("/t?key=", "", "x", 400, "1 to 255 bytes");
    post("/t", "Idempotency-Key: \"\"\r\n", "x", 400, "1 to 255 bytes");
    post("/t", "Idempotency-Key: \"a\r\n", "x", 400, "1 to 255 bytes");
    post("/t", "Idempotency-Key: \"a\"b\"\r\n", "x", 400, "1 to 255 bytes");
    snprintf(long_key, sizeof long_key, "Idempotency-Key: %0*d\r\n", 255, 7);
    post("/t", long_key, "x", 201, "");
    snprintf(long_key, sizeof long_key, "Idempotency-Key: %0*d\r\n", 256, 7);
    post("/t", long_key, "x", 400, "1 to 255 bytes");
    ck_assert_int_eq(metric(&s, "messages_duplicate_total"), 3);
    ck_assert_int_eq(metric(&s, "keys_reused_total"), 4);
    e2e_stop_log(&s, SIGTERM, "");
}
END_TEST

/* Batches, frames, bodies in parts, ends. */
START_TEST(forms)
{
    e2e_start(&s, "--log", "error", NULL);
    static const char two[] = "{\"data\":\"1\",\"key\":\"a\"}\n{\"data\":\"2\",\"key\":\"b\"}\n";
    post("/t", LINES, two, 201, "\"count\":2,\"subscribers\"");
    post("/t", LINES, two, 200, "\"count\":0,\"duplicates\":2");
    post("/t", LINES, "{\"data\":\"2\",\"key\":\"b\"}\n{\"data\":\"3\",\"key\":\"c\"}\n", 201,
         "\"count\":1,\"duplicates\":1");
    post("/t", LINES, "{\"data\":\"4\",\"key\":\"b\"}\n", 422, "line 1");
    post("/t?key=x", LINES, "{\"data\":\"4\"}\n", 400, "a batch has no key");
    struct e2e_conn *c = socket_open_json(&s, "/t", NULL);
    socket_text(c, "{\"data\":\"3\",\"key\":\"c\"}");
    socket_expect_in(c, DUPLICATE);
    socket_text(c, "{\"data\":\"5\",\"key\":\"d\"}");
    socket_expect_in(c, "{\"ok\":");
    socket_expect_in(c, "\"data\":\"5\"");
    socket_text(c, "{\"data\":\"5\",\"key\":\"\"}");
    socket_expect_in(c, "must be strings");
    struct e2e_conn *p = e2e_open(&s);
    for (int i = 0; i < 2; i++) {
        e2e_send(p, "POST /t?key=parts&event=e HTTP/1.1\r\nHost: test\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
        e2e_sleep_ms(10);
        e2e_send(p, "1\r\ny\r\n0\r\n\r\n");
        e2e_response(p, &r);
        e2e_expect_status(&r, i == 0 ? 201 : 200, NULL);
    }
    ck_assert_uint_eq(count("t", "xy"), 1);
    const char *last = post("/t?key=last&end", "", "6", 201, "");
    ck_assert_str_eq(post("/t?key=last&end", "", "6", 200, DUPLICATE), last);
    post("/t?key=other", "", "7", 409, "has ended");
    const char *end = post("/u?key=end&end", "", "", 201, "");
    ck_assert_str_eq(post("/u?key=end&end", "", "", 200, DUPLICATE), end);
    for (int i = 1; i <= 6; i += i == 3 ? 2 : 1) {
        char data[2] = {(char)('0' + i), '\0'};
        ck_assert_msg(count("t", data) == 1, "%s: %s", data, r.body);
    }
    e2e_stop_log(&s, SIGTERM, "");
}
END_TEST

/* A key is known as long as its message is in the ring, and no longer. */
START_TEST(evicted)
{
    static char data[3000];
    memset(data, 'x', sizeof data - 1);
    e2e_start(&s, "--ring", "64K", NULL);
    post("/t?key=a", "", "1", 201, "");
    for (int i = 0; i < 40; i++) {
        char target[32];
        snprintf(target, sizeof target, "/u?key=%d", i);
        post(target, "", data, 201, "");
        post(target, "", data, 200, DUPLICATE);
    }
    post("/t?key=a", "", "2", 201, "");
    e2e_stop(&s);
}
END_TEST

START_TEST(survives)
{
    e2e_start(&s, "--drain", "0", "--store", store, "--ring", "1M", "--fsync",
              _i == 0 ? "interval" : "always", NULL);
    const char *id = post("/t?key=a", "", "1", 201, "");
    upgrade(&s, 1);
    ck_assert_str_eq(post("/t?key=a", "", "1", 200, DUPLICATE), id);
    e2e_kill(&s);
    e2e_start(&s, "--store", store, "--log", "error", NULL);
    ck_assert_str_eq(post("/t?key=a", "", "1", 200, DUPLICATE), id);
    post("/t?key=a", "", "2", 422, id);
    e2e_stop(&s);
    e2e_start(&s, "--store", store, "--ring", "2M", NULL); /* which copies it */
    ck_assert_str_eq(post("/t?key=a", "", "1", 200, DUPLICATE), id);
    e2e_stop(&s);
    unlink(store);
}
END_TEST

/* What is sent `cut` bytes of, in whatever state that leaves the server, and then whole until it is
 * answered, is there once. */
static const char *request(int cut, char out[160])
{
    snprintf(out, 160, "POST /t?key=k%d HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\n%04d",
             cut, cut);
    return out;
}

static void once(int cut)
{
    char text[160], data[16];
    e2e_ask(&s, &r, "%s", request(cut, text));
    ck_assert_msg(r.status == 201 || r.status == 200, "%s", r.body);
    snprintf(data, sizeof data, "%04d", cut);
    ck_assert_uint_eq(count("t", data), 1);
}

START_TEST(link_is_cut)
{
    char text[160];
    e2e_start(&s, NULL);
    int n = (int)strlen(request(10, text));
    for (int cut = 0; cut <= n; cut++) {
        struct e2e_conn *c = e2e_open(&s);
        e2e_send_n(c, request(cut, text), (size_t)(cut < n ? cut : (int)strlen(text)));
        if (cut == n)
            e2e_until(c, "HTTP/1.1 "); /* of the answer it reads but that */
        e2e_close(c);
        once(cut);
    }
    e2e_stop(&s);
}
END_TEST

START_TEST(server_is_killed)
{
    char text[160];
    int n = (int)strlen(request(10, text));
    for (int cut = 0; cut <= n + 1; cut++) {
        e2e_start(&s, "--store", store, "--ring", "256K", "--log", "error", NULL);
        struct e2e_conn *c = e2e_open(&s);
        e2e_send_n(c, request(cut, text), (size_t)(cut < n ? cut : (int)strlen(text)));
        if (cut > n)
            e2e_until(c, "HTTP/1.1 201");
        e2e_kill(&s);
        e2e_close(c);
        e2e_start(&s, "--store", store, "--log", "error", NULL);
        once(cut);
        e2e_kill(&s);
    }
    unlink(store);
}
END_TEST

START_TEST(commands)
{
    static char out[E2E_OUTPUT], err[E2E_OUTPUT];
    char url[300];
    e2e_start(&s, NULL);
    snprintf(url, sizeof url, "%s/t", s.address[0]);
    const char *const publish[] = {"pub", url, "x", "--key", "a&b", "--event", "e", NULL};
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(e2e_run(publish, out, err), 0);
    ck_assert_uint_eq(count("t", "x"), 1);
    post("/t?key=a%26b&event=e", "", "x", 200, DUPLICATE);
    e2e_stop(&s);
}
END_TEST

static void store_name(void)
{
    snprintf(store, sizeof store, "/tmp/sse-once-%d", (int)getpid());
    unlink(store);
}

int main(void)
{
    Suite *suite = suite_create("once");
    TCase *c = tcase_create("once");
    tcase_set_timeout(c, 300);
    tcase_add_checked_fixture(c, store_name, NULL);
    tcase_add_test(c, keys);
    tcase_add_test(c, forms);
    tcase_add_test(c, evicted);
    tcase_add_test(c, link_is_cut);
    tcase_add_test(c, server_is_killed);
    tcase_add_test(c, commands);
    suite_add_tcase(suite, c);
    c = tcase_create("survives");
    tcase_set_timeout(c, 300);
    tcase_add_checked_fixture(c, store_name, NULL);
    tcase_add_checked_fixture(c, program_make, program_remove);
    tcase_add_loop_test(c, survives, 0, 2);
    suite_add_tcase(suite, c);
    return run(suite);
}
