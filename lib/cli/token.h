/*
 * token.h - the command `sse token`: makes tokens, signs URLs, tells what a token says.
 */
#ifndef SSE_LIB_CLI_TOKEN_H
#define SSE_LIB_CLI_TOKEN_H

/* Runs it; argv[0] is "token". Gives its exit code, if it does not end the process itself. */
int token_run(int argc, char **argv);

#endif
