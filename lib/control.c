/*
 * control.c - what processes that share one ring agree on.
 */
#include "lib/control.h"

#include <assert.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    FUTEX_WAIT = 0, /* as in linux/futex.h, which not every libc comes with; not FUTEX_PRIVATE: */
    FUTEX_WAKE = 1, /* processes share the words */
    LOCK_WAIT_NS = 2000000, /* at a time: the parent may have freed it without a word */
    PAUSE_NS = 200000,
};

_Static_assert(sizeof(struct control_state) == CONTROL_WORDS * sizeof(uint64_t), "no padding");
_Static_assert(CONTROL_WORKERS <= 64, "a mask has a bit for each");
_Static_assert(sizeof(struct control_slot) == 64, "a line each");

static void futex(_Atomic uint32_t *word, int op, uint32_t value, long wait_ns)
{
    const struct timespec t = {0, wait_ns};
    (void)syscall(SYS_futex, word, op, value, &t, NULL, 0);
}

/* ---- the state ------------------------------------------------------------------------------- */

static void state_write(_Atomic uint64_t *out, const struct control_state *s)
{
    uint64_t word[CONTROL_WORDS];
    memcpy(word, s, sizeof word);
    for (size_t i = 0; i < CONTROL_WORDS; i++) {
        CONTROL_STEP();
        atomic_store_explicit(&out[i], word[i], memory_order_relaxed);
    }
}

void control_init(struct control *c, uint32_t workers, const struct control_state *s)
{
    assert(workers >= 1 && workers <= CONTROL_WORKERS);
    c->workers = workers;
    state_write(c->state[0], s);
    for (uint32_t i = 0; i < CONTROL_WORKERS; i++)
        atomic_store_explicit(&c->slot[i].lease, UINT64_MAX, memory_order_relaxed);
    atomic_store_explicit(&c->turn, 0, memory_order_release);
}

uint64_t control_read(const struct control *c, struct control_state *s)
{
    uint64_t word[CONTROL_WORDS], turn = control_turn(c), now;
    for (;; turn = now) {
        for (size_t i = 0; i < CONTROL_WORDS; i++)
            word[i] = atomic_load_explicit(&c->state[turn & 1][i], memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        now = control_turn(c);
        if (now == turn)
            break;
    }
    memcpy(s, word, sizeof word);
    return turn;
}

void control_commit(struct control *c, const struct control_state *s)
{
    uint64_t turn = atomic_load_explicit(&c->turn, memory_order_relaxed);
    assert((atomic_load_explicit(&c->lock, memory_order_relaxed) & ~CONTROL_WAITED) != 0);
    atomic_thread_fence(memory_order_release);
    state_write(c->state[(turn + 1) & 1], s);
    CONTROL_STEP();
    atomic_store_explicit(&c->turn, turn + 1, memory_order_release);
}

/* ---- the lock -------------------------------------------------------------------------------- */

void control_lock(struct control *c, uint32_t me)
{
    uint32_t mine = me + 1, seen = 0;
    CONTROL_STEP();
    while (!atomic_compare_exchange_strong_explicit(&c->lock, &seen, mine, memory_order_acquire,
                                                    memory_order_relaxed)) {
        mine = (me + 1) | CONTROL_WAITED; /* who had to wait does not know who else waits */
        if ((seen & CONTROL_WAITED) == 0 &&
            !atomic_compare_exchange_strong(&c->lock, &seen, seen | CONTROL_WAITED)) {
            seen = 0;
            continue;
        }
        futex(&c->lock, FUTEX_WAIT, seen | CONTROL_WAITED, LOCK_WAIT_NS);
        seen = 0;
    }
    CONTROL_STEP();
    atomic_fetch_add_explicit(&c->locks, 1, memory_order_relaxed);
}

void control_unlock(struct control *c)
{
    CONTROL_STEP();
    uint32_t was = atomic_exchange_explicit(&c->lock, 0, memory_order_release);
    assert((was & ~CONTROL_WAITED) != 0);
    if ((was & CONTROL_WAITED) != 0)
        futex(&c->lock, FUTEX_WAKE, 1, 0);
}

/* ---- leases ---------------------------------------------------------------------------------- */

uint64_t control_least(const struct control *c)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < c->workers; i++) {
        uint64_t lease = atomic_load_explicit(&c->slot[i].lease, memory_order_acquire);
        least = lease < least ? lease : least;
    }
    return least;
}

uint64_t control_followed(const struct control *c)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < c->workers; i++) {
        uint64_t followed = atomic_load_explicit(&c->slot[i].followed, memory_order_acquire);
        if (atomic_load_explicit(&c->slot[i].lease, memory_order_relaxed) != UINT64_MAX &&
            followed < least)
            least = followed;
    }
    return least;
}

void control_want(struct control *c, uint64_t need)
{
    CONTROL_STEP();
    if (atomic_load_explicit(&c->need, memory_order_relaxed) < need)
        atomic_store_explicit(&c->need, need, memory_order_relaxed);
}

uint64_t control_blockers(const struct control *c)
{
    uint64_t need = atomic_load_explicit(&c->need, memory_order_relaxed), out = 0;
    for (uint32_t i = 0; i < c->workers; i++)
        if (atomic_load_explicit(&c->slot[i].lease, memory_order_relaxed) < need)
            out |= UINT64_C(1) << i;
    return out;
}

uint64_t control_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void control_pause(struct control *c)
{
    futex(&c->nobody, FUTEX_WAIT, 0, PAUSE_NS);
}

/* ---- who is there ---------------------------------------------------------------------------- */

void control_join(struct control *c, uint32_t me, uint32_t pid, struct control_state *s)
{
    assert(me < c->workers);
    control_lock(c, me);
    (void)control_read(c, s);
    control_renew(c, me, s->tail, s->tail);
    atomic_store_explicit(&c->slot[me].pid, pid, memory_order_relaxed);
    control_unlock(c);
}

bool control_bury(struct control *c, uint32_t worker)
{
    bool held = control_holds(c, worker);
    struct control_slot *slot = &c->slot[worker];
    atomic_store_explicit(&slot->pid, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->sleeping, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->lease, UINT64_MAX, memory_order_release);
    if (held) {
        atomic_store_explicit(&c->lock, 0, memory_order_release);
        futex(&c->lock, FUTEX_WAKE, INT_MAX, 0);
    }
    return held;
}

/* ---- sleeping -------------------------------------------------------------------------------- */

uint64_t control_sleepers(struct control *c, uint64_t mask)
{
    uint64_t out = 0;
    atomic_thread_fence(memory_order_seq_cst);
    for (; mask != 0; mask &= mask - 1) {
        unsigned i = (unsigned)__builtin_ctzll(mask);
        if (atomic_load_explicit(&c->slot[i].sleeping, memory_order_relaxed) != 0 &&
            atomic_exchange_explicit(&c->slot[i].sleeping, 0, memory_order_relaxed) != 0)
            out |= UINT64_C(1) << i;
    }
    return out;
}
