/*
 * poll.c - end to end: short polling: forms, cursors, conditions, bounds, gaps, connections.
 */
#include "test/kit/answers.h"
#include "test/kit/kit.h"

#include <stdarg.h>
#include <string.h>

static struct e2e_server s;
static struct e2e_response r;
static struct poll_answer a;

/* Printed into one of 64 static buffers, in turn. */
__attribute__((format(printf, 1, 2))) static const char *print(const char *format, ...)
{
    static char text[64][1024];
    static unsigned turn;
    char *to = text[turn++ % 64];
    va_list ap;
    va_start(ap, format);
    vsnprintf(to, sizeof(text[0]), format, ap);
    va_end(ap);
    return to;
}

/* Publishes `count` messages of `size` bytes over one connection. */
static void flood(const char *target, unsigned count, size_t size)
{
    static char data[64 << 10];
    struct e2e_conn *c = e2e_open(&s);
    ck_assert_uint_le(size, sizeof(data));
    memset(data, 'f', size);
    for (unsigned i = 0; i < count; i++) {
        e2e_send_publish(c, target, data, size);
        e2e_response(c, &r);
        ck_assert_int_eq(r.status, 201);
    }
    e2e_close(c);
}

/* ---- what an answer holds ---- */

static long long wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static long long time_of(const char *text)
{
    struct tm tm = {0};
    int ms;
    ck_assert_int_eq(sscanf(text, "%d-%d-%dT%d:%d:%d.%dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
                            &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms),
                     7);
    tm.tm_year -= 1900;
    tm.tm_mon--;
    return (long long)timegm(&tm) * 1000 + ms;
}

START_TEST(test_messages)
{
    static const char control[] = "\x01\x1f\x7f\t\r\n\"\\/ \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"
                                  " \xe2\x80\xa8 \xe2\x80\xa9";
    static const char binary[] = "\x00\xff\x80"
                                 "abc\x00";
    e2e_start(&s, NULL);
    long long before = wall_ms();
    char ids[5][64];
    const struct {
        const char *target, *type, *data;
        size_t size;
        const char *event;
    } rows[] = {
        {"/news", NULL, "plain", 5, NULL},
        {"/news?event=na%22me", NULL, control, sizeof(control) - 1, "na\"me"},
        {"/news", "application/octet-stream", binary, sizeof(binary) - 1, NULL},
        {"/news", NULL, "", 0, NULL},
        {"/news?event=b", "application/octet-stream", "", 0, "b"},
    };
    for (unsigned i = 0; i < COUNT(rows); i++)
        snprintf(ids[i], sizeof(ids[i]), "%s",
                 e2e_publish_as(&s, rows[i].target, rows[i].type, rows[i].data, rows[i].size));
    static const char *const forms[] = {"application/json", "application/x-ndjson"};
    for (unsigned f = 0; f < COUNT(forms); f++) {
        poll_get(&s, &a, "/news", print("Accept: %s\r\n", forms[f]));
        ck_assert_int_eq(a.r.status, 200);
        ck_assert_str_eq(e2e_field(&a.r, "Content-Type"), forms[f]);
        ck_assert_str_eq(a.id, ids[4]);
        ck_assert_uint_eq(a.n, COUNT(rows));
        for (unsigned i = 0; i < COUNT(rows); i++) {
            const struct poll_message *m = &a.m[i];
            ck_assert_str_eq(m->id, ids[i]);
            ck_assert_str_eq(m->topic, "news");
            ck_assert_pstr_eq(m->event, rows[i].event);
            ck_assert_msg(m->size == rows[i].size && memcmp(m->data, rows[i].data, m->size) == 0,
                          "%s: the data of message %u", forms[f], i);
            ck_assert_int_eq(m->binary, rows[i].type != NULL);
            long long time = time_of(m->time);
            ck_assert_msg(time >= before - 2 && time <= wall_ms(), "%s", m->time);
        }
    }
    poll_get(&s, &a, "/news", "Accept: text/plain\r\n");
    ck_assert_uint_eq(a.size, 5 + sizeof(control) - 1 + sizeof(binary) - 1 + 5);
    ck_assert_int_eq(memcmp(a.body, "plain\n\x01", 7), 0);
    ck_assert_int_eq(memcmp(a.body + a.size - 4, "\x00\n\n\n", 4), 0);
    e2e_stop(&s);
}
END_TEST

/* Names that JSON must escape, or HTTP encodes, in the topic. */
START_TEST(test_topic_names)
{
    static const struct {
        const char *path, *name;
    } rows[] = {{"/a%22b", "a\"b"},
                {"/a%5Cb", "a\\b"},
                {"/caf%C3%A9/x", "caf\xc3\xa9/x"},
                {"/with%20space", "with space"},
                {"/a%20b/%F0%9F%98%80", "a b/\xf0\x9f\x98\x80"}};
    e2e_start(&s, NULL);
    for (unsigned i = 0; i < COUNT(rows); i++) {
        e2e_publish(&s, rows[i].path, "x");
        poll_get(&s, &a, rows[i].path, NULL);
        poll_expect(&a, 200, "x", NULL);
        ck_assert_str_eq(a.m[0].topic, rows[i].name);
    }
    e2e_stop(&s);
}
END_TEST

/* ---- which form ---- */

START_TEST(test_accept)
{
    static const char json[] = "application/json", lines[] = "application/x-ndjson",
                      text[] = "text/plain; charset=utf-8";
    static const struct {
        int line;
        const char *accept, *type; /* NULL: 406 */
    } rows[] = {
        {__LINE__, "", json},
        {__LINE__, "Accept: */*\r\n", json},
        {__LINE__, "Accept: application/json\r\n", json},
        {__LINE__, "Accept: APPLICATION/Json\r\n", json},
        {__LINE__, "Accept: text/plain\r\n", text},
        {__LINE__, "Accept: application/x-ndjson\r\n", lines},
        {__LINE__, "Accept: text/*\r\n", text},
        {__LINE__, "Accept: application/*\r\n", json},
        {__LINE__, "Accept: text/plain, application/json\r\n", json},
        {__LINE__, "Accept: text/plain, */*\r\n", text},
        {__LINE__, "Accept: text/plain;q=0.5, application/json;q=0.4\r\n", text},
        {__LINE__, "Accept: text/plain;q=0.4, application/json;q=0.5\r\n", json},
        {__LINE__, "Accept: text/plain;q=0.4 , application/x-ndjson; q=0.401\r\n", lines},
        {__LINE__, "Accept: application/json;q=0, */*\r\n", lines},
        {__LINE__, "Accept: application/*;q=0, */*;q=0.1\r\n", text},
        {__LINE__, "Accept: application/json;q=0.001\r\n", json},
        {__LINE__, "Accept: text/html\r\nAccept: text/plain\r\n", text},
        {__LINE__, "Accept: text/event-stream;q=0, text/plain\r\n", text},
        {__LINE__, "Accept: text/event-stream;q=0.5, application/json\r\n", json},
        {__LINE__, "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n",
         json},
        {__LINE__, "Accept: image/png\r\n", NULL},
        {__LINE__, "Accept: application/json;q=0\r\n", NULL},
        {__LINE__, "Accept: */*;q=0\r\n", NULL},
        {__LINE__, "Accept: text/html, application/xml\r\n", NULL},
        {__LINE__, "Accept: application/jsonx, application/jso\r\n", NULL},
    };
    e2e_start(&s, NULL);
    e2e_publish(&s, "/news", "x");
    struct e2e_conn *c = e2e_open(&s);
    for (unsigned i = 0; i < COUNT(rows); i++) {
        poll_send(c, "/news", rows[i].accept);
        if (rows[i].type == NULL) {
            e2e_response(c, &r);
            ck_assert_msg(r.status == 406, "row of line %d: %s", rows[i].line, r.head);
            e2e_expect_status(&r, 406, "application/x-ndjson");
            continue;
        }
        poll_read(c, &a, false);
        const char *type = e2e_field(&a.r, "Content-Type");
        ck_assert_msg(type != NULL && strcmp(type, rows[i].type) == 0, "row of line %d: %s",
                      rows[i].line, a.r.head);
    }
    e2e_stop(&s);
}
END_TEST

/* ---- nothing new ---- */

START_TEST(test_nothing_new)
{
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_open(&s);
    poll_send(c, "/news", NULL);
    poll_read(c, &a, false);
    poll_expect(&a, 204, NULL);
    ck_assert_uint_eq(poll_n(a.id), 0);
    poll_send(c, "/news", print("If-None-Match: W/\"%s\"\r\n", a.id));
    poll_read(c, &a, false);
    poll_expect(&a, 304, NULL);
    e2e_publish(&s, "/other", "x"); /* moves the cursor, wakes nobody */
    poll_send(c, "/news", print("If-None-Match: W/\"%s\"\r\n", a.id));
    poll_read(c, &a, false);
    poll_expect(&a, 304, NULL);
    ck_assert_uint_eq(poll_n(a.id), 1);
    poll_send(c, print("/news?last-event-id=%s", a.id), NULL);
    poll_read(c, &a, false);
    poll_expect(&a, 204, NULL);
    const char *id = e2e_publish(&s, "/news", "y");
    poll_send(c, print("/news?last-event-id=%s", a.id), NULL);
    poll_read(c, &a, false);
    poll_expect(&a, 200, "y", NULL);
    ck_assert_str_eq(a.id, id);
    e2e_stop(&s);
}
END_TEST

/* HEAD has GET's head and no body, in every case. */
START_TEST(test_head)
{
    e2e_start(&s, NULL);
    const char *id = e2e_publish(&s, "/news", "hello");
    static const char *const accepts[] = {"application/json", "application/x-ndjson", "text/plain"};
    struct e2e_conn *c = e2e_open(&s);
    for (unsigned i = 0; i < 3 * COUNT(accepts); i++) {
        char head[8192];
        const char *fields = print("Accept: %s\r\n%s", accepts[i % 3],
                                   i < 3   ? ""
                                   : i < 6 ? print("If-None-Match: \"%s\"\r\n", id)
                                           : print("Last-Event-ID: %s\r\n", id));
        poll_send(c, "/news", fields);
        poll_read(c, &a, false);
        ck_assert_int_eq(a.r.status, i < 3 ? 200 : i < 6 ? 304 : 204);
        snprintf(head, sizeof(head), "%s", strstr(a.r.head, "Last-Event-ID:"));
        char *length =
            strstr(head, "Content-Length:"); /* of messages, which HEAD does not render */
        if (length != NULL)
            memmove(length, strchr(length, '\n') + 1, strlen(strchr(length, '\n')));
        e2e_printf(c, "HEAD /news HTTP/1.1\r\nHost: test\r\n%s\r\n", fields);
        poll_read(c, &a, true);
        ck_assert_str_eq(strstr(a.r.head, "Last-Event-ID:"), head);
    }
    e2e_expect_silence(c, 50);
    e2e_stop(&s);
}
END_TEST

/* ---- cursors ---- */

START_TEST(test_cursor_sources)
{
    char i1[64], i2[64], i3[64];
    e2e_start(&s, NULL);
    snprintf(i1, sizeof(i1), "%s", e2e_publish(&s, "/news", "a"));
    snprintf(i2, sizeof(i2), "%s", e2e_publish(&s, "/news", "b"));
    snprintf(i3, sizeof(i3), "%s", e2e_publish(&s, "/news", "c"));
    poll_get(&s, &a, "/news", print("Last-Event-ID: %s\r\n", i1));
    poll_expect(&a, 200, "b", "c", NULL);
    static const char *const names[] = {"last-event-id", "last_event_id", "lastEventId"};
    for (unsigned i = 0; i < COUNT(names); i++) {
        poll_get(&s, &a, print("/news?%s=%s", names[i], i2), NULL);
        poll_expect(&a, 200, "c", NULL);
    }
    /* The header comes before the query, this before the tag, this before since. */
    poll_get(&s, &a, print("/news?last-event-id=%s", i1), print("Last-Event-ID: %s\r\n", i2));
    poll_expect(&a, 200, "c", NULL);
    poll_get(&s, &a, print("/news?last-event-id=%s", i1), print("If-None-Match: \"%s\"\r\n", i2));
    poll_expect(&a, 200, "b", "c", NULL);
    poll_get(&s, &a, "/news?since=earliest", print("If-None-Match: \"%s\"\r\n", i2));
    poll_expect(&a, 200, "c", NULL);
    static const char *const bad[] = {"x",    "1",    "-",     "1-",
                                      "-1",   "1-x",  "1-1x",  "+1-1",
                                      "1--1", "1 -1", "0x1-1", "18446744073709551616-1"};
    for (unsigned i = 0; i < COUNT(bad); i++) {
        e2e_ask(&s, &r, "GET /news HTTP/1.1\r\nHost: test\r\nLast-Event-ID: %s\r\n\r\n", bad[i]);
        e2e_expect_status(&r, 400, "cursor");
        e2e_ask(&s, &r, "GET /news HTTP/1.1\r\nHost: test\r\nIf-None-Match: \"%s\"\r\n\r\n",
                bad[i]);
        e2e_expect_status(&r, 400, "cursor");
    }
    e2e_ask(&s, &r, "GET /news?wait=5 HTTP/1.1\r\nHost: test\r\nLast-Event-ID: x\xff\r\n\r\n");
    e2e_expect_status(&r, 400, "cursor");
    e2e_stop(&s);
}
END_TEST

/* A parameter that means nothing is named, by every way of asking, and changes nothing else. */
START_TEST(test_unknown_parameters)
{
    static const struct {
        const char *request;
        int status;
        const char *told;
    } asks[] = {
        {"GET /news?sinse=-5 HTTP/1.1\r\nHost: t\r\n", 200, "\"sinse\";like=\"since\""},
        {"GET /news?since=-5 HTTP/1.1\r\nHost: t\r\n", 200, NULL},
        {"GET /news?since=now&_=1 HTTP/1.1\r\nHost: t\r\n", 204, "\"_\""},
        {"GET /news?wiat=3&since=now HTTP/1.1\r\nHost: t\r\n", 204, "\"wiat\";like=\"wait\""},
        {"GET /news?since=later&x HTTP/1.1\r\nHost: t\r\n", 400, "\"x\""},
        {"HEAD /news?helo HTTP/1.1\r\nHost: t\r\nAccept: text/event-stream\r\n", 200,
         "\"helo\";like=\"hello\""},
        {"GET /news?helo HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
         101, "\"helo\";like=\"hello\""},
        {"POST /news?evnt=x HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n", 201,
         "\"evnt\";like=\"event\""},
        {"GET /-/topics?lmit=1 HTTP/1.1\r\nHost: t\r\n", 200, "\"lmit\";like=\"limit\""},
    };
    e2e_start(&s, NULL);
    e2e_publish(&s, "/news", "a");
    for (unsigned i = 0; i < COUNT(asks); i++) {
        struct e2e_conn *c = e2e_open(&s);
        e2e_printf(c, "%s\r\n", asks[i].request);
        e2e_response_head(c, &r);
        const char *told = e2e_field(&r, "Unknown-Parameter");
        ck_assert_msg(r.status == asks[i].status &&
                          (asks[i].told == NULL ? told == NULL
                                                : told != NULL && strcmp(told, asks[i].told) == 0),
                      "%s: %s", asks[i].request, r.head);
        e2e_close(c);
    }
    /* nothing of it is left over for who is answered later */
    struct e2e_conn *waits = e2e_open(&s), *other = e2e_open(&s);
    e2e_send(waits, "GET /news?wait=50 HTTP/1.1\r\nHost: t\r\n\r\n");
    e2e_sleep_ms(50);
    e2e_send(other, "POST /news?evnt HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\nb");
    e2e_response(other, &r);
    ck_assert_ptr_nonnull(e2e_field(&r, "Unknown-Parameter"));
    e2e_response(waits, &r);
    ck_assert_int_eq(r.status, 200);
    ck_assert_ptr_null(e2e_field(&r, "Unknown-Parameter"));
    e2e_stop(&s);
}
END_TEST

START_TEST(test_conditions)
{
    char i1[64], i2[64], i3[64];
    e2e_start(&s, NULL);
    snprintf(i1, sizeof(i1), "%s", e2e_publish(&s, "/news", "a"));
    snprintf(i2, sizeof(i2), "%s", e2e_publish(&s, "/news", "b"));
    snprintf(i3, sizeof(i3), "%s", e2e_publish(&s, "/news", "c"));
    const struct {
        int line;
        const char *tags; /* 1, 2, 3 stand for the ids */
        int status;
        const char *first;
    } rows[] = {
        {__LINE__, "\"3\"", 304, NULL},
        {__LINE__, "W/\"3\"", 304, NULL},
        {__LINE__, "3", 304, NULL},
        {__LINE__, "\"3-gzip\"", 304, NULL},
        {__LINE__, "W/\"3-gzip\"", 304, NULL},
        {__LINE__, "*", 304, NULL},
        {__LINE__, "\"2\"", 200, "c"},
        {__LINE__, "\"2-gzip\"", 200, "c"},
        {__LINE__, "W/\"1\"", 200, "b"},
        {__LINE__, "\"1\", W/\"3\"", 304, NULL},
        {__LINE__, "W/\"3\" ,\"1\"", 304, NULL},
        {__LINE__, "\"1\",\"2\"", 200, "c"},
        {__LINE__, "\"2\",,\"1\" , ", 200, "c"},
        {__LINE__, "\"zzz\", \"2\"", 200, "c"},
        {__LINE__, "\"2\"\r\nIf-None-Match: \"1\"", 200, "c"},
        {__LINE__, "\"1\"\r\nIf-None-Match: W/\"3\"", 304, NULL},
        {__LINE__, "\"zzz\", *", 304, NULL},
    };
    for (unsigned i = 0; i < COUNT(rows); i++) {
        char tags[512] = "";
        size_t n = 0;
        for (const char *p = rows[i].tags; *p != '\0'; p++) {
            char one[2] = {*p, '\0'};
            n += (size_t)snprintf(tags + n, sizeof(tags) - n, "%s",
                                  *p == '1'   ? i1
                                  : *p == '2' ? i2
                                  : *p == '3' ? i3
                                              : one);
        }
        poll_get(&s, &a, "/news", print("If-None-Match: %s\r\n", tags));
        ck_assert_msg(a.r.status == rows[i].status && a.gap.reason == NULL &&
                          strcmp(a.id, i3) == 0 &&
                          (rows[i].first == NULL || strcmp(a.m[0].data, rows[i].first) == 0),
                      "row of line %d: %s%s", rows[i].line, a.r.head, a.body);
    }
    e2e_stop(&s);
}
END_TEST

START_TEST(test_since)
{
    e2e_start(&s, NULL);
    char i1[64], mid[64];
    snprintf(i1, sizeof(i1), "%s", e2e_publish(&s, "/a", "1"));
    e2e_publish(&s, "/b", "2");
    e2e_sleep_ms(3);
    snprintf(mid, sizeof(mid), "%lld", wall_ms());
    e2e_sleep_ms(3);
    e2e_publish(&s, "/a", "3");
    e2e_publish(&s, "/b", "4");
    e2e_publish(&s, "/a", "5");
    long long now = wall_ms();
    char soon[32], soon_ms[32], lately[32];
    snprintf(soon, sizeof(soon), "%lld", now / 1000 + 100);
    snprintf(soon_ms, sizeof(soon_ms), "%lld", now + 100000);
    snprintf(lately, sizeof(lately), "%lld", now / 1000 - 100);
    const struct {
        int line;
        const char *since, *data; /* of /a; NULL: 400 */
    } rows[] = {
        {__LINE__, "earliest", "135"},
        {__LINE__, "now", ""},
        {__LINE__, i1, "35"},
        {__LINE__, "-0", ""},
        {__LINE__, "-1", "5"},
        {__LINE__, "-2", "35"},
        {__LINE__, "-3", "135"},
        {__LINE__, "-1000000", "135"},
        {__LINE__, "10m", "135"},
        {__LINE__, "1h", "135"},
        {__LINE__, "0", "135"},
        {__LINE__, mid, "35"},
        {__LINE__, soon, ""},
        {__LINE__, soon_ms, ""},
        {__LINE__, lately, "135"},
        {__LINE__, "", "135"},
        {__LINE__, "yesterday", NULL},
        {__LINE__, "-x", NULL},
        {__LINE__, "-", NULL},
        {__LINE__, "10y", NULL},
        {__LINE__, "m", NULL},
        {__LINE__, "-1m", NULL},
        {__LINE__, "99999999999999999999", NULL},
    };
    for (unsigned i = 0; i < COUNT(rows); i++) {
        char came[64] = "";
        if (rows[i].data == NULL) {
            e2e_ask(&s, &r, "GET /a?since=%s HTTP/1.1\r\nHost: test\r\n\r\n", rows[i].since);
            ck_assert_msg(r.status == 400, "row of line %d: %s", rows[i].line, r.head);
            e2e_expect_status(&r, 400, "since=");
            continue;
        }
        poll_get(&s, &a, print("/a?since=%s", rows[i].since), NULL);
        for (size_t k = 0; k < a.n && k < 60; k++)
            came[k] = a.m[k].data[0];
        ck_assert_msg(strcmp(came, rows[i].data) == 0 && a.gap.reason == NULL,
                      "row of line %d: since=%s gave %s%s", rows[i].line, rows[i].since, a.r.head,
                      a.body);
        ck_assert_int_eq(a.r.status, came[0] != '\0' ? 200 : 204);
        ck_assert_uint_eq(poll_n(a.id), 5);
    }
    poll_get(&s, &a, "/a,b?since=-3", NULL);
    poll_expect(&a, 200, "3", "4", "5", NULL);
    poll_get(&s, &a, "/*?since=-4", NULL);
    poll_expect(&a, 200, "2", "3", "4", "5", NULL);
    do { /* the last one is older than that by and by, not before */
        e2e_sleep_ms(20);
        poll_get(&s, &a, "/a?since=1s", NULL);
    } while (a.r.status == 200);
    poll_expect(&a, 204, NULL);
    ck_assert_int_ge(wall_ms(), atoll(mid) + 1000);
    e2e_stop(&s);
}
END_TEST

/* ---- bounds ---- */

enum { TOPICS = 12, MANY = 400, ANSWER = 4096 };

static struct {
    unsigned topic;
    size_t size;
} sent[MANY];

/* The data of message i: its number, and a filling. */
static const char *data_of(unsigned i, size_t *size)
{
    static char data[8192];
    int n = snprintf(data, sizeof(data), "%u:", i);
    memset(data + n, 'a' + (int)(i % 26), sent[i].size);
    *size = (size_t)n + sent[i].size;
    data[*size] = '\0';
    return data;
}

/* Checks one answer against the next messages of those selected; returns the next one's number. */
static unsigned carried(unsigned next, unsigned selected, const char *what)
{
    char *text = a.parsed;
    size_t n = 0;
    bool lines = strncmp(e2e_field(&a.r, "Content-Type"), "text", 4) == 0;
    for (; lines ? text < a.parsed + a.size : n < a.n; n++, next++) {
        size_t size;
        while (next < MANY && !(selected >> sent[next].topic & 1))
            next++;
        ck_assert_msg(next < MANY, "%s: more than there is", what);
        const char *data = data_of(next, &size), *came = lines ? text : a.m[n].data;
        ck_assert_msg(strncmp(came, data, size) == 0 &&
                          (lines ? came[size] == '\n' : size == a.m[n].size),
                      "%s: wanted %.10s, came %.10s", what, data, came);
        text += size + 1;
    }
    ck_assert_msg(n > 0, "%s: an empty answer", what);
    ck_assert_msg(n == 1 || a.size < ANSWER + 600, "%s: %zu bytes of %zu messages", what, a.size,
                  n);
    return next;
}

/* Polls on until there is nothing more: all that was selected, and only that, has come once. */
static void carry_all(const char *topics, unsigned selected, unsigned form, unsigned way)
{
    static const char *const forms[] = {"application/json", "application/x-ndjson", "text/plain"};
    char path[64], what[128];
    snprintf(path, sizeof(path), "%s", topics);
    snprintf(what, sizeof(what), "%s as %s", path, forms[form]);
    unsigned next = 0, answers = 0;
    struct e2e_conn *c = e2e_open(&s);
    poll_send(c, print("/%s", path), print("Accept: %s\r\n", forms[form]));
    for (poll_read(c, &a, false); a.r.status == 200; poll_read(c, &a, false), answers++) {
        next = carried(next, selected, what);
        if (way == 1)
            poll_send(c, print("/%s?last_event_id=%s", path, a.id),
                      print("Accept: %s\r\n", forms[form]));
        else
            poll_send(c, print("/%s%s", path, way == 2 ? "?wait=0" : ""),
                      print("Accept: %s\r\n%s: %s\r\n", forms[form],
                            way == 0 ? "If-None-Match" : "Last-Event-ID", a.id));
    }
    ck_assert_int_eq(a.r.status, way == 0 ? 304 : 204);
    while (next < MANY && !(selected >> sent[next].topic & 1))
        next++;
    ck_assert_msg(next == MANY, "%s: message %u did not come", what, next);
    ck_assert_msg(answers > 1, "%s: a single answer", what);
    e2e_close(c);
}

START_TEST(test_bounds)
{
    uint64_t at = seed();
    printf("test_bounds: " SEED_FMT "\n", at);
    e2e_start(&s, "--max-answer", "4K", NULL);
    struct e2e_conn *c = e2e_open(&s);
    for (unsigned i = 0; i < MANY; i++) {
        size_t size;
        sent[i].topic = (unsigned)(random_next(&at) % TOPICS);
        sent[i].size = random_next(&at) % (random_next(&at) % 8 == 0 ? 8000 : 300);
        const char *data = data_of(i, &size);
        e2e_send_publish(c, print("/t/%u", sent[i].topic), data, size);
        e2e_response(c, &r);
        ck_assert_int_eq(r.status, 201);
    }
    for (unsigned i = 0; i < 9; i++) {
        unsigned form = i % 3, way = i / 3;
        if (form == 1 && way == 2)
            continue; /* lines and wait are a stream */
        unsigned topic = (unsigned)(random_next(&at) % TOPICS);
        carry_all(print("t/%u", topic), 1u << topic, form, way);
        carry_all("t/0,t/3,t/7", 1u << 0 | 1u << 3 | 1u << 7, form, way);
        carry_all("t/*", (1u << TOPICS) - 1, form, way);
        carry_all("none/*,**", (1u << TOPICS) - 1, form, way);
    }
    e2e_stop(&s);
}
END_TEST

/* ---- large answers ---- */

/* Fills with a pattern in which a byte out of place shows. */
static void fill(char *p, size_t n, unsigned salt)
{
    for (size_t i = 0; i < n; i++)
        p[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[(i * 7 + i / 4096 + salt) % 36];
}

START_TEST(test_sizes)
{
    static char data[4 << 20];
    static const size_t sizes[] = {0,     1,     2,      1000,    16383,   16384,  65535,
                                   65536, 65537, 262144, 1 << 20, 3000001, 4 << 20};
    e2e_start(&s, "--ring", "64M", "--max-message", "4M", "--max-answer", "4M", NULL);
    struct e2e_conn *c = e2e_open(&s);
    for (unsigned i = 0; i < COUNT(sizes); i++) {
        const char *type = i % 3 == 2 ? "application/octet-stream" : NULL;
        fill(data, sizes[i], i);
        if (i % 3 == 1)
            data[sizes[i] / 2] = '"';
        e2e_publish_as(&s, "/big", type, data, sizes[i]);
        poll_send(c, "/big?since=-1", "Accept: text/plain\r\n");
        poll_read(c, &a, false);
        ck_assert_uint_eq(a.size, sizes[i] + 1);
        ck_assert_int_eq(memcmp(a.body, data, sizes[i]), 0);
        poll_send(c, "/big?since=-1", i % 2 ? "Accept: application/x-ndjson\r\n" : NULL);
        poll_read(c, &a, false);
        ck_assert_uint_eq(a.n, 1);
        ck_assert_int_eq(a.m[0].binary, type != NULL);
        ck_assert_uint_eq(a.m[0].size, sizes[i]);
        ck_assert_int_eq(memcmp(a.m[0].data, data, sizes[i]), 0);
    }
    e2e_stop(&s);
}
END_TEST

/* Polls in one write, answered in order with large bodies, to a reader that is slow; what is
 * published behind them does not touch what they were answered with, even when it turns the ring
 * over. */
START_TEST(test_pipelined_slow_reader)
{
    enum { N = 6, SIZE = 60000 };
    static char data[N][SIZE];
    char text[N * 200];
    size_t n = 0;
    e2e_start(&s, "--ring", "1M", "--max-message", "64K", NULL);
    for (unsigned i = 0; i < N; i++) {
        fill(data[i], SIZE, i);
        e2e_publish_as(&s, print("/slow/%u", i), NULL, data[i], SIZE);
    }
    struct e2e_conn *c = e2e_open_narrow(&s, 8192);
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < N - 1; i++)
            n += (size_t)snprintf(text + n, sizeof(text) - n,
                                  "GET /slow/%u,slow/%u HTTP/1.1\r\nHost: t\r\n\r\n", i, i + 1);
    n += (size_t)snprintf(text + n, sizeof(text) - n,
                          "GET /none HTTP/1.1\r\nHost: t\r\nAccept: text/plain\r\n\r\n");
    e2e_send_n(c, text, n);
    e2e_sleep_ms(100);
    flood("/flood", 5, 60000);
    for (unsigned k = 0; k < 3 * (N - 1); k++) {
        unsigned i = k % (N - 1);
        poll_read(c, &a, false);
        ck_assert_uint_eq(a.n, 2);
        for (unsigned m = 0; m < 2; m++) {
            ck_assert_str_eq(a.m[m].topic, print("slow/%u", i + m));
            ck_assert_uint_eq(a.m[m].size, SIZE);
            ck_assert_int_eq(memcmp(a.m[m].data, data[i + m], SIZE), 0);
        }
        e2e_sleep_ms(k < 5 ? 20 : 0);
    }
    poll_read(c, &a, false);
    poll_expect(&a, 204, NULL);
    /* The first answer has been taken from the ring; then the ring is turned over. */
    poll_send(c, "/slow/*", NULL);
    e2e_sleep_ms(100);
    flood("/flood", 40, 60000);
    poll_read(c, &a, false);
    ck_assert_uint_ge(a.n, 4);
    for (unsigned m = 0; m < a.n; m++)
        ck_assert_int_eq(memcmp(a.m[m].data, data[m], SIZE), 0);
    e2e_stop(&s);
}
END_TEST

/* A client that never reads its large answers is not read on, and holds no more than one. */
START_TEST(test_never_reads)
{
    static char data[200000];
    static const char get[] = "GET /big HTTP/1.1\r\nHost: t\r\n\r\n";
    static char asks[(sizeof(get) - 1) * 4000];
    fill(data, sizeof(data), 1);
    e2e_start(&s, NULL);
    e2e_publish_as(&s, "/big", NULL, data, sizeof(data));
    struct e2e_conn *c = e2e_open_narrow(&s, 8192);
    for (size_t i = 0; i < 4000; i++)
        memcpy(asks + i * (sizeof(get) - 1), get, sizeof(get) - 1);
    long before = e2e_memory(&s, "VmRSS");
    e2e_send_some(c, asks, sizeof(asks), 200);
    e2e_rests(&s);
    if (e2e_measures())
        ck_assert_int_lt(e2e_memory(&s, "VmRSS") - before, 8 << 20);
    poll_read(c, &a, false);
    ck_assert_int_eq(memcmp(a.m[0].data, data, sizeof(data)), 0);
    poll_read(c, &a, false);
    ck_assert_int_eq(memcmp(a.m[0].data, data, sizeof(data)), 0);
    e2e_stop(&s);
}
END_TEST

/* ---- gaps ---- */

static const char *const accepts[] = {"Accept: application/json\r\n",
                                      "Accept: application/x-ndjson\r\n", "Accept: text/plain\r\n"};

/* Polls with this cursor in every form; each must tell this gap (NULL: none),
 * with this oldest message (NULL: whichever), if there is `any`. */
static void expect_gap(const char *target, const char *cursor, const char *reason,
                       const char *oldest, bool any)
{
    for (unsigned f = 0; f < COUNT(accepts); f++) {
        poll_get(&s, &a, target, print("%sLast-Event-ID: %s\r\n", accepts[f], cursor));
        ck_assert_msg((a.gap.reason != NULL) == (reason != NULL), "%s from %s, form %u: %s%s",
                      target, cursor, f, a.r.head, a.body);
        ck_assert_int_eq(a.r.status, reason != NULL || any ? 200 : 204);
        if (reason == NULL)
            continue;
        ck_assert_str_eq(a.gap.reason, reason);
        ck_assert_str_eq(a.gap.after, cursor);
        ck_assert_int_eq(a.gap.oldest != NULL, any);
        if (oldest != NULL)
            ck_assert_str_eq(a.gap.oldest, oldest);
        if (f < 2)
            ck_assert_int_eq(a.n > 0, any);
        if (f < 2 && any)
            ck_assert_str_eq(a.m[0].id, a.gap.oldest);
    }
}

START_TEST(test_gaps)
{
    char a1[64], a2[64], zero[64], ahead[64];
    e2e_start(&s, "--ring", "64K", NULL);
    snprintf(a1, sizeof(a1), "%s", e2e_publish(&s, "/a", "one"));
    snprintf(zero, sizeof(zero), "%.*s0", (int)(strchr(a1, '-') + 1 - a1), a1);
    snprintf(ahead, sizeof(ahead), "%.*s99999", (int)(strchr(a1, '-') + 1 - a1), a1);
    expect_gap("/a", zero, NULL, NULL, true);
    expect_gap("/a", a1, NULL, NULL, false);
    expect_gap("/a", "1-1", "unknown", a1, true);
    expect_gap("/a", ahead, "unknown", a1, true);
    expect_gap("/a", "18446744073709551615-18446744073709551615", "unknown", a1, true);
    expect_gap("/none", "1-1", "unknown", NULL, false);
    flood("/b", 60, 2000);
    /* What was lost between is of another topic. */
    expect_gap("/a", a1, NULL, NULL, false);
    expect_gap("/a", zero, "expired", NULL, false);
    expect_gap("/b", a1, "expired", NULL, true);
    expect_gap("/none", zero, NULL, NULL, false);
    snprintf(a2, sizeof(a2), "%s", e2e_publish(&s, "/a", "two"));
    expect_gap("/a", zero, "expired", a2, true);
    expect_gap("/a,none", zero, "expired", a2, true);
    expect_gap("/a", a1, NULL, NULL, true);
    expect_gap("/a,b", a1, "expired", NULL, true);
    expect_gap("/*", a1, "expired", NULL, true);
    /* One who asks for what there is has lost nothing. */
    poll_get(&s, &a, "/a", NULL);
    poll_expect(&a, 200, "two", NULL);
    poll_get(&s, &a, "/a?since=earliest", NULL);
    poll_expect(&a, 200, "two", NULL);
    ck_assert_ptr_null(a.gap.reason);
    /* An id in ?since= is a cursor, and so is a tag. */
    poll_get(&s, &a, print("/a?since=%s", zero), NULL);
    ck_assert_str_eq(a.gap.reason, "expired");
    poll_get(&s, &a, "/a", print("If-None-Match: W/\"%s\"\r\n", zero));
    ck_assert_str_eq(a.gap.reason, "expired");
    /* Going on from the answer there is none any more. */
    poll_get(&s, &a, "/a", print("If-None-Match: W/\"%s\"\r\n", a.id));
    poll_expect(&a, 304, NULL);
    e2e_stop(&s);
}
END_TEST

/* A gap goes on from the oldest with an answer's bound, and is told once. */
START_TEST(test_gap_and_bound)
{
    e2e_start(&s, "--ring", "64K", "--max-answer", "4K", NULL);
    flood("/a", 100, 1000);
    poll_get(&s, &a, "/a?last-event-id=1-1", NULL);
    ck_assert_str_eq(a.gap.reason, "unknown");
    unsigned long long next = poll_n(a.gap.oldest);
    unsigned answers = 0;
    struct e2e_conn *c = e2e_open(&s);
    for (; a.r.status == 200; answers++) {
        ck_assert_int_eq(a.gap.reason != NULL, answers == 0);
        for (size_t i = 0; i < a.n; i++)
            ck_assert_uint_eq(poll_n(a.m[i].id), next++);
        ck_assert_uint_eq(poll_n(a.id), next - 1);
        poll_send(c, print("/a?last-event-id=%s", a.id), NULL);
        poll_read(c, &a, false);
    }
    ck_assert_uint_eq(next, 101);
    ck_assert_uint_gt(answers, 5);
    e2e_stop(&s);
}
END_TEST

/* ---- connections ---- */

START_TEST(test_old_and_closing)
{
    e2e_start(&s, NULL);
    e2e_publish(&s, "/news", "hello");
    static const struct {
        const char *line, *fields;
        const char *connection; /* NULL: no such field, and it goes on */
    } rows[] = {{"HTTP/1.0", "", "close"},
                {"HTTP/1.0", "Connection: keep-alive\r\n", "keep-alive"},
                {"HTTP/1.1", "Host: t\r\nConnection: close\r\n", "close"},
                {"HTTP/1.1", "Host: t\r\nConnection: x, Close\r\n", "close"},
                {"HTTP/1.1", "Host: t\r\n", NULL}};
    for (unsigned i = 0; i < 2 * COUNT(rows); i++) {
        const char *target = i % 2 ? "/news?since=now" : "/news";
        unsigned k = i / 2;
        struct e2e_conn *c = e2e_open(&s);
        e2e_printf(c, "GET %s %s\r\n%s\r\n", target, rows[k].line, rows[k].fields);
        poll_read(c, &a, false);
        ck_assert_int_eq(a.r.status, i % 2 ? 204 : 200);
        ck_assert_pstr_eq(e2e_field(&a.r, "Connection"), rows[k].connection);
        if (rows[k].connection != NULL && strcmp(rows[k].connection, "close") == 0) {
            e2e_expect_end(c);
            continue;
        }
        poll_send(c, "/news", NULL);
        poll_read(c, &a, false);
        poll_expect(&a, 200, "hello", NULL);
    }
    e2e_stop(&s);
}
END_TEST

/* The client sends no more once it has asked: it gets its answers all the same. */
START_TEST(test_half_closed)
{
    static char data[1 << 20];
    e2e_start(&s, "--max-answer", "2M", NULL);
    fill(data, sizeof(data), 3);
    e2e_publish_as(&s, "/big", NULL, data, sizeof(data));
    struct e2e_conn *c = e2e_open_narrow(&s, 8192);
    e2e_send(c, "GET /big HTTP/1.1\r\nHost: t\r\n\r\nGET /big HTTP/1.1\r\nHost: t\r\n\r\n");
    e2e_half_close(c);
    e2e_sleep_ms(50);
    for (unsigned i = 0; i < 2; i++) {
        poll_read(c, &a, false);
        ck_assert_uint_eq(a.n, 1);
        ck_assert_int_eq(memcmp(a.m[0].data, data, sizeof(data)), 0);
    }
    e2e_expect_end(c);
    e2e_stop(&s);
}
END_TEST

/* Other origins' pages can read every answer, and its cursor. */
START_TEST(test_cors)
{
    static const struct {
        const char *target, *fields;
        int status;
    } rows[] = {{"/news", "", 200},
                {"/news?since=now", "", 204},
                {"/news", "If-None-Match: *\r\n", 304},
                {"/news", "Accept: image/png\r\n", 406},
                {"/news?last-event-id=x", "", 400},
                {"/news?since=x", "", 400},
                {"/news?wait=1&since=now", "", 204}};
    e2e_start(&s, "--cors", "https://a.example", "--cors", "https://b.example", NULL);
    e2e_publish(&s, "/news", "x");
    struct e2e_conn *c = e2e_open(&s);
    for (unsigned i = 0; i < 2 * COUNT(rows); i++) {
        const char *origin = i % 2 ? "https://b.example" : "https://evil.example";
        poll_send(c, rows[i / 2].target, print("%sOrigin: %s\r\n", rows[i / 2].fields, origin));
        poll_read_raw(c, &a, false);
        ck_assert_int_eq(a.r.status, rows[i / 2].status);
        ck_assert_pstr_eq(e2e_field(&a.r, "Access-Control-Allow-Origin"), i % 2 ? origin : NULL);
        ck_assert_ptr_nonnull(strstr(a.r.head, "\r\nVary: Origin\r\n"));
        ck_assert_int_eq(e2e_field_has(&a.r, "Access-Control-Expose-Headers", "ETag"), i % 2);
        ck_assert_int_eq(e2e_field_has(&a.r, "Access-Control-Expose-Headers", "Last-Event-ID"),
                         i % 2);
    }
    e2e_stop(&s);
}
END_TEST

/* ---- main ---- */

int main(void)
{
    Suite *suite = suite_create("poll");
    TCase *t = tcase_create("poll");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_messages);
    tcase_add_test(t, test_topic_names);
    tcase_add_test(t, test_accept);
    tcase_add_test(t, test_nothing_new);
    tcase_add_test(t, test_head);
    tcase_add_test(t, test_cursor_sources);
    tcase_add_test(t, test_unknown_parameters);
    tcase_add_test(t, test_conditions);
    tcase_add_test(t, test_since);
    tcase_add_test(t, test_bounds);
    tcase_add_test(t, test_sizes);
    tcase_add_test(t, test_pipelined_slow_reader);
    tcase_add_test(t, test_never_reads);
    tcase_add_test(t, test_gaps);
    tcase_add_test(t, test_gap_and_bound);
    tcase_add_test(t, test_old_and_closing);
    tcase_add_test(t, test_half_closed);
    tcase_add_test(t, test_cors);
    suite_add_tcase(suite, t);
    return run(suite);
}
