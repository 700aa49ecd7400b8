/*
 * clean.c - see clean.h.
 */
#include "lib/clean.h"

#include "lib/utf8.h"

bool clean_all_visible(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!clean_visible(s.p[i]))
            return false;
    return true;
}

/* Returns true if there is a C1 control at the front. */
static bool is_c1(struct span s)
{
    return s.n > 1 && (unsigned char)s.p[0] == 0xc2 && (unsigned char)s.p[1] >= 0x80 &&
           (unsigned char)s.p[1] < 0xa0;
}

/* Returns how many bytes the character at the front has, of which there is one; 0: it is unfit. */
static size_t fit(struct span s, bool lines)
{
    unsigned char c = (unsigned char)s.p[0];
    if (c < 0x80)
        return clean_ascii((char)c) == (char)c || (lines && (c == '\n' || c == '\t'));
    size_t n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return n <= s.n && !is_c1(s) && utf8_valid((struct span){s.p, n}) == n ? n : 0;
}

size_t clean_run(struct span s, bool lines)
{
    size_t i = 0, n;
    while (i < s.n && (n = fit(span_from(s, i), lines)) > 0)
        i += n;
    return i;
}

size_t clean_unfit(struct span s)
{
    return is_c1(s) ? 2 : 1;
}

void clean_text(struct text *t, struct span s, bool lines)
{
    if (s.n > t->cap - t->n) {
        t->full = true;
        return;
    }
    while (s.n > 0) {
        size_t n = clean_run(s, lines);
        text_add(t, (struct span){s.p, n});
        s = span_from(s, n);
        if (s.n == 0)
            return;
        text_add(t, SPAN("?"));
        s = span_from(s, clean_unfit(s));
    }
}
