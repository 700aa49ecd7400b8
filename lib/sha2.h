/*
 * sha2.h - SHA-256 and SHA-512 (FIPS 180-4), a piece at a time.
 *
 *   sha2_begin() -> sha2_add() ... -> sha2_end()
 *
 * Both are the same construction over words of 32 and 64 bits. The constants of SHA-256 are the
 * upper halves of those of SHA-512, as both are the first bits of the same roots (sections 4.2.2,
 * 4.2.3, 5.3.3 and 5.3.5), so that there is one table.
 *
 * OWNERSHIP: struct sha2 is the caller's, who wipes it where what was added is a secret.
 */
#ifndef SSE_LIB_SHA2_H
#define SSE_LIB_SHA2_H

#include "lib/span.h"

#define SHA256_BLOCK 64u
#define SHA256_SIZE  32u
#define SHA512_BLOCK 128u
#define SHA512_SIZE  64u

struct sha2 {
    unsigned size; /* of a block: SHA256_BLOCK or SHA512_BLOCK, which says which it is */
    uint64_t n;    /* bytes so far */
    union {
        struct {
            uint32_t h[8], w[16]; /* the state; the schedule's last sixteen words */
        } narrow;
        struct {
            uint64_t h[8], w[16];
        } wide;
    };
    unsigned char block[SHA512_BLOCK];
};

/* Begins a digest; `size` is SHA256_BLOCK or SHA512_BLOCK. */
void sha2_begin(struct sha2 *x, unsigned size);

void sha2_add(struct sha2 *x, struct span s);

/* Writes the digest, half as many bytes as a block has. */
void sha2_end(struct sha2 *x, uint8_t *out);

#endif
