/*
 * keys.c - key files in each form, and signatures by their keys.
 *
 * The first byte chooses. 'f': a key file. 'd', 'r', 's': DER of a public key, of RSAPublicKey,
 * of a secret key. 'v': a key, an algorithm's digit, a signature and a message, a line each, the
 * first and the third in base64url. 'b': a modulus and two numbers for bignum.h, 64 bytes each.
 */
#include "lib/auth/auth.h"
#include "lib/auth/bignum.h"
#include "lib/auth/der.h"
#include "lib/auth/ed25519.h"
#include "lib/hash.h"

#undef NDEBUG
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *copy_of(struct span s)
{
    char *p = malloc(s.n > 0 ? s.n : 1);
    assert(p != NULL);
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return p;
}

/* A key that was made is right, and does not verify what it has not signed. */
static void check_key(const struct auth_key *key)
{
    static const char zeros[512];
    assert(key->n > 0 && key->n <= KEY_BYTES_MAX && key->kid_n <= KEY_KID_MAX);
    assert(key->algorithm < KEY_NONE && (key->algorithm == KEY_RS256) == (key->e != 0));
    assert(key_kid_wrong((struct span){key->kid, key->kid_n}) == NULL);
    assert(!key_verify(key, SPAN("message"), (struct span){zeros, key->n}));
    assert(!key_verify(key, SPAN("message"), SPAN("")));
}

static void file(struct span s)
{
    static struct auth_keys k;
    char *p = copy_of(s), line[256];
    struct text why = text_in(line, sizeof(line));
    bool good = auth_keys_read(&k, (struct span){p, s.n}, &why);
    assert(!why.full && good == (why.n == 0) && good == (k.n > 0) && k.n <= AUTH_KEYS_MAX);
    assert((k.skipped > 0) == (k.skip != NULL));
    for (unsigned i = 0; i < k.n && i < 2; i++)
        check_key(&k.key[i]);
    free(p);
}

static void der(char form, struct span s)
{
    char *p = copy_of(s);
    struct auth_key key = {.n = 0};
    struct span in = {p, s.n}, secret;
    if (form == 's')
        assert(der_secret(in, &secret) != NULL || secret.n == ED25519_SECRET);
    else if ((form == 'd' ? der_public(&key, in) : der_rsa(&key, in)) == NULL)
        check_key(&key);
    free(p);
}

static ptrdiff_t bytes_of(struct span s, char *out, size_t cap)
{
    return base64url_size(cap) >= s.n ? base64url_read(out, s) : -1;
}

static void verify(struct span s)
{
    char number[KEY_BYTES_MAX + 3], signature[KEY_BYTES_MAX + 3];
    struct span first = span_cut(&s, '\n'), algorithm = span_cut(&s, '\n');
    ptrdiff_t n = bytes_of(first, number, KEY_BYTES_MAX);
    ptrdiff_t m = bytes_of(span_cut(&s, '\n'), signature, KEY_BYTES_MAX);
    struct auth_key key = {.n = 0};
    const char *wrong = "no algorithm";
    if (n < 0 || m < 0 || algorithm.n != 1)
        return;
    struct span bytes = {number, (size_t)n};
    if (algorithm.p[0] == '1')
        wrong = key_set_rsa(&key, bytes, SPAN("\1\0\1"));
    else if (algorithm.p[0] == '2' && n == 64)
        wrong = key_set_p256(&key, (struct span){number, 32}, (struct span){number + 32, 32});
    else if (algorithm.p[0] == '3')
        wrong = key_set_ed25519(&key, bytes);
    if (wrong != NULL)
        return;
    char *exact = copy_of((struct span){signature, (size_t)m}), *message = copy_of(s);
    key_verify(&key, (struct span){message, s.n}, (struct span){exact, (size_t)m});
    free(exact);
    free(message);
}

/* a b R^-1 is below m; into the form and out again is the number; sums and differences undo one
 * another. */
static void numbers(const uint8_t *data, size_t size)
{
    static struct bignum_modulus m;
    uint64_t a[8], b[8], r[8], again[8];
    if (size < 192 || !bignum_modulus(&m, data, 64))
        return;
    bignum_read(a, 8, data + 64, 64);
    bignum_read(b, 8, data + 128, 64);
    if (!bignum_less(a, m.m, 8) || !bignum_less(b, m.m, 8))
        return;
    bignum_enter(&m, r, a);
    bignum_leave(&m, again, r);
    assert(bignum_less(r, m.m, 8) && bignum_equal(again, a, 8));
    bignum_add(&m, r, a, b);
    bignum_sub(&m, again, r, b);
    assert(bignum_less(r, m.m, 8) && bignum_equal(again, a, 8));
    bignum_mul(&m, r, a, b);
    bignum_mul(&m, again, b, a);
    assert(bignum_less(r, m.m, 8) && bignum_equal(again, r, 8));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct span s = {(const char *)data + 1, size - 1};
    switch (data[0]) {
    case 'f':
        file(s);
        break;
    case 'd':
    case 'r':
    case 's':
        der((char)data[0], s);
        break;
    case 'v':
        verify(s);
        break;
    case 'b':
        numbers(data + 1, size - 1);
        break;
    default:
        break;
    }
    return 0;
}
