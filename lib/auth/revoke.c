/*
 * revoke.c - a table of hashes, and chains to find them by.
 */
#include "lib/auth/revoke.h"

#include "lib/hash.h"

#include <assert.h>

enum { FREE = 0, JTI = 1, SUB = 2 };

struct entry {
    uint64_t check;        /* of what follows */
    uint8_t id[REVOKE_ID]; /* of the jti or sub */
    uint8_t kind, unused;
    uint32_t before; /* SUB: tokens issued before this */
    uint32_t until;
    uint64_t zero;
};

struct revoke_table {
    uint64_t seed[2]; /* both 0: nothing is here yet */
    uint64_t changes; /* counts them */
    uint64_t unused[5];
    struct entry entry[REVOKE_MAX];
};

_Static_assert(sizeof(struct entry) == 32, "as REVOKE_MAX has it");
_Static_assert(sizeof(struct revoke_table) <= REVOKE_BYTES, "it fits");
_Static_assert(sizeof(struct bearer) == 16, "one for each connection");

static uint64_t check_of(const struct revoke_table *t, const struct entry *e)
{
    return hash_table(t->seed[1], t->seed[0],
                      (struct span){(const char *)e->id, sizeof(*e) - offsetof(struct entry, id)});
}

/* The hash of a name; never all zero. */
static void id_of(const struct revoke_table *t, uint8_t id[REVOKE_ID], int kind, struct span name)
{
    uint64_t h = hash_table(t->seed[0], t->seed[1] ^ (uint64_t)kind, name);
    for (unsigned i = 0; i < REVOKE_ID; i++)
        id[i] = (uint8_t)(h >> 8 * i);
    if (h << 16 == 0)
        id[0] = 1;
}

static uint16_t *bucket_of(struct revoked *r, const uint8_t id[REVOKE_ID])
{
    return &r->bucket[((unsigned)id[1] << 8 | id[2]) % REVOKE_BUCKETS];
}

/* Makes the chains. */
static void index_make(struct revoked *r)
{
    memset(r->bucket, 0, sizeof(r->bucket));
    r->seen = r->t->changes;
    for (uint32_t i = 1; i <= REVOKE_MAX; i++) {
        const struct entry *e = &r->t->entry[i - 1];
        if (e->kind == FREE)
            continue;
        uint16_t *bucket = bucket_of(r, e->id);
        r->next[i] = *bucket;
        *bucket = (uint16_t)i;
    }
}

/* The entry of that kind and name, or NULL: also for all zero, which no entry is. */
static struct entry *find(struct revoked *r, int kind, const uint8_t id[REVOKE_ID])
{
    for (uint16_t i = *bucket_of(r, id); i != 0; i = r->next[i]) {
        struct entry *e = &r->t->entry[i - 1];
        if (e->kind == kind && memcmp(e->id, id, REVOKE_ID) == 0)
            return e;
    }
    return NULL;
}

uint32_t revoke_attach(struct revoked *r, void *memory, const uint64_t seed[2])
{
    struct revoke_table *t = memory;
    uint32_t damaged = 0;
    r->t = t;
    if (t->seed[0] == 0 && t->seed[1] == 0) {
        t->seed[0] = seed[0] | 1;
        t->seed[1] = seed[1];
    }
    for (uint32_t i = 0; i < REVOKE_MAX; i++) {
        struct entry *e = &t->entry[i];
        if (e->kind == FREE || e->check == check_of(t, e))
            continue;
        *e = (struct entry){.kind = FREE};
        damaged++;
    }
    index_make(r);
    return damaged;
}

struct bearer revoke_bearer(const struct revoked *r, struct span jti, struct span sub, uint64_t iat)
{
    struct bearer b = {.iat = iat < REVOKE_EVER ? (uint32_t)iat : REVOKE_EVER};
    if (r->t != NULL && jti.n > 0)
        id_of(r->t, b.jti, JTI, jti);
    if (r->t != NULL && sub.n > 0)
        id_of(r->t, b.sub, SUB, sub);
    return b;
}

/* A place for one more, or NULL. */
static struct entry *free_place(struct revoked *r, uint64_t now, uint32_t most)
{
    uint32_t n = 0;
    struct entry *place = NULL;
    for (uint32_t i = 0; i < REVOKE_MAX; i++) {
        struct entry *e = &r->t->entry[i];
        bool is_free = e->kind == FREE || e->until <= now;
        n += !is_free;
        if (is_free && place == NULL)
            place = e;
    }
    return n < most ? place : NULL;
}

static uint32_t time_of(uint64_t s)
{
    return s < REVOKE_EVER ? (uint32_t)s : REVOKE_EVER;
}

bool revoke_add(struct revoked *r, const struct revocation *x, uint64_t now, uint32_t most)
{
    assert(r->t != NULL && (x->jti.n > 0) != (x->sub.n > 0));
    int kind = x->jti.n > 0 ? JTI : SUB;
    struct entry new = {.kind = (uint8_t)kind,
                        .before = kind == SUB ? time_of(x->before) : 0,
                        .until = time_of(x->until)};
    id_of(r->t, new.id, kind, kind == JTI ? x->jti : x->sub);
    index_make(r);
    struct entry *e = find(r, kind, new.id);
    if (e != NULL && e->until > now) {
        new.before = e->before > new.before ? e->before : new.before;
        new.until = e->until > new.until ? e->until : new.until;
    }
    if (e == NULL)
        e = free_place(r, now, most);
    if (e == NULL)
        return false;
    new.check = check_of(r->t, &new);
    *e = new;
    r->t->changes++;
    return true;
}

bool revoke_has(struct revoked *r, const struct bearer *b, uint64_t now)
{
    if (r->t == NULL)
        return false;
    if (r->seen != r->t->changes)
        index_make(r);
    const struct entry *e = find(r, JTI, b->jti);
    if (e != NULL && e->until > now)
        return true;
    e = find(r, SUB, b->sub);
    return e != NULL && e->until > now && b->iat < e->before;
}

uint32_t revoke_count(const struct revoked *r, uint64_t now)
{
    uint32_t n = 0;
    for (uint32_t i = 0; r->t != NULL && i < REVOKE_MAX; i++)
        n += r->t->entry[i].kind != FREE && r->t->entry[i].until > now;
    return n;
}
