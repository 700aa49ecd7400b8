/*
 * route.h - passes request heads, parts of bodies and frames to the functions that handle them.
 */
#ifndef SSE_LIB_SERVE_ROUTE_H
#define SSE_LIB_SERVE_ROUTE_H

#include "lib/serve/server.h"

/* Handles bytes received on a connection in HEAD, BODY or SOCKET: a request head, with the part of
 * its body that can be handled at once, a part of a body, or a frame; `seen` as in http_parse().
 * Takes a few milliseconds at most. Writes to buf. Returns the bytes handled; 0 if a head is not
 * complete, or if its request may take longer than s->ex.brief allows: then s->ex.postponed is set,
 * and the same bytes are to be passed again with s->ex.brief clear. */
size_t serve_input(struct server *s, struct conn *c, char *buf, size_t len, size_t seen);

/* Refuses an incomplete request in HEAD that cannot be kept for want of buffers. */
void serve_refuse_no_buffer(struct server *s, struct conn *c);

/* Refuses a client that has no slot; `why` names the limit. buf[0..len) is what has come of its
 * request. */
void serve_turn_away(struct server *s, const char *buf, size_t len, const char *why);

/* Answers 408: the request has not come in time, or its body came too slowly. */
void serve_refuse_timeout(struct server *s, struct conn *c);

#endif
