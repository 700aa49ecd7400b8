/*
 * jwk.h - keys in JSON (RFC 7517; RFC 7518 section 6; RFC 8037 section 2).
 *
 * `kty` RSA, EC with `crv` P-256, OKP with `crv` Ed25519, and oct are taken. Members that are not
 * known are passed over. A key is skipped, not refused, where it is one of a kind that is not known
 * here, or is not for verifying: `use` is not "sig", `key_ops` has no "verify", `alg` is not the
 * algorithm of its kind (RFC 7517 section 5 has sets hold such keys).
 */
#ifndef SSE_LIB_AUTH_JWK_H
#define SSE_LIB_AUTH_JWK_H

#include "lib/auth/key.h"

enum jwk_result {
    JWK_KEY = 0,     /* *key is one */
    JWK_SKIPPED = 1, /* it is for something else */
    JWK_WRONG = 2,   /* it is of a kind that is known, and not right */
    JWK_PRIVATE = 3, /* it is a private key, which no server is to have */
};

/* Reads the object json[0..n) into a key, and decodes what is in it in place. Other than for a key,
 * *why says why, as words for a person. */
enum jwk_result jwk_read(char *json, size_t n, struct auth_key *key, const char **why);

#endif
