/*
 * heap.c - heap.h: against an array that is sorted by another way.
 */
#include "lib/heap.h"

#include "test/kit/kit.h"

enum { MOST = 200 };

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Numbers, of which many are the same. */
static void fill(uint64_t *state, uint64_t *numbers, size_t n)
{
    uint64_t most = random_next(state) % 50 + 1;
    for (size_t i = 0; i < n; i++)
        numbers[i] = random_next(state) % most + 1;
}

START_TEST(sorts_as_another_does)
{
    uint64_t begun = seed(), state = begun, got[MOST], want[MOST];
    for (size_t n = 0; n < MOST; n++) {
        fill(&state, got, n);
        memcpy(want, got, sizeof got);
        qsort(want, n, sizeof *want, by_value);
        heap_sort(got, sizeof *got, n, heap_sink_number);
        for (size_t i = 0; i < n; i++)
            ck_assert_msg(got[i] == want[n - 1 - i], SEED_FMT ", %zu of %zu", begun, i, n);
    }
}
END_TEST

/* The top is always the smallest; what takes its place is given next if that is smaller still. */
START_TEST(replaces_the_smallest)
{
    uint64_t begun = seed(), state = begun, heap[MOST], model[MOST];
    for (size_t n = 1; n < MOST; n++) {
        size_t left = n;
        fill(&state, heap, n);
        memcpy(model, heap, sizeof model);
        heap_make(heap, n, heap_sink_number);
        while (left > 0) {
            uint64_t value = random_next(&state) % 3 != 0 ? 0 : random_next(&state) % 90 + 1;
            qsort(model, left, sizeof *model, by_value);
            ck_assert_msg(heap[0] == model[0], SEED_FMT ", %zu of %zu", begun, left, n);
            model[0] = value != 0 ? value : model[left - 1];
            left -= value == 0;
            ck_assert_uint_eq(heap_replace(heap, left + (value == 0), value, 0), left);
        }
    }
}
END_TEST

static bool is_longer(const void *a, const void *b)
{
    return ((const struct span *)a)->n > ((const struct span *)b)->n;
}

static void sink_longest(void *heap, size_t i, size_t n)
{
    heap_sink(heap, sizeof(struct span), i, n, is_longer);
}

/* Entries of another type and order. */
START_TEST(sorts_what_it_is_told)
{
    struct span s[] = {SPAN("bb"), SPAN(""), SPAN("dddd"), SPAN("a"), SPAN("ccc")};
    heap_sort(s, sizeof *s, COUNT(s), sink_longest);
    for (size_t i = 0; i < COUNT(s); i++)
        ck_assert_uint_eq(s[i].n, i);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("heap");
    TCase *tc = tcase_create("heap");
    tcase_add_test(tc, sorts_as_another_does);
    tcase_add_test(tc, replaces_the_smallest);
    tcase_add_test(tc, sorts_what_it_is_told);
    suite_add_tcase(s, tc);
    return run(s);
}
