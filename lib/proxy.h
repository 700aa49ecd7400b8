/*
 * proxy.h - the PROXY protocol, versions 1 and 2: whom a connection is from, told before its first
 * byte by the proxy that makes it (haproxy.org/download/2.9/doc/proxy-protocol.txt).
 *
 *     v1   PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n      a line, 107 bytes at most
 *     v2   | \r\n\r\n\0\r\nQUIT\n | version, command | family | length | addresses | TLVs |
 *
 * What is no header is known by its first wrong byte or at its end, however the bytes were cut.
 * TLVs are passed over; the CRC-32C that may be among them is looked at. The addresses of the other
 * end are read and dropped.
 */
#ifndef SSE_LIB_PROXY_H
#define SSE_LIB_PROXY_H

#include "lib/span.h"

#include <sys/socket.h>

#define PROXY_LINE_MAX 107u               /* bytes of a header in version 1, */
#define PROXY_MAX      (16u + UINT16_MAX) /* and in version 2 */

enum proxy_says {
    PROXY_ITSELF = 0,  /* the proxy speaks for itself (LOCAL): to see whether the server is well */
    PROXY_UNKNOWN = 1, /* it is from somebody else, and no address of that one is told */
    PROXY_CLIENT = 2,  /* it is from `from` */
};

struct proxy {
    enum proxy_says says;
    socklen_t len; /* of the address; one of a unix socket has no path */
    struct sockaddr_storage from;
};

/* Reads a header at the front of what has come. >0: the bytes of it, *p is filled in; 0: more is
 * needed; -1: it is none. */
int proxy_read(const char *buf, size_t len, struct proxy *p);

#endif
