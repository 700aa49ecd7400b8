/*
 * saved.h - what is kept of a request whose answer comes later.
 *
 * A poll that waits, a body that arrives in parts and a WebSocket outlive the turn that brought
 * their request. What their answers depend on is kept, and is put back into ex.ask before anything
 * of theirs is answered:
 *
 *             saved_of                              saved_resume
 *   ex.ask ------------> struct saved of a body -------------------> ex.ask, ex.path
 *      |                                                 ^
 *      `---------------> the connection itself ----------'
 *        saved_keep_*                         saved_resume_conn
 *
 * INVARIANT: the connection's own memory is enough for WAIT and SOCKET, which cost nothing besides
 * their slots; BODY has a struct saved in its buffer.
 */
#include "lib/serve/clients.h"
#include "lib/serve/config.h"
#include "lib/serve/exchange.h"
#ifndef SSE_LIB_SERVE_SAVED_H
#define SSE_LIB_SERVE_SAVED_H

struct saved {
    uint64_t from;  /* the client's addr_key(); 0: that of the connection's peer counts */
    uint32_t began; /* ms: when the request did */
    uint32_t wait;  /* seconds that a poll asked to wait; 0: it did not ask */
    uint16_t cors;  /* what cors_find() returned for its origin */
    uint8_t method; /* enum http_method */
    uint8_t minor;  /* of its HTTP version */
    bool keep_alive;
    bool local, foreign; /* as struct context has them */
};

/* Returns what is to be kept of the current request, whose Host it looks at. */
struct saved saved_of(const struct config *config, struct exchange *ex);

/* Keeps what is needed of the current request in the connection, which enters WAIT next. A poll has
 * been let in by then: of who asks nothing is kept. */
static inline void saved_keep_wait(const struct context *ask, struct conn *c)
{
    int flags = (ask->keep_alive ? CONN_KEEP : 0) | (ask->minor == 0 ? CONN_OLD : 0);
    assert(c->state == CONN_HEAD);
    c->flags = (uint16_t)((c->flags & ~(CONN_KEEP | CONN_OLD)) | flags);
    c->marks = (uint16_t)((c->marks & ~CONN_BARE) | (ask->method == HTTP_HEAD ? CONN_BARE : 0));
    c->wait.cors = ask->cors & CONN_WAIT_CORS;
    c->wait.seconds = ask->waits ? ask->wait & CONN_WAIT_SECONDS : 0;
}

/* Does so for one that enters SOCKET next. It is its client's from now on, whoever its peer is. */
void saved_keep_socket(const struct config *config, const struct clients *clients,
                       struct exchange *ex, struct conn *c);

/* Makes the request the current one again: sets ex.ask, and ex.path to that topic's, unless its
 * name is empty and has a null pointer; `way` is for the access log. Once the server ends no
 * connection is kept. */
void saved_resume(const struct clients *clients, struct exchange *ex, const struct conn *c,
                  const struct saved *a, struct span topic, const char *way);

/* Does so with what saved_keep_*() kept of a connection in WAIT or SOCKET. */
void saved_resume_conn(const struct clients *clients, struct exchange *ex, const struct conn *c,
                       struct span topic, const char *way);

#endif
