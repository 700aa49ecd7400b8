/*
 * span.h - a slice of bytes: where it starts and how long it is.
 *
 * A span never owns its bytes and is not ended by a NUL. It is valid as long as the buffer it
 * points into stays as it is. The empty span may have a null pointer.
 */
#ifndef SSE_LIB_SPAN_H
#define SSE_LIB_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *p;
    size_t n; /* bytes */
};

/* The span of a string literal, without its NUL. */
#define SPAN(lit) ((struct span){"" lit, sizeof(lit) - 1})

/* The same to initialise a static one. */
#define SPAN_INIT(lit)          \
    {                           \
        "" lit, sizeof(lit) - 1 \
    }

/* The span of a NUL-ended string; a null pointer gives the empty span. */
static inline struct span span_of(const char *s)
{
    return (struct span){s, s != NULL ? strlen(s) : 0};
}

/* Returns true if the two are equal, byte by byte. */
static inline bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* An ASCII letter in lower case, anything else as it is. */
static inline char span_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

/* Returns true if the two are equal, ASCII letters in either case alike. */
static inline bool span_same(struct span a, struct span b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        if (span_lower(a.p[i]) != span_lower(b.p[i]))
            return false;
    }
    return true;
}

/* Returns true if `s` begins with `head`. */
static inline bool span_begins(struct span s, struct span head)
{
    return s.n >= head.n && (head.n == 0 || memcmp(s.p, head.p, head.n) == 0);
}

/* `s` without its first `n` bytes; n <= s.n. */
static inline struct span span_from(struct span s, size_t n)
{
    return (struct span){s.p + n, s.n - n};
}

/* `s` without spaces and tabs at either end (RFC 9110 section 5.6.3, OWS). */
static inline struct span span_trim(struct span s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s.p++, s.n--;
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

/* Cuts the part up to `c` off the front of `*s`, past the separator; returns the part. With no `c`
 * in it the whole is the part and `*s` becomes empty with a null pointer. */
static inline struct span span_cut(struct span *s, char c)
{
    struct span part = *s;
    const char *at = s->n > 0 ? memchr(s->p, c, s->n) : NULL;
    if (at == NULL) {
        *s = (struct span){NULL, 0};
        return part;
    }
    part.n = (size_t)(at - s->p);
    *s = span_from(*s, part.n + 1);
    return part;
}

/* Returns where in `s` the text begins that `what` is, which is not empty; NULL: nowhere. For what
 * is short: memmem() of one C library is large. */
const char *span_find(struct span s, struct span what);

/* Reads an unsigned decimal number: digits only, all of the span, no overflow. False otherwise. */
bool span_u64(struct span s, uint64_t *out);

#endif
