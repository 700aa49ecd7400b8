/*
 * sweep.h - looks at every connection in turn: heartbeats, timeouts; lets messages grow old.
 */
#ifndef SSE_LIB_LOOP_SWEEP_H
#define SSE_LIB_LOOP_SWEEP_H

#include "lib/loop/loop.h"

/* Private: does so where there is something to do. */
void loop_sweep_some(struct loop *l);

/* Looks through a slice of the table whenever its time has come, so that each connection is looked
 * at once in LOOP_SLICES ticks; evicts what is older than --max-age. */
static inline void loop_sweep(struct loop *l)
{
    if (l->sweep_left != 0 || l->server.clock.now - l->swept >= l->slice_ms)
        loop_sweep_some(l);
}

#endif
