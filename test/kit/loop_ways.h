/*
 * loop_ways.h - clients of the loop's tests (loop.h) that poll, or speak WebSocket.
 *
 * As a follower of events does, a POLLER and a TALKER look at each answer and each frame, byte by
 * byte, against all messages there were: they are well-formed, what is in them is as it was
 * published, in order, and nothing is left out unless a gap was told.
 */
#ifndef SSE_TEST_KIT_LOOP_WAYS_H
#define SSE_TEST_KIT_LOOP_WAYS_H

#include "lib/json.h"
#include "lib/ws.h"
#include "test/kit/loop.h"

/* ---- messages -------------------------------------------------------------------------------- */

/* Returns true if one of the names and wildcards selects record n. */
static inline bool wants_record(const char *what, uint64_t n)
{
    struct span names = span_of(what), name = told_topic(n);
    while (names.n > 0)
        if (topic_match(span_cut(&names, ','), name))
            return true;
    return false;
}

/* Returns true if it selects message n. */
static inline bool wants(const char *what, uint64_t n)
{
    return !told.item[n - 1].bare && !told.item[n - 1].purge && wants_record(what, n);
}

/* The next message behind `after` that it selects, and that nobody purged; 0: none. */
static inline uint64_t wanted_next(const char *what, uint64_t after)
{
    for (uint64_t n = after + 1; n <= told.n; n++)
        if (told.item[n - 1].fate == TOLD_STAYS && wants(what, n))
            return n;
    return 0;
}

/* The member of an object; false: there is none. */
static inline bool member(const struct json_value *object, const char *name, struct json_value *v)
{
    struct span is;
    size_t pos = 0;
    while (json_next(object, &pos, &is, v))
        if (span_eq(is, span_of(name)))
            return true;
    return false;
}

/* The N of an id; UINT64_MAX: it is not one of this server's so far. */
static inline uint64_t id_read(const struct json_value *v)
{
    struct cursor c;
    bool right = v->kind == JSON_STRING && cursor_read(v->raw, &c);
    assert(right);
    return c.ms == ring_newest(&S.ring).ms && c.n <= told.n ? c.n : UINT64_MAX;
}

/* The N of an id of this server. */
static inline uint64_t id_of(const struct json_value *v)
{
    uint64_t n = id_read(v);
    assert(n != UINT64_MAX);
    return n;
}

/* Returns true if the string is exactly this. */
static inline bool string_is(const struct json_value *v, struct span want)
{
    static char bytes[1 << 20];
    assert(v->kind == JSON_STRING && v->raw.n <= sizeof bytes);
    return span_eq((struct span){bytes, json_unescape(v->raw, bytes)}, want);
}

/* Looks at a message's object, which comes behind message `last`; returns its n. */
static inline uint64_t object_check(const struct json_value *object, const char *what,
                                    uint64_t last, bool *known)
{
    struct json_value v;
    bool has = member(object, "id", &v);
    assert(has);
    uint64_t n = id_of(&v);
    uint64_t next = wanted_next(what, last);
    assert(n > 0 && wants(what, n) && (!*known || next == 0 || next >= n));
    const struct told *m = &told.item[n - 1];
    has = member(object, "topic", &v);
    assert(has && string_is(&v, (struct span){told.bytes + m->topic_at, m->topic_size}));
    has = member(object, m->binary ? "base64" : "data", &v);
    assert(has && (m->binary || m->wiped || string_is(&v, told_data(n))));
    told_in_time(n);
    *known = true;
    return n;
}

/* ---- polls ----------------------------------------------------------------------------------- */

/* An answer to a poll. */
struct polled {
    int status;
    struct span head, body;
    uint64_t id; /* its cursor */
    unsigned messages;
    bool gap, ended;
};

/* Looks at the front of `s`. 0: it is not whole; else its bytes. `after` is the cursor that was
 * asked with, if `known`. JSON only. */
static inline size_t poll_check(struct span s, const char *what, uint64_t after, bool known,
                                struct polled *a)
{
    const char *end = memmem(s.p, s.n, "\r\n\r\n", 4);
    struct json_value v, list, item;
    struct span name;
    struct cursor c;
    size_t pos = 0, at;
    if (end == NULL)
        return 0;
    *a = (struct polled){.status = atoi(s.p + 9), .head = {s.p, (size_t)(end - s.p) + 4}};
    const char *length = memmem(s.p, a->head.n, "\r\nContent-Length: ", 18);
    a->body = (struct span){end + 4, length != NULL ? strtoul(length + 18, NULL, 10) : 0};
    if (a->head.n + a->body.n > s.n)
        return 0;
    const char *id = memmem(s.p, a->head.n, "\r\nLast-Event-ID: ", 17);
    assert(id != NULL && memmem(s.p, a->head.n, "\r\nETag: W/\"", 11) != NULL);
    bool right = cursor_read((struct span){id + 17, strcspn(id + 17, "\r")}, &c);
    assert(right && c.n <= told.n);
    a->id = c.n;
    a->ended = memmem(s.p, a->head.n, "\r\nEnded: true\r\n", 15) != NULL;
    assert(a->ended ? told_may_be_over(what, a->id) : !told_is_over(what, a->id));
    if (a->status != 200) {
        assert((a->status == 204 || a->status == 304) && a->body.n == 0);
        assert(!known || a->id >= after);
        return a->head.n;
    }
    right = json_read(a->body, &v, &at) && v.kind == JSON_OBJECT;
    right = right && member(&v, "id", &item) && id_of(&item) == a->id;
    right = right && member(&v, "gap", &item) && member(&v, "messages", &list);
    assert(right && (item.kind == JSON_NULL || item.kind == JSON_OBJECT));
    a->gap = item.kind == JSON_OBJECT;
    assert(member(&v, "ended", &item) == a->ended);
    known = known && !a->gap;
    while (json_next(&list, &pos, &name, &item)) {
        after = object_check(&item, what, after, &known);
        a->messages++;
    }
    assert(a->gap || a->messages > 0 || a->ended);
    assert(!known ||
           (a->id >= after && (wanted_next(what, after) == 0 || wanted_next(what, after) > a->id)));
    return a->head.n + a->body.n;
}

/* ---- WebSocket ------------------------------------------------------------------------------- */

struct talker {
    struct kernel_peer *p;
    char what[64];
    bool json;
    bool stranger; /* its last checkpoint was an id of which nothing is known */
    bool known;    /* `last` is: the next message is the next one of these topics */
    bool loose;    /* what it is subscribed to changes: only the order is looked at */
    enum {
        TALK_HEAD,
        TALK_OPEN,
        TALK_OVER,   /* a close frame has come */
        TALK_REFUSED /* no handshake */
    } state;
    size_t pos;
    uint64_t last;
    unsigned messages, gaps, checkpoints, pings, pongs, answers, errors, code, ends;
    uint64_t end[16]; /* those whose ends it was told, the latest of them */
};

/* Asks for one. `cursor` is the n it begins behind, or -1: now; then only json tells where that
 * is. */
static inline struct talker talks(struct kernel_peer *p, const char *what, bool json,
                                  long long cursor)
{
    struct talker t = {.p = p, .json = json, .known = cursor >= 0};
    char query[64] = "";
    snprintf(t.what, sizeof t.what, "%s", what);
    if (cursor >= 0) {
        snprintf(query, sizeof query, "?last-event-id=%llu-%lld", KERNEL_WALL_MS + 0ull, cursor);
        t.last = (uint64_t)cursor;
    }
    asks(p,
         "GET /%s%s HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
         what, query, json ? "Sec-WebSocket-Protocol: json\r\n" : "");
    return t;
}

/* Writes a frame as clients do, masked; returns its length. */
static inline size_t frame_put(char *out, unsigned first, const char *data, size_t n)
{
    static const char mask[4] = {'m', 'a', 's', 'k'};
    size_t at = 2;
    assert(n < 1u << 16);
    out[0] = (char)first;
    out[1] = (char)(0x80 | (n < 126 ? n : 126));
    if (n >= 126) {
        out[at++] = (char)(n >> 8);
        out[at++] = (char)n;
    }
    memcpy(out + at, mask, 4);
    for (size_t i = 0; i < n; i++)
        out[at + 4 + i] = (char)(data[i] ^ mask[i % 4]);
    return at + 4 + n;
}

/* Sends a whole frame of text, or with another opcode. */
static inline void frame_send(struct kernel_peer *p, unsigned opcode, const char *text)
{
    static char bytes[(64u << 10) + 16];
    kernel_send(p, bytes, frame_put(bytes, 0x80 | opcode, text, strlen(text)));
}

/* The end of a topic: a record's, told once to those whose topics stay what they are. */
static inline void talk_ended(struct talker *t, const struct json_value *ended)
{
    struct json_value topic, id;
    bool has = member(ended, "topic", &topic) && member(ended, "id", &id);
    assert(has && !t->stranger);
    uint64_t n = id_of(&id), next = wanted_next(t->what, t->last);
    assert(n > 0 && told.item[n - 1].end && string_is(&topic, told_topic(n)));
    assert(t->loose || wants_record(t->what, n));
    assert(!t->known || n <= t->last || next == 0 || next > n);
    for (size_t i = 0; i < sizeof t->end / sizeof t->end[0]; i++)
        assert(t->loose || t->end[i] != n);
    t->end[t->ends++ % (sizeof t->end / sizeof t->end[0])] = n;
    t->last = n > t->last ? n : t->last;
}

static inline void talk_object(struct talker *t, struct span text)
{
    struct json_value object, v;
    size_t at = 0;
    bool good = json_read(text, &object, &at);
    assert(good && object.kind == JSON_OBJECT);
    t->known = t->known && !t->loose;
    if (member(&object, "ok", &v)) {
        t->answers++;
    } else if (member(&object, "error", &v)) {
        t->errors++;
    } else if (member(&object, "ended", &v)) {
        talk_ended(t, &v);
    } else if (member(&object, "gap", &v)) {
        struct json_value reason;
        assert((t->known || t->loose) && member(&v, "reason", &reason));
        if (string_is(&reason, SPAN("unknown"))) /* it came with an id that was not there yet */
            t->last = 0;
        t->gaps++;
        t->known = t->stranger = false;
    } else if (member(&object, "topic", &v)) {
        uint64_t last = t->last;
        assert(!t->stranger);
        t->last = object_check(&object, t->loose ? "**" : t->what, last, &t->known);
        assert(t->last > last);
        t->messages++;
    } else {
        bool has = member(&object, "id", &v);
        assert(has && !t->stranger);
        if (id_read(&v) == UINT64_MAX) { /* the client's own, that it came with: a gap follows */
            assert(t->checkpoints + t->messages + t->gaps == 0);
            t->stranger = t->known = true;
            t->last = 0;
            t->checkpoints++;
            return;
        }
        uint64_t n = id_of(&v), next = wanted_next(t->what, t->last);
        assert(!t->known || (n >= t->last && (next == 0 || next > n)));
        t->last = n;
        t->known = true;
        t->checkpoints++;
    }
}

static inline void talk_data(struct talker *t, unsigned opcode, struct span data)
{
    assert(t->known);
    t->last = wanted_next(t->what, t->last);
    assert(t->last != 0);
    const struct told *m = &told.item[t->last - 1];
    assert(m->wiped || span_eq(data, told_data(t->last)));
    assert(opcode == (m->binary ? WS_BINARY : WS_TEXT));
    t->messages++;
}

static inline void talk_frame(struct talker *t, unsigned opcode, struct span data)
{
    assert(t->state == TALK_OPEN); /* nothing comes behind a close */
    if (opcode == WS_CLOSE) {
        t->state = TALK_OVER;
        t->code = data.n >= 2 ? (unsigned)((unsigned char)data.p[0] << 8 | (unsigned char)data.p[1])
                              : WS_NO_CODE;
        if (t->code == WS_NORMAL && data.n > 2 && !t->loose)
            assert(span_eq(span_from(data, 2), SPAN("ended")) && told_may_be_over(t->what, told.n));
    } else if (opcode == WS_PING) {
        t->pings++;
    } else if (opcode == WS_PONG) {
        t->pongs++;
    } else if (t->json) {
        assert(opcode == WS_TEXT);
        talk_object(t, data);
    } else {
        talk_data(t, opcode, data);
    }
}

/* Looks at a stream of objects, a line each, from `pos` on. */
static inline void talk_lines(struct talker *t)
{
    const char *end;
    while (t->pos < t->p->out.n &&
           (end = memchr(t->p->out.p + t->pos, '\n', t->p->out.n - t->pos)) != NULL) {
        struct span line = {t->p->out.p + t->pos, (size_t)(end - t->p->out.p) - t->pos};
        look_from(t->p, t->pos);
        if (line.n == 0)
            t->pings++;
        else
            talk_object(t, line);
        t->pos += line.n + 1;
    }
}

/* The length of the frame at the front of s, and its payload; 0: it is not whole. */
static inline size_t frame_cut(struct span s, unsigned *opcode, struct span *data)
{
    const unsigned char *b = (const unsigned char *)s.p;
    size_t head = 2, n = s.n >= 2 ? b[1] : 0;
    if (s.n < 2)
        return 0;
    *opcode = b[0] & 15;
    assert((b[0] & 0xf0) == 0x80 && n <= 127);
    assert(*opcode == WS_TEXT || *opcode == WS_BINARY ||
           (*opcode >= WS_CLOSE && n <= 125 && *opcode <= WS_PONG));
    if (n >= 126) {
        head = n == 126 ? 4 : 10;
        if (s.n < head)
            return 0;
        n = 0;
        for (size_t i = 2; i < head; i++)
            n = n << 8 | b[i];
        assert(n >= (head == 4 ? 126 : 1u << 16)); /* in its shortest form */
    }
    *data = (struct span){s.p + head, n};
    return head + n <= s.n ? head + n : 0;
}

/* Looks at what has come since the last call. */
static inline void talk(struct talker *t)
{
    while (t->pos < t->p->out.n && t->state != TALK_REFUSED) {
        struct span s = {t->p->out.p + t->pos, t->p->out.n - t->pos}, data;
        unsigned opcode;
        size_t n;
        look_from(t->p, t->pos);
        if (t->state == TALK_HEAD) {
            const char *end = memmem(s.p, s.n, "\r\n\r\n", 4);
            if (end == NULL)
                return;
            n = (size_t)(end - s.p) + 4;
            t->state = span_begins(s, SPAN("HTTP/1.1 101 ")) ? TALK_OPEN : TALK_REFUSED;
        } else if ((n = frame_cut(s, &opcode, &data)) == 0) {
            return;
        } else {
            talk_frame(t, opcode, data);
        }
        t->pos += n;
    }
}

/* The loop has nothing to do: it must be up to date, unless it subscribes to nothing. */
static inline void talk_to_the_end(struct talker *t)
{
    talk(t);
    assert(!t->p->closed && t->state == TALK_OPEN && t->pos == t->p->out.n);
    assert(!t->known || t->loose || wanted_next(t->what, t->last) == 0);
    assert(t->loose || !told_is_over(t->what, told.n));
}

#endif
