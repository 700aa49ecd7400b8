/*
 * serve.h - what a request does: answers, routes, subscribing, publishing.
 *
 * The upper storey of lib/. The modules below it know nothing of each other's business and nothing
 * of the root; these put http.h, ring.h and them together. Like them they do no I/O: they are
 * called with a connection and the bytes that have come for it, change the state of the server, and
 * leave what is to be written in `out`, which the loop (sse.c) takes from there.
 *
 *   bytes -> serve_input -> route.c -> publish.c   -> broker_put, topic_mark
 *                           client.c   |                                    +--> answer.c -> out
 *                                      +-> subscribe.c -> topic_subscribe --|
 *                                      |   poll.c, ready.c, socket.c        |
 *                                      `-> metrics.c, topics.c, files.c ----'
 *
 * A function that returns false or 0 for "refused" has put the refusal into `out` and the
 * connection's state in order.
 */
#ifndef SSE_LIB_SERVE_SERVE_H
#define SSE_LIB_SERVE_SERVE_H

#include "lib/broker/render.h"
#include "lib/serve/intake.h"
#include "lib/serve/quote.h"
#include "lib/serve/server.h"

/* ---- for the loop ---------------------------------------------------------------------------- */

/* Takes --trust-proxy from s->opt. */
void serve_trust(struct config *config);

/* Takes what has come for a connection in HEAD, BODY or SOCKET: a request head with what of its
 * body is handled at once, a part of a body, or a frame; `seen` as http_parse() has it. Each call
 * is a step of a few milliseconds at most. buf is written to. Returns the bytes taken, 0 if a head
 * is not complete, or if its request may take longer than s->brief allows: then s->put_off is set,
 * and it is to be brought again with s->brief not set. */
size_t serve_input(struct server *s, struct conn *c, char *buf, size_t len, size_t seen);

/* Does what a connection is to be answered wait for a sync, as it told of what it published? */
static inline bool serve_waits(const struct broker *broker, const struct hold *hold,
                               const struct conn *c)
{
    uint8_t group = (c->marks & CONN_GROUP) >> CONN_GROUP_SHIFT;
    return group != 0 &&
           (group == hold->running || (group == hold->group && ring_end(broker->ring) > hold->to));
}

/* Has so much been published since the last sync that publishers should wait for the next? */
static inline bool serve_hold_full(const struct broker *broker)
{
    return broker->ring->h->held_size > broker->ring->size / 4;
}

/* Refuses what a connection has published and was not answered, as the store could not be synced:
 * 503 takes the place of its answers, or its WebSocket is closed. */
void serve_unsynced(struct server *s, struct conn *c);

/* Counts a subscriber in *lag that does not take what there is for it. */
void serve_lag(const struct broker *broker, const struct conn *c, struct lag *lag);

/* Is the time up that a message of a body or of a WebSocket has, or that a subscriber's token gave
 * it; or has such a message more room than its share, as others have come? Then it has been told
 * so, and what it has is ended. */
bool serve_late(struct server *s, struct conn *c);

/* Does a client take what is kept for it at less than --write-timeout and --min-rate ask for, or
 * has it more of the buffers than its share? Then it is counted, and this is the reason to end it;
 * else NULL. */
const char *serve_holds_long(const struct config *config, struct clients *clients,
                             const struct clock *clock, struct stat_counters *stat, struct conn *c);

/* What is to be done about a connection whose time is up (CONN_DUE_REQUEST, _IDLE, _WRITE, _LINGER,
 * _PONG), which is counted: the reason to end it, or NULL, as its request has been answered or is
 * one that may take its time. */
const char *serve_overdue(struct server *s, struct conn *c, enum conn_due due);

/* Refuses a request in HEAD that can't be kept until it is complete, for want of buffers. */
void serve_no_room(struct server *s, struct conn *c);

/* Turns a client away that has no place in the table; `why` names the limit. buf[0..len) is what of
 * its request has come so far. */
void serve_stranger(struct server *s, const char *buf, size_t len, const char *why);

/* Looks whether the ring has overtaken a subscriber, and puts the gap event into `out` if it has
 * lost messages. False: it happened inside a record, and nothing can be mended. */
bool serve_stream_check(struct server *s, struct conn *c);

/* Fills *share with what a subscriber that serve_stream_check() let pass gets next; inside a record
 * that is the rest of it alone. False: there is nothing here for it, and it has been moved on, to
 * the head or to where to look next. */
bool serve_next(const struct broker *broker, struct stat_counters *stat, struct conn *c,
                struct share *share);

/* Moves a client on by `w` bytes of a share. Returns how many records that completed. */
static inline unsigned serve_moved(const struct ring *r, struct conn *c, const struct share *share,
                                   size_t w)
{
    struct share_place p = {c->place.at, c->place.n, c->stream.sent};
    unsigned records = share_took(share, r, &p, w);
    c->place.at = p.at;
    c->place.n = p.n;
    c->stream.sent = p.sent;
    return records;
}

/* Moves it on by the `w` bytes of that share that were written, the first `sent` of the record not
 * counted; counts. */
void serve_took(const struct broker *broker, struct stat_counters *stat, struct conn *c,
                const struct share *share, size_t w);

/* Brings up to date a client that waits: answers it, and ends its waiting, if there is something
 * for it, or if it has waited long enough (`timeout`). */
void serve_wake(struct server *s, struct conn *c, bool timeout);

/* Appends a sign of life for a subscriber that is up to date and has had nothing for a while: a
 * comment, an empty line, a ping; or its id, if the ring has gone half around since it had one, so
 * that it never falls out of a busy ring. */
void serve_heartbeat(struct server *s, struct conn *c);

/* Sends a client away, as the server ends: one that is subscribed or waits is told to come back, in
 * the way it speaks, and is answered for the last time. What of the ring it is to have before that
 * has been written, as far as its socket took it; the rest of a record that is partly out is kept.
 * Nothing is done to the others. */
void serve_drain(struct server *s, struct conn *c);

/* Says how many refusals were not logged, once their second is over; at once, if the server
 * ends. */
void serve_log_rest(const struct clock *clock, struct log *log, bool end);

/* Writes into the access log that a connection that was subscribed ends, and why. */
void serve_log_end(const struct config *config, const struct broker *broker,
                   const struct clients *clients, const struct log *log, const struct conn *c,
                   const char *reason);

/* Frees an entry of the table of topics if nobody needs it any more. */
void serve_release(struct broker *broker, uint32_t id);

/* What a connection is to be written before records and what follows its answers: puts it into the
 * two places before `iov`, and gives how many of them it used. */
unsigned serve_out_put(const struct clients *clients, const struct exchange *ex,
                       const struct conn *c, struct iovec *iov);

/* Strikes off `w` bytes that were written of that; gives those that were of something else. Strikes
 * them off s->tail. */
size_t serve_out_took(struct clients *clients, struct exchange *ex, struct conn *c, size_t w);
void serve_tail_took(struct exchange *ex, size_t w);

/* By which limit a topic or a set was refused just now, for a message, which may be put together in
 * out; counts that as well. */
const char *serve_count_topics_full(const struct config *config, const struct broker *broker,
                                    struct stat_counters *stat, char out[QUOTE_MAX]);

/* By which limit a buffer was refused just now, for a message: --max-buffers, or the share of it;
 * counts that as well. */
const char *serve_full(const struct clients *clients);
const char *serve_count_full(struct clients *clients, struct stat_counters *stat);

/* Keeps `out` and the tail with the connection, as its socket is full. False: there is no room. */
bool serve_out_keep(struct clients *clients, struct exchange *ex, struct conn *c);

/* ---- between its parts ----------------------------------------------------------------------- */

/* Answers 408: the request has not come in time, or, of a body, too slowly. */
void serve_timeout(struct server *s, struct conn *c);

/* Has a connection in BODY, inside a message, had more time for it than --request-timeout and
 * --min-rate give? Then serve_timeout() is due. */
bool serve_body_late(const struct config *config, const struct clients *clients,
                     const struct clock *clock, const struct conn *c);

/* Ends a body, or a WebSocket, whose message has more room than its share. */
void serve_body_full(struct server *s, struct conn *c);
void serve_socket_full(struct server *s, struct conn *c);

/* Has a WebSocket, inside a message, had more time for it than these give? Then serve_socket_slow()
 * is due, which closes it. */
bool serve_socket_late(const struct clients *clients, const struct clock *clock,
                       const struct conn *c);
void serve_socket_slow(struct server *s, struct conn *c);

/* Tells a subscriber whose token has expired, and ends what it has. */
void serve_expire(struct server *s, struct conn *c);

/* Notes in s->ask who the request in s->req is from, which came over this connection. */
void serve_client(const struct config *config, const struct clients *clients, struct exchange *ex,
                  const struct conn *c);

/* Is the client of the request in s->ask on this host, and does it mean this server, as Host tells?
 * Looks at Host when it is asked first: most requests need no right by their place. */
bool serve_here(const struct config *config, struct exchange *ex);

/* Returns true if the request in s->req names this server in Host, or names none
 * (lib/authority.h). */
bool serve_host_own(const struct config *config, struct exchange *ex);

/* The name of a method. */
const char *serve_method_name(enum http_method method);

/* Appends the front of every answer. */
void serve_answer_head(const struct config *config, const struct clock *clock,
                       struct stat_counters *stat, struct exchange *ex, int status);

/* Writes an answer's line in the access log; `bytes` of body, of a stream 0. */
void serve_log_answer(struct server *s, int status, uint64_t bytes);

/* Writes a refusal's line in the log, unless there have been too many in this second. */
void serve_log_refusal(struct server *s, int status, struct span detail);

/* The last answer of a connection is out, or will be: what the peer still sends is dropped. */
void serve_answered_last(struct clients *clients, struct conn *c);

/* Answers the request at hand. `fields` are further field lines; a type of NULL means no body. The
 * connection goes on, or lingers. */
void serve_answer(struct server *s, struct conn *c, int status, struct span fields,
                  const char *type, struct span body);

/* Refuses the request at hand with problem+json (RFC 9457); `fields` as text, or NULL; the detail
 * is put together from the texts that follow up to a NULL. A request whose body has not been read
 * ends the connection. */
void serve_refuse(struct server *s, struct conn *c, int status, const char *fields, ...) TEXT_LIST;

/* Are all the names that a path selects, or the name that is published to, among those of --topic?
 * Else the request has been refused. */
bool serve_declared(struct server *s, struct conn *c, struct span names);

/* The same without a request: false, and nothing is said. */
bool serve_names_declared(const struct config *config, struct span names);

/* How many names and wildcards a path has. */
size_t serve_name_count(struct span names);

/* The same for one whose body is longer: the front of it is appended, and `more` bytes will follow
 * behind `out`. */
void serve_answer_long(struct server *s, struct conn *c, struct span fields, const char *type,
                       struct span front, size_t more);

/* The same for a HEAD of what has not been rendered: how long it would be is not said. */
void serve_answer_bare(struct server *s, struct conn *c, struct span fields, const char *type);

/* Answers it as another was, with the same bytes, `body` of which are of its body. */
void serve_answer_again(struct server *s, struct conn *c, int status, struct span answer,
                        size_t body);

/* Answers the request at hand with what is written in s->page. */
void serve_answer_page(struct server *s, struct conn *c, const char *type, size_t size);

/* GET or HEAD of /-/metrics, and of /-/topics. */
void serve_metrics(struct server *s, struct conn *c);
void serve_topics(struct server *s, struct conn *c);

/* GET or HEAD of a topic as a stream, in form WAY_EVENTS or WAY_LINES; `names` is the path,
 * decoded. */
void serve_subscribe(struct server *s, struct conn *c, struct span names, enum conn_way way);

/* The quality, 0 to 1000, that Accept gives the form of a poll's answer it likes best. */
unsigned serve_poll_quality(const struct exchange *ex);

/* GET or HEAD of a topic as a poll. */
void serve_poll(struct server *s, struct conn *c, struct span names);

/* Makes the current request, a poll, wait in form `way` on entry `id`, until s->now + ms. */
void serve_wait_begin(struct server *s, struct conn *c, uint32_t id, enum conn_way way,
                      uint64_t ms);

/* Ends the waiting: the request that the client waits with is the current one again. */
void serve_wait_end(const struct broker *broker, struct clients *clients, struct exchange *ex,
                    struct conn *c);

/* A store has been opened, which may hold the inside topic. */
void serve_ready_recover(const struct config *config, const struct broker *broker,
                         struct ready *ready);

/* GET or HEAD of /-/ready. */
void serve_ready(struct server *s, struct conn *c);

/* GET or HEAD of the live page; of the helper for pages, /-/sse.js. */
void serve_live_page(struct server *s, struct conn *c);
void serve_helper(struct server *s, struct conn *c);

/* A topic is about to be freed, as the broker tells. */
void serve_ready_gone(void *server, uint32_t topic);

/* Refuses the request at hand with 503, as the server ends. */
void serve_refuse_draining(struct server *s, struct conn *c);

/* Refuses with 503, as a buffer was refused just now, and counts that; `where` stands in front. */
void serve_refuse_full(struct server *s, struct conn *c, const char *where);

/* Moves the rest of a record that is partly out into the connection's buffer, in front of what is
 * kept there, so that what comes next does not depend on it. False: there is no room, or the ring
 * has overtaken it. */
bool serve_settle(const struct broker *broker, struct clients *clients, struct stat_counters *stat,
                  struct exchange *ex, struct conn *c);

/* Takes a subscriber off what it is subscribed to. */
void serve_leave(struct broker *broker, const struct clients *clients, struct conn *c);

/* GET of a topic with Upgrade: websocket. */
void serve_socket(struct server *s, struct conn *c, struct span names);

/* Takes what has come for a WebSocket, up to the end of a piece of a message or a control frame;
 * gives the bytes taken. */
size_t serve_frames(struct server *s, struct conn *c, char *buf, size_t len);

/* Closes a WebSocket whose messages may be lost, as the store could not be synced. */
void serve_socket_unsynced(struct server *s, struct conn *c);

/* Appends the answer head of a stream, with where it begins unless that is NULL. Its end is the
 * close: no length, no chunks. */
void feed_head(struct server *s, enum conn_way way, const struct cursor *id);

/* Returns what --retry says, give or take a quarter, so that those who lost their connections at
 * once don't come back at once. */
uint64_t feed_retry_ms(const struct config *config, struct clock *clock);

/* For the table of ways. */
struct gap;
void sse_begin(struct server *s, struct conn *c, const struct cursor *from, bool hello);
void sse_gap(struct server *s, struct conn *c, const struct gap *gap);
void sse_heartbeat(struct server *s, struct conn *c, bool old);
void sse_expired(struct server *s, struct conn *c);
void sse_away(struct server *s, struct conn *c);
void sse_come_back(struct server *s, struct conn *c);
void lines_begin(struct server *s, struct conn *c, const struct cursor *from, bool hello);
void lines_gap(struct server *s, struct conn *c, const struct gap *gap);
void lines_heartbeat(struct server *s, struct conn *c, bool old);
void lines_expired(struct server *s, struct conn *c);
void lines_away(struct server *s, struct conn *c);
void frames_begin(struct server *s, struct conn *c, const struct cursor *from, bool hello);
void frames_gap(struct server *s, struct conn *c, const struct gap *gap);
void frames_heartbeat(struct server *s, struct conn *c, bool old);
void frames_message(struct server *s, struct conn *c, struct span data, bool binary);
void objects_begin(struct server *s, struct conn *c, const struct cursor *from, bool hello);
void objects_gap(struct server *s, struct conn *c, const struct gap *gap);
void objects_heartbeat(struct server *s, struct conn *c, bool old);
void objects_message(struct server *s, struct conn *c, struct span text, bool binary);
void socket_expired(struct server *s, struct conn *c);
void socket_away(struct server *s, struct conn *c);
void poll_wake(struct server *s, struct conn *c, bool timeout);
void poll_end(struct server *s, struct conn *c);
void ready_wake(struct server *s, struct conn *c, bool timeout);
void ready_end(struct server *s, struct conn *c);

/* Appends an answer that turns an SSE client away so that it comes back: EventSource gives up for
 * good on a 503. It is the connection's last. */
void serve_stream_away(struct server *s);

/* Appends a 200 that is the last of a connection without a slot. */
void serve_answer_stranger(struct server *s, const char *type, struct span body);

/* Appends a 503 that is the connection's last. */
void serve_refuse_stranger(struct server *s, const char *detail);

/* POST or PUT to a topic. rest[0..len) is what came behind the head; gives how much of it was the
 * body, as far as it was handled at once. */
size_t serve_publish(struct server *s, struct conn *c, struct span topic, const char *rest,
                     size_t len);

/* Is the body of the request a batch whose lines may name their topics (NDJSON)? */
bool serve_batch_names(const struct exchange *ex);

/* Takes bytes of a body; gives how many were of it. */
size_t serve_body(struct server *s, struct conn *c, char *buf, size_t len);

/* Answers 408: a body has not come in time. */
void serve_body_timeout(struct server *s, struct conn *c);

#endif
