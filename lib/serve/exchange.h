/*
 * exchange.h - the current request and its answer.
 *
 * INVARIANTS
 *   - `out` belongs to the current connection; the loop empties it before it turns to another. When
 *     serve_input() is called, SERVE_ROOM bytes of it are free, enough for any answer.
 *   - `ask` and `req` are the current request's. A request that is answered later is kept, and made
 *     the current one again (saved.h).
 *   - Each buffer is written only by the file named beside it.
 */
#ifndef SSE_LIB_SERVE_EXCHANGE_H
#define SSE_LIB_SERVE_EXCHANGE_H

#include "http.h"
#include "lib/auth/auth.h"
#include "lib/auth/revoke.h"
#include "lib/broker/render.h"
#include "lib/cors.h"
#include "lib/serve/query.h"
#include "lib/topic/table.h"

#define SERVE_ROOM     (16u << 10)
#define SERVE_PAGE     (128u << 10) /* the most that is told of the server itself at once */
#define SERVE_HEAD_MAX (1u << 20)   /* the most that --max-head can be */
#define SERVE_NAMES    (64u << 10)

/* What a trusted proxy says of a request's client. */
enum via {
    VIA_NOBODY = 0,  /* no trusted proxy */
    VIA_SILENT = 1,  /* nothing */
    VIA_UNKNOWN = 2, /* no address */
    VIA_TWO = 3,     /* one in Forwarded, another in X-Forwarded-For */
    VIA_CLIENT = 4,  /* it is of `from` */
};

/* How the current request is to be answered, and its client. */
struct context {
    enum http_method method;
    bool keep_alive; /* the connection goes on after the answer */
    bool body;       /* it has a body that has not been read */
    bool local;      /* the client is on this host, and names this server: it has rights by that */
    bool foreign;    /* the client is on this host, but names another server (lib/authority.h) */
    bool named;      /* serve_is_local() has set both */
    uint8_t minor;   /* of its HTTP version */
    uint16_t cors;   /* what cors_find() returned for its origin */
    bool strange;    /* its query has a parameter that means nothing: query_unknown() */
    bool waits;      /* it is a poll that asks to wait, ... */
    uint64_t wait;   /* ... this many seconds, as far as allowed */
    uint64_t from;   /* the client's addr_key(); 0 also where clients.pass is NULL */
    uint64_t proxy;  /* that of the proxy in between */
    enum via via;
    enum cors_scheme scheme; /* by which the client asks, as its proxy says */

    /* for the log */
    struct span path;        /* decoded; a null pointer: not known */
    struct span sub;         /* of its token, which is good: with --log-subject; likewise */
    const struct conn *conn; /* its connection; NULL: it has no slot */
    const char *log_way;     /* the transport or kind of request; NULL: not known yet */
    uint32_t began;          /* ms: when its first byte came */
};

/* The source of a client's rights: see access.h. */
enum access_kind {
    ACCESS_PLACE = 0, /* no keys: by where the client is */
    ACCESS_NONE = 1,  /* keys, but no token: by --anonymous */
    ACCESS_TOKEN = 2,
    ACCESS_URL = 3, /* a signed URL */
};

struct access {
    enum access_kind kind;
    struct span publish, subscribe, purge; /* scopes, as lib/auth/auth.h has them */
    uint64_t expires_s;                    /* unix time; 0: does not expire */
    bool cookie;                           /* NONE: it has a cookie, which does not count */
    bool admin;                            /* TOKEN: it may revoke others */
    struct bearer bearer;                  /* TOKEN: what it may be revoked by */
};

/* The last answer to a long poll that a message ended, built once for all clients that wait at the
 * same place in the same form. It is valid where all of this matches; see poll.c. */
struct woken {
    uint64_t at, head; /* the client's place, the ring's head */
    uint64_t second;   /* of its Date */
    struct topic_ref topic;
    uint32_t wait;
    uint16_t flags, cors; /* those of struct conn: CONN_KEEP, CONN_OLD */
    uint8_t transport;
    bool draining;
    uint32_t size, body; /* bytes; of them, of the body; 0: there is none */
    char bytes[4096];
};

struct exchange {
    bool pause;     /* stop reading this connection until its next turn */
    bool brief;     /* other clients wait: a request that may take long is postponed to a turn of
                     * its own */
    bool postponed; /* the current request is postponed: nothing of it is done yet */

    struct context ask;
    struct http_request req;
    struct query query; /* that of `req` */
    struct access access;
    struct text out;    /* the answers of the current connection, ... */
    struct iovec *tail; /* ... and what follows them: pieces in `poll`, or none */
    unsigned tail_pieces;
    struct share poll; /* the messages of the current poll, or a page */
    struct woken woken;
    char path[SERVE_HEAD_MAX];   /* route.c, saved.c: of the request, decoded */
    char token[AUTH_TOKEN_MAX];  /* access.c: the claims of the request */
    char names[SERVE_NAMES];     /* access.c: the part of its path to which it may subscribe */
    char listed[SERVE_HEAD_MAX]; /* socket.c: the topics of a client after a frame, ... */
    char narrowed[SERVE_NAMES];  /* ... and the part that it may */
    char named[64];              /* client.c: the last Host that named this server */
    uint8_t named_n;
    char page[SERVE_PAGE]; /* metrics.c, topics.c: an answer */
};

/* Returns true if the current request may not take long now: it is postponed, and the caller
 * returns. Nothing of it may be done yet. */
static inline bool exchange_postpone(struct exchange *ex)
{
    ex->postponed = ex->brief;
    return ex->postponed;
}

#endif
