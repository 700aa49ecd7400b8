/*
 * timeouts.h - what time brings to a connection, when the sweep looks at it.
 */
#ifndef SSE_LIB_SERVE_TIMEOUTS_H
#define SSE_LIB_SERVE_TIMEOUTS_H

#include "lib/serve/server.h"

/* Refuses what a connection has published and was not answered, as the store could not be synced:
 * 503 takes the place of its answers, or its WebSocket is closed. */
void serve_refuse_unsynced(struct server *s, struct conn *c);

/* Counts a subscriber in *lag that does not take what there is for it. */
void count_lag(const struct broker *broker, const struct conn *c, struct lag *lag);

/* Is the time up that a message of a body or of a WebSocket has, or that a subscriber's token gave
 * it; or has such a message more room than its share, as others have come? Then it has been told
 * so, and what it has is ended. */
bool timeouts_end_stalled(struct server *s, struct conn *c);

/* Does a client take what is kept for it at less than --write-timeout and --min-rate ask for, or
 * has it more of the buffers than its share? Then it is counted, and this is the reason to end it;
 * else NULL. */
const char *timeouts_slow_reader(const struct config *config, struct clients *clients,
                                 const struct moment *clock, struct stat_counters *stat,
                                 struct conn *c);

/* What is to be done about a connection whose time is up (CONN_DUE_REQUEST, _IDLE, _WRITE, _LINGER,
 * _PONG), which is counted: the reason to end it, or NULL, as its request has been answered or is
 * one that may take its time. */
const char *timeouts_apply(struct server *s, struct conn *c, enum conn_due due);

#endif
