/*
 * conn.h - the table of connections: a slot of one cache line for each, by its descriptor.
 *
 *             .------------ answered, keep-alive -----------.
 *             v                                             |
 *   FREE --> HEAD ---> BODY (what is published arrives) ----+
 *             |  `---> WAIT (long polling) -----------------+
 *             |  `---> STREAM (Server-Sent Events, lines) --|--.
 *             |  `---> SOCKET (WebSocket) ------.           |  |
 *             `--- refused, or "close" ---> LINGER <--------'<-'
 *
 *   HEAD, BODY, WAIT, STREAM, SOCKET, LINGER ---> DOOMED ---> FREE
 *
 * A subscriber is a place in the ring (struct conn_place, and how much of the record there is
 * written) and nothing else: replay, live and slow delivery are the same. A connection owns a
 * buffer only while a request is incomplete or an answer does not fit the socket.
 *
 * INVARIANTS
 *   - The state changes only by conn_go(), which asserts that the step is a legal one, and counts.
 *   - A slot is on one list at most (queue.h).
 *   - A client's slot is emptied only by conn_free(), after its turn among the doomed, and its
 *     `gen` grows then: code that kept (gen, descriptor) sees that it is another connection now.
 *   - The table and the buffers hold numbers only, no pointers.
 *
 * OWNERSHIP: the memory is the caller's, zeroed; it may be much larger than what is used, as it is
 * touched as descriptors come into use. No system calls are made here: the caller opens, reads,
 * writes and closes.
 */
#ifndef SSE_LIB_SERVE_CONN_H
#define SSE_LIB_SERVE_CONN_H

#include "lib/pool.h"
#include "lib/text.h"
#include "lib/topic/members.h"

#include <assert.h>

enum conn_state {
    CONN_FREE = 0,
    CONN_OWN = 1,    /* of the process itself: enum descriptor */
    CONN_HEAD = 2,   /* between requests, or inside a request's head */
    CONN_BODY = 3,   /* inside the body of a publishing request */
    CONN_STREAM = 4, /* subscribed */
    CONN_WAIT = 5,   /* subscribed until the next message, or until `due` */
    CONN_SOCKET = 6, /* subscribed, and speaks WebSocket */
    CONN_LINGER = 7, /* answered for the last time: reads on until the peer closes, or a moment */
    CONN_DOOMED = 8, /* to be closed at the end of the turn */
};

/* The kinds of the process's own descriptors. The loop has a handler for each. */
enum descriptor {
    DESCRIPTOR_LISTENER = 0,
    DESCRIPTOR_SIGNALS = 1, /* the signalfd */
    DESCRIPTOR_STORE = 2,   /* the eventfd by which the store's thread says that a sync is done */
    DESCRIPTOR_TRIAL = 3,   /* the pipe from a trial of the next program */
    DESCRIPTOR_WAKE = 4,    /* the eventfd by which other workers wake this one */
    DESCRIPTOR_LEASH = 5,   /* the pipe that is closed when the parent of the workers is gone */
    DESCRIPTORS = 6,
};

/* The transport of a subscriber. */
enum conn_transport {
    TRANSPORT_EVENTS = 0,     /* STREAM: Server-Sent Events */
    TRANSPORT_LINES = 1,      /* STREAM: a JSON object a line */
    TRANSPORT_FRAMES = 2,     /* SOCKET: the data, a frame each */
    TRANSPORT_OBJECTS = 3,    /* SOCKET: a JSON object a frame */
    TRANSPORT_POLL_JSON = 4,  /* a poll, also in WAIT: one JSON object, */
    TRANSPORT_POLL_LINES = 5, /* a JSON object a line, */
    TRANSPORT_POLL_TEXT = 6,  /* the bare data, a line each */
    TRANSPORT_READY = 7,      /* in WAIT: asks whether messages go through */
};

#define TRANSPORTS 8u

/* The kinds by which clients are counted. */
enum conn_kind {
    CONN_KIND_HTTP = 0,   /* between requests, or in one of no other kind */
    CONN_KIND_EVENTS = 1, /* STREAM: Server-Sent Events */
    CONN_KIND_LINES = 2,  /* STREAM: a JSON object a line */
    CONN_KIND_SOCKET = 3,
    CONN_KIND_WAIT = 4, /* WAIT, but not for /-/ready */
    CONN_KINDS = 5,
};

enum conn_flag {
    CONN_READABLE = 1, /* not read to EAGAIN since the last edge */
    CONN_WRITABLE = 2, /* not written to EAGAIN since the last edge */
    CONN_READY = 4,    /* on one of the first three lists (queue.h) */
    CONN_LOCAL = 8,    /* the peer is on this host: loopback or a unix socket; SOCKET: the client */
    CONN_SHED = 16,    /* over --max-connections: refused once its request is read */
    CONN_USED = 32,    /* has sent a request before */
    CONN_EOF = 64,     /* the peer sends no more */
    CONN_CLOSE = 128,  /* close when what is pending has been written */
    CONN_STARVED = 256,    /* the kernel had no memory: no edge will come, the sweep tries again */
    CONN_CURSOR = 512,     /* SOCKET: came with a cursor */
    CONN_PINGED = 1024,    /* SOCKET: a pong is due */
    CONN_KEEP = 2048,      /* WAIT: the connection goes on after the answer, */
    CONN_OLD = 4096,       /* WAIT: which is to an HTTP/1.0 request */
    CONN_HELD = 8192,      /* on QUEUE_HELD */
    CONN_CROWD = 16384,    /* over --max-per-address: refused as with CONN_SHED */
    CONN_CONFLATE = 32768, /* gets only the newest pending message of each topic */
};

enum conn_mark {
    CONN_HEAVY = 1,   /* its last read was large: other clients go first */
    CONN_PROXIED = 2, /* the peer is a trusted proxy, which names the client of each request */
    CONN_PREFACE = 4, /* a PROXY header is due before anything else */
    CONN_ADMIN = 8,   /* an DESCRIPTOR_LISTENER of --admin, or a client that came in there */
    CONN_FOREIGN =
        16,           /* SOCKET: its handshake named another server, so it has no rights by place */
    CONN_KEPT = 32,   /* `in` begins with bytes received and not handled */
    CONN_GROUP = 192, /* two bits: the sync for which its last published message waits; 0: none */
    CONN_BEATS = 256, /* its heartbeats are visible to a page: events, lines or frames */
    CONN_BARE = 512,  /* WAIT: the request is a HEAD */
    CONN_TAGGED = 1024, /* WAIT: the request came with If-None-Match */
    CONN_PURGES = 2048, /* HEAD: its DELETE has begun: struct conn_purge */
};

#define CONN_GROUP_SHIFT 6  /* of CONN_GROUP */
#define CONN_GROUPS      3u /* numbers of syncs, from 1, used in turn: two are known at a time */

/* A subscriber's place in the ring, which decides what it gets next; and the cursor that its client
 * has, which is an outer id: with what its topics have lost, ids too, it tells of a gap. */
struct conn_place {
    uint64_t at; /* offset of the record to send next, or where it will be */
    uint64_t n;  /* n of the last id that it was sent */
};

/* STREAM, SOCKET */
struct conn_stream {
    struct conn_place place;
    uint32_t
        sent; /* 0: between two records; else the place inside the one at place.at (render.h) */
    uint32_t pinged; /* SOCKET, while CONN_PINGED: ms: when it was */
};

#define CONN_WAIT_SECONDS 0x1ffffu /* the most that conn_wait.seconds holds: a day is less */
#define CONN_WAIT_CORS    0x7fffu  /* and .cors: there are fewer origins (OPT_LIST_MAX) */

/* WAIT */
struct conn_wait {
    struct conn_place place;
    uint32_t due;          /* ms: when to answer without a message */
    uint32_t seconds : 17; /* that it asked to wait; 0: it did not ask */
    uint32_t cors : 15;    /* what cors_find() returned for its origin */
};

/* HEAD, while CONN_PURGES */
struct conn_purge {
    uint64_t n;        /* of the record that purges */
    uint32_t messages; /* that it took away */
    bool wiped;        /* their bytes are */
};

/* LINGER */
struct conn_linger {
    uint64_t dropped; /* bytes received and dropped */
};

/* OWN */
struct conn_own {
    uint8_t kind; /* enum descriptor */
};

/* DOOMED */
struct conn_doomed {
    uint32_t topic; /* the entry that it was subscribed to; 0: none */
};

/* A connection. */
struct conn {
    struct topic_link link; /* its link among the subscribers of its entry */
    uint32_t gen;           /* how often this slot was used before */
    union {                 /* by state; conn_place() and the like assert it */
        struct conn_place place;
        struct conn_stream stream;
        struct conn_wait wait;
        struct conn_purge purge;
        struct conn_linger linger;
        struct conn_doomed doomed;
        struct conn_own own;
    };
    uint32_t in;   /* buffers of its input, see conn_in_keep(): bytes kept, then the caller's */
    uint32_t out;  /* buffer of answers that did not fit the socket */
    uint32_t next; /* on its list */
    uint32_t
        tick; /* ms: when its time began: at its last progress, or at the first byte of a head */
    uint16_t flags;    /* enum conn_flag */
    uint16_t marks;    /* enum conn_mark */
    uint8_t state;     /* enum conn_state */
    uint8_t transport; /* subscribed: enum conn_transport */
};
_Static_assert(sizeof(struct conn) <= 64, "a connection is one cache line");

/* The lists of clients that wait: see queue.h. */
enum queue {
    QUEUE_UNSEEN = 0,
    QUEUE_SOON = 1,
    QUEUE_READY = 2,
    QUEUE_HELD = 3,
    QUEUES = 4,
};

struct queue_ends {
    uint32_t first, last; /* 0: empty */
};

struct conns {
    struct conn *conn;         /* by descriptor */
    uint32_t max;              /* descriptors there can be */
    uint32_t top;              /* no slot above is in use */
    uint32_t clients;          /* slots in use by clients, ... */
    uint32_t kind[CONN_KINDS]; /* ... and how many of each kind */
    struct queue_ends queue[QUEUES];
    uint32_t ready_count; /* on the first three of them, ... */
    uint32_t held_count;  /* ... and on that of the held */
    uint32_t doomed;      /* list of the doomed; 0: empty */
    struct pool buffers;
    uint32_t parts;  /* one buffer is at most 1/parts of what is free: see fair.h */
    bool over_share; /* the last refusal of a buffer was for its share */
    size_t stale;    /* pages of the buffers up to this offset are to be returned; 0: none */
    void (*give_back)(void *p, size_t n); /* returns pages of freed large buffers to the system */
};

/* Returns true if the connection gets messages for as long as it is open. */
static inline bool conn_streams(const struct conn *c)
{
    return c->state == CONN_STREAM || c->state == CONN_SOCKET;
}

/* Returns true if a record is partly written: nothing may be sent before its rest. */
static inline bool conn_inside(const struct conn *c)
{
    return conn_streams(c) && c->stream.sent > 0;
}

/* Returns the connection that has this link. */
static inline struct conn *conn_of_link(struct topic_link *link)
{
    return (struct conn *)(void *)((char *)link - offsetof(struct conn, link));
}

static inline int conn_fd(const struct conns *t, const struct conn *c)
{
    return (int)(c - t->conn);
}

/* Changes the state; the step must be a legal one: asserted. For a state with a transport, set
 * c->transport first, and leave it while the state lasts. */
void conn_go(struct conns *t, struct conn *c, enum conn_state to);

/* Take slot `fd` into use, which must be free: for a client, in HEAD, at time `now` (ms); for one
 * of the process's own descriptors. */
struct conn *conn_open(struct conns *t, int fd, uint64_t now);
struct conn *conn_open_own(struct conns *t, int fd, enum descriptor kind);

/* Returns true if the slot is that of one of the process's own descriptors of that kind. */
static inline bool conn_is_own(const struct conn *c, enum descriptor kind)
{
    return c->state == CONN_OWN && c->own.kind == kind;
}

/* Empties the slot of a doomed connection, which must have left its subscription, and frees its
 * buffers. */
void conn_free(struct conns *t, struct conn *c);

/* Empties the slot of one of the process's own descriptors, which the caller closes. */
void conn_free_own(struct conns *t, struct conn *c);

/* Allocate a buffer of at least `bytes` (> 0); make one at least that long, keeping its first
 * `keep` bytes: as pool_alloc() and pool_grow(), but within one connection's share. Return 0 if
 * there is no room; t->over_share says whether the share was the reason. */
uint32_t conn_buffer_alloc(struct conns *t, size_t bytes);
uint32_t conn_buffer_grow(struct conns *t, uint32_t block, size_t bytes, size_t keep);

/* Returns true if a connection has a buffer larger than it could get now, as other clients have
 * come. */
bool conn_over_share(const struct conns *t, const struct conn *c);

/* Frees a buffer, unless *block is 0, and sets *block to 0. */
void conn_buffer_free(struct conns *t, uint32_t *block);

/* Return pages of buffers to the system, some at each call, once no buffer is in use and many were;
 * returns true if there are such pages. */
void conn_buffers_give_back(struct conns *t);
bool conn_buffers_stale(const struct conns *t);

/* Keeps bytes of an answer after those kept before. Returns false with nothing kept if there is no
 * room. */
bool conn_out_keep(struct conns *t, struct conn *c, struct span bytes);

/* Return the kept bytes that are still to be written; strike off the first n of them, and free the
 * buffer with the last. */
struct span conn_out(const struct conns *t, const struct conn *c);
void conn_out_took(struct conns *t, struct conn *c, size_t n);

/* Returns true if the peer has taken the kept bytes too slowly: `quiet` is in ms, `rate` in bytes a
 * second (lib/pace.h). Time counts from the first call on, and is as exact as the calls are
 * frequent. */
bool conn_out_slow(struct conns *t, const struct conn *c, uint64_t now, uint32_t rate,
                   uint32_t quiet);

/* Keeps bytes (> 0) of an incomplete request head, or bytes that have to wait, `seen` of which were
 * parsed before; in BODY and SOCKET the caller's buffer stays behind them. The connection is in
 * HEAD, WAIT, BODY or SOCKET and has nothing kept: asserted. Returns false if there is no room. */
bool conn_in_keep(struct conns *t, struct conn *c, struct span bytes, size_t seen);

/* Moves the kept bytes to `buf`, which has room, and sets *seen. Returns their number, 0 if none
 * are kept. */
size_t conn_in_take(struct conns *t, struct conn *c, char *buf, size_t *seen);

/* Return the caller's buffer, also if bytes are kept in front of it; 0 if there is none. Free it
 * and the kept bytes. */
uint32_t conn_in_block(const struct conns *t, const struct conn *c);
void conn_in_free(struct conns *t, struct conn *c);

/* The timeouts of connections, in ms. */
struct conn_times {
    uint32_t heartbeat, request, idle, write, linger;
};

/* Returns the shortest timeout. */
uint32_t conn_times_least(const struct conn_times *times);

enum conn_due {
    CONN_DUE_NOTHING = 0,
    CONN_DUE_HEARTBEAT = 1, /* a subscriber that was sent nothing for a while */
    CONN_DUE_REQUEST = 2,   /* a request is not complete in time */
    CONN_DUE_IDLE = 3,      /* no next request */
    CONN_DUE_WRITE = 4,     /* the peer does not take what is pending */
    CONN_DUE_LINGER = 5,    /* answered, and the peer does not close */
    CONN_DUE_ANSWER = 6,    /* waits, and has waited long enough */
    CONN_DUE_PONG = 7,      /* was pinged, and has not answered */
};

/* Returns what is due for this connection at `now` (ms). */
enum conn_due conn_due(const struct conn *c, uint64_t now, const struct conn_times *times);

#endif
