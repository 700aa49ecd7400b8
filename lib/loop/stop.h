/*
 * stop.h - ends the server: connections are closed one after the other.
 */
#ifndef SSE_LIB_LOOP_STOP_H
#define SSE_LIB_LOOP_STOP_H

#include "lib/loop/loop.h"

/* Begins to stop, for reason `why`: messages that are arriving are completed, and all other clients
 * are sent away one by one. */
void loop_drain_begin(struct loop *l, const char *why);

/* Goes on with that; the server stops when all clients are gone or their time is up. */
void loop_drain(struct loop *l);

#endif
