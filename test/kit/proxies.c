/*
 * proxies.c - real proxies before the server.
 */
#include "test/kit/proxies.h"

#include "test/kit/close.h"
#include "test/kit/kit.h"
#include "test/kit/port.h"
#include "test/kit/spare.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORD   192   /* the longest in the place of another */
#define NOBODY 65534 /* whom a proxy runs as where it can be anyone */

const struct proxy_kind proxy_kinds[] = {
    {.name = "nginx",
     .there = "command -v nginx",
     .package = "nginx",
     .config = "nginx.conf",
     .argv = {"nginx", "-p", ".", "-c", "nginx.conf"},
     .behind = " proxy_protocol",
     .told = {"$remote_addr", "$proxy_protocol_addr"},
     .untold = {"X-Forwarded-For", "X-Nothing"},
     .impatient = true,
     .tls = true,
     .puts_off = true,
     .notices = true},
    {.name = "caddy",
     .there = "command -v caddy",
     .package = "caddy",
     .config = "Caddyfile",
     .argv = {"caddy", "run", "--config", "Caddyfile"},
     .tls = true,
     .puts_off = true,
     .notices = true},
    {.name = "haproxy",
     .there = "command -v haproxy",
     .package = "haproxy",
     .config = "haproxy.cfg",
     .argv = {"haproxy", "-db", "-f", "haproxy.cfg"},
     .behind = " accept-proxy",
     .untold = {"option forwardfor", "option httplog"},
     .impatient = true,
     .tls = true,
     .puts_off = true,
     .notices = true},
    {.name = "apache",
     .there = "command -v apache2",
     .package = "apache2",
     .config = "apache.conf",
     .argv = {"sh", "-c", "rm -f apache.pid; exec apache2 -X -d \"$PWD\" -f apache.conf"},
     .behind = "\nLoadModule remoteip_module /usr/lib/apache2/modules/mod_remoteip.so"
               "\nRemoteIPProxyProtocol on",
     .impatient = true,
     .tls = true,
     .puts_off = true},
    {.name = "lighttpd",
     .there = "test -e /usr/lib/lighttpd/mod_openssl.so && command -v lighttpd",
     .package = "lighttpd",
     .config = "lighttpd.conf",
     .argv = {"lighttpd", "-D", "-f", "lighttpd.conf"},
     .behind = "\nserver.modules += (\"mod_extforward\")"
               "\nextforward.forwarder = (\"127.0.0.1\" => \"trust\")"
               "\nextforward.hap-PROXY = \"enable\"",
     .impatient = true,
     .tls = true,
     .notices = true},
    {.name = "varnish",
     .there = "command -v varnishd",
     .package = "varnish",
     .config = "varnish.vcl",
     .argv = {"sh", "-c", "exec varnishd -F -n \"$PWD/varnish\" -f \"$PWD/varnish.vcl\" \"$@\"",
              "sh", "-a", "127.0.0.1:8000", "-p", "pipe_timeout=75"},
     .behind = ",PROXY",
     .impatient = true,
     .puts_off = true,
     .notices = true},
    {.name = "squid", /* before 5 it passes no WebSocket on */
     .there = "squid -v | grep -E 'Version ([5-9]|[1-9][0-9])'",
     .package = "squid",
     .config = "squid.conf",
     .argv = {"sh", "-c", "exec squid -N -n sse$$ -f squid.conf"},
     .litters = true,
     .behind = " require-proxy-header",
     .told = {"forwarded_for", "proxy_protocol_access allow all\nforwarded_for"},
     .impatient = true,
     .notices = true},
    {.name = "nghttpx",
     .there = "command -v nghttpx",
     .package = "nghttp2-proxy",
     .config = "nghttpx.conf",
     .argv = {"nghttpx", "--single-process", "--conf=nghttpx.conf"},
     .behind = ";proxyproto",
     .untold = {"add-x-forwarded-for=yes", "add-x-forwarded-for=no"},
     .impatient = true,
     .tls = true,
     .notices = true},
};
const int proxy_kinds_n = COUNT(proxy_kinds);

static char directory[64];

bool proxy_there(int kind)
{
    const struct proxy_kind *k = &proxy_kinds[kind];
    char what[96];
    snprintf(what, sizeof(what), "all through %s: it is not installed, or too old", k->name);
    return can(k->there, what);
}

/* ---- processes ---- */

/* A proxy is nobody, and so is whom its directory belongs to, where this process may be anyone: one
 * that was root and is no longer would outlive its test, as the kernel then forgets whom it is to
 * die with. */
static bool be_nobody(void)
{
    return geteuid() != 0 ||
           (setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
}

static void give_to_nobody(const char *path)
{
    ck_assert(geteuid() != 0 || chown(path, NOBODY, NOBODY) == 0);
}

static pid_t spawn(const char *const argv[], const char *package, int in, int out, bool nobody)
{
    static const char *const environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
                                              "HOME=.", "XDG_DATA_HOME=.", "XDG_CONFIG_HOME=.",
                                              NULL};
    pid_t parent = getpid(), pid = fork();
    ck_assert_int_ne(pid, -1);
    if (pid > 0)
        return pid;
    bool may = !nobody || be_nobody();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (may && getppid() == parent && dup2(in == -1 ? null : in, 0) != -1 &&
        dup2(out == -1 ? null : out, 1) != -1 && chdir(directory) == 0) {
        close_later_from(3);
        /* The PATH of the environment counts, which a tester's may be shorter than. */
        setenv("PATH", environment[0] + 5, 1);
        execvpe(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)environment);
    }
    dprintf(2, "%s can't be run (%s): these tests need it; apt-get install %s\n", argv[0],
            strerror(errno), package);
    _exit(127);
}

pid_t proxies_spawn(const char *const argv[], const char *package, int in, int out)
{
    return spawn(argv, package, in, out, false);
}

void proxy_stop(struct proxy *p)
{
    kill(p->pid, p->gently ? SIGTERM : SIGKILL);
    waitpid(p->pid, NULL, 0);
}

/* ---- configurations ---- */

/* Writes a line; the first of `from` that is in it is replaced. */
static void replace(FILE *out, const char *line, const char *const from[], char to[][WORD])
{
    const char *rest = line, *at = NULL;
    for (size_t i = 0; from[i] != NULL && at == NULL; i++) {
        if ((at = strstr(line, from[i])) != NULL) {
            fprintf(out, "%.*s%s", (int)(at - line), line, to[i]);
            rest = at + strlen(from[i]);
        }
    }
    fputs(rest, out);
}

/* Copies a configuration into the directory; what it says in the place of `from` is replaced. */
static void config_write(const char *name, const char *const from[], char to[][WORD])
{
    char path[128], line[512];
    snprintf(path, sizeof(path), "test/proxy/%s", name);
    FILE *in = fopen(path, "re");
    if (in == NULL)
        e2e_fail("%s: %s (the tests run in the project's root)", path, strerror(errno));
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *out = fopen(path, "we");
    ck_assert_ptr_nonnull(out);
    while (fgets(line, sizeof(line), in) != NULL)
        replace(out, line, from, to);
    fclose(in);
    ck_assert_int_eq(fclose(out), 0);
    give_to_nobody(path);
}

/* ---- a proxy ---- */

/* Waits until the proxy listens at a port. */
static void proxy_wait(const struct proxy *p, const char *name, const char *package, int port)
{
    int status;
    int64_t deadline = e2e_now_ms() + E2E_WAIT_MS;
    while (!port_listens(port)) {
        if (waitpid(p->pid, &status, WNOHANG) != 0)
            e2e_fail("%s (of the package %s) ended with status %#x", name, package,
                     (unsigned)status);
        if (e2e_now_ms() > deadline)
            e2e_fail("%s did not listen in time", name);
        e2e_sleep_ms(5);
    }
}

/* Takes the proxy's port. */
static int proxy_port(struct proxy *p)
{
    int port = port_take();
    p->at.addresses = 1;
    p->at.port = port;
    snprintf(p->at.address[0], sizeof(p->at.address[0]), "http://127.0.0.1:%d", port);
    return port;
}

/* Starts it with this behind its port, these timeouts, and a word in the place of another. */
static void start(struct proxy *p, int kind, const struct e2e_server *s, const char *behind,
                  const char *patience, const char *const words[2])
{
    const struct proxy_kind *k = &proxy_kinds[kind];
    const char *const from[] = {"8080", "8000", "8443", "75", words[0], NULL};
    char to[5][WORD] = {""}, *argv[COUNT(k->argv)] = {NULL};
    size_t size;
    int port = proxy_port(p);
    p->gently = k->litters;
    p->tls = k->tls ? port_take() : -1;
    snprintf(to[0], WORD, "%d", s->port);
    snprintf(to[1], WORD, "%d%s", port, behind);
    snprintf(to[2], WORD, "%d", p->tls);
    snprintf(to[3], WORD, "%s", patience);
    snprintf(to[4], WORD, "%s", words[1] != NULL ? words[1] : "");
    config_write(k->config, from, to);
    for (size_t i = 0; k->argv[i] != NULL; i++) {
        FILE *f = open_memstream(&argv[i], &size);
        ck_assert_ptr_nonnull(f);
        replace(f, k->argv[i], from, to);
        ck_assert_int_eq(fclose(f), 0);
    }
    p->pid = spawn((const char *const *)argv, k->package, -1, -1, true);
    for (size_t i = 0; argv[i] != NULL; i++)
        free(argv[i]);
    proxy_wait(p, k->name, k->package, port);
    if (k->tls)
        proxy_wait(p, k->name, k->package, p->tls);
}

static const char *const no_words[2] = {NULL, NULL};

void proxy_start(struct proxy *p, int kind, const struct e2e_server *s, const char *patience)
{
    start(p, kind, s, "", patience, no_words);
}

void proxy_start_told(struct proxy *p, int kind, const struct e2e_server *s)
{
    start(p, kind, s, proxy_kinds[kind].behind, PROXY_PATIENT, proxy_kinds[kind].told);
}

void proxy_start_with(struct proxy *p, int kind, const struct e2e_server *s,
                      const char *const words[2])
{
    start(p, kind, s, "", PROXY_PATIENT, words);
}

void proxy_start_balancer(struct proxy *p, const struct e2e_server *s, const char *how)
{
    static const char *const from[] = {"8080 send-proxy-v2", "8000", NULL};
    static const char *const argv[] = {"haproxy", "-db", "-f", "haproxy-tcp.cfg", NULL};
    char to[2][WORD];
    int port = proxy_port(p);
    snprintf(to[0], WORD, "%d %s", s->port, how);
    snprintf(to[1], WORD, "%d accept-proxy", port);
    config_write("haproxy-tcp.cfg", from, to);
    p->pid = spawn(argv, "haproxy", -1, -1, true);
    proxy_wait(p, "haproxy", "haproxy", port);
}

/* ---- the directory ---- */

void proxies_begin(void)
{
    static const char *const argv[] = {
        "sh", "-c",
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        "-subj /CN=localhost -keyout key.pem -out cert.pem 2>openssl.log && "
        "cat cert.pem key.pem >both.pem",
        NULL};
    int status;
    snprintf(directory, sizeof(directory), "/tmp/sse-proxy-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    give_to_nobody(directory);
    ck_assert_int_eq(waitpid(spawn(argv, "dash", -1, -1, true), &status, 0) > 0, 1);
    if (status != 0)
        e2e_fail("openssl made no certificate: these tests need it; apt-get install openssl");
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void proxies_end(void)
{
    nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
