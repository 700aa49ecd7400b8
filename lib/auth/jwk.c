/*
 * jwk.c - a key of a JWK Set.
 */
#include "lib/auth/jwk.h"

#include "lib/hash.h"

/* Long enough for the base64url of the longest number, and a byte to tell a longer one by. */
#define TEXT_MAX (KEY_BYTES_MAX / 3 * 4 + 5)

/* The members that are known. */
enum member { KTY, USE, ALG, KEY_OPS, KID, CRV, N, E, X, Y, K, D, MEMBERS };
static const char member_name[MEMBERS][8] = {"kty", "use", "alg", "key_ops", "kid", "crv",
                                             "n",   "e",   "x",   "y",       "k",   "d"};

struct jwk {
    bool has[MEMBERS];
    struct json_value v[MEMBERS];
};

static enum member member_of(struct span raw)
{
    char name[48]; /* seven characters, were they all escaped */
    unsigned m = 0;
    if (raw.n > sizeof(name))
        return MEMBERS;
    struct span s = {name, json_unescape(raw, name)};
    while (m < MEMBERS && !span_eq(s, (struct span){member_name[m], strnlen(member_name[m], 8)}))
        m++;
    return m;
}

/* A string decoded into `out`, TEXT_MAX bytes; false if it is none, or longer. */
static bool string_of(const struct jwk *j, enum member m, char *out, struct span *s)
{
    if (!j->has[m] || j->v[m].kind != JSON_STRING || j->v[m].raw.n > TEXT_MAX)
        return false;
    *s = (struct span){out, json_unescape(j->v[m].raw, out)};
    return true;
}

/* Bytes as base64url, likewise. */
static bool bytes_of(const struct jwk *j, enum member m, char *out, struct span *s)
{
    if (!string_of(j, m, out, s))
        return false;
    ptrdiff_t n = base64url_read(out, *s);
    s->n = n > 0 ? (size_t)n : 0;
    return n > 0;
}

static bool is(const struct jwk *j, enum member m, struct span want)
{
    char text[TEXT_MAX];
    struct span s;
    return string_of(j, m, text, &s) && span_eq(s, want);
}

/* The algorithm of its kind (RFC 7518 section 6.1, RFC 8037 section 2). */
static enum key_algorithm algorithm_of(const struct jwk *j)
{
    if (is(j, KTY, SPAN("RSA")))
        return KEY_RS256;
    if (is(j, KTY, SPAN("EC")) && is(j, CRV, SPAN("P-256")))
        return KEY_ES256;
    if (is(j, KTY, SPAN("OKP")) && is(j, CRV, SPAN("Ed25519")))
        return KEY_EDDSA;
    return is(j, KTY, SPAN("oct")) ? KEY_HS256 : KEY_NONE;
}

/* Does `key_ops` hold "verify"? */
static bool verifies(const struct jwk *j)
{
    struct jwk one = {.has = {false}};
    struct span name;
    size_t pos = 0;
    bool found = false;
    one.has[KEY_OPS] = true;
    while (j->v[KEY_OPS].kind == JSON_ARRAY &&
           json_next(&j->v[KEY_OPS], &pos, &name, &one.v[KEY_OPS]))
        found = found || is(&one, KEY_OPS, SPAN("verify"));
    return found;
}

/* Why it is not one to verify with here, or NULL. */
static const char *skipped(const struct jwk *j, enum key_algorithm a)
{
    if (a == KEY_NONE)
        return "its kind (kty, crv) is not known here";
    if (j->has[USE] && !is(j, USE, SPAN("sig")))
        return "it is not for signatures (use)";
    if (j->has[KEY_OPS] && !verifies(j))
        return "it is not for verifying (key_ops)";
    if (j->has[ALG] && !is(j, ALG, span_of(key_algorithm_name(a))))
        return "its algorithm (alg) is not known here";
    return NULL;
}

static const char *read_kid(const struct jwk *j, struct auth_key *key)
{
    char text[TEXT_MAX];
    struct span kid;
    if (!j->has[KID])
        return NULL;
    if (!string_of(j, KID, text, &kid))
        return "the name of the key (kid) is no string, or too long";
    const char *wrong = key_kid_wrong(kid);
    if (wrong == NULL) {
        key->kid_n = (uint8_t)kid.n;
        memcpy(key->kid, kid.p, kid.n);
    }
    return wrong;
}

static const char *read_bytes(const struct jwk *j, enum key_algorithm a, struct auth_key *key)
{
    static const char missing[] = "a number of the key is missing, too long or not base64url";
    char one[TEXT_MAX], two[TEXT_MAX];
    struct span x, y;
    const char *wrong;
    switch (a) {
    case KEY_RS256:
        return bytes_of(j, N, one, &x) && bytes_of(j, E, two, &y) ? key_set_rsa(key, x, y)
                                                                  : missing;
    case KEY_ES256:
        return bytes_of(j, X, one, &x) && bytes_of(j, Y, two, &y) ? key_set_p256(key, x, y)
                                                                  : missing;
    case KEY_EDDSA:
        return bytes_of(j, X, one, &x) ? key_set_ed25519(key, x) : missing;
    default:
        wrong = bytes_of(j, K, one, &x) ? key_set_secret(key, x) : missing;
        hash_wipe(one, sizeof(one));
        return wrong;
    }
}

enum jwk_result jwk_read(const struct json_value *v, struct auth_key *key, const char **why)
{
    struct jwk j = {.has = {false}};
    struct json_value value;
    struct span name;
    size_t pos = 0;
    *key = (struct auth_key){.n = 0};
    *why = "the key is no JSON object";
    if (v->kind != JSON_OBJECT)
        return JWK_WRONG;
    while (json_next(v, &pos, &name, &value)) {
        enum member m = member_of(name);
        if (m == MEMBERS)
            continue;
        *why = "the key has a member twice";
        if (j.has[m])
            return JWK_WRONG;
        j.has[m] = true;
        j.v[m] = value;
    }
    enum key_algorithm a = algorithm_of(&j);
    *why = "a key is private (d): a server is to have the public part alone";
    if (j.has[D])
        return JWK_PRIVATE;
    *why = skipped(&j, a);
    if (*why != NULL)
        return JWK_SKIPPED;
    *why = read_kid(&j, key);
    if (*why == NULL)
        *why = read_bytes(&j, a, key);
    return *why == NULL ? JWK_KEY : JWK_WRONG;
}
