/*
 * ecdsa.h - signatures of ECDSA as JWS has them (RFC 7518 section 3.4) of the DER that openssl
 * writes.
 */
#ifndef SSE_TEST_KIT_ECDSA_H
#define SSE_TEST_KIT_ECDSA_H

#include "test/kit/kit.h"

/* Turns sig[0..n) into r and s, 64 bytes, in its place. */
static inline void ecdsa_plain(char *sig, size_t n)
{
    char out[64] = {0};
    size_t at = 2;
    for (unsigned i = 0; i < 2; i++) {
        size_t size = (unsigned char)sig[at + 1];
        const char *v = sig + at + 2;
        at += 2 + size;
        if (size == 33)
            v++, size--;
        ck_assert_uint_le(size, 32);
        memcpy(out + 32 * (i + 1) - size, v, size);
    }
    ck_assert_uint_eq(at, n);
    memcpy(sig, out, sizeof(out));
}

#endif
