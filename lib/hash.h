/*
 * hash.h - encodings and digests.
 *
 * Base64 is RFC 4648 section 4, with padding; base64url section 5, without.
 */
#ifndef SSE_LIB_HASH_H
#define SSE_LIB_HASH_H

#include "lib/span.h"

/* Returns the size of the base64 form of `n` bytes. */
static inline size_t base64_size(size_t n)
{
    return (n + 2) / 3 * 4;
}

/* Writes the base64 form of `s` to `out`, base64_size(s.n) bytes; returns that size. */
size_t base64_write(char *out, struct span s);

/* Decodes `s` to `out`, which has room for s.n / 4 * 3 bytes and may be `s` itself. Returns the
 * number of bytes; -1 for anything but whole groups of the alphabet with canonical padding
 * (left-over bits must be zero, RFC 4648 section 3.5). */
ptrdiff_t base64_read(char *out, struct span s);

/* SHA-1 (FIPS 180-4), for the WebSocket handshake alone, where security does not depend on it. Not
 * for signatures. */
void hash_sha1(uint8_t out[20], struct span s);

/* Returns a 64-bit hash of `s` for tables, keyed so that a peer cannot choose collisions
 * (SipHash-1-3). Not for signatures. */
uint64_t hash_table(uint64_t seed0, uint64_t seed1, struct span s);

/* Writes one of 128 bits, for where two that are equal would do harm and the strings themselves are
 * not at hand to compare: SipHash's wide form, with the same rounds. */
void hash_wide(uint64_t out[2], uint64_t seed0, uint64_t seed1, struct span s);

#define HASH_SHA256_SIZE 32u

/* SHA-256 (FIPS 180-4). */
void hash_sha256(uint8_t out[HASH_SHA256_SIZE], struct span s);

/* HMAC-SHA-256 (RFC 2104; test vectors in RFC 4231) of the concatenated parts. Wipes what the key
 * left in memory. */
void hash_hmac(uint8_t out[HASH_SHA256_SIZE], struct span key, const struct span part[],
               size_t parts);

/* Returns true if the two are equal, in constant time. */
bool hash_equal(const void *a, const void *b, size_t n);

/* Overwrites memory that held a secret; no compiler optimises it away. */
void hash_wipe(void *p, size_t n);

/* Base64url without padding (RFC 4648 section 5; RFC 7515 section 2): size, writing and reading as
 * for base64. Reading is strict: no padding, no other bytes, left-over bits zero; `out` may be `s`
 * itself; -1 if `s` is not base64url. */
static inline size_t base64url_size(size_t n)
{
    return n / 3 * 4 + (n % 3 != 0 ? n % 3 + 1 : 0);
}
size_t base64url_write(char *out, struct span s);
ptrdiff_t base64url_read(char *out, struct span s);

#endif
