/*
 * server.h - the servers that are measured: starts them on a core, with nothing else there.
 */
#ifndef SSE_BENCH_SERVER_H
#define SSE_BENCH_SERVER_H

#include "bench/wire.h"

#include <stdbool.h>
#include <sys/types.h>

enum server_kind {
    SERVER_SSE = 0,
    SERVER_FLOOR = 1,
    SERVER_BATCH = 2, /* the floor, with one write for all that a turn brought */
    SERVER_NCHAN = 3, /* nginx, one worker */
    SERVER_KINDS = 4,
};

struct server {
    enum server_kind kind;
    enum wire_dialect dialect;
    unsigned port;
    pid_t pid;
    char dir[32]; /* its own, or empty */
};

extern const char *const server_names[SERVER_KINDS];

/* Returns true if it is installed. */
bool server_there(enum server_kind kind);

/* Starts one, `dir` being where our programs are, and waits until it listens. */
struct server server_start(enum server_kind kind, const char *dir, int core);
void server_stop(struct server *s);

#endif
