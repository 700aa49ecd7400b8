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
 * is not an event, but its id counts. An id that holds a NUL is ignored, and so is a `retry` that
 * is not all digits. If the connection ends before an event's empty line, the event and its id are
 * dropped. Bytes are not checked to be UTF-8.
 *
 * MEMORY is the caller's: it must hold the data of an event and an incomplete line together. Names
 * and ids have at most EVENTSOURCE_NAME bytes.
 */
#ifndef SSE_LIB_EVENTSOURCE_H
#define SSE_LIB_EVENTSOURCE_H

#include "lib/span.h"

#define EVENTSOURCE_NAME 1024u

struct eventsource {
    struct span event; /* the name of the current event; empty: none */
    struct span data;  /* its data, lines joined by LF */
    struct span id;    /* the last id received, to reconnect with */
    uint64_t retry_ms; /* the last `retry`; 0: there was none */

    /* private */
    char *p;
    size_t cap;
    size_t have;     /* bytes of the next event's data, each line with its LF, at the front of p */
    size_t line;     /* bytes of the next line, after that data */
    bool cr;         /* the last byte was a CR: an LF belongs to it */
    bool begun;      /* a line has ended: no byte order mark can come */
    bool dispatched; /* the data at the front is that of the event returned last */
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

/* Sets it up, without an id. */
void eventsource_init(struct eventsource *es, void *memory, size_t size);

/* Sets the id to reconnect with. Returns false if it is longer than EVENTSOURCE_NAME. */
bool eventsource_set_id(struct eventsource *es, struct span id);

/* Begins a new connection; the id and the retry stay. */
void eventsource_begin(struct eventsource *es);

/* Takes bytes up to the end of an event; *took is the number taken. With EVENTSOURCE_EVENT the
 * event is in *es until the next call. */
enum eventsource_result eventsource_feed(struct eventsource *es, struct span bytes, size_t *took);

#endif
