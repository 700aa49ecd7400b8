/*
 * sha512.h - SHA-512 (FIPS 180-4 section 6.4), which Ed25519 needs.
 */
#ifndef SSE_LIB_AUTH_SHA512_H
#define SSE_LIB_AUTH_SHA512_H

#include "lib/span.h"

#define SHA512_SIZE 64u

/* The digest of the parts, one after the other, as one text. What they leave in memory is wiped. */
void sha512(uint8_t out[SHA512_SIZE], const struct span part[], size_t parts);

#endif
