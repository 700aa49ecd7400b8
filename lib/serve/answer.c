/*
 * answer.c - answers: their heads, refusals, and what those say.
 */
#include "lib/cors.h"
#include "lib/problem.h"
#include "lib/serve/access.h"
#include "lib/utf8.h"

#include <assert.h>
#include <stdarg.h>

/* ---- texts for messages ---------------------------------------------------------------------- */

const char *serve_quote(struct server *s, struct span text)
{
    char *p = s->quoted[++s->quotes % 8];
    size_t most = sizeof s->quoted[0] - 1;
    size_t n = text.n < most ? text.n : most;
    while (n < text.n && n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
        n--; /* not inside a character */
    if (n > 0)
        memcpy(p, text.p, n);
    p[n] = '\0';
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)p[i] < ' ' || p[i] == 0x7f)
            p[i] = '?';
    for (size_t i = 0; (i += utf8_valid((struct span){p + i, n - i})) < n;)
        p[i] = '?';
    return p;
}

const char *serve_num(struct server *s, uint64_t v)
{
    char digits[20];
    struct text t = text_in(digits, sizeof digits);
    text_u64(&t, v);
    return serve_quote(s, text_span(&t));
}

const char *serve_byte(struct server *s, char byte)
{
    const unsigned b = (unsigned char)byte;
    const char bytes[] = {'b', 'y', 't', 'e', ' ', '0', 'x', text_digit(b >> 4), text_digit(b)};
    return serve_quote(s, (struct span){bytes, sizeof bytes});
}

const char *serve_method_name(enum http_method method)
{
    static const char *const names[] = {
#define X(name) #name,
        HTTP_METHODS(X)
#undef X
    };
    return names[method];
}

/* ---- topics that come and go
 * ------------------------------------------------------------------ */

void serve_release(struct server *s, uint32_t id)
{
    broker_release(&s->broker, id);
}

/* ---- room ------------------------------------------------------------------------------------ */

const char *serve_count_topics_full(struct server *s)
{
    switch (s->topics.full) {
    case TOPIC_FULL_EDGES:
        s->stat.limit_topics++;
        return "clients list as many names and wildcards as --max-topics has room for";
    case TOPIC_FULL_SETS:
        s->stat.limit_sets++;
        return "there is no room for more lists of names and wildcards (--max-sets)";
    case TOPIC_FULL_SHARE:
        s->stat.limit_share++;
        return "these names and wildcards take more than a client's share of what is free "
               "(--max-share)";
    case TOPIC_FULL_NOT:
    case TOPIC_FULL_TOPICS:
        break;
    }
    char bytes[96];
    struct text t = text_in(bytes, sizeof bytes);
    s->stat.limit_topics++;
    text_str(&t, "there are as many topics as may be, ");
    text_u64(&t, s->opt.max_topics);
    text_str(&t, " (--max-topics)");
    return serve_quote(s, text_span(&t));
}

const char *serve_full(const struct server *s)
{
    return s->conns.over_share ? "no room: a client's share of --max-buffers (--max-share)"
                               : "no room: --max-buffers";
}

const char *serve_count_full(struct server *s)
{
    *(s->conns.over_share ? &s->stat.limit_share : &s->stat.limit_buffers) += 1;
    return serve_full(s);
}

/* ---- answers --------------------------------------------------------------------------------- */

void serve_answer_head(struct server *s, int status)
{
    struct text *t = &s->out;
    http_status(t, status);
    text_str(t, "Date: ");
    text_add(t, (struct span){s->date, TEXT_HTTP_DATE});
    text_str(t, "\r\n");
    cors_write(t, s->opt.cors.item, s->opt.cors.n, s->ask.cors);
    s->stat.refused += status >= 400;
}

void serve_answered_last(struct server *s, struct conn *c)
{
    if (c->state == CONN_BODY)
        access_drop(s, c);
    conn_in_free(&s->conns, c);
    c->flags |= CONN_CLOSE;
    c->linger.dropped = 0;
    conn_go(&s->conns, c, CONN_LINGER);
}

/* Of a body, to a HEAD: it has not been made. */
#define SIZE_UNKNOWN SIZE_MAX

/* Appends an answer to `out`, as serve_answer() takes it; `more` bytes of its body will follow. A
 * body is not to be kept by caches, unless `fields` say what of it is (`cached`). */
static void answer_write(struct server *s, int status, struct span fields, bool cached,
                         const char *type, struct span body, size_t more)
{
    struct text *t = &s->out;
    serve_answer_head(s, status);
    serve_log_answer(s, status, type != NULL && s->ask.method != HTTP_HEAD ? body.n + more : 0);
    text_add(t, fields);
    if (type != NULL) {
        text_add(t, cached ? SPAN("") : SPAN("Cache-Control: no-store\r\n"));
        text_str(t, "Content-Type: ");
        text_str(t, type);
        text_str(t, "\r\n");
        if (more != SIZE_UNKNOWN) {
            text_str(t, "Content-Length: ");
            text_u64(t, body.n + more);
            text_str(t, "\r\n");
        }
    }
    if (!s->ask.keep_alive)
        text_str(t, "Connection: close\r\n");
    else if (s->ask.minor == 0)
        text_str(t, "Connection: keep-alive\r\n");
    text_str(t, "\r\n");
    if (type != NULL && s->ask.method != HTTP_HEAD)
        text_add(t, body);
    assert(!t->full);
}

/* What an answer makes of the connection. */
static void answered(struct server *s, struct conn *c)
{
    if (!s->ask.keep_alive) {
        serve_answered_last(s, c);
    } else if (c->state == CONN_BODY) {
        access_drop(s, c);
        conn_buffer_free(&s->conns, &c->in);
        conn_go(&s->conns, c, CONN_HEAD);
    }
}

void serve_answer(struct server *s, struct conn *c, int status, struct span fields,
                  const char *type, struct span body)
{
    answer_write(s, status, fields, false, type, body, 0);
    answered(s, c);
}

void serve_answer_long(struct server *s, struct conn *c, struct span fields, const char *type,
                       struct span front, size_t more)
{
    answer_write(s, 200, fields, true, type, front, more);
    answered(s, c);
}

void serve_answer_bare(struct server *s, struct conn *c, struct span fields, const char *type)
{
    assert(s->ask.method == HTTP_HEAD);
    answer_write(s, 200, fields, true, type, SPAN(""), SIZE_UNKNOWN);
    answered(s, c);
}

void serve_answer_again(struct server *s, struct conn *c, int status, struct span answer,
                        size_t body)
{
    text_add(&s->out, answer);
    assert(!s->out.full);
    serve_log_answer(s, status, body);
    answered(s, c);
}

void serve_answer_page(struct server *s, struct conn *c, const char *type, size_t size)
{
    struct share *share = &s->poll;
    share_clear(share);
    share_end(share, (struct span){s->page, size});
    serve_answer_long(s, c, SPAN("Cache-Control: no-store\r\n"), type, SPAN(""), size);
    if (s->ask.method != HTTP_HEAD) {
        s->tail = share->iov;
        s->tail_pieces = share->pieces;
    }
}

void serve_answer_stranger(struct server *s, const char *type, struct span body)
{
    s->ask.keep_alive = false;
    answer_write(s, 200, (struct span){NULL, 0}, false, type, body, 0);
}

void serve_refuse_stranger(struct server *s, const char *detail)
{
    char bytes[512];
    struct text body = text_in(bytes, sizeof bytes);
    s->ask.keep_alive = false;
    serve_log_refusal(s, 503, span_of(detail));
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
    serve_log_refusal(s, status, text_span(&detail));
    if (s->ask.body)
        s->ask.keep_alive = false;
    serve_answer(s, c, status, span_of(fields), "application/problem+json", text_span(&body));
}

void serve_refuse_full(struct server *s, struct conn *c, const char *where)
{
    bool over = s->conns.over_share;
    serve_count_full(s);
    serve_refuse(s, c, 503, "Retry-After: 1\r\n", where, "no room for the request: ",
                 over ? "it takes more than a client's share (--max-share) of what is free of "
                      : "",
                 serve_num(s, s->opt.max_buffers),
                 over ? " bytes for requests and answers (--max-buffers)"
                      : " bytes of requests and answers are in transit (--max-buffers)",
                 NULL);
}

/* The first of the names that is not among those of --topic; a null pointer: all are. */
static struct span undeclared(const struct server *s, struct span names)
{
    while (s->opt.topic.n > 0 && names.n > 0) {
        struct span part = span_cut(&names, ',');
        bool found = false;
        for (uint32_t i = 0; i < s->opt.topic.n && !found; i++)
            found = topic_overlap(s->opt.topic.item[i], part);
        if (!found)
            return part;
    }
    return (struct span){NULL, 0};
}

bool serve_names_declared(const struct server *s, struct span names)
{
    return undeclared(s, names).p == NULL;
}

bool serve_declared(struct server *s, struct conn *c, struct span names)
{
    struct span part = undeclared(s, names);
    if (part.p == NULL)
        return true;
    serve_refuse(s, c, 404, NULL, "there is no topic ", serve_quote(s, part),
                 ": this server has only those that --topic names", NULL);
    return false;
}
