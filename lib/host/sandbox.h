/*
 * sandbox.h - drops the rights that the process does not need after its start.
 *
 *   start, perhaps as root: listeners, store, tables, keys
 *     |
 *   --user            the rights of root: user and group ids, other groups, capabilities    user.h
 *   no_new_privs      what an exec could bring back
 *   Landlock          files, where the kernel has it                               landlock.h
 *   seccomp           system calls that calls.h does not list, and arguments
 *     |
 *   "ready", and the loop
 *
 * WHAT IS ALLOWED THEN. Of files: to execute and read what is in the program's own directory (an
 * upgrade), /dev/null, and to remove in the directories of its unix sockets. Of the keys and the
 * store nothing: another process opens the key file (keeper.h), and the store's descriptor is open.
 * No TCP connection, no other listener, no signal to another process. Of system calls: those of the
 * table in calls.c.
 *
 * ANY OTHER CALL ends the process: its number is reported on stderr, and the exit code is
 * EX_SOFTWARE. With SIGSYS blocked it would end without a message, and libc blocks all signals
 * while it makes or ends a thread or aborts. So the filter lets rt_sigprocmask() pass only to
 * unblock; else the handler of SIGSYS does its work, and leaves SIGSYS unblocked.
 *
 * UPGRADES. The sandbox outlives an exec, and the next program is tried inside it: a trial that
 * needs a call which the filter refuses reports it, and the running server goes on. The next
 * program adds its own filter only if it differs, so that upgrades do not pile up filters.
 *
 * REQUIREMENTS. On a kernel without Landlock or seccomp the server does without, without seccomp
 * with a warning; any other failure ends the start. --no-sandbox turns all off but --user.
 *
 * LIMITS: Landlock knows directories, not names: an upgrade to a program elsewhere, through a
 * changed symbolic link, is refused, and so is a script, whose interpreter is elsewhere. Without
 * Landlock, execve() and open() may do what the user may. Threads made before the sandbox are not
 * covered; there are none.
 */
#ifndef SSE_LIB_HOST_SANDBOX_H
#define SSE_LIB_HOST_SANDBOX_H

#include "lib/host/calls.h"
#include "lib/host/tables.h"
#include "lib/host/user.h"

/* Installs the handler of SIGSYS: a call that an inherited filter refuses is reported before it
 * ends the process, and signal masks can be changed inside one. Call it before any is changed. */
void sandbox_watch(void);

/* Drops what the server does not need after its start. Before that it gives the store and the unix
 * sockets to the user. The result is logged, and stored in *held, to be handed over. Returns 0, or
 * an exit code with the reason in *why. */
int sandbox_enter(struct server *s, const struct tables *t, const struct user *u,
                  char *const argv[], struct calls_held *held, struct text *why);

/* Puts a filter into force. Returns 0, or minus an errno: ENOSYS if the kernel or the machine has
 * no filters. */
int sandbox_filter(struct filter_insn *insns, uint32_t n);

/* Returns true if this program can go on inside the filters of *held; else *why names a call that
 * they refuse. */
bool sandbox_fits(const struct calls_held *held, struct text *why);

/* Goes on after an upgrade: adds this program's filter to the inherited ones if it differs, and
 * updates *held. */
void sandbox_go_on(struct server *s, struct calls_held *held);

#endif
