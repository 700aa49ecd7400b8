/*
 * acceptor.h - the listeners, and which clients are accepted.
 *
 *   kernel's queue --> accepted --> a slot in the table: served
 *        |                |    `--> a slot marked CONN_SHED: refused once its request is read
 *        |                `-------> refused at once, from the bytes that are there
 *        `--> left there while too many are being refused (the acceptor is paused)
 *
 * INVARIANTS
 *   - Out of descriptors or memory, the listeners neither spin nor stall: a spare descriptor is
 *     closed for a moment, to accept and refuse a client; if even that fails they are paused until
 *     the next tick.
 *   - Clients of --admin addresses are accepted when the server is full: ACCEPTOR_ADMIN of them
 *     have descriptors of their own and do not count for --max-connections, and these listeners are
 *     not paused while other clients are refused. They send no PROXY header, and --max-per-address
 *     does not apply to them.
 *   - Workers share the listeners, each in its own epoll, EPOLLEXCLUSIVE. One that has more
 *     connections than its share is `away` from them until it has not, or for AWAY_MS; then it
 *     accepts one, as the worker that should may be stopped.
 *   - `shed` is the number of slots marked CONN_SHED, at most shed_max.
 *
 * OWNERSHIP: the acceptor owns the spare descriptor; the table of connections owns the listeners.
 */
#ifndef SSE_LIB_HOST_ACCEPTOR_H
#define SSE_LIB_HOST_ACCEPTOR_H

#include "lib/host/keeper.h"
#include "lib/host/tables.h"
#include "lib/host/user.h"
#include "lib/host/workers.h"

#define ACCEPTOR_ADMIN 16u

enum acceptor_pause {
    ACCEPTOR_OPEN = 0,
    ACCEPTOR_FULL = 1,   /* all but those of --admin: no more clients can be refused now */
    ACCEPTOR_CLOSED = 2, /* all, for want of descriptors or memory */
};

struct acceptor {
    struct server *s;
    struct tables *t;
    int epoll, spare;
    int keeper;              /* of the key file: keeper.h */
    uint8_t paused;          /* enum acceptor_pause: which listeners are paused */
    bool away;               /* so are all but those of --admin: other workers have fewer clients */
    uint64_t away_since;     /* ms */
    uint32_t room;           /* connections that this process may have, of --max-connections */
    struct workers *workers; /* NULL: this process is the whole server */
    uint32_t admin;          /* connections accepted at an address of --admin */
    uint32_t shed;           /* connections over a limit, being refused, ... */
    uint32_t shed_max;       /* ... and how many there may be */
    unsigned most;           /* clients accepted at once, 0 for 1: as many as came lately; */
    unsigned full;           /* how often in a row that many came */
};

/* Finds how many connections the limit on descriptors and --max-memory allow; sets s->conns.max,
 * shed_max and the limits accordingly. Returns false with *why set if more was asked for. */
bool acceptor_measure(struct acceptor *d, struct text *why);

/* Adds one of the process's own descriptors to epoll, level-triggered, and to the table. Returns
 * NULL with errno set if epoll refuses it. */
struct conn *acceptor_add_own(struct acceptor *d, int fd, enum descriptor kind);

/* Opens the listeners (listen_all()), or takes those that the workers share. `unsent` and `user` as
 * in listen.h. Returns 0, or an exit code with the reason in *why. */
int acceptor_open(struct acceptor *d, int unsent, const struct user *user, struct text *why);

/* Records in the server the addresses at which it is reached and whether one is of --admin, and in
 * *d the clients of --admin. Call it when the listeners are open or taken over. */
void acceptor_note_listeners(struct acceptor *d);

/* Accepts clients that wait at a listener, at most ACCEPTOR_MAX; epoll reports the rest, as
 * listeners are level-triggered. After a lone client it does not look for another, as that would
 * cost more than an event does; in a burst it accepts more and more at once. */
#define ACCEPTOR_MAX 256
void acceptor_accept(struct acceptor *d, int listener);

/* Reads the PROXY header with which a connection begins (CONN_PREFACE), and records the client's
 * address. Returns the header's length; 0 if it is not complete; -1 if it is not one, which is
 * counted. */
int acceptor_proxy_header(struct acceptor *d, struct conn *c, struct span bytes);

/* Call once a turn, in a worker: resumes the listeners if it has no more than its share of
 * clients. */
void acceptor_balance(struct acceptor *d);

/* Call once a tick: reopens the spare descriptor and resumes paused listeners. */
void acceptor_tick(struct acceptor *d);

/* Call before closing a connection: undoes what was counted for it. */
void acceptor_forget(struct acceptor *d, const struct conn *c);

/* Closes a descriptor of the process's own, but for listeners. */
void acceptor_close_own(struct acceptor *d, int fd);

/* Tells the other workers, if there are any, how many connections there are now. */
void acceptor_count(const struct acceptor *d);

/* Accepts the clients that still wait, and closes the listeners. */
void acceptor_close(struct acceptor *d);

#endif
