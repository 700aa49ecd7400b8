/*
 * pem.c - finds blocks, line by line.
 */
#include "lib/auth/pem.h"

#include "lib/hash.h"

#define BEGIN SPAN("-----BEGIN ")
#define END   SPAN("-----END ")
#define DASH  SPAN("-----")

static struct span next_line(struct span *file)
{
    struct span line = span_cut(file, '\n');
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return span_trim(line);
}

/* The label of a line that is head, label and dashes; empty: it is no such line. */
static struct span label_of(struct span line, struct span head)
{
    if (!span_begins(line, head) || line.n < head.n + DASH.n ||
        !span_eq(span_from(line, line.n - DASH.n), DASH))
        return (struct span){NULL, 0};
    return (struct span){line.p + head.n, line.n - head.n - DASH.n};
}

bool pem_is(struct span file)
{
    while (file.n > 0)
        if (label_of(next_line(&file), BEGIN).n > 0)
            return true;
    return false;
}

const char *pem_next(struct span *file, struct span *label, char *out, struct span *der)
{
    size_t n = 0;
    *label = (struct span){NULL, 0};
    while (file->n > 0 && label->n == 0)
        *label = label_of(next_line(file), BEGIN);
    if (label->n == 0)
        return NULL;
    while (file->n > 0) {
        struct span line = next_line(file);
        struct span end = label_of(line, END);
        if (end.n > 0) {
            ptrdiff_t bytes = span_eq(end, *label) ? base64_read(out, (struct span){out, n}) : -1;
            *der = (struct span){out, bytes > 0 ? (size_t)bytes : 0};
            return bytes > 0 ? NULL : "a PEM block is not base64 up to its own end";
        }
        if (line.n > PEM_MAX - n)
            return "a PEM block is longer than that of any key that is taken";
        memcpy(out + n, line.p, line.n);
        n += line.n;
    }
    return "a PEM block has no end";
}
