/*
 * rsa.h - RS256: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2, RFC 7518 section 3.3).
 *
 * Verification only; all that it handles is public, and how long it takes depends on it.
 *
 * LIMITS: moduli of 2048 to 4096 bits, odd; public exponents odd, 65537 to 2^32 - 1; no key that
 * is known to be factored by its form (CVE-2017-15361). The signature
 * has as many bytes as the modulus and is below it. The encoded message is compared whole, so there
 * is one padding, one DigestInfo (with its NULL) and one length.
 */
#ifndef SSE_LIB_AUTH_RSA_H
#define SSE_LIB_AUTH_RSA_H

#include "lib/span.h"

#define RSA_BITS_MIN 2048u
#define RSA_BITS_MAX 4096u

/* Returns what is wrong with a key, as words for a person, or NULL. Both numbers are big-endian,
 * without leading zeros. */
const char *rsa_key_wrong(struct span modulus, struct span exponent);

/* Returns true if it is the signature of the message by this key, which rsa_key_wrong() has found
 * right. */
bool rsa_verify(struct span modulus, uint32_t exponent, struct span message, struct span signature);

#endif
