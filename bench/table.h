/*
 * table.h - what is measured, a row each, and what came out.
 *
 * A row is done on several servers in turn, round after round, and its number is the median of the
 * rounds; its ratio to another server that of the ratios of each round, as what else the machine
 * does changes from one to the next. `base` says which ratio counts, `reach` what it is to be.
 */
#ifndef SSE_BENCH_TABLE_H
#define SSE_BENCH_TABLE_H

#include "bench/server.h"

#include <stddef.h>

#define TABLE_ROUNDS 20u
#define TABLE_POINTS 9u /* of a distribution: p10 to the largest */

enum row_kind {
    ROW_DELIVERY = 0, /* us of the server's CPU per message delivered */
    ROW_REQUEST = 1,  /* per request */
    ROW_READY = 2,    /* per subscriber, until all have subscribed and have what was replayed */
    ROW_LATENCY = 3,  /* us from when it was to be published to its arrival, the median */
    ROW_USER = 4,     /* bytes of the server per subscriber: of another row */
    ROW_KERNEL = 5,   /* bytes of the kernel for one end of a connection: of another row */
    ROW_RESIDENT = 6, /* bytes of a server without subscribers */
    ROW_COUNT = 7,    /* instructions */
    ROW_WAIT = 8,     /* ms of the server's CPU in the longest wait for an answer */
};

/* On which servers. */
enum {
    ON_SSE = 1 << SERVER_SSE,
    ON_FLOOR = 1 << SERVER_FLOOR,
    ON_BATCH = 1 << SERVER_BATCH,
    ON_NCHAN = 1 << SERVER_NCHAN,
    ON_ALL = ON_SSE | ON_FLOOR | ON_NCHAN,
};

struct cell {
    unsigned n; /* rounds */
    double value[TABLE_ROUNDS];
    double server_busy[TABLE_ROUNDS], load_busy[TABLE_ROUNDS]; /* parts of a core */
    double points[TABLE_POINTS];                               /* us, of the last round */
    double user, kernel; /* ticks of CPU time, in all rounds */
};

struct row {
    const char *key, *what;
    enum row_kind kind;
    unsigned on;
    enum server_kind base;
    double reach; /* the ratio wanted, or for reach_is_value the value; 0: none is */
    bool reach_is_value;
    const char *load;    /* flags of load.c */
    const char *command; /* what it is told to do in each round; "%u" is `amount` */
    unsigned amount;
    const char *of;    /* ROW_USER, ROW_KERNEL: the row whose subscribers these are */
    const char *first; /* a command before the rounds, or NULL */
    struct cell cell[SERVER_KINDS];
};

extern struct row table[];
extern const size_t table_rows;
extern const char *const table_points[TABLE_POINTS];

struct row *table_find(const char *key);

/* The median of a cell's rounds, of whichever numbers. */
double table_median(const double *v, unsigned n);

/* How many deliveries, requests or subscribers there were in a second, the median of the rounds; 0
 * for rows of other things. */
double table_rate(const struct row *r, enum server_kind kind);

/* The part of the CPU time that was not the kernel's. */
double table_user(const struct cell *c);

/* The value, 0 for none; and its ratio to that of the row's base. */
double table_value(const struct row *r, enum server_kind kind);
double table_ratio(const struct row *r, enum server_kind to);

#endif
