/*
 * nginx.h - an nginx before the server, for tests whose server ends and comes back, or whose
 * answers are held up. It dies with the test that started it.
 */
#ifndef SSE_TEST_KIT_NGINX_H
#define SSE_TEST_KIT_NGINX_H

#include <stdbool.h>
#include <sys/types.h>

struct nginx {
    pid_t pid;
    char url[64];
};

/* Starts it before `upstream`, as proxy_pass has it ("http://unix:/path"), with all that it writes
 * in a new directory within `directory`. `buffers`: it keeps what comes until the answer ends,
 * whatever that says of it. */
void nginx_start(struct nginx *n, const char *directory, const char *upstream, bool buffers);
void nginx_stop(struct nginx *n);

#endif
