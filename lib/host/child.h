/*
 * child.h - starts a program as a child of the server, inside the sandbox.
 *
 * posix_spawn() does the same, but its system calls differ between libcs and versions: the call
 * that reaps a child which could not start, the blocking of all signals meanwhile. Here each call
 * is this file's own, so that the table in calls.c is right with every libc.
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

/* Starts the program argv[0], found as execvp() finds it, with this process's environment. Its
 * stdin is /dev/null, its stdout and stderr are `out`; it also gets keep[0..n) under the same
 * numbers, and every descriptor without FD_CLOEXEC. No signal is blocked in it. Returns 0 with the
 * child in *child, which the caller reaps; or an errno without a child. */
int child_spawn(pid_t *child, char *const argv[], int out, const int *keep, size_t n);

#endif
