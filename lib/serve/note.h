/*
 * note.h - what the log tells of requests: refusals, and each answer where --access-log is on.
 */
#ifndef SSE_LIB_SERVE_NOTE_H
#define SSE_LIB_SERVE_NOTE_H

#include "lib/serve/log.h"
#include "lib/serve/server.h"

/* Says how many refusals were not logged, once their second is over; at once, if the server
 * ends. */
void serve_log_more(const struct moment *clock, struct log *log);
static inline void serve_log_rest(const struct moment *clock, struct log *log, bool end)
{
    if (end || log->refusals.second != clock->now / 1000)
        serve_log_more(clock, log);
}

/* Writes into the access log that a connection that was subscribed ends, and why. */
void serve_log_ended(const struct broker *broker, const struct clients *clients,
                     const struct log *log, const struct conn *c, const char *reason);
static inline void serve_log_end(const struct config *config, const struct broker *broker,
                                 const struct clients *clients, const struct log *log,
                                 const struct conn *c, const char *reason)
{
    if (config->opt.access_log && c->link.topic != 0)
        serve_log_ended(broker, clients, log, c, reason);
}

/* The name of a method. */
const char *serve_method_name(enum http_method method);

/* Writes an answer's line in the access log; `bytes` of body, of a stream 0. */
void serve_log_answered(struct server *s, int status, uint64_t bytes);
static inline void serve_log_answer(struct server *s, int status, uint64_t bytes)
{
    if (s->config.opt.access_log)
        serve_log_answered(s, status, bytes);
}

/* Writes a refusal's line in the log, unless there have been too many in this second. */
void serve_log_refusal(struct server *s, int status, struct span detail);

#endif
