/*
 * forward.h - finds the client of a request that came through proxies: Forwarded (RFC 7239),
 * X-Forwarded-For.
 *
 * Each proxy appends the address from which it got the request; the client may have made up the
 * front of the list. So the list is walked from its end, where the connected proxy has written,
 * past the addresses of trusted proxies; the first other address is the client:
 *
 *     X-Forwarded-For: 127.0.0.1, 203.0.113.7, 10.0.0.2        <- 10.0.0.1, which connects
 *                      made up    the client   trusted proxy      trusted proxy
 *
 * Elements are parsed from the end as well, so an unclosed quote earlier in the list does not
 * matter. An element that is not an address ("unknown", "_hidden") ends the walk: the client is
 * unknown.
 *
 * A loopback address counts as this host only if every proxy in between is on this host: else it
 * may be another host's loopback.
 *
 * The client's scheme is in the same element ("proto"), as the proxy that wrote it is the one that
 * the client connected to; or in X-Forwarded-Proto.
 */
#ifndef SSE_LIB_FORWARD_H
#define SSE_LIB_FORWARD_H

#include "lib/cors.h"
#include "lib/net.h"

enum forward_says {
    FORWARD_NOTHING = 0, /* there is no element */
    FORWARD_UNKNOWN = 1, /* its element is not an address */
    FORWARD_CLIENT = 2,  /* it is `from` */
};

struct forward {
    enum forward_says says;
    bool done;               /* no more lines are needed */
    bool local;              /* the client and every proxy in between are on this host */
    uint64_t from;           /* the client's addr_key() */
    enum cors_scheme scheme; /* the client's, from Forwarded */
};

/* Begins a walk; `local`: the connected proxy is on this host. */
void forward_begin(struct forward *f, bool local);

/* Walks through one field's value: Forwarded if `forwarded`, else X-Forwarded-For. Where there are
 * several fields, call it with the last one first. */
void forward_walk(struct forward *f, struct span value, bool forwarded, const struct nets *proxies);

/* Returns the scheme that a value of X-Forwarded-Proto names, if all its elements name the same
 * one. */
enum cors_scheme forward_scheme(struct span value);

#endif
