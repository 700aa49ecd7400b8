/*
 * child.h - for the load programs: the server as a process of its own, and what
 * /proc tells of it.
 *
 * Every failure ends the program: child_die() says what happened and what the
 * server wrote to stderr. The kernel ends the server (SIGKILL) when the program
 * that started it dies, and a program ends itself at its deadline, so nothing
 * is left behind.
 */
#ifndef SSE_TEST_KIT_CHILD_H
#define SSE_TEST_KIT_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CHILD_ARGS 32

struct child {
    const char *program;        /* of the test, for its messages */
    const char *path;           /* of the server */
    char args[CHILD_ARGS][128]; /* what it is started with, besides --port and --log */
    unsigned arg_count;
    pid_t pid;     /* 0: it does not run */
    int out, err;  /* its stdout, a pipe; its stderr, a file in memory */
    uint16_t port; /* 0: the first start takes a free one, and it is kept */
};

/* Sets it up and sets the program's deadline. Descriptors are raised as far as
 * is allowed; returns how many there are. */
long child_init(struct child *c, const char *program, const char *path, unsigned deadline_s);

/* Adds an argument. */
void child_arg(struct child *c, const char *arg);

/* Forks and executes it. child_ready() then waits for the line that tells its
 * address, ms at most; false: it ended before. */
void child_start(struct child *c);
bool child_ready(struct child *c, int ms);

/* SIGKILL, and waits. */
void child_kill(struct child *c);

/* SIGTERM; it must end with status 0 and nothing on stderr. */
void child_stop(struct child *c, int ms);

/* It must be running. */
void child_alive(struct child *c);

/* Says what happened and what the server said, and ends the program. */
void child_die(struct child *c, const char *format, ...)
    __attribute__((noreturn, format(printf, 2, 3)));

/* A field of /proc/PID/status in bytes; how many descriptors it has. */
long child_memory(struct child *c, const char *field);
long child_descriptors(struct child *c);

/* A value of /-/metrics, asked over a connection of its own; -1: it is not
 * there. */
long long child_metric(struct child *c, const char *name);

/* Seconds and microseconds, monotonic. */
double child_now(void);
uint64_t child_now_us(void);
void child_pause(int ms);

#endif
