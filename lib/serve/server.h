/*
 * server.h - struct server in its parts, and a map of lib/serve.
 *
 * This folder handles requests. It combines http.h, ring.h and the folders below, and does no I/O:
 * the loop (lib/loop) calls it with a connection and the bytes received on it; it changes the state
 * of the server, and leaves what is to be written in `out`.
 *
 *   bytes -> route -> publish ---> submit -> broker_put, topic_mark
 *              |                                    +--> answer -> out
 *              +----> http_stream, poll, socket ----|
 *              |        start, access, subscriber   |
 *              `----> own_pages, ready -------------'
 *
 * A function that returns false or 0 for "refused" has put the refusal into `out` and set the
 * connection's state.
 *
 * A function takes the parts that it needs, and the whole only if it needs most of them, as
 * functions that may refuse a request do.
 *
 * INVARIANTS
 *   - Between two turns of the loop a struct server is its tables, its options, and what handover.h
 *     names: a new field whose value must outlive an in-place upgrade is added there.
 */
#ifndef SSE_LIB_SERVE_SERVER_H
#define SSE_LIB_SERVE_SERVER_H

#include "lib/auth/remember.h"
#include "lib/broker/broker.h"
#include "lib/serve/clients.h"
#include "lib/serve/config.h"
#include "lib/serve/exchange.h"
#include "lib/serve/hold.h"
#include "lib/serve/logger.h"
#include "lib/serve/moment.h"
#include "lib/serve/page.h"
#include "lib/serve/whole.h"
#include "lib/stat.h"

/* Subscribers with pending messages whose sockets were full when the sweep looked. */
struct lag {
    uint32_t subscribers;
    uint64_t bytes; /* of the ring, from the place of the slowest to the head */
};

/* The state of the check that messages go through: see ready.c. */
struct ready {
    uint64_t ok_ms; /* when (monotonic) the last check succeeded; 0: never */
    uint32_t topic; /* the inside topic; 0: none now */
};

/* What a key file was when it was read last. */
struct keys_seen {
    uint64_t inode, size, time_ns;
};

struct server {
    struct config config;
    struct ring ring;
    struct topics topics;
    struct broker broker; /* the ring by topic */
    struct clients clients;
    struct moment clock;
    struct stat_counters stat;
    struct ready ready;
    struct hold hold;
    struct team team;
    struct log log;
    uint64_t started;     /* ms, wall clock: when the server started; kept in upgrades */
    uint64_t turn_max_us; /* the longest turn of the loop so far */
    bool forget;          /* copies of purged bytes are to be wiped before the turn ends */
    struct lag lag;       /* as of the last sweep over the whole table */
    struct exchange ex;
    struct page files;                        /* files.c: unpacked files */
    struct keys_seen keys_seen[OPT_LIST_MAX]; /* of each key file: host/keys.c */
    uint64_t keys_next;       /* clock.now: when to look again whether they have changed */
    struct remember remember; /* tokens whose signature is known to be good */
};

#endif
