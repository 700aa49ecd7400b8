/*
 * handover.h - the in-place upgrade: one program becomes the next, and no connection drops.
 *
 *   serving program                    the file of the next program, as a child
 *   ---------------                    ------------------------------------------------------------
 *   SIGUSR2
 *   handover_try() --- fork, exec ---> HANDOVER_TRY: reads its flags, maps all the tables that were
 *   serves on                          handed over, changes nothing,
 *   handover_verdict() <--- pipe ----- says "ready", or why not, and ends
 *   handover_exec()
 *     |  exec, in the same process
 *     v
 *   HANDOVER_TAKE: maps the tables, takes the descriptors, goes on with the next turn of the loop
 *
 * What is handed over: descriptors, which stay what they are; memory.h's pieces, the ring's two
 * files and the store, by their descriptors; and struct handover, in a file of its own whose
 * descriptor the variable HANDOVER_ENV tells. All of it is numbers and offsets. A program that
 * would lay any of it out in another way says so in the trial (handover_layout()), and the one that
 * serves goes on.
 */
#ifndef SSE_LIB_HOST_HANDOVER_H
#define SSE_LIB_HOST_HANDOVER_H

#include "lib/host/calls.h"
#include "lib/host/memory.h"
#include "lib/serve/server.h"

#include <sys/types.h>

/* To be counted up by one who changes what the tables mean without changing their sizes. */
#ifndef HANDOVER_VERSION
#define HANDOVER_VERSION 7
#endif

#define HANDOVER_ENV      "SSE_HANDOVER"
#define HANDOVER_LAYOUT   256
#define HANDOVER_COUNTERS 8192

struct handover {
    char layout[HANDOVER_LAYOUT]; /* the first, in every version: text, NUL-ended */
    struct memory memory;
    struct conns conns; /* its pointers mean nothing */

    int table_fd, arena_fd; /* the ring's */
    uint64_t arena_from, ring_size, ring_key;
    bool stored; /* the ring is in a file: store.h */

    int epoll;
    int keeper;       /* of the key file; -1: none */
    uint32_t entries; /* of the table of topics */
    uint32_t sweep, shed;
    uint64_t random;
    struct ready ready;
    uint8_t group;        /* hold.group: what is held waits for it */
    uint64_t clock_ahead; /* of server */
    uint64_t started;
    struct calls_held held;
    uint32_t counters_size;
    char counters[HANDOVER_COUNTERS]; /* as text: versions differ in them */
};

enum handover_mode {
    HANDOVER_NONE = 0, /* a start like any other */
    HANDOVER_TRY = 1,
    HANDOVER_TAKE = 2,
};

/* Writes what the tables look like in this program: a version, and sizes. */
void handover_layout(char layout[HANDOVER_LAYOUT]);

/* How this program was started, from the environment; *fd: of the struct handover. The variable is
 * taken out of the environment. */
enum handover_mode handover_mode(int *fd);

/* Reads what was handed over. False: it is not of this program's layout; *why tells both. */
bool handover_read(int fd, struct handover *h, struct text *why);

/* A trial that is going on. */
#define TRIAL_MS    10000 /* it has so long */
#define TRIAL_WORDS 1024  /* and so much to say */
struct trial {
    pid_t child; /* 0: there is none */
    int out;     /* what it says, a pipe, non-blocking */
    bool over;   /* the caller's: it has said all */
    uint64_t until;
    size_t n;
    char said[TRIAL_WORDS];
};

/* Starts the trial of the program argv[0] with these arguments, at `now` (ms). False: errno. */
bool trial_begin(struct trial *t, const struct handover *h, char *const argv[], uint64_t now);

/* Takes what it says. True: it has said all. */
bool trial_read(struct trial *t);

/* It has said all, or has had its time: ends and reaps the child, and closes the pipe. NULL: it can
 * take over; else why not, as a string in *t. */
const char *trial_end(struct trial *t);

/* The words of the trial that say so. */
#define HANDOVER_READY "ready to take over\n"

/* Becomes the program argv[0]. Returns only where that failed: errno. It is to have all descriptors
 * of *h, and those of conns that are in use. */
void handover_exec(const struct handover *h, char *const argv[], const struct conns *conns);

/* Makes all these close-on-exec (again). */
void handover_keep(const struct handover *h, const struct conns *conns);

#endif
