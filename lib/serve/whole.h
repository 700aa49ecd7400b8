/*
 * whole.h - what the workers of a server tell each other for those who ask about all of it.
 *
 * With --workers each process counts for itself. It copies its counters and gauges into its slot of
 * a page that all share, when it is about to sleep and with each slice of the sweep; whoever is
 * asked for the metrics adds up the slots, with its own as they are now. So what another worker
 * counted is a moment old, at most as old as its turn. A slot's worker that has died counts on as
 * what it left: the parent adds that to `gone`, so that no counter goes back.
 *
 * MEMORY: mapped shared, zeroed; each word is written by one process, but for what the parent takes
 * away from a dead one.
 */
#ifndef SSE_LIB_SERVE_WHOLE_H
#define SSE_LIB_SERVE_WHOLE_H

#include "lib/control.h"
#include "lib/serve/conn.h"
#include "lib/stat.h"

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
    _Atomic uint32_t ready;                /* it serves: 1 */
    struct gauges gauges;
    struct stat_counters stat;
};

struct whole {
    uint32_t workers;
    _Atomic uint64_t restarts;  /* of workers */
    _Atomic uint32_t announced; /* the server was: 1 */
    struct stat_counters gone; /* of those that have died */
    struct whole_slot slot[CONTROL_WORKERS];
};

/* A worker's part in it. */
struct team {
    struct whole *whole; /* NULL: this process is all of the server */
    uint32_t me;
    uint64_t wake; /* a mask: workers that are to hear of what was put in this turn */
    void (*wake_now)(uint64_t workers);
};

/* Returns a worker's own slot. */
static inline struct whole_slot *team_slot(const struct team *t)
{
    return &t->whole->slot[t->me];
}

/* Adds the counters of `from` to those of `to`. */
void whole_add(struct stat_counters *to, const struct stat_counters *from);

/* Copies what this worker counts into its slot. */
void whole_tell(struct server *s);

/* Fills in what the whole server counts. */
void whole_count(struct server *s, struct stat_counters *stat, struct gauges *g);

/* Returns how many connections the whole server has that count for --max-connections. */
uint64_t whole_taken(const struct whole *w);

#endif
