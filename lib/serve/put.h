/*
 * put.h - puts a message into the ring, whichever way it came.
 */
#ifndef SSE_LIB_SERVE_PUT_H
#define SSE_LIB_SERVE_PUT_H

#include "lib/batch.h"
#include "lib/serve/access.h"

/* What came of it. */
struct put {
    uint64_t n;         /* the message's, ... */
    uint32_t reach;     /* ... and how many subscribers it has */
    int status;         /* or the status of the refusal, ... */
    struct text detail; /* ... and why */
    char bytes[512];
};

/* Puts a message into the ring, as put_record() does; its topic has been found right. False:
 * refused, with 400 (event name), 413 (too large), 415 (not UTF-8) or 503 (no room for the topic;
 * too much waits for a sync). */
bool put_checked(struct server *s, struct span topic, const struct batch_message *m, struct put *p);

/* Puts a message into the ring, as one of topic `id`, which is marked for fan-out, or holds it
 * until the next sync (struct hold); counts what is evicted. Returns the record's offset; 0: the
 * ring can hold no more. */
uint64_t put_record(struct server *s, uint32_t id, const struct ring_message *m);

/* Is the event name right? False: refused, likewise. */
bool put_check_event(struct span event, struct put *p);

/* Notes that a message is too large. */
void put_refuse_too_large(const struct config *config, struct stat_counters *stat, struct put *p);

/* May a client publish to a topic of this name, which may come from anywhere? False: refused, with
 * 400, 401, 403 or 404. */
bool put_check_topic(const struct config *config, struct stat_counters *stat,
                     const struct exchange *ex, const struct access *a, struct span topic,
                     struct put *p);

/* May a client publish to any topic at all? False: refused, with 401 or 403. */
bool put_check_any(struct stat_counters *stat, const struct exchange *ex, const struct access *a,
                   struct put *p);

/* Returns the topic that a message goes to: the one that it names, unless that is a null pointer,
 * else `own`, which may be empty. A null pointer: refused, as by put_check_topic(), or with 400 as
 * there is none. */
struct span put_topic(const struct config *config, struct stat_counters *stat,
                      const struct exchange *ex, const struct access *a, struct span named,
                      struct span own, struct put *p);

/* The detail as a string. */
const char *put_detail(struct put *p);

#endif
