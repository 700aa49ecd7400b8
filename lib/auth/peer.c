/*
 * peer.c - counts the connections of each address.
 *
 * Entries are found by linear hashing (lib/linear.h), and are taken from a free list or else from
 * the unused rest behind; so memory is touched in step with the addresses that are known.
 */
#include "lib/auth/peer.h"

#include "lib/hash.h"
#include "lib/linear.h"

#include <assert.h>
#include <netinet/in.h>

struct peers_head {
    uint64_t seed[2];
    uint32_t max;
    struct linear table;
    uint32_t used, free; /* entries: numbers ever given, first of those taken back */
    uint32_t count;      /* addresses */
    uint32_t unused[2];
};

/* The key of one address. */
struct peer_key {
    uint64_t prefix; /* as it stands in the address */
    uint64_t family; /* as long as that, so that no byte of it is undefined */
};

struct peer {
    struct peer_key key;
    uint32_t hash;  /* the low bits */
    uint32_t next;  /* in its bucket, or in the free list */
    uint32_t count; /* connections; 0: the number is free */
    uint32_t unused;
};

/* ---- the table ------------------------------------------------------------------------------- */

/* Rounds up so that the entries start on a cache line of their own. */
static size_t buckets_size(uint32_t max)
{
    return ((size_t)max * sizeof(uint32_t) + 63) & ~(size_t)63;
}

static uint32_t *buckets_of(const struct peers *p)
{
    return (uint32_t *)(void *)(p->h + 1);
}

/* Entry `id`, 1 to max. */
static struct peer *peer_at(const struct peers *p, uint32_t id)
{
    char *entries = (char *)(p->h + 1) + buckets_size(p->h->max);
    assert(id > 0 && id <= p->h->used);
    return (struct peer *)(void *)entries + (id - 1);
}

static uint32_t *entry_link(const void *peers, uint32_t id, uint64_t *hash)
{
    struct peer *e = peer_at(peers, id);
    *hash = e->hash;
    return &e->next;
}

static uint32_t *bucket_of(const struct peers *p, uint32_t hash)
{
    return linear_bucket(&p->h->table, buckets_of(p), hash);
}

/* Makes the entry of a key that isn't in the table; 0 if there is no room. */
static uint32_t entry_add(struct peers *p, struct peer_key key, uint32_t hash)
{
    struct peers_head *h = p->h;
    uint32_t id = h->free;
    if (id != 0)
        h->free = peer_at(p, id)->next;
    else if (h->used < h->max)
        id = ++h->used;
    else
        return 0;
    if (h->count >= h->table.buckets)
        linear_split(&h->table, buckets_of(p), p, entry_link);
    uint32_t *bucket = bucket_of(p, hash);
    *peer_at(p, id) = (struct peer){.key = key, .hash = hash, .next = *bucket};
    *bucket = id;
    h->count++;
    return id;
}

static void entry_drop(struct peers *p, uint32_t id)
{
    linear_remove(&p->h->table, buckets_of(p), id, p, entry_link);
    *peer_at(p, id) = (struct peer){.next = p->h->free};
    p->h->free = id;
    p->h->count--;
}

static uint32_t lookup(const struct peers *p, struct peer_key key, uint32_t hash)
{
    uint32_t id = *bucket_of(p, hash);
    while (id != 0) {
        const struct peer *e = peer_at(p, id);
        if (e->key.prefix == key.prefix && e->key.family == key.family)
            break;
        id = e->next;
    }
    return id;
}

/* ---- setting up ------------------------------------------------------------------------------ */

size_t peers_size(uint32_t max)
{
    assert(max > 0 && max <= PEERS_MAX);
    return sizeof(struct peers_head) + buckets_size(max) + (size_t)max * sizeof(struct peer);
}

void peers_init(struct peers *p, uint32_t max, void *memory, const uint64_t seed[2])
{
    struct peers_head *h = memory;
    assert(max > 0 && max <= PEERS_MAX);
    *h = (struct peers_head){.seed = {seed[0], seed[1]}, .max = max, .table = LINEAR_EMPTY};
    peers_attach(p, max, memory);
}

void peers_attach(struct peers *p, uint32_t max, void *memory)
{
    p->h = memory;
    assert(p->h->max == max);
}

uint32_t peers_count(const struct peers *p)
{
    return p->h->count;
}

/* ---- addresses ------------------------------------------------------------------------------- */

/* Sets *key to the address of *a. Returns false if it has none. */
static bool key_of(const struct sockaddr_storage *a, socklen_t len, struct peer_key *key)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)a;
    *key = (struct peer_key){0, AF_INET};
    if (len >= sizeof *v4 && a->ss_family == AF_INET) {
        memcpy(&key->prefix, &v4->sin_addr, 4);
        return true;
    }
    if (len < sizeof *v6 || a->ss_family != AF_INET6)
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        memcpy(&key->prefix, v6->sin6_addr.s6_addr + 12, 4);
        return true;
    }
    memcpy(&key->prefix, v6->sin6_addr.s6_addr, 8);
    key->family = AF_INET6;
    return true;
}

uint32_t peer_enter(struct peers *p, const struct sockaddr_storage *a, socklen_t len,
                    uint32_t *count)
{
    struct peer_key key;
    *count = 0;
    if (!key_of(a, len, &key))
        return 0;
    struct span bytes = {(const char *)&key, sizeof key};
    uint32_t hash = (uint32_t)hash_table(p->h->seed[0], p->h->seed[1], bytes);
    uint32_t id = lookup(p, key, hash);
    if (id == 0)
        id = entry_add(p, key, hash);
    if (id != 0)
        *count = ++peer_at(p, id)->count;
    return id;
}

void peer_leave(struct peers *p, uint32_t entry)
{
    if (entry == 0)
        return;
    struct peer *e = peer_at(p, entry);
    assert(e->count > 0);
    if (--e->count == 0)
        entry_drop(p, entry);
}
