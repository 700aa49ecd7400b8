/*
 * ended.c - topics that end, end to end: every way of getting messages is told, once, whenever and
 * however it comes.
 *
 * What a client gets is written down as words: "m:DATA" for a message, "e:TOPIC" for an end, "."
 * when the server has ended what it had as there is nothing more to come, "204" when it answered so
 * at once.
 */
#include "lib/json.h"
#include "test/kit/life.h"
#include "test/kit/socket.h"

static struct e2e_server s;
static struct e2e_response r;

enum way { SSE, LINES, RAW, JSON, POLL, POLL_LINES, POLL_TEXT, WAYS };

static const struct {
    const char *name, *accept;
    bool polls;
    bool tells; /* which topic has ended, where that comes among its messages */
    bool meets; /* and where that was before */
} ways[WAYS] = {
    [SSE] = {"sse", "text/event-stream", false, true, true},
    [LINES] = {"ndjson", "application/x-ndjson", false, true, true},
    [RAW] = {"websocket", NULL, false, false, false},
    [JSON] = {"websocket json", NULL, false, true, true},
    [POLL] = {"poll", "application/json", true, false, false},
    [POLL_LINES] = {"poll of lines", "application/x-ndjson", true, true, false},
    [POLL_TEXT] = {"poll of text", "text/plain", true, false, false},
};

/* ---- clients --------------------------------------------------------------------------------- */

struct client {
    enum way way;
    struct e2e_conn *c;
    char topics[64], query[160];
    char got[2048];
};

static void word(struct client *k, const char *kind, const char *text, size_t n)
{
    size_t had = strlen(k->got);
    snprintf(k->got + had, sizeof k->got - had, "%s%s%.*s", had > 0 ? " " : "", kind, (int)n, text);
}

/* Asks once more, or for the first time. */
static void poll_ask(struct client *k, const char *query)
{
    /* lines are polled without a wait, as with one they are a stream */
    e2e_printf(k->c, "GET %s?%s%s HTTP/1.1\r\nHost: test\r\nAccept: %s\r\n\r\n", k->topics, query,
               k->way == POLL_LINES ? "" : "&wait=60", ways[k->way].accept);
}

static void begin(struct client *k, enum way way, const char *topics, const char *query)
{
    char target[256];
    memset(k, 0, sizeof *k);
    k->way = way;
    k->c = e2e_open(&s);
    snprintf(k->topics, sizeof k->topics, "%s", topics);
    snprintf(k->query, sizeof k->query, "%s", query);
    snprintf(target, sizeof target, "%s?%s", topics, query);
    if (way == RAW || way == JSON)
        socket_shake(k->c, target, way == JSON ? SOCKET_JSON : NULL);
    else if (ways[way].polls)
        poll_ask(k, query);
    else
        e2e_printf(k->c, "GET %s%s HTTP/1.1\r\nHost: test\r\nAccept: %s\r\n\r\n", target,
                   way == LINES ? "&wait=1" : "", ways[way].accept);
}

/* Returns the text behind `front` in `line` up to `end`, or NULL. */
static const char *behind(const char *line, const char *front, char end, size_t *n)
{
    const char *at = strstr(line, front);
    if (at == NULL)
        return NULL;
    at += strlen(front);
    *n = strcspn(at, (char[]){end, '\0'});
    return at;
}

/* Takes a JSON object, or a line of events. */
static void take(struct client *k, const char *line)
{
    size_t n;
    const char *text;
    if (strstr(line, "\"reason\":") != NULL)
        word(k, "gap", "", 0);
    else if ((text = behind(line, "\"ended\":{\"topic\":\"", '"', &n)) != NULL ||
             (text = behind(line, "data: {\"topic\":\"", '"', &n)) != NULL)
        word(k, "e:", text, n);
    else if ((text = behind(line, "\"data\":\"", '"', &n)) != NULL ||
             (text = behind(line, "data: ", '\n', &n)) != NULL)
        word(k, "m:", text, n);
}

/* Takes each line of a text. */
static void take_lines(struct client *k, char *text)
{
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        take(k, line);
}

/* Reads an answer to a poll. Returns true if that was the last. */
static bool polled(struct client *k)
{
    e2e_response(k->c, &r);
    ck_assert_msg(r.status == 200 || r.status == 204, "%s: %s", ways[k->way].name, r.head);
    bool over = e2e_field(&r, "Ended") != NULL;
    if (k->way == POLL && r.status == 200)
        ck_assert_msg((strstr(r.body, "\"ended\":true") != NULL) == over, "%s", r.body);
    if (k->way == POLL)
        for (char *at = r.body; (at = strstr(at, "\"data\":\"")) != NULL; at += 8)
            word(k, "m:", at + 8, strcspn(at + 8, "\""));
    else if (k->way == POLL_LINES)
        take_lines(k, r.body);
    else
        for (char *line = strtok(r.body, "\n"); line != NULL; line = strtok(NULL, "\n"))
            word(k, "m:", line, strlen(line));
    return over;
}

static void read_polls(struct client *k, const char *until)
{
    char query[128];
    while (!polled(k)) {
        if (until != NULL && strstr(k->got, until) != NULL)
            return;
        if (k->way == POLL_LINES && r.status == 204)
            e2e_sleep_ms(20);
        snprintf(query, sizeof query, "last-event-id=%s", e2e_field(&r, "Last-Event-ID"));
        poll_ask(k, query);
    }
    word(k, ".", "", 0);
}

static void read_socket(struct client *k, const char *until)
{
    struct socket_frame f;
    char text[1024];
    while (until == NULL || strstr(k->got, until) == NULL) {
        socket_read(k->c, &f);
        snprintf(text, sizeof text, "%.*s", (int)f.n, f.data);
        if (f.opcode == SOCKET_CLOSE) {
            ck_assert_msg(f.code == 1000 && memcmp(f.data + 2, "ended", 5) == 0, "%u", f.code);
            word(k, ".", "", 0);
            return;
        }
        if (f.opcode == SOCKET_TEXT && k->way == RAW)
            word(k, "m:", text, strlen(text));
        else if (f.opcode == SOCKET_TEXT)
            take(k, text);
        socket_done(k->c, &f);
    }
}

static void read_stream(struct client *k, const char *until)
{
    char *head = e2e_until(k->c, "\r\n\r\n");
    if (strncmp(k->c->buf, "HTTP/1.1 204", 12) == 0) {
        ck_assert_ptr_nonnull(strstr(k->c->buf, "Ended: true\r\n"));
        word(k, "204", "", 0);
        return;
    }
    ck_assert_msg(strncmp(k->c->buf, "HTTP/1.1 200", 12) == 0, "%s", k->c->buf);
    e2e_consume(k->c, (size_t)(head - k->c->buf) + 4);
    bool end = until == NULL || e2e_until_or_end(k->c, until + 2) == NULL;
    if (end)
        e2e_until_end(k->c);
    else
        e2e_until(k->c, k->way == SSE ? "\n\n" : "\n");
    take_lines(k, k->c->buf);
    if (end)
        word(k, ".", "", 0);
}

/* Reads all that a client gets, to the end of it, or to the message "m:..." that is `until`. */
static void finish(struct client *k, const char *until)
{
    if (ways[k->way].polls)
        read_polls(k, until);
    else if (k->way == RAW || k->way == JSON)
        read_socket(k, until);
    else
        read_stream(k, until);
    e2e_close(k->c);
}

/* What a client of that way gets where one that is told all gets `all`: of "e:" what its way tells,
 * and of "E:", an end of before it came, likewise. */
static const char *wanted(enum way way, const char *all)
{
    static char out[2048];
    char words[2048];
    out[0] = '\0';
    snprintf(words, sizeof words, "%s", all);
    for (char *w = strtok(words, " "); w != NULL; w = strtok(NULL, " ")) {
        bool was = w[0] == 'E';
        if ((was && !ways[way].meets) || (w[0] == 'e' && !ways[way].tells))
            continue;
        size_t had = strlen(out);
        snprintf(out + had, sizeof out - had, "%s%s%s", had > 0 ? " " : "", was ? "e" : "",
                 w + was);
    }
    return out;
}

static void expect(struct client k[WAYS], const char *all, const char *until)
{
    for (enum way way = 0; way < WAYS; way++) {
        finish(&k[way], until);
        const char *want = wanted(way, all);
        if (strcmp(k[way].got, want) != 0)
            e2e_fail("%s of %s?%s: got \"%s\", not \"%s\"", ways[way].name, k[way].topics,
                     k[way].query, k[way].got, want);
    }
}

static void begin_all(struct client k[WAYS], const char *topics, const char *query)
{
    for (enum way way = 0; way < WAYS; way++)
        begin(&k[way], way, topics, query);
}

static struct client k[WAYS];

/* Each of them has come once the server counts it, so that what is published then is for it; but
 * for the polls that do not wait, which go on from where they are told. */
static void all_there(long long n)
{
    while (metric(&s, "subscriptions") < n)
        e2e_sleep_ms(5);
}

/* All ways of one topic list, from a place in its past. */
static void past(const char *topics, const char *query, const char *all)
{
    begin_all(k, topics, query);
    expect(k, all, NULL);
}

/* The answer of one who comes back after the end: streams are told 204. */
static void back(const char *topics, const char *id)
{
    char query[96];
    snprintf(query, sizeof query, "last-event-id=%s", id);
    begin_all(k, topics, query);
    for (enum way way = 0; way < WAYS; way++) {
        finish(&k[way], NULL);
        ck_assert_msg(strcmp(k[way].got, way == SSE || way == LINES ? "204" : ".") == 0, "%s: %s",
                      ways[way].name, k[way].got);
    }
}

static void id_of(char out[64], const char *id)
{
    snprintf(out, 64, "%s", id);
}

static void refused(const char *target, const char *id)
{
    char detail[128];
    e2e_ask(&s, &r, "POST %s HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx", target);
    snprintf(detail, sizeof detail, "has ended: %s is its end", id);
    e2e_expect_status(&r, 409, detail);
}

/* ---- the table ------------------------------------------------------------------------------- */

START_TEST(live)
{
    char from[64], id[64];
    e2e_start(&s, NULL);
    id_of(from, e2e_publish(&s, "/other", "x"));
    char query[96];
    snprintf(query, sizeof query, "last-event-id=%s", from);
    begin_all(k, "/t", query);
    all_there(6);
    e2e_publish(&s, "/t", "one");
    id_of(id, e2e_publish(&s, "/t?end", "two"));
    expect(k, "m:one m:two e:t .", NULL);
    refused("/t", id);
    refused("/t?end", id);
    begin_all(k, "/bare", query); /* just an end, and nothing before it */
    all_there(6);
    id_of(id, e2e_publish(&s, "/bare?end=true", ""));
    expect(k, "e:bare .", NULL);
    refused("/bare", id);
    ck_assert_int_eq(metric(&s, "topics_ended_total"), 2);
    ck_assert_int_eq(metric(&s, "publish_ended_total"), 3);
    ck_assert_int_eq(metric(&s, "messages_published_total"), 3);
    e2e_stop(&s);
}
END_TEST

START_TEST(replay_and_late)
{
    char before[64], one[64], end[64], query[96];
    e2e_start(&s, NULL);
    id_of(before, e2e_publish(&s, "/other", "x"));
    id_of(one, e2e_publish(&s, "/t", "one"));
    id_of(end, e2e_publish(&s, "/t?end", "two"));
    const char *later = e2e_publish(&s, "/other", "later");
    snprintf(query, sizeof query, "last-event-id=%s", before);
    past("/t", query, "m:one m:two e:t .");
    snprintf(query, sizeof query, "last-event-id=%s", one);
    past("/t", query, "m:two e:t .");
    snprintf(query, sizeof query, "since=%s", one);
    past("/t", query, "m:two e:t .");
    past("/t", "since=earliest", "m:one m:two e:t .");
    past("/t", "since=-1", "m:two e:t .");
    past("/t", "since=-9", "m:one m:two e:t .");
    past("/t", "since=earliest&conflate", "m:two e:t .");
    past("/t", "since=now", "E:t .");
    past("/t", "since=0s", "E:t .");
    begin(&k[SSE], SSE, "/t", "last-event-id=1-1");
    finish(&k[SSE], NULL);
    ck_assert_str_eq(k[SSE].got, "gap m:one m:two e:t .");
    back("/t", end);
    back("/t", later);
    e2e_stop(&s);
}
END_TEST

/* The same with an end that has no message: -1 is the last message, and what is in front of it. */
START_TEST(bare)
{
    char one[64], end[64], query[96];
    e2e_start(&s, NULL);
    id_of(one, e2e_publish(&s, "/t", "one"));
    e2e_publish(&s, "/t", "two");
    id_of(end, e2e_publish(&s, "/t?end=1", ""));
    snprintf(query, sizeof query, "last-event-id=%s", one);
    past("/t", query, "m:two e:t .");
    past("/t", "since=-1", "m:two e:t .");
    past("/t", "since=earliest&conflate", "m:two e:t .");
    past("/t", "since=now", "E:t .");
    back("/t", end);
    e2e_publish(&s, "/u?end", "");
    past("/t,u", "since=-1&conflate", "m:two e:t e:u .");
    past("/t,u", "since=-2", "m:one m:two e:t e:u .");
    e2e_stop(&s);
}
END_TEST

START_TEST(several)
{
    char from[64], query[96], end[64];
    e2e_start(&s, NULL);
    id_of(from, e2e_publish(&s, "/other", "x"));
    snprintf(query, sizeof query, "last-event-id=%s", from);
    begin_all(k, "/a,b", query);
    all_there(6);
    e2e_publish(&s, "/a", "one");
    e2e_publish(&s, "/a?end", "two");
    e2e_publish(&s, "/b", "three");
    id_of(end, e2e_publish(&s, "/b?end", ""));
    expect(k, "m:one m:two e:a m:three e:b .", NULL);
    past("/a,b", query, "m:one m:two e:a m:three e:b .");
    past("/a,b", "since=now", "E:a E:b .");
    back("/a,b", end);
    begin_all(k, "/a,c", "since=now"); /* one of them ended before */
    all_there(6);
    e2e_publish(&s, "/c", "four");
    e2e_publish(&s, "/c?end", "");
    expect(k, "E:a m:four e:c .", NULL);
    e2e_stop(&s);
}
END_TEST

/* A wildcard goes on. */
START_TEST(wildcard)
{
    e2e_start(&s, NULL);
    e2e_publish(&s, "/w/0?end", "zero");
    begin_all(k, "/w/*", "since=earliest");
    all_there(4); /* polls have their answer */
    e2e_publish(&s, "/w/1", "one");
    e2e_publish(&s, "/w/1?end", "");
    e2e_publish(&s, "/w/2", "stop");
    expect(k, "m:zero e:w/0 m:one e:w/1 m:stop", "m:stop");
    e2e_stop(&s);
}
END_TEST

/* After an upgrade or a start: a wildcard from the beginning, which `all` was told of before, and
 * who waits for what ends now. */
static void goes_on(const char *all)
{
    char query[96], words[256];
    begin_all(k, "/**", "since=earliest");
    all_there(4);
    snprintf(query, sizeof query, "last-event-id=%s", e2e_publish(&s, "/x", "stop"));
    snprintf(words, sizeof words, "%s m:stop", all);
    expect(k, words, "m:stop");
    begin_all(k, "/v", query);
    all_there(6);
    e2e_publish(&s, "/v?end", "last");
    expect(k, "m:last e:v .", NULL);
    begin_all(k, "/v2,v", query); /* one has ended before it waits for the other */
    all_there(4);
    e2e_publish(&s, "/v2?end", "");
    expect(k, "m:last e:v e:v2 .", NULL);
}

START_TEST(upgrades)
{
    char from[64], query[96], end[64];
    e2e_start(&s, "--drain", "0", NULL);
    id_of(from, e2e_publish(&s, "/other", "x"));
    snprintf(query, sizeof query, "last-event-id=%s", from);
    begin_all(k, "/t,u", query);
    all_there(6);
    e2e_publish(&s, "/t?end", "one");
    upgrade(&s, 1);
    id_of(end, e2e_publish(&s, "/u?end", "two"));
    expect(k, "m:one e:t m:two e:u .", NULL);
    upgrade(&s, 2);
    past("/t,u", query, "m:one e:t m:two e:u .");
    past("/u", "since=now", "E:u .");
    refused("/u", end);
    back("/t,u", end);
    goes_on("m:x m:one e:t m:two e:u");
    e2e_stop(&s);
}
END_TEST

START_TEST(kill_9)
{
    char path[64], from[64], query[96], end[64];
    snprintf(path, sizeof path, "/tmp/sse-ended-%d", (int)getpid());
    e2e_start(&s, "--store", path, "--ring", "1M", "--fsync", _i == 0 ? "interval" : "always",
              NULL);
    id_of(from, e2e_publish(&s, "/other", "x"));
    e2e_publish(&s, "/t", "one");
    e2e_publish(&s, "/t?end", "two");
    id_of(end, e2e_publish(&s, "/u?end", ""));
    e2e_kill(&s);
    e2e_start(&s, "--store", path, "--log", "error", NULL);
    snprintf(query, sizeof query, "last-event-id=%s", from);
    past("/t", query, "m:one m:two e:t .");
    past("/t,u", query, "m:one m:two e:t e:u .");
    past("/u", "since=now", "E:u .");
    refused("/u", end);
    back("/t,u", end);
    goes_on("m:x m:one m:two e:t e:u");
    e2e_stop(&s);
    unlink(path);
}
END_TEST

/* ---- how it is published --------------------------------------------------------------------- */

static void publish_as(const char *target, const char *type, const char *body, const char *answer)
{
    e2e_ask(&s, &r,
            "POST %s HTTP/1.1\r\nHost: test\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
            target, type, strlen(body), body);
    if (strstr(r.body, answer) == NULL)
        e2e_fail("%s: wanted %s: %s", body, answer, r.body);
}

/* What SSE gets of a topic from the beginning. */
static void holds(const char *topic, const char *want)
{
    begin(&k[SSE], SSE, topic, "since=earliest");
    finish(&k[SSE], NULL);
    ck_assert_str_eq(k[SSE].got, want);
}

START_TEST(publishers)
{
    static const char *const lines = "application/x-ndjson", *const events = "text/event-stream";
    e2e_start(&s, "--log", "error", NULL);
    publish_as("/a", lines, "{\"data\":\"1\"}\n{\"data\":\"2\",\"end\":true}\n", "\"count\":2");
    holds("/a", "m:1 m:2 e:a .");
    publish_as("/b", lines, "{\"data\":\"1\"}\n{\"end\":true}", "\"count\":1");
    holds("/b", "m:1 e:b .");
    publish_as("/", lines,
               "{\"topic\":\"c\",\"data\":\"1\",\"end\":false}\n{\"topic\":\"c\",\"end\":true}\n",
               "\"count\":1");
    holds("/c", "m:1 e:c .");
    publish_as("/d?end", lines, "{\"data\":\"1\"}\n{\"data\":\"2\"}\n", "\"count\":2");
    holds("/d", "m:1 m:2 e:d .");
    publish_as("/e?end", lines, "", "\"id\":");
    holds("/e", "e:e .");
    publish_as("/?end", lines, "{\"topic\":\"f\",\"data\":\"1\"}\n", "\"topic\\\" is needed");
    publish_as("/g", lines, "{\"data\":\"1\",\"end\":true}\n{\"data\":\"2\"}\n",
               "line 2 (1 message before it is published): topic g has ended");
    publish_as("/h", lines, "{\"data\":\"1\",\"end\":1}\n",
               "\"count\":1"); /* any other JSON is data */
    publish_as("/i", events, "data: 1\n\nevent: ended\ndata: {\"topic\":\"x\"}\nid: 7\n\n",
               "\"count\":1");
    holds("/i", "m:1 e:i .");
    publish_as("/j?event=ended", "text/plain", "1", "one of the server's own");
    publish_as("/j?end=perhaps", "text/plain", "1", "must be 1 or 0");
    publish_as("/j?end=0", "text/plain", "1", "\"id\"");
    publish_as("/j?end&event=e", "text/plain", "2", "\"id\"");
    holds("/j", "m:1 m:2 e:j .");
    struct e2e_conn *c = e2e_open(&s); /* a body in parts */
    e2e_send(c,
             "POST /k?end HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    e2e_sleep_ms(20);
    e2e_send(c, "0\r\n\r\nPOST /l?end HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: "
                "chunked\r\n\r\n0\r\n\r\n");
    e2e_response(c, &r);
    e2e_expect_status(&r, 201, NULL);
    e2e_response(c, &r);
    e2e_expect_status(&r, 201, NULL);
    holds("/k", "m:x e:k .");
    holds("/l", "e:l .");
    e2e_stop_log(&s, SIGTERM, "");
}
END_TEST

/* Frames of json: publish an end, subscribe to what has ended, leave what goes on. */
START_TEST(frames)
{
    e2e_start(&s, "--log", "error", NULL);
    struct e2e_conn *c = socket_open_json(&s, "/a", NULL), *raw = socket_open(&s, "/a", NULL);
    socket_text(c, "{\"end\":\"x\",\"data\":\"1\"}");
    socket_expect_in(c, "end must be true or false");
    socket_text(c, "{\"end\":false}");
    socket_expect_in(c, "must have data or base64");
    socket_text(c, "{\"subscribe\":[\"b\"]}");
    socket_expect_in(c, "\"subscribed\":[\"a\",\"b\"]");
    socket_text(c, "{\"topic\":\"z\",\"data\":\"1\",\"end\":true}");
    socket_expect_in(c, "{\"ok\":{\"id\":");
    socket_text(c, "{\"topic\":\"a\",\"data\":\"1\",\"end\":true}");
    socket_expect_in(c, "{\"ok\":{\"id\":");
    socket_expect_in(c, "\"data\":\"1\"");
    socket_expect_in(c, "{\"ended\":{\"topic\":\"a\",\"id\":");
    socket_expect_text(raw, "1");
    socket_expect_close(raw, 1000);
    socket_text(c, "{\"topic\":\"a\",\"data\":\"2\"}");
    socket_expect_in(c, "{\"error\":\"topic a has ended: ");
    socket_text(c, "{\"subscribe\":[\"a\",\"z\"]}"); /* of a it has been told */
    socket_expect_in(c, "\"subscribed\":[\"a\",\"b\",\"z\"]");
    socket_expect_in(c, "{\"ended\":{\"topic\":\"z\",\"id\":");
    socket_text(c, "{\"topic\":\"b\",\"data\":\"3\"}");
    socket_expect_in(c, "{\"ok\":{\"id\":");
    socket_expect_in(c, "\"data\":\"3\"");
    socket_text(c, "{\"unsubscribe\":[\"b\"]}");
    socket_expect_in(c, "\"subscribed\":[\"a\",\"z\"]");
    socket_expect_close(c, 1000); /* no topic is left */
    e2e_stop_log(&s, SIGTERM, "");
}
END_TEST

/* Once its end has left the ring, a name is free. */
START_TEST(name_again)
{
    static char data[3000];
    memset(data, 'x', sizeof data - 1);
    e2e_start(&s, "--ring", "64K", "--log", "error", NULL);
    const char *end = e2e_publish(&s, "/t?end", "one");
    refused("/t", end);
    struct e2e_conn *sub = e2e_subscribe(&s, "/t,u", NULL); /* which keeps the topic itself */
    e2e_until(sub, "event: ended");
    for (int i = 0; i < 40; i++)
        e2e_publish(&s, "/u", data);
    e2e_publish(&s, "/t", "two");
    e2e_until(sub, "data: two\n");
    e2e_ask(&s, &r, "GET /-/topics?match=t HTTP/1.1\r\nHost: test\r\n\r\n");
    ck_assert_msg(strstr(r.body, "ended") == NULL && strstr(r.body, "\"messages\":1") != NULL, "%s",
                  r.body);
    end = e2e_publish(&s, "/t?end", "");
    e2e_ask(&s, &r, "GET /-/topics?match=t HTTP/1.1\r\nHost: test\r\n\r\n");
    char want[96];
    snprintf(want, sizeof want, "\"messages\":1,");
    ck_assert_msg(strstr(r.body, want) != NULL, "%s", r.body);
    snprintf(want, sizeof want, "\"ended\":\"%s\"", end);
    ck_assert_msg(strstr(r.body, want) != NULL, "%s", r.body);
    e2e_stop_log(&s, SIGTERM, "");
}
END_TEST

/* The commands: pub ends a topic, sub ends with it, and of several topics with the last. */
START_TEST(commands)
{
    static char out[E2E_OUTPUT], err[E2E_OUTPUT];
    char url[300], both[300];
    e2e_start(&s, "--log", "error", NULL);
    snprintf(url, sizeof url, "%s/t", s.address[0]);
    snprintf(both, sizeof both, "%s/t,u", s.address[0]);
    const char *const publish[] = {"pub", url, "last", "--end", NULL},
                      *const read[] = {"sub", url, "--since", "earliest", NULL},
                      *const late[] = {"sub", url, "--verbose", NULL};
    e2e_publish(&s, "/t", "first");
    ck_assert_int_eq(e2e_run(publish, out, err), 0);
    ck_assert_int_eq(e2e_run(publish, out, err), 65);
    ck_assert_msg(strstr(err, "has ended") != NULL, "%s", err);
    ck_assert_int_eq(e2e_run(read, out, err), 0);
    ck_assert_str_eq(out, "first\nlast\n");
    ck_assert_int_eq(e2e_run(late, out, err), 0);
    ck_assert_str_eq(out, "");
    ck_assert_msg(strstr(err, "topic t has ended") != NULL, "%s", err);
    e2e_publish(&s, "/u?end", "other");
    const char *const all[] = {"sub", both, "--since", "earliest", NULL}, *const json[] = {"sub",
                                                                                           both,
                                                                                           "--json",
                                                                                           NULL};
    ck_assert_int_eq(e2e_run(all, out, err), 0);
    ck_assert_str_eq(out, "first\nlast\nother\n");
    ck_assert_int_eq(e2e_run(json, out, err), 0);
    ck_assert_msg(strstr(out, "{\"ended\":{\"topic\":\"t\"") != NULL &&
                      strstr(out, "{\"ended\":{\"topic\":\"u\"") != NULL,
                  "%s", out);
    e2e_stop_log(&s, SIGTERM, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ended");
    TCase *c = tcase_create("ended");
    tcase_set_timeout(c, 300);
    tcase_add_test(c, live);
    tcase_add_test(c, replay_and_late);
    tcase_add_test(c, bare);
    tcase_add_test(c, several);
    tcase_add_test(c, wildcard);
    tcase_add_test(c, publishers);
    tcase_add_test(c, frames);
    tcase_add_test(c, name_again);
    tcase_add_test(c, commands);
    tcase_add_loop_test(c, kill_9, 0, 2);
    suite_add_tcase(suite, c);
    c = tcase_create("upgrades");
    tcase_set_timeout(c, 300);
    tcase_add_checked_fixture(c, program_make, program_remove);
    tcase_add_test(c, upgrades);
    suite_add_tcase(suite, c);
    return run(suite);
}
