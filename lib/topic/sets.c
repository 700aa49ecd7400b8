/*
 * sets.c - see sets.h.
 *
 * The topics that a set lists are in an open-addressed table in the pool, at most half full, made
 * when the set is.
 */
#include "lib/topic/sets.h"

#include "lib/topic/names.h"
#include "lib/topic/room.h"
#include "lib/topic/sort.h"
#include "lib/topic/wild.h"

#define MEMBER_SLOTS_MIN 4u /* a unit of the pool */

struct topic_slot {
    uint32_t topic, edge; /* 0: free */
};

/* The parts of an expression, in a block of the pool unless it is one: patterns first, then
 * plain names. */
struct parts {
    uint32_t block; /* 0: none is needed */
    struct span one;
    struct span *at;
    uint32_t patterns, names;
};

/* ---- a set's table of topics ----------------------------------------------------------------- */

/* Returns the first slot to try for a topic in a table of `cap` slots. Topics with consecutive
 * numbers tend to come and go together, so eight of them share a cache line; beyond that the slot
 * is keyed, as a peer can influence the numbers. */
static uint32_t home_of(const struct topics *t, uint32_t topic, uint32_t cap)
{
    uint64_t x = (topic >> 3 ^ t->h->seed[0]) * 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 32) * 0xD6E8FEB86659FD93u;
    return ((uint32_t)(x >> 32) << 3 | (topic & 7)) & (cap - 1);
}

static struct topic_slot *slots_of(const struct topics *t, const struct topic_set *set)
{
    return pool_at(&t->sets, set->members);
}

/* Returns the slot of a topic, or the free one for it. */
static struct topic_slot *slot_for(const struct topics *t, struct topic_slot *slots, uint32_t cap,
                                   uint32_t topic)
{
    uint32_t i = home_of(t, topic, cap);
    while (slots[i].topic != 0 && slots[i].topic != topic)
        i = (i + 1) & (cap - 1);
    return &slots[i];
}

/* Makes the table for that many topics. Returns false if there is no room. */
static bool members_make(struct topics *t, struct topic_set *set, uint32_t n)
{
    uint32_t cap = MEMBER_SLOTS_MIN;
    while (cap < n * 2)
        cap *= 2;
    set->members = room_block(t, cap * sizeof(struct topic_slot));
    if (set->members == 0)
        return false;
    memset(slots_of(t, set), 0, cap * sizeof(struct topic_slot));
    set->member_cap = cap;
    return true;
}

/* Returns true if the set lists the topic by name. */
static bool lists(const struct topics *t, const struct topic_set *set, uint32_t topic)
{
    return set->member_count > 0 &&
           slot_for(t, slots_of(t, set), set->member_cap, topic)->topic == topic;
}

bool topic_in_set(const struct topics *t, uint32_t set, uint32_t topic)
{
    const struct topic_set *s = set_used(t, set);
    assert(topic != 0);
    return lists(t, s, topic) || (s->wild && wild_has(t, s, topic_used(t, topic)));
}

/* *pos counts the slots, and after them the number of the last topic tested. */
uint32_t topic_member(const struct topics *t, uint32_t id, uint32_t *pos)
{
    uint32_t topic;
    if (!topic_is_set(id))
        return (*pos)++ == 0 ? id : 0;
    const struct topic_set *e = set_used(t, id);
    while (*pos < e->member_cap) {
        topic = slots_of(t, e)[(*pos)++].topic;
        if (topic != 0)
            return topic;
    }
    if (!e->wild || *pos == UINT32_MAX)
        return 0;
    while ((topic = wild_candidate(t, e, *pos - e->member_cap)) != 0) {
        *pos = e->member_cap + topic;
        if (wild_has(t, e, topic_at(t, topic)) && !lists(t, e, topic))
            return topic;
    }
    *pos = UINT32_MAX;
    return 0;
}

uint32_t topic_weight(const struct topics *t, uint32_t id)
{
    if (!topic_is_set(id))
        return 1;
    const struct topic_set *s = set_used(t, id);
    return s->wild ? wild_weight(t, s) : 1;
}

uint32_t topic_members_most(const struct topics *t, uint32_t id)
{
    if (!topic_is_set(id))
        return 1;
    const struct topic_set *e = set_used(t, id);
    return e->member_count + (e->wild ? wild_candidates(t, e) : 0);
}

/* ---- edges ----------------------------------------------------------------------------------- */

/* Adds a topic to a set that lacks it. Returns false if there is no room. */
static bool edge_add(struct topics *t, uint32_t set, uint32_t topic)
{
    struct topic_set *s = set_used(t, set);
    struct topic *e = topic_used(t, topic);
    assert(s->member_count * 2 < s->member_cap);
    uint32_t edge = room_edge(t);
    if (edge == 0)
        return false;
    struct topic_slot *slot = slot_for(t, slots_of(t, s), s->member_cap, topic);
    assert(slot->topic == 0);
    *slot = (struct topic_slot){topic, edge};
    s->member_count++;
    room_edge_link(t, &e->edges, edge, set);
    e->listed++;
    t->h->version++;
    t->h->sets_version++;
    return true;
}

/* Removes an edge from its topic's list; the caller frees the slot in its set's table. */
static void edge_drop(struct topics *t, uint32_t topic, uint32_t edge)
{
    struct topic *e = topic_used(t, topic);
    room_edge_unlink(t, &e->edges, edge);
    e->listed--;
    t->h->version++;
    t->h->sets_version++;
}

/* ---- sets ------------------------------------------------------------------------------------ */

void set_drop(struct topics *t, uint32_t set, void (*unlisted)(void *arg, uint32_t topic),
              void *arg)
{
    struct topic_set *s = set_used(t, set);
    if (s->wild)
        wild_drop(t, set);
    for (uint32_t i = 0; i < s->member_cap; i++) {
        struct topic_slot slot = slots_of(t, s)[i];
        if (slot.topic == 0)
            continue;
        edge_drop(t, slot.topic, slot.edge);
        unlisted(arg, slot.topic);
    }
    if (s->members != 0)
        pool_free(&t->sets, s->members);
    s->members = 0;
    t->h->sets--;
    topics_entry_drop(t, set);
}

/* Frees a topic made for a set that could not be completed: nothing else uses it. */
static void unmake(void *arg, uint32_t topic)
{
    struct topics *t = arg;
    if (topic_at(t, topic)->fresh)
        topic_drop(t, topic);
}

/* Adds a topic to a set by its name. Returns false if there is no room. */
static bool set_list(struct topics *t, uint32_t set, struct span name)
{
    bool made = false;
    uint32_t topic = t->may.topics > 0 ? topic_open(t, name, &made) : topic_find(t, name);
    if (topic == 0) {
        t->full = t->may.topics > 0 ? t->full : TOPIC_FULL_SHARE;
        return false;
    }
    t->may.topics -= made;
    topic_at(t, topic)->fresh = made;
    if (edge_add(t, set, topic))
        return true;
    if (made)
        topic_drop(t, topic);
    return false;
}

/* Makes the set whose name is in that block, which it owns on success. Uses the parts up. */
static uint32_t set_make(struct topics *t, const struct parts *parts, uint32_t block, uint32_t size,
                         uint64_t hash)
{
    uint32_t id = topics_entry_add(t, TOPIC_SET, block, size, hash);
    if (id == 0) {
        pool_free(&t->sets, block);
        t->full = TOPIC_FULL_TOPICS;
        return 0;
    }
    struct topic_set *s = set_at(t, id);
    s->names = parts->names;
    t->h->sets++;
    bool done = parts->names == 0 || members_make(t, s, parts->names);
    for (uint32_t i = 0; i < parts->names && done; i++)
        done = set_list(t, id, parts->at[parts->patterns + i]);
    done = done && (parts->patterns == 0 || wild_add(t, id, parts->patterns, parts->at));
    if (!done) {
        set_drop(t, id, unmake, t);
        return 0;
    }
    return id;
}

/* Returns the set of these parts, made if need be. */
static uint32_t set_open(struct topics *t, const struct parts *parts)
{
    size_t size = 0;
    uint32_t count = parts->patterns + parts->names;
    for (uint32_t i = 0; i < count; i++)
        size += parts->at[i].n + (i > 0);
    size += count == 1 && parts->names == 1; /* a comma makes its name differ from the topic's */
    uint32_t block = room_block(t, size);
    if (block == 0)
        return 0;
    char *name = pool_at(&t->sets, block), *to = name;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            *to++ = ',';
        memcpy(to, parts->at[i].p, parts->at[i].n);
        to += parts->at[i].n;
    }
    if (to < name + size)
        *to = ',';
    uint64_t hash = topics_hash(t, (struct span){name, size});
    uint32_t id = topics_entry_find(t, (struct span){name, size}, hash);
    if (id == 0)
        return set_make(t, parts, block, (uint32_t)size, hash);
    pool_free(&t->sets, block);
    return id;
}

/* ---- from a topic to its sets ---------------------------------------------------------------- */

uint32_t sets_with(const struct topics *t, uint32_t topic)
{
    const struct topic *e = topic_used(t, topic);
    uint32_t first = 0;
    for (uint32_t edge = e->edges; edge != 0; edge = t->edge[edge].next) {
        struct topic_set *set = set_at(t, t->edge[edge].set);
        set->found = 1;
        set->found_next = first;
        first = t->edge[edge].set;
    }
    first = wild_find(t, topic_key_name(t, e), first);
    for (uint32_t set = first; set != 0; set = set_at(t, set)->found_next)
        set_at(t, set)->found = 0;
    return first;
}

/* ---- what a path selects --------------------------------------------------------------------- */

static size_t parts_count(struct span s)
{
    size_t n = 0;
    do {
        span_cut(&s, ',');
        n++;
    } while (s.p != NULL);
    return n;
}

/* Returns true if a pattern has a "*" after its first TOPIC_STARS segments. */
static bool is_star_late(struct span pattern)
{
    for (unsigned n = 0; pattern.p != NULL; n++)
        if (span_eq(span_cut(&pattern, '/'), SPAN("*")) && n >= TOPIC_STARS)
            return true;
    return false;
}

static size_t segments_of(struct span pattern)
{
    size_t n = 1;
    for (size_t i = 0; i < pattern.n; i++)
        n += pattern.p[i] == '/';
    return n;
}

static void parts_free(struct topics *t, struct parts *parts)
{
    if (parts->block != 0)
        pool_free(&t->sets, parts->block);
    parts->block = 0;
}

/* Splits an expression of `count` parts into a block that parts_free() frees. Returns false: *why
 * says what is wrong with a part, or is NULL if there is no room. */
static bool parts_split(struct topics *t, struct parts *parts, struct span s, uint32_t count,
                        const char **why)
{
    *parts = (struct parts){.at = &parts->one};
    if (count > 1) {
        parts->block = room_block(t, count * sizeof(struct span));
        if (parts->block == 0)
            return false;
        parts->at = pool_at(&t->sets, parts->block);
    }
    size_t segments = 0;
    do {
        struct span part = span_cut(&s, ',');
        *why = topic_pattern_wrong(part);
        if (*why == NULL)
            *why = topic_name_hint(part);
        segments += topic_is_pattern(part) ? segments_of(part) : 0;
        if (segments > TOPIC_SEGMENTS)
            *why = "has wildcards of more than 16384 segments in all";
        if (*why == NULL && is_star_late(part))
            *why = "has a \"*\" behind its eighth segment";
        if (*why != NULL) {
            parts_free(t, parts);
            return false;
        }
        if (topic_is_pattern(part))
            parts->at[parts->patterns++] = part;
        else
            parts->at[count - ++parts->names] = part;
    } while (s.p != NULL);
    struct span *names = parts->at + parts->patterns;
    parts->patterns = sort_unique(parts->at, parts->patterns);
    parts->names = sort_unique(names, parts->names);
    memmove(parts->at + parts->patterns, names, parts->names * sizeof(struct span));
    return true;
}

/* Reports a topic through made() if it is fresh, and clears that mark. */
static void report_fresh(struct topics *t, uint32_t topic, void (*made)(void *arg, uint32_t topic),
                         void *arg)
{
    if (!topic_at(t, topic)->fresh)
        return;
    topic_at(t, topic)->fresh = 0;
    made(arg, topic);
}

/* Returns the entry of these parts. */
static uint32_t parts_open(struct topics *t, const struct parts *parts)
{
    if (parts->patterns > 0 || parts->names > 1)
        return set_open(t, parts);
    bool made;
    uint32_t id = topic_open(t, parts->at[0], &made);
    if (id != 0)
        topic_at(t, id)->fresh = made;
    return id;
}

static uint32_t select_entry(struct topics *t, struct span expression, uint32_t most, bool set,
                             void (*made)(void *arg, uint32_t topic), void *arg, const char **why)
{
    size_t count = parts_count(expression);
    assert(expression.n <= UINT32_MAX);
    *why = NULL;
    if (count > most) {
        *why = "has more parts than are allowed";
        return 0;
    }
    /* An entry of exactly this name was checked when it was made. */
    uint32_t id = topics_entry_find(t, expression, topics_hash(t, expression));
    bool odd =
        expression.n > 0 && expression.p[expression.n - 1] == ','; /* which no client may ask for */
    if (id != 0 && !odd && (!set || topic_is_set(id)))
        return id;
    struct parts parts;
    room_begin(t);
    if (!parts_split(t, &parts, expression, (uint32_t)count, why))
        return 0;
    id = set ? set_open(t, &parts) : parts_open(t, &parts);
    parts_free(t, &parts);
    if (id == 0)
        return 0;
    if (!topic_is_set(id)) {
        report_fresh(t, id, made, arg);
        return id;
    }
    const struct topic_set *s = set_at(t, id);
    for (uint32_t i = 0; i < s->member_cap; i++)
        if (slots_of(t, s)[i].topic != 0)
            report_fresh(t, slots_of(t, s)[i].topic, made, arg);
    return id;
}

uint32_t topic_select(struct topics *t, struct span expression, uint32_t most,
                      void (*made)(void *arg, uint32_t topic), void *arg, const char **why)
{
    return select_entry(t, expression, most, false, made, arg, why);
}

uint32_t topic_select_set(struct topics *t, struct span expression, uint32_t most,
                          void (*made)(void *arg, uint32_t topic), void *arg, const char **why)
{
    return select_entry(t, expression, most, true, made, arg, why);
}
