/*
 * exchange.h - the current request and its answer.
 *
 * INVARIANTS
 *   - `out` belongs to the current connection; the loop empties it before it turns to another. When
 *     a head or a part of a body is brought, SERVE_ROOM of it is free, which any answer fits into.
 *   - `ask` and `req` are those of the current request. One whose answer comes later is kept, and
 *     brought back (saved.h).
 *   - Each buffer is filled by the file that is named beside it, and by no other.
 */
#ifndef SSE_LIB_SERVE_EXCHANGE_H
#define SSE_LIB_SERVE_EXCHANGE_H

#include "http.h"
#include "lib/auth/auth.h"
#include "lib/broker/render.h"
#include "lib/cors.h"
#include "lib/topic/table.h"

#define SERVE_ROOM     (16u << 10)
#define SERVE_PAGE     (128u << 10) /* the most that is told of the server itself at once */
#define SERVE_HEAD_MAX (1u << 20)   /* the most that --max-head can be */
#define SERVE_NAMES    (64u << 10)

/* Through which proxy a request came, and what that says of whom it is. */
enum via {
    VIA_NOBODY = 0,  /* none that is trusted */
    VIA_SILENT = 1,  /* nothing */
    VIA_UNKNOWN = 2, /* no address */
    VIA_TWO = 3,     /* one in Forwarded, another in X-Forwarded-For */
    VIA_CLIENT = 4,  /* it is of `from` */
};

/* What the current request asks of its answer, and who asks. */
struct context {
    enum http_method method;
    bool keep_alive; /* the connection goes on after the answer */
    bool body;       /* it has a body that has not been read */
    bool local;      /* the client is on this host, and names this server: it has rights by that */
    bool foreign;    /* it is on this host, and names another server (lib/authority.h) */
    bool named;      /* serve_is_local() has looked at that */
    uint8_t minor;   /* of its HTTP version */
    uint16_t cors;   /* what cors_find() says of its origin */
    bool waits;      /* it is a poll that asks to wait, ... */
    uint64_t wait;   /* ... so many seconds, as far as that is allowed */
    uint64_t from;   /* the client's addr_key(); 0 also where clients.pass is NULL */
    uint64_t proxy;  /* that of the proxy in between */
    enum via via;
    enum cors_scheme scheme; /* by which the client asks, as its proxy says */

    /* for the log */
    struct span path;        /* decoded; a null pointer: not known */
    const struct conn *conn; /* whose it is; NULL: of one that has no slot */
    const char *way;         /* what it turned out to ask for; NULL: nothing yet */
    uint32_t began;          /* ms: when its first byte came */
};

/* By what a client may do what it may: see access.h. */
enum access_kind {
    ACCESS_PLACE = 0, /* there are no keys: by where it is */
    ACCESS_NONE = 1,  /* there are, and it has no token: by --anonymous */
    ACCESS_TOKEN = 2,
    ACCESS_URL = 3, /* a signed one */
};

struct access {
    enum access_kind kind;
    struct span publish, subscribe; /* scopes, as lib/auth/auth.h has them */
    uint64_t expires_s;             /* unix time; 0: it does not end */
    bool cookie;                    /* NONE: there is a cookie, which does not count */
};

/* The answer to the last long poll that a message ended: all that wait at one place in one form get
 * the same bytes, which are put together once. It is good for whom all of this is so; see
 * poll.c. */
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
    bool brief;     /* others wait: what may take long is put off to a turn of its own */
    bool postponed; /* the current request has been put off: nothing of it is done yet */

    struct context ask;
    struct http_request req;
    struct access access;
    struct text out;    /* the answers of the current connection, ... */
    struct iovec *tail; /* ... and what follows them: pieces in `poll`, or none */
    unsigned tail_pieces;
    struct share poll; /* the messages of the current poll, or a page */
    struct woken woken;
    char path[SERVE_HEAD_MAX];   /* route.c, saved.c: of the request, decoded */
    char token[AUTH_TOKEN_MAX];  /* access.c: the claims of the request */
    char names[SERVE_NAMES];     /* access.c: what of its path it may subscribe to */
    char listed[SERVE_HEAD_MAX]; /* socket.c: what a frame makes a client subscribe to, ... */
    char narrowed[SERVE_NAMES];  /* ... and what of that it may */
    char named[64];              /* client.c: the Host that was last found to be this server's */
    uint8_t named_n;
    char page[SERVE_PAGE]; /* metrics.c, topics.c: an answer */
};

/* Returns true if the current request, of which nothing is done yet, may not take long now: it has
 * been put off, and the caller returns. */
static inline bool exchange_postpone(struct exchange *ex)
{
    ex->postponed = ex->brief;
    return ex->postponed;
}

#endif
