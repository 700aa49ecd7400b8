/*
 * answer.h - answers: their heads, refusals, and by which limit something was refused.
 */
#ifndef SSE_LIB_SERVE_ANSWER_H
#define SSE_LIB_SERVE_ANSWER_H

#include "lib/serve/quote.h"
#include "lib/serve/server.h"

/* Frees an entry of the table of topics if nobody needs it any more. */
static inline void serve_release(struct broker *broker, uint32_t id)
{
    if (topic_group(broker->topics, id)->subscribers == 0) /* it is needed, as most often */
        broker_release(broker, id);
}

/* By which limit a topic or a set was refused just now, for a message, which may be put together in
 * out; counts that as well. */
const char *serve_count_topic_limit(const struct config *config, const struct broker *broker,
                                    struct stat_counters *stat, char out[QUOTE_MAX]);

/* By which limit a buffer was refused just now, for a message: --max-buffers, or the share of it;
 * counts that as well. */
const char *serve_buffer_limit(const struct clients *clients);
const char *serve_count_buffer_limit(struct clients *clients, struct stat_counters *stat);

/* Appends the front of every answer. */
void serve_begin_answer(const struct config *config, const struct moment *clock,
                        struct stat_counters *stat, struct exchange *ex, int status);

/* The last answer of a connection is out, or will be: what the peer still sends is dropped. */
void serve_linger(struct clients *clients, struct conn *c);

/* Answers the request at hand. `fields` are further field lines; a type of NULL means no body. The
 * connection goes on, or lingers. */
void serve_answer(struct server *s, struct conn *c, int status, struct span fields,
                  const char *type, struct span body);

/* Refuses the request at hand with problem+json (RFC 9457); `fields` as text, or NULL; the detail
 * is put together from the texts that follow up to a NULL. A request whose body has not been read
 * ends the connection. */
void serve_refuse(struct server *s, struct conn *c, int status, const char *fields, ...) TEXT_LIST;

/* Are all the names that a path selects, or the name that is published to, among those of --topic?
 * Else the request has been refused. */
bool serve_check_declared_names(struct server *s, struct conn *c, struct span names);
static inline bool serve_check_declared(struct server *s, struct conn *c, struct span names)
{
    return s->config.opt.topic.n == 0 || serve_check_declared_names(s, c, names);
}

/* Returns true if all these names are among those of --topic. */
bool names_declared(const struct config *config, struct span names);

/* Answers the request at hand with a longer body: the front of it is appended, and `more` bytes
 * will follow behind `out`. */
void serve_answer_front(struct server *s, struct conn *c, struct span fields, const char *type,
                        struct span front, size_t more);

/* Answers a HEAD of what has not been rendered: how long it would be is not said. */
void serve_answer_without_body(struct server *s, struct conn *c, struct span fields,
                               const char *type);

/* Answers the request at hand as another was, with the same bytes, `body` of which are of its body.
 * */
void serve_answer_copy(struct server *s, struct conn *c, int status, struct span answer,
                       size_t body);

/* Answers the request at hand with what is written in s->ex.page. */
void serve_answer_page(struct server *s, struct conn *c, const char *type, size_t size);

/* Refuses with 503, as a buffer was refused just now, and counts that; `where` stands in front. */
void serve_refuse_buffer_limit(struct server *s, struct conn *c, const char *where);

/* Appends a 200 that is the last of a connection without a slot. */
void serve_answer_last(struct server *s, const char *type, struct span body);

/* Appends a 503 that is the connection's last. */
void serve_refuse_last(struct server *s, const char *detail);

#endif
