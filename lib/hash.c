/*
 * hash.c - base64 and the hash for tables.
 */
#include "hash.h"

#include <assert.h>
#include <endian.h>

/* ---- base64 ---- */

static const char base64_digit[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The value of each byte as a digit; what is none has the high bit set. */
#define NO    0x80
#define NO_16 NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO
/* clang-format off */
static const uint8_t base64_value[256] = {
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, 62, NO, NO, NO, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, NO, NO, NO, NO, NO, NO,
    NO,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, NO, NO, NO, NO, NO,
    NO, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, NO, NO, NO, NO, NO,
    NO_16, NO_16, NO_16, NO_16, NO_16, NO_16, NO_16, NO_16,
};
/* clang-format on */

size_t base64_write(char *out, struct span s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    char *o = out;
    size_t n = s.n;
    for (; n >= 3; n -= 3, p += 3, o += 4) {
        uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        o[0] = base64_digit[v >> 18];
        o[1] = base64_digit[v >> 12 & 63];
        o[2] = base64_digit[v >> 6 & 63];
        o[3] = base64_digit[v & 63];
    }
    if (n > 0) {
        uint32_t v = (uint32_t)p[0] << 16 | (n == 2 ? (uint32_t)p[1] << 8 : 0);
        o[0] = base64_digit[v >> 18];
        o[1] = base64_digit[v >> 12 & 63];
        o[2] = (char)(n == 2 ? base64_digit[v >> 6 & 63] : '=');
        o[3] = '=';
        o += 4;
    }
    assert((size_t)(o - out) == base64_size(s.n));
    return (size_t)(o - out);
}

/* Decodes the last group, which may be padded; gives 1 to 3 bytes, or -1. */
static ptrdiff_t base64_read_last(unsigned char *o, const unsigned char *p)
{
    ptrdiff_t pad = p[3] != '=' ? 0 : p[2] != '=' ? 1 : 2;
    uint32_t a = base64_value[p[0]], b = base64_value[p[1]];
    uint32_t c = pad == 2 ? 0 : base64_value[p[2]], d = pad > 0 ? 0 : base64_value[p[3]];
    if (((a | b | c | d) & NO) != 0)
        return -1;
    uint32_t v = a << 18 | b << 12 | c << 6 | d;
    if ((pad == 1 && (v & 0xff) != 0) || (pad == 2 && (v & 0xffff) != 0))
        return -1;
    o[0] = (unsigned char)(v >> 16);
    if (pad < 2)
        o[1] = (unsigned char)(v >> 8);
    if (pad < 1)
        o[2] = (unsigned char)v;
    return 3 - pad;
}

ptrdiff_t base64_read(char *out, struct span s)
{
    if (s.n % 4 != 0)
        return -1;
    if (s.n == 0)
        return 0;
    const unsigned char *p = (const unsigned char *)s.p;
    unsigned char *o = (unsigned char *)out;
    for (const unsigned char *last = p + s.n - 4; p < last; p += 4, o += 3) {
        uint32_t a = base64_value[p[0]], b = base64_value[p[1]];
        uint32_t c = base64_value[p[2]], d = base64_value[p[3]];
        if (((a | b | c | d) & NO) != 0)
            return -1;
        uint32_t v = a << 18 | b << 12 | c << 6 | d;
        o[0] = (unsigned char)(v >> 16);
        o[1] = (unsigned char)(v >> 8);
        o[2] = (unsigned char)v;
    }
    ptrdiff_t rest = base64_read_last(o, p);
    return rest < 0 ? -1 : (char *)o - out + rest;
}

/* ---- SipHash ---- */

/* J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF", 2012, with one round for a
 * word and three at the end. */
struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t sip_rotl(uint64_t v, unsigned n)
{
    return v << n | v >> (64 - n);
}

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = sip_rotl(s->v1, 13) ^ s->v0;
    s->v3 = sip_rotl(s->v3, 16) ^ s->v2;
    s->v0 = sip_rotl(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = sip_rotl(s->v1, 17) ^ s->v2;
    s->v3 = sip_rotl(s->v3, 21) ^ s->v0;
    s->v2 = sip_rotl(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t w)
{
    s->v3 ^= w;
    sip_round(s);
    s->v0 ^= w;
}

uint64_t hash_table(uint64_t seed0, uint64_t seed1, struct span s)
{
    struct sip sip = {seed0 ^ 0x736f6d6570736575u, seed1 ^ 0x646f72616e646f6du,
                      seed0 ^ 0x6c7967656e657261u, seed1 ^ 0x7465646279746573u};
    const char *p = s.p;
    size_t n = s.n;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t w;
        memcpy(&w, p, sizeof(w));
        sip_word(&sip, le64toh(w));
    }
    uint64_t last = (uint64_t)(s.n & 0xff) << 56;
    for (size_t i = 0; i < n; i++)
        last |= (uint64_t)(unsigned char)p[i] << (8 * i);
    sip_word(&sip, last);
    sip.v2 ^= 0xff;
    sip_round(&sip);
    sip_round(&sip);
    sip_round(&sip);
    return sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3;
}
