/*
 * acceptor.h - the listeners, and who is let in.
 *
 *   kernel's queue --> accepted --> a slot in the table: served
 *        |                |    `--> a slot marked CONN_SHED: heard out, then refused in its words
 *        |                `-------> refused at once: by what of its request is there
 *        `--> left there, while as many as may be are being refused (the acceptor is paused)
 *
 * INVARIANTS
 *   - Out of descriptors or memory, the listeners neither spin nor stall: a spare descriptor is
 *     given up for a moment to refuse with, and where even that fails they are paused until the
 *     next tick.
 *   - Those who come in at an address of --admin are let in where all places are taken:
 *     ACCEPTOR_ADMIN of them have descriptors of their own, and do not count for --max-connections;
 *     nor do its listeners wait while others are turned away. They bring no PROXY header, and
 *     --max-per-address is not for them.
 *   - Workers share the listeners, each in its own epoll, EPOLLEXCLUSIVE: one that has more
 *     connections than the others is `away` from them until it has not, or for AWAY_MS; then it
 *     takes one, as who waits may wait for one that stands still.
 *   - `shed` is the number of slots that are marked CONN_SHED; at most shed_max over a limit.
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
    ACCEPTOR_FULL = 1,   /* all but those of --admin: no more can be turned away now */
    ACCEPTOR_CLOSED = 2, /* all, for want of descriptors or memory */
};

struct acceptor {
    struct server *s;
    struct tables *t;
    int epoll, spare;
    int keeper;              /* of the key file: keeper.h */
    uint8_t paused;          /* enum acceptor_pause: which listeners are */
    uint64_t away_since;     /* ms */
    bool away;               /* others have fewer connections: all but those of --admin are, too */
    uint32_t room;           /* connections that this process may have, of --max-connections */
    struct workers *workers; /* NULL: this process is all of the server */
    uint32_t admin;          /* connections that came in at an address of --admin */
    uint32_t shed;           /* connections over a limit, ... */
    uint32_t shed_max;       /* ... and how many there may be */
    unsigned most; /* clients that are taken in at once, 0 for 1: as many as came lately; */
    unsigned full; /* how often in a row there were so many */
};

/* Sees how many connections the limit on descriptors and --max-memory allow and sets s->conns.max,
 * shed_max and the limits by it. False: *why says that it was asked for more. */
bool acceptor_measure(struct acceptor *d, struct text *why);

/* Puts a descriptor of the process's own into epoll, level-triggered, and into the table. NULL: the
 * kernel refuses it, as errno says. */
struct conn *acceptor_add_own(struct acceptor *d, int fd, enum own kind);

/* Opens the listeners, or takes those that the workers share: `unsent` and `user` as listen.h has
 * them. Returns 0, or an exit code with the reason in *why. */
int acceptor_open(struct acceptor *d, int unsent, const struct user *user, struct text *why);

/* Notes in the server what its listeners are: at which addresses it is reached, and whether one is
 * of --admin; and in *d who came in there. To be called when they are open, or have been taken
 * over. */
void acceptor_note_listeners(struct acceptor *d);

/* Takes in those who wait at a listener, ACCEPTOR_MAX at most: epoll tells of those who are left,
 * as listeners are level-triggered. So whoever comes alone is not followed by a look for another,
 * which would take the kernel longer than an event does; of a burst more and more are taken in at
 * once. */
#define ACCEPTOR_MAX 256
void acceptor_accept(struct acceptor *d, int listener);

/* Takes the PROXY header that a connection begins with (CONN_PREFACE) off what has come, and notes
 * whom it is from. Returns the bytes of it; 0: it is not complete; -1: it is none, which is
 * counted. */
int acceptor_proxy_header(struct acceptor *d, struct conn *c, struct span bytes);

/* Comes back to the listeners if this worker has no more than its share; to be called once a turn,
 * and it costs nothing where it is not away. */
void acceptor_balance(struct acceptor *d);

/* A tick: the listeners go on if they were paused, and the spare descriptor is taken back. */
void acceptor_tick(struct acceptor *d);

/* Forgets a connection that is about to be closed. */
void acceptor_forget(struct acceptor *d, const struct conn *c);

/* Closes a descriptor of the process's own, but for listeners. */
void acceptor_close_own(struct acceptor *d, int fd);

/* Tells the other workers, if there are any, how many connections there are now. */
void acceptor_count(const struct acceptor *d);

/* Takes in who waits, and closes the listeners. */
void acceptor_close(struct acceptor *d);

#endif
