/*
 * socket.h - a WebSocket client for end-to-end tests, after RFC 6455 and nothing of lib/ws.
 *
 * It works over the connections of e2e.h. What it reads must be as a server may send it: no mask,
 * no reserved bits, whole frames, lengths in their shortest form. What it sends may be anything.
 */
#ifndef SSE_TEST_KIT_SOCKET_H
#define SSE_TEST_KIT_SOCKET_H

#include "test/kit/e2e.h"

enum {
    SOCKET_FIN = 0x80,
    SOCKET_MORE = 0,
    SOCKET_TEXT = 1,
    SOCKET_BINARY = 2,
    SOCKET_CLOSE = 8,
    SOCKET_PING = 9,
    SOCKET_PONG = 10,
};

#define SOCKET_HEAD_MAX 14

/* A frame received; `data` stands in the connection's buffer, behind `head` bytes, until
 * socket_done(). */
struct socket_frame {
    unsigned opcode;
    unsigned code; /* of a close; 0: none */
    size_t head, n;
    const char *data;
};

/* The front of a handshake, up to fields of one's own and the empty line; %s: the target. */
#define SOCKET_ASK                                            \
    "GET %s HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n" \
    "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
#define SOCKET_KEY  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define SOCKET_JSON "Sec-WebSocket-Protocol: json\r\n"

/* Shakes hands over c with the key of RFC 6455 section 1.3 and looks at the answer; `fields` are
 * further ones, or NULL. */
void socket_shake(struct e2e_conn *c, const char *target, const char *fields);

/* Connects and shakes hands. */
struct e2e_conn *socket_open(const struct e2e_server *s, const char *target, const char *fields);

/* The same with the json subprotocol; reads the checkpoint it opens with. */
struct e2e_conn *socket_open_json(const struct e2e_server *s, const char *target,
                                  const char *fields);

/* Writes the head of a masked frame: first byte, length in its shortest form, mask; returns its
 * length. */
size_t socket_head(char out[SOCKET_HEAD_MAX], unsigned first, unsigned long long n, uint32_t mask);

/* Writes a frame to `out`, which has room; returns its length. */
size_t socket_frame(char *out, unsigned first, const void *data, size_t n, uint32_t mask);

/* Sends a frame whose first byte is that. */
void socket_send(struct e2e_conn *c, unsigned first, const void *data, size_t n);

/* Sends a text. */
void socket_text(struct e2e_conn *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sends a close frame. */
void socket_send_close(struct e2e_conn *c, unsigned code, const char *reason);

/* Returns true, and sets *f, if a whole frame has arrived, or the front of what cannot be one.
 * Consumes nothing. */
bool socket_peek(struct e2e_conn *c, struct socket_frame *f);

/* Receives a frame, and drops it once it has been used. */
void socket_read(struct e2e_conn *c, struct socket_frame *f);
void socket_done(struct e2e_conn *c, const struct socket_frame *f);

/* Receives a frame where the connection may end, in whatever way: false then. It fails after
 * E2E_WAIT_MS. */
bool socket_read_or_end(struct e2e_conn *c, struct socket_frame *f);

/* Drops pings, and receives what comes behind them. */
void socket_skip_pings(struct e2e_conn *c);

/* Receives what is there, if anything comes within `ms`; c->eof tells an end of any kind. */
void socket_pull(struct e2e_conn *c, int ms);

/* The next frame must be just this. */
void socket_expect(struct e2e_conn *c, unsigned opcode, const void *data, size_t n);
void socket_expect_text(struct e2e_conn *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The next frame must be a text with this in it; returns it in a static buffer. */
const char *socket_expect_in(struct e2e_conn *c, const char *part);

/* The next frame must be a close with this code (0: none); answers it, and the server must end the
 * connection. */
void socket_expect_close(struct e2e_conn *c, unsigned code);

#endif
