/*
 * help.h - the texts of --help: lib/cli/help.txt, which the binary has in itself, packed. They
 * stand there one behind the other, each from its line "Usage: sse ..." on.
 */
#ifndef SSE_LIB_CLI_HELP_H
#define SSE_LIB_CLI_HELP_H

#include "lib/span.h"

#define HELP_MAX    8192 /* bytes of all the texts */
#define HELP_SERVER "["  /* what stands behind "sse" in the usage of the server */

/* Unpacks the texts into `room`; returns the one of a command there is, or of HELP_SERVER. */
struct span help_text(char room[HELP_MAX], const char *command);

/* Writes that to stdout; returns the exit code. */
int help_print(const char *command);

#endif
