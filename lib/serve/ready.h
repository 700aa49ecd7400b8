/*
 * ready.h - /-/ready: checks whether messages go through.
 */
#ifndef SSE_LIB_SERVE_READY_H
#define SSE_LIB_SERVE_READY_H

#include "lib/serve/server.h"

/* Call when a store was opened: finds the inside topic, if the store has it. */
void ready_recover(const struct config *config, const struct broker *broker, struct ready *ready);

/* Handles GET or HEAD of /-/ready. */
void serve_ready(struct server *s, struct conn *c);

/* The broker's callback: a topic is about to be freed. */
void ready_topic_gone(void *server, uint32_t topic);

/* For the table of transports (transport.h). */
void ready_wake(struct server *s, struct conn *c, bool timeout);
void ready_end(struct server *s, struct conn *c);

#endif
