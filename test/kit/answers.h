/*
 * answers.h - answers to polls, of any size, taken apart by a reader of their own: what the server
 * writes as JSON is not checked with the code that wrote it.
 *
 * Each answer read is checked for what holds for all: ETag, Last-Event-ID and the body's cursor are
 * the same, Vary and Cache-Control are there, 204 and 304 have no body, and the messages are well
 * formed, of ascending ids, none beyond the cursor.
 */
#ifndef SSE_TEST_KIT_ANSWERS_H
#define SSE_TEST_KIT_ANSWERS_H

#include "test/kit/e2e.h"

struct poll_message {
    const char *id, *time, *topic, *event; /* event NULL: null */
    const char *data;                      /* NUL-ended */
    size_t size;                           /* of data */
    bool binary;                           /* it came as "base64" */
};

struct poll_gap {
    const char *reason; /* NULL: there is none */
    const char *after, *oldest;
};

struct poll_answer {
    struct e2e_response r; /* the head; the body is not there */
    char id[64];           /* the cursor */
    char *body;            /* NUL-ended, as it came */
    size_t size;
    struct poll_gap gap; /* of JSON, NDJSON and the Gap field */
    struct poll_message *m;
    size_t n;
    char *parsed, *parsed_gap; /* where the strings are */
};

/* Reads the next answer to a poll over c; `head` says it was asked with HEAD. What *a held before
 * (zero at first) is freed. Text has no messages in `m`. */
void poll_read(struct e2e_conn *c, struct poll_answer *a, bool head);

/* The same without an opinion of the body: for answers that must be complete, whatever they
 * hold. */
void poll_read_raw(struct e2e_conn *c, struct poll_answer *a, bool head);

/* Sends a GET with these field lines (NULL: none) over c. */
void poll_send(struct e2e_conn *c, const char *target, const char *fields);

/* Both over a connection of its own. */
void poll_get(const struct e2e_server *s, struct poll_answer *a, const char *target,
              const char *fields);

/* The answer must have this status and hold these data, one a string, up to NULL. */
void poll_expect(const struct poll_answer *a, int status, ...) __attribute__((sentinel));

/* Reads one object of a line of NDJSON (which is written to): a message, a gap, or, where both
 * m->id and gap->reason come NULL, the checkpoint whose id is given. */
const char *poll_line(char *line, struct poll_message *m, struct poll_gap *gap);

/* The N of an id MS-N. */
unsigned long long poll_n(const char *id);

#endif
