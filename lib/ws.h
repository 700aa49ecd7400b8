/*
 * ws.h - WebSocket as bytes: the handshake's key, frames in, frames out (RFC 6455, no extensions).
 *
 *    byte 0            1                2                      then
 *   +-+---+------+   +-+-------+   +------------------+   +----------+   +---------- - - -
 *   |F|RSV|opcode|   |M| 0..125|   | -                |   | 4 bytes  |   | payload, byte i
 *   |I|   |      |   |A|   126 |   | 16 bits, >= 126  |   | of mask, |   | XOR mask byte i % 4
 *   |N| 0 | 4 b. |   |S|   127 |   | 64 bits, >= 2^16 |   | if MASK  |   |
 *   +-+---+------+   +-+-------+   +------------------+   +----------+   +---------- - - -
 *
 * A message is a frame (text, binary) or several: the first with FIN clear, then continuations, the
 * last with FIN set. Control frames (close, ping, pong) are whole, at most 125 bytes, and may stand
 * between a message's frames. A client masks, a server does not.
 *
 * Sans I/O: ws_read() takes bytes however they were cut and returns pieces. It returns a message's
 * data as it arrives, so that a frame of any size needs no buffer here, and a control frame whole.
 *
 *    |01 87 mask Hel|lo, |89 80 mask 80 85 mask world|    bytes, as three reads brought them
 *     text, first    text  ping       text, last          four pieces are returned
 *
 * ERRORS are minus the code to close with, returned as soon as they are certain; which one does not
 * depend on how the bytes were cut.
 *   1002  a reserved bit or opcode, no mask, a length not in its shortest form or of 2^63 and
 *         above; a continuation of nothing, a message within a message; a control frame in
 *         fragments or of more than 125 bytes; a close of one byte, or with a code that can't be
 *         sent: those that can are 1000-1003, 1007-1014 and 3000-4999
 *   1007  a text, or the reason of a close, that is not UTF-8; a text is refused at its first wrong
 *         byte, and where it can't but end inside a character
 *   1009  a message over the limit, once the head of a frame tells so
 *
 * STATE: struct ws, without pointers, zero at first. Between messages (ws_idle()) it holds nothing:
 * the caller may drop it and begin with a zeroed one when more bytes come, so a quiet connection
 * has none.
 *
 * OWNERSHIP: ws_read() unmasks in place, in the caller's buffer, and only the bytes that it takes.
 * A piece points there or into the struct, and is valid until the next call for that struct, or
 * until it is dropped.
 */
#ifndef SSE_LIB_WS_H
#define SSE_LIB_WS_H

#include "lib/span.h"
#include "lib/utf8.h"

#define WS_KEY_SIZE    24  /* bytes of Sec-WebSocket-Key */
#define WS_ACCEPT_SIZE 28  /* bytes of Sec-WebSocket-Accept */
#define WS_HEAD_MAX    10  /* bytes of a head that is written, at most */
#define WS_CONTROL_MAX 125 /* bytes of a control frame's payload, at most */
#define WS_CLOSE_MAX   127 /* bytes of a close frame that is written, at most */

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

enum ws_code {
    WS_NORMAL = 1000,
    WS_AWAY = 1001, /* the server stops */
    WS_PROTOCOL_ERROR = 1002,
    WS_NO_CODE = 1005, /* never sent: stands for a close without a code */
    WS_NOT_UTF8 = 1007,
    WS_POLICY = 1008,
    WS_TOO_BIG = 1009,
    WS_FAILED = 1011, /* the server could not do what it was asked for */
    WS_TRY_LATER = 1013,
};

/* ---- handshake ---- */

/* Returns true if it is a key (RFC 6455 section 4.2.1): the base64 form of 16 bytes, as
 * base64_read() takes it. */
bool ws_key_right(struct span key);

/* Writes the value of Sec-WebSocket-Accept for a key of WS_KEY_SIZE bytes (RFC 6455 section
 * 4.2.2). */
void ws_accept(char out[WS_ACCEPT_SIZE], struct span key);

/* ---- frames in ---- */

/* A connection inside a frame or a message. */
struct ws {
    uint64_t size;             /* bytes of the message that its frames have announced so far */
    uint64_t left;             /* private, as all that follows: bytes of the frame still to come */
    uint32_t mask;             /* that of the next byte in the lowest eight bits, and so on */
    uint8_t message;           /* enum ws_opcode of the message that has begun; 0: none */
    uint8_t frame;             /* of the frame whose payload is due: FIN and opcode; 0: none */
    uint8_t have;              /* bytes in `kept` */
    bool given;                /* a piece of the message was returned */
    struct utf8 utf8;          /* of the message, where it is text; whole between messages */
    char kept[WS_CONTROL_MAX]; /* the frame's head so far, or a control frame's payload so far */
};
_Static_assert(sizeof(struct ws) <= 160, "the state is a small block");

/* Data of a message, or a control frame. */
struct ws_piece {
    enum ws_opcode opcode; /* of the message or control frame; never WS_CONTINUATION */
    bool first, last;      /* of its message; a control frame is both */
    uint16_t code;         /* of a close: WS_NO_CODE where there is none */
    struct span data;      /* payload, of a close the reason; data of a message is empty in its last
                            * piece at most, and may cut a character in two */
};

/* Reads from buf[0..len) up to the next piece. `most` is the largest message, in bytes. *took is
 * set to the bytes taken: drop them once the piece has been used. Returns 1: *p is a piece, call
 * again with the rest; 0: all bytes are taken, bring more; <0: minus the code to close with. Do not
 * call again after an error or a close frame. */
int ws_read(struct ws *w, char *buf, size_t len, uint64_t most, size_t *took, struct ws_piece *p);

/* Returns true if the connection is between messages, with nothing in the state. */
static inline bool ws_idle(const struct ws *w)
{
    return w->message == 0 && w->frame == 0 && w->have == 0;
}

/* ---- frames out ---- */

/* Writes the head of an unmasked frame that is a whole message or a control frame, of `size` bytes
 * (below 2^63; at most WS_CONTROL_MAX in a control frame). Returns the head's length. The payload
 * follows unchanged. */
size_t ws_head(char out[WS_HEAD_MAX], enum ws_opcode opcode, uint64_t size);

/* Writes a close frame to `out`, which has room for 4 + reason.n bytes, or WS_CLOSE_MAX if that is
 * less. Returns its length. `code` must be one that can be sent, or WS_NO_CODE: then the frame and
 * the reason are empty, so that ws_close(out, p->code, SPAN("")) answers any close. The reason must
 * be UTF-8; one longer than 123 bytes is cut between characters. */
size_t ws_close(char *out, unsigned code, struct span reason);

#endif
