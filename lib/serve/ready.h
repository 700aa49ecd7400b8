/*
 * ready.h - /-/ready: whether messages go through.
 */
#ifndef SSE_LIB_SERVE_READY_H
#define SSE_LIB_SERVE_READY_H

#include "lib/serve/server.h"

/* A store has been opened, which may hold the inside topic. */
void ready_recover(const struct config *config, const struct broker *broker, struct ready *ready);

/* GET or HEAD of /-/ready. */
void serve_ready(struct server *s, struct conn *c);

/* A topic is about to be freed, as the broker tells. */
void ready_topic_gone(void *server, uint32_t topic);

/* For the table of transports (transport.h). */
void ready_wake(struct server *s, struct conn *c, bool timeout);
void ready_end(struct server *s, struct conn *c);

#endif
