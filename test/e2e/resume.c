/*
 * resume.c - end to end: cursors, replay, gaps, heartbeats: what lets a client that was
 * cut go on where it was, or know that it can't.
 */
#include "test/kit/e2e.h"
#include "test/kit/kit.h"

#include <string.h>

static struct e2e_server s;
static struct e2e_response r;

/* The two numbers of an id. */
struct id {
    unsigned long long ms, n;
};

static struct id id_of(const char *text)
{
    struct id id = {0, 0};
    ck_assert_msg(sscanf(text, "%llu-%llu", &id.ms, &id.n) == 2, "not an id: %s", text);
    return id;
}

/* Publishes `count` messages of about `size` bytes over one connection. */
static void flood(const char *target, unsigned count, size_t size)
{
    static char data[1 << 20];
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

/* ---- the opening block ---- */

START_TEST(test_opening_block)
{
    e2e_start(&s, "--retry", "2s", NULL);
    struct e2e_conn *c = e2e_open(&s);
    struct e2e_block b;
    struct id first = id_of(e2e_subscribe_on(c, "/news", NULL));
    ck_assert_uint_eq(first.n, 0);
    const char *id = e2e_publish(&s, "/other", "x");
    ck_assert_uint_eq(id_of(id).ms, first.ms);
    c = e2e_open(&s);
    ck_assert_str_eq(e2e_subscribe_on(c, "/news", NULL), id);

    /* The reconnection hint is jittered, within half and double. */
    long least = 1000000, most = 0;
    for (int i = 0; i < 30; i++) {
        c = e2e_open(&s);
        e2e_send(c, "GET /news HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n");
        e2e_response(c, &r);
        e2e_block(c, &b);
        least = b.retry < least ? b.retry : least;
        most = b.retry > most ? b.retry : most;
    }
    ck_assert_msg(least >= 1000 && most <= 4000 && least < most, "%ld to %ld", least, most);
    e2e_stop(&s);
}
END_TEST

/* Cut before its first message, a client resumes by the opening id without loss. */
START_TEST(test_cut_before_the_first_message)
{
    char id[64], fields[128];
    e2e_start(&s, NULL);
    e2e_publish(&s, "/news", "before");
    struct e2e_conn *c = e2e_open(&s);
    snprintf(id, sizeof(id), "%s", e2e_subscribe_on(c, "/news", NULL));
    e2e_close(c);
    e2e_publish(&s, "/other", "x");
    e2e_publish(&s, "/news", "while away");
    snprintf(fields, sizeof(fields), "Last-Event-ID: %s\r\n", id);
    c = e2e_open(&s);
    ck_assert_str_eq(e2e_subscribe_on(c, "/news", fields), id);
    e2e_expect_message(c, NULL, "while away", NULL);
    e2e_expect_silence(c, 50);
    e2e_stop(&s);
}
END_TEST

/* ---- every spelling of a cursor ---- */

static const struct {
    int line;
    const char *target, *fields; /* %s: the cursor; %%: a percent sign */
} spellings[] = {
    {__LINE__, "/news", "Last-Event-ID: %s\r\n"},
    {__LINE__, "/news", "last-event-id:%s \r\n"},
    {__LINE__, "/news?last-event-id=%s", ""},
    {__LINE__, "/news?last_event_id=%s", ""},
    {__LINE__, "/news?lastEventId=%s", ""},
    {__LINE__, "/news?x=y&lastEventId=%s&z", ""},
    {__LINE__, "/news?since=%s", ""},
    {__LINE__, "/news", "If-None-Match: \"%s\"\r\n"},
    {__LINE__, "/news", "If-None-Match: W/\"%s\"\r\n"},
    {__LINE__, "/news", "If-None-Match: %s\r\n"},
    {__LINE__, "/news", "If-None-Match: \"%s-gzip\"\r\n"},
    {__LINE__, "/news", "If-None-Match: W/\"%s-gzip\"\r\n"},
    /* the field goes before the parameter, that before the entity tag and since */
    {__LINE__, "/news?last-event-id=1-1", "Last-Event-ID: %s\r\nIf-None-Match: \"2-2\"\r\n"},
    {__LINE__, "/news?last-event-id=%s", "If-None-Match: \"2-2\"\r\n"},
    {__LINE__, "/news?since=earliest&last-event-id=%s", ""},
    {__LINE__, "/news?since=now", "Last-Event-ID: %s\r\n"},
    {__LINE__, "/news?since=now", "If-None-Match: \"%s\"\r\n"},
    {__LINE__, "/news?last-event-id=", "Last-Event-ID: \r\nIf-None-Match: \"%s\"\r\n"},
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
START_TEST(test_cursor_spellings)
{
    char ids[5][64], target[256], fields[256];
    e2e_start(&s, NULL);
    for (size_t i = 0; i < 5; i++) {
        char text[8];
        snprintf(text, sizeof(text), "%zu", i);
        snprintf(ids[i], sizeof(ids[i]), "%s", e2e_publish(&s, "/news", text));
        e2e_publish(&s, "/other", "x");
    }
    for (size_t i = 0; i < COUNT(spellings); i++) {
        snprintf(target, sizeof(target), spellings[i].target, ids[2]);
        snprintf(fields, sizeof(fields), spellings[i].fields, ids[2]);
        struct e2e_conn *c = e2e_open(&s);
        const char *opening = e2e_subscribe_on(c, target, fields);
        ck_assert_msg(strcmp(opening, ids[2]) == 0, "line %d: %s", spellings[i].line, opening);
        struct e2e_block b;
        e2e_block(c, &b);
        ck_assert_msg(strcmp(b.data, "3") == 0, "line %d: %s", spellings[i].line, b.data);
        e2e_expect_message(c, NULL, "4", ids[4]);
        e2e_expect_silence(c, 20);
        e2e_close(c);
    }
    e2e_stop(&s);
}
END_TEST
#pragma GCC diagnostic pop

/* ---- since ---- */

static const struct {
    int line;
    /* of the messages 0 to 4 in /news, of which 3 and 4 are recent; NULL: since the others */
    const char *since, *gets;
} sinces[] = {
    {__LINE__, "earliest", "01234"},
    {__LINE__, "now", ""},
    {__LINE__, "-1", "4"},
    {__LINE__, "-3", "234"},
    {__LINE__, "-5", "01234"},
    {__LINE__, "-100", "01234"},
    {__LINE__, "10m", "01234"},
    {__LINE__, "1h", "01234"},
    {__LINE__, "1d", "01234"},
    {__LINE__, NULL, "34"},
    {__LINE__, "1000000000", "01234"},
    {__LINE__, "1000000000000", "01234"},
    {__LINE__, "99999999999", ""},
};

START_TEST(test_since)
{
    enum { PAUSE_MS = 4000 }; /* more than it takes to ask, on any machine */
    char target[64], ago[32];
    int64_t old = 0;
    e2e_start(&s, NULL);
    for (size_t i = 0; i < 5; i++) {
        char text[8];
        snprintf(text, sizeof(text), "%zu", i);
        if (i == 3) {
            old = e2e_now_ms() + PAUSE_MS / 8; /* a clock may be put right meanwhile */
            e2e_sleep_ms(PAUSE_MS);
        }
        e2e_publish(&s, "/news", text);
        e2e_publish(&s, "/other", "x");
    }
    for (int set = 0; set < 2; set++) {
        for (size_t i = 0; i < COUNT(sinces); i++) {
            snprintf(ago, sizeof(ago), "%dms", (int)(e2e_now_ms() - old));
            snprintf(target, sizeof(target), "/news%s?since=%s", set ? ",more" : "",
                     sinces[i].since != NULL ? sinces[i].since : ago);
            struct e2e_conn *c = e2e_subscribe(&s, target, NULL);
            for (const char *g = sinces[i].gets; *g != '\0'; g++) {
                char data[2] = {*g, '\0'};
                struct e2e_block b;
                e2e_block(c, &b);
                ck_assert_msg(strcmp(b.data, data) == 0, "line %d: %s instead of %s",
                              sinces[i].line, b.data, data);
            }
            e2e_expect_silence(c, 10);
            e2e_close(c);
        }
    }
    e2e_ask(&s, &r,
            "GET /news?since=nonsense HTTP/1.1\r\nHost: test\r\n"
            "Accept: text/event-stream\r\n\r\n");
    e2e_expect_status(&r, 400, "since");
    e2e_stop(&s);
}
END_TEST

/* The last N of a set are those of all its topics together. */
START_TEST(test_since_last_of_a_set)
{
    e2e_start(&s, NULL);
    static const char *const topics[] = {"/a", "/b", "/a", "/c", "/a", "/b", "/other"};
    for (size_t i = 0; i < COUNT(topics); i++) {
        char text[8];
        snprintf(text, sizeof(text), "%zu", i);
        e2e_publish(&s, topics[i], text);
    }
    struct e2e_conn *c = e2e_subscribe(&s, "/a,b,c?since=-3", NULL);
    e2e_expect_message(c, "c", "3", NULL);
    e2e_expect_message(c, "a", "4", NULL);
    e2e_expect_message(c, "b", "5", NULL);
    c = e2e_subscribe(&s, "/*?since=-2", NULL);
    e2e_expect_message(c, "b", "5", NULL);
    e2e_expect_message(c, "other", "6", NULL);
    e2e_expect_silence(c, 20);
    e2e_stop(&s);
}
END_TEST

/* ---- from replay to live ---- */

/* Subscribers that join while messages come in bursts, some from the start, some from a cursor:
 * each sees every message once and in order, whatever part of it was replay. */
START_TEST(test_seam)
{
    enum { BURSTS = 60, BURST = 50 };
    static struct e2e_conn *c[BURSTS];
    static unsigned from[BURSTS];
    e2e_start(&s, NULL);
    struct e2e_conn *p = e2e_open(&s);
    struct id head = {0, 0};
    for (unsigned i = 0; i < BURSTS; i++) {
        char fields[128], text[32];
        for (unsigned m = 0; m < BURST; m++) {
            snprintf(text, sizeof(text), "%u", i * BURST + m + 1);
            e2e_send_publish(p, m % 2 ? "/a" : "/b", text, strlen(text));
        }
        /* the burst has been sent, not answered: it comes together with the subscriber */
        from[i] = i % 3 == 1 ? (unsigned)head.n : 0;
        snprintf(fields, sizeof(fields), "Last-Event-ID: %llu-%u\r\n", head.ms, from[i]);
        c[i] = e2e_subscribe(&s, i % 3 == 1 ? "/a,b" : "/a,b?since=earliest",
                             i % 3 == 1 && head.ms != 0 ? fields : NULL);
        for (unsigned m = 0; m < BURST; m++) {
            e2e_response(p, &r);
            ck_assert_int_eq(r.status, 201);
        }
        head = id_of(strstr(r.body, "\"id\":\"") + 6);
    }
    for (unsigned i = 0; i < BURSTS; i++) {
        struct e2e_block b;
        for (unsigned n = from[i] + 1; n <= BURSTS * BURST; n++) {
            e2e_block(c[i], &b);
            if (id_of(b.id).n != n || (unsigned)atoi(b.data) != n)
                e2e_fail("subscriber %u: message %u was due, %s came", i, n, b.id);
        }
        e2e_expect_silence(c[i], 5);
    }
    e2e_stop(&s);
}
END_TEST

/* ---- gaps ---- */

static void expect_gap(struct e2e_conn *c, const char *reason, const char *after,
                       const char *oldest)
{
    struct e2e_block b;
    char want[256];
    e2e_block(c, &b);
    if (oldest != NULL)
        snprintf(want, sizeof(want), "{\"reason\":\"%s\",\"after\":\"%s\",\"oldest\":\"%s\"}",
                 reason, after, oldest);
    else
        snprintf(want, sizeof(want), "{\"reason\":\"%s\",\"after\":\"%s\",\"oldest\":null}", reason,
                 after);
    if (strcmp(b.event, "gap") != 0 || strcmp(b.data, want) != 0 || !b.has_id)
        e2e_fail("wanted a gap %s, came event \"%s\", data %s, id %s", want, b.event, b.data, b.id);
}

static const char *const unknown[] = {"1-1",      "0-0", "ahead",
                                      "nonsense", "17",  "1-2-3",
                                      "-1",       "1-",  "18446744073709551616-1",
                                      "\xc3\xa9"};

/* A cursor of another store, ahead of this one's head, or unreadable. */
START_TEST(test_gap_unknown)
{
    char first[64], fields[256];
    e2e_start(&s, NULL);
    snprintf(first, sizeof(first), "%s", e2e_publish(&s, "/news", "first"));
    e2e_publish(&s, "/news", "second");
    for (size_t i = 0; i < COUNT(unknown); i++) {
        char cursor[128];
        snprintf(cursor, sizeof(cursor), "%s", unknown[i]);
        if (strcmp(cursor, "ahead") == 0)
            snprintf(cursor, sizeof(cursor), "%llu-3", id_of(first).ms);
        snprintf(fields, sizeof(fields), "Last-Event-ID: %s\r\n", cursor);
        struct e2e_conn *c = e2e_open(&s);
        e2e_printf(c, "GET /news HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n%s\r\n",
                   fields);
        e2e_response(c, &r);
        e2e_expect_status(&r, 200, NULL);
        struct e2e_block b;
        e2e_block(c, &b);
        ck_assert_msg(b.retry >= 0 && !b.has_data, "%s", cursor);
        expect_gap(c, "unknown", cursor, first);
        e2e_expect_message(c, NULL, "first", first);
        e2e_expect_message(c, NULL, "second", NULL);
        e2e_expect_silence(c, 10);
        e2e_close(c);
    }
    e2e_stop(&s);
}
END_TEST

/* A gap's own id resumes where the client was told to go on. */
START_TEST(test_gap_id_resumes)
{
    char fields[128];
    struct e2e_block b;
    e2e_start(&s, NULL);
    e2e_publish(&s, "/news", "first");
    struct e2e_conn *c = e2e_subscribe(&s, "/news", "Last-Event-ID: 1-1\r\n");
    e2e_block(c, &b);
    ck_assert_str_eq(b.event, "gap");
    e2e_close(c);
    snprintf(fields, sizeof(fields), "Last-Event-ID: %s\r\n", b.id);
    c = e2e_subscribe(&s, "/news", fields);
    e2e_expect_message(c, NULL, "first", NULL);
    e2e_stop(&s);
}
END_TEST

START_TEST(test_gap_in_an_empty_store)
{
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news", "Last-Event-ID: 7-7\r\n");
    expect_gap(c, "unknown", "7-7", NULL);
    const char *id = e2e_publish(&s, "/news", "x");
    e2e_expect_message(c, NULL, "x", id);
    e2e_stop(&s);
}
END_TEST

/* Reads all that is there; the ids must be without holes from the one given to the last. */
static void expect_all(struct e2e_conn *c, unsigned long long from, unsigned long long last)
{
    struct e2e_block b;
    for (; from <= last; from++) {
        e2e_block(c, &b);
        if (id_of(b.id).n != from)
            e2e_fail("message %llu was due, %s came", from, b.id);
    }
    e2e_expect_silence(c, 20);
}

START_TEST(test_gap_expired)
{
    char first[64], fields[128], oldest[64];
    struct e2e_block b;
    e2e_start(&s, "--ring", "64K", "--max-message", "1K", NULL);
    snprintf(first, sizeof(first), "%s", e2e_publish(&s, "/news", "first"));
    flood("/news", 200, 1000);
    struct id last = id_of(e2e_publish(&s, "/news", "last"));

    struct e2e_conn *c = e2e_subscribe(&s, "/news?since=earliest", NULL);
    e2e_block(c, &b);
    snprintf(oldest, sizeof(oldest), "%s", b.id);
    ck_assert_uint_gt(id_of(oldest).n, 2);
    expect_all(c, id_of(oldest).n + 1, last.n);

    snprintf(fields, sizeof(fields), "Last-Event-ID: %s\r\n", first);
    c = e2e_subscribe(&s, "/news", fields);
    expect_gap(c, "expired", first, oldest);
    expect_all(c, id_of(oldest).n, last.n);
    e2e_stop(&s);
}
END_TEST

/* The last message before the oldest is no gap, the one before that is. */
START_TEST(test_gap_at_the_edge)
{
    struct e2e_block b;
    char fields[128];
    e2e_start(&s, "--ring", "64K", "--max-message", "1K", NULL);
    flood("/news", 200, 1000);
    struct e2e_conn *c = e2e_subscribe(&s, "/news?since=earliest", NULL);
    e2e_block(c, &b);
    struct id oldest = id_of(b.id);
    snprintf(fields, sizeof(fields), "Last-Event-ID: %llu-%llu\r\n", oldest.ms, oldest.n - 1);
    c = e2e_subscribe(&s, "/news", fields);
    expect_all(c, oldest.n, 200);
    snprintf(fields, sizeof(fields), "Last-Event-ID: %llu-%llu\r\n", oldest.ms, oldest.n - 2);
    c = e2e_subscribe(&s, "/news", fields);
    e2e_block(c, &b);
    ck_assert_str_eq(b.event, "gap");
    expect_all(c, oldest.n, 200);
    e2e_stop(&s);
}
END_TEST

/* Where other topics' messages were lost only, there is no gap. */
START_TEST(test_no_false_alarm)
{
    char quiet[64], fields[128];
    e2e_start(&s, "--ring", "64K", "--max-message", "1K", NULL);
    struct e2e_conn *stays = e2e_subscribe(&s, "/quiet", NULL);
    e2e_publish(&s, "/quiet", "one");
    snprintf(quiet, sizeof(quiet), "%s", e2e_publish(&s, "/quiet", "two"));
    flood("/busy", 200, 1000);
    snprintf(fields, sizeof(fields), "Last-Event-ID: %s\r\n", quiet);
    struct e2e_conn *c = e2e_subscribe(&s, "/quiet", fields);
    const char *id = e2e_publish(&s, "/quiet", "three");
    e2e_expect_message(c, NULL, "three", id);
    e2e_expect_message(stays, NULL, "one", NULL);
    e2e_expect_message(stays, NULL, "two", NULL);
    e2e_expect_message(stays, NULL, "three", id);

    /* but "two" was lost to one who had only "one" */
    snprintf(fields, sizeof(fields), "Last-Event-ID: %llu-%llu\r\n", id_of(quiet).ms,
             id_of(quiet).n - 1);
    c = e2e_subscribe(&s, "/quiet", fields);
    struct e2e_block b;
    e2e_block(c, &b);
    ck_assert_str_eq(b.event, "gap");
    e2e_expect_message(c, NULL, "three", id);
    e2e_stop(&s);
}
END_TEST

/* The gap tells the cursor as it came, whatever else the query asks for. */
START_TEST(test_gap_tells_the_cursor)
{
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_open(&s);
    e2e_send(c, "GET /news?last-event-id=12345-6&hello=True&heartbeat=event&conflate=0 HTTP/1.1\r\n"
                "Host: test\r\nAccept: text/event-stream\r\n\r\n");
    e2e_until(c, "\"after\":\"12345-6\"");
    e2e_stop(&s);
}
END_TEST

/* A topic that nobody needs any more is forgotten, what it lost is not: where its name comes back,
 * or a wildcard would have had it, one who was there before learns of the gap. */
START_TEST(test_gap_of_a_forgotten_topic)
{
    static const char *const targets[] = {"/gone", "/gone,other", "/*", "/**"};
    char first[64], fields[128];
    struct e2e_block b;
    e2e_start(&s, "--ring", "64K", "--max-message", "1K", NULL);
    snprintf(first, sizeof(first), "%s", e2e_publish(&s, "/gone", "one"));
    e2e_publish(&s, "/gone", "two");
    flood("/busy/topic", 200, 1000);
    snprintf(fields, sizeof(fields), "Last-Event-ID: %s\r\n", first);
    for (size_t i = 0; i < COUNT(targets); i++) {
        struct e2e_conn *c = e2e_subscribe(&s, targets[i], fields);
        e2e_block(c, &b);
        ck_assert_msg(strcmp(b.event, "gap") == 0, "%s: %s", targets[i], b.event);
        e2e_close(c);
    }
    e2e_stop(&s);
}
END_TEST

/* Messages older than --max-age are gone, and that is told like any loss. */
START_TEST(test_max_age)
{
    char first[64], fields[128];
    e2e_start(&s, "--max-age", "300ms", NULL);
    snprintf(first, sizeof(first), "%s", e2e_publish(&s, "/news", "one"));
    e2e_publish(&s, "/news", "two");
    e2e_sleep_ms(1000);
    struct e2e_conn *c = e2e_subscribe(&s, "/news?since=earliest", NULL);
    e2e_expect_silence(c, 50);
    snprintf(fields, sizeof(fields), "Last-Event-ID: %s\r\n", first);
    c = e2e_subscribe(&s, "/news", fields);
    expect_gap(c, "expired", first, NULL);
    e2e_publish(&s, "/news", "three");
    e2e_expect_message(c, NULL, "three", NULL);
    e2e_stop(&s);
}
END_TEST

/* ---- heartbeats ---- */

/* A lone colon line, and nothing else, at about the pace asked for. */
START_TEST(test_heartbeat)
{
    e2e_start(&s, "--heartbeat", "200ms", NULL);
    int64_t t = e2e_now_ms();
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    for (int i = 0; i < 6; i++)
        e2e_expect(c, ":\n");
    t = e2e_now_ms() - t;
    ck_assert_msg(t >= 900, "6 heartbeats in %d ms", (int)t);
    const char *id = e2e_publish(&s, "/news", "x");
    e2e_expect_message(c, NULL, "x", id);
    e2e_expect(c, ":\n");
    e2e_stop(&s);
}
END_TEST

/* A heartbeat that a page can see has the id of the newest message, whatever topic that is of. */
START_TEST(test_heartbeat_events)
{
    char id[64], want[256];
    e2e_start(&s, "--heartbeat", "100ms", NULL);
    struct e2e_conn *events = e2e_subscribe(&s, "/news?heartbeat=event", NULL);
    struct e2e_conn *lines = e2e_open(&s);
    e2e_send(lines, "GET /news?wait=1&heartbeat=event HTTP/1.1\r\nHost: test\r\n"
                    "Accept: application/x-ndjson\r\n\r\n");
    snprintf(id, sizeof id, "%s", e2e_publish(&s, "/other", "x"));
    snprintf(want, sizeof want, "event: heartbeat\ndata: {\"id\":\"%s\"}\nid: %s\n\n", id, id);
    e2e_until(events, want);
    snprintf(want, sizeof want, "\n{\"heartbeat\":{\"id\":\"%s\"}}\n", id);
    e2e_until(lines, want);
    e2e_stop(&s);
}
END_TEST

/* When the ring has turned by half since the last id, the heartbeat brings an id, so that a quiet
 * topic's subscriber never falls out of a busy ring. */
START_TEST(test_heartbeat_with_an_id)
{
    enum { FLOOD = 50, HALF = 40 }; /* messages; so many are more than half of the ring */
    char fields[128];
    struct e2e_block b;
    e2e_start(&s, "--heartbeat", "100ms", "--ring", "64K", "--max-message", "1K", NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/quiet", NULL);
    e2e_publish(&s, "/quiet", "one");
    e2e_expect_message(c, NULL, "one", NULL);
    unsigned long long before = 1;
    for (int turn = 0; turn < 4; turn++) {
        flood("/busy", FLOOD, 1000);
        do { /* on a slow machine one comes while it is being flooded, too */
            e2e_block(c, &b);
            ck_assert(b.has_id && !b.has_data && b.retry == -1 && b.event[0] == '\0');
            ck_assert_uint_gt(id_of(b.id).n, before);
            before = id_of(b.id).n;
        } while (before + HALF < 1 + FLOOD * (unsigned)(turn + 1));
    }
    snprintf(fields, sizeof(fields), "Last-Event-ID: %s\r\n", b.id);
    struct e2e_conn *again = e2e_subscribe(&s, "/quiet,other", fields);
    e2e_publish(&s, "/quiet", "two");
    e2e_expect_message(again, "quiet", "two", NULL);
    e2e_stop(&s);
}
END_TEST

/* ---- main ---- */

int main(void)
{
    Suite *suite = suite_create("serve_resume");
    TCase *cursor = tcase_create("cursors"), *gap = tcase_create("gaps");
    TCase *beat = tcase_create("heartbeats");
    tcase_set_timeout(cursor, 60);
    tcase_add_test(cursor, test_opening_block);
    tcase_add_test(cursor, test_cut_before_the_first_message);
    tcase_add_test(cursor, test_cursor_spellings);
    tcase_add_test(cursor, test_since);
    tcase_add_test(cursor, test_since_last_of_a_set);
    tcase_add_test(cursor, test_seam);
    suite_add_tcase(suite, cursor);
    tcase_set_timeout(gap, 60);
    tcase_add_test(gap, test_gap_unknown);
    tcase_add_test(gap, test_gap_id_resumes);
    tcase_add_test(gap, test_gap_in_an_empty_store);
    tcase_add_test(gap, test_gap_expired);
    tcase_add_test(gap, test_gap_at_the_edge);
    tcase_add_test(gap, test_no_false_alarm);
    tcase_add_test(gap, test_gap_of_a_forgotten_topic);
    tcase_add_test(gap, test_gap_tells_the_cursor);
    tcase_add_test(gap, test_max_age);
    suite_add_tcase(suite, gap);
    tcase_set_timeout(beat, 60);
    tcase_add_test(beat, test_heartbeat);
    tcase_add_test(beat, test_heartbeat_events);
    tcase_add_test(beat, test_heartbeat_with_an_id);
    suite_add_tcase(suite, beat);
    return run(suite);
}
