/*
 * swarm_read.c - what comes for the clients of a swarm, in six ways, and
 * whether it is right.
 */
#include "test/kit/swarm.h"

#include "lib/hash.h"
#include "lib/json.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const char *const way_names[SWARM_WAYS] = {"SSE",        "NDJSON",        "long poll",
                                                  "short poll", "WebSocket raw", "WebSocket json"};

static char text[SWARM_WORK], again[SWARM_WORK / 8]; /* a message decoded; as it must be */

__attribute__((format(printf, 3, 4), noreturn)) static void
wrong(struct swarm *s, const struct swarm_client *c, const char *format, ...)
{
    static char why[4096], path[1024];
    va_list ap;
    va_start(ap, format);
    vsnprintf(why, sizeof why, format, ap);
    va_end(ap);
    swarm_path(path, c->mask);
    child_die(s->server, "SSE_SEED=%llu: a client (%s%s%s) of %.100s, at cursor %llu: %s",
              (unsigned long long)s->seed, way_names[c->way], c->slow ? ", slow" : "",
              c->split ? ", in parts" : "", path, (unsigned long long)c->cursor, why);
}

/* ---- what a client is told ---- */

uint64_t swarm_id(struct swarm *s, struct span id)
{
    struct span ms = span_cut(&id, '-');
    uint64_t epoch = 0, n = 0;
    if (!span_u64(ms, &epoch) || !span_u64(id, &n) || (s->epoch != 0 && epoch != s->epoch))
        child_die(s->server, "an id of another store: %.*s-%.*s", (int)ms.n, ms.p, (int)id.n, id.p);
    s->epoch = epoch;
    return n;
}

static void told_cursor(struct swarm *s, struct swarm_client *c, uint64_t n)
{
    if (c->fresh)
        c->from = n;
    else if (n < c->cursor)
        wrong(s, c, "the cursor went back to %llu", (unsigned long long)n);
    c->fresh = false;
    c->cursor = n;
}

static void told_gap(struct swarm *s, struct swarm_client *c, struct span gap)
{
    if (!s->gaps || memmem(gap.p, gap.n, "\"unknown\"", 9) != NULL)
        wrong(s, c, "a gap: %.*s", (int)gap.n, gap.p);
    c->gap = (1u << SWARM_PUBLISHERS) - 1;
    s->gap_count++;
}

/* Messages of publisher p from `first` up to `end` have not come: none of them
 * may be of the client's topics and have been acknowledged, but where a gap has
 * been told and the ring can have outrun it. */
static void left_out(struct swarm *s, struct swarm_client *c, unsigned p, uint32_t first,
                     uint32_t end)
{
    for (uint32_t seq = end; seq-- > first;) {
        if ((c->mask >> swarm_topic(s, p, seq) & 1) == 0)
            continue;
        const struct swarm_put *put = swarm_put(s, p, seq);
        if (put == NULL)
            return;
        if (put->fate == SWARM_UNSURE || put->fate == SWARM_GONE)
            continue;
        if ((c->gap >> p & 1) != 0 && swarm_outrun(s, put)) {
            s->missed_in_gaps++;
            return; /* and so can those before it */
        }
        wrong(s, c, "message %u of publisher %u, id %llu, was due, and %u came%s", seq, p,
              (unsigned long long)put->n, end,
              (c->gap >> p & 1) != 0 ? "; the ring can't have outrun it" : "");
    }
}

/* The first message of a publisher has come: the one before must be from before
 * the client was there. */
static void first_of(struct swarm *s, struct swarm_client *c, unsigned p, uint32_t end)
{
    for (uint32_t seq = end; seq-- > 0;) {
        if ((c->mask >> swarm_topic(s, p, seq) & 1) == 0)
            continue;
        const struct swarm_put *put = swarm_put(s, p, seq);
        if (put == NULL || put->fate == SWARM_UNSURE || put->fate == SWARM_GONE || put->n == 0)
            continue;
        if (put->n > c->from)
            left_out(s, c, p, seq, end);
        return;
    }
}

/* A client of frames is not told ids: it goes on from the last message whose id
 * is known. */
static void at_frame(struct swarm_client *c, uint64_t n)
{
    if (n == 0)
        return;
    c->lost = false;
    c->cursor = n;
    c->sure_open = c->open;
    c->sure_gap = c->gap;
    memcpy(c->sure, c->due, sizeof c->sure);
}

static void came_in_time(struct swarm *s, const struct swarm_client *c, unsigned p, uint64_t time)
{
    if (c->way == SWARM_SHORT || c->slow || c->split || s->pub[p].split || time < s->since_us)
        return;
    uint64_t late = child_now_us() - time;
    s->late_us = late > s->late_us ? late : s->late_us;
}

struct told {
    struct span data, topic, event; /* topic and event: .p is NULL where the way does not tell */
    bool binary;
    uint64_t n; /* likewise 0 */
};

static void told_message(struct swarm *s, struct swarm_client *c, const struct told *m)
{
    unsigned long long p64, seq64, time;
    char head[64], name[16];
    if ((m->data.n == 0 || !isdigit((unsigned char)*m->data.p)) && c->mask == SWARM_ALL) {
        if (m->n != 0)
            told_cursor(s, c, m->n);
        return;
    }
    snprintf(head, sizeof head, "%.*s", (int)(m->data.n < 63 ? m->data.n : 63), m->data.p);
    if (sscanf(head, "%llu %llu %llu ", &p64, &seq64, &time) != 3 || p64 >= s->pubs)
        wrong(s, c, "not a message: %.100s", head);
    unsigned p = (unsigned)p64;
    uint32_t seq = (uint32_t)seq64;
    size_t n = swarm_data(s, again, p, seq, time);
    if (!span_eq(m->data, (struct span){again, n}) || m->binary != swarm_binary(s, p, seq))
        wrong(s, c, "message %u of publisher %u came changed: %.*s", seq, p, (int)m->data.n,
              m->data.p);
    swarm_topic_name(name, swarm_topic(s, p, seq));
    if ((c->mask >> swarm_topic(s, p, seq) & 1) == 0 ||
        (m->topic.p != NULL && !span_eq(m->topic, span_of(name))))
        wrong(s, c, "message %u of publisher %u is of %s", seq, p, name);
    if (m->event.p != NULL && !span_eq(m->event, span_of(swarm_event(s, p, seq))) &&
        !span_eq(m->event, span_of(name)))
        wrong(s, c, "message %u of publisher %u has the event %.*s", seq, p, (int)m->event.n,
              m->event.p);
    swarm_known(s, p, seq, m->n);
    if (m->n != 0 && m->n <= c->cursor)
        wrong(s, c, "message %u of publisher %u, id %llu: repeated or not in order", seq, p,
              (unsigned long long)m->n);
    if ((c->open >> p & 1) != 0)
        first_of(s, c, p, seq);
    else if (seq < c->due[p])
        wrong(s, c, "message %u of publisher %u came again, %u was due", seq, p, c->due[p]);
    else
        left_out(s, c, p, c->due[p], seq);
    c->open &= (uint16_t) ~(1u << p);
    c->gap &= (uint16_t) ~(1u << p);
    c->due[p] = seq + 1;
    if (m->n != 0)
        told_cursor(s, c, m->n);
    const struct swarm_put *put = swarm_put(s, p, seq);
    if (c->way == SWARM_FRAMES && put != NULL)
        at_frame(c, put->n);
    came_in_time(s, c, p, time);
    s->messages++;
    s->by_way[c->way]++;
}

/* An object: a message, or {"id":..} or {"gap":..}. */
static void told_object(struct swarm *s, struct swarm_client *c, struct span line)
{
    struct json_value object, v, data = {0}, id = {0}, topic = {0}, event = {0};
    struct span name;
    size_t at, pos = 0, members = 0;
    bool binary = false;
    if (!json_read(line, &object, &at) || object.kind != JSON_OBJECT)
        wrong(s, c, "not an object: %.*s", (int)line.n, line.p);
    for (; json_next(&object, &pos, &name, &v); members++) {
        if (span_eq(name, SPAN("gap"))) {
            told_gap(s, c, v.raw);
            return;
        }
        if (span_eq(name, SPAN("id")))
            id = v;
        else if (span_eq(name, SPAN("topic")))
            topic = v;
        else if (span_eq(name, SPAN("event")))
            event = v;
        else if (!span_eq(name, SPAN("time")))
            data = v;
        binary = binary || span_eq(name, SPAN("base64"));
    }
    uint64_t n = swarm_id(s, id.raw);
    if (members == 1) {
        told_cursor(s, c, n);
        return;
    }
    if (members != 5 || data.kind != JSON_STRING || data.raw.n > sizeof text)
        wrong(s, c, "not a message: %.*s", (int)line.n, line.p);
    ptrdiff_t size =
        binary ? base64_read(text, data.raw) : (ptrdiff_t)json_unescape(data.raw, text);
    if (size < 0)
        wrong(s, c, "not base64: %.*s", (int)line.n, line.p);
    told_message(s, c,
                 &(struct told){.data = {text, (size_t)size},
                                .topic = topic.raw,
                                .event = event.kind == JSON_NULL ? SPAN("") : event.raw,
                                .binary = binary,
                                .n = n});
}

/* ---- forms ---- */

/* A block of an event stream, without the empty line. */
static void told_block(struct swarm *s, struct swarm_client *c, struct span block)
{
    static const char url[] = "data:;base64,";
    struct told m = {.event = {"", 0}};
    struct span id = {NULL, 0};
    size_t n = 0, lines = 0;
    while (block.n > 0) {
        struct span line = span_cut(&block, '\n'), name = span_cut(&line, ':');
        line = line.n > 0 && *line.p == ' ' ? span_from(line, 1) : line;
        if (span_eq(name, SPAN("event")))
            m.event = line;
        else if (span_eq(name, SPAN("id")))
            id = line;
        else if (span_eq(name, SPAN("data"))) {
            if (lines++ > 0)
                text[n++] = '\n';
            memcpy(text + n, line.p, line.n);
            n += line.n;
        } else if (name.n > 0 && !span_eq(name, SPAN("retry")))
            wrong(s, c, "a line of a stream: %.*s", (int)name.n, name.p);
    }
    if (id.p != NULL)
        m.n = swarm_id(s, id);
    if (lines > 0 && span_eq(m.event, SPAN("gap"))) {
        told_gap(s, c, (struct span){text, n});
        told_cursor(s, c, m.n);
    } else if (lines > 0) {
        m.data = (struct span){text, n};
        m.binary = span_begins(m.data, span_of(url));
        if (m.binary) {
            struct span base64 = span_from(m.data, sizeof url - 1);
            ptrdiff_t size = base64_read(text, base64);
            if (size < 0)
                wrong(s, c, "not base64: %.*s", (int)base64.n, base64.p);
            m.data.n = (size_t)size;
        }
        told_message(s, c, &m);
    } else if (id.p != NULL) {
        told_cursor(s, c, m.n);
    }
}

static size_t take_events(struct swarm *s, struct swarm_client *c, struct span buf)
{
    const char *end;
    size_t took = 0;
    while ((end = memmem(buf.p, buf.n, "\n\n", 2)) != NULL) {
        size_t n = (size_t)(end - buf.p);
        told_block(s, c, (struct span){buf.p, n});
        buf = span_from(buf, n + 2);
        took += n + 2;
    }
    return took;
}

static size_t take_lines(struct swarm *s, struct swarm_client *c, struct span buf)
{
    const char *end;
    size_t took = 0;
    while (buf.n > 0 && (end = memchr(buf.p, '\n', buf.n)) != NULL) {
        size_t n = (size_t)(end - buf.p);
        if (n > 0)
            told_object(s, c, (struct span){buf.p, n});
        buf = span_from(buf, n + 1);
        took += n + 1;
    }
    return took;
}

/* A frame whole at the front of buf: gives its size, 0 if it is not all there.
 */
static size_t frame_whole(struct swarm *s, const struct swarm_client *c, struct span buf,
                          unsigned *opcode, struct span *payload)
{
    const unsigned char *b = (const unsigned char *)buf.p;
    if (buf.n < 2)
        return 0;
    if ((b[0] & 0xf0) != 0x80 || b[1] > 127)
        wrong(s, c, "not a frame of a server: %02x %02x", b[0], b[1]);
    size_t n = b[1], head = n == 126 ? 4 : n == 127 ? 10 : 2;
    if (buf.n < head)
        return 0;
    if (head > 2) {
        n = 0;
        for (size_t i = 2; i < head; i++)
            n = n << 8 | b[i];
    }
    *opcode = b[0] & 15;
    *payload = (struct span){buf.p + head, n};
    return buf.n - head < n ? 0 : head + n;
}

static void told_close(struct swarm *s, struct swarm_client *c, struct span payload)
{
    const unsigned char *b = (const unsigned char *)payload.p;
    unsigned code = payload.n >= 2 ? (unsigned)b[0] << 8 | b[1] : 0;
    if (c->way == SWARM_FRAMES && s->gaps && (code == 4000 || (code == 1013 && c->lost))) {
        s->gap_count++;
        c->lost = true;
        c->gap = (1u << SWARM_PUBLISHERS) - 1;
        bool cuts = s->cuts;
        s->cuts = true;
        swarm_closed(s, c, "");
        s->cuts = cuts;
        return;
    }
    if (!s->cuts && !(c->slow && s->slow_cuts))
        wrong(s, c, "its WebSocket was closed with %u %.*s", code,
              (int)(payload.n > 2 ? payload.n - 2 : 0), payload.p + 2);
    swarm_closed(s, c, "by a close frame");
}

static size_t take_frames(struct swarm *s, struct swarm_client *c, struct span buf)
{
    unsigned opcode = 0;
    struct span payload;
    size_t took = 0, size;
    char pong[140];
    while (c->fd != -1 && (size = frame_whole(s, c, buf, &opcode, &payload)) > 0) {
        if (opcode == 8)
            told_close(s, c, payload);
        else if (opcode == 9)
            swarm_send(s, c, pong, swarm_frame(s, pong, 10, payload.p, payload.n));
        else if (c->way == SWARM_OBJECTS && opcode == 1)
            told_object(s, c, payload);
        else if (c->way == SWARM_FRAMES && opcode <= 2)
            told_message(s, c, &(struct told){.data = payload, .binary = opcode == 2});
        else
            wrong(s, c, "a frame of opcode %u", opcode);
        buf = span_from(buf, size);
        took += size;
    }
    return took;
}

void swarm_take_body(struct swarm *s, struct swarm_client *c, char *buf, size_t n)
{
    struct json_value object, v, id = {0}, gap = {0}, messages = {0};
    struct span name;
    size_t at, pos = 0;
    if (!json_read((struct span){buf, n}, &object, &at) || object.kind != JSON_OBJECT)
        wrong(s, c, "not JSON at byte %zu: %.*s", at, (int)n, buf);
    while (json_next(&object, &pos, &name, &v))
        *(span_eq(name, SPAN("id")) ? &id : span_eq(name, SPAN("gap")) ? &gap : &messages) = v;
    if (gap.kind == JSON_OBJECT)
        told_gap(s, c, gap.raw);
    for (pos = 0; json_next(&messages, &pos, &name, &v);)
        told_object(s, c, v.raw);
    told_cursor(s, c, swarm_id(s, id.raw));
}

/* ---- answers ---- */

static struct span field(struct span head, const char *name)
{
    char line[64];
    size_t n = (size_t)snprintf(line, sizeof line, "\r\n%s: ", name);
    for (size_t i = 0; i + n <= head.n; i++) {
        if (head.p[i] == '\r' && strncasecmp(head.p + i, line, n) == 0) {
            struct span v = span_from(head, i + n);
            return span_cut(&v, '\r');
        }
    }
    return (struct span){NULL, 0};
}

static bool is_poll(const struct swarm_client *c)
{
    return c->way == SWARM_LONG || c->way == SWARM_SHORT;
}

/* Sets when an answered poll asks again: at once if more messages may be waiting. */
static void poll_done(struct swarm *s, struct swarm_client *c, bool more)
{
    c->state = SWARM_IDLE;
    c->at = s->now + (c->way == SWARM_SHORT && !more ? 40000 + swarm_random(s) % 160000 : 0);
}

static size_t take_head(struct swarm *s, struct swarm_client *c, struct span buf)
{
    const char *end = memmem(buf.p, buf.n, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    struct span head = {buf.p, (size_t)(end + 4 - buf.p)}, id = field(head, "Last-Event-ID");
    bool socket = c->way == SWARM_FRAMES || c->way == SWARM_OBJECTS;
    unsigned status = head.n > 12 ? (unsigned)atoi(head.p + 9) : 0;
    uint64_t length = 0;
    if (!span_begins(head, SPAN("HTTP/1.1 ")) ||
        (status != (socket ? 101 : 200) && !(is_poll(c) && status == 204)))
        wrong(s, c, "its request was answered %.*s", (int)buf.n, buf.p);
    if (!is_poll(c)) {
        c->state = SWARM_OPEN;
        if (id.p != NULL && c->fresh)
            told_cursor(s, c, swarm_id(s, id));
        return head.n;
    }
    if (status == 204) {
        told_cursor(s, c, swarm_id(s, id));
        poll_done(s, c, false);
        return head.n;
    }
    if (!span_u64(field(head, "Content-Length"), &length) || length > SWARM_WORK / 2)
        wrong(s, c, "its request was answered %.*s", (int)head.n, head.p);
    c->state = SWARM_BODY;
    c->left = length;
    return head.n;
}

size_t swarm_take(struct swarm *s, struct swarm_client *c, char *buf, size_t n)
{
    size_t took = 0, more = 0;
    do {
        struct span left = {buf + took, n - took};
        more = 0;
        if (c->state == SWARM_HEAD && left.n > 0) {
            more = take_head(s, c, left);
        } else if (c->state == SWARM_BODY && left.n >= c->left) {
            more = c->left;
            swarm_take_body(s, c, buf + took, c->left);
            poll_done(s, c, true);
        } else if (c->state == SWARM_OPEN && c->way == SWARM_EVENTS) {
            more = take_events(s, c, left);
        } else if (c->state == SWARM_OPEN && c->way == SWARM_LINES) {
            more = take_lines(s, c, left);
        } else if (c->state == SWARM_OPEN) {
            more = take_frames(s, c, left);
        } else if (c->state == SWARM_IDLE && left.n > 0) {
            wrong(s, c, "an answer to nothing: %.*s", (int)left.n, left.p);
        }
        took += more;
    } while (more > 0 && c->fd != -1);
    return took;
}
