/*
 * tally.h - counts by key that one process writes and others read.
 *
 *   key --> one of TALLY_NEAR places from where it hashes to: | key | count |
 *
 * Each process has a table of its own in memory that all share, and adds up what the others' tables
 * have for a key. Nobody locks: each word is written at once, by the owner alone, so a table is
 * right wherever its owner dies; whoever buries it clears the memory. A place whose count is 0 may
 * be given to another key; who reads meanwhile may see one that was there a moment ago.
 *
 * Keys are hashes, and not 0, keyed by the caller so that clients
 * cannot choose where they collide.
 *
 * MEMORY: handed by the caller, tally_size() zeroed bytes; touched as used.
 */
#ifndef SSE_LIB_TALLY_H
#define SSE_LIB_TALLY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TALLY_NEAR  16u
#define TALLY_BYTES 64u /* of a table, for each key, at most; besides a kilobyte */

struct tally_place {
    _Atomic uint64_t key;
    _Atomic uint32_t count;
};

struct tally {
    struct tally_place *place;
    uint32_t mask;
};

/* Returns the bytes of a table for `max` keys at a time (up to 2^30). */
size_t tally_size(uint32_t max);

/* Uses the memory for such a table, as it is: zeroed it is empty. */
void tally_init(struct tally *t, uint32_t max, void *memory);

/* Counts one more of a key. Returns its place, from 1; 0: there is none for it, and it is not
 * counted. For the owner alone. */
uint32_t tally_add(struct tally *t, uint64_t key);

/* Counts one less at a place that tally_add() returned, or of a key: false: none is counted. */
void tally_drop(struct tally *t, uint32_t place);
bool tally_drop_key(struct tally *t, uint64_t key);

/* Returns how many of a key are counted. */
uint32_t tally_count(const struct tally *t, uint64_t key);

#endif
