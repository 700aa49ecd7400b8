/*
 * remember.c - a table of hashes.
 */
#include "lib/auth/remember.h"

#include "lib/hash.h"

static struct remember_hash hash_of(const struct remember *r, struct span token)
{
    struct remember_hash h = {hash_table(r->seed[0], r->seed[1], token),
                              hash_table(r->seed[2], r->seed[3], token)};
    h.b |= h.a == 0; /* never none */
    return h;
}

/* Puts it first; those up to `way` make room. */
static void put_first(struct remember_hash set[REMEMBER_WAYS], size_t way, struct remember_hash h)
{
    memmove(&set[1], &set[0], way * sizeof(set[0]));
    set[0] = h;
}

bool remember_has(struct remember *r, struct span token)
{
    if (r->n == 0)
        return false;
    struct remember_hash h = hash_of(r, token), *set = r->set[h.a % REMEMBER_SETS];
    for (size_t way = 0; way < REMEMBER_WAYS; way++)
        if (set[way].a == h.a && set[way].b == h.b) {
            put_first(set, way, h);
            return true;
        }
    return false;
}

void remember_add(struct remember *r, struct span token)
{
    struct remember_hash h = hash_of(r, token);
    put_first(r->set[h.a % REMEMBER_SETS], REMEMBER_WAYS - 1, h);
    r->n++;
}

void remember_clear(struct remember *r)
{
    if (r->n > 0)
        memset(r->set, 0, sizeof(r->set));
    r->n = 0;
}
