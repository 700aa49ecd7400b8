/*
 * upgrade.h - the in-place upgrade, on the side of the running server: what handover.h draws.
 *
 *   SIGUSR2 -> upgrade_begin -> trial, the loop goes on -> upgrade_tick -> passed -> upgrade ->
 *   exec
 *                    |                                        |                      |
 *                    | it can't be started                    | it says why not      | it fails
 *                    `-------------------> logged and counted, and the server serves on
 *
 * The trial's output comes through a pipe, which is in the table of connections and in epoll as
 * DESCRIPTOR_TRIAL. There is one trial at a time, and none while the server ends.
 *
 * OWNERSHIP: struct upgrade owns the trial's child and pipe; what it points to is the caller's.
 */
#ifndef SSE_LIB_HOST_UPGRADE_H
#define SSE_LIB_HOST_UPGRADE_H

#include "lib/host/acceptor.h"

struct upgrade {
    struct acceptor *acceptor; /* and by it the server and its tables */
    struct trial trial;        /* of the next program, ... */
    bool passed;            /* ... which can take over: upgrade() is due at the end of this turn */
    char **argv;            /* the next program and its arguments: those of this one */
    struct calls_held held; /* the sandbox's, inside which it goes on */
};

/* Starts a trial of the next program, unless one is running or the server ends. */
void upgrade_begin(struct upgrade *u);

/* Handles SIGCHLD, which only process 1 gets: reaps orphans, but not the trial's child, which
 * upgrade_tick() reaps. */
void upgrade_child(const struct upgrade *u);

/* Handles an event of DESCRIPTOR_TRIAL: reads the trial's output. */
void upgrade_read_result(struct upgrade *u);

/* Call every turn while there is a trial (u->trial.child != 0): ends it once its output is complete
 * or its time is up, and sets `passed`, or logs and counts the refusal. */
void upgrade_tick(struct upgrade *u);

/* Becomes the next program, in which the sweep goes on at this descriptor. Returns only on failure,
 * which is logged and counted. */
void upgrade(struct upgrade *u, uint32_t sweep);

#endif
