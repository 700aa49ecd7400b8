/*
 * utf8.c - utf8.h against a table and against a decoder that follows the definition.
 */
#include "lib/utf8.h"

#include "test/kit/kit.h"

/* ---- what must hold ---- */

/* The size of the character at the front by the definition: decode, then see whether it was the
 * shortest form and no surrogate. 0: there is none. */
static size_t character(const unsigned char *p, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = p[0] < 0x80       ? 1
                  : p[0] >> 5 == 6  ? 2
                  : p[0] >> 4 == 14 ? 3
                  : p[0] >> 3 == 30 ? 4
                                    : 0;
    if (size <= 1)
        return size;
    uint32_t code = p[0] & (0xFFu >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if (i == n || p[i] >> 6 != 2)
            return 0;
        code = code << 6 | (p[i] & 0x3F);
    }
    return code < least[size] || code > 0x10FFFF || (code >> 11 == 0x1B) ? 0 : size;
}

static size_t valid(struct span s)
{
    size_t i = 0;
    while (i < s.n) {
        size_t size = character((const unsigned char *)s.p + i, s.n - i);
        if (size == 0)
            return i;
        i += size;
    }
    return i;
}

/* Returns true if the bytes can begin a text: they are valid, or two or three more bytes complete
 * the character that is cut at their end. */
static bool may_go_on(struct span s)
{
    size_t at = valid(s), rest = s.n - at;
    if (rest == 0)
        return true;
    if (rest > 3)
        return false;
    static const unsigned char tries[] = {0x80, 0x90, 0xA0, 0xBF};
    unsigned char c[4] = {0, 0x80, 0x80, 0x80};
    memcpy(c, s.p + at, rest);
    for (size_t i = 0; i < sizeof(tries); i++) {
        c[rest] = tries[i];
        size_t size = character(c, 4);
        if (size > rest)
            return true;
    }
    return false;
}

/* How many bytes are right whatever follows: all before the first that makes it impossible. */
static size_t possible(struct span s)
{
    size_t n = valid(s);
    while (n < s.n && may_go_on((struct span){s.p, n + 1}))
        n++;
    return n;
}

static void feed_in_two(struct span s, size_t cut, uint64_t start)
{
    size_t want = possible(s);
    char *a = on_heap((struct span){s.p, cut}), *b = on_heap(span_from(s, cut));
    struct utf8 u = {0, 0, 0};
    size_t got = utf8_feed(&u, (struct span){a, cut});
    if (got == cut)
        got += utf8_feed(&u, (struct span){b, s.n - cut});
    ck_assert_msg(got == want, SEED_FMT ": cut at %zu: %zu, not %zu", start, cut, got, want);
    if (got == s.n)
        ck_assert_int_eq(utf8_whole(&u), valid(s) == s.n);
    free(a);
    free(b);
}

static void check_text(struct span s, uint64_t start)
{
    char *h = on_heap(s);
    size_t got = utf8_valid((struct span){h, s.n});
    ck_assert_msg(got == valid(s), SEED_FMT ": %zu, not %zu", start, got, valid(s));
    size_t want = possible(s), at = 0;
    struct utf8 u = {0, 0, 0};
    while (at < s.n && utf8_feed(&u, (struct span){h + at, 1}) == 1)
        at++;
    ck_assert_msg(at == want, SEED_FMT ": by bytes: %zu, not %zu", start, at, want);
    free(h);
}

/* ---- vectors ---- */

static const struct {
    int line;
    const char *text;
    size_t valid, fed; /* bytes that utf8_valid() and utf8_feed() take */
} vectors[] = {
    {__LINE__, "", 0, 0},
    {__LINE__, "plain ASCII, some words long, \x7F and all", 39, 39},
    {__LINE__, "\xC3\xA9t\xC3\xA9", 5, 5},
    {__LINE__, "\xE2\x82\xAC", 3, 3},
    {__LINE__, "\xF0\x9F\x98\x80", 4, 4},
    {__LINE__, "\xF4\x8F\xBF\xBF", 4, 4}, /* U+10FFFF */
    {__LINE__, "\xF4\x90\x80\x80", 0, 1}, /* U+110000 */
    {__LINE__, "\xF5\x80\x80\x80", 0, 0},
    {__LINE__, "\xC0\x80", 0, 0}, /* overlong */
    {__LINE__, "\xC1\xBF", 0, 0},
    {__LINE__, "\xE0\x9F\xBF", 0, 1},
    {__LINE__, "\xE0\xA0\x80", 3, 3},
    {__LINE__, "\xF0\x8F\xBF\xBF", 0, 1},
    {__LINE__, "\xF0\x90\x80\x80", 4, 4},
    {__LINE__, "\xED\x9F\xBF\xED\xA0\x80", 3, 4}, /* U+D7FF, then a surrogate */
    {__LINE__, "\xEE\x80\x80", 3, 3},
    {__LINE__, "a\x80", 1, 1},
    {__LINE__, "a\xBF", 1, 1},
    {__LINE__, "ab\xE2\x82", 2, 4}, /* cut short */
    {__LINE__, "ab\xE2\x82z", 2, 4},
    {__LINE__, "ab\xF0\x9F\x98", 2, 5},
    {__LINE__, "ab\xC3\xC3\xA9", 2, 3},
    {__LINE__, "\xFE", 0, 0},
    {__LINE__, "\xFF", 0, 0},
    {__LINE__, "0123456789012345678901234567890\xFF", 31, 31},
    {__LINE__, "01234567890123456789012345678901\xFF", 32, 32},
    {__LINE__,
     "0123456\xC3\xA9"
     "9012345\xC3\xA9"
     "89012345678901234567890123456789\xFF",
     50, 50},
};

START_TEST(table)
{
    struct span s = span_of(vectors[_i].text);
    struct utf8 u = {0, 0, 0};
    ck_assert_msg(utf8_valid(s) == vectors[_i].valid, "line %d", vectors[_i].line);
    ck_assert_msg(utf8_feed(&u, s) == vectors[_i].fed, "line %d", vectors[_i].line);
    check_text(s, 0);
    for (size_t cut = 0; cut <= s.n; cut++)
        feed_in_two(s, cut, 0);
}
END_TEST

START_TEST(nothing)
{
    struct utf8 u = {0, 0, 0};
    ck_assert_uint_eq(utf8_valid((struct span){NULL, 0}), 0);
    ck_assert_uint_eq(utf8_feed(&u, (struct span){NULL, 0}), 0);
    ck_assert(utf8_whole(&u));
    ck_assert_uint_eq(utf8_feed(&u, SPAN("\xE2")), 1);
    ck_assert_uint_eq(utf8_feed(&u, (struct span){NULL, 0}), 0);
    ck_assert(!utf8_whole(&u));
}
END_TEST

/* Every sequence of three bytes that doesn't begin with ASCII, and four of every kind. */
START_TEST(every_sequence)
{
    static const unsigned char edges[] = {0x00, 0x22, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0,
                                          0xBF, 0xC0, 0xC2, 0xE0, 0xED, 0xF0, 0xF4, 0xFF};
    unsigned char c[4];
    for (unsigned i = 0x80 << 16; i <= 0xFFFFFF; i++) {
        c[0] = (unsigned char)(i >> 16), c[1] = (unsigned char)(i >> 8), c[2] = (unsigned char)i;
        struct span s = {(const char *)c, 3};
        if (utf8_valid(s) != valid(s))
            ck_abort_msg("%02x %02x %02x", c[0], c[1], c[2]);
    }
    for (unsigned lead = 0xF0; lead <= 0xFF; lead++)
        for (unsigned second = 0; second <= 0xFF; second++)
            for (unsigned i = 0; i < 256; i++) {
                c[0] = (unsigned char)lead, c[1] = (unsigned char)second;
                c[2] = edges[i / 16], c[3] = edges[i % 16];
                struct span s = {(const char *)c, 4};
                struct utf8 u = {0, 0, 0};
                if (utf8_valid(s) != valid(s) || utf8_feed(&u, s) != possible(s))
                    ck_abort_msg("%02x %02x %02x %02x", c[0], c[1], c[2], c[3]);
            }
}
END_TEST

/* ---- at random ---- */

static size_t put(unsigned char *p, uint64_t *state)
{
    static const struct span pieces[] = {
        BYTES("\xC3\xA9"),     BYTES("\xE2\x82\xAC"), BYTES("\xF0\x9F\x98\x80"),
        BYTES("\xED\x9F\xBF"), BYTES("plain"),        BYTES("a long plain run of ASCII bytes")};
    uint64_t r = random_next(state);
    if (r % 16 == 0) {
        *p = (unsigned char)(r >> 8);
        return 1;
    }
    struct span piece = pieces[r % COUNT(pieces)];
    memcpy(p, piece.p, piece.n);
    return piece.n;
}

START_TEST(random_texts)
{
    uint64_t start = seed(), state = start;
    for (unsigned i = 0; i < 20000; i++) {
        unsigned char buf[512] = {0};
        size_t n = 0, pieces = random_next(&state) % 12;
        for (size_t k = 0; k < pieces; k++)
            n += put(buf + n, &state);
        size_t cut = random_next(&state) % (n + 1);
        struct span s = {(const char *)buf, n - (n > 0 ? random_next(&state) % 2 : 0)};
        check_text(s, start);
        feed_in_two(s, cut <= s.n ? cut : s.n, start);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("utf8");
    TCase *tc = tcase_create("utf8");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, table, 0, (int)COUNT(vectors));
    tcase_add_test(tc, nothing);
    tcase_add_test(tc, every_sequence);
    tcase_add_test(tc, random_texts);
    suite_add_tcase(s, tc);
    return run(s);
}
