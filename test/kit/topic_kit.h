/*
 * topic_kit.h - a table of topics with its memory, for tests by example.
 */
#ifndef SSE_TEST_KIT_TOPIC_KIT_H
#define SSE_TEST_KIT_TOPIC_KIT_H

#include "test/kit/topic_model.h"

#include "test/kit/kit.h"

/* ---- a table with its memory ---- */

enum { SUBS = 32 };

struct fixture {
    struct topics t;
    void *memory[4];
    struct topic_link links[SUBS + 1];
    char told[4096]; /* names that made() and gone() were told of, each with a space */
};

static inline struct fixture *make(uint32_t max)
{
    static const uint64_t key[2] = {1, 2};
    struct fixture *f = calloc(1, sizeof(*f));
    struct topics_memory size = topics_size(max);
    size_t sizes[4] = {size.table, size.edges, size.pool, size.pool_meta};
    ck_assert_ptr_nonnull(f);
    for (unsigned i = 0; i < 4; i++)
        f->memory[i] = calloc(1, sizes[i]);
    topics_init(&f->t, max, f->memory[0], f->memory[1], f->memory[2], f->memory[3], key);
    topics_links(&f->t, f->links, sizeof(f->links[0]));
    return f;
}

static inline void discard(struct fixture *f)
{
    for (unsigned i = 0; i < 4; i++)
        free(f->memory[i]);
    free(f);
}

static inline void tell(void *arg, uint32_t topic)
{
    struct fixture *f = arg;
    struct span name = topic_name(&f->t, topic);
    size_t n = strlen(f->told);
    ck_assert_uint_lt(n + name.n + 2, sizeof(f->told));
    memcpy(f->told + n, name.p, name.n);
    memcpy(f->told + n + name.n, " ", 2);
}

/* Returns true if the names reported since the last call are these, in any order. */
static inline bool told(struct fixture *f, const char *names)
{
    size_t n = strlen(names);
    bool all = strlen(f->told) == n + (n > 0);
    char list[256];
    snprintf(list, sizeof(list), "%s", names);
    for (char *s = strtok(list, " "); s != NULL; s = strtok(NULL, " ")) {
        char with_ends[256], whole[sizeof(f->told) + 1];
        snprintf(with_ends, sizeof(with_ends), " %s ", s);
        snprintf(whole, sizeof(whole), " %s", f->told);
        all = all && strstr(whole, with_ends) != NULL;
    }
    f->told[0] = 0;
    return all;
}

static inline uint32_t open_topic(struct fixture *f, const char *name)
{
    bool made;
    return topic_open(&f->t, span_of(name), &made);
}

static inline uint32_t find(struct fixture *f, const char *name)
{
    return topic_find(&f->t, span_of(name));
}

static inline uint32_t choose(struct fixture *f, const char *expression)
{
    const char *why = "";
    uint32_t id = topic_select(&f->t, span_of(expression), 100, tell, f, &why);
    ck_assert_msg(why == NULL, "%s: %s", expression, why);
    return id;
}

static inline void let_go(struct fixture *f, uint32_t id)
{
    topic_release(&f->t, id, tell, f);
}

static inline void assert_named(struct fixture *f, uint32_t id, const char *name)
{
    struct span s = topic_name(&f->t, id);
    ck_assert_msg(span_eq(s, span_of(name)), "%.*s, not %s", (int)s.n, s.p, name);
}

static inline void assert_empty(struct fixture *f)
{
    ck_assert_uint_eq(topic_count(&f->t), 0);
    ck_assert_uint_eq(topic_set_count(&f->t), 0);
    ck_assert_uint_eq(topic_queue_first(&f->t), 0);
    ck_assert_uint_eq(pool_used(&f->t.names), 0);
    ck_assert_uint_eq(pool_used(&f->t.sets), 0);
    ck_assert_uint_eq(f->t.h->edges, 0);
}

#endif
