/*
 * acceptor.c - accepts clients, as far as the limits allow.
 */
#include "lib/host/acceptor.h"
#include "lib/serve/conn.h"
#include "lib/serve/quote.h"
#include "lib/serve/route.h"

#include "lib/addr.h"
#include "lib/host/listen.h"
#include "lib/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    RESERVE = 48,       /* descriptors kept for the process itself */
    SHED_MAX = 256,     /* connections over a limit whose requests are read and refused, ... */
    SHED_PART = 8,      /* ... but at most this part of the descriptors */
    HEARD = 16 << 10,   /* bytes read from a client that is refused at once */
    FULL = 4,           /* full batches of accepts in a row before the batch grows */
    AWAY_MS = 100,      /* a worker leaves new clients to the others at most so long */
    LAST_ACCEPTS = 100, /* batches of ACCEPTOR_MAX clients still accepted at the end */
};

/* ---- opening --------------------------------------------------------------------------------- */

bool acceptor_measure(struct acceptor *d, struct text *why)
{
    struct opt *opt = &d->s->config.opt;
    uint32_t max = tables_descriptors();
    if (max == 0) {
        text_str(why, "cannot get the limit of descriptors: ");
        text_str(why, strerror(errno));
        return false;
    }
    d->shed_max = max / SHED_PART < SHED_MAX ? max / SHED_PART : SHED_MAX;
    uint32_t admin = listen_given() > 0 || opt->admin.n > 0 ? ACCEPTOR_ADMIN + opt->admin.n : 0;
    uint32_t kept = RESERVE + listen_given() + d->shed_max + admin,
             room = max > kept ? max - kept : 1;
    uint64_t processes = d->workers != NULL ? d->workers->n : 1, all = room * processes;
    d->s->clients.conns.max = max;
    if (opt->max_connections > all) {
        text_str(why, "--max-connections ");
        text_u64(why, opt->max_connections);
        text_str(why, ": the limit of ");
        text_u64(why, max);
        text_str(why, " descriptors (ulimit -n) leaves room for ");
        text_u64(why, all);
        return false;
    }
    all = opt->max_connections > 0 ? opt->max_connections : all;
    opt->max_connections = all < room ? (uint32_t)all : room; /* of this process */
    if (!tables_fit(d->t, d->s, kept, why))
        return false;
    d->room = opt->max_connections;
    if (all > d->room * processes)
        all = d->room * processes;
    opt->max_connections = all < UINT32_MAX ? (uint32_t)all : UINT32_MAX;
    return true;
}

/* Adds a descriptor to epoll, with its slot's number and generation. Returns false with errno set
 * on failure. */
static bool watch(const struct acceptor *d, int fd, uint32_t events)
{
    const struct conns *conns = &d->s->clients.conns;
    struct epoll_event ev = {.events = events,
                             .data.u64 = (uint64_t)conns->conn[fd].gen << 32 | (uint32_t)fd};
    return epoll_ctl(d->epoll, EPOLL_CTL_ADD, fd, &ev) == 0;
}

struct conn *acceptor_add_own(struct acceptor *d, int fd, enum descriptor kind)
{
    bool shared = kind == DESCRIPTOR_LISTENER && d->workers != NULL;
    return watch(d, fd, shared ? EPOLLIN | EPOLLEXCLUSIVE : EPOLLIN)
               ? conn_open_own(&d->s->clients.conns, fd, kind)
               : NULL;
}

void acceptor_close_own(struct acceptor *d, int fd)
{
    close(fd);
    conn_free_own(&d->s->clients.conns, &d->s->clients.conns.conn[fd]);
}

/* Adds a listener to the table. Returns 0, or an exit code. */
static int listener(struct acceptor *d, int fd, bool admin, struct text *why)
{
    struct conn *c;
    if ((c = acceptor_add_own(d, fd, DESCRIPTOR_LISTENER)) == NULL) {
        text_str(why, "epoll_ctl: ");
        text_str(why, strerror(errno));
        return EX_OSERR;
    }
    if (admin)
        c->marks |= CONN_ADMIN;
    return 0;
}

int acceptor_open(struct acceptor *d, int unsent, const struct user *user, struct text *why)
{
    struct listeners own, *l = &own;
    int err = 0;
    if (d->workers != NULL)
        l = &d->workers->listeners;
    else
        err = listen_all(&d->s->config.opt, unsent, user, l, why);
    for (unsigned i = 0; i < l->n && err == 0; i++)
        err = listener(d, l->fd[i], l->admin[i], why);
    acceptor_note_listeners(d);
    return err;
}

void acceptor_note_listeners(struct acceptor *d)
{
    struct server *s = d->s;
    bool all = true;
    s->config.bound.n = 0;
    s->config.admin = false;
    d->admin = 0;
    for (uint32_t fd = 1; fd <= s->clients.conns.top; fd++) {
        const struct conn *c = &s->clients.conns.conn[fd];
        bool admin = (c->marks & CONN_ADMIN) != 0;
        if (conn_is_own(c, DESCRIPTOR_LISTENER)) {
            s->config.admin |= admin;
            all &= listen_bound((int)fd, &s->config.bound);
        } else {
            d->admin += admin;
        }
    }
    if (!all)
        s->log.say(
            OPT_LOG_WARN,
            "too many addresses: requests that name the last of them in Host need it as --host",
            NULL);
}

/* ---- pausing --------------------------------------------------------------------------------- */

/* Has a listener wake the loop, or not. epoll cannot modify one with EPOLLEXCLUSIVE, only remove
 * and add it. Returns false on failure. */
static bool listener_watch(const struct acceptor *d, int fd, bool stop)
{
    const struct conn *c = &d->s->clients.conns.conn[fd];
    struct epoll_event ev = {.events = stop ? 0 : EPOLLIN,
                             .data.u64 = (uint64_t)c->gen << 32 | (uint32_t)fd};
    if (d->workers == NULL)
        return epoll_ctl(d->epoll, EPOLL_CTL_MOD, fd, &ev) == 0 || stop;
    if (stop)
        return epoll_ctl(d->epoll, EPOLL_CTL_DEL, fd, NULL) == 0 || errno == ENOENT;
    return watch(d, fd, EPOLLIN | EPOLLEXCLUSIVE) || errno == EEXIST;
}

/* Pauses listeners, which would wake the loop in vain or are left to other workers; or resumes
 * them. */
static void acceptor_set(struct acceptor *d, enum acceptor_pause pause, bool away)
{
    struct conns *conns = &d->s->clients.conns;
    bool same = d->paused == pause && d->away == away;
    for (uint32_t fd = 1; !same && fd <= conns->top; fd++) {
        const struct conn *c = &conns->conn[fd];
        bool stop = pause == ACCEPTOR_CLOSED ||
                    ((pause == ACCEPTOR_FULL || away) && !(c->marks & CONN_ADMIN));
        if (conn_is_own(c, DESCRIPTOR_LISTENER) && !listener_watch(d, (int)fd, stop))
            return; /* the next tick tries again */
    }
    d->paused = (uint8_t)pause;
    d->away = away;
}

/* Stops them until the next tick; or starts them again. */
static void acceptor_pause(struct acceptor *d, enum acceptor_pause pause)
{
    acceptor_set(d, pause, d->away);
}

/* Leaves them to others, who have fewer connections, or comes back. */
static void acceptor_stay_away(struct acceptor *d, bool away)
{
    workers_away(d->workers, away);
    acceptor_set(d, d->paused, away);
}

void acceptor_balance(struct acceptor *d)
{
    if (workers_looks(d->workers)) { /* what is put into epoll anew is looked at */
        acceptor_set(d, d->paused, true);
        acceptor_set(d, d->paused, false);
        workers_away(d->workers, d->away);
    }
    if (d->away && (!workers_over(d->workers) || d->s->clock.now - d->away_since > AWAY_MS))
        acceptor_stay_away(d, false);
}

/* Reopens the spare descriptor when one is available. */
static void spare_open(struct acceptor *d)
{
    if (d->spare == -1)
        d->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void acceptor_tick(struct acceptor *d)
{
    spare_open(d);
    acceptor_pause(d, ACCEPTOR_OPEN);
}

/* ---- accepting ------------------------------------------------------------------------------- */

/* Refuses a client for which there is no room, at once: from the bytes of its request that are
 * there. */
static void refuse(struct acceptor *d, int fd, const char *why)
{
    char heard[HEARD];
    struct server *s = d->s;
    struct proxy p;
    ssize_t n = recv(fd, heard, sizeof heard, MSG_DONTWAIT);
    struct span request = {heard, n > 0 ? (size_t)n : 0};
    if (s->config.opt.proxy_protocol) {
        int header = proxy_read(request.p, request.n, &p);
        request = span_from(request, header > 0 ? (size_t)header : request.n);
    }
    serve_turn_away(s, request.p, request.n, why);
    if (send(fd, s->ex.out.p, s->ex.out.n, MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
        s->log.say(OPT_LOG_DEBUG, "could not refuse", "error", strerror(errno), NULL);
    s->ex.out.n = 0;
    shutdown(fd, SHUT_WR);
    close(fd);
}

/* Out of descriptors: closes the spare one for a moment, so that the client is refused and does not
 * wait in a queue that nobody empties. */
static void accept_spare(struct acceptor *d, int listener)
{
    if (d->spare != -1)
        close(d->spare);
    d->spare = -1;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd != -1) {
        d->s->stat.limit_descriptors++;
        refuse(d, fd, "no descriptor is left (ulimit -n)");
    }
    spare_open(d);
    if (fd == -1 || d->spare == -1)
        acceptor_pause(d, ACCEPTOR_CLOSED);
}

/* Takes a client off the count of its address. */
static void peer_left(struct acceptor *d, uint32_t peer)
{
    if (peer != 0 && d->workers != NULL)
        tally_drop(&d->s->team.peers[d->s->team.me], peer);
    else if (peer != 0)
        peer_leave(&d->t->peers, peer);
}

/* Counts a client for its address, in entry *peer, unless it is a proxy, which many clients share.
 * Returns false if the address has too many. */
static bool peer_fits(struct acceptor *d, const struct sockaddr_storage *a, socklen_t len,
                      uint32_t *peer)
{
    uint32_t count;
    *peer = 0;
    if (d->t->peer == NULL || nets_have(&d->s->config.proxies, a, len))
        return true;
    *peer = d->workers != NULL ? team_peer_enter(&d->s->team, addr_key(a, len), &count)
                               : peer_enter(&d->t->peers, a, len, &count);
    if (count <= d->s->config.opt.max_per_address)
        return true;
    d->s->stat.limit_per_address++;
    return false;
}

/* Returns a slot for a client; NULL if it was refused. */
static struct conn *seat(struct acceptor *d, int fd, bool crowd)
{
    if (crowd && d->shed >= d->shed_max) {
        refuse(d, fd,
               "there are as many connections from this address as may be "
               "(--max-per-address)");
    } else if (watch(d, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)) {
        return conn_open(&d->s->clients.conns, fd, d->s->clock.now);
    } else {
        d->s->stat.limit_descriptors++;
        refuse(d, fd, "epoll takes no more descriptors (fs.epoll.max_user_watches)");
    }
    return NULL;
}

/* Records the client of a connection; `local`: the source of that address is on this host. */
static void conn_from(struct server *s, struct conn *c, const struct sockaddr_storage *a,
                      socklen_t len, bool local)
{
    bool proxied = nets_have(&s->config.proxies, a, len);
    local = local && addr_local(a, len);
    c->flags = (uint16_t)((c->flags & ~CONN_LOCAL) | (local ? CONN_LOCAL : 0));
    c->marks = (uint16_t)((c->marks & ~CONN_PROXIED) | (proxied ? CONN_PROXIED : 0));
    if (s->clients.pass != NULL)
        s->clients.pass[conn_fd(&s->clients.conns, c)].from = addr_key(a, len);
}

/* Marks the connection of a trusted proxy that sent LOCAL in its PROXY header: it speaks for no
 * client, so a field that names one does not count, and neither does the proxy's own place on this
 * host. */
static void says_nothing(struct conn *c)
{
    if (c->marks & CONN_PROXIED)
        c->flags &= (uint16_t)~CONN_LOCAL;
    c->marks &= (uint16_t)~CONN_PROXIED;
}

/* Records that the client's address is unknown: it is neither a trusted proxy nor on this host. */
static void conn_of_nobody(struct server *s, struct conn *c)
{
    c->flags &= (uint16_t)~CONN_LOCAL;
    c->marks &= (uint16_t)~CONN_PROXIED;
    if (s->clients.pass != NULL)
        s->clients.pass[conn_fd(&s->clients.conns, c)].from = 0;
}

/* Closes a connection whose peer may not send a PROXY header. Returns true if it did. */
static bool turned_away(struct server *s, int fd, const struct sockaddr_storage *a, socklen_t len)
{
    if (s->config.proxies.n == 0 || nets_have(&s->config.proxies, a, len))
        return false;
    s->stat.proxy_refused++;
    s->log.say(OPT_LOG_DEBUG, "closed", "fd", QUOTE_NUM((uint64_t)fd), "reason",
               "not one of --trust-proxy (--proxy-protocol)", NULL);
    close(fd);
    return true;
}

/* Returns the connections that count for --max-connections. */
static uint32_t acceptor_places_taken(const struct acceptor *d)
{
    uint32_t free = d->admin < ACCEPTOR_ADMIN ? d->admin : ACCEPTOR_ADMIN;
    return d->s->clients.conns.clients - d->shed - free;
}

void acceptor_count(const struct acceptor *d)
{
    if (d->workers != NULL)
        workers_count(d->workers, d->s->clients.conns.clients, acceptor_places_taken(d));
}

/* Are there more connections than may be, with so many more? */
static bool acceptor_full(const struct acceptor *d, uint32_t more)
{
    uint32_t own = acceptor_places_taken(d);
    return own + more > d->room || (d->workers != NULL && whole_taken(d->workers->whole) + more >
                                                              d->s->config.opt.max_connections);
}

static void let_in(struct acceptor *d, int fd, const struct sockaddr_storage *a, socklen_t len,
                   bool admin)
{
    struct server *s = d->s;
    bool preface = s->config.opt.proxy_protocol && !admin;
    uint32_t peer = 0;
    if (preface && turned_away(s, fd, a, len))
        return;
    bool crowd = !preface && !admin && !peer_fits(d, a, len, &peer);
    struct conn *c = seat(d, fd, crowd);
    if (c == NULL) {
        peer_left(d, peer);
        return;
    }
    if (d->t->peer != NULL)
        d->t->peer[fd] = peer;
    if (s->clients.pass != NULL)
        s->clients.pass[fd] = (struct pass){.from = 0};
    c->flags = CONN_WRITABLE;
    c->marks = preface ? CONN_PREFACE : 0;
    conn_from(s, c, a, len, true);
    if (admin) { /* no proxy is trusted there */
        c->marks = CONN_ADMIN;
        d->admin++;
    }
    acceptor_count(d);
    bool full = acceptor_full(d, 0) && !(admin && d->admin <= ACCEPTOR_ADMIN);
    s->stat.limit_connections += full && !crowd;
    if (full || crowd) {
        d->shed++;
        c->flags = (uint16_t)(c->flags | CONN_SHED | (crowd ? CONN_CROWD : 0));
        acceptor_count(d);
    }
    s->stat.accepted++;
}

int acceptor_proxy_header(struct acceptor *d, struct conn *c, struct span bytes)
{
    struct server *s = d->s;
    struct proxy p;
    uint32_t peer;
    int n = proxy_read(bytes.p, bytes.n, &p);
    s->stat.proxy_refused += n < 0;
    if (n <= 0)
        return n;
    c->marks &= (uint16_t)~CONN_PREFACE;
    c->tick = (uint32_t)s->clock.now; /* a request's time begins now */
    if (p.says == PROXY_ITSELF) {
        says_nothing(c);
        return n;
    }
    bool known = p.says == PROXY_CLIENT;
    if (known)
        conn_from(s, c, &p.from, p.len, (c->flags & CONN_LOCAL) != 0);
    else
        conn_of_nobody(s, c);
    if (known && !peer_fits(d, &p.from, p.len, &peer)) {
        c->flags |= CONN_CROWD;
        if (!(c->flags & CONN_SHED) && d->shed < d->shed_max) {
            c->flags |= CONN_SHED; /* refused after its request is read, while there is a slot for
                                    * it */
            d->shed++;
        }
    }
    if (known && d->t->peer != NULL)
        d->t->peer[conn_fd(&s->clients.conns, c)] = peer;
    return n;
}

static void accept_some(struct acceptor *d, int listener)
{
    unsigned most = d->most > 0 ? d->most : 1;
    bool admin = (d->s->clients.conns.conn[listener].marks & CONN_ADMIN) != 0;
    for (unsigned i = 0; i < most; i++) {
        if (d->shed >= d->shed_max && acceptor_full(d, 1) &&
            !(admin && d->admin < ACCEPTOR_ADMIN)) {
            /* the kernel queues further clients until these are refused */
            enum acceptor_pause pause = admin ? ACCEPTOR_CLOSED : ACCEPTOR_FULL;
            if (d->paused < pause)
                acceptor_pause(d, pause);
            return;
        }
        if (d->workers != NULL && !admin && i > 0 && workers_over(d->workers))
            break;
        struct sockaddr_storage a;
        socklen_t len = sizeof a;
        int fd = accept4(listener, (struct sockaddr *)&a, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd != -1) {
            let_in(d, fd, &a, len, admin);
        } else if (errno == EMFILE || errno == ENFILE) {
            accept_spare(d, listener);
            return;
        } else if (errno == ENOBUFS || errno == ENOMEM) {
            acceptor_pause(d, ACCEPTOR_CLOSED);
            return;
        } else if (errno == EAGAIN) {
            d->most = i;
            d->full = 0;
            return;
        } /* else that client or its network has gone (ECONNABORTED): try the next */
    }
    if (++d->full == FULL) {
        d->full = 0;
        d->most = 4 * most < ACCEPTOR_MAX ? 4 * most : ACCEPTOR_MAX;
    }
}

void acceptor_accept(struct acceptor *d, int listener)
{
    accept_some(d, listener);
    if (d->workers == NULL)
        return;
    workers_call_back(d->workers);
    if (!d->away && !d->s->clients.draining && workers_over(d->workers)) {
        d->away_since = d->s->clock.now;
        acceptor_stay_away(d, true);
        workers_pass_on(d->workers);
    }
}

/* ---- leaving --------------------------------------------------------------------------------- */

void acceptor_forget(struct acceptor *d, const struct conn *c)
{
    int fd = conn_fd(&d->s->clients.conns, c);
    d->shed -= (c->flags & CONN_SHED) != 0;
    d->admin -= (c->marks & CONN_ADMIN) != 0;
    if (d->t->peer == NULL)
        return;
    peer_left(d, d->t->peer[fd]);
    d->t->peer[fd] = 0;
}

void acceptor_close(struct acceptor *d)
{
    struct conns *conns = &d->s->clients.conns;
    for (uint32_t fd = 1; fd <= conns->top; fd++) {
        struct conn *c = &conns->conn[fd];
        if (!conn_is_own(c, DESCRIPTOR_LISTENER))
            continue;
        uint64_t before;
        unsigned times = 0;
        do {
            before = d->s->stat.accepted;
            d->most = ACCEPTOR_MAX;
            acceptor_accept(d, (int)fd);
        } while (d->s->stat.accepted - before == ACCEPTOR_MAX && ++times < LAST_ACCEPTS);
        if (d->workers == NULL)
            listen_unlink((int)fd);
        close((int)fd);
        conn_free_own(conns, c);
    }
}
