/*
 * log.h - lines of logfmt: key=value, in quotes where a value needs them.
 */
#ifndef SSE_LIB_LOG_H
#define SSE_LIB_LOG_H

#include "lib/text.h"

#include <stdarg.h>

/* Appends one line: time (ms since 1970), level, message, then the pairs of key and value in `ap`
 * (NUL-ended strings) up to a NULL. A time of 0 is for journald, which has the time itself: the
 * level's number as sd-daemon(3) has it, "<6>", stands in its place. Bytes of a value that are not
 * printable ASCII become "?", so that no peer can write lines of its own or steer a terminal. A
 * value over 1,000 bytes is cut. Of a line that does not fit, values are left out, but never its
 * end. */
void log_write(struct text *t, uint64_t wall_ms, const char *level, const char *msg, va_list ap);

#endif
