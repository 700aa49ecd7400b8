/*
 * text.h - writes text into a buffer of fixed size.
 *
 * The buffer is the caller's; nothing is allocated. A call whose text does not fit appends nothing
 * and sets `full`, which stays set, so that a caller checks once, at the end. Only text_string()
 * ends the text with a NUL.
 */
#ifndef SSE_LIB_TEXT_H
#define SSE_LIB_TEXT_H

#include <assert.h>
#include <stdarg.h>

#include "lib/span.h"

struct text {
    char *p;
    size_t n;   /* bytes written */
    size_t cap; /* size of the buffer */
    bool full;  /* something did not fit */
};

/* Returns an empty text in the given buffer. */
static inline struct text text_in(void *buf, size_t cap)
{
    return (struct text){buf, 0, cap, false};
}

/* Returns an empty text that text_string() can end, in a buffer of `size` (> 0) bytes, one of which
 * is for the NUL. */
static inline struct text text_for_string(void *buf, size_t size)
{
    assert(size > 0);
    return text_in(buf, size - 1);
}

/* Ends the text with a NUL. Returns it as a string. */
static inline char *text_string(const struct text *t)
{
    t->p[t->n] = '\0';
    return t->p;
}

/* Returns what has been written. */
static inline struct span text_span(const struct text *t)
{
    return (struct span){t->p, t->n};
}

/* Appends bytes. Inline, as most texts are constant: then the length is too, and the copy is an
 * instruction or two. */
static inline void text_add(struct text *t, struct span s)
{
    assert(t->n <= t->cap);
    if (s.n > t->cap - t->n) {
        t->full = true;
    } else if (s.n > 0) {
        memcpy(t->p + t->n, s.p, s.n);
        t->n += s.n;
    }
}

/* Appends as much of `s` as there is room for. */
static inline void text_add_cut(struct text *t, struct span s)
{
    text_add(t, (struct span){s.p, s.n < t->cap - t->n ? s.n : t->cap - t->n});
}

/* Append a NUL-ended string; an unsigned number in decimal. */
static inline void text_str(struct text *t, const char *s)
{
    text_add(t, span_of(s));
}
void text_u64(struct text *t, uint64_t v);

/* Returns the hexadecimal digit of the low four bits of `v`, in lower case. */
static inline char text_digit(unsigned v)
{
    v &= 15;
    return (char)(v < 10 ? '0' + v : 'a' + v - 10);
}

/* Appends the lowest `digits` (1 to 16) hexadecimal digits of a number. */
void text_hex(struct text *t, uint64_t v, unsigned digits);

/* Appends the strings of an argument list that ends with NULL. A function that takes such a list is
 * marked TEXT_LIST, so that the compiler reports a missing NULL. */
void text_list(struct text *t, va_list ap);
#define TEXT_LIST __attribute__((sentinel))
#ifdef __clang__ /* which does not know it of a pointer to such a function */
#define TEXT_LIST_POINTER
#else
#define TEXT_LIST_POINTER TEXT_LIST
#endif

/* Appends a number in decimal, padded with zeros to at least `digits` (at most 20) digits. */
void text_pad(struct text *t, uint64_t v, unsigned digits);

/* Appends a wall-clock time, in ms since 1970, as HTTP dates it: "Sun, 06 Nov 1994 08:49:37 GMT"
 * (RFC 9110 section 5.6.7, IMF-fixdate). Years 1970 to 9999. */
void text_http_date(struct text *t, uint64_t ms);
#define TEXT_HTTP_DATE 29 /* bytes of it, always */

/* Appends a wall-clock time, in ms since 1970, as RFC 3339 does, in UTC with milliseconds:
 * "1994-11-06T08:49:37.000Z". Years 1970 to 9999. */
void text_rfc3339(struct text *t, uint64_t ms);

#endif
