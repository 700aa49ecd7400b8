/*
 * drain.c - how the server ends, end to end: SIGTERM or SIGINT, and what each of its clients
 * is told before it has gone.
 */
#include "test/kit/life.h"
#include "test/kit/socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>

static struct e2e_server s;
static struct e2e_response r;

#define LONG    "10m" /* to drain: more than any wait of the test */
#define HEALTHY "GET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n"

/* Returns true if the server still listens. */
static bool listens(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s.port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = connect(fd, (struct sockaddr *)&in, sizeof in) == 0;
    ck_assert(yes || errno == ECONNREFUSED || errno == ECONNRESET);
    close(fd);
    return yes;
}

/* Signals it, and waits until it has heard. */
static void end_begins(int sign)
{
    has_read_all(&s);
    kill(s.pid, sign);
    for (int64_t end = e2e_now_ms() + E2E_WAIT_MS; listens(); e2e_sleep_ms(2))
        if (e2e_now_ms() > end)
            e2e_fail("it listens on");
}

/* It must end with status 0, long before the time it has to drain is over, and say nothing. */
static void ended(void)
{
    int status = 0;
    int64_t begin = e2e_now_ms();
    while (waitpid(s.pid, &status, WNOHANG) == 0) {
        if (e2e_now_ms() > begin + E2E_WAIT_MS)
            e2e_fail("it does not end");
        e2e_sleep_ms(2);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || *e2e_stderr(&s) != '\0')
        e2e_fail("it ended with wait status %#x", (unsigned)status);
}

/* The last block of a stream, and its end. */
static void comes_back(struct e2e_conn *c, long retry)
{
    struct e2e_block b;
    e2e_block(c, &b);
    if (b.retry < retry * 3 / 4 || b.retry > retry * 5 / 4 || b.has_data || b.event[0] != '\0')
        e2e_fail("not the last block of a stream: retry %ld, data %s", b.retry, b.data);
    e2e_expect_end(c);
    e2e_close(c);
}

static void answered_last(struct e2e_conn *c, int status)
{
    e2e_response(c, &r);
    if (r.status != status || !e2e_field_has(&r, "Connection", "close"))
        e2e_fail("wanted %d and the end: %s%s", status, r.head, r.body);
    e2e_expect_end(c);
    e2e_close(c);
}

/* ---- what clients are told ------------------------------------------------------------------- */

/* One of each kind. */
START_TEST(each_kind)
{
    static const int signals[] = {SIGTERM, SIGINT};
    e2e_start(&s, "--drain", LONG, "--retry", "10s", NULL);
    struct e2e_conn *sse = e2e_subscribe(&s, "/t", NULL), *set = e2e_subscribe(&s, "/**", NULL),
                    *raw = socket_open(&s, "/t", NULL), *json = socket_open_json(&s, "/t", NULL),
                    *lines = e2e_open(&s), *poll = e2e_open(&s), *tagged = e2e_open(&s),
                    *idle = e2e_open(&s), *fresh = e2e_open(&s), *post = e2e_open(&s),
                    *half = e2e_open(&s);
    const char *id = e2e_publish(&s, "/u", "x");
    e2e_expect_message(set, "u", "x", id);
    e2e_send(lines, "GET /t?wait=1 HTTP/1.1\r\nHost: test\r\nAccept: application/x-ndjson\r\n\r\n");
    e2e_response(lines, &r);
    e2e_consume(lines, (size_t)(e2e_until(lines, "\"}\n") + 3 - lines->buf));
    e2e_send(poll, "GET /t?wait=50 HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_printf(tagged, "GET /t?wait=50 HTTP/1.1\r\nHost: test\r\nIf-None-Match: W/\"%s\"\r\n\r\n",
               id);
    e2e_send(idle, HEALTHY);
    e2e_response(idle, &r);
    e2e_send(post, "POST /t HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nto");
    e2e_send(half, "GET /-/healthy HTT");
    end_begins(signals[_i]);
    comes_back(sse, 10000);
    comes_back(set, 10000);
    socket_expect_close(raw, 1001);
    socket_expect_close(json, 1001);
    e2e_expect_end(lines);
    e2e_close(lines);
    answered_last(poll, 204);
    answered_last(tagged, 304);
    e2e_expect_end(idle);
    e2e_expect_end(fresh);
    e2e_send(post, "the end");
    answered_last(post, 201);
    e2e_send(half, "P/1.1\r\nHost: test\r\n\r\n");
    answered_last(half, 200);
    e2e_close(raw);
    e2e_close(json);
    ended();
}
END_TEST

/* The retry of many differs, so that they do not come back at once. */
START_TEST(jitter)
{
    enum { MANY = 40 };
    struct e2e_conn *c[MANY];
    struct e2e_block b;
    long least = 1000000, most = 0;
    e2e_start(&s, "--drain", LONG, "--retry", "10s", NULL);
    for (int i = 0; i < MANY; i++)
        c[i] = e2e_subscribe(&s, "/t", NULL);
    end_begins(SIGTERM);
    for (int i = 0; i < MANY; i++) {
        e2e_block(c[i], &b);
        least = b.retry < least ? b.retry : least;
        most = b.retry > most ? b.retry : most;
        e2e_close(c[i]);
    }
    ck_assert_int_ge(least, 7500);
    ck_assert_int_lt(least, 9000);
    ck_assert_int_le(most, 12500);
    ck_assert_int_gt(most, 11000);
    ended();
}
END_TEST

/* What was published is delivered first, and what was answered was published. */
START_TEST(published_just_before)
{
    char data[32];
    int answers = 0, messages = 0;
    e2e_start(&s, "--drain", LONG, NULL);
    struct e2e_conn *sub = e2e_subscribe(&s, "/t", NULL), *pub = e2e_open(&s);
    for (int i = 0; i < 200; i++) {
        snprintf(data, sizeof data, "message %d", i);
        e2e_send_publish(pub, "/t", data, strlen(data));
    }
    e2e_need(pub, 1);
    kill(s.pid, SIGTERM);
    e2e_until_end(sub);
    while (e2e_until_or_end(pub, "subscribers\":1}\n") != NULL) {
        e2e_response(pub, &r);
        e2e_expect_status(&r, 201, NULL);
        answers++;
    }
    struct e2e_block b;
    for (e2e_block(sub, &b); b.has_data; e2e_block(sub, &b), messages++) {
        snprintf(data, sizeof data, "message %d", messages);
        ck_assert_str_eq(b.data, data);
    }
    ck_assert_int_ge(b.retry, 1500);
    ck_assert_int_ge(messages, 1);
    ck_assert_int_ge(answers, messages);
    e2e_close(sub);
    e2e_close(pub);
    ended();
}
END_TEST

/* ---- when ------------------------------------------------------------------------------------ */

/* Nobody is there, or there is no time. */
START_TEST(at_once)
{
    e2e_start(&s, "--drain", LONG, NULL);
    kill(s.pid, SIGTERM);
    ended();
    e2e_start(&s, "--drain", "0", NULL);
    struct e2e_conn *sub = e2e_subscribe(&s, "/t", NULL), *ws = socket_open(&s, "/t", NULL),
                    *half = e2e_open(&s);
    e2e_send(half, "POST /t HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nto");
    end_begins(SIGTERM);
    ended();
    comes_back(sub, 2000);
    struct socket_frame f;
    socket_read(ws, &f);
    ck_assert(f.opcode == SOCKET_CLOSE && f.code == 1001);
}
END_TEST

/* A second signal does not wait for anybody. */
START_TEST(second_signal)
{
    static const int signals[][2] = {{SIGTERM, SIGTERM}, {SIGINT, SIGINT}, {SIGTERM, SIGINT}};
    for (size_t i = 0; i < COUNT(signals); i++) {
        e2e_start(&s, "--drain", LONG, NULL);
        struct e2e_conn *half = e2e_open(&s);
        e2e_send(half, "GET / HT");
        end_begins(signals[i][0]);
        e2e_sleep_ms(100);
        ck_assert_int_eq(kill(s.pid, 0), 0);
        kill(s.pid, signals[i][1]);
        ended();
        e2e_close(half);
    }
}
END_TEST

/* The ends of many are spread over the time there is. (How evenly is check_loop_drain's, where time
 * is the test's.) */
START_TEST(spread)
{
    enum { MANY = 100 };
    struct e2e_conn *c[MANY];
    unsigned left = MANY;
    e2e_start(&s, "--drain", "1s", NULL);
    for (int i = 0; i < MANY; i++)
        c[i] = e2e_subscribe(&s, "/t", NULL);
    int64_t begin = e2e_now_ms();
    kill(s.pid, SIGTERM);
    while (left > 0) {
        if (e2e_now_ms() > begin + E2E_WAIT_MS)
            e2e_fail("%u have not been told to go", left);
        for (int i = 0; i < MANY; i++)
            if (c[i] != NULL && e2e_comes(c[i], 0)) {
                comes_back(c[i], 2000);
                c[i] = NULL;
                left--;
            }
        e2e_sleep_ms(5);
    }
    ck_assert_int_ge(e2e_now_ms() - begin, 600);
    ended();
}
END_TEST

/* One who does not read, or says nothing more, does not hold it: a second longer at most. */
START_TEST(held)
{
    static char data[60000];
    e2e_start(&s, "--drain", "1s", "--ring", "16M", NULL);
    struct e2e_conn *slow = e2e_open_narrow(&s, 4096), *mute = socket_open(&s, "/t", NULL),
                    *half = e2e_open(&s);
    e2e_subscribe_on(slow, "/t", NULL);
    memset(data, 'x', sizeof data);
    for (int i = 0; i < 100; i++)
        e2e_publish_as(&s, "/t", NULL, data, sizeof data);
    e2e_send(half, "POST /t HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nto");
    end_begins(SIGTERM);
    ended();
    (void)mute;
}
END_TEST

/* A slow one, which reads, gets its record whole and knows where to go on. */
START_TEST(slow)
{
    static char data[1 << 20];
    e2e_start(&s, "--drain", LONG, "--ring", "32M", NULL);
    struct e2e_conn *sub = e2e_open_narrow(&s, 4096);
    e2e_subscribe_on(sub, "/t", NULL);
    memset(data, 'x', sizeof data);
    const char *id = e2e_publish_as(&s, "/t", NULL, data, sizeof data);
    end_begins(SIGTERM);
    e2e_need(sub, sizeof data);
    e2e_until_end(sub);
    char *end = memmem(sub->buf, sub->n, "\nid: ", 5);
    ck_assert_ptr_nonnull(end);
    ck_assert_uint_eq((size_t)(end - sub->buf), 6 + sizeof data);
    ck_assert_mem_eq(end + 5, id, strlen(id));
    e2e_consume(sub, (size_t)(strstr(end, "\n\n") + 2 - sub->buf));
    comes_back(sub, 2000);
    ended();
}
END_TEST

/* What the log tells. */
START_TEST(log_lines)
{
    e2e_start(&s, "--drain", LONG, "--log", "info", NULL);
    struct e2e_conn *sub = e2e_subscribe(&s, "/t", NULL);
    has_read_all(&s);
    kill(s.pid, SIGTERM);
    e2e_until_end(sub);
    e2e_close(sub);
    ck_assert_ptr_nonnull(
        strstr(e2e_stderr(&s), "level=info msg=stopping reason=SIGTERM connections=1\n"));
    e2e_stop_log(&s, 0, "level=info msg=stopped seconds=");
}
END_TEST

/* A unix socket's name goes at the beginning of the end. */
START_TEST(unix_name)
{
    char bind[64];
    snprintf(bind, sizeof bind, "unix:/tmp/sse-drain-%d", (int)getpid());
    e2e_start(&s, "--drain", LONG, "--bind", bind, NULL);
    struct e2e_conn *half = e2e_open(&s);
    e2e_send(half, "GET /-/healthy HTTP/1.1\r\nHo");
    has_read_all(&s);
    kill(s.pid, SIGTERM);
    for (int64_t end = e2e_now_ms() + E2E_WAIT_MS; access(bind + 5, F_OK) == 0; e2e_sleep_ms(2))
        ck_assert_int_lt(e2e_now_ms(), end);
    e2e_send(half, "st: test\r\n\r\n");
    answered_last(half, 200);
    ended();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("drain");
    TCase *tc = tcase_create("what clients are told");
    tcase_add_loop_test(tc, each_kind, 0, 2);
    tcase_add_test(tc, jitter);
    tcase_add_loop_test(tc, published_just_before, 0, 5);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    tc = tcase_create("when");
    tcase_add_test(tc, at_once);
    tcase_add_test(tc, second_signal);
    tcase_add_test(tc, spread);
    tcase_add_test(tc, held);
    tcase_add_test(tc, slow);
    tcase_add_test(tc, log_lines);
    tcase_add_test(tc, unix_name);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    return run(suite);
}
