/*
 * load.h - between the parts of the load program.
 *
 * One process publishes and keeps the score; others (load_read.c) hold the subscribers, as a
 * process has only so many descriptors. They share counts: how many messages have been delivered,
 * and at how many the publisher wants to be told.
 *
 * Message k of each publisher goes to topic `base` + k modulo `topics`, so a subscriber knows which
 * number is due, and one that is missing, repeated or out of order ends the program.
 */
#ifndef SSE_BENCH_LOAD_H
#define SSE_BENCH_LOAD_H

#include "bench/histogram.h"
#include "bench/kit.h"
#include "bench/wire.h"

#include <stdatomic.h>

#define LOAD_PROCESSES  16u
#define LOAD_PUBLISHERS 64u
#define LOAD_DEPTH      64u
#define LOAD_SECONDS    60u /* the longest that anything may take */

/* To which topics a subscriber belongs. */
enum load_spread {
    LOAD_EACH = 0, /* to one, in turn */
    LOAD_ALL = 1,  /* to all, by their names */
    LOAD_WILD = 2, /* to all, by a wildcard */
};

struct load_shared {
    _Atomic uint64_t delivered, target;
    _Atomic uint64_t subscribed;
    struct histogram late[LOAD_PROCESSES]; /* each reader's own */
};

struct load {
    enum wire_dialect dialect;
    enum wire_way way;
    enum load_spread spread;
    unsigned port, clients, processes, publishers, depth, topics, base, size;
    unsigned replay; /* messages that each subscriber gets at once, from the oldest on */
    pid_t server;
    int core;
    int told; /* an eventfd: the target has been reached */
    struct load_shared *shared;
};

/* The topic of a subscriber, with LOAD_EACH, counted from `base`. */
static inline unsigned load_topic(const struct load *l, unsigned client)
{
    return l->clients >= l->topics ? client % l->topics : client * (l->topics / l->clients);
}

/* How many subscribers a message for that topic has. */
unsigned load_reach(const struct load *l, unsigned topic);

/* A process of subscribers, number `me`; does not come back. */
_Noreturn void load_read(const struct load *l, unsigned me);

/* Waits until all that was to be delivered is. */
void load_await(const struct load *l);

/* Publishers. They connect anew before each thing they do, as a server ends connections that have
 * been idle while it was others' turn, and wait until it has accepted them. */
struct load_put;
struct load_put *load_put_new(const struct load *l);
void load_put_connect(struct load_put *p);

/* Publishes one message after the other, each when all subscribers have the one before. */
void load_lockstep(struct load_put *p, uint64_t messages);

/* All publishers at once: each keeps `depth` requests without an answer. With `polls`, they ask for
 * what is new instead, and there is nothing. */
void load_flood(struct load_put *p, uint64_t messages, bool polls);

/* One message every few ms, beside processes that abuse the server; how long its answer took is in
 * the first histogram. There are no subscribers. Returns the most CPU time, in ns, that the server
 * used during one such wait. */
uint64_t load_abuse(const struct load *l, unsigned seconds);

/* At a fixed rate, whatever the server does: a message's time is when it should have been sent, so
 * what had to wait counts as late. */
void load_rate(struct load_put *p, double rate, unsigned seconds);

#endif
