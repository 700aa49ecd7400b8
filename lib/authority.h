/*
 * authority.h - checks the server that a request names in Host, "name[:port]" (RFC 9110 section
 * 7.2, RFC 3986 section 3.2).
 *
 * DNS rebinding points a page's name at this host after the page was loaded. To its browser the
 * page then has the server's own origin, and it connects from this host. Its Host tells it apart:
 * the browser sends the page's own name there. So clients on this host have their rights only where
 * Host names this server:
 *
 *   - an address that is loopback: 127.0.0.0/8, ::1
 *   - localhost, and names that end in .localhost: nobody can register those, and resolvers are to
 *     answer them with loopback (RFC 6761 section 6.3)
 *   - an address that the server listens at; any address of a family of which it listens at all
 *   - a name given with --host
 *
 * The port does not matter. A request without Host (HTTP/1.0) is accepted: no browser sends one.
 */
#ifndef SSE_LIB_AUTHORITY_H
#define SSE_LIB_AUTHORITY_H

#include "lib/net.h"

/* Returns the host of "host[:port]", without the brackets of IPv6 and without a dot at the end of a
 * name. */
struct span authority_host(struct span authority);

/* Returns NULL if `s` is a name or an address without scheme and port, as --host takes it; else
 * what is wrong with it, a static text. */
const char *authority_name_wrong(struct span s);

/* Returns true if `authority`, which http_parse() has accepted, names this server by the rules
 * above. `bound` holds the addresses that it listens at, name[0..n) its names. */
bool authority_own(struct span authority, const struct nets *bound, const struct span *name,
                   uint32_t n);

#endif
