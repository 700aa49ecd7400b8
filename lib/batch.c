/*
 * batch.c - takes messages out of a body that holds many, as its bytes arrive.
 *
 * Both kinds first find the end of a message, going on from where they left off, and only then
 * parse it. Of a CRLF between two messages, or one whose LF has not arrived, the CR is taken and a
 * flag remembers to drop the LF; so the result never depends on how the bytes were cut.
 */
#include "lib/batch.h"

#include <assert.h>

#include "lib/hash.h"
#include "lib/json.h"
#include "lib/utf8.h"
#include "lib/word.h"

/* struct batch.flags */
#define STARTED  1 /* past the byte order mark */
#define CR_TAKEN 2 /* an LF at the front belongs to the line taken last */
#define HELD     4 /* the front holds a whole line of a message */

struct input {
    char *p;
    size_t n;
    size_t from; /* bytes before it are taken */
    size_t at;   /* bytes from `from` up to it are scanned */
    bool end;
};

/* Takes all up to the line that ends at `eol`, and one byte of its line end. */
static void take_line(struct batch *b, struct input *in, size_t eol)
{
    b->flags &= (uint8_t) ~(HELD | CR_TAKEN);
    if (eol < in->n && in->p[eol] == '\r')
        b->flags |= CR_TAKEN;
    in->from = eol < in->n ? eol + 1 : eol;
    in->at = in->from;
}

/* ---- text/event-stream: lines and fields ---- */

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

/* Returns the index of the first CR or LF at or after `i`; s.n if there is none. */
static size_t find_line_end(struct span s, size_t i)
{
    while (s.n - i >= WORD_SIZE) {
        uint64_t w = word_at(s.p + i);
        if (word_has(w, '\n') || word_has(w, '\r'))
            break;
        i += WORD_SIZE;
    }
    while (i < s.n && !is_line_end(s.p[i]))
        i++;
    return i;
}

/* Cuts a line off the front, past its end. */
static struct span cut_line(struct span *s)
{
    struct span line = {s->p, find_line_end(*s, 0)};
    size_t past = line.n < s->n ? line.n + 1 : line.n;
    if (past < s->n && s->p[line.n] == '\r' && s->p[past] == '\n')
        past++;
    *s = span_from(*s, past);
    return line;
}

/* Returns true if the line is field `name`; *value is the text after the colon, without one
 * space. */
static bool is_field(struct span line, struct span name, struct span *value)
{
    if (!span_begins(line, name))
        return false;
    *value = span_from(line, name.n);
    if (value->n == 0)
        return true;
    if (value->p[0] != ':')
        return false;
    *value = span_from(*value, 1);
    if (value->n > 0 && value->p[0] == ' ')
        *value = span_from(*value, 1);
    return true;
}

static bool is_data(struct span line, struct span *value)
{
    return is_field(line, SPAN("data"), value);
}

static bool is_event(struct span line, struct span *value)
{
    return is_field(line, SPAN("event"), value);
}

/* ---- text/event-stream: blocks ---- */

static void reverse(char *p, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        char c = p[i];
        p[i] = p[n - 1 - i];
        p[n - 1 - i] = c;
    }
}

/* Moves `name`, which is somewhere after p[0..n), in front of those n bytes. Linear, and without
 * memory of its own. */
static void move_to_front(char *p, size_t n, struct span name)
{
    memmove(p + n, name.p, name.n);
    reverse(p, n);
    reverse(p + n, name.n);
    reverse(p, n + name.n);
}

/* Joins the block's data lines with LF, in the place of the first one. Data lines on both sides of
 * the event's name would overwrite it, so the name is moved to the front first. */
static void join_data(char *block, size_t n, struct batch_message *m)
{
    struct span rest = {block, n}, value;
    char *out = block + (m->data.p - block);
    bool any = false;
    m->data.n = 0;
    while (rest.n > 0) {
        struct span line = cut_line(&rest);
        if (is_data(line, &value)) {
            if (any)
                out[m->data.n++] = '\n';
            memmove(out + m->data.n, value.p, value.n);
            m->data.n += value.n;
            any = true;
        } else if (any && is_event(line, &value) && value.p == m->event.p) {
            move_to_front(out, m->data.n, value);
            m->event.p = out;
            out += value.n;
        }
    }
    m->data.p = out;
}

/* Reads a block, its lines without the empty one, into *m, and counts its lines. Returns false if
 * it has no data. */
static bool read_block(struct batch *b, char *block, size_t n, struct batch_message *m)
{
    struct span rest = {block, n}, value;
    size_t count = 0;
    *m = (struct batch_message){.binary = false};
    for (; rest.n > 0; b->lines++) {
        struct span line = cut_line(&rest);
        if (is_event(line, &value))
            m->event = value;
        else if (is_data(line, &value) && count++ == 0)
            m->data = value;
    }
    if (count > 1)
        join_data(block, n, m);
    if (span_eq(m->event, SPAN("ended")))
        *m = (struct batch_message){.end = true, .bare = true};
    return count > 0;
}

/* Drops the byte order mark. Returns false if more bytes are needed to tell whether there is
 * one. */
static bool start(struct batch *b, struct input *in)
{
    const struct span mark = SPAN("\xEF\xBB\xBF"), arrived = {in->p, in->n};
    if (span_begins(arrived, mark))
        in->from = in->at = mark.n;
    else if (!in->end && span_begins(mark, arrived))
        return false;
    b->flags |= STARTED;
    return true;
}

/* Skips the LF of a CRLF whose CR was scanned or taken. */
static void skip_lf(struct batch *b, struct input *in)
{
    if (in->at == in->n)
        return;
    bool lf = in->p[in->at] == '\n';
    if (in->at > in->from) {
        if (lf && in->p[in->at - 1] == '\r')
            in->at++;
        return;
    }
    if (lf && (b->flags & CR_TAKEN) != 0)
        in->from = in->at = in->at + 1;
    b->flags &= (uint8_t)~CR_TAKEN;
}

static enum batch_result next_block(struct batch *b, struct input *in, struct batch_message *m)
{
    struct span value;
    if ((b->flags & STARTED) == 0 && !start(b, in))
        return BATCH_MORE;
    for (;;) {
        skip_lf(b, in);
        size_t eol = find_line_end((struct span){in->p, in->n}, in->at);
        bool last = eol == in->n; /* the line ends where the body does, so far */
        if (last && (!in->end || in->from == in->n)) {
            in->at = in->n;
            return BATCH_MORE;
        }
        if (last || eol == in->from || is_line_end(in->p[eol - 1])) {
            bool message = read_block(b, in->p + in->from, eol - in->from, m);
            b->lines += !last;
            take_line(b, in, eol);
            if (message)
                return BATCH_MESSAGE;
            continue;
        }
        struct span line = {in->p + in->from, eol - in->from};
        if ((b->flags & HELD) != 0 || is_data(line, &value) || is_event(line, &value)) {
            b->flags |= HELD;
            in->at = eol + 1;
        } else {
            b->lines++;
            take_line(b, in, eol);
        }
    }
}

/* ---- application/x-ndjson ---- */

enum member {
    MEMBER_EVENT = 0,
    MEMBER_DATA = 1,
    MEMBER_BASE64 = 2,
    MEMBER_TOPIC = 3,
    MEMBER_END = 4,
    MEMBER_KEY = 5,
    MEMBER_DROPPED = 6, /* and those behind it */
};

/* Returns true if a member is a string, or null, or not there. */
static bool is_name(const struct json_value *v)
{
    return v->kind == JSON_NULL || v->kind == JSON_STRING;
}

/* Returns true if the object is a message as this server writes one. */
static bool read_members(const struct json_value *object, struct json_value value[])
{
    static const char names[][7] = {"event", "data", "base64", "topic", "end", "key", "id", "time"};
    const size_t count = sizeof(names) / sizeof(names[0]);
    unsigned seen = 0;
    struct span name;
    struct json_value v;
    for (size_t pos = 0; json_next(object, &pos, &name, &v);) {
        size_t i = 0;
        while (i < count && !span_eq(name, span_of(names[i])))
            i++;
        if (i == count || (seen & 1u << i) != 0)
            return false;
        seen |= 1u << i;
        if (i < MEMBER_DROPPED)
            value[i] = v;
    }
    bool data = (seen & 1u << MEMBER_DATA) != 0, base64 = (seen & 1u << MEMBER_BASE64) != 0;
    enum json_kind end = value[MEMBER_END].kind;
    if ((seen & 1u << MEMBER_END) != 0 && end != JSON_TRUE && end != JSON_FALSE)
        return false;
    if (!is_name(&value[MEMBER_TOPIC]) || !is_name(&value[MEMBER_KEY]) ||
        !is_name(&value[MEMBER_EVENT]))
        return false;
    if (!data && !base64)
        return end == JSON_TRUE && (seen & 1u << MEMBER_EVENT) == 0;
    return data != base64 && value[data ? MEMBER_DATA : MEMBER_BASE64].kind == JSON_STRING;
}

/* Decodes a string in place; returns an empty span for any other value. */
static struct span unescape(char *buf, const struct json_value *v)
{
    if (v->kind != JSON_STRING)
        return (struct span){NULL, 0};
    char *out = buf + (v->raw.p - buf);
    return (struct span){out, json_unescape(v->raw, out)};
}

/* Reads a line without surrounding white space into *m. Returns false with *why if it is not a
 * message. */
static bool read_line(char *buf, struct span line, struct batch_message *m, const char **why)
{
    struct json_value v, value[MEMBER_DROPPED] = {{JSON_NULL, {NULL, 0}}};
    size_t at;
    *m = (struct batch_message){.data = line};
    if (!json_read(line, &v, &at)) {
        *why = utf8_valid(line) < line.n ? "is not UTF-8" : "is not JSON, or nests too deep";
        return false;
    }
    if (v.kind != JSON_OBJECT || !read_members(&v, value))
        return true;
    m->topic = unescape(buf, &value[MEMBER_TOPIC]);
    m->key = unescape(buf, &value[MEMBER_KEY]);
    m->end = value[MEMBER_END].kind == JSON_TRUE;
    m->bare = value[MEMBER_DATA].kind != JSON_STRING && value[MEMBER_BASE64].kind != JSON_STRING;
    if (m->bare) {
        m->data = (struct span){NULL, 0};
        return true;
    }
    m->event = unescape(buf, &value[MEMBER_EVENT]);
    m->binary = value[MEMBER_BASE64].kind == JSON_STRING;
    m->data = unescape(buf, &value[m->binary ? MEMBER_BASE64 : MEMBER_DATA]);
    if (!m->binary)
        return true;
    char *out = buf + (m->data.p - buf);
    ptrdiff_t n = base64_read(out, m->data);
    m->data.n = n >= 0 ? (size_t)n : 0;
    *why = "has \"base64\" that is not base64";
    return n >= 0;
}

/* Returns `s` without JSON's white space at either end, and without the RS of a JSON text
 * sequence. */
static struct span trim(struct span s)
{
    while (s.n > 0 && (s.p[s.n - 1] == '\r' || s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    while (s.n > 0 && (s.p[0] == '\r' || s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\x1e'))
        s = span_from(s, 1);
    return s;
}

static enum batch_result next_line(struct batch *b, struct input *in, struct batch_message *m,
                                   const char **why)
{
    while (in->from < in->n) {
        const char *lf = in->at < in->n ? memchr(in->p + in->at, '\n', in->n - in->at) : NULL;
        size_t eol = lf != NULL ? (size_t)(lf - in->p) : in->n;
        if (lf == NULL && !in->end) {
            in->at = in->n;
            break;
        }
        struct span line = trim((struct span){in->p + in->from, eol - in->from});
        if (line.n > 0 && !read_line(in->p, line, m, why)) {
            in->at = in->from;
            return BATCH_WRONG;
        }
        b->lines++;
        take_line(b, in, eol);
        if (line.n > 0)
            return BATCH_MESSAGE;
    }
    return BATCH_MORE;
}

/* ---- both ---- */

uint8_t batch_kind(struct span content_type)
{
    static const char ndjson[][26] = {
        "application/x-ndjson",   "application/ndjson",       "application/jsonl",
        "application/x-jsonl",    "application/jsonlines",    "application/x-jsonlines",
        "application/json-lines", "application/x-json-lines", "application/stream+json",
        "application/json-seq",
    };
    struct span type = span_trim(span_cut(&content_type, ';'));
    if (span_same(type, SPAN("text/event-stream")))
        return BATCH_EVENT_STREAM;
    for (size_t i = 0; i < sizeof ndjson / sizeof ndjson[0]; i++)
        if (span_same(type, span_of(ndjson[i])))
            return BATCH_NDJSON;
    return 0;
}

enum batch_result batch_next(struct batch *b, char *buf, size_t len, bool end, size_t *took,
                             struct batch_message *m, const char **why)
{
    struct input in = {.n = len, .at = b->scanned, .end = end};
    in.p = buf;
    assert(b->scanned <= len && len <= UINT32_MAX);
    assert(b->kind == BATCH_EVENT_STREAM || b->kind == BATCH_NDJSON);
    enum batch_result result =
        b->kind == BATCH_EVENT_STREAM ? next_block(b, &in, m) : next_line(b, &in, m, why);
    assert(in.from <= in.at && in.at <= len);
    *took = in.from;
    b->scanned = (uint32_t)(in.at - in.from);
    return result;
}
