/*
 * keeper.c - the process that opens the key files.
 */
#include "lib/host/keeper.h"

#include "lib/host/calls.h"
#include "lib/host/landlock.h"
#include "lib/host/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#define ANSWER_MS 2000 /* the keeper's time for an answer */

/* ---- a number and a descriptor over a socket ------------------------------------------------- */

struct packet {
    struct msghdr head;
    struct iovec iov;
    int number;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
};

/* Prepares a packet with room for a descriptor. */
static void packet_make(struct packet *p, int number)
{
    memset(p, 0, sizeof *p);
    p->number = number;
    p->iov = (struct iovec){&p->number, sizeof p->number};
    p->head.msg_iov = &p->iov;
    p->head.msg_iovlen = 1;
    p->head.msg_control = p->control;
    p->head.msg_controllen = sizeof p->control;
}

/* Sends a number and a descriptor; fd -1: none. Returns false with errno set on failure. */
static bool packet_send(int to, int number, int fd)
{
    struct packet p;
    packet_make(&p, number);
    struct cmsghdr *c = CMSG_FIRSTHDR(&p.head);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    if (fd == -1)
        p.head.msg_controllen = 0;
    ssize_t n;
    do
        n = sendmsg(to, &p.head, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n == -1 && errno == EINTR);
    return n == (ssize_t)sizeof number;
}

/* Receives a number and a descriptor; *fd is -1 if none came. Returns 0 if the other end is closed,
 * -1 with errno set on failure. */
static ssize_t packet_take(int from, int *number, int *fd)
{
    struct packet p;
    packet_make(&p, 0);
    *fd = -1;
    ssize_t n;
    do
        n = recvmsg(from, &p.head, MSG_CMSG_CLOEXEC);
    while (n == -1 && errno == EINTR);
    const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&p.head) : NULL;
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof *fd))
        memcpy(fd, CMSG_DATA(c), sizeof *fd);
    *number = p.number;
    return n;
}

/* ---- the keeper ------------------------------------------------------------------------------ */

/* Drops what the keeper inherits and does not need. Returns false with errno set on failure. */
static bool leave_behind(int sock)
{
    static const int ignored[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        if (signal(ignored[i], SIG_IGN) == SIG_ERR)
            return false;
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (null == -1 || dup2(null, fd) == -1)
            return false;
    /* Landlock is newer than this call. Its number is the same on every machine. */
    return (sock == STDERR_FILENO + 1 ||
            syscall(436, STDERR_FILENO + 1, sock - 1, 0, 0, 0, 0) == 0) &&
           syscall(436, sock + 1, ~0u, 0, 0, 0, 0) == 0;
}

/* Enters its sandbox. */
static bool keeper_enter(const struct opt_list *files, const struct user *u)
{
    char bytes[256], path[OPT_PATH_MAX];
    struct text why = text_in(bytes, sizeof bytes);
    struct landlock l;
    struct filter_insn insns[CALLS_FILTER];
    if (landlock_begin(&l, false) < 0 || l.abi == 0)
        return false;
    for (uint32_t i = 0; i < files->n; i++)
        (void)landlock_allow_beside(&l, opt_path(files, i, path), LANDLOCK_READ);
    if (prctl(PR_SET_NAME, KEEPER_NAME) == -1 || user_become(u, &why) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 || landlock_enter(&l) < 0)
        return false;
    uint32_t n = CALLS_SANITIZED ? 0 : calls_keeper(insns);
    int err = n > 0 ? sandbox_filter(insns, n) : 0;
    return err == 0 || err == -ENOSYS;
}

/* Opens a file for each who asks. */
static _Noreturn void keeper_run(int sock, const struct opt_list *files)
{
    char path[OPT_PATH_MAX];
    int number, to;
    ssize_t n;
    while ((n = packet_take(sock, &number, &to)) > 0) {
        /* without waiting: it may be a pipe that nobody writes to */
        bool known = number >= 0 && (uint32_t)number < files->n;
        int fd = known ? open(opt_path(files, (uint32_t)number, path),
                              O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
                       : -1;
        int err = !known ? ENOENT : fd == -1 ? errno : 0;
        if (to != -1) {
            (void)packet_send(to, err, fd); /* the asker may have gone */
            close(to);
        }
        if (fd != -1)
            close(fd);
    }
    _exit(n == 0 ? EX_OK : EX_OSERR);
}

int keeper_start(const struct opt_list *files, const struct user *u)
{
    struct landlock l;
    int ends[2], number = 0, none;
    if (landlock_begin(&l, false) < 0 || l.abi == 0)
        return KEEPER_NONE; /* entering the sandbox reports the reason */
    landlock_drop(&l);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == -1)
        return -errno - 1;
    pid_t pid = fork();
    int err = errno;
    if (pid == 0) {
        bool good = leave_behind(ends[1]) && keeper_enter(files, u);
        if (!packet_send(ends[1], good ? 0 : errno != 0 ? errno : EPERM, -1) || !good)
            _exit(EX_OSERR);
        keeper_run(ends[1], files);
    }
    close(ends[1]);
    if (pid == -1 || packet_take(ends[0], &number, &none) <= 0 || number != 0) {
        close(ends[0]);
        return -(pid == -1 ? err : number != 0 ? number : EPIPE) - 1;
    }
    return ends[0];
}

/* ---- who asks -------------------------------------------------------------------------------- */

int keeper_ask(int keeper, uint32_t i)
{
    int ends[2], number = 0, fd = -1, err = 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == -1)
        return -1;
    struct pollfd p = {ends[0], POLLIN, 0};
    if (!packet_send(keeper, (int)i, ends[1]))
        err = errno;
    close(ends[1]);
    for (int n = 0; err == 0 && n != 1;)
        if ((n = poll(&p, 1, ANSWER_MS)) == 0 || (n == -1 && errno != EINTR))
            err = n == 0 ? ETIMEDOUT : errno;
    if (err == 0)
        err = packet_take(ends[0], &number, &fd) <= 0 ? EPIPE : number;
    close(ends[0]);
    errno = err;
    return err == 0 ? fd : -1;
}
