/*
 * chromium.h - a headless Chromium as a process that does not outlive the test program.
 *
 * It is looked after by a keeper, a process that takes it and all its children down and its
 * directory away when the test program has ended, however that came about.
 */
#ifndef SSE_TEST_KIT_CHROMIUM_H
#define SSE_TEST_KIT_CHROMIUM_H

#include <stdbool.h>
#include <sys/types.h>

#define CHROMIUM_START_MS 180000 /* a browser's first start, on a busy machine */

struct chromium {
    pid_t keeper;
    int life;           /* a pipe that ends when the test program does */
    char directory[64]; /* all that it writes, its stderr too */
    int to, from;       /* its DevTools, messages ended by NUL; -1: not asked for */
};

/* Starts it with this page. To be called once, before the first test. */
void chromium_start(struct chromium *b, const char *url, bool devtools);
void chromium_stop(struct chromium *b);

/* Returns true if it has ended. */
bool chromium_ended(const struct chromium *b);

/* The end of what it wrote to stderr, in a static buffer. */
const char *chromium_stderr(const struct chromium *b);

#endif
