/*
 * key.h - a key that verifies signatures: a secret of HMAC or a public key.
 *
 *   algorithm   bytes[0..n)                                               verified by
 *   HS256       the secret, KEY_SECRET_MIN to KEY_BYTES_MAX bytes         hash.h
 *   RS256       the modulus, 2048 to 4096 bits; `e` is the exponent       rsa.h
 *   ES256       x and y of a point of P-256, 64 bytes                     p256.h
 *   EdDSA       a point of edwards25519, 32 bytes                         ed25519.h
 *
 * The key has its algorithm, whatever a token says: a secret never verifies as a public key, nor a
 * public key as a secret (RFC 8725 section 3.1). A key that is not right is never made.
 */
#ifndef SSE_LIB_AUTH_KEY_H
#define SSE_LIB_AUTH_KEY_H

#include "lib/span.h"

#define KEY_SECRET_MIN 32u
#define KEY_BYTES_MAX  512u
#define KEY_KID_MAX    64u

enum key_algorithm {
    KEY_HS256 = 0,
    KEY_RS256 = 1,
    KEY_ES256 = 2,
    KEY_EDDSA = 3,
    KEY_NONE = 4, /* not one of these */
};

struct auth_key {
    uint16_t n;    /* bytes of the key */
    uint8_t kid_n; /* bytes of its name; 0: it has none */
    uint8_t algorithm;
    uint32_t e; /* RSA's exponent */
    char kid[KEY_KID_MAX];
    char bytes[KEY_BYTES_MAX];
};

/* The algorithm as JWS names it (RFC 7518 section 3.1, RFC 8037 section 3.1), and back: KEY_NONE if
 * there is none of that name. */
const char *key_algorithm_name(enum key_algorithm a);
enum key_algorithm key_algorithm(struct span name);

/* What is wrong with the name of a key, as others are to be told of it, or NULL. */
const char *key_kid_wrong(struct span kid);

/* Makes a key of what a file holds. They return what is wrong, as words for a person, or NULL; the
 * key's name is left as it is. */
const char *key_set_secret(struct auth_key *key, struct span secret);
const char *key_set_rsa(struct auth_key *key, struct span modulus, struct span exponent);
const char *key_set_p256(struct auth_key *key, struct span x, struct span y);
const char *key_set_ed25519(struct auth_key *key, struct span point);

/* Returns true if it is the signature of the message by this key, as JWS has it: of ES256 r and s
 * in 64 bytes (RFC 7518 section 3.4). Takes as long whatever is in a secret. */
bool key_verify(const struct auth_key *key, struct span message, struct span signature);

#endif
