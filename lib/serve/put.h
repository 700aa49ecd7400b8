/*
 * put.h - puts a message into the ring, from a request, a batch or a WebSocket.
 */
#ifndef SSE_LIB_SERVE_PUT_H
#define SSE_LIB_SERVE_PUT_H

#include "lib/batch.h"
#include "lib/serve/access.h"

/* The result of a put. */
struct put {
    uint64_t n;         /* the message's id is (epoch, n), ... */
    uint32_t reach;     /* ... and its topic's subscribers */
    int status;         /* or the status of the refusal, ... */
    struct text detail; /* ... and the reason */
    char bytes[512];
};

/* Checks a message and puts it into the ring; its topic was checked before. Returns false if it is
 * refused: p->status is 400 (event name), 413 (too large), 415 (not UTF-8) or 503 (no room for the
 * topic; too much waits for a sync). */
bool put_checked(struct server *s, struct span topic, const struct batch_message *m, struct put *p);

/* Puts a message into the ring as one of topic `id` and marks the topic for fan-out, or holds the
 * message until the next sync (struct hold); counts evictions. Returns the record's offset; 0 if
 * the ring can hold no more. */
uint64_t put_record(struct server *s, uint32_t id, const struct ring_message *m);

/* Returns true if the event name is allowed; else sets p->status and p->detail. */
bool put_check_event(struct span event, struct put *p);

/* Sets *p to the refusal of a message that is too large, and counts it. */
void put_refuse_too_large(const struct config *config, struct stat_counters *stat, struct put *p);

/* Returns true if a client may publish to a topic of this name, which is foreign text; else sets
 * p->status, 400, 401, 403 or 404, and p->detail. */
bool put_check_topic(const struct config *config, struct stat_counters *stat,
                     const struct exchange *ex, const struct access *a, struct span topic,
                     struct put *p);

/* Returns true if a client may publish to any topic at all; else sets p->status, 401 or 403, and
 * p->detail. */
bool put_check_any(struct stat_counters *stat, const struct exchange *ex, const struct access *a,
                   struct put *p);

/* Returns the topic of a message: `named`, unless that is a null pointer, else `own`, which may be
 * empty. Returns a null pointer if it is refused: as put_check_topic() does, or with 400 as there
 * is no name. */
struct span put_topic(const struct config *config, struct stat_counters *stat,
                      const struct exchange *ex, const struct access *a, struct span named,
                      struct span own, struct put *p);

/* Returns the detail as a NUL-ended string. */
const char *put_detail(struct put *p);

#endif
