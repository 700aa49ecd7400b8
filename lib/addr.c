/*
 * addr.c - socket addresses as text.
 */
#include "addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

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

const char *addr_path(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_UNIX ? ((const struct sockaddr_un *)(const void *)a)->sun_path : NULL;
}

void addr_write(struct text *t, const struct sockaddr_storage *a)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)a;
    char host[INET6_ADDRSTRLEN];
    if (a->ss_family == AF_UNIX) {
        text_str(t, "unix:");
        text_str(t, addr_path(a));
    } else if (a->ss_family == AF_INET) {
        text_str(t, "http://");
        text_str(t, inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host));
        text_str(t, ":");
        text_u64(t, ntohs(v4->sin_port));
    } else {
        text_str(t, "http://[");
        text_str(t, inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host));
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
