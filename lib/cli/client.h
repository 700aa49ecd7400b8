/*
 * client.h - what `sse sub` and `sse pub` share: flags, where a server is, a request, its answer.
 *
 * These commands are clients, in processes of their own: they wait, and speak on sockets, which of
 * the server only its loop does. Names are looked up in /etc/hosts and nowhere else, as a static
 * program can't ask the system's resolver; "localhost" is known.
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

/* Writes "sse COMMAND: ", the texts that follow up to a NULL, and a line end on stderr; control
 * bytes and what is not UTF-8 as "?", as servers' words come here. */
void client_say(const char *command, ...) TEXT_LIST;

/* Returns true if argv[*i] is flag `name`; then *value is what follows it, behind a "=" or as the
 * next argument, and *i is at its last; NULL: there is none. */
bool client_flag(int argc, char **argv, int *i, const char *name, const char **value);

/* Reads a time as the server's flags have it (lib/unit.h). */
#define CLIENT_TIME_MAX_MS (1ull << 50)
bool client_time(const char *s, uint64_t *ms);

/* ---- time ---- */

#define CLIENT_RETRY_MIN_MS 10u     /* whatever a server asks for */
#define CLIENT_RETRY_MAX_MS 300000u /* likewise */

/* ms, monotonic. */
uint64_t client_now(void);

/* Returns `ms` give or take a quarter, so that clients that a server has lost at once do not come
 * back at once; CLIENT_RETRY_MIN_MS to CLIENT_RETRY_MAX_MS, whatever it is. */
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

/* Finds the addresses of a server. False: there are none, and *why says so. */
bool client_resolve(const struct url *u, struct client_places *p, struct text *why);

/* Begins to connect to one of them; returns the socket, non-blocking. -1: errno. */
int client_connect(const struct client_places *p, unsigned which);

/* What has become of it: 0, or an errno. */
int client_connected(int fd);

/* Appends the front of a request, up to where more fields, and the empty line, follow. `more` is
 * appended to the target's query, empty: nothing. */
void client_request(struct text *t, const char *method, const struct url *u, struct span more,
                    const char *token);

/* ---- the answer ---- */

#define CLIENT_ANSWER 16384u

/* A head, and as much of a body as there is room for. The caller reads into bytes + n and counts n
 * up, while n < CLIENT_ANSWER. */
struct client_answer {
    struct reply reply;
    struct http_body body;
    size_t n, head; /* bytes that have come; of the head, 0: it is not complete */
    size_t size;    /* of the body, decoded: at bytes + head */
    bool done;      /* the body is complete */
    char bytes[CLIENT_ANSWER];
};

/* Looks for the head in what has come; heads of 1xx are dropped. 1: it is there; 0: not yet; -1:
 * this is none. */
int client_answer_head(struct client_answer *a);

/* Decodes what has come of the body; `end`: the connection has ended. False: it can't be read. */
bool client_answer_body(struct client_answer *a, bool end);

/* The reason that an answer gives: status, and the detail of its problem+json (RFC 9457), if
 * there. */
void client_reason(const struct client_answer *a, struct text *t);

/* The exit code for a refusal of this status. */
int client_code(int status);

/* Appends the inside of a JSON string; what is not UTF-8 as U+FFFD. At most 6 bytes for one. */
void client_json(struct text *t, struct span s);

#endif
