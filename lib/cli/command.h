/*
 * command.h - carries out the command line: `sse COMMAND [OPTION]...`, or the options of a server.
 *
 * The first argument, if it is not a flag, is a command. It runs instead of the server, writes its
 * results to stdout and its errors to stderr, and ends the process with a code of sysexits.h.
 */
#ifndef SSE_LIB_CLI_COMMAND_H
#define SSE_LIB_CLI_COMMAND_H

#include "lib/opt.h"

/* Runs a command, or prints what --help, --version or --explain-limits ask for. Returns the exit
 * code; or -1 if the arguments are a server's: they are in *opt then. Ends the process if they are
 * wrong. */
int command_line(struct opt *opt, int argc, char **argv);

#endif
