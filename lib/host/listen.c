/*
 * listen.c - opens and takes over listeners.
 */
#include "lib/host/listen.h"

#include "lib/addr.h"
#include "lib/host/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

/* ---- --bind ---------------------------------------------------------------------------------- */

/* Removes the socket of a server that no longer runs. */
static void unlink_stale(const struct sockaddr_storage *a, socklen_t len)
{
    const char *path = addr_path(a);
    struct stat st;
    int fd;
    if (path == NULL || lstat(path, &st) == -1 || !S_ISSOCK(st.st_mode))
        return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return;
    if (connect(fd, (const struct sockaddr *)a, len) == -1 && errno == ECONNREFUSED)
        unlink(path);
    close(fd);
}

/* Sets the options that clients' sockets inherit from the listener. */
static void listen_options(int fd, int family, uint32_t patience_ms, int unsent)
{
    int one = 1;
    unsigned patience = patience_ms;
    if (family == AF_UNIX)
        return;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    /* the kernel need not buffer what the ring holds anyway */
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
    /* a peer that vanished is detected by unacknowledged heartbeats */
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience);
}

/* Puts the error into *why; returns minus the exit code. */
static int listen_failed(struct text *why, int code, struct span address, int err)
{
    text_str(why, "cannot listen on ");
    text_add(why, address);
    text_str(why, ": ");
    text_str(why, strerror(err));
    return -code;
}

/* Appends "127.0.0.1:8080", "[::1]:8080", "unix:PATH". */
static void place_write(struct text *t, const struct sockaddr_storage *a)
{
    char bytes[192];
    struct text url = text_in(bytes, sizeof bytes);
    addr_write(&url, a);
    struct span s = text_span(&url), http = SPAN("http://");
    text_add(t, span_begins(s, http) ? span_from(s, http.n) : s);
}

/* Binds the socket to the address, with the user's rights if the user can change the path; removes
 * a stale socket. Returns 0, or an errno. */
static int bind_at(int fd, const struct sockaddr_storage *a, socklen_t len, const struct user *user)
{
    struct guard g;
    if (!guard_begin(&g, user, addr_path(a)))
        return errno;
    unlink_stale(a, len);
    int err = bind(fd, (const struct sockaddr *)a, len) == -1 ? errno : 0;
    guard_end(&g);
    return err;
}

int listen_at(const char *flag, struct span address, uint16_t port, uint32_t patience_ms,
              int unsent, const struct user *user, struct text *why)
{
    struct sockaddr_storage a;
    socklen_t len;
    int one = 1;
    if (!addr_read_port(address, port, &a, &len)) {
        text_str(why, flag);
        text_str(why, " ");
        text_add(why, address);
        text_str(why,
                 span_eq(address, SPAN("localhost"))
                     ? ": must be an IPv4 or IPv6 address: 127.0.0.1"
                     : ": must be an IPv4 or IPv6 address, perhaps with :PORT behind (and IPv6 "
                       "in []), or unix:PATH of at most 107 bytes");
        return -EX_USAGE;
    }
    int fd = socket(a.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return listen_failed(why, EX_OSERR, address, errno);
    listen_options(fd, a.ss_family, patience_ms, unsent);
    if (a.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    int err = bind_at(fd, &a, len, user);
    if (err == 0 && listen(fd, SOMAXCONN) == -1)
        err = errno;
    if (err == 0)
        return fd;
    char bytes[192];
    struct text place = text_in(bytes, sizeof bytes);
    place_write(&place, &a);
    close(fd);
    int code =
        listen_failed(why, err == EACCES ? EX_NOPERM : EX_UNAVAILABLE, text_span(&place), err);
    if (err == EADDRINUSE && a.ss_family != AF_UNIX)
        text_str(why, " (--port N takes another port, --port 0 a free one)");
    return code;
}

/* ---- systemd --------------------------------------------------------------------------------- */

unsigned listen_given(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    uint64_t n;
    if (pid == NULL || count == NULL || !span_u64(span_of(pid), &n) || n != (uint64_t)getpid() ||
        !span_u64(span_of(count), &n) || n > 1000)
        return 0;
    return (unsigned)n;
}

bool listen_is_given(int fd)
{
    return fd >= LISTEN_FIRST && (unsigned)(fd - LISTEN_FIRST) < listen_given();
}

bool listen_is_admin(int fd)
{
    struct span names = span_of(getenv("LISTEN_FDNAMES"));
    if (!listen_is_given(fd))
        return false;
    for (int i = LISTEN_FIRST; i < fd; i++)
        (void)span_cut(&names, ':');
    return span_eq(span_cut(&names, ':'), SPAN("admin"));
}

int listen_take(int fd, uint32_t patience_ms, int unsent, struct text *why)
{
    int listens = 0, type = 0;
    socklen_t len = sizeof listens;
    struct sockaddr_storage a = {0};
    socklen_t a_len = sizeof a;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == -1 || !listens ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == -1 || type != SOCK_STREAM ||
        getsockname(fd, (struct sockaddr *)&a, &a_len) == -1) {
        text_str(why, "descriptor ");
        text_u64(why, (uint64_t)fd);
        text_str(why, ", handed over by LISTEN_FDS, is no socket that listens for streams");
        return -EX_CONFIG;
    }
    listen_options(fd, a.ss_family, patience_ms, unsent);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1 || fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
        return listen_failed(why, EX_OSERR, SPAN("a socket handed over by LISTEN_FDS"), errno);
    return 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* Adds one, or takes note of minus an exit code, which is returned without the sign. */
static int listener_add(struct listeners *l, int fd, bool admin)
{
    if (fd < 0)
        return -fd;
    l->fd[l->n] = fd;
    l->admin[l->n++] = admin;
    return 0;
}

int listen_all(const struct opt *opt, int unsent, const struct user *user, struct listeners *l,
               struct text *why)
{
    unsigned given = listen_given();
    uint32_t patience = opt->write_timeout_ms;
    int err = 0;
    l->n = 0;
    for (unsigned i = 0; i < given && err == 0; i++) {
        int fd = LISTEN_FIRST + (int)i, bad = listen_take(fd, patience, unsent, why);
        err = listener_add(l, bad < 0 ? bad : fd, listen_is_admin(fd));
    }
    for (unsigned i = 0; i < opt->bind.n && given == 0 && err == 0; i++)
        err = listener_add(
            l, listen_at("--bind", opt->bind.item[i], opt->port, patience, unsent, user, why),
            false);
    for (unsigned i = 0; i < opt->admin.n && err == 0; i++)
        err = listener_add(
            l, listen_at("--admin", opt->admin.item[i], opt->port, patience, unsent, user, why),
            true);
    return err;
}

/* ---- both ------------------------------------------------------------------------------------ */

bool listen_address(int fd, struct text *t)
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &len) == -1)
        return false;
    addr_write(t, &a);
    return true;
}

bool listen_peer(int fd, struct text *t)
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof a;
    if (getpeername(fd, (struct sockaddr *)&a, &len) == -1)
        return false;
    if (a.ss_family == AF_UNIX)
        text_str(t, "unix");
    else
        place_write(t, &a);
    return true;
}

bool listen_bound(int fd, struct nets *bound)
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof a;
    return getsockname(fd, (struct sockaddr *)&a, &len) == -1 || nets_bound(bound, &a, len);
}

bool listen_open(int fd)
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof a;
    return getsockname(fd, (struct sockaddr *)&a, &len) == 0 && !addr_local(&a, len);
}

void listen_unlink(int fd)
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof a;
    if (listen_is_given(fd))
        return; /* it belongs to the service manager */
    if (getsockname(fd, (struct sockaddr *)&a, &len) == 0 && addr_path(&a) != NULL)
        unlink(addr_path(&a));
}
