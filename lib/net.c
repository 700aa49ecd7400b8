/*
 * net.c - lists of networks, and whether an address is in one.
 */
#include "lib/net.h"

#include "lib/addr.h"

#include <netinet/in.h>

#define MAPPED_BITS 96u /* before an IPv4 address mapped into IPv6 */

/* Converts an address to IPv6 bytes. Returns false if it is neither IPv4 nor IPv6. */
static bool bytes_of(const struct sockaddr_storage *a, socklen_t len, uint8_t out[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)a;
    if (len >= sizeof *v4 && a->ss_family == AF_INET) {
        memcpy(out, mapped, sizeof mapped);
        memcpy(out + sizeof mapped, &v4->sin_addr, 4);
        return true;
    }
    if (len < sizeof *v6 || a->ss_family != AF_INET6)
        return false;
    memcpy(out, v6->sin6_addr.s6_addr, 16);
    return true;
}

static bool is_mapped(const uint8_t address[16])
{
    struct in6_addr v6;
    memcpy(&v6, address, sizeof v6);
    return IN6_IS_ADDR_V4MAPPED(&v6);
}

/* Returns the bits of byte `i` that are within the first `bits`. */
static uint8_t mask(unsigned i, unsigned bits)
{
    unsigned left = bits > i * 8 ? bits - i * 8 : 0;
    return (uint8_t)(left >= 8 ? 0xff : 0xff00 >> left);
}

const char *net_read(struct span s, struct net *net)
{
    struct sockaddr_storage a;
    socklen_t len;
    uint64_t bits;
    *net = (struct net){.bits = NET_UNIX};
    if (span_eq(s, SPAN("unix")))
        return NULL;
    struct span address = span_cut(&s, '/');
    if (!addr_read(address, 0, &a, &len) || !bytes_of(&a, len, net->prefix))
        return "must be an IPv4 or IPv6 address, a network as 10.0.0.0/8, or unix";
    unsigned most = a.ss_family == AF_INET ? 32 : 128;
    if (s.p == NULL)
        bits = most;
    else if (!span_u64(s, &bits) || bits > most)
        return most == 32 ? "must have 0 to 32 bits behind the /"
                          : "must have 0 to 128 bits behind the /";
    net->bits = (uint8_t)(most == 32 ? MAPPED_BITS + bits : bits);
    for (unsigned i = 0; i < sizeof net->prefix; i++)
        if (net->prefix[i] & ~mask(i, net->bits))
            return "is no network: it has bits behind those that count";
    return NULL;
}

bool net_exact(const struct sockaddr_storage *a, socklen_t len, struct net *net)
{
    net->bits = 128;
    return bytes_of(a, len, net->prefix);
}

static bool has(const struct net *net, const uint8_t address[16])
{
    if (net->bits == NET_UNIX || (net->bits < MAPPED_BITS && is_mapped(address)))
        return false;
    for (unsigned i = 0; i < sizeof net->prefix; i++)
        if ((address[i] & mask(i, net->bits)) != net->prefix[i])
            return false;
    return true;
}

bool nets_have(const struct nets *nets, const struct sockaddr_storage *a, socklen_t len)
{
    uint8_t address[16];
    bool unnamed = len < sizeof a->ss_family || a->ss_family == AF_UNIX;
    if (!unnamed && !bytes_of(a, len, address))
        return false;
    for (uint32_t i = 0; i < nets->n; i++)
        if (unnamed ? nets->net[i].bits == NET_UNIX : has(&nets->net[i], address))
            return true;
    return false;
}

/* Adds a network that is not in the list. Returns false if there is no room. */
static bool add(struct nets *nets, const struct net *net)
{
    for (uint32_t i = 0; i < nets->n; i++)
        if (nets->net[i].bits == net->bits &&
            memcmp(nets->net[i].prefix, net->prefix, sizeof net->prefix) == 0)
            return true;
    if (nets->n == NETS_MAX)
        return false;
    nets->net[nets->n++] = *net;
    return true;
}

bool nets_bound(struct nets *nets, const struct sockaddr_storage *a, socklen_t len)
{
    static const struct net all4 = {{[10] = 0xff, [11] = 0xff}, MAPPED_BITS}, all6 = {{0}, 0};
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)a;
    struct net net;
    if (!net_exact(a, len, &net))
        return true;
    if (a->ss_family == AF_INET)
        return add(nets, v4->sin_addr.s_addr == htonl(INADDR_ANY) ? &all4 : &net);
    if (IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr))
        return add(nets, &all4) && add(nets, &all6);
    return add(nets, &net);
}
