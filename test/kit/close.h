/*
 * close.h - for processes that become another program: no descriptors but those meant for it.
 *
 * By the call itself: glibc has a function for it since 2.34, and its number under SYS_ since 2.33.
 */
#ifndef SSE_TEST_KIT_CLOSE_H
#define SSE_TEST_KIT_CLOSE_H

#include <sys/syscall.h>
#include <unistd.h>

/* Closes all descriptors from this one on. */
static inline void close_from(unsigned first)
{
    syscall(__NR_close_range, first, ~0u, 0);
}

/* Has them closed when another program is executed. */
static inline void close_later_from(unsigned first)
{
    syscall(__NR_close_range, first, ~0u, 1u << 2); /* CLOSE_RANGE_CLOEXEC */
}

#endif
