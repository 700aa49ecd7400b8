/*
 * poll.h - short and long polling.
 */
#ifndef SSE_LIB_SERVE_POLL_H
#define SSE_LIB_SERVE_POLL_H

#include "lib/serve/server.h"

/* Returns the quality, 0 to 1000, that Accept gives to its preferred form of a poll's answer. */
unsigned poll_quality(const struct exchange *ex);

/* Handles GET or HEAD of a topic as a poll; `names` is the decoded path. */
void serve_poll(struct server *s, struct conn *c, struct span names);

/* Makes the current request, a poll, wait as `transport` on entry `id`, for up to `ms`. */
void poll_wait_begin(struct server *s, struct conn *c, uint32_t id, enum conn_transport transport,
                     uint64_t ms);

/* Ends the wait: the poll is the current request again; with an access log, its topic is the
 * path. */
void poll_wait_end(const struct config *config, const struct broker *broker,
                   struct clients *clients, struct exchange *ex, struct conn *c);

/* For the table of transports (transport.h). */
void poll_wake(struct server *s, struct conn *c, bool timeout);
void poll_end(struct server *s, struct conn *c);

#endif
