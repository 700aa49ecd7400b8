/*
 * publish.h - publishing: bodies in one piece or in parts.
 */
#ifndef SSE_LIB_SERVE_PUBLISH_H
#define SSE_LIB_SERVE_PUBLISH_H

#include "lib/serve/server.h"

/* Has a connection in BODY, inside a message, had more time for it than --request-timeout and
 * --min-rate give? Then serve_refuse_timeout() is due. */
bool body_message_late(const struct config *config, const struct clients *clients,
                       const struct moment *clock, const struct conn *c);

/* Ends a body whose message has more room than its share. */
void body_end_over_share(struct server *s, struct conn *c);

/* POST or PUT to a topic. rest[0..len) is what came behind the head; gives how much of it was the
 * body, as far as it was handled at once. */
size_t serve_publish(struct server *s, struct conn *c, struct span topic, const char *rest,
                     size_t len);

/* Is the body of the request a batch whose lines may name their topics (NDJSON)? */
bool body_names_topics(const struct exchange *ex);

/* Takes bytes of a body; gives how many were of it. */
size_t body_input(struct server *s, struct conn *c, char *buf, size_t len);

/* Answers 408: a body has not come in time. */
void body_refuse_timeout(struct server *s, struct conn *c);

#endif
