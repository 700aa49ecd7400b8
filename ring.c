/*
 * ring.c - the log: maps the ring, renders messages into it, evicts, finds.
 */
#include "ring.h"

#include "lib/crc.h"
#include "lib/hash.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(sizeof(size_t) == 8, "a ring is mapped whole");
_Static_assert(sizeof(struct ring_record) == 80, "no padding: a record is written to a file");
_Static_assert(offsetof(struct ring_record, n) < RING_ALIGN, "within what is written over first");
_Static_assert(offsetof(struct ring_record, size) == 44, "no padding in what is checked");
_Static_assert(sizeof(struct ring_record) % RING_ALIGN == 0, "what follows is aligned, too");
_Static_assert(RING_MIN % RING_BLOCK == 0, "the arena is whole blocks");
_Static_assert(RING_MAX / sizeof(struct ring_record) < UINT32_MAX, "a count of records fits");
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

/* Makes the id after it: incrementing the decimal text is much cheaper than rendering each id. */
static void ring_next_id(struct ring_head *h)
{
    size_t i = h->id_size - 1;
    for (; h->id[i] == '9'; i--)
        h->id[i] = '0';
    if (h->id[i] != '-')
        h->id[i]++;
    else
        ring_write_id(h); /* it has one more digit */
}

void ring_id_write(const struct ring *r, struct text *t, uint64_t n)
{
    const struct ring_head *h = r->h;
    if (n != h->n + h->held || h->id[h->id_size - 1] == '0') { /* else one digit is incremented */
        cursor_write(t, (struct cursor){h->epoch, n});
        return;
    }
    text_add(t, (struct span){h->id, h->id_size});
    if (!t->full)
        t->p[t->n - 1]--;
}

/* ---- the mapping ---- */

/* Returns the size of the table's file: the index follows the head. */
static inline size_t ring_table_size(uint64_t size)
{
    return sizeof(struct ring_head) + size / RING_BLOCK * sizeof(uint64_t);
}

/* Maps the arena twice, in space reserved for both. Returns 0 or minus an errno. */
static int ring_map_arena(struct ring *r, int prot)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
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

/* Maps both files, which have the right sizes. Returns 0 or minus an errno. */
static int ring_map(struct ring *r)
{
    size_t size = ring_table_size(r->size);
    char *table = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r->table_fd, 0);
    if (table == MAP_FAILED)
        return -errno;
    int err = ring_map_arena(r, PROT_READ | PROT_WRITE);
    if (err < 0) {
        munmap(table, size);
        return err;
    }
    r->writing = r->arena;
    r->h = (struct ring_head *)(void *)table;
    r->index = (uint64_t *)(void *)(table + sizeof(struct ring_head));
    return 0;
}

static void ring_unmap(struct ring *r)
{
    munmap(r->h, ring_table_size(r->size));
    munmap(r->arena, 2 * r->size);
}

/* Makes a file in memory of that size, all zero, whose pages are allocated when used. Returns its
 * descriptor or minus an errno. */
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

int ring_open_in(struct ring *r, int arena_fd, uint64_t arena_from, uint64_t size, uint64_t epoch,
                 uint64_t key)
{
    assert(size >= RING_MIN && size <= RING_MAX && (size & (size - 1)) == 0);
    assert(arena_from % RING_PAGE == 0);
    *r = (struct ring){
        .size = size, .mask = size - 1, .arena_fd = arena_fd, .arena_from = arena_from, .key = key};
    int err = r->table_fd = ring_file("ring-table", ring_table_size(size));
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

int ring_open(struct ring *r, uint64_t size, uint64_t epoch)
{
    int fd = ring_file("ring", size);
    int err = fd < 0 ? fd : ring_open_in(r, fd, 0, size, epoch, 0);
    if (err < 0) {
        if (fd >= 0)
            close(fd);
        *r = (struct ring){.table_fd = -1, .arena_fd = -1};
    }
    return err;
}

int ring_attach(struct ring *r, int table_fd, int arena_fd, uint64_t arena_from, uint64_t size,
                uint64_t key)
{
    struct stat table, arena;
    *r = (struct ring){.table_fd = -1, .arena_fd = -1};
    if (size < RING_MIN || size > RING_MAX || (size & (size - 1)) != 0 ||
        arena_from % RING_PAGE != 0 || arena_from > RING_MAX)
        return -EINVAL;
    if (fstat(table_fd, &table) == -1 || fstat(arena_fd, &arena) == -1)
        return -errno;
    if ((uint64_t)table.st_size != ring_table_size(size) ||
        (uint64_t)arena.st_size != arena_from + size)
        return -EINVAL;
    *r = (struct ring){.size = size,
                       .mask = size - 1,
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

/* ---- eviction ---- */

void ring_tell(struct ring *r, void (*evicts)(void *arg), void *arg)
{
    r->evicts = evicts;
    r->arg = arg;
}

/* Evicts the oldest record. */
static void ring_evict(struct ring *r)
{
    struct ring_head *h = r->h;
    if (r->evicts != NULL)
        r->evicts(r->arg);
    const struct ring_record *rec = ring_at(r, h->tail);
    assert(rec->n > h->lost_n && rec->links.o == (uint32_t)(h->lost_o + 1));
    h->lost_n = rec->n;
    h->lost_o++;
    h->tail += rec->size;
    assert((h->o == h->lost_o) == (h->tail == h->head));
}

unsigned ring_expire(struct ring *r, uint64_t before_ms, unsigned most)
{
    const struct ring_head *h = r->h;
    unsigned n = 0;
    for (; n < most && h->o > h->lost_o && ring_at(r, h->tail)->time_max < before_ms; n++)
        ring_evict(r);
    return n;
}

/* ---- check sums ---- */

/* Return the bytes after a record's header, without the padding; the part of its header that never
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
static inline uint32_t ring_check_content(const struct ring *r, struct ring_record *rec,
                                          uint64_t place)
{
    uint32_t sum = crc32c((uint32_t)(r->key >> 32 ^ place / RING_ALIGN), ring_content(rec));
    if ((rec->flags & RING_KEYED) == 0)
        return sum;
    const struct ring_key *key = ring_key(rec);
    return crc32c(sum, (struct span){(const char *)key->hash, sizeof key->hash});
}

static inline uint32_t ring_check_header(const struct ring *r, const struct ring_record *rec,
                                         uint64_t place)
{
    return (uint32_t)hash_table(r->key, ~place, ring_header(rec)) & 0xffffff;
}

/* The first word of a record: its header's check and its flags. */
typedef uint32_t __attribute__((may_alias)) ring_word;
_Static_assert(offsetof(struct ring_record, flags) == 3, "in the first word");

static inline void ring_put_check(struct ring_record *rec, uint32_t check)
{
    rec->check[0] = (uint8_t)check;
    rec->check[1] = (uint8_t)(check >> 8);
    rec->check[2] = (uint8_t)(check >> 16);
}

/* Ends a record for a store: it is whole from here on. */
static void ring_seal(const struct ring *r, struct ring_record *rec, uint64_t at)
{
    rec->content_check = ring_check_content(r, rec, at & r->mask);
    ring_put_check(rec, ring_check_header(r, rec, at & r->mask));
}

/* Returns true if the numbers in a record's header agree. */
static bool ring_sound(const struct ring *r, const struct ring_record *rec)
{
    uint64_t size = ring_record_size(rec), line = rec->skip;
    const unsigned flags = rec->flags, kind = flags & (RING_BARE | RING_END | RING_PURGE);
    if ((flags & RING_BARE) != 0 &&
        ((kind != (RING_BARE | RING_END) && kind != (RING_BARE | RING_PURGE)) ||
         rec->data_size > 0 || rec->skip > 0 || rec->event_size > 0))
        return false;
    if (line == 0 && rec->event_size > 0)
        line = EVENT_NAME_AT + (uint64_t)rec->event_size + 1;
    if ((flags & (RING_APART | RING_BARE)) == 0)
        line += event_data_at(0) + (uint64_t)rec->data_size;
    return rec->topic_size > 0 && (rec->skip == 0 || rec->event_size == 0) && rec->n > 0 &&
           rec->n <= RING_N_MAX && size >= RING_LEAST && size <= r->size && size <= UINT32_MAX &&
           line <= rec->sse_size && rec->data_size <= r->size / 16;
}

struct ring_record *ring_whole(const struct ring *r, uint64_t place)
{
    struct ring_record *rec = ring_writable(r, place);
    assert(r->key != 0 && place < r->size && place % RING_ALIGN == 0);
    if (!ring_sound(r, rec))
        return NULL;
    uint32_t check = rec->check[0] | (uint32_t)rec->check[1] << 8 | (uint32_t)rec->check[2] << 16;
    bool whole =
        check == ring_check_header(r, rec, place) &&
        ((rec->flags & RING_WIPED) != 0 || rec->content_check == ring_check_content(r, rec, place));
    return whole ? rec : NULL;
}

/* ---- putting ---- */

/* Returns the next message as an SSE event. */
static struct event ring_event_of(const struct ring *r, const struct ring_message *m)
{
    struct span name = m->event.n > 0 ? m->event : event_name_of_topic(m->topic);
    struct span id = {r->h->id, r->h->id_size};
    return (struct event){.name = name,
                          .data = m->data,
                          .id = id,
                          .binary = m->binary,
                          .bare = m->bare || m->purge,
                          .ends = {m->topic.p, m->end || m->purge ? m->topic.n : 0}};
}

/* Writes the part of a record after its header. */
__attribute__((always_inline)) static inline void ring_write(struct ring_record *rec,
                                                             const struct ring_message *m,
                                                             const struct event *e,
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
    r->h->o++;
    assert(end - r->h->tail <= r->size);
}

/* Evicts the oldest until there is room for a record. */
static inline void ring_make_room(struct ring *r, uint64_t size)
{
    assert(size <= r->size);
    while (r->h->head + size - r->h->tail > r->size)
        ring_evict(r);
}

static inline bool has_key(const struct ring_message *m)
{
    return m->key[0] != 0;
}

/* What a message will be as a record. */
struct ring_plan {
    struct event event;
    struct event_layout layout;
    uint64_t size;
};

__attribute__((always_inline)) static inline struct ring_plan
ring_measure(const struct ring *r, const struct ring_message *m)
{
    struct ring_plan p = {.event = ring_event_of(r, m)};
    assert(m->topic.n >= 1 && m->topic.n <= RING_NAME_MAX && m->event.n <= RING_NAME_MAX);
    assert(m->data.n <= ring_message_max(r->size));
    assert((uintptr_t)m->data.p - (uintptr_t)r->arena >= 2 * r->size);
    assert(!p.event.bare || (m->end != m->purge && m->event.n + m->data.n == 0 && !m->binary));
    p.layout = event_measure(&p.event);
    p.size = sizeof(struct ring_record) + p.layout.size + m->topic.n;
    p.size = ring_pad(p.size + (p.layout.whole ? 0 : m->data.n), has_key(m));
    assert(p.size >= RING_LEAST);
    return p;
}

/* The same in a place of its own, for those who put less often. */
static __attribute__((noinline)) struct ring_plan ring_measure_apart(const struct ring *r,
                                                                     const struct ring_message *m)
{
    return ring_measure(r, m);
}

/* Writes the next record, with id n, at `at`, where there is room for it. It is part of both of its
 * callers, as a call costs as much as a fifth of it. */
__attribute__((always_inline)) static inline void
ring_render(struct ring *r, uint64_t at, uint64_t n, const struct ring_message *m,
            const struct ring_plan *p, uint64_t now_ms)
{
    struct ring_head *h = r->h;
    struct ring_record *rec = ring_writable(r, at);
    ring_write(rec, m, &p->event, p->layout);
    uint64_t age_ms = r->clock_ms != 0 ? r->clock_ms : now_ms;
    h->time_max = age_ms > h->time_max ? age_ms : h->time_max;
    bool named = m->event.n > 0;
    *rec = (struct ring_record){
        .flags = (uint8_t)((m->binary ? RING_BINARY : 0) | (named ? RING_NAMED : 0) |
                           (p->layout.whole ? 0 : RING_APART) | (m->end ? RING_END : 0) |
                           (m->bare ? RING_BARE : 0) | (m->purge ? RING_BARE | RING_PURGE : 0) |
                           (has_key(m) ? RING_KEYED : 0)),
        .n = n,
        .time_ms = now_ms,
        .time_max = h->time_max,
        .sse_size = (uint32_t)p->layout.size,
        .data_size = (uint32_t)m->data.n,
        .skip = (uint16_t)(named || p->event.bare ? 0 : event_line_size(p->event.name)),
        .event_size = (uint8_t)m->event.n,
        .topic_size = (uint8_t)m->topic.n,
        .size = (uint32_t)p->size,
        .links = {.o = (uint32_t)(h->o + h->held + 1)},
    };
    if (has_key(m))
        *ring_key(rec) = (struct ring_key){{m->key[0], m->key[1]}, 0};
    if (r->key != 0)
        ring_seal(r, rec, at);
}

/* The same in a place of its own, for those who put less often. */
static __attribute__((noinline)) void ring_render_apart(struct ring *r, uint64_t at,
                                                        const struct ring_message *m,
                                                        const struct ring_plan *p, uint64_t now_ms)
{
    ring_render(r, at, ring_given(r) + 1, m, p, now_ms);
}

uint64_t ring_put(struct ring *r, const struct ring_message *m, uint64_t now_ms)
{
    struct ring_head *h = r->h;
    assert(h->held == 0);
    const struct ring_plan p = ring_measure(r, m);
    ring_make_room(r, p.size);
    uint64_t at = h->head;
    ring_render(r, at, h->n + 1, m, &p, now_ms);
    h->n++;
    ring_next_id(h);
    ring_advance(r, at + p.size);
    return at;
}

/* ---- holding back ---- */

uint64_t ring_hold(struct ring *r, const struct ring_message *m, uint64_t now_ms)
{
    struct ring_head *h = r->h;
    const struct ring_plan p = ring_measure_apart(r, m);
    if (h->held > 0 && h->held_size + p.size > r->size / 2)
        return 0;
    ring_make_room(r, h->held_size + p.size);
    uint64_t at = ring_end(r);
    ring_render_apart(r, at, m, &p, now_ms);
    h->held++;
    h->held_size += p.size;
    ring_next_id(h);
    return at;
}

uint64_t ring_show(struct ring *r)
{
    struct ring_head *h = r->h;
    uint64_t at = h->head;
    const struct ring_record *rec = ring_writable(r, at);
    assert(h->held > 0 && rec->n > h->n && rec->size <= h->held_size);
    h->held--;
    h->held_size -= rec->size;
    h->n = rec->n;
    ring_advance(r, at + rec->size);
    return at;
}

/* ---- restoring ---- */

void ring_begin(struct ring *r, uint64_t at, uint64_t n)
{
    struct ring_head *h = r->h;
    assert(h->o == h->lost_o && h->held == 0 && at >= r->size && at % RING_ALIGN == 0);
    h->head = h->tail = at;
    r->index[at / RING_BLOCK & r->mask / RING_BLOCK] = at;
    h->n = h->lost_n = n;
    ring_write_id(h);
}

/* Makes the record at head, already in its place, the newest. */
static void ring_append(struct ring *r, uint64_t size)
{
    struct ring_head *h = r->h;
    struct ring_record *rec = ring_writable(r, h->head);
    assert(rec->n > h->n && rec->time_max >= h->time_max && h->held == 0);
    h->n = rec->n;
    h->time_max = rec->time_max;
    rec->links = (struct ring_links){.o = (uint32_t)(h->o + 1)};
    rec->size = (uint32_t)size;
    ring_advance(r, h->head + size);
    ring_write_id(h);
}

void ring_keep(struct ring *r, uint64_t at, uint64_t last)
{
    struct ring_head *h = r->h;
    assert(at >= h->head);
    if (at > h->head) {
        uint64_t blocks = r->mask / RING_BLOCK;
        for (uint64_t b = h->head / RING_BLOCK; r->index[b & blocks] == h->head; b--)
            r->index[b & blocks] = at; /* the block's first record begins here, not at head */
        if (h->o > h->lost_o) {
            struct ring_record *before = ring_writable(r, last);
            assert(ring_behind(ring_at(r, last), last) == h->head && at - last <= UINT32_MAX);
            before->size = (uint32_t)(at - last);
        }
        h->hole_at = h->hole_at == h->head ? at : h->hole_at;
        ring_advance(r, at);
        if (--h->o == h->lost_o) /* it was not a record */
            h->tail = at;
    }
    ring_append(r, ring_record_size(ring_writable(r, at)));
}

void ring_copy(struct ring *r, const struct ring_record *from)
{
    uint64_t size = ring_record_size(from);
    assert(from->data_size <= ring_message_max(r->size));
    ring_make_room(r, size);
    struct ring_record *rec = ring_writable(r, r->h->head);
    memcpy(rec, from, size);
    if (r->key != 0)
        ring_seal(r, rec, r->h->head);
    ring_append(r, size);
}

void ring_miss(struct ring *r, uint64_t n)
{
    assert(n >= r->h->n && r->h->held == 0);
    r->h->n = r->h->hole_n = n;
    r->h->hole_at = r->h->head;
    ring_write_id(r->h);
}

void ring_drop(struct ring *r, uint64_t at)
{
    assert(ring_at(r, at)->topic_size > 0);
    ring_writable(r, at)->topic_size = 0;
}

/* ---- wiping ---- */

/* Wipes bytes, unless they are. */
static void ring_zero(char *p, size_t n)
{
    if (n > 0 && (p[0] != '\0' || memcmp(p, p + 1, n - 1) != 0))
        hash_wipe(p, n);
}

void ring_wipe(struct ring *r, uint64_t at)
{
    struct ring_record *rec = ring_writable(r, at), front = *rec;
    size_t apart = (rec->flags & RING_APART) != 0 ? rec->data_size : 0;
    if ((rec->flags & RING_WIPED) == 0) {
        uint32_t word;
        front.flags |= RING_WIPED;
        ring_put_check(&front, ring_check_header(r, &front, at & r->mask));
        memcpy(&word, &front,
               sizeof word); /* flags and check in one store: either state is whole */
        __atomic_store_n((ring_word *)(void *)rec, word, __ATOMIC_RELEASE);
    }
    ring_zero((char *)(rec + 1), rec->sse_size + apart);
    if ((rec->flags & RING_KEYED) != 0)
        ring_zero((char *)ring_key(rec)->hash, sizeof ring_key(rec)->hash);
}

/* ---- finding ---- */

static inline bool ring_past(const struct ring *r, uint64_t at, uint64_t n, uint64_t ms)
{
    const struct ring_record *rec = ring_at(r, at);
    return rec->n >= n && rec->time_max >= ms;
}

/* Returns the first record with an id of n or above, put when the ring's clock was `ms` or later;
 * head if there is none. Along the ring, both conditions change once, from false to true. */
static uint64_t ring_search(const struct ring *r, uint64_t n, uint64_t ms)
{
    uint64_t head = r->h->head, at = r->h->tail, blocks = r->mask / RING_BLOCK;
    if (at == head || ring_past(r, at, n, ms))
        return at;
    /* Records up to the start of block lo are not past the target; those from the start of block hi
     * on are. Only blocks that start after tail are checked: tail's own block may hold newer
     * records too. */
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
    return n >= r->h->n ? r->h->head : ring_search(r, n + 1, 0);
}

uint64_t ring_find_from(const struct ring *r, uint64_t n)
{
    return n > r->h->n ? r->h->head : ring_search(r, n, 0);
}

uint64_t ring_find_time(const struct ring *r, uint64_t ms)
{
    return ms > r->h->time_max ? r->h->head : ring_search(r, 0, ms);
}

uint64_t ring_block_before(const struct ring *r, uint64_t end)
{
    uint64_t blocks = r->mask / RING_BLOCK, tail = r->h->tail;
    uint64_t lo = tail / RING_BLOCK, hi = (end - 1) / RING_BLOCK + 1;
    assert(end > tail);
    while (hi - lo > 1) { /* a record before `end` begins in lo, none in hi */
        uint64_t mid = lo + (hi - lo) / 2;
        if (r->index[mid & blocks] < end)
            lo = mid;
        else
            hi = mid;
    }
    return lo > tail / RING_BLOCK ? r->index[lo & blocks] : tail;
}

struct cursor ring_before(const struct ring *r, uint64_t at)
{
    const struct ring_head *h = r->h;
    uint64_t n = h->n;
    if (at < h->head && at == h->hole_at) {
        n = h->hole_n;
    } else if (at <= h->tail && at < h->head) {
        assert(at == h->tail);
        n = h->lost_n;
    } else if (at < h->head) {
        uint64_t x = ring_block_before(r, at), next;
        while ((next = ring_behind(ring_at(r, x), x)) < at)
            x = next;
        n = ring_at(r, x)->n;
    }
    return (struct cursor){h->epoch, n};
}

/* ---- sharing --------------------------------------------------------------------------------- */

void ring_share(const struct ring *r, struct control *c, struct control_state *s)
{
    const struct ring_head *h = r->h;
    assert(h->held == 0);
    c->epoch = h->epoch;
    c->hole_n = h->hole_n;
    c->hole_at = h->hole_at;
    *s = (struct control_state){
        .head = h->head,
        .tail = h->tail,
        .n = h->n,
        .o = h->o,
        .time_max = h->time_max,
        .lost_n = h->lost_n,
        .lost_o = h->lost_o,
    };
}

void ring_look(struct ring *r, const struct control *c)
{
    struct control_state s;
    struct ring_head *h = r->h;
    (void)control_read(c, &s);
    h->head = s.head;
    h->tail = s.tail;
    h->n = s.n;
    h->o = s.o;
    h->time_max = s.time_max;
    h->lost_n = s.lost_n;
    h->lost_o = s.lost_o;
    ring_write_id(h);
}

int ring_join(struct ring *r, struct control *c, uint32_t me, uint32_t pid)
{
    struct ring own = *r;
    struct control_state s;
    size_t size = ring_table_size(r->size);
    int err = own.table_fd = ring_file("ring-table", size);
    if (err < 0)
        return err;
    char *table = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, own.table_fd, 0);
    err = table == MAP_FAILED ? -errno : ring_map_arena(&own, PROT_READ);
    if (err < 0) {
        if (table != MAP_FAILED)
            munmap(table, size);
        close(own.table_fd);
        return err;
    }
    control_join(c, me, pid, &s);
    own.h = (struct ring_head *)(void *)table;
    own.index = (uint64_t *)(void *)(table + sizeof(struct ring_head));
    own.shared = c;
    own.me = me;
    *own.h = (struct ring_head){
        .epoch = c->epoch,
        .head = s.tail,
        .tail = s.tail,
        .n = s.lost_n,
        .o = s.lost_o,
        .lost_n = s.lost_n,
        .lost_o = s.lost_o,
        .hole_n = c->hole_n,
        .hole_at = c->hole_at,
    };
    own.index[s.tail / RING_BLOCK & own.mask / RING_BLOCK] = s.tail;
    ring_write_id(own.h);
    *r = own;
    return 0;
}

void ring_leave(struct ring *r)
{
    ring_unmap(r);
    close(r->table_fd);
    (void)control_bury(r->shared, r->me);
    *r = (struct ring){.table_fd = -1, .arena_fd = -1};
}

void ring_take(struct ring *r)
{
    struct ring_head *h = r->h;
    const struct ring_record *rec = (const void *)(r->arena + (h->head & r->mask));
    assert(rec->n > h->n && rec->links.o == (uint32_t)(h->o + 1) && rec->size <= r->size);
    bool next = rec->n == h->n + 1;
    h->n = rec->n;
    h->time_max = rec->time_max;
    if (next)
        ring_next_id(h);
    else
        ring_write_id(h);
    ring_advance(r, h->head + rec->size);
}

void ring_taken(struct ring *r, const struct control_state *s)
{
    struct ring_head *h = r->h;
    assert(h->head == s->head && h->o == s->o && h->n <= s->n);
    h->time_max = s->time_max;
    if (h->n == s->n)
        return;
    h->n = s->n;
    ring_write_id(h);
}

void ring_let_go(struct ring *r)
{
    ring_evict(r);
}

void ring_renew(const struct ring *r)
{
    control_renew(r->shared, r->me, r->h->tail, r->h->head);
}

/* Takes the oldest record that a state still has out of it; all of them are in this view. */
static void ring_state_evict(const struct ring *r, struct control_state *s)
{
    const struct ring_record *rec = ring_at(r, s->tail);
    s->lost_n = rec->n;
    s->lost_o++;
    s->tail += rec->size;
}

uint64_t ring_share_put(struct ring *r, const struct ring_message *m, uint64_t now_ms,
                        const struct ring_links *links, uint64_t older, uint64_t *evicted)
{
    struct control_state s;
    const uint64_t turn = control_read(r->shared, &s), lost = s.lost_o;
    assert(control_holds(r->shared, r->me) && r->h->head == s.head && r->h->n == s.n);
    const struct ring_plan p = ring_measure_apart(r, m);
    const uint64_t at = s.head, end = at + p.size;
    while (s.tail < s.head && end + ring_slack(r->size) - s.tail > r->size)
        ring_state_evict(r, &s);
    *evicted += s.lost_o - lost;
    if (end > control_least(r->shared) + r->size) {
        if (s.lost_o != lost)
            control_commit(r->shared, &s);
        control_want(r->shared, end - r->size);
        return 0;
    }
    CONTROL_STEP();
    ring_render_apart(r, at, m, &p, now_ms);
    struct ring_links *own = ring_links(r, at);
    own->prev = links->prev;
    own->jump = links->jump;
    own->depth = links->depth;
    if (has_key(m))
        ring_key(ring_writable(r, at))->older = older;
    CONTROL_STEP();
    s.head = end;
    s.n++;
    s.o++;
    s.time_max = r->h->time_max;
    control_commit(r->shared, &s);
    assert(control_turn(r->shared) == turn + 1);
    return at;
}

unsigned ring_share_expire(struct ring *r, uint64_t before_ms, unsigned most)
{
    struct control_state s;
    unsigned n = 0;
    (void)control_read(r->shared, &s);
    assert(control_holds(r->shared, r->me) && r->h->head == s.head);
    for (; n < most && s.tail < s.head && ring_at(r, s.tail)->time_max < before_ms; n++)
        ring_state_evict(r, &s);
    if (n > 0)
        control_commit(r->shared, &s);
    return n;
}
