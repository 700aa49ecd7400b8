/*
 * once.h - finds the message that was published with a key, so that it is published once.
 *
 *   line of seven slots:  newest, .., oldest --> older --> ... --> evicted, or 0
 *
 * A key is a keyed hash of 128 bits of the topic's name and the publisher's key. A record that has
 * one carries it, and the link to the record before it in its line (ring.h), so that the index is
 * made by following the ring like all else. A slot is a record's offset and a part of its hash: a
 * record is read only if that part is the same, or if all slots of a line are in use and it may be
 * among those that had to leave it. As reading a record that is long past costs as much as a tenth
 * of publishing, and a line is what the processor fetches at once, looking for a new key mostly
 * costs one such fetch. Links lead from newer to older records; the first that leads below the
 * ring's tail ends a line, as what is behind it has been evicted as well. So a record that is
 * evicted costs the index nothing, and neither does one without a key.
 *
 * A held record is found, too: who publishes it again is to get its id.
 *
 * MEMORY: handed by the caller, once_size() zeroed bytes; touched as used. It holds offsets only.
 *
 * LIMITS: offsets below 2^56: never reached by counting bytes.
 */
#ifndef SSE_LIB_BROKER_ONCE_H
#define SSE_LIB_BROKER_ONCE_H

#include "ring.h"

#define ONCE_SLOTS 7u

struct once_line {
    uint64_t newest;           /* the number of its slot; the one after it is the oldest's */
    uint64_t slot[ONCE_SLOTS]; /* offset << 8 | the hash's top 12 bits; 0: none */
};

struct once {
    struct ring *ring;
    struct once_line *line;
    uint64_t mask;
    uint64_t secret; /* of the hash */
};

/* Returns how many bytes of memory the index over a ring of `ring_size` bytes wants. */
static inline uint64_t once_size(uint64_t ring_size)
{
    return ring_size / 1024 * sizeof(struct once_line);
}

/* Sets up the index in that memory. `seed` is random, and the same as long as the memory is; a ring
 * whose records outlive the process has a secret of its own. */
void once_init(struct once *o, struct ring *r, uint64_t seed, void *memory);

/* Makes the hash of a key (> 0 bytes, at most RING_NAME_MAX) for a topic, and has the processor
 * fetch what once_find() will read. */
void once_hash(const struct once *o, struct span topic, struct span key, uint64_t out[2]);

/* Adds the record at `at`, there or held, which has a key and is the newest that has one. */
void once_add(struct once *o, uint64_t at);

/* In a shared ring the record is linked already, to what once_newest() returns for its key, as
 * whoever puts it knows that; once_adopt() adds one that is. Who came later may know of none where
 * others know one that is evicted, which is the same. */
uint64_t once_newest(const struct once *o, const uint64_t key[2]);
void once_adopt(struct once *o, uint64_t at);

/* Returns the offset of the record with that key, there or held; 0: there is none. */
uint64_t once_find(const struct once *o, const uint64_t key[2]);

#endif
