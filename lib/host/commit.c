/*
 * commit.c - has the store synced.
 */
#include "lib/host/commit.h"

enum { TICK_MS = 1000 }; /* between two syncs of --fsync interval */

void commit_result(struct server *s, int err)
{
    if (err >= 0)
        return;
    s->stat.store_errors++;
    s->say(OPT_LOG_ERROR, "the store could not be synced", "error", strerror(-err), NULL);
}

int commit_now(struct tables *t, struct server *s)
{
    int err = store_commit(&t->store, &s->ring);
    s->stat.store_syncs++;
    commit_result(s, err);
    t->store.synced = ring_head(&s->ring);
    return err;
}

void commit_tick(struct tables *t, struct server *s)
{
    if (s->now - t->store_ticked < TICK_MS)
        return;
    t->store_ticked = s->now;
    s->stat.store_syncs += t->store.mode == OPT_FSYNC_INTERVAL && commit_behind(t, s);
    commit_result(s, store_tick(&t->store, &s->ring));
}
