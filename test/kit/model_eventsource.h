/*
 * model_eventsource.h - a second reader of streams of events, which has all of one at once and
 * reads it line by line as the HTML standard's text has it, section 9.2.6.
 */
#ifndef SSE_TEST_KIT_MODEL_EVENTSOURCE_H
#define SSE_TEST_KIT_MODEL_EVENTSOURCE_H

#include "lib/text.h"

/* Writes an event, and what there is to come back with at the end. */
static inline void model_event(struct text *t, struct span event, struct span data, struct span id)
{
    text_str(t, "[");
    text_add(t, event);
    text_str(t, "|");
    text_add(t, data);
    text_str(t, "|");
    text_add(t, id);
    text_str(t, "] ");
}

static inline void model_end(struct text *t, struct span id, uint64_t retry)
{
    text_str(t, "id=");
    text_add(t, id);
    text_str(t, " retry=");
    text_u64(t, retry);
}

/* Reads `s` and writes what it is read as into out, NUL-ended. */
static inline void model_read(struct span s, char *out, size_t cap)
{
    static char data[1 << 16];
    size_t n = 0;
    struct span event = {NULL, 0}, id = event, last = event;
    uint64_t retry = 0;
    struct text t = text_in(out, cap - 1);
    if (span_begins(s, SPAN("\xEF\xBB\xBF")))
        s = span_from(s, 3);
    for (;;) {
        size_t end = 0;
        while (end < s.n && s.p[end] != '\r' && s.p[end] != '\n')
            end++;
        if (end == s.n)
            break; /* a line that is not whole */
        struct span line = {s.p, end}, field = line, value = {line.p, 0};
        s = span_from(s, end + 1 + (s.p[end] == '\r' && end + 1 < s.n && s.p[end + 1] == '\n'));
        for (size_t i = 0; i < line.n; i++)
            if (line.p[i] == ':') {
                field.n = i;
                value = span_from(line, i + 1);
                if (value.n > 0 && value.p[0] == ' ')
                    value = span_from(value, 1);
                break;
            }
        if (line.n == 0) {
            last = id;
            if (n > 0)
                model_event(&t, event, (struct span){data, n - 1}, last);
            n = 0;
            event.n = 0;
        } else if (span_eq(field, SPAN("event"))) {
            event = value;
        } else if (span_eq(field, SPAN("data"))) {
            for (size_t i = 0; i < value.n; i++)
                data[n++ % sizeof data] = value.p[i];
            data[n++ % sizeof data] = '\n';
        } else if (span_eq(field, SPAN("id"))) {
            if (value.n == 0 || memchr(value.p, '\0', value.n) == NULL)
                id = value;
        } else if (span_eq(field, SPAN("retry"))) {
            uint64_t ms;
            if (span_u64(value, &ms))
                retry = ms;
        }
    }
    model_end(&t, last, retry);
    out[t.n] = '\0';
}

#endif
