/*
 * transport.h - the table of transports: how a subscriber gets messages, one row per transport.
 *
 *               streams over HTTP     WebSocket             polls                  /-/ready
 *   rows        sse, ndjson           websocket, w. json    JSON, NDJSON, text     ready
 *   state       CONN_STREAM           CONN_SOCKET           CONN_WAIT, if it does  CONN_WAIT
 *   file        http_stream.c         socket.c              poll.c                 ready.c
 *
 * What all transports have in common is in subscriber.c, which calls the row of a connection where
 * they differ. Another transport is another row, and a file. Not here: how a record is rendered
 * (render.h), as that is done for many subscribers at once.
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
    enum conn_kind kind; /* as what it is counted while it is subscribed */
    const char *type;    /* media type of what it gets; NULL: it has none */
    struct span line;    /* STREAM: that as a field line, which begins each */
    bool objects;        /* each message is a JSON object with its id */

    /* Appends what the client is told first, from where it begins (NULL: from nowhere that has an
     * id); `hello`: it asked to be told so. */
    void (*begin)(struct server *s, struct conn *c, const struct cursor *from, bool hello);

    /* Tells a subscriber of a gap. */
    void (*gap)(struct server *s, struct conn *c, const struct gap *gap);

    /* Appends a sign of life; `old`: it is to have an id as well, as its last one is old. */
    void (*heartbeat)(struct server *s, struct conn *c, bool old);

    /* Ends what it has: its token has expired; the server stops. */
    void (*expired)(struct server *s, struct conn *c);
    void (*away)(struct server *s, struct conn *c);

    /* WAIT: as subscriber_wake(). */
    void (*wake)(struct server *s, struct conn *c, bool timeout);

    /* SOCKET: takes a message of the client. */
    void (*message)(struct server *s, struct conn *c, struct span data, bool binary);

    /* Answers a new client so that it comes back, and for the last time; NULL: it is refused
     * instead. */
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

/* The row of a subscriber. */
static inline const struct transport *transport_of(const struct conn *c)
{
    return &transports[c->transport];
}

#endif
