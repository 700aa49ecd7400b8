/*
 * calls.h - the system calls that the server makes after its start, a line each with its reason:
 * the table in calls.c. They are those of both libcs it is built with, glibc and musl; of the loop,
 * the store and its thread, the end, and an in-place upgrade with all that the next program does up
 * to its own filter, as a filter outlives an exec.
 *
 * A call that is not in the table ends the process (sandbox.h), but for rt_sigprocmask(), which is
 * done by the handler of SIGSYS where it could block. Some that libc can do without fail with
 * ENOSYS. A libc that makes others shows in the test suite, which runs inside the filter, and in
 * test/calls.
 *
 * With sanitizers there are more, of theirs, at the head of the table: that build is for tests.
 */
#ifndef SSE_LIB_HOST_CALLS_H
#define SSE_LIB_HOST_CALLS_H

#include "lib/host/filter.h"

#if !defined(CALLS_SANITIZED) && defined(__SANITIZE_ADDRESS__)
#define CALLS_SANITIZED 1
#elif !defined(CALLS_SANITIZED) && defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CALLS_SANITIZED 1
#endif
#endif
#ifndef CALLS_SANITIZED
#define CALLS_SANITIZED 0
#endif

/* Puts the filter for this machine together; returns how many instructions it has, 0: there is no
 * table for it. */
#define CALLS_FILTER 1024u
uint32_t calls_filter(struct filter_insn out[CALLS_FILTER]);

/* The filter of the process that opens the key file (keeper.h). */
uint32_t calls_keeper(struct filter_insn out[CALLS_FILTER]);

/* Which calls the table has, a bit each. */
#define CALLS_WORDS 8u
struct calls {
    uint64_t bits[CALLS_WORDS];
};
struct calls calls_all(void);

/* The filters that are in force. */
struct calls_held {
    uint64_t sum;       /* of the last one, filter_sum(); 0: there is none */
    struct calls calls; /* that all of them let pass, by arguments or not */
};

/* The first call that the table has and *known has not; -1: there is none. */
int calls_missing(const struct calls *known);

#endif
