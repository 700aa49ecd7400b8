/*
 * process.h - the process itself: its end with a message, its standard descriptors, its signals.
 */
#ifndef SSE_LIB_HOST_PROCESS_H
#define SSE_LIB_HOST_PROCESS_H

#include "lib/text.h"

/* Writes "sse: ", the strings that follow up to a NULL, and a line end to stderr, and exits with
 * `code`, one of sysexits.h; with EX_IOERR if stderr cannot be written. */
_Noreturn void process_fail(int code, ...) TEXT_LIST;

/* Call first. Opens /dev/null as each of the descriptors 0 to 2 that is closed, so that no socket
 * gets such a number. Blocks SIGUSR2 until process_signals(); sets SIGCHLD to its default; ignores
 * SIGUSR1, and SIGXFSZ, so that writing past a file size limit fails with EFBIG. */
void process_open_standard(void);

/* Has the kernel kill this process when its parent ends. */
void process_die_with_parent(void);

/* Blocks SIGTERM, SIGINT, SIGUSR2 and SIGHUP, and SIGCHLD if this is process 1, and ignores
 * SIGPIPE. Returns a signalfd, non-blocking and close-on-exec, from which they are read; -1 with
 * errno set. */
int process_signals(void);

/* Reaps all children that have ended if this is process 1, as in a container, where it inherits
 * others' orphans. */
void process_reap(void);

#endif
