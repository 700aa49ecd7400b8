/*
 * kit.h - what the programs of bench/ share: errors, time, sockets, children.
 *
 * They run for a while and end, so whatever goes wrong ends the program with a message. Children
 * have their SIGKILL from the kernel when the one that started them dies.
 */
#ifndef SSE_BENCH_KIT_H
#define SSE_BENCH_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The program's name, for its messages. */
extern const char *kit_name;

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Monotonic. */
uint64_t now_ns(void);
void pause_ms(unsigned ms);

/* Memory, zeroed; it ends the program where there is none. */
void *take(size_t n, size_t size);

/* A number from the command line, within bounds. */
unsigned long number(const char *flag, const char *text, unsigned long least, unsigned long most);

/* The descriptor limit at its highest. Returns it. */
unsigned long raise_descriptors(void);

/* This process, and the children it has from now on, run on that core alone; -1: where they
 * like. */
void pin(int core);

/* A blocking connection to 127.0.0.1:port from 127.0.0.`from`, whose calls wait 30 s at most. */
int connect_from(unsigned from, unsigned port);

/* Sends all of it, waiting as long as that takes. */
void send_all(int fd, const void *bytes, size_t n);

/* Starts a program on a core (-1: any). Its stdin is *in and its stdout *out, pipes, where these
 * are not NULL; else /dev/null, and ours. */
pid_t spawn(const char *const argv[], int core, int *in, int *out);

/* Forks: 0 in the child, which dies with its parent. */
pid_t fork_leashed(void);

/* Ends a child of ours by a signal, later by SIGKILL; returns its status. */
int finish(pid_t pid, int signal);

/* Reads a line, without its end, that must come within so many seconds; false: there is no more. */
bool read_line(int fd, char *line, size_t room, unsigned seconds);

#endif
