/*
 * bignum.c - Montgomery's products, and what they need.
 */
#include "lib/auth/bignum.h"

#include <assert.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

/* ---- words ---- */

void bignum_read(uint64_t *r, size_t n, const uint8_t *bytes, size_t size)
{
    memset(r, 0, n * sizeof(*r));
    for (size_t i = 0; i < size && i < 8 * n; i++)
        r[i / 8] |= (uint64_t)bytes[size - 1 - i] << i % 8 * 8;
}

void bignum_write(uint8_t *bytes, size_t size, const uint64_t *a)
{
    for (size_t i = 0; i < size; i++)
        bytes[size - 1 - i] = (uint8_t)(a[i / 8] >> i % 8 * 8);
}

bool bignum_less(const uint64_t *a, const uint64_t *b, size_t n)
{
    while (n > 0 && a[n - 1] == b[n - 1])
        n--;
    return n > 0 && a[n - 1] < b[n - 1];
}

bool bignum_is_zero(const uint64_t *a, size_t n)
{
    uint64_t any = 0;
    for (size_t i = 0; i < n; i++)
        any |= a[i];
    return any == 0;
}

bool bignum_equal(const uint64_t *a, const uint64_t *b, size_t n)
{
    return memcmp(a, b, n * sizeof(*a)) == 0;
}

/* r = a - b; returns what was borrowed. */
static uint64_t subtract(uint64_t *r, const uint64_t *a, const uint64_t *b, size_t n)
{
    uint64_t borrow = 0;
    for (size_t i = 0; i < n; i++) {
        wide d = (wide)a[i] - b[i] - borrow;
        r[i] = (uint64_t)d;
        borrow = (uint64_t)(d >> 64) & 1;
    }
    return borrow;
}

/* r = a + b; returns what was carried. */
static uint64_t sum(uint64_t *r, const uint64_t *a, const uint64_t *b, size_t n)
{
    uint64_t carry = 0;
    for (size_t i = 0; i < n; i++) {
        wide s = (wide)a[i] + b[i] + carry;
        r[i] = (uint64_t)s;
        carry = (uint64_t)(s >> 64);
    }
    return carry;
}

/* ---- modulo m ---- */

void bignum_add(const struct bignum_modulus *m, uint64_t *r, const uint64_t *a, const uint64_t *b)
{
    uint64_t carry = sum(r, a, b, m->n);
    if (carry != 0 || !bignum_less(r, m->m, m->n))
        subtract(r, r, m->m, m->n);
}

void bignum_sub(const struct bignum_modulus *m, uint64_t *r, const uint64_t *a, const uint64_t *b)
{
    if (subtract(r, a, b, m->n) != 0)
        sum(r, r, m->m, m->n);
}

/* For each word of a: t += a[i] b, then a multiple of m that makes the lowest word zero, and t is
 * moved down by that word. t stays below 2 m if b is below m. */
static inline __attribute__((always_inline)) void
product(const struct bignum_modulus *m, uint64_t *r, const uint64_t *a, const uint64_t *b, size_t n)
{
    uint64_t t[BIGNUM_WORDS], over = 0;
    memset(t, 0, n * sizeof(*t));
    for (size_t i = 0; i < n; i++) {
        wide x = (wide)a[i] * b[0] + t[0];
        uint64_t q = (uint64_t)x * m->inverse;
        wide y = (wide)q * m->m[0] + (uint64_t)x;
        for (size_t j = 1; j < n; j++) {
            x = (wide)a[i] * b[j] + t[j] + (uint64_t)(x >> 64);
            y = (wide)q * m->m[j] + (uint64_t)x + (uint64_t)(y >> 64);
            t[j - 1] = (uint64_t)y;
        }
        wide top = (wide)over + (uint64_t)(x >> 64) + (uint64_t)(y >> 64);
        t[n - 1] = (uint64_t)top;
        over = (uint64_t)(top >> 64);
    }
    if (over != 0 || !bignum_less(t, m->m, n))
        subtract(r, t, m->m, n);
    else
        memcpy(r, t, n * sizeof(*t));
}

void bignum_mul(const struct bignum_modulus *m, uint64_t *r, const uint64_t *a, const uint64_t *b)
{
#if !defined(LEAN) /* the compiler is told of the four words that curves have */
    if (m->n == 4) {
        product(m, r, a, b, 4);
        return;
    }
#endif
    product(m, r, a, b, m->n);
}

void bignum_enter(const struct bignum_modulus *m, uint64_t *r, const uint64_t *a)
{
    bignum_mul(m, r, a, m->rr);
}

void bignum_leave(const struct bignum_modulus *m, uint64_t *r, const uint64_t *a)
{
    uint64_t one[BIGNUM_WORDS] = {1};
    bignum_mul(m, r, a, one);
}

void bignum_pow(const struct bignum_modulus *m, uint64_t *r, const uint64_t *a, const uint64_t *e,
                size_t e_n)
{
    size_t bit = 64 * e_n;
    while (bignum_bit(e, bit - 1) == 0)
        bit--;
    memcpy(r, a, m->n * sizeof(*r));
    while (--bit > 0) {
        bignum_mul(m, r, r, r);
        if (bignum_bit(e, bit - 1) != 0)
            bignum_mul(m, r, r, a);
    }
}

void bignum_invert(const struct bignum_modulus *m, uint64_t *r, const uint64_t *a)
{
    uint64_t e[BIGNUM_WORDS] = {2};
    subtract(e, m->m, e, m->n);
    bignum_pow(m, r, a, e, m->n);
}

/* ---- a modulus ---- */

/* R mod m is 2^(bits - 1), which is below m, doubled often enough. Then R 2^n, n doublings more,
 * squared six times: R 2^(64 n) = R^2. */
static void make_powers(struct bignum_modulus *m)
{
    size_t bits = 64 * m->n;
    while (bignum_bit(m->m, bits - 1) == 0)
        bits--;
    memset(m->one, 0, sizeof(m->one));
    m->one[(bits - 1) / 64] = (uint64_t)1 << (bits - 1) % 64;
    for (size_t i = bits - 1; i < 64 * m->n; i++)
        bignum_add(m, m->one, m->one, m->one);
    memcpy(m->rr, m->one, sizeof(m->rr));
    for (size_t i = 0; i < m->n; i++)
        bignum_add(m, m->rr, m->rr, m->rr);
    for (size_t i = 0; i < 6; i++)
        bignum_mul(m, m->rr, m->rr, m->rr);
}

bool bignum_modulus(struct bignum_modulus *m, const uint8_t *bytes, size_t size)
{
    if (size == 0 || size > (size_t)8 * BIGNUM_WORDS || bytes[0] == 0 ||
        (bytes[size - 1] & 1) == 0 || (size == 1 && bytes[0] == 1))
        return false;
    m->n = (size + 7) / 8;
    bignum_read(m->m, m->n, bytes, size);
    /* Newton's iteration for 1/m modulo 2^64: 5 bits are right at first (m m = 1 modulo 8 gives
     * three), and each step doubles them. */
    uint64_t x = m->m[0];
    for (size_t i = 0; i < 5; i++)
        x *= 2 - m->m[0] * x;
    assert(x * m->m[0] == 1);
    m->inverse = 0 - x;
    make_powers(m);
    return true;
}
