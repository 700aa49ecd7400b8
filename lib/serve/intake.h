/*
 * intake.h - the messages of a body, as its bytes arrive: one message, or a batch of them.
 *
 * An intake stands at the front of a buffer that the caller allocates and makes larger, and holds,
 * in this order:
 *
 *   | struct intake | topic | event | key | undigested bytes | room |
 *
 * One message is whole when the body ends. Those of a batch (lib/batch) are given as they arrive;
 * one without an event name of its own gets the body's. Where the body ends its topic, the one
 * message does, or behind the last of a batch comes an end; one message of no bytes is just an end.
 */
#ifndef SSE_LIB_SERVE_INTAKE_H
#define SSE_LIB_SERVE_INTAKE_H

#include "lib/batch.h"
#include "lib/text.h"

struct intake {
    uint64_t caller[9]; /* the caller's own */
    struct batch batch; /* kind 0: one message */
    uint64_t line;      /* the one where the message given last ends, or else the next one */
    uint64_t count;     /* messages published: the caller counts, ... */
    uint64_t last;      /* the caller's: n of the last of these, ... */
    uint32_t reach;     /* ... and its subscribers */
    uint32_t from;      /* of the undigested bytes those that have been given */
    uint32_t have;      /* the undigested bytes */
    uint64_t duplicates; /* those that had been published before */
    uint16_t topic_size, event_size, key_size;
    uint8_t binary;
    uint8_t end;   /* the topic ends with the body */
    uint8_t given; /* the one message has been, or of a batch the end */
    char bytes[];
};

/* Bytes of a buffer for it, with `room` for undigested ones. */
static inline size_t intake_size(struct span topic, const struct batch_message *like, size_t room)
{
    return sizeof(struct intake) + topic.n + like->event.n + like->key.n + room;
}

/* Bytes of the buffer in use. */
static inline size_t intake_used(const struct intake *in)
{
    return sizeof *in + in->topic_size + in->event_size + in->key_size + in->have;
}

/* Begins. The names are copied behind it. `like` says what the one message is, or what each of a
 * batch gets: its event, whether it is binary; its key, whether the body ends the topic. */
void intake_init(struct intake *in, struct span topic, const struct batch_message *like,
                 uint8_t batch_kind);

/* The topic's name. */
static inline struct span intake_topic(const struct intake *in)
{
    return (struct span){in->bytes, in->topic_size};
}

/* May `more` bytes come, where a message has at most `most` of data? In a batch its text may be
 * eight times that, and its names come on top. */
bool intake_fits(const struct intake *in, size_t more, uint64_t most);

/* Adds bytes; the buffer has room for them: the caller has seen to it. */
void intake_add(struct intake *in, struct span bytes);

/* Returns the next message that is whole; `end` says that the body is. What *m points to is good
 * until the next call for this intake. *why as batch_next() has it. */
enum batch_result intake_next(struct intake *in, bool end, struct batch_message *m,
                              const char **why);

/* Appends where a batch is, for a message about an error in what intake_next() gave last: "line 7
 * (3 messages before it are published): ". Nothing for one message. */
void intake_where(const struct intake *in, struct text *t);

/* Is it a batch, between two messages? It may stay there: it is somebody's live feed. */
static inline bool intake_idle(const struct intake *in)
{
    return in->batch.kind != 0 && in->have == 0;
}

#endif
