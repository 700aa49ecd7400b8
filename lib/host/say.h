/*
 * say.h - the log, on stderr.
 *
 * It never waits for whoever reads there: a line there is no room for is dropped and counted
 * (sse_log_lines_dropped_total).
 */
#include "lib/serve/server.h"
#ifndef SSE_LIB_HOST_SAY_H
#define SSE_LIB_HOST_SAY_H

#include <stdarg.h>

/* Writes one line: pairs of key and value are in `ap`, ended by NULL. `journal`: stderr is
 * journald's, which has the time itself. */
void say_line(struct server *s, bool journal, enum opt_log level, const char *msg, va_list ap);

#endif
