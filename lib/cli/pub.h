/*
 * pub.h - `sse pub`: publishes a text or what it reads from stdin, as a client.
 */
#ifndef SSE_LIB_CLI_PUB_H
#define SSE_LIB_CLI_PUB_H

int pub_run(int argc, char **argv);

#endif
