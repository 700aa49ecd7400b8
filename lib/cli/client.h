/*
 * client.h - what the commands `sub`, `pub` and `health` share: flags, a server's addresses, a
 * request, its answer.
 *
 * These commands are clients in processes of their own, so unlike the server's modules they may
 * block and use sockets. Names are looked up in /etc/hosts alone, as a static program cannot use
 * the system's resolver; "localhost" is built in.
 */
#ifndef SSE_LIB_CLI_CLIENT_H
#define SSE_LIB_CLI_CLIENT_H

#include "http.h"
#include "lib/reply.h"
#include "lib/text.h"
#include "lib/url.h"

#include <sys/socket.h>

#define CLIENT_CONNECT_MS \
    10000u /* for a server to accept, or to bring the whole head of its answer */
#define CLIENT_ANSWER_MS 15000u /* to take what is sent, and to begin its answer to it */
#define CLIENT_REST_MS   8000u  /* for the rest of an answer to a publisher */

/* ---- flags and messages ---- */

/* Writes "sse COMMAND: ", the strings that follow up to a NULL, and a line end to stderr; control
 * bytes and what is not UTF-8 become "?", as a server's words may be among them. */
void client_say(const char *command, ...) TEXT_LIST;

/* Returns true if argv[*i] is flag `name`. Then *value is its value, after a "=" or the next
 * argument, and *i the index of its last argument; *value is NULL if the value is missing. */
bool client_flag(int argc, char **argv, int *i, const char *name, const char **value);

/* Reads a time as the server's flags do (lib/unit.h), of at most CLIENT_TIME_MAX_MS, into *ms.
 * Returns false if it is not one. */
#define CLIENT_TIME_MAX_MS (1ull << 50)
bool client_time(const char *s, uint64_t *ms);

/* ---- time ---- */

#define CLIENT_RETRY_MIN_MS 10u     /* whatever a server asks for */
#define CLIENT_RETRY_MAX_MS 300000u /* likewise */

/* Returns the monotonic time in ms. */
uint64_t client_now(void);

/* Returns `ms`, plus or minus a quarter at random, so that clients that lost a server at once do
 * not return at once; at least CLIENT_RETRY_MIN_MS and at most CLIENT_RETRY_MAX_MS. */
uint64_t client_jitter(uint64_t ms);

/* ---- connecting ---- */

#define CLIENT_PLACES 4u

struct client_places {
    unsigned n;
    struct {
        struct sockaddr_storage a;
        socklen_t len;
    } place[CLIENT_PLACES];
};

/* Finds the addresses of a server. Returns false with *why set if there are none. */
bool client_resolve(const struct url *u, struct client_places *p, struct text *why);

/* Begins to connect to one of the addresses. Returns the socket, non-blocking; -1 with errno
 * set. */
int client_connect(const struct client_places *p, unsigned which);

/* Returns how the connection attempt ended: 0, or an errno. */
int client_connected(int fd);

/* Appends a request's head without its last empty line, so that fields can follow. `more` is
 * appended to the target's query, unless empty. `token`: NULL for none. */
void client_request(struct text *t, const char *method, const struct url *u, struct span more,
                    const char *token);

/* ---- the answer ---- */

#define CLIENT_ANSWER 16384u

/* The head of an answer, and as much of its body as there is room for. The caller reads into bytes
 * + n and adds to n, while n < CLIENT_ANSWER. */
struct client_answer {
    struct reply reply;
    struct http_body body;
    size_t n, head; /* bytes received; bytes of the head, 0: it is not complete */
    size_t size;    /* of the decoded body, at bytes + head */
    bool done;      /* the body is complete */
    char bytes[CLIENT_ANSWER];
};

/* Looks for the head in the bytes received; drops heads of 1xx. Returns 1 if it is complete, 0 if
 * more bytes are needed, -1 if it is not valid. */
int client_answer_head(struct client_answer *a);

/* Decodes the received part of the body; `end`: the connection has ended. Returns false if the body
 * is malformed. */
bool client_answer_body(struct client_answer *a, bool end);

/* Appends the reason of an answer: its status, and the detail of its problem+json (RFC 9457) if it
 * has one. */
void client_reason(const struct client_answer *a, struct text *t);

/* Returns the exit code for a refusal of this status. */
int client_code(int status);

/* Appends `s` as the inside of a JSON string; what is not UTF-8 as U+FFFD. At most 6 bytes for each
 * byte. */
void client_json(struct text *t, struct span s);

#endif
