/*
 * abuse_http.c - abuses over HTTP: floods, deep and wide polls, slow and vanishing clients.
 */
#include "test/kit/abuse_bench.h"
#include "test/kit/abuse_kinds.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BLOCK = 64 << 10, /* of requests, sent at once */
    LARGE = 1 << 20,  /* bytes of a message that is large when escaped */
    SMALL = 60,       /* bytes of one that is small, ... */
    SMALLS = 4000,    /* ... and how many there are */
    TOPICS = 8000,    /* for deep polls */
    LINES = 32000,    /* in a piece of a batch */
    SLOW = 100,       /* slow readers of a process, ... */
    WAITING = 1000,   /* ... those that wait, ... */
    LEAVING = 1000,   /* ... that leave at once, ... */
    DRIPPING = 200,   /* ... and that send a body slowly */
};

#define REQUEST(line) line " HTTP/1.1\r\nHost: b\r\n\r\n"

static char block[BLOCK];

/* Pipelines a request. */
static void flood(int number, const char *request, void (*again)(int number))
{
    abuse_pump(number, block, abuse_repeat(block, sizeof block, request), 0, again);
}

/* ---- messages that are expensive to escape --------------------------------------------------- */

static void large_put(int number)
{
    static char body[LARGE];
    memset(body, '"', sizeof body);
    abuse_put(number, "/quotes/large", "text/plain", body, sizeof body);
}

static void head_large(int number)
{
    flood(number, REQUEST("HEAD /quotes/large"), large_put);
}

static void get_large(int number)
{
    flood(number, REQUEST("GET /quotes/large?since=-1"), large_put);
}

static void small_put(int number)
{
    static char body[SMALLS * (2 * SMALL + 3)];
    char line[2 * SMALL + 4] = "\"";
    for (int i = 0; i < SMALL; i++)
        memcpy(line + 1 + i * 2, "\\\"", 2);
    memcpy(line + 1 + (size_t)SMALL * 2, "\"\n", 3);
    abuse_put(number, "/quotes/small", "application/x-ndjson", body,
              abuse_repeat(body, sizeof body, line));
}

static void head_small(int number)
{
    flood(number, REQUEST("HEAD /quotes/small"), small_put);
}

static void get_small(int number)
{
    flood(number, REQUEST("GET /quotes/small?since=-4000"), small_put);
}

/* ---- many topics ----------------------------------------------------------------------------- */

/* Publishes to each of TOPICS topics, pipelined. */
static void topics_put(int number)
{
    char text[256];
    int fd = bench_connect(abuse_from(number), 0);
    for (int i = 0; i < TOPICS && fd != -1 && !bench_over(0); i++) {
        int n = snprintf(text, sizeof text,
                         "POST /deep/t%d HTTP/1.1\r\nHost: b\r\nContent-Length: 1\r\n%s\r\nx", i,
                         i == TOPICS - 1 ? "Connection: close\r\n" : "");
        if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n || !abuse_drop(fd))
            break;
    }
    while (fd != -1 && recv(fd, text, sizeof text, 0) > 0) {
    }
    close(fd);
}

static void head_deep(int number)
{
    flood(number, REQUEST("HEAD /**?since=-16000"), topics_put);
}

static void get_deep(int number)
{
    flood(number, REQUEST("GET /deep/**?since=-2000"), topics_put);
}

static void get_earliest(int number)
{
    flood(number, REQUEST("GET /deep/*,**?since=earliest&conflate"), topics_put);
}

static void new_topics(int number)
{
    static char text[BLOCK];
    for (size_t n, k = 0; k < 500; k++) { /* each is published to in turn */
        n = strlen(text);
        snprintf(text + n, sizeof text - n,
                 "POST /new/%d/%zu/a/b/c/d/e HTTP/1.1\r\nHost: b\r\nContent-Length: 1\r\n\r\nx",
                 number, k);
    }
    abuse_pump(number, text, strlen(text), 0, NULL);
}

/* Pipelines a request with a token that may do all. */
static void flood_allowed(int number, const char *line, void (*again)(int number))
{
    char request[512];
    snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer %s\r\n\r\n",
             line, abuse_token_all);
    flood(number, request, again);
}

static void list_topics(int number)
{
    flood_allowed(number, "GET /-/topics?limit=1000", topics_put);
}

static void list_metrics(int number)
{
    flood_allowed(number, "GET /-/metrics", NULL);
}

/* ---- requests -------------------------------------------------------------------------------- */

static void polls(int number)
{
    flood(number, REQUEST("GET /nothing"), NULL);
}

static void wide_line(int number)
{
    static char request[BLOCK];
    size_t n = (size_t)snprintf(request, sizeof request, "GET /");
    for (int i = 0; i < 900; i++)
        n += (size_t)snprintf(request + n, sizeof request - n, "%sw%d/*", i > 0 ? "," : "", i);
    snprintf(request + n, sizeof request - n, " HTTP/1.1\r\nHost: b\r\n\r\n");
    flood(number, request, NULL);
}

static void wide_token(int number)
{
    static char request[BLOCK];
    size_t n = (size_t)snprintf(request, sizeof request, "GET /");
    for (int i = 0; i < 900; i++)
        n +=
            (size_t)snprintf(request + n, sizeof request - n, "%sw%d/a", i > 0 ? "," : "", i % 500);
    snprintf(request + n, sizeof request - n,
             " HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer %s\r\n\r\n", abuse_token_wide);
    flood(number, request, NULL);
}

static void bad_tokens(int number)
{
    char request[512];
    snprintf(request, sizeof request,
             "GET /a HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer %.*sA\r\n\r\n",
             (int)strlen(abuse_token_all) - 1, abuse_token_all);
    flood(number, request, NULL);
}

static void tiny_lines(int number)
{
    static char text[LINES * 2 + 256];
    size_t hello = (size_t)snprintf(text, sizeof text,
                                    "POST /tiny HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked"
                                    "\r\nContent-Type: application/x-ndjson\r\n\r\n");
    size_t n = hello + (size_t)snprintf(text + hello, sizeof text - hello, "%x\r\n", LINES * 2);
    n += abuse_repeat(text + n, LINES * 2, "1\n");
    n += (size_t)snprintf(text + n, sizeof text - n, "\r\n");
    abuse_pump(number, text, n, hello, NULL);
}

/* ---- many connections ------------------------------------------------------------------------ */

/* Opens `n` connections, each of which sends that. */
static int open_many(int number, int *fds, int n, int room, const char *request)
{
    int open = 0;
    for (int i = 0; i < n && !bench_over(0); i++) {
        int fd = bench_connect(abuse_from(number), room);
        if (fd != -1 && send(fd, request, strlen(request), MSG_NOSIGNAL) > 0)
            fds[open++] = fd;
        else if (fd != -1)
            close(fd);
    }
    return open;
}

/* Subscribers that read nothing, of a topic that gets more than their sockets hold. */
static void slow_readers(int number)
{
    int fds[SLOW];
    int n = open_many(number, fds, SLOW, 2048,
                      "GET /slow HTTP/1.1\r\nHost: b\r\nAccept: text/event-stream\r\n\r\n");
    static char text[BLOCK];
    size_t head = (size_t)snprintf(text, sizeof text,
                                   "POST /slow HTTP/1.1\r\nHost: b\r\nContent-Length: 20000\r\n"
                                   "\r\n");
    memset(text + head, 'x', 20000);
    abuse_pump(number, text, head + 20000, 0, NULL);
    while (n > 0)
        close(fds[--n]);
}

static void churn(int number)
{
    struct linger now = {1, 0};
    bench_report('r', 0, 0);
    while (!bench_over(0)) {
        int fd = bench_connect(abuse_from(number), 0);
        if (fd == -1)
            continue;
        send(fd, REQUEST("GET /churn"), sizeof REQUEST("GET /churn") - 1, MSG_NOSIGNAL);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(fd);
    }
}

static void mass_leave(int number)
{
    int fds[LEAVING];
    bench_report('r', 0, 0);
    while (!bench_over(100)) {
        int n = open_many(number, fds, LEAVING, 0,
                          "GET /leave HTTP/1.1\r\nHost: b\r\nAccept: text/event-stream\r\n\r\n");
        while (n > 0)
            close(fds[--n]);
    }
}

/* Long polls that are all woken at once, ten times a second. */
static void mass_wake(int number)
{
    static const char poll_line[] = REQUEST("GET /wake?wait=30");
    static int fds[WAITING];
    int n = open_many(number, fds, WAITING, 0, poll_line);
    bench_report('r', 0, 0);
    while (!bench_over(100)) {
        abuse_put(number, "/wake", "text/plain", "\"", 1);
        for (int i = 0; i < n; i++) {
            struct pollfd p = {fds[i], POLLIN, 0};
            if (poll(&p, 1, 0) == 1 && abuse_drop(fds[i]))
                send(fds[i], poll_line, sizeof poll_line - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
    }
}

/* Much behind a long poll. */
static void behind_wait(int number)
{
    static const char poll_line[] = REQUEST("GET /behind?wait=30");
    static int fds[WAITING];
    abuse_repeat(block, sizeof block - 1, poll_line);
    int n = open_many(number, fds, WAITING / 4, 0, block);
    bench_report('r', 0, 0);
    while (!bench_over(500))
        abuse_put(number, "/behind", "text/plain", "x", 1);
    while (n > 0)
        close(fds[--n]);
}

/* Bodies and heads that come by a few bytes, at just above --min-rate. */
static void drips(int number)
{
    int fds[DRIPPING];
    bench_report('r', 0, 0);
    while (!bench_over(0)) {
        int n = open_many(number, fds, DRIPPING, 0,
                          number % 2 == 0
                              ? "POST /drip HTTP/1.1\r\nHost: b\r\nContent-Length: 1000000\r\n\r\n"
                              : "GET /drip HTTP/1.1\r\nX-Drip: ");
        for (int turns = 0; turns < 100 && !bench_over(50); turns++)
            for (int i = 0; i < n; i++)
                send(fds[i], "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 30, MSG_NOSIGNAL | MSG_DONTWAIT);
        while (n > 0)
            close(fds[--n]);
    }
}

const struct abuse_kind abuse_http[] = {
    {"head-large", "HEAD of 1 MB that JSON escapes, pipelined", head_large, 1},
    {"head-small", "HEAD of 4,000 messages that JSON escapes, pipelined", head_small, 1},
    {"head-deep", "HEAD of the last 16,000 of all topics, pipelined", head_deep, 1},
    {"get-large", "polls for 1 MB that JSON escapes, pipelined", get_large, 1},
    {"get-small", "polls for 4,000 messages, pipelined", get_small, 1},
    {"get-deep", "polls for the last 2,000 of 8,000 topics, pipelined", get_deep, 1},
    {"get-earliest", "conflated polls from the earliest of all topics, pipelined", get_earliest, 1},
    {"new-topics", "messages to topics of many segments, pipelined", new_topics, 1},
    {"list-topics", "/-/topics, pipelined", list_topics, 1},
    {"list-metrics", "/-/metrics, pipelined", list_metrics, 1},
    {"polls", "polls with nothing to get, pipelined", polls, 1},
    {"wide-line", "polls of 900 wildcards, pipelined", wide_line, 1},
    {"wide-token", "polls of 900 names with a token of 500 scopes, pipelined", wide_token, 1},
    {"bad-tokens", "tokens whose signature is wrong, pipelined", bad_tokens, 1},
    {"tiny-lines", "batches of lines of one byte, without end", tiny_lines, 1},
    {"slow-readers", "100 subscribers that read nothing of a busy topic", slow_readers, 1},
    {"churn", "connections that ask and reset", churn, 1},
    {"mass-leave", "1,000 subscribers that come and leave at once", mass_leave, 1},
    {"mass-wake", "1,000 long polls that are woken at once", mass_wake, 1},
    {"behind-wait", "64 KB of requests behind each of 250 long polls", behind_wait, 1},
    {"drips", "200 heads, and 200 bodies, a few bytes at a time", drips, 2},
    {NULL, NULL, NULL, 0},
};
