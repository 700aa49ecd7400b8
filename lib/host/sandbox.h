/*
 * sandbox.h - after its start the process gives up what it does not need.
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
 * ANOTHER CALL is refused and ends the process: its number is said on stderr and the exit code is
 * EX_SOFTWARE, as with a failed assertion. A thread that had SIGSYS blocked would be ended by it
 * without a word, and libc blocks all signals while it makes a thread, ends one or aborts. So
 * rt_sigprocmask() passes only to unblock; else the handler of SIGSYS does what it would, and
 * leaves SIGSYS unblocked.
 *
 * UPGRADES. All of it outlives an exec. The next program is tried inside it: a trial that needs a
 * call which the filter lacks says so, and the server that runs goes on. The next program adds its
 * own filter only if that is another one, so that upgrades do not pile them up.
 *
 * WHAT IT NEEDS. A kernel without Landlock or seccomp goes without, the latter with a warning; any
 * other failure at the start ends it. Off with --no-sandbox, but for --user.
 *
 * LIMITS: Landlock knows directories, not names: an upgrade to a program elsewhere, by a changed
 * symbolic link, is refused, and a script is none (its interpreter is elsewhere). Without Landlock,
 * execve() and open() are as free as the user is. Threads made before are not covered: there is
 * none.
 */
#ifndef SSE_LIB_HOST_SANDBOX_H
#define SSE_LIB_HOST_SANDBOX_H

#include "lib/host/calls.h"
#include "lib/host/tables.h"
#include "lib/host/user.h"

/* From now on a call that an inherited filter refuses is said before it ends the process, and
 * signal masks can be changed inside of one. To be called before any are. */
void sandbox_watch(void);

/* Gives up what the server does not need any more: the start is done. The store and the unix
 * sockets are given to the user first. What was got is logged, and noted in *held, to be handed
 * over. 0, or an exit code with the reason in *why. */
int sandbox_enter(struct server *s, const struct tables *t, const struct user *u,
                  char *const argv[], struct calls_held *held, struct text *why);

/* Puts a filter into force. 0, or minus an errno: ENOSYS where kernel or machine have none. */
int sandbox_filter(struct filter_insn *insns, uint32_t n);

/* Could this program go on inside what *held tells of? False: *why says which call it lacks. */
bool sandbox_fits(const struct calls_held *held, struct text *why);

/* Goes on after an upgrade: adds this program's filter to what is inherited, where it differs;
 * *held is made to tell of both. */
void sandbox_go_on(struct server *s, struct calls_held *held);

#endif
