/*
 * token.h - `sse token`: makes tokens, signs URLs, shows the contents of a token.
 */
#ifndef SSE_LIB_CLI_TOKEN_H
#define SSE_LIB_CLI_TOKEN_H

/* Runs the command; argv[0] is "token". Returns its exit code, or ends the process. */
int token_run(int argc, char **argv);

#endif
