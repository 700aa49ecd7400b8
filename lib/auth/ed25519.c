/*
 * ed25519.c - -x^2 + y^2 = 1 + d x^2 y^2 modulo p, its points, and EdDSA (RFC 8032 section 5.1).
 *
 * A point is in extended coordinates (X : Y : Z : T), with x = X/Z, y = Y/Z, x y = T/Z.
 */
#include "lib/auth/ed25519.h"

#include "lib/auth/curve.h"
#include "lib/hash.h"
#include "lib/sha2.h"

#include <endian.h>

#define WORDS CURVE_WORDS
#define BYTES CURVE_BYTES

#include <endian.h>

/* Section 5.1: p and L, big-endian; d, the root of -1 and the base point as keys are encoded. */
static const uint8_t prime[BYTES] = {
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xed,
};
static const uint8_t order[BYTES] = {
    0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x14, 0xde, 0xf9, 0xde, 0xa2, 0xf7, 0x9c, 0xd6, 0x58, 0x12, 0x63, 0x1a, 0x5c, 0xf5, 0xd3, 0xed,
};
static const uint8_t coefficient[BYTES] = {
    0xa3, 0x78, 0x59, 0x13, 0xca, 0x4d, 0xeb, 0x75, 0xab, 0xd8, 0x41, 0x41, 0x4d, 0x0a, 0x70, 0x00,
    0x98, 0xe8, 0x79, 0x77, 0x79, 0x40, 0xc7, 0x8c, 0x73, 0xfe, 0x6f, 0x2b, 0xee, 0x6c, 0x03, 0x52,
};
static const uint8_t root[BYTES] = {
    0xb0, 0xa0, 0x0e, 0x4a, 0x27, 0x1b, 0xee, 0xc4, 0x78, 0xe4, 0x2f, 0xad, 0x06, 0x18, 0x43, 0x2f,
    0xa7, 0xd7, 0xfb, 0x3d, 0x99, 0x00, 0x4d, 0x2b, 0x0b, 0xdf, 0xc1, 0x4f, 0x80, 0x24, 0x83, 0x2b,
};
static const uint8_t base[ED25519_KEY] = {0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                                          0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                                          0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                                          0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66};

/* Registers besides those of two points, whose fourth coordinate is T. */
enum { A = 8, B = 9, C = 10, E = 11, F = 12, D = 13, ROOT = 14, ONE = 15 };

#define ADD CURVE_ADD
#define SUB CURVE_SUB
#define MUL CURVE_MUL

/* Section 5.1.4, whose D, G and H take the places of Z2, Z2 and B. It holds for any two points. */
static const uint16_t sum[] = {
    SUB(A, Y1, X1),  SUB(E, Y2, X2), MUL(A, A, E),  ADD(B, Y1, X1), ADD(E, Y2, X2),
    MUL(B, B, E),    MUL(C, W1, W2), MUL(C, C, D),  ADD(C, C, C),   MUL(Z2, Z1, Z2),
    ADD(Z2, Z2, Z2), SUB(E, B, A),   SUB(F, Z2, C), ADD(Z2, Z2, C), ADD(B, B, A),
    MUL(X1, E, F),   MUL(Y1, Z2, B), MUL(W1, E, B), MUL(Z1, F, Z2), CURVE_END,
};

/* Section 5.1.3 step 2: A = u = y^2 - 1, B = v = d y^2 + 1, C = u v^3, E = u v^7. */
static const uint16_t square[] = {
    MUL(A, Y1, Y1), MUL(B, A, D), SUB(A, A, ONE), ADD(B, B, ONE), MUL(E, B, B),
    MUL(C, E, B),   MUL(C, C, A), MUL(E, E, E),   MUL(E, E, C),   CURVE_END,
};

/* Step 3: x = u v^3 E, for E that has been raised to its power; E = v x^2, F = -u. The registers of
 * Q are zero. */
static const uint16_t candidate[] = {
    MUL(X1, C, E), MUL(E, X1, X1), MUL(E, E, B), SUB(F, X2, A), CURVE_END,
};
static const uint16_t mend[] = {MUL(X1, X1, ROOT), CURVE_END};
static const uint16_t negate[] = {SUB(X1, X2, X1), CURVE_END};
static const uint16_t last[] = {MUL(W1, X1, Y1), CURVE_END};
static const uint16_t affine[] = {MUL(X1, X1, Z1), MUL(Y1, Y1, Z1), CURVE_END};

/* Numbers are little-endian in keys and signatures. */
static void read_little(uint64_t r[WORDS], const void *bytes)
{
    memcpy(r, bytes, BYTES);
    for (size_t i = 0; i < WORDS; i++)
        r[i] = le64toh(r[i]);
}

static void write_little(uint8_t bytes[BYTES], const uint64_t a[WORDS])
{
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)(a[i / 8] >> i % 8 * 8);
}

static void constant(struct curve *c, unsigned to, const uint8_t bytes[BYTES])
{
    uint64_t a[WORDS];
    read_little(a, bytes);
    curve_set(c, to, a);
}

static void ed25519_init(struct curve *c)
{
    curve_init(c, prime, sum);
    constant(c, D, coefficient);
    constant(c, ROOT, root);
    memcpy(c->r[ONE], c->p.one, sizeof(c->r[ONE]));
    memcpy(c->zero.c[Y1], c->p.one, sizeof(c->zero.c[Y1])); /* (0 : 1 : 1 : 0) */
    memcpy(c->zero.c[Z1], c->p.one, sizeof(c->zero.c[Z1]));
}

/* ---- points ---- */

/* x of y (section 5.1.3, steps 2 to 4): a root of (y^2 - 1) / (d y^2 + 1), the one that has this
 * lowest bit. False: there is none. */
static bool find_x(struct curve *c, unsigned sign)
{
    uint64_t e[WORDS], power[WORDS], plain[WORDS];
    memset(c->r[X2], 0, sizeof(c->r[X2]));
    curve_run(c, square);
    for (size_t i = 0; i < WORDS; i++) /* p >> 3 is (p - 5) / 8, as p is 5 modulo 8 */
        e[i] = c->p.m[i] >> 3 | (i + 1 < WORDS ? c->p.m[i + 1] << 61 : 0);
    bignum_pow(&c->p, power, c->r[E], e, WORDS);
    memcpy(c->r[E], power, sizeof(power));
    curve_run(c, candidate);
    /* v x^2 is u, or -u, where the root of -1 mends it, or there is no root. */
    if (!bignum_equal(c->r[E], c->r[A], WORDS)) {
        if (!bignum_equal(c->r[E], c->r[F], WORDS))
            return false;
        curve_run(c, mend);
    }
    bignum_leave(&c->p, plain, c->r[X1]);
    if (bignum_is_zero(plain, WORDS) && sign != 0)
        return false;
    if (bignum_bit(plain, 0) != sign)
        curve_run(c, negate);
    return true;
}

/* Decodes a point into P (section 5.1.3); false if it is none, or not encoded canonically. */
static bool point_read(struct curve *c, const uint8_t bytes[ED25519_KEY])
{
    uint64_t y[WORDS];
    read_little(y, bytes);
    y[WORDS - 1] &= UINT64_MAX >> 1;
    if (!bignum_less(y, c->p.m, WORDS))
        return false;
    curve_set(c, Y1, y);
    if (!find_x(c, bytes[BYTES - 1] >> 7))
        return false;
    memcpy(c->r[Z1], c->p.one, sizeof(c->r[Z1]));
    curve_run(c, last);
    return true;
}

/* Encodes P (section 5.1.2). */
static void point_write(struct curve *c, uint8_t bytes[ED25519_KEY])
{
    uint64_t z[WORDS], x[WORDS];
    bignum_invert(&c->p, z, c->r[Z1]);
    memcpy(c->r[Z1], z, sizeof(z));
    curve_run(c, affine);
    bignum_leave(&c->p, x, c->r[X1]);
    bignum_leave(&c->p, z, c->r[Y1]);
    write_little(bytes, z);
    bytes[BYTES - 1] = (uint8_t)(bytes[BYTES - 1] | bignum_bit(x, 0) << 7);
}

/* u B + v A, encoded; A is NULL: u B. */
static void multiple(struct curve *c, uint8_t bytes[ED25519_KEY], const uint64_t u[WORDS],
                     const uint64_t v[WORDS], const struct curve_point *a)
{
    static const uint64_t none[WORDS] = {0};
    point_read(c, base);
    const struct curve_point b = curve_point(c);
    curve_mul2(c, &b, a != NULL ? a : &c->zero, u, a != NULL ? v : none);
    point_write(c, bytes);
}

/* ---- keys and signatures ---- */

bool ed25519_key_good(const uint8_t key[ED25519_KEY])
{
    struct curve c;
    ed25519_init(&c);
    if (!point_read(&c, key))
        return false;
    for (size_t i = 0; i < 3; i++) {
        memcpy(c.r[X2], c.r[X1], sizeof(struct curve_point));
        curve_run(&c, sum);
    }
    /* 8 A is neither (0, 1) nor, as 8 A has odd order, (0, -1) */
    return !bignum_is_zero(c.r[X1], WORDS);
}

static void sha512(uint8_t out[SHA512_SIZE], const struct span part[], size_t parts)
{
    struct sha2 x;
    sha2_begin(&x, SHA512_BLOCK);
    for (size_t i = 0; i < parts; i++)
        sha2_add(&x, part[i]);
    sha2_end(&x, out);
    hash_wipe(&x, sizeof(x));
}

/* SHA-512 of the parts modulo L: high 2^256 + low, each half of the digest brought below L. */
static void digest_scalar(const struct bignum_modulus *l, uint64_t r[WORDS],
                          const struct span part[], size_t parts)
{
    uint8_t digest[SHA512_SIZE];
    uint64_t low[WORDS], high[WORDS];
    sha512(digest, part, parts);
    read_little(low, digest);
    read_little(high, digest + BYTES);
    bignum_enter(l, high, high); /* high R, R being 2^256 */
    bignum_enter(l, low, low);
    bignum_leave(l, low, low);
    bignum_add(l, r, high, low);
    hash_wipe(digest, sizeof(digest));
}

static struct span bytes_of(const uint8_t *p, size_t n)
{
    return (struct span){(const char *)p, n};
}

/* Section 5.1.7: s B = R + k A, as R = s B + k (-A). */
bool ed25519_verify(const uint8_t key[ED25519_KEY], struct span message, struct span signature)
{
    struct curve c;
    struct bignum_modulus l;
    uint64_t s[WORDS], k[WORDS];
    uint8_t again[ED25519_KEY];
    static const uint16_t opposite[] = {SUB(X1, X2, X1), SUB(W1, X2, W1), CURVE_END};
    ed25519_init(&c);
    bignum_modulus(&l, order, BYTES);
    /* 1. A is a point, s below L. R is looked at in the end: what is compared is canonical. */
    if (signature.n != ED25519_SIGN || !point_read(&c, key))
        return false;
    read_little(s, signature.p + BYTES);
    if (!bignum_less(s, l.m, WORDS))
        return false;
    curve_run(&c, opposite); /* X2 is zero */
    const struct curve_point a = curve_point(&c);
    /* 2. k = SHA-512(R, A, M) */
    digest_scalar(&l, k, (const struct span[]){{signature.p, BYTES}, bytes_of(key, BYTES), message},
                  3);
    /* 3. */
    multiple(&c, again, s, k, &a);
    return memcmp(again, signature.p, ED25519_KEY) == 0;
}

/* Section 5.1.5: the scalar of a secret key, not reduced, and the prefix behind it. */
static void expand(uint8_t digest[SHA512_SIZE], uint64_t a[WORDS],
                   const uint8_t secret[ED25519_SECRET])
{
    const struct span part = bytes_of(secret, ED25519_SECRET);
    sha512(digest, &part, 1);
    digest[0] &= 0xf8;
    digest[BYTES - 1] = (uint8_t)((digest[BYTES - 1] & 0x7f) | 0x40);
    read_little(a, digest);
}

void ed25519_public(uint8_t key[ED25519_KEY], const uint8_t secret[ED25519_SECRET])
{
    struct curve c;
    uint8_t digest[SHA512_SIZE];
    uint64_t a[WORDS];
    ed25519_init(&c);
    expand(digest, a, secret);
    multiple(&c, key, a, NULL, NULL);
    hash_wipe(digest, sizeof(digest));
    hash_wipe(a, sizeof(a));
    hash_wipe(&c, sizeof(c));
}

void ed25519_sign(uint8_t signature[ED25519_SIGN], const uint8_t secret[ED25519_SECRET],
                  struct span message)
{
    struct curve c;
    struct bignum_modulus l;
    uint8_t digest[SHA512_SIZE], key[ED25519_KEY];
    uint64_t a[WORDS], r[WORDS], k[WORDS];
    ed25519_init(&c);
    bignum_modulus(&l, order, BYTES);
    expand(digest, a, secret);
    multiple(&c, key, a, NULL, NULL);
    /* 2. and 3. r = SHA-512(prefix, M), R = r B */
    digest_scalar(&l, r, (const struct span[]){bytes_of(digest + BYTES, BYTES), message}, 2);
    multiple(&c, signature, r, NULL, NULL);
    /* 4. and 5. k = SHA-512(R, A, M), s = r + k a */
    digest_scalar(&l, k,
                  (const struct span[]){bytes_of(signature, BYTES), bytes_of(key, BYTES), message},
                  3);
    bignum_enter(&l, k, k);
    bignum_mul(&l, k, a, k);
    bignum_add(&l, r, r, k);
    write_little(signature + BYTES, r);
    hash_wipe(digest, sizeof(digest));
    hash_wipe(a, sizeof(a));
    hash_wipe(r, sizeof(r));
    hash_wipe(&c, sizeof(c));
}
