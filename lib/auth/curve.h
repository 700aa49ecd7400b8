/*
 * curve.h - points of an elliptic curve over a prime field of 256 bits, by formulas that are data.
 *
 * A FORMULA is a list of steps up to CURVE_END. A step is a sum, a difference or a product of two
 * registers that goes to a third, CURVE_MUL(T0, X1, X2): it reads as the papers print it, and is
 * two bytes where a call would be thirty. Registers hold numbers in Montgomery form (bignum.h).
 *
 *   0 to 3     the point P: X1, Y1, Z1, and a fourth coordinate where the curve has one
 *   4 to 7     the point Q: X2, Y2, Z2, likewise
 *   8 to 15    what the formulas use besides: intermediate results and constants of the curve
 *
 * NO SECRETS: how long it takes depends on the numbers.
 */
#ifndef SSE_LIB_AUTH_CURVE_H
#define SSE_LIB_AUTH_CURVE_H

#include "lib/auth/bignum.h"

#define CURVE_WORDS     4u
#define CURVE_BYTES     32u
#define CURVE_REGISTERS 16u

#define CURVE_STEP(op, to, a, b) (uint16_t)((op) << 12 | (to) << 8 | (a) << 4 | (b))
#define CURVE_ADD(to, a, b)      CURVE_STEP(1, to, a, b)
#define CURVE_SUB(to, a, b)      CURVE_STEP(2, to, a, b)
#define CURVE_MUL(to, a, b)      CURVE_STEP(3, to, a, b)
#define CURVE_END                0

enum curve_register { X1 = 0, Y1 = 1, Z1 = 2, W1 = 3, X2 = 4, Y2 = 5, Z2 = 6, W2 = 7 };

struct curve_point {
    uint64_t c[4][CURVE_WORDS];
};

struct curve {
    struct bignum_modulus p;
    const uint16_t *add; /* the formula of P + Q into P, which holds for any two points */
    struct curve_point zero;
    uint64_t r[CURVE_REGISTERS][CURVE_WORDS];
};

/* Sets up a curve modulo that prime, big-endian: all registers are zero. `zero` is left to the
 * caller. */
void curve_init(struct curve *c, const uint8_t prime[CURVE_BYTES], const uint16_t *add);

/* Runs a formula. */
void curve_run(struct curve *c, const uint16_t *formula);

/* Brings a number below the prime into Montgomery form, and into register `to`. */
void curve_set(struct curve *c, unsigned to, const uint64_t a[CURVE_WORDS]);

/* The point in the registers of P. */
struct curve_point curve_point(const struct curve *c);

/* P = u A + v B. */
void curve_mul2(struct curve *c, const struct curve_point *a, const struct curve_point *b,
                const uint64_t u[CURVE_WORDS], const uint64_t v[CURVE_WORDS]);

#endif
