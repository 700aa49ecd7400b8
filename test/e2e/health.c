/*
 * health.c - `sse health`: what it says of servers that are ready, that are not, and of those
 * that are none.
 */
#include "test/kit/e2e.h"
#include "test/kit/kit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

static char out[E2E_OUTPUT], err[E2E_OUTPUT];

/* Runs it; it must exit with this status, and what it says hold this text (NULL: it is silent). */
static void health_with(int line, const char *const flags[], int status, const char *text)
{
    int got = e2e_run(flags, out, err);
    const char *said = status == EX_OK ? out : err;
    if (got != status || (status == EX_OK ? err : out)[0] != '\0' ||
        (text == NULL ? said[0] != '\0' : strstr(said, text) == NULL))
        e2e_fail("line %d: wanted %d and \"%s\", came %d: %s%s", line, status,
                 text != NULL ? text : "", got, out, err);
}
#define health(status, text, ...) \
    health_with(__LINE__, (const char *const[]){"health", __VA_ARGS__, NULL}, status, text)

/* Runs it with these variables and no arguments; returns its exit status. */
static int health_by(const char *variables)
{
    char command[1024];
    const char *binary = getenv("SSE_BIN");
    snprintf(command, sizeof command, "%s exec %s health", variables,
             binary != NULL ? binary : "build/gcc-asan/sse");
    FILE *p = popen(command, "r");
    ck_assert_ptr_nonnull(p);
    ck_assert_int_eq(fgetc(p), EOF);
    int status = pclose(p);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* ---- servers --------------------------------------------------------------------------------- */

static struct e2e_server s;

static char *port_of(const struct e2e_server *of)
{
    static char port[16];
    snprintf(port, sizeof port, "%d", of->port);
    return port;
}

START_TEST(ready)
{
    char url[300], variables[300];
    e2e_start(&s, "--bind", "127.0.0.1", "--bind", "::1", NULL);
    const char *port = port_of(&s);
    health(EX_OK, NULL, s.address[0]);
    health(EX_OK, NULL, s.address[1]);
    snprintf(url, sizeof url, "http://LocalHost:%s/-/healthy", port);
    health(EX_OK, NULL, url);
    health(EX_OK, NULL, "--port", port);
    health(EX_OK, NULL, "--timeout", "60", "--bind=0.0.0.0", "--port", port);
    health(EX_OK, NULL, "--timeout=60", "-p", port, "--ring", "1M", "--access-log");
    snprintf(url, sizeof url, "--bind=127.0.0.1:%s", port);
    health(EX_OK, NULL, "--port", "0", url, "--admin", "127.0.0.1:1", "--host", "a.example");
    snprintf(variables, sizeof variables, "SSE_PORT=%s", port);
    ck_assert_int_eq(health_by(variables), EX_OK);
    snprintf(variables, sizeof variables, "SSE_BIND='127.0.0.1 ::1' SSE_PORT=%s", port);
    ck_assert_int_eq(health_by(variables), EX_OK);
    e2e_stop(&s);
    health(EX_UNAVAILABLE, ": Connection refused\n", "-p", port);
    ck_assert_int_eq(health_by(variables), EX_UNAVAILABLE);
}
END_TEST

START_TEST(over_a_unix_socket)
{
    char place[100], variables[200];
    snprintf(place, sizeof place, "unix:/tmp/sse-health-%d", (int)getpid());
    e2e_start(&s, "--bind", place, NULL);
    health(EX_OK, NULL, place);
    health(EX_OK, NULL, "--bind", place);
    snprintf(variables, sizeof variables, "SSE_BIND=%s", place);
    ck_assert_int_eq(health_by(variables), EX_OK);
    e2e_stop(&s);
    health(EX_UNAVAILABLE, ": No such file or directory\n", "-b", place);
}
END_TEST

/* A full server is not a dead one. */
START_TEST(full)
{
    e2e_start(&s, "--max-connections", "2", NULL);
    e2e_subscribe(&s, "/a", NULL);
    e2e_subscribe(&s, "/a", NULL);
    for (int i = 0; i < 3; i++)
        health(EX_OK, NULL, s.address[0]);
    e2e_stop(&s);
}
END_TEST

/* It is the server's own refusal that is told. */
START_TEST(refused)
{
    char url[300];
    e2e_start(&s, "--topic", "news", "--max-line", "1K", NULL);
    snprintf(url, sizeof url, "%s/olds", s.address[0]);
    health(EX_UNAVAILABLE, "is not ready: there is no topic", url);
    e2e_stop(&s);
}
END_TEST

/* ---- what is no server ----------------------------------------------------------------------- */

static struct {
    int listener;
    pid_t pid;
    char url[64];
} fake;

/* A process that lets one come, and says this to it whatever it asks; NULL: nothing, for ever. */
static void fake_start(const char *answer)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof in;
    fake.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(fake.listener, (struct sockaddr *)&in, len), 0);
    ck_assert_int_eq(listen(fake.listener, 10), 0);
    ck_assert_int_eq(getsockname(fake.listener, (struct sockaddr *)&in, &len), 0);
    snprintf(fake.url, sizeof fake.url, "http://127.0.0.1:%d", ntohs(in.sin_port));
    fake.pid = fork();
    ck_assert_int_ne(fake.pid, -1);
    if (fake.pid != 0)
        return;
    char request[4096];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = accept(fake.listener, NULL, NULL);
    ssize_t n = read(fd, request, sizeof request);
    static const char start[] = "GET /-/ready HTTP/1.1\r\nHost: ";
    if (n < (ssize_t)sizeof start || memcmp(request, start, sizeof start - 1) != 0)
        _exit(1);
    if (answer == NULL)
        pause();
    while (answer[0] == '-') /* a sign of life, but no end */
        if (write(fd, answer, 1) != 1 || usleep(100000) == -1)
            _exit(0);
    size_t size = strlen(answer);
    _exit(write(fd, answer, size) == (ssize_t)size ? 0 : 1);
}

static void fake_end(void)
{
    int status;
    kill(fake.pid, SIGKILL);
    ck_assert_int_eq(waitpid(fake.pid, &status, 0), fake.pid);
    close(fake.listener);
}

static const struct {
    const char *answer, *said;
} fakes[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nready\n", NULL},
    {"HTTP/1.0 200 OK\r\n\r\n", NULL},
    {"HTTP/1.1 503 Service Unavailable\r\n\r\n{\"status\":503,\"detail\":\"no \\\"room\\\"\"}\n",
     " is not ready: no \"room\"\n"},
    {"HTTP/1.1 503 Service Unavailable\r\n\r\n[]", " is not ready: HTTP/1.1 503 Service Unavail"},
    {"HTTP/1.1 503 No\r\n\r\n{\"detail\":\"cut", " is not ready: HTTP/1.1 503 No\n"},
    {"HTTP/1.1 503 No\r\n\r\n{\"detail\":5}", " is not ready: HTTP/1.1 503 No\n"},
    {"HTTP/1.1 2000 OK\r\n\r\n", " is not ready: HTTP/1.1 2000 OK\n"},
    {"HTTP/1.1 200", " is not ready: HTTP/1.1 200\n"},
    {"HTTP/1.1", " does not answer in HTTP\n"},
    {"SSH-2.0-OpenSSH\r\n", " does not answer in HTTP\n"},
    {"", " does not answer in HTTP\n"},
};

START_TEST(says)
{
    fake_start(fakes[_i].answer);
    health(fakes[_i].said == NULL ? EX_OK : EX_UNAVAILABLE, fakes[_i].said, "--timeout", "60",
           fake.url);
    ck_assert(fakes[_i].said == NULL || strstr(err, fake.url) != NULL);
    fake_end();
}
END_TEST

/* One that never answers, and one whose answer never ends, take no longer than is asked for. */
START_TEST(in_time)
{
    int64_t start = e2e_now_ms();
    fake_start(_i == 0 ? NULL : "-");
    health(EX_UNAVAILABLE, ": no answer within 1 s\n", "--timeout", "1", fake.url);
    ck_assert_int_ge(e2e_now_ms() - start, 900);
    fake_end();
}
END_TEST

/* ---- arguments ------------------------------------------------------------------------------- */

static const struct {
    const char *args[4], *said;
} wrong[] = {
    {{"http://"}, "http://: must be http://ADDR[:PORT][/PATH]"},
    {{"http://example.org"}, "http://example.org: must be http://ADDR"},
    {{"http://127.0.0.1:"}, "must be http://ADDR"},
    {{"http://127.0.0.1:0"}, "must be http://ADDR"},
    {{"http://127.0.0.1:65536"}, "must be http://ADDR"},
    {{"http://127.0.0.1:80/a b"}, "must be http://ADDR"},
    {{"http://127.0.0.1:80/\r\nX: y"}, "must be http://ADDR"},
    {{"unix:"}, "unix:: must be http://ADDR"},
    {{"http://127.0.0.1", "more"}, "unexpected argument more behind the URL"},
    {{"ftp://127.0.0.1"}, "unexpected argument ftp://127.0.0.1"},
    {{"--timeout"}, "--timeout : must be seconds from 1 to 3600"},
    {{"--timeout", "0"}, "--timeout 0: must be seconds from 1 to 3600"},
    {{"--timeout", "1s"}, "--timeout 1s: must be"},
    {{"--timeout=3601"}, "--timeout 3601: must be"},
    {{"--timeouts"}, "unknown flag --timeouts"},
    {{"--explain-limits"}, "--explain-limits is a flag of the server"},
    {{"--port", "0"}, "--port 0: must be the one the server has"},
    {{"--port", "x"}, "--port"},
    {{"--bind", "localhost"}, "--bind localhost: must be an IPv4 or IPv6 address: 127.0.0.1"},
};

START_TEST(is_wrong)
{
    const char *flags[6] = {"health"};
    memcpy(flags + 1, wrong[_i].args, sizeof wrong[_i].args);
    health_with(__LINE__, flags, EX_USAGE, wrong[_i].said);
    ck_assert_msg(strncmp(err, "sse health: ", 12) == 0, "%s", err);
}
END_TEST

START_TEST(helps)
{
    health(EX_OK, "Usage: sse health ", "--help");
    health(EX_OK, "Usage: sse health ", "--timeout", "2", "-h");
    health(EX_OK, "sse 0", "--version");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("health");
    TCase *tc = tcase_create("health");
    tcase_add_test(tc, ready);
    tcase_add_test(tc, over_a_unix_socket);
    tcase_add_test(tc, full);
    tcase_add_test(tc, refused);
    tcase_add_loop_test(tc, says, 0, COUNT(fakes));
    tcase_add_loop_test(tc, in_time, 0, 2);
    tcase_add_loop_test(tc, is_wrong, 0, COUNT(wrong));
    tcase_add_test(tc, helps);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    return run(suite);
}
