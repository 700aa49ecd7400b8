/*
 * key.c - makes keys and verifies with them.
 */
#include "lib/auth/key.h"

#include "lib/auth/ed25519.h"
#include "lib/auth/p256.h"
#include "lib/auth/rsa.h"
#include "lib/clean.h"
#include "lib/hash.h"

static const char names[][6] = {"HS256", "RS256", "ES256", "EdDSA"};

const char *key_algorithm_name(enum key_algorithm a)
{
    return names[a];
}

enum key_algorithm key_algorithm(struct span name)
{
    unsigned a = KEY_HS256;
    while (a < KEY_NONE && !span_eq(name, span_of(names[a])))
        a++;
    return a;
}

const char *key_kid_wrong(struct span kid)
{
    if (kid.n > KEY_KID_MAX)
        return "the name of the key has more than 64 bytes";
    for (size_t i = 0; i < kid.n; i++)
        if (!clean_visible(kid.p[i]) || kid.p[i] == '"' || kid.p[i] == '\\')
            return "the name of the key has a byte that is not plain ASCII";
    return NULL;
}

static void set(struct auth_key *key, enum key_algorithm a, struct span first, struct span second)
{
    key->algorithm = (uint8_t)a;
    key->e = 0;
    key->n = (uint16_t)(first.n + second.n);
    memcpy(key->bytes, first.p, first.n);
    if (second.n > 0)
        memcpy(key->bytes + first.n, second.p, second.n);
}

const char *key_set_secret(struct auth_key *key, struct span secret)
{
    if (secret.n < KEY_SECRET_MIN)
        return "the key has fewer than 32 bytes";
    if (secret.n > KEY_BYTES_MAX)
        return "the key has more than 512 bytes";
    set(key, KEY_HS256, secret, SPAN(""));
    return NULL;
}

const char *key_set_rsa(struct auth_key *key, struct span modulus, struct span exponent)
{
    const char *wrong = rsa_key_wrong(modulus, exponent);
    if (wrong != NULL)
        return wrong;
    set(key, KEY_RS256, modulus, SPAN(""));
    for (size_t i = 0; i < exponent.n; i++)
        key->e = key->e << 8 | (uint8_t)exponent.p[i];
    return NULL;
}

const char *key_set_p256(struct auth_key *key, struct span x, struct span y)
{
    if (x.n != P256_KEY / 2 || y.n != P256_KEY / 2)
        return "a coordinate of the P-256 key has not 32 bytes";
    set(key, KEY_ES256, x, y);
    return p256_key_good((const uint8_t *)key->bytes) ? NULL
                                                      : "the P-256 key is no point of the curve";
}

const char *key_set_ed25519(struct auth_key *key, struct span point)
{
    if (point.n != ED25519_KEY)
        return "the Ed25519 key has not 32 bytes";
    set(key, KEY_EDDSA, point, SPAN(""));
    return ed25519_key_good((const uint8_t *)key->bytes)
               ? NULL
               : "the Ed25519 key is no point of the curve that proves anything";
}

static bool verify_secret(const struct auth_key *key, struct span message, struct span signature)
{
    uint8_t want[HASH_SHA256_SIZE];
    hash_hmac(want, (struct span){key->bytes, key->n}, &message, 1);
    bool good = signature.n == sizeof(want) && hash_equal(want, signature.p, sizeof(want));
    hash_wipe(want, sizeof(want));
    return good;
}

bool key_verify(const struct auth_key *key, struct span message, struct span signature)
{
    const uint8_t *bytes = (const uint8_t *)key->bytes;
    switch (key->algorithm) {
    case KEY_HS256:
        return verify_secret(key, message, signature);
    case KEY_RS256:
        return rsa_verify((struct span){key->bytes, key->n}, key->e, message, signature);
    case KEY_ES256:
        return p256_verify(bytes, message, signature);
    case KEY_EDDSA:
        return ed25519_verify(bytes, message, signature);
    default:
        return false;
    }
}
