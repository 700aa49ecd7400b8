/*
 * read.h - reads from clients, and passes on what they send.
 */
#ifndef SSE_LIB_LOOP_READ_H
#define SSE_LIB_LOOP_READ_H

#include "lib/loop/loop.h"

/* Serves a connection for whatever woke it: writes pending bytes, then reads, unless its answers
 * are not read. Input of a client that waits is left in its socket, but for its end. */
void loop_serve(struct loop *l, struct conn *c);

#endif
