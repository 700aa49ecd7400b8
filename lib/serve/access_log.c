/*
 * access_log.c - logs requests: refusals, and with --access-log every answer.
 *
 * Of a request only its method and its path are told. A token may be in a field or in the query, so
 * neither is ever written; who a good one is of only with --log-subject.
 */
#include "lib/serve/access_log.h"
#include "lib/addr.h"
#include "lib/serve/conn.h"
#include "lib/serve/pass.h"
#include "lib/serve/quote.h"
#include "lib/serve/server.h"
#include "lib/serve/transport.h"

#define REFUSALS_MAX 10u /* lines in a second */

const char *access_log_method_name(enum http_method method)
{
    static const char names[][8] = {
#define X(name) #name,
        HTTP_METHODS(X)
#undef X
    };
    return names[method];
}

/* Returns the address of a connection's peer, written to out. A socket that has timed out no longer
 * knows it: then the address kept, without a port. */
static const char *peer_of(const struct clients *clients, const struct log *log,
                           const struct conn *c, char out[QUOTE_MAX])
{
    char bytes[128];
    struct text t = text_in(bytes, sizeof bytes);
    if (c == NULL)
        return "unknown";
    if (log->peer != NULL && log->peer(conn_fd(&clients->conns, c), &t))
        return quote_text(out, text_span(&t));
    if (pass_from(clients, c) == 0)
        return "unknown";
    addr_key_write(&t, pass_from(clients, c));
    return quote_text(out, text_span(&t));
}

/* Returns the address of a request's client: behind a trusted proxy, the one that the proxy
 * names. */
static const char *client_of(const struct config *config, const struct clients *clients,
                             const struct log *log, const struct exchange *ex, char out[QUOTE_MAX])
{
    char bytes[64];
    struct text t = text_in(bytes, sizeof bytes);
    if (ex->ask.via != VIA_CLIENT && !(config->opt.proxy_protocol && ex->ask.from != 0))
        return peer_of(clients, log, ex->ask.conn, out);
    addr_key_write(&t, ex->ask.from);
    return quote_text(out, text_span(&t));
}

void access_log_write_answer(struct server *s, int status, uint64_t bytes)
{
    const struct context *ask = &s->ex.ask;
    const char *code = QUOTE_NUM((uint64_t)status), *size = QUOTE_NUM(bytes);
    const char *ms = QUOTE_NUM(ask->conn != NULL ? (uint32_t)s->clock.now - ask->began : 0);
    const char *who = client_of(&s->config, &s->clients, &s->log, &s->ex, (char[QUOTE_MAX]){0}),
               *way = ask->log_way != NULL ? ask->log_way : "none";
    const char *sub = ask->sub.p != NULL ? QUOTE(ask->sub) : NULL;
    if (ask->path.p != NULL)
        s->log.say(OPT_LOG_ACCESS, "request", "method", access_log_method_name(ask->method), "path",
                   QUOTE(ask->path), "status", code, "bytes", size, "ms", ms, "way", way, "peer",
                   who, sub != NULL ? "sub" : NULL, sub, NULL);
    else
        s->log.say(OPT_LOG_ACCESS, "request", "status", code, "bytes", size, "ms", ms, "way", way,
                   "peer", who, NULL);
}

void access_log_write_end(const struct broker *broker, const struct clients *clients,
                          const struct log *log, const struct conn *c, const char *reason)
{
    log->say(OPT_LOG_ACCESS, "end", "topic", QUOTE(topic_name(broker->topics, c->link.topic)),
             "way", transport_of(c)->name, "reason", reason, "peer",
             peer_of(clients, log, c, (char[QUOTE_MAX]){0}), NULL);
}

void access_log_refusal(struct server *s, int status, struct span detail)
{
    const struct context *ask = &s->ex.ask;
    char bytes[1024];
    struct text text = text_for_string(bytes, sizeof bytes);
    access_log_suppressed(&s->clock, &s->log, false);
    if (s->log.refusals.said >= REFUSALS_MAX) {
        s->log.refusals.more++;
        return;
    }
    s->log.refusals.said++;
    text_add_cut(&text, detail);
    const char *code = QUOTE_NUM((uint64_t)status),
               *who = client_of(&s->config, &s->clients, &s->log, &s->ex, (char[QUOTE_MAX]){0});
    const char *sub = ask->sub.p != NULL ? QUOTE(ask->sub) : NULL;
    if (ask->path.p != NULL)
        s->log.say(OPT_LOG_INFO, "refused", "method", access_log_method_name(ask->method), "path",
                   QUOTE(ask->path), "status", code, "detail", text_string(&text), "peer", who,
                   sub != NULL ? "sub" : NULL, sub, NULL);
    else
        s->log.say(OPT_LOG_INFO, "refused", "status", code, "detail", text_string(&text), "peer",
                   who, NULL);
}

void access_log_write_suppressed(const struct moment *clock, struct log *log)
{
    struct refusals *r = &log->refusals;
    if (r->more > 0)
        log->say(OPT_LOG_INFO, "refused more", "count", QUOTE_NUM(r->more), NULL);
    *r = (struct refusals){.second = clock->now / 1000};
}
