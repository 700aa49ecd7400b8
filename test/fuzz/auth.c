/*
 * auth.c - tokens, key files, signed URLs and scopes.
 *
 * The first byte chooses. 't': a token. 's': a header and claims, a line each, which are signed
 * here, so that the code after the signature check is reached. 'k': a key file. 'u': the topics,
 * expiry and signature of a URL, a line each. 'n': a scope, names of a URL, and a name, a line
 * each.
 */
#include "test/kit/auth_kit.h"

#include "lib/name.h"

#include <stdlib.h>

#define NOW 1790000000u

static struct auth_keys keys;

static char *copy_of(struct span s)
{
    char *p = malloc(s.n + (s.n == 0));
    assert(p != NULL);
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return p;
}

static void is_scope(struct span s)
{
    while (s.n > 0)
        assert(topic_pattern_wrong(span_cut(&s, ',')) == NULL);
}

/* ---- tokens ---- */

/* What was good is minted again, and says the same. */
static void mint_again(const struct auth_claims *was)
{
    static char bytes[AUTH_TOKEN_MAX], room[AUTH_TOKEN_MAX];
    char line[256];
    struct text t = text_in(bytes, sizeof(bytes)), why = text_in(line, sizeof(line));
    struct auth_claims claims, from = *was;
    if (from.expires_s > 0 && from.expires_s < AUTH_TIME_MAX)
        from.expires_s -= AUTH_LEEWAY_S;
    auth_mint(&t, &keys.key[0], &from);
    if (t.full)
        return;
    assert(auth_check(&keys, NULL, text_span(&t), NOW, room, &claims, &why) == AUTH_GOOD);
    assert(span_eq(claims.publish, was->publish) && span_eq(claims.subscribe, was->subscribe));
    assert(claims.expires_s == was->expires_s);
}

static enum auth_result check(struct span s)
{
    char *p = copy_of(s), *room = malloc(AUTH_TOKEN_MAX), *line = malloc(256);
    char *other = malloc(AUTH_TOKEN_MAX);
    struct span token = {p, s.n};
    struct text why = text_in(line, 256);
    struct auth_claims claims;
    struct auth_said said;
    enum auth_result r = auth_check(&keys, NULL, token, NOW, room, &claims, &why);
    assert(!why.full && (r == AUTH_GOOD ? why.n == 0 : kit_is_fit(text_span(&why))));
    if (auth_signer(&keys, token, other) == NULL)
        assert(r != AUTH_GOOD && r != AUTH_EXPIRED && r != AUTH_EARLY);
    else
        assert(r != AUTH_MALFORMED && r != AUTH_ALGORITHM && r != AUTH_SIGNATURE);
    why.n = 0;
    enum auth_result read = auth_read(NULL, token, other, &said, &why);
    assert(read == AUTH_GOOD ? why.n == 0 : kit_is_fit(text_span(&why)));
    if (r != AUTH_SIGNATURE && r != AUTH_EXPIRED && r != AUTH_EARLY)
        assert(read == r);
    if (r == AUTH_GOOD) {
        is_scope(claims.publish);
        is_scope(claims.subscribe);
        assert(span_eq(claims.publish, said.publish) && span_eq(claims.subscribe, said.subscribe));
        assert(claims.expires_s == 0 ? !said.ends : claims.expires_s > NOW);
        mint_again(&claims);
    } else {
        assert(claims.publish.n == 0 && claims.subscribe.n == 0 && claims.expires_s == 0);
    }
    free(p);
    free(room);
    free(line);
    free(other);
    return r;
}

static void signed_token(struct span s)
{
    static struct kit_token token;
    struct span header = span_cut(&s, '\n');
    if (header.n + s.n > AUTH_TOKEN_MAX)
        return;
    kit_make(&token, header, s, SPAN(KIT_KEY));
    enum auth_result r = check(kit_span(&token));
    /* Signed as the key says, it fails for its own sake, or the name of a key. */
    assert(r != AUTH_SIGNATURE || memmem(header.p, header.n, "\"", 1) != NULL);
    token.p[token.n - 20] = token.p[token.n - 20] == 'A' ? 'B' : 'A';
    assert(check(kit_span(&token)) != AUTH_GOOD);
}

/* ---- keys ---- */

static void key_file(struct span s)
{
    char *p = copy_of(s), line[256];
    struct auth_keys *k = malloc(sizeof(*k));
    struct text why = text_in(line, sizeof(line));
    assert(k != NULL);
    memset(k, 'x', sizeof(*k));
    if (auth_keys_read(k, (struct span){p, s.n}, &why)) {
        assert(why.n == 0 && k->n > 0 && k->n <= AUTH_KEYS_MAX);
        for (unsigned i = 0; i < k->n; i++) {
            const struct auth_key *key = &k->key[i];
            assert(key->n >= KEY_SECRET_MIN && key->n <= KEY_BYTES_MAX &&
                   key->kid_n <= KEY_KID_MAX);
            assert(memmem(s.p, s.n, key->bytes, key->n) != NULL);
            assert(key->kid_n == 0 || kit_is_fit((struct span){key->kid, key->kid_n}));
        }
    } else {
        assert(kit_is_fit(text_span(&why)) && kit_is_wiped(k));
    }
    free(k);
    free(p);
}

/* ---- URLs ---- */

static void url(struct span s)
{
    struct span topics = span_cut(&s, '\n'), expires = span_cut(&s, '\n'), signature = s;
    char line[256], made[AUTH_URL_SIGN];
    uint64_t expires_s = 0;
    char *p = copy_of(expires), *q = copy_of(signature);
    struct text why = text_in(line, sizeof(line)), t = text_in(made, sizeof(made));
    enum auth_result r = auth_url_check(&keys, AUTH_SUBSCRIBE, topics, (struct span){p, expires.n},
                                        (struct span){q, signature.n}, NOW, &why);
    assert(r == AUTH_GOOD ? why.n == 0 : kit_is_fit(text_span(&why)));
    bool number = span_u64(expires, &expires_s) && expires_s <= AUTH_TIME_MAX &&
                  (expires.n == 1 || expires.p[0] != '0');
    assert((r == AUTH_MALFORMED) == (!number || signature.n != AUTH_URL_SIGN));
    auth_url_sign(&t, &keys.key[0], AUTH_SUBSCRIBE, topics, expires_s);
    bool same = span_eq(text_span(&t), signature);
    assert(!number || (r == AUTH_GOOD || r == AUTH_EXPIRED) == same);
    if (number) {
        r = auth_url_check(&keys, AUTH_SUBSCRIBE, topics, expires, text_span(&t), NOW, &why);
        assert(r == (NOW < expires_s ? AUTH_GOOD : AUTH_EXPIRED));
        r = auth_url_check(&keys, AUTH_PUBLISH, topics, expires, text_span(&t), NOW, &why);
        assert(r == AUTH_SIGNATURE);
    }
    free(p);
    free(q);
}

/* ---- scopes ---- */

static bool any_matches(struct span list, struct span name)
{
    while (list.n > 0)
        if (topic_match(span_cut(&list, ','), name))
            return true;
    return false;
}

static void narrow(struct span s)
{
    struct span scope = span_cut(&s, '\n'), names = span_cut(&s, '\n'), name = s, refused;
    static char out[1u << 16];
    struct text t = text_in(out, sizeof(out));
    for (struct span rest = scope; rest.n > 0;)
        if (topic_pattern_wrong(span_cut(&rest, ',')) != NULL)
            return; /* scopes have been found right */
    bool good = auth_narrow(&t, scope, names, &refused);
    if (!good) {
        assert(t.n == 0 && (t.full || refused.n > 0 || names.n == 0));
        assert(t.full || topic_pattern_wrong(refused) != NULL || !any_matches(scope, refused));
        return;
    }
    struct span result = text_span(&t);
    is_scope(result);
    is_scope(names);
    for (struct span rest = result; rest.n > 0;)
        assert(auth_covers(scope, span_cut(&rest, ',')));
    if (topic_name_wrong(name) == NULL)
        assert(any_matches(result, name) == (any_matches(scope, name) && any_matches(names, name)));
    /* A part of the names is covered, or it was made less. */
    for (struct span rest = names; rest.n > 0;) {
        struct span part = span_cut(&rest, ',');
        if (auth_covers(scope, part))
            assert(auth_covers(result, part));
    }
    static char again[1u << 16];
    struct text u = text_in(again, sizeof(again));
    assert(auth_narrow(&u, scope, result, &refused) && span_eq(text_span(&u), result));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span s = {(const char *)data, size};
    if (size == 0)
        return 0;
    kit_keys(&keys, SPAN("k1"), SPAN(KIT_KEY));
    s = span_from(s, 1);
    switch (data[0]) {
    case 't':
        check(s);
        break;
    case 's':
        signed_token(s);
        break;
    case 'k':
        key_file(s);
        break;
    case 'u':
        url(s);
        break;
    case 'n':
        narrow(s);
        break;
    default:
        break;
    }
    return 0;
}
