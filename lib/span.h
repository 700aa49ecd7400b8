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

/* The span of a string literal as an initialiser of a static variable. */
#define SPAN_INIT(lit)          \
    {                           \
        "" lit, sizeof(lit) - 1 \
    }

/* Returns the span of a NUL-ended string; the empty span for a null pointer. */
static inline struct span span_of(const char *s)
{
    return (struct span){s, s != NULL ? strlen(s) : 0};
}

/* Returns true if the two are equal, byte by byte. */
static inline bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Returns an ASCII letter in lower case, any other byte unchanged. */
static inline char span_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

/* Returns true if the two are equal but for the case of ASCII letters. */
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

/* Returns `s` without its first `n` bytes; n <= s.n. */
static inline struct span span_from(struct span s, size_t n)
{
    return (struct span){s.p + n, s.n - n};
}

/* Returns `s` without spaces and tabs at either end (RFC 9110 section 5.6.3, OWS). */
static inline struct span span_trim(struct span s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s.p++, s.n--;
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

/* Cuts the part up to `c` off the front of `*s`, and the separator. Returns the part. Without a `c`
 * the part is the whole, and `*s` becomes empty with a null pointer. */
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

/* Returns the first place in `s` of the text `what`, which is not empty; NULL if it is not there.
 * For short texts; one C library's memmem() is large. */
static inline const char *span_find(struct span s, struct span what)
{
    for (; s.n >= what.n; s = span_from(s, 1)) {
        const char *at = memchr(s.p, what.p[0], s.n - what.n + 1);
        if (at == NULL)
            return NULL;
        s = span_from(s, (size_t)(at - s.p));
        if (memcmp(at, what.p, what.n) == 0)
            return at;
    }
    return NULL;
}

/* Reads all of `s` as an unsigned decimal number: digits only. Returns false if it is not one, or
 * overflows. */
bool span_u64(struct span s, uint64_t *out);

#endif
