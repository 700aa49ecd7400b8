/*
 * health.h - `sse health`: is a server ready? For a container's healthcheck, which has no other
 * program to ask with.
 */
#ifndef SSE_LIB_CLI_HEALTH_H
#define SSE_LIB_CLI_HEALTH_H

/* Asks the server at a URL, or the one that the same flags and variables would start, for /-/ready.
 * Returns EX_OK if it answers 200 in time; EX_UNAVAILABLE, with the reason on stderr, if not. */
int health_run(int argc, char **argv);

#endif
