/*
 * eventsource.c - reads a stream of Server-Sent Events.
 *
 * The incoming line is collected right after the data so far, so that a data line joins it by
 * moving a few bytes to the front.
 */
#include "lib/eventsource.h"

void eventsource_init(struct eventsource *es, void *memory, size_t size)
{
    memset(es, 0, sizeof *es);
    es->p = memory;
    es->cap = size;
}

bool eventsource_set_id(struct eventsource *es, struct span id)
{
    if (id.n > EVENTSOURCE_NAME)
        return false;
    if (id.n > 0)
        memcpy(es->last_id, id.p, id.n);
    es->last_n = id.n;
    es->id = (struct span){es->last_id, id.n};
    return true;
}

void eventsource_begin(struct eventsource *es)
{
    es->event = es->data = (struct span){es->p, 0};
    es->have = es->line = es->name_n = 0;
    es->cr = es->begun = es->dispatched = false;
    es->id_n = es->last_n;
    memcpy(es->next_id, es->last_id, es->last_n);
}

static bool keep(char *to, size_t *n, struct span value)
{
    if (value.n > EVENTSOURCE_NAME)
        return false;
    if (value.n > 0)
        memcpy(to, value.p, value.n);
    *n = value.n;
    return true;
}

/* Appends the value of the current line to the data, as its next line. Returns false if there is no
 * room. */
static bool take_data(struct eventsource *es, struct span value)
{
    if (es->have + value.n >= es->cap)
        return false;
    memmove(es->p + es->have, value.p, value.n);
    es->have += value.n;
    es->p[es->have++] = '\n';
    return true;
}

/* Handles a line that is not empty. Returns false if there is no room for it. */
static bool field(struct eventsource *es, struct span line)
{
    struct span value = line, name = span_cut(&value, ':');
    uint64_t ms;
    if (value.n > 0 && value.p[0] == ' ')
        value = span_from(value, 1);
    if (value.p == NULL)
        value.p = line.p;
    if (span_eq(name, SPAN("data")))
        return take_data(es, value);
    if (span_eq(name, SPAN("event")))
        return keep(es->name, &es->name_n, value);
    if (span_eq(name, SPAN("id")))
        return memchr(value.p, '\0', value.n) != NULL || keep(es->next_id, &es->id_n, value);
    if (span_eq(name, SPAN("retry")) && span_u64(value, &ms))
        es->retry_ms = ms;
    return true;
}

/* Handles an empty line: the event is complete, if it has data. */
static enum eventsource_result dispatch(struct eventsource *es)
{
    es->last_n = es->id_n;
    memcpy(es->last_id, es->next_id, es->id_n);
    es->id = (struct span){es->last_id, es->last_n};
    if (es->have == 0) {
        es->name_n = 0;
        return EVENTSOURCE_MORE;
    }
    es->event = (struct span){es->name, es->name_n};
    es->data = (struct span){es->p, es->have - 1};
    es->dispatched = true;
    return EVENTSOURCE_EVENT;
}

/* Handles the end of a line. */
static enum eventsource_result line_end(struct eventsource *es)
{
    struct span line = {es->p + es->have, es->line};
    if (!es->begun && span_begins(line, SPAN("\xEF\xBB\xBF")))
        line = span_from(line, 3);
    es->begun = true;
    es->line = 0;
    if (line.n == 0)
        return dispatch(es);
    return field(es, line) ? EVENTSOURCE_MORE : EVENTSOURCE_LARGE;
}

/* Returns the number of bytes before the first line end. */
static size_t line_size(struct span s)
{
    const char *lf = memchr(s.p, '\n', s.n);
    size_t n = lf != NULL ? (size_t)(lf - s.p) : s.n;
    const char *cr = memchr(s.p, '\r', n);
    return cr != NULL ? (size_t)(cr - s.p) : n;
}

enum eventsource_result eventsource_feed(struct eventsource *es, struct span bytes, size_t *took)
{
    struct span rest = bytes;
    enum eventsource_result result = EVENTSOURCE_MORE;
    if (es->dispatched) {
        es->have = es->name_n = 0;
        es->dispatched = false;
    }
    while (rest.n > 0 && result == EVENTSOURCE_MORE) {
        if (es->cr && rest.p[0] == '\n')
            rest = span_from(rest, 1);
        es->cr = false;
        if (rest.n == 0)
            break;
        size_t n = line_size(rest);
        if (n > es->cap - es->have - es->line) {
            result = EVENTSOURCE_LARGE;
            break;
        }
        memcpy(es->p + es->have + es->line, rest.p, n);
        es->line += n;
        rest = span_from(rest, n);
        if (rest.n == 0)
            break;
        es->cr = rest.p[0] == '\r';
        rest = span_from(rest, 1);
        result = line_end(es);
    }
    *took = bytes.n - rest.n;
    return result;
}
