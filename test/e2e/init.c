/*
 * init.c - the server as the first process of a pid namespace, as in a container: the orphans of
 * others become its children, and it reaps them. Takes root.
 */
#include "test/kit/life.h"

#include <dirent.h>
#include <sched.h>
#include <sys/wait.h>

static struct e2e_server s;
static bool may; /* make namespaces */

/* How many children the server has, zombies among them. */
static unsigned children(void)
{
    DIR *d = opendir("/proc");
    unsigned n = 0;
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[300], text[512], *end;
        int parent;
        snprintf(path, sizeof path, "/proc/%s/stat", e->d_name);
        FILE *f = e->d_name[0] >= '1' && e->d_name[0] <= '9' ? fopen(path, "re") : NULL;
        if (f == NULL)
            continue;
        if (fgets(text, sizeof text, f) != NULL && (end = strrchr(text, ')')) != NULL &&
            sscanf(end + 1, " %*c %d", &parent) == 1)
            n += parent == s.pid;
        fclose(f);
    }
    closedir(d);
    return n;
}

/* Makes a process in the server's namespace whose parent ends before it does; returns when it has
 * become the server's child and ends. */
static void orphan(void)
{
    int told[2], status;
    char c;
    ck_assert_int_eq(pipe2(told, O_CLOEXEC), 0);
    pid_t pid = fork();
    ck_assert_int_ne(pid, -1);
    if (pid == 0) {
        if (fork() != 0)
            _exit(0);
        while (getppid() != 1)
            e2e_sleep_ms(1);
        _exit(write(told[1], "x", 1) != 1);
    }
    close(told[1]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(read(told[0], &c, 1), 1);
    close(told[0]);
}

/* Starts a server as the first process of a namespace, which all processes are of that are made
 * later. */
static void start(void)
{
    ck_assert_int_eq(unshare(CLONE_NEWPID), 0);
    e2e_start(&s, NULL);
}

/* Stops it, and ends the test: nothing more can be started in its namespace, as leaks would be
 * looked for by. */
static _Noreturn void stop(void)
{
    e2e_stop(&s);
    _exit(0);
}

static void children_become(unsigned n)
{
    int64_t end = e2e_now_ms() + E2E_WAIT_MS;
    while (children() != n) {
        if (e2e_now_ms() > end)
            e2e_fail("it has %u children, and should have %u", children(), n);
        e2e_sleep_ms(5);
    }
}

/* Nobody asks it for anything meanwhile: it sleeps until one ends. */
START_TEST(reaps_orphans)
{
    if (!may)
        _exit(0);
    start();
    for (int i = 0; i < 40; i++)
        orphan();
    children_become(0);
    stop();
}
END_TEST

/* The child that tries the next program is not among them: its verdict is waited for. */
START_TEST(upgrades_all_the_same)
{
    if (!may)
        _exit(0);
    program_make();
    start();
    for (int i = 1; i <= 5; i++) {
        ck_assert_int_eq(kill(s.pid, SIGUSR2), 0);
        for (int k = 0; k < 10; k++)
            orphan();
        metric_becomes(&s, "upgrades_total", i);
        orphan();
        children_become(0);
    }
    ck_assert_int_eq(metric(&s, "upgrades_refused_total"), 0);
    program_remove();
    stop();
}
END_TEST

/* Returns true if this process can make a pid namespace. */
static bool can_unshare(void)
{
    int status = 1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(unshare(CLONE_NEWPID) != 0);
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int main(void)
{
    Suite *suite = suite_create("init");
    TCase *tc = tcase_create("init");
    may = can_unshare();
    if (!may)
        printf("init: skipped, as this user may not make a pid namespace\n");
    tcase_set_timeout(tc, 120);
    tcase_add_exit_test(tc, reaps_orphans, 0);
    tcase_add_exit_test(tc, upgrades_all_the_same, 0);
    suite_add_tcase(suite, tc);
    return run(suite);
}
