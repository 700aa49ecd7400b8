/*
 * start.h - where a client begins: the cursor it brings, or what it asks for without one.
 *
 * A cursor comes from, in this order: Last-Event-ID, ?last-event-id= in any spelling,
 * If-None-Match. Without one, ?since= says where to begin.
 */
#ifndef SSE_LIB_SERVE_START_H
#define SSE_LIB_SERVE_START_H

#include "lib/serve/query.h"
#include "lib/serve/server.h"

struct start {
    uint64_t at;       /* offset of the first record it gets, or where it will be */
    struct cursor id;  /* what it is told to be at */
    bool cursor;       /* it came with a cursor, ... */
    bool unreadable;   /* ... which is none; `id` is one all the same where there is no gap */
    bool tagged;       /* it came with If-None-Match, whether or not that was the cursor */
    const char *gap;   /* the reason of one, NULL: none */
    struct span after; /* the cursor as it came; may be in `bytes` */
    char bytes[QUERY_MAX];
};

/* How many names and wildcards a path has. */
size_t serve_name_count(struct span names);

/* The entry that a path selects. 0: the request has been refused, or, where there is no room for
 * more topics, answered by come_back() unless that is NULL (struct transport). */
uint32_t serve_select(struct server *s, struct conn *c, struct span names,
                      void (*come_back)(struct server *s, struct conn *c));

/* Finds out where the request in ex.req wants to begin, for entry `id`; without a word of it, at
 * the oldest message there is if `oldest`, else with the next to come. False: it has been refused.
 * One that conflates is told of no gap: the newest of each topic is all it asks for. */
bool start_of_request(struct server *s, struct conn *c, uint32_t id, bool oldest, struct start *st);

/* Reads ?conflate (or conflate=1) into CONN_CONFLATE, ?heartbeat=event into CONN_BEATS. False: one
 * of them is wrong, and has been refused. */
bool serve_options_read(struct server *s, struct conn *c);
static inline bool serve_options(struct server *s, struct conn *c)
{
    if (s->ex.req.query.n > 0)
        return serve_options_read(s, c);
    c->flags &= (uint16_t)~CONN_CONFLATE; /* nothing is asked for, as most often */
    c->marks &= (uint16_t)~CONN_BEATS;
    return true;
}

/* A gap, as it is told in one way or another. */
struct gap {
    const char *reason;
    struct span after;    /* the cursor that the client had; may be the text behind */
    struct cursor resume; /* the one to go on from */
    bool any;             /* is there a message behind it, as far as that is known? */
    char cursor[CURSOR_MAX];
};

/* Moves a client of entry `id` to the oldest message there is for it from its place on, and counts
 * the gap. Fills in *gap but for `after`, which is the caller's. Where that message is not found
 * soon enough it is moved to where it may be, at the earliest. */
void gap_skip(const struct broker *broker, struct stat_counters *stat, struct conn *c, uint32_t id,
              const char *reason, struct gap *gap);

/* Moves a subscriber that the ring has overtaken between two records to where it goes on. True: it
 * has lost messages, and *gap says so. Nothing happens to one that is not overtaken. */
bool gap_if_overtaken(const struct broker *broker, struct stat_counters *stat, struct conn *c,
                      struct gap *gap);

#endif
