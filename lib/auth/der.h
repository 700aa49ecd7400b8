/*
 * der.h - public keys in DER (X.690 section 10): SubjectPublicKeyInfo (RFC 5280 section 4.1) of RSA
 * (RFC 3279 section 2.3.1), P-256 (RFC 5480) and Ed25519 (RFC 8410), and RSAPublicKey (RFC 8017
 * appendix A.1.1).
 *
 * STRICT: lengths are definite and as short as they can be, integers as well, parameters as the RFC
 * of the algorithm demands, nothing is behind the key. Points are uncompressed.
 */
#ifndef SSE_LIB_AUTH_DER_H
#define SSE_LIB_AUTH_DER_H

#include "lib/auth/key.h"

/* Read a whole text into a key. They return what is wrong, as words for a person, or NULL. */
const char *der_public(struct auth_key *key, struct span der);
const char *der_rsa(struct auth_key *key, struct span der);

/* Finds the 32 bytes of an Ed25519 secret key in PKCS #8 (RFC 8410 section 7), or returns what is
 * wrong. */
const char *der_secret(struct span der, struct span *secret);

#endif
