/*
 * forward.h - whom a request is from that came through proxies: Forwarded (RFC 7239),
 * X-Forwarded-For.
 *
 * Each proxy adds whom it got the request from behind what was there, and whoever sent the request
 * may have made up the front of it. So the list is walked from its end, where the proxy at hand has
 * written, over those who are trusted proxies as well; the first who is not is the client:
 *
 *     X-Forwarded-For: 127.0.0.1, 203.0.113.7, 10.0.0.2        <- 10.0.0.1, which connects
 *                      made up    the client   trusted proxy      trusted proxy
 *
 * Each element is found from the end, too, so that quotes which somebody left open in front of it
 * do not matter. What is not an address ("unknown", "_hidden") ends the walk: the client is
 * unknown.
 *
 * An address that is loopback is on this host only if all those are who told of it: it may be the
 * loopback of another.
 *
 * The scheme that the client used is in the same element ("proto"), as the proxy that told of the
 * client is the one that the client spoke to; or in X-Forwarded-Proto.
 */
#ifndef SSE_LIB_FORWARD_H
#define SSE_LIB_FORWARD_H

#include "lib/cors.h"
#include "lib/net.h"

enum forward_says {
    FORWARD_NOTHING = 0, /* there is no element */
    FORWARD_UNKNOWN = 1, /* one that is no address */
    FORWARD_CLIENT = 2,  /* it is `from` */
};

struct forward {
    enum forward_says says;
    bool done;               /* no more lines are needed */
    bool local;              /* who it is is on this host, and so are the proxies in between */
    uint64_t from;           /* the client's addr_key() */
    enum cors_scheme scheme; /* by which it asks, as Forwarded tells */
};

/* Begins a walk; `local`: the proxy at hand is on this host. */
void forward_begin(struct forward *f, bool local);

/* Walks through the value of a field: of Forwarded, or else of X-Forwarded-For. Of several the last
 * is first. */
void forward_walk(struct forward *f, struct span value, bool forwarded, const struct nets *proxies);

/* The scheme that a value of X-Forwarded-Proto tells: all its elements must be that one. */
enum cors_scheme forward_scheme(struct span value);

#endif
