/*
 * net.h - lists of networks, and whether an address is in one.
 *
 * An IPv4 address mapped into IPv6 (::ffff:192.0.2.1) counts as IPv4, and is in no IPv6 network,
 * however wide.
 */
#ifndef SSE_LIB_NET_H
#define SSE_LIB_NET_H

#include "lib/span.h"

#include <sys/socket.h>

#define NETS_MAX 132u

struct net {
    uint8_t prefix[16]; /* of IPv4: as IPv6 has it */
    uint8_t bits;       /* of it that count; NET_UNIX: all unix sockets */
};
#define NET_UNIX 255u

struct nets {
    uint32_t n;
    struct net net[NETS_MAX];
};

/* Reads an address, a network ("10.0.0.0/8", "fd00::/8"), or "unix". Returns NULL, or what is wrong
 * with it, a static text. */
const char *net_read(struct span s, struct net *net);

/* Sets *net to the network of this one address. Returns false if it is neither IPv4 nor IPv6. */
bool net_exact(const struct sockaddr_storage *a, socklen_t len, struct net *net);

/* Adds the addresses at which a socket bound to *a is reached, unless they are listed: that one, or
 * all of its family for 0.0.0.0 or ::, the latter including IPv4. Adds nothing for a unix socket.
 * Returns false if the list is full. */
bool nets_bound(struct nets *nets, const struct sockaddr_storage *a, socklen_t len);

/* Returns true if an address, of length `len` as accept() returned it, is in one of the
 * networks. */
bool nets_have(const struct nets *nets, const struct sockaddr_storage *a, socklen_t len);

#endif
