/*
 * observe.c - what an operator sees of the real binary: /-/metrics as promtool and a reader
 * know it, /-/topics page by page, and the log, in which no token ever stands.
 */
#include "test/kit/e2e.h"
#include "test/kit/kit.h"
#include "test/kit/metric.h"
#include "test/kit/socket.h"
#include "test/kit/spare.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct e2e_server s;
static struct e2e_response r;

static const char *get(const char *target)
{
    e2e_ask(&s, &r, "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", target);
    e2e_expect_status(&r, 200, NULL);
    return r.body;
}

static long long metric(const char *name)
{
    long long value = metric_sum(get("/-/metrics"), name);
    if (value < 0)
        e2e_fail("no %s in %s", name, r.body);
    return value;
}

static void becomes(const char *name, long long value)
{
    for (int64_t end = e2e_now_ms() + E2E_WAIT_MS; metric(name) != value; e2e_sleep_ms(5))
        if (e2e_now_ms() > end)
            e2e_fail("%s is %lld, not %lld", name, metric(name), value);
}

/* ---- metrics --------------------------------------------------------------------------------- */

/* The value of one line, as it is labelled; -1: there is none. */
static double value_of(const char *line)
{
    size_t n = strlen(line);
    const char *at = r.body;
    while ((at = strstr(at, line)) != NULL && (at[-1] != '\n' || at[n] != ' '))
        at++;
    return at != NULL ? strtod(at + n, NULL) : -1;
}

/* Prometheus' own checker has nothing to say, neither of the format nor of names. */
START_TEST(promtool)
{
    char out[4096];
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/t", NULL);
    e2e_expect_message(c, NULL, "x", e2e_publish(&s, "/t", "x"));
    get("/-/metrics");
    FILE *f = fopen("build/observe.metrics", "we");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(r.body, 1, r.size, f), r.size);
    fclose(f);
    f = popen("promtool check metrics <build/observe.metrics 2>&1", "re");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(out, 1, sizeof(out) - 1, f);
    out[n] = '\0';
    ck_assert_msg(pclose(f) == 0 && n == 0, "promtool: %s", out);
    ck_assert_str_eq(e2e_field(&r, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
    e2e_ask(&s, &r, "HEAD /-/metrics HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    e2e_close(c);
    e2e_stop(&s);
}
END_TEST

START_TEST(connections_by_way)
{
    e2e_start(&s, NULL);
    struct e2e_conn *sse = e2e_subscribe(&s, "/a", NULL), *lines = e2e_open(&s);
    struct e2e_conn *ws = socket_open(&s, "/a", NULL), *poll = e2e_open(&s), *idle = e2e_open(&s);
    e2e_send(lines, "GET /a?wait=1 HTTP/1.1\r\nHost: t\r\nAccept: application/x-ndjson\r\n\r\n");
    e2e_send(poll, "GET /b,a?wait=50 HTTP/1.1\r\nHost: t\r\n\r\n");
    e2e_until(lines, "\r\n\r\n");
    becomes("sse_subscriptions", 4);
    becomes("sse_connections", 6); /* one asks this */
    ck_assert_int_eq((int)value_of("sse_connections{way=\"sse\"}"), 1);
    ck_assert_int_eq((int)value_of("sse_connections{way=\"ndjson\"}"), 1);
    ck_assert_int_eq((int)value_of("sse_connections{way=\"websocket\"}"), 1);
    ck_assert_int_eq((int)value_of("sse_connections{way=\"longpoll\"}"), 1);
    ck_assert_int_eq((int)value_of("sse_connections{way=\"http\"}"), 2);
    ck_assert_int_eq((int)value_of("sse_topic_sets"), 1);
    e2e_publish(&s, "/a", "x"); /* the poll is answered */
    e2e_until(poll, "]}\n");
    becomes("sse_subscriptions", 3);
    ck_assert_int_eq((int)value_of("sse_connections{way=\"longpoll\"}"), 0);
    e2e_close(sse);
    e2e_close(lines);
    e2e_close(ws);
    e2e_close(idle);
    becomes("sse_connections", 2);
    ck_assert_int_eq((int)value_of("sse_connections{way=\"http\"}"), 2);
    e2e_stop(&s);
}
END_TEST

/* Each message is timed once, however many it goes to, in a topic and in each set; its time is no
 * longer than that of the whole test. */
START_TEST(deliveries)
{
    enum { MESSAGES = 20 };
    int64_t began = e2e_now_ms();
    e2e_start(&s, NULL);
    struct e2e_conn *c[3] = {e2e_subscribe(&s, "/t", NULL), e2e_subscribe(&s, "/t", NULL),
                             e2e_subscribe(&s, "/u,t", NULL)};
    for (int i = 0; i < MESSAGES; i++) {
        const char *id = e2e_publish(&s, "/t", "x");
        for (size_t k = 0; k < COUNT(c); k++)
            e2e_expect_message(c[k], k == 2 ? "t" : NULL, "x", id);
    }
    e2e_publish(&s, "/nobody", "x");
    becomes("sse_delivery_seconds_count", 2 * MESSAGES);
    ck_assert_int_eq((int)value_of("sse_delivery_seconds_bucket{le=\"+Inf\"}"), 2 * MESSAGES);
    double sum = value_of("sse_delivery_seconds_sum"), all = (double)(e2e_now_ms() - began) / 1e3;
    ck_assert(sum > 0 && sum < 2 * MESSAGES * all);
    ck_assert(value_of("sse_turn_seconds_count") >= MESSAGES);
    ck_assert(value_of("sse_turn_seconds_sum") < all);
    double started = value_of("sse_start_time_seconds"), now = (double)time(NULL);
    ck_assert(started <= now + 1 && started >= now - all - 2);
    for (size_t k = 0; k < COUNT(c); k++)
        e2e_close(c[k]);
    e2e_stop(&s);
}
END_TEST

/* Who does not read is seen to lag, and how far; who reads again does not. */
START_TEST(lag)
{
    static char text[60000];
    memset(text, 'x', sizeof(text) - 1);
    e2e_start(&s, "--heartbeat", "100ms", "--ring", "1M", NULL);
    struct e2e_conn *slow = e2e_open_narrow(&s, 4096), *fast = e2e_subscribe(&s, "/t", NULL);
    e2e_subscribe_on(slow, "/t", NULL);
    becomes("sse_subscribers_lagging", 0);
    ck_assert_int_eq((int)value_of("sse_lag_bytes"), 0);
    for (int i = 0; i < 100 && metric("sse_subscribers_lagging") == 0; i++) {
        const char *id = e2e_publish(&s, "/t", text);
        e2e_consume(fast, (size_t)(e2e_until(fast, id) - fast->buf));
        e2e_consume(fast, strlen(id) + 2);
        e2e_sleep_ms(20);
    }
    ck_assert_int_eq((int)metric("sse_subscribers_lagging"), 1);
    long long bytes = metric("sse_lag_bytes");
    ck_assert(bytes > 0 && bytes <= metric("sse_ring_size_bytes"));
    e2e_close(slow);
    becomes("sse_subscribers_lagging", 0);
    ck_assert_int_eq((int)metric("sse_lag_bytes"), 0);
    e2e_close(fast);
    e2e_stop(&s);
}
END_TEST

/* ---- topics ---------------------------------------------------------------------------------- */

/* The names on a page, with a space behind each, and what it says to go on with. */
static const char *names_on(const char *target, char next[600])
{
    static char names[65536];
    static const char name[] = "{\"name\":\"";
    size_t n = 0;
    const char *at = get(target);
    ck_assert_str_eq(e2e_field(&r, "Content-Type"), "application/json");
    while ((at = strstr(at, name)) != NULL) {
        at += sizeof(name) - 1;
        size_t size = strcspn(at, "\"");
        ck_assert_uint_lt(n + size + 2, sizeof(names));
        n += (size_t)snprintf(names + n, sizeof(names) - n, "%.*s ", (int)size, at);
    }
    names[n] = '\0';
    at = strstr(r.body, "],\"next\":");
    ck_assert_ptr_nonnull(at);
    snprintf(next, 600, "%s", at + 9);
    ck_assert(strcmp(next + strlen(next) - 2, "}\n") == 0);
    next[strlen(next) - 2] = '\0';
    return names;
}

START_TEST(topics_one_by_one)
{
    char next[600], want[512];
    e2e_start(&s, "--cors", "*", NULL);
    ck_assert_str_eq(get("/-/topics"), "{\"topics\":[],\"next\":null}\n");
    struct e2e_conn *c[] = {e2e_subscribe(&s, "/empty", NULL), e2e_subscribe(&s, "/**", NULL)};
    char first[64], last[64];
    snprintf(first, sizeof(first), "%s", e2e_publish(&s, "/b/%22q%22", "x"));
    snprintf(last, sizeof(last), "%s", e2e_publish(&s, "/b/%22q%22", "y"));
    get("/-/ready"); /* which has a topic of its own */
    snprintf(
        want, sizeof(want),
        "{\"topics\":[{\"name\":\"b/\\\"q\\\"\",\"subscribers\":1,\"messages\":2,\"oldest\":\"%s\","
        "\"newest\":\"%s\"},{\"name\":\"empty\",\"subscribers\":2,\"messages\":0,\"oldest\":null,"
        "\"newest\":null}],\"next\":null}\n",
        first, last);
    ck_assert_str_eq(get("/-/topics"), want);
    ck_assert_str_eq(e2e_field(&r, "Access-Control-Allow-Origin"), "*");
    ck_assert_str_eq(e2e_field(&r, "Cache-Control"), "no-store");
    ck_assert_str_eq(names_on("/-/topics?limit=1", next), "b/\\ ");
    ck_assert_str_eq(next, "\"b/\\\"q\\\"\"");
    ck_assert_str_eq(names_on("/-/topics?after=b/%22q%22&limit=1", next), "empty ");
    ck_assert_str_eq(next, "null");
    ck_assert_str_eq(names_on("/-/topics?after=c", next), "empty "); /* there need be none */
    ck_assert_str_eq(names_on("/-/topics?after=-", next), "b/\\ empty ");
    ck_assert_str_eq(names_on("/-/topics?after=empty", next), "");
    struct e2e_conn *head = e2e_open(&s);
    e2e_send(head, "HEAD /-/topics HTTP/1.1\r\nHost: t\r\n\r\n");
    e2e_response_head(head, &r);
    e2e_expect_status(&r, 200, NULL);
    ck_assert_uint_eq(strtoul(e2e_field(&r, "Content-Length"), NULL, 10), strlen(want));
    e2e_send(head, "GET /-/healthy HTTP/1.1\r\nHost: t\r\n\r\n");
    e2e_response(head, &r);
    ck_assert_str_eq(r.body, "ok\n");
    e2e_close(head);
    e2e_close(c[0]);
    e2e_close(c[1]);
    e2e_stop(&s);
}
END_TEST

START_TEST(topics_that_match)
{
    static const struct {
        const char *query, *names;
    } cases[] = {
        {"match=orders/*", "orders/1 orders/2 "},
        {"match=orders/**", "orders/1 orders/1/x orders/2 "},
        {"match=orders/1", "orders/1 "},
        {"match=**", "a orders/1 orders/1/x orders/2 ordersx z "},
        {"match=*", "a ordersx z "},
        {"match=*/1", "orders/1 "},
        {"match=orders/*/x", "orders/1/x "},
        {"match=none/*", ""},
        {"match=zz/*", ""},
        {"match=orders/*&after=orders/1", "orders/2 "},
        {"match=orders/*&after=orders/1/x", "orders/2 "},
        {"match=orders/*&after=a", "orders/1 orders/2 "},
        {"match=orders/*&after=z", ""},
        {"match=orders/*&limit=1", "orders/1 "},
        {"match=", "a orders/1 orders/1/x orders/2 ordersx z "},
        {"limit=2&x=y", "a orders/1 "},
    };
    static const char *const wrong[][2] = {
        {"limit=0", "limit= is a number from 1 to 1000"},
        {"limit=1001", "limit= is a number from 1 to 1000"},
        {"limit=x", "limit= is a number from 1 to 1000"},
        {"limit=111111111111111111111", "limit= is longer than 20 bytes"},
        {"match=a//b", "match= a//b has an empty segment"},
        {"match=%zz", "match= has bad percent-encoding"},
        {"after=%f", "after= has bad percent-encoding"},
    };
    char next[600], target[200];
    e2e_start(&s, NULL);
    for (const char *const *t = (const char *const[]){"/z", "/orders/2", "/a", "/ordersx",
                                                      "/orders/1/x", "/orders/1", NULL};
         *t != NULL; t++)
        e2e_publish(&s, *t, "x");
    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(target, sizeof(target), "/-/topics?%s", cases[i].query);
        const char *got = names_on(target, next);
        ck_assert_msg(strcmp(got, cases[i].names) == 0, "%s: %s", cases[i].query, got);
    }
    for (size_t i = 0; i < COUNT(wrong); i++) {
        e2e_ask(&s, &r, "GET /-/topics?%s HTTP/1.1\r\nHost: t\r\n\r\n", wrong[i][0]);
        e2e_expect_status(&r, 400, wrong[i][1]);
    }
    e2e_ask(&s, &r, "POST /-/topics HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n");
    e2e_expect_status(&r, 405, "this is read with GET");
    e2e_stop(&s);
}
END_TEST

/* Pages hold each topic that was there all the time just once, while others come and go; all of a
 * pipeline of such requests is answered, though not in one turn. */
START_TEST(topics_in_pages)
{
    enum { TOPICS = 900 };
    static char body[65536], target[1200], next[600];
    static bool seen[TOPICS];
    size_t n = 0;
    unsigned pages = 0;
    e2e_start(&s, NULL);
    for (int i = 0; i < TOPICS; i++)
        n += (size_t)snprintf(body + n, sizeof(body) - n, "{\"topic\":\"t/%d\",\"data\":\"x\"}\n",
                              i);
    struct e2e_conn *ws = socket_open_json(&s, "/t/0", NULL);
    for (char *line = strtok(body, "\n"); line != NULL; line = strtok(NULL, "\n"))
        socket_text(ws, "%s", line);
    becomes("sse_messages", TOPICS);
    snprintf(target, sizeof(target), "/-/topics?limit=37");
    for (;; pages++) {
        const char *at = names_on(target, next);
        for (; *at != '\0'; at = strchr(at, ' ') + 1) {
            unsigned long k = strtoul(at + 2, NULL, 10);
            if (strncmp(at, "t/", 2) == 0 && at[2] != 'n') {
                ck_assert_msg(k < TOPICS && !seen[k], "%lu twice", k);
                seen[k] = true;
            }
        }
        if (strcmp(next, "null") == 0)
            break;
        next[strlen(next) - 1] = '\0';
        snprintf(target, sizeof(target), "/-/topics?limit=37&after=%s", next + 1);
        char other[64];
        snprintf(other, sizeof(other), "/t/n%u", pages);
        struct e2e_conn *c = e2e_subscribe(&s, other, NULL); /* one more, for a moment */
        if (pages % 2 == 0)
            e2e_close(c);
    }
    for (size_t i = 0; i < TOPICS; i++)
        ck_assert_msg(seen[i], "%zu was left out", i);
    ck_assert_uint_ge(pages, TOPICS / 37);
    long long turns = metric("sse_turns_total");
    struct e2e_conn *c = e2e_open(&s);
    for (int i = 0; i < 30; i++)
        e2e_send(c, "GET /-/topics?limit=1000 HTTP/1.1\r\nHost: t\r\n\r\n"
                    "GET /-/metrics HTTP/1.1\r\nHost: t\r\n\r\n");
    for (int i = 0; i < 60; i++) {
        e2e_response(c, &r);
        e2e_expect_status(&r, 200, NULL);
        ck_assert_ptr_nonnull(strstr(r.body, i % 2 == 0 ? "t/899" : "sse_topics "));
    }
    e2e_expect_silence(c, 20);
    ck_assert_int_ge(metric("sse_turns_total"), turns + 30);
    e2e_close(c);
    e2e_close(ws);
    e2e_stop(&s);
}
END_TEST

/* ---- the log --------------------------------------------------------------------------------- */

#define TOKEN "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0.sIgNaTuRe"

/* The one line of the log that holds this text. */
static const char *log_line(const char *text)
{
    static char line[4096];
    const char *all = e2e_stderr(&s), *at = strstr(all, text);
    if (at == NULL)
        e2e_fail("nothing of \"%s\" is in the log: %s", text, all);
    while (at > all && at[-1] != '\n')
        at--;
    snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
    return line;
}

/* A socket that the kernel has given up no longer knows its peer; the log does. */
START_TEST(who_timed_out)
{
    static char big[100000];
    e2e_start(&s, "--log", "info", "--access-log", "--write-timeout", "1s", NULL);
    struct e2e_conn *c = e2e_open_narrow(&s, 4096);
    e2e_subscribe_on(c, "/news", NULL);
    memset(big, 'x', sizeof big - 1);
    for (int i = 0; i < 80; i++)
        e2e_publish(&s, "/news", big);
    becomes("sse_subscriptions", 0);
    ck_assert_ptr_nonnull(strstr(log_line("msg=end topic=news"), " peer=127.0.0.1"));
    e2e_stop_log(&s, SIGTERM, "msg=stopped seconds=");
}
END_TEST

static bool write_file(const char *dir, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool wrote = fd != -1 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd != -1)
        close(fd);
    return wrote;
}

/* In a container that allows less than ring and tables may take, the first line says so, and not
 * the kernel when it ends the server. Left out where no control group can be made. */
START_TEST(in_a_small_group)
{
    static const char *const forms[][3] = {
        {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "tasks"},
        {"/sys/fs/cgroup", "memory.max", "cgroup.procs"},
    };
    char dir[128], pid[32];
    size_t form = access("/sys/fs/cgroup/memory/tasks", W_OK) == 0 ? 0 : 1;
    snprintf(dir, sizeof dir, "%s/sse-test-%d", forms[form][0], (int)getpid());
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    if (mkdir(dir, 0755) == -1 || !write_file(dir, forms[form][1], "900000000") ||
        !write_file(dir, forms[form][2], pid)) {
        rmdir(dir);
        printf("in_a_small_group: left out, no control group can be made here\n");
        return;
    }
    e2e_start(&s, "--log", "info", NULL);
    ck_assert_ptr_nonnull(strstr(log_line("msg=started"), ", and the control group leaves "));
    ck_assert_ptr_nonnull(strstr(
        log_line("the control group has less memory than ring and tables may take"), "level=warn"));
    e2e_stop_log(&s, SIGTERM, "msg=stopped seconds=");
    e2e_start(&s, "--log", "info", "--ring", "4M", "--max-memory", "200M", NULL);
    ck_assert_ptr_null(strstr(e2e_stderr(&s), "control group"));
    e2e_stop_log(&s, SIGTERM, "msg=stopped seconds=");
    write_file(forms[form][0], forms[form][2], pid);
    rmdir(dir);
}
END_TEST

START_TEST(one_line_each)
{
    e2e_start(&s, "--log", "info", "--access-log", "--topic", "news", "--topic", "a", NULL);
    const char *line = log_line("msg=started");
    ck_assert_ptr_nonnull(strstr(line, "level=info msg=started version=\"sse "));
    ck_assert_ptr_nonnull(strstr(line, s.address[0]));
    ck_assert_ptr_nonnull(strstr(line, " ring=67108864 store=none room=\""));
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    e2e_expect_message(c, NULL, "hello", e2e_publish(&s, "/news?event=", "hello"));
    line = log_line("msg=request method=GET path=/news status=200 bytes=0 ms=");
    ck_assert_ptr_nonnull(strstr(line, " way=sse peer=127.0.0.1:"));
    line = log_line("msg=request method=POST path=/news status=201 bytes=");
    ck_assert_ptr_nonnull(strstr(line, " way=publish peer=127.0.0.1:"));
    e2e_close(c);
    becomes("sse_subscriptions", 0);
    log_line("msg=end topic=news way=sse reason=\"closed by the peer\" peer=127.0.0.1:");
    c = e2e_open(&s);
    e2e_send(c, "GET /a,news HTTP/1.1\r\nHost: t\r\nAccept: application/json\r\n"
                "Prefer: wait=60\r\n\r\n");
    becomes("sse_connections{way=\"longpoll\"}", 1);
    e2e_publish(&s, "/news", "hello");
    e2e_response(c, &r);
    line = log_line("msg=request method=GET path=/a,news status=200 bytes=");
    ck_assert_ptr_nonnull(strstr(line, " way=longpoll peer=127.0.0.1:"));
    e2e_close(c);
    e2e_ask(&s, &r, "GET /other?x=y HTTP/1.1\r\nHost: t\r\n\r\n");
    log_line("level=info msg=refused method=GET path=/other status=404 detail=\"there is no topic "
             "other: this server has only those that --topic names\" peer=127.0.0.1:");
    e2e_ask(&s, &r, "nonsense\r\n\r\n");
    log_line("msg=refused status=400 detail=\"the request is not well-formed HTTP/1.1 (RFC 9112): "
             "byte 0x0d at 8 cannot stand in the method\" peer=127.0.0.1:");
    e2e_stop_log(&s, SIGTERM, "msg=stopped seconds=");
}
END_TEST

/* A flood of refusals is ten lines a second, and how many there were besides. */
START_TEST(floods)
{
    enum { MANY = 500 };
    e2e_start(&s, "--log", "info", NULL);
    struct e2e_conn *c = e2e_open(&s);
    int64_t began = e2e_now_ms();
    for (int i = 0; i < MANY; i++)
        e2e_send(c, "GET /a//b HTTP/1.1\r\nHost: t\r\n\r\n");
    for (int i = 0; i < MANY; i++)
        e2e_response(c, &r);
    e2e_close(c);
    unsigned lines = 0, more = 0;
    while (lines + more < MANY && e2e_now_ms() < began + E2E_WAIT_MS) { /* with nobody there */
        lines = more = 0;
        for (const char *at = e2e_stderr(&s); (at = strstr(at, "msg=refused ")) != NULL; at++)
            lines++;
        for (const char *at = e2e_stderr(&s);
             (at = strstr(at, "msg=\"refused more\" count=")) != NULL; at++)
            more += (unsigned)strtoul(at + 25, NULL, 10);
        e2e_sleep_ms(20);
    }
    int64_t seconds = (e2e_now_ms() - began) / 1000 + 2;
    ck_assert_uint_eq(lines + more, MANY);
    ck_assert_int_le(lines, 10 * seconds);
    ck_assert_uint_ge(lines, 10);
    e2e_stop_log(&s, SIGTERM, "msg=stopped");
}
END_TEST

/* Whatever is asked in whatever way, no token is ever written: neither of the query nor of a
 * field. */
START_TEST(never_a_token)
{
    static const char *const lines[] = {
        "GET %s HTTP/1.1\r\n",
        "POST %s HTTP/1.1\r\nContent-Length: 1\r\n",
        "PUT %s HTTP/1.1\r\n",
        "HEAD %s HTTP/1.1\r\n",
        "OPTIONS %s HTTP/1.1\r\n",
        "DELETE %s HTTP/1.1\r\n",
        "BREW %s HTTP/1.1\r\n",
        "GET %s HTTP/3.0\r\n",
        "GET %s\r\n",
        "GET %s HTTP/1.1\r\nHost: \xff\r\n",
        "POST %s HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
        "POST %s HTTP/1.1\r\nContent-Type: application/x-ndjson\r\nContent-Length: 1\r\n",
    };
    static const char *const paths[] = {"/news",    "/a//b",    "/-/metrics", "/-/topics",
                                        "/-/ready", "/,",       "/orders/**", "/-/none",
                                        "/",        "/%zz",     "/a/../b",    "http://h/news",
                                        "*",        "/new\x01s"};
    static const char *const queries[] = {"",
                                          "?access_token=" TOKEN,
                                          "?since=-1&access_token=" TOKEN,
                                          "?wait=0&access_token=" TOKEN,
                                          "?last-event-id=x&access_token=" TOKEN,
                                          "?access_token=" TOKEN "&event=%0a",
                                          "?access_token=" TOKEN "&limit=x&conflate=%zz",
                                          "?access_token=" TOKEN "#" TOKEN,
                                          "?access_token=" TOKEN " "};
    static const char *const fields[] = {
        "",
        "Authorization: Bearer " TOKEN "\r\n",
        "Authorization : Bearer " TOKEN "\r\n",
        "Cookie: token=" TOKEN "\r\n",
        "Accept: text/event-stream\r\nAuthorization: Bearer " TOKEN "\r\n",
        "Accept: application/x-ndjson\r\nCookie: a=b; access_token=" TOKEN "\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: json, token." TOKEN
        "\r\n",
        "Accept: image/png\r\nX-Api-Key: " TOKEN "\r\n",
        "Authorization: Bearer " TOKEN "\r\nConnection: close\r\n\x01: " TOKEN "\r\n"};
    uint64_t start = seed(), state = start;
    siginfo_t end;
    e2e_start(&s, "--log", "debug", "--access-log", "--request-timeout", "300ms", "--max-line",
              "512", "--max-head", "1K", NULL);
    for (int i = 0; i < 1500; i++) {
        char target[512];
        struct e2e_conn *c = e2e_open(&s);
        snprintf(target, sizeof(target), "%s%s", paths[random_next(&state) % COUNT(paths)],
                 queries[random_next(&state) % COUNT(queries)]);
        const char *line = lines[random_next(&state) % COUNT(lines)];
        e2e_send_n(c, line, (size_t)(strstr(line, "%s") - line));
        e2e_send(c, target);
        e2e_send(c, strstr(line, "%s") + 2);
        e2e_send(c, random_next(&state) % 8 == 0 ? "" : "Host: t\r\n");
        e2e_send(c, fields[random_next(&state) % COUNT(fields)]);
        if (random_next(&state) % 16 == 0) /* the whole head is too large */
            for (int k = 0; k < 40; k++)
                e2e_send(c, "Authorization: Bearer " TOKEN "\r\n");
        if (random_next(&state) % 32 != 0) /* or is never whole */
            e2e_send(c, "\r\nx");
        e2e_comes(c, random_next(&state) % 8 == 0 ? 20 : 1);
        e2e_close(c);
    }
    get("/-/metrics");
    ck_assert_int_gt(metric_sum(r.body, "sse_requests_refused_total"), 300);
    ck_assert_int_gt(metric_sum(r.body, "sse_connections_accepted_total"), 1500);
    kill(s.pid, SIGTERM);
    ck_assert_int_eq(waitid(P_PID, (id_t)s.pid, &end, WEXITED | WNOWAIT), 0);
    /* the log is longer than what e2e_stderr() shows */
    struct stat st;
    ck_assert_int_eq(fstat(s.err, &st), 0);
    ck_assert_int_gt(st.st_size, 100000);
    const char *log = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, s.err, 0);
    ck_assert(log != MAP_FAILED);
    static const char *const parts[] = {"eyJ",          "c2VjcmV0", "sIgNaTuRe",
                                        "access_token", "Bearer",   "since="};
    for (size_t i = 0; i < COUNT(parts); i++) {
        const char *at = memmem(log, (size_t)st.st_size, parts[i], strlen(parts[i]));
        if (at != NULL)
            ck_abort_msg(SEED_FMT ": %s stands in the log: %.200s", start, parts[i],
                         at > log + 100 ? at - 100 : log);
    }
    ck_assert_ptr_nonnull(memmem(log, (size_t)st.st_size, "msg=refused", 11));
    e2e_stop_log(&s, 0, "");
}
END_TEST

/* Under journald lines begin with their priority and have no time. */
START_TEST(journal)
{
    char line[1024] = "", variable[64];
    const char *bin = getenv("SSE_BIN") != NULL ? getenv("SSE_BIN") : "build/gcc-asan/sse";
    struct stat st;
    int out[2];
    for (int wrong = 0; wrong < 2; wrong++) {
        int err = memfd_create("journal", 0);
        ck_assert(err != -1 && fstat(err, &st) == 0 && pipe(out) == 0);
        snprintf(variable, sizeof(variable), "%llu:%llu", (unsigned long long)st.st_dev,
                 (unsigned long long)st.st_ino + (unsigned)wrong);
        pid_t pid = fork();
        if (pid == 0) {
            dup2(out[1], 1);
            dup2(err, 2);
            setenv("JOURNAL_STREAM", variable, 1);
            execl(bin, bin, "--port", "0", (char *)NULL);
            _exit(127);
        }
        ck_assert_int_gt(read(out[0], line, sizeof(line)), 0); /* it is ready */
        kill(pid, SIGTERM);
        int status;
        ck_assert(waitpid(pid, &status, 0) == pid && status == 0);
        ssize_t n = pread(err, line, sizeof(line) - 1, 0);
        ck_assert_int_gt(n, 0);
        line[n] = '\0';
        const char *begin = wrong ? "time=" : "<";
        ck_assert_msg(strncmp(line, begin, strlen(begin)) == 0, "%s", line);
        ck_assert_ptr_nonnull(
            strstr(line, wrong ? "Z level=info msg=started " : "<6>level=info msg=started "));
        ck_assert_ptr_nonnull(
            strstr(line, wrong ? "Z level=info msg=stopped" : "\n<6>level=info msg=stopped"));
        close(err);
        close(out[0]);
        close(out[1]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("observe");
    TCase *metrics = tcase_create("metrics"), *topics = tcase_create("topics"),
          *logs = tcase_create("log");
    tcase_set_timeout(metrics, 60);
    tcase_set_timeout(topics, 60);
    tcase_set_timeout(logs, 90);
    if (can("command -v promtool", "what Prometheus says: promtool is not installed"))
        tcase_add_test(metrics, promtool);
    tcase_add_test(metrics, connections_by_way);
    tcase_add_test(metrics, deliveries);
    tcase_add_test(metrics, lag);
    suite_add_tcase(suite, metrics);
    tcase_add_test(topics, topics_one_by_one);
    tcase_add_test(topics, topics_that_match);
    tcase_add_test(topics, topics_in_pages);
    suite_add_tcase(suite, topics);
    tcase_add_test(logs, who_timed_out);
    tcase_add_test(logs, in_a_small_group);
    tcase_add_test(logs, one_line_each);
    tcase_add_test(logs, floods);
    tcase_add_test(logs, never_a_token);
    tcase_add_test(logs, journal);
    suite_add_tcase(suite, logs);
    return run(suite);
}
