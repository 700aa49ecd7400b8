/*
 * abuse_kit.c - what the abuses of load_fair share: tokens, and requests without end.
 */
#include "test/kit/abuse_bench.h"
#include "test/kit/abuse_kinds.h"
#include "test/kit/auth_kit.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define SCOPES 500 /* in the widest token */

char abuse_token_all[AUTH_TOKEN_MAX], abuse_token_reader[AUTH_TOKEN_MAX];
char abuse_token_wide[3 * AUTH_TOKEN_MAX];

static char key_file[] = "/tmp/load_fair.XXXXXX", flags[256];

/* ---- the server's flags and the tokens ------------------------------------------------------- */

static void token_make(char *out, size_t cap, const char *claims)
{
    static struct kit_token t;
    kit_make(&t, SPAN("{\"alg\":\"HS256\"}"), span_of(claims), SPAN(KIT_KEY));
    if (t.n >= cap || t.n > AUTH_TOKEN_MAX)
        bench_die("a token is too long");
    memcpy(out, t.p, t.n);
    out[t.n] = '\0';
}

void abuse_prepare(void)
{
    static char claims[AUTH_TOKEN_MAX];
    size_t n = 0;
    int fd = mkstemp(key_file);
    if (fd == -1 || dprintf(fd, "%s\n", KIT_KEY) < 0 || close(fd) == -1) {
        perror(key_file);
        exit(71);
    }
    snprintf(flags, sizeof flags,
             "--anonymous publish,subscribe --key-file %s --max-failures 0 --request-timeout 3s",
             key_file);
    token_make(abuse_token_all, sizeof abuse_token_all,
               "{\"publish\":[\"**\"],\"subscribe\":[\"**\"]}");
    token_make(abuse_token_reader, sizeof abuse_token_reader, "{\"subscribe\":[\"**\"]}");
    n += (size_t)snprintf(claims, sizeof claims, "{\"subscribe\":[\"hold\"");
    for (int i = 0; i < SCOPES; i++)
        n += (size_t)snprintf(claims + n, sizeof claims - n, ",\"w%d/*\"", i);
    snprintf(claims + n, sizeof claims - n, "]}");
    token_make(abuse_token_wide, sizeof abuse_token_wide, claims);
}

const char *abuse_flags(void)
{
    return flags;
}

const char *abuse_fields(void)
{
    static char line[sizeof abuse_token_all + 32];
    snprintf(line, sizeof line, "Authorization: Bearer %s\r\n", abuse_token_all);
    return line;
}

void abuse_tidy(void)
{
    unlink(key_file);
}

/* ---- requests -------------------------------------------------------------------------------- */

size_t abuse_repeat(char *out, size_t cap, const char *text)
{
    size_t size = strlen(text), n = 0;
    for (; n + size <= cap; n += size)
        memcpy(out + n, text, size);
    return n;
}

int abuse_drop(int fd)
{
    static char buf[256 << 10];
    ssize_t n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
    return n > 0 || (n == -1 && errno == EAGAIN);
}

/* Sends and reads on one connection until that or everything is over. */
static void pump_one(int fd, const char *bytes, size_t n, size_t hello, double *due,
                     void (*again)(int number), int number)
{
    size_t at = 0;
    while (!bench_over(0)) {
        struct pollfd p = {fd, POLLIN | POLLOUT, 0};
        if (poll(&p, 1, 20) == 1 && p.revents & (POLLIN | POLLHUP | POLLERR) && !abuse_drop(fd))
            return;
        if (p.revents & POLLOUT) {
            ssize_t w = send(fd, bytes + at, n - at, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (w == -1 && errno != EAGAIN)
                return;
            at += w > 0 ? (size_t)w : 0;
            at = at == n ? hello : at;
        }
        if (again != NULL && bench_now() > *due) {
            again(number);
            *due = bench_now() + 1;
        }
    }
}

void abuse_pump(int number, const char *bytes, size_t n, size_t hello, void (*again)(int number))
{
    double due = bench_now() + 1;
    if (again != NULL)
        again(number);
    bench_report('r', 0, 0);
    while (!bench_over(0)) {
        int fd = bench_connect(abuse_from(number), 0);
        if (fd == -1) {
            bench_over(10);
            continue;
        }
        pump_one(fd, bytes, n, hello, &due, again, number);
        close(fd);
    }
}

void abuse_put(int number, const char *target, const char *type, const char *body, size_t n)
{
    char head[512], answer[256];
    int size = snprintf(head, sizeof head,
                        "POST %s HTTP/1.1\r\nHost: b\r\nConnection: close\r\nContent-Type: %s\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        target, type, n);
    int fd = bench_connect(abuse_from(number), 0);
    if (fd == -1)
        return;
    if (send(fd, head, (size_t)size, MSG_NOSIGNAL | MSG_MORE) == size &&
        send(fd, body, n, MSG_NOSIGNAL) == (ssize_t)n)
        while (recv(fd, answer, sizeof answer, 0) > 0) {
        }
    close(fd);
}
