/*
 * peer.h - how many connections each address has.
 *
 * What counts as one address: an IPv4 address, also where it comes as IPv6 (::ffff:192.0.2.1); of
 * IPv6 all of a /64, which is what one subscriber of a provider, or one network, is given. A peer
 * on a unix socket has none.
 *
 * An address is there as long as it has connections. Entering and leaving cost O(1): the table is
 * hashed with a key, so that peers can't choose collisions, and nothing is left of those who go.
 *
 * MEMORY: handed by the caller, zeroed, flat: numbers only, no pointers, so it may be mapped
 * elsewhere later. It is touched from the front as addresses come, so it may be much larger than
 * what there is.
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

/* Bytes of memory for `max` addresses: as many as there can be connections. */
size_t peers_size(uint32_t max);

/* Sets up an empty table in zeroed memory of that size; `seed` is random. */
void peers_init(struct peers *p, uint32_t max, void *memory, const uint64_t seed[2]);

/* Uses memory that peers_init() set up before, perhaps elsewhere. */
void peers_attach(struct peers *p, uint32_t max, void *memory);

/* Counts a connection from address *a, whose length is `len` as accept() gave it. Returns the
 * number of its entry, to be kept until it leaves, and in *count how many connections the address
 * has now, this one included; 0 and 0 where it has no address, or the table is full. */
uint32_t peer_enter(struct peers *p, const struct sockaddr_storage *a, socklen_t len,
                    uint32_t *count);

/* Takes a connection off the count of its entry. Nothing happens for entry 0. */
void peer_leave(struct peers *p, uint32_t entry);

/* How many addresses there are. */
uint32_t peers_count(const struct peers *p);

#endif
