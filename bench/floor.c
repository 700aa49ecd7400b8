/*
 * floor.c - the least a push server can do: the limit that others are measured against.
 *
 * A bare epoll server that answers fixed heads and sends each message with one `send` per socket.
 * It checks nothing, keeps nothing but the last messages of topic 0, and has no limits: it is for
 * load.c and count.c, which send what it understands.
 *
 *   GET /b/N   Accept: text/event-stream   a stream of topic N; with ?since=earliest all
 *              Upgrade: websocket          the same in frames
 *              else                        204
 *   POST /b/N                              201, and the body goes to the topic's subscribers
 *
 * With --batch, what a turn of the loop brought goes out with one `send` per socket when it ends.
 */
#include "bench/kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    FDS = 1 << 20,
    TOPICS = 1 << 17,
    EVENTS = 256,
    BUFFER = 64 << 10,
    KEPT = 100,        /* messages that topic 0 keeps */
    MESSAGE = 8 << 10, /* the longest */
    BATCH = 256 << 10,
};

enum form { EVENT = 0, FRAME = 1, FORMS = 2 };

/* Who subscribes to a topic, in each form; with --batch, what it is to be sent. */
struct topic {
    int *fd[FORMS];
    unsigned n[FORMS], room[FORMS];
    char *batch[FORMS];
    size_t batched[FORMS];
};

/* Where a descriptor stands: its topic, form, and place there. */
struct place {
    unsigned topic : 31, form : 1;
    unsigned at; /* from 1 on; 0: it subscribes to nothing */
};

static const char stream_head[] = "HTTP/1.1 200 OK\r\n"
                                  "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                                  "Content-Type: text/event-stream\r\n"
                                  "Cache-Control: no-store\r\n"
                                  "X-Accel-Buffering: no\r\n"
                                  "Connection: close\r\n"
                                  "\r\n"
                                  "retry: 2000\nid: 1800000000000-0\n\n";
static const char socket_head[] = "HTTP/1.1 101 Switching Protocols\r\n"
                                  "Upgrade: websocket\r\n"
                                  "Connection: Upgrade\r\n"
                                  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                  "\r\n";
static const char poll_answer[] = "HTTP/1.1 204 No Content\r\n"
                                  "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                                  "Last-Event-ID: 1800000000000-0\r\n"
                                  "\r\n";
static const char publish_answer[] = "HTTP/1.1 201 Created\r\n"
                                     "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                                     "Content-Type: application/json\r\n"
                                     "Content-Length: 42\r\n"
                                     "\r\n"
                                     "{\"id\":\"1800000000000-0\",\"subscribers\":00}\n";

static struct place place[FDS];
static struct topic topics[TOPICS];
static unsigned dirty[TOPICS], dirty_n;
static char kept[KEPT * MESSAGE];
static size_t kept_size[KEPT]; /* of each of them, a ring */
static unsigned kept_next;
static bool batches;
static int ep, listener;
static uint64_t ids;

/* ---- subscribers ----------------------------------------------------------------------------- */

static void subscribe(int fd, unsigned number, enum form form)
{
    struct topic *t = &topics[number];
    if (t->n[form] == t->room[form]) {
        t->room[form] = t->room[form] > 0 ? 2 * t->room[form] : 16;
        t->fd[form] = realloc(t->fd[form], t->room[form] * sizeof(int));
        if (t->fd[form] == NULL)
            die("no memory");
    }
    t->fd[form][t->n[form]++] = fd;
    place[fd] = (struct place){number & 0x7fffffff, form & 1, t->n[form]};
}

static void leave(int fd)
{
    struct place *p = &place[fd];
    if (p->at > 0) {
        struct topic *t = &topics[p->topic];
        int last = t->fd[p->form][--t->n[p->form]];
        t->fd[p->form][p->at - 1] = last;
        place[last].at = p->at;
    }
    p->at = 0;
    close(fd);
}

/* Sends without waiting, as long as the socket takes it; a full one is waited for. */
static void give(int fd, const char *bytes, size_t n)
{
    for (;;) {
        ssize_t w = send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (w == (ssize_t)n)
            return;
        struct pollfd p = {fd, POLLOUT, 0};
        if (w < 0 && (errno != EAGAIN || poll(&p, 1, 10000) != 1))
            return;
        bytes += w > 0 ? w : 0;
        n -= w > 0 ? (size_t)w : 0;
    }
}

static void fan_out(const struct topic *t, enum form form, const char *bytes, size_t n)
{
    const int *fd = t->fd[form];
    for (unsigned i = 0; i < t->n[form]; i++)
        give(fd[i], bytes, n);
}

static void flush(void)
{
    for (; dirty_n > 0; dirty_n--) {
        struct topic *t = &topics[dirty[dirty_n - 1]];
        for (enum form form = EVENT; form < FORMS; form++) {
            if (t->batched[form] > 0)
                fan_out(t, form, t->batch[form], t->batched[form]);
            t->batched[form] = 0;
        }
    }
}

static void queue(unsigned number, enum form form, const char *bytes, size_t n)
{
    struct topic *t = &topics[number];
    if (t->batch[form] == NULL)
        t->batch[form] = take(BATCH, 1);
    if (t->batched[form] + n > BATCH)
        flush();
    if (t->batched[EVENT] + t->batched[FRAME] == 0)
        dirty[dirty_n++] = number;
    memcpy(t->batch[form] + t->batched[form], bytes, n);
    t->batched[form] += n;
}

static void publish(unsigned number, const char *data, size_t n)
{
    char event[MESSAGE];
    const struct topic *t = &topics[number];
    if (n > MESSAGE - 64)
        die("a message of %zu bytes", n);
    memcpy(event, "data: ", 6);
    memcpy(event + 6, data, n);
    size_t size = 6 + n;
    size += (size_t)snprintf(event + size, 64, "\nid: 1800000000000-%llu\n\n",
                             (unsigned long long)++ids);
    if (number == 0) {
        memcpy(kept + (size_t)(kept_next % KEPT) * MESSAGE, event, size);
        kept_size[kept_next++ % KEPT] = size;
    }
    for (enum form form = EVENT; form < FORMS; form++) {
        if (t->n[form] == 0)
            continue;
        if (form == FRAME) { /* a head of two or four bytes */
            size_t head = n < 126 ? 2 : 4;
            event[0] = (char)0x81;
            event[1] = (char)(n < 126 ? n : 126);
            event[2] = (char)(n >> 8);
            event[3] = (char)n;
            memcpy(event + head, data, n);
            size = head + n;
        }
        if (batches)
            queue(number, form, event, size);
        else
            fan_out(t, form, event, size);
    }
}

/* ---- requests -------------------------------------------------------------------------------- */

static void begin(int fd, unsigned number, enum form form, bool replay)
{
    struct iovec iov[1 + KEPT] = {{(void *)(uintptr_t)stream_head, sizeof stream_head - 1}};
    int n = 1;
    if (form == FRAME)
        iov[0] = (struct iovec){(void *)(uintptr_t)socket_head, sizeof socket_head - 1};
    unsigned first = kept_next > KEPT ? kept_next - KEPT : 0;
    for (unsigned i = first; replay && i < kept_next; i++)
        iov[n++] = (struct iovec){kept + (size_t)(i % KEPT) * MESSAGE, kept_size[i % KEPT]};
    subscribe(fd, number, form);
    if (writev(fd, iov, n) == -1)
        leave(fd);
}

/* Handles a request; returns its bytes, 0 if it is not complete. The head's last line end is a NUL
 * meanwhile. */
static size_t request(int fd, char *p, size_t n)
{
    char *end = memmem(p, n, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    size_t size = (size_t)(end - p) + 4;
    *end = '\0';
    const char *path = strstr(p, "/b/");
    unsigned number = path != NULL ? (unsigned)atoi(path + 3) % TOPICS : 0;
    if (memcmp(p, "POST", 4) == 0) {
        const char *field = strstr(p, "Content-Length: ");
        size_t body = field != NULL ? strtoul(field + 16, NULL, 10) : 0;
        if (n < size + body) {
            *end = '\r';
            return 0;
        }
        publish(number, p + size, body);
        give(fd, publish_answer, sizeof publish_answer - 1);
        return size + body;
    }
    if (strstr(p, "text/event-stream") != NULL)
        begin(fd, number, EVENT, strstr(p, "since=earliest") != NULL);
    else if (strstr(p, "Upgrade: websocket") != NULL)
        begin(fd, number, FRAME, false);
    else
        give(fd, poll_answer, sizeof poll_answer - 1);
    return size;
}

static void readable(int fd)
{
    static char buf[BUFFER];
    size_t off = 0, used;
    ssize_t n = recv(fd, buf, BUFFER, MSG_DONTWAIT);
    if (n == -1 && errno == EAGAIN)
        return;
    if (n <= 0) {
        leave(fd);
        return;
    }
    for (size_t len = (size_t)n; off < len; off += used) {
        while ((used = request(fd, buf + off, len - off)) == 0) { /* the rest is on its way */
            struct pollfd p = {fd, POLLIN, 0};
            memmove(buf, buf + off, len - off);
            len -= off;
            off = 0;
            if (len == BUFFER || poll(&p, 1, 10000) != 1 ||
                (n = recv(fd, buf + len, BUFFER - len, 0)) <= 0)
                die("half a request");
            len += (size_t)n;
        }
    }
}

static void accept_all(void)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
        struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.fd = fd};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (fd >= FDS || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == -1)
            close(fd);
    }
}

int main(int argc, char **argv)
{
    int one = 1;
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    struct epoll_event ev[EVENTS];
    kit_name = "floor";
    batches = argc > 1 && strcmp(argv[1], "--batch") == 0;
    if (argc > 2 || (argc > 1 && !batches))
        die("usage: floor [--batch]");
    raise_descriptors();
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ep = epoll_create1(EPOLL_CLOEXEC);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ev[0] = (struct epoll_event){.events = EPOLLIN, .data.fd = listener};
    if (ep == -1 || listener == -1 ||
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == -1 ||
        bind(listener, (struct sockaddr *)&a, sizeof a) == -1 || listen(listener, 4096) == -1 ||
        getsockname(listener, (struct sockaddr *)&a, &len) == -1 ||
        epoll_ctl(ep, EPOLL_CTL_ADD, listener, ev) == -1)
        die("%s", strerror(errno));
    printf("http://127.0.0.1:%u\n", ntohs(a.sin_port));
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(ep, ev, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (ev[i].data.fd == listener)
                accept_all();
            else
                readable(ev[i].data.fd);
        }
        flush();
    }
}
