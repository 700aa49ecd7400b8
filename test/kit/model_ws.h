/*
 * model_ws.h - what came out of a stream of frames, written down: taken by lib/ws in reads of any
 * size, or by a second, plain reader to hold it against.
 *
 * A log holds "[text|DATA]" and "[binary|DATA]" for each whole message, "[ping|DATA]",
 * "[pong|DATA]" and "[close CODE|REASON]" for each control frame, as they were finished, and at the
 * end "(text|DATA" for what has come of a message that is not, unless the stream is wrong.
 */
#ifndef SSE_TEST_KIT_MODEL_WS_H
#define SSE_TEST_KIT_MODEL_WS_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/ws.h"

/* ---- bytes that grow ---- */

struct ws_bytes {
    char *p;
    size_t n, cap;
};

static inline void ws_put(struct ws_bytes *b, struct span s)
{
    if (b->cap - b->n < s.n) {
        b->cap = (b->cap + s.n) * 2;
        b->p = realloc(b->p, b->cap);
        assert(b->p != NULL);
    }
    if (s.n > 0)
        memcpy(b->p + b->n, s.p, s.n);
    b->n += s.n;
}

static inline void ws_put_byte(struct ws_bytes *b, unsigned byte)
{
    char c = (char)byte;
    ws_put(b, (struct span){&c, 1});
}

/* A frame as a client sends it, its length in so many bytes behind the first two. */
static inline void ws_put_frame(struct ws_bytes *b, unsigned first, size_t width, struct span data,
                                const char mask[4])
{
    ws_put_byte(b, first);
    ws_put_byte(b, (unsigned)(0x80 | (width == 0 ? data.n : width == 2 ? 126 : 127)));
    for (size_t i = width; i > 0; i--)
        ws_put_byte(b, (unsigned)((uint64_t)data.n >> 8 * (i - 1) & 0xFF));
    ws_put(b, (struct span){mask, 4});
    size_t at = b->n;
    ws_put(b, data);
    for (size_t i = 0; i < data.n; i++)
        b->p[at + i] = (char)(b->p[at + i] ^ mask[i % 4]);
}

/* ---- the log ---- */

struct ws_log {
    struct ws_bytes text;
    int result;        /* 0, or minus a code */
    size_t before, at; /* where wrong: the byte that tells is at or behind `before`, before `at` */
    size_t idles;      /* how often there was no state after a read */
    bool closed;       /* a close has come */
    bool drop;         /* drops the state, if it may be */
    struct ws_bytes part; /* of the message that has begun */
    unsigned opcode;      /* its kind; 0: none */
};

static inline void ws_log_piece(struct ws_log *log, unsigned opcode, unsigned code,
                                struct span data)
{
    static const char *const names[] = {
        [WS_TEXT] = "text", [WS_BINARY] = "binary", [WS_PING] = "ping", [WS_PONG] = "pong"};
    char head[32];
    if (opcode == WS_CLOSE)
        snprintf(head, sizeof(head), "[close %u|", code);
    else
        snprintf(head, sizeof(head), "[%s|", names[opcode]);
    ws_put(&log->text, span_of(head));
    ws_put(&log->text, data);
    ws_put(&log->text, SPAN("]"));
    log->closed = opcode == WS_CLOSE;
}

/* Adds to the message; the last piece makes it whole. */
static inline void ws_log_data(struct ws_log *log, struct span data, bool last)
{
    ws_put(&log->part, data);
    if (last) {
        ws_log_piece(log, log->opcode, 0, (struct span){log->part.p, log->part.n});
        log->part.n = 0;
        log->opcode = 0;
    }
}

static inline void ws_log_end(struct ws_log *log)
{
    if (log->result == 0 && log->part.n > 0) {
        ws_put(&log->text, log->opcode == WS_TEXT ? SPAN("(text|") : SPAN("(binary|"));
        ws_put(&log->text, (struct span){log->part.p, log->part.n});
    }
    free(log->part.p);
    log->part.p = NULL;
}

static inline bool ws_same(const struct ws_log *a, const struct ws_log *b)
{
    return a->result == b->result && a->closed == b->closed &&
           span_eq((struct span){a->text.p, a->text.n}, (struct span){b->text.p, b->text.n});
}

/* Returns true if the two agree on the wrong byte, one of them being exact. */
static inline bool ws_same_place(const struct ws_log *exact, const struct ws_log *log)
{
    return log->result == 0 || (log->before < exact->at && exact->at <= log->at);
}

/* ---- lib/ws, in reads of any size ---- */

/* A piece is what ws.h says, and where. */
static inline void ws_check_piece(struct ws_log *log, const struct ws *w, const struct ws_piece *p,
                                  const char *buf, size_t took, uint64_t most)
{
    bool in_buf = p->data.p >= buf && p->data.p + p->data.n <= buf + took;
    if (p->opcode == WS_TEXT || p->opcode == WS_BINARY) {
        assert(in_buf);
        assert(p->first == (log->opcode == 0));
        assert(p->first || p->opcode == log->opcode);
        assert(p->data.n > 0 || p->last);
        assert(p->code == 0);
        log->opcode = p->opcode;
        ws_log_data(log, p->data, p->last);
        assert(log->part.n <= most && (p->last || log->part.n <= w->size));
        assert(w->size <= most);
        return;
    }
    assert(p->opcode == WS_CLOSE || p->opcode == WS_PING || p->opcode == WS_PONG);
    assert(p->data.n <= WS_CONTROL_MAX && p->first && p->last);
    assert(in_buf || (p->data.p >= w->kept && p->data.p + p->data.n <= w->kept + WS_CONTROL_MAX));
    assert((p->opcode == WS_CLOSE) == (p->code != 0));
    ws_log_piece(log, p->opcode, p->code, p->data);
}

static inline char *ws_on_heap(struct span s)
{
    char *p = malloc(s.n > 0 ? s.n : 1);
    assert(p != NULL);
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return p;
}

/* One read: memory of just its size, what is left moving to new memory after each piece. The state
 * is dropped where it may be, half of the times. */
static inline void ws_collect_read(struct ws *w, struct ws_log *log, struct span read,
                                   uint64_t most)
{
    char *buf = ws_on_heap(read);
    do {
        struct ws_piece p;
        size_t took = SIZE_MAX;
        memset(&p, 0xA5, sizeof(p));
        log->result = ws_read(w, buf, read.n, most, &took, &p);
        assert(log->result <= 1 && took <= read.n);
        if (log->result == 1)
            ws_check_piece(log, w, &p, buf, took, most);
        else if (log->result == 0)
            assert(took == read.n);
        read = span_from(read, took);
        /* Nothing was written past what was taken. */
        assert(log->result < 0 || read.n == 0 || memcmp(buf + took, read.p, read.n) == 0);
        free(buf);
        buf = ws_on_heap(read);
        if (ws_idle(w) && log->drop)
            *w = (struct ws){0};
        log->drop = !log->drop;
    } while (log->result == 1 && !log->closed);
    free(buf);
}

/* Takes a stream in reads of size(arg, bytes left), until it is wrong or a close. free() text.p. */
static inline struct ws_log ws_collect(struct span s, uint64_t most,
                                       size_t (*size)(void *arg, size_t left), void *arg)
{
    struct ws_log log = {.result = 0};
    struct ws w = {0};
    while (s.n > 0 && log.result == 0 && !log.closed) {
        size_t n = size(arg, s.n);
        ws_collect_read(&w, &log, (struct span){s.p, n}, most);
        log.result = log.result > 0 ? 0 : log.result;
        s = span_from(s, n);
        log.before = log.at;
        log.at += n;
        log.idles += log.result == 0 && ws_idle(&w);
    }
    ws_log_end(&log);
    return log;
}

static inline size_t ws_whole(void *arg, size_t left)
{
    (void)arg;
    return left;
}

static inline size_t ws_one(void *arg, size_t left)
{
    (void)arg;
    return left > 0;
}

/* Reads of *arg[0], of *arg[1] and of the rest. */
static inline size_t ws_cuts(void *arg, size_t left)
{
    size_t *cut = arg, n = cut[0];
    cut[0] = cut[1];
    cut[1] = 0;
    return n > 0 && n < left ? n : left;
}

/* ---- the plain reader ---- */

/* What a length is worth, in a head that has `width` bytes for it. */
static inline int ws_plain_size(bool control, size_t width, uint64_t size, uint64_t so_far,
                                uint64_t most)
{
    static const uint64_t least[] = {[0] = 0, [2] = 126, [8] = 65536};
    if (size < least[width] || size >= UINT64_C(1) << 63)
        return -1002;
    return !control && size > most - so_far ? -1009 : 0;
}

struct ws_plain {
    struct ws_log log;
    struct span s;
    size_t at;
    uint64_t most, so_far; /* of the message */
    unsigned first;        /* of the frame */
    uint64_t size;
    const char *mask;
    struct utf8 utf8;
};

/* Judges the first `n` bytes of a head: returns 1 if it is whole, 0 if it is incomplete, and less
 * than 0 if it is wrong whatever follows. */
static inline int ws_plain_head(struct ws_plain *r, const unsigned char *p, size_t n)
{
    unsigned opcode = p[0] % 16, fin = p[0] / 128;
    bool known = opcode <= 2 || (opcode >= 8 && opcode <= 10), control = opcode >= 8;
    if (p[0] / 16 % 8 != 0 || !known || (control && !fin))
        return -1002;
    if (!control && (opcode == 0) != (r->log.opcode != 0))
        return -1002;
    if (n == 1)
        return 0;
    if (p[1] < 128 || (control && p[1] > 128 + 125) || (opcode == 8 && p[1] == 128 + 1))
        return -1002;
    size_t width = p[1] == 128 + 126 ? 2 : p[1] == 128 + 127 ? 8 : 0;
    uint64_t least = width == 0 ? p[1] % 128 : 0, most = least;
    for (size_t i = 2; i < 2 + width; i++) {
        least = least * 256 + (i < n ? p[i] : 0);
        most = most * 256 + (i < n ? p[i] : 255);
    }
    int a = ws_plain_size(control, width, least, r->so_far, r->most);
    int b = ws_plain_size(control, width, most, r->so_far, r->most);
    if (a == b && a != 0 && (width == 0 || n > 2))
        return a;
    r->first = p[0];
    r->size = least;
    r->mask = (const char *)p + 2 + width;
    return n == 2 + width + 4;
}

static inline int ws_plain_close(struct ws_log *log, struct span s)
{
    static const unsigned good[][2] = {{1000, 1003}, {1007, 1014}, {3000, 4999}};
    if (s.n == 0) {
        ws_log_piece(log, WS_CLOSE, 1005, s);
        return 0;
    }
    unsigned code = (unsigned char)s.p[0] * 256u + (unsigned char)s.p[1];
    bool right = false;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        right |= code >= good[i][0] && code <= good[i][1];
    s = span_from(s, 2);
    if (!right || utf8_valid(s) != s.n)
        return right ? -1007 : -1002;
    ws_log_piece(log, WS_CLOSE, code, s);
    return 0;
}

/* A byte of the payload, or none: `left` are still to come. */
static inline int ws_plain_text(struct ws_plain *r, struct span byte, uint64_t left)
{
    if (r->log.opcode != WS_TEXT)
        return 0;
    if (utf8_feed(&r->utf8, byte) != byte.n)
        return -1007;
    return r->first >= 128 && !utf8_whole(&r->utf8) && r->utf8.more > left ? -1007 : 0;
}

static inline int ws_plain_data(struct ws_plain *r)
{
    if (r->first % 16 != 0) {
        r->log.opcode = r->first % 16;
        r->utf8 = (struct utf8){0, 0, 0};
    }
    r->so_far += r->size;
    int result = ws_plain_text(r, SPAN(""), r->size);
    for (uint64_t i = 0; i < r->size && result == 0; i++) {
        if (r->at == r->s.n)
            return 0;
        char c = (char)(r->s.p[r->at++] ^ r->mask[i % 4]);
        ws_log_data(&r->log, (struct span){&c, 1}, false);
        result = ws_plain_text(r, (struct span){&c, 1}, r->size - 1 - i);
    }
    if (result == 0 && r->first >= 128) {
        ws_log_data(&r->log, SPAN(""), true);
        r->so_far = 0;
    }
    return result;
}

static inline int ws_plain_control(struct ws_plain *r)
{
    char data[125];
    for (size_t i = 0; i < r->size; i++) {
        if (r->at == r->s.n)
            return 0;
        data[i] = (char)(r->s.p[r->at++] ^ r->mask[i % 4]);
    }
    struct span s = {data, (size_t)r->size};
    if (r->first % 16 == 8)
        return ws_plain_close(&r->log, s);
    ws_log_piece(&r->log, r->first % 16, 0, s);
    return 0;
}

/* Takes a stream from its whole, byte after byte. free() text.p. */
static inline struct ws_log ws_plain(struct span s, uint64_t most)
{
    struct ws_plain r = {.s = s, .most = most};
    int result = 0;
    while (r.at < s.n && result == 0 && !r.log.closed) {
        const unsigned char *p = (const unsigned char *)s.p + r.at;
        size_t n = 0;
        while (result == 0 && r.at < s.n) {
            result = ws_plain_head(&r, p, ++n);
            r.at++;
        }
        if (result <= 0)
            break;
        size_t end = r.at + (size_t)(r.size < s.n ? r.size : s.n);
        result = r.first % 16 >= 8 ? ws_plain_control(&r) : ws_plain_data(&r);
        r.log.idles += result == 0 && r.at == end && r.log.opcode == 0;
    }
    r.log.result = result;
    r.log.at = r.at;
    r.log.before = r.at > 0 ? r.at - 1 : 0;
    ws_log_end(&r.log);
    return r.log;
}

#endif
