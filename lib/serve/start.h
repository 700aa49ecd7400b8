/*
 * start.h - where a client begins: from its cursor, or from ?since.
 *
 * A cursor comes from, in this order: Last-Event-ID, ?last-event-id= in any spelling,
 * If-None-Match. Without one, ?since= says where to begin.
 */
#ifndef SSE_LIB_SERVE_START_H
#define SSE_LIB_SERVE_START_H

#include "lib/serve/query.h"
#include "lib/serve/server.h"

struct start {
    uint64_t at;       /* offset of the first record it gets, or where that will be */
    struct cursor id;  /* the id at which it begins */
    bool cursor;       /* it sent a cursor, ... */
    bool unreadable;   /* ... which is malformed; `id` is set unless there is a gap */
    bool tagged;       /* it sent If-None-Match, whether or not that was the cursor */
    const char *gap;   /* the reason of a gap; NULL: none */
    struct span after; /* the cursor as it came; may be in `bytes` */
    char bytes[QUERY_MAX];
};

/* Returns how many names and wildcards a path has. */
size_t serve_name_count(struct span names);

/* Returns the entry that a path selects. Returns 0 if it has refused the request or, for want of
 * room for more topics, answered it by come_back() unless that is NULL (struct transport). */
uint32_t serve_select(struct server *s, struct conn *c, struct span names,
                      void (*come_back)(struct server *s, struct conn *c));

/* Determines where the request in ex.req begins, for entry `id`. Without a cursor or ?since that is
 * the oldest message if `oldest`, else the next one to come. A client that conflates gets no gap:
 * it asks only for the newest message of each topic. Returns false if it has refused the
 * request. */
bool start_of_request(struct server *s, struct conn *c, uint32_t id, bool oldest, struct start *st);

/* Reads ?conflate (or conflate=1) into CONN_CONFLATE, ?heartbeat=event and ?hello=only into
 * CONN_BEATS. Returns false if one of them is wrong; it has refused the request then. */
bool serve_read_options(struct server *s, struct conn *c);
static inline bool serve_options(struct server *s, struct conn *c)
{
    if (s->ex.req.query.n > 0)
        return serve_read_options(s, c);
    c->flags &= (uint16_t)~CONN_CONFLATE; /* most requests have neither */
    c->marks &= (uint16_t)~CONN_BEATS;
    return true;
}

/* Returns true if it goes on behind a message that it names, so that what ended up to there has
 * been told. */
static inline bool start_resumes(const struct start *st)
{
    return st->after.p != NULL && st->gap == NULL && !st->unreadable;
}

/* A gap, as clients are sent it. */
struct gap {
    const char *reason;
    struct span after;    /* the cursor that the client had; may point to `cursor` */
    struct cursor resume; /* the one to go on from */
    bool any;             /* a message is known to follow it */
    char cursor[CURSOR_MAX];
};

/* Moves a client of entry `id` on to its oldest message from its place on, and counts the gap;
 * where finding that would take too long, to a place before it. Sets *gap but for `after`, which is
 * the caller's. */
void gap_skip(const struct broker *broker, struct stat_counters *stat, struct conn *c, uint32_t id,
              const char *reason, struct gap *gap);

/* Moves a subscriber that the ring has overtaken between two records to where it goes on. Returns
 * true if it lost messages: *gap is set. Does nothing to one that was not overtaken. */
bool gap_if_overtaken(const struct broker *broker, struct stat_counters *stat, struct conn *c,
                      struct gap *gap);

#endif
