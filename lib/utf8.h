/*
 * utf8.h - is it UTF-8? (RFC 3629, the table of the Unicode standard, section 3.9)
 *
 * Refused: overlong forms, surrogates, code points past U+10FFFF, bytes out of place. An
 * incremental check is a struct that the caller zero-fills; it fails at the first byte that can't
 * be right whatever follows.
 */
#ifndef SSE_LIB_UTF8_H
#define SSE_LIB_UTF8_H

#include "lib/span.h"

struct utf8 {
    uint8_t more;   /* continuation bytes still due */
    uint8_t lo, hi; /* bounds of the next one */
};

/* Takes `s`. Returns the number of bytes that are right: s.n when all of them are; less, and the
 * byte there is the wrong one. */
size_t utf8_feed(struct utf8 *u, struct span s);

/* Returns true if the text ends here, not inside a character. */
static inline bool utf8_whole(const struct utf8 *u)
{
    return u->more == 0;
}

/* Returns s.n if all of `s` is UTF-8, else the offset of the first byte that isn't; a character cut
 * short at the end counts at its first byte. */
size_t utf8_valid(struct span s);

#endif
