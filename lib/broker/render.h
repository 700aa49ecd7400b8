/*
 * render.h - what a subscriber gets: the records from a place on, in the form it asked for.
 *
 * A share is built once and written to all who are at the same place and want the same form. Its
 * pieces point into the ring wherever the bytes are there already (an event whole; a message's
 * data, unless JSON has to escape it), else into its own scratch memory:
 *
 *   events    | ring: event: ..data: ..id: ..     |
 *   lines     | {"id":..,"data":" | ring: data | "}\n |
 *   frames    | head | ring: data |
 *   objects   | head | {"id":..,"data":" | ring: data | "} |
 *
 * A PLACE inside a record (share_place.sent) is where to go on with it, so that no byte of it is
 * rendered again: the bytes that are out; of an object
 *
 *   | head of the frame: 0.. | front: 16.. | each byte of the data: 6, or of base64: 1 | end |
 *
 * where the numbers that a part has and does not need are left out. The rendering of a long object
 * is given in chunks: then the share ends inside it (`partial`).
 *
 * OWNERSHIP: the scratch memory is the caller's: RENDER_SCRATCH bytes, touched as used. A share is
 * good until the ring changes.
 */
#ifndef SSE_LIB_BROKER_RENDER_H
#define SSE_LIB_BROKER_RENDER_H

#include "lib/broker/broker.h"

#include <sys/uio.h>

/* The form in which a record is given out. */
enum form {
    FORM_EVENTS = 0,     /* Server-Sent Events */
    FORM_LINES = 1,      /* a JSON object a line */
    FORM_FRAMES = 2,     /* the data, a WebSocket frame each */
    FORM_OBJECTS = 3,    /* a JSON object a frame */
    FORM_LIST = 4,       /* JSON objects with commas between; never in parts, as all that follow */
    FORM_LIST_LINES = 5, /* a JSON object a line */
    FORM_TEXT = 6,       /* the bare data, a line each */
    FORM_NONE = 7,       /* not at all: they are counted */
};

#define SHARE_BYTES   (256u << 10) /* for a stream: more than this only for one record */
#define SHARE_RECORDS 64u          /* likewise */
#define SHARE_PIECES  4u           /* for a record, at most */

/* Bytes of scratch memory for a share of about `bytes`: a message may be six times as long in JSON,
 * and what stands around each is in `bytes` already, but for the last. */
static inline size_t share_scratch(uint64_t max_message, size_t bytes)
{
    return (size_t)(6 * (max_message > bytes ? max_message : bytes) + (8u << 10));
}

struct share {
    uint64_t low, first; /* good for low <= at <= first; first 0: for nobody */
    uint64_t end, n;     /* where it leads: offset, id */
    size_t size;         /* bytes */
    size_t whole;        /* so many lead to its end, and no topic ends in it; SIZE_MAX: none do */
    unsigned records, pieces, most;
    uint8_t form;      /* enum form */
    bool partial;      /* the last record goes on behind it */
    uint64_t *rec;     /* offsets of the records, `most` at most */
    size_t *upto;      /* bytes up to the end of each; SIZE_MAX: that is not in it */
    struct iovec *iov; /* the pieces; the two places before the first are for what goes before */
    struct text scratch;
};

/* Bytes of zeroed memory that share_init() wants for a share of at most `records`, besides its
 * scratch memory. */
size_t share_memory(unsigned records);
void share_init(struct share *s, unsigned records, void *memory, void *scratch,
                size_t scratch_size);

/* Fills *s with what a subscriber of entry `id` at `at`, and at `place` inside the record there,
 * gets next, in form `form`: about `bytes` bytes, more only for one record. */
void share_build(struct share *s, const struct broker *b, uint32_t id, uint64_t at, uint32_t place,
                 enum form form, size_t bytes);

/* Finds the records alone, which are not rendered: not more of them than share_build() or
 * share_build_newest() (`conflates`) would give. */
void share_count(struct share *s, const struct broker *b, uint32_t id, uint64_t at, bool conflates,
                 size_t bytes);

/* The same with the newest message of each topic alone, where that is at `at` or behind; `at` is
 * not below the tail. */
void share_build_newest(struct share *s, const struct broker *b, uint32_t id, uint64_t at,
                        enum form form, size_t bytes);

/* How many records of entry `id` such a share, of which a subscriber has got from `from` to `to`,
 * has left out. Of topics none of whose records is in it not all are counted, where that would cost
 * more than what is sent. */
uint64_t share_left_out(const struct share *s, const struct broker *b, uint32_t id, uint64_t from,
                        uint64_t to);

/* Makes one piece of a share of several that is small and is to be written often: that takes the
 * kernel less. */
void share_join(struct share *s);

/* Makes it one of no records. */
void share_clear(struct share *s);

/* Appends bytes that belong to no record. */
void share_end(struct share *s, struct span bytes);

/* Where a subscriber is. */
struct share_place {
    uint64_t at;   /* offset of the record it gets next, or where that will be */
    uint64_t n;    /* the last id it had */
    uint32_t sent; /* the place inside that record */
};

/* Moves a subscriber on by `w` bytes of *s, which began at its place. Returns how many records that
 * completed. */
unsigned share_took(const struct share *s, const struct ring *r, struct share_place *p, size_t w);

#endif
