/*
 * render.c - renders records in the form that a subscriber asked for.
 */
#include "lib/broker/render.h"

#include "lib/hash.h"
#include "lib/heap.h"
#include "lib/json.h"
#include "lib/stream.h"
#include "lib/ws.h"

#include <assert.h>

enum {
    CHUNK = 16 << 10,   /* bytes escaped at once: a slow socket takes a few chunks */
    PLAIN = 64 << 10,   /* bytes that need no escaping, likewise */
    PLAIN_LEAST = 4096, /* the shortest plain run that gets a piece of its own */
    LONG = 32 << 10,    /* bytes of data that are never rendered whole for a stream */
    FRONT_MAX = 4096,   /* bytes of an object's front: two names, all escaped, and some more */
    AROUND = FRONT_MAX, /* bytes of a record in any form, besides its data */
    PLACE_FRONT = 16,   /* places inside an object: its front, behind the head of a frame; ... */
    PLACE_BYTE = 6,     /* ... each byte of its data has as many as its longest escape */
};
_Static_assert(RING_MESSAGE_MAX < (UINT32_MAX - AROUND) / PLACE_BYTE, "a place has 32 bits");

/* ---- pieces ---------------------------------------------------------------------------------- */

static void piece(struct share *s, struct span bytes)
{
    assert(s->pieces < SHARE_PIECES * s->most);
    s->iov[s->pieces++] = (struct iovec){(void *)(uintptr_t)bytes.p, bytes.n};
    s->size += bytes.n;
}

/* Makes a piece of the scratch memory after its first `from` bytes. */
static void piece_scratch(struct share *s, size_t from)
{
    assert(!s->scratch.full);
    piece(s, (struct span){s->scratch.p + from, s->scratch.n - from});
}

/* ---- forms ----------------------------------------------------------------------------------- */

/* Appends the front of a message object, up to its data. */
static void object_front(struct text *t, const struct ring *r, const struct ring_record *rec)
{
    text_str(t, "{\"id\":\"");
    ring_id_write(r, t, rec->n);
    text_str(t, "\",\"time\":\"");
    text_rfc3339(t, rec->time_ms);
    text_str(t, "\",\"topic\":");
    json_string(t, ring_topic(rec));
    text_str(t, ",\"event\":");
    if (rec->event_size > 0)
        json_string(t, ring_event(rec));
    else
        text_str(t, "null");
}

/* Appends the front of an object up to the first byte of its data. Returns it. */
static struct span object_begin(struct text *t, const struct ring *r, const struct ring_record *rec,
                                struct span before)
{
    size_t from = t->n;
    text_add(t, before);
    object_front(t, r, rec);
    text_str(t, (rec->flags & RING_BINARY) != 0 ? ",\"base64\":\"" : ",\"data\":\"");
    return (struct span){t->p + from, t->n - from};
}

/* Returns how many places an object's data takes. */
static size_t data_places(const struct ring_record *rec)
{
    bool binary = (rec->flags & RING_BINARY) != 0;
    return binary ? base64_size(rec->data_size) : (size_t)PLACE_BYTE * rec->data_size;
}

/* Returns the size of an object's data as JSON. */
static size_t data_size(const struct ring_record *rec)
{
    bool binary = (rec->flags & RING_BINARY) != 0;
    return binary ? base64_size(rec->data_size) : json_escaped_size(ring_data(rec));
}

/* Makes a piece of binary data from a place on; returns the place after it. */
static size_t data_base64(struct share *s, struct span data, size_t place, size_t most)
{
    struct text *t = &s->scratch;
    struct span rest = span_from(data, place / 4 * 3);
    size_t from = t->n;
    if (rest.n > most / 4 * 3)
        rest.n = most / 4 * 3;
    assert(t->cap - t->n >= base64_size(rest.n));
    t->n += base64_write(t->p + t->n, rest);
    piece_scratch(s, from + place % 4);
    return place - place % 4 + base64_size(rest.n);
}

/* Makes pieces of text data from a place on; a run that needs no escaping stays in the ring.
 * Returns the place after them. */
static size_t data_text(struct share *s, struct span data, size_t place, size_t most)
{
    struct text *t = &s->scratch;
    size_t i = place / PLACE_BYTE, into = place % PLACE_BYTE, from = t->n;
    struct span rest = span_from(data, i);
    size_t far = most < SIZE_MAX ? PLAIN : SIZE_MAX;
    struct span look = {rest.p, rest.n < far ? rest.n : far};
    size_t plain = into > 0 ? 0 : json_plain_run(look);
    if (plain == rest.n || (most < SIZE_MAX && (plain == look.n || plain >= PLAIN_LEAST))) {
        piece(s, (struct span){rest.p, plain});
        return PLACE_BYTE * (i + plain);
    }
    i += json_escape(t, rest, most);
    piece_scratch(s, from + into);
    return PLACE_BYTE * i;
}

/* Appends what a stream tells of the end of a record's topic: a line, or a frame; a frame of data
 * alone can't, so it is one that means nothing (RFC 6455 section 5.5.3). */
static void ended(struct text *t, const struct ring *r, const struct ring_record *rec,
                  enum form form)
{
    size_t head = t->n;
    assert(t->cap - head >= WS_HEAD_MAX);
    if (form == FORM_FRAMES) {
        t->n += ws_head(t->p + head, WS_PONG, 0);
        return;
    }
    stream_ended_object(t, ring_topic(rec), (struct cursor){ring_newest(r).ms, rec->n});
    if (form != FORM_OBJECTS) {
        text_str(t, "\n");
        return;
    }
    char bytes[WS_HEAD_MAX];
    size_t size = t->n - head, n = ws_head(bytes, WS_TEXT, size);
    assert(!t->full && t->cap - t->n >= n);
    memmove(t->p + head + n, t->p + head, size);
    memcpy(t->p + head, bytes, n);
    t->n += n;
}

/* The object of a message from a place on, with `before` in front of it and `behind` at its end; of
 * its data about `most` bytes, and then it is not whole. `framed`: a frame's head goes before
 * it. */
static void object(struct share *s, const struct ring *r, const struct ring_record *rec,
                   struct span before, struct span behind, bool framed, size_t place, size_t most)
{
    struct text *t = &s->scratch;
    struct span front = object_begin(t, r, rec, before);
    size_t places = data_places(rec);
    if (framed && place < PLACE_FRONT) {
        char *head = t->p + t->n;
        assert(t->cap - t->n >= WS_HEAD_MAX);
        t->n += ws_head(head, WS_TEXT, front.n + data_size(rec) + 2);
        piece_scratch(s, (size_t)(head - t->p) + place);
    }
    place = place < PLACE_FRONT ? 0 : place - PLACE_FRONT;
    if (place < front.n) {
        piece(s, span_from(front, place));
        place = front.n;
    }
    place -= front.n;
    if (place < places)
        place = (rec->flags & RING_BINARY) != 0 ? data_base64(s, ring_data(rec), place, most)
                                                : data_text(s, ring_data(rec), place, most);
    s->partial = place < places;
    if (s->partial)
        return;
    size_t from = t->n;
    text_str(t, "\"}");
    text_add(t, behind);
    if ((rec->flags & RING_END) != 0 && s->form != FORM_LIST)
        ended(t, r, rec, (enum form)s->form);
    piece_scratch(s, from + (place - places));
}

/* Returns the place `w` bytes after `place` of an object; that is not its end. */
static size_t object_place(const struct ring *r, const struct ring_record *rec, bool framed,
                           size_t place, size_t w)
{
    char bytes[FRONT_MAX], head[WS_HEAD_MAX];
    struct text t = text_in(bytes, sizeof bytes);
    size_t front = object_begin(&t, r, rec, SPAN("")).n, places = data_places(rec), into = 0;
    assert(!t.full);
    if (framed && place < PLACE_FRONT) {
        size_t n = ws_head(head, WS_TEXT, front + data_size(rec) + 2);
        if (place + w < n)
            return place + w;
        w -= n - place;
    }
    place = place < PLACE_FRONT ? PLACE_FRONT : place;
    size_t data = PLACE_FRONT + front;
    if (place < data) {
        if (w < data - place)
            return place + w;
        w -= data - place;
        place = data;
    }
    if ((rec->flags & RING_BINARY) != 0 || place >= data + places)
        return place + w; /* a byte is a place */
    size_t i = (place - data) / PLACE_BYTE;
    w += (place - data) % PLACE_BYTE;
    i += json_escaped_at(span_from(ring_data(rec), i), w, &into);
    return data + PLACE_BYTE * i + into;
}

/* Puts the head of a frame before the pieces from `first` on, which are its payload. */
static void frame(struct share *s, unsigned first, unsigned opcode)
{
    struct text *t = &s->scratch;
    size_t size = 0, from = t->n;
    for (unsigned i = first + 1; i < s->pieces; i++)
        size += s->iov[i].iov_len;
    assert(t->cap - t->n >= WS_HEAD_MAX);
    t->n += ws_head(t->p + t->n, opcode, size);
    s->iov[first] = (struct iovec){t->p + from, t->n - from};
    s->size += t->n - from;
}

/* Drops the first `place` bytes of the pieces of a share. */
static void skip(struct share *s, size_t place)
{
    unsigned i = 0;
    for (; place > 0 && place >= s->iov[i].iov_len; i++)
        place -= s->iov[i].iov_len;
    s->pieces -= i;
    s->size = 0;
    for (unsigned k = 0; k < s->pieces; k++) {
        s->iov[k] = s->iov[k + i];
        s->size += s->iov[k].iov_len;
    }
    s->iov[0].iov_base = (char *)s->iov[0].iov_base + place;
    s->iov[0].iov_len -= place;
    s->size -= place;
}

/* Appends a record, from a place inside it on, in any form but events. */
static void record(struct share *s, const struct ring *r, const struct ring_record *rec,
                   size_t place)
{
    unsigned first = s->pieces;
    size_t most = place > 0 || rec->data_size > LONG ? CHUNK : SIZE_MAX, from = s->scratch.n;
    bool tells = s->form != FORM_LIST && s->form != FORM_TEXT && s->form != FORM_NONE;
    if ((rec->flags & RING_BARE) != 0) {
        if (tells) {
            ended(&s->scratch, r, rec, (enum form)s->form);
            piece_scratch(s, from + place);
        }
        return;
    }
    switch ((enum form)s->form) {
    case FORM_EVENTS:
        assert(false); /* handled by the caller */
        return;
    case FORM_LINES:
        object(s, r, rec, SPAN(""), SPAN("\n"), false, place, most);
        return;
    case FORM_LIST_LINES:
        object(s, r, rec, SPAN(""), SPAN("\n"), false, 0, SIZE_MAX);
        return;
    case FORM_LIST:
        object(s, r, rec, s->size > 0 ? SPAN(",") : SPAN(""), SPAN(""), false, 0, SIZE_MAX);
        return;
    case FORM_TEXT:
        piece(s, ring_data(rec));
        piece(s, SPAN("\n"));
        return;
    case FORM_FRAMES:
        piece(s, (struct span){NULL, 0});
        piece(s, ring_data(rec));
        frame(s, first, (rec->flags & RING_BINARY) != 0 ? WS_BINARY : WS_TEXT);
        if (place > 0)
            skip(s, place);
        return;
    case FORM_OBJECTS:
        object(s, r, rec, SPAN(""), SPAN(""), true, place, most);
        return;
    case FORM_NONE: /* counted: at least as much as rendering would make */
        s->size += (size_t)PLACE_BYTE * rec->data_size + AROUND;
        return;
    }
}

/* Bytes of a share that is worth copying. */
#define JOINED_MOST (8u << 10)

/* Topics of a set whose newest messages are found one by one, and not along the ring. */
#define ENDS_MOST 64u

/* ---- the newest of each topic ---------------------------------------------------------------- */

/* Returns true if scanning the ring from `at` on is less work than reading all topics of a set,
 * which would be done for each share. */
static bool walks(const struct broker *b, uint32_t id, uint64_t at)
{
    uint32_t ends = topic_is_set(id) ? topic_members_most(b->topics, id) : 0;
    return ends > ENDS_MOST || (ring_head(b->ring) - at) / 1024 < ends;
}

/* Returns true if the record at `at` is an end without a message: the newest message of its topic
 * is the one before it. */
static inline bool is_bare(const struct broker *b, uint64_t at)
{
    return (ring_at(b->ring, at)->flags & RING_BARE) != 0;
}

/* Adds an offset to a heap of the `most` smallest, of which there are `got`; the last of them is
 * its top, as they are complements. *next is the least that is left out. Returns how many there
 * are. */
static unsigned ends_add(uint64_t *rec, unsigned got, unsigned most, uint64_t at, uint64_t *next)
{
    if (got < most) {
        rec[got++] = ~at;
        if (got == most)
            heap_make(rec, most, heap_sink_number);
        return got;
    }
    uint64_t out = at < ~rec[0] ? ~rec[0] : at; /* the latest of all is left out */
    *next = out < *next ? out : *next;
    if (out != at)
        (void)heap_replace(rec, most, ~at, 0);
    return got;
}

/* By the ends of the topics' chains, whatever is in between: the first `most` of these. */
static unsigned newest_ends(const struct broker *b, uint32_t id, uint64_t *at, uint64_t *rec,
                            unsigned most)
{
    uint64_t next = ring_head(b->ring);
    uint32_t pos = 0, topic;
    unsigned got = 0;
    while ((topic = topic_member(b->topics, id, &pos)) != 0) {
        uint64_t last = chain_at(&b->chains, topic)->last;
        for (unsigned ends = 1; last >= *at && ends < 3; ends++) { /* not of an empty chain */
            got = ends_add(rec, got, most, last, &next);
            if (!is_bare(b, last))
                break;
            last = ring_links(b->ring, last)->prev;
        }
    }
    heap_sort(rec, sizeof *rec, got, heap_sink_number);
    for (unsigned i = 0; i < got; i++)
        rec[i] = ~rec[i];
    *at = next;
    return got;
}

/* Finds records as broker_collect() does, but only the newest of each topic. */
static unsigned newest(const struct broker *b, uint32_t id, uint64_t *at, uint64_t *rec,
                       unsigned most)
{
    unsigned got = 0;
    if (!walks(b, id, *at))
        return newest_ends(b, id, at, rec, most);
    uint32_t weight = topic_weight(b->topics, id);
    for (unsigned steps = 0; *at < ring_head(b->ring) && got < most && steps < FIND_WALK; steps++) {
        const struct ring_record *record = ring_at(b->ring, *at);
        uint64_t behind = ring_next(b->ring, record);
        if (behind == 0 || (b->chains.h->ended > 0 && is_bare(b, behind))) {
            uint32_t topic = broker_topic(b, *at);
            steps += weight;
            if (topic != 0 && topic_in_set(b->topics, id, topic))
                rec[got++] = *at;
        }
        *at = ring_behind(record, *at);
    }
    return got;
}

/* Returns how many records from `from` on and before `to` are of entry `id`. */
static uint64_t count_of(const struct broker *b, uint32_t id, uint64_t from, uint64_t to)
{
    uint64_t n = 0;
    while (from < to) {
        const struct ring_record *rec = ring_at(b->ring, from);
        uint32_t topic = broker_topic(b, from);
        n += topic != 0 && topic_in_set(b->topics, id, topic);
        from = ring_behind(rec, from);
    }
    return n;
}

uint64_t share_left_out(const struct share *s, const struct broker *b, uint32_t id, uint64_t from,
                        uint64_t to)
{
    bool walk = walks(b, id, from);
    uint64_t n = walk ? count_of(b, id, from, to) : 0;
    for (unsigned i = 0; i < s->records; i++) {
        uint64_t at = s->rec[i] < to ? s->rec[i] : to;
        uint32_t topic = broker_topic(b, s->rec[i]);
        if (walk)
            n -= s->rec[i] < to;
        else if (!is_bare(b, s->rec[i])) /* what is in front of one counts with the message */
            n +=
                chain_count_from(&b->chains, topic, from) - chain_count_from(&b->chains, topic, at);
    }
    return n;
}

/* ---- shares ---------------------------------------------------------------------------------- */

size_t share_memory(unsigned records)
{
    return records * (sizeof(uint64_t) + sizeof(size_t)) +
           (2 + 1 + (size_t)SHARE_PIECES * records) * sizeof(struct iovec);
}

void share_init(struct share *s, unsigned records, void *memory, void *scratch, size_t scratch_size)
{
    char *p = memory;
    *s = (struct share){.most = records, .scratch = text_in(scratch, scratch_size)};
    s->rec = memory;
    s->upto = (size_t *)(void *)(p + records * sizeof *s->rec);
    s->iov = (struct iovec *)(void *)(p + records * (sizeof *s->rec + sizeof *s->upto)) + 2;
}

/* Fills a share with the records that `collect` finds. */
static void
fill(struct share *s, const struct broker *b, uint32_t id, uint64_t at, size_t place, size_t bytes,
     unsigned (*collect)(const struct broker *, uint32_t, uint64_t *, uint64_t *, unsigned))
{
    const struct ring *r = b->ring;
    bool several = topic_is_set(id);
    uint32_t most = s->form == FORM_LINES || s->form == FORM_OBJECTS ? LONG : UINT32_MAX;
    const struct ring_record *rec = NULL;
    unsigned ends = 0;
    s->low = s->end = at;
    s->size = 0;
    s->pieces = 0;
    s->scratch.n = 0;
    s->partial = false;
    unsigned n = collect(b, id, &s->end, s->rec, s->most);
    s->first = n > 0 ? s->rec[0] : 0;
    for (s->records = 0; s->records < n; place = 0) {
        const struct ring_record *next = ring_at(r, s->rec[s->records]);
        if (s->partial ||
            (s->records > 0 && (s->size + next->size > bytes || next->data_size > most))) {
            s->end = s->rec[s->records];
            break;
        }
        rec = next;
        if (s->form == FORM_EVENTS) /* the common case */
            piece(s, span_from(ring_sse(rec, several), place));
        else
            record(s, r, rec, place);
        s->upto[s->records++] = s->size;
        ends |= next->flags & RING_END;
    }
    if (rec != NULL)
        s->n = rec->n;
    s->whole = ends ? SIZE_MAX : s->size;
    if (s->partial)
        s->whole = s->upto[s->records - 1] = SIZE_MAX;
}

void share_build(struct share *s, const struct broker *b, uint32_t id, uint64_t at, uint32_t place,
                 enum form form, size_t bytes)
{
    s->form = (uint8_t)form;
    fill(s, b, id, at, place, bytes, broker_collect);
}

void share_build_newest(struct share *s, const struct broker *b, uint32_t id, uint64_t at,
                        enum form form, size_t bytes)
{
    s->form = (uint8_t)form;
    fill(s, b, id, at, 0, bytes, newest);
}

void share_count(struct share *s, const struct broker *b, uint32_t id, uint64_t at, bool conflates,
                 size_t bytes)
{
    s->form = FORM_NONE;
    fill(s, b, id, at, 0, bytes, conflates ? newest : broker_collect);
    s->size = 0;
}

void share_join(struct share *s)
{
    struct text *t = &s->scratch;
    size_t from = t->n;
    if (s->pieces < 2 || s->size > JOINED_MOST || s->size > t->cap - from)
        return;
    for (unsigned i = 0; i < s->pieces; i++)
        text_add(t, (struct span){s->iov[i].iov_base, s->iov[i].iov_len});
    s->iov[0] = (struct iovec){t->p + from, s->size};
    s->pieces = 1;
}

void share_clear(struct share *s)
{
    s->low = s->first = 0;
    s->size = 0;
    s->records = s->pieces = 0;
}

void share_end(struct share *s, struct span bytes)
{
    if (bytes.n > 0)
        s->iov[s->pieces++] = (struct iovec){(void *)(uintptr_t)bytes.p, bytes.n};
    s->size += bytes.n;
}

/* Returns the place `w` bytes after `place` of a record. */
static size_t place_behind(const struct share *s, const struct ring *r,
                           const struct ring_record *rec, size_t place, size_t w)
{
    if (w > 0 && (s->form == FORM_LINES || s->form == FORM_OBJECTS) &&
        (rec->flags & RING_BARE) == 0)
        return object_place(r, rec, s->form == FORM_OBJECTS, place, w);
    return place + w;
}

unsigned share_took(const struct share *s, const struct ring *r, struct share_place *p, size_t w)
{
    unsigned i = 0;
    while (i < s->records && w >= s->upto[i])
        i++;
    p->at = i == s->records ? s->end : s->rec[i];
    if (i > 0) {
        p->n = ring_at(r, s->rec[i - 1])->n;
        p->sent = 0;
        w -= s->upto[i - 1];
    }
    if (i < s->records)
        p->sent = (uint32_t)place_behind(s, r, ring_at(r, p->at), p->sent, w);
    return i;
}
