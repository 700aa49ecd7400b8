/*
 * commit.h - when the messages of a store are synced, and what happens if a sync fails.
 *
 *   --fsync always     messages are held (ring.h) until a sync by the thread has covered them;
 *                      the loop serves on meanwhile
 *   --fsync interval   by the same thread, which commit_tick() wakes
 *   --fsync never      when the kernel likes
 *
 * With always, what is put while a sync runs goes into the next one:
 *
 *   submit_record(): held, of sync `group`              commit_begin(): `group` becomes `running`
 *   publishers wait (hold_delays(), CONN_HELD)       the thread syncs
 *                                                    store_sync_result(): the loop shows what
 *                                                    was held, marks its topics, and answers
 *                                                    the publishers of `running`
 *
 * A failed sync is counted and logged, and the server ends with EX_IOERR: no other sync makes it
 * good, as the kernel may have dropped what it could not write.
 */
#ifndef SSE_LIB_HOST_COMMIT_H
#define SSE_LIB_HOST_COMMIT_H

#include "lib/host/acceptor.h"

/* Returns true if some message or revocation has not been synced. */
static inline bool commit_unsynced(const struct tables *t, const struct server *s)
{
    return t->store.h != NULL && (s->hold.more || t->store.synced != ring_end(&s->ring));
}

/* Returns true if commit_tick() has something to do or a result to report. */
static inline bool commit_pending(const struct tables *t, const struct server *s)
{
    return t->store.h != NULL && (commit_unsynced(t, s) || store_busy(&t->store) ||
                                  atomic_load(&t->store.thread.error) != 0);
}

/* Returns true if a sync is done whose messages the loop has not shown yet. */
static inline bool commit_done(const struct tables *t, const struct server *s)
{
    return s->hold.running != 0 && !store_busy(&t->store);
}

/* Begins a sync of all held messages. No other may be running. */
void commit_begin(struct tables *t, struct server *s);

/* Call every turn if there is a store. Once a second it records the time in the store and, with
 * --fsync interval, starts a sync. Returns 0, or minus the errno of a failed sync. */
int commit_tick(struct tables *t, struct server *s);

/* Counts and logs a sync of store.h that failed: err < 0 is minus its errno. Does nothing if it did
 * not. */
void commit_result(struct server *s, int err);

/* Begin the store's thread, which reports to the loop through a DESCRIPTOR_STORE; end it, while the
 * loop waits for no sync. commit_stop_thread() returns 0, or minus the errno of a sync. */
void commit_start_thread(struct acceptor *d);
int commit_stop_thread(struct acceptor *d);

/* Handles an event of DESCRIPTOR_STORE: drains the eventfd. The loop calls store_sync_result()
 * every turn. */
void commit_read_result(int fd);

#endif
