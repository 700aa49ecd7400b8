/*
 * cursor.c - reads and writes message ids, entity tags and `since` values.
 */
#include "lib/cursor.h"

#include "lib/unit.h"

/* ---- ids ---- */

bool cursor_read(struct span s, struct cursor *c)
{
    struct cursor got;
    struct span ms = span_cut(&s, '-');
    if (!span_u64(ms, &got.ms) || !span_u64(s, &got.n))
        return false;
    *c = got;
    return true;
}

void cursor_write(struct text *t, struct cursor c)
{
    /* Written apart first, so that an id that does not fit is left out whole. */
    char buf[CURSOR_MAX];
    struct text id = text_in(buf, sizeof(buf));
    text_u64(&id, c.ms);
    text_add(&id, SPAN("-"));
    text_u64(&id, c.n);
    text_add(t, text_span(&id));
}

/* ---- entity tags ---- */

/* Cuts off the end of `s` what a compressing proxy appends to a tag: a separator and the name of
 * the coding. */
static struct span cursor_cut_coding(struct span s)
{
    static const char codings[][8] = {"gzip", "br", "zstd", "deflate"};
    static const char separators[][3] = {"--", "-", ";"};
    for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
        for (size_t k = 0; k < sizeof(separators) / sizeof(separators[0]); k++) {
            struct span coding = span_of(codings[i]), separator = span_of(separators[k]);
            if (s.n < separator.n + coding.n)
                continue;
            struct span end = span_from(s, s.n - coding.n - separator.n);
            if (span_begins(end, separator) && span_eq(span_from(end, separator.n), coding))
                return (struct span){s.p, s.n - end.n};
        }
    }
    return s;
}

bool cursor_read_tag(struct span s, struct cursor *c)
{
    if (span_begins(s, SPAN("W/")))
        s = span_from(s, 2);
    if (span_begins(s, SPAN("\""))) {
        if (s.n < 2 || s.p[s.n - 1] != '"')
            return false;
        s = (struct span){s.p + 1, s.n - 2};
    }
    return cursor_read(cursor_cut_coding(s), c);
}

/* ---- since ---- */

/* Bare numbers up to this one are in seconds. */
#define SINCE_SECONDS_MAX 99999999999u

/* Reads a duration before now_ms, or a unix time. */
static struct since since_read_time(struct span s, uint64_t now_ms)
{
    uint64_t v, ago;
    if (span_u64(s, &v))
        return (struct since){.kind = SINCE_TIME, .value = v <= SINCE_SECONDS_MAX ? v * 1000 : v};
    if (!unit_read(s, UNIT_TIME, &ago))
        return (struct since){.kind = SINCE_BAD};
    return (struct since){.kind = SINCE_TIME, .value = ago < now_ms ? now_ms - ago : 0};
}

bool cursor_wait(struct span s, uint64_t *seconds)
{
    uint64_t ms;
    if (span_u64(s, seconds)) /* the common case */
        return true;
    if (!unit_read(s, UNIT_TIME, &ms))
        return false;
    *seconds = ms / 1000 + (ms % 1000 != 0);
    return true;
}

struct since since_read(struct span s, uint64_t now_ms)
{
    struct since at = {.kind = SINCE_BAD};
    if (span_eq(s, SPAN("earliest"))) {
        at.kind = SINCE_EARLIEST;
    } else if (span_eq(s, SPAN("now"))) {
        at.kind = SINCE_NOW;
    } else if (span_begins(s, SPAN("-"))) {
        if (span_u64(span_from(s, 1), &at.value))
            at.kind = SINCE_LAST;
    } else if (cursor_read(s, &at.id)) {
        at.kind = SINCE_ID;
    } else {
        at = since_read_time(s, now_ms);
    }
    return at;
}
