/*
 * rsa.c - RS256 against Wycheproof's vectors of three sizes; keys that are refused.
 */
#include "lib/auth/rsa.h"

#include "test/kit/vectors.h"

static const char *const tables[] = {"rsa2048", "rsa3072", "rsa4096"};

/* A key with a small exponent verifies right, and is refused as a key. */
START_TEST(wycheproof)
{
    struct vectors v;
    vectors_open(&v, tables[_i]);
    while (vectors_next(&v)) {
        const struct vector *t = &v.now;
        uint32_t e = (uint32_t)t->exponent;
        struct span m = vectors_bytes(t->message), s = vectors_bytes(t->signature);
        ck_assert_msg(rsa_verify(t->key, e, m, s) == t->good, "%s %" PRIu64, tables[_i], t->id);
        uint8_t bytes[2] = {(uint8_t)(e >> 8), (uint8_t)e}, usual[3] = {1, 0, 1};
        struct span small = {(const char *)bytes + (bytes[0] == 0), bytes[0] == 0 ? 1 : 2};
        if (e == 65537)
            ck_assert(rsa_key_wrong(t->key, (struct span){(const char *)usual, 3}) == NULL);
        else
            ck_assert_str_eq(rsa_key_wrong(t->key, small),
                             "the exponent of the RSA key is below 65537");
    }
}
END_TEST

/* A modulus of so many bytes with this first and last one; the exponent; what is wrong. */
static const struct {
    int line;
    size_t n;
    unsigned first, last;
    struct span e;
    const char *wrong;
} keys[] = {
    {__LINE__, 256, 0x80, 1, BYTES("\1\0\1"), NULL},
    {__LINE__, 512, 0xff, 1, BYTES("\xff\xff\xff\xff"), NULL},
    {__LINE__, 257, 0x01, 1, BYTES("\1\0\1"), NULL},
    {__LINE__, 256, 0x7f, 1, BYTES("\1\0\1"), "the RSA key has fewer than 2048 bits"},
    {__LINE__, 128, 0xff, 1, BYTES("\1\0\1"), "the RSA key has fewer than 2048 bits"},
    {__LINE__, 513, 0x01, 1, BYTES("\1\0\1"), "the RSA key has more than 4096 bits"},
    {__LINE__, 256, 0x80, 2, BYTES("\1\0\1"), "the modulus of the RSA key is even"},
    {__LINE__, 257, 0x00, 1, BYTES("\1\0\1"), "a number of the RSA key begins with zero"},
    {__LINE__, 0, 0, 1, BYTES("\1\0\1"), "a number of the RSA key begins with zero"},
    {__LINE__, 256, 0x80, 1, BYTES("\1\0\2"), "the exponent of the RSA key is even"},
    {__LINE__, 256, 0x80, 1, BYTES("\1"), "the exponent of the RSA key is below 65537"},
    {__LINE__, 256, 0x80, 1, BYTES("\3"), "the exponent of the RSA key is below 65537"},
    {__LINE__, 256, 0x80, 1, BYTES("\xff\xff"), "the exponent of the RSA key is below 65537"},
    {__LINE__, 256, 0x80, 1, BYTES("\0\1\0\1"), "a number of the RSA key begins with zero"},
    {__LINE__, 256, 0x80, 1, BYTES(""), "a number of the RSA key begins with zero"},
    {__LINE__, 256, 0x80, 1, BYTES("\1\0\0\0\1"),
     "the exponent of the RSA key has more than 32 bits"},
};

START_TEST(key_rules)
{
    char modulus[600] = {0};
    modulus[0] = (char)keys[_i].first;
    if (keys[_i].n > 0)
        modulus[keys[_i].n - 1] = (char)keys[_i].last;
    const char *wrong = rsa_key_wrong((struct span){modulus, keys[_i].n}, keys[_i].e);
    ck_assert_msg((wrong == NULL) == (keys[_i].wrong == NULL), "line %d", keys[_i].line);
    if (wrong != NULL)
        ck_assert_str_eq(wrong, keys[_i].wrong);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rsa");
    TCase *c = tcase_create("rsa");
    tcase_add_loop_test(c, wycheproof, 0, COUNT(tables));
    tcase_add_loop_test(c, key_rules, 0, COUNT(keys));
    suite_add_tcase(s, c);
    return run(s);
}
