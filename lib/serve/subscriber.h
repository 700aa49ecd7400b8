/*
 * subscriber.h - what subscribers of all transports share: the next messages, gaps, heartbeats, the
 * end.
 */
#ifndef SSE_LIB_SERVE_SUBSCRIBER_H
#define SSE_LIB_SERVE_SUBSCRIBER_H

#include "lib/serve/server.h"

/* Checks whether the ring has overtaken a subscriber, and appends the gap to `out` if it lost
 * messages. Returns false if it was overtaken inside a record: it must be closed. */
bool subscriber_check(struct server *s, struct conn *c);

/* Fills *share with what a subscriber that passed subscriber_check() gets next; inside a record,
 * only its rest. Returns false if there is nothing for it: it was moved on, to the head or to where
 * to search next. */
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

/* Moves a subscriber on by the `w` bytes of a share that were written, and counts them; `share`
 * began at its place. */
void subscriber_sent(const struct broker *broker, struct stat_counters *stat, struct conn *c,
                     const struct share *share, size_t w);

/* Answers a client that waits, and ends its wait, if there is a message for it or if its time is up
 * (`timeout`). */
void subscriber_wake(struct server *s, struct conn *c, bool timeout);

/* Appends a heartbeat for a subscriber without pending messages that was sent nothing for a while:
 * a comment, an empty line, a ping; or its id, if the ring has gone half around since it got one,
 * so that its cursor never leaves a busy ring. */
void subscriber_heartbeat(struct server *s, struct conn *c);

/* Tells a subscriber which of the topics in a list of names ended before its place, in the order of
 * the list; a wildcard names none. False: that takes more room than there is, which is counted. */
bool subscriber_tell_ended(struct server *s, struct conn *c, struct span names);

/* Ends what a subscriber has if all its topics have ended, and it has had all there was of them. */
void subscriber_over(struct server *s, struct conn *c);

/* Sends a client away, as the server ends: a subscriber or a waiting poll is told to come back, in
 * the way of its transport, and gets its last answer. What it is to get of the ring before was
 * written, as far as its socket took it; the rest of a partly written record is kept. Does nothing
 * to other clients. */
void subscriber_send_away(struct server *s, struct conn *c);

/* Tells a subscriber whose token has expired, or was revoked, and ends what it has. */
void subscriber_expire(struct server *s, struct conn *c);
void subscriber_revoke(struct server *s, struct conn *c);

/* Copies the rest of a partly written record into the connection's buffer, before what is kept
 * there, so that the connection no longer depends on the ring. Returns false if there is no room,
 * or if the ring has overtaken it. */
bool subscriber_finish_record(const struct broker *broker, struct clients *clients,
                              struct stat_counters *stat, struct exchange *ex, struct conn *c);

/* Ends a subscription. */
void subscriber_leave(struct broker *broker, const struct clients *clients, struct conn *c);

#endif
