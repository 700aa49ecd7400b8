/*
 * announce.h - reports start, upgrade and end: to the service manager, in the log, and, of the
 * addresses, on stdout.
 *
 *                 stdout      log             service manager (notify.h)
 *   started       addresses   it, warnings    READY=1
 *   upgraded                  it              READY=1
 *   stopping                  it              STOPPING=1
 *   stopped                   it, a summary
 *
 * If the service manager or stdout cannot be written to, the server logs a warning and goes on.
 */
#ifndef SSE_LIB_HOST_ANNOUNCE_H
#define SSE_LIB_HOST_ANNOUNCE_H

#include "lib/host/tables.h"
#include "lib/serve/server.h"

/* The server is ready. Prints a line for each listener; those of --admin come last, with "admin "
 * in front. Warns of listeners that may be open to more than was meant, and if the control group's
 * memory limit is less than `t` may take. */
void announce_started(struct server *s, const struct tables *t);

/* The server goes on as another program. */
void announce_upgraded(struct server *s);

/* The server begins to end, for reason `why`; it has ended. */
void announce_stopping(struct server *s, const char *why);
void announce_stopped(struct server *s);

#endif
