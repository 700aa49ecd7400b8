/*
 * throttle.c - limits failures per address.
 */
#include "lib/auth/throttle.h"

#include <stddef.h>

/* Returns the set of a key: the bits in which neighbours differ are at either end. */
static struct throttle_place *set_of(struct throttle *t, uint64_t key)
{
    uint64_t mixed = key * 0x9e3779b97f4a7c15u;
    return t->place[(mixed >> 32) % THROTTLE_SETS];
}

/* Returns the place of a key, or the one to give it. */
static struct throttle_place *place_of(struct throttle *t, uint64_t key)
{
    struct throttle_place *set = set_of(t, key), *oldest = set;
    for (unsigned i = 0; i < THROTTLE_WAYS; i++) {
        if (set[i].until != 0 && set[i].key == key)
            return &set[i];
        if (set[i].until < oldest->until)
            oldest = &set[i];
    }
    *oldest = (struct throttle_place){.key = key, .until = 0};
    return oldest;
}

uint32_t throttle_fail(struct throttle *t, uint64_t key, uint64_t now, uint32_t most)
{
    struct throttle_place *p = place_of(t, key);
    uint64_t each = THROTTLE_MS / most > 0 ? THROTTLE_MS / most : 1;
    uint64_t until = (p->until > now ? p->until : now) + each;
    if (until - now > each * most)
        return (uint32_t)((until - now - each * most + 999) / 1000);
    p->until = until;
    return 0;
}
