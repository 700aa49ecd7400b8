/*
 * workers.c - starts workers, watches them, and tells each of the others.
 */
#include "lib/host/workers.h"
#include "lib/serve/quote.h"

#include "lib/host/announce.h"
#include "lib/host/clock.h"
#include "lib/host/notify.h"
#include "lib/host/process.h"
#include "lib/host/tables.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    TICK_MS = 100,       /* the parent looks around */
    BLOCKS_MS = 1000,    /* how long one may keep others from publishing */
    PING_MS = 2000,      /* one that makes no turn is woken, ... */
    HANGS_MS = 15000,    /* ... and killed when that does not help */
    LIVES_MS = 5000,     /* one that lived so long is started again at once */
    RESTART_MIN_MS = 50, /* others later and later */
    RESTART_MAX_MS = 10000,
    SLACK = 4,        /* connections above the mean that one may have, ... */
    SLACK_PART = 32,  /* ... and this part of it */
    BEHIND_PART = 32, /* who has this part of the ring to follow is woken */
};

static uint64_t now_ms(void)
{
    return clock_us(CLOCK_MONOTONIC) / 1000;
}

uint32_t workers_wanted(const struct opt *opt)
{
    cpu_set_t set;
    if (opt->workers != 0)
        return opt->workers;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < 1 ? 1 : n > (int)CONTROL_WORKERS ? CONTROL_WORKERS : (uint32_t)n;
}

/* ---- what is shared -------------------------------------------------------------------------- */

static bool failed(struct text *why, const char *what)
{
    text_str(why, what);
    text_str(why, ": ");
    text_str(why, strerror(errno));
    return false;
}

/* Makes the ring, in memory or in the store, which is the parent's. */
static bool ring_begin_shared(struct workers *w, struct server *s, struct text *why)
{
    struct store_report report;
    if (s->config.opt.store == NULL) {
        int err = ring_open(&s->ring, s->config.opt.ring, s->clock.wall);
        s->clock.ahead = s->clock.wall - s->clock.now;
        errno = -err;
        return err == 0 || failed(why, "cannot reserve the ring");
    }
    if (!tables_store_open(&w->store, s, &report, why))
        return false;
    tables_store_say(s, &report);
    return true;
}

/* Rounded up, so that it can be given back. */
static size_t whole_pages(size_t n)
{
    return (n + RING_PAGE - 1) & ~(size_t)(RING_PAGE - 1);
}

/* Returns how many topics' subscribers a worker counts by name: all, unless that takes more than a
 * 16th of what memory it may have. Of the others it hears whenever anything is published. */
static uint32_t tally_topics(const struct workers *w, const struct opt *opt)
{
    assert(w->n > 0);
    const uint64_t most = opt->max_memory / w->n / 16 / TALLY_BYTES;
    return opt->max_memory == 0 || opt->max_topics < most ? opt->max_topics : (uint32_t)most;
}

/* Makes what each worker counts by topic and by address. */
static bool tallies_make(struct workers *w, struct server *s, struct text *why)
{
    const struct opt *opt = &s->config.opt;
    struct team *t = &s->team;
    const uint32_t topics = tally_topics(w, opt);
    w->tally_topics = whole_pages(tally_size(topics));
    w->tally_peers = opt->max_per_address > 0 ? whole_pages(tally_size(tables_descriptors())) : 0;
    char *p = memory_map(&w->memory, w->n * (w->tally_topics + w->tally_peers));
    if (p == NULL)
        return failed(why, "cannot reserve memory");
    for (uint32_t i = 0; i < w->n; i++) {
        tally_init(&t->interest[i], topics, p);
        p += w->tally_topics;
        if (w->tally_peers > 0)
            tally_init(&t->peers[i], tables_descriptors(), p);
        p += w->tally_peers;
    }
    return true;
}

static bool pages_make(struct workers *w, struct server *s, struct text *why)
{
    struct control_state state;
    w->control = memory_map(&w->memory, sizeof *w->control);
    w->whole = memory_map(&w->memory, sizeof *w->whole);
    if (w->control == NULL || w->whole == NULL || pipe2(w->leash, O_CLOEXEC) == -1)
        return failed(why, "cannot start");
    for (uint32_t i = 0; i < w->n; i++)
        if ((w->wake[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) == -1)
            return failed(why, "eventfd");
    if (!ring_begin_shared(w, s, why))
        return false;
    w->revoked = s->config.opt.store != NULL ? store_revoked(&w->store)
                                             : memory_map(&w->memory, REVOKE_BYTES);
    if (w->revoked == NULL)
        return failed(why, "cannot reserve memory");
    w->ring_size = s->ring.size;
    ring_share(&s->ring, w->control, &state);
    control_init(w->control, w->n, &state);
    w->whole->workers = w->n;
    if (getrandom(w->whole->seed, sizeof w->whole->seed, 0) != (ssize_t)sizeof w->whole->seed)
        return failed(why, "cannot get random bytes");
    return tallies_make(w, s, why);
}

/* ---- workers --------------------------------------------------------------------------------- */

/* Starts worker i. Returns true in the worker. */
static bool start(struct workers *w, struct server *s, uint32_t i, const sigset_t *mask)
{
    struct worker *x = &w->worker[i];
    pid_t pid = fork();
    if (pid == -1) {
        s->log.say(OPT_LOG_ERROR, "a worker cannot be started", "error", strerror(errno), NULL);
        x->again = now_ms() + RESTART_MAX_MS;
        return false;
    }
    if (pid > 0) {
        x->pid = pid;
        x->began = x->moved = now_ms();
        x->blocked = 0;
        x->killed = false;
        return false;
    }
    w->me = i;
    close(w->leash[1]);
    (void)setpgid(0, 0); /* ^C is for the parent, which passes it on */
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    return true;
}

/* The worker is dead: frees what it had, and notes when the next one starts. */
static void bury(struct workers *w, const struct team *t, uint32_t i, bool again)
{
    struct worker *x = &w->worker[i];
    struct whole_slot *slot = &w->whole->slot[i];
    uint64_t now = now_ms();
    (void)control_bury(w->control, i);
    atomic_store(&slot->clients, 0);
    atomic_store(&slot->taken, 0);
    atomic_store(&slot->away, 0);
    atomic_store(&slot->look, 0);
    atomic_store(&slot->ready, 0);
    whole_add(&w->whole->gone, &slot->stat);
    slot->stat = (struct stat_counters){.turns = 0};
    slot->gauges = (struct gauges){.clients = 0};
    atomic_store(&slot->wild, 0);
    memory_give_back(t->interest[i].place, w->tally_topics);
    if (w->tally_peers > 0)
        memory_give_back(t->peers[i].place, w->tally_peers);
    x->pid = 0;
    if (!again)
        return;
    x->delay = now - x->began > LIVES_MS       ? 0
               : x->delay == 0                 ? RESTART_MIN_MS
               : x->delay < RESTART_MAX_MS / 2 ? 2 * x->delay
                                               : RESTART_MAX_MS;
    x->again = now + x->delay;
    atomic_fetch_add(&w->whole->restarts, 1);
}

/* Logs how one ended. */
static void say_end(struct server *s, uint32_t i, int status, bool again)
{
    bool killed = WIFSIGNALED(status);
    s->log.say(again ? OPT_LOG_ERROR : OPT_LOG_DEBUG, "worker ended", "worker", QUOTE_NUM(i),
               killed ? "signal" : "code",
               QUOTE_NUM((uint64_t)(killed ? WTERMSIG(status) : WEXITSTATUS(status))), NULL);
}

/* ---- the parent ------------------------------------------------------------------------------ */

struct parent {
    struct workers *w;
    struct server *s;
    sigset_t mask;  /* of signals that were blocked before */
    bool ending;    /* they were told to end */
    bool served;    /* one of them has */
    bool announced; /* it was told that the server is ready */
    int code;       /* that the server ends with */
};

static uint32_t living(const struct workers *w)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->n; i++)
        n += w->worker[i].pid != 0;
    return n;
}

static uint32_t serving(const struct workers *w)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->n; i++)
        n += atomic_load(&w->whole->slot[i].ready);
    return n;
}

static uint64_t connections(const struct workers *w)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < w->n; i++)
        n += atomic_load(&w->whole->slot[i].clients);
    return n;
}

static void signal_all(const struct workers *w, int sign)
{
    for (uint32_t i = 0; i < w->n; i++)
        if (w->worker[i].pid != 0)
            (void)kill(w->worker[i].pid, sign);
}

/* Has all end. The listeners are the workers' alone then, which accept those that wait. */
static void end_all(struct parent *p, int sign)
{
    struct listeners *l = &p->w->listeners;
    for (; l->n > 0; l->n--) {
        listen_unlink(l->fd[l->n - 1]);
        close(l->fd[l->n - 1]);
    }
    p->ending = true;
    signal_all(p->w, sign);
}

/* One has ended. */
static void ended(struct parent *p, uint32_t i, int status)
{
    p->served |= serving(p->w) > 0;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
    bool again = !p->ending && p->served && code != EX_IOERR;
    say_end(p->s, i, status, again);
    bury(p->w, &p->s->team, i, again);
    if (p->ending) {
        p->code = p->code == 0 ? code : p->code;
    } else if (!again) { /* the first never served, and has said why; or the store failed */
        p->code = code != 0 ? code : EX_SOFTWARE;
        end_all(p, SIGTERM);
    }
}

static void reap(struct parent *p)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (uint32_t i = 0; i < p->w->n; i++)
            if (p->w->worker[i].pid == pid)
                ended(p, i, status);
}

/* Starts those that are due: the first alone, so that what is wrong is said once. Returns true in a
 * worker. */
static bool start_due(struct parent *p)
{
    struct workers *w = p->w;
    p->served |= serving(w) > 0;
    for (uint32_t i = 0; i < w->n && !p->ending; i++) {
        if (w->worker[i].pid != 0 || now_ms() < w->worker[i].again)
            continue;
        if (i > 0 && !p->served)
            break;
        if (start(w, p->s, i, &p->mask))
            return true;
    }
    if (!p->announced && (atomic_load(&w->whole->announced) != 0 || serving(w) == w->n)) {
        p->announced = true;
        if (!notify("READY=1"))
            p->s->log.say(OPT_LOG_WARN, "cannot notify", "error", strerror(errno), NULL);
    }
    return false;
}

/* Kills one that others can't wait for any longer. It may take a while to end: its sockets are
 * closed. */
static void kill_stuck(struct parent *p, uint32_t i, const char *why)
{
    p->w->worker[i].killed = true;
    p->s->log.say(OPT_LOG_ERROR, "a worker is killed", "worker", QUOTE_NUM(i), "reason", why, NULL);
    (void)kill(p->w->worker[i].pid, SIGKILL);
}

/* Does it hold what others wait for, the lock or the oldest bytes of the ring? */
static bool blocks(const struct workers *w, uint32_t i)
{
    return control_holds(w->control, i) || (control_blockers(w->control) >> i & 1) != 0;
}

/* Looks whether a worker goes on. */
static void watch(struct parent *p, uint32_t i)
{
    const struct workers *w = p->w;
    struct worker *x = &p->w->worker[i];
    uint64_t now = now_ms();
    uint64_t lease = atomic_load(&w->control->slot[i].lease);
    uint32_t locks = atomic_load(&w->control->locks);
    if (!blocks(w, i)) {
        x->blocked = 0;
    } else if (x->blocked == 0 || x->lease != lease || x->locks != locks) {
        x->blocked = now;
        x->lease = lease;
        x->locks = locks;
    } else if (now - x->blocked > BLOCKS_MS) {
        kill_stuck(p, i, "it keeps others from publishing");
        return;
    }
    uint32_t turns = atomic_load(&w->whole->slot[i].turns);
    if (turns != x->turns || atomic_load(&w->whole->slot[i].ready) == 0) {
        x->turns = turns;
        x->moved = now;
    } else if (now - x->moved > HANGS_MS) {
        kill_stuck(p, i, "its loop stands still");
    } else if (now - x->moved > PING_MS) {
        workers_call(w, UINT64_C(1) << i);
    }
}

/* With a store: notes what is in it, and has it synced. */
static void sync_store(struct parent *p)
{
    struct workers *w = p->w;
    struct server *s = p->s;
    uint64_t now = now_ms();
    if (w->store.h == NULL || now - s->clock.now < 1000)
        return;
    s->clock.now = now;
    ring_look(&s->ring, w->control);
    s->stat.store_syncs +=
        w->store.mode == OPT_FSYNC_INTERVAL && w->store.synced != ring_end(&s->ring);
    w->store.time = (struct store_time){now + s->clock.ahead, clock_us(CLOCK_REALTIME) / 1000,
                                        clock_us(CLOCK_BOOTTIME) / 1000};
    int err = store_tick(&w->store, &s->ring);
    if (err >= 0)
        return;
    s->log.say(OPT_LOG_ERROR,
               "the store could not be synced: the server ends; ids jump when it starts", "error",
               strerror(-err), NULL);
    p->code = EX_IOERR;
    end_all(p, SIGTERM);
}

static void on_signal(struct parent *p, int sign)
{
    switch (sign) {
    case SIGHUP:
        signal_all(p->w, SIGHUP);
        break;
    case SIGUSR2:
        p->s->log.say(OPT_LOG_ERROR, "not upgraded", "reason",
                      "a server of several --workers is started anew instead", NULL);
        break;
    case SIGTERM:
    case SIGINT:
        if (!p->ending) {
            p->s->log.say(OPT_LOG_INFO, "stopping", "reason", sign == SIGINT ? "SIGINT" : "SIGTERM",
                          "connections", QUOTE_NUM(connections(p->w)), NULL);
            (void)notify("STOPPING=1");
        }
        end_all(p, SIGTERM);
        break;
    default: /* SIGCHLD: all are reaped anyway */
        break;
    }
}

/* Watches until all is over. Returns true in a worker. */
static bool run(struct parent *p, const sigset_t *set)
{
    const struct timespec tick = {0, TICK_MS * 1000000L};
    for (;;) {
        p->s->clock.wall = clock_us(CLOCK_REALTIME) / 1000; /* for what is logged */
        reap(p);
        if (p->ending && living(p->w) == 0)
            return false;
        if (start_due(p))
            return true;
        int sign = sigtimedwait(set, NULL, &tick);
        if (sign > 0)
            on_signal(p, sign);
        for (uint32_t i = 0; i < p->w->n; i++)
            if (p->w->worker[i].pid != 0 && !p->w->worker[i].killed)
                watch(p, i);
        sync_store(p);
    }
}

/* All workers have ended. */
static int finish(struct parent *p)
{
    struct workers *w = p->w;
    struct server *s = p->s;
    if (w->store.h != NULL) {
        ring_look(&s->ring, w->control);
        if (store_close(&w->store, &s->ring) < 0 && p->code == 0)
            p->code = EX_IOERR;
    }
    s->stat = w->whole->gone;
    s->clock.wall = clock_us(CLOCK_REALTIME) / 1000;
    if (p->announced)
        announce_stopped(s);
    return p->code;
}

int workers_run(struct workers *w, struct server *s, uint32_t n, int unsent)
{
    char bytes[512];
    struct text why = text_in(bytes, sizeof bytes - 1);
    struct parent p = {.w = w, .s = s};
    struct user user;
    sigset_t set;
    assert(n > 1 && n <= CONTROL_WORKERS);
    w->n = w->me = n;
    process_open_standard();
    s->started = s->clock.wall;
    int code = user_find(s->config.opt.user, &user, &why);
    if (code == 0)
        code = listen_all(&s->config.opt, unsent, &user, &w->listeners, &why);
    if (code == 0 && !pages_make(w, s, &why))
        code = EX_OSERR;
    bytes[why.n] = '\0';
    if (code != 0)
        process_fail(code, bytes, NULL);
    sigemptyset(&set);
    const int signs[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGCHLD};
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
        sigaddset(&set, signs[i]);
    if (sigprocmask(SIG_BLOCK, &set, &p.mask) == -1)
        process_fail(EX_OSERR, "sigprocmask: ", strerror(errno), NULL);
    return run(&p, &set) ? -1 : finish(&p);
}

/* ---- a worker -------------------------------------------------------------------------------- */

int workers_join(struct workers *w, struct server *s)
{
    int err = ring_join(&s->ring, w->control, w->me, (uint32_t)getpid());
    s->team.whole = w->whole;
    s->team.me = w->me;
    s->topics.heard = team_heard;
    s->topics.heard_arg = s;
    return err;
}

void workers_follow(struct workers *w, struct server *s)
{
    if (atomic_load(&w->whole->linked) != 0) {
        broker_catch_up(&s->broker);
        return;
    }
    broker_link_shared(&s->broker);
    if (s->broker.left_out > 0)
        s->log.say(OPT_LOG_WARN, "messages of the store are left out: their topics are too many",
                   "messages", QUOTE_NUM(s->broker.left_out), NULL);
    atomic_store(&w->whole->linked, 1);
}

bool workers_ready(struct workers *w)
{
    bool all = true;
    atomic_store(&w->whole->slot[w->me].ready, 1);
    for (uint32_t i = 0; i < w->n; i++)
        all &= atomic_load(&w->whole->slot[i].ready) != 0;
    return all && atomic_exchange(&w->whole->announced, 1) == 0;
}

int workers_doze(struct workers *w, struct server *s, int ms)
{
    atomic_store_explicit(&team_slot(&s->team)->turns, (uint32_t)s->stat.turns,
                          memory_order_relaxed);
    if (ms == 0)
        return 0;
    whole_tell(s);
    return control_sleep(w->control, w->me, s->broker.turn) ? ms : 0;
}

void workers_call(const struct workers *w, uint64_t mask)
{
    const uint64_t one = 1;
    for (; mask != 0; mask &= mask - 1)
        (void)!write(w->wake[__builtin_ctzll(mask)], &one, sizeof one);
}

void workers_wake(const struct workers *w, uint64_t mask)
{
    struct control_state s;
    (void)control_read(w->control, &s);
    for (uint32_t i = 0; i < w->n; i++) {
        uint64_t followed =
            atomic_load_explicit(&w->control->slot[i].followed, memory_order_relaxed);
        if (followed < s.head && (s.head - followed) * BEHIND_PART > w->ring_size)
            mask |= UINT64_C(1) << i;
    }
    workers_call(w, control_sleepers(w->control, mask & ~(UINT64_C(1) << w->me)));
}

void workers_read_wake(int fd)
{
    uint64_t times;
    (void)!read(fd, &times, sizeof times);
}

/* ---- the balance ----------------------------------------------------------------------------- */

void workers_count(const struct workers *w, uint32_t clients, uint32_t taken)
{
    struct whole_slot *slot = &w->whole->slot[w->me];
    atomic_store_explicit(&slot->clients, clients, memory_order_relaxed);
    atomic_store_explicit(&slot->taken, taken, memory_order_relaxed);
}

/* Returns how many connections one may have and still take the next. */
static uint64_t share(const struct workers *w)
{
    uint64_t all = 0, n = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        const struct whole_slot *slot = &w->whole->slot[i];
        all += atomic_load_explicit(&slot->clients, memory_order_relaxed);
        n += atomic_load_explicit(&slot->ready, memory_order_relaxed);
    }
    uint64_t mean = n > 0 ? all / n : all;
    return mean + mean / SLACK_PART + SLACK;
}

bool workers_over(const struct workers *w)
{
    return atomic_load_explicit(&w->whole->slot[w->me].clients, memory_order_relaxed) > share(w);
}

void workers_pass_on(const struct workers *w)
{
    uint32_t least = w->me;
    for (uint32_t i = 0; i < w->n; i++)
        if (atomic_load_explicit(&w->whole->slot[i].ready, memory_order_relaxed) != 0 &&
            atomic_load_explicit(&w->whole->slot[i].clients, memory_order_relaxed) <
                atomic_load_explicit(&w->whole->slot[least].clients, memory_order_relaxed))
            least = i;
    if (least != w->me && atomic_exchange(&w->whole->slot[least].look, 1) == 0)
        workers_call(w, UINT64_C(1) << least);
}

bool workers_looks(const struct workers *w)
{
    struct whole_slot *slot = &w->whole->slot[w->me];
    return atomic_load_explicit(&slot->look, memory_order_relaxed) != 0 &&
           atomic_exchange(&slot->look, 0) != 0;
}

void workers_away(const struct workers *w, bool away)
{
    atomic_store(&w->whole->slot[w->me].away, away);
}

void workers_call_back(const struct workers *w)
{
    uint64_t most = share(w), mask = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        struct whole_slot *slot = &w->whole->slot[i];
        if (atomic_load_explicit(&slot->away, memory_order_relaxed) != 0 &&
            atomic_load_explicit(&slot->clients, memory_order_relaxed) <= most &&
            atomic_exchange(&slot->away, 0) != 0)
            mask |= UINT64_C(1) << i;
    }
    workers_call(w, mask);
}
