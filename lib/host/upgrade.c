/*
 * upgrade.c - tries the next program, and becomes it.
 */
#include "lib/host/upgrade.h"
#include "lib/serve/conn.h"
#include "lib/serve/quote.h"

#include "lib/host/commit.h"
#include "lib/host/process.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>

static void upgrade_refused(struct server *s, const char *why)
{
    s->stat.upgrades_refused++;
    s->log.say(OPT_LOG_ERROR, "not upgraded", "reason", why, NULL);
}

/* Fills in *h with all that the next program must know. */
static void hand_over(const struct upgrade *u, uint32_t sweep, struct handover *h)
{
    const struct server *s = u->acceptor->s;
    memset(h, 0, sizeof *h);
    tables_hand_over(u->acceptor->t, s, h);
    h->epoll = u->acceptor->epoll;
    h->keeper = u->acceptor->keeper;
    h->sweep = sweep;
    h->shed = u->acceptor->shed;
    h->ready = s->ready;
    h->started = s->started;
    h->held = u->held;
}

void upgrade_begin(struct upgrade *u)
{
    struct server *s = u->acceptor->s;
    struct handover h;
    if (u->trial.child != 0 || s->clients.draining)
        return;
    hand_over(u, 0, &h); /* a trial does not sweep */
    if (!trial_begin(&u->trial, &h, u->argv, s->clock.now)) {
        upgrade_refused(s, strerror(errno));
        return;
    }
    s->log.say(OPT_LOG_INFO, "upgrading", "program", u->argv[0], "trial",
               QUOTE_NUM((uint64_t)u->trial.child), NULL);
    if (acceptor_add_own(u->acceptor, u->trial.out, DESCRIPTOR_TRIAL) == NULL)
        u->trial.until = s->clock.now; /* its output cannot be read */
}

void upgrade_child(const struct upgrade *u)
{
    if (u->trial.child == 0)
        process_reap();
}

void upgrade_read_result(struct upgrade *u)
{
    assert(u->trial.child != 0);
    u->trial.over |= trial_read(&u->trial);
}

void upgrade_tick(struct upgrade *u)
{
    struct server *s = u->acceptor->s;
    if (!u->trial.over && s->clock.now < u->trial.until)
        return;
    struct conn *c = &s->clients.conns.conn[u->trial.out];
    const char *why = trial_end(&u->trial);
    process_reap(); /* children that ended meanwhile */
    if (conn_is_own(c, DESCRIPTOR_TRIAL))
        conn_free_own(&s->clients.conns, c);
    u->passed = why == NULL && !s->clients.draining;
    if (why != NULL)
        upgrade_refused(s, why);
}

void upgrade(struct upgrade *u, uint32_t sweep)
{
    struct server *s = u->acceptor->s;
    bool stored = u->acceptor->t->store.h != NULL;
    struct handover h;
    u->passed = false;
    if (!stored || commit_stop_thread(u->acceptor) == 0) { /* else the next sync ends the server */
        hand_over(u, sweep, &h);
        handover_exec(&h, u->argv, &s->clients.conns);
    }
    upgrade_refused(s, strerror(errno));
    if (stored)
        commit_start_thread(u->acceptor);
}
