/*
 * inflate.c - unpacking: what gzip packs, blocks of each kind by hand, and what is none.
 */
#include "lib/inflate.h"
#include "test/kit/kit.h"

#include <unistd.h>

#define ROOM (300u << 10)
#define HEAD "\x1f\x8b\x08\0\0\0\0\0\2\3"

static char packed[ROOM], out[ROOM], text[ROOM];

/* Unpacks a copy of it on the heap into memory of just that room, into `out`; returns the bytes, -1
 * if it is refused. */
static long unpack(struct span gzip, size_t room)
{
    char *in = on_heap(gzip), *to = malloc(room + 1);
    struct text t = text_in(to, room);
    bool good = inflate((struct span){in, gzip.n}, &t);
    ck_assert_uint_le(t.n, room);
    memcpy(out, to, t.n);
    free(in);
    free(to);
    return good ? (long)t.n : -1;
}

/* What `gzip OPTION` makes of bytes, in `packed`. */
static struct span gzip(struct span s, const char *option)
{
    char name[] = "/tmp/sse-inflate-XXXXXX", command[128];
    int fd = mkstemp(name);
    ck_assert_int_ne(fd, -1);
    ck_assert_int_eq(write(fd, s.p, s.n), (ssize_t)s.n);
    close(fd);
    snprintf(command, sizeof(command), "gzip %s <%s", option, name);
    FILE *f = popen(command, "re");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(packed, 1, sizeof(packed), f);
    ck_assert_int_eq(pclose(f), 0);
    unlink(name);
    return (struct span){packed, n};
}

static void put_number(char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (char)(v >> 8 * i);
}

/* Deflated bytes as a gzip file that says these come out of it, in `packed`. */
static struct span wrapped(struct span deflated, struct span of)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < 8 * of.n; i++)
        crc = crc >> 1 ^ (((crc ^ (uint32_t)(of.p[i / 8] >> i % 8)) & 1) != 0 ? 0xedb88320u : 0);
    memcpy(packed, HEAD, 10);
    memcpy(packed + 10, deflated.p, deflated.n);
    put_number(packed + 10 + deflated.n, ~crc);
    put_number(packed + 14 + deflated.n, (uint32_t)of.n);
    return (struct span){packed, 18 + deflated.n};
}

static void expect(struct span packed_bytes, struct span s)
{
    ck_assert_int_eq(unpack(packed_bytes, s.n), (long)s.n);
    ck_assert_int_eq(memcmp(out, s.p, s.n), 0);
    ck_assert_int_eq(unpack(packed_bytes, s.n + 100), (long)s.n);
    if (s.n > 0)
        ck_assert_int_eq(unpack(packed_bytes, s.n - 1), -1);
}

static const struct {
    int line;
    struct span deflated, of;
} blocks[] = {
    /* stored, empty, two of them */
    {__LINE__, BYTES("\x01\x05\0\xfa\xffhello"), BYTES("hello")},
    {__LINE__, BYTES("\x01\0\0\xff\xff"), BYTES("")},
    {__LINE__, BYTES("\0\x05\0\xfa\xffhello\x01\x01\0\xfe\xff!"), BYTES("hello!")},
    /* in the code that all know; empty; behind a stored one; a copy that runs over what it makes */
    {__LINE__, BYTES("\xcb\x48\xcd\xc9\xc9\xd7\x51\xc8\x40\xa2\0"), BYTES("hello, hello, hello")},
    {__LINE__, BYTES("\x03\0"), BYTES("")},
    {__LINE__, BYTES("\0\x02\0\xfd\xffok\x03\0"), BYTES("ok")},
    {__LINE__, BYTES("\x4b\x84\x03\0"), BYTES("aaaaaaaaaa")},
    /* in one of its own, which has but the end; gzip's are below */
    {__LINE__, BYTES("\x05\xc0\x81\x08\0\0\0\0\x20\x7f\xeb\x03"), BYTES("")},
};

START_TEST(of_each_kind)
{
    struct span file = wrapped(blocks[_i].deflated, blocks[_i].of);
    expect(file, blocks[_i].of);
    for (size_t n = 0; n < file.n; n++)
        ck_assert_msg(unpack((struct span){file.p, n}, 100) == -1, "line %d, %zu bytes of it",
                      blocks[_i].line, n);
}
END_TEST

static const struct {
    int line;
    struct span deflated;
} wrong[] = {
    {__LINE__, BYTES("\x07")},                    /* a fourth kind of block */
    {__LINE__, BYTES("\x01\x05\0\xfb\xffhello")}, /* a length that is not its opposite's */
    {__LINE__, BYTES("\x01\xff\xff\0\0hello")},   /* more stored than there is */
    {__LINE__, BYTES("\x03\0hello")},             /* more than the last block */
    /* a copy of what is before the front; likewise, two bytes of one; how far or how long is not
     * told */
    {__LINE__, BYTES("\x03\x02\0")},
    {__LINE__, BYTES("\x4b\x04\x42\0")},
    {__LINE__, BYTES("\x4b\x04\x3e\0")},
    {__LINE__, BYTES("\x4b\x1c\x03\0")},
    /* the code of the codes: too many words, none, "as before" at first, more lengths than were
     * said */
    {__LINE__, BYTES("\x05\xe0\x93\x24\x49\x92\x24\x49\x92\0")},
    {__LINE__, BYTES("\x05\xe0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0")},
    {__LINE__, BYTES("\x05\0\x12\0\0\0\0")},
    {__LINE__, BYTES("\x05\0\x80\xe4\xff\x1f\0\0\0")},
    /* codes of their own: without any word, with three words of one bit */
    {__LINE__, BYTES("\x05\0\x80\xe4\x7f\x1b\0\0\0\0\0")},
    {__LINE__,
     BYTES("\x05\xc0\x81\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
           "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")},
};

START_TEST(what_is_none)
{
    ck_assert_msg(unpack(wrapped(wrong[_i].deflated, SPAN("")), 100) == -1, "line %d",
                  wrong[_i].line);
    static const size_t sizes[] = {1, 2, 5, 9};
    for (size_t i = 0; i < COUNT(sizes); i++)
        ck_assert_int_eq(
            unpack(wrapped(wrong[_i].deflated, (struct span){"hello!!!!", sizes[i]}), 100), -1);
}
END_TEST

START_TEST(other_heads)
{
    struct span file = wrapped(SPAN("\x03\0"), SPAN(""));
    ck_assert_int_eq(unpack(file, 0), 0);
    for (int i = 0; i < 4; i++) {
        packed[i] ^= 8;
        ck_assert_int_eq(unpack(file, 100), -1);
        packed[i] ^= 8;
    }
    ck_assert_int_eq(unpack(gzip(SPAN("x"), "-n"), 100), 1);
    packed[8]++; /* how hard it was packed */
    ck_assert_int_eq(unpack((struct span){packed, 21}, 100), 1);
}
END_TEST

/* It is appended, and nothing is copied from what is there. */
START_TEST(behind_another)
{
    char room[16];
    struct text t = text_in(room, sizeof(room));
    text_str(&t, "before");
    ck_assert(inflate(wrapped(SPAN("\x4b\x84\x03\0"), SPAN("aaaaaaaaaa")), &t));
    ck_assert_int_eq(memcmp(room, "beforeaaaaaaaaaa", 16), 0);
    t = text_in(room, sizeof(room));
    text_str(&t, "before");
    ck_assert(!inflate(wrapped(SPAN("\x03\x02\0"), SPAN("eee")), &t));
}
END_TEST

/* Bytes of several sorts: noise, words, few letters, one letter. */
static struct span sort_of(int sort, size_t n, uint64_t *state)
{
    static const char words[] = "some words of a text. ", *few = "abc", *one = "x";
    for (size_t i = 0; i < n; i++) {
        uint64_t r = random_next(state);
        const char *from = sort == 1   ? &words[r % 4 == 0 ? r >> 8 & 15 : i % 22]
                           : sort == 2 ? &few[r % 3]
                                       : one;
        text[i] = sort == 0 ? (char)(r & 0xff) : *from;
    }
    return (struct span){text, n};
}

/* What gzip makes, as fast and as small as it can. */
START_TEST(of_gzip)
{
    static const size_t sizes[] = {0, 1, 100, 5000, 70000, 200000};
    uint64_t state = seed();
    for (int sort = 0; sort < 4; sort++) {
        for (size_t i = 0; i < COUNT(sizes); i++) {
            struct span s = sort_of(sort, sizes[i], &state);
            expect(gzip(s, _i == 0 ? "-1n" : _i == 1 ? "-6n" : "-9n"), s);
        }
    }
}
END_TEST

/* None that is cut short, or that has a byte which is another, or further ones, is taken for
 * whole. */
START_TEST(damaged)
{
    uint64_t state = seed();
    struct span file = gzip(sort_of(1, 900, &state), "-9n");
    for (size_t n = 0; n < file.n; n++)
        ck_assert_int_eq(unpack((struct span){file.p, n}, ROOM - 1), -1);
    for (size_t i = 10; i < file.n; i++) {
        for (int bit = 0; bit < 8; bit++) {
            packed[i] = (char)(packed[i] ^ 1 << bit);
            /* There are bits that tell nothing: of words that are not used, behind the last
             * block. */
            long n = unpack(file, 5000);
            ck_assert_msg(n == -1 || (n == 900 && memcmp(out, text, 900) == 0),
                          "byte %zu, bit %d, " SEED_FMT, i, bit, state);
            packed[i] = (char)(packed[i] ^ 1 << bit);
        }
    }
    packed[file.n] = 0;
    ck_assert_int_eq(unpack((struct span){packed, file.n + 1}, 5000), -1);
}
END_TEST

/* Noise with gzip's head is none, whatever is in it. */
START_TEST(noise)
{
    uint64_t state = seed(), first = state;
    for (int times = 0; times < 20000; times++) {
        struct span s = sort_of(0, random_next(&state) % 200, &state);
        ck_assert_msg(unpack(wrapped(s, SPAN("x")), 1000) == -1, SEED_FMT, first);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("inflate");
    TCase *tc = tcase_create("gzip");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, of_each_kind, 0, COUNT(blocks));
    tcase_add_loop_test(tc, what_is_none, 0, COUNT(wrong));
    tcase_add_test(tc, other_heads);
    tcase_add_test(tc, behind_another);
    tcase_add_loop_test(tc, of_gzip, 0, 3);
    tcase_add_test(tc, damaged);
    tcase_add_test(tc, noise);
    suite_add_tcase(suite, tc);
    return run(suite);
}
