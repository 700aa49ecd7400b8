/*
 * peer.h - counts the connections of each address.
 *
 * One address is an IPv4 address, also where it comes as IPv6 (::ffff:192.0.2.1), or an IPv6 /64,
 * which is what one network is given. A peer on a unix socket has no address.
 *
 * An address is in the table while it has connections. Entering and leaving cost O(1); the hash is
 * keyed, so that peers cannot choose collisions.
 *
 * MEMORY: the caller's, zeroed. It holds numbers and no pointers, so it may be mapped elsewhere
 * later. It is touched from the front as addresses come, so it may be much larger than what is
 * used.
 */
#ifndef SSE_LIB_AUTH_PEER_H
#define SSE_LIB_AUTH_PEER_H

#include "lib/span.h"

#include <sys/socket.h>

#define PEERS_MAX (1u << 30) /* addresses of a table */

struct peers_head; /* the hash key, counts, free list; then the buckets, then the entries */

struct peers {
    struct peers_head *h;
};

/* Returns the bytes of memory for `max` addresses: the most connections there can be. */
size_t peers_size(uint32_t max);

/* Sets up an empty table in zeroed memory of that size; `seed` is random. */
void peers_init(struct peers *p, uint32_t max, void *memory, const uint64_t seed[2]);

/* Uses memory that peers_init() set up before, perhaps elsewhere. */
void peers_attach(struct peers *p, uint32_t max, void *memory);

/* Counts a connection from address *a, of length `len` as accept() returned it. Returns the number
 * of its entry, to be kept until peer_leave(), and sets *count to the connections of that address,
 * this one included. Returns 0 and sets *count to 0 if the peer has no address or the table is
 * full. */
uint32_t peer_enter(struct peers *p, const struct sockaddr_storage *a, socklen_t len,
                    uint32_t *count);

/* Counts one connection less for an entry. Does nothing for entry 0. */
void peer_leave(struct peers *p, uint32_t entry);

/* Returns the number of addresses that have connections. */
uint32_t peers_count(const struct peers *p);

#endif
