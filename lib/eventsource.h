/*
 * eventsource.h - reads a stream of Server-Sent Events, as a client does (HTML standard, section
 * 9.2.6), however its bytes come.
 *
 *     struct eventsource es;
 *     eventsource_init(&es, memory, size);
 *     eventsource_begin(&es);                       each time it has connected
 *     while (bytes.n > 0 && ...) {
 *         size_t took;
 *         if (eventsource_feed(&es, bytes, &took) == EVENTSOURCE_EVENT)
 *             ... es.event, es.data, es.id: an event, until the next call
 *         bytes = span_from(bytes, took);
 *     }
 *
 * Lines end in CRLF, LF or CR; a byte order mark at the very start is dropped; a block without data
 * is no event, but its id counts. An id that holds a NUL is ignored, and so is a `retry` that is
 * not all digits. An event that is not ended by an empty line when the connection ends is dropped,
 * its id with it. Bytes are not checked to be UTF-8.
 *
 * MEMORY is the caller's: the data of an event and a line that is not whole yet have to fit into it
 * together. Names and ids have at most EVENTSOURCE_NAME bytes.
 */
#ifndef SSE_LIB_EVENTSOURCE_H
#define SSE_LIB_EVENTSOURCE_H

#include "lib/span.h"

#define EVENTSOURCE_NAME 1024u

struct eventsource {
    struct span event; /* the name of the event at hand; empty: none */
    struct span data;  /* its data, lines joined by LF */
    struct span id;    /* the last id there was; what to come back with */
    uint64_t retry_ms; /* the last `retry`; 0: there was none */

    /* private */
    char *p;
    size_t cap;
    size_t have; /* of the data of the event that comes, each line with its LF, at the front of p */
    size_t line; /* bytes of the line that comes, behind it */
    bool cr;     /* the last byte was a CR: an LF belongs to it */
    bool begun;  /* a line has ended: no byte order mark can come */
    bool dispatched; /* the data at the front is that of the event that was given */
    size_t name_n, id_n, last_n;
    char name[EVENTSOURCE_NAME], next_id[EVENTSOURCE_NAME], last_id[EVENTSOURCE_NAME];
};

enum eventsource_result {
    EVENTSOURCE_MORE = 0,
    EVENTSOURCE_EVENT = 1,
    EVENTSOURCE_LARGE =
        -1, /* an event, a name or an id is larger than there is room for: the stream
                             * is not to be read on */
};

/* Sets it up, with no id. */
void eventsource_init(struct eventsource *es, void *memory, size_t size);

/* Sets the id to come back with. False: it is too long. */
bool eventsource_set_id(struct eventsource *es, struct span id);

/* A new connection begins; the id and the retry stay. */
void eventsource_begin(struct eventsource *es);

/* Takes bytes up to the end of an event; *took says how many. */
enum eventsource_result eventsource_feed(struct eventsource *es, struct span bytes, size_t *took);

#endif
