/*
 * sweep.h - checks every connection in turn for heartbeats and timeouts; evicts old messages.
 */
#ifndef SSE_LIB_LOOP_SWEEP_H
#define SSE_LIB_LOOP_SWEEP_H

#include "lib/loop/loop.h"

/* Private: does loop_sweep()'s work. */
void loop_sweep_some(struct loop *l);

/* Checks a slice of the table whenever one is due, so that each connection is checked once in
 * LOOP_SLICES ticks; evicts messages older than --max-age. */
static inline void loop_sweep(struct loop *l)
{
    if (l->sweep_left != 0 || l->server.clock.now - l->swept >= l->slice_ms)
        loop_sweep_some(l);
}

#endif
