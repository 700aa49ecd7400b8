/*
 * bignum.h - arithmetic modulo an odd number of at most 4096 bits.
 *
 * A number is an array of 64-bit words, the lowest first, as many as its modulus has. Products are
 * Montgomery's (P. L. Montgomery, "Modular Multiplication Without Trial Division", 1985): with
 * R = 2^(64 words), bignum_mul() returns a b / R. A number x in Montgomery form is x R, and the
 * product of two such numbers is in that form again; sums are the same in either form.
 *
 * NO SECRETS: how long it takes depends on the numbers. It is for the verification of signatures,
 * where all of them are public.
 *
 * OWNERSHIP: the caller's arrays; nothing is allocated. A result may be in the place of an operand.
 */
#ifndef SSE_LIB_AUTH_BIGNUM_H
#define SSE_LIB_AUTH_BIGNUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BIGNUM_WORDS 64u

struct bignum_modulus {
    size_t n;                   /* words, 1 to BIGNUM_WORDS; the highest is not zero */
    uint64_t inverse;           /* -1/m modulo 2^64 */
    uint64_t m[BIGNUM_WORDS];   /* the modulus, odd, above 1 */
    uint64_t one[BIGNUM_WORDS]; /* R mod m: 1 in Montgomery form */
    uint64_t rr[BIGNUM_WORDS];  /* R^2 mod m: a product with it brings a number into the form */
};

/* Reads `size` bytes, the highest first, into n words; what does not fit is to be zero. */
void bignum_read(uint64_t *r, size_t n, const uint8_t *bytes, size_t size);

/* Writes the lowest `size` bytes, the highest first. */
void bignum_write(uint8_t *bytes, size_t size, const uint64_t *a);

/* Returns true if a < b; if a is zero; if both are equal. */
bool bignum_less(const uint64_t *a, const uint64_t *b, size_t n);
bool bignum_is_zero(const uint64_t *a, size_t n);
bool bignum_equal(const uint64_t *a, const uint64_t *b, size_t n);

/* Makes a modulus of `size` bytes, the highest first, without leading zeros. Returns false if it is
 * even, 1 or longer than 4096 bits. */
bool bignum_modulus(struct bignum_modulus *m, const uint8_t *bytes, size_t size);

/* r = a + b, a - b; both below the modulus. */
void bignum_add(const struct bignum_modulus *m, uint64_t *r, const uint64_t *a, const uint64_t *b);
void bignum_sub(const struct bignum_modulus *m, uint64_t *r, const uint64_t *a, const uint64_t *b);

/* r = a b / R; b below the modulus, a any number of its words. r is below the modulus. */
void bignum_mul(const struct bignum_modulus *m, uint64_t *r, const uint64_t *a, const uint64_t *b);

/* r = a^e, both in Montgomery form; e has e_n words and is not zero. r is not a's place. */
void bignum_pow(const struct bignum_modulus *m, uint64_t *r, const uint64_t *a, const uint64_t *e,
                size_t e_n);

/* r = a^(m - 2), which is 1/a if the modulus is a prime: in Montgomery form; 0 for 0. r is not a's
 * place. */
void bignum_invert(const struct bignum_modulus *m, uint64_t *r, const uint64_t *a);

/* Brings a number of the modulus' words into Montgomery form, and out of it. */
void bignum_enter(const struct bignum_modulus *m, uint64_t *r, const uint64_t *a);
void bignum_leave(const struct bignum_modulus *m, uint64_t *r, const uint64_t *a);

/* Bit i of a number. */
static inline unsigned bignum_bit(const uint64_t *a, size_t i)
{
    return (unsigned)(a[i / 64] >> i % 64 & 1);
}

#endif
