/*
 * utf8.c - checks UTF-8.
 *
 * Runs of ASCII are skipped by words; in any other character the first byte decides how many follow
 * and what the second may be (Unicode standard, table 3-7); the rest are 80..BF. The incremental
 * check uses that of whole text but for characters cut by its pieces.
 */
#include "lib/utf8.h"

#include "lib/word.h"

/* ---- one character ---- */

/* Sets what may follow the first byte `b` of a character. Returns false if `b` cannot be a first
 * byte. */
static bool begin(struct utf8 *u, unsigned char b)
{
    *u = (struct utf8){0, 0x80, 0xBF};
    if (b < 0x80)
        return true;
    if (b < 0xC2 || b > 0xF4)
        return false;
    u->more = b < 0xE0 ? 1 : b < 0xF0 ? 2 : 3;
    if (b == 0xE0)
        u->lo = 0xA0; /* less would be overlong */
    else if (b == 0xED)
        u->hi = 0x9F; /* more would be a surrogate */
    else if (b == 0xF0)
        u->lo = 0x90; /* less would be overlong */
    else if (b == 0xF4)
        u->hi = 0x8F; /* more would be past U+10FFFF */
    return true;
}

/* Checks one more byte of a character that has begun. Returns false if it is wrong. */
static bool follow(struct utf8 *u, unsigned char b)
{
    if (b < u->lo || b > u->hi)
        return false;
    *u = (struct utf8){(uint8_t)(u->more - 1), 0x80, 0xBF};
    return true;
}

/* ---- text ---- */

/* Returns the offset after the ASCII that begins at `i`. */
static size_t skip_ascii(struct span s, size_t i)
{
    for (; s.n - i >= 4 * WORD_SIZE; i += 4 * WORD_SIZE) {
        const char *p = s.p + i;
        if (word_has_high(word_at(p) | word_at(p + WORD_SIZE) | word_at(p + 2 * WORD_SIZE) |
                          word_at(p + 3 * WORD_SIZE)))
            break;
    }
    while (s.n - i >= WORD_SIZE && !word_has_high(word_at(s.p + i)))
        i += WORD_SIZE;
    while (i < s.n && (unsigned char)s.p[i] < 0x80)
        i++;
    return i;
}

size_t utf8_valid(struct span s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t i = 0;
    while (i < s.n) {
        if (p[i] < 0x80) {
            i = skip_ascii(s, i);
            continue;
        }
        struct utf8 u;
        size_t at = i;
        if (!begin(&u, p[at++]))
            return i;
        while (u.more > 0)
            if (at == s.n || !follow(&u, p[at++]))
                return i;
        i = at;
    }
    return s.n;
}

size_t utf8_feed(struct utf8 *u, struct span s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t i = 0;
    while (u->more > 0 && i < s.n) {
        if (!follow(u, p[i]))
            return i;
        i++;
    }
    if (i < s.n)
        i += utf8_valid(span_from(s, i));
    /* The rest is one character, cut short or wrong. */
    while (i < s.n) {
        if (u->more > 0 ? !follow(u, p[i]) : !begin(u, p[i]))
            return i;
        i++;
    }
    return s.n;
}
