/*
 * check_hash.c - base64 against RFC 4648 and itself, SHA-1 against published values, SipHash
 * against a plain implementation that is itself held against published values.
 */
#include "lib/hash.h"

#include "test/kit.h"

/* ---- base64 ---- */

static const struct {
    int line;
    const char *plain, *coded;
} base64_rows[] = {
    /* RFC 4648 section 10 */
    {__LINE__, "", ""},
    {__LINE__, "f", "Zg=="},
    {__LINE__, "fo", "Zm8="},
    {__LINE__, "foo", "Zm9v"},
    {__LINE__, "foob", "Zm9vYg=="},
    {__LINE__, "fooba", "Zm9vYmE="},
    {__LINE__, "foobar", "Zm9vYmFy"},
    /* RFC 4648 section 9, and the last two digits of the alphabet */
    {__LINE__, "\x14\xfb\x9c\x03\xd9\x7e", "FPucA9l+"},
    {__LINE__, "\x14\xfb\x9c\x03\xd9", "FPucA9k="},
    {__LINE__, "\x14\xfb\x9c\x03", "FPucAw=="},
    {__LINE__, "\xff\xff\xff\xfb\xf0", "////+/A="},
};

START_TEST(base64_vectors)
{
    const char *plain = base64_rows[_i].plain, *coded = base64_rows[_i].coded;
    char out[16];
    int line = base64_rows[_i].line;
    size_t n = base64_write(out, span_of(plain));
    ck_assert_msg(n == strlen(coded) && memcmp(out, coded, n) == 0, "line %d: write", line);
    ck_assert_msg(base64_size(strlen(plain)) == n, "line %d: size", line);
    ptrdiff_t got = base64_read(out, span_of(coded));
    ck_assert_msg(got == (ptrdiff_t)strlen(plain), "line %d: read gives %td", line, got);
    ck_assert_msg(memcmp(out, plain, (size_t)got) == 0, "line %d: read", line);
}
END_TEST

static const struct {
    int line;
    const char *coded;
} base64_wrong[] = {
    {__LINE__, "Z"},          {__LINE__, "Zg"},       {__LINE__, "Zg="},
    {__LINE__, "Zm9vY"},      {__LINE__, "===="},     {__LINE__, "Z==="},
    {__LINE__, "Zg==Zg=="},   {__LINE__, "Zm8=Zm9v"}, {__LINE__, "Zg=g"},
    {__LINE__, "=Zg="},       {__LINE__, "Zh=="},     {__LINE__, "Zp=="},
    {__LINE__, "Zm9="},       {__LINE__, "Zm+="},     {__LINE__, "Zm9\n"},
    {__LINE__, "Zm 9"},       {__LINE__, "Zm-v"},     {__LINE__, "Zm_v"},
    {__LINE__, "Z\xc3\xa9v"}, {__LINE__, "Zm9v!m9v"}, {__LINE__, "\x80m9vZm9v"},
    {__LINE__, "Zm9v\r\n=="},
};

START_TEST(base64_refuses)
{
    char out[16];
    ptrdiff_t got = base64_read(out, span_of(base64_wrong[_i].coded));
    ck_assert_msg(got == -1, "line %d: gives %td", base64_wrong[_i].line, got);
}
END_TEST

/* Every byte value in every place of a group. */
START_TEST(base64_alphabet)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (unsigned place = 0; place < 4; place++) {
        for (unsigned c = 0; c < 256; c++) {
            char group[8] = {'A', 'A', 'A', 'A', 'A', 'A', 'A', 'A'}, out[6];
            bool digit = c != 0 && strchr(digits, (int)c) != NULL;
            group[place] = (char)c;
            ck_assert_int_eq(base64_read(out, (struct span){group, 8}), digit ? 6 : -1);
            group[place] = 'A';
            group[4 + place] = (char)c;
            ptrdiff_t expect = digit ? 6 : place == 3 && c == '=' ? 5 : -1;
            ck_assert_int_eq(base64_read(out, (struct span){group, 8}), expect);
        }
    }
}
END_TEST

/* All lengths, there and back, the way back in place. */
START_TEST(base64_lengths)
{
    for (size_t n = 0; n < 300; n++) {
        /* Just as large as need be: the sanitizer sees what goes over. */
        char *plain = malloc(n + 1), *coded = malloc(base64_size(n) + 1);
        for (size_t i = 0; i < n; i++)
            plain[i] = (char)(i * 167 + n * 31);
        ck_assert_uint_eq(base64_write(coded, (struct span){plain, n}), base64_size(n));
        struct span s = {coded, base64_size(n)};
        ck_assert_int_eq(base64_read(coded, s), (ptrdiff_t)n);
        ck_assert(memcmp(coded, plain, n) == 0);
        free(plain);
        free(coded);
    }
}
END_TEST

/* ---- SHA-1 ---- */

/* Is the digest this, in hexadecimal? */
static bool digest_is(const uint8_t digest[20], const char *hex)
{
    char text[41];
    for (int i = 0; i < 20; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return strcmp(text, hex) == 0;
}

/* FIPS 180-4: the examples that NIST publishes to it, and the empty message of its test vectors. */
static const struct {
    int line;
    const char *text, *digest;
} sha1_rows[] = {
    {__LINE__, "", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
    {__LINE__, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {__LINE__, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
    {__LINE__,
     "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr"
     "lmnopqrsmnopqrstnopqrstu",
     "a49b2446a02c645bf419f995b67091253a04a259"},
};

START_TEST(sha1_vectors)
{
    uint8_t digest[20];
    hash_sha1(digest, span_of(sha1_rows[_i].text));
    ck_assert_msg(digest_is(digest, sha1_rows[_i].digest), "line %d", sha1_rows[_i].line);
}
END_TEST

START_TEST(sha1_of_a_million)
{
    static char text[1000000];
    uint8_t digest[20];
    memset(text, 'a', sizeof(text));
    hash_sha1(digest, (struct span){text, sizeof(text)});
    ck_assert(digest_is(digest, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"));
    hash_sha1(digest, (struct span){NULL, 0});
    ck_assert(digest_is(digest, sha1_rows[0].digest));
}
END_TEST

/* All lengths around a block or four: the digest of their digests, which Python's hashlib gave. */
START_TEST(sha1_lengths)
{
    uint8_t all[300][20], digest[20];
    for (size_t n = 0; n < COUNT(all); n++) {
        char *p = malloc(n + (n == 0));
        for (size_t i = 0; i < n; i++)
            p[i] = (char)(i * 167 + n * 31);
        hash_sha1(all[n], (struct span){p, n});
        free(p);
    }
    hash_sha1(digest, (struct span){(const char *)all, sizeof(all)});
    ck_assert(digest_is(digest, "d988640104780cefb75896114aea1ba8cb11f9b2"));
}
END_TEST

/* ---- SipHash ---- */

/* As the paper describes it, for any number of rounds, a byte at a time. */
static void plain_rounds(uint64_t v[4], int rounds)
{
    static const struct {
        uint8_t a, b, left, turn;
    } half[] = {{0, 1, 13, 32}, {2, 3, 16, 0}, {2, 1, 17, 32}, {0, 3, 21, 0}};
    for (int i = 0; i < rounds; i++) {
        for (int k = 0; k < 4; k++) {
            v[half[k].a] += v[half[k].b];
            v[half[k].b] = v[half[k].b] << half[k].left | v[half[k].b] >> (64 - half[k].left);
            v[half[k].b] ^= v[half[k].a];
            if (half[k].turn != 0)
                v[half[k].a] = v[half[k].a] << 32 | v[half[k].a] >> 32;
        }
    }
}

static uint64_t plain_siphash(int c, int d, uint64_t k0, uint64_t k1, const char *p, size_t n)
{
    const char *text = "somepseudorandomlygeneratedbytes";
    const uint64_t key[2] = {k0, k1};
    uint64_t v[4] = {0}, m = 0;
    for (int i = 0; i < 32; i++)
        v[i / 8] = v[i / 8] << 8 | (unsigned char)text[i];
    for (int i = 0; i < 4; i++)
        v[i] ^= key[i % 2];
    for (size_t i = 0; i < (n / 8 + 1) * 8; i++) {
        uint64_t byte = i < n ? (unsigned char)p[i] : i % 8 == 7 ? n & 0xff : 0;
        m |= byte << (i % 8 * 8);
        if (i % 8 == 7) {
            v[3] ^= m;
            plain_rounds(v, c);
            v[0] ^= m;
            m = 0;
        }
    }
    v[2] ^= 0xff;
    plain_rounds(v, d);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#define KEY0 0x0706050403020100u
#define KEY1 0x0f0e0d0c0b0a0908u

START_TEST(siphash_2_4)
{
    char in[16];
    for (int i = 0; i < 16; i++)
        in[i] = (char)i;
    /* The paper's appendix A, and the first of its authors' vectors. */
    ck_assert(plain_siphash(2, 4, KEY0, KEY1, in, 15) == 0xa129ca6149be45e5u);
    ck_assert(plain_siphash(2, 4, KEY0, KEY1, in, 0) == 0x726fdb47dd0e0e31u);
}
END_TEST

/* Of the first so many bytes 00 01 02 ..., as the tests of Rust's core library have them. */
static const uint64_t siphash_1_3_vectors[] = {
    0xabac0158050fc4dcu, 0xc9f49bf37d57ca93u, 0x82cb9b024dc7d44du, 0x8bf80ab8e7ddf7fbu,
    0xcf75576088d38328u, 0xdef9d52f49533b67u, 0xc50d2b50c59f22a7u, 0xd3927d989bb11140u,
    0x369095118d299a8eu, 0x25a48eb36c063de4u,
};

START_TEST(siphash_1_3)
{
    char in[16];
    for (int i = 0; i < 16; i++)
        in[i] = (char)i;
    for (size_t n = 0; n < COUNT(siphash_1_3_vectors); n++)
        ck_assert_msg(hash_table(KEY0, KEY1, (struct span){in, n}) == siphash_1_3_vectors[n],
                      "%zu bytes", n);
    ck_assert(hash_table(KEY0, KEY1, (struct span){NULL, 0}) == siphash_1_3_vectors[0]);
}
END_TEST

START_TEST(siphash_lengths)
{
    for (size_t n = 0; n < 600; n++) {
        char *p = malloc(n + 1);
        for (size_t i = 0; i < n; i++)
            p[i] = (char)(i * 91 + n * 57 + 200);
        uint64_t k0 = n * 0x9e3779b97f4a7c15u, k1 = ~k0 * 3;
        uint64_t plain = plain_siphash(1, 3, k0, k1, p, n);
        ck_assert_msg(hash_table(k0, k1, (struct span){p, n}) == plain, "%zu bytes", n);
        ck_assert(hash_table(k0 + 1, k1, (struct span){p, n}) != plain);
        ck_assert(hash_table(k0, k1 + 1, (struct span){p, n}) != plain);
        free(p);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("hash");
    TCase *c = tcase_create("hash");
    tcase_add_loop_test(c, base64_vectors, 0, COUNT(base64_rows));
    tcase_add_loop_test(c, base64_refuses, 0, COUNT(base64_wrong));
    tcase_add_test(c, base64_alphabet);
    tcase_add_test(c, base64_lengths);
    tcase_add_loop_test(c, sha1_vectors, 0, COUNT(sha1_rows));
    tcase_add_test(c, sha1_of_a_million);
    tcase_add_test(c, sha1_lengths);
    tcase_add_test(c, siphash_2_4);
    tcase_add_test(c, siphash_1_3);
    tcase_add_test(c, siphash_lengths);
    suite_add_tcase(s, c);
    return run(s);
}
