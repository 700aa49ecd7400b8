/*
 * machine.h - reads what limits this machine (lib/host/limits.h).
 */
#ifndef SSE_LIB_HOST_MACHINE_H
#define SSE_LIB_HOST_MACHINE_H

#include "lib/host/limits.h"

/* Reads all of them, under `root`, which is "" but in tests. What is not there is LIMIT_NONE. */
void machine_limits(struct limits *l, const char *root);

/* Returns the bytes that the control group of this process, and those it is in, leave it: their
 * limit without what is in use. LIMIT_NONE: there is no limit. */
uint64_t machine_group_left(const char *root);

/* Prints the table on stdout; returns an exit code. */
int machine_explain(void);

#endif
