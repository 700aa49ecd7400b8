/*
 * render.c - records in the form that a subscriber asked for.
 */
#include "lib/serve/render.h"

#include "lib/hash.h"
#include "lib/json.h"
#include "lib/ws.h"

#include <assert.h>

/* ---- pieces ---------------------------------------------------------------------------------- */

static void piece(struct share *s, struct span bytes)
{
    assert(s->pieces < SHARE_PIECES * s->most);
    s->iov[s->pieces++] = (struct iovec){(void *)(uintptr_t)bytes.p, bytes.n};
    s->size += bytes.n;
}

/* Makes a piece of what has been written to the scratch memory since it held `from` bytes. */
static void piece_scratch(struct share *s, size_t from)
{
    assert(!s->scratch.full);
    piece(s, (struct span){s->scratch.p + from, s->scratch.n - from});
}

/* ---- forms ----------------------------------------------------------------------------------- */

/* The front of a message object, up to its data. */
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

/* The object of a message, with `before` in front of it and `behind` at its end. */
static void object(struct share *s, const struct ring *r, const struct ring_record *rec,
                   struct span before, struct span behind)
{
    struct text *t = &s->scratch;
    struct span data = ring_data(rec);
    size_t from = t->n;
    text_add(t, before);
    object_front(t, r, rec);
    if ((rec->flags & RING_BINARY) != 0) {
        text_str(t, ",\"base64\":\"");
        assert(t->cap - t->n >= base64_size(data.n));
        t->n += base64_write(t->p + t->n, data);
        text_str(t, "\"}");
        text_add(t, behind);
    } else if (json_plain(data)) {
        text_str(t, ",\"data\":\"");
        piece_scratch(s, from);
        piece(s, data);
        from = t->n;
        text_str(t, "\"}");
        text_add(t, behind);
    } else {
        text_str(t, ",\"data\":");
        json_string(t, data);
        text_str(t, "}");
        text_add(t, behind);
    }
    piece_scratch(s, from);
}

/* Puts the head of a frame in front of the pieces from `first` on, which are its payload. */
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

static void record(struct share *s, const struct ring *r, const struct ring_record *rec,
                   bool several)
{
    unsigned first = s->pieces;
    switch ((enum conn_way)s->way) {
    case WAY_EVENTS:
        piece(s, ring_sse(rec, several));
        return;
    case WAY_LINES:
    case WAY_POLL_LINES:
        object(s, r, rec, SPAN(""), SPAN("\n"));
        return;
    case WAY_POLL_JSON:
        object(s, r, rec, s->records > 0 ? SPAN(",") : SPAN(""), SPAN(""));
        return;
    case WAY_POLL_TEXT:
        piece(s, ring_data(rec));
        piece(s, SPAN("\n"));
        return;
    case WAY_FRAMES:
        piece(s, (struct span){NULL, 0});
        piece(s, ring_data(rec));
        frame(s, first, (rec->flags & RING_BINARY) != 0 ? WS_BINARY : WS_TEXT);
        return;
    case WAY_OBJECTS:
        piece(s, (struct span){NULL, 0});
        object(s, r, rec, SPAN(""), SPAN(""));
        frame(s, first, WS_TEXT);
        return;
    case WAY_READY:
        assert(false); /* gets no messages */
        return;
    }
}

/* Bytes of a share that is worth copying. */
#define JOINED_MOST (8u << 10)

/* Topics of a set whose newest messages are found one by one, and not along the ring. */
#define ENDS_MOST 64u

/* ---- the newest of each topic ---------------------------------------------------------------- */

/* Is it less work to look through the ring from `at` on than at each topic of a set? All ends would
 * be looked at for each share. */
static bool walks(const struct ring *r, const struct topics *t, uint32_t id, uint64_t at)
{
    uint32_t ends = topic_at(t, id)->set != 0 ? topic_members_most(t, id) : 0;
    return ends > ENDS_MOST || (ring_head(r) - at) / 1024 < ends;
}

/* Moves entry i of a heap of n, largest first, down to its place. */
static void sink(uint64_t *heap, size_t i, size_t n)
{
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1] > heap[child])
            child++;
        if (heap[i] >= heap[child])
            return;
        uint64_t was = heap[i];
        heap[i] = heap[child];
        heap[child] = was;
    }
}

/* Makes a heap of n offsets and then an order of it. */
static void sort(uint64_t *rec, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sink(rec, i, n);
    for (size_t end = n; end-- > 1;) {
        uint64_t last = rec[0];
        rec[0] = rec[end];
        rec[end] = last;
        sink(rec, 0, end);
    }
}

/* By the ends of the topics' chains, whatever is in between: the first `most` of these. */
static unsigned newest_ends(const struct ring *r, const struct topics *t, uint32_t id, uint64_t *at,
                            uint64_t *rec, unsigned most)
{
    uint64_t next = ring_head(r);
    uint32_t pos = 0, topic;
    unsigned got = 0;
    while ((topic = topic_member(t, id, &pos)) != 0) {
        uint64_t last = ring_chain(r, topic)->last;
        if (last < *at)
            continue; /* also an empty chain */
        if (got < most) {
            rec[got++] = last;
            for (unsigned i = got == most ? most / 2 : 0; i-- > 0;)
                sink(rec, i, most);
            continue;
        }
        uint64_t out = last < rec[0] ? rec[0] : last; /* the latest of all is left out */
        next = out < next ? out : next;
        if (out != last) {
            rec[0] = last;
            sink(rec, 0, most);
        }
    }
    sort(rec, got);
    *at = next;
    return got;
}

/* As ring_collect() gives the records, those alone that no newer one of their topic follows. */
static unsigned newest(const struct ring *r, const struct topics *t, uint32_t id, uint64_t *at,
                       uint64_t *rec, unsigned most)
{
    unsigned got = 0;
    if (!walks(r, t, id, *at))
        return newest_ends(r, t, id, at, rec, most);
    uint32_t weight = topic_weight(t, id);
    for (unsigned steps = 0; *at < ring_head(r) && got < most && steps < RING_WALK; steps++) {
        const struct ring_record *record = ring_at(r, *at);
        steps += record->next == 0 ? weight : 0;
        if (record->next == 0 && topic_in_set(t, id, record->topic))
            rec[got++] = *at;
        *at = ring_behind(record, *at);
    }
    return got;
}

/* How many of the records from `from` on and before `to` are of entry `id`. */
static uint64_t count_of(const struct ring *r, const struct topics *t, uint32_t id, uint64_t from,
                         uint64_t to)
{
    uint64_t n = 0;
    while (from < to) {
        const struct ring_record *rec = ring_at(r, from);
        n += topic_in_set(t, id, rec->topic);
        from = ring_behind(rec, from);
    }
    return n;
}

uint64_t share_left_out(const struct share *s, const struct ring *r, const struct topics *t,
                        uint32_t id, uint64_t from, uint64_t to)
{
    bool walk = walks(r, t, id, from);
    uint64_t n = walk ? count_of(r, t, id, from, to) : 0;
    for (unsigned i = 0; i < s->records; i++) {
        uint64_t at = s->rec[i] < to ? s->rec[i] : to;
        uint32_t topic = ring_at(r, s->rec[i])->topic;
        if (walk)
            n -= s->rec[i] < to;
        else
            n += ring_count_from(r, topic, from) - ring_count_from(r, topic, at);
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

/* Fills a share with the records that `collect` gives. */
static void fill(struct share *s, const struct ring *r, const struct topics *t, uint32_t id,
                 uint64_t at, enum conn_way way, size_t bytes,
                 unsigned (*collect)(const struct ring *, const struct topics *, uint32_t,
                                     uint64_t *, uint64_t *, unsigned))
{
    bool several = topic_at(t, id)->several != 0;
    s->low = s->end = at;
    s->way = (uint8_t)way;
    s->size = 0;
    s->pieces = 0;
    s->scratch.n = 0;
    unsigned n = collect(r, t, id, &s->end, s->rec, s->most);
    s->first = n > 0 ? s->rec[0] : 0;
    for (s->records = 0; s->records < n; s->records++) {
        const struct ring_record *rec = ring_at(r, s->rec[s->records]);
        if (s->records > 0 && s->size + rec->size > bytes) {
            s->end = s->rec[s->records];
            return;
        }
        record(s, r, rec, several);
        s->upto[s->records] = s->size;
        s->n = rec->n;
    }
}

void share_build(struct share *s, const struct ring *r, const struct topics *t, uint32_t id,
                 uint64_t at, enum conn_way way, size_t bytes)
{
    fill(s, r, t, id, at, way, bytes, ring_collect);
}

void share_build_newest(struct share *s, const struct ring *r, const struct topics *t, uint32_t id,
                        uint64_t at, enum conn_way way, size_t bytes)
{
    fill(s, r, t, id, at, way, bytes, newest);
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

unsigned share_skip(struct share *s, size_t sent)
{
    unsigned i = 0;
    assert(sent == 0 || (s->records > 0 && sent < s->upto[0]));
    for (; i < s->pieces && sent >= s->iov[i].iov_len; i++)
        sent -= s->iov[i].iov_len;
    if (sent > 0)
        s->iov[i] = (struct iovec){(char *)s->iov[i].iov_base + sent, s->iov[i].iov_len - sent};
    return i;
}

unsigned share_took(const struct share *s, const struct ring *r, struct conn *c, size_t w)
{
    unsigned i = 0;
    size_t place = c->sent + w; /* from the start of the first record */
    while (i < s->records && place >= s->upto[i])
        i++;
    c->sent = (uint32_t)(i > 0 ? place - s->upto[i - 1] : place);
    c->at = i == s->records ? s->end : s->rec[i];
    if (i > 0)
        c->n = ring_at(r, s->rec[i - 1])->n;
    return i;
}
