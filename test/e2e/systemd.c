/*
 * systemd.c - started as a service manager does it: with sockets that listen already
 * (sd_listen_fds(3)), and one to tell how it is (sd_notify(3)).
 */
#include "test/kit/close.h"
#include "test/kit/life.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>

static struct e2e_server s;
static struct e2e_response r;

/* ---- the manager ----------------------------------------------------------------------------- */

/* What a server is started with. */
static struct {
    int given[4]; /* become descriptors 3, 4, ... */
    unsigned n;
    const char *count, *pid; /* LISTEN_FDS, LISTEN_PID; NULL: n, and its own */
    const char *names;       /* LISTEN_FDNAMES; NULL: none */
    char notify[200];        /* NOTIFY_SOCKET; empty: none */
    const char *flags[8];
} with;

static void become(int out, int err)
{
    const char *argv[16] = {program.sse, "--port", "0", "--log", "warn", "--drain", "1s"};
    char count[32], pid[32], notify[256], user[64], names[64];
    static char asan[] = "ASAN_OPTIONS=detect_leaks=1";
    static char host[] = "SSE_HOST=test t h"; /* what tests have in Host */
    char *environment[] = {
        asan, user, host, names, count, pid, with.notify[0] != '\0' ? notify : NULL, NULL};
    for (size_t i = 0; with.flags[i] != NULL; i++)
        argv[7 + i] = with.flags[i];
    snprintf(user, sizeof user, "SSE_USER=%u:%u", geteuid(), getegid());
    snprintf(names, sizeof names, "LISTEN_FDNAMES=%s", with.names != NULL ? with.names : "");
    snprintf(count, sizeof count, "LISTEN_FDS=%u", with.n);
    if (with.count != NULL)
        snprintf(count, sizeof count, "LISTEN_FDS=%s", with.count);
    snprintf(pid, sizeof pid, "LISTEN_PID=%d", (int)getpid());
    if (with.pid != NULL)
        snprintf(pid, sizeof pid, "LISTEN_PID=%s", with.pid);
    snprintf(notify, sizeof notify, "NOTIFY_SOCKET=%s", with.notify);
    int kept[COUNT(with.given)];
    out = fcntl(out, F_DUPFD, 20);
    err = fcntl(err, F_DUPFD, 20);
    for (unsigned i = 0; i < with.n; i++)
        kept[i] = fcntl(with.given[i], F_DUPFD, 20);
    dup2(out, 1);
    dup2(err, 2);
    for (unsigned i = 0; i < with.n; i++)
        dup2(kept[i], 3 + (int)i);
    close_from(3 + with.n);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execve(argv[0], (char *const *)(uintptr_t)argv, environment);
    _exit(127);
}

/* Starts one and waits for so many addresses. */
static void start(unsigned addresses)
{
    int pipes[2];
    memset(&s, 0, sizeof s);
    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    s.out = pipes[0];
    s.err = memfd_create("stderr", MFD_CLOEXEC);
    s.pid = fork();
    ck_assert_int_ne(s.pid, -1);
    if (s.pid == 0)
        become(pipes[1], s.err);
    close(pipes[1]);
    for (size_t n = 0; s.addresses < addresses;) {
        struct pollfd p = {s.out, POLLIN, 0};
        char *to = s.address[s.addresses];
        if (poll(&p, 1, E2E_WAIT_MS) != 1 || read(s.out, to + n, 1) != 1)
            e2e_fail("no address number %u; its stderr: %s", s.addresses, e2e_stderr(&s));
        if (to[n++] == '\n') {
            to[n - 1] = '\0';
            s.addresses++;
            n = 0;
        }
    }
}

/* Starts one that must refuse. */
static void fails(int status, const char *text)
{
    int got;
    start(0);
    ck_assert_int_eq(waitpid(s.pid, &got, 0), s.pid);
    if (!WIFEXITED(got) || WEXITSTATUS(got) != status || strstr(e2e_stderr(&s), text) == NULL)
        e2e_fail("wanted %d, %s; came wait status %#x: %s", status, text, (unsigned)got,
                 e2e_stderr(&s));
    char byte;
    ck_assert_int_eq(read(s.out, &byte, 1), 0);
    close(s.out);
    close(s.err);
}

static int tcp_socket(int type, bool listening, char address[64])
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof in;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, len), 0);
    if (listening)
        ck_assert_int_eq(listen(fd, 10), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    snprintf(address, 64, "http://127.0.0.1:%d", ntohs(in.sin_port));
    return fd;
}

static int unix_socket(int type, const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    size_t n = strlen(path);
    ck_assert_uint_lt(n, sizeof un.sun_path);
    memcpy(un.sun_path, path, n);
    if (path[0] == '@')
        un.sun_path[0] = '\0';
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, len), 0);
    if (type != SOCK_DGRAM)
        ck_assert_int_eq(listen(fd, 10), 0);
    return fd;
}

static void setup(void)
{
    program_make();
    memset(&with, 0, sizeof with);
}

/* A client over each address. */
static void serves(void)
{
    for (unsigned i = 0; i < s.addresses; i++) {
        struct e2e_conn *sub = e2e_open_at(&s, i), *pub = e2e_open_at(&s, i);
        e2e_subscribe_on(sub, "/t", NULL);
        e2e_send_publish(pub, "/t", "x", 1);
        e2e_response(pub, &r);
        e2e_expect_status(&r, 201, NULL);
        e2e_expect_message(sub, NULL, "x", NULL);
        e2e_close(sub);
        e2e_close(pub);
    }
}

/* ---- sockets that listen already ------------------------------------------------------------- */

/* One that is named "admin" is as one of --admin, whose own are opened beside those that are given;
 * all stay what they are in an upgrade. */
START_TEST(admin_sockets)
{
    static const char *const names[] = {"web:admin", "admin:web", "x:admin:y", ":adminx"};
    char address[64], other[64], path[100], own[128];
    bool named = _i != 3;
    snprintf(path, sizeof path, "%s/admin", program.dir);
    snprintf(own, sizeof own, "unix:%s", path);
    with.given[0] = tcp_socket(SOCK_STREAM, true, address);
    with.given[1] = tcp_socket(SOCK_STREAM, true, other);
    with.n = 2;
    with.names = names[_i];
    with.flags[0] = "--admin";
    with.flags[1] = own;
    start(3);
    const char *admin = _i == 1 ? address : other, *main = _i == 1 ? other : address;
    char want[80];
    snprintf(want, sizeof want, "%s%s", named ? "admin " : "", admin);
    ck_assert_str_eq(s.address[0], main);
    ck_assert_str_eq(s.address[1], want);
    ck_assert_int_eq(strncmp(s.address[2], "admin unix:/", 12), 0);
    for (int upgraded = 0; upgraded < 2; upgraded++) {
        for (unsigned i = 0; i < 3; i++) {
            bool is_admin = i == 2 || (i == 1 && named);
            snprintf(s.admin, sizeof s.admin, "%s", s.address[i] + (is_admin ? 6 : 0));
            e2e_ask_admin(&s, &r, "GET /a HTTP/1.1\r\nHost: t\r\n\r\n");
            e2e_expect_status(&r, is_admin ? 404 : 204, is_admin ? "--admin" : NULL);
            e2e_ask_admin(&s, &r, "GET /-/metrics HTTP/1.1\r\nHost: t\r\n\r\n");
            e2e_expect_status(&r, is_admin ? 200 : 404, is_admin ? NULL : "--admin");
        }
        if (!upgraded)
            upgrade(&s, 1); /* which asks at the last of these */
    }
    e2e_stop(&s);
    ck_assert_int_eq(access(path, F_OK), -1); /* its own it removes */
    for (unsigned i = 0; i < with.n; i++)
        close(with.given[i]);
}
END_TEST

/* One or two are served, and --bind is not listened at; they outlive an upgrade, and the server. */
START_TEST(sockets)
{
    char address[64], path[100], bind[128];
    snprintf(path, sizeof path, "%s/given", program.dir);
    snprintf(bind, sizeof bind, "unix:%s/bound", program.dir);
    with.given[0] = tcp_socket(SOCK_STREAM, true, address);
    with.given[1] = unix_socket(SOCK_STREAM, path);
    with.n = _i == 0 ? 1 : 2;
    if (_i == 2) { /* the other way around */
        with.given[2] = with.given[0];
        with.given[0] = with.given[1];
        with.given[1] = with.given[2];
    }
    with.flags[0] = "--bind";
    with.flags[1] = bind;
    start(with.n);
    ck_assert_str_eq(s.address[_i == 2 ? 1 : 0], address);
    if (_i > 0) {
        ck_assert_int_eq(strncmp(s.address[_i == 2 ? 0 : 1], "unix:", 5), 0);
        ck_assert_str_eq(s.address[_i == 2 ? 0 : 1] + 5, path);
    }
    ck_assert_int_eq(access(bind + 5, F_OK), -1);
    serves();
    has_read_all(&s);
    unsigned n = descriptors(&s);
    upgrade(&s, 1);
    serves();
    upgrade(&s, 2);
    serves();
    descriptors_become(&s, n);
    e2e_stop(&s);
    ck_assert_int_eq(access(path, F_OK), 0); /* its name is the manager's */
    start(with.n);                           /* who waits meanwhile is served by the next */
    serves();
    e2e_stop(&s);
    unlink(path);
}
END_TEST

/* One who connects before there is a server waits for it. */
START_TEST(waits_for_it)
{
    with.given[0] = tcp_socket(SOCK_STREAM, true, s.address[0]);
    with.n = s.addresses = 1;
    struct e2e_conn *c = e2e_open_at(&s, 0);
    e2e_send(c, "GET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n");
    start(1);
    e2e_response(c, &r);
    e2e_expect_status(&r, 200, NULL);
    e2e_stop(&s);
}
END_TEST

/* What is no socket that listens for streams. */
START_TEST(wrong)
{
    char address[64], good[64];
    int other = tcp_socket(SOCK_STREAM, true, good), pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    const int fd[] = {
        open("/dev/null", O_RDWR | O_CLOEXEC),      tcp_socket(SOCK_DGRAM, false, address),
        tcp_socket(SOCK_STREAM, false, address),    unix_socket(SOCK_DGRAM, in_dir("dgram")),
        unix_socket(SOCK_SEQPACKET, in_dir("seq")), pair[0],
    };
    for (size_t i = 0; i < 2 * COUNT(fd); i++) {
        with.given[i % 2] = fd[i / 2];
        with.given[1 - i % 2] = other;
        with.n = 2;
        fails(EX_CONFIG, i % 2 == 0 ? "descriptor 3, handed over by LISTEN_FDS, is no socket"
                                    : "descriptor 4, handed over by LISTEN_FDS, is no socket");
    }
    with.count = "3"; /* there are two */
    with.given[0] = with.given[1] = other;
    fails(EX_CONFIG, "descriptor 5");
}
END_TEST

/* Meant for another process, or nonsense: as if it were not there. */
START_TEST(not_for_it)
{
    static const struct {
        const char *count, *pid;
    } row[] = {{NULL, "1"}, {NULL, ""}, {NULL, "x"}, {"0", NULL}, {"", NULL}, {"-1", NULL}};
    char address[64];
    with.given[0] = tcp_socket(SOCK_STREAM, true, address);
    with.n = 1;
    for (size_t i = 0; i < COUNT(row); i++) {
        with.count = row[i].count;
        with.pid = row[i].pid;
        start(1);
        if (strcmp(s.address[0], address) == 0)
            e2e_fail("row %zu: it listens at %s", i, address);
        serves();
        e2e_stop(&s);
    }
}
END_TEST

/* ---- how it is ------------------------------------------------------------------------------- */

static void told(int fd, const char *state)
{
    char text[256];
    struct pollfd p = {fd, POLLIN, 0};
    if (poll(&p, 1, E2E_WAIT_MS) != 1)
        e2e_fail("it was not told %s", state);
    ssize_t n = recv(fd, text, sizeof text - 1, 0);
    ck_assert_int_gt(n, 0);
    text[n] = '\0';
    ck_assert_str_eq(text, state);
}

static void told_nothing(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};
    ck_assert_int_eq(poll(&p, 1, 0), 0);
}

/* A path or an abstract name. It is ready when it says so, again after an upgrade, and tells that
 * it stops. */
START_TEST(states)
{
    snprintf(with.notify, sizeof with.notify, _i == 0 ? "%s/notify" : "@%s/notify", program.dir);
    int fd = unix_socket(SOCK_DGRAM, with.notify);
    start(0);
    told(fd, "READY=1");
    char byte = 0;
    for (size_t n = 0; byte != '\n'; n++) {
        ck_assert_int_eq(read(s.out, &byte, 1), 1);
        s.address[0][n] = byte == '\n' ? '\0' : byte;
    }
    s.addresses = 1;
    serves();
    told_nothing(fd);
    for (int i = 1; i <= 2; i++) {
        upgrade(&s, i);
        told(fd, "READY=1");
        told_nothing(fd);
        serves();
    }
    struct e2e_conn *half = e2e_open(&s);
    e2e_send(half, "GET /-/healthy HTTP");
    has_read_all(&s);
    kill(s.pid, SIGTERM);
    told(fd, "STOPPING=1");
    ck_assert_int_eq(kill(s.pid, 0), 0);
    e2e_send(half, "/1.1\r\nHost: test\r\n\r\n");
    e2e_response(half, &r);
    e2e_expect_status(&r, 200, NULL);
    e2e_close(half);
    e2e_stop(&s);
    told_nothing(fd);
}
END_TEST

/* Nobody can be told, or not now: it says so, and serves. */
START_TEST(nobody_to_tell)
{
    static const char *const names[] = {"/tmp/no/such/socket", "@sse-test-no-such", "relative"};
    snprintf(with.notify, sizeof with.notify, "%s", names[_i]);
    start(1);
    serves();
    upgrade(&s, 1);
    serves();
    e2e_stop_log(&s, SIGTERM, "level=warn msg=\"cannot notify\" error=");
}
END_TEST

/* A manager that does not listen to what it is told does not stop anything. */
START_TEST(manager_hangs)
{
    snprintf(with.notify, sizeof with.notify, "@%s/notify", program.dir);
    int fd = unix_socket(SOCK_DGRAM, with.notify), to[64];
    size_t senders = 0;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t n = strlen(with.notify);
    memcpy(un.sun_path + 1, with.notify + 1, n - 1);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    for (unsigned sent = 1; sent > 0; senders++) { /* until one has no room for its first */
        ck_assert_uint_lt(senders, COUNT(to));
        to[senders] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        for (sent = 0; sendto(to[senders], "x", 1, MSG_DONTWAIT, (struct sockaddr *)&un, len) == 1;)
            sent++;
        ck_assert_int_eq(errno, EAGAIN);
    }
    start(1);
    serves();
    e2e_stop_log(&s, SIGTERM, "cannot notify");
    while (senders > 0)
        close(to[--senders]);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("systemd");
    TCase *tc = tcase_create("sockets that listen already");
    tcase_add_checked_fixture(tc, setup, program_remove);
    tcase_add_loop_test(tc, sockets, 0, 3);
    tcase_add_loop_test(tc, admin_sockets, 0, 4);
    tcase_add_test(tc, waits_for_it);
    tcase_add_test(tc, wrong);
    tcase_add_test(tc, not_for_it);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    tc = tcase_create("how it is");
    tcase_add_checked_fixture(tc, setup, program_remove);
    tcase_add_loop_test(tc, states, 0, 2);
    tcase_add_loop_test(tc, nobody_to_tell, 0, 3);
    tcase_add_test(tc, manager_hangs);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    return run(suite);
}
