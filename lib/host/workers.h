/*
 * workers.h - several processes that are one server: the parent, and what its workers share.
 *
 *                       parent: opens, forks, watches, restarts
 *                      /           |            \
 *     leash, signals  worker 0    worker 1    worker 2      each a loop as that of a single process
 *                      \___________|____________/
 *         listeners, the ring, the control page (control.h), the page of counts (whole.h), an
 *         eventfd each to be woken by
 *
 * THE PARENT serves nobody. It opens what is shared, with the rights that the process was started
 * with, starts one worker, and the others when that one serves; then it is ready. SIGTERM, SIGINT
 * and SIGHUP go on to all workers. With a store it holds the lock and syncs.
 *
 * A WORKER THAT DIES is buried: what it held of the ring, its lock and its lease, is freed, its
 * connections come off the counts, and another is started in its place, at once, or where it did
 * not live long a moment later, up to RESTART_MAX_MS. One that keeps others from publishing for
 * BLOCKS_MS is killed, and one that has not answered for HANGS_MS. One that ends with a code of the
 * store's ends the server.
 *
 * A PARENT THAT DIES closes the leash, a pipe: each worker sees that and drains.
 *
 * INVARIANTS
 *   - Only the parent opens listeners and removes the names of unix sockets.
 *   - A worker's slots in both pages are its own as long as it lives; the parent clears them before
 *     it starts the next one there.
 *
 * OWNERSHIP: struct workers owns the pages and the eventfds; of the listeners the descriptors.
 */
#ifndef SSE_LIB_HOST_WORKERS_H
#define SSE_LIB_HOST_WORKERS_H

#include "lib/host/listen.h"
#include "lib/host/memory.h"
#include "lib/host/store.h"
#include "lib/serve/server.h"

struct worker {
    pid_t pid;        /* 0: there is none now */
    uint64_t began;   /* ms: when it was started */
    uint64_t again;   /* ms: when it is to be started again */
    uint32_t delay;   /* ms: what it had to wait the last time */
    uint64_t lease;   /* what it held when it was first seen to block, ... */
    uint32_t locks;   /* (of the lock: how often it had been taken) */
    uint64_t blocked; /* ... and when that was, in ms; 0: it does not */
    bool killed;      /* it was, and is about to end */
    uint32_t turns;   /* of its loop, when these were last seen to go on, ... */
    uint64_t moved;   /* ... and when that was, in ms */
};

struct workers {
    uint32_t n;  /* 0: this process is all of the server; nothing else here counts then */
    uint32_t me; /* which worker this is; n: the parent */
    struct memory memory;
    struct control *control;
    struct whole *whole;
    void *revoked; /* the table of revocations */
    uint64_t ring_size;
    size_t tally_topics, tally_peers; /* bytes of each worker's tables; the latter 0: none */
    int wake[CONTROL_WORKERS];        /* eventfds: to wake each */
    int leash[2]; /* the parent has the end to write to, workers that to read from */
    struct listeners listeners;
    struct worker worker[CONTROL_WORKERS]; /* the parent's */
    struct store store;                    /* the parent's */
};

/* Returns how many processes the options ask for. */
uint32_t workers_wanted(const struct opt *opt);

/* Begins a server of `n` > 1 workers; *s has its options, its clock and say(). `unsent` is for the
 * listeners. Returns -1 in each worker, which goes on as a single process does, by life_begin();
 * and in the parent, when all is over, the exit code. */
int workers_run(struct workers *w, struct server *s, uint32_t n, int unsent);

/* ---- for a worker ---------------------------------------------------------------------------- */

/* Joins the ring: *s gets its view of it. 0, or minus an errno. */
int workers_join(struct workers *w, struct server *s);

/* Follows the ring for the first time; the first worker of all writes the links of what was in the
 * store. */
void workers_follow(struct workers *w, struct server *s);

/* This worker serves from now on. Returns true for the one that announces the server. */
bool workers_ready(struct workers *w);

/* Before the loop waits for events, `ms` at most: returns for how long it may, which is not at all
 * where something was put since the ring was followed. Behind it: it waits no more. */
int workers_doze(struct workers *w, struct server *s, int ms);
static inline void workers_rise(const struct workers *w)
{
    control_awake(w->control, w->me);
}

/* Wakes those workers of the mask that sleep, and all that have much to follow. */
void workers_wake(const struct workers *w, uint64_t mask);

/* Wakes these, whatever they do. */
void workers_call(const struct workers *w, uint64_t mask);

/* Reads what woke it. */
void workers_read_wake(int fd);

/* Notes how many connections this worker has, and how many of them count for --max-connections. */
void workers_count(const struct workers *w, uint32_t clients, uint32_t taken);

/* Returns true if this worker has more connections than its share, so that others should take the
 * next one. */
bool workers_over(const struct workers *w);

/* Has the worker with the fewest connections look for clients that wait: the kernel has told only
 * the one that leaves them. workers_looks() returns true, once, if this one is to. */
void workers_pass_on(const struct workers *w);
bool workers_looks(const struct workers *w);

/* It leaves new clients to others, or takes them in again. */
void workers_away(const struct workers *w, bool away);

/* Wakes workers that are away though they have no more than their share. */
void workers_call_back(const struct workers *w);

#endif
