/*
 * auth.h - who may do what: keys, tokens (RFC 7519), signed URLs.
 *
 *   token: b64url({"alg":"RS256","kid":"a"}) . b64url(claims) . b64url(signature)
 *
 * A KEY FILE is one of these:
 *
 *   - lines, KEY or KID KEY: secrets of HS256; blank lines and those that begin with "#" are passed
 *     over, CRLF is a line end as well;
 *   - a JWK, or a JWK Set (jwk.h), which begins with "{";
 *   - PEM: blocks PUBLIC KEY and RSA PUBLIC KEY (pem.h, der.h). Their keys have no name.
 *
 * The key has its algorithm (key.h), and a token has to name the same one: otherwise its signature
 * is not even looked at. A token that names a key (`kid`) is checked with the keys of that name and
 * with those that have none, any other with all, so that a key can be changed without a break.
 * Times have AUTH_LEEWAY_S of leeway. A token without `exp` does not end; one with `crit` asks for
 * what is not known here and is refused (RFC 7515 section 4.1.11). Signed URLs are of HS256.
 *
 * A SCOPE is a list of topic names and wildcards separated by commas, as in a URL (name.h); an
 * empty scope allows nothing.
 *
 * LIMITS: AUTH_KEYS_MAX keys, as key.h has them; a token of AUTH_TOKEN_MAX bytes, whose header and
 * claims have OBJECT_MEMBERS_MAX members (object.h); the lists of its claims may be as long as that
 * allows.
 *
 * OWNERSHIP: struct auth_keys holds the keys themselves, and auth_keys_wipe() overwrites them;
 * nothing else keeps a key. Claims point into the caller's buffer.
 */
#ifndef SSE_LIB_AUTH_AUTH_H
#define SSE_LIB_AUTH_AUTH_H

#include "lib/auth/key.h"
#include "lib/text.h"

#define AUTH_KEYS_MAX  32u
#define AUTH_TOKEN_MAX 8192u
#define AUTH_FILE_MAX  (64u << 10)
#define AUTH_LEEWAY_S  60u
#define AUTH_TIME_MAX  253402300799u /* unix time, the end of 9999: what is later is refused */
#define AUTH_URL_SIGN  43u           /* bytes of a URL's signature */

struct auth_keys {
    unsigned n;       /* 0: there are none */
    unsigned skipped; /* keys of JWK Sets that are not for here, ... */
    const char *skip; /* ... and why, of the last one; static text */
    struct auth_key key[AUTH_KEYS_MAX];
};

/* Reads the text of a key file and adds its keys. False: *why says what is wrong, with the line's
 * number and never with what stands in it, and *k holds no key. */
bool auth_keys_add(struct auth_keys *k, struct span file, struct text *why);

/* The same for the only file. */
bool auth_keys_read(struct auth_keys *k, struct span file, struct text *why);

/* Returns true if one of the keys from number `from` on is a secret; if one is public. */
bool auth_keys_secret(const struct auth_keys *k, unsigned from);
bool auth_keys_public(const struct auth_keys *k);

/* Overwrites all keys. */
void auth_keys_wipe(struct auth_keys *k);

enum auth_result {
    AUTH_GOOD = 0,
    AUTH_MALFORMED = 1, /* it is no token */
    AUTH_ALGORITHM = 2, /* it is of none that is taken */
    AUTH_SIGNATURE = 3, /* no key of its algorithm has signed it */
    AUTH_EXPIRED = 4,
    AUTH_EARLY = 5,  /* it is not valid yet */
    AUTH_CLAIMS = 6, /* its claims cannot be read, or are not for this server */
};

/* What a server wants of a token besides a signature, and where it finds what the token allows. */
struct auth_rules {
    const struct span *audience,
        *issuer;                 /* `aud` has to hold one of these, `iss` be one of these */
    uint32_t audiences, issuers; /* 0: no token may have `aud`; `iss` may be anything */
    bool any_audience;           /* `aud` is not looked at */
    const char *claims;          /* the member that `publish` and `subscribe` are in; NULL: none */
};

/* WHAT A TOKEN ALLOWS: its members `publish` and `subscribe`, lists of topics; they are members of
 * the token, or of the object in it that rules.claims names. Where there is neither: the words
 * publish:TOPIC and subscribe:TOPIC of the string `scope` (RFC 8693 section 4.2), other words being
 * for others. In an object whose name is `mercure`, "*" is everything, as Mercure has it. `admin`,
 * which is true where `publish` and `subscribe` are, lets it revoke tokens. */
struct auth_claims {
    struct span publish, subscribe; /* scopes */
    struct span purge;              /* the scope in which it may purge what it may publish to */
    uint64_t expires_s; /* unix time up to which it is valid, the leeway in it; 0: always */
    uint64_t begins_s;  /* from which on, the leeway in it; 0: always */
    enum key_algorithm algorithm;
    struct span jti, sub; /* what it may be revoked by (revoke.h); empty: none */
    uint64_t iat_s;       /* when it was issued; 0: it does not say */
    bool admin;           /* it may revoke others */
};

/* Checks a token at unix time now_s. `room` is AUTH_TOKEN_MAX bytes, for what the claims point to.
 * *why (of 256 bytes at least) says what is wrong, in words fit for a client and for quoted-string:
 * visible ASCII and spaces without `"` and `\`; it never holds a part of a signature or a key. */
enum auth_result auth_check(const struct auth_keys *k, const struct auth_rules *rules,
                            struct span token, uint64_t now_s, char *room,
                            struct auth_claims *claims, struct text *why);

/* Checks all but the signature, of a token that auth_check() found good with the same keys. */
enum auth_result auth_check_again(const struct auth_rules *rules, struct span token, uint64_t now_s,
                                  char *room, struct auth_claims *claims, struct text *why);

/* Returns true if the token asks for a public key, the work of which is some 100 us and not 1. */
bool auth_takes_long(struct span token, char *room);

/* The contents of a token, whoever signed it and whenever it is valid, to be shown to a person. */
struct auth_said {
    struct span kid; /* empty: none */
    enum key_algorithm algorithm;
    struct span publish, subscribe, purge;
    struct span jti, sub;      /* empty: none */
    const char *rights;        /* the claim that says what it allows; NULL: publish, subscribe */
    bool ends, begins, issued; /* it has `exp`, `nbf`, `iat` */
    bool admin;
    uint64_t exp_s, nbf_s, iat_s;
};

/* Reads that; all but the signature and the times is checked as auth_check() does. */
enum auth_result auth_read(const struct auth_rules *rules, struct span token, char *room,
                           struct auth_said *said, struct text *why);

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

/* Reads a PEM block PRIVATE KEY of Ed25519 (RFC 8410) into *key, whose bytes are the secret
 * then: for auth_mint() alone. Returns what is wrong, as words for a person, or NULL. */
const char *auth_private_read(struct auth_key *key, struct span file);

/* Appends a token made with the key, a secret or what auth_private_read() has read, whose `exp` is
 * expires_s; 0: without end; its other claims likewise. The scopes have been found right. Its
 * header names the key if it has a name. What would be longer than AUTH_TOKEN_MAX does not fit. */
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
