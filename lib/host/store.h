/*
 * store.h - the ring in a file, which outlives the process.
 *
 *   0          first page: what never changes; two copies of the state, written in turn
 *   RING_PAGE  the arena, mapped by the ring: a message is in the file when ring_put() returns
 *
 * The file holds messages and nothing else: the index is made anew when it is opened, chains and
 * topics by following the ring (lib/broker). Every record that is whole by its check sums is kept,
 * in the order of the ids; what is damaged is left out, and clients are told of a gap (ring.h,
 * "hole"). Ids only grow: where the newest can't be known (the machine went down, a sync failed, or
 * this is a copy), they jump to the multiple of STORE_JUMP that is at least half of it away. So
 * that this is beyond all that were given, the state says in every mode, synced, that the store is
 * in use before the first message is put, and is synced again whenever a quarter of STORE_JUMP has
 * been.
 *
 * WHO SURVIVES WHAT. The end of the process, however it comes: every message. A power cut: all
 * before the last fdatasync that was done: with OPT_FSYNC_ALWAYS, store_sync_begin() before anyone
 * is told; with _INTERVAL, a thread of its own at store_tick(); with _NEVER, when the kernel likes.
 *
 * WITH OPT_FSYNC_ALWAYS messages are held (ring_hold()), a sync that the thread does covers all
 * that are held when it begins, and they are shown when it is done. So what is shown is durable. Of
 * what is shown the disk always knows the newest id, also where what is held has been written over
 * the last record of it: by the state, which is written with each sync and counts what is held
 * where that is much.
 *
 * A SYNC THAT FAILED is final: the kernel may have dropped what it could not write, and no other
 * sync makes that good. The store says so in its state, as far as it can, and the next start has
 * ids jump and writes every page again.
 *
 * TIME. The ring's clock (ring.h) goes on from one process to the next: the state notes what it
 * told, and what the clocks of the machine did.
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

#define STORE_JUMP 1000000000u

struct store_head; /* the first page */

struct store_thread {
    int fd, wake, told; /* the file; eventfds: sync; a sync is done (OPT_FSYNC_ALWAYS; else -1) */
    atomic_int error;   /* of the first sync that failed; 0: none */
    atomic_bool stop;
    atomic_uint asked, done; /* syncs, modulo 2^32; they differ: there is one to be done */
};

/* What the clocks tell, in ms. */
struct store_time {
    uint64_t ring; /* that of the ring */
    uint64_t wall; /* CLOCK_REALTIME */
    uint64_t boot; /* CLOCK_BOOTTIME */
};

/* Must stay where it is while the thread runs. */
struct store {
    struct store_head *h; /* NULL: closed */
    int fd;               /* the ring's */
    enum opt_fsync mode;
    uint64_t synced;         /* the ring's end when it was last synced, or was to be */
    uint64_t noted_n;        /* an id that the state on the disk has for sure */
    struct store_time time;  /* the caller's: now */
    struct store_time noted; /* what of that is in the state */
    bool syncing;            /* a sync was begun: store_sync_result() is to be asked */
    bool threaded;
    pthread_t id;
    struct store_thread thread;
};

/* Returns true while a sync is asked of the thread, or under way. */
static inline bool store_busy(const struct store *st)
{
    return st->threaded && atomic_load(&st->thread.asked) != atomic_load(&st->thread.done);
}

struct store_ask {
    const char *path;
    uint64_t ring;   /* size wanted, ... */
    bool ring_given; /* ... also of a store that is there; else its own counts */
    enum opt_fsync mode;
    uint64_t wall_ms; /* the epoch of a new store */
    uint64_t boot_ms; /* CLOCK_BOOTTIME */
};

/* What was found. */
struct store_report {
    bool created;
    bool unclean;           /* it was not closed the last time */
    bool failed;            /* nor could it be synced */
    uint64_t resized_from;  /* bytes; 0: not */
    uint64_t cut;           /* bytes that the file was too short by */
    uint64_t messages;      /* that are there now */
    uint64_t dropped;       /* ids that are missing between and behind these */
    uint64_t places, bytes; /* of damage between messages */
    uint64_t topics_full;   /* messages left out as there was no room for their topics */
    uint64_t jumped;        /* the newest id's n is this, as it can't be known; 0: no jump */
    uint64_t clock_ms;      /* what the ring's clock tells now: as far on as it was, and what has
                             * passed since */
};

/* Opens the store at ask->path, or makes it, and locks it; sets up *r, its arena in the file, with
 * the messages there are. *st is zeroed. Makes the ring
 * anew in PATH.new where its size is to be another, and renames that. False: *why says what is
 * wrong with what; nothing is left open, and a file that is there has not been changed. */
bool store_open(struct store *st, struct ring *r, const struct store_ask *ask,
                struct store_report *rep, struct text *why);

/* Has the broker follow the ring that was opened, and adds to the report what it leaves out for
 * want of topics: that is no message any more, at this opening and the next. */
void store_follow(struct broker *b, struct store_report *rep);

/* Goes on with the store of a ring that was attached (ring_attach() with the key that it had): the
 * lock came with the descriptor. 0, or minus an errno with nothing left open. */
int store_attach(struct store *st, const struct ring *r, enum opt_fsync mode);

/* For OPT_FSYNC_ALWAYS: begins a sync of all messages up to ring_end(), which is st->synced then;
 * by the thread, or, where there is none, at once. Another must not be under way. */
void store_sync_begin(struct store *st, const struct ring *r);

/* Returns 1 if it is not done yet; 0 if it is, or none was begun; or minus the errno of this sync
 * or any before it. When it is, `told` of the thread becomes readable. */
int store_sync_result(struct store *st);

/* Waits until it is done. Returns 0 or minus an errno, likewise. */
int store_sync_wait(struct store *st);

/* To be called each second or so, with st->time set: for OPT_FSYNC_INTERVAL, has a sync done if a
 * message was put; notes the time and the newest id. 0, or minus the errno of a sync. */
int store_tick(struct store *st, const struct ring *r);

/* Ends the thread, syncs (but for OPT_FSYNC_NEVER), marks the store as closed, or as one that could
 * not be synced, and lets the lock go; ring_close() comes next. 0, or minus the errno of a sync. */
int store_close(struct store *st, const struct ring *r);

/* Begins the thread of a store that was opened or attached, if it is to have one: that is left to
 * the caller, as a thread has the rights that the process has then (sandbox.h). Without it all is
 * synced by the loop. With OPT_FSYNC_ALWAYS no sync may be under way. store_stop_thread() ends it,
 * as for a process that is about to become another program: 0, or -errno of its last sync. */
void store_start_thread(struct store *st);
int store_stop_thread(struct store *st);

/* Appends what was found, in words. */
void store_describe(const struct store_report *rep, struct text *out);

#endif
