/*
 * sets.h - what a URL selects: a topic, or a set of topics; and which topics a set has.
 *
 * A set knows the topics it lists by name in a hash table of its own, and a topic the sets that
 * list it by edges; these topics exist as long as the set does. What its wildcards match is found
 * when it is asked for (wild.h). What can't be made for want of room leaves no trace.
 */
#ifndef SSE_LIB_TOPIC_SETS_H
#define SSE_LIB_TOPIC_SETS_H

#include "lib/topic/table.h"

#define TOPIC_SEGMENTS 16384u /* of all wildcards of a set: it is made in a few ms */

/* Returns what a URL's path selects, e.g. "a,b/c,orders/ *" decoded: puts the parts in order
 * without repeats. One name selects its topic, anything else a set; both are made if need be.
 *
 * 0: *why says what is wrong with a part (a wildcard has its "*" among its first TOPIC_STARS
 * segments, as each may double the ways a name can go; all wildcards together have TOPIC_SEGMENTS)
 * or that there are more than `most`; *why is NULL where there is no room: t->full says of what.
 *
 * Topics that were made for it are reported through made(arg, topic) when all is done, so that the
 * caller can open their chains; made() may not change the table. */
uint32_t topic_select(struct topics *t, struct span expression, uint32_t most,
                      void (*made)(void *arg, uint32_t topic), void *arg, const char **why);

/* As topic_select(), but one name selects a set as well, so that its subscribers see events named
 * by topic. */
uint32_t topic_select_set(struct topics *t, struct span expression, uint32_t most,
                          void (*made)(void *arg, uint32_t topic), void *arg, const char **why);

/* Returns true if `topic` is in set `set`. */
bool topic_in_set(const struct topics *t, uint32_t set, uint32_t topic);

/* Returns what that costs at most, in steps of some 20 ns: 1 without wildcards. */
uint32_t topic_weight(const struct topics *t, uint32_t id);

/* Walks the topics of an entry: a topic's are itself. *pos begins at 0. Returns 0 after the last.
 * For a wildcard it looks at all topics that begin with what is in front of its first "*". */
uint32_t topic_member(const struct topics *t, uint32_t id, uint32_t *pos);

/* Returns how many topics such a walk looks at: the entry has no more. */
uint32_t topic_members_most(const struct topics *t, uint32_t id);

/* ---- for members.c --------------------------------------------------------------------------- */

/* Makes a list of all sets that have the topic, linked by found_next. Returns the first. The next
 * call makes a new one of the same links. */
uint32_t sets_with(const struct topics *t, uint32_t topic);

/* Frees a set that nobody needs, and reports each topic that it listed through unlisted(arg,
 * topic), which may free that topic. */
void set_drop(struct topics *t, uint32_t set, void (*unlisted)(void *arg, uint32_t topic),
              void *arg);

#endif
