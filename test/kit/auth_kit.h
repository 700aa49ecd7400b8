/*
 * auth_kit.h - tokens of any header and claims, signed by hand.
 */
#ifndef SSE_TEST_KIT_AUTH_KIT_H
#define SSE_TEST_KIT_AUTH_KIT_H

#include "lib/auth/auth.h"
#include "lib/hash.h"

#undef NDEBUG
#include <assert.h>

#define KIT_KEY   "0123456789abcdef0123456789abcdef"
#define KIT_OTHER "fedcba9876543210fedcba9876543210"

/* Room for a token that is too long, too. */
struct kit_token {
    char p[3 * AUTH_TOKEN_MAX];
    size_t n;
};

static inline struct span kit_span(const struct kit_token *t)
{
    return (struct span){t->p, t->n};
}

static inline void kit_add(struct kit_token *t, struct span s)
{
    assert(s.n <= sizeof(t->p) - t->n);
    if (s.n > 0)
        memcpy(t->p + t->n, s.p, s.n);
    t->n += s.n;
}

static inline void kit_encode(struct kit_token *t, struct span s)
{
    assert(base64url_size(s.n) <= sizeof(t->p) - t->n);
    t->n += base64url_write(t->p + t->n, s);
}

/* Appends a dot and the signature of what is there. */
static inline void kit_sign(struct kit_token *t, struct span key)
{
    uint8_t mac[HASH_SHA256_SIZE];
    struct span all = kit_span(t);
    hash_hmac(mac, key, &all, 1);
    kit_add(t, SPAN("."));
    kit_encode(t, (struct span){(const char *)mac, sizeof(mac)});
}

/* A token of these two, whatever they are. */
static inline void kit_make(struct kit_token *t, struct span header, struct span claims,
                            struct span key)
{
    t->n = 0;
    kit_encode(t, header);
    kit_add(t, SPAN("."));
    kit_encode(t, claims);
    kit_sign(t, key);
}

/* The key as the only one. */
static inline void kit_keys(struct auth_keys *k, struct span kid, struct span key)
{
    assert(kid.n <= KEY_KID_MAX && key.n <= KEY_BYTES_MAX);
    memset(k, 0, sizeof(*k));
    k->n = 1;
    k->key[0].n = (uint16_t)key.n;
    k->key[0].kid_n = (uint8_t)kid.n;
    memcpy(k->key[0].bytes, key.p, key.n);
    if (kid.n > 0)
        memcpy(k->key[0].kid, kid.p, kid.n);
}

/* Returns true if it holds only zeros. */
static inline bool kit_is_wiped(const struct auth_keys *k)
{
    const char *p = (const char *)k;
    for (size_t i = 0; i < sizeof(*k); i++)
        if (p[i] != 0)
            return false;
    return true;
}

/* Returns true if it is fit for a client and for quoted-string. */
static inline bool kit_is_fit(struct span why)
{
    for (size_t i = 0; i < why.n; i++)
        if (why.p[i] < ' ' || why.p[i] > '~' || why.p[i] == '"' || why.p[i] == '\\')
            return false;
    return why.n > 0;
}

#endif
