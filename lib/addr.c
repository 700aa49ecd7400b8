/*
 * addr.c - socket addresses as text.
 */
#include "lib/addr.h"

#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <sys/un.h>

/* Keys: those of IPv4 look like IPv6 prefixes that nobody has (0:ffff::/32), and so does the key of
 * loopback's prefix, which would be 0. */
#define KEY_IPV4     UINT64_C(0x0000ffff00000000)
#define KEY_LOOPBACK UINT64_C(1)

static bool read_unix(struct span path, struct sockaddr_storage *a, socklen_t *len)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (path.n == 0 || path.n >= sizeof un.sun_path || memchr(path.p, '\0', path.n) != NULL)
        return false;
    memcpy(un.sun_path, path.p, path.n);
    memcpy(a, &un, sizeof un);
    *len = sizeof un;
    return true;
}

bool addr_read(struct span s, uint16_t port, struct sockaddr_storage *a, socklen_t *len)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    char host[INET6_ADDRSTRLEN + 1];
    memset(a, 0, sizeof *a);
    if (span_begins(s, SPAN("unix:")))
        return read_unix(span_from(s, 5), a, len);
    bool brackets = s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']';
    if (brackets)
        s = (struct span){s.p + 1, s.n - 2};
    if (s.n == 0 || s.n >= sizeof host || memchr(s.p, '\0', s.n) != NULL)
        return false;
    memcpy(host, s.p, s.n);
    host[s.n] = '\0';
    if (!brackets && inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(a, &v4, sizeof v4);
        *len = sizeof v4;
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
        return false;
    memcpy(a, &v6, sizeof v6);
    *len = sizeof v6;
    return true;
}

bool addr_read_port(struct span s, uint16_t port, struct sockaddr_storage *a, socklen_t *len)
{
    struct span host = s, rest = s;
    uint64_t given;
    if (span_begins(s, SPAN("unix:")))
        return addr_read(s, port, a, len);
    if (span_begins(s, SPAN("["))) {
        host.n = span_cut(&rest, ']').n + 1;
        if (rest.n == 0)
            return addr_read(s, port, a, len);
        if (rest.p[0] != ':')
            return false;
        rest = span_from(rest, 1);
    } else {
        host = span_cut(&rest, ':');
        if (rest.p == NULL || memchr(rest.p, ':', rest.n) != NULL)
            return addr_read(s, port, a, len); /* no port, or IPv6 without brackets */
    }
    if (!span_u64(rest, &given) || given > UINT16_MAX)
        return false;
    return addr_read(host, (uint16_t)given, a, len);
}

uint16_t addr_port(const struct sockaddr_storage *a)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)a;
    return a->ss_family == AF_INET    ? ntohs(v4->sin_port)
           : a->ss_family == AF_INET6 ? ntohs(v6->sin6_port)
                                      : 1;
}

const char *addr_path(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_UNIX ? ((const struct sockaddr_un *)(const void *)a)->sun_path : NULL;
}

/* Appends an IPv4 address; one C library's inet_ntop() would link printf(). */
static void write_ipv4(struct text *t, const unsigned char a[4])
{
    for (int i = 0; i < 4; i++) {
        if (i > 0)
            text_str(t, ".");
        text_u64(t, a[i]);
    }
}

static void write_group(struct text *t, unsigned v)
{
    char hex[4];
    size_t at = sizeof hex;
    do
        hex[--at] = text_digit(v);
    while ((v >>= 4) != 0);
    text_add(t, (struct span){hex + at, sizeof hex - at});
}

/* Appends an IPv6 address as RFC 5952 and inet_ntop() do. */
static void write_ipv6(struct text *t, const unsigned char a[16])
{
    unsigned group[8];
    size_t gap = 8, gap_n = 1; /* the first of the longest runs of zeros, two or more */
    for (size_t i = 0, n = 0; i < 8; i++) {
        group[i] = (unsigned)a[2 * i] << 8 | a[2 * i + 1];
        n = group[i] == 0 ? n + 1 : 0;
        if (n > gap_n) {
            gap_n = n;
            gap = i + 1 - n;
        }
    }
    bool dotted = gap == 0 && (gap_n == 6 || (gap_n == 5 && group[5] == 0xffff));
    for (size_t i = 0; i < (dotted ? 6 : 8); i++) {
        if (i == gap) {
            text_str(t, "::");
            i += gap_n - 1;
            continue;
        }
        if (i > 0 && i != gap + gap_n)
            text_str(t, ":");
        write_group(t, group[i]);
    }
    if (dotted) { /* an IPv4 address in IPv6 */
        text_str(t, gap_n == 5 ? ":" : "");
        write_ipv4(t, a + 12);
    }
}

/* Append an IPv4 or IPv6 address of a socket address. */
static void write_in(struct text *t, struct in_addr a)
{
    unsigned char bytes[4];
    memcpy(bytes, &a, sizeof bytes);
    write_ipv4(t, bytes);
}

void addr_write(struct text *t, const struct sockaddr_storage *a)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)a;
    if (a->ss_family == AF_UNIX) {
        text_str(t, "unix:");
        text_str(t, addr_path(a));
    } else if (a->ss_family == AF_INET) {
        text_str(t, "http://");
        write_in(t, v4->sin_addr);
        text_str(t, ":");
        text_u64(t, ntohs(v4->sin_port));
    } else {
        text_str(t, "http://[");
        write_ipv6(t, v6->sin6_addr.s6_addr);
        text_str(t, "]:");
        text_u64(t, ntohs(v6->sin6_port));
    }
}

bool addr_local(const struct sockaddr_storage *a, socklen_t len)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)a;
    if (len < sizeof a->ss_family || a->ss_family == AF_UNIX)
        return true;
    if (a->ss_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    if (a->ss_family != AF_INET6)
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        return v6->sin6_addr.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

uint64_t addr_key(const struct sockaddr_storage *a, socklen_t len)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)a;
    uint32_t low;
    uint64_t prefix;
    if (len >= sizeof *v4 && a->ss_family == AF_INET)
        return KEY_IPV4 | ntohl(v4->sin_addr.s_addr);
    if (len < sizeof *v6 || a->ss_family != AF_INET6)
        return 0;
    memcpy(&low, v6->sin6_addr.s6_addr + 12, sizeof low);
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        return KEY_IPV4 | ntohl(low);
    memcpy(&prefix, v6->sin6_addr.s6_addr, sizeof prefix);
    return prefix != 0 ? be64toh(prefix) : KEY_LOOPBACK;
}

void addr_key_write(struct text *t, uint64_t key)
{
    struct in_addr v4 = {htonl((uint32_t)key)};
    struct in6_addr v6 = {.s6_addr = {0}};
    uint64_t prefix = htobe64(key != KEY_LOOPBACK ? key : 0);
    memcpy(v6.s6_addr, &prefix, sizeof prefix);
    if (key == 0) {
        text_str(t, "unknown");
    } else if (key >> 32 == KEY_IPV4 >> 32) {
        write_in(t, v4);
    } else {
        write_ipv6(t, v6.s6_addr);
        text_str(t, "/64");
    }
}
