/*
 * socket_json.c - end to end: the json subprotocol of WebSocket, and cursors, gaps and several
 * topics over both.
 */
#include "test/kit/kit.h"
#include "test/kit/life.h"
#include "test/kit/socket.h"

#include <string.h>

static struct e2e_server s;

/* The next frame must be the object of this message. `data` is JSON text. */
static void expect_object(struct e2e_conn *c, const char *topic, const char *event,
                          const char *data, const char *id)
{
    char part[1024], time[64] = "";
    struct socket_frame f;
    socket_read(c, &f);
    const char *at = memmem(f.data, f.n, "\"time\":\"", 8);
    if (at != NULL)
        snprintf(time, sizeof(time), "%.24s", at + 8);
    snprintf(part, sizeof(part), "{\"id\":\"%s\",\"time\":\"%s\",\"topic\":\"%s\",\"event\":%s,%s}",
             id, time, topic, event, data);
    if (strlen(time) != 24 || time[10] != 'T' || time[23] != 'Z')
        e2e_fail("the time is %s", time);
    socket_expect_text(c, "%s", part);
}

/* The id in a text. */
static const char *id_in(const char *text)
{
    static char ids[8][64];
    static unsigned turn;
    const char *at = strstr(text, "\"id\":\"");
    if (at == NULL)
        e2e_fail("no id in %s", text);
    char *to = ids[turn++ % 8];
    snprintf(to, sizeof(ids[0]), "%.*s", (int)strcspn(at + 6, "\""), at + 6);
    return to;
}

/* ---- publishing ---- */

START_TEST(test_publish)
{
    e2e_start(&s, NULL);
    struct e2e_conn *c = socket_open_json(&s, "/a", NULL);
    struct e2e_conn *raw = socket_open(&s, "/a", NULL);
    socket_text(c, "{\"data\":\"h\\u00e9\\n\\\"\"}");
    const char *ok = socket_expect_in(c, "{\"ok\":{\"id\":\"");
    ck_assert_ptr_nonnull(strstr(ok, "\",\"subscribers\":2}}"));
    expect_object(c, "a", "null", "\"data\":\"h\xC3\xA9\\n\\\"\"", id_in(ok));
    socket_expect_text(raw, "h\xC3\xA9\n\"");
    socket_text(c, " {\"event\" : \"e\\u0021\", \"topic\": \"a\", \"data\":\"\"} ");
    ok = socket_expect_in(c, "{\"ok\":");
    expect_object(c, "a", "\"e!\"", "\"data\":\"\"", id_in(ok));
    socket_expect_text(raw, "%s", "");
    socket_text(c, "{\"base64\":\"AP8=\",\"event\":null}");
    ok = socket_expect_in(c, "{\"ok\":");
    expect_object(c, "a", "null", "\"base64\":\"AP8=\"", id_in(ok));
    socket_expect(raw, SOCKET_BINARY, "\0\xFF", 2);
    socket_text(c, "{\"topic\":\"b/c\",\"data\":\"x\"}");
    ok = socket_expect_in(c, "\"subscribers\":0}}");
    e2e_expect_silence(c, 50);
    socket_send(raw, SOCKET_FIN | SOCKET_BINARY, "\1\2\3", 3);
    socket_expect(raw, SOCKET_BINARY, "\1\2\3", 3);
    socket_expect_in(c, "\"base64\":\"AQID\"}");
    e2e_stop(&s);
}

START_TEST(test_errors)
{
    static const struct {
        int line;
        const char *text, *error;
    } rows[] = {
        {__LINE__, "", "object"},
        {__LINE__, "x", "object"},
        {__LINE__, "[]", "object"},
        {__LINE__, "{\"data\":\"x\"} {}", "object"},
        {__LINE__, "{\"data\":\"x\"", "object"},
        {__LINE__, "{\"data\":\"\\ud800\"}", "object"},
        {__LINE__, "{}", "one of"},
        {__LINE__, "{\"topic\":\"a\"}", "one of"},
        {__LINE__, "{\"data\":\"x\",\"base64\":\"AAAA\"}", "one of"},
        {__LINE__, "{\"data\":\"x\",\"subscribe\":[]}", "one of"},
        {__LINE__, "{\"subscribe\":[],\"unsubscribe\":[]}", "one of"},
        {__LINE__, "{\"data\":\"x\",\"data\":\"x\"}", "twice"},
        {__LINE__, "{\"data\":\"x\",\"date\":1}", "member"},
        {__LINE__, "{\"data\":1}", "strings"},
        {__LINE__, "{\"data\":\"x\",\"topic\":null}", "strings"},
        {__LINE__, "{\"data\":\"x\",\"event\":[]}", "strings"},
        {__LINE__, "{\"base64\":\"A\"}", "base64"},
        {__LINE__, "{\"data\":\"x\",\"event\":\"gap\"}", "event"},
        {__LINE__, "{\"data\":\"x\",\"event\":\"a\\nb\"}", "event"},
        {__LINE__, "{\"data\":\"x\",\"topic\":\"a//b\"}", "topic"},
        {__LINE__, "{\"data\":\"x\",\"topic\":\"a*\"}", "topic"},
        {__LINE__, "{\"data\":\"x\",\"topic\":\"\"}", "topic"},
        {__LINE__, "{\"data\":\"x\",\"topic\":\"other\"}", "--topic"},
        {__LINE__, "{\"data\":\"12345678901234567890123456789012345678901\"}", "--max-message"},
        {__LINE__, "{\"subscribe\":\"a\"}", "array"},
        {__LINE__, "{\"subscribe\":[1]}", "array"},
        {__LINE__, "{\"subscribe\":[\"other\"]}", "--topic"},
        {__LINE__, "{\"subscribe\":[\"t1\",\"t2\",\"t3\"]}", "--max-subscriptions"},
    };
    e2e_start(&s, "--topic", "a", "--topic", "t1", "--topic", "t2", "--topic", "t3",
              "--max-message", "40", "--max-subscriptions", "3", NULL);
    struct e2e_conn *c = socket_open_json(&s, "/a", NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        socket_text(c, "%s", rows[i].text);
        const char *text = socket_expect_in(c, "");
        if (strncmp(text, "{\"error\":\"", 10) != 0 || strstr(text, rows[i].error) == NULL)
            e2e_fail("row %d was answered %s", rows[i].line, text);
    }
    socket_send(c, SOCKET_FIN | SOCKET_BINARY, "{\"data\":\"x\"}", 12);
    socket_expect_in(c, "{\"error\":\"a frame must be text");
    socket_text(c, "{\"data\":\"still here\"}");
    socket_expect_in(c, "\"ok\"");
    socket_expect_in(c, "still here");
    e2e_stop(&s);
}

/* ---- subscribing while connected ---- */

/* The answer must tell just these names, in any order. */
static void expect_subscribed(struct e2e_conn *c, const char *const names[], size_t n)
{
    const char *text = socket_expect_in(c, "{\"ok\":{\"subscribed\":[");
    size_t size = strlen("{\"ok\":{\"subscribed\":[]}}") + (n > 0 ? n - 1 : 0);
    for (size_t i = 0; i < n; i++) {
        char quoted[300];
        size += (size_t)snprintf(quoted, sizeof(quoted), "\"%s\"", names[i]);
        if (strstr(text, quoted) == NULL)
            e2e_fail("%s is not in %s", quoted, text);
    }
    if (strlen(text) != size)
        e2e_fail("not these %zu alone: %s", n, text);
}
#define SUBSCRIBED(c, ...)                                   \
    expect_subscribed(c, (const char *const[]){__VA_ARGS__}, \
                      COUNT(((const char *const[]){__VA_ARGS__})))

START_TEST(test_subscribe)
{
    e2e_start(&s, NULL);
    e2e_publish(&s, "/b", "before");
    struct e2e_conn *c = socket_open_json(&s, "/a", NULL);
    e2e_publish(&s, "/b", "before too");
    socket_text(c, "{\"subscribe\":[\"b\",\"c/*\"]}");
    SUBSCRIBED(c, "a", "b", "c/*");
    const char *id = e2e_publish(&s, "/b", "1");
    expect_object(c, "b", "null", "\"data\":\"1\"", id);
    id = e2e_publish(&s, "/c/d", "2");
    expect_object(c, "c/d", "null", "\"data\":\"2\"", id);
    id = e2e_publish(&s, "/a", "3");
    expect_object(c, "a", "null", "\"data\":\"3\"", id);
    socket_text(c, "{\"data\":\"x\"}");
    socket_expect_in(c, "{\"error\":\"\\\"topic\\\" is needed");
    socket_text(c, "{\"subscribe\":[\"a//b\"]}");
    socket_expect_in(c, "segment");
    socket_text(c, "{\"unsubscribe\":[\"a\",\"never\",\"c/*\"]}");
    socket_expect_text(c, "{\"ok\":{\"subscribed\":[\"b\"]}}");
    e2e_publish(&s, "/a", "no");
    e2e_publish(&s, "/c/d", "no");
    id = e2e_publish(&s, "/b", "4");
    expect_object(c, "b", "null", "\"data\":\"4\"", id);
    socket_text(c, "{\"data\":\"5\"}"); /* to the one that is left */
    socket_expect_in(c, "\"ok\"");
    socket_expect_in(c, "\"data\":\"5\"");
    socket_text(c, "{\"subscribe\":[\"b\"]}");
    socket_expect_text(c, "{\"ok\":{\"subscribed\":[\"b\"]}}");
    e2e_stop(&s);
}

/* What was published before a subscription, in the same packet too, is not sent. */
START_TEST(test_subscribe_starts_now)
{
    char frames[512];
    e2e_start(&s, NULL);
    struct e2e_conn *c = socket_open_json(&s, "/a", NULL);
    static const char *const texts[] = {"{\"topic\":\"b\",\"data\":\"old\"}",
                                        "{\"subscribe\":[\"b\"]}",
                                        "{\"topic\":\"b\",\"data\":\"new\"}"};
    size_t n = 0;
    for (size_t i = 0; i < COUNT(texts); i++)
        n += socket_frame(frames + n, SOCKET_FIN | SOCKET_TEXT, texts[i], strlen(texts[i]), 99);
    e2e_send_n(c, frames, n);
    socket_expect_in(c, "\"subscribers\":0");
    SUBSCRIBED(c, "a", "b");
    socket_expect_in(c, "\"subscribers\":1");
    socket_expect_in(c, "\"data\":\"new\"");
    e2e_expect_silence(c, 50);
    e2e_stop(&s);
}

/* One that is subscribed to nothing costs nothing, and may come back. */
START_TEST(test_subscribed_to_nothing)
{
    e2e_start(&s, "--heartbeat", "100ms", NULL);
    struct e2e_conn *c = socket_open_json(&s, "/a", NULL);
    socket_text(c, "{\"unsubscribe\":[\"a\"]}");
    socket_skip_pings(c);
    socket_expect_text(c, "{\"ok\":{\"subscribed\":[]}}");
    e2e_publish(&s, "/a", "missed");
    socket_expect(c, SOCKET_PING, "", 0);
    socket_send(c, SOCKET_FIN | SOCKET_PONG, "", 0);
    e2e_rests(&s);
    socket_text(c, "{\"data\":\"x\"}");
    socket_skip_pings(c);
    socket_expect_in(c, "topic");
    socket_text(c, "{\"subscribe\":[\"a\"]}");
    socket_skip_pings(c);
    socket_expect_in(c, "{\"ok\":{\"subscribed\":[\"a\"]}}");
    e2e_publish(&s, "/a", "now");
    socket_skip_pings(c);
    socket_expect_in(c, "\"data\":\"now\"");
    e2e_stop(&s);
}

/* A heartbeat that a page can see: a browser's WebSocket shows it no pings. */
START_TEST(test_heartbeats_seen)
{
    e2e_start(&s, "--heartbeat", "100ms", NULL);
    char want[128];
    snprintf(want, sizeof want, "{\"heartbeat\":{\"id\":\"%s\"}}", e2e_publish(&s, "/other", "x"));
    struct e2e_conn *c = socket_open_json(&s, "/a?heartbeat=event", NULL);
    for (int i = 0; i < 2; i++) {
        socket_expect_in(c, want);
        socket_expect(c, SOCKET_PING, "", 0);
        socket_send(c, SOCKET_FIN | SOCKET_PONG, "", 0);
    }
    e2e_stop(&s);
}
END_TEST

/* A long list is told in part. */
START_TEST(test_many_subscriptions)
{
    static char text[60000];
    e2e_start(&s, NULL);
    struct e2e_conn *c = socket_open_json(&s, "/a", NULL);
    size_t n = (size_t)sprintf(text, "{\"subscribe\":[\"topic-0000\"");
    for (unsigned i = 1; i < 999; i++)
        n += (size_t)sprintf(text + n, ",\"topic-%04u\"", i);
    socket_text(c, "%s]}", text);
    const char *ok = socket_expect_in(c, "{\"ok\":{\"subscribed\":[");
    ck_assert_str_eq(ok + strlen(ok) - strlen("],\"and\":\"more\"}}"), "],\"and\":\"more\"}}");
    const char *id = e2e_publish(&s, "/topic-0998", "x");
    expect_object(c, "topic-0998", "null", "\"data\":\"x\"", id);
    socket_text(c, "{\"subscribe\":[\"one\"]}");
    socket_expect_in(c, "--max-subscriptions");
    e2e_stop(&s);
}

/* What is held already takes no second place. */
START_TEST(test_held_already)
{
    static const struct {
        const char *text, *answer;
    } rows[] = {
        {"{\"subscribe\":[\"a\"]}", "{\"ok\":{\"subscribed\":[\"a\"]}}"},
        {"{\"subscribe\":[\"a\",\"a\"]}", "{\"ok\":{\"subscribed\":[\"a\"]}}"},
        {"{\"subscribe\":[\"b\"]}", "{\"ok\":{\"subscribed\":[\"a\",\"b\"]}}"},
        {"{\"subscribe\":[\"b\",\"a\"]}", "{\"ok\":{\"subscribed\":[\"a\",\"b\"]}}"},
        {"{\"subscribe\":[\"a\"]}", "{\"ok\":{\"subscribed\":[\"a\",\"b\"]}}"},
        {"{\"subscribe\":[]}", "{\"ok\":{\"subscribed\":[\"a\",\"b\"]}}"},
        {"{\"subscribe\":[\"c\"]}", NULL},
        {"{\"subscribe\":[\"a\",\"c\"]}", NULL},
        {"{\"subscribe\":[\"c\",\"d\",\"e\"]}", NULL},
        {"{\"unsubscribe\":[\"c\",\"d\",\"e\"]}", NULL},
        {"{\"unsubscribe\":[\"a\",\"c\"]}", "{\"ok\":{\"subscribed\":[\"b\"]}}"},
        {"{\"subscribe\":[\"*\",\"b\"]}", "{\"ok\":{\"subscribed\":[\"*\",\"b\"]}}"},
    };
    e2e_start(&s, "--max-subscriptions", "2", NULL);
    struct e2e_conn *c = socket_open_json(&s, "/a", NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        socket_text(c, "%s", rows[i].text);
        if (rows[i].answer != NULL)
            socket_expect_text(c, "%s", rows[i].answer);
        else
            socket_expect_in(c, "--max-subscriptions allows\"}");
    }
    metric_becomes(&s, "topics", 1); /* of several workers, the client's own knows it */
    metric_becomes(&s, "limit_max_subscriptions_total", 4);
    e2e_stop(&s);
}

/* The server's own topic is unavailable, though it exists. */
START_TEST(test_inside_topic)
{
    struct e2e_response r;
    e2e_start(&s, NULL);
    struct e2e_conn *c = socket_open_json(&s, "/a", NULL);
    socket_text(c, "{\"unsubscribe\":[\"a\"]}");
    socket_expect_text(c, "{\"ok\":{\"subscribed\":[]}}");
    e2e_ask(&s, &r, "GET /-/ready HTTP/1.1\r\nHost: t\r\n\r\n");
    e2e_expect_status(&r, 200, NULL);
    static const char *const texts[] = {"{\"subscribe\":[\"-ready\"]}",
                                        "{\"subscribe\":[\"x\",\"-ready\"]}",
                                        "{\"subscribe\":[\"-ready\",\"x\"]}",
                                        "{\"topic\":\"-ready\",\"data\":\"x\"}",
                                        "{\"subscribe\":[\"-*\"]}"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        socket_text(c, "%s", texts[i]);
        socket_expect_in(c, "begins with \\\"-\\\"");
    }
    e2e_stop(&s);
}

/* ---- cursors ---- */

START_TEST(test_replay)
{
    static const struct {
        const char *query, *before, *behind;
    } forms[] = {{"?last-event-id=", "", ""},
                 {"?since=", "", ""},
                 {"", "Last-Event-ID: ", "\r\n"},
                 {"", "If-None-Match: W/\"", "\"\r\n"}};
    char ids[10][64], target[1024], field[1024], text[64];
    e2e_start(&s, NULL);
    for (unsigned i = 0; i < 10; i++) {
        snprintf(text, sizeof(text), "m%u", i);
        snprintf(ids[i], sizeof(ids[i]), "%s", e2e_publish(&s, i % 2 ? "/a" : "/b/c", text));
    }
    for (unsigned i = 0; i < 10; i++)
        for (unsigned form = 0; form < COUNT(forms); form++) {
            snprintf(target, sizeof(target), "/a,b/**%s%s", forms[form].query,
                     forms[form].query[0] != '\0' ? ids[i] : "");
            snprintf(field, sizeof(field), "%s%s%s", forms[form].before,
                     forms[form].before[0] != '\0' ? ids[i] : "", forms[form].behind);
            struct e2e_conn *raw = socket_open(&s, target, field);
            struct e2e_conn *c = e2e_open(&s);
            strncat(field, SOCKET_JSON, sizeof(field) - strlen(field) - 1);
            socket_shake(c, target, field);
            socket_expect_text(c, "{\"id\":\"%s\"}", ids[i]);
            for (unsigned k = i + 1; k < 10; k++) {
                snprintf(text, sizeof(text), "\"data\":\"m%u\"", k);
                socket_expect_text(raw, "m%u", k);
                expect_object(c, k % 2 ? "a" : "b/c", "null", text, ids[k]);
            }
            e2e_expect_silence(raw, 2);
            e2e_close(raw);
            e2e_close(c);
        }
    struct e2e_conn *c = socket_open(&s, "/a,b/c?since=-3", NULL);
    for (unsigned k = 7; k < 10; k++)
        socket_expect_text(c, "m%u", k);
    c = socket_open(&s, "/a?since=earliest", NULL);
    for (unsigned k = 1; k < 10; k += 2)
        socket_expect_text(c, "m%u", k);
    c = socket_open(&s, "/a?since=10m", NULL);
    socket_expect_text(c, "m1");
    c = socket_open(&s, "/a?since=now", NULL);
    e2e_expect_silence(c, 20);
    e2e_publish(&s, "/a", "live");
    socket_expect_text(c, "live");
    e2e_stop(&s);
}

/* ---- gaps ---- */

START_TEST(test_gap)
{
    static char data[2000];
    memset(data, 'x', sizeof(data) - 1);
    e2e_start(&s, "--ring", "64K", "--max-message", "4K", NULL);
    char field[128], first[64];
    snprintf(first, sizeof(first), "%s", e2e_publish(&s, "/a", "first"));
    snprintf(field, sizeof(field), "Last-Event-ID: %s\r\n", first);
    for (unsigned i = 0; i < 100; i++)
        e2e_publish(&s, "/a", data);
    socket_expect_close(socket_open(&s, "/a", field), 4000);
    struct e2e_conn *c = e2e_open(&s);
    snprintf(field, sizeof(field), SOCKET_JSON "Last-Event-ID: %s\r\n", first);
    socket_shake(c, "/a", field);
    char gap[512], resume[128];
    snprintf(gap, sizeof(gap), "%s", socket_expect_in(c, "{\"gap\":{\"reason\":\"expired\""));
    if (strstr(gap, first) == NULL)
        e2e_fail("the cursor is not in %s", gap);
    snprintf(resume, sizeof(resume), "%s", id_in(socket_expect_in(c, "{\"id\":")));
    const char *oldest = id_in(socket_expect_in(c, "\"data\":\"xxx"));
    if (strstr(gap, oldest) == NULL || strcmp(oldest, resume) == 0)
        e2e_fail("the oldest is %s, and not in %s", oldest, gap);
    static const char *const strange[] = {"1-1", "rubbish", "99999999999999-5"};
    for (size_t i = 0; i < COUNT(strange); i++) {
        snprintf(field, sizeof(field), "Last-Event-ID: %s\r\n", strange[i]);
        socket_expect_close(socket_open(&s, "/a", field), 4000);
        c = e2e_open(&s);
        snprintf(field, sizeof(field), SOCKET_JSON "Last-Event-ID: %s\r\n", strange[i]);
        socket_shake(c, "/a", field);
        socket_expect_in(c, "{\"gap\":{\"reason\":\"unknown\"");
        socket_expect_in(c, "{\"id\":");
        socket_expect_in(c, "\"data\":\"xxx");
    }
    /* nothing of that topic was lost: no false alarm */
    snprintf(field, sizeof(field), "Last-Event-ID: %s\r\n", e2e_publish(&s, "/quiet", "late"));
    for (unsigned i = 0; i < 100; i++)
        e2e_publish(&s, "/a", data);
    c = socket_open(&s, "/quiet", field);
    e2e_publish(&s, "/quiet", "next");
    socket_expect_text(c, "next");
    e2e_stop(&s);
}

/* One who speaks json and whose topics are quiet has a cursor that stays in the ring. */
START_TEST(test_checkpoints)
{
    static char data[2000], last[64];
    memset(data, 'x', sizeof(data) - 1);
    e2e_start(&s, "--ring", "64K", "--max-message", "4K", "--heartbeat", "300ms", NULL);
    struct e2e_conn *c = socket_open_json(&s, "/quiet", NULL);
    for (unsigned i = 0; i < 100; i++)
        snprintf(last, sizeof(last), "%s", e2e_publish(&s, "/busy", data));
    for (;;) {
        struct socket_frame f;
        socket_read(c, &f);
        if (f.opcode == SOCKET_TEXT)
            break;
        socket_done(c, &f);
        socket_send(c, SOCKET_FIN | SOCKET_PONG, "", 0);
    }
    socket_expect_in(c, "{\"id\":\"");
    e2e_stop(&s);
}

/* Reads messages until a close, the end, or the one before `most`. They begin with their number,
 * which grows by one, but after a gap that was told. `skip` bytes of each, behind "data", come
 * before it; 0: there is no json. */
static void expect_lag(struct e2e_conn *c, size_t skip, long most)
{
    struct socket_frame f;
    bool told = false;
    long next = 0;
    while (next < most && socket_read_or_end(c, &f) && f.opcode != SOCKET_CLOSE) {
        const char *at = skip == 0 ? f.data : memmem(f.data, f.n, "\"data\":\"", skip);
        if (memmem(f.data, f.n, "lagged", 6) != NULL) {
            told = true;
        } else if (at != NULL) {
            long n = strtol(at + skip, NULL, 10);
            if (n < next || (n > next && !told))
                e2e_fail("message %ld came, not %ld", n, next);
            next = n + 1;
            told = false;
        }
        socket_done(c, &f);
    }
    ck_assert_int_gt(next, 0);
    if (next < most && !c->eof && f.code != 1013)
        e2e_fail("after %ld came a close with %u", next - 1, f.code);
}

/* Overtaken while slow: by a close without the subprotocol, by a gap with it; and each message once
 * and in order, whichever are lost. */
START_TEST(test_lagged)
{
    enum { SIZE = 3000, MANY = 4000 };
    static char data[SIZE];
    e2e_start(&s, "--ring", "64K", "--max-message", "4K", NULL);
    struct e2e_conn *raw = e2e_open_narrow(&s, 4096), *c = e2e_open_narrow(&s, 4096);
    socket_shake(raw, "/a", NULL);
    socket_shake(c, "/a", SOCKET_JSON);
    socket_expect_in(c, "{\"id\":");
    struct e2e_conn *p = e2e_open(&s);
    static struct e2e_response r;
    for (unsigned i = 0; i < MANY; i++) {
        memset(data, 'a' + (int)(i % 26), sizeof(data));
        sprintf(data, "%05u", i);
        e2e_send_publish(p, "/a", data, sizeof(data));
        e2e_response(p, &r);
        ck_assert_int_eq(r.status, 201);
    }
    expect_lag(raw, 0, MANY);
    expect_lag(c, 8, MANY);
    e2e_stop(&s);
}

static Suite *suite(void)
{
    Suite *all = suite_create("socket_json");
    TCase *t = tcase_create("socket_json");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_publish);
    tcase_add_test(t, test_errors);
    tcase_add_test(t, test_subscribe);
    tcase_add_test(t, test_subscribe_starts_now);
    tcase_add_test(t, test_subscribed_to_nothing);
    tcase_add_test(t, test_heartbeats_seen);
    tcase_add_test(t, test_many_subscriptions);
    tcase_add_test(t, test_held_already);
    tcase_add_test(t, test_inside_topic);
    tcase_add_test(t, test_replay);
    tcase_add_test(t, test_gap);
    tcase_add_test(t, test_checkpoints);
    tcase_add_test(t, test_lagged);
    suite_add_tcase(all, t);
    return all;
}

int main(void)
{
    return run(suite());
}
