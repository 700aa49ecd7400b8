/*
 * commit.c - what a disk does to others: one that is slow, one that fails, one whose file is cut;
 * and a wall clock that is set. Against a server whose syncs wait, or fail, when the test says so
 * (faults.c).
 */
#include "test/kit/e2e.h"
#include "test/kit/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

static struct e2e_server server;
static char dir[64], store[96], gate[96], broken[96], set[96];
static int64_t *ahead; /* seconds that the wall clock of the server is ahead by */

static void file_make(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ne(fd, -1);
    close(fd);
}

static void enter(void)
{
    strcpy(dir, "/tmp/check_commit.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(store, sizeof store, "%s/store", dir);
    snprintf(gate, sizeof gate, "%s/gate", dir);
    snprintf(broken, sizeof broken, "%s/broken", dir);
    snprintf(set, sizeof set, "%s/set", dir);
    int fd = open(set, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert(fd != -1 && ftruncate(fd, sizeof *ahead) == 0);
    ahead = mmap(NULL, sizeof *ahead, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(ahead, MAP_FAILED);
    close(fd);
    setenv("FAULTS_SYNC_WAITS", gate, 1);
    setenv("FAULTS_SYNC_FAILS", broken, 1);
    setenv("FAULTS_CLOCK", set, 1);
}

static void leave(void)
{
    unlink(store);
    unlink(gate);
    unlink(broken);
    unlink(set);
    munmap(ahead, sizeof *ahead);
    ck_assert_int_eq(rmdir(dir), 0);
}

static void start(const char *mode)
{
    e2e_start(&server, "--store", store, "--fsync", mode, "--ring", "1M", "--no-sandbox", NULL);
}

/* It ends by itself, with this code; what it has said holds `log`. */
static void ends(int code, const char *log)
{
    siginfo_t info;
    ck_assert_int_eq(waitid(P_PID, (id_t)server.pid, &info, WEXITED | WNOWAIT), 0);
    ck_assert_msg(info.si_code == CLD_EXITED && info.si_status == code, "code %d, status %d: %s",
                  info.si_code, info.si_status, e2e_stderr(&server));
    ck_assert_msg(strstr(e2e_stderr(&server), log) != NULL, "%s", e2e_stderr(&server));
    e2e_kill(&server);
}

/* The n of an id. */
static uint64_t number(const char *id)
{
    const char *dash = strchr(id, '-');
    ck_assert_msg(dash != NULL, "%s", id);
    return strtoull(dash + 1, NULL, 10);
}

static void post(struct e2e_conn *c, const char *topic, const char *text)
{
    e2e_send_publish(c, topic, text, strlen(text));
}

static void expect_published(struct e2e_conn *c)
{
    static struct e2e_response r;
    e2e_response(c, &r);
    e2e_expect_status(&r, 201, NULL);
}

/* ---- a slow disk ----------------------------------------------------------------------------- */

/* Others are served while a sync takes its time; nobody hears of what it covers. */
START_TEST(slow_disk)
{
    static struct e2e_response r;
    enter();
    start("always");
    const char *first = e2e_publish(&server, "/a", "first");
    ck_assert_uint_eq(number(first), 1);
    struct e2e_conn *sub = e2e_subscribe(&server, "/a", NULL),
                    *all = e2e_subscribe(&server, "/**", NULL);
    struct e2e_conn *wait = e2e_open(&server), *pub[3];
    e2e_printf(wait,
               "GET /a?wait=20 HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: W/\"%s\"\r\n\r\n",
               first);
    file_make(gate);
    for (unsigned i = 0; i < 3; i++) {
        pub[i] = e2e_open(&server);
        post(pub[i], "/a", "held");
        for (unsigned times = 0; times < 10; times++) {
            e2e_ask(&server, &r, "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n");
            e2e_expect_status(&r, 200, NULL);
            ck_assert(strstr(r.body, "held") == NULL && strstr(r.body, "first") != NULL);
            ck_assert_uint_eq(number(e2e_field(&r, "Last-Event-ID")), 1);
        }
        e2e_ask(&server, &r, "GET /-/topics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        ck_assert_msg(strstr(r.body, "\"messages\":1") != NULL, "%s", r.body);
    }
    e2e_expect_silence(sub, 50);
    ck_assert(!e2e_comes(all, 0) && !e2e_comes(wait, 0));
    for (unsigned i = 0; i < 3; i++)
        ck_assert(!e2e_comes(pub[i], 0));
    unlink(gate);
    for (unsigned i = 0; i < 3; i++)
        expect_published(pub[i]);
    for (unsigned i = 0; i < 3; i++) {
        e2e_expect_message(sub, NULL, "held", NULL);
        e2e_expect_message(all, "a", "held", NULL);
    }
    e2e_response(wait, &r);
    ck_assert(strstr(r.body, "held") != NULL);
    e2e_stop(&server);
    leave();
}
END_TEST

/* Answers come in order, and who has published reads it, also where both were sent at once. */
START_TEST(reads_own)
{
    static struct e2e_response r;
    enter();
    start("always");
    struct e2e_conn *c = e2e_open(&server);
    file_make(gate);
    e2e_printf(c, "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for (unsigned i = 0; i < 5; i++)
        e2e_printf(c, "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n%u", i);
    e2e_printf(c, "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n");
    e2e_response(c, &r);
    e2e_expect_status(&r, 204, NULL); /* what does not wait is not held up */
    ck_assert(!e2e_comes(c, 20));
    unlink(gate);
    for (unsigned i = 0; i < 5; i++)
        expect_published(c);
    e2e_response(c, &r);
    for (unsigned i = 0; i < 5; i++) {
        char data[16];
        snprintf(data, sizeof data, "\"data\":\"%u\"", i);
        ck_assert_msg(strstr(r.body, data) != NULL, "%s", r.body);
    }
    e2e_stop(&server);
    leave();
}
END_TEST

/* What may wait is bounded, and publishers wait for it rather than be refused. */
START_TEST(much)
{
    enum { PUBLISHERS = 8, EACH = 40 };
    static char text[8000];
    struct e2e_conn *pub[PUBLISHERS];
    static struct e2e_response r;
    enter();
    start("always");
    memset(text, 'x', sizeof text - 1);
    file_make(gate);
    for (unsigned i = 0; i < PUBLISHERS; i++) {
        pub[i] = e2e_open(&server);
        for (unsigned n = 0; n < EACH; n++)
            post(pub[i], "/a", text);
    }
    e2e_ask(&server, &r, "GET /b HTTP/1.1\r\nHost: localhost\r\n\r\n");
    e2e_expect_status(&r, 204, NULL);
    unlink(gate);
    for (unsigned i = 0; i < PUBLISHERS; i++)
        for (unsigned n = 0; n < EACH; n++)
            expect_published(pub[i]);
    e2e_stop(&server);
    leave();
}
END_TEST

/* It ends, or becomes the next program, while a sync is under way: all that was published is
 * answered. */
START_TEST(ends_while_it_syncs)
{
    enter();
    start("always");
    struct e2e_conn *pub = e2e_open(&server), *sub = e2e_subscribe(&server, "/a", NULL);
    file_make(gate);
    post(pub, "/a", "one");
    if (_i == 1) { /* the trial has no store, and the exec waits for the sync */
        ck_assert_int_eq(kill(server.pid, SIGUSR2), 0);
        e2e_sleep_ms(300);
        ck_assert(!e2e_comes(pub, 0));
        unlink(gate);
        expect_published(pub);
        e2e_expect_message(sub, NULL, "one", NULL);
        post(pub, "/a", "two");
        expect_published(pub);
        e2e_expect_message(sub, NULL, "two", NULL);
        e2e_stop(&server);
    } else {
        ck_assert_int_eq(kill(server.pid, SIGTERM), 0);
        e2e_sleep_ms(50);
        unlink(gate);
        expect_published(pub);
        ends(0, "");
    }
    start("always");
    ck_assert_uint_eq(number(e2e_publish(&server, "/a", "next")), _i == 1 ? 3 : 2);
    e2e_stop(&server);
    leave();
}
END_TEST

/* ---- a disk that fails ----------------------------------------------------------------------- */

START_TEST(fails_always)
{
    static struct e2e_response r;
    enter();
    start("always");
    char first[64];
    snprintf(first, sizeof first, "%s", e2e_publish(&server, "/a", "durable"));
    struct e2e_conn *sub = e2e_subscribe(&server, "/a", NULL), *pub = e2e_open(&server);
    struct e2e_conn *pipelined = e2e_open(&server);
    file_make(broken);
    file_make(gate);
    post(pub, "/a", "lost");
    post(pipelined, "/a", "lost");
    post(pipelined, "/a", "lost");
    e2e_sleep_ms(20);
    unlink(gate);
    e2e_response(pub, &r);
    e2e_expect_status(&r, 503, "may be lost");
    e2e_response(pipelined, &r);
    e2e_expect_status(&r, 503, "may be lost");
    e2e_expect_end(sub); /* not a byte of it */
    ends(EX_IOERR, "could not be synced");
    unlink(broken);
    start("always"); /* what nobody was told may be there, and ids are others */
    ck_assert_uint_gt(number(e2e_publish(&server, "/a", "next")), UINT64_C(1000000000));
    e2e_ask(&server, &r, "GET /a HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: %s\r\n\r\n", first);
    ck_assert_msg(strstr(r.body, "\"gap\":{") != NULL, "%s", r.body);
    e2e_stop(&server);
    leave();
}
END_TEST

START_TEST(fails_interval)
{
    enter();
    start("interval");
    file_make(broken);
    ck_assert_uint_eq(number(e2e_publish(&server, "/a", "one")), 1);
    ends(EX_IOERR, "could not be synced");
    unlink(broken);
    start("interval");
    ck_assert_uint_gt(number(e2e_publish(&server, "/a", "next")), UINT64_C(1000000000));
    e2e_stop(&server);
    leave();
}
END_TEST

/* The store's file is cut while it is mapped: by who writes to it, or by who sends from it. */
START_TEST(cut)
{
    enter();
    start("interval");
    (void)e2e_publish(&server, "/a", "one");
    ck_assert_int_eq(truncate(store, 64 << 10), 0);
    struct e2e_conn *c = e2e_open(&server);
    if (_i == 0)
        post(c, "/a", "two");
    else
        e2e_printf(c, "GET /a?since=earliest HTTP/1.1\r\nHost: localhost\r\nAccept: "
                      "text/event-stream\r\n\r\n");
    ends(EX_IOERR, store);
    leave();
}
END_TEST

/* ---- the wall clock -------------------------------------------------------------------------- */

static unsigned messages(const char *query)
{
    static struct e2e_response r;
    unsigned n = 0;
    e2e_ask(&server, &r, "GET /a%s HTTP/1.1\r\nHost: localhost\r\n\r\n", query);
    for (const char *p = r.body; (p = strstr(p, "\"data\":")) != NULL; p++)
        n++;
    return n;
}

static void start_aging(const char *age)
{
    e2e_start(&server, "--store", store, "--max-age", age, "--ring", "1M", "--no-sandbox", NULL);
}

/* It was ahead, and is set back: what was put meanwhile is not kept longer, across starts, too. */
START_TEST(clock_was_ahead)
{
    enter();
    *ahead = 100000;
    start_aging("1s");
    (void)e2e_publish(&server, "/a", "one");
    *ahead = 0;
    (void)e2e_publish(&server, "/a", "two");
    ck_assert_uint_le(messages("?since=10m"), 2);
    if (_i == 1) {
        e2e_stop(&server);
        start_aging("1s");
    }
    int64_t until = e2e_now_ms() + E2E_WAIT_MS;
    while (messages("") > 0 && e2e_now_ms() < until)
        e2e_sleep_ms(50);
    ck_assert_uint_eq(messages(""), 0);
    e2e_stop(&server);
    leave();
}
END_TEST

/* It is set ahead: nothing is let go for that. */
START_TEST(clock_set_ahead)
{
    enter();
    start_aging("1h");
    (void)e2e_publish(&server, "/a", "one");
    *ahead = 100000;
    e2e_sleep_ms(1500); /* some sweeps, and the store notes it */
    ck_assert(messages("") == 1 && messages("?since=10m") == 1);
    if (_i == 1) {
        e2e_stop(&server);
        start_aging("1h");
        ck_assert_uint_eq(messages(""), 1);
    }
    *ahead = 0;
    (void)e2e_publish(&server, "/a", "two");
    ck_assert_uint_eq(messages("?since=10m"), 2);
    e2e_stop(&server);
    leave();
}
END_TEST

int main(void)
{
    char bin[256];
    const char *given = getenv("SSE_BIN");
    snprintf(bin, sizeof bin - 16, "%s", given != NULL ? given : "build/gcc-asan/sse");
    char *slash = strrchr(bin, '/');
    strcpy(slash != NULL ? slash + 1 : bin, "sse-faults");
    setenv("SSE_BIN", bin, 1);
    Suite *s = suite_create("commit");
    TCase *c = tcase_create("slow");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, slow_disk);
    tcase_add_test(c, reads_own);
    tcase_add_test(c, much);
    tcase_add_loop_test(c, ends_while_it_syncs, 0, 2);
    suite_add_tcase(s, c);
    c = tcase_create("fails");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, fails_always);
    tcase_add_test(c, fails_interval);
    tcase_add_loop_test(c, cut, 0, 2);
    suite_add_tcase(s, c);
    c = tcase_create("clock");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, clock_was_ahead, 0, 2);
    tcase_add_loop_test(c, clock_set_ahead, 0, 2);
    suite_add_tcase(s, c);
    return run(s);
}
