/*
 * names.h - topics by name.
 *
 * Topic names have a pool of their own, large enough for all of them, so that sets (room.h) cannot
 * crowd them out.
 */
#ifndef SSE_LIB_TOPIC_NAMES_H
#define SSE_LIB_TOPIC_NAMES_H

#include "lib/topic/table.h"

/* Limits the topics, apart from the sets, from now on; 0: as many as the table takes. */
void topics_limit(struct topics *t, uint32_t topics_max);

/* Returns the topic of that name, 0 if none has it. */
uint32_t topic_find(const struct topics *t, struct span name);

/* Returns the topic of a valid name (lib/name.h), made if need be; *made says whether it was.
 * Returns 0 if the limit of topics is reached; t->full says so. */
uint32_t topic_open(struct topics *t, struct span name, bool *made);

/* Frees a topic that nobody needs: for the files above; others call topic_release(). */
void topic_drop(struct topics *t, uint32_t topic);

#endif
