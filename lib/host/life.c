/*
 * life.c - starts the server, and ends it.
 */
#include "lib/host/life.h"
#include "lib/serve/access_log.h"
#include "lib/serve/conn.h"

#include "lib/host/announce.h"
#include "lib/host/commit.h"
#include "lib/host/guard.h"
#include "lib/host/keys.h"
#include "lib/host/listen.h"
#include "lib/host/process.h"
#include "lib/host/sandbox.h"
#include "lib/topic/names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sysexits.h>
#include <unistd.h>

/* Makes the ring, or takes it over; a store is opened with the rights of the user that could change
 * its path (guard.h). */
static bool ring_make(struct acceptor *d, const struct handover *from, const struct user *user,
                      bool trial, struct text *why)
{
    struct guard g;
    if (!guard_take(&g, user, from == NULL ? d->s->config.opt.store : NULL, why))
        return false;
    bool good = tables_ring(d->t, d->s, from, trial, why);
    guard_end(&g);
    return good;
}

/* Makes the tables and the ring, or takes them over. */
static void memory_make(struct acceptor *d, const struct handover *from, const struct user *user,
                        bool trial)
{
    char bytes[1024];
    struct text why = text_for_string(bytes, sizeof bytes);
    struct server *s = d->s;
    uint64_t *seed = s->remember.seed;
    if (getrandom(&s->clock.random, sizeof s->clock.random, 0) != (ssize_t)sizeof s->clock.random ||
        getrandom(seed, sizeof s->remember.seed, 0) != (ssize_t)sizeof s->remember.seed)
        process_fail(EX_OSERR, "cannot get random bytes: ", strerror(errno), NULL);
    s->clock.random |= 1;
    if (from != NULL) { /* also for a store, whose file may be unreachable by now */
        s->config.opt.ring = from->ring_size;
        s->config.opt.ring_given = true;
    }
    d->t->workers = d->workers;
    int code = keys_load(s, d->keeper, user, &why); /* likewise */
    if (code == 0 && !acceptor_measure(d, &why))
        code = EX_CONFIG;
    if (code == 0 && (!tables_make(d->t, s, from, &why) || !ring_make(d, from, user, trial, &why)))
        code = EX_OSERR;
    if (code != 0)
        process_fail(code, text_string(&why), NULL);
}

static void signals_take(struct acceptor *d)
{
    int fd = process_signals();
    if (fd == -1 || acceptor_add_own(d, fd, DESCRIPTOR_SIGNALS) == NULL)
        process_fail(EX_OSERR, "signalfd: ", strerror(errno), NULL);
    process_reap(); /* children that ended before */
}

/* Hears the other workers, and the end of the parent. */
static bool workers_hear(struct acceptor *d)
{
    const struct workers *w = d->workers;
    return w == NULL || (acceptor_add_own(d, w->wake[w->me], DESCRIPTOR_WAKE) != NULL &&
                         acceptor_add_own(d, w->leash[0], DESCRIPTOR_LEASH) != NULL);
}

void life_begin(struct acceptor *d, char *const argv[], int unsent, struct calls_held *held)
{
    char bytes[512];
    struct text why = text_for_string(bytes, sizeof bytes);
    struct server *s = d->s;
    struct user user;
    process_open_standard();
    s->started = s->clock.wall;
    int code = user_find(s->config.opt.user, &user, &why);
    if (code != 0)
        process_fail(code, text_string(&why), NULL);
    int keeper = KEEPER_NONE; /* first, as it is a copy of all that there is by then */
    if (s->config.opt.key_files.n > 0 && !s->config.opt.no_sandbox)
        keeper = keeper_start(&s->config.opt.key_files, &user);
    if (keeper < KEEPER_NONE)
        process_fail(EX_OSERR,
                     "the sandbox: the process that opens the key files: ", strerror(-keeper - 1),
                     " (--no-sandbox goes without)", NULL);
    memory_make(d, NULL, &user, false);
    d->epoll = epoll_create1(EPOLL_CLOEXEC);
    d->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (d->epoll == -1 || d->spare == -1)
        process_fail(EX_OSERR, "cannot start: ", strerror(errno), NULL);
    d->keeper = keeper; /* from here on; the first read had the rights of the start */
    signals_take(d);
    if (!workers_hear(d))
        process_fail(EX_OSERR, "cannot start: ", strerror(errno), NULL);
    code = acceptor_open(d, unsent, &user, &why);
    if (code == 0)
        code = sandbox_enter(s, d->t, &user, argv, held, &why);
    if (code != 0)
        process_fail(code, text_string(&why), NULL);
    commit_start_thread(d);
    if (d->workers == NULL || workers_ready(d->workers))
        announce_started(s, d->t);
    if (s->team.me == 0)
        keys_skipped(s);
}

/* Returns true if it was the old program's own descriptor, and is closed: exec closes all but the
 * listeners. */
static bool own_closed(const struct conn *c)
{
    return c->state == CONN_OWN && c->own.kind != DESCRIPTOR_LISTENER;
}

/* Takes over the state that is not in the tables. */
static void take_over(struct acceptor *d, const struct handover *h)
{
    struct server *s = d->s;
    d->epoll = h->epoll;
    d->shed = h->shed;
    d->paused = ACCEPTOR_CLOSED; /* it may be paused: the next tick resumes it */
    s->clock.random = h->random;
    s->ready = h->ready;
    s->started = h->started;
    topics_limit(&s->topics, s->config.opt.max_topics + (s->ready.topic != 0));
    stat_load(&s->stat, (struct span){h->counters, h->counters_size});
    s->stat.upgrades++;
    handover_keep(h, &s->clients.conns);
    for (uint32_t i = 1; i <= s->clients.conns.top; i++)
        if (own_closed(&s->clients.conns.conn[i]))
            conn_free_own(&s->clients.conns, &s->clients.conns.conn[i]);
    acceptor_note_listeners(d);
}

uint32_t life_go_on(struct acceptor *d, int fd, bool trial, struct calls_held *held)
{
    char bytes[1024];
    struct text why = text_for_string(bytes, sizeof bytes);
    struct server *s = d->s;
    struct handover h;
    const struct user nobody = {.given = false}; /* it has become that user already */
    if (trial) {
        process_die_with_parent();
        s->config.opt.log = OPT_LOG_ERROR; /* its output is its verdict */
    }
    if (!handover_read(fd, &h, &why) || (trial && !sandbox_fits(&h.held, &why))) {
        process_fail(EX_CONFIG, text_string(&why), NULL);
    }
    close(fd);
    d->keeper = h.keeper;
    memory_make(d, &h, &nobody, trial);
    if (trial) {
        bool said = write(STDOUT_FILENO, HANDOVER_READY, sizeof HANDOVER_READY - 1) != -1;
        exit(said ? EX_OK : EX_IOERR);
    }
    take_over(d, &h);
    d->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    signals_take(d);
    *held = h.held;
    sandbox_go_on(s, held);
    commit_start_thread(d);
    announce_upgraded(s);
    return h.sweep;
}

int life_end(struct acceptor *d)
{
    struct server *s = d->s;
    int err = 0;
    if (d->t->store.h != NULL)
        (void)commit_stop_thread(d); /* store_close() returns a failure again */
    for (uint32_t fd = 1; fd <= s->clients.conns.top; fd++) {
        if (conn_is_own(&s->clients.conns.conn[fd], DESCRIPTOR_LISTENER) && d->workers == NULL)
            listen_unlink((int)fd);
        if (s->clients.conns.conn[fd].state != CONN_FREE)
            close((int)fd);
    }
    close(d->spare);
    if (d->keeper != KEEPER_NONE)
        close(d->keeper);
    close(d->epoll);
    if (d->t->store.h != NULL && (err = store_close(&d->t->store, &s->ring)) < 0 &&
        s->stat.store_errors == 0)
        commit_result(s, err);
    ring_close(&s->ring);
    memory_close(&d->t->memory);
    access_log_suppressed(&s->clock, &s->log, true);
    announce_stopped(s);
    return err;
}
