/*
 * kernel.c - a kernel made of a script: descriptors, stream sockets, epoll, clocks.
 */
#include "test/kit/kernel.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>

#define MAPPINGS_MAX 32
#define IOV_MOST     1024 /* IOV_MAX */

enum kind {
    FREE = 0,
    PLAIN, /* a file, or a socket before listen() */
    EPOLL,
    SIGNALS,
    LISTENER,
    CLIENT,
};

/* A descriptor. */
struct file {
    enum kind kind;
    struct kernel_peer *peer;
    struct kernel_peer *first, *last; /* LISTENER: its backlog */
    uint32_t events;                  /* what epoll is asked for */
    epoll_data_t data;
    bool added, queued; /* is in epoll; is in its list of those to look at */
    int next;           /* in this list */
};

struct mapping {
    void *p;
    size_t size;
    bool used;
};

struct kernel kernel;
static struct file files[KERNEL_FDS];
static int queue, queue_last; /* descriptors that epoll_wait() will look at; 0: none */
static struct mapping mappings[MAPPINGS_MAX];
static struct kernel_peer *spares; /* peers of an earlier time, with their memory */

/* ---- strictness ------------------------------------------------------------------------------ */

static _Noreturn void broken(const char *what, int fd)
{
    fprintf(stderr, "kernel: %s, descriptor %d\n", what, fd);
    abort();
}

static struct file *file_of(int fd, enum kind kind, const char *what)
{
    if (fd < 0 || fd >= KERNEL_FDS || files[fd].kind != kind)
        broken(what, fd);
    return &files[fd];
}

/* Counts a call; true: it is to fail, and errno says how. */
static bool fails(enum kernel_call call, const struct kernel_peer *p)
{
    struct kernel_fault *f = &kernel.fault[call];
    kernel.calls[call]++;
    if (f->times == 0 || (f->peer != NULL && f->peer != p))
        return false;
    if (f->after > 0) {
        f->after--;
        return false;
    }
    f->times--;
    errno = f->error;
    return true;
}

void kernel_fail(enum kernel_call call, struct kernel_fault fault)
{
    kernel.fault[call] = fault;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void bytes_add(struct kernel_bytes *b, const char *p, size_t n)
{
    if (b->n + n > b->cap) {
        b->cap = (b->n + n) * 2;
        b->p = realloc(b->p, b->cap);
        if (b->p == NULL)
            broken("no memory", -1);
    }
    if (n > 0)
        memcpy(b->p + b->n, p, n);
    b->n += n;
}

void *kernel_mmap(size_t size)
{
    struct mapping *m = mappings;
    for (; m < mappings + MAPPINGS_MAX; m++) {
        if (!m->used && m->size == size) {
            memset(m->p, 0, size);
            m->used = true;
            return m->p;
        }
    }
    for (m = mappings; m < mappings + MAPPINGS_MAX && m->size != 0; m++) {
    }
    if (m == mappings + MAPPINGS_MAX) /* of a size that an earlier server wanted: it makes room */
        for (m = mappings; m < mappings + MAPPINGS_MAX && m->used; m++) {
        }
    if (m == mappings + MAPPINGS_MAX)
        broken("too many mappings", -1);
    if (m->size != 0)
        munmap(m->p, m->size);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    *m = (struct mapping){p, size, true};
    return p;
}

/* What is small is worth keeping; what is large is cheaper to map anew than to clear. */
static void mappings_reset(void)
{
    for (struct mapping *m = mappings; m < mappings + MAPPINGS_MAX; m++) {
        m->used = false;
        if (m->size > 1u << 20) {
            munmap(m->p, m->size);
            m->size = 0;
        }
    }
}

void kernel_reset(void)
{
    while (kernel.peers != NULL) {
        struct kernel_peer *p = kernel.peers;
        kernel.peers = p->previous;
        p->previous = spares;
        spares = p;
    }
    struct kernel_bytes log = {kernel.log.p, 0, kernel.log.cap};
    memset(files, 0, sizeof files);
    files[0].kind = files[1].kind = files[2].kind = PLAIN;
    queue = queue_last = 0;
    kernel = (struct kernel){.mono_ms = KERNEL_MONO_MS,
                             .wall_ms = KERNEL_WALL_MS,
                             .deadline = KERNEL_MONO_MS,
                             .fds_max = KERNEL_FDS,
                             .log = log};
    mappings_reset();
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static int fd_new(enum kind kind)
{
    int fd = 3;
    while (fd < KERNEL_FDS && files[fd].kind != FREE)
        fd++;
    if ((unsigned)fd >= kernel.fds_max || fd == KERNEL_FDS) {
        errno = EMFILE;
        return -1;
    }
    files[fd] = (struct file){.kind = kind, .queued = files[fd].queued, .next = files[fd].next};
    kernel.open++;
    return fd;
}

int kernel_open(const char *path, int flags)
{
    (void)path;
    (void)flags;
    return fails(KERNEL_OPEN, NULL) ? -1 : fd_new(PLAIN);
}

int kernel_signalfd(int fd)
{
    (void)fd;
    return fd_new(SIGNALS);
}

int kernel_close(int fd)
{
    if (fd == -1) {
        errno = EBADF;
        return -1;
    }
    if (fd < 3 || fd >= KERNEL_FDS || files[fd].kind == FREE)
        broken("close of what is not open", fd);
    struct file *f = &files[fd];
    if (f->kind == CLIENT) {
        kernel.open_clients--;
        f->peer->closed = true;
        f->peer->fd = 0;
    }
    f->kind = FREE;
    f->added = false;
    kernel.open--;
    return 0;
}

/* ---- epoll ----------------------------------------------------------------------------------- */

static bool peer_room(const struct kernel_peer *p)
{
    return p->out.n - p->taken < p->window;
}

static uint32_t client_events(struct kernel_peer *p)
{
    uint32_t m = p->error != 0 ? EPOLLERR : 0;
    if (p->in.n > p->read || p->fin || p->reset)
        m |= EPOLLIN;
    if (p->fin || p->reset)
        m |= EPOLLRDHUP;
    if (p->reset || (p->fin && p->answered))
        m |= EPOLLHUP;
    if (p->reset || p->answered || peer_room(p))
        m |= EPOLLOUT;
    else
        p->nospace = true;
    return m;
}

static uint32_t file_events(const struct file *f)
{
    switch (f->kind) {
    case SIGNALS:
        return kernel.signal ? EPOLLIN : 0;
    case LISTENER:
        return f->first != NULL ? EPOLLIN : 0;
    case CLIENT:
        return client_events(f->peer);
    case FREE:
    case PLAIN:
    case EPOLL:
        break;
    }
    broken("epoll_wait of what can't be waited for", (int)(f - files));
}

static void enqueue(int fd)
{
    if (files[fd].queued)
        return;
    files[fd].queued = true;
    files[fd].next = 0;
    if (queue != 0)
        files[queue_last].next = fd;
    else
        queue = fd;
    queue_last = fd;
}

/* Something has happened to a socket: epoll will look at it. */
static void wake(int fd, uint32_t events)
{
    struct file *f = &files[fd];
    if (fd > 0 && f->added && (f->events & events) != 0)
        enqueue(fd);
}

int kernel_epoll_create1(int flags)
{
    (void)flags;
    return fd_new(EPOLL);
}

int kernel_epoll_ctl(int epoll, int op, int fd, struct epoll_event *ev)
{
    struct file *f = &files[fd];
    file_of(epoll, EPOLL, "epoll_ctl of what is no epoll");
    if (fd < 3 || f->kind == FREE || (op == EPOLL_CTL_ADD) == f->added || op == EPOLL_CTL_DEL)
        broken("epoll_ctl is out of place", fd);
    if (op == EPOLL_CTL_ADD && fails(KERNEL_EPOLL_CTL, f->peer)) /* no other fails in Linux */
        return -1;
    f->added = true;
    f->events = ev->events;
    f->data = ev->data;
    if ((file_events(f) & ev->events) != 0)
        enqueue(fd);
    return 0;
}

/* Time passes, as far as it may. */
static void sleep_for(int timeout)
{
    uint64_t most = kernel.deadline - kernel.mono_ms;
    uint64_t ms = timeout < 0 || (uint64_t)timeout > most ? most : (uint64_t)timeout;
    kernel.mono_ms += ms;
    kernel.wall_ms += ms;
}

/* Takes the first off the queue and returns what there is to tell of it, if there is. */
static unsigned collect(struct epoll_event *ev)
{
    int fd = queue;
    struct file *f = &files[fd];
    queue = f->next;
    f->queued = false;
    if (!f->added)
        return 0;
    uint32_t events = file_events(f) & (f->events | EPOLLERR | EPOLLHUP);
    if (events == 0)
        return 0;
    *ev = (struct epoll_event){events, f->data};
    if ((f->events & EPOLLET) == 0)
        enqueue(fd);
    return 1;
}

int kernel_epoll_wait(int epoll, struct epoll_event *ev, int most, int timeout)
{
    int n = 0, last = queue_last;
    file_of(epoll, EPOLL, "epoll_wait of what is no epoll");
    kernel.timeout = timeout;
    kernel.events = 0;
    if (fails(KERNEL_EPOLL_WAIT, NULL))
        return -1;
    if (kernel.stale.events != 0)
        ev[n++] = kernel.stale;
    kernel.stale.events = 0;
    for (int fd = 0; queue != 0 && fd != last && n < most;) {
        fd = queue;
        n += (int)collect(&ev[n]);
    }
    if (n == 0 && timeout != 0)
        sleep_for(timeout);
    kernel.events = (unsigned)n;
    return n;
}

bool kernel_event_due(const struct kernel_peer *p)
{
    return p->fd > 0 && files[p->fd].added && files[p->fd].queued;
}

size_t kernel_unread(const struct kernel_peer *p)
{
    return p->in.n - p->read;
}

/* ---- listening ------------------------------------------------------------------------------- */

int kernel_socket(int family, int type, int protocol)
{
    (void)family;
    (void)type;
    (void)protocol;
    return fd_new(PLAIN);
}

int kernel_bind(int fd, const struct sockaddr *a, socklen_t len)
{
    (void)a;
    (void)len;
    file_of(fd, PLAIN, "bind of what is no socket");
    return 0;
}

int kernel_listen(int fd, int backlog)
{
    (void)backlog;
    file_of(fd, PLAIN, "listen on what is no socket")->kind = LISTENER;
    kernel.listener = fd;
    return 0;
}

int kernel_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    (void)level;
    (void)name;
    (void)value;
    (void)len;
    file_of(fd, PLAIN, "setsockopt of what is no socket");
    return 0;
}

static socklen_t address(struct sockaddr *a, bool local)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(8080)};
    in.sin_addr.s_addr = htonl(local ? INADDR_LOOPBACK : 0xc0000201); /* 192.0.2.1 */
    memcpy(a, &in, sizeof in);
    return sizeof in;
}

int kernel_getsockname(int fd, struct sockaddr *a, socklen_t *len)
{
    file_of(fd, LISTENER, "getsockname of what is no listener");
    *len = address(a, !kernel.open_to_all);
    return 0;
}

/* Takes the first off the backlog. */
static struct kernel_peer *backlog_next(struct file *f)
{
    struct kernel_peer *p = f->first;
    f->first = p->waiting;
    if (f->first == NULL)
        f->last = NULL;
    return p;
}

int kernel_accept4(int fd, struct sockaddr *a, socklen_t *len, int flags)
{
    struct file *f = file_of(fd, LISTENER, "accept4 of what is no listener");
    (void)flags;
    if (f->first != NULL && fails(KERNEL_ACCEPT, f->first)) {
        if (errno == ECONNABORTED || errno == EPROTO)
            backlog_next(f)->closed = true;
        return -1;
    }
    if (f->first == NULL) {
        kernel.nobody++;
        errno = EAGAIN;
        return -1;
    }
    int client = fd_new(CLIENT);
    if (client == -1)
        return -1;
    struct kernel_peer *p = backlog_next(f);
    p->fd = client;
    files[client].peer = p;
    kernel.open_clients++;
    if (a != NULL)
        *len = address(a, p->local);
    return client;
}

/* ---- reading and writing --------------------------------------------------------------------- */

/* The error of a socket is told once. */
static int error_take(struct kernel_peer *p, int otherwise)
{
    errno = p->error != 0 ? p->error : otherwise;
    p->error = 0;
    return -1;
}

static ssize_t signal_read(void *buf, size_t n)
{
    struct signalfd_siginfo info = {.ssi_signo = 15};
    if (!kernel.signal) {
        errno = EAGAIN;
        return -1;
    }
    kernel.signal = false;
    memcpy(buf, &info, n < sizeof info ? n : sizeof info);
    return (ssize_t)sizeof info;
}

ssize_t kernel_read(int fd, void *buf, size_t n)
{
    if (fd >= 3 && fd < KERNEL_FDS && files[fd].kind == SIGNALS)
        return signal_read(buf, n);
    struct kernel_peer *p = file_of(fd, CLIENT, "read of what is no client")->peer;
    size_t left = p->in.n - p->read;
    if (kernel.before_read != NULL)
        kernel.before_read();
    p->reads++;
    if (fails(KERNEL_READ, p))
        return -1;
    if (left == 0 && p->error != 0)
        return error_take(p, 0);
    if (left == 0 && (p->fin || p->reset))
        return 0;
    if (left == 0) {
        errno = EAGAIN;
        return -1;
    }
    n = left < n ? left : n;
    memcpy(buf, p->in.p + p->read, n);
    p->read += n;
    return (ssize_t)n;
}

ssize_t kernel_recv(int fd, void *buf, size_t n, int flags)
{
    if ((flags & ~(MSG_PEEK | MSG_DONTWAIT)) != 0)
        broken("recv with flags that are not known here", fd);
    ssize_t got = kernel_read(fd, buf, n);
    if (got > 0 && (flags & MSG_PEEK) != 0)
        file_of(fd, CLIENT, "recv of what is no client")->peer->read -= (size_t)got;
    return got;
}

ssize_t kernel_write(int fd, const void *buf, size_t n)
{
    if (fd != 1 && fd != 2)
        broken("write to what is not stdout or stderr", fd);
    if (kernel.log_full)
        broken("write to stderr that would wait", fd);
    bytes_add(&kernel.log, buf, n);
    return (ssize_t)n;
}

int kernel_poll(struct pollfd *p, nfds_t n, int timeout)
{
    if (n != 1 || timeout != 0 || p->fd != 2)
        broken("poll of what is not stderr, or that waits", p->fd);
    p->revents = kernel.log_full ? 0 : p->events;
    return kernel.log_full ? 0 : 1;
}

/* How much of n bytes a socket takes; -1: none, and errno says why. */
static ssize_t room_for(struct kernel_peer *p, size_t n)
{
    size_t there = p->out.n - p->taken, room = p->window > there ? p->window - there : 0;
    if (p->reset || p->answered)
        return error_take(p, EPIPE);
    n = n < p->chunk ? n : p->chunk;
    if (n > room)
        p->nospace = true;
    if (room == 0) {
        errno = EAGAIN;
        return -1;
    }
    return (ssize_t)(n < room ? n : room);
}

ssize_t kernel_writev(int fd, const struct iovec *iov, int n)
{
    struct kernel_peer *p = file_of(fd, CLIENT, "write to what is no client")->peer;
    size_t size = 0;
    if (n < 1 || n > IOV_MOST)
        broken("writev of none or too many", fd);
    for (int i = 0; i < n; i++)
        size += iov[i].iov_len;
    if (size == 0)
        broken("writev of nothing", fd);
    p->writes++;
    if (fails(KERNEL_WRITEV, p))
        return -1;
    ssize_t took = room_for(p, size);
    size_t left = took > 0 ? (size_t)took : 0;
    for (int i = 0; left > 0; i++) {
        size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;
        if (p->deaf)
            p->out.n += part;
        else if (!p->gone)
            bytes_add(&p->out, iov[i].iov_base, part);
        left -= part;
    }
    if (p->gone && took > 0) {
        p->gone = false;
        kernel_rst(p);
    }
    return took;
}

ssize_t kernel_send_to(int fd, const void *buf, size_t n, int flags)
{
    struct kernel_peer *p = file_of(fd, CLIENT, "send to what is no client")->peer;
    struct iovec one = {(void *)(uintptr_t)buf, n};
    if (flags == 0) /* of a client that is served; with flags, of one that is refused */
        return kernel_writev(fd, &one, 1);
    if (fails(KERNEL_SEND, p))
        return -1;
    ssize_t took = room_for(p, n);
    if (took > 0)
        bytes_add(&p->out, buf, (size_t)took);
    return took;
}

int kernel_shutdown(int fd, int how)
{
    struct kernel_peer *p = file_of(fd, CLIENT, "shutdown of what is no client")->peer;
    if (how != SHUT_WR)
        broken("shutdown of another kind", fd);
    if (fails(KERNEL_SHUTDOWN, p))
        return -1;
    if (p->reset) {
        errno = ENOTCONN;
        return -1;
    }
    p->answered = true;
    wake(fd, EPOLLOUT | EPOLLHUP);
    return 0;
}

/* ---- what clients do ------------------------------------------------------------------------- */

struct kernel_peer *kernel_dial(bool local)
{
    struct file *f = file_of(kernel.listener, LISTENER, "nobody listens");
    struct kernel_peer *p = spares;
    if (p != NULL)
        spares = p->previous;
    else
        p = calloc(1, sizeof *p);
    if (p == NULL)
        broken("no memory", -1);
    *p = (struct kernel_peer){.local = local,
                              .window = KERNEL_NO_END,
                              .chunk = KERNEL_NO_END,
                              .in = {p->in.p, 0, p->in.cap},
                              .out = {p->out.p, 0, p->out.cap},
                              .previous = kernel.peers};
    kernel.peers = p;
    if (f->first == NULL)
        f->first = p;
    else
        f->last->waiting = p;
    f->last = p;
    wake(kernel.listener, EPOLLIN);
    return p;
}

static bool over(const struct kernel_peer *p)
{
    return p->closed || p->reset;
}

void kernel_send(struct kernel_peer *p, const char *bytes, size_t n)
{
    if (over(p) || p->fin || n == 0)
        return;
    bytes_add(&p->in, bytes, n);
    wake(p->fd, EPOLLIN);
}

void kernel_fin(struct kernel_peer *p)
{
    if (over(p) || p->fin)
        return;
    p->fin = true;
    wake(p->fd, EPOLLIN | EPOLLRDHUP);
}

void kernel_rst(struct kernel_peer *p)
{
    if (over(p))
        return;
    p->error = p->fin ? EPIPE : ECONNRESET;
    p->reset = true;
    wake(p->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
}

void kernel_hang_up(struct kernel_peer *p)
{
    if (over(p))
        return;
    p->gone = true;
    p->window = KERNEL_NO_END;
    kernel_fin(p);
}

/* Room has been made. */
static void made_room(struct kernel_peer *p)
{
    if (!p->nospace || !peer_room(p))
        return;
    p->nospace = false;
    wake(p->fd, EPOLLOUT);
}

void kernel_take(struct kernel_peer *p, size_t n)
{
    size_t there = p->out.n - p->taken;
    p->taken += n < there ? n : there;
    made_room(p);
}

void kernel_window(struct kernel_peer *p, size_t window)
{
    p->window = window;
    made_room(p);
}

/* ---- clocks, limits, chance ------------------------------------------------------------------ */

int kernel_clock_gettime(clockid_t id, struct timespec *t)
{
    bool real = id == CLOCK_REALTIME;
    kernel.looks_us += real ? 0 : kernel.look_us;
    uint64_t us = real ? kernel.wall_ms * 1000 : kernel.mono_ms * 1000 + kernel.looks_us;
    *t = (struct timespec){(time_t)(us / 1000000), (long)(us % 1000000 * 1000)};
    return 0;
}

int kernel_getrlimit(struct rlimit *r)
{
    *r = (struct rlimit){kernel.fds_max, kernel.fds_max};
    return 0;
}

/* The same every time, so that a test is. */
ssize_t kernel_getrandom(void *buf, size_t n)
{
    unsigned char *p = buf;
    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)(i * 73 + 41);
    return (ssize_t)n;
}
