/*
 * ed25519.c - EdDSA against Wycheproof's vectors and RFC 8032 section 7.1; keys that are refused;
 * SHA-512 against published values.
 */
#include "lib/auth/ed25519.h"

#include "lib/sha2.h"
#include "test/kit/vectors.h"

static size_t unhex(const char *hex, uint8_t *out)
{
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(sscanf(hex + 2 * i, "%2hhx", &out[i]), 1);
    return n;
}

START_TEST(wycheproof)
{
    struct vectors v;
    vectors_open(&v, "ed25519");
    while (vectors_next(&v)) {
        const struct vector *t = &v.now;
        const uint8_t *key = (const uint8_t *)t->key.p;
        struct span m = vectors_bytes(t->message), s = vectors_bytes(t->signature);
        ck_assert_uint_eq(t->key.n, ED25519_KEY);
        ck_assert_msg(ed25519_key_good(key), "key of %" PRIu64, t->id);
        ck_assert_msg(ed25519_verify(key, m, s) == t->good, "%" PRIu64, t->id);
    }
}
END_TEST

/* RFC 8032 section 7.1: TEST 1, 2, 3, SHA(abc); RFC 8037 appendix A.1 and A.4 has TEST 1's key. */
static const struct {
    const char *secret, *key, *message, *signature;
} rfc[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9"
     "b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f1"
     "1d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984d"
     "c6594a7c15e9716ed28dc027beceea1ec40a"},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3fe"
     "ebbd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431"
     "e0303dca179c138ac17ad9bef1177331a704"},
};

START_TEST(rfc8032)
{
    uint8_t secret[32], key[32], message[64], want[64], got[64];
    unhex(rfc[_i].secret, secret);
    unhex(rfc[_i].key, key);
    struct span m = {(const char *)message, unhex(rfc[_i].message, message)};
    unhex(rfc[_i].signature, want);
    ed25519_public(got, secret);
    ck_assert_mem_eq(got, key, 32);
    ed25519_sign(got, secret, m);
    ck_assert_mem_eq(got, want, 64);
    ck_assert(ed25519_verify(key, m, (struct span){(const char *)got, 64}));
}
END_TEST

/* What is signed verifies, and nothing else does: with a bit of the signature, the message or
 * the key changed. */
START_TEST(bits)
{
    uint64_t state = seed(), first = state;
    uint8_t secret[32], key[32], sign[64], m[40];
    for (size_t i = 0; i < sizeof(secret); i++)
        secret[i] = (uint8_t)random_next(&state);
    for (size_t i = 0; i < sizeof(m); i++)
        m[i] = (uint8_t)random_next(&state);
    struct span message = {(const char *)m, sizeof(m)}, signature = {(const char *)sign, 64};
    ed25519_public(key, secret);
    ed25519_sign(sign, secret, message);
    ck_assert_msg(ed25519_key_good(key) && ed25519_verify(key, message, signature), SEED_FMT,
                  first);
    for (unsigned i = 0; i < 30; i++) {
        uint64_t r = random_next(&state);
        uint8_t *of = i % 3 == 0 ? sign : i % 3 == 1 ? m : key;
        uint8_t *at = of + r / 8 % (i % 3 == 0 ? 64 : i % 3 == 1 ? 40 : 32);
        *at ^= (uint8_t)(1 << r % 8);
        ck_assert_msg(!ed25519_verify(key, message, signature), SEED_FMT, first);
        *at ^= (uint8_t)(1 << r % 8);
    }
}
END_TEST

/* The points of small order, and encodings that are not canonical. */
static const char *const bad_keys[] = {
    "0100000000000000000000000000000000000000000000000000000000000000", /* order 1 */
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* 2 */
    "0000000000000000000000000000000000000000000000000000000000000000", /* 4 */
    "0000000000000000000000000000000000000000000000000000000000000080", /* 4 */
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", /* 8 */
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85", /* 8 */
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", /* 8 */
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa", /* 8 */
    "0100000000000000000000000000000000000000000000000000000000000080", /* x = -0 */
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", /* x = -0 */
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* y = p */
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* y = p + 1 */
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "0200000000000000000000000000000000000000000000000000000000000000", /* no x */
};

START_TEST(keys_refused)
{
    uint8_t key[32];
    ck_assert_uint_eq(unhex(bad_keys[_i], key), 32);
    ck_assert_msg(!ed25519_key_good(key), "%s", bad_keys[_i]);
}
END_TEST

/* FIPS 180-2 appendix C. */
static void sha512(uint8_t out[SHA512_SIZE], const struct span part[], size_t parts)
{
    struct sha2 x;
    sha2_begin(&x, SHA512_BLOCK);
    for (size_t i = 0; i < parts; i++)
        sha2_add(&x, part[i]);
    sha2_end(&x, out);
}

START_TEST(sha512_vectors)
{
    static const char *const want[] = {
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3"
        "feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4"
        "b5433ac7d329eeb6dd26545e96e55b874be909",
        "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d287"
        "7eec2f63b931bd47417a81a538327af927da3e"};
    const struct span text[] = {
        SPAN("abc"),
        SPAN("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmno"
             "pqrlmnopqrsmnopqrstnopqrstu"),
        SPAN("")};
    uint8_t got[64], expected[64];
    for (unsigned i = 0; i < COUNT(want); i++) {
        unhex(want[i], expected);
        sha512(got, &text[i], 1);
        ck_assert_mem_eq(got, expected, 64);
    }
}
END_TEST

/* Each length with its padding: SHA-512 over the digests of 0 to 299 bytes, as Python's hashlib has
 * it. */
START_TEST(sha512_lengths)
{
    char bytes[300];
    uint8_t got[64], all[300 * 64], want[64];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    for (size_t n = 0; n < sizeof(bytes); n++) {
        const struct span parts[] = {{bytes, n / 3}, {bytes + n / 3, n - n / 3}};
        sha512(all + 64 * n, parts, 2);
    }
    const struct span whole = {(const char *)all, sizeof(all)};
    sha512(got, &whole, 1);
    unhex("97248248ab8e9324b9577e93acd92914d32bb25edcacbb91edb75576dea14781"
          "b5b477c027835c43a08ddc16cbbcd6d067d159897e5c18aa43aeeb2e49811bb3",
          want);
    ck_assert_mem_eq(got, want, 64);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ed25519");
    TCase *c = tcase_create("ed25519");
    tcase_add_test(c, wycheproof);
    tcase_add_loop_test(c, rfc8032, 0, COUNT(rfc));
    tcase_add_test(c, bits);
    tcase_add_loop_test(c, keys_refused, 0, COUNT(bad_keys));
    tcase_add_test(c, sha512_vectors);
    tcase_add_test(c, sha512_lengths);
    suite_add_tcase(s, c);
    return run(s);
}
