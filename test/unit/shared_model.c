/*
 * shared_model.c - several views of one shared ring against a plain list: random messages put by
 * random workers, that catch up when they like, leave, come back, and die at each place where they
 * write to what is shared.
 *
 * A worker is a struct ring, a table of topics and a broker of its own, over one arena and one
 * control page, in one process. Their sources are included, so that a worker dies by a jump out of
 * whatever it is doing.
 */
static void step(void);
#define CONTROL_STEP() step()

#include "lib/broker/broker.h"

#include <setjmp.h>
#include <sys/mman.h>

#include "test/kit/kit.h"

#include "../../lib/broker/broker.c" /* NOLINT(bugprone-suspicious-include) */
#include "../../lib/control.c"       /* NOLINT(bugprone-suspicious-include) */
#include "../../ring.c"              /* NOLINT(bugprone-suspicious-include) */

#define EPOCH   UINT64_C(1790000000000)
#define WORKERS 4
#define TOPICS  12
#define TABLE   64
#define LIST    700 /* more messages than the smallest ring holds */

struct worker {
    bool there;
    struct ring r;
    struct topics t;
    struct broker b;
    void *memory[6];
    uint64_t began; /* its view begins behind this number */
};

struct message {
    uint64_t n, o, at;
    unsigned topic;
    size_t size;
    char data[RING_MIN / 16];
};

static struct {
    uint64_t seed, state;
    struct ring first; /* of the parent, that all are copies of */
    struct control *c;
    struct worker w[WORKERS];
    struct message list[LIST]; /* by number */
    uint64_t o, n, now;
    uint64_t steps, dies_at; /* steps of what is being done; where its worker dies, 0: nowhere */
    uint64_t deaths, held, put_by_dead, blocked, seen;
    jmp_buf death;
} P;

#define MUST(x)                                                                 \
    do {                                                                        \
        if (!(x))                                                               \
            ck_abort_msg(SEED_FMT " message %" PRIu64 ": %s", P.seed, P.o, #x); \
    } while (0)

static void step(void)
{
    if (++P.steps == P.dies_at)
        longjmp(P.death, 1);
}

static uint64_t pick(uint64_t below)
{
    return random_next(&P.state) % below;
}

static struct message *message(uint64_t o)
{
    return &P.list[o % LIST];
}

static struct span name_of(unsigned topic)
{
    static char name[16];
    return (struct span){name, (size_t)snprintf(name, sizeof name, "topic/%u", topic)};
}

/* ---- workers ---- */

static void worker_begin(struct worker *w)
{
    static const uint64_t key[2] = {1, 2};
    struct topics_memory m = topics_size(TABLE);
    const size_t sizes[] = {m.table,
                            m.edges,
                            m.pool,
                            m.pool_meta,
                            broker_size(RING_MIN, TABLE),
                            broker_heap_size(TABLE)};
    struct control_state s;
    uint32_t me = (uint32_t)(w - P.w);
    for (size_t i = 0; i < COUNT(w->memory); i++)
        MUST((w->memory[i] = calloc(1, sizes[i])) != NULL);
    w->r = P.first;
    MUST(ring_join(&w->r, P.c, me, me + 100) == 0);
    topics_init(&w->t, TABLE, w->memory[0], w->memory[1], w->memory[2], w->memory[3], key);
    topics_limit(&w->t, TABLE);
    broker_init(&w->b, &w->r, &w->t, w->memory[4], w->memory[5]);
    (void)control_read(P.c, &s);
    w->began = s.lost_o;
    w->there = true;
    broker_catch_up(&w->b);
}

/* It has ended, whether it knew it or not. */
static void worker_end(struct worker *w)
{
    for (size_t i = 0; i < COUNT(w->memory); i++)
        free(w->memory[i]);
    ring_leave(&w->r);
    w->there = false;
}

static void release(struct worker *w)
{
    while (broker_release_emptied(&w->b)) {
    }
}

/* ---- what must be ---- */

/* A record is the message that it should be. */
static void same(const struct worker *w, uint64_t at, const struct message *m)
{
    const struct ring_record *rec = ring_at(&w->r, at);
    struct span data = ring_data(rec);
    MUST(at == m->at && rec->n == m->n && (uint32_t)m->o == rec->links.o);
    MUST(span_eq(ring_topic(rec), name_of(m->topic)));
    MUST(data.n == m->size && memcmp(data.p, m->data, m->size) == 0);
    P.seen++;
}

/* One topic of a view has the messages from number `from` to `to` that the list has of it. */
static void chain_right(const struct worker *w, unsigned topic, uint64_t from, uint64_t to)
{
    uint32_t id = topic_find(&w->t, name_of(topic)), count = 0;
    const struct chain *chain = id != 0 ? chain_at(&w->b.chains, id) : NULL;
    uint64_t at = chain != NULL ? chain->first : 0, last = 0;
    for (uint64_t o = from; o <= to; o++) {
        const struct message *m = message(o);
        if (m->topic != topic)
            continue;
        MUST(chain != NULL && at != 0);
        same(w, at, m);
        MUST(count == 0 || ring_at(&w->r, at)->links.prev == last);
        MUST(chain_next(&w->b.chains, id, at) == at);
        MUST(chain_count_from(&w->b.chains, id, at) == chain->count - count);
        MUST(chain_from_newest(&w->b.chains, id, chain->count - count) == at);
        last = at;
        at = ring_next(&w->r, ring_at(&w->r, at));
        count++;
    }
    MUST(at == 0 && (chain == NULL || (chain->count == count && chain->last == last)));
}

/* A view is what the list says, from its tail to its head. */
static void view_right(const struct worker *w)
{
    uint64_t from = w->r.h->lost_o + 1, to = w->r.h->o, at = ring_tail(&w->r);
    MUST(to - from + 1 == ring_count(&w->r) && to <= P.o);
    for (uint64_t o = from; o <= to; o++) {
        same(w, at, message(o));
        at = ring_behind(ring_at(&w->r, at), at);
    }
    MUST(at == ring_head(&w->r));
    if (from <= to) {
        uint64_t o = from + pick(to - from + 1);
        MUST(ring_find_from(&w->r, message(o)->n) == message(o)->at);
        MUST(ring_number(&w->r, message(o)->at) == o);
    }
    for (unsigned topic = 0; topic < TOPICS; topic++)
        chain_right(w, topic, from, to);
}

/* A view that has just caught up is level with the list. */
static void level(struct worker *w)
{
    struct control_state s;
    broker_catch_up(&w->b);
    (void)control_read(P.c, &s);
    MUST(s.o == P.o && s.n == P.n && w->r.h->o == P.o && ring_newest(&w->r).n == P.n);
    MUST(ring_tail(&w->r) == s.tail && w->r.h->lost_o == s.lost_o && w->r.h->lost_n == s.lost_n);
    MUST(atomic_load(&P.c->slot[w->r.me].lease) == s.tail);
}

/* ---- what is done ---- */

/* A message that may be put. */
static struct message *compose(void)
{
    struct message *m = message(P.o + 1);
    m->topic = (unsigned)(pick(4) > 0 ? pick(3) : pick(TOPICS));
    m->size = pick(20) == 0 ? pick(RING_MIN / 16) : pick(200);
    for (size_t i = 0; i < m->size; i++)
        m->data[i] = (char)('a' + pick(26));
    m->o = P.o + 1;
    return m;
}

/* It is in the ring. */
static void was_put(struct message *m)
{
    struct control_state s;
    (void)control_read(P.c, &s);
    MUST(s.o == P.o + 1 && s.n > P.n);
    P.o = s.o;
    P.n = m->n = s.n;
}

static void do_put(struct worker *w, struct message *m)
{
    bool made;
    uint32_t id = broker_open(&w->b, name_of(m->topic), &made);
    struct ring_message rm = {.topic = name_of(m->topic), .data = {m->data, m->size}};
    MUST(id != 0);
    m->at = ring_head(&w->r); /* if nobody else has put */
    m->at = try_put(&w->b, id, &rm, P.now);
    release(w);
}

/* Does it, but dies at the given step. Returns true if it did. */
static bool die_at(struct worker *w, struct message *m, uint64_t at)
{
    P.steps = 0;
    P.dies_at = at;
    bool died = setjmp(P.death) != 0;
    if (!died)
        do_put(w, m);
    P.dies_at = 0;
    if (!died)
        return false;
    P.deaths++;
    P.held += control_holds(P.c, w->r.me);
    worker_end(w);
    MUST(atomic_load(&P.c->lock) == 0);
    return true;
}

static void put_or_die(struct worker *w)
{
    struct message *m = compose();
    struct control_state s, now;
    bool died = false;
    (void)control_read(P.c, &s);
    if (pick(8) == 0)
        died = die_at(w, m, 1 + pick(24));
    else
        do_put(w, m);
    (void)control_read(P.c, &now);
    if (now.o == s.o) {
        P.blocked += !died;
        if (!died) /* who blocks lets go */
            for (unsigned i = 0; i < WORKERS; i++)
                if (P.w[i].there && (control_blockers(P.c) >> i & 1) != 0)
                    broker_catch_up(&P.w[i].b);
    } else {
        m->at = s.head;
        P.put_by_dead += died;
        was_put(m);
    }
}

static void do_one(struct worker *w)
{
    uint64_t what = pick(100);
    P.now += pick(20);
    w->r.clock_ms = P.now;
    if (what < 55) {
        put_or_die(w);
    } else if (what < 80) {
        level(w);
        release(w);
    } else if (what < 88) {
        view_right(w); /* as it is, however old */
    } else if (what < 90) {
        (void)broker_expire(&w->b, P.now - 2000, 5);
    } else if (what < 91) {
        worker_end(w);
    }
}

START_TEST(random_operations)
{
    struct control_state s;
    P.seed = seed() + (uint64_t)_i;
    P.state = P.seed;
    P.now = EPOCH;
    P.c = mmap(NULL, sizeof *P.c, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(P.c != MAP_FAILED && ring_open(&P.first, RING_MIN, EPOCH) == 0);
    ring_share(&P.first, P.c, &s);
    control_init(P.c, WORKERS, &s);
    for (int i = 0; i < 40000; i++) {
        struct worker *w = &P.w[pick(WORKERS)];
        if (w == P.w && pick(200) != 0)
            continue; /* one is so slow that others have to wait for it */
        if (w->there)
            do_one(w);
        else if (pick(3) == 0)
            worker_begin(w);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        if (!P.w[i].there)
            worker_begin(&P.w[i]);
        level(&P.w[i]);
        view_right(&P.w[i]);
    }
    (void)control_read(P.c, &s);
    MUST(s.head / RING_MIN > 10);
    MUST(P.deaths > 200 && P.held > 100 && P.put_by_dead > 20 && P.blocked > 20);
    for (unsigned i = 0; i < WORKERS; i++)
        worker_end(&P.w[i]);
    ring_close(&P.first);
    munmap(P.c, sizeof *P.c);
}
END_TEST

/* What a worker reads it can't write to. */
START_TEST(stray_write)
{
    struct control_state s;
    P.c = mmap(NULL, sizeof *P.c, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(P.c != MAP_FAILED && ring_open(&P.first, RING_MIN, EPOCH) == 0);
    ring_share(&P.first, P.c, &s);
    control_init(P.c, WORKERS, &s);
    worker_begin(&P.w[0]);
    int out[2];
    ck_assert_int_eq(pipe(out),
                     0); /* read(2) into the mapping says EFAULT where a store would fault */
    ck_assert_int_eq(write(out[1], "x", 1), 1);
    ck_assert_int_eq(read(out[0], P.w[0].r.arena, 1), -1);
    ck_assert_int_eq(errno, EFAULT);
    ck_assert_int_eq(read(out[0], P.w[0].r.writing, 1), 1);
    worker_end(&P.w[0]);
    ring_close(&P.first);
    close(out[0]);
    close(out[1]);
    munmap(P.c, sizeof *P.c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("shared model");
    TCase *c = tcase_create("shared model");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, random_operations, 0, 4);
    tcase_add_test(c, stray_write);
    suite_add_tcase(s, c);
    return run(s);
}
