/*
 * workers.c - a server of several workers, of which one after the other is killed: load_workers
 * SERVER [ROUNDS].
 *
 * Publishes over several connections and reads in all ways, through workers that are ended with
 * SIGKILL at any moment, ROUNDS (60) times in all, in a ring that is outrun and in one that is not,
 * with and without a store. The others serve on: every message that was acknowledged reaches
 * everyone, once and in order, with one id for all, however often a client changed workers, and
 * none is torn; clients are told of a gap only where the ring can have outrun them.
 */
#include "test/kit/swarm.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    DEADLINE_S = 900,
    CLIENTS = 48,
    WORKERS = 4,
};

static const struct phase {
    const char *ring;
    uint64_t lasts; /* bytes that it keeps at least */
    bool outrun, stored;
    uint32_t size_max;
} phases[] = {
    {"64M", 60u << 20, false, false, 8000},
    {"1M", 3u << 18, true, false, 8000},
    {"1M", 3u << 18, true, true, 8000},
};

static struct child server;
static struct swarm swarm;
static char file[80];
static unsigned kills, slow;
static uint64_t acked, deliveries, gaps;

/* A worker of the server, that is one of its children; 0: there is none now. */
static pid_t worker_of(uint64_t random)
{
    char path[64], text[512];
    pid_t pids[2 * WORKERS];
    unsigned n = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)server.pid, (int)server.pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        child_die(&server, "%s is not there", path);
    size_t got = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[got] = '\0';
    for (char *p = strtok(text, " "); p != NULL && n < 2 * WORKERS; p = strtok(NULL, " "))
        pids[n++] = (pid_t)strtol(p, NULL, 10);
    return n > 0 ? pids[random % n] : 0;
}

/* What it has written is about those that were killed, and nothing else. */
static void log_right(void)
{
    static char log[1 << 20];
    ssize_t n = pread(server.err, log, sizeof log - 1, 0);
    log[n > 0 ? n : 0] = '\0';
    for (char *line = strtok(log, "\n"); line != NULL; line = strtok(NULL, "\n"))
        if (strstr(line, "reason=\"it keeps others from publishing\"") != NULL)
            slow++; /* it did not run for a second, on a machine that has much to do */
        else if (strstr(line, "msg=\"worker ended\"") == NULL || strstr(line, "signal=9") == NULL)
            child_die(&server, "it said: %s", line);
}

static void phase_begin(const struct phase *p, uint64_t seed)
{
    const char *args[] = {"--ring", p->ring, "--workers", "4", "--write-timeout", "1h"};
    unlink(file);
    server.arg_count = 0;
    for (unsigned i = 0; i < sizeof args / sizeof args[0]; i++)
        child_arg(&server, args[i]);
    if (p->stored) {
        child_arg(&server, "--store");
        child_arg(&server, file);
    }
    swarm_init(&swarm, &server, seed, CLIENTS, 1u << 18, p->size_max, p->lasts);
    swarm.gaps = p->outrun;
    swarm.cuts = true;
    child_start(&server);
    if (!child_ready(&server, 60000))
        child_die(&server, "it did not start");
    swarm_epoch(&swarm);
    for (unsigned i = 0; i < CLIENTS; i++) {
        uint64_t mask = i % 4 == 0 ? SWARM_ALL : (uint64_t)255 << 8 * (i / 4 % 8);
        unsigned n = swarm_add(&swarm, i / 4 % SWARM_WAYS, mask);
        swarm.client[n].slow = p->outrun && i % 8 == 3;
        swarm.client[n].split = i % 8 == 2;
    }
    swarm_publish(&swarm, SWARM_POST, 24, 0);
    swarm_publish(&swarm, SWARM_POST, 1, 0);
    swarm_publish(&swarm, SWARM_BATCH, 48, 0);
    swarm_publish(&swarm, SWARM_FEED, 48, 0);
    swarm_publish(&swarm, SWARM_SOCKET, 24, 0);
}

static void phase_rounds(const struct phase *p, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        swarm_publish_all(&swarm, p->outrun || swarm.sent_bytes < p->lasts / 2);
        swarm_run(&swarm, 10 + (unsigned)(swarm_random(&swarm) % 150));
        pid_t pid = worker_of(swarm_random(&swarm));
        if (pid == 0 || kill(pid, SIGKILL) != 0)
            continue;
        kills++;
    }
}

static void phase_end(void)
{
    swarm_run(&swarm, 100);
    swarm_settle(&swarm, 60000);
    swarm_publish_all(&swarm, false);
    swarm.paused = true;
    swarm_cut_all(&swarm);
    (void)swarm_read_all(&swarm);
    child_alive(&server);
    log_right();
    if (ftruncate(server.err, 0) != 0)
        child_die(&server, "its log cannot be emptied");
    child_stop(&server, 60000);
    acked += swarm.acked;
    deliveries += swarm.messages;
    gaps += swarm.gap_count;
    swarm_release(&swarm);
}

static void clean_up(void)
{
    unlink(file);
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: load_workers SERVER [ROUNDS]\n");
        return 64;
    }
    const char *text = getenv("SSE_SEED"), *tmp = getenv("TMPDIR");
    unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 60;
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : child_now_us();
    child_init(&server, "load_workers", argv[1], DEADLINE_S + 2 * rounds);
    snprintf(file, sizeof file, "%.40s/load_workers.%d", tmp != NULL ? tmp : "/tmp", (int)getpid());
    atexit(clean_up);
    double start = child_now();
    const unsigned n = sizeof phases / sizeof phases[0];
    for (unsigned i = 0; i < n; i++) {
        phase_begin(&phases[i], seed);
        phase_rounds(&phases[i], rounds / n > 0 ? rounds / n : 1);
        phase_end();
        printf("ring %s%s: %llu messages so far, %u kills\n", phases[i].ring,
               phases[i].stored ? " in a store" : "", (unsigned long long)acked, kills);
        fflush(stdout);
    }
    if (slow > 0)
        printf("%u workers were replaced as they did not run for a second\n", slow);
    printf("load_workers: %u workers killed, %llu acknowledged messages all there, %llu delivered "
           "once and in order, %llu gaps told, all true (%.1f s)\n",
           kills, (unsigned long long)acked, (unsigned long long)deliveries,
           (unsigned long long)gaps, child_now() - start);
    return 0;
}
