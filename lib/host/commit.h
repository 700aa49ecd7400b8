/*
 * commit.h - when the messages of a store are synced, and what comes of a sync that fails.
 *
 *   --fsync always     in each turn of the loop that brought messages, by commit_now(), before anyone
 *                      hears of these (commit_due())
 *   --fsync interval   by the store's own thread, which commit_tick() wakes
 *   --fsync never      when the kernel likes
 *
 * A sync that failed is counted and logged. It is not made good by another, as the kernel may have
 * dropped what it could not write: those messages are taken for synced, and whoever waited for them
 * is to be told otherwise.
 */
#ifndef SSE_LIB_HOST_COMMIT_H
#define SSE_LIB_HOST_COMMIT_H

#include "lib/host/tables.h"

/* Is there a message that the store has not been synced for? */
static inline bool commit_behind(const struct tables *t, const struct server *s)
{
    return t->store.h != NULL && t->store.synced != ring_head(&s->ring);
}

/* Is there a message that nobody may hear of yet, as it could be lost in a power cut? */
static inline bool commit_due(const struct tables *t, const struct server *s)
{
    return t->store.mode == OPT_FSYNC_ALWAYS && commit_behind(t, s);
}

/* Syncs the store. 0, or minus an errno. */
int commit_now(struct tables *t, struct server *s);

/* To be called in each turn, if there is a store, which it has look after itself each second. */
void commit_tick(struct tables *t, struct server *s);

/* Takes note of a sync, done by whatever function of store.h, that failed if err < 0. */
void commit_result(struct server *s, int err);

#endif
