/*
 * rsa.c - RFC 8017, section by section.
 */
#include "lib/auth/rsa.h"

#include <assert.h>

#include "lib/auth/bignum.h"
#include "lib/hash.h"

#define BYTES_MAX (RSA_BITS_MAX / 8)

/* Returns true if the modulus has the mark of keys that a broken library made and that can be
 * factored (M. Nemec and others, "The Return of Coppersmith's Attack", 2017, section 2.1): modulo
 * each of these primes it is a power of 65537. One in 10^8 of others has it, too. */
static bool has_mark(struct span modulus)
{
    static const uint8_t primes[] = {11, 13, 17,  19,  37,  53,  61,  71, 73,
                                     79, 97, 103, 107, 109, 127, 151, 157};
    for (size_t i = 0; i < sizeof(primes); i++) {
        unsigned p = primes[i], rest = 0, power = 1;
        for (size_t j = 0; j < modulus.n; j++)
            rest = (rest << 8 | (uint8_t)modulus.p[j]) % p;
        do
            power = power * (65537 % p) % p;
        while (power != rest && power != 1);
        if (power != rest)
            return false;
    }
    return true;
}

const char *rsa_key_wrong(struct span modulus, struct span exponent)
{
    const uint8_t *n = (const uint8_t *)modulus.p, *e = (const uint8_t *)exponent.p;
    if (modulus.n == 0 || n[0] == 0 || exponent.n == 0 || e[0] == 0)
        return "a number of the RSA key begins with zero";
    size_t bits = 8 * modulus.n;
    for (unsigned top = n[0]; top < 0x80; top <<= 1)
        bits--;
    if (bits < RSA_BITS_MIN)
        return "the RSA key has fewer than 2048 bits";
    if (bits > RSA_BITS_MAX)
        return "the RSA key has more than 4096 bits";
    if (n[modulus.n - 1] % 2 == 0)
        return "the modulus of the RSA key is even";
    if (e[exponent.n - 1] % 2 == 0)
        return "the exponent of the RSA key is even";
    if (exponent.n < 3 || (exponent.n == 3 && e[0] == 1 && e[1] == 0 && e[2] == 0))
        return "the exponent of the RSA key is below 65537";
    if (exponent.n > 4)
        return "the exponent of the RSA key has more than 32 bits";
    return has_mark(modulus) ? "the RSA key is one that can be factored (ROCA)" : NULL;
}

/* EMSA-PKCS1-v1_5-ENCODE (section 9.2): 00 01 FF ... FF 00, the DigestInfo, the digest. */
static void encode(uint8_t *em, size_t size, struct span message)
{
    static const uint8_t info[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                   0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
    size_t at = size - HASH_SHA256_SIZE - sizeof(info);
    memset(em, 0xff, at);
    em[0] = 0;
    em[1] = 1;
    em[at - 1] = 0;
    memcpy(em + at, info, sizeof(info));
    hash_sha256(em + size - HASH_SHA256_SIZE, message);
}

/* Section 8.2.2, RSASSA-PKCS1-V1_5-VERIFY. */
bool rsa_verify(struct span modulus, uint32_t exponent, struct span message, struct span signature)
{
    struct bignum_modulus m;
    uint64_t s[BIGNUM_WORDS], power[BIGNUM_WORDS], e = exponent;
    uint8_t em[BYTES_MAX], want[BYTES_MAX];
    assert(modulus.n >= RSA_BITS_MIN / 8 && modulus.n <= BYTES_MAX && exponent % 2 == 1);
    /* 1. As long as the modulus. */
    if (signature.n != modulus.n || !bignum_modulus(&m, (const uint8_t *)modulus.p, modulus.n))
        return false;
    /* 2. RSAVP1 (section 5.2.2): below the modulus, and to the power of the exponent. */
    bignum_read(s, m.n, (const uint8_t *)signature.p, signature.n);
    if (!bignum_less(s, m.m, m.n))
        return false;
    bignum_enter(&m, s, s);
    bignum_pow(&m, power, s, &e, 1);
    bignum_leave(&m, power, power);
    bignum_write(em, modulus.n, power);
    /* 3. and 4. The encoded message, compared whole. */
    encode(want, modulus.n, message);
    return memcmp(em, want, modulus.n) == 0;
}
