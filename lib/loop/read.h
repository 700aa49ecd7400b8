/*
 * read.h - reads from clients, and has handled what they send.
 */
#ifndef SSE_LIB_LOOP_READ_H
#define SSE_LIB_LOOP_READ_H

#include "lib/loop/loop.h"

/* Whatever woke it: writes what waits, then reads, unless its answers are not read. What comes
 * while it waits itself is left in the socket, but for the end. */
void loop_serve(struct loop *l, struct conn *c);

#endif
