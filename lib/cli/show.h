/*
 * show.h - what `sse sub` prints on stdout, whole messages at a time.
 *
 * A terminal obeys control bytes, and a message may hold any. So on a terminal C0 but line end and
 * tab, DEL, C1 (U+0080 to U+009F) and what is not UTF-8 are replaced: by "?" in text, by \u00XX in
 * a JSON string. A file or a pipe gets the text unchanged.
 */
#ifndef SSE_LIB_CLI_SHOW_H
#define SSE_LIB_CLI_SHOW_H

#include "lib/span.h"

#define SHOW_SIZE 65536u

struct show {
    bool terminal; /* stdout is one */
    int err;       /* errno of a failed write, after which nothing is written; 0: none */
    size_t n;
    char bytes[SHOW_SIZE];
};

/* Begins; checks whether stdout is a terminal. */
void show_begin(struct show *s);

/* Appends the command's own text unchanged. */
void show_text(struct show *s, struct span text);

/* Appends foreign text, made harmless on a terminal. */
void show_foreign(struct show *s, struct span text);

/* Appends foreign JSON, where control bytes can only be in strings, made harmless on a terminal. */
void show_json(struct show *s, struct span json);

/* Appends `before`, then a text as the inside of a JSON string, then a quotation mark. */
void show_string(struct show *s, const char *before, struct span text);

/* Writes what was appended. */
void show_flush(struct show *s);

#endif
