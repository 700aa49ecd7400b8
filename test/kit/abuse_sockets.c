/*
 * abuse_sockets.c - abuses over WebSockets: unfinished messages, wide subscriptions, frames without
 * end.
 */
#include "test/kit/abuse_bench.h"
#include "test/kit/abuse_kinds.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HOLDING = 42,            /* sockets that hold room, ... */
    HELD = 6 << 20,          /* ... of which each says that so much comes, ... */
    HOLD_FIRST = 4300 << 10, /* ... and sends so much at once */
    NAMES = 999,             /* in a wide subscription */
    FILLING = 200,           /* sockets with such ones */
    READERS = 20,            /* of a large message, a little at a time */
    LARGE = 1 << 20,
    TEXT = 400 << 10,
};

static char text[TEXT], frames[TEXT + 64];

/* Appends a masked frame, whose mask is 0; `size` bytes of it follow, `told` are announced. */
static size_t frame(char *out, unsigned first, const char *data, size_t size, size_t told)
{
    size_t n = 0;
    out[n++] = (char)first;
    out[n++] = (char)(0x80 | (told < 126 ? told : told < 65536 ? 126 : 127));
    for (int i = told < 126 ? 0 : told < 65536 ? 2 : 8; i > 0; i--)
        out[n++] = (char)((uint64_t)told >> (8 * (i - 1)));
    memset(out + n, 0, 4);
    n += 4;
    if (size > 0)
        memcpy(out + n, data, size);
    return n + size;
}

/* A handshake; `token` may be NULL. */
static size_t handshake(char *out, size_t cap, const char *target, const char *token)
{
    int n = snprintf(out, cap,
                     "GET %s HTTP/1.1\r\nHost: b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: json\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s%s%s\r\n",
                     target, token != NULL ? "Authorization: Bearer " : "",
                     token != NULL ? token : "", token != NULL ? "\r\n" : "");
    return n > 0 ? (size_t)n : 0;
}

/* A socket whose handshake has been answered; -1: it was refused. */
static int socket_open(int number, int room, const char *target, const char *token)
{
    char buf[16384];
    int fd = bench_connect(abuse_from(number), room);
    size_t n = handshake(buf, sizeof buf, target, token);
    if (fd == -1)
        return -1;
    if (send(fd, buf, n, MSG_NOSIGNAL) == (ssize_t)n && recv(fd, buf, 13, 0) == 13 &&
        memcmp(buf, "HTTP/1.1 101 ", 13) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Writes {"subscribe":[..]} of `count` names into `text`; each is NAME-K-I and `tail`, `pad` bytes
 * at least. Returns the bytes. */
static size_t subscribe_text(int k, int count, int pad, const char *tail)
{
    char name[256];
    size_t n = (size_t)snprintf(text, sizeof text, "{\"subscribe\":[");
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%d-%d-", k, i);
        for (size_t at = strlen(name); at < (size_t)pad; at++)
            name[at] = 'y', name[at + 1] = '\0';
        n +=
            (size_t)snprintf(text + n, sizeof text - n, "%s\"%s%s\"", i > 0 ? "," : "", name, tail);
    }
    n += (size_t)snprintf(text + n, sizeof text - n, "]}");
    return n;
}

/* Sends all of it, for as long as it takes; reads meanwhile. False: the socket is over. */
static bool send_all(int fd, const char *bytes, size_t n)
{
    while (n > 0 && !bench_over(0)) {
        struct pollfd p = {fd, POLLIN | POLLOUT, 0};
        poll(&p, 1, 20);
        if (p.revents & (POLLIN | POLLERR | POLLHUP) && !abuse_drop(fd))
            return false;
        if (!(p.revents & POLLOUT))
            continue;
        ssize_t w = send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (w == -1 && errno != EAGAIN)
            return false;
        bytes += w > 0 ? w : 0;
        n -= w > 0 ? (size_t)w : 0;
    }
    return true;
}

/* ---- room ------------------------------------------------------------------------------------ */

/* Begins a message that will not end. */
static int hold_begin(int number, const char *token, const char *filler)
{
    char head[16];
    int fd = socket_open(number, 0, "/hold", token);
    if (fd == -1)
        return -1;
    if (send_all(fd, head, frame(head, 0x81, NULL, 0, HELD)) && send_all(fd, filler, HOLD_FIRST))
        return fd;
    close(fd);
    return -1;
}

static void hold(int number, const char *token)
{
    static char filler[HOLD_FIRST];
    int fds[HOLDING];
    memset(filler, 'x', sizeof filler);
    bench_report('r', 0, 0);
    for (int i = 0; i < HOLDING; i++)
        fds[i] = hold_begin(number, token, filler);
    while (!bench_over(500))
        for (int i = 0; i < HOLDING && !bench_over(0); i++)
            if (fds[i] == -1 || send(fds[i], "x", 1, MSG_NOSIGNAL) != 1 || !abuse_drop(fds[i])) {
                if (fds[i] != -1)
                    close(fds[i]);
                fds[i] = hold_begin(number, token, filler);
            }
}

static void hold_reader(int number)
{
    hold(number, abuse_token_reader);
}

static void hold_publisher(int number)
{
    hold(number, abuse_token_all);
}

/* Sockets whose wildcards fill the tables; as many of them as are taken. */
static void fill(int number, int pad, const char *tail)
{
    static int fds[FILLING];
    int n = 0, k = 0;
    bench_report('r', 0, 0);
    while (!bench_over(n < FILLING ? 0 : 200)) {
        int fd = n < FILLING ? socket_open(number, 0, "/fill", NULL) : -1;
        if (fd != -1) {
            size_t size = subscribe_text(number * 1000 + k++, NAMES, pad, tail);
            if (send_all(fd, frames, frame(frames, 0x81, text, size, size)))
                fds[n++] = fd;
            else
                close(fd);
        }
        for (int i = 0; i < n; i++)
            if (!abuse_drop(fds[i])) {
                close(fds[i]);
                fds[i--] = fds[--n];
            }
    }
}

static void fill_wild(int number)
{
    fill(number, 240, "/*");
}

static void fill_names(int number)
{
    fill(number, 20, "");
}

static void fill_segments(int number)
{
    fill(number, 12, "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/*");
}

/* Those of many others match what is published here, and there is much of it. */
static void match_wild(int number)
{
    static char flood[64 << 10];
    int fds[8];
    for (int i = 0; i < 8; i++) {
        fds[i] = socket_open(number, 0, "/match", NULL);
        size_t size = subscribe_text(i, NAMES, 4, "/*/*/*/*/*/*/*");
        memcpy(text + size - 2, ",\"*/*/*/*/*/*/*/*\"]}", 21);
        size += 18;
        if (fds[i] != -1)
            send_all(fds[i], frames, frame(frames, 0x81, text, size, size));
    }
    size_t n = abuse_repeat(flood, sizeof flood,
                            "POST /0-1-/a/b/c/d/e/f/g HTTP/1.1\r\nHost: b\r\nContent-Length: 1\r\n"
                            "\r\nx");
    abuse_pump(number, flood, n, 0, NULL);
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* One with 999 names adds one and takes it away. */
static void toggle(int number)
{
    static const char off[] = "{\"unsubscribe\":[\"q\"]}", on[] = "{\"subscribe\":[\"q\"]}";
    static char bytes[TEXT + 4096];
    size_t n = handshake(bytes, sizeof bytes, "/toggle", NULL);
    size_t size = subscribe_text(number, NAMES - 1, 200, "");
    n += frame(bytes + n, 0x81, text, size, size);
    size_t hello = n;
    n += frame(bytes + n, 0x81, off, sizeof off - 1, sizeof off - 1);
    n += frame(bytes + n, 0x81, on, sizeof on - 1, sizeof on - 1);
    abuse_pump(number, bytes, n, hello, NULL);
}

/* One subscribes to 999 wildcards, and to nothing, over and over. */
static void toggle_wild(int number)
{
    static char bytes[2 * TEXT + 4096];
    size_t n = handshake(bytes, sizeof bytes, "/toggle", NULL), hello = n;
    size_t size = subscribe_text(number, NAMES, 100, "/*/a/*");
    n += frame(bytes + n, 0x81, text, size, size);
    memmove(text + 2, text, size); /* "unsubscribe" is two bytes longer */
    memcpy(text, "{\"unsubscribe", 13);
    n += frame(bytes + n, 0x81, text, size + 2, size + 2);
    abuse_pump(number, bytes, n, hello, NULL);
}

static void frame_flood(int number, unsigned first, const char *data)
{
    static char bytes[64 << 10];
    char one[256];
    size_t n = handshake(bytes, sizeof bytes, "/frames", NULL), hello = n;
    size_t size = frame(one, first, data, strlen(data), strlen(data));
    for (; n + size <= sizeof bytes; n += size)
        memcpy(bytes + n, one, size);
    abuse_pump(number, bytes, n, hello, NULL);
}

static void pings(int number)
{
    frame_flood(number, 0x89, "");
}

static void publishes(int number)
{
    frame_flood(number, 0x81, "{\"data\":\"x\"}");
}

static void errors(int number)
{
    frame_flood(number, 0x81, "[");
}

/* Frames that are cut in their heads, one after the other. */
static void half_frames(int number)
{
    bench_report('r', 0, 0);
    while (!bench_over(0)) {
        int fd = socket_open(number, 0, "/half", NULL);
        if (fd == -1)
            continue;
        send(fd, "\x01\xfe\xff", 3, MSG_NOSIGNAL);
        bench_over(2);
        close(fd);
    }
}

/* ---- a large message, read slowly ------------------------------------------------------------ */

static void read_slowly(int number)
{
    static char body[LARGE], buf[8192];
    int fds[READERS];
    double due = 0;
    memset(body, '"', sizeof body);
    for (int i = 0; i < READERS; i++)
        fds[i] = socket_open(number, 16384, "/slowly", NULL);
    bench_report('r', 0, 0);
    while (!bench_over(1)) {
        if (bench_now() > due) {
            abuse_put(number, "/slowly", "text/plain", body, sizeof body);
            due = bench_now() + 2;
        }
        for (int i = 0; i < READERS; i++) {
            ssize_t n = fds[i] != -1 ? recv(fds[i], buf, sizeof buf, MSG_DONTWAIT) : 0;
            if (n > 0 || (n == -1 && errno == EAGAIN))
                continue;
            if (fds[i] != -1)
                close(fds[i]);
            fds[i] = socket_open(number, 16384, "/slowly", NULL);
        }
    }
}

const struct abuse_kind abuse_sockets[] = {
    {"hold-reader", "42 that may not publish begin messages of 6 MB", hold_reader, 1},
    {"hold-publisher", "42 that may publish do so", hold_publisher, 1},
    {"fill-wild", "200 with 999 long wildcards each", fill_wild, 1},
    {"fill-names", "200 with 999 names each", fill_names, 1},
    {"fill-segments", "200 with 999 wildcards of 28 segments each", fill_segments, 1},
    {"match-wild", "a flood that thousands of wildcards are looked through for", match_wild, 1},
    {"toggle", "one with 999 names adds one, and takes it away", toggle, 1},
    {"toggle-wild", "999 wildcards come, and go", toggle_wild, 1},
    {"pings", "pings without end", pings, 1},
    {"publishes", "messages of a byte without end", publishes, 1},
    {"errors", "frames that are no JSON", errors, 1},
    {"half-frames", "frames that are cut in their heads", half_frames, 1},
    {"read-slowly", "1 MB that JSON escapes, read a little at a time by 20", read_slowly, 1},
    {NULL, NULL, NULL, 0},
};
