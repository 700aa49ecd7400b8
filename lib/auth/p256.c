/*
 * p256.c - y^2 = x^3 - 3x + b modulo p, its points, and ECDSA.
 *
 * A point is projective: (X : Y : Z) is (X/Z, Y/Z), with Z = 0 the point at infinity.
 */
#include "lib/auth/p256.h"

#include "lib/auth/curve.h"
#include "lib/hash.h"

#define WORDS CURVE_WORDS
#define BYTES CURVE_BYTES

/* SP 800-186 section 3.2.1.3: p, n, b and the base point; behind each, the end of its string. */
static const uint8_t prime[BYTES + 1] =
    "\xff\xff\xff\xff\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
    "\xff\xff";
static const uint8_t order[BYTES + 1] =
    "\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff"
    "\xff\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63"
    "\x25\x51";
static const uint8_t coefficient[BYTES + 1] =
    "\x5a\xc6\x35\xd8\xaa\x3a\x93\xe7\xb3\xeb\xbd\x55\x76\x98\x86\xbc\x65\x1d\x06\xb0\xcc\x53\xb0"
    "\xf6\x3b\xce\x3c\x3e\x27\xd2\x60\x4b";
static const uint8_t base[P256_KEY + 1] =
    "\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2\x77\x03\x7d\x81\x2d\xeb\x33"
    "\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96\x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e\xe7\xeb\x4a\x7c\x0f"
    "\x9e\x16\x2b\xce\x33\x57\x6b\x31\x5e\xce\xcb\xb6\x40\x68\x37\xbf\x51\xf5";

/* Registers besides those of two points, which have no fourth coordinate. */
enum { T0 = W1, T1 = W2, T2 = 8, T3 = 9, T4 = 10, X3 = 11, Y3 = 12, Z3 = 13, B = 14 };

#define ADD CURVE_ADD
#define SUB CURVE_SUB
#define MUL CURVE_MUL

/* One formula adds any two points, equal and opposite ones too, so that there are no cases to
 * forget: J. Renes, C. Costello, L. Batina, "Complete addition formulas for prime order elliptic
 * curves", 2015, algorithm 4, step by step; its last steps write to P. */
static const uint16_t sum[] = {
    MUL(T0, X1, X2), MUL(T1, Y1, Y2), MUL(T2, Z1, Z2), ADD(T3, X1, Y1), ADD(T4, X2, Y2),
    MUL(T3, T3, T4), ADD(T4, T0, T1), SUB(T3, T3, T4), ADD(T4, Y1, Z1), ADD(X3, Y2, Z2),
    MUL(T4, T4, X3), ADD(X3, T1, T2), SUB(T4, T4, X3), ADD(X3, X1, Z1), ADD(Y3, X2, Z2),
    MUL(X3, X3, Y3), ADD(Y3, T0, T2), SUB(Y3, X3, Y3), MUL(Z3, B, T2),  SUB(X3, Y3, Z3),
    ADD(Z3, X3, X3), ADD(X3, X3, Z3), SUB(Z3, T1, X3), ADD(X3, T1, X3), MUL(Y3, B, Y3),
    ADD(T1, T2, T2), ADD(T2, T1, T2), SUB(Y3, Y3, T2), SUB(Y3, Y3, T0), ADD(T1, Y3, Y3),
    ADD(Y3, T1, Y3), ADD(T1, T0, T0), ADD(T0, T1, T0), SUB(T0, T0, T2), MUL(T1, T4, Y3),
    MUL(T2, T0, Y3), MUL(Y1, X3, Z3), ADD(Y1, Y1, T2), MUL(X1, T3, X3), SUB(X1, X1, T1),
    MUL(Z1, T4, Z3), MUL(T1, T3, T0), ADD(Z1, Z1, T1), CURVE_END,
};

/* T0 = y^2 - (x^3 - 3x + b) */
static const uint16_t equation[] = {
    MUL(T0, Y1, Y1), MUL(T1, X1, X1), MUL(T1, T1, X1), SUB(T0, T0, T1), ADD(T0, T0, X1),
    ADD(T0, T0, X1), ADD(T0, T0, X1), SUB(T0, T0, B),  CURVE_END,
};

static void p256_init(struct curve *c)
{
    uint64_t b[WORDS];
    curve_init(c, prime, sum);
    memcpy(c->zero.c[Y1], c->p.one, sizeof(c->zero.c[Y1])); /* infinity: (0 : 1 : 0) */
    bignum_read(b, WORDS, coefficient, BYTES);
    curve_set(c, B, b);
}

/* Reads x and y into P; false if it is no point of the curve: a coordinate above p - 1, or y^2 is
 * not x^3 - 3x + b (SP 800-186 appendix D.1.1.1; n is prime, so any point of the curve has order
 * n). */
static bool point_read(struct curve *c, const uint8_t key[P256_KEY])
{
    for (unsigned i = X1; i <= Y1; i++) {
        uint64_t a[WORDS];
        bignum_read(a, WORDS, key + (size_t)i * BYTES, BYTES);
        if (!bignum_less(a, c->p.m, WORDS))
            return false;
        curve_set(c, i, a);
    }
    memcpy(c->r[Z1], c->p.one, sizeof(c->r[Z1]));
    curve_run(c, equation);
    return bignum_is_zero(c->r[T0], WORDS);
}

bool p256_key_good(const uint8_t key[P256_KEY])
{
    struct curve c;
    p256_init(&c);
    return point_read(&c, key);
}

/* Returns true if x of the point P, modulo n, is r. As n < p < 2n that is r or r + n; X is compared
 * with x Z, which saves a division. */
static bool has_x(struct curve *c, const struct bignum_modulus *n, const uint64_t r[WORDS])
{
    static const uint16_t product[] = {MUL(T2, X2, Z1), CURVE_END};
    uint64_t left[WORDS];
    if (bignum_is_zero(c->r[Z1], WORDS))
        return false;
    curve_set(c, X2, r);
    curve_run(c, product);
    if (bignum_equal(c->r[T2], c->r[X1], WORDS))
        return true;
    bignum_sub(&c->p, left, c->p.m, n->m);
    if (!bignum_less(r, left, WORDS))
        return false; /* r + n would be p or above */
    bignum_add(&c->p, left, r, n->m);
    curve_set(c, X2, left);
    curve_run(c, product);
    return bignum_equal(c->r[T2], c->r[X1], WORDS);
}

/* FIPS 186-5 section 6.4.2. */
bool p256_verify(const uint8_t key[P256_KEY], struct span message, struct span signature)
{
    struct curve c;
    struct bignum_modulus n;
    struct curve_point g, q;
    uint64_t r[WORDS], s[WORDS], e[WORDS], u[WORDS], v[WORDS], w[WORDS];
    uint8_t digest[HASH_SHA256_SIZE];
    p256_init(&c);
    bignum_modulus(&n, order, BYTES);
    point_read(&c, base);
    g = curve_point(&c);
    if (signature.n != P256_SIGN || !point_read(&c, key))
        return false;
    q = curve_point(&c);
    /* 1. r and s are in 1..n-1. */
    bignum_read(r, WORDS, (const uint8_t *)signature.p, BYTES);
    bignum_read(s, WORDS, (const uint8_t *)signature.p + BYTES, BYTES);
    if (bignum_is_zero(r, WORDS) || bignum_is_zero(s, WORDS) || !bignum_less(r, n.m, WORDS) ||
        !bignum_less(s, n.m, WORDS))
        return false;
    /* 2. and 3. e is the digest, which is as long as n. */
    hash_sha256(digest, message);
    bignum_read(e, WORDS, digest, BYTES);
    /* 4. and 5. w = 1/s, u = e w, v = r w; a factor in Montgomery form leaves the other's form. */
    bignum_enter(&n, s, s);
    bignum_invert(&n, w, s);
    bignum_mul(&n, u, e, w);
    bignum_mul(&n, v, r, w);
    /* 6. to 8. The point u G + v Q, which is not infinity, has r for its x. */
    curve_mul2(&c, &g, &q, u, v);
    return has_x(&c, &n, r);
}
