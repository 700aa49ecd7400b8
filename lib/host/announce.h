/*
 * announce.h - what is told of the server's life: to the service manager, in the log, and, of its
 * addresses, on stdout.
 *
 *                 stdout      log             service manager (notify.h)
 *   started       addresses   it, warnings    READY=1
 *   upgraded                  it              READY=1
 *   stopping                  it              STOPPING=1
 *   stopped                   it, a summary
 *
 * A server that can't tell the service manager, or nobody on stdout, warns of it and goes on.
 */
#ifndef SSE_LIB_HOST_ANNOUNCE_H
#define SSE_LIB_HOST_ANNOUNCE_H

#include "lib/host/tables.h"
#include "lib/serve/server.h"

/* It is ready: on stdout a line for each listener in the table; those of --admin come last, with
 * "admin " in front. Warns of those that are open to more than may have been thought of, and where
 * a control group's limit is less than `t` may take. */
void announce_started(struct server *s, const struct tables *t);

/* It goes on as another program. */
void announce_upgraded(struct server *s);

/* It begins to end, for this reason; it has ended. */
void announce_stopping(struct server *s, const char *why);
void announce_stopped(struct server *s);

#endif
