/*
 * serve.c - end to end: the process: its flags and exit codes, addresses, signals, logs,
 * limits and timeouts.
 */
#include "test/kit/e2e.h"
#include "test/kit/kit.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

static struct e2e_server s;
static struct e2e_response r;
static char out[E2E_OUTPUT], err[E2E_OUTPUT];

#define FLAGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void expect_alive(struct e2e_conn *c)
{
    e2e_send(c, "GET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_response(c, &r);
    e2e_expect_status(&r, 200, NULL);
}

/* ---- flags ---- */

START_TEST(test_help)
{
    ck_assert_int_eq(e2e_run(FLAGS("--help"), out, err), 0);
    ck_assert_str_eq(err, "");
    static const char *const flags[] = {"--port",      "--bind", "--topic",   "--ring",
                                        "--heartbeat", "--cors", "--version", "--help"};
    for (size_t i = 0; i < COUNT(flags); i++)
        ck_assert_msg(strstr(out, flags[i]) != NULL, "%s", flags[i]);
    int lines = 0;
    for (const char *p = out; *p != '\0'; p += strcspn(p, "\n") + 1, lines++)
        ck_assert_msg(strcspn(p, "\n") <= 80, "too wide for a screen: %.100s", p);
    ck_assert_int_le(lines, 66); /* two screens of a usual terminal */
    ck_assert_int_eq(e2e_run(FLAGS("-h"), out, err), 0);
    static char same[E2E_OUTPUT];
    snprintf(same, sizeof same, "%s", out);
    ck_assert_int_eq(e2e_run(FLAGS("help"), out, err), 0);
    ck_assert_str_eq(out, same);
    static const char *const commands[] = {"sub", "pub", "token", "health"};
    for (size_t i = 0; i < COUNT(commands); i++) {
        ck_assert_int_eq(e2e_run(FLAGS(commands[i], "--help"), same, err), 0);
        ck_assert_int_eq(e2e_run(FLAGS("help", commands[i]), out, err), 0);
        ck_assert_str_eq(out, same);
        ck_assert_str_eq(err, "");
    }
}
END_TEST

START_TEST(test_version)
{
    ck_assert_int_eq(e2e_run(FLAGS("--version"), out, err), 0);
    ck_assert_msg(strncmp(out, "sse ", 4) == 0 && strlen(out) > 5, "%s", out);
    ck_assert_ptr_eq(strchr(out, '\n') + 1, out + strlen(out));
    ck_assert_str_eq(err, "");
    static const char *const others[] = {"-V", "-v", "version"};
    static char same[E2E_OUTPUT];
    snprintf(same, sizeof same, "%s", out);
    for (size_t i = 0; i < COUNT(others); i++) {
        ck_assert_int_eq(e2e_run(FLAGS(others[i]), out, err), 0);
        ck_assert_str_eq(out, same);
    }
}
END_TEST

static const struct {
    int line;
    const char *flag, *value; /* value NULL: none */
    const char *says;         /* besides the flag */
} wrong_flags[] = {
    {__LINE__, "--nonsense", NULL, "--help"},
    {__LINE__, "-x", NULL, "--help"},
    {__LINE__, "word", NULL, "--help"},
    {__LINE__, "--port", NULL, NULL},
    {__LINE__, "--port", "65536", "65536"},
    {__LINE__, "--port", "-1", "-1"},
    {__LINE__, "--port", "http", "http"},
    {__LINE__, "--ring", "10", "10"},
    {__LINE__, "--ring", "64X", "64X"},
    {__LINE__, "--ring", "99999999T", "99999999T"},
    {__LINE__, "--max-message", "1G", NULL},
    {__LINE__, "--heartbeat", "soon", "soon"},
    {__LINE__, "--heartbeat", "-1s", "-1s"},
    {__LINE__, "--log", "loud", "loud"},
    {__LINE__, "--topic", "a//b", "a//b"},
    {__LINE__, "--topic", "a*", "a*"},
    {__LINE__, "--bind", "localhost:80", "localhost:80"},
    {__LINE__, "--bind", "1.2.3", "1.2.3"},
    {__LINE__, "--bind", "localhost", "localhost: must be an IPv4 or IPv6 address: 127.0.0.1"},
    {__LINE__, "serve", NULL, "the server starts without a word"},
    {__LINE__, "publish", NULL, "did you mean sse pub?"},
    {__LINE__, "version", "1", "unexpected argument 1"},
    {__LINE__, "help", "publish", "there is no command publish"},
    {__LINE__, "--bind", "unix:", NULL},
    {__LINE__, "--anonymous", "everything", "everything"},
    {__LINE__, "--max-connections", "many", "many"},
};

START_TEST(test_wrong_flags)
{
    for (size_t i = 0; i < COUNT(wrong_flags); i++) {
        int code = e2e_run(FLAGS(wrong_flags[i].flag, wrong_flags[i].value), out, err);
        ck_assert_msg(code == EX_USAGE, "line %d: %d %s", wrong_flags[i].line, code, err);
        ck_assert_str_eq(out, "");
        ck_assert_msg(strncmp(err, "sse: ", 5) == 0, "line %d: %s", wrong_flags[i].line, err);
        ck_assert_msg(strstr(err, wrong_flags[i].flag) != NULL, "line %d: %s", wrong_flags[i].line,
                      err);
        if (wrong_flags[i].says != NULL)
            ck_assert_msg(strstr(err, wrong_flags[i].says) != NULL, "line %d: %s",
                          wrong_flags[i].line, err);
        ck_assert_msg(strchr(err, '\n') == err + strlen(err) - 1, "line %d: not one line: %s",
                      wrong_flags[i].line, err);
    }
}
END_TEST

/* ---- addresses ---- */

START_TEST(test_address_printed)
{
    e2e_start(&s, NULL);
    ck_assert_msg(strncmp(s.address[0], "http://127.0.0.1:", 17) == 0, "%s", s.address[0]);
    ck_assert_int_gt(s.port, 0);
    e2e_publish(&s, "/news", "x");
    e2e_stop(&s);
}
END_TEST

START_TEST(test_port_in_use)
{
    char port[16];
    e2e_start(&s, NULL);
    snprintf(port, sizeof(port), "%d", s.port);
    ck_assert_int_eq(e2e_run(FLAGS("--port", port), out, err), EX_UNAVAILABLE);
    ck_assert_str_eq(out, "");
    ck_assert_msg(strstr(err, "127.0.0.1") != NULL && strstr(err, port) != NULL, "%s", err);
    ck_assert_msg(strstr(err, "in use (--port N takes another port, --port 0 a free one)") != NULL,
                  "%s", err);
    e2e_stop(&s);
}
END_TEST

/* An address that is right but not this host's. */
START_TEST(test_address_of_another_host)
{
    int code = e2e_run(FLAGS("--bind", "192.0.2.1", "--port", "0"), out, err);
    ck_assert_msg(code == EX_UNAVAILABLE && strstr(err, "192.0.2.1") != NULL, "%d: %s", code, err);
}
END_TEST

START_TEST(test_restart_on_the_same_port)
{
    char port[16];
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    snprintf(port, sizeof(port), "%d", s.port);
    e2e_stop(&s);
    e2e_until_end(c);
    e2e_start(&s, "--port", port, NULL);
    e2e_publish(&s, "/news", "x");
    e2e_stop(&s);
}
END_TEST

START_TEST(test_ipv6)
{
    e2e_start(&s, "--bind", "::1", "-b", "127.0.0.1", "--bind", "[::1]", NULL);
    ck_assert_msg(strncmp(s.address[0], "http://[::1]:", 13) == 0, "%s", s.address[0]);
    struct e2e_conn *c = e2e_open_at(&s, 1);
    e2e_subscribe_on(c, "/news", NULL);
    e2e_publish(&s, "/news", "x"); /* the peer ::1 is of this host */
    e2e_expect_message(c, NULL, "x", NULL);
    expect_alive(e2e_open_at(&s, 2));
    e2e_stop(&s);
}
END_TEST

START_TEST(test_unix_socket)
{
    char dir[] = "/tmp/sse-test-XXXXXX", path[64], bind[80];
    struct stat st;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/socket", dir);
    snprintf(bind, sizeof(bind), "unix:%s", path);
    e2e_start(&s, "--bind", bind, NULL);
    ck_assert_str_eq(s.address[0], bind);
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    e2e_publish(&s, "/news", "x");
    e2e_expect_message(c, NULL, "x", NULL);
    /* it is taken as long as its server is there, and only then */
    int code = e2e_run(FLAGS("--bind", bind), out, err);
    ck_assert_msg(code == EX_UNAVAILABLE && strstr(err, path) != NULL, "%d: %s", code, err);
    ck_assert_int_eq(lstat(path, &st), 0);
    kill(s.pid, SIGKILL);
    e2e_until_end(c);
    struct e2e_server next;
    e2e_start(&next, "--bind", bind, NULL);
    e2e_publish(&next, "/news", "x");
    e2e_stop(&next);
    ck_assert_msg(lstat(path, &st) == -1, "the socket is left behind");
    /* a file that is no socket is not removed */
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fclose(f);
    ck_assert_int_eq(e2e_run(FLAGS("--bind", bind), out, err), EX_UNAVAILABLE);
    ck_assert_int_eq(lstat(path, &st), 0);
    unlink(path);
    rmdir(dir);
}
END_TEST

/* An address of this host that is not a loopback one. */
static bool other_address(char *host, size_t cap)
{
    struct ifaddrs *list = NULL;
    bool found = false;
    ck_assert_int_eq(getifaddrs(&list), 0);
    for (struct ifaddrs *i = list; i != NULL && !found; i = i->ifa_next) {
        if (i->ifa_addr == NULL || strcmp(i->ifa_name, "lo") == 0)
            continue;
        socklen_t len = i->ifa_addr->sa_family == AF_INET    ? sizeof(struct sockaddr_in)
                        : i->ifa_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                             : 0;
        found = len > 0 &&
                getnameinfo(i->ifa_addr, len, host, (socklen_t)cap, NULL, 0, NI_NUMERICHOST) == 0 &&
                strchr(host, '%') == NULL;
    }
    freeifaddrs(list);
    return found;
}

/* Without a key, publishing is for clients on this host; an address of the host itself that is not
 * loopback may be anybody's. */
START_TEST(test_publishing_is_for_this_host)
{
    char host[128];
    if (!other_address(host, sizeof(host))) {
        fprintf(stderr, "not tested: this host has no address but loopback, so who may publish\n");
        return;
    }
    e2e_start(&s, "--bind", host, "--log", "error", NULL); /* it warns that all may subscribe */
    e2e_ask(&s, &r, "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx");
    e2e_expect_status(&r, 403, "--anonymous publish");
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    e2e_expect_silence(c, 20);
    e2e_stop(&s);
    e2e_start(&s, "--bind", host, "--anonymous", "publish", "--log", "error", NULL);
    e2e_publish(&s, "/news", "x");
    e2e_stop(&s);
}
END_TEST

/* ---- signals and logs ---- */

/* With subscribers, a request half sent, and a batch under way. */
static void busy_stop(int sign)
{
    e2e_start(&s, "--drain", "500ms", NULL);
    struct e2e_conn *c[20];
    for (size_t i = 0; i < COUNT(c); i++)
        c[i] = e2e_subscribe(&s, i % 2 ? "/news" : "/*", NULL);
    struct e2e_conn *half = e2e_open(&s), *feed = e2e_open(&s);
    e2e_send(half, "GET /ne");
    e2e_send(feed, "POST /news HTTP/1.1\r\nHost: test\r\nContent-Type: text/event-stream\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n5\r\ndata:\r\n");
    e2e_publish(&s, "/news", "x");
    for (size_t i = 0; i < COUNT(c); i++)
        e2e_expect_message(c[i], i % 2 ? NULL : "news", "x", NULL);
    e2e_stop_log(&s, sign, "");
    for (size_t i = 0; i < COUNT(c); i++) {
        struct e2e_block b; /* --retry is 2 s, give or take a quarter */
        e2e_block(c[i], &b);
        ck_assert(b.retry >= 1500 && b.retry <= 2500 && !b.has_id && !b.has_data);
        e2e_expect_end(c[i]);
    }
}

START_TEST(test_sigterm)
{
    busy_stop(SIGTERM);
}
END_TEST

START_TEST(test_sigint)
{
    busy_stop(SIGINT);
}
END_TEST

/* A closed terminal, or one who thinks that there is a file to be read again, ends nothing. */
START_TEST(test_sighup)
{
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    kill(s.pid, SIGHUP);
    e2e_sleep_ms(100);
    e2e_publish(&s, "/news", "x");
    e2e_expect_message(c, NULL, "x", NULL);
    e2e_stop(&s);
}
END_TEST

START_TEST(test_log)
{
    e2e_start(&s, "--log", "info", NULL);
    e2e_publish(&s, "/news", "x");
    const char *log = e2e_stderr(&s);
    ck_assert_msg(strncmp(log, "time=", 5) == 0, "%s", log);
    ck_assert_msg(strstr(log, " level=info ") != NULL, "%s", log);
    ck_assert_msg(strstr(log, s.address[0]) != NULL, "%s", log);
    ck_assert_msg(strstr(log, "/news") == NULL, "%s", log); /* no line a request */
    e2e_stop_log(&s, SIGTERM, "msg=stop");
}
END_TEST

/* A line a request, in which no client can write lines of its own. */
START_TEST(test_access_log)
{
    e2e_start(&s, "--access-log", NULL);
    e2e_publish(&s, "/news", "x");
    e2e_ask(&s, &r, "GET /a%%0Ab%%22%%1b HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_subscribe(&s, "/quiet", NULL);
    const char *log = e2e_stderr(&s);
    int lines = 0;
    for (const char *p = log; *p != '\0'; p += strcspn(p, "\n") + 1, lines++)
        ck_assert_msg(strncmp(p, "time=", 5) == 0, "%s", p);
    ck_assert_int_eq(lines, 3);
    ck_assert_msg(strstr(log, "method=POST path=/news status=201") != NULL, "%s", log);
    ck_assert_msg(strstr(log, "path=/quiet status=200") != NULL, "%s", log);
    ck_assert_ptr_null(strchr(log, '\x1b'));
    e2e_stop_log(&s, SIGTERM, "path=/news");
}
END_TEST

/* Starts the harness's server with its stderr at a pipe, by a script that the harness takes for the
 * binary; returns the pipe, which is at `path`. */
static int start_with_log_pipe(const char *dir, const char *path)
{
    char script[64], bin[256], proc[64];
    snprintf(script, sizeof(script), "%s/sse", dir);
    e2e_start(&s, NULL); /* to learn what the binary is */
    snprintf(proc, sizeof(proc), "/proc/%d/exe", (int)s.pid);
    ssize_t n = readlink(proc, bin, sizeof(bin) - 1);
    ck_assert_int_gt(n, 0);
    bin[n] = '\0';
    e2e_stop(&s);
    FILE *f = fopen(script, "we");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "#!/bin/sh\nexec '%s' \"$@\" 2>'%s'\n", bin, path);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(chmod(script, 0700), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    int log = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    ck_assert_int_ne(log, -1);
    setenv("SSE_BIN", script, 1);
    e2e_start(&s, "--access-log", NULL);
    unlink(script);
    unlink(path);
    return log;
}

/* Empties the pipe; returns how many lines were in it, each of which must be whole. */
static int take_log(int fd)
{
    static char text[1 << 20];
    size_t n = 0;
    int lines = 0;
    for (ssize_t got; (got = read(fd, text + n, sizeof(text) - 1 - n)) > 0;)
        n += (size_t)got;
    text[n] = '\0';
    for (char *p = text, *end; *p != '\0'; p = end + 1, lines++) {
        end = strchr(p, '\n');
        ck_assert_msg(end != NULL && strncmp(p, "time=", 5) == 0 &&
                          memmem(p, (size_t)(end - p), "status=200", 10) != NULL,
                      "line %d is not whole: %.300s", lines, p);
    }
    return lines;
}

/* Whoever should read the log and doesn't holds up nobody: lines are lost, and counted. */
START_TEST(test_log_that_nobody_reads)
{
    enum { MANY = 4000, AT_ONCE = 100 };
    static const char ask[] = "GET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n";
    char dir[] = "/tmp/sse-test-XXXXXX", path[64];
    unsigned dropped = 0;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/log", dir);
    int log = start_with_log_pipe(dir, path);
    rmdir(dir);
    struct e2e_conn *c = e2e_open(&s);
    for (int i = 0; i < MANY; i += AT_ONCE) {
        for (int j = 0; j < AT_ONCE; j++)
            e2e_send_n(c, ask, sizeof(ask) - 1);
        for (int j = 0; j < AT_ONCE; j++) {
            e2e_response(c, &r);
            e2e_expect_status(&r, 200, NULL);
        }
    }
    e2e_send(c, "GET /-/metrics HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_response(c, &r);
    const char *at = strstr(r.body, "\nsse_log_lines_dropped_total ");
    ck_assert_msg(at != NULL && sscanf(at, "%*s %u", &dropped) == 1, "%s", r.body);
    int lines = take_log(log);
    ck_assert_msg(lines > 100 && dropped > 100 && lines + (int)dropped == MANY,
                  "%d requests, %d lines, %u dropped", MANY, lines, dropped);
    expect_alive(c); /* and now there is room again */
    ck_assert_int_eq(take_log(log), 1);
    close(log);
    e2e_stop(&s);
}
END_TEST

/* ---- limits ---- */

START_TEST(test_max_connections)
{
    struct e2e_conn *c[3];
    struct e2e_block b;
    e2e_start(&s, "--max-connections", "3", NULL);
    for (size_t i = 0; i < COUNT(c); i++)
        c[i] = e2e_subscribe(&s, "/news", NULL);
    for (int i = 0; i < 5; i++) {
        /* EventSource gives up for good on any status but 200 and 204 */
        struct e2e_conn *shed = e2e_open(&s);
        e2e_send(shed, "GET /news HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n");
        e2e_response(shed, &r);
        e2e_expect_status(&r, 200, NULL);
        e2e_block(shed, &b);
        ck_assert(b.retry > 0 && !b.has_data);
        e2e_expect_end(shed);
        e2e_close(shed);
        shed = e2e_open(&s);
        e2e_send(shed, "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx");
        e2e_response(shed, &r);
        e2e_expect_status(&r, 503, "--max-connections");
        ck_assert_ptr_nonnull(e2e_field(&r, "Retry-After"));
        e2e_expect_end(shed);
        e2e_close(shed);
        /* it is full, and not dead: who looks after it is answered */
        static const char *const vital[] = {"/-/healthy", "/-/metrics", "/-/ready"};
        for (size_t k = 0; k < COUNT(vital); k++) {
            shed = e2e_open(&s);
            e2e_printf(shed, "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", vital[k]);
            e2e_response(shed, &r);
            e2e_expect_status(&r, 200, NULL);
            e2e_expect_end(shed);
            e2e_close(shed);
        }
    }
    e2e_close(c[0]);
    c[0] = e2e_room(&s);
    e2e_send_publish(c[0], "/news", "there is room again", 19);
    e2e_response(c[0], &r);
    e2e_expect_status(&r, 201, NULL);
    e2e_expect_message(c[1], NULL, "there is room again", NULL);
    e2e_stop(&s);
}
END_TEST

/* More clients at once than there are descriptors: each gets an answer, is served, or is told to
 * come back; those that have a place notice nothing. */
START_TEST(test_out_of_descriptors)
{
    enum { MANY = 400 };
    static struct e2e_conn *c[MANY];
    e2e_start_with(&s, FLAGS("--request-timeout", "2s"), 160);
    struct e2e_conn *first = e2e_subscribe(&s, "/news", NULL), *p = e2e_open(&s);
    expect_alive(p);
    for (int i = 0; i < MANY; i++)
        c[i] = e2e_open(&s); /* and says nothing */
    for (int round = 0; round < 3; round++) {
        e2e_send_publish(p, "/news", "x", 1);
        e2e_response(p, &r);
        e2e_expect_status(&r, 201, NULL);
        e2e_expect_message(first, NULL, "x", NULL);
    }
    for (int i = 0; i < MANY; i++)
        e2e_close(c[i]);
    e2e_room(&s);
    e2e_publish(&s, "/news", "room again");
    e2e_expect_message(first, NULL, "room again", NULL);
    e2e_stop(&s);
}
END_TEST

/* Many at once, each asking: nobody may be left without an answer. */
START_TEST(test_crowd_over_the_limit)
{
    enum { MANY = 120 };
    static struct e2e_conn *c[MANY];
    int served = 0, shed = 0;
    e2e_start(&s, "--max-connections", "20", NULL);
    struct e2e_conn *p = e2e_open(&s);
    e2e_send_publish(p, "/news", "x", 1);
    e2e_response(p, &r);
    for (int i = 0; i < MANY; i++) {
        c[i] = e2e_open(&s);
        e2e_send(c[i], "GET /news HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n");
    }
    for (int i = 0; i < MANY; i++) {
        struct e2e_block b;
        e2e_response(c[i], &r);
        ck_assert_msg(r.status == 200, "client %d: %s", i, r.head);
        e2e_block(c[i], &b);
        ck_assert_int_gt(b.retry, 0);
        ck_assert(b.has_id); /* who is shed misses nothing that is published until it is let in */
    }
    e2e_send_publish(p, "/news", "hello", 5);
    e2e_response(p, &r);
    e2e_expect_status(&r, 201, NULL);
    for (int i = 0; i < MANY; i++) {
        bool got = e2e_until_or_end(c[i], "data: hello\n") != NULL;
        served += got;
        shed += !got;
    }
    ck_assert_msg(served >= 19 && shed >= 1 && served + shed == MANY, "%d served, %d shed", served,
                  shed);
    e2e_stop(&s);
}
END_TEST

/* The status of the answer; 0 if the connection ended, in whatever way, without one. */
static int status_or_none(const struct e2e_conn *c)
{
    char head[32] = "";
    size_t n = 0;
    struct pollfd p = {c->fd, POLLIN, 0};
    while (n < 12 && poll(&p, 1, E2E_WAIT_MS) == 1) {
        ssize_t got = recv(c->fd, head + n, 12 - n, 0);
        if (got <= 0)
            return 0;
        n += (size_t)got;
    }
    ck_assert_msg(n == 12, "neither an answer nor the end in time");
    return atoi(head + 9);
}

/* A flood whose requests come some time after the connections, as they do over a network: whoever
 * is not served is shed with 200, or cut, which EventSource takes for a reason to come back; any
 * other status would be the end for it. */
START_TEST(test_flood_that_asks_late)
{
    enum { MANY = 700 };
    static struct e2e_conn *c[MANY];
    static const char ask[] =
        "GET /news HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n";
    e2e_start(&s, "--max-connections", "20", NULL);
    for (int i = 0; i < MANY; i++)
        c[i] = e2e_open(&s);
    e2e_sleep_ms(100);
    int answered = 0;
    for (int i = 0; i < MANY; i++) {
        e2e_send_some(c[i], ask, sizeof(ask) - 1, 0);
        int status = status_or_none(c[i]);
        ck_assert_msg(status == 200 || status == 0, "client %d: %d", i, status);
        answered += status == 200;
    }
    ck_assert_int_ge(answered, 20);
    for (int i = 0; i < MANY; i++)
        e2e_close(c[i]);
    e2e_room(&s);
    e2e_publish(&s, "/news", "x");
    e2e_stop(&s);
}
END_TEST

/* Clients that were turned away take no place, though they keep their side open: who comes when one
 * with a place has left is let in. */
START_TEST(test_place_is_free_at_once)
{
    static const char *const asks[] = {
        "GET /news HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n",
        "GET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n",
        "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nx",
    };
    struct e2e_conn *shed[9];
    e2e_start(&s, "--max-connections", "2", NULL);
    struct e2e_conn *leaves = e2e_subscribe(&s, "/news", NULL), *stays = e2e_open(&s);
    expect_alive(stays);
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < COUNT(shed); i++) {
            shed[i] = e2e_open(&s);
            e2e_send(shed[i], asks[i % COUNT(asks)]);
            e2e_until_end(shed[i]);
        }
        e2e_close(leaves);
        expect_alive(stays); /* by then the server knows */
        leaves = e2e_subscribe(&s, "/news", NULL);
        e2e_send_publish(stays, "/news", "x", 1);
        e2e_response(stays, &r);
        ck_assert_msg(strstr(r.body, "\"subscribers\":1") != NULL, "round %d: %s", round, r.body);
        e2e_expect_message(leaves, NULL, "x", NULL);
        for (size_t i = 0; i < COUNT(shed) && round % 2; i++) /* else they linger on */
            e2e_close(shed[i]);
    }
    e2e_stop(&s);
}
END_TEST

START_TEST(test_max_topics)
{
    e2e_start(&s, "--max-topics", "2", NULL);
    e2e_publish(&s, "/a", "x");
    e2e_publish(&s, "/b", "x");
    e2e_publish(&s, "/a", "x");
    e2e_ask(&s, &r, "POST /c HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx");
    e2e_expect_status(&r, 503, "--max-topics");
    struct e2e_block b;
    struct e2e_conn *c = e2e_open(&s);
    e2e_send(c, "GET /c HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n");
    e2e_response(c, &r);
    e2e_expect_status(&r, 200, NULL);
    e2e_block(c, &b);
    ck_assert(b.retry > 0 && b.has_id);
    e2e_expect_end(c);
    e2e_stop(&s);
}
END_TEST

START_TEST(test_max_subscriptions)
{
    e2e_start(&s, "--max-subscriptions", "3", NULL);
    e2e_subscribe(&s, "/a,b,c/*", NULL);
    e2e_ask(&s, &r, "GET /a,b,c,d HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n");
    e2e_expect_status(&r, 400, "--max-subscriptions");
    e2e_stop(&s);
}
END_TEST

/* Requests under way take no more memory than they may; the others are served all the same. */
START_TEST(test_max_buffers)
{
    static char part[60000];
    struct e2e_conn *c[40];
    int refused = 0;
    e2e_start(&s, "--max-buffers", "1M", "--max-message", "64K", NULL);
    struct e2e_conn *sub = e2e_subscribe(&s, "/news", NULL);
    memset(part, 'p', sizeof(part));
    for (size_t i = 0; i < COUNT(c); i++) {
        c[i] = e2e_open(&s);
        e2e_send(c[i], "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 60001\r\n\r\n");
        e2e_send_n(c[i], part, sizeof(part));
    }
    e2e_sleep_ms(300);
    e2e_publish(&s, "/news", "small");
    e2e_expect_message(sub, NULL, "small", NULL);
    for (size_t i = 0; i < COUNT(c); i++) {
        e2e_send_some(c[i], "p", 1, 100);
        e2e_response(c[i], &r);
        ck_assert_msg(r.status == 201 || r.status == 503, "%d", r.status);
        refused += r.status == 503;
        if (r.status == 503)
            e2e_expect_status(&r, 503, "--max-buffers");
    }
    ck_assert_msg(refused > 0 && refused < (int)COUNT(c), "%d refused", refused);
    e2e_stop(&s);
}
END_TEST

/* ---- timeouts ---- */

#define CHUNKED "POST /news HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n"

static const char *const unfinished[] = {
    "",
    "GET /ne",
    "GET /news HTTP/1.1\r\nHost: test\r\n",
    "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabc",
    CHUNKED "\r\n3\r\nabc\r\n",
    CHUNKED "Content-Type: text/event-stream\r\n\r\n8\r\ndata: ab\r\n",
};

START_TEST(test_request_timeout)
{
    struct e2e_conn *c[COUNT(unfinished)];
    e2e_start(&s, "--request-timeout", "3s", NULL);
    int64_t t = e2e_now_ms();
    for (size_t i = 0; i < COUNT(unfinished); i++) {
        c[i] = e2e_open(&s);
        e2e_send(c[i], unfinished[i]);
    }
    for (size_t i = 0; i < COUNT(unfinished); i++) {
        if (unfinished[i][0] != '\0') {
            e2e_response(c[i], &r);
            ck_assert_msg(r.status == 408, "%zu: %d", i, r.status);
            e2e_expect_status(&r, 408, "--request-timeout");
            ck_assert(e2e_field_has(&r, "Connection", "close"));
        }
        e2e_expect_end(c[i]);
    }
    ck_assert_int_ge(e2e_now_ms() - t, 2900);
    e2e_stop(&s);
}
END_TEST

/* A head that comes byte by byte keeps nobody's place for longer. */
START_TEST(test_slow_head)
{
    e2e_start(&s, "--request-timeout", "500ms", NULL);
    struct e2e_conn *c = e2e_open(&s);
    int64_t end = e2e_now_ms() + E2E_WAIT_MS;
    e2e_send(c, "GET /news HTTP/1.1\r\nX: ");
    while (!e2e_comes(c, 50)) { /* a byte's time is a tenth of a request's */
        ck_assert_msg(e2e_now_ms() < end, "it is let go on");
        e2e_send_some(c, "y", 1, 100);
    }
    e2e_response(c, &r);
    e2e_expect_status(&r, 408, "--request-timeout");
    e2e_stop(&s);
}
END_TEST

START_TEST(test_idle_timeout)
{
    e2e_start(&s, "--idle-timeout", "3s", NULL);
    struct e2e_conn *c = e2e_open(&s), *sub = e2e_subscribe(&s, "/news", NULL);
    expect_alive(c);
    e2e_sleep_ms(200);
    int64_t t = e2e_now_ms();
    expect_alive(c);
    e2e_expect_end(c); /* between requests: without a word */
    ck_assert_int_ge(e2e_now_ms() - t, 2900);
    e2e_expect_silence(sub, 1000); /* a subscriber is not idle */
    e2e_stop(&s);
}
END_TEST

/* One that doesn't read at all is closed, and leaves nothing behind. */
START_TEST(test_write_timeout)
{
    static char data[60000];
    e2e_start(&s, "--write-timeout", "700ms", "--heartbeat", "100ms", NULL);
    memset(data, 'd', sizeof(data));
    struct e2e_conn *c = e2e_open_narrow(&s, 4096), *reads = e2e_subscribe(&s, "/news", NULL);
    e2e_subscribe_on(c, "/news", NULL);
    for (int i = 0; i < 200; i++) { /* 12 MB */
        e2e_publish_as(&s, "/news", NULL, data, sizeof(data));
        e2e_until(reads, "\n\n");
        e2e_consume(reads, reads->n);
    }
    int64_t end = e2e_now_ms() + E2E_WAIT_MS;
    do {
        const char *count = strstr(r.body, "\nsse_timeout_write_total ");
        ck_assert_msg(e2e_now_ms() < end, "%.40s", count != NULL ? count : "");
        e2e_sleep_ms(20);
        e2e_ask(&s, &r, "GET /-/metrics HTTP/1.1\r\nHost: test\r\n\r\n");
    } while (strstr(r.body, "\nsse_timeout_write_total 1\n") == NULL);
    e2e_publish(&s, "/news", "x");
    e2e_stop(&s);
}
END_TEST

/* ---- main ---- */

int main(void)
{
    Suite *suite = suite_create("serve");
    TCase *flags = tcase_create("flags"), *address = tcase_create("addresses");
    TCase *limit = tcase_create("limits");
    tcase_set_timeout(flags, 60);
    tcase_add_test(flags, test_help);
    tcase_add_test(flags, test_version);
    tcase_add_test(flags, test_wrong_flags);
    suite_add_tcase(suite, flags);
    tcase_set_timeout(address, 60);
    tcase_add_test(address, test_address_printed);
    tcase_add_test(address, test_port_in_use);
    tcase_add_test(address, test_address_of_another_host);
    tcase_add_test(address, test_restart_on_the_same_port);
    tcase_add_test(address, test_ipv6);
    tcase_add_test(address, test_unix_socket);
    tcase_add_test(address, test_publishing_is_for_this_host);
    tcase_add_test(address, test_sigterm);
    tcase_add_test(address, test_sigint);
    tcase_add_test(address, test_sighup);
    tcase_add_test(address, test_log);
    tcase_add_test(address, test_access_log);
    tcase_add_test(address, test_log_that_nobody_reads);
    suite_add_tcase(suite, address);
    tcase_set_timeout(limit, 60);
    tcase_add_test(limit, test_max_connections);
    tcase_add_test(limit, test_out_of_descriptors);
    tcase_add_test(limit, test_crowd_over_the_limit);
    tcase_add_test(limit, test_flood_that_asks_late);
    tcase_add_test(limit, test_place_is_free_at_once);
    tcase_add_test(limit, test_max_topics);
    tcase_add_test(limit, test_max_subscriptions);
    tcase_add_test(limit, test_max_buffers);
    tcase_add_test(limit, test_request_timeout);
    tcase_add_test(limit, test_slow_head);
    tcase_add_test(limit, test_idle_timeout);
    tcase_add_test(limit, test_write_timeout);
    suite_add_tcase(suite, limit);
    return run(suite);
}
