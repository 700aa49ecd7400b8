/*
 * store.h - the ring in a file that outlives the process.
 *
 *   0          first page: what never changes; two copies of the state, written in turn
 *   STORE_HEAD revocations of tokens (lib/auth/revoke.h)
 *   RING_PAGE  the arena, mapped by the ring: a message is in the file when ring_put() returns
 *
 * The file holds only messages and revocations: opening it rebuilds the index, and following the
 * ring rebuilds chains and topics (lib/broker). Every record with right checksums is kept, in the
 * order of the ids; damage is left out, and clients get a gap (ring.h, "hole"). Ids only grow:
 * where the newest is unknown (the machine went down, a sync failed, or this is a copy), they jump
 * to a multiple of STORE_JUMP at least half a STORE_JUMP away. To keep that beyond every id ever
 * used, in every mode, the state is marked "in use" and synced before the first message is put, and
 * synced again after each quarter of STORE_JUMP messages.
 *
 * WHAT SURVIVES. The end of the process, however it comes: every message. A power cut: all messages
 * before the last completed fdatasync: with OPT_FSYNC_ALWAYS store_sync_begin() syncs before anyone
 * gets a message; with _INTERVAL a thread does at store_tick(); with _NEVER the kernel writes when
 * it likes.
 *
 * WITH OPT_FSYNC_ALWAYS messages are held (ring_hold()). The thread's sync covers all that are held
 * when it begins, and they are shown when it is done. So every message shown is durable. The disk
 * always knows the newest id shown, even where held records have overwritten the last record with
 * it: the state, written with each sync, has it, and counts the held messages in where they are
 * many.
 *
 * A FAILED SYNC is final: the kernel may have dropped what it could not write, and no other sync
 * makes that good. The store says so in its state, as far as it can, and the next start has ids
 * jump and writes every page again.
 *
 * TIME. The ring's clock (ring.h) goes on from one process to the next: the state records its time,
 * and the times of the machine's clocks.
 *
 * OWNERSHIP: the ring owns the descriptor, and with it the lock on the file, until ring_close().
 * The store owns its mapping of the first page and the thread, which shares struct store_thread
 * alone.
 */
#ifndef SSE_LIB_HOST_STORE_H
#define SSE_LIB_HOST_STORE_H

#include "lib/broker/broker.h"
#include "lib/opt.h"

#include <pthread.h>
#include <stdatomic.h>

#define STORE_JUMP    1000000000u
#define STORE_HEAD    4096u
#define STORE_NOTHING UINT64_MAX /* `synced`: as if nothing were */

struct store_head; /* the first page */

struct store_thread {
    int fd, wake, told; /* the file; eventfds: sync; a sync is done (OPT_FSYNC_ALWAYS; else -1) */
    atomic_int error;   /* errno of the first failed sync; 0: none */
    atomic_bool stop;
    atomic_uint asked, done; /* syncs, modulo 2^32; if they differ, one is due */
};

/* Times of the clocks, in ms. */
struct store_time {
    uint64_t ring; /* the ring's */
    uint64_t wall; /* CLOCK_REALTIME */
    uint64_t boot; /* CLOCK_BOOTTIME */
};

/* Must stay where it is while the thread runs. */
struct store {
    struct store_head *h; /* NULL: closed */
    int fd;               /* the ring's */
    enum opt_fsync mode;
    uint64_t synced;         /* the ring's end at the last sync that was begun */
    uint64_t noted_n;        /* an id that the state on the disk is sure to have */
    struct store_time time;  /* the caller's: now */
    struct store_time noted; /* the time that is in the state */
    bool syncing;            /* a sync was begun: call store_sync_result() */
    bool threaded;
    pthread_t id;
    struct store_thread thread;
};

/* Returns true while a sync of the thread is due or running. */
static inline bool store_busy(const struct store *st)
{
    return st->threaded && atomic_load(&st->thread.asked) != atomic_load(&st->thread.done);
}

struct store_ask {
    const char *path;
    uint64_t ring;   /* bytes of a new store, ... */
    bool ring_given; /* ... and of an existing one, which else keeps its size */
    enum opt_fsync mode;
    uint64_t wall_ms; /* the epoch of a new store */
    uint64_t boot_ms; /* CLOCK_BOOTTIME */
};

/* What opening a store found. */
struct store_report {
    bool created;
    bool unclean;           /* it was not closed properly */
    bool failed;            /* it could not be synced when it was last in use */
    uint64_t resized_from;  /* bytes; 0: not resized */
    uint64_t cut;           /* bytes by which the file was too short */
    uint64_t messages;      /* messages in the store now */
    uint64_t dropped;       /* ids that are missing between and after them */
    uint64_t places, bytes; /* of damage between messages: number, bytes */
    uint64_t topics_full;   /* messages left out for want of room for their topics */
    uint64_t jumped;        /* the n to which ids jumped, as the newest is unknown; 0: no jump */
    uint64_t clock_ms; /* the ring's clock now: its last time, and the time that passed since */
};

/* Opens the store at ask->path, or creates it, and locks it; sets up *r, whose arena is in the
 * file, with its messages. *st must be zeroed. To change the size it builds the ring in PATH.new
 * and renames that. Returns false with the reason in *why; then nothing is left open, and an
 * existing file is unchanged. */
bool store_open(struct store *st, struct ring *r, const struct store_ask *ask,
                struct store_report *rep, struct text *why);

/* REVOKE_BYTES of the store, for a table of revocations: synced with the messages. */
static inline void *store_revoked(const struct store *st)
{
    return (char *)st->h + STORE_HEAD;
}

/* Has the broker follow the ring of an opened store, and adds to the report the messages it leaves
 * out for want of topics: these are wiped, so the next start does without them too. */
void store_follow(struct broker *b, struct store_report *rep);

/* Goes on with the store of a ring that was attached (ring_attach() with its key): the lock came
 * with the descriptor. Returns 0, or minus an errno with nothing left open. */
int store_attach(struct store *st, const struct ring *r, enum opt_fsync mode);

/* For OPT_FSYNC_ALWAYS: begins a sync of all messages up to ring_end(), which becomes st->synced;
 * in the thread or, without one, at once. No other may be running. */
void store_sync_begin(struct store *st, const struct ring *r);

/* Returns 1 while that sync is running; 0 if it is done or none was begun; minus an errno if it or
 * an earlier one failed. When it is done, the thread's `told` becomes readable. */
int store_sync_result(struct store *st);

/* Waits until the sync is done. Returns 0, or minus an errno, as store_sync_result() does. */
int store_sync_wait(struct store *st);

/* Call about once a second, with st->time set. For OPT_FSYNC_INTERVAL, starts a sync if a message
 * was put. Records the time and the newest id. Returns 0, or minus the errno of a sync. */
int store_tick(struct store *st, const struct ring *r);

/* Ends the thread, syncs (but for OPT_FSYNC_NEVER), marks the store as closed, or as failed to
 * sync, and releases the lock; call ring_close() next. Returns 0, or minus the errno of a sync. */
int store_close(struct store *st, const struct ring *r);

/* Begins the thread of an opened or attached store, if its mode has one. The caller chooses when,
 * as a thread keeps the rights that the process has then (sandbox.h). Without the thread the loop
 * does all syncs. With OPT_FSYNC_ALWAYS no sync may be running. store_stop_thread() ends it, as
 * before an exec; returns 0, or minus the errno of its last sync. */
void store_start_thread(struct store *st);
int store_stop_thread(struct store *st);

/* Appends the report in words. */
void store_describe(const struct store_report *rep, struct text *out);

#endif
