/*
 * browser.c - end to end: EventSource, fetch() and WebSocket of headless Chromium against the
 * binary.
 *
 * The page reports everything that its EventSource fires, and each test tells every line that is to
 * come, so that an event too many fails as one too few does.
 */
#include "test/kit/browser.h"
#include "test/kit/kit.h"
#include "test/kit/metric.h"
#include "test/kit/spare.h"

#include <signal.h>
#include <sys/prctl.h>

/* ---- the server ---- */

/* Starts the server with these flags, open to pages of the first origin, its clients coming back
 * soon. */
static void serve(struct e2e_server *s, const char *const flags[])
{
    const char *all[16] = {"--cors", origin_url[0], "--retry", "40ms"};
    size_t n = 4;
    for (size_t i = 0; flags != NULL && flags[i] != NULL; i++)
        all[n++] = flags[i];
    ck_assert_uint_lt(n, COUNT(all));
    e2e_start_with(s, all, 0);
}

/* Starts the server, the proxy before it, and an EventSource of this path in a new page. */
static void begin(struct e2e_server *s, const char *const flags[], const char *path)
{
    serve(s, flags);
    proxy_start(s);
    page_open(0);
    page_run("es = listen('%s%s')", proxy.url, path);
    page_expect("open");
}

/* The number behind the dash of an id. */
static unsigned long number_of(const char *id)
{
    const char *dash = strchr(id, '-');
    ck_assert_ptr_nonnull(dash);
    return strtoul(dash + 1, NULL, 10);
}

/* The epoch before it. */
static int epoch_size(const char *id)
{
    return (int)strcspn(id, "-");
}

/* Fails unless the browser sent this cursor in its last request. */
static void expect_cursor(const char *id)
{
    char line[128];
    snprintf(line, sizeof(line), "\r\nLast-Event-ID: %s\r\n", id);
    if (strcasestr(proxy.asked, line) == NULL)
        e2e_fail("the browser was to come back with Last-Event-ID: %s; it sent: %s", id,
                 proxy.asked);
}

/* The id that the browser's stream was told last: at first, where it begins. */
static const char *told_id(void)
{
    static char id[64];
    const char *at = NULL;
    for (const char *p = proxy.answered; (p = strstr(p, "\nid: ")) != NULL; p++)
        at = p + 5;
    ck_assert_ptr_nonnull(at);
    snprintf(id, sizeof(id), "%.*s", (int)strcspn(at, "\n"), at);
    return id;
}

/* ---- what arrives ---- */

static const struct {
    int line;
    const char *query, *type; /* of the event */
    struct span data;
    const char *json; /* as the page has it */
} messages[] = {
    {__LINE__, "", "message", BYTES("one"), "\"one\""},
    {__LINE__, "", "message", BYTES("two\nlines"), "\"two\\nlines\""},
    {__LINE__, "", "message", BYTES("a\r\nb\rc\n\nd\n"), "\"a\\nb\\nc\\n\\nd\\n\""},
    {__LINE__, "", "message", BYTES(""), "\"\""},
    {__LINE__, "", "message", BYTES("\n"), "\"\\n\""},
    {__LINE__, "", "message", BYTES(" led by a blank"), "\" led by a blank\""},
    {__LINE__, "", "message", BYTES(":\ndata: x\nid: 7\n\nevent: e"),
     "\":\\ndata: x\\nid: 7\\n\\nevent: e\""},
    {__LINE__, "", "message", BYTES("a\0b"), "\"a\\u0000b\""},
    {__LINE__, "", "message", BYTES("\xef\xbb\xbf\xc3\xa9\xe2\x80\xa8\xf0\x9f\x98\x80"),
     "\"\xef\xbb\xbf\xc3\xa9\xe2\x80\xa8\xf0\x9f\x98\x80\""},
    {__LINE__, "?event=greeting", "greeting", BYTES("hello"), "\"hello\""},
    {__LINE__, "?event=greeting", "greeting", BYTES("more\nlines"), "\"more\\nlines\""},
    {__LINE__, "?event=two%20words:", "two words:", BYTES("x"), "\"x\""},
    {__LINE__, "?event=%C3%A9t%C3%A9", "\xc3\xa9t\xc3\xa9", BYTES("x"), "\"x\""},
    {__LINE__, "?event=message", "message", BYTES("named"), "\"named\""},
};

START_TEST(messages_of_all_kinds_arrive_in_order)
{
    struct e2e_server s;
    const char *ids[COUNT(messages)];
    serve(&s, NULL);
    page_open(0);
    page_run("es = listen('%s/news', ['greeting', 'two words:', '\xc3\xa9t\xc3\xa9'])",
             s.address[0]);
    page_expect("open");
    for (size_t i = 0; i < COUNT(messages); i++) {
        char target[64];
        snprintf(target, sizeof(target), "/news%s", messages[i].query);
        ids[i] = e2e_publish_as(&s, target, NULL, messages[i].data.p, messages[i].data.n);
    }
    for (size_t i = 0; i < COUNT(messages); i++)
        page_expect("%s %s %s", messages[i].type, ids[i], messages[i].json);
    page_expect_silence(200);
    e2e_stop(&s);
}
END_TEST

START_TEST(many_messages_arrive_in_order)
{
    enum { MANY = 500 };
    struct e2e_server s;
    static char body[MANY * 24];
    size_t n = 0;
    begin(&s, NULL, "/news");
    for (int i = 1; i <= MANY; i++)
        n += (size_t)snprintf(body + n, sizeof(body) - n, "\"message %d\"\n", i);
    const char *last = e2e_publish_as(&s, "/news", "application/x-ndjson", body, n);
    ck_assert_uint_eq(number_of(last), MANY);
    for (int i = 1; i <= MANY; i++)
        page_expect("message %.*s-%d \"\\\"message %d\\\"\"", epoch_size(last), last, i, i);
    page_expect_silence(200);
    e2e_stop(&s);
}
END_TEST

START_TEST(streams_of_several_topics_name_their_events)
{
    struct e2e_server s;
    serve(&s, NULL);
    page_open(0);
    page_run("es = listen('%s/orders/*', ['orders/1', 'orders/\xc3\xa9', 'orders/2', 'paid'])",
             s.address[0]);
    page_expect("open");
    const char *one = e2e_publish(&s, "/orders/1", "first");
    const char *accent = e2e_publish(&s, "/orders/%C3%A9", "second");
    const char *paid = e2e_publish(&s, "/orders/2?event=paid", "third");
    e2e_publish(&s, "/orders/2/lines", "of no interest");
    const char *two = e2e_publish(&s, "/orders/2", "fourth");
    page_expect("orders/1 %s \"first\"", one);
    page_expect("orders/\xc3\xa9 %s \"second\"", accent);
    page_expect("paid %s \"third\"", paid);
    page_expect("orders/2 %s \"fourth\"", two);
    page_expect_silence(200);

    page_run("es.close(); es = listen('%s/a,b/c', ['a', 'b/c', 'd'])", s.address[0]);
    page_expect("open");
    const char *a = e2e_publish(&s, "/a", "1");
    e2e_publish(&s, "/orders/1", "no longer of interest");
    const char *bc = e2e_publish(&s, "/b/c", "2");
    const char *d = e2e_publish(&s, "/a?event=d", "3");
    page_expect("a %s \"1\"", a);
    page_expect("b/c %s \"2\"", bc);
    page_expect("d %s \"3\"", d);
    page_expect_silence(200);
    e2e_stop(&s);
}
END_TEST

START_TEST(binary_messages_are_data_urls)
{
    static const size_t sizes[] = {0, 1, 2, 3, 256, 100000};
    static unsigned char bytes[100000];
    struct e2e_server s;
    serve(&s, NULL);
    page_open(0);
    page_run("es = listenBinary('%s/bytes')", s.address[0]);
    page_expect("open");
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i + i / 256);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        uint32_t hash = 2166136261u;
        for (size_t k = 0; k < sizes[i]; k++)
            hash = (hash ^ bytes[k]) * 16777619u;
        const char *id = e2e_publish_as(&s, "/bytes", "application/octet-stream", bytes, sizes[i]);
        page_expect("binary %s %zu %u", id, sizes[i], (unsigned)hash);
    }
    e2e_stop(&s);
}
END_TEST

/* ---- what does not ---- */

/* How often the text stands in what the browser got last. */
static int answered_with(const char *text)
{
    int n = 0;
    for (const char *p = proxy.answered; (p = strstr(p, text)) != NULL; p++)
        n++;
    return n;
}

START_TEST(checkpoints_and_heartbeats_fire_nothing)
{
    static const char *const flags[] = {"--heartbeat", "50ms", "--ring", "64K", NULL};
    static char busy[3000];
    struct e2e_server s;
    begin(&s, flags, "/quiet");
    page_wait(answered_with("\n:\n") >= 5);
    page_expect_silence(200);
    ck_assert_int_eq(answered_with("retry: "), 1);
    ck_assert_int_eq(answered_with("id: "), 1);

    /* The ring turns by more than half, and the stream is told where it is by now. */
    memset(busy, 'x', sizeof(busy));
    for (int i = 0; i < 15; i++)
        e2e_publish_as(&s, "/busy", NULL, busy, sizeof(busy));
    page_wait(answered_with("id: ") > 1);
    page_expect_silence(300);
    char told[64];
    snprintf(told, sizeof(told), "%s", told_id());
    ck_assert_uint_gt(number_of(told), 7);

    proxy_cut(CUT_CLOSE);
    page_expect_back();
    expect_cursor(told);
    const char *id = e2e_publish(&s, "/quiet", "at last");
    page_expect("message %s \"at last\"", id);
    page_expect_silence(200);
    e2e_stop(&s);
}
END_TEST

/* ---- resuming ---- */

/* Cuts the browser off, and keeps it away until it has tried to come back twice. */
static void away_begin(enum cut how)
{
    proxy.down = true;
    proxy.refused = 0;
    proxy_cut(how);
}

static void away_end(void)
{
    page_wait(proxy.refused >= 2);
    proxy.down = false;
    page_expect_back();
}

START_TEST(what_was_published_while_away_arrives)
{
    static const struct {
        int away;  /* messages published while the browser is away */
        bool live; /* and one when it is back */
    } rounds[] = {{0, false}, {2, false}, {1, true}, {0, true}, {0, false}, {3, true}};
    struct e2e_server s;
    const char *ids[3];
    char cursor[64];
    begin(&s, NULL, "/news");
    snprintf(cursor, sizeof(cursor), "%s", told_id());
    for (size_t r = 0; r < COUNT(rounds); r++) {
        away_begin(r % 2 == 0 ? CUT_CLOSE : CUT_RESET);
        for (int i = 0; i < rounds[r].away; i++)
            ids[i] = e2e_publish(&s, "/news", "while away");
        if (r % 2 == 1)
            e2e_publish(&s, "/other", "of no interest");
        away_end();
        expect_cursor(cursor);
        for (int i = 0; i < rounds[r].away; i++) {
            page_expect("message %s \"while away\"", ids[i]);
            snprintf(cursor, sizeof(cursor), "%s", ids[i]);
        }
        if (rounds[r].live) {
            snprintf(cursor, sizeof(cursor), "%s", e2e_publish(&s, "/news", "live"));
            page_expect("message %s \"live\"", cursor);
        }
    }
    page_expect_silence(200);
    ck_assert_uint_eq(proxy.accepted, 1 + COUNT(rounds));
    e2e_stop(&s);
}
END_TEST

/* The connection ends behind each byte of an event in turn. */
START_TEST(an_event_cut_anywhere_is_neither_lost_nor_repeated)
{
    struct e2e_server s;
    unsigned long number = 0;
    int size = 1;
    serve(&s, NULL);
    proxy_start(&s);
    page_open(0);
    page_run("es = listen('%s/news', ['cut'])", proxy.url);
    page_expect("open");
    char epoch[64];
    snprintf(epoch, sizeof(epoch), "%.*s", epoch_size(told_id()), told_id());
    for (int i = 0; i <= size; i++) {
        number++;
        size = snprintf(NULL, 0, "event: cut\ndata: one\ndata: two\nid: %s-%lu\n\n", epoch, number);
        proxy.pass = i;
        proxy.how = i % 2 == 0 ? CUT_CLOSE : CUT_RESET;
        const char *id = e2e_publish(&s, "/news?event=cut", "one\ntwo");
        ck_assert_uint_eq(number_of(id), number);
        page_wait(page.n > 0);
        bool whole = page.lines[0] == 'c';
        ck_assert_msg(!whole || i == size, "%d bytes of %d made an event", i, size);
        if (whole)
            page_expect("cut %s \"one\\ntwo\"", id);
        page_expect("error 0");
        page_expect("open");
        if (!whole)
            page_expect("cut %s \"one\\ntwo\"", id);
    }
    page_expect_silence(200);
    e2e_stop(&s);
}
END_TEST

/* ---- gaps ---- */

START_TEST(what_has_left_the_ring_is_told)
{
    static const char *const flags[] = {"--ring", "64K", NULL};
    static char text[2000];
    struct e2e_server s;
    unsigned long last = 0, oldest = 0, before = 0;
    begin(&s, flags, "/news");
    char first[64];
    snprintf(first, sizeof(first), "%s", e2e_publish(&s, "/news", "first"));
    page_expect("message %s \"first\"", first);
    away_begin(CUT_CLOSE);
    memset(text, 'x', sizeof(text));
    for (int i = 0; i < 60; i++)
        last = number_of(e2e_publish_as(&s, "/news", NULL, text, sizeof(text)));
    away_end();
    int epoch = epoch_size(first), end = -1;
    char format[256];
    snprintf(format, sizeof(format), "gap %.*s-%%lu expired %s %.*s-%%lu%%n", epoch, first, first,
             epoch, first);
    const char *gap = page_line();
    if (sscanf(gap, format, &before, &oldest, &end) != 2 || end != (int)strlen(gap))
        e2e_fail("the page was to report a gap behind %s; it reported: %s", first, gap);
    ck_assert_uint_gt(oldest, 2);
    ck_assert_uint_eq(before, oldest - 1);
    for (; oldest <= last; oldest++)
        page_expect("message %.*s-%lu \"%.*s\"", epoch, first, oldest, (int)sizeof(text), text);
    const char *live = e2e_publish(&s, "/news", "live");
    page_expect("message %s \"live\"", live);
    page_expect_silence(200);
    e2e_stop(&s);
}
END_TEST

START_TEST(an_id_of_another_store_is_a_gap)
{
    struct e2e_server s, after;
    begin(&s, NULL, "/news");
    char old[64];
    snprintf(old, sizeof(old), "%s", e2e_publish(&s, "/news", "old"));
    page_expect("message %s \"old\"", old);
    proxy.down = true;
    e2e_stop(&s);
    serve(&after, NULL);
    proxy_start(&after);
    char ids[2][64];
    snprintf(ids[0], sizeof(ids[0]), "%s", e2e_publish(&after, "/news", "new"));
    snprintf(ids[1], sizeof(ids[1]), "%s", e2e_publish(&after, "/news", "newer"));
    away_end();
    page_expect("gap %.*s-0 unknown %s %s", epoch_size(ids[0]), ids[0], old, ids[0]);
    page_expect("message %s \"new\"", ids[0]);
    page_expect("message %s \"newer\"", ids[1]);
    page_expect_silence(200);
    e2e_stop(&after);
}
END_TEST

/* ---- overload ---- */

/* Waits until so many connections are open, as the server counts them; asks over c. */
static void wait_connections(struct e2e_conn *c, int wanted)
{
    static struct e2e_response r;
    for (int64_t deadline = e2e_now_ms() + E2E_WAIT_MS; e2e_now_ms() < deadline; e2e_sleep_ms(5)) {
        e2e_send(c, "GET /-/metrics HTTP/1.1\r\nHost: test\r\n\r\n");
        e2e_response(c, &r);
        if (metric_sum(r.body, "sse_connections") == wanted)
            return;
    }
    e2e_fail("there were not %d connections in time: %s", wanted, r.body);
}

/* Publishes over c; returns the id, in a static buffer. */
static const char *publish_over(struct e2e_conn *c, const char *target, const char *text)
{
    static struct e2e_response r;
    static char id[64];
    e2e_send_publish(c, target, text, strlen(text));
    e2e_response(c, &r);
    e2e_expect_status(&r, 201, NULL);
    ck_assert_int_eq(sscanf(r.body, "{\"id\":\"%63[^\"]", id), 1);
    return id;
}

/* The page is turned away several times, and keeps coming back. */
static void expect_shed(void)
{
    for (int turned = 0; turned < 4;) {
        const char *line = page_line();
        if (strcmp(line, "open") == 0)
            turned++;
        else
            ck_assert_str_eq(line, "error 0");
    }
}

/* Then it is let in, and gets this message. */
static void expect_let_in(const char *id, const char *data)
{
    char wanted[128];
    snprintf(wanted, sizeof(wanted), "message %s \"%s\"", id, data);
    const char *line = page_line();
    while (strcmp(line, "open") == 0 || strcmp(line, "error 0") == 0)
        line = page_line();
    ck_assert_str_eq(line, wanted);
}

START_TEST(a_shed_event_source_comes_back)
{
    static const char *const flags[] = {"--max-connections", "2", NULL};
    struct e2e_server s;
    serve(&s, flags);
    proxy_start(&s);
    page_open(0);
    struct e2e_conn *own = e2e_open(&s), *other = e2e_open(&s);
    wait_connections(own, 2);
    page_run("es = listen('%s/news?since=earliest')", proxy.url);
    expect_shed(); /* at its first connection */
    const char *id = publish_over(own, "/news", "early");
    e2e_close(other);
    expect_let_in(id, "early");

    away_begin(CUT_CLOSE);
    wait_connections(own, 1);
    other = e2e_open(&s);
    wait_connections(own, 2);
    proxy.down = false;
    expect_shed(); /* when it resumes */
    id = publish_over(own, "/news", "meanwhile");
    e2e_close(other);
    expect_let_in(id, "meanwhile");
    id = publish_over(own, "/news", "live");
    page_expect("message %s \"live\"", id);
    page_expect_silence(200);
    e2e_stop(&s);
}
END_TEST

/* ---- other origins ---- */

START_TEST(a_listed_origin_publishes_and_reads)
{
    struct e2e_server s;
    begin(&s, NULL, "/news");
    const char *opening = told_id();
    int size = epoch_size(opening);
    page_run("es.close(); es = listen('%s/news', ['e'], {withCredentials: true})", s.address[0]);
    page_expect("open");
    static const char *const options[] = {
        "{body: 'one'}",
        "{method: 'PUT', headers: {'X-Of-Mine': 'x'}, body: 'two'}",
        "{headers: {'Content-Type': 'application/x-ndjson'}, body: '\"three\"\\n'}",
        "{headers: {'Content-Type': 'application/octet-stream'}, body: new Uint8Array([0, 255])}",
        "{credentials: 'include', body: 'five'}",
    };
    static const char *const data[] = {"one", "two", "\\\"three\\\"", "data:;base64,AP8=", "five"};
    for (size_t i = 0; i < COUNT(options); i++) {
        char id[64], answer[96], event[256];
        snprintf(id, sizeof(id), "%.*s-%zu", size, opening, i + 1);
        snprintf(answer, sizeof(answer), "201 %s", id);
        snprintf(event, sizeof(event), "message %s \"%s\"", id, data[i]);
        page_run("publish('%s/news', %s)", s.address[0], options[i]);
        /* The event and the answer come over two connections. */
        const char *line = page_line();
        bool answered = strcmp(line, answer) == 0;
        ck_assert_str_eq(line, answered ? answer : event);
        page_expect("%s", answered ? event : answer);
    }
    page_run("publish('%s/a,b', {body: 'x'})", s.address[0]);
    page_expect("400 undefined"); /* the page may read a refusal */
    page_expect_silence(200);
    e2e_stop(&s);
}
END_TEST

START_TEST(an_origin_not_listed_neither_publishes_nor_reads)
{
    struct e2e_server s;
    serve(&s, NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    page_open(1);
    page_run("es = listen('%s/news')", s.address[0]);
    page_expect("error 2");
    page_run("publish('%s/news', {body: 'one'})", s.address[0]);
    page_expect("failed TypeError");
    page_run("publish('%s/news', {mode: 'no-cors', body: 'two'})", s.address[0]);
    page_expect("failed SyntaxError"); /* an answer without a body, to the page */
    page_run("publish('%s/news', {method: 'PUT', body: 'three'})", s.address[0]);
    page_expect("failed TypeError");
    const char *id = e2e_publish(&s, "/news", "the only one");
    e2e_expect_message(c, NULL, "the only one", id);
    ck_assert_uint_eq(number_of(id), 1);
    page_expect_silence(200);
    e2e_stop(&s);
}
END_TEST

START_TEST(any_origin_may_where_all_are_listed)
{
    struct e2e_server s;
    e2e_start(&s, "--cors", "*", NULL);
    page_open(1);
    page_run("es = listen('%s/news')", s.address[0]);
    page_expect("open");
    const char *id = e2e_publish(&s, "/news", "one");
    page_expect("message %s \"one\"", id);
    page_run("es.close(); publish('%s/news', {method: 'PUT', body: 'two'})", s.address[0]);
    page_expect("201 %.*s-2", epoch_size(id), id);
    e2e_stop(&s);
}
END_TEST

/* ---- all four ways ---- */

/* Publishes from the page; returns the id, in one of 8 static buffers in turn. */
static const char *page_publish(const char *url, const char *path, const char *data)
{
    static char ids[8][64];
    static unsigned turn;
    char *id = ids[turn++ % 8];
    page_run("publish('%s%s', {body: '%s'})", url, path, data);
    const char *line = page_line();
    if (sscanf(line, "201 %63s", id) != 1)
        e2e_fail("publishing was answered %s", line);
    return id;
}

static void poll_short(const char *url)
{
    const char *one = page_publish(url, "/news", "one");
    page_run("poll('%s/news')", url);
    page_expect("poll 200 %s [\"one\"]", one);
    page_run("poll('%s/news?last-event-id=%s')", url, one);
    page_expect("poll 204 %s \"\"", one);
    page_run("poll('%s/news', {headers: {'Last-Event-ID': '%s'}})", url, one);
    page_expect("poll 204 %s \"\"", one);
    page_run("poll('%s/news', {headers: {'If-None-Match': 'W/\"%s\"'}})", url, one);
    page_expect("poll 304 %s \"\"", one);
    page_run("poll('%s/news', {method: 'HEAD', headers: {Accept: 'text/plain'}})", url);
    page_expect("poll 200 %s \"\"", one);
    const char *two = page_publish(url, "/news", "two \xc3\xa9");
    page_run("poll('%s/*', {headers: {Accept: 'text/plain'}})", url);
    page_expect("poll 200 %s \"one\\ntwo \xc3\xa9\\n\"", two);
    page_run("poll('%s/news,other?since=%s')", url, one);
    page_expect("poll 200 %s [\"two \xc3\xa9\"]", two);
    page_run("poll('%s/news?last-event-id=1-1')", url);
    page_expect("poll 200 %s unknown [\"one\",\"two \xc3\xa9\"]", two);
}

static void poll_long(const struct e2e_server *s, const char *url)
{
    page_run("poll('%s/news,long?wait=20')", url);
    page_expect_silence(200);
    const char *id = e2e_publish(s, "/long", "three");
    page_expect("poll 200 %s [\"three\"]", id);
    page_run("poll('%s/long?last-event-id=%s', {headers: {Prefer: 'wait=20'}})", url, id);
    page_expect_silence(200);
    const char *next = e2e_publish(s, "/long", "four");
    page_expect("poll 200 %s [\"four\"]", next);
    page_run("poll('%s/long?wait=20&last-event-id=%s')", url, id);
    page_expect("poll 200 %s [\"four\"]", next);
    int64_t began = e2e_now_ms();
    page_run("poll('%s/long', {headers: {Prefer: 'wait=1', 'If-None-Match': '\"%s\"'}})", url,
             next);
    page_expect("poll 304 %s \"\"", next);
    ck_assert_int_ge(e2e_now_ms() - began, 900);
}

static void frames(const struct e2e_server *s, const char *url)
{
    page_run("ws = connect('%s/raw')", url);
    page_expect("ws open ");
    const char *id = e2e_publish(s, "/raw", "five \xc3\xa9");
    page_expect("ws five \xc3\xa9");
    page_run("ws.send('of the page')");
    page_expect("ws of the page");
    page_run("ws.send(new Uint8Array([0, 255, 7]))");
    page_expect("ws binary 0,255,7");
    page_run("ws.close(3001, 'enough')");
    page_expect("ws close 3001 ");
    page_run("ws = connect('%s/raw?last-event-id=%s')", url, id);
    page_expect("ws open ");
    page_expect("ws of the page");
    page_expect("ws binary 0,255,7");
    page_run("ws.send('x'.repeat(100000)); ws.onmessage = e => say(`ws ${e.data.length}`)");
    page_expect("ws 100000");
    page_run("ws.close()");
    page_expect("ws close 1005 ");
    page_run("ws = connect('%s/raw?last-event-id=1-1')", url);
    page_expect("ws open ");
    page_expect("ws close 4000 gap");
    page_run("ws = connect('%s/raw,news'); ws.onopen = () => ws.send('where to?')", url);
    page_expect("ws close 1008 publishing takes a connection to one topic");
}

static void objects(const struct e2e_server *s, const char *url)
{
    const char *six = e2e_publish(s, "/json", "six");
    page_run("ws = connect('%s/json', ['other', 'json'])", url);
    page_expect("ws open json");
    page_expect("ws {\"id\":\"%s\"}", six);
    const char *id = e2e_publish(s, "/json", "seven");
    page_expect("ws %s json \"seven\"", id);
    page_run("ws.send('{\"subscribe\":[\"more/*\"]}')");
    page_expect("ws {\"ok\":{\"subscribed\":[\"more/*\",\"json\"]}}");
    id = e2e_publish(s, "/more/a", "eight");
    page_expect("ws %s more/a \"eight\"", id);
    page_run("ws.send('{\"unsubscribe\":[\"json\"]}')");
    page_expect("ws {\"ok\":{\"subscribed\":[\"more/*\"]}}");
    page_run("ws.send('{\"topic\":\"json\",\"data\":\"nine\"}')");
    unsigned long nine = number_of(id) + 1;
    page_expect("ws {\"ok\":{\"id\":\"%.*s-%lu\",\"subscribers\":0}}", epoch_size(id), id, nine);
    page_run("ws.send('nonsense')");
    page_expect("ws {\"error\":\"a frame must be a JSON object\"}");
    page_run("ws.close()");
    page_expect("ws close 1005 ");
    page_run("ws = connect('%s/json?last-event-id=%s', 'json')", url, six);
    page_expect("ws open json");
    page_expect("ws {\"id\":\"%s\"}", six);
    page_expect("ws %.*s-%lu json \"seven\"", epoch_size(six), six, number_of(six) + 1);
    page_expect("ws %.*s-%lu json \"nine\"", epoch_size(id), id, nine);
    page_run("ws.close()");
    page_expect("ws close 1005 ");
    page_run("ws = connect('%s/json?last-event-id=1-1', 'json')", url);
    page_expect("ws open json");
    page_expect("ws {\"gap\":{\"reason\":\"unknown\",\"after\":\"1-1\",\"oldest\":\"%s\"}}", six);
    page_expect("ws {\"id\":\"%.*s-%lu\"}", epoch_size(six), six, number_of(six) - 1);
    page_expect("ws %s json \"six\"", six);
    page_expect("ws %.*s-%lu json \"seven\"", epoch_size(six), six, number_of(six) + 1);
    page_expect("ws %.*s-%lu json \"nine\"", epoch_size(id), id, nine);
    page_run("ws.close()");
    page_expect("ws close 1005 ");
}

static void events(const struct e2e_server *s, const char *url)
{
    page_run("es = listen('%s/events')", url);
    page_expect("open");
    const char *id = e2e_publish(s, "/events", "ten");
    page_expect("message %s \"ten\"", id);
    page_run("es.close()");
}

START_TEST(a_page_uses_all_four_ways)
{
    struct e2e_server s;
    bool own = _i == 0; /* the server is in the page's own origin: nothing need be listed */
    if (own)
        e2e_start(&s, NULL);
    else
        serve(&s, NULL);
    proxy_start(&s);
    page_open_at(own ? proxy.url : origin_url[0]);
    const char *url = own ? proxy.url : s.address[0];
    poll_short(url);
    poll_long(&s, url);
    frames(&s, url);
    objects(&s, url);
    events(&s, url);
    page_expect_silence(200);
    e2e_stop(&s);
}
END_TEST

START_TEST(a_way_is_left_for_another_between_any_two_messages)
{
    static const char *const ways[] = {
        "poll('%s/news?last-event-id=%s')",
        "poll('%s/news?wait=20&last-event-id=%s')",
        "ws = connect('%s/news?last-event-id=%s', 'json')",
        "es = listen('%s/news?last-event-id=%s')",
    };
    struct e2e_server s;
    char at[64];
    serve(&s, NULL);
    page_open(0);
    snprintf(at, sizeof(at), "%s", e2e_publish(&s, "/news", "first"));
    for (unsigned i = 0; i < 24; i++) {
        unsigned way = i * 7 % 24 / 6; /* each after each other */
        const char *id = e2e_publish(&s, "/news", "between");
        page_run(ways[way], s.address[0], at); /* NOLINT(clang-diagnostic-format-nonliteral) */
        if (way < 2) {
            page_expect("poll 200 %s [\"between\"]", id);
        } else {
            page_expect(way == 2 ? "ws open json" : "open");
            if (way == 2)
                page_expect("ws {\"id\":\"%s\"}", at);
            page_expect(way == 2 ? "ws %s news \"between\"" : "message %s \"between\"", id);
            id = e2e_publish(&s, "/news", "live");
            page_expect(way == 2 ? "ws %s news \"live\"" : "message %s \"live\"", id);
            page_run("%s", way == 2 ? "ws.onmessage = ws.onclose = null; ws.close(); say('left')"
                                    : "es.close(); say('left')");
            page_expect("left");
        }
        snprintf(at, sizeof(at), "%s", id);
    }
    page_expect_silence(200);
    e2e_stop(&s);
}
END_TEST

START_TEST(an_origin_not_listed_has_none_of_them)
{
    struct e2e_server s;
    serve(&s, NULL);
    page_open(1);
    e2e_publish(&s, "/news", "not for all");
    page_run("poll('%s/news')", s.address[0]);
    page_expect("poll failed TypeError");
    page_run("poll('%s/news?wait=1&since=earliest')", s.address[0]);
    page_expect("poll failed TypeError");
    page_run("ws = connect('%s/news?since=earliest')", s.address[0]);
    page_expect("ws close 1006 ");
    page_run("ws = connect('%s/news?since=earliest', 'json')", s.address[0]);
    page_expect("ws close 1006 ");
    e2e_stop(&s);

    e2e_start(&s, "--cors", "*", NULL);
    page_run("ws = connect('%s/news')", s.address[0]);
    page_expect("ws open ");
    e2e_publish(&s, "/news", "for all");
    page_expect("ws for all");
    page_run("ws.onmessage = null; ws.close()");
    page_expect("ws close 1005 ");
    page_run("poll('%s/news')", s.address[0]);
    page_line();
    e2e_stop(&s);
}
END_TEST

/* ---- leaving ---- */

/* The server is to notice that nobody reads the topic any more. */
static void expect_no_subscribers(const struct e2e_server *s)
{
    static struct e2e_response r;
    for (int64_t deadline = e2e_now_ms() + E2E_WAIT_MS; e2e_now_ms() < deadline; e2e_sleep_ms(5)) {
        e2e_ask(s, &r, "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx");
        if (strstr(r.body, "\"subscribers\":0") != NULL)
            return;
    }
    e2e_fail("the server still has a subscriber: %s", r.body);
}

START_TEST(a_browser_that_leaves_is_noticed)
{
    struct e2e_server s;
    serve(&s, NULL);
    page_open(0);
    page_run("es = listen('%s/news'); es.onmessage = null", s.address[0]);
    page_expect("open");
    page_run("es.close()");
    expect_no_subscribers(&s);
    page_open(0);
    page_run("es = listen('%s/news')", s.address[0]);
    page_expect("open");
    page_open(0); /* a page that is left closes its streams */
    expect_no_subscribers(&s);
    page_run("ws = connect('%s/news'); ws.onmessage = null", s.address[0]);
    page_expect("ws open ");
    page_run("ws.onclose = null; ws.close()");
    expect_no_subscribers(&s);
    page_run("ws = connect('%s/news'); ws.onmessage = null", s.address[0]);
    page_expect("ws open ");
    page_open(0); /* and its sockets */
    expect_no_subscribers(&s);
    e2e_stop(&s);
}
END_TEST

/* ---- the suite ---- */

/* A test does not outlive the program. */
static void bound(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static TCase *cases(void)
{
    TCase *c = tcase_create("browser");
    tcase_set_timeout(c, 60);
    tcase_add_unchecked_fixture(c, browser_start, browser_stop);
    tcase_add_checked_fixture(c, bound, NULL);
    tcase_add_test(c, messages_of_all_kinds_arrive_in_order);
    tcase_add_test(c, many_messages_arrive_in_order);
    tcase_add_test(c, streams_of_several_topics_name_their_events);
    tcase_add_test(c, binary_messages_are_data_urls);
    tcase_add_test(c, checkpoints_and_heartbeats_fire_nothing);
    tcase_add_test(c, what_was_published_while_away_arrives);
    tcase_add_test(c, an_event_cut_anywhere_is_neither_lost_nor_repeated);
    tcase_add_test(c, what_has_left_the_ring_is_told);
    tcase_add_test(c, an_id_of_another_store_is_a_gap);
    tcase_add_test(c, a_shed_event_source_comes_back);
    tcase_add_test(c, a_listed_origin_publishes_and_reads);
    tcase_add_test(c, an_origin_not_listed_neither_publishes_nor_reads);
    tcase_add_test(c, any_origin_may_where_all_are_listed);
    tcase_add_loop_test(c, a_page_uses_all_four_ways, 0, 2);
    tcase_add_test(c, a_way_is_left_for_another_between_any_two_messages);
    tcase_add_test(c, an_origin_not_listed_has_none_of_them);
    tcase_add_test(c, a_browser_that_leaves_is_noticed);
    return c;
}

int main(void)
{
    Suite *s = suite_create("browser");
    if (can("command -v chromium", "all in a browser: chromium is not installed"))
        suite_add_tcase(s, cases());
    return run(s);
}
