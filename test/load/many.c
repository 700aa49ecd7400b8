/*
 * many.c - many subscribers on one server process: load_many SERVER [SUBSCRIBERS [MESSAGES]].
 *
 * Starts SERVER, opens SUBSCRIBERS (18,000) event streams from a few processes, looks how much
 * resident memory the server took for them while all are idle, publishes MESSAGES (100) and sees
 * that each subscriber gets each message once and in order. Fails where one does not, where it
 * takes longer than DEADLINE_S, or where the server grew by more than BYTES_MOST a subscriber.
 *
 * Each process connects from a loopback address of its own, so that ports suffice, and every
 * process has its SIGKILL from the kernel when the one that started it dies.
 */
#include "test/kit/close.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CLIENTS = 4,       /* processes */
    BYTES_MOST = 80,   /* of the server's memory, a subscriber */
    DEADLINE_S = 1200, /* for all of it */
    BURST = 10,        /* messages published in one write */
    WARM = 200,        /* subscribers that come and go before memory is looked at */
    SPARE = 100,       /* descriptors besides the subscribers' */
    LINE_BYTES = 100,  /* bytes of a line of the stream */
};

/* What a subscriber has received: the current line, the number of the message due. */
struct subscriber {
    int fd;
    int due;
    unsigned n;
    char line[LINE_BYTES];
};

static pid_t server;
static int server_err = -1;
static struct sockaddr_in address;
static int subscribers = 18000, messages = 100;

/* ---- helpers ---- */

static void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

static void die(const char *format, ...)
{
    static char log[8192];
    va_list ap;
    va_start(ap, format);
    fprintf(stderr, "load_many: FAILED: ");
    vfprintf(stderr, format, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    ssize_t n = server_err != -1 ? pread(server_err, log, sizeof(log), 0) : 0;
    if (n > 0)
        fprintf(stderr, "---- stderr of the server ----\n%.*s", (int)n, log);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void pause_ms(int ms)
{
    poll(NULL, 0, ms);
}

/* The descriptor limit at its highest, and higher still where that is allowed. */
static void raise_limit(rlim_t want)
{
    struct rlimit l;
    getrlimit(RLIMIT_NOFILE, &l);
    if (l.rlim_max < want) {
        struct rlimit more = {want, want};
        if (setrlimit(RLIMIT_NOFILE, &more) == 0)
            return;
        subscribers = (int)l.rlim_max - SPARE;
        printf("load_many: descriptors are limited to %ld, so there are %d subscribers only\n",
               (long)l.rlim_max, subscribers);
    }
    l.rlim_cur = l.rlim_max;
    setrlimit(RLIMIT_NOFILE, &l);
}

/* A field of /proc/PID/status, in bytes. */
static long status_bytes(const char *field)
{
    char path[64], line[256];
    long kb = -1;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)server);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        die("the server is gone");
    while (fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, field, strlen(field)) == 0)
            kb = strtol(line + strlen(field) + 1, NULL, 10);
    fclose(f);
    return kb * 1024;
}

/* ---- the server ---- */

static void become_server(const char *path, int out, pid_t parent)
{
    struct rlimit l;
    char user[64];
    snprintf(user, sizeof user, "%u:%u", geteuid(), getegid());
    setenv("SSE_USER", user, 1); /* that it is root here is meant, and no reason to warn */
    setenv("SSE_HOST", "test t h x load", 1); /* what tests have in Host */
    getrlimit(RLIMIT_NOFILE, &l);
    l.rlim_cur = 1024; /* raising it is the server's own business */
    if (setrlimit(RLIMIT_NOFILE, &l) == -1 || dup2(out, 1) == -1 || dup2(server_err, 2) == -1)
        _exit(126);
    close_from(3);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent)
        execl(path, path, "--port", "0", "--log", "warn", "--write-timeout", "1h",
              "--request-timeout", "1h", (char *)NULL);
    _exit(127);
}

static void start_server(const char *path)
{
    int out[2];
    char line[128] = "";
    pid_t parent = getpid();
    server_err = memfd_create("stderr", MFD_CLOEXEC);
    if (server_err == -1 || pipe2(out, O_CLOEXEC) == -1)
        die("%s", strerror(errno));
    server = fork();
    if (server == 0)
        become_server(path, out[1], parent);
    close(out[1]);
    struct pollfd p = {out[0], POLLIN, 0};
    if (poll(&p, 1, 60000) != 1 || read(out[0], line, sizeof(line) - 1) < 8)
        die("%s did not start", path);
    const char *port = strrchr(line, ':');
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)strtoul(port != NULL ? port + 1 : "", NULL, 10));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

static void stop_server(void)
{
    int status = 0;
    double deadline = now() + 60;
    kill(server, SIGTERM);
    while (waitpid(server, &status, WNOHANG) == 0) {
        if (now() > deadline) {
            kill(server, SIGKILL);
            die("the server did not end when told to");
        }
        pause_ms(5);
    }
    if (status != 0 || lseek(server_err, 0, SEEK_END) > 0)
        die("the server ended with wait status %#x", (unsigned)status);
}

/* ---- subscribers ---- */

static int connect_from(unsigned client)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct timeval patience = {60, 0};
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + client);
    if (fd == -1 || setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) == -1 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == -1 ||
        bind(fd, (struct sockaddr *)&from, sizeof(from)) == -1 ||
        connect(fd, (struct sockaddr *)&address, sizeof(address)) == -1)
        die("connect: %s", strerror(errno));
    return fd;
}

/* Subscribes and reads the answer's head and the opening block, which ends in an empty line. */
static int subscribe(unsigned client)
{
    static const char request[] = "GET /load HTTP/1.1\r\nHost: load\r\n"
                                  "Accept: text/event-stream\r\n\r\n";
    char buf[1024] = "";
    size_t n = 0;
    int fd = connect_from(client);
    if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != sizeof(request) - 1)
        die("send: %s", strerror(errno));
    while (n < 2 || memcmp(buf + n - 2, "\n\n", 2) != 0) {
        ssize_t got = n < sizeof(buf) ? recv(fd, buf + n, sizeof(buf) - n, 0) : 0;
        if (got <= 0)
            die("subscribing was answered: %.*s", (int)n, buf);
        n += (size_t)got;
    }
    if (memcmp(buf, "HTTP/1.1 200 ", 13) != 0)
        die("subscribing was answered: %.*s", (int)n, buf);
    return fd;
}

/* A line of the stream has come: "data: NUMBER" must be the number due. */
static void line_done(struct subscriber *s)
{
    s->line[s->n] = '\0';
    if (strncmp(s->line, "data: ", 6) == 0) {
        if (strtol(s->line + 6, NULL, 10) != s->due)
            die("message %d was due, this came: %s", s->due, s->line);
        s->due++;
    } else if (s->n > 0 && s->line[0] != ':' && strncmp(s->line, "id: ", 4) != 0) {
        die("an unknown line: %s", s->line);
    }
    s->n = 0;
}

/* Takes what has come; says whether it now has all messages. */
static bool take(struct subscriber *s)
{
    char buf[16384];
    ssize_t got;
    while ((got = recv(s->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            if (buf[i] == '\n')
                line_done(s);
            else if (s->n == LINE_BYTES - 1)
                die("a line too long: %.*s", LINE_BYTES - 1, s->line);
            else
                s->line[s->n++] = buf[i];
        }
    }
    if (got == 0 || errno != EAGAIN)
        die("a stream ended at message %d: %s", s->due, got == 0 ? "closed" : strerror(errno));
    return s->due == messages && s->n == 0;
}

/* A process of subscribers: writes a byte to `report` when all are subscribed, another when each
 * has all messages, and ends when `go_on` closes. */
static void client(unsigned number, int count, int report, int go_on)
{
    struct subscriber *all = calloc((size_t)count, sizeof(*all));
    struct epoll_event ev[256];
    int done = 0, ep = epoll_create1(EPOLL_CLOEXEC);
    char byte;
    if (all == NULL || ep == -1)
        die("%s", strerror(errno));
    for (int i = 0; i < count; i++) {
        all[i].fd = subscribe(number);
        struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.ptr = &all[i]};
        if (epoll_ctl(ep, EPOLL_CTL_ADD, all[i].fd, &e) == -1)
            die("epoll_ctl: %s", strerror(errno));
    }
    if (write(report, "s", 1) != 1)
        exit(1);
    while (done < count) {
        int n = epoll_wait(ep, ev, 256, DEADLINE_S * 1000);
        if (n == 0)
            die("%d of %d subscribers have all messages", done, count);
        for (int i = 0; i < n; i++)
            done += take(ev[i].data.ptr);
    }
    if (write(report, "d", 1) != 1 || read(go_on, &byte, 1) != 0)
        exit(1);
    exit(0);
}

/* Waits for a byte from each client. */
static void all_report(int report, const char *what)
{
    char byte;
    for (int i = 0; i < CLIENTS; i++) {
        struct pollfd p = {report, POLLIN, 0};
        if (poll(&p, 1, DEADLINE_S * 1000) != 1 || read(report, &byte, 1) != 1)
            die("not all clients %s", what);
    }
}

/* ---- publishing ---- */

/* Publishes the numbers first to last - 1 in one write, and reads that many answers. */
static void publish(int fd, const char *target, int first, int last)
{
    char buf[16384] = "";
    size_t n = 0;
    int answers = 0;
    for (int i = first; i < last; i++)
        n += (size_t)snprintf(buf + n, sizeof(buf) - n,
                              "POST %s HTTP/1.1\r\nHost: load\r\nContent-Length: 6\r\n\r\n%06d",
                              target, i);
    if (send(fd, buf, n, MSG_NOSIGNAL) != (ssize_t)n)
        die("publishing: %s", strerror(errno));
    for (n = 0; answers < last - first;) { /* each ends in the one brace that it closes */
        ssize_t got = n < sizeof(buf) - 1 ? recv(fd, buf + n, sizeof(buf) - 1 - n, 0) : 0;
        if (got <= 0)
            die("publishing was answered: %.*s", (int)n, buf);
        buf[n + (size_t)got] = '\0';
        for (const char *p = buf + n; (p = strchr(p, '}')) != NULL; p++)
            answers++;
        n += (size_t)got;
    }
    answers = 0;
    for (const char *p = buf; (p = strstr(p, "HTTP/1.1 201 ")) != NULL; p++)
        answers++;
    if (answers != last - first)
        die("publishing was answered: %s", buf);
}

/* What every server touches once, whoever comes: pages of code, the first of each table. */
static void warm_up(void)
{
    int fds[WARM];
    for (int i = 0; i < WARM; i++)
        fds[i] = subscribe(0);
    int fd = connect_from(0);
    publish(fd, "/load-warm", 0, BURST);
    close(fd);
    for (int i = 0; i < WARM; i++)
        close(fds[i]);
    pause_ms(500);
}

/* ---- main ---- */

static long memory_grew(const char *when, long rss, long anon)
{
    long more = status_bytes("VmRSS") - rss, own = status_bytes("RssAnon") - anon;
    printf("%s: %ld KB more resident, %ld bytes a subscriber (anonymous: %ld KB, %ld bytes)\n",
           when, more / 1024, more / subscribers, own / 1024, own / subscribers);
    return (more > own ? more : own) / subscribers;
}

int main(int argc, char **argv)
{
    int report[2], go_on[2];
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: load SERVER [SUBSCRIBERS [MESSAGES]]\n");
        return 64;
    }
    if (argc > 2)
        subscribers = atoi(argv[2]);
    if (argc > 3)
        messages = atoi(argv[3]);
    raise_limit((rlim_t)subscribers + 2 * SPARE);
    alarm(DEADLINE_S);
    start_server(argv[1]);
    warm_up();
    long rss = status_bytes("VmRSS"), anon = status_bytes("RssAnon");

    double t0 = now();
    if (pipe2(report, O_CLOEXEC) == -1 || pipe2(go_on, O_CLOEXEC) == -1)
        die("%s", strerror(errno));
    for (unsigned i = 0; i < CLIENTS; i++) {
        fflush(stdout);
        pid_t parent = getpid();
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            close(go_on[1]);
            close(report[0]);
            if (getppid() == parent)
                client(i + 1, (subscribers + (int)i) / CLIENTS, report[1], go_on[0]);
            exit(1);
        }
    }
    close(report[1]);
    close(go_on[0]);
    all_report(report[0], "subscribed");
    double t1 = now();
    pause_ms(1000);
    long idle = memory_grew("subscribed", rss, anon);

    double t2 = now();
    int fd = connect_from(0);
    for (int i = 0; i < messages; i += BURST)
        publish(fd, "/load", i, i + BURST < messages ? i + BURST : messages);
    all_report(report[0], "got all messages");
    double t3 = now();
    close(fd);
    pause_ms(1000);
    long after = memory_grew("after the messages", rss, anon);

    close(go_on[1]);
    for (int i = 0, status; i < CLIENTS; i++) /* the server is still running, so the pid matters */
        if (waitpid(-1, &status, 0) == -1 || status != 0)
            die("a client failed");
    stop_server();
    printf("load_many: %d subscribers (%.1f s) each got %d messages in order (%.1f s), %ld bytes "
           "each\n",
           subscribers, t1 - t0, messages, t3 - t2, idle > after ? idle : after);
    if (idle > BYTES_MOST || after > BYTES_MOST)
        die("more than %d bytes a subscriber", BYTES_MOST);
    return 0;
}
