/*
 * revoke.c - revoke.h against a plain list: names, times, room; memory that is used again, shared
 * or damaged.
 */
#include "lib/auth/revoke.h"

#include "test/kit/kit.h"

static const uint64_t key[2] = {0x0123456789abcdef, 0xfedcba9876543210};
static struct revoked table;
static _Alignas(64) char memory[REVOKE_BYTES];

static void set_up(void)
{
    memset(memory, 0, sizeof memory);
    ck_assert_uint_eq(revoke_attach(&table, memory, key), 0);
}

static bool has(const char *jti, const char *sub, uint64_t iat, uint64_t now)
{
    const struct bearer b = revoke_bearer(&table, span_of(jti), span_of(sub), iat);
    return revoke_has(&table, &b, now);
}

static bool add(const char *jti, const char *sub, uint64_t before, uint64_t until, uint64_t now)
{
    const struct revocation x = {span_of(jti), span_of(sub), before, until};
    return revoke_add(&table, &x, now, REVOKE_MAX);
}

START_TEST(names_and_times)
{
    set_up();
    ck_assert(!has("a", "a", 5, 10) && !has(NULL, NULL, 0, 10));
    ck_assert(add("a", NULL, 0, 100, 10));
    ck_assert(has("a", NULL, 5, 10) && has("a", "x", 1000, 99) && !has("a", NULL, 5, 100));
    ck_assert(!has("A", NULL, 5, 10) && !has(NULL, "a", 5, 10) && !has("a ", NULL, 5, 10));
    ck_assert(add(NULL, "a", 50, REVOKE_EVER, 10));
    ck_assert(has(NULL, "a", 49, 10) && !has(NULL, "a", 50, 10) && has(NULL, "a", 0, 1000000));
    ck_assert(add(NULL, "a", 40, 20, 10)); /* what is revoked stays so */
    ck_assert(has(NULL, "a", 49, 30));
    ck_assert(add(NULL, "a", 60, 20, 10));
    ck_assert(has(NULL, "a", 59, 30));
    ck_assert_uint_eq(revoke_count(&table, 10), 2);
    ck_assert_uint_eq(revoke_count(&table, 100), 1);
    ck_assert(!has(NULL, NULL, 0, 10));
}
END_TEST

/* Where there is none, nothing is. */
START_TEST(no_table)
{
    table.t = NULL;
    ck_assert(!has("a", "a", 0, 1));
    const struct bearer b = revoke_bearer(&table, SPAN("a"), SPAN("b"), 7);
    ck_assert(revoke_count(&table, 1) == 0 && b.iat == 7 && b.jti[0] == 0 && b.sub[0] == 0);
}
END_TEST

/* It is full, and has room again once a time is over; what is there can be said again. */
START_TEST(fills_up)
{
    char name[16];
    set_up();
    for (uint32_t i = 0; i < REVOKE_MAX; i++) {
        snprintf(name, sizeof name, "%u", i);
        ck_assert(add(name, NULL, 0, i == 7 ? 50 : REVOKE_EVER, 10));
    }
    ck_assert(!add("one more", NULL, 0, REVOKE_EVER, 49) && !has("one more", NULL, 0, 49));
    ck_assert(add("8", NULL, 0, REVOKE_EVER, 49));
    ck_assert(add("one more", NULL, 0, REVOKE_EVER, 50));
    ck_assert(has("one more", NULL, 0, 50) && !has("7", NULL, 0, 50) && has("8", NULL, 0, 50));
    ck_assert(!add("7", NULL, 0, REVOKE_EVER, 50));
    const struct revocation x = {SPAN("seven"), {NULL, 0}, 0, 100};
    set_up();
    for (uint32_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%u", i);
        ck_assert(add(name, NULL, 0, 100, 10));
    }
    ck_assert(!revoke_add(&table, &x, 10, 3) && revoke_add(&table, &x, 10, 4));
}
END_TEST

/* Another process finds what is in the memory, and what is added to it later. */
START_TEST(is_shared)
{
    static struct revoked other;
    static const uint64_t no_key[2] = {1, 2};
    set_up();
    ck_assert(add("a", NULL, 0, REVOKE_EVER, 10));
    ck_assert_uint_eq(revoke_attach(&other, memory, no_key), 0);
    const struct bearer a = revoke_bearer(&other, SPAN("a"), SPAN(""), 0),
                        b = revoke_bearer(&other, SPAN(""), SPAN("b"), 0);
    ck_assert(revoke_has(&other, &a, 11) && !revoke_has(&other, &b, 11));
    ck_assert(add(NULL, "b", 5, REVOKE_EVER, 10));
    ck_assert(revoke_has(&other, &b, 11));
}
END_TEST

/* An entry of which a bit is wrong is none, and the others stay. */
START_TEST(damage)
{
    char name[16];
    set_up();
    for (uint32_t i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "%u", i);
        ck_assert(add(name, NULL, 0, 1000, 10));
    }
    for (unsigned bit = 0; bit < 7 * 8;
         bit++) { /* of the entry's sum, but for what makes it free */
        char copy[sizeof memory];
        memcpy(copy, memory, sizeof memory);
        memory[64 + 32 * 42 + bit / 8] = (char)(memory[64 + 32 * 42 + bit / 8] ^ 1 << bit % 8);
        ck_assert_uint_eq(revoke_attach(&table, memory, key), 1);
        ck_assert(!has("42", NULL, 0, 11) && has("41", NULL, 0, 11) && has("43", NULL, 0, 11));
        memcpy(memory, copy, sizeof memory);
        ck_assert_uint_eq(revoke_attach(&table, memory, key), 0);
        ck_assert(has("42", NULL, 0, 11));
    }
}
END_TEST

/* Random operations, and a plain list of them. */
START_TEST(model)
{
    enum { NAMES = 60, STEPS = 20000 };
    static struct {
        bool there;
        uint64_t before, until;
    } want[2][NAMES];
    uint32_t most = 40, n;
    uint64_t now = 1000;
    char name[16];
    uint64_t state = seed();
    set_up();
    memset(want, 0, sizeof want);
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned kind = (unsigned)(random_next(&state) % 2),
                 i = (unsigned)(random_next(&state) % NAMES);
        now += random_next(&state) % 8 == 0;
        snprintf(name, sizeof name, "%u", i);
        if (random_next(&state) % 3 == 0) {
            n = 0;
            for (unsigned k = 0; k < 2 * NAMES; k++)
                n += want[k / NAMES][k % NAMES].there && want[k / NAMES][k % NAMES].until > now;
            bool is = want[kind][i].there && want[kind][i].until > now;
            uint64_t before = kind == 1 ? now - random_next(&state) % 100 : 0,
                     until = now + 1 + random_next(&state) % 200;
            const struct revocation x = {kind == 0 ? span_of(name) : SPAN(""),
                                         kind == 1 ? span_of(name) : SPAN(""), before, until};
            /* who is not there any more has a place of its own, which is taken again */
            bool room = is || n < most || want[kind][i].there;
            if (!is && n >= most)
                continue;
            ck_assert_msg(revoke_add(&table, &x, now, most) == room, "step %u", step);
            want[kind][i].before =
                is && want[kind][i].before > before ? want[kind][i].before : before;
            want[kind][i].until = is && want[kind][i].until > until ? want[kind][i].until : until;
            want[kind][i].there = true;
        } else {
            uint64_t iat = now - random_next(&state) % 120;
            bool is = want[kind][i].there && want[kind][i].until > now &&
                      (kind == 0 || iat < want[kind][i].before);
            ck_assert_msg(has(kind == 0 ? name : NULL, kind == 1 ? name : NULL, iat, now) == is,
                          "step %u", step);
        }
        if (random_next(&state) % 1000 == 0)
            ck_assert_uint_eq(revoke_attach(&table, memory, key), 0);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("revoke");
    TCase *c = tcase_create("revoke");
    tcase_add_test(c, names_and_times);
    tcase_add_test(c, no_table);
    tcase_add_test(c, fills_up);
    tcase_add_test(c, is_shared);
    tcase_add_test(c, damage);
    tcase_add_test(c, model);
    suite_add_tcase(s, c);
    return run(s);
}
