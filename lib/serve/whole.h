/*
 * whole.h - what the workers of a server tell each other for those who ask about all of it.
 *
 * With --workers each process counts for itself. It copies its counters and gauges into its slot of
 * a page that all share, when it is about to sleep and with each slice of the sweep; whoever is
 * asked for the metrics adds up the slots, with its own as they are now. So what another worker
 * counted is a moment old, at most as old as its turn. A slot's worker that has died counts on as
 * what it left: the parent adds that to `gone`, so that no counter goes back.
 *
 * INTEREST. Each worker tallies its subscribers by the name of the topic, so that who publishes can
 * wake those workers that have some, and tell how many there are. One who subscribed to a wildcard
 * counts for every topic when it is about waking, and for none when it is about how many: only its
 * own worker knows what matches.
 *
 * MEMORY: mapped shared, zeroed; each word is written by one process, but for what the parent takes
 * away from a dead one.
 */
#ifndef SSE_LIB_SERVE_WHOLE_H
#define SSE_LIB_SERVE_WHOLE_H

#include "lib/auth/throttle.h"
#include "lib/control.h"
#include "lib/serve/conn.h"
#include "lib/stat.h"
#include "lib/tally.h"

struct server;

/* Numbers as they are at a moment, of one worker or of all. */
struct gauges {
    uint64_t kind[CONN_KINDS]; /* connections */
    uint64_t clients;          /* all of them */
    uint64_t subscriptions;
    uint64_t lagging, lag; /* struct lag: subscribers; the most bytes */
    uint64_t sets, sets_bytes;
    uint64_t buffers;  /* bytes */
    uint64_t turn_max; /* us: the longest */
};

struct whole_slot {
    _Alignas(64) _Atomic uint32_t clients; /* connections, as they are */
    _Atomic uint32_t taken;                /* those that count for --max-connections */
    _Atomic uint32_t away;                 /* it leaves new clients to the others: 1 */
    _Atomic uint32_t look;                 /* it is to look for clients that wait: 1 */
    _Atomic uint32_t ready;                /* it serves: 1 */
    _Atomic uint32_t turns;                /* of its loop, modulo 2^32: it goes on */
    _Atomic uint32_t wild;                 /* subscribers with wildcards; or of a name for which its
                                            * table of interest has no place */
    struct gauges gauges;
    struct stat_counters stat;
};

struct whole {
    uint32_t workers;
    _Atomic uint64_t restarts;  /* of workers */
    _Atomic uint32_t announced; /* the server was: 1 */
    _Atomic uint32_t linked;    /* the messages in the ring have their links: 1 */
    struct stat_counters gone;  /* of those that have died */
    uint64_t seed[2];           /* that all hash names with */
    struct throttle failures;   /* bad tokens, by address; who writes at once may lose one */
    struct whole_slot slot[CONTROL_WORKERS];
};

/* A worker's part in it. */
struct team {
    struct whole *whole; /* NULL: this process is all of the server */
    uint32_t me;
    struct tally interest[CONTROL_WORKERS]; /* of each: subscribers by topic */
    struct tally peers[CONTROL_WORKERS];    /* of each: connections by address; place NULL: these
                                             * are not counted */
    uint64_t wake; /* a mask: workers that are to hear of what was put in this turn */
    void (*wake_now)(uint64_t workers);
};

/* Returns a worker's own slot. */
static inline struct whole_slot *team_slot(const struct team *t)
{
    return &t->whole->slot[t->me];
}

/* What no two workers may do at once, other than publishing: a moment. Alone, nothing. */
void team_lock(struct server *s);
void team_unlock(struct server *s);

/* A subscriber has joined entry `id`, or left it: `heard` of struct topics, for a server. */
void team_heard(void *server, uint32_t id, bool more);

/* Returns a mask of the other workers that have subscribers to a topic, and adds how many these are
 * to *reach. To be called behind a put. */
uint64_t team_interest(const struct server *s, uint32_t topic, uint32_t *reach);

/* Counts one more connection from an address, by its addr_key(), under a hash that clients cannot
 * choose. Returns its place in this worker's table, for tally_drop(), with *count how many all
 * workers have from there; 0, with *count 0: it is none (key 0), or there is no place for it. */
uint32_t team_peer_enter(struct team *t, uint64_t address, uint32_t *count);

/* Adds the counters of `from` to those of `to`. */
void whole_add(struct stat_counters *to, const struct stat_counters *from);

/* Copies what this worker counts into its slot. */
void whole_tell(struct server *s);

/* Fills in what the whole server counts. */
void whole_count(struct server *s, struct stat_counters *stat, struct gauges *g);

/* Returns how many connections the whole server has that count for --max-connections. */
uint64_t whole_taken(const struct whole *w);

#endif
