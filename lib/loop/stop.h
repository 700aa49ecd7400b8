/*
 * stop.h - how the server ends: connections are closed one after the other.
 */
#ifndef SSE_LIB_LOOP_STOP_H
#define SSE_LIB_LOOP_STOP_H

#include "lib/loop/loop.h"

/* Begins to stop: what is being published goes on to its end, all others are told to come back, one
 * after the other. */
void loop_drain_begin(struct loop *l, const char *why);

/* Goes on with it; the server stops when all are gone or their time is up. */
void loop_drain(struct loop *l);

#endif
