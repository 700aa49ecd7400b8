/*
 * timeouts.c - timeouts and other limits that the sweep checks for each connection.
 */
#include "lib/serve/timeouts.h"
#include "lib/serve/answer.h"
#include "lib/serve/conn.h"
#include "lib/serve/intake.h"
#include "lib/serve/pass.h"
#include "lib/serve/publish.h"
#include "lib/serve/route.h"
#include "lib/serve/server.h"
#include "lib/serve/socket.h"
#include "lib/serve/subscriber.h"

void count_lag(const struct broker *broker, const struct conn *c, struct lag *lag)
{
    if (!conn_streams(c) || c->flags & CONN_WRITABLE || c->link.topic == 0)
        return;
    uint64_t behind = ring_head(broker->ring) - c->place.at;
    behind = behind < broker->ring->size ? behind : broker->ring->size;
    lag->subscribers++;
    lag->bytes = behind > lag->bytes ? behind : lag->bytes;
}

/* Ends a body or a WebSocket that holds more room than its share. Returns true if it did. */
static bool over_share(struct server *s, struct conn *c)
{
    bool in = c->in != 0 && (c->state == CONN_BODY || c->state == CONN_SOCKET);
    if (!in || !conn_over_share(&s->clients.conns, c))
        return false;
    s->clients.conns.over_share = true;
    if (c->state == CONN_BODY)
        body_end_over_share(s, c);
    else
        socket_end_over_share(s, c);
    return true;
}

bool timeouts_end_stalled(struct server *s, struct conn *c)
{
    if (over_share(s, c))
        return true;
    if (c->state == CONN_BODY && body_message_late(&s->config, &s->clients, &s->clock, c))
        serve_refuse_timeout(s, c);
    else if (c->state == CONN_SOCKET && socket_message_late(&s->clients, &s->clock, c))
        socket_end_late(s, c);
    else if (pass_expired(&s->clients, &s->clock, c))
        subscriber_expire(s, c);
    else if (c->state != CONN_BODY && pass_revoked(&s->clients, &s->clock, c))
        subscriber_revoke(s, c);
    else
        return false;
    return true;
}

const char *timeouts_slow_reader(const struct config *config, struct clients *clients,
                                 const struct moment *clock, struct stat_counters *stat,
                                 struct conn *c)
{
    if (conn_over_share(&clients->conns, c)) {
        stat->limit_share++;
        return "--max-share";
    }
    if (!conn_out_slow(&clients->conns, c, clock->now, config->opt.min_rate,
                       config->opt.write_timeout_ms))
        return NULL;
    stat->limit_rate++;
    return "takes its answers at less than --min-rate";
}

/* Handles a request that was not complete in time. Returns as timeouts_apply() does. */
static const char *request_timed_out(struct server *s, struct conn *c)
{
    if (c->state == CONN_BODY &&
        intake_idle(pool_at(&s->clients.conns.buffers, conn_in_block(&s->clients.conns, c))))
        return NULL; /* between two messages of a feed */
    s->stat.timeout_request++;
    if (c->in == 0 || c->marks & CONN_PREFACE)
        return "--request-timeout";
    serve_refuse_timeout(s, c);
    return NULL;
}

const char *timeouts_apply(struct server *s, struct conn *c, enum conn_due due)
{
    switch (due) {
    case CONN_DUE_REQUEST:
        return request_timed_out(s, c);
    case CONN_DUE_IDLE:
        s->stat.timeout_idle++;
        return "--idle-timeout";
    case CONN_DUE_WRITE:
        s->stat.timeout_write++;
        return "--write-timeout";
    case CONN_DUE_LINGER:
        return "answered";
    case CONN_DUE_PONG:
        s->stat.timeout_pong++;
        return "no pong";
    case CONN_DUE_NOTHING:
    case CONN_DUE_HEARTBEAT:
    case CONN_DUE_ANSWER:
        break;
    }
    return NULL;
}

void serve_refuse_unsynced(struct server *s, struct conn *c)
{
    conn_buffer_free(&s->clients.conns, &c->out); /* answers for messages that may be lost */
    s->ex.out.n = 0;
    s->ex.tail_pieces = 0;
    if (c->state == CONN_SOCKET) {
        socket_end_unsynced(s, c);
        return;
    }
    s->ex.ask = (struct context){.method = HTTP_POST, .minor = 1, .conn = c, .log_way = "publish"};
    serve_refuse_last(s, "the store could not be synced: what was published may be lost");
    if (c->state != CONN_LINGER)
        serve_linger(&s->clients, c);
}
