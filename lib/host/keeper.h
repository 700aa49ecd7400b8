/*
 * keeper.h - the process that opens the key files for a server in its sandbox.
 *
 * Landlock allows a file, or a directory with all below it, for as long as they are what they were.
 * A key file that is replaced is another file; and its directory may hold what the server is not to
 * read. So the server may open neither. Before it enters its sandbox it starts a child, the keeper,
 * which knows one thing to do: it opens a key file by its name and hands the descriptor over.
 *
 *     server --- which, a socket to be answered at (SCM_RIGHTS) ---> keeper
 *        ^                                                             |  open(that key file)
 *        `------------------- errno, descriptor -----------------------'
 *
 * Nobody tells the keeper a path: it has its own from the start. It has the user's rights, a
 * Landlock domain in which it can read in the key files' directories and nothing else, a filter of
 * the few system calls above, and no descriptor but its socket. It ends when the last server has
 * closed the other end, however that ended. An upgrade in place hands the socket over, and a trial
 * asks, too.
 *
 * LIMITS: where the kernel has no Landlock, and with --no-sandbox, there is no keeper. A keeper
 * that was killed is not started again: the keys stay as they are until the server is started anew.
 */
#ifndef SSE_LIB_HOST_KEEPER_H
#define SSE_LIB_HOST_KEEPER_H

#include "lib/host/user.h"
#include "lib/opt.h"

#define KEEPER_NONE (-1)
#define KEEPER_NAME "sse-keys" /* of the process */

/* Starts the keeper of these files, with the rights of the user. Returns the socket to ask it
 * by, KEEPER_NONE where the kernel has no Landlock; below that minus an errno, less one. */
int keeper_start(const struct opt_list *files, const struct user *u);

/* Asks it: a descriptor of file i as it is now; -1: errno says why there is none, EPIPE that
 * there is no keeper any more. */
int keeper_ask(int keeper, uint32_t i);

#endif
