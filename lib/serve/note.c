/*
 * note.c - what the log tells of requests: refusals, and each answer where --access-log is on.
 *
 * Of a request only its method and its path are told. A token may be in a field or in the query, so
 * neither is ever written.
 */
#include "lib/addr.h"
#include "lib/serve/pass.h"
#include "lib/serve/serve.h"
#include "lib/serve/way.h"

#define REFUSALS_MAX 10u /* lines in a second */

const char *serve_method_name(enum http_method method)
{
    static const char *const names[] = {
#define X(name) #name,
        HTTP_METHODS(X)
#undef X
    };
    return names[method];
}

/* Returns the address of a connection's peer, which it writes to out. A socket that has timed out no
 * longer knows it: then it is the one that was kept, without a port. */
static const char *peer_of(struct server *s, const struct conn *c, char out[QUOTE_MAX])
{
    char bytes[128];
    struct text t = text_in(bytes, sizeof bytes);
    if (c == NULL)
        return "unknown";
    if (s->log.peer != NULL && s->log.peer(conn_fd(&s->clients.conns, c), &t))
        return quote_text(out, text_span(&t));
    if (serve_from(s, c) == 0)
        return "unknown";
    addr_key_write(&t, serve_from(s, c));
    return quote_text(out, text_span(&t));
}

/* The same of who asks: behind a trusted proxy, whom that names. */
static const char *client_of(struct server *s, char out[QUOTE_MAX])
{
    char bytes[64];
    struct text t = text_in(bytes, sizeof bytes);
    if (s->ex.ask.via != VIA_CLIENT && !(s->config.opt.proxy_protocol && s->ex.ask.from != 0))
        return peer_of(s, s->ex.ask.conn, out);
    addr_key_write(&t, s->ex.ask.from);
    return quote_text(out, text_span(&t));
}

#define PEER(s, c) peer_of(s, c, (char[QUOTE_MAX]){0})
#define CLIENT(s)  client_of(s, (char[QUOTE_MAX]){0})

void serve_log_answer(struct server *s, int status, uint64_t bytes)
{
    const struct context *ask = &s->ex.ask;
    if (!s->config.opt.access_log)
        return;
    const char *code = QUOTE_NUM((uint64_t)status), *size = QUOTE_NUM(bytes);
    const char *ms = QUOTE_NUM(ask->conn != NULL ? (uint32_t)s->clock.now - ask->began : 0);
    const char *who = CLIENT(s), *way = ask->way != NULL ? ask->way : "none";
    if (ask->path.p != NULL)
        s->log.say(OPT_LOG_ACCESS, "request", "method", serve_method_name(ask->method), "path",
                   QUOTE(ask->path), "status", code, "bytes", size, "ms", ms, "way", way, "peer",
                   who, NULL);
    else
        s->log.say(OPT_LOG_ACCESS, "request", "status", code, "bytes", size, "ms", ms, "way", way,
                   "peer", who, NULL);
}

void serve_log_end(struct server *s, const struct conn *c, const char *reason)
{
    if (!s->config.opt.access_log || c->link.topic == 0)
        return;
    s->log.say(OPT_LOG_ACCESS, "end", "topic", QUOTE(topic_name(&s->topics, c->link.topic)), "way",
               way_of(c)->name, "reason", reason, "peer", PEER(s, c), NULL);
}

void serve_log_refusal(struct server *s, int status, struct span detail)
{
    const struct context *ask = &s->ex.ask;
    char text[1024];
    size_t n = detail.n < sizeof text - 1 ? detail.n : sizeof text - 1;
    serve_log_rest(s, false);
    if (s->log.refusals.said >= REFUSALS_MAX) {
        s->log.refusals.more++;
        return;
    }
    s->log.refusals.said++;
    if (n > 0)
        memcpy(text, detail.p, n);
    text[n] = '\0';
    const char *code = QUOTE_NUM((uint64_t)status), *who = CLIENT(s);
    if (ask->path.p != NULL)
        s->log.say(OPT_LOG_INFO, "refused", "method", serve_method_name(ask->method), "path",
                   QUOTE(ask->path), "status", code, "detail", text, "peer", who, NULL);
    else
        s->log.say(OPT_LOG_INFO, "refused", "status", code, "detail", text, "peer", who, NULL);
}

void serve_log_rest(struct server *s, bool end)
{
    struct refusals *r = &s->log.refusals;
    if (!end && r->second == s->clock.now / 1000)
        return;
    if (r->more > 0)
        s->log.say(OPT_LOG_INFO, "refused more", "count", QUOTE_NUM(r->more), NULL);
    *r = (struct refusals){.second = s->clock.now / 1000};
}
