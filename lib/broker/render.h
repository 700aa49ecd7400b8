/*
 * render.h - renders what a subscriber gets: the records from a place on, in the form it asked for.
 *
 * A share is built once and written to every subscriber at the same place that wants the same form.
 * Its pieces point into the ring where the bytes are there already (a whole event; a message's
 * data, unless JSON has to escape it), else into its scratch memory:
 *
 *   events    | ring: event: ..data: ..id: ..     |
 *   lines     | {"id":..,"data":" | ring: data | "}\n |
 *   frames    | head | ring: data |
 *   objects   | head | {"id":..,"data":" | ring: data | "} |
 *
 * A PLACE inside a record (share_place.sent) is where to go on with it, so that no byte of it is
 * rendered again: the bytes that are written; in an object
 *
 *   | head of the frame: 0.. | front: 16.. | each byte of the data: 6, or of base64: 1 | end |
 *
 * where each part uses only as many of its numbers as it needs. A long object is rendered in
 * chunks: then the share ends inside it (`partial`).
 *
 * OWNERSHIP: the memory is the caller's: share_memory() and share_scratch() bytes, touched as used.
 * A share is valid until the ring changes.
 */
#ifndef SSE_LIB_BROKER_RENDER_H
#define SSE_LIB_BROKER_RENDER_H

#include "lib/broker/broker.h"

#include <sys/uio.h>

/* The form in which a record is sent. */
enum form {
    FORM_EVENTS = 0,     /* Server-Sent Events */
    FORM_LINES = 1,      /* a JSON object a line */
    FORM_FRAMES = 2,     /* the data, a WebSocket frame each */
    FORM_OBJECTS = 3,    /* a JSON object a frame */
    FORM_LIST = 4,       /* JSON objects with commas between; never in parts, as all that follow */
    FORM_LIST_LINES = 5, /* a JSON object a line */
    FORM_TEXT = 6,       /* the bare data, a line each */
    FORM_NONE = 7,       /* not rendered: records are only counted */
};

#define SHARE_BYTES   (256u << 10) /* for a stream: more than this only for one record */
#define SHARE_RECORDS 64u          /* likewise */
#define SHARE_PIECES  4u           /* for a record, at most */

/* Returns the scratch memory that a share of about `bytes` needs: JSON can make a message six times
 * as long; `bytes` covers what surrounds each message, but for the last. */
static inline size_t share_scratch(uint64_t max_message, size_t bytes)
{
    return (size_t)(6 * (max_message > bytes ? max_message : bytes) + (8u << 10));
}

struct share {
    uint64_t low, first; /* valid for places low <= at <= first; first 0: for none */
    uint64_t end, n;     /* where it ends: offset, id */
    size_t size;         /* bytes */
    size_t whole;        /* so many lead to its end, and no topic ends in it; SIZE_MAX: none do */
    unsigned records, pieces, most;
    uint8_t form;  /* enum form */
    bool partial;  /* the last record goes on after it */
    uint64_t *rec; /* offsets of the records, `most` at most */
    size_t *upto;  /* bytes up to the end of each record; SIZE_MAX: its end is not in the share */
    struct iovec *iov; /* the pieces; the caller may use the two places before the first */
    struct text scratch;
};

/* Returns the bytes of zeroed memory that share_init() needs for at most `records` records, besides
 * the scratch memory. */
size_t share_memory(unsigned records);
void share_init(struct share *s, unsigned records, void *memory, void *scratch,
                size_t scratch_size);

/* Fills *s with what a subscriber of entry `id` at `at`, and at `place` inside the record there,
 * gets next, in form `form`: about `bytes` bytes, more only for a single record. */
void share_build(struct share *s, const struct broker *b, uint32_t id, uint64_t at, uint32_t place,
                 enum form form, size_t bytes);

/* Finds the records without rendering them: at most those that share_build() or, if `conflates`,
 * share_build_newest() would render. */
void share_count(struct share *s, const struct broker *b, uint32_t id, uint64_t at, bool conflates,
                 size_t bytes);

/* Fills *s as share_build() does, with only the newest message of each topic, where that is at `at`
 * or after it; `at` is not below the tail. */
void share_build_newest(struct share *s, const struct broker *b, uint32_t id, uint64_t at,
                        enum form form, size_t bytes);

/* Returns how many records of entry `id` share_build_newest() left out between `from` and `to`, of
 * which a subscriber got the rest. Topics without a record in the share are not all counted, where
 * that would cost more than what is sent. */
uint64_t share_left_out(const struct share *s, const struct broker *b, uint32_t id, uint64_t from,
                        uint64_t to);

/* Joins a small share into one iovec, cheaper to write many times. */
void share_join(struct share *s);

/* Empties a share. */
void share_clear(struct share *s);

/* Appends bytes that belong to no record. They must stay valid as long as the share. */
void share_end(struct share *s, struct span bytes);

/* A subscriber's place. */
struct share_place {
    uint64_t at;   /* offset of the record it gets next, or where that will be */
    uint64_t n;    /* n of the last id it got */
    uint32_t sent; /* the place inside that record */
};

/* Moves a subscriber on by `w` bytes of *s, which began at its place. Returns how many records that
 * completed. */
unsigned share_took(const struct share *s, const struct ring *r, struct share_place *p, size_t w);

#endif
