/*
 * count.c - instructions per delivery, request and accept: count SERVER [COMPILER FLAGS FILE
 * [record]].
 *
 * Runs SERVER (one that bench/still.c was linked into) under callgrind, does the same with it in
 * each run, and prints how many user-mode instructions that took. With FILE, compares with what is
 * written there, and fails where something takes more than GROWTH_PERCENT more; with `record`,
 * writes it anew.
 *
 * FILE says what it was recorded with: another compiler, or other flags, make other instructions of
 * the same source. Then the bound is GROWTH_ELSEWHERE, and the output says so: it still finds what
 * makes the path much longer. The version of valgrind does not matter, nor the processor, as the
 * C library's plainest functions are chosen.
 */
#include "bench/kit.h"
#include "bench/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    GROWTH_PERCENT = 3,
    GROWTH_ELSEWHERE = 25,
    MANY = 200,     /* subscribers of a topic, besides one */
    MESSAGES = 20,  /* to each of them */
    REQUESTS = 200, /* of each kind */
    REPLAYED = 100, /* messages, by each of ... */
    REPLAYS = 20,   /* ... so many */
    APART_MS = 15,  /* between what the server shall not find in one turn */
    PARTS_MAX = 64, /* counts, each in a file of its own */
    SECONDS = 120,
};

/* What is counted, in the order of the file. */
enum what {
    EVENT_64 = 0,
    EVENT_1024 = 1,
    FRAME_64 = 2,
    LONG_64 = 3,
    ACCEPT = 4,
    PUBLISH = 5,
    POLL = 6,
    REPLAY = 7,
    WILD = 8,
    WHATS = 9,
};

static const char *const names[WHATS] = {
    "sse-delivery-64",  "sse-delivery-1024", "websocket-delivery-64",
    "long-poll-answer", "accept-subscribe",  "publish-to-nobody",
    "poll-nothing-new", "replay-of-100",     "publish-to-wildcard",
};

static struct {
    pid_t server;
    unsigned port, parts;
    bool ours; /* not the floor */
    int publisher;
    const char *compiler, *flags;
    char dir[64];
    uint64_t nothing; /* instructions of a count in which nothing is done */
    uint64_t per[WHATS];
} C;

/* ---- the server ------------------------------------------------------------------------------ */

static void start(const char *server)
{
    char out[128], line[256];
    int from;
    const char *argv[20] = {"/usr/bin/valgrind", "--tool=callgrind", "-q", out, server};
    static const char *const ours[] = {
        "--port", "0",           "--ring", "16M",         "--log",
        "error",  "--heartbeat", "1h",     "--no-sandbox"}; /* valgrind has none of its calls */
    snprintf(out, sizeof out, "--callgrind-out-file=%s/part", C.dir);
    C.ours = strstr(server, "floor") == NULL;
    for (unsigned i = 0; C.ours && i < sizeof ours / sizeof ours[0]; i++)
        argv[5 + i] = ours[i];
    /* the plainest memcpy and the like, whatever this processor has */
    setenv("GLIBC_TUNABLES",
           "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-BMI1,-BMI2,-ERMS,-FSRM,"
           "-SSSE3,-SSE4_1,-SSE4_2,-LZCNT,-MOVBE",
           1);
    C.server = spawn(argv, -1, NULL, &from);
    if (!read_line(from, line, sizeof line, SECONDS) ||
        sscanf(line, "http://127.0.0.1:%u", &C.port) != 1)
        die("%s did not start under valgrind", server);
}

/* Reads how many instructions a count had; false: it is not all written. */
static bool read_part(const char *path, uint64_t *n)
{
    char line[512];
    unsigned long long v = 0;
    bool whole = false;
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        whole |= sscanf(line, "totals: %llu", &v) == 1;
    if (f != NULL)
        fclose(f);
    *n = v;
    return whole;
}

/* Ends a count and begins the next; returns the instructions. */
static uint64_t mark(void)
{
    char path[128];
    uint64_t n = 0;
    pause_ms(2 * APART_MS); /* for what was begun to end */
    snprintf(path, sizeof path, "%s/part.%u", C.dir, ++C.parts);
    if (C.parts > PARTS_MAX || kill(C.server, SIGURG) == -1)
        die("the server is gone");
    for (unsigned tries = 0; !read_part(path, &n); tries++) {
        if (tries == 1000)
            die("no count came: is the server linked with bench/still.c?");
        pause_ms(5);
    }
    return n;
}

/* The instructions since the last count, without those of counting. */
static uint64_t counted(void)
{
    uint64_t n = mark();
    return n > C.nothing ? n - C.nothing : 0;
}

/* ---- clients --------------------------------------------------------------------------------- */

/* Reads until a complete message has come; its bytes are at the end of buf[0..n). */
static size_t await(int fd, enum wire_way way, char *buf, size_t room)
{
    size_t n = 0;
    for (;;) {
        ssize_t got = n < room ? recv(fd, buf + n, room - n, 0) : 0;
        if (got <= 0)
            die("the server's answer: %.*s", (int)n, buf);
        n += (size_t)got;
        if (wire_message(way, buf, n) > 0)
            return n;
    }
}

/* A request on a connection that stays, and its answer; returns the status. */
static unsigned ask(int fd, const char *request, size_t n, struct wire_cursor *cursor)
{
    char buf[64 << 10];
    struct wire_answer a;
    send_all(fd, request, n);
    n = await(fd, WIRE_SHORT, buf, sizeof buf);
    if (!wire_read_answer(buf, n, &a, cursor))
        die("no answer");
    return a.status;
}

static void publish(unsigned topic, size_t size)
{
    char request[WIRE_HEAD_MAX];
    struct wire_data d = {0, 0, 0};
    size_t n = wire_publish(request, WIRE_SSE, topic, &d, size);
    unsigned status = ask(C.publisher, request, n, NULL);
    if (status != 201)
        die("publishing was answered with %u", status);
}

static int subscribe_to(const char *topics, enum wire_way way, bool earliest)
{
    char request[WIRE_HEAD_MAX], buf[64 << 10];
    int fd = connect_from(0, C.port);
    pause_ms(APART_MS);
    send_all(fd, request, wire_ask(request, WIRE_SSE, way, topics, NULL, earliest));
    await(fd, way == WIRE_FRAMES ? WIRE_SHORT : way, buf, sizeof buf);
    return fd;
}

static int subscribe(unsigned topic, enum wire_way way, bool earliest)
{
    char name[16];
    snprintf(name, sizeof name, "b/%u", topic);
    return subscribe_to(name, way, earliest);
}

/* Publishes to a topic, one at a time: each is read by all subscribers before the next. */
static uint64_t deliver(unsigned topic, enum wire_way way, size_t size, const int *fd, unsigned n)
{
    char buf[64 << 10];
    mark();
    for (unsigned i = 0; i < MESSAGES; i++) {
        publish(topic, size);
        for (unsigned k = 0; k < n; k++)
            await(fd[k], way, buf, sizeof buf);
    }
    return counted();
}

/* ---- what is counted ------------------------------------------------------------------------- */

/* What a delivery costs is what the many more subscribers of one topic cost than the one of
 * another. */
static void deliveries(void)
{
    int fd[MANY + 1];
    uint64_t one;
    C.publisher = connect_from(0, C.port);
    publish(3, 64); /* what is done once is done */
    int alone = subscribe(0, WIRE_EVENTS, false);
    mark();
    for (unsigned i = 0; i <= MANY; i++)
        fd[i] = subscribe(1, WIRE_EVENTS, false);
    C.per[ACCEPT] = counted() / (MANY + 1);
    one = deliver(0, WIRE_EVENTS, 64, &alone, 1);
    C.per[EVENT_64] =
        (deliver(1, WIRE_EVENTS, 64, fd, MANY + 1) - one) / ((uint64_t)MANY * MESSAGES);
    one = deliver(0, WIRE_EVENTS, 1024, &alone, 1);
    C.per[EVENT_1024] =
        (deliver(1, WIRE_EVENTS, 1024, fd, MANY + 1) - one) / ((uint64_t)MANY * MESSAGES);
    for (unsigned i = 0; i <= MANY; i++)
        close(fd[i]);
    close(alone);

    alone = subscribe(4, WIRE_FRAMES, false);
    for (unsigned i = 0; i <= MANY; i++)
        fd[i] = subscribe(5, WIRE_FRAMES, false);
    one = deliver(4, WIRE_FRAMES, 64, &alone, 1);
    C.per[FRAME_64] =
        (deliver(5, WIRE_FRAMES, 64, fd, MANY + 1) - one) / ((uint64_t)MANY * MESSAGES);
    for (unsigned i = 0; i <= MANY; i++)
        close(fd[i]);
    close(alone);
}

/* Requests on connections that stay. */
static void requests(void)
{
    char request[WIRE_HEAD_MAX];
    struct wire_cursor cursor = {"", ""};
    int fd = connect_from(0, C.port);
    mark();
    for (unsigned i = 0; i < REQUESTS; i++)
        publish(2, 64);
    C.per[PUBLISH] = counted() / REQUESTS;

    size_t n = wire_ask(request, WIRE_SSE, WIRE_SHORT, "b/2", NULL, false);
    ask(fd, request, n, &cursor);
    n = wire_ask(request, WIRE_SSE, WIRE_SHORT, "b/2", &cursor, false);
    mark();
    for (unsigned i = 0; i < REQUESTS; i++)
        if (ask(fd, request, n, NULL) != 204)
            die("a poll with nothing new was not answered with 204");
    C.per[POLL] = counted() / REQUESTS;
    close(fd);
}

/* Long polls: the answer, and the next request, which waits. */
static void long_polls(void)
{
    char request[WIRE_HEAD_MAX], buf[64 << 10];
    int fd[MANY];
    struct wire_cursor cursor = {"", ""};
    struct wire_answer a;
    for (unsigned i = 0; i < MANY; i++) {
        fd[i] = connect_from(0, C.port);
        send_all(fd[i], request, wire_ask(request, WIRE_SSE, WIRE_LONG, "b/6", NULL, false));
    }
    mark();
    for (unsigned i = 0; i < MESSAGES; i++) {
        publish(6, 64);
        for (unsigned k = 0; k < MANY; k++) {
            size_t n = await(fd[k], WIRE_LONG, buf, sizeof buf);
            wire_read_answer(buf, n, &a, &cursor);
            send_all(fd[k], request, wire_ask(request, WIRE_SSE, WIRE_LONG, "b/6", &cursor, false));
        }
        pause_ms(2 * APART_MS);
    }
    C.per[LONG_64] = counted() / ((uint64_t)MANY * MESSAGES);
    for (unsigned i = 0; i < MANY; i++)
        close(fd[i]);
}

/* Clients that come back, and get what they missed; what accepting them takes is in it. */
static void replays(void)
{
    char buf[64 << 10];
    int fd[REPLAYS];
    unsigned topic = C.ours ? 7 : 0;
    for (unsigned i = 0; i < REPLAYED; i++)
        publish(topic, 64);
    mark();
    for (unsigned i = 0; i < REPLAYS; i++) {
        fd[i] = subscribe(topic, WIRE_EVENTS, true);
        pause_ms(APART_MS);
        recv(fd[i], buf, sizeof buf, MSG_DONTWAIT);
    }
    C.per[REPLAY] = counted() / REPLAYS;
    for (unsigned i = 0; i < REPLAYS; i++)
        close(fd[i]);
}

/* A topic that two wildcards are subscribed to. */
static void wildcards(void)
{
    int two[2] = {subscribe_to("b/*", WIRE_EVENTS, false), subscribe_to("**", WIRE_EVENTS, false)};
    char buf[64 << 10];
    publish(2, 64);
    await(two[0], WIRE_EVENTS, buf, sizeof buf);
    await(two[1], WIRE_EVENTS, buf, sizeof buf);
    mark();
    for (unsigned i = 0; i < REQUESTS; i++) {
        publish(2, 64);
        await(two[0], WIRE_EVENTS, buf, sizeof buf);
        await(two[1], WIRE_EVENTS, buf, sizeof buf);
    }
    C.per[WILD] = counted() / REQUESTS;
    close(two[0]);
    close(two[1]);
}

/* ---- comparing ------------------------------------------------------------------------------- */

static void record(const char *path)
{
    FILE *to = fopen(path, "we");
    if (to == NULL)
        die("%s: %s", path, strerror(errno));
    fprintf(
        to,
        "# User-mode instructions of the release build, one a line: `make bench-check` counts "
        "them\n"
        "# and fails where something grows by more than %d %%. When that is meant, write the new\n"
        "# ones down with `make bench-record`, and say why in the commit.\n"
        "compiler %s\nflags %s\n",
        GROWTH_PERCENT, C.compiler, C.flags);
    for (unsigned i = 0; i < WHATS; i++)
        fprintf(to, "%s %llu\n", names[i], (unsigned long long)C.per[i]);
    if (fclose(to) != 0)
        die("%s: %s", path, strerror(errno));
}

/* Returns true if the line about the compiler, or its flags, is what it would be now. */
static bool same(const char *line, const char *key, const char *now)
{
    size_t n = strlen(key);
    return strncmp(line, key, n) != 0 || strcmp(line + n, now) == 0;
}

/* Compares with what was recorded; returns how many have grown too much. */
static unsigned compare(const char *path)
{
    char line[512];
    unsigned grown = 0, bound = GROWTH_PERCENT, found = 0;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        die("%s: %s", path, strerror(errno));
    while (fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (bound == GROWTH_PERCENT &&
            (!same(line, "compiler ", C.compiler) || !same(line, "flags ", C.flags))) {
            bound = GROWTH_ELSEWHERE;
            printf(
                "recorded with \"%s\", and this is \"%s\", \"%s\": its instructions are others, so "
                "they may be up to %u %% more\n",
                strchr(line, ' ') + 1, C.compiler, C.flags, bound);
        }
        for (unsigned i = 0; i < WHATS; i++) {
            size_t n = strlen(names[i]);
            if (strncmp(line, names[i], n) != 0 || line[n] != ' ')
                continue;
            uint64_t was = strtoull(line + n + 1, NULL, 10), is = C.per[i];
            bool more = is * 100 > was * (100 + bound) + 100; /* one is not counted: roundings */
            printf("%-22s %6llu instructions, recorded %6llu%s\n", names[i], (unsigned long long)is,
                   (unsigned long long)was, more ? "   TOO MANY" : "");
            grown += more;
            found++;
        }
    }
    fclose(f);
    if (found != WHATS)
        die("%s has %u of %u counts", path, found, (unsigned)WHATS);
    return grown;
}

/* The counts are kept where callgrind_annotate finds them. */
static void make_room(void)
{
    char path[80];
    snprintf(C.dir, sizeof C.dir, "build/count");
    if (mkdir("build", 0777) == -1 && errno != EEXIST)
        die("build: %s", strerror(errno));
    if (mkdir(C.dir, 0777) == -1 && errno != EEXIST)
        die("%s: %s", C.dir, strerror(errno));
    for (unsigned i = 1; i <= PARTS_MAX; i++) {
        snprintf(path, sizeof path, "%s/part.%u", C.dir, i);
        if (unlink(path) == -1 && errno != ENOENT)
            die("%s: %s", path, strerror(errno));
    }
}

int main(int argc, char **argv)
{
    kit_name = "count";
    if (argc != 2 && argc != 5 && argc != 6)
        die("usage: count SERVER [COMPILER FLAGS FILE [record]]");
    if (argc > 2) {
        C.compiler = argv[2];
        C.flags = argv[3];
    }
    alarm(SECONDS);
    make_room();
    start(argv[1]);
    mark();
    C.nothing = mark();
    deliveries();
    requests();
    if (C.ours) {
        long_polls();
        wildcards();
    }
    replays();
    finish(C.server, SIGTERM);
    if (argc == 6)
        record(argv[4]);
    if (argc == 5)
        return compare(argv[4]) > 0;
    for (unsigned i = 0; i < WHATS; i++)
        if (C.per[i] > 0)
            printf("%s %llu\n", names[i], (unsigned long long)C.per[i]);
    return 0;
}
