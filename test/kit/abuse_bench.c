/*
 * abuse_bench.c - a server, honest clients who are measured, and processes that abuse it.
 */
#include "test/kit/abuse_bench.h"
#include "test/kit/close.h"
#include "test/kit/metric.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
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
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    ABUSERS_MAX = 64,
    SERIES_MAX = 1 << 15,
    NORMAL_MS = 400,
    SETTLE_MS = 10,
    WARM_MS = 50,
    PUBLISH_MS = 5,
    ASK_MS = 20,
    FRESH_FROM = 199,    /* 127.0.0.200: where new honest connections come from */
    IDLE_MS = 500,       /* the idle server is watched so long, ... */
    RATIONED = 90,       /* percent of its core that the server used */
    PATIENCE_MS = 60000, /* for anything that must come at all, on a busy machine */
    TOPIC_BYTES = 640,   /* of a topic: its entry, chain, name, edges */
    OWN_BYTES = 2 << 20, /* code, and what the server touches once, whoever comes */
};

static const double TURN_MS = 50;     /* the longest turn of the server's loop */
static const double IDLE_CPU_MS = 15; /* what IDLE_MS may use: sweeps, and what /proc costs */
static const double PATIENCE_S = PATIENCE_MS / 1e3;

/* What a median may be late by besides: a timer and a wakeup that came late, on a core that is not
 * the server's alone. */
static const double LATE_MS = 0.5;

struct series {
    int n;
    float ms[SERIES_MAX];
};

struct report {
    char kind;
    long figure[2];
};

static struct {
    const struct abuse *abuse;
    pid_t pid;
    int err; /* its stderr */
    struct sockaddr_in address;
    cpu_set_t server_core, client_core;
    bool pinned;
    pid_t abuser[ABUSERS_MAX];
    int abusers;
    int report[2], go_on[2];
    struct report pending[ABUSERS_MAX * 4];
    int pendings;
    bool abuser_failed, failed;
    bool first; /* what is measured goes before all else on its core */
    int fds;
    long base;         /* RSS, bytes */
    double cpu0, now0; /* at the beginning of the abuse */
    double busy;       /* percent of a core that the server used in it */
    char notes[512], wrong[1024];
} B;

/* The honest ones. */
static struct {
    int sub, pub, ask;
    bool quiet;      /* nothing more is begun */
    int phase;       /* 0: normal, 1: abuse, 2: neither */
    long sent, due;  /* messages */
    long answered;   /* of these */
    unsigned status; /* characters of a status line seen */
    int64_t publish_at, ask_at, asked;
    double asked_cpu; /* CPU time of the server by then, ms */
    enum { ASK_NOT = 0, ASK_CONNECT, ASK_SENT } asking;
    char answer[1024];
    size_t answer_n;
    char *in; /* of the subscriber: bytes of a line that is not whole */
    size_t in_n;
    long flood_due[BENCH_PUBLISHERS], flood;
    struct series message[3], healthy[3];
    struct series cpu[3]; /* of these waits: CPU time of the server */
} T;

enum { IN_BYTES = 1 << 20 };

/* ---- small helpers ------------------------------------------------------------------------- */

/* Of the clock that the kernel stamps packets with. */
static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

double bench_now(void)
{
    return (double)now_ns() / 1e9;
}

void bench_note(const char *format, ...)
{
    size_t n = strlen(B.notes);
    va_list ap;
    va_start(ap, format);
    if (n < sizeof B.notes - 3) {
        memcpy(B.notes + n, "; ", 3);
        vsnprintf(B.notes + n + 2, sizeof B.notes - n - 2, format, ap);
    }
    va_end(ap);
}

void bench_require(bool ok, const char *format, ...)
{
    size_t n = strlen(B.wrong);
    va_list ap;
    if (ok)
        return;
    B.failed = true;
    va_start(ap, format);
    if (n < sizeof B.wrong - 3) {
        memcpy(B.wrong + n, "; ", 3);
        vsnprintf(B.wrong + n + 2, sizeof B.wrong - n - 2, format, ap);
    }
    va_end(ap);
}

static void stderr_show(void)
{
    static char log[4096];
    ssize_t n = B.pid > 0 ? pread(B.err, log, sizeof log, 0) : 0;
    if (n > 0)
        printf("    ---- stderr of the server ----\n%.*s\n", (int)n, log);
}

void bench_die(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    printf("%-10s FAILED: ", B.abuse->name);
    vprintf(format, ap);
    printf("%s%s\n", B.notes, B.wrong);
    va_end(ap);
    stderr_show();
    fflush(stdout);
    _exit(1);
}

/* A field of /proc/PID/status, in bytes. */
static long status_bytes(const char *field)
{
    char path[64], line[256];
    long kb = -1;
    snprintf(path, sizeof path, "/proc/%d/status", (int)B.pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        bench_die("the server is gone");
    while (fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, field, strlen(field)) == 0)
            kb = strtol(line + strlen(field) + 1, NULL, 10);
    fclose(f);
    if (kb == -1)
        bench_die("the server is gone");
    return kb * 1024;
}

/* How many descriptors the server has. */
static int descriptors(void)
{
    char path[64];
    struct stat st;
    int n = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)B.pid);
    if (stat(path, &st) == 0 && st.st_size > 0)
        return (int)st.st_size; /* Linux 6.2 and later count themselves */
    DIR *d = opendir(path);
    if (d == NULL)
        bench_die("the server is gone");
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n - 2;
}

/* CPU time of the server so far. */
static double cpu_ms(void)
{
    clockid_t id;
    struct timespec t;
    if (clock_getcpuclockid(B.pid, &id) != 0 || clock_gettime(id, &t) == -1)
        bench_die("the server is gone");
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

void bench_limit(int fds)
{
    struct rlimit l = {(rlim_t)fds, (rlim_t)fds};
    if (prlimit(B.pid, RLIMIT_NOFILE, &l, NULL) == -1)
        bench_die("prlimit: %s", strerror(errno));
}

/* ---- the server ---------------------------------------------------------------------------- */

bool bench_knows(const char *path, const char *flag)
{
    static char help[1 << 14];
    size_t n = 0;
    ssize_t got;
    int out[2];
    if (pipe2(out, O_CLOEXEC) == -1)
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], 1);
        execl(path, path, "--help", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    while (n < sizeof help - 1 && (got = read(out[0], help + n, sizeof help - 1 - n)) > 0)
        n += (size_t)got;
    help[n] = '\0';
    close(out[0]);
    waitpid(pid, NULL, 0);
    return strstr(help, flag) != NULL;
}

/* Puts this process before all that else runs on its core, where that is allowed. */
static void first_in_line(void)
{
    struct sched_param p = {.sched_priority = 1};
    B.first = sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &p) == 0;
}

static void cores_find(void)
{
    cpu_set_t all;
    int found = 0;
    CPU_ZERO(&B.server_core);
    CPU_ZERO(&B.client_core);
    if (sched_getaffinity(0, sizeof all, &all) == -1)
        return;
    for (size_t i = 0; i < CPU_SETSIZE && found < 2; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, found++ == 0 ? &B.server_core : &B.client_core);
    B.pinned = found == 2;
}

static void become_server(const char *path, int out, pid_t parent)
{
    char *argv[64], ring[32], buffers[32], user[64];
    static char flags[1024];
    int n = 0;
    snprintf(user, sizeof user, "%u:%u", geteuid(), getegid());
    setenv("SSE_USER", user, 1); /* that it is root here is meant, and no reason to warn */
    snprintf(flags, sizeof flags, "%s", B.abuse->flags);
    snprintf(ring, sizeof ring, "%ld", B.abuse->ring);
    snprintf(buffers, sizeof buffers, "%ld", B.abuse->buffers);
    const char *const fixed[] = {path, "--port",        "0",    "--log", "warn", "--ring",
                                 ring, "--max-buffers", buffers};
    for (size_t i = 0; i < (B.abuse->ring > 0 ? 9 : 5); i++)
        argv[n++] = (char *)(uintptr_t)fixed[i];
    for (char *p = strtok(flags, " "); p != NULL && n < 63; p = strtok(NULL, " "))
        argv[n++] = p;
    argv[n] = NULL;
    if (dup2(out, 1) == -1 || dup2(B.err, 2) == -1)
        _exit(126);
    close_from(3);
    if (B.pinned)
        sched_setaffinity(0, sizeof B.server_core, &B.server_core);
    if (B.abuse->full_core)
        setpriority(PRIO_PROCESS, 0, -20);
    else
        first_in_line();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent)
        execv(path, argv);
    _exit(127);
}

static void server_start(const char *path)
{
    int out[2];
    char line[128] = "";
    pid_t parent = getpid();
    B.err = memfd_create("stderr", MFD_CLOEXEC);
    if (B.err == -1 || pipe2(out, O_CLOEXEC) == -1)
        bench_die("%s", strerror(errno));
    cores_find();
    B.pid = fork();
    if (B.pid == 0)
        become_server(path, out[1], parent);
    close(out[1]);
    struct pollfd p = {out[0], POLLIN, 0};
    if (poll(&p, 1, PATIENCE_MS) != 1 || read(out[0], line, sizeof line - 1) < 8)
        bench_die("%s did not start", path);
    const char *port = strrchr(line, ':');
    B.address.sin_family = AF_INET;
    B.address.sin_port = htons((uint16_t)strtoul(port != NULL ? port + 1 : "", NULL, 10));
    B.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (B.pinned)
        sched_setaffinity(0, sizeof B.client_core, &B.client_core);
    first_in_line();
}

static void server_stop(void)
{
    int status = 0;
    int64_t deadline = now_ns() + (int64_t)PATIENCE_MS * 1000000;
    close(T.sub); /* one who stays would be waited for */
    close(T.pub);
    if (T.ask != -1)
        close(T.ask);
    kill(B.pid, SIGTERM);
    while (waitpid(B.pid, &status, WNOHANG) == 0) {
        if (now_ns() > deadline) {
            kill(B.pid, SIGKILL);
            bench_die("the server did not end when told to");
        }
        poll(NULL, 0, 2);
    }
    bench_require(status == 0, "the server ended with wait status %#x", (unsigned)status);
    bench_require(lseek(B.err, 0, SEEK_END) == 0, "there is something on stderr");
}

/* ---- connections --------------------------------------------------------------------------- */

static int socket_from(unsigned from, int flags)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0), one = 1;
    struct sockaddr_in a = {.sin_family = AF_INET};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK + from);
    if (fd == -1 || setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) == -1 ||
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one) == -1 ||
        bind(fd, (struct sockaddr *)&a, sizeof a) == -1)
        bench_die("socket: %s", strerror(errno));
    return fd;
}

int bench_connect(unsigned from, int room)
{
    int fd = socket_from(from, 0);
    struct timeval patience = {PATIENCE_MS / 1000, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (room > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (connect(fd, (struct sockaddr *)&B.address, sizeof B.address) == 0)
        return fd;
    close(fd);
    return -1;
}

void bench_send(int fd, const char *text)
{
    size_t n = strlen(text);
    if (send(fd, text, n, MSG_NOSIGNAL) != (ssize_t)n)
        bench_die("send: %s", strerror(errno));
}

/* Receives what there is; *stamp becomes the time when the last of it arrived at this host's stack,
 * which tells of the server alone, not of how soon this process had its turn. */
static ssize_t recv_stamped(int fd, void *buf, size_t size, int64_t *stamp)
{
    union {
        struct cmsghdr align;
        char bytes[256];
    } control;
    struct iovec iov = {buf, size};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control};
    ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
    *stamp = now_ns();
    if (n <= 0)
        return n;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c)) {
        struct timespec t;
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
            continue;
        memcpy(&t, CMSG_DATA(c), sizeof t);
        *stamp = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    }
    return n;
}

ssize_t bench_recv(int fd, void *buf, size_t size, double *came)
{
    int64_t stamp;
    ssize_t n = recv_stamped(fd, buf, size, &stamp);
    *came = (double)stamp / 1e9;
    return n;
}

/* ---- the honest subscriber ----------------------------------------------------------------- */

static void record_ms(struct series *s, double ms)
{
    if (s->n < SERIES_MAX)
        s->ms[s->n++] = (float)ms;
}

static void record(struct series *s, int64_t from, int64_t to)
{
    record_ms(s, (double)(to - from) / 1e6);
}

/* A line of the stream, ended by a NUL. */
static void sub_line(const char *line, int64_t now)
{
    char *end;
    if (strncmp(line, "data: h ", 8) == 0) {
        long n = strtol(line + 8, &end, 10);
        if (n != T.due)
            bench_die("honest message %ld was due, this came: %s", T.due, line);
        record(&T.message[T.phase], strtoll(end, NULL, 10), now);
        T.due++;
    } else if (strncmp(line, "data: f ", 8) == 0) {
        long who = strtol(line + 8, &end, 10), n = strtol(end, NULL, 10);
        if (who < 0 || who >= BENCH_PUBLISHERS || n != T.flood_due[who])
            bench_die("another message of the flood was due: %s", line);
        T.flood_due[who]++;
        T.flood++;
    } else if (*line != '\0' && *line != ':' && strncmp(line, "id: ", 4) != 0) {
        bench_die("the honest subscriber got this: %s", line);
    }
}

long bench_flood_seen(void)
{
    return T.flood;
}

static void sub_read(void)
{
    int64_t now;
    ssize_t got = recv_stamped(T.sub, T.in + T.in_n, IN_BYTES - T.in_n, &now);
    if (got == -1 && errno == EAGAIN)
        return;
    if (got <= 0)
        bench_die("the honest subscriber was closed: %s", got == 0 ? "end" : strerror(errno));
    char *line = T.in, *end = T.in + T.in_n + (size_t)got, *nl;
    for (; (nl = memchr(line, '\n', (size_t)(end - line))) != NULL; line = nl + 1) {
        *nl = '\0';
        sub_line(line, now);
    }
    T.in_n = (size_t)(end - line);
    memmove(T.in, line, T.in_n);
    if (T.in_n > 4096)
        bench_die("the honest subscriber got an endless line: %.100s", T.in);
}

static void sub_open(void)
{
    T.sub = bench_connect(0, 0);
    T.in = malloc(IN_BYTES);
    if (T.sub == -1 || T.in == NULL)
        bench_die("the honest subscriber could not connect");
    bench_send(T.sub,
               "GET /honest HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
    while (T.in_n < 2 || memcmp(T.in + T.in_n - 2, "\n\n", 2) != 0) {
        ssize_t got = T.in_n < 4096 ? recv(T.sub, T.in + T.in_n, 4096 - T.in_n, 0) : 0;
        if (got <= 0)
            bench_die("subscribing was answered: %.*s", (int)T.in_n, T.in);
        T.in_n += (size_t)got;
    }
    if (memcmp(T.in, "HTTP/1.1 200 ", 13) != 0)
        bench_die("subscribing was answered: %.*s", (int)T.in_n, T.in);
    T.in_n = 0;
}

/* ---- the honest publisher ------------------------------------------------------------------ */

static void pub_send(void)
{
    char body[64], text[256];
    int n = snprintf(body, sizeof body, "h %ld %lld", T.sent, (long long)now_ns());
    snprintf(text, sizeof text,
             "POST /honest HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", n, body);
    bench_send(T.pub, text);
    T.sent++;
}

int bench_answers(unsigned *seen, const char *buf, size_t n, bool any)
{
    static const char line[] = "HTTP/1.1 201 ";
    int answers = 0;
    for (size_t i = 0; i < n; i++) {
        if (buf[i] == line[*seen])
            ++*seen;
        else if (*seen > 8)
            bench_die("publishing was answered: %.*s", (int)(n - i), buf + i);
        else
            *seen = buf[i] == line[0];
        if (*seen == (any ? 9 : sizeof line - 1)) {
            *seen = 0;
            answers++;
        }
    }
    return answers;
}

static void pub_read(void)
{
    char buf[16384];
    ssize_t got = recv(T.pub, buf, sizeof buf, MSG_DONTWAIT);
    if (got == -1 && errno == EAGAIN)
        return;
    if (got <= 0)
        bench_die("the honest publisher was closed: %s", got == 0 ? "end" : strerror(errno));
    T.answered += bench_answers(&T.status, buf, (size_t)got, false);
}

/* ---- the honest one who asks --------------------------------------------------------------- */

static int64_t ask_ns(void)
{
    return (int64_t)(B.abuse->ask_ms > 0 ? B.abuse->ask_ms : ASK_MS) * 1000000;
}

static void ask_send(void)
{
    static const char request[] = "GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n";
    if (send(T.ask, request, sizeof request - 1, MSG_NOSIGNAL) != sizeof request - 1)
        bench_die("asking: %s", strerror(errno));
    T.asking = ASK_SENT;
    T.answer_n = 0;
}

static void ask_begin(void)
{
    T.asked = now_ns();
    T.asked_cpu = cpu_ms();
    if (T.ask != -1) {
        ask_send();
        return;
    }
    T.ask = socket_from(FRESH_FROM, SOCK_NONBLOCK);
    T.asking = ASK_CONNECT;
    if (connect(T.ask, (struct sockaddr *)&B.address, sizeof B.address) == 0)
        ask_send();
    else if (errno != EINPROGRESS)
        bench_die("connecting: %s", strerror(errno));
}

static void ask_go_on(void)
{
    int err = 0;
    socklen_t len = sizeof err;
    if (T.asking == ASK_CONNECT) {
        if (getsockopt(T.ask, SOL_SOCKET, SO_ERROR, &err, &len) == -1 || err != 0)
            bench_die("connecting: %s", strerror(err));
        ask_send();
        return;
    }
    int64_t now;
    ssize_t got =
        recv_stamped(T.ask, T.answer + T.answer_n, sizeof T.answer - 1 - T.answer_n, &now);
    if (got == -1 && errno == EAGAIN)
        return;
    T.answer_n += got > 0 ? (size_t)got : 0;
    T.answer[T.answer_n] = '\0';
    if (strstr(T.answer, "\r\n\r\nok\n") == NULL) {
        if (got <= 0)
            bench_die("asking /-/healthy was answered: %s (%s)", T.answer,
                      got == 0 ? "end" : strerror(errno));
        return;
    }
    /* one that took long stands for those as well that were not asked meanwhile */
    double used = cpu_ms() - T.asked_cpu;
    for (int64_t t = T.asked; t < now; t += ask_ns()) {
        double passed = (double)(t - T.asked) / 1e6;
        record(&T.healthy[T.phase], t, now);
        record_ms(&T.cpu[T.phase], used > passed ? used - passed : 0);
    }
    T.asking = ASK_NOT;
    if (B.abuse->fresh) {
        close(T.ask);
        T.ask = -1;
    }
}

/* ---- the honest ones at work --------------------------------------------------------------- */

static void report_read(void)
{
    struct report r;
    if (read(B.report[0], &r, sizeof r) != (ssize_t)sizeof r)
        bench_die("a report was cut");
    if (B.pendings < ABUSERS_MAX * 4)
        B.pending[B.pendings++] = r;
}

/* Begins what is due; gives when the next thing will be. */
static int64_t turn_begin(int64_t until)
{
    int64_t now = now_ns(), next = until;
    if (T.quiet)
        return next;
    if (now >= T.publish_at) {
        pub_send();
        T.publish_at += (int64_t)PUBLISH_MS * 1000000;
        if (T.publish_at < now) /* this process itself has been held up */
            T.publish_at = now + (int64_t)PUBLISH_MS * 1000000;
    }
    if (now >= T.ask_at && T.asking == ASK_NOT) {
        ask_begin();
        T.ask_at = now + ask_ns();
    }
    next = T.publish_at < next ? T.publish_at : next;
    if (T.asking == ASK_NOT)
        next = T.ask_at < next ? T.ask_at : next;
    return next;
}

static void turn(int64_t until)
{
    int64_t wait = turn_begin(until) - now_ns();
    struct timespec t = {wait > 0 ? wait / 1000000000 : 0, wait > 0 ? wait % 1000000000 : 0};
    struct pollfd p[] = {
        {T.sub, POLLIN, 0},
        {T.pub, POLLIN, 0},
        {T.asking != ASK_NOT ? T.ask : -1, T.asking == ASK_CONNECT ? POLLOUT : POLLIN, 0},
        {B.report[0], POLLIN, 0},
    };
    if (ppoll(p, 4, &t, NULL) <= 0)
        return;
    if (p[0].revents != 0)
        sub_read();
    if (p[1].revents != 0)
        pub_read();
    if (p[2].revents != 0)
        ask_go_on();
    if (p[3].revents & POLLIN)
        report_read();
}

void bench_run(int ms)
{
    int64_t until = now_ns() + (int64_t)ms * 1000000;
    while (now_ns() < until)
        turn(until);
}

/* Lets them finish what they have begun. */
static void quieten(void)
{
    int64_t deadline = now_ns() + (int64_t)PATIENCE_MS * 1000000;
    T.quiet = true;
    while (T.due < T.sent || T.answered < T.sent || T.asking != ASK_NOT) {
        if (now_ns() > deadline)
            bench_die("%ld honest messages were published, %ld answered, %ld arrived", T.sent,
                      T.answered, T.due);
        turn(deadline);
    }
}

void bench_from_here(void)
{
    T.message[1].n = T.healthy[1].n = T.cpu[1].n = 0;
    T.phase = 1;
    B.cpu0 = cpu_ms();
    B.now0 = bench_now();
}

void bench_to_here(void)
{
    if (T.phase == 1)
        B.busy = (cpu_ms() - B.cpu0) / (bench_now() - B.now0) / 10;
    T.phase = 2;
}

/* The text of /-/metrics, NUL-ended. */
static const char *metrics_text(void)
{
    static char text[32768];
    size_t n = 0;
    ssize_t got;
    int fd = bench_connect(FRESH_FROM, 0);
    if (fd == -1)
        bench_die("asking for metrics: %s", strerror(errno));
    bench_send(fd, "GET /-/metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    bench_send(fd, B.abuse->fields != NULL ? B.abuse->fields : "");
    bench_send(fd, "\r\n");
    while (n < sizeof text - 1 && (got = recv(fd, text + n, sizeof text - 1 - n, 0)) > 0)
        n += (size_t)got;
    text[n] = '\0';
    close(fd);
    return text;
}

long bench_metric(const char *name)
{
    return (long)metric_sum(metrics_text(), name);
}

/* The longest turn of the server's loop, in ms. */
static double longest_turn(void)
{
    static const char line[] = "\nsse_turn_seconds_max ";
    const char *p = strstr(metrics_text(), line);
    return p != NULL ? strtod(p + sizeof line - 1, NULL) * 1e3 : -1;
}

/* ---- abusers ------------------------------------------------------------------------------- */

void bench_spawn(void (*abuser)(int number), int number)
{
    pid_t parent = getpid();
    if (B.abusers == ABUSERS_MAX)
        bench_die("too many abusers");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == -1)
        bench_die("fork: %s", strerror(errno));
    if (pid > 0) {
        B.abuser[B.abusers++] = pid;
        return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    if (!B.first) /* the honest ones go before them at any rate */
        setpriority(PRIO_PROCESS, 0, 10);
    close(B.go_on[1]);
    close(B.report[0]);
    close(T.sub);
    close(T.pub);
    if (T.ask != -1)
        close(T.ask);
    B.notes[0] = B.wrong[0] = '\0';
    abuser(number);
    _exit(B.failed ? 1 : 0);
}

void bench_report(char kind, long a, long b)
{
    struct report r = {kind, {a, b}};
    if (write(B.report[1], &r, sizeof r) != (ssize_t)sizeof r)
        _exit(1);
}

bool bench_over(int ms)
{
    struct pollfd p = {B.go_on[0], POLLIN, 0};
    return poll(&p, 1, ms) == 1;
}

void bench_await(char kind, int count, long sum[2])
{
    int64_t deadline = now_ns() + (int64_t)2 * PATIENCE_MS * 1000000;
    int found = 0;
    sum[0] = sum[1] = 0;
    while (found < count) {
        for (int i = 0; i < B.pendings;) {
            if (B.pending[i].kind != kind || found == count) {
                i++;
                continue;
            }
            sum[0] += B.pending[i].figure[0];
            sum[1] += B.pending[i].figure[1];
            B.pending[i] = B.pending[--B.pendings];
            found++;
        }
        if (now_ns() > deadline)
            bench_die("%d of %d abusers came to '%c'", found, count, kind);
        if (found < count)
            turn(now_ns() + 10000000);
        for (int i = 0; i < B.abusers; i++) { /* one that failed has said why */
            siginfo_t info = {0};
            if (waitid(P_PID, (id_t)B.abuser[i], &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
                info.si_pid != 0 && info.si_status != 0)
                bench_die("an abuser failed");
        }
    }
}

int bench_count(char kind)
{
    int n = 0;
    for (int i = 0; i < B.pendings; i++)
        n += B.pending[i].kind == kind;
    return n;
}

/* Waits for the end of all. */
static void abusers_gone(bool killed)
{
    int64_t deadline = now_ns() + (int64_t)3 * PATIENCE_MS * 1000000;
    while (B.abusers > 0) {
        int status = 0;
        pid_t pid = waitpid(B.abuser[B.abusers - 1], &status, WNOHANG);
        if (pid != 0) {
            B.abusers--;
            bench_require(killed || status == 0, "an abuser ended with wait status %#x",
                          (unsigned)status);
            continue;
        }
        if (now_ns() > deadline)
            bench_die("an abuser does not end");
        turn(now_ns() + 2000000);
    }
}

void bench_release(void)
{
    if (B.go_on[1] != -1)
        close(B.go_on[1]);
    B.go_on[1] = -1;
    abusers_gone(false);
}

void bench_kill(void)
{
    for (int i = 0; i < B.abusers; i++)
        kill(B.abuser[i], SIGKILL);
    abusers_gone(true);
}

/* ---- begin and end ------------------------------------------------------------------------- */

void bench_begin(const char *path, const struct abuse *a)
{
    B.abuse = a;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(180);
    if (pipe2(B.report, O_CLOEXEC) == -1 || pipe2(B.go_on, O_CLOEXEC) == -1)
        bench_die("%s", strerror(errno));
    server_start(path);
    sub_open();
    T.pub = bench_connect(0, 0);
    T.ask = a->fresh ? -1 : bench_connect(0, 0);
    if (T.pub == -1 || (T.ask == -1 && !a->fresh))
        bench_die("the honest ones could not connect");
    T.publish_at = T.ask_at = now_ns();
    bench_run(WARM_MS);
    T.message[0].n = T.healthy[0].n = 0;
    bench_run(NORMAL_MS);
    quieten();
    bench_run(SETTLE_MS);
    B.base = status_bytes("VmRSS");
    B.fds = descriptors();
    T.publish_at = T.ask_at = now_ns();
    T.quiet = false;
    bench_from_here();
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Sorts; gives the value that `part` of them are below. */
static double quantile(struct series *s, double part)
{
    if (s->n == 0)
        return 0;
    qsort(s->ms, (size_t)s->n, sizeof s->ms[0], by_size);
    return (double)s->ms[(int)(part * (double)(s->n - 1))];
}

/* Prints one of the two latencies, and looks whether it is within bounds. */
static void latency_tell(const char *what, struct series s[2], struct bench_sum *sum)
{
    double normal = quantile(&s[0], 0.5), abused = quantile(&s[1], 0.5);
    double p99[2] = {quantile(&s[0], 0.99), quantile(&s[1], 0.99)};
    printf(" | %s %.3f -> %.3f ms (%.1f), p99 %.2f -> %.2f (%.1f)", what, normal, abused,
           abused / normal, p99[0], p99[1], p99[1] / p99[0]);
    bench_require(s[1].n > 10, "%s: only %d measured", what, s[1].n);
    bench_require(abused <= 2 * normal + LATE_MS || !B.first,
                  "%s: median %.3f ms, over 2 x %.3f + %.2f", what, abused, normal, LATE_MS);
    if (abused / normal > sum->worst) {
        sum->worst = abused / normal;
        sum->whose = B.abuse->name;
    }
}

/* Waits until the server has no more descriptors than at the beginning, and `spare`. */
static void descriptors_back(int spare)
{
    double from = bench_now();
    int n;
    while ((n = descriptors()) > B.fds + spare && bench_now() - from < PATIENCE_S)
        bench_run(10);
    bench_require(n <= B.fds + spare, "%d descriptors are left", n - B.fds);
}

void bench_closed(void)
{
    double from = bench_now();
    descriptors_back(1); /* that of a fresh request may be there */
    bench_note("closed in %.2f s", bench_now() - from);
}

/* What the idle server uses in IDLE_MS, once it has done what it had to do. */
static double idle_cpu_ms(void)
{
    double end = bench_now() + PATIENCE_S, used;
    do {
        double before = cpu_ms();
        poll(NULL, 0, IDLE_MS);
        used = cpu_ms() - before;
    } while (used > IDLE_CPU_MS && bench_now() < end);
    return used;
}

bool bench_first(void)
{
    return B.first;
}

struct bench_waits bench_waits(void)
{
    struct series *all = &T.healthy[1], *cpu = &T.cpu[1];
    bench_to_here();
    quieten();
    return (struct bench_waits){.n = all->n,
                                .p50 = quantile(all, 0.5),
                                .p99 = quantile(all, 0.99),
                                .p999 = quantile(all, 0.999),
                                .max = quantile(all, 1),
                                .cpu_p50 = quantile(cpu, 0.5),
                                .cpu_p99 = quantile(cpu, 0.99),
                                .cpu_p999 = quantile(cpu, 0.999),
                                .cpu = quantile(cpu, 1),
                                .message_p999 = quantile(&T.message[1], 0.999),
                                .message = quantile(&T.message[1], 1),
                                .turn = longest_turn(),
                                .busy = B.busy};
}

bool bench_stop(void)
{
    server_stop();
    if (B.failed) {
        printf("    FAILED%s\n", B.wrong);
        stderr_show();
    }
    fflush(stdout);
    return !B.failed;
}

bool bench_end(struct bench_sum *sum)
{
    const struct abuse *a = B.abuse;
    bench_to_here();
    quieten();
    double longest = longest_turn();
    /* where all of a core is used up by those who go first, Linux takes them off it now and then */
    bench_require(longest >= 0 && (longest <= TURN_MS || !B.first || B.busy > RATIONED),
                  "the longest turn of the loop took %.1f ms", longest);
    descriptors_back(0);
    double cpu = idle_cpu_ms();
    long peak = status_bytes("VmHWM"), rest = status_bytes("VmRSS");
    /* the ring is mapped twice, and each page counts in both places */
    long tables = 2 * a->ring + a->connections * 64L + a->topics * (long)TOPIC_BYTES + OWN_BYTES;
    long allowed = a->memory > 0 ? a->memory : tables + a->buffers;
    bench_require(cpu <= IDLE_CPU_MS, "the idle server used %.1f ms of %d", cpu, IDLE_MS);
    bench_require(peak <= allowed, "%ld KB resident, over %ld KB", peak >> 10, allowed >> 10);
    bench_require(rest <= tables || a->memory > 0, "%ld KB are left resident, over %ld KB",
                  rest >> 10, tables >> 10);
    server_stop();
    printf("%-10s", a->name);
    latency_tell("message", T.message, sum);
    latency_tell("healthy", T.healthy, sum);
    printf(" | server %.0f%%, turn %.1f ms, %ld honest | %ld -> %ld -> %ld KB of %ld, idle %.1f "
           "ms%s\n",
           B.busy, longest, T.sent, B.base >> 10, peak >> 10, rest >> 10, allowed >> 10, cpu,
           B.notes);
    if (B.failed) {
        printf("    FAILED%s\n", B.wrong);
        stderr_show();
    }
    fflush(stdout);
    return !B.failed;
}
