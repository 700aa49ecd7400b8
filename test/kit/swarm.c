/*
 * swarm.c - many clients and some publishers in one process: connections, the
 * loop, the end.
 */
#include "test/kit/swarm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESSES 40    /* 127.0.0.1 and on: each has some 28,000 ports */
#define SWEEP_US  10000 /* how often every client is looked at */

/* ---- helpers ---- */

uint64_t swarm_random(struct swarm *s)
{
    s->random += 0x9E3779B97F4A7C15u;
    uint64_t z = s->random;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

size_t swarm_frame(struct swarm *s, char *to, unsigned opcode, const char *bytes, size_t n)
{
    uint64_t random = swarm_random(s);
    unsigned char *out = (unsigned char *)to, mask[4];
    size_t at = 2, extra = n < 126 ? 0 : n < 65536 ? 2 : 8;
    memcpy(mask, &random, 4);
    out[0] = (unsigned char)(0x80 | opcode);
    out[1] = (unsigned char)(0x80 | (extra == 0 ? n : extra == 2 ? 126 : 127));
    for (size_t i = extra; i-- > 0;)
        out[at++] = (unsigned char)(n >> 8 * i);
    memcpy(out + at, mask, 4);
    at += 4;
    for (size_t i = 0; i < n; i++)
        out[at + i] = (unsigned char)bytes[i] ^ mask[i % 4];
    return at + n;
}

int swarm_connect(struct swarm *s, unsigned from, bool narrow)
{
    int one = 1, small = 4096;
    struct sockaddr_in us = {.sin_family = AF_INET}, to = us;
    us.sin_addr.s_addr = htonl(INADDR_LOOPBACK + from % ADDRESSES);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(s->server->port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1 || setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) == -1 ||
        bind(fd, (struct sockaddr *)&us, sizeof(us)) == -1)
        child_die(s->server, "socket: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (narrow)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS)
        return fd;
    if (!s->cuts)
        child_die(s->server, "connect: %s", strerror(errno));
    close(fd);
    return -1;
}

/* ---- setting up ---- */

void swarm_init(struct swarm *s, struct child *server, uint64_t seed, unsigned clients,
                uint32_t history, uint32_t size_max, uint64_t ring)
{
    *s = (struct swarm){.server = server,
                        .seed = seed,
                        .random = seed,
                        .history = history,
                        .size_max = size_max,
                        .ring = ring,
                        .slow_most = 3000,
                        .client_room = clients};
    s->client = calloc(clients, sizeof(*s->client));
    s->work = malloc(SWARM_WORK);
    s->ep = epoll_create1(EPOLL_CLOEXEC);
    if (s->client == NULL || s->work == NULL || s->ep == -1 || (history & (history - 1)) != 0 ||
        4 * (uint64_t)size_max + 65536 > SWARM_WORK / 16)
        child_die(server, "the swarm can't be set up");
}

void swarm_release(struct swarm *s)
{
    for (unsigned i = 0; i < s->clients; i++) {
        if (s->client[i].fd != -1)
            swarm_cut(s, i, false, -1);
    }
    for (unsigned i = 0; i < s->pubs; i++) {
        if (s->pub[i].fd != -1)
            close(s->pub[i].fd);
        free(s->pub[i].out);
        free(s->put[i]);
    }
    free(s->client);
    free(s->work);
    close(s->ep);
}

/* Asks with a poll over a connection of its own, which is kept in *fd (-1 at
 * first), and waits; returns the status, and the answer whole in s->work. */
static unsigned ask(struct swarm *s, int *fd, const char *target, struct span *body)
{
    char request[512];
    size_t n = 0, head = 0, length = 0;
    struct timeval patience = {60, 0};
    if (*fd == -1) {
        *fd = swarm_connect(s, 0, false);
        fcntl(*fd, F_SETFL, 0);
        setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    }
    int size =
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);
    if (send(*fd, request, (size_t)size, MSG_NOSIGNAL) != size)
        child_die(s->server, "asking: %s", strerror(errno));
    while (head == 0 || n < head + length) {
        ssize_t got = n < SWARM_WORK - 1 ? recv(*fd, s->work + n, SWARM_WORK - 1 - n, 0) : 0;
        if (got <= 0)
            child_die(s->server, "%s was answered: %.*s", target, (int)n, s->work);
        n += (size_t)got;
        s->work[n] = '\0';
        const char *end = head == 0 ? strstr(s->work, "\r\n\r\n") : NULL;
        if (end != NULL) {
            const char *field = strstr(s->work, "Content-Length: ");
            head = (size_t)(end + 4 - s->work);
            length = field != NULL && field < end ? strtoul(field + 16, NULL, 10) : 0;
        }
    }
    *body = (struct span){s->work + head, length};
    return (unsigned)atoi(s->work + 9);
}

void swarm_epoch(struct swarm *s)
{
    struct span body;
    int fd = -1;
    unsigned status = ask(s, &fd, "/nothing?since=now", &body);
    const char *id = strstr(s->work, "Last-Event-ID: ");
    if (status != 204 || id == NULL)
        child_die(s->server, "a poll was answered: %s", s->work);
    uint64_t n = swarm_id(s, (struct span){id + 15, strcspn(id + 15, "\r")});
    s->newest = n > s->newest ? n : s->newest;
    close(fd);
}

void swarm_renew(struct swarm *s, unsigned client, enum swarm_way way, uint64_t mask)
{
    *(s->client + client) = (struct swarm_client){
        .fd = -1,
        .way = (uint8_t)way,
        .state = SWARM_AWAY,
        .fresh = way == SWARM_EVENTS || way == SWARM_LINES,
        .open = (1u << SWARM_PUBLISHERS) - 1,
        .sure_open = (1u << SWARM_PUBLISHERS) - 1,
        .mask = mask,
        .cursor = s->newest,
        .from = s->newest,
    };
}

unsigned swarm_add(struct swarm *s, enum swarm_way way, uint64_t mask)
{
    if (s->clients == s->client_room)
        child_die(s->server, "no room for more clients");
    swarm_renew(s, s->clients, way, mask);
    return s->clients++;
}

unsigned swarm_publish(struct swarm *s, enum swarm_feed feed, unsigned depth, double rate)
{
    unsigned p = s->pubs++;
    if (p == SWARM_PUBLISHERS)
        child_die(s->server, "no room for more publishers");
    s->pub[p] = (struct swarm_publisher){
        .fd = -1, .feed = (uint8_t)feed, .number = p, .depth = depth, .rate = rate};
    s->put[p] = calloc(s->history, sizeof(*s->put[p]));
    if (s->put[p] == NULL)
        child_die(s->server, "no memory");
    return p;
}

void swarm_publish_all(struct swarm *s, bool on)
{
    for (unsigned i = 0; i < s->pubs; i++)
        s->pub[i].on = on;
}

/* ---- clients ---- */

static void keep(struct swarm *s, char **at, uint32_t *at_n, const char *bytes, size_t n)
{
    char *copy = NULL;
    if (n > 0 && (copy = malloc(n)) == NULL)
        child_die(s->server, "no memory");
    if (n > 0)
        memcpy(copy, bytes, n);
    free(*at);
    *at = copy;
    *at_n = (uint32_t)n;
}

static void client_end(struct swarm *s, struct swarm_client *c)
{
    close(c->fd);
    c->fd = -1;
    c->state = SWARM_AWAY;
    keep(s, &c->rest, &c->rest_n, NULL, 0);
    keep(s, &c->out, &c->out_n, NULL, 0);
    if (c->way == SWARM_FRAMES) { /* what came behind the cursor will come again */
        c->open = c->sure_open;
        memcpy(c->due, c->sure, sizeof(c->due));
        c->gap = c->lost ? (1u << SWARM_PUBLISHERS) - 1 : c->sure_gap;
    }
}

void swarm_closed(struct swarm *s, struct swarm_client *c, const char *why)
{
    if (!s->cuts && !(c->slow && s->slow_cuts))
        child_die(s->server, "a client (way %u, state %u, %s) was cut off: %s", c->way, c->state,
                  c->slow ? "slow" : "not slow", why);
    client_end(s, c);
    c->at = s->now + swarm_random(s) % 20000;
    s->cut++;
}

static void client_flush(struct swarm *s, struct swarm_client *c)
{
    if (c->out == NULL)
        return;
    ssize_t w = send(c->fd, c->out, c->out_n, MSG_NOSIGNAL);
    if (w == -1 && errno != EAGAIN && errno != ENOTCONN) {
        swarm_closed(s, c, strerror(errno));
        return;
    }
    if (w > 0)
        keep(s, &c->out, &c->out_n, c->out + w, c->out_n - (size_t)w);
}

void swarm_send(struct swarm *s, struct swarm_client *c, const void *bytes, size_t n)
{
    static char all[4096];
    if (c->out_n + n > sizeof(all))
        child_die(s->server, "a client can't send");
    if (c->out_n > 0)
        memcpy(all, c->out, c->out_n);
    memcpy(all + c->out_n, bytes, n);
    keep(s, &c->out, &c->out_n, all, c->out_n + n);
    client_flush(s, c);
}

static void request(struct swarm *s, struct swarm_client *c)
{
    static const char upgrade[] = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                                  "Sec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    char all[4096], path[1024], cursor[64];
    swarm_path(path, c->mask);
    snprintf(cursor, sizeof(cursor), "last-event-id=%llu-%llu", (unsigned long long)s->epoch,
             (unsigned long long)c->cursor);
    const char *start = c->lost ? "since=earliest" : c->fresh ? "" : cursor;
    size_t n =
        (size_t)snprintf(all, sizeof(all), "GET %s?%s%s HTTP/1.1\r\nHost: localhost\r\n%s%s%s\r\n",
                         path, start,
                         c->way == SWARM_LONG || c->way == SWARM_LINES ? "&wait=20" : "",
                         c->way >= SWARM_FRAMES ? upgrade : "",
                         c->way == SWARM_OBJECTS ? "Sec-WebSocket-Protocol: json\r\n" : "",
                         c->way == SWARM_EVENTS  ? "Accept: text/event-stream\r\n"
                         : c->way == SWARM_LINES ? "Accept: application/x-ndjson\r\n"
                                                 : "");
    c->state = SWARM_HEAD;
    if (!c->split) {
        swarm_send(s, c, all, n);
        return;
    }
    size_t part = 1 + swarm_random(s) % (n - 1);
    c->at = s->now + swarm_random(s) % 300000;
    ssize_t w = send(c->fd, all, part, MSG_NOSIGNAL);
    keep(s, &c->out, &c->out_n, all + (w > 0 ? w : 0), n - (size_t)(w > 0 ? w : 0));
}

static void client_connect(struct swarm *s, struct swarm_client *c)
{
    c->fd = swarm_connect(s, (unsigned)(c - s->client), c->slow);
    if (c->fd == -1) {
        c->at = s->now + 10000;
        return;
    }
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
                            .data.u64 = (uint64_t)(c - s->client)};
    if (epoll_ctl(s->ep, EPOLL_CTL_ADD, c->fd, &e) == -1)
        child_die(s->server, "epoll_ctl: %s", strerror(errno));
    s->connects++;
    request(s, c);
}

/* Reads what is there, `most` bytes at most. */
static void client_read(struct swarm *s, struct swarm_client *c, size_t most)
{
    while (c->fd != -1 && most > 0) {
        size_t room = SWARM_WORK - c->rest_n;
        if (c->rest_n > 0)
            memcpy(s->work, c->rest, c->rest_n);
        ssize_t got = recv(c->fd, s->work + c->rest_n, most < room ? most : room, 0);
        if (got == -1 && errno == EAGAIN)
            return;
        if (got <= 0) {
            swarm_closed(s, c, got == 0 ? "closed" : strerror(errno));
            return;
        }
        size_t n = c->rest_n + (size_t)got;
        size_t took = swarm_take(s, c, s->work, n);
        most -= (size_t)got;
        if (c->fd == -1)
            return;
        if (took == 0 && n == SWARM_WORK)
            child_die(s->server, "a client has got more than it can take");
        keep(s, &c->rest, &c->rest_n, s->work + took, n - took);
        if (c->state == SWARM_IDLE && c->way == SWARM_LONG && !s->paused)
            request(s, c);
    }
}

static void client_tick(struct swarm *s, struct swarm_client *c)
{
    if (c->state == SWARM_OFF)
        return;
    if (c->fd == -1 && s->now >= c->at && !s->paused)
        client_connect(s, c);
    if (c->fd != -1 && c->split && c->out != NULL && s->now >= c->at)
        client_flush(s, c);
    if (c->fd != -1 && c->state == SWARM_IDLE && s->now >= c->at && !s->paused)
        request(s, c);
    if (c->fd != -1 && c->slow)
        client_read(s, c, 1 + swarm_random(s) % s->slow_most);
}

static void client_event(struct swarm *s, struct swarm_client *c, uint32_t events)
{
    if (c->fd == -1)
        return;
    if ((events & EPOLLOUT) != 0 && (!c->split || s->now >= c->at))
        client_flush(s, c);
    if (c->fd != -1 && !c->slow)
        client_read(s, c, SIZE_MAX);
}

void swarm_cut(struct swarm *s, unsigned client, bool reset, int ms)
{
    struct swarm_client *c = &s->client[client];
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    if (c->fd != -1) {
        if (reset)
            setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
        client_end(s, c);
    }
    c->state = ms < 0 ? SWARM_OFF : SWARM_AWAY;
    c->at = s->now + (ms > 0 ? (uint64_t)ms * 1000 : 0);
}

void swarm_cut_all(struct swarm *s)
{
    bool cuts = s->cuts;
    s->cuts = true;
    for (unsigned i = 0; i < s->clients; i++)
        if (s->client[i].fd != -1)
            swarm_cut(s, i, false, (int)(swarm_random(s) % 20));
    for (unsigned i = 0; i < s->pubs; i++)
        swarm_pub_cut(s, &s->pub[i]);
    s->cuts = cuts;
}

/* ---- the loop ---- */

static void tick(struct swarm *s)
{
    uint64_t now = child_now_us();
    double passed = (double)(now - s->now) / 1e6;
    s->now = now;
    for (unsigned i = 0; i < s->pubs; i++) {
        struct swarm_publisher *pub = &s->pub[i];
        if (pub->on && pub->rate > 0 && (pub->credit += passed * pub->rate) > 50)
            pub->credit = 50;
        swarm_pub_tick(s, pub);
    }
    if (s->now - s->swept < SWEEP_US)
        return;
    s->swept = s->now;
    for (unsigned i = 0; i < s->clients; i++)
        client_tick(s, &s->client[i]);
}

void swarm_run(struct swarm *s, unsigned ms)
{
    struct epoll_event ev[512];
    uint64_t end = child_now_us() + (uint64_t)ms * 1000;
    do {
        tick(s);
        int n = epoll_wait(s->ep, ev, 512, 1);
        if (n == -1 && errno != EINTR)
            child_die(s->server, "epoll_wait: %s", strerror(errno));
        for (int i = 0; i < n; i++) {
            uint64_t who = ev[i].data.u64;
            if (who < s->clients)
                client_event(s, &s->client[who], ev[i].events);
            else
                swarm_pub_event(s, &s->pub[UINT64_MAX - who], ev[i].events);
        }
    } while (child_now_us() < end);
}

unsigned swarm_ready(const struct swarm *s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->clients; i++)
        n += s->client[i].state >= (s->client[i].way == SWARM_LONG ? SWARM_HEAD : SWARM_OPEN);
    return n;
}

/* ---- the end ---- */

/* Returns true if the client has all messages of publisher p. */
static bool has_all(const struct swarm *s, const struct swarm_client *c, unsigned p,
                    uint32_t *lacks)
{
    for (uint32_t seq = s->pub[p].sent; seq-- > 0;) {
        const struct swarm_put *put = swarm_put(s, p, seq);
        if (put == NULL || ((c->open >> p & 1) == 0 && seq < c->due[p]))
            return true;
        if ((c->mask >> swarm_topic(s, p, seq) & 1) == 0 || put->fate == SWARM_GONE ||
            put->fate == SWARM_UNSURE)
            continue;
        if ((c->gap >> p & 1) != 0 && swarm_outrun(s, put))
            return true;
        *lacks = seq;
        return (c->open >> p & 1) != 0 && put->n <= c->from;
    }
    return true;
}

static bool settled(const struct swarm *s, unsigned *client, unsigned *p, uint32_t *lacks)
{
    for (*p = 0; *p < s->pubs; ++*p)
        if (s->pub[*p].acked != s->pub[*p].sent || s->pub[*p].body)
            return false;
    for (*client = 0; *client < s->clients; ++*client)
        for (*p = 0; *p < s->pubs && s->client[*client].state != SWARM_OFF; ++*p)
            if (!has_all(s, &s->client[*client], *p, lacks))
                return false;
    return true;
}

void swarm_settle(struct swarm *s, unsigned ms)
{
    unsigned client = UINT32_MAX, p = 0;
    uint32_t lacks = 0;
    char path[1024];
    uint64_t end = child_now_us() + (uint64_t)ms * 1000;
    uint32_t slow_most = s->slow_most;
    s->slow_most = SWARM_WORK;
    swarm_publish_all(s, false);
    do
        swarm_run(s, 20);
    while (!settled(s, &client, &p, &lacks) && child_now_us() < end);
    s->slow_most = slow_most;
    if (settled(s, &client, &p, &lacks))
        return;
    if (client == UINT32_MAX)
        child_die(s->server,
                  "SSE_SEED=%llu: of publisher %u %u messages were sent, %u acknowledged",
                  (unsigned long long)s->seed, p, s->pub[p].sent, s->pub[p].acked);
    const struct swarm_client *c = &s->client[client];
    swarm_path(path, c->mask);
    child_die(s->server,
              "SSE_SEED=%llu: client %u (way %u, state %u%s%s) of %.100s, at "
              "cursor %llu of %llu, "
              "lacks message %u of publisher %u, id %llu: %u is due, %u were sent",
              (unsigned long long)s->seed, client, c->way, c->state, c->slow ? ", slow" : "",
              c->split ? ", in parts" : "", path, (unsigned long long)c->cursor,
              (unsigned long long)s->newest, lacks, p,
              (unsigned long long)swarm_put(s, p, lacks)->n, c->due[p], s->pub[p].sent);
}

/* Called when a client has read all. Dies unless the client got every message that was acknowledged
 * and is not evicted. */
static void read_all_end(struct swarm *s, struct swarm_client *c)
{
    for (unsigned p = 0; p < s->pubs; p++) {
        uint32_t sent = s->pub[p].sent;
        uint32_t first = sent > s->history ? sent - s->history : 0;
        for (uint32_t seq = sent; seq-- > first;) {
            struct swarm_put *put = swarm_put(s, p, seq);
            if (put->fate == SWARM_UNSURE)
                put->fate = SWARM_GONE;
            bool there = (c->open >> p & 1) == 0 && seq < c->due[p];
            if (put->fate == SWARM_KEPT && !there && !swarm_outrun(s, put))
                child_die(s->server,
                          "SSE_SEED=%llu: message %u of publisher %u, id %llu, was "
                          "acknowledged and "
                          "is not there",
                          (unsigned long long)s->seed, seq, p, (unsigned long long)put->n);
        }
    }
}

unsigned swarm_read_all(struct swarm *s)
{
    struct swarm_client c = {.fd = -1,
                             .way = SWARM_SHORT,
                             .open = (1u << SWARM_PUBLISHERS) - 1,
                             .gap = (1u << SWARM_PUBLISHERS) - 1,
                             .mask = SWARM_ALL};
    uint64_t before = s->messages, missed = s->missed_in_gaps;
    char target[128] = "/**?since=earliest";
    struct span body;
    int fd = -1;
    while (ask(s, &fd, target, &body) == 200) {
        swarm_take_body(s, &c, (char *)(uintptr_t)body.p, body.n);
        snprintf(target, sizeof(target), "/**?last-event-id=%llu-%llu",
                 (unsigned long long)s->epoch, (unsigned long long)c.cursor);
    }
    close(fd);
    read_all_end(s, &c);
    unsigned count = (unsigned)(s->messages - before);
    s->messages = before;
    s->missed_in_gaps = missed;
    return count;
}
