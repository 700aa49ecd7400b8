/*
 * url.h - the URLs that the client commands take: a server's address and a target.
 *
 *     http://127.0.0.1:8080/news?since=-5      a host and a port, 80 where there is none
 *     localhost:8080/news                      the scheme may be left out
 *     http://[::1]:8080/a,b/c
 *     unix:/run/sse.sock:/news                 a unix socket, up to the first ":/"
 */
#ifndef SSE_LIB_URL_H
#define SSE_LIB_URL_H

#include "lib/text.h"

struct url {
    bool local;       /* a unix socket, at `host` */
    struct span host; /* a name or an address, an IPv6 one without its brackets */
    uint16_t port;
    struct span authority; /* host and port as they were written, for the field Host */
    struct span target;    /* path and query */
};

/* Reads `s`, into which *u will point. Returns NULL, or what is wrong, a static text. */
const char *url_read(struct span s, struct url *u);

/* Appends a byte percent-encoded (RFC 3986 section 2.1). */
void url_escape(struct text *t, char byte);

#endif
