/*
 * ws.c - WebSocket frames and handshake (RFC 6455).
 *
 * A head, of at most fourteen bytes, is parsed again each time bytes are added to it; its bytes,
 * like the payload of a control frame, are kept only if a read ends inside them. Payload is
 * unmasked in place, word by word.
 */
#include "lib/ws.h"

#include <assert.h>
#include <endian.h>

#include "lib/hash.h"
#include "lib/word.h"

#define FIN        0x80
#define RESERVED   0x70
#define OPCODE     0x0F
#define CONTROL    0x08 /* the opcode bit of close, ping and pong; data frames lack it */
#define MASKED     0x80
#define SIZE_16    126 /* this length says that the next 16 bits are it, */
#define SIZE_64    127 /* and this one the next 64 */
#define HEAD_MAX   14  /* the longest head */
#define MASK_SIZE  4
#define CODE_SIZE  2
#define REASON_MAX (WS_CONTROL_MAX - CODE_SIZE)

_Static_assert(HEAD_MAX <= WS_CONTROL_MAX, "a head fits where a control frame's payload does");

/* ---- handshake ---- */

bool ws_key_right(struct span key)
{
    char raw[WS_KEY_SIZE / 4 * 3];
    return key.n == WS_KEY_SIZE && base64_read(raw, key) == 16;
}

void ws_accept(char out[WS_ACCEPT_SIZE], struct span key)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char both[WS_KEY_SIZE + sizeof(guid) - 1];
    uint8_t digest[20];
    assert(key.n == WS_KEY_SIZE);
    memcpy(both, key.p, WS_KEY_SIZE);
    memcpy(both + WS_KEY_SIZE, guid, sizeof(guid) - 1);
    hash_sha1(digest, (struct span){both, sizeof(both)});
    size_t n = base64_write(out, (struct span){(const char *)digest, sizeof(digest)});
    assert(n == WS_ACCEPT_SIZE);
}

/* ---- close codes ---- */

/* Returns true if a close frame may carry the code (RFC 6455 section 7.4, and IANA's registry). */
static bool code_right(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

/* ---- masks ---- */

/* Returns the mask, rotated by `n` bytes. */
static uint32_t mask_after(uint32_t mask, size_t n)
{
    unsigned bits = n % MASK_SIZE * 8;
    return bits == 0 ? mask : mask >> bits | mask << (32 - bits);
}

static void unmask_word(char *p, uint64_t mask)
{
    uint64_t w = word_at(p) ^ mask;
    memcpy(p, &w, sizeof(w));
}

static void unmask(char *p, size_t n, uint32_t mask)
{
    uint64_t twice = htole64((uint64_t)mask << 32 | mask);
    for (; n >= 4 * WORD_SIZE; n -= 4 * WORD_SIZE, p += 4 * WORD_SIZE) {
        unmask_word(p, twice);
        unmask_word(p + WORD_SIZE, twice);
        unmask_word(p + 2 * WORD_SIZE, twice);
        unmask_word(p + 3 * WORD_SIZE, twice);
    }
    for (; n >= WORD_SIZE; n -= WORD_SIZE, p += WORD_SIZE)
        unmask_word(p, twice);
    for (; n > 0; n--, p++) {
        *p = (char)(*p ^ (char)mask);
        mask = mask_after(mask, 1);
    }
}

/* ---- heads in ---- */

/* The bytes read, and how many of them are taken. */
struct input {
    char *p;
    size_t n, at;
};

/* A frame's head. */
struct head {
    uint8_t first; /* its first byte */
    uint32_t mask;
    uint64_t size; /* of the payload */
};

/* Returns true if a frame may begin with this byte, after the frames before it. */
static bool first_right(const struct ws *w, unsigned char first)
{
    unsigned opcode = first & OPCODE;
    if ((first & RESERVED) != 0)
        return false;
    if ((opcode & CONTROL) != 0)
        return (first & FIN) != 0 && opcode <= WS_PONG;
    return w->message != 0 ? opcode == WS_CONTINUATION : opcode == WS_TEXT || opcode == WS_BINARY;
}

/* Reads a length of `width` bytes, of which `n` are there; the rest counts as zero. Returns false
 * if it is too small for that width, or too large, whatever the rest is. */
static bool read_size(const unsigned char *p, size_t n, size_t width, uint64_t *size)
{
    uint64_t low = 0, high = 0;
    for (size_t i = 0; i < width; i++) {
        low = low << 8 | (i < n ? p[i] : 0x00);
        high = high << 8 | (i < n ? p[i] : 0xFF);
    }
    *size = low;
    return high >= (width == 2 ? SIZE_16 : 0x10000) && low <= INT64_MAX;
}

/* Reads a head of which `n` bytes (> 0) are there. Returns its length; 0 if it is not complete; or
 * minus a code. */
static int read_head(struct head *h, const struct ws *w, const unsigned char *p, size_t n,
                     uint64_t most)
{
    if (!first_right(w, p[0]))
        return -WS_PROTOCOL_ERROR;
    if (n < 2)
        return 0;
    bool control = (p[0] & CONTROL) != 0, close = (p[0] & OPCODE) == WS_CLOSE;
    unsigned size = p[1] & (MASKED - 1);
    if ((p[1] & MASKED) == 0 || (control && size > WS_CONTROL_MAX) || (close && size == 1))
        return -WS_PROTOCOL_ERROR;
    size_t width = size == SIZE_16 ? 2 : size == SIZE_64 ? 8 : 0;
    *h = (struct head){.first = p[0], .size = size};
    if (width > 0 && !read_size(p + 2, n - 2, width, &h->size))
        return -WS_PROTOCOL_ERROR;
    if (!control && (h->size > most || w->size > most - h->size))
        return -WS_TOO_BIG;
    if (n < 2 + width + MASK_SIZE)
        return 0;
    memcpy(&h->mask, p + 2 + width, MASK_SIZE);
    h->mask = le32toh(h->mask);
    return (int)(2 + width + MASK_SIZE);
}

/* Begins a frame's payload. */
static void begin_frame(struct ws *w, const struct head *h)
{
    unsigned opcode = h->first & OPCODE;
    if ((opcode & CONTROL) == 0) {
        if (opcode != WS_CONTINUATION) {
            w->message = (uint8_t)opcode;
            w->given = false;
        }
        opcode = w->message;
        w->size += h->size;
    }
    w->frame = (uint8_t)((h->first & FIN) | opcode);
    w->left = h->size;
    w->mask = h->mask;
}

/* Takes a head, or the part of it that is there. Returns 0, or minus a code. */
static int take_head(struct ws *w, struct input *in, uint64_t most)
{
    const char *p = in->p + in->at;
    size_t n = in->n - in->at, had = w->have;
    if (had > 0) {
        n = n < HEAD_MAX - had ? n : HEAD_MAX - had;
        memcpy(w->kept + had, p, n);
        n += had;
        p = w->kept;
    }
    struct head h;
    int size = read_head(&h, w, (const unsigned char *)p, n, most);
    if (size < 0)
        return size;
    if (size > 0) {
        assert((size_t)size > had);
        in->at += (size_t)size - had;
        w->have = 0;
        begin_frame(w, &h);
        return 0;
    }
    assert(n < HEAD_MAX);
    if (had == 0)
        memcpy(w->kept, p, n);
    w->have = (uint8_t)n;
    in->at = in->n;
    return 0;
}

/* ---- payload in ---- */

/* Takes the part of the frame's payload that is there, and unmasks it. */
static struct span take_payload(struct ws *w, struct input *in)
{
    char *p = in->p + in->at;
    size_t n = in->n - in->at;
    n = n < w->left ? n : (size_t)w->left;
    unmask(p, n, w->mask);
    w->mask = mask_after(w->mask, n);
    w->left -= n;
    in->at += n;
    return (struct span){p, n};
}

/* Takes a message's data. Returns 1 with a piece, 0 if there is none, or minus a code. */
static int take_data(struct ws *w, struct input *in, struct ws_piece *p)
{
    struct span data = take_payload(w, in);
    bool fin = (w->frame & FIN) != 0, last = fin && w->left == 0;
    if (w->message == WS_TEXT) {
        if (utf8_feed(&w->utf8, data) < data.n)
            return -WS_NOT_UTF8;
        if (fin && w->utf8.more > w->left)
            return -WS_NOT_UTF8; /* the message ends inside a character */
    }
    *p = (struct ws_piece){w->message, !w->given, last, 0, data};
    if (w->left == 0)
        w->frame = 0;
    if (last) {
        w->message = 0;
        w->size = 0;
    }
    if (data.n == 0 && !last)
        return 0;
    w->given = true;
    return 1;
}

/* Reads the payload of a close frame. Returns 1, or minus a code. */
static int read_close(struct ws_piece *p)
{
    p->code = WS_NO_CODE;
    if (p->data.n == 0)
        return 1;
    assert(p->data.n >= CODE_SIZE);
    const unsigned char *code = (const unsigned char *)p->data.p;
    p->code = (uint16_t)(code[0] << 8 | code[1]);
    p->data = span_from(p->data, CODE_SIZE);
    if (!code_right(p->code))
        return -WS_PROTOCOL_ERROR;
    return utf8_valid(p->data) == p->data.n ? 1 : -WS_NOT_UTF8;
}

/* Takes a control frame's payload. Returns 1 if it is complete, 0 if not, or minus a code. */
static int take_control(struct ws *w, struct input *in, struct ws_piece *p)
{
    struct span data = take_payload(w, in);
    if (w->have > 0 || w->left > 0) {
        assert(w->have + data.n + w->left <= WS_CONTROL_MAX);
        memcpy(w->kept + w->have, data.p, data.n);
        w->have = (uint8_t)(w->have + data.n);
        if (w->left > 0)
            return 0;
        data = (struct span){w->kept, w->have};
    }
    *p = (struct ws_piece){w->frame & OPCODE, true, true, 0, data};
    w->frame = 0;
    w->have = 0;
    return p->opcode == WS_CLOSE ? read_close(p) : 1;
}

int ws_read(struct ws *w, char *buf, size_t len, uint64_t most, size_t *took, struct ws_piece *p)
{
    struct input in = {.n = len};
    int result = 0;
    in.p = buf;
    while (result == 0 && in.at < len) {
        if (w->frame == 0)
            result = take_head(w, &in, most);
        /* Now, not with the next bytes: the payload may be empty. */
        if (result == 0 && w->frame != 0)
            result = (w->frame & CONTROL) != 0 ? take_control(w, &in, p) : take_data(w, &in, p);
    }
    *took = in.at;
    return result;
}

/* ---- frames out ---- */

size_t ws_head(char out[WS_HEAD_MAX], enum ws_opcode opcode, uint64_t size)
{
    bool control = opcode == WS_CLOSE || opcode == WS_PING || opcode == WS_PONG;
    assert(control ? size <= WS_CONTROL_MAX : opcode == WS_TEXT || opcode == WS_BINARY);
    assert(size <= INT64_MAX);
    size_t width = size < SIZE_16 ? 0 : size < 0x10000 ? 2 : 8;
    out[0] = (char)(FIN | opcode);
    out[1] = (char)(width == 0 ? size : width == 2 ? SIZE_16 : SIZE_64);
    for (size_t i = 0; i < width; i++)
        out[2 + i] = (char)(size >> 8 * (width - 1 - i));
    return 2 + width;
}

size_t ws_close(char *out, unsigned code, struct span reason)
{
    if (code == WS_NO_CODE) {
        assert(reason.n == 0);
        return ws_head(out, WS_CLOSE, 0);
    }
    assert(code_right(code));
    assert(utf8_valid(reason) == reason.n);
    if (reason.n > REASON_MAX) {
        reason.n = REASON_MAX;
        /* A byte 10xxxxxx continues a character. */
        while (((unsigned char)reason.p[reason.n] & 0xC0) == 0x80)
            reason.n--;
    }
    size_t n = ws_head(out, WS_CLOSE, CODE_SIZE + reason.n);
    out[n++] = (char)(code >> 8);
    out[n++] = (char)code;
    if (reason.n > 0)
        memcpy(out + n, reason.p, reason.n);
    return n + reason.n;
}
