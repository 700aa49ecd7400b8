/*
 * control.h - the control page: what processes that share one ring agree on.
 *
 * Several WORKERS (processes, or threads in a test) read one arena (ring.h), and each may put into
 * it. All that they share besides is this page. It lies in memory that is mapped shared, holds
 * numbers and offsets only, and any of them may be killed between any two instructions: what is
 * there is whole at every moment.
 *
 *   worker 1                    control page                       worker 2
 *   own view of the ring        lock: who may put                  own view of the ring
 *   own topics, chains   <----  turn: which state counts   ---->   own topics, chains
 *                               state[0]  state[1]
 *                               a slot each: lease, sleeping, ...
 *
 * THE STATE says where the ring ends and begins, and its newest id. There are two, and the lowest
 * bit of `turn` says which of them counts. Whoever holds the lock fills the other one and then
 * stores `turn`: that one store commits a message, or a new tail. A worker that dies before it has
 * changed nothing; one that dies behind it has put its message.
 *
 * A LEASE is a promise: "I touch no byte below this any more". Each worker renews its own, in each
 * turn, after it has let go of what is below the state's tail. No byte is written over before all
 * leases are above it, so none changes while it is being sent. A worker never waits for a lease
 * while it holds the lock: two that did so would wait for each other.
 *
 * THE LOCK is a futex word with its owner's number. A dead owner's is freed by the parent
 * (control_bury()), which alone knows that it is dead. The lock is not fair; it is held for a
 * microsecond.
 *
 * MEMORY ORDER. A record's bytes and the idle state are written before `turn` is stored with
 * release; they are read after `turn` was loaded with acquire. The state that counts may become the
 * idle one while it is read: its words are atomic, the writer has a release fence before it stores
 * them and the reader an acquire fence behind, so that a reader that has seen a newer word sees
 * that `turn` has moved, and reads again. Bytes of the arena are written again only after each
 * lease was loaded with acquire, and these are stored with release behind the last read. SLEEPING
 * is as Dekker has it: a worker stores `sleeping`, a fence, looks at `turn`; who commits stores
 * `turn`, a fence, looks at `sleeping`; one of both sees the other. So nothing here depends on the
 * order that x86 keeps by itself; AArch64 gets its barriers from these.
 *
 * LIMITS: CONTROL_WORKERS workers. OWNERSHIP: the memory is the caller's.
 */
#ifndef SSE_LIB_CONTROL_H
#define SSE_LIB_CONTROL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTROL_WORKERS 64u

/* Called before each write to shared memory; a test has the worker die there. */
#ifndef CONTROL_STEP
#define CONTROL_STEP() ((void)0)
#endif

/* Where the ring stands; as in struct ring_head. */
struct control_state {
    uint64_t head, tail; /* offsets, of where records begin */
    uint64_t n, o;       /* the newest message: its id and its number */
    uint64_t time_max;   /* and the latest that the ring's clock had told */
    uint64_t lost_n;     /* the newest message below tail: its id, ... */
    uint64_t lost_o;     /* ... and its number */
};

#define CONTROL_WORDS (sizeof(struct control_state) / sizeof(uint64_t))

/* A worker's. On lines of cache of its own. */
struct control_slot {
    _Alignas(64) _Atomic uint64_t lease; /* UINT64_MAX: it touches nothing */
    _Atomic uint64_t followed;           /* what it has linked so far */
    _Atomic uint32_t sleeping;           /* it waits for events: 1 */
    _Atomic uint32_t pid;                /* 0: there is no such worker now */
};

struct control {
    _Alignas(64) _Atomic uint32_t lock; /* 0, or the owner's number + 1; | CONTROL_WAITED */
    _Atomic uint32_t locks;             /* how often it was taken, modulo 2^32 */
    _Alignas(64) _Atomic uint64_t turn;
    _Atomic uint64_t state[2][CONTROL_WORDS];
    _Alignas(64) _Atomic uint64_t need; /* who holds a lease below this blocks a message */
    _Atomic uint64_t waits, wait_us;    /* how often, and how long, messages had to wait for room */
    uint64_t epoch;                     /* the ring's: ids begin with it */
    uint64_t hole_n, hole_at;           /* as in struct ring_head; never changes */
    uint32_t workers;
    _Atomic uint32_t nobody; /* wakes a pause */
    struct control_slot slot[CONTROL_WORKERS];
};

/* ---- the state ------------------------------------------------------------------------------- */

/* Sets up the page, zeroed, for so many workers, none of which is there yet. */
void control_init(struct control *c, uint32_t workers, const struct control_state *s);

/* The number of the newest state: it has changed if this has. */
static inline uint64_t control_turn(const struct control *c)
{
    return atomic_load_explicit(&c->turn, memory_order_acquire);
}

/* Reads the state that counts; returns its number. */
uint64_t control_read(const struct control *c, struct control_state *s);

/* Makes this the state that counts. The lock is held. */
void control_commit(struct control *c, const struct control_state *s);

/* ---- the lock -------------------------------------------------------------------------------- */

#define CONTROL_WAITED (1u << 31)

/* Takes the lock, as worker `me`; waits for as long as it takes. */
void control_lock(struct control *c, uint32_t me);
void control_unlock(struct control *c);

/* Returns true if worker `me` holds it. */
static inline bool control_holds(const struct control *c, uint32_t me)
{
    return (atomic_load_explicit(&c->lock, memory_order_relaxed) & ~CONTROL_WAITED) == me + 1;
}

/* ---- leases ---------------------------------------------------------------------------------- */

/* Worker `me` touches nothing below `lease` any more, and has followed up to `followed`. */
static inline void control_renew(struct control *c, uint32_t me, uint64_t lease, uint64_t followed)
{
    CONTROL_STEP();
    atomic_store_explicit(&c->slot[me].followed, followed, memory_order_release);
    atomic_store_explicit(&c->slot[me].lease, lease, memory_order_release);
}

/* Returns the lowest lease: nobody touches anything below it. The lock is held. */
uint64_t control_least(const struct control *c);

/* Returns up to where all have followed: what was put before it they know. */
uint64_t control_followed(const struct control *c);

/* Notes that a message waits until all leases are at `need` or above. The lock is held. */
void control_want(struct control *c, uint64_t need);

/* Returns a mask of the workers whose leases are below what is wanted. */
uint64_t control_blockers(const struct control *c);

/* The time in us, by the clock that the waiting is measured with. */
uint64_t control_us(void);

/* Waits for a moment, a fifth of a millisecond at most, outside the lock. */
void control_pause(struct control *c);

/* ---- who is there ---------------------------------------------------------------------------- */

/* Worker `me`, process `pid`, begins: takes the lock, reads the state, and takes a lease of all
 * that is there. */
void control_join(struct control *c, uint32_t me, uint32_t pid, struct control_state *s);

/* Frees what a worker held that is dead for sure, or that leaves: its lock, its lease. Returns true
 * if it had the lock. */
bool control_bury(struct control *c, uint32_t worker);

/* ---- sleeping -------------------------------------------------------------------------------- */

/* Worker `me` is about to wait for events. Returns false if there is a newer state than `turn`: it
 * must not. */
static inline bool control_sleep(struct control *c, uint32_t me, uint64_t turn)
{
    atomic_store_explicit(&c->slot[me].sleeping, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    return control_turn(c) == turn;
}

/* It waits no more. */
static inline void control_awake(struct control *c, uint32_t me)
{
    atomic_store_explicit(&c->slot[me].sleeping, 0, memory_order_relaxed);
}

/* Which of the workers of a mask sleep and are to be woken, now that a state was committed: whoever
 * is returned is counted awake, so that one of several who ask wakes it. */
uint64_t control_sleepers(struct control *c, uint64_t mask);

#endif
