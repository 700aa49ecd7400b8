/*
 * ed25519.h - EdDSA over edwards25519 (RFC 8032 section 5.1, RFC 8037 section 3.1).
 *
 * VERIFICATION is as the common libraries have it (the reference's, OpenSSL's, Go's): without the
 * cofactor, so 8 s B = ... is not enough and the encoded R is compared as it came. Encodings are
 * canonical: s is below the order L, the y of a key below p, and no x of zero has a sign. A key is
 * to be no point of small order, with which signatures prove nothing. All of this is public, and
 * how long it takes depends on it.
 *
 * SIGNING is for a command of the operator on the operator's own machine: how long it takes depends
 * on the secret, so no server calls it.
 */
#ifndef SSE_LIB_AUTH_ED25519_H
#define SSE_LIB_AUTH_ED25519_H

#include "lib/span.h"

#define ED25519_KEY    32u
#define ED25519_SECRET 32u
#define ED25519_SIGN   64u

/* Returns true if the key is the canonical encoding of a point that has no small order. */
bool ed25519_key_good(const uint8_t key[ED25519_KEY]);

/* Returns true if it is the signature of the message by this key. */
bool ed25519_verify(const uint8_t key[ED25519_KEY], struct span message, struct span signature);

/* The public key of a secret one (section 5.1.5); the signature of a message (section 5.1.6). */
void ed25519_public(uint8_t key[ED25519_KEY], const uint8_t secret[ED25519_SECRET]);
void ed25519_sign(uint8_t signature[ED25519_SIGN], const uint8_t secret[ED25519_SECRET],
                  struct span message);

#endif
