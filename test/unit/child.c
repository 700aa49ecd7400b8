/*
 * child.c - a program that is started as a child: what it has, and what comes back where it can't
 * be started.
 */
#include "lib/host/child.h"
#include "test/kit/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEPT  7
#define CLOSE 8

static char said[4096];

/* Starts it with stdout and stderr in a file, and waits for its end. Returns the errno of the
 * start; the wait status is in *status, what it said in said[]. */
static int start(const char *const argv[], const int *keep, size_t n, int *status)
{
    char *copy[8] = {NULL};
    int out = memfd_create("out", MFD_CLOEXEC);
    pid_t child = 0;
    ck_assert_int_ne(out, -1);
    for (size_t i = 0; argv[i] != NULL; i++)
        ck_assert_ptr_nonnull(copy[i] = strdup(argv[i]));
    int err = child_spawn(&child, copy, out, keep, n);
    if (err == 0)
        ck_assert_int_eq(waitpid(child, status, 0), child);
    for (size_t i = 0; copy[i] != NULL; i++)
        free(copy[i]);
    ssize_t got = pread(out, said, sizeof said - 1, 0);
    said[got > 0 ? got : 0] = '\0';
    close(out);
    return err;
}

/* A name without a slash is looked for in PATH. */
START_TEST(runs)
{
    static const char *const shells[] = {"sh", "/bin/sh"};
    const char *argv[] = {shells[_i], "-c", "cat; echo out; echo err >&2; echo $WORD; exit 7",
                          NULL};
    int status = 0;
    ck_assert_int_eq(setenv("WORD", "of the environment", 1), 0);
    ck_assert_int_eq(start(argv, NULL, 0, &status), 0);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    ck_assert_str_eq(said, "out\nerr\nof the environment\n");
}
END_TEST

/* It has the descriptors that it is to keep, and no others. */
START_TEST(keeps)
{
    const char *argv[] = {"sh", "-c", "echo kept >&7 && ! (echo closed >&8) 2>/dev/null", NULL};
    const int keep[] = {KEPT};
    char text[16] = "";
    int fd = memfd_create("kept", MFD_CLOEXEC), status = 0;
    ck_assert(dup3(fd, KEPT, O_CLOEXEC) == KEPT && dup3(fd, CLOSE, O_CLOEXEC) == CLOSE);
    ck_assert_int_eq(start(argv, keep, 1, &status), 0);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%#x %s", (unsigned)status, said);
    ck_assert_int_eq(pread(fd, text, sizeof text - 1, 0), 5);
    ck_assert_str_eq(text, "kept\n");
    ck_assert_int_eq(fcntl(KEPT, F_GETFD), FD_CLOEXEC); /* here it is as before */
}
END_TEST

/* It blocks no signal, whatever is blocked here; which stays so. */
START_TEST(blocks_nothing)
{
    const char *argv[] = {"grep", "SigBlk", "/proc/self/status", NULL};
    sigset_t all, now;
    int status = 0;
    sigfillset(&all);
    ck_assert_int_eq(sigprocmask(SIG_SETMASK, &all, NULL), 0);
    int err = start(argv, NULL, 0, &status);
    ck_assert_int_eq(sigprocmask(SIG_BLOCK, NULL, &now), 0);
    ck_assert_int_eq(err, 0);
    ck_assert_str_eq(said, "SigBlk:\t0000000000000000\n");
    ck_assert(sigismember(&now, SIGTERM) == 1 && sigismember(&now, SIGUSR2) == 1);
}
END_TEST

/* ---- what can't be started
 * --------------------------------------------------------------------- */

static char dir[] = "/tmp/sse-child-XXXXXX";

static void file_make(const char *name, mode_t mode, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
    ck_assert(fd != -1 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void setup(void)
{
    ck_assert(mkdtemp(dir) != NULL && chdir(dir) == 0);
    file_make("mode", 0644, "#!/bin/sh\n");
    file_make("text", 0755, "this is no program\n");
    file_make("script", 0755, "#!/no/such/shell\n");
}

static void teardown(void)
{
    unlink("mode");
    unlink("text");
    unlink("script");
    ck_assert_int_eq(rmdir(dir), 0);
}

static const struct {
    int line;
    const char *program;
    int err;
} wrong[] = {
    {__LINE__, "./none", ENOENT},       {__LINE__, "no-such-program-in-path", ENOENT},
    {__LINE__, "./mode", EACCES},       {__LINE__, "./text", ENOEXEC},
    {__LINE__, "./script", ENOENT},     {__LINE__, "/", EACCES},
    {__LINE__, "./text/none", ENOTDIR},
};

/* The errno comes back, and no child is left. */
START_TEST(fails)
{
    const char *argv[] = {wrong[_i].program, NULL};
    int status = 0;
    int err = start(argv, NULL, 0, &status);
    ck_assert_msg(err == wrong[_i].err, "line %d: %d", wrong[_i].line, err);
    ck_assert_int_eq(waitpid(-1, &status, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
    ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(fails_by_descriptor)
{
    const char *argv[] = {"/bin/true", NULL};
    const int keep[] = {1000};
    int status = 0;
    ck_assert_int_eq(start(argv, keep, 1, &status), EBADF);
    ck_assert_int_eq(waitpid(-1, &status, WNOHANG), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("child");
    TCase *tc = tcase_create("runs");
    tcase_add_loop_test(tc, runs, 0, 2);
    tcase_add_test(tc, keeps);
    tcase_add_test(tc, blocks_nothing);
    suite_add_tcase(suite, tc);
    tc = tcase_create("fails");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, fails, 0, COUNT(wrong));
    tcase_add_test(tc, fails_by_descriptor);
    suite_add_tcase(suite, tc);
    return run(suite);
}
