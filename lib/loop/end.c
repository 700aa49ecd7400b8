/*
 * end.c - see end.h.
 */
#include "lib/loop/end.h"

#include "lib/serve/access_log.h"
#include "lib/serve/answer.h"
#include "lib/serve/pass.h"
#include "lib/serve/queue.h"
#include "lib/serve/quote.h"

#include "lib/hash.h"
#include "lib/host/memory.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
    REAPS_MAX = 200,  /* sockets closed in a turn: a mass disconnect is spread */
    REAP_US = 250,    /* the time of that */
    STACK = 48 << 10, /* bytes of the stack that a request may use */
};

void loop_doom(struct loop *l, struct conn *c, const char *reason)
{
    struct server *s = &l->server;
    uint32_t fd = (uint32_t)conn_fd(&s->clients.conns, c);
    if (c->state == CONN_DOOMED)
        return;
    s->log.say(OPT_LOG_DEBUG, "closed", "fd", QUOTE_NUM(fd), "reason", reason, NULL);
    access_log_end(&s->config, &s->broker, &s->clients, &s->log, c, reason);
    c->doomed.topic = c->link.topic;
    if (c->link.topic != 0)
        topic_unsubscribe(&s->topics, fd);
    queue_doom(&s->clients.conns, c);
}

/* The one place where a client's socket is closed. */
static void conn_close(struct loop *l, struct conn *c)
{
    struct server *s = &l->server;
    uint32_t topic = c->doomed.topic;
    acceptor_forget(&l->acceptor, c);
    pass_forget(&s->clients, c);
    close(conn_fd(&s->clients.conns, c)); /* which removes it from epoll as well */
    conn_free(&s->clients.conns, c);
    acceptor_count(&l->acceptor);
    if (topic != 0)
        serve_release(&s->broker, topic);
}

/* Wipes what deeper calls have left on the stack: names and keys of messages. */
static __attribute__((noinline)) void forget_stack(void)
{
    char below[STACK];
    hash_wipe(below, sizeof below);
}

/* Wipes what may be left of purged messages in the loop's own memory: what was read, answers,
 * shares. Buffers are wiped when they are freed; what one keeps for a slow client stays, as it has
 * begun to get it. */
static void forget(struct loop *l)
{
    struct server *s = &l->server;
    struct share *shares[TABLES_SAME + 2] = {&l->t.own, &s->ex.poll};
    for (unsigned i = 0; i < TABLES_SAME; i++)
        shares[2 + i] = &l->t.same[i];
    for (unsigned i = 0; i < TABLES_SAME + 2; i++)
        memory_drop(shares[i]->scratch.p, shares[i]->scratch.cap);
    hash_wipe(l->in_bytes, sizeof l->in_bytes);
    hash_wipe(l->out_bytes, sizeof l->out_bytes);
    hash_wipe(s->ex.woken.bytes, sizeof s->ex.woken.bytes);
    s->ex.woken.size = 0;
    forget_stack();
    s->forget = false;
}

void loop_reap_some(struct loop *l)
{
    struct server *s = &l->server;
    struct conn *c;
    if (s->forget)
        forget(l);
    loop_phase(l, REAP_US);
    for (unsigned n = REAPS_MAX; n > 0 && !loop_spent(l, LOOP_CHEAP); n--) {
        if ((c = queue_take_doomed(&s->clients.conns)) == NULL)
            break;
        conn_close(l, c);
    }
    while (!loop_spent(l, LOOP_CHEAP) && broker_release_emptied(&s->broker)) {
    }
}

void loop_socket_error(struct loop *l, struct conn *c, int err)
{
    struct server *s = &l->server;
    s->stat.timeout_write += err == ETIMEDOUT;
    loop_doom(l, c, err == ETIMEDOUT ? "--write-timeout" : strerror(err));
}
