/*
 * spare.h - for tests with other programs, which not every release has: they go without one that
 * is not there, and say so.
 *
 * test/setup installs all of these where it can, so that none is left out for want of a package.
 */
#ifndef SSE_TEST_KIT_SPARE_H
#define SSE_TEST_KIT_SPARE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Returns true if this shell command succeeds. Otherwise prints a line, which test/run counts, that
 * these tests are left out. main() calls it before the suite runs. */
static inline bool can(const char *command, const char *tests)
{
    char line[256];
    snprintf(line, sizeof(line), "PATH=$PATH:/usr/sbin:/sbin; %s >/dev/null 2>&1", command);
    if (system(line) == 0)
        return true;
    printf("left out: %s\n", tests);
    return false;
}

#endif
