/*
 * handover.h - the in-place upgrade: one program becomes the next, and no connection drops.
 *
 *   serving program                    the file of the next program, as a child
 *   ---------------                    ------------------------------------------------------------
 *   SIGUSR2
 *   trial_begin() ---- fork, exec ---> HANDOVER_TRY: reads its flags, maps all the tables that were
 *   serves on                          handed over, changes nothing,
 *   trial_read() <----- pipe --------- says "ready", or why not, and ends
 *   handover_exec()
 *     |  exec, in the same process
 *     v
 *   HANDOVER_TAKE: maps the tables, takes the descriptors, goes on with the next turn of the loop
 *
 * Handed over are the open descriptors, under their numbers; memory.h's pieces, the ring's two
 * files and the store, by their descriptors; and struct handover, in a file of its own whose
 * descriptor is in the variable HANDOVER_ENV. All of it is numbers and offsets. A program whose
 * layout differs says so in the trial (handover_layout()), and the running one serves on.
 */
#ifndef SSE_LIB_HOST_HANDOVER_H
#define SSE_LIB_HOST_HANDOVER_H

#include "lib/host/calls.h"
#include "lib/host/memory.h"
#include "lib/serve/server.h"

#include <sys/types.h>

/* Increment it when the tables change their meaning but not their sizes. */
#ifndef HANDOVER_VERSION
#define HANDOVER_VERSION 9
#endif

#define HANDOVER_ENV      "SSE_HANDOVER"
#define HANDOVER_LAYOUT   256
#define HANDOVER_COUNTERS 8192

struct handover {
    char layout[HANDOVER_LAYOUT]; /* the first, in every version: text, NUL-ended */
    struct memory memory;
    struct conns conns; /* without its pointers */

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

/* Writes this program's layout of the tables: a version, and sizes. */
void handover_layout(char layout[HANDOVER_LAYOUT]);

/* Returns how this program was started, from the environment, and removes the variable from it; *fd
 * is set to the descriptor of the struct handover. */
enum handover_mode handover_mode(int *fd);

/* Reads what was handed over. Returns false if its layout is not this program's; *why tells
 * both. */
bool handover_read(int fd, struct handover *h, struct text *why);

/* A running trial. */
#define TRIAL_MS    10000 /* it has so long */
#define TRIAL_WORDS 1024  /* and so much to say */
struct trial {
    pid_t child; /* 0: there is none */
    int out;     /* a pipe from its stdout and stderr, non-blocking */
    bool over;   /* the caller's: trial_read() has returned true */
    uint64_t until;
    size_t n;
    char said[TRIAL_WORDS];
};

/* Starts a trial of the program argv[0] with these arguments, at `now` (ms). Returns false with
 * errno set if that fails. */
bool trial_begin(struct trial *t, const struct handover *h, char *const argv[], uint64_t now);

/* Reads the trial's output. Returns true at its end. */
bool trial_read(struct trial *t);

/* Ends and reaps the child, and closes the pipe; call it at the end of the output, or when the
 * trial's time is up. Returns NULL if the program can take over; else why not, a string in *t. */
const char *trial_end(struct trial *t);

/* What a trial prints if it can take over. */
#define HANDOVER_READY "ready to take over\n"

/* Becomes the program argv[0], which inherits all descriptors of *h and those in use of conns.
 * Returns only on failure, with errno set. */
void handover_exec(const struct handover *h, char *const argv[], const struct conns *conns);

/* Makes all those descriptors close-on-exec (again). */
void handover_keep(const struct handover *h, const struct conns *conns);

#endif
