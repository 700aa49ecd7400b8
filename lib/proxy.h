/*
 * proxy.h - the PROXY protocol, versions 1 and 2: a proxy sends the client's address before the
 * first byte of a connection (haproxy.org/download/2.9/doc/proxy-protocol.txt).
 *
 *     v1   PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n      a line, 107 bytes at most
 *     v2   | \r\n\r\n\0\r\nQUIT\n | version, command | family | length | addresses | TLVs |
 *
 * A wrong header is detected at its first wrong byte or at its end, however the bytes were cut.
 * TLVs are skipped, but a CRC-32C among them is checked. The destination addresses are read and
 * dropped.
 */
#ifndef SSE_LIB_PROXY_H
#define SSE_LIB_PROXY_H

#include "lib/span.h"

#include <sys/socket.h>

#define PROXY_LINE_MAX 107u               /* bytes of a header in version 1, */
#define PROXY_MAX      (16u + UINT16_MAX) /* and in version 2 */

enum proxy_says {
    PROXY_ITSELF = 0,  /* from the proxy itself (LOCAL), as for a health check */
    PROXY_UNKNOWN = 1, /* from a client whose address is not given */
    PROXY_CLIENT = 2,  /* from the client at `from` */
};

struct proxy {
    enum proxy_says says;
    socklen_t len; /* of the address; one of a unix socket has no path */
    struct sockaddr_storage from;
};

/* Reads a header at the front of buf[0..len). Returns its length, with *p filled in; 0 if more
 * bytes are needed; -1 if it is not one. */
int proxy_read(const char *buf, size_t len, struct proxy *p);

#endif
