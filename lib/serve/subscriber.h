/*
 * subscriber.h - what subscribers of all ways have in common: what comes next, gaps, heartbeats,
 * the end.
 */
#ifndef SSE_LIB_SERVE_SUBSCRIBER_H
#define SSE_LIB_SERVE_SUBSCRIBER_H

#include "lib/serve/server.h"

/* Looks whether the ring has overtaken a subscriber, and puts the gap event into `out` if it has
 * lost messages. False: it happened inside a record, and nothing can be mended. */
bool subscriber_check(struct server *s, struct conn *c);

/* Fills *share with what a subscriber that subscriber_check() let pass gets next; inside a record
 * that is the rest of it alone. False: there is nothing here for it, and it has been moved on, to
 * the head or to where to look next. */
bool subscriber_next(const struct broker *broker, struct stat_counters *stat, struct conn *c,
                     struct share *share);

/* Moves a client on by `w` bytes of a share. Returns how many records that completed. */
static inline unsigned subscriber_advance(const struct broker *broker, struct conn *c,
                                          const struct share *share, size_t w)
{
    struct share_place p = {c->place.at, c->place.n, c->stream.sent};
    unsigned records = share_took(share, broker->ring, &p, w);
    c->place.at = p.at;
    c->place.n = p.n;
    c->stream.sent = p.sent;
    return records;
}

/* Moves it on by the `w` bytes of that share that were written, the first `sent` of the record not
 * counted; counts. */
void subscriber_sent(const struct broker *broker, struct stat_counters *stat, struct conn *c,
                     const struct share *share, size_t w);

/* Brings up to date a client that waits: answers it, and ends its waiting, if there is something
 * for it, or if it has waited long enough (`timeout`). */
void subscriber_wake(struct server *s, struct conn *c, bool timeout);

/* Appends a sign of life for a subscriber that is up to date and has had nothing for a while: a
 * comment, an empty line, a ping; or its id, if the ring has gone half around since it had one, so
 * that it never falls out of a busy ring. */
void subscriber_heartbeat(struct server *s, struct conn *c);

/* Sends a client away, as the server ends: one that is subscribed or waits is told to come back, in
 * the way it speaks, and is answered for the last time. What of the ring it is to have before that
 * has been written, as far as its socket took it; the rest of a record that is partly out is kept.
 * Nothing is done to the others. */
void subscriber_send_away(struct server *s, struct conn *c);

/* Tells a subscriber whose token has expired, and ends what it has. */
void subscriber_expire(struct server *s, struct conn *c);

/* Moves the rest of a record that is partly out into the connection's buffer, in front of what is
 * kept there, so that what comes next does not depend on it. False: there is no room, or the ring
 * has overtaken it. */
bool subscriber_finish_record(const struct broker *broker, struct clients *clients,
                              struct stat_counters *stat, struct exchange *ex, struct conn *c);

/* Takes a subscriber off what it is subscribed to. */
void subscriber_leave(struct broker *broker, const struct clients *clients, struct conn *c);

#endif
