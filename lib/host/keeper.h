/*
 * keeper.h - the process that opens the key files for a server in its sandbox.
 *
 * A Landlock rule names a file, or a directory with all below it. A replaced key file is another
 * file, and its directory may hold files that the server must not read, so the sandbox allows
 * neither. Before entering it the server starts a child, the keeper, which can do one thing: open
 * a key file by its name and pass the descriptor back.
 *
 *     server --- which, a socket to be answered at (SCM_RIGHTS) ---> keeper
 *        ^                                                             |  open(that key file)
 *        `------------------- errno, descriptor -----------------------'
 *
 * The keeper takes no path from anyone: it has its own from the start. It has the user's rights, a
 * Landlock domain in which it can read only in the key files' directories, a filter of the few
 * system calls above, and no descriptor but its socket. It ends when the last server closes the
 * other end or dies. An in-place upgrade hands the socket over, and a trial uses it too.
 *
 * LIMITS: a kernel without Landlock and --no-sandbox do without a keeper. A killed keeper is not
 * started again: the keys stay as they are until the server is restarted.
 */
#ifndef SSE_LIB_HOST_KEEPER_H
#define SSE_LIB_HOST_KEEPER_H

#include "lib/host/user.h"
#include "lib/opt.h"

#define KEEPER_NONE (-1)
#define KEEPER_NAME "sse-keys" /* of the process */

/* Starts the keeper of these files, with the rights of the user. Returns its socket;
 * KEEPER_NONE if the kernel has no Landlock; a lower number on failure: minus the errno, less
 * one. */
int keeper_start(const struct opt_list *files, const struct user *u);

/* Returns a descriptor of file i as it is now; -1 with errno set, EPIPE if the keeper has
 * ended. */
int keeper_ask(int keeper, uint32_t i);

#endif
