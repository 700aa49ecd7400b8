/*
 * crowd.c - many live subscribers of one server: crowd SERVER WORKERS CLIENTS MESSAGES [FLAGS...].
 *
 * Starts SERVER with --workers WORKERS, and as many processes as CLIENTS need descriptors, each of
 * which subscribes to one topic over connections from addresses of its own (127.1.N.1 and 2). Then
 * publishes MESSAGES, each when all clients have the one before, and prints what a connection takes
 * of memory, in the server and in the kernel, what a delivery takes of the server's CPU time, the
 * time until the last client has a message, and how evenly the workers share the connections.
 *
 * A million takes 6 GB and a minute of two idle cores: crowd ./sse 56 1000000 3.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    EACH = 18000,    /* connections of a process */
    AT_ONCE = 16,    /* that one of them opens at a time */
    PROCESSES = 100, /* at most */
};

static const char request[] = "GET /crowd HTTP/1.1\r\nHost: localhost\r\n"
                              "Accept: text/event-stream\r\n\r\n";

struct load {
    pid_t pid;
    int in, out; /* commands to it, one byte each; its answers, struct answer */
    unsigned clients;
};

struct answer {
    uint64_t got;     /* messages */
    uint64_t last_ns; /* when the last one came */
};

static pid_t server;
static struct load load[PROCESSES];
static unsigned loads;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
    if (server > 0)
        kill(server, SIGTERM);
    exit(1);
}

/* ---- a process of clients -------------------------------------------------------------------- */

/* The kernel looks for a free port among those of one parity first, and long for the others: so
 * each process has two addresses. */
static int open_client(unsigned process, unsigned turn, uint16_t port)
{
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    from.sin_addr.s_addr = htonl(0x7f010001u + (process << 8) + turn % 2);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(port);
    if (fd == -1)
        die("socket");
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) == -1)
        die("bind");
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == -1 && errno != EINPROGRESS)
        die("connect");
    return fd;
}

/* Reads all that has come for a client; returns how many messages that ends: data lines. */
static unsigned take(int fd)
{
    char buf[4096];
    unsigned messages = 0;
    ssize_t n;
    while ((n = recv(fd, buf, sizeof buf, 0)) > 0)
        for (char *p = buf; (p = memchr(p, '!', (size_t)(buf + n - p))) != NULL; p++)
            messages++;
    if (n == 0 || errno != EAGAIN)
        die("a client was closed");
    return messages;
}

/* Opens all connections, and says so; then counts what each message brings. */
static _Noreturn void clients_run(unsigned process, unsigned clients, uint16_t port, int in,
                                  int out)
{
    struct epoll_event got[256];
    struct answer a = {0, 0};
    unsigned opened = 0, ready = 0;
    char *open = calloc(EACH + 4096, 1), command;
    int ep = epoll_create1(EPOLL_CLOEXEC);
    bool counts = false;
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = in};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (open == NULL || epoll_ctl(ep, EPOLL_CTL_ADD, in, &ev) == -1)
        die("epoll");
    for (;;) {
        while (opened < clients && opened - ready < AT_ONCE) {
            int fd = open_client(process, opened, port);
            ev = (struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = fd};
            if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == -1)
                die("epoll_ctl");
            opened++;
        }
        int n = epoll_wait(ep, got, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = got[i].data.fd;
            if (fd == in) {
                if (read(in, &command, 1) != 1)
                    exit(0);
                a = (struct answer){0, 0};
                counts = true;
                continue;
            }
            if (open[fd] == 0 && (got[i].events & EPOLLOUT) != 0) {
                if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) !=
                    (ssize_t)sizeof request - 1)
                    die("send");
                open[fd] = 1;
            }
            if ((got[i].events & EPOLLIN) == 0)
                continue;
            unsigned messages = take(fd);
            if (open[fd] == 1) {
                open[fd] = 2;
                if (++ready == clients && write(out, &a, sizeof a) != (ssize_t)sizeof a)
                    exit(1);
            } else if (counts && (a.got += messages) == clients) {
                a.last_ns = now_ns();
                counts = false;
                if (write(out, &a, sizeof a) != (ssize_t)sizeof a)
                    exit(1);
            }
        }
    }
}

static void load_begin(unsigned process, unsigned clients, uint16_t port)
{
    int in[2], out[2];
    if (pipe(in) == -1 || pipe(out) == -1)
        die("pipe");
    struct load *l = &load[process];
    *l = (struct load){fork(), in[1], out[0], clients};
    if (l->pid == 0) {
        close(in[1]);
        close(out[0]);
        clients_run(process, clients, port, in[0], out[1]);
    }
    close(in[0]);
    close(out[1]);
}

static struct answer load_wait(const struct load *l)
{
    struct answer a;
    if (read(l->out, &a, sizeof a) != (ssize_t)sizeof a)
        die("a process of clients has ended");
    return a;
}

/* ---- the server ------------------------------------------------------------------------------ */

static uint16_t server_begin(char *argv[], char *flags[])
{
    const char *args[64] = {argv[1], "--port", "0", "--workers", argv[2], "--log", "warn"};
    char line[256];
    int out[2], n = 7;
    while (*flags != NULL && n < 63)
        args[n++] = *flags++;
    if (pipe(out) == -1)
        die("pipe");
    if ((server = fork()) == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], 1);
        execv(argv[1], (char *const *)(uintptr_t)args); /* whose type is older than const */
        _exit(127);
    }
    close(out[1]);
    ssize_t got = read(out[0], line, sizeof line - 1);
    line[got > 0 ? got : 0] = '\0';
    char *colon = strrchr(line, ':');
    if (colon == NULL)
        die("the server did not start");
    return (uint16_t)atoi(colon + 1);
}

/* Returns the sum over the server's processes of what `of` says. */
static double processes(double (*of)(pid_t pid))
{
    char path[64], text[2048];
    double sum = of(server);
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)server, (int)server);
    FILE *f = fopen(path, "re");
    size_t n = f != NULL ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f != NULL)
        fclose(f);
    text[n] = '\0';
    for (char *p = strtok(text, " "); p != NULL; p = strtok(NULL, " "))
        sum += of((pid_t)atoi(p));
    return sum;
}

static double cpu_of(pid_t pid)
{
    char path[64];
    unsigned long long ns = 0;
    snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL || fscanf(f, "%llu", &ns) != 1)
        ns = 0;
    if (f != NULL)
        fclose(f);
    return (double)ns;
}

/* Memory of its own, and its part of what it shares. */
static double memory_of(pid_t pid)
{
    char path[64], line[256];
    unsigned long long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "Pss: %llu", &kb) == 1)
            break;
    if (f != NULL)
        fclose(f);
    return (double)kb * 1024;
}

/* What of the machine's memory is not available. */
static double machine_used(void)
{
    char line[256];
    unsigned long long total = 0, left = 0;
    FILE *f = fopen("/proc/meminfo", "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        sscanf(line, "MemTotal: %llu", &total);
        sscanf(line, "MemAvailable: %llu", &left);
    }
    if (f != NULL)
        fclose(f);
    return (double)(total - left) * 1024;
}

/* Sends a request, prints those lines of the answer that have the word. */
static void ask(uint16_t port, const char *text, const char *word)
{
    static char buf[1 << 18];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    size_t n = 0;
    ssize_t got;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == -1 ||
        send(fd, text, strlen(text), MSG_NOSIGNAL) == -1)
        die("a request");
    while (n < sizeof buf - 1 && (got = recv(fd, buf + n, sizeof buf - 1 - n, 0)) > 0)
        n += (size_t)got;
    buf[n] = '\0';
    close(fd);
    if (strstr(buf, "HTTP/1.1 20") != buf)
        fprintf(stderr, "crowd: %.200s\n", buf);
    unsigned long least = ~0ul, most = 0, sum = 0, count = 0;
    for (char *p = word != NULL ? strtok(buf, "\n") : NULL; p != NULL; p = strtok(NULL, "\n"))
        if (strncmp(p, word, strlen(word)) == 0) {
            unsigned long v = strtoul(strrchr(p, ' '), NULL, 10);
            least = v < least ? v : least;
            most = v > most ? v : most;
            sum += v;
            count++;
        }
    if (count > 0)
        printf("connections of a worker: %lu to %lu, max / mean %.3f\n", least, most,
               (double)most * (double)count / (double)sum);
}

/* ---- all together ---------------------------------------------------------------------------- */

static const char publish[] = "POST /crowd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                              "Content-Length: 64\r\n\r\n"
                              "123456789012345678901234567890123456789012345678901234567890123!";

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: crowd SERVER WORKERS CLIENTS MESSAGES [FLAGS...]\n");
        return 64;
    }
    unsigned clients = (unsigned)atoi(argv[3]), messages = (unsigned)atoi(argv[4]);
    struct rlimit most;
    getrlimit(RLIMIT_NOFILE, &most);
    most.rlim_cur = most.rlim_max;
    setrlimit(RLIMIT_NOFILE, &most);
    signal(SIGPIPE, SIG_IGN);
    double used = machine_used();
    uint16_t port = server_begin(argv, argv + 5);
    sleep(1);
    double before = processes(memory_of), cpu = processes(cpu_of);
    uint64_t began = now_ns();
    unsigned each = clients / ((clients + EACH - 1) / EACH), left = clients;
    for (; left > 0 && loads < PROCESSES; loads++) {
        unsigned n = left < each + PROCESSES ? left : each;
        load_begin(loads, n, port);
        left -= n;
    }
    for (unsigned i = 0; i < loads; i++)
        (void)load_wait(&load[i]);
    double seconds = (double)(now_ns() - began) / 1e9;
    printf("%u subscribers of %s workers in %.1f s, %.1f us of the server each\n", clients, argv[2],
           seconds, (processes(cpu_of) - cpu) / clients / 1000);
    sleep(2);
    printf("memory of the server: %.1f bytes a subscriber; of the machine, both ends: %.0f\n",
           (processes(memory_of) - before) / clients, (machine_used() - used) / clients);
    ask(port, "GET /-/metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "sse_worker_connections{");
    cpu = processes(cpu_of);
    double total = 0, longest = 0;
    for (unsigned m = 0; m < messages; m++) {
        uint64_t last = 0;
        for (unsigned i = 0; i < loads; i++)
            if (write(load[i].in, "m", 1) != 1)
                die("write");
        usleep(20000);
        uint64_t sent = now_ns();
        ask(port, publish, NULL);
        for (unsigned i = 0; i < loads; i++) {
            struct answer a = load_wait(&load[i]);
            last = a.last_ns > last ? a.last_ns : last;
        }
        double took = (double)(last - sent) / 1e6;
        total += took;
        longest = took > longest ? took : longest;
    }
    printf("%u messages to each: %.2f us of the server a delivery; until the last has it %.1f ms, "
           "%.1f at most\n",
           messages, (processes(cpu_of) - cpu) / clients / messages / 1000, total / messages,
           longest);
    kill(server, SIGTERM);
    for (unsigned i = 0; i < loads; i++)
        kill(load[i].pid, SIGKILL);
    while (wait(NULL) > 0) {
    }
    return 0;
}
