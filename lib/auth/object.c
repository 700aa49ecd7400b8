/*
 * object.c - see object.h.
 */
#include "lib/auth/object.h"

struct span object_decode(char *json, struct span raw)
{
    char *to = json + (raw.p - json);
    return (struct span){to, json_unescape(raw, to)};
}

static bool has_repeats(const struct object *o)
{
    for (unsigned i = 1; i < o->n; i++)
        for (unsigned j = 0; j < i; j++)
            if (span_eq(o->m[i].name, o->m[j].name))
                return true;
    return false;
}

const char *object_read(struct object *o, char *json, size_t n)
{
    struct json_value all, v;
    struct span name;
    size_t at, pos = 0;
    o->n = 0;
    if (!json_read((struct span){json, n}, &all, &at))
        return "not JSON";
    if (all.kind != JSON_OBJECT)
        return "not a JSON object";
    while (json_next(&all, &pos, &name, &v)) {
        if (o->n == OBJECT_MEMBERS_MAX)
            return "an object of more than 64 members";
        o->m[o->n++] = (struct object_member){name, v};
    }
    for (struct object_member *m = o->m; m < o->m + o->n; m++) { /* all of them have been found */
        m->name = object_decode(json, m->name);
        if (m->v.kind == JSON_STRING)
            m->v.raw = object_decode(json, m->v.raw);
    }
    return has_repeats(o) ? "an object that has a member twice" : NULL;
}

const struct json_value *object_get(const struct object *o, struct span name)
{
    for (unsigned i = 0; i < o->n; i++)
        if (span_eq(o->m[i].name, name))
            return &o->m[i].v;
    return NULL;
}

struct span object_text(const struct object *o, struct span name)
{
    const struct json_value *v = object_get(o, name);
    return v != NULL && v->kind == JSON_STRING ? v->raw : (struct span){NULL, 0};
}
