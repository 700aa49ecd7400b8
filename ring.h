/*
 * ring.h - the log: one ring of records, each a message rendered once, in the order of their ids.
 *
 * It knows no topics but the bytes of their names: a reader by topic follows the ring and links its
 * records (lib/broker).
 *
 * THE ARENA is a power of two bytes, mapped twice back to back, so that a record that runs past the
 * end goes on in the second mapping and is contiguous:
 *
 *        arena, first mapping                     the same pages again
 *   +----------------------------------------+----------------------------------------+
 *   |R9 (end)|  free  |R5 |R6     |R7  |R8|R9 (start)|R9 (end)|  free  |R5 |R6  ...    |
 *   +----------------------------------------+----------------------------------------+
 *            ^head    ^tail
 *
 * Places are absolute 64-bit offsets that only grow, masked on use; `tail` is the oldest record,
 * `head` where the next will begin, and tail <= offset < head says that a record is there. So an
 * offset is a cursor that anyone can keep: once its record is evicted it is below tail, and it
 * never means another record. Offset 0 is "none": the first record is at `size`. Offsets and ids
 * grow together: a smaller offset is a smaller id.
 *
 * A RECORD, RING_ALIGN-aligned:
 *
 *   +--------+----------------------------------------------+---------------+-------+----------+
 *   | header | event: NAME\n | data: ..\n ... | id: MS-N\n \n| payload apart | topic | pad, key |
 *   +--------+---------------+----------------+--------------+---------------+-------+----------+
 *            `skip`------------^ unnamed messages carry "event: TOPIC\n" here, which a stream of
 *            `sse_size`----------------------^  one topic leaves out by starting at `skip`
 *
 * A record may END its topic: its rendering has the event "ended" behind the message (lib/event.h),
 * or, where there is no message, alone. The ring does not look at this: who follows it does.
 *
 * A record may PURGE its topic: who follows it takes the older ones of the topic away, and wipes
 * them (ring_wipe()). It is no message, and its rendering, which nobody is sent, is that of an end.
 *
 * The payload (the published data) is a slice of the data line if it is text in one line; it
 * follows the rendering, apart, if it has line ends or is binary.
 *
 * ID AND NUMBER. Outside, a message is known by its id. Ids grow along the ring and may jump, so no
 * id is computed from another, but the next one of ring_put(). Inside, a message is known by its
 * place and by its number, which counts without holes from this ring's beginning.
 *
 * LINKS. A record has room for the links of the code that follows the ring: the older and the newer
 * record of its topic, and a shortcut (lib/broker/chain.h). The ring does not use them.
 *
 * An INDEX holds, for each RING_BLOCK of the arena, the first record that begins there or after it,
 * so that an id or a time is found in O(log blocks) and a walk through one block.
 *
 * IN A STORE's file the arena outlives the process; the index does not, and is rebuilt from it
 * (lib/host/store). There each record has two checksums, keyed so that no payload can pose as a
 * record, and bound to its place in the arena: a CRC-32C of its content, and a SipHash of its
 * header, including the CRC. The latter is checked first because it is cheap, and stored first so
 * that a partly overwritten record fails. Damage leaves a HOLE: `size` of the record before it
 * leads over it, and ids up to `hole_n` may be missing.
 *
 * INVARIANTS
 *   - head + held_size - tail <= size; all are multiples of RING_ALIGN.
 *   - Only ring_put() and ring_show() move head, only eviction moves tail, by one record each:
 *     in ring_put(), ring_hold(), ring_copy() and ring_expire().
 *   - A record below head never changes but for its links.
 *   - Ids grow along the ring, by one with each ring_put(). Numbers grow by one each.
 *   - The mappings hold numbers and offsets only: they can be made at any address.
 *   - Readers hold offsets, and the ring never waits for them: it does not know them.
 *
 * A SHARED RING is one arena for several processes, or several structs of one (lib/control.h). Each
 * has a head and an index of its own, and so a view that changes only when it says so:
 *
 *                    tail: its own                    head: its own      head of the control page
 *   ----|R4 |R5 |R6 |R7       |R8 |R9                |R10               |............
 *       ^ tail of the control page: who follows        ^ ring_take() takes one more into the view
 *         lets go of what is below it
 *
 * ring_share_put() writes a record behind the page's head, links included, and commits it; nothing
 * else writes into the arena but ring_link_next(), which tells for sure what was committed. So all
 * else reads through a mapping that can't be written to; there is a second one for those two.
 * What a link leads to may be newer than one's own head: ring_next() says 0 then. What is below the
 * tail of whoever put the record may be anything: who follows lets go of at least as much first.
 * Of `size`, a part is left free (ring_slack()), in which messages are put while others still let
 * go of what was there.
 *
 * LIMITS: size from RING_MIN to RING_MAX; a message's data at most size / 16, so that its rendering
 * (8 bytes for 1 at worst) takes little more than half the ring, and at most RING_MESSAGE_MAX, so
 * that it is counted in 32 bits; name and event name at most RING_NAME_MAX bytes each.
 *
 * OWNERSHIP: struct ring owns its mappings and their files, from ring_open() to ring_close().
 * Records belong to the ring; a pointer into one is valid until the record is evicted and another
 * is put.
 */
#ifndef SSE_RING_H
#define SSE_RING_H

#include <assert.h>

#include "lib/control.h"
#include "lib/cursor.h"
#include "lib/event.h"

#define RING_MIN         (64u << 10)
#define RING_MAX         (1ull << 38)
#define RING_MESSAGE_MAX (256u << 20)
#define RING_BLOCK       (16u << 10)
#define RING_ALIGN       16u
#define RING_NAME_MAX    255u
#define RING_LEAST       112u         /* bytes of a record, at least */
#define RING_N_MAX       (1ull << 62) /* an id's n: never reached by counting */

/* The arena begins at a multiple of this in its file, and every size is one: no page of Linux is
 * larger. */
#define RING_PAGE RING_MIN

enum ring_flag {
    RING_BINARY = 1,  /* not text: SSE carries it as a data: URL */
    RING_NAMED = 2,   /* has an event name of its own */
    RING_APART = 4,   /* the payload follows the rendering */
    RING_END = 8,     /* the last of its topic: its rendering tells of the end */
    RING_BARE = 16,   /* END: of that alone, there is no message */
    RING_KEYED = 32,  /* it was published with a key: struct ring_key stands at the end */
    RING_PURGE = 64,  /* not a message: the records of its topic before it are purged */
    RING_WIPED = 128, /* its bytes are wiped, but for its topic's name */
};

/* The links, written by the code that follows the ring, each once but `next`: that is 0 until the
 * record's successor is linked, and is stored and read atomically (ring_link_next(), ring_next()),
 * so that it leads to a record whose links are complete. */
struct ring_links {
    uint64_t prev;  /* the record before it in its topic; 0: the first ever */
    uint64_t next;  /* the record after it in its topic; 0: none yet */
    uint64_t jump;  /* an older record of its topic; 0: none */
    uint32_t depth; /* how many records its topic had before it, modulo 2^32 */
    uint32_t o;     /* not a link but the ring's: the record's number, modulo 2^32 */
};

/* The header of a record. Its first part never changes. The second is rebuilt when a store is
 * opened. */
struct ring_record {
    uint8_t check[3];       /* in a store: of the fields from `flags` to `topic_size` */
    uint8_t flags;          /* enum ring_flag */
    uint32_t content_check; /* in a store: of the bytes after the header */
    uint64_t n;             /* its id is (epoch, n) */
    uint64_t time_ms;       /* when it was put, wall clock */
    uint64_t time_max;  /* the latest time of the ring's clock so far: its age counts from that */
    uint32_t sse_size;  /* bytes of the rendering */
    uint32_t data_size; /* bytes of the payload */
    uint16_t skip;      /* bytes of the event line, if its name is the topic's; else 0 */
    uint8_t event_size; /* bytes of the event name; 0: unnamed */
    uint8_t topic_size; /* bytes of the topic's name */

    uint32_t size;           /* bytes to the next record */
    struct ring_links links; /* private to the code that follows the ring */
};

/* The front of the table. Private, but for the functions below. */
struct ring_head {
    uint64_t epoch;      /* ids begin with it */
    uint64_t head, tail; /* offsets */
    uint64_t n;          /* the newest id; 0: none ever */
    uint64_t o;          /* the number of the newest message; 0: none ever */
    uint64_t time_max;   /* of the newest message, held or not */
    uint64_t lost_n;     /* n of the newest message that was evicted; 0: none */
    uint64_t lost_o;     /* its number */
    uint64_t
        hole_n; /* the newest n that may be missing though older ones are there; 0: none, ... */
    uint64_t hole_at;    /* ... and where the record after it begins */
    uint64_t held;       /* records after head that ring_show() has not shown yet, ... */
    uint64_t held_size;  /* ... and their bytes */
    uint32_t id_size;    /* bytes of ... */
    char id[CURSOR_MAX]; /* ... the next message's id, as text */
};

struct ring {
    struct ring_head *h;
    char *arena;
    char *writing; /* the arena, to be written to: the same mapping, unless it is shared */
    uint64_t *index;
    uint64_t size, mask;
    struct control *shared; /* the control page; NULL: this ring is not shared */
    uint32_t me;            /* the number of this worker */
    uint64_t key;           /* not 0: records have checksums made with it */
    uint64_t clock_ms;   /* the caller's: the time in ms of a clock that is never set back; 0: none,
                          * and ring_put()'s time is used */
    uint64_t arena_from; /* where the arena begins in its file */
    void (*evicts)(void *arg); /* ring_tell() */
    void *arg;
    int table_fd; /* head and index: a file in memory */
    int arena_fd; /* the arena: one in memory, or a store's */
};

/* The end of a record that was published with a key, aligned. `older` is a link as those are. */
struct ring_key {
    uint64_t hash[2]; /* of the key; the first is never 0 */
    uint64_t older;   /* private to those who follow the ring */
};

struct ring_message {
    struct span topic; /* the name, 1 to RING_NAME_MAX bytes */
    struct span event; /* empty: unnamed; at most RING_NAME_MAX bytes, no CR, LF or NUL */
    struct span data;
    bool binary;
    bool end;        /* it is the last of its topic, ... */
    bool bare;       /* ... or nothing is: there is no message */
    bool purge;      /* it is no message, and purges those before it of its topic */
    uint64_t key[2]; /* what struct ring_key has; the first is 0: it has no key */
};

/* Makes an empty ring of `size` bytes (a power of two, RING_MIN to RING_MAX) whose ids begin with
 * `epoch`. Returns 0, or minus an errno with nothing left open. */
int ring_open(struct ring *r, uint64_t size, uint64_t epoch);

/* Makes an empty ring whose arena is in the file `arena_fd`, which has blocks for it from
 * `arena_from` (a multiple of RING_PAGE) on; their content is ignored. Takes the descriptor over
 * unless it fails. `key`, if not 0, is the key of the checksums. Returns as ring_open() does. */
int ring_open_in(struct ring *r, int arena_fd, uint64_t arena_from, uint64_t size, uint64_t epoch,
                 uint64_t key);

/* Maps the ring that an earlier program of this process set up, with its content; the arguments are
 * members of its struct. Takes the descriptors over unless it fails. Returns 0, or minus an errno;
 * -EINVAL if they cannot be a ring's. */
int ring_attach(struct ring *r, int table_fd, int arena_fd, uint64_t arena_from, uint64_t size,
                uint64_t key);

/* Unmaps the ring and closes its files. */
void ring_close(struct ring *r);

/* Returns the largest data that ring_put() takes, in bytes: size / 16, or RING_MESSAGE_MAX. */
static inline uint64_t ring_message_max(uint64_t size)
{
    return size / 16 < RING_MESSAGE_MAX ? size / 16 : RING_MESSAGE_MAX;
}

/* Sets the callback evicts(arg), called before the oldest record is evicted, so that the code that
 * follows the ring unlinks it; NULL: none. */
void ring_tell(struct ring *r, void (*evicts)(void *arg), void *arg);

/* Puts a message, evicting the oldest messages as needed. Returns the record's offset. The message
 * must be within the limits: asserted. Its spans must not lie in the ring. An unnamed message's
 * event line is as event_name_of_topic() says. */
uint64_t ring_put(struct ring *r, const struct ring_message *m, uint64_t now_ms);

/* HOLDING a message back: its record is after head and has an id, but the rest of the ring, such as
 * the index and ring_newest(), does not know it. It is never evicted. ring_show() makes it an
 * ordinary record. A ring holds at most half its size, or one message; ring_put() may be called
 * only while it holds none.
 *
 * ring_hold() puts a message as ring_put() does, and holds it. Returns the record's offset; 0 with
 * nothing done if the ring can hold no more. */
uint64_t ring_hold(struct ring *r, const struct ring_message *m, uint64_t now_ms);

/* Evicts messages put before `before_ms` of the ring's clock, `most` at most. Returns how many. */
unsigned ring_expire(struct ring *r, uint64_t before_ms, unsigned most);

/* Shows the oldest of the held records, of which there must be one. Returns its offset. */
uint64_t ring_show(struct ring *r);

/* Returns where the next record will begin: after head and all held records. */
static inline uint64_t ring_end(const struct ring *r)
{
    return r->h->head + r->h->held_size;
}

/* Returns the n of the newest message, held or not. */
static inline uint64_t ring_given(const struct ring *r)
{
    return r->h->n + r->h->held;
}

/* Return the ring's bounds; the number of messages; the newest id (n is 0 before the first put). */
static inline uint64_t ring_head(const struct ring *r)
{
    return r->h->head;
}

static inline uint64_t ring_tail(const struct ring *r)
{
    return r->h->tail;
}

static inline uint64_t ring_count(const struct ring *r)
{
    return r->h->o - r->h->lost_o;
}

static inline struct cursor ring_newest(const struct ring *r)
{
    return (struct cursor){r->h->epoch, r->h->n};
}

/* Appends the id of message n of this ring; that of the newest, which is needed most often, at
 * little cost. */
void ring_id_write(const struct ring *r, struct text *t, uint64_t n);

/* Returns the n of the newest message that was evicted, or that may have been lost before this ring
 * began; 0 if none. */
static inline uint64_t ring_lost(const struct ring *r)
{
    return r->h->lost_n;
}

/* Returns the n up to which messages may be missing though older ones are there; 0 if none is. */
static inline uint64_t ring_hole(const struct ring *r)
{
    return r->h->hole_n;
}

/* Returns the record at an offset that a function here returned: tail <= at < head is asserted. */
static inline const struct ring_record *ring_at(const struct ring *r, uint64_t at)
{
    assert(at >= r->h->tail && at < r->h->head && at % RING_ALIGN == 0);
    const void *p = r->arena + (at & r->mask);
    const struct ring_record *rec = p;
    assert(rec->size <= r->h->head - at && rec->sse_size < rec->size);
    return rec;
}

/* Returns the number of the record at an offset. Numbers count without holes from 1, the first of
 * this ring. */
static inline uint64_t ring_number(const struct ring *r, uint64_t at)
{
    return r->h->o - (uint32_t)((uint32_t)r->h->o - ring_at(r, at)->links.o);
}

/* The record at an offset, there or held. */
static inline struct ring_record *ring_place(const struct ring *r, uint64_t at)
{
    assert(at >= r->h->tail && at < ring_end(r) && at % RING_ALIGN == 0);
    return (struct ring_record *)(void *)(r->arena + (at & r->mask));
}

/* Returns the offset after a record: where the next one begins, or head. */
static inline uint64_t ring_behind(const struct ring_record *rec, uint64_t at)
{
    return at + rec->size;
}

/* Returns the first record with an id above n, of any topic; head if there is none. */
uint64_t ring_find(const struct ring *r, uint64_t n);

/* Returns the first record put at that time of the ring's clock or later, of any topic; head if
 * there is none. (Where that clock was once further, it may return an earlier record, never a later
 * one.) */
uint64_t ring_find_time(const struct ring *r, uint64_t ms);

/* Returns the first record with an id of n or above, of any topic; head if there is none. */
uint64_t ring_find_from(const struct ring *r, uint64_t n);

/* Returns the first record of the block in which the record before `end` begins; a short walk leads
 * from there to that record. `end` is above tail. */
uint64_t ring_block_before(const struct ring *r, uint64_t end);

/* Returns the id just before offset `at`, which is that of a record, or head: that of the record
 * before it, of the newest that was evicted, or the newest that is missing in between. As a cursor
 * it leads to `at`. */
struct cursor ring_before(const struct ring *r, uint64_t at);

/* Returns the record at an offset, for writing; its links. */
static inline struct ring_record *ring_writable(const struct ring *r, uint64_t at)
{
    return (struct ring_record *)(void *)(r->writing + (at & r->mask));
}

static inline struct ring_links *ring_links(const struct ring *r, uint64_t at)
{
    return &ring_writable(r, at)->links;
}

/* The same, to be read. */
static inline const struct ring_links *ring_linked(const struct ring *r, uint64_t at)
{
    const struct ring_record *rec = (const void *)(r->arena + (at & r->mask));
    return &rec->links;
}

/* Sets `next` of the record at `at`, after the links of the record at `next` were written. */
static inline void ring_link_next(const struct ring *r, uint64_t at, uint64_t next)
{
    __atomic_store_n(&ring_links(r, at)->next, next, __ATOMIC_RELEASE);
}

/* Returns the offset of the next record of the same topic, in this view or not. */
static inline uint64_t ring_raw_next(const struct ring *r, uint64_t at)
{
    const struct ring_record *rec = (const void *)(r->arena + (at & r->mask));
    return __atomic_load_n(&rec->links.next, __ATOMIC_ACQUIRE);
}

/* Returns the offset of the next record of the same topic; 0 if there is none yet below head. */
static inline uint64_t ring_next(const struct ring *r, const struct ring_record *rec)
{
    uint64_t next = __atomic_load_n(&rec->links.next, __ATOMIC_ACQUIRE);
    return next < r->h->head ? next : 0;
}

/* Return parts of a record: its rendering, for a stream of one topic or of several; the event name
 * (empty if unnamed); the payload; the topic's name. */
static inline struct span ring_sse(const struct ring_record *rec, bool several)
{
    const char *p = (const char *)(rec + 1);
    return several ? (struct span){p, rec->sse_size}
                   : (struct span){p + rec->skip, (size_t)rec->sse_size - rec->skip};
}

static inline struct span ring_event(const struct ring_record *rec)
{
    return (struct span){(const char *)(rec + 1) + EVENT_NAME_AT, rec->event_size};
}

static inline struct span ring_data(const struct ring_record *rec)
{
    size_t line = rec->skip > 0 ? rec->skip : event_line_size(ring_event(rec));
    size_t at = (rec->flags & RING_APART) != 0 ? rec->sse_size : event_data_at(line);
    return (struct span){(const char *)(rec + 1) + at, rec->data_size};
}

static inline struct span ring_topic(const struct ring_record *rec)
{
    size_t apart = (rec->flags & RING_APART) != 0 ? rec->data_size : 0;
    return (struct span){(const char *)(rec + 1) + rec->sse_size + apart, rec->topic_size};
}

/* What the parts of a record take, with those that are aligned. */
static inline uint64_t ring_pad(uint64_t size, bool keyed)
{
    size = keyed ? ((size + 7) & ~UINT64_C(7)) + sizeof(struct ring_key) : size;
    return (size + RING_ALIGN - 1) & ~(uint64_t)(RING_ALIGN - 1);
}

/* Returns the bytes that a record needs; its `size` may be larger. */
static inline uint64_t ring_record_size(const struct ring_record *rec)
{
    uint64_t apart = (rec->flags & RING_APART) != 0 ? rec->data_size : 0;
    uint64_t size = sizeof(*rec) + (uint64_t)rec->sse_size + apart + rec->topic_size;
    return ring_pad(size, (rec->flags & RING_KEYED) != 0);
}

/* The key of a record that has one. Its size is asked of the parts, as `size` may lead over a
 * hole. */
static inline struct ring_key *ring_key(struct ring_record *rec)
{
    assert((rec->flags & RING_KEYED) != 0);
    char *end = (char *)rec + ring_record_size(rec);
    return (struct ring_key *)(void *)(end - sizeof(struct ring_key));
}

/* Wipes what a record held: its bytes but for its topic's name, its key. It stays where it is, and
 * is whole at any moment, so that a process that is killed meanwhile leaves one that is wiped, or
 * that is to be wiped once more. */
void ring_wipe(struct ring *r, uint64_t at);

/* RESTORING a ring from the arena of a store's file: ring_open_in(), then ring_begin(), then the
 * messages, the oldest first. */

/* Returns the record at a place of the arena, a multiple of RING_ALIGN below the ring's size, if it
 * is complete and its checksums are right; else NULL. The ring must have a key. */
struct ring_record *ring_whole(const struct ring *r, uint64_t place);

/* Makes an empty ring go on at offset `at`, after id n, up to which any message may have been
 * lost. */
void ring_begin(struct ring *r, uint64_t at, uint64_t n);

/* Makes the record at offset `at`, which ring_whole() found, the newest one, with its own id, which
 * is larger than the newest. It may be after head, with a hole between: as far as `size` of the
 * newest record so far, at offset `last`, can express; in an empty ring, at any distance. It must
 * end before tail + size. */
void ring_keep(struct ring *r, uint64_t at, uint64_t last);

/* Puts the message of another ring's record with its id, which is larger than the newest, and its
 * times; within the limits, as for ring_put(). Evicts as needed. */
void ring_copy(struct ring *r, const struct ring_record *from);

/* Makes n, which is at least the newest id's, the newest id; messages up to it may be missing. */
void ring_miss(struct ring *r, uint64_t n);

/* Invalidates the record at `at`, so that ring_whole() does not find it and the next start does
 * without it. Until it is evicted it is there, and its topic has no name. */
void ring_drop(struct ring *r, uint64_t at);

/* ---- sharing --------------------------------------------------------------------------------- */

/* Returns the bytes of a shared ring that are kept free: a 16th, or 4 MiB where that is more, but
 * no more than a quarter. */
static inline uint64_t ring_slack(uint64_t size)
{
    const uint64_t least = size / 4 < (4u << 20) ? size / 4 : 4u << 20;
    return size / 16 > least ? size / 16 : least;
}

/* Notes in *s where a ring stands that is to be shared: for control_init(), by who made it. Returns
 * through *c what else the page has of it. */
void ring_share(const struct ring *r, struct control *c, struct control_state *s);

/* Moves the ends and the newest id of a ring that is only looked at to where the page has them:
 * for who syncs a store. It can't find anything then. */
void ring_look(struct ring *r, const struct control *c);

/* Joins, as worker `me` of that page, a ring that was made by ring_open() or ring_open_in() before
 * the process was forked, or that is another struct: *r is a copy of that. Its arena is mapped to
 * be read; the mapping that the copy has is for writing from then on. Nothing is followed yet: head
 * is at tail. Returns 0, or minus an errno, with *r as it was. */
int ring_join(struct ring *r, struct control *c, uint32_t me, uint32_t pid);

/* Leaves: gives up what ring_join() made. The descriptor of the arena stays open. */
void ring_leave(struct ring *r);

/* Returns true if the page has a newer state than was followed. */
static inline bool ring_news(const struct ring *r, uint64_t turn)
{
    return control_turn(r->shared) != turn;
}

/* Takes the next record into this view: head moves behind it. It was committed. */
void ring_take(struct ring *r);

/* This view has taken all that the state has: notes what no record tells. */
void ring_taken(struct ring *r, const struct control_state *s);

/* Evicts the oldest record, of which there must be one; renews the lease. */
void ring_let_go(struct ring *r);
void ring_renew(const struct ring *r);

/* Puts a message, as ring_put() does, with those links (but for `o` and `next`), and what its key
 * is linked to, and commits it.
 * The lock is held, and all that is committed was taken; it is to be taken into this view, too,
 * when the lock was given back. Adds to *evicted how many messages have gone below the new tail.
 * Returns the record's offset; 0: there is no room beyond all leases; the page says now what is
 * wanted: give the lock back, let go, wait, try again. */
uint64_t ring_share_put(struct ring *r, const struct ring_message *m, uint64_t now_ms,
                        const struct ring_links *links, uint64_t older, uint64_t *evicted);

/* As ring_expire(), of a shared ring: has all let go of them. The lock is held, and all that is
 * committed was taken. */
unsigned ring_share_expire(struct ring *r, uint64_t before_ms, unsigned most);

#endif
