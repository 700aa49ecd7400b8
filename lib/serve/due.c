/*
 * due.c - what time brings to a connection, when the sweep looks at it.
 */
#include "lib/serve/serve.h"

void serve_lag(const struct server *s, const struct conn *c, struct lag *lag)
{
    if (!conn_streams(c) || c->flags & CONN_WRITABLE || c->link.topic == 0)
        return;
    uint64_t behind = ring_head(&s->ring) - c->place.at;
    behind = behind < s->ring.size ? behind : s->ring.size;
    lag->subscribers++;
    lag->bytes = behind > lag->bytes ? behind : lag->bytes;
}

/* Ends what holds more room than it would be given now. */
static bool over_share(struct server *s, struct conn *c)
{
    bool in = c->in != 0 && (c->state == CONN_BODY || c->state == CONN_SOCKET);
    if (!in || !conn_over_share(&s->conns, c))
        return false;
    s->conns.over_share = true;
    if (c->state == CONN_BODY)
        serve_body_full(s, c);
    else
        serve_socket_full(s, c);
    return true;
}

bool serve_late(struct server *s, struct conn *c)
{
    if (over_share(s, c))
        return true;
    if (c->state == CONN_BODY && serve_body_late(s, c))
        serve_timeout(s, c);
    else if (c->state == CONN_SOCKET && serve_socket_late(s, c))
        serve_socket_slow(s, c);
    else if (serve_expired(s, c))
        serve_expire(s, c);
    else
        return false;
    return true;
}

const char *serve_holds_long(struct server *s, struct conn *c)
{
    if (conn_over_share(&s->conns, c)) {
        s->stat.limit_share++;
        return "--max-share";
    }
    if (!conn_out_late(&s->conns, c, s->now, s->opt.min_rate, s->opt.write_timeout_ms))
        return NULL;
    s->stat.limit_rate++;
    return "takes its answers at less than --min-rate";
}

/* A request has not come in time. */
static const char *request_overdue(struct server *s, struct conn *c)
{
    if (c->state == CONN_BODY && intake_idle(pool_at(&s->conns.buffers, conn_in_own(&s->conns, c))))
        return NULL; /* between two messages of a feed */
    s->stat.timeout_request++;
    if (c->in == 0 || c->marks & CONN_PREFACE)
        return "--request-timeout";
    serve_timeout(s, c);
    return NULL;
}

const char *serve_overdue(struct server *s, struct conn *c, enum conn_due due)
{
    switch (due) {
    case CONN_DUE_REQUEST:
        return request_overdue(s, c);
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
