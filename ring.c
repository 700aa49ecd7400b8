/*
 * ring.c - the message store: maps the ring, renders messages into it, evicts, finds.
 */
#include "ring.h"

#include "lib/crc.h"
#include "lib/hash.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Ends the list of emptied chains, whose links are never 0. */
#define RING_LIST_END UINT32_MAX

_Static_assert(sizeof(size_t) == 8, "a ring is mapped whole");
_Static_assert(sizeof(struct ring_record) == 80, "no padding: a record is written to a file");
_Static_assert(offsetof(struct ring_record, n) < RING_ALIGN, "within what is written over first");
_Static_assert(offsetof(struct ring_record, size) == 44, "no padding in what is checked");
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
    cursor_write(&id, (struct cursor){h->epoch, h->n + h->held + 1});
    assert(!id.full);
    h->id_size = (uint32_t)id.n;
}

/* Makes the one behind it, as it has been taken: counting in decimal is much cheaper than to render
 * each. */
static void ring_next_id(struct ring_head *h)
{
    size_t i = h->id_size - 1;
    for (; h->id[i] == '9'; i--)
        h->id[i] = '0';
    if (h->id[i] != '-')
        h->id[i]++;
    else
        ring_write_id(h); /* it has a digit more */
}

void ring_id_write(const struct ring *r, struct text *t, uint64_t n)
{
    const struct ring_head *h = r->h;
    if (n != h->n + h->held ||
        h->id[h->id_size - 1] == '0') { /* else it is the next one less 1, by a digit */
        cursor_write(t, (struct cursor){h->epoch, n});
        return;
    }
    text_add(t, (struct span){h->id, h->id_size});
    if (!t->full)
        t->p[t->n - 1]--;
}

/* ---- the mapping ---- */

/* Where the parts of the table stand in its file, and its size. */
static inline uint64_t ring_chain_at(uint64_t size)
{
    return sizeof(struct ring_head) + size / RING_BLOCK * sizeof(uint64_t);
}

static inline size_t ring_table_size(uint64_t size, uint32_t chains)
{
    return ring_chain_at(size) + ((uint64_t)chains + 1) * sizeof(struct ring_chain);
}

/* Maps the arena twice, in room made for both. */
static int ring_map_arena(struct ring *r)
{
    int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    char *room = mmap(NULL, 2 * r->size, PROT_NONE, flags, -1, 0);
    if (room == MAP_FAILED)
        return -errno;
    flags = MAP_SHARED | MAP_FIXED;
    for (uint64_t i = 0; i < 2; i++)
        if (mmap(room + i * r->size, r->size, prot, flags, r->arena_fd, (off_t)r->arena_from) ==
            MAP_FAILED) {
            int err = errno;
            munmap(room, 2 * r->size);
            return -err;
        }
    r->arena = room;
    return 0;
}

/* Maps both files, which have the right sizes. */
static int ring_map(struct ring *r)
{
    size_t size = ring_table_size(r->size, r->chains);
    char *table = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r->table_fd, 0);
    if (table == MAP_FAILED)
        return -errno;
    int err = ring_map_arena(r);
    if (err < 0) {
        munmap(table, size);
        return err;
    }
    r->h = (struct ring_head *)(void *)table;
    r->index = (uint64_t *)(void *)(table + sizeof(struct ring_head));
    r->chain = (struct ring_chain *)(void *)(table + ring_chain_at(r->size));
    return 0;
}

static void ring_unmap(struct ring *r)
{
    munmap(r->h, ring_table_size(r->size, r->chains));
    munmap(r->arena, 2 * r->size);
}

/* A file in memory of that size, all zero; no page of it is there before it is used. */
static int ring_file(const char *name, uint64_t size)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd == -1)
        return -errno;
    if (ftruncate(fd, (off_t)size) == -1) {
        int err = errno;
        close(fd);
        return -err;
    }
    return fd;
}

int ring_open_in(struct ring *r, int arena_fd, uint64_t arena_from, uint64_t size, uint32_t chains,
                 uint64_t epoch, uint64_t key)
{
    assert(size >= RING_MIN && size <= RING_MAX && (size & (size - 1)) == 0);
    assert(chains >= 1 && chains < RING_LIST_END && arena_from % RING_PAGE == 0);
    *r = (struct ring){.size = size,
                       .mask = size - 1,
                       .chains = chains,
                       .arena_fd = arena_fd,
                       .arena_from = arena_from,
                       .key = key};
    int err = r->table_fd = ring_file("ring-table", ring_table_size(size, chains));
    if (err >= 0 && (err = ring_map(r)) < 0)
        close(r->table_fd);
    if (err < 0) {
        *r = (struct ring){.table_fd = -1, .arena_fd = -1};
        return err;
    }
    r->h->epoch = epoch;
    r->h->head = r->h->tail = size;
    r->index[0] = size;
    ring_write_id(r->h);
    return 0;
}

int ring_open(struct ring *r, uint64_t size, uint32_t chains, uint64_t epoch)
{
    int fd = ring_file("ring", size);
    int err = fd < 0 ? fd : ring_open_in(r, fd, 0, size, chains, epoch, 0);
    if (err < 0) {
        if (fd >= 0)
            close(fd);
        *r = (struct ring){.table_fd = -1, .arena_fd = -1};
    }
    return err;
}

int ring_attach(struct ring *r, int table_fd, int arena_fd, uint64_t arena_from, uint64_t size,
                uint32_t chains, uint64_t key)
{
    struct stat table, arena;
    *r = (struct ring){.table_fd = -1, .arena_fd = -1};
    if (size < RING_MIN || size > RING_MAX || (size & (size - 1)) != 0 || chains < 1 ||
        chains >= RING_LIST_END || arena_from % RING_PAGE != 0 || arena_from > RING_MAX)
        return -EINVAL;
    if (fstat(table_fd, &table) == -1 || fstat(arena_fd, &arena) == -1)
        return -errno;
    if ((uint64_t)table.st_size != ring_table_size(size, chains) ||
        (uint64_t)arena.st_size != arena_from + size)
        return -EINVAL;
    *r = (struct ring){.size = size,
                       .mask = size - 1,
                       .chains = chains,
                       .table_fd = table_fd,
                       .arena_fd = arena_fd,
                       .arena_from = arena_from,
                       .key = key};
    int err = ring_map(r);
    const struct ring_head *h = r->h;
    if (err == 0 && (h->tail < size || h->head < h->tail || h->held_size > size ||
                     h->head - h->tail > size - h->held_size ||
                     (h->head | h->tail) % RING_ALIGN != 0 || h->id_size > sizeof(h->id))) {
        ring_unmap(r);
        err = -EINVAL;
    }
    if (err < 0)
        *r = (struct ring){.table_fd = -1, .arena_fd = -1};
    return err;
}

void ring_close(struct ring *r)
{
    ring_unmap(r);
    close(r->table_fd);
    close(r->arena_fd);
    *r = (struct ring){.table_fd = -1, .arena_fd = -1};
}

/* ---- topics ---- */

void ring_topic_open(struct ring *r, uint32_t topic, uint64_t hash)
{
    assert(topic >= 1 && topic <= r->chains && !r->chain[topic].open);
    const struct ring_forgotten *f = &r->h->forgotten[hash % RING_FORGOTTEN];
    struct ring_chain *c = &r->chain[topic];
    /* Its number may still be in the list of emptied chains, from an earlier topic. */
    *c = (struct ring_chain){
        .lost_n = f->n, .lost_at = f->at, .empty_next = c->empty_next, .open = 1};
}

void ring_topic_close(struct ring *r, uint32_t topic, uint64_t hash)
{
    struct ring_head *h = r->h;
    struct ring_forgotten *f = &h->forgotten[hash % RING_FORGOTTEN];
    struct ring_chain *c = ring_chain(r, topic);
    assert(c->count == 0 && c->last == 0 && c->open == 1);
    if (c->lost_n > f->n)
        *f = (struct ring_forgotten){c->lost_n, c->lost_at};
    if (c->lost_n > h->forgotten_max)
        h->forgotten_max = c->lost_n;
    c->open = 0;
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
           rec->n + h->count <= h->n + 1);
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
    for (; n < most && h->count > 0 && ring_at(r, h->tail)->time_max < before_ms; n++)
        ring_evict(r);
    return n;
}

/* ---- check sums ---- */

/* What stands behind a record's header, without the padding; the part of its header that never
 * changes. */
static inline struct span ring_content(const struct ring_record *rec)
{
    size_t apart = (rec->flags & RING_APART) != 0 ? rec->data_size : 0;
    return (struct span){(const char *)(rec + 1), rec->sse_size + apart + rec->topic_size};
}

static inline struct span ring_header(const struct ring_record *rec)
{
    const size_t from = offsetof(struct ring_record, flags);
    return (struct span){(const char *)rec + from, offsetof(struct ring_record, size) - from};
}

/* A sum that begins with a secret; the header, with it, is signed. */
static inline uint32_t ring_check_content(const struct ring *r, const struct ring_record *rec,
                                          uint64_t place)
{
    return crc32c((uint32_t)(r->key >> 32 ^ place / RING_ALIGN), ring_content(rec));
}

static inline uint32_t ring_check_header(const struct ring *r, const struct ring_record *rec,
                                         uint64_t place)
{
    return (uint32_t)hash_table(r->key, ~place, ring_header(rec)) & 0xffffff;
}

/* Ends a record for a store: it is whole from here on. */
static void ring_seal(const struct ring *r, struct ring_record *rec, uint64_t at)
{
    rec->content_check = ring_check_content(r, rec, at & r->mask);
    uint32_t check = ring_check_header(r, rec, at & r->mask);
    rec->check[0] = (uint8_t)check;
    rec->check[1] = (uint8_t)(check >> 8);
    rec->check[2] = (uint8_t)(check >> 16);
}

/* Do the numbers in a record's header agree? */
static bool ring_sound(const struct ring *r, const struct ring_record *rec)
{
    uint64_t size = ring_record_size(rec), line = rec->skip;
    if (line == 0 && rec->event_size > 0)
        line = EVENT_NAME_AT + (uint64_t)rec->event_size + 1;
    if ((rec->flags & RING_APART) == 0)
        line += event_data_at(0) + (uint64_t)rec->data_size;
    return rec->topic_size > 0 && (rec->skip == 0 || rec->event_size == 0) && rec->n > 0 &&
           rec->n <= RING_N_MAX && size <= r->size && size <= UINT32_MAX && line <= rec->sse_size &&
           rec->data_size <= r->size / 16;
}

struct ring_record *ring_whole(const struct ring *r, uint64_t place)
{
    struct ring_record *rec = ring_record(r, place);
    assert(r->key != 0 && place < r->size && place % RING_ALIGN == 0);
    if (!ring_sound(r, rec))
        return NULL;
    uint32_t check = rec->check[0] | (uint32_t)rec->check[1] << 8 | (uint32_t)rec->check[2] << 16;
    bool whole = check == ring_check_header(r, rec, place) &&
                 rec->content_check == ring_check_content(r, rec, place);
    return whole ? rec : NULL;
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
static inline void ring_link(struct ring *r, struct ring_chain *c, uint64_t at)
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
    struct span name = m->event.n > 0 ? m->event : event_name_of_topic(m->topic);
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
static inline void ring_advance(struct ring *r, uint64_t end)
{
    uint64_t blocks = r->mask / RING_BLOCK; /* a mask, too */
    for (uint64_t b = r->h->head / RING_BLOCK + 1; b <= end / RING_BLOCK; b++)
        r->index[b & blocks] = end;
    r->h->head = end;
    r->h->count++;
    assert(end - r->h->tail <= r->size);
}

static inline uint64_t ring_round(uint64_t n, uint64_t to)
{
    return (n + to - 1) & ~(to - 1);
}

/* Evicts the oldest until there is room for a record. */
static inline void ring_make_room(struct ring *r, uint64_t size)
{
    assert(size <= r->size);
    while (r->h->head + size - r->h->tail > r->size)
        ring_evict(r);
}

/* What a message will be as a record. */
struct ring_plan {
    struct event event;
    struct event_layout layout;
    uint64_t size;
};

static inline struct ring_plan ring_measure(const struct ring *r, const struct ring_message *m)
{
    struct ring_plan p = {.event = ring_event_of(r, m)};
    assert(m->topic.n >= 1 && m->topic.n <= RING_NAME_MAX && m->event.n <= RING_NAME_MAX);
    assert(m->data.n <= ring_message_max(r->size));
    assert((uintptr_t)m->data.p - (uintptr_t)r->arena >= 2 * r->size);
    p.layout = event_measure(&p.event);
    p.size = sizeof(struct ring_record) + p.layout.size + m->topic.n;
    p.size = ring_round(p.size + (p.layout.whole ? 0 : m->data.n), RING_ALIGN);
    return p;
}

/* Writes the next record, with id n, at `at`, where there is room for it. */
static inline void ring_render(struct ring *r, uint64_t at, uint64_t n, uint32_t topic,
                               const struct ring_message *m, const struct ring_plan *p,
                               uint64_t now_ms)
{
    struct ring_head *h = r->h;
    struct ring_record *rec = ring_record(r, at);
    ring_write(rec, m, &p->event, p->layout);
    uint64_t age_ms = r->clock_ms != 0 ? r->clock_ms : now_ms;
    h->time_max = age_ms > h->time_max ? age_ms : h->time_max;
    bool named = m->event.n > 0;
    *rec = (struct ring_record){
        .flags = (uint8_t)((m->binary ? RING_BINARY : 0) | (named ? RING_NAMED : 0) |
                           (p->layout.whole ? 0 : RING_APART)),
        .n = n,
        .time_ms = now_ms,
        .time_max = h->time_max,
        .sse_size = (uint32_t)p->layout.size,
        .data_size = (uint32_t)m->data.n,
        .skip = (uint16_t)(named ? 0 : event_line_size(p->event.name)),
        .event_size = (uint8_t)m->event.n,
        .topic_size = (uint8_t)m->topic.n,
        .size = (uint32_t)p->size,
        .topic = topic,
    };
    if (r->key != 0)
        ring_seal(r, rec, at);
}

uint64_t ring_put(struct ring *r, uint32_t topic, const struct ring_message *m, uint64_t now_ms)
{
    struct ring_head *h = r->h;
    struct ring_chain *c = ring_chain(r, topic);
    assert(h->held == 0);
    const struct ring_plan p = ring_measure(r, m);
    ring_make_room(r, p.size);
    uint64_t at = h->head;
    ring_render(r, at, h->n + 1, topic, m, &p, now_ms);
    h->n++;
    ring_next_id(h);
    ring_link(r, c, at);
    ring_advance(r, at + p.size);
    return at;
}

/* ---- holding back ---- */

uint64_t ring_hold(struct ring *r, uint32_t topic, const struct ring_message *m, uint64_t now_ms)
{
    struct ring_head *h = r->h;
    struct ring_chain *c = ring_chain(r, topic);
    const struct ring_plan p = ring_measure(r, m);
    if (h->held > 0 && h->held_size + p.size > r->size / 2)
        return 0;
    ring_make_room(r, h->held_size + p.size);
    uint64_t at = ring_end(r);
    ring_render(r, at, ring_given(r) + 1, topic, m, &p, now_ms);
    h->held++;
    h->held_size += p.size;
    ring_next_id(h);
    c->open++;
    return at;
}

uint32_t ring_show(struct ring *r)
{
    struct ring_head *h = r->h;
    const struct ring_record *rec = ring_record(r, h->head);
    struct ring_chain *c = ring_chain(r, rec->topic);
    assert(h->held > 0 && rec->n == h->n + 1 && rec->size <= h->held_size && c->open > 1);
    c->open--;
    h->held--;
    h->held_size -= rec->size;
    h->n++;
    ring_link(r, c, h->head);
    ring_advance(r, h->head + rec->size);
    return rec->topic;
}

/* ---- restoring ---- */

void ring_begin(struct ring *r, uint64_t at, uint64_t n)
{
    struct ring_head *h = r->h;
    assert(h->count == 0 && h->held == 0 && at >= r->size && at % RING_ALIGN == 0);
    h->head = h->tail = at;
    r->index[at / RING_BLOCK & r->mask / RING_BLOCK] = at;
    h->n = h->forgotten_max = n;
    ring_write_id(h);
    for (size_t i = 0; n > 0 && i < RING_FORGOTTEN; i++)
        h->forgotten[i] = (struct ring_forgotten){n, at - RING_ALIGN};
}

/* The next record, which is in its place, at head, gets id n. */
static void ring_append(struct ring *r, uint32_t topic, uint64_t size)
{
    struct ring_head *h = r->h;
    struct ring_record *rec = ring_record(r, h->head);
    assert(rec->n > h->n && rec->time_max >= h->time_max && h->held == 0);
    if (rec->n != h->n + 1)
        h->hole_n = rec->n - 1;
    h->n = rec->n;
    h->time_max = rec->time_max;
    rec->next = 0;
    rec->topic = topic;
    rec->size = (uint32_t)size;
    ring_link(r, ring_chain(r, topic), h->head);
    ring_advance(r, h->head + size);
    ring_write_id(h);
}

void ring_keep(struct ring *r, uint32_t topic, uint64_t at, uint64_t last)
{
    struct ring_head *h = r->h;
    assert(at >= h->head);
    if (at > h->head) {
        uint64_t blocks = r->mask / RING_BLOCK;
        for (uint64_t b = h->head / RING_BLOCK; r->index[b & blocks] == h->head; b--)
            r->index[b & blocks] = at; /* what was to begin at head begins here */
        if (h->count > 0) {
            struct ring_record *before = ring_record(r, last);
            assert(ring_behind(ring_at(r, last), last) == h->head && at - last <= UINT32_MAX);
            before->size = (uint32_t)(at - last);
        }
        ring_advance(r, at);
        if (--h->count == 0) /* that was no record */
            h->tail = at;
    }
    ring_append(r, topic, ring_record_size(ring_record(r, at)));
}

void ring_copy(struct ring *r, uint32_t topic, const struct ring_record *from)
{
    uint64_t size = ring_record_size(from);
    assert(from->data_size <= ring_message_max(r->size));
    ring_make_room(r, size);
    struct ring_record *rec = ring_record(r, r->h->head);
    memcpy(rec, from, size);
    if (r->key != 0)
        ring_seal(r, rec, r->h->head);
    ring_append(r, topic, size);
}

void ring_miss(struct ring *r, uint64_t n)
{
    assert(n >= r->h->n && r->h->held == 0);
    r->h->n = r->h->hole_n = n;
    ring_write_id(r->h);
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

enum {
    RING_SEEK = 100,     /* steps to find the topics that a wildcard may match, and their number */
    RING_LOOK = 3,       /* to get at a topic and its chain */
    RING_SCAN_ASK = 128, /* a step, in chains that are looked through */
    RING_AHEAD = 8,      /* records whose topics are fetched before they are asked for */
};

void ring_scratch(struct ring *r, uint64_t *heap)
{
    r->heap = heap;
}

/* What it costs, in steps, to ask whether a topic is in a set. */
static uint32_t ring_ask(const struct topics *t, uint32_t id)
{
    return 1 + topic_weight(t, id) / 4;
}

/* What it costs to go through the topics of a set: finding where those of a wildcard are, and
 * looking at each and its chain. */
static uint64_t ring_members_cost(const struct topics *t, uint32_t id)
{
    struct span list = topic_name(t, id);
    uint64_t parts = 1, cost = 0;
    for (size_t i = 0; i < list.n; i++)
        parts += list.p[i] == ',';
    if (topic_is_wild(t, id))
        cost = (parts - set_at(t, id)->names) * RING_SEEK;
    if (cost > RING_MEMBERS)
        return cost; /* that would have to be found for their number, too */
    return cost + (uint64_t)topic_members_most(t, id) * (RING_LOOK + ring_ask(t, id));
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

/* The same by looking through what came since, for so many steps. */
static unsigned ring_walk(const struct ring *r, const struct topics *t, uint32_t id, uint64_t *at,
                          uint64_t *rec, unsigned most, uint64_t steps)
{
    uint32_t each = ring_ask(t, id);
    uint64_t head = ring_head(r), ahead = *at, done = 0;
    unsigned got = 0, fetched = 0;
    for (; *at < head && got < most && done < steps; done += each, fetched--) {
        for (; fetched < RING_AHEAD && ahead < head; fetched++) {
            const struct ring_record *record = ring_at(r, ahead);
            __builtin_prefetch(topic_at(t, record->topic));
            ahead = ring_behind(record, ahead);
        }
        const struct ring_record *record = ring_at(r, *at);
        if (topic_in_set(t, id, record->topic))
            rec[got++] = *at;
        *at = ring_behind(record, *at);
    }
    return got;
}

/* Walks for as long as merging would take, so that neither is chosen wrong by much; then merges, if
 * the set is small enough and that is likely to give more. One who is nearly up to date does not
 * pay for the choice. */
static unsigned ring_collect_set(const struct ring *r, const struct topics *t, uint32_t id,
                                 uint64_t *at, uint64_t *rec, unsigned most)
{
    if (*at < ring_tail(r))
        *at = ring_tail(r);
    unsigned got = ring_walk(r, t, id, at, rec, most, RING_NEAR);
    if (got == most || *at == ring_head(r))
        return got;
    uint64_t merge = ring_members_cost(t, id), walk = merge < RING_WALK ? merge : RING_WALK;
    got += ring_walk(r, t, id, at, rec + got, most - got, walk);
    if (got == most || *at == ring_head(r) || merge > RING_MERGE || got * merge > most * walk)
        return got;
    return got + ring_merge(r, t, id, at, rec + got, most - got);
}

unsigned ring_collect(const struct ring *r, const struct topics *t, uint32_t id, uint64_t *at,
                      uint64_t *rec, unsigned most)
{
    unsigned got = 0;
    if (topic_is_set(id))
        return ring_collect_set(r, t, id, at, rec, most);
    uint64_t next = ring_next(r, id, *at);
    for (; next != 0 && got < most; next = ring_at(r, next)->next)
        rec[got++] = next;
    *at = next != 0 ? next : ring_head(r);
    return got;
}

/* ring_lost() for a set that has too many topics to look for them: goes through all chains, which
 * is quick, and asks only of those that lost something. */
static bool ring_lost_scan(const struct ring *r, const struct topics *t, uint32_t id, uint64_t n)
{
    uint64_t left = RING_SCAN;
    uint32_t topics = topic_count(t), each = RING_SCAN_ASK * ring_ask(t, id);
    for (uint32_t topic = 1; topics > 0 && topic <= r->chains; topic++) {
        const struct ring_chain *c = &r->chain[topic];
        topics -= c->open != 0;
        uint32_t cost = c->open && c->lost_n > n ? each : 1;
        if (cost > left)
            return true; /* can't be known in time */
        left -= cost;
        if (cost > 1 && topic_in_set(t, id, topic))
            return true;
    }
    return false;
}

bool ring_lost(const struct ring *r, const struct topics *t, uint32_t id, uint64_t n)
{
    uint32_t pos = 0, topic;
    if (n < r->h->hole_n)
        return true;
    if (n >= ring_before(r, ring_tail(r)).n)
        return false; /* nothing above n has been evicted */
    if (topic_is_wild(t, id) && ring_forgotten(r) > n)
        return true;
    if (topic_is_set(id) && ring_members_cost(t, id) > RING_MEMBERS)
        return ring_lost_scan(r, t, id, n);
    while ((topic = topic_member(t, id, &pos)) != 0)
        if (ring_chain(r, topic)->lost_n > n)
            return true;
    return false;
}

/* The start of the block in which the record before `end` begins, but not below the tail, where a
 * record is. */
static uint64_t ring_block_before(const struct ring *r, uint64_t end)
{
    uint64_t blocks = r->mask / RING_BLOCK, tail = r->h->tail;
    uint64_t lo = tail / RING_BLOCK, hi = (end - 1) / RING_BLOCK + 1;
    assert(end > tail);
    while (hi - lo > 1) { /* in lo one begins before `end`, in hi none */
        uint64_t mid = lo + (hi - lo) / 2;
        if (r->index[mid & blocks] < end)
            lo = mid;
        else
            hi = mid;
    }
    return lo > tail / RING_BLOCK ? r->index[lo & blocks] : tail;
}

/* ring_last() for a set by going back through the ring, block by block, for so many steps. */
static bool ring_last_walk(const struct ring *r, const struct topics *t, uint32_t id,
                           uint64_t count, uint64_t steps, uint64_t *at)
{
    uint64_t rec[RING_BLOCK / sizeof(struct ring_record)];
    uint32_t each = ring_ask(t, id);
    *at = ring_head(r);
    for (uint64_t end = *at, done = 0; end > ring_tail(r);) {
        uint64_t first = ring_block_before(r, end), all = 0, n = 0;
        if (done >= steps)
            return false;
        for (uint64_t x = first; x < end; x = ring_behind(ring_at(r, x), x)) {
            __builtin_prefetch(topic_at(t, ring_at(r, x)->topic));
            rec[all++] = x;
        }
        for (uint64_t i = 0; i < all; i++)
            if (topic_in_set(t, id, ring_at(r, rec[i])->topic))
                rec[n++] = rec[i];
        done += all * each;
        if (n > 0)
            *at = n < count ? rec[0] : rec[n - count];
        if (n >= count)
            return true;
        count -= n;
        end = first;
    }
    return true;
}

/* The same by merging its topics' chains from their ends, if it has no more than `count` messages
 * or these are not too many. */
static bool ring_last_merge(const struct ring *r, const struct topics *t, uint32_t id,
                            uint64_t count, uint64_t *at)
{
    uint32_t pos = 0, topic;
    uint64_t total = 0;
    size_t n = 0;
    *at = ring_head(r);
    while ((topic = topic_member(t, id, &pos)) != 0) {
        const struct ring_chain *c = ring_chain(r, topic);
        if (c->count == 0)
            continue;
        total += c->count;
        *at = c->first < *at ? c->first : *at;
        r->heap[n++] = UINT64_MAX - c->last; /* the newest first */
    }
    if (total <= count || count > RING_BACK)
        return total <= count;
    heap_make(r->heap, n);
    for (; count > 0; count--) {
        *at = UINT64_MAX - r->heap[0];
        uint64_t prev = ring_at(r, *at)->prev;
        n = heap_replace(r->heap, n, UINT64_MAX - (prev >= ring_tail(r) ? prev : 0), UINT64_MAX);
    }
    return true;
}

bool ring_last(const struct ring *r, const struct topics *t, uint32_t id, uint64_t count,
               uint64_t *at)
{
    *at = ring_head(r);
    if (count == 0)
        return true;
    if (!topic_is_set(id)) {
        uint64_t back = ring_back(r, id, count < UINT32_MAX ? (uint32_t)count : UINT32_MAX);
        *at = back != 0 ? back : *at;
        return true;
    }
    uint64_t merge = ring_members_cost(t, id);
    return ring_last_walk(r, t, id, count, merge < RING_BACK ? merge : RING_BACK, at) ||
           (merge <= RING_MEMBERS && ring_last_merge(r, t, id, count, at));
}

struct cursor ring_before(const struct ring *r, uint64_t at)
{
    struct cursor c = ring_newest(r);
    if (at < ring_head(r))
        c.n = ring_at(r, at)->n - 1;
    return c;
}
