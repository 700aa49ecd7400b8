/*
 * workers.c - a server of several workers is one server from outside: what one has acknowledged is
 * there at all, limits are those of the whole, a worker that dies or stands still is replaced.
 */
#include "test/kit/e2e.h"

#include "test/kit/kit.h"
#include "test/kit/metric.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static struct e2e_server s;

/* The workers: the children of the server. Returns how many there are. */
static unsigned workers(pid_t pid[8])
{
    char path[64], text[256];
    unsigned n = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)s.pid, (int)s.pid);
    FILE *f = fopen(path, "re");
    ck_assert_ptr_nonnull(f);
    size_t got = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[got] = '\0';
    for (char *p = strtok(text, " "); p != NULL && n < 8; p = strtok(NULL, " "))
        pid[n++] = (pid_t)strtol(p, NULL, 10);
    return n;
}

/* Waits until there are so many: one that was counted as ended may come back later. */
static void workers_become(pid_t pid[8], unsigned n)
{
    int64_t end = e2e_now_ms() + E2E_WAIT_MS;
    while (workers(pid) != n)
        if (e2e_now_ms() > end)
            e2e_fail("there are %u workers, not %u", workers(pid), n);
}

static void get(const char *target, struct e2e_response *r)
{
    e2e_ask(&s, r, "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", target);
}

/* A value of the metrics, summed over its labels. */
static long long metric(const char *name)
{
    static struct e2e_response r;
    get("/-/metrics", &r);
    return metric_sum(r.body, name);
}

/* Waits until a metric has that value. */
static void settles(const char *name, long long value)
{
    int64_t end = e2e_now_ms() + E2E_WAIT_MS;
    while (metric(name) != value)
        if (e2e_now_ms() > end)
            e2e_fail("%s is %lld, not %lld", name, metric(name), value);
}

/* Each of many subscribers, whose workers are whichever, gets what is published at whichever; and
 * what was acknowledged is there for who asks next. */
START_TEST(one_server)
{
    struct e2e_conn *c[24];
    struct e2e_response r;
    char want[128];
    e2e_start(&s, "--workers", _i == 1 ? "2" : _i == 2 ? "4" : "8", NULL);
    for (unsigned i = 0; i < COUNT(c); i++)
        c[i] = e2e_subscribe(&s, i % 2 == 0 ? "/news" : "/*", NULL);
    for (unsigned m = 0; m < 20; m++) {
        char data[16], id[64];
        snprintf(data, sizeof data, "m%u", m);
        snprintf(id, sizeof id, "%s", e2e_publish(&s, "/news", data));
        get("/news?since=-1", &r);
        snprintf(want, sizeof want, "\"id\":\"%s\"", id);
        ck_assert_msg(r.status == 200 && strstr(r.body, want) != NULL, "%s", r.body);
        for (unsigned i = 0; i < COUNT(c); i++) {
            e2e_expect_message(c[i], i % 2 == 0 ? NULL : "news", data, id);
        }
    }
    settles("sse_messages_published_total", 20);
    settles("sse_messages_delivered_total", 20 * (long)COUNT(c));
    ck_assert_int_eq(metric("sse_workers"), _i == 1 ? 2 : _i == 2 ? 4 : 8);
    e2e_stop(&s);
}
END_TEST

/* --max-connections and --max-per-address count the connections of all workers. */
START_TEST(limits_of_the_whole)
{
    struct e2e_response r;
    e2e_start(&s, "--workers", "3", "--max-connections", "30", NULL);
    for (unsigned i = 0; i < 30; i++)
        (void)e2e_subscribe(&s, "/news", NULL);
    get("/news", &r);
    ck_assert_int_eq(r.status, 503);
    ck_assert_ptr_nonnull(strstr(r.body, "--max-connections"));
    e2e_stop(&s);
    e2e_start(&s, "--workers", "3", "--max-per-address", "9", NULL);
    for (unsigned i = 0; i < 9; i++)
        (void)e2e_subscribe(&s, "/news", NULL);
    get("/news", &r);
    ck_assert(r.status == 503 && strstr(r.body, "--max-per-address") != NULL);
    e2e_stop(&s);
}
END_TEST

/* Asks over a new connection that a PROXY header says is of prefix::1. Returns the status. */
static int ask_of(uint64_t prefix)
{
    char text[256];
    struct e2e_response r;
    struct e2e_conn *c = e2e_open(&s);
    snprintf(text, sizeof text,
             "PROXY TCP6 %x:%x:%x:%x::1 ::1 1 2\r\nGET /news HTTP/1.1\r\nHost: t\r\n\r\n",
             (unsigned)(prefix >> 48), (unsigned)(prefix >> 32 & 0xffff),
             (unsigned)(prefix >> 16 & 0xffff), (unsigned)(prefix & 0xffff));
    e2e_send(c, text);
    e2e_response(c, &r);
    return r.status;
}

/* Whoever has many addresses can't choose those that a table of counts has no place for: these are
 * all in one place if they are hashed without a secret. */
START_TEST(addresses_are_counted)
{
    e2e_start(&s, "--workers", "2", "--max-per-address", "1", "--proxy-protocol", NULL);
    uint64_t prefix = UINT64_C(0x20010db800000000);
    for (unsigned n = 0; n < 60; prefix++) {
        if ((prefix * UINT64_C(0x9E3779B97F4A7C15) >> 32 & 0x3ffff) != 0)
            continue;
        ck_assert_int_eq(ask_of(prefix), 204);
        ck_assert_msg(ask_of(prefix) == 503, "address %u has two connections", n);
        n++;
    }
    e2e_stop(&s);
}
END_TEST

/* Connections are shared evenly. */
START_TEST(balance)
{
    e2e_start(&s, "--workers", "4", NULL);
    for (unsigned i = 0; i < 200; i++)
        (void)e2e_subscribe(&s, "/news", NULL);
    struct e2e_response r;
    get("/-/metrics", &r);
    for (unsigned i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "sse_worker_connections{worker=\"%u\"} ", i);
        char *at = strstr(r.body, name);
        ck_assert_ptr_nonnull(at);
        long n = strtol(at + strlen(name), NULL, 10);
        ck_assert_msg(n > 25 && n <= 50 + 50 / 32 + 8, "%s%ld", name, n);
    }
    e2e_stop(&s);
}
END_TEST

/* One that is killed is replaced; the others serve on, and nothing is lost. */
START_TEST(killed)
{
    pid_t pid[8];
    char id[64];
    struct e2e_response r;
    e2e_start(&s, "--workers", "3", NULL);
    workers_become(pid, 3);
    snprintf(id, sizeof id, "%s", e2e_publish(&s, "/news", "before"));
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(kill(pid[i], SIGKILL), 0);
        settles("sse_worker_restarts_total", (long)i + 1);
        get("/news?since=-5", &r);
        ck_assert(r.status == 200 && strstr(r.body, "before") != NULL);
        (void)e2e_publish(&s, "/news", "behind");
    }
    workers_become(pid, 3); /* and all at once */
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(kill(pid[i], SIGKILL), 0);
    settles("sse_worker_restarts_total", 6);
    char path[128];
    snprintf(path, sizeof path, "/news?last-event-id=%s", id);
    get(path, &r);
    unsigned n = 0;
    for (char *p = r.body; (p = strstr(p, "behind")) != NULL; p++)
        n++;
    ck_assert(n == 3 && strstr(r.body, "\"gap\":null") != NULL);
    e2e_kill(&s);
}
END_TEST

/* One that stands still keeps others from publishing once the ring has gone round; it is killed,
 * and they go on. */
START_TEST(stopped)
{
    pid_t pid[8];
    struct e2e_response r;
    static char data[4000];
    memset(data, 'x', sizeof data - 1);
    e2e_start(&s, "--workers", "3", "--ring", "64K", NULL);
    workers_become(pid, 3);
    ck_assert_int_eq(kill(pid[0], SIGSTOP), 0);
    int64_t end = e2e_now_ms() + E2E_WAIT_MS;
    unsigned put = 0;
    while (put < 100) {
        if (e2e_now_ms() > end)
            e2e_fail("a stopped worker was not killed");
        e2e_ask(&s, &r, "POST /news HTTP/1.1\r\nHost: t\r\nContent-Length: %zu\r\n\r\n%s",
                sizeof data - 1, data);
        ck_assert(r.status == 201 || r.status == 503);
        put += r.status == 201;
    }
    settles("sse_worker_restarts_total", 1);
    e2e_kill(&s);
}
END_TEST

static char dir[64], store[96];

/* Starts the server again, with a store and so many workers. */
static void start_stored(const char *workers, const char *ring)
{
    e2e_start(&s, "--store", store, "--workers", workers, "--ring", ring, "--no-sandbox", NULL);
}

/* Topic t<i> has that many messages. */
static void has(unsigned i, unsigned count)
{
    struct e2e_response r;
    char path[64], want[32];
    snprintf(path, sizeof path, "/t%u?since=0&limit=1000", i);
    get(path, &r);
    unsigned n = 0;
    for (char *p = r.body; (p = strstr(p, "\"data\":\"m")) != NULL; p++) {
        snprintf(want, sizeof want, "\"data\":\"m%u\"", n++);
        ck_assert_msg(strncmp(p, want, strlen(want)) == 0, "not %s: %s", want, r.body);
    }
    ck_assert_msg(n == count, "%u messages, not %u: %s", n, count, r.body);
}

/* A store is that of one worker and of many, of rings of all sizes, killed or not. */
START_TEST(stored)
{
    static const char *const run[][2] = {{"1", "1M"}, {"3", "1M"}, {"1", "1M"},
                                         {"2", "1M"}, {"3", "2M"}, {"2", "1M"}};
    unsigned n = 0;
    snprintf(dir, sizeof dir, "/tmp/check_workers.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(store, sizeof store, "%s/store", dir);
    for (unsigned i = 0; i < COUNT(run); i++) {
        start_stored(run[i][0], run[i][1]);
        for (unsigned k = 0; k < 15; k++) {
            char topic[16], data[16];
            has(k % 3, n + k / 3);
            snprintf(topic, sizeof topic, "/t%u", k % 3);
            snprintf(data, sizeof data, "m%u", n + k / 3);
            (void)e2e_publish(&s, topic, data);
        }
        n += 5;
        for (unsigned k = 0; k < 3; k++)
            has(k, n);
        if (i % 2 == 0)
            e2e_stop(&s);
        else
            e2e_kill(&s);
    }
    unlink(store);
    rmdir(dir);
}
END_TEST

/* What one worker knows of keys, ends and purges, all do: each request here may be at another. */
START_TEST(known_to_all)
{
    struct e2e_response r;
    char id[64];
    e2e_start(&s, "--workers", "4", NULL);
    for (unsigned round = 0; round < 12; round++) {
        static const char post[] =
            "POST /t%u?key=k%s HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\n"
            "m";
        e2e_ask(&s, &r, post, round, "");
        ck_assert_int_eq(r.status, 201);
        snprintf(id, sizeof id, "%.60s", r.body);
        *strchrnul(id, ',') = '\0';
        for (unsigned i = 0; i < 4; i++) {
            e2e_ask(&s, &r, post, round, "");
            ck_assert_msg(r.status == 200 && strncmp(r.body, id, strlen(id)) == 0, "%s", r.body);
        }
        e2e_ask(&s, &r, post, round, "e&end");
        ck_assert_int_eq(r.status, 201);
        for (unsigned i = 0; i < 4; i++) {
            e2e_ask(&s, &r, post, round, "2");
            ck_assert_int_eq(r.status, 409);
        }
        e2e_ask(&s, &r, "DELETE /t%u HTTP/1.1\r\nHost: t\r\n\r\n", round);
        ck_assert_msg(r.status == 200 && strstr(r.body, "\"purged\":2") != NULL, "%s", r.body);
        for (unsigned i = 0; i < 4; i++) {
            e2e_ask(&s, &r, "GET /t%u?since=0 HTTP/1.1\r\nHost: t\r\n\r\n", round);
            ck_assert_msg(strstr(r.body, "\"m\"") == NULL, "%s", r.body);
        }
        e2e_ask(&s, &r, post, round, "");
        ck_assert_int_eq(r.status, 201); /* a key that is purged is new */
    }
    e2e_stop(&s);
}
END_TEST

/* A message that is sent to all workers at the same moment, with one key, is published once: all
 * are answered with its id, also if it ends its topic. */
START_TEST(key_at_once)
{
    enum { CLIENTS = 16, ROUNDS = 300 };
    struct e2e_conn *c[CLIENTS];
    struct e2e_response r;
    e2e_start(&s, "--workers", "4", NULL);
    for (unsigned i = 0; i < CLIENTS; i++)
        c[i] = e2e_open(&s);
    for (unsigned round = 0; round < ROUNDS; round++) {
        char text[128], id[64] = "";
        unsigned made = 0;
        snprintf(text, sizeof text,
                 "POST /t%u?key=k%s HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\nm", round,
                 round % 2 != 0 ? "&end" : "");
        for (unsigned i = 0; i < CLIENTS; i++)
            e2e_send(c[i], text);
        for (unsigned i = 0; i < CLIENTS; i++) {
            e2e_response(c[i], &r);
            ck_assert_msg(r.status == 201 || r.status == 200, "round %u: %s", round, r.body);
            made += r.status == 201;
            *strchrnul(r.body, ',') = '\0';
            if (i == 0)
                snprintf(id, sizeof id, "%.60s", r.body);
            ck_assert_str_eq(r.body, id);
        }
        ck_assert_uint_eq(made, 1);
    }
    e2e_stop(&s);
}
END_TEST

/* If the parent dies, the workers end. */
START_TEST(orphans)
{
    pid_t pid[8];
    e2e_start(&s, "--workers", "3", NULL);
    workers_become(pid, 3);
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    e2e_kill(&s);
    e2e_until_end(c);
    int64_t end = e2e_now_ms() + E2E_WAIT_MS;
    for (unsigned i = 0; i < 3; i++)
        while (kill(pid[i], 0) == 0)
            if (e2e_now_ms() > end)
                e2e_fail("worker %u outlived its parent", i);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("workers");
    TCase *tc = tcase_create("workers");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, one_server, 1, 4);
    tcase_add_test(tc, limits_of_the_whole);
    tcase_add_test(tc, addresses_are_counted);
    tcase_add_test(tc, balance);
    tcase_add_test(tc, killed);
    tcase_add_test(tc, stopped);
    tcase_add_test(tc, orphans);
    tcase_add_test(tc, known_to_all);
    tcase_add_test(tc, key_at_once);
    tcase_add_test(tc, stored);
    suite_add_tcase(suite, tc);
    return run(suite);
}
