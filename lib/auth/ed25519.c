/*
 * ed25519.c - -x^2 + y^2 = 1 + d x^2 y^2 modulo p, its points, and EdDSA (RFC 8032 section 5.1).
 *
 * A point is in extended coordinates (X : Y : Z : T), with x = X/Z, y = Y/Z, x y = T/Z, each in
 * Montgomery form. The formula for the sum holds for any two points (section 5.1.4).
 */
#include "lib/auth/ed25519.h"

#include <assert.h>

#include "lib/auth/bignum.h"
#include "lib/auth/sha512.h"
#include "lib/hash.h"

#define WORDS 4u
#define BYTES 32u

/* Section 5.1: p, L, d, the square root of -1, big-endian; the base point as a key is encoded. */
static const uint8_t prime[BYTES] = {
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xed,
};
static const uint8_t order[BYTES] = {
    0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x14, 0xde, 0xf9, 0xde, 0xa2, 0xf7, 0x9c, 0xd6, 0x58, 0x12, 0x63, 0x1a, 0x5c, 0xf5, 0xd3, 0xed,
};
static const uint8_t coefficient[BYTES] = {
    0x52, 0x03, 0x6c, 0xee, 0x2b, 0x6f, 0xfe, 0x73, 0x8c, 0xc7, 0x40, 0x79, 0x77, 0x79, 0xe8, 0x98,
    0x00, 0x70, 0x0a, 0x4d, 0x41, 0x41, 0xd8, 0xab, 0x75, 0xeb, 0x4d, 0xca, 0x13, 0x59, 0x78, 0xa3,
};
static const uint8_t root[BYTES] = {
    0x2b, 0x83, 0x24, 0x80, 0x4f, 0xc1, 0xdf, 0x0b, 0x2b, 0x4d, 0x00, 0x99, 0x3d, 0xfb, 0xd7, 0xa7,
    0x2f, 0x43, 0x18, 0x06, 0xad, 0x2f, 0xe4, 0x78, 0xc4, 0xee, 0x1b, 0x27, 0x4a, 0x0e, 0xa0, 0xb0,
};
static const uint8_t base[ED25519_KEY] = {0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                                          0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                                          0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                                          0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66};

struct point {
    uint64_t x[WORDS], y[WORDS], z[WORDS], t[WORDS];
};

struct curve {
    struct bignum_modulus p;
    uint64_t d[WORDS];
};

static void constant(const struct curve *c, uint64_t r[WORDS], const uint8_t bytes[BYTES])
{
    bignum_read(r, WORDS, bytes, BYTES);
    bignum_enter(&c->p, r, r);
}

static void curve_init(struct curve *c)
{
    bignum_modulus(&c->p, prime, BYTES);
    constant(c, c->d, coefficient);
}

/* Numbers are little-endian in keys and signatures. */
static void read_little(uint64_t r[WORDS], const uint8_t bytes[BYTES])
{
    uint8_t big[BYTES];
    for (size_t i = 0; i < BYTES; i++)
        big[i] = bytes[BYTES - 1 - i];
    bignum_read(r, WORDS, big, BYTES);
    hash_wipe(big, sizeof(big));
}

static void write_little(uint8_t bytes[BYTES], const uint64_t a[WORDS])
{
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)(a[i / 8] >> i % 8 * 8);
}

/* ---- points ---- */

static void point_zero(const struct curve *c, struct point *r)
{
    *r = (struct point){.x = {0}};
    memcpy(r->y, c->p.one, sizeof(r->y));
    memcpy(r->z, c->p.one, sizeof(r->z));
}

/* r = a + b (section 5.1.4); r may be either. */
static void point_add(const struct curve *c, struct point *r, const struct point *a,
                      const struct point *b)
{
    const struct bignum_modulus *p = &c->p;
    uint64_t A[WORDS], B[WORDS], C[WORDS], D[WORDS], E[WORDS], F[WORDS];
    bignum_sub(p, A, a->y, a->x);
    bignum_sub(p, E, b->y, b->x);
    bignum_mul(p, A, A, E);
    bignum_add(p, B, a->y, a->x);
    bignum_add(p, E, b->y, b->x);
    bignum_mul(p, B, B, E);
    bignum_mul(p, C, a->t, b->t);
    bignum_mul(p, C, C, c->d);
    bignum_add(p, C, C, C);
    bignum_mul(p, D, a->z, b->z);
    bignum_add(p, D, D, D);
    bignum_sub(p, E, B, A);
    bignum_sub(p, F, D, C);
    bignum_add(p, D, D, C); /* G */
    bignum_add(p, B, B, A); /* H */
    bignum_mul(p, r->x, E, F);
    bignum_mul(p, r->y, D, B);
    bignum_mul(p, r->t, E, B);
    bignum_mul(p, r->z, F, D);
}

/* x of y (section 5.1.3, steps 2 to 4): a root of (y^2 - 1) / (d y^2 + 1), the one that has this
 * lowest bit. False: there is none. */
static bool find_x(const struct curve *c, uint64_t x[WORDS], const uint64_t y[WORDS], unsigned sign)
{
    const struct bignum_modulus *p = &c->p;
    uint64_t u[WORDS], v[WORDS], v3[WORDS], s[WORDS], e[WORDS], plain[WORDS];
    static const uint64_t zero[WORDS] = {0};
    bignum_mul(p, u, y, y);
    bignum_mul(p, v, u, c->d);
    bignum_sub(p, u, u, p->one);
    bignum_add(p, v, v, p->one);
    /* u v^3 (u v^7)^((p - 5) / 8) */
    bignum_mul(p, v3, v, v);
    bignum_mul(p, v3, v3, v);
    bignum_mul(p, s, v3, v3);
    bignum_mul(p, s, s, v);
    bignum_mul(p, s, s, u);
    for (size_t i = 0; i < WORDS; i++) /* p >> 3 is (p - 5) / 8, as p is 5 modulo 8 */
        e[i] = p->m[i] >> 3 | (i + 1 < WORDS ? p->m[i + 1] << 61 : 0);
    bignum_pow(p, x, s, e, WORDS);
    bignum_mul(p, x, x, v3);
    bignum_mul(p, x, x, u);
    /* v x^2 is u, or -u, where the root of -1 mends it, or there is no root. */
    bignum_mul(p, s, x, x);
    bignum_mul(p, s, s, v);
    bignum_sub(p, v3, zero, u);
    if (!bignum_equal(s, u, WORDS)) {
        if (!bignum_equal(s, v3, WORDS))
            return false;
        constant(c, s, root);
        bignum_mul(p, x, x, s);
    }
    bignum_leave(p, plain, x);
    if (bignum_is_zero(plain, WORDS) && sign != 0)
        return false;
    if (bignum_bit(plain, 0) != sign)
        bignum_sub(p, x, zero, x);
    return true;
}

/* Decodes a point (section 5.1.3); false if it is none, or not encoded canonically. */
static bool point_read(const struct curve *c, struct point *r, const uint8_t bytes[ED25519_KEY])
{
    unsigned sign = bytes[BYTES - 1] >> 7;
    read_little(r->y, bytes);
    r->y[WORDS - 1] &= UINT64_MAX >> 1;
    if (!bignum_less(r->y, c->p.m, WORDS))
        return false;
    bignum_enter(&c->p, r->y, r->y);
    if (!find_x(c, r->x, r->y, sign))
        return false;
    memcpy(r->z, c->p.one, sizeof(r->z));
    bignum_mul(&c->p, r->t, r->x, r->y);
    return true;
}

/* Encodes it (section 5.1.2). */
static void point_write(const struct curve *c, uint8_t bytes[ED25519_KEY], const struct point *a)
{
    uint64_t z[WORDS], x[WORDS], y[WORDS];
    bignum_invert(&c->p, z, a->z);
    bignum_mul(&c->p, x, a->x, z);
    bignum_mul(&c->p, y, a->y, z);
    bignum_leave(&c->p, x, x);
    bignum_leave(&c->p, y, y);
    write_little(bytes, y);
    bytes[BYTES - 1] = (uint8_t)(bytes[BYTES - 1] | bignum_bit(x, 0) << 7);
}

/* r = u B + v Q, both at once: a doubling for each bit, and the sum that the two bits choose. */
static void point_mul2(const struct curve *c, struct point *r, const uint64_t u[WORDS],
                       const uint64_t v[WORDS], const struct point *q)
{
    struct point add[4];
    point_read(c, &add[1], base);
    add[2] = *q;
    point_add(c, &add[3], &add[1], &add[2]);
    point_zero(c, r);
    for (size_t i = 64 * WORDS; i > 0; i--) {
        unsigned which = bignum_bit(u, i - 1) | bignum_bit(v, i - 1) << 1;
        point_add(c, r, r, r);
        if (which != 0)
            point_add(c, r, r, &add[which]);
    }
}

/* r = u B, encoded. */
static void base_mul(const struct curve *c, uint8_t bytes[ED25519_KEY], const uint64_t u[WORDS])
{
    static const uint64_t none[WORDS] = {0};
    struct point zero, r;
    point_zero(c, &zero);
    point_mul2(c, &r, u, none, &zero);
    point_write(c, bytes, &r);
    hash_wipe(&r, sizeof(r));
}

/* ---- keys and signatures ---- */

bool ed25519_key_good(const uint8_t key[ED25519_KEY])
{
    struct curve c;
    struct point a;
    curve_init(&c);
    if (!point_read(&c, &a, key))
        return false;
    for (size_t i = 0; i < 3; i++)
        point_add(&c, &a, &a, &a);
    return !bignum_is_zero(a.x,
                           WORDS); /* 8 A is neither (0, 1) nor, as 8 A has odd order, (0, -1) */
}

/* SHA-512 of the parts modulo L: high 2^256 + low, each half of the digest brought
 * below L. */
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
    struct point a, r;
    uint64_t s[WORDS], k[WORDS];
    uint8_t again[ED25519_KEY];
    static const uint64_t zero[WORDS] = {0};
    curve_init(&c);
    bignum_modulus(&l, order, BYTES);
    /* 1. A is a point, s below L. R is looked at in the end: what is compared is canonical. */
    if (signature.n != ED25519_SIGN || !point_read(&c, &a, key))
        return false;
    read_little(s, (const uint8_t *)signature.p + BYTES);
    if (!bignum_less(s, l.m, WORDS))
        return false;
    /* 2. k = SHA-512(R, A, M) */
    const struct span part[] = {{signature.p, BYTES}, bytes_of(key, ED25519_KEY), message};
    digest_scalar(&l, k, part, 3);
    /* 3. */
    bignum_sub(&c.p, a.x, zero, a.x);
    bignum_sub(&c.p, a.t, zero, a.t);
    point_mul2(&c, &r, s, k, &a);
    point_write(&c, again, &r);
    return memcmp(again, signature.p, ED25519_KEY) == 0;
}

/* Section 5.1.5: the scalar of a secret key, not reduced, and the prefix behind it. */
static void expand(uint8_t digest[SHA512_SIZE], uint64_t a[WORDS],
                   const uint8_t secret[ED25519_SECRET])
{
    const struct span part = bytes_of(secret, ED25519_SECRET);
    sha512(digest, &part, 1);
    digest[0] &= 0xf8;
    digest[BYTES - 1] = (digest[BYTES - 1] & 0x7f) | 0x40;
    read_little(a, digest);
}

void ed25519_public(uint8_t key[ED25519_KEY], const uint8_t secret[ED25519_SECRET])
{
    struct curve c;
    uint8_t digest[SHA512_SIZE];
    uint64_t a[WORDS];
    curve_init(&c);
    expand(digest, a, secret);
    base_mul(&c, key, a);
    hash_wipe(digest, sizeof(digest));
    hash_wipe(a, sizeof(a));
}

void ed25519_sign(uint8_t signature[ED25519_SIGN], const uint8_t secret[ED25519_SECRET],
                  struct span message)
{
    struct curve c;
    struct bignum_modulus l;
    uint8_t digest[SHA512_SIZE], key[ED25519_KEY];
    uint64_t a[WORDS], r[WORDS], k[WORDS];
    curve_init(&c);
    bignum_modulus(&l, order, BYTES);
    expand(digest, a, secret);
    base_mul(&c, key, a);
    /* 2. and 3. r = SHA-512(prefix, M), R = r B */
    digest_scalar(&l, r, (const struct span[]){bytes_of(digest + BYTES, BYTES), message}, 2);
    base_mul(&c, signature, r);
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
}
