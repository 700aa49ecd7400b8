/*
 * log.h - how lines are logged, and what of refusals has been.
 */
#ifndef SSE_LIB_SERVE_LOG_H
#define SSE_LIB_SERVE_LOG_H

#include "lib/opt.h"
#include "lib/text.h"

/* Refusals that were logged, so that a flood of them is not one of the log. */
struct refusals {
    uint64_t second; /* by clock.now */
    uint32_t said;   /* in this second, ... */
    uint64_t more;   /* ... and how many were not */
};

struct log {
    struct refusals refusals;

    /* Logs a line: pairs of key and value follow, ended by NULL. */
    void (*say)(enum opt_log level, const char *msg, ...) TEXT_LIST_POINTER;
    /* Appends the address of the peer of a client's socket; false: it has none. NULL: nobody
     * knows. */
    bool (*peer)(int fd, struct text *t);
};

#endif
