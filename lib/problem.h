/*
 * problem.h - the body of a refusal (RFC 9457, application/problem+json).
 */
#ifndef SSE_LIB_PROBLEM_H
#define SSE_LIB_PROBLEM_H

#include "lib/text.h"

/* Appends {"type":"about:blank","title":TITLE,"status":STATUS,"detail":DETAIL} and a newline. A
 * detail that is not UTF-8 is cut before its first wrong byte. */
void problem_write(struct text *t, int status, const char *title, struct span detail);

#endif
