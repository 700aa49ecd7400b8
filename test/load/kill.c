/*
 * kill.c - a server with --store is killed again and again: load_kill SERVER [ROUNDS].
 *
 * Starts SERVER on a file, publishes over several connections and reads in all ways, ends it with
 * SIGKILL at any moment, of its start, its recovery and an upgrade (SIGUSR2) too, and starts it
 * again on the same file and port, ROUNDS (200) times in all, with rings that are outrun and one
 * that is not, and in each mode of --fsync. After each start all messages that were acknowledged
 * must be there that the ring can hold, with the ids and the data they had, in order, once, and
 * nothing that was never sent. All clients go on by their cursors, and are told of a gap only where
 * the ring can have outrun them.
 */
#include "test/kit/swarm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    DEADLINE_S = 1700,
    CLIENTS = 24,
};

static const struct phase {
    unsigned percent; /* of the rounds */
    const char *ring, *fsync;
    uint64_t ring_size;
    bool outrun;
    uint32_t size_max;
    unsigned depth;
} phases[] = {
    {35, "1M", "interval", 1u << 20, true, 8000, 24},
    {10, "64K", "never", 64u << 10, true, 1000, 4},
    {35, "64M", "interval", 64u << 20, false, 8000, 32},
    {20, "1M", "always", 1u << 20, true, 8000, 24},
};

static struct child server;
static struct swarm swarm;
static char directory[64], file[80];
static unsigned kills, during_start, upgrades, upgrades;
static uint64_t acked, deliveries, gaps, found;

static void clean_up(void)
{
    char rebuilt[96];
    snprintf(rebuilt, sizeof(rebuilt), "%s.new", file);
    unlink(file);
    unlink(rebuilt);
    rmdir(directory);
}

/* ---- a phase ---- */

static void start_server(void)
{
    child_start(&server);
    if (!child_ready(&server, 60000))
        child_die(&server, "SSE_SEED=%llu: it did not start on its file, after %u kills",
                  (unsigned long long)swarm.seed, kills);
}

static void phase_begin(const struct phase *p, uint64_t seed)
{
    const char *args[] = {"--ring",  p->ring,  "--store",         file,
                          "--fsync", p->fsync, "--write-timeout", "1h"};
    unlink(file);
    server.arg_count = 0;
    for (unsigned i = 0; i < sizeof(args) / sizeof(args[0]); i++)
        child_arg(&server, args[i]);
    swarm_init(&swarm, &server, seed, CLIENTS, 1u << 18, p->size_max, p->ring_size);
    swarm.gaps = p->outrun;
    swarm.paused = true;
    start_server();
    swarm_epoch(&swarm);
    for (unsigned i = 0; i < CLIENTS; i++) {
        uint64_t mask = i % 4 == 0 ? SWARM_ALL : (uint64_t)255 << 8 * (i / 4);
        if (i % 4 > 1) {
            mask = (uint64_t)1 << swarm_random(&swarm) % SWARM_TOPICS;
            mask |= (uint64_t)1 << swarm_random(&swarm) % SWARM_TOPICS;
        }
        unsigned n = swarm_add(&swarm, i / 4 % SWARM_WAYS, mask);
        swarm.client[n].slow = p->outrun && i % 4 == 3;
        swarm.client[n].split = i % 8 == 2;
    }
    swarm_publish(&swarm, SWARM_POST, p->depth, 0);
    swarm_publish(&swarm, SWARM_POST, 1, 0);
    swarm_publish(&swarm, SWARM_BATCH, 2 * p->depth, 0);
    swarm_publish(&swarm, SWARM_FEED, 2 * p->depth, 0);
    swarm_publish(&swarm, SWARM_SOCKET, p->depth, 0);
    swarm.pub[3].split = true;
}

/* SIGKILL: what the server had written still comes, and then every connection ends. */
static void kill_it(void)
{
    if (swarm_random(&swarm) % 8 == 0) {
        kill(server.pid, SIGUSR2);
        swarm_run(&swarm, (unsigned)(swarm_random(&swarm) % 40));
        upgrades++;
    }
    child_kill(&server);
    kills++;
    swarm.cuts = true;
    swarm.paused = true;
    swarm_run(&swarm, 3);
    swarm_cut_all(&swarm);
}

static void publish_a_while(const struct phase *p, uint64_t bytes_most)
{
    unsigned ms = swarm_random(&swarm) % 4 == 0 ? (unsigned)(swarm_random(&swarm) % 8)
                                                : 10 + (unsigned)(swarm_random(&swarm) % 130);
    swarm.cuts = p->outrun; /* a slow reader may be overtaken inside a message */
    swarm.paused = false;
    swarm_publish_all(&swarm, true);
    double end = child_now() + ms / 1e3;
    do {
        swarm_run(&swarm, 1);
        if (!p->outrun && swarm.sent_bytes > bytes_most)
            swarm_publish_all(&swarm, false);
    } while (child_now() < end);
    if (swarm_random(&swarm) % 8 != 0)
        return;
    swarm_publish_all(&swarm, false); /* to be killed while quiet */
    swarm_run(&swarm, 10);
}

static void look(void)
{
    swarm_epoch(&swarm);
    found += swarm_read_all(&swarm);
}

static void phase_rounds(const struct phase *p, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        publish_a_while(p, swarm.ring / 4 / rounds * (i + 1));
        kill_it();
        while (i + 1 < rounds && swarm_random(&swarm) % 6 == 0) {
            child_start(&server);
            usleep((useconds_t)(swarm_random(&swarm) % 12000));
            child_kill(&server);
            kills++;
            during_start++;
            i++;
        }
        start_server();
        look();
    }
}

/* Everyone gets all of it in the end; and it is still there after an orderly end. */
static void phase_end(const struct phase *p)
{
    publish_a_while(p, UINT64_MAX);
    swarm.cuts = p->outrun;
    swarm_settle(&swarm, 20000);
    swarm.cuts = true;
    swarm.paused = true;
    swarm_cut_all(&swarm);
    child_stop(&server, 60000);
    start_server();
    look();
    child_stop(&server, 60000);
    acked += swarm.acked;
    deliveries += swarm.messages;
    gaps += swarm.gap_count;
    swarm_release(&swarm);
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: load_kill SERVER [ROUNDS]\n");
        return 64;
    }
    const char *text = getenv("SSE_SEED"), *tmp = getenv("TMPDIR");
    unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 200;
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : child_now_us();
    child_init(&server, "load_kill", argv[1], DEADLINE_S + rounds / 2);
    snprintf(directory, sizeof(directory), "%.40s/load_kill.XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(directory) == NULL)
        child_die(&server, "%s: %s", directory, strerror(errno));
    snprintf(file, sizeof(file), "%s/store", directory);
    atexit(clean_up);
    double start = child_now();
    for (unsigned i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
        double from = child_now();
        uint64_t before = acked;
        unsigned count = rounds * phases[i].percent / 100;
        phase_begin(&phases[i], seed);
        phase_rounds(&phases[i], count > 0 ? count : 1);
        phase_end(&phases[i]);
        printf("ring %s, fsync %s: %llu messages in %.1f s\n", phases[i].ring, phases[i].fsync,
               (unsigned long long)(acked - before), child_now() - from);
    }
    printf("load_kill: %u kills (%u while starting, %u while upgrading), %llu acknowledged "
           "messages all there, "
           "%llu read back, %llu delivered once and in order, %llu gaps told, all true (%.1f s)\n",
           kills, during_start, upgrades, (unsigned long long)acked, (unsigned long long)found,
           (unsigned long long)deliveries, (unsigned long long)gaps, child_now() - start);
    return 0;
}
