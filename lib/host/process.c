/*
 * process.c - the process itself.
 */
#include "lib/host/process.h"

#include "lib/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

_Noreturn void process_fail(int code, ...)
{
    char line[2048];
    struct text t = text_in(line, sizeof line);
    va_list ap;
    text_str(&t, "sse: ");
    va_start(ap, code);
    text_list(&t, ap);
    va_end(ap);
    text_str(&t, "\n");
    if (write(STDERR_FILENO, t.p, t.n) == -1)
        code = EX_IOERR;
    exit(code);
}

void process_open_standard(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDWR) == -1)
            process_fail(EX_OSERR, "/dev/null: ", strerror(errno), NULL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    (void)sigprocmask(SIG_BLOCK, &set, NULL); /* kept pending until the loop runs */
    (void)signal(SIGCHLD, SIG_DFL);           /* the parent may have changed it */
    (void)signal(SIGXFSZ, SIG_IGN);           /* write() then fails with EFBIG */
    (void)signal(SIGUSR1, SIG_IGN);           /* other servers reopen logs at it */
}

void process_die_with_parent(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

int process_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGHUP);
    if (getpid() == 1)
        sigaddset(&set, SIGCHLD); /* process 1 reaps others' orphans */
    if (sigprocmask(SIG_BLOCK, &set, NULL) == -1)
        return -1;
    (void)signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

void process_reap(void)
{
    while (getpid() == 1 && waitpid(-1, NULL, WNOHANG) > 0) {
    }
}
