/*
 * auth.c - keys, tokens and signed URLs.
 *
 * A token is read in the order of trust: its form, its header, its signature, then its claims.
 * Before the signature only the key's name is used.
 */
#include "lib/auth/auth.h"

#include <assert.h>

#include "lib/clean.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/name.h"

#define GIVEN_MAX 60u /* bytes of foreign text that are quoted */

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

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Cuts the text before the first blank off the front of the line, and the blanks. */
static struct span cut_word(struct span *line)
{
    struct span word = {line->p, 0};
    while (word.n < line->n && !is_blank(line->p[word.n]))
        word.n++;
    *line = span_trim(span_from(*line, word.n));
    return word;
}

static bool has_control(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7F)
            return true;
    return false;
}

/* Returns what is wrong with the name of a key, in words that may be shown to others; NULL if
 * nothing is. */
static const char *kid_wrong(struct span kid)
{
    if (kid.n > AUTH_KID_MAX)
        return "the name in front of the key has more than 64 bytes";
    for (size_t i = 0; i < kid.n; i++)
        if (!clean_visible(kid.p[i]) || kid.p[i] == '"' || kid.p[i] == '\\')
            return "the name in front of the key has a byte that is not plain ASCII";
    return NULL;
}

/* Adds the key of a line. Returns what is wrong with it; NULL if nothing is. */
static const char *add_key(struct auth_keys *k, struct span line)
{
    struct span kid = {NULL, 0}, key = cut_word(&line);
    if (line.n > 0) {
        kid = key;
        key = cut_word(&line);
    }
    if (line.n > 0)
        return "there are more than two words: it is to be a key, or a name and a key";
    if (key.n < AUTH_KEY_MIN)
        return "the key has fewer than 32 bytes";
    if (key.n > AUTH_KEY_MAX)
        return "the key has more than 512 bytes";
    if (k->n == AUTH_KEYS_MAX)
        return "there are more than 16 keys";
    const char *wrong = kid_wrong(kid);
    if (wrong != NULL)
        return wrong;
    struct auth_key *to = &k->key[k->n++];
    *to = (struct auth_key){.n = (uint16_t)key.n, .kid_n = (uint8_t)kid.n};
    memcpy(to->bytes, key.p, key.n);
    if (kid.n > 0)
        memcpy(to->kid, kid.p, kid.n);
    return NULL;
}

/* Adds the key of a line, if it is not blank or a comment. Returns as add_key() does. */
static const char *add_line(struct auth_keys *k, struct span line)
{
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (has_control(line))
        return "there is a control byte";
    if (span_begins(line, SPAN("\xEF\xBB\xBF")))
        return "there is a byte order mark";
    line = span_trim(line);
    return line.n == 0 || line.p[0] == '#' ? NULL : add_key(k, line);
}

bool auth_keys_read(struct auth_keys *k, struct span file, struct text *why)
{
    const char *wrong = NULL;
    uint64_t line = 0;
    auth_keys_wipe(k);
    while (file.n > 0 && wrong == NULL) {
        line++;
        wrong = add_line(k, span_cut(&file, '\n'));
    }
    if (wrong != NULL) {
        text_str(why, "line ");
        text_u64(why, line);
        text_str(why, ": ");
        text_str(why, wrong);
    } else if (k->n == 0) {
        text_str(why, "there is no key");
    }
    if (wrong != NULL || k->n == 0)
        auth_keys_wipe(k);
    return k->n > 0;
}

void auth_keys_wipe(struct auth_keys *k)
{
    hash_wipe(k, sizeof(*k));
}

static struct span kid_of(const struct auth_key *key)
{
    return (struct span){key->kid, key->kid_n};
}

static void sign(uint8_t mac[HASH_SHA256_SIZE], const struct auth_key *key,
                 const struct span part[], size_t parts)
{
    hash_hmac(mac, (struct span){key->bytes, key->n}, part, parts);
}

/* ---- objects ---- */

struct member {
    struct span name; /* decoded */
    struct json_value v;
};

struct object {
    const char *what; /* "header", "claims" */
    unsigned n;
    struct member m[AUTH_MEMBERS_MAX];
};

static bool has_repeats(const struct object *o)
{
    for (unsigned i = 1; i < o->n; i++)
        for (unsigned j = 0; j < i; j++)
            if (span_eq(o->m[i].name, o->m[j].name))
                return true;
    return false;
}

/* Reads the members of the object in json[0..n); decodes their names in place. Returns what is
 * wrong with it; NULL if nothing is. */
static const char *object_read(struct object *o, char *json, size_t n)
{
    struct json_value v, value;
    struct span name;
    size_t at, pos = 0;
    o->n = 0;
    if (json_read((struct span){json, n}, &v, &at) != 0)
        return "not JSON";
    if (v.kind != JSON_OBJECT)
        return "not a JSON object";
    while (json_next(&v, &pos, &name, &value)) {
        if (o->n == AUTH_MEMBERS_MAX)
            return "an object of more than 64 members";
        o->m[o->n++] = (struct member){name, value};
    }
    for (unsigned i = 0; i < o->n; i++) {
        char *to = json + (o->m[i].name.p - json);
        o->m[i].name = (struct span){to, json_unescape(o->m[i].name, to)};
    }
    return has_repeats(o) ? "an object that has a member twice" : NULL;
}

/* Decodes base64url to `to` and reads the object in it. Returns the bytes decoded, or -1 with
 * *why. */
static ptrdiff_t object_decode(struct object *o, char *to, struct span s, struct text *why)
{
    ptrdiff_t n = base64url_read(to, s);
    const char *wrong = n == -1 ? "not base64url" : object_read(o, to, (size_t)n);
    if (wrong == NULL)
        return n;
    text_str(why, "the ");
    text_str(why, o->what);
    text_str(why, " of the token: ");
    text_str(why, wrong);
    return -1;
}

static const struct json_value *object_get(const struct object *o, struct span name)
{
    for (unsigned i = 0; i < o->n; i++)
        if (span_eq(o->m[i].name, name))
            return &o->m[i].v;
    return NULL;
}

/* Returns the text of a string in the buffer `json`, decoded in place. */
static struct span string_in(char *json, struct span raw)
{
    char *to = json + (raw.p - json);
    return (struct span){to, json_unescape(raw, to)};
}

/* ---- the header ---- */

struct token {
    struct span signing;   /* the signed text: all before the last dot */
    struct span payload;   /* as it came */
    struct span signature; /* likewise */
    struct span kid;       /* in room */
    char *room;            /* the free part of the room */
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
        text_str(why, alg == NULL ? "the token names no algorithm: only HS256 is taken"
                                  : "the algorithm of the token is no string: only HS256 is taken");
        return AUTH_ALGORITHM;
    }
    struct span name = string_in(x->room, alg->raw);
    if (!span_eq(name, SPAN("HS256"))) {
        text_str(why, "the token is made with the algorithm '");
        say_given(why, name);
        text_str(why, "': only HS256 is taken");
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
        x->kid = string_in(x->room, kid->raw);
    return AUTH_GOOD;
}

/* Reads the token up to its claims. */
static enum auth_result token_open(struct token *x, struct span token, char *room, struct text *why)
{
    struct object o = {.what = "header", .n = 0};
    struct span header;
    *x = (struct token){.room = room};
    if (!token_cut(x, token, &header, why))
        return AUTH_MALFORMED;
    ptrdiff_t n = object_decode(&o, room, header, why);
    if (n == -1)
        return AUTH_MALFORMED;
    enum auth_result r = header_check(x, &o, why);
    x->room += n; /* the claims are decoded after it: both are smaller than the token */
    return r;
}

/* ---- the signature ---- */

/* Returns the key that signed the token, or NULL. *named says whether a key may have. */
static const struct auth_key *token_signer(const struct token *x, const struct auth_keys *k,
                                           bool *named)
{
    char mac[AUTH_URL_SIGN];
    uint8_t want[HASH_SHA256_SIZE];
    const struct auth_key *signer = NULL;
    bool whole =
        x->signature.n == AUTH_URL_SIGN && base64url_read(mac, x->signature) == sizeof(want);
    *named = false;
    for (unsigned i = 0; i < k->n && signer == NULL; i++) {
        const struct auth_key *key = &k->key[i];
        if (x->kid.n > 0 && key->kid_n > 0 && !span_eq(x->kid, kid_of(key)))
            continue;
        *named = true;
        sign(want, key, &x->signing, 1);
        if (whole && hash_equal(mac, want, sizeof(want)))
            signer = key;
    }
    hash_wipe(want, sizeof(want));
    return signer;
}

static enum auth_result token_verify(const struct token *x, const struct auth_keys *k,
                                     struct text *why)
{
    bool named;
    if (token_signer(x, k, &named) != NULL)
        return AUTH_GOOD;
    if (named || k->n == 0) {
        text_str(why, "the signature of the token is not of a key that this server has");
    } else {
        text_str(why, "the token names the key '");
        say_given(why, x->kid);
        text_str(why, "', which this server does not have");
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

/* Returns what is wrong with an element of a list of topics; NULL if nothing is, and *part is its
 * text, decoded in place. */
static const char *topic_wrong(char *json, const struct json_value *v, struct span *part)
{
    *part = (struct span){NULL, 0};
    if (v->kind != JSON_STRING)
        return "is no string";
    *part = string_in(json, v->raw);
    return topic_pattern_wrong(*part);
}

/* Reads a list of topics into a scope, which is shorter and takes the list's place. */
static bool claims_scope(char *json, const struct object *o, struct span name, struct span *scope,
                         struct text *why)
{
    const struct json_value *v = object_get(o, name);
    struct json_value item;
    struct span none, part = {NULL, 0};
    size_t pos = 0, n = 0, count = 0;
    const char *wrong = NULL;
    *scope = (struct span){NULL, 0};
    if (v == NULL)
        return true;
    char *to = json + (v->raw.p - json);
    if (v->kind != JSON_ARRAY)
        wrong = "is no list of topics";
    while (wrong == NULL && json_next(v, &pos, &none, &item)) {
        count++;
        wrong = topic_wrong(json, &item, &part);
        if (wrong != NULL)
            break;
        if (n > 0)
            to[n++] = ',';
        memmove(to + n, part.p, part.n);
        n += part.n;
    }
    if (wrong == NULL) {
        *scope = (struct span){to, n};
        return true;
    }
    text_str(why, "the claim ");
    text_add(why, name);
    text_str(why, " of the token");
    if (count > 0) {
        text_str(why, ", in its topic number ");
        text_u64(why, count);
    }
    if (part.p != NULL) {
        text_str(why, ", '");
        say_given(why, part);
        text_str(why, "',");
    }
    text_str(why, " ");
    say_given(why, span_of(wrong));
    return false;
}

static enum auth_result claims_read(const struct token *x, struct auth_said *said, struct text *why)
{
    struct object o = {.what = "claims", .n = 0};
    *said = (struct auth_said){.kid = x->kid};
    if (object_decode(&o, x->room, x->payload, why) == -1)
        return AUTH_CLAIMS;
    if (object_get(&o, SPAN("aud")) != NULL) {
        text_str(why, "the token is for somebody else (aud): this server has no name of its own");
        return AUTH_CLAIMS;
    }
    if (!claims_date(&o, SPAN("exp"), &said->ends, &said->exp_s, why) ||
        !claims_date(&o, SPAN("nbf"), &said->begins, &said->nbf_s, why) ||
        !claims_scope(x->room, &o, SPAN("publish"), &said->publish, why) ||
        !claims_scope(x->room, &o, SPAN("subscribe"), &said->subscribe, why))
        return AUTH_CLAIMS;
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

enum auth_result auth_read(struct span token, char *room, struct auth_said *said, struct text *why)
{
    struct token x;
    *said = (struct auth_said){.ends = false};
    enum auth_result r = token_open(&x, token, room, why);
    return r == AUTH_GOOD ? claims_read(&x, said, why) : r;
}

const struct auth_key *auth_signer(const struct auth_keys *k, struct span token, char *room)
{
    struct token x;
    char words[1];
    bool named;
    struct text why = text_in(words, 0); /* not asked for */
    return token_open(&x, token, room, &why) == AUTH_GOOD ? token_signer(&x, k, &named) : NULL;
}

enum auth_result auth_check(const struct auth_keys *k, struct span token, uint64_t now_s,
                            char *room, struct auth_claims *claims, struct text *why)
{
    struct token x;
    struct auth_said said;
    *claims = (struct auth_claims){.expires_s = 0};
    enum auth_result r = token_open(&x, token, room, why);
    if (r == AUTH_GOOD)
        r = token_verify(&x, k, why);
    if (r == AUTH_GOOD)
        r = claims_read(&x, &said, why);
    if (r == AUTH_GOOD)
        r = auth_said_check_times(&said, now_s, why);
    if (r == AUTH_GOOD)
        *claims = (struct auth_claims){said.publish, said.subscribe, until(&said)};
    return r;
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

/* Appends a claim with a list, unless the list is empty. */
static void add_scope(struct text *t, const char *name, struct span scope)
{
    if (scope.n == 0)
        return;
    if (t->n > 1)
        text_str(t, ",");
    text_str(t, name);
    for (const char *between = "["; scope.p != NULL; between = ",") {
        text_str(t, between);
        json_string(t, span_cut(&scope, ','));
    }
    text_str(t, "]");
}

static void add_header(struct text *t, const struct auth_key *key)
{
    text_str(t, "{\"alg\":\"HS256\"");
    if (key->kid_n > 0) {
        text_str(t, ",\"kid\":");
        json_string(t, kid_of(key));
    }
    text_str(t, "}");
}

static void add_claims(struct text *t, const struct auth_claims *claims)
{
    text_str(t, "{");
    if (claims->expires_s > 0) {
        text_str(t, "\"exp\":");
        text_u64(t, claims->expires_s);
    }
    add_scope(t, "\"publish\":", claims->publish);
    add_scope(t, "\"subscribe\":", claims->subscribe);
    text_str(t, "}");
}

void auth_mint(struct text *t, const struct auth_key *key, const struct auth_claims *claims)
{
    char json[AUTH_TOKEN_MAX], whole[AUTH_TOKEN_MAX];
    uint8_t mac[HASH_SHA256_SIZE];
    struct text j = text_in(json, sizeof(json)), token = text_in(whole, sizeof(whole));
    add_header(&j, key);
    add_base64url(&token, text_span(&j));
    text_str(&token, ".");
    j.n = 0;
    add_claims(&j, claims);
    add_base64url(&token, text_span(&j));
    const struct span signing = text_span(&token);
    sign(mac, key, &signing, 1);
    text_str(&token, ".");
    add_base64url(&token, (struct span){(const char *)mac, sizeof(mac)});
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
