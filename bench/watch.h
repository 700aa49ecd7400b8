/*
 * watch.h - what the kernel says of a process, and of its own memory.
 */
#ifndef SSE_BENCH_WATCH_H
#define SSE_BENCH_WATCH_H

#include <stdint.h>
#include <sys/types.h>

struct watch_cpu {
    uint64_t ns;           /* as the scheduler counts them: exact */
    uint64_t user, kernel; /* in ticks of 10 ms, to tell the one's part from the other's */
};

struct watch_memory {
    uint64_t resident; /* bytes of the process, all */
    uint64_t shared;   /* of these: files and shared memory, such as a ring */
    uint64_t kernel;   /* bytes of the kernel's objects and of sockets' buffers, whoever's */
};

/* The time a process has used; it ends the program where there is no such process. */
struct watch_cpu watch_cpu(pid_t pid);

struct watch_memory watch_memory(pid_t pid);

/* Waits until the process does nothing for a moment; at most so many seconds. */
void watch_idle(pid_t pid, unsigned seconds);

#endif
