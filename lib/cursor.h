/*
 * cursor.h - message ids, and what a client may send to say where it left off.
 *
 * An id is MS-N, both unsigned 64-bit decimals (the grammar of a Redis Stream id). MS is the epoch
 * of the store, N counts its messages from 1. As a cursor it means "everything up to this one has
 * arrived"; N may be 0: nothing has.
 *
 *   Last-Event-ID: 1790000000000-17          header, or ?last-event-id= and its spellings
 *   If-None-Match: W/"1790000000000-17"      an entity tag, weak or strong, "-gzip" or not
 *   ?since=1790000000000-17                  an id, or one of the forms below
 *   ?since=earliest | now | 10m | 1790000000 | -5
 */
#ifndef SSE_LIB_CURSOR_H
#define SSE_LIB_CURSOR_H

#include "lib/text.h"

/* The longest id: two numbers of 20 digits and the dash. */
#define CURSOR_MAX 41

struct cursor {
    uint64_t ms, n;
};

/* Reads all of `s` as an id. Returns false if it is not one. Leading zeros are accepted. */
bool cursor_read(struct span s, struct cursor *c);

/* Reads one entity tag as an id: W/"ID", "ID", ID, "ID-gzip", and the same with the other codings'
 * names (-br, -zstd, -deflate, ;gzip) that proxies append. Returns false if it is not one. */
bool cursor_read_tag(struct span s, struct cursor *c);

/* Reads how long to wait: seconds, or a duration (ms, s, m, h, d), rounded up to whole seconds.
 * Returns false if it is neither. */
bool cursor_wait(struct span s, uint64_t *seconds);

/* Appends an id. */
void cursor_write(struct text *t, struct cursor c);

enum since_kind {
    SINCE_BAD = 0,
    SINCE_ID = 1,       /* id */
    SINCE_EARLIEST = 2, /* everything there is */
    SINCE_NOW = 3,      /* nothing but what comes */
    SINCE_TIME = 4,     /* value: ms since 1970; messages of that moment or later */
    SINCE_LAST = 5,     /* value: the last that many messages */
};

struct since {
    enum since_kind kind;
    struct cursor id;
    uint64_t value;
};

/* Reads a `since` value; SINCE_BAD if it is not one. now_ms is the wall clock, from which durations
 * (ms, s, m, h, d; "10m" is ten minutes ago) count back. A bare number is a unix time: in seconds
 * up to 99,999,999,999, in ms above. */
struct since since_read(struct span s, uint64_t now_ms);

#endif
