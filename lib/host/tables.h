/*
 * tables.h - all the memory of a server: made at its start, or taken over from the one before.
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
    struct share own;               /* what a subscriber gets that is behind by itself */
    struct share same[TABLES_SAME]; /* what those get who are at the same place, by their way */
    struct peers peers;             /* the addresses there are connections from, ... */
    uint32_t *peer;                 /* ... and which of them each connection is from; NULL: any may
                                     * have any number */
    struct store store;
    struct workers *workers; /* NULL: this process is all of the server */
    uint64_t store_ticked;   /* ms: commit.h */
    char room[128];          /* what there is room for, in words */
    uint64_t worst;          /* bytes that ring and tables take at worst, ... */
    uint64_t group_left;     /* ... and that the control group leaves; UINT64_MAX: any number */
    uint32_t entries;        /* of the table of topics */
    uint32_t poll_records;   /* the most in an answer to a poll */
};

/* Makes the limits less that were not given, so that all fits into --max-memory; sets s->conns.max,
 * which is the number of descriptors there may be, of which `reserve` are not for clients. False:
 * *why says that it does not fit. */
bool tables_fit(struct tables *t, struct server *s, uint32_t reserve, struct text *why);

/* Maps the connections (s->conns.max of them), the buffers and the topics, as large as s->opt lets
 * them grow, what is kept of addresses as far as it wants that, and the memory that answers are put
 * together in. `from` is what was handed over, or NULL: then all is new. False: *why says what is
 * wrong. */
bool tables_make(struct tables *t, struct server *s, const struct handover *from, struct text *why);

/* Makes the ring, in memory or in --store, or takes it over; s->wall is the epoch of a new one.
 * What was found in the store is logged. On `trial` the store is left to the server that runs. */
bool tables_ring(struct tables *t, struct server *s, const struct handover *from, bool trial,
                 struct text *why);

/* Notes in *h what is to be handed over of all this. */
void tables_hand_over(const struct tables *t, const struct server *s, struct handover *h);

/* Raises the limit on descriptors as far as it goes; returns how many there may be, or 0: errno. */
uint32_t tables_descriptors(void);

#endif
