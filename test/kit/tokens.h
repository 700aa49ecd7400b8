/*
 * tokens.h - for tests of who may do what: a key file, and tokens good and bad.
 *
 * Tokens are put together here from their parts, so that a bad one may be bad in any way.
 */
#ifndef SSE_TEST_KIT_TOKENS_H
#define SSE_TEST_KIT_TOKENS_H

#include "lib/auth/auth.h"
#include "lib/hash.h"
#include "test/kit/life.h"

#include <time.h>

/* The keys of the file, and one that is not in it. */
#define KEY_PLAIN   "a-key-without-a-name-of-some-40-letters-"
#define KEY_NAMED   "this-one-has-a-name-and-40-letters-or-so"
#define KEY_OTHER   "no-server-has-this-one-be-it-ever-so-long"
#define TOKENS_KEYS "# the keys of a test\n\n" KEY_PLAIN "\nnamed " KEY_NAMED "\n"

/* Writes a key file into the test's directory, by a rename; returns its path. */
static inline const char *keys_write(const char *text, unsigned mode)
{
    static char path[512];
    const char *next = in_dir("keys.next");
    int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    snprintf(path, sizeof path, "%s", in_dir("keys"));
    ck_assert_int_ne(fd, -1);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    ck_assert_int_eq(chmod(next, mode), 0);
    ck_assert_int_eq(rename(next, path), 0);
    return path;
}

/* A token of this header and payload, as they stand, signed with the key; in one of 64 buffers in
 * turn. */
static inline const char *token_of(const char *header, const char *payload, const char *key)
{
    static char tokens[64][16384];
    static unsigned turn;
    char *t = tokens[turn++ % 64];
    uint8_t mac[HASH_SHA256_SIZE];
    size_t n = base64url_write(t, span_of(header));
    t[n++] = '.';
    n += base64url_write(t + n, span_of(payload));
    struct span signed_part = {t, n};
    hash_hmac(mac, span_of(key), &signed_part, 1);
    t[n++] = '.';
    n += base64url_write(t + n, (struct span){(char *)mac, sizeof mac});
    t[n] = '\0';
    return t;
}

#define HS256 "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

/* A good one, which ends (0: does not) in so many seconds: scopes as JSON, "[\"a\"]"; NULL: no
 * claim. */
static inline const char *token_good(const char *publish, const char *subscribe, long ends_in)
{
    char payload[8192], exp[64] = "";
    if (ends_in != 0)
        snprintf(exp, sizeof exp, ",\"exp\":%ld", (long)time(NULL) + ends_in);
    snprintf(payload, sizeof payload, "{\"sub\":\"test\"%s%s%s%s%s}", exp,
             publish != NULL ? ",\"publish\":" : "", publish != NULL ? publish : "",
             subscribe != NULL ? ",\"subscribe\":" : "", subscribe != NULL ? subscribe : "");
    return token_of(HS256, payload, KEY_PLAIN);
}

/* Ends so many seconds from now for the server, which gives a minute's leeway. */
#define ENDS_IN(s) ((s) - (long)AUTH_LEEWAY_S)

#endif
