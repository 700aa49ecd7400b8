/*
 * commit.h - when the messages of a store are synced, and what comes of a sync that fails.
 *
 *   --fsync always     messages are held (ring.h) until a sync by the thread has covered them;
 *                      the loop serves on meanwhile
 *   --fsync interval   by the same thread, which commit_tick() wakes
 *   --fsync never      when the kernel likes
 *
 * With always, what is put while a sync runs goes into the next one:
 *
 *   put_record(): held, of sync `group`              commit_begin(): `group` becomes `running`
 *   publishers wait (hold_delays(), CONN_HELD)       the thread syncs
 *                                                    store_sync_result(): the loop shows what
 *                                                    was held, marks its topics, and answers
 *                                                    the publishers of `running`
 *
 * A sync that failed is counted and logged. It is not made good by another, as the kernel may have
 * dropped what it could not write: the server ends with EX_IOERR.
 */
#ifndef SSE_LIB_HOST_COMMIT_H
#define SSE_LIB_HOST_COMMIT_H

#include "lib/host/acceptor.h"

/* Returns true if some message has not been synced. */
static inline bool commit_unsynced(const struct tables *t, const struct server *s)
{
    return t->store.h != NULL && t->store.synced != ring_end(&s->ring);
}

/* Returns true if the next tick has something to do, or to hear. */
static inline bool commit_pending(const struct tables *t, const struct server *s)
{
    return t->store.h != NULL && (commit_unsynced(t, s) || store_busy(&t->store) ||
                                  atomic_load(&t->store.thread.error) != 0);
}

/* Returns true if a sync is done and the loop has not served yet what waited for it. */
static inline bool commit_done(const struct tables *t, const struct server *s)
{
    return s->hold.running != 0 && !store_busy(&t->store);
}

/* Begins a sync of all that is held. None is under way. */
void commit_begin(struct tables *t, struct server *s);

/* To be called in each turn, if there is a store, which it has look after itself each second. 0, or
 * minus the errno of a sync. */
int commit_tick(struct tables *t, struct server *s);

/* Takes note of a sync, done by whatever function of store.h, that failed if err < 0. */
void commit_result(struct server *s, int err);

/* Begins the store's thread, which tells the loop by an OWN_STORE that it is done; ends it,
 * while no sync is under way that the loop waits for: 0, or minus the errno of a sync. */
void commit_start_thread(struct acceptor *d);
int commit_stop_thread(struct acceptor *d);

/* Handles an event of OWN_STORE: reads it. The loop asks store_sync_result() in each turn. */
void commit_read_result(int fd);

#endif
