/*
 * child.h - starts a program as a child of the server, inside the sandbox.
 *
 * posix_spawn() does the same, but how differs from libc to libc and from year to year: which call
 * reaps a child that could not start, and that all signals are blocked meanwhile. Here each system
 * call is this file's own, so that the table in calls.c is right with every libc.
 *
 *   child_spawn() -- clone: shares memory, the parent waits --> descriptors, signal mask, exec
 *        |                                                        |
 *        | 0: runs <------------------------------------ it execs |
 *        `- errno: reaped <---------------------------- it can't: the errno comes by the memory
 */
#ifndef SSE_LIB_HOST_CHILD_H
#define SSE_LIB_HOST_CHILD_H

#include <stddef.h>
#include <sys/types.h>

/* Starts the program argv[0], found as execvp() does, with the environment as it is. Its stdin is
 * /dev/null, its stdout and stderr are `out`; it gets keep[0..n) besides, under the same numbers,
 * and of the others those without FD_CLOEXEC. No signal is blocked in it. Returns 0 with the child
 * in *child, which the caller reaps; or an errno, and there is no child. */
int child_spawn(pid_t *child, char *const argv[], int out, const int *keep, size_t n);

#endif
