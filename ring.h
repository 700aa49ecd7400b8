/*
 * ring.h - the message store: one ring of records for all topics, each rendered once.
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
 * CHAINS. The records of a topic are linked both ways, and each has a `jump`: an older record of
 * its topic, at distances like those of a skip list (Myers, "An applicative random-access stack",
 * 1983), so that any place in a chain is found from its newest end in O(log n) steps. An INDEX
 * holds, for each RING_BLOCK of the arena, the first record that begins there or behind, so that an
 * id or a time is found in O(log blocks) and a walk through one block.
 *
 *   chain of topic 3:   first ----> R5 <-------------> R8 <----> R9 <---- last
 *                                    ^-------jump-------^
 *   lost: the id and offset of the newest message that was evicted from this chain
 *
 * IN A STORE's file the arena outlives the process; the table does not and is made anew from it
 * (lib/host/store). There each record carries two check sums that are keyed, so that no payload can
 * pose as a record, and bound to its place in the arena: a CRC-32C of its content; and SipHash of
 * its header, the CRC with it, so that it is cheap to find that something is no record; it stands
 * first, so that a record is not whole once anything was written over its beginning. What was
 * damaged leaves a HOLE: `size` of the record before it leads over it, and ids up to `hole_n` may
 * be missing.
 *
 * INVARIANTS
 *   - head + held_size - tail <= size; all are multiples of RING_ALIGN.
 *   - Only ring_put() and ring_show() move head. Only eviction (in ring_put(), ring_hold() and
 *     ring_expire()) moves tail, and
 *     it moves the chain's `first` on and writes down `lost` in the same step.
 *   - A record below head never changes but for its `next`, written when its successor is put.
 *   - Ids grow along the ring, by one each but at a hole.
 *   - prev and jump may point below tail: that means evicted, and their values still compare.
 *   - Everything in the mappings is numbers and offsets: they can be made anywhere, by anyone.
 *   - Readers hold offsets and are never waited for. The ring knows nothing of them.
 *
 * LIMITS: size from RING_MIN to RING_MAX; a message's data at most size / 16, so that its rendering
 * (8 bytes for 1 at worst) is at most half the ring and some, and at most RING_MESSAGE_MAX, so that
 * it is counted in 32 bits; name and event name at most RING_NAME_MAX bytes each.
 *
 * OWNERSHIP: struct ring owns its mappings and their files, from ring_open() to ring_close().
 * Records belong to the ring; a pointer into one is good until the next ring_put() or
 * ring_expire().
 */
#ifndef SSE_RING_H
#define SSE_RING_H

#include <assert.h>

#include "lib/cursor.h"
#include "lib/event.h"
#include "lib/topic/sets.h"

#define RING_MIN         (64u << 10)
#define RING_MAX         (1ull << 38)
#define RING_MESSAGE_MAX (256u << 20)
#define RING_BLOCK       (16u << 10)
#define RING_ALIGN       16u
#define RING_NAME_MAX    255u
#define RING_FORGOTTEN   4096u
#define RING_N_MAX       (1ull << 62) /* an id's n: never reached by counting */

/* The arena begins at a multiple of this in its file, as every size is one: no page of Linux is
 * larger, so none need be asked for. */
#define RING_PAGE RING_MIN

enum ring_flag {
    RING_BINARY = 1, /* not text: SSE has it as a data: URL */
    RING_NAMED = 2,  /* has an event name of its own */
    RING_APART = 4,  /* the payload stands behind the rendering */
};

/* Its first part never changes. The second belongs to the table there is, and is made anew when a
 * store is opened. */
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

    uint32_t size;  /* bytes to where the next one begins */
    uint64_t prev;  /* the one before in its topic; 0: the first ever */
    uint64_t next;  /* the one after in its topic; 0: none yet */
    uint64_t jump;  /* an older one of its topic; 0: none */
    uint32_t topic; /* number of its chain */
    uint32_t depth; /* how many the chain had had before it, modulo 2^32 */
};

/* A topic's chain, by its number. */
struct ring_chain {
    uint64_t first, last; /* offsets; 0: no message there */
    uint64_t lost_n;      /* the newest evicted: its n; 0: none */
    uint64_t lost_at;     /*                     its offset */
    uint32_t count;       /* messages there */
    uint32_t depth;       /* messages ever, modulo 2^32 */
    uint32_t empty_next;  /* private: list of the emptied; 0: not in it */
    uint32_t open;        /* private: 0: not in use; else 1 and the number of its held records */
};

/* What was lost of the topics whose hash has the same low bits and that were closed. */
struct ring_forgotten {
    uint64_t n, at;
};

/* The front of the table. Private but for the functions below. */
struct ring_head {
    uint64_t epoch;         /* ids begin with it */
    uint64_t head, tail;    /* offsets */
    uint64_t n;             /* of the newest message; 0: none ever */
    uint64_t count;         /* messages there */
    uint64_t time_max;      /* of the newest, held or not */
    uint64_t forgotten_max; /* the largest n in the table */
    uint64_t hole_n;     /* the newest that may be missing though older ones are there; 0: none */
    uint64_t held;       /* records behind head that ring_show() has not shown yet, ... */
    uint64_t held_size;  /* ... and their bytes */
    uint32_t emptied;    /* list of chains */
    uint32_t id_size;    /* bytes of ... */
    char id[CURSOR_MAX]; /* ... the id that the next message will have, as text */
    struct ring_forgotten forgotten[RING_FORGOTTEN];
};

struct ring {
    struct ring_head *h;
    char *arena;
    uint64_t *index;
    struct ring_chain *chain; /* by number, 1 to chains */
    uint64_t size, mask;
    uint32_t chains;
    uint64_t *heap;      /* scratch memory for merging chains; not part of the mapping */
    uint64_t key;        /* not 0: records carry check sums made with it */
    uint64_t clock_ms;   /* the caller's: what time it is, by a clock that nobody sets; 0: there is
                          * none, and ring_put()'s time is taken for it */
    uint64_t arena_from; /* where the arena begins in its file */
    int table_fd;        /* head, index and chains: a file in memory */
    int arena_fd;        /* the arena: one in memory, or a store's */
};

struct ring_message {
    struct span topic; /* the name, 1 to RING_NAME_MAX bytes */
    struct span event; /* empty: unnamed; at most RING_NAME_MAX bytes, no CR, LF or NUL */
    struct span data;
    bool binary;
};

/* Makes an empty ring of `size` bytes (a power of two, RING_MIN to RING_MAX) for topics numbered 1
 * to `chains`, whose ids begin with `epoch`. Gives 0, or minus an errno with nothing left open. */
int ring_open(struct ring *r, uint64_t size, uint32_t chains, uint64_t epoch);

/* The same with its arena in the file `arena_fd`, which has blocks for it from `arena_from` (a
 * multiple of RING_PAGE) on; what stands there is not looked at. It owns the descriptor from then
 * on, but not if it fails. `key`, if not 0, is what check sums are made with. */
int ring_open_in(struct ring *r, int arena_fd, uint64_t arena_from, uint64_t size, uint32_t chains,
                 uint64_t epoch, uint64_t key);

/* Maps the ring that an earlier program of this process set up, as its struct said and with all
 * that is in it, and owns the descriptors from then on; they are left alone where it fails.
 * -EINVAL: these can't be a ring's. */
int ring_attach(struct ring *r, int table_fd, int arena_fd, uint64_t arena_from, uint64_t size,
                uint32_t chains, uint64_t key);

/* Unmaps it and closes its files. */
void ring_close(struct ring *r);

/* The largest data that ring_put() takes: size / 16, or RING_MESSAGE_MAX. */
static inline uint64_t ring_message_max(uint64_t size)
{
    return size / 16 < RING_MESSAGE_MAX ? size / 16 : RING_MESSAGE_MAX;
}

/* Begins to use chain `topic`, empty, for the topic whose name hashes to `hash`. What was lost of
 * topics with the same low bits of their hash that were closed counts as lost of this one, since
 * it can't be known. */
void ring_topic_open(struct ring *r, uint32_t topic, uint64_t hash);

/* Ends its use; the chain must be empty. What it lost is remembered by the hash. */
void ring_topic_close(struct ring *r, uint32_t topic, uint64_t hash);

/* Takes the next open chain that eviction has left empty off a list; 0 if there is none. It may
 * have got messages again since: look at its count. */
uint32_t ring_emptied(struct ring *r);

/* Is there one in the list? */
static inline bool ring_emptying(const struct ring *r)
{
    return r->h->emptied != 0;
}

/* Stores a message in chain `topic`, evicting the oldest of all as far as needed. Gives the
 * record's offset. The message must be within the limits: asserted. m's spans must not lie in the
 * ring. An unnamed message's event line is as event_name_of_topic() says. */
uint64_t ring_put(struct ring *r, uint32_t topic, const struct ring_message *m, uint64_t now_ms);

/* HOLDING a message back: its record stands behind head, with an id of its own, and nothing else
 * here knows of it: no chain, no index, not ring_newest(). It is never evicted. ring_show() makes
 * it one like others. A ring holds at most half its size, or one message; ring_put() may be called
 * only while it holds none.
 *
 * ring_hold() does what ring_put() does but for that. Returns the record's offset; 0: the ring can
 * hold no more, and nothing was done. */
uint64_t ring_hold(struct ring *r, uint32_t topic, const struct ring_message *m, uint64_t now_ms);

/* Shows the oldest of the held records, of which there must be one. Returns its topic. */
uint32_t ring_show(struct ring *r);

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

/* Has the chain no message, and is none of its messages held? */
static inline bool ring_chain_done(const struct ring_chain *c)
{
    return c->count == 0 && c->open <= 1;
}

/* Evicts messages put before `before_ms` of the ring's clock, `most` at most. Returns how many. */
unsigned ring_expire(struct ring *r, uint64_t before_ms, unsigned most);

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
    return r->h->count;
}

static inline struct cursor ring_newest(const struct ring *r)
{
    return (struct cursor){r->h->epoch, r->h->n};
}

/* Appends the id of message n of this store; that of the newest, which is told most often, at
 * little cost. */
void ring_id_write(const struct ring *r, struct text *t, uint64_t n);

/* The newest message of any topic that was closed, by n: what is below may have been lost. */
static inline uint64_t ring_forgotten(const struct ring *r)
{
    return r->h->forgotten_max;
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

/* Chain `topic`, which is open: asserted. */
static inline struct ring_chain *ring_chain(const struct ring *r, uint32_t topic)
{
    assert(topic >= 1 && topic <= r->chains && r->chain[topic].open);
    return &r->chain[topic];
}

/* The same as ring_next(), for a place between a chain's oldest and its newest record. */
uint64_t ring_seek(const struct ring *r, uint32_t topic, uint64_t at);

/* The first record of chain `topic` at offset `at` or behind; 0 if there is none. O(log n); O(1) up
 * to the oldest, and from the newest but one on. */
static inline uint64_t ring_next(const struct ring *r, uint32_t topic, uint64_t at)
{
    const struct ring_chain *c = ring_chain(r, topic);
    if (at <= c->first)
        return c->first;
    return at > c->last ? 0 : ring_seek(r, topic, at);
}

/* How many records chain `topic` has at offset `at` or behind. O(log n). */
uint32_t ring_count_from(const struct ring *r, uint32_t topic, uint64_t at);

/* The `count`th newest record of the chain, 1 being the newest; its oldest where there are fewer; 0
 * where there is none. O(log n). */
uint64_t ring_back(const struct ring *r, uint32_t topic, uint32_t count);

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

/* An empty ring, which never had a topic, goes on at offset `at` behind id n, up to which anything
 * may have been lost. */
void ring_begin(struct ring *r, uint64_t at, uint64_t n);

/* The whole record at offset `at` becomes the newest, of chain `topic`. It may stand behind head,
 * with a hole in between, as far as the `size` of the newest so far, at offset `last`, can tell; at
 * any distance where the ring is empty. It ends before tail + size. Its id is larger than the
 * newest. */
void ring_keep(struct ring *r, uint32_t topic, uint64_t at, uint64_t last);

/* Puts the message of another ring's record with its id, which is larger than the newest, and its
 * times; within the limits, as for ring_put(). */
void ring_copy(struct ring *r, uint32_t topic, const struct ring_record *from);

/* The newest id is n from now on, and messages up to it may be missing. n >= the newest. */
void ring_miss(struct ring *r, uint64_t n);

/* READING FOR AN ENTRY of the table of topics (lib/topic): a topic, whose chain is followed, or a
 * set, whose messages are found in one of two ways: by going through the ring and asking of each
 * record whether it is of the set, or by merging its topics' chains. Which is less work depends on
 * how many topics and messages there are of it and of others; either may be too much for one call.
 * So each of these functions is bounded, and says what it gives then. Chains are numbered as topics
 * are. `heap` is scratch memory for r->chains numbers, which the caller hands once. */
void ring_scratch(struct ring *r, uint64_t *heap);

/* The bounds, in steps of some 100 ns: what it takes to ask of a record whether it is of a set, or
 * to look at a topic; more for sets with many wildcards. */
#define RING_NEAR    64u        /* records that are asked before anything else is considered */
#define RING_WALK    4096u      /* then, in a call that finds the next ones */
#define RING_MERGE   32768u     /* in one that merges to find them */
#define RING_MEMBERS 65536u     /* for a set's topics, where no chain has to be searched */
#define RING_BACK    16384u     /* back from the newest */
#define RING_SCAN    (1u << 21) /* chains that are looked through in their order: far less each */

/* The next records of entry `id` from *at on, `most` at most (> 0), in order, as offsets. *at, a
 * place that a function here gave and that may be below tail by now, is moved to where to go on: to
 * head when that is all there is. It is moved with nothing found where the next one is too far off:
 * call again, but not in a loop. */
unsigned ring_collect(const struct ring *r, const struct topics *t, uint32_t id, uint64_t *at,
                      uint64_t *rec, unsigned most);

/* Was a message of entry `id` lost whose id is above n? Also where that can't be known, or not soon
 * enough: for a set of more topics than RING_MEMBERS allows, in a table of more than RING_SCAN, or
 * where too many others have lost some. */
bool ring_lost(const struct ring *r, const struct topics *t, uint32_t id, uint64_t n);

/* Makes *at the place of the `count`th newest message of entry `id`; of its oldest, if there are
 * fewer; head where there is none or count is 0. False: that can't be found soon enough, as it is a
 * set and count is more than RING_BACK, or it has too many topics and not enough messages among the
 * last. */
bool ring_last(const struct ring *r, const struct topics *t, uint32_t id, uint64_t count,
               uint64_t *at);

/* The id just before offset `at`: as a cursor it leads there. */
struct cursor ring_before(const struct ring *r, uint64_t at);

#endif
