/*
 * socket.h - WebSocket (RFC 6455): the handshake, frames in, the json subprotocol, the close.
 */
#ifndef SSE_LIB_SERVE_SOCKET_H
#define SSE_LIB_SERVE_SOCKET_H

#include "lib/serve/server.h"

/* Ends a WebSocket whose message has more room than its share. */
void serve_socket_full(struct server *s, struct conn *c);

/* Has a WebSocket, inside a message, had more time for it than these give? Then serve_socket_slow()
 * is due, which closes it. */
bool serve_socket_late(const struct clients *clients, const struct moment *clock,
                       const struct conn *c);
void serve_socket_slow(struct server *s, struct conn *c);

/* GET of a topic with Upgrade: websocket. */
void serve_socket(struct server *s, struct conn *c, struct span names);

/* Takes what has come for a WebSocket, up to the end of a piece of a message or a control frame;
 * gives the bytes taken. */
size_t serve_frames(struct server *s, struct conn *c, char *buf, size_t len);

/* Closes a WebSocket whose messages may be lost, as the store could not be synced. */
void serve_socket_unsynced(struct server *s, struct conn *c);

/* For the table of ways (way.h). */
struct gap;
void frames_begin(struct server *s, struct conn *c, const struct cursor *from, bool hello);
void frames_gap(struct server *s, struct conn *c, const struct gap *gap);
void frames_heartbeat(struct server *s, struct conn *c, bool old);
void frames_message(struct server *s, struct conn *c, struct span data, bool binary);
void objects_begin(struct server *s, struct conn *c, const struct cursor *from, bool hello);
void objects_gap(struct server *s, struct conn *c, const struct gap *gap);
void objects_ended(struct server *s, struct conn *c, struct span topic, uint64_t n);
void socket_over(struct server *s, struct conn *c);
void objects_heartbeat(struct server *s, struct conn *c, bool old);
void objects_message(struct server *s, struct conn *c, struct span text, bool binary);
void socket_expired(struct server *s, struct conn *c);
void socket_away(struct server *s, struct conn *c);

#endif
