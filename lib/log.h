/*
 * log.h - log lines in logfmt: key=value, quoted where a value needs it.
 */
#ifndef SSE_LIB_LOG_H
#define SSE_LIB_LOG_H

#include "lib/text.h"

#include <stdarg.h>

/* Appends one line: time (ms since 1970), level, message, then the pairs of key and value in `ap`
 * (NUL-ended strings) up to a NULL. A time of 0 is for journald, which adds its own: the level's
 * number, "<6>" (sd-daemon(3)), stands in its place. Bytes of a value that are not printable ASCII
 * become "?", so that no peer can write lines of its own or steer a terminal. A value over 1,000
 * bytes is cut. If a line does not fit, values are left out, but never its line end. */
void log_write(struct text *t, uint64_t wall_ms, const char *level, const char *msg, va_list ap);

#endif
