/*
 * ring.h - the log: one ring of records, each a message rendered once, in the order of their ids.
 *
 * It knows no topics but the bytes of their names: who reads by topic follows the ring and links
 * its records (lib/broker).
 *
 * THE ARENA is a power of two bytes, mapped twice back to back, so that a record that runs past
 * the end goes on in the second mapping and is one piece all the same:
 *
 *        arena, first mapping                     the same pages again
 *   +----------------------------------------+----------------------------------------+
 *   |R9 (end)|  free  |R5 |R6     |R7  |R8|R9 (start)|R9 (end)|  free  |R5 |R6  ...    |
 *   +----------------------------------------+----------------------------------------+
 *            ^head    ^tail
 *
 * Places are absolute 64-bit offsets that only grow, masked on use; `tail` is the oldest record,
 * `head` where the next will begin, and tail <= offset < head says that a record is there. So an
 * offset is a cursor that can be kept by anyone: if the ring has gone over it, it is below tail,
 * and never means another record. Offset 0 is "none": the first record stands at `size`.
 * Offsets and ids grow together: a smaller offset is a smaller id.
 *
 * A RECORD, RING_ALIGN-aligned:
 *
 *   +--------+----------------------------------------------+---------------+-------+-----+
 *   | header | event: NAME\n | data: ..\n ... | id: MS-N\n \n| payload apart | topic | pad |
 *   +--------+---------------+----------------+--------------+---------------+-------+-----+
 *            `skip`------------^ unnamed messages carry "event: TOPIC\n" here, which a stream of
 *            `sse_size`----------------------^  one topic leaves out by starting at `skip`
 *
 * The payload (what was published) is a slice of the data line where it is text in one line, and
 * stands apart behind the rendering where it has line ends or is binary.
 *
 * ID AND NUMBER. Outside, a message is known by its id. Ids grow along the ring and may jump, so
 * none is computed from another but the one that ring_put() gives next. Inside, a message is known
 * by its place and by its number, which counts without holes from this ring's beginning.
 *
 * LINKS. A record has room for the links of those who follow the ring: the older and the newer
 * record of its topic, and a shortcut (lib/broker/chain.h). The ring does not look at these.
 *
 * An INDEX holds, for each RING_BLOCK of the arena, the first record that begins there or behind,
 * so that an id or a time is found in O(log blocks) and a walk through one block.
 *
 * IN A STORE's file the arena outlives the process; the index does not and is made anew from it
 * (lib/host/store). There each record carries two check sums that are keyed, so that no payload can
 * pose as a record, and bound to its place in the arena: a CRC-32C of its content; and SipHash of
 * its header, the CRC with it, so that it is cheap to find that something is no record; it stands
 * first, so that a record is not whole once anything was written over its beginning. What was
 * damaged leaves a HOLE: `size` of the record before it leads over it, and ids up to `hole_n` may
 * be missing.
 *
 * INVARIANTS
 *   - head + held_size - tail <= size; all are multiples of RING_ALIGN.
 *   - Only ring_put() and ring_show() move head, only eviction moves tail, by one record each:
 *     in ring_put(), ring_hold(), ring_copy() and ring_expire().
 *   - A record below head never changes but for its links.
 *   - Ids grow along the ring; those that ring_put() gives by one each. Numbers grow by one each.
 *   - Everything in the mappings is numbers and offsets: they can be made anywhere, by anyone.
 *   - Readers hold offsets and are never waited for. The ring knows nothing of them.
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
 * (8 bytes for 1 at worst) is at most half the ring and some, and at most RING_MESSAGE_MAX, so that
 * it is counted in 32 bits; name and event name at most RING_NAME_MAX bytes each.
 *
 * OWNERSHIP: struct ring owns its mappings and their files, from ring_open() to ring_close().
 * Records belong to the ring; a pointer into one is good until the record is evicted and another is
 * put.
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

/* The arena begins at a multiple of this in its file, as every size is one: no page of Linux is
 * larger, so none need be asked for. */
#define RING_PAGE RING_MIN

enum ring_flag {
    RING_BINARY = 1, /* not text: SSE has it as a data: URL */
    RING_NAMED = 2,  /* has an event name of its own */
    RING_APART = 4,  /* the payload stands behind the rendering */
};

/* What those who follow the ring write into a record, each once but `next`: that is 0 until the
 * record's successor is linked, and is stored and read as a whole (ring_link_next(), ring_next()),
 * so that it leads to a record whose links are there. */
struct ring_links {
    uint64_t prev;  /* the one before in its topic; 0: the first ever */
    uint64_t next;  /* the one after in its topic; 0: none yet */
    uint64_t jump;  /* an older one of its topic; 0: none */
    uint32_t depth; /* how many its topic had had before it, modulo 2^32 */
    uint32_t o;     /* not a link: the record's number, modulo 2^32; the ring's */
};

/* Its first part never changes. The second is made anew when a store is opened. */
struct ring_record {
    uint8_t check[3];       /* in a store, of what follows here up to topic_size */
    uint8_t flags;          /* enum ring_flag */
    uint32_t content_check; /* in a store, of what stands behind the header */
    uint64_t n;             /* its id is (epoch, n) */
    uint64_t time_ms;       /* when it was put, wall clock */
    uint64_t time_max;      /* the latest that the ring's clock had told: its age goes by that */
    uint32_t sse_size;      /* bytes of the rendering */
    uint32_t data_size;     /* bytes of the payload */
    uint16_t skip;          /* bytes of the event line, where the name is the topic's; else 0 */
    uint8_t event_size;     /* bytes of the event name; 0: unnamed */
    uint8_t topic_size;     /* bytes of the topic's name */

    uint32_t size;           /* bytes to where the next one begins */
    struct ring_links links; /* private to those who follow the ring */
};

/* The front of the table. Private but for the functions below. */
struct ring_head {
    uint64_t epoch;      /* ids begin with it */
    uint64_t head, tail; /* offsets */
    uint64_t n;          /* the newest id; 0: none ever */
    uint64_t o;          /* the number of the newest message; 0: none ever */
    uint64_t time_max;   /* of the newest message, held or not */
    uint64_t lost_n;     /* the id of the newest that was evicted; 0: none */
    uint64_t lost_o;     /* its number */
    uint64_t hole_n;  /* the newest that may be missing though older ones are there; 0: none, ... */
    uint64_t hole_at; /* ... and where the record behind it begins */
    uint64_t held;    /* records behind head that ring_show() has not shown yet, ... */
    uint64_t held_size;  /* ... and their bytes */
    uint32_t id_size;    /* bytes of ... */
    char id[CURSOR_MAX]; /* ... the id that the next message will have, as text */
};

struct ring {
    struct ring_head *h;
    char *arena;
    char *writing; /* the arena, to be written to: the same mapping, unless it is shared */
    uint64_t *index;
    uint64_t size, mask;
    struct control *shared; /* the control page; NULL: this ring is nobody else's */
    uint32_t me;            /* which of its workers this is */
    uint64_t key;           /* not 0: records carry check sums made with it */
    uint64_t clock_ms;   /* the caller's: what time it is, by a clock that nobody sets; 0: there is
                          * none, and ring_put()'s time is taken for it */
    uint64_t arena_from; /* where the arena begins in its file */
    void (*evicts)(void *arg); /* ring_tell() */
    void *arg;
    int table_fd; /* head and index: a file in memory */
    int arena_fd; /* the arena: one in memory, or a store's */
};

struct ring_message {
    struct span topic; /* the name, 1 to RING_NAME_MAX bytes */
    struct span event; /* empty: unnamed; at most RING_NAME_MAX bytes, no CR, LF or NUL */
    struct span data;
    bool binary;
};

/* Makes an empty ring of `size` bytes (a power of two, RING_MIN to RING_MAX) whose ids begin with
 * `epoch`. Returns 0, or minus an errno with nothing left open. */
int ring_open(struct ring *r, uint64_t size, uint64_t epoch);

/* Makes an empty ring whose arena is in the file `arena_fd`, which has blocks for it from
 * `arena_from` (a multiple of RING_PAGE) on; what stands there is not looked at. It owns the
 * descriptor from then on, but not if it fails. `key`, if not 0, is what check sums are made with.
 * Returns as ring_open() does. */
int ring_open_in(struct ring *r, int arena_fd, uint64_t arena_from, uint64_t size, uint64_t epoch,
                 uint64_t key);

/* Maps the ring that an earlier program of this process set up, as its struct said and with all
 * that is in it, and owns the descriptors from then on; they are left alone where it fails.
 * Returns 0, or minus an errno; -EINVAL: these can't be a ring's. */
int ring_attach(struct ring *r, int table_fd, int arena_fd, uint64_t arena_from, uint64_t size,
                uint64_t key);

/* Unmaps it and closes its files. */
void ring_close(struct ring *r);

/* The largest data that ring_put() takes: size / 16, or RING_MESSAGE_MAX. */
static inline uint64_t ring_message_max(uint64_t size)
{
    return size / 16 < RING_MESSAGE_MAX ? size / 16 : RING_MESSAGE_MAX;
}

/* Has evicts(arg) called before the oldest record is evicted, so that who follows the ring lets go
 * of it; NULL: nobody does. */
void ring_tell(struct ring *r, void (*evicts)(void *arg), void *arg);

/* Puts a message, evicting the oldest of all as far as needed. Returns the record's offset. The
 * message must be within the limits: asserted. Its spans must not lie in the ring. An unnamed
 * message's event line is as event_name_of_topic() says. */
uint64_t ring_put(struct ring *r, const struct ring_message *m, uint64_t now_ms);

/* HOLDING a message back: its record stands behind head, with an id of its own, and nothing else
 * here knows of it: not the index, not ring_newest(). It is never evicted. ring_show() makes it one
 * like others. A ring holds at most half its size, or one message; ring_put() may be called only
 * while it holds none.
 *
 * ring_hold() does what ring_put() does but for that. Returns the record's offset; 0: the ring can
 * hold no more, and nothing was done. */
uint64_t ring_hold(struct ring *r, const struct ring_message *m, uint64_t now_ms);

/* Evicts messages put before `before_ms` of the ring's clock, `most` at most. Returns how many. */
unsigned ring_expire(struct ring *r, uint64_t before_ms, unsigned most);

/* Shows the oldest of the held records, of which there must be one. Returns its offset. */
uint64_t ring_show(struct ring *r);

/* Where the next record will begin: behind head, and behind all that is held. */
static inline uint64_t ring_end(const struct ring *r)
{
    return r->h->head + r->h->held_size;
}

/* The n of the newest message, held or not. */
static inline uint64_t ring_given(const struct ring *r)
{
    return r->h->n + r->h->held;
}

/* The ring's bounds; how many messages are there; the newest id (n is 0 before the first put). */
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

/* Appends the id of message n of this store; that of the newest, which is told most often, at
 * little cost. */
void ring_id_write(const struct ring *r, struct text *t, uint64_t n);

/* The n of the newest message that was evicted, or that may have been before this ring began; 0:
 * none. */
static inline uint64_t ring_lost(const struct ring *r)
{
    return r->h->lost_n;
}

/* Messages up to this n may be missing though older ones are there; 0: none is. */
static inline uint64_t ring_hole(const struct ring *r)
{
    return r->h->hole_n;
}

/* The record at an offset that a function here gave: tail <= at < head is asserted. */
static inline const struct ring_record *ring_at(const struct ring *r, uint64_t at)
{
    assert(at >= r->h->tail && at < r->h->head && at % RING_ALIGN == 0);
    const void *p = r->arena + (at & r->mask);
    const struct ring_record *rec = p;
    assert(rec->size <= r->h->head - at && rec->sse_size < rec->size);
    return rec;
}

/* Returns the number of the record at an offset: they count, without holes, from the first of this
 * ring, which is 1. */
static inline uint64_t ring_number(const struct ring *r, uint64_t at)
{
    return r->h->o - (uint32_t)((uint32_t)r->h->o - ring_at(r, at)->links.o);
}

/* The offset behind a record: where the next one begins, or head. */
static inline uint64_t ring_behind(const struct ring_record *rec, uint64_t at)
{
    return at + rec->size;
}

/* The first record with an id above n, of any topic; head if there is none. */
uint64_t ring_find(const struct ring *r, uint64_t n);

/* The first record put at that moment of the ring's clock or later, of any topic; head if there is
 * none. (Where that clock was once further, an earlier one may be returned, never a later one.) */
uint64_t ring_find_time(const struct ring *r, uint64_t ms);

/* The first record with an id of n or above, of any topic; head if there is none. */
uint64_t ring_find_from(const struct ring *r, uint64_t n);

/* Returns the first record of the block of the arena in which the record before `end` begins; a
 * walk from there comes to that record soon. `end` is above tail. */
uint64_t ring_block_before(const struct ring *r, uint64_t end);

/* Returns the id just before offset `at`, which is that of a record, or head: that of the record
 * before it, of the newest that was evicted, or the newest that is missing in between. As a cursor
 * it leads to `at`. */
struct cursor ring_before(const struct ring *r, uint64_t at);

/* The links of the record at an offset, to be written. */
static inline struct ring_links *ring_links(const struct ring *r, uint64_t at)
{
    struct ring_record *rec = (struct ring_record *)(void *)(r->writing + (at & r->mask));
    return &rec->links;
}

/* The same, to be read. */
static inline const struct ring_links *ring_linked(const struct ring *r, uint64_t at)
{
    const struct ring_record *rec = (const void *)(r->arena + (at & r->mask));
    return &rec->links;
}

/* Has the record at `at` lead to the next one of its topic, whose links are written. */
static inline void ring_link_next(const struct ring *r, uint64_t at, uint64_t next)
{
    __atomic_store_n(&ring_links(r, at)->next, next, __ATOMIC_RELEASE);
}

/* What the record at `at` leads to, be it in this view or not. */
static inline uint64_t ring_raw_next(const struct ring *r, uint64_t at)
{
    const struct ring_record *rec = (const void *)(r->arena + (at & r->mask));
    return __atomic_load_n(&rec->links.next, __ATOMIC_ACQUIRE);
}

/* The offset of the next record of the same topic; 0: there is none yet below head. */
static inline uint64_t ring_next(const struct ring *r, const struct ring_record *rec)
{
    uint64_t next = __atomic_load_n(&rec->links.next, __ATOMIC_ACQUIRE);
    return next < r->h->head ? next : 0;
}

/* Parts of a record. Its rendering for a stream of one topic, or of several; what was published;
 * the event name (empty where unnamed); the topic's name. */
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

/* RESTORING a ring from the arena of a store's file: ring_open_in(), then ring_begin(), then the
 * messages, the oldest first. */

/* Bytes that a record needs, of which `size` may have more. */
static inline uint64_t ring_record_size(const struct ring_record *rec)
{
    uint64_t apart = (rec->flags & RING_APART) != 0 ? rec->data_size : 0;
    uint64_t size = sizeof(*rec) + (uint64_t)rec->sse_size + apart + rec->topic_size;
    return (size + RING_ALIGN - 1) & ~(uint64_t)(RING_ALIGN - 1);
}

/* The record at that place of the arena, a multiple of RING_ALIGN below the ring's size, if there
 * is a whole one with right check sums; else NULL. Needs a key. */
struct ring_record *ring_whole(const struct ring *r, uint64_t place);

/* An empty ring goes on at offset `at` behind id n, up to which anything may have been lost. */
void ring_begin(struct ring *r, uint64_t at, uint64_t n);

/* The whole record at offset `at` becomes the newest, with the id that it has. It may stand behind
 * head, with a hole in between, as far as the `size` of the newest so far, at offset `last`, can
 * tell; at any distance where the ring is empty. It ends before tail + size. Its id is larger than
 * the newest. */
void ring_keep(struct ring *r, uint64_t at, uint64_t last);

/* Puts the message of another ring's record with its id, which is larger than the newest, and its
 * times; within the limits, as for ring_put(). Evicts as far as needed. */
void ring_copy(struct ring *r, const struct ring_record *from);

/* The newest id is n from now on, and messages up to it may be missing. n >= the newest. */
void ring_miss(struct ring *r, uint64_t n);

/* Makes the record at `at` one that ring_whole() does not know any more: the next start goes
 * without it. Until it is evicted it is there, and its topic has no name. */
void ring_wipe(struct ring *r, uint64_t at);

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

/* Puts a message, as ring_put() does, with those links (but for `o` and `next`), and commits it.
 * The lock is held, and all that is committed was taken; it is to be taken into this view, too,
 * when the lock was given back. Adds to *evicted how many messages have gone below the new tail.
 * Returns the record's offset; 0: there is no room beyond all leases; the page says now what is
 * wanted: give the lock back, let go, wait, try again. */
uint64_t ring_share_put(struct ring *r, const struct ring_message *m, uint64_t now_ms,
                        const struct ring_links *links, uint64_t *evicted);

/* As ring_expire(), of a shared ring: has all let go of them. The lock is held, and all that is
 * committed was taken. */
unsigned ring_share_expire(struct ring *r, uint64_t before_ms, unsigned most);

#endif
