/*
 * object.h - an object of JSON whose members are looked up by name, each of which it has once.
 *
 * Names and strings are decoded in place: they point into the buffer, which must stay.
 *
 * LIMITS: OBJECT_MEMBERS_MAX members.
 */
#ifndef SSE_LIB_AUTH_OBJECT_H
#define SSE_LIB_AUTH_OBJECT_H

#include "lib/json.h"

#define OBJECT_MEMBERS_MAX 64u

struct object {
    unsigned n;
    struct object_member {
        struct span name;
        struct json_value v; /* of a string: decoded */
    } m[OBJECT_MEMBERS_MAX];
};

/* Reads the object that json[0..n) is to be. Returns what is wrong with it, such as "not JSON", or
 * NULL. */
const char *object_read(struct object *o, char *json, size_t n);

/* The member of that name, or NULL; the text of a member that is a string, or a null pointer. */
const struct json_value *object_get(const struct object *o, struct span name);
struct span object_text(const struct object *o, struct span name);

/* Decodes a string that stands in the buffer `json`, in its place: of an element of an array. */
struct span object_decode(char *json, struct span raw);

#endif
