/*
 * quote.h - foreign text and numbers as short strings, for messages.
 *
 * OWNERSHIP: each string is in its caller's buffer. QUOTE() and the like create a buffer that lasts
 * until the end of the enclosing block; a function that returns a string takes a buffer instead.
 */
#ifndef SSE_LIB_SERVE_QUOTE_H
#define SSE_LIB_SERVE_QUOTE_H

#include "lib/span.h"

#define QUOTE_MAX     128u /* bytes of a quoted text, with its NUL */
#define QUOTE_NUM_MAX 24u

/* Writes a text to out: at most 127 bytes, cleaned (lib/clean.h), and a NUL. Returns out. */
const char *quote_text(char out[QUOTE_MAX], struct span text);

/* Writes a number to out, with a NUL. Returns out. */
const char *quote_num(char out[QUOTE_NUM_MAX], uint64_t v);

/* Writes "byte 0x22" to out, with a NUL. Returns out. */
const char *quote_byte(char out[QUOTE_NUM_MAX], char byte);

#define QUOTE(...)       quote_text((char[QUOTE_MAX]){0}, __VA_ARGS__)
#define QUOTE_NUM(v)     quote_num((char[QUOTE_NUM_MAX]){0}, v)
#define QUOTE_BYTE(byte) quote_byte((char[QUOTE_NUM_MAX]){0}, byte)

#endif
