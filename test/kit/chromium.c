/*
 * chromium.c - a headless Chromium as a process that does not outlive the test program.
 */
#include "test/kit/chromium.h"

#include "test/kit/close.h"
#include "test/kit/e2e.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child that becomes Chromium gets: its ends of the pipes. */
struct ends {
    int told;    /* where it says why it could not */
    int in, out; /* DevTools: commands, answers; -1: none */
    int life;    /* the keeper's */
};

/* Puts DevTools' pipes at 3 and 4, where Chromium has them; all else ends with exec. */
static bool ends_place(struct ends *e)
{
    int in = e->in, out = e->out;
    e->told = fcntl(e->told, F_DUPFD_CLOEXEC, 10);
    if (in != -1) {
        in = fcntl(in, F_DUPFD_CLOEXEC, 10);
        out = fcntl(out, F_DUPFD_CLOEXEC, 10);
    }
    close_later_from(3);
    return in == -1 || (dup2(in, 3) != -1 && dup2(out, 4) != -1);
}

/* The child that becomes Chromium. Its environment has nothing of the tester's: no proxy, no
 * profile, no display. */
static void become_chromium(const struct chromium *b, const char *url, struct ends *e)
{
    char home[80], tmp[80], profile[96], path[4096], log[96];
    const char *given = getenv("PATH");
    snprintf(home, sizeof(home), "HOME=%s", b->directory);
    snprintf(tmp, sizeof(tmp), "TMPDIR=%s", b->directory);
    snprintf(profile, sizeof(profile), "--user-data-dir=%s", b->directory);
    snprintf(path, sizeof(path), "PATH=%s", given != NULL ? given : "/usr/bin:/bin");
    snprintf(log, sizeof(log), "%s/stderr", b->directory);
    const char *const argv[] = {
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
        "--disable-dev-shm-usage", "--disable-extensions", "--no-first-run", "--no-proxy-server",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", profile,
        url,
        /* one that is not debugged ends when the page is there, until 120 */
        e->in != -1 ? "--remote-debugging-pipe" : "--remote-debugging-port=0", NULL};
    const char *const environment[] = {home, tmp, path, NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int err = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (dup2(null, 0) != -1 && dup2(null, 1) != -1 && dup2(err, 2) != -1 && ends_place(e)) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execvpe(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)environment);
    }
    send(e->told, &errno, sizeof(errno), MSG_NOSIGNAL);
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
static void keep(const struct chromium *b, const char *url, struct ends *e)
{
    setsid();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    pid_t chromium = fork();
    if (chromium == 0)
        become_chromium(b, url, e);
    dup2(e->life, 3); /* the one thing that it keeps of the test program's */
    close_from(4);
    struct pollfd p = {3, POLLIN, 0};
    siginfo_t end = {0};
    do {
        poll(&p, 1, 200);
        waitid(P_PID, (id_t)chromium, &end, WEXITED | WNOHANG | WNOWAIT);
    } while (p.revents == 0 && end.si_pid == 0);
    kill_children(chromium);
    /* What Chromium was still writing as it died does not come back now. */
    nftw(b->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    _exit(0);
}

const char *chromium_stderr(const struct chromium *b)
{
    static char text[4096];
    char path[96];
    snprintf(path, sizeof(path), "%s/stderr", b->directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return "";
    off_t size = lseek(fd, 0, SEEK_END), most = (off_t)sizeof(text) - 1;
    ssize_t n = pread(fd, text, sizeof(text) - 1, size > most ? size - most : 0);
    text[n > 0 ? n : 0] = '\0';
    close(fd);
    return text;
}

void chromium_start(struct chromium *b, const char *url, bool devtools)
{
    int life[2], told[2], to[2] = {-1, -1}, from[2] = {-1, -1}, error;
    snprintf(b->directory, sizeof(b->directory), "/tmp/sse-browser-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(b->directory));
    ck_assert_int_eq(pipe2(life, O_CLOEXEC), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, told), 0);
    ck_assert(!devtools || (pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0));
    struct ends e = {told[1], to[0], from[1], life[0]};
    b->keeper = fork();
    ck_assert_int_ne(b->keeper, -1);
    if (b->keeper == 0) {
        close(life[1]);
        close(told[0]);
        keep(b, url, &e);
    }
    close(life[0]);
    close(told[1]);
    if (devtools) {
        close(to[0]);
        close(from[1]);
    }
    b->life = life[1];
    b->to = to[1];
    b->from = from[0];
    /* The socket ends without a word when exec has closed it. */
    bool failed = recv(told[0], &error, sizeof(error), 0) == sizeof(error);
    close(told[0]);
    if (failed)
        e2e_fail("chromium can't be run (%s): these tests need it; apt-get install chromium",
                 strerror(error));
}

bool chromium_ended(const struct chromium *b)
{
    return waitpid(b->keeper, NULL, WNOHANG) != 0;
}

void chromium_stop(struct chromium *b)
{
    close(b->life);
    waitpid(b->keeper, NULL, 0);
}
