/*
 * machine.h - reads the limits of this machine (lib/host/limits.h).
 */
#ifndef SSE_LIB_HOST_MACHINE_H
#define SSE_LIB_HOST_MACHINE_H

#include "lib/host/limits.h"

/* Reads all limits from the files under `root`, which is "" but in tests. A limit whose file is
 * missing is LIMIT_NONE. One worker counts. */
void machine_limits(struct limits *l, const char *root);

/* Returns the bytes that the control group of this process and the groups above it leave: their
 * limit less what is used. LIMIT_NONE if they have no limit. */
uint64_t machine_group_left(const char *root);

/* Prints the table of limits on stdout, for so many --workers. Returns an exit code. */
int machine_explain(uint32_t workers);

#endif
