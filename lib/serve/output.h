/*
 * output.h - bytes that are to be written to a connection, besides records.
 */
#ifndef SSE_LIB_SERVE_OUTPUT_H
#define SSE_LIB_SERVE_OUTPUT_H

#include "lib/serve/clients.h"
#include "lib/serve/conn.h"
#include "lib/serve/exchange.h"

#include <sys/uio.h>

/* Puts the bytes that come before records and before what follows the answers into the two places
 * before `iov`. Returns how many places it used. */
unsigned output_pieces(const struct clients *clients, const struct exchange *ex,
                       const struct conn *c, struct iovec *iov);

/* Strike off `w` written bytes. output_took() strikes them off what output_pieces() had put there,
 * and returns how many were of something else; output_tail_took() strikes them off ex->tail. */
size_t output_took(struct clients *clients, struct exchange *ex, struct conn *c, size_t w);
void output_tail_took(struct exchange *ex, size_t w);

/* Keeps `out` and the tail with the connection, as its socket is full. Returns false if there is no
 * room. */
bool output_keep(struct clients *clients, struct exchange *ex, struct conn *c);

#endif
