/*
 * feed.h - the head of a stream over HTTP, and the answer that has an SSE client come back.
 */
#ifndef SSE_LIB_SERVE_FEED_H
#define SSE_LIB_SERVE_FEED_H

#include "lib/serve/server.h"

/* Refuses the current request with 503, as the server ends. */
void serve_refuse_draining(struct server *s, struct conn *c);

/* Appends the head of a stream, with the id at which it begins unless that is NULL. It has no
 * length and no chunks: it ends with the connection. */
void feed_head(struct server *s, enum conn_transport transport, const struct cursor *id);

/* Returns --retry in ms, plus or minus a quarter at random, so that clients that lost their
 * connections at once do not return at once. */
uint64_t feed_retry_ms(const struct config *config, struct moment *clock);

/* Appends the beginning of an SSE stream, with its id unless that is NULL: a block without data,
 * which fires no event; with ?hello the event "hello" as well; with ?hello=only that event alone,
 * for libraries that make a message of a block without data. */
void feed_open(struct server *s, const struct cursor *from);

/* Appends the last answer to an SSE client that has to come back later: an empty stream, as
 * EventSource gives up for good on a 503. */
void feed_turn_away(struct server *s);

/* For the table of transports (transport.h). */
void sse_come_back(struct server *s, struct conn *c);

#endif
