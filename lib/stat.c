/*
 * stat.c - counters, and their text for Prometheus.
 *
 * Each call writes to a copy of the text and keeps it only if all of it fits, so that a scrape
 * never ends inside a metric.
 */
#include "lib/stat.h"

static const struct {
    uint64_t us;
    char label[8];
} bounds[] = {
#define X(us, label) {us, label},
    STAT_BOUNDS(X)
#undef X
        {UINT64_MAX, "+Inf"},
};

/* The name and the help of each counter, one after the other: a table of pointers would be larger,
 * as each pointer is relocated at the start. */
static const char names[] =
#define X(field, name, help) name "\0" help "\0"
    STAT_COUNTERS(X)
#undef X
    ;

/* Returns the string at *at, and moves *at behind it. */
static const char *text_next(const char **at)
{
    const char *text = *at;
    *at = text + strlen(text) + 1;
    return text;
}

/* ---- text for Prometheus --------------------------------------------------------------------- */

/* Appends the lines before a metric's values. */
static void front(struct text *t, const char *name, const char *suffix, const char *type,
                  const char *help)
{
    text_str(t, "# HELP ");
    text_str(t, name);
    text_str(t, suffix);
    text_str(t, " ");
    text_str(t, help);
    text_str(t, "\n# TYPE ");
    text_str(t, name);
    text_str(t, suffix);
    text_str(t, " ");
    text_str(t, type);
    text_str(t, "\n");
}

/* Appends a metric up to its value. */
static void metric(struct text *t, const char *name, const char *suffix, const char *type,
                   const char *help)
{
    front(t, name, suffix, type, help);
    text_str(t, name);
    text_str(t, suffix);
    text_str(t, " ");
}

static void seconds(struct text *t, uint64_t us)
{
    text_u64(t, us / 1000000);
    text_str(t, ".");
    text_pad(t, us % 1000000, 6);
    text_str(t, "\n");
}

/* Appends one value: its name and suffix, and a label with its value. */
static void labelled(struct text *t, const char *name, const char *suffix, const char *label,
                     const char *is, uint64_t value)
{
    text_str(t, name);
    text_str(t, suffix);
    text_str(t, "{");
    text_str(t, label);
    text_str(t, "=\"");
    text_str(t, is);
    text_str(t, "\"} ");
    text_u64(t, value);
    text_str(t, "\n");
}

static void histogram(struct text *t, const char *name, const char *help,
                      const struct stat_histogram *h)
{
    uint64_t count = 0;
    front(t, name, "", "histogram", help);
    for (unsigned i = 0; i < STAT_BUCKETS; i++)
        labelled(t, name, "_bucket", "le", bounds[i].label, count += h->bucket[i]);
    text_str(t, name);
    text_str(t, "_sum ");
    seconds(t, h->sum_us);
    text_str(t, name);
    text_str(t, "_count ");
    text_u64(t, count);
    text_str(t, "\n");
}

/* Begins one of which its number is to follow. */
static void counter_front(struct text *t, const char *name, const char *help)
{
    char bytes[64];
    struct text whole = text_for_string(bytes, sizeof bytes);
    text_str(&whole, "sse_");
    text_str(&whole, name);
    assert(!whole.full);
    metric(t, text_string(&whole), "_total", "counter", help);
}

static void counter(struct text *t, const char *name, const char *help, uint64_t value)
{
    counter_front(t, name, help);
    text_u64(t, value);
    text_str(t, "\n");
}

/* Makes the text written to `copy` part of `t`, or nothing if it did not fit. */
static void take_over(struct text *t, const struct text *copy)
{
    if (copy->full)
        t->full = true;
    else
        t->n = copy->n;
}

void stat_write(struct text *t, const struct stat_counters *s)
{
    struct text copy = {t->p, t->n, t->cap, false};
    const char *at = names;
    for (unsigned i = 0; i < STAT_COUNT; i++) {
        const char *name = text_next(&at);
        counter(&copy, name, text_next(&at), s->counter[i]);
    }
#define X(field, name, help) histogram(&copy, "sse_" name, help, &s->field);
    STAT_HISTOGRAMS(X)
#undef X
    take_over(t, &copy);
}

void stat_counter(struct text *t, const char *name, const char *help, uint64_t value)
{
    struct text copy = {t->p, t->n, t->cap, false};
    counter(&copy, name, help, value);
    take_over(t, &copy);
}

void stat_counter_us(struct text *t, const char *name, const char *help, uint64_t us)
{
    struct text copy = {t->p, t->n, t->cap, false};
    counter_front(&copy, name, help);
    seconds(&copy, us);
    take_over(t, &copy);
}

void stat_gauge(struct text *t, const char *name, const char *help, uint64_t value)
{
    struct text copy = {t->p, t->n, t->cap, false};
    metric(&copy, name, "", "gauge", help);
    text_u64(&copy, value);
    text_str(&copy, "\n");
    take_over(t, &copy);
}

void stat_gauge_us(struct text *t, const char *name, const char *help, uint64_t us)
{
    struct text copy = {t->p, t->n, t->cap, false};
    metric(&copy, name, "", "gauge", help);
    seconds(&copy, us);
    take_over(t, &copy);
}

void stat_gauge_by(struct text *t, const char *name, const char *help, const char *label,
                   const struct stat_row *row, unsigned rows)
{
    struct text copy = {t->p, t->n, t->cap, false};
    front(&copy, name, "", "gauge", help);
    for (unsigned i = 0; i < rows; i++)
        labelled(&copy, name, "", label, row[i].name, row[i].value);
    take_over(t, &copy);
}

/* ---- counting -------------------------------------------------------------------------------- */

void stat_observe(struct stat_histogram *h, uint64_t us)
{
    unsigned i = 0;
    while (us > bounds[i].us)
        i++;
    h->bucket[i]++;
    h->sum_us += us;
}

/* ---- handing over ---------------------------------------------------------------------------- */

#define SUM "sum_us" /* in the place of a bound: the sum */

static void save(struct text *t, const char *name, const char *of, uint64_t value)
{
    text_str(t, name);
    text_str(t, of[0] != '\0' ? ":" : "");
    text_str(t, of);
    text_str(t, " ");
    text_u64(t, value);
    text_str(t, "\n");
}

static void save_histogram(struct text *t, const char *name, const struct stat_histogram *h)
{
    for (unsigned i = 0; i < STAT_BUCKETS; i++)
        save(t, name, bounds[i].label, h->bucket[i]);
    save(t, name, SUM, h->sum_us);
}

void stat_save(const struct stat_counters *s, struct text *t)
{
    struct text copy = {t->p, t->n, t->cap, false};
    const char *at = names;
    for (unsigned i = 0; i < STAT_COUNT; i++) {
        save(&copy, text_next(&at), "", s->counter[i]);
        (void)text_next(&at);
    }
#define X(field, name, help) save_histogram(&copy, name, &s->field);
    STAT_HISTOGRAMS(X)
#undef X
    take_over(t, &copy);
}

static uint64_t *find_bucket(struct stat_histogram *h, struct span bound)
{
    for (unsigned i = 0; i < STAT_BUCKETS; i++)
        if (span_eq(bound, span_of(bounds[i].label)))
            return &h->bucket[i];
    return span_eq(bound, SPAN(SUM)) ? &h->sum_us : NULL;
}

/* Returns the counter of that name, NULL if there is none. */
static uint64_t *find(struct stat_counters *s, struct span wanted)
{
    const char *at = names;
    for (unsigned i = 0; i < STAT_COUNT; i++) {
        if (span_eq(wanted, span_of(text_next(&at))))
            return &s->counter[i];
        (void)text_next(&at);
    }
#define X(field, name, help)                 \
    if (span_begins(wanted, SPAN(name ":"))) \
        return find_bucket(&s->field, span_from(wanted, sizeof(name)));
    STAT_HISTOGRAMS(X)
#undef X
    return NULL;
}

bool stat_load(struct stat_counters *s, struct span saved)
{
    bool good = true;
    while (saved.n > 0) {
        struct span line = span_cut(&saved, '\n');
        struct span name = span_cut(&line, ' ');
        uint64_t value, *known = find(s, name);
        if (!span_u64(line, &value) || name.n == 0)
            good = false;
        else if (known != NULL)
            *known += value;
    }
    return good;
}
