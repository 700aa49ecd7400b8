/*
 * still.c - linked into the server whose instructions are counted: nothing in it depends on time or
 * chance, and SIGURG ends one count and begins the next.
 *
 * With a clock that stands, no phase of a turn is over early, no timer is due and every id is as
 * long as in the last run, so that the same requests take the same instructions.
 */
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <time.h>
#include <valgrind/callgrind.h>

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
int __wrap_clock_gettime(clockid_t id, struct timespec *t);
ssize_t __wrap_getrandom(void *p, size_t n, unsigned flags);
int __wrap_epoll_wait(int ep, struct epoll_event *ev, int n, int timeout);
int __real_epoll_wait(int ep, struct epoll_event *ev, int n, int timeout);

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
    *t = (struct timespec){.tv_sec = id == CLOCK_REALTIME ? 1800000000 : 1000000};
    return 0;
}

ssize_t __wrap_getrandom(void *p, size_t n, unsigned flags)
{
    (void)flags;
    memset(p, 0x5e, n);
    return (ssize_t)n;
}

int __wrap_epoll_wait(int ep, struct epoll_event *ev, int n, int timeout)
{
    return __real_epoll_wait(ep, ev, n, timeout > 0 ? -1 : timeout);
}

/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static void mark(int signal)
{
    (void)signal;
    CALLGRIND_DUMP_STATS;
}

__attribute__((constructor)) static void still(void)
{
    struct sigaction a = {.sa_handler = mark};
    sigaction(SIGURG, &a, NULL);
}
