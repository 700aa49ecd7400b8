/*
 * faults_scenes.h - the scenes of test/e2e/faults.c: lives of a server with clients of all kinds,
 * each in a run of its own (faults_run.h). Any call may fail in them; the order of what they do is
 * the same in each play.
 */
#ifndef SSE_TEST_KIT_FAULTS_SCENES_H
#define SSE_TEST_KIT_FAULTS_SCENES_H

#include "test/kit/faults_run.h"

#include <sysexits.h>

#define BIG 60000

/* ---- scenes ---------------------------------------------------------------------------------- */

/* A path in the run's directory. */
static const char *in_dir(const char *name)
{
    static char path[4][128];
    static unsigned turn;
    char *to = path[turn++ % 4];
    snprintf(to, sizeof path[0], "%s/%s", run_.dir, name);
    return to;
}

/* Starts it with two listeners and these flags, eight at most. */
#define START(...) start_with((const char *const[]){__VA_ARGS__, NULL})

static void start_with(const char *const more[])
{
    char unix_bind[160];
    const char *flags[32] = {"--port",  "0",     "--bind",      "127.0.0.1", "--bind", unix_bind,
                             "--drain", "100ms", "--heartbeat", "100ms",     "--ring", "1M"};
    unsigned n = 10;
    snprintf(unix_bind, sizeof unix_bind, "unix:%s", in_dir("s"));
    bool ring = false;
    for (unsigned i = 0; more[i] != NULL; i++)
        ring |= strcmp(more[i], "--store") == 0 || strcmp(more[i], "--ring") == 0;
    n += ring ? 0 : 2;
    for (unsigned i = 0; more[i] != NULL; i++)
        flags[n++] = more[i];
    flags[n] = NULL;
    start(2, flags);
}

static void hear_all(struct client *const *c, unsigned n, const char *text)
{
    for (unsigned i = 0; i < n; i++)
        hear(c[i], text);
}

/* The start, the end, and little in between. */
static void scene_short(void)
{
    START("--log", "info");
    check_and_stop();
}

/* Root is left, and what it has made is given away. */
static void scene_user(void)
{
    char user[64];
    unsigned uid = geteuid() == 0 ? 65534 : geteuid(), gid = geteuid() == 0 ? 65534 : getegid();
    snprintf(user, sizeof user, "%u:%u", uid, gid);
    ck_assert_int_eq(chown(run_.dir, uid, gid), 0); /* it removes its socket there */
    START("--user", user, "--store", in_dir("store"), "--ring", "64K", "--fsync", "never");
    check_and_stop();
}

/* A key file of this run. */
static const char *keys_file(void)
{
    static const char key[] = "a-key-of-a-run-of-more-than-32-bytes\n";
    const char *path = in_dir("keys");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ne(fd, -1);
    ck_assert_int_eq(write(fd, key, sizeof key - 1), (ssize_t)sizeof key - 1);
    close(fd);
    return path;
}

/* It reads its keys again, or says that it can't, and goes on with those it has. */
static void keys_reload(void)
{
    kill(run_.pid, SIGHUP);
    for (int64_t end = now_ms() + RUN_WAIT_MS;
         metric("key_loads_total") < 2 && metric("key_errors_total") == 0; pause_ms(5))
        if (now_ms() > end)
            broken("the keys are not read again");
    if (metric("key_errors_total") > 0 && strstr(log_text(), "keys not read") == NULL)
        broken("keys that can't be read are not logged");
}

/* Sockets that are handed over, a manager that is told, memory that is limited, keys, no stdin. */
static void scene_service(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    socklen_t len = sizeof in;
    int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(un.sun_path, sizeof un.sun_path, "%s", in_dir("n"));
    ck_assert_int_eq(bind(manager, (struct sockaddr *)&un, sizeof un), 0);
    run_.given = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert(bind(run_.given, (struct sockaddr *)&in, sizeof in) == 0 &&
              listen(run_.given, 8) == 0 &&
              getsockname(run_.given, (struct sockaddr *)&in, &len) == 0);
    run_.port = ntohs(in.sin_port);
    char admin[160];
    snprintf(admin, sizeof admin, "unix:%s", in_dir("s"));
    run_.admin = true;
    start(1, (const char *const[]){"--admin", admin, "--ring", "1M", "--max-memory", "200M",
                                   "--max-connections", "50", "--drain", "100ms", "--key-file",
                                   keys_file(), "--anonymous", "publish,subscribe", NULL});
    close(run_.given); /* the server's is one of its own */
    keys_reload();
    check_and_stop();
}

/* Lets the server have no descriptor more, and a client come. */
static void no_descriptors(void)
{
    struct rlimit before, none;
    unsigned unused;
    ck_assert_int_eq(prlimit(run_.pid, RLIMIT_NOFILE, NULL, &before), 0);
    descriptors(&unused);
    none = (struct rlimit){unused, before.rlim_max};
    ck_assert_int_eq(prlimit(run_.pid, RLIMIT_NOFILE, &none, NULL), 0);
    struct client *c = dial(true);
    tell(c, "GET /-/sse.js HTTP/1.1\r\nHost: test\r\n\r\n");
    struct pollfd p = {c->fd, POLLIN, 0}; /* a fault may keep it from answering before it has one */
    for (int64_t end = now_ms() + RUN_WAIT_MS; poll(&p, 1, 30) == 0 && fired() == 0;)
        if (now_ms() > end)
            broken("without a descriptor it does not answer");
    ck_assert_int_eq(prlimit(run_.pid, RLIMIT_NOFILE, &before, NULL), 0);
    if (c->fd != -1 && find(c, "HTTP/1.1 ") != NULL && strncmp(c->buf + 9, "503", 3) != 0 &&
        fired() == 0)
        broken("without a descriptor it answers %.100s", c->buf);
}

/* One who does not read, until its socket is full; then it does. */
static void slow_reader(void)
{
    static char data[BIG];
    struct client *c = dial_narrow(true, 4096);
    tell(c, "GET /big HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n");
    answered(c, "200");
    for (int i = 0; i < 10; i++) {
        memset(data, 'a' + i, sizeof data - 1);
        publish_as(false, "text/plain", "201", "/big", data, sizeof data, NULL);
    }
    publish(true, "/big", "that was all");
    hear(c, "data: that was all\n");
}

/* A body too large for one read, whose memory is given back at its end. */
static void large_body(void)
{
    static char data[4 * BIG];
    memset(data, 'x', sizeof data);
    for (int times = 0; times < 2; times++) {
        struct client *c = dial(true);
        tell(c, "POST /large HTTP/1.1\r\nHost: test\r\nContent-Length: %zu\r\n\r\n", sizeof data);
        tell_n(c, data, sizeof data / 2);
        pause_ms(20);
        tell_n(c, data, sizeof data - sizeof data / 2);
        bool done = answered(c, "201");
        drop(c);
        if (done)
            return;
    }
    broken("a large body can't be published");
}

/* All ways to publish and subscribe, slow, broken and too many clients. */
static void scene_clients(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct linger reset = {1, 0};
    char id[64];
    int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(un.sun_path, sizeof un.sun_path, "%s", in_dir("s"));
    ck_assert_int_eq(bind(stale, (struct sockaddr *)&un, sizeof un), 0);
    close(stale);
    START("--max-connections", "12", "--max-per-address", "100", "--ring", "8M",
          "--request-timeout", "3s", "--log", "debug");
    struct client *all[4];
    publish_as(true, "text/plain", "201", "/t", "zero", 4, id);
    all[0] = subscribe(true, "/*,t");
    all[1] = subscribe_lines(false, "/t");
    all[2] = subscribe_socket(true, "/t");
    all[3] = dial(false);
    tell(all[3], "GET /t?since=%s&wait=50 HTTP/1.1\r\nHost: test\r\n\r\n", id);
    publish(false, "/t", "one");
    hear_all(all, 4, "one");
    if (all[2]->fd != -1)
        tell_frame(all[2], "two");
    else /* it was the one that is lost */
        publish(false, "/t", "two");
    hear_all(all, 3, "two");
    static const char batch[] = "{\"data\":\"three\"}\n{\"data\":\"four\"}\n";
    publish_as(true, "application/x-ndjson", "201", "/t", batch, sizeof batch - 1, NULL);
    hear_all(all, 3, "four");
    slow_reader();
    large_body();
    struct client *gone = subscribe(true, "/t");
    if (gone->fd != -1)
        setsockopt(gone->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    drop(gone);
    struct client *last = dial(true);
    tell(last, "GET /-/healthy HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    answered(last, "200");
    drop(last);
    quiet_check("with clients,");
    no_descriptors();
    struct client *half = dial(true); /* which no time limit ends while descriptors are counted */
    tell(half, "GET /t HTTP/1.1\r\nHo");
    struct client *idle[14];
    for (unsigned i = 0; i < COUNT(idle); i++)
        idle[i] = dial(i % 2 == 0);
    struct client *over = dial(true);
    tell(over, "GET /-/sse.js HTTP/1.1\r\nHost: test\r\n\r\n");
    if (over->fd != -1 && find(over, "HTTP/1.1 ") != NULL && fired() == 0)
        answered(over, "503");
    drop(over);
    for (unsigned i = 0; i < COUNT(idle); i++)
        drop(idle[i]);
    pause_ms(50);
    if (half->fd != -1)
        answered(half, "408");
    publish(false, "/t", "five");
    hear_all(all, 3, "five");
    check_and_stop();
}

/* It is told to stop while clients of all kinds are there. */
static void scene_drain(void)
{
    char id[64];
    START("--log", "debug");
    publish_as(true, "text/plain", "201", "/t", "zero", 4, id);
    subscribe(true, "/t");
    subscribe_lines(false, "/t");
    subscribe_socket(true, "/t");
    struct client *poll = dial(false);
    tell(poll, "GET /t?since=%s&wait=50 HTTP/1.1\r\nHost: test\r\n\r\n", id);
    dial(true);
    pause_ms(20);
    stop();
}

/* Upgrades it; again if the first time was refused. */
static void upgrade(void)
{
    for (int times = 0; times < 2; times++) {
        long long refused = metric("upgrades_refused_total");
        int64_t end = now_ms() + RUN_WAIT_MS;
        kill(run_.pid, SIGUSR2);
        while (metric("upgrades_total") == 0 && metric("upgrades_refused_total") == refused) {
            if (now_ms() > end)
                broken("it neither upgrades nor refuses to");
            pause_ms(5);
        }
        if (metric("upgrades_total") == 1)
            return;
        if (fired() == 0 && atomic_load(&run_.faults->armed[2].fired) == 0)
            broken("it refuses to upgrade");
        if (strstr(log_text(), "not upgraded") == NULL)
            broken("it refused to upgrade and did not log why");
    }
    if (run_.faults->armed[2].error == 0)
        broken("it refuses to upgrade twice");
}

static void upgraded_with(const char *const flags[])
{
    char id[64];
    struct client *all[4];
    start_with(flags);
    publish_as(true, "text/plain", "201", "/t", "zero", 4, id);
    all[0] = subscribe(true, "/t");
    all[1] = subscribe_lines(false, "/t");
    all[2] = subscribe_socket(true, "/t");
    all[3] = dial(false);
    tell(all[3], "GET /t?since=%s&wait=50 HTTP/1.1\r\nHost: test\r\n\r\n", id);
    upgrade();
    publish(true, "/t", "one");
    hear_all(all, 4, "one");
    quiet_check("with clients,");
    check_and_stop();
}

static void scene_upgrade(void)
{
    upgraded_with((const char *const[]){"--max-per-address", "100", NULL});
}

/* A program that passes its trial, and then can't be started: armed beforehand. */
static void scene_no_exec(void)
{
    upgraded_with((const char *const[]){"--log", "info", NULL});
}

/* ---- scenes with a store --------------------------------------------------------------------- */

static char template[128]; /* what a server left that was killed */

/* Leaves that. */
static void scene_killed(void)
{
    int status;
    START("--store", template, "--ring", "64K", "--fsync", "interval");
    for (int i = 0; i < 3; i++)
        publish(true, "/t", "kept");
    kill(run_.pid, SIGKILL);
    waitpid(run_.pid, &status, 0);
    run_.pid = 0;
}

/* A copy of it, of this run alone. */
static const char *store_killed(void)
{
    static char bytes[256 << 10];
    int from = open(template, O_RDONLY | O_CLOEXEC);
    int to = open(in_dir("store"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ssize_t n = read(from, bytes, sizeof bytes);
    ck_assert(from != -1 && to != -1 && n > 64 << 10 && write(to, bytes, (size_t)n) == n);
    close(from);
    close(to);
    return in_dir("store");
}

/* What was kept is there, and what is published is synced. */
static void store_serves(unsigned kept, bool syncs)
{
    struct client *old = dial(false);
    tell(old, "GET /t?since=-100 HTTP/1.1\r\nHost: test\r\n\r\n");
    if (kept > 0 && answered(old, "200"))
        hear(old, "kept");
    drop(old);
    struct client *c = subscribe(true, "/t");
    publish(false, "/t", "one");
    hear(c, "one");
    for (int64_t end = now_ms() + RUN_WAIT_MS;
         syncs && metric("store_syncs_total") + metric("store_errors_total") == 0; pause_ms(20))
        if (now_ms() > end)
            broken("the store is not synced");
    publish(true, "/t", "two");
    if (c->fd != -1)
        hear(c, "two");
    for (int64_t end = now_ms() + RUN_WAIT_MS; sync_failed(); pause_ms(20)) {
        alive_check(20); /* it ends, and so does this run */
        if (now_ms() > end)
            broken("a sync failed, and it goes on");
    }
}

static void scene_store_always(void)
{
    START("--store", in_dir("store"), "--ring", "64K", "--fsync", "always");
    store_serves(0, true);
    check_and_stop();
}

/* Makes that file one of the format before. */
static const char *store_old(void)
{
    const char *path = store_killed();
    char head[48];
    const uint32_t version = 1;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert(fd != -1 && pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head);
    memcpy(head + 12, &version, sizeof version);
    uint64_t check = hash_table(1, 1, (struct span){head, 40});
    memcpy(head + 40, &check, sizeof check);
    ck_assert(pwrite(fd, head, sizeof head, 0) == (ssize_t)sizeof head);
    close(fd);
    return path;
}

/* One that was not closed, and is of the format before; the thread that syncs, and an upgrade. */
static void scene_store_interval(void)
{
    START("--store", store_old(), "--fsync", "interval");
    store_serves(3, true);
    upgrade();
    store_serves(3, true);
    check_and_stop();
}

static void scene_store_resized(void)
{
    START("--store", store_killed(), "--ring", "128K", "--fsync", "never");
    store_serves(3, false);
    check_and_stop();
}

/* On a file system without fallocate(): armed beforehand. */
static void scene_store_filled(void)
{
    START("--store", in_dir("store"), "--ring", "64K", "--fsync", "never");
    store_serves(0, false);
    struct client *c = dial(false);
    tell(c, "DELETE /t HTTP/1.1\r\nHost: test\r\n\r\n");
    (void)answered(c, "200");
    drop(c);
    check_and_stop();
}

/* A file that was being made, larger, when the machine went down: zeros. */
static void scene_store_zeros(void)
{
    int fd = open(in_dir("store"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(ftruncate(fd, 192 << 10), 0);
    close(fd);
    START("--store", in_dir("store"), "--ring", "64K", "--fsync", "never");
    store_serves(0, false);
    check_and_stop();
}

/* It only tells how it is used. */
static void scene_help(void)
{
    int status;
    pid_t parent = getpid();
    int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    run_.err = memfd_create("stderr", MFD_CLOEXEC);
    run_.pid = fork();
    if (run_.pid == 0)
        become((const char *const[]){"--help", NULL}, out, parent);
    ck_assert_int_eq(waitpid(run_.pid, &status, 0), run_.pid);
    run_.pid = 0;
    log_check();
    if (!WIFEXITED(status) || WEXITSTATUS(status) != (fired() > 0 ? EX_IOERR : 0))
        broken("--help ended with status %#x", (unsigned)status);
}

/* In the order in which they are asked for a site: the cheap ones first; the richest one is the
 * last. `armed`: what fails in it each time. */
static const struct {
    const char *name;
    void (*play)(void);
    const char *armed;
    int error;
} scenes[] = {
    {"help", scene_help, NULL, 0},
    {"short", scene_short, NULL, 0},
    {"user", scene_user, NULL, 0},
    {"service", scene_service, NULL, 0},
    {"drain", scene_drain, NULL, 0},
    {"store-always", scene_store_always, NULL, 0},
    {"store-resized", scene_store_resized, NULL, 0},
    {"store-filled", scene_store_filled, "fallocate", EOPNOTSUPP},
    {"store-zeros", scene_store_zeros, NULL, 0},
    {"upgrade", scene_upgrade, NULL, 0},
    {"no-exec", scene_no_exec, "execvp", ENOENT},
    {"store-interval", scene_store_interval, NULL, 0},
    {"clients", scene_clients, NULL, 0},
};
#define SCENES COUNT(scenes)

#endif
