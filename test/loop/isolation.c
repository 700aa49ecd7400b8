/*
 * isolation.c - the loop of sse.c over a scripted kernel: tenants who get nothing of each
 * other's, whatever they do at random (isolation.h).
 */
#include "test/kit/kit.h"

#include "lib/serve/submit.h"
#include "test/kit/isolation_loop.h"

enum {
    SCRIPTS = 12,
    STEPS = 250,
};

static uint64_t first_seed, state;

static unsigned iso_pick(unsigned bound)
{
    return (unsigned)(random_next(&state) >> 33) % bound;
}

static void iso_leak(unsigned client, const char *why)
{
    const struct iso_client *c = &iso[client];
    size_t n = c->n < 300 ? c->n : 300; /* the last of what it got */
    ck_abort_msg(SEED_FMT ": client %u, tenant %u, asked for \"%s\": %s: %.*s", first_seed, client,
                 c->tenant, c->what, why, (int)n, c->got + c->n - n);
}

START_TEST(nothing_crosses)
{
    uint64_t messages = 0, refused = 0, freed = 0;
    state = first_seed = seed();
    for (unsigned i = 0; i < SCRIPTS; i++) {
        iso_start(iso_pick(16));
        for (unsigned step = 0; step < STEPS; step++)
            iso_step();
        freed += topics_freed(&S.topics);
        messages += iso_all.messages;
        refused += iso_all.refused;
        iso_end();
    }
    /* it was a test of something */
    ck_assert_uint_gt(messages, SCRIPTS * STEPS / 4);
    ck_assert_uint_gt(refused, SCRIPTS);
    ck_assert_uint_gt(freed, SCRIPTS * STEPS / 16);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("isolation");
    TCase *t = tcase_create("loop");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, nothing_crosses);
    suite_add_tcase(s, t);
    return run(s);
}
