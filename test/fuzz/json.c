/*
 * json.c - json.h against a model of the grammar, and its two directions against each other.
 */
#include "lib/json.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/utf8.h"
#include "test/kit/model_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *copy_of(struct span s)
{
    char *p = malloc(s.n + 1);
    assert(p != NULL);
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return p;
}

/* A string decoded, and again in its own place; written, read and decoded it must be the same. */
static void check_string(struct span raw)
{
    char *out = malloc(raw.n + 1), *place = copy_of(raw);
    assert(out != NULL);
    size_t n = json_unescape(raw, out);
    assert(n <= raw.n && utf8_valid((struct span){out, n}) == n);
    assert(json_unescape((struct span){place, raw.n}, place) == n && memcmp(out, place, n) == 0);

    char *again = malloc(n * 6 + 2);
    assert(again != NULL);
    struct text t = text_in(again, n * 6 + 2);
    json_string(&t, (struct span){out, n});
    assert(!t.full);
    struct json_value v;
    size_t at;
    assert(json_read(text_span(&t), &v, &at) && v.kind == JSON_STRING);
    assert(json_unescape(v.raw, again) == n && memcmp(again, out, n) == 0);
    free(again);
    free(place);
    free(out);
}

/* A value is what stands in its place, read alone, and so is all that it holds. */
static void check_value(const struct json_value *v)
{
    struct json_value stack[JSON_DEPTH + 1] = {*v};
    size_t pos[JSON_DEPTH + 1] = {0};
    for (unsigned depth = 1; depth > 0;) {
        const struct json_value *of = &stack[depth - 1];
        struct span name;
        struct json_value member, alone;
        size_t at;
        if (of->kind != JSON_ARRAY && of->kind != JSON_OBJECT) {
            if (of->kind == JSON_STRING)
                check_string(of->raw);
            depth--;
        } else if (!json_next(of, &pos[depth - 1], &name, &member)) {
            assert(pos[depth - 1] == of->raw.n - 1);
            assert(!json_next(of, &pos[depth - 1], &name, &member));
            depth--;
        } else {
            if (of->kind == JSON_OBJECT)
                check_string(name);
            size_t quote = member.kind == JSON_STRING;
            assert(member.raw.p > of->raw.p && member.raw.n + 2 * quote < of->raw.n);
            struct span text = {member.raw.p - quote, member.raw.n + 2 * quote};
            assert(json_read(text, &alone, &at) && alone.kind == member.kind);
            assert(span_eq(alone.raw, member.raw) && depth <= JSON_DEPTH);
            stack[depth] = member;
            pos[depth++] = 0;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span s = {(const char *)data, size};
    struct json_value v;
    size_t at, want;
    bool good = json_read(s, &v, &at), expected = model_read(s, &want);
    assert(good == expected && at == want);
    if (good)
        check_value(&v);
    return 0;
}
