/*
 * tables.h - all the memory of a server: allocated at its start, or taken over from the program
 * before.
 */
#ifndef SSE_LIB_HOST_TABLES_H
#define SSE_LIB_HOST_TABLES_H

#include "lib/auth/peer.h"
#include "lib/host/handover.h"
#include "lib/host/store.h"
#include "lib/serve/server.h"

#define TABLES_SAME 4 /* ways in which a stream gets its messages */

struct workers;

struct tables {
    struct memory memory;
    struct share own;               /* for a subscriber at a place of its own */
    struct share same[TABLES_SAME]; /* for subscribers at the same place, by transport */
    struct peers peers;             /* the addresses of connections, ... */
    uint32_t *peer;                 /* ... and the entry of each connection, by descriptor; NULL:
                                     * addresses have no limit */
    struct store store;
    struct workers *workers; /* NULL: this process is the whole server */
    uint64_t store_ticked;   /* ms: commit.h */
    char room[128];          /* the limits, in words */
    uint64_t worst;          /* bytes of ring and tables at worst, ... */
    uint64_t group_left;     /* ... and bytes that the control group leaves; UINT64_MAX: no limit */
    uint32_t entries;        /* of the table of topics */
    uint32_t poll_records;   /* the most records in an answer to a poll */
};

/* Reduces the limits that were not given until all fits into --max-memory, and sets s->conns.max,
 * the most descriptors there may be, of which `reserve` are not for clients. Returns false with
 * *why set if it cannot fit. */
bool tables_fit(struct tables *t, struct server *s, uint32_t reserve, struct text *why);

/* Maps the connections (s->conns.max of them), the buffers and the topics, as large as s->opt lets
 * them grow, the tables of addresses that s->opt asks for, and the memory in which answers are
 * built. `from` is what was handed over; NULL: all is new. Returns false with *why set on
 * failure. */
bool tables_make(struct tables *t, struct server *s, const struct handover *from, struct text *why);

/* Sets up the ring, in memory or in --store, or takes it over; s->wall is the epoch of a new one.
 * Logs what the store held. On `trial` the store is left to the running server. Returns false with
 * *why set on failure. */
bool tables_ring(struct tables *t, struct server *s, const struct handover *from, bool trial,
                 struct text *why);

/* Open the store that s->opt has, as store_open() does, and set the ring's clock by it; log what it
 * held. */
bool tables_store_open(struct store *store, struct server *s, struct store_report *report,
                       struct text *why);
void tables_store_say(struct server *s, const struct store_report *report);

/* Records in *h what of all this is handed over. */
void tables_hand_over(const struct tables *t, const struct server *s, struct handover *h);

/* Raises the limit on descriptors as far as it goes. Returns the limit; 0 with errno set on
 * failure. */
uint32_t tables_descriptors(void);

#endif
