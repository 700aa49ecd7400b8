/*
 * topic.c - names, patterns, what paths select, and operations on the table.
 *
 * The first byte chooses. 'n': two lines, each a name or pattern, and a name. 's': a path. Else: a
 * byte for each choice of the operations of the model, until there are no more.
 */
#include "test/kit/topic_model.h"

#undef NDEBUG
#include <assert.h>

/* ---- names and patterns ---- */

/* The shortest name that both patterns could match, were it not too long: gives its length. */
static size_t witness(struct span a, struct span b, char *out)
{
    size_t n = 0;
    bool a_on = true, b_on = true; /* within, not past a "**" */
    while (a.p != NULL || b.p != NULL) {
        struct span x = a_on && a.p != NULL ? span_cut(&a, '/') : SPAN("*");
        struct span y = b_on && b.p != NULL ? span_cut(&b, '/') : SPAN("*");
        a_on = a_on && !span_eq(x, SPAN("**"));
        b_on = b_on && !span_eq(y, SPAN("**"));
        struct span pick = x.p[0] != '*' ? x : y.p[0] != '*' ? y : SPAN("x");
        if (n > 0)
            out[n++] = '/';
        memcpy(out + n, pick.p, pick.n);
        n += pick.n;
    }
    return n;
}

static void check_overlap(struct span a, struct span b, struct span name)
{
    char text[2 * TOPIC_NAME_MAX + 2];
    bool overlap = topic_overlap(a, b);
    struct span w = {text, witness(a, b, text)};
    assert(topic_overlap(b, a) == overlap);
    assert(topic_overlap(a, a) && topic_overlap(b, b));
    assert(overlap == (topic_name_wrong(w) == NULL && topic_match(a, w) && topic_match(b, w)));
    if (topic_name_wrong(name) != NULL)
        return;
    assert(topic_overlap(a, name) == topic_match(a, name));
    assert(topic_match(name, name));
    if (topic_match(a, name) && topic_match(b, name))
        assert(overlap);
}

static void check_match(struct span pattern, struct span name)
{
    char p[TOPIC_NAME_MAX + 1], n[TOPIC_NAME_MAX + 1];
    if (topic_pattern_wrong(pattern) != NULL || topic_name_wrong(name) != NULL)
        return;
    snprintf(p, sizeof(p), "%.*s", (int)pattern.n, pattern.p);
    snprintf(n, sizeof(n), "%.*s", (int)name.n, name.p);
    assert(topic_match(pattern, name) == model_match(p, n));
}

static void check_word(struct span s)
{
    const char *name_wrong = topic_name_wrong(s), *pattern_wrong = topic_pattern_wrong(s);
    if (!topic_is_pattern(s))
        assert(name_wrong == pattern_wrong);
    else
        assert(name_wrong != NULL);
    if (name_wrong == NULL)
        assert(s.n > 0 && s.n <= TOPIC_NAME_MAX && memchr(s.p, 0, s.n) == NULL);
}

static struct model m;

static void begin(uint32_t max, uint32_t topics_max);

/* A table must say the same, of a set with few wildcards and of one with many. */
static void check_table(struct span a, struct span b, struct span name)
{
    char text[2 * TOPIC_NAME_MAX + 256];
    const char *why = NULL;
    bool made, want = false;
    for (unsigned many = 0; many < 2; many++) {
        int n = snprintf(text, sizeof(text), "%.*s,%.*s%s", (int)a.n, a.p, (int)b.n, b.p,
                         many ? ",1/*,2/**,3/*,4/*/x,*/*/*/z/z,6/*,7/*,8/*,9/*" : "");
        struct span list = {text, (size_t)n}, rest = list;
        uint32_t edge = 0;
        m = (struct model){.seed = 0};
        begin(MODEL_ENTRIES, 0);
        uint32_t set = topic_select(&m.t, list, 24, model_told, &m, &why);
        if (set == 0) {
            assert(why != NULL);
            return;
        }
        uint32_t topic = topic_open(&m.t, name, &made);
        assert(topic != 0);
        if (!topic_is_set(set))
            return;
        while (rest.p != NULL)
            want = topic_match(span_cut(&rest, ','), name) || want;
        topic_subscribe(&m.t, set, 1);
        assert(topic_in_set(&m.t, set, topic) == want);
        assert(topic_set_of(&m.t, topic, &edge) == (want ? set : 0));
        assert(topic_reach(&m.t, topic) == want);
    }
}

static void names(struct span s)
{
    struct span a = span_cut(&s, '\n'), b = span_cut(&s, '\n'), name = s;
    topic_match(a, b); /* whatever they are */
    topic_overlap(a, b);
    check_word(a);
    check_word(b);
    check_word(name);
    check_match(a, name);
    check_match(b, name);
    if (topic_pattern_wrong(a) == NULL && topic_pattern_wrong(b) == NULL)
        check_overlap(a, b, name);
    if (topic_pattern_wrong(a) == NULL && topic_pattern_wrong(b) == NULL &&
        topic_name_wrong(name) == NULL)
        check_table(a, b, name);
}

/* ---- paths ---- */

/* Begins anew, in memory that is had once. */
static void begin(uint32_t max, uint32_t topics_max)
{
    static void *memory[4];
    size_t size[4];
    model_sizes(MODEL_ENTRIES, size);
    for (unsigned i = 0; i < 4; i++) {
        if (memory[i] == NULL)
            memory[i] = calloc(1, size[i]);
        else if (i != 2) /* what is in the pool is anything */
            memset(memory[i], 0, size[i]);
        m.memory[i] = memory[i];
    }
    model_begin(&m, max, topics_max);
}

static void selection(struct span s)
{
    const char *why = NULL;
    m = (struct model){.seed = 0};
    begin(MODEL_ENTRIES, 0);
    uint32_t fresh = 0, id = topic_select(&m.t, s, 24, model_told, &m, &why);
    if (id == 0) {
        assert(why != NULL && m.tolds == 0);
        assert(pool_used(&m.t.names) + pool_used(&m.t.sets) == 0 && topic_count(&m.t) == 0);
        model_end(&m);
        return;
    }
    struct span name = topic_name(&m.t, id), rest = name, last = {NULL, 0};
    assert(why == NULL && m.tolds == topic_count(&m.t));
    while (rest.p != NULL) {
        struct span part = span_cut(&rest, ',');
        assert(topic_pattern_wrong(part) == NULL);
        assert(!span_eq(part, last));
        fresh += !topic_is_pattern(part);
        assert(topic_is_pattern(part) || topic_find(&m.t, part) != 0);
        last = part;
    }
    assert(fresh == m.tolds);
    m.tolds = 0;
    assert(topic_select(&m.t, s, 24, model_told, &m, &why) == id);
    assert(topic_select(&m.t, name, 24, model_told, &m, &why) == id && m.tolds == 0);
    topic_release(&m.t, id, model_told, &m);
    assert(m.tolds == fresh);
    model_end(&m);
}

/* ---- operations ---- */

static uint32_t pick_byte(void *arg, uint32_t bound)
{
    struct span *s = arg;
    if (s->n == 0)
        return 0;
    uint32_t byte = (uint8_t)s->p[0];
    *s = span_from(*s, 1);
    return byte % bound;
}

static void operations(struct span s)
{
    m = (struct model){.pick = pick_byte, .arg = &s, .every = 20};
    uint32_t limit = pick_byte(&s, 16), room = pick_byte(&s, 4);
    begin(1 + pick_byte(&s, MODEL_ENTRIES), limit);
    if (room > 0)
        model_tighten(&m, 16u << room, 20 * room);
    while (s.n > 0 && m.step < 300)
        model_step(&m);
    model_end(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct span s = {(const char *)data + 1, size - 1};
    if (data[0] == 'n')
        names(s);
    else if (data[0] == 's')
        selection(s);
    else
        operations(s);
    return 0;
}
