/*
 * life.h - for tests of how a server's life goes on and ends: its program in a file that can be
 * replaced, its counters, its descriptors, its signals.
 */
#ifndef SSE_TEST_KIT_LIFE_H
#define SSE_TEST_KIT_LIFE_H

#include "test/kit/e2e.h"
#include "test/kit/kit.h"
#include "test/kit/metric.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- its program ----------------------------------------------------------------------------- */

/* A directory of the test's own; the program in it that servers run; the one that was built. */
static struct {
    char dir[64], sse[80], built[512];
} program;

static inline const char *in_dir(const char *name)
{
    static char path[4][512];
    static unsigned turn;
    char *to = path[turn++ % 4];
    snprintf(to, sizeof path[0], "%s/%s", program.dir, name);
    return to;
}

/* Puts a copy of a file into the program's place, by a rename, as an installer does. */
static inline void program_copy(const char *from)
{
    const char *next = in_dir("next");
    struct stat st;
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    ck_assert_msg(in != -1 && out != -1 && fstat(in, &st) == 0, "%s: %s", from, strerror(errno));
    for (off_t at = 0; at < st.st_size;)
        ck_assert_int_gt(sendfile(out, in, &at, (size_t)(st.st_size - at)), 0);
    close(in);
    ck_assert_int_eq(close(out), 0);
    ck_assert_int_eq(rename(next, program.sse), 0);
}

/* Puts a text into its place. */
__attribute__((format(printf, 2, 3))) static inline void program_text(unsigned mode,
                                                                      const char *format, ...)
{
    const char *next = in_dir("next");
    int out = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    va_list ap;
    ck_assert_int_ne(out, -1);
    va_start(ap, format);
    ck_assert_int_gt(vdprintf(out, format, ap), 0);
    va_end(ap);
    close(out);
    ck_assert_int_eq(chmod(next, mode), 0);
    ck_assert_int_eq(rename(next, program.sse), 0);
}

/* Makes the directory, with a copy of the program that the harness runs from now on. */
static inline void program_make(void)
{
    const char *built = getenv("SSE_BIN");
    snprintf(program.built, sizeof program.built, "%s",
             built != NULL ? built : "build/gcc-asan/sse");
    snprintf(program.dir, sizeof program.dir, "/tmp/sse-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(program.dir));
    snprintf(program.sse, sizeof program.sse, "%s/sse", program.dir);
    program_copy(program.built);
    setenv("SSE_BIN", program.sse, 1);
}

/* Removes the directory and what is in it. */
static inline void program_remove(void)
{
    DIR *d = opendir(program.dir);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.')
            unlink(in_dir(e->d_name));
    closedir(d);
    ck_assert_int_eq(rmdir(program.dir), 0);
}

/* ---- what there is to know of it ------------------------------------------------------------- */

/* A value of /-/metrics, "sse_" left out; asked at an address of --admin, where there is one. */
static inline long long metric(const struct e2e_server *s, const char *name)
{
    static struct e2e_response r;
    char whole[128];
    snprintf(whole, sizeof whole, "sse_%s", name);
    (s->admin[0] != '\0' ? e2e_ask_admin
                         : e2e_ask)(s, &r, "GET /-/metrics HTTP/1.1\r\nHost: test\r\n\r\n");
    long long value = metric_sum(r.body, whole);
    if (value < 0)
        e2e_fail("no metric sse_%s: %s%s", name, r.head, r.body);
    return value;
}

/* Waits until a metric has this value. */
static inline void metric_becomes(const struct e2e_server *s, const char *name, long long value)
{
    int64_t end = e2e_now_ms() + 2 * E2E_WAIT_MS;
    while (metric(s, name) != value) {
        if (e2e_now_ms() > end)
            e2e_fail("sse_%s is %lld, not %lld", name, metric(s, name), value);
        e2e_sleep_ms(5);
    }
}

/* How many descriptors it has, as far as nobody has just left. */
static inline unsigned descriptors(const struct e2e_server *s)
{
    char path[64];
    unsigned n = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)s->pid);
    DIR *d = opendir(path);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* None but the standard ones may be left to a program that it starts. */
static inline void all_close_on_exec(const struct e2e_server *s)
{
    char path[64], line[128];
    unsigned flags = 0, seen = 0;
    for (unsigned fd = 3; fd < 1000; fd++) {
        snprintf(path, sizeof path, "/proc/%d/fdinfo/%u", (int)s->pid, fd);
        FILE *f = fopen(path, "re");
        if (f == NULL)
            continue;
        while (fgets(line, sizeof line, f) != NULL)
            if (strncmp(line, "flags:", 6) == 0)
                flags = (unsigned)strtoul(line + 6, NULL, 8);
        fclose(f);
        if ((flags & O_CLOEXEC) == 0)
            e2e_fail("descriptor %u is not close-on-exec", fd);
        seen++;
    }
    ck_assert_uint_gt(seen, 5);
}

/* Waits until it has so many. */
static inline void descriptors_become(const struct e2e_server *s, unsigned n)
{
    int64_t end = e2e_now_ms() + E2E_WAIT_MS;
    while (descriptors(s) != n) {
        if (e2e_now_ms() > end)
            e2e_fail("the server has %u descriptors, not %u", descriptors(s), n);
        e2e_sleep_ms(5);
    }
}

/* Returns true if it waits for an event, rather than for a CPU of a busy machine. */
static inline bool sleeps(const struct e2e_server *s)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)s->pid);
    FILE *f = fopen(path, "re");
    ck_assert_ptr_nonnull(f);
    const char *state = fgets(text, sizeof text, f) != NULL ? strrchr(text, ')') : NULL;
    fclose(f);
    return state != NULL && strncmp(state, ") S", 3) == 0;
}

/* All that was sent before has been read and acted upon, also ends of connections: of that, too, by
 * which this asks. */
static inline void has_read_all(const struct e2e_server *s)
{
    int64_t end = e2e_now_ms() + E2E_WAIT_MS;
    metric(s, "turns_total");
    metric(s, "turns_total");
    e2e_sleep_ms(20);
    for (int times = 0; times < 5; times = sleeps(s) ? times + 1 : 0) {
        if (e2e_now_ms() > end)
            e2e_fail("the server does not rest");
        e2e_sleep_ms(2);
    }
}

/* ---- upgrades -------------------------------------------------------------------------------- */

/* Upgrades it in place, and waits until it has: that is number n. */
static inline void upgrade(const struct e2e_server *s, long long n)
{
    has_read_all(s);
    ck_assert_int_eq(kill(s->pid, SIGUSR2), 0);
    metric_becomes(s, "upgrades_total", n);
}

#endif
