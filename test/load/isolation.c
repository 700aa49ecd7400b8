/*
 * isolation.c - tenants of a real server who get nothing of each other's: load_isolation SERVER
 * [SECONDS].
 *
 * For SECONDS (8), and STEPS_LEAST steps at least, clients of several tenants do at random what
 * isolation.h says, over loopback, against a server with a small ring, whose keys change. Every
 * byte that any of them gets is held against what its token allows.
 */
#include "test/kit/isolation.h"
#include "test/kit/child.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SECONDS = 8,
    DEADLINE_S = 1200,
    STEPS_LEAST = 2000,
    ANSWER_MS = 60000, /* that an answer may take at most */
    PIECES = 23, /* records of the ring in one piece for a wide set, as loop/isolation finds */
};

static struct child server;
static int sockets[ISO_CLIENTS];
static uint64_t first_seed, state;
static char keys_path[64];
static unsigned loads; /* of the keys */

static unsigned iso_pick(unsigned bound)
{
    state += 0x9E3779B97F4A7C15u;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (unsigned)((z ^ (z >> 31)) >> 33) % bound;
}

static void iso_leak(unsigned client, const char *why)
{
    const struct iso_client *c = &iso[client];
    size_t n = c->n < 300 ? c->n : 300;
    child_die(&server, "SSE_SEED=%llu: client %u, tenant %u, asked for \"%s\": %s: %.*s",
              (unsigned long long)first_seed, client, c->tenant, c->what, why, (int)n,
              c->got + c->n - n);
}

/* ---- the other end --------------------------------------------------------------------------- */

static void iso_dial(unsigned client)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(server.port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1 || connect(fd, (const struct sockaddr *)&a, sizeof a) == -1)
        child_die(&server, "could not connect: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    sockets[client] = fd;
}

static void iso_hang_up(unsigned client)
{
    close(sockets[client]);
}

static void iso_send(unsigned client, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t w = send(sockets[client], bytes, n, MSG_NOSIGNAL);
        if (w <= 0)
            return; /* the end is seen when it is read */
        bytes += w;
        n -= (size_t)w;
    }
}

/* Reads what is there for a client; waits for its answer, if one is due at once. */
static void take(unsigned client, bool due)
{
    static char bytes[64 << 10];
    struct iso_client *c = &iso[client];
    for (double end = child_now() + ANSWER_MS / 1e3;;) {
        struct pollfd p = {sockets[client], POLLIN, 0};
        bool wait = due && c->asked && !c->keeps;
        if (poll(&p, 1, wait ? 100 : 0) == 0) {
            if (!wait)
                return;
            if (child_now() > end)
                child_die(&server, "client %u got no answer", client);
            continue;
        }
        ssize_t n = recv(sockets[client], bytes, sizeof bytes, 0);
        if (n <= 0) {
            close(sockets[client]);
            c->open = false;
            return;
        }
        iso_got(client, bytes, (size_t)n);
    }
}

/* Waits for the answers that come at once; takes what others got. */
static void iso_settle(void)
{
    for (unsigned i = 0; i < ISO_CLIENTS; i++)
        if (iso[i].open && !iso[i].waits)
            take(i, true);
    for (unsigned i = 0; i < ISO_CLIENTS; i++)
        if (iso[i].open)
            take(i, false);
}

static void keys_write(const char *text)
{
    char next[80];
    snprintf(next, sizeof next, "%s.next", keys_path);
    FILE *f = fopen(next, "w");
    if (f == NULL || fputs(text, f) < 0 || fchmod(fileno(f), 0600) == -1 || fclose(f) != 0 ||
        rename(next, keys_path) == -1)
        child_die(&server, "%s: %s", next, strerror(errno));
}

/* Asks with a token that a key of this reload has signed. Returns true if the key is loaded. */
static bool reloaded(const char *key)
{
    struct kit_token t;
    char request[1024], answer[512];
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(server.port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    kit_make(&t, SPAN("{\"alg\":\"HS256\"}"), SPAN("{\"subscribe\":[\"x\"]}"), span_of(key));
    int n = snprintf(request, sizeof request,
                     "GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                     "Authorization: Bearer %.*s\r\n\r\n",
                     (int)t.n, t.p);
    if (fd == -1 || connect(fd, (const struct sockaddr *)&a, sizeof a) == -1 ||
        send(fd, request, (size_t)n, MSG_NOSIGNAL) != n)
        child_die(&server, "could not ask: %s", strerror(errno));
    ssize_t got = recv(fd, answer, sizeof answer, 0);
    close(fd);
    return got > 12 && memcmp(answer, "HTTP/1.1 20", 11) == 0;
}

static void iso_reload(const char *file)
{
    char text[512], key[64];
    for (unsigned i = 0; i < ISO_CLIENTS && loads > 0; i++)
        if (iso[i].open && !iso[i].good)
            take(i, true); /* its token is judged by the keys that it was sent under */
    snprintf(key, sizeof key, "this-key-tells-that-it-was-read-%08u", ++loads);
    snprintf(text, sizeof text, "%s%s\n", file, key);
    keys_write(text);
    if (loads == 1)
        return; /* the server is to be started with these */
    kill(server.pid, SIGHUP);
    for (double end = child_now() + ANSWER_MS / 1e3; !reloaded(key);) {
        if (child_now() > end)
            child_die(&server, "the keys were not read again");
        child_pause(1);
    }
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void begin(void)
{
    const char *args[] = {"--key-file",          keys_path, "--ring",         "64K",
                          "--max-message",       "4K",      "--max-topics",   "50",
                          "--anonymous",         "none",    "--max-failures", "0",
                          "--max-line",          "16K",     "--max-head",     "24K",
                          "--max-subscriptions", "1000"};
    snprintf(keys_path, sizeof keys_path, "/tmp/load-isolation-XXXXXX");
    int fd = mkstemp(keys_path);
    if (fd == -1)
        child_die(&server, "%s: %s", keys_path, strerror(errno));
    close(fd);
    iso_begin();
    iso_all.looks = PIECES;
    iso_reload(iso_key_file(iso_all.keys));
    for (size_t i = 0; i < sizeof args / sizeof args[0]; i++)
        child_arg(&server, args[i]);
    child_start(&server);
    if (!child_ready(&server, ANSWER_MS))
        child_die(&server, "it did not start");
}

int main(int argc, char **argv)
{
    const char *s = getenv("SSE_SEED");
    uint64_t steps = 0;
    if (argc < 2)
        return 64;
    state = first_seed = s != NULL ? strtoull(s, NULL, 10) : child_now_us();
    child_init(&server, "load_isolation", argv[1], DEADLINE_S);
    begin();
    double end = child_now() + (argc > 2 ? strtod(argv[2], NULL) : SECONDS);
    for (; child_now() < end || steps < STEPS_LEAST; steps++)
        iso_step();
    for (unsigned i = 0; i < ISO_CLIENTS; i++)
        if (iso[i].open)
            iso_hang_up(i);
    child_stop(&server, ANSWER_MS);
    unlink(keys_path);
    if (iso_all.messages < steps / 4 || iso_all.refused < steps / 100)
        child_die(&server, "it was no test: %llu messages", (unsigned long long)iso_all.messages);
    printf(
        "load_isolation: SSE_SEED=%llu: %llu steps, %llu requests, %llu messages, each to who may "
        "have it; %llu refused, keys changed %u times\n",
        (unsigned long long)first_seed, (unsigned long long)steps,
        (unsigned long long)iso_all.requests, (unsigned long long)iso_all.messages,
        (unsigned long long)iso_all.refused, loads - 1);
    return 0;
}
