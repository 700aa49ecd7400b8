/*
 * ring.c - the log: exact bytes, the double mapping, eviction and what it leaves
 * behind, finding and its costs, broken contracts. test/unit/broker_model.c has random operations.
 *
 * ring.c is included, so that its reads of records are counted and its system calls fail on demand.
 */
#include "ring.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test/kit/kit.h"

/* ---- ring.c, watched ---- */

static uint64_t reads; /* records that ring.c looked at */
static int fail_at;    /* this system call fails; 0: none */

static bool fails(void)
{
    errno = ENFILE;
    return fail_at > 0 && --fail_at == 0;
}

#define ring_at(r, at)    (reads++, ring_at(r, at))
#define memfd_create(...) (fails() ? -1 : memfd_create(__VA_ARGS__))
#define ftruncate(...)    (fails() ? -1 : ftruncate(__VA_ARGS__))
#define mmap(...)         (fails() ? MAP_FAILED : mmap(__VA_ARGS__))
#include "../../ring.c" /* not the test of that name */ /* NOLINT(bugprone-suspicious-include) */
#undef ring_at
#undef memfd_create
#undef ftruncate
#undef mmap

#define EPOCH UINT64_C(1790000000000)

static struct ring opened_at(uint64_t size, uint64_t epoch)
{
    struct ring r;
    ck_assert_int_eq(ring_open(&r, size, epoch), 0);
    ck_assert_ptr_nonnull(r.index);
    return r;
}

static struct ring opened(uint64_t size)
{
    return opened_at(size, EPOCH);
}

static uint64_t put(struct ring *r, size_t size, uint64_t now)
{
    static char data[1 << 20];
    if (data[0] == '\0')
        memset(data, 'x', sizeof(data));
    struct ring_message m = {.topic = SPAN("t"), .data = {data, size}};
    return ring_put(r, &m, now);
}

/* ---- bytes ---- */

static const struct {
    int line;
    struct ring_message m;
    struct span sse; /* for several topics; for one, `skip` bytes less */
    unsigned skip, flags;
} rows[] = {
/* clang-format off */
#define ROW(name, named, bytes, coded, skip, flags, sse)                                           \
    {__LINE__, {.topic = {"" name, sizeof(name) - 1}, .event = {"" named, sizeof(named) - 1},      \
     .data = {"" bytes, sizeof(bytes) - 1}, .binary = (coded), .end = ((flags) & RING_END) != 0,   \
     .bare = ((flags) & RING_BARE) != 0}, {"" sse, sizeof(sse) - 1}, skip, flags}
    /* clang-format on */
    ROW("news", "", "hi", false, 12, 0, "event: news\ndata: hi\nid: 1790000000000-1\n\n"),
    ROW("news", "up", "hi", false, 0, RING_NAMED, "event: up\ndata: hi\nid: 1790000000000-1\n\n"),
    ROW("a", "a", "hi", false, 0, RING_NAMED, "event: a\ndata: hi\nid: 1790000000000-1\n\n"),
    ROW("gap", "", "hi", false, 12, 0, "event: /gap\ndata: hi\nid: 1790000000000-1\n\n"),
    ROW("expired", "", "a\nb", false, 16, RING_APART,
        "event: /expired\ndata: a\ndata: b\nid: 1790000000000-1\n\n"),
    ROW("error", "", "hi", false, 14, 0, "event: /error\ndata: hi\nid: 1790000000000-1\n\n"),
    ROW("open", "", "hi", false, 13, 0, "event: /open\ndata: hi\nid: 1790000000000-1\n\n"),
    ROW("hello", "", "hi", false, 14, 0, "event: /hello\ndata: hi\nid: 1790000000000-1\n\n"),
    ROW("heartbeat", "", "hi", false, 18, 0,
        "event: /heartbeat\ndata: hi\nid: 1790000000000-1\n\n"),
    ROW("error/x", "", "hi", false, 15, 0, "event: error/x\ndata: hi\nid: 1790000000000-1\n\n"),
    ROW("gap", "x", "hi", false, 0, RING_NAMED, "event: x\ndata: hi\nid: 1790000000000-1\n\n"),
    ROW("gap/x", "", "hi", false, 13, 0, "event: gap/x\ndata: hi\nid: 1790000000000-1\n\n"),
    ROW("a", "", "", false, 9, 0, "event: a\ndata: \nid: 1790000000000-1\n\n"),
    ROW("a", "", "x\ny\r\nz\r", false, 9, RING_APART,
        "event: a\ndata: x\ndata: y\ndata: z\ndata: \nid: 1790000000000-1\n\n"),
    ROW("a", "", "\0\1\2", true, 9, RING_BINARY | RING_APART,
        "event: a\ndata: data:;base64,AAEC\nid: 1790000000000-1\n\n"),
    ROW("a", "b", "", true, 0, RING_NAMED | RING_BINARY | RING_APART,
        "event: b\ndata: data:;base64,\nid: 1790000000000-1\n\n"),
    ROW("ended", "", "hi", false, 14, 0, "event: /ended\ndata: hi\nid: 1790000000000-1\n\n"),
    ROW("a\"b", "", "hi", false, 11, RING_END,
        "event: a\"b\ndata: hi\nid: 1790000000000-1\n\n"
        "event: ended\ndata: {\"topic\":\"a\\\"b\"}\nid: 1790000000000-1\n\n"),
    ROW("a", "b", "x\ny", false, 0, RING_NAMED | RING_APART | RING_END,
        "event: b\ndata: x\ndata: y\nid: 1790000000000-1\n\n"
        "event: ended\ndata: {\"topic\":\"a\"}\nid: 1790000000000-1\n\n"),
    ROW("a", "", "", false, 0, RING_END | RING_BARE,
        "event: ended\ndata: {\"topic\":\"a\"}\nid: 1790000000000-1\n\n"),
#undef ROW
};

START_TEST(exact)
{
    int line = rows[_i].line;
    const struct ring_message *m = &rows[_i].m;
    struct ring r = opened(RING_MIN);
    ck_assert_uint_eq(ring_put(&r, m, 12345), RING_MIN);
    const struct ring_record *rec = ring_at(&r, RING_MIN);
    struct span sse = ring_sse(rec, true);
    ck_assert_msg(span_eq(sse, rows[_i].sse), "line %d: %.*s", line, (int)sse.n, sse.p);
    ck_assert_msg(span_eq(ring_sse(rec, false), span_from(sse, rows[_i].skip)), "line %d", line);
    ck_assert_msg(rec->flags == rows[_i].flags, "line %d: flags %u", line, rec->flags);
    ck_assert_msg(span_eq(ring_data(rec), m->data), "line %d: data", line);
    ck_assert_msg(span_eq(ring_event(rec), m->event), "line %d: event", line);
    ck_assert_msg(span_eq(ring_topic(rec), m->topic), "line %d: topic", line);
    ck_assert(rec->n == 1 && rec->time_ms == 12345);
    ck_assert_uint_eq(rec->size % RING_ALIGN, 0);
    ck_assert_uint_eq(ring_head(&r), ring_behind(rec, RING_MIN));
    ring_close(&r);
}
END_TEST

START_TEST(empty)
{
    struct ring r = opened(RING_MIN);
    ck_assert_uint_eq(ring_head(&r), RING_MIN);
    ck_assert_uint_eq(ring_tail(&r), RING_MIN);
    ck_assert_uint_eq(ring_count(&r), 0);
    ck_assert_uint_eq(ring_newest(&r).ms, EPOCH);
    ck_assert_uint_eq(ring_newest(&r).n, 0);
    ck_assert_uint_eq(ring_find(&r, 0), RING_MIN);
    ck_assert_uint_eq(ring_find_time(&r, 0), RING_MIN);
    ck_assert_uint_eq(ring_find_from(&r, 0), RING_MIN);
    ck_assert_uint_eq(ring_before(&r, RING_MIN).n, 0);
    ck_assert_uint_eq(ring_expire(&r, UINT64_MAX, 100), 0);
    ck_assert_uint_eq(ring_lost(&r) + ring_hole(&r), 0);
    ring_close(&r);
    ck_assert_ptr_null(r.h);
}
END_TEST

/* The id is counted on as text; this is where it gets a digit more, and at the largest epoch. */
START_TEST(ids_as_text)
{
    static const uint64_t epochs[] = {0, 9, EPOCH, 9999999999999, UINT64_MAX};
    for (size_t e = 0; e < COUNT(epochs); e++) {
        struct ring r = opened_at(RING_MIN, epochs[e]);
        for (uint64_t n = 1; n <= 11000; n++) {
            char want[64];
            struct text t = text_in(want, sizeof(want));
            text_str(&t, "data: \nid: ");
            cursor_write(&t, (struct cursor){epochs[e], n});
            text_str(&t, "\n\n");
            struct span got = ring_sse(ring_at(&r, put(&r, 0, 0)), false);
            if (!span_eq(got, text_span(&t)))
                ck_abort_msg("%.*s", (int)got.n, got.p);
        }
        ring_close(&r);
    }
}
END_TEST

/* ---- the mapping ---- */

static size_t count_maps(void)
{
    char line[512];
    size_t n = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof(line), f) != NULL)
        n += strstr(line, "memfd:ring") != NULL ? 1 : 0;
    ck_assert_int_eq(fclose(f), 0);
    return n;
}

/* The lowest descriptor that is free. */
static int free_fd(void)
{
    int fd = dup(0);
    ck_assert_int_ne(close(fd), -1);
    return fd;
}

static unsigned long pages_resident(void)
{
    unsigned long total = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fscanf(f, "%lu %lu", &total, &resident), 2);
    ck_assert_int_eq(fclose(f), 0);
    return resident;
}

START_TEST(leaves_nothing_open)
{
    int fd = free_fd();
    for (fail_at = 0; fail_at <= 8; fail_at++) {
        struct ring r;
        int at = fail_at, err = ring_open(&r, RING_MIN, EPOCH);
        ck_assert_int_eq(err, at >= 1 ? -ENFILE : 0);
        ck_assert_uint_eq(count_maps(), err == 0 ? 3 : 0);
        if (err == 0)
            ring_close(&r);
        ck_assert_uint_eq(count_maps(), 0);
        ck_assert_int_eq(free_fd(), fd);
        fail_at = at;
    }
    struct ring r;
    fail_at = 9;
    ck_assert_int_eq(ring_open(&r, RING_MIN, EPOCH), 0); /* there is no ninth */
    ring_close(&r);
}
END_TEST

/* Another program's ring_attach(): all is there, and both go on in the same ring. */
START_TEST(attached)
{
    struct ring a = opened(RING_MIN), b;
    for (int i = 0; i < 200; i++)
        put(&a, 700, 5);
    int table = dup(a.table_fd), arena = dup(a.arena_fd), fd = free_fd();
    ck_assert_int_eq(ring_attach(&b, table, arena, 0, RING_MIN, 0), 0);
    ck_assert(b.h != a.h && b.arena != a.arena);
    ck_assert_uint_eq(ring_newest(&b).n, 200);
    ck_assert_uint_eq(ring_newest(&b).ms, EPOCH);
    uint64_t at = put(&b, 700, 6);
    ck_assert_uint_eq(ring_at(&a, at)->n, 201);
    ck_assert_uint_eq(ring_head(&a), ring_head(&b));
    ck_assert_uint_eq(ring_find(&b, 200), at);
    ring_close(&a);
    put(&b, 700, 7);
    ring_close(&b);
    ck_assert_uint_eq(count_maps(), 0);
    ck_assert_int_ge(fd, free_fd());
}
END_TEST

START_TEST(attaches_no_other)
{
    struct ring a = opened(RING_MIN), b;
    int pipes[2], table = a.table_fd, arena = a.arena_fd;
    ck_assert_int_eq(pipe(pipes), 0);
    ck_assert_int_eq(ring_attach(&b, table, arena, 0, 2 * RING_MIN, 0), -EINVAL);
    ck_assert_int_eq(ring_attach(&b, table, arena, 0, 3 * RING_MIN, 0), -EINVAL);
    ck_assert_int_eq(ring_attach(&b, table, arena, 0, RING_MIN / 2, 0), -EINVAL);
    ck_assert_int_eq(ring_attach(&b, table, arena, RING_PAGE, RING_MIN, 0), -EINVAL);
    ck_assert_int_eq(ring_attach(&b, table, arena, 1, RING_MIN, 0), -EINVAL);
    ck_assert_int_eq(ring_attach(&b, arena, table, 0, RING_MIN, 0), -EINVAL);
    ck_assert_int_eq(ring_attach(&b, pipes[0], arena, 0, RING_MIN, 0), -EINVAL);
    ck_assert_int_eq(ring_attach(&b, -1, arena, 0, RING_MIN, 0), -EBADF);
    ck_assert_uint_eq(count_maps(), 3);
    for (fail_at = 1; fail_at <= 4; fail_at++) {
        int at = fail_at;
        ck_assert_int_eq(ring_attach(&b, table, arena, 0, RING_MIN, 0), -ENFILE);
        ck_assert_uint_eq(count_maps(), 3);
        fail_at = at;
    }
    fail_at = 0;
    a.h->tail += RING_ALIGN;
    ck_assert_int_eq(ring_attach(&b, table, arena, 0, RING_MIN, 0), -EINVAL);
    a.h->tail -= RING_ALIGN;
    ck_assert_int_eq(ring_attach(&b, table, arena, 0, RING_MIN, 0), 0);
    ck_assert_int_eq(close(pipes[0]) | close(pipes[1]), 0);
    ring_close(&b); /* the descriptors are the same */
}
END_TEST

/* As much as is used is there, however large the ring. */
START_TEST(sparse)
{
    struct ring r = opened(RING_MIN);
    put(&r, 1000, 1); /* the message's own memory */
    ring_close(&r);
    unsigned long before = pages_resident(), page = (unsigned long)sysconf(_SC_PAGESIZE);
    r = opened(UINT64_C(8) << 30);
    for (int i = 0; i < 100; i++)
        put(&r, 1000, 1);
    unsigned long used = (pages_resident() - before) * page;
    ck_assert_msg(used < (1u << 20), "%lu bytes", used);
    ring_close(&r);
}
END_TEST

START_TEST(mapped_twice)
{
    struct ring r = opened(RING_MIN);
    unsigned crossed = 0;
    for (int i = 0; i < 1000; i++) {
        char data[500];
        memset(data, 'A' + i % 26, sizeof(data));
        struct ring_message m = {.topic = SPAN("t"), .data = {data, 100 + (size_t)i % 400}};
        uint64_t at = ring_put(&r, &m, 0), head = ring_head(&r);
        ck_assert(span_eq(ring_data(ring_at(&r, at)), m.data));
        if ((at & r.mask) + (head - at) <= r.size)
            continue;
        /* Its end was written behind the arena's end, and is read at its start. */
        crossed++;
        size_t over = (size_t)((at & r.mask) + (head - at) - r.size);
        ck_assert(memcmp(r.arena, r.arena + r.size, over) == 0);
        ck_assert(memchr(r.arena, data[0], over) != NULL || over < 64);
    }
    ck_assert_uint_ge(crossed, 3);
    ck_assert(memcmp(r.arena, r.arena + r.size, r.size) == 0);
    r.arena[17]++;
    ck_assert(r.arena[17] == r.arena[r.size + 17]);
    ring_close(&r);
}
END_TEST

START_TEST(largest)
{
    static char data[RING_MIN / 16];
    static char name[RING_NAME_MAX];
    memset(name, 'n', sizeof(name));
    struct ring r = opened(RING_MIN);
    ck_assert_uint_eq(ring_message_max(r.size), sizeof(data));
    ck_assert_uint_eq(ring_message_max(RING_MAX), RING_MESSAGE_MAX);
    for (int i = 0; i < 40; i++) {
        memset(data, i % 4 == 0 ? '\r' : '\n', sizeof(data));
        struct ring_message m = {.topic = {name, sizeof(name)},
                                 .event = {name, (size_t)i % (RING_NAME_MAX + 1)},
                                 .data = {data, sizeof(data)},
                                 .binary = i % 3 == 2};
        uint64_t at = ring_put(&r, &m, 0);
        const struct ring_record *rec = ring_at(&r, at);
        ck_assert(span_eq(ring_data(rec), m.data));
        ck_assert(span_eq(ring_topic(rec), m.topic));
        ck_assert_uint_ge(ring_count(&r), 1);
        ck_assert_uint_eq(rec->n, (unsigned)i + 1);
    }
    ring_close(&r);
}
END_TEST

/* ---- eviction ---- */

static uint64_t told_tail; /* where the tail was when ring_tell() last told of an eviction */
static unsigned told_times;

static void evicts(void *ring)
{
    const struct ring *r = ring;
    told_tail = ring_tail(r);
    told_times++;
    ck_assert_uint_gt(ring_at(r, told_tail)->n, ring_lost(r)); /* it is there still */
}

START_TEST(evicts_oldest)
{
    struct ring r = opened(RING_MIN);
    uint64_t at[200];
    put(&r, 10, 0);
    ring_tell(&r, evicts, &r);
    for (int i = 0; i < 200; i++)
        at[i] = put(&r, 1000, 0);
    uint64_t count = ring_count(&r);
    ck_assert_uint_eq(ring_tail(&r), at[200 - count]);
    ck_assert_uint_eq(told_tail, at[200 - count - 1]);
    ck_assert_uint_eq(told_times, 201 - count);
    ck_assert_uint_eq(ring_lost(&r), 201 - count);
    /* No more than had to be. */
    ck_assert_uint_gt(ring_head(&r) - told_tail, r.size);
    ring_close(&r);
}
END_TEST

/* The id before each record is that of the one before it, whether that is there or not. */
START_TEST(before)
{
    struct ring r = opened(RING_MIN);
    for (unsigned i = 0; i < 700; i++)
        put(&r, i * 37 % 500, 0);
    uint64_t n = ring_lost(&r), at = ring_tail(&r);
    ck_assert_uint_gt(n, 0);
    for (; at < ring_head(&r); at = ring_behind(ring_at(&r, at), at)) {
        ck_assert(ring_before(&r, at).n == n && ring_before(&r, at).ms == EPOCH);
        ck_assert_uint_eq(ring_number(&r, at), ring_at(&r, at)->n);
        ck_assert(ring_find(&r, n) == at && ring_find_from(&r, ring_at(&r, at)->n) == at);
        n = ring_at(&r, at)->n;
    }
    ck_assert(ring_before(&r, at).n == n && n == ring_newest(&r).n);
    ring_close(&r);
}
END_TEST

START_TEST(expires)
{
    struct ring r = opened(RING_MIN);
    uint64_t at[10];
    for (unsigned i = 0; i < 10; i++)
        at[i] = put(&r, 1, 100 + i);
    ck_assert_uint_eq(ring_expire(&r, 100, 10), 0);
    ck_assert_uint_eq(ring_expire(&r, 105, 2), 2);
    ck_assert_uint_eq(ring_tail(&r), at[2]);
    ck_assert_uint_eq(ring_expire(&r, 105, 0), 0);
    ck_assert_uint_eq(ring_expire(&r, 105, 10), 3);
    ck_assert_uint_eq(ring_tail(&r), at[5]);
    ck_assert_uint_eq(ring_lost(&r), 5);
    ck_assert_uint_eq(ring_expire(&r, UINT64_MAX, 100), 5);
    ck_assert_uint_eq(ring_count(&r), 0);
    ck_assert_uint_eq(ring_tail(&r), ring_head(&r));
    uint64_t next = put(&r, 1, 200);
    ck_assert_uint_eq(ring_before(&r, next).n, 10);
    ck_assert_uint_eq(ring_find(&r, 3), next);
    ck_assert_uint_eq(ring_find(&r, 11), ring_head(&r));
    ring_close(&r);
}
END_TEST

/* Nobody sees what is held, and it is not evicted. */
START_TEST(holds)
{
    struct ring r = opened(RING_MIN);
    struct ring_message m = {.topic = SPAN("t"), .data = SPAN("x")};
    uint64_t at[3000], all = 0;
    char id[CURSOR_MAX];
    put(&r, 1, 100);
    uint64_t head = ring_head(&r);
    while ((at[all] = ring_hold(&r, &m, 100)) != 0)
        all++;
    ck_assert(all > 200 && r.h->held_size <= RING_MIN / 2 && r.h->held_size > RING_MIN / 2 - 200);
    ck_assert(ring_head(&r) == head && ring_newest(&r).n == 1 && ring_given(&r) == all + 1);
    ck_assert(ring_count(&r) == 1 && ring_find(&r, 1) == head);
    ck_assert_uint_eq(ring_expire(&r, 200, 5000), 1);
    ck_assert(ring_tail(&r) == head);
    for (uint64_t i = 0; i < all; i++) {
        struct text t = text_in(id, sizeof id), want = text_in((char[CURSOR_MAX]){0}, CURSOR_MAX);
        ck_assert_uint_eq(ring_show(&r), at[i]);
        ck_assert(ring_newest(&r).n == i + 2 && ring_at(&r, at[i])->n == i + 2);
        ring_id_write(&r, &t, i + 2);
        cursor_write(&want, ring_newest(&r));
        ck_assert(span_eq(text_span(&t), text_span(&want)));
    }
    ck_assert(ring_end(&r) == ring_head(&r) && ring_count(&r) == all);
    ring_close(&r);
}
END_TEST

/* The largest message is held alone, whatever else goes for it. */
START_TEST(holds_largest)
{
    static char data[RING_MIN / 16];
    struct ring r = opened(RING_MIN);
    memset(data, '\n', sizeof data);
    struct ring_message m = {.topic = SPAN("t"), .data = {data, sizeof data}};
    for (int i = 0; i < 3; i++) {
        uint64_t at = ring_hold(&r, &m, 1);
        ck_assert_uint_ne(at, 0);
        ck_assert_uint_eq(ring_hold(&r, &m, 1), 0);
        ck_assert_uint_eq(ring_show(&r), at);
    }
    ring_close(&r);
}
END_TEST

/* Ages go by the ring's clock, whatever the wall clock was. */
START_TEST(ages)
{
    struct ring r = opened(RING_MIN);
    const uint64_t wall[] = {5000, 9000, 100, 5100};
    for (uint64_t i = 0; i < 4; i++) {
        r.clock_ms = 1000 + i;
        put(&r, 1, wall[i]);
        ck_assert_uint_eq(ring_at(&r, ring_find_time(&r, 1000 + i))->time_ms, wall[i]);
    }
    for (uint64_t i = 0; i < 4; i++)
        ck_assert_uint_eq(ring_expire(&r, 1001 + i, 5), 1);
    ring_close(&r);
}
END_TEST

/* ---- finding ---- */

/* The wall clock is set back: an earlier record may be given, never a later one. */
START_TEST(time_set_back)
{
    static const uint64_t times[] = {10, 20, 5, 6, 20, 21, 7, 30};
    static const unsigned first[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1,
                                     1, 1, 1, 1, 1, 5, 7, 7, 7, 7, 7, 7, 7, 7, 7};
    struct ring r = opened(RING_MIN);
    uint64_t at[COUNT(times)];
    for (size_t i = 0; i < COUNT(times); i++)
        at[i] = put(&r, 1000, times[i]);
    for (uint64_t ms = 0; ms < COUNT(first); ms++)
        ck_assert_uint_eq(ring_find_time(&r, ms), at[first[ms]]);
    ck_assert_uint_eq(ring_find_time(&r, 31), ring_head(&r));
    ring_expire(&r, 100, 2);
    ck_assert_uint_eq(ring_find_time(&r, 6), at[2]); /* not at[3]: the clock had been further */
    ck_assert_uint_eq(ring_find_time(&r, 21), at[5]);
    ring_close(&r);
}
END_TEST

/* Records that span many blocks, between small ones. */
START_TEST(finds_in_blocks)
{
    struct ring r = opened(1 << 24);
    static uint64_t at[3000];
    for (unsigned i = 0; i < COUNT(at); i++)
        at[i] = put(&r, i % 7 == 3 ? 1u << (i % 21) : 20, 1000 + i / 2);
    uint64_t tail = ring_at(&r, ring_tail(&r))->n;
    ck_assert_uint_gt(tail, 1);
    for (uint64_t n = 0; n < COUNT(at); n++) {
        uint64_t want = n + 1 < tail ? tail : n + 1, first = n + 1 < tail ? tail : n / 2 * 2 + 1;
        reads = 0;
        ck_assert_uint_eq(ring_find(&r, n), at[want - 1]);
        ck_assert_uint_eq(ring_find_time(&r, 1000 + n / 2), at[(first > tail ? first : tail) - 1]);
        ck_assert_uint_lt(reads, UINT64_C(2) * (12 + RING_BLOCK / 128 + 2));
    }
    ck_assert_uint_eq(ring_find(&r, COUNT(at)), ring_head(&r));
    ck_assert_uint_eq(ring_find(&r, UINT64_MAX), ring_head(&r));
    ring_close(&r);
}
END_TEST

/* ---- restoring ---- */

#define KEY UINT64_C(0x0123456789abcdef)

static struct ring sealed(uint64_t size, uint64_t key)
{
    struct ring r;
    int fd = ring_file("ring-arena", size);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ring_open_in(&r, fd, 0, size, EPOCH, key), 0);
    return r;
}

/* The bytes of a record that is wiped are zero, but for its topic's name; one that a process was
 * killed over is whole at any moment, and is wiped again. */
START_TEST(wiped)
{
    const struct ring_message made[] = {
        {.topic = SPAN("news"), .data = SPAN("secret")},
        {.topic = SPAN("news"), .event = SPAN("secret"), .data = SPAN("se\ncret"), .end = true},
        {.topic = SPAN("news"), .data = SPAN("secret"), .binary = true, .key = {7, 8}},
        {.topic = SPAN("news"), .end = true, .bare = true},
        {.topic = SPAN("news"), .purge = true},
    };
    struct ring r = sealed(RING_MIN, KEY);
    for (size_t i = 0; i < COUNT(made); i++) {
        uint64_t at = ring_put(&r, &made[i], 1), place = at & r.mask;
        const struct ring_record *rec = ring_whole(&r, place);
        ck_assert_msg(rec != NULL && ring_record_size(rec) == rec->size, "row %zu", i);
        char was[512];
        memcpy(was, rec, rec->size);
        ring_wipe(&r, at);
        ck_assert_ptr_eq(ring_whole(&r, place), rec);
        ck_assert_ptr_null(memmem(r.arena + place, rec->size, "secret", 6));
        ck_assert(span_eq(ring_topic(rec), SPAN("news")) && ring_record_size(rec) == rec->size);
        for (size_t cut = sizeof *rec; cut < rec->size; cut++) { /* of its bytes some are not yet */
            memcpy(r.arena + place + sizeof *rec, was + sizeof *rec, cut - sizeof *rec);
            ck_assert_ptr_eq(ring_whole(&r, place), rec);
            ring_wipe(&r, at);
            ck_assert_ptr_null(memmem(r.arena + place, rec->size, "secret", 6));
        }
    }
    ring_close(&r);
}
END_TEST

/* Any byte of a record that matters, another key, another place: it is whole no longer. */
START_TEST(whole)
{
    struct ring r = sealed(RING_MIN, KEY);
    put(&r, 33, 1);
    uint64_t at = put(&r, 50, 2), place = at & r.mask;
    put(&r, 50, 3);
    const struct ring_record *rec = ring_at(&r, at);
    size_t checked = sizeof(*rec) + rec->sse_size + rec->topic_size;
    ck_assert(ring_whole(&r, place) == rec && ring_record_size(rec) == rec->size);
    for (size_t i = 0; i < rec->size; i++) {
        bool counts = i < offsetof(struct ring_record, size) || (i >= sizeof(*rec) && i < checked);
        for (unsigned bit = 0; bit < 8; bit++) {
            r.arena[place + i] = (char)(r.arena[place + i] ^ (1 << bit));
            ck_assert_msg((ring_whole(&r, place) == NULL) == counts, "byte %zu", i);
            r.arena[place + i] = (char)(r.arena[place + i] ^ (1 << bit));
        }
    }
    memcpy(r.arena + RING_MIN / 2, rec, rec->size);
    ck_assert_ptr_null(ring_whole(&r, RING_MIN / 2));
    ck_assert_ptr_null(ring_whole(&r, RING_MIN - RING_ALIGN));
    r.key++;
    ck_assert_ptr_null(ring_whole(&r, place));
    r.key--;
    ring_drop(&r, at); /* nor one that was wiped */
    ck_assert_ptr_null(ring_whole(&r, place));
    ring_close(&r);
    r = opened(RING_MIN); /* a ring in memory has no sums */
    rec = ring_at(&r, put(&r, 50, 2));
    ck_assert(rec->content_check == 0 && (rec->check[0] | rec->check[1] | rec->check[2]) == 0);
    ring_close(&r);
}
END_TEST

/* Some of a ring's records are kept, where they are and by copying: all the others are holes. */
START_TEST(restored)
{
    uint64_t first = seed(), state = first;
    for (int round = 0; round < 50; round++) {
        struct ring from = sealed(RING_MIN, KEY), to, copy = sealed(RING_MIN, KEY + 1);
        for (unsigned i = 0; i < 300; i++)
            put(&from, random_next(&state) % (i % 50 == 7 ? RING_MIN / 16 : 300), i);
        ck_assert_int_eq(ring_open_in(&to, dup(from.arena_fd), 0, RING_MIN, EPOCH, KEY), 0);
        uint64_t tail = ring_tail(&from), base = (tail & from.mask) + from.size - tail, last = 0;
        uint64_t kept[300], chance = 1 + random_next(&state) % 6;
        unsigned n = 0;
        for (uint64_t at = tail, end = ring_head(&from), next; at < end; at = next) {
            const struct ring_record *rec = ring_at(&from, at);
            next = ring_behind(rec, at); /* before `size` may change */
            if (random_next(&state) % chance != 0)
                continue;
            if (n == 0) {
                ring_begin(&to, at + base, rec->n - 1);
                ring_begin(&copy, copy.size, rec->n - 1);
            }
            if (n > 0 && rec->n > ring_newest(&to).n + 1) {
                ring_miss(&to, rec->n - 1);
                ring_miss(&copy, rec->n - 1);
            }
            ring_copy(&copy, rec);
            ring_keep(&to, at + base, last);
            kept[n++] = last = at + base;
        }
        uint64_t oldest = n > 0 ? ring_at(&to, kept[0])->n : 0, hole = 0, was = oldest;
        for (unsigned i = 0; i < n; i++) {
            const struct ring_record *rec = ring_at(&to, kept[i]);
            hole = rec->n > was + 1 ? rec->n - 1 : hole;
            for (uint64_t id = was; id < rec->n; id++)
                ck_assert_msg(i == 0 || ring_find(&to, id) == kept[i], SEED_FMT, first);
            ck_assert_uint_eq(ring_find_time(&to, rec->time_ms), kept[i]);
            ck_assert_uint_eq(ring_behind(rec, kept[i]), i + 1 < n ? kept[i + 1] : ring_head(&to));
            ck_assert_uint_eq(ring_find_from(&to, rec->n), kept[i]);
            ck_assert_uint_eq(ring_number(&to, kept[i]), i + 1);
            if (i > 0 && rec->n > was + 1 && rec->n - 1 == to.h->hole_n) /* told of the hole */
                ck_assert_uint_eq(ring_before(&to, kept[i]).n, rec->n - 1);
            else
                ck_assert_uint_eq(ring_before(&to, kept[i]).n, i > 0 ? was : oldest - 1);
            ck_assert_uint_eq(ring_at(&copy, ring_find(&copy, rec->n - 1))->n, rec->n);
            was = rec->n;
        }
        ck_assert(ring_count(&to) == n && ring_count(&copy) == n);
        ck_assert(to.h->hole_n == hole && copy.h->hole_n == hole && ring_newest(&to).n == was);
        ck_assert(n == 0 || ring_lost(&to) == oldest - 1);
        ring_miss(&to, was + 100);
        for (unsigned i = 0; n > 0 && i < 300; i++) { /* it goes on, and over the holes */
            uint64_t at = put(&to, random_next(&state) % 400, 1000);
            ck_assert_uint_eq(ring_at(&to, at)->n, was + 101 + i);
            ck_assert_uint_eq(ring_find(&to, was + 100 + i), at);
            ck_assert(ring_find(&to, 0) == ring_tail(&to) && to.h->hole_n == was + 100);
        }
        ring_close(&from);
        ring_close(&to);
        ring_close(&copy);
    }
}
END_TEST

/* ---- contracts ---- */

static struct ring R;

static void breach(void)
{
    /* The asserts' words are not the test's. */
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
    R = opened(RING_MIN);
}

static struct ring_message some = {.topic = {"t", 1}, .data = {"d", 1}};

static void put_too_much(void)
{
    static char data[RING_MIN / 16 + 1];
    some.data = (struct span){data, sizeof(data)};
    ring_put(&R, &some, 0);
}

static void put_without_topic(void)
{
    some.topic.n = 0;
    ring_put(&R, &some, 0);
}

static void put_with_long_name(void)
{
    static char name[RING_NAME_MAX + 1];
    memset(name, 'n', sizeof(name));
    some.event = (struct span){name, sizeof(name)};
    ring_put(&R, &some, 0);
}

static void put_with_line_end(void)
{
    some.event = SPAN("a\nb");
    ring_put(&R, &some, 0);
}

static void put_from_ring(void)
{
    some.data = (struct span){R.arena + 100, 1};
    ring_put(&R, &some, 0);
}

static void read_at_head(void)
{
    ring_put(&R, &some, 0);
    (void)ring_at(&R, ring_head(&R));
}

static void read_evicted(void)
{
    uint64_t at = ring_put(&R, &some, 0);
    ring_expire(&R, 1, 1);
    ring_put(&R, &some, 0);
    (void)ring_at(&R, at);
}

static void open_odd_size(void)
{
    ring_open(&R, UINT64_C(3) * RING_MIN, 1);
}

static void open_too_small(void)
{
    ring_open(&R, RING_MIN / 2, 1);
}

static void look_without_key(void)
{
    (void)ring_whole(&R, 0);
}

static void miss_backwards(void)
{
    ring_put(&R, &some, 0);
    ring_miss(&R, 0);
}

static void begin_with_messages(void)
{
    ring_put(&R, &some, 0);
    ring_begin(&R, RING_MIN, 7);
}

static void copy_older(void)
{
    uint64_t at = ring_put(&R, &some, 0);
    ring_copy(&R, ring_at(&R, at));
}

static void wipe_twice(void)
{
    uint64_t at = ring_put(&R, &some, 0);
    ring_drop(&R, at);
    ring_drop(&R, at);
}

static void (*const breaches[])(void) = {
    look_without_key,  miss_backwards,     begin_with_messages, copy_older,    put_too_much,
    put_without_topic, put_with_long_name, put_with_line_end,   put_from_ring, read_at_head,
    read_evicted,      open_odd_size,      open_too_small,      wipe_twice,
};

START_TEST(contracts)
{
    breaches[_i]();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ring");
    TCase *c = tcase_create("ring");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, exact, 0, COUNT(rows));
    tcase_add_test(c, empty);
    tcase_add_test(c, ids_as_text);
    tcase_add_test(c, leaves_nothing_open);
    tcase_add_test(c, attached);
    tcase_add_test(c, attaches_no_other);
    tcase_add_test(c, sparse);
    tcase_add_test(c, mapped_twice);
    tcase_add_test(c, largest);
    tcase_add_test(c, evicts_oldest);
    tcase_add_test(c, before);
    tcase_add_test(c, expires);
    tcase_add_test(c, time_set_back);
    tcase_add_test(c, holds);
    tcase_add_test(c, holds_largest);
    tcase_add_test(c, ages);
    tcase_add_test(c, finds_in_blocks);
    tcase_add_test(c, wiped);
    tcase_add_test(c, whole);
    tcase_add_test(c, restored);
    suite_add_tcase(s, c);
    TCase *a = tcase_create("contracts");
    tcase_add_checked_fixture(a, breach, NULL);
    tcase_add_loop_test_raise_signal(a, contracts, SIGABRT, 0, COUNT(breaches));
    suite_add_tcase(s, a);
    return run(s);
}
