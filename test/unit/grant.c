/*
 * grant.c - grant.h: equal scopes are one grant, and it goes with the last who has it.
 */
#include "lib/auth/grant.h"

#include "test/kit/kit.h"

static const uint64_t key[2] = {0x0123456789abcdef, 0xfedcba9876543210};
static struct grants grants;

/* Memory that the sanitizer guards, of just the size that is asked for. */
static void *set_up(size_t bytes)
{
    void *memory = calloc(1, grants_size(bytes));
    ck_assert_ptr_nonnull(memory);
    grants_init(&grants, bytes, memory, key);
    ck_assert_uint_eq(grants_count(&grants), 0);
    return memory;
}

static void expect(uint32_t grant, struct span publish, struct span subscribe)
{
    ck_assert_uint_ne(grant, 0);
    ck_assert(span_eq(grant_publish(&grants, grant), publish));
    ck_assert(span_eq(grant_subscribe(&grants, grant), subscribe));
}

START_TEST(equal_scopes_are_one)
{
    void *memory = set_up(64 << 10);
    uint32_t a = grant_enter(&grants, SPAN("a/*"), SPAN("**"));
    uint32_t b = grant_enter(&grants, SPAN("a/*"), SPAN("**"));
    uint32_t c = grant_enter(&grants, SPAN("**"), SPAN("a/*"));
    uint32_t d = grant_enter(&grants, SPAN("a/***"), SPAN(""));
    uint32_t e = grant_enter(&grants, SPAN(""), SPAN(""));
    ck_assert_uint_eq(a, b);
    ck_assert_uint_ne(a, c);
    ck_assert_uint_ne(a, d);
    expect(a, SPAN("a/*"), SPAN("**"));
    expect(c, SPAN("**"), SPAN("a/*"));
    expect(d, SPAN("a/***"), SPAN(""));
    expect(e, SPAN(""), SPAN(""));
    ck_assert_uint_eq(grants_count(&grants), 4);
    grant_leave(&grants, a);
    expect(b, SPAN("a/*"), SPAN("**"));
    ck_assert_uint_eq(grants_count(&grants), 4);
    grant_leave(&grants, b);
    ck_assert_uint_eq(grants_count(&grants), 3);
    grant_leave(&grants, 0);
    grant_leave(&grants, c);
    grant_leave(&grants, d);
    grant_leave(&grants, e);
    ck_assert_uint_eq(grants_count(&grants), 0);
    free(memory);
}
END_TEST

/* Where there is no room none is made, and what goes makes room. */
START_TEST(fills_up)
{
    char scope[2000];
    uint32_t got[100], n = 0;
    void *memory = set_up(16 << 10);
    memset(scope, 'x', sizeof scope);
    for (;;) {
        memcpy(scope, &n, sizeof n);
        uint32_t id = grant_enter(&grants, (struct span){scope, sizeof scope}, SPAN("s"));
        if (id == 0)
            break;
        ck_assert_uint_lt(n, COUNT(got));
        got[n++] = id;
    }
    ck_assert_uint_ge(n, 7);
    for (uint32_t i = 0; i < n; i++) {
        memcpy(scope, &i, sizeof i);
        expect(got[i], (struct span){scope, sizeof scope}, SPAN("s"));
    }
    grant_leave(&grants, got[3]);
    memcpy(scope, &n, sizeof n);
    ck_assert_uint_ne(grant_enter(&grants, (struct span){scope, sizeof scope}, SPAN("s")), 0);
    free(memory);
}
END_TEST

START_TEST(moves_elsewhere)
{
    size_t size = grants_size(8 << 10);
    char *memory = set_up(8 << 10), *other = malloc(size);
    uint32_t a = grant_enter(&grants, SPAN("p"), SPAN("s"));
    ck_assert_ptr_nonnull(other);
    memcpy(other, memory, size);
    memset(memory, 0xff, size);
    free(memory);
    grants_attach(&grants, 8 << 10, other);
    expect(a, SPAN("p"), SPAN("s"));
    ck_assert_uint_eq(grant_enter(&grants, SPAN("p"), SPAN("s")), a);
    free(other);
}
END_TEST

/* Any order of coming and going, against a plain list of who has what. */
START_TEST(is_as_the_model)
{
    enum { HOLDERS = 300, KINDS = 90, STEPS = 4000 };
    uint64_t begun = seed(), state = begun;
    uint32_t held[HOLDERS] = {0};
    int kind[HOLDERS];
    char text[KINDS][200];
    void *memory = set_up(256 << 10);
    for (int k = 0; k < KINDS; k++) {
        memset(text[k], 'a' + k % 26, sizeof text[k]);
        text[k][0] = (char)('0' + k);
    }
    for (int step = 0; step < STEPS; step++) {
        uint64_t r = random_next(&state);
        int h = (int)(r % HOLDERS), k = (int)(r >> 32) % KINDS;
        k = k < 0 ? -k : k;
        if (held[h] != 0) {
            size_t n = (size_t)kind[h] * 2;
            expect(held[h], (struct span){text[kind[h]], n}, (struct span){text[kind[h]], 3});
            grant_leave(&grants, held[h]);
            held[h] = 0;
            continue;
        }
        held[h] =
            grant_enter(&grants, (struct span){text[k], (size_t)k * 2}, (struct span){text[k], 3});
        kind[h] = k;
        ck_assert_msg(held[h] != 0, SEED_FMT, begun);
        for (int i = 0; i < HOLDERS; i++)
            if (held[i] != 0)
                ck_assert_msg((held[i] == held[h]) == (kind[i] == k), SEED_FMT ", step %d", begun,
                              step);
    }
    for (int h = 0; h < HOLDERS; h++)
        grant_leave(&grants, held[h]);
    ck_assert_uint_eq(grants_count(&grants), 0);
    free(memory);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("grant");
    TCase *tc = tcase_create("grant");
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, equal_scopes_are_one);
    tcase_add_test(tc, fills_up);
    tcase_add_test(tc, moves_elsewhere);
    tcase_add_test(tc, is_as_the_model);
    suite_add_tcase(s, tc);
    return run(s);
}
