/*
 * publish.h - publishing: bodies in one piece or in parts.
 */
#ifndef SSE_LIB_SERVE_PUBLISH_H
#define SSE_LIB_SERVE_PUBLISH_H

#include "lib/serve/server.h"

/* Has a connection in BODY, inside a message, had more time for it than --request-timeout and
 * --min-rate give? Then serve_timeout() is due. */
bool serve_body_late(const struct config *config, const struct clients *clients,
                     const struct moment *clock, const struct conn *c);

/* Ends a body whose message has more room than its share. */
void serve_body_full(struct server *s, struct conn *c);

/* POST or PUT to a topic. rest[0..len) is what came behind the head; gives how much of it was the
 * body, as far as it was handled at once. */
size_t serve_publish(struct server *s, struct conn *c, struct span topic, const char *rest,
                     size_t len);

/* Is the body of the request a batch whose lines may name their topics (NDJSON)? */
bool serve_batch_names(const struct exchange *ex);

/* Takes bytes of a body; gives how many were of it. */
size_t serve_body(struct server *s, struct conn *c, char *buf, size_t len);

/* Answers 408: a body has not come in time. */
void serve_body_timeout(struct server *s, struct conn *c);

#endif
