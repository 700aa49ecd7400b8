/*
 * authority.h - the server that a request names: Host, "name[:port]" (RFC 9110 section 7.2, RFC
 * 3986 section 3.2).
 *
 * A page whose name was pointed at this host after it was loaded (DNS rebinding) is of the same
 * origin as the server, to its browser, and connects from this host. It is known by its Host: the
 * browser still names the page's own name there. So who has rights by being on this host has them
 * only where Host names this server:
 *
 *   - an address that is loopback: 127.0.0.0/8, ::1
 *   - localhost, and names that end in .localhost: nobody can register those, and resolvers are to
 *     answer them with loopback (RFC 6761 section 6.3)
 *   - an address that the server is bound to; any address, where it is bound to all of a family
 *   - one of the names that it was given (--host)
 *
 * The port does not matter. A request without Host, which is one of HTTP/1.0, names nobody else's
 * name either: no browser sends such a request.
 */
#ifndef SSE_LIB_AUTHORITY_H
#define SSE_LIB_AUTHORITY_H

#include "lib/net.h"

/* The host of "host[:port]", without the brackets of IPv6 and without a dot at the end of a
 * name. */
struct span authority_host(struct span authority);

/* Returns NULL if `s` can be one of the names that a server has: a name, or an address, without
 * scheme and port; else what is wrong with it. */
const char *authority_name_wrong(struct span s);

/* Returns true if `authority`, which http_parse() has looked at, names this server: see above.
 * `bound` is the addresses that it listens at, name[0..n) its names. */
bool authority_own(struct span authority, const struct nets *bound, const struct span *name,
                   uint32_t n);

#endif
