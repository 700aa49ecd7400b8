/*
 * wire.h - what the load says to a server, and what it understands of its answers.
 *
 * Three servers are spoken to: ours; floor.c, which has our URLs; nchan, as server.c configures it.
 * Topic N is "b/N". The data of a message is "~PP SSSSSSSSSS TTTTTTTTTTTTTTTTTTT " and filling: the
 * publisher's number, the message's, and when it was to be sent (ns), so that it is found in
 * whatever form it arrives.
 */
#ifndef SSE_BENCH_WIRE_H
#define SSE_BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_DATA_MIN 40u    /* bytes of a message's data */
#define WIRE_HEAD_MAX 16384u /* of a request, without what is published */

enum wire_dialect { WIRE_SSE = 0, WIRE_FLOOR = 1, WIRE_NCHAN = 2, WIRE_DIALECTS = 3 };

enum wire_way {
    WIRE_EVENTS = 0, /* Server-Sent Events */
    WIRE_FRAMES = 1, /* WebSocket */
    WIRE_LONG = 2,   /* long polls */
    WIRE_SHORT = 3,  /* short polls that get nothing new; nginx answers a fixed 204 */
    WIRE_WAYS = 4,
};

extern const char *const wire_dialects[WIRE_DIALECTS];
extern const char *const wire_ways[WIRE_WAYS];

/* Where a poll goes on: the two fields that answers told. */
struct wire_cursor {
    char id[64], modified[40];
};

/* An answer's head. */
struct wire_answer {
    unsigned status;
    size_t head, body; /* bytes of both */
};

struct wire_data {
    unsigned publisher;
    uint64_t number, ns;
};

/* Writes a request that publishes size bytes to topic `topic`; returns its bytes. */
size_t wire_publish(char *to, enum wire_dialect dialect, unsigned topic, const struct wire_data *d,
                    size_t size);

/* Writes a request for `names`, such as "b/1" or "b/1,b/2": from where `cursor` says, or with
 * `earliest` from the oldest on, or else from now on. */
size_t wire_ask(char *to, enum wire_dialect dialect, enum wire_way way, const char *names,
                const struct wire_cursor *cursor, bool earliest);

/* Reads an answer's head; false: it is not complete. Takes note of where it says to go on, unless
 * cursor is NULL. */
bool wire_read_answer(const char *p, size_t n, struct wire_answer *a, struct wire_cursor *cursor);

/* Reads the data of the first message in p[0..n); returns the byte after its numbers, NULL if there
 * is no message. */
const char *wire_read_data(const char *p, size_t n, struct wire_data *d);

/* Looks at the bytes of a stream: how many the first complete message takes, 0: there is none. */
size_t wire_message(enum wire_way way, const char *p, size_t n);

#endif
