/*
 * stat.c - counters, and their text for Prometheus.
 *
 * Each call writes to a copy of the text and takes it over when all of it fitted, so that a scrape
 * never ends inside a metric.
 */
#include "stat.h"

static void metric(struct text *t, const char *name, const char *suffix, const char *type,
                   const char *help, uint64_t value)
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
#define X(field, name, help) metric(&copy, "sse_" name, "_total", "counter", help, s->field);
    STAT_COUNTERS(X)
#undef X
    take_over(t, &copy);
}

void stat_gauge(struct text *t, const char *name, const char *help, uint64_t value)
{
    struct text copy = {t->p, t->n, t->cap, false};
    metric(&copy, name, "", "gauge", help, value);
    take_over(t, &copy);
}
