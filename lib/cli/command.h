/*
 * command.h - what the command line asks for, and what the binary does besides serving:
 * `sse COMMAND [OPTION]...`.
 *
 * A command is the first argument and no flag. Each runs instead of the server, in a process that
 * ends with it; it writes results on stdout and what is wrong on stderr, and ends with a code of
 * sysexits.h.
 */
#ifndef SSE_LIB_CLI_COMMAND_H
#define SSE_LIB_CLI_COMMAND_H

#include "lib/opt.h"

/* Carries out what the arguments ask for, if that is not to serve: runs a command, prints what
 * --help, --version and --explain-limits have to say. Returns the exit code; -1: they are a
 * server's, and in *opt. Ends the process where they are wrong. */
int command_line(struct opt *opt, int argc, char **argv);

#endif
