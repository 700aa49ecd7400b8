/*
 * p256.c - y^2 = x^3 - 3x + b modulo p, its points, and ECDSA.
 *
 * A point is projective: (X : Y : Z) is (X/Z, Y/Z), with Z = 0 the point at infinity; coordinates
 * are in Montgomery form. One formula adds any two points, equal and opposite ones too (J. Renes,
 * C. Costello, L. Batina, "Complete addition formulas for prime order elliptic curves", 2015,
 * algorithm 4), so that there are no cases to forget.
 */
#include "lib/auth/p256.h"

#include "lib/auth/bignum.h"
#include "lib/hash.h"

#define WORDS 4u
#define BYTES 32u

/* SP 800-186 section 3.2.1.3: p, n, b and the base point. */
static const uint8_t prime[BYTES] = "\xff\xff\xff\xff\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00"
                                    "\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
                                    "\xff\xff";
static const uint8_t order[BYTES] = "\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff"
                                    "\xff\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63"
                                    "\x25\x51";
static const uint8_t coefficient[BYTES] =
    "\x5a\xc6\x35\xd8\xaa\x3a\x93\xe7\xb3\xeb\xbd\x55\x76\x98\x86\xbc\x65\x1d\x06\xb0\xcc\x53\xb0"
    "\xf6\x3b\xce\x3c\x3e\x27\xd2\x60\x4b";
static const uint8_t base[P256_KEY] =
    "\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2\x77\x03\x7d\x81\x2d\xeb\x33"
    "\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96\x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e\xe7\xeb\x4a\x7c\x0f"
    "\x9e\x16\x2b\xce\x33\x57\x6b\x31\x5e\xce\xcb\xb6\x40\x68\x37\xbf\x51\xf5";

struct point {
    uint64_t x[WORDS], y[WORDS], z[WORDS];
};

struct curve {
    struct bignum_modulus p;
    uint64_t b[WORDS];
};

static void curve_init(struct curve *c)
{
    bignum_modulus(&c->p, prime, BYTES);
    bignum_read(c->b, WORDS, coefficient, BYTES);
    bignum_enter(&c->p, c->b, c->b);
}

/* (a + b) (c + d) - e - f */
static void cross(const struct bignum_modulus *p, uint64_t *r, const uint64_t *const of[6])
{
    uint64_t s[WORDS], t[WORDS];
    bignum_add(p, s, of[0], of[1]);
    bignum_add(p, t, of[2], of[3]);
    bignum_mul(p, s, s, t);
    bignum_sub(p, s, s, of[4]);
    bignum_sub(p, r, s, of[5]);
}

static void triple(const struct bignum_modulus *p, uint64_t *r)
{
    uint64_t t[WORDS];
    bignum_add(p, t, r, r);
    bignum_add(p, r, r, t);
}

/* r = a + b; r may be either. */
static void point_add(const struct curve *c, struct point *r, const struct point *a,
                      const struct point *b)
{
    const struct bignum_modulus *p = &c->p;
    uint64_t xx[WORDS], yy[WORDS], zz[WORDS], xy[WORDS], yz[WORDS], xz[WORDS];
    uint64_t u[WORDS], v[WORDS], w[WORDS], up[WORDS], down[WORDS], t[WORDS];
    bignum_mul(p, xx, a->x, b->x);
    bignum_mul(p, yy, a->y, b->y);
    bignum_mul(p, zz, a->z, b->z);
    cross(p, xy, (const uint64_t *const[]){a->x, a->y, b->x, b->y, xx, yy});
    cross(p, yz, (const uint64_t *const[]){a->y, a->z, b->y, b->z, yy, zz});
    cross(p, xz, (const uint64_t *const[]){a->x, a->z, b->x, b->z, xx, zz});
    /* u = 3 (xz - b zz), v = 3 (b xz - 3 zz - xx), w = 3 (xx - zz) */
    bignum_mul(p, u, c->b, zz);
    bignum_sub(p, u, xz, u);
    triple(p, u);
    bignum_mul(p, v, c->b, xz);
    bignum_sub(p, v, v, xx);
    bignum_sub(p, w, xx, zz);
    triple(p, w);
    triple(p, zz);
    bignum_sub(p, v, v, zz);
    triple(p, v);
    bignum_add(p, up, yy, u);
    bignum_sub(p, down, yy, u);
    /* x = up xy - yz v, y = up down + w v, z = down yz + xy w */
    bignum_mul(p, r->x, up, xy);
    bignum_mul(p, t, yz, v);
    bignum_sub(p, r->x, r->x, t);
    bignum_mul(p, r->y, up, down);
    bignum_mul(p, t, w, v);
    bignum_add(p, r->y, r->y, t);
    bignum_mul(p, r->z, down, yz);
    bignum_mul(p, t, xy, w);
    bignum_add(p, r->z, r->z, t);
}

/* Reads x and y; false if it is no point of the curve: a coordinate above p - 1, or y^2 is not
 * x^3 - 3x + b (SP 800-186 appendix D.1.1.1; n is prime, so any point of the curve has order n). */
static bool point_read(const struct curve *c, struct point *r, const uint8_t key[P256_KEY])
{
    const struct bignum_modulus *p = &c->p;
    uint64_t left[WORDS], right[WORDS], t[WORDS];
    bignum_read(r->x, WORDS, key, BYTES);
    bignum_read(r->y, WORDS, key + BYTES, BYTES);
    if (!bignum_less(r->x, p->m, WORDS) || !bignum_less(r->y, p->m, WORDS))
        return false;
    bignum_enter(p, r->x, r->x);
    bignum_enter(p, r->y, r->y);
    memcpy(r->z, p->one, sizeof(r->z));
    bignum_mul(p, left, r->y, r->y);
    bignum_mul(p, right, r->x, r->x);
    bignum_mul(p, right, right, r->x);
    memcpy(t, r->x, sizeof(t));
    triple(p, t);
    bignum_sub(p, right, right, t);
    bignum_add(p, right, right, c->b);
    return bignum_equal(left, right, WORDS);
}

bool p256_key_good(const uint8_t key[P256_KEY])
{
    struct curve c;
    struct point q;
    curve_init(&c);
    return point_read(&c, &q, key);
}

/* r = u G + v Q, both at once: a doubling for each bit, and the sum that the two bits choose. */
static void point_mul2(const struct curve *c, struct point *r, const uint64_t u[WORDS],
                       const uint64_t v[WORDS], const struct point *q)
{
    struct point add[4];
    point_read(c, &add[1], base);
    add[2] = *q;
    point_add(c, &add[3], &add[1], &add[2]);
    *r = (struct point){.x = {0}};
    memcpy(r->y, c->p.one, sizeof(r->y)); /* infinity: (0 : 1 : 0) */
    for (size_t i = 64 * WORDS; i > 0; i--) {
        unsigned which = bignum_bit(u, i - 1) | bignum_bit(v, i - 1) << 1;
        point_add(c, r, r, r);
        if (which != 0)
            point_add(c, r, r, &add[which]);
    }
}

/* Returns true if x of the point, modulo n, is r. As n < p < 2n that is r or r + n; X is compared
 * with x Z, which saves a division. */
static bool has_x(const struct curve *c, const struct bignum_modulus *n, const struct point *at,
                  const uint64_t r[WORDS])
{
    uint64_t x[WORDS], z[WORDS], left[WORDS];
    if (bignum_is_zero(at->z, WORDS))
        return false;
    bignum_enter(&c->p, x, r);
    bignum_mul(&c->p, z, x, at->z);
    if (bignum_equal(z, at->x, WORDS))
        return true;
    bignum_sub(&c->p, left, c->p.m, n->m);
    if (!bignum_less(r, left, WORDS))
        return false; /* r + n would be p or above */
    bignum_add(&c->p, x, r, n->m);
    bignum_enter(&c->p, x, x);
    bignum_mul(&c->p, z, x, at->z);
    return bignum_equal(z, at->x, WORDS);
}

/* FIPS 186-5 section 6.4.2. */
bool p256_verify(const uint8_t key[P256_KEY], struct span message, struct span signature)
{
    struct curve c;
    struct bignum_modulus n;
    struct point q, sum;
    uint64_t r[WORDS], s[WORDS], e[WORDS], u[WORDS], v[WORDS], w[WORDS];
    uint8_t digest[HASH_SHA256_SIZE];
    curve_init(&c);
    bignum_modulus(&n, order, BYTES);
    if (signature.n != P256_SIGN || !point_read(&c, &q, key))
        return false;
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
    point_mul2(&c, &sum, u, v, &q);
    return has_x(&c, &n, &sum, r);
}
