/*
 * curve.c - runs formulas, and multiplies points with them.
 */
#include "lib/auth/curve.h"

#include <string.h>

void curve_init(struct curve *c, const uint8_t prime[CURVE_BYTES], const uint16_t *add)
{
    memset(c, 0, sizeof(*c));
    bignum_modulus(&c->p, prime, CURVE_BYTES);
    c->add = add;
}

void curve_run(struct curve *c, const uint16_t *formula)
{
    for (; *formula != CURVE_END; formula++) {
        unsigned step = *formula;
        uint64_t *to = c->r[step >> 8 & 15];
        const uint64_t *a = c->r[step >> 4 & 15], *b = c->r[step & 15];
        switch (step >> 12) {
        case 1:
            bignum_add(&c->p, to, a, b);
            break;
        case 2:
            bignum_sub(&c->p, to, a, b);
            break;
        default:
            bignum_mul(&c->p, to, a, b);
        }
    }
}

void curve_set(struct curve *c, unsigned to, const uint64_t a[CURVE_WORDS])
{
    bignum_enter(&c->p, c->r[to], a);
}

struct curve_point curve_point(const struct curve *c)
{
    struct curve_point p;
    memcpy(&p, c->r[X1], sizeof(p));
    return p;
}

/* P += *q */
static void add(struct curve *c, const struct curve_point *q)
{
    memcpy(c->r[X2], q, sizeof(*q));
    curve_run(c, c->add);
}

/* Both at once: a doubling for each bit, and the sum that the two bits choose. */
void curve_mul2(struct curve *c, const struct curve_point *a, const struct curve_point *b,
                const uint64_t u[CURVE_WORDS], const uint64_t v[CURVE_WORDS])
{
    struct curve_point choice[4] = {{.c = {{0}}}, *a, *b};
    memcpy(c->r[X1], b, sizeof(*b));
    add(c, a);
    choice[3] = curve_point(c);
    memcpy(c->r[X1], &c->zero, sizeof(c->zero));
    for (size_t i = (size_t)64 * CURVE_WORDS; i > 0; i--) {
        unsigned which = bignum_bit(u, i - 1) | bignum_bit(v, i - 1) << 1;
        choice[0] = curve_point(c);
        add(c, &choice[0]);
        if (which != 0)
            add(c, &choice[which]);
    }
}
