/*
 * batch.h - takes messages out of a body that holds many, as its bytes arrive.
 *
 * text/event-stream (HTML standard, section 9.2.6): fields `event` and `data`; lines end in CRLF,
 * LF or CR; comments, `id`, `retry` and unknown fields are dropped; a byte order mark at the very
 * start is dropped; a block without a data field is not a message. The last block counts even
 * without an empty line after it: the body is complete.
 *
 * application/x-ndjson: one message per line, ended by LF or CRLF, the last one also by the end of
 * the body; empty lines are dropped, and so is an RS (0x1E) that begins a line, as in
 * application/json-seq (RFC 7464). A JSON object is a message if it has no members but those that
 * this server writes ("id", "time", "topic", "event", "data", "base64", each at most once), if
 * "data" or "base64" is a string, and if "topic" and "event" are strings or null; id and time are
 * dropped. Every other JSON value is itself the data, byte for byte.
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
    bool binary; /* was "base64" */
};

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
