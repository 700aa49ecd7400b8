/*
 * upgrade.c - the server is replaced while it works: load_upgrade SERVER
 * [TIMES [CLIENTS]].
 *
 * Starts SERVER on a file (--store), connects CLIENTS (5,000) of all ways and publishers of all
 * kinds, some of which send their requests, bodies and frames in pieces, sends SIGUSR2 TIMES (50)
 * times, and sees in /-/metrics that each upgrade is done. No connection may be closed, no message
 * missed or repeated, and the process stays the same. In the end the file has all that was
 * published.
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
    UPGRADE_MS = 120000, /* for one */
    RATE = 100,          /* messages a second, of all publishers */
    RING = 64 << 20,
};

static struct child server;
static struct swarm swarm;

static char directory[64], file[80];

static void clean_up(void)
{
    unlink(file);
    rmdir(directory);
}

static void make_file(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(directory, sizeof(directory), "%.40s/load_upgrade.XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(directory) == NULL)
        child_die(&server, "%s: %s", directory, strerror(errno));
    snprintf(file, sizeof(file), "%s/store", directory);
    atexit(clean_up);
    child_arg(&server, "--store");
    child_arg(&server, file);
}

/* Started anew on its file, it has what it had. */
static void look_into_file(void)
{
    child_start(&server);
    if (!child_ready(&server, 60000))
        child_die(&server, "it did not start on the file that it left");
    swarm_epoch(&swarm);
    if (swarm_read_all(&swarm) < swarm.acked)
        child_die(&server, "not all messages are in the file");
    child_stop(&server, 60000);
}

/* The topics of a client: most have one, some a few or a group, a few all. */
static uint64_t topics_of(unsigned client)
{
    uint64_t mask = 0;
    if (client % 1000 == 7)
        return SWARM_ALL;
    if (client % 10 == 3)
        return (uint64_t)255 << 8 * (swarm_random(&swarm) % 8);
    for (unsigned i = client % 10 == 5 ? 4 : 1; i > 0; i--)
        mask |= (uint64_t)1 << swarm_random(&swarm) % SWARM_TOPICS;
    return mask;
}

static void add_clients(unsigned count)
{
    static const uint8_t ways[20] = {
        SWARM_EVENTS,  SWARM_LONG,  SWARM_FRAMES, SWARM_EVENTS,  SWARM_LINES,
        SWARM_OBJECTS, SWARM_LONG,  SWARM_EVENTS, SWARM_FRAMES,  SWARM_EVENTS,
        SWARM_LINES,   SWARM_LONG,  SWARM_EVENTS, SWARM_OBJECTS, SWARM_SHORT,
        SWARM_EVENTS,  SWARM_LINES, SWARM_FRAMES, SWARM_OBJECTS, SWARM_LONG,
    };
    for (unsigned i = 0; i < count; i++) {
        unsigned n = swarm_add(&swarm, ways[i % 20], topics_of(i / 20 + i));
        swarm.client[n].split = i / 20 % 8 == 0;
    }
}

static void add_publishers(void)
{
    static const struct {
        enum swarm_feed feed;
        bool split;
    } kinds[] = {
        {SWARM_POST, false}, {SWARM_POST, true}, {SWARM_BATCH, false},  {SWARM_BATCH, true},
        {SWARM_FEED, false}, {SWARM_FEED, true}, {SWARM_SOCKET, false}, {SWARM_SOCKET, true},
    };
    unsigned count = sizeof(kinds) / sizeof(kinds[0]);
    for (unsigned i = 0; i < count; i++) {
        unsigned p = swarm_publish(&swarm, kinds[i].feed, 16, (double)RATE / count);
        swarm.pub[p].split = kinds[i].split;
    }
}

/* Runs until every client has its stream or waits. */
static void all_ready(void)
{
    double deadline = child_now() + 300;
    unsigned ready;
    do {
        swarm_run(&swarm, 50);
        if (child_now() > deadline)
            child_die(&server, "only %u of %u clients are connected", swarm_ready(&swarm),
                      swarm.clients);
        ready = 0;
        for (unsigned i = 0; i < swarm.clients; i++)
            ready += swarm.client[i].fd != -1 &&
                     (swarm.client[i].way == SWARM_LONG || swarm.client[i].way == SWARM_SHORT ||
                      swarm.client[i].state == SWARM_OPEN);
    } while (ready < swarm.clients);
}

static void upgrade(long long done)
{
    double deadline = child_now() + UPGRADE_MS / 1000.0;
    if (kill(server.pid, SIGUSR2) == -1)
        child_die(&server, "kill: %s", strerror(errno));
    do {
        swarm_run(&swarm, 10);
        child_alive(&server);
        if (child_now() > deadline)
            child_die(&server, "upgrade %lld is not done after %d ms: sse_upgrades_total is %lld",
                      done, UPGRADE_MS, child_metric(&server, "sse_upgrades_total"));
    } while (child_metric(&server, "sse_upgrades_total") < done);
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: load_upgrade SERVER [TIMES [CLIENTS]]\n");
        return 64;
    }
    const char *seed = getenv("SSE_SEED");
    long long times = argc > 2 ? atoll(argv[2]) : 50;
    unsigned clients = argc > 3 ? (unsigned)atoi(argv[3]) : 5000;
    long room = child_init(&server, "load_upgrade", argv[1], DEADLINE_S);
    if (clients + 100 > (unsigned long)room) {
        clients = (unsigned)room - 100;
        printf("load_upgrade: descriptors are limited to %ld, so there are %u "
               "clients only\n",
               room, clients);
    }
    make_file();
    child_start(&server);
    if (!child_ready(&server, 60000))
        child_die(&server, "it did not start");
    swarm_init(&swarm, &server, seed != NULL ? strtoull(seed, NULL, 10) : child_now_us(), clients,
               1u << 16, 3000, RING);
    swarm_epoch(&swarm);
    add_clients(clients);
    add_publishers();
    all_ready();
    swarm_publish_all(&swarm, true);
    swarm_run(&swarm, 300);
    swarm.since_us = child_now_us();
    swarm.late_us = 0;
    swarm_run(&swarm, 1000);
    uint64_t usual = swarm.late_us, before = swarm.messages;
    swarm.since_us = child_now_us();
    swarm.late_us = 0;
    double start = child_now();
    for (long long i = 1; i <= times; i++) {
        upgrade(i);
        swarm_run(&swarm, (unsigned)(swarm_random(&swarm) % 120));
    }
    double took = child_now() - start;
    uint64_t longest = swarm.late_us;
    swarm_settle(&swarm, 20000);
    uint64_t connects = swarm.connects;
    if (swarm.cut != 0 || connects != clients + swarm.pubs)
        child_die(&server, "%llu connections were made, %llu cut", (unsigned long long)connects,
                  (unsigned long long)swarm.cut);
    if (swarm.messages == before)
        child_die(&server, "nothing was delivered");
    for (unsigned i = 0; i < clients; i++)
        swarm_cut(&swarm, i, false, -1);
    swarm.cuts = true;
    swarm_cut_all(&swarm);
    child_stop(&server, 60000);
    look_into_file();
    printf("load_upgrade: %lld upgrades in %.1f s under %u clients and %u "
           "publishers, no connection lost, "
           "%llu messages (%llu deliveries) each once and in order, longest "
           "pause %.1f ms (%.1f ms without)\n",
           times, took, clients, swarm.pubs, (unsigned long long)swarm.acked,
           (unsigned long long)swarm.messages, (double)longest / 1e3, (double)usual / 1e3);
    return 0;
}
