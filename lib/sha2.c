/*
 * sha2.c - FIPS 180-4, one block after the other.
 */
#include "lib/sha2.h"

#include <assert.h>
#include <endian.h>

/* Sections 4.2.3 and 5.3.5. */
static const uint64_t k[80] = {
    0x428a2f98d728ae22u, 0x7137449123ef65cdu, 0xb5c0fbcfec4d3b2fu, 0xe9b5dba58189dbbcu,
    0x3956c25bf348b538u, 0x59f111f1b605d019u, 0x923f82a4af194f9bu, 0xab1c5ed5da6d8118u,
    0xd807aa98a3030242u, 0x12835b0145706fbeu, 0x243185be4ee4b28cu, 0x550c7dc3d5ffb4e2u,
    0x72be5d74f27b896fu, 0x80deb1fe3b1696b1u, 0x9bdc06a725c71235u, 0xc19bf174cf692694u,
    0xe49b69c19ef14ad2u, 0xefbe4786384f25e3u, 0x0fc19dc68b8cd5b5u, 0x240ca1cc77ac9c65u,
    0x2de92c6f592b0275u, 0x4a7484aa6ea6e483u, 0x5cb0a9dcbd41fbd4u, 0x76f988da831153b5u,
    0x983e5152ee66dfabu, 0xa831c66d2db43210u, 0xb00327c898fb213fu, 0xbf597fc7beef0ee4u,
    0xc6e00bf33da88fc2u, 0xd5a79147930aa725u, 0x06ca6351e003826fu, 0x142929670a0e6e70u,
    0x27b70a8546d22ffcu, 0x2e1b21385c26c926u, 0x4d2c6dfc5ac42aedu, 0x53380d139d95b3dfu,
    0x650a73548baf63deu, 0x766a0abb3c77b2a8u, 0x81c2c92e47edaee6u, 0x92722c851482353bu,
    0xa2bfe8a14cf10364u, 0xa81a664bbc423001u, 0xc24b8b70d0f89791u, 0xc76c51a30654be30u,
    0xd192e819d6ef5218u, 0xd69906245565a910u, 0xf40e35855771202au, 0x106aa07032bbd1b8u,
    0x19a4c116b8d2d0c8u, 0x1e376c085141ab53u, 0x2748774cdf8eeb99u, 0x34b0bcb5e19b48a8u,
    0x391c0cb3c5c95a63u, 0x4ed8aa4ae3418acbu, 0x5b9cca4f7763e373u, 0x682e6ff3d6b2b8a3u,
    0x748f82ee5defb2fcu, 0x78a5636f43172f60u, 0x84c87814a1f0ab72u, 0x8cc702081a6439ecu,
    0x90befffa23631e28u, 0xa4506cebde82bde9u, 0xbef9a3f7b2c67915u, 0xc67178f2e372532bu,
    0xca273eceea26619cu, 0xd186b8c721c0c207u, 0xeada7dd6cde0eb1eu, 0xf57d4f7fee6ed178u,
    0x06f067aa72176fbau, 0x0a637dc5a2c898a6u, 0x113f9804bef90daeu, 0x1b710b35131c471bu,
    0x28db77f523047d84u, 0x32caab7b40c72493u, 0x3c9ebe0a15c9bebcu, 0x431d67c49c100d4cu,
    0x4cc5d4becb3e42b6u, 0x597f299cfc657e2au, 0x5fcb6fab3ad6faecu, 0x6c44198c4a475817u,
};
static const uint64_t first[8] = {
    0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u,
    0x510e527fade682d1u, 0x9b05688c2b3e6c1fu, 0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u,
};

/* Round t of section 6.2.2 step 3 and of 6.4.2, which differ in the width of words and in how far
 * these are rotated. The eight variables stay where they are and change their names: a is
 * v[-t mod 8], b the next. `word` is the one of the schedule. */
#define V(i)       v[((i)-t) % 8]
#define ROTR(x, n) ((x) >> (n) | (x) << (8 * sizeof(x) - (n)))
#define ROUND(x, constant, word, s1, s2, s3, t1, t2, t3)                  \
    do {                                                                  \
        (x) = V(7) + (ROTR(V(4), s1) ^ ROTR(V(4), s2) ^ ROTR(V(4), s3)) + \
              ((V(4) & V(5)) ^ (~V(4) & V(6))) + (constant) + (word);     \
        V(3) += (x);                                                      \
        V(7) = (x) + (ROTR(V(0), t1) ^ ROTR(V(0), t2) ^ ROTR(V(0), t3)) + \
               ((V(0) & V(1)) ^ (V(0) & V(2)) ^ (V(1) & V(2)));           \
    } while (0)

/* The next word of the schedule, in the place of the one sixteen before it. */
#define SCHEDULE(w, t, a1, a2, a3, b1, b2, b3)                                           \
    ((w)[(t) % 16] += (ROTR((w)[((t) + 1) % 16], a1) ^ ROTR((w)[((t) + 1) % 16], a2) ^   \
                       (w)[((t) + 1) % 16] >> (a3)) +                                    \
                      (w)[((t) + 9) % 16] +                                              \
                      (ROTR((w)[((t) + 14) % 16], b1) ^ ROTR((w)[((t) + 14) % 16], b2) ^ \
                       (w)[((t) + 14) % 16] >> (b3)))

static inline __attribute__((always_inline)) void narrow_round(uint32_t v[8], uint32_t w[16],
                                                               size_t t)
{
    uint32_t x;
    if (t >= 16)
        SCHEDULE(w, t, 7, 18, 3, 17, 19, 10);
    ROUND(x, (uint32_t)(k[t] >> 32), w[t % 16], 6, 11, 25, 2, 13, 22);
}

static void narrow_block(struct sha2 *x, const unsigned char *p)
{
    uint32_t v[8], *w = x->narrow.w;
    memcpy(v, x->narrow.h, sizeof(v));
    for (size_t i = 0; i < 16; i++) {
        memcpy(&w[i], p + 4 * i, 4);
        w[i] = be32toh(w[i]);
    }
    for (size_t t = 0; t < 64; t += 16) {
#if defined(LEAN)
#elif defined(__clang__)
#pragma unroll 16
#else
#pragma GCC unroll 16
#endif
        for (size_t i = 0; i < 16; i++)
            narrow_round(v, w, t + i);
    }
    for (size_t i = 0; i < 8; i++)
        x->narrow.h[i] += v[i];
}

static void wide_block(struct sha2 *x, const unsigned char *p)
{
    uint64_t v[8], *w = x->wide.w, t1;
    memcpy(v, x->wide.h, sizeof(v));
    for (size_t i = 0; i < 16; i++) {
        memcpy(&w[i], p + 8 * i, 8);
        w[i] = be64toh(w[i]);
    }
    for (size_t t = 0; t < 80; t++) {
        if (t >= 16)
            SCHEDULE(w, t, 1, 8, 7, 19, 61, 6);
        ROUND(t1, k[t], w[t % 16], 14, 18, 41, 28, 34, 39);
    }
    for (size_t i = 0; i < 8; i++)
        x->wide.h[i] += v[i];
}

static void block_add(struct sha2 *x, const unsigned char *p)
{
    if (x->size == SHA512_BLOCK)
        wide_block(x, p);
    else
        narrow_block(x, p);
}

void sha2_begin(struct sha2 *x, unsigned size)
{
    x->size = size;
    x->n = 0;
    for (size_t i = 0; i < 8; i++)
        if (size == SHA512_BLOCK)
            x->wide.h[i] = first[i];
        else
            x->narrow.h[i] = (uint32_t)(first[i] >> 32);
}

void sha2_add(struct sha2 *x, struct span s)
{
    while (s.n > 0) {
        size_t at = x->n % x->size, n = x->size - at;
        if (at == 0 && s.n >= n) {
            block_add(x, (const unsigned char *)s.p);
        } else {
            n = n < s.n ? n : s.n;
            memcpy(x->block + at, s.p, n);
            if (at + n == x->size)
                block_add(x, x->block);
        }
        x->n += n;
        s = span_from(s, n);
    }
}

/* A one bit, zeros up to a whole block, of which the length in bits ends it: in twice the width of
 * a word, of which the upper half is zero. */
void sha2_end(struct sha2 *x, uint8_t *out)
{
    static const char end[2 * SHA512_BLOCK] = {'\x80'};
    uint64_t bits = htobe64(x->n * 8);
    size_t at = x->n % x->size, room = x->size - x->size / 8, zeros = x->size / 8 - sizeof(bits);
    sha2_add(x, (struct span){end, (at < room ? room : room + x->size) - at + zeros});
    sha2_add(x, (struct span){(const char *)&bits, sizeof(bits)});
    assert(x->n % x->size == 0);
    for (size_t i = 0; i < x->size / 2; i++)
        out[i] = (uint8_t)(x->size == SHA512_BLOCK ? x->wide.h[i / 8] >> (56 - i % 8 * 8)
                                                   : x->narrow.h[i / 4] >> (24 - i % 4 * 8));
}
