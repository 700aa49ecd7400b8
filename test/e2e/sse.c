/*
 * sse.c - end to end: publishing and subscribing, what messages look like in a stream,
 * which topics a stream has, many messages in one body.
 */
#include "test/kit/e2e.h"
#include "test/kit/kit.h"

#include <string.h>

static struct e2e_server s;
static struct e2e_response r;

/* Publishes; the answer comes to r. */
static void post(const char *target, const char *type, const char *body)
{
    e2e_ask(&s, &r,
            "POST %s HTTP/1.1\r\nHost: test\r\nContent-Type: %s\r\n"
            "Content-Length: %zu\r\n\r\n%s",
            target, type, strlen(body), body);
}

/* ---- publish and subscribe ---- */

START_TEST(test_one_message)
{
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    const char *id = e2e_publish(&s, "/news", "hello");
    e2e_expect(c, "data: hello\nid: %s\n\n", id);
    e2e_stop(&s);
}
END_TEST

START_TEST(test_put_publishes_too)
{
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    e2e_ask(&s, &r, "PUT /news HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nhi");
    e2e_expect_status(&r, 201, NULL);
    e2e_expect_message(c, NULL, "hi", NULL);
    e2e_stop(&s);
}
END_TEST

START_TEST(test_every_subscriber_gets_it)
{
    enum { MANY = 60 };
    struct e2e_conn *c[MANY];
    e2e_start(&s, NULL);
    for (size_t i = 0; i < MANY; i++)
        c[i] = e2e_subscribe(&s, "/news", NULL);
    for (int m = 0; m < 20; m++) {
        char text[20];
        snprintf(text, sizeof(text), "message %d", m);
        const char *id = e2e_publish(&s, "/news", text);
        for (size_t i = 0; i < MANY; i++)
            e2e_expect(c[i], "data: %s\nid: %s\n\n", text, id);
    }
    e2e_stop(&s);
}
END_TEST

START_TEST(test_topics_are_apart)
{
    e2e_start(&s, NULL);
    struct e2e_conn *a = e2e_subscribe(&s, "/a", NULL);
    struct e2e_conn *b = e2e_subscribe(&s, "/b", NULL);
    e2e_publish(&s, "/a", "for a");
    e2e_publish(&s, "/b", "for b");
    e2e_expect_message(a, NULL, "for a", NULL);
    e2e_expect_message(b, NULL, "for b", NULL);
    e2e_expect_silence(a, 50);
    e2e_expect_silence(b, 50);
    e2e_stop(&s);
}
END_TEST

/* Ids are MS-N: one MS for the store, N counting over all topics. */
START_TEST(test_ids_count_over_all_topics)
{
    static const char *const topics[] = {"/a", "/b/c", "/a", "/d"};
    unsigned long long ms, n, first_ms = 0;
    e2e_start(&s, NULL);
    for (unsigned i = 0; i < COUNT(topics); i++) {
        int end = 0;
        const char *id = e2e_publish(&s, topics[i], "x");
        ck_assert_int_eq(sscanf(id, "%llu-%llu%n", &ms, &n, &end), 2);
        ck_assert_uint_eq((size_t)end, strlen(id));
        ck_assert_uint_eq(n, i + 1);
        ck_assert(first_ms == 0 || first_ms == ms);
        first_ms = ms;
    }
    ck_assert_uint_gt(ms, 1600000000000u); /* the wall clock, in ms */
    e2e_stop(&s);
}
END_TEST

/* The answer counts whom a message reaches, by its name or by a set. */
START_TEST(test_answer_counts_subscribers)
{
    e2e_start(&s, NULL);
    post("/a/b", "text/plain", "x");
    ck_assert_ptr_nonnull(strstr(r.body, "\"subscribers\":0"));
    e2e_subscribe(&s, "/a/b", NULL);
    e2e_subscribe(&s, "/a/b,c", NULL);
    e2e_subscribe(&s, "/a/*", NULL);
    struct e2e_conn *leaves = e2e_subscribe(&s, "/**", NULL);
    e2e_subscribe(&s, "/c", NULL);
    post("/a/b", "text/plain", "x");
    ck_assert_str_eq(e2e_field(&r, "Content-Type"), "application/json");
    ck_assert_msg(strstr(r.body, "\"subscribers\":4") != NULL, "%s", r.body);
    e2e_close(leaves);
    int64_t end = e2e_now_ms() + E2E_WAIT_MS;
    do {
        ck_assert_msg(e2e_now_ms() < end, "%s", r.body);
        e2e_sleep_ms(2);
        post("/a/b", "text/plain", "x");
    } while (strstr(r.body, "\"subscribers\":3") == NULL);
    e2e_stop(&s);
}
END_TEST

/* ---- streams of several topics ---- */

START_TEST(test_several_topics)
{
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/a,b/c,d", NULL);
    const char *a = e2e_publish(&s, "/a", "1");
    const char *b = e2e_publish(&s, "/b/c", "2");
    e2e_publish(&s, "/e", "not this");
    const char *d = e2e_publish(&s, "/d?event=named", "3");
    e2e_expect(c, "event: a\ndata: 1\nid: %s\n\n", a);
    e2e_expect(c, "event: b/c\ndata: 2\nid: %s\n\n", b);
    e2e_expect(c, "event: named\ndata: 3\nid: %s\n\n", d);
    e2e_expect_silence(c, 50);
    e2e_stop(&s);
}
END_TEST

static const struct {
    int line;
    const char *target;
    const char *gets; /* the topics of those below that it gets, in order */
} wildcards[] = {
    {__LINE__, "/orders/*", "orders/7 orders/8 "},
    {__LINE__, "/orders/**", "orders/7 orders/7/x orders/8 "},
    {__LINE__, "/*", "orders news "},
    {__LINE__, "/**", "orders orders/7 orders/7/x news orders/8 other/7 other/7/x "},
    {__LINE__, "/*/7", "orders/7 other/7 "},
    {__LINE__, "/*/7/*", "orders/7/x other/7/x "},
    {__LINE__, "/*/*", "orders/7 orders/8 other/7 "},
    {__LINE__, "/news,orders/*", "orders/7 news orders/8 "},
    {__LINE__, "/news,*,new", "orders news "},
    {__LINE__, "/nothing/*", ""},
};

/* The same set live, with the topics new to the server, and again in a replay. */
START_TEST(test_wildcards)
{
    static const char *const topics[] = {"orders",   "orders/7", "orders/7/x", "news",
                                         "orders/8", "other/7",  "other/7/x"};
    static struct e2e_conn *c[COUNT(wildcards)];
    e2e_start(&s, NULL);
    for (size_t i = 0; i < COUNT(wildcards); i++)
        c[i] = e2e_subscribe(&s, wildcards[i].target, NULL);
    for (size_t t = 0; t < COUNT(topics); t++) {
        char target[64];
        snprintf(target, sizeof(target), "/%s", topics[t]);
        e2e_publish(&s, target, topics[t]);
    }
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < COUNT(wildcards); i++) {
            char got[512] = "";
            struct e2e_block b;
            for (size_t n = strlen(wildcards[i].gets); strlen(got) < n;) {
                e2e_block(c[i], &b);
                ck_assert_str_eq(b.event, b.data);
                strcat(strcat(got, b.data), " ");
            }
            ck_assert_msg(strcmp(got, wildcards[i].gets) == 0, "line %d: %s", wildcards[i].line,
                          got);
            e2e_expect_silence(c[i], 10);
            e2e_close(c[i]);
            char target[128];
            snprintf(target, sizeof(target), "%s?since=earliest", wildcards[i].target);
            c[i] = e2e_subscribe(&s, target, NULL);
        }
    }
    e2e_stop(&s);
}
END_TEST

/* ---- event names ---- */

START_TEST(test_event_name)
{
    char name[256], target[300];
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    const char *id = e2e_publish(&s, "/news?event=price", "1");
    e2e_expect(c, "event: price\ndata: 1\nid: %s\n\n", id);
    id = e2e_publish(&s, "/news?x=1&event=a+b%26c%C3%A9", "2");
    e2e_expect(c, "event: a b&c\xc3\xa9\ndata: 2\nid: %s\n\n", id);
    id = e2e_publish(&s, "/news?event=", "3");
    e2e_expect(c, "data: 3\nid: %s\n\n", id);
    memset(name, 'n', 255);
    name[255] = '\0';
    snprintf(target, sizeof(target), "/news?event=%s", name);
    id = e2e_publish(&s, target, "4");
    e2e_expect(c, "event: %s\ndata: 4\nid: %s\n\n", name, id);
    e2e_stop(&s);
}
END_TEST

static const struct {
    int line;
    const char *event, *detail;
} wrong_names[] = {
    {__LINE__, "gap", "gap"},   {__LINE__, "a%0Ab", "LF"},  {__LINE__, "a%0Db", "CR"},
    {__LINE__, "a%00b", "NUL"}, {__LINE__, "%ff", "UTF-8"}, {__LINE__, "%zz", "event"},
    {__LINE__, "%", "event"},
};

START_TEST(test_wrong_event_names)
{
    char name[257], target[300];
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    for (size_t i = 0; i < COUNT(wrong_names); i++) {
        snprintf(target, sizeof(target), "/news?event=%s", wrong_names[i].event);
        post(target, "text/plain", "x");
        ck_assert_msg(r.status == 400, "line %d", wrong_names[i].line);
        e2e_expect_status(&r, 400, wrong_names[i].detail);
    }
    memset(name, 'n', 256);
    name[256] = '\0';
    snprintf(target, sizeof(target), "/news?event=%s", name);
    post(target, "text/plain", "x");
    e2e_expect_status(&r, 400, "255");
    e2e_expect_silence(c, 50);
    e2e_stop(&s);
}
END_TEST

/* ---- what data looks like ---- */

static const struct {
    int line;
    const char *data, *rendered;
} lines[] = {
    {__LINE__, "abc", "data: abc\n"},
    {__LINE__, "", "data: \n"},
    {__LINE__, "abc\n", "data: abc\ndata: \n"},
    {__LINE__, "a\nb", "data: a\ndata: b\n"},
    {__LINE__, "a\r\nb", "data: a\ndata: b\n"},
    {__LINE__, "a\rb", "data: a\ndata: b\n"},
    {__LINE__, "a\n\rb", "data: a\ndata: \ndata: b\n"},
    {__LINE__, "a\r\r\nb\n\n", "data: a\ndata: \ndata: b\ndata: \ndata: \n"},
    {__LINE__, "\n", "data: \ndata: \n"},
    {__LINE__, "\r\n", "data: \ndata: \n"},
    {__LINE__, "\r", "data: \ndata: \n"},
    {__LINE__, " two leading", "data:  two leading\n"},
    {__LINE__, ": not a comment", "data: : not a comment\n"},
    {__LINE__, "id: 7\n\ndata: x", "data: id: 7\ndata: \ndata: data: x\n"},
    {__LINE__, "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
     "data: caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\n"},
    {__LINE__, "\xef\xbb\xbfwith a mark", "data: \xef\xbb\xbfwith a mark\n"},
    {__LINE__, "tab\there\x01\x7f", "data: tab\there\x01\x7f\n"},
};

/* Live, in a set, and in a replay the bytes are the same. */
START_TEST(test_lines)
{
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    struct e2e_conn *set = e2e_subscribe(&s, "/*", NULL);
    for (size_t i = 0; i < COUNT(lines); i++) {
        const char *id = e2e_publish(&s, "/news", lines[i].data);
        e2e_expect(c, "%sid: %s\n\n", lines[i].rendered, id);
        e2e_expect(set, "event: news\n%sid: %s\n\n", lines[i].rendered, id);
    }
    c = e2e_subscribe(&s, "/news?since=earliest", NULL);
    for (size_t i = 0; i < COUNT(lines); i++) {
        e2e_expect(c, "%sid: ", lines[i].rendered);
        e2e_consume(c, (size_t)(e2e_until(c, "\n\n") - c->buf) + 2);
    }
    e2e_stop(&s);
}
END_TEST

START_TEST(test_binary)
{
    static const char bytes[] = "\x00\xff\r\n\x80"
                                "abc";
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    const char *id = e2e_publish_as(&s, "/news", "application/octet-stream", bytes, 8);
    e2e_expect(c, "data: data:;base64,AP8NCoBhYmM=\nid: %s\n\n", id);
    id = e2e_publish_as(&s, "/news?event=e", "Application/Octet-Stream; x=y", bytes, 0);
    e2e_expect(c, "event: e\ndata: data:;base64,\nid: %s\n\n", id);
    e2e_stop(&s);
}
END_TEST

static const struct {
    int line;
    const char *data, *at;
} not_utf8[] = {
    {__LINE__, "ab\xff", "byte 2 "},           {__LINE__, "\xc0\x80", "byte 0 "},
    {__LINE__, "a\xed\xa0\x80", "byte 1 "},    {__LINE__, "abc\xe2\x82", "byte 3 "},
    {__LINE__, "\xf4\x90\x80\x80", "byte 0 "},
};

START_TEST(test_not_utf8)
{
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    for (size_t i = 0; i < COUNT(not_utf8); i++) {
        post("/news", "text/plain", not_utf8[i].data);
        ck_assert_msg(r.status == 415, "line %d", not_utf8[i].line);
        e2e_expect_status(&r, 415, not_utf8[i].at);
    }
    e2e_expect_silence(c, 50);
    e2e_publish(&s, "/news", "right");
    e2e_expect_message(c, NULL, "right", NULL);
    e2e_stop(&s);
}
END_TEST

/* ---- topic names ---- */

static const struct {
    int line;
    const char *published, *subscribed;
} same_names[] = {
    {__LINE__, "/a%2Fb", "/a/b"},           {__LINE__, "/%6eews", "/news"},
    {__LINE__, "/caf%C3%A9", "/caf%c3%a9"}, {__LINE__, "/a+b", "/a%2Bb"},
    {__LINE__, "/a/-b", "/a/-b"},           {__LINE__, "/a%20b", "/a%20b"},
    {__LINE__, "/a:b@c", "/a%3Ab%40c"},     {__LINE__, "/x?y=z", "/x"},
    {__LINE__, "/a..b/...", "/a..b/..."},
};

START_TEST(test_names_that_are_the_same)
{
    e2e_start(&s, NULL);
    for (size_t i = 0; i < COUNT(same_names); i++) {
        struct e2e_conn *c = e2e_subscribe(&s, same_names[i].subscribed, NULL);
        const char *id = e2e_publish(&s, same_names[i].published, "x");
        e2e_expect_message(c, NULL, "x", id);
        e2e_close(c);
    }
    e2e_stop(&s);
}
END_TEST

static const struct {
    int line;
    const char *target;
    int publish, subscribe; /* the statuses */
} wrong_topics[] = {
    {__LINE__, "/a%2Cb", 400, 200}, /* two topics */
    {__LINE__, "/a,b", 400, 200},    {__LINE__, "/a/*", 400, 200},
    {__LINE__, "/**", 400, 200},     {__LINE__, "/a//b", 400, 400},
    {__LINE__, "/a/", 400, 400},     {__LINE__, "//a", 400, 400},
    {__LINE__, "/a%01b", 400, 400},  {__LINE__, "/a%00b", 400, 400},
    {__LINE__, "/a%7Fb", 400, 400},  {__LINE__, "/a%ff", 400, 400},
    {__LINE__, "/a%c3", 400, 400},   {__LINE__, "/a%", 400, 400},
    {__LINE__, "/a%4", 400, 400},    {__LINE__, "/a%4g", 400, 400},
    {__LINE__, "/a/../b", 400, 400}, {__LINE__, "/a/%2e%2E/b", 400, 400},
    {__LINE__, "/a,,b", 400, 400},   {__LINE__, "/a,", 400, 400},
    {__LINE__, "/a*", 400, 400},     {__LINE__, "/**/a", 400, 400},
    {__LINE__, "/-a", 404, 404},     {__LINE__, "/-/unknown", 404, 404},
};

START_TEST(test_wrong_topics)
{
    char name[300] = "/";
    e2e_start(&s, NULL);
    for (size_t i = 0; i < COUNT(wrong_topics); i++) {
        post(wrong_topics[i].target, "text/plain", "x");
        ck_assert_msg(r.status == wrong_topics[i].publish, "line %d: %d %s", wrong_topics[i].line,
                      r.status, r.body);
        e2e_ask(&s, &r, "GET %s HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n",
                wrong_topics[i].target);
        ck_assert_msg(r.status == wrong_topics[i].subscribe, "line %d: %d %s", wrong_topics[i].line,
                      r.status, r.body);
    }
    memset(name + 1, 'n', 255);
    e2e_publish(&s, name, "longest");
    name[256] = 'n';
    post(name, "text/plain", "x");
    e2e_expect_status(&r, 400, "255");
    e2e_stop(&s);
}
END_TEST

/* --topic: only these exist. */
START_TEST(test_declared_topics)
{
    e2e_start(&s, "--topic", "news", "--topic", "orders/*", NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news,orders/7", NULL);
    struct e2e_conn *all = e2e_subscribe(&s, "/**", NULL);
    e2e_publish(&s, "/news", "1");
    e2e_publish(&s, "/orders/7", "2");
    e2e_expect_message(c, "news", "1", NULL);
    e2e_expect_message(c, "orders/7", "2", NULL);
    e2e_expect_message(all, "news", "1", NULL);
    e2e_expect_message(all, "orders/7", "2", NULL);
    static const char *const others[] = {"/other", "/orders", "/orders/7/x", "/New"};
    for (size_t i = 0; i < COUNT(others); i++) {
        post(others[i], "text/plain", "x");
        e2e_expect_status(&r, 404, "--topic");
        e2e_ask(&s, &r, "GET %s HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n",
                others[i]);
        e2e_expect_status(&r, 404, "--topic");
    }
    e2e_stop(&s);
}
END_TEST

/* ---- many messages in one body ---- */

#define STREAM "text/event-stream"
#define NDJSON "application/x-ndjson"

START_TEST(test_batch_event_stream)
{
    static const char body[] = "\xef\xbb\xbf: a comment\nretry: 5\nid: 9\n\n"
                               "data: one\n\n"
                               "event: e\r\ndata:two\r\ndata: lines\r\n\r\n"
                               "event: dropped\n\n"
                               "unknown: x\rdata\r\r"
                               "data: last, without its empty line";
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    post("/news", STREAM, body);
    e2e_expect_status(&r, 201, NULL);
    ck_assert_msg(strstr(r.body, "\"count\":4") != NULL, "%s", r.body);
    e2e_expect_message(c, NULL, "one", NULL);
    e2e_expect_message(c, "e", "two\nlines", NULL);
    e2e_expect_message(c, NULL, "", NULL);
    struct e2e_block last;
    e2e_block(c, &last);
    ck_assert_str_eq(last.data, "last, without its empty line");
    ck_assert_msg(strstr(r.body, last.id) != NULL, "%s is not the last id: %s", last.id, r.body);
    e2e_stop(&s);
}
END_TEST

/* A line that names a topic goes there, whichever way a batch comes; POST / takes just such
 * lines. */
START_TEST(test_batch_of_topics)
{
    static const char *const types[] = {"application/x-ndjson", "application/ndjson",
                                        "application/jsonl", "application/json-seq"};
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news,a/b,error", NULL);
    for (size_t i = 0; i < COUNT(types); i++) {
        post("/news", types[i],
             "\x1e{\"data\":\"1\"}\n\x1e{\"topic\":\"a/b\",\"data\":\"2\"}\n"
             "\x1e{\"topic\":null,\"data\":\"3\"}\n\x1e{\"topic\":\"error\",\"data\":\"4\"}");
        e2e_expect_status(&r, 201, NULL);
        ck_assert_msg(strstr(r.body, "\"count\":4") != NULL, "%s", r.body);
        e2e_expect_message(c, "news", "1", NULL);
        e2e_expect_message(c, "a/b", "2", NULL);
        e2e_expect_message(c, "news", "3", NULL);
        e2e_expect_message(c, "/error", "4", NULL); /* or it would fire EventSource's own handler */
    }
    post("/", "application/x-ndjson", "{\"topic\":\"a/b\",\"data\":\"5\"}\n{\"data\":\"6\"}");
    e2e_expect_status(&r, 400,
                      "line 2 (1 message before it is published): \\\"topic\\\" is needed");
    e2e_expect_message(c, "a/b", "5", NULL);
    post("/news", "application/x-ndjson", "{\"topic\":\"a//b\",\"data\":\"7\"}");
    e2e_expect_status(&r, 400, "topic a//b has an empty segment");
    post("/news", "application/x-ndjson", "{\"topic\":\"\",\"data\":\"7\"}");
    e2e_expect_status(&r, 400, "is empty");
    post("/", "text/plain", "8");
    e2e_expect_status(&r, 405, "a line of NDJSON that names its topic");
    e2e_stop(&s);
}
END_TEST

START_TEST(test_batch_ndjson)
{
    static const char body[] = "{\"data\":\"one\"}\n"
                               "\r\n"
                               "{\"id\":\"1-1\",\"time\":\"t\",\"topic\":\"news\",\"event\":\"e\","
                               "\"data\":\"two\\nlines \\u00e9\"}\r\n"
                               "{\"event\":null,\"data\":\"three\"}\n"
                               "{\"event\":\"b\",\"base64\":\"AP8=\"}\n"
                               "{\"price\": 4}\n"
                               "[1,2]\n"
                               "\"text\"\n"
                               "7";
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    post("/news?event=default", NDJSON "; charset=utf-8", body);
    e2e_expect_status(&r, 201, NULL);
    ck_assert_msg(strstr(r.body, "\"count\":8") != NULL, "%s", r.body);
    e2e_expect_message(c, "default", "one", NULL);
    e2e_expect_message(c, "e", "two\nlines \xc3\xa9", NULL);
    e2e_expect_message(c, "default", "three", NULL);
    e2e_expect_message(c, "b", "data:;base64,AP8=", NULL);
    e2e_expect_message(c, "default", "{\"price\": 4}", NULL);
    e2e_expect_message(c, "default", "[1,2]", NULL);
    e2e_expect_message(c, "default", "\"text\"", NULL);
    e2e_expect_message(c, "default", "7", NULL);
    e2e_stop(&s);
}
END_TEST

/* A chunked upload is a live feed: each message goes out when it has come, also where a chunk ends
 * inside a line; the feed may be silent for longer than a request may take. */
static void live(const char *type, const char *const parts[], const char *const arrives[])
{
    e2e_start(&s, "--request-timeout", "2s", NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    struct e2e_conn *feed = e2e_open(&s);
    e2e_printf(feed,
               "PUT /news HTTP/1.1\r\nHost: test\r\nContent-Type: %s\r\n"
               "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
               type);
    e2e_expect(feed, "HTTP/1.1 100 Continue\r\n\r\n");
    for (size_t i = 0; parts[i] != NULL; i++) {
        e2e_printf(feed, "%zx\r\n%s\r\n", strlen(parts[i]), parts[i]);
        if (arrives[i] != NULL)
            e2e_expect_message(c, NULL, arrives[i], NULL);
        else
            e2e_expect_silence(c, 100);
        if (i == 0)
            e2e_expect_silence(c, 2500);
    }
    e2e_send(feed, "0\r\n\r\n");
    e2e_response(feed, &r);
    e2e_expect_status(&r, 201, NULL);
    ck_assert_msg(strstr(r.body, "\"count\":3") != NULL, "%s", r.body);
    e2e_stop(&s);
}

START_TEST(test_live_event_stream)
{
    live(STREAM,
         (const char *const[]){"data: one\n\n", "data: tw", "o\n", "\ndata: three\n\n", NULL},
         (const char *const[]){"one", NULL, NULL, "two"});
}
END_TEST

START_TEST(test_live_ndjson)
{
    live(NDJSON, (const char *const[]){"1\n", "{\"data\":", "\"2\"}", "\n3\n", NULL},
         (const char *const[]){"1", NULL, NULL, "2"});
}
END_TEST

/* A wrong line is told by its number; what came before it is published. */
START_TEST(test_batch_wrong_line)
{
    static const char body[] = "{\"data\":\"one\"}\n\n{\"data\":\n{\"data\":\"never\"}\n";
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    post("/news", NDJSON, body);
    e2e_expect_status(&r, 400, "line 3");
    e2e_expect_message(c, NULL, "one", NULL);
    post("/news", STREAM, "data: two\n\nevent: gap\ndata: 3\n");
    e2e_expect_status(&r, 400, "gap");
    e2e_expect_message(c, NULL, "two", NULL);
    post("/news", STREAM, "data: 3\n\ndata: \xff\xff\n\n");
    e2e_expect_status(&r, 415, "UTF-8");
    e2e_expect_message(c, NULL, "3", NULL);
    e2e_expect_silence(c, 50);
    e2e_stop(&s);
}
END_TEST

/* What one server puts out another takes in, opening block, heartbeats and all. */
START_TEST(test_output_is_input)
{
    char bytes[8192];
    e2e_start(&s, "--heartbeat", "100ms", NULL);
    struct e2e_conn *out = e2e_open(&s);
    e2e_send(out, "GET /a HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n");
    e2e_response(out, &r);
    e2e_publish(&s, "/a?event=e", "one\ntwo\n");
    e2e_until(out, "\n:\n");
    const char *last = e2e_publish(&s, "/a", "three");
    e2e_until(out, last);
    e2e_until(out, "\n\n");
    ck_assert_uint_lt(out->n, sizeof(bytes));
    memcpy(bytes, out->buf, out->n);
    struct e2e_conn *in = e2e_subscribe(&s, "/b", NULL);
    e2e_publish_as(&s, "/b", STREAM, bytes, out->n);
    e2e_expect_message(in, "e", "one\ntwo\n", NULL);
    e2e_expect_message(in, NULL, "three", NULL);
    e2e_stop(&s);
}
END_TEST

/* A thousand messages in one body, many more bytes than any buffer, out as they went in. */
START_TEST(test_batch_of_many)
{
    enum { MANY = 3000 };
    static char body[MANY * 128];
    size_t n = 0;
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    for (int i = 0; i < MANY; i++)
        n += (size_t)snprintf(body + n, sizeof(body) - n, "data: %d %0*d\n\n", i, i % 90 + 1, i);
    e2e_publish_as(&s, "/news", STREAM, body, n);
    for (int i = 0; i < MANY; i++) {
        char text[128];
        snprintf(text, sizeof(text), "%d %0*d", i, i % 90 + 1, i);
        e2e_expect_message(c, NULL, text, NULL);
    }
    e2e_stop(&s);
}
END_TEST

/* ---- main ---- */

int main(void)
{
    Suite *suite = suite_create("serve_sse");
    TCase *basic = tcase_create("publish and subscribe"), *batch = tcase_create("batches");
    tcase_set_timeout(basic, 60);
    tcase_add_test(basic, test_one_message);
    tcase_add_test(basic, test_put_publishes_too);
    tcase_add_test(basic, test_every_subscriber_gets_it);
    tcase_add_test(basic, test_topics_are_apart);
    tcase_add_test(basic, test_ids_count_over_all_topics);
    tcase_add_test(basic, test_answer_counts_subscribers);
    tcase_add_test(basic, test_several_topics);
    tcase_add_test(basic, test_wildcards);
    tcase_add_test(basic, test_event_name);
    tcase_add_test(basic, test_wrong_event_names);
    tcase_add_test(basic, test_lines);
    tcase_add_test(basic, test_binary);
    tcase_add_test(basic, test_not_utf8);
    tcase_add_test(basic, test_names_that_are_the_same);
    tcase_add_test(basic, test_wrong_topics);
    tcase_add_test(basic, test_declared_topics);
    suite_add_tcase(suite, basic);
    tcase_set_timeout(batch, 60);
    tcase_add_test(batch, test_batch_event_stream);
    tcase_add_test(batch, test_batch_ndjson);
    tcase_add_test(batch, test_batch_of_topics);
    tcase_add_test(batch, test_live_event_stream);
    tcase_add_test(batch, test_live_ndjson);
    tcase_add_test(batch, test_batch_wrong_line);
    tcase_add_test(batch, test_output_is_input);
    tcase_add_test(batch, test_batch_of_many);
    suite_add_tcase(suite, batch);
    return run(suite);
}
