/*
 * event.c - renders a message for Server-Sent Events.
 *
 * Text is searched for line ends eight bytes at a time, since a message may be a megabyte and is
 * rendered on the server's one thread.
 */
#include "lib/event.h"

#include <assert.h>

#include "lib/hash.h"
#include "lib/json.h"
#include "lib/word.h"

#define EVENT_BINARY SPAN("data:;base64,")

/* ---- looking for line ends ---- */

/* Returns true if one of the word's bytes is a CR or LF. Most text has hardly a byte below 14, so
 * that cheaper test comes first. */
static inline bool event_breaks(uint64_t w)
{
    return word_has_below(w, 14) && (word_has(w, '\n') || word_has(w, '\r'));
}

/* Returns the first CR or LF in p..end, or end. */
static const char *event_line_end(const char *p, const char *end)
{
    if (end - p >= 8) {
        const char *last = end - 8; /* overlaps bytes searched before */
        while (p < last && !event_breaks(word_at(p)))
            p += 8;
        if (p >= last && !event_breaks(word_at(last)))
            return end;
    }
    while (p < end && *p != '\n' && *p != '\r')
        p++;
    return p;
}

/* Returns the place after the line end at `p`, which is before `end`; a CRLF is one. */
static inline const char *event_line_next(const char *p, const char *end)
{
    return p + (p[0] == '\r' && end - p > 1 && p[1] == '\n' ? 2 : 1);
}

/* ---- names ---- */

bool event_name_fits(struct span name)
{
    if (name.n == 0)
        return true;
    const char *end = name.p + name.n;
    return event_line_end(name.p, end) == end && memchr(name.p, '\0', name.n) == NULL;
}

bool event_name_reserved(struct span name)
{
    return span_eq(name, SPAN("gap")) || span_eq(name, SPAN("expired")) ||
           span_eq(name, SPAN("ended"));
}

struct span event_name_of_topic(struct span topic)
{
    static const char taken[][11] = {"/error", "/open",      "/gap",  "/expired",
                                     "/hello", "/heartbeat", "/ended"};
    const char first = topic.p[0];
    if (first != 'e' && first != 'o' && first != 'g' && first != 'h')
        return topic; /* the common case */
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (span_eq(topic, span_of(taken[i] + 1)))
            return span_of(taken[i]);
    return topic;
}

/* ---- the end of a topic ---- */

#define ENDED_FRONT SPAN("event: ended\ndata: {\"topic\":")
#define ENDED_ID    SPAN("}\nid: ")

void event_ended(struct text *t, struct span topic, struct span id)
{
    text_add(t, ENDED_FRONT);
    json_string(t, topic);
    text_add(t, ENDED_ID);
    text_add(t, id);
    text_str(t, "\n\n");
}

/* Bytes of the event that tells of it. */
static inline size_t event_ended_size(const struct event *e)
{
    if (e->ends.n == 0)
        return 0;
    return ENDED_FRONT.n + 2 + json_escaped_size(e->ends) + ENDED_ID.n + e->id.n + 2;
}

/* ---- measuring ---- */

struct event_layout event_measure(const struct event *e)
{
    size_t around = event_ended_size(e);
    if (e->bare)
        return (struct event_layout){around, true};
    around += event_line_size(e->name) + sizeof("id: \n\n") - 1 + e->id.n;
    size_t line = sizeof("data: \n") - 1;
    if (e->binary)
        return (struct event_layout){around + line + EVENT_BINARY.n + base64_size(e->data.n),
                                     false};
    if (e->data.n == 0)
        return (struct event_layout){around + line, true};
    const char *end = e->data.p + e->data.n;
    size_t lines = 1, ends = 0;
    for (const char *p = event_line_end(e->data.p, end); p < end; lines++) {
        const char *next = event_line_next(p, end);
        ends += (size_t)(next - p);
        p = event_line_end(next, end);
    }
    return (struct event_layout){around + lines * line + e->data.n - ends, lines == 1};
}

/* ---- writing ---- */

/* Each function writes at out and returns the place after it. */

static inline char *event_put(char *out, struct span s)
{
    if (s.n > 0)
        memcpy(out, s.p, s.n);
    return out + s.n;
}

static inline char *event_field(char *out, struct span field, struct span value)
{
    out = event_put(event_put(out, field), value);
    *out = '\n';
    return out + 1;
}

static char *event_lines(char *out, struct span text)
{
    const char *p = text.p, *end = text.p + text.n;
    for (;;) {
        const char *at = event_line_end(p, end);
        out = event_field(out, SPAN("data: "), (struct span){p, (size_t)(at - p)});
        if (at == end)
            return out;
        p = event_line_next(at, end);
    }
}

/* Writes the message; returns the place behind. */
static inline char *event_message(char *p, const struct event *e, struct event_layout layout)
{
    if (e->name.n > 0)
        p = event_field(p, SPAN("event: "), e->name);
    if (e->binary) {
        p = event_put(event_put(p, SPAN("data: ")), EVENT_BINARY);
        p += base64_write(p, e->data);
        *p++ = '\n';
    } else if (layout.whole) {
        p = event_field(p, SPAN("data: "), e->data);
    } else {
        p = event_lines(p, e->data);
    }
    p = event_field(p, SPAN("id: "), e->id);
    *p++ = '\n';
    return p;
}

void event_write(char *out, const struct event *e, struct event_layout layout)
{
    assert(event_name_fits(e->name) && (!e->bare || e->ends.n > 0));
    char *p = e->bare ? out : event_message(out, e, layout);
    if (e->ends.n > 0) {
        struct text t = text_in(p, layout.size - (size_t)(p - out));
        event_ended(&t, e->ends, e->id);
        assert(!t.full);
        p += t.n;
    }
    assert((size_t)(p - out) == layout.size);
}
