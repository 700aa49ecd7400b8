/*
 * cors.h - which origins' pages may use this server (Fetch standard, RFC 6454).
 *
 * The list is that of --cors: origins as browsers write them, "https://a.example", "null", or "*"
 * for all.
 */
#ifndef SSE_LIB_CORS_H
#define SSE_LIB_CORS_H

#include "lib/text.h"

#define CORS_ORIGIN_MAX 300u /* bytes: a name of 253, a scheme, a port, and an answer has room */

/* Returns true if `s` is "*", or an origin as browsers write it (RFC 6454 section 6.2) of at most
 * CORS_ORIGIN_MAX bytes. */
bool cors_is_origin(struct span s);

/* Looks `origin` up. Returns its place in the list plus one; the place of "*" plus one if only that
 * matches; 0 if nothing does. A request without an origin (an empty span) matches "*" alone: an
 * answer that anyone may read says so to everyone, since a cache may serve it to another origin
 * (Fetch, "CORS protocol and HTTP caches"). */
uint16_t cors_find(const struct span *list, uint32_t n, struct span origin);

/* The scheme by which a client asks, as far as it is known. */
enum cors_scheme {
    CORS_SCHEME_UNKNOWN = 0, /* either: a proxy may have ended TLS */
    CORS_SCHEME_HTTP = 1,
    CORS_SCHEME_HTTPS = 2,
};

/* Returns true if `origin` is the server's own, as the client addressed it by `scheme` and in
 * `host`: scheme, host and port are the same. Either may leave out the scheme's default port. */
bool cors_same(struct span origin, struct span host, enum cors_scheme scheme);

/* Returns true if the origin identifies one site. "null" is the origin of every sandboxed frame,
 * data: URL and file, and "*" is everybody's: neither may act with a visitor's credentials. */
bool cors_is_one(struct span origin);

/* Appends the field lines that every answer carries: the origin that may read it (`found` as
 * cors_find() returned it), the fields that scripts may see, and Vary: Origin where the answer
 * depends on it. Appends nothing if the list is empty. Writes the origin in lower case, as browsers
 * compare it byte by byte with their own. */
void cors_write(struct text *t, const struct span *list, uint32_t n, uint16_t found);

/* Appends the further lines that answer a preflight: the methods, the fields asked for, how long
 * the answer may be cached. Appends nothing where `found` is 0. */
void cors_preflight(struct text *t, uint16_t found, const char *methods, struct span fields);

#endif
