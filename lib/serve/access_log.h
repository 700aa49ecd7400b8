/*
 * access_log.h - logs requests: refusals, and with --access-log every answer.
 */
#ifndef SSE_LIB_SERVE_ACCESS_LOG_H
#define SSE_LIB_SERVE_ACCESS_LOG_H

#include "lib/serve/logger.h"
#include "lib/serve/server.h"

/* Logs how many refusals were suppressed, once their second is over; at once if the server ends. */
void access_log_write_suppressed(const struct moment *clock, struct log *log);
static inline void access_log_suppressed(const struct moment *clock, struct log *log, bool end)
{
    if (end || log->refusals.second != clock->now / 1000)
        access_log_write_suppressed(clock, log);
}

/* Logs in the access log that a subscribed connection ends, and why. */
void access_log_write_end(const struct broker *broker, const struct clients *clients,
                          const struct log *log, const struct conn *c, const char *reason);
static inline void access_log_end(const struct config *config, const struct broker *broker,
                                  const struct clients *clients, const struct log *log,
                                  const struct conn *c, const char *reason)
{
    if (config->opt.access_log && c->link.topic != 0)
        access_log_write_end(broker, clients, log, c, reason);
}

/* Returns the name of a method. */
const char *access_log_method_name(enum http_method method);

/* Logs an answer in the access log; `bytes` of body, 0 for a stream. */
void access_log_write_answer(struct server *s, int status, uint64_t bytes);
static inline void access_log_answer(struct server *s, int status, uint64_t bytes)
{
    if (s->config.opt.access_log)
        access_log_write_answer(s, status, bytes);
}

/* Logs a refusal, unless too many were logged in this second. */
void access_log_refusal(struct server *s, int status, struct span detail);

#endif
