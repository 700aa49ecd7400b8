/*
 * held.h - what waits for the store to be synced (--fsync always).
 */
#ifndef SSE_LIB_LOOP_HELD_H
#define SSE_LIB_LOOP_HELD_H

#include "lib/loop/loop.h"

/* Sees to the sync that is under way, or begins one, if that is to be done before anyone hears of
 * the messages that there are. */
void loop_commit(struct loop *l);

/* Has all synced and answered that was published, before the server ends. */
void loop_commit_settle(struct loop *l);

/* A sync has failed: what it was to cover is sent to nobody, and the server ends. */
void loop_store_failed(struct loop *l, int err);

#endif
