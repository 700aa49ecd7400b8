/*
 * route.c - passes requests to the functions that handle them.
 */
#include "lib/serve/route.h"
#include "lib/cors.h"
#include "lib/serve/access.h"
#include "lib/serve/access_log.h"
#include "lib/serve/answer.h"
#include "lib/serve/exchange.h"
#include "lib/serve/feed.h"
#include "lib/serve/http_stream.h"
#include "lib/serve/identity.h"
#include "lib/serve/own_pages.h"
#include "lib/serve/poll.h"
#include "lib/serve/publish.h"
#include "lib/serve/purge.h"
#include "lib/serve/quote.h"
#include "lib/serve/ready.h"
#include "lib/serve/revoke.h"
#include "lib/serve/socket.h"

#include <assert.h>

#define METHODS "GET, HEAD, POST, PUT, DELETE, OPTIONS"

static void healthy(struct server *s, struct conn *c)
{
    serve_answer(s, c, 200, (struct span){NULL, 0}, "text/plain", SPAN("ok\n"));
}

/* Returns true if a path is one of the server's own: "/", or one that begins with "/-". The bytes
 * as sent decide, as a proxy in front goes by these, too. */
static bool is_own(struct span sent)
{
    return sent.n <= 1 || sent.p[1] == '-'; /* a path begins with "/" */
}

/* Answers 404: there is nothing at this path, which is quoted as it was sent. */
static void route_nothing(struct server *s, struct conn *c)
{
    const char *path = QUOTE(s->ex.req.path);
    s->ex.ask.log_way = "own";
    if (c->marks & CONN_ADMIN)
        serve_refuse(s, c, 404, NULL, "there is nothing at ", path,
                     ": this is the address of --admin, which has /-/healthy, /-/ready, "
                     "/-/metrics, /-/topics and /-/revoke alone",
                     NULL);
    else
        serve_refuse(s, c, 404, NULL, "there is nothing at ", path,
                     ": a topic is a path as /news, and the server's own are /, /-/sse.js, ",
                     "/-/healthy, /-/ready, /-/metrics, /-/topics and /-/revoke", NULL);
}

/* Handles a path for which is_own() is true. */
static void route_own(struct server *s, struct conn *c)
{
    static const struct {
        struct span path;
        void (*answer)(struct server *s, struct conn *c);
        bool open;  /* to all; the others only where access_admin() allows */
        bool admin; /* served at the address of --admin as well */
    } own[] = {
        {SPAN_INIT("/"), serve_live_page, true, false},
        {SPAN_INIT("/-/sse.js"), serve_helper, true, false},
        {SPAN_INIT("/-/healthy"), healthy, true, true},
        {SPAN_INIT("/-/ready"), serve_ready, true, true},
        {SPAN_INIT("/-/metrics"), serve_metrics, false, true},
        {SPAN_INIT("/-/topics"), serve_topics, false, true},
    };
    bool admin = (c->marks & CONN_ADMIN) != 0;
    size_t i = 0, n = sizeof own / sizeof own[0];
    while (i < n && (!span_eq(s->ex.req.path, own[i].path) || (admin && !own[i].admin)))
        i++;
    s->ex.ask.log_way = "own";
    if (i == n)
        route_nothing(s, c);
    else if (s->ex.ask.method != HTTP_GET && s->ex.ask.method != HTTP_HEAD)
        serve_refuse(s, c, 405, "Allow: GET, HEAD, OPTIONS\r\n", "this is read with GET",
                     s->ex.req.path.n <= 1
                         ? "; a message is published to a topic, a path as /news, or here in "
                           "a line of NDJSON that names its topic"
                         : "",
                     NULL);
    else if (own[i].open || access_admin(s, c))
        own[i].answer(s, c);
}

static bool is_revoke(const struct exchange *ex)
{
    return span_eq(span_from(ex->req.path, 1), REVOKE_PATH);
}

/* Revokes. Its body is taken as that of a message. */
static size_t route_revoke(struct server *s, struct conn *c, const char *rest, size_t len)
{
    if (s->ex.ask.method == HTTP_POST)
        return serve_publish(s, c, REVOKE_PATH, rest, len);
    s->ex.ask.log_way = "own";
    serve_refuse(s, c, 405, "Allow: POST, OPTIONS\r\n", "tokens are revoked with POST", NULL);
    return 0;
}

/* OPTIONS: what can be done here, and, of a preflight, who may. */
static void route_options(struct server *s, struct conn *c)
{
    char bytes[4096];
    struct text t = text_in(bytes, sizeof bytes);
    http_add(&t, "Allow",
             is_revoke(&s->ex)       ? SPAN("POST, OPTIONS")
             : c->marks & CONN_ADMIN ? SPAN("GET, HEAD, OPTIONS")
                                     : SPAN(METHODS));
    cors_preflight(&t, s->ex.ask.cors, METHODS,
                   http_field(&s->ex.req, HTTP_ACCESS_CONTROL_REQUEST_HEADERS));
    if (t.full)
        serve_refuse(s, c, 400, NULL, "Access-Control-Request-Headers is too long", NULL);
    else
        serve_answer(s, c, 204, text_span(&t), NULL, (struct span){NULL, 0});
}

/* Sets the context of the request in ex.req: its answer's form and its client; c may be NULL: the
 * client is unknown. */
static void context_set(const struct config *config, const struct clients *clients,
                        struct exchange *ex, const struct conn *c)
{
    bool body = ex->req.chunked || ex->req.length > 0;
    bool publishes = ex->req.method == HTTP_POST || ex->req.method == HTTP_PUT;
    ex->ask =
        (struct context){.method = ex->req.method,
                         .keep_alive =
                             ex->req.keep_alive && (publishes || !body) && !clients->draining,
                         .body = body,
                         .minor = ex->req.minor,
                         .cors = config->opt.cors.n == 0 || (c != NULL && c->marks & CONN_ADMIN)
                                     ? 0 /* pages may not read what --admin serves */
                                     : cors_find(config->opt.cors.item, config->opt.cors.n,
                                                 http_field(&ex->req, HTTP_ORIGIN)),
                         .path = ex->req.path,
                         .conn = c,
                         .log_way = publishes ? "publish" : NULL,
                         .began = c != NULL ? c->tick : 0};
    query_clear(&ex->query);
    if (ex->req.query.n > 0) {
        query_read(&ex->query, ex->req.query,
                   publishes              ? QUERY_PUBLISH
                   : is_own(ex->req.path) ? QUERY_OWN
                                          : QUERY_READ);
        ex->ask.strange = query_unknown(&ex->query).n > 0;
    }
    if (c != NULL)
        serve_identify_client(config, clients, ex, c);
}

/* Returns true if the request in ex.req asks for an event stream: it names that type, and prefers
 * no form of a poll. */
static bool wants_stream(const struct exchange *ex)
{
    bool exact = false;
    unsigned q = http_accept(&ex->req, SPAN("text"), SPAN("event-stream"), &exact);
    return (ex->req.method == HTTP_GET || ex->req.method == HTTP_HEAD) && exact && q > 0 &&
           (q == 1000 || q >= poll_quality(ex));
}

/* Returns true if it asks for WebSocket (RFC 6455 section 4.2.1). */
static bool wants_socket(const struct exchange *ex)
{
    struct span item;
    size_t pos = 0;
    while (ex->req.upgrade && ex->req.method == HTTP_GET &&
           http_list(&ex->req, HTTP_UPGRADE, &pos, &item))
        if (span_same(item, SPAN("websocket")))
            return true;
    return false;
}

/* Refuses a WebSocket handshake without the fields that a proxy forwards only if configured to (RFC
 * 9110 section 15.5.22). */
static void refuse_half_handshake(struct server *s, struct conn *c)
{
    serve_refuse(
        s, c, 426, "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "Sec-WebSocket-Key came without Upgrade: websocket and Connection: Upgrade: a proxy "
        "on the way dropped them, and must forward them",
        NULL);
}

/* Returns true if it is a page by which the server is monitored: these are answered when the server
 * is full, as it is not dead. */
static bool is_vital(const struct exchange *ex)
{
    static const char vital[][11] = {"/-/healthy", "/-/ready", "/-/metrics"};
    for (size_t i = 0; i < sizeof vital / sizeof vital[0]; i++)
        if (span_eq(ex->req.path, span_of(vital[i])))
            return true;
    return false;
}

/* Refuses a client over --max-connections or --max-per-address. */
static void route_shed(struct server *s, struct conn *c)
{
    if (wants_stream(&s->ex)) {
        access_log_refusal(s, 200,
                           c->flags & CONN_CROWD
                               ? SPAN("a stream is to come back: --max-per-address")
                               : SPAN("a stream is to come back: --max-connections"));
        sse_come_back(s, c);
        return;
    }
    if (c->flags & CONN_CROWD)
        serve_refuse(s, c, 503, "Retry-After: 5\r\n",
                     "there are as many connections from one address as may be, ",
                     QUOTE_NUM(s->config.opt.max_per_address), " (--max-per-address)", NULL);
    else
        serve_refuse(s, c, 503, "Retry-After: 5\r\n", "there are as many connections as may be, ",
                     QUOTE_NUM(s->config.opt.max_connections), " (--max-connections)", NULL);
}

/* Handles the request in ex.req; rest[0..len) are the bytes after its head. Returns how many of
 * them were its body. */
static size_t route(struct server *s, struct conn *c, const char *rest, size_t len)
{
    context_set(&s->config, &s->clients, &s->ex, c);
    s->ex.access = (struct access){.kind = ACCESS_PLACE};
    ptrdiff_t n = http_decode(s->ex.req.path, false, s->ex.path, sizeof s->ex.path);
    assert(n >= 0); /* http_parse() has checked it, and it is no longer than a head */
    struct span path = {s->ex.path, (size_t)n};
    bool publishes = s->ex.req.method == HTTP_POST || s->ex.req.method == HTTP_PUT;
    s->ex.ask.path = path; /* as for a body that comes later */
    bool own = is_own(s->ex.req.path), shed = (c->flags & (CONN_SHED | CONN_CROWD)) != 0;
    s->ex.ask.keep_alive = s->ex.ask.keep_alive && !shed;
    if (shed && !is_vital(&s->ex))
        route_shed(s, c);
    else if (!own && (c->marks & CONN_ADMIN || (path.n < s->ex.req.path.n && is_own(path))))
        route_nothing(s, c); /* the path only decodes to an own one */
    else if (s->ex.req.method == HTTP_OPTIONS)
        route_options(s, c);
    else if (publishes && !(c->marks & CONN_ADMIN) && span_eq(s->ex.req.path, SPAN("/")) &&
             body_names_topics(&s->ex))
        return serve_publish(s, c, SPAN(""), rest, len);
    else if (own && is_revoke(&s->ex))
        return route_revoke(s, c, rest, len);
    else if (own)
        route_own(s, c);
    else if (publishes)
        return serve_publish(s, c, span_from(path, 1), rest, len);
    else if (s->ex.req.method == HTTP_DELETE)
        serve_purge(s, c, span_from(path, 1));
    else if (s->ex.req.method != HTTP_GET && s->ex.req.method != HTTP_HEAD)
        serve_refuse(s, c, 405, "Allow: " METHODS "\r\n", access_log_method_name(s->ex.req.method),
                     " is not for topics", NULL);
    else if (wants_socket(&s->ex))
        serve_socket(s, c, span_from(path, 1));
    else if (s->ex.req.has & 1u << HTTP_SEC_WEBSOCKET_KEY && s->ex.req.method == HTTP_GET)
        refuse_half_handshake(s, c);
    else if (wants_stream(&s->ex))
        serve_stream(s, c, span_from(path, 1), TRANSPORT_EVENTS);
    else
        serve_poll(s, c, span_from(path, 1));
    return 0;
}

/* Returns the context of a request that cannot be read. Its origin is unknown: a page can read the
 * answer only if all pages may. */
static struct context context_unknown(const struct config *config, const struct conn *c)
{
    uint16_t cors = cors_find(config->opt.cors.item, config->opt.cors.n, (struct span){NULL, 0});
    return (struct context){.method = HTTP_GET,
                            .body = true,
                            .cors = cors,
                            .conn = c,
                            .began = c != NULL ? c->tick : 0};
}

void serve_turn_away(struct server *s, const char *buf, size_t len, const char *why)
{
    s->ex.ask = context_unknown(&s->config, NULL);
    if (http_parse(buf, len, 0, &s->config.limits, &s->ex.req) > 0) {
        context_set(&s->config, &s->clients, &s->ex, NULL);
        if (wants_stream(&s->ex)) {
            access_log_refusal(s, 200, span_of(why));
            feed_turn_away(s);
            return;
        }
        if (s->ex.req.method == HTTP_GET && span_eq(s->ex.req.path, SPAN("/-/healthy"))) {
            serve_answer_last(s, "text/plain", SPAN("ok\n"));
            return;
        }
    }
    serve_refuse_last(s, why);
}

void serve_refuse_no_buffer(struct server *s, struct conn *c)
{
    s->ex.ask = context_unknown(&s->config, c);
    serve_refuse_buffer_limit(s, c, "");
}

/* Answers 400 to a head at `buf` that could not be parsed: names the byte, or what is missing. */
static void refuse_malformed(struct server *s, struct conn *c, const char *buf)
{
    static const char what[] = "the request is not well-formed HTTP/1.1 (RFC 9112): ";
    if (s->ex.req.wrong_at == NULL)
        serve_refuse(s, c, 400, NULL, what, s->ex.req.wrong, NULL);
    else
        serve_refuse(s, c, 400, NULL, what, QUOTE_BYTE(*s->ex.req.wrong_at), " at ",
                     QUOTE_NUM((uint64_t)(s->ex.req.wrong_at - buf)), " cannot stand ",
                     s->ex.req.wrong, NULL);
}

/* Refuses a request that could not be parsed, or was not complete in time. */
static void refuse_request(struct server *s, struct conn *c, int status, const char *buf)
{
    s->ex.ask = context_unknown(&s->config, c);
    s->stat.limit_line += status == 414;
    s->stat.limit_head += status == 431;
    if (status == 414)
        serve_refuse(s, c, status, NULL, "a request line has at most ",
                     QUOTE_NUM(s->config.opt.max_line), " bytes here (--max-line)", NULL);
    else if (status == 431)
        serve_refuse(s, c, status, NULL, "a request head has at most ",
                     QUOTE_NUM(s->config.opt.max_head), " bytes here (--max-head), and ",
                     QUOTE_NUM(HTTP_FIELDS_MAX), " fields of use", NULL);
    else if (status == 400)
        refuse_malformed(s, c, buf);
    else
        serve_refuse(s, c, status, NULL,
                     status == 408   ? "the request was not complete in time (--request-timeout)"
                     : status == 417 ? "the only expectation understood is 100-continue"
                     : status == 501
                         ? "the method or the Transfer-Encoding is not one this server knows"
                         : "only HTTP/1.0 and HTTP/1.1 are spoken here",
                     NULL);
}

/* Returns true if the request in ex.req may take long: it selects several topics, or asks for old
 * messages. */
static bool takes_long(const struct exchange *ex)
{
    static const bool selects[256] = {['*'] = true, [','] = true, ['%'] = true};
    struct span path = ex->req.path, query = ex->req.query;
    if (ex->req.method != HTTP_GET && ex->req.method != HTTP_HEAD)
        return false;
    for (size_t i = 0; i < path.n; i++)
        if (selects[(unsigned char)path.p[i]])
            return true;
    const char *since = span_find(query, SPAN("since"));
    if (since != NULL) /* one that begins now needs no search */
        return !span_begins(span_from(query, (size_t)(since - query.p)), SPAN("since=now"));
    return span_begins(path, SPAN("/-/topics"));
}

/* Handles a request head. Returns the bytes handled, including the part of the body handled at
 * once; 0 if it is not complete. */
static size_t head_input(struct server *s, struct conn *c, const char *buf, size_t len, size_t seen)
{
    int used = http_parse(buf, len, seen, &s->config.limits, &s->ex.req);
    if (used == 0)
        return 0;
    if (used < 0) {
        refuse_request(s, c, -used, buf);
        return len;
    }
    if (s->ex.brief && (takes_long(&s->ex) || (s->config.keys.n > 0 && access_takes_long(s))) &&
        exchange_postpone(&s->ex))
        return 0;
    s->stat.requests++;
    size_t body = route(s, c, buf + used, len - (size_t)used);
    if (s->ex.postponed) {
        s->stat.requests--;
        return 0;
    }
    c->flags |= CONN_USED;
    return (size_t)used + body;
}

size_t serve_input(struct server *s, struct conn *c, char *buf, size_t len, size_t seen)
{
    return c->state == CONN_HEAD   ? head_input(s, c, buf, len, seen)
           : c->state == CONN_BODY ? body_input(s, c, buf, len)
                                   : socket_input(s, c, buf, len);
}

void serve_refuse_timeout(struct server *s, struct conn *c)
{
    if (c->state == CONN_BODY)
        body_refuse_timeout(s, c);
    else
        refuse_request(s, c, 408, NULL);
}
