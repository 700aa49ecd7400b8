/*
 * text.h - writes text into a buffer of fixed size.
 *
 * The caller hands the buffer; nothing is allocated. What does not fit is left out whole, call by
 * call, and `full` is set and stays set, so that a caller checks once, at the end. The text is not
 * ended by a NUL but by text_string().
 */
#ifndef SSE_LIB_TEXT_H
#define SSE_LIB_TEXT_H

#include <assert.h>
#include <stdarg.h>

#include "lib/span.h"

struct text {
    char *p;
    size_t n;   /* bytes written */
    size_t cap; /* bytes there are */
    bool full;  /* something did not fit */
};

/* A text of the given buffer, empty. */
static inline struct text text_in(void *buf, size_t cap)
{
    return (struct text){buf, 0, cap, false};
}

/* A text that text_string() can end: of a buffer of `size` (> 0) bytes, one of which is for the
 * NUL. */
static inline struct text text_for_string(void *buf, size_t size)
{
    assert(size > 0);
    return text_in(buf, size - 1);
}

/* Returns it as a string: ended with a NUL. */
static inline char *text_string(const struct text *t)
{
    t->p[t->n] = '\0';
    return t->p;
}

/* What has been written. */
static inline struct span text_span(const struct text *t)
{
    return (struct span){t->p, t->n};
}

/* Appends bytes. Here and not in text.c as much is constant: its length is, then, and its copying
 * is an instruction or two. */
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

/* Appends as much of it as there is room for. */
static inline void text_add_cut(struct text *t, struct span s)
{
    text_add(t, (struct span){s.p, s.n < t->cap - t->n ? s.n : t->cap - t->n});
}

/* Appends a NUL-ended string; an unsigned number in decimal. */
static inline void text_str(struct text *t, const char *s)
{
    text_add(t, span_of(s));
}
void text_u64(struct text *t, uint64_t v);

/* The hexadecimal digit of the low four bits of `v`, a small letter where it is one. */
static inline char text_digit(unsigned v)
{
    v &= 15;
    return (char)(v < 10 ? '0' + v : 'a' + v - 10);
}

/* Appends a number in hexadecimal, `digits` wide (1 to 16): the lowest of its digits. */
void text_hex(struct text *t, uint64_t v, unsigned digits);

/* Appends the texts of a list of arguments that ends with NULL. A function that takes such a list
 * is marked TEXT_LIST, so that the compiler misses a NULL. */
void text_list(struct text *t, va_list ap);
#define TEXT_LIST __attribute__((sentinel))
#ifdef __clang__ /* which does not know it of a pointer to such a function */
#define TEXT_LIST_POINTER
#else
#define TEXT_LIST_POINTER TEXT_LIST
#endif

/* Appends a number in decimal with zeros in front, `digits` wide at least (at most 20). */
void text_pad(struct text *t, uint64_t v, unsigned digits);

/* Appends a wall-clock time, in ms since 1970, as HTTP dates it: "Sun, 06 Nov 1994 08:49:37 GMT"
 * (RFC 9110 section 5.6.7, IMF-fixdate). Years 1970 to 9999. */
void text_http_date(struct text *t, uint64_t ms);
#define TEXT_HTTP_DATE 29 /* bytes of it, always */

/* Appends a wall-clock time, in ms since 1970, as RFC 3339 does, in UTC with milliseconds:
 * "1994-11-06T08:49:37.000Z". Years 1970 to 9999. */
void text_rfc3339(struct text *t, uint64_t ms);

#endif
