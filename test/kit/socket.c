/*
 * socket.c - a WebSocket client for end-to-end tests.
 */
#include "test/kit/socket.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const uint32_t mask_at_hand = 0xA1F40337;

/* ---- handshake ---- */

void socket_shake(struct e2e_conn *c, const char *target, const char *fields)
{
    static struct e2e_response r;
    e2e_printf(c, SOCKET_ASK SOCKET_KEY "%s\r\n", target, fields != NULL ? fields : "");
    e2e_response(c, &r);
    if (r.status != 101)
        e2e_fail("the handshake was answered %s%s", r.head, r.body);
    ck_assert_str_eq(e2e_field(&r, "Upgrade"), "websocket");
    ck_assert_str_eq(e2e_field(&r, "Connection"), "Upgrade");
    ck_assert_str_eq(e2e_field(&r, "Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    ck_assert_ptr_null(e2e_field(&r, "Sec-WebSocket-Extensions"));
    const char *protocol = e2e_field(&r, "Sec-WebSocket-Protocol");
    bool json = fields != NULL && strstr(fields, SOCKET_JSON) != NULL;
    if (json != (protocol != NULL) || (json && strcmp(protocol, "json") != 0))
        e2e_fail("the subprotocol is %s", protocol);
}

struct e2e_conn *socket_open(const struct e2e_server *s, const char *target, const char *fields)
{
    struct e2e_conn *c = e2e_open(s);
    socket_shake(c, target, fields);
    return c;
}

struct e2e_conn *socket_open_json(const struct e2e_server *s, const char *target,
                                  const char *fields)
{
    char all[1024];
    snprintf(all, sizeof(all), SOCKET_JSON "%s", fields != NULL ? fields : "");
    struct e2e_conn *c = socket_open(s, target, all);
    const char *text = socket_expect_in(c, "{\"id\":\"");
    if (strchr(text, ',') != NULL)
        e2e_fail("not a checkpoint: %s", text);
    return c;
}

/* ---- frames out ---- */

size_t socket_head(char out[SOCKET_HEAD_MAX], unsigned first, unsigned long long n, uint32_t mask)
{
    size_t at = 0;
    unsigned width = n < 126 ? 0 : n < 65536 ? 2 : 8;
    out[at++] = (char)first;
    out[at++] = (char)(0x80 | (width == 0 ? (unsigned)n : width == 2 ? 126 : 127));
    while (width-- > 0)
        out[at++] = (char)(n >> 8 * width);
    for (unsigned i = 0; i < 4; i++)
        out[at++] = (char)(mask >> 8 * i);
    return at;
}

size_t socket_frame(char *out, unsigned first, const void *data, size_t n, uint32_t mask)
{
    size_t head = socket_head(out, first, n, mask);
    for (size_t i = 0; i < n; i++)
        out[head + i] = (char)(((const char *)data)[i] ^ (char)(mask >> 8 * (i % 4)));
    return head + n;
}

void socket_send(struct e2e_conn *c, unsigned first, const void *data, size_t n)
{
    char *out = malloc(SOCKET_HEAD_MAX + n);
    ck_assert_ptr_nonnull(out);
    e2e_send_n(c, out, socket_frame(out, first, data, n, mask_at_hand));
    free(out);
}

void socket_text(struct e2e_conn *c, const char *format, ...)
{
    static char text[65536];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    ck_assert_int_lt(n, (int)sizeof(text));
    socket_send(c, SOCKET_FIN | SOCKET_TEXT, text, (size_t)n);
}

void socket_send_close(struct e2e_conn *c, unsigned code, const char *reason)
{
    char data[125];
    int n = snprintf(data, sizeof(data), "%c%c%s", (char)(code >> 8), (char)code, reason);
    data[0] = (char)(code >> 8);
    socket_send(c, SOCKET_FIN | SOCKET_CLOSE, data, (size_t)n);
}

/* ---- frames in ---- */

bool socket_peek(struct e2e_conn *c, struct socket_frame *f)
{
    const unsigned char *p = (const unsigned char *)c->buf;
    if (c->n < 2)
        return false;
    f->opcode = p[0] & 15;
    f->n = p[1];
    f->head = 2;
    if ((p[0] & 0xF0) != SOCKET_FIN || p[1] > 127)
        e2e_fail("a frame of a server begins with %02x %02x", p[0], p[1]);
    unsigned width = p[1] == 126 ? 2 : p[1] == 127 ? 8 : 0;
    if (c->n < 2 + width)
        return false;
    for (f->n = width > 0 ? 0 : f->n; f->head < 2 + width; f->head++)
        f->n = f->n << 8 | p[f->head];
    if ((width == 2 && f->n < 126) || (width == 8 && f->n < 65536))
        e2e_fail("a length of %zu in %u bytes", f->n, width);
    if (f->opcode > SOCKET_BINARY && (f->opcode < SOCKET_CLOSE || f->opcode > SOCKET_PONG))
        e2e_fail("a frame of opcode %u", f->opcode);
    if ((f->opcode >= SOCKET_CLOSE && f->n > 125) || f->opcode == 0)
        e2e_fail("opcode %u with %zu bytes", f->opcode, f->n);
    f->data = c->buf + f->head;
    f->code = 0;
    if (c->n < f->head + f->n)
        return false;
    if (f->opcode == SOCKET_CLOSE && f->n >= 2)
        f->code = (unsigned)p[f->head] << 8 | p[f->head + 1];
    return true;
}

void socket_read(struct e2e_conn *c, struct socket_frame *f)
{
    f->head = 2;
    f->n = 0;
    while (!socket_peek(c, f))
        e2e_need(c, c->n < f->head + f->n ? f->head + f->n : c->n + 1);
}

void socket_skip_pings(struct e2e_conn *c)
{
    struct socket_frame f;
    for (socket_read(c, &f); f.opcode == SOCKET_PING; socket_read(c, &f))
        socket_done(c, &f);
}

void socket_done(struct e2e_conn *c, const struct socket_frame *f)
{
    e2e_consume(c, f->head + f->n);
}

void socket_pull(struct e2e_conn *c, int ms)
{
    struct pollfd in = {c->fd, POLLIN, 0};
    while (!c->eof && poll(&in, 1, ms) == 1) {
        if (c->cap - c->n < 65536) {
            c->cap *= 2;
            c->buf = realloc(c->buf, c->cap);
            ck_assert_ptr_nonnull(c->buf);
            continue;
        }
        ssize_t got = recv(c->fd, c->buf + c->n, c->cap - c->n - 1, MSG_DONTWAIT);
        c->eof = got <= 0;
        c->n += got > 0 ? (size_t)got : 0;
        c->buf[c->n] = '\0';
        ms = 0;
    }
}

bool socket_read_or_end(struct e2e_conn *c, struct socket_frame *f)
{
    int64_t deadline = e2e_now_ms() + E2E_WAIT_MS;
    while (!socket_peek(c, f)) {
        if (c->eof)
            return false;
        if (e2e_now_ms() > deadline)
            e2e_fail("neither a frame nor the end came in time");
        socket_pull(c, 100);
    }
    return true;
}

void socket_expect(struct e2e_conn *c, unsigned opcode, const void *data, size_t n)
{
    struct socket_frame f;
    socket_read(c, &f);
    if (f.opcode != opcode || f.n != n)
        e2e_fail("opcode %u with %zu bytes came, not %u with %zu: %.*s%s", f.opcode, f.n, opcode, n,
                 (int)(f.n < 500 ? f.n : 500), f.data, f.code != 0 ? " (close)" : "");
    for (size_t i = 0; i < n; i++)
        if (f.data[i] != ((const char *)data)[i])
            e2e_fail("byte %zu of %zu came as %02x, not %02x", i, n, (unsigned char)f.data[i],
                     ((const unsigned char *)data)[i]);
    socket_done(c, &f);
}

void socket_expect_text(struct e2e_conn *c, const char *format, ...)
{
    static char text[65536];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    ck_assert_int_lt(n, (int)sizeof(text));
    socket_expect(c, SOCKET_TEXT, text, (size_t)n);
}

const char *socket_expect_in(struct e2e_conn *c, const char *part)
{
    static char text[65536];
    struct socket_frame f;
    socket_read(c, &f);
    if (f.n >= sizeof(text))
        e2e_fail("a frame of %zu bytes came", f.n);
    memcpy(text, f.data, f.n);
    text[f.n] = '\0';
    if (f.opcode != SOCKET_TEXT || strstr(text, part) == NULL)
        e2e_fail("opcode %u came, with: %s; wanted: %s", f.opcode, f.code != 0 ? text + 2 : text,
                 part);
    socket_done(c, &f);
    return text;
}

void socket_expect_close(struct e2e_conn *c, unsigned code)
{
    struct socket_frame f;
    socket_read(c, &f);
    if (f.opcode != SOCKET_CLOSE || f.code != code)
        e2e_fail("opcode %u came, with code %u, not a close with %u: %.*s", f.opcode, f.code, code,
                 (int)(f.n < 500 ? f.n : 500), f.data);
    socket_done(c, &f);
    e2e_expect_end(c);
}
