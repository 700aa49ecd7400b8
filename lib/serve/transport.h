/*
 * transport.h - the table of transports: how a subscriber gets messages, one row per transport.
 *
 *               streams over HTTP     WebSocket             polls                  /-/ready
 *   rows        sse, ndjson           websocket, w. json    JSON, NDJSON, text     ready
 *   state       CONN_STREAM           CONN_SOCKET           CONN_WAIT, if it does  CONN_WAIT
 *   file        http_stream.c         socket.c              poll.c                 ready.c
 *
 * What all transports have in common is in subscriber.c, which calls the row of a connection where
 * they differ. A new transport is a new row and a file. Rendering is not here (render.h), as it is
 * done for many subscribers at once.
 */
#ifndef SSE_LIB_SERVE_TRANSPORT_H
#define SSE_LIB_SERVE_TRANSPORT_H

#include "lib/broker/render.h"
#include "lib/serve/conn.h"

struct server;
struct gap;
struct cursor;

struct transport {
    const char *name;    /* in the access log */
    enum conn_kind kind; /* the kind it is counted as while subscribed */
    const char *type;    /* the media type of a poll's answer; NULL: it has none */
    struct span line;    /* STREAM: Content-Type as a field line */
    bool objects;        /* each message is a JSON object with its id */

    /* Appends the beginning, from the id `from` (NULL: none). */
    void (*begin)(struct server *s, struct conn *c, const struct cursor *from);

    /* Tells a subscriber of a gap. */
    void (*gap)(struct server *s, struct conn *c, const struct gap *gap);

    /* Appends a heartbeat; `old`: with an id, as its last one is old. */
    void (*heartbeat)(struct server *s, struct conn *c, bool old);

    /* Appends that a topic ended before it came, by the record of that n; NULL: it can't be told.
     * */
    void (*ended)(struct server *s, struct conn *c, struct span topic, uint64_t n);

    /* Ends what it has: all its topics have ended, of which it has been told. */
    void (*over)(struct server *s, struct conn *c);

    /* End the subscription: its token has expired; the server stops. */
    void (*expired)(struct server *s, struct conn *c);
    void (*away)(struct server *s, struct conn *c);

    /* WAIT: as subscriber_wake(). */
    void (*wake)(struct server *s, struct conn *c, bool timeout);

    /* SOCKET: handles a message of the client. */
    void (*message)(struct server *s, struct conn *c, struct span data, bool binary);

    /* Answers a new client for the last time, so that it comes back; NULL: it is refused. */
    void (*come_back)(struct server *s, struct conn *c);
};

/* By enum conn_transport. */
extern const struct transport transports[TRANSPORTS];

/* Returns the form in which a transport carries messages. */
static inline enum form transport_form(enum conn_transport transport)
{
    _Static_assert((int)TRANSPORT_EVENTS == FORM_EVENTS && (int)TRANSPORT_LINES == FORM_LINES &&
                       (int)TRANSPORT_FRAMES == FORM_FRAMES &&
                       (int)TRANSPORT_OBJECTS == FORM_OBJECTS &&
                       (int)TRANSPORT_POLL_JSON == FORM_LIST &&
                       (int)TRANSPORT_POLL_LINES == FORM_LIST_LINES &&
                       (int)TRANSPORT_POLL_TEXT == FORM_TEXT && (int)TRANSPORT_READY == FORM_NONE,
                   "they are numbered alike");
    return (enum form)transport;
}

/* Returns the row of a subscriber. */
static inline const struct transport *transport_of(const struct conn *c)
{
    return &transports[c->transport];
}

#endif
