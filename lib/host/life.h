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
 * A failure ends the process with its reason and an exit code of sysexits.h.
 *
 * Before either, the caller sets up what is neither in the tables nor handed over: the options, the
 * clock, `say`, and the acceptor's pointers, its descriptors being -1.
 */
#ifndef SSE_LIB_HOST_LIFE_H
#define SSE_LIB_HOST_LIFE_H

#include "lib/host/acceptor.h"

/* Starts a server whose process was begun as argv[]. `unsent` as in listen.h. *held is set to the
 * system calls that are still allowed. */
void life_begin(struct acceptor *d, char *const argv[], int unsent, struct calls_held *held);

/* Goes on where the program before this one stopped, as the file `fd` says, which is closed. On
 * `trial` it only checks whether it could, prints that, and ends the process. Returns the
 * descriptor at which the sweep goes on. */
uint32_t life_go_on(struct acceptor *d, int fd, bool trial, struct calls_held *held);

/* Closes everything that is open, and removes the unix sockets; clients were sent away before.
 * Returns 0, or minus an errno if the store could not be synced. */
int life_end(struct acceptor *d);

#endif
