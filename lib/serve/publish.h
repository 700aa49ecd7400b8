/*
 * publish.h - publishing by POST and PUT: bodies at once or in parts.
 */
#ifndef SSE_LIB_SERVE_PUBLISH_H
#define SSE_LIB_SERVE_PUBLISH_H

#include "lib/serve/server.h"

/* Returns true if a connection in BODY, inside a message, is slower than --request-timeout and
 * --min-rate allow; call serve_refuse_timeout() then. */
bool body_message_late(const struct config *config, const struct clients *clients,
                       const struct moment *clock, const struct conn *c);

/* Ends a body whose message takes more room than its share. */
void body_end_over_share(struct server *s, struct conn *c);

/* Handles POST or PUT to a topic. rest[0..len) are the bytes after the head; returns how many of
 * them belong to the body and were handled. */
size_t serve_publish(struct server *s, struct conn *c, struct span topic, const char *rest,
                     size_t len);

/* Returns true if the body of the request is a batch whose lines may name their topics (NDJSON). */
bool body_names_topics(const struct exchange *ex);

/* Handles bytes of a body; returns how many belong to it and were handled. */
size_t body_input(struct server *s, struct conn *c, char *buf, size_t len);

/* Answers 408: the body was too slow. */
void body_refuse_timeout(struct server *s, struct conn *c);

#endif
