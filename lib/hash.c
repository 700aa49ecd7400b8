/*
 * hash.c - base64 and base64url, SHA-1, SHA-256 and HMAC, and the hash for tables.
 */
#include "lib/hash.h"
#include "lib/sha2.h"

#include <assert.h>
#include <endian.h>

/* ---- base64 ---- */

static const char base64_digit[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_digit[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The value of each digit; other bytes have the high bit set. The two alphabets differ in their
 * last two digits. */
#define NO    0x80
#define NO_16 NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO
/* clang-format off */
#define VALUES(plus, minus, slash, underscore)                                      \
    NO_16, NO_16,                                                                   \
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, plus, NO, minus, NO, slash,         \
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, NO, NO, NO, NO, NO, NO,                 \
    NO,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,                 \
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, NO, NO, NO, NO, underscore,         \
    NO, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,                 \
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, NO, NO, NO, NO, NO,                 \
    NO_16, NO_16, NO_16, NO_16, NO_16, NO_16, NO_16, NO_16
/* clang-format on */

static const uint8_t base64_value[256] = {VALUES(62, NO, 63, NO)};
static const uint8_t base64url_value[256] = {VALUES(NO, 62, NO, 63)};

/* Writes the digits of `s`, without padding; returns their number. */
static inline size_t write_digits(char *out, struct span s, const char digit[])
{
    const unsigned char *p = (const unsigned char *)s.p;
    char *o = out;
    size_t n = s.n;
    for (; n >= 3; n -= 3, p += 3, o += 4) {
        uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        o[0] = digit[v >> 18];
        o[1] = digit[v >> 12 & 63];
        o[2] = digit[v >> 6 & 63];
        o[3] = digit[v & 63];
    }
    if (n > 0) {
        uint32_t v = (uint32_t)p[0] << 16 | (n == 2 ? (uint32_t)p[1] << 8 : 0);
        *o++ = digit[v >> 18];
        *o++ = digit[v >> 12 & 63];
        if (n == 2)
            *o++ = digit[v >> 6 & 63];
    }
    return (size_t)(o - out);
}

size_t base64_write(char *out, struct span s)
{
    size_t n = write_digits(out, s, base64_digit);
    while (n % 4 != 0)
        out[n++] = '=';
    assert(n == base64_size(s.n));
    return n;
}

size_t base64url_write(char *out, struct span s)
{
    size_t n = write_digits(out, s, base64url_digit);
    assert(n == base64url_size(s.n));
    return n;
}

/* Decodes the last two or three digits. Returns the number of bytes, or -1. */
static ptrdiff_t read_last(unsigned char *o, const unsigned char *p, size_t n,
                           const uint8_t value[256])
{
    uint32_t a = value[p[0]], b = value[p[1]], c = n == 3 ? value[p[2]] : 0;
    if (((a | b | c) & NO) != 0)
        return -1;
    uint32_t v = a << 18 | b << 12 | c << 6;
    if ((v & (n == 3 ? 0xff : 0xffff)) != 0)
        return -1;
    o[0] = (unsigned char)(v >> 16);
    if (n == 3)
        o[1] = (unsigned char)(v >> 8);
    return (ptrdiff_t)n - 1;
}

/* Decodes digits without padding. Returns the number of bytes, or -1. */
static inline ptrdiff_t read_digits(char *out, struct span s, const uint8_t value[256])
{
    const unsigned char *p = (const unsigned char *)s.p;
    unsigned char *o = (unsigned char *)out;
    size_t n = s.n;
    for (; n >= 4; n -= 4, p += 4, o += 3) {
        uint32_t a = value[p[0]], b = value[p[1]], c = value[p[2]], d = value[p[3]];
        if (((a | b | c | d) & NO) != 0)
            return -1;
        uint32_t v = a << 18 | b << 12 | c << 6 | d;
        o[0] = (unsigned char)(v >> 16);
        o[1] = (unsigned char)(v >> 8);
        o[2] = (unsigned char)v;
    }
    ptrdiff_t rest = n == 0 ? 0 : n == 1 ? -1 : read_last(o, p, n, value);
    return rest < 0 ? -1 : (char *)o - out + rest;
}

ptrdiff_t base64_read(char *out, struct span s)
{
    if (s.n % 4 != 0)
        return -1;
    for (unsigned pad = 0; pad < 2 && s.n > 0 && s.p[s.n - 1] == '='; pad++)
        s.n--;
    return read_digits(out, s, base64_value);
}

ptrdiff_t base64url_read(char *out, struct span s)
{
    return read_digits(out, s, base64url_value);
}

/* ---- SHA-1 ---- */

#define SHA1_BLOCK 64

static inline uint32_t sha1_rotl(uint32_t v, unsigned n)
{
    return v << n | v >> (32 - n);
}

/* FIPS 180-4 section 6.1.3: the schedule needs only its last sixteen words. */
static void sha1_block(uint32_t h[5], const unsigned char *p)
{
    uint32_t w[16], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (size_t t = 0; t < 80; t++) {
        uint32_t *now = &w[t % 16], mixed;
        if (t < 16) {
            memcpy(now, p + 4 * t, 4);
            *now = be32toh(*now);
        } else {
            *now = sha1_rotl(w[(t - 3) % 16] ^ w[(t - 8) % 16] ^ w[(t - 14) % 16] ^ *now, 1);
        }
        if (t < 20)
            mixed = ((b & c) | (~b & d)) + 0x5a827999u;
        else if (t < 40)
            mixed = (b ^ c ^ d) + 0x6ed9eba1u;
        else if (t < 60)
            mixed = ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdcu;
        else
            mixed = (b ^ c ^ d) + 0xca62c1d6u;
        mixed += sha1_rotl(a, 5) + e + *now;
        e = d;
        d = c;
        c = sha1_rotl(b, 30);
        b = a;
        a = mixed;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

void hash_sha1(uint8_t out[20], struct span s)
{
    uint32_t h[5] = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u};
    size_t at = 0;
    for (; s.n - at >= SHA1_BLOCK; at += SHA1_BLOCK)
        sha1_block(h, (const unsigned char *)s.p + at);
    /* The rest: a one bit, zeros, and the length in bits at the end of a block. */
    unsigned char end[2 * SHA1_BLOCK] = {0};
    size_t rest = s.n - at, n = rest + 1 + 8 <= SHA1_BLOCK ? SHA1_BLOCK : 2 * SHA1_BLOCK;
    if (rest > 0)
        memcpy(end, s.p + at, rest);
    end[rest] = 0x80;
    uint64_t bits = htobe64((uint64_t)s.n * 8);
    memcpy(end + n - sizeof(bits), &bits, sizeof(bits));
    for (size_t i = 0; i < n; i += SHA1_BLOCK)
        sha1_block(h, end + i);
    for (size_t i = 0; i < 5; i++) {
        uint32_t word = htobe32(h[i]);
        memcpy(out + 4 * i, &word, sizeof(word));
    }
}

/* ---- SHA-256 ---- */

void hash_sha256(uint8_t out[HASH_SHA256_SIZE], struct span s)
{
    struct sha2 x;
    sha2_begin(&x, SHA256_BLOCK);
    sha2_add(&x, s);
    sha2_end(&x, out);
    hash_wipe(&x, sizeof(x));
}

/* ---- HMAC ---- */

/* Begins a digest with the key, padded to a block, each byte of it exclusive-or `pad`. */
static void hmac_begin(struct sha2 *x, const unsigned char key[SHA256_BLOCK], unsigned char pad)
{
    char block[SHA256_BLOCK];
    for (size_t i = 0; i < SHA256_BLOCK; i++)
        block[i] = (char)(key[i] ^ pad);
    sha2_begin(x, SHA256_BLOCK);
    sha2_add(x, (struct span){block, SHA256_BLOCK});
    hash_wipe(block, sizeof(block));
}

void hash_hmac(uint8_t out[HASH_SHA256_SIZE], struct span key, const struct span part[],
               size_t parts)
{
    struct sha2 x;
    unsigned char block[SHA256_BLOCK] = {0};
    if (key.n > SHA256_BLOCK)
        hash_sha256(block, key);
    else if (key.n > 0)
        memcpy(block, key.p, key.n);
    hmac_begin(&x, block, 0x36);
    for (size_t i = 0; i < parts; i++)
        sha2_add(&x, part[i]);
    sha2_end(&x, out);
    hmac_begin(&x, block, 0x5c);
    sha2_add(&x, (struct span){(const char *)out, HASH_SHA256_SIZE});
    sha2_end(&x, out);
    hash_wipe(&x, sizeof(x));
    hash_wipe(block, sizeof(block));
}

/* ---- secrets ---- */

bool hash_equal(const void *a, const void *b, size_t n)
{
    const volatile unsigned char *x = a, *y = b; /* so that the compiler keeps every read */
    unsigned char differ = 0;
    for (size_t i = 0; i < n; i++)
        differ |= (unsigned char)(x[i] ^ y[i]);
    return differ == 0;
}

void hash_wipe(void *p, size_t n)
{
    memset(p, 0, n);
    __asm__ volatile("" : : "r"(p) : "memory"); /* makes the compiler keep the writes */
}

/* ---- SipHash ---- */

/* J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF", 2012, with one round per word
 * and three at the end. */
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

/* Takes in all of `s`. */
static inline void sip_take(struct sip *sip, struct span s)
{
    const char *p = s.p;
    size_t n = s.n;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t w;
        memcpy(&w, p, sizeof(w));
        sip_word(sip, le64toh(w));
    }
    uint64_t last = (uint64_t)(s.n & 0xff) << 56, w;
    if (n > 0 && s.n >= 8) {
        memcpy(&w, p + n - 8, sizeof(w)); /* the rest, and what is before it */
        last |= le64toh(w) >> (8 * (8 - n));
    } else {
        for (size_t i = 0; i < n; i++)
            last |= (uint64_t)(unsigned char)p[i] << (8 * i);
    }
    sip_word(sip, last);
}

static inline uint64_t sip_out(struct sip *s)
{
    sip_round(s);
    sip_round(s);
    sip_round(s);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

uint64_t hash_table(uint64_t seed0, uint64_t seed1, struct span s)
{
    struct sip sip = {seed0 ^ 0x736f6d6570736575u, seed1 ^ 0x646f72616e646f6du,
                      seed0 ^ 0x6c7967656e657261u, seed1 ^ 0x7465646279746573u};
    sip_take(&sip, s);
    sip.v2 ^= 0xff;
    return sip_out(&sip);
}

void hash_wide(uint64_t out[2], uint64_t seed0, uint64_t seed1, struct span s)
{
    struct sip sip = {seed0 ^ 0x736f6d6570736575u, seed1 ^ 0x646f72616e646f6du ^ 0xee,
                      seed0 ^ 0x6c7967656e657261u, seed1 ^ 0x7465646279746573u};
    sip_take(&sip, s);
    sip.v2 ^= 0xee;
    out[0] = sip_out(&sip);
    sip.v1 ^= 0xdd;
    out[1] = sip_out(&sip);
}
