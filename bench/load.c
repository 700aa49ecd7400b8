/*
 * load.c - subscribers and publishers for a server, which check what comes, and what that took.
 *
 * Subscribes, then does one thing after the other: the commands behind the flags, or else those
 * that come on stdin, a line each. For each there is a line of numbers: the server's CPU time and
 * that of the load itself, in ns; how long it took; latencies, in us. `load` alone tells the flags.
 */
#include "bench/load.h"
#include "bench/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

static const char usage[] =
    "Usage: load --port N --server PID [OPTION]... [COMMAND]...\n"
    "  --dialect sse|floor|nchan     whose URLs [sse]\n"
    "  --way events|frames|long      of the subscribers [events]\n"
    "  --clients N                   subscribers [0]\n"
    "  --processes N                 that hold them [2]\n"
    "  --publishers N, --depth N     at once, and requests without an answer of each [1, 1]\n"
    "  --topics N, --base N          message k is for topic base + k modulo topics [1, 0]\n"
    "  --spread each|all|wild        subscribers' topics: one each, all by name, a wildcard "
    "[each]\n"
    "  --size N                      bytes of a message [64]\n"
    "  --replay N                    subscribe from the oldest on, to get so many at once [0]\n"
    "  --core N                      where all of it runs\n"
    "Commands: \"lockstep MESSAGES\", \"flood MESSAGES\", \"polls REQUESTS\",\n"
    "  \"rate PER_SECOND SECONDS\", \"abuse SECONDS\"; without any, they come on stdin, a line "
    "each.\n";

static struct load l = {
    .processes = 2, .publishers = 1, .depth = 1, .topics = 1, .size = 64, .core = -1};
static pid_t reader[LOAD_PROCESSES];
static struct load_put *put;

/* What there is to compare with. */
static struct {
    uint64_t ns, load_ns, delivered;
    struct watch_cpu cpu;
    struct watch_memory memory;
} before;

/* ---- what it took ---------------------------------------------------------------------------- */

static uint64_t load_ns(void)
{
    uint64_t ns = watch_cpu(getpid()).ns;
    for (unsigned i = 0; i < l.processes && reader[i] > 0; i++)
        ns += watch_cpu(reader[i]).ns;
    return ns;
}

static void begin(void)
{
    memset(l.shared->late, 0, sizeof l.shared->late);
    before.delivered = atomic_load(&l.shared->delivered);
    before.load_ns = load_ns();
    before.cpu = watch_cpu(l.server);
    before.ns = now_ns();
}

/* Prints the line of what has been done since. */
static void report(const char *what, uint64_t count, uint64_t wait_ns)
{
    static struct histogram late;
    uint64_t ns = now_ns() - before.ns;
    struct watch_cpu cpu = watch_cpu(l.server);
    struct watch_memory m = watch_memory(l.server);
    memset(&late, 0, sizeof late);
    for (unsigned i = 0; i < l.processes; i++)
        histogram_add(&late, &l.shared->late[i]);
    printf("%s count=%llu delivered=%llu ns=%llu server_ns=%llu user=%llu kernel=%llu load_ns=%llu",
           what, (unsigned long long)count,
           (unsigned long long)(atomic_load(&l.shared->delivered) - before.delivered),
           (unsigned long long)ns, (unsigned long long)(cpu.ns - before.cpu.ns),
           (unsigned long long)(cpu.user - before.cpu.user),
           (unsigned long long)(cpu.kernel - before.cpu.kernel),
           (unsigned long long)(load_ns() - before.load_ns));
    printf(" wait_ns=%llu", (unsigned long long)wait_ns);
    printf(" user_bytes=%lld kernel_bytes=%lld", (long long)(m.resident - before.memory.resident),
           (long long)(m.kernel - before.memory.kernel));
    static const double parts[] = {0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1};
    static const char *const names[] = {"p10", "p25", "p50",  "p75", "p90",
                                        "p95", "p99", "p999", "max"};
    for (unsigned i = 0; late.count > 0 && i < sizeof parts / sizeof parts[0]; i++)
        printf(" %s=%llu", names[i], (unsigned long long)histogram_at(&late, parts[i]));
    printf("\n");
    fflush(stdout);
}

/* A process of subscribers ends only when something is wrong, and has said what. */
static void reader_gone(int signal)
{
    (void)signal;
    _exit(1);
}

/* ---- doing ----------------------------------------------------------------------------------- */

static void subscribe_all(void)
{
    before.memory = watch_memory(l.server);
    begin();
    atomic_store(&l.shared->target, (uint64_t)l.replay * l.clients);
    for (unsigned i = 0; i < l.processes && l.clients > 0; i++) {
        reader[i] = fork_leashed();
        if (reader[i] == 0)
            load_read(&l, i);
    }
    uint64_t end = now_ns() + LOAD_SECONDS * 1000000000ull;
    while (atomic_load(&l.shared->subscribed) < l.clients) {
        pause_ms(1);
        if (now_ns() > end)
            die("%llu of %u have subscribed",
                (unsigned long long)atomic_load(&l.shared->subscribed), l.clients);
    }
    load_await(&l);
    watch_idle(l.server, LOAD_SECONDS);
    report("ready", l.clients, 0);
}

static void command(const char *text)
{
    unsigned long long n = 0;
    unsigned seconds = 0;
    uint64_t wait = 0;
    char what[16];
    int got = sscanf(text, "%15s %llu %u", what, &n, &seconds);
    if (got < 2 || n == 0)
        die("unknown command: %s", text);
    load_put_connect(put);
    begin();
    if (strcmp(what, "lockstep") == 0)
        load_lockstep(put, n);
    else if (strcmp(what, "flood") == 0 || strcmp(what, "polls") == 0)
        load_flood(put, n, what[0] == 'p');
    else if (strcmp(what, "abuse") == 0 && l.clients == 0)
        wait = load_abuse(&l, (unsigned)n);
    else if (strcmp(what, "rate") == 0 && got == 3 && seconds > 0)
        load_rate(put, (double)n, seconds);
    else
        die("unknown command: %s", text);
    report(what, what[0] == 'r' ? n * seconds : n, wait);
}

/* ---- flags ----------------------------------------------------------------------------------- */

static unsigned word(const char *flag, const char *text, const char *const words[], unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (strcmp(text, words[i]) == 0)
            return i;
    die("%s %s: there is no such", flag, text);
}

static void flag(const char *name, const char *v)
{
    static const char *const spreads[] = {"each", "all", "wild"};
    static const struct {
        const char *name;
        unsigned *to;
        unsigned long least, most;
    } numbers[] = {
        {"--port", &l.port, 1, 65535},
        {"--clients", &l.clients, 0, 1000000},
        {"--processes", &l.processes, 1, LOAD_PROCESSES},
        {"--publishers", &l.publishers, 1, LOAD_PUBLISHERS},
        {"--depth", &l.depth, 1, LOAD_DEPTH},
        {"--topics", &l.topics, 1, 1000000},
        {"--base", &l.base, 0, 10000},
        {"--size", &l.size, WIRE_DATA_MIN, 8000},
        {"--replay", &l.replay, 0, 1000},
    };
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (strcmp(name, numbers[i].name) == 0) {
            *numbers[i].to = (unsigned)number(name, v, numbers[i].least, numbers[i].most);
            return;
        }
    }
    if (strcmp(name, "--server") == 0)
        l.server = (pid_t)number(name, v, 1, 1ul << 30);
    else if (strcmp(name, "--core") == 0)
        l.core = (int)number(name, v, 0, 1023);
    else if (strcmp(name, "--dialect") == 0)
        l.dialect = word(name, v, wire_dialects, WIRE_DIALECTS);
    else if (strcmp(name, "--way") == 0)
        l.way = word(name, v, wire_ways, WIRE_SHORT);
    else if (strcmp(name, "--spread") == 0)
        l.spread = word(name, v, spreads, 3);
    else
        die("unknown flag %s\n%s", name, usage);
}

int main(int argc, char **argv)
{
    char line[256];
    int i = 1;
    kit_name = "load";
    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i += 2)
        flag(argv[i], i + 1 < argc ? argv[i + 1] : "");
    if (l.port == 0 || l.server == 0)
        die("--port and --server are needed\n%s", usage);
    if (l.processes > l.clients)
        l.processes = l.clients > 0 ? l.clients : 1;
    raise_descriptors();
    pin(l.core);
    l.shared =
        mmap(NULL, sizeof *l.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    l.told = eventfd(0, EFD_CLOEXEC);
    if (l.shared == MAP_FAILED || l.told == -1)
        die("%s", strerror(errno));
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGCHLD, reader_gone);
    subscribe_all();
    put = load_put_new(&l);
    if (i == argc)
        while (fgets(line, sizeof line, stdin) != NULL)
            command(line);
    for (; i < argc; i++)
        command(argv[i]);
    (void)signal(SIGCHLD, SIG_DFL);
    for (unsigned k = 0; k < l.processes && l.clients > 0; k++)
        finish(reader[k], SIGKILL);
    return 0;
}
