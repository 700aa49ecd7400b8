/*
 * hash.h - encodings and digests.
 *
 * Base64 is RFC 4648 section 4, with padding.
 */
#ifndef SSE_LIB_HASH_H
#define SSE_LIB_HASH_H

#include "span.h"

/* Bytes of the base64 form of `n` bytes. */
static inline size_t base64_size(size_t n)
{
    return (n + 2) / 3 * 4;
}

/* Writes the base64 form of `s` to `out`, base64_size(s.n) bytes; gives that number. */
size_t base64_write(char *out, struct span s);

/* Decodes `s` to `out`, which has room for s.n / 4 * 3 bytes and may be the place of `s` itself.
 * Gives the number of bytes, or -1 for anything but whole groups of the alphabet with canonical
 * padding (bits that padding leaves over must be zero, RFC 4648 section 3.5). */
ptrdiff_t base64_read(char *out, struct span s);

/* SHA-1 (FIPS 180-4): for WebSocket's handshake alone, where nothing rests on it. Not for
 * signatures. */
void hash_sha1(uint8_t out[20], struct span s);

/* A 64-bit hash of `s` for tables, keyed with `seed` so that a peer can't choose collisions
 * (SipHash-1-3). Not for signatures. */
uint64_t hash_table(uint64_t seed0, uint64_t seed1, struct span s);

#endif
