/*
 * saved.h - what is kept of a request whose answer comes later.
 *
 * A poll that waits, a body that arrives in parts and a WebSocket outlive the turn that brought
 * their request. What their answers depend on is kept, and is put back into s->ask before anything
 * of theirs is answered:
 *
 *             saved_of                              saved_resume
 *   s->ask ------------> struct saved of a body -------------------> s->ask, s->path
 *      |                                                 ^
 *      `---------------> the connection itself ----------'
 *        saved_keep                           saved_kept, saved_resume
 *
 * INVARIANT: the connection's own memory is enough for WAIT and SOCKET, which cost nothing besides
 * their slots; BODY has a struct saved in its buffer.
 */
#ifndef SSE_LIB_SERVE_SAVED_H
#define SSE_LIB_SERVE_SAVED_H

#include "lib/serve/serve.h"

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

/* Keeps what is needed of the current request in the connection, which enters WAIT or SOCKET next
 * (`state`). */
void saved_keep(const struct config *config, const struct clients *clients, struct exchange *ex,
                struct conn *c, enum conn_state state);

/* Returns what saved_keep() kept of a connection in WAIT or SOCKET. */
struct saved saved_kept(const struct clients *clients, const struct conn *c);

/* Makes the request the current one again: sets s->ask, and s->path to that topic's, unless its
 * name is empty and has a null pointer; `way` is for the access log. Once the server ends no
 * connection is kept. */
void saved_resume(const struct clients *clients, struct exchange *ex, const struct conn *c,
                  const struct saved *a, struct span topic, const char *way);

#endif
