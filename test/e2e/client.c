/*
 * client.c - `sse sub` and `sse pub` as they are typed: against the real server, through its
 * death and return, and against servers that answer anything.
 */
#include "test/kit/e2e.h"
#include "test/kit/kit.h"
#include "test/kit/metric.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

static struct e2e_server s;
static struct e2e_response r;

/* ---- a command ------------------------------------------------------------------------------- */

struct command {
    pid_t pid;
    int in, out, err; /* its stdin and stdout, pipes; its stderr, a file in memory */
    size_t n;
    char buf[1 << 16]; /* what came of stdout and was not looked at yet, NUL-ended */
};

static const char *binary(void)
{
    const char *path = getenv("SSE_BIN");
    return path != NULL ? path : "build/gcc-asan/sse";
}

/* Runs `sse` with these arguments, up to a NULL; one "NAME=VALUE" before them is its
 * environment. */
static void run_command(struct command *c, const char *first, ...)
{
    const char *argv[32] = {binary()}, *environment[] = {NULL, NULL};
    int in[2], out[2], n = 1;
    va_list ap;
    va_start(ap, first);
    if (strncmp(first, "SSE_", 4) == 0)
        environment[0] = first;
    else
        argv[n++] = first;
    while ((argv[n] = va_arg(ap, const char *)) != NULL)
        ck_assert_int_lt(n++, 31);
    va_end(ap);
    c->n = 0;
    c->err = memfd_create("stderr", MFD_CLOEXEC);
    ck_assert(c->err != -1 && pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    pid_t parent = getpid();
    c->pid = fork();
    ck_assert_int_ne(c->pid, -1);
    if (c->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent && dup2(in[0], 0) != -1 && dup2(out[1], 1) != -1 &&
            dup2(c->err, 2) != -1)
            execve(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)environment);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    c->in = in[1];
    c->out = out[0];
}

static const char *said(const struct command *c)
{
    static char text[8192];
    ssize_t n = pread(c->err, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

/* Reads once of its stdout. False: it has ended. */
static bool pull(struct command *c, int ms)
{
    struct pollfd p = {c->out, POLLIN, 0};
    if (poll(&p, 1, ms) != 1)
        e2e_fail("the command wrote nothing more in time, but: %s; %s", c->buf, said(c));
    ck_assert_uint_lt(c->n, sizeof(c->buf) - 1);
    ssize_t got = read(c->out, c->buf + c->n, sizeof(c->buf) - 1 - c->n);
    c->n += got > 0 ? (size_t)got : 0;
    c->buf[c->n] = '\0';
    return got > 0;
}

/* What comes next on its stdout must be this. */
__attribute__((format(printf, 2, 3))) static void prints(struct command *c, const char *format, ...)
{
    char want[4096];
    va_list ap;
    va_start(ap, format);
    size_t n = (size_t)vsnprintf(want, sizeof(want), format, ap);
    va_end(ap);
    ck_assert_uint_lt(n, sizeof(want));
    c->buf[c->n] = '\0';
    while (c->n < n && pull(c, E2E_WAIT_MS))
        ;
    if (c->n < n || memcmp(c->buf, want, n) != 0)
        e2e_fail("it printed \"%s\" in place of \"%s\"; %s", c->buf, want, said(c));
    memmove(c->buf, c->buf + n, c->n - n + 1);
    c->n -= n;
}

/* It must end with this code, having printed nothing more, and said this on stderr (NULL:
 * nothing). */
static void ends(struct command *c, int code, const char *words)
{
    int status = 0;
    if (c->in != -1)
        close(c->in);
    c->buf[c->n] = '\0';
    while (c->out != -1 && pull(c, E2E_WAIT_MS))
        ;
    if (c->n > 0)
        e2e_fail("it printed \"%s\" at its end", c->buf);
    ck_assert_int_eq(waitpid(c->pid, &status, 0), c->pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
        e2e_fail("it ended with %d, not with %d: %s",
                 WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), code, said(c));
    if (words != NULL ? strstr(said(c), words) == NULL : *said(c) != '\0')
        e2e_fail("it said \"%s\", not \"%s\"", said(c), words != NULL ? words : "");
    if (c->out != -1)
        close(c->out);
    close(c->err);
}

static void types(const struct command *c, const char *text)
{
    ck_assert_int_eq(write(c->in, text, strlen(text)), (ssize_t)strlen(text));
}

static const char *url(const char *path)
{
    static char text[4][600];
    static unsigned n;
    char *to = text[n++ % 4];
    snprintf(to, sizeof(text[0]), "%s%s", s.address[0], path);
    return to;
}

/* Waits until so many are subscribed. */
static void subscribed(int n)
{
    for (int64_t end = e2e_now_ms() + E2E_WAIT_MS;; e2e_sleep_ms(5)) {
        e2e_ask(&s, &r, "GET /-/metrics HTTP/1.1\r\nHost: t\r\n\r\n");
        if (metric_sum(r.body, "sse_subscriptions") == n)
            return;
        if (e2e_now_ms() > end)
            e2e_fail("not %d are subscribed", n);
    }
}

/* ---- with the server ------------------------------------------------------------------------- */

START_TEST(prints_what_comes)
{
    struct command sub, json, pub;
    char id[64];
    e2e_start(&s, "--bind", "127.0.0.1", "--bind", "unix:build/check_client.sock", NULL);
    run_command(&sub, "sub", url("/news"), "--count", "4", NULL);
    run_command(&json, "sub", url("/news"), url("/o/*"), "--json", "--count=3", NULL);
    subscribed(3);
    snprintf(id, sizeof(id), "%s", e2e_publish(&s, "/news", "hello"));
    prints(&sub, "hello\n");
    /* the server's own object, and which of the URLs it is of */
    prints(&json, "{\"url\":\"%s\",\"id\":\"%s\",\"time\":\"20", url("/news"), id);
    while (strchr(json.buf, '\n') == NULL && pull(&json, E2E_WAIT_MS))
        ;
    ck_assert_ptr_nonnull(
        strstr(json.buf, "Z\",\"topic\":\"news\",\"event\":null,\"data\":\"hello\"}\n"));
    json.n = 0;
    run_command(&pub, "pub", url("/news?x=y"), "two\nlines \"\xC3\xA9\"", "--event", "a b&", NULL);
    ends(&pub, EX_OK, NULL);
    prints(&sub, "two\nlines \"\xC3\xA9\"\n");
    prints(&json, "{\"url\":");
    while (strstr(json.buf, "}\n") == NULL && pull(&json, E2E_WAIT_MS))
        ;
    ck_assert_ptr_nonnull(
        strstr(json.buf, ",\"event\":\"a b&\",\"data\":\"two\\nlines \\\"\xC3\xA9\\\"\"}\n"));
    json.n = 0;
    run_command(&pub, "pub", "unix:build/check_client.sock:/news", "--binary", "--verbose", NULL);
    types(&pub, "\x01\xFF");
    ends(&pub, EX_OK, "sse pub: 1 published, the last id is ");
    prints(&sub, "data:;base64,Af8=\n");
    json.n = 0;
    run_command(&pub, "pub", "--event=e", "--", url("/news"), "--text", NULL);
    ends(&pub, EX_OK, NULL);
    prints(&sub, "--text\n");
    ends(&sub, EX_OK, NULL);
    while (pull(&json, E2E_WAIT_MS))
        json.n = 0;
    ends(&json, EX_OK, NULL);
    e2e_stop(&s);
}
END_TEST

/* Each line is a message as soon as it is whole, over one connection, which is kept open however
 * long nothing comes: longer than a request may take, as that of another shows. */
START_TEST(publishes_lines)
{
    static char large[200000];
    struct command pub;
    e2e_start(&s, "--request-timeout", "3s", NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/log", NULL), *half;
    run_command(&pub, "pub", url("/log"), "--event", "\"\xC3\xA9\"", "-v", NULL);
    types(&pub, "one\n");
    e2e_expect_message(c, "\"\xC3\xA9\"", "one", NULL);
    types(&pub, "\ntw");
    e2e_expect_message(c, "\"\xC3\xA9\"", "", NULL);
    types(&pub, "o \"\\\t\x01\xC3"); /* a character in two pieces */
    e2e_sleep_ms(20);
    types(&pub, "\xA9\nlast");
    e2e_expect_message(c, "\"\xC3\xA9\"", "two \"\\\t\x01\xC3\xA9", NULL);
    e2e_sleep_ms(100);
    types(&pub, "\n");
    e2e_expect_message(c, "\"\xC3\xA9\"", "last", NULL);
    e2e_send(half = e2e_open(&s), "GET /lo");
    e2e_response(half, &r);
    e2e_expect_status(&r, 408, NULL);
    types(&pub, "without an end");
    ends(&pub, EX_OK, "sse pub: 5 published, the last id is ");
    e2e_expect_message(c, "\"\xC3\xA9\"", "without an end", NULL);
    e2e_close(c);
    e2e_stop(&s);
    e2e_start(&s, NULL);
    c = e2e_subscribe(&s, "/large", NULL);
    run_command(&pub, "pub", url("/large"), NULL);
    for (size_t i = 0; i < sizeof(large) - 1; i++)
        large[i] = i % 3 == 0 ? '\x01' : i % 3 == 1 ? '"' : 'x';
    for (size_t at = 0; at < sizeof(large) - 1;) {
        ssize_t w = write(pub.in, large + at, sizeof(large) - 1 - at);
        ck_assert_int_gt(w, 0);
        at += (size_t)w;
    }
    ends(&pub, EX_OK, NULL);
    e2e_until(c, "\nid: ");
    ck_assert(strncmp(c->buf, "data: ", 6) == 0);
    ck_assert_mem_eq(c->buf + 6, large, sizeof(large) - 1);
    e2e_close(c);
    run_command(&pub, "pub", url("/none"), "-v", NULL);
    ends(&pub, EX_OK, "sse pub: 0 published, the last id is none");
    e2e_stop(&s);
}
END_TEST

static const struct {
    int line;
    const char *text, *input, *words;
    int code, published;
} refusals[] = {
    {__LINE__, NULL, "a\nb\xFF\nc\n", "line 2 is not UTF-8", EX_DATAERR, 1},
    {__LINE__, NULL, "a\nb\xC3\nc\n", "line 2 is not UTF-8", EX_DATAERR, 1},
    {__LINE__, NULL, "a\nb\xE2\x82", "line 2 is not UTF-8", EX_DATAERR, 1},
    {__LINE__, NULL, "\xFF", "line 1 is not UTF-8", EX_DATAERR, 0},
    {__LINE__, NULL, "a\n0123456789\n",
     "413 Content Too Large: line 2 (1 message before it is published): a message has at most 8 "
     "bytes",
     EX_DATAERR, 1},
    {__LINE__, "0123456789", "", "413 Content Too Large: a message has at most 8 bytes", EX_DATAERR,
     0},
    {__LINE__, "\xFF", "", "415 Unsupported Media Type: byte 0 of the data is not UTF-8",
     EX_DATAERR, 0},
};

START_TEST(tells_of_refusals)
{
    struct command pub;
    e2e_start(&s, "--max-message", "8", NULL);
    run_command(&pub, "pub", url("/t"), refusals[_i].text, NULL);
    types(&pub, refusals[_i].input);
    ends(&pub, refusals[_i].code, refusals[_i].words);
    e2e_ask(&s, &r, "GET /-/metrics HTTP/1.1\r\nHost: t\r\n\r\n");
    ck_assert_int_eq(metric_sum(r.body, "sse_messages_published_total"), refusals[_i].published);
    /* "line N is": it was found before it was sent, unless what is wrong is the end */
    bool asked_rightly = refusals[_i].text == NULL && refusals[_i].words[0] == 'l' &&
                         strstr(refusals[_i].input, "\x82") == NULL;
    ck_assert_int_eq(metric_sum(r.body, "sse_requests_refused_total"), !asked_rightly);
    e2e_stop(&s);
}
END_TEST

/* The server is killed again and again, and comes back with its store: nothing is lost, nothing
 * comes twice. */
START_TEST(survives_kills)
{
    enum { KILLS = 4, EACH = 50 };
    const char *const flags[] = {"--bind",  "unix:build/check_client_kill.sock",
                                 "--store", "build/check_client_kill.store",
                                 "--retry", "50ms",
                                 NULL};
    struct command sub, pub;
    char count[16], line[16];
    unlink("build/check_client_kill.store");
    snprintf(count, sizeof(count), "%d", KILLS * EACH);
    for (int k = 0, n = 0; k < KILLS; k++) {
        e2e_start_with(&s, flags, 0);
        if (k == 0)
            run_command(&sub, "sub", "unix:build/check_client_kill.sock:/t", "--count", count,
                        "--strict", NULL);
        run_command(&pub, "pub", "unix:build/check_client_kill.sock:/t", NULL);
        if (k == 0)
            subscribed(1);
        for (int i = 0; i < EACH; i++) {
            snprintf(line, sizeof(line), "%d\n", n++);
            types(&pub, line);
            if (i == EACH / 2)
                e2e_sleep_ms(
                    k * 20); /* it is killed while there is something it has not sent, or not */
        }
        ends(&pub, EX_OK, NULL);
        if (k < KILLS - 1) {
            e2e_kill(&s);
        }
    }
    for (int n = 0; n < KILLS * EACH; n++)
        prints(&sub, "%d\n", n);
    ends(&sub, EX_OK, NULL);
    e2e_stop(&s);
    unlink("build/check_client_kill.store");
}
END_TEST

/* A gap is told of; with --strict it is the end. */
START_TEST(gaps)
{
    struct command sub;
    char words[300];
    e2e_start(&s, NULL);
    snprintf(words, sizeof(words),
             "messages were lost (unknown) after 7-7, up to the oldest there is, %s",
             e2e_publish(&s, "/t", "x"));
    run_command(&sub, "sub", url("/t"), "--last-event-id", "7-7", "--count", "1", NULL);
    prints(&sub, "x\n");
    ends(&sub, EX_OK, words);
    run_command(&sub, "sub", url("/t"), "--last-event-id", "7-7", "--strict", NULL);
    ends(&sub, 1, words);
    run_command(&sub, "sub", url("/t"), "--last-event-id", "7-7", "--strict", "--json", NULL);
    while (pull(&sub, E2E_WAIT_MS))
        ;
    ck_assert_ptr_nonnull(
        strstr(sub.buf, "{\"gap\":{\"reason\":\"unknown\",\"after\":\"7-7\",\"oldest\":\""));
    sub.n = 0;
    ends(&sub, 1, words);
    run_command(&sub, "sub", url("/t"), "--since", "-1", "--strict", "--count", "1", NULL);
    prints(&sub, "x\n");
    ends(&sub, EX_OK, NULL);
    e2e_stop(&s);
}
END_TEST

/* It ends when nobody reads it, when its time is over, and when there is no server at first. */
START_TEST(ends_by_itself)
{
    struct command sub;
    e2e_start(&s, NULL);
    run_command(&sub, "sub", url("/t"), NULL);
    subscribed(1);
    close(sub.out);
    sub.out = -1;
    ends(&sub, EX_IOERR, NULL); /* though nothing comes */
    subscribed(0);
    run_command(&sub, "sub", url("/t"), "--timeout", "3s", NULL);
    ends(&sub, EX_OK, NULL);
    run_command(&sub, "sub", url("/t"), "--timeout", "3s", "--count", "1", NULL);
    ends(&sub, EX_TEMPFAIL, NULL);
    run_command(&sub, "sub", url("/a//b"), NULL);
    ends(&sub, EX_DATAERR, "400 Bad Request: a//b has an empty segment\n");
    e2e_stop(&s);
    run_command(&sub, "sub", url("/t"), NULL);
    ends(&sub, EX_UNAVAILABLE, "Connection refused");
    run_command(&sub, "sub", url("/t"), "--timeout", "300ms", NULL);
    ends(&sub, EX_UNAVAILABLE, "no server was reachable in time");
    run_command(&sub, "pub", url("/t"), "x", NULL);
    ends(&sub, EX_UNAVAILABLE, "Connection refused");
}
END_TEST

/* ---- the command line ------------------------------------------------------------------------ */

static const struct {
    int line, code;
    const char *argv[5], *words;
} lines[] = {
    {__LINE__, EX_USAGE, {"sub"}, "a URL is missing"},
    {__LINE__, EX_USAGE, {"pub"}, "a URL is missing"},
    {__LINE__, EX_USAGE, {"sub", "--nothing"}, "--nothing is no flag of this command"},
    {__LINE__, EX_USAGE, {"pub", "--jsonx"}, "--jsonx is no flag of this command"},
    {__LINE__, EX_USAGE, {"sub", "h/t", "--count"}, "--count needs a value"},
    {__LINE__, EX_USAGE, {"sub", "h/t", "--count=0"}, "--count is a number from 1 on"},
    {__LINE__, EX_USAGE, {"sub", "h/t", "--timeout", "1y"}, "--timeout is a time, as 10s"},
    {__LINE__, EX_USAGE, {"sub", "localhost/t", "--token", "a b"}, "the token holds a blank"},
    {__LINE__, EX_USAGE, {"pub", "localhost/t", "--token="}, "the token holds a blank"},
    {__LINE__, EX_USAGE, {"sub", "localhost/t", "--last-event-id", "a\nb"}, "holds a control byte"},
    {__LINE__, EX_USAGE, {"pub", "h/t", "a", "b"}, "b is one argument too many"},
    {__LINE__, EX_USAGE, {"pub", "https://h/t", "a"}, "asks for TLS"},
    {__LINE__, EX_USAGE, {"sub", "http://h/"}, "names no topic"},
    {__LINE__,
     EX_USAGE,
     {"pub", "h/t", "--event", "\xFF"},
     "--event is longer than 255 bytes, or not UTF-8"},
    {__LINE__,
     EX_NOHOST,
     {"sub", "no.such.host.invalid/t"},
     "there is no address of no.such.host.invalid in /etc/hosts"},
    {__LINE__, EX_NOHOST, {"pub", "no.such.host.invalid/t", "x"}, "there is no address of"},
};

START_TEST(wrong_lines)
{
    struct command c;
    const char *const *a = lines[_i].argv;
    run_command(&c, a[0], a[1], a[1] != NULL ? a[2] : NULL, a[2] != NULL ? a[3] : NULL, NULL);
    ends(&c, lines[_i].code, lines[_i].words);
}
END_TEST

START_TEST(shows_help)
{
    struct command c;
    static const char *const names[] = {"sub", "pub"};
    for (size_t i = 0; i < COUNT(names); i++) {
        run_command(&c, names[i], "--help", NULL);
        prints(&c, "Usage: sse %s URL", names[i]);
        for (char *p = c.buf; pull(&c, E2E_WAIT_MS) || *p != '\0'; p = c.buf + c.n)
            ;
        for (const char *p = c.buf; (p = strchr(p, '\n')) != NULL && p[1] != '\0';)
            ck_assert_uint_le(strcspn(++p, "\n"), 80);
        c.n = 0;
        ends(&c, EX_OK, NULL);
    }
}
END_TEST

/* ---- servers that answer anything ------------------------------------------------------------ */

static int listener = -1;
static char asked[8192]; /* the last request's head */

static const char *fake_url(void)
{
    static char text[64];
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert(bind(listener, (struct sockaddr *)&in, len) == 0 && listen(listener, 8) == 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&in, &len), 0);
    snprintf(text, sizeof(text), "localhost:%d/t", ntohs(in.sin_port));
    return text;
}

/* Takes the next client's request and gives it this answer, in pieces of so many bytes. Returns the
 * socket. */
static int answers_with(const char *answer, size_t piece)
{
    struct pollfd p = {listener, POLLIN, 0};
    size_t n = 0;
    ck_assert_msg(poll(&p, 1, E2E_WAIT_MS) == 1, "nobody comes");
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    while (strstr(asked, "\r\n\r\n") == NULL || n == 0) {
        ssize_t got = read(fd, asked + n, sizeof(asked) - 1 - n);
        ck_assert_int_gt(got, 0);
        n += (size_t)got;
        asked[n] = '\0';
    }
    for (size_t at = 0, len = strlen(answer); at < len; at += piece) {
        send(fd, answer + at, len - at < piece ? len - at : piece, MSG_NOSIGNAL);
        if (piece < 100)
            e2e_sleep_ms(1);
    }
    return fd;
}

#define STREAM "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"

/* Whatever ends a connection, it comes back with the last id, as fast as it was told to. */
START_TEST(comes_back)
{
    static const char *const streams[] = {
        STREAM "\r\nretry: 20\nid: 5-0\n\ndata: 0\nid: 5-1\n\ndata: lost\nid: 5-9\n",
        STREAM "Transfer-Encoding: chunked\r\n\r\n3\r\ndat\r\nd;x=y\r\na: 1\nid: "
               "5-2\n\r\n1\r\n\n\r\n0\r\n\r\n",
        STREAM "Content-Length: 18\r\n\r\ndata: 2\r\nid: 5-3\n\n",
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        STREAM "Transfer-Encoding: chunked\r\n\r\n11\r\ndata: 3\nid: 5-4\n\n\r\nzz\r\n",
        "",
        "HTTP/1.1 100 Continue\r\n\r\n" STREAM "\r\n: x\r\rdata: 4\rid: 5-5\r\r",
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
    };
    static const char *const ids[] = {NULL, "5-1", "5-2", "5-3", "5-3", "5-4", "5-4", "5-5", "5-5"};
    for (size_t piece = 1; piece <= 1000; piece += 999) {
        struct command sub;
        unsigned n = 0;
        run_command(&sub, "SSE_TOKEN=secret.token", "sub", fake_url(), "--since", "10m", NULL);
        for (size_t i = 0; i < COUNT(streams); i++) {
            char field[64];
            asked[0] = '\0';
            int fd = answers_with(streams[i], piece);
            close(fd);
            ck_assert_ptr_nonnull(strstr(asked, "GET /t?since=10m HTTP/1.1\r\nHost: localhost:"));
            ck_assert_ptr_nonnull(strstr(asked, "\r\nAccept: text/event-stream\r\n"));
            ck_assert_ptr_nonnull(strstr(asked, "\r\nAuthorization: Bearer secret.token\r\n"));
            snprintf(field, sizeof(field), "\r\nLast-Event-ID: %s\r\n",
                     ids[i] != NULL ? ids[i] : "");
            ck_assert_msg((strstr(asked, ids[i] != NULL ? field : "Last-Event-ID") != NULL) ==
                              (ids[i] != NULL),
                          "%zu: %s", i, asked);
            if (strstr(streams[i], "id: ") != NULL)
                prints(&sub, "%u\n", n++);
        }
        ends(&sub, EX_OK, NULL); /* 204: there is nothing to come back for */
        close(listener);
    }
}
END_TEST

static const struct {
    int line, code;
    const char *answer, *words;
} answers[] = {
    {__LINE__, EX_NOPERM,
     "HTTP/1.1 403 Forbidden\r\nContent-Type: application/problem+json\r\nContent-Length: "
     "27\r\n\r\n"
     "{\"detail\":\"not\\u0020you\\n\"}",
     "403 Forbidden: not you?\n"},
    {__LINE__, EX_NOPERM,
     "HTTP/1.1 401 x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
     "401 Unauthorized\n"},
    {__LINE__, EX_DATAERR, "HTTP/1.1 404 x\r\n\r\nno length", "404 Not Found\n"},
    {__LINE__, EX_UNAVAILABLE, "HTTP/1.1 502 x\r\nContent-Length: 5\r\n\r\nshort",
     "502 Bad Gateway\n"},
    {__LINE__, EX_PROTOCOL,
     "HTTP/1.1 301 x\r\nLocation: http://b/\x1b[1m\r\nContent-Length: 0\r\n\r\n",
     "301 Moved Permanently: it is at http://b/?[1m\n"},
    {__LINE__, EX_PROTOCOL, "SSH-2.0-OpenSSH\r\n", "its answer is no HTTP\n"},
    {__LINE__, EX_PROTOCOL, "HTTP/1.1 200 OK\nContent-Type: text/event-stream\n\n",
     "its answer is no HTTP\n"},
};

START_TEST(is_refused)
{
    for (int pub = 0; pub < 2; pub++) {
        struct command c;
        const char *at = fake_url();
        if (pub)
            run_command(&c, "pub", at, "x", NULL);
        else
            run_command(&c, "sub", at, NULL);
        asked[0] = '\0';
        int fd = answers_with(answers[_i].answer, 1000);
        shutdown(fd, SHUT_WR);
        ends(&c, answers[_i].code, answers[_i].words);
        close(fd);
        close(listener);
    }
}
END_TEST

/* Of another server's stream of events --json tells what there is of it. */
START_TEST(other_servers_as_json)
{
    struct command sub;
    run_command(&sub, "sub", fake_url(), "--json", "--count", "1", NULL);
    asked[0] = '\0';
    close(answers_with(STREAM "\r\nevent: e\ndata: a\x01\ndata: b\nid: 5-1\n\n", 1000));
    ck_assert_ptr_nonnull(
        strstr(asked, "\r\nAccept: application/x-ndjson, text/event-stream;q=0.5\r\n"));
    prints(&sub, "{\"id\":\"5-1\",\"time\":null,\"topic\":null,\"event\":\"e\",\"data\":"
                 "\"a\\u0001\\nb\"}\n");
    ends(&sub, EX_OK, NULL);
    close(listener);
}
END_TEST

#define LINES "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n"

/* Lines cut anywhere; checkpoints, heartbeats and empty lines are no messages, but their ids
 * count. */
START_TEST(lines_in_pieces)
{
    for (size_t piece = 1; piece <= 1000; piece += 999) {
        struct command sub;
        run_command(&sub, "sub", fake_url(), "--json", "--count", "3", NULL);
        asked[0] = '\0';
        close(answers_with(LINES "{\"id\":\"5-1\"}\n\n{\"id\":\"5-2\",\"data\":\"x\"}\n"
                                 "{\"heartbeat\":{\"id\":\"5-7\"}}\n{\"id\":\"5-3\"}\n"
                                 "{\"id\":\"5-9\",\"data\":\"lost",
                           piece));
        asked[0] = '\0';
        int fd = answers_with(LINES "{\"id\":\"5-4\",\"base64\":\"AA==\"}\n{\"gap\":{}}\n"
                                    "{\"id\":\"5-5\",\"data\":\"y\"}\n",
                              piece);
        ck_assert_ptr_nonnull(strstr(asked, "\r\nLast-Event-ID: 5-3\r\n"));
        prints(&sub, "{\"id\":\"5-2\",\"data\":\"x\"}\n{\"id\":\"5-4\",\"base64\":\"AA==\"}\n"
                     "{\"gap\":{}}\n{\"id\":\"5-5\",\"data\":\"y\"}\n");
        ends(&sub, EX_OK, "messages were lost (unknown)");
        close(fd);
        close(listener);
    }
    struct command sub;
    run_command(&sub, "sub", fake_url(), "--json", NULL);
    asked[0] = '\0';
    close(answers_with(LINES "{\"id\":\n", 1000));
    ends(&sub, EX_PROTOCOL, "is no JSON object");
    close(listener);
}
END_TEST

/* A stream that says nothing, not even a heartbeat, is given up and taken up again. */
START_TEST(silent_streams)
{
    struct command sub;
    run_command(&sub, "sub", fake_url(), "--silence", "300ms", "--verbose", "--count", "2", NULL);
    asked[0] = '\0';
    int first = answers_with(STREAM "\r\nretry: 20\n\ndata: 1\nid: 5-1\n\n", 1000);
    prints(&sub, "1\n");
    asked[0] = '\0';
    int second = answers_with(STREAM "\r\ndata: 2\nid: 5-2\n\n", 1000);
    ck_assert_ptr_nonnull(strstr(asked, "\r\nLast-Event-ID: 5-1\r\n"));
    prints(&sub, "2\n");
    ends(&sub, EX_OK, "the stream was silent for too long (--silence)");
    close(first);
    close(second);
    close(listener);
}
END_TEST

/* However soon a server asks its clients to come back, they come ten milliseconds later at the
 * soonest, and later and later where it brings nothing: so few come in the time that some
 * heartbeats take. */
START_TEST(a_retry_of_nothing)
{
    struct command sub;
    unsigned came = 0;
    run_command(&sub, "sub", fake_url(), NULL);
    int64_t from = e2e_now_ms();
    while (e2e_now_ms() - from < (came < 2 ? E2E_WAIT_MS : 2000)) {
        struct pollfd p = {listener, POLLIN, 0};
        if (poll(&p, 1, 100) != 1)
            continue;
        asked[0] = '\0';
        close(answers_with(STREAM "\r\nretry: 1\n\n", 1000));
        came++;
    }
    ck_assert_uint_ge(came, 2);
    ck_assert_uint_le(came, 60); /* in two seconds, or two in however many */
    kill(sub.pid, SIGTERM);
    close(listener);
}
END_TEST

/* A terminal gets no control bytes, of a message or of its line as JSON. */
START_TEST(on_a_terminal)
{
    static const char *const answer[] = {
        STREAM "\r\ndata: \x1b]0;x\x07\tb\xc2\x9b\xc3\xa9\x7f\xff\nid: 5-1\n\n",
        LINES "{\"id\":\"5-1\",\"data\":\"\x7f\xc2\x9b\xc3\xa9\"}\n",
    };
    static const char *const shown[] = {"?]0;x?\tb?\xc3\xa9??\r\n",
                                        "{\"id\":\"5-1\",\"data\":\"\\u007f\\u009b\xc3\xa9\"}\r\n"};
    for (int i = 0; i < 2; i++) {
        char line[300], path[64], got[400] = "";
        int tty = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        ck_assert(tty != -1 && grantpt(tty) == 0 && unlockpt(tty) == 0);
        ck_assert_int_eq(ptsname_r(tty, path, sizeof path), 0);
        snprintf(line, sizeof line, "%s sub %s --count 1 %s >%s", binary(), fake_url(),
                 i == 1 ? "--json" : "", path);
        FILE *f = popen(line, "re");
        asked[0] = '\0';
        int fd = answers_with(answer[i], 1000);
        for (size_t n = 0; strchr(got, '\n') == NULL;) {
            ssize_t more = read(tty, got + n, sizeof got - 1 - n);
            ck_assert_int_gt(more, 0);
            n += (size_t)more;
            got[n] = '\0';
        }
        ck_assert_str_eq(got, shown[i]);
        ck_assert_int_eq(pclose(f), 0);
        close(fd);
        close(tty);
        close(listener);
    }
}
END_TEST

/* A refusal ends a publisher that has more to say, and so does a server that goes. */
START_TEST(refused_in_the_middle)
{
    struct command c;
    run_command(&c, "pub", fake_url(), NULL);
    types(&c, "a\n");
    asked[0] = '\0';
    int fd = answers_with("HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n", 1000);
    ck_assert_ptr_nonnull(strstr(asked, "POST /t HTTP/1.1\r\n"));
    ck_assert_ptr_nonnull(strstr(asked, "\r\nTransfer-Encoding: chunked\r\n"));
    int in = c.in;
    c.in = -1; /* stays open */
    ends(&c, EX_NOPERM, "403 Forbidden\n");
    close(in);
    close(fd);
    close(listener);
    run_command(&c, "pub", fake_url(), NULL);
    asked[0] = '\0';
    close(answers_with("", 1000));
    in = c.in;
    c.in = -1;
    ends(&c, EX_UNAVAILABLE, "the connection was closed before an answer");
    close(in);
    close(listener);
    run_command(&c, "sub", fake_url(), NULL);
    asked[0] = '\0';
    close(answers_with("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>", 1000));
    ends(&c, EX_PROTOCOL, "its answer is no stream of events");
    close(listener);
}
END_TEST

/* A publisher does not wait for ever: for an answer, for the rest of one, or to be read at all. */
START_TEST(no_answer)
{
    static const char *const words[] = {"there was no answer in time",
                                        "there was no answer in time",
                                        "the server does not take what is published"};
    static char big[1 << 20];
    static struct command c[COUNT(words)];
    int fd[COUNT(words)] = {-1, -1, -1}, listeners[COUNT(words)];
    signal(SIGPIPE, SIG_IGN);
    memset(big, 'x', sizeof big);
    for (size_t i = 0; i < COUNT(words); i++) {
        const char *at = fake_url();
        listeners[i] = listener;
        if (i == 2) {
            run_command(&c[i], "pub", at, "--binary", NULL);
            continue;
        }
        run_command(&c[i], "pub", at, "x", NULL);
        asked[0] = '\0';
        fd[i] = answers_with(i == 1 ? "HTTP/1.1 201 Cr" : "", 1000);
    }
    fcntl(c[2].in, F_SETFL, O_NONBLOCK);
    while (write(c[2].in, big, sizeof big) != -1 || errno == EAGAIN) /* until it has ended */
        e2e_sleep_ms(10);
    for (size_t i = 0; i < COUNT(words); i++) {
        ends(&c[i], EX_UNAVAILABLE, words[i]);
        close(fd[i]);
        close(listeners[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client");
    TCase *server = tcase_create("server"), *line = tcase_create("line"),
          *fake = tcase_create("fake");
    tcase_set_timeout(server, 60);
    tcase_set_timeout(line, 20);
    tcase_set_timeout(fake, 60);
    tcase_add_test(server, prints_what_comes);
    tcase_add_test(server, publishes_lines);
    tcase_add_loop_test(server, tells_of_refusals, 0, (int)COUNT(refusals));
    tcase_add_test(server, survives_kills);
    tcase_add_test(server, gaps);
    tcase_add_test(server, ends_by_itself);
    suite_add_tcase(suite, server);
    tcase_add_loop_test(line, wrong_lines, 0, (int)COUNT(lines));
    tcase_add_test(line, shows_help);
    suite_add_tcase(suite, line);
    tcase_add_test(fake, comes_back);
    tcase_add_loop_test(fake, is_refused, 0, (int)COUNT(answers));
    tcase_add_test(fake, other_servers_as_json);
    tcase_add_test(fake, lines_in_pieces);
    tcase_add_test(fake, silent_streams);
    tcase_add_test(fake, a_retry_of_nothing);
    tcase_add_test(fake, on_a_terminal);
    tcase_add_test(fake, refused_in_the_middle);
    tcase_add_test(fake, no_answer);
    suite_add_tcase(suite, fake);
    return run(suite);
}
