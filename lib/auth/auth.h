/*
 * auth.h - keys, tokens (RFC 7519, HS256) and signed URLs.
 *
 *   key file                              token
 *   # comment                             b64url({"alg":"HS256"}) . b64url(claims) . b64url(mac)
 *   KEY                                     {"exp":1790000000,"nbf":...,
 *   KID KEY                                  "publish":["orders/eu/ *"],"subscribe":["orders/ **"]}
 *
 * The only algorithm is HS256: a token that names another is refused before its signature is
 * checked. A token that names a key (`kid`) is checked with the keys of that name and with unnamed
 * keys, any other token with all keys, so that keys can be rotated without a break. Times have
 * AUTH_LEEWAY_S of leeway. A token without `exp` does not expire. A token with `aud` is refused, as
 * this server has no name of its own, and so is one with `crit`, whose extensions it does not know
 * (RFC 7519 section 4.1.3, RFC 7515 section 4.1.11).
 *
 * A SCOPE is a list of topic names and wildcards separated by commas, as in a URL (name.h); an
 * empty scope allows nothing.
 *
 * LIMITS: AUTH_KEYS_MAX keys of AUTH_KEY_MIN to AUTH_KEY_MAX bytes; key names of AUTH_KID_MAX;
 * tokens of AUTH_TOKEN_MAX bytes, whose header and claims have AUTH_MEMBERS_MAX members each.
 *
 * OWNERSHIP: struct auth_keys holds the keys themselves, and auth_keys_wipe() overwrites them;
 * nothing else keeps a key. Claims point into the caller's buffer.
 */
#ifndef SSE_LIB_AUTH_AUTH_H
#define SSE_LIB_AUTH_AUTH_H

#include "lib/text.h"

#define AUTH_KEYS_MAX    16u
#define AUTH_KEY_MIN     32u
#define AUTH_KEY_MAX     512u
#define AUTH_KID_MAX     64u
#define AUTH_TOKEN_MAX   8192u
#define AUTH_FILE_MAX    (64u << 10)
#define AUTH_LEEWAY_S    60u
#define AUTH_TIME_MAX    253402300799u /* unix time, the end of 9999: what is later is refused */
#define AUTH_MEMBERS_MAX 64u           /* of a token's header, of its claims */
#define AUTH_URL_SIGN    43u           /* bytes of a URL's signature */

struct auth_key {
    uint16_t n;    /* bytes of the key */
    uint8_t kid_n; /* bytes of its name; 0: it has none */
    char kid[AUTH_KID_MAX];
    char bytes[AUTH_KEY_MAX];
};

struct auth_keys {
    unsigned n; /* number of keys */
    struct auth_key key[AUTH_KEYS_MAX];
};

/* Reads the text of a key file: one key per line, KEY or KID KEY; blank lines and lines that begin
 * with "#" are skipped; CRLF ends a line as well. Returns false with *why saying what is wrong,
 * with the line's number and never its content; then *k holds no key. */
bool auth_keys_read(struct auth_keys *k, struct span file, struct text *why);

/* Overwrites all keys; *k holds none then. */
void auth_keys_wipe(struct auth_keys *k);

enum auth_result {
    AUTH_GOOD = 0,
    AUTH_MALFORMED = 1, /* it is not a token */
    AUTH_ALGORITHM = 2, /* its algorithm is not HS256 */
    AUTH_SIGNATURE = 3, /* none of the keys signed it */
    AUTH_EXPIRED = 4,
    AUTH_EARLY = 5,  /* it is not valid yet */
    AUTH_CLAIMS = 6, /* its claims cannot be read, or are not for this server */
};

struct auth_claims {
    struct span publish, subscribe; /* scopes */
    uint64_t expires_s; /* unix time at which it expires, including the leeway; 0: never */
};

/* Checks a token at unix time now_s. `room` has AUTH_TOKEN_MAX bytes, into which the claims point.
 * On failure *why (of at least 256 bytes) says what is wrong, fit for a client and for a
 * quoted-string: visible ASCII and spaces without `"` and `\`, and no part of a signature or a
 * key. */
enum auth_result auth_check(const struct auth_keys *k, struct span token, uint64_t now_s,
                            char *room, struct auth_claims *claims, struct text *why);

/* The contents of a token, whoever signed it and whenever it is valid, to be shown to a person. */
struct auth_said {
    struct span kid; /* empty: none */
    struct span publish, subscribe;
    bool ends, begins; /* it has `exp`, `nbf` */
    uint64_t exp_s, nbf_s;
};

/* Reads the contents of a token; checks as auth_check() does, but for the signature and the
 * times. */
enum auth_result auth_read(struct span token, char *room, struct auth_said *said, struct text *why);

/* Checks the times of a token. Returns AUTH_GOOD; else AUTH_EXPIRED or AUTH_EARLY, and *why says
 * so. */
enum auth_result auth_said_check_times(const struct auth_said *said, uint64_t now_s,
                                       struct text *why);

/* Returns the key that signed a token, or NULL. `room` as for auth_check(). */
const struct auth_key *auth_signer(const struct auth_keys *k, struct span token, char *room);

/* Returns true if a part of the scope matches the name, or everything that the wildcard matches. */
bool auth_covers(struct span scope, struct span pattern);

/* Appends what a scope allows of a URL's names and wildcards, separated by commas: each name that
 * the scope matches, and for each wildcard its intersections with the scope; without repeats and,
 * below AUTH_NARROW_PARTS parts, without parts that another one covers. It takes as many steps as
 * there are names times parts of the scope, some 25 ns each. Returns false with nothing appended:
 * *refused is the name or wildcard of which the scope allows nothing or which is malformed (all of
 * `names`, where that one is empty); or *refused is empty where there is no room, or where it would
 * take more than AUTH_NARROW_STEPS. */
#define AUTH_NARROW_PARTS 100u
#define AUTH_NARROW_STEPS (1u << 17)
bool auth_narrow(struct text *t, struct span scope, struct span names, struct span *refused);

/* Appends a token signed with the key, whose `exp` is claims->expires_s (0: none). Its scopes must
 * be valid. Its header names the key if the key has a name. Sets t->full if it does not fit or
 * would be longer than AUTH_TOKEN_MAX. */
void auth_mint(struct text *t, const struct auth_key *key, const struct auth_claims *claims);

/* The methods that a signed URL is for. */
enum auth_class {
    AUTH_SUBSCRIBE = 0, /* GET, HEAD */
    AUTH_PUBLISH = 1,   /* POST, PUT */
};

/* Appends the signature of a URL: base64url of HMAC-SHA-256 over "sse-url-1", the class, the expiry
 * and the topics (the decoded path without its first "/"), each but the last followed by a
 * newline. */
void auth_url_sign(struct text *t, const struct auth_key *key, enum auth_class class,
                   struct span topics, uint64_t expires_s);

/* Checks the signature of a URL with all keys, at unix time now_s and without leeway. `expires` is
 * a unix time in decimal, at most AUTH_TIME_MAX, without leading zeros. *why as for
 * auth_check(). */
enum auth_result auth_url_check(const struct auth_keys *k, enum auth_class class,
                                struct span topics, struct span expires, struct span signature,
                                uint64_t now_s, struct text *why);

#endif
