/*
 * show.h - what `sse sub` prints on stdout, whole messages at a time.
 *
 * A terminal obeys control bytes, and a message may hold any, whoever published it. So on a
 * terminal they are shown and not passed: C0 but line end and tab, DEL, C1 (U+0080 to U+009F) and
 * what is not UTF-8; as "?" in text, as \u00XX in a JSON string. A file or a pipe gets text as it
 * came.
 */
#ifndef SSE_LIB_CLI_SHOW_H
#define SSE_LIB_CLI_SHOW_H

#include "lib/span.h"

#define SHOW_SIZE 65536u

struct show {
    bool terminal; /* stdout is one */
    int err;       /* of writing, 0: none; nothing is written from then on */
    size_t n;
    char bytes[SHOW_SIZE];
};

/* Looks whether stdout is a terminal. */
void show_begin(struct show *s);

/* Appends text as it is. */
void show_text(struct show *s, struct span text);

/* Appends text that is foreign: made harmless on a terminal. */
void show_foreign(struct show *s, struct span text);

/* Appends JSON that is foreign, of which control bytes can only be in strings: made harmless
 * likewise. */
void show_json(struct show *s, struct span json);

/* Appends `before`, and a text as the inside of a JSON string, and a quotation mark. */
void show_string(struct show *s, const char *before, struct span text);

/* Writes what has been put together. */
void show_flush(struct show *s);

#endif
