/*
 * store.h - the ring in a file, which outlives the process.
 *
 *   0          first page: what never changes; two copies of the state, written in turn
 *   RING_PAGE  the arena, mapped by the ring: a message is in the file when ring_put() returns
 *
 * The file holds messages and nothing else: chains, index and topics are made anew when it is
 * opened. Every record that is whole by its check sums is kept, in the order of the ids; what is
 * damaged is left out, and clients are told of a gap (ring.h, "hole"). Ids only grow: where the
 * newest can't be known (the machine went down, or this is a copy), they jump to the next multiple of
 * STORE_JUMP.
 *
 * WHO SURVIVES WHAT. The end of the process, however it comes: every message. A power cut: all
 * before the last fdatasync that was done: with OPT_FSYNC_ALWAYS, store_commit() before anyone is
 * told; with _INTERVAL, a thread of its own at store_tick(); with _NEVER, when the kernel likes.
 *
 * OWNERSHIP: the ring owns the descriptor, and with it the lock on the file, until ring_close(). The
 * store owns its mapping of the first page and the thread, which shares struct store_thread alone.
 */
#ifndef SSE_LIB_HOST_STORE_H
#define SSE_LIB_HOST_STORE_H

#include "lib/opt.h"
#include "ring.h"

#include <pthread.h>
#include <stdatomic.h>

#define STORE_JUMP 1000000000u

struct store_head; /* the first page */

struct store_thread {
    int fd, wake;     /* the file; an eventfd: sync */
    atomic_int error; /* of a sync, until it was asked for; 0: none */
    atomic_bool stop;
};

/* Must stay where it is while the thread runs. */
struct store {
    struct store_head *h; /* NULL: closed */
    int fd;               /* the ring's */
    enum opt_fsync mode;
    uint64_t synced; /* head of the ring when it was last synced, or was to be */
    bool threaded;
    pthread_t id;
    struct store_thread thread;
};

struct store_ask {
    const char *path;
    uint64_t ring;   /* size wanted, ... */
    bool ring_given; /* ... also of a store that is there; else its own counts */
    enum opt_fsync mode;
    uint32_t chains;
    uint64_t wall_ms; /* the epoch of a new store */
};

/* What was found. */
struct store_report {
    bool created;
    bool unclean;           /* it was not closed the last time */
    uint64_t resized_from;  /* bytes; 0: not */
    uint64_t cut;           /* bytes that the file was too short by */
    uint64_t messages;      /* that are there now */
    uint64_t dropped;       /* ids that are missing between and behind these */
    uint64_t places, bytes; /* of damage between messages */
    uint64_t topics_full;   /* messages left out as there was no room for their topics */
    uint64_t jumped;        /* the newest id's n is this, as it can't be known; 0: no jump */
};

/* Opens the store at ask->path, or makes it, and locks it; sets up *r, its arena in the file, and in
 * `t` the topics of the messages there are, opened and `kept`. *st is zeroed. Makes the ring anew in
 * PATH.new where its size is to be another, and renames that. False: *why says what is wrong with
 * what; nothing is left open, and a file that is there has not been changed. */
bool store_open(struct store *st, struct ring *r, struct topics *t, const struct store_ask *ask,
                struct store_report *rep, struct text *why);

/* Goes on with the store of a ring that was attached (ring_attach() with the key that it had): the lock came with the descriptor. 0, or minus an errno with nothing left open. */
int store_attach(struct store *st, const struct ring *r, enum opt_fsync mode);

/* For OPT_FSYNC_ALWAYS: one fdatasync, if a message was put since the last one. 0 or minus an
 * errno; nothing in the other modes. */
int store_commit(struct store *st, const struct ring *r);

/* To be called each second or so: for OPT_FSYNC_INTERVAL, has a sync done if a message was put.
 * 0, or minus an errno of a sync that was done since the last call. */
int store_tick(struct store *st, const struct ring *r);

/* Ends the thread, syncs (but for OPT_FSYNC_NEVER), marks the store as closed and lets the lock go;
 * ring_close() comes next. 0, or minus the errno of the sync. */
int store_close(struct store *st, const struct ring *r);

/* Begins the thread of a store that was opened or attached, if it is to have one: that is left to the
 * caller, as a thread has the rights that the process has then (sandbox.h). Without it all is synced
 * by the loop. store_leave() ends it, as for a process that is about to become another program: 0, or
 * minus an errno of its last sync. */
void store_go_on(struct store *st);
int store_leave(struct store *st);

/* Appends what was found, in words. */
void store_describe(const struct store_report *rep, struct text *out);

#endif
