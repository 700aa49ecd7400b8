/*
 * jwk.c - a key of a JWK Set.
 */
#include "lib/auth/jwk.h"

#include "lib/auth/object.h"
#include "lib/hash.h"

struct jwk {
    struct object o;
    char *json; /* the buffer that it is in */
};

static bool is(const struct jwk *j, struct span name, struct span want)
{
    return span_eq(object_text(&j->o, name), want);
}

/* The bytes of a member in base64url, decoded in place; empty: there are none. */
static struct span bytes_of(const struct jwk *j, struct span name)
{
    struct span s = object_text(&j->o, name);
    char *to = j->json + (s.p != NULL ? s.p - j->json : 0);
    ptrdiff_t n = s.n <= base64url_size(KEY_BYTES_MAX) + 3 ? base64url_read(to, s) : -1;
    return (struct span){to, n > 0 ? (size_t)n : 0};
}

/* The algorithm of its kind (RFC 7518 section 6.1, RFC 8037 section 2). */
static enum key_algorithm algorithm_of(const struct jwk *j)
{
    struct span kty = object_text(&j->o, SPAN("kty")), crv = object_text(&j->o, SPAN("crv"));
    if (span_eq(kty, SPAN("RSA")))
        return KEY_RS256;
    if (span_eq(kty, SPAN("EC")) && span_eq(crv, SPAN("P-256")))
        return KEY_ES256;
    if (span_eq(kty, SPAN("OKP")) && span_eq(crv, SPAN("Ed25519")))
        return KEY_EDDSA;
    return span_eq(kty, SPAN("oct")) ? KEY_HS256 : KEY_NONE;
}

/* Returns true if `key_ops` holds "verify". */
static bool verifies(const struct jwk *j, const struct json_value *ops)
{
    struct json_value op;
    struct span none;
    size_t pos = 0;
    bool found = false;
    while (ops->kind == JSON_ARRAY && json_next(ops, &pos, &none, &op))
        found = found ||
                (op.kind == JSON_STRING && span_eq(object_decode(j->json, op.raw), SPAN("verify")));
    return found;
}

/* Why it is not one to verify with here, or NULL. */
static const char *skipped(const struct jwk *j, enum key_algorithm a)
{
    const struct json_value *ops = object_get(&j->o, SPAN("key_ops"));
    if (a == KEY_NONE)
        return "its kind (kty, crv) is not known here";
    if (object_get(&j->o, SPAN("use")) != NULL && !is(j, SPAN("use"), SPAN("sig")))
        return "it is not for signatures (use)";
    if (ops != NULL && !verifies(j, ops))
        return "it is not for verifying (key_ops)";
    if (object_get(&j->o, SPAN("alg")) != NULL &&
        !is(j, SPAN("alg"), span_of(key_algorithm_name(a))))
        return "its algorithm (alg) is not known here";
    return NULL;
}

static const char *read_kid(const struct jwk *j, struct auth_key *key)
{
    const struct json_value *kid = object_get(&j->o, SPAN("kid"));
    if (kid == NULL)
        return NULL;
    const char *wrong = kid->kind == JSON_STRING ? key_kid_wrong(kid->raw)
                                                 : "the name of the key (kid) is no string";
    if (wrong == NULL) {
        key->kid_n = (uint8_t)kid->raw.n;
        memcpy(key->kid, kid->raw.p, kid->raw.n);
    }
    return wrong;
}

static const char *read_bytes(const struct jwk *j, enum key_algorithm a, struct auth_key *key)
{
    static const struct {
        char first[2], second[2];
    } member[] = {[KEY_HS256] = {"k", ""},
                  [KEY_RS256] = {"n", "e"},
                  [KEY_ES256] = {"x", "y"},
                  [KEY_EDDSA] = {"x", ""}};
    struct span one = bytes_of(j, span_of(member[a].first)), two = {NULL, 0};
    if (member[a].second[0] != '\0')
        two = bytes_of(j, span_of(member[a].second));
    if (one.n == 0 || (member[a].second[0] != '\0' && two.n == 0))
        return "a number of the key is missing, too long or not base64url";
    switch (a) {
    case KEY_RS256:
        return key_set_rsa(key, one, two);
    case KEY_ES256:
        return key_set_p256(key, one, two);
    case KEY_EDDSA:
        return key_set_ed25519(key, one);
    default:
        return key_set_secret(key, one);
    }
}

enum jwk_result jwk_read(char *json, size_t n, struct auth_key *key, const char **why)
{
    struct jwk j = {.json = json};
    *key = (struct auth_key){.n = 0};
    *why = object_read(&j.o, json, n);
    if (*why != NULL)
        return JWK_WRONG;
    enum key_algorithm a = algorithm_of(&j);
    *why = "a key is private (d): a server is to have the public part alone";
    if (object_get(&j.o, SPAN("d")) != NULL)
        return JWK_PRIVATE;
    *why = skipped(&j, a);
    if (*why != NULL)
        return JWK_SKIPPED;
    *why = read_kid(&j, key);
    if (*why == NULL)
        *why = read_bytes(&j, a, key);
    return *why == NULL ? JWK_KEY : JWK_WRONG;
}
