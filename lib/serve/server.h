/*
 * server.h - all there is of a server, in parts.
 *
 * A function takes the parts that it needs, and the whole only where it needs most of them, as those
 * do that may refuse a request.
 *
 * INVARIANTS
 *   - Between two turns of the loop `ready` and `started` are all that is needed of a struct server
 *     besides its tables, its options and what they are set up from: who hands those over hands them
 *     over.
 */
#ifndef SSE_LIB_SERVE_SERVER_H
#define SSE_LIB_SERVE_SERVER_H

#include "lib/auth/remember.h"
#include "lib/broker/broker.h"
#include "lib/serve/clients.h"
#include "lib/serve/clock.h"
#include "lib/serve/config.h"
#include "lib/serve/exchange.h"
#include "lib/serve/page.h"
#include "lib/stat.h"

/* Subscribers that do not take what there is for them: their sockets were full when the sweep
 * looked. */
struct lag {
    uint32_t subscribers;
    uint64_t bytes; /* of the ring, from the place of the last of them to the head */
};

/* Refusals that were logged, so that a flood of them is not one of the log. */
struct refusals {
    uint64_t second; /* by clock.now */
    uint32_t said;   /* in this second, ... */
    uint64_t more;   /* ... and how many were not */
};

struct log {
    struct refusals refusals;

    /* Logs a line: pairs of key and value follow, ended by NULL. */
    void (*say)(enum opt_log level, const char *msg, ...) TEXT_LIST_POINTER;
    /* Appends the address of the peer of a client's socket; false: it has none. NULL: nobody
     * knows. */
    bool (*peer)(int fd, struct text *t);
};

/* What is known of whether messages go through: see ready.c. */
struct ready {
    uint64_t ok_ms; /* when (monotonic) the fan-out last came by and the ring was right; 0: never */
    uint32_t topic; /* the inside topic; 0: there is none now */
};

/* What is put while the store syncs before anyone is told: host/commit.h. Syncs are numbered, from
 * 1 to CONN_GROUPS in turn. */
struct hold {
    bool on;
    bool put;        /* set by put_record(): whoever is served has published */
    uint8_t group;   /* the number of the sync that what is put now waits for, ... */
    uint8_t running; /* ... and of that which runs, or whose messages are being shown; 0: none */
    uint64_t to;     /* the end of what the last sync that was begun covers */
};

/* What the key file was when it was read last, and when to look again. */
struct keys_seen {
    uint64_t inode, size, time_ns;
    uint64_t next; /* clock.now */
};

struct server {
    struct config config;
    struct ring ring;
    struct topics topics;
    struct broker broker; /* the ring by topic */
    struct clients clients;
    struct clock clock;
    struct stat_counters stat;
    struct ready ready;
    struct hold hold;
    struct log log;
    uint64_t started;     /* ms, wall clock: when the server did; upgrades in place go on with it */
    uint64_t turn_max_us; /* the longest turn of the loop so far */
    struct lag lag;       /* as the last sweep over the whole table found it */
    struct exchange ex;
    struct page files;          /* what files.c has given out */
    struct keys_seen keys_seen; /* of the key file: host/keys.c */
    struct remember remember;   /* tokens whose signature has been found good with the keys */
};

#endif
