/*
 * held.h - messages and answers that wait for a sync of the store (--fsync always).
 */
#ifndef SSE_LIB_LOOP_HELD_H
#define SSE_LIB_LOOP_HELD_H

#include "lib/loop/loop.h"

/* Handles the end of a sync, and begins one if messages wait for it. */
void loop_commit(struct loop *l);

/* Syncs all that was published, and answers its publishers, before the server ends. */
void loop_commit_settle(struct loop *l);

/* Handles a failed sync: its messages are sent to nobody, and the server ends. `err` is minus its
 * errno. */
void loop_store_failed(struct loop *l, int err);

#endif
