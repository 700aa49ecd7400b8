/*
 * event.h - renders a message for Server-Sent Events (HTML standard, section 9.2).
 *
 *   event: NAME\n                      where there is a name
 *   data: LINE\n                       one for each line of the data
 *   id: MS-N\n
 *   \n
 *
 * Lines of text end in CRLF, LF or CR. A last line end is kept, so "abc\n" is two lines, the second
 * one empty, and empty data is one empty line; a client gets every line end as LF. Binary data is
 * one line, a URL: "data: data:;base64,...". The id comes last: clients take it at its line, and a
 * connection that is cut inside a message must not lose it.
 *
 * A message that ends its topic has the event "ended" behind it; an end that comes with no message
 * is that event alone:
 *
 *   event: ended\n
 *   data: {"topic":"NAME"}\n
 *   id: MS-N\n
 *   \n
 *
 * The caller measures first, finds room for just that many bytes, then writes.
 */
#ifndef SSE_LIB_EVENT_H
#define SSE_LIB_EVENT_H

#include "lib/text.h"

struct event {
    struct span name; /* empty: no event line; else as event_name_fits() wants it */
    struct span data;
    struct span id; /* no line ends: asserted */
    bool binary;
    bool bare;        /* there is no message, just the end; `ends` is not empty */
    struct span ends; /* the topic that ends with it; empty: none does */
};

struct event_layout {
    size_t size; /* bytes of the rendering */
    bool whole;  /* the data stands in it contiguously, at event_data_at() */
};

/* Returns true if `name` may stand in an event line: it has no CR, LF or NUL. */
bool event_name_fits(struct span name);

/* Returns true if `name` is one of the server's own events ("gap", "expired", "ended"), which no
 * message may have. */
bool event_name_reserved(struct span name);

/* Returns the event name of an unnamed message in a stream of several topics: the topic's name; or,
 * where a page would take that for an event of EventSource itself (error, open) or of the server,
 * the name with a "/" in front, as in the topic's URL. No other topic has such a name. */
struct span event_name_of_topic(struct span topic);

/* Offset of the name in a rendering that has an event line. */
#define EVENT_NAME_AT 7

/* Returns the bytes of the event line of a name; 0 for an empty name. */
static inline size_t event_line_size(struct span name)
{
    return name.n > 0 ? EVENT_NAME_AT + name.n + 1 : 0;
}

/* Returns the offset of the data in a rendering that holds it contiguously, where the event line is
 * `line_size` bytes long. */
static inline size_t event_data_at(size_t line_size)
{
    return line_size + 6;
}

/* Appends the event "ended" of a topic. */
void event_ended(struct text *t, struct span topic, struct span id);

/* Returns the layout of the rendering. One pass through the data. */
struct event_layout event_measure(const struct event *e);

/* Writes the rendering to out, layout.size bytes; `layout` as event_measure() returned it for this
 * event. */
void event_write(char *out, const struct event *e, struct event_layout layout);

#endif
