/*
 * http_stream.h - streams over HTTP: Server-Sent Events, and a JSON object a line.
 */
#ifndef SSE_LIB_SERVE_HTTP_STREAM_H
#define SSE_LIB_SERVE_HTTP_STREAM_H

#include "lib/serve/server.h"

/* Handles GET or HEAD of a topic as a stream, by TRANSPORT_EVENTS or TRANSPORT_LINES; `names` is
 * the decoded path. */
void serve_stream(struct server *s, struct conn *c, struct span names,
                  enum conn_transport transport);

/* For the table of transports (transport.h). */
struct gap;
void sse_begin(struct server *s, struct conn *c, const struct cursor *from);
void sse_gap(struct server *s, struct conn *c, const struct gap *gap);
void sse_ended(struct server *s, struct conn *c, struct span topic, uint64_t n);
void sse_heartbeat(struct server *s, struct conn *c, bool old);
void sse_expired(struct server *s, struct conn *c);
void sse_away(struct server *s, struct conn *c);
void lines_begin(struct server *s, struct conn *c, const struct cursor *from);
void lines_gap(struct server *s, struct conn *c, const struct gap *gap);
void lines_ended(struct server *s, struct conn *c, struct span topic, uint64_t n);
void stream_over(struct server *s, struct conn *c);
void lines_heartbeat(struct server *s, struct conn *c, bool old);
void lines_expired(struct server *s, struct conn *c);
void lines_away(struct server *s, struct conn *c);

#endif
