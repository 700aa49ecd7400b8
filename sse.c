/*
 * sse.c - the turns of the loop, the process's own descriptors, start and end; and main().
 *
 *   wait -> clock -> events -> ready lists -> sweep -> commit -> fan-out -> reap
 *
 *   events   sockets are read, requests handled, messages put into the ring, their topics marked
 *   ready    connections without a turn so far get one; then those cut short by a budget go on
 *   sweep    a slice of the table: heartbeats, timeouts; old messages
 *   commit   a sync of the store is begun; one that is done shows the messages it covers
 *   fan-out  each marked topic's subscribers get what is new, some thousand of them a turn
 *   reap     doomed connections are closed, topics nobody needs are freed
 *
 * Sockets are registered once, edge-triggered, and never modified: a write is tried first, and
 * EAGAIN waits for the edge. A subscriber is a place in the ring: replay, live and slow are the
 * same code (lib/loop/write.h).
 *
 * Only this file waits for events; lib/loop/ reads from clients and writes to them. All other use
 * of the system is in lib/host/: start and end (life), accepting clients (acceptor), memory
 * (tables), the store's syncs (commit), the keys, the upgrade, the log (say, announce). All state
 * that changes is in L and its tables.
 */
#include "lib/cli/command.h"
#include "lib/host/commit.h"
#include "lib/host/keys.h"
#include "lib/host/life.h"
#include "lib/host/listen.h"
#include "lib/host/notify.h"
#include "lib/host/sandbox.h"
#include "lib/host/say.h"
#include "lib/loop/end.h"
#include "lib/loop/held.h"
#include "lib/loop/read.h"
#include "lib/loop/stop.h"
#include "lib/loop/sweep.h"
#include "lib/loop/write.h"
#include "lib/serve/access_log.h"
#include "lib/serve/identity.h"
#include "lib/serve/queue.h"
#include "lib/serve/subscriber.h"
#include "lib/topic/fanout.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#ifndef __linux__
#error "sse runs on Linux: it is made of epoll, memfd_create and signalfd"
#endif

enum {
    POLL_RECORDS = 2048, /* in one answer to a poll */
    LINGER_MS = 2000,    /* how long a refused client is still read */
    HOLD_READS = 64,     /* with --fsync always: bounds what is read at once, see reads_fit() */
    DRAIN_TICK_MS = 5,   /* sleep, while the server stops */
    FOLLOW_TICK_MS = 1,  /* sleep, while other workers have yet to follow a purge */
};

static struct loop L;

/* Logs a line, if --log includes its level: pairs of key and value follow, ended by NULL. */
static TEXT_LIST void say(enum opt_log level, const char *msg, ...)
{
    va_list ap;
    if (level > L.server.config.opt.log && level != OPT_LOG_ACCESS)
        return;
    va_start(ap, msg);
    say_line(&L.server, L.journal, level, msg, ap);
    va_end(ap);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void handle_signals(int fd)
{
    struct server *s = &L.server;
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP)
            keys_reload(s, L.acceptor.keeper);
        else if (info.ssi_signo == SIGUSR2)
            upgrade_begin(&L.up);
        else if (info.ssi_signo == SIGCHLD)
            upgrade_child(&L.up);
        else if (s->clients.draining)
            L.stop = true; /* the second time: at once */
        else
            loop_drain_begin(&L, info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
    }
}

static void handle_listener(int fd)
{
    acceptor_accept(&L.acceptor, fd);
}

static void handle_leash(int fd)
{
    acceptor_close_own(&L.acceptor, fd);
    if (!L.server.clients.draining)
        loop_drain_begin(&L, "the parent is gone");
}

static void handle_trial(int fd)
{
    assert(fd == L.up.trial.out);
    upgrade_read_result(&L.up);
}

/* The handlers of the process's own descriptors, by kind. */
static void (*const own_event[DESCRIPTORS])(int fd) = {
    [DESCRIPTOR_LISTENER] = handle_listener, [DESCRIPTOR_SIGNALS] = handle_signals,
    [DESCRIPTOR_STORE] = commit_read_result, [DESCRIPTOR_TRIAL] = handle_trial,
    [DESCRIPTOR_WAKE] = workers_read_wake,   [DESCRIPTOR_LEASH] = handle_leash,
};

/* Returns true if a client has sent nothing but has much to get: requests go first. */
static bool replays(const struct conn *c)
{
    return conn_streams(c) && c->place.at < ring_head(&L.server.ring) &&
           !(c->flags & CONN_READABLE);
}

static void event(const struct epoll_event *ev)
{
    struct server *s = &L.server;
    struct conn *c = &s->clients.conns.conn[(uint32_t)ev->data.u64];
    if (c->gen != ev->data.u64 >> 32)
        return; /* of an earlier owner of the descriptor */
    switch ((enum conn_state)c->state) {
    case CONN_OWN:
        own_event[c->own.kind](conn_fd(&s->clients.conns, c));
        return;
    case CONN_HEAD:
    case CONN_BODY:
    case CONN_STREAM:
    case CONN_WAIT:
    case CONN_SOCKET:
    case CONN_LINGER:
        /* errors count as all three: the call that follows says which */
        if (ev->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            c->flags |= CONN_READABLE;
        if (ev->events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
            c->flags |= CONN_WRITABLE;
        if (ev->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            c->flags |= CONN_EOF;
        if (c->marks & CONN_HEAVY || replays(c))
            queue_put(&s->clients.conns, c, QUEUE_READY);
        else if (loop_spent(&L, 1))
            queue_put(&s->clients.conns, c, QUEUE_UNSEEN);
        else
            loop_serve(&L, c);
        return;
    case CONN_FREE:
    case CONN_DOOMED:
        return;
    }
}

/* Serves the lists of queue.h. */
static void ready_lists(void)
{
    struct server *s = &L.server;
    for (enum queue q = QUEUE_UNSEEN; q <= QUEUE_READY; q++) {
        if (!queue_any(&s->clients.conns, q))
            continue;
        uint32_t n = s->clients.conns.ready_count;
        loop_phase(&L, queue_rule[q].us);
        s->ex.brief = queue_rule[q].brief;
        do {
            struct conn *c = queue_take(&s->clients.conns, q);
            if (c != NULL)
                loop_serve(&L, c);
        } while (--n > 0 && (q == QUEUE_READY || queue_any(&s->clients.conns, q)) &&
                 !loop_spent(&L, 1));
        s->ex.brief = false;
    }
}

/* Returns how long the loop may sleep, in ms: 0 with work left over, -1 (for ever) if time could
 * change nothing. */
static int sleep_ms(void)
{
    struct server *s = &L.server;
    if (s->clients.conns.ready_count != 0 || s->clients.conns.doomed != 0 ||
        topic_queue_first(&s->topics) != 0 || L.sweep_left > 0 || commit_done(&L.t, s) ||
        (L.up.passed && s->hold.running == 0))
        return 0;
    if (broker_any_emptied(&s->broker))
        return broker_wipe_waits(&s->broker) ? FOLLOW_TICK_MS : 0;
    if (s->clients.draining)
        return DRAIN_TICK_MS;
    if (s->clients.conns.clients == 0 && !conn_buffers_stale(&s->clients.conns) &&
        !L.acceptor.paused && s->log.refusals.more == 0 && L.up.trial.child == 0 &&
        !(L.t.store.mode == OPT_FSYNC_INTERVAL && commit_pending(&L.t, s)) &&
        (s->config.opt.max_age_ms == 0 || ring_count(&s->ring) == 0) &&
        s->config.opt.key_refresh_ms == 0)
        return -1;
    uint64_t due = L.swept + L.slice_ms, now = clock_us(CLOCK_MONOTONIC) / 1000;
    return due > now ? (int)(due - now) : 0;
}

/* Handles what is due in the process itself. */
static void tick(void)
{
    struct server *s = &L.server;
    if (s->config.opt.key_refresh_ms > 0)
        keys_tick(s, L.acceptor.keeper);
    access_log_suppressed(&s->clock, &s->log, false);
    int err = L.cut ? -EIO : L.t.store.h != NULL ? commit_tick(&L.t, s) : 0;
    if (err < 0)
        loop_store_failed(&L, err);
    if (L.up.trial.child != 0)
        upgrade_tick(&L.up);
    if (s->clients.draining)
        loop_drain(&L);
}

/* Waits for events. A worker tells the others that it sleeps, and follows what they have put. */
static int turn_wait(void)
{
    struct server *s = &L.server;
    const bool shared = s->team.whole != NULL;
    const int ms = sleep_ms();
    int n = epoll_wait(L.acceptor.epoll, L.ev, LOOP_EVENTS_MAX,
                       shared ? workers_doze(&L.workers, s, ms) : ms);
    assert(n >= 0 || errno == EINTR);
    clock_read(&L.clock, s);
    if (shared) {
        workers_rise(&L.workers);
        broker_catch_up(&s->broker);
        s->forget |= s->broker.purged;
        s->broker.purged = false;
        acceptor_balance(&L.acceptor);
    }
    return n;
}

/* Wakes the workers that have subscribers to what was put in this turn. */
static void others_wake(void)
{
    workers_wake(&L.workers, L.server.team.wake);
    L.server.team.wake = 0;
}

static void wake_now(uint64_t workers)
{
    workers_call(&L.workers, workers);
}

static void loop_turn(void)
{
    struct server *s = &L.server;
    int n = turn_wait();
    s->stat.turns++;
    loop_phase(&L, LOOP_PHASE_US);
    s->ex.brief = n > 1; /* a lone client delays nobody */
    for (int i = 0; i < n; i++)
        event(&L.ev[i]);
    s->ex.brief = false;
    ready_lists();
    loop_sweep(&L);
    tick();
    if (s->hold.on)
        loop_commit(&L);
    if (s->team.whole != NULL && s->team.wake != 0)
        others_wake();
    loop_fanout(&L);
    loop_reap(&L);
    uint64_t took = clock_us(CLOCK_MONOTONIC) - L.clock.now_us;
    s->turn_max_us = took > s->turn_max_us ? took : s->turn_max_us;
    stat_observe(&s->stat.turn, took);
    if (L.up.passed && s->hold.running == 0 && !L.stop)
        upgrade(&L.up, L.sweep);
}

/* ---- start and end --------------------------------------------------------------------------- */

/* Sets up the state that is neither in the tables nor handed over. */
static void server_make(void)
{
    struct server *s = &L.server;
    clock_read(&L.clock, s);
    s->log.say = say;
    s->log.peer = listen_peer;
    s->ex.out = text_in(L.out_bytes, sizeof L.out_bytes);
    s->config.limits = (struct http_limits){s->config.opt.max_line, s->config.opt.max_head};
    serve_read_proxies(&s->config);
    L.journal = notify_journal();
    L.t.poll_records = POLL_RECORDS;
    L.acceptor =
        (struct acceptor){.s = s, .t = &L.t, .epoll = -1, .spare = -1, .keeper = KEEPER_NONE};
    L.acceptor.workers = L.workers.n > 0 ? &L.workers : NULL;
    L.up.acceptor = &L.acceptor;
    s->team.wake_now = wake_now;
    L.times = (struct conn_times){s->config.opt.heartbeat_ms, s->config.opt.request_timeout_ms,
                                  s->config.opt.idle_timeout_ms, s->config.opt.write_timeout_ms,
                                  LINGER_MS};
    L.slice_ms = conn_times_least(&L.times) / 2 / LOOP_SLICES + 1;
    L.swept = s->clock.now;
    clock_begin(&L.clock);
    L.read_most = LOOP_READ;
}

/* With --fsync always, bounds the bytes read at once, so that as records, however much larger, they
 * fit into what the ring can hold. */
static void reads_fit(void)
{
    struct server *s = &L.server;
    if (s->hold.on && s->ring.size / HOLD_READS < LOOP_READ)
        L.read_most = s->ring.size / HOLD_READS;
}

static void server_start(void)
{
    server_make();
    life_begin(&L.acceptor, L.up.argv, LOOP_BUFFER, &L.up.held);
    reads_fit();
}

/* Goes on where the program before this one stopped; on trial, only checks whether it could. */
static void server_take(int fd, bool trial)
{
    server_make();
    L.sweep = life_go_on(&L.acceptor, fd, trial, &L.up.held);
    reads_fit();
}

/* Ends at once; WebSockets get a close frame, if there is room for it. */
static void server_stop(void)
{
    struct server *s = &L.server;
    if (L.up.trial.child != 0)
        trial_end(&L.up.trial);
    if (s->hold.on)
        loop_commit_settle(&L);
    for (uint32_t fd = 1; fd <= s->clients.conns.top; fd++) {
        struct conn *c = &s->clients.conns.conn[fd];
        if (c->state != CONN_SOCKET)
            continue;
        subscriber_send_away(s, c);
        loop_flush(&L, c);
    }
    if (life_end(&L.acceptor) < 0)
        L.code = EX_IOERR;
}

/* Handles SIGBUS: a page of a mapping cannot be read or written, as the store's file was cut, has
 * no block there, or the disk failed. It may come at any point. */
static void page_lost(int sign)
{
    struct server *s = &L.server;
    static const char front[] = "sse: the store ",
                      end[] = " cannot be read or written any more: its file was cut, or its disk "
                              "failed\n";
    (void)sign;
    if (s->config.opt.store == NULL) {
        (void)signal(SIGBUS, SIG_DFL); /* the access is repeated */
        return;
    }
    (void)!write(STDERR_FILENO, front, sizeof front - 1);
    (void)!write(STDERR_FILENO, s->config.opt.store, strlen(s->config.opt.store));
    (void)!write(STDERR_FILENO, end, sizeof end - 1);
    _exit(EX_IOERR);
}

/* Begins a server of several workers. Returns -1 in each of them, and in their parent, when all is
 * over, the exit code. */
static int workers_begin(uint32_t n)
{
    server_make();
    return workers_run(&L.workers, &L.server, n, LOOP_BUFFER);
}

int main(int argc, char **argv)
{
    int fd = -1, code = command_line(&L.server.config.opt, argc, argv);
    if (code >= 0)
        return code;
    L.up.argv = argv;
    enum handover_mode mode = handover_mode(&fd);
    sandbox_watch();
    (void)signal(SIGBUS, page_lost);
    uint32_t workers = workers_wanted(&L.server.config.opt);
    if (mode == HANDOVER_NONE && workers > 1 && (code = workers_begin(workers)) >= 0)
        return code;
    if (mode == HANDOVER_NONE)
        server_start();
    else
        server_take(fd, mode == HANDOVER_TRY);
    while (!L.stop)
        loop_turn();
    server_stop();
    return L.code;
}
