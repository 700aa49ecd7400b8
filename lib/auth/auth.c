/*
 * auth.c - tokens and signed URLs.
 *
 * A token is read in the order of trust: its form, its header, its signature, then its claims.
 * Before the signature only the key's name is used.
 */
#include "lib/auth/auth.h"

#include <assert.h>

#include "lib/auth/ed25519.h"
#include "lib/auth/object.h"
#include "lib/clean.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/name.h"

#define TAKEN     "only HS256, RS256, ES256 and EdDSA are taken"
#define GIVEN_MAX 60u /* bytes of what came that are quoted */

/* ---- words ---- */

/* Appends foreign text, made fit for a client. */
static void say_given(struct text *why, struct span s)
{
    for (size_t i = 0; i < s.n && i < GIVEN_MAX; i++) {
        char c = s.p[i];
        c = (char)(c == '"' ? '\'' : c == '\\' ? '/' : clean_ascii(c));
        text_add(why, (struct span){&c, 1});
    }
    if (s.n > GIVEN_MAX)
        text_str(why, "...");
}

static void say_time(struct text *why, uint64_t s)
{
    text_rfc3339(why, (s < AUTH_TIME_MAX ? s : AUTH_TIME_MAX) * 1000);
}

/* ---- keys ---- */

static struct span kid_of(const struct auth_key *key)
{
    return (struct span){key->kid, key->kid_n};
}

static void sign(uint8_t mac[HASH_SHA256_SIZE], const struct auth_key *key,
                 const struct span part[], size_t parts)
{
    assert(key->algorithm == KEY_HS256);
    hash_hmac(mac, (struct span){key->bytes, key->n}, part, parts);
}

/* ---- objects ---- */

/* Decodes base64url to `to` and reads the object that it is, the `what` of the token. Returns the
 * bytes decoded, or -1. */
static ptrdiff_t part_read(struct object *o, const char *what, char *to, struct span s,
                           struct text *why)
{
    ptrdiff_t n = base64url_read(to, s);
    const char *wrong = n == -1 ? "not base64url" : object_read(o, to, (size_t)n);
    if (wrong == NULL)
        return n;
    text_str(why, "the ");
    text_str(why, what);
    text_str(why, " of the token: ");
    text_str(why, wrong);
    return -1;
}

/* ---- the header ---- */

struct token {
    struct span signing;   /* the signed text: all before the last dot */
    struct span payload;   /* as it came */
    struct span signature; /* likewise */
    struct span kid;       /* in room */
    char *room;            /* what is left of it */
    enum key_algorithm algorithm;
};

/* Cuts the token into its three parts; *header is the first one. Returns false with *why if it has
 * not three. */
static bool token_cut(struct token *x, struct span token, struct span *header, struct text *why)
{
    unsigned dots = 0;
    if (token.n == 0 || token.n > AUTH_TOKEN_MAX) {
        text_str(why, token.n == 0 ? "the token is empty" : "the token has more than 8192 bytes");
        return false;
    }
    for (size_t i = 0; i < token.n; i++)
        dots += token.p[i] == '.';
    if (dots != 2) {
        text_str(why, "a signed token has three parts with a dot between, and this one ");
        text_u64(why, dots + 1);
        return false;
    }
    struct span rest = token;
    *header = span_cut(&rest, '.');
    x->payload = span_cut(&rest, '.');
    x->signature = rest;
    x->signing = (struct span){token.p, token.n - rest.n - 1};
    return true;
}

static enum auth_result header_check(struct token *x, const struct object *o, struct text *why)
{
    const struct json_value *alg = object_get(o, SPAN("alg")), *kid = object_get(o, SPAN("kid"));
    if (alg == NULL || alg->kind != JSON_STRING) {
        text_str(why, alg == NULL ? "the token names no algorithm: " TAKEN
                                  : "the algorithm of the token is no string: " TAKEN);
        return AUTH_ALGORITHM;
    }
    struct span name = alg->raw;
    x->algorithm = key_algorithm(name);
    if (x->algorithm == KEY_NONE) {
        text_str(why, "the token is made with the algorithm '");
        say_given(why, name);
        text_str(why, "': " TAKEN);
        return AUTH_ALGORITHM;
    }
    if (object_get(o, SPAN("crit")) != NULL) {
        text_str(why, "the token asks for what is not known here (crit)");
        return AUTH_CLAIMS;
    }
    if (kid != NULL && kid->kind != JSON_STRING) {
        text_str(why, "the name of the key (kid) in the token is no string");
        return AUTH_MALFORMED;
    }
    if (kid != NULL)
        x->kid = kid->raw;
    return AUTH_GOOD;
}

/* Reads the token up to its claims. */
static enum auth_result token_open(struct token *x, struct span token, char *room, struct text *why)
{
    struct object o;
    struct span header;
    *x = (struct token){.room = room};
    if (!token_cut(x, token, &header, why))
        return AUTH_MALFORMED;
    ptrdiff_t n = part_read(&o, "header", room, header, why);
    if (n == -1)
        return AUTH_MALFORMED;
    enum auth_result r = header_check(x, &o, why);
    x->room += n; /* the claims are decoded after it: both are smaller than the token */
    return r;
}

/* ---- the signature ---- */

/* Which keys may have signed a token. */
struct found {
    bool named;  /* one of its name, or without a name */
    bool suited; /* and of its algorithm */
};

/* Returns the key that has signed it, or NULL. A key is tried if its algorithm is the token's. */
static const struct auth_key *token_signer(const struct token *x, const struct auth_keys *k,
                                           struct found *found)
{
    char bytes[KEY_BYTES_MAX + 3];
    struct span signature = {bytes, 0};
    ptrdiff_t n = -1;
    *found = (struct found){.named = false};
    if (x->signature.n <= base64url_size(KEY_BYTES_MAX))
        n = base64url_read(bytes, x->signature);
    signature.n = n > 0 ? (size_t)n : 0;
    for (unsigned i = 0; i < k->n; i++) {
        const struct auth_key *key = &k->key[i];
        if (x->kid.n > 0 && key->kid_n > 0 && !span_eq(x->kid, kid_of(key)))
            continue;
        found->named = true;
        if (key->algorithm != x->algorithm)
            continue;
        found->suited = true;
        if (key_verify(key, x->signing, signature))
            return key;
    }
    return NULL;
}

static enum auth_result token_verify(const struct token *x, const struct auth_keys *k,
                                     struct text *why)
{
    struct found found;
    if (token_signer(x, k, &found) != NULL)
        return AUTH_GOOD;
    if (!found.named && k->n > 0) {
        text_str(why, "the token names the key '");
        say_given(why, x->kid);
        text_str(why, "', which this server does not have");
    } else if (!found.suited && k->n > 0) {
        text_str(why, "the token is made with the algorithm ");
        text_str(why, key_algorithm_name(x->algorithm));
        text_str(why, x->kid.n > 0 ? ", and the key of its name is for another"
                                   : ", and no key of this server is for that");
    } else {
        text_str(why, "the signature of the token is not of a key that this server has");
    }
    return AUTH_SIGNATURE;
}

/* ---- the claims ---- */

/* A JSON number whose point is moved by its exponent. */
struct number {
    struct span digits; /* and a point among them */
    bool negative;
    int64_t
        before; /* digits before the moved point; may be below 0, or above the number of digits */
};

static struct number number_read(struct span s)
{
    const int64_t far = 1000000; /* more digits than a token has */
    struct number x = {s, s.n > 0 && s.p[0] == '-', 0};
    x.digits = span_from(s, x.negative);
    size_t n = 0;
    bool point = false;
    for (; n < x.digits.n && (x.digits.p[n] | 0x20) != 'e'; n++) {
        point |= x.digits.p[n] == '.';
        x.before += !point;
    }
    struct span exponent = n < x.digits.n ? span_from(x.digits, n + 1) : SPAN("0");
    x.digits.n = n;
    bool less = exponent.p[0] == '-';
    if (less || exponent.p[0] == '+')
        exponent = span_from(exponent, 1);
    int64_t v = 0;
    for (size_t i = 0; i < exponent.n; i++)
        v = v < far ? v * 10 + (exponent.p[i] - '0') : far;
    x.before += less ? -v : v;
    return x;
}

/* Reads a time (RFC 7519 section 2, NumericDate) in whole seconds, rounded up. A time before 1970
 * is 0, one after 9999 is AUTH_TIME_MAX + 1. */
static uint64_t date_read(struct span raw)
{
    struct number x = number_read(raw);
    uint64_t v = 0;
    bool fraction = false;
    int64_t i = 0;
    for (size_t at = 0; at < x.digits.n; at++) {
        if (x.digits.p[at] == '.')
            continue;
        unsigned digit = (unsigned)(x.digits.p[at] - '0');
        if (i++ >= x.before)
            fraction |= digit != 0;
        else if (v <= AUTH_TIME_MAX)
            v = v * 10 + digit;
    }
    for (; i < x.before && v > 0 && v <= AUTH_TIME_MAX; i++)
        v *= 10;
    v += fraction;
    return x.negative ? 0 : v <= AUTH_TIME_MAX ? v : AUTH_TIME_MAX + 1;
}

static bool claims_date(const struct object *o, struct span name, bool *there, uint64_t *out,
                        struct text *why)
{
    const struct json_value *v = object_get(o, name);
    *there = v != NULL;
    if (v != NULL && v->kind != JSON_NUMBER) {
        text_str(why, "the claim ");
        text_add(why, name);
        text_str(why, " of the token is not a number");
        return false;
    }
    *out = v != NULL ? date_read(v->raw) : 0;
    if (*out <= AUTH_TIME_MAX)
        return true;
    text_str(why, "the claim ");
    text_add(why, name);
    text_str(why, " of the token is beyond the year 9999: it counts seconds, not milliseconds");
    return false;
}

/* Appends what is wrong with a claim. */
static bool claim_wrong(struct text *why, struct span name, const char *wrong)
{
    text_str(why, "the claim ");
    say_given(why, name);
    text_str(why, " of the token");
    text_str(why, wrong);
    return false;
}

/* Appends what is wrong with one of a claim's topics; an empty one may be no string. */
static bool topic_wrong(struct text *why, struct span name, uint64_t number, struct span topic,
                        const char *wrong)
{
    claim_wrong(why, name, ", in its topic number ");
    text_u64(why, number);
    if (topic.p != NULL) {
        text_str(why, ", '");
        say_given(why, topic);
        text_str(why, "',");
    }
    text_str(why, " ");
    say_given(why, span_of(wrong));
    return false;
}

/* Reads a list of topics into a scope that takes its place: it is shorter. */
static bool claims_list(char *json, const struct json_value *v, struct span name, bool mercure,
                        struct span *scope, struct text *why)
{
    struct json_value item;
    struct span none;
    size_t pos = 0, n = 0;
    if (v == NULL)
        return true;
    if (v->kind != JSON_ARRAY)
        return claim_wrong(why, name, " is no list of topics");
    char *to = json + (v->raw.p - json);
    for (uint64_t count = 1; json_next(v, &pos, &none, &item); count++) {
        if (item.kind != JSON_STRING)
            return topic_wrong(why, name, count, (struct span){NULL, 0}, "is no string");
        struct span topic = object_decode(json, item.raw);
        if (mercure && span_eq(topic, SPAN("*")))
            topic = SPAN("**");
        const char *wrong = topic_pattern_wrong(topic);
        if (wrong != NULL)
            return topic_wrong(why, name, count, topic, wrong);
        if (n > 0)
            to[n++] = ',';
        memmove(to + n, topic.p, topic.n);
        n += topic.n;
    }
    *scope = (struct span){to, n};
    return true;
}

/* Reads the words of `scope` that begin with `what` into a scope at `to`; false: one is wrong. */
static bool scope_words(struct span words, struct span what, char *to, struct span *scope,
                        struct text *why)
{
    size_t n = 0;
    for (uint64_t count = 1; words.n > 0; count++) {
        struct span word = span_cut(&words, ' ');
        if (!span_begins(word, what))
            continue;
        word = span_from(word, what.n);
        const char *wrong = topic_pattern_wrong(word);
        if (wrong != NULL)
            return topic_wrong(why, SPAN("scope"), count, word, wrong);
        if (n > 0)
            to[n++] = ',';
        memcpy(to + n, word.p, word.n);
        n += word.n;
    }
    *scope = (struct span){to, n};
    return true;
}

/* The string `scope`, in whose place both scopes come: they are shorter. */
static bool claims_words(char *json, const struct object *o, struct auth_said *said,
                         struct text *why)
{
    char copy[AUTH_TOKEN_MAX];
    const struct json_value *v = object_get(o, SPAN("scope"));
    if (v == NULL)
        return true;
    if (v->kind != JSON_STRING)
        return claim_wrong(why, SPAN("scope"), " is no string");
    said->rights = "scope";
    struct span words = v->raw;
    char *to = json + (words.p - json);
    assert(words.n <= sizeof(copy));
    memcpy(copy, words.p, words.n);
    words.p = copy;
    return scope_words(words, SPAN("publish:"), to, &said->publish, why) &&
           scope_words(words, SPAN("subscribe:"), to + said->publish.n, &said->subscribe, why) &&
           scope_words(words, SPAN("purge:"), to + said->publish.n + said->subscribe.n,
                       &said->purge, why);
}

/* The object that `publish` and `subscribe` are in: the claims themselves or one of them. */
static bool claims_object(const struct token *x, const struct object *claims,
                          const struct auth_rules *rules, struct object *in, struct text *why)
{
    struct span name = span_of(rules->claims);
    const struct json_value *v = object_get(claims, name);
    if (v == NULL)
        return true;
    if (v->kind != JSON_OBJECT)
        return claim_wrong(why, name, " is no object");
    const char *wrong = object_read(in, x->room + (v->raw.p - x->room), v->raw.n);
    if (wrong == NULL)
        return true;
    claim_wrong(why, name, " is ");
    text_str(why, wrong);
    return false;
}

/* What the token allows. */
static bool claims_scope(const struct token *x, const struct object *claims,
                         const struct auth_rules *rules, struct auth_said *said, struct text *why)
{
    struct object inner = {.n = 0};
    const struct object *in = rules->claims != NULL ? &inner : claims;
    bool mercure = in == &inner && span_eq(span_of(rules->claims), SPAN("mercure"));
    if (in == &inner && !claims_object(x, claims, rules, &inner, why))
        return false;
    const struct json_value *publish = object_get(in, SPAN("publish")),
                            *subscribe = object_get(in, SPAN("subscribe")),
                            *purge = object_get(in, SPAN("purge")),
                            *admin = object_get(in, SPAN("admin"));
    said->admin = admin != NULL && admin->kind == JSON_TRUE;
    said->rights = rules->claims;
    if (publish == NULL && subscribe == NULL && purge == NULL)
        return claims_words(x->room, claims, said, why);
    return claims_list(x->room, publish, SPAN("publish"), mercure, &said->publish, why) &&
           claims_list(x->room, subscribe, SPAN("subscribe"), mercure, &said->subscribe, why) &&
           claims_list(x->room, purge, SPAN("purge"), mercure, &said->purge, why);
}

/* A claim that is a string; a number counts as its text. Anything else is none. */
static struct span claims_text(const struct object *o, struct span name)
{
    const struct json_value *v = object_get(o, name);
    bool is = v != NULL && (v->kind == JSON_STRING || v->kind == JSON_NUMBER);
    return is ? v->raw : (struct span){NULL, 0};
}

/* What it may be revoked by. Where `iat` is no time, it counts as issued before any. */
static void claims_bearer(const struct object *o, struct auth_said *said)
{
    const struct json_value *iat = object_get(o, SPAN("iat"));
    uint64_t at = iat != NULL && iat->kind == JSON_NUMBER ? date_read(iat->raw) : 0;
    said->issued = at > 0 && at <= AUTH_TIME_MAX;
    said->iat_s = said->issued ? at : 0;
    said->jti = claims_text(o, SPAN("jti"));
    said->sub = claims_text(o, SPAN("sub"));
}

static bool is_one_of(struct span s, const struct span *of, uint32_t n)
{
    bool found = false;
    for (uint32_t i = 0; i < n && s.p != NULL && !found; i++)
        found = span_eq(s, of[i]);
    return found;
}

/* `aud` is a string or a list of strings (RFC 7519 section 4.1.3). */
static bool claims_audience(char *json, const struct object *o, const struct auth_rules *rules,
                            struct text *why)
{
    const struct json_value *v = object_get(o, SPAN("aud"));
    struct json_value item;
    struct span none;
    size_t pos = 0;
    if (rules->any_audience || (v == NULL && rules->audiences == 0))
        return true;
    if (rules->audiences == 0) {
        text_str(why, "the token is for somebody else (aud): this server has no name of its own");
        return false;
    }
    if (v == NULL) {
        text_str(why, "the token names no audience (aud), and this server takes only its own");
        return false;
    }
    bool found = is_one_of(object_text(o, SPAN("aud")), rules->audience, rules->audiences);
    while (v->kind == JSON_ARRAY && !found && json_next(v, &pos, &none, &item))
        found = item.kind == JSON_STRING &&
                is_one_of(object_decode(json, item.raw), rules->audience, rules->audiences);
    if (!found)
        text_str(why, "the token is for somebody else (aud)");
    return found;
}

static bool claims_issuer(const struct object *o, const struct auth_rules *rules, struct text *why)
{
    const struct json_value *v = object_get(o, SPAN("iss"));
    if (rules->issuers == 0 ||
        is_one_of(object_text(o, SPAN("iss")), rules->issuer, rules->issuers))
        return true;
    text_str(why, v == NULL ? "the token names no issuer (iss), and this server wants one"
                            : "the token is of an issuer (iss) that this server does not take");
    return false;
}

static enum auth_result claims_read(const struct token *x, const struct auth_rules *rules,
                                    struct auth_said *said, struct text *why)
{
    static const struct auth_rules no_rules = {.claims = NULL};
    struct object o;
    rules = rules != NULL ? rules : &no_rules;
    *said = (struct auth_said){.kid = x->kid, .algorithm = x->algorithm};
    if (part_read(&o, "claims", x->room, x->payload, why) == -1 ||
        !claims_audience(x->room, &o, rules, why) || !claims_issuer(&o, rules, why) ||
        !claims_date(&o, SPAN("exp"), &said->ends, &said->exp_s, why) ||
        !claims_date(&o, SPAN("nbf"), &said->begins, &said->nbf_s, why) ||
        !claims_scope(x, &o, rules, said, why)) {
        said->publish = said->subscribe = said->purge = (struct span){NULL, 0};
        return AUTH_CLAIMS;
    }
    claims_bearer(&o, said);
    return AUTH_GOOD;
}

/* ---- the time ---- */

/* Returns the time at which the token expires, including the leeway. */
static uint64_t until(const struct auth_said *said)
{
    if (!said->ends)
        return 0;
    return said->exp_s < AUTH_TIME_MAX - AUTH_LEEWAY_S ? said->exp_s + AUTH_LEEWAY_S
                                                       : AUTH_TIME_MAX;
}

enum auth_result auth_said_check_times(const struct auth_said *said, uint64_t now_s,
                                       struct text *why)
{
    if (said->ends && now_s >= until(said)) {
        text_str(why, "the token has expired: it was valid until ");
        say_time(why, said->exp_s);
        return AUTH_EXPIRED;
    }
    if (said->nbf_s > now_s && said->nbf_s - now_s > AUTH_LEEWAY_S) {
        text_str(why, "the token is not valid yet: it will be from ");
        say_time(why, said->nbf_s);
        return AUTH_EARLY;
    }
    return AUTH_GOOD;
}

/* ---- a token ---- */

enum auth_result auth_read(const struct auth_rules *rules, struct span token, char *room,
                           struct auth_said *said, struct text *why)
{
    struct token x;
    *said = (struct auth_said){.ends = false};
    enum auth_result r = token_open(&x, token, room, why);
    return r == AUTH_GOOD ? claims_read(&x, rules, said, why) : r;
}

const struct auth_key *auth_signer(const struct auth_keys *k, struct span token, char *room)
{
    struct token x;
    char words[1];
    struct found found;
    struct text why = text_in(words, 0); /* not asked for */
    return token_open(&x, token, room, &why) == AUTH_GOOD ? token_signer(&x, k, &found) : NULL;
}

bool auth_takes_long(struct span token, char *room)
{
    struct token x;
    char words[1];
    struct text why = text_in(words, 0); /* not asked for */
    return token_open(&x, token, room, &why) == AUTH_GOOD && x.algorithm != KEY_HS256;
}

/* Checks a token; k NULL: its signature is known to be good. */
static enum auth_result check(const struct auth_keys *k, const struct auth_rules *rules,
                              struct span token, uint64_t now_s, char *room,
                              struct auth_claims *claims, struct text *why)
{
    struct token x;
    struct auth_said said;
    *claims = (struct auth_claims){.expires_s = 0};
    enum auth_result r = token_open(&x, token, room, why);
    if (r == AUTH_GOOD && k != NULL)
        r = token_verify(&x, k, why);
    if (r == AUTH_GOOD)
        r = claims_read(&x, rules, &said, why);
    if (r == AUTH_GOOD)
        r = auth_said_check_times(&said, now_s, why);
    if (r == AUTH_GOOD)
        *claims = (struct auth_claims){
            .publish = said.publish,
            .subscribe = said.subscribe,
            .purge = said.purge,
            .expires_s = until(&said),
            .begins_s = said.nbf_s > AUTH_LEEWAY_S ? said.nbf_s - AUTH_LEEWAY_S : 0,
            .algorithm = x.algorithm,
            .jti = said.jti,
            .sub = said.sub,
            .iat_s = said.iat_s,
            .admin = said.admin,
        };
    return r;
}

enum auth_result auth_check(const struct auth_keys *k, const struct auth_rules *rules,
                            struct span token, uint64_t now_s, char *room,
                            struct auth_claims *claims, struct text *why)
{
    assert(k != NULL);
    return check(k, rules, token, now_s, room, claims, why);
}

enum auth_result auth_check_again(const struct auth_rules *rules, struct span token, uint64_t now_s,
                                  char *room, struct auth_claims *claims, struct text *why)
{
    return check(NULL, rules, token, now_s, room, claims, why);
}

/* ---- minting ---- */

static void add_base64url(struct text *t, struct span s)
{
    size_t n = base64url_size(s.n);
    if (t->full || n > t->cap - t->n)
        t->full = true;
    else
        t->n += base64url_write(t->p + t->n, s);
}

/* Appends a claim's name, with a comma in front where it is not the first. */
static void add_name(struct text *t, const char *name)
{
    text_str(t, t->n > 1 ? "," : "");
    text_str(t, name);
}

static void add_number(struct text *t, const char *name, uint64_t v)
{
    if (v == 0)
        return;
    add_name(t, name);
    text_u64(t, v);
}

static void add_string(struct text *t, const char *name, struct span s)
{
    if (s.n == 0)
        return;
    add_name(t, name);
    json_string(t, s);
}

/* Appends a claim that is a list, if there is anything in it. */
static void add_scope(struct text *t, const char *name, struct span scope)
{
    if (scope.n == 0)
        return;
    add_name(t, name);
    for (const char *between = "["; scope.p != NULL; between = ",") {
        text_str(t, between);
        json_string(t, span_cut(&scope, ','));
    }
    text_str(t, "]");
}

static void add_header(struct text *t, const struct auth_key *key)
{
    text_str(t, "{\"alg\":\"");
    text_str(t, key_algorithm_name(key->algorithm));
    text_str(t, "\"");
    if (key->kid_n > 0) {
        text_str(t, ",\"kid\":");
        json_string(t, kid_of(key));
    }
    text_str(t, "}");
}

static void add_claims(struct text *t, const struct auth_claims *claims)
{
    text_str(t, "{");
    add_number(t, "\"exp\":", claims->expires_s);
    add_number(t, "\"iat\":", claims->iat_s);
    add_string(t, "\"jti\":", claims->jti);
    add_string(t, "\"sub\":", claims->sub);
    if (claims->admin)
        add_name(t, "\"admin\":true");
    add_scope(t, "\"publish\":", claims->publish);
    add_scope(t, "\"subscribe\":", claims->subscribe);
    add_scope(t, "\"purge\":", claims->purge);
    text_str(t, "}");
}

void auth_mint(struct text *t, const struct auth_key *key, const struct auth_claims *claims)
{
    char json[AUTH_TOKEN_MAX], whole[AUTH_TOKEN_MAX];
    uint8_t mac[ED25519_SIGN];
    bool secret = key->algorithm == KEY_HS256;
    struct text j = text_in(json, sizeof(json)), token = text_in(whole, sizeof(whole));
    add_header(&j, key);
    add_base64url(&token, text_span(&j));
    text_str(&token, ".");
    j.n = 0;
    add_claims(&j, claims);
    add_base64url(&token, text_span(&j));
    const struct span signing = text_span(&token);
    assert(secret || (key->algorithm == KEY_EDDSA && key->n == ED25519_SECRET));
    if (secret)
        sign(mac, key, &signing, 1);
    else
        ed25519_sign(mac, (const uint8_t *)key->bytes, signing);
    text_str(&token, ".");
    add_base64url(&token,
                  (struct span){(const char *)mac, secret ? HASH_SHA256_SIZE : ED25519_SIGN});
    if (j.full || token.full)
        t->full = true;
    else
        text_add(t, text_span(&token));
}

/* ---- URLs ---- */

/* Writes the signature of a URL as the URL has it. */
static void url_sign(char out[AUTH_URL_SIGN], const struct auth_key *key, enum auth_class class,
                     struct span topics, uint64_t expires_s)
{
    char digits[20];
    uint8_t mac[HASH_SHA256_SIZE];
    struct text expires = text_in(digits, sizeof(digits));
    text_u64(&expires, expires_s);
    const struct span part[] = {class == AUTH_PUBLISH ? SPAN("sse-url-1\npublish\n")
                                                      : SPAN("sse-url-1\nsubscribe\n"),
                                text_span(&expires), SPAN("\n"), topics};
    sign(mac, key, part, sizeof(part) / sizeof(part[0]));
    size_t n = base64url_write(out, (struct span){(const char *)mac, sizeof(mac)});
    assert(n == AUTH_URL_SIGN);
}

void auth_url_sign(struct text *t, const struct auth_key *key, enum auth_class class,
                   struct span topics, uint64_t expires_s)
{
    char out[AUTH_URL_SIGN];
    url_sign(out, key, class, topics, expires_s);
    text_add(t, (struct span){out, sizeof(out)});
}

enum auth_result auth_url_check(const struct auth_keys *k, enum auth_class class,
                                struct span topics, struct span expires, struct span signature,
                                uint64_t now_s, struct text *why)
{
    char want[AUTH_URL_SIGN];
    uint64_t expires_s;
    bool good = false;
    if (!span_u64(expires, &expires_s) || (expires.n > 1 && expires.p[0] == '0') ||
        expires_s > AUTH_TIME_MAX) {
        text_str(why, "the parameter expires of the signed URL is no unix time");
        return AUTH_MALFORMED;
    }
    if (signature.n != AUTH_URL_SIGN) {
        text_str(why, "the parameter signature of the signed URL is not one of 43 characters");
        return AUTH_MALFORMED;
    }
    for (unsigned i = 0; i < k->n && !good; i++) {
        if (k->key[i].algorithm != KEY_HS256)
            continue;
        url_sign(want, &k->key[i], class, topics, expires_s);
        good = hash_equal(want, signature.p, AUTH_URL_SIGN);
    }
    hash_wipe(want, sizeof(want));
    if (!good) {
        text_str(why, "the URL is not signed by a key that this server has, for this method, these "
                      "topics and this time");
        return AUTH_SIGNATURE;
    }
    if (now_s < expires_s)
        return AUTH_GOOD;
    text_str(why, "the signed URL has expired: it was valid until ");
    say_time(why, expires_s);
    return AUTH_EXPIRED;
}
