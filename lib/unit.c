/*
 * unit.c - see unit.h.
 */
#include "lib/unit.h"

const struct unit unit_times[UNIT_TIMES] = {
    {1, "ms"}, {1000, "s"}, {60000, "m"}, {3600000, "h"}, {86400000, "d"}};
const struct unit unit_sizes[UNIT_SIZES] = {
    {1, ""}, {1u << 10, "K"}, {1u << 20, "M"}, {1u << 30, "G"}};

bool unit_read(struct span s, enum unit_kind kind, uint64_t *v)
{
    const struct unit *unit = kind == UNIT_TIME ? unit_times : unit_sizes;
    unsigned units = kind == UNIT_TIME ? UNIT_TIMES : UNIT_SIZES;
    size_t n = 0;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    struct span name = span_from(s, n);
    if (kind == UNIT_TIME && name.n == 0)
        name = SPAN("s");
    for (unsigned i = 0; i < units; i++) {
        struct span is = span_of(unit[i].name);
        if (kind == UNIT_TIME ? !span_eq(name, is) : !span_same(name, is))
            continue;
        if (!span_u64((struct span){s.p, n}, v))
            return false;
        *v = *v <= UINT64_MAX / unit[i].size ? *v * unit[i].size : UINT64_MAX;
        return true;
    }
    return false;
}

void unit_write(struct text *t, uint64_t v, enum unit_kind kind)
{
    const struct unit *unit = kind == UNIT_TIME ? unit_times : unit_sizes;
    unsigned i = 3; /* h, or G */
    while (i > 0 && (v == 0 || v % unit[i].size != 0))
        i--;
    text_u64(t, v / unit[i].size);
    text_str(t, unit[i].name);
}
