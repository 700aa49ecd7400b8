/*
 * route.h - from a request head to what answers it; bodies and frames to whom they belong.
 */
#ifndef SSE_LIB_SERVE_ROUTE_H
#define SSE_LIB_SERVE_ROUTE_H

#include "lib/serve/server.h"

/* Takes what has come for a connection in HEAD, BODY or SOCKET: a request head with what of its
 * body is handled at once, a part of a body, or a frame; `seen` as http_parse() has it. Each call
 * is a step of a few milliseconds at most. buf is written to. Returns the bytes taken, 0 if a head
 * is not complete, or if its request may take longer than s->ex.brief allows: then s->ex.postponed
 * is set, and it is to be brought again with s->ex.brief not set. */
size_t serve_input(struct server *s, struct conn *c, char *buf, size_t len, size_t seen);

/* Refuses a request in HEAD that can't be kept until it is complete, for want of buffers. */
void serve_refuse_no_buffer(struct server *s, struct conn *c);

/* Turns a client away that has no place in the table; `why` names the limit. buf[0..len) is what of
 * its request has come so far. */
void serve_turn_away(struct server *s, const char *buf, size_t len, const char *why);

/* Answers 408: the request has not come in time, or, of a body, too slowly. */
void serve_refuse_timeout(struct server *s, struct conn *c);

#endif
