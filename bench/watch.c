/*
 * watch.c - reads /proc.
 */
#include "bench/watch.h"

#include "bench/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Reads a small file of /proc, or of a process there (pid > 0). */
static const char *proc(pid_t pid, const char *name, char *buf, size_t room)
{
    char path[64];
    if (pid > 0)
        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    else
        snprintf(path, sizeof path, "/proc/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd != -1 ? read(fd, buf, room - 1) : -1;
    if (n == -1)
        die("%s: %s", path, strerror(errno));
    close(fd);
    buf[n] = '\0';
    return buf;
}

/* The number behind a name. */
static uint64_t field(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at != NULL ? strtoull(at + strlen(name), NULL, 10) : 0;
}

struct watch_cpu watch_cpu(pid_t pid)
{
    char buf[8192];
    struct watch_cpu w = {.ns = strtoull(proc(pid, "schedstat", buf, sizeof buf), NULL, 10)};
    const char *at = strrchr(proc(pid, "stat", buf, sizeof buf), ')');
    for (unsigned i = 0; at != NULL && i < 12; i++) /* utime is the 14th field, the name the 2nd */
        at = strchr(at + 1, ' ');
    char *end = NULL;
    if (at != NULL)
        w.user = strtoull(at, &end, 10);
    if (end != NULL)
        w.kernel = strtoull(end, NULL, 10);
    return w;
}

struct watch_memory watch_memory(pid_t pid)
{
    char buf[8192];
    struct watch_memory m;
    proc(pid, "status", buf, sizeof buf);
    m.resident = field(buf, "VmRSS:") * 1024;
    m.shared = (field(buf, "RssFile:") + field(buf, "RssShmem:")) * 1024;
    m.kernel = field(proc(0, "meminfo", buf, sizeof buf), "Slab:") * 1024;
    const char *tcp = strstr(proc(0, "net/sockstat", buf, sizeof buf), "TCP:");
    if (tcp != NULL)
        m.kernel += field(tcp, " mem ") * (uint64_t)sysconf(_SC_PAGESIZE);
    return m;
}

void watch_idle(pid_t pid, unsigned seconds)
{
    uint64_t end = now_ns() + seconds * 1000000000ull, was = watch_cpu(pid).ns, is;
    for (unsigned idle = 0; idle < 5 && now_ns() < end; was = is) {
        pause_ms(5);
        is = watch_cpu(pid).ns;
        idle = is - was < 200000 ? idle + 1 : 0; /* others may have had its core once */
    }
}
