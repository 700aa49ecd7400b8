/*
 * loop.h - the state of the loop: the server, its system resources, and the current turn.
 *
 * One thread, one epoll, and turns of fixed phases (sse.c); what a phase leaves for later is
 * marked, never done at once. Each file of this folder is one of them:
 *
 *     read    sockets are read, requests handled, messages put into the ring, their topics marked
 *     sweep   a slice of the table: heartbeats, timeouts; old messages
 *     held    begins a sync of the store; after one, shows the messages that it covers
 *     write   pending bytes of a client; fan-out: subscribers of marked topics get new messages
 *     stop    the server ends: connections are closed one after the other
 *     end     connections that are doomed are closed, unneeded topics are freed
 *
 * Only this folder reads and writes clients' sockets. Work is done in steps of at most a few
 * milliseconds, and the phase's budget is checked after each.
 */
#ifndef SSE_LIB_LOOP_LOOP_H
#define SSE_LIB_LOOP_LOOP_H

#include "lib/host/acceptor.h"
#include "lib/host/clock.h"
#include "lib/host/upgrade.h"
#include "lib/host/workers.h"
#include "lib/serve/conn.h"
#include "lib/serve/drain.h"
#include "lib/serve/server.h"

#include <sys/epoll.h>

enum {
    LOOP_EVENTS_MAX = 256,  /* taken from epoll in a turn */
    LOOP_BUFFER = 64 << 10, /* the room for answers, for what is read and what waits */
    LOOP_READ = 16 << 10,   /* bytes read at once */
    LOOP_SLICES = 16,       /* ticks for a sweep over the whole table */
    LOOP_PHASE_US = 2000, /* a phase's longest time: a turn has some of these, and 50 ms at most */
    LOOP_CHEAP = 8,       /* cheap steps between two looks at the clock */
};

struct loop {
    bool stop;
    int code;     /* exit code of the process */
    bool cut;     /* a page of the store could not be read */
    bool journal; /* stderr is journald's */
    struct acceptor acceptor;
    struct clocks clock;
    struct phase phase;         /* the current one */
    uint64_t swept;             /* ms: when the last slice was swept */
    uint32_t sweep, sweep_left; /* the next descriptor, and how many are left in this slice */
    uint32_t slice_ms;
    size_t read_most; /* most bytes read from a connection at once */
    bool waits;       /* the current connection's next step waits for a sync */
    struct lag lag;   /* the lag found by this sweep so far */
    struct drain drain;
    struct conn_times times;
    struct tables t;
    struct upgrade up;
    struct workers workers;
    struct epoll_event
        ev[LOOP_EVENTS_MAX]; /* not on the stack, so that the turn is part of main() */
    char out_bytes[LOOP_BUFFER];
    char in_bytes[SERVE_HEAD_MAX + LOOP_BUFFER];
    struct server server;
};

/* Begins a phase of at most `us` microseconds. */
static inline void loop_phase(struct loop *l, unsigned us)
{
    phase_start(&l->phase, &l->server.stat, us);
}

/* Returns true if the phase is over, and its rest waits for the next turn; reads the clock once in
 * `every` calls. */
static inline bool loop_spent(struct loop *l, unsigned every)
{
    return phase_over(&l->phase, &l->server.stat, every);
}

#endif
