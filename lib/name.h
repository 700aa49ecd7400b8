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
 * A topic of the server's own has a name that begins with "-": no client can name it, and no
 * wildcard matches it.
 */
#ifndef SSE_LIB_NAME_H
#define SSE_LIB_NAME_H

#include "lib/span.h"

#define TOPIC_NAME_MAX 255u

/* What is wrong with a name, or with a pattern (a name that may have wildcards)? NULL: nothing;
 * else a static text for people, "has an empty segment". */
const char *topic_name_wrong(struct span name);

/* Returns a hint if a name or wildcard has + or # as a segment, which are wildcards elsewhere; else
 * NULL. Such a name is refused where a client brings it anew, and taken where a store has it. */
const char *topic_name_hint(struct span name);
const char *topic_pattern_wrong(struct span pattern);

/* Returns true if it has wildcards. (Looks for a "*".) */
bool topic_is_pattern(struct span s);

/* Returns true if the pattern matches the name. A name as a pattern matches itself. (Here and
 * below, what is wrong as a name or pattern gives an answer that means nothing, but for a name that
 * is wrong for its "-" alone: nothing else matches it.) */
bool topic_match(struct span pattern, struct span name);

/* Returns true if some name matches both patterns. */
bool topic_overlap(struct span a, struct span b);

/* Returns true if the first pattern matches every name that the second one matches. */
bool topic_holds(struct span a, struct span b);

/* Writes the pattern that matches just the names that both match; returns its length, 0 if there
 * are none. */
size_t topic_meet(char out[TOPIC_NAME_MAX], struct span a, struct span b);

#endif
