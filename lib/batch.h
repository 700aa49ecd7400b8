/*
 * batch.h - takes messages out of a body that holds many, as its bytes arrive.
 *
 * text/event-stream (HTML standard, section 9.2.6): fields `event` and `data`; lines end in CRLF,
 * LF or CR; comments, `id`, `retry` and unknown fields are dropped; a byte order mark at the very
 * start is dropped; a block with no data field is no message. Where the body ends without an empty
 * line the last block counts all the same: it was sent whole. The event "ended", as this server
 * tells of the end of a topic, is the end of the topic that is published to.
 *
 * application/x-ndjson: a message a line, ended by LF or CRLF, the last one also by the end; empty
 * lines are dropped, and so is an RS (0x1E) that begins a line, as in application/json-seq (RFC
 * 7464). A JSON object with nothing but members of a message as this server writes it ("id",
 * "time", "topic", "event", "data", "base64", "end", "key", each at most once), of which "data" or
 * "base64" is a string, "topic", "event" and "key" a string or null, and "end" true or false, is
 * that message (id and time are dropped). With "end":true there may be no data: then it is the end
 * of the topic alone. Every other JSON value is itself the data, as it stands in the line.
 *
 * The caller keeps the bytes that were not taken, contiguous, and passes them again with what has
 * arrived since. The parser writes into that buffer to unescape and join lines; what it returns
 * points there and is valid until the next call. No byte is scanned twice, so input a byte at a
 * time costs no more than all at once.
 */
#ifndef SSE_LIB_BATCH_H
#define SSE_LIB_BATCH_H

#include "lib/span.h"

enum batch_kind {
    BATCH_EVENT_STREAM = 1,
    BATCH_NDJSON = 2,
};

struct batch {
    uint8_t kind;     /* enum batch_kind */
    uint8_t flags;    /* private */
    uint64_t lines;   /* lines taken so far: a wrong one is number lines + 1 */
    uint32_t scanned; /* private: bytes at the front known to hold no whole message */
};

struct batch_message {
    struct span topic; /* as the line names it; a null pointer where it names none */
    struct span event; /* empty where unnamed */
    struct span data;
    struct span key; /* the publisher's name for it, by which it is published once; empty: none */
    bool binary;     /* was "base64" */
    bool end;        /* its topic ends with it, ... */
    bool bare;       /* ... or before it: there is no message */
};

/* A message that ends its topic, and comes without data of its own, is just that end. */
static inline void batch_end(struct batch_message *m)
{
    if (m->end && m->data.n == 0)
        *m = (struct batch_message){.topic = m->topic, .key = m->key, .end = true, .bare = true};
}

/* Returns the kind of batch that a Content-Type names; 0 if it names none. NDJSON has several
 * names. */
uint8_t batch_kind(struct span content_type);

/* What batch_next() returns. */
enum batch_result {
    BATCH_MORE = 0,    /* no complete message is left: bring more bytes */
    BATCH_MESSAGE = 1, /* *m is one */
    BATCH_WRONG =
        -1, /* *why says what is wrong with line lines + 1, a static text: "is not JSON"; the
                          body is not to be read on */
};

/* Takes the next message out of buf[0..len). `end` says that no more bytes will come. *took is set
 * to the number of bytes to drop from the front before the next call, also with BATCH_MORE
 * (comments and empty lines are dropped early); after BATCH_MESSAGE drop them once *m, which points
 * into them, has been used. Data of NDJSON is UTF-8, which the JSON reader checks; data of an event
 * stream is not checked. */
enum batch_result batch_next(struct batch *b, char *buf, size_t len, bool end, size_t *took,
                             struct batch_message *m, const char **why);

#endif
