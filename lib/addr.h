/*
 * addr.h - socket addresses as text. Numeric only: no name is ever looked up.
 */
#ifndef SSE_LIB_ADDR_H
#define SSE_LIB_ADDR_H

#include "lib/text.h"

#include <sys/socket.h>

/* Reads an IPv4 address, an IPv6 address (in brackets or not) or "unix:PATH" (1 to 107 bytes) into
 * *a, with this port. Returns false if `s` is none of them. */
bool addr_read(struct span s, uint16_t port, struct sockaddr_storage *a, socklen_t *len);

/* Reads "ADDR" or "ADDR:PORT", with IPv6 in brackets, or "unix:PATH"; `port` is the port where the
 * text names none. Returns false if `s` is none of them. */
bool addr_read_port(struct span s, uint16_t port, struct sockaddr_storage *a, socklen_t *len);

/* Appends an address as a URL: "http://127.0.0.1:8080", "http://[::1]:8080",
 * "unix:/run/sse.sock". */
void addr_write(struct text *t, const struct sockaddr_storage *a);

/* Returns true if the peer of this address is on this host: loopback in either family, or a unix
 * socket (which may have no address at all: len below that of a family). */
bool addr_local(const struct sockaddr_storage *a, socklen_t len);

/* Returns the number by which a client is counted: the IPv4 address, also where it comes as IPv6;
 * of IPv6 the /64, which is what one network is given. Returns 0 for a unix socket or no
 * address. */
uint64_t addr_key(const struct sockaddr_storage *a, socklen_t len);

/* Appends the text of a key: "192.0.2.1", "2001:db8::/64"; "unknown" for 0. */
void addr_key_write(struct text *t, uint64_t key);

/* Returns the port; 1 for a unix socket, which has none. */
uint16_t addr_port(const struct sockaddr_storage *a);

/* Returns the path of a unix socket, NUL-ended; NULL for any other address. */
const char *addr_path(const struct sockaddr_storage *a);

#endif
