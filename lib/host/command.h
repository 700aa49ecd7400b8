/*
 * command.h - what the binary does besides serving: `sse COMMAND [OPTION]...`.
 *
 * A command is the first argument and no flag. Each runs instead of the server, in a process that ends
 * with it; it writes results on stdout and what is wrong on stderr, and ends with a code of sysexits.h.
 */
#ifndef SSE_LIB_HOST_COMMAND_H
#define SSE_LIB_HOST_COMMAND_H

/* Runs the command that argv[1] names. Gives its exit code; -1: it names none, and the arguments are
 * the server's. */
int command_run(int argc, char **argv);

#endif
