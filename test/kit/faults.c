/*
 * faults.c - linked into a server with -Wl,--wrap=CALL for each __wrap_CALL here: counts the system
 * calls by the places they are made from, and has one of them fail; see faults.h.
 *
 * close() does what it is asked even if it is to fail, as in Linux.
 */
#include "test/kit/faults.h"

#include "lib/host/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): as the linker names them

static struct faults *faults;
static enum faults_life life;
static uintptr_t base;

/* ---- setting up ------------------------------------------------------------------------------ */

int __real_open(const char *path, int flags, mode_t mode);
int __real_close(int fd);
void *__real_mmap(void *at, size_t n, int protection, int flags, int fd, off_t from);

static int program_base(struct dl_phdr_info *info, size_t size, void *out)
{
    (void)size;
    *(uintptr_t *)out = info->dlpi_addr;
    return 1; /* the first one is the program itself */
}

__attribute__((constructor)) static void faults_begin(void)
{
    const char *path = getenv(FAULTS_ENV), *mode = getenv(HANDOVER_ENV);
    if (path == NULL)
        return;
    dl_iterate_phdr(program_base, &base);
    life = mode == NULL ? FAULTS_FIRST : strncmp(mode, "try", 3) == 0 ? FAULTS_TRIAL : FAULTS_TAKEN;
    int fd = __real_open(path, O_RDWR | O_CLOEXEC, 0);
    void *p = __real_mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd == -1 || p == MAP_FAILED)
        abort();
    faults = p;
    __real_close(fd);
}

/* ---- counting, and failing ------------------------------------------------------------------- */

static struct faults_site *site_at(uint64_t site)
{
    for (unsigned i = 0; i < FAULTS_SITES; i++) {
        uint64_t free = 0;
        struct faults_site *s = &faults->site[i];
        if (atomic_load(&s->site) == site ||
            atomic_compare_exchange_strong(&s->site, &free, site) || free == site)
            return s;
    }
    abort();
}

/* Counts the call; returns the errno that it is to fail with, FAULTS_SHORT, or 0. */
static int fault(const char *call, const void *from)
{
    if (faults == NULL)
        return 0;
    uint64_t site = (uintptr_t)from - base;
    uint32_t nth = atomic_fetch_add(&site_at(site)->count[life], 1) + 1;
    atomic_fetch_add(&faults->calls, 1);
    for (unsigned i = 0; i < sizeof faults->armed / sizeof faults->armed[0]; i++) {
        struct faults_armed *a = &faults->armed[i];
        if (a->error == 0 || a->life != life)
            continue;
        if (a->site != 0 ? a->site == site && a->nth == nth : strcmp(a->call, call) == 0) {
            atomic_fetch_add(&a->fired, 1);
            return a->error;
        }
    }
    return 0;
}

#define FAULT(call) fault(call, __builtin_extract_return_addr(__builtin_return_address(0)))

/* A call that sets errno and returns `bad`. */
#define WRAP(type, bad, call, parameters, arguments) \
    type __real_##call parameters;                   \
    type __wrap_##call parameters;                   \
    type __wrap_##call parameters                    \
    {                                                \
        int error = FAULT(#call);                    \
        if (error != 0) {                            \
            errno = error;                           \
            return bad;                              \
        }                                            \
        return __real_##call arguments;              \
    }

/* One that returns the errno. */
#define WRAP_ERROR(call, parameters, arguments)              \
    int __real_##call parameters;                            \
    int __wrap_##call parameters;                            \
    int __wrap_##call parameters                             \
    {                                                        \
        int error = FAULT(#call);                            \
        return error != 0 ? error : __real_##call arguments; \
    }

/* One that moves `n` bytes, or less. */
#define WRAP_BYTES(call, parameters, arguments) \
    ssize_t __real_##call parameters;           \
    ssize_t __wrap_##call parameters;           \
    ssize_t __wrap_##call parameters            \
    {                                           \
        int error = FAULT(#call);               \
        if (error == FAULTS_SHORT) {            \
            n = n > 1 ? 1 : n;                  \
        } else if (error != 0) {                \
            errno = error;                      \
            return -1;                          \
        }                                       \
        return __real_##call arguments;         \
    }

/* ---- bytes ----------------------------------------------------------------------------------- */

WRAP_BYTES(read, (int fd, void *p, size_t n), (fd, p, n))
WRAP_BYTES(write, (int fd, const void *p, size_t n), (fd, p, n))
WRAP_BYTES(pread, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))
WRAP_BYTES(pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
WRAP_BYTES(recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags))
WRAP_BYTES(send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags))
WRAP_BYTES(sendto,
           (int fd, const void *p, size_t n, int flags, const struct sockaddr *to, socklen_t len),
           (fd, p, n, flags, to, len))
WRAP_BYTES(getrandom, (void *p, size_t n, unsigned flags), (p, n, flags))

ssize_t __real_writev(int fd, const struct iovec *iov, int n);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int n);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int n)
{
    int error = FAULT("writev");
    if (error == FAULTS_SHORT) {
        struct iovec one = {iov->iov_base, iov->iov_len > 1 ? 1 : iov->iov_len};
        return __real_writev(fd, &one, 1);
    }
    if (error != 0) {
        errno = error;
        return -1;
    }
    return __real_writev(fd, iov, n);
}

/* ---- sockets, and waiting -------------------------------------------------------------------- */

WRAP(int, -1, accept4, (int fd, struct sockaddr *a, socklen_t *len, int flags), (fd, a, len, flags))
WRAP(int, -1, bind, (int fd, const struct sockaddr *a, socklen_t len), (fd, a, len))
WRAP(int, -1, connect, (int fd, const struct sockaddr *a, socklen_t len), (fd, a, len))
WRAP(int, -1, getpeername, (int fd, struct sockaddr *a, socklen_t *len), (fd, a, len))
WRAP(int, -1, getsockname, (int fd, struct sockaddr *a, socklen_t *len), (fd, a, len))
WRAP(int, -1, getsockopt, (int fd, int level, int name, void *p, socklen_t *len),
     (fd, level, name, p, len))
WRAP(int, -1, listen, (int fd, int n), (fd, n))
WRAP(int, -1, setsockopt, (int fd, int level, int name, const void *p, socklen_t len),
     (fd, level, name, p, len))
pid_t __real_fork(void);
pid_t __wrap_fork(void);
pid_t __wrap_fork(void)
{
    int error = FAULT("fork");
    pid_t pid = error != 0 ? -1 : __real_fork();
    if (error != 0)
        errno = error;
    if (pid == 0)
        life = FAULTS_CHILD;
    return pid;
}
WRAP(int, -1, getgroups, (int n, gid_t *groups), (n, groups))
WRAP(ssize_t, -1, readlink, (const char *path, char *p, size_t n), (path, p, n))
WRAP(ssize_t, -1, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))
WRAP(ssize_t, -1, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
WRAP(int, -1, socketpair, (int family, int type, int protocol, int fds[2]),
     (family, type, protocol, fds))
WRAP(int, -1, shutdown, (int fd, int how), (fd, how))
WRAP(int, -1, socket, (int family, int type, int protocol), (family, type, protocol))
WRAP(int, -1, epoll_create1, (int flags), (flags))
WRAP(int, -1, epoll_ctl, (int epoll, int what, int fd, struct epoll_event *ev),
     (epoll, what, fd, ev))
WRAP(int, -1, epoll_wait, (int epoll, struct epoll_event *ev, int n, int ms), (epoll, ev, n, ms))
WRAP(int, -1, poll, (struct pollfd * p, nfds_t n, int ms), (p, n, ms))

/* ---- files and memory ------------------------------------------------------------------------ */

int __wrap_close(int fd);
int __wrap_close(int fd)
{
    int error = FAULT("close"), done = __real_close(fd);
    if (error == 0)
        return done;
    errno = error;
    return -1;
}

WRAP(int, -1, open, (const char *path, int flags, mode_t mode), (path, flags, mode))
WRAP(int, -1, fcntl, (int fd, int what, long arg), (fd, what, arg))
WRAP(int, -1, fallocate, (int fd, int mode, off_t from, off_t n), (fd, mode, from, n))
WRAP(int, -1, fchmod, (int fd, mode_t mode), (fd, mode))
WRAP(int, -1, fchown, (int fd, uid_t user, gid_t group), (fd, user, group))
/* A slow disk: a sync ends when the file that FAULTS_SYNC_WAITS names is not there any more; and a
 * broken one: it fails while that of FAULTS_SYNC_FAILS is there. */
static bool is_there(const char *variable)
{
    const char *path = getenv(variable);
    return path != NULL && access(path, F_OK) == 0;
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    int error = FAULT("fdatasync");
    while (is_there("FAULTS_SYNC_WAITS"))
        (void)poll(NULL, 0, 2);
    if (error == 0 && is_there("FAULTS_SYNC_FAILS"))
        error = EIO;
    if (error == 0)
        return __real_fdatasync(fd);
    errno = error;
    return -1;
}

/* A wall clock that is set: by so many seconds as the file that FAULTS_CLOCK names begins with. */
static const volatile int64_t *ahead;

__attribute__((constructor)) static void clock_begin(void)
{
    const char *path = getenv("FAULTS_CLOCK");
    int fd = path != NULL ? __real_open(path, O_RDONLY | O_CLOEXEC, 0) : -1;
    void *p =
        fd != -1 ? __real_mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (fd != -1)
        __real_close(fd);
    ahead = p != MAP_FAILED ? p : NULL;
}

int __real_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
    int result = __real_clock_gettime(id, t);
    if (id == CLOCK_REALTIME && ahead != NULL)
        t->tv_sec += *ahead;
    return result;
}

WRAP(int, -1, flock, (int fd, int what), (fd, what))
WRAP(int, -1, msync, (void *p, size_t n, int how), (p, n, how))
WRAP(int, -1, fsync, (int fd), (fd))
WRAP(int, -1, ftruncate, (int fd, off_t n), (fd, n))
#if __GLIBC_PREREQ(2, 33)
WRAP(int, -1, fstat, (int fd, struct stat *st), (fd, st))
WRAP(int, -1, lstat, (const char *path, struct stat *st), (path, st))
WRAP(int, -1, stat, (const char *path, struct stat *st), (path, st))
#else
/* There stat() and its like are inline, and call these; those that are not inline do so by a jump,
 * from libc's own code, so that nothing here may use them. */
#define WRAP_STAT(inner, call, type)                             \
    int __real_##inner(int version, type file, struct stat *st); \
    int __wrap_##inner(int version, type file, struct stat *st); \
    int __wrap_##inner(int version, type file, struct stat *st)  \
    {                                                            \
        int error = FAULT(call);                                 \
        if (error != 0) {                                        \
            errno = error;                                       \
            return -1;                                           \
        }                                                        \
        return __real_##inner(version, file, st);                \
    }
WRAP_STAT(__xstat, "stat", const char *)
WRAP_STAT(__lxstat, "lstat", const char *)
WRAP_STAT(__fxstat, "fstat", int)
#endif
WRAP(int, -1, rename, (const char *from, const char *to), (from, to))
WRAP(int, -1, unlink, (const char *path), (path))
WRAP(int, -1, memfd_create, (const char *name, unsigned flags), (name, flags))
WRAP(int, -1, eventfd, (unsigned n, int flags), (n, flags))
WRAP(void *, MAP_FAILED, mmap, (void *at, size_t n, int protection, int flags, int fd, off_t from),
     (at, n, protection, flags, fd, from))
WRAP(int, -1, munmap, (void *p, size_t n), (p, n))
WRAP(int, -1, madvise, (void *p, size_t n, int advice), (p, n, advice))

/* ---- processes, signals, limits -------------------------------------------------------------- */

WRAP(int, -1, execv, (const char *path, char *const argv[]), (path, argv))
WRAP(int, -1, execvp, (const char *file, char *const argv[]), (file, argv))
WRAP(int, -1, kill, (pid_t pid, int sign), (pid, sign))
WRAP(pid_t, -1, waitpid, (pid_t pid, int *status, int options), (pid, status, options))
WRAP(int, -1, pipe2, (int ends[2], int flags), (ends, flags))
WRAP(int, -1, prctl, (int what, unsigned long a, unsigned long b, unsigned long c, unsigned long d),
     (what, a, b, c, d))
WRAP(int, -1, nanosleep, (const struct timespec *t, struct timespec *left), (t, left))
WRAP(int, -1, getrlimit, (int what, struct rlimit *r), (what, r))
WRAP(int, -1, setrlimit, (int what, const struct rlimit *r), (what, r))
WRAP(int, -1, sigprocmask, (int how, const sigset_t *set, sigset_t *old), (how, set, old))
WRAP(int, -1, signalfd, (int fd, const sigset_t *set, int flags), (fd, set, flags))
WRAP_ERROR(pthread_attr_init, (pthread_attr_t * attr), (attr))
WRAP_ERROR(pthread_create,
           (pthread_t * id, const pthread_attr_t *attr, void *(*run)(void *), void *arg),
           (id, attr, run, arg))
WRAP(int, -1, clone, (int (*run)(void *), void *stack, int flags, void *arg),
     (run, stack, flags, arg))
WRAP(int, -1, dup2, (int from, int to), (from, to))

/* ---- the sandbox
 * ------------------------------------------------------------------------------ */

WRAP(int, -1, setgroups, (size_t n, const gid_t *groups), (n, groups))
WRAP(int, -1, setresuid, (uid_t r, uid_t e, uid_t s), (r, e, s))
WRAP(int, -1, setresgid, (gid_t r, gid_t e, gid_t s), (r, e, s))
WRAP(int, -1, getresuid, (uid_t * r, uid_t *e, uid_t *s), (r, e, s))
WRAP(int, -1, getresgid, (gid_t * r, gid_t *e, gid_t *s), (r, e, s))
WRAP(int, -1, lchown, (const char *path, uid_t user, gid_t group), (path, user, group))

long __real_syscall(long call, ...);

/* The file that is shared has to be opened again after an upgrade, inside the sandbox. */
static void allow_shared(int rules)
{
    char dir[256];
    const char *path = getenv(FAULTS_ENV), *slash = strrchr(path, '/');
    struct {
        uint64_t rights; /* to read and to write files */
        int32_t fd;
    } __attribute__((packed)) rule = {1 << 1 | 1 << 2, -1};
    memcpy(dir, path, (size_t)(slash - path));
    dir[slash - path] = '\0';
    rule.fd = __real_open(dir, O_PATH | O_CLOEXEC, 0);
    if (rule.fd == -1)
        return; /* of another user, and then there is no upgrade */
    if (__real_syscall(445, rules, 1, &rule, 0) != 0)
        abort();
    __real_close(rule.fd);
}

long __wrap_syscall(long call, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long call, long a, long b, long c, long d, long e, long f)
{
    int error = FAULT("syscall");
    if (error != 0) {
        errno = error;
        return -1;
    }
    if (call == 446 && faults != NULL) /* landlock_restrict_self() */
        allow_shared((int)a);
    return __real_syscall(call, a, b, c, d, e, f);
}

// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
