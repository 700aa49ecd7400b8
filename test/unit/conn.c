/*
 * conn.c - conn.h: which steps a connection may take, its lists, its buffers, its times.
 */
#include "lib/serve/conn.h"
#include "lib/serve/queue.h"

#include "test/kit/kit.h"

#include <signal.h>
#include <sys/mman.h>

/* ---- a table with its memory ---- */

enum { SLOTS = 64, UNITS = 1 << 10, SHIFT = 10 };

struct given {
    void *p;
    size_t n;
};

struct fixture {
    struct conns t;
    struct conn conn[SLOTS];
    void *meta;
};

static struct given back[8]; /* what give_back() was told of */
static unsigned backs;

static void give_back(void *p, size_t n)
{
    back[backs++ % COUNT(back)] = (struct given){p, n};
}

static struct fixture *make(void)
{
    struct fixture *f = calloc(1, sizeof(*f));
    ck_assert_ptr_nonnull(f);
    void *base = calloc(UNITS, 1u << SHIFT);
    f->meta = calloc(1, pool_meta_size(UNITS));
    ck_assert(base != NULL && f->meta != NULL);
    f->t = (struct conns){.conn = f->conn, .max = SLOTS, .give_back = give_back};
    pool_init(&f->t.buffers, base, f->meta, UNITS, SHIFT);
    return f;
}

static void discard(struct fixture *f)
{
    free(f->t.buffers.base);
    free(f->meta);
    free(f);
}

/* ---- states ---- */

static const struct {
    enum conn_state from, to;
} legal[] = {
    {CONN_FREE, CONN_OWN},      {CONN_FREE, CONN_HEAD},     {CONN_HEAD, CONN_BODY},
    {CONN_HEAD, CONN_STREAM},   {CONN_HEAD, CONN_WAIT},     {CONN_HEAD, CONN_SOCKET},
    {CONN_HEAD, CONN_LINGER},   {CONN_HEAD, CONN_DOOMED},   {CONN_BODY, CONN_HEAD},
    {CONN_BODY, CONN_LINGER},   {CONN_BODY, CONN_DOOMED},   {CONN_STREAM, CONN_DOOMED},
    {CONN_WAIT, CONN_HEAD},     {CONN_WAIT, CONN_LINGER},   {CONN_WAIT, CONN_DOOMED},
    {CONN_SOCKET, CONN_LINGER}, {CONN_SOCKET, CONN_DOOMED}, {CONN_LINGER, CONN_DOOMED},
    {CONN_DOOMED, CONN_FREE},   {CONN_STREAM, CONN_LINGER},
};

enum { STATES = CONN_DOOMED + 1 };

static bool is_legal(unsigned from, unsigned to)
{
    for (size_t i = 0; i < COUNT(legal); i++)
        if (legal[i].from == from && legal[i].to == to)
            return true;
    return false;
}

START_TEST(goes_where_it_may)
{
    struct conn c = {.state = (uint8_t)legal[_i].from, .gen = 7, .flags = CONN_USED};
    struct conns t = {.kind = {1, 1, 1, 1, 1}};
    conn_go(&t, &c, legal[_i].to);
    ck_assert_uint_eq(c.state, legal[_i].to);
    ck_assert_uint_eq(c.gen, 7);
    ck_assert_uint_eq(c.flags, CONN_USED);
}
END_TEST

/* The _i-th of the steps that are not legal. */
START_TEST(goes_nowhere_else)
{
    int left = _i;
    for (unsigned step = 0; step < STATES * STATES; step++) {
        struct conn c = {.state = (uint8_t)(step / STATES)};
        struct conns t = {.kind = {1, 1, 1, 1, 1}};
        if (!is_legal(step / STATES, step % STATES) && left-- == 0)
            conn_go(&t, &c, (enum conn_state)(step % STATES));
    }
}
END_TEST

/* Who is of which kind is counted at every step. */
START_TEST(counts_kinds)
{
    static const struct {
        enum conn_state state;
        enum conn_transport transport;
        enum conn_kind kind;
    } steps[] = {
        {CONN_BODY, TRANSPORT_EVENTS, CONN_KIND_HTTP},
        {CONN_WAIT, TRANSPORT_POLL_JSON, CONN_KIND_WAIT},
        {CONN_WAIT, TRANSPORT_POLL_TEXT, CONN_KIND_WAIT},
        {CONN_WAIT, TRANSPORT_READY, CONN_KIND_HTTP},
        {CONN_STREAM, TRANSPORT_EVENTS, CONN_KIND_EVENTS},
        {CONN_STREAM, TRANSPORT_LINES, CONN_KIND_LINES},
        {CONN_SOCKET, TRANSPORT_FRAMES, CONN_KIND_SOCKET},
        {CONN_SOCKET, TRANSPORT_OBJECTS, CONN_KIND_SOCKET},
        {CONN_LINGER, TRANSPORT_EVENTS, CONN_KIND_HTTP},
        {CONN_DOOMED, TRANSPORT_LINES, CONN_KIND_HTTP},
    };
    struct fixture *f = make();
    conn_open_own(&f->t, 3, DESCRIPTOR_LISTENER);
    for (size_t i = 0; i < COUNT(steps); i++) {
        uint32_t want[CONN_KINDS] = {0};
        struct conn *c = conn_open(&f->t, 5, 0);
        c->transport = (uint8_t)steps[i].transport;
        conn_go(&f->t, c, steps[i].state);
        want[steps[i].kind] = 1;
        ck_assert_msg(memcmp(f->t.kind, want, sizeof(want)) == 0, "step %zu", i);
        if (c->state == CONN_WAIT) {
            conn_go(&f->t, c, CONN_HEAD);
            ck_assert_uint_eq(f->t.kind[CONN_KIND_HTTP], 1);
        }
        if (c->state != CONN_DOOMED)
            conn_go(&f->t, c, CONN_DOOMED);
        conn_free(&f->t, c);
        ck_assert(memcmp(f->t.kind, (uint32_t[CONN_KINDS]){0}, sizeof(want)) == 0);
    }
    discard(f);
}
END_TEST

/* ---- what else is asserted ---- */

START_TEST(breaks_a_contract)
{
    struct fixture *f = make();
    struct conn *c = conn_open(&f->t, 5, 0);
    size_t seen;
    char buf[8];
    switch (_i) {
    case 0:
        conn_open(&f->t, 0, 0);
        break;
    case 1:
        conn_open(&f->t, -1, 0);
        break;
    case 2:
        conn_open(&f->t, SLOTS, 0);
        break;
    case 3:
        conn_open(&f->t, 5, 0); /* it is in use */
        break;
    case 4:
        queue_take(&f->t, QUEUE_READY);
        break;
    case 5:
        queue_put(&f->t, &f->conn[6], QUEUE_READY); /* a free one */
        break;
    case 6:
        queue_doom(&f->t, c);
        queue_doom(&f->t, c);
        break;
    case 7:
        conn_free(&f->t, c); /* not doomed */
        break;
    case 8:
        queue_doom(&f->t, c);
        c->link.topic = 1; /* subscribes still */
        conn_free(&f->t, queue_take_doomed(&f->t));
        break;
    case 9:
        conn_in_keep(&f->t, c, SPAN("a"), 0);
        conn_in_keep(&f->t, c, SPAN("b"), 0);
        break;
    case 10:
        conn_in_keep(&f->t, c, SPAN("a"), 2);
        break;
    case 11:
        conn_in_keep(&f->t, c, SPAN("a"), 0);
        conn_go(&f->t, c, CONN_WAIT);
        conn_in_take(&f->t, c, buf, &seen);
        break;
    case 12:
        conn_out_keep(&f->t, c, SPAN("abc"));
        conn_out_took(&f->t, c, 4);
        break;
    default:
        break;
    }
}
END_TEST
enum { CONTRACTS = 13 };

/* ---- slots ---- */

START_TEST(opens_and_frees)
{
    struct fixture *f = make();
    struct conn *listener = conn_open_own(&f->t, 3, DESCRIPTOR_LISTENER);
    ck_assert_ptr_eq(listener, &f->conn[3]);
    ck_assert_int_eq(conn_fd(&f->t, listener), 3);
    ck_assert(conn_is_own(conn_open_own(&f->t, 4, DESCRIPTOR_SIGNALS), DESCRIPTOR_SIGNALS));
    ck_assert(!conn_is_own(listener, DESCRIPTOR_SIGNALS) &&
              conn_is_own(listener, DESCRIPTOR_LISTENER));
    ck_assert_uint_eq(f->t.clients, 0);
    ck_assert_uint_eq(f->t.top, 4);

    struct conn *c = conn_open(&f->t, SLOTS - 1, (1ull << 32) + 9);
    ck_assert_uint_eq(c->tick, 9); /* it wraps */
    ck_assert_uint_eq(f->t.clients, 1);
    ck_assert_uint_eq(f->t.top, SLOTS - 1);
    struct conn *d = conn_open(&f->t, 9, 5);
    ck_assert_uint_eq(f->t.clients, 2);

    c->flags = CONN_USED | CONN_LOCAL;
    c->place.n = c->place.at = c->stream.sent = 77;
    ck_assert(conn_in_keep(&f->t, c, SPAN("GET"), 1) && conn_out_keep(&f->t, c, SPAN("HTTP")));
    ck_assert_uint_eq(pool_used(&f->t.buffers), 2u << SHIFT);
    queue_doom(&f->t, c);
    ck_assert_uint_eq(f->t.top, SLOTS - 1); /* until it is freed */
    ck_assert_ptr_eq(queue_take_doomed(&f->t), c);
    ck_assert_ptr_null(queue_take_doomed(&f->t));
    conn_free(&f->t, c);
    struct conn empty = {.gen = 1};
    ck_assert_mem_eq(c, &empty, sizeof(empty));
    ck_assert_uint_eq(pool_used(&f->t.buffers), 0);
    ck_assert_uint_eq(f->t.clients, 1);
    ck_assert_uint_eq(f->t.top, 9);

    queue_doom(&f->t, d);
    conn_free(&f->t, queue_take_doomed(&f->t));
    ck_assert_uint_eq(f->t.top, 4); /* the signalfd */
    ck_assert_uint_eq(conn_open(&f->t, 9, 0)->gen, 1);
    discard(f);
}
END_TEST

START_TEST(counts_generations_around)
{
    struct fixture *f = make();
    f->conn[7].gen = UINT32_MAX;
    queue_doom(&f->t, conn_open(&f->t, 7, 0));
    conn_free(&f->t, queue_take_doomed(&f->t));
    ck_assert_uint_eq(f->conn[7].gen, 0);
    discard(f);
}
END_TEST

/* ---- lists ---- */

START_TEST(doomed_on_the_ready_list)
{
    struct fixture *f = make();
    struct conn *a = conn_open(&f->t, 1, 0), *b = conn_open(&f->t, 2, 0);
    queue_put(&f->t, a, QUEUE_READY);
    queue_put(&f->t, b, QUEUE_READY);
    queue_put(&f->t, a, QUEUE_READY); /* it is there already */
    ck_assert_uint_eq(f->t.ready_count, 2);
    queue_doom(&f->t, a);
    ck_assert_ptr_null(queue_take_doomed(&f->t)); /* it is on one list only */
    ck_assert_ptr_null(queue_take(&f->t, QUEUE_READY));
    ck_assert_ptr_eq(queue_take(&f->t, QUEUE_READY), b);
    ck_assert_uint_eq(f->t.queue[QUEUE_READY].first, 0);
    ck_assert_uint_eq(f->t.ready_count, 0);
    ck_assert_ptr_eq(queue_take_doomed(&f->t), a);
    queue_put(&f->t, a, QUEUE_READY); /* too late */
    ck_assert_uint_eq(f->t.queue[QUEUE_READY].first, 0);
    conn_free(&f->t, a);
    ck_assert_uint_eq(b->flags & CONN_READY, 0);
    queue_put(&f->t, b, QUEUE_READY); /* and again */
    ck_assert_ptr_eq(queue_take(&f->t, QUEUE_READY), b);
    discard(f);
}
END_TEST

/* Who has had no turn yet is on a list of its own, which is not the first to be looked at by those
 * who look at all. */
START_TEST(soon)
{
    struct fixture *f = make();
    struct conn *c[4];
    for (int i = 0; i < 4; i++)
        c[i] = conn_open(&f->t, 1 + i, 0);
    queue_put(&f->t, c[0], QUEUE_READY);
    queue_put(&f->t, c[1], QUEUE_SOON);
    queue_put(&f->t, c[2], QUEUE_SOON);
    queue_put(&f->t, c[1], QUEUE_READY); /* it is on one already */
    queue_put(&f->t, c[3], QUEUE_READY);
    queue_put(&f->t, c[3], QUEUE_SOON);
    ck_assert_uint_eq(f->t.ready_count, 4);
    ck_assert_ptr_eq(queue_take(&f->t, QUEUE_SOON), c[1]);
    ck_assert_ptr_eq(queue_take(&f->t, QUEUE_READY), c[0]);
    ck_assert_ptr_eq(queue_take(&f->t, QUEUE_READY), c[3]);
    queue_doom(&f->t, c[2]);
    ck_assert_ptr_null(queue_take(&f->t, QUEUE_READY));
    ck_assert_ptr_eq(queue_take_doomed(&f->t), c[2]);
    ck_assert_uint_eq(f->t.ready_count, 0);
    ck_assert_uint_eq(f->t.queue[QUEUE_SOON].first, 0);
    discard(f);
}
END_TEST

/* What waits is kept in front of the caller's buffer, which is there as before. */
START_TEST(kept_in_front)
{
    struct fixture *f = make();
    struct conn *c = conn_open(&f->t, 1, 0);
    char buf[16];
    size_t seen;
    conn_go(&f->t, c, CONN_BODY);
    ck_assert_uint_eq(conn_in_block(&f->t, c), 0);
    uint32_t own = c->in = pool_alloc(&f->t.buffers, 5);
    memcpy(pool_at(&f->t.buffers, own), "body", 5);
    ck_assert_uint_eq(conn_in_take(&f->t, c, buf, &seen), 0);
    ck_assert(conn_in_keep(&f->t, c, SPAN("rest"), 1));
    ck_assert(c->in != own && conn_in_block(&f->t, c) == own);
    ck_assert_uint_eq(conn_in_take(&f->t, c, buf, &seen), 4);
    ck_assert(seen == 1 && memcmp(buf, "rest", 4) == 0 && c->in == own);
    ck_assert_str_eq(pool_at(&f->t.buffers, own), "body");
    ck_assert(conn_in_keep(&f->t, c, SPAN("rest"), 0));
    conn_in_free(&f->t, c);
    ck_assert(c->in == 0 && !(c->marks & CONN_KEPT) && pool_used(&f->t.buffers) == 0);
    discard(f);
}
END_TEST

/* What the lists ought to be: the ready ones in their order, and who is doomed and off it. */
struct model {
    uint32_t ready[SLOTS];
    unsigned nready;
    bool doomed[SLOTS]; /* on the list of the doomed */
    unsigned gens[SLOTS];
    unsigned clients;
};

static bool is_ready(const struct model *m, uint32_t fd)
{
    for (unsigned i = 0; i < m->nready; i++)
        if (m->ready[i] == fd)
            return true;
    return false;
}

static void step_client(struct fixture *f, struct model *m, struct conn *c, unsigned what)
{
    uint32_t fd = (uint32_t)conn_fd(&f->t, c);
    if (what < 4) {
        queue_put(&f->t, c, QUEUE_READY);
        if (!is_ready(m, fd) && c->state != CONN_DOOMED)
            m->ready[m->nready++] = fd;
    } else if (c->state != CONN_DOOMED) {
        m->doomed[fd] = !is_ready(m, fd);
        queue_doom(&f->t, c);
    }
}

static void step_ready(struct fixture *f, struct model *m, uint64_t start)
{
    if (m->nready == 0)
        return;
    uint32_t fd = m->ready[0];
    m->nready--;
    memmove(m->ready, m->ready + 1, m->nready * sizeof(m->ready[0]));
    bool doomed = f->conn[fd].state == CONN_DOOMED;
    m->doomed[fd] = doomed;
    ck_assert_msg(queue_take(&f->t, QUEUE_READY) == (doomed ? NULL : &f->conn[fd]), SEED_FMT,
                  start);
}

static void step_reap(struct fixture *f, struct model *m, uint64_t start)
{
    struct conn *c = queue_take_doomed(&f->t);
    if (c == NULL) {
        for (uint32_t fd = 0; fd < SLOTS; fd++)
            ck_assert_msg(!m->doomed[fd], SEED_FMT, start);
        return;
    }
    uint32_t fd = (uint32_t)conn_fd(&f->t, c);
    ck_assert_msg(m->doomed[fd], SEED_FMT, start);
    m->doomed[fd] = false;
    m->gens[fd]++;
    m->clients--;
    conn_free(&f->t, c);
}

static bool same(const struct fixture *f, const struct model *m)
{
    uint32_t top = 0;
    for (uint32_t fd = 1; fd < SLOTS; fd++) {
        const struct conn *c = &f->conn[fd];
        top = c->state != CONN_FREE ? fd : top;
        if (c->gen != m->gens[fd] || is_ready(m, fd) != ((c->flags & CONN_READY) != 0))
            return false;
    }
    return f->t.top == top && f->t.ready_count == m->nready &&
           (f->t.queue[QUEUE_READY].first == 0) == (m->nready == 0) && f->t.clients == m->clients;
}

START_TEST(random_lists)
{
    uint64_t start = seed(), state = start;
    struct fixture *f = make();
    struct model m = {.nready = 0};
    for (unsigned i = 0; i < 20000; i++) {
        unsigned what = (unsigned)(random_next(&state) % 10);
        uint32_t fd = 1 + (uint32_t)(random_next(&state) % (SLOTS - 1));
        if (what < 6 && f->conn[fd].state == CONN_FREE) {
            conn_open(&f->t, (int)fd, i);
            m.clients++;
        } else if (what < 6) {
            step_client(f, &m, &f->conn[fd], what);
        } else if (what < 8) {
            step_ready(f, &m, start);
        } else {
            step_reap(f, &m, start);
        }
        if (!same(f, &m))
            ck_abort_msg(SEED_FMT ", step %u", start, i);
    }
    discard(f);
}
END_TEST

/* ---- buffers ---- */

static void check_out(const struct fixture *f, const struct conn *c, struct span want)
{
    struct span got = conn_out(&f->t, c);
    ck_assert_uint_eq(got.n, want.n);
    ck_assert(span_eq(got, want));
    ck_assert((c->out == 0) == (want.n == 0));
}

START_TEST(keeps_answers)
{
    struct fixture *f = make();
    struct conn *c = conn_open(&f->t, 1, 0);
    check_out(f, c, SPAN(""));
    conn_out_took(&f->t, c, 0);
    ck_assert(conn_out_keep(&f->t, c, SPAN("")));
    ck_assert_uint_eq(c->out, 0);
    ck_assert(conn_out_keep(&f->t, c, SPAN("abc")) && conn_out_keep(&f->t, c, SPAN("de")));
    check_out(f, c, SPAN("abcde"));
    conn_out_took(&f->t, c, 2);
    check_out(f, c, SPAN("cde"));
    ck_assert(conn_out_keep(&f->t, c, SPAN("f")));
    check_out(f, c, SPAN("cdef"));
    conn_out_took(&f->t, c, 0);
    conn_out_took(&f->t, c, 4);
    check_out(f, c, SPAN(""));
    ck_assert_uint_eq(pool_used(&f->t.buffers), 0);
    discard(f);
}
END_TEST

/* One that takes what there is but for a little, time and again, costs no more than that. */
START_TEST(does_not_grow_for_ever)
{
    struct fixture *f = make();
    struct conn *c = conn_open(&f->t, 1, 0);
    char piece[500] = {0};
    ck_assert(conn_out_keep(&f->t, c, SPAN("x")));
    for (int i = 0; i < 10000; i++) {
        ck_assert(conn_out_keep(&f->t, c, (struct span){piece, sizeof(piece)}));
        conn_out_took(&f->t, c, sizeof(piece));
    }
    ck_assert_uint_eq(conn_out(&f->t, c).n, 1);
    ck_assert_uint_eq(pool_used(&f->t.buffers), 1u << SHIFT);
    discard(f);
}
END_TEST

START_TEST(no_room_keeps_nothing)
{
    struct fixture *f = make();
    struct conn *c = conn_open(&f->t, 1, 0);
    size_t n = (size_t)UNITS << SHIFT, seen = 5;
    char *big = calloc(1, n), buf[8];
    ck_assert_ptr_nonnull(big);
    struct span all = {big, n};
    ck_assert(!conn_out_keep(&f->t, c, all) && !conn_in_keep(&f->t, c, all, 0));
    ck_assert(c->in == 0 && c->out == 0);
    ck_assert_uint_eq(conn_in_take(&f->t, c, buf, &seen), 0);
    ck_assert_uint_eq(seen, 0);
    ck_assert(conn_out_keep(&f->t, c, SPAN("abc")));
    conn_out_took(&f->t, c, 1);
    ck_assert(!conn_out_keep(&f->t, c, all));
    check_out(f, c, SPAN("bc"));
    free(big);
    discard(f);
}
END_TEST

START_TEST(keeps_heads)
{
    struct fixture *f = make();
    struct conn *c = conn_open(&f->t, 1, 0);
    char buf[4];
    size_t seen = 9;
    ck_assert(conn_in_keep(&f->t, c, SPAN("GET "), 3));
    ck_assert_uint_ne(c->in, 0);
    ck_assert_uint_eq(conn_in_take(&f->t, c, buf, &seen), 4);
    ck_assert_uint_eq(seen, 3);
    ck_assert_mem_eq(buf, "GET ", 4);
    ck_assert_uint_eq(c->in, 0);
    ck_assert_uint_eq(pool_used(&f->t.buffers), 0);
    conn_buffer_free(&f->t, &c->in); /* nothing happens */
    discard(f);
}
END_TEST

/* The pages of a large block are given back before it is freed, those of others are not. */
START_TEST(gives_large_ones_back)
{
    static const struct {
        size_t n;
        bool large;
    } sizes[] = {{1, false}, {100 << 10, false}, {200 << 10, true}, {300 << 10, true}};
    struct fixture *f = make();
    char *big = calloc(1, 300 << 10);
    ck_assert_ptr_nonnull(big);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct conn *c = conn_open(&f->t, 1 + (int)i, 0);
        ck_assert(conn_out_keep(&f->t, c, (struct span){big, sizes[i].n}));
        void *p = pool_at(&f->t.buffers, c->out);
        size_t n = pool_size(&f->t.buffers, c->out);
        backs = 0;
        conn_out_took(&f->t, c, sizes[i].n);
        ck_assert_uint_eq(backs, sizes[i].large);
        if (sizes[i].large)
            ck_assert(back[0].p == p && back[0].n == n);
    }
    free(big);
    discard(f);
}
END_TEST

START_TEST(random_answers)
{
    uint64_t start = seed(), state = start;
    struct fixture *f = make();
    struct conn *c[3];
    struct text want[3];
    for (int i = 0; i < 3; i++) {
        c[i] = conn_open(&f->t, 1 + i, 0);
        want[i] = text_in(malloc(1 << 20), 1 << 20);
        ck_assert_ptr_nonnull(want[i].p);
    }
    for (int i = 0; i < 20000; i++) {
        size_t k = random_next(&state) % 3, n = random_next(&state) % 300;
        char bytes[300];
        for (size_t j = 0; j < n; j++)
            bytes[j] = (char)random_next(&state);
        if (random_next(&state) % 2 == 0) {
            if (!conn_out_keep(&f->t, c[k], (struct span){bytes, n}))
                ck_abort_msg(SEED_FMT, start);
            text_add(&want[k], (struct span){bytes, n});
        } else if (want[k].n > 0) {
            n = random_next(&state) % 8 == 0 ? want[k].n : n % (want[k].n + 1);
            conn_out_took(&f->t, c[k], n);
            want[k].n -= n;
            memmove(want[k].p, want[k].p + n, want[k].n);
        }
        if (!span_eq(conn_out(&f->t, c[k]), text_span(&want[k])))
            ck_abort_msg(SEED_FMT, start);
    }
    for (int i = 0; i < 3; i++)
        free(want[i].p);
    discard(f);
}
END_TEST

/* ---- time ---- */

static const struct conn_times times = {
    .heartbeat = 15, .request = 10, .idle = 60, .write = 30, .linger = 2};

#define NOTHING   CONN_DUE_NOTHING
#define HEARTBEAT CONN_DUE_HEARTBEAT
#define REQUEST   CONN_DUE_REQUEST
#define IDLE      CONN_DUE_IDLE
#define WRITE     CONN_DUE_WRITE
#define LINGER    CONN_DUE_LINGER
#define ANSWER    CONN_DUE_ANSWER
#define PONG      CONN_DUE_PONG

#define W CONN_WRITABLE
#define U CONN_USED
#define P CONN_PINGED

enum { DUE = 20 }; /* when a client's waiting ends; or when it was pinged */

/* What comes, and the first ms at which it does; 0: never. */
static const struct {
    int line;
    enum conn_state state;
    unsigned flags;
    uint32_t in, out;
    enum conn_due due;
    uint32_t after;
} dues[] = {
    {__LINE__, CONN_FREE, 0, 0, 0, NOTHING, 0},
    {__LINE__, CONN_OWN, 0, 0, 0, NOTHING, 0},
    {__LINE__, CONN_DOOMED, 0, 0, 0, NOTHING, 0},
    {__LINE__, CONN_DOOMED, W | U, 1, 1, NOTHING, 0},
    /* a connection's first request has the time of a request; after it there is time */
    {__LINE__, CONN_HEAD, W, 0, 0, REQUEST, 11},
    {__LINE__, CONN_HEAD, 0, 0, 0, REQUEST, 11},
    {__LINE__, CONN_HEAD, W, 1, 0, REQUEST, 11},
    {__LINE__, CONN_HEAD, W | U, 1, 0, REQUEST, 11},
    {__LINE__, CONN_HEAD, W | U, 0, 0, IDLE, 61},
    {__LINE__, CONN_HEAD, U, 0, 0, IDLE, 61},
    {__LINE__, CONN_BODY, W, 0, 0, REQUEST, 11},
    {__LINE__, CONN_BODY, W | U, 1, 0, REQUEST, 11},
    /* an answer that is not taken comes before all of these */
    {__LINE__, CONN_HEAD, U, 0, 1, WRITE, 31},
    {__LINE__, CONN_HEAD, W | U, 1, 1, WRITE, 31},
    {__LINE__, CONN_BODY, U, 1, 1, WRITE, 31},
    {__LINE__, CONN_LINGER, U, 0, 1, WRITE, 31},
    {__LINE__, CONN_STREAM, U, 0, 1, WRITE, 31},
    {__LINE__, CONN_STREAM, W | U, 0, 1, WRITE, 31},
    {__LINE__, CONN_STREAM, U, 0, 0, WRITE, 31}, /* in the middle of the ring */
    {__LINE__, CONN_STREAM, W | U, 0, 0, HEARTBEAT, 15},
    {__LINE__, CONN_LINGER, W | U, 0, 0, LINGER, 3},
    {__LINE__, CONN_LINGER, 0, 0, 0, LINGER, 3},
    /* one that waits is answered in its time, whatever it has sent behind its request */
    {__LINE__, CONN_WAIT, W | U, 0, 0, ANSWER, DUE},
    {__LINE__, CONN_WAIT, U, 0, 0, ANSWER, DUE},
    {__LINE__, CONN_WAIT, W | U, 1, 0, ANSWER, DUE},
    {__LINE__, CONN_WAIT, U, 0, 1, WRITE, 31}, /* an answer of before is in the way */
    /* a WebSocket is a subscriber, whose pong must come */
    {__LINE__, CONN_SOCKET, W | U, 0, 0, HEARTBEAT, 15},
    {__LINE__, CONN_SOCKET, W | U, 1, 0, HEARTBEAT, 15},
    {__LINE__, CONN_SOCKET, U, 0, 0, WRITE, 31},
    {__LINE__, CONN_SOCKET, W | U, 0, 1, WRITE, 31},
    {__LINE__, CONN_SOCKET, W | U | P, 0, 0, PONG, DUE + 31},
    {__LINE__, CONN_SOCKET, W | U | P, 1, 0, PONG, DUE + 31},
    {__LINE__, CONN_SOCKET, U | P, 0, 0, WRITE, 31}, /* may never have seen the ping */
    {__LINE__, CONN_LINGER, W | U | P, 0, 0, LINGER, 3},
};

START_TEST(knows_what_is_due)
{
    static const uint64_t starts[] = {0, 1000, UINT32_MAX - 5, UINT32_MAX, 1ull << 40};
    for (size_t i = 0; i < COUNT(starts); i++) {
        struct conn c = {.state = (uint8_t)dues[_i].state,
                         .flags = (uint16_t)dues[_i].flags,
                         .in = dues[_i].in,
                         .out = dues[_i].out,
                         .tick = (uint32_t)starts[i]};
        if (c.state == CONN_SOCKET)
            c.stream.pinged = c.tick + DUE;
        else
            c.wait.due = c.tick + DUE;
        bool pinged = dues[_i].due == PONG;
        for (uint32_t ms = pinged ? DUE : 0; ms < 70; ms++) {
            bool due = dues[_i].after > 0 && ms >= dues[_i].after;
            ck_assert_msg(conn_due(&c, starts[i] + ms, &times) == (due ? dues[_i].due : NOTHING),
                          "line %d, %u ms", dues[_i].line, ms);
        }
    }
}
END_TEST

/* Whichever it is. */
START_TEST(knows_the_shortest_time)
{
    uint32_t ms[] = {5, 5, 5, 5, 5};
    ms[_i] = 4;
    const struct conn_times t = {ms[0], ms[1], ms[2], ms[3], ms[4]};
    ck_assert_uint_eq(conn_times_least(&t), 4);
}
END_TEST

/* ---- buffers that were many
 * --------------------------------------------------------------------- */

/* A buffer is at most its share of those that are free, which is told from having no room at all;
 * one unit may always be had; and who has more than would be given now is known. */
START_TEST(buffers_have_shares)
{
    enum { UNIT = 1 << SHIFT };
    struct fixture *f = make();
    struct conn *c = conn_open(&f->t, 1, 0);
    f->t.parts = 8;
    c->in = conn_buffer_alloc(&f->t, UNITS / 2 * UNIT); /* as large as there are */
    ck_assert_uint_ne(c->in, 0);
    ck_assert(!conn_over_share(&f->t, c));
    ck_assert_uint_eq(conn_buffer_alloc(&f->t, UNITS / 8 * UNIT), 0);
    ck_assert(f->t.over_share);
    uint32_t other = conn_buffer_alloc(&f->t, UNITS / 32 * UNIT), small = 0;
    ck_assert_uint_ne(other, 0);
    ck_assert(conn_over_share(&f->t, c)); /* half of all is too much for one of two */
    ck_assert_uint_eq(conn_buffer_grow(&f->t, other, UNITS / 8 * UNIT, UNIT), 0);
    ck_assert(f->t.over_share);
    ck_assert_uint_eq(pool_size(&f->t.buffers, other), UNITS / 32 * UNIT);
    unsigned n = 0;
    for (uint32_t next; (next = conn_buffer_alloc(&f->t, 1)) != 0; n++) {
        *(uint32_t *)pool_at(&f->t.buffers, next) = small;
        small = next;
    }
    ck_assert_uint_eq(n, UNITS - UNITS / 2 - UNITS / 32 - 1);
    ck_assert(!f->t.over_share); /* there is none */
    while (small != 0) {
        uint32_t next = *(uint32_t *)pool_at(&f->t.buffers, small);
        conn_buffer_free(&f->t, &small);
        small = next;
    }
    conn_buffer_free(&f->t, &other);
    ck_assert(!conn_over_share(&f->t, c));
    conn_buffer_free(&f->t, &c->in);
    discard(f);
}
END_TEST

/* What is kept of answers has a deadline, which writing some of it moves. */
START_TEST(out_is_late)
{
    static char bytes[10000];
    struct fixture *f = make();
    struct conn *c = conn_open(&f->t, 1, 0);
    ck_assert(!conn_out_slow(&f->t, c, 5000, 100, 1000)); /* there is nothing */
    ck_assert(conn_out_keep(&f->t, c, (struct span){bytes, sizeof(bytes)}));
    ck_assert(!conn_out_slow(&f->t, c, 5000, 100, 1000));
    ck_assert(!conn_out_slow(&f->t, c, 6000, 100, 1000));
    conn_out_took(&f->t, c, 50);
    ck_assert(!conn_out_slow(&f->t, c, 6500, 100, 1000));
    ck_assert(conn_out_keep(&f->t, c, (struct span){bytes, sizeof(bytes)})); /* it moves */
    ck_assert(conn_out_slow(&f->t, c, 6501, 100, 1000));
    conn_out_took(&f->t, c, conn_out(&f->t, c).n);
    ck_assert(!conn_out_slow(&f->t, c, 9000, 100, 1000));
    discard(f);
}
END_TEST

enum { BIG = 1 << 14, BIG_SHIFT = 12 }; /* 64 MiB */

/* What was in use is given back from its end, some of it at a time, as soon as nothing is; what is
 * in use again by then is left alone. */
START_TEST(buffers_rest)
{
    struct conns t = {.give_back = give_back};
    void *base = mmap(NULL, (size_t)BIG << BIG_SHIFT, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    void *meta = calloc(1, pool_meta_size(BIG));
    static uint32_t block[6000];
    ck_assert(base != MAP_FAILED && meta != NULL);
    pool_init(&t.buffers, base, meta, BIG, BIG_SHIFT);
    ck_assert(!conn_buffers_stale(&t));
    for (unsigned i = 0; i < COUNT(block); i++)
        ck_assert_uint_ne(block[i] = pool_alloc(&t.buffers, 1), 0);
    conn_buffers_give_back(&t);
    ck_assert(!conn_buffers_stale(&t) && backs == 0); /* they are in use */
    size_t touched = pool_touched(&t.buffers), end = touched;
    for (unsigned i = 0; i < COUNT(block); i++)
        pool_free(&t.buffers, block[i]);
    ck_assert(conn_buffers_stale(&t));
    for (unsigned ticks = 0; conn_buffers_stale(&t); ticks++) {
        ck_assert_uint_lt(ticks, 10);
        if (ticks == 1)
            block[0] = pool_alloc(&t.buffers, 100000);
        backs = 0;
        conn_buffers_give_back(&t);
        ck_assert_uint_eq(backs, 1);
        ck_assert_uint_le(back[0].n, 8u << 20);
        ck_assert_ptr_eq((char *)back[0].p + back[0].n, (char *)base + end);
        end -= back[0].n;
    }
    ck_assert_uint_gt(touched, COUNT(block) << BIG_SHIFT);
    ck_assert_uint_eq(end, pool_touched(&t.buffers));
    ck_assert_uint_ge(end, 100000);
    pool_free(&t.buffers, block[0]);
    free(meta);
    munmap(base, (size_t)BIG << BIG_SHIFT);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("conn");
    TCase *states = tcase_create("states"), *slots = tcase_create("slots");
    TCase *buffers = tcase_create("buffers"), *time_case = tcase_create("time");
    tcase_add_loop_test(states, goes_where_it_may, 0, COUNT(legal));
    tcase_add_loop_test_raise_signal(states, goes_nowhere_else, SIGABRT, 0,
                                     STATES * STATES - COUNT(legal));
    tcase_add_loop_test_raise_signal(states, breaks_a_contract, SIGABRT, 0, CONTRACTS);
    suite_add_tcase(s, states);
    tcase_add_test(states, counts_kinds);
    tcase_add_test(slots, buffers_have_shares);
    tcase_add_test(slots, out_is_late);
    tcase_add_test(slots, buffers_rest);
    tcase_add_test(slots, opens_and_frees);
    tcase_add_test(slots, counts_generations_around);
    tcase_add_test(slots, doomed_on_the_ready_list);
    tcase_add_test(slots, soon);
    tcase_add_test(slots, kept_in_front);
    tcase_add_test(slots, random_lists);
    suite_add_tcase(s, slots);
    tcase_add_test(buffers, keeps_answers);
    tcase_add_test(buffers, does_not_grow_for_ever);
    tcase_add_test(buffers, no_room_keeps_nothing);
    tcase_add_test(buffers, keeps_heads);
    tcase_add_test(buffers, gives_large_ones_back);
    tcase_add_test(buffers, random_answers);
    suite_add_tcase(s, buffers);
    tcase_add_loop_test(time_case, knows_what_is_due, 0, COUNT(dues));
    tcase_add_loop_test(time_case, knows_the_shortest_time, 0, 5);
    suite_add_tcase(s, time_case);
    return run(s);
}
