/*
 * topic_model.h - the table of topics once more, made of arrays and string comparisons, and random
 * operations on both: after each of them everything that can be asked must be the same.
 *
 * The numbers that choose the operations come from the caller: a generator, or a fuzzer's bytes.
 */
#ifndef SSE_TEST_KIT_TOPIC_MODEL_H
#define SSE_TEST_KIT_TOPIC_MODEL_H

#include "lib/topic/fanout.h"
#include "lib/topic/names.h"
#include "lib/topic/order.h"
#include "lib/topic/room.h"
#include "lib/topic/sets.h"

#include <stdio.h>
#include <stdlib.h>

#define MODEL_ENTRIES 64u
#define MODEL_SUBS    12u
#define MODEL_PARTS   14u
#define MODEL_NAME    640u

/* Topic or set; id 0: none here. */
struct model_entry {
    uint32_t id;
    bool set, kept;
    char name[MODEL_NAME];
    uint32_t subs[MODEL_SUBS];     /* in turn, the next first */
    bool pending[MODEL_SUBS + 1u]; /* by subscriber: marked and not looked at since */
    uint32_t sub_count;
};

struct model_link {
    struct topic_link link;
    uint32_t beside; /* the stride is more than a link */
};

struct model {
    struct topics t;
    void *memory[4];
    struct model_link links[MODEL_SUBS + 1u];
    struct model_entry e[MODEL_ENTRIES];
    uint32_t queue[MODEL_ENTRIES], queued;
    char told[MODEL_ENTRIES][MODEL_NAME]; /* what a callback was told of */
    uint32_t tolds;
    bool tight;           /* the pool or the edges may be exhausted at any time */
    unsigned step, every; /* so many steps everything is compared */
    uint32_t (*pick)(void *arg, uint32_t bound); /* a number below bound */
    void *arg;
    uint64_t seed; /* for the message */
};

static const char *const model_names[] = {
    "a",     "b",     "c",     "a/a",        "a/b",    "b/a",
    "a/b/c", "a/b/b", "c/c/c", "\xC3\xA9/a", "orders", "a-name/of-more-than/thirty-two/bytes",
};
static const char *const model_patterns[] = {
    "*",     "**",    "a/*",   "*/b",    "a/**",  "*/*",    "b/**",   "x/*",  "*/a",
    "*/*/c", "a/b/*", "a/*/b", "*/b/**", "c/*/*", "*/*/**", "a/b/**", "x/**",
};

#define MODEL_NAMES    ((uint32_t)(sizeof(model_names) / sizeof(model_names[0])))
#define MODEL_PATTERNS ((uint32_t)(sizeof(model_patterns) / sizeof(model_patterns[0])))

#define must(m, x)                                                                          \
    do {                                                                                    \
        if (!(x)) {                                                                         \
            fprintf(stderr, "%s:%d: %s (SSE_SEED=%llu, step %u)\n", __FILE__, __LINE__, #x, \
                    (unsigned long long)(m)->seed, (m)->step);                              \
            abort();                                                                        \
        }                                                                                   \
    } while (0)

/* ---- what it should be ---- */

/* Returns true if the pattern, or name, matches the name. */
static inline bool model_match(const char *p, const char *n)
{
    size_t pn = strcspn(p, "/"), nn = strcspn(n, "/");
    if (strcmp(p, "**") == 0)
        return true;
    if (!(pn == 1 && p[0] == '*') && !(pn == nn && strncmp(p, n, pn) == 0))
        return false;
    if (p[pn] == 0 || n[nn] == 0)
        return p[pn] == n[nn];
    return model_match(p + pn + 1, n + nn + 1);
}

/* Cuts a list at its commas, in place. */
static inline uint32_t model_split(char *list, const char **part)
{
    uint32_t n = 0;
    for (char *s = strtok(list, ","); s != NULL; s = strtok(NULL, ","))
        part[n++] = s;
    return n;
}

/* Returns true if topic `name` is in the set: through any part, or by name only. */
static inline bool model_in(const struct model_entry *set, const char *name, bool by_name)
{
    const char *s = set->name;
    for (;;) {
        char part[64];
        size_t n = strcspn(s, ",");
        memcpy(part, s, n);
        part[n] = 0;
        if (by_name ? strcmp(part, name) == 0 : model_match(part, name))
            return true;
        if (s[n] == 0)
            return false;
        s += n + 1;
    }
}

static inline struct model_entry *model_by_name(struct model *m, const char *name)
{
    for (uint32_t i = 0; i < MODEL_ENTRIES; i++)
        if (m->e[i].id != 0 && strcmp(m->e[i].name, name) == 0)
            return &m->e[i];
    return NULL;
}

static inline struct model_entry *model_by_id(struct model *m, uint32_t id)
{
    for (uint32_t i = 0; i < MODEL_ENTRIES; i++)
        if (id != 0 && m->e[i].id == id)
            return &m->e[i];
    return NULL;
}

static inline uint32_t model_count(const struct model *m, bool set)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < MODEL_ENTRIES; i++)
        n += m->e[i].id != 0 && m->e[i].set == set;
    return n;
}

static inline uint32_t model_sets(const struct model *m, const char *topic, bool by_name)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < MODEL_ENTRIES; i++)
        n += m->e[i].id != 0 && m->e[i].set && model_in(&m->e[i], topic, by_name);
    return n;
}

static inline bool model_queued(const struct model *m, uint32_t id)
{
    for (uint32_t i = 0; i < m->queued; i++)
        if (m->queue[i] == id)
            return true;
    return false;
}

static inline bool model_needed(const struct model *m, const struct model_entry *e)
{
    return e->sub_count > 0 || model_queued(m, e->id) ||
           (!e->set && (e->kept || model_sets(m, e->name, true) > 0));
}

static inline void model_add(struct model *m, uint32_t id, const char *name, bool set)
{
    must(m, id != 0 && model_by_id(m, id) == NULL && model_by_name(m, name) == NULL);
    for (uint32_t i = 0; i < MODEL_ENTRIES; i++)
        if (m->e[i].id == 0) {
            m->e[i] = (struct model_entry){.id = id, .set = set};
            snprintf(m->e[i].name, MODEL_NAME, "%s", name);
            return;
        }
    must(m, false);
}

/* Returns how many parts of the set are names. */
static inline uint32_t model_listed(const struct model_entry *set)
{
    uint32_t n = 0;
    for (const char *s = set->name; s != NULL; s = strchr(s, ',')) {
        s += *s == ',';
        n += memchr(s, '*', strcspn(s, ",")) == NULL;
    }
    return n;
}

/* Returns true if the name begins with the text before the "*" of a wildcard of the set. */
static inline bool model_may(const struct model_entry *set, const char *name)
{
    for (const char *s = set->name; s != NULL; s = strchr(s, ',')) {
        s += *s == ',';
        const char *star = memchr(s, '*', strcspn(s, ","));
        if (star != NULL && strncmp(s, name, (size_t)(star - s)) == 0)
            return true;
    }
    return false;
}

/* ---- comparison ---- */

static inline size_t model_block(size_t bytes)
{
    size_t n = 32;
    while (n < bytes)
        n *= 2;
    return n;
}

static inline void model_check_topic(struct model *m, struct model_entry *e)
{
    uint32_t edge = 0, walked = 0, want = 0, reach = e->sub_count, set;
    const struct topic *r = topic_at(&m->t, e->id);
    for (uint32_t i = 0; i < MODEL_ENTRIES; i++)
        if (m->e[i].id != 0 && m->e[i].set && model_in(&m->e[i], e->name, false)) {
            want += m->e[i].sub_count > 0;
            reach += m->e[i].sub_count;
        }
    while ((set = topic_set_of(&m->t, e->id, &edge)) != 0) {
        struct model_entry *s = model_by_id(m, set);
        must(m, s != NULL && s->set && s->sub_count > 0 && model_in(s, e->name, false));
        walked++;
    }
    must(m, walked == want);
    must(m, topic_reach(&m->t, e->id) == reach);
    must(m, r->listed == model_sets(m, e->name, true));
    must(m, r->kept == e->kept && !topic_is_set(e->id) && !r->is_set && !r->fresh);
}

static inline void model_check_set(struct model *m, struct model_entry *e)
{
    uint32_t pos = 0, walked = 0, want = 0, looks = model_listed(e), topic;
    const struct topic_set *r = set_at(&m->t, e->id);
    bool seen[MODEL_ENTRIES + 1] = {false};
    for (uint32_t i = 0; i < MODEL_ENTRIES; i++)
        if (m->e[i].id != 0 && !m->e[i].set) {
            bool in = model_in(e, m->e[i].name, false);
            want += in;
            looks += model_may(e, m->e[i].name);
            must(m, topic_in_set(&m->t, e->id, m->e[i].id) == in);
        }
    while ((topic = topic_member(&m->t, e->id, &pos)) != 0) {
        must(m, model_by_id(m, topic) != NULL && !model_by_id(m, topic)->set);
        must(m, topic <= MODEL_ENTRIES && !seen[topic]);
        seen[topic] = true;
        walked++;
    }
    must(m, walked == want && topic_member(&m->t, e->id, &pos) == 0);
    must(m, r->member_count == model_listed(e) && r->member_cap >= 2 * r->member_count);
    must(m, topic_members_most(&m->t, e->id) == looks && topic_weight(&m->t, e->id) > 0);
    must(m, topic_is_set(e->id) && r->is_set && r->wild == (strchr(e->name, '*') != NULL) &&
                !r->found);
}

static inline void model_check_subs(struct model *m, struct model_entry *e)
{
    const struct topic_group *r = topic_group(&m->t, e->id);
    uint32_t s = r->iter;
    must(m, r->subscribers == e->sub_count && r->todo <= r->subscribers);
    must(m, (r->iter == 0) == (e->sub_count == 0));
    for (uint32_t i = 0; i < e->sub_count; i++) {
        const struct topic_link *link = topic_link_of(&m->t, s);
        must(m, s == e->subs[i] && link->topic == e->id);
        must(m, topic_link_of(&m->t, link->next)->prev == s);
        must(m, !e->pending[s] || (i < r->todo && r->dirty)); /* nobody is forgotten */
        s = link->next;
    }
    must(m, s == r->iter);
}

/* Returns true if all topics are in the order of their names. */
static inline void model_check_order(struct model *m)
{
    uint32_t n = 0;
    const struct model_entry *last = NULL;
    for (uint32_t id = m->t.h->first; id != 0; id = topic_at(&m->t, id)->next) {
        const struct model_entry *e = model_by_id(m, id);
        must(m, e != NULL && !e->set && (last == NULL || strcmp(last->name, e->name) < 0));
        must(m, topic_at_or_after(&m->t, span_of(e->name)) == id);
        last = e;
        n++;
    }
    must(m, n == topic_count(&m->t));
}

static inline void model_check(struct model *m)
{
    uint64_t bytes = 0;
    must(m, topic_count(&m->t) == model_count(m, false));
    must(m, topic_set_count(&m->t) == model_count(m, true));
    for (uint32_t i = 0; i < MODEL_NAMES; i++) {
        const struct model_entry *e = model_by_name(m, model_names[i]);
        must(m, topic_find(&m->t, span_of(model_names[i])) == (e != NULL ? e->id : 0));
    }
    for (uint32_t i = 0; i < MODEL_ENTRIES; i++) {
        struct model_entry *e = &m->e[i];
        if (e->id == 0)
            continue;
        must(m, topic_exists(&m->t, e->id) && !topic_exists(&m->t, e->id ^ TOPIC_SET));
        must(m, span_eq(topic_name(&m->t, e->id), span_of(e->name)));
        must(m, topic_find(&m->t, span_of(e->name)) == (e->set ? 0 : e->id));
        must(m, topic_group(&m->t, e->id)->dirty == model_queued(m, e->id));
        if (e->set)
            model_check_set(m, e);
        else
            model_check_topic(m, e);
        model_check_subs(m, e);
        if (!e->set) {
            bytes += model_block(topic_at(&m->t, e->id)->name_size);
            continue;
        }
        const struct topic_set *r = set_at(&m->t, e->id);
        bytes += model_block(r->name_size);
        if (r->member_cap > 0)
            bytes += model_block((size_t)r->member_cap * 2 * sizeof(uint32_t));
        if (r->wild)
            bytes += pool_size(&m->t.sets, r->wildcards);
    }
    bytes += model_block(1) * m->t.h->nodes;
    model_check_order(m);
    must(m, pool_used(&m->t.names) + pool_used(&m->t.sets) == bytes);
    must(m, topics_sets_used(&m->t) == pool_used(&m->t.sets));
    uint32_t id = topic_queue_first(&m->t);
    for (uint32_t i = 0; i < m->queued; i++) {
        must(m, id == m->queue[i]);
        id = topic_group(&m->t, id)->dirty_next;
    }
    must(m, id == 0);
}

/* ---- operations on both ---- */

/* As made() and gone(): writes the names down, which must be there then. */
static inline void model_told(void *arg, uint32_t topic)
{
    struct model *m = arg;
    struct span name = topic_name(&m->t, topic);
    must(m, m->tolds < MODEL_ENTRIES && name.n < MODEL_NAME);
    memcpy(m->told[m->tolds], name.p, name.n);
    m->told[m->tolds++][name.n] = 0;
}

static inline bool model_was_told(const struct model *m, const char *name)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->tolds; i++)
        n += strcmp(m->told[i], name) == 0;
    must(m, n <= 1);
    return n == 1;
}

static inline struct model_entry *model_some(struct model *m)
{
    uint32_t from = m->pick(m->arg, MODEL_ENTRIES);
    for (uint32_t i = 0; i < MODEL_ENTRIES; i++)
        if (m->e[(from + i) % MODEL_ENTRIES].id != 0)
            return &m->e[(from + i) % MODEL_ENTRIES];
    return NULL;
}

/* Returns true if there is room for that many topics and one set. */
static inline bool model_fits(const struct model *m, uint32_t topics, uint32_t sets)
{
    uint32_t have = model_count(m, false);
    if (m->t.topics_max != 0 && topics > 0 && have + topics > m->t.topics_max)
        return false;
    return have + model_count(m, true) + topics + sets <= m->t.max;
}

static inline void model_open(struct model *m)
{
    const char *name = model_names[m->pick(m->arg, MODEL_NAMES)];
    const struct model_entry *e = model_by_name(m, name);
    bool made = true;
    uint32_t id = topic_open(&m->t, span_of(name), &made);
    if (e != NULL) {
        must(m, id == e->id && !made);
        return;
    }
    must(m, made == (id != 0));
    must(m, m->tight || made == model_fits(m, 1, 0));
    must(m, !made || model_fits(m, 1, 0));
    if (made)
        model_add(m, id, name, false);
}

static inline int model_order(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    int kind = (strchr(x, '*') == NULL) - (strchr(y, '*') == NULL);
    return kind != 0 ? kind : strcmp(x, y);
}

/* Puts parts in order without repeats and joins them; returns how many there are. */
static inline uint32_t model_canonical(const char **part, uint32_t n, char *out)
{
    uint32_t kept = 0;
    qsort(part, n, sizeof(*part), model_order);
    out[0] = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0 && strcmp(part[i], part[i - 1]) == 0)
            continue;
        if (kept++ > 0)
            strcat(out, ",");
        strcat(out, part[i]);
    }
    return kept;
}

static inline void model_select(struct model *m)
{
    const char *part[MODEL_PARTS], *why = "nothing";
    char expression[MODEL_NAME] = "", name[MODEL_NAME];
    uint32_t n = 1 + m->pick(m->arg, MODEL_PARTS), fresh = 0;
    uint32_t most = 1 + m->pick(m->arg, 4 * MODEL_PARTS), wild = 1 + m->pick(m->arg, 3);
    for (uint32_t i = 0; i < n; i++) {
        part[i] = m->pick(m->arg, 4) < wild ? model_patterns[m->pick(m->arg, MODEL_PATTERNS)]
                                            : model_names[m->pick(m->arg, MODEL_NAMES)];
        strcat(strcat(expression, i > 0 ? "," : ""), part[i]);
    }
    char list[MODEL_NAME];
    const char *unique[MODEL_PARTS];
    bool set = model_canonical(part, n, name) > 1 || strchr(name, '*') != NULL;
    memcpy(list, name, sizeof(list));
    uint32_t count = model_split(list, unique);
    const struct model_entry *e = model_by_name(m, name);
    for (uint32_t i = 0; i < count; i++)
        fresh += strchr(unique[i], '*') == NULL && model_by_name(m, unique[i]) == NULL;
    m->tolds = 0;
    uint32_t id = topic_select(&m->t, span_of(expression), most, model_told, m, &why);
    if (n > most) {
        must(m, id == 0 && why != NULL && m->tolds == 0);
        return;
    }
    must(m, why == NULL);
    must(m, id == 0 || e == NULL || id == e->id);
    must(m, m->tight || (id != 0) == (e != NULL || model_fits(m, fresh, set)));
    must(m, id == 0 || e != NULL || model_fits(m, fresh, set));
    must(m, m->tolds == (id != 0 ? fresh : 0));
    for (uint32_t i = 0; i < count && id != 0 && fresh > 0; i++)
        if (strchr(unique[i], '*') == NULL && model_by_name(m, unique[i]) == NULL) {
            must(m, model_was_told(m, unique[i]));
            model_add(m, topic_find(&m->t, span_of(unique[i])), unique[i], false);
        }
    if (id != 0 && e == NULL && set)
        model_add(m, id, name, true);
}

static inline void model_subscribe(struct model *m)
{
    struct model_entry *e = model_some(m);
    uint32_t s = 1 + m->pick(m->arg, MODEL_SUBS);
    if (e == NULL || topic_link_of(&m->t, s)->topic != 0)
        return;
    topic_subscribe(&m->t, e->id, s);
    e->subs[e->sub_count++] = s;
    e->pending[s] = false;
}

static inline void model_unsubscribe(struct model *m, uint32_t s)
{
    struct model_entry *e = model_by_id(m, topic_link_of(&m->t, s)->topic);
    topic_unsubscribe(&m->t, s);
    must(m, topic_link_of(&m->t, s)->topic == 0);
    if (e == NULL)
        return;
    uint32_t i = 0;
    while (e->subs[i] != s)
        i++;
    e->sub_count--;
    e->pending[s] = false;
    memmove(&e->subs[i], &e->subs[i + 1], (e->sub_count - i) * sizeof(e->subs[0]));
}

static inline void model_keep(struct model *m, struct model_entry *e, bool kept)
{
    if (e == NULL || e->set)
        return;
    topic_at(&m->t, e->id)->kept = kept;
    e->kept = kept;
}

static inline void model_release(struct model *m, struct model_entry *e)
{
    if (e == NULL)
        return;
    struct model_entry was = *e;
    bool needed = model_needed(m, e);
    uint32_t gone = 0;
    m->tolds = 0;
    topic_release(&m->t, was.id, model_told, m);
    if (!needed) {
        e->id = 0;
        gone += !was.set;
        must(m, was.set || model_was_told(m, was.name));
    }
    for (uint32_t i = 0; i < MODEL_ENTRIES; i++) {
        struct model_entry *x = &m->e[i];
        if (needed || x->id == 0 || x->set || !was.set || !model_in(&was, x->name, true) ||
            model_needed(m, x))
            continue;
        must(m, model_was_told(m, x->name));
        x->id = 0;
        gone++;
    }
    must(m, m->tolds == gone);
}

static inline uint32_t model_reach(const struct model *m, const struct model_entry *e)
{
    uint32_t reach = e->sub_count;
    for (uint32_t i = 0; !e->set && i < MODEL_ENTRIES; i++)
        if (m->e[i].id != 0 && m->e[i].set && model_in(&m->e[i], e->name, false))
            reach += m->e[i].sub_count;
    return reach;
}

static inline void model_enqueue(struct model *m, struct model_entry *e)
{
    for (uint32_t i = 0; i < e->sub_count; i++)
        e->pending[e->subs[i]] = true;
    if (!model_queued(m, e->id))
        m->queue[m->queued++] = e->id;
}

static inline void model_mark(struct model *m, struct model_entry *e)
{
    if (e == NULL)
        return;
    topic_mark(&m->t, e->id);
    if (model_reach(m, e) > 0)
        model_enqueue(m, e);
}

/* Queues the sets of a topic, in the order in which the table has them. */
static inline void model_mark_sets(struct model *m, const struct model_entry *topic)
{
    uint32_t marked = 0;
    for (uint32_t i = 0, id = topic_queue_first(&m->t); id != 0;
         i++, id = topic_group(&m->t, id)->dirty_next) {
        if (i < m->queued) {
            must(m, id == m->queue[i]);
            continue;
        }
        struct model_entry *e = model_by_id(m, id);
        must(m, e != NULL && e->set && model_in(e, topic->name, false));
        model_enqueue(m, e);
    }
    for (uint32_t i = 0; i < MODEL_ENTRIES; i++) {
        struct model_entry *e = &m->e[i];
        if (e->id == 0 || !e->set || e->sub_count == 0 || !model_in(e, topic->name, false))
            continue;
        must(m, model_queued(m, e->id));
        model_enqueue(m, e);
        marked++;
    }
    must(m, marked > 0 || topic->sub_count > 0 || model_reach(m, topic) == 0);
}

/* Looks at some subscribers of the entry at the front, as fan-out does. */
static inline void model_fan(struct model *m, uint32_t most)
{
    struct topic_walk w;
    uint32_t looked = 0;
    bool begins = m->queued > 0 && !topic_group(&m->t, m->queue[0])->begun;
    must(m, topic_walk_begin(&m->t, &w) == (m->queued > 0));
    if (m->queued == 0)
        return;
    must(m, w.id == m->queue[0]);
    struct model_entry *e = model_by_id(m, w.id);
    if (begins && !e->set)
        model_mark_sets(m, e);
    for (; most > 0 && topic_walk_left(&w); most--) {
        uint32_t s = e->subs[0];
        must(m, topic_walk_next(&m->t, &w) == &m->links[s].link);
        looked++;
        e->pending[s] = false;
        memmove(&e->subs[0], &e->subs[1], (e->sub_count - 1) * sizeof(e->subs[0]));
        e->subs[e->sub_count - 1] = s;
    }
    must(m, !topic_walk_timed(&w, looked) || looked > 0);
    memmove(&m->queue[0], &m->queue[1], (m->queued - 1) * sizeof(m->queue[0]));
    if (topic_walk_end(&m->t, &w)) {
        m->queued--;
        model_release(m, e);
    } else {
        m->queue[m->queued - 1] = w.id;
    }
}

/* ---- running ---- */

/* How much of each memory a model of `max` entries wants: edges for every part of every set. */
static inline void model_sizes(uint32_t max, size_t size[4])
{
    struct topics_memory m = topics_size(max);
    size[0] = m.table;
    size[1] = (max * MODEL_PARTS + 1) * sizeof(struct topic_edge);
    size[2] = m.pool;
    size[3] = m.pool_meta;
}

/* Begins in m->memory, zeroed. */
static inline void model_begin(struct model *m, uint32_t max, uint32_t topics_max)
{
    uint64_t key[2] = {m->seed, ~m->seed};
    topics_init(&m->t, max, m->memory[0], m->memory[1], m->memory[2], m->memory[3], key);
    m->t.edges_max = max * MODEL_PARTS;
    topics_limit(&m->t, topics_max);
    topics_links(&m->t, m->links, sizeof(m->links[0]));
}

/* Sets a pool up anew, of so many units unless it has fewer. */
static inline void model_pool(struct pool *p, uint32_t units)
{
    units = units < p->units ? units : p->units;
    memset(p->meta, 0, pool_meta_size(p->units));
    pool_init(p, p->base, p->meta, units, p->shift);
}

/* Leaves little room in the pools and for edges. */
static inline void model_tighten(struct model *m, uint32_t units, uint32_t edges)
{
    m->tight = true;
    model_pool(&m->t.names, units);
    model_pool(&m->t.sets, units);
    m->t.edges_max = edges;
}

/* Has everything at another place in memory. */
static inline void model_move(struct model *m)
{
    uint32_t topics_max = m->t.topics_max;
    size_t size[4];
    if (m->tight) /* topics_attach() expects the pool that topics_init() made */
        return;
    model_sizes(m->t.max, size);
    for (unsigned i = 0; i < 4; i++) {
        void *to = malloc(size[i]);
        must(m, to != NULL);
        memcpy(to, m->memory[i], size[i]);
        memset(m->memory[i], 0xAA, size[i]);
        free(m->memory[i]);
        m->memory[i] = to;
    }
    topics_attach(&m->t, m->t.max, m->memory[0], m->memory[1], m->memory[2], m->memory[3]);
    m->t.edges_max = m->t.max * MODEL_PARTS;
    topics_limit(&m->t, topics_max);
    topics_links(&m->t, m->links, sizeof(m->links[0]));
}

static inline void model_step(struct model *m)
{
    uint32_t what = m->pick(m->arg, 20);
    m->step++;
    if (what < 3)
        model_open(m);
    else if (what < 7)
        model_select(m);
    else if (what < 10)
        model_subscribe(m);
    else if (what < 12)
        model_unsubscribe(m, 1 + m->pick(m->arg, MODEL_SUBS));
    else if (what < 13)
        model_keep(m, model_some(m), m->pick(m->arg, 2) == 0);
    else if (what < 16)
        model_release(m, model_some(m));
    else if (what < 18)
        model_mark(m, model_some(m));
    else
        model_fan(m, m->pick(m->arg, 6));
    if (m->step % m->every == 0)
        model_check(m);
}

/* Returns everything up: nothing may be left then. */
static inline void model_end(struct model *m)
{
    for (uint32_t s = 1; s <= MODEL_SUBS; s++)
        model_unsubscribe(m, s);
    while (m->queued > 0)
        model_fan(m, MODEL_SUBS);
    for (uint32_t i = 0; i < MODEL_ENTRIES; i++)
        if (m->e[i].id != 0) {
            model_keep(m, &m->e[i], false);
            model_release(m, &m->e[i]);
        }
    for (uint32_t i = 0; i < MODEL_ENTRIES; i++)
        if (m->e[i].id != 0)
            model_release(m, &m->e[i]);
    model_check(m);
    must(m, topic_count(&m->t) == 0 && topic_set_count(&m->t) == 0);
    struct pool *pools[] = {&m->t.names, &m->t.sets};
    for (unsigned i = 0; i < 2; i++) {
        must(m, pool_used(pools[i]) == 0);
        must(m, pool_alloc(pools[i], (size_t)pool_total(pools[i]) / 2) != 0);
    }
}

#endif
