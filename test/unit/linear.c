/*
 * linear.c - linear.h: entries come, go and are found, as a list of all has it.
 */
#include "lib/linear.h"

#include "test/kit/kit.h"

enum { MOST = 300 };

static struct table {
    struct entry {
        uint64_t hash;
        uint32_t next;
        bool used;
    } entry[MOST + 1];
    struct linear l;
    uint32_t bucket[MOST];
    uint32_t count;
} t;

static uint32_t *entry_link(const void *table, uint32_t id, uint64_t *hash)
{
    ck_assert_ptr_eq(table, &t);
    ck_assert(id >= 1 && id <= MOST && t.entry[id].used);
    *hash = t.entry[id].hash;
    return &t.entry[id].next;
}

static void add(uint32_t id, uint64_t hash)
{
    if (t.count >= t.l.buckets)
        linear_split(&t.l, t.bucket, &t, entry_link);
    uint32_t *bucket = linear_bucket(&t.l, t.bucket, hash);
    t.entry[id] = (struct entry){hash, *bucket, true};
    *bucket = id;
    t.count++;
}

static void remove_entry(uint32_t id)
{
    linear_remove(&t.l, t.bucket, id, &t, entry_link);
    t.entry[id].used = false;
    t.count--;
}

/* Returns how many entries the bucket of a hash has; *found: one of them is `id`. */
static uint32_t look(uint64_t hash, uint32_t id, bool *found)
{
    uint32_t n = 0;
    *found = false;
    for (uint32_t at = *linear_bucket(&t.l, t.bucket, hash); at != 0; at = t.entry[at].next, n++) {
        ck_assert(t.entry[at].used && n <= MOST);
        *found = *found || at == id;
    }
    return n;
}

START_TEST(has_what_came_and_did_not_go)
{
    uint64_t begun = seed(), state = begun;
    t = (struct table){.l = LINEAR_EMPTY};
    for (int step = 0; step < 20000; step++) {
        uint64_t r = random_next(&state);
        uint32_t id = (uint32_t)(r % MOST) + 1;
        if (t.entry[id].used)
            remove_entry(id);
        else
            add(id, r >> 32 & (step % 3 == 0 ? 7 : UINT32_MAX)); /* some collide */
        ck_assert(t.l.buckets <= MOST && t.l.mask >= t.l.buckets - 1);
        ck_assert(t.l.buckets == 1 || t.l.mask / 2 < t.l.buckets);
        bool found;
        look(t.entry[id].hash, id, &found);
        ck_assert_msg(found == t.entry[id].used, SEED_FMT ", step %d", begun, step);
        id = (uint32_t)(r >> 20) % MOST + 1;
        look(t.entry[id].hash, id, &found);
        ck_assert_msg(found == t.entry[id].used, SEED_FMT ", step %d", begun, step);
    }
}
END_TEST

/* Chains stay short: that is what the buckets come into use for. */
START_TEST(spreads)
{
    uint64_t state = 1;
    uint32_t longest = 0;
    bool found;
    t = (struct table){.l = LINEAR_EMPTY};
    for (uint32_t id = 1; id <= MOST; id++) {
        add(id, random_next(&state));
        ck_assert_uint_eq(t.l.buckets, id > 1 ? id : 1);
    }
    for (uint32_t id = 1; id <= MOST; id++) {
        uint32_t n = look(t.entry[id].hash, id, &found);
        longest = n > longest ? n : longest;
    }
    ck_assert_uint_le(longest, 12);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("linear");
    TCase *tc = tcase_create("linear");
    tcase_add_test(tc, has_what_came_and_did_not_go);
    tcase_add_test(tc, spreads);
    suite_add_tcase(s, tc);
    return run(s);
}
