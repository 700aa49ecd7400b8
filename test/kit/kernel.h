/*
 * kernel.h - a kernel made of a script, for tests of the loop: descriptors, stream sockets, epoll,
 * clocks, and the errors that a real one gives once a year.
 *
 *    a test                                                                   sse.c
 *    kernel_dial  --------->  | backlog ------------------------> | accept4
 *    kernel_send  --------->  | peer->in --------- read --------> | ... its buffers
 *    kernel_take  <---------  | peer->out[taken..size) <- writev- | ... its answers
 *                               at most `window` bytes are there that were not taken
 *
 * It keeps to what Linux promises, and returns nothing beyond: an edge comes only where one is sure
 * to come. A socket is writable until a write was cut short or refused, and then again when room
 * has been made. Time moves only while the loop sleeps, and only as far as kernel.deadline.
 *
 * It is strict: a call that no correct program makes ends the test, as closing or using a
 * descriptor that is not open, or writing nothing.
 *
 * The memory that tables are mapped in is kept from one start to the next, for the fuzzer's speed.
 * What peers were sent stays readable until kernel_reset().
 */
#ifndef SSE_TEST_KIT_KERNEL_H
#define SSE_TEST_KIT_KERNEL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#define KERNEL_FDS     8192
#define KERNEL_NO_END  SIZE_MAX
#define KERNEL_MONO_MS 5000000u       /* the clocks at the start */
#define KERNEL_WALL_MS 1790000000000u /* 2026-09-21T14:13:20Z */

/* Calls that can be made to fail. */
enum kernel_call {
    KERNEL_ACCEPT,
    KERNEL_READ,
    KERNEL_WRITEV,
    KERNEL_SEND,
    KERNEL_SHUTDOWN,
    KERNEL_OPEN,
    KERNEL_EPOLL_CTL,
    KERNEL_EPOLL_WAIT,
    KERNEL_CALLS,
};

/* Bytes that grow at the end. */
struct kernel_bytes {
    char *p;
    size_t n, cap;
};

/* A client's end of a connection. */
struct kernel_peer {
    int fd;                 /* the server's end; 0: it was not accepted yet, or is closed */
    bool local;             /* connects from this host */
    bool fin, reset, gone;  /* what it has done: sends no more; reset; is closed altogether */
    int error;              /* of the socket, not yet told */
    bool deaf;              /* what it is sent is counted, not kept */
    bool answered, closed;  /* what the server has done: shutdown(SHUT_WR); close() */
    bool nospace;           /* an edge is due when there is room */
    struct kernel_bytes in; /* to the server, from `read` on */
    size_t read;
    struct kernel_bytes out;      /* to the client, from `taken` on */
    size_t taken, window, chunk;  /* chunk: the most that one write takes */
    unsigned reads, writes;       /* calls */
    struct kernel_peer *waiting;  /* behind it in the backlog */
    struct kernel_peer *previous; /* made before it */
};

struct kernel_fault {
    unsigned after, times; /* that many calls go well, then that many fail */
    int error;
    const struct kernel_peer *peer; /* NULL: whoever's */
};

struct kernel {
    uint64_t mono_ms, wall_ms;
    uint64_t deadline; /* of mono_ms: sleeping takes it no further */
    unsigned look_us;  /* that each look at the monotonic clock takes; of mono_ms no part */
    uint64_t looks_us; /* all of these */
    unsigned fds_max;  /* RLIMIT_NOFILE */
    struct kernel_fault fault[KERNEL_CALLS];
    unsigned calls[KERNEL_CALLS];
    int timeout;               /* of the last epoll_wait() */
    unsigned events;           /* that it gave */
    unsigned nobody;           /* accept4() that found nobody */
    unsigned open_clients;     /* sockets that were accepted and not closed */
    unsigned open;             /* descriptors */
    int listener;              /* the newest that listens */
    bool open_to_all;          /* listeners are at an address that others can reach */
    bool signal;               /* one has arrived */
    struct epoll_event stale;  /* if .events is not 0: given by the next epoll_wait() besides */
    bool log_full;             /* nobody reads there any more */
    struct kernel_bytes log;   /* what went to stdout and stderr */
    struct kernel_peer *peers; /* the newest, not accepted ones included */
    void (*before_read)(void); /* called, if not NULL, before a client's bytes are read */
};

extern struct kernel kernel;

/* Begins anew: all closed, no peers, no faults. */
void kernel_reset(void);

/* ---- for tests: what clients do -------------------------------------------------------------- */

/* Connects. The peer is good until kernel_reset(). */
struct kernel_peer *kernel_dial(bool local);

/* Sends bytes; sends no more; resets; closes, so that what is written to it later resets. Nothing
 * happens to a connection that is over. */
void kernel_send(struct kernel_peer *p, const char *bytes, size_t n);
void kernel_fin(struct kernel_peer *p);
void kernel_rst(struct kernel_peer *p);
void kernel_hang_up(struct kernel_peer *p);

/* Reads n bytes at most, which makes room; changes how much room there is. */
void kernel_take(struct kernel_peer *p, size_t n);
void kernel_window(struct kernel_peer *p, size_t window);

/* Makes calls fail. A failing accept4() drops the connection where Linux does. */
void kernel_fail(enum kernel_call call, struct kernel_fault fault);

/* Returns true if an edge or an event is on its way for it: bytes for the server that it has not
 * read. */
bool kernel_event_due(const struct kernel_peer *p);
size_t kernel_unread(const struct kernel_peer *p);

/* ---- for sse.c: the calls -------------------------------------------------------------------- */

int kernel_socket(int family, int type, int protocol);
int kernel_bind(int fd, const struct sockaddr *a, socklen_t len);
int kernel_listen(int fd, int backlog);
int kernel_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int kernel_getsockname(int fd, struct sockaddr *a, socklen_t *len);
int kernel_accept4(int fd, struct sockaddr *a, socklen_t *len, int flags);
ssize_t kernel_read(int fd, void *buf, size_t n);
ssize_t kernel_recv(int fd, void *buf, size_t n, int flags);
ssize_t kernel_write(int fd, const void *buf, size_t n);
int kernel_poll(struct pollfd *p, nfds_t n, int timeout);
ssize_t kernel_writev(int fd, const struct iovec *iov, int n);
ssize_t kernel_send_to(int fd, const void *buf, size_t n, int flags);
int kernel_shutdown(int fd, int how);
int kernel_close(int fd);
int kernel_open(const char *path, int flags);
int kernel_signalfd(int fd);
int kernel_epoll_create1(int flags);
int kernel_epoll_ctl(int epoll, int op, int fd, struct epoll_event *ev);
int kernel_epoll_wait(int epoll, struct epoll_event *ev, int most, int timeout);
int kernel_clock_gettime(clockid_t id, struct timespec *t);
int kernel_getrlimit(struct rlimit *r);
ssize_t kernel_getrandom(void *buf, size_t n);
void *kernel_mmap(size_t size);

#endif
