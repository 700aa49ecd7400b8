/*
 * conn.c - the table of connections: states, buffers, and what is due when.
 */
#include "lib/serve/conn.h"

#include "lib/fair.h"
#include "lib/pace.h"
#include "lib/serve/transport.h"

#include <assert.h>

/* Buffers of this size and larger are returned to the system when freed. */
#define LARGE (256u << 10)

/* Bytes returned to the kernel per call: some 2 ms. */
#define PART ((size_t)8 << 20)

struct input {
    uint32_t n, seen;
    uint32_t own; /* the value of c->in before */
    char bytes[];
};

struct output {
    uint32_t from, to;
    uint64_t took;    /* bytes written since the last conn_out_slow(), ... */
    struct pace pace; /* ... which begins with the first call: 0 before */
    char bytes[];
};

/* ---- states ---------------------------------------------------------------------------------- */

#define FROM(s) (1u << (s))

/* The states from which each state may be entered. */
static const unsigned legal[] = {
    [CONN_FREE] = FROM(CONN_DOOMED),
    [CONN_OWN] = FROM(CONN_FREE),
    [CONN_HEAD] = FROM(CONN_FREE) | FROM(CONN_BODY) | FROM(CONN_WAIT),
    [CONN_BODY] = FROM(CONN_HEAD),
    [CONN_STREAM] = FROM(CONN_HEAD),
    [CONN_WAIT] = FROM(CONN_HEAD),
    [CONN_SOCKET] = FROM(CONN_HEAD),
    [CONN_LINGER] =
        FROM(CONN_HEAD) | FROM(CONN_BODY) | FROM(CONN_STREAM) | FROM(CONN_WAIT) | FROM(CONN_SOCKET),
    [CONN_DOOMED] = FROM(CONN_HEAD) | FROM(CONN_BODY) | FROM(CONN_STREAM) | FROM(CONN_WAIT) |
                    FROM(CONN_SOCKET) | FROM(CONN_LINGER),
};

static enum conn_kind kind_of(const struct conn *c)
{
    bool subscribed = conn_streams(c) || c->state == CONN_WAIT;
    return subscribed ? transport_of(c)->kind : CONN_KIND_HTTP;
}

void conn_go(struct conns *t, struct conn *c, enum conn_state to)
{
    assert((legal[to] & FROM(c->state)) != 0);
    t->kind[kind_of(c)] -= c->state >= CONN_HEAD;
    c->state = (uint8_t)to;
    t->kind[kind_of(c)] += c->state >= CONN_HEAD;
}

/* Counts slot `fd`, which is free, as in use. Returns it. */
static struct conn *slot(struct conns *t, int fd)
{
    assert(fd > 0 && (uint32_t)fd < t->max);
    if ((uint32_t)fd > t->top)
        t->top = (uint32_t)fd;
    return &t->conn[fd];
}

struct conn *conn_open(struct conns *t, int fd, uint64_t now)
{
    struct conn *c = slot(t, fd);
    conn_go(t, c, CONN_HEAD);
    c->tick = (uint32_t)now;
    t->clients++;
    return c;
}

struct conn *conn_open_own(struct conns *t, int fd, enum descriptor kind)
{
    struct conn *c = slot(t, fd);
    conn_go(t, c, CONN_OWN);
    c->own.kind = (uint8_t)kind;
    return c;
}

void conn_free(struct conns *t, struct conn *c)
{
    uint32_t gen = c->gen;
    assert(c->link.topic == 0);
    conn_in_free(t, c);
    conn_buffer_free(t, &c->out);
    conn_go(t, c, CONN_FREE);
    *c = (struct conn){.gen = gen + 1};
    t->clients--;
    while (t->top > 0 && t->conn[t->top].state == CONN_FREE)
        t->top--;
}

void conn_free_own(struct conns *t, struct conn *c)
{
    assert(c->state == CONN_OWN);
    *c = (struct conn){.gen = c->gen + 1};
    while (t->top > 0 && t->conn[t->top].state == CONN_FREE)
        t->top--;
}

/* ---- buffers --------------------------------------------------------------------------------- */

/* Returns true if one buffer may be a block of that size, with `used` bytes in other buffers. One
 * unit always may, if there is one: most requests need no more, and an eighth of the pool is
 * reserved for them. */
static bool may_have(const struct conns *t, size_t block, uint64_t used)
{
    const struct pool *p = &t->buffers;
    uint64_t total = pool_total(p);
    return block == (size_t)1 << p->shift || block <= fair_most(total, total / 8, used, t->parts);
}

/* Returns true if a buffer of `had` bytes may grow to `bytes`. */
static bool within_share(struct conns *t, size_t bytes, size_t had)
{
    const struct pool *p = &t->buffers;
    size_t block = pool_block(p, bytes);
    uint64_t used = pool_used(p) - had;
    bool within = may_have(t, block, used);
    t->over_share = !within && block <= pool_total(p) / 2 && block <= pool_total(p) - used;
    return within;
}

bool conn_over_share(const struct conns *t, const struct conn *c)
{
    const uint32_t buffers[] = {c->in, c->out};
    for (unsigned i = 0; i < 2; i++) {
        size_t size = buffers[i] != 0 ? pool_size(&t->buffers, buffers[i]) : 0;
        if (size > 0 && !may_have(t, size, pool_used(&t->buffers) - size))
            return true;
    }
    return false;
}

uint32_t conn_buffer_alloc(struct conns *t, size_t bytes)
{
    return within_share(t, bytes, 0) ? pool_alloc(&t->buffers, bytes) : 0;
}

uint32_t conn_buffer_grow(struct conns *t, uint32_t block, size_t bytes, size_t keep)
{
    size_t had = pool_size(&t->buffers, block);
    if (bytes <= had)
        return block;
    return within_share(t, bytes, had) ? pool_grow(&t->buffers, block, bytes, keep) : 0;
}

void conn_buffer_free(struct conns *t, uint32_t *block)
{
    if (*block == 0)
        return;
    char *at = pool_at(&t->buffers, *block);
    size_t size = pool_size(&t->buffers, *block);
    if (size >= LARGE)
        t->give_back(at, size);
    else
        memset(at, 0, size); /* what is purged is to be nowhere */
    pool_free(&t->buffers, *block);
    *block = 0;
}

bool conn_buffers_stale(const struct conns *t)
{
    return t->stale > 0 || (pool_used(&t->buffers) == 0 && pool_touched(&t->buffers) > LARGE);
}

void conn_buffers_give_back(struct conns *t)
{
    if (pool_used(&t->buffers) == 0 && pool_touched(&t->buffers) > LARGE) {
        size_t touched = pool_rest(&t->buffers);
        t->stale = touched > t->stale ? touched : t->stale;
    }
    if (t->stale == 0)
        return;
    size_t keep = pool_touched(&t->buffers), from = t->stale > PART ? t->stale - PART : 0;
    from = from > keep ? from : keep;
    if (from < t->stale)
        t->give_back(t->buffers.base + from, t->stale - from);
    t->stale = from > keep ? from : 0;
}

/* Moves the kept bytes to the front, so that a client that never takes the last of them does not
 * make the buffer grow for ever. Returns their number. */
static size_t out_pack(const struct conns *t, const struct conn *c)
{
    if (c->out == 0)
        return 0;
    struct output *o = pool_at(&t->buffers, c->out);
    if (o->from > 0)
        memmove(o->bytes, o->bytes + o->from, o->to - o->from);
    o->to -= o->from;
    o->from = 0;
    return o->to;
}

bool conn_out_keep(struct conns *t, struct conn *c, struct span bytes)
{
    size_t had = out_pack(t, c), used = sizeof(struct output) + had;
    uint32_t block;
    if (bytes.n == 0)
        return true;
    assert(bytes.n <= UINT32_MAX - used);
    block = c->out != 0 ? conn_buffer_grow(t, c->out, used + bytes.n, used)
                        : conn_buffer_alloc(t, used + bytes.n);
    if (block == 0)
        return false;
    struct output *o = pool_at(&t->buffers, block);
    if (c->out == 0)
        *o = (struct output){.from = 0};
    memcpy(o->bytes + had, bytes.p, bytes.n);
    o->from = 0;
    o->to = (uint32_t)(had + bytes.n);
    c->out = block;
    return true;
}

struct span conn_out(const struct conns *t, const struct conn *c)
{
    if (c->out == 0)
        return (struct span){NULL, 0};
    const struct output *o = pool_at(&t->buffers, c->out);
    return (struct span){o->bytes + o->from, o->to - o->from};
}

void conn_out_took(struct conns *t, struct conn *c, size_t n)
{
    if (c->out == 0)
        return;
    struct output *o = pool_at(&t->buffers, c->out);
    assert(n <= o->to - o->from);
    o->from += (uint32_t)n;
    o->took += n;
    if (o->from == o->to)
        conn_buffer_free(t, &c->out);
}

bool conn_out_slow(struct conns *t, const struct conn *c, uint64_t now, uint32_t rate,
                   uint32_t quiet)
{
    if (c->out == 0)
        return false;
    struct output *o = pool_at(&t->buffers, c->out);
    if (o->pace.due == 0)
        pace_begin(&o->pace, now, quiet);
    else
        pace_moved(&o->pace, now, o->took, rate, quiet);
    o->took = 0;
    return pace_late(&o->pace, now);
}

bool conn_in_keep(struct conns *t, struct conn *c, struct span bytes, size_t seen)
{
    assert(c->state >= CONN_HEAD && c->state <= CONN_SOCKET && c->state != CONN_STREAM);
    assert(!(c->marks & CONN_KEPT) &&
           (c->in == 0 || c->state == CONN_BODY || c->state == CONN_SOCKET));
    assert(bytes.n > 0 && bytes.n <= UINT32_MAX && seen <= bytes.n);
    uint32_t block = conn_buffer_alloc(t, sizeof(struct input) + bytes.n);
    if (block == 0)
        return false;
    struct input *in = pool_at(&t->buffers, block);
    *in = (struct input){.n = (uint32_t)bytes.n, .seen = (uint32_t)seen, .own = c->in};
    memcpy(in->bytes, bytes.p, bytes.n);
    c->in = block;
    c->marks |= CONN_KEPT;
    return true;
}

size_t conn_in_take(struct conns *t, struct conn *c, char *buf, size_t *seen)
{
    *seen = 0;
    if (!(c->marks & CONN_KEPT))
        return 0;
    assert(c->state != CONN_WAIT); /* a waiting poll has no input handled */
    const struct input *in = pool_at(&t->buffers, c->in);
    uint32_t own = in->own;
    size_t n = in->n;
    *seen = in->seen;
    memcpy(buf, in->bytes, n);
    conn_buffer_free(t, &c->in);
    c->in = own;
    c->marks &= (uint16_t)~CONN_KEPT;
    return n;
}

uint32_t conn_in_block(const struct conns *t, const struct conn *c)
{
    if (!(c->marks & CONN_KEPT))
        return c->in;
    return ((const struct input *)pool_at(&t->buffers, c->in))->own;
}

void conn_in_free(struct conns *t, struct conn *c)
{
    uint32_t own = conn_in_block(t, c);
    if (c->marks & CONN_KEPT)
        conn_buffer_free(t, &c->in);
    c->in = own;
    conn_buffer_free(t, &c->in);
    c->marks &= (uint16_t)~CONN_KEPT;
}

/* ---- time ------------------------------------------------------------------------------------ */

uint32_t conn_times_least(const struct conn_times *times)
{
    uint32_t least = times->linger;
    least = times->heartbeat < least ? times->heartbeat : least;
    least = times->request < least ? times->request : least;
    least = times->idle < least ? times->idle : least;
    return times->write < least ? times->write : least;
}

enum conn_due conn_due(const struct conn *c, uint64_t now, const struct conn_times *times)
{
    uint32_t quiet = (uint32_t)now - c->tick;
    bool stuck = c->out != 0 || (conn_streams(c) && !(c->flags & CONN_WRITABLE));
    if (c->state < CONN_HEAD || c->state == CONN_DOOMED)
        return CONN_DUE_NOTHING;
    if (stuck)
        return quiet > times->write ? CONN_DUE_WRITE : CONN_DUE_NOTHING;
    if (c->state == CONN_SOCKET && c->flags & CONN_PINGED)
        return (uint32_t)now - c->stream.pinged > times->write ? CONN_DUE_PONG : CONN_DUE_NOTHING;
    if (conn_streams(c))
        return quiet >= times->heartbeat ? CONN_DUE_HEARTBEAT : CONN_DUE_NOTHING;
    if (c->state == CONN_WAIT)
        return (int32_t)((uint32_t)now - c->wait.due) >= 0 ? CONN_DUE_ANSWER : CONN_DUE_NOTHING;
    if (c->state == CONN_LINGER)
        return quiet > times->linger ? CONN_DUE_LINGER : CONN_DUE_NOTHING;
    if (c->state == CONN_BODY || c->in != 0 || !(c->flags & CONN_USED))
        return quiet > times->request ? CONN_DUE_REQUEST : CONN_DUE_NOTHING;
    return quiet > times->idle ? CONN_DUE_IDLE : CONN_DUE_NOTHING;
}
