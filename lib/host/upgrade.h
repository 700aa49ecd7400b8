/*
 * upgrade.h - the in-place upgrade, from the side of the server that runs: what handover.h draws.
 *
 *   SIGUSR2 -> upgrade_begin -> trial, the loop goes on -> upgrade_tick -> passed -> upgrade ->
 *   exec
 *                    |                                        |                      |
 *                    | it can't be started                    | it says why not      | it fails
 *                    `-------------------> logged and counted, and the server serves on
 *
 * What the trial says comes through its pipe, which is in the table of connections and in epoll, as
 * OWN_TRIAL. One trial at a time, and none while the server
 * ends.
 *
 * OWNERSHIP: the caller's is all that is pointed to; the trial's child and its pipe are the
 * trial's.
 */
#ifndef SSE_LIB_HOST_UPGRADE_H
#define SSE_LIB_HOST_UPGRADE_H

#include "lib/host/acceptor.h"

struct upgrade {
    struct acceptor *acceptor; /* and by it the server and its tables */
    struct trial trial;        /* of the next program, ... */
    bool passed;            /* ... which can take over: upgrade() is due, when this turn is over */
    char **argv;            /* that program and its arguments: this one's own */
    struct calls_held held; /* by the sandbox, which it goes on in */
};

/* Starts a trial of the next program. */
void upgrade_begin(struct upgrade *u);

/* A child has ended (SIGCHLD, as the first process alone gets it): reaps orphans, but not the
 * trial's child, which is upgrade_tick()'s. */
void upgrade_child(const struct upgrade *u);

/* Handles an event of OWN_TRIAL: reads what the trial says. */
void upgrade_read_result(struct upgrade *u);

/* To be called in each turn while there is a trial: ends it by its verdict, once it has said all or
 * has had its time. */
void upgrade_tick(struct upgrade *u);

/* Becomes the next program, which goes on with the sweep at this descriptor; comes back only if
 * that fails. */
void upgrade(struct upgrade *u, uint32_t sweep);

#endif
