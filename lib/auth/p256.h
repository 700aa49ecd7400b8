/*
 * p256.h - ES256: ECDSA over P-256 with SHA-256 (FIPS 186-5 section 6.4.2, SP 800-186 section
 * 3.2.1.3, RFC 7518 section 3.4).
 *
 * Verification only; all that it handles is public, and how long it takes depends on it.
 *
 * A key is x and y, a signature r and s, each of 32 bytes, big-endian. r and s are in 1..n-1; a
 * signature whose s is n - s is as good, as ECDSA has it.
 */
#ifndef SSE_LIB_AUTH_P256_H
#define SSE_LIB_AUTH_P256_H

#include "lib/span.h"

#define P256_KEY  64u
#define P256_SIGN 64u

/* Returns true if the key is a point of the curve. */
bool p256_key_good(const uint8_t key[P256_KEY]);

/* Returns true if it is the signature of the message by this key. */
bool p256_verify(const uint8_t key[P256_KEY], struct span message, struct span signature);

#endif
