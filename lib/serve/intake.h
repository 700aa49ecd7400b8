/*
 * intake.h - the messages of a body, as its bytes arrive: one message, or a batch of them.
 *
 * An intake is the front of a buffer that the caller allocates and grows:
 *
 *   | struct intake | topic | event | key | undigested bytes | room |
 *
 * A single message is complete when the body ends. The messages of a batch (lib/batch) are returned
 * as they arrive; one without an event name of its own gets the body's. If
 * the body ends its topic, the single message does, or an end follows the last of a batch; a single
 * message of no bytes is just an end.
 */
#ifndef SSE_LIB_SERVE_INTAKE_H
#define SSE_LIB_SERVE_INTAKE_H

#include "lib/batch.h"
#include "lib/text.h"

struct intake {
    uint64_t caller[9];  /* the caller's own */
    struct batch batch;  /* kind 0: one message */
    uint64_t line;       /* of the message returned last, or else the next one */
    uint64_t count;      /* messages published: the caller counts, ... */
    uint64_t last;       /* the caller's: n of the last one, ... */
    uint32_t reach;      /* ... and its subscribers */
    uint32_t from;       /* how many of the undigested bytes were returned */
    uint32_t have;       /* the undigested bytes */
    uint64_t duplicates; /* those that had been published before */
    uint16_t topic_size, event_size, key_size;
    uint8_t binary;
    uint8_t end;   /* the topic ends with the body */
    uint8_t given; /* the single message was returned, or of a batch the end */
    char bytes[];
};

/* Returns the size of a buffer with `room` for undigested bytes. */
static inline size_t intake_size(struct span topic, const struct batch_message *like, size_t room)
{
    return sizeof(struct intake) + topic.n + like->event.n + like->key.n + room;
}

/* Returns the bytes of the buffer in use. */
static inline size_t intake_used(const struct intake *in)
{
    return sizeof *in + in->topic_size + in->event_size + in->key_size + in->have;
}

/* Begins, and copies the names behind the struct. `like` says what the one message is, or what each
 * of a batch gets: its event, whether it is binary; its key, whether the body ends the topic. */
void intake_init(struct intake *in, struct span topic, const struct batch_message *like,
                 uint8_t batch_kind);

/* Returns the topic's name. */
static inline struct span intake_topic(const struct intake *in)
{
    return (struct span){in->bytes, in->topic_size};
}

/* Returns true if `more` bytes may be added, where a message has at most `most` bytes of data. In a
 * batch its text may be eight times that, plus names. */
bool intake_fits(const struct intake *in, size_t more, uint64_t most);

/* Adds bytes, for which the caller has made room. */
void intake_add(struct intake *in, struct span bytes);

/* Takes the next complete message into *m, as batch_next() does; `end`: the body is complete. *m is
 * valid until the next call for this intake. *why as batch_next() sets it. */
enum batch_result intake_next(struct intake *in, bool end, struct batch_message *m,
                              const char **why);

/* Appends the place of an error in what intake_next() returned last, for a message: "line 7 (3
 * messages before it are published): ". Appends nothing for a single message. */
void intake_where(const struct intake *in, struct text *t);

/* Returns true if it is a batch between two messages, where it may stay for any time: it may be a
 * live feed. */
static inline bool intake_idle(const struct intake *in)
{
    return in->batch.kind != 0 && in->have == 0;
}

#endif
