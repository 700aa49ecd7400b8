/*
 * upgrade.c - the upgrade in place, end to end: SIGUSR2 to a server whose program has been
 * replaced. Nobody who is connected may notice.
 */
#include "lib/host/handover.h"
#include "lib/json.h"
#include "test/kit/life.h"
#include "test/kit/socket.h"

#include <sys/socket.h>

static struct e2e_server s;
static struct e2e_response r;

#define LINES          "GET %s?wait=1 HTTP/1.1\r\nHost: test\r\nAccept: application/x-ndjson\r\n\r\n"
#define NUMBER(macro)  NUMBER_(macro)
#define NUMBER_(macro) #macro
#define HEALTHY        "GET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n"

/* ---- those who are there --------------------------------------------------------------------- */

/* A poll over c, behind `id`. */
static void poll_wait(struct e2e_conn *c, const char *topic, const char *id)
{
    e2e_printf(c, "GET %s?since=%s&wait=60 HTTP/1.1\r\nHost: test\r\n\r\n", topic, id);
}

static void polled(struct e2e_conn *c, const char *data, const char *id)
{
    char part[128];
    e2e_response(c, &r);
    e2e_expect_status(&r, 200, NULL);
    snprintf(part, sizeof part, "\"data\":\"%s\"", data);
    if (strstr(r.body, part) == NULL || strstr(r.body, id) == NULL)
        e2e_fail("wanted %s, %s: %s", id, data, r.body);
}

/* Reads lines until one that is not empty, which must have these in it. */
static void line_has(struct e2e_conn *c, const char *data, const char *id)
{
    char *end;
    do {
        end = e2e_until(c, "\n");
        *end = '\0';
        if (end != c->buf && (strstr(c->buf, data) == NULL || strstr(c->buf, id) == NULL))
            e2e_fail("wanted %s, %s: %s", id, data, c->buf);
        if (end != c->buf) {
            e2e_consume(c, (size_t)(end - c->buf) + 1);
            return;
        }
        e2e_consume(c, 1);
    } while (true);
}

static struct e2e_conn *lines_open(const char *topic)
{
    struct e2e_conn *c = e2e_open(&s);
    e2e_printf(c, LINES, topic);
    e2e_response(c, &r);
    e2e_expect_status(&r, 200, NULL);
    return c;
}

static unsigned long long id_n(const char *id)
{
    return strtoull(strchr(id, '-') + 1, NULL, 10);
}

/* One of each kind hears of messages before, between and after upgrades, over the same sockets. */
START_TEST(all_ways)
{
    e2e_start(&s, "--drain", "0", NULL);
    struct e2e_conn *sse = e2e_subscribe(&s, "/t", NULL), *many = e2e_subscribe(&s, "/*,u", NULL),
                    *lines = lines_open("/t"), *raw = socket_open(&s, "/t", NULL),
                    *json = socket_open_json(&s, "/t", NULL), *poll = e2e_open(&s);
    char last[64], data[32];
    e2e_consume(lines, (size_t)(e2e_until(lines, "\"}\n") + 3 - lines->buf)); /* a checkpoint */
    snprintf(last, sizeof last, "%s", e2e_publish(&s, "/other", "x"));
    e2e_expect_message(many, "other", "x", last);
    for (int i = 0; i < 4; i++) {
        poll_wait(poll, "/t", last);
        if (i > 0)
            upgrade(&s, i);
        snprintf(data, sizeof data, "message %d", i);
        const char *id = e2e_publish(&s, "/t", data);
        ck_assert_uint_eq(id_n(id), id_n(last) + 1);
        ck_assert_int_eq(strncmp(id, last, strcspn(id, "-") + 1), 0);
        e2e_expect_message(sse, NULL, data, id);
        e2e_expect_message(many, "t", data, id);
        line_has(lines, data, id);
        socket_expect_text(raw, "%s", data);
        ck_assert_ptr_nonnull(strstr(socket_expect_in(json, data), id));
        polled(poll, data, id);
        snprintf(last, sizeof last, "%s", id);
    }
    socket_text(raw, "said by a socket");
    e2e_expect_message(sse, NULL, "said by a socket", NULL);
    socket_expect_text(raw, "said by a socket");
    e2e_stop(&s);
}
END_TEST

/* One who comes back with an id of before the upgrade gets what it has missed. */
START_TEST(resumes)
{
    char fields[128];
    e2e_start(&s, "--drain", "0", NULL);
    snprintf(fields, sizeof fields, "Last-Event-ID: %s\r\n", e2e_publish(&s, "/t", "one"));
    const char *two = e2e_publish(&s, "/t", "two");
    upgrade(&s, 1);
    const char *three = e2e_publish(&s, "/t", "three");
    struct e2e_conn *c = e2e_subscribe(&s, "/t", fields);
    e2e_expect_message(c, NULL, "two", two);
    e2e_expect_message(c, NULL, "three", three);
    e2e_stop(&s);
}
END_TEST

/* ---- those who are in the middle of something ------------------------------------------------ */

/* Requests, cut at many places: the rest comes after the upgrade. */
START_TEST(half_requests)
{
    static const struct {
        int status;
        const char *text;
    } row[] = {
        {200, HEALTHY},
        {201, "POST /t HTTP/1.1\r\nHost: test\r\nContent-Length: 26\r\n\r\n"
              "abcdefghijklmnopqrstuvwxyz"},
        {201, "POST /t HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
              "10;x=y\r\n0123456789abcdef\r\n3\r\nxyz\r\n0\r\nTrailer: x\r\n\r\n"},
        {201, "POST /t HTTP/1.1\r\nHost: test\r\nContent-Length: 71\r\n"
              "Content-Type: application/x-ndjson\r\n\r\n"
              "{\"data\":\"first\"}\n{\"data\":\"second\\u0021\",\"event\":\"e\"}\n"
              "{\"base64\":\"AAEC\"}\n"},
    };
    static struct e2e_conn *conn[COUNT(row)][200];
    e2e_start(&s, "--drain", "0", NULL);
    long long before = metric(&s, "messages_published_total"), want = 0;
    for (size_t i = 0; i < COUNT(row); i++)
        for (size_t cut = i % 3; cut < strlen(row[i].text); cut += 3) {
            conn[i][cut / 3] = e2e_open(&s);
            e2e_send_n(conn[i][cut / 3], row[i].text, cut);
        }
    upgrade(&s, 1);
    for (size_t i = 0; i < COUNT(row); i++)
        for (size_t cut = i % 3; cut < strlen(row[i].text); cut += 3) {
            struct e2e_conn *c = conn[i][cut / 3];
            e2e_send(c, row[i].text + cut);
            e2e_response(c, &r);
            if (r.status != row[i].status)
                e2e_fail("row %zu, cut at %zu: %s%s", i, cut, r.head, r.body);
            want += i == 0 ? 0 : i == 3 ? 3 : 1;
            e2e_close(c);
        }
    ck_assert_int_eq(metric(&s, "messages_published_total") - before, want);
    e2e_stop(&s);
}
END_TEST

/* Frames of a socket, cut likewise; and a message of two fragments with a ping in between. */
START_TEST(half_frames)
{
    static const char data[] = "a message of a socket that is cut";
    char bytes[512];
    size_t n = socket_frame(bytes, SOCKET_TEXT, data, 10, 0x31323334); /* the first fragment, */
    n += socket_frame(bytes + n, SOCKET_FIN | SOCKET_PING, "p", 1, 0x05060708);
    n += socket_frame(bytes + n, SOCKET_FIN | SOCKET_MORE, data + 10, sizeof data - 11, 99);
    char target[32];
    struct e2e_conn *conn[512], *sub;
    e2e_start(&s, "--drain", "0", NULL);
    sub = e2e_subscribe(&s, "/**", NULL);
    for (size_t cut = 0; cut < n; cut++) {
        snprintf(target, sizeof target, "/t%zu", cut);
        conn[cut] = socket_open(&s, target, NULL);
        e2e_send_n(conn[cut], bytes, cut);
    }
    upgrade(&s, 1);
    for (size_t cut = 0; cut < n; cut++) {
        snprintf(target, sizeof target, "/t%zu", cut);
        e2e_send_n(conn[cut], bytes + cut, n - cut);
        socket_expect(conn[cut], SOCKET_PONG, "p", 1);
        socket_expect_text(conn[cut], "%s", data);
        e2e_expect_message(sub, target + 1, data, NULL);
    }
    e2e_stop(&s);
}
END_TEST

#define LARGE (1u << 20)

static const char *large(void)
{
    static char data[LARGE + 1];
    for (size_t i = 0; i < LARGE; i++)
        data[i] = (char)('a' + i % 7 + i / 4096 % 19);
    return data;
}

/* The text must hold all of it. */
static void holds_large(struct e2e_conn *c, const char *after)
{
    char *end = e2e_until(c, after);
    if (memmem(c->buf, (size_t)(end - c->buf), large(), LARGE) == NULL)
        e2e_fail("the large message is not whole");
    e2e_consume(c, (size_t)(end - c->buf) + strlen(after));
}

/* Those who have had a part of a record get the rest of just that record. */
START_TEST(slow_readers)
{
    static struct e2e_conn *c[5];
    char wanted[128];
    e2e_start(&s, "--drain", "0", "--max-message", "1M", "--ring", "32M", "--max-answer", "2M",
              NULL);
    for (unsigned i = 0; i < COUNT(c); i++)
        c[i] = e2e_open_narrow(&s, 4096);
    e2e_subscribe_on(c[0], "/t", NULL);
    socket_shake(c[1], "/t", SOCKET_JSON);
    e2e_printf(c[2], LINES, "/t");
    e2e_response(c[2], &r);
    e2e_consume(c[2], (size_t)(e2e_until(c[2], "\"}\n") + 3 - c[2]->buf)); /* a checkpoint */
    socket_shake(c[3], "/t", NULL);
    e2e_publish_as(&s, "/t", NULL, large(), LARGE);
    e2e_send(c[4], "GET /t?since=-1 HTTP/1.1\r\nHost: test\r\n\r\n");
    upgrade(&s, 1);
    const char *id = e2e_publish(&s, "/t", "next");
    upgrade(&s, 2);
    holds_large(c[0], "\n\n");
    e2e_expect_message(c[0], NULL, "next", id);
    e2e_until(c[1], "\"data\":\"next\"");
    snprintf(wanted, sizeof wanted, "{\"id\":\"%s\"", id);
    holds_large(c[1], wanted);
    holds_large(c[2], "\"}\n");
    line_has(c[2], "next", id);
    struct socket_frame f;
    socket_read(c[3], &f);
    ck_assert(f.opcode == SOCKET_TEXT && f.n == LARGE && memcmp(f.data, large(), LARGE) == 0);
    socket_done(c[3], &f);
    socket_expect_text(c[3], "next");
    e2e_until(c[4], "\r\n\r\n");
    holds_large(c[4], "]}");
    e2e_send(c[4], HEALTHY);
    e2e_until(c[4], "\r\n\r\nok\n");
    e2e_stop(&s);
}
END_TEST

/* Answers that are not read yet, and requests that were not. */
START_TEST(pipelined)
{
    static const char ask[] = "GET /-/metrics HTTP/1.1\r\nHost: test\r\n\r\n";
    e2e_start(&s, "--drain", "0", NULL);
    struct e2e_conn *c = e2e_open_narrow(&s, 4096), *d = e2e_open(&s);
    for (unsigned i = 0; i < 600; i++)
        e2e_send(c, ask);
    e2e_send(d, HEALTHY HEALTHY HEALTHY "GET /-/hea");
    upgrade(&s, 1);
    upgrade(&s, 2);
    e2e_send(d, "lthy HTTP/1.1\r\nHost: test\r\n\r\n");
    for (unsigned i = 0; i < 4; i++) {
        e2e_response(d, &r);
        e2e_expect_status(&r, 200, NULL);
    }
    for (unsigned i = 0; i < 600; i++) {
        e2e_response(c, &r);
        e2e_expect_status(&r, 200, NULL);
    }
    e2e_expect_silence(c, 50);
    e2e_stop(&s);
}
END_TEST

/* Publishers do not stop for it: all is acknowledged once, and comes in order, once. */
START_TEST(flood)
{
    enum { MESSAGES = 4000 };
    static char all[MESSAGES * 80];
    size_t n = 0, acknowledged = 0;
    e2e_start(&s, "--drain", "0", NULL);
    struct e2e_conn *sub = e2e_subscribe(&s, "/t", NULL), *pub = e2e_open(&s);
    for (int i = 0; i < MESSAGES; i++)
        n += (size_t)sprintf(all + n,
                             "POST /t HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\n%04d", i);
    for (size_t at = 0, part = n / 40; at < n; at += part) {
        if (at / part % 10 == 5)
            kill(s.pid, SIGUSR2);
        e2e_send_n(pub, all + at, at + part < n ? part : n - at);
        e2e_comes(pub, 0);
        e2e_sleep_ms(10);
    }
    for (; acknowledged < MESSAGES; acknowledged++) {
        e2e_response(pub, &r);
        e2e_expect_status(&r, 201, NULL);
    }
    for (int i = 0; i < MESSAGES; i++) {
        char data[16];
        snprintf(data, sizeof data, "%04d", i);
        e2e_expect_message(sub, NULL, data, NULL);
    }
    ck_assert_int_eq(metric(&s, "messages_published_total"), MESSAGES);
    metric_becomes(&s, "messages_delivered_total", MESSAGES);
    ck_assert_int_ge(metric(&s, "upgrades_total"), 1);
    ck_assert_int_eq(metric(&s, "upgrades_refused_total"), 0);
    e2e_stop(&s);
}
END_TEST

/* ---- the server itself ----------------------------------------------------------------------- */

/* The process is the same, and has no descriptor more, however often; its counters go on. */
START_TEST(leaves_nothing)
{
    static const char *const counters[] = {
        "connections_accepted_total",     "requests_total",         "messages_published_total",
        "messages_delivered_total",       "sent_bytes_total",       "received_bytes_total",
        "messages_published_bytes_total", "delivery_seconds_count", "turn_seconds_count"};
    long long was[COUNT(counters)];
    e2e_start(&s, "--drain", "0", NULL);
    struct e2e_conn *sub = e2e_subscribe(&s, "/t", NULL);
    for (int i = 0; i < 5; i++)
        e2e_expect_message(sub, NULL, "x", e2e_publish(&s, "/t", "x"));
    has_read_all(&s);
    unsigned at_first = descriptors(&s);
    long long started = metric(&s, "start_time_seconds");
    upgrade(&s, 1);
    descriptors_become(&s, at_first);
    for (int i = 2; i <= 10; i++) {
        for (size_t k = 0; k < COUNT(counters); k++)
            was[k] = metric(&s, counters[k]);
        upgrade(&s, i);
        for (size_t k = 0; k < COUNT(counters); k++)
            if (metric(&s, counters[k]) < was[k])
                e2e_fail("%s has not gone on: %lld, %lld", counters[k], was[k],
                         metric(&s, counters[k]));
        ck_assert_int_eq(metric(&s, "connections"), 2);
    }
    ck_assert_int_eq(metric(&s, "messages_published_total"), 5);
    ck_assert_int_eq(metric(&s, "messages_delivered_total"), 5);
    ck_assert_int_eq(metric(&s, "delivery_seconds_count"), 5);
    ck_assert_int_eq(metric(&s, "start_time_seconds"), started);
    descriptors_become(&s, at_first);
    all_close_on_exec(&s);
    e2e_close(sub);
    descriptors_become(&s, at_first - 1);
    e2e_stop(&s);
}
END_TEST

/* Time goes on: heartbeats, timeouts, polls that have waited. */
START_TEST(clocks)
{
    e2e_start(&s, "--drain", "0", "--heartbeat", "200ms", "--request-timeout", "3s",
              "--idle-timeout", "3s", NULL);
    struct e2e_conn *sub = e2e_subscribe(&s, "/t", NULL), *half = e2e_open(&s),
                    *poll = e2e_open(&s), *body = e2e_open(&s), *idle = e2e_open(&s),
                    *ws = socket_open(&s, "/t", NULL);
    e2e_send(half, "GET /t HTT");
    e2e_send(body, "POST /t HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nx");
    e2e_send(poll, "GET /t?wait=1 HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_send(idle, HEALTHY);
    e2e_response(idle, &r);
    upgrade(&s, 1);
    e2e_consume(sub, sub->n);
    for (int i = 0; i < 5; i++)
        e2e_expect(sub, ":\n");
    e2e_response(half, &r);
    e2e_expect_status(&r, 408, NULL);
    e2e_response(body, &r);
    e2e_expect_status(&r, 408, NULL);
    e2e_response(poll, &r);
    e2e_expect_status(&r, 204, NULL);
    e2e_expect_end(idle);
    struct socket_frame f;
    socket_read(ws, &f);
    ck_assert_uint_eq(f.opcode, SOCKET_PING);
    e2e_stop(&s);
}
END_TEST

/* Listeners of all kinds go on; the socket's file goes with the server. */
START_TEST(listeners)
{
    char bind[128];
    snprintf(bind, sizeof bind, "unix:%s", in_dir("socket"));
    e2e_start(&s, "--drain", "0", "--bind", "127.0.0.1", "--bind", bind, NULL);
    struct e2e_conn *sub = e2e_open_at(&s, 1);
    e2e_subscribe_on(sub, "/t", NULL);
    for (int i = 1; i <= 2; i++) {
        upgrade(&s, i);
        struct e2e_conn *c = e2e_open_at(&s, 1);
        e2e_send_publish(c, "/t", "x", 1);
        e2e_response(c, &r);
        e2e_expect_status(&r, 201, NULL); /* it still counts as one from this host */
        e2e_expect_message(sub, NULL, "x", NULL);
        e2e_expect_message(sub, NULL, "y", (e2e_publish(&s, "/t", "y")));
    }
    ck_assert_int_eq(access(bind + 5, F_OK), 0);
    e2e_stop(&s);
    ck_assert_int_eq(access(bind + 5, F_OK), -1);
}
END_TEST

/* A listener that pauses, as there is no room, goes on when there is. */
START_TEST(paused)
{
    static struct e2e_conn *c[80];
    const char *const flags[] = {"--max-connections", "4", "--drain", "0", NULL};
    e2e_start_with(&s, flags, 96);
    upgrade(&s, 1);
    for (unsigned i = 0; i < COUNT(c); i++)
        c[i] = e2e_open(&s);
    e2e_sleep_ms(50);
    kill(s.pid, SIGUSR2);
    e2e_sleep_ms(1000);
    for (unsigned i = 0; i < COUNT(c); i++)
        e2e_close(c[i]);
    metric_becomes(&s, "upgrades_total", 2);
    e2e_stop(&s);
}
END_TEST

/* Returns true if the server runs the file that is in the program's place. */
static bool runs_program(const struct e2e_server *of)
{
    char path[64];
    struct stat runs, there;
    snprintf(path, sizeof path, "/proc/%d/exe", (int)of->pid);
    return stat(path, &runs) == 0 && stat(program.sse, &there) == 0 &&
           runs.st_ino == there.st_ino && runs.st_dev == there.st_dev;
}

/* How many there are from an address is known after it, too. */
START_TEST(per_address)
{
    struct e2e_conn *c[3];
    e2e_start(&s, "--drain", "0", "--max-per-address", "3", NULL);
    for (int i = 1; i <= 3; i++) {
        for (unsigned k = 0; k < COUNT(c); k++)
            e2e_subscribe_on(c[k] = e2e_open(&s), "/t", NULL);
        program_copy(program.built);
        ck_assert(!runs_program(&s));
        kill(s.pid, SIGUSR2);
        for (int64_t end = e2e_now_ms() + E2E_WAIT_MS; !runs_program(&s); e2e_sleep_ms(20)) {
            ck_assert_int_lt(e2e_now_ms(), end);
            e2e_ask(&s, &r, "GET /t HTTP/1.1\r\nHost: test\r\n\r\n");
            e2e_expect_status(&r, 503, "--max-per-address");
        }
        e2e_ask(&s, &r, "GET /t HTTP/1.1\r\nHost: test\r\n\r\n"); /* the new one answers */
        e2e_expect_status(&r, 503, "--max-per-address");
        for (unsigned k = 0; k < COUNT(c); k++)
            e2e_close(c[k]);
        e2e_close(e2e_room(&s));
        ck_assert_int_eq(metric(&s, "upgrades_total"), i);
    }
    e2e_stop(&s);
}
END_TEST

/* Whom a connection is from is known after it, too: of a proxy, and of those behind it. */
START_TEST(who_asks)
{
    e2e_start(&s, "--drain", "0", "--trust-proxy", "127.0.0.1", NULL);
    struct e2e_conn *proxy = e2e_open(&s), *half = e2e_open(&s),
                    *here = socket_open(&s, "/t", "X-Forwarded-For: 127.0.0.2\r\n"),
                    *there = socket_open(&s, "/t", "X-Forwarded-For: 203.0.113.7\r\n");
    e2e_send(half, "POST /t HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 127.0.0.2\r\n"
                   "Content-Length: 2\r\n\r\nh");
    has_read_all(&s);
    upgrade(&s, 1);
    e2e_send(proxy, "POST /t HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    e2e_response(proxy, &r);
    e2e_expect_status(&r, 403, "through the proxy 127.0.0.1 (--trust-proxy)");
    e2e_send(half, "i");
    e2e_response(half, &r);
    e2e_expect_status(&r, 201, NULL);
    socket_expect_text(here, "hi");
    socket_expect_text(there, "hi");
    socket_text(here, "x");
    socket_expect_text(here, "x");
    socket_expect_text(there, "x");
    socket_text(there, "y");
    socket_expect_close(there, 1008);
    e2e_stop(&s);
}
END_TEST

#define HEADER "PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n"

/* Connections that are inside their PROXY header, at each of its bytes. */
START_TEST(half_headers)
{
    static const char header[] = HEADER;
    struct e2e_conn *c[sizeof header];
    e2e_start(&s, "--drain", "0", "--proxy-protocol", "--max-per-address", "60", NULL);
    for (size_t i = 0; i < COUNT(c); i++)
        e2e_send_n(c[i] = e2e_open(&s), header, i);
    e2e_ask(&s, &r, "%s" HEALTHY, header); /* all that came before is read */
    kill(s.pid, SIGUSR2);
    for (int64_t end = e2e_now_ms() + E2E_WAIT_MS;
         strstr(r.body, "\nsse_upgrades_total 1\n") == NULL;) {
        if (e2e_now_ms() > end)
            e2e_fail("no upgrade: %s", r.body);
        e2e_ask(&s, &r, "%sGET /-/metrics HTTP/1.1\r\nHost: test\r\n\r\n", header);
    }
    for (size_t i = 0; i < COUNT(c); i++) {
        e2e_printf(c[i], "%sPOST /t HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n",
                   header + i);
        e2e_response(c[i], &r);
        e2e_expect_status(&r, 403, "publishing is for clients on this host");
    }
    e2e_stop(&s);
}
END_TEST

/* It is asked twice, thrice: it does it at least once, and goes on. */
START_TEST(asked_often)
{
    e2e_start(&s, "--drain", "0", NULL);
    struct e2e_conn *sub = e2e_subscribe(&s, "/t", NULL);
    for (int i = 0; i < 20; i++) {
        kill(s.pid, SIGUSR2);
        e2e_sleep_ms(i);
    }
    for (int64_t end = e2e_now_ms() + E2E_WAIT_MS; metric(&s, "upgrades_total") == 0;)
        ck_assert_int_lt(e2e_now_ms(), end);
    ck_assert_int_eq(metric(&s, "upgrades_refused_total"), 0);
    e2e_expect_message(sub, NULL, "x", e2e_publish(&s, "/t", "x"));
    e2e_stop(&s);
}
END_TEST

/* It ends as before, also when it is told so amid an upgrade. */
START_TEST(ends)
{
    for (int ms = -1; ms <= 96; ms += ms < 0 ? 1 : 16) {
        e2e_start(&s, "--drain", "5s", NULL);
        struct e2e_conn *sub = e2e_subscribe(&s, "/t", NULL), *ws = socket_open(&s, "/t", NULL);
        if (ms < 0)
            upgrade(&s, 1);
        else
            kill(s.pid, SIGUSR2);
        e2e_sleep_ms(ms > 0 ? ms : 0);
        kill(s.pid, SIGTERM);
        e2e_until_end(sub);
        ck_assert_ptr_nonnull(strstr(sub->buf, "retry: "));
        e2e_close(sub);
        socket_expect_close(ws, 1001);
        e2e_close(ws);
        e2e_stop(&s); /* a second time is no harm, if it is still there */
    }
}
END_TEST

/* What is in a file stays its own, and goes on; it is all there after the end. */
START_TEST(store)
{
    static char out[E2E_OUTPUT], err[E2E_OUTPUT];
    const char *file = in_dir("store");
    const char *const again[] = {"--port", "0", "--store", file, NULL};
    static const char *const modes[] = {"never", "interval", "always"};
    for (size_t i = 0; i < COUNT(modes); i++) {
        char fields[128], data[32];
        unlink(file);
        e2e_start(&s, "--drain", "0", "--store", file, "--fsync", modes[i], NULL);
        struct e2e_conn *sub = e2e_subscribe(&s, "/t", NULL);
        const char *first = e2e_publish(&s, "/t", "first");
        e2e_expect_message(sub, NULL, "first", first);
        for (int k = 1; k <= 3; k++) {
            upgrade(&s, k);
            ck_assert_int_ne(e2e_run(again, out, err), 0);
            ck_assert_ptr_nonnull(strstr(err, file));
            snprintf(data, sizeof data, "message %d", k);
            e2e_expect_message(sub, NULL, data, e2e_publish(&s, "/t", data));
        }
        e2e_stop(&s);
        e2e_close(sub);
        e2e_start(&s, "--drain", "0", "--store", file, NULL);
        snprintf(fields, sizeof fields, "Last-Event-ID: %s\r\n", first);
        sub = e2e_subscribe(&s, "/t", fields);
        for (int k = 1; k <= 3; k++) {
            snprintf(data, sizeof data, "message %d", k);
            e2e_expect_message(sub, NULL, data, NULL);
        }
        e2e_stop(&s);
        e2e_close(sub);
    }
}
END_TEST

/* ---- refused --------------------------------------------------------------------------------- */

enum wrong {
    WRONG_GONE,
    WRONG_MODE,
    WRONG_TEXT,
    WRONG_EMPTY_HANDED, /* says nothing, and fails */
    WRONG_WORDS,
    WRONG_MANY_WORDS,
    WRONG_LAYOUT,
    WRONG_FLAG,
    WRONG_TABLES,
    WRONG_LIMIT,
    WRONG_SELF_REMOVED, /* is fine, and then no more there */
};

static void program_spoil(enum wrong wrong)
{
    char other[1100];
    switch (wrong) {
    case WRONG_GONE:
        ck_assert_int_eq(unlink(program.sse), 0);
        return;
    case WRONG_MODE:
        ck_assert_int_eq(chmod(program.sse, 0644), 0);
        return;
    case WRONG_TEXT:
        program_text(0755, "this is no program\n");
        return;
    case WRONG_EMPTY_HANDED:
        program_copy("/bin/false");
        return;
    case WRONG_WORDS:
        program_text(0755, "#!/bin/sh\necho I am another\n");
        return;
    case WRONG_MANY_WORDS:
        program_text(0755, "#!/bin/sh\ni=0; echo begin\n"
                           "while [ $i -lt 9999 ]; do echo many; i=$((i + 1)); done\n");
        return;
    case WRONG_LAYOUT:
        snprintf(other, sizeof other, "%s-other", program.built);
        program_copy(other);
        return;
    case WRONG_FLAG:
        program_text(0755, "#!/bin/sh\nexec '%s' --no-such-flag \"$@\"\n", in_dir("good"));
        return;
    case WRONG_TABLES:
        program_text(0755, "#!/bin/sh\nexec '%s' --max-topics 77 \"$@\"\n", in_dir("good"));
        return;
    case WRONG_LIMIT:
        program_text(0755, "#!/bin/sh\nulimit -n 100\nexec '%s' \"$@\"\n", in_dir("good"));
        return;
    case WRONG_SELF_REMOVED:
        program_text(0755, "#!/bin/sh\nrm \"$0\"\nexec '%s' \"$@\"\n", in_dir("good"));
        return;
    }
}

static const struct {
    int line;
    enum wrong wrong;
    const char *log[3]; /* what must stand in the log */
    bool script;        /* it needs programs and files which the sandbox refuses */
} refusals[] = {
    {__LINE__, WRONG_GONE, {"No such file"}, false},
    {__LINE__, WRONG_MODE, {"Permission denied"}, false},
    {__LINE__, WRONG_TEXT, {"xec format error"}, false},
    {__LINE__, WRONG_EMPTY_HANDED, {"did not say that it can take over"}, true},
    {__LINE__, WRONG_WORDS, {"I am another"}, true},
    {__LINE__, WRONG_MANY_WORDS, {"begin?many?many"}, true},
    {__LINE__,
     WRONG_LAYOUT,
     {"incompatible", "layout " NUMBER(HANDOVER_VERSION) " ", "layout 99 "},
     false},
    {__LINE__, WRONG_FLAG, {"--no-such-flag"}, true},
    {__LINE__, WRONG_TABLES, {"another size"}, true},
    {__LINE__, WRONG_LIMIT, {""}, true},
    {__LINE__, WRONG_SELF_REMOVED, {"No such file"}, true},
};

/* The old one serves on, says why, has lost nothing, and takes the next that is right. */
START_TEST(refused)
{
    int line = refusals[_i].line;
    e2e_start(&s, "--drain", "0", refusals[_i].script ? "--no-sandbox" : NULL, NULL);
    struct e2e_conn *sub = e2e_subscribe(&s, "/t", NULL), *half = e2e_open(&s);
    e2e_send(half, "GET /-/healthy HT");
    has_read_all(&s);
    unsigned before = descriptors(&s);
    program_copy(program.built);
    ck_assert_int_eq(rename(program.sse, in_dir("good")), 0);
    program_copy(program.built);
    program_spoil(refusals[_i].wrong);
    kill(s.pid, SIGUSR2);
    e2e_expect_message(sub, NULL, "at once", e2e_publish(&s, "/t", "at once"));
    metric_becomes(&s, "upgrades_refused_total", 1);
    ck_assert_int_eq(metric(&s, "upgrades_total"), 0);
    e2e_expect_message(sub, NULL, "x", e2e_publish(&s, "/t", "x"));
    const char *log = e2e_stderr(&s);
    for (unsigned i = 0; i < COUNT(refusals[0].log) && refusals[_i].log[i] != NULL; i++)
        if (strstr(log, refusals[_i].log[i]) == NULL)
            e2e_fail("line %d: wanted in the log: %s", line, refusals[_i].log[i]);
    ck_assert_ptr_nonnull(strstr(log, "level=error msg=\"not upgraded\" reason="));
    ck_assert_ptr_eq(strchr(log, '\n'), log + strlen(log) - 1);
    descriptors_become(&s, before);
    all_close_on_exec(&s);
    program_copy(program.built);
    upgrade(&s, 1);
    e2e_send(half, "TP/1.1\r\nHost: test\r\n\r\n");
    e2e_response(half, &r);
    e2e_expect_status(&r, 200, NULL);
    e2e_expect_message(sub, NULL, "y", e2e_publish(&s, "/t", "y"));
    descriptors_become(&s, before);
    e2e_stop_log(&s, SIGTERM, "not upgraded");
}
END_TEST

/* Returns true if the process that wrote its number to that file lives. */
static bool lives(const char *file)
{
    FILE *f = fopen(file, "re");
    int pid = 0;
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fscanf(f, "%d", &pid), 1);
    fclose(f);
    return kill(pid, 0) == 0;
}

/* One that says nothing and does not end: the server serves meanwhile and ends it in time, or when
 * it ends itself. */
START_TEST(hangs)
{
    char file[64];
    e2e_start(&s, "--drain", "0", "--no-sandbox", NULL);
    struct e2e_conn *sub = e2e_subscribe(&s, "/t", NULL);
    snprintf(file, sizeof file, "%s", in_dir("pid"));
    program_text(0755, "#!/bin/sh\necho $$ >'%s.new'; mv '%s.new' '%s'\nexec sleep 600\n", file,
                 file, file);
    kill(s.pid, SIGUSR2);
    while (access(file, F_OK) == -1)
        e2e_sleep_ms(2);
    e2e_expect_message(sub, NULL, "x", e2e_publish(&s, "/t", "x"));
    kill(s.pid, SIGUSR2); /* one at a time */
    ck_assert(lives(file));
    if (_i == 0) {
        metric_becomes(&s, "upgrades_refused_total", 1);
        ck_assert(!lives(file));
        program_copy(program.built);
        upgrade(&s, 1);
        e2e_expect_message(sub, NULL, "y", e2e_publish(&s, "/t", "y"));
        e2e_stop_log(&s, SIGTERM, "did not say that it can take over in time");
    } else {
        e2e_stop(&s);
        ck_assert(!lives(file));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("upgrade");
    TCase *tc = tcase_create("those who are there");
    tcase_add_checked_fixture(tc, program_make, program_remove);
    tcase_add_test(tc, all_ways);
    tcase_add_test(tc, resumes);
    tcase_add_test(tc, half_requests);
    tcase_add_test(tc, half_frames);
    tcase_add_test(tc, slow_readers);
    tcase_add_test(tc, pipelined);
    tcase_add_test(tc, flood);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    tc = tcase_create("the server itself");
    tcase_add_checked_fixture(tc, program_make, program_remove);
    tcase_add_test(tc, leaves_nothing);
    tcase_add_test(tc, clocks);
    tcase_add_test(tc, listeners);
    tcase_add_test(tc, paused);
    tcase_add_test(tc, per_address);
    tcase_add_test(tc, who_asks);
    tcase_add_test(tc, half_headers);
    tcase_add_test(tc, asked_often);
    tcase_add_test(tc, ends);
    tcase_add_test(tc, store);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    tc = tcase_create("refused");
    tcase_add_checked_fixture(tc, program_make, program_remove);
    tcase_add_loop_test(tc, refused, 0, COUNT(refusals));
    tcase_add_loop_test(tc, hangs, 0, 2);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    return run(suite);
}
