/*
 * abuse_bench.h - the bench of load_abuse: a server, honest clients who are measured, and processes
 * that abuse it.
 *
 * The honest ones are a subscriber, a publisher of a message every few ms, and one who asks GET
 * /-/healthy; they work whenever one of the functions here waits. What is measured is the server:
 * it has a core of its own where there are two, it and the honest ones go before all others where
 * that is allowed, abusers are nice, and an answer's time is the kernel's, of when it arrived.
 *
 * A wait for /-/healthy is measured twice: as time that has passed, and as CPU time that the server
 * used meanwhile. The second does not grow when the machine is busy with something else.
 *
 * An abuse runs in a process of its own, in which all this is; a failure that leaves nothing to
 * measure ends it.
 */
#ifndef SSE_TEST_KIT_ABUSE_BENCH_H
#define SSE_TEST_KIT_ABUSE_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_PUBLISHERS 16 /* who may publish to the honest subscriber's topic besides */

struct abuse {
    const char *name;
    const char *needs; /* a flag that the server must have, or NULL */
    const char *flags; /* the server's, with a blank between */
    void (*run)(void);
    long ring, buffers; /* --ring, --max-buffers */
    int connections;    /* there are at a time, at most */
    int topics;         /* likewise */
    long memory;        /* VmRSS at most, 0: as the four above allow */
    bool fresh;         /* each request of /-/healthy comes on a connection of its own */
    const char *fields; /* of a request for /-/metrics: a token, or NULL */
    int ask_ms;         /* between two of them; 0: the bench's own */
    bool full_core;     /* the server may use all of its core: it is not put before all others, as
                         * Linux stops such a process for 50 ms a second */
};

/* Waits for /-/healthy under abuse, in ms. */
struct bench_waits {
    int n;
    double p50, p99, p999, max;             /* time */
    double cpu_p50, cpu_p99, cpu_p999, cpu; /* CPU time of the server; `cpu` is the most */
    double message_p999, message;           /* from publishing to the subscriber: time, the most */
    double turn;                            /* the longest turn of the server's loop: time */
    double busy;                            /* percent of a core that the server used */
};

/* What all abuses have come to, shared by their processes. */
struct bench_sum {
    int passed, failed, left_out;
    double worst;      /* the largest ratio of medians, ... */
    const char *whose; /* ... and whose that was */
};

/* Returns true if `path --help` lists this flag. */
bool bench_knows(const char *path, const char *flag);

/* Starts a server for `a` and the honest ones, and measures what is normal. */
void bench_begin(const char *path, const struct abuse *a);

/* Sees that all is as it should be after the abuse, and prints the line. Returns whether it
 * passed. */
bool bench_end(struct bench_sum *sum);

/* Ends the measuring, waits for what is under way, and returns what was measured. */
struct bench_waits bench_waits(void);

/* Stops the server, which must end in order and without a word. Returns whether the abuse passed;
 * prints what failed it. */
bool bench_stop(void);

/* Lets the honest ones work for a while. */
void bench_run(int ms);

/* What was measured under abuse so far does not count; nor what comes from here on. */
void bench_from_here(void);
void bench_to_here(void);

/* Waits until the server has closed the abusers' connections by itself. */
void bench_closed(void);

/* Returns true if the server and the honest clients go before all else on their cores. Otherwise
 * the machine's other work is in the measurement, and a latency is shown but not judged. */
bool bench_first(void);

/* Starts an abuser, a process that calls this and ends. */
void bench_spawn(void (*abuser)(int number), int number);

/* Waits for reports of this kind from so many abusers, and adds their figures to sum[0..2). */
void bench_await(char kind, int count, long sum[2]);

/* Returns how many reports of this kind have come and were not waited for. */
int bench_count(char kind);

/* Tells all abusers to end, and waits for it; a failure of theirs is one of the abuse. */
void bench_release(void);

/* Kills them. */
void bench_kill(void);

/* Adds to the abuse's line. */
void bench_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What is not so fails the abuse. */
void bench_require(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fails at once. */
void bench_die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Messages that BENCH_PUBLISHERS published to /honest and the subscriber has seen. */
long bench_flood_seen(void);

/* Asks for a gauge or counter of /-/metrics. */
long bench_metric(const char *name);

/* The server's limit of descriptors from now on. */
void bench_limit(int fds);

double bench_now(void); /* s */

/* ---- for abusers --------------------------------------------------------------------------- */

/* Tells bench_await(). */
void bench_report(char kind, long a, long b);

/* Waits `ms` to be told to end. Returns true if this abuser is to end. */
bool bench_over(int ms);

/* A connection from 127.0.0.1 + `from`, with a receive buffer of `room` bytes unless that is 0; -1:
 * it was refused. */
int bench_connect(unsigned from, int room);

/* Sends all of it, waiting for room. */
void bench_send(int fd, const char *text);

/* recv() of what is there; *came is when the last of it arrived at this host's stack. */
ssize_t bench_recv(int fd, void *buf, size_t size, double *came);

/* Counts the answers to publishing in buf[0..n), each of which must be a 201 unless `any` will do;
 * *seen is 0 at first. */
int bench_answers(unsigned *seen, const char *buf, size_t n, bool any);

#endif
