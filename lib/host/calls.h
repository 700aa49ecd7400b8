/*
 * calls.h - the system calls that the server makes after its start: the table in calls.c, one line
 * each with its reason. It covers glibc and musl, and the loop, the store and its thread, the end,
 * and an in-place upgrade up to the next program's own filter, as a filter outlives an exec.
 *
 * A call that is not in the table ends the process (sandbox.h). rt_sigprocmask(), where it could
 * block a signal, is emulated by the handler of SIGSYS. Calls that libc can do without fail with
 * ENOSYS. The test suite, which runs inside the filter, and test/calls find a libc that makes other
 * calls.
 *
 * A build with sanitizers, which is for tests, has their calls at the head of the table.
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

/* Builds the filter for this machine. Returns how many instructions it has; 0 if there is no table
 * for this machine. */
#define CALLS_FILTER 1024u
uint32_t calls_filter(struct filter_insn out[CALLS_FILTER]);

/* Builds the filter of the process that opens the key file (keeper.h). Returns as calls_filter()
 * does. */
uint32_t calls_keeper(struct filter_insn out[CALLS_FILTER]);

/* The calls in the table, one bit each. */
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

/* Returns the first call of the table that *known lacks; -1 if there is none. */
int calls_missing(const struct calls *known);

#endif
