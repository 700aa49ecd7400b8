/*
 * saved.h - keeps a request whose answer comes later.
 *
 * A poll that waits, a body that arrives in parts and a WebSocket outlive the turn that brought
 * their request. What their answers depend on is kept, and is restored to ex.ask before they are
 * answered:
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
    uint64_t from;  /* the client's addr_key(); 0: the connection's peer counts */
    uint32_t began; /* ms: when the request began */
    uint32_t wait;  /* seconds that a poll asked to wait; 0: it did not ask */
    uint16_t cors;  /* what cors_find() returned for its origin */
    uint8_t method; /* enum http_method */
    uint8_t minor;  /* of its HTTP version */
    bool keep_alive;
    bool local, foreign; /* as struct context has them */
};

/* Returns what must be kept of the current request; checks its Host for that. */
struct saved saved_of(const struct config *config, struct exchange *ex);

/* Keeps the current request in the connection, which enters WAIT next. Nothing is kept of the
 * client, as a poll's rights were checked before it waits. */
static inline void saved_keep_wait(const struct context *ask, struct conn *c)
{
    int flags = (ask->keep_alive ? CONN_KEEP : 0) | (ask->minor == 0 ? CONN_OLD : 0);
    assert(c->state == CONN_HEAD);
    c->flags = (uint16_t)((c->flags & ~(CONN_KEEP | CONN_OLD)) | flags);
    c->marks = (uint16_t)((c->marks & ~CONN_BARE) | (ask->method == HTTP_HEAD ? CONN_BARE : 0));
    c->wait.cors = ask->cors & CONN_WAIT_CORS;
    c->wait.seconds = ask->waits ? ask->wait & CONN_WAIT_SECONDS : 0;
}

/* Keeps the current request in the connection, which enters SOCKET next. From now on the connection
 * counts for the client, whoever its peer is. */
void saved_keep_socket(const struct config *config, const struct clients *clients,
                       struct exchange *ex, struct conn *c);

/* Makes the request the current one again: sets ex.ask; and ex.path to the topic's name, unless
 * `topic` is a null pointer. `log_way` is for the access log. If the server ends, the connection is
 * not kept alive. */
void saved_resume(const struct clients *clients, struct exchange *ex, const struct conn *c,
                  const struct saved *a, struct span topic, const char *log_way);

/* Does what saved_resume() does with the request that saved_keep_*() kept in a connection in WAIT
 * or SOCKET. */
void saved_resume_conn(const struct clients *clients, struct exchange *ex, const struct conn *c,
                       struct span topic, const char *log_way);

#endif
