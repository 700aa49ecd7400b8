/*
 * faults_run.h - one run of a server with a fault in it, for test/e2e/faults.c: the process,
 * clients that bear the loss of a connection, and what must hold whatever failed.
 *
 * A run is a process of its own, which ends with the first thing that is wrong; what that was comes
 * to run.verdict, which is shared memory. A client may be LOST: its connection ended, or its
 * request was refused. How many may be depends on the call that failed; none may be left waiting.
 */
#ifndef SSE_TEST_KIT_FAULTS_RUN_H
#define SSE_TEST_KIT_FAULTS_RUN_H

#include "lib/hash.h"
#include "lib/host/keeper.h"
#include "test/kit/close.h"
#include "test/kit/faults.h"
#include "test/kit/kit.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define RUN_WAIT_MS  60000 /* for anything to happen: the machine may be busy */
#define RUN_QUIET_MS 100
#define QUIET_CALLS  300 /* in that time: a loop that spins makes thousands */
#define CLIENTS_MAX  200
#define CLIENT_BYTES (1u << 20)

struct verdict {
    bool bad, refused, died_taken;
    unsigned lost, fired, runs;
    char text[6000];
};

struct client {
    int fd; /* -1: lost, or closed */
    size_t n;
    char *buf; /* what came and was not heard yet */
};

/* The run that this process is. */
static struct {
    const char *binary;
    char dir[64];
    struct faults *faults;
    struct verdict *verdict;
    unsigned lost_max;
    pid_t pid;
    int err;     /* its stderr, a file in memory */
    int port;    /* 0: it has not told */
    int given;   /* a listener to hand over, or -1 */
    bool admin;  /* metrics are at the unix socket */
    bool ready;  /* it has started */
    bool ending; /* it was told to */
    unsigned descriptors;
    struct client client[CLIENTS_MAX];
    unsigned clients;
} run_;

/* ---- verdicts -------------------------------------------------------------------------------- */

static inline int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline void pause_ms(int ms)
{
    poll(NULL, 0, ms);
}

static inline const char *log_text(void)
{
    static char text[16384];
    ssize_t n = pread(run_.err, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

/* Returns true if the tested process has failed, or its harness. */
static inline unsigned fired(void)
{
    const struct faults_armed *a = run_.faults->armed;
    return atomic_load(&a[0].fired) + atomic_load(&a[1].fired);
}

/* Returns true if a program that has taken over has failed. */
static inline bool fired_taken(void)
{
    const struct faults_armed *a = run_.faults->armed;
    return (atomic_load(&a[0].fired) > 0 && a[0].life == FAULTS_TAKEN) ||
           (atomic_load(&a[1].fired) > 0 && a[1].life == FAULTS_TAKEN);
}

/* Returns true if a call of this name has failed. */
static inline bool fired_in(const char *call)
{
    const struct faults_armed *a = run_.faults->armed;
    return (atomic_load(&a[0].fired) > 0 && strcmp(a[0].call, call) == 0) ||
           (atomic_load(&a[1].fired) > 0 && strcmp(a[1].call, call) == 0);
}

/* Ends the run, and the server with it. */
static inline _Noreturn void run_end(void)
{
    if (run_.pid > 0 && kill(run_.pid, SIGKILL) == 0)
        waitpid(run_.pid, NULL, 0);
    run_.verdict->fired = atomic_load(&run_.faults->armed[0].fired);
    _exit(0);
}

__attribute__((noreturn, format(printf, 1, 2))) static inline void broken(const char *format, ...)
{
    struct verdict *v = run_.verdict;
    va_list ap;
    pause_ms(100); /* a sanitizer may be writing its report */
    va_start(ap, format);
    int n = vsnprintf(v->text, sizeof v->text / 2, format, ap);
    va_end(ap);
    snprintf(v->text + n, sizeof v->text - (size_t)n, "\n%s", log_text());
    v->bad = true;
    run_end();
}

/* A sync that was only interrupted may have been done again. */
static inline bool sync_failed(void)
{
    return (fired_in("fdatasync") || fired_in("msync")) && run_.faults->armed[0].error != EINTR;
}

/* After the exec of an upgrade there is no way back: what was there on trial and is not any more is
 * the end of it. */
static inline bool may_end_taken(void)
{
    static const char *const call[] = {"epoll_ctl", "fstat",     "getrandom", "getrlimit",  "mmap",
                                       "pread",     "setrlimit", "signalfd",  "sigprocmask"};
    for (size_t i = 0; i < COUNT(call); i++)
        if (fired_in(call[i]))
            return true;
    return false;
}

/* A store that can't begin its thread syncs by itself, and has no eventfd. After an upgrade it may
 * be otherwise, once the program before it had none. */
static inline bool lacks_thread(void)
{
    return fired_in("eventfd") || fired_in("pthread_attr_init") || fired_in("pthread_create");
}

/* Returns true if it may have that many descriptors, when it had `before` at its beginning. */
static inline bool descriptors_right(unsigned n, unsigned before)
{
    return n == before || (lacks_thread() && (fired_taken() ? n + 1 == before : n == before + 1));
}

static inline void log_check(void)
{
    static const char *const bad[] = {"Sanitizer", "runtime error", "Assertion", "assert"};
    for (size_t i = 0; i < COUNT(bad); i++)
        if (strstr(log_text(), bad[i]) != NULL)
            broken("it wrote of a %s", bad[i]);
}

/* It has ended for a sync that failed: it says so. */
static inline void sync_ended(int status)
{
    if (WEXITSTATUS(status) != EX_IOERR)
        broken("a sync failed, and it ended with %d", WEXITSTATUS(status));
    if (strstr(log_text(), "could not be synced") == NULL)
        broken("a sync that failed is not logged");
}

/* The server has ended by itself: it may have refused to start, with a message and a code of
 * sysexits.h; also where it had to start again, for an upgrade. */
static inline _Noreturn void ended(int status)
{
    run_.pid = 0;
    log_check();
    if (!WIFEXITED(status))
        broken("it died of signal %d", WTERMSIG(status));
    if (fired() == 0)
        broken("it ended with %d, without a fault", WEXITSTATUS(status));
    if (run_.ready && sync_failed()) { /* no other sync makes that good */
        sync_ended(status);
        run_end();
    }
    if (run_.ready && !(fired_taken() && may_end_taken()))
        broken("it ended with %d", WEXITSTATUS(status));
    if (WEXITSTATUS(status) < 64 || WEXITSTATUS(status) > 78)
        broken("it refused to start with %d, which is not of sysexits.h", WEXITSTATUS(status));
    if (strstr(log_text(), "sse: ") == NULL && !fired_in("write"))
        broken("it refused to start with %d, and did not say why", WEXITSTATUS(status));
    run_.verdict->refused = true;
    run_.verdict->died_taken = run_.ready;
    run_end();
}

static inline void alive_check(int ms)
{
    int status;
    for (int64_t end = now_ms() + ms;;) {
        if (waitpid(run_.pid, &status, WNOHANG) == run_.pid)
            ended(status);
        if (now_ms() >= end)
            return;
        pause_ms(2);
    }
}

/* ---- clients --------------------------------------------------------------------------------- */

static inline void lost(struct client *c, const char *why)
{
    run_.verdict->lost++;
    if (c->fd != -1)
        close(c->fd);
    c->fd = -1;
    alive_check(run_.verdict->lost > run_.lost_max ? RUN_WAIT_MS / 6 : 20);
    if (run_.verdict->lost > run_.lost_max)
        broken("%u clients were lost, the last one: %s", run_.verdict->lost, why);
}

static inline void drop(struct client *c)
{
    if (c->fd != -1)
        close(c->fd);
    c->fd = -1;
}

/* The same for the one that was dialled last, which is not looked at any more. */
static inline void forget(struct client *c)
{
    drop(c);
    free(c->buf);
    run_.clients--;
    ck_assert_ptr_eq(c, &run_.client[run_.clients]);
}

static inline void drop_all(void)
{
    for (unsigned i = 0; i < run_.clients; i++) {
        drop(&run_.client[i]);
        free(run_.client[i].buf);
    }
    run_.clients = 0;
}

/* Connects, by TCP or at the unix socket of the run's directory; with a small receive buffer. */
static inline struct client *dial_place(bool tcp, int bytes)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct client *c = &run_.client[run_.clients++];
    ck_assert_uint_lt(run_.clients, CLIENTS_MAX);
    snprintf(un.sun_path, sizeof un.sun_path, "%s/s", run_.dir);
    in.sin_port = htons((uint16_t)run_.port);
    *c = (struct client){.fd = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    c->buf = calloc(1, CLIENT_BYTES);
    ck_assert_ptr_nonnull(c->buf);
    if (bytes > 0)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if ((tcp ? connect(c->fd, (struct sockaddr *)&in, sizeof in)
             : connect(c->fd, (struct sockaddr *)&un, sizeof un)) == -1) {
        int err = errno;
        alive_check(RUN_WAIT_MS / 6);
        broken("connect: %s", strerror(err));
    }
    return c;
}

/* The same by TCP if the port is known and this is wanted. */
static inline struct client *dial_narrow(bool tcp, int bytes)
{
    return dial_place(run_.given != -1 || (tcp && run_.port != 0), bytes);
}

static inline struct client *dial(bool tcp)
{
    return dial_narrow(tcp, 0);
}

static inline void tell_n(struct client *c, const void *bytes, size_t n)
{
    if (c->fd != -1 && send(c->fd, bytes, n, MSG_NOSIGNAL) != (ssize_t)n)
        lost(c, strerror(errno));
}

__attribute__((format(printf, 2, 3))) static inline void tell(struct client *c, const char *format,
                                                              ...)
{
    static char text[8192];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    tell_n(c, text, (size_t)n);
}

/* Receives until the text is there; returns where, or NULL: the client is lost. */
static inline char *find(struct client *c, const char *text)
{
    int64_t end = now_ms() + RUN_WAIT_MS;
    while (c->fd != -1) {
        char *at = memmem(c->buf, c->n, text, strlen(text));
        if (at != NULL)
            return at;
        struct pollfd p = {c->fd, POLLIN, 0};
        ck_assert_uint_lt(c->n, CLIENT_BYTES - 1);
        if (poll(&p, 1, (int)(end > now_ms() ? end - now_ms() : 0)) == 0) {
            alive_check(0);
            broken("a client is left waiting for \"%s\"; it has: %.500s", text, c->buf);
        }
        ssize_t n = recv(c->fd, c->buf + c->n, CLIENT_BYTES - 1 - c->n, 0);
        if (n <= 0) {
            char why[200];
            snprintf(why, sizeof why, "the end before \"%s\"; it has: %.100s", text, c->buf);
            lost(c, why);
            return NULL;
        }
        c->n += (size_t)n;
        c->buf[c->n] = '\0';
    }
    return NULL;
}

/* The same, and drops all up to its end. False: the client is lost. */
static inline bool hear(struct client *c, const char *text)
{
    char *at = find(c, text);
    if (at == NULL)
        return false;
    size_t used = (size_t)(at - c->buf) + strlen(text);
    memmove(c->buf, c->buf + used, (c->n -= used) + 1);
    return true;
}

/* The next answer must have this status. */
static inline bool answered(struct client *c, const char *status)
{
    if (!hear(c, "HTTP/1.1 ") || find(c, "\r\n\r\n") == NULL)
        return false;
    if (strncmp(c->buf, status, 3) != 0) {
        char why[200];
        snprintf(why, sizeof why, "answered %.150s, not %s", c->buf, status);
        lost(c, why);
        return false;
    }
    return hear(c, "\r\n\r\n");
}

/* ---- what clients do ------------------------------------------------------------------------- */

static inline struct client *subscribe(bool tcp, const char *target)
{
    struct client *c = dial(tcp);
    tell(c, "GET %s HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n", target);
    if (answered(c, "200"))
        hear(c, "\n\n");
    return c;
}

static inline struct client *subscribe_lines(bool tcp, const char *target)
{
    struct client *c = dial(tcp);
    tell(c, "GET %s?wait=1 HTTP/1.1\r\nHost: test\r\nAccept: application/x-ndjson\r\n\r\n", target);
    answered(c, "200");
    return c;
}

static inline struct client *subscribe_socket(bool tcp, const char *target)
{
    struct client *c = dial(tcp);
    tell(c,
         "GET %s HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
         target);
    answered(c, "101");
    return c;
}

/* A text frame, masked with zeros. */
static inline void tell_frame(struct client *c, const char *text)
{
    char frame[128];
    size_t n = strlen(text);
    ck_assert_uint_lt(n, 100);
    memcpy(frame, "\x81\0\0\0\0", 6);
    frame[1] = (char)(0x80 | n);
    memcpy(frame + 6, text, n);
    tell_n(c, frame, 6 + n);
}

/* Publishes over a connection of its own, again if that is lost; the id comes to id[64]. */
static inline void publish_as(bool tcp, const char *type, const char *status, const char *target,
                              const void *bytes, size_t n, char *id)
{
    for (unsigned times = 0; times < 2 + run_.lost_max; times++) {
        struct client *c = dial(tcp);
        tell(c, "POST %s HTTP/1.1\r\nHost: test\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
             target, type, n);
        tell_n(c, bytes, n);
        bool done =
            answered(c, status) && (id == NULL || (hear(c, "\"id\":\"") && find(c, "\"") != NULL));
        if (done && id != NULL)
            snprintf(id, 64, "%.*s", (int)strcspn(c->buf, "\""), c->buf);
        forget(c);
        if (done)
            return;
    }
    broken("cannot publish to %s", target);
}

static inline void publish(bool tcp, const char *target, const char *text)
{
    publish_as(tcp, "text/plain", "201", target, text, strlen(text), NULL);
}

/* A counter of /-/metrics. */
static inline long long metric(const char *name)
{
    char line[128];
    snprintf(line, sizeof line, "\nsse_%s ", name);
    for (unsigned times = 0; times < 2 + run_.lost_max; times++) {
        struct client *c = run_.admin ? dial_place(false, 0) : dial(false);
        tell(c, "GET /-/metrics HTTP/1.1\r\nHost: test\r\n\r\n");
        bool done = answered(c, "200") && hear(c, line) && find(c, "\n") != NULL;
        long long value = strtoll(c->buf, NULL, 10);
        forget(c);
        if (done)
            return value;
    }
    broken("no metric %s", name);
}

/* ---- the server ------------------------------------------------------------------------------ */

/* Where it is told from: descriptors that it should not have are closed, as a parent would. */
static inline _Noreturn void become(const char *const flags[], int out, pid_t parent)
{
    static char map[128], notify[128], pid[64], user[64];
    static char asan[] = "ASAN_OPTIONS=detect_leaks=1", count[] = "LISTEN_FDS=1";
    static char journal[] = "JOURNAL_STREAM=1:1"; /* which stderr is not */
    static char host[] = "SSE_HOST=test";         /* what the scenes have in Host */
    char *environment[] = {asan, journal, map, notify, user, host, run_.given != -1 ? count : NULL,
                           pid,  NULL};
    const char *argv[32] = {run_.binary};
    struct rlimit files = {200, 256};
    for (unsigned i = 0; flags[i] != NULL; i++)
        argv[i + 1] = flags[i];
    snprintf(user, sizeof user, "SSE_USER=%u:%u", geteuid(), getegid());
    snprintf(map, sizeof map, FAULTS_ENV "=%s/faults", run_.dir);
    snprintf(notify, sizeof notify, "NOTIFY_SOCKET=%s/n", run_.dir);
    snprintf(pid, sizeof pid, "LISTEN_PID=%d", (int)getpid());
    int null = open("/dev/null", O_RDONLY);
    if (dup2(null, 0) == -1 || dup2(out, 1) == -1 || dup2(run_.err, 2) == -1)
        _exit(126);
    if (run_.given != -1) {
        dup2(run_.given, 3);
        close(0);
    }
    close_from(run_.given != -1 ? 4 : 3);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || setrlimit(RLIMIT_NOFILE, &files) == -1)
        _exit(126);
    /* The array is argv, which execve() does not write to; its type is older than const. */
    execve(argv[0], (char *const *)(uintptr_t)argv, environment);
    _exit(127);
}

/* How many descriptors it has; the lowest number that is free comes to *unused. */
static inline unsigned descriptors(unsigned *unused)
{
    char path[64];
    bool used[1024] = {false};
    unsigned n = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)run_.pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.') {
            used[strtoul(e->d_name, NULL, 10) % COUNT(used)] = true;
            n++;
        }
    if (d != NULL)
        closedir(d);
    for (*unused = 0; used[*unused]; ++*unused) {
    }
    return n;
}

static inline void descriptors_settle(void)
{
    unsigned unused, n = 0;
    for (int64_t end = now_ms() + RUN_WAIT_MS; now_ms() < end; pause_ms(3))
        if (descriptors_right(n = descriptors(&unused), run_.descriptors))
            return;
    alive_check(0);
    broken("it has %u descriptors, not %u as when it began", n, run_.descriptors);
}

/* Reads the lines with its addresses; a listener whose address is taken has none. */
static inline void ready_wait(int out, unsigned listeners)
{
    char text[1024] = "";
    size_t n = 0;
    unsigned lines = 0;
    for (int64_t end = now_ms() + RUN_WAIT_MS; lines < listeners && now_ms() < end;) {
        struct pollfd p = {out, POLLIN, 0};
        if (poll(&p, 1, fired() > 0 ? RUN_WAIT_MS / 20 : RUN_WAIT_MS) == 0)
            break;
        ssize_t got = read(out, text + n, sizeof text - 1 - n);
        if (got <= 0) {
            alive_check(RUN_WAIT_MS);
            broken("it closed its stdout");
        }
        for (; got > 0; got--)
            lines += text[n++] == '\n';
        text[n] = '\0';
    }
    if (lines < listeners && fired() == 0)
        broken("it does not say that it is ready: %s", text);
    const char *port = strstr(text, "http://127.0.0.1:");
    run_.port = run_.given != -1 ? run_.port : port != NULL ? atoi(port + 17) : 0;
    run_.ready = true;
}

/* Starts it; comes back when it serves. */
static inline void start(unsigned listeners, const char *const flags[])
{
    int out[2];
    pid_t parent = getpid();
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    run_.ready = run_.ending = false;
    run_.err = memfd_create("stderr", MFD_CLOEXEC);
    run_.pid = fork();
    if (run_.pid == 0)
        become(flags, out[1], parent);
    close(out[1]);
    ready_wait(out[0], listeners);
    unsigned unused;
    struct client *c = dial(false); /* it is through with its start when it answers */
    tell(c, "GET /-/sse.js HTTP/1.1\r\nHost: test\r\n\r\n");
    if (!answered(c, "200")) {
        c = dial(false);
        tell(c, "GET /-/sse.js HTTP/1.1\r\nHost: test\r\n\r\n");
        answered(c, "200");
    }
    run_.descriptors = descriptors(&unused) - 1;
    drop(c);
}

/* It has nothing to do: then it comes to do next to nothing. On a busy machine it may take a while
 * until it has done what it had. Calls are counted, not the time they take: what spins without a
 * call answers nobody. */
static inline void quiet_check(const char *when)
{
    unsigned long long calls, before;
    int64_t end = now_ms() + RUN_WAIT_MS;
    pause_ms(20);
    do {
        before = atomic_load(&run_.faults->calls);
        pause_ms(RUN_QUIET_MS);
        calls = atomic_load(&run_.faults->calls) - before;
        alive_check(0);
        if (now_ms() > end)
            broken("%s it made %llu calls in %d ms of quiet", when, calls, RUN_QUIET_MS);
    } while (calls > QUIET_CALLS);
}

/* A new client can subscribe, and hear what another publishes. */
static inline void serves_check(void)
{
    for (int i = 0; i < 2; i++) {
        struct client *c = subscribe(i == 0, "/last");
        publish(i != 0, "/last", i == 0 ? "by one way" : "by the other");
        hear(c, i == 0 ? "data: by one way\n" : "data: by the other\n");
        drop(c);
    }
}

/* SIGTERM: it ends, with 0. */
static inline void stop(void)
{
    int status;
    char path[128];
    run_.ending = true;
    kill(run_.pid, SIGTERM);
    for (int64_t end = now_ms() + RUN_WAIT_MS; waitpid(run_.pid, &status, WNOHANG) != run_.pid;) {
        if (now_ms() > end)
            broken("it does not end");
        pause_ms(2);
    }
    run_.pid = 0;
    log_check();
    if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && !sync_failed()))
        broken("it ended with status %#x", (unsigned)status);
    snprintf(path, sizeof path, "%s/s", run_.dir);
    if (sync_failed())
        sync_ended(status);
    if (fired() == 0 && access(path, F_OK) == 0)
        broken("it left its socket behind");
}

/* Returns true if that process is the keeper of the key file, which ends with the server. */
static inline bool is_keeper(int pid)
{
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    FILE *f = fopen(path, "re");
    bool read_ = f != NULL && fscanf(f, "%31s", name) == 1;
    if (f != NULL)
        fclose(f);
    return read_ && strcmp(name, KEEPER_NAME) == 0;
}

/* Every descriptor of its own is closed by an exec, and no child of it is left behind. */
static inline void children_check(void)
{
    char path[64], name[400], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/fdinfo", (int)run_.pid);
    DIR *d = fired_in("fcntl") || run_.given != -1 ? NULL : opendir(path);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.' || atoi(e->d_name) <= 2)
            continue;
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        FILE *f = fopen(name, "re");
        unsigned flags = 0;
        if (f != NULL && fscanf(f, "pos: %*s flags: %o", &flags) == 1 && !(flags & O_CLOEXEC))
            broken("descriptor %s would pass an exec", e->d_name);
        if (f != NULL)
            fclose(f);
    }
    if (d != NULL)
        closedir(d);
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)run_.pid, (int)run_.pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd != -1 ? read(fd, text, sizeof text - 1) : 0;
    for (char *at = text, *end; n > 0 && strtol(at, &end, 10) > 0; at = end)
        if (!is_keeper((int)strtol(at, &end, 10)))
            broken("it has left a child behind: %s", text);
    close(fd);
}

/* What holds at the end of each run. */
static inline void check_and_stop(void)
{
    drop_all();
    descriptors_settle();
    serves_check();
    descriptors_settle();
    quiet_check("without clients,");
    children_check();
    stop();
}

#endif
