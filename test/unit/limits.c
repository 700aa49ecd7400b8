/*
 * limits.c - --explain-limits: values become a table, files become values, and the binary
 * prints it.
 */
#include "lib/host/limits.h"
#include "lib/host/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "test/kit/kit.h"

/* ---- values ---- */

static char text[8192];

static struct limits nothing(void)
{
    struct limits l;
    for (unsigned i = 0; i < LIMITS; i++) {
        l.value[i] = LIMIT_NONE;
        l.used[i] = 0;
    }
    l.workers = 1;
    return l;
}

static void write_all(const struct limits *l)
{
    struct text t = text_in(text, sizeof(text) - 1);
    limits_write(&t, l);
    ck_assert(!t.full);
    text[t.n] = '\0';
}

/* The line that has `what`, ended by a NUL. */
static const char *line_of(const char *what)
{
    static char line[256];
    const char *at = strstr(text, what);
    ck_assert_msg(at != NULL, "%s is not in: %s", what, text);
    while (at > text && at[-1] != '\n')
        at--;
    snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
    return line;
}

/* Each limit, made the only one there is, is the one that stops first. */
static const struct {
    int line;
    enum limit which;
    uint64_t value, used, connections;
    const char *lift;
} stops[] = {
    {__LINE__, LIMIT_DESCRIPTORS, 20000, 0, 19696, "LimitNOFILE="},
    {__LINE__, LIMIT_NR_OPEN, 1000000, 0, 999696, "fs.nr_open"},
    {__LINE__, LIMIT_FILES, 10304, 5000, 5000, "fs.file-max"},
    {__LINE__, LIMIT_WATCHES, 1304, 0, 1000, "fs.epoll.max_user_watches"},
    {__LINE__, LIMIT_CONNTRACK, 262144, 62144, 200000, "nf_conntrack_max"},
    {__LINE__, LIMIT_MEMORY, 41760000, 0, 10000, "more memory"},
    {__LINE__, LIMIT_CGROUP, 41760000, 20880000, 5000, "MemoryMax="},
    {__LINE__, LIMIT_TCP_MEMORY, 4096000, 0, 1000, "net.ipv4.tcp_mem"},
    {__LINE__, LIMIT_DESCRIPTORS, 100, 0, 0, "LimitNOFILE="},
    {__LINE__, LIMIT_FILES, 10000, 20000, 0, "fs.file-max"},
};

START_TEST(stops_first)
{
    struct limits l = nothing();
    char want[128];
    l.value[stops[_i].which] = stops[_i].value;
    l.used[stops[_i].which] = stops[_i].used;
    ck_assert_int_eq(limits_first(&l), stops[_i].which);
    ck_assert_uint_eq(limits_connections(&l, stops[_i].which), stops[_i].connections);
    write_all(&l);
    snprintf(want, sizeof(want), "stops first: %llu connections",
             (unsigned long long)stops[_i].connections);
    ck_assert_msg(strstr(text, want) != NULL, "line %d: %s", stops[_i].line, text);
    ck_assert_ptr_nonnull(strstr(strstr(text, "To have more: "), stops[_i].lift));
}
END_TEST

/* With more workers, each has descriptors of its own, and what is not for connections is needed for
 * each. */
START_TEST(workers_count)
{
    struct limits l = nothing();
    l.workers = 4;
    l.value[LIMIT_DESCRIPTORS] = 20000;
    ck_assert_uint_eq(limits_connections(&l, LIMIT_DESCRIPTORS), 4 * 19696);
    l.value[LIMIT_FILES] = 50000;
    l.used[LIMIT_FILES] = 40000;
    ck_assert_uint_eq(limits_connections(&l, LIMIT_FILES), 10000 - 4 * 304);
    ck_assert_int_eq(limits_first(&l), LIMIT_FILES);
    l.value[LIMIT_PIDS] = 5;
    l.value[LIMIT_COMMIT] = 8ull << 30;
    write_all(&l);
    ck_assert_ptr_nonnull(strstr(line_of("processes of the control group"), "enough"));
    ck_assert_ptr_nonnull(strstr(line_of("memory that may be reserved"), "enough"));
    l.value[LIMIT_PIDS]--;
    l.value[LIMIT_COMMIT]--;
    write_all(&l);
    ck_assert_ptr_nonnull(strstr(line_of("processes of the control group"), "TOO FEW"));
    ck_assert_ptr_nonnull(strstr(line_of("memory that may be reserved"), "TOO FEW"));
}
END_TEST

/* Limits of bursts, and of what has to do with no connection, never stop first. */
START_TEST(others_do_not_stop)
{
    static const enum limit others[] = {LIMIT_BACKLOG, LIMIT_SYN,  LIMIT_PORTS,
                                        LIMIT_COMMIT,  LIMIT_MAPS, LIMIT_PIDS};
    struct limits l = nothing();
    l.value[LIMIT_DESCRIPTORS] = 1000000;
    for (unsigned i = 0; i < COUNT(others); i++)
        l.value[others[i]] = 1;
    ck_assert_int_eq(limits_first(&l), LIMIT_DESCRIPTORS);
    write_all(&l);
    ck_assert_int_eq(line_of("descriptors of a process")[0], '>');
    ck_assert_ptr_nonnull(strstr(line_of("mappings of a process"), "TOO FEW"));
    ck_assert_ptr_nonnull(strstr(line_of("processes of the control group"), "TOO FEW"));
    ck_assert_ptr_nonnull(strstr(line_of("memory that may be reserved"), "TOO FEW"));
    l.value[LIMIT_MAPS] = 65530;
    l.value[LIMIT_COMMIT] = 8ull << 30;
    l.used[LIMIT_COMMIT] = 7ull << 30;
    write_all(&l);
    ck_assert_ptr_nonnull(strstr(line_of("mappings of a process"), "enough"));
    ck_assert_ptr_nonnull(strstr(line_of("memory that may be reserved"), "TOO FEW"));
}
END_TEST

START_TEST(units_and_columns)
{
    struct limits l = nothing();
    l.value[LIMIT_MEMORY] = 22ull << 30;
    l.value[LIMIT_FILES] = INT64_MAX;
    l.value[LIMIT_DESCRIPTORS] = 20000;
    write_all(&l);
    ck_assert_ptr_nonnull(strstr(line_of("memory available"), " 22 G "));
    ck_assert_ptr_nonnull(strstr(line_of("open files"), "endless"));
    ck_assert_ptr_nonnull(strstr(line_of("netfilter"), " - "));
    const char *all = text;
    for (size_t n; *all != '\0'; all += n + 1) {
        n = strcspn(all, "\n");
        ck_assert_msg(n <= 100, "%.*s", (int)n, all);
    }
}
END_TEST

/* ---- files ---- */

static char root[64];

static void put(const char *path, const char *content)
{
    char name[512];
    snprintf(name, sizeof(name), "%s%s", root, path);
    for (char *slash = name + strlen(root); (slash = strchr(slash + 1, '/')) != NULL;) {
        *slash = '\0';
        mkdir(name, 0755);
        *slash = '/';
    }
    FILE *f = fopen(name, "we");
    ck_assert_ptr_nonnull(f);
    fputs(content, f);
    fclose(f);
}

static void make_root(void)
{
    strcpy(root, "/tmp/check_limits_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static void remove_root(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", root);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(reads_files)
{
    struct limits l;
    struct rlimit r;
    put("/proc/sys/fs/nr_open", "1048576\n");
    put("/proc/sys/fs/file-max", "500000\n");
    put("/proc/sys/fs/file-nr", "1504\t0\t500000\n");
    put("/proc/sys/fs/epoll/max_user_watches", "5491511\n");
    put("/proc/sys/net/netfilter/nf_conntrack_max", "262144\n");
    put("/proc/sys/net/netfilter/nf_conntrack_count", "44\n");
    put("/proc/sys/net/ipv4/tcp_mem", "287898\t383867\t575796\n");
    put("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n");
    put("/proc/sys/net/core/somaxconn", "4096\n");
    put("/proc/sys/net/ipv4/tcp_max_syn_backlog", "nonsense\n");
    put("/proc/sys/vm/max_map_count", "");
    put("/proc/sys/vm/overcommit_memory", "2\n");
    put("/proc/meminfo", "MemTotal: 9 kB\nMemAvailable:   24147756 kB\nCommitLimit:    1000 kB\n"
                         "Committed_AS:     400 kB\n");
    machine_limits(&l, root);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &r), 0);
    ck_assert_uint_eq(l.value[LIMIT_DESCRIPTORS], r.rlim_max);
    ck_assert_uint_eq(l.value[LIMIT_NR_OPEN], 1048576);
    ck_assert_uint_eq(l.value[LIMIT_FILES], 500000);
    ck_assert_uint_eq(l.used[LIMIT_FILES], 1504);
    ck_assert_uint_eq(l.value[LIMIT_WATCHES], 5491511);
    ck_assert_uint_eq(l.value[LIMIT_CONNTRACK], 262144);
    ck_assert_uint_eq(l.used[LIMIT_CONNTRACK], 44);
    ck_assert_uint_eq(l.value[LIMIT_TCP_MEMORY] % 575796, 0);
    ck_assert_uint_eq(l.value[LIMIT_PORTS], 28232);
    ck_assert_uint_eq(l.value[LIMIT_BACKLOG], 4096);
    ck_assert_uint_eq(l.value[LIMIT_MEMORY], 24147756ull * 1024);
    ck_assert_uint_eq(l.value[LIMIT_COMMIT], 1000 * 1024);
    ck_assert_uint_eq(l.used[LIMIT_COMMIT], 400 * 1024);
    ck_assert_uint_eq(l.value[LIMIT_SYN], LIMIT_NONE);
    ck_assert_uint_eq(l.value[LIMIT_MAPS], LIMIT_NONE);
    ck_assert_uint_eq(l.value[LIMIT_CGROUP], LIMIT_NONE);
}
END_TEST

START_TEST(reads_nothing)
{
    struct limits l;
    machine_limits(&l, root);
    for (unsigned i = LIMIT_NR_OPEN; i < LIMITS; i++) {
        ck_assert_uint_eq(l.value[i], LIMIT_NONE);
        ck_assert_uint_eq(l.used[i], 0);
    }
}
END_TEST

/* The group that leaves least counts, be it this one or one that it is in. */
START_TEST(reads_control_groups)
{
    struct limits l;
    put("/proc/self/cgroup", "0::/system.slice/sse.service\n");
    put("/sys/fs/cgroup/system.slice/sse.service/memory.max", "max\n");
    put("/sys/fs/cgroup/system.slice/sse.service/memory.current", "1000\n");
    put("/sys/fs/cgroup/system.slice/sse.service/pids.max", "10\n");
    put("/sys/fs/cgroup/system.slice/sse.service/pids.current", "3\n");
    put("/sys/fs/cgroup/system.slice/memory.max", "900000\n");
    put("/sys/fs/cgroup/system.slice/memory.current", "400000\n");
    machine_limits(&l, root);
    ck_assert_uint_eq(l.value[LIMIT_CGROUP], 900000);
    ck_assert_uint_eq(l.used[LIMIT_CGROUP], 400000);
    ck_assert_uint_eq(l.value[LIMIT_PIDS], 10);
    ck_assert_uint_eq(l.used[LIMIT_PIDS], 3);
    ck_assert_uint_eq(machine_group_left(root), 500000);
    put("/sys/fs/cgroup/system.slice/memory.max", "300000\n"); /* less than is in use */
    ck_assert_uint_eq(machine_group_left(root), 0);
    put("/sys/fs/cgroup/system.slice/memory.max", "max\n");
    ck_assert_uint_eq(machine_group_left(root), LIMIT_NONE);
}
END_TEST

START_TEST(reads_old_control_groups)
{
    struct limits l;
    put("/proc/self/cgroup", "8:pids:/\n4:memory:/box\n0::/\n");
    put("/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "5000000\n");
    put("/sys/fs/cgroup/memory/box/memory.usage_in_bytes", "1000000\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    machine_limits(&l, root);
    ck_assert_uint_eq(l.value[LIMIT_CGROUP], 5000000);
    ck_assert_uint_eq(l.used[LIMIT_CGROUP], 1000000);
    ck_assert_uint_eq(l.value[LIMIT_PIDS], LIMIT_NONE);
    put("/proc/self/cgroup", "4:memory:/\n");
    machine_limits(&l, root);
    ck_assert_uint_eq(l.value[LIMIT_CGROUP], LIMIT_NONE);
}
END_TEST

/* ---- the binary ---- */

START_TEST(binary_explains)
{
    char command[512];
    const char *sse = getenv("SSE_BIN");
    struct rlimit r;
    sse = sse != NULL ? sse : "build/gcc-asan/sse";
    snprintf(command, sizeof(command), "%s --explain-limits", sse);
    FILE *f = popen(command, "re");
    ck_assert_ptr_nonnull(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    ck_assert_int_eq(pclose(f), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &r), 0);
    snprintf(command, sizeof(command), " %llu ", (unsigned long long)r.rlim_max);
    ck_assert_ptr_nonnull(strstr(line_of("descriptors of a process"), command));
    ck_assert_ptr_nonnull(strstr(text, "\n> stops first: "));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("limits");
    TCase *values = tcase_create("values"), *files = tcase_create("files");
    tcase_add_loop_test(values, stops_first, 0, (int)COUNT(stops));
    tcase_add_test(values, others_do_not_stop);
    tcase_add_test(values, units_and_columns);
    tcase_add_test(values, workers_count);
    tcase_add_test(values, binary_explains);
    suite_add_tcase(s, values);
    tcase_add_checked_fixture(files, make_root, remove_root);
    tcase_add_test(files, reads_files);
    tcase_add_test(files, reads_nothing);
    tcase_add_test(files, reads_control_groups);
    tcase_add_test(files, reads_old_control_groups);
    suite_add_tcase(s, files);
    return run(s);
}
