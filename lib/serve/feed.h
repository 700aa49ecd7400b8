/*
 * feed.h - the answer that begins a stream over HTTP, and the one that turns an SSE client away.
 */
#ifndef SSE_LIB_SERVE_FEED_H
#define SSE_LIB_SERVE_FEED_H

#include "lib/serve/server.h"

/* Refuses the request at hand with 503, as the server ends. */
void serve_refuse_draining(struct server *s, struct conn *c);

/* Appends the answer head of a stream, with where it begins unless that is NULL. Its end is the
 * close: no length, no chunks. */
void feed_head(struct server *s, enum conn_transport transport, const struct cursor *id);

/* Returns what --retry says, give or take a quarter, so that those who lost their connections at
 * once don't come back at once. */
uint64_t feed_retry_ms(const struct config *config, struct moment *clock);

/* Appends an answer that turns an SSE client away so that it comes back: EventSource gives up for
 * good on a 503. It is the connection's last. */
void feed_turn_away(struct server *s);

/* For the table of transports (transport.h). */
void sse_come_back(struct server *s, struct conn *c);

#endif
