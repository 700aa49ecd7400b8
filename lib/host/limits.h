/*
 * limits.h - what of a machine limits how many connections a server can have there:
 * --explain-limits.
 *
 * The values are read elsewhere (lib/host/machine.h); here they become a table: how many
 * connections each allows, which of them stops first, and the setting that lifts it.
 */
#ifndef SSE_LIB_HOST_LIMITS_H
#define SSE_LIB_HOST_LIMITS_H

#include "lib/text.h"

enum limit {
    LIMIT_DESCRIPTORS = 0, /* of this process, hard: the server takes all there are */
    LIMIT_NR_OPEN = 1,     /* the highest that this can be set to */
    LIMIT_FILES = 2,       /* of the whole machine */
    LIMIT_WATCHES = 3,     /* of epoll, of this user */
    LIMIT_CONNTRACK = 4,   /* connections that netfilter keeps track of */
    LIMIT_MEMORY = 5,      /* bytes that are available */
    LIMIT_CGROUP = 6,      /* bytes this process's group may have */
    LIMIT_TCP_MEMORY = 7,  /* bytes that all sockets' buffers may take */
    LIMIT_COMMIT = 8,      /* bytes that may be reserved, where that is counted */
    LIMIT_MAPS = 9,        /* mappings of a process */
    LIMIT_PIDS = 10,       /* processes of its group */
    LIMIT_BACKLOG = 11,    /* connections that wait to be accepted */
    LIMIT_SYN = 12,        /* connections that are half open */
    LIMIT_PORTS = 13,      /* ports for clients */
    LIMITS = 14,
};

#define LIMIT_NONE UINT64_MAX /* there is no such limit here, or it can't be known */

struct limits {
    uint64_t value[LIMITS];
    uint64_t used[LIMITS]; /* of it, by others or already */
};

/* How many connections a limit allows; LIMIT_NONE: any number, or it is not of that kind. */
uint64_t limits_connections(const struct limits *l, enum limit which);

/* The one that stops first. */
enum limit limits_first(const struct limits *l);

/* Appends the table, some 3 KB. */
void limits_write(struct text *t, const struct limits *l);

#endif
