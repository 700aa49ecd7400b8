/*
 * way.h - the table of ways: how a subscriber gets messages, and what is particular to each.
 *
 *               streams over HTTP     WebSocket             polls                  /-/ready
 *   rows        sse, ndjson           websocket, w. json    JSON, NDJSON, text     ready
 *   state       CONN_STREAM           CONN_SOCKET           CONN_WAIT, if it does  CONN_WAIT
 *   file        subscribe.c           socket.c              poll.c                 ready.c
 *
 * What all ways have in common is in subscriber.c, which calls the row of a connection where they
 * differ. Another way is another row, and a file. Not here: how a record is rendered (render.h), as
 * that is done for many subscribers at once.
 */
#ifndef SSE_LIB_SERVE_WAY_H
#define SSE_LIB_SERVE_WAY_H

#include "lib/broker/render.h"
#include "lib/serve/conn.h"

struct server;
struct gap;
struct cursor;

struct way {
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

    /* Appends that a topic ended before it came, by the record of that n; NULL: it can't be told. */
    void (*ended)(struct server *s, struct conn *c, struct span topic, uint64_t n);

    /* Ends what it has: all its topics have ended, of which it has been told. */
    void (*over)(struct server *s, struct conn *c);

    /* Ends what it has: its token has expired; the server stops. */
    void (*expired)(struct server *s, struct conn *c);
    void (*away)(struct server *s, struct conn *c);

    /* WAIT: as serve_wake(). */
    void (*wake)(struct server *s, struct conn *c, bool timeout);

    /* SOCKET: takes a message of the client. */
    void (*message)(struct server *s, struct conn *c, struct span data, bool binary);

    /* Answers a new client so that it comes back, and for the last time; NULL: it is refused
     * instead. */
    void (*come_back)(struct server *s, struct conn *c);
};

/* By enum conn_way. */
extern const struct way ways[WAYS];

/* Returns the form in which a way of getting messages has them. */
static inline enum form serve_form(enum conn_way way)
{
    _Static_assert((int)WAY_EVENTS == FORM_EVENTS && (int)WAY_LINES == FORM_LINES &&
                       (int)WAY_FRAMES == FORM_FRAMES && (int)WAY_OBJECTS == FORM_OBJECTS &&
                       (int)WAY_POLL_JSON == FORM_LIST && (int)WAY_POLL_LINES == FORM_LIST_LINES &&
                       (int)WAY_POLL_TEXT == FORM_TEXT && (int)WAY_READY == FORM_NONE,
                   "they are numbered alike");
    return (enum form)way;
}

/* The row of a subscriber. */
static inline const struct way *way_of(const struct conn *c)
{
    return &ways[c->way];
}

#endif
