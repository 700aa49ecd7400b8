/*
 * name.h - names of topics, and patterns that match them.
 *
 * NAMES: UTF-8, 1 to 255 bytes, segments split by "/", no control bytes, no "," and no "*", no
 * empty segment, and "-" is not the first byte (such paths are the server's own).
 * WILDCARDS: "*" as a segment stands for one segment, "**" as the last for one or more.
 *
 *     orders/ *   matches orders/7            not orders, orders/7/x      (without the space)
 *     orders/ **  matches orders/7, orders/7/x, not orders
 *     **          matches everything
 *
 * The server's own topic has a name that begins with "-": no client can name it, and no wildcard
 * matches it.
 */
#ifndef SSE_LIB_NAME_H
#define SSE_LIB_NAME_H

#include "lib/span.h"

#define TOPIC_NAME_MAX 255u

/* Return NULL if it is a valid name, or a valid pattern (a name that may have wildcards); else what
 * is wrong, a static text: "has an empty segment". */
const char *topic_name_wrong(struct span name);
const char *topic_pattern_wrong(struct span pattern);

/* Returns a hint if a name or pattern has + or # as a segment, which are wildcards elsewhere; else
 * NULL. Clients may not use such a name for a new topic; a store may hold it. */
const char *topic_name_hint(struct span name);

/* Returns true if `s` contains a "*". */
bool topic_is_pattern(struct span s);

/* Returns true if the pattern matches the name. A name used as a pattern matches itself. Here and
 * below the arguments must be valid, but a name may begin with "-": only itself matches it. */
bool topic_match(struct span pattern, struct span name);

/* Returns true if some name matches both patterns. */
bool topic_overlap(struct span a, struct span b);

/* Returns true if `a` matches every name that `b` matches. */
bool topic_holds(struct span a, struct span b);

/* Writes the pattern that matches exactly the names that both match; returns its length, 0 if there
 * are none. */
size_t topic_meet(char out[TOPIC_NAME_MAX], struct span a, struct span b);

#endif
