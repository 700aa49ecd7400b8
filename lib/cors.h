/*
 * cors.h - which other origins' pages may use this server (Fetch standard, RFC 6454).
 *
 * The list is that of --cors: origins as browsers write them, "https://a.example", "null", or "*"
 * for all.
 */
#ifndef SSE_LIB_CORS_H
#define SSE_LIB_CORS_H

#include "lib/text.h"

#define CORS_ORIGIN_MAX 300u /* bytes: a name of 253, a scheme, a port, and an answer has room */

/* Returns true if it is an origin as browsers write it (RFC 6454 section 6.2), of at most
 * CORS_ORIGIN_MAX bytes, or "*". */
bool cors_is_origin(struct span s);

/* Looks `origin` up: its place in the list plus one, that of "*" if only this takes it, 0 for one
 * that is not listed. A request without an origin (an empty one) is taken by "*" alone: what all
 * may read says so to all, since a cache may have it for another (Fetch, "CORS protocol and HTTP
 * caches"). */
uint16_t cors_find(const struct span *list, uint32_t n, struct span origin);

/* By which scheme a client asks, as far as that is known. */
enum cors_scheme {
    CORS_SCHEME_UNKNOWN = 0, /* perhaps a proxy in between ends TLS: either */
    CORS_SCHEME_HTTP = 1,
    CORS_SCHEME_HTTPS = 2,
};

/* Returns true if `origin` is that of the server itself, as the client addressed it by `scheme` and
 * in `host`: the same scheme, host and port. The default port of the scheme may be left out in
 * either. */
bool cors_same(struct span origin, struct span host, enum cors_scheme scheme);

/* Returns true if it is an origin that one page alone has. "null" is that of every sandboxed frame,
 * of data: URLs and of files, and "*" is everybody's: neither may act with a visitor's
 * credentials. */
bool cors_is_one(struct span origin);

/* Appends the field lines that every answer carries: who may read it (`found` as cors_find() gave
 * it), which fields scripts may see, and Vary: Origin where the answer depends on it. Nothing with
 * an empty list. An origin is written in lower case: browsers compare it byte by byte with theirs,
 * which is. */
void cors_write(struct text *t, const struct span *list, uint32_t n, uint16_t found);

/* Appends the lines that answer a preflight besides: methods, the fields asked for, for how long
 * this may be kept. Nothing where `found` is 0. */
void cors_preflight(struct text *t, uint16_t found, const char *methods, struct span fields);

#endif
