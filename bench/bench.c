/*
 * bench.c - measures the table of rows (table.c), each on our server and its peers: `make bench`.
 *
 * All servers of a row run at once, on one core, each with a load of its own on another; only one
 * of them has something to do at a time, in turn, round after round, so that whatever else changes
 * meanwhile changes for all. What they cost is their own CPU time, as the scheduler counts it.
 */
#include "bench/kit.h"
#include "bench/report.h"
#include "bench/table.h"
#include "bench/watch.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LINE = 2048,
    ARGS = 40,
    WARM = 200, /* subscribers that come and go before anything is measured */
    LOAD_SECONDS = 120,
    SECONDS = 1200, /* for all of it */
};

/* A server of the current row, and its load. */
struct side {
    struct server server;
    pid_t load;
    int in, out;
    char ready[LINE]; /* what the load said of subscribing */
};

static struct {
    const char *dir; /* of our programs */
    const char *only;
    unsigned rounds, part; /* rounds; what is done in each is divided by this, ... */
    unsigned finer; /* ... and by this, so many times the rounds, where rounds may be short */
    int server_core, load_core;
} B = {.rounds = 5, .part = 1, .finer = 4};

/* ---- loads ----------------------------------------------------------------------------------- */

/* Starts a load; `flags` are those of the row. */
static void load_start(struct side *s, const char *flags)
{
    char path[512], port[16], pid[16], copy[256];
    const char *argv[ARGS] = {path,     "--dialect", wire_dialects[s->server.dialect],
                              "--port", port,        "--server",
                              pid};
    unsigned n = 7;
    snprintf(path, sizeof path, "%s/load", B.dir);
    snprintf(port, sizeof port, "%u", s->server.port);
    snprintf(pid, sizeof pid, "%d", (int)s->server.pid);
    snprintf(copy, sizeof copy, "%s", flags);
    for (char *at = copy, *word; (word = strsep(&at, " ")) != NULL && n + 1 < ARGS;)
        argv[n++] = word;
    s->load = spawn(argv, B.load_core, &s->in, &s->out);
    if (!read_line(s->out, s->ready, sizeof s->ready, LOAD_SECONDS))
        die("the load ended: %s on %s", flags, server_names[s->server.kind]);
}

static void load_stop(struct side *s)
{
    close(s->in);
    int status = finish(s->load, 0);
    close(s->out);
    if (status != 0)
        die("the load failed");
}

static void load_do(struct side *s, const char *command, char line[LINE])
{
    char text[64];
    int n = snprintf(text, sizeof text, "%s\n", command);
    if (write(s->in, text, (size_t)n) != n || !read_line(s->out, line, LINE, LOAD_SECONDS))
        die("the load ended: %s on %s", command, server_names[s->server.kind]);
}

/* A number of a load's line; 0: it has none of that name. */
static double get(const char *line, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = line; (at = strstr(at, name)) != NULL; at += n)
        if (at > line && at[-1] == ' ' && at[n] == '=')
            return strtod(at + n + 1, NULL);
    return 0;
}

/* ---- rounds ---------------------------------------------------------------------------------- */

/* Takes note of a round. */
static void note(const struct row *r, struct cell *c, const char *line)
{
    double ns = get(line, "ns"), server = get(line, "server_ns");
    double per = get(line, "count");
    if (c->n == TABLE_ROUNDS || ns == 0)
        return;
    if (r->kind == ROW_DELIVERY)
        per = get(line, "delivered");
    if (per == 0)
        die("%s: nothing was done: %s", r->key, line);
    c->server_busy[c->n] = server / ns;
    c->load_busy[c->n] = get(line, "load_ns") / ns;
    c->user += get(line, "user");
    c->kernel += get(line, "kernel");
    for (unsigned i = 0; i < TABLE_POINTS; i++)
        c->points[i] = get(line, table_points[i]);
    c->value[c->n++] = r->kind == ROW_LATENCY ? get(line, "p50")
                       : r->kind == ROW_WAIT  ? get(line, "wait_ns") / 1000000
                                              : server / per / 1000;
}

static void note_value(struct cell *c, double value)
{
    if (c->n < TABLE_ROUNDS)
        c->value[c->n++] = value;
}

/* What every server touches once, whoever comes: pages of code, the first of each table. */
static void warm_up(struct side *s)
{
    char line[LINE], flags[128];
    note_value(&table_find("resident")->cell[s->server.kind],
               (double)watch_memory(s->server.pid).resident);
    snprintf(flags, sizeof flags, "--clients %u --topics 3 --base 10", WARM);
    load_start(s, flags);
    load_do(s, "lockstep 30", line);
    load_stop(s);
    watch_idle(s->server.pid, 2);
}

/* The rows that are of this one's subscribers. */
static void note_memory(const struct row *r, const struct side *s)
{
    double clients = get(s->ready, "count");
    for (size_t i = 0; i < table_rows; i++) {
        struct row *m = &table[i];
        if (m->of == NULL || strcmp(m->of, r->key) != 0)
            continue;
        if (m->kind == ROW_USER)
            note_value(&m->cell[s->server.kind], get(s->ready, "user_bytes") / clients);
        else /* both ends are in this machine, and alike */
            note_value(&m->cell[s->server.kind], get(s->ready, "kernel_bytes") / clients / 2);
    }
}

/* Returns true if the row's rounds may be short. Those that begin with many connects, measure a
 * distribution or need a large batch may not. */
static bool is_fine(const struct row *r)
{
    return r->kind != ROW_READY && r->kind != ROW_LATENCY && r->kind != ROW_WAIT &&
           (r->on & ON_BATCH) == 0;
}

/* One round on one server. */
static void round_do(struct row *r, struct side *s)
{
    char line[LINE], command[64];
    if (r->kind == ROW_READY) {
        load_start(s, r->load);
        note(r, &r->cell[s->server.kind], s->ready);
        load_stop(s);
        watch_idle(s->server.pid, 10); /* until it has closed them all */
        return;
    }
    unsigned amount = r->amount / (is_fine(r) ? B.part * B.finer : B.part > 1 ? 2 : 1);
    /* NOLINTNEXTLINE(clang-diagnostic-format-nonliteral): a text of the table */
    snprintf(command, sizeof command, r->command, amount > 0 ? amount : 1);
    load_do(s, command, line);
    note(r, &r->cell[s->server.kind], line);
}

/* Measures a row on all its servers. */
static void row_do(struct row *r)
{
    struct side side[SERVER_KINDS];
    unsigned n = 0;
    char line[LINE];
    fprintf(stderr, "%s\n", r->what);
    for (enum server_kind kind = 0; kind < SERVER_KINDS; kind++) {
        if ((r->on & 1u << kind) == 0 || !server_there(kind))
            continue;
        struct side *s = &side[n++];
        *s = (struct side){.server = server_start(kind, B.dir, B.server_core)};
        pause_ms(50);
        warm_up(s);
        if (r->kind != ROW_READY) {
            load_start(s, r->load);
            note_memory(r, s);
        } else if (r->first != NULL) {
            load_start(s, "--clients 0");
            load_do(s, r->first, line);
            load_stop(s);
        }
        if (r->kind != ROW_READY && r->first != NULL)
            load_do(s, r->first, line);
    }
    unsigned rounds = is_fine(r) ? B.rounds * B.finer : B.rounds;
    for (unsigned round = 0; round < rounds; round++)
        for (unsigned i = 0; i < n; i++) /* A B C, C B A, ... */
            round_do(r, &side[round % 2 == 0 ? i : n - 1 - i]);
    for (unsigned i = 0; i < n; i++) {
        if (r->kind != ROW_READY)
            load_stop(&side[i]);
        server_stop(&side[i].server);
    }
}

/* ---- instructions ---------------------------------------------------------------------------- */

/* Has count.c count those of a server. */
static void count(enum server_kind kind)
{
    char path[512], server[512], line[LINE];
    int out;
    snprintf(path, sizeof path, "%s/count", B.dir);
    snprintf(server, sizeof server, "%s/%s-still", B.dir, server_names[kind]);
    const char *argv[] = {path, server, NULL};
    fprintf(stderr, "instructions of %s\n", server_names[kind]);
    pid_t pid = spawn(argv, -1, NULL, &out);
    while (read_line(out, line, sizeof line, LOAD_SECONDS)) {
        for (size_t i = 0; i < table_rows; i++) {
            size_t n = table[i].of != NULL ? strlen(table[i].of) : 0;
            if (table[i].kind == ROW_COUNT && strncmp(line, table[i].of, n) == 0 && line[n] == ' ')
                note_value(&table[i].cell[kind], strtod(line + n, NULL));
        }
    }
    close(out);
    if (finish(pid, 0) != 0)
        die("counting instructions failed");
}

/* ---- main ------------------------------------------------------------------------------------ */

static const char usage[] = "Usage: bench [OPTION]...\n"
                            "  --quick          a round of each, of a quarter of the size\n"
                            "  --only WORD      rows whose key has it\n"
                            "  --json FILE, --svg FILE, --markdown FILE\n"
                            "  --into FILE      the table between the marks in FILE is replaced\n"
                            "  --commit TEXT    what is measured\n";

/* A core for the servers and one for the loads. */
static void cores(void)
{
    cpu_set_t set;
    int found[2] = {-1, -1}, n = 0;
    if (sched_getaffinity(0, sizeof set, &set) == -1)
        die("sched_getaffinity: %s", strerror(errno));
    for (int i = 0; i < CPU_SETSIZE && n < 2; i++)
        if (CPU_ISSET((unsigned)i, &set))
            found[n++] = i;
    if (n < 2)
        fprintf(stderr, "bench: there is one core only: server and load share it\n");
    B.server_core = found[0];
    B.load_core = n == 2 ? found[1] : found[0];
}

int main(int argc, char **argv)
{
    static char dir[512];
    struct report report = {.commit = "unknown"};
    const char *json = NULL, *svg = NULL, *markdown = NULL, *into = NULL;
    kit_name = "bench";
    for (int i = 1; i < argc; i++) {
        const char *v = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--quick") == 0) {
            B.rounds = B.finer = 1;
            B.part = 4;
            continue;
        }
        const char **to = strcmp(argv[i], "--only") == 0       ? &B.only
                          : strcmp(argv[i], "--json") == 0     ? &json
                          : strcmp(argv[i], "--svg") == 0      ? &svg
                          : strcmp(argv[i], "--markdown") == 0 ? &markdown
                          : strcmp(argv[i], "--into") == 0     ? &into
                          : strcmp(argv[i], "--commit") == 0   ? &report.commit
                                                               : NULL;
        if (to == NULL || *v == '\0')
            die("%s: unknown, or without a value\n%s", argv[i], usage);
        *to = v;
        i++;
    }
    snprintf(dir, sizeof dir, "%s", argv[0]);
    char *slash = strrchr(dir, '/');
    if (slash == NULL)
        die("call it by its path: our programs are beside it");
    *slash = '\0';
    B.dir = dir;
    alarm(SECONDS);
    (void)signal(SIGPIPE, SIG_IGN);
    raise_descriptors();
    cores();
    if (!server_there(SERVER_NCHAN))
        fprintf(stderr, "bench: without nginx and nchan, which bench/setup installs\n");
    uint64_t begun = now_ns();
    for (size_t i = 0; i < table_rows; i++)
        if (table[i].load != NULL && (B.only == NULL || strstr(table[i].key, B.only) != NULL))
            row_do(&table[i]);
    if (access("/usr/bin/valgrind", X_OK) == 0 &&
        (B.only == NULL || strstr("count", B.only) != NULL)) {
        count(SERVER_SSE);
        count(SERVER_FLOOR);
    }
    report.seconds = (unsigned)((now_ns() - begun) / 1000000000);
    report.rounds = B.rounds * B.finer;
    report.server_core = B.server_core;
    report.load_core = B.load_core;
    report_write(&report, markdown, json, svg, into);
    return 0;
}
