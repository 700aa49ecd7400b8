/*
 * order.h - the topics in the order of their names' bytes, so that those which begin alike are
 * together.
 */
#ifndef SSE_LIB_TOPIC_ORDER_H
#define SSE_LIB_TOPIC_ORDER_H

#include "lib/topic/table.h"

/* Returns the first topic whose name is not before `name`, 0 if there is none. */
uint32_t topic_at_or_after(const struct topics *t, struct span name);

/* Returns the topic that comes next after `topic`, 0 after the last. */
uint32_t topic_after(const struct topics *t, uint32_t topic);

/* ---- for the files above --------------------------------------------------------------------- */

/* Returns how many topics' names begin with `head`. */
uint32_t order_count(const struct topics *t, struct span head);

/* Puts a new topic in its place; takes out one that is freed. */
void order_add(struct topics *t, uint32_t topic);
void order_drop(struct topics *t, uint32_t topic);

#endif
