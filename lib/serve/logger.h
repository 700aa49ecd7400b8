/*
 * logger.h - where lines are logged, and how many refusals this second has seen.
 */
#ifndef SSE_LIB_SERVE_LOGGER_H
#define SSE_LIB_SERVE_LOGGER_H

#include "lib/opt.h"
#include "lib/text.h"

/* Counts logged refusals, so that a flood of them does not flood the log. */
struct refusals {
    uint64_t second; /* by clock.now */
    uint32_t said;   /* logged in this second, ... */
    uint64_t more;   /* ... and suppressed */
};

struct log {
    struct refusals refusals;

    /* Logs a line; pairs of key and value follow, ended by NULL. */
    void (*say)(enum opt_log level, const char *msg, ...) TEXT_LIST_POINTER;
    /* Appends the address of a client's peer; returns false if it is not known. NULL: no address is
     * known. */
    bool (*peer)(int fd, struct text *t);
};

#endif
