/*
 * serve.h - what a request does: answers, routes, subscribing, publishing.
 *
 * The upper storey of lib/. The modules below it know nothing of each other's business and nothing
 * of the root; these put http.h, ring.h and them together. Like them they do no I/O: they are
 * called with a connection and the bytes that have come for it, change the state of the server, and
 * leave what is to be written in `out`, which the loop (sse.c) takes from there.
 *
 *   bytes -> serve_input -> route.c -> publish.c   -> broker_put, topic_mark
 *                           client.c   |                                    +--> answer.c -> out
 *                                      +-> subscribe.c -> topic_subscribe --|
 *                                      |   poll.c, ready.c, socket.c        |
 *                                      `-> metrics.c, topics.c, files.c ----'
 *
 * INVARIANTS
 *   - `out` belongs to the connection at hand; the loop empties it before it turns to another. When
 *     a head or a part of a body is brought, SERVE_ROOM of it is free, which any answer fits into.
 *   - `ask` and `req` are those of the request at hand. A body that comes in parts brings its own
 *     back (struct body, at the front of its intake).
 *   - Between two turns of the loop `ready` and `started` are all that is needed of a struct server
 *     besides its tables, its options and what they are set up from: who hands those over hands
 *     them over.
 *   - A function that gives false or 0 for "refused" has put the refusal into `out` and the
 *     connection's state in order.
 */
#ifndef SSE_LIB_SERVE_SERVE_H
#define SSE_LIB_SERVE_SERVE_H

#include "http.h"
#include "lib/auth/auth.h"
#include "lib/auth/grant.h"
#include "lib/auth/remember.h"
#include "lib/auth/throttle.h"
#include "lib/broker/render.h"
#include "lib/cors.h"
#include "lib/net.h"
#include "lib/opt.h"
#include "lib/serve/conn.h"
#include "lib/serve/intake.h"
#include "lib/serve/page.h"
#include "lib/stat.h"
#include "ring.h"

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

/* What the request at hand asks of its answer, and who asks. */
struct context {
    enum http_method method;
    bool keep_alive; /* the connection goes on after the answer */
    bool body;       /* it has a body that has not been read */
    bool local;      /* the client is on this host, and names this server: it has rights by that */
    bool foreign;    /* it is on this host, and names another server (lib/authority.h) */
    bool named;      /* serve_here() has looked at that */
    uint8_t minor;   /* of its HTTP version */
    uint16_t cors;   /* what cors_find() says of its origin */
    bool waits;      /* it is a poll that asks to wait, ... */
    uint64_t wait;   /* ... so many seconds, as far as that is allowed */
    uint64_t from;   /* the client's addr_key(); 0 also where s->pass is NULL */
    uint64_t proxy;  /* that of the proxy in between */
    enum via via;
    enum cors_scheme scheme; /* by which the client asks, as its proxy says */

    /* for the log */
    struct span path;        /* decoded; a null pointer: not known */
    const struct conn *conn; /* whose it is; NULL: of one that has no slot */
    const char *way;         /* what it turned out to ask for; NULL: nothing yet */
    uint32_t began;          /* ms: when its first byte came */
};

/* Subscribers that do not take what there is for them: their sockets were full when the sweep
 * looked. */
struct lag {
    uint32_t subscribers;
    uint64_t bytes; /* of the ring, from the place of the last of them to the head */
};

/* Refusals that were logged, so that a flood of them is not one of the log. */
struct refusals {
    uint64_t second; /* by server.now */
    uint32_t said;   /* in this second, ... */
    uint64_t more;   /* ... and how many were not */
};

/* What is known of whether messages go through: see ready.c. */
struct ready {
    uint64_t ok_ms; /* when (monotonic) the fan-out last came by and the ring was right; 0: never */
    uint32_t topic; /* the inside topic; 0: there is none now */
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
    uint8_t way;
    bool draining;
    uint32_t size, body; /* bytes; of them, of the body; 0: there is none */
    char bytes[4096];
};

/* What is put while the store syncs before anyone is told: host/commit.h. Syncs are numbered, from
 * 1 to CONN_GROUPS in turn. */
struct hold {
    bool on;
    bool put;        /* set by put_record(): whoever is served has published */
    uint8_t group;   /* the number of the sync that what is put now waits for, ... */
    uint8_t running; /* ... and of that which runs, or whose messages are being shown; 0: none */
    uint64_t to;     /* the end of what the last sync that was begun covers */
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

/* What is kept of who a connection is from, besides its place in the table. */
struct pass {
    uint64_t from; /* addr_key() of the peer; of a WebSocket that of the client */
    uint32_t
        grant; /* SOCKET, BODY: what its token allows (lib/auth/grant.h); 0: nobody asked for one */
    uint32_t expires; /* unix time: STREAM, SOCKET, WAIT: when its token ends; 0: never */
};

/* What the key file was when it was read last, and when to look again. */
struct keys_seen {
    uint64_t inode, size, time_ns;
    uint64_t next; /* S.now */
};

struct server {
    struct opt opt;
    struct ring ring;
    struct topics topics;
    struct broker broker; /* the ring by topic */
    struct conns conns;
    struct stat_counters stat;
    struct http_limits limits;
    struct auth_keys keys;    /* none: who may do what depends on where they are */
    struct grants grants;     /* where there are keys */
    struct pass *pass;        /* by descriptor; NULL: no flag asks for it */
    struct throttle failures; /* bad tokens, by address */
    struct nets proxies;      /* that are trusted */
    struct nets bound;        /* addresses of its listeners; who has set them up fills it, ... */
    bool admin;               /* ... and notes whether one of them is of --admin */

    uint64_t now;         /* ms, monotonic, read once a turn */
    uint64_t wall;        /* ms, wall clock, likewise */
    char date[32];        /* as text, for the Date field */
    uint64_t random;      /* state of the generator, not 0 */
    uint64_t clock_ahead; /* ms: what the ring's clock is ahead of `now` by */
    bool draining; /* the server ends: nobody is kept, and nobody is to stay; the loop sets it */
    struct ready ready;
    struct hold hold;
    uint64_t started;     /* ms, wall clock: when the server did; upgrades in place go on with it */
    uint64_t turn_max_us; /* the longest turn of the loop so far */
    struct lag lag;       /* as the last sweep over the whole table found it */
    struct refusals refusals;
    bool pause;   /* stop reading this connection until its next turn */
    bool brief;   /* others wait: what may take long is put off to a turn of its own */
    bool put_off; /* the current request has been put off: nothing of it is done yet */

    struct context ask;
    struct http_request req;
    struct access access;
    struct text out;    /* the answers of the connection at hand, ... */
    struct iovec *tail; /* ... and what follows them: pieces in s->poll, or none */
    unsigned tail_pieces;
    struct share poll; /* the messages of the poll at hand */
    struct woken woken;
    char path[SERVE_HEAD_MAX];  /* of the request at hand, decoded */
    char scratch[SERVE_ROOM];   /* for a parameter, or a body, of the request at hand */
    char token[AUTH_TOKEN_MAX]; /* the claims of the request at hand */
    char names[SERVE_NAMES];    /* what of its path it may subscribe to */
    char challenge[1024];       /* the field line that access_challenge() gave last */
    char quoted[8][128];        /* what serve_quote() gave last */
    char named[64];             /* the Host that serve_host_own() last found to be this server's */
    uint8_t named_n;
    unsigned quotes;
    char page[SERVE_PAGE]; /* an answer of metrics.c or topics.c */
    struct page files;     /* what files.c has given out */

    struct keys_seen keys_seen; /* of the key file: host/keys.c */
    struct remember remember;   /* tokens whose signature has been found good with these */

    /* Logs a line: pairs of key and value follow, ended by NULL. */
    void (*say)(enum opt_log level, const char *msg, ...) TEXT_LIST_POINTER;
    /* Appends the address of the peer of a client's socket; false: it has none. NULL: nobody
     * knows. */
    bool (*peer)(int fd, struct text *t);
};

/* ---- for the loop ---------------------------------------------------------------------------- */

/* Takes --trust-proxy from s->opt. */
void serve_trust(struct server *s);

/* Takes what has come for a connection in HEAD, BODY or SOCKET: a request head with what of its
 * body is handled at once, a part of a body, or a frame; `seen` as http_parse() has it. Each call
 * is a step of a few milliseconds at most. buf is written to. Returns the bytes taken, 0 if a head
 * is not complete, or if its request may take longer than s->brief allows: then s->put_off is set,
 * and it is to be brought again with s->brief not set. */
size_t serve_input(struct server *s, struct conn *c, char *buf, size_t len, size_t seen);

/* Does what a connection is to be answered wait for a sync, as it told of what it published? */
static inline bool serve_waits(const struct server *s, const struct conn *c)
{
    uint8_t group = (c->marks & CONN_GROUP) >> CONN_GROUP_SHIFT;
    return group != 0 && (group == s->hold.running ||
                          (group == s->hold.group && ring_end(&s->ring) > s->hold.to));
}

/* Has so much been published since the last sync that publishers should wait for the next? */
static inline bool serve_hold_full(const struct server *s)
{
    return s->ring.h->held_size > s->ring.size / 4;
}

/* Refuses what a connection has published and was not answered, as the store could not be synced:
 * 503 takes the place of its answers, or its WebSocket is closed. */
void serve_unsynced(struct server *s, struct conn *c);

/* Counts a subscriber in *lag that does not take what there is for it. */
void serve_lag(const struct server *s, const struct conn *c, struct lag *lag);

/* Is the time up that a message of a body or of a WebSocket has, or that a subscriber's token gave
 * it; or has such a message more room than its share, as others have come? Then it has been told
 * so, and what it has is ended. */
bool serve_late(struct server *s, struct conn *c);

/* Does a client take what is kept for it at less than --write-timeout and --min-rate ask for, or
 * has it more of the buffers than its share? Then it is counted, and this is the reason to end it;
 * else NULL. */
const char *serve_holds_long(struct server *s, struct conn *c);

/* What is to be done about a connection whose time is up (CONN_DUE_REQUEST, _IDLE, _WRITE, _LINGER,
 * _PONG), which is counted: the reason to end it, or NULL, as its request has been answered or is
 * one that may take its time. */
const char *serve_overdue(struct server *s, struct conn *c, enum conn_due due);

/* Refuses a request in HEAD that can't be kept until it is complete, for want of buffers. */
void serve_no_room(struct server *s, struct conn *c);

/* Turns a client away that has no place in the table; `why` names the limit. buf[0..len) is what of
 * its request has come so far. */
void serve_stranger(struct server *s, const char *buf, size_t len, const char *why);

/* Looks whether the ring has overtaken a subscriber, and puts the gap event into `out` if it has
 * lost messages. False: it happened inside a record, and nothing can be mended. */
bool serve_stream_check(struct server *s, struct conn *c);

/* Fills *share with what a subscriber that serve_stream_check() let pass gets next; inside a record
 * that is the rest of it alone. False: there is nothing here for it, and it has been moved on, to
 * the head or to where to look next. */
bool serve_next(struct server *s, struct conn *c, struct share *share);

/* Returns the form in which a way of getting messages has them. */
static inline enum form serve_form(enum conn_way way)
{
    _Static_assert((int)WAY_EVENTS == FORM_EVENTS && (int)WAY_LINES == FORM_LINES &&
                       (int)WAY_FRAMES == FORM_FRAMES && (int)WAY_OBJECTS == FORM_OBJECTS &&
                       (int)WAY_POLL_JSON == FORM_LIST && (int)WAY_POLL_LINES == FORM_LIST_LINES &&
                       (int)WAY_POLL_TEXT == FORM_TEXT && (int)WAY_READY == FORM_NONE,
                   "they are numbered alike");
    return (enum form)way;
}

/* Moves a client on by `w` bytes of a share. Returns how many records that completed. */
static inline unsigned serve_moved(const struct server *s, struct conn *c,
                                   const struct share *share, size_t w)
{
    struct share_place p = {c->place.at, c->place.n, c->stream.sent};
    unsigned records = share_took(share, &s->ring, &p, w);
    c->place.at = p.at;
    c->place.n = p.n;
    c->stream.sent = p.sent;
    return records;
}

/* Moves it on by the `w` bytes of that share that were written, the first `sent` of the record not
 * counted; counts. */
void serve_took(struct server *s, struct conn *c, const struct share *share, size_t w);

/* Brings up to date a client that waits: answers it, and ends its waiting, if there is something
 * for it, or if it has waited long enough (`timeout`). */
void serve_wake(struct server *s, struct conn *c, bool timeout);

/* Appends a sign of life for a subscriber that is up to date and has had nothing for a while: a
 * comment, an empty line, a ping; or its id, if the ring has gone half around since it had one, so
 * that it never falls out of a busy ring. */
void serve_heartbeat(struct server *s, struct conn *c);

/* Sends a client away, as the server ends: one that is subscribed or waits is told to come back, in
 * the way it speaks, and is answered for the last time. What of the ring it is to have before that
 * has been written, as far as its socket took it; the rest of a record that is partly out is kept.
 * Nothing is done to the others. */
void serve_drain(struct server *s, struct conn *c);

/* Says how many refusals were not logged, once their second is over; at once, if the server
 * ends. */
void serve_log_rest(struct server *s, bool end);

/* Writes into the access log that a connection that was subscribed ends, and why. */
void serve_log_end(struct server *s, const struct conn *c, const char *reason);

/* Nothing is to be remembered any more of a connection that is about to be closed. */
void serve_forget(struct server *s, const struct conn *c);

/* Frees an entry of the table of topics if nobody needs it any more. */
void serve_release(struct server *s, uint32_t id);

/* A byte as a string, "byte 0x22", which is good as long. */
const char *serve_byte(struct server *s, char byte);

/* A span, or a number, as a string, for messages: at most 127 bytes of it, with "?" for control
 * bytes and for what is not UTF-8; good until the eighth call from here. */
const char *serve_quote(struct server *s, struct span text);
const char *serve_num(struct server *s, uint64_t v);

/* What a connection is to be written before records and what follows its answers: puts it into the
 * two places before `iov`, and gives how many of them it used. */
unsigned serve_out_put(const struct server *s, const struct conn *c, struct iovec *iov);

/* Strikes off `w` bytes that were written of that; gives those that were of something else. Strikes
 * them off s->tail. */
size_t serve_out_took(struct server *s, struct conn *c, size_t w);
void serve_tail_took(struct server *s, size_t w);

/* By which limit a topic or a set was refused just now, for a message; counts that as well. */
const char *serve_count_topics_full(struct server *s);

/* By which limit a buffer was refused just now, for a message: --max-buffers, or the share of it;
 * counts that as well. */
const char *serve_full(const struct server *s);
const char *serve_count_full(struct server *s);

/* Keeps `out` and the tail with the connection, as its socket is full. False: there is no room. */
bool serve_out_keep(struct server *s, struct conn *c);

/* ---- between its parts ----------------------------------------------------------------------- */

/* Answers 408: the request has not come in time, or, of a body, too slowly. */
void serve_timeout(struct server *s, struct conn *c);

/* Has a connection in BODY, inside a message, had more time for it than --request-timeout and
 * --min-rate give? Then serve_timeout() is due. */
bool serve_body_late(const struct server *s, const struct conn *c);

/* Ends a body, or a WebSocket, whose message has more room than its share. */
void serve_body_full(struct server *s, struct conn *c);
void serve_socket_full(struct server *s, struct conn *c);

/* Has a WebSocket, inside a message, had more time for it than these give? Then serve_socket_slow()
 * is due, which closes it. */
bool serve_socket_late(const struct server *s, const struct conn *c);
void serve_socket_slow(struct server *s, struct conn *c);

/* Is the time up that a subscriber's token gave it? Then serve_expire() is due, which tells it and
 * ends what it has. */
bool serve_expired(const struct server *s, const struct conn *c);
void serve_expire(struct server *s, struct conn *c);

/* Whom s->pass says that a connection is from. */
uint64_t serve_from(const struct server *s, const struct conn *c);

/* Notes in s->ask who the request in s->req is from, which came over this connection. */
void serve_client(struct server *s, const struct conn *c);

/* Is the client of the request in s->ask on this host, and does it mean this server, as Host tells?
 * Looks at Host when it is asked first: most requests need no right by their place. */
bool serve_here(struct server *s);

/* Returns true if the request in s->req names this server in Host, or names none
 * (lib/authority.h). */
bool serve_host_own(struct server *s);

/* Returns true if the current request, of which nothing is done yet, may not take long now: it has
 * been put off, and the caller returns. */
bool serve_put_off(struct server *s);

/* The name of a method. */
const char *serve_method_name(enum http_method method);

/* Appends the front of every answer. */
void serve_answer_head(struct server *s, int status);

/* Writes an answer's line in the access log; `bytes` of body, of a stream 0. */
void serve_log_answer(struct server *s, int status, uint64_t bytes);

/* Writes a refusal's line in the log, unless there have been too many in this second. */
void serve_log_refusal(struct server *s, int status, struct span detail);

/* The last answer of a connection is out, or will be: what the peer still sends is dropped. */
void serve_answered_last(struct server *s, struct conn *c);

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
bool serve_declared(struct server *s, struct conn *c, struct span names);

/* The same without a request: false, and nothing is said. */
bool serve_names_declared(const struct server *s, struct span names);

/* How many names and wildcards a path has. */
size_t serve_name_count(struct span names);

/* The same for one whose body is longer: the front of it is appended, and `more` bytes will follow
 * behind `out`. */
void serve_answer_long(struct server *s, struct conn *c, struct span fields, const char *type,
                       struct span front, size_t more);

/* The same for a HEAD of what has not been rendered: how long it would be is not said. */
void serve_answer_bare(struct server *s, struct conn *c, struct span fields, const char *type);

/* Answers it as another was, with the same bytes, `body` of which are of its body. */
void serve_answer_again(struct server *s, struct conn *c, int status, struct span answer,
                        size_t body);

/* Answers the request at hand with what is written in s->page. */
void serve_answer_page(struct server *s, struct conn *c, const char *type, size_t size);

/* GET or HEAD of /-/metrics, and of /-/topics. */
void serve_metrics(struct server *s, struct conn *c);
void serve_topics(struct server *s, struct conn *c);

/* GET or HEAD of a topic as a stream, in form WAY_EVENTS or WAY_LINES; `names` is the path,
 * decoded. */
void serve_subscribe(struct server *s, struct conn *c, struct span names, enum conn_way way);

/* The quality, 0 to 1000, that Accept gives the form of a poll's answer it likes best. */
unsigned serve_poll_quality(const struct server *s);

/* GET or HEAD of a topic as a poll. */
void serve_poll(struct server *s, struct conn *c, struct span names);

/* Makes the current request, a poll, wait in form `way` on entry `id`, until s->now + ms. */
void serve_wait_begin(struct server *s, struct conn *c, uint32_t id, enum conn_way way,
                      uint64_t ms);

/* Ends the waiting: the request that the client waits with is the current one again. */
void serve_wait_end(struct server *s, struct conn *c);

/* A store has been opened, which may hold the inside topic. */
void serve_ready_recover(struct server *s);

/* GET or HEAD of /-/ready; and what serve_wake() is for those who wait for its answer. */
void serve_ready(struct server *s, struct conn *c);
void serve_ready_wake(struct server *s, struct conn *c, bool timeout);

/* GET or HEAD of the live page; of the helper for pages, /-/sse.js. */
void serve_live_page(struct server *s, struct conn *c);
void serve_helper(struct server *s, struct conn *c);

/* A topic is about to be freed, as the broker tells. */
void serve_ready_gone(void *server, uint32_t topic);

/* Refuses the request at hand with 503, as the server ends. */
void serve_refuse_draining(struct server *s, struct conn *c);

/* Refuses with 503, as a buffer was refused just now, and counts that; `where` stands in front. */
void serve_refuse_full(struct server *s, struct conn *c, const char *where);

/* Moves the rest of a record that is partly out into the connection's buffer, in front of what is
 * kept there, so that what comes next does not depend on it. False: there is no room, or the ring
 * has overtaken it. */
bool serve_settle(struct server *s, struct conn *c);

/* Takes a subscriber off what it is subscribed to. */
void serve_leave(struct server *s, struct conn *c);

/* GET of a topic with Upgrade: websocket. */
void serve_socket(struct server *s, struct conn *c, struct span names);

/* Takes what has come for a WebSocket, up to the end of a piece of a message or a control frame;
 * gives the bytes taken. */
size_t serve_frames(struct server *s, struct conn *c, char *buf, size_t len);

/* Tells a WebSocket of a gap: in json, or by a close. */
struct gap;
void serve_socket_gap(struct server *s, struct conn *c, const struct gap *gap);

/* Closes a WebSocket whose token has expired. */
void serve_socket_expired(struct server *s, struct conn *c);

/* Closes one whose messages may be lost, as the store could not be synced. */
void serve_socket_unsynced(struct server *s, struct conn *c);

/* Closes a WebSocket, as the server stops. */
void serve_socket_away(struct server *s, struct conn *c);

/* Appends a ping, behind a checkpoint if the last id it had is `old`. */
void serve_socket_ping(struct server *s, struct conn *c, bool old);

/* Appends an answer that turns an SSE client away so that it comes back: EventSource gives up for
 * good on a 503. It is the connection's last. */
void serve_stream_away(struct server *s);

/* Appends a 200 that is the last of a connection without a slot. */
void serve_answer_stranger(struct server *s, const char *type, struct span body);

/* Appends a 503 that is the connection's last. */
void serve_refuse_stranger(struct server *s, const char *detail);

/* POST or PUT to a topic. rest[0..len) is what came behind the head; gives how much of it was the
 * body, as far as it was handled at once. */
size_t serve_publish(struct server *s, struct conn *c, struct span topic, const char *rest,
                     size_t len);

/* Is the body of the request a batch whose lines may name their topics (NDJSON)? */
bool serve_batch_names(const struct server *s);

/* Takes bytes of a body; gives how many were of it. */
size_t serve_body(struct server *s, struct conn *c, char *buf, size_t len);

/* Answers 408: a body has not come in time. */
void serve_body_timeout(struct server *s, struct conn *c);

#endif
