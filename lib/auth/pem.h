/*
 * pem.h - blocks of PEM in a text (RFC 7468 section 3, the strict form of lines of base64 apart:
 * they may be of any length).
 *
 *   -----BEGIN PUBLIC KEY-----
 *   base64
 *   -----END PUBLIC KEY-----
 *
 * What stands outside of the blocks is passed over, as RFC 7468 section 2 allows.
 */
#ifndef SSE_LIB_AUTH_PEM_H
#define SSE_LIB_AUTH_PEM_H

#include "lib/span.h"

#define PEM_MAX 1024u /* bytes of base64 in a block */

/* Returns true if the text has a line that begins a block. */
bool pem_is(struct span file);

/* Cuts the next block off the front of *file, with all before it; *label is its name. Its base64 is
 * copied to `out`, PEM_MAX bytes, and decoded there: *der. Returns NULL, with an empty *label where
 * no block is left, or what is wrong. */
const char *pem_next(struct span *file, struct span *label, char *out, struct span *der);

#endif
