/*
 * load_read.c - a process of subscribers.
 */
#include "bench/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 512, BUFFER = 256 << 10 };

struct client {
    int fd;
    unsigned number;
    bool begun;    /* the answer to its request has come */
    uint64_t *due; /* numbers, by publisher */
    char *rest;    /* what came of something incomplete */
    size_t rest_n;
    struct wire_cursor *cursor; /* of a long poll */
};

struct reader {
    const struct load *l;
    struct histogram *late;
    struct client *client;
    unsigned clients;
    char *names; /* what all of them subscribe to, or NULL */
    char *buf;
    uint64_t got; /* messages, not told of yet */
    uint64_t now_us;
};

/* ---- messages -------------------------------------------------------------------------------- */

/* A message has come: it must be the one that is due. */
static void message(struct reader *r, struct client *c, const struct wire_data *d)
{
    const struct load *l = r->l;
    if (d->publisher >= l->publishers)
        die("a message of publisher %u came", d->publisher);
    uint64_t *due = &c->due[d->publisher];
    if (l->replay == 0 && d->number != *due)
        die("%s %s: subscriber %u: message %llu of publisher %u was due, %llu came",
            wire_dialects[l->dialect], wire_ways[l->way], c->number, (unsigned long long)*due,
            d->publisher, (unsigned long long)d->number);
    if (l->replay > 0 && *due > 0 && d->number != *due)
        die("a replay left out message %llu", (unsigned long long)*due);
    *due = d->number + (l->spread == LOAD_EACH ? l->topics : 1);
    uint64_t sent_us = d->ns / 1000;
    histogram_note(r->late, r->now_us > sent_us ? r->now_us - sent_us : 0);
    r->got++;
}

static void messages(struct reader *r, struct client *c, const char *p, size_t n)
{
    struct wire_data d;
    const char *at = p, *next;
    while ((next = wire_read_data(at, n - (size_t)(at - p), &d)) != NULL) {
        message(r, c, &d);
        at = next;
    }
}

static void ask(const struct reader *r, struct client *c)
{
    char request[WIRE_HEAD_MAX], name[16];
    const struct load *l = r->l;
    snprintf(name, sizeof name, "b/%u", l->base + load_topic(l, c->number));
    send_all(c->fd, request,
             wire_ask(request, l->dialect, l->way, r->names != NULL ? r->names : name, c->cursor,
                      l->replay > 0));
}

/* Takes the answer to a long poll, and asks again. */
static void polled(struct reader *r, struct client *c, const char *p, size_t n)
{
    struct wire_answer a;
    wire_read_answer(p, n, &a, c->cursor);
    if (a.status != 200 && a.status != 204 && a.status != 304)
        die("a long poll was answered with %u", a.status);
    messages(r, c, p + a.head, a.body);
    ask(r, c);
}

/* Takes what is complete of p[0..n); returns its bytes. */
static size_t take_bytes(struct reader *r, struct client *c, const char *p, size_t n)
{
    struct wire_answer a;
    size_t off = 0, size;
    if (r->l->way == WIRE_LONG) {
        for (; (size = wire_message(WIRE_LONG, p + off, n - off)) > 0; off += size)
            polled(r, c, p + off, size);
        return off;
    }
    if (!c->begun) {
        if (!wire_read_answer(p, n, &a, NULL))
            return 0;
        if (a.status != (r->l->way == WIRE_FRAMES ? 101 : 200))
            die("subscribing was answered with %u", a.status);
        c->begun = true;
        off = a.head;
    }
    for (; (size = wire_message(r->l->way, p + off, n - off)) > 0; off += size)
        messages(r, c, p + off, size);
    return off;
}

/* ---- connections ----------------------------------------------------------------------------- */

/* Reads a client once. */
static void readable(struct reader *r, struct client *c, int flags)
{
    size_t n = c->rest_n;
    if (n > 0)
        memcpy(r->buf, c->rest, n);
    ssize_t got = recv(c->fd, r->buf + n, BUFFER - n, flags);
    if (got == -1 && errno == EAGAIN && flags != 0)
        return;
    if (got <= 0)
        die("%s %s: subscriber %u: %s", wire_dialects[r->l->dialect], wire_ways[r->l->way],
            c->number, got == 0 ? "the server has closed" : strerror(errno));
    r->now_us = now_ns() / 1000;
    n += (size_t)got;
    size_t took = take_bytes(r, c, r->buf, n);
    if (n - took == BUFFER)
        die("a message of more than %d bytes", BUFFER);
    if (n - took > c->rest_n) {
        free(c->rest);
        c->rest = take(n - took, 1);
    }
    c->rest_n = n - took;
    memcpy(c->rest != NULL ? c->rest : r->buf, r->buf + took, c->rest_n);
}

static void subscribe(struct reader *r, struct client *c, unsigned me)
{
    c->due = take(r->l->publishers, sizeof *c->due);
    for (unsigned i = 0; i < r->l->publishers && r->l->spread == LOAD_EACH; i++)
        c->due[i] = r->l->replay > 0 ? 0 : load_topic(r->l, c->number);
    if (r->l->way == WIRE_LONG)
        c->cursor = take(1, sizeof *c->cursor);
    c->fd = connect_from(1 + me, r->l->port);
    ask(r, c);
    while (!c->begun && r->l->way != WIRE_LONG)
        readable(r, c, 0);
}

/* What all subscribe to, if it is the same. */
static char *all_names(const struct load *l)
{
    if (l->spread == LOAD_EACH)
        return NULL;
    char *names = take(WIRE_HEAD_MAX, 1);
    size_t n = 0;
    if (l->spread == LOAD_WILD)
        memcpy(names, "b/*", 3);
    for (unsigned i = 0; l->spread == LOAD_ALL && i < l->topics; i++) {
        n +=
            (size_t)snprintf(names + n, WIRE_HEAD_MAX - n, "%sb/%u", i > 0 ? "," : "", l->base + i);
        if (n > WIRE_HEAD_MAX - 16)
            die("%u topics don't fit a request", l->topics);
    }
    return names;
}

/* Tells what has been delivered; and the publisher, if that is what it waits for. */
static void tell(struct reader *r)
{
    struct load_shared *s = r->l->shared;
    uint64_t one = 1, got = r->got;
    if (got == 0)
        return;
    r->got = 0;
    if (atomic_fetch_add(&s->delivered, got) + got >= atomic_load(&s->target) &&
        write(r->l->told, &one, sizeof one) == -1)
        die("eventfd: %s", strerror(errno));
}

_Noreturn void load_read(const struct load *l, unsigned me)
{
    struct reader r = {.l = l, .late = &l->shared->late[me]};
    struct epoll_event ev[EVENTS];
    int ep = epoll_create1(EPOLL_CLOEXEC);
    uint64_t one = 1;
    r.clients = (l->clients - me - 1) / l->processes + 1;
    r.client = take(r.clients, sizeof *r.client);
    r.buf = take(BUFFER, 1);
    r.names = all_names(l);
    if (ep == -1)
        die("epoll: %s", strerror(errno));
    for (unsigned i = 0; i < r.clients; i++) {
        struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.ptr = &r.client[i]};
        r.client[i].number = me + i * l->processes;
        subscribe(&r, &r.client[i], me);
        if (epoll_ctl(ep, EPOLL_CTL_ADD, r.client[i].fd, &e) == -1)
            die("epoll: %s", strerror(errno));
    }
    tell(&r);
    if (atomic_fetch_add(&l->shared->subscribed, r.clients) + r.clients == l->clients &&
        write(l->told, &one, sizeof one) == -1)
        die("eventfd: %s", strerror(errno));
    for (;;) {
        int n = epoll_wait(ep, ev, EVENTS, -1);
        for (int i = 0; i < n; i++)
            readable(&r, ev[i].data.ptr, MSG_DONTWAIT);
        tell(&r);
    }
}
