/*
 * limits.h - which limits of a machine bound the number of connections: --explain-limits.
 *
 * lib/host/machine.h reads the values; here they become a table: how many connections each allows,
 * which is reached first, and the setting that raises it.
 */
#ifndef SSE_LIB_HOST_LIMITS_H
#define SSE_LIB_HOST_LIMITS_H

#include "lib/text.h"

enum limit {
    LIMIT_DESCRIPTORS = 0, /* of this process, the hard limit: the server uses all of it */
    LIMIT_NR_OPEN = 1,     /* the highest that the former can be set to */
    LIMIT_FILES = 2,       /* of the whole machine */
    LIMIT_WATCHES = 3,     /* of epoll, of this user */
    LIMIT_CONNTRACK = 4,   /* connections that netfilter keeps track of */
    LIMIT_MEMORY = 5,      /* bytes that are available */
    LIMIT_CGROUP = 6,      /* bytes that this process's control group may use */
    LIMIT_TCP_MEMORY = 7,  /* bytes that all sockets' buffers may take */
    LIMIT_COMMIT = 8,      /* bytes that may be reserved, where that is counted */
    LIMIT_MAPS = 9,        /* mappings of a process */
    LIMIT_PIDS = 10,       /* processes of its control group */
    LIMIT_BACKLOG = 11,    /* connections that wait to be accepted */
    LIMIT_SYN = 12,        /* connections that are half open */
    LIMIT_PORTS = 13,      /* ports for clients */
    LIMITS = 14,
};

#define LIMIT_NONE UINT64_MAX /* there is no such limit here, or it can't be known */

struct limits {
    uint64_t value[LIMITS];
    uint64_t used[LIMITS]; /* by other processes or by this one already */
    uint32_t workers;      /* processes that serve, each with descriptors of its own: from 1 */
};

/* Returns how many connections a limit allows; LIMIT_NONE if any number, or if the limit is not of
 * that kind. */
uint64_t limits_connections(const struct limits *l, enum limit which);

/* Returns the limit that is reached first. */
enum limit limits_first(const struct limits *l);

/* Appends the table, some 3 KB. */
void limits_write(struct text *t, const struct limits *l);

#endif
