/*
 * process.h - the process itself: its end with a message, its standard descriptors, its signals.
 */
#ifndef SSE_LIB_HOST_PROCESS_H
#define SSE_LIB_HOST_PROCESS_H

#include "lib/text.h"

/* Ends the program with "sse: ", the texts that follow up to a NULL, and an exit code of
 * sysexits.h. */
_Noreturn void process_fail(int code, ...) TEXT_LIST;

/* Sees to it that descriptors 0 to 2 are there, so that no socket gets one of these numbers. */
void process_open_standard(void);

/* Ends when the process ends that started it. */
void process_die_with_parent(void);

/* SIGTERM, SIGINT, SIGUSR2 and SIGHUP, and SIGCHLD where this is the first process, come through a
 * descriptor from now on, which it returns (-1: errno); SIGPIPE is ignored. */
int process_signals(void);

/* Where this is the first process, as in a container, whose children others' orphans become: reaps
 * all children that have ended. */
void process_reap(void);

#endif
