/*
 * ring.c - the message store: maps the ring, renders messages into it, evicts, finds.
 */
#include "ring.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

/* The arena begins at a multiple of this, as every size is one: no page of Linux is larger, so none
 * need be asked for. */
#define RING_PAGE RING_MIN

/* Ends the list of emptied chains, whose links are never 0. */
#define RING_LIST_END UINT32_MAX

_Static_assert(sizeof(size_t) == 8, "a ring is mapped whole");
_Static_assert(sizeof(struct ring_record) == 80, "no padding: a record is written to a file");
_Static_assert(sizeof(struct ring_record) % RING_ALIGN == 0, "what follows is aligned, too");
_Static_assert(sizeof(struct ring_chain) == 48, "no padding");
_Static_assert(RING_MIN % RING_BLOCK == 0, "the arena is whole blocks");
_Static_assert(RING_MAX / sizeof(struct ring_record) < UINT32_MAX, "a chain's count fits");
_Static_assert(RING_MIN / 16 * 9 + 4096 < RING_MIN, "the largest message fits the smallest ring");
_Static_assert(RING_MESSAGE_MAX * 9ull + 4096 < UINT32_MAX, "a record's size fits");

/* ---- the id of the next message ---- */

static void ring_write_id(struct ring_head *h)
{
    struct text id = text_in(h->id, sizeof(h->id));
    cursor_write(&id, (struct cursor){h->epoch, h->n + 1});
    assert(!id.full);
    h->id_size = (uint32_t)id.n;
}

/* Takes it, and makes the next one: counting in decimal is much cheaper than to render each. */
static void ring_next_id(struct ring_head *h)
{
    h->n++;
    size_t i = h->id_size - 1;
    for (; h->id[i] == '9'; i--)
        h->id[i] = '0';
    if (h->id[i] != '-')
        h->id[i]++;
    else
        ring_write_id(h); /* it has a digit more */
}

/* ---- the mapping ---- */

static inline uint64_t ring_round(uint64_t n, uint64_t to)
{
    return (n + to - 1) & ~(to - 1);
}

/* Maps the file behind `fd`, which has the right size, in the room at r->map. */
static int ring_map_file(struct ring *r, int fd)
{
    size_t file_size = r->map_size - r->size;
    off_t arena_at = (off_t)(file_size - r->size);
    char *again = (char *)r->map + file_size;
    int prot = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_FIXED;
    if (mmap(r->map, file_size, prot, flags, fd, 0) == MAP_FAILED)
        return -errno;
    if (mmap(again, r->size, prot, flags, fd, arena_at) == MAP_FAILED)
        return -errno;
    return 0;
}

/* Makes room in the address space for the file and for its arena once more, and maps them there. */
static int ring_map(struct ring *r, int fd)
{
    if (ftruncate(fd, (off_t)(r->map_size - r->size)) == -1)
        return -errno;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    r->map = mmap(NULL, r->map_size, PROT_NONE, flags, -1, 0);
    if (r->map == MAP_FAILED)
        return -errno;
    int err = ring_map_file(r, fd);
    if (err < 0)
        munmap(r->map, r->map_size);
    return err;
}

int ring_open(struct ring *r, uint64_t size, uint32_t chains, uint64_t epoch)
{
    assert(size >= RING_MIN && size <= RING_MAX && (size & (size - 1)) == 0);
    assert(chains >= 1 && chains < RING_LIST_END);
    uint64_t index_at = sizeof(struct ring_head);
    uint64_t chain_at = index_at + size / RING_BLOCK * sizeof(uint64_t);
    uint64_t chain_end = chain_at + ((uint64_t)chains + 1) * sizeof(struct ring_chain);
    uint64_t arena_at = ring_round(chain_end, RING_PAGE);
    *r = (struct ring){.size = size, .mask = size - 1, .chains = chains};
    r->map_size = arena_at + 2 * size;
    int fd = memfd_create("ring", MFD_CLOEXEC);
    if (fd == -1)
        return -errno;
    int err = ring_map(r, fd);
    close(fd);
    if (err < 0) {
        *r = (struct ring){.map = NULL};
        return err;
    }
    char *map = r->map;
    assert(map != NULL);
    r->h = (struct ring_head *)(void *)map;
    r->index = (uint64_t *)(void *)(map + index_at);
    r->chain = (struct ring_chain *)(void *)(map + chain_at);
    r->arena = map + arena_at;
    /* All else is zero, as a new file is, and no page of it is touched before it is used. */
    r->h->epoch = epoch;
    r->h->head = r->h->tail = size;
    r->index[0] = size;
    ring_write_id(r->h);
    return 0;
}

void ring_close(struct ring *r)
{
    munmap(r->map, r->map_size);
    *r = (struct ring){.map = NULL};
}

/* ---- topics ---- */

void ring_topic_open(struct ring *r, uint32_t topic, uint64_t hash)
{
    assert(topic >= 1 && topic <= r->chains && !r->chain[topic].open);
    const struct ring_forgotten *f = &r->h->forgotten[hash % RING_FORGOTTEN];
    struct ring_chain *c = &r->chain[topic];
    /* Its number may still be in the list of emptied chains, from an earlier topic. */
    *c = (struct ring_chain){
        .lost_n = f->n, .lost_at = f->at, .empty_next = c->empty_next, .open = true};
}

void ring_topic_close(struct ring *r, uint32_t topic, uint64_t hash)
{
    struct ring_head *h = r->h;
    struct ring_forgotten *f = &h->forgotten[hash % RING_FORGOTTEN];
    struct ring_chain *c = ring_chain(r, topic);
    assert(c->count == 0 && c->last == 0);
    if (c->lost_n > f->n)
        *f = (struct ring_forgotten){c->lost_n, c->lost_at};
    if (c->lost_n > h->forgotten_max)
        h->forgotten_max = c->lost_n;
    c->open = false;
}

uint32_t ring_emptied(struct ring *r)
{
    struct ring_head *h = r->h;
    while (h->emptied != 0) {
        uint32_t topic = h->emptied;
        struct ring_chain *c = &r->chain[topic];
        assert(topic <= r->chains && c->empty_next != 0);
        h->emptied = c->empty_next == RING_LIST_END ? 0 : c->empty_next;
        c->empty_next = 0;
        if (c->open)
            return topic;
    }
    return 0;
}

/* ---- eviction ---- */

static inline struct ring_record *ring_record(const struct ring *r, uint64_t at)
{
    return (struct ring_record *)(void *)(r->arena + (at & r->mask));
}

/* Takes the oldest record out. */
static void ring_evict(struct ring *r)
{
    struct ring_head *h = r->h;
    const struct ring_record *rec = ring_at(r, h->tail);
    struct ring_chain *c = ring_chain(r, rec->topic);
    assert(c->first == h->tail && c->count > 0 && rec->n > c->lost_n &&
           rec->n + h->count == h->n + 1);
    c->lost_n = rec->n;
    c->lost_at = h->tail;
    c->first = rec->next;
    c->count--;
    assert((c->count == 0) == (c->first == 0));
    if (c->count == 0) {
        c->last = 0;
        if (c->empty_next == 0) {
            c->empty_next = h->emptied != 0 ? h->emptied : RING_LIST_END;
            h->emptied = rec->topic;
        }
    }
    h->tail += rec->size;
    h->count--;
    assert((h->count == 0) == (h->tail == h->head));
}

unsigned ring_expire(struct ring *r, uint64_t before_ms, unsigned most)
{
    const struct ring_head *h = r->h;
    unsigned n = 0;
    for (; n < most && h->count > 0 && ring_at(r, h->tail)->time_ms < before_ms; n++)
        ring_evict(r);
    return n;
}

/* ---- putting ---- */

/* Where the record behind `last` in its chain jumps to (Myers): where the second of the two jumps
 * before it leads, if these are of one length; else to `last`, and so where an evicted record would
 * have to be looked at. */
static uint64_t ring_jump(const struct ring *r, uint64_t last)
{
    uint64_t tail = r->h->tail;
    if (last < tail)
        return last;
    const struct ring_record *a = ring_at(r, last);
    if (a->jump < tail)
        return last;
    const struct ring_record *b = ring_at(r, a->jump);
    if (b->jump < tail)
        return last;
    const struct ring_record *c = ring_at(r, b->jump);
    return a->depth - b->depth == b->depth - c->depth ? b->jump : last;
}

/* Makes the new record at `at` the last one of its chain. */
static void ring_link(struct ring *r, struct ring_chain *c, uint64_t at)
{
    struct ring_record *rec = ring_record(r, at);
    rec->depth = c->depth++;
    if (c->last != 0) {
        rec->prev = c->last;
        ring_record(r, c->last)->next = at;
    } else {
        rec->prev = c->lost_at;
        c->first = at;
    }
    rec->jump = ring_jump(r, rec->prev);
    assert(rec->prev < at && rec->jump <= rec->prev);
    c->last = at;
    c->count++;
}

/* What SSE makes of the next message. */
static struct event ring_event_of(const struct ring *r, const struct ring_message *m)
{
    struct span name = m->event.n > 0 ? m->event : m->topic;
    if (m->event.n == 0 && event_name_reserved(name))
        name.n = 0; /* a client must not take it for one of the server's own */
    struct span id = {r->h->id, r->h->id_size};
    return (struct event){.name = name, .data = m->data, .id = id, .binary = m->binary};
}

/* Writes what follows a record's header. */
static void ring_write(struct ring_record *rec, const struct ring_message *m, const struct event *e,
                       struct event_layout layout)
{
    char *p = (char *)(rec + 1);
    event_write(p, e, layout);
    p += layout.size;
    if (!layout.whole) {
        if (m->data.n > 0)
            memcpy(p, m->data.p, m->data.n);
        p += m->data.n;
    }
    memcpy(p, m->topic.p, m->topic.n);
}

/* Moves the head on to `end`, where the next record will begin. */
static void ring_advance(struct ring *r, uint64_t end)
{
    uint64_t blocks = r->mask / RING_BLOCK; /* a mask, too */
    for (uint64_t b = r->h->head / RING_BLOCK + 1; b <= end / RING_BLOCK; b++)
        r->index[b & blocks] = end;
    r->h->head = end;
    r->h->count++;
    assert(end - r->h->tail <= r->size);
}

uint64_t ring_put(struct ring *r, uint32_t topic, const struct ring_message *m, uint64_t now_ms)
{
    struct ring_head *h = r->h;
    struct ring_chain *c = ring_chain(r, topic);
    assert(m->topic.n >= 1 && m->topic.n <= RING_NAME_MAX && m->event.n <= RING_NAME_MAX);
    assert(m->data.n <= ring_message_max(r->size));
    assert((uintptr_t)m->data.p - (uintptr_t)r->map >= r->map_size);

    struct event e = ring_event_of(r, m);
    struct event_layout layout = event_measure(&e);
    uint64_t size = sizeof(struct ring_record) + layout.size + m->topic.n;
    size = ring_round(size + (layout.whole ? 0 : m->data.n), RING_ALIGN);
    assert(size <= r->size);
    while (h->head + size - h->tail > r->size)
        ring_evict(r);

    uint64_t at = h->head;
    struct ring_record *rec = ring_record(r, at);
    ring_write(rec, m, &e, layout);
    ring_next_id(h);
    h->time_max = now_ms > h->time_max ? now_ms : h->time_max;
    bool named = m->event.n > 0;
    *rec = (struct ring_record){
        .n = h->n,
        .time_ms = now_ms,
        .time_max = h->time_max,
        .size = (uint32_t)size,
        .topic = topic,
        .sse_size = (uint32_t)layout.size,
        .data_size = (uint32_t)m->data.n,
        .skip = (uint16_t)(named ? 0 : event_line_size(e.name)),
        .event_size = (uint8_t)m->event.n,
        .topic_size = (uint8_t)m->topic.n,
        .flags = (uint8_t)((m->binary ? RING_BINARY : 0) | (named ? RING_NAMED : 0) |
                           (layout.whole ? 0 : RING_APART)),
    };
    ring_link(r, c, at);
    ring_advance(r, at + size);
    return at;
}

/* ---- finding ---- */

static inline bool ring_past(const struct ring *r, uint64_t at, uint64_t n, uint64_t ms)
{
    const struct ring_record *rec = ring_at(r, at);
    return rec->n > n && rec->time_max >= ms;
}

/* The first record with an id above n, at which the time had been `ms` or later; head if there is
 * none. Both only ever change from no to yes along the ring. */
static uint64_t ring_search(const struct ring *r, uint64_t n, uint64_t ms)
{
    uint64_t head = r->h->head, at = r->h->tail, blocks = r->mask / RING_BLOCK;
    if (at == head || ring_past(r, at, n, ms))
        return at;
    /* What begins at `at`, up to block lo's start, isn't past; what begins from hi's start on is.
     * Only blocks that start behind tail are asked for: tail's own may hold newer records, too. */
    uint64_t lo = at / RING_BLOCK, hi = head / RING_BLOCK + 1;
    while (hi - lo > 1) {
        uint64_t mid = lo + (hi - lo) / 2, first = r->index[mid & blocks];
        if (first == head || ring_past(r, first, n, ms)) {
            hi = mid;
        } else {
            lo = mid;
            at = first;
        }
    }
    while (at < head && !ring_past(r, at, n, ms))
        at = ring_behind(ring_at(r, at), at);
    return at;
}

uint64_t ring_find(const struct ring *r, uint64_t n)
{
    return n >= r->h->n ? r->h->head : ring_search(r, n, 0);
}

uint64_t ring_find_time(const struct ring *r, uint64_t ms)
{
    return ms > r->h->time_max ? r->h->head : ring_search(r, 0, ms);
}

uint64_t ring_seek(const struct ring *r, uint32_t topic, uint64_t at)
{
    const struct ring_chain *c = ring_chain(r, topic);
    assert(c->first < at && at <= c->last);
    for (uint64_t x = c->last;;) {
        const struct ring_record *rec = ring_at(r, x);
        if (rec->jump >= at)
            x = rec->jump;
        else if (rec->prev >= at)
            x = rec->prev;
        else
            return x;
    }
}

uint32_t ring_count_from(const struct ring *r, uint32_t topic, uint64_t at)
{
    uint64_t first = ring_next(r, topic, at);
    return first == 0 ? 0 : r->chain[topic].depth - ring_at(r, first)->depth;
}

uint64_t ring_back(const struct ring *r, uint32_t topic, uint32_t count)
{
    const struct ring_chain *c = ring_chain(r, topic);
    if (count == 0)
        return 0;
    if (count >= c->count)
        return c->first;
    uint64_t x = c->last;
    for (uint32_t left = count - 1; left > 0;) {
        const struct ring_record *rec = ring_at(r, x);
        uint64_t to = rec->jump >= c->first ? rec->jump : rec->prev;
        if (rec->depth - ring_at(r, to)->depth > left)
            to = rec->prev;
        left -= rec->depth - ring_at(r, to)->depth;
        x = to;
    }
    return x;
}

/* ---- reading for an entry of the table of topics --------------------------------------------- */

void ring_scratch(struct ring *r, uint64_t *heap)
{
    r->heap = heap;
}

/* Moves entry i of a heap of n, smallest first, down to its place. */
static void heap_down(uint64_t *heap, size_t i, size_t n)
{
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (heap[i] <= heap[child])
            return;
        uint64_t t = heap[i];
        heap[i] = heap[child];
        heap[child] = t;
    }
}

static void heap_make(uint64_t *heap, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        heap_down(heap, i, n);
}

/* Puts `value` in place of the smallest, or just drops that where value is `none`; gives the new
 * size. */
static size_t heap_replace(uint64_t *heap, size_t n, uint64_t value, uint64_t none)
{
    if (value == none)
        n--;
    heap[0] = value != none ? value : heap[n];
    heap_down(heap, 0, n);
    return n;
}

/* The records of a set from *at on, by merging its topics' chains: costs what the messages are. */
static unsigned ring_merge(const struct ring *r, const struct topics *t, uint32_t id, uint64_t *at,
                           uint64_t *rec, unsigned most)
{
    size_t n = 0;
    unsigned got = 0;
    uint32_t pos = 0, topic;
    while ((topic = topic_member(t, id, &pos)) != 0)
        if ((r->heap[n] = ring_next(r, topic, *at)) != 0)
            n++;
    heap_make(r->heap, n);
    while (n > 0 && got < most) {
        rec[got++] = r->heap[0];
        n = heap_replace(r->heap, n, ring_at(r, r->heap[0])->next, 0);
    }
    *at = n > 0 ? r->heap[0] : ring_head(r);
    return got;
}

/* The same by looking through all that came since: cheap for one who is nearly up to date, whatever
 * the size of the set. */
static unsigned ring_walk(const struct ring *r, const struct topics *t, uint32_t id, uint64_t *at,
                          uint64_t *rec, unsigned most)
{
    unsigned got = 0;
    for (unsigned steps = 0; *at < ring_head(r) && got < most && steps < RING_WALK; steps++) {
        const struct ring_record *record = ring_at(r, *at);
        if (topic_in_set(t, id, record->topic))
            rec[got++] = *at;
        *at = ring_behind(record, *at);
    }
    return got;
}

unsigned ring_collect(const struct ring *r, const struct topics *t, uint32_t id, uint64_t *at,
                      uint64_t *rec, unsigned most)
{
    const struct topic *entry = topic_at(t, id);
    unsigned got = 0;
    if (entry->set != 0) {
        if (*at < ring_tail(r))
            *at = ring_tail(r);
        /* a step of the walk costs less than a chain that is looked up: some 4 of them, of records
         * of some 200 bytes */
        bool walk = (ring_head(r) - *at) / 1024 <= entry->member_count;
        return walk ? ring_walk(r, t, id, at, rec, most) : ring_merge(r, t, id, at, rec, most);
    }
    uint64_t next = ring_next(r, id, *at);
    for (; next != 0 && got < most; next = ring_at(r, next)->next)
        rec[got++] = next;
    *at = next != 0 ? next : ring_head(r);
    return got;
}

bool ring_lost(const struct ring *r, const struct topics *t, uint32_t id, uint64_t n)
{
    uint32_t pos = 0, topic;
    if (n >= ring_before(r, ring_tail(r)).n)
        return false; /* nothing above n has been evicted */
    if (topic_at(t, id)->wild != 0 && ring_forgotten(r) > n)
        return true;
    while ((topic = topic_member(t, id, &pos)) != 0)
        if (ring_chain(r, topic)->lost_n > n)
            return true;
    return false;
}

uint64_t ring_last(const struct ring *r, const struct topics *t, uint32_t id, uint64_t count)
{
    uint32_t pos = 0, topic;
    uint64_t at = ring_head(r);
    size_t n = 0;
    if (count == 0)
        return at;
    if (topic_at(t, id)->set == 0) {
        uint64_t back = ring_back(r, id, count < UINT32_MAX ? (uint32_t)count : UINT32_MAX);
        return back != 0 ? back : at;
    }
    /* the newest first: the heap holds offsets negated */
    while ((topic = topic_member(t, id, &pos)) != 0)
        if (ring_chain(r, topic)->last != 0)
            r->heap[n++] = UINT64_MAX - ring_chain(r, topic)->last;
    heap_make(r->heap, n);
    for (; n > 0 && count > 0; count--) {
        at = UINT64_MAX - r->heap[0];
        uint64_t prev = ring_at(r, at)->prev;
        n = heap_replace(r->heap, n, UINT64_MAX - (prev >= ring_tail(r) ? prev : 0), UINT64_MAX);
    }
    return at;
}

struct cursor ring_before(const struct ring *r, uint64_t at)
{
    struct cursor c = ring_newest(r);
    if (at < ring_head(r))
        c.n = ring_at(r, at)->n - 1;
    return c;
}
