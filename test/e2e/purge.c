/*
 * purge.c - DELETE of a topic, end to end: its messages are gone for readers, without a gap, and
 * their bytes are nowhere, in the process's memory or in the store.
 */
#include "test/kit/life.h"
#include "test/kit/socket.h"
#include "test/kit/tokens.h"

static struct e2e_server s;
static struct e2e_response r;

static char store[64];

/* Purges; the answer must have this in it. */
static void purge(const char *topic, const char *part)
{
    e2e_ask(&s, &r, "DELETE /%s HTTP/1.1\r\nHost: test\r\n\r\n", topic);
    if (r.status != 200 || strstr(r.body, part) == NULL)
        e2e_fail("%s: wanted %s: %s%s", topic, part, r.head, r.body);
}

static void poll_is(const char *target, const char *part, bool there)
{
    e2e_ask(&s, &r, "GET /%s HTTP/1.1\r\nHost: test\r\n\r\n", target);
    if (strstr(r.head, "Gap:") != NULL || strstr(r.body, "\"reason\"") != NULL ||
        (strstr(r.body, part) != NULL) != there)
        e2e_fail("%s: %s%s", target, r.head, r.body);
}

#define SECRET "a-secret-that-is-to-be-gone-"

/* Counts how often the bytes are in a file; *base: what of a process's memory is there. */
static unsigned times_in(int fd, off_t from, off_t to, const char *what)
{
    enum { PART = 1 << 20 };
    static char bytes[PART + 64];
    unsigned times = 0;
    size_t n = strlen(what);
    for (off_t at = from; at < to; at += PART) {
        size_t most = to - at < PART + (off_t)n ? (size_t)(to - at) : PART + n - 1;
        ssize_t got = pread(fd, bytes, most, at);
        const char *p = bytes;
        while (got > 0 && (p = memmem(p, (size_t)(bytes + got - p), what, n)) != NULL) {
            times++;
            p++;
        }
    }
    return times;
}

static unsigned in_memory(const char *what)
{
    char path[64], line[512];
    unsigned times = 0;
    snprintf(path, sizeof path, "/proc/%d/mem", (int)s.pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%d/maps", (int)s.pid);
    FILE *maps = fopen(path, "re");
    ck_assert(fd != -1 && maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long from, to;
        char mode[8];
        ck_assert_int_eq(sscanf(line, "%lx-%lx %7s", &from, &to, mode), 3);
        if (mode[0] != 'r' || to - from > (1ul << 32) || from > 1ul << 47)
            continue; /* the shadow of the sanitizer is no memory of its own */
        times += times_in(fd, (off_t)from, (off_t)to, what);
    }
    (void)fclose(maps);
    close(fd);
    return times;
}

static unsigned in_store(const char *what)
{
    int fd = open(store, O_RDONLY | O_CLOEXEC);
    struct stat st;
    ck_assert(fd != -1 && fstat(fd, &st) == 0);
    unsigned times = times_in(fd, 0, st.st_size, what);
    close(fd);
    return times;
}

START_TEST(gone)
{
    char before[64], two[64], query[128], fields[128];
    e2e_start(&s, "--log", "error", NULL);
    snprintf(before, sizeof before, "%s", e2e_publish(&s, "/u", "other"));
    struct e2e_conn *live = e2e_subscribe(&s, "/t", NULL), *all = e2e_subscribe(&s, "/**", NULL);
    e2e_publish(&s, "/t", "one");
    snprintf(two, sizeof two, "%s", e2e_publish(&s, "/t?event=e", "two"));
    e2e_expect_message(live, NULL, "one", NULL);
    e2e_expect_message(live, "e", "two", NULL);
    purge("t", "\"purged\":2");
    poll_is("t", "\"data\"", false);
    poll_is("t,u", "\"data\":\"one\"", false);
    poll_is("**", "\"data\":\"one\"", false);
    poll_is("**", "\"data\":\"other\"", true);
    snprintf(query, sizeof query, "t?last-event-id=%s", before);
    poll_is(query, "\"data\"", false);
    poll_is("t?since=-5", "\"data\"", false);
    poll_is("**?since=-5", "\"data\":\"two\"", false);
    e2e_publish(&s, "/t", "three");
    e2e_expect_message(live, NULL, "three", NULL);
    e2e_expect_message(all, "t", "one", NULL);
    e2e_expect_message(all, "e", "two", NULL);
    e2e_expect_message(all, "t", "three", NULL);
    poll_is(query, "\"messages\":[{", true);
    poll_is(query, "\"data\":\"three\"", true);
    snprintf(fields, sizeof fields, "Last-Event-ID: %s\r\n", before);
    struct e2e_conn *back = e2e_subscribe(&s, "/t,u", fields);
    e2e_expect_message(back, "t", "three", NULL);
    purge("t", "\"purged\":1");
    purge("t", "{\"id\":null,\"purged\":0}");
    purge("never", "{\"id\":null,\"purged\":0}");
    ck_assert_int_eq(metric(&s, "purges_total"), 2);
    ck_assert_int_eq(metric(&s, "messages_purged_total"), 3);
    e2e_stop_log(&s, SIGTERM, "");
}
END_TEST

/* An end goes, too, and so do keys. */
START_TEST(begins_anew)
{
    e2e_start(&s, "--log", "error", NULL);
    e2e_publish(&s, "/t?key=a", "one");
    e2e_publish(&s, "/t?end", "two");
    purge("t", "\"purged\":2");
    e2e_publish(&s, "/t?key=a", "other");
    poll_is("t", "\"data\":\"other\"", true);
    poll_is("t", "\"ended\"", false);
    e2e_stop_log(&s, SIGTERM, "");
}
END_TEST

START_TEST(refused)
{
    static const struct {
        const char *target, *fields, *detail;
        int status;
    } rows[] = {
        {"/a/*", "", "one topic is purged at a time", 400},
        {"/a,b", "", "one topic is purged at a time", 400},
        {"/a//b", "", "", 400},
        {"/", "", "", 405},
        {"/-/metrics", "", "", 405},
        {"/t", "Origin: http://elsewhere\r\n", "may not purge here", 403},
    };
    e2e_start(&s, "--log", "error", NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        e2e_ask(&s, &r, "DELETE %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", rows[i].target,
                rows[i].fields);
        e2e_expect_status(&r, rows[i].status, rows[i].detail);
    }
    e2e_stop_log(&s, SIGTERM, "");
}
END_TEST

/* With tokens, the right to publish does not suffice, and neither does the claim `purge` alone;
 * each is asked for twice, as a token that came before is remembered. */
START_TEST(claims)
{
    static const struct {
        const char *payload, *detail;
        int status;
    } rows[] = {
        {"{\"publish\":[\"**\"]}", "the token does not allow purging", 403},
        {"{\"publish\":[\"**\"],\"purge\":[\"u\"]}", "the token does not allow purging", 403},
        {"{\"publish\":[\"u\"],\"purge\":[\"t\"]}", "", 403},
        {"{\"purge\":[\"**\"]}", "", 403},
        {"{\"subscribe\":[\"**\"],\"purge\":[\"**\"]}", "", 403},
        {"{\"publish\":[\"**\"],\"purge\":[\"t\"],\"exp\":1}", "has expired", 401},
        {"{\"publish\":[\"**\"],\"purge\":\"t\"}", "", 401},
        {"{\"publish\":[\"t\"],\"purge\":[\"t\"]}", "\"purged\":1", 200},
        {"{\"scope\":\"publish:t purge:t\"}", "\"purged\":1", 200},
        {"{\"publish\":[\"**\"],\"purge\":[\"*\"]}", "\"purged\":1", 200},
    };
    const char *publisher = token_good("[\"t\"]", "[\"t\"]", 0);
    program_make();
    e2e_start(&s, "--log", "error", "--key-file", keys_write(TOKENS_KEYS, 0600), NULL);
    for (size_t i = 0; i < 2 * COUNT(rows); i++) {
        const char *token = token_of(HS256, rows[i / 2].payload, KEY_PLAIN);
        e2e_ask(&s, &r,
                "POST /t HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\nContent-Length: 4\r\n"
                "\r\nkept",
                publisher);
        ck_assert_int_eq(r.status, 201);
        e2e_ask(&s, &r, "DELETE /t HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n\r\n", token);
        if (r.status != rows[i / 2].status || strstr(r.body, rows[i / 2].detail) == NULL)
            e2e_fail("%s: %s%s", rows[i / 2].payload, r.head, r.body);
        e2e_ask(&s, &r, "GET /t?since=-1 HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n\r\n",
                publisher);
        ck_assert_int_eq(strstr(r.body, "kept") != NULL, rows[i / 2].status != 200);
        e2e_ask(&s, &r, "DELETE /t HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n\r\n",
                token_of(HS256, "{\"publish\":[\"t\"],\"purge\":[\"t\"]}", KEY_PLAIN));
        ck_assert_int_eq(r.status, 200);
    }
    e2e_ask(&s, &r, "DELETE /t HTTP/1.1\r\nHost: h\r\n\r\n");
    ck_assert_int_eq(r.status, 401);
    e2e_stop_log(&s, SIGTERM, "");
    program_remove();
}
END_TEST

/* Its bytes are nowhere, however they came and whoever got them. */
START_TEST(bytes)
{
    static char body[100000];
    char text[256];
    e2e_start(&s, "--log", "error", "--store", store, "--ring", "4M", "--fsync",
              _i == 0 ? "interval" : "always", NULL);
    struct e2e_conn *sse = e2e_subscribe(&s, "/t", NULL),
                    *json = socket_open_json(&s, "/t,u", NULL), *wait = e2e_open(&s),
                    *lines = e2e_open(&s);
    e2e_send(wait, "GET /t?wait=60 HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_send(lines, "GET /t?wait=1 HTTP/1.1\r\nHost: test\r\nAccept: application/x-ndjson\r\n\r\n");
    e2e_publish(&s, "/t", SECRET "one");
    e2e_publish_as(&s, "/t?event=" SECRET "two", "application/octet-stream", SECRET, 20);
    snprintf(text, sizeof text, "{\"data\":\"%s\\n\"}\n", SECRET "three");
    e2e_publish_as(&s, "/t?", "application/x-ndjson", text, strlen(text));
    memset(body, '"', sizeof body);
    memcpy(body + 5000, SECRET, strlen(SECRET));
    e2e_publish_as(&s, "/t", "text/plain", body, sizeof body);
    struct e2e_conn *parts = e2e_open(&s);
    e2e_send(parts,
             "POST /t?key=" SECRET " HTTP/1.1\r\nHost: test\r\nContent-Length: 40\r\n\r\n" SECRET);
    e2e_sleep_ms(20);
    e2e_send(parts, "0123456789012345");
    e2e_response(parts, &r);
    e2e_response(wait, &r);
    e2e_until(sse, SECRET "0123");
    e2e_until(json, SECRET "0123");
    e2e_until(lines, SECRET "0123");
    poll_is("t", SECRET, true);
    e2e_ask(&s, &r, "GET /t HTTP/1.1\r\nHost: test\r\nAccept: text/plain\r\n\r\n");
    ck_assert(in_memory(SECRET) > 0 && in_store(SECRET) > 0);
    purge("t", "\"purged\":5");
    ck_assert_uint_eq(in_store(SECRET), 0);
    ck_assert_uint_eq(in_memory(SECRET), 0);
    e2e_publish(&s, "/t", "next");
    poll_is("t", "\"data\":\"next\"", true);
    e2e_kill(&s);
    e2e_start(&s, "--log", "error", "--store", store, NULL);
    poll_is("t", "\"data\":\"next\"", true);
    poll_is("t", SECRET, false);
    ck_assert_uint_eq(in_store(SECRET), 0);
    e2e_stop(&s);
    unlink(store);
}
END_TEST

/* Killed at any time, it was purged or is purged at the start, and there is no damage. */
START_TEST(killed)
{
    char id[64], query[96];
    for (int i = 0; i < 12; i++) {
        e2e_start(&s, "--log", "error", "--store", store, "--ring", "8M", NULL);
        snprintf(id, sizeof id, "%s", e2e_publish(&s, "/u", "first"));
        struct e2e_conn *c = e2e_open(&s);
        static char data[3000];
        memset(data, 'x', sizeof data - 1);
        memcpy(data, SECRET, strlen(SECRET));
        for (int k = 0; k < 1500; k++) {
            e2e_send_publish(c, "/t", data, sizeof data - 1);
            if (k % 50 == 49)
                for (int n = 0; n < 50; n++)
                    e2e_response(c, &r);
        }
        e2e_send(c, "DELETE /t HTTP/1.1\r\nHost: test\r\n\r\n");
        if (i % 4 == 3)
            e2e_response(c, &r);
        else
            e2e_sleep_ms(i % 4);
        e2e_kill(&s);
        e2e_start(&s, "--log", "error", "--store", store, NULL);
        snprintf(query, sizeof query, "t,u?last-event-id=%s", id);
        e2e_ask(&s, &r, "GET /%s HTTP/1.1\r\nHost: test\r\nAccept: text/plain\r\n\r\n", query);
        ck_assert_msg(strstr(r.head, "Gap:") == NULL, "%s", r.head);
        bool there = strstr(r.body, SECRET) != NULL; /* the request did not come to it */
        ck_assert(!there || i % 4 != 3);
        if (!there)
            ck_assert_uint_eq(in_store(SECRET), 0);
        e2e_stop(&s);
        unlink(store);
    }
}
END_TEST

/* Who is in the middle of such a message is closed; others go on meanwhile. */
START_TEST(in_the_middle)
{
    enum { SIZE = 1 << 20 };
    static char data[SIZE];
    memset(data, 'x', sizeof data);
    e2e_start(&s, "--log", "error", "--ring", "64M", NULL);
    struct e2e_conn *slow = e2e_open_narrow(&s, 4096), *other = e2e_subscribe(&s, "/u", NULL);
    e2e_subscribe_on(slow, "/t", NULL);
    for (int i = 0; i < 20; i++)
        e2e_publish_as(&s, "/t", NULL, data, sizeof data);
    purge("t", "\"purged\":20");
    e2e_publish(&s, "/t", "next");
    e2e_publish(&s, "/u", "u");
    e2e_expect_message(other, NULL, "u", NULL);
    e2e_until_end(slow);
    ck_assert_ptr_null(memmem(slow->buf, slow->n, "\0", 1)); /* nothing that was wiped came */
    e2e_stop_log(&s, SIGTERM, "");
}
END_TEST

static void store_name(void)
{
    snprintf(store, sizeof store, "/tmp/sse-purge-%d", (int)getpid());
    unlink(store);
}

int main(void)
{
    Suite *suite = suite_create("purge");
    TCase *c = tcase_create("purge");
    tcase_set_timeout(c, 300);
    tcase_add_checked_fixture(c, store_name, NULL);
    tcase_add_test(c, gone);
    tcase_add_test(c, begins_anew);
    tcase_add_loop_test(c, refused, 0, 1);
    tcase_add_test(c, claims);
    tcase_add_loop_test(c, bytes, 0, 2);
    tcase_add_test(c, killed);
    tcase_add_test(c, in_the_middle);
    suite_add_tcase(suite, c);
    return run(suite);
}
