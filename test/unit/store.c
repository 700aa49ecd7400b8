/*
 * store.c - the ring's file, over real files in a directory of its own: what is there again
 * after it was closed, killed, cut, damaged or resized, and what is said of what can't be opened.
 *
 * store.c is included, so that states of the header can be made and system calls fail on demand.
 */
#include "lib/host/store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/kit/kit.h"

static int synced_times; /* fdatasync() that were called */
static int sync_errs;    /* so many of them fail */

static int count_sync(int fd)
{
    __atomic_add_fetch(&synced_times, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&sync_errs, __ATOMIC_SEQ_CST) > 0) {
        __atomic_sub_fetch(&sync_errs, 1, __ATOMIC_SEQ_CST);
        errno = EIO;
        return -1;
    }
    return fdatasync(fd);
}

#define fdatasync(fd) count_sync(fd)
#include "lib/host/store.c" /* NOLINT(bugprone-suspicious-include) */
#undef fdatasync

#define EPOCH  UINT64_C(1790000000000)
#define CHAINS 16
#define SIZE   (UINT64_C(256) << 10)

/* ---- a process ---- */

struct process {
    struct store st;
    struct ring r;
    struct topics t;
    struct broker b;
    struct store_report rep;
    void *memory[6];
    char why[512];
};

static char dir[64], path[96];
static uint32_t topics_most; /* 0: as many as the table takes */

static void enter(void)
{
    strcpy(dir, "/tmp/check_store.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/store", dir);
}

static void leave(void)
{
    char other[128];
    snprintf(other, sizeof(other), "%s.new", path);
    unlink(other);
    snprintf(other, sizeof(other), "%s/copy", dir);
    unlink(other);
    if (unlink(path) == -1)
        rmdir(path);
    ck_assert_int_eq(rmdir(dir), 0);
}

static struct store_ask asked(void)
{
    return (
        struct store_ask){.path = path, .ring = SIZE, .mode = OPT_FSYNC_NEVER, .wall_ms = EPOCH};
}

static void release(struct process *p)
{
    for (size_t i = 0; i < COUNT(p->memory); i++)
        free(p->memory[i]);
}

/* Makes the view of the ring by topic. */
static void view(struct process *p)
{
    ck_assert_ptr_nonnull(p->memory[4] = calloc(1, broker_size(p->r.size, CHAINS)));
    ck_assert_ptr_nonnull(p->memory[5] = calloc(1, broker_heap_size(CHAINS)));
    broker_init(&p->b, &p->r, &p->t, p->memory[4], p->memory[5]);
}

/* Opens the store as a process does that starts; p stays where it is. */
static bool start(struct process *p, struct store_ask ask)
{
    static const uint64_t key[2] = {1, 2};
    struct topics_memory m = topics_size(CHAINS);
    size_t sizes[4] = {m.table, m.edges, m.pool, m.pool_meta};
    memset(p, 0, sizeof(*p));
    for (int i = 0; i < 4; i++)
        ck_assert_ptr_nonnull(p->memory[i] = calloc(1, sizes[i]));
    topics_init(&p->t, CHAINS, p->memory[0], p->memory[1], p->memory[2], p->memory[3], key);
    topics_limit(&p->t, topics_most);
    struct text why = text_in(p->why, sizeof(p->why) - 1);
    bool right = store_open(&p->st, &p->r, &ask, &p->rep, &why);
    ck_assert_msg(right == (why.n == 0), "%s", p->why);
    if (!right) {
        release(p);
        return false;
    }
    view(p);
    store_follow(&p->b, &p->rep);
    store_start_thread(&p->st);
    return true;
}

static void started(struct process *p, struct store_ask ask)
{
    ck_assert_msg(start(p, ask), "%s", p->why);
}

/* It ends without a word: nothing is marked or synced. */
static void killed(struct process *p)
{
    thread_end(&p->st);
    munmap(p->st.h, RING_PAGE);
    ring_close(&p->r);
    release(p);
}

static void stopped(struct process *p)
{
    ck_assert_int_eq(store_close(&p->st, &p->r), 0);
    ring_close(&p->r);
    release(p);
}

static void refused(const char *what)
{
    struct process p;
    ck_assert(!start(&p, asked()));
    ck_assert_msg(strstr(p.why, path) == p.why, "%s", p.why);
    ck_assert_msg(strstr(p.why, what) != NULL, "%s", p.why);
}

/* ---- messages ---- */

/* Message n of a seed: the same whenever it is asked for. */
struct made {
    char topic[16], event[16], data[SIZE / 16];
    struct ring_message m;
};

static struct made *made_of(uint64_t seed, uint64_t n, uint64_t most)
{
    static struct made m;
    uint64_t state = seed * 1000003 + n, kind = random_next(&state);
    snprintf(m.topic, sizeof(m.topic), "t/%u", (unsigned)(kind >> 8) % 7);
    snprintf(m.event, sizeof(m.event), "e%u", (unsigned)(kind >> 16) % 5);
    size_t size = random_next(&state) % ((kind & 7) == 0 ? most : most < 200 ? most : 200);
    for (size_t i = 0; i < size; i++)
        m.data[i] = (char)(random_next(&state) % 30 == 0 ? '\n' : 'a' + (i + n) % 26);
    m.m =
        (struct ring_message){.topic = span_of(m.topic),
                              .event = (kind & 8) != 0 ? span_of(m.event) : (struct span){NULL, 0},
                              .data = {m.data, size},
                              .binary = (kind & 0x30) == 0,
                              .end = (kind & 0xc0) == 0,
                              .key = {(kind & UINT64_C(0x1000000)) != 0 ? kind | 1 : 0, n}};
    return &m;
}

static uint64_t put(struct process *p, const struct ring_message *m, uint64_t ms)
{
    bool made = false;
    uint32_t id = broker_open(&p->b, m->topic, &made);
    ck_assert_uint_ne(id, 0);
    return broker_put(&p->b, id, m, ms);
}

static void put_many(struct process *p, uint64_t seed, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t n = ring_newest(&p->r).n + 1;
        put(p, &made_of(seed, n, SIZE / 16)->m, EPOCH + n);
    }
}

/* Returns true if the record is, byte by byte, the message that was put with this id. */
static bool is_made(const struct ring *r, const struct ring_record *rec, uint64_t seed)
{
    const struct ring_message *m = &made_of(seed, rec->n, SIZE / 16)->m;
    static char text[SIZE], id_text[64];
    struct text id = text_in(id_text, sizeof(id_text));
    cursor_write(&id, (struct cursor){r->h->epoch, rec->n});
    struct event e = {.name = m->event.n > 0 ? m->event : m->topic,
                      .data = m->data,
                      .id = text_span(&id),
                      .binary = m->binary,
                      .ends = {m->topic.p, m->end ? m->topic.n : 0}};
    struct event_layout layout = event_measure(&e);
    event_write(text, &e, layout);
    return span_eq(ring_data(rec), m->data) && span_eq(ring_topic(rec), m->topic) &&
           span_eq(ring_event(rec), m->event) && rec->time_ms == EPOCH + rec->n &&
           rec->time_max >= rec->time_ms &&
           span_eq(ring_sse(rec, true), (struct span){text, layout.size});
}

/* Checks all invariants of a ring, and that each record is one that was put. Returns how many. */
static uint64_t verify(const struct process *p, uint64_t seed)
{
    const struct ring *r = &p->r;
    uint64_t count = 0, n = 0, chained = 0, latest = 0, hole = 0;
    uint32_t have[CHAINS + 1] = {0};
    for (uint64_t at = ring_tail(r); at < ring_head(r); count++) {
        const struct ring_record *rec = ring_at(r, at);
        ck_assert_msg(is_made(r, rec, seed), SEED_FMT " n %" PRIu64, seed, rec->n);
        ck_assert(rec->n > n && rec->time_max >= latest);
        if (n != 0 && rec->n != n + 1)
            hole = rec->n - 1;
        ck_assert_uint_eq(ring_find(r, rec->n - 1), at);
        uint32_t of = broker_topic(&p->b, at);
        ck_assert_uint_eq(chain_next(&p->b.chains, of, at), at);
        ck_assert(span_eq(topic_name(&p->t, of), ring_topic(rec)));
        ck_assert_uint_eq(topic_at(&p->t, of)->kept, 1);
        ck_assert_uint_eq(ring_whole(r, at & r->mask) != NULL, 1);
        have[of]++;
        n = rec->n;
        latest = rec->time_max;
        at = ring_behind(rec, at);
    }
    ck_assert(count == ring_count(r) && ring_newest(r).n >= n);
    ck_assert_uint_ge(r->h->hole_n, hole);
    for (uint32_t topic = 1; topic <= CHAINS; topic++) {
        const struct chain *c = &p->b.chains.chain[topic];
        uint32_t steps = 0;
        ck_assert_uint_eq(c->count, have[topic]);
        for (uint64_t at = c->first; at != 0; at = ring_next(r, ring_at(r, at)), steps++) {
            ck_assert_uint_eq(broker_topic(&p->b, at), topic);
            ck_assert(ring_next(r, ring_at(r, at)) != 0 || at == c->last);
            ck_assert_uint_eq(chain_from_newest(&p->b.chains, topic, c->count - steps), at);
        }
        ck_assert_uint_eq(steps, c->count);
        chained += steps;
    }
    ck_assert_uint_eq(chained, count);
    return count;
}

static bool lost(const struct process *p, const char *topic, uint64_t n)
{
    bool made = false;
    struct broker *b = (struct broker *)(uintptr_t)&p->b;
    return broker_lost_after(b, broker_open(b, span_of(topic), &made), n);
}

/* ---- the file ---- */

static uint64_t file_size(void)
{
    struct stat about;
    ck_assert_int_eq(stat(path, &about), 0);
    return (uint64_t)about.st_size;
}

static void file_write(const void *bytes, size_t n, uint64_t at)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_ne(fd, -1);
    ck_assert_int_eq(pwrite(fd, bytes, n, (off_t)at), (ssize_t)n);
    close(fd);
}

static void file_read(void *bytes, size_t n, uint64_t at)
{
    int fd = open(path, O_RDONLY);
    ck_assert_int_ne(fd, -1);
    ck_assert_int_eq(pread(fd, bytes, n, (off_t)at), (ssize_t)n);
    close(fd);
}

/* Changes both states in the header as `change` does, rightly summed. */
static void state_change(void (*change)(struct store_state *s))
{
    struct store_head h;
    file_read(&h, sizeof(h), 0);
    for (int i = 0; i < 2; i++) {
        change(&h.state[i]);
        h.state[i].check = state_check(&h, &h.state[i]);
    }
    file_write(&h, sizeof(h), 0);
}

static void other_boot(struct store_state *s)
{
    s->boot_id[0] = s->boot_id[0] == 'x' ? 'y' : 'x';
}

static void other_file(struct store_state *s)
{
    s->inode++;
}

/* ---- opened again ---- */

START_TEST(created)
{
    struct process p;
    started(&p, asked());
    ck_assert(p.rep.created && !p.rep.jumped && p.rep.messages == 0);
    ck_assert_uint_eq(file_size(), RING_PAGE + SIZE);
    ck_assert_uint_eq(ring_newest(&p.r).ms, EPOCH);
    struct stat about;
    ck_assert_int_eq(stat(path, &about), 0);
    ck_assert_uint_eq(about.st_mode & 0777, 0600);
    ck_assert_uint_ge((uint64_t)about.st_blocks * 512, RING_PAGE + SIZE);
    stopped(&p);
}
END_TEST

/* Closed and killed alike, again and again, round the ring and not yet round. */
START_TEST(reopened)
{
    static const uint64_t counts[] = {0, 1, 10, 3000, 7, 0, 1000, 20000, 1, 1};
    struct process p;
    uint64_t first = seed(), n = 0, before = 0, tail = 0;
    for (size_t i = 0; i < COUNT(counts); i++) {
        struct store_ask ask = asked();
        ask.wall_ms = EPOCH + i;
        started(&p, ask);
        ck_assert(p.rep.created == (i == 0) && p.rep.jumped == 0 && p.rep.dropped == 0);
        ck_assert(p.rep.unclean == (i > 0 && i % 2 == (size_t)_i));
        ck_assert(ring_newest(&p.r).n == n && ring_newest(&p.r).ms == EPOCH);
        ck_assert_uint_eq(verify(&p, first), p.rep.messages);
        ck_assert_uint_ge(ring_count(&p.r), before);
        if (before > 0) {
            uint64_t oldest = ring_at(&p.r, ring_tail(&p.r))->n;
            ck_assert(oldest <= tail && p.r.h->hole_n == 0);
            for (uint64_t k = oldest - 1; k <= n; k++)
                ck_assert(!lost(&p, "t/1", k) && !lost(&p, "none", k));
            ck_assert(oldest == 1 || (lost(&p, "t/1", oldest - 2) && lost(&p, "none", 0)));
        }
        put_many(&p, first, counts[i]);
        n += counts[i];
        before = verify(&p, first);
        tail = before > 0 ? ring_at(&p.r, ring_tail(&p.r))->n : 0;
        if (i % 2 != (size_t)_i)
            killed(&p);
        else
            stopped(&p);
    }
}
END_TEST

/* A real SIGKILL, in the middle of it: what was acknowledged is there. */
START_TEST(sigkill)
{
    uint64_t first = seed(), state = first;
    for (int round = 0; round < 10; round++) {
        int pipes[2];
        ck_assert_int_eq(pipe(pipes), 0);
        pid_t pid = fork();
        if (pid == 0) {
            static struct process p;
            started(&p, asked());
            for (;;) {
                put_many(&p, first, 1);
                uint64_t n = ring_newest(&p.r).n;
                if (write(pipes[1], &n, sizeof(n)) != sizeof(n))
                    _exit(1);
            }
        }
        close(pipes[1]);
        uint64_t said = 0, n;
        for (uint64_t i = random_next(&state) % 3000; i > 0; i--)
            ck_assert_int_eq(read(pipes[0], &said, sizeof(said)), sizeof(said));
        kill(pid, SIGKILL);
        while (read(pipes[0], &n, sizeof(n)) == sizeof(n))
            said = n;
        close(pipes[0]);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        struct process p;
        started(&p, asked());
        ck_assert(p.rep.jumped == 0 && p.rep.dropped == 0 && p.rep.places == 0);
        verify(&p, first);
        ck_assert_uint_ge(ring_newest(&p.r).n, said);
        ck_assert_uint_le(ring_newest(&p.r).n, said + 1);
        killed(&p);
    }
}
END_TEST

/* What the server puts for itself is kept like all else: ids stay without a hole. */
START_TEST(own_topic)
{
    struct process p;
    started(&p, asked());
    put(&p, &(struct ring_message){.topic = SPAN("a"), .data = SPAN("1")}, 1);
    put(&p, &(struct ring_message){.topic = SPAN("-ready"), .data = SPAN("2")}, 2);
    put(&p, &(struct ring_message){.topic = SPAN("a"), .data = SPAN("3")}, 3);
    stopped(&p);
    started(&p, asked());
    ck_assert(p.rep.messages == 3 && p.r.h->hole_n == 0 && p.rep.places == 0);
    stopped(&p);
}
END_TEST

/* ---- resized ---- */

START_TEST(resized)
{
    static const uint64_t sizes[] = {SIZE, 4 * SIZE, SIZE / 2, SIZE / 4, 16 * SIZE, SIZE};
    struct process p;
    uint64_t first = seed(), n = 0, had = 0;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct store_ask ask = asked();
        ask.ring = sizes[i];
        ask.ring_given = true;
        started(&p, ask);
        ck_assert(p.rep.resized_from == (i > 0 ? sizes[i - 1] : 0) && p.rep.jumped == 0);
        ck_assert(p.r.size == sizes[i] && file_size() == RING_PAGE + sizes[i]);
        ck_assert(ring_newest(&p.r).n == n && ring_newest(&p.r).ms == EPOCH);
        uint64_t there = verify(&p, first);
        ck_assert_uint_eq(p.rep.messages, there);
        if (i > 0 && sizes[i] > sizes[i - 1])
            ck_assert_uint_ge(there, had);
        if (i > 0 && sizes[i] < sizes[i - 1])
            ck_assert(there > 0 && ring_at(&p.r, ring_tail(&p.r))->n + there <= n + 1);
        for (int k = 0; k < 1500; k++) {
            uint64_t next = ring_newest(&p.r).n + 1;
            struct made *m = made_of(first, next, SIZE / 16);
            if (m->m.data.n <= ring_message_max(p.r.size))
                put(&p, &m->m, EPOCH + next);
            else
                ring_miss(&p.r, next);
        }
        had = ring_count(&p.r);
        n = ring_newest(&p.r).n;
        stopped(&p);
        /* not given: the file's own */
        started(&p, asked());
        ck_assert(p.r.size == sizes[i] && p.rep.resized_from == 0);
        stopped(&p);
    }
}
END_TEST

START_TEST(resize_fails)
{
    struct process p;
    char new[128];
    started(&p, asked());
    put_many(&p, 1, 100);
    stopped(&p);
    struct store_ask ask = asked();
    ask.ring = 64 * SIZE;
    ask.ring_given = true;
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {SIZE * 8, SIZE * 8};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert(!start(&p, ask));
    ck_assert_msg(strstr(p.why, "no room for 16842752 bytes") != NULL, "%s", p.why);
    snprintf(new, sizeof(new), "%s.new", path);
    ck_assert_int_eq(access(new, F_OK), -1);
    started(&p, asked());
    ck_assert_uint_eq(verify(&p, 1), 100);
    stopped(&p);
    ck_assert_int_eq(chmod(path, 0640), 0);
    ask.ring = SIZE * 2; /* one that was left half done is in no one's way */
    ck_assert_int_eq(close(open(new, O_CREAT | O_WRONLY, 0600)), 0);
    started(&p, ask);
    ck_assert_uint_eq(verify(&p, 1), 100);
    ck_assert_int_eq(access(new, F_OK), -1);
    struct stat about;
    ck_assert_int_eq(stat(path, &about), 0);
    ck_assert_uint_eq(about.st_mode & 0777, 0640);
    struct process q;
    ck_assert(!start(&q, asked())); /* the new one is locked */
    stopped(&p);
}
END_TEST

/* ---- damage ---- */

START_TEST(torn_last)
{
    struct process p;
    started(&p, asked());
    put_many(&p, 1, 99);
    uint64_t at = put(&p, &made_of(1, 100, 50)->m, EPOCH + 100);
    p.r.arena[(at & p.r.mask) + 90]++;
    killed(&p);
    started(&p, asked());
    ck_assert_uint_eq(verify(&p, 1), 99); /* it had not been acknowledged */
    ck_assert(p.rep.jumped == 0 && ring_newest(&p.r).n == 99);
    at = put(&p, &made_of(1, 100, SIZE / 16)->m, EPOCH + 100);
    p.r.arena[(at & p.r.mask) + 90]++;
    stopped(&p);
    started(&p, asked());
    ck_assert_uint_eq(verify(&p, 1), 99); /* it had: the header tells */
    ck_assert(p.rep.dropped == 1 && ring_newest(&p.r).n == 100);
    ck_assert(lost(&p, "t/1", 99) && lost(&p, "t/1", 20) && !lost(&p, "t/1", 100));
    stopped(&p);
}
END_TEST

START_TEST(hole)
{
    struct process p;
    started(&p, asked());
    put_many(&p, 1, 100);
    for (uint64_t n = 40; n < 43; n++)
        p.r.arena[(ring_find(&p.r, n - 1) & p.r.mask) + 50 + n]++;
    stopped(&p);
    for (int i = 0; i < 2; i++) { /* it stays one */
        started(&p, asked());
        ck_assert_uint_eq(verify(&p, 1), 97);
        ck_assert(p.rep.dropped == 3 && p.rep.places == 1 && p.rep.bytes >= 3 * 80);
        ck_assert_uint_eq(p.r.h->hole_n, 42);
        ck_assert(lost(&p, "t/1", 5) && lost(&p, "t/1", 39) && lost(&p, "t/1", 41));
        ck_assert(!lost(&p, "t/1", 42) && !lost(&p, "t/1", 43) && !lost(&p, "none", 100));
        uint64_t at = ring_find(&p.r, 40);
        ck_assert_uint_eq(ring_at(&p.r, at)->n, 43);
        ck_assert_uint_eq(ring_before(&p.r, at).n, 42);
        stopped(&p);
    }
    started(&p, asked());
    put_many(&p, 1, 5000); /* eviction goes over it */
    verify(&p, 1);
    stopped(&p);
    started(&p, asked());
    verify(&p, 1);
    ck_assert_uint_eq(p.r.h->hole_n, 0);
    stopped(&p);
}
END_TEST

/* Bytes flipped, the file cut, anywhere: nothing is served that was not put. */
START_TEST(random_damage)
{
    uint64_t first = seed() + (uint64_t)_i * 1000, state = first;
    for (int round = 0; round < 12; round++) {
        struct process p;
        started(&p, asked());
        uint64_t put_n = ring_newest(&p.r).n;
        if (put_n >= STORE_JUMP) { /* the sums below are of a run of ids */
            stopped(&p);
            unlink(path);
            continue;
        }
        put_many(&p, first, random_next(&state) % 2500);
        put_n = ring_newest(&p.r).n;
        uint64_t had = ring_count(&p.r), oldest = had > 0 ? put_n + 1 - had : put_n + 1;
        if (round % 3 == 0)
            killed(&p);
        else
            stopped(&p);
        uint64_t flips = random_next(&state) % 40, from = round % 4 == 3 ? 0 : RING_PAGE;
        for (uint64_t i = 0; i < flips; i++) {
            char byte;
            uint64_t at = from + random_next(&state) % (file_size() - from);
            if (from == 0 && i < 3)
                at = random_next(&state) % sizeof(struct store_head);
            file_read(&byte, 1, at);
            byte = (char)(byte ^ (1 << random_next(&state) % 8));
            file_write(&byte, 1, at);
        }
        if (round % 5 == 4) {
            uint64_t to = RING_PAGE + random_next(&state) % SIZE;
            ck_assert_int_eq(truncate(path, (off_t)to), 0);
        }
        if (!start(&p, asked())) {
            ck_assert_msg(from == 0 && strstr(p.why, path) == p.why, "%s", p.why);
            unlink(path);
            continue;
        }
        ck_assert_uint_eq(file_size(), RING_PAGE + SIZE);
        uint64_t there = verify(&p, first), missing = 0;
        ck_assert_uint_ge(ring_newest(&p.r).n, there > 0 ? oldest : 0);
        uint64_t next = there > 0 ? ring_at(&p.r, ring_tail(&p.r))->n : 0;
        for (uint64_t at = ring_tail(&p.r); at < ring_head(&p.r); next++) {
            const struct ring_record *rec = ring_at(&p.r, at);
            missing += rec->n - next;
            next = rec->n;
            at = ring_behind(rec, at);
        }
        ck_assert_uint_ge(p.rep.dropped, missing);
        if (flips == 0 && round % 5 != 4)
            ck_assert(there >= had && ring_newest(&p.r).n == put_n);
        stopped(&p);
    }
}
END_TEST

/* A payload that looks like a record, at every place; also a copy of one that is right,
 * elsewhere. */
START_TEST(forged)
{
    static union {
        struct ring_record rec;
        char bytes[SIZE / 64];
    } copy;
    struct process p;
    started(&p, asked());
    uint64_t at = put(&p, &(struct ring_message){.topic = SPAN("t"), .data = SPAN("old")}, 1);
    size_t size = (size_t)ring_record_size(ring_at(&p.r, at));
    for (unsigned shift = 0; shift < RING_ALIGN; shift++) {
        for (size_t i = 0; i + size + RING_ALIGN <= sizeof(copy.bytes); i += size)
            memcpy(copy.bytes + i + shift, ring_at(&p.r, at), size);
        put(&p,
            &(struct ring_message){
                .topic = SPAN("t"), .data = {copy.bytes, sizeof(copy.bytes)}, .binary = true},
            1);
        struct ring_record *rec =
            record_at(&p.r, ring_find(&p.r, ring_newest(&p.r).n - 1) & p.r.mask);
        rec->check[0]++; /* so that it is searched */
    }
    killed(&p);
    started(&p, asked());
    ck_assert_uint_eq(p.rep.messages, 1);
    ck_assert(span_eq(ring_data(ring_at(&p.r, ring_tail(&p.r))), SPAN("old")));
    memcpy(copy.bytes, ring_at(&p.r, ring_tail(&p.r)), size);
    stopped(&p);
    file_write(copy.bytes, size, RING_PAGE + SIZE / 2);
    started(&p, asked());
    ck_assert_uint_eq(p.rep.messages, 1);
    stopped(&p);
}
END_TEST

/* Records that claim to be large, in a torn one: looking through them takes no time. */
START_TEST(forged_is_cheap)
{
    struct process p;
    struct store_ask ask = asked();
    ask.ring = 64 << 20;
    started(&p, ask);
    static char data[4 << 20];
    struct ring_record lie = {.n = 5, .sse_size = 30 << 20, .data_size = 4 << 20, .topic_size = 1};
    for (size_t i = 0; i + sizeof(lie) <= sizeof(data); i += 48)
        memcpy(data + i, &lie, 44);
    for (int i = 0; i < 8; i++) {
        uint64_t at = put(&p,
                          &(struct ring_message){
                              .topic = SPAN("t"), .data = {data, sizeof(data)}, .binary = true},
                          1);
        record_at(&p.r, at & p.r.mask)->check[0]++;
    }
    killed(&p);
    clock_t before = clock();
    started(&p, ask);
    ck_assert_msg(clock() - before < 5 * CLOCKS_PER_SEC, "%ld", (long)(clock() - before));
    ck_assert_uint_eq(p.rep.messages, 0);
    stopped(&p);
}
END_TEST

/* ---- which id comes next ---- */

static const struct {
    enum opt_fsync mode;
    bool clean;
    void (*change)(struct store_state *s);
    bool jumps;
} jumps[] = {
    {OPT_FSYNC_INTERVAL, false, NULL, false},      {OPT_FSYNC_INTERVAL, true, NULL, false},
    {OPT_FSYNC_INTERVAL, false, other_boot, true}, {OPT_FSYNC_INTERVAL, true, other_boot, false},
    {OPT_FSYNC_NEVER, false, other_boot, true},    {OPT_FSYNC_NEVER, true, other_boot, false},
    {OPT_FSYNC_ALWAYS, false, other_boot, false},  {OPT_FSYNC_ALWAYS, true, other_boot, false},
    {OPT_FSYNC_ALWAYS, true, other_file, true},    {OPT_FSYNC_ALWAYS, false, NULL, false},
};

START_TEST(jump)
{
    struct process p;
    struct store_ask ask = asked();
    ask.mode = jumps[_i].mode;
    started(&p, ask);
    put_many(&p, 1, 50);
    if (jumps[_i].clean)
        stopped(&p);
    else
        killed(&p);
    if (jumps[_i].change != NULL)
        state_change(jumps[_i].change);
    started(&p, ask);
    ck_assert_uint_eq(p.rep.jumped, jumps[_i].jumps ? STORE_JUMP : 0);
    ck_assert_uint_eq(ring_newest(&p.r).n, jumps[_i].jumps ? STORE_JUMP : 50);
    ck_assert_uint_eq(p.rep.dropped, 0);
    ck_assert_int_eq(lost(&p, "t/1", 50), jumps[_i].jumps);
    ck_assert_int_eq(lost(&p, "t/1", STORE_JUMP - 1), jumps[_i].jumps);
    ck_assert(!lost(&p, "t/1", STORE_JUMP));
    put_many(&p, 1, 20);
    ck_assert_uint_eq(verify(&p, 1), 70);
    stopped(&p);
    started(&p, ask);
    ck_assert(p.rep.jumped == 0 && p.rep.dropped == 0 && p.rep.places == 0);
    ck_assert_int_eq(lost(&p, "t/1", 50), jumps[_i].jumps);
    ck_assert(!lost(&p, "t/1", STORE_JUMP));
    ck_assert_uint_eq(verify(&p, 1), 70);
    killed(&p);
    if (!jumps[_i].jumps)
        return;
    state_change(jumps[_i].change);
    started(&p, ask);
    ck_assert_uint_eq(ring_newest(&p.r).n, 2 * STORE_JUMP);
    stopped(&p);
}
END_TEST

/* The newest ids are lost, yet none is given twice. */
START_TEST(hint)
{
    struct process p;
    started(&p, asked());
    put_many(&p, 1, 50);
    ck_assert_int_eq(store_tick(&p.st, &p.r), 0);
    for (uint64_t n = 31; n <= 50; n++)
        p.r.arena[(ring_find(&p.r, n - 1) & p.r.mask) + 5]++;
    killed(&p);
    started(&p, asked());
    ck_assert(p.rep.dropped == 20 && ring_newest(&p.r).n == 50 && p.rep.messages == 30);
    ck_assert(lost(&p, "t/1", 49) && !lost(&p, "t/1", 50));
    put_many(&p, 1, 1);
    ck_assert_uint_eq(verify(&p, 1), 31);
    stopped(&p);
}
END_TEST

/* One copy of the state is damaged: the other counts. Both: the ids jump. */
START_TEST(states)
{
    struct process p;
    started(&p, asked());
    put_many(&p, 1, 50);
    stopped(&p);
    struct store_head h;
    file_read(&h, sizeof(h), 0);
    int newest = state_newest(&h);
    ck_assert(newest >= 0 && h.state[newest].mark == STORE_CLEAN);
    h.state[newest].n++;
    file_write(&h, sizeof(h), 0);
    started(&p, asked());
    ck_assert(p.rep.unclean && p.rep.jumped == 0 && verify(&p, 1) == 50);
    stopped(&p);
    memset(h.state, 0x55, sizeof(h.state));
    file_write(&h, sizeof(h), 0);
    started(&p, asked());
    ck_assert(p.rep.unclean && p.rep.jumped == STORE_JUMP && verify(&p, 1) == 50);
    stopped(&p);
}
END_TEST

/* ---- what can't be opened ---- */

static void head_change(size_t at, uint32_t value)
{
    struct process p;
    unlink(path);
    started(&p, asked());
    stopped(&p);
    file_write(&value, sizeof(value), at);
}

START_TEST(refusals)
{
    struct process p, q;
    static char bytes[SIZE];
    started(&p, asked());
    ck_assert(!start(&q, asked()));
    ck_assert_msg(strstr(q.why, "in use by another process") != NULL, "%s", q.why);
    stopped(&p);
    head_change(offsetof(struct store_head, magic), 0x12345678);
    refused("is not a store");
    head_change(offsetof(struct store_head, order), 0x04030201);
    refused("other byte order");
    head_change(offsetof(struct store_head, version), 77);
    refused("its format is 77");
    head_change(offsetof(struct store_head, size), 64 << 20);
    refused("header is damaged");
    head_change(offsetof(struct store_head, key), 1);
    refused("header is damaged");
    head_change(offsetof(struct store_head, epoch), 1);
    refused("header is damaged");
    head_change(offsetof(struct store_head, epoch), 1);
    ck_assert_int_eq(truncate(path, 100), 0);
    refused("cut off within its header");
    ck_assert_uint_eq(file_size(), 100); /* nothing was written */
    unlink(path);
    started(&p, asked());
    stopped(&p);
    uint64_t whole = file_size();
    file_write("more", 4, whole); /* longer than its header says */
    refused("is longer than its header says");
    ck_assert_uint_eq(file_size(), whole + 4);
    file_write("root:x:0:0", 10, 0);
    refused("is not a store");
    ck_assert_int_eq(truncate(path, 3), 0);
    refused("is not a store");
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_eq(truncate(path, SIZE), 0); /* zeros, but not as many as a store's */
    refused("is not a store");
    file_read(bytes, SIZE, 0);
    for (size_t i = 0; i < SIZE; i++)
        ck_assert(bytes[i] == 0);
    unlink(path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    refused("Is a directory");
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    refused("not a regular file");
    unlink(path);
    char saved[sizeof(path)];
    memcpy(saved, path, sizeof(path));
    snprintf(path, sizeof(path), "%.60s/none/store", dir);
    refused("No such file");
    memcpy(path, saved, sizeof(path));
}
END_TEST

START_TEST(read_only)
{
    struct process p;
    started(&p, asked());
    stopped(&p);
    ck_assert_int_eq(chmod(dir, 0755), 0);
    ck_assert_int_eq(chmod(path, 0444), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && setuid(65534) == -1)
            _exit(1);
        _exit(!start(&p, asked()) && strstr(p.why, "Permission denied") != NULL ? 0 : 1);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(no_room)
{
    struct process p;
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {SIZE, SIZE};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    refused("no room for 327680 bytes");
    ck_assert_int_eq(access(path, F_OK), -1);
    file_write("", 0, 0);
    refused("no room");
    ck_assert_uint_eq(file_size(), 0); /* it was there, and is as it was */
    struct store_ask ask = asked();
    ask.ring = RING_MIN;
    started(&p, ask); /* one that is empty is as good as none */
    ck_assert(p.rep.created);
    stopped(&p);
}
END_TEST

/* Made, but not finished when the machine went down: its first page is still zero. */
START_TEST(unfinished)
{
    struct process p;
    ck_assert_int_eq(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
    ck_assert_int_eq(truncate(path, RING_PAGE + 2 * RING_MIN), 0);
    started(&p, asked());
    ck_assert(p.rep.created && file_size() == RING_PAGE + SIZE);
    put_many(&p, 1, 10);
    stopped(&p);
    started(&p, asked());
    ck_assert(!p.rep.created && verify(&p, 1) == 10);
    stopped(&p);
    /* Its first page was lost: that is no new one, there are messages in it. */
    static const char zeros[RING_PAGE];
    file_write(zeros, sizeof(zeros), 0);
    refused("is not a store");
}
END_TEST

START_TEST(topics_full)
{
    struct process p;
    started(&p, asked());
    put_many(&p, 1, 200);
    stopped(&p);
    topics_most = 3;
    for (int i = 0; i < 2; i++) {
        started(&p, asked());
        ck_assert(p.rep.messages > 10 && p.rep.messages < 200);
        ck_assert_uint_eq(p.rep.topics_full > 0, i == 0);
        ck_assert_uint_eq(p.r.h->n, 200);
        stopped(&p);
    }
    topics_most = 0;
}
END_TEST

/* ---- syncing, handing over ---- */

/* Without the thread, as store_start_thread() is not called: the caller syncs. */
static void hold(struct process *p, uint64_t n)
{
    struct ring_message m = {.topic = span_of("t"), .data = {"held", 4}};
    uint32_t id = topic_find(&p->t, m.topic);
    if (id == 0)
        put(p, &m, EPOCH);
    id = topic_find(&p->t, m.topic);
    for (; n > 0; n--)
        ck_assert_uint_ne(broker_hold(&p->b, id, &m, EPOCH), 0);
}

START_TEST(holds)
{
    struct process p;
    struct store_ask ask = asked();
    ask.mode = OPT_FSYNC_ALWAYS;
    started(&p, ask);
    hold(&p, 3);
    __atomic_store_n(&synced_times, 0, __ATOMIC_SEQ_CST);
    store_sync_begin(&p.st, &p.r);
    ck_assert_uint_eq(p.st.synced, ring_end(&p.r));
    hold(&p, 2); /* of the next */
    ck_assert_int_eq(store_sync_wait(&p.st), 0);
    ck_assert_int_eq(__atomic_load_n(&synced_times, __ATOMIC_SEQ_CST), 1);
    for (int i = 0; i < 3; i++)
        broker_show(&p.b);
    ck_assert(ring_head(&p.r) == p.st.synced && ring_end(&p.r) > p.st.synced);
    ck_assert_int_eq(store_sync_result(&p.st), 0); /* none is under way */
    __atomic_store_n(&sync_errs, 1, __ATOMIC_SEQ_CST);
    store_sync_begin(&p.st, &p.r);
    ck_assert_int_eq(store_sync_wait(&p.st), -EIO);
    ck_assert_int_eq(store_sync_result(&p.st), -EIO); /* for good */
    ck_assert_int_eq(store_close(&p.st, &p.r), -EIO);
    ring_close(&p.r);
    release(&p);
    started(&p, ask); /* what was held is in the file, and may not be on the disk */
    ck_assert(p.rep.failed && p.rep.messages == 6 && p.rep.jumped == STORE_JUMP);
    stopped(&p);
}
END_TEST

static void wait_syncs(int n)
{
    for (int i = 0; i < 60000 && __atomic_load_n(&synced_times, __ATOMIC_SEQ_CST) < n; i++)
        usleep(1000);
    usleep(2000);
    ck_assert_int_eq(__atomic_load_n(&synced_times, __ATOMIC_SEQ_CST), n);
}

START_TEST(intervals)
{
    struct process p;
    struct store_ask ask = asked();
    ask.mode = OPT_FSYNC_INTERVAL;
    started(&p, ask);
    __atomic_store_n(&synced_times, 0, __ATOMIC_SEQ_CST);
    ck_assert_int_eq(store_tick(&p.st, &p.r), 0);
    wait_syncs(0);
    put_many(&p, 1, 3);
    ck_assert_int_eq(store_tick(&p.st, &p.r), 0);
    wait_syncs(1);
    ck_assert_int_eq(store_tick(&p.st, &p.r), 0);
    wait_syncs(1);
    put_many(&p, 1, 1);
    __atomic_store_n(&sync_errs, 1, __ATOMIC_SEQ_CST);
    int err = store_tick(&p.st, &p.r); /* its thread may have failed before this returns */
    ck_assert(err == 0 || err == -EIO);
    wait_syncs(2);
    for (int i = 0; i < 60000 && err == 0; i++) { /* it counts before it fails */
        usleep(1000);
        err = store_tick(&p.st, &p.r);
    }
    ck_assert_int_eq(err, -EIO);
    ck_assert_int_eq(store_tick(&p.st, &p.r), -EIO); /* no other makes it good */
    ck_assert(!pthread_equal(p.st.id, pthread_self()));
    ck_assert_int_eq(store_close(&p.st, &p.r), -EIO);
    ring_close(&p.r);
    release(&p);
    started(&p, ask);
    ck_assert(p.rep.failed && p.rep.messages == 4 && p.rep.jumped == STORE_JUMP);
    stopped(&p);
}
END_TEST

/* The next program of this process goes on with ring and store; the lock stays. */
START_TEST(handed_over)
{
    struct process p, q;
    struct ring r;
    struct store st = {.h = NULL};
    struct store_ask ask = asked();
    ask.mode = (enum opt_fsync)_i;
    started(&p, ask);
    put_many(&p, 1, 40);
    ck_assert_int_eq(store_stop_thread(&p.st), 0);
    ck_assert_int_eq(ring_attach(&r, dup(p.r.table_fd), dup(p.r.arena_fd), p.r.arena_from, p.r.size,
                                 p.r.key ^ 1),
                     0);
    ck_assert_int_eq(store_attach(&st, &r, ask.mode), -EINVAL);
    r.key ^= 1;
    ck_assert_int_eq(store_attach(&st, &r, ask.mode), 0);
    store_start_thread(&st);
    ring_close(&p.r);
    p.r = r;
    broker_init(&p.b, &p.r, &p.t, p.memory[4], p.memory[5]);
    ck_assert(!start(&q, asked()));
    ck_assert_uint_eq(verify(&p, 1), 40);
    put_many(&p, 1, 40);
    ck_assert_int_eq(store_tick(&st, &p.r), 0);
    ck_assert_int_eq(store_close(&st, &p.r), 0);
    ring_close(&p.r);
    release(&p);
    started(&q, asked());
    ck_assert(!q.rep.unclean && verify(&q, 1) == 80);
    stopped(&q);
}
END_TEST

START_TEST(described)
{
    static const struct {
        struct store_report rep;
        const char *words;
    } rows[] = {
        {{.created = true, .unclean = true}, "0 messages, made"},
        {{.messages = 1}, "1 message"},
        {{.messages = 7, .unclean = true, .jumped = 1000000000},
         "7 messages, was not closed, ids jump to 1000000000"},
        {{.messages = 7,
          .resized_from = 65536,
          .cut = 5,
          .dropped = 1,
          .places = 2,
          .bytes = 300,
          .topics_full = 4},
         "7 messages, was of 65536 bytes, was short by 5 bytes, 1 missing, damaged in 2 places, "
         "300 bytes of them, 4 left out for want of topics"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char bytes[256] = "";
        struct text t = text_in(bytes, sizeof(bytes) - 1);
        store_describe(&rows[i].rep, &t);
        ck_assert_str_eq(bytes, rows[i].words);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("store");
    TCase *c = tcase_create("store");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, enter, leave);
    tcase_add_test(c, created);
    tcase_add_loop_test(c, reopened, 0, 2);
    tcase_add_test(c, sigkill);
    tcase_add_test(c, own_topic);
    tcase_add_test(c, resized);
    tcase_add_test(c, resize_fails);
    tcase_add_test(c, torn_last);
    tcase_add_test(c, hole);
    tcase_add_loop_test(c, random_damage, 0, 12);
    tcase_add_test(c, forged);
    tcase_add_test(c, forged_is_cheap);
    tcase_add_loop_test(c, jump, 0, COUNT(jumps));
    tcase_add_test(c, hint);
    tcase_add_test(c, states);
    tcase_add_test(c, refusals);
    tcase_add_test(c, read_only);
    tcase_add_test(c, no_room);
    tcase_add_test(c, unfinished);
    tcase_add_test(c, topics_full);
    tcase_add_test(c, holds);
    tcase_add_test(c, intervals);
    tcase_add_loop_test(c, handed_over, 0, 3);
    tcase_add_test(c, described);
    suite_add_tcase(s, c);
    return run(s);
}
