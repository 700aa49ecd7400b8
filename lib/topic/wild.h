/*
 * wild.h - the wildcards of sets: which sets match a topic, and which topics match a set.
 *
 * Matches are not stored, as they come and go. The wildcards of all sets are in a tree in which a
 * topic's name is looked up, and the topics are ordered (order.h), so that those which a wildcard
 * may match are together. So the cost of a new set does not grow with the number of topics, nor
 * that of a new topic with the number of sets. For sets.c alone; others use sets.h.
 */
#ifndef SSE_LIB_TOPIC_WILD_H
#define SSE_LIB_TOPIC_WILD_H

#include "lib/topic/table.h"

#define TOPIC_STARS 8u /* segments of a wildcard that may be "*" */

/* Adds a set's wildcards, the first `n` parts of its name. Returns false if there is no room;
 * wild_drop() then undoes what was done. `scratch` has room for `n` spans. */
bool wild_add(struct topics *t, uint32_t set, uint32_t n, struct span *scratch);
void wild_drop(struct topics *t, uint32_t set);

/* Returns true if a wildcard of the set matches the topic. */
bool wild_has(const struct topics *t, const struct topic_set *set, const struct topic *topic);

/* Returns what that costs at most, see topic_weight(). */
uint32_t wild_weight(const struct topics *t, const struct topic_set *set);

/* Finds the sets that have a wildcard which matches the name, except those marked `found`; marks
 * them, and puts them in front of the list that begins at `first`, linked by found_next. Returns
 * the new beginning. */
uint32_t wild_find(const struct topics *t, struct span name, uint32_t first);

/* Walks the topics that the set's wildcards may match, by what is in front of the first "*".
 * Returns the one after `topic` (0: the first), 0 at the end. */
uint32_t wild_candidate(const struct topics *t, const struct topic_set *set, uint32_t topic);

/* Returns how many such topics there are. */
uint32_t wild_candidates(const struct topics *t, const struct topic_set *set);

#endif
