/*
 * swarm.h - for the load programs: thousands of clients and some publishers in
 * one process, which check every message.
 *
 * MESSAGES. Publisher p numbers what it publishes, from 0 on, over all topics;
 * topic, size, event name and filling of message (p, seq) follow from the two
 * and the seed, and its data begins with p, seq, the time and a check of these.
 * What is known of the newest of each publisher stands in its history: the id,
 * once an answer or a delivery has told it, and whether it was acknowledged.
 *
 *     SENT --answered--> KEPT     must reach everyone whose topics it is of
 *       |                  ^
 *       `-cut---> UNSURE --delivered                  may or may not be there
 *                    `----swarm_read_all: not there--> GONE, and must never
 * come
 *
 * CLIENTS read in one of six ways, each of a set of topics. A client holds for
 * each publisher which number is due: what comes has to be next of its topics,
 * so none is missed, repeated or out of order; where ids are told they must
 * grow, and be the same for all. After a cut it goes on by its cursor. Numbers
 * may be left out only where the message was never acknowledged, or, behind a
 * gap that was told (and only where `gaps` allows one), where the ring can have
 * outrun it: that much was sent since. Where anything is wrong, the program
 * ends with child_die().
 *
 * Messages whose data does not begin with a digit are not of the swarm; who reads all topics passes
 * them over.
 *
 * A loop of its own (swarm_run()) moves all of it, in one thread; connections
 * are cut, paused and ended in between.
 */
#ifndef SSE_TEST_KIT_SWARM_H
#define SSE_TEST_KIT_SWARM_H

#include "lib/span.h"
#include "test/kit/child.h"

#define SWARM_PUBLISHERS 12
#define SWARM_TOPICS     64 /* g0/0 to g7/63: the group is a wildcard of eight */
#define SWARM_ALL        UINT64_MAX
#define SWARM_FLIGHT     256        /* requests without an answer on a connection */
#define SWARM_WORK       (8u << 20) /* bytes of what is read at once, and of the largest answer */

enum swarm_way {
    SWARM_EVENTS = 0,  /* Server-Sent Events */
    SWARM_LINES = 1,   /* a stream of NDJSON */
    SWARM_LONG = 2,    /* long polls over one connection */
    SWARM_SHORT = 3,   /* short polls over one connection */
    SWARM_FRAMES = 4,  /* WebSocket */
    SWARM_OBJECTS = 5, /* WebSocket with the json protocol */
    SWARM_WAYS = 6,
};

enum swarm_state {
    SWARM_OFF = 0,  /* no connection, and none wanted */
    SWARM_AWAY = 1, /* no connection; connects at `at` */
    SWARM_HEAD = 2, /* an answer's head is due */
    SWARM_OPEN = 3, /* a stream */
    SWARM_BODY = 4, /* the body of a poll's answer is due: `left` bytes */
    SWARM_IDLE = 5, /* a poll: the next request goes out at `at` */
};

struct swarm_client {
    int fd;
    uint8_t way, state;
    bool slow;  /* reads little, now and then */
    bool split; /* sends its requests in two parts */
    bool fresh; /* where it begins is for the server to say */
    bool lost;  /* raw frames: closed for a gap, and goes on from the oldest there
                 is */
    uint16_t status;
    uint16_t open, sure_open;        /* publishers of which no message has come yet, a bit each */
    uint16_t gap, sure_gap;          /* publishers of which messages may be left out */
    uint64_t mask;                   /* its topics */
    uint64_t cursor;                 /* N of its id */
    uint64_t from;                   /* where it began */
    uint64_t at;                     /* us */
    uint32_t due[SWARM_PUBLISHERS];  /* numbers */
    uint32_t sure[SWARM_PUBLISHERS]; /* raw frames: those at the cursor */
    size_t left;
    char *rest, *out; /* what came, or is to be sent, of something incomplete */
    uint32_t rest_n, out_n;
};

enum swarm_feed {
    SWARM_POST = 0,   /* a request a message, pipelined */
    SWARM_BATCH = 1,  /* NDJSON of many messages, with its length */
    SWARM_FEED = 2,   /* NDJSON in chunks, a body that stays open */
    SWARM_SOCKET = 3, /* objects over a WebSocket */
};

struct swarm_publisher {
    int fd;
    uint8_t feed;
    bool on;                       /* is to publish */
    bool split;                    /* sends in pieces */
    bool greeted, body;            /* the WebSocket is open; a feed's body is */
    unsigned number, depth;        /* its own; messages without an answer at most */
    double rate;                   /* messages a second; 0: as fast as they are answered */
    double credit;                 /* of those */
    uint32_t sent, acked;          /* numbers: the next to send, the next to be answered */
    uint16_t flight[SWARM_FLIGHT]; /* messages of each request without an answer */
    unsigned first, requests;      /* the oldest of those; how many */
    unsigned in_body;              /* messages of the feed's body so far */
    uint64_t body_end;             /* us: when it ends it */
    char *out;
    size_t out_n, out_at;
    char rest[2048]; /* of an answer */
    size_t rest_n;
};

enum swarm_fate {
    SWARM_SENT = 1,
    SWARM_KEPT = 2,
    SWARM_UNSURE = 3,
    SWARM_GONE = 4,
};

struct swarm_put {
    uint64_t n;     /* of its id; 0: not known yet */
    uint64_t bytes; /* sent by all up to it */
    uint32_t size;  /* of those, its own */
    uint8_t fate;
};

struct swarm {
    struct child *server;
    uint64_t seed, random;
    uint64_t epoch;      /* of the ids; 0: not known yet */
    uint64_t newest;     /* N of the newest id seen */
    uint64_t ring;       /* bytes of the server's ring */
    uint32_t size_max;   /* bytes of data */
    uint32_t history;    /* messages of each publisher that are remembered, a power
                        of two */
    uint32_t slow_most;  /* bytes that a slow client reads now and then, every 10 ms */
    bool gaps, cuts;     /* clients may be sent gaps; may be closed */
    bool slow_cuts;      /* slow clients may be closed */
    bool paused;         /* nobody connects or begins a request */
    uint64_t sent_bytes; /* at least what the ring took for all that was sent */
    uint64_t flight_bytes, flight_most;

    struct swarm_client *client;
    unsigned clients, client_room;
    struct swarm_publisher pub[SWARM_PUBLISHERS];
    unsigned pubs;
    struct swarm_put *put[SWARM_PUBLISHERS];

    int ep;
    uint64_t now; /* us */
    uint64_t swept;
    char *work;

    /* what was seen */
    uint64_t messages, acked, connects, cut, gap_count, missed_in_gaps, batches, by_way[SWARM_WAYS];
    uint64_t late_us;  /* the longest from publishing to arrival, of streams and
                        long polls */
    uint64_t since_us; /* only of what was published later than this */
};

/* ---- the swarm ---- */

/* Sets it up, for so many clients at most. `ring` is the server's. */
void swarm_init(struct swarm *s, struct child *server, uint64_t seed, unsigned clients,
                uint32_t history, uint32_t size_max, uint64_t ring);

/* Ends all connections and returns its memory back. */
void swarm_release(struct swarm *s);

/* Asks the server for the ids' epoch, which must be as before, and the newest
 * id. */
void swarm_epoch(struct swarm *s);

/* Adds a client, which connects when the loop runs; returns its number. */
unsigned swarm_add(struct swarm *s, enum swarm_way way, uint64_t mask);

/* Adds a publisher, which is off; returns its number. */
unsigned swarm_publish(struct swarm *s, enum swarm_feed feed, unsigned depth, double rate);
void swarm_publish_all(struct swarm *s, bool on);

/* Runs the loop for so long. */
void swarm_run(struct swarm *s, unsigned ms);

/* Runs until all that was sent is acknowledged and every client has all that
 * was, or dies. */
void swarm_settle(struct swarm *s, unsigned ms);

/* Cuts a client off, which then stays away for so long (or for good: -1 ms). */
void swarm_cut(struct swarm *s, unsigned client, bool reset, int ms);

/* Cuts all off: what publishers have sent without an answer becomes unsure.
 * Clients come back when the loop runs. */
void swarm_cut_all(struct swarm *s);

/* Returns a client that is off topics, way and beginning anew. */
void swarm_renew(struct swarm *s, unsigned client, enum swarm_way way, uint64_t mask);

/* Reads all the server has, over a connection of its own, and compares: what
 * was acknowledged must be there if the ring holds it, and of what is unsure
 * the fate is known after. Nothing may be publishing. Returns how many messages
 * there are. */
unsigned swarm_read_all(struct swarm *s);

/* How many are connected and have their stream, or wait. */
unsigned swarm_ready(const struct swarm *s);

uint64_t swarm_random(struct swarm *s);

/* ---- between its parts ---- */

/* The name of a topic, or the path for a set of them; the topic, event name (or
 * ""), and size of a message. */
void swarm_topic_name(char name[16], unsigned topic);
void swarm_path(char path[1024], uint64_t mask);
unsigned swarm_topic(const struct swarm *s, unsigned p, uint32_t seq);
const char *swarm_event(const struct swarm *s, unsigned p, uint32_t seq);
bool swarm_binary(const struct swarm *s, unsigned p, uint32_t seq);

/* Writes its data; returns the size. */
size_t swarm_data(const struct swarm *s, char *to, unsigned p, uint32_t seq, uint64_t time_us);

/* What is known of a message: NULL where it is too long ago. It must have been
 * sent. */
struct swarm_put *swarm_put(const struct swarm *s, unsigned p, uint32_t seq);

/* Returns true if the ring may have evicted this message by now. */
bool swarm_outrun(const struct swarm *s, const struct swarm_put *put);

/* The id of a message has become known. */
void swarm_known(struct swarm *s, unsigned p, uint32_t seq, uint64_t n);

/* Publishers: what they do when time has passed, when their socket is ready. */
void swarm_pub_tick(struct swarm *s, struct swarm_publisher *pub);
void swarm_pub_event(struct swarm *s, struct swarm_publisher *pub, uint32_t events);
void swarm_pub_cut(struct swarm *s, struct swarm_publisher *pub);

/* Takes what has come for a client, as much as is complete; returns how many
 * bytes. */
size_t swarm_take(struct swarm *s, struct swarm_client *c, char *buf, size_t n);

/* Takes an answer of swarm_read_all(): the body of a poll. */
void swarm_take_body(struct swarm *s, struct swarm_client *c, char *buf, size_t n);

/* N of an id. */
uint64_t swarm_id(struct swarm *s, struct span id);

/* Sends bytes of a client, now or as soon as it can. */
void swarm_send(struct swarm *s, struct swarm_client *c, const void *bytes, size_t n);

/* The server has closed; why, for where that is wrong. */
void swarm_closed(struct swarm *s, struct swarm_client *c, const char *why);

/* Writes a masked frame; returns its size, which is at most n + 14. */
size_t swarm_frame(struct swarm *s, char *to, unsigned opcode, const char *bytes, size_t n);

/* Connects a socket that does not block, from one of several addresses. */
int swarm_connect(struct swarm *s, unsigned from, bool narrow);

#endif
