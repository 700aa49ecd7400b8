/*
 * reply.c - reads the head of an answer.
 */
#include "lib/reply.h"

#include <limits.h>

/* Cuts a line off the front of *s, up to its CRLF. Returns a null pointer if it is not complete, or
 * with *bad set if it is malformed. */
static struct span cut_line(struct span *s, bool *bad)
{
    const char *lf = s->n > 0 ? memchr(s->p, '\n', s->n) : NULL;
    struct span line = {s->p, lf != NULL ? (size_t)(lf - s->p) : s->n};
    *bad = (lf != NULL && (line.n == 0 || line.p[line.n - 1] != '\r'));
    if (lf == NULL || *bad)
        return (struct span){NULL, 0};
    *s = span_from(*s, line.n + 1);
    line.n--;
    *bad = memchr(line.p, '\r', line.n) != NULL || memchr(line.p, '\0', line.n) != NULL;
    return line;
}

/* Reads "HTTP/1.1 200 OK". */
static bool status_line(struct span line, struct reply *r)
{
    uint64_t status;
    if (line.n < 12 || !span_begins(line, SPAN("HTTP/1.")) || line.p[7] < '0' || line.p[7] > '9' ||
        line.p[8] != ' ' || (line.n > 12 && line.p[12] != ' '))
        return false;
    if (!span_u64((struct span){line.p + 9, 3}, &status) || status < 100 || status > 599)
        return false;
    r->status = (int)status;
    return true;
}

static bool is_token(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = span_lower(s.p[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
            (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return s.n > 0;
}

static bool field_line(struct span line, struct reply *r)
{
    struct span value = line, name = span_cut(&value, ':');
    uint64_t length;
    if (value.p == NULL || !is_token(name))
        return false;
    value = span_trim(value);
    if (span_same(name, SPAN("content-length"))) {
        if (!span_u64(value, &length) || length > INT64_MAX || (r->sized && r->length != length))
            return false;
        r->sized = true;
        r->length = length;
    } else if (span_same(name, SPAN("transfer-encoding"))) {
        if (r->chunked || !span_same(value, SPAN("chunked")))
            return false;
        r->chunked = true;
    } else if (span_same(name, SPAN("content-type"))) {
        r->type = span_trim(span_cut(&value, ';'));
    } else if (span_same(name, SPAN("location"))) {
        r->location = value;
    } else if (span_same(name, SPAN("retry-after")) && !span_u64(value, &r->retry_after)) {
        r->retry_after = 0;
    }
    return true;
}

int reply_read(struct span s, struct reply *r)
{
    struct span rest = s, line;
    bool bad;
    *r = (struct reply){.status = 0};
    if (s.n > INT_MAX)
        return -1;
    while ((line = cut_line(&rest, &bad)).p != NULL && !bad && line.n > 0)
        if (r->status == 0 ? !status_line(line, r) : !field_line(line, r))
            return -1;
    if (bad || (line.p != NULL && r->status == 0) || (r->sized && r->chunked))
        return -1;
    if (line.p == NULL)
        return 0;
    if (r->status < 200 || r->status == 204 || r->status == 304) {
        r->chunked = false;
        r->sized = true;
        r->length = 0;
    }
    return (int)(s.n - rest.n);
}
