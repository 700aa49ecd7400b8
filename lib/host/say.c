/*
 * say.c - writes the log.
 */
#include "lib/host/say.h"

#include "lib/log.h"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

void say_line(struct server *s, bool journal, enum opt_log level, const char *msg, va_list ap)
{
    static const char names[][6] = {"error", "warn", "info", "debug", "info"};
    char line[PIPE_BUF]; /* a pipe that is ready takes that much at once */
    struct text t = text_in(line, sizeof line);
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    log_write(&t, journal ? 0 : s->clock.wall, names[level], msg, ap);
    t.p[t.n - 1] = '\n'; /* also if the line did not fit */
    if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT) ||
        write(STDERR_FILENO, t.p, t.n) == -1)
        s->stat.log_dropped++;
}
