/*
 * once.c - an index of the records that have a key.
 */
#include "lib/broker/once.h"

#include "lib/hash.h"

_Static_assert(sizeof(struct once_line) == 64, "as processors fetch");

#define TAG_BITS 12u

void once_init(struct once *o, struct ring *r, uint64_t seed, void *memory)
{
    *o = (struct once){.ring = r,
                       .line = memory,
                       .mask = once_size(r->size) / sizeof(struct once_line) - 1,
                       .secret = r->key != 0 ? r->key : seed};
}

void once_hash(const struct once *o, struct span topic, struct span key, uint64_t out[2])
{
    char bytes[2 * RING_NAME_MAX + 1];
    assert(topic.n <= RING_NAME_MAX && key.n > 0 && key.n <= RING_NAME_MAX);
    memcpy(bytes, topic.p, topic.n);
    bytes[topic.n] = '\0'; /* no name has this byte */
    memcpy(bytes + topic.n + 1, key.p, key.n);
    hash_wide(out, o->secret, UINT64_C(0x6b6579), (struct span){bytes, topic.n + 1 + key.n});
    out[0] += out[0] == 0; /* 0 is none */
    __builtin_prefetch(&o->line[out[0] & o->mask], 1);
}

static inline uint64_t slot_of(uint64_t at, uint64_t hash)
{
    return at << (TAG_BITS - 4) | hash >> (64 - TAG_BITS);
}

static inline uint64_t offset_in(uint64_t slot)
{
    return slot >> TAG_BITS << 4;
}

uint64_t once_newest(const struct once *o, const uint64_t key[2])
{
    const struct once_line *line = &o->line[key[0] & o->mask];
    return offset_in(line->slot[line->newest]);
}

/* Puts the record at `at`, which has that key, into a slot: that of the oldest of its line. */
static inline void once_put(struct once *o, uint64_t at, const struct ring_key *key)
{
    struct once_line *line = &o->line[key->hash[0] & o->mask];
    line->newest = line->newest + 1 < ONCE_SLOTS ? line->newest + 1 : 0;
    line->slot[line->newest] = slot_of(at, key->hash[0]);
    assert(at >> 56 == 0);
}

void once_adopt(struct once *o, uint64_t at)
{
    once_put(o, at, ring_key(ring_place(o->ring, at)));
}

void once_add(struct once *o, uint64_t at)
{
    struct ring_key *key = ring_key(ring_writable(o->ring, at));
    key->older = once_newest(o, key->hash);
    assert(key->older < at);
    once_put(o, at, key);
}

/* Returns true if the record at `at`, which is there or held, has that key. */
static inline bool has(const struct once *o, uint64_t at, const uint64_t key[2])
{
    const struct ring_key *k = ring_key(ring_place(o->ring, at));
    return k->hash[0] == key[0] && k->hash[1] == key[1];
}

uint64_t once_find(const struct once *o, const uint64_t key[2])
{
    const struct once_line *line = &o->line[key[0] & o->mask];
    uint64_t tail = ring_tail(o->ring), found = 0, like = slot_of(0, key[0]);
    for (size_t i = 0; i < ONCE_SLOTS; i++) {
        if ((line->slot[i] ^ like) << (64 - TAG_BITS) != 0)
            continue;
        uint64_t at = offset_in(line->slot[i]);
        if (at >= tail && at > found && has(o, at, key))
            found = at; /* there may be an older one, which is purged */
    }
    size_t oldest = line->newest + 1 < ONCE_SLOTS ? line->newest + 1 : 0;
    for (uint64_t at = offset_in(line->slot[oldest]); found == 0 && at >= tail;) {
        found = has(o, at, key) ? at : 0;
        assert(ring_key(ring_place(o->ring, at))->older < at);
        at = ring_key(ring_place(o->ring, at))->older;
    }
    return found;
}
