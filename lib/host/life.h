/*
 * life.h - a server's start, from nothing or from the program before it, and its end.
 *
 *   life_begin                       life_go_on
 *   ----------                       ----------
 *   who --user is                    what was handed over
 *   keys, limits, tables, ring       keys, limits, tables, ring; here a trial ends
 *   epoll, signals, listeners        signals
 *   sandbox                          sandbox, where this program's is another one
 *   the store's thread, "started"    the store's thread, "upgraded"
 *
 * What can't be had ends the process with its reason and an exit code of sysexits.h.
 *
 * Before either, the caller has set up what is neither in the tables nor handed over: the options,
 * the clock, `say`, and whom the acceptor belongs to, its descriptors being -1.
 */
#ifndef SSE_LIB_HOST_LIFE_H
#define SSE_LIB_HOST_LIFE_H

#include "lib/host/acceptor.h"

/* Starts a server: the process was begun as argv[]. `unsent` as listen.h has it. Notes in *held
 * which system calls are left. */
void life_begin(struct acceptor *d, char *const argv[], int unsent, struct calls_held *held);

/* Goes on where the program before this one stopped, as the file `fd` tells, which is closed; on
 * `trial`, only sees whether it could, says that, and ends. Returns the descriptor that the sweep
 * is at. */
uint32_t life_go_on(struct acceptor *d, int fd, bool trial, struct calls_held *held);

/* Closes everything that is still there, and removes the unix sockets. Clients have been told. 0,
 * or minus an errno, as the store could not be synced. */
int life_end(struct acceptor *d);

#endif
