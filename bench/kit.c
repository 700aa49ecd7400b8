/*
 * kit.c - errors, time, sockets, children.
 */
#include "bench/kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char *kit_name = "bench";

void die(const char *format, ...)
{
    va_list ap;
    fflush(stdout);
    fprintf(stderr, "%s: FAILED: ", kit_name);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    exit(1);
}

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void pause_ms(unsigned ms)
{
    poll(NULL, 0, (int)ms);
}

void *take(size_t n, size_t size)
{
    void *p = calloc(n > 0 ? n : 1, size);
    if (p == NULL)
        die("no memory for %zu times %zu bytes", n, size);
    return p;
}

unsigned long number(const char *flag, const char *text, unsigned long least, unsigned long most)
{
    char *end;
    errno = 0;
    unsigned long v = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || v < least || v > most)
        die("%s %s: must be a number from %lu to %lu", flag, text, least, most);
    return v;
}

unsigned long raise_descriptors(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) == -1)
        die("getrlimit: %s", strerror(errno));
    l.rlim_cur = l.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &l) == -1)
        die("setrlimit: %s", strerror(errno));
    return (unsigned long)l.rlim_cur;
}

void pin(int core)
{
    cpu_set_t set;
    if (core < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((unsigned)core, &set);
    if (sched_setaffinity(0, sizeof set, &set) == -1)
        die("core %d: %s", core, strerror(errno));
}

/* ---- sockets --------------------------------------------------------------------------------- */

int connect_from(unsigned from, unsigned port)
{
    int one = 1;
    struct sockaddr_in us = {.sin_family = AF_INET}, to = us;
    struct timeval patience = {30, 0};
    us.sin_addr.s_addr = htonl(INADDR_LOOPBACK + from);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1 || setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) == -1 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == -1 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == -1 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == -1 ||
        bind(fd, (struct sockaddr *)&us, sizeof us) == -1 ||
        connect(fd, (struct sockaddr *)&to, sizeof to) == -1)
        die("connecting to port %u: %s", port, strerror(errno));
    return fd;
}

void send_all(int fd, const void *bytes, size_t n)
{
    const char *p = bytes;
    while (n > 0) {
        ssize_t w = send(fd, p, n, MSG_NOSIGNAL);
        if (w <= 0)
            die("sending: %s", strerror(errno));
        p += w;
        n -= (size_t)w;
    }
}

/* ---- children -------------------------------------------------------------------------------- */

pid_t fork_leashed(void)
{
    pid_t parent = getpid();
    fflush(stdout);
    pid_t pid = fork();
    if (pid == -1)
        die("fork: %s", strerror(errno));
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
    }
    return pid;
}

pid_t spawn(const char *const argv[], int core, int *in, int *out)
{
    int to[2] = {-1, -1}, from[2] = {-1, -1};
    if ((in != NULL && pipe2(to, O_CLOEXEC) == -1) || (out != NULL && pipe2(from, O_CLOEXEC) == -1))
        die("pipe: %s", strerror(errno));
    pid_t pid = fork_leashed();
    if (pid == 0) {
        if (in == NULL)
            to[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (dup2(to[0], STDIN_FILENO) == -1 || (out != NULL && dup2(from[1], STDOUT_FILENO) == -1))
            _exit(126);
        pin(core);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        fprintf(stderr, "%s: %s: %s\n", kit_name, argv[0], strerror(errno));
        _exit(127);
    }
    if (in != NULL) {
        close(to[0]);
        *in = to[1];
    }
    if (out != NULL) {
        close(from[1]);
        *out = from[0];
    }
    return pid;
}

int finish(pid_t pid, int signal)
{
    int status;
    if (signal != 0)
        kill(pid, signal);
    for (unsigned tries = 0; waitpid(pid, &status, WNOHANG) == 0; tries++) {
        if (tries == 1000)
            kill(pid, SIGKILL);
        pause_ms(10);
    }
    return status;
}

bool read_line(int fd, char *line, size_t room, unsigned seconds)
{
    size_t n = 0;
    uint64_t end = now_ns() + seconds * 1000000000ull;
    for (;;) {
        struct pollfd p = {fd, POLLIN, 0};
        uint64_t now = now_ns();
        if (now >= end || poll(&p, 1, (int)((end - now) / 1000000) + 1) == 0)
            die("nothing came within %u s", seconds);
        ssize_t got = read(fd, line + n, 1);
        if (got <= 0)
            return false;
        if (line[n] == '\n')
            break;
        if (++n == room)
            die("a line too long: %.60s", line);
    }
    line[n] = '\0';
    return true;
}
