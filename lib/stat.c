/*
 * stat.c - counters, and their text for Prometheus.
 *
 * Each call writes to a copy of the text and takes it over when all of it fitted, so that a scrape
 * never ends inside a metric.
 */
#include "stat.h"

/* Appends all of a metric up to its value. */
static void metric(struct text *t, const char *name, const char *suffix, const char *type,
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
    text_str(t, name);
    text_str(t, suffix);
    text_str(t, " ");
}

static void counter(struct text *t, const char *name, const char *help, uint64_t value)
{
    metric(t, name, "_total", "counter", help);
    text_u64(t, value);
    text_str(t, "\n");
}

/* Makes what was written to `copy` part of `t`, or nothing of it. */
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
#define X(field, name, help) counter(&copy, "sse_" name, help, s->field);
    STAT_COUNTERS(X)
#undef X
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
    text_u64(&copy, us / 1000000);
    text_str(&copy, ".");
    text_pad(&copy, us % 1000000, 6);
    text_str(&copy, "\n");
    take_over(t, &copy);
}

void stat_save(const struct stat_counters *s, struct text *t)
{
    struct text copy = {t->p, t->n, t->cap, false};
#define X(field, name, help)   \
    text_str(&copy, name " "); \
    text_u64(&copy, s->field); \
    text_str(&copy, "\n");
    STAT_COUNTERS(X)
#undef X
    take_over(t, &copy);
}

/* The counter of that name, NULL if there is none. */
static uint64_t *find(struct stat_counters *s, struct span wanted)
{
#define X(field, name, help)         \
    if (span_eq(wanted, SPAN(name))) \
        return &s->field;
    STAT_COUNTERS(X)
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
