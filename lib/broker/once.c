/*
 * once.c - an index of the records that have a key.
 */
#include "lib/broker/once.h"

#include "lib/hash.h"

void once_init(struct once *o, struct ring *r, uint64_t seed, void *memory)
{
    *o = (struct once){.ring = r,
                       .bucket = memory,
                       .mask = once_size(r->size) / sizeof(uint64_t) - 1,
                       .secret = r->key != 0 ? r->key : seed};
}

void once_hash(const struct once *o, struct span topic, struct span key, uint64_t out[2])
{
    char bytes[2 * RING_NAME_MAX + 1];
    struct text t = text_in(bytes, sizeof bytes);
    text_add(&t, topic);
    text_add(&t, (struct span){"", 1}); /* no name has this byte */
    text_add(&t, key);
    assert(!t.full && key.n > 0);
    hash_wide(out, o->secret, UINT64_C(0x6b6579), text_span(&t));
    out[0] += out[0] == 0; /* 0 is none */
}

uint64_t once_newest(const struct once *o, const uint64_t key[2])
{
    return o->bucket[key[0] & o->mask];
}

void once_adopt(struct once *o, uint64_t at)
{
    o->bucket[ring_key(ring_place(o->ring, at))->hash[0] & o->mask] = at;
}

void once_add(struct once *o, uint64_t at)
{
    struct ring_key *key = ring_key(ring_writable(o->ring, at));
    uint64_t *bucket = &o->bucket[key->hash[0] & o->mask];
    assert(*bucket < at);
    key->older = *bucket;
    *bucket = at;
}

uint64_t once_find(const struct once *o, const uint64_t key[2])
{
    for (uint64_t at = o->bucket[key[0] & o->mask]; at >= ring_tail(o->ring);) {
        const struct ring_key *k = ring_key(ring_place(o->ring, at));
        if (k->hash[0] == key[0] && k->hash[1] == key[1])
            return at;
        assert(k->older < at);
        at = k->older;
    }
    return 0;
}
