/*
 * output.h - what a connection is still to be written, besides records.
 */
#ifndef SSE_LIB_SERVE_OUTPUT_H
#define SSE_LIB_SERVE_OUTPUT_H

#include "lib/serve/clients.h"
#include "lib/serve/conn.h"
#include "lib/serve/exchange.h"

#include <sys/uio.h>

/* What a connection is to be written before records and what follows its answers: puts it into the
 * two places before `iov`, and gives how many of them it used. */
unsigned output_pieces(const struct clients *clients, const struct exchange *ex,
                       const struct conn *c, struct iovec *iov);

/* Strikes off `w` bytes that were written of that; gives those that were of something else. Strikes
 * them off ex->tail. */
size_t output_took(struct clients *clients, struct exchange *ex, struct conn *c, size_t w);
void output_tail_took(struct exchange *ex, size_t w);

/* Keeps `out` and the tail with the connection, as its socket is full. False: there is no room. */
bool output_keep(struct clients *clients, struct exchange *ex, struct conn *c);

#endif
