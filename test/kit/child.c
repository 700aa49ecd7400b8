/*
 * child.c - for the load programs: the server as a process of its own, and what
 * /proc tells of it.
 */
#include "test/kit/child.h"
#include "test/kit/close.h"
#include "test/kit/metric.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
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
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- time, failure ---- */

uint64_t child_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

double child_now(void)
{
    return (double)child_now_us() / 1e6;
}

void child_pause(int ms)
{
    poll(NULL, 0, ms);
}

void child_die(struct child *c, const char *format, ...)
{
    static char log[8192], why[1500];
    int status = 0;
    va_list ap;
    va_start(ap, format);
    fflush(stdout);
    fprintf(stderr, "%s: FAILED: ", c->program);
    vsnprintf(why, sizeof(why), format, ap); /* as much as one wants to read */
    fprintf(stderr, "%s\n", why);
    va_end(ap);
    child_pause(50); /* a server that is ending has its say */
    if (c->pid != 0 && waitpid(c->pid, &status, WNOHANG) == c->pid)
        fprintf(stderr, "the server has ended, wait status %#x\n", (unsigned)status);
    off_t end = c->err != -1 ? lseek(c->err, 0, SEEK_END) : 0;
    off_t from = end > (off_t)sizeof(log) ? end - (off_t)sizeof(log) : 0;
    ssize_t n = end > 0 ? pread(c->err, log, sizeof(log), from) : 0;
    if (n > 0)
        fprintf(stderr, "---- stderr of the server ----\n%.*s", (int)n, log);
    exit(1);
}

/* ---- the process ---- */

long child_init(struct child *c, const char *program, const char *path, unsigned deadline_s)
{
    struct rlimit l;
    *c = (struct child){.program = program, .path = path, .out = -1, .err = -1};
    alarm(deadline_s);
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &l);
    l.rlim_cur = l.rlim_max;
    setrlimit(RLIMIT_NOFILE, &l);
    c->err = memfd_create("stderr", MFD_CLOEXEC);
    if (c->err == -1)
        child_die(c, "memfd_create: %s", strerror(errno));
    return (long)l.rlim_max;
}

void child_arg(struct child *c, const char *arg)
{
    if (c->arg_count == CHILD_ARGS)
        child_die(c, "too many arguments");
    snprintf(c->args[c->arg_count++], sizeof(c->args[0]), "%s", arg);
}

static void become_server(struct child *c, int out, pid_t parent)
{
    char *argv[CHILD_ARGS + 6], port[8], user[64];
    unsigned n = 0;
    snprintf(user, sizeof(user), "%u:%u", geteuid(), getegid());
    setenv("SSE_USER", user, 1); /* that it is root here is meant, and no reason to warn */
    setenv("SSE_HOST", "test t h x load", 1); /* what tests have in Host */
    snprintf(port, sizeof(port), "%u", c->port);
    argv[n++] = strdup(c->path);
    argv[n++] = strdup("--port");
    argv[n++] = port;
    argv[n++] = strdup("--log");
    argv[n++] = strdup("warn");
    for (unsigned i = 0; i < c->arg_count; i++)
        argv[n++] = c->args[i];
    argv[n] = NULL;
    if (dup2(out, 1) == -1 || dup2(c->err, 2) == -1)
        _exit(126);
    fcntl(2, F_SETFL, O_APPEND);
    close_from(3);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent)
        execv(c->path, argv);
    _exit(127);
}

void child_start(struct child *c)
{
    int out[2];
    pid_t parent = getpid();
    if (c->out != -1)
        close(c->out);
    fflush(stdout);
    if (pipe2(out, O_CLOEXEC) == -1 || (c->pid = fork()) == -1)
        child_die(c, "cannot start it: %s", strerror(errno));
    if (c->pid == 0)
        become_server(c, out[1], parent);
    close(out[1]);
    c->out = out[0];
}

bool child_ready(struct child *c, int ms)
{
    char line[256] = "";
    struct pollfd p = {c->out, POLLIN, 0};
    if (poll(&p, 1, ms) != 1)
        child_die(c, "it did not start within %d ms", ms);
    ssize_t n = read(c->out, line, sizeof(line) - 1);
    const char *port = strrchr(line, ':');
    if (n <= 0 || port == NULL)
        return false;
    c->port = (uint16_t)strtoul(port + 1, NULL, 10);
    return true;
}

void child_kill(struct child *c)
{
    int status;
    kill(c->pid, SIGKILL);
    waitpid(c->pid, &status, 0);
    c->pid = 0;
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        child_die(c, "it had ended by itself, wait status %#x", (unsigned)status);
}

void child_alive(struct child *c)
{
    int status;
    if (waitpid(c->pid, &status, WNOHANG) == 0)
        return;
    c->pid = 0;
    child_die(c, "the server has ended, wait status %#x", (unsigned)status);
}

void child_stop(struct child *c, int ms)
{
    int status = 0;
    uint64_t deadline = child_now_us() + (uint64_t)ms * 1000;
    kill(c->pid, SIGTERM);
    while (waitpid(c->pid, &status, WNOHANG) == 0) {
        if (child_now_us() > deadline)
            child_die(c, "the server did not end when told to");
        child_pause(5);
    }
    c->pid = 0;
    if (status != 0 || lseek(c->err, 0, SEEK_END) > 0)
        child_die(c, "the server ended with wait status %#x", (unsigned)status);
}

/* ---- what it says of itself ---- */

long child_memory(struct child *c, const char *field)
{
    char path[64], line[256];
    long kb = -1;
    child_alive(c);
    snprintf(path, sizeof(path), "/proc/%d/status", (int)c->pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        child_die(c, "%s: %s", path, strerror(errno));
    while (fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, field, strlen(field)) == 0)
            kb = strtol(line + strlen(field) + 1, NULL, 10);
    fclose(f);
    return kb * 1024;
}

long child_descriptors(struct child *c)
{
    char path[64];
    long n = -2; /* . and .. */
    child_alive(c);
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)c->pid);
    DIR *d = opendir(path);
    if (d == NULL)
        child_die(c, "%s: %s", path, strerror(errno));
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

long long child_metric(struct child *c, const char *name)
{
    static const char request[] = "GET /-/metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    static char buf[65536];
    size_t n = 0;
    ssize_t got;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(c->port)};
    struct timeval patience = {60, 0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd == -1 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == -1 ||
        connect(fd, (struct sockaddr *)&to, sizeof(to)) == -1 ||
        send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != sizeof(request) - 1)
        child_die(c, "asking for metrics: %s", strerror(errno));
    while (n < sizeof(buf) - 1 && (got = recv(fd, buf + n, sizeof(buf) - 1 - n, 0)) > 0)
        n += (size_t)got;
    buf[n] = '\0';
    close(fd);
    if (strncmp(buf, "HTTP/1.1 200 ", 13) != 0)
        child_die(c, "the metrics were answered: %s", buf);
    return metric_sum(buf, name);
}
