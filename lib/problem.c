/*
 * problem.c - the body of a refusal.
 */
#include "lib/problem.h"

#include "lib/json.h"
#include "lib/utf8.h"

void problem_write(struct text *t, int status, const char *title, struct span detail)
{
    text_str(t, "{\"type\":\"about:blank\",\"title\":");
    json_string(t, span_of(title));
    text_str(t, ",\"status\":");
    text_u64(t, (uint64_t)status);
    text_str(t, ",\"detail\":");
    detail.n = utf8_valid(detail);
    json_string(t, detail);
    text_str(t, "}\n");
}
