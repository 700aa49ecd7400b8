/*
 * reply.h - the head of an answer, as a client reads it (RFC 9112), strictly: lines end in CRLF, a
 * field's name is a token, and a body is delimited in one way. What comes from a server may be
 * anything.
 */
#ifndef SSE_LIB_REPLY_H
#define SSE_LIB_REPLY_H

#include "lib/span.h"

struct reply {
    int status;
    bool chunked; /* the body is; */
    bool sized;   /* or it has `length` bytes; else it ends with the connection */
    uint64_t length;
    struct span type;     /* Content-Type, without parameters; empty: none */
    struct span location; /* Location; empty: none */
    uint64_t retry_after; /* seconds; 0: none that is a number */
};

/* Reads the head at the front of `s`. >0: its length; 0: it is not complete; -1: it is none. An
 * answer of status 1xx, 204 or 304 has no body. */
int reply_read(struct span s, struct reply *r);

#endif
