/*
 * pub.h - `sse pub`: publishes as a client, a text or what comes on stdin.
 */
#ifndef SSE_LIB_CLI_PUB_H
#define SSE_LIB_CLI_PUB_H

int pub_run(int argc, char **argv);

#endif
