/*
 * submit.h - publishes a client's message: from the body of a request, a line of one, or a frame.
 *
 * A message is put into the ring if the client may publish it, if topic, event name and data are
 * right, and if there is room; else struct submission has the status and the reason of the refusal.
 * The caller answers the client.
 */
#ifndef SSE_LIB_SERVE_SUBMIT_H
#define SSE_LIB_SERVE_SUBMIT_H

#include "lib/batch.h"
#include "lib/serve/access.h"

/* The result for a message. */
struct submission {
    bool duplicate;     /* it had been published with its key before, as ... */
    uint64_t n;         /* the message's id is (epoch, n), ... */
    uint32_t reach;     /* ... and its topic's subscribers */
    int status;         /* or the status of the refusal, ... */
    struct text detail; /* ... and the reason */
    char bytes[512];
};

/* Checks a message and puts it into the ring; its topic was checked before. Returns false if it is
 * refused: p->status is 400 (event name, key), 409 (the topic has ended), 413 (too large), 415 (not
 * UTF-8), 422 (the key is another message's) or 503 (no room for the topic; too much waits for a
 * sync). */
bool submit_message(struct server *s, struct span topic, const struct batch_message *m,
                    struct submission *p);

/* Counts that there was no room, and returns what is to be said of it. */
const char *submit_full(struct server *s);

/* Puts a message into the ring as one of topic `id` and marks the topic for fan-out, or holds the
 * message until the next sync (struct hold); counts evictions. Returns the record's offset; 0 if
 * the ring can hold no more. */
uint64_t submit_record(struct server *s, uint32_t id, const struct ring_message *m);

/* Returns true if the event name is allowed; else sets p->status and p->detail. */
bool submit_check_event(struct span event, struct submission *p);

/* Sets *p to the refusal of a message that is too large, and counts it. */
void submit_refuse_too_large(const struct config *config, struct stat_counters *stat,
                             struct submission *p);

/* Returns true if a client may publish to a topic of this name, which is foreign text; else sets
 * p->status, 400, 401, 403 or 404, and p->detail. */
bool submit_check_topic(const struct config *config, struct stat_counters *stat,
                        const struct exchange *ex, const struct access *a, struct span topic,
                        struct submission *p);

/* Returns true if a client may publish to any topic at all; else sets p->status, 401 or 403, and
 * p->detail. */
bool submit_check_any(struct stat_counters *stat, const struct exchange *ex, const struct access *a,
                      struct submission *p);

/* Returns the topic of a message: `named`, unless that is a null pointer, else `own`, which may be
 * empty. Returns a null pointer if it is refused: as submit_check_topic() does, or with 400 as
 * there is no name. */
struct span submit_topic(const struct config *config, struct stat_counters *stat,
                         const struct exchange *ex, const struct access *a, struct span named,
                         struct span own, struct submission *p);

/* Returns the detail as a NUL-ended string. */
const char *submit_detail(struct submission *p);

#endif
