/*
 * scope.c - what a scope allows of a URL's names and wildcards.
 *
 * The intersection of two patterns is one pattern (topic_meet()), so what a scope allows of a URL
 * is a list as in a URL, and a subscription within a scope is like any other.
 */
#include "lib/auth/auth.h"

#include "lib/name.h"

bool auth_covers(struct span scope, struct span pattern)
{
    while (scope.n > 0)
        if (topic_holds(span_cut(&scope, ','), pattern))
            return true;
    return false;
}

/* ---- the list that is written ---- */

struct list {
    struct text *t;
    size_t from; /* of the text: where it begins */
    size_t parts;
};

static struct span list_span(const struct list *l)
{
    return (struct span){l->t->p + l->from, l->t->n - l->from};
}

/* Removes the parts that the pattern covers. */
static void list_drop(struct list *l, struct span pattern)
{
    struct span rest = list_span(l);
    size_t n = l->from;
    l->parts = 0;
    while (rest.n > 0) {
        struct span part = span_cut(&rest, ',');
        if (topic_holds(pattern, part))
            continue;
        if (l->parts++ > 0)
            l->t->p[n++] = ',';
        memmove(l->t->p + n, part.p, part.n);
        n += part.n;
    }
    l->t->n = n;
}

/* Adds a part unless another one covers it, and removes the parts that it covers. */
static void list_add(struct list *l, struct span pattern)
{
    bool few =
        l->parts < AUTH_NARROW_PARTS; /* bounds the time: beyond it, parts are not compared */
    if (few && auth_covers(list_span(l), pattern))
        return;
    if (few && topic_is_pattern(pattern))
        list_drop(l, pattern);
    if (l->parts++ > 0)
        text_str(l->t, ",");
    text_add(l->t, pattern);
}

/* ---- narrowing ---- */

/* Adds what a scope allows of a name or wildcard. Returns false if that is nothing. */
static bool narrow(struct list *l, struct span scope, struct span want)
{
    char out[TOPIC_NAME_MAX];
    bool any = false;
    if (topic_pattern_wrong(want) != NULL)
        return false;
    if (auth_covers(scope, want)) {
        list_add(l, want);
        return true;
    }
    while (topic_is_pattern(want) && scope.n > 0 && !l->t->full) {
        size_t n = topic_meet(out, span_cut(&scope, ','), want);
        if (n > 0)
            list_add(l, (struct span){out, n});
        any = any || n > 0;
    }
    return any;
}

static size_t parts_of(struct span list)
{
    size_t n = 1;
    for (size_t i = 0; i < list.n; i++)
        n += list.p[i] == ',';
    return n;
}

bool auth_narrow(struct text *t, struct span scope, struct span names, struct span *refused)
{
    struct list l = {t, t->n, 0};
    struct span rest = names;
    *refused = (struct span){NULL, 0};
    if (parts_of(names) * parts_of(scope) > AUTH_NARROW_STEPS)
        return false;
    do {
        struct span want = span_cut(&rest, ',');
        if (!narrow(&l, scope, want)) {
            *refused = want.n > 0 ? want : names; /* the refusal must name something */
            t->n = l.from;
            return false;
        }
    } while (rest.p != NULL && !t->full);
    if (t->full)
        t->n = l.from;
    return !t->full;
}
