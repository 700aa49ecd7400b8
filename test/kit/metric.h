/*
 * metric.h - reads a value out of the text of /-/metrics.
 */
#ifndef SSE_TEST_KIT_METRIC_H
#define SSE_TEST_KIT_METRIC_H

#include <stdlib.h>
#include <string.h>

/* The sum of a metric's values, whatever their labels; -1: there is none. The text is NUL-ended. */
static inline long long metric_sum(const char *text, const char *name)
{
    size_t n = strlen(name);
    long long sum = -1;
    for (const char *at = text; (at = strstr(at, name)) != NULL; at += n) {
        if ((at > text && at[-1] != '\n') || (at[n] != ' ' && at[n] != '{'))
            continue;
        const char *value = at[n] == '{' ? strchr(at, '}') + 1 : at + n;
        sum = (sum < 0 ? 0 : sum) + strtoll(value, NULL, 10);
    }
    return sum;
}

#endif
