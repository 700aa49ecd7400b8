/*
 * json.h - JSON out, and a small reader (RFC 8259).
 *
 * Out: appends to a struct text; the caller writes braces and commas itself.
 *
 * In: a reader that walks a value without building anything. It checks the grammar in full
 * (strings are UTF-8, escapes are right, no lone surrogates, no leading zeros, nothing after the
 * value) and nests JSON_DEPTH deep at most. Strings come as spans of the input, still escaped,
 * and json_unescape() decodes one into a buffer, never to more bytes than it had.
 */
#ifndef SSE_LIB_JSON_H
#define SSE_LIB_JSON_H

#include "lib/text.h"

#define JSON_DEPTH 32

/* Appends `s` as a JSON string with its quotes. `s` must be UTF-8. Escapes control bytes, the
 * quote, the backslash, U+2028 and U+2029, and nothing else. */
void json_string(struct text *t, struct span s);

/* Returns true if `s` needs no escaping in a JSON string. May return false for some texts that need
 * none. */
bool json_plain(struct span s);

/* Returns the bytes at the front of `s` that need no escaping, as json_plain() decides. */
size_t json_plain_run(struct span s);

/* A STRING IN PARTS: the escaped form of `s`, without its quotes, at a few ns per byte.
 * json_escaped_size() returns its size. json_escaped_at() returns the index of the byte of `s`
 * whose escape covers offset `at` of it, and sets *into to the offset inside that escape; s.n if
 * there is none. */
size_t json_escaped_size(struct span s);
size_t json_escaped_at(struct span s, size_t at, size_t *into);

/* Appends the escaped form of `s` as far as there is room, and stops at the end of the first escape
 * that reaches `most` bytes (up to 5 more). Returns how many bytes of `s` that was. */
size_t json_escape(struct text *t, struct span s, size_t most);

/* The kind of a value. */
enum json_kind {
    JSON_NULL = 0,
    JSON_FALSE = 1,
    JSON_TRUE = 2,
    JSON_NUMBER = 3,
    JSON_STRING = 4,
    JSON_ARRAY = 5,
    JSON_OBJECT = 6,
};

struct json_value {
    enum json_kind kind;
    struct span raw; /* the value's text; of a string, what stands between the quotes */
};

/* Reads `s` as one JSON value with nothing but white space around it, checked in full. Returns
 * false if it is none, with *at the offset of the first wrong byte, s.n where the text ends too
 * early. */
bool json_read(struct span s, struct json_value *v, size_t *at);

/* Walks the members of an object, or the elements of an array, that json_read() accepted.
 * `*pos` begins at 0. Returns true with the member's name (still escaped; empty for an element) and
 * value, or false after the last. */
bool json_next(const struct json_value *of, size_t *pos, struct span *name, struct json_value *v);

/* Decodes the escapes of a string that json_read() accepted into `out`, which has room for raw.n
 * bytes (and may be the string's own place). Returns the number of bytes written. */
size_t json_unescape(struct span raw, char *out);

#endif
