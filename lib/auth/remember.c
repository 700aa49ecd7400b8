/*
 * remember.c - a table of hashes.
 */
#include "lib/auth/remember.h"

#include "lib/hash.h"

#define PLACE ((uint64_t)REMEMBER_WAYS - 1) /* the bits of a tag that say which entry */

_Static_assert((REMEMBER_WAYS & (REMEMBER_WAYS - 1)) == 0, "a power of two");

static struct remember_tag tag_of(const struct remember *r, struct span token)
{
    struct remember_tag t = {hash_table(r->seed[0], r->seed[1], token),
                             hash_table(r->seed[2], r->seed[3], token) & ~PLACE};
    if (t.a == 0 && t.b == 0)
        t.a = 1; /* never none */
    return t;
}

/* Puts a tag first; those up to `way` make room. */
static void put_first(struct remember_tag set[REMEMBER_WAYS], size_t way, struct remember_tag t)
{
    memmove(&set[1], &set[0], way * sizeof(set[0]));
    set[0] = t;
}

const struct remember_entry *remember_find(struct remember *r, struct span token)
{
    if (r->n == 0)
        return NULL;
    struct remember_tag t = tag_of(r, token), *set = r->tag[t.a % REMEMBER_SETS];
    for (size_t way = 0; way < REMEMBER_WAYS; way++)
        if (set[way].a == t.a && (set[way].b & ~PLACE) == t.b) {
            put_first(set, way, set[way]);
            return &r->entry[t.a % REMEMBER_SETS][set[0].b & PLACE];
        }
    return NULL;
}

void remember_add(struct remember *r, struct span token, const struct auth_claims *claims,
                  const struct bearer *bearer)
{
    struct remember_entry e = {.bearer = *bearer, .admin = claims->admin};
    size_t publish = claims->publish.n, subscribe = claims->subscribe.n, used = 0;
    struct remember_tag t = tag_of(r, token), *set = r->tag[t.a % REMEMBER_SETS];
    while (used < REMEMBER_WAYS && (set[used].a != 0 || set[used].b != 0))
        used++;
    t.b |= used < REMEMBER_WAYS ? used : set[REMEMBER_WAYS - 1].b & PLACE;
    e.claims = publish + subscribe <= REMEMBER_SCOPES && claims->purge.n == 0 &&
               claims->expires_s < UINT32_MAX && claims->begins_s < UINT32_MAX;
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
    r->entry[t.a % REMEMBER_SETS][t.b & PLACE] = e;
    put_first(set, REMEMBER_WAYS - 1, t);
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
    if (r->n > 0) {
        memset(r->tag, 0, sizeof(r->tag));
        memset(r->entry, 0, sizeof(r->entry));
    }
    r->n = 0;
}
