/*
 * reply.h - reads the head of an answer, as a client does (RFC 9112). It is strict, as a server may
 * send anything: lines end in CRLF, a field name is a token, and a body is delimited in one way.
 */
#ifndef SSE_LIB_REPLY_H
#define SSE_LIB_REPLY_H

#include "lib/span.h"

struct reply {
    int status;
    bool chunked; /* the body is chunked; */
    bool sized;   /* or has `length` bytes; else it ends with the connection */
    uint64_t length;
    struct span type;     /* Content-Type, without parameters; empty: none */
    struct span location; /* Location; empty: none */
    uint64_t retry_after; /* Retry-After in seconds; 0: none, or not a number */
};

/* Reads the head at the front of `s`. Returns its length; 0 if it is not complete; -1 if it is not
 * valid. An answer of status 1xx, 204 or 304 has no body: sized, with length 0. */
int reply_read(struct span s, struct reply *r);

#endif
