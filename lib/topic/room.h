/*
 * room.h - how much of the room that all sets share one set may take: bytes for its name, members
 * and wildcards, edges, and topics made for it.
 *
 * topics_share() limits all sets together, and each to a part of what is free (lib/fair.h). So no
 * set takes all the room, and each gets a little.
 */
#ifndef SSE_LIB_TOPIC_ROOM_H
#define SSE_LIB_TOPIC_ROOM_H

#include "lib/topic/table.h"

/* Limits the bytes of all sets (0: all there are), and one set to 1/`parts` of what is free (0: all
 * of it), from now on. */
void topics_share(struct topics *t, uint64_t sets_max, uint32_t parts);

/* Return the bytes that sets take, and the most they may take. */
uint64_t topics_sets_used(const struct topics *t);
uint64_t topics_sets_most(const struct topics *t);

/* ---- for the files above --------------------------------------------------------------------- */

/* Begins a new set: t->may says what it may take. */
void room_begin(struct topics *t);

/* Returns a block of t->sets for the set that is being made. 0: there is no room, and t->full says
 * of what. */
uint32_t room_block(struct topics *t, size_t bytes);

/* Returns the number of an edge for it, 0 likewise. */
uint32_t room_edge(struct topics *t);

/* Takes an edge back. */
void room_edge_free(struct topics *t, uint32_t edge);

/* Puts an edge to `set` at the front of the list that begins at *first; takes it out of the list
 * and frees it. */
void room_edge_link(struct topics *t, uint32_t *first, uint32_t edge, uint32_t set);
void room_edge_unlink(struct topics *t, uint32_t *first, uint32_t edge);

#endif
