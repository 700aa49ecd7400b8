/*
 * load_put.c - publishers: in lockstep with the subscribers, as fast as they can, or at a fixed
 * rate.
 */
#include "bench/load.h"
#include "bench/watch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct publisher {
    int fd;
    unsigned number;
    unsigned waits;  /* requests without an answer */
    uint64_t next;   /* the number of its next message */
    uint64_t left;   /* requests that it is still to make */
    char rest[8192]; /* of an answer */
    size_t rest_n;
};

struct load_put {
    const struct load *l;
    int ep;
    struct publisher pub[LOAD_PUBLISHERS];
    char poll[WIRE_HEAD_MAX]; /* a request that gets nothing new */
    size_t poll_n;
    char out[LOAD_DEPTH * WIRE_HEAD_MAX];
};

struct load_put *load_put_new(const struct load *l)
{
    struct load_put *p = take(1, sizeof *p);
    p->l = l;
    p->ep = epoll_create1(EPOLL_CLOEXEC);
    if (p->ep == -1)
        die("epoll: %s", strerror(errno));
    for (unsigned i = 0; i < l->publishers; i++)
        p->pub[i] = (struct publisher){.fd = -1, .number = i};
    return p;
}

void load_put_connect(struct load_put *p)
{
    for (unsigned i = 0; i < p->l->publishers; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};
        if (p->pub[i].fd != -1)
            close(p->pub[i].fd);
        p->pub[i].fd = connect_from(0, p->l->port);
        if (epoll_ctl(p->ep, EPOLL_CTL_ADD, p->pub[i].fd, &e) == -1)
            die("epoll: %s", strerror(errno));
    }
    watch_idle(p->l->server, 1);
}

unsigned load_reach(const struct load *l, unsigned topic)
{
    if (l->spread != LOAD_EACH)
        return l->clients;
    if (l->clients >= l->topics)
        return l->clients / l->topics + (topic < l->clients % l->topics);
    unsigned apart = l->clients > 0 ? l->topics / l->clients : 0;
    return apart > 0 && topic % apart == 0 && topic / apart < l->clients;
}

/* ---- requests and answers -------------------------------------------------------------------- */

/* Sends so many requests in one write; each message is of the time `ns`. */
static void request(struct load_put *p, struct publisher *pub, unsigned count, bool polls,
                    uint64_t ns)
{
    const struct load *l = p->l;
    size_t n = 0;
    uint64_t reached = 0;
    for (unsigned i = 0; i < count; i++) {
        struct wire_data d = {pub->number, pub->next, ns};
        unsigned topic = (unsigned)(pub->next % l->topics);
        if (polls) {
            memcpy(p->out + n, p->poll, p->poll_n);
            n += p->poll_n;
            continue;
        }
        n += wire_publish(p->out + n, l->dialect, l->base + topic, &d, l->size);
        reached += load_reach(l, topic);
        pub->next++;
    }
    atomic_fetch_add(&l->shared->target, reached);
    pub->waits += count;
    pub->left -= count < pub->left ? count : pub->left;
    send_all(pub->fd, p->out, n);
}

/* Reads answers; returns how many came. */
static unsigned answers(struct publisher *pub, int flags)
{
    char *p = pub->rest;
    unsigned count = 0;
    size_t off = 0;
    struct wire_answer a;
    ssize_t got = recv(pub->fd, p + pub->rest_n, sizeof pub->rest - pub->rest_n, flags);
    if (got == -1 && errno == EAGAIN && flags != 0)
        return 0;
    if (got <= 0)
        die("a publisher: %s", got == 0 ? "the server has closed" : strerror(errno));
    pub->rest_n += (size_t)got;
    while (wire_read_answer(p + off, pub->rest_n - off, &a, NULL) &&
           pub->rest_n - off >= a.head + a.body) {
        if (a.status / 100 != 2 && a.status != 304)
            die("a request was answered: %.*s", (int)(pub->rest_n - off), p + off);
        off += a.head + a.body;
        count++;
    }
    pub->rest_n -= off;
    memmove(p, p + off, pub->rest_n);
    if (count > pub->waits)
        die("more answers came than there were requests");
    pub->waits -= count;
    return count;
}

void load_await(const struct load *l)
{
    struct load_shared *s = l->shared;
    uint64_t end = now_ns() + LOAD_SECONDS * 1000000000ull, seen;
    while (atomic_load(&s->delivered) < atomic_load(&s->target)) {
        struct pollfd told = {l->told, POLLIN, 0};
        if (poll(&told, 1, 1000) == 1 && read(l->told, &seen, sizeof seen) == -1)
            die("eventfd: %s", strerror(errno));
        if (now_ns() > end)
            die("%s %s: %llu of %llu messages were delivered", wire_dialects[l->dialect],
                wire_ways[l->way], (unsigned long long)atomic_load(&s->delivered),
                (unsigned long long)atomic_load(&s->target));
    }
    if (atomic_load(&s->delivered) > atomic_load(&s->target))
        die("more messages were delivered than published");
}

/* ---- ways to publish ------------------------------------------------------------------------- */

void load_lockstep(struct load_put *p, uint64_t messages)
{
    struct publisher *pub = &p->pub[0];
    for (uint64_t i = 0; i < messages; i++) {
        request(p, pub, 1, false, now_ns());
        while (pub->waits > 0)
            answers(pub, 0);
        load_await(p->l);
        if (p->l->way == WIRE_LONG && p->l->clients > 0)
            watch_idle(p->l->server, LOAD_SECONDS); /* until all of them wait again */
    }
}

/* Learns how to ask for what is new when there is nothing. */
static void learn_poll(struct load_put *p)
{
    const struct load *l = p->l;
    struct wire_cursor cursor = {"", ""};
    struct wire_answer a;
    char buf[64 << 10];
    size_t n = 0;
    int fd = connect_from(0, l->port);
    send_all(fd, p->poll, wire_ask(p->poll, l->dialect, WIRE_SHORT, "b/0?since=now", NULL, false));
    while (!wire_read_answer(buf, n, &a, &cursor)) {
        ssize_t got = recv(fd, buf + n, sizeof buf - n, 0);
        if (got <= 0)
            die("a poll had no answer");
        n += (size_t)got;
    }
    close(fd);
    p->poll_n = wire_ask(p->poll, l->dialect, WIRE_SHORT, "b/0", &cursor, false);
}

void load_flood(struct load_put *p, uint64_t messages, bool polls)
{
    const struct load *l = p->l;
    struct epoll_event ev[LOAD_PUBLISHERS];
    uint64_t open = messages - messages % l->publishers;
    if (polls)
        learn_poll(p);
    for (unsigned i = 0; i < l->publishers && open > 0; i++) {
        struct publisher *pub = &p->pub[i];
        pub->left = messages / l->publishers;
        request(p, pub, pub->left < l->depth ? (unsigned)pub->left : l->depth, polls, now_ns());
    }
    while (open > 0) {
        int n = epoll_wait(p->ep, ev, LOAD_PUBLISHERS, (int)LOAD_SECONDS * 1000);
        if (n == 0)
            die("no answer within %u s", LOAD_SECONDS);
        for (int i = 0; i < n; i++) {
            struct publisher *pub = &p->pub[ev[i].data.u32];
            unsigned count = answers(pub, MSG_DONTWAIT);
            open -= count;
            /* a pipeline is filled anew when it has run empty, so that it is as deep on every
             * server */
            if (pub->waits == 0 && pub->left > 0)
                request(p, pub, pub->left < l->depth ? (unsigned)pub->left : l->depth, polls,
                        now_ns());
        }
    }
    load_await(l);
}

void load_rate(struct load_put *p, double rate, unsigned seconds)
{
    const struct load *l = p->l;
    struct epoll_event ev[LOAD_PUBLISHERS];
    uint64_t begun = now_ns() + 1000000, messages = (uint64_t)(rate * seconds), sent = 0, open = 0;
    uint64_t end = begun + (seconds + (uint64_t)LOAD_SECONDS) * 1000000000;
    while (sent < messages || open > 0) {
        uint64_t due = begun + (uint64_t)((double)sent * 1e9 / rate), now = now_ns();
        if (sent < messages && now >= due) {
            request(p, &p->pub[sent % l->publishers], 1, false, due);
            sent++;
            open++;
            continue;
        }
        struct pollfd ready = {p->ep, POLLIN, 0};
        uint64_t wait = sent < messages ? due - now : 100000000;
        struct timespec t = {(time_t)(wait / 1000000000), (long)(wait % 1000000000)};
        if (ppoll(&ready, 1, &t, NULL) == 1) {
            int n = epoll_wait(p->ep, ev, LOAD_PUBLISHERS, 0);
            for (int i = 0; i < n; i++)
                open -= answers(&p->pub[ev[i].data.u32], MSG_DONTWAIT);
        }
        if (now > end)
            die("the server can't be published to at %.0f messages a second", rate);
    }
    load_await(l);
}
