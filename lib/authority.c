/*
 * authority.c - checks the server that a request names.
 */
#include "lib/authority.h"

#include "lib/addr.h"

#define HOST_MAX 253u /* bytes of a name (RFC 1035 section 2.3.4) */

struct span authority_host(struct span authority)
{
    struct span rest = authority;
    if (span_begins(authority, SPAN("["))) {
        rest = span_from(rest, 1);
        return span_cut(&rest, ']');
    }
    struct span host = span_cut(&rest, ':');
    if (host.n > 1 && host.p[host.n - 1] == '.')
        host.n--;
    return host;
}

/* Reads an IPv4 or IPv6 address. Returns false if it is a name. */
static bool address_read(struct span s, struct sockaddr_storage *a, socklen_t *len)
{
    return addr_read(s, 0, a, len) && a->ss_family != AF_UNIX;
}

const char *authority_name_wrong(struct span s)
{
    struct sockaddr_storage a;
    socklen_t len;
    bool good = s.n > 0 && s.n <= HOST_MAX;
    for (size_t i = 0; i < s.n && good; i++) {
        char c = span_lower(s.p[i]);
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || memchr("-._", c, 3) != NULL;
    }
    return good || address_read(s, &a, &len)
               ? NULL
               : "must be a name, or an IPv4 or IPv6 address, without a scheme and a port";
}

/* Returns true if the host is localhost or a subdomain of it. */
static bool is_localhost(struct span host)
{
    struct span local = SPAN("localhost");
    if (host.n < local.n || !span_same(span_from(host, host.n - local.n), local))
        return false;
    return host.n == local.n || (host.n > local.n + 1 && host.p[host.n - local.n - 1] == '.');
}

bool authority_own(struct span authority, const struct nets *bound, const struct span *name,
                   uint32_t n)
{
    struct sockaddr_storage a, b;
    socklen_t a_len, b_len;
    struct span host = authority_host(authority);
    if (host.n == 0)
        return authority.n == 0;
    bool address = address_read(host, &a, &a_len);
    if (address ? addr_local(&a, a_len) || nets_have(bound, &a, a_len) : is_localhost(host))
        return true;
    for (uint32_t i = 0; i < n; i++) {
        if (address && address_read(name[i], &b, &b_len)) {
            struct nets one = {.n = 1};
            if (net_exact(&b, b_len, &one.net[0]) && nets_have(&one, &a, a_len))
                return true;
        } else if (span_same(authority_host(name[i]), host)) {
            return true;
        }
    }
    return false;
}
