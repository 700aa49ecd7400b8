/*
 * sub.h - `sse sub`: subscribes to topics as a client and prints what comes.
 */
#ifndef SSE_LIB_CLI_SUB_H
#define SSE_LIB_CLI_SUB_H

int sub_run(int argc, char **argv);

#endif
