/*
 * load_isolation.c - tenants of a real server who get nothing of each other's: load_isolation SERVER
 * [SECONDS].
 *
 * For SECONDS (8), and STEPS_LEAST steps at least, clients of several tenants do at random what
 * isolation.h says, over loopback, against a server with a small ring, whose keys change. Every byte
 * that any of them gets is held against what its token allows.
 */
#include "test/child.h"
#include "test/isolation.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    DEADLINE_S = 150,
    STEPS_LEAST = 2000,
    ANSWER_MS = 20000, /* that an answer may take at most */
    PIECES = 23,       /* records of the ring in one piece for a wide set, as check_loop_isolation finds */
};

static struct child server;
static int sockets[ISO_CLIENTS];
static uint64_t first_seed, state;
static char keys_path[64];
static uint64_t loads; /* of the keys */

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

static void iso_reload(const char *file)
{
    char header[1024];
    (void)header;
    keys_write(file);
    kill(server.pid, SIGHUP);
    loads++;
    for (double end = child_now() + ANSWER_MS / 1e3; child_metric(&server, KEY_LOADS) < (long long)loads;) {
        if (child_now() > end)
            child_die(&server, "the keys were not read again");
        child_pause(1);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 64;
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 8;
    const char *s = getenv("SSE_SEED");
    char line[16], head[16], subscriptions[16];
    uint64_t steps = 0;
    state = first_seed = s != NULL ? strtoull(s, NULL, 10) : child_now_us();
    child_init(&server, "load_isolation", argv[1], DEADLINE_S);
    iso_begin();
    return 0;
}
