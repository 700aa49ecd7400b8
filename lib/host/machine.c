/*
 * machine.c - reads /proc and /sys.
 */
#include "lib/host/machine.h"

#include "lib/text.h"

#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

enum { FILE_MAX = 8 << 10, PATH_SIZE = 512 };

/* Reads a file's first bytes into buf. Returns an empty span if it cannot be read. */
static struct span file(const char *root, const char *path, char buf[FILE_MAX])
{
    char name[PATH_SIZE];
    struct text t = text_for_string(name, sizeof name);
    text_str(&t, root);
    text_str(&t, path);
    int fd = !t.full ? open(text_string(&t), O_RDONLY | O_CLOEXEC) : -1;
    if (fd == -1)
        return (struct span){buf, 0};
    ssize_t got = read(fd, buf, FILE_MAX);
    close(fd);
    return (struct span){buf, got > 0 ? (size_t)got : 0};
}

/* Returns the number after `skip` words; LIMIT_NONE if there is none (or "max"). */
static uint64_t number(struct span s, unsigned skip)
{
    uint64_t v = LIMIT_NONE;
    for (size_t i = 0; i < s.n; i++) {
        size_t from = i;
        while (i < s.n && s.p[i] != ' ' && s.p[i] != '\t' && s.p[i] != '\n')
            i++;
        if (i > from && skip-- == 0)
            return span_u64((struct span){s.p + from, i - from}, &v) ? v : LIMIT_NONE;
    }
    return LIMIT_NONE;
}

static uint64_t file_number(const char *root, const char *path, unsigned skip)
{
    char buf[FILE_MAX];
    return number(file(root, path, buf), skip);
}

/* Returns the number after a name at a line's beginning. */
static uint64_t field(struct span s, const char *name)
{
    while (s.n > 0) {
        struct span line = span_cut(&s, '\n');
        if (span_begins(line, span_of(name)))
            return number(span_from(line, strlen(name)), 0);
    }
    return LIMIT_NONE;
}

static uint64_t times(uint64_t v, uint64_t unit)
{
    return v == LIMIT_NONE || v > UINT64_MAX / unit ? LIMIT_NONE : v * unit;
}

/* Returns what is left of a limit; LIMIT_NONE if there is no limit. */
static uint64_t left(uint64_t most, uint64_t used)
{
    if (most == LIMIT_NONE)
        return LIMIT_NONE;
    return used == LIMIT_NONE ? most : most > used ? most - used : 0;
}

/* Returns the number in a control group's file. */
static uint64_t group_number(const char *root, struct span dir, const char *name)
{
    char path[PATH_SIZE];
    struct text t = text_for_string(path, sizeof path);
    text_add(&t, dir);
    text_str(&t, "/");
    text_str(&t, name);
    return t.full ? LIMIT_NONE : file_number(root, text_string(&t), 0);
}

/* Lowers a limit to the least that this control group and those above it leave: of the file `most`,
 * with `now` used. */
static void group(struct limits *l, enum limit which, const char *root, struct span dir,
                  const char *most, const char *now)
{
    for (;;) {
        uint64_t value = group_number(root, dir, most), used = group_number(root, dir, now);
        if (value < LIMIT_NONE / 4 && /* cgroup v1 has a huge number for none */
            left(value, used) < left(l->value[which], l->used[which])) {
            l->value[which] = value;
            l->used[which] = used != LIMIT_NONE ? used : 0;
        }
        const char *slash = memrchr(dir.p, '/', dir.n);
        if (slash == NULL || slash == dir.p ||
            span_eq(span_from(dir, (size_t)(slash - dir.p)), SPAN("/cgroup")))
            return;
        dir.n = (size_t)(slash - dir.p);
    }
}

/* Finds the control groups of this process, of v1 or v2. */
static void groups(struct limits *l, const char *root)
{
    char buf[FILE_MAX], path[PATH_SIZE];
    struct span all = file(root, "/proc/self/cgroup", buf);
    while (all.n > 0) { /* "0::/path", or "4:memory:/path" in v1 */
        struct span line = span_cut(&all, '\n');
        span_cut(&line, ':');
        struct span kind = span_cut(&line, ':');
        struct text t = text_in(path, sizeof path);
        text_str(&t, kind.n > 0 ? "/sys/fs/cgroup/" : "/sys/fs/cgroup");
        text_add(&t, (struct span){kind.p, kind.n < 32 ? kind.n : 32});
        text_add(&t, (struct span){line.p, line.n < PATH_SIZE / 2 ? line.n : PATH_SIZE / 2});
        struct span dir = text_span(&t);
        if (span_eq(kind, SPAN("memory")))
            group(l, LIMIT_CGROUP, root, dir, "memory.limit_in_bytes", "memory.usage_in_bytes");
        else if (kind.n == 0)
            group(l, LIMIT_CGROUP, root, dir, "memory.max", "memory.current");
        if (kind.n == 0 || span_eq(kind, SPAN("pids")))
            group(l, LIMIT_PIDS, root, dir, "pids.max", "pids.current");
    }
}

void machine_limits(struct limits *l, const char *root)
{
    static const struct {
        enum limit which;
        char path[41];
    } plain[] = {
        {LIMIT_NR_OPEN, "/proc/sys/fs/nr_open"},
        {LIMIT_FILES, "/proc/sys/fs/file-max"},
        {LIMIT_WATCHES, "/proc/sys/fs/epoll/max_user_watches"},
        {LIMIT_CONNTRACK, "/proc/sys/net/netfilter/nf_conntrack_max"},
        {LIMIT_MAPS, "/proc/sys/vm/max_map_count"},
        {LIMIT_BACKLOG, "/proc/sys/net/core/somaxconn"},
        {LIMIT_SYN, "/proc/sys/net/ipv4/tcp_max_syn_backlog"},
    };
    char buf[FILE_MAX];
    struct rlimit r;
    unsigned long page = getauxval(AT_PAGESZ);
    l->workers = 1;
    for (unsigned i = 0; i < LIMITS; i++) {
        l->value[i] = LIMIT_NONE;
        l->used[i] = 0;
    }
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        l->value[plain[i].which] = file_number(root, plain[i].path, 0);
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_max != RLIM_INFINITY)
        l->value[LIMIT_DESCRIPTORS] = r.rlim_max;
    uint64_t used = file_number(root, "/proc/sys/fs/file-nr", 0);
    l->used[LIMIT_FILES] = used != LIMIT_NONE ? used : 0;
    used = file_number(root, "/proc/sys/net/netfilter/nf_conntrack_count", 0);
    l->used[LIMIT_CONNTRACK] = used != LIMIT_NONE ? used : 0;
    l->value[LIMIT_TCP_MEMORY] =
        times(file_number(root, "/proc/sys/net/ipv4/tcp_mem", 2), page > 0 ? page : 4096);
    struct span memory = file(root, "/proc/meminfo", buf);
    l->value[LIMIT_MEMORY] = times(field(memory, "MemAvailable:"), 1024);
    if (file_number(root, "/proc/sys/vm/overcommit_memory", 0) == 2) {
        l->value[LIMIT_COMMIT] = times(field(memory, "CommitLimit:"), 1024);
        used = times(field(memory, "Committed_AS:"), 1024);
        l->used[LIMIT_COMMIT] = used != LIMIT_NONE ? used : 0;
    }
    struct span range = file(root, "/proc/sys/net/ipv4/ip_local_port_range", buf);
    uint64_t low = number(range, 0), high = number(range, 1);
    if (high != LIMIT_NONE && low <= high)
        l->value[LIMIT_PORTS] = high - low + 1;
    groups(l, root);
}

uint64_t machine_group_left(const char *root)
{
    struct limits l;
    for (unsigned i = 0; i < LIMITS; i++) {
        l.value[i] = LIMIT_NONE;
        l.used[i] = 0;
    }
    groups(&l, root);
    return left(l.value[LIMIT_CGROUP], l.used[LIMIT_CGROUP]);
}

int machine_explain(uint32_t workers)
{
    char buf[FILE_MAX];
    struct limits l;
    struct text t = text_in(buf, sizeof buf);
    machine_limits(&l, "");
    l.workers = workers;
    limits_write(&t, &l);
    return write(STDOUT_FILENO, t.p, t.n) == (ssize_t)t.n ? EX_OK : EX_IOERR;
}
