/*
 * child.c - starts a program as a child of the server.
 */
#include "lib/host/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_STACK (64u << 10) /* execvp() puts paths there */
#define NOT_STARTED 127

/* The child's orders, in the parent's memory, which it shares until it execs. */
struct start {
    char *const *argv;
    const int *keep;
    size_t n;
    int out;
    int err; /* errno if it could not start; 0: it did */
};

/* Functions of the child leave no AddressSanitizer marks on its stack: that is part of the
 * parent's, where the marks would stay after the exec. */
#define IN_CHILD __attribute__((no_sanitize_address))

IN_CHILD static bool files_set(const struct start *s)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null == -1 || dup2(null, STDIN_FILENO) == -1 || dup2(s->out, STDOUT_FILENO) == -1 ||
        dup2(s->out, STDERR_FILENO) == -1)
        return false;
    for (size_t i = 0; i < s->n; i++)
        if (fcntl(s->keep[i], F_SETFD, 0) == -1)
            return false;
    return true;
}

/* Runs in the child, on its own stack. */
IN_CHILD static int child_run(void *arg)
{
    struct start *s = arg;
    sigset_t none;
    sigemptyset(&none);
    if (files_set(s) && sigprocmask(SIG_SETMASK, &none, NULL) == 0) {
        if (strchr(s->argv[0], '/') != NULL)
            execv(s->argv[0], s->argv); /* unlike execvp(), this never runs a shell */
        else
            execvp(s->argv[0], s->argv);
    }
    s->err = errno;
    return NOT_STARTED;
}

/* No signal must be blocked meanwhile: the only handler is that of SIGSYS (sandbox.c), which a
 * child that shares the parent's memory may run. */
int child_spawn(pid_t *child, char *const argv[], int out, const int *keep, size_t n)
{
    _Alignas(16) char stack[CHILD_STACK];
    struct start s = {argv, keep, n, out, 0};
    *child = clone(child_run, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &s);
    if (*child == -1)
        return errno;
    if (s.err != 0)
        while (waitpid(*child, NULL, 0) == -1 && errno == EINTR) {
        }
    return s.err;
}
