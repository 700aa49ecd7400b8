/*
 * utf8.h - checks UTF-8 (RFC 3629; the table of the Unicode standard, section 3.9).
 *
 * Refused: overlong forms, surrogates, code points past U+10FFFF, bytes out of place. For an
 * incremental check the caller zeroes a struct utf8; the check fails at the first byte that cannot
 * be right whatever follows.
 */
#ifndef SSE_LIB_UTF8_H
#define SSE_LIB_UTF8_H

#include "lib/span.h"

struct utf8 {
    uint8_t more;   /* continuation bytes still due */
    uint8_t lo, hi; /* bounds of the next one */
};

/* Checks `s`, which follows what was fed before. Returns s.n if all of it is right, else the offset
 * of the first wrong byte. */
size_t utf8_feed(struct utf8 *u, struct span s);

/* Returns true if the text so far does not end inside a character. */
static inline bool utf8_whole(const struct utf8 *u)
{
    return u->more == 0;
}

/* Returns s.n if all of `s` is UTF-8, else the offset of the first byte that isn't; a character cut
 * short at the end counts at its first byte. */
size_t utf8_valid(struct span s);

#endif
