/*
 * server.h - all there is of a server, in parts; and where in lib/serve to look for what.
 *
 * This folder does what a request asks. It puts http.h, ring.h and the folders below together, and
 * does no I/O: it is called with a connection and the bytes that have come for it, changes the
 * state of the server, and leaves what is to be written in `out`, which the loop (sse.c) takes from
 * there.
 *
 *   bytes -> route -> publish ------> put -> broker_put, topic_mark
 *              |                                    +--> answer -> out
 *              +----> subscribe, poll, socket ------|
 *              |        start, access, subscriber   |
 *              `----> own, ready -------------------'
 *
 * A function that returns false or 0 for "refused" has put the refusal into `out` and the
 * connection's state in order.
 *
 * A function takes the parts that it needs, and the whole only where it needs most of them, as
 * those do that may refuse a request.
 *
 * INVARIANTS
 *   - Between two turns of the loop `ready` and `started` are all that is needed of a struct server
 *     besides its tables, its options and what they are set up from: who hands those over hands
 *     them over.
 */
#ifndef SSE_LIB_SERVE_SERVER_H
#define SSE_LIB_SERVE_SERVER_H

#include "lib/broker/broker.h"
#include "lib/serve/clients.h"
#include "lib/serve/config.h"
#include "lib/serve/exchange.h"
#include "lib/serve/hold.h"
#include "lib/serve/log.h"
#include "lib/serve/moment.h"
#include "lib/serve/page.h"
#include "lib/serve/whole.h"
#include "lib/stat.h"

/* Subscribers that do not take what there is for them: their sockets were full when the sweep
 * looked. */
struct lag {
    uint32_t subscribers;
    uint64_t bytes; /* of the ring, from the place of the last of them to the head */
};

/* What is known of whether messages go through: see ready.c. */
struct ready {
    uint64_t ok_ms; /* when (monotonic) the fan-out last came by and the ring was right; 0: never */
    uint32_t topic; /* the inside topic; 0: there is none now */
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
    uint64_t started;     /* ms, wall clock: when the server did; upgrades in place go on with it */
    uint64_t turn_max_us; /* the longest turn of the loop so far */
    struct lag lag;       /* as the last sweep over the whole table found it */
    struct exchange ex;
    struct page files; /* what files.c has given out */
};

#endif
