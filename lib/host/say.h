/*
 * say.h - writes the log, on stderr.
 *
 * It never blocks: if the reader of stderr is behind, a line is dropped and counted
 * (sse_log_lines_dropped_total).
 */
#include "lib/serve/server.h"
#ifndef SSE_LIB_HOST_SAY_H
#define SSE_LIB_HOST_SAY_H

#include <stdarg.h>

/* Writes one line; `ap` holds pairs of key and value, ended by NULL. `journal`: stderr is
 * journald's, which adds the time itself. */
void say_line(struct server *s, bool journal, enum opt_log level, const char *msg, va_list ap);

#endif
