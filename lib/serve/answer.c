/*
 * answer.c - writes answers: heads, bodies, refusals.
 */
#include "lib/serve/answer.h"
#include "lib/cors.h"
#include "lib/problem.h"
#include "lib/serve/access.h"
#include "lib/serve/access_log.h"
#include "lib/serve/conn.h"
#include "lib/serve/pass.h"
#include "lib/serve/quote.h"

#include <assert.h>
#include <stdarg.h>

/* ---- topics that come and go
 * ------------------------------------------------------------------ */

/* ---- room ------------------------------------------------------------------------------------ */

const char *serve_count_topic_limit(const struct config *config, const struct broker *broker,
                                    struct stat_counters *stat, char out[QUOTE_MAX])
{
    switch (broker->topics->full) {
    case TOPIC_FULL_EDGES:
        stat->limit_topics++;
        return "clients list as many names and wildcards as --max-topics has room for";
    case TOPIC_FULL_SETS:
        stat->limit_sets++;
        return "there is no room for more lists of names and wildcards (--max-sets)";
    case TOPIC_FULL_SHARE:
        stat->limit_share++;
        return "these names and wildcards take more than a client's share of what is free "
               "(--max-share)";
    case TOPIC_FULL_NOT:
    case TOPIC_FULL_TOPICS:
        break;
    }
    struct text t = text_for_string(out, QUOTE_MAX);
    stat->limit_topics++;
    text_str(&t, "there are as many topics as may be, ");
    text_u64(&t, config->opt.max_topics);
    text_str(&t, " (--max-topics)");
    return text_string(&t);
}

const char *serve_buffer_limit(const struct clients *clients)
{
    return clients->conns.over_share ? "no room: a client's share of --max-buffers (--max-share)"
                                     : "no room: --max-buffers";
}

const char *serve_count_buffer_limit(struct clients *clients, struct stat_counters *stat)
{
    *(clients->conns.over_share ? &stat->limit_share : &stat->limit_buffers) += 1;
    return serve_buffer_limit(clients);
}

/* ---- answers --------------------------------------------------------------------------------- */

static inline void head_write(const struct config *config, const struct moment *clock,
                              struct stat_counters *stat, struct exchange *ex, int status)
{
    struct text *t = &ex->out;
    http_status(t, status);
    text_str(t, "Date: ");
    text_add(t, (struct span){clock->date, TEXT_HTTP_DATE});
    text_str(t, "\r\n");
    cors_write(t, config->opt.cors.item, config->opt.cors.n, ex->ask.cors);
    if (ex->ask.strange)
        query_tell(t, &ex->query);
    stat->refused += status >= 400;
}

void serve_begin_answer(const struct config *config, const struct moment *clock,
                        struct stat_counters *stat, struct exchange *ex, int status)
{
    head_write(config, clock, stat, ex, status);
}

void serve_linger(struct clients *clients, struct conn *c)
{
    if (c->state == CONN_BODY)
        pass_drop_scopes(clients, c);
    conn_in_free(&clients->conns, c);
    c->flags |= CONN_CLOSE;
    c->linger.dropped = 0;
    conn_go(&clients->conns, c, CONN_LINGER);
}

/* The size of a body that was not rendered, to a HEAD. */
#define SIZE_UNKNOWN SIZE_MAX

/* Appends an answer to `out`, as serve_answer() takes it; `more` bytes of its body will follow.
 * Caches must not keep a body, unless `fields` say how (`cached`). */
static void answer_write(struct server *s, int status, struct span fields, bool cached,
                         const char *type, struct span body, size_t more)
{
    struct text *t = &s->ex.out;
    head_write(&s->config, &s->clock, &s->stat, &s->ex, status);
    access_log_answer(s, status, type != NULL && s->ex.ask.method != HTTP_HEAD ? body.n + more : 0);
    text_add(t, fields);
    if (type != NULL) {
        if (!cached)
            text_str(t, "Cache-Control: no-store\r\n");
        text_str(t, "Content-Type: ");
        text_str(t, type);
        if (more != SIZE_UNKNOWN) {
            text_str(t, "\r\nContent-Length: ");
            text_u64(t, body.n + more);
        }
        text_str(t, "\r\n");
    }
    if (!s->ex.ask.keep_alive)
        text_str(t, "Connection: close\r\n");
    else if (s->ex.ask.minor == 0)
        text_str(t, "Connection: keep-alive\r\n");
    text_str(t, "\r\n");
    if (type != NULL && s->ex.ask.method != HTTP_HEAD)
        text_add(t, body);
    assert(!t->full);
}

/* Moves the connection to its state after an answer. */
static void answered(struct clients *clients, const struct exchange *ex, struct conn *c)
{
    if (!ex->ask.keep_alive) {
        serve_linger(clients, c);
    } else if (c->state == CONN_BODY) {
        pass_drop_scopes(clients, c);
        conn_buffer_free(&clients->conns, &c->in);
        conn_go(&clients->conns, c, CONN_HEAD);
    }
}

void serve_answer(struct server *s, struct conn *c, int status, struct span fields,
                  const char *type, struct span body)
{
    answer_write(s, status, fields, false, type, body, 0);
    answered(&s->clients, &s->ex, c);
}

void serve_answer_front(struct server *s, struct conn *c, struct span fields, const char *type,
                        struct span front, size_t more)
{
    answer_write(s, 200, fields, true, type, front, more);
    answered(&s->clients, &s->ex, c);
}

void serve_answer_without_body(struct server *s, struct conn *c, struct span fields,
                               const char *type)
{
    assert(s->ex.ask.method == HTTP_HEAD);
    answer_write(s, 200, fields, true, type, SPAN(""), SIZE_UNKNOWN);
    answered(&s->clients, &s->ex, c);
}

void serve_answer_copy(struct server *s, struct conn *c, int status, struct span answer,
                       size_t body)
{
    text_add(&s->ex.out, answer);
    assert(!s->ex.out.full);
    access_log_answer(s, status, body);
    answered(&s->clients, &s->ex, c);
}

void serve_answer_page(struct server *s, struct conn *c, const char *type, size_t size)
{
    struct share *share = &s->ex.poll;
    share_clear(share);
    share_end(share, (struct span){s->ex.page, size});
    serve_answer_front(s, c, SPAN("Cache-Control: no-store\r\n"), type, SPAN(""), size);
    if (s->ex.ask.method != HTTP_HEAD) {
        s->ex.tail = share->iov;
        s->ex.tail_pieces = share->pieces;
    }
}

void serve_answer_last(struct server *s, const char *type, struct span body)
{
    s->ex.ask.keep_alive = false;
    answer_write(s, 200, (struct span){NULL, 0}, false, type, body, 0);
}

void serve_refuse_last(struct server *s, const char *detail)
{
    char bytes[512];
    struct text body = text_in(bytes, sizeof bytes);
    s->ex.ask.keep_alive = false;
    access_log_refusal(s, 503, span_of(detail));
    problem_write(&body, 503, http_reason(503), span_of(detail));
    answer_write(s, 503, SPAN("Retry-After: 5\r\n"), false, "application/problem+json",
                 text_span(&body), 0);
}

void serve_refuse(struct server *s, struct conn *c, int status, const char *fields, ...)
{
    char detail_bytes[2048], body_bytes[4096];
    struct text detail = text_in(detail_bytes, sizeof detail_bytes);
    struct text body = text_in(body_bytes, sizeof body_bytes);
    va_list ap;
    va_start(ap, fields);
    text_list(&detail, ap);
    va_end(ap);
    problem_write(&body, status, http_reason(status), text_span(&detail));
    assert(!detail.full && !body.full); /* it quotes three texts at most */
    access_log_refusal(s, status, text_span(&detail));
    if (s->ex.ask.body)
        s->ex.ask.keep_alive = false;
    serve_answer(s, c, status, span_of(fields), "application/problem+json", text_span(&body));
}

void serve_refuse_buffer_limit(struct server *s, struct conn *c, const char *where)
{
    bool over = s->clients.conns.over_share;
    serve_count_buffer_limit(&s->clients, &s->stat);
    serve_refuse(s, c, 503, "Retry-After: 1\r\n", where, "no room for the request: ",
                 over ? "it takes more than a client's share (--max-share) of what is free of "
                      : "",
                 QUOTE_NUM(s->config.opt.max_buffers),
                 over ? " bytes for requests and answers (--max-buffers)"
                      : " bytes of requests and answers are in transit (--max-buffers)",
                 NULL);
}

/* Returns the first name that is not among those of --topic; a null pointer if all are. */
static struct span undeclared(const struct config *config, struct span names)
{
    while (config->opt.topic.n > 0 && names.n > 0) {
        struct span part = span_cut(&names, ',');
        bool found = false;
        for (uint32_t i = 0; i < config->opt.topic.n && !found; i++)
            found = topic_overlap(config->opt.topic.item[i], part);
        if (!found)
            return part;
    }
    return (struct span){NULL, 0};
}

bool names_declared(const struct config *config, struct span names)
{
    return undeclared(config, names).p == NULL;
}

bool serve_check_declared_names(struct server *s, struct conn *c, struct span names)
{
    struct span part = undeclared(&s->config, names);
    if (part.p == NULL)
        return true;
    serve_refuse(s, c, 404, NULL, "there is no topic ", QUOTE(part),
                 ": this server has only those that --topic names", NULL);
    return false;
}
