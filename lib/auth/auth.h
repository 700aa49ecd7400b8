/*
 * auth.h - who may do what: keys, tokens (RFC 7519, HS256), signed URLs.
 *
 *   key file                              token
 *   # comment                             b64url({"alg":"HS256"}) . b64url(claims) . b64url(mac)
 *   KEY                                     {"exp":1790000000,"nbf":...,
 *   KID KEY                                  "publish":["orders/eu/ *"],"subscribe":["orders/ **"]}
 *
 * The algorithm is HS256 and nothing else, whatever a token says: one that names another is refused
 * before its signature is looked at. A token that names a key (`kid`) is checked with the keys of
 * that name and with those that have none, any other with all, so that a key can be changed without
 * a break. Times have AUTH_LEEWAY_S of leeway. A token without `exp` does not end; one with `aud`
 * is for somebody else, as this server has no name of its own, and one with `crit` asks for what is
 * not known here: both are refused (RFC 7519 section 4.1.3, RFC 7515 section 4.1.11).
 *
 * A SCOPE is a list of topic names and wildcards with a comma between, as a URL has it (name.h);
 * empty: nothing.
 *
 * LIMITS: AUTH_KEYS_MAX keys of AUTH_KEY_MIN to AUTH_KEY_MAX bytes; key names of AUTH_KID_MAX; a
 * token of AUTH_TOKEN_MAX bytes, whose header and claims have AUTH_MEMBERS_MAX members; the lists
 * of its claims may be as long as that allows.
 *
 * OWNERSHIP: struct auth_keys holds its keys itself and is wiped by auth_keys_wipe(); nothing else
 * keeps a key. What claims point to is the buffer that the caller handed.
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
    unsigned n; /* 0: there are none */
    struct auth_key key[AUTH_KEYS_MAX];
};

/* Reads the text of a key file: a key a line, KEY or KID KEY, blank lines and those that begin with
 * "#" passed over; CRLF is a line end as well. False: *why says what is wrong, with the line's
 * number and never with what stands in it, and *k holds no key. */
bool auth_keys_read(struct auth_keys *k, struct span file, struct text *why);

/* Overwrites all keys. */
void auth_keys_wipe(struct auth_keys *k);

enum auth_result {
    AUTH_GOOD = 0,
    AUTH_MALFORMED = 1, /* it is no token */
    AUTH_ALGORITHM = 2, /* it is not HS256 */
    AUTH_SIGNATURE = 3, /* no key has signed it */
    AUTH_EXPIRED = 4,
    AUTH_EARLY = 5,  /* it is not valid yet */
    AUTH_CLAIMS = 6, /* what it claims can't be read, or is not for this server */
};

struct auth_claims {
    struct span publish, subscribe; /* scopes */
    uint64_t expires_s; /* unix time up to which it is valid, the leeway in it; 0: always */
};

/* Checks a token at unix time now_s. `room` is AUTH_TOKEN_MAX bytes, for what the claims point to.
 * *why (of 256 bytes at least) says what is wrong, in words fit for a client and for quoted-string:
 * visible ASCII and spaces without `"` and `\`; it never holds a part of a signature or a key. */
enum auth_result auth_check(const struct auth_keys *k, struct span token, uint64_t now_s,
                            char *room, struct auth_claims *claims, struct text *why);

/* What a token says, whoever signed it and whenever: for people to read. */
struct auth_said {
    struct span kid; /* empty: none */
    struct span publish, subscribe;
    bool ends, begins; /* it has `exp`, `nbf` */
    uint64_t exp_s, nbf_s;
};

/* Reads that; all but the signature and the times is checked as auth_check() does. */
enum auth_result auth_read(struct span token, char *room, struct auth_said *said, struct text *why);

/* Checks its times. Returns AUTH_GOOD, or why it is not valid at this time, with *why. */
enum auth_result auth_said_check_times(const struct auth_said *said, uint64_t now_s,
                                       struct text *why);

/* The key that signed it, or NULL. */
const struct auth_key *auth_signer(const struct auth_keys *k, struct span token, char *room);

/* Returns true if a scope holds this name, or, of a wildcard, if one of its parts holds all that it
 * matches. */
bool auth_covers(struct span scope, struct span pattern);

/* Appends what of a URL's names and wildcards a scope allows, with commas between: a name if the
 * scope holds it, of a wildcard the part that both match; none twice and none that another of them
 * holds, as long as there are fewer than AUTH_NARROW_PARTS. It takes as many steps as there are
 * names times parts of the scope, of some 25 ns. False, and nothing appended: the scope allows
 * nothing of one of them, or it is wrong as a name, and *refused is that one (all of `names`, where
 * it is empty); or *refused is empty, as there was no room or it would take more than
 * AUTH_NARROW_STEPS. */
#define AUTH_NARROW_PARTS 100u
#define AUTH_NARROW_STEPS (1u << 17)
bool auth_narrow(struct text *t, struct span scope, struct span names, struct span *refused);

/* Appends a token made with the key, whose `exp` is expires_s; 0: without end. The scopes have been
 * found right. Its header names the key if it has a name. What would be longer than AUTH_TOKEN_MAX
 * does not fit. */
void auth_mint(struct text *t, const struct auth_key *key, const struct auth_claims *claims);

/* What a signed URL is for. */
enum auth_class {
    AUTH_SUBSCRIBE = 0, /* GET, HEAD */
    AUTH_PUBLISH = 1,   /* POST, PUT */
};

/* Appends the signature of a URL: base64url of HMAC-SHA-256 over "sse-url-1", the class, the expiry
 * and the topics (the path decoded, without its first "/"), a newline after each but the last. */
void auth_url_sign(struct text *t, const struct auth_key *key, enum auth_class class,
                   struct span topics, uint64_t expires_s);

/* Checks it with all keys; a signed URL has no leeway: it ends when it says. `expires` is a unix
 * time in decimal, no more than AUTH_TIME_MAX, without zeros in front. */
enum auth_result auth_url_check(const struct auth_keys *k, enum auth_class class,
                                struct span topics, struct span expires, struct span signature,
                                uint64_t now_s, struct text *why);

#endif
