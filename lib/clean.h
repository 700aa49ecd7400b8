/*
 * clean.h - foreign text made fit to be shown: nothing in it steers a terminal or writes lines of its
 * own.
 *
 * Unfit are control characters (C0, DEL, and C1: U+0080 to U+009F) and bytes that are not UTF-8.
 * Where the reader may know ASCII alone, as in a log or a field of HTTP, all else is unfit, too.
 */
#ifndef SSE_LIB_CLEAN_H
#define SSE_LIB_CLEAN_H

#include "lib/text.h"

/* Returns true if the byte is printable ASCII, and no blank. */
static inline bool clean_visible(char c)
{
    return c > ' ' && c <= '~';
}

/* Returns true if all of `s` is. */
bool clean_all_visible(struct span s);

/* Returns the byte if it is printable ASCII, a blank included, else "?". */
static inline char clean_ascii(char c)
{
    return (char)(c == ' ' || clean_visible(c) ? c : '?');
}

/* Returns how many bytes at the front of `s` are fit to be shown, in whole characters; `lines`: line
 * ends and tabs are. */
size_t clean_run(struct span s, bool lines);

/* Returns how many bytes the unfit character at the front of `s`, which is not empty, has: 2 of a C1
 * control, else 1. */
size_t clean_unfit(struct span s);

/* Appends `s` with "?" for each unfit character; nothing where there is no room for all of it. */
void clean_text(struct text *t, struct span s, bool lines);

#endif
