/*
 * notify.c - a datagram to the service manager.
 */
#include "lib/host/notify.h"

#include "lib/span.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

bool notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (path == NULL || path[0] == '\0')
        return true;
    size_t n = strlen(path), len = strlen(state);
    if ((path[0] != '/' && path[0] != '@') || n >= sizeof a.sun_path) {
        errno = EINVAL;
        return false;
    }
    memcpy(a.sun_path, path, n);
    if (path[0] == '@')
        a.sun_path[0] = '\0'; /* an abstract name */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return false;
    socklen_t a_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    ssize_t w = sendto(fd, state, len, MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&a, a_len);
    int err = errno;
    close(fd);
    errno = err;
    return w == (ssize_t)len;
}

bool notify_journal(void)
{
    struct span inode = span_of(getenv("JOURNAL_STREAM")), device = span_cut(&inode, ':');
    uint64_t dev, ino;
    struct stat st;
    return span_u64(device, &dev) && span_u64(inode, &ino) && fstat(STDERR_FILENO, &st) == 0 &&
           st.st_dev == dev && st.st_ino == ino;
}
