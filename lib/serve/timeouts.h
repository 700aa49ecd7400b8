/*
 * timeouts.h - timeouts and other limits that the sweep checks for each connection.
 */
#ifndef SSE_LIB_SERVE_TIMEOUTS_H
#define SSE_LIB_SERVE_TIMEOUTS_H

#include "lib/serve/server.h"

/* Refuses the unanswered messages of a connection, as the store could not be synced: 503 replaces
 * its answers, or its WebSocket is closed. */
void serve_refuse_unsynced(struct server *s, struct conn *c);

/* Counts a subscriber in *lag if its socket is full. */
void count_lag(const struct broker *broker, const struct conn *c, struct lag *lag);

/* Ends a connection whose body or WebSocket message has stalled or takes more room than its share,
 * or whose token has expired. Returns true if it did; the client was told why. */
bool timeouts_end_stalled(struct server *s, struct conn *c);

/* Returns why a client must be closed that takes its answers more slowly than --write-timeout and
 * --min-rate allow, or that has more of the buffers than its share, and counts it; NULL if it is
 * neither. */
const char *timeouts_slow_reader(const struct config *config, struct clients *clients,
                                 const struct moment *clock, struct stat_counters *stat,
                                 struct conn *c);

/* Acts on a connection whose time is up (CONN_DUE_REQUEST, _IDLE, _WRITE, _LINGER, _PONG), and
 * counts it. Returns the reason to close it; NULL if its request was answered, or may take its
 * time. */
const char *timeouts_apply(struct server *s, struct conn *c, enum conn_due due);

#endif
