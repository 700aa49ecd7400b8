/*
 * e2e.c - starts the server and speaks to it, for the end-to-end tests; see e2e.h.
 */
#include "test/kit/e2e.h"

#include "lib/json.h"
#include "test/kit/close.h"
#include "test/kit/metric.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FLAGS_MAX   64
#define SERVERS_MAX 4

static struct e2e_server *servers[SERVERS_MAX]; /* those running, to show their stderr */
static struct e2e_conn *conns;                  /* all that are open */

/* ---- time and failure ---- */

int64_t e2e_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void e2e_sleep_ms(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep(&t, &t) == -1 && errno == EINTR)
        ;
}

static int left_ms(int64_t deadline)
{
    int64_t left = deadline - e2e_now_ms();
    return left > 0 ? (int)left : 0;
}

static const char *read_all(int fd)
{
    static char text[65536];
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

const char *e2e_stderr(const struct e2e_server *s)
{
    return read_all(s->err);
}

void e2e_fail(const char *format, ...)
{
    static char why[65536];
    va_list ap;
    va_start(ap, format);
    vsnprintf(why, sizeof(why), format, ap);
    va_end(ap);
    e2e_sleep_ms(100); /* a sanitizer may be writing its report */
    for (int i = 0; i < SERVERS_MAX; i++)
        if (servers[i] != NULL && *e2e_stderr(servers[i]) != '\0')
            fprintf(stderr, "---- stderr of the server ----\n%s\n", e2e_stderr(servers[i]));
    fflush(NULL);
    ck_abort_msg("%s", why);
}

/* ---- the server ---- */

static const char *binary(void)
{
    const char *path = getenv("SSE_BIN");
    if (path != NULL)
        return path;
    return access("build/gcc-asan/sse", X_OK) == 0 ? "build/gcc-asan/sse" : "./sse";
}

/* Puts what is meant for faults.c, and a number of workers, into the environment, behind its first
 * `n`. */
static void environment_more(char *environment[], unsigned n, unsigned max)
{
    for (char **e = environ; *e != NULL && n < max - 1; e++)
        if (strncmp(*e, "FAULTS_", 7) == 0 || strncmp(*e, "SSE_WORKERS=", 12) == 0)
            environment[n++] = *e;
}

/* The child: becomes the server, with a clean environment and no descriptor of the test's. */
static void become(const char *const argv[], int out, int err, unsigned descriptors, pid_t parent)
{
    /* newer compilers keep frames on a stack of the sanitizer, which a purge cannot reach */
    static char asan[] = "ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=0";
    char user[64]; /* that it is root here is meant, and no reason to warn */
    static char first[] = "ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0";
    static char host[] = "SSE_HOST=test t h"; /* what tests have in Host */
    bool inner =
        getppid() == 0; /* in a pid namespace that /proc, by which leaks are found, is not of */
    char *environment[8] = {inner ? first : asan, user, host};
    struct rlimit files = {descriptors, descriptors};
    int null = open("/dev/null", O_RDONLY);
    environment_more(environment, 3, 8);
    snprintf(user, sizeof(user), "SSE_USER=%u:%u", geteuid(), getegid());
    if (dup2(null, 0) == -1 || dup2(out, 1) == -1 || dup2(err, 2) == -1)
        _exit(126);
    close_from(3);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent && !inner)
        _exit(126);
    if (descriptors != 0 && setrlimit(RLIMIT_NOFILE, &files) == -1)
        _exit(126);
    /* The array is argv, which execve() does not write to; its type is older than const. */
    execve(argv[0], (char *const *)(uintptr_t)argv, environment);
    dprintf(2, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static pid_t spawn(const char *const argv[], int *out, int *err, unsigned descriptors)
{
    int pipes[2];
    pid_t parent = getpid();
    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    *err = memfd_create("stderr", MFD_CLOEXEC);
    ck_assert_int_ne(*err, -1);
    pid_t pid = fork();
    ck_assert_int_ne(pid, -1);
    if (pid == 0)
        become(argv, pipes[1], *err, descriptors, parent);
    close(pipes[1]);
    *out = pipes[0];
    return pid;
}

/* Reads the next line of the server's stdout; false at its end. */
static bool read_line(int fd, char *line, size_t cap, int64_t deadline)
{
    size_t n = 0;
    for (;;) {
        struct pollfd p = {fd, POLLIN, 0};
        if (poll(&p, 1, left_ms(deadline)) == 0)
            e2e_fail("the server did not print its address in time");
        if (read(fd, line + n, 1) != 1)
            return false;
        if (line[n] == '\n')
            break;
        if (++n == cap)
            e2e_fail("the server printed a line too long: %.*s", (int)n, line);
    }
    line[n] = '\0';
    return true;
}

void e2e_start_with(struct e2e_server *s, const char *const flags[], unsigned descriptors)
{
    static const char *const before[] = {"--port",
                                         "0",
                                         "--log",
                                         "warn",
                                         "--drain",
                                         "0",
                                         "--heartbeat",
                                         "1h",
                                         "--request-timeout",
                                         "1h",
                                         "--idle-timeout",
                                         "1h",
                                         "--write-timeout",
                                         "1h"};
    const char *argv[FLAGS_MAX] = {binary()};
    int slot = 0;
    size_t n = 1;
    memset(s, 0, sizeof(*s));
    unsigned binds = 0, admins = 0;
    for (; n <= sizeof before / sizeof before[0]; n++)
        argv[n] = before[n - 1];
    for (; *flags != NULL; flags++) {
        ck_assert_uint_lt(n, FLAGS_MAX - 1);
        binds += strcmp(*flags, "--bind") == 0 || strcmp(*flags, "-b") == 0;
        admins += strcmp(*flags, "--admin") == 0;
        argv[n++] = *flags;
    }
    while (servers[slot] != NULL)
        ck_assert_int_lt(++slot, SERVERS_MAX);
    s->pid = spawn(argv, &s->out, &s->err, descriptors);
    servers[slot] = s;
    int64_t deadline = e2e_now_ms() + E2E_WAIT_MS;
    for (; s->addresses < (binds > 0 ? binds : 1); s->addresses++)
        if (!read_line(s->out, s->address[s->addresses], sizeof(s->address[0]), deadline))
            e2e_fail("the server ended before it was ready");
    char line[sizeof s->admin + 6];
    for (; admins > 0; admins--) {
        if (!read_line(s->out, line, sizeof line, deadline) || strncmp(line, "admin ", 6) != 0)
            e2e_fail("the server did not print its address of --admin");
        if (s->admin[0] == '\0')
            snprintf(s->admin, sizeof s->admin, "%s", line + 6);
    }
    const char *colon = strrchr(s->address[0], ':');
    s->port = strncmp(s->address[0], "http://", 7) == 0 && colon != NULL ? atoi(colon + 1) : -1;
    ck_assert_msg(s->port != 0, "not an address: %s", s->address[0]);
}

static void collect(va_list ap, const char *flags[FLAGS_MAX])
{
    size_t n = 0;
    while ((flags[n] = va_arg(ap, const char *)) != NULL)
        ck_assert_uint_lt(++n, FLAGS_MAX);
}

void e2e_start(struct e2e_server *s, ...)
{
    const char *flags[FLAGS_MAX];
    va_list ap;
    va_start(ap, s);
    collect(ap, flags);
    va_end(ap);
    e2e_start_with(s, flags, 0);
}

/* Waits for the process to end, with SIGKILL after the deadline; returns its wait status. */
static int reap(pid_t pid, const char *what)
{
    int status = 0;
    int64_t deadline = e2e_now_ms() + E2E_WAIT_MS;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (left_ms(deadline) == 0) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            e2e_fail("%s did not end in time", what);
        }
        e2e_sleep_ms(2);
    }
    return status;
}

int e2e_run(const char *const flags[], char *out, char *err)
{
    const char *argv[FLAGS_MAX] = {binary()};
    int out_fd, err_fd;
    size_t n = 0;
    for (size_t i = 0; flags[i] != NULL; i++)
        argv[i + 1] = flags[i];
    pid_t pid = spawn(argv, &out_fd, &err_fd, 0);
    int64_t deadline = e2e_now_ms() + E2E_WAIT_MS;
    for (;;) {
        struct pollfd p = {out_fd, POLLIN, 0};
        if (poll(&p, 1, left_ms(deadline)) == 0) {
            kill(pid, SIGKILL);
            e2e_fail("the binary did not end in time");
        }
        ssize_t got = read(out_fd, out + n, E2E_OUTPUT - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    out[n] = '\0';
    int status = reap(pid, "the binary");
    snprintf(err, E2E_OUTPUT, "%.*s", E2E_OUTPUT - 1, read_all(err_fd));
    close(out_fd);
    close(err_fd);
    ck_assert_msg(WIFEXITED(status), "the binary died of signal %d: %s", WTERMSIG(status), err);
    return WEXITSTATUS(status);
}

static void forget(struct e2e_server *s)
{
    for (int i = 0; i < SERVERS_MAX; i++)
        if (servers[i] == s)
            servers[i] = NULL;
    close(s->out);
    close(s->err);
}

static void stop(struct e2e_server *s, int sign, const char *log)
{
    kill(s->pid, sign);
    int status = reap(s->pid, "the server");
    const char *text = e2e_stderr(s);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        e2e_fail("the server ended with wait status %#x", (unsigned)status);
    if (log == NULL && *text != '\0')
        e2e_fail("the server wrote to stderr");
    if (log != NULL && (strstr(text, log) == NULL || strstr(text, "Sanitizer") != NULL ||
                        strstr(text, "runtime error") != NULL))
        e2e_fail("stderr is not as expected; wanted: %s", log);
    forget(s);
}

void e2e_kill(struct e2e_server *s)
{
    kill(s->pid, SIGKILL);
    reap(s->pid, "the server");
    forget(s);
}

void e2e_stop(struct e2e_server *s)
{
    stop(s, SIGTERM, NULL);
}

void e2e_stop_log(struct e2e_server *s, int sign, const char *log)
{
    stop(s, sign, log);
}

long e2e_memory(const struct e2e_server *s, const char *field)
{
    char path[64], line[256];
    long kb = -1;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)s->pid);
    FILE *f = fopen(path, "re");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, field, strlen(field)) == 0 && line[strlen(field)] == ':')
            kb = strtol(line + strlen(field) + 1, NULL, 10);
    fclose(f);
    ck_assert_int_ge(kb, 0);
    return kb * 1024;
}

/* ---- connections ---- */

static struct e2e_conn *conn_new(int fd)
{
    struct e2e_conn *c = calloc(1, sizeof(*c));
    ck_assert_ptr_nonnull(c);
    c->fd = fd;
    c->cap = 16384;
    c->buf = malloc(c->cap);
    ck_assert_ptr_nonnull(c->buf);
    c->buf[0] = '\0';
    c->next = conns;
    conns = c;
    return c;
}

static int connect_to(const struct sockaddr *addr, socklen_t len, int receive_buffer)
{
    int one = 1;
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ne(fd, -1);
    if (receive_buffer > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    if (connect(fd, addr, len) == -1)
        e2e_fail("connect: %s", strerror(errno));
    if (addr->sa_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    ck_assert_int_ne(fcntl(fd, F_SETFL, O_NONBLOCK), -1);
    return fd;
}

static struct e2e_conn *open_url(const char *url, int receive_buffer)
{
    if (strncmp(url, "unix:", 5) == 0) {
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        snprintf(un.sun_path, sizeof(un.sun_path), "%s", url + 5);
        return conn_new(connect_to((struct sockaddr *)&un, sizeof(un), receive_buffer));
    }
    const char *port = strrchr(url, ':');
    ck_assert_msg(strncmp(url, "http://", 7) == 0 && port != NULL, "not an address: %s", url);
    if (url[7] == '[') {
        char host[64] = "";
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
        snprintf(host, sizeof(host), "%.*s", (int)strcspn(url + 8, "]"), url + 8);
        in6.sin6_port = htons((uint16_t)atoi(port + 1));
        ck_assert_int_eq(inet_pton(AF_INET6, host, &in6.sin6_addr), 1);
        return conn_new(connect_to((struct sockaddr *)&in6, sizeof(in6), receive_buffer));
    }
    char host[64] = "";
    struct sockaddr_in in = {.sin_family = AF_INET};
    snprintf(host, sizeof(host), "%.*s", (int)(port - url - 7), url + 7);
    in.sin_port = htons((uint16_t)atoi(port + 1));
    ck_assert_int_eq(inet_pton(AF_INET, host, &in.sin_addr), 1);
    if (in.sin_addr.s_addr == htonl(INADDR_ANY))
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return conn_new(connect_to((struct sockaddr *)&in, sizeof(in), receive_buffer));
}

struct e2e_conn *e2e_open(const struct e2e_server *s)
{
    return open_url(s->address[0], 0);
}

struct e2e_conn *e2e_open_at(const struct e2e_server *s, unsigned address)
{
    ck_assert_uint_lt(address, s->addresses);
    return open_url(s->address[address], 0);
}

struct e2e_conn *e2e_open_admin(const struct e2e_server *s)
{
    return open_url(s->admin, 0);
}

struct e2e_conn *e2e_open_narrow(const struct e2e_server *s, int bytes)
{
    return open_url(s->address[0], bytes);
}

void e2e_close(struct e2e_conn *c)
{
    for (struct e2e_conn **p = &conns; *p != NULL; p = &(*p)->next) {
        if (*p == c) {
            *p = c->next;
            break;
        }
    }
    close(c->fd);
    free(c->buf);
    free(c);
}

void e2e_half_close(struct e2e_conn *c)
{
    ck_assert_int_eq(shutdown(c->fd, SHUT_WR), 0);
}

/* ---- sending ---- */

void e2e_send_n(struct e2e_conn *c, const void *bytes, size_t n)
{
    const char *p = bytes;
    int64_t deadline = e2e_now_ms() + E2E_WAIT_MS;
    while (n > 0) {
        ssize_t sent = send(c->fd, p, n, MSG_NOSIGNAL);
        if (sent == -1 && errno == EAGAIN) {
            struct pollfd out = {c->fd, POLLOUT, 0};
            if (poll(&out, 1, left_ms(deadline)) == 0)
                e2e_fail("the server did not take what was sent in time");
            continue;
        }
        if (sent == -1)
            e2e_fail("send: %s", strerror(errno));
        p += sent;
        n -= (size_t)sent;
    }
}

void e2e_send(struct e2e_conn *c, const char *text)
{
    e2e_send_n(c, text, strlen(text));
}

void e2e_printf(struct e2e_conn *c, const char *format, ...)
{
    static char text[65536];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    ck_assert_int_lt(n, (int)sizeof(text));
    e2e_send_n(c, text, (size_t)n);
}

void e2e_send_slowly(struct e2e_conn *c, const char *text)
{
    for (; *text != '\0'; text++) {
        e2e_send_n(c, text, 1);
        struct timespec pause = {0, 50000};
        nanosleep(&pause, NULL);
    }
}

size_t e2e_send_some(struct e2e_conn *c, const void *bytes, size_t most, int ms)
{
    size_t n = 0;
    while (n < most) {
        ssize_t sent = send(c->fd, (const char *)bytes + n, most - n, MSG_NOSIGNAL);
        if (sent > 0) {
            n += (size_t)sent;
            continue;
        }
        struct pollfd out = {c->fd, POLLOUT, 0};
        if (errno != EAGAIN || poll(&out, 1, ms) == 0)
            break;
    }
    return n;
}

/* ---- receiving ---- */

/* What came, cut to be shown. */
static const char *shown(const struct e2e_conn *c)
{
    static char text[2048];
    size_t o = 0;
    for (size_t i = 0; i < c->n && o < sizeof(text) - 8; i++) {
        unsigned char b = (unsigned char)c->buf[i];
        if (b == '\n' || (b >= 32 && b < 127))
            text[o++] = (char)b;
        else
            o += (size_t)snprintf(text + o, 8, "\\x%02x", b);
    }
    snprintf(text + o, sizeof(text) - o, "%s", c->eof ? "(end)" : "");
    return text;
}

/* Receives once; false when the deadline has passed. At the end c->eof is set. */
static bool receive(struct e2e_conn *c, int64_t deadline)
{
    struct pollfd p = {c->fd, POLLIN, 0};
    if (c->eof)
        return true;
    if (poll(&p, 1, left_ms(deadline)) == 0)
        return false;
    if (c->cap - c->n < 8192) {
        c->cap *= 2;
        c->buf = realloc(c->buf, c->cap);
        ck_assert_ptr_nonnull(c->buf);
    }
    ssize_t got = recv(c->fd, c->buf + c->n, c->cap - c->n - 1, 0);
    if (got == -1 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got == -1)
        e2e_fail("recv: %s; before it came: %s", strerror(errno), shown(c));
    if (got == 0)
        c->eof = true;
    c->n += (size_t)got;
    c->buf[c->n] = '\0';
    return true;
}

void e2e_need(struct e2e_conn *c, size_t n)
{
    int64_t deadline = e2e_now_ms() + E2E_WAIT_MS;
    while (c->n < n) {
        if (!receive(c, deadline))
            e2e_fail("%zu bytes came in time, not %zu: %s", c->n, n, shown(c));
        if (c->eof && c->n < n)
            e2e_fail("the end after %zu bytes, not %zu: %s", c->n, n, shown(c));
    }
}

char *e2e_until_or_end(struct e2e_conn *c, const char *text)
{
    int64_t deadline = e2e_now_ms() + E2E_WAIT_MS;
    size_t seen = 0;
    for (;;) {
        char *at = memmem(c->buf + seen, c->n - seen, text, strlen(text));
        if (at != NULL || c->eof)
            return at;
        seen = c->n > strlen(text) ? c->n - strlen(text) : 0;
        if (!receive(c, deadline))
            e2e_fail("\"%s\" did not come in time: %s", text, shown(c));
    }
}

char *e2e_until(struct e2e_conn *c, const char *text)
{
    char *at = e2e_until_or_end(c, text);
    if (at == NULL)
        e2e_fail("the end without \"%s\": %s", text, shown(c));
    return at;
}

void e2e_until_end(struct e2e_conn *c)
{
    int64_t deadline = e2e_now_ms() + E2E_WAIT_MS;
    while (!c->eof)
        if (!receive(c, deadline))
            e2e_fail("the server did not close in time: %s", shown(c));
}

void e2e_consume(struct e2e_conn *c, size_t n)
{
    ck_assert_uint_le(n, c->n);
    c->n -= n;
    memmove(c->buf, c->buf + n, c->n + 1);
}

void e2e_expect(struct e2e_conn *c, const char *format, ...)
{
    static char text[65536];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    ck_assert_int_lt(n, (int)sizeof(text));
    /* Compares as it comes, so that what differs is told at once and not after the deadline. */
    for (size_t i = 1; i <= (size_t)n; i++) {
        e2e_need(c, i);
        if (c->buf[i - 1] != text[i - 1])
            e2e_fail("differs at byte %zu; wanted: %s\ncame: %s", i - 1, text, shown(c));
    }
    e2e_consume(c, (size_t)n);
}

void e2e_expect_end(struct e2e_conn *c)
{
    e2e_until_end(c);
    if (c->n > 0)
        e2e_fail("more came before the end: %s", shown(c));
}

bool e2e_comes(struct e2e_conn *c, int ms)
{
    int64_t deadline = e2e_now_ms() + ms;
    while (c->n == 0 && !c->eof && receive(c, deadline))
        ;
    return c->n > 0 || c->eof;
}

void e2e_expect_silence(struct e2e_conn *c, int ms)
{
    if (e2e_comes(c, ms))
        e2e_fail("nothing was to come: %s", shown(c));
}

/* ---- HTTP ---- */

const char *e2e_field(const struct e2e_response *r, const char *name)
{
    static char value[4][2048];
    static unsigned turn;
    size_t n = strlen(name);
    for (const char *p = strstr(r->head, "\r\n"); p != NULL && p[2] != '\0';
         p = strstr(p, "\r\n")) {
        p += 2;
        if (strncasecmp(p, name, n) == 0 && p[n] == ':') {
            const char *v = p + n + 1 + strspn(p + n + 1, " \t");
            char *to = value[turn++ % 4];
            snprintf(to, sizeof(value[0]), "%.*s", (int)strcspn(v, "\r"), v);
            return to;
        }
    }
    return NULL;
}

bool e2e_field_has(const struct e2e_response *r, const char *name, const char *token)
{
    const char *v = e2e_field(r, name);
    while (v != NULL && *v != '\0') {
        v += strspn(v, ", ");
        size_t n = strcspn(v, ", ");
        if (n == strlen(token) && strncasecmp(v, token, n) == 0)
            return true;
        v += n;
    }
    return false;
}

static void read_head(struct e2e_conn *c, struct e2e_response *r)
{
    char *end = e2e_until(c, "\r\n\r\n") + 4;
    size_t n = (size_t)(end - c->buf);
    r->size = 0;
    r->body[0] = '\0';
    if (n >= sizeof(r->head))
        e2e_fail("a head too long: %s", shown(c));
    memcpy(r->head, c->buf, n);
    r->head[n] = '\0';
    e2e_consume(c, n);
    if (strncmp(r->head, "HTTP/1.1 ", 9) != 0 || r->head[12] != ' ')
        e2e_fail("not an answer of HTTP/1.1: %s", r->head);
    r->status = atoi(r->head + 9);
    for (const char *p = r->head; *p != '\0'; p++)
        if ((*p == '\n' && p[-1] != '\r') || (*p == '\r' && p[1] != '\n'))
            e2e_fail("a lone CR or LF in a head: %s", r->head);
    if (e2e_field(r, "Date") == NULL)
        e2e_fail("no Date in an answer (RFC 9110 section 6.6.1): %s", r->head);
}

/* An error is JSON with its status, a title and a detail (RFC 9457). */
static void check_problem(const struct e2e_response *r)
{
    char status[32];
    const char *type = e2e_field(r, "Content-Type");
    if (type == NULL || strcmp(type, "application/problem+json") != 0)
        e2e_fail("an error that is not application/problem+json: %s%s", r->head, r->body);
    snprintf(status, sizeof(status), "\"status\":%d", r->status);
    if (r->size > 0 &&
        (strstr(r->body, status) == NULL || strstr(r->body, "\"title\":\"") == NULL ||
         strstr(r->body, "\"detail\":\"") == NULL))
        e2e_fail("a problem without status, title or detail: %s%s", r->head, r->body);
}

/* A body that says it is JSON must be; of lines, each. */
static void check_json(const struct e2e_response *r)
{
    struct json_value v;
    size_t at;
    struct span rest = {r->body, r->size};
    const char *type = e2e_field(r, "Content-Type");
    bool lines = type != NULL && strcmp(type, "application/x-ndjson") == 0;
    while (rest.n > 0 && type != NULL && strstr(type, "json") != NULL) {
        struct span text = lines ? span_cut(&rest, '\n') : rest;
        if (!json_read(text, &v, &at))
            e2e_fail("not JSON at byte %zu: %s", at, r->body);
        rest.n = lines ? rest.n : 0;
    }
}

static void read_response(struct e2e_conn *c, struct e2e_response *r, bool head)
{
    do {
        read_head(c, r);
    } while (r->status == 100);
    const char *length = e2e_field(r, "Content-Length");
    bool none = head || r->status == 204 || r->status == 304;
    if (r->status == 204 && length != NULL)
        e2e_fail("Content-Length in a 204 (RFC 9110 section 8.6): %s", r->head);
    if (!none && length != NULL) {
        r->size = (size_t)strtoull(length, NULL, 10);
        if (r->size >= sizeof(r->body))
            e2e_fail("a body of %zu bytes", r->size);
        e2e_need(c, r->size);
        memcpy(r->body, c->buf, r->size);
        r->body[r->size] = '\0';
        e2e_consume(c, r->size);
    }
    if (r->status >= 400)
        check_problem(r);
    check_json(r);
}

void e2e_response(struct e2e_conn *c, struct e2e_response *r)
{
    read_response(c, r, false);
}

void e2e_response_head(struct e2e_conn *c, struct e2e_response *r)
{
    read_response(c, r, true);
}

__attribute__((format(printf, 3, 0))) /* asks over c, and closes it */
static void
ask_over(struct e2e_conn *c, struct e2e_response *r, const char *format, va_list ap)
{
    static char text[65536];
    int n = vsnprintf(text, sizeof(text), format, ap);
    ck_assert_int_lt(n, (int)sizeof(text));
    e2e_send_n(c, text, (size_t)n);
    read_response(c, r, strncmp(text, "HEAD ", 5) == 0);
    e2e_close(c);
}

bool e2e_measures(void)
{
    struct stat st;
    int fd = open(binary(), O_RDONLY | O_CLOEXEC);
    ck_assert(fd != -1 && fstat(fd, &st) == 0);
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    ck_assert_ptr_ne(bytes, MAP_FAILED);
    bool sanitized = memmem(bytes, (size_t)st.st_size, "__asan_init", 11) != NULL;
    munmap(bytes, (size_t)st.st_size);
    close(fd);
    return !sanitized;
}

void e2e_rests(const struct e2e_server *s)
{
    enum { WHILE_MS = 300, TURNS = 150 }; /* as many as its timers need; one that spins has more */
    static struct e2e_response r;
    int64_t deadline = e2e_now_ms() + E2E_WAIT_MS;
    long long before, turns = 0;
    do {
        before = turns;
        e2e_sleep_ms(WHILE_MS);
        e2e_ask(s, &r, "GET /-/metrics HTTP/1.1\r\nHost: test\r\n\r\n");
        turns = metric_sum(r.body, "sse_turns_total");
        if (left_ms(deadline) == 0)
            e2e_fail("the server does not rest: %lld turns in %d ms", turns - before, WHILE_MS);
    } while (before == 0 || turns - before > TURNS);
}

struct e2e_conn *e2e_room(const struct e2e_server *s)
{
    static struct e2e_response r;
    int64_t deadline = e2e_now_ms() + E2E_WAIT_MS;
    for (;;) {
        struct e2e_conn *c = e2e_open(s);
        e2e_send(c, "GET /room HTTP/1.1\r\nHost: test\r\n\r\n");
        e2e_response(c, &r);
        if (r.status != 503)
            return c;
        if (left_ms(deadline) == 0)
            e2e_fail("there is no room: %s%s", r.head, r.body);
        e2e_close(c);
        e2e_sleep_ms(2);
    }
}

void e2e_ask(const struct e2e_server *s, struct e2e_response *r, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    ask_over(e2e_open(s), r, format, ap);
    va_end(ap);
}

void e2e_ask_admin(const struct e2e_server *s, struct e2e_response *r, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    ask_over(e2e_open_admin(s), r, format, ap);
    va_end(ap);
}

void e2e_expect_status(const struct e2e_response *r, int status, const char *detail)
{
    const char *at = strstr(r->body, "\"detail\":\"");
    if (r->status != status)
        e2e_fail("the status is %d, not %d: %s%s", r->status, status, r->head, r->body);
    if (detail != NULL && (at == NULL || strstr(at, detail) == NULL))
        e2e_fail("the detail does not tell \"%s\": %s", detail, r->body);
}

/* ---- publishing and subscribing ---- */

static void send_publish(struct e2e_conn *c, const char *target, const char *type,
                         const void *bytes, size_t n)
{
    e2e_printf(c, "POST %s HTTP/1.1\r\nHost: test\r\n%s%s%sContent-Length: %zu\r\n\r\n", target,
               type != NULL ? "Content-Type: " : "", type != NULL ? type : "",
               type != NULL ? "\r\n" : "", n);
    e2e_send_n(c, bytes, n);
}

void e2e_send_publish(struct e2e_conn *c, const char *target, const void *bytes, size_t n)
{
    send_publish(c, target, NULL, bytes, n);
}

const char *e2e_publish_as(const struct e2e_server *s, const char *target, const char *type,
                           const void *bytes, size_t n)
{
    static char ids[16][64];
    static unsigned turn;
    static struct e2e_response r;
    struct e2e_conn *c = e2e_open(s);
    send_publish(c, target, type, bytes, n);
    e2e_response(c, &r);
    e2e_close(c);
    if (r.status != 201)
        e2e_fail("publishing to %s was answered %s%s", target, r.head, r.body);
    const char *id = strstr(r.body, "\"id\":\"");
    if (id == NULL)
        e2e_fail("no id in the answer: %s", r.body);
    char *to = ids[turn++ % 16];
    snprintf(to, sizeof(ids[0]), "%.*s", (int)strcspn(id + 6, "\""), id + 6);
    return to;
}

const char *e2e_publish(const struct e2e_server *s, const char *target, const char *text)
{
    return e2e_publish_as(s, target, NULL, text, strlen(text));
}

const char *e2e_subscribe_on(struct e2e_conn *c, const char *target, const char *fields)
{
    static struct e2e_response r;
    static char id[64];
    struct e2e_block b;
    e2e_printf(c, "GET %s HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n%s\r\n", target,
               fields != NULL ? fields : "");
    e2e_response(c, &r);
    if (r.status != 200)
        e2e_fail("subscribing to %s was answered %s%s", target, r.head, r.body);
    ck_assert_str_eq(e2e_field(&r, "Content-Type"), "text/event-stream; charset=utf-8");
    ck_assert_str_eq(e2e_field(&r, "Cache-Control"), "no-store, no-transform");
    ck_assert_str_eq(e2e_field(&r, "X-Accel-Buffering"), "no");
    ck_assert_ptr_null(e2e_field(&r, "Transfer-Encoding"));
    ck_assert_ptr_null(e2e_field(&r, "Content-Length"));
    e2e_block(c, &b);
    if (b.retry < 0 || !b.has_id || b.has_data || b.event[0] != '\0')
        e2e_fail("a stream does not open with retry and id alone");
    snprintf(id, sizeof(id), "%s", b.id);
    return id;
}

struct e2e_conn *e2e_subscribe(const struct e2e_server *s, const char *target, const char *fields)
{
    struct e2e_conn *c = e2e_open(s);
    e2e_subscribe_on(c, target, fields);
    return c;
}

static void add_data(struct e2e_block *b, const char *value, size_t n)
{
    if (b->size + n + 2 > sizeof(b->data))
        e2e_fail("the data of a block is too long for struct e2e_block");
    if (b->has_data)
        b->data[b->size++] = '\n';
    memcpy(b->data + b->size, value, n);
    b->size += n;
    b->data[b->size] = '\0';
    b->has_data = true;
}

/* Takes one line into the block. The server writes "field: value" and nothing else. */
static void add_line(struct e2e_block *b, const char *line, size_t n)
{
    const char *value = memmem(line, n, ": ", 2);
    if (value == NULL)
        e2e_fail("not a line of this server's streams: %.*s", (int)n, line);
    size_t name = (size_t)(value - line), size = n - name - 2;
    value += 2;
    if (name == 4 && memcmp(line, "data", 4) == 0) {
        add_data(b, value, size);
    } else if (name == 5 && memcmp(line, "event", 5) == 0) {
        snprintf(b->event, sizeof(b->event), "%.*s", (int)size, value);
    } else if (name == 2 && memcmp(line, "id", 2) == 0) {
        snprintf(b->id, sizeof(b->id), "%.*s", (int)size, value);
        b->has_id = true;
    } else if (name == 5 && memcmp(line, "retry", 5) == 0) {
        b->retry = strtol(value, NULL, 10);
    } else {
        e2e_fail("not a field of this server's streams: %.*s", (int)n, line);
    }
}

void e2e_block(struct e2e_conn *c, struct e2e_block *b)
{
    *b = (struct e2e_block){.retry = -1};
    bool any = false;
    for (;;) {
        const char *end = e2e_until(c, "\n");
        size_t n = (size_t)(end - c->buf);
        bool over = n == 0, comment = n == 1 && c->buf[0] == ':';
        if (over && !any)
            e2e_fail("an empty line that ends nothing");
        if (!over && !comment) {
            add_line(b, c->buf, n);
            any = true;
        }
        e2e_consume(c, n + 1);
        if (over)
            return;
    }
}

void e2e_expect_message(struct e2e_conn *c, const char *event, const char *data, const char *id)
{
    struct e2e_block b;
    e2e_block(c, &b);
    if (strcmp(b.event, event != NULL ? event : "") != 0 || strcmp(b.data, data) != 0 ||
        (id != NULL && strcmp(b.id, id) != 0) || !b.has_id || b.retry != -1)
        e2e_fail("wanted event \"%s\", data \"%s\", id %s; came event \"%s\", data \"%s\", id %s",
                 event != NULL ? event : "", data, id != NULL ? id : "(any)", b.event, b.data,
                 b.id);
}
