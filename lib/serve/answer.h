/*
 * answer.h - writes answers: heads, bodies, refusals, and which limit caused one.
 */
#ifndef SSE_LIB_SERVE_ANSWER_H
#define SSE_LIB_SERVE_ANSWER_H

#include "lib/serve/quote.h"
#include "lib/serve/server.h"

/* The field line of an answer to one who has had all of topics that have ended. */
#define SERVE_ENDED "Ended: true\r\n"

/* Frees an entry of the table of topics if nobody needs it. */
static inline void serve_release(struct broker *broker, uint32_t id)
{
    if (topic_group(broker->topics, id)->subscribers == 0) /* most entries are still needed */
        broker_release(broker, id);
}

/* Returns the limit by which a topic or a set was just refused, in words for a message, which may
 * be built in out; counts it. */
const char *serve_count_topic_limit(const struct config *config, const struct broker *broker,
                                    struct stat_counters *stat, char out[QUOTE_MAX]);

/* Return the limit by which a buffer was just refused, --max-buffers or the share of it, in words
 * for a message; the second counts it as well. */
const char *serve_buffer_limit(const struct clients *clients);
const char *serve_count_buffer_limit(struct clients *clients, struct stat_counters *stat);

/* Appends the status line and the fields that every answer has, and counts and logs refusals. */
void serve_begin_answer(const struct config *config, const struct moment *clock,
                        struct stat_counters *stat, struct exchange *ex, int status);

/* The connection's last answer is written, or will be: drops whatever the peer still sends. */
void serve_linger(struct clients *clients, struct conn *c);

/* Answers the current request. `fields` are further field lines; a type of NULL means no body. The
 * connection then takes another request or lingers, as ex.ask says. */
void serve_answer(struct server *s, struct conn *c, int status, struct span fields,
                  const char *type, struct span body);

/* Refuses the current request with problem+json (RFC 9457). `fields` are further field lines, or
 * NULL; the detail is the strings that follow up to a NULL. Ends the connection if the request has
 * a body that was not read. */
void serve_refuse(struct server *s, struct conn *c, int status, const char *fields, ...) TEXT_LIST;

/* Returns true if all names that a path selects, or the name that is published to, are among those
 * of --topic; else it has refused the request. */
bool serve_check_declared_names(struct server *s, struct conn *c, struct span names);
static inline bool serve_check_declared(struct server *s, struct conn *c, struct span names)
{
    return s->config.opt.topic.n == 0 || serve_check_declared_names(s, c, names);
}

/* Returns true if all these names are among those of --topic. */
bool names_declared(const struct config *config, struct span names);

/* Answers the current request with a body in parts: appends `front`, its beginning; the caller has
 * `more` bytes follow `out`. */
void serve_answer_front(struct server *s, struct conn *c, struct span fields, const char *type,
                        struct span front, size_t more);

/* Answers a HEAD whose body was not rendered, without a length. */
void serve_answer_without_body(struct server *s, struct conn *c, struct span fields,
                               const char *type);

/* Answers the current request with the bytes of an earlier answer, `body` of which are its body. */
void serve_answer_copy(struct server *s, struct conn *c, int status, struct span answer,
                       size_t body);

/* Answers the current request with the first `size` bytes of s->ex.page. */
void serve_answer_page(struct server *s, struct conn *c, const char *type, size_t size);

/* Refuses the current request with 503, as a buffer was just refused, and counts that; `where`
 * begins the detail. */
void serve_refuse_buffer_limit(struct server *s, struct conn *c, const char *where);

/* Appends a 200 as the last answer of a connection that has no slot. */
void serve_answer_last(struct server *s, const char *type, struct span body);

/* Appends a 503 as the connection's last answer. */
void serve_refuse_last(struct server *s, const char *detail);

#endif
