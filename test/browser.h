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
 * well and then has the server in its own origin, are served by page_wait() and what calls it, in the test's own process: nothing moves but while the test waits.
 *
 * Chromium is looked after by a keeper, a process that takes it and all its children down and its
 * directory away when the test program has ended, however that came about.
 */
#ifndef SSE_TEST_BROWSER_H
#define SSE_TEST_BROWSER_H

#include "test/e2e.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ORIGINS          2
#define BROWSER_START_MS 40000 /* a browser's first start, on a busy machine */
#define PEERS_MAX        64

static int origin_fd[ORIGINS] = {-1, -1}; /* listening sockets, handed down to each test */
static char origin_url[ORIGINS][64];

/* ---- sockets ---- */

/* Listens on a free port of 127.0.0.1; gives its URL too. */
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

/* ---- the browser's process ---- */

static struct {
    pid_t keeper;
    int life;           /* a pipe that ends when the test program does */
    char directory[64]; /* all that Chromium writes, its stderr too */
} browser;

/* The child that becomes Chromium. Its environment has nothing of the tester's: no proxy, no
 * profile, no display. */
static void become_chromium(const char *url, int told)
{
    char home[80], tmp[80], profile[96], path[4096], log[96];
    const char *given = getenv("PATH");
    snprintf(home, sizeof(home), "HOME=%s", browser.directory);
    snprintf(tmp, sizeof(tmp), "TMPDIR=%s", browser.directory);
    snprintf(profile, sizeof(profile), "--user-data-dir=%s", browser.directory);
    snprintf(path, sizeof(path), "PATH=%s", given != NULL ? given : "/usr/bin:/bin");
    snprintf(log, sizeof(log), "%s/stderr", browser.directory);
    const char *const argv[] = {"chromium",
                                "--headless",
                                "--no-sandbox",
                                "--disable-gpu",
                                "--disable-quic",
                                "--disable-dev-shm-usage",
                                "--disable-extensions",
                                "--no-first-run",
                                "--no-proxy-server",
                                "--disable-background-networking",
                                "--disable-component-update",
                                "--disable-sync",
                                profile,
                                url,
                                NULL};
    const char *const environment[] = {home, tmp, path, NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int err = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (dup2(null, 0) != -1 && dup2(null, 1) != -1 && dup2(err, 2) != -1) {
        close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execvpe(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)environment);
    }
    send_whole(told, &errno, sizeof(errno));
    _exit(127);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    remove(path);
    return 0;
}

/* Kills what children this process has, and those that theirs leave to it, until there are none. */
static void kill_children(pid_t chromium)
{
    char path[64];
    int64_t deadline = e2e_now_ms() + E2E_WAIT_MS;
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    kill(-chromium, SIGKILL);
    while (e2e_now_ms() < deadline) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid == -1)
            return;
        if (pid > 0)
            continue;
        FILE *children = fopen(path, "re");
        int child;
        while (children != NULL && fscanf(children, "%d", &child) == 1)
            kill(child, SIGKILL);
        if (children != NULL)
            fclose(children);
        e2e_sleep_ms(5);
    }
}

/* The keeper, in a session of its own so that what ends the test does not end it: waits for the end
 * of the test program, or of Chromium, then cleans up. */
static void keep(const char *url, int life, int told)
{
    setsid();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    pid_t chromium = fork();
    if (chromium == 0)
        become_chromium(url, told);
    close(told);
    for (int i = 0; i < ORIGINS; i++)
        close(origin_fd[i]);
    struct pollfd p = {life, POLLIN, 0};
    siginfo_t end = {0};
    do {
        poll(&p, 1, 200);
        waitid(P_PID, (id_t)chromium, &end, WEXITED | WNOHANG | WNOWAIT);
    } while (p.revents == 0 && end.si_pid == 0);
    kill_children(chromium);
    /* What Chromium was still writing as it died does not come back now. */
    nftw(browser.directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    _exit(0);
}

/* The end of what Chromium wrote to stderr. */
static const char *browser_stderr(void)
{
    static char text[4096];
    char path[96];
    snprintf(path, sizeof(path), "%s/stderr", browser.directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return "";
    off_t size = lseek(fd, 0, SEEK_END), most = (off_t)sizeof(text) - 1;
    ssize_t n = pread(fd, text, sizeof(text) - 1, size > most ? size - most : 0);
    text[n > 0 ? n : 0] = '\0';
    close(fd);
    return text;
}

/* Starts Chromium with a page of the first origin, and waits until it has come for it. To be called
 * once, before the first test. */
static void browser_start(void)
{
    int life[2], told[2], error;
    char url[80];
    for (int i = 0; i < ORIGINS; i++)
        origin_fd[i] = listen_local(origin_url[i]);
    snprintf(url, sizeof(url), "%s/?0", origin_url[0]);
    snprintf(browser.directory, sizeof(browser.directory), "/tmp/sse-browser-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(browser.directory));
    ck_assert_int_eq(pipe2(life, O_CLOEXEC), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, told), 0);
    browser.keeper = fork();
    ck_assert_int_ne(browser.keeper, -1);
    if (browser.keeper == 0) {
        close(life[1]);
        close(told[0]);
        keep(url, life[0], told[1]);
    }
    close(life[0]);
    close(told[1]);
    browser.life = life[1];
    /* The socket ends without a word when exec has closed it. */
    bool failed = recv(told[0], &error, sizeof(error), 0) == sizeof(error);
    close(told[0]);
    if (failed)
        e2e_fail("chromium can't be run (%s): these tests need it; apt-get install chromium",
                 strerror(error));
    struct pollfd p = {origin_fd[0], POLLIN, 0};
    int64_t deadline = e2e_now_ms() + BROWSER_START_MS;
    while (poll(&p, 1, 100) == 0)
        if (e2e_now_ms() > deadline || waitpid(browser.keeper, NULL, WNOHANG) != 0)
            e2e_fail("chromium did not open the page %s; it wrote: %s", url, browser_stderr());
}

static void browser_stop(void)
{
    close(browser.life);
    waitpid(browser.keeper, NULL, 0);
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
    FILE *f = fopen("test/browser.html", "re");
    if (f == NULL)
        e2e_fail("test/browser.html: %s (the tests run in the project's root)", strerror(errno));
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
        else if (peer->kind == PEER_WAITING) /* a page that goes away */
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
