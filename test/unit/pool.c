/*
 * pool.c - the buddy allocator, against a list of what is in use.
 */
#include "lib/pool.h"

#include "test/kit/kit.h"

#include <signal.h>

/* ---- a pool with its memory ---- */

struct fixture {
    struct pool p;
    void *base, *meta;
};

static struct fixture make(uint32_t units, uint8_t shift)
{
    struct fixture f = {.base = calloc(units, (size_t)1 << shift),
                        .meta = calloc(1, pool_meta_size(units))};
    ck_assert(f.base != NULL && f.meta != NULL);
    pool_init(&f.p, f.base, f.meta, units, shift);
    return f;
}

static void discard(struct fixture *f)
{
    free(f->base);
    free(f->meta);
}

/* Everything is one piece again: one block of each size, the largest half of all, can be had. */
static void assert_whole(struct pool *p)
{
    uint32_t block[POOL_ORDERS], n = 0;
    ck_assert_uint_eq(pool_used(p), 0);
    for (uint32_t units = p->units / 2; units > 0; units /= 2) {
        block[n] = pool_alloc(p, (size_t)units << p->shift);
        ck_assert_uint_eq(block[n], units);
        n++;
    }
    ck_assert_uint_eq(pool_alloc(p, 1), 0);
    ck_assert_uint_eq(pool_used(p), ((uint64_t)p->units - 1) << p->shift);
    while (n > 0)
        pool_free(p, block[--n]);
    ck_assert_uint_eq(pool_used(p), 0);
}

/* ---- sizes ---- */

START_TEST(sizes)
{
    static const struct {
        int line;
        size_t bytes, size; /* asked for, got; 0: none */
    } rows[] = {
        {__LINE__, 1, 32},       {__LINE__, 31, 32},
        {__LINE__, 32, 32},      {__LINE__, 33, 64},
        {__LINE__, 64, 64},      {__LINE__, 65, 128},
        {__LINE__, 129, 256},    {__LINE__, 1000, 1024},
        {__LINE__, 1024, 1024},  {__LINE__, 1025, 0},
        {__LINE__, 2048, 0},     {__LINE__, 1 << 20, 0},
        {__LINE__, SIZE_MAX, 0}, {__LINE__, SIZE_MAX / 2 + 2, 0},
    };
    struct fixture f = make(64, 5);
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint32_t block = pool_alloc(&f.p, rows[i].bytes);
        ck_assert_msg((block != 0) == (rows[i].size != 0), "line %d", rows[i].line);
        ck_assert_msg(pool_used(&f.p) == rows[i].size, "line %d", rows[i].line);
        if (block == 0)
            continue;
        ck_assert_msg(pool_size(&f.p, block) == rows[i].size, "line %d", rows[i].line);
        ck_assert_msg(pool_at(&f.p, block) == (char *)f.base + (size_t)block * 32, "line %d",
                      rows[i].line);
        memset(pool_at(&f.p, block), 'x', rows[i].size);
        pool_free(&f.p, block);
    }
    assert_whole(&f.p);
    discard(&f);
}
END_TEST

START_TEST(smallest)
{
    struct fixture f = make(2, 12);
    uint32_t block = pool_alloc(&f.p, 4096);
    ck_assert_uint_eq(block, 1);
    ck_assert_uint_eq(pool_alloc(&f.p, 1), 0);
    ck_assert_uint_eq(pool_grow(&f.p, block, 4096, 0), 1);
    ck_assert_uint_eq(pool_grow(&f.p, block, 4097, 0), 0);
    ck_assert_uint_eq(pool_used(&f.p), 4096);
    pool_free(&f.p, block);
    assert_whole(&f.p);
    discard(&f);
}
END_TEST

/* As many blocks of any one size fit as there is room for, and none is number 0. */
START_TEST(exhaustion)
{
    enum { UNITS = 1024 };
    struct fixture f = make(UNITS, 4);
    for (uint32_t units = 1; units < UNITS; units *= 2) {
        uint32_t block[UNITS], n = 0;
        while ((block[n] = pool_alloc(&f.p, (size_t)units * 16)) != 0) {
            ck_assert_uint_eq(block[n] % units, 0);
            n++;
        }
        ck_assert_uint_eq(n, UNITS / units - 1);
        ck_assert_uint_eq(pool_used(&f.p), (uint64_t)n * units * 16);
        for (uint32_t i = 1; i < n; i += 2)
            pool_free(&f.p, block[i]);
        ck_assert_uint_eq(pool_alloc(&f.p, (size_t)units * 16 + 1), 0);
        for (uint32_t i = 0; i < n; i += 2)
            pool_free(&f.p, block[i]);
        assert_whole(&f.p);
    }
    discard(&f);
}
END_TEST

/* ---- growing ---- */

START_TEST(grow)
{
    struct fixture f = make(64, 5);
    uint32_t a = pool_alloc(&f.p, 32 * 32), first;
    pool_free(&f.p, a); /* so that the half at 32 is there, to be cut from its front */
    a = pool_alloc(&f.p, 16 * 32);
    memcpy(pool_at(&f.p, a), "kept", 5);
    first = a;
    ck_assert_uint_eq(pool_grow(&f.p, a, 1, 0), a);
    ck_assert_uint_eq(pool_grow(&f.p, a, 16 * 32, 5), a);
    a = pool_grow(&f.p, a, 16 * 32 + 1, 5);
    ck_assert_uint_ne(a, 0);
    ck_assert_uint_eq(pool_size(&f.p, a), 32 * 32);
    ck_assert_uint_eq(pool_used(&f.p), 32 * 32);
    ck_assert_str_eq(pool_at(&f.p, a), "kept");
    ck_assert_uint_eq(pool_grow(&f.p, a, 64 * 32, 5), 0);
    ck_assert_uint_eq(pool_grow(&f.p, a, SIZE_MAX, 5), 0);
    ck_assert_uint_eq(pool_used(&f.p), 32 * 32);
    ck_assert_uint_ne(first, 0);
    pool_free(&f.p, a);
    assert_whole(&f.p);
    discard(&f);
}
END_TEST

/* It grows where it stands if the blocks after it are free, also over several sizes at once. */
START_TEST(grow_in_place)
{
    struct fixture f = make(64, 5);
    uint32_t half = pool_alloc(&f.p, 32 * 32), fill[6], n = 0;
    ck_assert_uint_eq(half, 32);
    for (uint32_t units = 16; units > 0; units /= 2)
        fill[n++] = pool_alloc(&f.p, (size_t)units * 32);
    pool_free(&f.p, half);
    uint32_t block = pool_alloc(&f.p, 32);
    ck_assert_uint_eq(block, 32);
    memcpy(pool_at(&f.p, block), "kept", 5);
    ck_assert_uint_eq(pool_grow(&f.p, block, 100, 5), block);
    ck_assert_uint_eq(pool_grow(&f.p, block, 32 * 32, 5), block);
    ck_assert_uint_eq(pool_size(&f.p, block), 32 * 32);
    ck_assert_str_eq(pool_at(&f.p, block), "kept");
    pool_free(&f.p, block);
    /* with something in between it must move, and here it can't */
    block = pool_alloc(&f.p, 32);
    uint32_t between = pool_alloc(&f.p, 8 * 32);
    ck_assert_uint_eq(between, 40);
    ck_assert_uint_eq(pool_grow(&f.p, block, 8 * 32, 5), block);
    ck_assert_uint_eq(pool_grow(&f.p, block, 32 * 32, 5), 0);
    ck_assert_uint_eq(pool_size(&f.p, block), 8 * 32);
    ck_assert_uint_eq(pool_grow(&f.p, block, 16 * 32, 5), 48);
    pool_free(&f.p, 48);
    pool_free(&f.p, between);
    while (n > 0)
        pool_free(&f.p, fill[--n]);
    assert_whole(&f.p);
    discard(&f);
}
END_TEST

/* ---- against a list ---- */

enum { BLOCKS = 400 };

static uint64_t from; /* the seed */

#define must(x) ck_assert_msg(x, SEED_FMT ": %s", from, #x)

struct block {
    uint32_t at;
    size_t bytes;
    unsigned char fill;
};

static size_t size_for(size_t bytes, uint8_t shift)
{
    size_t size = (size_t)1 << shift;
    while (size < bytes)
        size *= 2;
    return size;
}

/* Fills a block to its end. */
static void fill(struct pool *p, struct block *b)
{
    memset(pool_at(p, b->at), b->fill, pool_size(p, b->at));
}

/* Returns true if nobody else has written into the first `n` bytes of the block. */
static bool intact(const struct pool *p, const struct block *b, size_t n)
{
    const unsigned char *c = pool_at(p, b->at);
    for (size_t i = 0; i < n; i++)
        if (c[i] != b->fill)
            return false;
    return true;
}

static size_t some_bytes(uint64_t *rnd)
{
    unsigned bits = (unsigned)(random_next(rnd) % 14);
    return 1 + random_next(rnd) % ((size_t)1 << bits);
}

/* Takes a block, gives it back or makes it grow. */
static void step(struct fixture *f, struct block *b, uint64_t *rnd, unsigned char mark)
{
    if (b->at == 0) {
        b->bytes = some_bytes(rnd);
        b->fill = mark;
        b->at = pool_alloc(&f->p, b->bytes);
        if (b->at != 0)
            fill(&f->p, b);
        return;
    }
    must(intact(&f->p, b, size_for(b->bytes, f->p.shift)));
    if (random_next(rnd) % 3 != 0) {
        pool_free(&f->p, b->at);
        b->at = 0;
        return;
    }
    size_t had = pool_size(&f->p, b->at), bytes = some_bytes(rnd);
    size_t keep = bytes < b->bytes ? bytes : b->bytes;
    uint32_t at = pool_grow(&f->p, b->at, bytes, keep);
    if (at == 0) {
        must(bytes > had && intact(&f->p, b, had));
        return;
    }
    b->at = at;
    b->bytes = bytes > had ? bytes : had;
    must(intact(&f->p, b, keep));
    fill(&f->p, b);
}

/* As exec would leave it: the bytes somewhere else. */
static void move(struct fixture *f)
{
    struct fixture to = {.base = malloc((size_t)f->p.units << f->p.shift),
                         .meta = malloc(pool_meta_size(f->p.units))};
    memcpy(to.base, f->base, (size_t)f->p.units << f->p.shift);
    memcpy(to.meta, f->meta, pool_meta_size(f->p.units));
    pool_attach(&to.p, to.base, to.meta, f->p.units, f->p.shift);
    discard(f);
    *f = to;
}

START_TEST(as_a_list)
{
    from = seed();
    uint64_t rnd = from;
    static const uint32_t units[] = {2, 16, 256, 4096, 16384};
    for (size_t round = 0; round < 2 * COUNT(units); round++) {
        static struct block b[BLOCKS];
        uint8_t shift = (uint8_t)(4 + random_next(&rnd) % 5);
        struct fixture f = make(units[round % COUNT(units)], shift);
        memset(b, 0, sizeof(b));
        for (unsigned i = 0; i < 20000; i++) {
            uint64_t used = 0;
            step(&f, &b[random_next(&rnd) % BLOCKS], &rnd, (unsigned char)i);
            if (i % 5000 == 4999)
                move(&f);
            for (size_t k = 0; i % 100 == 0 && k < BLOCKS; k++)
                if (b[k].at != 0)
                    used += size_for(b[k].bytes, shift);
            must(i % 100 != 0 || pool_used(&f.p) == used);
        }
        for (size_t k = 0; k < BLOCKS; k++)
            if (b[k].at != 0) {
                must(intact(&f.p, &b[k], size_for(b[k].bytes, shift)));
                pool_free(&f.p, b[k].at);
            }
        assert_whole(&f.p);
        discard(&f);
    }
}
END_TEST

/* Where the pool is larger than what is used, the rest is not touched. */
START_TEST(touched_late)
{
    enum { UNITS = 1 << 16, SHIFT = 5 };
    struct fixture f = make(UNITS, SHIFT);
    uint32_t highest = 0;
    for (unsigned i = 0; i < 1000; i++) {
        uint32_t block = pool_alloc(&f.p, 32);
        if (block > highest)
            highest = block;
    }
    ck_assert_uint_lt(highest, 1024);
    const char *meta = f.meta;
    size_t written = 0;
    for (size_t i = 0; i < pool_meta_size(UNITS); i++)
        written += meta[i] != 0;
    ck_assert_uint_lt(written, 16 * 1024);
    discard(&f);
}
END_TEST

/* What was touched is told and forgotten, and the pool is as good as new; many times over. */
START_TEST(rests)
{
    enum { UNITS = 256, SHIFT = 5 };
    struct fixture f = make(UNITS, SHIFT);
    uint32_t block[UNITS];
    ck_assert_uint_eq(pool_touched(&f.p), 32);
    for (unsigned round = 1; round < 60; round++) {
        unsigned n = 0;
        uint32_t highest = 0;
        while (n < round * 4 && (block[n] = pool_alloc(&f.p, 1 + (n * 37 + round) % 100)) != 0) {
            memset(pool_at(&f.p, block[n]), 1, pool_size(&f.p, block[n]));
            highest = block[n] > highest ? block[n] : highest;
            n++;
        }
        size_t touched = pool_touched(&f.p);
        ck_assert_uint_gt(touched, (size_t)highest << SHIFT);
        ck_assert_uint_le(touched, (size_t)UNITS << SHIFT);
        for (unsigned i = 0; i < n; i++)
            pool_free(&f.p, block[i]);
        ck_assert_uint_eq(pool_rest(&f.p), touched);
        ck_assert_uint_eq(pool_touched(&f.p), 32);
        memset((char *)f.base + 32, 0x5a, ((size_t)UNITS - 1) << SHIFT); /* nothing is kept there */
    }
    uint32_t whole = pool_alloc(&f.p, (UNITS / 2) << SHIFT);
    ck_assert_uint_ne(whole, 0);
    discard(&f);
}
END_TEST

/* ---- misuse ---- */

/* What assert() says is expected. */
static void quiet(void)
{
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
}

START_TEST(free_of_none)
{
    struct fixture f = make(16, 5);
    quiet();
    pool_free(&f.p, 0);
}
END_TEST

START_TEST(free_outside)
{
    struct fixture f = make(16, 5);
    quiet();
    pool_free(&f.p, 16);
}
END_TEST

START_TEST(free_twice)
{
    struct fixture f = make(16, 5);
    quiet();
    uint32_t block = pool_alloc(&f.p, 1);
    pool_free(&f.p, block);
    pool_free(&f.p, block);
}
END_TEST

START_TEST(free_inside)
{
    struct fixture f = make(16, 5);
    quiet();
    pool_free(&f.p, pool_alloc(&f.p, 64) + 1);
}
END_TEST

START_TEST(rest_in_use)
{
    struct fixture f = make(16, 5);
    quiet();
    pool_alloc(&f.p, 1);
    pool_rest(&f.p);
}
END_TEST

START_TEST(attach_other)
{
    struct fixture f = make(16, 5);
    quiet();
    pool_attach(&f.p, f.base, f.meta, 8, 5);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pool");
    TCase *t = tcase_create("pool"), *misuse = tcase_create("misuse");
    tcase_add_test(t, sizes);
    tcase_add_test(t, smallest);
    tcase_add_test(t, exhaustion);
    tcase_add_test(t, grow);
    tcase_add_test(t, grow_in_place);
    tcase_add_test(t, as_a_list);
    tcase_add_test(t, touched_late);
    tcase_add_test(t, rests);
    tcase_set_timeout(t, 60);
    tcase_add_test_raise_signal(misuse, free_of_none, SIGABRT);
    tcase_add_test_raise_signal(misuse, free_outside, SIGABRT);
    tcase_add_test_raise_signal(misuse, free_twice, SIGABRT);
    tcase_add_test_raise_signal(misuse, free_inside, SIGABRT);
    tcase_add_test_raise_signal(misuse, attach_other, SIGABRT);
    tcase_add_test_raise_signal(misuse, rest_in_use, SIGABRT);
    suite_add_tcase(s, t);
    suite_add_tcase(s, misuse);
    return run(s);
}
