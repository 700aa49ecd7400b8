/*
 * der.c - X.690, as far as public keys go.
 */
#include "lib/auth/der.h"

#define INTEGER    0x02
#define BIT_STRING 0x03
#define OCTETS     0x04
#define SEQUENCE   0x30

static const char not_der[] = "it is not DER of a public key";

/* Cuts the value of this type off the front of *in. */
static bool take(struct span *in, unsigned type, struct span *value)
{
    const uint8_t *p = (const uint8_t *)in->p;
    if (in->n < 2 || p[0] != type)
        return false;
    size_t n = p[1], head = 2;
    if (n >= 0x80) { /* so many bytes of a length follow; two are enough here (section 10.1) */
        size_t more = n & 0x7f;
        if (more < 1 || more > 2 || in->n < 2 + more)
            return false;
        n = more == 1 ? p[2] : (size_t)p[2] << 8 | p[3];
        if (n < (more == 1 ? 0x80u : 0x100u))
            return false;
        head += more;
    }
    if (n > in->n - head)
        return false;
    *value = (struct span){in->p + head, n};
    *in = span_from(*in, head + n);
    return true;
}

/* Cuts an integer that is not negative off, without the zero byte in front that keeps it so; zero
 * is none here. */
static bool take_integer(struct span *in, struct span *value)
{
    if (!take(in, INTEGER, value) || value->n == 0 || (value->p[0] & 0x80) != 0)
        return false;
    if (value->p[0] != 0)
        return true;
    *value = span_from(*value, 1);
    return value->n > 0 && (value->p[0] & 0x80) != 0;
}

const char *der_rsa(struct auth_key *key, struct span der)
{
    struct span s, n, e;
    if (!take(&der, SEQUENCE, &s) || der.n > 0 || !take_integer(&s, &n) || !take_integer(&s, &e) ||
        s.n > 0)
        return not_der;
    return key_set_rsa(key, n, e);
}

static const char *set_p256(struct auth_key *key, struct span point)
{
    if (point.n != 65 || point.p[0] != 4) /* SEC 1 section 2.3.4 */
        return "the point of the P-256 key is not uncompressed";
    return key_set_p256(key, (struct span){point.p + 1, 32}, (struct span){point.p + 33, 32});
}

/* The algorithms: object identifiers with what is to follow them. */
#define ID_RSA     SPAN("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00")
#define ID_P256    SPAN("\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07")
#define ID_ED25519 SPAN("\x06\x03\x2b\x65\x70")

const char *der_public(struct auth_key *key, struct span der)
{
    struct span s, id, bits;
    if (!take(&der, SEQUENCE, &s) || der.n > 0 || !take(&s, SEQUENCE, &id) ||
        !take(&s, BIT_STRING, &bits) || s.n > 0 || bits.n == 0 || bits.p[0] != 0)
        return not_der;
    bits = span_from(bits, 1);
    if (span_eq(id, ID_RSA))
        return der_rsa(key, bits);
    if (span_eq(id, ID_P256))
        return set_p256(key, bits);
    if (span_eq(id, ID_ED25519))
        return key_set_ed25519(key, bits);
    return "the key is not of RSA, P-256 or Ed25519";
}

const char *der_secret(struct span der, struct span *secret)
{
    struct span s, version, id, octets;
    if (!take(&der, SEQUENCE, &s) || der.n > 0 || !take(&s, INTEGER, &version) ||
        !take(&s, SEQUENCE, &id) || !take(&s, OCTETS, &octets))
        return "it is not DER of a private key";
    if (!span_eq(id, ID_ED25519))
        return "the private key is not of Ed25519";
    if (!take(&octets, OCTETS, secret) || octets.n > 0 || secret->n != 32)
        return "the private key of Ed25519 has not 32 bytes";
    return NULL;
}
