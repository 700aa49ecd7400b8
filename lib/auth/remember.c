/*
 * remember.c - a table of hashes.
 */
#include "lib/auth/remember.h"

#include "lib/hash.h"

_Static_assert(sizeof(struct remember_entry) == 128, "two lines of the cache");

/* Where a token's entry is, or would be put: *e is set to its hash. */
static struct remember_entry *set_of(struct remember *r, struct span token,
                                     struct remember_entry *e)
{
    e->a = hash_table(r->seed[0], r->seed[1], token);
    e->b = hash_table(r->seed[2], r->seed[3], token);
    e->b |= e->a == 0; /* never none */
    return r->set[e->a % REMEMBER_SETS];
}

/* Puts it first; those up to `way` make room. */
static void put_first(struct remember_entry set[REMEMBER_WAYS], size_t way,
                      const struct remember_entry *e)
{
    const struct remember_entry first = *e;
    memmove(&set[1], &set[0], way * sizeof(set[0]));
    set[0] = first;
}

const struct remember_entry *remember_find(struct remember *r, struct span token)
{
    struct remember_entry e;
    if (r->n == 0)
        return NULL;
    struct remember_entry *set = set_of(r, token, &e);
    for (size_t way = 0; way < REMEMBER_WAYS; way++)
        if (set[way].a == e.a && set[way].b == e.b) {
            if (way > 0)
                put_first(set, way, &set[way]);
            return set;
        }
    return NULL;
}

void remember_add(struct remember *r, struct span token, const struct auth_claims *claims,
                  const struct bearer *bearer)
{
    struct remember_entry e = {.bearer = *bearer, .admin = claims->admin};
    size_t publish = claims->publish.n, subscribe = claims->subscribe.n;
    struct remember_entry *set = set_of(r, token, &e);
    e.claims = publish + subscribe <= REMEMBER_SCOPES && claims->expires_s < UINT32_MAX &&
               claims->begins_s < UINT32_MAX;
    if (e.claims) {
        e.ends = (uint32_t)claims->expires_s;
        e.begins = (uint32_t)claims->begins_s;
        e.publish_n = (uint8_t)publish;
        e.subscribe_n = (uint8_t)subscribe;
        if (publish > 0)
            memcpy(e.scopes, claims->publish.p, publish);
        if (subscribe > 0)
            memcpy(e.scopes + publish, claims->subscribe.p, subscribe);
    }
    put_first(set, REMEMBER_WAYS - 1, &e);
    r->n++;
}

bool remember_claims(const struct remember_entry *e, uint64_t now, char *room,
                     struct auth_claims *claims)
{
    if (!e->claims || now < e->begins || (e->ends != 0 && now >= e->ends))
        return false;
    memcpy(room, e->scopes, sizeof(e->scopes));
    *claims = (struct auth_claims){.publish = {room, e->publish_n},
                                   .subscribe = {room + e->publish_n, e->subscribe_n},
                                   .expires_s = e->ends,
                                   .begins_s = e->begins,
                                   .admin = e->admin};
    return true;
}

void remember_clear(struct remember *r)
{
    if (r->n > 0)
        memset(r->set, 0, sizeof(r->set));
    r->n = 0;
}
