/*
 * name.c - names of topics, and patterns that match them.
 *
 * Matching goes segment by segment. A pattern has "**" only at its end, so matching never
 * backtracks.
 */
#include "lib/name.h"

#include <assert.h>

#include "lib/utf8.h"

/* ---- segments ---- */

bool topic_is_pattern(struct span s)
{
    return s.n > 0 && memchr(s.p, '*', s.n) != NULL;
}

static bool is_one(struct span segment)
{
    return span_eq(segment, SPAN("*"));
}

static bool is_rest(struct span segment)
{
    return span_eq(segment, SPAN("**"));
}

/* ---- what is wrong ---- */

/* Returns what is wrong with a name or pattern, apart from its wildcards; NULL if nothing is. */
static const char *text_wrong(struct span s)
{
    if (s.n == 0)
        return "is empty";
    if (s.n > TOPIC_NAME_MAX)
        return "is longer than 255 bytes";
    if (s.p[0] == '-')
        return "begins with \"-\"";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c == 0x7F)
            return "has a control byte";
        if (c == ',')
            return "has a comma";
    }
    if (utf8_valid(s) != s.n)
        return "is not UTF-8";
    do {
        if (span_cut(&s, '/').n == 0)
            return "has an empty segment";
    } while (s.p != NULL);
    return NULL;
}

const char *topic_name_wrong(struct span name)
{
    const char *why = text_wrong(name);
    if (why == NULL && topic_is_pattern(name))
        why = "has a \"*\"";
    return why;
}

const char *topic_name_hint(struct span name)
{
    while (name.p != NULL) {
        struct span segment = span_cut(&name, '/');
        if (span_eq(segment, SPAN("+")) || span_eq(segment, SPAN("#")))
            return "has + or # as a segment: the wildcards are *, one segment, and **, all below";
    }
    return NULL;
}

const char *topic_pattern_wrong(struct span pattern)
{
    const char *why = text_wrong(pattern);
    while (why == NULL && pattern.p != NULL) {
        struct span segment = span_cut(&pattern, '/');
        if (is_rest(segment) && pattern.p != NULL)
            why = "has \"**\" before its last segment";
        else if (topic_is_pattern(segment) && !is_one(segment) && !is_rest(segment))
            why = "has a \"*\" that is not a whole segment";
    }
    return why;
}

/* ---- what matches ---- */

/* Returns true if it is the name of the server's own topic. */
static bool is_own(struct span s)
{
    return s.n > 0 && s.p[0] == '-';
}

bool topic_match(struct span pattern, struct span name)
{
    if (is_own(name))
        return span_eq(pattern, name);
    for (;;) {
        struct span want = span_cut(&pattern, '/'), have = span_cut(&name, '/');
        if (is_rest(want))
            return true;
        if (!is_one(want) && !span_eq(want, have))
            return false;
        if (pattern.p == NULL || name.p == NULL)
            return pattern.p == NULL && name.p == NULL;
    }
}

/* Returns the length of the shortest name that a pattern matches. */
static size_t shortest(struct span pattern)
{
    bool rest = pattern.n >= 2 && memcmp(pattern.p + pattern.n - 2, "**", 2) == 0;
    return pattern.n - rest;
}

/* Computes the length of the shortest name that both match, which may be too long for a name. */
bool topic_overlap(struct span a, struct span b)
{
    size_t n = 0;
    if (is_own(a) || is_own(b))
        return span_eq(a, b);
    for (;;) {
        if (is_rest(a) || is_rest(b))
            return n + shortest(is_rest(a) ? b : a) <= TOPIC_NAME_MAX;
        struct span x = span_cut(&a, '/'), y = span_cut(&b, '/');
        if (!is_one(x) && !is_one(y) && !span_eq(x, y))
            return false;
        n += is_one(x) ? y.n : x.n;
        if (a.p == NULL || b.p == NULL)
            return a.p == NULL && b.p == NULL && n <= TOPIC_NAME_MAX;
        n++; /* the "/" */
    }
}

/* Returns true if the segment is a "**" after `n` bytes with room for one segment only: it equals
 * "*". */
static bool is_one_in_effect(struct span segment, size_t n)
{
    return is_rest(segment) && n + sizeof("x/x") - 1 > TOPIC_NAME_MAX;
}

bool topic_holds(struct span a, struct span b)
{
    size_t n = 0; /* where y begins */
    if (is_own(a) || is_own(b) || b.n == 0)
        return span_eq(a, b);
    for (;;) {
        struct span x = span_cut(&a, '/'), y = span_cut(&b, '/');
        if (is_rest(x))
            return true;
        if (is_one_in_effect(y, n))
            y = SPAN("*");
        if (is_rest(y) || (!is_one(x) && !span_eq(x, y)))
            return false;
        if (a.p == NULL || b.p == NULL)
            return a.p == NULL && b.p == NULL;
        n += y.n + 1;
    }
}

size_t topic_meet(char out[TOPIC_NAME_MAX], struct span a, struct span b)
{
    if (!topic_overlap(a, b))
        return 0;
    for (size_t n = 0;;) {
        bool rest_a = is_rest(a), rest_b = is_rest(b);
        struct span x = rest_a ? SPAN("*") : span_cut(&a, '/');
        struct span y = rest_b ? SPAN("*") : span_cut(&b, '/');
        struct span both = rest_a && rest_b ? a : is_one(x) ? y : x;
        if (is_one_in_effect(both, n))
            both = SPAN("*");
        assert(both.p != NULL && n + both.n <= TOPIC_NAME_MAX);
        memcpy(out + n, both.p, both.n);
        n += both.n;
        if ((rest_a || a.p == NULL) && (rest_b || b.p == NULL))
            return n;
        out[n++] = '/';
    }
}
