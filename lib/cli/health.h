/*
 * health.h - `sse health`: checks whether a server is ready, for a container's healthcheck, which
 * has no other program to do it with.
 */
#ifndef SSE_LIB_CLI_HEALTH_H
#define SSE_LIB_CLI_HEALTH_H

/* Requests /-/ready of the server at a URL, or of the one that the same flags and variables would
 * start. Returns EX_OK if it answers 200 in time; else EX_UNAVAILABLE, with the reason on
 * stderr. */
int health_run(int argc, char **argv);

#endif
