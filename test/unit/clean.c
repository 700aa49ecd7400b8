/*
 * clean.c - clean.h: what is fit to be shown stays, all else is a question mark.
 */
#include "lib/clean.h"

#include "lib/utf8.h"
#include "test/kit/kit.h"

static const struct {
    int line;
    struct span in, out, lines; /* with line ends unfit, and fit */
} texts[] = {
    {__LINE__, BYTES(""), BYTES(""), BYTES("")},
    {__LINE__, BYTES("a b~"), BYTES("a b~"), BYTES("a b~")},
    {__LINE__, BYTES("a\tb\nc\r"), BYTES("a?b?c?"), BYTES("a\tb\nc?")},
    {__LINE__, BYTES("\0\x1b[2J\x7f"), BYTES("??[2J?"), BYTES("??[2J?")},
    {__LINE__, BYTES("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
     BYTES("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"), BYTES("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80")},
    {__LINE__, BYTES("x\xc2\x80y\xc2\x9b\xc2\xa0"), BYTES("x?y?\xc2\xa0"), BYTES("x?y?\xc2\xa0")},
    {__LINE__, BYTES("\xc2"), BYTES("?"), BYTES("?")},
    {__LINE__, BYTES("\xe2\x82"), BYTES("??"), BYTES("??")},
    {__LINE__, BYTES("\xed\xa0\x80"), BYTES("???"), BYTES("???")}, /* a surrogate */
    {__LINE__, BYTES("\xff\xfe\x80"), BYTES("???"), BYTES("???")},
};

START_TEST(cleans)
{
    char *in = on_heap(texts[_i].in), bytes[64];
    for (int lines = 0; lines < 2; lines++) {
        struct text t = text_in(bytes, sizeof bytes);
        clean_text(&t, (struct span){in, texts[_i].in.n}, lines == 1);
        struct span want = lines == 1 ? texts[_i].lines : texts[_i].out;
        ck_assert_msg(span_eq(text_span(&t), want) && !t.full, "line %d", texts[_i].line);
    }
    free(in);
}
END_TEST

/* Whatever comes: what is left is UTF-8 without control characters, of no more bytes, and is left
 * as it is the next time. */
START_TEST(leaves_nothing_unfit)
{
    uint64_t begun = seed(), state = begun;
    for (int round = 0; round < 20000; round++) {
        char in[24], out[24], again[24];
        size_t n = random_next(&state) % sizeof in;
        for (size_t i = 0; i < n; i++) {
            uint64_t r = random_next(&state);
            in[i] = (char)(r % 3 == 0 ? 0xc2 : r % 3 == 1 ? r >> 8 : 0x80 + (r >> 8) % 64);
        }
        struct text t = text_in(out, n), u = text_in(again, sizeof again);
        clean_text(&t, (struct span){in, n}, false);
        ck_assert_msg(!t.full && utf8_valid(text_span(&t)) == t.n, SEED_FMT, begun);
        for (size_t i = 0; i < t.n; i++) {
            ck_assert_msg((unsigned char)out[i] >= ' ' && out[i] != 0x7f, SEED_FMT, begun);
            ck_assert_msg((unsigned char)out[i] != 0xc2 || (unsigned char)out[i + 1] >= 0xa0,
                          SEED_FMT, begun);
        }
        clean_text(&u, text_span(&t), false);
        ck_assert_msg(span_eq(text_span(&t), text_span(&u)), SEED_FMT, begun);
    }
}
END_TEST

START_TEST(appends_all_or_nothing)
{
    char bytes[4];
    struct text t = text_in(bytes, sizeof bytes);
    clean_text(&t, SPAN("ab\n"), false);
    clean_text(&t, SPAN("\n\n"), false);
    ck_assert(t.full && span_eq(text_span(&t), SPAN("ab?")));
}
END_TEST

START_TEST(knows_ascii)
{
    for (int c = 0; c < 256; c++) {
        bool printable = c >= ' ' && c <= '~';
        ck_assert_int_eq(clean_ascii((char)c), printable ? c : '?');
        ck_assert_int_eq(clean_visible((char)c), printable && c != ' ');
    }
    ck_assert(clean_all_visible(SPAN("")) && clean_all_visible(SPAN("!a~")));
    ck_assert(!clean_all_visible(SPAN("a b")) && !clean_all_visible(SPAN("a\x80")));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("clean");
    TCase *tc = tcase_create("clean");
    tcase_add_loop_test(tc, cleans, 0, (int)COUNT(texts));
    tcase_add_test(tc, leaves_nothing_unfit);
    tcase_add_test(tc, appends_all_or_nothing);
    tcase_add_test(tc, knows_ascii);
    suite_add_tcase(s, tc);
    return run(s);
}
