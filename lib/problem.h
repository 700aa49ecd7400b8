/*
 * problem.h - the body of a refusal (RFC 9457, application/problem+json).
 */
#ifndef SSE_LIB_PROBLEM_H
#define SSE_LIB_PROBLEM_H

#include "lib/text.h"

/* Appends {"type":"about:blank","title":TITLE,"status":STATUS,"detail":DETAIL} and a newline. What
 * of the detail is not UTF-8 is cut off, from there to its end. */
void problem_write(struct text *t, int status, const char *title, struct span detail);

#endif
