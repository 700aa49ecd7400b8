/*
 * browser.h - a headless Chromium for end-to-end tests, the page in it, and a proxy to cut it off.
 *
 *     page_open(0);                           a new page, of origin_url[0]
 *     page_run("es = listen('%s/news')", proxy.url);
 *     page_expect("open");
 *     proxy_cut(CUT_CLOSE);
 *     page_expect("error 0");
 *
 * One Chromium serves a whole test program; each test (a process of its own) takes over its page.
 * The page (browser.html) asks the test what to run, and reports lines. The web server that it
 * comes from, at two ports so that there are two origins, and the proxy, from which it may come as
 * well and then has the server in its own origin, are served by page_wait() and what calls it, in
 * the test's own process: nothing moves but while the test waits.
 */
#ifndef SSE_TEST_KIT_BROWSER_H
#define SSE_TEST_KIT_BROWSER_H

#include "test/kit/chromium.h"
#include "test/kit/e2e.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ORIGINS   2
#define PEERS_MAX 64

static int origin_fd[ORIGINS] = {-1, -1}; /* listening sockets, handed down to each test */
static char origin_url[ORIGINS][64];

/* ---- sockets ---- */

/* Listens on a free port of 127.0.0.1; returns its URL too. */
static int listen_local(char url[64])
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ne(fd, -1);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, len), 0);
    ck_assert_int_eq(listen(fd, 64), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    snprintf(url, 64, "http://127.0.0.1:%d", ntohs(in.sin_port));
    return fd;
}

/* -1: nobody listens there. */
static int connect_local(int port)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ne(fd, -1);
    if (connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0)
        return fd;
    close(fd);
    return -1;
}

/* All of it, or as much as the peer wants. */
static void send_whole(int fd, const void *bytes, size_t n)
{
    const char *p = bytes;
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent == -1)
            return;
        p += sent;
        n -= (size_t)sent;
    }
}

static void close_with_reset(int fd)
{
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    close(fd);
}

/* ---- the browser ---- */

static struct chromium browser;

/* Starts Chromium with a page of the first origin, and waits until it has come for it. To be called
 * once, before the first test. */
static void browser_start(void)
{
    char url[80];
    for (int i = 0; i < ORIGINS; i++)
        origin_fd[i] = listen_local(origin_url[i]);
    snprintf(url, sizeof(url), "%s/?0", origin_url[0]);
    chromium_start(&browser, url, false);
    struct pollfd p = {origin_fd[0], POLLIN, 0};
    int64_t deadline = e2e_now_ms() + CHROMIUM_START_MS;
    while (poll(&p, 1, 100) == 0)
        if (e2e_now_ms() > deadline || chromium_ended(&browser))
            e2e_fail("chromium did not open the page %s; it wrote: %s", url,
                     chromium_stderr(&browser));
}

static void browser_stop(void)
{
    chromium_stop(&browser);
}

/* ---- all connections of the test's own process ---- */

enum cut {
    CUT_CLOSE = 0,
    CUT_RESET = 1,
};

/* Between the browser and a server. */
struct proxy {
    int fd;
    char url[64];
    int port;          /* of the server */
    bool down;         /* connections are reset at once */
    unsigned refused;  /* how many that were */
    unsigned accepted; /* and how many were not */
    long pass;         /* cuts when so many more bytes have come from the server; -1: does not */
    enum cut how;
    /* Of the last connection, NUL-ended: what the browser sent, and what it got. */
    char asked[8192], answered[8192];
};

enum peer_kind {
    PEER_FREE = 0,
    PEER_REQUEST = 1, /* the page asks for something */
    PEER_WAITING = 2, /* it has asked what to do, and nothing is to be done yet */
    PEER_BROWSER = 3, /* the two sides of the proxy */
    PEER_SERVER = 4,
};

struct peer {
    enum peer_kind kind;
    int fd;
    struct peer *other; /* of the proxy */
    size_t n;
    char buf[131072]; /* the request */
};

static struct peer peers[PEERS_MAX];
static struct proxy proxy = {.fd = -1};

static struct {
    long token;         /* of the page at work */
    char lines[262144]; /* what it has reported and nobody has asked for, each with its LF */
    size_t n;
} page;

static struct peer *peer_new(enum peer_kind kind, int fd)
{
    for (struct peer *p = peers; p < peers + PEERS_MAX; p++) {
        if (p->kind == PEER_FREE) {
            p->kind = kind;
            p->fd = fd;
            p->n = 0;
            p->other = NULL;
            return p;
        }
    }
    e2e_fail("more connections than the test provides for");
}

static void peer_free(struct peer *p, enum cut how)
{
    if (p->kind == PEER_FREE)
        return;
    if (how == CUT_RESET)
        close_with_reset(p->fd);
    else
        close(p->fd);
    p->kind = PEER_FREE;
}

/* ---- the page's web server ---- */

static void answer(struct peer *p, const char *status, const char *type, const char *body, size_t n)
{
    char head[256];
    int len = snprintf(head, sizeof(head),
                       "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                       "Access-Control-Allow-Origin: *\r\n"
                       "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
                       status, type, n);
    send_whole(p->fd, head, (size_t)len);
    send_whole(p->fd, body, n);
    peer_free(p, CUT_CLOSE);
}

static void answer_page(struct peer *p)
{
    static char html[16384];
    FILE *f = fopen("test/kit/browser.html", "re");
    if (f == NULL)
        e2e_fail("test/kit/browser.html: %s (the tests run in the project's root)",
                 strerror(errno));
    size_t n = fread(html, 1, sizeof(html), f);
    fclose(f);
    ck_assert_uint_lt(n, sizeof(html));
    answer(p, "200 OK", "text/html; charset=utf-8", html, n);
}

/* Takes the lines that a page reports; those of a page left behind go unheard. */
static void answer_say(struct peer *p, const char *body, size_t n)
{
    if (strtol(strchr(p->buf, '?') + 1, NULL, 10) == page.token) {
        if (n + 2 > sizeof(page.lines) - page.n)
            e2e_fail("the page reports more than the test provides for");
        memcpy(page.lines + page.n, body, n);
        page.n += n;
        page.lines[page.n++] = '\n';
        page.lines[page.n] = '\0';
    }
    answer(p, "200 OK", "text/plain", "", 0);
}

static void request_input(struct peer *p)
{
    ssize_t got = recv(p->fd, p->buf + p->n, sizeof(p->buf) - 1 - p->n, 0);
    if (got <= 0) {
        peer_free(p, CUT_CLOSE);
        return;
    }
    p->n += (size_t)got;
    p->buf[p->n] = '\0';
    const char *end = strstr(p->buf, "\r\n\r\n"),
               *length = strcasestr(p->buf, "\r\nContent-Length:");
    if (end == NULL)
        return;
    size_t head = (size_t)(end + 4 - p->buf);
    size_t body = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
    if (p->n < head + body)
        return;
    if (strncmp(p->buf, "GET /next?", 10) == 0)
        p->kind = PEER_WAITING;
    else if (strncmp(p->buf, "POST /say?", 10) == 0)
        answer_say(p, p->buf + head, body);
    else if (strncmp(p->buf, "GET /?", 6) == 0)
        answer_page(p);
    else
        answer(p, "404 Not Found", "text/plain", "", 0);
}

/* ---- the proxy ---- */

/* Puts the proxy before a server, in place of the one it was before. */
static void proxy_start(const struct e2e_server *s)
{
    if (proxy.fd == -1)
        proxy.fd = listen_local(proxy.url);
    proxy.port = s->port;
    proxy.accepted = 0;
    proxy.pass = -1;
}

static void proxy_accept(void)
{
    int fd = accept4(proxy.fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd == -1)
        return;
    int server = proxy.down ? -1 : connect_local(proxy.port);
    if (server == -1) {
        proxy.refused++;
        close_with_reset(fd);
        return;
    }
    proxy.accepted++;
    proxy.asked[0] = proxy.answered[0] = '\0';
    struct peer *near = peer_new(PEER_BROWSER, fd);
    struct peer *far = peer_new(PEER_SERVER, server);
    near->other = far;
    far->other = near;
}

static void pair_free(struct peer *p, enum cut how)
{
    peer_free(p->other, how);
    peer_free(p, how);
}

/* Cuts every connection between the browser and the server. */
static void proxy_cut(enum cut how)
{
    for (struct peer *p = peers; p < peers + PEERS_MAX; p++)
        if (p->kind == PEER_BROWSER)
            pair_free(p, how);
}

/* Appends as much as there is room for. */
static void note(char record[8192], const char *bytes, size_t n)
{
    size_t had = strlen(record), room = 8191 - had;
    memcpy(record + had, bytes, n < room ? n : room);
    record[had + (n < room ? n : room)] = '\0';
}

static void proxy_input(struct peer *from)
{
    static char bytes[65536];
    ssize_t got = recv(from->fd, bytes, sizeof(bytes), 0);
    if (got <= 0) {
        pair_free(from, CUT_CLOSE);
        return;
    }
    size_t n = (size_t)got;
    bool cut = false;
    if (from->kind == PEER_BROWSER && n > 6 && memcmp(bytes, "GET /?", 6) == 0) {
        peer_free(from->other, CUT_CLOSE);
        answer_page(from);
        return;
    }
    if (from->kind == PEER_BROWSER) {
        note(proxy.asked, bytes, n);
    } else if (proxy.pass >= 0) {
        cut = n >= (size_t)proxy.pass;
        n = cut ? (size_t)proxy.pass : n;
        proxy.pass = cut ? -1 : proxy.pass - (long)n;
    }
    if (from->kind == PEER_SERVER)
        note(proxy.answered, bytes, n);
    send_whole(from->other->fd, bytes, n);
    if (cut)
        pair_free(from, proxy.how);
}

/* ---- waiting ---- */

/* Serves what there is to serve, once. */
static void page_serve(int64_t deadline)
{
    struct pollfd p[PEERS_MAX + ORIGINS + 1];
    for (int i = 0; i < PEERS_MAX; i++)
        p[i] = (struct pollfd){peers[i].kind == PEER_FREE ? -1 : peers[i].fd, POLLIN, 0};
    for (int i = 0; i < ORIGINS; i++)
        p[PEERS_MAX + i] = (struct pollfd){origin_fd[i], POLLIN, 0};
    p[PEERS_MAX + ORIGINS] = (struct pollfd){proxy.fd, POLLIN, 0};
    int64_t left = deadline - e2e_now_ms();
    if (poll(p, sizeof(p) / sizeof(p[0]), left > 0 ? (int)left : 0) <= 0)
        return;
    for (int i = 0; i < PEERS_MAX; i++) {
        struct peer *peer = &peers[i];
        if (p[i].revents == 0 || peer->kind == PEER_FREE) /* this turn, with its other side */
            continue;
        if (peer->kind == PEER_REQUEST)
            request_input(peer);
        else if (peer->kind == PEER_WAITING) /* a page that closes */
            peer_free(peer, CUT_CLOSE);
        else
            proxy_input(peer);
    }
    for (int i = 0; i < ORIGINS; i++)
        if (p[PEERS_MAX + i].revents != 0)
            peer_new(PEER_REQUEST, accept4(origin_fd[i], NULL, NULL, SOCK_CLOEXEC));
    if (p[PEERS_MAX + ORIGINS].revents != 0)
        proxy_accept();
}

/* Serves until the condition holds. */
#define page_wait(condition)                                                            \
    do {                                                                                \
        int64_t page_deadline = e2e_now_ms() + E2E_WAIT_MS;                             \
        while (!(condition)) {                                                          \
            if (e2e_now_ms() >= page_deadline)                                          \
                e2e_fail("not in time: %s; the page has reported: %.2000s", #condition, \
                         page.lines);                                                   \
            page_serve(page_deadline);                                                  \
        }                                                                               \
    } while (0)

/* ---- the page ---- */

/* The connection of a page that waits to be told; 0: any page. */
static struct peer *page_waiting(long token)
{
    for (struct peer *p = peers; p < peers + PEERS_MAX; p++)
        if (p->kind == PEER_WAITING && (token == 0 || atol(p->buf + 10) == token))
            return p;
    return NULL;
}

/* Runs JavaScript in the page. */
__attribute__((format(printf, 1, 2))) static void page_run(const char *format, ...)
{
    char command[4096];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(command, sizeof(command), format, ap);
    va_end(ap);
    ck_assert_int_lt(n, (int)sizeof(command));
    page_wait(page_waiting(page.token) != NULL);
    answer(page_waiting(page.token), "200 OK", "text/plain; charset=utf-8", command, (size_t)n);
}

/* Replaces the page, whosever it was, by a new one from this URL: of an origin, or of the proxy. */
static void page_open_at(const char *url)
{
    static int count;
    page.token = 0;
    page_run("location.replace('%s/?%d%03d#%s')", url, (int)getpid(), ++count, origin_url[0]);
    page.token = getpid() * 1000L + count;
    page.n = 0;
    page.lines[0] = '\0';
    page_wait(page_waiting(page.token) != NULL);
}

static void page_open(int origin)
{
    page_open_at(origin_url[origin]);
}

/* The next line that the page reports, in a static buffer. */
static const char *page_line(void)
{
    static char line[sizeof(page.lines)];
    page_wait(page.n > 0);
    size_t n = strcspn(page.lines, "\n");
    memcpy(line, page.lines, n);
    line[n] = '\0';
    page.n -= n + 1;
    memmove(page.lines, page.lines + n + 1, page.n + 1);
    return line;
}

/* The next line must be this. */
__attribute__((format(printf, 1, 2))) static void page_expect(const char *format, ...)
{
    char wanted[4096];
    va_list ap;
    va_start(ap, format);
    vsnprintf(wanted, sizeof(wanted), format, ap);
    va_end(ap);
    page_wait(page.n > 0);
    const char *line = page_line();
    if (strcmp(line, wanted) != 0)
        e2e_fail("the page was to report: %s\nit reported: %.1000s\nand then: %.1000s", wanted,
                 line, page.lines);
}

/* It must report nothing for so long. */
static void page_expect_silence(int ms)
{
    int64_t deadline = e2e_now_ms() + ms;
    while (page.n == 0 && e2e_now_ms() < deadline)
        page_serve(deadline);
    if (page.n > 0)
        e2e_fail("the page was to report nothing; it reported: %.2000s", page.lines);
}

/* An EventSource that was cut off: some attempts that fail, then it is back. */
static void page_expect_back(void)
{
    const char *line = page_line();
    if (strcmp(line, "error 0") != 0)
        e2e_fail("the page was to report an error that passes; it reported: %s", line);
    while (strcmp(line, "error 0") == 0)
        line = page_line();
    if (strcmp(line, "open") != 0)
        e2e_fail("the page was to report that it is connected again; it reported: %s", line);
}

#endif
