/*
 * clean.h - makes foreign text harmless: it cannot steer a terminal or add lines of its own.
 *
 * Unfit are control characters (C0, DEL, and C1: U+0080 to U+009F) and bytes that are not UTF-8.
 * Where a reader may know only ASCII, as in a log or an HTTP field, all else is unfit too.
 */
#ifndef SSE_LIB_CLEAN_H
#define SSE_LIB_CLEAN_H

#include "lib/text.h"

/* Returns true if the byte is printable ASCII and not a blank. */
static inline bool clean_visible(char c)
{
    return c > ' ' && c <= '~';
}

/* Returns true if clean_visible() is true for all bytes of `s`. */
bool clean_all_visible(struct span s);

/* Returns the byte if it is printable ASCII or a blank, else "?". */
static inline char clean_ascii(char c)
{
    return (char)(c == ' ' || clean_visible(c) ? c : '?');
}

/* Returns how many bytes at the front of `s` are fit to be shown, in whole characters; with
 * `lines`, line ends and tabs are fit. */
size_t clean_run(struct span s, bool lines);

/* Returns the size of the unfit character at the front of `s`, which is not empty: 2 for a C1
 * control, else 1. */
size_t clean_unfit(struct span s);

/* Appends `s` with "?" for each unfit character; appends nothing if there is no room for all of
 * it. */
void clean_text(struct text *t, struct span s, bool lines);

#endif
