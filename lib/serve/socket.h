/*
 * socket.h - WebSocket (RFC 6455): the handshake, frames in, the json subprotocol, the close.
 */
#ifndef SSE_LIB_SERVE_SOCKET_H
#define SSE_LIB_SERVE_SOCKET_H

#include "lib/serve/server.h"

/* Ends a WebSocket whose message takes more room than its share. */
void socket_end_over_share(struct server *s, struct conn *c);

/* Returns true if a WebSocket, inside a message, is too slow; then call socket_end_late(), which
 * closes it. */
bool socket_message_late(const struct clients *clients, const struct moment *clock,
                         const struct conn *c);
void socket_end_late(struct server *s, struct conn *c);

/* Handles GET of a topic with Upgrade: websocket; `names` is the decoded path. */
void serve_socket(struct server *s, struct conn *c, struct span names);

/* Handles bytes received on a WebSocket, up to the end of a piece of a message or of a control
 * frame. Returns the bytes handled. */
size_t socket_input(struct server *s, struct conn *c, char *buf, size_t len);

/* Closes a WebSocket whose messages may be lost, as the store could not be synced. */
void socket_end_unsynced(struct server *s, struct conn *c);

/* For the table of transports (transport.h). */
struct gap;
void frames_begin(struct server *s, struct conn *c, const struct cursor *from);
void frames_gap(struct server *s, struct conn *c, const struct gap *gap);
void frames_heartbeat(struct server *s, struct conn *c, bool old);
void frames_message(struct server *s, struct conn *c, struct span data, bool binary);
void objects_begin(struct server *s, struct conn *c, const struct cursor *from);
void objects_gap(struct server *s, struct conn *c, const struct gap *gap);
void objects_ended(struct server *s, struct conn *c, struct span topic, uint64_t n);
void socket_over(struct server *s, struct conn *c);
void objects_heartbeat(struct server *s, struct conn *c, bool old);
void objects_message(struct server *s, struct conn *c, struct span text, bool binary);
void socket_expired(struct server *s, struct conn *c);
void socket_away(struct server *s, struct conn *c);

#endif
